//! Renewals, moves to another plan, grace periods (`tk_renewal`), and what is to be done later
//! (`tk_scheduled`).

use super::subscribers::{column, move_to};
use super::tx::{Bind, Tx};
use super::{Author, Event, RADCHECK, audit, fups, quotas, within};
use crate::domain::operator::Scope;
use crate::domain::{Amount, Day, Renewal, RenewalKind, SubscriberId};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A move to another plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanMove {
    /// Number of the plan.
    pub plan: i64,
    /// What was used counts no more.
    pub clear_usage: bool,
    /// What was overridden for the subscriber goes.
    pub clear_overrides: bool,
    /// Its billing months are counted from the move on.
    pub move_billing: bool,
    /// The move counts from that day and moment on: what was used since then is used of the new plan.
    pub from: Option<(Day, UnixTime)>,
    /// The term of the new plan, for the report.
    pub until: Option<UnixTime>,
}

/// A row of `tk_renewal` to be written.
pub(super) struct NewRenewal<'a> {
    pub(super) kind: RenewalKind,
    pub(super) days: &'a str,
    pub(super) amount: Option<Amount>,
    pub(super) previous: Option<i64>,
    pub(super) since: Option<UnixTime>,
    pub(super) until: Option<UnixTime>,
    pub(super) notes: &'a str,
}

/// Until when a subscriber's end is put off.
#[derive(Clone, Copy)]
pub struct PutOff<'a> {
    /// Whatever ends it, it ends no earlier.
    pub until: UnixTime,
    /// The same as the row `Expiration` has it.
    pub written: &'a str,
    /// Does a row with this date end it earlier?
    pub is_earlier: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// Something that was scheduled and is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueChange {
    /// Its number.
    pub id: i64,
    /// Whom it concerns.
    pub subscriber: SubscriberId,
    /// What is to be done.
    pub change: PlanMove,
    /// Who ordered it.
    pub by: String,
}

