//! `POST /auth` (mfusion.md §3): a key for a token.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::authorization;
use super::wire::date_time;
use super::{Failure, FailureBody, Fields};
use crate::domain::operator::Dialect;
use crate::http::Shared;
use crate::http::peer::Peer;
use crate::service::{Denial, Issued, ServiceError};

/// What is asked for. The same in HTTP Basic, or under the names that other clients use, will do.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` knows more names")]
pub(super) struct Key {
    /// Also `apiId`, `api-id`, `id`.
    api_id: String,
    /// Also `secret_key`, `secretKey`, `api_secret`.
    secret: String,
}

const ID: [&str; 4] = ["api_id", "apiId", "api-id", "id"];
const SECRET: [&str; 4] = ["secret", "secret_key", "secretKey", "api_secret"];

/// A token, where any client is likely to look for it.
#[derive(Serialize, ToSchema)]
pub(super) struct Authenticated {
    status: bool,
    message: &'static str,
    token: String,
    token_type: &'static str,
    expires_in: u64,
    result: Token,
}

#[derive(Serialize, ToSchema)]
struct Token {
    token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    expires_at: String,
}

/// Gives a token for a key.
#[utoipa::path(
    post,
    path = "/auth",
    operation_id = "auth",
    tag = "mFusion",
    request_body(content = Key),
    security(()),
    responses(
        (status = 200, description = "A token", body = Authenticated),
        (status = 400, description = "The body cannot be read", body = FailureBody),
        (status = 401, description = "A wrong key, or one that is switched off", body = FailureBody),
        (status = 408, description = "The body took too long", body = FailureBody),
        (status = 413, description = "The body is larger than http.body_limit", body = FailureBody),
        (status = 429, description = "Too many wrong keys from this address", body = FailureBody),
        (status = 500, description = "Our fault", body = FailureBody),
    )
)]
pub(super) async fn auth(
    State(shared): State<Shared>,
    peer: Peer,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Json<Authenticated>, Failure> {
    if !shared.throttle.allows(peer) {
        return Err(Failure::throttled());
    }
    let (key_id, secret) = key(&headers, &fields).unwrap_or_default();
    let lifetime = shared.dialects.mfusion.token_lifetime;
    match shared.gate.issue(Dialect::Mfusion, &key_id, &secret, lifetime).await {
        Ok(issued) => {
            shared.throttle.succeeded(peer);
            Ok(Json(answer(issued, lifetime.as_secs())))
        }
        Err(ServiceError::Denied(Denial::Credential)) => {
            shared.throttle.failed(peer);
            Err(Failure::bad_key())
        }
        Err(other) => Err(other.into()),
    }
}

/// The key in HTTP Basic, or else in the body.
pub(super) fn key(headers: &HeaderMap, fields: &Fields) -> Option<(String, String)> {
    let basic = || {
        let pair = STANDARD.decode(authorization(headers, "basic")?).ok()?;
        let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    };
    let first = |names: [&str; 4]| names.iter().find_map(|name| fields.text(name).ok().flatten());
    first(ID).zip(first(SECRET)).or_else(basic)
}

fn answer(issued: Issued, expires_in: u64) -> Authenticated {
    let expires_at = date_time(issued.expires, &issued.zone);
    let token_type = "Bearer";
    Authenticated {
        status: true,
        message: "Token generated successfully.",
        token: issued.token.clone(),
        token_type,
        expires_in,
        result: Token { token: issued.token, token_type, expires_in, expires_at },
    }
}
