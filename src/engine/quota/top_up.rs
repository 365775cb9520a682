//! What was bought on top: it lifts what is used up, and is used up last.

use smallvec::SmallVec;

use super::balance::Account;
use crate::domain::{Day, Metric, Period, TopUp, Usage};
use crate::time::{Now, UnixTime};

/// What is left of all top-ups of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topped {
    /// Seconds or octets.
    pub(super) left: i64,
    /// When the first of them lapses.
    pub(super) expires: Option<UnixTime>,
}

impl Account<'_> {
    /// What is left of the top-ups, if anything.
    pub(super) fn topped(&self, is_time: bool, now: UnixTime) -> Option<Topped> {
        let mut topped: Option<Topped> = None;
        for (_, left, expires) in self.usable(is_time, now) {
            let sum = topped.get_or_insert(Topped { left: 0, expires: None });
            sum.left = sum.left.saturating_add(i64::try_from(left).unwrap_or(i64::MAX));
            sum.expires = [sum.expires, expires].into_iter().flatten().min();
        }
        topped
    }

    /// Charges what was just counted to the top-ups, as far as it goes beyond what was left of the
    /// buckets: what lapses first pays first, then what was bought first. Gives the new totals of those
    /// that changed. `used` is what was counted, by day; the account has it already.
    #[must_use]
    pub fn charge(&self, used: &[(Day, Usage)], now: Now) -> SmallVec<[(i64, u64); 2]> {
        let mut charged = SmallVec::new();
        if self.holder.is_none_or(|holder| holder.top_ups.is_empty()) {
            return charged;
        }
        for is_time in [true, false] {
            let mut beyond = self.beyond(is_time, used);
            for (bought, left, _) in self.usable(is_time, now.unix) {
                let part = beyond.min(left);
                if part == 0 {
                    continue;
                }
                beyond -= part;
                charged.push((bought.id, bought.amount.saturating_sub(left).saturating_add(part)));
            }
        }
        charged
    }

    /// Those that have not lapsed, with what is left of each.
    fn usable(&self, is_time: bool, now: UnixTime) -> impl Iterator<Item = (&TopUp, u64, Option<UnixTime>)> {
        let top_ups = self.holder.map_or(&[][..], |holder| &holder.top_ups);
        top_ups
            .iter()
            .filter(move |bought| bought.is_time == is_time && bought.expires.is_none_or(|at| at > now))
            .filter_map(|bought| {
                let known = self.sessions.map_or(0, |sessions| sessions.charged(bought.id));
                let left = bought.amount.saturating_sub(known.max(bought.used));
                (left > 0).then_some((bought, left, bought.expires))
            })
    }

    /// What of `used` was more than the emptiest bucket had left, seconds or octets of both directions.
    fn beyond(&self, is_time: bool, used: &[(Day, Usage)]) -> u64 {
        let buckets = self.buckets();
        let buckets: SmallVec<[_; 8]> = buckets
            .into_iter()
            .filter(|bucket| bucket.metric.is_time() == is_time && bucket.period != Period::Session)
            .collect();
        let mut sum: u64 = 0;
        for (place, (day, part)) in used.iter().enumerate() {
            let most = buckets.iter().map(|bucket| {
                let state = self.state(bucket, *day, Usage::default());
                // Of what the period has, this part and those after it were not yet used.
                let later = used.iter().skip(place).filter(|(other, _)| {
                    state.ends.is_none() || self.state(bucket, *other, Usage::default()).begun == state.begun
                });
                let later = later.fold(Usage::default(), |sum, (_, used)| sum.plus(*used));
                let before = state.used.beyond(later);
                let over = |metric: Metric| {
                    let counted = i64::try_from(metric.of(before)).unwrap_or(i64::MAX);
                    let left = state.limit.saturating_sub(counted).max(0).unsigned_abs();
                    metric.of(*part).saturating_sub(left)
                };
                match bucket.metric {
                    Metric::EachDirection => over(Metric::Down).saturating_add(over(Metric::Up)),
                    metric => over(metric),
                }
            });
            sum = sum.saturating_add(most.max().unwrap_or(0));
        }
        sum
    }
}
