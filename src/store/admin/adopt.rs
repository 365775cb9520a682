//! Taking over a FreeRADIUS or daloRADIUS database: what is in it, and our tables filled from it.
//!
//! Nothing of FreeRADIUS's tables is changed: not even Fall-Through is added where it is missing, since
//! that would change what groups give.

use smol_str::SmolStr;

use super::groups::DISABLED_GROUP;
use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::text::mac_digits;
use crate::domain::{AttributeRow, Day, SubscriberId, SubscriberRows, SubscriberStatus};
use crate::store::{Store, StoreError};

/// What a database has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Different logins in radcheck, radreply and radusergroup.
    pub logins: u64,
    /// Those that have no number yet.
    pub unseen: u64,
    /// Groups that are no plan yet.
    pub new_plans: Vec<SmolStr>,
    /// Groups without Fall-Through, of which some member has further groups: those are not reached.
    pub stopping: Vec<SmolStr>,
    /// Attributes that rows name, and how often.
    pub attributes: Vec<(SmolStr, u64)>,
    /// Members of daloRADIUS's group of disabled users.
    pub disabled: u64,
    /// All sessions of radacct.
    pub sessions: u64,
    /// The open ones.
    pub open_sessions: u64,
    /// Octets from subscribers, all sessions together.
    pub input: u64,
    /// Octets to subscribers. Usually far more than `input`; if not, a NAS may count the other way.
    pub output: u64,
    /// Rows of daloRADIUS's userinfo, if it is there.
    pub contacts: Option<u64>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Subscribers that got a number.
    pub subscribers: u64,
    /// Plans made of groups.
    pub plans: u64,
    /// Subscribers whose primary plan is known now.
    pub with_plan: u64,
    /// Subscribers that were found disabled.
    pub disabled: u64,
    /// Subscribers that daloRADIUS knows by name, and that had no contact yet.
    pub contacts: u64,
}

/// Subscribers that are looked at at a time.
const PAGE: u32 = 500;

const EVERY_LOGIN: &str = "(SELECT username FROM radcheck UNION SELECT username FROM radreply
    UNION SELECT username FROM radusergroup)";

