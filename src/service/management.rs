//! The third face of the service: who may manage, and every command they have.
//!
//! A [`Management`] is rights as a value: it is had from the gate alone, and no command can be given
//! without it. A rule such as "a login is unique" or "a plan's name is its group" lives here, once.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use argon2::{Argon2, PasswordHasher as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use smol_str::SmolStr;

use super::attributes::{self, Sorted};
use super::error::{Denial, ServiceError};
use super::gate::{ManagementGate, digest, switched_on};
use crate::domain::dynamic_auth::{Order, Outcome};
use crate::domain::operator::{ApiKey, Dialect, Operator, Rights, Scope};
use crate::domain::plan::{Concurrency, Plan, PlanId, PlanTerms};
use crate::domain::{
    Amount, Contact, ContactField, Kind, Nas, NasReadiness, NasTable, Session, SubscriberStatus, UniqueId,
};
use crate::engine;
use crate::entropy::Entropy;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::store::{
    Adopted, Author, NasEntry, NewAttribute, NewKey, NewNas, NewOperator, OpenCursor, OpenPage, OrderRow,
    PlanDraft, Recode, Recoded, SigningKey, Store, Survey,
};
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

/// A key just made: the only time its secret is seen.
#[derive(Clone)]
pub struct MadeKey {
    /// The part that is not secret.
    pub key_id: String,
    /// The part that is.
    pub secret: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Columns of FreeRADIUS's tables hold names of so many characters.
const NAME_CHARACTERS_MAX: usize = 64;
/// Octets of a random secret: more than 128 bits, and 32 characters as text.
const SECRET_OCTETS: usize = 24;
/// Octets of a random key id.
const KEY_ID_OCTETS: usize = 10;
/// Octets of a salt.
const SALT_OCTETS: usize = 16;
/// The account that is always there.
const MAIN: &str = "Main";

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

/// Keys and operators.
impl Management<'_> {
    /// Makes a key with a random secret.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the account.
    pub async fn create_key(
        &self,
        dialect: Dialect,
        rights: Rights,
        account: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<MadeKey, ServiceError> {
        let (store, author) = self.write()?;
        let mut key_id = [0; KEY_ID_OCTETS];
        entropy.fill(&mut key_id);
        let made = MadeKey { key_id: hex::encode(key_id), secret: random_secret(entropy) };
        let key = NewKey {
            key_id: made.key_id.clone(),
            secret_hash: digest(&made.secret),
            dialect,
            rights,
            account: account_or_main(account),
        };
        if store.add_key(&key, &author).await? {
            Ok(made)
        } else {
            Err(ServiceError::not_found("account", account))
        }
    }

    /// All keys.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ServiceError> {
        Ok(self.read()?.keys().await?)
    }

