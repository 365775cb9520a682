//! What is answered: the envelope of success, the envelope of failure, and their codes.

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::{Denial, ServiceError};

/// A refusal. `code` is `errorCode`, which clients use as an HTTP status of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fail {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Fail {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn malformed(message: &str) -> Self {
        Self::new(400, message)
    }

    /// A parameter that has to be there is not.
    pub(super) fn missing(field: &str) -> Self {
        Self::new(400, format!("The field {field} is mandatory"))
    }

    /// A parameter that cannot be.
    pub(super) fn wrong(field: &str, reason: &str) -> Self {
        Self::new(400, format!("The field {field} {reason}"))
    }

    /// A word that is not in its list.
    pub(super) fn unknown_word(field: &str, words: &[&str]) -> Self {
        Self::new(422, format!("The field {field} must be one of {}", words.join(", ")))
    }

    /// There is no such thing.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, format!("{what} not found"))
    }
}

impl From<ServiceError> for Fail {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound { what, .. } => Self::not_found(noun(what)),
            ServiceError::Exists { what, .. } => Self::new(409, format!("{} exists already", noun(what))),
            ServiceError::Conflict { reason } => Self::new(409, sentence(&reason)),
            // What the dictionary does not know is a value outside its list.
            ServiceError::Invalid { field: "attribute" | "vendorData", reason } => {
                Self::new(422, format!("The field vendorData is wrong: {reason}"))
            }
            ServiceError::Invalid { field, reason } => Self::new(400, format!("The field {field} {reason}")),
            ServiceError::Denied(Denial::Credential) => Self::new(401, "Invalid API credentials"),
            ServiceError::Denied(_) => Self::new(403, "The API key does not permit this"),
            ServiceError::Unavailable { .. } => Self::new(500, "Internal error"),
        }
    }
}

/// The original's word for one of ours.
fn noun(what: &str) -> &'static str {
    match what {
        "subscriber" => "User",
        "plan" => "Group",
        "account" => "Account",
        "operator" => "Admin",
        "area" => "Area",
        "street" => "Street",
        "block" => "Block",
        "collection" => "Collection",
        "template" => "Bandwidth template",
        "session" => "Session",
        "binding" => "Static IP/MAC row",
        _ => "Record",
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A success, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer(pub(super) Vec<u8>);

/// What a handler gives.
pub(super) type Outcome = Result<Answer, Fail>;

#[derive(Serialize)]
struct Envelope<'a, T: ?Sized> {
    status: &'static str,
    #[serde(rename = "errorCode")]
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a T>,
}

/// The payload is in `data`.
pub(super) fn data<T: Serialize + ?Sized>(data: &T) -> Outcome {
    bare(&Envelope { status: "success", code: 200, data: Some(data), message: None })
}

/// The payload is a list in `data` that is written one by one: only its text is kept.
pub(super) struct DataList(Vec<u8>);

impl Default for DataList {
    fn default() -> Self {
        Self(br#"{"status":"success","errorCode":200,"data":["#.to_vec())
    }
}

impl DataList {
    pub(super) fn push<T: Serialize>(&mut self, value: &T) -> Result<(), Fail> {
        if self.0.last() != Some(&b'[') {
            self.0.push(b',');
        }
        serde_json::to_writer(&mut self.0, value).map_err(|_| Fail::new(500, "Internal error"))
    }

    pub(super) fn end(mut self) -> Answer {
        self.0.extend_from_slice(b"]}");
        Answer(self.0)
    }
}

/// The payload is in `message`.
pub(super) fn message<T: Serialize + ?Sized>(message: &T) -> Outcome {
    bare(&Envelope { status: "success", code: 200, data: None, message: Some(message) })
}

/// There is no payload.
pub(super) fn done() -> Outcome {
    bare(&Envelope::<str> { status: "success", code: 200, data: None, message: None })
}

/// There is no envelope.
pub(super) fn bare<T: Serialize + ?Sized>(value: &T) -> Outcome {
    serde_json::to_vec(value).map(Answer).map_err(|_| Fail::new(500, "Internal error"))
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Failure)]
pub(super) struct Failure {
    /// `failed`
    status: &'static str,
    /// As an HTTP status would be.
    #[serde(rename = "errorCode")]
    code: u16,
    message: String,
}

pub(super) fn failure(fail: &Fail) -> Vec<u8> {
    let failure = Failure { status: "failed", code: fail.code, message: fail.message.clone() };
    serde_json::to_vec(&failure).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(outcome: Outcome) -> String {
        String::from_utf8(outcome.unwrap().0).unwrap()
    }

    #[test]
    fn envelopes_have_their_members_in_order() {
        assert_eq!(text(done()), r#"{"status":"success","errorCode":200}"#);
        assert_eq!(text(data(&["a"])), r#"{"status":"success","errorCode":200,"data":["a"]}"#);
        for all in [&[][..], &["a"], &["a", "b"]] {
            let mut list = DataList::default();
            all.iter().for_each(|one| list.push(one).unwrap());
            assert_eq!(list.end(), data(all).unwrap());
        }
        assert_eq!(
            text(message("Payment Approved")),
            r#"{"status":"success","errorCode":200,"message":"Payment Approved"}"#
        );
        let fail = Fail::from(ServiceError::NotFound { what: "subscriber", name: "7".to_owned() });
        assert_eq!(
            String::from_utf8(failure(&fail)).unwrap(),
            r#"{"status":"failed","errorCode":404,"message":"User not found"}"#
        );
        let fail = Fail::from(ServiceError::Unavailable { reason: "postgres://secret".to_owned() });
        assert_eq!((fail.code, fail.message.as_str()), (500, "Internal error"));
    }
}
