//! The Jaze ISP Manager API: section E under `/api/v1`, and what its clients call besides (docs/jaze.md).
//!
//! Owns the original's paths, parameters, shapes and codes. One table says which calls there are; `call`
//! reads, `translate` and `wire` write. Paths are matched here and not by the router: clients leave
//! segments empty and double slashes (see `path`).

mod accounts;
mod answer;
mod call;
mod dates;
mod describe;
pub(super) mod fuzz;
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
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use utoipa::openapi::OpenApi;

use self::accounts::{Account, Admin};
use self::answer::{Fail, Outcome};
use self::call::Call;
use self::describe::Kind::{Day, Money, Number, Numbers, Records, Text, Word};
use self::describe::{ON, Param, Schemas, Shape, USER, YES, bare, data, may, message, must, nothing};
use self::params::Params;
use self::path::Path;
use self::tier2::{BalanceEnvelope, Bandwidth, Listed, Made, Payment, Profile, Session};
use self::translate::STATUSES;
use self::wire::{
    BasicUser, ByPhone, Counts, FlatUser, Group, LogOff, Message, Part, Password, Place, RenewalRow, Visit,
};
use super::Shared;
use super::listener::Written;
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
    about: &'static str,
    /// Segments of the path of a GET, members of the body of a POST.
    params: &'static [Param],
    /// The shape of a success.
    success: fn(&mut Schemas) -> Shape,
}

