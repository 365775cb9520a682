//! Who calls: name and password, or a session; and the methods about that.

use super::Call;
use super::dates::{Calendar, DateType};
use super::fault::{Fault, texts};
use super::methods::{self, Caller, Input};
use super::params::Params;
use super::value::Value;
use crate::domain::operator::Dialect;
use crate::http::Shared;
use crate::http::peer::Peer;
use crate::service::{VisitError, Visiting, Visitor};

/// Runs a method that is known, for whoever calls it.
pub(super) async fn answer(shared: &Shared, peer: Peer, method: &str, call: &Call) -> Result<Value, Fault> {
    let params = Params::new(&call.params);
    let (handler, name) = method.split_once('.').unwrap_or((method, ""));
    let remote = remote(peer, params)?;
    if handler == "login" {
        // Clients send all kinds of things beside what this method is about.
        return log_in(shared, peer, &remote, name, params).await;
    }
    let visitor = visitor(shared, peer, &remote, params).await?;
    if handler == "session" {
        return session(shared, name, params, &remote).await;
    }
    let (caller, zone) = match visitor {
        Visitor::Operator(management, _) => {
            let zone = management.zone().clone();
            (Caller::Operator(management), zone)
        }
        Visitor::Subscriber(own) => {
            let zone = own.zone().clone();
            (Caller::User(own), zone)
        }
    };
    let kind = params.maybe_text("date_type")?.map_or(DateType::Gregorian, |word| DateType::parse(&word));
    let calendar = Calendar { kind, zone: &zone, now: shared.clock.now().unix };
    methods::run(
        handler,
        name,
        &caller,
        Input { params, calendar: &calendar, rows_max: shared.dialects.ibsng.report_rows },
    )
    .await
}

/// The address of whom a client speaks for; only one on this machine is believed.
fn remote(peer: Peer, params: Params<'_>) -> Result<String, Fault> {
    let told = params.maybe_text("auth_remoteaddr")?;
    let told = told.and_then(|text| text.trim().parse::<std::net::IpAddr>().ok());
    Ok(told.filter(|_| peer.0.is_loopback()).unwrap_or(peer.0).to_string())
}

/// What the types of authentication are about. `None`: nobody in particular.
fn visiting(word: &str) -> Result<Option<Visiting>, Fault> {
    Ok(Some(match word.to_ascii_uppercase().as_str() {
        "ADMIN" => Visiting::Operator,
        "NORMAL_USER" => Visiting::Subscriber,
        "VOIP_USER" => Visiting::Telephone,
        "ANONYMOUS" | "MAIL" => return Ok(None),
        _ => return Err(texts::INVALID_AUTH_TYPE.plain()),
    }))
}

/// Whoever calls a method: by a session, or by name and password.
async fn visitor<'s>(
    shared: &'s Shared,
    peer: Peer,
    remote: &str,
    params: Params<'_>,
) -> Result<Visitor<'s>, Fault> {
    if let Some(token) = params.maybe_text("auth_session")? {
        let wrong = || texts::INVALID_SESSION_ID.plain();
        let resumed = shared.gate.resume_session(Dialect::Ibsng, &token, remote).await?.ok_or_else(wrong)?;
        // What comes with it has to fit.
        let is_operator = matches!(resumed.visitor, Visitor::Operator(..));
        if let Some(word) = params.maybe_text("auth_type")? {
            match visiting(&word)? {
                Some(Visiting::Operator) if is_operator => {}
                Some(Visiting::Subscriber | Visiting::Telephone) if !is_operator => {}
                Some(_) | None => return Err(wrong()),
            }
        }
        let name = params.maybe_text("auth_name")?;
        if name.is_some_and(|name| name != resumed.login) {
            return Err(wrong());
        }
        return Ok(resumed.visitor);
    }
    params.need(&["auth_type", "auth_name", "auth_pass"])?;
    let (name, password) = (params.text("auth_name")?, params.text("auth_pass")?);
    match visiting(&params.text("auth_type")?)? {
        Some(kind) => visit(shared, peer, remote, kind, &name, &password).await,
        None => Err(texts::ACCESS_DENIED.plain()),
    }
}

