//! Reads whatever octets as requests of this dialect.

use jiff::tz::TimeZone;

use super::Settings;
use super::answer::Answer;
use super::documents::Document;
use super::parameters::{Command, Raw};
use super::translate::{account_change, batch_order, days, device_login, span};
use crate::time::UnixTime;

/// A query of one of the twelve commands, by the first octet, or a text of ours in a document.
///
/// # Panics
/// Where a rule of this dialect is broken: that is a finding.
pub fn read(input: &[u8]) {
    let Some((how, input)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(input);
    let Some((command, _)) = Command::ALL.get(usize::from(how % 13)) else {
        let _ = Command::of_path(&text);
        let document = Document::result(&text).text();
        assert!(document.matches("<Description>").count() == 1, "{document}");
        return;
    };
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let now = UnixTime(1_764_072_000);
    let mut raw = Raw::default();
    raw.read(input);
    let _ = raw.get("pass");
    let outcome = raw.arguments(*command).and_then(|arguments| {
        let _ = (device_login(&arguments, now), arguments.money("money"), arguments.minute("expiry"));
        batch_order(&arguments, now, &zone)?;
        account_change(&arguments, &zone)?;
        let (begin, after) = days(&arguments, now, &zone)?;
        assert!(arguments.day("to").is_some() || begin <= after, "{begin:?} {after:?}");
        span(&arguments, &zone).map(drop)
    });
    if let Err(fault) = outcome {
        let _ = Answer::Failed(fault.into()).into_response(&Settings::default(), true);
    }
}
