//! Holds off whoever guesses passwords, and subscribers who log in without end.
//!
//! Nobody must be able to lock a subscriber out by guessing. So wrong passwords count by subscriber and device
//! first; only a tenfold of them holds off the other devices of the subscriber; a tenfold of one device over all
//! subscribers holds off that device. The device that got in last is never held off from its subscriber: it has
//! nothing to guess. Everything ends a minute after the first wrong password. Accounting is not asked about: what
//! is open goes on.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::domain::{RejectReason, Tally};
use crate::engine::Denial;

/// How often somebody may try. 0 is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginLimits {
    /// Wrong passwords for one subscriber from one device within a minute.
    pub failures_per_minute: u32,
    /// Accepted logins of one subscriber within a minute.
    pub logins_per_minute: u32,
}

/// So many times the failures of one device with one subscriber: those of one device with all, and of all
/// devices with one.
const SPREAD: u32 = 10;
/// Devices whose failures are remembered at a time, some 40 octets each; which of them share a place is not
/// to be guessed.
const STATIONS: usize = 16_384;
/// Devices whose failures are remembered of one subscriber. Who shows more of them meets the limit over all.
const STATIONS_OF_ONE: usize = 8;

/// Where a login comes from, as far as a guesser is told from his victim by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station {
    id: u64,
    /// It is a device of its own. Else it is everybody behind one NAS.
    named: bool,
}

/// Failures of all devices, a few octets of each.
pub(super) struct Guesses {
    limits: LoginLimits,
    hasher: RandomState,
    stations: Box<[Mutex<(u64, Tally)>]>,
}

impl Guesses {
    pub(super) fn new(limits: LoginLimits) -> Self {
        let stations = if limits.failures_per_minute > 0 { STATIONS } else { 0 };
        Self {
            limits,
            hasher: RandomState::new(),
            stations: (0..stations).map(|_| Mutex::default()).collect(),
        }
    }

    /// Where a login with this Calling-Station-Id comes from. `None` for a device that is let in by its address:
    /// no password is asked, so it is neither held off nor counted.
    pub(super) fn station(
        &self,
        calling_station_id: Option<&[u8]>,
        source: IpAddr,
        is_let_in: bool,
    ) -> Option<Station> {
        Some(match calling_station_id {
            _ if is_let_in => return None,
            Some(calling) => Station { id: self.hasher.hash_one(calling), named: true },
            None => Station { id: self.hasher.hash_one(source), named: false },
        })
    }

    /// Why a login is not looked at now, if it is not.
    pub(super) fn held(
        &self,
        tries: Option<&Tries>,
        station: Option<Station>,
        now: Instant,
    ) -> Option<Denial> {
        let (tries, station) = tries.zip(station)?;
        let LoginLimits { failures_per_minute: failures, logins_per_minute: logins } = self.limits;
        let held = |reason, rule| Some(Denial { reason, rule: SmolStr::new_static(rule) });
        let failed = |count, limit: u32| failures > 0 && count >= failures.saturating_mul(limit);
        let seen = tries.seen(station, now);
        if !seen.trusted {
            if station.named && failed(seen.from_station, 1) {
                return held(RejectReason::TooManyFailures, OF_BOTH);
            }
            if failed(seen.from_all, SPREAD) {
                return held(RejectReason::TooManyFailures, OF_SUBSCRIBER);
            }
            if station.named && failed(self.failures(station, now), SPREAD) {
                return held(RejectReason::TooManyFailures, OF_DEVICE);
            }
        }
        if logins > 0 && seen.logins >= logins {
            return held(RejectReason::TooManyLogins, LOGINS);
        }
        None
    }

    /// Takes note of a decided login that asked for a password.
    pub(super) fn decided(
        &self,
        tries: Option<&Tries>,
        station: Station,
        reject: Option<RejectReason>,
        now: Instant,
    ) {
        match (reject, tries) {
            (None, Some(tries)) => tries.succeeded(station, self.limits.logins_per_minute > 0, now),
            (Some(RejectReason::WrongPassword | RejectReason::UnknownLogin), _)
                if !self.stations.is_empty() =>
            {
                if let Some(tries) = tries {
                    tries.failed(station, now);
                }
                if station.named {
                    self.failed(station, now);
                }
            }
            _ => {}
        }
    }

    fn failures(&self, station: Station, now: Instant) -> u32 {
        let Some(place) = self.place(station) else { return 0 };
        let (id, tally) = *place.lock();
        if id == station.id { tally.count(now) } else { 0 }
    }

    /// A device that shares its place with one that is still counted is not.
    fn failed(&self, station: Station, now: Instant) {
        let Some(place) = self.place(station) else { return };
        let mut place = place.lock();
        if place.0 != station.id && place.1.is_over(now) {
            *place = (station.id, Tally::default());
        }
        if place.0 == station.id {
            place.1.add(now);
        }
    }

