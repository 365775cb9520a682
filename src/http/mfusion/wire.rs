//! The envelopes of answers (mfusion.md §4), in the order of the samples.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::page::{Page, Paging};
use crate::time::UnixTime;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    status: bool,
    page: u32,
    per_page: u32,
    is_last_page: bool,
    message: &'static str,
    result: Vec<T>,
}

impl<T> List<T> {
    /// The page that was asked for, its rows as this dialect writes them.
    pub(super) fn new(paging: Paging, page: Page<T>) -> Self {
        Self {
            status: true,
            page: paging.page,
            per_page: paging.per_page,
            is_last_page: !page.more,
            message: if page.more { MORE } else { LAST },
            result: page.rows,
        }
    }
}

const MORE: &str = "More records available. Use pagination to load next page.";
const LAST: &str = "You've reached the last page of the results.";

/// Any other answer that says yes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done<T> {
    status: bool,
    message: String,
    result: T,
}

impl<T> Done<T> {
    /// What was done, and what came of it.
    pub(super) fn new(message: impl Into<String>, result: T) -> Self {
        Self { status: true, message: message.into(), result }
    }
}

/// A date as this dialect writes it: `2025-11-03 10:59:11`.
pub(super) fn date_time(at: UnixTime, zone: &TimeZone) -> String {
    let at = Timestamp::from_second(at.0).unwrap_or_default();
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_have_the_order_of_the_samples() {
        let json = |value: &List<u8>| serde_json::to_string(value).unwrap();
        assert_eq!(
            json(&List::new(Paging::new(2, 100), Page { rows: vec![1], more: true })),
            format!(
                r#"{{"status":true,"page":2,"perPage":100,"isLastPage":false,"message":"{MORE}","result":[1]}}"#
            )
        );
        assert_eq!(
            json(&List::new(Paging::new(1, 5), Page { rows: vec![], more: false })),
            format!(
                r#"{{"status":true,"page":1,"perPage":5,"isLastPage":true,"message":"{LAST}","result":[]}}"#
            )
        );
        let done = serde_json::to_string(&Done::new("Made.", [1])).unwrap();
        assert_eq!(done, r#"{"status":true,"message":"Made.","result":[1]}"#);
    }
}
