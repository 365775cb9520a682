//! Subscribers: made, changed, removed, found; their groups and their single attributes.
//!
//! What a login may be, what needs a password, what a group has to be: decided here once for every dialect.

use super::attributes::{self, Sorted};
use super::error::{Denial, ServiceError};
use super::management::{
    Management, Proof, SubscriberChange, SubscriberOrder, check_name, check_reset_day, taken,
};
use crate::domain::plan::Concurrency;
use crate::domain::text::is_mac_like;
use crate::domain::{
    AttributeRow, ContactField, Kind, Member, Page, Paging, PeopleFilter, Person, Profile, SubscriberId,
    SubscriberStatus, Who,
};
use crate::store::{
    AttributeChange, AttributeEdit, AttributePut, CredentialEdit, NewAttribute, NewSubscriber,
    SubscriberEdit, SubscriberObstacle, SubscriberRecord,
};

/// A single attribute that a subscriber shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeOrder {
    /// Name, as a dictionary has it.
    pub name: String,
    /// Value, as the table has it.
    pub value: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeOutcome {
    /// Number of its row, in radcheck or radreply, each of which counts for itself.
    pub row: i64,
    /// It was there before, perhaps with another value.
    pub replaced: bool,
}

/// User-Password holds no more.
const PASSWORD_OCTETS_MAX: usize = 128;
/// Columns of contacts hold so many characters.
const CONTACT_CHARACTERS_MAX: usize = 255;
/// Remarks hold so many.
const COMMENT_CHARACTERS_MAX: usize = 1_000;

