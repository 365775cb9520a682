//! Subscribers as the Jaze API lists them: found by number, name, telephone, e-mail or date, with what is
//! known of each besides its rows of FreeRADIUS's tables.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{SESSIONS_OF, within};
use crate::domain::contact::{Contact, ContactField};
use crate::domain::operator::Scope;
use crate::domain::{SubscriberId, SubscriberStatus};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Which subscribers are meant. Those that are deleted are found by number and by telephone alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Everybody who is not deleted.
    All,
    /// The one with this number.
    Number(i64),
    /// Those with these numbers.
    Numbers(&'a [i64]),
    /// The one with this login.
    Login(&'a str),
    /// Whose telephone or mobile it is.
    Phone(&'a str),
    /// Whose e-mail address it is.
    Email(&'a str),
    /// Who was made in this time: the first second, and the first one after it.
    Created(UnixTime, UnixTime),
    /// Who was changed in this time.
    Modified(UnixTime, UnixTime),
}

/// What `tk_subscriber` and the tables beside it say of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// The one number.
    pub id: SubscriberId,
    /// User-Name; of who is deleted, the last one.
    pub login: SmolStr,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// Number and name of its account.
    pub account: (i64, SmolStr),
    /// Zone of its account.
    pub zone: SmolStr,
    /// Number of the primary plan.
    pub plan: Option<i64>,
    /// When it was made.
    pub created: UnixTime,
    /// When it was changed.
    pub modified: UnixTime,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// The end that was said, whatever else ends it.
    pub end: Option<UnixTime>,
    /// For people.
    pub comments: SmolStr,
    /// `home`, or any other word.
    pub label: SmolStr,
    /// Number of its last renewal.
    pub billing: Option<i64>,
    /// Number of the template that its rates are overridden with.
    pub template: Option<i64>,
    /// Who it is.
    pub contact: Contact,
}

impl Store {
    /// Some of the subscribers that are meant, by number, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn sketches(
        &self,
        whose: Whose<'_>,
        after: i64,
        limit: u32,
        scope: &Scope,
    ) -> Result<Vec<Sketch>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let living = "s.username IS NOT NULL";
        let numbers: String;
        let (condition, mut binds) = match whose {
            Whose::All => (living, vec![]),
            Whose::Numbers([]) => return Ok(Vec::new()),
            Whose::Numbers(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                numbers = format!("s.id IN ({})", ids.join(", "));
                (numbers.as_str(), vec![])
            }
            Whose::Number(id) => ("s.id = ?", vec![Bind::Int(id)]),
            Whose::Login(login) => ("s.username = ?", vec![Bind::Text(login)]),
            Whose::Phone(phone) => {
                ("(k.phone = ? OR k.mobile = ?)", vec![Bind::Text(phone), Bind::Text(phone)])
            }
            Whose::Email(email) => (
                "s.username IS NOT NULL AND (LOWER(k.email) = LOWER(?) OR LOWER(k.alt_email) = LOWER(?))",
                vec![Bind::Text(email), Bind::Text(email)],
            ),
            Whose::Created(from, to) => (
                "s.username IS NOT NULL AND s.created_at >= ? AND s.created_at < ?",
                vec![Bind::Int(from.0), Bind::Int(to.0)],
            ),
            Whose::Modified(from, to) => (
                "s.username IS NOT NULL AND s.updated_at >= ? AND s.updated_at < ?",
                vec![Bind::Int(from.0), Bind::Int(to.0)],
            ),
        };
        binds.extend([Bind::Int(after), Bind::Int(limit.into())]);
        let contact: Vec<String> =
            ContactField::ALL.iter().map(|field| format!("k.{}", field.column())).collect();
        // The name of who is deleted is in the record of that.
        let sql = format!(
            "SELECT s.id, s.username, s.status, s.account_id, COALESCE(a.name, ''), COALESCE(a.time_zone, ''), s.plan_id,
                 s.created_at, s.updated_at, s.activation_at, s.comments, s.type_label,
                 (SELECT MAX(r.id) FROM tk_renewal r WHERE r.subscriber_id = s.id),
                 CASE WHEN s.username IS NULL THEN (SELECT MAX(u.old_value) FROM tk_audit u
                     WHERE u.object = 'subscriber' AND u.object_id = s.id AND u.attribute = 'delete') END,
                 (SELECT MAX(f.template_below) FROM tk_fup f WHERE f.subscriber_id = s.id AND f.kind = 'bandwidth'), s.expires_at, {}
             FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id
             LEFT JOIN tk_contact k ON k.subscriber_id = s.id
             WHERE {condition} AND s.id > ?{} ORDER BY s.id LIMIT ?",
            contact.join(", "),
            within(scope, "s.account_id")
        );
        let found = tx.fetch("tk_subscriber", &sql, &binds, sketch).await?;
        let meant = |sketch: &Sketch| match whose {
            // Whatever the collation of the column says.
            Whose::Login(login) => sketch.login == login && sketch.status != SubscriberStatus::Deleted,
            _ => true,
        };
        Ok(found.into_iter().filter(meant).collect())
    }

    /// When the last session of a login ended, and how many are open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn last_log_off(
        &self,
        subscriber: SubscriberId,
        login: &str,
    ) -> Result<(Option<UnixTime>, u64), StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let seconds = self.db().seconds_of("r.acctstoptime");
        let sql = format!(
            "SELECT CAST(MAX({seconds}) AS {}), COUNT(CASE WHEN r.acctstoptime IS NULL THEN 1 END)
             FROM radacct r WHERE {SESSIONS_OF}",
            tx.pick("INTEGER", "bigint", "SIGNED")
        );
        let binds = [Bind::Text(login), Bind::Int(subscriber.0)];
        let found = tx.fetch("radacct", &sql, &binds, |row| Ok((row.time(0)?, row.count(1)?)));
        Ok(found.await?.into_iter().next().unwrap_or_default())
    }

    /// How many subscribers of each plan are online; `None` is those without one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn online_by_plan(&self, scope: &Scope) -> Result<Vec<(Option<i64>, u64)>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!(
            "SELECT s.plan_id, COUNT(DISTINCT s.id) FROM radacct r JOIN tk_session t ON t.unique_id = r.acctuniqueid
             JOIN tk_subscriber s ON s.id = t.subscriber_id WHERE r.acctstoptime IS NULL{} GROUP BY s.plan_id",
            within(scope, "s.account_id")
        );
        tx.fetch("radacct", &sql, &[], |row| Ok((row.int(0)?, row.count(1)?))).await
    }

    /// How many subscribers were deleted or ended since then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn churned(&self, since: UnixTime, scope: &Scope) -> Result<u64, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!(
            "SELECT COUNT(*) FROM tk_subscriber s
             WHERE s.status IN ('deleted', 'terminated') AND s.updated_at >= ?{}",
            within(scope, "s.account_id")
        );
        let found = tx.fetch("tk_subscriber", &sql, &[Bind::Int(since.0)], |row| row.count(0)).await?;
        Ok(found.into_iter().next().unwrap_or(0))
    }

    /// What of each plan is not among its figures: number, account, profile, group.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn plan_heads(&self) -> Result<Vec<PlanHead>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT p.id, p.name, p.account_id, p.profile_id, p.groupname, p.enabled FROM tk_plan p ORDER BY p.id";
        tx.fetch("tk_plan", sql, &[], |row| {
            let id = row.number(0)?;
            Ok(PlanHead {
                id,
                name: row.word(1)?,
                account: row.number(2)?,
                profile: row.int(3)?.unwrap_or(id),
                group: row.word(4)?,
                enabled: row.int(5)? != Some(0),
            })
        })
        .await
    }
}

