//! Latencies in bounded memory.

use std::time::Duration;

use serde_json::{Value, json};

/// Counts of durations in buckets no wider than 1/64 of their value.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// 64 buckets for each power of two of nanoseconds.
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

const STEPS_BITS: u32 = 6;
const STEPS: u64 = 1 << STEPS_BITS;

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 64 * 64], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(index(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += took;
        self.max = self.max.max(took);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn max(&self) -> Duration {
        self.max
    }

    pub(super) fn mean(&self) -> Duration {
        u32::try_from(self.count).ok().and_then(|count| self.sum.checked_div(count)).unwrap_or_default()
    }

    /// The duration that `permille` of a thousand do not exceed, at most 1/64 too long.
    pub(super) fn quantile(&self, permille: u64) -> Duration {
        let rank = (self.count * permille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return Duration::from_nanos(upper(index)).min(self.max);
            }
        }
        self.max
    }
}

impl Histogram {
    /// Milliseconds: the mean, some quantiles, the longest.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "count": self.count(),
            "mean_ms": milliseconds(self.mean()),
            "p50_ms": milliseconds(self.quantile(500)),
            "p90_ms": milliseconds(self.quantile(900)),
            "p99_ms": milliseconds(self.quantile(990)),
            "p999_ms": milliseconds(self.quantile(999)),
            "max_ms": milliseconds(self.max()),
        })
    }
}

/// Rounded to microseconds.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn index(nanos: u64) -> usize {
    if nanos < STEPS {
        return usize::try_from(nanos).unwrap_or(0);
    }
    let power = nanos.ilog2() - STEPS_BITS;
    let step = (nanos >> power) - STEPS;
    usize::try_from(STEPS * (u64::from(power) + 1) + step).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    if index < STEPS {
        return index;
    }
    let (power, step) = (index / STEPS - 1, index % STEPS);
    (STEPS + step + 1).checked_shl(u32::try_from(power).unwrap_or(64)).map_or(u64::MAX, |next| next - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_no_wider_than_a_64th() {
        for value in [0, 1, 63, 64, 65, 127, 128, 1_000, 999_999, 1 << 40] {
            let top = upper(index(value));
            assert!(top >= value && top - value <= value / 64, "{value} is in a bucket up to {top}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let within = |permille, micros: u64| {
            let found = histogram.quantile(permille).as_secs_f64() * 1e6;
            let wanted = f64::from(u32::try_from(micros).unwrap());
            assert!((found - wanted).abs() <= wanted / 60.0, "{permille}: {found} µs, not {wanted}");
        };
        within(500, 500);
        within(990, 990);
        assert_eq!(histogram.quantile(1_000), Duration::from_millis(1));
        assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
    }
}
