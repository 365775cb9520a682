//! Groups and who is in them: `radusergroup`, and which names of `tk_plan`, `radgroupcheck` and
//! `radgroupreply` a subscriber can be given.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{NewAttribute, RADGROUPCHECK};
use crate::domain::operator::Scope;
use crate::domain::{Member, Page, Paging, Profile, SubscriberId};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// The group by which a stock FreeRADIUS beside us refuses who is not active (daloRADIUS's name).
pub(crate) const DISABLED_GROUP: &str = "daloRADIUS-Disabled-Users";

/// A group that somebody can be given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    /// The number of its plan, if it has one.
    pub(super) plan: Option<i64>,
}

impl Store {
    /// Every group that subscribers can be given, by name: plans, and what has rows of its own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn profiles(&self, scope: &Scope) -> Result<Vec<Profile>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let plans = tx
            .fetch("tk_plan", "SELECT name, description, account_id FROM tk_plan", &[], |row| {
                Ok((Profile { name: row.word(0)?, description: row.word(1)? }, row.number(2)?))
            })
            .await?;
        let names =
            "SELECT DISTINCT groupname FROM radgroupcheck UNION SELECT DISTINCT groupname FROM radgroupreply";
        let others = tx.fetch("radgroupcheck", names, &[], |row| row.word(0)).await?;
        let mut found: HashMap<SmolStr, Profile> = others
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(|name| (name.clone(), Profile { name, description: SmolStr::default() }))
            .collect();
        for (plan, account) in plans {
            if is_visible(account, scope) {
                found.insert(plan.name.clone(), plan);
            } else {
                found.remove(&plan.name);
            }
        }
        found.remove(DISABLED_GROUP);
        let mut found: Vec<Profile> = found.into_values().collect();
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A page of the members of a group, the newest subscriber first. `Ok(None)`: there is no such group.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn members(
        &self,
        group: &str,
        scope: &Scope,
        paging: Paging,
    ) -> Result<Option<Page<Member>>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        if known(&mut tx, &[group], scope).await?.is_empty() {
            return Ok(None);
        }
        let login = tx.pick("g.username", "g.username", "CAST(g.username AS BINARY)");
        let name = tx.pick("g.groupname", "g.groupname", "CAST(g.groupname AS BINARY)");
        let inside = within(scope);
        let sql = format!(
            "SELECT s.id, s.username, c.first_name, c.last_name, g.priority
             FROM radusergroup g JOIN tk_subscriber s ON s.username = {login}
             LEFT JOIN tk_contact c ON c.subscriber_id = s.id
             WHERE g.groupname = ? AND {name} = ?{inside} ORDER BY s.id DESC LIMIT ? OFFSET ?"
        );
        let binds =
            [Bind::Text(group), Bind::Text(group), Bind::Int(paging.limit()), Bind::Int(paging.offset())];
        let rows = tx
            .fetch("radusergroup", &sql, &binds, |row| {
                Ok(Member {
                    id: SubscriberId(row.number(0)?),
                    login: row.word(1)?,
                    first: row.text(2)?.filter(|name| !name.is_empty()),
                    last: row.text(3)?.filter(|name| !name.is_empty()),
                    priority: row.int(4)?.unwrap_or_default(),
                })
            })
            .await?;
        Ok(Some(Page::of(rows, paging)))
    }
}

/// The plans of `Main` are everybody's; others are seen in their own accounts.
fn is_visible(account: i64, scope: &Scope) -> bool {
    account == 0 || scope.includes(account)
}

/// `AND …` that keeps to the accounts of a scope. Numbers only, so nothing is bound.
pub(super) fn within(scope: &Scope) -> String {
    match scope {
        Scope::Everything => String::new(),
        Scope::Accounts(accounts) => {
            let list: Vec<String> = accounts.iter().map(i64::to_string).collect();
            format!(" AND s.account_id IN ({})", list.join(", "))
        }
    }
}

