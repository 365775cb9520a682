//! Attributes as people write them (`Name op value`), and the table each belongs to.

use super::ServiceError;
use crate::domain::AttributeRow;
use crate::engine::quota;
use crate::radius::dictionary::{AttributeDef, Dictionary};
use crate::radius::value;
use crate::store::NewAttribute;

/// Attributes sorted into the two tables of a subscriber or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) check: Vec<NewAttribute>,
    pub(super) reply: Vec<NewAttribute>,
}

/// FreeRADIUS's operators, longer ones first.
const OPERATORS: [&str; 13] = [":=", "==", "+=", "!=", ">=", "<=", "=~", "!~", "=*", "!*", "=", ">", "<"];
/// Those that set a value; the others compare with the request.
const SETTING: [&str; 3] = [":=", "=", "+="];
/// Those whose value is a pattern or means nothing.
const PATTERNS: [&str; 4] = ["=~", "!~", "=*", "!*"];

/// What a NAS says of itself and of the device: a row that sets one of them would bind nothing.
const SAID_BY_NAS: [&str; 11] = [
    "Calling-Station-Id",
    "Called-Station-Id",
    "NAS-IP-Address",
    "NAS-IPv6-Address",
    "NAS-Identifier",
    "NAS-Port",
    "NAS-Port-Id",
    "NAS-Port-Type",
    "User-Password",
    "CHAP-Password",
    "CHAP-Challenge",
];

/// Columns `value` of FreeRADIUS's tables hold so many characters.
const VALUE_CHARACTERS_MAX: usize = 253;

/// Reads `Name op value`, checks it against the dictionary and sorts it: what compares with the
/// request and what only the server reads are check items, all else is sent to the NAS.
pub(super) fn sort(texts: &[String], dictionary: &Dictionary) -> Result<Sorted, ServiceError> {
    let mut sorted = Sorted::default();
    for text in texts {
        let (item, is_check) =
            read(text, dictionary).map_err(|reason| ServiceError::invalid("attribute", reason))?;
        if is_check { sorted.check.push(item) } else { sorted.reply.push(item) }
    }
    Ok(sorted)
}

/// The same for a name and a value that take the place of whatever was set before. The value is taken as it is.
pub(super) fn put(name: &str, value: &str, dictionary: &Dictionary) -> Result<(NewAttribute, bool), String> {
    typed(name, ":=", value, dictionary)
}

fn read(text: &str, dictionary: &Dictionary) -> Result<(NewAttribute, bool), String> {
    let (name, op, value) = split(text).ok_or_else(|| format!("{text:?} is not 'Name op value'"))?;
    typed(name, op, value, dictionary)
}

fn typed(name: &str, op: &str, value: &str, dictionary: &Dictionary) -> Result<(NewAttribute, bool), String> {
    let Some((def, tag)) = dictionary.attribute_with_tag(name) else {
        return Err(format!("no dictionary has an attribute {name}"));
    };
    if value.chars().count() > VALUE_CHARACTERS_MAX {
        return Err(format!("{name}: a value has at most {VALUE_CHARACTERS_MAX} characters"));
    }
    let is_check = !SETTING.contains(&op) || (def.internal && def.name != "Fall-Through");
    if !is_check && SAID_BY_NAS.iter().any(|said| said.eq_ignore_ascii_case(&def.name)) {
        return Err(format!("{name} is what the NAS says: write '{name} == {value}' to compare with it"));
    }
    let below_nothing = is_check && quota::is_limit(&def.name) && value.parse::<i64>().is_ok();
    if !PATTERNS.contains(&op) && !below_nothing {
        let wrong = |error: value::ValueError| {
            // A value that is a secret is not repeated.
            if is_secret(name) { format!("{name}: {error}") } else { format!("{name}: {value:?} is {error}") }
        };
        if is_check || def.internal {
            value::octets(&def, value, dictionary).map_err(wrong)?;
        } else {
            value::encode(&def, tag, value, dictionary).map_err(wrong)?;
        }
    }
    let spelt = spelling(&def, tag);
    Ok((NewAttribute { attribute: spelt, op: op.to_owned(), value: value.to_owned() }, is_check))
}

fn spelling(def: &AttributeDef, tag: Option<u8>) -> String {
    match tag {
        Some(tag) => format!("{}:{tag}", def.name),
        None => def.name.to_string(),
    }
}

