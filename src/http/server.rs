//! Listening: which listener carries what, how much a request may cost, how it drains.
//!
//! `/health` is 200 while the server serves, degraded or not, and 503 while it stops: a probe that
//! took a degraded server out of service would turn a slow database into an outage, which logins
//! from memory are there to prevent. What is degraded is in the body and in `tollkeeper_degraded`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::normalize_path::NormalizePath;
use tower_http::timeout::TimeoutLayer;

use super::listener::Served;
use super::peer::Peer;
use super::throttle::Throttle;
use super::tls::{Certificate, TlsError};
use super::{Settings, antamedia, ibsng, jaze, mfusion, openapi};
use crate::service::{Health, HealthReport, HealthStatus, ManagementGate};
use crate::telemetry::{Metrics, names};
use crate::time::{Clock, UnixTime};

/// What the listeners show, and what every handler may use.
#[derive(Clone)]
pub struct Shared {
    /// Where operators come in.
    pub gate: ManagementGate,
    /// Who has shown too many wrong credentials.
    pub throttle: Throttle,
    /// Who, with a key that is right, has asked for too many passwords that are wrong.
    pub guesses: Throttle,
    /// How the dialects answer.
    pub dialects: Arc<Dialects>,
    /// Longest time from a request's first octet to its answer.
    pub timeout: Duration,
    /// What `/health` says.
    pub health: Arc<Health>,
    /// What `/metrics` says.
    pub metrics: Metrics,
    /// For the age of the process and the duration of requests.
    pub clock: Arc<dyn Clock>,
    /// When the process began.
    pub started: UnixTime,
}

/// How the dialects answer.
#[derive(Clone, Debug, Default)]
pub struct Dialects {
    /// `[mfusion]`
    pub mfusion: mfusion::Settings,
    /// `[antamedia]`
    pub antamedia: antamedia::Settings,
    /// `[jaze]`
    pub jaze: jaze::Settings,
    /// `[ibsng]`
    pub ibsng: ibsng::Settings,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address}: {source}")]
pub struct BindError {
    /// The key of the configuration (`http.listen`).
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// Where the listeners really are, port 0 resolved; `None` is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// `http.listen`
    pub http: Option<SocketAddr>,
    /// `ibsng.listen`
    pub ibsng: Option<SocketAddr>,
    /// `antamedia.listen`
    pub antamedia: Option<SocketAddr>,
    /// `ibsng.xmlrpc`
    pub xmlrpc: Option<SocketAddr>,
}

/// Open listeners, not yet served.
#[derive(Debug)]
pub struct Listeners {
    open: Vec<Open>,
    addresses: Addresses,
}

