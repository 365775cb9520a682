//! How long subscriptions last and from where they may be used: `tk_expiry_rule`, `tk_device`.

use super::tx::{Bind, Tx};
use super::{Author, Event, audit, plans, subscribers};
use crate::domain::validity::STATIC_DEVICE;
use crate::domain::{DeviceRow, ExpiryKind, ExpiryRow, ExpiryUnit};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Whose an expiry rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOwner<'a> {
    /// A subscriber's own, by login.
    Subscriber(&'a str),
    /// That of all subscribers of a plan, by name.
    Plan(&'a str),
}

/// An expiry rule to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewExpiry {
    /// What it counts from.
    pub kind: ExpiryKind,
    /// How many units; seconds since 1970 of a fixed end; a day of the month.
    pub value: i64,
    /// Where the kind has one.
    pub unit: Option<ExpiryUnit>,
}

/// A device that a subscriber is to be bound to; one of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewDevice<'a> {
    /// MAC address.
    pub mac: Option<&'a str>,
    /// Address.
    pub ip: Option<std::net::IpAddr>,
    /// The binding counts until then.
    pub until: Option<UnixTime>,
}

impl RuleOwner<'_> {
    /// `subscriber` or `plan`, and the column of its number.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Subscriber(_) => ("subscriber", "subscriber_id"),
            Self::Plan(_) => ("plan", "plan_id"),
        }
    }

    async fn number(self, tx: &mut Tx<'_>, author: &Author) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Subscriber(login) => subscribers::seen(tx, login, author).await,
            Self::Plan(name) => plans::find(tx, name).await,
        }
    }
}

impl Store {
    /// Makes a rule; gives its number. `Ok(None)`: nobody has that login, no plan that name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_expiry(
        &self,
        owner: RuleOwner<'_>,
        new: NewExpiry,
        author: &Author,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = owner.number(&mut tx, author).await? else { return Ok(None) };
        let (object, column) = owner.words();
        let unit = new.unit.map_or("", ExpiryUnit::as_str);
        let sql = format!("INSERT INTO tk_expiry_rule ({column}, kind, value, unit) VALUES (?, ?, ?, ?)");
        let kind = new.kind.as_str();
        let binds = [Bind::Int(number), Bind::Text(kind), Bind::Int(new.value), Bind::Text(unit)];
        let id = tx.insert("tk_expiry_rule", &sql, &binds).await?;
        let new = Some(format!("{kind} {} {unit}", new.value).trim_end().to_owned());
        audit(&mut tx, author, Event { object, id: Some(number), verb: "expiry add", old: None, new })
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// The rules of one owner; those of its plan are not among a subscriber's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn expiry_rules(
        &self,
        owner: RuleOwner<'_>,
        author: &Author,
    ) -> Result<Option<Vec<ExpiryRow>>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = owner.number(&mut tx, author).await? else { return Ok(None) };
        let found = rules(&mut tx, owner, number).await?;
        tx.commit().await?;
        Ok(Some(found))
    }

    /// Removes a rule; `false` where the owner has none of that number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_expiry(
        &self,
        owner: RuleOwner<'_>,
        id: i64,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = owner.number(&mut tx, author).await? else { return Ok(false) };
        let Some(rule) = rules(&mut tx, owner, number).await?.into_iter().find(|rule| rule.id == id) else {
            return Ok(false);
        };
        tx.run("tk_expiry_rule", "DELETE FROM tk_expiry_rule WHERE id = ?", &[Bind::Int(id)]).await?;
        let old = Some(rule.to_string());
        let event =
            Event { object: owner.words().0, id: Some(number), verb: "expiry delete", old, new: None };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Binds a subscriber to a device; gives the number of the binding. `Ok(None)`: nobody has that login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_device(
        &self,
        login: &str,
        new: NewDevice<'_>,
        author: &Author,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = subscribers::seen(&mut tx, login, author).await? else { return Ok(None) };
        let (mac, ip) = (new.mac.unwrap_or_default(), new.ip.map_or_else(String::new, |ip| ip.to_string()));
        let sql =
            "INSERT INTO tk_device (subscriber_id, mac, ip, source, valid_until) VALUES (?, ?, ?, ?, ?)";
        let binds = [
            Bind::Int(number),
            Bind::Text(mac),
            Bind::Text(&ip),
            Bind::Text(STATIC_DEVICE),
            Bind::MaybeInt(new.until.map(|until| until.0)),
        ];
        let id = tx.insert("tk_device", sql, &binds).await?;
        let new = Some(format!("{login} {mac} {ip}").trim_end().to_owned());
        let event = Event { object: "subscriber", id: Some(number), verb: "device add", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// The devices of a subscriber, of every source.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn devices(&self, login: &str, author: &Author) -> Result<Option<Vec<DeviceRow>>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = subscribers::seen(&mut tx, login, author).await? else { return Ok(None) };
        let found = devices(&mut tx, number).await?;
        tx.commit().await?;
        Ok(Some(found))
    }

    /// Removes a device; `false` where the subscriber has none of that number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_device(&self, login: &str, id: i64, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(number) = subscribers::seen(&mut tx, login, author).await? else { return Ok(false) };
        let Some(device) = devices(&mut tx, number).await?.into_iter().find(|device| device.id == id) else {
            return Ok(false);
        };
        tx.run("tk_device", "DELETE FROM tk_device WHERE id = ?", &[Bind::Int(id)]).await?;
        let old = Some(format!("{login} {} {}", device.mac, device.ip).trim_end().to_owned());
        let event = Event { object: "subscriber", id: Some(number), verb: "device delete", old, new: None };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The rules and devices of a subscriber or plan that goes.
pub(super) async fn forget(tx: &mut Tx<'_>, owner: RuleOwner<'_>, number: i64) -> Result<(), StoreError> {
    let (_, column) = owner.words();
    let sql = format!("DELETE FROM tk_expiry_rule WHERE {column} = ?");
    tx.run("tk_expiry_rule", &sql, &[Bind::Int(number)]).await?;
    if let RuleOwner::Subscriber(_) = owner {
        tx.run("tk_device", "DELETE FROM tk_device WHERE subscriber_id = ?", &[Bind::Int(number)]).await?;
    }
    Ok(())
}

async fn rules(tx: &mut Tx<'_>, owner: RuleOwner<'_>, number: i64) -> Result<Vec<ExpiryRow>, StoreError> {
    let plan = match owner {
        RuleOwner::Subscriber(_) => None,
        RuleOwner::Plan(name) => Some(name),
    };
    let (_, column) = owner.words();
    let sql = format!("SELECT id, kind, value, unit FROM tk_expiry_rule WHERE {column} = ? ORDER BY id");
    tx.fetch("tk_expiry_rule", &sql, &[Bind::Int(number)], |row| {
        Ok(ExpiryRow {
            id: row.number(0)?,
            plan: plan.map(Into::into),
            kind: row.word(1)?,
            value: row.number(2)?,
            unit: row.word(3)?,
        })
    })
    .await
}

async fn devices(tx: &mut Tx<'_>, number: i64) -> Result<Vec<DeviceRow>, StoreError> {
    let sql = "SELECT id, mac, ip, source, valid_until FROM tk_device WHERE subscriber_id = ? ORDER BY id";
    tx.fetch("tk_device", sql, &[Bind::Int(number)], |row| {
        Ok(DeviceRow {
            id: row.number(0)?,
            mac: row.word(1)?,
            ip: row.word(2)?,
            source: row.word(3)?,
            valid_until: row.time(4)?,
        })
    })
    .await
}