/// Making, changing, removing.
impl Management<'_> {
    /// Makes a subscriber; gives its number.
    ///
    /// # Errors
    /// As [`Management::create_people`].
    pub async fn add_subscriber(&self, order: &SubscriberOrder) -> Result<SubscriberId, ServiceError> {
        let made = self.create_people(std::slice::from_ref(order)).await?;
        let first = made.into_iter().next();
        first.map(|person| person.id).ok_or_else(|| ServiceError::not_found("subscriber", &order.login))
    }

    /// Makes subscribers, all or none, in one transaction; gives them in the order asked for. The first group of
    /// each is its plan; credit that comes with that is granted.
    ///
    /// # Errors
    /// [`ServiceError::Exists`] where a login is taken, [`ServiceError::NotFound`] for a plan, group or account,
    /// [`ServiceError::Invalid`].
    pub async fn create_people(&self, orders: &[SubscriberOrder]) -> Result<Vec<Person>, ServiceError> {
        let (store, author) = self.write()?;
        let new = orders.iter().map(|order| self.new_subscriber(order)).collect::<Result<Vec<_>, _>>()?;
        let made = store.add_subscribers(&new, self.scope(), &author).await?;
        made.map(|people| people.into_iter().map(|person| masked(person, false)).collect())
            .map_err(|obstacle| obstacle_error(obstacle, ""))
    }

    /// What an order comes to.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`].
    pub(super) fn new_subscriber(&self, order: &SubscriberOrder) -> Result<NewSubscriber, ServiceError> {
        check_name("login", &order.login)?;
        let Sorted { mut check, reply } = attributes::sort(&order.attributes, self.dictionary())?;
        let expires = self.ends(order.expires.map(Some), &mut check, &mut Vec::new()).flatten();
        let has_proof = check.iter().any(|item| proves(&item.attribute));
        let kind = match (order.kind, &order.proof) {
            (Some(kind), _) => kind,
            (None, Proof::Mac) => Kind::Mac,
            (None, Proof::Pin) => Kind::Pin,
            (None, Proof::Password(_) | Proof::Attributes) => Kind::User,
        };
        if kind == Kind::Mac && !is_mac_like(&order.login) {
            return Err(not_a_mac(&order.login));
        }
        let proof = match (&order.proof, kind.is_login_enough()) {
            (Proof::Mac | Proof::Pin, _) | (Proof::Password(_), true) => Some(login_row()),
            (Proof::Attributes, true) if !has_proof => Some(login_row()),
            (Proof::Password(password), false) => Some(password_row(password)?),
            (Proof::Attributes, _) if has_proof => None,
            (Proof::Attributes, _) => {
                let reason = "is missing: a password, --mac or --pin is needed";
                return Err(ServiceError::invalid("password", reason));
            }
        };
        if let Some(item) = proof {
            check.insert(0, item);
        }
        for (field, value) in order.contact.fields() {
            check_contact(field, value)?;
        }
        check_comments(&order.comments)?;
        let mut summary = attributes::summary(&Sorted { check: check.clone(), reply: reply.clone() });
        let groups: Vec<String> = order.plan.iter().chain(&order.groups).cloned().collect();
        summary.extend(order.plan.iter().map(|plan| format!("plan={plan}")));
        summary.extend(order.groups.iter().map(|group| format!("group={group}")));
        summary.extend(order.disabled.then(|| "disabled".to_owned()));
        summary.extend(order.sold.then(|| "sold".to_owned()));
        summary.extend(order.batch.map(|batch| format!("batch={batch}")));
        let known = order.contact.fields().map(|(field, _)| field);
        summary.extend(contact_summary(known));
        let status = match order.status {
            Some(status) => status,
            None if order.disabled => SubscriberStatus::Suspended,
            None => SubscriberStatus::Active,
        };
        summary.extend(order.status.map(|status| format!("status={}", status.as_str())));
        Ok(NewSubscriber {
            login: order.login.clone(),
            kind: kind.as_str(),
            account: order.account.clone(),
            groups,
            check,
            reply,
            status: (status, String::new()),
            contact: order.contact.clone(),
            sold: order.sold,
            batch: order.batch,
            comments: order.comments.clone(),
            label: order.label.clone(),
            activation: order.activation,
            expires,
            summary: summary.join("; "),
        })
    }

    /// Changes a subscriber.
    ///
    /// # Errors
    /// As [`Management::update_person`].
    pub async fn set_subscriber(&self, login: &str, change: &SubscriberChange) -> Result<(), ServiceError> {
        self.update_person(Who::Login(login), change).await.map(drop)
    }

    /// Changes a subscriber; gives it as it is then. A new login is in force at once, the old one is free, and
    /// open sessions stay the subscriber's. Who is no longer active is disconnected.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it, a plan or a group, [`ServiceError::Exists`] where the new login is
    /// taken, [`ServiceError::Invalid`].
    pub async fn update_person(
        &self,
        who: Who<'_>,
        change: &SubscriberChange,
    ) -> Result<Person, ServiceError> {
        let (store, author) = self.write()?;
        let edit = self.subscriber_edit(change)?;
        let changed = store.set_subscriber(who, &edit, self.scope(), &author).await?;
        changed
            .map(|person| masked(person, false))
            .map_err(|obstacle| obstacle_error(obstacle, &who.to_string()))
    }

    /// What a change comes to.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`].
    pub(super) fn subscriber_edit(&self, change: &SubscriberChange) -> Result<SubscriberEdit, ServiceError> {
        let Sorted { mut check, reply } = attributes::sort(&change.attributes, self.dictionary())?;
        let mut remove = change.remove.clone();
        let expires = self.ends(change.expires, &mut check, &mut remove);
        let mut summary = attributes::summary(&Sorted { check: check.clone(), reply: reply.clone() });
        summary.extend(change.remove.iter().map(|name| format!("-{name}")));
        let mut kind = change.kind;
        let mut password = None;
        match &change.password {
            None | Some(Proof::Attributes) => {}
            Some(Proof::Mac) => kind = kind.or(Some(Kind::Mac)),
            Some(Proof::Pin) => kind = kind.or(Some(Kind::Pin)),
            Some(Proof::Password(text)) => {
                password = Some(password_row(text)?);
                summary.push(format!("password={}", attributes::MASK));
            }
        }
        summary.extend(kind.map(|kind| format!("kind={}", kind.as_str())));
        if let Some(login) = &change.login {
            check_name("login", login)?;
        }
        if let Some(plan) = &change.plan {
            summary.push(format!("plan={}", plan.as_deref().unwrap_or("none")));
        }
        if let Some(groups) = &change.groups {
            summary.push(format!("groups={}", groups.join(", ")));
        }
        if let Some((status, reason)) = &change.status {
            if *status == SubscriberStatus::Deleted {
                return Err(ServiceError::invalid("status", "deleted is what delete makes"));
            }
            summary.push(format!("status={} {reason}", status.as_str()));
        }
        summary.extend(change.disabled.map(|disabled| format!("disabled={disabled}")));
        if let Some(day) = change.reset_day {
            check_reset_day(day)?;
            summary.push(format!("reset_day={}", or_none(day)));
        }
        if let Some(choice) = change.concurrency {
            summary.push(format!("concurrency={}", choice.map_or("none", Concurrency::as_str)));
        }
        for (name, date) in [("expires", change.expires), ("activation", change.activation)] {
            summary.extend(date.map(|date| format!("{name}={}", or_none(date.map(|at| at.0)))));
        }
        summary.extend(change.sold.map(|sold| format!("sold={sold}")));
        if let Some(comments) = &change.comments {
            check_comments(comments)?;
            summary.push("comments".to_owned());
        }
        for (field, value) in &change.contact {
            check_contact(*field, value)?;
        }
        summary.extend(contact_summary(change.contact.iter().map(|(field, _)| *field)));
        Ok(SubscriberEdit {
            plan: change.plan.clone(),
            status: change.status.clone(),
            concurrency: change.concurrency,
            reset_day: change.reset_day,
            expires,
            activation: change.activation,
            attributes: AttributeEdit { check, reply, remove },
            login: change.login.clone(),
            credential: CredentialEdit { kind, password },
            groups: change.groups.clone(),
            disabled: change.disabled,
            contact: change.contact.clone(),
            sold: change.sold,
            comments: change.comments.clone(),
            label: change.label.clone(),
            summary: summary.join("; "),
        })
    }

    /// Removes a subscriber; its login is free again, its open sessions are told to end.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_subscriber(&self, login: &str) -> Result<(), ServiceError> {
        self.delete_person(Who::Login(login)).await.map(drop)
    }

    /// The same; gives its number and the login it had.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_person(&self, who: Who<'_>) -> Result<(SubscriberId, String), ServiceError> {
        let (store, author) = self.write()?;
        let gone = store.delete_subscriber(who, self.scope(), &author).await?;
        gone.map(|(id, login)| (id, login.into()))
            .ok_or_else(|| ServiceError::not_found("subscriber", &who.to_string()))
    }
}

