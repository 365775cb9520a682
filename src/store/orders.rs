//! Orders to NASes about sessions (RFC 5176): `tk_coa` is queue and record in one.

use smol_str::SmolStr;

use super::db::{Columns, Db, execute, fetch, on_pool};
use super::{Store, StoreError};
use crate::domain::UniqueId;
use crate::domain::dynamic_auth::{Attempt, Job, NotSent, Order, Outcome};
use crate::time::UnixTime;

/// A row of `tk_coa` as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// What was asked.
    pub job: Job,
    /// By whom.
    pub queued_by: SmolStr,
    /// When a server took it.
    pub taken: Option<UnixTime>,
    /// When it was first sent.
    pub sent: Option<UnixTime>,
    /// When its end was known.
    pub done: Option<UnixTime>,
    /// How it ended; `None` while it waits or is under way.
    pub outcome: Option<Outcome>,
}

const DISCONNECT_REQUEST: i64 = 40;
const COA_REQUEST: i64 = 43;

const END_ORDER: &str =
    "UPDATE tk_coa SET outcome = ?, error_cause = ?, sent_at = ?, done_at = ? WHERE id = ?";

const COLUMNS: &str =
    "id, session, code, attributes, queued_at, queued_by, taken_at, sent_at, done_at, outcome, error_cause";

impl Store {
    /// Queues an order for whichever server takes it; gives its number.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn queue_order(
        &self,
        session: UniqueId,
        order: &Order,
        by: &str,
        now: UnixTime,
    ) -> Result<i64, StoreError> {
        self.insert_order(session, order, by, now, None).await
    }

    /// Records an order that this server executes itself; gives its number for
    /// [`Store::record_outcome`].
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn record_order(
        &self,
        session: UniqueId,
        order: &Order,
        by: &str,
        now: UnixTime,
    ) -> Result<i64, StoreError> {
        self.insert_order(session, order, by, now, Some(now)).await
    }

    /// Takes waiting orders, the oldest first: each is given to one caller, once.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn take_jobs(&self, most: u32, now: UnixTime) -> Result<Vec<Job>, StoreError> {
        let columns = "id, session, code, attributes, queued_at";
        let mut taken = match self.db() {
            Db::Sqlite(_) => {
                let sql = format!(
                    "UPDATE tk_coa SET taken_at = ? WHERE id IN
                         (SELECT id FROM tk_coa WHERE taken_at IS NULL ORDER BY id LIMIT ?) RETURNING {columns}"
                );
                fetch!(self.db(), write, "tk_coa", &sql, [now.0, i64::from(most)], job)?
            }
            Db::Postgres(_) => {
                let sql = format!(
                    "UPDATE tk_coa SET taken_at = ? WHERE id IN
                         (SELECT id FROM tk_coa WHERE taken_at IS NULL ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED)
                     RETURNING {columns}"
                );
                fetch!(self.db(), write, "tk_coa", &sql, [now.0, i64::from(most)], job)?
            }
            Db::MySql(pools) => take_mysql(pools, columns, most, now)
                .await
                .map_err(|error| StoreError::from_sql(&error, "tk_coa"))?,
        };
        taken.sort_by_key(|(id, _)| *id);
        Ok(taken.into_iter().filter_map(|(_, job)| job).collect())
    }

    /// Records how an order ended.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn record_outcome(
        &self,
        id: i64,
        outcome: Outcome,
        sent: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (error_cause, sent) = (error_cause(outcome), sent.map(|sent| sent.0));
        execute!(self.db(), write, "tk_coa", END_ORDER, [outcome.as_str(), error_cause, sent, now.0, id])
            .map(drop)
    }

    /// Records orders that have ended, all or none: into the row that was queued, or into a new one.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn record_attempts(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        let insert = self.db().sql(
            "INSERT INTO tk_coa (session, code, attributes, queued_at, queued_by, taken_at, sent_at, done_at,
                 outcome, error_cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        let update = self.db().sql(END_ORDER);
        on_pool!(self.db(), write, |pool| {
            let written = async {
                let mut transaction = pool.begin().await?;
                for attempt in attempts {
                    let (error_cause, sent) = (error_cause(attempt.outcome), attempt.sent.map(|sent| sent.0));
                    let word = attempt.outcome.as_str();
                    let query = if let Some(id) = attempt.job {
                        let ended = attempt.ended.0;
                        sqlx::query(&update).bind(word).bind(error_cause).bind(sent).bind(ended).bind(id)
                    } else {
                        let (code, attributes) = code_and_attributes(&attempt.order);
                        let queued = attempt.queued.0;
                        sqlx::query(&insert)
                            .bind(attempt.session.to_text().to_string())
                            .bind(code)
                            .bind(attributes)
                            .bind(queued)
                            .bind(attempt.by.as_str())
                            .bind(queued)
                            .bind(sent)
                            .bind(attempt.ended.0)
                            .bind(word)
                            .bind(error_cause)
                    };
                    query.execute(&mut *transaction).await?;
                }
                transaction.commit().await
            };
            written.await.map_err(|error| StoreError::from_sql(&error, "tk_coa"))
        })
    }

    /// Ends the orders that a server took before `before` and never finished, as after a crash: nobody
    /// knows whether they were sent, so they count as timed out. How many there were.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn give_up_jobs(&self, before: UnixTime, now: UnixTime) -> Result<u64, StoreError> {
        let sql = "UPDATE tk_coa SET outcome = ?, done_at = ? WHERE outcome IS NULL AND taken_at < ?";
        execute!(self.db(), write, "tk_coa", sql, [Outcome::TimedOut.as_str(), now.0, before.0])
    }

    /// How an order stands; `None` if there is no such order.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn outcome(&self, id: i64) -> Result<Option<OrderRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM tk_coa WHERE id = ?");
        Ok(fetch!(self.db(), read, "tk_coa", &sql, [id], order_row)?.into_iter().flatten().next())
    }

    /// The orders about a session, the latest first.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn orders_of(&self, session: UniqueId, most: u32) -> Result<Vec<OrderRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM tk_coa WHERE session = ? ORDER BY id DESC LIMIT ?");
        let session = session.to_text();
        let found = fetch!(self.db(), read, "tk_coa", &sql, [session.as_str(), i64::from(most)], order_row)?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn insert_order(
        &self,
        session: UniqueId,
        order: &Order,
        by: &str,
        now: UnixTime,
        taken: Option<UnixTime>,
    ) -> Result<i64, StoreError> {
        let (code, attributes) = code_and_attributes(order);
        let session = session.to_text();
        let taken = taken.map(|taken| taken.0);
        let insert = "INSERT INTO tk_coa (session, code, attributes, queued_at, queued_by, taken_at) VALUES (?, ?, ?, ?, ?, ?)";
        if let Db::MySql(pools) = self.db() {
            let done = sqlx::query(insert)
                .bind(session.as_str())
                .bind(code)
                .bind(attributes)
                .bind(now.0)
                .bind(by)
                .bind(taken)
                .execute(&pools.write)
                .await
                .map_err(|error| StoreError::from_sql(&error, "tk_coa"))?;
            return Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX));
        }
        let sql = format!("{insert} RETURNING id");
        fetch!(
            self.db(),
            write,
            "tk_coa",
            &sql,
            [session.as_str(), code, attributes.as_deref(), now.0, by, taken],
            |row| row.number(0)
        )?
        .pop()
        .ok_or_else(|| StoreError::Corrupt { table: "tk_coa", reason: "no number".to_owned() })
    }
}

