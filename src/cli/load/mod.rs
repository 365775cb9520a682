//! `tollkeeper load`: a load generator for any RADIUS server.
//!
//! A closed loop: so many requests are outstanding, and the next is sent when a verified reply has
//! come. With `--rate` it is an open loop, and latencies count from the moment a request was due, so
//! that a server that stalls does not look fast.

mod traffic;
mod worker;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::traffic::{Method, Mode, Plan};
use self::worker::{Progress, Tally, Task, Worker};
use super::histogram::{Histogram, milliseconds};
use super::output::{Output, table};
use super::{Exit, Failure, progress};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::radius::Secret;
use crate::time::{Clock as _, SystemClock};

/// What to send, where, and how much of it.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// auth: Access-Requests; acct, also accounting: Start, Interim-Update, Stop; mixed: a login and then its session.
    mode: Mode,
    /// Where Access-Requests go; in acct mode Accounting-Requests.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:1812")]
    target: SocketAddr,
    /// Where Accounting-Requests go [default: in acct mode --target, else its port and one]
    #[arg(long, value_name = "ADDRESS:PORT")]
    acct_target: Option<SocketAddr>,
    /// Shared secret.
    #[arg(long, default_value = "testing123")]
    secret: String,
    /// How many subscribers take turns: PREFIX0, PREFIX1 …
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// How their names begin.
    #[arg(long, value_name = "TEXT", default_value = "user")]
    user_prefix: String,
    /// How their passwords begin; the number follows.
    #[arg(long, value_name = "TEXT", default_value = "pass")]
    password_prefix: String,
    /// One password for all of them.
    #[arg(long, value_name = "TEXT", conflicts_with = "password_prefix")]
    password: Option<String>,
    /// How the password is offered.
    #[arg(long, default_value = "pap")]
    method: Method,
    /// Access-Requests without Message-Authenticator.
    #[arg(long)]
    unsigned: bool,
    /// NAS-IP-Address of the requests.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    nas_address: Ipv4Addr,
    /// Requests per second; without it as fast as replies come.
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Requests outstanding at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    inflight: u32,
    /// Begin nothing new after this time.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    seconds: Option<f64>,
    /// Logins (or sessions) in all [default: without --seconds, as many as there are users]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How long a reply is waited for before the request is sent again.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = positive)]
    timeout: f64,
    /// How often a request is sent again before it is given up.
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Threads that send.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
}

/// Longest password that User-Password can hold (RFC 2865 §5.2).
const PASSWORD_OCTETS_MAX: usize = 128;
/// Digits of the largest user number.
const NUMBER_DIGITS_MAX: usize = 20;
/// Longest User-Name that fits an attribute (RFC 2865 §5).
const NAME_OCTETS_MAX: usize = 253;

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "expects a number above 0".into())
}

/// Sends the load, then tells what came back.
pub(super) fn load(arguments: &Arguments, output: &Output) -> Result<Exit, Failure> {
    let secret =
        Secret::new(arguments.secret.as_bytes()).ok_or_else(|| usage("--secret must not be empty"))?;
    let password =
        arguments.password.as_ref().map_or(arguments.password_prefix.len() + NUMBER_DIGITS_MAX, String::len);
    if password > PASSWORD_OCTETS_MAX || arguments.user_prefix.len() + NUMBER_DIGITS_MAX > NAME_OCTETS_MAX {
        return Err(usage("a user name or password would be too long for its attribute"));
    }
    let plan = Plan {
        mode: arguments.mode,
        method: arguments.method,
        secret,
        sign: !arguments.unsigned,
        users: arguments.users,
        user_prefix: arguments.user_prefix.clone(),
        password_prefix: arguments.password_prefix.clone(),
        password: arguments.password.clone(),
        nas_address: arguments.nas_address,
        run: u32::try_from(SystemEntropy.number() >> 32).unwrap_or_default(),
        journeys: AtomicU64::new(0),
    };
    let count = match (arguments.count, arguments.seconds) {
        (Some(count), _) => count,
        (None, Some(_)) => u64::MAX,
        (None, None) => arguments.users,
    };
    let began = SystemClock.now().instant;
    let limit =
        arguments.seconds.map_or(FOREVER, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(FOREVER));
    let threads = arguments.threads.min(arguments.inflight);
    let task = Task {
        auth: arguments.target,
        accounting: accounting_target(arguments),
        inflight: usize::try_from(arguments.inflight / threads).unwrap_or(1),
        rate: arguments.rate.map(|rate| rate / f64::from(plan.steps_count()) / f64::from(threads)),
        timeout: Duration::try_from_secs_f64(arguments.timeout).unwrap_or(FOREVER).min(FOREVER),
        retries: arguments.retries,
        until: began + limit.min(FOREVER),
        count,
    };
    let tally = run(&plan, task, threads, count, began)?;
    let took = SystemClock.now().instant.saturating_duration_since(began);
    let value = report(arguments, &tally, took);
    output.answer(&value, || people(&tally, took));
    Ok(if tally.answered() > 0 { Exit::Done } else { Exit::Refused })
}

