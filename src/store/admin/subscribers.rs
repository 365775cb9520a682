//! Subscribers: `tk_subscriber`, and what they are to FreeRADIUS in `radcheck`, `radreply` and
//! `radusergroup`.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{
    Author, Event, NewAttribute, RADCHECK, RADGROUPCHECK, RADREPLY, account, audit, credit, limits, plans,
    quotas, tenure,
};
use crate::domain::plan::Concurrency;
use crate::domain::{AttributeRow, SubscriberId, SubscriberStatus};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A subscriber to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscriber {
    /// User-Name, unique octet for octet.
    pub login: String,
    /// `user`, `mac`, `pin`.
    pub kind: &'static str,
    /// Name of the account it belongs to.
    pub account: String,
    /// Name of its plan.
    pub plan: Option<String>,
    /// Rows of radcheck, the password among them.
    pub check: Vec<NewAttribute>,
    /// Rows of radreply.
    pub reply: Vec<NewAttribute>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

/// What becomes of rows of attributes: those of the same name are replaced, named ones removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeEdit {
    /// Rows of radcheck.
    pub check: Vec<NewAttribute>,
    /// Rows of radreply.
    pub reply: Vec<NewAttribute>,
    /// Names whose rows are removed from both.
    pub remove: Vec<String>,
}

/// What shall be different; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberEdit {
    /// The primary plan; `Some(None)` takes it away.
    pub plan: Option<Option<String>>,
    /// Administrative status, and why.
    pub status: Option<(SubscriberStatus, String)>,
    /// Who gives way when all places are taken; `Some(None)` leaves it to the plan.
    pub concurrency: Option<Option<Concurrency>>,
    /// Day of the month on which periodic quotas begin anew; `Some(None)` leaves it to the plan.
    pub reset_day: Option<Option<u8>>,
    /// The end; `Some(None)` is never.
    pub expires: Option<Option<UnixTime>>,
    /// Not to be used before; `Some(None)` is at once.
    pub activation: Option<Option<UnixTime>>,
    /// Attributes.
    pub attributes: AttributeEdit,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

/// A subscriber as it is. `check`, `reply` and `groups` are empty in lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberRecord {
    /// The one number.
    pub id: SubscriberId,
    /// User-Name.
    pub login: SmolStr,
    /// `user`, `mac`, `pin` …
    pub kind: SmolStr,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// Why it is that.
    pub status_reason: SmolStr,
    /// Name of the account it belongs to.
    pub account: SmolStr,
    /// Name of the primary plan.
    pub plan: Option<SmolStr>,
    /// Who gives way when all places are taken, where the plan does not say.
    pub concurrency: Option<Concurrency>,
    /// Day of the month on which periodic quotas begin anew, where the plan does not say.
    pub reset_day: Option<u8>,
    /// The end, if there is one.
    pub expires: Option<UnixTime>,
    /// Not to be used before, if there is such a date.
    pub activation: Option<UnixTime>,
    /// First login.
    pub first_use: Option<UnixTime>,
    /// Last login.
    pub last_use: Option<UnixTime>,
    /// When it was made.
    pub created: UnixTime,
    /// radcheck.
    pub check: Vec<AttributeRow>,
    /// radreply.
    pub reply: Vec<AttributeRow>,
    /// radusergroup, by priority.
    pub groups: Vec<SmolStr>,
}

/// Why a subscriber was not made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriberObstacle {
    /// The login is taken.
    Taken,
    /// There is no such subscriber.
    NoSubscriber,
    /// There is no such plan.
    NoPlan,
    /// There is no such account.
    NoAccount,
}

/// The group by which a stock FreeRADIUS beside us refuses who is not active (daloRADIUS's name).
pub(crate) const DISABLED_GROUP: &str = "daloRADIUS-Disabled-Users";

/// What `created_by` says where the rows were there before us.
const FIRST_SIGHT: &str = "first sight";

const RECORD: &str = "SELECT s.id, s.username, s.kind, s.status, s.status_reason, COALESCE(a.name, ''), p.name,
    s.concurrency, s.reset_day, s.expires_at, s.first_use_at, s.last_use_at, s.created_at,
    s.activation_at
    FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id LEFT JOIN tk_plan p ON p.id = s.plan_id";