#[derive(Debug)]
struct Open {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(&'static str, Certificate)>,
}

/// The certificates of the listeners, to be read again while they serve.
#[derive(Clone, Debug)]
pub struct Certificates(Vec<(&'static str, Certificate)>);

impl Certificates {
    /// Puts what the files hold now in force for new connections. Whether a listener has TLS stays as it is.
    ///
    /// # Errors
    /// The first that cannot serve, with its key; the old ones of it and of those after it stay in force.
    pub fn reload(&self, settings: &Settings) -> Result<(), (&'static str, TlsError)> {
        for (key, files) in settings.tls.files() {
            for (_, certificate) in self.0.iter().filter(|(known, _)| *known == key) {
                certificate.reload(files).map_err(|error| (key, error))?;
            }
        }
        Ok(())
    }
}

impl Listeners {
    /// Opens what the settings name. Two keys with one address share a listener.
    ///
    /// # Errors
    /// The first that cannot be opened: in use, or not an address of this machine, or a certificate that
    /// cannot serve.
    pub async fn bind(settings: &Settings) -> Result<Self, BindError> {
        let mut open: Vec<Open> = Vec::new();
        let mut bound: Vec<(SocketAddr, SocketAddr)> = Vec::new();
        let mut addresses = Addresses::default();
        let wanted = [
            ("http", "http.listen", settings.listen, &mut addresses.http),
            ("ibsng", "ibsng.listen", settings.ibsng, &mut addresses.ibsng),
            ("antamedia", "antamedia.listen", settings.antamedia, &mut addresses.antamedia),
            ("xmlrpc", "ibsng.xmlrpc", settings.xmlrpc, &mut addresses.xmlrpc),
        ];
        for (name, key, address, real) in wanted {
            let Some(address) = address else { continue };
            let shared = bound.iter().find(|(asked, _)| *asked == address && address.port() != 0);
            if let Some((_, same)) = shared {
                *real = Some(*same);
                continue;
            }
            let error = |source| BindError { key, address, source };
            let files = settings.tls.files().find(|(key, _)| key.split('.').next() == Some(name));
            let tls = match files {
                Some((key, files)) => {
                    let loaded = Certificate::load(files).map_err(|error| BindError {
                        key,
                        address,
                        source: io::Error::other(error),
                    });
                    Some((key, loaded?))
                }
                None => None,
            };
            let listener = TcpListener::bind(address).await.map_err(error)?;
            let local = listener.local_addr().map_err(error)?;
            *real = Some(local);
            bound.push((address, local));
            open.push(Open { name, listener, address: local, tls });
        }
        Ok(Self { open, addresses })
    }

    /// Where they are.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Their certificates.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates(self.open.iter().filter_map(|open| open.tls.clone()).collect())
    }

    /// Serves all of them until `stop` resolves, then takes no new connections, finishes the
    /// requests that are under way, and gives up on those that take longer than `drain`.
    pub async fn serve(
        self,
        settings: &Settings,
        shared: Shared,
        stop: impl Future<Output = ()> + Send + 'static,
        drain: Duration,
    ) {
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        for Open { name, listener, address, tls } in self.open {
            let carries = Carries {
                http: self.addresses.http == Some(address),
                antamedia: self.addresses.antamedia == Some(address),
                ibsng: self.addresses.ibsng == Some(address),
                xmlrpc: self.addresses.xmlrpc == Some(address),
            };
            let router = router(name, carries, settings, shared.clone());
            let served = Served {
                name,
                listener,
                router: NormalizePath::trim_trailing_slash(router),
                tls: tls.map(|(_, certificate)| certificate),
                patience: settings.timeout,
            };
            tasks.spawn(served.run(stopped.clone()));
        }
        drop(stopped);
        stop.await;
        let _nobody_listens = stopping.send(true);
        if tokio::time::timeout(drain, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("HTTP requests were cut off: they took longer than the drain allows");
        }
    }
}

/// What a listener carries beside `/health`.
#[derive(Clone, Copy)]
struct Carries {
    http: bool,
    antamedia: bool,
    ibsng: bool,
    xmlrpc: bool,
}

/// The routes of one listener with its limits. A dialect mounts here. Each bounds its own time and answers
/// in its own words when that is over, or when a body is too large: its extractors see that.
fn router(listener: &'static str, carries: Carries, settings: &Settings, shared: Shared) -> Router {
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, settings.timeout);
    let mut routes = Router::new().route("/health", get(health));
    let mut dialects = Router::new();
    if carries.http {
        routes = routes.route("/metrics", get(metrics_text));
        let (mfusion, description) = mfusion::router(&shared);
        let (jaze, calls) = jaze::router(&shared);
        dialects = dialects.nest(mfusion::ROOT, mfusion).merge(jaze);
        let description = openapi::document([(mfusion::ROOT, description), (jaze::ROOT, calls)]);
        routes = routes.route("/openapi.json", get(async move || openapi::answer(description)));
    }
    if carries.antamedia {
        dialects = dialects.merge(antamedia::router(&shared));
    }
    dialects = dialects.merge(ibsng::router(&shared, carries.ibsng, carries.xmlrpc));
    let body_limit = usize::try_from(settings.body_limit).unwrap_or(usize::MAX);
    let clock = Arc::clone(&shared.clock);
    routes
        .with_state(shared)
        .layer(timeout)
        .merge(dialects)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn_with_state((listener, clock), record))
}

