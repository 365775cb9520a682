//! What there is to say of the spool while it is in use.

use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use crate::store::Spool;
use crate::telemetry::names;
use crate::time::Clock;

/// How often it is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// What `/health` calls what was set aside.
pub(super) const POISON: &str = "poison";

/// Tells how much is in the spool and for how long, for as long as it runs.
pub(super) async fn measure(spool: Arc<Spool>, clock: Arc<dyn Clock>, health: Arc<Health>) {
    let gauge = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let mut poisoned = 0;
    loop {
        if let Ok(measure) = spool.measure().await {
            let now = clock.now().unix;
            metrics::gauge!(names::SPOOL, "state" => "rows").set(gauge(measure.rows));
            metrics::gauge!(names::SPOOL, "state" => "records").set(gauge(measure.records));
            metrics::gauge!(names::SPOOL, "state" => "poison").set(gauge(measure.poisoned));
            metrics::gauge!(names::SPOOL_AGE)
                .set(gauge(measure.oldest.map_or(0, |oldest| now.since(oldest))));
            if measure.poisoned > 0 {
                let said = format!(
                    "{} rows that the database cannot hold were set aside: tollkeeper spool list",
                    measure.poisoned
                );
                health.degraded(POISON, &said, now);
            } else if poisoned > 0 {
                health.ok(POISON);
            }
            poisoned = measure.poisoned;
        }
        tokio::time::sleep(MEASURE_EVERY).await;
    }
}
