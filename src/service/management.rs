//! The third face of the service: who may manage, and every command they have.
//!
//! A [`Management`] is rights as a value: it is had from the gate alone, and no command can be given
//! without it. A rule such as "a login is unique" or "a plan's name is its group" lives
//! in the service, once. The commands stand with what they are about: here NASes and plans, in `subscribers`,
//! `keys`, `online` and their neighbours the rest.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::attributes::{self, Sorted};
use super::error::{Denial, ServiceError};
use super::gate::{ManagementGate, switched_on};
use crate::domain::operator::{Dialect, Rights, Scope};
use crate::domain::plan::{Concurrency, Plan, PlanId, PlanTerms};
use crate::domain::{Amount, Contact, ContactField, Kind, Nas, NasReadiness, NasTable, SubscriberStatus};
use crate::engine;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::store::{Adopted, Author, NasChange, NasEntry, NewAttribute, NewNas, PlanDraft, Store, Survey};
use crate::time::{Now, UnixTime};

/// What an operator may do, and does.
pub struct Management<'g> {
    pub(super) gate: Cow<'g, ManagementGate>,
    pub(super) rights: Rights,
    pub(super) scope: Scope,
    pub(super) zone: TimeZone,
    /// Login, or id of the key.
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) remote: String,
}

/// A subscriber to be made.
#[derive(Clone, Debug, Default)]
pub struct SubscriberOrder {
    /// User-Name.
    pub login: String,
    /// How it proves who it is.
    pub proof: Proof,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Name of the account; empty is `Main`.
    pub account: String,
    /// `Name op value`.
    pub attributes: Vec<String>,
    /// What kind of login it is, where the proof does not say.
    pub kind: Option<Kind>,
    /// Names of further groups, after the plan's.
    pub groups: Vec<String>,
    /// Who it is to people.
    pub contact: Contact,
    /// It is refused until it is enabled.
    pub disabled: bool,
    /// It counts as sold.
    pub sold: bool,
    /// The batch it is made in.
    pub batch: Option<i64>,
    /// For people.
    pub comments: String,
    /// What kind of customer it is: `home`, or any other word.
    pub label: String,
    /// Its status, where that is not what `disabled` says.
    pub status: Option<SubscriberStatus>,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// The end.
    pub expires: Option<UnixTime>,
}

/// How a subscriber proves who it is.
#[derive(Clone, Default)]
pub enum Proof {
    /// A password, kept readable: CHAP and MS-CHAP need it so.
    Password(String),
    /// Its MAC address is login enough.
    Mac,
    /// Its login is the secret.
    Pin,
    /// Whatever the attributes say (`Crypt-Password := …`).
    #[default]
    Attributes,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(***)",
            Self::Mac => "Mac",
            Self::Pin => "Pin",
            Self::Attributes => "Attributes",
        })
    }
}

/// What shall be different about a subscriber; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct SubscriberChange {
    /// A new password.
    pub password: Option<Proof>,
    /// Name of the plan; `Some(None)` takes it away.
    pub plan: Option<Option<String>>,
    /// Status, and why.
    pub status: Option<(SubscriberStatus, String)>,
    /// Who gives way; `Some(None)` leaves it to the plan.
    pub concurrency: Option<Option<Concurrency>>,
    /// Reset day; `Some(None)` leaves it to the plan.
    pub reset_day: Option<Option<u8>>,
    /// The end; `Some(None)` is never.
    pub expires: Option<Option<UnixTime>>,
    /// Not to be used before; `Some(None)` is at once.
    pub activation: Option<Option<UnixTime>>,
    /// `Name op value`, in the place of rows of the same name.
    pub attributes: Vec<String>,
    /// Names whose rows go.
    pub remove: Vec<String>,
    /// Another login.
    pub login: Option<String>,
    /// Another kind of login. Who needs no password loses the one it has; who needs one has to get it.
    pub kind: Option<Kind>,
    /// All of its groups in their order; the first becomes its plan.
    pub groups: Option<Vec<String>>,
    /// Refuse it; or let it in again, if an operator's disabling is all that keeps it out.
    pub disabled: Option<bool>,
    /// Fields of its contact; empty clears one.
    pub contact: Vec<(ContactField, String)>,
    /// It counts as sold.
    pub sold: Option<bool>,
    /// For people.
    pub comments: Option<String>,
    /// What kind of customer it is: `home`, or any other word.
    pub label: Option<String>,
}