/// What of a plan is not among its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanHead {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: SmolStr,
    /// Number of its account.
    pub account: i64,
    /// Number of its policy; its own where several do not share one.
    pub profile: i64,
    /// Its group.
    pub group: SmolStr,
    /// It can be had.
    pub enabled: bool,
}

/// Columns of [`Sketch`] before those of the contact.
const SKETCH_COLUMNS: usize = 16;

fn sketch(row: &dyn Columns) -> Result<Sketch, sqlx::Error> {
    let mut contact = Contact::default();
    for (place, field) in ContactField::ALL.into_iter().enumerate() {
        contact.set(field, row.word(SKETCH_COLUMNS + place)?);
    }
    let login = row.text(1)?;
    Ok(Sketch {
        id: SubscriberId(row.number(0)?),
        // A status of a later release lets nobody in.
        status: SubscriberStatus::parse(&row.word(2)?).unwrap_or(SubscriberStatus::Blocked),
        account: (row.number(3)?, row.word(4)?),
        zone: row.word(5)?,
        plan: row.int(6)?,
        created: row.time(7)?.unwrap_or_default(),
        modified: row.time(8)?.unwrap_or_default(),
        activation: row.time(9)?,
        comments: row.word(10)?,
        label: row.word(11)?,
        billing: row.int(12)?,
        template: row.int(14)?,
        end: row.time(15)?,
        login: match login {
            Some(login) => login,
            None => row.word(13)?,
        },
        contact,
    })
}
