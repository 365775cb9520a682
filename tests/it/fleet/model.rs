//! What usage must be: an account of everything that was reported and acknowledged, kept apart from
//! everything that the server does.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::nas::Said;
use crate::support::requests::{START, STOP};

/// Seconds, input, output.
pub(super) type Sums = [u64; 3];

/// The day that stands for all of them, as in `tk_usage`.
pub(super) const LIFETIME: i32 = -1;

/// Usage of one subscriber by day, and of all days.
#[derive(Debug, Default)]
pub(super) struct Account(pub(super) BTreeMap<i32, Sums>);

impl Account {
    /// Adds what was used from `from` until `until`, unix seconds, parted by time at midnights.
    pub(super) fn add(&mut self, used: Sums, from: i64, until: i64, zone: &TimeZone) {
        let mut parts = vec![];
        let (mut day, length) = (date(from, zone), until - from);
        // A day's share ends with the last second before midnight.
        loop {
            let next = day.tomorrow().unwrap();
            let midnight = zone.to_timestamp(next.at(0, 0, 0, 0)).unwrap().as_second();
            if length == 0 || midnight >= until {
                break;
            }
            parts.push((day, midnight - from));
            day = next;
        }
        let mut given = [0; 3];
        for (day, seconds) in parts {
            let sum = used.map(|whole| {
                u64::try_from(
                    u128::from(whole) * u128::try_from(seconds).unwrap() / u128::try_from(length).unwrap(),
                )
                .unwrap()
            });
            self.put(day, minus(sum, given));
            given = sum;
        }
        self.put(day, minus(used, given));
        plus(self.0.entry(LIFETIME).or_default(), used);
    }

    fn put(&mut self, day: jiff::civil::Date, used: Sums) {
        let number = day.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days();
        plus(self.0.entry(number).or_default(), used);
    }
}

fn date(at: i64, zone: &TimeZone) -> jiff::civil::Date {
    zone.to_datetime(Timestamp::from_second(at).unwrap()).date()
}

fn minus(from: Sums, what: Sums) -> Sums {
    [from[0] - what[0], from[1] - what[1], from[2] - what[2]]
}

fn plus(to: &mut Sums, what: Sums) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

/// What was heard of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The first and the last time that it showed life.
    times: Option<(i64, i64)>,
    seconds: Option<u64>,
    /// Session time of the newest octets.
    octets_at: u64,
    pub(super) octets: Option<[u64; 2]>,
    pub(super) stopped: bool,
    /// Noughts were heard in place of octets.
    pub(super) noughts: bool,
}

impl Heard {
    pub(super) const fn is_known(&self) -> bool {
        self.times.is_some()
    }

    pub(super) fn sums(&self) -> Sums {
        let [input, output] = self.octets.unwrap_or_default();
        [self.seconds.unwrap_or(0), input, output]
    }

    /// A record that happened at `event`, by all that the server can know. What it adds, and when that
    /// was used: since the sign of life before it. What only fills a gap was used when it was sent.
    pub(super) fn hear(&mut self, said: &Said, truth: Option<[u64; 2]>, event: i64) -> (Sums, i64, i64) {
        let before = self.sums();
        let is_stop = said.status == STOP;
        let is_newer = match (said.seconds, self.seconds) {
            (Some(ran), Some(known)) => ran > known,
            (Some(_), None) => true,
            (None, _) => said.status != START && self.times.is_none_or(|(_, last)| event > last),
        };
        let ran = i64::try_from(said.seconds.unwrap_or(0)).unwrap();
        let window = match &mut self.times {
            None => {
                self.times = Some((event - ran, event));
                (event - ran, event)
            }
            Some((_, last)) if event > *last && (is_stop || is_newer && !self.stopped) => {
                (std::mem::replace(last, event), event)
            }
            Some((first, _)) => {
                let at = event.max(*first);
                (at, at)
            }
        };
        self.seconds = self.seconds.max(said.seconds);
        if let Some(octets) = truth
            && said.seconds.is_some_and(|ran| self.octets.is_none() || ran >= self.octets_at)
        {
            self.octets = Some(octets);
            self.octets_at = said.seconds.unwrap_or(0);
        }
        self.noughts |= truth.is_none() && said.octets.is_some();
        self.stopped |= is_stop;
        (minus(self.sums(), before), window.0, window.1)
    }
}
