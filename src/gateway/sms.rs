//! Texts to telephones, by a service that takes them over HTTP or HTTPS.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Settings, SettingsError};
use crate::domain::DueMessage;
use crate::service::GatewayError;

/// A service that takes texts.
pub(super) struct Sms {
    host: String,
    port: u16,
    /// Path and query.
    target: String,
    /// What a `Host` header says.
    authority: String,
    bearer: Option<HeaderValue>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Sms {
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self, SettingsError> {
        let wrong = |reason: &str| SettingsError { key: "messages.sms_url", reason: reason.to_owned() };
        let expected = || wrong("expects http://host[:port]/path or https://host[:port]/path");
        let uri: Uri = url.parse().map_err(|_| expected())?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(expected)?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(expected()),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if authority.as_str().contains('@') {
            return Err(wrong("takes no user and password: messages.sms_token is sent along"));
        }
        let tls = if is_tls {
            let name = ServerName::try_from(host.clone()).map_err(|_| expected())?;
            Some((TlsConnector::from(trust(settings.sms_ca.as_deref())?), name))
        } else {
            None
        };
        let bearer = settings.sms_token.as_ref().map(|token| {
            let mut value = HeaderValue::from_bytes(&[b"Bearer ", token.octets()].concat()).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let bearer = match bearer {
            Some(None) => {
                let reason = "cannot be sent in a header".to_owned();
                return Err(SettingsError { key: "messages.sms_token", reason });
            }
            other => other.flatten(),
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            authority: authority.as_str().to_owned(),
            host,
            bearer,
            tls,
        })
    }

    pub(super) async fn send(&self, message: &DueMessage) -> Result<String, GatewayError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(away)?;
        match &self.tls {
            None => self.ask(stream, message).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(away)?;
                self.ask(stream, message).await
            }
        }
    }

    async fn ask<S>(&self, stream: S, message: &DueMessage) -> Result<String, GatewayError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("to", &message.address)
            .append_pair("text", &message.body)
            .finish();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.target)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(form).map_err(away)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
        // The head says all that is asked for; what is still to come of the body is left unread.
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // Many a service closes without a word as soon as it has answered; that is no failure.
            _ended = connection => answer.await,
        };
        judge(answer.map_err(away)?.status())
    }
}

fn away(error: impl std::error::Error) -> GatewayError {
    let source = error.source().map(|source| format!(": {source}"));
    GatewayError::Unreachable(format!("{error}{}", source.unwrap_or_default()))
}

/// The authorities whose certificates are believed: those of a file, else the ones that browsers believe.
fn trust(file: Option<&Path>) -> Result<Arc<ClientConfig>, SettingsError> {
    let wrong = |reason: String| SettingsError { key: "messages.sms_ca", reason };
    let mut roots = RootCertStore::empty();
    match file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for certificate in found.map_err(|error| wrong(format!("{}: {error}", file.display())))? {
                roots.add(certificate).map_err(|error| wrong(format!("{}: {error}", file.display())))?;
            }
            if roots.is_empty() {
                return Err(wrong(format!("{}: there is no certificate in it", file.display())));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// What the status says: 2xx took it, 5xx and 429 may take it later.
fn judge(status: StatusCode) -> Result<String, GatewayError> {
    let said = format!("the gateway said {status}");
    if status.is_success() {
        Ok(said)
    } else if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(GatewayError::Unreachable(said))
    } else {
        Err(GatewayError::Refused(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let judged = |code| judge(StatusCode::from_u16(code).unwrap());
        assert!(judged(202).is_ok());
        for later in [429, 500, 503] {
            assert!(matches!(judged(later), Err(GatewayError::Unreachable(_))), "{later}");
        }
        for never in [302, 400, 401] {
            assert!(matches!(judged(never), Err(GatewayError::Refused(_))), "{never}");
        }
    }

    #[test]
    fn urls_are_read() {
        let read = |url| Sms::new(url, &Settings::default());
        let sms = read("http://sms.example:8080/send?x=1").unwrap();
        assert_eq!((sms.host.as_str(), sms.port, sms.target.as_str()), ("sms.example", 8080, "/send?x=1"));
        assert_eq!((read("http://sms.example").unwrap().port, sms.tls.is_some()), (80, false));
        let sms = read("https://sms.example/send").unwrap();
        assert_eq!((sms.port, sms.authority.as_str(), sms.tls.is_some()), (443, "sms.example", true));
        let sms = read("http://[::1]:8080/").unwrap();
        assert_eq!((sms.host.as_str(), sms.authority.as_str()), ("::1", "[::1]:8080"));
        for wrong in ["ftp://sms.example", "sms.example", "http://", "http://a b/", "http://u:p@sms.example/"]
        {
            assert_eq!(read(wrong).err().map(|error| error.key), Some("messages.sms_url"), "{wrong}");
        }
    }
}
