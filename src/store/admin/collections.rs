//! Payments that are fetched: `tk_collection`. Once approved they are in the ledger of what is due.

use super::places::{VISIT_COLUMNS, VISIT_JOINS, visit, visit_columns};
use super::tx::{Bind, Tx};
use super::{Author, Event, audit, dues, within};
use crate::domain::operator::Scope;
use crate::domain::{Amount, CollectionStatus, LedgerAction, NewCollection, PendingCollection, SubscriberId};
use crate::store::db::amount;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Why a payment was not decided upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionObstacle {
    /// The subscriber has no such payment.
    Missing,
    /// It does not wait for a decision.
    Decided,
    /// It is about another amount.
    OtherAmount(Amount),
    /// The wallet cannot hold what it would come to.
    TooLarge,
}

impl Store {
    /// Notes a visit, or the wish for one; gives its number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_collection(
        &self,
        subscriber: SubscriberId,
        new: &NewCollection,
        author: &Author,
    ) -> Result<i64, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let decimal = tx.decimal();
        let sql = format!(
            "INSERT INTO tk_collection (subscriber_id, admin_id, status, visit, amount, method, bank, cheque_number,
                 cheque_date, card_last4, change_for, notes, at, created_by)
             VALUES (?, (SELECT c.admin_id FROM tk_collection_assign c WHERE c.subscriber_id = ?), ?, ?, {decimal}, ?,
                 ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        let binds = [
            Bind::Int(subscriber.0),
            Bind::Int(subscriber.0),
            Bind::Text(new.status.as_str()),
            Bind::Text(new.visit),
            Bind::MaybeAmount(new.amount),
            Bind::Text(new.method),
            Bind::Text(&new.bank),
            Bind::Text(&new.cheque_number),
            Bind::Text(&new.cheque_date),
            Bind::Text(&new.card_last4),
            Bind::Text(new.change_for),
            Bind::Text(&new.notes),
            Bind::Int(author.at.0),
            Bind::Text(&author.name),
        ];
        let id = tx.insert("tk_collection", &sql, &binds).await?;
        let said = new.amount.map_or_else(String::new, |amount| amount.to_string());
        let text = format!("{} {} {said} {}", new.status.as_str(), new.visit, new.method);
        let event = Event {
            object: "collection",
            id: Some(id),
            verb: "add",
            old: None,
            new: Some(format!("{} {}", subscriber.0, text.trim())),
        };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The payments that wait for approval, the oldest first; `from` and `to` are the first second that is
    /// meant and the first after it, `admin` who collects.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn pending_collections(
        &self,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
        admin: Option<i64>,
        scope: &Scope,
    ) -> Result<Vec<PendingCollection>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let text = tx.pick("TEXT", "text", "CHAR");
        let by = if admin.is_some() { "c.admin_id = ?" } else { "? = 0" };
        let sql = format!(
            "SELECT {}, c.id, CAST(c.amount AS {text}), c.at FROM tk_collection c
             JOIN tk_subscriber s ON s.id = c.subscriber_id {VISIT_JOINS}
             WHERE c.status = ? AND c.at >= ? AND c.at < ? AND {by}{} ORDER BY c.at, c.id",
            visit_columns(text),
            within(scope, "s.account_id")
        );
        let binds = [
            Bind::Text(CollectionStatus::Pending.as_str()),
            Bind::Int(from.map_or(0, |at| at.0)),
            Bind::Int(to.map_or(i64::MAX, |at| at.0)),
            Bind::Int(admin.unwrap_or(0)),
        ];
        tx.fetch("tk_collection", &sql, &binds, |row| {
            Ok(PendingCollection {
                visit: visit(row, 0)?,
                id: row.number(VISIT_COLUMNS)?,
                amount: amount(row, VISIT_COLUMNS + 1)?,
                at: row.time(VISIT_COLUMNS + 2)?.unwrap_or_default(),
            })
        })
        .await
    }

    /// Decides on a payment. Approved (with its `amount`), it is posted, and a suspension for want of payment
    /// is lifted where nothing is due any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn decide_collection(
        &self,
        subscriber: SubscriberId,
        id: i64,
        approved: Option<Amount>,
        author: &Author,
    ) -> Result<Result<(), CollectionObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let text = tx.pick("TEXT", "text", "CHAR");
        let lock = tx.pick("", " FOR UPDATE", " FOR UPDATE");
        let sql = format!(
            "SELECT status, CAST(amount AS {text}), method FROM tk_collection WHERE id = ? AND subscriber_id = ?{lock}"
        );
        let binds = [Bind::Int(id), Bind::Int(subscriber.0)];
        let found = tx.fetch("tk_collection", &sql, &binds, |row| {
            let paid = row.text(1)?.and_then(|text| Amount::parse(&text));
            Ok((row.word(0)?, paid.unwrap_or_default(), row.word(2)?))
        });
        let Some((status, paid, method)) = found.await?.into_iter().next() else {
            return Ok(Err(CollectionObstacle::Missing));
        };
        if status != CollectionStatus::Pending.as_str() {
            return Ok(Err(CollectionObstacle::Decided));
        }
        let mut ledger = None;
        if let Some(amount) = approved {
            if amount != paid {
                return Ok(Err(CollectionObstacle::OtherAmount(paid)));
            }
            let Some(row) =
                dues::pay(&mut tx, subscriber.0, amount, LedgerAction::Collection, &method, author).await?
            else {
                return Ok(Err(CollectionObstacle::TooLarge));
            };
            ledger = Some(row);
        }
        let status = if approved.is_some() { CollectionStatus::Approved } else { CollectionStatus::Rejected };
        let sql =
            "UPDATE tk_collection SET status = ?, decided_at = ?, decided_by = ?, ledger_id = ? WHERE id = ?";
        let binds = [
            Bind::Text(status.as_str()),
            Bind::Int(author.at.0),
            Bind::Text(&author.name),
            Bind::MaybeInt(ledger),
            Bind::Int(id),
        ];
        tx.run("tk_collection", sql, &binds).await?;
        let new = Some(format!("{} {paid}", status.as_str()));
        let event = Event { object: "collection", id: Some(id), verb: "decide", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }
}
