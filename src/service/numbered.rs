//! Customers: subscribers by their numbers, also before they have a login. All verbs are about many at a
//! time and do all or nothing.

use std::collections::HashSet;
use std::sync::Arc;

use super::attributes::{self, Sorted};
use super::error::ServiceError;
use super::management::{Management, check_name};
use super::subscribers::password_row;
use smol_str::SmolStr;

use crate::domain::customer::{
    Connection, ConnectionFilter, ConnectionOrder, ConnectionTotals, CreditMove, CreditMoveFilter,
    CreditMoveTotals, Customer, CustomerEdit, CustomerFilter, CustomerObstacle, CustomerOrder,
    CustomersFound, NamedBy, OnlineSession, Window,
};
use crate::domain::{Amount, UniqueId};
use crate::store::{CustomerChange, NewCustomers};

/// Why a verb about customers does nothing: what stands in the way, or what any verb may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerError {
    /// What stands in the way.
    Obstacle(CustomerObstacle),
    /// What any verb may say.
    Service(ServiceError),
}

impl From<ServiceError> for CustomerError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<crate::store::StoreError> for CustomerError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl From<CustomerObstacle> for CustomerError {
    fn from(obstacle: CustomerObstacle) -> Self {
        Self::Obstacle(obstacle)
    }
}

/// Customers to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomersOrder {
    /// How many.
    pub count: u32,
    /// Name of their account.
    pub account: String,
    /// Name of their plan.
    pub plan: String,
    /// Credit that each begins with.
    pub credit: Amount,
    /// For people.
    pub comment: String,
    /// What nothing here has a meaning for, by name.
    pub fields: Vec<(String, String)>,
}

/// Logins or passwords that are made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomWords {
    /// What all begin with.
    pub prefix: String,
    /// Characters after that.
    pub length: u8,
    /// Of which.
    pub letters: Letters,
}

/// What made-up words consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// Lower-case letters and digits that nobody takes for each other.
    Mixed,
    /// Lower-case letters.
    Letters,
    /// Digits but nought.
    Digits,
}

impl Letters {
    const fn all(self) -> &'static [u8] {
        match self {
            Self::Mixed => b"abcdefghijkmnpqrstuvwxyz23456789",
            Self::Letters => b"abcdefghijklmnopqrstuvwxyz",
            Self::Digits => b"123456789",
        }
    }
}

impl RandomWords {
    /// One word. `octet` gives random octets.
    fn word(&self, octet: &mut dyn FnMut() -> u8) -> String {
        let letters = self.letters.all();
        // Octets beyond the last whole multiple would make the first letters likelier.
        let fair = 256 - 256 % letters.len();
        let mut word = self.prefix.clone();
        let wanted = word.len() + usize::from(self.length);
        while word.len() < wanted {
            let octet = usize::from(octet());
            if octet < fair
                && let Some(letter) = letters.get(octet % letters.len())
            {
                word.push(char::from(*letter));
            }
        }
        word
    }
}

/// Made-up logins that turn out to be taken are made up anew so many times.
const ATTEMPTS: u32 = 20;
/// Customers that are made in one call.
pub const CUSTOMERS_MAX: u32 = 10_000;

/// What is made up for customers that are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeUp {
    /// Their logins.
    pub logins: Option<RandomWords>,
    /// Their passwords.
    pub passwords: Option<RandomWords>,
}

