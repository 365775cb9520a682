//! Changing and removing customers: all or none.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use smol_str::SmolStr;

use super::money::{EXTENDED_UNTIL, noted};
use super::{Found, WAITING_CHECK, WAITING_REPLY, is_password, resolve, resolve_each, waiting_row};
use crate::domain::customer::{CustomerEdit, CustomerObstacle, EndsAfter, NamedBy};
use crate::domain::operator::Scope;
use crate::domain::validity::STATIC_DEVICE;
use crate::domain::{ContactField, SubscriberId, SubscriberStatus, Who};
use crate::store::admin::create::all_taken;
use crate::store::admin::subscribers::{self, CredentialEdit, PLAN_PRIORITY, column};
use crate::store::admin::tx::{Bind, Tx};
use crate::store::admin::{
    Author, Event, NewAttribute, OwnedRows, RADCHECK, RADREPLY, SESSIONS_OF, account, audit, audit_all,
    contacts, groups, isp, limits, rename,
};
use crate::store::db::{Columns, Db};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A change with its rows of FreeRADIUS's tables.
#[derive(Clone, Debug, Default)]
pub struct CustomerChange {
    /// Whose: the text of its number.
    pub id: String,
    /// What.
    pub edit: CustomerEdit,
    /// Rows of radcheck in the place of those of the same name.
    pub check: Vec<NewAttribute>,
    /// Rows of radreply, likewise.
    pub reply: Vec<NewAttribute>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

impl Store {
    /// Changes customers.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn edit_customers(
        &self,
        changes: &[CustomerChange],
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let ids: Vec<String> = changes.iter().map(|change| change.id.clone()).collect();
        let found: Vec<Found> =
            match resolve_each(&mut tx, NamedBy::Number, &ids, scope, Some(author)).await? {
                Ok(each) => each.into_iter().flatten().collect(),
                Err(obstacle) => return Ok(Err(obstacle)),
            };
        if let Some(taken) = taken(&mut tx, changes, &found).await? {
            return Ok(Err(CustomerObstacle::LoginsTaken(taken)));
        }
        let numbers: Vec<Bind<'_>> = found.iter().map(|found| Bind::Int(found.id)).collect();
        subscribers::touch_all(&mut tx, &numbers, author).await?;
        let mut later = Later::default();
        for (change, found) in changes.iter().zip(found) {
            if let Err(obstacle) = apply(&mut tx, change, found, &mut later, scope, author).await? {
                return Ok(Err(obstacle));
            }
        }
        later.write(&mut tx, author).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Removes customers: their rows of FreeRADIUS's tables go, their numbers stay and are marked, their
    /// logins are free. With `records` their sessions that are over go too, and what those add up to; with `history`
    /// what was audited.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_customers(
        &self,
        ids: &[String],
        comment: &str,
        records: bool,
        history: bool,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        for Found { id, login } in found {
            let sql = "SELECT COUNT(*) FROM tk_session t JOIN radacct r ON r.acctuniqueid = t.unique_id
                 WHERE t.subscriber_id = ? AND r.acctstoptime IS NULL";
            let open = tx.fetch("radacct", sql, &[Bind::Int(id)], |row| row.count(0)).await?;
            let mut open = open.into_iter().next().unwrap_or(0);
            if let Some(login) = &login {
                let sql =
                    format!("SELECT COUNT(*) FROM radacct r WHERE {SESSIONS_OF} AND r.acctstoptime IS NULL");
                let binds = [Bind::Text(login), Bind::Int(id)];
                let named = tx.fetch("radacct", &sql, &binds, |row| row.count(0)).await?;
                open = open.saturating_add(named.into_iter().next().unwrap_or(0));
            }
            if open > 0 {
                return Ok(Err(CustomerObstacle::Online(id)));
            }
            super::money::close(&mut tx, id, comment, author).await?;
            isp::forget(&mut tx, id, login.as_deref().unwrap_or_default(), true, author).await?;
            if let Some(login) = &login {
                RADCHECK.delete_all(&mut tx, login).await?;
                RADREPLY.delete_all(&mut tx, login).await?;
                for group in groups::of(&mut tx, login, "").await? {
                    groups::leave(&mut tx, login, &group).await?;
                }
            }
            for table in ["tk_expiry_rule", "tk_device", "tk_custom_field", "tk_credential"] {
                let sql = format!("DELETE FROM {table} WHERE subscriber_id = ?");
                tx.run("tk_subscriber", &sql, &[Bind::Int(id)]).await?;
            }
            limits::forget(&mut tx, id).await?;
            if records {
                forget_records(&mut tx, self.db(), id, login.as_deref()).await?;
            }
            if history {
                let sql = "DELETE FROM tk_audit WHERE object = 'subscriber' AND object_id = ?";
                tx.run("tk_audit", sql, &[Bind::Int(id)]).await?;
            }
            let sql = "UPDATE tk_subscriber SET status = 'deleted', username = NULL, plan_id = NULL, updated_at = ?,
                 updated_by = ? WHERE id = ?";
            tx.run(
                "tk_subscriber",
                sql,
                &[Bind::Int(author.at.0), Bind::Text(author.signature()), Bind::Int(id)],
            )
            .await?;
            let old = login.map_or_else(|| Some(format!("user {id}")), |login| Some(login.to_string()));
            let new = (!comment.is_empty()).then(|| comment.to_owned());
            audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "delete", old, new })
                .await?;
        }
        tx.commit().await?;
        Ok(Ok(()))
    }
}