/// The three parts; quotes around the value are taken off.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_whitespace() || "=+!<>".contains(letter));
    // The colon of := is not the one of a tag.
    let end =
        end.map(|at| if text.get(..at).is_some_and(|name| name.ends_with(':')) { at - 1 } else { at })?;
    let (name, rest) = text.split_at_checked(end)?;
    let rest = rest.trim_start();
    let op = OPERATORS.into_iter().find(|op| rest.starts_with(op))?;
    let value = rest.strip_prefix(op)?.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!name.is_empty() && (!unquoted.is_empty() || value.len() == 2)).then_some((name, op, unquoted))
}

/// Is the value of this attribute one that only the right `secrets` shows?
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("password")
        || name.starts_with("totp-")
        || name.ends_with("-secret")
        || name.ends_with("-key")
}

/// A row for people: `Name op value`, secrets masked unless `reveal`.
#[must_use]
pub fn shown(row: &AttributeRow, reveal: bool) -> String {
    let value = if is_secret(&row.attribute) && !reveal { MASK } else { &row.value };
    format!("{} {} {value}", row.attribute, row.op)
}

/// What stands for a secret.
pub const MASK: &str = "********";

/// The attributes for the audit, secrets masked.
pub(super) fn summary(sorted: &Sorted) -> Vec<String> {
    let all = sorted.check.iter().chain(&sorted.reply);
    all.map(|item| {
        let value = if is_secret(&item.attribute) { MASK } else { &item.value };
        format!("{} {} {value}", item.attribute, item.op)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<(NewAttribute, bool), String> {
        read(text, &Dictionary::embedded())
    }

    #[test]
    fn the_three_parts_are_found_with_and_without_blanks() {
        assert_eq!(split("Session-Timeout := 60"), Some(("Session-Timeout", ":=", "60")));
        assert_eq!(split("Session-Timeout=60"), Some(("Session-Timeout", "=", "60")));
        assert_eq!(split("Session-Timeout:=60"), Some(("Session-Timeout", ":=", "60")));
        assert_eq!(split("Tunnel-Type:1 := VLAN"), Some(("Tunnel-Type:1", ":=", "VLAN")));
        assert_eq!(split("Tunnel-Type:1:=VLAN"), Some(("Tunnel-Type:1", ":=", "VLAN")));
        assert_eq!(split("Reply-Message += \"a = b\""), Some(("Reply-Message", "+=", "a = b")));
        assert_eq!(split("Calling-Station-Id =~ ^02"), Some(("Calling-Station-Id", "=~", "^02")));
        for wrong in ["", "Session-Timeout", "Session-Timeout :=", ":= 60", "Session-Timeout is 60"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_of_a_limit_may_be_less_than_nothing() {
        for limit in ["CS-Total-MB-Weekly := -5", "Max-All-Session := -1", "CS-Total-Octets-All := 5"] {
            assert_eq!(one(limit).map(|(_, is_check)| is_check), Ok(true), "{limit}");
        }
        for wrong in ["CS-Total-MB := five", "Simultaneous-Use := -1", "Session-Timeout := -1"] {
            assert!(one(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_compares_and_what_only_the_server_reads_is_a_check_item() {
        for check in
            ["Simultaneous-Use := 3", "Calling-Station-Id == 02-00-00-00-00-01", "Expiration := 01 Jan 2030"]
        {
            assert_eq!(one(check).map(|(_, is_check)| is_check), Ok(true), "{check}");
        }
        for reply in ["Session-Timeout := 60", "Mikrotik-Rate-Limit = 1M/2M", "Fall-Through := Yes"] {
            assert_eq!(one(reply).map(|(_, is_check)| is_check), Ok(false), "{reply}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let unknown = one("Sesion-Timeout := 60").unwrap_err();
        assert_eq!(unknown, "no dictionary has an attribute Sesion-Timeout");
        let wrong = one("Session-Timeout := soon").unwrap_err();
        assert!(wrong.starts_with("Session-Timeout: \"soon\" is "), "{wrong}");
        let binding = one("Calling-Station-Id := 02").unwrap_err();
        assert!(binding.ends_with("write 'Calling-Station-Id == 02' to compare with it"), "{binding}");
    }

    #[test]
    fn names_are_spelt_as_the_dictionary_spells_them() {
        assert_eq!(one("session-timeout := 60").unwrap().0.attribute, "Session-Timeout");
    }

    #[test]
    fn passwords_are_masked() {
        let row = AttributeRow {
            id: 1,
            attribute: "Cleartext-Password".into(),
            op: ":=".into(),
            value: "hello".into(),
        };
        assert_eq!(shown(&row, false), "Cleartext-Password := ********");
        assert_eq!(shown(&row, true), "Cleartext-Password := hello");
        assert!(is_secret("NT-Password") && is_secret("Tunnel-Password:1") && !is_secret("Session-Timeout"));
    }
}