impl Management<'_> {
    /// The numbers of customers in the order in which they are named.
    ///
    /// # Errors
    /// [`CustomerObstacle::Nobody`] for the first that is nobody.
    pub async fn customer_numbers(&self, by: NamedBy, names: &[String]) -> Result<Vec<i64>, CustomerError> {
        let store = self.read()?;
        let found = store.customer_numbers(by, names, self.scope(), &self.author()).await?;
        found.map_err(CustomerError::from)
    }

    /// Customers with all that is known of them, by number. Passwords are among it with the right `secrets`.
    ///
    /// # Errors
    /// [`CustomerObstacle::Nobody`] for the first that is nobody.
    pub async fn customers(&self, by: NamedBy, names: &[String]) -> Result<Vec<Customer>, CustomerError> {
        let ids = self.customer_numbers(by, names).await?;
        let mut customers = self.read()?.customers(&ids, self.rights().secrets).await?;
        if !self.rights().secrets {
            for customer in &mut customers {
                // Secrets of other protocols, such as Tunnel-Password.
                customer.check.retain(|row| !attributes::is_secret(&row.attribute));
                customer.reply.retain(|row| !attributes::is_secret(&row.attribute));
            }
        }
        for customer in &mut customers {
            customer.ends = self.end_of(customer);
        }
        Ok(customers)
    }

    /// The same with what was used of their own limits.
    ///
    /// # Errors
    /// As [`Management::customers`].
    pub async fn weighed_customers(
        &self,
        by: NamedBy,
        names: &[String],
    ) -> Result<Vec<Customer>, CustomerError> {
        let mut customers = self.customers(by, names).await?;
        self.weigh_limits(&mut customers).await?;
        Ok(customers)
    }

    /// Is there a subscriber with this login?
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn is_login(&self, login: &str) -> Result<bool, CustomerError> {
        match self.customer_numbers(NamedBy::Login, &[login.to_owned()]).await {
            Ok(_) => Ok(true),
            Err(CustomerError::Obstacle(CustomerObstacle::Nobody(..))) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Makes customers without a login; gives their numbers.
    ///
    /// # Errors
    /// The plan or the account is not there; [`ServiceError::Invalid`] for a number or credit that cannot be.
    pub async fn make_customers(&self, order: &CustomersOrder) -> Result<Vec<i64>, CustomerError> {
        let (store, author) = self.write()?;
        if order.count == 0 || order.count > CUSTOMERS_MAX {
            let reason = format!("expects a number from 1 to {CUSTOMERS_MAX}");
            return Err(ServiceError::invalid("count", reason).into());
        }
        if order.credit.is_negative() {
            return Err(ServiceError::invalid("credit", "must not be negative").into());
        }
        check_text("comment", &order.comment)?;
        order.fields.iter().try_for_each(|(name, value)| check_field(name, value))?;
        let new = NewCustomers {
            count: order.count,
            account: &order.account,
            plan: &order.plan,
            credit: order.credit,
            comment: &order.comment,
            fields: &order.fields,
        };
        let made = store.make_customers(&new, self.scope(), &author).await?;
        made.map_err(CustomerError::from)
    }

    /// Changes customers: each by the change at its place.
    ///
    /// # Errors
    /// The first obstacle; [`ServiceError::Invalid`] for what cannot be.
    pub async fn edit_customers(
        &self,
        changes: Vec<(String, CustomerEdit)>,
        made_up: &MadeUp,
    ) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        let mut octets = super::packages::random_octets();
        let mut octet = || octets.next().unwrap_or(0);
        let mut prepared = Vec::with_capacity(changes.len());
        for (id, mut edit) in changes {
            if let Some(words) = &made_up.passwords {
                edit.password = Some(words.word(&mut octet));
            }
            prepared.push(self.prepare(id, edit)?);
        }
        for attempt in 1.. {
            if let Some(words) = &made_up.logins {
                let mut once = HashSet::new();
                for change in &mut prepared {
                    let mut login = words.word(&mut octet);
                    for _ in 0..ATTEMPTS {
                        if once.insert(login.clone()) {
                            break;
                        }
                        login = words.word(&mut octet);
                    }
                    change.edit.login = Some(login);
                }
            }
            let outcome = store.edit_customers(&prepared, self.scope(), &author).await?;
            let again = made_up.logins.is_some() && attempt < ATTEMPTS;
            match outcome {
                Err(CustomerObstacle::LoginsTaken(_)) if again => {}
                outcome => return outcome.map_err(CustomerError::from),
            }
        }
        Ok(())
    }

    fn prepare(&self, id: String, mut edit: CustomerEdit) -> Result<CustomerChange, ServiceError> {
        if let Some(login) = &edit.login {
            check_name("login", login)?;
        }
        if let Some(password) = &edit.password {
            password_row(password)?;
        }
        if edit.credit_limit.is_some_and(Amount::is_negative) {
            return Err(ServiceError::invalid("credit_limit", "must not be negative"));
        }
        for (name, value) in &edit.fields {
            check_field(name, value.as_deref().unwrap_or_default())?;
        }
        for (_, text) in &edit.contact {
            check_text("contact", text)?;
        }
        if let Some(text) = &edit.comments {
            check_text("comments", text)?;
        }
        if let Some(Some(text)) = &edit.lock {
            check_text("lock", text)?;
        }
        let mut sorted = attributes::sort(&edit.attributes, self.dictionary())?;
        edit.expires = self.ends(edit.expires, &mut sorted.check, &mut edit.remove);
        let mut summary = attributes::summary(&sorted);
        let Sorted { check, reply } = sorted;
        summary.extend(edit.remove.iter().map(|name| format!("-{name}")));
        summary.extend(said(&edit));
        Ok(CustomerChange { id, check, reply, summary: summary.join("; "), edit })
    }

    /// Removes customers; their logins are free again.
    ///
    /// # Errors
    /// [`CustomerObstacle::Online`] for the first that is online.
    pub async fn delete_customers(
        &self,
        ids: &[String],
        comment: &str,
        records: bool,
        history: bool,
    ) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        check_text("comment", comment)?;
        let gone = store.delete_customers(ids, comment, records, history, self.scope(), &author).await?;
        gone.map_err(CustomerError::from)
    }

    /// Ends all open sessions of customers: see [`Management::end_these_sessions`].
    ///
    /// # Errors
    /// [`CustomerObstacle::Nobody`] for the first that is nobody.
    pub async fn end_sessions_of(&self, ids: &[String], kill: bool) -> Result<(), CustomerError> {
        self.write()?;
        let ids = self.customer_numbers(NamedBy::Number, ids).await?;
        let customers = self.read()?.customers(&ids, false).await?;
        let open =
            customers.iter().flat_map(|customer| &customer.online).map(|session| session.unique_id.clone());
        self.end_these_sessions(&open.collect::<Vec<_>>(), kill).await
    }

    /// Ends open sessions by their unique ids: has their NASes asked, or closes them here alone if not `kill`.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn end_these_sessions(&self, sessions: &[SmolStr], kill: bool) -> Result<(), CustomerError> {
        let sessions: Vec<UniqueId> = sessions.iter().filter_map(|id| UniqueId::parse(id)).collect();
        if kill {
            self.disconnect_all(&sessions).await?;
        } else {
            self.clear_sessions(&sessions).await?;
        }
        Ok(())
    }

    /// Lets a NAS in again, or no longer; named by its address.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn enable_nas(&self, address: &str, enabled: bool) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        if store.enable_nas(address, enabled, &author).await? {
            Ok(())
        } else {
            Err(ServiceError::not_found("NAS", address))
        }
    }

    /// Customers of a window, how many there are, and what their credits add up to.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn search_customers(
        &self,
        filter: &CustomerFilter,
        order: CustomerOrder,
        window: Window,
    ) -> Result<CustomersFound, CustomerError> {
        Ok(self.read()?.search_customers(filter, order, window, self.scope()).await?)
    }

    /// Customers whose packages are over, or end within a span of time, by number.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn expired_customers(
        &self,
        filter: &CustomerFilter,
        order: CustomerOrder,
        window: Window,
    ) -> Result<CustomersFound, CustomerError> {
        let store = self.read()?;
        let span = filter.expires;
        // When a package ends is computed, not stored: whoever else fits is looked at one by one.
        let everybody = CustomerFilter { expires: crate::domain::report::Span::default(), ..filter.clone() };
        let whole = Window { from: 0, to: u32::MAX, descending: window.descending };
        let found = store.search_customers(&everybody, order, whole, self.scope()).await?;
        let now = self.now().unix;
        let (mut ids, mut credit) = (Vec::new(), Amount::ZERO);
        let mut by_id = std::collections::HashMap::new();
        for part in found.ids.chunks(1_000) {
            for customer in store.customers(part, false).await? {
                by_id.insert(customer.id, (self.end_of(&customer), customer.credit));
            }
        }
        for id in found.ids {
            let Some((Some(end), left)) = by_id.get(&id).copied() else { continue };
            let from = span.from.is_none_or(|from| end >= from);
            let until = span.until.map_or(end <= now, |until| end < until);
            if from && until {
                ids.push(id);
                credit = credit.saturating_plus(left);
            }
        }
        let rows = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let skip = usize::try_from(window.from).unwrap_or(usize::MAX);
        let take = usize::try_from(window.len()).unwrap_or(usize::MAX);
        Ok(CustomersFound { rows, credit, ids: ids.into_iter().skip(skip).take(take).collect() })
    }

    /// Connections of a window, and what all that fit add up to.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        order: ConnectionOrder,
        window: Window,
    ) -> Result<(Vec<Connection>, ConnectionTotals), CustomerError> {
        Ok(self.read()?.connections(filter, order, window, self.scope()).await?)
    }

    /// Movements of credit of a window, and what all that fit add up to.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn credit_moves(
        &self,
        filter: &CreditMoveFilter,
        window: Window,
    ) -> Result<(Vec<CreditMove>, CreditMoveTotals), CustomerError> {
        Ok(self.read()?.credit_moves(filter, window, self.scope()).await?)
    }

    /// Everybody's open sessions with their customers, of whom only what `Store::customer_heads` tells is known,
    /// the oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn online_customers(
        &self,
    ) -> Result<Vec<(OnlineSession, Option<Arc<Customer>>)>, CustomerError> {
        let store = self.read()?;
        let sessions = store.online_customers(self.scope()).await?;
        let mut ids: Vec<i64> = sessions.iter().map(|session| session.subscriber).collect();
        ids.sort_unstable();
        ids.dedup();
        let customers: Vec<Arc<Customer>> =
            store.customer_heads(&ids).await?.into_iter().map(Arc::new).collect();
        let of = |id: i64| {
            let place = customers.binary_search_by_key(&id, |customer| customer.id).ok()?;
            customers.get(place).cloned()
        };
        Ok(sessions
            .into_iter()
            .map(|session| {
                let customer = of(session.subscriber);
                (session, customer)
            })
            .collect())
    }
}