impl Store {
    /// Moves a subscriber to another plan now, which is `today` in its zone. `Ok(false)`: there is no such plan, or
    /// nobody of that number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn move_plan(
        &self,
        subscriber: SubscriberId,
        change: &PlanMove,
        today: Day,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        if !apply(&mut tx, subscriber.0, change, today, author).await? {
            return Ok(false);
        }
        supersede(&mut tx, subscriber.0, author).await?;
        let new = Some(format!("plan {}", change.plan));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "move", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Schedules a move in the place of any that waits; gives its number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn schedule_move(
        &self,
        subscriber: SubscriberId,
        at: UnixTime,
        change: &PlanMove,
        author: &Author,
    ) -> Result<i64, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        supersede(&mut tx, subscriber.0, author).await?;
        let argument = argument(change);
        let sql = "INSERT INTO tk_scheduled (subscriber_id, at, command, argument, queued_at, queued_by)
            VALUES (?, ?, ?, ?, ?, ?)";
        let binds = [
            Bind::Int(subscriber.0),
            Bind::Int(at.0),
            Bind::Text(MOVE),
            Bind::Text(&argument),
            Bind::Int(author.at.0),
            Bind::Text(&author.name),
        ];
        let id = tx.insert("tk_scheduled", sql, &binds).await?;
        let new = Some(format!("plan {} at {}", change.plan, at.0));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "schedule", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// What is scheduled and due, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due_changes(&self, now: UnixTime, limit: u32) -> Result<Vec<DueChange>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT id, subscriber_id, argument, queued_by FROM tk_scheduled
            WHERE done_at IS NULL AND at <= ? ORDER BY at, id LIMIT ?";
        let binds = [Bind::Int(now.0), Bind::Int(limit.into())];
        let found = tx.fetch("tk_scheduled", sql, &binds, |row| {
            Ok((row.number(0)?, SubscriberId(row.number(1)?), row.word(2)?, row.word(3)?.to_string()))
        });
        let found = found.await?.into_iter();
        let due = |(id, subscriber, argument, by): (_, _, smol_str::SmolStr, _)| {
            let change = read_argument(&argument);
            DueChange { id, subscriber, change, by }
        };
        Ok(found.map(due).collect())
    }

    /// Carries out what was scheduled, once: another server may be faster. It is `today` in the subscriber's zone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn carry_out(&self, due: &DueChange, today: Day, author: &Author) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "UPDATE tk_scheduled SET done_at = ?, outcome = ? WHERE id = ? AND done_at IS NULL";
        let binds = [Bind::Int(author.at.0), Bind::Text("done"), Bind::Int(due.id)];
        if tx.run("tk_scheduled", sql, &binds).await? == 0 {
            return Ok(());
        }
        let done = apply(&mut tx, due.subscriber.0, &due.change, today, author).await?;
        if !done {
            let sql = "UPDATE tk_scheduled SET outcome = ? WHERE id = ?";
            let binds = [Bind::Text("the subscriber or the plan is gone"), Bind::Int(due.id)];
            tx.run("tk_scheduled", sql, &binds).await?;
        }
        let new = Some(format!("plan {} {}", due.change.plan, if done { "done" } else { "void" }));
        let event = Event {
            object: "subscriber",
            id: Some(due.subscriber.0),
            verb: "scheduled move",
            old: None,
            new,
        };
        audit(&mut tx, author, event).await?;
        tx.commit().await
    }

    /// Puts off a subscriber's end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_grace(
        &self,
        subscriber: SubscriberId,
        login: &str,
        days: i64,
        until: &PutOff<'_>,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        put_off(&mut tx, subscriber.0, Some(login), until).await?;
        let until = until.until;
        touch(&mut tx, subscriber.0, author).await?;
        let days = days.to_string();
        let row = NewRenewal {
            kind: RenewalKind::Grace,
            days: &days,
            amount: None,
            previous: None,
            since: Some(author.at),
            until: Some(until),
            notes: "grace period",
        };
        add(&mut tx, subscriber.0, &row, author).await?;
        let new = Some(format!("{days} days, until {}", until.0));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "grace", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await
    }

    /// Renewals, the latest first; `from` and `to` are the first second that is meant and the first after
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renewals(
        &self,
        subscriber: Option<SubscriberId>,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
        limit: u32,
        scope: &Scope,
    ) -> Result<Vec<Renewal>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let text = tx.pick("TEXT", "text", "CHAR");
        let of = if subscriber.is_some() { "r.subscriber_id = ?" } else { "? = 0" };
        let sql = format!(
            "SELECT r.id, r.subscriber_id, COALESCE(a.name, ''), r.admin_username, r.days, CAST(r.amount AS {text}),
                 CAST(r.plan_rate AS {text}), CAST(r.tax AS {text}), r.type, r.previous_plan_id, r.present_plan_id,
                 r.order_id, r.order_active_until, r.active_since, r.active_until, r.deleted, r.notes, r.created_at
             FROM tk_renewal r LEFT JOIN tk_account a ON a.id = r.account_id
             WHERE {of} AND r.created_at >= ? AND r.created_at < ?{} ORDER BY r.id DESC LIMIT ?",
            within(scope, "r.account_id")
        );
        let binds = [
            Bind::Int(subscriber.map_or(0, |subscriber| subscriber.0)),
            Bind::Int(from.map_or(i64::MIN, |at| at.0)),
            Bind::Int(to.map_or(i64::MAX, |at| at.0)),
            Bind::Int(limit.into()),
        ];
        tx.fetch("tk_renewal", &sql, &binds, renewal).await
    }
}

fn renewal(row: &dyn Columns) -> Result<Renewal, sqlx::Error> {
    let money = |column| Ok::<_, sqlx::Error>(row.text(column)?.and_then(|text| Amount::parse(&text)));
    Ok(Renewal {
        id: row.number(0)?,
        subscriber: SubscriberId(row.number(1)?),
        account: row.word(2)?,
        actor: row.word(3)?,
        days: row.word(4)?,
        amount: money(5)?,
        plan_rate: money(6)?,
        tax: money(7)?,
        kind: row.word(8)?,
        previous_plan: row.int(9)?,
        present_plan: row.int(10)?,
        order: row.int(11)?,
        order_until: row.time(12)?,
        since: row.time(13)?,
        until: row.time(14)?,
        deleted: row.number(15)? != 0,
        notes: row.word(16)?,
        created: row.time(17)?.unwrap_or_default(),
    })
}

const MOVE: &str = "move";

