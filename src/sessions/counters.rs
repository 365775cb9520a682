//! Octet counters: what a NAS reports, in whatever order, becomes a total that never falls.
//!
//! The readings of a session form a map from session time to the highest value reported at it, and
//! the total is a sum over its neighbours. So neither the order of arrival nor a repetition matters,
//! as long as a late reading is not older than all of the few that are kept.

use smallvec::{SmallVec, smallvec};

use crate::domain::{Counter, ReportedOctets};

/// What one record says of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Session time, seconds.
    pub(super) at: u32,
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
}

/// What was found out about the NAS's counters by one more reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    pub(super) wrapped: bool,
    pub(super) reset: bool,
}

/// The newest readings of one session, by session time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readings {
    /// By session time, no time twice.
    pub(super) kept: SmallVec<[Reading; KEPT_MAX + 1]>,
    /// Readings older than the oldest kept one are in the totals already.
    pub(super) truncated: bool,
}

/// How many readings are kept: one record may overtake two others and still count right.
const KEPT_MAX: usize = 4;

/// A 32-bit counter counts so many.
const WRAP: u64 = 1 << 32;

/// The fastest believable line, bits per second: a faster "wrap" is a reset.
const LINE_RATE_MAX: u64 = 10_000_000_000;

/// The 64-bit value of a counter, or `None` where the packet has none. Gigawords alone are nothing.
pub(super) fn octets(reported: ReportedOctets) -> Option<u64> {
    let low = u64::from(reported.octets?);
    Some((u64::from(reported.gigawords.unwrap_or(0)) << 32) | low)
}

impl Readings {
    /// What is known of a session that was read back: its newest reading.
    pub(super) fn restored(at: u32, input: Counter, output: Counter) -> Self {
        if input.reported.is_none() && output.reported.is_none() {
            return Self::default();
        }
        Self {
            kept: smallvec![Reading { at, input: input.reported, output: output.reported }],
            truncated: input.base > 0 || output.base > 0,
        }
    }

    /// Session time of the newest reading.
    pub(super) fn newest_at(&self) -> u32 {
        self.kept.last().map_or(0, |newest| newest.at)
    }

    /// Adds a reading to the totals. `wide`: the NAS counts in 64 bits, so nothing wraps.
    pub(super) fn add(
        &mut self,
        reading: Reading,
        input: &mut Counter,
        output: &mut Counter,
        wide: bool,
    ) -> Noticed {
        if reading.input.is_none() && reading.output.is_none() {
            return Noticed::default();
        }
        if self.truncated && self.kept.first().is_some_and(|oldest| reading.at < oldest.at) {
            return Noticed::default();
        }
        let before = [self.sum(|r| r.input, wide), self.sum(|r| r.output, wide)];
        match self.kept.binary_search_by_key(&reading.at, |kept| kept.at) {
            Ok(same) => {
                if let Some(kept) = self.kept.get_mut(same) {
                    kept.input = kept.input.max(reading.input);
                    kept.output = kept.output.max(reading.output);
                }
            }
            Err(place) => self.kept.insert(place, reading),
        }
        let mut noticed = Noticed::default();
        for (counter, (before, known), of) in [
            (input, before[0], (|r: &Reading| r.input) as fn(&Reading) -> Option<u64>),
            (output, before[1], |r: &Reading| r.output),
        ] {
            let (after, found) = self.sum(of, wide);
            let grown = after.saturating_sub(before);
            noticed.wrapped |= found.wrapped && !known.wrapped;
            noticed.reset |= found.reset && !known.reset;
            if let Some(newest) = self.kept.iter().rev().find_map(of) {
                let total = counter.total().unwrap_or(0).saturating_add(grown).max(newest);
                *counter = Counter { base: total - newest, reported: Some(newest) };
            }
        }
        self.drop_oldest();
        noticed
    }

    /// From now on the NAS sends Gigawords: what was taken for wraps is inside its 64-bit values.
    pub(super) fn become_wide(&mut self, input: &mut Counter, output: &mut Counter) {
        let at = self.newest_at();
        for counter in [&mut *input, &mut *output] {
            *counter = Counter { base: 0, reported: counter.total() };
        }
        *self = Self::restored(at, *input, *output);
        self.truncated = true;
    }

    /// The sum of all steps of one direction, the first counted from nothing.
    fn sum(&self, of: impl Fn(&Reading) -> Option<u64>, wide: bool) -> (u64, Noticed) {
        let mut sum = 0_u64;
        let mut noticed = Noticed::default();
        let mut last: Option<(u32, u64)> = None;
        for reading in &self.kept {
            let Some(value) = of(reading) else { continue };
            let step = match last {
                None => value,
                Some((at, before)) => match step(before, value, reading.at - at, wide) {
                    Step::Rise(by) => by,
                    Step::Wrap(by) => {
                        noticed.wrapped = true;
                        by
                    }
                    Step::Reset(by) => {
                        noticed.reset = true;
                        by
                    }
                },
            };
            sum = sum.saturating_add(step);
            last = Some((reading.at, value));
        }
        (sum, noticed)
    }

    fn drop_oldest(&mut self) {
        if self.kept.len() <= KEPT_MAX {
            return;
        }
        let dropped = self.kept.remove(0);
        self.truncated = true;
        // A direction that the next reading lacks goes on from the dropped one.
        if let Some(oldest) = self.kept.first_mut() {
            oldest.input = oldest.input.or(dropped.input);
            oldest.output = oldest.output.or(dropped.output);
        }
    }
}

