//! Subscribers: `tk_subscriber`, and what they are to FreeRADIUS in `radcheck`, `radreply` and
//! `radusergroup`.

use smol_str::SmolStr;

use super::groups::{self, DISABLED_GROUP, join, leave};
use super::tx::{Bind, Tx};
use super::{
    Author, Event, NewAttribute, RADCHECK, RADREPLY, audit, contacts, isp, limits, people, plans, quotas,
    rename, tenure,
};
use crate::domain::operator::Scope;
use crate::domain::plan::Concurrency;
use crate::domain::text::is_mac_like;
use crate::domain::{AttributeRow, ContactField, Kind, Person, SubscriberId, SubscriberStatus, Who};
use crate::store::db::Columns;
use crate::store::{FIRST_SIGHT, Store, StoreError};
use crate::time::UnixTime;

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
    /// Another login.
    pub login: Option<String>,
    /// Another way to prove who it is.
    pub credential: CredentialEdit,
    /// All of its groups in their order, the first being its plan.
    pub groups: Option<Vec<String>>,
    /// Refuse it, or let it in again if that is all that keeps it out.
    pub disabled: Option<bool>,
    /// Fields of its contact; empty clears one.
    pub contact: Vec<(ContactField, String)>,
    /// It counts as sold.
    pub sold: Option<bool>,
    /// For people.
    pub comments: Option<String>,
    /// What kind of customer it is: `home`, or any other word.
    pub label: Option<String>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

/// How a subscriber shall prove who it is. Who needs no password has none, whatever is given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CredentialEdit {
    /// Another kind.
    pub kind: Option<Kind>,
    /// Another password.
    pub password: Option<NewAttribute>,
}

impl std::fmt::Debug for CredentialEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialEdit").field("kind", &self.kind).finish_non_exhaustive()
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberObstacle {
    /// The login is taken.
    Taken(String),
    /// There is no such subscriber.
    NoSubscriber,
    /// There is no such plan or group.
    NoPlan(String),
    /// There is no such account.
    NoAccount(String),
    /// It needs a password now, and none was given.
    NoPassword,
    /// The login of a MAC login is no MAC address.
    NoMac(String),
}

const RECORD: &str = "SELECT s.id, s.username, s.kind, s.status, s.status_reason, COALESCE(a.name, ''), p.name,
    s.concurrency, s.reset_day, s.expires_at, s.first_use_at, s.last_use_at, s.created_at,
    s.activation_at
    FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id LEFT JOIN tk_plan p ON p.id = s.plan_id";

