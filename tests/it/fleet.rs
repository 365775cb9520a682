//! A fleet of simulated NASes, real datagrams, the real server and each database, against an account
//! of what the NASes reported.
//!
//! Every kind of habit is in it (`fleet/nas.rs`): 64-bit counters and 32-bit ones that wrap, Class
//! echoed or not, Event-Timestamp, Acct-Delay-Time or no time at all, retransmissions with the old
//! Identifier or a new one, Stops with counters, with noughts and with nothing, reboots with and without
//! a word and the same Acct-Session-Ids after it. The network loses requests and replies, doubles them
//! and holds them back; the server is restarted, and as a process killed. NASes ask until they are
//! acknowledged. All of it happens on a clock that nobody waits for.
//!
//! At each restart and in the end `tk_usage` has, for every subscriber, day and lifetime, what the account
//! has (`fleet/model.rs`), to the byte and the second; `radacct` has each session once, with its share.
//! `TOLLKEEPER_SEED=n` plays the run that a failure names, `TOLLKEEPER_SEEDS=n` so many runs.

mod host;
mod model;
mod nas;
mod verdict;
mod world;

use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::databases::Kind;
use crate::support::server::Database;

#[test]
fn usage_in_sqlite_is_what_the_fleet_reported() {
    play(Kind::Sqlite, |seed, database| world::World::embedded(seed, Kind::Sqlite, database).run());
}

#[test]
fn usage_in_postgresql_is_what_the_fleet_reported() {
    play(Kind::Postgres, |seed, database| world::World::embedded(seed, Kind::Postgres, database).run());
}

#[test]
fn usage_in_mysql_is_what_the_fleet_reported() {
    play(Kind::MySql, |seed, database| world::World::embedded(seed, Kind::MySql, database).run());
}

#[test]
fn usage_is_what_the_fleet_reported_to_a_server_that_was_killed() {
    let now = SystemClock.now().unix.0;
    play(Kind::Sqlite, |seed, database| world::World::binary(seed, Kind::Sqlite, database, now).run());
}

/// Runs with one seed after the other, each on a database of its own.
fn play(kind: Kind, run: impl Fn(u64, &mut Database) -> usize) {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let seeds = match number("TOLLKEEPER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TOLLKEEPER_SEEDS").unwrap_or(1),
    };
    for seed in seeds {
        let Some(mut database) = Database::create(kind) else { return };
        let datagrams = run(seed, &mut database);
        assert!(datagrams > 1000, "seed {seed}: only {datagrams} datagrams were answered");
    }
}
