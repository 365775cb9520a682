//! E-mail by SMTP.

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{PATIENCE, Settings, SettingsError};
use crate::domain::DueMessage;
use crate::service::GatewayError;

/// A server that takes e-mail.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mail {
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self, SettingsError> {
        let wrong = |reason: String| SettingsError { key: "messages.smtp", reason };
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("expects smtp://host:port".to_owned()))?;
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').unwrap_or((rest, ""));
        let default = match scheme {
            "smtp" => 25,
            "smtp+starttls" => 587,
            "smtps" => 465,
            _ => return Err(wrong(format!("{scheme} is not smtp, smtp+starttls or smtps"))),
        };
        let port = match port {
            "" => default,
            port => port.parse().map_err(|_| wrong(format!("{port} is no port")))?,
        };
        let tls = |make: fn(TlsParameters) -> Tls| {
            TlsParameters::new(host.to_owned()).map(make).map_err(|error| wrong(error.to_string()))
        };
        let tls = match scheme {
            "smtp" => Tls::None,
            "smtps" => tls(Tls::Wrapper)?,
            _ => tls(Tls::Required)?,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let (Some(user), Some(password)) = (&settings.smtp_user, &settings.smtp_password) {
            let password = String::from_utf8_lossy(password.octets()).into_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        let from = settings.from.as_deref().unwrap_or("tollkeeper@localhost");
        let from = from
            .parse()
            .map_err(|_| SettingsError { key: "messages.from", reason: format!("{from} is no address") })?;
        Ok(Self { transport: builder.build(), from })
    }

    pub(super) async fn send(&self, message: &DueMessage) -> Result<String, GatewayError> {
        let refused = |why: &dyn std::fmt::Display| GatewayError::Refused(why.to_string());
        let to: Mailbox = message.address.parse().map_err(|_| refused(&"this is no e-mail address"))?;
        let letter = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(message.subject.as_str())
            .header(ContentType::TEXT_PLAIN)
            .body(message.body.to_string())
            .map_err(|error| refused(&error))?;
        match self.transport.send(letter).await {
            Ok(response) => Ok(response.message().collect::<Vec<_>>().join(" ")),
            Err(error) if error.is_permanent() => Err(refused(&error)),
            Err(error) => Err(GatewayError::Unreachable(error.to_string())),
        }
    }
}
