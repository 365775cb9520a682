//! Counters and tracing set-up; no logic.

mod log;

pub use log::{Format, LogError, LogHandle, Settings, check_level, install_log};