impl Store {
    /// Changes a subscriber; gives it as it is then. Its open sessions are told to end where it is no longer
    /// active, and go on where it has another login.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn set_subscriber(
        &self,
        who: Who<'_>,
        change: &SubscriberEdit,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Person, SubscriberObstacle>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::begin(self.db()).await?;
        let Some(mut located) = locate(&mut tx, who, scope, author).await? else {
            return Ok(Err(SubscriberObstacle::NoSubscriber));
        };
        let before = located.login.clone();
        if let Err(obstacle) = edit(&mut tx, &mut located, change, scope, author).await? {
            return Ok(Err(obstacle));
        }
        let old = (before != located.login).then(|| before.to_string());
        let new = Some(format!("{} {}", located.login, change.summary));
        audit(&mut tx, author, Event { object: "subscriber", id: Some(located.id), verb: "set", old, new })
            .await?;
        let person = people::read_located(&mut tx, &located, order).await?;
        tx.commit().await?;
        Ok(person.ok_or(SubscriberObstacle::NoSubscriber))
    }

    /// Removes a subscriber: its rows of FreeRADIUS's tables go, its number stays and is marked, its
    /// login is free, its open sessions are told to end. Gives the login; `Ok(None)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_subscriber(
        &self,
        who: Who<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<(SubscriberId, SmolStr)>, StoreError> {
        self.remove_subscriber(who, false, scope, author).await
    }

    /// The same; with `void` it owes nothing any more, and nobody collects from it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn remove_subscriber(
        &self,
        who: Who<'_>,
        void: bool,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<(SubscriberId, SmolStr)>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, who, scope, author).await? else { return Ok(None) };
        let (id, login) = (located.id, located.login.as_str());
        isp::forget(&mut tx, id, login, void, author).await?;
        for table in [RADCHECK, RADREPLY] {
            let ours = format!(
                "DELETE FROM tk_attr_source WHERE tbl = '{0}' AND row_id IN (SELECT id FROM {0} WHERE username = ?)",
                table.name
            );
            tx.run("tk_attr_source", &ours, &[Bind::Text(login)]).await?;
            table.delete_all(&mut tx, login).await?;
        }
        for group in groups::of(&mut tx, login, "").await? {
            leave(&mut tx, login, &group).await?;
        }
        end_sessions(&mut tx, id, author).await?;
        tenure::forget(&mut tx, tenure::RuleOwner::Subscriber(login), id).await?;
        limits::forget(&mut tx, id).await?;
        // Who it was stays known: the Jaze API finds also those who are deleted by their telephone.
        tx.run(
            "tk_subscriber",
            "UPDATE tk_subscriber SET status = 'deleted', username = NULL, plan_id = NULL, updated_at = ?,
                 updated_by = ? WHERE id = ?",
            &[Bind::Int(author.at.0), Bind::Text(author.signature()), Bind::Int(id)],
        )
        .await?;
        let old = Some(login.to_owned());
        audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(Some((SubscriberId(id), located.login)))
    }

    /// Puts a subscriber into a group, behind those it has, or takes it out of it; gives it as it is then,
    /// and whether that was anything new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_membership(
        &self,
        who: Who<'_>,
        group: &str,
        member: bool,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(Person, bool), SubscriberObstacle>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, who, scope, author).await? else {
            return Ok(Err(SubscriberObstacle::NoSubscriber));
        };
        let has = groups::of(&mut tx, &located.login, order).await?;
        let is_member = has.iter().any(|has| has == group);
        let exists = !groups::known(&mut tx, &[group], scope).await?.is_empty();
        if group == DISABLED_GROUP || (member && !is_member && !exists) {
            return Ok(Err(SubscriberObstacle::NoPlan(group.to_owned())));
        }
        let news = is_member != member;
        if news {
            if member {
                join(&mut tx, &located.login, group, PLAN_PRIORITY).await?;
            } else {
                leave(&mut tx, &located.login, group).await?;
                // The plan's figures go with its group.
                let sql = "UPDATE tk_subscriber SET plan_id = NULL WHERE id = ?
                    AND plan_id IN (SELECT id FROM tk_plan WHERE groupname = ?)";
                tx.run("tk_subscriber", sql, &[Bind::Int(located.id), Bind::Text(group)]).await?;
            }
            touch(&mut tx, located.id, author).await?;
            let verb = if member { "group add" } else { "group delete" };
            let new = Some(format!("{} {group}", located.login));
            audit(
                &mut tx,
                author,
                Event { object: "subscriber", id: Some(located.id), verb, old: None, new },
            )
            .await?;
        }
        let person = people::read_located(&mut tx, &located, order).await?;
        tx.commit().await?;
        Ok(person.map(|person| (person, news)).ok_or(SubscriberObstacle::NoSubscriber))
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
pub(super) const PLAN_PRIORITY: i64 = 1;
pub(super) const DISABLED_PRIORITY: i64 = 0;

/// A subscriber that is about to be changed; nobody else changes it until the transaction ends.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) id: i64,
    pub(super) login: SmolStr,
    pub(super) kind: SmolStr,
    pub(super) status: SubscriberStatus,
}

/// Finds a subscriber within a scope, and locks it. One that only FreeRADIUS's tables know gets its number
/// now.
pub(super) async fn locate(
    tx: &mut Tx<'_>,
    who: Who<'_>,
    scope: &Scope,
    author: &Author,
) -> Result<Option<Located>, StoreError> {
    let id = match who {
        Who::Number(number) => number.0,
        Who::Login(login) => match seen(tx, login, author).await? {
            Some(id) => id,
            None => return Ok(None),
        },
    };
    let lock = tx.pick("", " FOR UPDATE", " FOR UPDATE");
    let sql = format!(
        "SELECT s.id, s.username, s.kind, s.status FROM tk_subscriber s
         WHERE s.id = ? AND s.username IS NOT NULL{}{lock}",
        groups::within(scope)
    );
    let binds = [Bind::Int(id)];
    let found = tx.fetch("tk_subscriber", &sql, &binds, |row| {
        Ok(Located {
            id: row.number(0)?,
            login: row.word(1)?,
            kind: row.word(2)?,
            status: SubscriberStatus::parse(&row.word(3)?).unwrap_or(SubscriberStatus::Blocked),
        })
    });
    Ok(found.await?.into_iter().next())
}

