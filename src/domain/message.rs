//! Messages to subscribers: through which channel, and how each stands.

use smol_str::SmolStr;

use super::subscriber::SubscriberId;
use crate::time::UnixTime;

/// How a subscriber is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A text to a mobile telephone.
    Sms,
    /// A letter to an e-mail address.
    Email,
}

impl Channel {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

/// How a message stands: the numbers of the Jaze API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// A gateway took it.
    Sent,
    /// It waits for its turn.
    Pending,
    /// There is no gateway.
    Waiting,
    /// It was given up.
    Aborted,
    /// A gateway refused it.
    Failed,
}

impl MessageStatus {
    /// Its number.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Sent => 202,
            Self::Pending => 201,
            Self::Waiting => 502,
            Self::Aborted => 505,
            Self::Failed => 500,
        }
    }
}

/// A message to be sent. What is secret in it is in `body` alone.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// To whom.
    pub subscriber: SubscriberId,
    /// How.
    pub channel: Channel,
    /// From which template.
    pub template: &'static str,
    /// Number or address.
    pub address: String,
    /// Of an e-mail.
    pub subject: String,
    /// What the log shows.
    pub content: String,
    /// What is sent.
    pub body: String,
}

impl std::fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMessage").field("template", &self.template).finish_non_exhaustive()
    }
}

/// A message as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedMessage {
    /// When it was ordered.
    pub at: UnixTime,
    /// Number or address.
    pub address: SmolStr,
    /// Of an e-mail.
    pub subject: SmolStr,
    /// What it says, secrets masked.
    pub content: SmolStr,
    /// See [`MessageStatus`].
    pub status: i64,
    /// What came of it.
    pub error: SmolStr,
}

/// A message whose turn it is.
#[derive(Clone, PartialEq, Eq)]
pub struct DueMessage {
    /// Its number.
    pub id: i64,
    /// How.
    pub channel: Channel,
    /// Number or address.
    pub address: SmolStr,
    /// Of an e-mail.
    pub subject: SmolStr,
    /// What is sent.
    pub body: SmolStr,
    /// How often it was tried.
    pub attempts: i64,
}

impl std::fmt::Debug for DueMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DueMessage").field("id", &self.id).finish_non_exhaustive()
    }
}
