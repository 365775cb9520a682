//! Subscribers: their number in `tk_subscriber`, their rows in FreeRADIUS's tables.
//!
//! A login is a login octet for octet, whatever the collation of a table says: the database finds the
//! candidates by its index, and what differs in an octet is left out here.

use std::collections::{BTreeMap, HashMap, HashSet};

use smol_str::SmolStr;

use super::db::{execute, fetch, fetch_in};
use super::{Store, StoreError};
use crate::domain::operator::Scope;
use crate::domain::plan::{Concurrency, PlanId};
use crate::domain::{
    AttributeRow, Day, DeviceRow, ExpiryRow, SubscriberId, SubscriberRows, SubscriberStatus, SubscriberTerms,
    Tenure, Usage,
};
use crate::time::UnixTime;

/// `created_by` of the rows that are made when a login is first seen; no trigger announces them.
pub(super) const FIRST_SIGHT: &str = "first sight";

/// Entries of the change feed among which one may commit later than a higher one.
const LATE_CHANGES: i64 = 1_000;
/// More changed logins than these are not looked at one by one.
const NEW_LOGINS_MAX: i64 = 2_000;

/// What belongs to each subscriber, in the order in which it came.
fn by_subscriber<T>(rows: Vec<(SubscriberId, T)>) -> BTreeMap<SubscriberId, Vec<T>> {
    let mut grouped: BTreeMap<SubscriberId, Vec<T>> = BTreeMap::new();
    for (subscriber, row) in rows {
        grouped.entry(subscriber).or_default().push(row);
    }
    grouped
}

/// A row of `tk_subscriber`.
struct Known {
    id: SubscriberId,
    login: SmolStr,
    status: SubscriberStatus,
    kind: SmolStr,
    first_use: Option<UnixTime>,
    expires: Option<UnixTime>,
    concurrency: Option<Concurrency>,
    tenure: Tenure,
}

const KNOWN: &str = "SELECT s.id, s.username, s.status, s.kind, s.first_use_at, s.expires_at, s.status_reason,
    s.created_at, s.activation_at, s.renewed_at, s.last_use_at, a.name, a.enabled, p.groupname, p.validity_days,
    s.concurrency, s.autologin, s.grace_until, s.plan_id, a.time_zone
    FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id LEFT JOIN tk_plan p ON p.id = s.plan_id";

impl Known {
    fn read(row: &dyn super::db::Columns) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: SubscriberId(row.number(0)?),
            login: row.word(1)?,
            // A word of a later release locks, it does not open.
            status: SubscriberStatus::parse(&row.word(2)?).unwrap_or(SubscriberStatus::Suspended),
            kind: row.word(3)?,
            first_use: row.time(4)?,
            expires: row.time(5)?,
            tenure: Tenure {
                status_reason: row.word(6)?,
                created: row.time(7)?.unwrap_or_default(),
                activation: row.time(8)?,
                renewed: row.time(9)?,
                grace: row.time(17)?,
                last_use: row.time(10)?,
                closed_account: row.text(11)?.filter(|_| matches!(row.int(12), Ok(Some(0)))),
                validity_days: match (row.text(13)?, row.int(14)?.and_then(|days| u32::try_from(days).ok())) {
                    (Some(plan), Some(days)) => Some((days, plan)),
                    _ => None,
                },
                autologin: matches!(row.int(16), Ok(Some(flag)) if flag != 0),
                ..Tenure::default()
            },
            concurrency: Concurrency::parse(&row.word(15)?),
        })
    }

    /// As rows, to which those of the other tables are still to come.
    fn rows(self) -> SubscriberRows {
        SubscriberRows {
            id: self.id,
            login: self.login,
            status: self.status,
            kind: self.kind,
            first_use: self.first_use,
            expires: self.expires,
            tenure: self.tenure,
            check: Vec::new(),
            reply: Vec::new(),
            groups: Vec::new(),
            concurrency: self.concurrency,
            usage: Vec::new(),
            terms: SubscriberTerms::default(),
        }
    }
}

/// What FreeRADIUS's tables have for some logins.
struct Rad {
    check: HashMap<SmolStr, Vec<AttributeRow>>,
    reply: HashMap<SmolStr, Vec<AttributeRow>>,
    groups: HashMap<SmolStr, Vec<SmolStr>>,
}

