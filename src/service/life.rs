//! What memory knows of a subscriber and its rows do not say yet: when it was first used, when it was
//! last seen, and how its last logins were decided. It outlives a reading of the rows.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::guesses::Tries;
use crate::domain::{RejectReason, SubscriberId, Uses, Write};
use crate::store::Attempt;
use crate::time::UnixTime;

/// Seconds between two notes of a subscriber's last use.
const USE_NOTED_EVERY: i64 = 60;

/// Rows that are remembered as taken of one subscriber.
const TAKEN: usize = 16;

/// Attempts that are remembered of one subscriber.
const ATTEMPTS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Life {
    /// Unix seconds of the first use of the term, where the rows have none; 0 if none was.
    begun: AtomicI64,
    /// Unix seconds of the last use that was noted in SQL; 0 if none was.
    used: AtomicI64,
    attempts: Mutex<VecDeque<Remembered>>,
    tries: Tries,
    /// Rows of `tk_override` whose terms a login has, until SQL knows.
    taken: Mutex<SmallVec<[i64; 2]>>,
}

/// A decided login, as much of it as is shown.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// When.
    pub(super) at: UnixTime,
    /// `None` is Accept.
    pub(super) reject: Option<RejectReason>,
    /// What decided.
    pub(super) rule: SmolStr,
    /// `PAP`, `CHAP` …
    pub(super) method: &'static str,
    /// NAS address.
    pub(super) nas: IpAddr,
    /// Calling-Station-Id.
    pub(super) calling_station_id: SmolStr,
}

