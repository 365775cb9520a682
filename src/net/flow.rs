//! What one source address may send and hold, so that one noisy NAS does not starve the others.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::Settings;
use super::admission::{Asked, Rate};
use crate::time::Now;

/// A part of a queue that one source address may fill.
#[derive(Debug)]
pub(super) struct Share {
    held: AtomicUsize,
    most: usize,
}

impl Share {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), most })
    }

    /// A place, unless all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        if self.held.fetch_add(1, Ordering::Relaxed) < self.most {
            return Some(Place(Arc::clone(self)));
        }
        self.held.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

/// A place in a queue, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Share>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One source address, as all sockets see it.
#[derive(Debug)]
pub(super) struct Flow {
    /// Unsigned logins, signed ones, records: whoever forges the first holds up none of the others.
    rates: [Option<Mutex<Rate>>; 3],
    /// Logins that wait for rows or a slow hash.
    pub(super) logins: Arc<Share>,
    /// Records that wait for rows.
    pub(super) records: Arc<Share>,
    /// Records that wait for their commit, those that wait for rows among them.
    pub(super) in_flight: Arc<Share>,
}

impl Flow {
    fn new(limits: &Limits) -> Self {
        let rate = |per_second| (per_second > 0).then(|| Mutex::new(Rate::new(per_second, per_second)));
        Self {
            rates: [
                rate(limits.logins_per_second),
                rate(limits.logins_per_second),
                rate(limits.records_per_second),
            ],
            logins: Share::new(limits.logins_waiting),
            records: Share::new(limits.records_waiting),
            in_flight: Share::new(limits.in_flight),
        }
    }

    /// May it ask that now?
    pub(super) fn admits(&self, asked: Asked, signed: bool, now: Now) -> bool {
        let [unsigned_logins, signed_logins, records] = &self.rates;
        let rate = match asked {
            Asked::Access if signed => signed_logins,
            Asked::Access => unsigned_logins,
            Asked::Accounting => records,
            Asked::Status => &None,
        };
        rate.as_ref().is_none_or(|rate| rate.lock().admit(now))
    }
}

#[derive(Debug)]
struct Limits {
    logins_per_second: u32,
    records_per_second: u32,
    logins_waiting: usize,
    records_waiting: usize,
    in_flight: usize,
}

/// All source addresses that were heard of.
#[derive(Debug)]
pub(super) struct Flows {
    limits: Limits,
    by_source: DashMap<IpAddr, Arc<Flow>>,
}

/// Most source addresses that are remembered; then it begins anew.
const SOURCES_MAX: usize = 16_384;

impl Flows {
    pub(super) fn new(settings: &Settings) -> Self {
        let share = |whole: usize| whole.div_ceil(settings.duplicates.client_share.max(1));
        let limits = Limits {
            logins_per_second: settings.logins_per_second_per_nas,
            records_per_second: settings.records_per_second_per_nas,
            logins_waiting: share(settings.logins_waiting_max),
            records_waiting: share(settings.records_waiting_max),
            in_flight: settings.records_in_flight_per_nas,
        };
        Self { limits, by_source: DashMap::new() }
    }

    /// That of one source address of a NAS.
    pub(super) fn of(&self, source: IpAddr) -> Arc<Flow> {
        if let Some(known) = self.by_source.get(&source) {
            return Arc::clone(&known);
        }
        if self.by_source.len() >= SOURCES_MAX {
            self.by_source.clear();
        }
        Arc::clone(&self.by_source.entry(source).or_insert_with(|| Arc::new(Flow::new(&self.limits))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock as _, SystemClock};

    #[test]
    fn v13_a_flood_from_many_addresses_does_not_grow() {
        let flows = Flows::new(&Settings::default());
        let one = flows.of("10.0.0.1".parse().unwrap());
        assert!(Arc::ptr_eq(&one, &flows.of("10.0.0.1".parse().unwrap())), "every socket has the same");
        for number in 0..50_000_u32 {
            flows.of(std::net::Ipv4Addr::from_bits(0x0a01_0000 + number).into());
        }
        assert!(flows.by_source.len() <= SOURCES_MAX, "{}", flows.by_source.len());
    }

    #[test]
    fn ds_13_what_cannot_be_told_from_forged_has_a_rate_of_its_own() {
        let limited =
            Settings { logins_per_second_per_nas: 3, records_per_second_per_nas: 2, ..Settings::default() };
        let (flow, now) = (Flows::new(&limited).of("10.0.0.1".parse().unwrap()), SystemClock.now());
        let admitted = |asked, signed| (0..10).filter(|_| flow.admits(asked, signed, now)).count();
        assert_eq!(admitted(Asked::Access, false), 3);
        assert_eq!(admitted(Asked::Access, true), 3);
        assert_eq!(admitted(Asked::Accounting, true), 2);
        assert_eq!(admitted(Asked::Status, true), 10, "they have a rate of their own");
        let later = now.plus(std::time::Duration::from_secs(1));
        assert!(flow.admits(Asked::Access, false, later));
        let unlimited = Flows::new(&Settings::default()).of("10.0.0.1".parse().unwrap());
        assert_eq!((0..100_000).filter(|_| unlimited.admits(Asked::Access, false, now)).count(), 100_000);
    }

    #[test]
    fn a_place_is_free_again_once_it_is_left() {
        let share = Share::new(2);
        let (one, two) = (share.take(), share.take());
        assert!(one.is_some() && two.is_some() && share.take().is_none());
        drop(one);
        assert!(share.take().is_some());
    }
}