/// A day: long enough for any run, short enough to add to any clock.
const FOREVER: Duration = Duration::from_secs(86_400);

fn usage(reason: &str) -> Failure {
    Failure::Usage(reason.to_owned())
}

fn accounting_target(arguments: &Arguments) -> SocketAddr {
    let next = || {
        let address: IpAddr = arguments.target.ip();
        SocketAddr::new(address, arguments.target.port().saturating_add(1))
    };
    arguments.acct_target.unwrap_or_else(
        || {
            if arguments.mode == Mode::Acct { arguments.target } else { next() }
        },
    )
}

/// Runs the workers to their end, with a progress bar meanwhile.
fn run(plan: &Plan, task: Task, threads: u32, count: u64, began: Instant) -> Result<Tally, Failure> {
    let shared = Progress::default();
    let bar = if count == u64::MAX { progress::spinner("sending") } else { progress::bar("sending", count) };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let (done, finished) = mpsc::channel();
        for _ in 0..threads {
            let done = done.clone();
            let shared = &shared;
            scope.spawn(move || {
                let result = Worker::new(plan, task, shared).and_then(Worker::run);
                let _receiver_waits_for_all = done.send(result);
            });
        }
        drop(done);
        loop {
            match finished.recv_timeout(Duration::from_millis(200)) {
                Ok(Ok(part)) => tally.merge(&part),
                Ok(Err(error)) => return Err(Failure::Io("socket".to_owned(), error)),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let answered = shared.answered.load(Ordering::Relaxed);
                    let elapsed = SystemClock.now().instant.saturating_duration_since(began);
                    bar.set_position(shared.begun.load(Ordering::Relaxed).min(count));
                    bar.set_message(format!("{:.0} replies/s", per_second(answered, elapsed)));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        bar.finish_and_clear();
        Ok(tally)
    })
}

fn per_second(count: u64, took: Duration) -> f64 {
    // Exact up to 2^32 replies, which no run reaches; a rate is for people anyway.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64().max(1e-9)
}

fn report(arguments: &Arguments, tally: &Tally, took: Duration) -> Value {
    let mut value = json!({
        "mode": match arguments.mode { Mode::Auth => "auth", Mode::Acct => "acct", Mode::Mixed => "mixed" },
        "target": arguments.target.to_string(),
        "inflight": arguments.inflight,
        "seconds": (took.as_secs_f64() * 1e3).round() / 1e3,
        "requests": tally.sent,
        "replies": tally.answered(),
        "replies_per_second": per_second(tally.answered(), took).round(),
        "accepts": tally.accepts,
        "rejects": tally.rejects,
        "challenges": tally.challenges,
        "accounting_responses": tally.responses,
        "bad": tally.bad,
        "late": tally.late,
        "retransmissions": tally.retransmits,
        "lost": tally.lost,
    });
    for (name, histogram) in [("auth", &tally.logins), ("accounting", &tally.records)] {
        if let Some(object) = value.as_object_mut().filter(|_| histogram.count() > 0) {
            object.insert(name.to_owned(), histogram.to_json());
        }
    }
    value
}

