//! Messages to subscribers: what each template says, and to whom it goes.
//!
//! What is secret (a password, a code) is in what is sent and nowhere else: the log shows a mask.

use super::attributes::MASK;
use super::error::ServiceError;
use super::management::Management;
use super::portraits::Portrait;
use crate::domain::contact::ContactField;
use crate::domain::{Amount, Channel, LoggedMessage, MessageStatus, NewMessage, SubscriberStatus};
use crate::engine::password::StoredPassword;
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::store::Whose;

/// A template by its word in the Jaze API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageTemplate(pub &'static str);

/// A message to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageOrder {
    /// From which template.
    pub template: MessageTemplate,
    /// What kind of access or usage it is about, where the template wants to know.
    pub detail: &'static str,
    /// Number of a ticket.
    pub ticket: String,
    /// A code that a caller made.
    pub otp: String,
    /// Also to the other telephone.
    pub also_alternative: bool,
}

/// Messages of the log that are shown.
const LOG_MAX: u32 = 1_000;
/// Characters of a ticket's number, or of a code.
const WORD_MAX: usize = 64;
/// A code has so many digits.
const CODE_DIGITS: usize = 6;
const DAY: u64 = 86_400;
/// 1 MB of the Jaze API.
const MEGABYTE: u64 = 1 << 20;

/// A text with places for secrets.
struct Text {
    subject: &'static str,
    shown: String,
    sent: String,
}

impl Text {
    fn plain(subject: &'static str, text: String) -> Self {
        Self { subject, shown: text.clone(), sent: text }
    }

    /// The text of `write` with the secret, and with a mask in its place.
    fn secret(subject: &'static str, secret: &str, write: impl Fn(&str) -> String) -> Self {
        Self { subject, shown: write(MASK), sent: write(secret) }
    }
}

impl Management<'_> {
    /// Writes a message to each of some subscribers. Without a gateway it waits in the log. Gives whom it
    /// goes to.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for one of them; [`ServiceError::Conflict`] where one has no number or
    /// address; then nobody gets any.
    pub async fn send_messages(
        &self,
        ids: &[i64],
        channel: Channel,
        order: &MessageOrder,
    ) -> Result<Vec<Portrait>, ServiceError> {
        let (store, author) = self.write()?;
        super::places::text("ticketId", &order.ticket, WORD_MAX)?;
        super::places::text("otp", &order.otp, WORD_MAX)?;
        let status = self.message_status(channel);
        let mut receivers: Vec<Portrait> = Vec::with_capacity(ids.len());
        let mut messages = Vec::with_capacity(ids.len());
        for id in ids {
            if receivers.iter().any(|known| known.sketch.id.0 == *id) {
                continue;
            }
            let found = self.living(*id).await?;
            let text = self.text_of(&found, order).await?;
            let addresses = addresses(&found, channel, order.also_alternative)?;
            for address in addresses {
                messages.push((message(&found, channel, order.template.0, address, &text), status));
            }
            receivers.push(found);
        }
        store.add_messages(&messages, &author).await?;
        Ok(receivers)
    }

    /// Sends its credentials to whoever has a telephone or an e-mail address.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] where nobody has it; [`ServiceError::Conflict`] where no password is kept
    /// in readable form.
    pub async fn recover_password(&self, channel: Channel, address: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let whose = match channel {
            Channel::Sms => Whose::Phone(address),
            Channel::Email => Whose::Email(address),
        };
        let sketches = store.sketches(whose, 0, RECOVERED_MAX, self.scope()).await?;
        let mut messages = Vec::new();
        for sketch in sketches.iter().filter(|sketch| sketch.status != SubscriberStatus::Deleted) {
            let found = self.living(sketch.id.0).await?;
            if let Some(password) = self.stored_password(&found).await? {
                let login = &found.sketch.login;
                let text = Text::secret("Your credentials", &password, |password| {
                    format!("Your credentials are -\nUsername: {login}\nPassword: {password}")
                });
                let new = message(&found, channel, "recoverPassword", address.to_owned(), &text);
                messages.push((new, self.message_status(channel)));
            }
        }
        if sketches.iter().all(|sketch| sketch.status == SubscriberStatus::Deleted) {
            return Err(ServiceError::not_found("subscriber", address));
        }
        if messages.is_empty() {
            return Err(ServiceError::Conflict {
                reason: "the password is not kept in readable form".to_owned(),
            });
        }
        Ok(store.add_messages(&messages, &author).await?)
    }

    /// What was sent to a subscriber, the oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn messages(&self, id: i64, channel: Channel) -> Result<Vec<LoggedMessage>, ServiceError> {
        let found = self.portrait(id).await?;
        Ok(self.read()?.messages(found.sketch.id, channel, LOG_MAX).await?)
    }

    /// A subscriber's password, for those who may see it; `None` where it is not kept in readable form.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`super::Denial::Secrets`].
    pub async fn readable_password(&self, id: i64) -> Result<Option<String>, ServiceError> {
        if !self.rights().secrets {
            return Err(ServiceError::Denied(super::Denial::Secrets));
        }
        let found = self.living(id).await?;
        self.stored_password(&found).await
    }

    async fn stored_password(&self, of: &Portrait) -> Result<Option<String>, ServiceError> {
        let store = &self.gate.inner().store;
        let rows = store.check_rows(&of.sketch.login).await?;
        let readable = rows.iter().rev().find_map(|row| {
            let stored = StoredPassword::read(&row.attribute, &row.value)?;
            stored.cleartext().map(|octets| String::from_utf8_lossy(octets).into_owned())
        });
        Ok(readable)
    }

    /// Is it the password of that login? Gives number and account. A login without a password has none that
    /// is right.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn authenticate_subscriber(
        &self,
        login: &str,
        password: &str,
    ) -> Result<Option<(crate::domain::SubscriberId, smol_str::SmolStr)>, ServiceError> {
        use crate::engine::password::Comparison;
        let store = self.read()?;
        let Some(found) = self.portraits(Whose::Login(login)).await?.into_iter().next() else {
            return Ok(None);
        };
        let rows = store.check_rows(login).await?;
        let stored = rows.iter().find_map(|row| StoredPassword::read(&row.attribute, &row.value));
        let right = match stored.map(|stored| stored.compare(password.as_bytes())) {
            Some(Comparison::Right) => true,
            Some(Comparison::Slow(check)) => {
                tokio::task::spawn_blocking(move || check.verify()).await.unwrap_or(false)
            }
            Some(Comparison::Wrong | Comparison::Unservable(_)) | None => false,
        };
        Ok((right && found.is_live()).then(|| (found.sketch.id, found.sketch.account.1.clone())))
    }

    fn message_status(&self, channel: Channel) -> MessageStatus {
        if self.gate.inner().has_gateway(channel) { MessageStatus::Pending } else { MessageStatus::Waiting }
    }

    async fn text_of(&self, to: &Portrait, order: &MessageOrder) -> Result<Text, ServiceError> {
        let login = &to.sketch.login;
        let account = &to.sketch.account.1;
        let ticket = &order.ticket;
        let days = || {
            let left = to.expires.map_or(0, |at| at.since(self.now().unix).div_ceil(DAY));
            if to.expires.is_none() {
                "does not expire".to_owned()
            } else {
                format!("expires in {left} days")
            }
        };
        Ok(match order.template.0 {
            "grantAccess" | "userRecipt" => {
                let password = self.stored_password(to).await?;
                let what =
                    if order.detail == "customerPortal" { "the customer portal" } else { "the internet" };
                Text::secret("You have been granted access", password.as_deref().unwrap_or(""), |password| {
                    format!(
                        "You have been granted access to {what} at {account} -\nUsername: {login}\nPassword: {password}"
                    )
                })
            }
            "verificationCode" => Text::secret("Your verification code", &code(), |code| {
                format!("Your verification code is {code}")
            }),
            "rejectUser" | "rejectedUserRecipt" => Text::plain(
                "Your request has been rejected",
                format!("Your request for access at {account} has been rejected."),
            ),
            "usageAlert" | "notifyUser" => Text::plain("Usage alert", usage(to, order.detail)),
            "accountSuspension" | "suspend" => Text::plain(
                "Your account has been suspended",
                format!("Your account {login} at {account} has been suspended."),
            ),
            "validityExpire" | "prepaid" => Text::plain(
                "Your validity",
                format!("Your validity {}. Please recharge to enjoy uninterrupted service.", days()),
            ),
            "userBalance" | "billReminder" | "billWarning" => {
                let due = self.gate.inner().store.due(to.sketch.id).await?.unwrap_or(Amount::ZERO);
                let text = match order.template.0 {
                    "userBalance" => format!("Your balance due is {due}."),
                    "billReminder" => format!("A bill of {due} is due. Please pay it in time."),
                    _ => format!("A bill of {due} is overdue. Your service will be suspended."),
                };
                Text::plain("Your bill", text)
            }
            "closeTicketOtp" => Text::secret("Your ticket", &order.otp, |otp| {
                format!("Your OTP to close ticket {ticket} is {otp}")
            }),
            _ => Text::plain("Your ticket has been closed", format!("Your ticket {ticket} has been closed.")),
        })
    }
}

