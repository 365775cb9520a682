//! Plans: `tk_plan`, its group in `radgroupcheck` and `radgroupreply`, its charge rule.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, NewAttribute, RADGROUPCHECK, RADGROUPREPLY, audit, tenure};
use crate::domain::Amount;
use crate::domain::plan::{Concurrency, Plan, PlanId, PlanTerms};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};

/// What a plan shall be; attributes replace those of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDraft {
    /// All of its figures.
    pub terms: PlanTerms,
    /// Rows of radgroupcheck.
    pub check: Vec<NewAttribute>,
    /// Rows of radgroupreply.
    pub reply: Vec<NewAttribute>,
    /// Names whose rows are removed from both.
    pub remove: Vec<String>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

const FIGURES: &str = "description, price, currency, credit_on_renew, credit_on_recharge, time_seconds,
    quota_octets, rate_down, rate_up, validity_days, reset_day, concurrency";

impl Store {
    /// Makes a plan; gives its number. `Ok(None)`: the name is taken by a plan or a group.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_plan(
        &self,
        name: &str,
        draft: &PlanDraft,
        author: &Author,
    ) -> Result<Option<PlanId>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        if find(&mut tx, name).await?.is_some() || group_exists(&mut tx, name).await? {
            return Ok(None);
        }
        let decimal = tx.decimal();
        let sql = format!(
            "INSERT INTO tk_plan (name, groupname, created_at, updated_at, {FIGURES})
             VALUES (?, ?, ?, ?, ?, {decimal}, ?, {decimal}, {decimal}, ?, ?, ?, ?, ?, ?, ?)"
        );
        let figures = figures(&draft.terms);
        let mut binds =
            vec![Bind::Text(name), Bind::Text(name), Bind::Int(author.at.0), Bind::Int(author.at.0)];
        binds.extend(figures);
        let id = tx.insert("tk_plan", &sql, &binds).await?;
        write_group(&mut tx, name, draft).await?;
        write_charge(&mut tx, id, &draft.terms).await?;
        let new = Some(format!("{name} {}", draft.summary));
        audit(&mut tx, author, Event { object: "plan", id: Some(id), verb: "add", old: None, new }).await?;
        tx.commit().await?;
        Ok(Some(PlanId(id)))
    }

    /// Gives a plan other figures and attributes. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn set_plan(&self, name: &str, draft: &PlanDraft, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, name).await? else { return Ok(false) };
        let decimal = tx.decimal();
        let sql = format!(
            "UPDATE tk_plan SET description = ?, price = {decimal}, currency = ?, credit_on_renew = {decimal},
                 credit_on_recharge = {decimal}, time_seconds = ?, quota_octets = ?, rate_down = ?, rate_up = ?,
                 validity_days = ?, reset_day = ?, concurrency = ?, updated_at = ? WHERE id = ?"
        );
        let mut binds: Vec<Bind<'_>> = figures(&draft.terms).to_vec();
        binds.extend([Bind::Int(author.at.0), Bind::Int(id)]);
        tx.run("tk_plan", &sql, &binds).await?;
        write_group(&mut tx, name, draft).await?;
        write_charge(&mut tx, id, &draft.terms).await?;
        let new = Some(format!("{name} {}", draft.summary));
        audit(&mut tx, author, Event { object: "plan", id: Some(id), verb: "set", old: None, new }).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All plans by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        read_plans(&mut tx, "ORDER BY p.name", &[]).await
    }

    /// A plan with the rows of its group.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn plan(&self, name: &str) -> Result<Option<Plan>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let Some(mut plan) = read_plans(&mut tx, "WHERE p.name = ?", &[Bind::Text(name)]).await?.pop() else {
            return Ok(None);
        };
        plan.check = RADGROUPCHECK.rows(&mut tx, name).await?;
        plan.reply = RADGROUPREPLY.rows(&mut tx, name).await?;
        Ok(Some(plan))
    }

    /// Removes a plan and its group. `Ok(None)`: there is none; `Ok(Some(n))` with n above 0: that many
    /// subscribers have it, nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_plan(&self, name: &str, author: &Author) -> Result<Option<u64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, name).await? else { return Ok(None) };
        let users = tx
            .fetch(
                "tk_subscriber",
                "SELECT (SELECT COUNT(*) FROM tk_subscriber WHERE plan_id = ? AND status <> 'deleted'),
                     (SELECT COUNT(*) FROM radusergroup WHERE groupname = ?)",
                &[Bind::Int(id), Bind::Text(name)],
                |row| Ok(row.count(0)?.max(row.count(1)?)),
            )
            .await?;
        let users = users.first().copied().unwrap_or(0);
        if users > 0 {
            return Ok(Some(users));
        }
        RADGROUPCHECK.delete_all(&mut tx, name).await?;
        RADGROUPREPLY.delete_all(&mut tx, name).await?;
        tx.run("tk_charge_rule", "DELETE FROM tk_charge_rule WHERE plan_id = ?", &[Bind::Int(id)]).await?;
        tenure::forget(&mut tx, tenure::RuleOwner::Plan(name), id).await?;
        tx.run("tk_quota", "DELETE FROM tk_quota WHERE plan_id = ?", &[Bind::Int(id)]).await?;
        tx.run("tk_plan", "DELETE FROM tk_plan WHERE id = ?", &[Bind::Int(id)]).await?;
        let old = Some(name.to_owned());
        audit(&mut tx, author, Event { object: "plan", id: Some(id), verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(Some(0))
    }
}

