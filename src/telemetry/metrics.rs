//! The recorder behind `metrics`, and its text for Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::names::{self, Kind};
use crate::time::UnixTime;

/// Renders what was recorded.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// Somebody has installed a recorder in this process before. Ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metrics are set up already")]
pub struct MetricsError;

/// Records the metrics of the whole process from now on.
///
/// # Errors
/// Once per process is enough.
pub fn install_metrics(started: UnixTime) -> Result<Metrics, MetricsError> {
    let recorder = recorder();
    let metrics = Metrics(recorder.handle());
    ::metrics::set_global_recorder(recorder).map_err(|_| MetricsError)?;
    describe();
    metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // Seconds since 1970 are far below the 2^53 that a double holds exactly.
    metrics::gauge!(names::START_TIME).set(f64::from(u32::try_from(started.0).unwrap_or(0)));
    Ok(metrics)
}

impl Metrics {
    /// Of a recorder that nobody records to.
    #[cfg(test)]
    pub(crate) fn unused() -> Self {
        Self(recorder().handle())
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves recorded values into their buckets; call it every few seconds, or memory grows until
    /// somebody reads `/metrics`.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for (name, kind, _) in names::ALL {
        if let Kind::Histogram(bounds) = kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
                .expect("no histogram has an empty list of buckets");
        }
    }
    builder.build_recorder()
}

fn describe() {
    for (name, kind, help) in names::ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram(_) => metrics::describe_histogram!(*name, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// One sample of every metric, as the server would record it.
    fn rendered() -> String {
        let recorder = recorder();
        let metrics = Metrics(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            describe();
            for (name, kind, _) in names::ALL {
                match kind {
                    Kind::Counter => metrics::counter!(*name, "reason" => "x").increment(1),
                    Kind::Gauge => metrics::gauge!(*name).set(1.0),
                    Kind::Histogram(_) => metrics::histogram!(*name).record(0.003),
                }
            }
        });
        metrics.upkeep();
        metrics.render()
    }

    #[test]
    fn every_metric_has_help_and_a_prometheus_name() {
        let text = rendered();
        for (name, kind, help) in names::ALL {
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name} in\n{text}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        }
        assert!(text.contains("tollkeeper_commit_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }

    #[test]
    fn promtool_has_nothing_to_say() {
        let spawned = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = spawned else {
            println!("skipped: promtool is not installed");
            return;
        };
        promtool.stdin.take().unwrap().write_all(rendered().as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}