    /// Gives a key another secret: the old one, and the tokens that were had with it, are worth nothing from
    /// now on.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn rotate_key(&self, key_id: &str, entropy: &mut dyn Entropy) -> Result<MadeKey, ServiceError> {
        let (store, author) = self.write()?;
        let made = MadeKey { key_id: key_id.to_owned(), secret: random_secret(entropy) };
        found(store.rotate_key(key_id, &digest(&made.secret), &author).await?, "key", key_id)?;
        Ok(made)
    }

    /// Switches a key on or off.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn enable_key(&self, key_id: &str, enabled: bool) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.enable_key(key_id, enabled, &author).await?, "key", key_id)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_key(&self, key_id: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.delete_key(key_id, &author).await?, "key", key_id)
    }

    /// Makes an operator; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] where the login is taken, [`ServiceError::Invalid`] for a login or
    /// password that cannot be, [`ServiceError::NotFound`] for the account.
    pub async fn add_operator(
        &self,
        login: &str,
        password: &str,
        rights: Rights,
        account: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check_name("login", login)?;
        // No rule about length: clients of other products keep the passwords they have.
        if password.is_empty() {
            return Err(ServiceError::invalid("password", "must not be empty"));
        }
        if store.operator(login).await?.is_some() {
            return Err(taken("operator", login));
        }
        let mut salt = [0; SALT_OCTETS];
        entropy.fill(&mut salt);
        let hash = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|_| ServiceError::invalid("password", "is too long"))?;
        let new = NewOperator {
            login: login.to_owned(),
            password_hash: hash.to_string(),
            rights,
            account: account_or_main(account),
        };
        store.add_operator(&new, &author).await?.ok_or_else(|| ServiceError::not_found("account", account))
    }

    /// All operators.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn operators(&self) -> Result<Vec<Operator>, ServiceError> {
        Ok(self.read()?.operators().await?)
    }

    /// Removes an operator.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_operator(&self, login: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.delete_operator(login, &author).await?, "operator", login)
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
        for (field, secret) in [
            ("secret", Some(&new.secret)),
            ("secret_next", new.secret_next.as_ref()),
            ("coa_secret", new.coa_secret.as_ref()),
        ] {
            if secret.is_some_and(String::is_empty) {
                return Err(ServiceError::invalid(field, "must not be empty (RFC 2865 §3)"));
            }
        }
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

    /// Changes the key that signs tokens in Class, or that of the APIs' tokens. Servers take it at their next start;
    /// tokens of the key before it stay good until then and after.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn renew_signing_key(
        &self,
        which: SigningKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.renew_signing_key(which, &fresh_key(entropy), &author).await?)
    }

    /// Hides every subscriber's password with the first key, or shows every one.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Invalid`] where no key is to hide them,
    /// [`ServiceError::Unavailable`].
    pub async fn recode_passwords(&self, recode: Recode) -> Result<Recoded, ServiceError> {
        let (store, author) = self.write()?;
        if recode == Recode::Hide && !store.hides_passwords() {
            return Err(ServiceError::invalid("database.password_key_file", "is not set: there is no key"));
        }
        store.settle_keys().await?;
        Ok(store.recode_passwords(recode, &author).await?)
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

/// A key that signs, as it is kept.
#[must_use]
pub fn fresh_key(entropy: &mut dyn Entropy) -> [u8; 32] {
    let mut octets = [0; 32];
    entropy.fill(&mut octets);
    octets
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

/// A random secret as text.
#[must_use]
pub fn random_secret(entropy: &mut dyn Entropy) -> String {
    let mut octets = [0; SECRET_OCTETS];
    entropy.fill(&mut octets);
    URL_SAFE_NO_PAD.encode(octets)
}

fn account_or_main(account: &str) -> String {
    if account.is_empty() { MAIN.to_owned() } else { account.to_owned() }
}

fn found(yes: bool, what: &'static str, name: &str) -> Result<(), ServiceError> {
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

/// Sessions.
impl Management<'_> {
    /// A page of open sessions, after `after`.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn online_sessions(
        &self,
        after: Option<&OpenCursor>,
        most: u32,
    ) -> Result<OpenPage, ServiceError> {
        Ok(self.read()?.open_sessions(after, most).await?)
    }

    /// The open session with that unique id, or the only one with that Acct-Session-Id.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where several have that Acct-Session-Id.
    pub async fn online_session(&self, id: &str) -> Result<Session, ServiceError> {
        let unique = UniqueId::parse(id);
        let mut found: Vec<Session> = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.online_sessions(cursor.as_ref(), SESSIONS_PER_PAGE).await?;
            for session in page.sessions {
                if Some(session.unique_id) == unique {
                    return Ok(session);
                }
                if session.acct_session_id == id {
                    found.push(session);
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        if found.len() > 1 {
            let reason =
                format!("{} open sessions have the Acct-Session-Id {id}: name one by its id", found.len());
            return Err(ServiceError::Conflict { reason });
        }
        found.pop().ok_or_else(|| ServiceError::not_found("open session", id))
    }

    /// Orders the end of a session; gives the number of the order.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn disconnect(&self, session: UniqueId) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.order(session, &Order::Disconnect, &author).await?)
    }

    /// Orders the end of sessions: all or none.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn disconnect_all(&self, sessions: &[UniqueId]) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.order_all(sessions, &Order::Disconnect, &author).await?)
    }

    /// Closes sessions here and asks no NAS, for those that nobody serves any more: what they used stays counted.
    /// One that its NAS goes on with is open again with its next record.
    ///
    /// # Errors
    /// [`ServiceError::Denied`]; [`ServiceError::Unavailable`] where no server runs in this process.
    pub async fn clear_sessions(&self, sessions: &[UniqueId]) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let coa = self.gate.coa()?;
        store.audit_sessions(sessions, "clear", &author).await?;
        sessions.iter().for_each(|session| coa.clear(*session));
        Ok(())
    }

    /// Asks the NASes to end these sessions and waits for what each says, 30 s unless many are asked; the
    /// outcomes are in the order of the sessions.
    ///
    /// # Errors
    /// [`ServiceError::Denied`]; [`ServiceError::Unavailable`] where no server runs in this process.
    pub async fn disconnect_now(&self, sessions: &[UniqueId]) -> Result<Vec<Outcome>, ServiceError> {
        let (store, author) = self.write()?;
        let coa = self.gate.coa()?;
        let by = SmolStr::from(author.name.as_str());
        let mut asked = Vec::with_capacity(sessions.len());
        store.audit_sessions(sessions, "disconnect", &author).await?;
        for session in sessions {
            let (coa, session, by) = (coa.clone(), *session, by.clone());
            asked.push(tokio::spawn(async move { coa.enforce(session, Order::Disconnect, by).await }));
        }
        let mut outcomes = Vec::with_capacity(asked.len());
        for outcome in asked {
            outcomes.push(outcome.await.unwrap_or(Outcome::TimedOut));
        }
        Ok(outcomes)
    }

    /// Orders a change of a session (`Name = value`); gives the number of the order.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an attribute that cannot be sent.
    pub async fn change_session(
        &self,
        session: UniqueId,
        attributes: &[String],
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        let Sorted { check, reply } = attributes::sort(attributes, self.dictionary())?;
        if let Some(item) = check.first() {
            let reason = format!("{} {} {} cannot be sent to a NAS", item.attribute, item.op, item.value);
            return Err(ServiceError::invalid("attribute", reason));
        }
        let lines = reply.iter().map(|item| format!("{} = {}", item.attribute, item.value).into()).collect();
        Ok(store.order(session, &Order::ChangeOfAuthorization(lines), &author).await?)
    }

    /// How an order stands.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn order(&self, id: i64) -> Result<OrderRow, ServiceError> {
        let found = self.read()?.outcome(id).await?;
        found.ok_or_else(|| ServiceError::not_found("order", &id.to_string()))
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

/// Sessions that are read at a time.
const SESSIONS_PER_PAGE: u32 = 2_000;
