//! What sessions, subscribers and sales add up to.

use std::collections::HashSet;

use super::clause::{Clause, Value};
use super::sessions::{not_of_another, of_login, radacct};
use crate::domain::Amount;
use crate::domain::report::{SessionTotals, Span, Statistics};
use crate::store::admin::tx::Tx;
use crate::store::db::{Columns, Db, amount};
use crate::store::{Store, StoreError};

/// Actions of the ledger that are sales.
const SALES: &str = "'SALE', 'TOPUP', 'RENEW', 'RECHARGE'";

impl Store {
    /// What the sessions of a login add up to that began in a span.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn session_totals(&self, login: &str, span: Span) -> Result<SessionTotals, StoreError> {
        const ALL: &str = "radacct a";
        // PostgreSQL's index of logins is of closed sessions; of open ones there are few.
        const OPEN: &str = "(SELECT * FROM radacct WHERE acctstoptime IS NULL OFFSET 0) a";
        let db = self.db();
        let learned = self.learned()?;
        let began = db.seconds_of("a.acctstarttime");
        let updated = if learned.schema.has("radacct", "acctupdatetime") {
            db.seconds_of("a.acctupdatetime")
        } else {
            db.seconds_of("a.acctstoptime")
        };
        // By seconds and not by the column: the login has found its few rows.
        let theirs = of_login(db, login).and(not_of_another(db, login));
        let filter = theirs.and(Clause::within(&format!("({began})"), "?", span));
        let closed = Clause::new("a.acctstoptime IS NOT NULL", []);
        let parts = match db {
            Db::Postgres(_) => vec![(ALL, closed.and(filter.clone())), (OPEN, filter)],
            Db::Sqlite(_) | Db::MySql(_) => vec![(ALL, filter)],
        };
        let [seconds, input, output] = sums(db, "a");
        let mut tx = Tx::read(db).await?;
        let mut sum = SessionTotals::default();
        for (from, filter) in parts {
            let sql = format!(
                "SELECT COUNT(*), {seconds}, {input}, {output}, MIN({began}), MAX({updated}) FROM {from}"
            );
            let clause = Clause::new(sql, []).followed_by(filter.filter());
            for part in clause.fetch(&mut tx, "radacct", read).await? {
                sum = plus(sum, part);
            }
        }
        tx.commit().await?;
        sum.logins = u64::from(sum.sessions > 0);
        Ok(sum)
    }

    /// What happened in a span; in these accounts only, if any are named.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn statistics(&self, span: Span, accounts: Option<&[i64]>) -> Result<Statistics, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let (made, sold) = made(&mut tx, span, accounts).await?;
        let income = self.income(&mut tx, span, accounts).await?;
        let filter = of_span(&mut tx, self.db(), span, accounts).await?;
        tx.commit().await?;
        // A month has tens of thousands of sessions: the two questions about them go side by side.
        let (sessions, logins) = tokio::try_join!(self.began(filter.clone()), self.online_logins(filter))?;
        Ok(Statistics { made, sold, sessions: SessionTotals { logins, ..sessions }, income })
    }

    /// What sessions add up to, without the number of their logins.
    async fn began(&self, filter: Clause) -> Result<SessionTotals, StoreError> {
        let [seconds, input, output] = sums(self.db(), "a");
        let sql = format!("SELECT COUNT(*), {seconds}, {input}, {output} FROM radacct a");
        let mut tx = Tx::read(self.db()).await?;
        let found = Clause::new(sql, []).followed_by(filter).fetch(&mut tx, "radacct", counts).await?;
        tx.commit().await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// How many logins sessions are of.
    async fn online_logins(&self, filter: Clause) -> Result<u64, StoreError> {
        // SQLite looks up each login in a tree of those it has seen, which takes several times as long as
        // reading them. So it gives all of them as one text, parted by NUL, which no text of a database
        // contains.
        let (head, tail) = self.db().pick(
            ("SELECT group_concat(a.username, char(0)) FROM radacct a", ""),
            ("SELECT COUNT(*) FROM (SELECT DISTINCT a.username FROM radacct a", ") g"),
            ("SELECT COUNT(*) FROM (SELECT DISTINCT a.username FROM radacct a", ") g"),
        );
        let read = match self.db() {
            Db::Sqlite(_) => |row: &dyn Columns| {
                let logins = row.text(0)?;
                let once: HashSet<&str> = logins.iter().flat_map(|logins| logins.split('\0')).collect();
                Ok(once.len() as u64)
            },
            Db::Postgres(_) | Db::MySql(_) => |row: &dyn Columns| row.count(0),
        };
        let mut tx = Tx::read(self.db()).await?;
        let clause = Clause::new(head, []).followed_by(filter).then(tail);
        let found = clause.fetch(&mut tx, "radacct", read).await?;
        tx.commit().await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// What was sold in a span.
    async fn income(
        &self,
        tx: &mut Tx<'_>,
        span: Span,
        accounts: Option<&[i64]>,
    ) -> Result<Amount, StoreError> {
        let text = self.db().pick("TEXT", "text", "CHAR");
        let filter = Clause::within("l.at", "?", span)
            .and(Clause::new(format!("l.price IS NOT NULL AND l.action IN ({SALES})"), []))
            .and(of_scope(accounts, |marks| {
                format!(
                    "l.subscriber_id IN (SELECT w.id FROM tk_subscriber w WHERE w.account_id IN ({marks}))"
                )
            }));
        let sql = format!("SELECT CAST(l.price AS {text}), COUNT(*) FROM tk_ledger l");
        let clause = Clause::new(sql, []).followed_by(filter.filter()).then(" GROUP BY l.price");
        let prices = clause.fetch(tx, "tk_ledger", |row| Ok((amount(row, 0)?, row.count(1)?))).await?;
        let worth = |(price, count): (Amount, u64)| {
            let count = Amount::whole(u32::try_from(count).unwrap_or(u32::MAX));
            price.times(count).unwrap_or(Amount::ZERO)
        };
        Ok(prices.into_iter().map(worth).fold(Amount::ZERO, Amount::saturating_plus))
    }
}

/// ` WHERE` a session began in a span, and is of these accounts, if any are named.
async fn of_span(
    tx: &mut Tx<'_>,
    db: &Db,
    span: Span,
    accounts: Option<&[i64]>,
) -> Result<Clause, StoreError> {
    let began = radacct(tx, db, span).await?.within("a.", span);
    let scope = of_scope(accounts, |marks| {
        format!(
            "EXISTS (SELECT 1 FROM tk_subscriber w WHERE w.username = a.username AND w.account_id IN ({marks}))"
        )
    });
    Ok(began.and(scope).filter())
}

/// Subscribers that were made in a span, and those of them that are sold.
async fn made(tx: &mut Tx<'_>, span: Span, accounts: Option<&[i64]>) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT COUNT(*), COUNT(CASE WHEN s.sold <> 0 THEN 1 END) FROM tk_subscriber s";
    let filter = Clause::within("s.created_at", "?", span)
        .and(of_scope(accounts, |marks| format!("s.account_id IN ({marks})")));
    let clause = Clause::new(sql, []).followed_by(filter.filter());
    let rows = clause.fetch(tx, "tk_subscriber", |row| Ok((row.count(0)?, row.count(1)?))).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// A condition on the accounts, if any are named.
fn of_scope(accounts: Option<&[i64]>, text: impl FnOnce(&str) -> String) -> Clause {
    let Some(accounts) = accounts else { return Clause::always() };
    let marks = vec!["?"; accounts.len()].join(", ");
    Clause::new(text(&marks), accounts.iter().map(|account| Value::Int(*account)))
}

/// Seconds and octets added up, as integers.
fn sums(db: &Db, alias: &str) -> [String; 3] {
    ["acctsessiontime", "acctinputoctets", "acctoutputoctets"].map(|column| match db {
        Db::Sqlite(_) => format!("SUM({alias}.{column})"),
        Db::Postgres(_) => format!("CAST(SUM({alias}.{column}) AS bigint)"),
        Db::MySql(_) => format!("CAST(SUM({alias}.{column}) AS SIGNED)"),
    })
}

fn counts(row: &dyn Columns) -> Result<SessionTotals, sqlx::Error> {
    Ok(SessionTotals {
        sessions: row.count(0)?,
        seconds: row.count(1)?,
        input: row.count(2)?,
        output: row.count(3)?,
        ..SessionTotals::default()
    })
}

fn read(row: &dyn Columns) -> Result<SessionTotals, sqlx::Error> {
    Ok(SessionTotals { first: row.time(4)?, last: row.time(5)?, ..counts(row)? })
}

fn plus(a: SessionTotals, b: SessionTotals) -> SessionTotals {
    SessionTotals {
        sessions: a.sessions + b.sessions,
        logins: a.logins + b.logins,
        seconds: a.seconds.saturating_add(b.seconds),
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        first: a.first.into_iter().chain(b.first).min(),
        last: a.last.max(b.last),
    }
}