/// A move as `tk_scheduled.argument` holds it: words of `name=value`.
fn argument(change: &PlanMove) -> String {
    format!(
        "plan={} usage={} overrides={} billing={} until={}",
        change.plan,
        i32::from(change.clear_usage),
        i32::from(change.clear_overrides),
        i32::from(change.move_billing),
        change.until.map_or(0, |at| at.0)
    )
}

fn read_argument(text: &str) -> PlanMove {
    let number = |name: &str| {
        let words = text.split(' ').filter_map(|word| word.split_once('='));
        words.filter(|(known, _)| *known == name).find_map(|(_, value)| value.parse::<i64>().ok())
    };
    PlanMove {
        plan: number("plan").unwrap_or(0),
        clear_usage: number("usage") == Some(1),
        clear_overrides: number("overrides") == Some(1),
        move_billing: number("billing") == Some(1),
        from: None,
        until: number("until").filter(|at| *at > 0).map(UnixTime),
    }
}

/// Puts off a subscriber's end. Its own date moves along, and the row of radcheck that a FreeRADIUS beside us reads,
/// where they are earlier.
pub(super) async fn put_off(
    tx: &mut Tx<'_>,
    subscriber: i64,
    login: Option<&str>,
    put: &PutOff<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE tk_subscriber SET grace_until = CASE WHEN grace_until > ? THEN grace_until ELSE ? END,
         expires_at = CASE WHEN expires_at < ? THEN ? ELSE expires_at END WHERE id = ?";
    let until = Bind::Int(put.until.0);
    tx.run("tk_subscriber", sql, &[until, until, until, until, Bind::Int(subscriber)]).await?;
    let rows = match login {
        Some(login) => RADCHECK.rows(tx, login).await?,
        None => Vec::new(),
    };
    for row in rows {
        if row.attribute.eq_ignore_ascii_case("Expiration") && (put.is_earlier)(&row.value) {
            let sql = "UPDATE radcheck SET value = ? WHERE id = ?";
            tx.run("radcheck", sql, &[Bind::Text(put.written), Bind::Int(row.id)]).await?;
        }
    }
    Ok(())
}

/// A later order is in the place of an earlier one.
pub(super) async fn supersede(tx: &mut Tx<'_>, subscriber: i64, author: &Author) -> Result<(), StoreError> {
    let sql = "UPDATE tk_scheduled SET done_at = ?, outcome = ? WHERE subscriber_id = ? AND done_at IS NULL";
    let binds = [Bind::Int(author.at.0), Bind::Text("superseded"), Bind::Int(subscriber)];
    tx.run("tk_scheduled", sql, &binds).await.map(drop)
}

async fn touch(tx: &mut Tx<'_>, subscriber: i64, author: &Author) -> Result<(), StoreError> {
    column(tx, "updated_at", subscriber, Bind::Int(author.at.0)).await?;
    column(tx, "updated_by", subscriber, Bind::Text(&author.name)).await
}

async fn apply(
    tx: &mut Tx<'_>,
    subscriber: i64,
    change: &PlanMove,
    today: Day,
    author: &Author,
) -> Result<bool, StoreError> {
    let sql = "SELECT username, plan_id FROM tk_subscriber WHERE id = ? AND username IS NOT NULL";
    let own = [Bind::Int(subscriber)];
    let found = tx.fetch("tk_subscriber", sql, &own, |row| Ok((row.word(0)?, row.int(1)?)));
    let Some((login, previous)) = found.await?.into_iter().next() else { return Ok(false) };
    let sql = "SELECT name FROM tk_plan WHERE id = ?";
    let Some(plan) =
        tx.fetch("tk_plan", sql, &[Bind::Int(change.plan)], |row| row.word(0)).await?.into_iter().next()
    else {
        return Ok(false);
    };
    let sql = "SELECT began_at, seconds, input, output FROM tk_term WHERE subscriber_id = ?";
    let term = tx.fetch("tk_term", sql, &own, |row| {
        Ok([row.number(0)?, row.number(1)?, row.number(2)?, row.number(3)?])
    });
    let term = term.await?.into_iter().next();
    if !move_to(tx, subscriber, &login, Some(&plan), author.at).await? {
        return Ok(false);
    }
    let since = change.from.map_or(author.at, |(_, at)| at);
    if change.clear_usage {
        quotas::clear_usage(tx, subscriber, today, author.at).await?;
    } else if let Some((day, at)) = change.from {
        begin_term_on(tx, subscriber, day, at).await?;
    } else {
        // The move alone makes nobody's usage unused.
        match term {
            Some([began, used @ ..]) => quotas::put_term(tx, subscriber, UnixTime(began), used).await?,
            None => {
                let sql = "DELETE FROM tk_term WHERE subscriber_id = ?";
                tx.run("tk_term", sql, &[Bind::Int(subscriber)]).await?;
            }
        }
    }
    if change.clear_overrides {
        fups::clear(tx, subscriber, &login, None).await?;
    }
    if change.move_billing {
        column(tx, "activation_at", subscriber, Bind::Int(since.0)).await?;
    }
    touch(tx, subscriber, author).await?;
    let row = NewRenewal {
        kind: RenewalKind::Move,
        days: "",
        amount: None,
        previous,
        since: Some(since),
        until: change.until,
        notes: "move group",
    };
    add(tx, subscriber, &row, author).await?;
    Ok(true)
}