/// Characters of a comment, a name, an address.
const TEXT_MAX: usize = 250;
/// Characters of the name of a field.
const FIELD_NAME_MAX: usize = 128;
/// Characters of a field.
const FIELD_VALUE_MAX: usize = 4_000;

pub(super) fn check_text(field: &'static str, text: &str) -> Result<(), ServiceError> {
    if text.chars().count() > TEXT_MAX {
        return Err(ServiceError::invalid(field, format!("has at most {TEXT_MAX} characters")));
    }
    if text.contains('\0') {
        return Err(ServiceError::invalid(field, "must not contain NUL"));
    }
    Ok(())
}

/// A field that nothing here has a meaning for. Its name is a word: names with a blank are our own.
fn check_field(name: &str, value: &str) -> Result<(), ServiceError> {
    let is_word = |letter: char| letter.is_alphanumeric() || "_-.:".contains(letter);
    if name.is_empty() || name.chars().count() > FIELD_NAME_MAX || !name.chars().all(is_word) {
        return Err(ServiceError::invalid("field", name));
    }
    if value.chars().count() > FIELD_VALUE_MAX || value.contains('\0') {
        return Err(ServiceError::invalid("value", format!("has at most {FIELD_VALUE_MAX} characters")));
    }
    Ok(())
}

