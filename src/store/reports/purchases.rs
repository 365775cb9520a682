//! Top-ups that were sold: `tk_topup`.

use smol_str::SmolStr;

use super::clause::{Clause, Value};
use super::like;
use crate::domain::report::{Pattern, Purchase, PurchaseFilter};
use crate::domain::{Amount, Page, Paging, SubscriberId};
use crate::store::admin::tx::Tx;
use crate::store::db::Db;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

impl Store {
    /// Purchases, the newest first; of subscribers of these accounts only, if any are named.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn purchases(
        &self,
        filter: &PurchaseFilter,
        accounts: Option<&[i64]>,
        paging: Paging,
    ) -> Result<Page<Purchase>, StoreError> {
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let mut clause = Clause::always();
        if let Some(login) = &filter.login {
            clause = clause.and(match (login, db) {
                (Pattern::Exact(name), Db::Sqlite(_)) => {
                    Clause::new("a.username COLLATE NOCASE = ?", [Value::Text(name.clone())])
                }
                (Pattern::Exact(name), Db::Postgres(_)) => {
                    Clause::new("lower(a.username) = lower(?)", [Value::Text(name.clone())])
                }
                _ => like(db, "a.username", login),
            });
        }
        let texts = [
            ("a.plan_name", &filter.plan_name),
            ("a.profiles", &filter.profiles),
            ("a.remarks", &filter.remarks),
        ];
        for (column, pattern) in texts {
            if let Some(pattern) = pattern {
                clause = clause.and(like(db, column, pattern));
            }
        }
        for span in filter.at {
            clause = clause.and(Clause::within("a.at", "?", span));
        }
        if let Some(accounts) = accounts {
            let marks = vec!["?"; accounts.len()].join(", ");
            let sold = format!(
                "a.subscriber_id IN (SELECT w.id FROM tk_subscriber w WHERE w.account_id IN ({marks}))"
            );
            clause = clause.and(Clause::new(sold, accounts.iter().map(|account| Value::Int(*account))));
        }
        let text = db.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT a.id, a.subscriber_id, a.username, a.plan_name, a.profiles, CAST(a.amount AS {text}),
                    a.currency, a.remarks, a.created_by, a.at FROM tk_topup a"
        );
        let clause = Clause::new(sql, [])
            .followed_by(clause.filter())
            .then(" ORDER BY a.id DESC LIMIT ? OFFSET ?")
            .followed_by(Clause::new("", [Value::Int(paging.limit()), Value::Int(paging.offset())]));
        let rows = clause.fetch(&mut tx, "tk_topup", |row| {
            let amount: Option<SmolStr> = row.text(5)?;
            Ok(Purchase {
                id: row.number(0)?,
                subscriber: SubscriberId(row.number(1)?),
                login: row.word(2)?,
                plan_name: row.word(3)?,
                profiles: row.word(4)?,
                amount: amount.as_deref().and_then(Amount::parse),
                currency: row.word(6)?,
                remarks: row.word(7)?,
                created_by: row.word(8)?,
                at: UnixTime(row.number(9)?),
            })
        });
        let rows = rows.await?;
        tx.commit().await?;
        Ok(Page::of(rows, paging))
    }
}