impl Life {
    /// How the subscriber has been used, `rows` being what its rows say.
    pub(super) fn uses(&self, rows: Uses) -> Uses {
        let known = |at: &AtomicI64| Some(at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(UnixTime);
        Uses { first: rows.first.or_else(|| known(&self.begun)), last: rows.last.max(known(&self.used)) }
    }

    /// The rows are read anew: `before` is what they said until now. Where they had a first use and have
    /// none any more, the term begins anew.
    pub(super) fn rows_read(&self, before: Uses, rows: Uses) {
        if rows.first.is_some() || before.first.is_some() {
            self.begun.store(0, Ordering::Relaxed);
        }
        self.tries.forgive();
    }

    /// How often somebody has tried to log in of late.
    pub(super) const fn tries(&self) -> &Tries {
        &self.tries
    }

    /// Has a login the terms of this row?
    pub(super) fn is_taken(&self, row: i64) -> bool {
        self.taken.lock().contains(&row)
    }

    /// A login has the terms of this row, and no other gets them.
    pub(super) fn take(&self, row: i64) {
        let mut taken = self.taken.lock();
        if taken.len() >= TAKEN {
            // SQL has known of it for long.
            taken.remove(0);
        }
        taken.push(row);
    }

    /// Notes a use; gives what SQL is to know of it. The first use is noted whenever it is one, in whatever
    /// order threads come here; the last one once a minute.
    pub(super) fn note(&self, subscriber: SubscriberId, rows: Uses, at: UnixTime) -> SmallVec<[Write; 2]> {
        let used = |at| Write::Used { subscriber, at };
        let mut writes = SmallVec::new();
        let first = rows.first.is_none()
            && self.begun.compare_exchange(0, at.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let noted = self.used.load(Ordering::Relaxed);
        let due = at.0.saturating_sub(noted) >= USE_NOTED_EVERY
            && self.used.compare_exchange(noted, at.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first || due {
            // What could not be queued at the first use is said again.
            let begun = UnixTime(self.begun.load(Ordering::Relaxed));
            if rows.first.is_none() && begun < at {
                writes.push(used(begun));
            }
            writes.push(used(at));
        }
        writes
    }

    /// Remembers how a login was decided, in the place of the oldest that is remembered.
    pub(super) fn remember(&self, attempt: Remembered) {
        let mut attempts = self.attempts.lock();
        if attempts.len() >= ATTEMPTS {
            attempts.pop_front();
        }
        attempts.push_back(attempt);
    }

    /// The last logins, the latest first.
    pub(super) fn attempts(&self, login: &SmolStr, subscriber: SubscriberId) -> Vec<Attempt> {
        let attempts = self.attempts.lock();
        let attempt = |kept: &Remembered| Attempt {
            at: kept.at,
            user_name: login.clone(),
            subscriber: Some(subscriber),
            reject: kept.reject,
            rule: kept.rule.clone(),
            method: SmolStr::new_static(kept.method),
            nas: Some(kept.nas),
            calling_station_id: kept.calling_station_id.clone(),
        };
        attempts.iter().rev().map(attempt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: SubscriberId = SubscriberId(7);
    const NEVER: Uses = Uses { first: None, last: None };

    fn used(at: i64) -> Write {
        Write::Used { subscriber: BOB, at: UnixTime(at) }
    }

    #[test]
    fn the_first_use_is_noted_once_and_the_last_once_a_minute() {
        let life = Life::default();
        assert_eq!(life.uses(NEVER), NEVER);
        assert_eq!(life.note(BOB, NEVER, UnixTime(1_000)).as_slice(), [used(1_000)]);
        assert_eq!(life.uses(NEVER), Uses { first: Some(UnixTime(1_000)), last: Some(UnixTime(1_000)) });
        assert_eq!(life.note(BOB, NEVER, UnixTime(1_001)).as_slice(), []);
        // Until the rows have it, every note says it: the first one may have been lost.
        assert_eq!(life.note(BOB, NEVER, UnixTime(1_060)).as_slice(), [used(1_000), used(1_060)]);
        let rows = Uses { first: Some(UnixTime(1_000)), last: Some(UnixTime(1_060)) };
        life.rows_read(NEVER, rows);
        assert_eq!(life.note(BOB, rows, UnixTime(1_120)).as_slice(), [used(1_120)]);
        assert_eq!(life.uses(rows), Uses { last: Some(UnixTime(1_120)), ..rows });
    }

    #[test]
    fn a_first_use_survives_a_reading_of_rows_that_were_older() {
        let life = Life::default();
        life.note(BOB, NEVER, UnixTime(1_000));
        life.rows_read(NEVER, NEVER);
        assert_eq!(life.uses(NEVER).first, Some(UnixTime(1_000)));
    }

    #[test]
    fn a_term_that_begins_anew_is_begun_by_the_next_use() {
        let life = Life::default();
        life.note(BOB, NEVER, UnixTime(1_000));
        let rows = Uses { first: Some(UnixTime(1_000)), last: None };
        life.rows_read(NEVER, rows);
        life.rows_read(rows, NEVER);
        assert_eq!(life.uses(NEVER).first, None);
        // Within the minute too.
        assert_eq!(life.note(BOB, NEVER, UnixTime(1_010)).as_slice(), [used(1_010)]);
    }

    #[test]
    fn of_many_threads_one_begins() {
        let life = Life::default();
        let begun: Vec<_> = std::thread::scope(|scope| {
            let one = |at| {
                let life = &life;
                scope.spawn(move || {
                    life.note(BOB, NEVER, UnixTime(at));
                    life.uses(NEVER).first
                })
            };
            let threads: Vec<_> = (1..=8).map(one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(begun.iter().all(|first| first.is_some() && *first == begun[0]), "{begun:?}");
    }

    #[test]
    fn the_last_attempts_are_kept_the_latest_first() {
        let life = Life::default();
        for at in 0..10 {
            life.remember(Remembered {
                at: UnixTime(at),
                reject: (at % 2 == 0).then_some(RejectReason::WrongPassword),
                rule: "the password is wrong".into(),
                method: "PAP",
                nas: IpAddr::from([10, 0, 0, 1]),
                calling_station_id: SmolStr::default(),
            });
        }
        let kept = life.attempts(&"bob".into(), BOB);
        assert_eq!(kept.iter().map(|attempt| attempt.at.0).collect::<Vec<_>>(), [9, 8, 7, 6]);
        assert_eq!(kept[1].reject, Some(RejectReason::WrongPassword));
    }
}