/// Sessions that are over, those too that other tools wrote for the login; what they cost and add up to; refused
/// logins. What is counted of sessions goes with them: it tells of each day how long somebody was online.
async fn forget_records(tx: &mut Tx<'_>, db: &Db, id: i64, login: Option<&str>) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT a.acctuniqueid FROM radacct a LEFT JOIN tk_session t ON t.unique_id = {}
         WHERE a.acctstoptime IS NOT NULL AND {{}}",
        super::reports::unique_id(db)
    );
    let read = |row: &dyn Columns| row.word(0);
    let own = sql.replace("{}", "t.subscriber_id = ?");
    let mut over = tx.fetch("radacct", &own, &[Bind::Int(id)], read).await?;
    if let Some(login) = login {
        let elsewhere = sql.replace("{}", "a.username = ? AND t.unique_id IS NULL");
        over.extend(tx.fetch("radacct", &elsewhere, &[Bind::Text(login)], read).await?);
    }
    let over: Vec<Bind<'_>> = over.iter().map(|unique| Bind::Text(unique)).collect();
    for (table, column) in [("radacct", "acctuniqueid"), ("tk_cdr", "unique_id"), ("tk_session", "unique_id")]
    {
        tx.run_in(table, &format!("DELETE FROM {table} WHERE {column} IN ({{}})"), &over).await?;
    }
    for table in ["tk_usage", "tk_charge_usage", "tk_auth_log"] {
        let sql = format!("DELETE FROM {table} WHERE subscriber_id = ?");
        tx.run(table, &sql, &[Bind::Int(id)]).await?;
    }
    if let Some(login) = login {
        tx.run("radpostauth", "DELETE FROM radpostauth WHERE username = ?", &[Bind::Text(login)]).await?;
    }
    Ok(())
}

/// Those of the wanted logins that somebody else has, or that only FreeRADIUS's tables know.
async fn taken(
    tx: &mut Tx<'_>,
    changes: &[CustomerChange],
    found: &[Found],
) -> Result<Option<Vec<String>>, StoreError> {
    let wanted: Vec<&str> = changes
        .iter()
        .zip(found)
        .filter_map(|(change, own)| {
            change.edit.login.as_deref().filter(|login| own.login.as_deref() != Some(login))
        })
        .collect();
    let held = all_taken(tx, &wanted).await?;
    let taken: Vec<String> =
        wanted.iter().filter(|login| held.contains(**login)).map(|login| (*login).to_owned()).collect();
    Ok((!taken.is_empty()).then_some(taken))
}

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell<'c> {
    Text(&'c str),
    Int(Option<i64>),
}

/// Numbers of customers, for a list.
type Ids = Vec<Bind<'static>>;