/// What a request is counted and logged as, where that is not its route: put into the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint(pub(super) &'static str);

/// Counts, times and logs a request under its route, never under its path, which a stranger chooses and
/// which may hold secrets.
async fn record(
    State((listener, clock)): State<(&'static str, Arc<dyn Clock>)>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
    // What a dialect answers outside of its endpoints has a path of the router's own.
    let route = if route.contains("__private") { "other" } else { route }.to_owned();
    let method = method_name(request.method());
    let peer = Peer::of(request.extensions());
    let began: Instant = clock.now().instant;
    let response = next.run(request).await;
    let took = clock.now().instant.saturating_duration_since(began);
    let route = response.extensions().get::<Endpoint>().map_or(route, |Endpoint(name)| (*name).to_owned());
    let status = response.status().as_str().to_owned();
    if OURS.contains(&route.as_str()) {
        tracing::debug!(listener, route, status, ?took, "HTTP request");
    } else {
        tracing::info!(listener, remote = %peer.0, method, route, status, ?took, "HTTP request");
    }
    metrics::histogram!(names::HTTP_DURATION, "listener" => listener, "route" => route.clone())
        .record(took.as_secs_f64());
    metrics::counter!(names::HTTP_REQUESTS, "listener" => listener, "route" => route, "status" => status)
        .increment(1);
    response
}

/// Asked by machines every few seconds, and no dialect's.
const OURS: [&str; 3] = ["/health", "/metrics", "other"];

/// A method by its name, or that it is none that anybody knows: a stranger may send any word.
fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

async fn health(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let code = match report.status {
        HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    let uptime = shared.clock.now().unix.since(shared.started);
    (code, [(header::CACHE_CONTROL, "no-store")], Json(health_json(&report, uptime))).into_response()
}

fn health_json(report: &HealthReport, uptime: u64) -> serde_json::Value {
    let component = |component: &crate::service::ComponentHealth| match &component.trouble {
        None => json!({ "name": component.name, "status": "ok" }),
        Some((reason, since)) => json!({
            "name": component.name, "status": "degraded", "reason": reason.as_str(), "since": utc(*since),
        }),
    };
    let reasons: Vec<String> = report
        .components
        .iter()
        .filter_map(|component| {
            component.trouble.as_ref().map(|(reason, _)| format!("{}: {reason}", component.name))
        })
        .collect();
    json!({
        "status": report.status.as_str(),
        "reasons": reasons,
        "notices": report.notices.iter().map(|(topic, said)| format!("{topic}: {said}")).collect::<Vec<_>>(),
        "components": report.components.iter().map(component).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime,
    })
}

/// RFC 3339 in UTC.
fn utc(at: UnixTime) -> String {
    jiff::Timestamp::from_second(at.0).map_or_else(|_| String::new(), |instant| instant.to_string())
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::time::SystemClock;

    fn settings() -> Settings {
        let free = Some("127.0.0.1:0".parse().unwrap());
        Settings {
            listen: free,
            ibsng: free,
            antamedia: None,
            xmlrpc: None,
            tls: super::super::Tls::default(),
            body_limit: 1_024,
            timeout: Duration::from_secs(5),
            failures_per_minute: 10,
        }
    }

    struct Running {
        addresses: Addresses,
        health: Arc<Health>,
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<()>,
        _folder: tempfile::TempDir,
    }

    async fn run(settings: Settings) -> Running {
        let listeners = Listeners::bind(&settings).await.unwrap();
        let health = Arc::new(Health::default());
        let (gate, folder) = ManagementGate::of_a_test().await;
        let shared = Shared {
            gate,
            throttle: Throttle::new(settings.failures_per_minute, Arc::new(SystemClock)),
            guesses: Throttle::new(settings.failures_per_minute, Arc::new(SystemClock)),
            dialects: Arc::default(),
            timeout: settings.timeout,
            health: Arc::clone(&health),
            metrics: Metrics::unused(),
            clock: Arc::new(SystemClock),
            started: SystemClock.now().unix,
        };
        let (stop, stopped) = oneshot::channel();
        let addresses = listeners.addresses();
        let until = async move { drop(stopped.await) };
        let task = tokio::spawn(async move {
            listeners.serve(&settings, shared, until, Duration::from_secs(5)).await;
        });
        Running { addresses, health, stop, task, _folder: folder }
    }

    async fn ask(address: Option<SocketAddr>, request: &str) -> String {
        let mut stream = TcpStream::connect(address.unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn health_says_what_is_degraded_and_why() {
        let running = run(settings()).await;
        let well = ask(running.addresses.http, &get("/health")).await;
        assert!(well.starts_with("HTTP/1.1 200") && well.contains(r#""status":"ok""#), "{well}");
        running.health.degraded("database", "cannot connect", UnixTime(1_700_000_000));
        let ill = ask(running.addresses.ibsng, &get("/health")).await;
        assert!(ill.starts_with("HTTP/1.1 200"), "{ill}");
        assert!(ill.contains(r#""reasons":["database: cannot connect"]"#), "{ill}");
        assert!(ill.contains(r#""since":"2023-11-14T22:13:20Z""#), "{ill}");
        running.health.stopping();
        assert!(ask(running.addresses.http, &get("/health")).await.starts_with("HTTP/1.1 503"));
    }

    #[tokio::test]
    async fn metrics_are_on_the_main_listener_only() {
        let running = run(settings()).await;
        let text = ask(running.addresses.http, &get("/metrics")).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("text/plain; version=0.0.4"), "{text}");
        assert!(ask(running.addresses.ibsng, &get("/metrics")).await.starts_with("HTTP/1.1 404"));
        assert_eq!(running.addresses.antamedia, None);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let running = run(settings()).await;
        let request = format!(
            "POST /mbox/api/hotspot/auth/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n{}",
            "x".repeat(2_000)
        );
        let answer = ask(running.addresses.http, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let envelope = r#"{"status":false,"errorMessage":"The request body is too large.","result":[]}"#;
        assert!(answer.ends_with(envelope), "{answer}");
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let running = run(Settings { timeout: Duration::from_millis(50), ..settings() }).await;
        assert_eq!(ask(running.addresses.http, "GET /he").await, "");
    }

    #[tokio::test]
    async fn a_head_that_comes_octet_by_octet_is_cut_off() {
        let running = run(Settings { timeout: Duration::from_millis(200), ..settings() }).await;
        let stream = TcpStream::connect(running.addresses.http.unwrap()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let trickle = async {
            let mut octet: &[u8] = b"GET /health HTTP/1.1\r\nX: ";
            while writer.write_all(octet).await.is_ok() {
                octet = b"x";
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = Vec::new();
        let ended = async {
            tokio::select! {
                () = trickle => {}
                _ = reader.read_to_end(&mut answer) => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_and_returns() {
        let running = run(settings()).await;
        let mut idle = TcpStream::connect(running.addresses.http.unwrap()).await.unwrap();
        idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        running.stop.send(()).unwrap();
        running.task.await.unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
    }

    #[tokio::test]
    async fn equal_addresses_share_a_listener_and_a_taken_one_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = Listeners::bind(&Settings { ibsng: Some(address), ..settings() }).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("ibsng.listen: {address}: ")), "{error}");
        drop(taken);
        let both = Settings { listen: Some(address), ibsng: Some(address), ..settings() };
        let listeners = Listeners::bind(&both).await.unwrap();
        assert_eq!(listeners.addresses().http, listeners.addresses().ibsng);
    }
}