fn people(tally: &Tally, took: Duration) -> String {
    let mut text = format!(
        "{} requests, {} replies in {:.1} s: {:.0} replies/s\n",
        tally.sent,
        tally.answered(),
        took.as_secs_f64(),
        per_second(tally.answered(), took)
    );
    let counts = [
        ("accepts", tally.accepts),
        ("rejects", tally.rejects),
        ("challenges", tally.challenges),
        ("accounting responses", tally.responses),
        ("sent again", tally.retransmits),
        ("lost", tally.lost),
        ("late", tally.late),
        ("bad", tally.bad),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    text.push_str(&counts.join(", "));
    text.push_str("\n\n");
    let row = |name: &str, histogram: &Histogram| {
        let cell = |duration| format!("{:.3}", milliseconds(duration));
        let quantiles = [500, 900, 990, 999].map(|permille| cell(histogram.quantile(permille)));
        std::iter::once(name.to_owned()).chain(quantiles).chain([cell(histogram.max())]).collect::<Vec<_>>()
    };
    let rows: Vec<_> = [("auth", &tally.logins), ("accounting", &tally.records)]
        .into_iter()
        .filter(|(_, histogram)| histogram.count() > 0)
        .map(|(name, histogram)| row(name, histogram))
        .collect();
    text.push_str(&table(&["LATENCY MS", "P50", "P90", "P99", "P99.9", "MAX"], &rows));
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::UdpSocket;

    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::radius::{self, AccessReply, AccountingResponse, ReplyAttributes, attribute};

    /// A server that accepts all but `user1`, gives a Class, and takes every third request for lost. An empty datagram ends it.
    fn server(socket: &UdpSocket, secret: &Secret) -> HashSet<String> {
        let mut sessions = HashSet::new();
        let mut entropy = SeededEntropy::new(1);
        let mut buffer = [0; 4096];
        let mut seen = 0;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if length == 0 {
                break;
            }
            seen += 1;
            if seen % 3 == 0 {
                continue;
            }
            let verified = radius::Packet::decode(&buffer[..length]).unwrap().verify(secret).unwrap();
            let mut out = Vec::new();
            match verified.into_request(secret).unwrap() {
                radius::Request::Access(request) => {
                    let mut attributes = ReplyAttributes::new();
                    attributes.push(attribute::CLASS, b"first");
                    attributes.push(attribute::CLASS, b"second");
                    let rejected = request.user_name() == Some(b"user1");
                    let reply = if rejected {
                        AccessReply::Reject(attributes)
                    } else {
                        AccessReply::Accept(attributes)
                    };
                    reply.encode(&request, secret, &mut entropy, &mut out).unwrap();
                }
                radius::Request::Accounting(request) => {
                    let classes: Vec<_> = request.classes().collect();
                    assert_eq!(classes, [b"first".as_slice(), b"second"]);
                    sessions.insert(String::from_utf8(request.acct_session_id().unwrap().to_vec()).unwrap());
                    AccountingResponse.encode(&request, secret, &mut out).unwrap();
                }
                radius::Request::Status(_) => panic!("nobody asks for that"),
            }
            socket.send_to(&out, from).unwrap();
        }
        sessions
    }

    #[test]
    fn lost_requests_are_sent_again_and_every_journey_ends() {
        let secret = Secret::new(b"testing123").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = socket.local_addr().unwrap();
        let plan = Plan {
            mode: Mode::Mixed,
            method: Method::Chap,
            secret: secret.clone(),
            sign: true,
            users: 4,
            user_prefix: "user".to_owned(),
            password_prefix: "pass".to_owned(),
            password: None,
            nas_address: Ipv4Addr::LOCALHOST,
            run: 7,
            journeys: AtomicU64::new(0),
        };
        let began = SystemClock.now().instant;
        let task = Task {
            auth: target,
            accounting: target,
            inflight: 3,
            rate: None,
            timeout: Duration::from_millis(20),
            retries: 20,
            until: began + FOREVER,
            count: 8,
        };
        let (tally, sessions) = std::thread::scope(|scope| {
            let server = scope.spawn(|| server(&socket, &secret));
            let tally = run(&plan, task, 1, 8, began);
            // An empty datagram ends the server, whatever came of the load.
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], target).unwrap();
            let tally = tally.unwrap();
            (tally, server.join().unwrap())
        });
        assert_eq!((tally.accepts, tally.rejects, tally.responses), (6, 2, 18));
        assert_eq!((tally.sent, tally.lost, tally.bad), (26, 0, 0));
        assert!(tally.retransmits >= 8, "{tally:?}");
        assert_eq!(sessions.len(), 6);
    }
}