impl Route {
    /// Segments that its path has at most.
    const fn segments(&self) -> usize {
        match self.verb {
            Verb::Get => self.params.len(),
            Verb::Post => 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The table of calls: name, verb, who answers, what it is about, what it is told, what it tells.
macro_rules! calls {
    ($($name:literal $verb:ident $handler:path, $about:literal, $params:expr, $success:expr;)*) => {
        const ROUTES: &[Route] = &[$(Route {
            name: $name,
            verb: Verb::$verb,
            about: $about,
            params: $params,
            success: $success,
        }),*];

        async fn run(call: &Call<'_>) -> Outcome {
            match call.path.call.as_str() {
                $($name => Box::pin($handler(call)).await,)*
                _ => Err(Fail::not_found("Endpoint")),
            }
        }
    };
}

calls! {
    "get_details" Get users::get_details, "A user (E1, E2)", &[must("userId", Number)], data::<Vec<Part>>;
    "get_all" Get users::get_all, "All users (E3)", &[], data::<Vec<Vec<Part>>>;
    "get_users_by_date" Get users::get_users_by_date, "Users made or changed in some days (E4)", &[
        may("FromDate", Day), may("toDate", Day), may("basedOn", Word(&["created", "modified"])),
    ], data::<Vec<FlatUser>>;
    "get_group_details" Get groups::get_group_details, "Groups (E5)", &[
        may("groupId", Number),
    ], data::<Vec<Group>>;
    "get_all_user_ids" Get users::get_all_user_ids, "Numbers of all users (E6)", &[], bare::<Vec<String>>;
    "get_users_by_phone" Post users::get_users_by_phone, "Numbers of the users with a telephone (E7)", &[
        must("phone", Number), may("status", Word(&STATUSES)),
    ], bare::<ByPhone>;
    "get_user_by_phone" Get users::get_user_by_phone, "The users with a telephone (E8)", &[
        must("phone", Number), may("status", Word(&STATUSES)),
    ], data::<Vec<FlatUser>>;
    "get_user_by_username" Get users::get_user_by_username, "A user by name (E9)", &[
        must("username", Text),
    ], data::<Vec<FlatUser>>;
    "move_group" Post users::move_group, "Moves a user to another group (E10)", &[
        must("userId", Number), must("groupId", Number), must("type", Word(&users::MOVES)),
        may("customDateTo", Day), must("clearUserDataUsage", YES), must("clearUserPolicies", YES),
        must("moveBilling", YES),
    ], message::<String>;
    "get_user_password" Get users::get_user_password, "A password (E11)", &[
        must("userId", Number),
    ], message::<Password<'_>>;
    "delete_user" Get users::delete_user, "Deletes a user (E12)", &[
        must("userId", Number), may("clear_unfinished_billing", YES),
    ], message::<String>;
    "get_user_from_all_accounts" Get users::get_user_from_all_accounts, "Users of all accounts by telephone or name (E13)", &[
        must("type", Word(&["phone", "username"])), must("value", Text),
    ], data::<Vec<Part>>;
    "add_grace_period" Post users::add_grace_period, "Puts off a user's end (E14)", &[
        must("userId", Number), must("days", Number), may("expiryDate", Day),
    ], message::<String>;
    "add_area" Post places::add_area, "Makes an area, or names one anew (E15)", &[
        must("areaName", Text), may("inputAreaId", Number),
    ], nothing;
    "add_street" Post places::add_street, "Makes a street, or names one anew (E16)", &[
        must("StreetName", Text), must("inputAreaId", Number), may("inputStreetId", Number),
    ], nothing;
    "add_block" Post places::add_block, "Makes a building, or names one anew (E17)", &[
        must("BlockName", Text), must("inputStreetId", Number), may("inputBlockId", Number),
    ], nothing;
    "get_all_areas" Get places::get_all_areas, "Areas (E18)", &[], data::<Vec<Place>>;
    "get_all_streets" Post places::get_all_streets, "Streets (E19)", &[
        may("inputAreaId", Number),
    ], data::<Vec<Place>>;
    "get_all_buildings" Post places::get_all_buildings, "Buildings (E20)", &[
        may("streetId", Number),
    ], data::<Vec<Place>>;
    "get_collection_users_areawise" Post places::get_collection_users_areawise, "Whom an operator is to visit (E21)", &[
        must("adminId", Number), may("areaId", Number), may("userWithBalance", Word(&["1", "0"])),
    ], data::<Vec<Vec<Visit>>>;
    "get_collection_approval_users" Post places::get_collection_approval_users, "Payments that wait for approval (E22)", &[
        may("fromDate", Day), may("toDate", Day), may("adminId", Number),
    ], data::<Vec<Vec<Visit>>>;
    "collection_approval" Post places::collection_approval, "Approves a payment (E23)", &[
        must("userId", Number), must("amount", Money), must("modelId", Number),
    ], message::<String>;
    "collection_disapproval" Post places::collection_disapproval, "Rejects a payment (E24)", &[
        must("userId", Number), must("modelId", Number),
    ], message::<String>;
    "collect_user_payment" Post places::collect_user_payment, "Notes a visit (E25)", &[
        must("userId", Number), must("amount", Money), must("statusOfCollection", Word(&places::VISITS)),
        must("method", Word(&places::METHODS)), may("bank", Text), may("chequeNumber", Number),
        may("chequeDate", Text), may("cardNumber", Text), may("cardExpiration", Text), must("notes", Text),
    ], message::<String>;
    "get_logofftime_onlinestatus" Get users::get_logofftime_onlinestatus, "When a user was last online (E26)", &[
        must("userId", Number),
    ], data::<LogOff>;
    "assign_users_to_admin" Post places::assign_users_to_admin, "Who collects from a user (E27)", &[
        must("userId", Number), must("accountId", Text), must("adminId", Number),
    ], message::<String>;
    "override_user_bandwidth" Post overrides::override_user_bandwidth, "Other rates for a user (E28)", &[
        must("userId", Number), may("bandwidthRestriction", ON),
        may("bandwidthReset", Word(&overrides::RESETS)), may("bandwidthResetLimit", Number),
        may("bandwidthResetUnitData", Word(&overrides::UNITS)),
        may("bandwidthResetEvery", Word(&overrides::EVERY)), may("bandwidthResetEveryValue", Number),
        may("bandwidthResetEveryValueDay", Number), may("bandwidthTemplate", Number),
        may("bandwidthReset2", Word(&["always"])), may("bandwidthTemplate2", Number),
        may("excludeUpload", YES), may("carryForwardPreviousData", YES),
    ], message::<String>;
    "get_allowed_groups" Get groups::get_allowed_groups, "The groups that a user may be moved to (E29)", &[
        must("userId", Number),
    ], data::<Vec<Group>>;
    "override_user_vendor_attributes" Post overrides::override_user_vendor_attributes, "Other attributes for a user (E30)", &[
        must("userId", Number), may("vendorRestriction", ON), may("vendorReset", Word(&overrides::RESETS)),
        may("vendorResetLimit", Number), may("vendorResetUnitData", Word(&overrides::UNITS)),
        may("vendorResetEvery", Word(&overrides::EVERY)), may("vendorResetEveryValue", Number),
        may("vendorResetEveryValueDay", Number), may("vendorReset2", Word(&["always"])),
        may("vendorData", Records(&["type", "vendor", "attribute", "equals", "value"])),
        may("vendorData1", Records(&["type", "vendor", "attribute", "equals", "value"])),
    ], message::<String>;
    "coa_request" Post overrides::coa_request, "Asks the NASes of a user's sessions for a change (E31)", &[
        must("userId", Number), must("vendorData", Records(&["attribute", "value"])),
    ], message::<Vec<String>>;
    "send_sms_to_user" Post messages::send_sms_to_user, "A text to a user (E32)", &[
        must("userId", Number), must("templateName", Word(&messages::SMS)),
        may("sendSmsTo", Word(&["true", "false"])), may("grantAccessType", Word(&messages::ACCESS)),
        may("usageAlertType", Word(&messages::USAGE)), may("sendMultipleSms", YES),
        may("userIds", Numbers), may("ticketId", Text), may("otp", Text),
    ], message::<String>;
    "send_email_to_user" Post messages::send_email_to_user, "A letter to a user (E33)", &[
        must("userId", Number), must("templateName", Word(&messages::EMAIL)),
        may("userReciptType", Word(&messages::ACCESS)), may("usageAlertType", Word(&messages::USAGE)),
        may("ticketId", Text), may("otp", Text),
    ], message::<String>;
    "release_ip_mac" Post users::release_ip_mac, "Takes away what a user is bound to (E34)", &[
        must("userId", Number), must("whichIpMacRow", Number),
        may("toRemove", Word(&["ip", "mac", "both"])),
    ], message::<String>;
    "get_renewal_details" Post users::get_renewal_details, "Renewals (E35)", &[
        may("userId", Number), may("fromDate", Day), may("toDate", Day),
    ], message::<Vec<RenewalRow>>;
    "get_radius_statistics" Get accounts::get_radius_statistics, "The server's counters (E36)", &[
        must("type", Word(&["1", "2"])),
    ], bare::<Vec<String>>;
    "get_users_count" Get users::get_users_count, "Counts by status (E37)", &[
        may("accountId", Text),
    ], message::<Counts>;
    "recover_password" Post users::recover_password, "Sends credentials to whom they belong (E38)", &[
        may("phone", Number), may("email", Text),
    ], message::<String>;
    "payment_collection_request" Get places::payment_collection_request, "A user asks to be visited (E39)", &[
        must("userId", Number), may("bringChangeFor", Word(&places::CHANGE)),
    ], message::<String>;
    "get_user_logs" Get users::get_user_logs, "What was sent to a user (E40)", &[
        must("userId", Number), may("type", Word(&["email", "sms"])),
    ], message::<Vec<Message>>;
    "get_basic_user_details" Get users::get_basic_user_details, "All users, in short (E41)", &[], data::<Vec<BasicUser>>;
    "authenticate_user" Post tier2::authenticate_user, "A user proves who it is", &[
        must("username", Text), must("password", Text),
    ], bare::<Vec<String>>;
    "add_user" Post tier2::add_user, "Makes a user", USER, bare::<Made>;
    "edit_user" Post tier2::edit_user, "Changes a user", USER, bare::<Made>;
    "get_users" Get tier2::get_users, "A page of users", &[
        may("page", Number), may("perPage", Number), may("status", Word(&STATUSES)),
    ], bare::<Listed>;
    "get_usersession_details" Get tier2::get_usersession_details, "Sessions of a user", &[
        must("userId", Number), may("fromDate", Day), may("toDate", Day),
    ], data::<Vec<Session>>;
    "get_active_user_session_details" Get tier2::get_active_user_session_details, "Open sessions", &[
        may("userId", Number),
    ], data::<Vec<Session>>;
    "disconnect_user_sessions" Post tier2::disconnect_user_sessions, "Ends a user's sessions", &[
        must("userId", Number),
    ], message::<Vec<String>>;
    "block_unblock_user" Post tier2::block_unblock_user, "Blocks a user, or no longer", &[
        must("userId", Number), must("state", Word(&["block", "unblock"])), may("notes", Text),
    ], message::<String>;
    "get_balance" Get tier2::get_balance, "What a user owes", &[
        must("userId", Number),
    ], bare::<BalanceEnvelope>;
    "make_payment" Post tier2::make_payment, "Books a payment", &[
        must("userId", Number), must("amount", Money), may("method", Text), may("notes", Text),
    ], message::<String>;
    "get_payment_details" Get tier2::get_payment_details, "Payments of a user", &[
        must("userId", Number),
    ], data::<Vec<Payment>>;
    "renew" Post tier2::renew, "A user's group begins anew", &[
        must("userId", Number), may("isRenewPresentDate", Word(&["true", "false", "previous"])),
        may("notes", Text),
    ], message::<String>;
    "get_profile_details" Get tier2::get_profile_details, "Profiles", &[
        may("profileId", Number),
    ], data::<Vec<Profile>>;
    "get_all_profile_ids" Get tier2::get_all_profile_ids, "Numbers of all profiles", &[], bare::<Vec<String>>;
    "get_bandwidth_details" Get tier2::get_bandwidth_details, "Bandwidth templates", &[
        may("bandwidthId", Number),
    ], data::<Vec<Bandwidth>>;
    "get_account_details" Get accounts::get_account_details, "Accounts", &[
        may("accountId", Text),
    ], data::<Vec<Account>>;
    "get_all_admins" Get accounts::get_all_admins, "Operators", &[], data::<Vec<Admin>>;
}

/// What stands before each of its paths.
pub(super) const ROOT: &str = "/api/v1";

/// Everything below it, on the main listener, and what there is.
pub(super) fn router(shared: &Shared) -> (Router, OpenApi) {
    let router = Router::new().route("/api/v1/{*call}", any(serve)).with_state(shared.clone());
    (router, describe::document(ROUTES, shared.dialects.jaze.rest_errors))
}

/// Answers a request in the original's words, whatever becomes of it.
async fn serve(State(shared): State<Shared>, peer: Peer, request: Request) -> Response {
    let rest = shared.dialects.jaze.rest_errors;
    let written = request.extensions().get().map_or_else(|| request.uri().path(), |Written(uri)| uri.path());
    let Some(path) = Path::parse(written) else {
        return respond(Err((Some(StatusCode::NOT_FOUND), Fail::not_found("Endpoint"))), rest);
    };
    let late = || (Some(StatusCode::REQUEST_TIMEOUT), Fail::new(408, "The request took too long"));
    let answered = tokio::time::timeout(shared.timeout, answer(&shared, peer, &path, request)).await;
    let mut response = respond(answered.unwrap_or_else(|_| Err(late())), rest);
    if let Some(route) = ROUTES.iter().find(|route| route.name == path.call) {
        response.extensions_mut().insert(Endpoint(route.name));
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = header::HeaderValue::from_static(route.verb.as_str());
            response.headers_mut().insert(header::ALLOW, allowed);
        }
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
    let known = ROUTES.iter().find(|route| route.name == path.call && path.len() <= route.segments());
    let Some(route) = known else {
        return Err((Some(StatusCode::NOT_FOUND), Fail::not_found("Endpoint")));
    };
    if request.method().as_str() != route.verb.as_str() {
        let fail = Fail::new(405, format!("Use {} for {}", route.verb.as_str(), route.name));
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
    // Whoever names an account acts as one of that account, whatever is called.
    let narrowed = match params.text("accountId").map_err(plain)? {
        Some(account) => Some(accounts::within(&operator, account).await.map_err(plain)?),
        None => None,
    };
    let operator = narrowed.as_ref().unwrap_or(&operator);
    run(&Call { operator, path, params: &params, shared, peer }).await.map_err(plain)
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
    use super::super::transcripts::{self, Asked};
    use super::*;

    #[test]
    fn there_are_40_endpoints_and_what_clients_need_besides() {
        let section_e = ROUTES.iter().position(|route| route.name == "authenticate_user").unwrap();
        assert_eq!(section_e, 40);
        let get = ROUTES[..section_e].iter().filter(|route| route.verb == Verb::Get).count();
        assert_eq!((get, section_e - get), (18, 22));
        assert_eq!(ROUTES.len() - section_e, 17);
    }

    #[test]
    fn every_call_has_transcripts_of_success_and_of_each_failure_that_it_can_have() {
        let all = transcripts::of("jaze");
        assert!(all.len() > 400, "only {} requests", all.len());
        let is_of = |asked: &Asked, route: &Route| {
            let path = asked.path.trim_start_matches('/').trim_start_matches("%20");
            path.split('/').next() == Some(route.name)
        };
        let mut missing = Vec::new();
        for route in ROUTES {
            let own: Vec<&Asked> = all.iter().filter(|asked| is_of(asked, route)).collect();
            let mut wants = |what: &str, found: &dyn Fn(&Asked) -> bool| {
                if !own.iter().any(|asked| found(asked)) {
                    missing.push(format!("{}: {what}", route.name));
                }
            };
            let failed = |code: u16, asked: &Asked| {
                asked.answer.contains(&format!("\"status\":\"failed\",\"errorCode\":{code}"))
            };
            wants("a success", &|asked| asked.answer.starts_with("200") && !asked.answer.contains("failed"));
            wants("nobody's", &|asked| asked.who == "nobody" && failed(401, asked));
            wants("one without the right", &|asked| asked.who != "all" && failed(403, asked));
            for param in route.params {
                let says = |words: &str| format!("The field {} {words}", param.name);
                if param.required {
                    wants(&says("is mandatory"), &|asked| asked.answer.contains(&says("is mandatory")));
                }
                let (code, words) = match param.kind {
                    Number | Numbers | Money => (400, "must be numeric"),
                    Day => (400, "must be a date"),
                    Word(_) => (422, "must be one of"),
                    Records(_) => (400, "must be a list of records"),
                    Text => continue,
                };
                wants(&says(words), &|asked| failed(code, asked) && asked.answer.contains(&says(words)));
                if param.name == "userId" && route.name != "add_user" {
                    let nobody =
                        |asked: &Asked| failed(404, asked) && asked.answer.contains("User not found");
                    wants("nobody of that number", &nobody);
                    wants("another account's user", &|asked| asked.who == "shop" && nobody(asked));
                }
            }
        }
        assert!(missing.is_empty(), "no transcript of\n{}", missing.join("\n"));
    }
}
