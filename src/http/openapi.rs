//! What the JSON dialects offer, as `/openapi.json` tells it: gathered from the handlers themselves.

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Tollkeeper",
    description = "The management APIs of Tollkeeper that speak JSON.",
    license(name = "MIT OR Apache-2.0")
))]
struct Document;

/// The document of dialects, each below its root.
pub(super) fn document<const N: usize>(dialects: [(&str, OpenApi); N]) -> Bytes {
    let mut document = Document::openapi();
    for (root, dialect) in dialects {
        document = document.nest(root, dialect);
    }
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
    components.add_security_scheme(KEY, SecurityScheme::Http(key));
    document.to_json().unwrap_or_default().into()
}

/// The name of the scheme that mFusion's endpoints refer to.
const TOKEN: &str = "token";
/// The name of Jaze's: a key's id, or its account's name, and its secret.
const KEY: &str = "key";

pub(super) fn answer(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
