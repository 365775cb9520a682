//! What the sockets count. Handles are held, never looked up per packet, and a series appears once
//! there is something to count.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use smol_str::SmolStr;

use super::admission::{Asked, Discard, Port};
use crate::telemetry::names;

/// What a reply is. An answer to Status-Server is none of the others: it is no login and no record
/// (RFC 5997 §4.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Accept,
    Reject,
    Challenge,
    Accounting,
    Status,
}

impl Answered {
    const LABELS: [&'static str; 5] =
        ["access_accept", "access_reject", "access_challenge", "accounting_response", "status_response"];

    /// What an encoded reply is.
    pub(super) fn of(reply: &[u8]) -> Option<Self> {
        match reply.first()? {
            2 => Some(Self::Accept),
            3 => Some(Self::Reject),
            5 => Some(Self::Accounting),
            11 => Some(Self::Challenge),
            _ => None,
        }
    }
}

/// Counters of one NAS entry.
#[derive(Debug, Default)]
pub(super) struct NasCounters {
    nas: SmolStr,
    requests: [OnceLock<Counter>; 3],
    replies: [OnceLock<Counter>; 5],
    discards: [OnceLock<Counter>; Discard::ALL.len()],
    duplicates: OnceLock<Counter>,
    unsigned: OnceLock<Counter>,
}

impl NasCounters {
    fn new(nas: SmolStr) -> Self {
        Self { nas, ..Self::default() }
    }

    pub(super) fn request(&self, asked: Asked) {
        self.count(&self.requests, asked as usize, |nas| {
            let label = Asked::ALL.get(asked as usize).map_or("", |(_, code, _)| code);
            counter!(names::REQUESTS, "code" => label, "nas" => nas)
        });
    }

    pub(super) fn reply(&self, answered: Answered) {
        self.count(&self.replies, answered as usize, |nas| {
            let label = Answered::LABELS.get(answered as usize).copied().unwrap_or_default();
            counter!(names::REPLIES, "code" => label, "nas" => nas)
        });
    }

    pub(super) fn discard(&self, reason: Discard) {
        self.count(
            &self.discards,
            reason as usize,
            |nas| counter!(names::DISCARDS, "reason" => reason.as_str(), "nas" => nas),
        );
    }

    pub(super) fn duplicate(&self) {
        self.duplicates
            .get_or_init(|| counter!(names::DUPLICATES, "nas" => self.nas.to_string()))
            .increment(1);
    }

    pub(super) fn unsigned(&self) {
        self.unsigned
            .get_or_init(|| counter!(names::UNSIGNED_LOGINS, "nas" => self.nas.to_string()))
            .increment(1);
    }

    fn count(&self, counters: &[OnceLock<Counter>], index: usize, new: impl FnOnce(String) -> Counter) {
        if let Some(counter) = counters.get(index) {
            counter.get_or_init(|| new(self.nas.to_string())).increment(1);
        }
    }
}

/// All that the sockets count.
#[derive(Debug)]
pub(super) struct Metrics {
    by_nas: DashMap<SmolStr, Arc<NasCounters>>,
    /// Datagrams of nobody we know: one series, whatever the address.
    pub(super) unknown: NasCounters,
    response_seconds: [Histogram; 3],
    pub(super) held_back: Gauge,
    pub(super) hurried_rejects: Counter,
    pub(super) send_errors: Counter,
    ports: [PortMetrics; 2],
}

/// What is read off now and then, per kind of port.
#[derive(Debug)]
pub(super) struct PortMetrics {
    pub(super) in_flight: Gauge,
    pub(super) waiting: Gauge,
    pub(super) cache_entries: Gauge,
    pub(super) cache_bytes: Gauge,
    pub(super) kernel_drops: Counter,
}

impl PortMetrics {
    fn new(port: Port, queue: &'static str) -> Self {
        Self {
            in_flight: gauge!(names::IN_FLIGHT, "port" => port.as_str()),
            waiting: gauge!(names::QUEUE_DEPTH, "queue" => queue),
            cache_entries: gauge!(names::DUPLICATE_CACHE_ENTRIES, "port" => port.as_str()),
            cache_bytes: gauge!(names::DUPLICATE_CACHE_BYTES, "port" => port.as_str()),
            kernel_drops: counter!(names::KERNEL_DROPS, "port" => port.as_str()),
        }
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            by_nas: DashMap::new(),
            unknown: NasCounters::new(SmolStr::default()),
            response_seconds: Asked::ALL
                .map(|(.., kind)| histogram!(names::REQUEST_DURATION, "kind" => kind)),
            held_back: gauge!(names::QUEUE_DEPTH, "queue" => "rejects"),
            hurried_rejects: counter!(names::HURRIED_REJECTS),
            send_errors: counter!(names::SEND_ERRORS),
            ports: [PortMetrics::new(Port::Auth, "logins"), PortMetrics::new(Port::Accounting, "accounting")],
        }
    }

