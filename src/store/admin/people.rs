//! Subscribers as the management APIs show them: number, rows, groups and contact in one.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::groups::{self, DISABLED_GROUP};
use super::subscribers::{Located, locate};
use super::tx::{Bind, Tx};
use super::{Author, RADCHECK, RADREPLY, contacts};
use crate::domain::operator::Scope;
use crate::domain::report::Pattern;
use crate::domain::{
    AttributeRow, Page, Paging, PeopleFilter, Person, StoredProof, SubscriberId, SubscriberStatus, Who,
};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};

/// Columns of a person; those of its contact follow.
const PERSON: &str = "s.id, s.username, s.kind, s.status, s.status_reason, COALESCE(a.name, ''), p.name, s.expires_at,
    s.activation_at, s.first_use_at, s.last_use_at, s.created_at, s.created_by, s.updated_at, s.updated_by, s.sold,
    s.batch_id, s.comments";
/// How many they are.
const PERSON_COLUMNS: usize = 18;
const FROM: &str = "FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id
    LEFT JOIN tk_plan p ON p.id = s.plan_id LEFT JOIN tk_contact c ON c.subscriber_id = s.id";

impl Store {
    /// A subscriber with all of its rows. One that only FreeRADIUS's tables know gets its number now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn person(
        &self,
        who: Who<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<Person>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::read(self.db()).await?;
        if let Some(found) = read(&mut tx, who, scope, order).await? {
            return Ok(Some(found));
        }
        drop(tx);
        if let Who::Number(_) = who {
            return Ok(None);
        }
        let mut tx = Tx::begin(self.db()).await?;
        if locate(&mut tx, who, scope, author).await?.is_none() {
            return Ok(None);
        }
        let found = read(&mut tx, who, scope, order).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// A page of subscribers, the newest first, without their rows of radreply.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn people(
        &self,
        filter: &PeopleFilter,
        scope: &Scope,
        paging: Paging,
    ) -> Result<Page<Person>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::read(self.db()).await?;
        let mut wheres = String::new();
        let mut binds = Vec::new();
        if let Some(id) = filter.id {
            wheres.push_str(" AND s.id = ?");
            binds.push(Bind::Int(id));
        }
        if let Some(batch) = filter.batch {
            wheres.push_str(" AND s.batch_id = ?");
            binds.push(Bind::Int(batch));
        }
        if let Some(plan) = &filter.plan {
            wheres.push_str(" AND p.name = ?");
            binds.push(Bind::Text(plan));
        }
        let like = filter.login.as_ref().map(like);
        if let (Some(pattern), Some(like)) = (&filter.login, &like) {
            // MySQL has octets there, which have no case.
            wheres.push_str(match pattern {
                Pattern::Exact(_) => tx.pick(
                    " AND s.username = ? COLLATE NOCASE",
                    " AND lower(s.username) = lower(?)",
                    " AND LOWER(CONVERT(s.username USING utf8mb4)) = LOWER(?)",
                ),
                _ => tx.pick(
                    " AND s.username LIKE ? ESCAPE '!'",
                    " AND lower(s.username) LIKE lower(?) ESCAPE '!'",
                    " AND LOWER(CONVERT(s.username USING utf8mb4)) LIKE LOWER(?) ESCAPE '!'",
                ),
            });
            binds.push(Bind::Text(like));
        }
        let sql = format!(
            "SELECT {PERSON}, {} {FROM} WHERE s.username IS NOT NULL{}{wheres} ORDER BY s.id DESC LIMIT ? OFFSET ?",
            contacts::columns(),
            groups::within(scope)
        );
        binds.extend([Bind::Int(paging.limit()), Bind::Int(paging.offset())]);
        let rows = tx.fetch("tk_subscriber", &sql, &binds, person).await?;
        let mut page = Page::of(rows, paging);
        complete(&mut tx, &mut page.rows, order).await?;
        Ok(page)
    }

    /// What rows of radusergroup are ordered by after their priority. Older databases have no number there.
    pub(super) fn group_order(&self) -> Result<&'static str, StoreError> {
        Ok(if self.learned()?.schema.has("radusergroup", "id") { ", id" } else { "" })
    }
}

/// A subscriber with all of its rows.
pub(super) async fn read(
    tx: &mut Tx<'_>,
    who: Who<'_>,
    scope: &Scope,
    order: &str,
) -> Result<Option<Person>, StoreError> {
    let (wanted, bind) = match who {
        Who::Number(number) => ("s.id = ? AND s.username IS NOT NULL", Bind::Int(number.0)),
        Who::Login(login) => ("s.username = ?", Bind::Text(login)),
    };
    let sql =
        format!("SELECT {PERSON}, {} {FROM} WHERE {wanted}{}", contacts::columns(), groups::within(scope));
    let found = tx.fetch("tk_subscriber", &sql, &[bind], person).await?;
    let exact = |found: &Person| match who {
        Who::Number(_) => true,
        Who::Login(login) => found.login == login,
    };
    let Some(mut found) = found.into_iter().find(exact) else { return Ok(None) };
    complete(tx, std::slice::from_mut(&mut found), order).await?;
    found.reply = RADREPLY.rows(tx, &found.login).await?;
    Ok(Some(found))
}