impl Store {
    /// Makes a subscriber; gives its number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_subscriber(
        &self,
        new: &NewSubscriber,
        author: &Author,
    ) -> Result<Result<SubscriberId, SubscriberObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        if is_known(&mut tx, &new.login).await? {
            return Ok(Err(SubscriberObstacle::Taken));
        }
        let Some(account) = account(&mut tx, &new.account).await? else {
            return Ok(Err(SubscriberObstacle::NoAccount));
        };
        let plan = match &new.plan {
            None => None,
            Some(name) => match plans::find(&mut tx, name).await? {
                None => return Ok(Err(SubscriberObstacle::NoPlan)),
                found => found,
            },
        };
        let id = tx
            .insert(
                "tk_subscriber",
                "INSERT INTO tk_subscriber (account_id, username, kind, plan_id, created_at, created_by, updated_at,
                     updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                &[
                    Bind::Int(account),
                    Bind::Text(&new.login),
                    Bind::Text(new.kind),
                    Bind::MaybeInt(plan),
                    Bind::Int(author.at.0),
                    Bind::Text(&author.name),
                    Bind::Int(author.at.0),
                    Bind::Text(&author.name),
                ],
            )
            .await?;
        for item in &new.check {
            RADCHECK.add(&mut tx, &new.login, item).await?;
        }
        for item in &new.reply {
            RADREPLY.add(&mut tx, &new.login, item).await?;
        }
        if let Some(plan) = &new.plan {
            join(&mut tx, &new.login, plan, PLAN_PRIORITY).await?;
        }
        credit::grant_new(&mut tx, id, "", author).await?;
        let text = Some(format!("{} {}", new.login, new.summary));
        let event = Event { object: "subscriber", id: Some(id), verb: "add", old: None, new: text };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(SubscriberId(id)))
    }

    /// Changes a subscriber. Its open sessions are told to end where it is no longer active.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn set_subscriber(
        &self,
        login: &str,
        edit: &SubscriberEdit,
        author: &Author,
    ) -> Result<Result<(), SubscriberObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = seen(&mut tx, login, author).await? else {
            return Ok(Err(SubscriberObstacle::NoSubscriber));
        };
        if let Some(plan) = &edit.plan
            && !move_to(&mut tx, id, login, plan.as_deref(), author.at).await?
        {
            return Ok(Err(SubscriberObstacle::NoPlan));
        }
        if let Some((status, reason)) = &edit.status {
            put_status(&mut tx, id, login, *status, reason, author).await?;
        }
        if let Some(choice) = edit.concurrency {
            let word = choice.map_or("", Concurrency::as_str);
            column(&mut tx, "concurrency", id, Bind::Text(word)).await?;
        }
        if let Some(day) = edit.reset_day {
            column(&mut tx, "reset_day", id, Bind::MaybeInt(day.map(i64::from))).await?;
        }
        if let Some(expires) = edit.expires {
            column(&mut tx, "expires_at", id, Bind::MaybeInt(expires.map(|at| at.0))).await?;
        }
        if let Some(activation) = edit.activation {
            column(&mut tx, "activation_at", id, Bind::MaybeInt(activation.map(|at| at.0))).await?;
        }
        let AttributeEdit { check, reply, remove } = &edit.attributes;
        let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
        RADCHECK.remove(&mut tx, login, &remove).await?;
        RADREPLY.remove(&mut tx, login, &remove).await?;
        RADCHECK.replace(&mut tx, login, check).await?;
        RADREPLY.replace(&mut tx, login, reply).await?;
        column(&mut tx, "updated_at", id, Bind::Int(author.at.0)).await?;
        column(&mut tx, "updated_by", id, Bind::Text(&author.name)).await?;
        let new = Some(format!("{login} {}", edit.summary));
        audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "set", old: None, new })
            .await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Removes a subscriber: its rows of FreeRADIUS's tables go, its number stays and is marked, its
    /// login is free, its open sessions are told to end. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_subscriber(&self, login: &str, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = seen(&mut tx, login, author).await? else { return Ok(false) };
        RADCHECK.delete_all(&mut tx, login).await?;
        RADREPLY.delete_all(&mut tx, login).await?;
        for group in groups(&mut tx, login).await? {
            leave(&mut tx, login, &group).await?;
        }
        end_sessions(&mut tx, id, author).await?;
        tenure::forget(&mut tx, tenure::RuleOwner::Subscriber(login), id).await?;
        limits::forget(&mut tx, id).await?;
        tx.run(
            "tk_subscriber",
            "UPDATE tk_subscriber SET status = 'deleted', username = NULL, plan_id = NULL, updated_at = ?,
                 updated_by = ? WHERE id = ?",
            &[Bind::Int(author.at.0), Bind::Text(&author.name), Bind::Int(id)],
        )
        .await?;
        let old = Some(login.to_owned());
        audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A subscriber with all of its rows. One that only FreeRADIUS's tables know gets its number now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn find_subscriber(
        &self,
        login: &str,
        author: &Author,
    ) -> Result<Option<SubscriberRecord>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let found = one(&mut tx, login).await?;
        drop(tx);
        if found.is_some() {
            return Ok(found);
        }
        let mut tx = Tx::begin(self.db()).await?;
        if seen(&mut tx, login, author).await?.is_none() {
            return Ok(None);
        }
        let found = one(&mut tx, login).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Subscribers with a number above `after` whose login contains `search`, by number, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_subscribers(
        &self,
        search: &str,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<SubscriberRecord>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        // LIKE's own signs are meant as they are.
        let pattern = format!("%{}%", search.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
        let sql = format!(
            "{RECORD} WHERE s.id > ? AND s.username IS NOT NULL AND s.username LIKE ? ESCAPE '!' ORDER BY s.id LIMIT ?"
        );
        tx.fetch(
            "tk_subscriber",
            &sql,
            &[Bind::Int(after.0), Bind::Text(&pattern), Bind::Int(i64::from(limit))],
            record,
        )
        .await
    }
}