impl Store {
    /// All rows of these logins, with usage from `usage_since` on and of the lifetime. A login with rows
    /// in radcheck, radreply or radusergroup and none in `tk_subscriber` gets one (`now` is its date of
    /// creation); a login that nobody has is not in the answer.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn subscribers(
        &self,
        logins: &[SmolStr],
        usage_since: Day,
        now: UnixTime,
    ) -> Result<Vec<SubscriberRows>, StoreError> {
        let wanted: HashSet<&SmolStr> = logins.iter().collect();
        let mut names: Vec<&str> = wanted.iter().map(|login| login.as_str()).collect();
        names.sort_unstable();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let rad = self.rad_rows(&names, true).await?;
        let mut known = self.known(&names).await?;
        let seen: HashSet<SmolStr> = known.iter().map(|known| known.login.clone()).collect();
        let new: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !seen.contains(*name))
            .filter(|name| {
                rad.check.contains_key(*name)
                    || rad.reply.contains_key(*name)
                    || rad.groups.contains_key(*name)
            })
            .collect();
        if !new.is_empty() {
            for login in &new {
                self.first_sight(login, now).await?;
            }
            known.extend(self.known(&new).await?);
        }
        self.assemble(known, rad, usage_since).await
    }

    /// The logins of these subscribers; one that is gone, or has no login, is not in the answer.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn logins(&self, subscribers: &[SubscriberId]) -> Result<Vec<SmolStr>, StoreError> {
        let ids: Vec<i64> = subscribers.iter().map(|subscriber| subscriber.0).collect();
        let sql = "SELECT username FROM tk_subscriber WHERE username IS NOT NULL AND id IN ({})";
        fetch_in!(self.db(), "tk_subscriber", sql, &ids, [], |row| row.word(0))
    }

    /// Subscribers by number, for warming: those after `after`, `most` at a time. Logins that were
    /// never seen are not among them: see [`Store::sight_all`].
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn subscriber_page(
        &self,
        after: Option<SubscriberId>,
        most: u32,
        usage_since: Day,
    ) -> Result<Vec<SubscriberRows>, StoreError> {
        let sql = format!("{KNOWN} WHERE s.id > ? AND s.username IS NOT NULL ORDER BY s.id LIMIT ?");
        let after = after.map_or(i64::MIN, |id| id.0);
        let known = fetch!(self.db(), read, "tk_subscriber", &sql, [after, i64::from(most)], Known::read)?;
        let names: Vec<&str> = known.iter().map(|known| known.login.as_str()).collect();
        let rad = self.rad_rows(&names, true).await?;
        self.assemble(known, rad, usage_since).await
    }

    /// What tells how subscribers stand, by number: those after `after`, `most` at a time. The rows have
    /// nothing but what decides about the end, and of who is not active not even that.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn standing_page(
        &self,
        after: SubscriberId,
        most: u32,
        scope: &Scope,
    ) -> Result<Vec<SubscriberRows>, StoreError> {
        let within = super::admin::within(scope, "s.account_id");
        let sql = format!("{KNOWN} WHERE s.id > ? AND s.username IS NOT NULL{within} ORDER BY s.id LIMIT ?");
        let known = fetch!(self.db(), read, "tk_subscriber", &sql, [after.0, i64::from(most)], |row| {
            Ok((Known::read(row)?, row.int(18)?.map(PlanId), row.text(19)?.unwrap_or_default()))
        })?;
        let active = known.iter().filter(|(known, ..)| known.status == SubscriberStatus::Active);
        let active: Vec<&Known> = active.map(|(known, ..)| known).collect();
        let names: Vec<&str> = active.iter().map(|known| known.login.as_str()).collect();
        let ids: Vec<i64> = active.iter().map(|known| known.id.0).collect();
        let mut rad = self.rad_rows(&names, false).await?;
        let mut expiry = self.expiry_of(&ids).await?;
        let rows = |(known, plan, zone): (Known, Option<PlanId>, SmolStr)| {
            let mut rows = known.rows();
            rows.check = rad.check.remove(&rows.login).unwrap_or_default();
            rows.groups = rad.groups.remove(&rows.login).unwrap_or_default();
            rows.tenure.expiry = expiry.remove(&rows.id).unwrap_or_default();
            rows.terms = SubscriberTerms { plan, zone, ..SubscriberTerms::default() };
            rows
        };
        Ok(known.into_iter().map(rows).collect())
    }

    /// The numbers of those who have a login, or of those who are deleted.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn subscriber_numbers(&self, deleted: bool, scope: &Scope) -> Result<Vec<i64>, StoreError> {
        let within = super::admin::within(scope, "s.account_id");
        let which = if deleted { "s.status = 'deleted'" } else { "s.username IS NOT NULL" };
        let sql = format!("SELECT s.id FROM tk_subscriber s WHERE {which}{within} ORDER BY s.id");
        fetch!(self.db(), read, "tk_subscriber", &sql, [], |row| row.number(0))
    }

    /// Gives every login of radcheck, radreply and radusergroup a row of `tk_subscriber`, in the order
    /// of their oldest radcheck row; how many were new.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn sight_all(&self, now: UnixTime) -> Result<u64, StoreError> {
        let learned = self.learned()?;
        let order = if learned.schema.has("radusergroup", "id") { "id" } else { "0" };
        let name = self.db().pick("username", "username", "CAST(username AS BINARY)");
        let insert = self.db().pick("INSERT OR IGNORE", "INSERT", "INSERT IGNORE");
        let conflict = self.db().pick("", "ON CONFLICT DO NOTHING", "");
        let sql = format!(
            "{insert} INTO tk_subscriber (username, created_at, updated_at, created_by)
             SELECT l.username, ?, ?, '{FIRST_SIGHT}' FROM (
                 SELECT username, MIN(place) AS place, MIN(id) AS id FROM (
                     SELECT {name} AS username, 1 AS place, id FROM radcheck
                     UNION ALL SELECT {name}, 2, id FROM radreply
                     UNION ALL SELECT {name}, 3, {order} FROM radusergroup) every_row
                 WHERE username <> '' GROUP BY username) l
             LEFT JOIN tk_subscriber s ON s.username = l.username
             WHERE s.id IS NULL ORDER BY l.place, l.id {conflict}"
        );
        execute!(self.db(), write, "tk_subscriber", &sql, [now.0, now.0])
    }

    /// The same where the change feed says that there may be new logins, and nothing otherwise: lists ask for it
    /// with every first page.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn sight_new(&self, now: UnixTime) -> Result<(), StoreError> {
        // How many of the last entries there are tells of one that was late to commit.
        let sql = format!(
            "SELECT COALESCE(MAX(id), 0), COUNT(*) FROM tk_changes
             WHERE id > (SELECT COALESCE(MAX(id), 0) - {LATE_CHANGES} FROM tk_changes)"
        );
        let state =
            fetch!(self.db(), read, "tk_changes", &sql, [], |row| Ok((row.number(0)?, row.number(1)?)))?;
        let state = state.into_iter().next().unwrap_or_default();
        let before = *self.0.sighted.lock();
        if before == Some(state) {
            return Ok(());
        }
        let mut all = true;
        if let Some((last, _)) = before
            && last <= state.0
        {
            let sql = "SELECT DISTINCT k FROM tk_changes WHERE id > ? AND tbl IN ('radcheck', 'radreply', 'radusergroup')
                LIMIT ?";
            let since = last.saturating_sub(LATE_CHANGES);
            let news =
                fetch!(self.db(), read, "tk_changes", sql, [since, NEW_LOGINS_MAX], |row| row.word(0))?;
            let many = i64::try_from(news.len()).is_ok_and(|count| count >= NEW_LOGINS_MAX);
            all = many || news.iter().any(SmolStr::is_empty);
            if !all {
                self.sight(&news, now).await?;
            }
        }
        if all {
            self.sight_all(now).await?;
        }
        *self.0.sighted.lock() = Some(state);
        Ok(())
    }

    /// Gives those of these logins that have rows, and no number yet, a number.
    pub(super) async fn sight(&self, logins: &[SmolStr], now: UnixTime) -> Result<(), StoreError> {
        let names: Vec<&str> = logins.iter().map(SmolStr::as_str).collect();
        let sql = "SELECT username FROM tk_subscriber WHERE username IN ({})";
        let known = fetch_in!(self.db(), "tk_subscriber", sql, &names, [], |row| row.word(0))?;
        let known: HashSet<SmolStr> = known.into_iter().collect();
        for login in names.iter().filter(|login| !known.contains(**login)) {
            self.first_sight(login, now).await?;
        }
        Ok(())
    }

    /// The usage buckets of a subscriber from `since` on, and its lifetime's.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn usage(&self, subscriber: SubscriberId, since: Day) -> Result<Vec<(Day, Usage)>, StoreError> {
        let mut found = self.usage_of(&[subscriber.0], since).await?;
        Ok(found.remove(&subscriber).unwrap_or_default())
    }

    async fn known(&self, names: &[&str]) -> Result<Vec<Known>, StoreError> {
        let wanted: HashSet<&str> = names.iter().copied().collect();
        let sql = format!("{KNOWN} WHERE s.username IN ({{}})");
        let found = fetch_in!(self.db(), "tk_subscriber", &sql, names, [], Known::read)?;
        Ok(found.into_iter().filter(|known| wanted.contains(known.login.as_str())).collect())
    }

    /// Another server may do the same at the same moment: then its row is the one. Whose rows are gone
    /// since they were read gets none: a subscriber who was removed does not come back.
    async fn first_sight(&self, login: &str, now: UnixTime) -> Result<(), StoreError> {
        let insert = self.db().pick("INSERT OR IGNORE", "INSERT", "INSERT IGNORE");
        let nothing = self.db().pick("", "", "FROM DUAL");
        let conflict = self.db().pick("", "ON CONFLICT DO NOTHING", "");
        let sql = format!(
            "{insert} INTO tk_subscriber (username, created_at, updated_at, created_by)
             SELECT ?, ?, ?, ? {nothing}
             WHERE EXISTS (SELECT 1 FROM radcheck WHERE username = ?)
                OR EXISTS (SELECT 1 FROM radreply WHERE username = ?)
                OR EXISTS (SELECT 1 FROM radusergroup WHERE username = ?) {conflict}"
        );
        execute!(
            self.db(),
            write,
            "tk_subscriber",
            &sql,
            [login, now.0, now.0, FIRST_SIGHT, login, login, login]
        )
        .map(drop)
    }

    /// Rows of radcheck and radusergroup, and of radreply where that is asked for.
    async fn rad_rows(&self, names: &[&str], with_reply: bool) -> Result<Rad, StoreError> {
        let learned = self.learned()?;
        let wanted: HashSet<&str> = names.iter().copied().collect();
        let mut rad = Rad { check: HashMap::new(), reply: HashMap::new(), groups: HashMap::new() };
        let check =
            "SELECT username, id, attribute, op, value FROM radcheck WHERE username IN ({}) ORDER BY id";
        let reply =
            "SELECT username, id, attribute, op, value FROM radreply WHERE username IN ({}) ORDER BY id";
        let tables = [(check, &mut rad.check), (reply, &mut rad.reply)];
        for (sql, held) in tables.into_iter().take(if with_reply { 2 } else { 1 }) {
            let found = fetch_in!(self.db(), "radcheck", sql, names, [], attribute_row)?;
            for (login, mut row) in found {
                if wanted.contains(login.as_str()) {
                    self.db().reveal(&mut row);
                    held.entry(login).or_default().push(row);
                }
            }
        }
        let order = if learned.schema.has("radusergroup", "id") { "priority, id" } else { "priority" };
        let sql =
            format!("SELECT username, groupname FROM radusergroup WHERE username IN ({{}}) ORDER BY {order}");
        let found =
            fetch_in!(self.db(), "radusergroup", &sql, names, [], |row| Ok((row.word(0)?, row.word(1)?)))?;
        for (login, group) in found {
            if wanted.contains(login.as_str()) {
                rad.groups.entry(login).or_default().push(group);
            }
        }
        Ok(rad)
    }

    async fn usage_of(
        &self,
        subscribers: &[i64],
        since: Day,
    ) -> Result<BTreeMap<SubscriberId, Vec<(Day, Usage)>>, StoreError> {
        let sql = format!(
            "SELECT subscriber_id, day, seconds, input, output FROM tk_usage
             WHERE subscriber_id IN ({{}}) AND (day >= ? OR day = {}) ORDER BY subscriber_id, day",
            Day::LIFETIME.0
        );
        let found = fetch_in!(self.db(), "tk_usage", &sql, subscribers, [i64::from(since.0)], |row| {
            let day = Day(i32::try_from(row.number(1)?).unwrap_or(i32::MAX));
            let usage = Usage { seconds: row.count(2)?, input: row.count(3)?, output: row.count(4)? };
            Ok((SubscriberId(row.number(0)?), (day, usage)))
        })?;
        Ok(by_subscriber(found))
    }

    /// Expiry rules of these subscribers and of their plans.
    async fn expiry_of(
        &self,
        subscribers: &[i64],
    ) -> Result<BTreeMap<SubscriberId, Vec<ExpiryRow>>, StoreError> {
        let own = "SELECT subscriber_id, id, NULL, kind, value, unit FROM tk_expiry_rule
             WHERE subscriber_id IN ({}) ORDER BY subscriber_id, id";
        let plans = "SELECT s.id, r.id, p.name, r.kind, r.value, r.unit FROM tk_subscriber s
             JOIN tk_plan p ON p.id = s.plan_id JOIN tk_expiry_rule r ON r.plan_id = s.plan_id
             WHERE s.id IN ({}) ORDER BY s.id, r.id";
        let mut rules = Vec::new();
        for sql in [own, plans] {
            rules.extend(fetch_in!(self.db(), "tk_expiry_rule", sql, subscribers, [], |row| {
                let rule = ExpiryRow {
                    id: row.number(1)?,
                    plan: row.text(2)?,
                    kind: row.word(3)?,
                    value: row.number(4)?,
                    unit: row.word(5)?,
                };
                Ok((SubscriberId(row.number(0)?), rule))
            })?);
        }
        Ok(by_subscriber(rules))
    }

    async fn devices_of(
        &self,
        subscribers: &[i64],
    ) -> Result<BTreeMap<SubscriberId, Vec<DeviceRow>>, StoreError> {
        let sql = "SELECT subscriber_id, id, mac, ip, source, valid_until FROM tk_device
             WHERE subscriber_id IN ({}) ORDER BY subscriber_id, id";
        let found = fetch_in!(self.db(), "tk_device", sql, subscribers, [], |row| {
            let device = DeviceRow {
                id: row.number(1)?,
                mac: row.word(2)?,
                ip: row.word(3)?,
                source: row.word(4)?,
                valid_until: row.time(5)?,
            };
            Ok((SubscriberId(row.number(0)?), device))
        })?;
        Ok(by_subscriber(found))
    }

    async fn assemble(
        &self,
        known: Vec<Known>,
        mut rad: Rad,
        usage_since: Day,
    ) -> Result<Vec<SubscriberRows>, StoreError> {
        let ids: Vec<i64> = known.iter().map(|known| known.id.0).collect();
        let mut usage = self.usage_of(&ids, usage_since).await?;
        let mut terms = self.terms_of(&ids).await?;
        let mut expiry = self.expiry_of(&ids).await?;
        let mut devices = self.devices_of(&ids).await?;
        Ok(known
            .into_iter()
            .map(|known| {
                let mut rows = known.rows();
                rows.tenure.expiry = expiry.remove(&rows.id).unwrap_or_default();
                rows.tenure.devices = devices.remove(&rows.id).unwrap_or_default();
                rows.check = rad.check.remove(&rows.login).unwrap_or_default();
                rows.reply = rad.reply.remove(&rows.login).unwrap_or_default();
                rows.groups = rad.groups.remove(&rows.login).unwrap_or_default();
                rows.usage = usage.remove(&rows.id).unwrap_or_default();
                rows.terms = terms.remove(&rows.id).unwrap_or_default();
                rows
            })
            .collect())
    }
}

/// A row of one of the four attribute tables: its owner's name, then the row.
pub(super) fn attribute_row(row: &dyn super::db::Columns) -> Result<(SmolStr, AttributeRow), sqlx::Error> {
    let attribute = AttributeRow {
        id: row.number(1)?,
        attribute: row.word(2)?,
        // CHAR(2) of old schemas is filled up with spaces.
        op: SmolStr::new(row.word(3)?.trim()),
        value: row.word(4)?,
    };
    Ok((row.word(0)?, attribute))
}