/// What shall be different about a plan; `None` stays, `Some(None)` is taken away.
#[derive(Clone, Debug, Default)]
pub struct PlanChange {
    /// For people.
    pub description: Option<String>,
    /// See [`PlanTerms`], as all below.
    pub price: Option<Option<Amount>>,
    /// Currency of the price.
    pub currency: Option<String>,
    /// Credit with the plan.
    pub credit: Option<Option<Amount>>,
    /// Credit with a recharge.
    pub recharge_credit: Option<Option<Amount>>,
    /// Charge per minute.
    pub charge_per_minute: Option<Option<Amount>>,
    /// Charge per 1,024 octets.
    pub charge_per_kib: Option<Option<Amount>>,
    /// Seconds online.
    pub time: Option<Option<u64>>,
    /// Octets.
    pub quota: Option<Option<u64>>,
    /// Bit/s to the subscriber.
    pub rate_down: Option<Option<u64>>,
    /// Bit/s from the subscriber.
    pub rate_up: Option<Option<u64>>,
    /// Days from the first use.
    pub validity_days: Option<Option<u32>>,
    /// Day of the month.
    pub reset_day: Option<Option<u8>>,
    /// Who gives way.
    pub concurrency: Option<Option<Concurrency>>,
    /// `Name op value`, in the place of rows of the same name.
    pub attributes: Vec<String>,
    /// Names whose rows go.
    pub remove: Vec<String>,
}

/// Columns of FreeRADIUS's tables hold names of so many characters.
const NAME_CHARACTERS_MAX: usize = 64;
impl Management<'_> {
    pub(super) fn read(&self) -> Result<&Store, ServiceError> {
        if self.rights.read { Ok(&self.gate.inner().store) } else { Err(ServiceError::Denied(Denial::Read)) }
    }

    pub(super) fn write(&self) -> Result<(&Store, Author), ServiceError> {
        if self.rights.write {
            Ok((&self.gate.inner().store, self.author()))
        } else {
            Err(ServiceError::Denied(Denial::Write))
        }
    }

    pub(super) fn author(&self) -> Author {
        Author {
            name: self.name.clone(),
            dialect: self.dialect,
            remote: self.remote.clone(),
            at: self.gate.inner().clock.now().unix,
        }
    }

    pub(super) fn dictionary(&self) -> &Dictionary {
        &self.gate.inner().dictionary
    }

    pub(super) fn shared_dictionary(&self) -> Arc<Dictionary> {
        Arc::clone(&self.gate.inner().dictionary)
    }

    pub(super) fn engine(&self) -> &engine::Settings {
        &self.gate.inner().engine
    }

    /// Where a NAS listens for Disconnect- and CoA-Requests: the port of its entry, else that of its type.
    #[must_use]
    pub fn coa_port(&self, entry: &NasEntry) -> u16 {
        let own = entry.coa_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        let pack = || self.packs().get(self.packs().find(&entry.nas_type).unwrap_or_default());
        own.unwrap_or_else(|| pack().coa_port())
    }

    pub(super) fn packs(&self) -> &Packs {
        &self.gate.inner().packs
    }

    /// The NAS entries of the configuration.
    pub(super) fn configured_nases(&self) -> &[Nas] {
        &self.gate.inner().configured
    }

    /// What the clocks say.
    #[must_use]
    pub fn now(&self) -> Now {
        self.gate.inner().clock.now()
    }

    /// What this operator may do.
    #[must_use]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// Whose things this operator sees. Whatever a caller names is looked up within it.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same for one of those accounts and what is below it, as a key of that account would act.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] where this operator sees no such account; [`Denial::Disabled`].
    pub async fn within(&self, account: &str) -> Result<Management<'_>, ServiceError> {
        let place = self.gate.inner().store.place_of(account).await?;
        let place = place.filter(|place| self.scope.includes(place.account));
        let place = switched_on(place.ok_or_else(|| ServiceError::not_found("account", account))?)?;
        Ok(Management {
            gate: Cow::Borrowed(&*self.gate),
            zone: self.gate.zone(&place),
            scope: place.scope,
            rights: self.rights,
            name: self.name.clone(),
            dialect: self.dialect,
            remote: self.remote.clone(),
        })
    }

    /// The zone in which dates are read and written: the account's, else the server's.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The same, without borrowing the gate.
    #[must_use]
    pub fn into_owned(self) -> Management<'static> {
        Management { gate: Cow::Owned(self.gate.into_owned()), ..self }
    }
}