/// What is mostly the same for all customers of a call: it is written for all of them together.
#[derive(Default)]
struct Later<'c> {
    /// Numbers of the accounts that were looked up.
    accounts: HashMap<&'c str, i64>,
    /// Columns of `tk_subscriber`, and whose they are.
    columns: BTreeMap<(&'static str, Cell<'c>), Ids>,
    /// Rows of FreeRADIUS's tables, by login.
    rows: Vec<(SmolStr, &'c CustomerChange)>,
    rules: BTreeMap<(&'static str, i64), Option<EndsAfter>>,
    limits: BTreeMap<(&'static str, &'static str, i64), Option<i64>>,
    contacts: Vec<(&'c [(ContactField, String)], Ids)>,
    /// What nothing here has a meaning for; the last value of a name counts.
    fields: BTreeMap<(&'c str, i64), Option<&'c str>>,
    notes: Vec<(i64, Option<String>, String)>,
}

impl<'c> Later<'c> {
    fn column(&mut self, name: &'static str, id: i64, value: Cell<'c>) {
        self.columns.entry((name, value)).or_default().push(Bind::Int(id));
    }

    fn contact(&mut self, id: i64, fields: &'c [(ContactField, String)]) {
        match self.contacts.last_mut().filter(|(known, _)| *known == fields) {
            Some((_, ids)) => ids.push(Bind::Int(id)),
            None => self.contacts.push((fields, vec![Bind::Int(id)])),
        }
    }

    async fn write(self, tx: &mut Tx<'_>, author: &Author) -> Result<(), StoreError> {
        for ((name, value), ids) in &self.columns {
            let value = match *value {
                Cell::Text(text) => Bind::Text(text),
                Cell::Int(number) => Bind::MaybeInt(number),
            };
            subscribers::column_of_all(tx, name, ids, value).await?;
        }
        for table in [RADCHECK, RADREPLY] {
            let edits: Vec<OwnedRows<'_>> = self
                .rows
                .iter()
                .map(|(login, change)| {
                    let add = if table.name == RADCHECK.name { &change.check } else { &change.reply };
                    let own = add.iter().map(|item| &item.attribute);
                    let remove = change.edit.remove.iter().chain(own).map(String::as_str).collect();
                    OwnedRows { owner: login, remove, add }
                })
                .collect();
            table.replace_all(tx, &edits).await?;
        }
        let ids_of = |keys: &mut dyn Iterator<Item = i64>| -> Ids { keys.map(Bind::Int).collect() };
        for kind in self.rules.keys().map(|(kind, _)| *kind).collect::<BTreeSet<_>>() {
            let ids = ids_of(&mut self.rules.keys().filter(|key| key.0 == kind).map(|key| key.1));
            let sql = "DELETE FROM tk_expiry_rule WHERE kind = ? AND subscriber_id IN ({})";
            tx.run_for("tk_expiry_rule", sql, &[Bind::Text(kind)], &ids).await?;
        }
        let rules = self.rules.iter().filter_map(|((kind, id), rule)| rule.map(|rule| (*kind, *id, rule)));
        let rules: Vec<_> = rules
            .map(|(kind, id, rule)| {
                [Bind::Int(id), Bind::Text(kind), Bind::Int(rule.value), Bind::Text(rule.unit.as_str())]
            })
            .collect();
        let head = "INSERT INTO tk_expiry_rule (subscriber_id, kind, value, unit)";
        tx.insert_rows("tk_expiry_rule", head, &rules).await?;
        for (metric, period) in self.limits.keys().map(|key| (key.0, key.1)).collect::<BTreeSet<_>>() {
            let own = self.limits.keys().filter(|key| (key.0, key.1) == (metric, period));
            let ids = ids_of(&mut own.map(|key| key.2));
            let sql = "DELETE FROM tk_quota WHERE metric = ? AND period = ? AND origin = 'user' AND subscriber_id IN ({})";
            tx.run_for("tk_quota", sql, &[Bind::Text(metric), Bind::Text(period)], &ids).await?;
        }
        let limits = self.limits.iter().filter_map(|(key, limit)| limit.map(|limit| (key, limit)));
        let limits: Vec<_> = limits
            .map(|((metric, period, id), limit)| {
                let at = Bind::Int(author.at.0);
                [
                    Bind::Int(*id),
                    Bind::Text(metric),
                    Bind::Text(period),
                    Bind::Text("user"),
                    Bind::Int(limit),
                    at,
                ]
            })
            .collect();
        let head = "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, starts_at)";
        tx.insert_rows("tk_quota", head, &limits).await?;
        for (fields, ids) in &self.contacts {
            contacts::set_all(tx, ids, fields).await?;
        }
        for name in self.fields.keys().map(|(name, _)| *name).collect::<BTreeSet<_>>() {
            let ids = ids_of(&mut self.fields.keys().filter(|key| key.0 == name).map(|key| key.1));
            let sql = "DELETE FROM tk_custom_field WHERE name = ? AND subscriber_id IN ({})";
            tx.run_for("tk_custom_field", sql, &[Bind::Text(name)], &ids).await?;
        }
        let fields = self.fields.iter().filter_map(|((name, id), value)| {
            value.map(|value| [Bind::Int(*id), Bind::Text(name), Bind::Text(value)])
        });
        let head = "INSERT INTO tk_custom_field (subscriber_id, name, value)";
        tx.insert_rows("tk_custom_field", head, &fields.collect::<Vec<_>>()).await?;
        audit_all(tx, author, "set", &self.notes).await
    }
}

async fn apply<'c>(
    tx: &mut Tx<'_>,
    change: &'c CustomerChange,
    found: Found,
    later: &mut Later<'c>,
    scope: &Scope,
    author: &Author,
) -> Result<Result<(), CustomerObstacle>, StoreError> {
    let CustomerChange { edit, check, reply, summary, .. } = change;
    let Found { id, mut login } = found;
    if let Some(name) = &edit.account {
        let number = match later.accounts.get(name.as_str()) {
            Some(number) => *number,
            None => match account_of(tx, name, scope).await? {
                Ok(number) => number,
                Err(obstacle) => return Ok(Err(obstacle)),
            },
        };
        later.accounts.insert(name, number);
        later.column("account_id", id, Cell::Int(Some(number)));
    }
    if edit.no_login
        && let Some(old) = login.take()
    {
        take_login(tx, id, &old).await?;
    }
    if let Some(new) = &edit.login {
        match &login {
            None => give_login(tx, id, new, author).await?,
            Some(old) if old != new => {
                let who = Who::Number(SubscriberId(id));
                if let Some(mut located) = subscribers::locate(tx, who, scope, author).await?
                    && let Some(taken) = rename::rename(tx, &mut located, new).await?
                {
                    return Ok(Err(CustomerObstacle::LoginsTaken(vec![taken])));
                }
            }
            Some(_) => {}
        }
        login = Some(new.as_str().into());
    }
    let login = login.as_deref();
    if let Some(plan) = &edit.plan
        && !move_plan(tx, id, login, plan, scope, author.at).await?
    {
        return Ok(Err(CustomerObstacle::NoPlan(plan.clone())));
    }
    if let Some(password) = &edit.password {
        let row = NewAttribute::new("Cleartext-Password", ":=", password.as_str());
        match subscribers::locate(tx, Who::Number(SubscriberId(id)), scope, author).await? {
            // What proved it before, in whatever form, is gone.
            Some(mut located) => {
                let credential = CredentialEdit { kind: None, password: Some(row) };
                let put = subscribers::put_credential(tx, &mut located, &credential).await?;
                debug_assert!(put.is_ok(), "a password is there");
            }
            None => put_waiting(tx, id, &[row], &[]).await?,
        }
    }
    if let Some(login) = login {
        later.rows.push((login.into(), change));
    } else {
        remove_waiting(tx, id, &edit.remove).await?;
        put_waiting(tx, id, check, reply).await?;
    }
    if let Some(lock) = &edit.lock {
        let (status, reason) = match lock {
            Some(reason) => (SubscriberStatus::Suspended, reason.as_str()),
            None => (SubscriberStatus::Active, ""),
        };
        match login {
            Some(login) => subscribers::put_status(tx, id, login, status, reason, author).await?,
            None => {
                later.column("status", id, Cell::Text(status.as_str()));
                later.column("status_reason", id, Cell::Text(reason));
            }
        }
    }
    if let Some(expires) = edit.expires {
        later.column("expires_at", id, Cell::Int(expires.map(|at| at.0)));
    }
    if let Some(first) = edit.first_use {
        later.column("first_use_at", id, Cell::Int(first.map(|at| at.0)));
    }
    for (kind, rule) in &edit.ends_after {
        later.rules.insert((kind.as_str(), id), *rule);
    }
    if let Some(limit) = edit.credit_limit {
        super::money::limit(tx, id, limit, author).await?;
    }
    if let Some(comments) = &edit.comments {
        later.column("comments", id, Cell::Text(comments));
    }
    later.contact(id, &edit.contact);
    devices(tx, id, edit).await?;
    for (metric, period, limit) in &edit.limits {
        later.limits.insert((metric.as_str(), period.as_str(), id), *limit);
    }
    for (kind, identifier) in [("serial", &edit.serial), ("voip", &edit.voip)] {
        let Some(identifier) = identifier else { continue };
        let sql = "DELETE FROM tk_credential WHERE subscriber_id = ? AND kind = ?";
        tx.run("tk_credential", sql, &[Bind::Int(id), Bind::Text(kind)]).await?;
        let Some(identifier) = identifier else { continue };
        let sql = "SELECT subscriber_id FROM tk_credential WHERE kind = ? AND identifier = ?";
        let held = tx
            .fetch("tk_credential", sql, &[Bind::Text(kind), Bind::Text(identifier)], |row| row.number(0))
            .await?;
        if !held.is_empty() {
            return Ok(Err(CustomerObstacle::IdentifierTaken(identifier.clone())));
        }
        let sql = "INSERT INTO tk_credential (subscriber_id, kind, identifier) VALUES (?, ?, ?)";
        tx.run("tk_credential", sql, &[Bind::Int(id), Bind::Text(kind), Bind::Text(identifier)]).await?;
    }
    for (name, value) in &edit.fields {
        later.fields.insert((name, id), value.as_deref());
        if name == EXTENDED_UNTIL && value.is_none() {
            later.column("grace_until", id, Cell::Int(None));
        }
    }
    later.notes.push(noted(id, login, None, summary));
    Ok(Ok(()))
}

/// Replaces the devices that a customer is bound to: those with a MAC address, or those with an address.
async fn devices(tx: &mut Tx<'_>, id: i64, edit: &CustomerEdit) -> Result<(), StoreError> {
    let add = "INSERT INTO tk_device (subscriber_id, mac, ip, source) VALUES (?, ?, ?, ?)";
    if let Some(macs) = &edit.macs {
        let sql = "DELETE FROM tk_device WHERE subscriber_id = ? AND source = ? AND mac <> ''";
        tx.run("tk_device", sql, &[Bind::Int(id), Bind::Text(STATIC_DEVICE)]).await?;
        for mac in macs {
            let binds = [Bind::Int(id), Bind::Text(mac), Bind::Text(""), Bind::Text(STATIC_DEVICE)];
            tx.run("tk_device", add, &binds).await?;
        }
    }
    if let Some(addresses) = &edit.addresses {
        let sql = "DELETE FROM tk_device WHERE subscriber_id = ? AND source = ? AND ip <> ''";
        tx.run("tk_device", sql, &[Bind::Int(id), Bind::Text(STATIC_DEVICE)]).await?;
        for address in addresses {
            let address = address.to_string();
            let binds = [Bind::Int(id), Bind::Text(""), Bind::Text(&address), Bind::Text(STATIC_DEVICE)];
            tx.run("tk_device", add, &binds).await?;
        }
    }
    Ok(())
}

/// Rows of FreeRADIUS's tables of who has no login wait for one, in the place of those of the same name.
async fn put_waiting(
    tx: &mut Tx<'_>,
    id: i64,
    check: &[NewAttribute],
    reply: &[NewAttribute],
) -> Result<(), StoreError> {
    for (table, rows) in [(WAITING_CHECK, check), (WAITING_REPLY, reply)] {
        for row in rows {
            // Under its own name, whatever its value says.
            let hidden = if table == WAITING_CHECK { tx.db().hidden(row)? } else { Cow::Borrowed(row) };
            let (name, value) = (format!("{table}{}", row.attribute), format!("{} {}", row.op, hidden.value));
            put_field(tx, id, &name, &value).await?;
        }
    }
    Ok(())
}

async fn remove_waiting(tx: &mut Tx<'_>, id: i64, names: &[String]) -> Result<(), StoreError> {
    for name in names {
        for table in [WAITING_CHECK, WAITING_REPLY] {
            drop_named(tx, id, &format!("{table}{name}")).await?;
        }
    }
    Ok(())
}

/// A customer gets a login: what waited for it moves into FreeRADIUS's tables, its plan becomes a group.
async fn give_login(tx: &mut Tx<'_>, id: i64, login: &str, author: &Author) -> Result<(), StoreError> {
    column(tx, "username", id, Bind::Text(login)).await?;
    let sql = "SELECT name, value FROM tk_custom_field WHERE subscriber_id = ?";
    let fields =
        tx.fetch("tk_custom_field", sql, &[Bind::Int(id)], |row| Ok((row.word(0)?, row.word(1)?))).await?;
    for (name, value) in fields {
        for (prefix, table) in [(WAITING_CHECK, RADCHECK), (WAITING_REPLY, RADREPLY)] {
            let Some(row) = name.strip_prefix(prefix).and_then(|name| waiting_row(tx.db(), name, &value))
            else {
                continue;
            };
            let item = NewAttribute::new(&row.attribute, &row.op, row.value.as_str());
            table.replace(tx, login, &[item]).await?;
            drop_named(tx, id, &name).await?;
        }
    }
    let sql = "SELECT p.groupname, s.status, s.status_reason FROM tk_subscriber s LEFT JOIN tk_plan p ON p.id = s.plan_id
         WHERE s.id = ?";
    let found = tx
        .fetch("tk_subscriber", sql, &[Bind::Int(id)], |row| Ok((row.text(0)?, row.word(1)?, row.word(2)?)))
        .await?;
    for (group, status, reason) in found {
        if let Some(group) = group {
            groups::join(tx, login, &group, PLAN_PRIORITY).await?;
        }
        let status = SubscriberStatus::parse(&status).unwrap_or(SubscriberStatus::Blocked);
        if status != SubscriberStatus::Active {
            subscribers::put_status(tx, id, login, status, &reason, author).await?;
        }
    }
    Ok(())
}

/// A customer loses its login: its rows wait for the next one, but for the password.
async fn take_login(tx: &mut Tx<'_>, id: i64, login: &str) -> Result<(), StoreError> {
    for (prefix, table) in [(WAITING_CHECK, RADCHECK), (WAITING_REPLY, RADREPLY)] {
        for row in table.rows(tx, login).await? {
            if !is_password(&row.attribute) {
                let name = format!("{prefix}{}", row.attribute);
                put_field(tx, id, &name, &format!("{} {}", row.op, row.value)).await?;
            }
        }
        table.delete_all(tx, login).await?;
    }
    for group in groups::of(tx, login, "").await? {
        groups::leave(tx, login, &group).await?;
    }
    column(tx, "username", id, Bind::MaybeText(None)).await
}

/// The number of an account by its name, if it lies in the scope.
pub(super) async fn account_of(
    tx: &mut Tx<'_>,
    name: &str,
    scope: &Scope,
) -> Result<Result<i64, CustomerObstacle>, StoreError> {
    let found = account(tx, name).await?.filter(|number| scope.includes(*number));
    Ok(found.ok_or_else(|| CustomerObstacle::NoAccount(name.to_owned())))
}

/// The number of a plan by its name, if the scope may give it.
pub(super) async fn plan_of_scope(
    tx: &mut Tx<'_>,
    name: &str,
    scope: &Scope,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id, account_id, name FROM tk_plan WHERE name = ?";
    let found = tx
        .fetch("tk_plan", sql, &[Bind::Text(name)], |row| Ok((row.number(0)?, row.number(1)?, row.word(2)?)))
        .await?;
    let visible = |account: i64| account == 0 || scope.includes(account);
    Ok(found.into_iter().find(|(_, account, exact)| exact == name && visible(*account)).map(|(id, ..)| id))
}

/// Moves a customer to another plan. `false`: there is no such plan.
pub(super) async fn move_plan(
    tx: &mut Tx<'_>,
    id: i64,
    login: Option<&str>,
    plan: &str,
    scope: &Scope,
    at: UnixTime,
) -> Result<bool, StoreError> {
    let Some(number) = plan_of_scope(tx, plan, scope).await? else { return Ok(false) };
    if let Some(login) = login {
        return subscribers::move_to(tx, id, login, Some(plan), at).await;
    }
    column(tx, "plan_id", id, Bind::Int(number)).await?;
    Ok(true)
}

pub(super) async fn put_field(tx: &mut Tx<'_>, id: i64, name: &str, value: &str) -> Result<(), StoreError> {
    drop_named(tx, id, name).await?;
    let sql = "INSERT INTO tk_custom_field (subscriber_id, name, value) VALUES (?, ?, ?)";
    tx.run("tk_custom_field", sql, &[Bind::Int(id), Bind::Text(name), Bind::Text(value)]).await.map(drop)
}

async fn drop_named(tx: &mut Tx<'_>, id: i64, name: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM tk_custom_field WHERE subscriber_id = ? AND name = ?";
    tx.run("tk_custom_field", sql, &[Bind::Int(id), Bind::Text(name)]).await.map(drop)
}