/// A change in words for the audit, without secrets.
fn said(edit: &CustomerEdit) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |name: &str, value: Option<&str>| said.push(format!("{name}={}", value.unwrap_or("none")));
    if let Some(login) = &edit.login {
        say("login", Some(login));
    }
    if edit.no_login {
        say("login", None);
    }
    if edit.password.is_some() {
        say("password", Some("***"));
    }
    if let Some(plan) = &edit.plan {
        say("plan", Some(plan));
    }
    if let Some(account) = &edit.account {
        say("account", Some(account));
    }
    if let Some(lock) = &edit.lock {
        say("lock", lock.as_deref());
    }
    if let Some(expires) = edit.expires {
        say("expires", expires.map(|at| at.0.to_string()).as_deref());
    }
    if let Some(first) = edit.first_use {
        say("first_use", first.map(|at| at.0.to_string()).as_deref());
    }
    for (kind, rule) in &edit.ends_after {
        let text = rule.map(|rule| format!("{} {}", rule.value, rule.unit.as_str()));
        say(kind.as_str(), text.as_deref());
    }
    for (field, _) in &edit.contact {
        say(field.column(), Some("…"));
    }
    for (metric, period, limit) in &edit.limits {
        let text = limit.map(|limit| limit.to_string());
        say(&format!("{} {}", period.as_str(), metric.as_str()), text.as_deref());
    }
    for (name, value) in &edit.fields {
        let shown = value.as_ref().map(|_| "…");
        say(name, shown);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_words_have_their_length_after_the_prefix_and_fair_letters() {
        let words = RandomWords { prefix: "net".into(), length: 8, letters: Letters::Digits };
        let mut next = 0_u8;
        let mut octet = || {
            next = next.wrapping_add(61);
            next
        };
        let word = words.word(&mut octet);
        assert!(word.len() == 11 && word.starts_with("net"), "{word}");
        assert!(word.bytes().skip(3).all(|digit| (b'1'..=b'9').contains(&digit)), "{word}");
        let mixed =
            RandomWords { prefix: String::new(), length: 200, letters: Letters::Mixed }.word(&mut octet);
        assert!(!mixed.contains(['l', 'o', '0', '1']), "{mixed}");
    }
}