/// NASes.
impl Management<'_> {
    /// Makes a NAS; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] where its network has one, [`ServiceError::Invalid`] for a secret,
    /// type or name that cannot be.
    pub async fn add_nas(&self, new: &NewNas) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check_secrets([Some(&new.secret), new.secret_next.as_ref(), new.coa_secret.as_ref()])?;
        check_name("name", &new.name)?;
        store.add_nas(new, &author).await?.ok_or_else(|| taken("NAS", &new.network.to_string()))
    }

    /// All NASes of the table.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn nas_entries(&self) -> Result<Vec<NasEntry>, ServiceError> {
        Ok(self.read()?.nas_entries().await?)
    }

    /// The NAS of an address or network, or the one with that name or number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn nas_entry(&self, which: &str) -> Result<NasEntry, ServiceError> {
        self.read()?.nas_entry(which).await?.ok_or_else(|| ServiceError::not_found("NAS", which))
    }

    /// Changes a NAS, named by its address, network, name or number. Servers follow within a second.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`] for a secret or name that cannot be.
    pub async fn set_nas(&self, which: &str, change: &NasChange) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let (next, coa) = (change.secret_next.as_ref(), change.coa_secret.as_ref());
        check_secrets([change.secret.as_ref(), next.and_then(Option::as_ref), coa.and_then(Option::as_ref)])?;
        if let Some(name) = &change.name {
            check_name("name", name)?;
        }
        found(store.set_nas(which, change, &author).await?, "NAS", which)
    }

    /// Which NASes, of the table and of the configuration, sign their Access-Requests, and which do not.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn nas_readiness(&self) -> Result<Vec<NasReadiness>, ServiceError> {
        let store = self.read()?;
        let seen = store.signings().await?;
        let entries = self.configured_nases().iter().cloned().chain(store.nas_rows().await?.usable);
        let mut report: Vec<_> = NasTable::new(entries)
            .iter()
            .map(|nas| NasReadiness {
                nas: Nas::clone(nas),
                sources: seen.iter().filter(|seen| seen.network == nas.network).cloned().collect(),
            })
            .collect();
        report.sort_by_key(|line| line.nas.network);
        Ok(report)
    }

    /// Forgets that a source address was seen to sign: a device without Message-Authenticator has taken its
    /// place. Servers follow within seconds.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] of one that was never heard.
    pub async fn forget_signing(&self, source: IpAddr) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.forget_signing(source, &author).await?, "source", &source.to_string())
    }

    /// Removes a NAS, named by its address, network, name or number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_nas(&self, which: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.delete_nas(which, &author).await?.is_some(), "NAS", which)
    }
}

