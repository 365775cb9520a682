//! Memory stays flat, however many packets come and however often the configuration is read again.

use crate::support::eventually;
use crate::support::server::{Database, Server, Setup};

/// Packets of one run, unless `TOLLKEEPER_SOAK` says how many; docs/performance.md has the figures of ten million.
const PACKETS: u64 = 24_000;
/// Packets of a login and its session: Access-Request, Start, Interim-Update, Stop.
const OF_A_SESSION: u64 = 4;
const SUBSCRIBERS: u64 = 100;
/// Parts of a run. What memory is after the first quarter of them it may be at the end.
const ROUNDS: u64 = 12;
/// Reloads after each part; a run of ten million packets has a thousand in all.
const RELOADS: u64 = 3;
/// What caches and the allocator may take besides, KiB.
const SLACK: u64 = 8 << 10;

#[test]
fn memory_is_flat_over_packets_and_reloads() {
    let packets =
        std::env::var("TOLLKEEPER_SOAK").map_or(PACKETS, |n| n.parse().expect("TOLLKEEPER_SOAK is a number"));
    let (sessions, reloads) = (packets / OF_A_SESSION / ROUNDS, RELOADS.max(packets / 10_000 / ROUNDS));
    let mut database = Database::sqlite();
    let setup = Setup::on(database.url());
    let server = setup.start();
    for n in 0..SUBSCRIBERS {
        database.subscriber(&format!("user{n}"), &[("Cleartext-Password", &format!("pass{n}"))]);
    }
    let begin = resident(&server);
    let mut after = Vec::new();
    for round in 0..ROUNDS {
        let (auth, accounting) = (server.auth.to_string(), server.accounting.to_string());
        let (count, users) = (sessions.to_string(), SUBSCRIBERS.to_string());
        let load = ["load", "mixed", "--target", &auth, "--acct-target", &accounting, "--count", &count];
        setup.done(&[&load[..], &["--users", &users, "--json"]].concat(), "");
        for n in 0..reloads {
            // Each has something new to read.
            setup.write_text(&with_another_nas(&setup, round * reloads + n));
            server.process.signal("HUP");
            let read = usize::try_from(round * reloads + n + 1).unwrap();
            eventually("the configuration to be read again", || {
                (server.process.log().matches("configuration read again").count() >= read).then_some(())
            });
        }
        after.push(resident(&server));
    }
    let warm = after[after.len() / 4];
    let most = after[after.len() / 4..].iter().copied().max().unwrap();
    println!(
        "{packets} packets, {} reloads: {begin} KiB at the start, {warm} warm, {most} at most, {} at the end",
        reloads * ROUNDS,
        after[after.len() - 1]
    );
    assert!(most <= warm + warm / 20 + SLACK, "KiB after each of {ROUNDS} rounds: {after:?}");
    server.stop();
}

/// The configuration with a second NAS whose secret is new.
fn with_another_nas(setup: &Setup, turn: u64) -> String {
    let text = std::fs::read_to_string(setup.file()).unwrap();
    let secret = format!("secret = \"another secret {turn}\"");
    let (before, _) = text.split_once("[[nas]]\naddress = \"127.0.0.2\"").unwrap_or((&text, ""));
    format!("{before}[[nas]]\naddress = \"127.0.0.2\"\n{secret}\n")
}

/// Memory of the server that is resident, KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
