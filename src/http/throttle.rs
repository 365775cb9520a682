//! Slows down whoever guesses credentials: so many failures a minute from one source address, and then
//! nothing is looked at until the minute is over. A success wipes the slate clean.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use super::peer::Peer;
use crate::domain::Tally;
use crate::time::Clock;

/// Failures of source addresses. Clones are one.
#[derive(Clone)]
pub struct Throttle {
    per_minute: u32,
    clock: Arc<dyn Clock>,
    failures: Arc<Mutex<HashMap<IpAddr, Tally>>>,
}

/// Addresses that are remembered, about 64 octets each. Who has more addresses than this to guess from is
/// not stopped by counting.
const ADDRESSES_MAX: usize = 65_536;

impl Throttle {
    /// Allows `per_minute` failures.
    #[must_use]
    pub fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        Self { per_minute, clock, failures: Arc::default() }
    }

    /// May this peer show a credential now?
    pub(super) fn allows(&self, peer: Peer) -> bool {
        let failures = self.failures.lock().get(&network(peer)).copied().unwrap_or_default();
        failures.count(self.clock.now().instant) < self.per_minute
    }

    /// A credential was wrong.
    pub(super) fn failed(&self, peer: Peer) {
        let now = self.clock.now().instant;
        let mut known = self.failures.lock();
        if known.len() >= ADDRESSES_MAX {
            known.retain(|_, failures| !failures.is_over(now));
            if known.len() >= ADDRESSES_MAX {
                known.clear();
            }
        }
        known.entry(network(peer)).or_default().add(now);
    }

    /// A credential was right.
    pub(super) fn succeeded(&self, peer: Peer) {
        self.failures.lock().remove(&network(peer));
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

/// Whose failures are one's: an IPv6 subscriber has a whole /64.
fn network(peer: Peer) -> IpAddr {
    match peer.0 {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::time::{Now, SystemClock};

    #[derive(Default)]
    struct Moved(AtomicU64);

    impl Clock for Moved {
        fn now(&self) -> Now {
            SystemClock.now().plus(Duration::from_secs(self.0.load(Ordering::SeqCst)))
        }
    }

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn ten_failures_a_minute_and_address() {
        let clock = Arc::new(Moved::default());
        let throttle = Throttle::new(10, clock.clone());
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        for _ in 0..10 {
            assert!(throttle.allows(one));
            throttle.failed(one);
        }
        assert!(!throttle.allows(one) && throttle.allows(other));
        clock.0.store(61, Ordering::SeqCst);
        assert!(throttle.allows(one));
        throttle.failed(one);
        assert!(throttle.allows(one), "the count begins anew");
    }

    #[test]
    fn a_success_wipes_the_slate_clean() {
        let throttle = Throttle::new(2, Arc::new(SystemClock));
        let one = peer("192.0.2.1");
        throttle.failed(one);
        throttle.succeeded(one);
        throttle.failed(one);
        assert!(throttle.allows(one));
        throttle.failed(one);
        assert!(!throttle.allows(one));
    }

    #[test]
    fn a_64_of_ipv6_is_one_address() {
        let throttle = Throttle::new(1, Arc::new(SystemClock));
        throttle.failed(peer("2001:db8::1"));
        let allowed = ["2001:db8::ffff", "2001:db8:0:1::1"].map(|text| throttle.allows(peer(text)));
        assert_eq!(allowed, [false, true]);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(1, Arc::new(SystemClock));
        for number in 0..70_000_u32 {
            throttle.failed(Peer(IpAddr::V4(number.into())));
        }
        assert!(throttle.failures.lock().len() <= ADDRESSES_MAX);
    }
}
