//! The JSON envelope: `{"method", "params", "id"}` in, exactly `{"id", "result", "error"}` out, always 200.
//! It is not JSON-RPC 2.0: no version, no batches, and an error is a text.

use std::borrow::Borrow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Call;
use super::fault::{Fault, texts};
use super::value::Value;

/// Reads a request. The id comes back with a fault where it could be read.
pub(super) fn read(body: &[u8]) -> Result<Call, (Value, Fault)> {
    let incomplete = |id, what| (id, texts::INCOMPLETE_REQUEST.of(&[what]));
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return Err(incomplete(Value::Null, "method"));
    };
    if !matches!(request, Value::Map(_)) {
        return Err(incomplete(Value::Null, "method"));
    }
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let Some(Value::Text(method)) = request.get("method") else { return Err(incomplete(id, "method")) };
    let params = match request.get("params") {
        Some(params @ Value::Map(_)) => params.clone(),
        // An array of PHP without members.
        Some(Value::List(list)) if list.is_empty() => Value::Map(Vec::new()),
        None | Some(_) => return Err(incomplete(Value::Null, "params")),
    };
    Ok(Call { method: method.clone(), params, id })
}

/// Writes an answer as the samples have it: a blank after each comma and colon.
pub(super) fn write(id: &Value, answer: &Result<Value, Fault>) -> String {
    let mut text = String::from("{\"id\": ");
    put(&mut text, id);
    text.push_str(", \"result\": ");
    match answer {
        Ok(result) => {
            put(&mut text, result);
            text.push_str(", \"error\": null}");
        }
        Err(fault) => {
            text.push_str("null, \"error\": ");
            quote(&mut text, &fault.to_string());
            text.push('}');
        }
    }
    text
}

/// A value as JSON.
pub(super) fn text_of(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value);
    text
}

fn put(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(yes) => text.push_str(if *yes { "true" } else { "false" }),
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::Number(number) => text.push_str(number),
        Value::Text(words) => quote(text, words),
        Value::List(values) => put_list(text, values.iter()),
        Value::Rows(rows) => put_list(text, rows.iter()),
        Value::Map(members) => {
            text.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                if place > 0 {
                    text.push_str(", ");
                }
                quote(text, name);
                text.push_str(": ");
                put(text, value);
            }
            text.push('}');
        }
    }
}

fn put_list(text: &mut String, values: impl Iterator<Item = impl Borrow<Value>>) {
    text.push('[');
    for (place, value) in values.enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        put(text, value.borrow());
    }
    text.push(']');
}

fn quote(text: &mut String, words: &str) {
    // A text always has a form in JSON.
    text.push_str(&serde_json::to_string(words).unwrap_or_else(|_| "\"\"".to_owned()));
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::number(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // The shortest text that is this number, without an exponent.
        if value.is_finite() { Ok(Value::number(value.to_string())) } else { Err(E::custom("not finite")) }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = from.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Value::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_whatever_id_it_has() {
        let call = read(br#"{"method": "user.getUserInfo", "params": {"user_id": 12}, "id": "a"}"#).unwrap();
        assert_eq!(call.method, "user.getUserInfo");
        assert_eq!(call.params.get("user_id"), Some(&Value::Int(12)));
        assert_eq!(call.id, Value::text("a"));
        let call = read(br#"{"params": [], "method": "report.getOnlineUsersCount"}"#).unwrap();
        assert_eq!((call.params, call.id), (Value::Map(Vec::new()), Value::Null));
    }

    #[test]
    fn what_is_no_request_is_incomplete() {
        let told = |body: &[u8]| {
            let (id, fault) = read(body).err().unwrap();
            (id, fault.to_string())
        };
        let method = "INCOMPLETE_REQUEST|Incomplete request, argument method not found".to_owned();
        let params = "INCOMPLETE_REQUEST|Incomplete request, argument params not found".to_owned();
        for body in ["", "{", "[]", "[{\"method\": \"a.b\", \"params\": {}}]", "7", "\"x\"", "{\"a\": NaN}"] {
            assert_eq!(told(body.as_bytes()), (Value::Null, method.clone()), "{body}");
        }
        assert_eq!(told(b"{\"method\": 7, \"id\": 3}"), (Value::Int(3), method.clone()));
        assert_eq!(told(b"\xff\xfe{}"), (Value::Null, method));
        for body in ["{\"method\": \"a.b\"}", "{\"method\": \"a.b\", \"params\": [1], \"id\": 4}"] {
            assert_eq!(told(body.as_bytes()), (Value::Null, params.clone()), "{body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
    }

    #[test]
    fn an_answer_is_written_as_the_samples_are() {
        assert_eq!(
            write(&Value::Null, &Ok(Value::text("cm9vn23otwr5"))),
            r#"{"id": null, "result": "cm9vn23otwr5", "error": null}"#
        );
        let fault = texts::NORMAL_USERNAME_DOESNT_EXISTS.of(&["sample-user"]);
        assert_eq!(
            write(&Value::Null, &Err(fault)),
            r#"{"id": null, "result": null, "error": "NORMAL_USERNAME_DOESNT_EXISTS|User with Internet username sample-user does not exists"}"#
        );
        let result =
            Value::List(vec![Value::Int(12), Value::Number("0.5".into()), Value::map([("a", true.into())])]);
        assert_eq!(
            write(&Value::Int(1), &Ok(result)),
            r#"{"id": 1, "result": [12, 0.5, {"a": true}], "error": null}"#
        );
        assert_eq!(
            write(&"\"\n".into(), &Ok(Value::nothing())),
            r#"{"id": "\"\n", "result": "", "error": null}"#
        );
    }

    #[test]
    fn numbers_keep_what_they_are() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read("0.1"), Value::Number("0.1".into()));
        assert_eq!((read("100.0"), read("-0.0")), (Value::Int(100), Value::Int(0)));
        assert_eq!(read("18446744073709551615"), Value::Number("18446744073709551615".into()));
        // The number that is nearest, to the last digit: what is written is read as the same.
        let long = read(&format!("{}5", "4".repeat(113)));
        assert_eq!(read(&write(&Value::Null, &Ok(long.clone()))).get("result"), Some(&long));
        assert_eq!(read("{\"a\": 1, \"a\": 2}").get("a"), Some(&Value::Int(2)), "the last one counts");
    }
}
