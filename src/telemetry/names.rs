//! Every metric: its name, kind and meaning. Labels are bounded: a NAS by its configured name,
//! never by what a packet says.

/// Requests that passed admission, by `code` and `nas`.
pub const REQUESTS: &str = "tollkeeper_requests_total";
/// Replies sent, by `code` and `nas`.
pub const REPLIES: &str = "tollkeeper_replies_total";
/// Datagrams that were dropped in silence, by `reason` and `nas`; of an unknown source `nas` is empty.
pub const DISCARDS: &str = "tollkeeper_discards_total";
/// Replies sent again to a retransmission, by `nas`.
pub const DUPLICATES: &str = "tollkeeper_duplicates_total";
/// Requests and replies kept for retransmissions, by `port` (`auth`, `accounting`).
pub const DUPLICATE_CACHE_ENTRIES: &str = "tollkeeper_duplicate_cache_entries";
/// Octets of the replies kept for retransmissions, by `port`.
pub const DUPLICATE_CACHE_BYTES: &str = "tollkeeper_duplicate_cache_bytes";
/// Requests received and not answered yet, held-back rejects included, by `port`.
pub const IN_FLIGHT: &str = "tollkeeper_requests_in_flight";
/// Access-Rejects sent before their time because too many were held back.
pub const HURRIED_REJECTS: &str = "tollkeeper_hurried_rejects_total";
/// Source addresses of a NAS, by `nas` and `signing` (`signed`, `mixed`, `unsigned`): do they sign their
/// Access-Requests with Message-Authenticator?
pub const NAS_SOURCES: &str = "tollkeeper_nas_sources";
/// Access-Requests without Message-Authenticator that were served, by `nas`.
pub const UNSIGNED_LOGINS: &str = "tollkeeper_unsigned_logins_total";
/// 1 for a `nas` whose octet counters have wrapped at 2^32 since the start and that sends no Gigawords, 0 once it does.
pub const NAS_NARROW_COUNTERS: &str = "tollkeeper_nas_narrow_counters";
/// Replies that the operating system did not take.
pub const SEND_ERRORS: &str = "tollkeeper_send_errors_total";
/// Datagrams that the kernel dropped because a receive buffer was full, by `port`.
pub const KERNEL_DROPS: &str = "tollkeeper_kernel_drops_total";
/// Access-Rejects by `reason`.
pub const REJECTS: &str = "tollkeeper_rejects_total";
/// From receiving a request to sending its reply, by `kind` (`access`, `accounting`, `status`).
pub const REQUEST_DURATION: &str = "tollkeeper_request_duration_seconds";
/// Open sessions.
pub const SESSIONS_ONLINE: &str = "tollkeeper_sessions_online";
/// Sessions that were opened.
pub const SESSIONS_OPENED: &str = "tollkeeper_sessions_opened_total";
/// Sessions that were closed, by `cause` (`stop`, or the word of a guess).
pub const SESSIONS_CLOSED: &str = "tollkeeper_sessions_closed_total";
/// Sessions that were closed on a guess and showed life again.
pub const SESSIONS_REOPENED: &str = "tollkeeper_sessions_reopened_total";
/// Places taken by an Accept whose Start has not come yet.
pub const RESERVATIONS: &str = "tollkeeper_reservations";
/// Accepts of logins with a limit for which a place was kept and whose Start did not come, by `nas`.
pub const ACCEPTS_WITHOUT_START: &str = "tollkeeper_accepts_without_start_total";
/// Subscribers in memory.
pub const SUBSCRIBERS: &str = "tollkeeper_subscribers";
/// Rows of one commit of the writer.
pub const WRITER_BATCH: &str = "tollkeeper_writer_batch_rows";
/// How long a commit took.
pub const COMMIT_DURATION: &str = "tollkeeper_commit_duration_seconds";
/// Commits that failed or took too long.
pub const COMMIT_FAILURES: &str = "tollkeeper_commit_failures_total";
/// Rows that the database cannot hold; they were set aside.
pub const ROWS_REFUSED: &str = "tollkeeper_rows_refused_total";
/// Rows and records of the spool, by `state`: `rows` that are not in SQL yet, `records` that SQL has to be
/// asked about first, `poison` that SQL will never take.
pub const SPOOL: &str = "tollkeeper_spool_entries";
/// Age of the oldest row or record of the spool that is not in SQL yet.
pub const SPOOL_AGE: &str = "tollkeeper_spool_oldest_seconds";
/// When the snapshot was last brought up to date.
pub const SNAPSHOT: &str = "tollkeeper_snapshot_timestamp_seconds";
/// Batches that were acknowledged from the spool.
pub const SPOOLED_BATCHES: &str = "tollkeeper_spooled_batches_total";
/// Rows of those.
pub const SPOOLED_ROWS: &str = "tollkeeper_spooled_rows_total";
/// Rows of the spool that SQL has taken.
pub const DRAINED_ROWS: &str = "tollkeeper_spool_drained_rows_total";
/// Batches that neither SQL nor the spool took: it is full, or its disk is. They were not acknowledged.
pub const SPOOL_FAILURES: &str = "tollkeeper_spool_failures_total";
/// What waits in a bounded queue, by `queue` (`logins`, `accounting`, `rejects`, …).
pub const QUEUE_DEPTH: &str = "tollkeeper_queue_depth";
/// Age of the oldest change of the tables that is not in force yet.
pub const CHANGE_FEED_LAG: &str = "tollkeeper_change_feed_lag_seconds";
/// Changes of the tables that were taken over.
pub const CHANGES: &str = "tollkeeper_changes_total";
/// Dynamic-authorization exchanges that ended, by `kind` (`disconnect`, `coa`), `outcome` and `error_cause`.
pub const COA_OUTCOMES: &str = "tollkeeper_coa_outcomes_total";
/// Dynamic-authorization packets sent again.
pub const COA_RETRANSMISSIONS: &str = "tollkeeper_coa_retransmissions_total";
/// Datagrams that answered no Disconnect- or CoA-Request of ours, by `reason`.
pub const COA_DISCARDS: &str = "tollkeeper_coa_discards_total";
/// Dynamic-authorization packets that the system would not send.
pub const COA_SEND_FAILURES: &str = "tollkeeper_coa_send_failures_total";
/// Times that outcomes could not be written to `tk_coa` and were kept for another attempt.
pub const COA_RECORD_FAILURES: &str = "tollkeeper_coa_record_failures_total";
/// Dynamic-authorization exchanges under way, by `state` (`outstanding`, `queued`).
pub const COA_EXCHANGES: &str = "tollkeeper_coa_exchanges";
/// Sessions that have not what their subscriber's policy gives, by `state`: `queued`, `asked` (their NAS
/// is being asked), `waiting` (for another attempt), `flagged` (nothing helped; also counted as waiting).
pub const RECONCILER_SESSIONS: &str = "tollkeeper_reconciler_sessions";
/// What came of asking NASes to bring sessions into line, by `step`.
pub const RECONCILER_STEPS: &str = "tollkeeper_reconciler_steps_total";
/// Login attempts that were not recorded because there were too many of them.
pub const LOGIN_RECORDS_SKIPPED: &str = "tollkeeper_login_records_skipped_total";
/// HTTP requests by `listener`, `route` and `status`.
pub const HTTP_REQUESTS: &str = "tollkeeper_http_requests_total";
/// How long an HTTP request took, by `listener` and `route`.
pub const HTTP_DURATION: &str = "tollkeeper_http_request_duration_seconds";
/// 1 where a `component` is degraded, 0 where it is well again.
pub const DEGRADED: &str = "tollkeeper_degraded";
/// Always 1; the `version` that runs.
pub const BUILD_INFO: &str = "tollkeeper_build_info";
/// When the process began.
pub const START_TIME: &str = "process_start_time_seconds";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// 50 µs to 5 s: a login from memory takes microseconds, one with a slow password hash or a slow
/// database up to the NAS's patience.
const LATENCIES: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];

