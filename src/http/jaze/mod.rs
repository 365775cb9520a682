//! The Jaze ISP Manager API: section E under `/api/v1`, and what its clients call besides (docs/jaze.md).
//!
//! Owns the original's paths, parameters, shapes and codes. One table says which calls there are; `call`
//! reads, `translate` and `wire` write. Paths are matched here and not by the router: clients leave
//! segments empty and double slashes (see `path`).

mod accounts;
mod answer;
mod call;
mod dates;
mod groups;
mod messages;
mod overrides;
mod params;
mod path;
mod places;
mod statistics;
mod tier2;
mod translate;
mod users;
mod wire;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::answer::{Fail, Outcome};
use self::call::Call;
use self::params::Params;
use self::path::Path;
use super::Shared;
use super::peer::Peer;
use super::server::Endpoint;
use crate::domain::operator::Dialect;
use crate::service::{Denial, OperatorCredential, ServiceError};

/// `[jaze]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `http_errors = "rest"`: errorCode also as HTTP status.
    pub rest_errors: bool,
}

/// A call of the original.
struct Route {
    name: &'static str,
    verb: Verb,
    /// Segments that its path has at most.
    segments: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
}

/// The table of calls: name, verb, segments at most, and who answers.
macro_rules! calls {
    ($($name:literal $verb:ident $segments:literal $handler:path;)*) => {
        const ROUTES: &[Route] =
            &[$(Route { name: $name, verb: Verb::$verb, segments: $segments }),*];

        async fn run(call: &Call<'_>) -> Outcome {
            match call.path.call.as_str() {
                $($name => Box::pin($handler(call)).await,)*
                _ => Err(Fail::not_found("Endpoint")),
            }
        }
    };
}

calls! {
    "get_details" Get 1 users::get_details;
    "get_all" Get 0 users::get_all;
    "get_users_by_date" Get 3 users::get_users_by_date;
    "get_group_details" Get 1 groups::get_group_details;
    "get_all_user_ids" Get 0 users::get_all_user_ids;
    "get_users_by_phone" Post 0 users::get_users_by_phone;
    "get_user_by_phone" Get 2 users::get_user_by_phone;
    "get_user_by_username" Get 1 users::get_user_by_username;
    "move_group" Post 0 users::move_group;
    "get_user_password" Get 1 users::get_user_password;
    "delete_user" Get 2 users::delete_user;
    "get_user_from_all_accounts" Get 2 users::get_user_from_all_accounts;
    "add_grace_period" Post 0 users::add_grace_period;
    "add_area" Post 0 places::add_area;
    "add_street" Post 0 places::add_street;
    "add_block" Post 0 places::add_block;
    "get_all_areas" Get 0 places::get_all_areas;
    "get_all_streets" Post 0 places::get_all_streets;
    "get_all_buildings" Post 0 places::get_all_buildings;
    "get_collection_users_areawise" Post 0 places::get_collection_users_areawise;
    "get_collection_approval_users" Post 0 places::get_collection_approval_users;
    "collection_approval" Post 0 places::collection_approval;
    "collection_disapproval" Post 0 places::collection_disapproval;
    "collect_user_payment" Post 0 places::collect_user_payment;
    "get_logofftime_onlinestatus" Get 1 users::get_logofftime_onlinestatus;
    "assign_users_to_admin" Post 0 places::assign_users_to_admin;
    "override_user_bandwidth" Post 0 overrides::override_user_bandwidth;
    "get_allowed_groups" Get 1 groups::get_allowed_groups;
    "override_user_vendor_attributes" Post 0 overrides::override_user_vendor_attributes;
    "coa_request" Post 0 overrides::coa_request;
    "send_sms_to_user" Post 0 messages::send_sms_to_user;
    "send_email_to_user" Post 0 messages::send_email_to_user;
    "release_ip_mac" Post 0 users::release_ip_mac;
    "get_renewal_details" Post 0 users::get_renewal_details;
    "get_radius_statistics" Get 1 accounts::get_radius_statistics;
    "get_users_count" Get 1 users::get_users_count;
    "recover_password" Post 0 users::recover_password;
    "payment_collection_request" Get 2 places::payment_collection_request;
    "get_user_logs" Get 2 users::get_user_logs;
    "get_basic_user_details" Get 0 users::get_basic_user_details;
    "authenticate_user" Post 0 tier2::authenticate_user;
    "add_user" Post 0 tier2::add_user;
    "edit_user" Post 0 tier2::edit_user;
    "get_users" Get 3 tier2::get_users;
    "get_usersession_details" Get 3 tier2::get_usersession_details;
    "get_active_user_session_details" Get 1 tier2::get_active_user_session_details;
    "disconnect_user_sessions" Post 0 tier2::disconnect_user_sessions;
    "block_unblock_user" Post 0 tier2::block_unblock_user;
    "get_balance" Get 1 tier2::get_balance;
    "make_payment" Post 0 tier2::make_payment;
    "get_payment_details" Get 1 tier2::get_payment_details;
    "renew" Post 0 tier2::renew;
    "get_profile_details" Get 1 tier2::get_profile_details;
    "get_all_profile_ids" Get 0 tier2::get_all_profile_ids;
    "get_bandwidth_details" Get 1 tier2::get_bandwidth_details;
    "get_account_details" Get 1 accounts::get_account_details;
    "get_all_admins" Get 0 accounts::get_all_admins;
}

