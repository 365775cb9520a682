//! The IBSng API: JSON-RPC, and XML-RPC as a second envelope over the same methods, at the root of listeners of
//! their own. Everything is answered with status 200, errors too.
//!
//! Refuses to know SQL, sessions and RADIUS, and the other dialects. `json` and `xmlrpc` are the envelopes,
//! `methods` has the methods; `attrs`, `conds` and `dates` read what they are given, `shapes` writes what they
//! answer.

mod attrs;
mod conds;
mod dates;
mod fault;
pub(super) mod fuzz;
mod json;
mod login;
mod methods;
mod multi_str;
mod numbers;
mod params;
mod refusal;
mod shapes;
mod value;
mod xmlrpc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use self::fault::{Fault, texts};
use self::value::Value;
use super::Shared;
use super::peer::Peer;
use super::server::Endpoint;

/// `[ibsng]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rows that a report or a search has at most.
    pub report_rows: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { report_rows: 100_000 }
    }
}

/// A request, whatever its envelope was.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    method: String,
    params: Value,
    id: Value,
}

/// The routes of a listener that carries one envelope or both; where it carries both, `/` is JSON-RPC's.
pub(super) fn router(shared: &Shared, json: bool, xml: bool) -> Router {
    let mut routes = Router::new();
    if json {
        routes = routes.route("/", post(json_rpc));
    } else if xml {
        routes = routes.route("/", post(xml_rpc));
    }
    if xml {
        // Clients call it by any of three names.
        routes = routes.route("/xmlrpc", post(xml_rpc)).route("/RPC2", post(xml_rpc));
    }
    routes.with_state(shared.clone())
}

/// Whatever the type of the content is said to be: clients say anything.
async fn json_rpc(State(shared): State<Shared>, request: Request) -> Response {
    let Answered { id, method, answer } = answer(&shared, request, json::read).await;
    respond(method, "application/json; charset=utf-8", json::write(&id, &answer))
}

async fn xml_rpc(State(shared): State<Shared>, request: Request) -> Response {
    let incomplete = || (Value::Null, texts::INCOMPLETE_REQUEST.of(&["method"]));
    let read = |body: &[u8]| xmlrpc::read(body).ok_or_else(incomplete);
    let Answered { method, answer, .. } = answer(&shared, request, read).await;
    respond(method, "text/xml; charset=utf-8", xmlrpc::write(&answer))
}

/// What a request comes to, whatever its envelope was.
struct Answered {
    id: Value,
    /// Its method, where that is known, so that it may be counted.
    method: &'static str,
    answer: Result<Value, Fault>,
}

/// Reads a request and runs its method, and says so where that takes too long: in the envelope, since a status
/// other than 200 is no answer to clients.
async fn answer(
    shared: &Shared,
    request: Request,
    read: impl Fn(&[u8]) -> Result<Call, (Value, Fault)>,
) -> Answered {
    let peer = Peer::of(request.extensions());
    let (mut id, mut method) = (Value::Null, "other");
    let asked = async {
        let call = read(&body(request).await?).map_err(|(told, fault)| {
            id = told;
            fault
        })?;
        id.clone_from(&call.id);
        method = methods::known(&call.method)?;
        login::answer(shared, peer, method, &call).await
    };
    let answer = tokio::time::timeout(shared.timeout, asked).await.unwrap_or_else(|_| {
        tracing::debug!(method, "IBSng: a request took too long");
        Err(texts::INTERNAL_ERROR.plain())
    });
    Answered { id, method, answer }
}

async fn body(request: Request) -> Result<Bytes, Fault> {
    Bytes::from_request(request, &()).await.map_err(|_| texts::INCOMPLETE_REQUEST.of(&["method"]))
}

fn respond(method: &'static str, kind: &'static str, text: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response.extensions_mut().insert(Endpoint(method));
    response
}
