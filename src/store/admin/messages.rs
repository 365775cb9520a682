//! Messages to subscribers: log and queue in one (`tk_message`).

use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::{Channel, DueMessage, LoggedMessage, MessageStatus, NewMessage, SubscriberId};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

impl Store {
    /// Writes messages to be sent. Without a gateway (`status` is waiting) what is secret in them is not kept.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_messages(
        &self,
        messages: &[(NewMessage, MessageStatus)],
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        for (new, status) in messages {
            let pending = *status == MessageStatus::Pending;
            let error = if pending { "" } else { "there is no gateway for this channel" };
            let sql = "INSERT INTO tk_message (subscriber_id, channel, template, address, subject, content, body,
                    status_code, error_message, at, next_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let binds = [
                Bind::Int(new.subscriber.0),
                Bind::Text(new.channel.as_str()),
                Bind::Text(new.template),
                Bind::Text(&new.address),
                Bind::Text(&new.subject),
                Bind::Text(&new.content),
                Bind::MaybeText(Some(new.body.as_str()).filter(|_| pending)),
                Bind::Int(status.code()),
                Bind::Text(error),
                Bind::Int(author.at.0),
                Bind::MaybeInt(Some(author.at.0).filter(|_| pending)),
                Bind::Text(&author.name),
            ];
            let id = tx.insert("tk_message", sql, &binds).await?;
            let said = Some(format!("{} {} {}", new.subscriber.0, new.channel.as_str(), new.template));
            let event = Event { object: "message", id: Some(id), verb: "add", old: None, new: said };
            audit(&mut tx, author, event).await?;
        }
        tx.commit().await
    }

    /// The log of a subscriber, the oldest first; at most the latest `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn messages(
        &self,
        subscriber: SubscriberId,
        channel: Channel,
        limit: u32,
    ) -> Result<Vec<LoggedMessage>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT at, address, subject, content, status_code, error_message FROM tk_message
            WHERE subscriber_id = ? AND channel = ? ORDER BY id DESC LIMIT ?";
        let binds = [Bind::Int(subscriber.0), Bind::Text(channel.as_str()), Bind::Int(limit.into())];
        let mut found = tx
            .fetch("tk_message", sql, &binds, |row| {
                Ok(LoggedMessage {
                    at: row.time(0)?.unwrap_or_default(),
                    address: row.word(1)?,
                    subject: row.word(2)?,
                    content: row.word(3)?,
                    status: row.number(4)?,
                    error: row.word(5)?,
                })
            })
            .await?;
        found.reverse();
        Ok(found)
    }

    /// Messages whose turn it is, the oldest first. Each is taken by one server: it is not due again before
    /// `again`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn take_messages(
        &self,
        now: UnixTime,
        again: UnixTime,
        limit: u32,
    ) -> Result<Vec<DueMessage>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT id FROM tk_message WHERE next_at <= ? LIMIT 1";
        // Mostly there is none, and nobody is kept from writing.
        if tx.fetch("tk_message", sql, &[Bind::Int(now.0)], |row| row.number(0)).await?.is_empty() {
            return Ok(Vec::new());
        }
        drop(tx);
        let mut tx = Tx::begin(self.db()).await?;
        let lock = tx.pick("", " FOR UPDATE SKIP LOCKED", " FOR UPDATE");
        let sql = format!(
            "SELECT id, channel, address, subject, body, attempts FROM tk_message
             WHERE next_at <= ? ORDER BY next_at, id LIMIT ?{lock}"
        );
        let binds = [Bind::Int(now.0), Bind::Int(limit.into())];
        let found = tx.fetch("tk_message", &sql, &binds, |row| {
            let channel = if row.word(1)? == Channel::Email.as_str() { Channel::Email } else { Channel::Sms };
            Ok(DueMessage {
                id: row.number(0)?,
                channel,
                address: row.word(2)?,
                subject: row.word(3)?,
                body: row.word(4)?,
                attempts: row.number(5)?,
            })
        });
        let found = found.await?;
        for message in &found {
            let sql = "UPDATE tk_message SET next_at = ?, attempts = attempts + 1 WHERE id = ?";
            tx.run("tk_message", sql, &[Bind::Int(again.0), Bind::Int(message.id)]).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    /// How a message ended, or (`again`) when it is tried once more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_done(
        &self,
        id: i64,
        status: MessageStatus,
        said: &str,
        again: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let kept = if again.is_some() { "body" } else { "NULL" };
        let sql = format!(
            "UPDATE tk_message SET status_code = ?, error_message = ?, next_at = ?, sent_at = ?, body = {kept}
             WHERE id = ?"
        );
        let sent = (status == MessageStatus::Sent).then_some(now.0);
        let said: String = said.chars().take(SAID_MAX).collect();
        let binds = [
            Bind::Int(status.code()),
            Bind::Text(&said),
            Bind::MaybeInt(again.map(|at| at.0)),
            Bind::MaybeInt(sent),
            Bind::Int(id),
        ];
        tx.run("tk_message", &sql, &binds).await?;
        tx.commit().await
    }
}

/// Characters of what a gateway says that are kept.
const SAID_MAX: usize = 500;