/// Everything below `/api/v1`, on the main listener.
pub(super) fn router(shared: &Shared) -> Router {
    Router::new().route("/api/v1/{*call}", any(serve)).with_state(shared.clone())
}

/// Answers a request in the original's words, whatever becomes of it.
async fn serve(State(shared): State<Shared>, peer: Peer, request: Request) -> Response {
    let rest = shared.dialects.jaze.rest_errors;
    let Some(path) = Path::parse(request.uri().path()) else {
        return respond(Err((Some(StatusCode::NOT_FOUND), Fail::not_found("Endpoint"))), rest);
    };
    let late = || (Some(StatusCode::REQUEST_TIMEOUT), Fail::new(408, "The request took too long"));
    let answered = tokio::time::timeout(shared.timeout, answer(&shared, peer, &path, request)).await;
    let mut response = respond(answered.unwrap_or_else(|_| Err(late())), rest);
    if let Some(route) = ROUTES.iter().find(|route| route.name == path.call) {
        response.extensions_mut().insert(Endpoint(route.name));
    }
    response
}

/// What a request comes to; a failure with the HTTP status where that is not 200.
async fn answer(
    shared: &Shared,
    peer: Peer,
    path: &Path,
    request: Request,
) -> Result<answer::Answer, (Option<StatusCode>, Fail)> {
    let plain = |fail: Fail| (None, fail);
    let known = ROUTES.iter().find(|route| route.name == path.call && path.len() <= route.segments);
    let Some(route) = known else {
        return Err((Some(StatusCode::NOT_FOUND), Fail::not_found("Endpoint")));
    };
    let fits = match route.verb {
        Verb::Get => request.method() == Method::GET,
        Verb::Post => request.method() == Method::POST,
    };
    if !fits {
        let word = if route.verb == Verb::Get { "GET" } else { "POST" };
        let fail = Fail::new(405, format!("Use {word} for {}", route.name));
        return Err((Some(StatusCode::METHOD_NOT_ALLOWED), fail));
    }
    if !shared.throttle.allows(peer) {
        let fail = Fail::new(429, "Too many failed attempts, try again in a minute");
        return Err((Some(StatusCode::TOO_MANY_REQUESTS), fail));
    }
    let unauthorized = |fail: Fail| (Some(StatusCode::UNAUTHORIZED), fail);
    let (key_id, secret) = credentials(request.headers()).unwrap_or_default();
    let credential = OperatorCredential::Key { dialect: Dialect::Jaze, key_id: &key_id, secret: &secret };
    let Peer(remote) = peer;
    let operator = match shared.gate.enter(credential, &remote.to_string()).await {
        Ok(operator) => operator,
        Err(ServiceError::Denied(Denial::Credential)) => {
            shared.throttle.failed(peer);
            return Err(unauthorized(Fail::new(401, "Invalid API credentials")));
        }
        Err(ServiceError::Denied(Denial::Disabled)) => {
            return Err(plain(Fail::new(403, "API access is disabled")));
        }
        Err(other) => return Err(plain(other.into())),
    };
    shared.throttle.succeeded(peer);
    let params = if route.verb == Verb::Post { read(request).await? } else { Params::default() };
    let call = Call { operator: &operator, path, params: &params, shared, peer };
    run(&call).await.map_err(plain)
}

/// Token and key in HTTP Basic.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.trim().split_once(' ')?;
    let pair = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// The parameters of a body: parts, JSON or a form. What is called none of them is what it looks like.
async fn read(request: Request) -> Result<Params, (Option<StatusCode>, Fail)> {
    let plain = |fail: Fail| (None, fail);
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let too_large = |status: StatusCode| {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            (Some(status), Fail::new(413, "The request body is too large"))
        } else {
            plain(Fail::malformed("The request body cannot be read"))
        }
    };
    if kind.starts_with("multipart/form-data") {
        let mut parts =
            Multipart::from_request(request, &()).await.map_err(|error| too_large(error.status()))?;
        let mut pairs = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(|error| too_large(error.status()))? {
            let name = part.name().unwrap_or_default().to_owned();
            let value = part.bytes().await.map_err(|error| too_large(error.status()))?;
            pairs.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
        return Params::pairs(pairs).map_err(plain);
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| too_large(error.status()))?;
    let looks = body.trim_ascii_start().first() == Some(&b'{');
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let params = if kind.starts_with("application/json") || (looks && !is_form) {
        Params::json(&body)
    } else {
        Params::form(&body)
    };
    params.map_err(plain)
}

/// 200 with the truth in `errorCode`, but for what concerns HTTP itself.
fn respond(outcome: Result<answer::Answer, (Option<StatusCode>, Fail)>, rest: bool) -> Response {
    let (status, body) = match outcome {
        Ok(answer::Answer(body)) => (StatusCode::OK, body),
        Err((status, fail)) => {
            let mirrored =
                StatusCode::from_u16(fail.code).ok().filter(|_| rest || matches!(fail.code, 429 | 500));
            (status.or(mirrored).unwrap_or(StatusCode::OK), answer::failure(&fail))
        }
    };
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"Jaze\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_40_endpoints_and_what_clients_need_besides() {
        let section_e = ROUTES.iter().position(|route| route.name == "authenticate_user").unwrap();
        assert_eq!(section_e, 40);
        let get = ROUTES[..section_e].iter().filter(|route| route.verb == Verb::Get).count();
        assert_eq!((get, section_e - get), (18, 22));
        assert_eq!(ROUTES.len() - section_e, 17);
    }
}
