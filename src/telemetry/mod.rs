//! Counters and tracing set-up; no logic.
//!
//! Shells and the service record under the [`names`] with the macros of `metrics`, holding on to
//! the handles where it is hot; pure modules return what happened and never come here.

mod log;
mod metrics;
pub mod names;

pub use self::log::{Format, LogError, LogHandle, Settings, check_level, install_log};
pub use self::metrics::{Metrics, MetricsError, install_metrics};