/// Finding.
impl Management<'_> {
    /// A subscriber with its rows and its contact; secrets are masked unless asked for and allowed.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`Denial::Secrets`].
    pub async fn person(&self, who: Who<'_>, reveal: bool) -> Result<Person, ServiceError> {
        if reveal && !self.rights().secrets {
            return Err(ServiceError::Denied(Denial::Secrets));
        }
        let found = self.read()?.person(who, self.scope(), &self.author()).await?;
        found
            .map(|person| masked(person, reveal))
            .ok_or_else(|| ServiceError::not_found("subscriber", &who.to_string()))
    }

    /// A page of subscribers, the newest first, without their rows of radreply. The first page gives numbers to
    /// logins that other tools have written since.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn people(&self, filter: &PeopleFilter, paging: Paging) -> Result<Page<Person>, ServiceError> {
        let store = self.read()?;
        if paging.page <= 1 {
            store.sight_new(self.now().unix).await?;
        }
        let page = store.people(filter, self.scope(), paging).await?;
        Ok(page.map(|person| masked(person, false)))
    }

    /// A subscriber with its rows; secrets are masked unless asked for and allowed.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`Denial::Secrets`].
    pub async fn subscriber(&self, login: &str, reveal: bool) -> Result<SubscriberRecord, ServiceError> {
        if reveal && !self.rights().secrets {
            return Err(ServiceError::Denied(Denial::Secrets));
        }
        let found = self.read()?.find_subscriber(login, &self.author()).await?;
        let mut found = found.ok_or_else(|| ServiceError::not_found("subscriber", login))?;
        if !reveal {
            for row in found.check.iter_mut().chain(&mut found.reply) {
                if attributes::is_secret(&row.attribute) {
                    row.value = attributes::MASK.into();
                }
            }
        }
        Ok(found)
    }

    /// Subscribers with a number above `after` whose login contains `search`, by number. The first page
    /// gives numbers to logins that other tools have written since.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn subscribers(
        &self,
        search: &str,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<SubscriberRecord>, ServiceError> {
        let store = self.read()?;
        if after.0 <= 0 {
            store.sight_new(self.now().unix).await?;
        }
        Ok(store.list_subscribers(search, after, limit).await?)
    }
}

