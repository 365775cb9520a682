//! Ways to find a session that is not asked for by its subscriber. They may lag the subscriber's
//! entry by moments and are never the truth: what they find is looked at again under its lock.

use std::collections::HashSet;
use std::net::IpAddr;

use dashmap::DashMap;
use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::table::Owner;
use crate::domain::{NasIdentity, Session, SessionKey, UniqueId};

/// Where a NAS is looked for: its source address and the address it gives itself.
type NasAddresses = (IpAddr, IpAddr);

/// The indexes of all sessions in memory, closed ones that are still remembered included.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the key of records without our token; who has one says whose it is. More than one where another
    /// subscriber got an Acct-Session-Id that was used before.
    owners: DashMap<SessionKey, SmallVec<[Share; 1]>, RandomState>,
    unique: DashMap<UniqueId, SessionKey, RandomState>,
    nases: DashMap<NasAddresses, HashSet<UniqueId, RandomState>, RandomState>,
}

#[derive(Debug)]
struct Share {
    owner: Owner,
    /// Its sessions that have the key: the uses of one Acct-Session-Id.
    sessions: u32,
}

impl Index {
    /// Whose sessions a record without our token finds by this key, those that got it first first.
    pub(super) fn owners(&self, key: &SessionKey) -> SmallVec<[Owner; 1]> {
        let owners = self.owners.get(key);
        owners.map(|owners| owners.iter().map(|share| share.owner.clone()).collect()).unwrap_or_default()
    }

    /// Who may have the session with this row.
    pub(super) fn owners_of(&self, unique: &UniqueId) -> SmallVec<[Owner; 1]> {
        let key = self.unique.get(unique).map(|key| *key.value());
        key.map(|key| self.owners(&key)).unwrap_or_default()
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
    /// since. Under the lock of `owner`.
    pub(super) fn put(&self, owner: &Owner, session: &Session, former: Option<&NasIdentity>) {
        let known = self.unique.get(&session.unique_id).map(|key| *key.value());
        if known.is_some() && former.is_none() {
            return;
        }
        if let Some(former) = former {
            self.leave(former, session.unique_id);
        }
        self.nases.entry(place_of(&session.nas)).or_default().insert(session.unique_id);
        let key = key_of(session);
        if known == Some(key) {
            return;
        }
        self.unique.insert(session.unique_id, key);
        if let Some(known) = known {
            self.release(owner, &known);
        }
        let mut owners = self.owners.entry(key).or_default();
        match owners.iter_mut().find(|share| share.owner == *owner) {
            Some(share) => share.sessions += 1,
            None => owners.push(Share { owner: owner.clone(), sessions: 1 }),
        }
    }

    /// A session has another owner now. Under the locks of both.
    pub(super) fn pass(&self, from: &Owner, to: &Owner, session: &Session) {
        let Some(key) = self.unique.get(&session.unique_id).map(|key| *key.value()) else { return };
        {
            let mut owners = self.owners.entry(key).or_default();
            match owners.iter_mut().find(|share| share.owner == *to) {
                Some(share) => share.sessions += 1,
                None => owners.push(Share { owner: to.clone(), sessions: 1 }),
            }
        }
        self.release(from, &key);
    }

    /// Forgets a session that is in memory no more. Under the lock of its owner.
    pub(super) fn remove(&self, owner: &Owner, session: &Session) {
        if let Some((_, key)) = self.unique.remove(&session.unique_id) {
            self.release(owner, &key);
            self.leave(&session.nas, session.unique_id);
        }
    }

    /// One session of the owner less has the key.
    fn release(&self, owner: &Owner, key: &SessionKey) {
        if let Some(mut owners) = self.owners.get_mut(key) {
            if let Some(share) = owners.iter_mut().find(|share| share.owner == *owner) {
                share.sessions = share.sessions.saturating_sub(1);
            }
            owners.retain(|share| share.sessions > 0);
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

/// The key by which a record of the session without our token looks for it.
fn key_of(session: &Session) -> SessionKey {
    // A row that another server wrote has the one that it was asked for with.
    if session.token.is_some() { session.nas_key() } else { session.key }
}

fn place_of(nas: &NasIdentity) -> NasAddresses {
    (nas.source, nas.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coa::tests::session;
    use crate::domain::{ClassToken, SubscriberId};

    fn nas(last: u8) -> NasIdentity {
        let address = IpAddr::from([10, 0, 0, last]);
        NasIdentity { source: address, address: Some(address), identifier: "".into() }
    }

    fn bob() -> Owner {
        Owner::Subscriber(SubscriberId(7))
    }

    fn is_empty(index: &Index) -> bool {
        index.owners.is_empty() && index.unique.is_empty() && index.nases.is_empty()
    }

    #[test]
    fn a_session_that_roams_is_found_by_the_nas_that_serves_it_now() {
        let index = Index::default();
        let mut roamer = session();
        (roamer.nas, roamer.token) = (nas(1), Some(ClassToken([1; 16])));
        index.put(&bob(), &roamer, None);
        assert_eq!(index.by_nas(&nas(1)), [roamer.unique_id]);
        let key = roamer.nas_key();
        let former = std::mem::replace(&mut roamer.nas, nas(2));
        index.put(&bob(), &roamer, Some(&former));
        assert_eq!((index.by_nas(&nas(1)), index.by_nas(&nas(2))), (vec![], vec![roamer.unique_id]));
        assert_eq!((index.owners(&key).len(), index.owners(&roamer.nas_key()).as_slice()), (0, &[bob()][..]));
        index.remove(&bob(), &roamer);
        assert!(is_empty(&index));
    }

    #[test]
    fn a_session_is_found_without_its_token_whenever_that_came() {
        let index = Index::default();
        let mut row = session();
        row.key = row.nas_key();
        index.put(&bob(), &row, None);
        let before = row.key;
        (row.key, row.token) = (SessionKey([9; 16]), Some(ClassToken([9; 16])));
        index.put(&bob(), &row, None);
        assert_eq!(index.owners(&before).as_slice(), [bob()]);
        assert_eq!(index.owners_of(&row.unique_id).as_slice(), [bob()]);
        assert_eq!(index.by_nas(&row.nas), [row.unique_id]);
        index.remove(&bob(), &row);
        assert!(is_empty(&index));
        index.put(&bob(), &row, None);
        assert_eq!(index.owners(&before).as_slice(), [bob()]);
    }

    #[test]
    fn what_passes_to_another_owner_is_found_as_its() {
        let (index, nobody) = (Index::default(), Owner::Login("bob".into()));
        let (one, mut other) = (session(), session());
        other.unique_id = UniqueId([9; 16]);
        index.put(&nobody, &one, None);
        index.put(&nobody, &other, None);
        index.pass(&nobody, &bob(), &one);
        assert_eq!(index.owners(&one.key).as_slice(), [nobody.clone(), bob()]);
        index.pass(&nobody, &bob(), &other);
        assert_eq!(index.owners_of(&other.unique_id).as_slice(), [bob()]);
        index.remove(&bob(), &one);
        index.remove(&bob(), &other);
        assert!(is_empty(&index));
    }
}
