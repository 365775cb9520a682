//! Moves to other plans, grace periods, renewals with their report, what a subscriber is bound to.

use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use super::error::ServiceError;
use super::management::Management;
use super::portraits::{Binding, Portrait};
use crate::domain::{Amount, Renewal, RenewalKind, SubscriberId, Who};
use crate::sessions::day_of;
use crate::store::{PlanMove, PutOff};
use crate::time::UnixTime;

/// From when a move counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveWhen {
    /// From now on.
    Now,
    /// From the beginning of the present billing cycle on: what was used in it is used of the new plan.
    ThisCycle,
    /// It is carried out when the next billing cycle begins.
    NextCycle,
    /// It is carried out then.
    At(UnixTime),
}

/// What a move does besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveOptions {
    /// What was used counts no more.
    pub clear_usage: bool,
    /// What was overridden for the subscriber goes.
    pub clear_overrides: bool,
    /// Its billing months are counted from the move on.
    pub move_billing: bool,
}

/// From when a renewed term counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewFrom {
    /// From now.
    Now,
    /// From the end of the term before, or from now if that has passed.
    Later,
    /// From the end of the term before, also if that has passed.
    Previous,
}

/// What of a binding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The address.
    Ip,
    /// The device.
    Mac,
    /// Both.
    Both,
}

/// So many days later, or a month, at the same time of day.
fn term_after(from: UnixTime, days: Option<u32>, zone: &TimeZone) -> UnixTime {
    let span = days.map_or_else(|| 1.month(), |days| i64::from(days).days());
    let later = || {
        let civil = zone.to_datetime(jiff::Timestamp::from_second(from.0).ok()?).checked_add(span).ok()?;
        Some(UnixTime(zone.to_timestamp(civil).ok()?.as_second()))
    };
    later().unwrap_or(from)
}

/// Days that a grace period has at most: a mistyped figure.
const GRACE_MAX: i64 = 3_660;
/// Rows of a report.
const RENEWALS_MAX: u32 = 10_000;

