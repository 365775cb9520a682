//! The whole server as its neighbours see it: NASes, databases and the passing of time, told as text.
//!
//! Each file of `tests/data/scenarios` is one test on each database, with a server and a database of its
//! own, real sockets on loopback, and clocks that only the text moves ahead. `docs/scenarios.md` says
//! which case is told where; `tests/data/scenarios/README.md` has the language.

mod client;
mod explained;
mod http;
mod ibsng;
mod json;
mod script;
mod stall;
mod world;

use crate::support::databases::{Kind, TestDatabase};

macro_rules! scenarios {
    (everywhere: $($name:ident),*; on_servers: $($server:ident),*) => {
        scenarios!(@ sqlite, Kind::Sqlite, $($name),*);
        scenarios!(@ postgres, Kind::Postgres, $($name,)* $($server),*);
        scenarios!(@ mysql, Kind::MySql, $($name,)* $($server),*);
    };
    (@ $module:ident, $kind:expr, $($name:ident),*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    Box::pin(tell(concat!("tests/data/scenarios/", stringify!($name), ".txt"), $kind)).await;
                }
            )*
        }
    };
}

scenarios! {
    everywhere:
    accounts,
    antamedia_accounts,
    antamedia_clients,
    antamedia_sessions,
    bindings,
    concurrency,
    counters,
    credit,
    devices,
    dynamic_authorization,
    frozen_database,
    ghosts,
    guesses,
    ibsng_document,
    ibsng_effects,
    ibsng_errors,
    ibsng_hostile,
    ibsng_methods,
    jaze_clients,
    jaze_effects,
    jaze_errors,
    jaze_isp,
    jaze_moves,
    jaze_rest,
    jaze_users,
    limits,
    logins,
    mfusion_access,
    mfusion_auth,
    mfusion_profiles,
    mfusion_rename,
    mfusion_reports,
    mfusion_rest,
    mfusion_scope,
    mfusion_users,
    names,
    packs,
    quotas,
    reboots,
    reconciler,
    reject_delay,
    restart,
    running_quotas,
    sequence,
    tables,
    unverifiable,
    validity;
    on_servers:
    lost_answers
}

/// Tells every scenario of a file, also after one has failed; fails with all that was wrong.
async fn tell(file: &str, kind: Kind) {
    let Some(database) = TestDatabase::create(kind).await else { return };
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let script = script::Script::read(&text);
    assert!(!script.scenarios.is_empty(), "{file} tells nothing");
    let mut world = world::World::start(database, &script).await;
    let mut wrong = Vec::new();
    for scenario in &script.scenarios {
        if let Err((line, reason)) = world.tell(scenario).await {
            wrong.push(format!("{file}:{line}: {}: {reason}", scenario.title));
        }
    }
    world.end().await;
    assert!(wrong.is_empty(), "on {kind:?}:\n{}", wrong.join("\n"));
}