    /// The counters of the NAS entry called `name`.
    pub(super) fn nas(&self, name: &SmolStr) -> Arc<NasCounters> {
        if let Some(known) = self.by_nas.get(name) {
            return Arc::clone(&known);
        }
        let new = || Arc::new(NasCounters::new(name.clone()));
        Arc::clone(&self.by_nas.entry(name.clone()).or_insert_with(new))
    }

    /// `count` replies to requests of that kind took `took` each.
    pub(super) fn response(&self, asked: Asked, took: Duration, count: usize) {
        if let Some(histogram) = self.response_seconds.get(asked as usize) {
            histogram.record_many(took, count);
        }
    }

    pub(super) fn port(&self, port: Port) -> &PortMetrics {
        let [auth, accounting] = &self.ports;
        match port {
            Port::Auth => auth,
            Port::Accounting => accounting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_appear_with_what_they_count_and_bounded_labels() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let text = metrics::with_local_recorder(&recorder, || {
            let metrics = Metrics::new();
            let tower = metrics.nas(&"tower".into());
            assert!(Arc::ptr_eq(&tower, &metrics.nas(&"tower".into())));
            for _ in 0..3 {
                tower.request(Asked::Access);
                tower.discard(Discard::Unsigned);
                metrics.unknown.discard(Discard::UnknownNas);
            }
            tower.reply(Answered::of(&[3]).unwrap());
            tower.reply(Answered::Status);
            tower.duplicate();
            metrics.response(Asked::Accounting, Duration::from_millis(2), 5);
            metrics.port(Port::Auth).waiting.set(4.0);
            recorder.handle().render()
        });
        for line in [
            r#"tollkeeper_requests_total{code="access_request",nas="tower"} 3"#,
            r#"tollkeeper_replies_total{code="access_reject",nas="tower"} 1"#,
            r#"tollkeeper_replies_total{code="status_response",nas="tower"} 1"#,
            r#"tollkeeper_discards_total{reason="unsigned",nas="tower"} 3"#,
            r#"tollkeeper_discards_total{reason="unknown_nas",nas=""} 3"#,
            r#"tollkeeper_duplicates_total{nas="tower"} 1"#,
            r#"tollkeeper_request_duration_seconds_count{kind="accounting"} 5"#,
            r#"tollkeeper_queue_depth{queue="logins"} 4"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} in\n{text}");
        }
        assert!(!text.contains("challenge"), "nothing was counted there:\n{text}");
    }

    #[test]
    fn a_reply_is_counted_by_its_code() {
        for (code, answered) in [
            (2, Some(Answered::Accept)),
            (3, Some(Answered::Reject)),
            (5, Some(Answered::Accounting)),
            (11, Some(Answered::Challenge)),
            (1, None),
        ] {
            assert_eq!(Answered::of(&[code, 0]), answered);
        }
    }
}
