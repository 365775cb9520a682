//! What subscribers owe: the wallet `due`. Its balance is positive where something is owed; a payment takes
//! away from it.

use super::subscribers::put_status;
use super::tx::{Bind, Tx};
use super::{Author, CreditChange, Event, audit, credit};
use crate::domain::{Amount, LedgerAction, Payment, SubscriberId, SubscriberStatus, WalletKind};
use crate::store::db::amount;
use crate::store::{Store, StoreError};

/// The wallet.
const WALLET: &str = "due";
/// What the reason of a suspension says that a payment lifts.
const PAYMENT: &str = "payment";

impl Store {
    /// What a subscriber owes; `None` where nothing was ever due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due(&self, subscriber: SubscriberId) -> Result<Option<Amount>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        balance(&mut tx, subscriber.0).await
    }

    /// Books a payment; gives the number of its row in the ledger, `None` where the wallet cannot hold it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn pay(
        &self,
        subscriber: SubscriberId,
        amount: Amount,
        method: &str,
        notes: &str,
        author: &Author,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let comment = format!("{method}: {notes}");
        let comment = comment.trim_end_matches([':', ' ']);
        let Some(row) = pay(&mut tx, subscriber.0, amount, LedgerAction::Payment, comment, author).await?
        else {
            return Ok(None);
        };
        let new = Some(format!("{amount} {method}"));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "payment", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Some(row))
    }

    /// The payments of a subscriber, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn payments(&self, subscriber: SubscriberId, limit: u32) -> Result<Vec<Payment>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT id, CAST(delta AS {text}), comment, actor, at FROM tk_ledger
             WHERE subscriber_id = ? AND wallet = '{WALLET}' AND action IN ('PAYMENT', 'COLLECTION')
             ORDER BY id DESC LIMIT ?"
        );
        let binds = [Bind::Int(subscriber.0), Bind::Int(limit.into())];
        tx.fetch("tk_ledger", &sql, &binds, |row| {
            let comment = row.word(2)?;
            let (method, notes) = comment.split_once(": ").unwrap_or((&comment, ""));
            Ok(Payment {
                id: row.number(0)?,
                amount: amount(row, 1)?.negated(),
                method: method.into(),
                notes: notes.into(),
                actor: row.word(3)?,
                at: row.time(4)?.unwrap_or_default(),
            })
        })
        .await
    }
}

/// Takes a payment off what is due. Where nothing is due after it, a suspension for want of payment is
/// lifted. `None`: the wallet cannot hold it.
pub(super) async fn pay(
    tx: &mut Tx<'_>,
    subscriber: i64,
    paid: Amount,
    action: LedgerAction,
    comment: &str,
    author: &Author,
) -> Result<Option<i64>, StoreError> {
    let Some((row, after)) = book(tx, subscriber, paid.negated(), action, comment, author).await? else {
        return Ok(None);
    };
    if after <= Amount::ZERO {
        let sql = "SELECT username, status, status_reason FROM tk_subscriber WHERE id = ?";
        let binds = [Bind::Int(subscriber)];
        let found =
            tx.fetch("tk_subscriber", sql, &binds, |row| Ok((row.text(0)?, row.word(1)?, row.word(2)?)));
        if let Some((Some(login), status, reason)) = found.await?.into_iter().next()
            && status == SubscriberStatus::Suspended.as_str()
            && reason.to_ascii_lowercase().contains(PAYMENT)
        {
            put_status(tx, subscriber, &login, SubscriberStatus::Active, "", author).await?;
        }
    }
    Ok(Some(row))
}

/// Moves the wallet and writes why; gives the row of the ledger and the balance after it. `None`: the
/// wallet cannot hold it.
pub(super) async fn book(
    tx: &mut Tx<'_>,
    subscriber: i64,
    delta: Amount,
    action: LedgerAction,
    comment: &str,
    author: &Author,
) -> Result<Option<(i64, Amount)>, StoreError> {
    let change = CreditChange::Add(delta);
    let moved = credit::move_wallet(tx, subscriber, WalletKind::Due, change, action, comment, author).await?;
    Ok(moved.ok().map(|entry| (entry.id, entry.after)))
}

async fn balance(tx: &mut Tx<'_>, subscriber: i64) -> Result<Option<Amount>, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT CAST(balance AS {text}) FROM tk_wallet WHERE subscriber_id = ? AND kind = '{WALLET}'"
    );
    let found = tx.fetch("tk_wallet", &sql, &[Bind::Int(subscriber)], |row| amount(row, 0)).await?;
    Ok(found.into_iter().next())
}

/// Nothing is due any more, and what waits for a collector is void: the subscriber goes.
pub(super) async fn void(tx: &mut Tx<'_>, subscriber: i64, author: &Author) -> Result<(), StoreError> {
    if let Some(due) = balance(tx, subscriber).await?
        && !due.is_zero()
    {
        book(tx, subscriber, due.negated(), LedgerAction::Reversal, "unfinished billing cleared", author)
            .await?;
    }
    let sql = "UPDATE tk_collection SET status = 'void', decided_at = ?, decided_by = ?
        WHERE subscriber_id = ? AND status IN ('requested', 'pending')";
    let binds = [Bind::Int(author.at.0), Bind::Text(&author.name), Bind::Int(subscriber)];
    tx.run("tk_collection", sql, &binds).await.map(drop)
}
