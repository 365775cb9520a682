//! How this dialect says no (mfusion.md §2, §4).

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::service::{Denial, ServiceError};

/// An answer that says no: a text for people, and what `http_errors = "rest"` makes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    rest: StatusCode,
    text: String,
}

/// The status of an answer under `http_errors = "rest"`, kept with it until it leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestStatus(pub(super) StatusCode);

/// What a request that took too long is answered with.
pub(super) const TIMED_OUT: StatusCode = StatusCode::REQUEST_TIMEOUT;

/// Seconds after which whoever was throttled may try again.
const PATIENCE: HeaderValue = HeaderValue::from_static("60");

impl Failure {
    /// A mistake that reached the rules: 200, as everything that did.
    fn ruled(rest: StatusCode, text: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, rest, text: text.into() }
    }

    fn refused(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, rest: status, text: text.into() }
    }

    /// There is no such thing.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::ruled(StatusCode::NOT_FOUND, text)
    }

    /// There is one already, or something stands in the way.
    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self::ruled(StatusCode::CONFLICT, text)
    }

    /// A value cannot be.
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::ruled(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// A field that must be there is not.
    pub(super) fn required(field: &str) -> Self {
        Self::invalid(format!("The {field} field is required."))
    }

    /// The request cannot be read.
    pub(super) fn unreadable(text: impl Into<String>) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, text)
    }

    /// The body is larger than the limit.
    pub(super) fn too_large() -> Self {
        Self::refused(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.")
    }

    /// No token, or none that is worth anything.
    pub(super) fn bad_token() -> Self {
        Self::refused(StatusCode::UNAUTHORIZED, "Token validation failed")
    }

    /// A key that is none.
    pub(super) fn bad_key() -> Self {
        Self::refused(StatusCode::UNAUTHORIZED, "Invalid API ID or secret.")
    }

    /// Too many wrong keys from one address.
    pub(super) fn throttled() -> Self {
        Self::refused(StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts. Please try again later.")
    }

    pub(super) fn no_route() -> Self {
        Self::refused(StatusCode::NOT_FOUND, "Endpoint not found.")
    }

    pub(super) fn wrong_method() -> Self {
        Self::refused(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.")
    }

    fn broken() -> Self {
        Self::refused(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error.")
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound { what: "subscriber", name } => {
                Self::not_found(format!("User with ID: {name} not found."))
            }
            ServiceError::NotFound { what: "plan" | "group", name } => {
                Self::not_found(format!("Profile '{name}' not found."))
            }
            ServiceError::NotFound { what, name } => Self::not_found(format!("There is no {what} '{name}'.")),
            ServiceError::Exists { what: "subscriber", name } => {
                Self::conflict(format!("Username '{name}' already exists."))
            }
            ServiceError::Exists { what, name } => {
                Self::conflict(format!("There is a {what} '{name}' already."))
            }
            ServiceError::Conflict { reason } => Self::conflict(sentence(&reason)),
            ServiceError::Invalid { field: "login", reason } => {
                Self::invalid(format!("The username field {reason}."))
            }
            ServiceError::Invalid { field, reason } => Self::invalid(format!("The {field} field {reason}.")),
            ServiceError::Denied(denial) => denial.into(),
            ServiceError::Unavailable { reason } => {
                tracing::error!(reason, "an mFusion request failed");
                Self::broken()
            }
        }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        let right = |right: &str| {
            Self::ruled(StatusCode::FORBIDDEN, format!("The API key does not have the right '{right}'."))
        };
        match denial {
            Denial::Credential => Self::bad_token(),
            Denial::Disabled => Self::refused(StatusCode::UNAUTHORIZED, "API access is disabled."),
            Denial::Read => right("read"),
            Denial::Write => right("write"),
            Denial::Secrets => right("secrets"),
        }
    }
}

fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

/// A failure as it is sent. `result` is always empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureBody {
    /// Always false.
    status: bool,
    /// Why, for people.
    error_message: String,
    /// Always empty.
    #[schema(max_items = 0)]
    result: Vec<bool>,
}

/// What every endpoint may answer beside its own answers.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) enum Refusals {
    /// The request cannot be read.
    #[response(status = 400)]
    Unreadable(FailureBody),
    /// No token, or one that is worth nothing.
    #[response(status = 401)]
    Unauthorized(FailureBody),
    /// The body took too long to come, or the answer to be found.
    #[response(status = 408)]
    TimedOut(FailureBody),
    /// The body is larger than `http.body_limit`.
    #[response(status = 413)]
    TooLarge(FailureBody),
    /// Too many wrong keys from this address.
    #[response(status = 429)]
    Throttled(FailureBody),
    /// Our fault; the detail is in the log.
    #[response(status = 500)]
    Broken(FailureBody),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = FailureBody { status: false, error_message: self.text, result: Vec::new() };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(RestStatus(self.rest));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(RETRY_AFTER, PATIENCE);
            }
            _ => {}
        }
        response
    }
}

/// The last touch on every answer: the status that `http_errors = "rest"` wants, a body where a layer gave
/// none, and no copy in any cache.
pub(super) async fn dress(State(rest): State<bool>, response: Response) -> Response {
    let mut response = if response.status() == TIMED_OUT {
        Failure::refused(TIMED_OUT, "The request took too long.").into_response()
    } else {
        response
    };
    if rest && let Some(RestStatus(status)) = response.extensions().get::<RestStatus>().copied() {
        *response.status_mut() = status;
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: ServiceError) -> (u16, u16, String) {
        let failure = Failure::from(error);
        (failure.status.as_u16(), failure.rest.as_u16(), failure.text)
    }

    #[test]
    fn mistakes_of_callers_are_200_unless_rest_is_wanted() {
        let not_found = |what, name: &str| ServiceError::NotFound { what, name: name.to_owned() };
        let exists = |what, name: &str| ServiceError::Exists { what, name: name.to_owned() };
        for (error, rest, text) in [
            (not_found("subscriber", "1893"), 404, "User with ID: 1893 not found."),
            (not_found("plan", "P"), 404, "Profile 'P' not found."),
            (exists("subscriber", "pin1234"), 409, "Username 'pin1234' already exists."),
            (ServiceError::Conflict { reason: "it is open".to_owned() }, 409, "It is open."),
            (
                ServiceError::Invalid { field: "login", reason: "must not be empty".to_owned() },
                422,
                "The username field must not be empty.",
            ),
            (ServiceError::Denied(Denial::Write), 403, "The API key does not have the right 'write'."),
        ] {
            assert_eq!(of(error), (200, rest, text.to_owned()));
        }
    }

    #[test]
    fn our_mistakes_are_not_told() {
        let error = ServiceError::Unavailable { reason: "postgres://u:p@h".to_owned() };
        assert_eq!(of(error), (500, 500, "Internal server error.".to_owned()));
    }

    #[test]
    fn whom_we_do_not_know_is_401() {
        let denied = |denial| of(ServiceError::Denied(denial));
        assert_eq!(denied(Denial::Credential), (401, 401, "Token validation failed".to_owned()));
        assert_eq!(denied(Denial::Disabled), (401, 401, "API access is disabled.".to_owned()));
    }
}