    fn place(&self, station: Station) -> Option<&Mutex<(u64, Tally)>> {
        let places = u64::try_from(self.stations.len()).ok().filter(|places| *places > 0)?;
        self.stations.get(usize::try_from(station.id % places).ok()?)
    }
}

impl std::fmt::Debug for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guesses").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The tries of one subscriber. Nothing is allocated for one whose logins are right.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// The device that was let in last; 0 is none.
    trusted: AtomicU64,
    recent: Mutex<Option<Box<Recent>>>,
}

#[derive(Debug, Default)]
struct Recent {
    logins: Tally,
    failures: Tally,
    by_station: SmallVec<[(u64, Tally); 1]>,
}

/// What of the last minute counts for a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SeenOf {
    from_station: u32,
    from_all: u32,
    logins: u32,
    trusted: bool,
}

impl Tries {
    fn seen(&self, station: Station, now: Instant) -> SeenOf {
        let recent = self.recent.lock();
        let Some(recent) = recent.as_deref() else { return SeenOf::default() };
        let own = recent.by_station.iter().find(|(id, _)| *id == station.id);
        SeenOf {
            from_station: own.map_or(0, |(_, tally)| tally.count(now)),
            from_all: recent.failures.count(now),
            logins: recent.logins.count(now),
            trusted: self.trusted.load(Ordering::Relaxed) == station.id,
        }
    }

    fn failed(&self, station: Station, now: Instant) {
        let mut recent = self.recent.lock();
        let recent = recent.get_or_insert_default();
        recent.failures.add(now);
        let stations = &mut recent.by_station;
        if let Some((_, tally)) = stations.iter_mut().find(|(id, _)| *id == station.id) {
            tally.add(now);
            return;
        }
        stations.retain(|(_, tally)| !tally.is_over(now));
        if stations.len() >= STATIONS_OF_ONE {
            stations.remove(0);
        }
        let mut tally = Tally::default();
        tally.add(now);
        stations.push((station.id, tally));
    }

    /// The right password: what the device failed before was a slip.
    fn succeeded(&self, station: Station, counts: bool, now: Instant) {
        self.trusted.store(station.id, Ordering::Relaxed);
        let mut kept = self.recent.lock();
        if counts {
            kept.get_or_insert_default().logins.add(now);
        }
        if let Some(recent) = kept.as_deref_mut() {
            recent.by_station.retain(|(id, tally)| *id != station.id && !tally.is_over(now));
            if recent.failures.is_over(now) && recent.logins.is_over(now) {
                *kept = None;
            }
        }
    }

    /// Its rows are new, the password perhaps too: whoever was held off may try.
    pub(super) fn forgive(&self) {
        if let Some(recent) = self.recent.lock().as_deref_mut() {
            recent.failures = Tally::default();
            recent.by_station.clear();
        }
    }
}

