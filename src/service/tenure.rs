//! How long subscriptions last and from where they may be used, as operators say it.

use super::error::ServiceError;
use super::management::Management;
use crate::domain::text::mac_digits;
use crate::domain::{DeviceRow, ExpiryKind, ExpiryRow, ExpiryUnit};
use crate::radius::value;
use crate::store::{NewDevice, NewExpiry, RuleOwner};
use crate::time::UnixTime;

/// So many units are more than any contract lasts: a mistyped figure.
const UNITS_MAX: i64 = 1_000_000;

impl Management<'_> {
    /// A date as people write it, in the server's zone where it names none.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`].
    pub fn date(&self, field: &'static str, text: &str) -> Result<UnixTime, ServiceError> {
        value::parse_date(text, &self.engine().zone).ok_or_else(|| {
            ServiceError::invalid(
                field,
                format!("{text:?} is no date such as 2030-12-31 or 2030-12-31T12:00"),
            )
        })
    }

    /// Adds an expiry rule; gives its number. `value` is a date for a fixed end, a day of the month, or how
    /// many of `unit`.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the owner, [`ServiceError::Invalid`] for what means nothing.
    pub async fn add_expiry(
        &self,
        owner: RuleOwner<'_>,
        kind: &str,
        value: &str,
        unit: Option<&str>,
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        let kind = ExpiryKind::parse(kind).ok_or_else(|| {
            let known: Vec<_> = ExpiryKind::ALL.iter().map(|(_, word)| *word).collect();
            ServiceError::invalid("kind", format!("expects one of {}", known.join(", ")))
        })?;
        let unit = match (unit, kind.has_unit()) {
            (None, false) => None,
            (Some(word), true) => Some(ExpiryUnit::parse(word).ok_or_else(|| unit_wanted(word))?),
            (Some(word), false) => {
                return Err(ServiceError::invalid("unit", format!("{} has none, not {word}", kind.as_str())));
            }
            (None, true) => return Err(unit_wanted("")),
        };
        let number = || value.parse::<i64>().ok();
        let value = match kind {
            ExpiryKind::Fixed => self.date("value", value)?.0,
            ExpiryKind::DayOfMonth => number()
                .filter(|day| (1..=31).contains(day))
                .ok_or_else(|| ServiceError::invalid("value", "expects a day of the month, 1 to 31"))?,
            _ => number()
                .filter(|count| (0..=UNITS_MAX).contains(count))
                .ok_or_else(|| ServiceError::invalid("value", "expects a number of units"))?,
        };
        let added = store.add_expiry(owner, NewExpiry { kind, value, unit }, &author).await?;
        added.ok_or_else(|| nobody(owner))
    }

    /// The expiry rules of a subscriber or a plan.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn expiry_rules(&self, owner: RuleOwner<'_>) -> Result<Vec<ExpiryRow>, ServiceError> {
        self.read()?.expiry_rules(owner, &self.author()).await?.ok_or_else(|| nobody(owner))
    }

    /// Removes an expiry rule by its number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_expiry(&self, owner: RuleOwner<'_>, id: i64) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        if store.delete_expiry(owner, id, &author).await? {
            return Ok(());
        }
        Err(ServiceError::not_found("expiry rule", &id.to_string()))
    }

    /// Binds a subscriber to a device; gives the number of the binding.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for what is no device.
    pub async fn add_device(&self, login: &str, new: NewDevice<'_>) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        if new.mac.is_none() && new.ip.is_none() {
            return Err(ServiceError::invalid("device", "a MAC address or an address is needed"));
        }
        if let Some(mac) = new.mac.filter(|mac| mac_digits(mac.as_bytes()).is_none()) {
            return Err(ServiceError::invalid("mac", format!("{mac} is not a MAC address")));
        }
        let added = store.add_device(login, new, &author).await?;
        added.ok_or_else(|| ServiceError::not_found("subscriber", login))
    }

    /// The devices of a subscriber.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn devices(&self, login: &str) -> Result<Vec<DeviceRow>, ServiceError> {
        let found = self.read()?.devices(login, &self.author()).await?;
        found.ok_or_else(|| ServiceError::not_found("subscriber", login))
    }

    /// Removes a device by its number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_device(&self, login: &str, id: i64) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        if store.delete_device(login, id, &author).await? {
            return Ok(());
        }
        Err(ServiceError::not_found("device", &id.to_string()))
    }
}

fn nobody(owner: RuleOwner<'_>) -> ServiceError {
    match owner {
        RuleOwner::Subscriber(login) => ServiceError::not_found("subscriber", login),
        RuleOwner::Plan(name) => ServiceError::not_found("plan", name),
    }
}

fn unit_wanted(word: &str) -> ServiceError {
    let known: Vec<_> = ExpiryUnit::ALL.iter().map(|(_, word)| *word).collect();
    let said = if word.is_empty() { String::new() } else { format!("{word:?}: ") };
    ServiceError::invalid("unit", format!("{said}expects one of {}", known.join(", ")))
}
