//! What goes into one transaction, or into the spool in one go.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Entry;
use crate::domain::{Day, Effect, NasReload, Session, SubscriberId, UniqueId, Usage, Write};
use crate::service::answer::Waiter;
use crate::time::UnixTime;

/// Rows by key, the last one of each, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    sessions: HashMap<UniqueId, Box<Session>>,
    usage: HashMap<(SubscriberId, Day), Usage>,
    /// The first and the last use.
    used: HashMap<SubscriberId, [UnixTime; 2]>,
    /// By the number of the quota.
    top_ups: BTreeMap<i64, u64>,
    reloads: Vec<NasReload>,
    /// With the session whose row each waits for, where it is one.
    waiters: Vec<(Option<UniqueId>, Waiter)>,
    pub(super) after: Vec<Effect>,
    /// Of all that is here; some more than once.
    pub(super) owners: Vec<u64>,
}

impl Batch {
    /// An entry of the queue, later than those that are there.
    pub(super) fn absorb(&mut self, Entry { owners, pending }: Entry) {
        self.owners.extend(owners);
        let session = pending.writes.iter().find_map(|write| match write {
            Write::Session(session) => Some(session.unique_id),
            _ => None,
        });
        self.put(pending.writes);
        self.waiters.extend(pending.waiter.map(|waiter| (session, waiter)));
        self.after.extend(pending.after);
    }

    /// Rows, later than those that are there.
    pub(super) fn put(&mut self, writes: impl IntoIterator<Item = Write>) {
        for write in writes {
            match write {
                Write::Session(session) => {
                    self.sessions.insert(session.unique_id, session);
                }
                Write::Usage { subscriber, day, total } => {
                    self.usage.insert((subscriber, day), total);
                }
                Write::NasReload(reload) => self.reloads.push(reload),
                Write::TopUp { quota, used } => {
                    let held = self.top_ups.entry(quota).or_default();
                    *held = used.max(*held);
                }
                Write::Used { subscriber, at } => {
                    let [first, last] = self.used.entry(subscriber).or_insert([at; 2]);
                    *first = at.min(*first);
                    *last = at.max(*last);
                }
            }
        }
    }

    /// Another batch, of other owners.
    pub(super) fn take_over(&mut self, mut other: Self) {
        self.put(other.take_writes());
        self.waiters.append(&mut other.waiters);
        self.after.append(&mut other.after);
        self.owners.append(&mut other.owners);
    }

    pub(super) fn take_waiters(&mut self) -> Vec<Waiter> {
        self.waiters.drain(..).map(|(_, waiter)| waiter).collect()
    }

    pub(super) fn waiters_of(&mut self, sessions: &HashSet<UniqueId>) -> Vec<Waiter> {
        let theirs = |(session, _): &mut (Option<UniqueId>, Waiter)| {
            session.is_some_and(|session| sessions.contains(&session))
        };
        self.waiters.extract_if(.., theirs).map(|(_, waiter)| waiter).collect()
    }

    pub(super) fn rows(&self) -> usize {
        self.sessions.len() + self.usage.len() + self.used.len() + self.top_ups.len() + self.reloads.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows() == 0 && self.waiters.is_empty() && self.after.is_empty()
    }

    /// The rows in the order of their keys, which is the same in every transaction, so that two of
    /// them cannot wait for each other.
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.rows());
        writes.extend(self.reloads.drain(..).map(Write::NasReload));
        let mut sessions: Vec<_> = self.sessions.drain().map(|(_, session)| session).collect();
        sessions.sort_unstable_by_key(|session| session.unique_id);
        writes.extend(sessions.into_iter().map(Write::Session));
        let mut usage: Vec<_> = self.usage.drain().collect();
        usage.sort_unstable_by_key(|(key, _)| *key);
        let usage = usage.into_iter();
        writes.extend(usage.map(|((subscriber, day), total)| Write::Usage { subscriber, day, total }));
        let mut used: Vec<_> = self.used.drain().collect();
        used.sort_unstable();
        for (subscriber, [first, last]) in used {
            writes.push(Write::Used { subscriber, at: first });
            if first != last {
                writes.push(Write::Used { subscriber, at: last });
            }
        }
        let top_ups = std::mem::take(&mut self.top_ups).into_iter();
        writes.extend(top_ups.map(|(quota, used)| Write::TopUp { quota, used }));
        writes
    }
}
