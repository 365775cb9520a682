//! Answers as HTTP: which status, which headers, and every error of this dialect.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::Settings;
use super::documents::Document;
use super::parameters::Fault;
use super::translate::parameter_of;
use crate::service::{AccountError, Denial, ServiceError};

/// What is answered.
pub(super) enum Answer {
    /// A document.
    Document(Document),
    /// A document whose first user name clients cut out by its place.
    Generated(Document),
    /// `SUCCESS`.
    Done,
    /// `ERROR: …`.
    Failed(Error),
}

/// What is wrong. The texts are those of antamedia.md §3.3; the last five are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    Password,
    /// The passphrase is wrong, and the path leads nowhere.
    NowhereUnknown,
    UnknownCommand,
    Fault(Fault),
    NoAccount,
    AccountExists,
    NoPlan,
    NotLoggedIn,
    Disabled,
    NothingLeft,
    /// A NAS said no, or nothing: in its words.
    Nas(String),
    WrongMethod,
    TooLarge,
    Unreadable,
    TimedOut,
    Throttled,
    Broken,
}

impl Error {
    fn text(&self) -> String {
        let text = match self {
            Self::Password | Self::NowhereUnknown | Self::Throttled => "Invalid password",
            Self::UnknownCommand => "Unknown command",
            Self::Fault(Fault::Missing(name)) => return format!("ERROR: Missing parameter {name}"),
            Self::Fault(Fault::Invalid(name)) => return format!("ERROR: Invalid parameter {name}"),
            Self::NoAccount => "Account does not exist",
            Self::AccountExists => "Account already exists",
            Self::NoPlan => "Price plan does not exist",
            Self::NotLoggedIn => "Account is not logged in",
            Self::Disabled => "Account is disabled",
            Self::NothingLeft => "No time or quota left",
            Self::Nas(reason) => return format!("ERROR: {reason}"),
            Self::WrongMethod => "Method not allowed",
            Self::TooLarge => "Request too large",
            Self::Unreadable => "Request not readable",
            Self::TimedOut => "Request timed out",
            Self::Broken => "Internal error",
        };
        format!("ERROR: {text}")
    }

    /// Mistakes of callers are 200 unless `rest` is set. What never got as far as the commands, and what is
    /// our own fault, has its status always.
    fn status(&self, rest: bool) -> StatusCode {
        let ruled = |status| if rest { status } else { StatusCode::OK };
        match self {
            Self::Password => ruled(StatusCode::FORBIDDEN),
            Self::NowhereUnknown | Self::UnknownCommand => StatusCode::NOT_FOUND,
            Self::Fault(_) => ruled(StatusCode::BAD_REQUEST),
            Self::NoAccount | Self::NoPlan => ruled(StatusCode::NOT_FOUND),
            Self::AccountExists | Self::NotLoggedIn | Self::Disabled | Self::NothingLeft => {
                ruled(StatusCode::CONFLICT)
            }
            Self::Nas(_) => ruled(StatusCode::CONFLICT),
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound { what: "plan", .. } => Self::NoPlan,
            ServiceError::NotFound { .. } => Self::NoAccount,
            ServiceError::Exists { .. } => Self::AccountExists,
            ServiceError::Invalid { field, .. } => {
                Self::Fault(Fault::Invalid(parameter_of(field).unwrap_or("account")))
            }
            ServiceError::Denied(Denial::Credential | Denial::Disabled) => Self::Password,
            // The passphrase has every right but that to see passwords, which is asked for where it is had.
            ServiceError::Denied(Denial::Read | Denial::Write | Denial::Secrets) => Self::Password,
            ServiceError::Conflict { reason } | ServiceError::Unavailable { reason } => {
                tracing::error!(reason, "an Antamedia request failed");
                Self::Broken
            }
        }
    }
}

