//! NASes whose accepted logins are never followed by a Start: limits of Simultaneous-Use mean nothing
//! there, and nobody would notice.

use std::net::IpAddr;

use dashmap::DashMap;

use super::state::State;
use crate::telemetry::names;

/// What `/health` calls it.
const COMPONENT: &str = "accounting";
/// Logins with a limit that came to nothing, one after the other and without any accounting between them,
/// until a NAS is called silent: a user may think again once or twice.
const LOGINS: u32 = 3;
/// NASes that are remembered.
const NASES_MAX: usize = 100_000;

/// Logins without a Start since the last accounting, by the address of the NAS.
#[derive(Debug, Default)]
pub(super) struct Silent(DashMap<IpAddr, u32>);

impl Silent {
    /// A login came to nothing. Has the NAS become silent by that?
    fn lapses(&self, source: IpAddr) -> bool {
        if self.0.len() >= NASES_MAX && !self.0.contains_key(&source) {
            return false;
        }
        let mut logins = self.0.entry(source).or_default();
        *logins = logins.saturating_add(1);
        *logins == LOGINS
    }

    /// A NAS has sent accounting. Was it silent until now?
    fn speaks(&self, source: IpAddr) -> bool {
        // Mostly nobody is silent.
        !self.0.is_empty() && self.0.remove(&source).is_some_and(|(_, logins)| logins >= LOGINS)
    }

    /// Those that are silent, in order.
    fn sources(&self) -> Vec<IpAddr> {
        let mut silent: Vec<IpAddr> =
            self.0.iter().filter(|nas| *nas.value() >= LOGINS).map(|nas| *nas.key()).collect();
        silent.sort_unstable();
        silent
    }
}

impl State {
    /// A place was kept for the Start of a login through this NAS, and none came.
    pub(super) fn hears_nothing_of(&self, source: IpAddr) {
        let nas = self.nas.load().find(source).map_or_else(String::new, |nas| nas.name.to_string());
        metrics::counter!(names::ACCEPTS_WITHOUT_START, "nas" => nas).increment(1);
        if self.silent.lapses(source) {
            self.tell_silent();
        }
    }

    /// A NAS has sent accounting.
    pub(super) fn hears_of(&self, source: IpAddr) {
        if self.silent.speaks(source) {
            self.tell_silent();
        }
    }

    fn tell_silent(&self) {
        let Some(nases) = self.nas.load().told(&self.silent.sources()) else {
            self.health.ok(COMPONENT);
            return;
        };
        let said = format!(
            "logins with a limit are accepted and no accounting follows, so the limit holds nobody: {nases}"
        );
        self.health.degraded(COMPONENT, &said, self.clock.now().unix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nas(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_nas_is_silent_after_three_logins_and_until_it_speaks() {
        let silent = Silent::default();
        assert!(!silent.speaks(nas(1)));
        assert_eq!([silent.lapses(nas(1)), silent.lapses(nas(1))], [false; 2]);
        assert!(silent.sources().is_empty());
        // Accounting in between: the users thought again.
        assert!(!silent.speaks(nas(1)));
        assert_eq!(
            [silent.lapses(nas(1)), silent.lapses(nas(1)), silent.lapses(nas(1))],
            [false, false, true]
        );
        assert!(!silent.lapses(nas(1)), "it is told once");
        assert_eq!(
            [silent.lapses(nas(0)), silent.lapses(nas(0)), silent.lapses(nas(0))],
            [false, false, true]
        );
        assert_eq!(silent.sources(), [nas(0), nas(1)]);
        assert!(silent.speaks(nas(1)));
        assert_eq!(silent.sources(), [nas(0)]);
    }
}