enum Step {
    Rise(u64),
    Wrap(u64),
    Reset(u64),
}

/// What a counter counted from one reading to the next, `seconds` later (DESIGN §5).
fn step(before: u64, value: u64, seconds: u32, wide: bool) -> Step {
    if value >= before {
        return Step::Rise(value - before);
    }
    // A counter that wrapped stands at exactly 0 once in four thousand million times; one that was
    // reset, or a Stop that says 0 because the NAS has forgotten, always does.
    if wide || before >= WRAP || value == 0 {
        return Step::Reset(value);
    }
    let by = WRAP - before + value;
    if by.saturating_mul(8) <= LINE_RATE_MAX.saturating_mul(seconds.max(1).into()) {
        Step::Wrap(by)
    } else {
        Step::Reset(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(readings: &[(u32, u64)], wide: bool) -> (u64, Noticed) {
        let (mut kept, mut input, mut output) = (Readings::default(), Counter::default(), Counter::default());
        let mut noticed = Noticed::default();
        for &(at, value) in readings {
            let reading = Reading { at, input: Some(value), output: None };
            let found = kept.add(reading, &mut input, &mut output, wide);
            noticed.wrapped |= found.wrapped;
            noticed.reset |= found.reset;
        }
        assert_eq!(output, Counter::default(), "nothing was said of the other direction");
        (input.total().unwrap(), noticed)
    }

    const WRAPPED: Noticed = Noticed { wrapped: true, reset: false };
    const RESET: Noticed = Noticed { wrapped: false, reset: true };

    #[test]
    fn a_32_bit_counter_that_falls_has_wrapped() {
        assert_eq!(total(&[(60, 4_294_967_000), (120, 5000)], false), (4_294_972_296, WRAPPED));
        assert_eq!(total(&[(60, 4_294_967_290), (120, 10)], false), (4_294_967_306, WRAPPED));
    }

    #[test]
    fn a_wrap_is_seen_in_whatever_order_the_records_come() {
        let (a, b, c) = ((10, 1_000_000_000), (20, 205_032_704), (30, 3_705_032_704));
        for order in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            assert_eq!(total(&order, false), (8_000_000_000, WRAPPED), "{order:?}");
        }
    }

    #[test]
    fn a_repeated_reading_from_before_a_wrap_counts_once() {
        let before = (60, 4_294_967_000);
        assert_eq!(total(&[(120, 5000), before, before, (120, 5000), before], false).0, 4_294_972_296);
    }

    #[test]
    fn a_wrap_faster_than_any_line_is_a_reset() {
        // 4294967295 octets in 3 s are 11.5 Gbit/s.
        assert_eq!(total(&[(60, 4_000_000_000), (63, 3_999_999_999)], false), (7_999_999_999, RESET));
        assert_eq!(total(&[(60, 4_000_000_000), (64, 3_999_999_999)], false), (8_294_967_295, WRAPPED));
    }

    #[test]
    fn a_64_bit_counter_that_falls_was_reset_and_both_parts_count() {
        assert_eq!(total(&[(60, 4_294_967_000), (120, 5000)], true), (4_294_972_000, RESET));
        assert_eq!(total(&[(60, WRAP + 7), (120, 5000)], false), (WRAP + 5007, RESET));
    }

    #[test]
    fn zero_after_something_is_a_reset() {
        assert_eq!(total(&[(60, 9_000_000), (120, 0)], false), (9_000_000, RESET));
    }

    #[test]
    fn gigawords_that_appear_later_contain_the_wraps_before_them() {
        let (mut kept, mut input, mut output) = (Readings::default(), Counter::default(), Counter::default());
        for (at, value) in [(60, 4_294_967_000), (120, 5000)] {
            kept.add(Reading { at, input: Some(value), output: None }, &mut input, &mut output, false);
        }
        kept.become_wide(&mut input, &mut output);
        let reading = Reading { at: 180, input: Some(WRAP + 9000), output: None };
        assert_eq!(kept.add(reading, &mut input, &mut output, true), Noticed::default());
        assert_eq!(input, Counter { base: 0, reported: Some(WRAP + 9000) });
    }

    #[test]
    fn what_is_no_longer_kept_stays_counted() {
        let mut readings: Vec<_> = (1..20).map(|n| (n * 60, u64::from(n) * 1000)).collect();
        readings.push((60, 1000));
        readings.push((30, 999_999));
        assert_eq!(total(&readings, false), (19_000, Noticed::default()));
    }

    #[test]
    fn a_direction_that_later_records_lack_is_not_counted_anew() {
        let (mut kept, mut input, mut output) = (Readings::default(), Counter::default(), Counter::default());
        kept.add(Reading { at: 1, input: Some(10), output: Some(500) }, &mut input, &mut output, false);
        for at in 2..10 {
            kept.add(Reading { at, input: Some(10), output: None }, &mut input, &mut output, false);
        }
        kept.add(Reading { at: 10, input: Some(11), output: Some(600) }, &mut input, &mut output, false);
        assert_eq!((input.total(), output.total()), (Some(11), Some(600)));
    }

    #[test]
    fn totals_stop_at_the_largest_number() {
        let (sum, _) = total(&[(60, u64::MAX), (120, u64::MAX - 1), (180, 7)], true);
        assert_eq!(sum, u64::MAX);
    }
}