impl Store {
    /// Looks at FreeRADIUS's tables; `migrated` says whether ours exist.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn survey(&self, migrated: bool) -> Result<Survey, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let mut survey = Survey {
            logins: one(&mut tx, &format!("SELECT COUNT(*) FROM {EVERY_LOGIN} l WHERE username <> ''"))
                .await?,
            ..Survey::default()
        };
        let groups = names(
            &mut tx,
            "SELECT groupname FROM radgroupcheck UNION SELECT groupname FROM radgroupreply
             UNION SELECT groupname FROM radusergroup",
        )
        .await?;
        let plans =
            if migrated { names(&mut tx, "SELECT groupname FROM tk_plan").await? } else { Vec::new() };
        survey.new_plans = groups
            .into_iter()
            .filter(|group| !group.is_empty() && group != DISABLED_GROUP && !plans.contains(group))
            .collect();
        survey.unseen = if migrated {
            let seen = "SELECT COUNT(*) FROM tk_subscriber WHERE username IS NOT NULL";
            survey.logins.saturating_sub(one(&mut tx, seen).await?)
        } else {
            survey.logins
        };
        survey.stopping = names(
            &mut tx,
            "SELECT DISTINCT g.groupname FROM radusergroup g JOIN radusergroup h ON h.username = g.username
             WHERE h.priority > g.priority AND g.groupname NOT IN
                 (SELECT groupname FROM radgroupreply WHERE attribute = 'Fall-Through')",
        )
        .await?;
        survey.attributes = tx
            .fetch(
                "radcheck",
                "SELECT attribute, COUNT(*) FROM (SELECT attribute FROM radcheck UNION ALL SELECT attribute FROM radreply
                     UNION ALL SELECT attribute FROM radgroupcheck UNION ALL SELECT attribute FROM radgroupreply) a
                 GROUP BY attribute ORDER BY attribute",
                &[],
                |row| Ok((row.word(0)?, row.count(1)?)),
            )
            .await?;
        let disabled = format!("SELECT COUNT(*) FROM radusergroup WHERE groupname = '{DISABLED_GROUP}'");
        survey.disabled = one(&mut tx, &disabled).await?;
        survey.sessions = one(&mut tx, "SELECT COUNT(*) FROM radacct").await?;
        survey.open_sessions =
            one(&mut tx, "SELECT COUNT(*) FROM radacct WHERE acctstoptime IS NULL").await?;
        let whole = tx.pick("INTEGER", "bigint", "SIGNED");
        let sum = |column: &str| format!("SELECT CAST(COALESCE(SUM({column}), 0) AS {whole}) FROM radacct");
        survey.input = one(&mut tx, &sum("acctinputoctets")).await?;
        survey.output = one(&mut tx, &sum("acctoutputoctets")).await?;
        survey.contacts = contacts(&mut tx).await?;
        Ok(survey)
    }

    /// Fills our tables, which must exist, from FreeRADIUS's: a number for every login, a plan for
    /// every group, the primary plan of every subscriber. Doing it again does nothing new. `progress`
    /// is told how many of how many subscribers are done.
    ///
    /// # Errors
    /// [`StoreError`] of the database; what was done until then stays.
    pub async fn adopt(
        &self,
        author: &Author,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Adopted, StoreError> {
        let mut adopted = Adopted { subscribers: self.sight_all(author.at).await?, ..Adopted::default() };
        let mut plans = self.adopt_groups(author, &mut adopted).await?;
        plans.sort_by(|a, b| a.0.cmp(&b.0));
        let mut tx = Tx::read(self.db()).await?;
        let total = one(&mut tx, "SELECT COUNT(*) FROM tk_subscriber WHERE username IS NOT NULL").await?;
        drop(tx);
        let mut done = 0;
        let mut after = None;
        loop {
            // Usage is not wanted: no day is that late.
            let page = self.subscriber_page(after, PAGE, Day(i32::MAX)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            done += u64::try_from(page.len()).unwrap_or(0);
            self.adopt_subscribers(&page, &plans, author, &mut adopted).await?;
            progress(done.min(total), total);
        }
        adopted.contacts = self.adopt_contacts().await?;
        let mut tx = Tx::begin(self.db()).await?;
        let new = Some(format!("{} subscribers, {} plans", adopted.subscribers, adopted.plans));
        audit(&mut tx, author, Event { object: "database", id: None, verb: "adopt", old: None, new }).await?;
        tx.commit().await?;
        Ok(adopted)
    }

    /// A plan for every group that has none; gives all plans by group.
    async fn adopt_groups(
        &self,
        author: &Author,
        adopted: &mut Adopted,
    ) -> Result<Vec<(SmolStr, i64)>, StoreError> {
        let survey = self.survey(true).await?;
        let mut tx = Tx::begin(self.db()).await?;
        for group in &survey.new_plans {
            tx.run(
                "tk_plan",
                "INSERT INTO tk_plan (name, groupname, created_at, updated_at) VALUES (?, ?, ?, ?)",
                &[Bind::Text(group), Bind::Text(group), Bind::Int(author.at.0), Bind::Int(author.at.0)],
            )
            .await?;
            adopted.plans += 1;
        }
        let sql = "SELECT groupname, id FROM tk_plan";
        let plans = tx.fetch("tk_plan", sql, &[], |row| Ok((row.word(0)?, row.number(1)?))).await?;
        tx.commit().await?;
        Ok(plans)
    }

    async fn adopt_subscribers(
        &self,
        page: &[SubscriberRows],
        plans: &[(SmolStr, i64)],
        author: &Author,
        adopted: &mut Adopted,
    ) -> Result<(), StoreError> {
        let planless = planless(self, page).await?;
        let mut tx = Tx::begin(self.db()).await?;
        for rows in page {
            let id = Bind::Int(rows.id.0);
            let kind = kind(rows);
            if rows.kind != kind {
                let sql = "UPDATE tk_subscriber SET kind = ? WHERE id = ?";
                tx.run("tk_subscriber", sql, &[Bind::Text(kind), id]).await?;
            }
            let plan = rows.groups.iter().find_map(|group| {
                let place = plans.binary_search_by(|(name, _)| name.cmp(group)).ok()?;
                plans.get(place).map(|(_, plan)| *plan)
            });
            if let Some(plan) = plan.filter(|_| planless.contains(&rows.id)) {
                let sql = "UPDATE tk_subscriber SET plan_id = ? WHERE id = ?";
                tx.run("tk_subscriber", sql, &[Bind::Int(plan), id]).await?;
                adopted.with_plan += 1;
            }
            if rows.status == SubscriberStatus::Active && is_disabled(rows) {
                let sql = "UPDATE tk_subscriber SET status = 'suspended', status_reason = ?, updated_at = ? WHERE id = ?";
                let reason = Bind::Text("was disabled when the database was adopted");
                tx.run("tk_subscriber", sql, &[reason, Bind::Int(author.at.0), id]).await?;
                adopted.disabled += 1;
            }
        }
        tx.commit().await
    }
}

/// Those of the page whose primary plan is not known.
async fn planless(store: &Store, page: &[SubscriberRows]) -> Result<Vec<SubscriberId>, StoreError> {
    let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
    let mut tx = Tx::read(store.db()).await?;
    tx.fetch(
        "tk_subscriber",
        "SELECT id FROM tk_subscriber WHERE id >= ? AND id <= ? AND plan_id IS NULL",
        &[Bind::Int(first.id.0), Bind::Int(last.id.0)],
        |row| row.number(0).map(SubscriberId),
    )
    .await
}

fn has(rows: &[AttributeRow], attribute: &str, value: &str) -> bool {
    rows.iter()
        .any(|row| row.attribute.eq_ignore_ascii_case(attribute) && row.value.eq_ignore_ascii_case(value))
}

/// What kind of login the check rows make of it (domain model §9).
fn kind(rows: &SubscriberRows) -> &'static str {
    let password = rows.check.iter().any(|row| row.attribute.to_ascii_lowercase().contains("password"));
    if password || !has(&rows.check, "Auth-Type", "Accept") {
        "user"
    } else if mac_digits(rows.login.as_bytes()).is_some() {
        "mac"
    } else {
        "pin"
    }
}

fn is_disabled(rows: &SubscriberRows) -> bool {
    rows.groups.iter().any(|group| group == DISABLED_GROUP) || has(&rows.check, "Auth-Type", "Reject")
}

async fn one(tx: &mut Tx<'_>, sql: &str) -> Result<u64, StoreError> {
    Ok(tx.fetch("radcheck", sql, &[], |row| row.count(0)).await?.first().copied().unwrap_or(0))
}

async fn names(tx: &mut Tx<'_>, sql: &str) -> Result<Vec<SmolStr>, StoreError> {
    let mut names = tx.fetch("radusergroup", sql, &[], |row| row.word(0)).await?;
    names.sort();
    Ok(names)
}

/// Is daloRADIUS's table of contacts there, and how many rows has it?
async fn contacts(tx: &mut Tx<'_>) -> Result<Option<u64>, StoreError> {
    let there = tx.pick(
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'userinfo'",
        "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('userinfo')",
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'userinfo'",
    );
    if one(tx, there).await? == 0 {
        Ok(None)
    } else {
        one(tx, "SELECT COUNT(*) FROM userinfo").await.map(Some)
    }
}