/// The secrets of a NAS: the shared one, the next one, that of dynamic authorization.
fn check_secrets(secrets: [Option<&String>; 3]) -> Result<(), ServiceError> {
    for (field, secret) in ["secret", "secret_next", "coa_secret"].into_iter().zip(secrets) {
        if secret.is_some_and(String::is_empty) {
            return Err(ServiceError::invalid(field, "must not be empty (RFC 2865 §3)"));
        }
    }
    Ok(())
}

/// Plans.
impl Management<'_> {
    /// Makes a plan; gives its number. Its name is the name of its group, and the group says
    /// `Fall-Through := Yes`, so that a stock FreeRADIUS goes on to a subscriber's other groups.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] where a plan or group has the name, [`ServiceError::Invalid`].
    pub async fn add_plan(&self, name: &str, change: &PlanChange) -> Result<PlanId, ServiceError> {
        let (store, author) = self.write()?;
        check_name("name", name)?;
        let mut draft = self.draft(PlanTerms::default(), change)?;
        if !draft.reply.iter().any(|item| item.attribute == "Fall-Through") {
            draft.reply.push(NewAttribute::new("Fall-Through", ":=", "Yes"));
        }
        store.add_plan(name, &draft, &author).await?.ok_or_else(|| taken("plan or group", name))
    }

    /// Changes a plan.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`].
    pub async fn set_plan(&self, name: &str, change: &PlanChange) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let plan = store.plan(name).await?.ok_or_else(|| ServiceError::not_found("plan", name))?;
        let draft = self.draft(plan.terms, change)?;
        found(store.set_plan(name, &draft, &author).await?, "plan", name)
    }

    /// All plans, without the rows of their groups.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn plans(&self) -> Result<Vec<Plan>, ServiceError> {
        Ok(self.read()?.plans().await?)
    }

    /// A plan with the rows of its group.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn plan(&self, name: &str) -> Result<Plan, ServiceError> {
        self.read()?.plan(name).await?.ok_or_else(|| ServiceError::not_found("plan", name))
    }

    /// Removes a plan that nobody has.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where subscribers have it.
    pub async fn delete_plan(&self, name: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        match store.delete_plan(name, &author).await? {
            None => Err(ServiceError::not_found("plan", name)),
            Some(0) => Ok(()),
            Some(users) => {
                Err(ServiceError::Conflict { reason: format!("plan {name} has subscribers: {users}") })
            }
        }
    }

    /// The plan's figures after the change, and the rows that follow from it.
    fn draft(&self, mut terms: PlanTerms, change: &PlanChange) -> Result<PlanDraft, ServiceError> {
        let mut summary = Vec::new();
        macro_rules! take {
            ($($field:ident),*) => {$(
                if let Some(value) = &change.$field {
                    terms.$field = value.clone();
                    let said = value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
                    summary.push(format!(concat!(stringify!($field), "={}"), said));
                }
            )*};
        }
        for (name, asked, term) in [
            ("description", &change.description, &mut terms.description),
            ("currency", &change.currency, &mut terms.currency),
        ] {
            if let Some(text) = asked {
                *term = text.into();
                summary.push(format!("{name}={text}"));
            }
        }
        take!(price, credit, recharge_credit, charge_per_minute, charge_per_kib);
        take!(time, quota, rate_down, rate_up, validity_days, reset_day, concurrency);
        check_terms(&terms)?;
        let Sorted { check, mut reply } = attributes::sort(&change.attributes, self.dictionary())?;
        let mut remove = change.remove.clone();
        for (name, asked, rate) in [
            ("WISPr-Bandwidth-Max-Down", change.rate_down, terms.rate_down),
            ("WISPr-Bandwidth-Max-Up", change.rate_up, terms.rate_up),
        ] {
            match (asked, rate) {
                (Some(_), Some(rate)) => {
                    // The attribute has 32 bits; the plan keeps the whole rate.
                    let value = rate.min(u64::from(u32::MAX));
                    // `=`: what a subscriber has of its own, and the plan of a group before this one, comes first.
                    reply.push(NewAttribute::new(name, "=", value.to_string()));
                }
                (Some(_), None) => remove.push(name.to_owned()),
                (None, _) => {}
            }
        }
        summary.extend(attributes::summary(&Sorted { check: check.clone(), reply: reply.clone() }));
        summary.extend(remove.iter().map(|name| format!("-{name}")));
        Ok(PlanDraft { terms, check, reply, remove, summary: summary.join("; ") })
    }
}

