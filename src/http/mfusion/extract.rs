//! What handlers take out of requests: who asks, the body, the query, a part of the path.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::domain::operator::Dialect;
use crate::domain::page::Paging;
use crate::http::Shared;
use crate::http::peer::Peer;
use crate::service::{Management, OperatorCredential};

/// Who asks, by a token.
pub(super) struct Caller(pub(super) Management<'static>);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Failure> {
        let token = authorization(&parts.headers, "bearer").ok_or_else(Failure::bad_token)?;
        let credential = OperatorCredential::Token { dialect: Dialect::Mfusion, token };
        let Peer(remote) = Peer::of(&parts.extensions);
        let operator = shared.gate.enter(credential, &remote.to_string()).await?;
        Ok(Self(operator.into_owned()))
    }
}

/// What follows this scheme in `Authorization`.
pub(super) fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (shown, rest) = text.trim().split_once(' ')?;
    shown.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// The fields of a body: of a JSON object, or of a form. Of equal names the last counts.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.map(str::to_ascii_lowercase);
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
                _ => Failure::unreadable("The request body could not be read."),
            })?;
        Self::read(kind.as_deref(), &body)
    }
}

impl Fields {
    pub(super) fn read(kind: Option<&str>, body: &[u8]) -> Result<Self, Failure> {
        let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if body.trim_ascii().is_empty() && (is_form || kind.is_none()) {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            // curl calls whatever it sends a form.
            _ if is_form => {
                let pairs = form_urlencoded::parse(body);
                let fields =
                    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
                Ok(Self(fields.collect()))
            }
            Ok(_) => Err(Failure::unreadable("The request body must be a JSON object.")),
            Err(_) => Err(Failure::unreadable("The request body is not valid JSON.")),
        }
    }

    /// A field as it was sent; `null` is something.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text, or a number written as one. `None` is absent or `null`.
    ///
    /// # Errors
    /// Anything else, and text with NUL in it, which no table can hold.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => text(name, value).map(Some),
        }
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// As [`Fields::text`]; "The username field is required."
    pub(super) fn required(&self, name: &str) -> Result<String, Failure> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| Failure::required(name))
    }

    /// A text that `null` empties. `None` is absent.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub(super) fn clearable(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(value) => text(name, value).map(Some),
        }
    }

    /// `true`, `false`, 1, 0, or one of them as text. `None` is absent or `null`.
    ///
    /// # Errors
    /// Anything else.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let wrong = || Failure::invalid(format!("The {name} field must be true or false."));
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(0) => Ok(Some(false)),
                Some(1) => Ok(Some(true)),
                _ => Err(wrong()),
            },
            Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(Some(true)),
                "false" | "0" => Ok(Some(false)),
                _ => Err(wrong()),
            },
            Some(Value::Array(_) | Value::Object(_)) => Err(wrong()),
        }
    }
}

/// A JSON value as the text of a field.
///
/// # Errors
/// As [`Fields::text`].
pub(super) fn text(name: &str, value: &Value) -> Result<String, Failure> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Failure::invalid(format!("The {name} field must be a string.")));
        }
    };
    if text.contains('\0') {
        return Err(Failure::invalid(format!("The {name} field must not contain NUL.")));
    }
    Ok(text)
}

/// Rows of a page where nobody says how many.
const PER_PAGE: u32 = 100;
/// Most rows of a page.
const PER_PAGE_MAX: u32 = 2_000;

/// The query. Of equal names the last counts; names are as they are written.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn read(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), comparable(&value))).collect())
    }

    /// A filter; empty is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// `page`, from 1, and `perPage`, 1 to 2,000; whatever is no number is 1 and 100.
    pub(super) fn paging(&self) -> Paging {
        let page = self.number("page").unwrap_or(1).max(1);
        Paging::new(page, self.number("perPage").unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MAX))
    }

    /// A whole number, as near as the type goes.
    fn number(&self, name: &str) -> Option<u32> {
        let text = self.text(name)?.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        Some(if negative { 0 } else { digits.parse().unwrap_or(u32::MAX) })
    }
}

/// A part of the path.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(comparable(&text))),
            Err(_) => Err(Failure::unreadable("The path is not valid UTF-8.")),
        }
    }
}

/// Text that a database can compare with: none has NUL, so nothing is found where that was.
fn comparable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json");
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");

    fn read(kind: Option<&str>, body: &str) -> Fields {
        Fields::read(kind, body.as_bytes()).unwrap()
    }

    #[test]
    fn a_body_is_json_or_a_form_whatever_it_is_called() {
        for (kind, body) in [
            (JSON, r#"{"a":"b c"}"#),
            (None, r#"{"a":"b c"}"#),
            (Some("text/plain"), r#" {"a":"x","a":"b c"} "#),
            (FORM, "a=b+c"),
            (FORM, "a=x&a=b%20c"),
            (FORM, r#"{"a":"b c"}"#),
        ] {
            assert_eq!(read(kind, body).text("a"), Ok(Some("b c".to_owned())), "{kind:?} {body}");
        }
        assert!(read(FORM, "").get("a").is_none() && read(None, "").get("a").is_none());
    }

    #[test]
    fn what_is_neither_is_400() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let deep = format!(r#"{{"a":{deep}}}"#);
        for body in ["", "{", "a=b", "[]", "1", "null", r#"{"a":1,}"#, r#"{"a":"\ud800"}"#, &deep] {
            let failure = Fields::read(JSON, body.as_bytes()).unwrap_err();
            assert_eq!(
                failure,
                Failure::unreadable(match body {
                    "[]" | "1" | "null" => "The request body must be a JSON object.",
                    _ => "The request body is not valid JSON.",
                }),
                "{body}"
            );
        }
        assert!(Fields::read(JSON, b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn fields_have_types() {
        let fields =
            read(JSON, r#"{"n":12,"t":"","z":null,"o":{},"b":true,"w":"FALSE","c":"a\u0000b","m":2}"#);
        assert_eq!(fields.text("n"), Ok(Some("12".to_owned())));
        assert_eq!((fields.text("z"), fields.clearable("z")), (Ok(None), Ok(Some(String::new()))));
        assert_eq!((fields.clearable("x"), fields.text("t")), (Ok(None), Ok(Some(String::new()))));
        assert_eq!(fields.text("o"), Err(Failure::invalid("The o field must be a string.")));
        assert_eq!(fields.text("c"), Err(Failure::invalid("The c field must not contain NUL.")));
        assert_eq!(fields.required("t"), Err(Failure::invalid("The t field is required.")));
        let flags = ["b", "w", "x", "z"].map(|name| fields.flag(name));
        assert_eq!(flags, [Ok(Some(true)), Ok(Some(false)), Ok(None), Ok(None)]);
        assert_eq!(fields.flag("m"), Err(Failure::invalid("The m field must be true or false.")));
    }

    #[test]
    fn pages_are_clamped() {
        for (query, page, per_page) in [
            ("", 1, 100),
            ("page=2&perPage=5", 2, 5),
            ("page=0&perPage=0", 1, 1),
            ("page=-3&perPage=-1", 1, 1),
            ("page=x&perPage=1.5", 1, 100),
            ("page=99999999999999999999&perPage=99999999999999999999", u32::MAX, 2_000),
            ("page=1&page=3&perPage=", 3, 100),
        ] {
            let query = Query::read(query);
            assert_eq!(query.paging(), Paging::new(page, per_page), "{query:?}");
        }
        assert_eq!(Query::read("username=a%00b").text("username"), Some("a\u{fffd}b"));
    }
}