/// These subscribers, in this order, without their rows of radreply.
pub(super) async fn read_many(
    tx: &mut Tx<'_>,
    ids: &[SubscriberId],
    order: &str,
) -> Result<Vec<Person>, StoreError> {
    let binds: Vec<Bind<'_>> = ids.iter().map(|id| Bind::Int(id.0)).collect();
    let sql = format!(
        "SELECT {PERSON}, {} {FROM} WHERE s.username IS NOT NULL AND s.id IN ({{}})",
        contacts::columns()
    );
    let mut found = tx.fetch_in("tk_subscriber", &sql, &binds, person).await?;
    let places: HashMap<SubscriberId, usize> =
        ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    found.sort_by_key(|person| places.get(&person.id).copied());
    complete(tx, &mut found, order).await?;
    Ok(found)
}

/// Whoever was located, as it is now.
pub(super) async fn read_located(
    tx: &mut Tx<'_>,
    located: &Located,
    order: &str,
) -> Result<Option<Person>, StoreError> {
    read(tx, Who::Number(SubscriberId(located.id)), &Scope::Everything, order).await
}

/// Check rows and groups.
async fn complete(tx: &mut Tx<'_>, people: &mut [Person], order: &str) -> Result<(), StoreError> {
    let places: HashMap<SmolStr, usize> =
        people.iter().enumerate().map(|(place, person)| (person.login.clone(), place)).collect();
    let logins: Vec<SmolStr> = people.iter().map(|person| person.login.clone()).collect();
    let binds: Vec<Bind<'_>> = logins.iter().map(|login| Bind::Text(login)).collect();
    let sql = format!(
        "SELECT username, id, attribute, op, value FROM {} WHERE username IN ({{}}) ORDER BY id",
        RADCHECK.name
    );
    for (login, mut row) in
        tx.fetch_in("radcheck", &sql, &binds, crate::store::subscribers::attribute_row).await?
    {
        tx.db().reveal(&mut row);
        if let Some(person) = places.get(&login).and_then(|place| people.get_mut(*place)) {
            person.check.push(row);
        }
    }
    let sql = format!(
        "SELECT username, groupname FROM radusergroup WHERE username IN ({{}}) ORDER BY priority{order}"
    );
    for (login, group) in
        tx.fetch_in("radusergroup", &sql, &binds, |row| Ok((row.word(0)?, row.word(1)?))).await?
    {
        if let Some(person) = places.get(&login).and_then(|place| people.get_mut(*place)) {
            if group == DISABLED_GROUP {
                person.disabled_by_group = true;
            } else {
                person.groups.push(group);
            }
        }
    }
    for person in people {
        person.proof = StoredProof::of(&person.check);
    }
    Ok(())
}

/// The text for `LIKE … ESCAPE '!'`, or the text itself.
fn like(pattern: &Pattern) -> String {
    let text = pattern.text();
    let plain = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    match pattern {
        Pattern::Exact(_) => text.to_owned(),
        Pattern::Prefix(_) => format!("{plain}%"),
        Pattern::Suffix(_) => format!("%{plain}"),
        Pattern::Within(_) => format!("%{plain}%"),
    }
}

fn person(row: &dyn Columns) -> Result<Person, sqlx::Error> {
    Ok(Person {
        id: SubscriberId(row.number(0)?),
        login: row.word(1)?,
        kind: row.word(2)?,
        // A status of a later release lets nobody in.
        status: SubscriberStatus::parse(&row.word(3)?).unwrap_or(SubscriberStatus::Blocked),
        status_reason: row.word(4)?,
        account: row.word(5)?,
        plan: row.text(6)?,
        expires: row.time(7)?,
        activation: row.time(8)?,
        first_use: row.time(9)?,
        last_use: row.time(10)?,
        created: row.time(11)?.unwrap_or_default(),
        created_by: row.word(12)?,
        updated: row.time(13)?.unwrap_or_default(),
        updated_by: row.word(14)?,
        sold: row.int(15)? == Some(1),
        batch: row.int(16)?,
        comments: row.word(17)?,
        check: Vec::<AttributeRow>::new(),
        reply: Vec::new(),
        groups: Vec::new(),
        disabled_by_group: false,
        contact: contacts::read(row, PERSON_COLUMNS)?,
        proof: StoredProof::default(),
    })
}
