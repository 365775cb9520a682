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
/// NASes that `/health` names.
const NAMED_MAX: usize = 3;

/// Logins without a Start since the last accounting, by the address of the NAS.
#[derive(Debug, Default)]
pub(super) struct Silent(DashMap<IpAddr, u32>);

impl State {
    /// A place was kept for the Start of a login through this NAS, and none came.
    pub(super) fn hears_nothing_of(&self, source: IpAddr) {
        let nas = self.nas.load().find(source).map_or_else(String::new, |nas| nas.name.to_string());
        metrics::counter!(names::ACCEPTS_WITHOUT_START, "nas" => nas).increment(1);
        if self.silent.0.len() >= NASES_MAX && !self.silent.0.contains_key(&source) {
            return;
        }
        let logins = {
            let mut logins = self.silent.0.entry(source).or_default();
            *logins = logins.saturating_add(1);
            *logins
        };
        if logins == LOGINS {
            self.tell_silent();
        }
    }

    /// A NAS has sent accounting.
    pub(super) fn hears_of(&self, source: IpAddr) {
        // Mostly nobody is silent.
        if self.silent.0.is_empty() {
            return;
        }
        if self.silent.0.remove(&source).is_some_and(|(_, logins)| logins >= LOGINS) {
            self.tell_silent();
        }
    }

    fn tell_silent(&self) {
        let mut silent: Vec<IpAddr> =
            self.silent.0.iter().filter(|nas| *nas.value() >= LOGINS).map(|nas| *nas.key()).collect();
        if silent.is_empty() {
            self.health.ok(COMPONENT);
            return;
        }
        silent.sort_unstable();
        let table = self.nas.load();
        let named: Vec<String> = silent
            .iter()
            .take(NAMED_MAX)
            .map(|source| match table.find(*source) {
                Some(nas) => format!("{} ({source})", nas.name),
                None => source.to_string(),
            })
            .collect();
        let more = if silent.len() > NAMED_MAX { " and others" } else { "" };
        let said = format!(
            "logins with a limit are accepted and no accounting follows, so the limit holds nobody: {}{more}",
            named.join(", ")
        );
        self.health.degraded(COMPONENT, &said, self.clock.now().unix);
    }
}