impl Management<'_> {
    /// Moves a subscriber to the plan with the number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for either; [`ServiceError::Invalid`] for a date that has passed.
    pub async fn move_plan(
        &self,
        id: i64,
        plan: i64,
        when: MoveWhen,
        options: MoveOptions,
    ) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        let no_plan = || ServiceError::not_found("plan", &plan.to_string());
        if !self.plan_numbers(&found).await?.contains(&plan) {
            return Err(no_plan());
        }
        let MoveOptions { clear_usage, clear_overrides, move_billing } = options;
        let cycle = &found.cycle;
        let mut change =
            PlanMove { plan, clear_usage, clear_overrides, move_billing, from: None, until: Some(cycle.end) };
        let at = match when {
            MoveWhen::Now => None,
            MoveWhen::ThisCycle => {
                change.from = cycle.first_day.map(|day| (day, cycle.start));
                None
            }
            MoveWhen::NextCycle => Some(cycle.end),
            MoveWhen::At(at) if at <= author.at => {
                return Err(ServiceError::invalid("customDateTo", "lies in the past"));
            }
            MoveWhen::At(at) => Some(at),
        };
        match at {
            Some(at) => {
                change.until = None;
                store.schedule_move(found.sketch.id, at, &change, &author).await.map(drop)?;
            }
            None => {
                let today = day_of(author.at, &found.zone);
                if !store.move_plan(found.sketch.id, &change, today, &author).await? {
                    return Err(no_plan());
                }
            }
        }
        Ok(())
    }

    /// The plans that a subscriber may be moved to: those of its account that can be had, and those that
    /// belong to the account of all.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub(super) async fn plan_numbers(&self, of: &Portrait) -> Result<Vec<i64>, ServiceError> {
        let heads = self.gate.inner().store.plan_heads().await?;
        let own = of.sketch.account.0;
        let open =
            heads.into_iter().filter(|head| head.enabled && (head.account == own || head.account == 0));
        Ok(open.map(|head| head.id).collect())
    }

    /// Puts off a subscriber's end by days, or to a date; gives the new end.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for days that cannot be, or a date that has
    /// passed.
    pub async fn add_grace(
        &self,
        id: i64,
        days: i64,
        until: Option<UnixTime>,
    ) -> Result<UnixTime, ServiceError> {
        let (store, author) = self.write()?;
        if !(0..=GRACE_MAX).contains(&days) {
            return Err(ServiceError::invalid("days", "must be 0 to 3660"));
        }
        let found = self.living(id).await?;
        let until = match until {
            Some(until) if until <= author.at => {
                return Err(ServiceError::invalid("expiryDate", "lies in the past"));
            }
            Some(until) => until,
            None => {
                let from = found.expires.unwrap_or(author.at).max(author.at);
                from.plus(u64::try_from(days).unwrap_or(0) * 86_400)
            }
        };
        let written = self.expiration_row(until).value;
        let is_earlier = |date: &str| self.is_before(date, until);
        let Portrait { sketch, .. } = &found;
        let put = PutOff { until, written: &written, is_earlier: &is_earlier };
        store.add_grace(sketch.id, &sketch.login, days, &put, &author).await?;
        Ok(until)
    }

    /// Takes away one of the addresses and devices that a subscriber is bound to, by its place in
    /// [`Portrait::bindings`].
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it, or the place.
    pub async fn release_binding(&self, id: i64, place: usize, what: Release) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        let Some(Binding { device, .. }) = found.bindings.get(place) else {
            return Err(ServiceError::not_found("binding", &place.to_string()));
        };
        let (ip, mac) = (what != Release::Mac, what != Release::Ip);
        store.release_binding(found.sketch.id, &found.sketch.login, *device, ip, mac, &author).await?;
        Ok(())
    }

    /// Begins a subscriber's plan anew, and says so in the report. Where the plan has a price, that is due.
    /// Where a date ends the subscription, the next one is the days of the plan, or a month, after that date;
    /// with `from_now`, or where that has passed and not `previous`, after now.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it has no plan.
    pub async fn renew_plan(&self, id: i64, from: RenewFrom, notes: &str) -> Result<Portrait, ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        self.renew(&found.sketch.login, notes).await?;
        // Its fields may have brought another plan, or taken the date away.
        let renewed = self.living(id).await?;
        let end = match renewed.sketch.end {
            None => None,
            Some(end) => {
                let base = match from {
                    RenewFrom::Previous => end,
                    RenewFrom::Later => end.max(author.at),
                    RenewFrom::Now => author.at,
                };
                let days = match &renewed.plan {
                    Some((_, plan)) => store.plan(plan).await?.and_then(|plan| plan.terms.validity_days),
                    None => None,
                };
                Some(term_after(base, days, &renewed.zone))
            }
        };
        let until = end.or(renewed.expires);
        let end = end.map(|end| (end, self.expiration_row(end)));
        store.note_renewal(renewed.sketch.id, (until, end), notes, RenewalKind::Renewal, &author).await?;
        Ok(renewed)
    }

    /// Renewals, moves and grace periods, the latest first; `from` and `to` are the first second that is
    /// meant and the first after it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the subscriber.
    pub async fn renewals(
        &self,
        id: Option<i64>,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
    ) -> Result<Vec<Renewal>, ServiceError> {
        let store = self.read()?;
        if let Some(id) = id {
            self.portrait(id).await?;
        }
        Ok(store.renewals(id.map(SubscriberId), from, to, RENEWALS_MAX, self.scope()).await?)
    }

    /// Removes a subscriber by its number; `void` also clears what it owes and what waits for a collector.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn remove_subscriber(&self, id: i64, void: bool) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        let who = Who::Number(found.sketch.id);
        let gone = store.remove_subscriber(who, void, self.scope(), &author).await?;
        gone.map(drop).ok_or_else(|| ServiceError::not_found("subscriber", &id.to_string()))
    }

    /// What a subscriber owes; `None` where nothing was ever due.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn due(&self, id: i64) -> Result<Option<Amount>, ServiceError> {
        let found = self.living(id).await?;
        Ok(self.read()?.due(found.sketch.id).await?)
    }
}