/// The term began on a day: what was used before it is what was used since ever without what was used from
/// that day on.
async fn begin_term_on(tx: &mut Tx<'_>, subscriber: i64, day: Day, at: UnixTime) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN day = {life} THEN seconds ELSE -seconds END), 0) AS {int}),
             CAST(COALESCE(SUM(CASE WHEN day = {life} THEN input ELSE -input END), 0) AS {int}),
             CAST(COALESCE(SUM(CASE WHEN day = {life} THEN output ELSE -output END), 0) AS {int})
         FROM tk_usage WHERE subscriber_id = ? AND (day = {life} OR day >= ?)",
        life = Day::LIFETIME.0,
        int = tx.pick("INTEGER", "bigint", "SIGNED"),
    );
    let binds = [Bind::Int(subscriber), Bind::Int(i64::from(day.0))];
    let before =
        tx.fetch("tk_usage", &sql, &binds, |row| Ok([row.number(0)?, row.number(1)?, row.number(2)?]));
    let before = before.await?.into_iter().next().unwrap_or_default().map(|sum| sum.max(0));
    quotas::put_term(tx, subscriber, at, before).await
}

/// Writes a row of `tk_renewal`; account and present plan are the subscriber's.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    subscriber: i64,
    new: &NewRenewal<'_>,
    author: &Author,
) -> Result<i64, StoreError> {
    let decimal = tx.decimal();
    let sql = "SELECT account_id, plan_id FROM tk_subscriber WHERE id = ?";
    let own = [Bind::Int(subscriber)];
    let found = tx.fetch("tk_subscriber", sql, &own, |row| Ok((row.number(0)?, row.int(1)?)));
    let (account, plan) = found.await?.into_iter().next().unwrap_or_default();
    let sql = format!(
        "INSERT INTO tk_renewal (subscriber_id, account_id, admin_username, days, amount, plan_rate, type,
             previous_plan_id, present_plan_id, active_since, active_until, notes, created_at)
         VALUES (?, ?, ?, ?, {decimal}, {decimal}, ?, ?, ?, ?, ?, ?, ?)"
    );
    let binds = [
        Bind::Int(subscriber),
        Bind::Int(account),
        Bind::Text(&author.name),
        Bind::Text(new.days),
        Bind::MaybeAmount(new.amount),
        Bind::MaybeAmount(new.amount),
        Bind::Text(new.kind.as_str()),
        Bind::MaybeInt(new.previous.or(plan)),
        Bind::MaybeInt(plan),
        Bind::MaybeInt(new.since.map(|at| at.0)),
        Bind::MaybeInt(new.until.map(|at| at.0)),
        Bind::Text(new.notes),
        Bind::Int(author.at.0),
    ];
    tx.insert("tk_renewal", &sql, &binds).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_read_back() {
        let change = PlanMove {
            plan: 7,
            clear_usage: true,
            clear_overrides: false,
            move_billing: true,
            from: None,
            until: Some(UnixTime(9)),
        };
        assert_eq!(read_argument(&argument(&change)), change);
    }
}
