//! Making subscribers, one or ten thousand in one transaction: rows go in by the hundred.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use smol_str::SmolStr;

use super::groups::{self, Group};
use super::subscribers::{DISABLED_PRIORITY, PLAN_PRIORITY, SubscriberObstacle};
use super::tx::{Bind, Tx};
use super::{Author, NewAttribute, audit_added, contacts, credit, people};
use crate::domain::operator::Scope;
use crate::domain::{Contact, Person, SubscriberId, SubscriberStatus};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A subscriber to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSubscriber {
    /// User-Name, unique octet for octet.
    pub login: String,
    /// `user`, `mac`, `pin` …
    pub kind: &'static str,
    /// Name of the account it belongs to; empty is the operator's own.
    pub account: String,
    /// Names of its groups in their order; the first is its plan.
    pub groups: Vec<String>,
    /// Rows of radcheck, the password among them.
    pub check: Vec<NewAttribute>,
    /// Rows of radreply.
    pub reply: Vec<NewAttribute>,
    /// Administrative status, and why.
    pub status: (SubscriberStatus, String),
    /// Who it is to people.
    pub contact: Contact,
    /// It counts as sold.
    pub sold: bool,
    /// The batch it is made in.
    pub batch: Option<i64>,
    /// For people.
    pub comments: String,
    /// What kind of customer it is: `home`, or any other word.
    pub label: String,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// The end.
    pub expires: Option<UnixTime>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

impl Store {
    /// Makes subscribers, all or none; gives them in the order asked for, without their rows of radreply.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_subscribers(
        &self,
        new: &[NewSubscriber],
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Vec<Person>, SubscriberObstacle>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::begin(self.db()).await?;
        match create(&mut tx, new, scope, author).await {
            Ok(Ok(ids)) => {
                let people = people::read_many(&mut tx, &ids, order).await?;
                tx.commit().await?;
                Ok(Ok(people))
            }
            Ok(Err(obstacle)) => Ok(Err(obstacle)),
            Err(error @ StoreError::Conflict { .. }) => {
                // Somebody else may have taken a login in the same moment.
                drop(tx);
                let mut tx = Tx::read(self.db()).await?;
                let logins: Vec<&str> = new.iter().map(|new| new.login.as_str()).collect();
                match taken(&mut tx, &logins).await? {
                    Some(login) => Ok(Err(SubscriberObstacle::Taken(login))),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// Makes subscribers within a transaction: their rows, their plans' credit, and an audit row each.
pub(super) async fn create(
    tx: &mut Tx<'_>,
    new: &[NewSubscriber],
    scope: &Scope,
    author: &Author,
) -> Result<Result<Vec<SubscriberId>, SubscriberObstacle>, StoreError> {
    let logins: Vec<&str> = new.iter().map(|new| new.login.as_str()).collect();
    let mut once = HashSet::new();
    if let Some(twice) = logins.iter().find(|login| !once.insert(**login)) {
        return Ok(Err(SubscriberObstacle::Taken((*twice).to_owned())));
    }
    if let Some(login) = taken(tx, &logins).await? {
        return Ok(Err(SubscriberObstacle::Taken(login)));
    }
    let accounts = match accounts(tx, new, scope).await? {
        Ok(accounts) => accounts,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    let names: Vec<&str> = new.iter().flat_map(|new| &new.groups).map(String::as_str).collect();
    let mut groups = groups::known(tx, &names, scope).await?;
    if let Some(unknown) = names.iter().find(|name| !groups.contains_key(**name)) {
        return Ok(Err(SubscriberObstacle::NoPlan((*unknown).to_owned())));
    }
    for first in new.iter().filter_map(|new| new.groups.first()) {
        groups::make_plan(tx, first, &mut groups, author.at).await?;
    }
    let plan = |new: &NewSubscriber| groups.get(new.groups.first()?.as_str())?.plan;
    let at = Bind::Int(author.at.0);
    let rows: Vec<_> = new
        .iter()
        .map(|new| {
            let by = Bind::Text(author.signature());
            let (status, reason) = &new.status;
            [
                Bind::Int(accounts.get(new.account.as_str()).copied().unwrap_or_default()),
                Bind::Text(&new.login),
                Bind::Text(new.kind),
                Bind::MaybeInt(plan(new)),
                Bind::Text(status.as_str()),
                Bind::Text(reason),
                Bind::Int(i64::from(new.sold)),
                Bind::MaybeInt(new.batch),
                Bind::Text(&new.comments),
                Bind::Text(&new.label),
                Bind::MaybeInt(new.activation.map(|at| at.0)),
                Bind::MaybeInt(new.expires.map(|at| at.0)),
                at,
                by,
                at,
                by,
            ]
        })
        .collect();
    let head = "INSERT INTO tk_subscriber (account_id, username, kind, plan_id, status, status_reason, sold, batch_id,
        comments, type_label, activation_at, expires_at, created_at, created_by, updated_at, updated_by)";
    tx.insert_rows("tk_subscriber", head, &rows).await?;
    let ids = numbers(tx, &logins).await?;
    let number = |new: &NewSubscriber| ids.get(new.login.as_str()).copied().unwrap_or_default();
    write_rad(tx, new).await?;
    let contacts: Vec<_> = new.iter().map(|new| (number(new), &new.contact)).collect();
    contacts::add(tx, &contacts).await?;
    let giving = giving(tx, &groups).await?;
    for new in new.iter().filter(|new| plan(new).is_some_and(|plan| giving.contains(&plan))) {
        credit::grant_new(tx, number(new), "", author).await?;
    }
    let said: Vec<_> =
        new.iter().map(|new| (number(new), format!("{} {}", new.login, new.summary))).collect();
    audit_added(tx, author, &said).await?;
    Ok(Ok(new.iter().map(|new| SubscriberId(number(new))).collect()))
}

/// The first of the logins that somebody has, be it in FreeRADIUS's tables alone.
pub(super) async fn taken(tx: &mut Tx<'_>, logins: &[&str]) -> Result<Option<String>, StoreError> {
    let taken = all_taken(tx, logins).await?;
    Ok(logins.iter().find(|login| taken.contains(**login)).map(|login| (*login).to_owned()))
}

/// All that are held by somebody, be it in FreeRADIUS's tables alone.
pub(super) async fn all_taken(
    tx: &mut Tx<'_>,
    logins: &[impl AsRef<str>],
) -> Result<HashSet<SmolStr>, StoreError> {
    let binds: Vec<Bind<'_>> = logins.iter().map(|login| Bind::Text(login.as_ref())).collect();
    let mut taken = HashSet::new();
    for table in ["tk_subscriber", "radcheck", "radreply", "radusergroup"] {
        let sql = format!("SELECT DISTINCT username FROM {table} WHERE username IN ({{}})");
        taken.extend(tx.fetch_in(table, &sql, &binds, |row| row.word(0)).await?);
    }
    Ok(taken)
}

async fn numbers(tx: &mut Tx<'_>, logins: &[&str]) -> Result<HashMap<SmolStr, i64>, StoreError> {
    let binds: Vec<Bind<'_>> = logins.iter().map(|login| Bind::Text(login)).collect();
    let sql = "SELECT username, id FROM tk_subscriber WHERE username IN ({})";
    let found = tx.fetch_in("tk_subscriber", sql, &binds, |row| Ok((row.word(0)?, row.number(1)?))).await?;
    Ok(found.into_iter().collect())
}

/// The numbers of the accounts that are named; an empty name is the operator's own.
async fn accounts<'n>(
    tx: &mut Tx<'_>,
    new: &'n [NewSubscriber],
    scope: &Scope,
) -> Result<Result<BTreeMap<&'n str, i64>, SubscriberObstacle>, StoreError> {
    let mut found = BTreeMap::new();
    for new in new {
        let name = new.account.as_str();
        if found.contains_key(name) {
            continue;
        }
        let id = if name.is_empty() { home(tx, scope).await? } else { super::account(tx, name).await? };
        match id.filter(|id| scope.includes(*id)) {
            Some(id) => found.insert(name, id),
            None => return Ok(Err(SubscriberObstacle::NoAccount(name.to_owned()))),
        };
    }
    Ok(Ok(found))
}

/// The account that an operator belongs to: the one of its scope that is below none of the others.
pub(super) async fn home(tx: &mut Tx<'_>, scope: &Scope) -> Result<Option<i64>, StoreError> {
    let accounts = match scope {
        Scope::Everything => return Ok(Some(0)),
        Scope::Accounts(accounts) => accounts,
    };
    let binds: Vec<Bind<'_>> = accounts.iter().map(|account| Bind::Int(*account)).collect();
    let sql = "SELECT id, parent_id FROM tk_account WHERE id IN ({})";
    let found = tx.fetch_in("tk_account", sql, &binds, |row| Ok((row.number(0)?, row.int(1)?))).await?;
    let below = |parent: &Option<i64>| parent.is_some_and(|parent| scope.includes(parent));
    Ok(found.into_iter().find(|(_, parent)| !below(parent)).map(|(id, _)| id))
}

/// The rows of FreeRADIUS's tables.
async fn write_rad(tx: &mut Tx<'_>, new: &[NewSubscriber]) -> Result<(), StoreError> {
    for (table, items) in [
        ("radcheck", NewSubscriber::check_rows as fn(&NewSubscriber) -> &[NewAttribute]),
        ("radreply", NewSubscriber::reply_rows),
    ] {
        let db = tx.db();
        let items: Vec<(&NewSubscriber, Cow<'_, NewAttribute>)> = new
            .iter()
            .flat_map(|new| items(new).iter().map(move |item| (new, item)))
            .map(|(new, item)| {
                let item = if table == "radcheck" { db.hidden(item)? } else { Cow::Borrowed(item) };
                Ok((new, item))
            })
            .collect::<Result<_, StoreError>>()?;
        let rows: Vec<_> = items
            .iter()
            .map(|(new, item)| {
                [
                    Bind::Text(&new.login),
                    Bind::Text(&item.attribute),
                    Bind::Text(&item.op),
                    Bind::Text(&item.value),
                ]
            })
            .collect();
        let head = format!("INSERT INTO {table} (username, attribute, op, value)");
        tx.insert_rows(table, &head, &rows).await?;
    }
    let mut rows: Vec<_> = new
        .iter()
        .flat_map(|new| new.groups.iter().map(move |group| (new, group)))
        .map(|(new, group)| [Bind::Text(&new.login), Bind::Text(group), Bind::Int(PLAN_PRIORITY)])
        .collect();
    let barred: Vec<_> = new
        .iter()
        .filter(|new| new.status.0 != SubscriberStatus::Active)
        .map(|new| [Bind::Text(&new.login), Bind::Text(groups::DISABLED_GROUP), Bind::Int(DISABLED_PRIORITY)])
        .collect();
    if !barred.is_empty() {
        groups::make_disabled(tx).await?;
        rows.extend(barred);
    }
    let head = "INSERT INTO radusergroup (username, groupname, priority)";
    tx.insert_rows("radusergroup", head, &rows).await
}

impl NewSubscriber {
    fn check_rows(&self) -> &[NewAttribute] {
        &self.check
    }

    fn reply_rows(&self) -> &[NewAttribute] {
        &self.reply
    }
}

/// Those of the plans that bring credit with them.
async fn giving(tx: &mut Tx<'_>, groups: &HashMap<String, Group>) -> Result<HashSet<i64>, StoreError> {
    let plans: Vec<Bind<'_>> = groups.values().filter_map(|group| group.plan).map(Bind::Int).collect();
    let sql = "SELECT id FROM tk_plan WHERE credit_on_renew IS NOT NULL AND id IN ({})";
    Ok(tx.fetch_in("tk_plan", sql, &plans, |row| row.number(0)).await?.into_iter().collect())
}