/// The number of a plan.
pub(super) async fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    let found = tx
        .fetch("tk_plan", "SELECT id FROM tk_plan WHERE name = ?", &[Bind::Text(name)], |row| row.number(0))
        .await?;
    Ok(found.into_iter().next())
}

async fn group_exists(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(!RADGROUPCHECK.rows(tx, name).await?.is_empty() || !RADGROUPREPLY.rows(tx, name).await?.is_empty())
}

fn figures(terms: &PlanTerms) -> [Bind<'_>; 12] {
    let number = |number: Option<u64>| Bind::MaybeInt(number.and_then(|number| i64::try_from(number).ok()));
    [
        Bind::Text(&terms.description),
        Bind::MaybeAmount(terms.price),
        Bind::Text(&terms.currency),
        Bind::MaybeAmount(terms.credit),
        Bind::MaybeAmount(terms.recharge_credit),
        number(terms.time),
        number(terms.quota),
        number(terms.rate_down),
        number(terms.rate_up),
        Bind::MaybeInt(terms.validity_days.map(i64::from)),
        Bind::MaybeInt(terms.reset_day.map(i64::from)),
        Bind::Text(terms.concurrency.map_or("", Concurrency::as_str)),
    ]
}

async fn write_group(tx: &mut Tx<'_>, name: &str, draft: &PlanDraft) -> Result<(), StoreError> {
    let remove: Vec<&str> = draft.remove.iter().map(String::as_str).collect();
    RADGROUPCHECK.remove(tx, name, &remove).await?;
    RADGROUPREPLY.remove(tx, name, &remove).await?;
    RADGROUPCHECK.replace(tx, name, &draft.check).await?;
    RADGROUPREPLY.replace(tx, name, &draft.reply).await?;
    Ok(())
}

/// The one charge rule that the plan's own figures make. It keeps its number, by which sessions know it.
async fn write_charge(tx: &mut Tx<'_>, plan: i64, terms: &PlanTerms) -> Result<(), StoreError> {
    if terms.charge_per_minute.is_none() && terms.charge_per_kib.is_none() {
        let sql = "DELETE FROM tk_charge_rule WHERE plan_id = ? AND name = ''";
        return tx.run("tk_charge_rule", sql, &[Bind::Int(plan)]).await.map(drop);
    }
    let decimal = tx.decimal();
    let conflict = tx.pick(
        "ON CONFLICT (plan_id, name) DO UPDATE SET per_minute = excluded.per_minute, per_kib = excluded.per_kib",
        "ON CONFLICT (plan_id, name) DO UPDATE SET per_minute = excluded.per_minute, per_kib = excluded.per_kib",
        "ON DUPLICATE KEY UPDATE per_minute = VALUES(per_minute), per_kib = VALUES(per_kib)",
    );
    let sql = format!(
        "INSERT INTO tk_charge_rule (plan_id, name, per_minute, per_kib) VALUES (?, '', {decimal}, {decimal}) {conflict}"
    );
    let per_minute = Bind::Amount(terms.charge_per_minute.unwrap_or_default());
    let per_kib = Bind::Amount(terms.charge_per_kib.unwrap_or_default());
    tx.run("tk_charge_rule", &sql, &[Bind::Int(plan), per_minute, per_kib]).await.map(drop)
}

async fn read_plans(tx: &mut Tx<'_>, which: &str, binds: &[Bind<'_>]) -> Result<Vec<Plan>, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT p.id, p.name, p.description, CAST(p.price AS {text}), p.currency, CAST(p.credit_on_renew AS {text}),
             CAST(p.credit_on_recharge AS {text}), p.time_seconds, p.quota_octets, p.rate_down, p.rate_up,
             p.validity_days, p.reset_day, p.concurrency, CAST(c.per_minute AS {text}), CAST(c.per_kib AS {text}),
             (SELECT COUNT(*) FROM tk_subscriber s WHERE s.plan_id = p.id AND s.status <> 'deleted')
         FROM tk_plan p LEFT JOIN tk_charge_rule c ON c.plan_id = p.id AND c.name = '' {which}"
    );
    tx.fetch("tk_plan", &sql, binds, read_plan).await
}

fn read_plan(row: &dyn Columns) -> Result<Plan, sqlx::Error> {
    let amount =
        |column| Ok::<_, sqlx::Error>(row.text(column)?.and_then(|text: SmolStr| Amount::parse(&text)));
    let number =
        |column| Ok::<_, sqlx::Error>(row.int(column)?.and_then(|number| u64::try_from(number).ok()));
    Ok(Plan {
        id: PlanId(row.number(0)?),
        name: row.word(1)?,
        terms: PlanTerms {
            description: row.word(2)?,
            price: amount(3)?,
            currency: row.word(4)?,
            credit: amount(5)?,
            recharge_credit: amount(6)?,
            time: number(7)?,
            quota: number(8)?,
            rate_down: number(9)?,
            rate_up: number(10)?,
            validity_days: number(11)?.and_then(|days| u32::try_from(days).ok()),
            reset_day: number(12)?.and_then(|day| u8::try_from(day).ok()),
            concurrency: Concurrency::parse(&row.word(13)?),
            charge_per_minute: amount(14)?,
            charge_per_kib: amount(15)?,
        },
        check: Vec::new(),
        reply: Vec::new(),
        subscribers: row.count(16)?,
    })
}
