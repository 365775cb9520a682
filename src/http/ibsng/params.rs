//! Reading parameters: required and optional ones, loose numbers and booleans, arrays as PHP sends them.
//! A `null` is the same as none.

use super::fault::{Fault, texts};
use super::multi_str;
use super::numbers;
use super::value::Value;
use crate::domain::Amount;

/// The parameters of a call, or the members of one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Params<'a>(&'a [(String, Value)]);

impl<'a> Params<'a> {
    /// Those of a request.
    pub(super) fn new(params: &'a Value) -> Self {
        match params {
            Value::Map(members) => Self(members),
            _ => Self(&[]),
        }
    }

    /// Some members.
    pub(super) const fn of(members: &'a [(String, Value)]) -> Self {
        Self(members)
    }

    /// Every member in order, without those that are nothing.
    pub(super) fn members(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.0.iter().filter(|(_, value)| *value != Value::Null).map(|(name, value)| (name.as_str(), value))
    }

    /// A parameter, if it is there.
    pub(super) fn find(self, name: &str) -> Option<&'a Value> {
        let found = self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        found.filter(|value| **value != Value::Null)
    }

    /// A parameter that must be there.
    pub(super) fn get(self, name: &str) -> Result<&'a Value, Fault> {
        self.find(name).ok_or_else(|| texts::INCOMPLETE_REQUEST.of(&[name]))
    }

    /// The first of `names` that is missing is told.
    pub(super) fn need(self, names: &[&str]) -> Result<(), Fault> {
        names.iter().try_for_each(|name| self.get(name).map(drop))
    }

    /// A text that must be there.
    pub(super) fn text(self, name: &str) -> Result<String, Fault> {
        text(name, self.get(name)?)
    }

    /// A text, if it is there.
    pub(super) fn maybe_text(self, name: &str) -> Result<Option<String>, Fault> {
        self.find(name).map(|value| text(name, value)).transpose()
    }

    /// An integer that must be there.
    pub(super) fn int(self, name: &str) -> Result<i64, Fault> {
        int(self.get(name)?).ok_or_else(|| texts::INVALID_INT_VALUE.of(&[name]))
    }

    /// A number that must be there.
    pub(super) fn amount(self, name: &str) -> Result<Amount, Fault> {
        amount(self.get(name)?).ok_or_else(|| texts::INVALID_FLOAT_VALUE.of(&[name]))
    }

    /// A boolean that must be there.
    pub(super) fn boolean(self, name: &str) -> Result<bool, Fault> {
        boolean(self.get(name)?)
    }

    /// A boolean, if it is there.
    pub(super) fn maybe_boolean(self, name: &str) -> Result<Option<bool>, Fault> {
        self.find(name).map(boolean).transpose()
    }

    /// Several values in one text, or a number.
    pub(super) fn multi(self, name: &str) -> Result<Vec<String>, Fault> {
        multi_str::values(&self.text(name)?)
    }

    /// A list that must be there, also as an array of PHP.
    pub(super) fn list(self, name: &str) -> Result<Vec<&'a Value>, Fault> {
        list(self.get(name)?).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))
    }

    /// Texts that are a list or a single text, if they are there.
    pub(super) fn texts(self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(value) = self.find(name) else { return Ok(None) };
        match value {
            Value::List(_) | Value::Map(_) => {
                let values = list(value).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))?;
                values.into_iter().map(|value| text(name, value)).collect::<Result<_, _>>().map(Some)
            }
            single => text(name, single).map(|single| Some(vec![single])),
        }
    }

    /// An object that must be there; an array of PHP without members is one, too.
    pub(super) fn map(self, name: &str) -> Result<Self, Fault> {
        members(self.get(name)?).map(Self).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))
    }
}

/// The members of an object; none of an empty list.
pub(super) fn members(value: &Value) -> Option<&[(String, Value)]> {
    match value {
        Value::Map(members) => Some(members),
        Value::List(values) if values.is_empty() => Some(&[]),
        Value::Text(text) if text.is_empty() => Some(&[]),
        _ => None,
    }
}

