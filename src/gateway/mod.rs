//! Ways to subscribers' mailboxes and telephones: SMTP, and an HTTP service for texts.
//!
//! Owns connections and time limits. Refuses to know what messages say: the service writes them and asks
//! here to hand them on, one at a time.

mod mail;
mod sms;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Channel, DueMessage};
use crate::radius::Secret;
use crate::service::{Gateway, GatewayError};

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// `[messages]`
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `messages.smtp`: `smtp://host:25`, `smtp+starttls://host:587`, `smtps://host:465`.
    pub smtp: Option<String>,
    /// `messages.smtp_user`
    pub smtp_user: Option<String>,
    /// `messages.smtp_password`
    pub smtp_password: Option<Secret>,
    /// `messages.from`: the sender of e-mails.
    pub from: Option<String>,
    /// `messages.sms_url`: where a text is posted as the form `to=…&text=…`, over HTTP or HTTPS.
    pub sms_url: Option<String>,
    /// `messages.sms_token`: sent as `Authorization: Bearer …`.
    pub sms_token: Option<Secret>,
    /// `messages.sms_ca`: PEM of the authorities that its certificate may be of; without it those that
    /// browsers believe.
    pub sms_ca: Option<PathBuf>,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingsError {
    /// The key of the configuration.
    pub key: &'static str,
    /// Why not.
    pub reason: String,
}

/// The ways that are configured.
pub struct Gateways {
    mail: Option<mail::Mail>,
    sms: Option<sms::Sms>,
}

impl Gateways {
    /// Reads the settings.
    ///
    /// # Errors
    /// One that cannot be.
    pub fn new(settings: &Settings) -> Result<Arc<Self>, SettingsError> {
        let mail = settings.smtp.as_deref().map(|url| mail::Mail::new(url, settings)).transpose()?;
        let sms = settings.sms_url.as_deref().map(|url| sms::Sms::new(url, settings)).transpose()?;
        Ok(Arc::new(Self { mail, sms }))
    }
}

impl Gateway for Gateways {
    fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.mail.is_some(),
            Channel::Sms => self.sms.is_some(),
        }
    }

    fn send<'a>(
        &'a self,
        message: &'a DueMessage,
    ) -> Pin<Box<dyn Future<Output = Result<String, GatewayError>> + Send + 'a>> {
        Box::pin(async move {
            let sent = async {
                match (message.channel, &self.mail, &self.sms) {
                    (Channel::Email, Some(mail), _) => mail.send(message).await,
                    (Channel::Sms, _, Some(sms)) => sms.send(message).await,
                    _ => Err(GatewayError::Refused("there is no gateway for this channel".to_owned())),
                }
            };
            let slow = || GatewayError::Unreachable("the gateway took too long".to_owned());
            tokio::time::timeout(PATIENCE, sent).await.unwrap_or_else(|_| Err(slow()))
        })
    }
}