/// Changes a subscriber within a transaction. The audit row is the caller's.
pub(super) async fn edit(
    tx: &mut Tx<'_>,
    located: &mut Located,
    edit: &SubscriberEdit,
    scope: &Scope,
    author: &Author,
) -> Result<Result<(), SubscriberObstacle>, StoreError> {
    let id = located.id;
    let renamed = edit.login.as_ref().filter(|login| **login != located.login);
    if let Some(login) = renamed
        && let Some(taken) = rename::rename(tx, located, login).await?
    {
        return Ok(Err(SubscriberObstacle::Taken(taken)));
    }
    let login = located.login.clone();
    let kind = edit.credential.kind.or_else(|| Kind::parse(&located.kind));
    let checked = renamed.is_some() || edit.credential.kind.is_some();
    if checked && kind == Some(Kind::Mac) && !is_mac_like(&login) {
        return Ok(Err(SubscriberObstacle::NoMac(login.into())));
    }
    if let Err(obstacle) = put_credential(tx, located, &edit.credential).await? {
        return Ok(Err(obstacle));
    }
    if let Some(plan) = &edit.plan
        && !move_to(tx, id, &login, plan.as_deref(), author.at).await?
    {
        return Ok(Err(SubscriberObstacle::NoPlan(plan.clone().unwrap_or_default())));
    }
    if let Some(names) = &edit.groups
        && let Some(unknown) = put_groups(tx, located, names, scope, author.at).await?
    {
        return Ok(Err(SubscriberObstacle::NoPlan(unknown)));
    }
    if let Some((status, reason)) = &edit.status {
        put_status(tx, id, &login, *status, reason, author).await?;
    }
    if let Some(disabled) = edit.disabled {
        put_disabled(tx, located, disabled, author).await?;
    }
    if let Some(choice) = edit.concurrency {
        let word = choice.map_or("", Concurrency::as_str);
        column(tx, "concurrency", id, Bind::Text(word)).await?;
    }
    if let Some(day) = edit.reset_day {
        column(tx, "reset_day", id, Bind::MaybeInt(day.map(i64::from))).await?;
    }
    if let Some(expires) = edit.expires {
        column(tx, "expires_at", id, Bind::MaybeInt(expires.map(|at| at.0))).await?;
    }
    if let Some(activation) = edit.activation {
        column(tx, "activation_at", id, Bind::MaybeInt(activation.map(|at| at.0))).await?;
    }
    if let Some(sold) = edit.sold {
        column(tx, "sold", id, Bind::Int(i64::from(sold))).await?;
    }
    if let Some(comments) = &edit.comments {
        column(tx, "comments", id, Bind::Text(comments)).await?;
    }
    if let Some(label) = &edit.label {
        column(tx, "type_label", id, Bind::Text(label)).await?;
    }
    contacts::set(tx, id, &edit.contact).await?;
    let AttributeEdit { check, reply, remove } = &edit.attributes;
    let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
    RADCHECK.remove(tx, &login, &remove).await?;
    RADREPLY.remove(tx, &login, &remove).await?;
    RADCHECK.replace(tx, &login, check).await?;
    RADREPLY.replace(tx, &login, reply).await?;
    touch(tx, id, author).await?;
    Ok(Ok(()))
}

/// Notes that an operator has changed a subscriber.
pub(super) async fn touch(tx: &mut Tx<'_>, id: i64, author: &Author) -> Result<(), StoreError> {
    tx.run(
        "tk_subscriber",
        "UPDATE tk_subscriber SET updated_at = ?, updated_by = ? WHERE id = ?",
        &[Bind::Int(author.at.0), Bind::Text(author.signature()), Bind::Int(id)],
    )
    .await
    .map(drop)
}

/// Notes it of several.
pub(super) async fn touch_all(tx: &mut Tx<'_>, ids: &[Bind<'_>], author: &Author) -> Result<(), StoreError> {
    let sql = "UPDATE tk_subscriber SET updated_at = ?, updated_by = ? WHERE id IN ({})";
    let said = [Bind::Int(author.at.0), Bind::Text(author.signature())];
    tx.run_for("tk_subscriber", sql, &said, ids).await
}

/// Does a check row say how somebody proves who it is? One that rejects says something else.
fn proves(row: &AttributeRow) -> bool {
    let accepts = row.attribute.eq_ignore_ascii_case("Auth-Type") && row.value.eq_ignore_ascii_case("Accept");
    accepts || row.attribute.to_ascii_lowercase().contains("password")
}