/// Priority of the primary plan's group, and of the group of those who are not active.
const PLAN_PRIORITY: i64 = 1;
const DISABLED_PRIORITY: i64 = 0;

async fn number(tx: &mut Tx<'_>, login: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id, username FROM tk_subscriber WHERE username = ?";
    let found = tx
        .fetch("tk_subscriber", sql, &[Bind::Text(login)], |row| Ok((row.number(0)?, row.word(1)?)))
        .await?;
    Ok(found.into_iter().find(|(_, exact)| exact == login).map(|(id, _)| id))
}

async fn in_freeradius(tx: &mut Tx<'_>, login: &str) -> Result<bool, StoreError> {
    Ok(!RADCHECK.rows(tx, login).await?.is_empty()
        || !RADREPLY.rows(tx, login).await?.is_empty()
        || !groups(tx, login).await?.is_empty())
}

async fn is_known(tx: &mut Tx<'_>, login: &str) -> Result<bool, StoreError> {
    Ok(number(tx, login).await?.is_some() || in_freeradius(tx, login).await?)
}

/// The number of a subscriber, made now where only FreeRADIUS's tables know it.
pub(super) async fn seen(tx: &mut Tx<'_>, login: &str, author: &Author) -> Result<Option<i64>, StoreError> {
    if let Some(id) = number(tx, login).await? {
        return Ok(Some(id));
    }
    if !in_freeradius(tx, login).await? {
        return Ok(None);
    }
    let sql = "INSERT INTO tk_subscriber (username, created_at, created_by, updated_at) VALUES (?, ?, ?, ?)";
    let at = Bind::Int(author.at.0);
    tx.insert("tk_subscriber", sql, &[Bind::Text(login), at, Bind::Text(FIRST_SIGHT), at]).await.map(Some)
}

pub(super) async fn column(tx: &mut Tx<'_>, name: &str, id: i64, value: Bind<'_>) -> Result<(), StoreError> {
    let sql = format!("UPDATE tk_subscriber SET {name} = ? WHERE id = ?");
    tx.run("tk_subscriber", &sql, &[value, Bind::Int(id)]).await.map(drop)
}

/// Replaces the primary plan, and its group; other groups stay. `false`: there is no such plan.
async fn move_to(
    tx: &mut Tx<'_>,
    id: i64,
    login: &str,
    plan: Option<&str>,
    at: UnixTime,
) -> Result<bool, StoreError> {
    let next = match plan {
        None => None,
        Some(name) => match plans::find(tx, name).await? {
            None => return Ok(false),
            found => found,
        },
    };
    let sql =
        "SELECT p.groupname, p.id FROM tk_subscriber s JOIN tk_plan p ON p.id = s.plan_id WHERE s.id = ?";
    let before = tx.fetch("tk_plan", sql, &[Bind::Int(id)], |row| Ok((row.word(0)?, row.number(1)?))).await?;
    for (group, _) in &before {
        leave(tx, login, group).await?;
    }
    if next.is_some() && before.first().map(|(_, plan)| *plan) != next {
        quotas::begin_term(tx, id, at).await?;
    }
    if let Some(name) = plan {
        leave(tx, login, name).await?;
        join(tx, login, name, PLAN_PRIORITY).await?;
    }
    column(tx, "plan_id", id, Bind::MaybeInt(next)).await?;
    Ok(true)
}

