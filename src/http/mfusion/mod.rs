//! The mFusion HotSpot API: JSON below `/mbox/api/hotspot`, opened by tokens that `POST /auth` gives.
//!
//! Refuses to know SQL, sessions and RADIUS, and the other dialects. `auth` gives tokens; `extract` reads
//! requests; `wire` has the envelopes and `failure` their failures. A handler takes a `Caller` first, so
//! that nothing is looked at before it is known who asks:
//!
//! ```text
//! /// The profiles by name.
//! #[utoipa::path(get, path = "/profiles", operation_id = "profiles", tag = "mFusion", params(PagingParams),
//!     responses((status = 200, body = List<Profile>), Refusals), security(("token" = [])))]
//! async fn profiles(Caller(operator): Caller, query: Query) -> Result<Json<List<Profile>>, Failure> {
//!     let page = operator.groups(query.paging()).await?;
//!     Ok(Json(List::new(query.paging(), page.map(Profile::from))))
//! }
//! ```

mod access;
mod auth;
mod describe;
mod extract;
mod failure;
pub(super) mod fuzz;
mod profiles;
mod reports;
mod users;
mod wire;

use std::time::Duration;

use axum::{Router, middleware};
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::extract::{Caller, Fields, Query, Segment};
use self::failure::{Failure, FailureBody, Refusals};
use super::Shared;

/// `[mfusion]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `http_errors = "rest"`: errors also as HTTP status.
    pub rest_errors: bool,
    /// `octets = "as-stored"`: input and output as in radacct, not the other way round.
    pub octets_as_stored: bool,
    /// Session rows carry both spellings of their field names.
    pub session_aliases: bool,
    /// How long a token is good for.
    pub token_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rest_errors: false,
            octets_as_stored: false,
            session_aliases: false,
            token_lifetime: Duration::from_hours(1),
        }
    }
}

/// Where the endpoints are.
pub(super) const ROOT: &str = "/mbox/api/hotspot";

fn endpoints() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(auth::auth))
        .routes(routes!(reports::historical))
        .routes(routes!(reports::online))
        .routes(routes!(reports::attempts))
        .routes(routes!(reports::purchases))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::update, users::delete))
        .routes(routes!(users::attach))
        .routes(routes!(users::detach))
        .routes(routes!(profiles::list))
        .routes(routes!(profiles::users))
        .routes(routes!(access::catalogue))
        .routes(routes!(access::show))
        .routes(routes!(access::attach))
        .routes(routes!(access::detach))
}

/// The routes below [`ROOT`], and their description.
pub(super) fn router(shared: &Shared) -> (Router, OpenApi) {
    let (router, mut description) = endpoints().split_for_parts();
    let rest = shared.dialects.mfusion.rest_errors;
    describe::complete(&mut description, rest);
    let router = router
        .fallback(async || Failure::no_route())
        .method_not_allowed_fallback(async || Failure::wrong_method())
        .with_state(shared.clone())
        .layer(TimeoutLayer::with_status_code(failure::TIMED_OUT, shared.timeout))
        .layer(middleware::map_response_with_state(rest, failure::dress));
    (router, description)
}

#[cfg(test)]
mod tests {
    use super::super::transcripts;
    use super::*;

    #[test]
    fn every_endpoint_has_transcripts_of_success_and_of_failure() {
        let asked = transcripts::of("mfusion");
        let (_, description) = endpoints().split_for_parts();
        let (mut missing, mut endpoints) = (Vec::new(), 0);
        for (path, item) in &description.paths.paths {
            let methods = [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)];
            for (method, _) in methods.into_iter().filter(|(_, operation)| operation.is_some()) {
                endpoints += 1;
                let fits = |told: &str| {
                    let told: Vec<&str> = told.trim_end_matches('/').split('/').collect();
                    let template: Vec<&str> = path.split('/').collect();
                    let same = |(one, other): (&&str, &&str)| one.starts_with('{') || one == other;
                    told.len() == template.len() && template.iter().zip(&told).all(same)
                };
                let own = || asked.iter().filter(|asked| asked.method == method && fits(&asked.path));
                for (what, word) in [("success", "\"status\":true"), ("failure", "\"status\":false")] {
                    if !own().any(|asked| asked.answer.contains(word)) {
                        missing.push(format!("{method} {path}: a {what}"));
                    }
                }
            }
        }
        assert!(endpoints > 15, "only {endpoints} endpoints");
        assert!(missing.is_empty(), "no transcript of\n{}", missing.join("\n"));
    }
}