/// Checks a name and a password; guesses are counted.
async fn visit<'s>(
    shared: &'s Shared,
    peer: Peer,
    remote: &str,
    kind: Visiting,
    name: &str,
    password: &str,
) -> Result<Visitor<'s>, Fault> {
    if !shared.throttle.allows(peer) {
        return Err(texts::ADDRESS_BANNED.plain());
    }
    let error = match shared.gate.visit(Dialect::Ibsng, kind, name, password, remote).await {
        Ok(visitor) => {
            shared.throttle.succeeded(peer);
            return Ok(visitor);
        }
        Err(error) => error,
    };
    if matches!(error, VisitError::Nobody | VisitError::WrongPassword) {
        shared.throttle.failed(peer);
    }
    Err(match (error, kind) {
        (VisitError::Nobody, Visiting::Operator) => texts::INVALID_ADMIN_NAME.of(&[name]),
        (VisitError::Nobody, Visiting::Subscriber) => texts::NORMAL_USERNAME_DOESNT_EXISTS.of(&[name]),
        (VisitError::Nobody, Visiting::Telephone) => texts::VOIP_USERNAME_DOESNT_EXISTS.of(&[name]),
        (VisitError::WrongPassword, Visiting::Operator) => texts::INCORRECT_PASSWORD.plain(),
        (VisitError::WrongPassword, Visiting::Subscriber | Visiting::Telephone) => {
            texts::WRONG_PASSWORD.plain()
        }
        (VisitError::Locked, Visiting::Operator) => texts::ADMIN_LOCKED.plain(),
        (VisitError::Locked, Visiting::Subscriber | Visiting::Telephone) => texts::USER_LOCKED.plain(),
        (VisitError::Service(error), _) => error.into(),
    })
}

/// `login.login` and `login.webLogin`.
async fn log_in(
    shared: &Shared,
    peer: Peer,
    remote: &str,
    method: &str,
    params: Params<'_>,
) -> Result<Value, Fault> {
    params.need(&["login_auth_type", "login_auth_name", "login_auth_pass"])?;
    let kind = params.text("login_auth_type")?;
    let (name, password) = (params.text("login_auth_name")?, params.text("login_auth_pass")?);
    let visiting = visiting(&kind)?.ok_or_else(|| texts::INVALID_AUTH_TYPE.plain())?;
    let wants_session = method == "webLogin" || params.maybe_boolean("create_session")?.unwrap_or(false);
    let visitor = visit(shared, peer, remote, visiting, &name, &password).await?;
    if !wants_session {
        return Ok(true.into());
    }
    let token = shared.gate.begin_session(Dialect::Ibsng, &visitor, &name, remote).await?;
    if method == "login" {
        return Ok(token.into());
    }
    Ok(Value::map([
        ("session_id", token.into()),
        ("auth_id", name.into()),
        ("auth_type", kind.to_ascii_uppercase().into()),
    ]))
}

/// `session.expireSession` and `session.getAuthData`.
async fn session(shared: &Shared, method: &str, params: Params<'_>, remote: &str) -> Result<Value, Fault> {
    let wrong = || texts::INVALID_SESSION_ID.plain();
    if method == "expireSession" {
        let named = params.maybe_text("session_id")?;
        let token = match named {
            Some(token) => token,
            None => params
                .maybe_text("auth_session")?
                .ok_or_else(|| texts::INCOMPLETE_REQUEST.of(&["session_id"]))?,
        };
        return if shared.gate.end_session(&token).await? { Ok(Value::nothing()) } else { Err(wrong()) };
    }
    let token = params.text("auth_session")?;
    let resumed = shared.gate.resume_session(Dialect::Ibsng, &token, remote).await?.ok_or_else(wrong)?;
    let kind = match resumed.visitor {
        Visitor::Operator(..) => "ADMIN",
        Visitor::Subscriber(_) => "NORMAL_USER",
    };
    Ok(Value::List(vec![kind.into(), resumed.login.into()]))
}
