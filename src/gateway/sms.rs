//! Texts to telephones, by a service that takes them over HTTP.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::SettingsError;
use crate::domain::DueMessage;
use crate::radius::Secret;
use crate::service::GatewayError;

/// Octets of an answer that are read.
const ANSWER_MAX: u64 = 16 * 1024;

/// A service that takes texts.
pub(super) struct Sms {
    /// Host and port, to connect to.
    address: String,
    /// The same as the URL has it.
    host: String,
    path: String,
    token: Option<Secret>,
}

impl Sms {
    pub(super) fn new(url: &str, token: Option<&Secret>) -> Result<Self, SettingsError> {
        let wrong = |reason: &str| SettingsError { key: "messages.sms_url", reason: reason.to_owned() };
        let rest = url.strip_prefix("http://").ok_or_else(|| wrong("expects http://host[:port]/path"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || url.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(wrong("expects http://host[:port]/path"));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        Ok(Self { address, host: host.to_owned(), path: format!("/{path}"), token: token.cloned() })
    }

    pub(super) async fn send(&self, message: &DueMessage) -> Result<String, GatewayError> {
        let away = |error: std::io::Error| GatewayError::Unreachable(error.to_string());
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("to", &message.address)
            .append_pair("text", &message.body)
            .finish();
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            self.path,
            self.host,
            form.len()
        );
        if let Some(token) = &self.token {
            request.push_str("Authorization: Bearer ");
            request.push_str(&String::from_utf8_lossy(token.octets()));
            request.push_str("\r\n");
        }
        request.push_str("Connection: close\r\n\r\n");
        request.push_str(&form);
        let mut stream = TcpStream::connect(&self.address).await.map_err(away)?;
        stream.write_all(request.as_bytes()).await.map_err(away)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).await.map_err(away)?;
        read(&String::from_utf8_lossy(&answer))
    }
}

/// What the status says: 2xx took it, 5xx and 429 may take it later.
fn read(answer: &str) -> Result<String, GatewayError> {
    let line = answer.lines().next().unwrap_or_default();
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
    match code {
        Some(200..=299) => Ok(line.to_owned()),
        Some(429 | 500..=599) | None => Err(GatewayError::Unreachable(format!("the gateway said {line:?}"))),
        Some(_) => Err(GatewayError::Refused(format!("the gateway said {line:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert!(read("HTTP/1.1 202 Accepted\r\n\r\n").is_ok());
        assert!(matches!(read("HTTP/1.1 503 x"), Err(GatewayError::Unreachable(_))));
        assert!(matches!(read("HTTP/1.1 400 x"), Err(GatewayError::Refused(_))));
        assert!(matches!(read(""), Err(GatewayError::Unreachable(_))));
    }

    #[test]
    fn urls_are_read() {
        let sms = Sms::new("http://sms.example:8080/send?x=1", None).unwrap();
        assert_eq!((sms.address.as_str(), sms.path.as_str()), ("sms.example:8080", "/send?x=1"));
        assert_eq!(Sms::new("http://sms.example", None).unwrap().address, "sms.example:80");
        assert!(Sms::new("https://sms.example", None).is_err());
        assert!(Sms::new("http://", None).is_err());
    }
}