/// Groups.
impl Management<'_> {
    /// A page of the groups that subscribers can be given, by name.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn groups(&self, paging: Paging) -> Result<Page<Profile>, ServiceError> {
        Ok(Page::cut(self.read()?.profiles(self.scope()).await?, paging))
    }

    /// A page of the members of a group, the newest subscriber first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn group_members(&self, group: &str, paging: Paging) -> Result<Page<Member>, ServiceError> {
        let store = self.read()?;
        if paging.page <= 1 {
            store.sight_new(self.now().unix).await?;
        }
        let found = store.members(group, self.scope(), paging).await?;
        found.ok_or_else(|| ServiceError::not_found("group", group))
    }

    /// Puts a subscriber into a group, behind those it has; gives it as it is then. `false`: it was there already.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it or the group.
    pub async fn attach_group(&self, who: Who<'_>, group: &str) -> Result<(Person, bool), ServiceError> {
        self.set_membership(who, group, true).await
    }

    /// Takes a subscriber out of a group; gives it as it is then. `false`: it was not in it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn detach_group(&self, who: Who<'_>, group: &str) -> Result<(Person, bool), ServiceError> {
        self.set_membership(who, group, false).await
    }

    async fn set_membership(
        &self,
        who: Who<'_>,
        group: &str,
        member: bool,
    ) -> Result<(Person, bool), ServiceError> {
        let (store, author) = self.write()?;
        let done = store.set_membership(who, group, member, self.scope(), &author).await?;
        done.map(|(person, news)| (masked(person, false), news))
            .map_err(|obstacle| obstacle_error(obstacle, &who.to_string()))
    }
}

/// Single attributes.
impl Management<'_> {
    /// Puts single attributes in the place of rows of the same name, those that can be; gives the subscriber as it
    /// is then, and what became of each.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn put_attributes(
        &self,
        who: Who<'_>,
        orders: &[AttributeOrder],
    ) -> Result<(Person, Vec<Result<AttributeOutcome, ServiceError>>), ServiceError> {
        let (store, author) = self.write()?;
        let sorted: Vec<_> = orders
            .iter()
            .map(|order| {
                attributes::put(&order.name, &order.value, self.dictionary())
                    .map(|(item, is_check)| AttributePut { item, is_check })
                    .map_err(|reason| ServiceError::invalid("attribute", reason))
            })
            .collect();
        let items: Vec<AttributePut> = sorted.iter().filter_map(|put| put.as_ref().ok()).cloned().collect();
        if items.is_empty() {
            let person = store.person(who, self.scope(), &author).await?;
            let person = person.ok_or_else(|| ServiceError::not_found("subscriber", &who.to_string()))?;
            let refused = sorted.into_iter().filter_map(Result::err).map(Err).collect();
            return Ok((masked(person, false), refused));
        }
        let said: Vec<String> = items
            .iter()
            .flat_map(|put| {
                let item = vec![put.item.clone()];
                attributes::summary(&Sorted { check: item, reply: Vec::new() })
            })
            .collect();
        let checks = items.iter().filter(|put| put.is_check).map(|put| put.item.clone()).collect::<Vec<_>>();
        let expires = self.end_by(&checks, std::iter::empty());
        let summary = &said.join("; ");
        let change = AttributeChange { scope: self.scope(), author: &author, expires, summary };
        let (person, rows) = store
            .put_attributes(who, &items, &change)
            .await?
            .map_err(|obstacle| obstacle_error(obstacle, &who.to_string()))?;
        let mut rows = rows.into_iter();
        let outcomes = sorted
            .into_iter()
            .filter_map(|put| match put {
                Err(error) => Some(Err(error)),
                Ok(_) => rows.next().map(|row| Ok(AttributeOutcome { row: row.row, replaced: row.replaced })),
            })
            .collect();
        Ok((masked(person, false), outcomes))
    }

    /// Removes all rows of these names; gives the subscriber as it is then, and of each name whether there was one.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn drop_attributes(
        &self,
        who: Who<'_>,
        names: &[&str],
    ) -> Result<(Person, Vec<bool>), ServiceError> {
        let (store, author) = self.write()?;
        let said: Vec<String> = names.iter().map(|name| format!("-{name}")).collect();
        let expires = self.end_by(&[], names.iter().copied());
        let summary = &said.join("; ");
        let change = AttributeChange { scope: self.scope(), author: &author, expires, summary };
        let done = store.drop_attributes(who, names, &change).await?;
        done.map(|(person, gone)| (masked(person, false), gone))
            .map_err(|obstacle| obstacle_error(obstacle, &who.to_string()))
    }
}

/// The same with secrets masked, unless they are to be seen.
fn masked(mut person: Person, reveal: bool) -> Person {
    if !reveal {
        person.check.iter_mut().chain(&mut person.reply).for_each(mask);
    }
    person
}

fn mask(row: &mut AttributeRow) {
    if attributes::is_secret(&row.attribute) {
        row.value = attributes::MASK.into();
    }
}

