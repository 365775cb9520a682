//! Counters of decisions and sessions, held as handles so that no packet looks one up.

use std::collections::BTreeMap;

use crate::domain::{CloseGuess, RejectReason};
use crate::sessions::SessionChange;
use crate::telemetry::names;

pub(super) struct Meters {
    rejects: BTreeMap<RejectReason, metrics::Counter>,
    opened: metrics::Counter,
    stopped: metrics::Counter,
    guessed: [metrics::Counter; CloseGuess::ALL.len()],
    reopened: metrics::Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            rejects: RejectReason::ALL
                .iter()
                .map(|(reason, key)| (*reason, metrics::counter!(names::REJECTS, "reason" => *key)))
                .collect(),
            opened: metrics::counter!(names::SESSIONS_OPENED),
            stopped: metrics::counter!(names::SESSIONS_CLOSED, "cause" => "stop"),
            guessed: CloseGuess::ALL
                .map(|(_, word)| metrics::counter!(names::SESSIONS_CLOSED, "cause" => word)),
            reopened: metrics::counter!(names::SESSIONS_REOPENED),
        }
    }

    pub(super) fn reject(&self, reason: RejectReason) {
        if let Some(counter) = self.rejects.get(&reason) {
            counter.increment(1);
        }
    }

    pub(super) fn session(&self, what: SessionChange) {
        match what {
            SessionChange::Opened => self.opened.increment(1),
            SessionChange::Closed => self.stopped.increment(1),
            SessionChange::Reopened => self.reopened.increment(1),
            SessionChange::Unchanged | SessionChange::Updated => {}
        }
    }
}

impl Meters {
    /// Counts a session that nobody stopped.
    pub(super) fn guess(&self, guess: CloseGuess) {
        let place = CloseGuess::ALL.iter().position(|(known, _)| *known == guess);
        if let Some(counter) = place.and_then(|place| self.guessed.get(place)) {
            counter.increment(1);
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}
