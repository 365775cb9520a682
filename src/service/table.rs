//! The session table: an entry for each subscriber, whatever it is called, and one for each login that nobody
//! has and of which sessions are known.
//!
//! Holding an entry is holding the lock of its owner. Whoever holds that of a login may lock that of a subscriber, never
//! the other way round; no two of a kind are held at a time.

use dashmap::DashMap;
use dashmap::mapref::entry::{Entry, OccupiedEntry};
use dashmap::mapref::multiple::RefMutMulti;
use dashmap::mapref::one::{Ref, RefMut};
use smol_str::SmolStr;

use super::answer::Wanted;
use crate::domain::SubscriberId;
use crate::sessions::SubscriberSessions;

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A subscriber's, by its number: its login may be another one tomorrow.
    Subscriber(SubscriberId),
    /// Nobody's: those of a login that no subscriber has.
    Login(SmolStr),
}

impl Owner {
    /// Who has to be looked up for it.
    pub(super) fn wanted(&self) -> Wanted {
        match self {
            Self::Subscriber(subscriber) => Wanted::Subscriber(*subscriber),
            Self::Login(login) => Wanted::Login(login.clone()),
        }
    }
}

/// All entries, by owner.
#[derive(Debug, Default)]
pub(super) struct Table {
    subscribers: DashMap<Owner, SubscriberSessions>,
    nobodys: DashMap<Owner, SubscriberSessions>,
}

impl Table {
    pub(super) fn get(&self, owner: &Owner) -> Option<Ref<'_, Owner, SubscriberSessions>> {
        self.part(owner).get(owner)
    }

    pub(super) fn get_mut(&self, owner: &Owner) -> Option<RefMut<'_, Owner, SubscriberSessions>> {
        self.part(owner).get_mut(owner)
    }

    /// The entry, made where there is none.
    pub(super) fn entry(&self, owner: &Owner) -> RefMut<'_, Owner, SubscriberSessions> {
        match self.get_mut(owner) {
            Some(entry) => entry,
            None => self.part(owner).entry(owner.clone()).or_default(),
        }
    }

    pub(super) fn contains(&self, owner: &Owner) -> bool {
        self.part(owner).contains_key(owner)
    }

    /// The entry of a login that nobody had until now, to be taken out.
    pub(super) fn nobodys(&self, login: &SmolStr) -> Option<OccupiedEntry<'_, Owner, SubscriberSessions>> {
        let owner = Owner::Login(login.clone());
        if !self.nobodys.contains_key(&owner) {
            return None;
        }
        match self.nobodys.entry(owner) {
            Entry::Occupied(entry) => Some(entry),
            Entry::Vacant(_) => None,
        }
    }

    /// Who has an entry.
    pub(super) fn owners(&self) -> Vec<Owner> {
        let parts = [&self.subscribers, &self.nobodys];
        parts.into_iter().flat_map(|part| part.iter().map(|entry| entry.key().clone())).collect()
    }

    /// One after the other.
    pub(super) fn iter_mut(&self) -> impl Iterator<Item = RefMutMulti<'_, Owner, SubscriberSessions>> {
        self.subscribers.iter_mut().chain(self.nobodys.iter_mut())
    }

    fn part(&self, owner: &Owner) -> &DashMap<Owner, SubscriberSessions> {
        match owner {
            Owner::Subscriber(_) => &self.subscribers,
            Owner::Login(_) => &self.nobodys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_larger_than_a_login() {
        assert_eq!(size_of::<Owner>(), size_of::<SmolStr>());
    }
}