pub(super) fn obstacle_error(obstacle: SubscriberObstacle, who: &str) -> ServiceError {
    match obstacle {
        SubscriberObstacle::Taken(login) => taken("subscriber", &login),
        SubscriberObstacle::NoSubscriber => ServiceError::not_found("subscriber", who),
        SubscriberObstacle::NoPlan(name) => ServiceError::not_found("plan", &name),
        SubscriberObstacle::NoAccount(name) => ServiceError::not_found("account", &name),
        SubscriberObstacle::NoPassword => ServiceError::invalid("password", "is required"),
        SubscriberObstacle::NoMac(login) => not_a_mac(&login),
    }
}

fn not_a_mac(login: &str) -> ServiceError {
    ServiceError::invalid("login", format!("must be a MAC address, which {login} is not"))
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Which fields, not what is in them: the audit is kept longer than a person may want.
fn contact_summary(fields: impl Iterator<Item = ContactField>) -> Option<String> {
    let names: Vec<&str> = fields.map(ContactField::column).collect();
    (!names.is_empty()).then(|| format!("contact: {}", names.join(", ")))
}

/// A value of a contact that every database can hold; dates and e-mail addresses have their shape.
fn check_contact(field: ContactField, value: &str) -> Result<(), ServiceError> {
    let reason = if value.chars().count() > CONTACT_CHARACTERS_MAX {
        format!("has at most {CONTACT_CHARACTERS_MAX} characters")
    } else if value.contains('\0') {
        "must not contain NUL".to_owned()
    } else if value.is_empty() {
        return Ok(());
    } else {
        match field {
            ContactField::Email | ContactField::AltEmail if !is_address(value) => {
                "must be a valid email address".to_owned()
            }
            ContactField::Birthdate if value.parse::<jiff::civil::Date>().is_err() || value.len() != 10 => {
                "must be a date (YYYY-MM-DD)".to_owned()
            }
            _ => return Ok(()),
        }
    };
    Err(ServiceError::invalid(field.column(), reason))
}

/// Does a text have the shape of an e-mail address: something, an at sign, a name of a host?
fn is_address(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let odd = |letter: char| letter.is_whitespace() || letter.is_control();
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    !local.is_empty()
        && !local.contains('@')
        && !text.contains(odd)
        && host.contains('.')
        && host.split('.').all(label)
}

fn check_comments(comments: &str) -> Result<(), ServiceError> {
    if comments.chars().count() > COMMENT_CHARACTERS_MAX {
        let reason = format!("has at most {COMMENT_CHARACTERS_MAX} characters");
        return Err(ServiceError::invalid("comments", reason));
    }
    if comments.contains('\0') {
        return Err(ServiceError::invalid("comments", "must not contain NUL"));
    }
    Ok(())
}

/// Does a check item of this name decide who somebody is?
fn proves(attribute: &str) -> bool {
    attribute == "Auth-Type" || attribute.contains("Password")
}

/// The row of radcheck of whose login is enough.
fn login_row() -> NewAttribute {
    NewAttribute::new("Auth-Type", ":=", "Accept")
}

/// The row of radcheck that a password is.
pub(super) fn password_row(password: &str) -> Result<NewAttribute, ServiceError> {
    let reason = if password.is_empty() {
        "must not be empty"
    } else if password.contains('\0') {
        "must not contain NUL"
    } else if password.len() > PASSWORD_OCTETS_MAX {
        "has at most 128 octets (RFC 2865 §5.2)"
    } else {
        return Ok(NewAttribute::new("Cleartext-Password", ":=", password));
    };
    Err(ServiceError::invalid("password", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides() {
        for right in ["johndoe@gmail.com", "a.b+c@x-y.example.org", "\u{e4}@b.de"] {
            assert!(is_address(right), "{right}");
        }
        for wrong in ["", "john", "@x.y", "a@b", "a@.b", "a@b.", "a b@c.d", "a@b@c.d", "a@-b.c"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn contacts_are_checked() {
        let wrong = |field, value: &str| check_contact(field, value).is_err();
        assert!(wrong(ContactField::Birthdate, "2001-02-29") && wrong(ContactField::Birthdate, "20010228"));
        assert!(!wrong(ContactField::Birthdate, "2000-02-29") && !wrong(ContactField::Birthdate, ""));
        assert!(
            wrong(ContactField::City, &"x".repeat(256)) && !wrong(ContactField::City, &"\u{e4}".repeat(255))
        );
    }
}
