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
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tower_http::timeout::TimeoutLayer;

use self::fault::{Fault, texts};
use self::value::Value;
use super::Shared;
use super::peer::Peer;
use super::server::Endpoint;

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
    routes
        .with_state(shared.clone())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, shared.timeout))
}

/// Whatever the type of the content is said to be: clients say anything.
async fn json_rpc(State(shared): State<Shared>, request: Request) -> Response {
    let peer = Peer::of(request.extensions());
    let (id, method, answer) = match body(request).await {
        Err(fault) => (Value::Null, "other", Err(fault)),
        Ok(body) => match json::read(&body) {
            Err((id, fault)) => (id, "other", Err(fault)),
            Ok(call) => {
                let (method, answer) = answer(&shared, peer, &call).await;
                (call.id, method, answer)
            }
        },
    };
    respond(method, "application/json; charset=utf-8", json::write(&id, &answer))
}

async fn xml_rpc(State(shared): State<Shared>, request: Request) -> Response {
    let peer = Peer::of(request.extensions());
    let (method, answer) = match body(request).await {
        Err(fault) => ("other", Err(fault)),
        Ok(body) => match xmlrpc::read(&body) {
            None => ("other", Err(texts::INCOMPLETE_REQUEST.of(&["method"]))),
            Some(call) => answer(&shared, peer, &call).await,
        },
    };
    respond(method, "text/xml; charset=utf-8", xmlrpc::write(&answer))
}

async fn body(request: Request) -> Result<Bytes, Fault> {
    Bytes::from_request(request, &()).await.map_err(|_| texts::INCOMPLETE_REQUEST.of(&["method"]))
}

/// A method by its name, and what it answers. What it is called by is known, so that it may be counted.
async fn answer(shared: &Shared, peer: Peer, call: &Call) -> (&'static str, Result<Value, Fault>) {
    match methods::known(&call.method) {
        Ok(method) => (method, login::answer(shared, peer, method, call).await),
        Err(fault) => ("other", Err(fault)),
    }
}

fn respond(method: &'static str, kind: &'static str, text: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response.extensions_mut().insert(Endpoint(method));
    response
}
