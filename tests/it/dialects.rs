//! One truth, four languages: random operations in all dialects while NASes log devices in and count, and
//! the twelve invariants of the domain model after each of them.
//!
//! [`model`] predicts, [`callers`] speak the dialects, [`nas`] speaks RADIUS, [`operations`] changes
//! something, [`invariants`] has a function for each invariant, and [`world`] holds them together.
//! `TOLLKEEPER_DIALECTS_OPERATIONS` says how many operations each database gets, and
//! `TOLLKEEPER_DIALECTS_SEED` repeats a run that failed.

mod callers;
mod http;
mod invariants;
mod model;
mod nas;
mod operations;
mod world;

use self::world::World;
use crate::support::databases::Kind;

/// Operations on each database without other word: enough to see each kind a few times.
const OPERATIONS: u64 = 120;
/// Without other word it is always the same run: what fails is what somebody has just changed.
const SEED: u64 = 1;

#[test]
fn four_dialects_and_radius_tell_one_truth_on_sqlite() {
    battery(Kind::Sqlite);
}

#[test]
fn four_dialects_and_radius_tell_one_truth_on_postgresql() {
    battery(Kind::Postgres);
}

#[test]
fn four_dialects_and_radius_tell_one_truth_on_mysql() {
    battery(Kind::MySql);
}

fn battery(kind: Kind) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let operations = number("TOLLKEEPER_DIALECTS_OPERATIONS").unwrap_or(OPERATIONS);
    let seed = number("TOLLKEEPER_DIALECTS_SEED").unwrap_or(SEED);
    let Some(mut world) = World::start(kind, seed) else { return };
    while world.operations() < operations {
        world.round();
    }
    world.end();
}
