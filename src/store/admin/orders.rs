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
        let id = queue(&mut tx, session, order, author).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same for several sessions: all or none.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn order_all(
        &self,
        sessions: &[UniqueId],
        order: &Order,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        for session in sessions {
            queue(&mut tx, *session, order, author).await?;
        }
        tx.commit().await
    }

    /// Says who had sessions ended where that itself passes through no table: `verb` is `disconnect` or `clear`.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn audit_sessions(
        &self,
        sessions: &[UniqueId],
        verb: &str,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        for session in sessions {
            let new = Some(session.to_text().to_string());
            audit(&mut tx, author, Event { object: "session", id: None, verb, old: None, new }).await?;
        }
        tx.commit().await
    }
}

async fn queue(
    tx: &mut Tx<'_>,
    session: UniqueId,
    order: &Order,
    author: &Author,
) -> Result<i64, StoreError> {
    let (code, verb, attributes) = match order {
        Order::Disconnect => (DISCONNECT_REQUEST, "disconnect", None),
        Order::ChangeOfAuthorization(attributes) => (COA_REQUEST, "coa", Some(attributes.join("\n"))),
    };
    let session = session.to_text();
    let binds = [
        Bind::Text(&session),
        Bind::Int(code),
        Bind::MaybeText(attributes.as_deref()),
        Bind::Int(author.at.0),
        Bind::Text(&author.name),
    ];
    let sql = "INSERT INTO tk_coa (session, code, attributes, queued_at, queued_by) VALUES (?, ?, ?, ?, ?)";
    let id = tx.insert("tk_coa", sql, &binds).await?;
    let new = Some(session.to_string());
    audit(tx, author, Event { object: "session", id: Some(id), verb, old: None, new }).await?;
    Ok(id)
}