const OF_BOTH: &str = "too many wrong passwords from this device for this subscriber within a minute";
const OF_SUBSCRIBER: &str = "too many wrong passwords for this subscriber within a minute";
const OF_DEVICE: &str = "too many wrong passwords from this device within a minute";
const LOGINS: &str = "too many logins of this subscriber within a minute";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::{Clock as _, SystemClock};

    const LIMITS: LoginLimits = LoginLimits { failures_per_minute: 10, logins_per_minute: 5 };
    const WRONG: Option<RejectReason> = Some(RejectReason::WrongPassword);

    fn device(number: u64) -> Station {
        Station { id: number, named: true }
    }

    fn rule(guesses: &Guesses, tries: &Tries, station: Station, now: Instant) -> Option<&'static str> {
        let rules = [OF_BOTH, OF_SUBSCRIBER, OF_DEVICE, LOGINS];
        let held = guesses.held(Some(tries), Some(station), now)?;
        rules.into_iter().find(|rule| held.rule == *rule)
    }

    #[test]
    fn ht_10_ten_wrong_passwords_of_a_device_hold_it_off_and_no_other() {
        let (guesses, tries, now) = (Guesses::new(LIMITS), Tries::default(), SystemClock.now().instant);
        for _ in 0..10 {
            assert_eq!(rule(&guesses, &tries, device(1), now), None);
            guesses.decided(Some(&tries), device(1), WRONG, now);
        }
        assert_eq!(rule(&guesses, &tries, device(1), now), Some(OF_BOTH));
        assert_eq!(rule(&guesses, &tries, device(2), now), None, "the subscriber's own device gets in");
        assert_eq!(rule(&guesses, &Tries::default(), device(1), now), None, "another subscriber");
        let later = now + Duration::from_secs(60);
        assert_eq!(rule(&guesses, &tries, device(1), later), None, "a minute after the first");
    }

    #[test]
    fn ht_10_who_got_in_last_may_slip_and_who_does_not_say_its_name_is_not_taken_for_one_device() {
        let (guesses, now) = (Guesses::new(LIMITS), SystemClock.now().instant);
        let unnamed = Station { id: 5, named: false };
        for (station, gets_in, rejects) in
            [(device(1), true, 3000), (unnamed, true, 3000), (unnamed, false, 99)]
        {
            let tries = Tries::default();
            if gets_in {
                guesses.decided(Some(&tries), station, None, now);
            }
            for _ in 0..rejects {
                guesses.decided(Some(&tries), station, WRONG, now);
            }
            assert_eq!(rule(&guesses, &tries, station, now), None, "{station:?}");
            guesses.decided(Some(&tries), station, WRONG, now);
            let held = (!gets_in).then_some(OF_SUBSCRIBER);
            assert_eq!(rule(&guesses, &tries, station, now), held, "{station:?}");
        }
    }

    #[test]
    fn ht_10_guesses_from_ever_new_devices_hold_off_all_but_the_one_that_got_in() {
        let (guesses, tries, now) = (Guesses::new(LIMITS), Tries::default(), SystemClock.now().instant);
        guesses.decided(Some(&tries), device(7), None, now);
        for number in 100..200 {
            assert_eq!(rule(&guesses, &tries, device(number), now), None);
            guesses.decided(Some(&tries), device(number), WRONG, now);
        }
        assert_eq!(rule(&guesses, &tries, device(9), now), Some(OF_SUBSCRIBER));
        assert_eq!(rule(&guesses, &tries, device(7), now), None);
        let remembered = tries.recent.lock().as_ref().map(|recent| recent.by_station.len());
        assert_eq!(remembered, Some(STATIONS_OF_ONE), "memory is bounded");
    }

    #[test]
    fn ht_10_one_device_may_not_try_one_password_with_everybody() {
        let (guesses, now) = (Guesses::new(LIMITS), SystemClock.now().instant);
        let nobody = Some(RejectReason::UnknownLogin);
        for number in 0..100 {
            let tries = Tries::default();
            assert_eq!(rule(&guesses, &tries, device(1), now), None);
            let tries = (number % 2 == 0).then_some(&tries);
            guesses.decided(tries, device(1), if tries.is_some() { WRONG } else { nobody }, now);
        }
        let tries = Tries::default();
        assert_eq!(rule(&guesses, &tries, device(1), now), Some(OF_DEVICE));
        assert_eq!(rule(&guesses, &tries, device(2), now), None);
        // Where the NAS does not tell who calls, everybody behind it would be meant.
        let all = Station { id: 5, named: false };
        for _ in 0..200 {
            guesses.decided(Some(&Tries::default()), all, WRONG, now);
        }
        assert_eq!(rule(&guesses, &tries, all, now), None);
    }

    #[test]
    fn a_right_password_or_new_rows_wipe_the_slate_clean() {
        let (guesses, tries, now) = (Guesses::new(LIMITS), Tries::default(), SystemClock.now().instant);
        for round in 0..4 {
            for _ in 0..9 {
                guesses.decided(Some(&tries), device(1), WRONG, now);
            }
            assert_eq!(rule(&guesses, &tries, device(1), now), None, "round {round}");
            guesses.decided(Some(&tries), device(1), None, now);
        }
        for _ in 0..10 {
            guesses.decided(Some(&tries), device(2), WRONG, now);
        }
        assert_eq!(rule(&guesses, &tries, device(2), now), Some(OF_BOTH));
        tries.forgive();
        assert_eq!(rule(&guesses, &tries, device(2), now), None);
    }

    #[test]
    fn a_subscriber_logs_in_so_often_a_minute_and_wrong_passwords_are_none_of_them() {
        let (guesses, tries, now) = (Guesses::new(LIMITS), Tries::default(), SystemClock.now().instant);
        guesses.decided(Some(&tries), device(2), WRONG, now);
        for _ in 0..5 {
            assert_eq!(rule(&guesses, &tries, device(1), now), None);
            guesses.decided(Some(&tries), device(1), None, now);
        }
        assert_eq!(rule(&guesses, &tries, device(1), now), Some(LOGINS));
        assert_eq!(rule(&guesses, &tries, device(1), now + Duration::from_secs(60)), None);
        let unlimited = Guesses::new(LoginLimits::default());
        for _ in 0..1000 {
            unlimited.decided(Some(&tries), device(3), WRONG, now);
            unlimited.decided(Some(&tries), device(3), None, now);
        }
        assert_eq!(rule(&unlimited, &tries, device(3), now), None, "0 is without limit");
    }

    #[test]
    fn v13_the_memory_of_guessers_does_not_grow_with_them() {
        let (guesses, now) = (Guesses::new(LIMITS), SystemClock.now().instant);
        for number in 0..100_000 {
            guesses.decided(None, device(number), Some(RejectReason::UnknownLogin), now);
        }
        assert_eq!(guesses.stations.len(), STATIONS);
        assert_eq!(guesses.failures(device(1), now), 1, "who was there first is still counted");
    }
}
