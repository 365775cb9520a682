//! Counters and tracing set-up; no logic.
