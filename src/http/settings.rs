//! What can be set about HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use super::tls::TlsFiles;

/// `[http]`, and the listeners of the dialects that clients expect on a port of their own. Equal
/// addresses share one listener; `None` is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// mFusion, Jaze, native API, console, `/metrics`, `/health`.
    pub listen: Option<SocketAddr>,
    /// IBSng.
    pub ibsng: Option<SocketAddr>,
    /// Antamedia.
    pub antamedia: Option<SocketAddr>,
    /// IBSng in XML-RPC.
    pub xmlrpc: Option<SocketAddr>,
    /// Certificates of these listeners; without one a listener speaks plain HTTP.
    pub tls: Tls,
    /// Most octets of a request body.
    pub body_limit: u32,
    /// Longest time from a request's first octet to its answer.
    pub timeout: Duration,
    /// Failed credentials per minute and source address before it is throttled.
    pub failures_per_minute: u32,
}

/// The certificate of each listener. Of listeners that share an address the first has its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Of `http.listen`.
    pub http: Option<TlsFiles>,
    /// Of `ibsng.listen`.
    pub ibsng: Option<TlsFiles>,
    /// Of `antamedia.listen`.
    pub antamedia: Option<TlsFiles>,
}

impl Tls {
    /// The files with the key of the configuration that names them.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &TlsFiles)> {
        let all = [
            ("http.tls_certificate", &self.http),
            ("ibsng.tls_certificate", &self.ibsng),
            ("antamedia.tls_certificate", &self.antamedia),
        ];
        all.into_iter().filter_map(|(key, files)| Some((key, files.as_ref()?)))
    }
}
