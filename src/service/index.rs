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
    nases: DashMap<NasAddresses, HashSet<UniqueId, RandomState>, RandomState>,
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

    /// The sessions of the NASes that `nas` speaks for.
    pub(super) fn by_nas(&self, nas: &NasIdentity) -> Vec<UniqueId> {
        match nas.address {
            Some(address) => self
                .nases
                .get(&(nas.source, address))
                .map_or_else(Vec::new, |sessions| sessions.iter().copied().collect()),
            None => self
                .nases
                .iter()
                .filter(|entry| entry.key().0 == nas.source)
                .flat_map(|entry| entry.value().iter().copied().collect::<Vec<_>>())
                .collect(),
        }
    }

    /// Notes where a session is found; `former` is the NAS that served it until now, where another does
    /// since. Under the lock of `login`.
    pub(super) fn put(&self, login: &SmolStr, session: &Session, former: Option<&NasIdentity>) {
        let known = self.unique.insert(session.unique_id, session.key);
        if let Some(former) = former {
            self.leave(former, session.unique_id);
        }
        if known.is_none() || former.is_some() {
            self.nases.entry(place_of(&session.nas)).or_default().insert(session.unique_id);
        }
        match known {
            Some(known) if known == session.key => return,
            // Its records have begun to carry our token.
            Some(known) => self.release(login, &known),
            None => {}
        }
        let mut owners = self.owners.entry(session.key).or_default();
        match owners.iter_mut().find(|owner| owner.login == *login) {
            Some(owner) => owner.sessions += 1,
            None => owners.push(Owner { login: login.clone(), sessions: 1 }),
        }
    }

    /// Forgets a session that is in memory no more. Under the lock of its login.
    pub(super) fn remove(&self, login: &SmolStr, session: &Session) {
        if let Some((_, key)) = self.unique.remove(&session.unique_id) {
            self.release(login, &key);
            self.leave(&session.nas, session.unique_id);
        }
    }

    /// One session of the login less has the key.
    fn release(&self, login: &SmolStr, key: &SessionKey) {
        if let Some(mut owners) = self.owners.get_mut(key) {
            if let Some(owner) = owners.iter_mut().find(|owner| owner.login == *login) {
                owner.sessions = owner.sessions.saturating_sub(1);
            }
            owners.retain(|owner| owner.sessions > 0);
        }
        self.owners.remove_if(key, |_, owners| owners.is_empty());
    }

    /// The NAS does not serve the session any more.
    fn leave(&self, nas: &NasIdentity, unique: UniqueId) {
        let place = place_of(nas);
        if let Some(mut sessions) = self.nases.get_mut(&place) {
            sessions.remove(&unique);
        }
        self.nases.remove_if(&place, |_, sessions| sessions.is_empty());
    }

    /// Sessions that can be found, closed ones that are still remembered included.
    pub(super) fn len(&self) -> usize {
        self.unique.len()
    }
}

fn place_of(nas: &NasIdentity) -> NasAddresses {
    (nas.source, nas.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coa::tests::session;

    fn nas(last: u8) -> NasIdentity {
        let address = IpAddr::from([10, 0, 0, last]);
        NasIdentity { source: address, address: Some(address), identifier: SmolStr::default() }
    }

    #[test]
    fn a_session_that_roams_is_found_by_the_nas_that_serves_it_now() {
        let (index, login) = (Index::default(), SmolStr::new_static("bob"));
        let mut roamer = session();
        roamer.nas = nas(1);
        index.put(&login, &roamer, None);
        assert_eq!(index.by_nas(&nas(1)), [roamer.unique_id]);
        let former = std::mem::replace(&mut roamer.nas, nas(2));
        index.put(&login, &roamer, Some(&former));
        assert_eq!((index.by_nas(&nas(1)), index.by_nas(&nas(2))), (vec![], vec![roamer.unique_id]));
        index.remove(&login, &roamer);
        assert!(index.owners.is_empty() && index.unique.is_empty() && index.nases.is_empty());
    }

    #[test]
    fn a_token_that_comes_later_changes_the_key_and_not_the_nas() {
        let (index, login) = (Index::default(), SmolStr::new_static("bob"));
        let mut row = session();
        index.put(&login, &row, None);
        let before = std::mem::replace(&mut row.key, SessionKey([9; 16]));
        index.put(&login, &row, None);
        assert!(index.logins(&before).is_empty());
        assert_eq!(index.logins(&row.key).as_slice(), std::slice::from_ref(&login));
        assert_eq!(index.by_nas(&row.nas), [row.unique_id]);
        index.remove(&login, &row);
        assert!(index.owners.is_empty() && index.unique.is_empty() && index.nases.is_empty());
    }
}
