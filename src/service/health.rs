//! What is degraded and why, for `/health` and the alerts.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::telemetry::names;
use crate::time::UnixTime;

/// The board on which every component says how it is. A component that says nothing is well.
#[derive(Debug, Default)]
pub struct Health(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    components: BTreeMap<&'static str, Option<Trouble>>,
    notices: BTreeMap<&'static str, String>,
    stopping: bool,
}

#[derive(Clone, Debug)]
struct Trouble {
    reason: SmolStr,
    since: UnixTime,
}

/// What the board says at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The whole server in one word.
    pub status: HealthStatus,
    /// Every component by name.
    pub components: Vec<ComponentHealth>,
    /// What weakens a promise though the server does all it can: by topic, in words.
    pub notices: Vec<(&'static str, String)>,
}

/// The whole server in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Every promise is kept.
    Ok,
    /// It serves, but something is weaker than promised.
    Degraded,
    /// It is draining and takes nothing new.
    Stopping,
}

impl HealthStatus {
    /// The word for people and scripts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
        }
    }
}

/// How one component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// `database`, `writer`, `change feed` …
    pub name: &'static str,
    /// What is wrong and since when; `None` is well.
    pub trouble: Option<(SmolStr, UnixTime)>,
}

impl Health {
    /// `component` is well, or is well again.
    pub fn ok(&self, component: &'static str) {
        self.0.lock().components.insert(component, None);
        metrics::gauge!(names::DEGRADED, "component" => component).set(0.0);
    }

    /// `component` keeps less than it promises, for a `reason` that support staff can read. The
    /// time it began is kept while only the reason changes.
    pub fn degraded(&self, component: &'static str, reason: &str, now: UnixTime) {
        let mut board = self.0.lock();
        let entry = board.components.entry(component).or_default();
        let since = entry.as_ref().map_or(now, |trouble| trouble.since);
        *entry = Some(Trouble { reason: SmolStr::new(reason), since });
        drop(board);
        metrics::gauge!(names::DEGRADED, "component" => component).set(1.0);
    }

    /// Something outside weakens a promise, and the server does all it can: it is told, and is no reason to
    /// call the server degraded. `None`: no more.
    pub fn notice(&self, topic: &'static str, said: Option<String>) {
        let notices = &mut self.0.lock().notices;
        match said {
            Some(said) => notices.insert(topic, said),
            None => notices.remove(topic),
        };
    }

    /// The server drains: probes should send their traffic elsewhere.
    pub fn stopping(&self) {
        self.0.lock().stopping = true;
    }

    /// What the board says now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let board = self.0.lock();
        let degraded = board.components.values().any(Option::is_some);
        HealthReport {
            status: match (board.stopping, degraded) {
                (true, _) => HealthStatus::Stopping,
                (false, true) => HealthStatus::Degraded,
                (false, false) => HealthStatus::Ok,
            },
            components: board
                .components
                .iter()
                .map(|(name, trouble)| ComponentHealth {
                    name,
                    trouble: trouble.clone().map(|trouble| (trouble.reason, trouble.since)),
                })
                .collect(),
            notices: board.notices.iter().map(|(topic, said)| (*topic, said.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_keeps_its_beginning_until_it_is_over() {
        let health = Health::default();
        health.ok("database");
        health.degraded("writer", "slow", UnixTime(10));
        health.degraded("writer", "hangs", UnixTime(20));
        let report = health.report();
        assert_eq!(report.status, HealthStatus::Degraded);
        assert_eq!(
            report.components,
            [
                ComponentHealth { name: "database", trouble: None },
                ComponentHealth { name: "writer", trouble: Some(("hangs".into(), UnixTime(10))) },
            ]
        );
        health.ok("writer");
        assert_eq!(health.report().status, HealthStatus::Ok);
        health.degraded("writer", "again", UnixTime(30));
        assert_eq!(health.report().components.last().unwrap().trouble, Some(("again".into(), UnixTime(30))));
        health.stopping();
        assert_eq!(health.report().status, HealthStatus::Stopping);
    }

    #[test]
    fn a_notice_is_no_trouble() {
        let health = Health::default();
        health.notice("signing", Some("who does not".to_owned()));
        let report = health.report();
        assert_eq!(
            (report.status, report.notices),
            (HealthStatus::Ok, vec![("signing", "who does not".to_owned())])
        );
        health.notice("signing", None);
        assert_eq!(health.report().notices, []);
    }
}