fn code_and_attributes(order: &Order) -> (i64, Option<String>) {
    match order {
        Order::Disconnect => (DISCONNECT_REQUEST, None),
        Order::ChangeOfAuthorization(attributes) => (COA_REQUEST, Some(attributes.join("\n"))),
    }
}

fn error_cause(outcome: Outcome) -> Option<i64> {
    match outcome {
        Outcome::Nak { error_cause } => error_cause.map(i64::from),
        Outcome::Ack | Outcome::TimedOut | Outcome::NotSent(_) => None,
    }
}

/// MySQL has no RETURNING: rows are locked, read and marked. Another taker waits for the lock and then
/// sees the mark.
async fn take_mysql(
    pools: &super::db::Pools<sqlx::MySql>,
    columns: &str,
    most: u32,
    now: UnixTime,
) -> Result<Vec<(i64, Option<Job>)>, sqlx::Error> {
    let mut transaction = pools.write.begin().await?;
    let sql = format!("SELECT {columns} FROM tk_coa WHERE taken_at IS NULL ORDER BY id LIMIT ? FOR UPDATE");
    let rows = sqlx::query(&sql).bind(i64::from(most)).fetch_all(&mut *transaction).await?;
    let jobs: Vec<(i64, Option<Job>)> = rows.iter().map(|row| job(row)).collect::<Result<_, _>>()?;
    for (id, _) in &jobs {
        sqlx::query("UPDATE tk_coa SET taken_at = ? WHERE id = ?")
            .bind(now.0)
            .bind(*id)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(jobs)
}

/// Number and order; no order where the row asks for something we do not know.
fn job(row: &dyn Columns) -> Result<(i64, Option<Job>), sqlx::Error> {
    let id = row.number(0)?;
    let attributes = row.word(3)?;
    let order = match row.number(2)? {
        DISCONNECT_REQUEST => Some(Order::Disconnect),
        COA_REQUEST => Some(Order::ChangeOfAuthorization(
            attributes.lines().filter(|line| !line.trim().is_empty()).map(SmolStr::new).collect(),
        )),
        _ => None,
    };
    let session = UniqueId::parse(&row.word(1)?);
    let queued = row.time(4)?.unwrap_or_default();
    Ok((id, order.zip(session).map(|(order, session)| Job { id, session, order, queued })))
}

fn order_row(row: &dyn Columns) -> Result<Option<OrderRow>, sqlx::Error> {
    let (_, Some(job)) = job(row)? else { return Ok(None) };
    let error_cause = row.int(10)?.and_then(|cause| u32::try_from(cause).ok());
    let known = [
        Outcome::Ack,
        Outcome::Nak { error_cause },
        Outcome::TimedOut,
        Outcome::NotSent(NotSent::NoSession),
        Outcome::NotSent(NotSent::NoNas),
        Outcome::NotSent(NotSent::BadAttribute),
        Outcome::NotSent(NotSent::Full),
    ];
    let word = row.word(9)?;
    Ok(Some(OrderRow {
        job,
        queued_by: row.word(5)?,
        taken: row.time(6)?,
        sent: row.time(7)?,
        done: row.time(8)?,
        outcome: known.into_iter().find(|outcome| outcome.as_str() == word),
    }))
}
