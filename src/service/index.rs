//! Ways to find a session that is not asked for by its subscriber. They may lag the subscriber's
//! entry by moments and are never the truth: what they find is looked at again under its lock.

use std::collections::HashSet;
use std::net::IpAddr;

use dashmap::DashMap;
use foldhash::quality::RandomState;
use smol_str::SmolStr;

use crate::domain::{NasIdentity, Session, SessionKey, UniqueId};

/// Where a NAS is looked for: its source address and the address it gives itself.
type NasAddresses = (IpAddr, IpAddr);

/// The indexes of all sessions in memory, closed ones that are still remembered included.
#[derive(Debug, Default)]
pub(super) struct Index {
    owners: DashMap<SessionKey, Owner, RandomState>,
    unique: DashMap<UniqueId, SessionKey, RandomState>,
    nases: DashMap<NasAddresses, HashSet<SessionKey, RandomState>, RandomState>,
}

#[derive(Debug)]
struct Owner {
    login: SmolStr,
    /// Sessions that have the key: the uses of one Acct-Session-Id.
    sessions: u32,
}

impl Index {
    /// Whose session has this key.
    pub(super) fn login(&self, key: &SessionKey) -> Option<SmolStr> {
        self.owners.get(key).map(|owner| owner.login.clone())
    }

    /// The key of the session with this row.
    pub(super) fn key(&self, unique: &UniqueId) -> Option<SessionKey> {
        self.unique.get(unique).map(|key| *key.value())
    }

    /// The keys of the sessions of the NASes that `nas` speaks for.
    pub(super) fn by_nas(&self, nas: &NasIdentity) -> Vec<SessionKey> {
        match nas.address {
            Some(address) => self
                .nases
                .get(&(nas.source, address))
                .map_or_else(Vec::new, |keys| keys.iter().copied().collect()),
            None => self
                .nases
                .iter()
                .filter(|entry| entry.key().0 == nas.source)
                .flat_map(|entry| entry.value().iter().copied().collect::<Vec<_>>())
                .collect(),
        }
    }

    /// Notes where a session is found. Under the lock of `login`.
    pub(super) fn put(&self, login: &SmolStr, session: &Session) {
        if self.unique.insert(session.unique_id, session.key).is_some() {
            return;
        }
        let mut owner =
            self.owners.entry(session.key).or_insert_with(|| Owner { login: login.clone(), sessions: 0 });
        owner.sessions += 1;
        drop(owner);
        self.nases.entry((session.nas.source, session.nas.ip())).or_default().insert(session.key);
    }

    /// Forgets a session that is in memory no more. Under the lock of its login.
    pub(super) fn remove(&self, session: &Session) {
        if self.unique.remove(&session.unique_id).is_none() {
            return;
        }
        let last = self.owners.get_mut(&session.key).is_some_and(|mut owner| {
            owner.sessions = owner.sessions.saturating_sub(1);
            owner.sessions == 0
        });
        if !last {
            return;
        }
        self.owners.remove_if(&session.key, |_, owner| owner.sessions == 0);
        let place = (session.nas.source, session.nas.ip());
        if let Some(mut keys) = self.nases.get_mut(&place) {
            keys.remove(&session.key);
        }
        self.nases.remove_if(&place, |_, keys| keys.is_empty());
    }

    /// Sessions that can be found.
    pub(super) fn len(&self) -> usize {
        self.unique.len()
    }
}