/// The values of a list. An object counts as the list of its members: in the order of their keys where
/// those are numbers, as PHP sends arrays, else as they stand. An empty text is an empty list.
pub(super) fn list(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::List(values) => Some(values.iter().collect()),
        Value::Map(members) => {
            let keys: Option<Vec<u64>> = members.iter().map(|(key, _)| key.parse().ok()).collect();
            let mut values: Vec<(u64, &Value)> = members
                .iter()
                .enumerate()
                .map(|(place, (_, value))| {
                    let place = keys.as_ref().and_then(|keys| keys.get(place).copied());
                    (place.unwrap_or(0), value)
                })
                .collect();
            values.sort_by_key(|(key, _)| *key);
            Some(values.into_iter().map(|(_, value)| value).collect())
        }
        Value::Text(text) if text.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

/// A text; numbers and booleans are what Python would print.
pub(super) fn text(name: &str, value: &Value) -> Result<String, Fault> {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Number(number) => number.clone(),
        Value::Bool(yes) => if *yes { "True" } else { "False" }.to_owned(),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Rows(_) => {
            return Err(texts::INVALID_STRING_VALUE.of(&[name]));
        }
    };
    // PostgreSQL has no such character in a text, and no name has.
    if text.contains('\0') { Err(texts::INVALID_STRING_VALUE.of(&[name])) } else { Ok(text) }
}

/// An integer, also in a text or without places after its point.
pub(super) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Number(number) => number.parse().ok(),
        Value::Text(text) => {
            let text = text.trim();
            text.strip_prefix('+').unwrap_or(text).parse().ok()
        }
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Rows(_) => None,
    }
}

/// A decimal number, also in a text.
pub(super) fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::Int(number) => numbers::amount(&number.to_string()),
        Value::Number(text) | Value::Text(text) => numbers::amount(text),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Rows(_) => None,
    }
}

/// A boolean in any of the forms that clients send.
pub(super) fn boolean(value: &Value) -> Result<bool, Fault> {
    let word = match value {
        Value::Bool(yes) => return Ok(*yes),
        Value::Int(number) => number.to_string(),
        Value::Text(text) | Value::Number(text) => text.trim().to_ascii_lowercase(),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Rows(_) => String::from("list"),
    };
    match word.as_str() {
        "1" | "t" | "true" | "yes" | "on" => Ok(true),
        "0" | "f" | "false" | "no" | "off" | "" => Ok(false),
        other => Err(texts::INVALID_BOOL_VALUE.of(&[other])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn told<T: std::fmt::Debug>(outcome: Result<T, Fault>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn what_is_missing_is_told_in_order() {
        let value = parse(r#"{"credit": null, "count": 1}"#);
        let params = Params::new(&value);
        assert_eq!(
            told(params.need(&["count", "credit", "isp_name"])),
            "INCOMPLETE_REQUEST|Incomplete request, argument credit not found"
        );
        assert_eq!(params.maybe_text("credit"), Ok(None));
    }

    #[test]
    fn numbers_and_booleans_are_loose() {
        let value = parse(
            r#"{"a": "5", "b": 5.0, "c": "5.5", "d": "x", "e": true, "f": "t", "g": "No", "h": 1, "i": "maybe", "j": []}"#,
        );
        let params = Params::new(&value);
        assert_eq!((params.int("a"), params.int("b")), (Ok(5), Ok(5)));
        assert_eq!(told(params.int("c")), "INVALID_INT_VALUE|c must be an integer");
        assert_eq!(told(params.int("e")), "INVALID_INT_VALUE|e must be an integer");
        assert_eq!(params.amount("c").map(|amount| amount.to_string()), Ok("5.5".to_owned()));
        assert_eq!(told(params.amount("d")), "INVALID_FLOAT_VALUE|d must be a valid floating point");
        let yes = ["e", "f", "h"].map(|name| params.boolean(name));
        assert_eq!(yes, [Ok(true), Ok(true), Ok(true)]);
        assert_eq!(params.boolean("g"), Ok(false));
        assert_eq!(told(params.boolean("i")), "INVALID_BOOL_VALUE|invalid boolean value maybe");
        assert_eq!(told(params.text("j")), "INVALID_STRING_VALUE|j must be an string");
        assert_eq!(params.text("b"), Ok("5".to_owned()));
    }

    #[test]
    fn arrays_of_php_are_lists() {
        let value = parse(
            r#"{"a": {"1": "y", "0": "x", "10": "z"}, "b": [], "c": {"lock": 1, "name": 2}, "d": "one", "e": 7, "f": ["a", "b"]}"#,
        );
        let params = Params::new(&value);
        assert_eq!(params.texts("a"), Ok(Some(vec!["x".to_owned(), "y".to_owned(), "z".to_owned()])));
        assert_eq!(params.map("b").map(|map| map.members().count()), Ok(0));
        assert_eq!(params.list("c").map(|list| list.len()), Ok(2));
        assert_eq!(params.texts("d"), Ok(Some(vec!["one".to_owned()])));
        assert_eq!(told(params.list("e")), "INVALID_LIST_VALUE|e must be a list");
        assert_eq!(told(params.map("f")), "INVALID_LIST_VALUE|f must be a list");
        assert_eq!(params.multi("e"), Ok(vec!["7".to_owned()]));
    }
}
