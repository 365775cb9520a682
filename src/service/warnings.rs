//! Rows of the whole database that have no effect, or not the one they seem to have.

use jiff::tz::TimeZone;
use smol_str::SmolStr;
use std::sync::Arc;

use crate::domain::Day;
use crate::engine::Compiler;
use crate::engine::policy::Warning;
use crate::radius::dictionary::Dictionary;
use crate::store::{Store, StoreError};

/// Groups and subscribers that are read at a time.
const PAGE: u32 = 500;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowWarnings {
    /// The first ones: whose row, the row, and what is wrong with it.
    pub shown: Vec<String>,
    /// How many there are besides.
    pub more: u64,
}

impl RowWarnings {
    fn take(&mut self, whose: &str, warnings: &[Warning], most: usize) {
        // Names that no dictionary knows are counted by name elsewhere.
        for warning in warnings.iter().filter(|warning| !warning.why.starts_with("no dictionary has")) {
            if self.shown.len() < most {
                self.shown.push(format!("{whose}{}: {}", warning.rule, warning.why));
            } else {
                self.more += 1;
            }
        }
    }
}

/// Reads every group and every subscriber that has a number, changes nothing, and tells at most `most`
/// warnings. `zone` is that of dates that do not name one.
///
/// # Errors
/// [`StoreError`] of the database.
pub async fn row_warnings(
    store: &Store,
    dictionary: &Arc<Dictionary>,
    zone: &TimeZone,
    most: usize,
) -> Result<RowWarnings, StoreError> {
    let compiler = Compiler { dictionary: Arc::clone(dictionary), zone: zone.clone() };
    let mut found = RowWarnings::default();
    let names = store.group_names().await?;
    for names in names.chunks(PAGE.try_into().unwrap_or(usize::MAX)) {
        for group in store.groups(names).await? {
            found.take("", compiler.group(&group).warnings(), most);
        }
    }
    let mut after = None;
    loop {
        let page = store.subscriber_page(after, PAGE, Day(i32::MAX)).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        for rows in &page {
            let subscriber = compiler.subscriber(rows, &|_: &str| None, None);
            let whose: SmolStr = smol_str::format_smolstr!("{}: ", rows.login);
            found.take(&whose, subscriber.warnings(), most);
        }
    }
}