/// Name, kind and what HELP says.
pub(super) const ALL: &[(&str, Kind, &str)] = &[
    (REQUESTS, Kind::Counter, "RADIUS requests that passed admission, by code and NAS."),
    (REPLIES, Kind::Counter, "RADIUS replies sent, by code and NAS."),
    (DISCARDS, Kind::Counter, "Datagrams dropped in silence, by reason and NAS."),
    (DUPLICATES, Kind::Counter, "Replies sent again to a retransmission, by NAS."),
    (DUPLICATE_CACHE_ENTRIES, Kind::Gauge, "Requests and replies kept for retransmissions, by port."),
    (DUPLICATE_CACHE_BYTES, Kind::Gauge, "Octets of the replies kept for retransmissions, by port."),
    (IN_FLIGHT, Kind::Gauge, "Requests received and not answered yet, by port."),
    (HURRIED_REJECTS, Kind::Counter, "Access-Rejects sent early because too many were held back."),
    (NAS_SOURCES, Kind::Gauge, "Source addresses of a NAS, by whether they sign their Access-Requests."),
    (UNSIGNED_LOGINS, Kind::Counter, "Access-Requests without Message-Authenticator that were served."),
    (NAS_NARROW_COUNTERS, Kind::Gauge, "1 for a NAS that counts octets in 32 bits, and whose counters wrap."),
    (SEND_ERRORS, Kind::Counter, "Replies that the operating system did not take."),
    (KERNEL_DROPS, Kind::Counter, "Datagrams dropped because a receive buffer was full, by port."),
    (REJECTS, Kind::Counter, "Access-Rejects by reason."),
    (REQUEST_DURATION, Kind::Histogram(LATENCIES), "From receiving a request to sending its reply."),
    (SESSIONS_ONLINE, Kind::Gauge, "Open sessions."),
    (SESSIONS_OPENED, Kind::Counter, "Sessions that were opened."),
    (SESSIONS_CLOSED, Kind::Counter, "Sessions that were closed, by cause."),
    (SESSIONS_REOPENED, Kind::Counter, "Sessions closed on a guess that showed life again."),
    (RESERVATIONS, Kind::Gauge, "Places taken by an Accept whose Start has not come yet."),
    (
        ACCEPTS_WITHOUT_START,
        Kind::Counter,
        "Accepts of logins with a limit whose Start did not come in time, by NAS.",
    ),
    (SUBSCRIBERS, Kind::Gauge, "Subscribers in memory."),
    (WRITER_BATCH, Kind::Histogram(BATCHES), "Rows of one commit of the writer."),
    (COMMIT_DURATION, Kind::Histogram(LATENCIES), "How long a commit took."),
    (COMMIT_FAILURES, Kind::Counter, "Commits that failed or exceeded their deadline."),
    (ROWS_REFUSED, Kind::Counter, "Rows that the database cannot hold; they were set aside."),
    (SPOOL, Kind::Gauge, "What is in the spool, by state."),
    (SPOOL_AGE, Kind::Gauge, "Age of the oldest entry of the spool that is not in SQL yet."),
    (
        SNAPSHOT,
        Kind::Gauge,
        "When the snapshot for a start without the database was last brought up to date.",
    ),
    (SPOOLED_BATCHES, Kind::Counter, "Batches that were acknowledged from the spool."),
    (SPOOLED_ROWS, Kind::Counter, "Rows that were acknowledged from the spool."),
    (DRAINED_ROWS, Kind::Counter, "Rows of the spool that SQL has taken."),
    (SPOOL_FAILURES, Kind::Counter, "Batches that neither SQL nor the spool took."),
    (QUEUE_DEPTH, Kind::Gauge, "What waits in a bounded queue."),
    (CHANGE_FEED_LAG, Kind::Gauge, "Age of the oldest change of the tables that is not in force yet."),
    (CHANGES, Kind::Counter, "Changes of the tables that were taken over."),
    (
        COA_OUTCOMES,
        Kind::Counter,
        "Dynamic-authorization exchanges that ended, by kind, outcome and error cause.",
    ),
    (COA_RETRANSMISSIONS, Kind::Counter, "Dynamic-authorization packets sent again."),
    (
        COA_DISCARDS,
        Kind::Counter,
        "Datagrams that answered no Disconnect- or CoA-Request of ours, by reason.",
    ),
    (COA_SEND_FAILURES, Kind::Counter, "Dynamic-authorization packets that the system would not send."),
    (COA_RECORD_FAILURES, Kind::Counter, "Times that outcomes could not be written and were kept."),
    (COA_EXCHANGES, Kind::Gauge, "Dynamic-authorization exchanges under way, by state."),
    (
        RECONCILER_SESSIONS,
        Kind::Gauge,
        "Sessions that have not what their subscriber's policy gives, by state.",
    ),
    (RECONCILER_STEPS, Kind::Counter, "What came of asking NASes to bring sessions into line, by step."),
    (LOGIN_RECORDS_SKIPPED, Kind::Counter, "Login attempts counted but not recorded, there were too many."),
    (HTTP_REQUESTS, Kind::Counter, "HTTP requests by listener, route and status."),
    (HTTP_DURATION, Kind::Histogram(LATENCIES), "How long an HTTP request took."),
    (DEGRADED, Kind::Gauge, "1 where a component is degraded, 0 where it is well again."),
    (BUILD_INFO, Kind::Gauge, "Always 1; the version that runs."),
    (START_TIME, Kind::Gauge, "When the process began, seconds since 1970."),
];