impl From<AccountError> for Error {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Service(error) => error.into(),
            AccountError::NotLoggedIn => Self::NotLoggedIn,
            AccountError::Disabled => Self::Disabled,
            AccountError::NothingLeft => Self::NothingLeft,
            AccountError::Nas(reason) => Self::Nas(reason),
        }
    }
}

impl Answer {
    /// The response; `closes` where the connection ends with it.
    pub(super) fn into_response(self, settings: &Settings, closes: bool) -> Response {
        let (status, document, at) = match self {
            Self::Document(document) => (StatusCode::OK, document, None),
            Self::Generated(document) => (StatusCode::OK, document, settings.pad_first_username_to),
            Self::Done => (StatusCode::OK, Document::result("SUCCESS"), None),
            Self::Failed(error) => {
                (error.status(settings.rest_errors), Document::result(&error.text()), None)
            }
        };
        let padded = at.and_then(|at| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            document.padded(at, |body| head(body, closes))
        });
        let body = padded.unwrap_or_else(|| document.text());
        let length = body.len();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static(CLOSE));
        }
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}

const CONTENT_TYPE: &str = "text/xml; charset=UTF-8";
const CACHE_CONTROL: &str = "no-store";
const CLOSE: &str = "close";

/// Octets of the head of a response that says 200, its empty line included.
fn head(body: usize, closes: bool) -> usize {
    let line = |name: &str, value: usize| name.len() + ": ".len() + value + "\r\n".len();
    "HTTP/1.1 200 OK\r\n".len()
        + line("content-type", CONTENT_TYPE.len())
        + line("cache-control", CACHE_CONTROL.len())
        + line("content-length", body.to_string().len())
        + if closes { line("connection", CLOSE.len()) } else { 0 }
        + line("date", "Sun, 06 Nov 1994 08:49:37 GMT".len())
        + "\r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(error: Error, rest: bool) -> (u16, String) {
        let settings = Settings { rest_errors: rest, ..Settings::default() };
        let text = error.text();
        let response = Answer::Failed(error).into_response(&settings, false);
        (response.status().as_u16(), text)
    }

    #[test]
    fn mistakes_of_callers_are_200_unless_rest_is_wanted() {
        for (error, rest, text) in [
            (Error::Password, 403, "ERROR: Invalid password"),
            (Error::Fault(Fault::Missing("account")), 400, "ERROR: Missing parameter account"),
            (Error::Fault(Fault::Invalid("quota")), 400, "ERROR: Invalid parameter quota"),
            (Error::NoAccount, 404, "ERROR: Account does not exist"),
            (Error::AccountExists, 409, "ERROR: Account already exists"),
            (Error::NoPlan, 404, "ERROR: Price plan does not exist"),
            (Error::NotLoggedIn, 409, "ERROR: Account is not logged in"),
            (Error::Disabled, 409, "ERROR: Account is disabled"),
            (Error::NothingLeft, 409, "ERROR: No time or quota left"),
        ] {
            assert_eq!(response(error.clone(), false), (200, text.to_owned()));
            assert_eq!(response(error, true).0, rest);
        }
    }

    #[test]
    fn what_is_no_command_is_404_always() {
        assert_eq!(response(Error::UnknownCommand, false), (404, "ERROR: Unknown command".to_owned()));
        assert_eq!(response(Error::NowhereUnknown, false), (404, "ERROR: Invalid password".to_owned()));
    }

    #[test]
    fn our_mistakes_are_not_told() {
        let error = ServiceError::Unavailable { reason: "postgres://u:p@h".to_owned() };
        assert_eq!(response(error.into(), false), (500, "ERROR: Internal error".to_owned()));
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_closes() {
        let response = Answer::Done.into_response(&Settings::default(), true);
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header(header::CONTENT_TYPE), "text/xml; charset=UTF-8");
        assert_eq!(header(header::CONTENT_LENGTH), Document::result("SUCCESS").text().len().to_string());
        assert_eq!(header(header::CONNECTION), "close");
        assert!(!response.headers().contains_key(header::TRANSFER_ENCODING));
    }
}
