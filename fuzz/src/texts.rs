//! Texts that operators, tables and other products write.

use std::path::Path;

use jiff::tz::TimeZone;
use tollkeeper::config::Settings;
use tollkeeper::domain::Amount;
use tollkeeper::domain::granted::Granted;
use tollkeeper::domain::report::Pattern;
use tollkeeper::domain::text::{
    is_mac_like, mac_digits, mac_spellings, mac_text, octets_from_text, text_from_octets,
};
use tollkeeper::engine::password::{Comparison, StoredPassword, row_octets, row_text};
use tollkeeper::engine::policy::{Open, Window};
use tollkeeper::radius::value::{
    Encoded, encode, escape, octets, parse_date, print, print_date, unescape, values,
};
use tollkeeper::radius::{Attributes, Dictionary};
use tollkeeper::time::UnixTime;

use super::{now, parts, sum};

/// A dictionary file. What it defines can be looked up again, and takes values; after a line of `---` comes
/// `Name = value`, a row that uses it or the shipped ones.
pub fn dictionary(input: &[u8]) {
    let [text, row] = parts(input);
    // A shipped file that is included takes a thousand times as long as the line that does it, and the one that
    // includes all a hundred thousand times.
    let all = || text.split_whitespace().any(|word| word == "dictionary");
    let includes = text.to_ascii_uppercase().contains("$INCLUDE");
    if includes && (!sum(input).is_multiple_of(1_009) || all()) {
        return;
    }
    if let Ok(dictionary) = Dictionary::of_text(Path::new("dictionary.site"), &text) {
        for def in dictionary.iter() {
            assert!(dictionary.attribute(&def.name).is_some(), "{}", def.name);
            assert!(
                dictionary.by_path(def.vendor.as_ref().map(|vendor| vendor.number), &def.numbers).is_some()
            );
            for (number, _) in dictionary.values(def) {
                let _ = dictionary.value_name(def, number);
            }
        }
        value(&row, &dictionary);
    }
    value(&row, &Dictionary::embedded());
}

/// A row's value goes to the wire and comes back as the same octets.
fn value(row: &str, dictionary: &Dictionary) {
    let Some((name, text)) = row.split_once('=') else { return };
    let (name, text) = (name.trim(), text.trim());
    let Some((def, tag)) = dictionary.attribute_with_tag(name) else { return };
    let Ok(Encoded::Wire(wire)) = encode(&def, tag, text, dictionary) else { return };
    for value in values(Attributes::new(&wire), dictionary) {
        let _ = value.name(dictionary);
        let Some(def) = value.def() else { continue };
        let printed = print(def, &value.octets, dictionary);
        let again = octets(def, &printed, dictionary);
        assert!(again.is_ok_and(|again| *again == *value.octets), "{name} = {text} is printed as {printed}");
    }
}

/// A configuration file, and after a line of `---` the environment: `NAME=value` in each line.
pub fn configuration(input: &[u8]) {
    let [text, variables] = parts(input);
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Settings::read(Some(Path::new("tollkeeper.toml")), &text, variables) {
        Ok(settings) => {
            let _ = (settings.store(), settings.spool(), settings.database.shown());
            let _ = settings.warnings.iter().map(ToString::to_string).count();
            let shown = format!("{settings:?}");
            assert!(!shown.contains("a-secret-of-the-corpus"), "{shown}");
        }
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
}

/// A row of a password: attribute, value, and what is offered.
pub fn password(input: &[u8]) {
    let [attribute, value, offered] = parts(input);
    assert_eq!(row_octets(&row_text(&value)), value.as_bytes(), "{value:?}");
    let Some(stored) = StoredPassword::read(&attribute, &value) else { return };
    let _ = (stored.form(), stored.unservable(), stored.nt_hash());
    if let Some(cleartext) = stored.cleartext().filter(|cleartext| cleartext.len() <= 128) {
        assert!(matches!(stored.compare(cleartext), Comparison::Right), "{value:?}");
    }
    if let Comparison::Slow(check) = stored.compare(offered.as_bytes()) {
        let _ = check.fingerprint(&[0; 32]);
        // What is slow on purpose is not verified for each of ten million inputs.
        if sum(input).is_multiple_of(499) {
            let _ = check.verify();
        }
    }
}

/// Dates, times of the week, money, addresses of devices and the texts of octets.
pub fn dates(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    if let Some(at) = parse_date(&text, &zone) {
        let _ = print_date(at);
    }
    let (window, _) = Window::read(&text);
    for at in [now().unix, UnixTime(i64::MAX), UnixTime(i64::MIN), UnixTime(0)] {
        if let Some(Open::Until(close)) = window.at(at, &zone) {
            assert!(close > at, "{text} closes at {close:?}, seen at {at:?}");
        }
        assert!(window.opens(at, &zone).is_none_or(|open| open > at), "{text}");
    }
    if let Some(amount) = Amount::parse(&text) {
        assert_eq!(Amount::parse(&amount.to_string()), Some(amount), "{text}");
        let _ = (amount.plus(amount), amount.times(amount), amount.with_decimals(2));
    }
    let _ = Pattern::parse(&text).map(|pattern| tollkeeper::domain::report::address(&pattern));
    if let Some(granted) = Granted::parse(&text) {
        assert_eq!(Granted::parse(&granted.to_text()).as_ref(), Some(&granted), "{text}");
    }
    let kept = text_from_octets(input);
    assert!(!kept.contains('\0'));
    let back = octets_from_text(&kept);
    assert_eq!(text_from_octets(&back), kept);
    assert!(back == input || input.windows(2).any(|two| two == b"\\x"), "{kept}");
    assert_eq!(unescape(&escape(input)), input);
    if let Some(digits) = mac_digits(input) {
        assert_eq!(mac_digits(mac_text(&digits).as_bytes()), Some(digits));
        assert!(mac_spellings(&digits).iter().all(|spelling| is_mac_like(spelling)));
    }
}