/// Subscribers with one telephone that are told their credentials.
const RECOVERED_MAX: u32 = 20;

fn message(
    to: &Portrait,
    channel: Channel,
    template: &'static str,
    address: String,
    text: &Text,
) -> NewMessage {
    let subject = if channel == Channel::Email { text.subject } else { "" };
    NewMessage {
        subscriber: to.sketch.id,
        channel,
        template,
        address,
        subject: subject.to_owned(),
        content: text.shown.clone(),
        body: text.sent.clone(),
    }
}

/// Where a subscriber is reached.
fn addresses(of: &Portrait, channel: Channel, alternative: bool) -> Result<Vec<String>, ServiceError> {
    let contact = &of.sketch.contact;
    let known = |field| contact.get(field).map(str::to_owned);
    let (first, second, what) = match channel {
        Channel::Sms => {
            let first = known(ContactField::Phone).or_else(|| known(ContactField::Mobile));
            (first, known(ContactField::AltPhone), "telephone number")
        }
        Channel::Email => (known(ContactField::Email), known(ContactField::AltEmail), "e-mail address"),
    };
    let Some(first) = first else {
        return Err(ServiceError::Conflict { reason: format!("the user has no {what}") });
    };
    Ok(std::iter::once(first).chain(second.filter(|_| alternative)).collect())
}

/// How much of what there is was used.
fn usage(of: &Portrait, detail: &str) -> String {
    let used = of.cycle.used;
    match (detail, of.cycle.quota) {
        ("duration", _) => format!("You have been online for {} minutes in this cycle.", used.seconds / 60),
        (_, Some((used, limit))) => format!(
            "You have used {} of {} MB of your quota.",
            used / MEGABYTE,
            u64::try_from(limit).unwrap_or(0) / MEGABYTE
        ),
        _ => format!("You have used {} MB in this cycle.", used.input.saturating_add(used.output) / MEGABYTE),
    }
}

fn code() -> String {
    let mut octets = [0; CODE_DIGITS];
    SystemEntropy.fill(&mut octets);
    octets.iter().map(|octet| char::from(b'0' + octet % 10)).collect()
}
