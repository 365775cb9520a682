//! What happens by itself, beside the packets: changes that were scheduled, overrides whose limit is
//! reached or begins anew, messages that wait for a gateway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::error::ServiceError;
use super::gate::ManagementGate;
use crate::domain::operator::Dialect;
use crate::domain::{Channel, DueMessage, MessageStatus};
use crate::sessions::day_of;
use crate::store::Author;
use crate::time::UnixTime;

/// What hands messages on.
pub trait Gateway: Send + Sync + 'static {
    /// Is there a way for this channel?
    fn has(&self, channel: Channel) -> bool;

    /// Hands a message on; gives what the other side said.
    fn send<'a>(
        &'a self,
        message: &'a DueMessage,
    ) -> Pin<Box<dyn Future<Output = Result<String, GatewayError>> + Send + 'a>>;
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It will not be taken at another time either.
    #[error("{0}")]
    Refused(String),
    /// Nobody was there.
    #[error("{0}")]
    Unreachable(String),
}

/// Where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGateway;

impl Gateway for NoGateway {
    fn has(&self, _: Channel) -> bool {
        false
    }

    fn send<'a>(
        &'a self,
        _: &'a DueMessage,
    ) -> Pin<Box<dyn Future<Output = Result<String, GatewayError>> + Send + 'a>> {
        Box::pin(async { Err(GatewayError::Refused("there is no gateway".to_owned())) })
    }
}

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Pieces of one look.
const MOST: u32 = 100;
/// How often a gateway is tried.
const ATTEMPTS_MAX: i64 = 5;
/// Seconds until it is tried again, times the attempts so far.
const AGAIN: u64 = 60;

impl ManagementGate {
    /// Does all of it, over and over, until it is dropped.
    pub async fn run_agenda(self, gateway: Arc<dyn Gateway>) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.look_at_agenda(&*gateway).await {
                tracing::debug!(%error, "the agenda was not looked at; trying again");
            }
        }
    }

    async fn look_at_agenda(&self, gateway: &dyn Gateway) -> Result<(), ServiceError> {
        let inner = self.inner();
        let store = &inner.store;
        let now = inner.clock.now().unix;
        for due in store.due_changes(now, MOST).await? {
            let author =
                Author { name: due.by.clone(), dialect: Dialect::Jaze, remote: String::new(), at: now };
            let console = self.console("system");
            let today = match console.portrait(due.subscriber.0).await {
                Ok(found) => day_of(now, &found.zone),
                // Who is gone is moved nowhere.
                Err(ServiceError::NotFound { .. }) => day_of(now, console.zone()),
                Err(other) => return Err(other),
            };
            store.carry_out(&due, today, &author).await?;
        }
        for fup in store.watched_fups().await? {
            let usage = self.console("system").usage(&fup.login).await;
            let usage = match usage {
                Ok(usage) => usage,
                // Who is gone needs no turn.
                Err(ServiceError::NotFound { .. }) => continue,
                Err(other) => return Err(other),
            };
            let mark = format!("tk_quota {} ", fup.quota);
            let Some(balance) = usage.balances.iter().find(|balance| balance.rule.starts_with(&mark)) else {
                continue;
            };
            let above = balance.left <= 0;
            if above != fup.above {
                store.turn_fup(&fup, above, now).await?;
            }
        }
        self.hand_on_messages(gateway, now).await
    }

    async fn hand_on_messages(&self, gateway: &dyn Gateway, now: UnixTime) -> Result<(), ServiceError> {
        let store = &self.inner().store;
        for message in store.take_messages(now, now.plus(AGAIN), MOST).await? {
            let (status, said, again) = if gateway.has(message.channel) {
                match gateway.send(&message).await {
                    Ok(_) => (MessageStatus::Sent, sent_words(message.channel).to_owned(), None),
                    Err(GatewayError::Refused(why)) => (MessageStatus::Failed, why, None),
                    Err(GatewayError::Unreachable(why)) if message.attempts + 1 < ATTEMPTS_MAX => {
                        let wait = AGAIN * u64::try_from(message.attempts + 1).unwrap_or(1);
                        (MessageStatus::Pending, why, Some(now.plus(wait)))
                    }
                    Err(GatewayError::Unreachable(why)) => (MessageStatus::Aborted, why, None),
                }
            } else {
                let why = "there is no gateway for this channel".to_owned();
                (MessageStatus::Waiting, why, None)
            };
            store.message_done(message.id, status, &said, again, now).await?;
        }
        Ok(())
    }
}

const fn sent_words(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "Sms is dispatched successfully",
        Channel::Email => "Email is sent successfully",
    }
}