/// Another kind or password. What proved it before, in whatever form, is gone.
pub(super) async fn put_credential(
    tx: &mut Tx<'_>,
    located: &mut Located,
    edit: &CredentialEdit,
) -> Result<Result<(), SubscriberObstacle>, StoreError> {
    let kind = match (edit.kind, Kind::parse(&located.kind).unwrap_or_default()) {
        (Some(kind), _) => kind,
        // Who is given a password is to show it.
        (None, kind) if kind.is_login_enough() && edit.password.is_some() => Kind::User,
        (None, kind) => kind,
    };
    let rows = RADCHECK.rows(tx, &located.login).await?;
    let mut item = None;
    if kind.is_login_enough() {
        if edit.kind.is_some() {
            item = Some(NewAttribute::new("Auth-Type", ":=", "Accept"));
        }
    } else if let Some(password) = &edit.password {
        item = Some(password.clone());
    } else if edit.kind.is_some()
        && !rows.iter().any(|row| row.attribute.to_ascii_lowercase().contains("password"))
    {
        return Ok(Err(SubscriberObstacle::NoPassword));
    }
    if let Some(item) = item {
        for row in rows.iter().filter(|row| proves(row)) {
            RADCHECK.delete(tx, row.id).await?;
        }
        RADCHECK.add(tx, &located.login, &item).await?;
    }
    if kind.as_str() != located.kind {
        column(tx, "kind", located.id, Bind::Text(kind.as_str())).await?;
        located.kind = kind.as_str().into();
    }
    Ok(Ok(()))
}

/// Puts groups in the place of all it has; gives a name that is none. The first becomes its plan.
async fn put_groups(
    tx: &mut Tx<'_>,
    located: &Located,
    names: &[String],
    scope: &Scope,
    at: UnixTime,
) -> Result<Option<String>, StoreError> {
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut known = groups::known(tx, &wanted, scope).await?;
    if let Some(unknown) = names.iter().find(|name| !known.contains_key(*name)) {
        return Ok(Some(unknown.clone()));
    }
    for group in groups::of(tx, &located.login, "").await? {
        if group != DISABLED_GROUP {
            leave(tx, &located.login, &group).await?;
        }
    }
    for name in names {
        join(tx, &located.login, name, PLAN_PRIORITY).await?;
    }
    let mut plan = None;
    if let Some(first) = names.first() {
        groups::make_plan(tx, first, &mut known, at).await?;
        plan = known.get(first).and_then(|group| group.plan);
    }
    let sql = "SELECT plan_id FROM tk_subscriber WHERE id = ?";
    let before = tx.fetch("tk_subscriber", sql, &[Bind::Int(located.id)], |row| row.int(0)).await?;
    if plan.is_some() && before.into_iter().next().flatten() != plan {
        quotas::begin_term(tx, located.id, at).await?;
    }
    column(tx, "plan_id", located.id, Bind::MaybeInt(plan)).await?;
    Ok(None)
}

/// `true` suspends who is active. `false` lifts that, and what other tools did to the same end; who is kept
/// out for another reason stays out.
async fn put_disabled(
    tx: &mut Tx<'_>,
    located: &Located,
    disabled: bool,
    author: &Author,
) -> Result<(), StoreError> {
    let (id, login) = (located.id, &located.login);
    match (disabled, located.status) {
        (true, SubscriberStatus::Active) => {
            put_status(tx, id, login, SubscriberStatus::Suspended, "", author).await
        }
        (false, SubscriberStatus::Active | SubscriberStatus::Suspended) => {
            put_status(tx, id, login, SubscriberStatus::Active, "", author).await
        }
        _ => Ok(()),
    }
}

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
        || !groups::of(tx, login, "").await?.is_empty())
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

/// The same column of several.
pub(super) async fn column_of_all(
    tx: &mut Tx<'_>,
    name: &str,
    ids: &[Bind<'_>],
    value: Bind<'_>,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE tk_subscriber SET {name} = ? WHERE id IN ({{}})");
    tx.run_for("tk_subscriber", &sql, &[value], ids).await
}

/// Replaces the primary plan, and its group; other groups stay. `false`: there is no such plan.
pub(super) async fn move_to(
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

pub(super) async fn put_status(
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
    groups::make_disabled(tx).await?;
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

async fn one(tx: &mut Tx<'_>, login: &str) -> Result<Option<SubscriberRecord>, StoreError> {
    let sql = format!("{RECORD} WHERE s.username = ?");
    let found = tx.fetch("tk_subscriber", &sql, &[Bind::Text(login)], record).await?;
    let Some(mut found) = found.into_iter().find(|found| found.login == login) else { return Ok(None) };
    found.check = RADCHECK.rows(tx, login).await?;
    found.reply = RADREPLY.rows(tx, login).await?;
    found.groups = groups::of(tx, login, "").await?;
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