/// Those of the names that are groups which somebody can be given.
pub(super) async fn known(
    tx: &mut Tx<'_>,
    names: &[&str],
    scope: &Scope,
) -> Result<HashMap<String, Group>, StoreError> {
    let mut wanted: Vec<&str> = names.iter().copied().filter(|name| *name != DISABLED_GROUP).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let binds: Vec<Bind<'_>> = wanted.iter().map(|name| Bind::Text(name)).collect();
    let mut found = HashMap::new();
    for table in ["radgroupcheck", "radgroupreply"] {
        let sql = format!("SELECT DISTINCT groupname FROM {table} WHERE groupname IN ({{}})");
        for name in tx.fetch_in(table, &sql, &binds, |row| row.word(0)).await? {
            found.insert(name.to_string(), Group::default());
        }
    }
    let sql = "SELECT name, id, account_id FROM tk_plan WHERE name IN ({})";
    let plans =
        tx.fetch_in("tk_plan", sql, &binds, |row| Ok((row.word(0)?, row.number(1)?, row.number(2)?))).await?;
    for (name, id, account) in plans {
        if is_visible(account, scope) {
            found.insert(name.to_string(), Group { plan: Some(id) });
        } else {
            found.remove(name.as_str());
        }
    }
    found.retain(|name, _| wanted.binary_search(&name.as_str()).is_ok());
    Ok(found)
}

/// Makes a plan of a group that other tools made and that becomes somebody's first.
pub(super) async fn make_plan(
    tx: &mut Tx<'_>,
    name: &str,
    groups: &mut HashMap<String, Group>,
    at: UnixTime,
) -> Result<(), StoreError> {
    if let Some(group) = groups.get_mut(name)
        && group.plan.is_none()
    {
        let sql = "INSERT INTO tk_plan (name, groupname, created_at, updated_at) VALUES (?, ?, ?, ?)";
        let (name, at) = (Bind::Text(name), Bind::Int(at.0));
        group.plan = Some(tx.insert("tk_plan", sql, &[name, name, at, at]).await?);
    }
    Ok(())
}

/// Has the group of those who are disabled refuse them.
pub(super) async fn make_disabled(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    if RADGROUPCHECK.rows(tx, DISABLED_GROUP).await?.is_empty() {
        let reject = NewAttribute::new("Auth-Type", ":=", "Reject");
        RADGROUPCHECK.add(tx, DISABLED_GROUP, &reject).await?;
    }
    Ok(())
}

/// Puts a login into a group.
pub(super) async fn join(tx: &mut Tx<'_>, login: &str, group: &str, priority: i64) -> Result<(), StoreError> {
    tx.run(
        "radusergroup",
        "INSERT INTO radusergroup (username, groupname, priority) VALUES (?, ?, ?)",
        &[Bind::Text(login), Bind::Text(group), Bind::Int(priority)],
    )
    .await
    .map(drop)
}

/// Takes a login out of a group. Older databases have no number in radusergroup, so the names are
/// compared there, exactly.
pub(super) async fn leave(tx: &mut Tx<'_>, login: &str, group: &str) -> Result<(), StoreError> {
    let (login, group) = (Bind::Text(login), Bind::Text(group));
    let exact = "DELETE FROM radusergroup WHERE username = ? AND groupname = ?";
    let binary = "DELETE FROM radusergroup WHERE username = ? AND groupname = ?
        AND CAST(username AS BINARY) = CAST(? AS BINARY) AND CAST(groupname AS BINARY) = CAST(? AS BINARY)";
    let (sql, binds) = tx.pick((exact, 2), (exact, 2), (binary, 4));
    let all = [login, group, login, group];
    tx.run("radusergroup", sql, all.get(..binds).unwrap_or(&all)).await.map(drop)
}

/// The groups of a login by priority, then by the column `then` where the table has it.
pub(super) async fn of(tx: &mut Tx<'_>, login: &str, then: &str) -> Result<Vec<SmolStr>, StoreError> {
    let sql =
        format!("SELECT groupname, username FROM radusergroup WHERE username = ? ORDER BY priority{then}");
    let rows =
        tx.fetch("radusergroup", &sql, &[Bind::Text(login)], |row| Ok((row.word(0)?, row.word(1)?))).await?;
    Ok(rows.into_iter().filter(|(_, exact)| exact == login).map(|(group, _)| group).collect())
}
