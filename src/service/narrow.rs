//! NASes whose octet counters have 32 bits: what a session moves beyond 4 GiB between two of its records is
//! counted short, and nobody would notice.

use std::net::IpAddr;

use dashmap::DashMap;

use super::state::State;
use crate::domain::NasIdentity;
use crate::telemetry::names;

/// What `/health` calls it.
const TOPIC: &str = "counters";
/// NASes that are remembered.
const NASES_MAX: usize = 100_000;

/// The addresses of NASes whose counters have begun anew at 2^32, and that never sent Gigawords.
#[derive(Debug, Default)]
pub(super) struct Narrow(DashMap<IpAddr, ()>);

impl Narrow {
    /// A counter of this NAS has wrapped. Is that news?
    fn wraps(&self, source: IpAddr) -> bool {
        !self.0.contains_key(&source) && self.0.len() < NASES_MAX && self.0.insert(source, ()).is_none()
    }

    /// It counts in 64 bits after all. Is that news?
    fn widens(&self, source: IpAddr) -> bool {
        self.0.remove(&source).is_some()
    }

    /// All of them, in order.
    fn sources(&self) -> Vec<IpAddr> {
        let mut sources: Vec<IpAddr> = self.0.iter().map(|nas| *nas.key()).collect();
        sources.sort_unstable();
        sources
    }
}

impl State {
    /// A 32-bit counter of this NAS has begun anew, and was continued.
    pub(super) fn counts_narrowly(&self, source: IpAddr) {
        if self.narrow.wraps(source) {
            self.tell_narrow(source, 1.0);
        }
    }

    /// A NAS has sent Gigawords: its counters have 64 bits.
    pub(super) fn counts_widely(&self, nas: &NasIdentity) {
        self.remember_wide_counters(nas);
        if self.narrow.widens(nas.source) {
            self.tell_narrow(nas.source, 0.0);
        }
    }

    fn tell_narrow(&self, source: IpAddr, narrow: f64) {
        let table = self.nas.load();
        let name = table.find(source).map_or_else(String::new, |nas| nas.name.to_string());
        metrics::gauge!(names::NAS_NARROW_COUNTERS, "nas" => name).set(narrow);
        let said = table.told(&self.narrow.sources()).map(|nases| {
            format!(
                "octets are counted in 32 bits, so more than 4 GiB between two records of a session are counted \
                 short: {nases}"
            )
        });
        self.health.notice(TOPIC, said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nas_counts_narrowly_from_a_wrap_until_it_sends_gigawords() {
        let (narrow, nas) = (Narrow::default(), IpAddr::from([192, 0, 2, 1]));
        assert!(!narrow.widens(nas));
        assert_eq!([narrow.wraps(nas), narrow.wraps(nas)], [true, false], "it is told once");
        assert_eq!(narrow.sources(), [nas]);
        assert_eq!([narrow.widens(nas), narrow.widens(nas)], [true, false]);
        assert!(narrow.sources().is_empty());
    }
}
