//! Orders of operators about sessions.

use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::UniqueId;
use crate::domain::dynamic_auth::Order;
use crate::store::{Store, StoreError};

/// RFC 5176 §2.1 and §2.2.
const DISCONNECT_REQUEST: i64 = 40;
const COA_REQUEST: i64 = 43;

impl Store {
    /// Queues an order for whichever server takes it, and says who gave it; gives its number.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn order(&self, session: UniqueId, order: &Order, author: &Author) -> Result<i64, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let (code, verb, attributes) = match order {
            Order::Disconnect => (DISCONNECT_REQUEST, "disconnect", None),
            Order::ChangeOfAuthorization(attributes) => (COA_REQUEST, "coa", Some(attributes.join("\n"))),
        };
        let session = session.to_text();
        let id = tx
            .insert(
                "tk_coa",
                "INSERT INTO tk_coa (session, code, attributes, queued_at, queued_by) VALUES (?, ?, ?, ?, ?)",
                &[
                    Bind::Text(&session),
                    Bind::Int(code),
                    Bind::MaybeText(attributes.as_deref()),
                    Bind::Int(author.at.0),
                    Bind::Text(&author.name),
                ],
            )
            .await?;
        let new = Some(session.to_string());
        audit(&mut tx, author, Event { object: "session", id: Some(id), verb, old: None, new }).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Says who had a session disconnected where the order itself passes through no table.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn audit_disconnect(&self, session: UniqueId, author: &Author) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let new = Some(session.to_text().to_string());
        let event = Event { object: "session", id: None, verb: "disconnect", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await
    }
}