pub(super) fn found(yes: bool, what: &'static str, name: &str) -> Result<(), ServiceError> {
    if yes { Ok(()) } else { Err(ServiceError::not_found(what, name)) }
}

pub(super) fn taken(what: &'static str, name: &str) -> ServiceError {
    ServiceError::Exists { what, name: name.to_owned() }
}

/// A name that every table can hold and every person can type.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), ServiceError> {
    let reason = if name.is_empty() {
        "must not be empty".to_owned()
    } else if name.chars().count() > NAME_CHARACTERS_MAX {
        format!("has at most {NAME_CHARACTERS_MAX} characters")
    } else if name.chars().any(char::is_control) {
        "must not contain control characters".to_owned()
    } else if name.trim() != name {
        "must not begin or end with a blank".to_owned()
    } else {
        return Ok(());
    };
    Err(ServiceError::invalid(field, reason))
}

fn check_terms(terms: &PlanTerms) -> Result<(), ServiceError> {
    let amounts = [
        ("price", terms.price),
        ("credit", terms.credit),
        ("recharge_credit", terms.recharge_credit),
        ("charge_per_minute", terms.charge_per_minute),
        ("charge_per_kib", terms.charge_per_kib),
    ];
    for (field, amount) in amounts {
        if amount.is_some_and(Amount::is_negative) {
            return Err(ServiceError::invalid(field, "must not be negative"));
        }
    }
    let numbers = [
        ("time", terms.time),
        ("quota", terms.quota),
        ("rate_down", terms.rate_down),
        ("rate_up", terms.rate_up),
    ];
    for (field, number) in numbers {
        if number.is_some_and(|number| i64::try_from(number).is_err()) {
            return Err(ServiceError::invalid(field, "is too large"));
        }
    }
    check_currency(&terms.currency)?;
    check_reset_day(terms.reset_day)
}

/// A code of ISO 4217, or none.
pub(super) fn check_currency(currency: &str) -> Result<(), ServiceError> {
    let is_code = currency.len() == 3 && currency.bytes().all(|letter| letter.is_ascii_uppercase());
    if currency.is_empty() || is_code {
        return Ok(());
    }
    Err(ServiceError::invalid("currency", "expects three capital letters such as USD"))
}

pub(super) fn check_reset_day(day: Option<u8>) -> Result<(), ServiceError> {
    match day {
        Some(day) if !(1..=31).contains(&day) => {
            Err(ServiceError::invalid("reset_day", "expects a day of the month, 1 to 31"))
        }
        _ => Ok(()),
    }
}

/// Taking over a database.
impl Management<'_> {
    /// What FreeRADIUS's tables have, and the attributes among them that no dictionary knows.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn survey(&self) -> Result<(Survey, Vec<String>), ServiceError> {
        let store = self.read()?;
        let migrated = store.pending_migrations().await?.is_empty();
        let survey = store.survey(migrated).await?;
        let unknown = survey
            .attributes
            .iter()
            .filter(|(name, _)| self.dictionary().attribute_with_tag(name).is_none())
            .map(|(name, count)| format!("{name} ({count} rows)"))
            .collect();
        Ok((survey, unknown))
    }

    /// Creates our tables and fills them from FreeRADIUS's. `progress` is told how many of how many
    /// subscribers are done.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn adopt(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Adopted, ServiceError> {
        let (store, author) = self.write()?;
        store.migrate().await?;
        Ok(store.adopt(&author, progress).await?)
    }
}