async fn put_status(
    tx: &mut Tx<'_>,
    id: i64,
    login: &str,
    status: SubscriberStatus,
    reason: &str,
    author: &Author,
) -> Result<(), StoreError> {
    column(tx, "status", id, Bind::Text(status.as_str())).await?;
    column(tx, "status_reason", id, Bind::Text(reason)).await?;
    leave(tx, login, DISABLED_GROUP).await?;
    if status == SubscriberStatus::Active {
        // Who was locked by a row of its own, as other tools do it, is unlocked by taking that away.
        for row in RADCHECK.rows(tx, login).await? {
            if row.attribute.eq_ignore_ascii_case("Auth-Type") && row.value.eq_ignore_ascii_case("Reject") {
                RADCHECK.delete(tx, row.id).await?;
            }
        }
        return Ok(());
    }
    if RADGROUPCHECK.rows(tx, DISABLED_GROUP).await?.is_empty() {
        let reject = NewAttribute::new("Auth-Type", ":=", "Reject");
        RADGROUPCHECK.add(tx, DISABLED_GROUP, &reject).await?;
    }
    join(tx, login, DISABLED_GROUP, DISABLED_PRIORITY).await?;
    end_sessions(tx, id, author).await
}

/// Orders a Disconnect for every open session of a subscriber.
async fn end_sessions(tx: &mut Tx<'_>, id: i64, author: &Author) -> Result<(), StoreError> {
    tx.run(
        "tk_coa",
        "INSERT INTO tk_coa (session, code, queued_at, queued_by)
         SELECT s.unique_id, 40, ?, ? FROM tk_session s JOIN radacct r ON r.acctuniqueid = s.unique_id
         WHERE s.subscriber_id = ? AND r.acctstoptime IS NULL",
        &[Bind::Int(author.at.0), Bind::Text(&author.name), Bind::Int(id)],
    )
    .await
    .map(drop)
}

async fn join(tx: &mut Tx<'_>, login: &str, group: &str, priority: i64) -> Result<(), StoreError> {
    tx.run(
        "radusergroup",
        "INSERT INTO radusergroup (username, groupname, priority) VALUES (?, ?, ?)",
        &[Bind::Text(login), Bind::Text(group), Bind::Int(priority)],
    )
    .await
    .map(drop)
}

/// Older databases have no number in radusergroup, so the names are compared there, exactly.
async fn leave(tx: &mut Tx<'_>, login: &str, group: &str) -> Result<(), StoreError> {
    let (login, group) = (Bind::Text(login), Bind::Text(group));
    let exact = "DELETE FROM radusergroup WHERE username = ? AND groupname = ?";
    let binary = "DELETE FROM radusergroup WHERE username = ? AND groupname = ?
        AND CAST(username AS BINARY) = CAST(? AS BINARY) AND CAST(groupname AS BINARY) = CAST(? AS BINARY)";
    let (sql, binds) = tx.pick((exact, 2), (exact, 2), (binary, 4));
    let all = [login, group, login, group];
    tx.run("radusergroup", sql, all.get(..binds).unwrap_or(&all)).await.map(drop)
}

async fn groups(tx: &mut Tx<'_>, login: &str) -> Result<Vec<SmolStr>, StoreError> {
    let sql = "SELECT groupname, username FROM radusergroup WHERE username = ? ORDER BY priority";
    let rows =
        tx.fetch("radusergroup", sql, &[Bind::Text(login)], |row| Ok((row.word(0)?, row.word(1)?))).await?;
    Ok(rows.into_iter().filter(|(_, exact)| exact == login).map(|(group, _)| group).collect())
}

async fn one(tx: &mut Tx<'_>, login: &str) -> Result<Option<SubscriberRecord>, StoreError> {
    let sql = format!("{RECORD} WHERE s.username = ?");
    let found = tx.fetch("tk_subscriber", &sql, &[Bind::Text(login)], record).await?;
    let Some(mut found) = found.into_iter().find(|found| found.login == login) else { return Ok(None) };
    found.check = RADCHECK.rows(tx, login).await?;
    found.reply = RADREPLY.rows(tx, login).await?;
    found.groups = groups(tx, login).await?;
    Ok(Some(found))
}

fn record(row: &dyn Columns) -> Result<SubscriberRecord, sqlx::Error> {
    Ok(SubscriberRecord {
        id: SubscriberId(row.number(0)?),
        login: row.word(1)?,
        kind: row.word(2)?,
        // A status of a later release lets nobody in.
        status: SubscriberStatus::parse(&row.word(3)?).unwrap_or(SubscriberStatus::Blocked),
        status_reason: row.word(4)?,
        account: row.word(5)?,
        plan: row.text(6)?,
        concurrency: Concurrency::parse(&row.word(7)?),
        reset_day: row.int(8)?.and_then(|day| u8::try_from(day).ok()),
        expires: row.time(9)?,
        first_use: row.time(10)?,
        last_use: row.time(11)?,
        created: row.time(12)?.unwrap_or_default(),
        activation: row.time(13)?,
        check: Vec::new(),
        reply: Vec::new(),
        groups: Vec::new(),
    })
}
