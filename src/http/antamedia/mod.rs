//! The Antamedia HotSpot API: twelve commands at the root of a listener of its own, answered in XML.
//!
//! Refuses to know SQL, sessions and RADIUS, and the other dialects. `parameters` reads what callers send,
//! `commands` makes one call of the service of it, `translate` has the words of both sides, `documents`
//! writes the XML, `answer` puts it into HTTP.

mod answer;
mod commands;
mod documents;
pub(super) mod fuzz;
mod parameters;
mod translate;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{Method, StatusCode, Version, header};
use axum::routing::any;

use self::answer::{Answer, Error};
use self::parameters::{Command, Raw};
use super::Shared;
use super::peer::Peer;
use super::server::Endpoint;
use crate::domain::operator::Dialect;
use crate::service::{Denial, OperatorCredential, ServiceError};

/// `[antamedia]`, but for the passphrase, which the gate keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `viewaccount` shows passwords.
    pub reveal_passwords: bool,
    /// Elements of ours after the documented ones.
    pub extended: bool,
    /// `http_errors = "rest"`: errors also as HTTP status.
    pub rest_errors: bool,
    /// Octet of the answer at which the first user name begins, for clients that cut there.
    pub pad_first_username_to: Option<u32>,
}

/// The routes, on the listener of `antamedia.listen`. Each command has one, so that it is counted by
/// its name; the same in other letters, and what is no command, is answered by the fallback.
pub(super) fn router(shared: &Shared) -> Router {
    let commands = Command::ALL
        .iter()
        .fold(Router::new(), |router, (_, name)| router.route(&format!("/{name}"), any(serve)));
    commands.fallback(serve).with_state(shared.clone())
}

/// Reads the request, answers it, and says over what connection.
async fn serve(State(shared): State<Shared>, peer: Peer, request: Request) -> axum::response::Response {
    let asks_to_close = request
        .headers()
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("close"));
    let stays_open = |value: &header::HeaderValue| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("keep-alive"))
    };
    let old = request.version() < Version::HTTP_11
        && !request.headers().get_all(header::CONNECTION).iter().any(stays_open);
    let settings = shared.dialects.antamedia.clone();
    let command = Command::of_path(request.uri().path());
    let answer = tokio::time::timeout(shared.timeout, asked(&shared, peer, request)).await;
    let answer = answer.unwrap_or(Answer::Failed(Error::TimedOut));
    let mut response = answer.into_response(&settings, asks_to_close || old);
    // In other letters it is the same command.
    if let Some(command) = command {
        response.extensions_mut().insert(Endpoint(command.route()));
    }
    response
}

/// The order of what may be wrong: the passphrase, the command, and what [`commands`] looks at.
async fn asked(shared: &Shared, peer: Peer, request: Request) -> Answer {
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        return Answer::Failed(Error::WrongMethod);
    }
    let command = Command::of_path(request.uri().path());
    let is_head = request.method() == Method::HEAD;
    let mut raw = Raw::default();
    raw.read(request.uri().query().unwrap_or_default().as_bytes());
    if request.method() == Method::POST {
        match Bytes::from_request(request, &()).await {
            Ok(body) => raw.read(&body),
            Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Answer::Failed(Error::TooLarge);
            }
            Err(_) => return Answer::Failed(Error::Unreadable),
        }
    }
    if !shared.throttle.allows(peer) {
        return Answer::Failed(Error::Throttled);
    }
    let passphrase = raw.get("pass").unwrap_or_default();
    let credential = OperatorCredential::Passphrase { dialect: Dialect::Antamedia, passphrase };
    let operator = match shared.gate.enter(credential, &peer.0.to_string()).await {
        Ok(operator) => operator,
        Err(ServiceError::Denied(Denial::Credential | Denial::Disabled)) => {
            shared.throttle.failed(peer);
            return Answer::Failed(if command.is_none() { Error::NowhereUnknown } else { Error::Password });
        }
        Err(other) => return Answer::Failed(other.into()),
    };
    shared.throttle.succeeded(peer);
    let Some(command) = command else { return Answer::Failed(Error::UnknownCommand) };
    if is_head && command.changes() {
        return Answer::Failed(Error::WrongMethod);
    }
    commands::run(command, &raw, &operator, &shared.dialects.antamedia).await.unwrap_or_else(Answer::Failed)
}
