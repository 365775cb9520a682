//! Ways to find a session that is not asked for by its subscriber. They may lag the subscriber's
//! entry by moments and are never the truth: what they find is looked at again under its lock.

use std::collections::HashSet;
use std::net::IpAddr;

use dashmap::DashMap;
use foldhash::quality::RandomState;
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::domain::{NasIdentity, Session, SessionKey, UniqueId};

/// Where a NAS is looked for: its source address and the address it gives itself.
type NasAddresses = (IpAddr, IpAddr);

/// The indexes of all sessions in memory, closed ones that are still remembered included.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// More than one where another subscriber got an Acct-Session-Id that was used before.
    owners: DashMap<SessionKey, SmallVec<[Owner; 1]>, RandomState>,
    unique: DashMap<UniqueId, SessionKey, RandomState>,
    nases: DashMap<NasAddresses, HashSet<SessionKey, RandomState>, RandomState>,
}

#[derive(Debug)]
struct Owner {
    login: SmolStr,
    /// Sessions of the login that have the key: the uses of one Acct-Session-Id.
    sessions: u32,
}

impl Index {
    /// Whose sessions have this key, those that got it first first.
    pub(super) fn logins(&self, key: &SessionKey) -> SmallVec<[SmolStr; 1]> {
        let owners = self.owners.get(key);
        owners.map(|owners| owners.iter().map(|owner| owner.login.clone()).collect()).unwrap_or_default()
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
        match self.unique.insert(session.unique_id, session.key) {
            Some(known) if known == session.key => return,
            // Its records have begun to carry our token.
            Some(former) => self.release(login, &former, session),
            None => {}
        }
        let mut owners = self.owners.entry(session.key).or_default();
        match owners.iter_mut().find(|owner| owner.login == *login) {
            Some(owner) => owner.sessions += 1,
            None => owners.push(Owner { login: login.clone(), sessions: 1 }),
        }
        drop(owners);
        self.nases.entry(place_of(session)).or_default().insert(session.key);
    }

    /// Forgets a session that is in memory no more. Under the lock of its login.
    pub(super) fn remove(&self, login: &SmolStr, session: &Session) {
        if let Some((_, key)) = self.unique.remove(&session.unique_id) {
            self.release(login, &key, session);
        }
    }

    /// One session of the login less has the key.
    fn release(&self, login: &SmolStr, key: &SessionKey, session: &Session) {
        if let Some(mut owners) = self.owners.get_mut(key) {
            if let Some(owner) = owners.iter_mut().find(|owner| owner.login == *login) {
                owner.sessions = owner.sessions.saturating_sub(1);
            }
            owners.retain(|owner| owner.sessions > 0);
        }
        if self.owners.remove_if(key, |_, owners| owners.is_empty()).is_none() {
            return;
        }
        let place = place_of(session);
        if let Some(mut keys) = self.nases.get_mut(&place) {
            keys.remove(key);
        }
        self.nases.remove_if(&place, |_, keys| keys.is_empty());
    }

    /// Sessions that can be found.
    pub(super) fn len(&self) -> usize {
        self.unique.len()
    }
}

fn place_of(session: &Session) -> NasAddresses {
    (session.nas.source, session.nas.ip())
}
