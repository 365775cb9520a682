//! `tollkeeper spool`: what was acknowledged and SQL has refused.

use std::path::Path;

use serde_json::{Value, json};

use super::context::Context;
use super::output::{Output, table, utc};
use super::{Exit, Failure};
use crate::config::Settings;
use crate::domain::Write;
use crate::store::{CommitWrites as _, Poisoned, Spool, SpoolMeasure, StoreError};

#[derive(Debug, clap::Subcommand)]
pub(super) enum SpoolCommand {
    /// Show how much waits for SQL, and what SQL has refused.
    List,
    /// Give SQL once more what it has refused, after the reason was seen to.
    Retry {
        /// Its number.
        #[arg(required_unless_present = "all")]
        id: Option<i64>,
        /// Everything.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Throw away what SQL has refused. It was acknowledged, and will be nowhere.
    Delete {
        /// Its number.
        id: i64,
    },
}

/// Most entries that one command shows or tries.
const MOST: u32 = 10_000;
/// Characters of a row that the table shows.
const SHOWN: usize = 60;

pub(super) async fn spool(
    command: &SpoolCommand,
    file: Option<&Path>,
    output: Output,
) -> Result<Exit, Failure> {
    let settings = Settings::load(file)?;
    let place = settings.spool();
    if !place.file.exists() {
        // Made by the first server that runs here.
        return match command {
            SpoolCommand::List => Ok(list(&SpoolMeasure::default(), &[], output)),
            _ => Err(Failure::Usage(format!("{}: no server has run here", place.file.display()))),
        };
    }
    let spool = Spool::open(&place).await.map_err(Failure::Spool)?;
    let outcome = match command {
        SpoolCommand::List => show(&spool, output).await,
        SpoolCommand::Retry { id, all } => {
            let wanted = if *all { None } else { *id };
            retry(&spool, wanted, &Context::open(file, output).await?).await
        }
        SpoolCommand::Delete { id } => delete(&spool, *id, output).await,
    };
    spool.close().await;
    outcome
}

async fn show(spool: &Spool, output: Output) -> Result<Exit, Failure> {
    let measure = spool.measure().await.map_err(Failure::Spool)?;
    let poisoned = spool.poisoned(MOST).await.map_err(Failure::Spool)?;
    Ok(list(&measure, &poisoned, output))
}

fn list(measure: &SpoolMeasure, poisoned: &[Poisoned], output: Output) -> Exit {
    let refused: Vec<Value> = poisoned
        .iter()
        .map(|one| json!({ "id": one.id, "since": utc(one.at), "reason": one.reason, "what": what(one), "row": one.body }))
        .collect();
    let value = json!({
        "rows": measure.rows,
        "records": measure.records,
        "oldest": measure.oldest.map(utc),
        "refused": refused,
    });
    output.answer(&value, || {
        let waits = format!("{} rows and {} records wait for the database\n", measure.rows, measure.records);
        if poisoned.is_empty() {
            return waits;
        }
        let rows: Vec<Vec<String>> = poisoned
            .iter()
            .map(|one| {
                let reason: String = one.reason.chars().take(SHOWN).collect();
                vec![one.id.to_string(), utc(one.at), what(one), reason]
            })
            .collect();
        format!("{waits}{}", table(&["ID", "SINCE", "WHAT", "REFUSED BECAUSE"], &rows))
    });
    Exit::Done
}

/// In a few words what was refused.
fn what(poisoned: &Poisoned) -> String {
    match &poisoned.write {
        Some(Write::Session(session)) => {
            format!("session {} of {}", session.acct_session_id, session.user_name)
        }
        Some(Write::Usage { subscriber, day, .. }) => format!("usage of {} on day {}", subscriber.0, day.0),
        Some(Write::NasReload(reload)) => format!("reboot of {}", reload.nas.ip()),
        Some(Write::TopUp { quota, .. }) => format!("use of top-up {quota}"),
        Some(Write::Used { subscriber, .. }) => format!("use of {}", subscriber.0),
        None if poisoned.record().is_some() => "a record as it was received".to_owned(),
        None => "what cannot be read".to_owned(),
    }
}

async fn retry(spool: &Spool, wanted: Option<i64>, context: &Context) -> Result<Exit, Failure> {
    let all = spool.poisoned(MOST).await.map_err(Failure::Spool)?;
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    for one in all.iter().filter(|one| wanted.is_none_or(|id| id == one.id)) {
        let outcome = match (&one.write, one.record()) {
            (Some(write), _) => context.store.commit(std::slice::from_ref(write)).await,
            // The server that runs, or the next one, asks SQL about it.
            (None, Some(record)) => spool.keep_records(&[record]).await,
            (None, None) => Err(StoreError::Corrupt { table: "spool.db", reason: one.reason.clone() }),
        };
        match outcome {
            Ok(()) => {
                spool.delete_poisoned(one.id).await.map_err(Failure::Spool)?;
                stored.push(one.id);
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                context.output.complain(&format!("{}: {error}", one.id));
                refused.push(one.id);
            }
            Err(error) => return Err(error.into()),
        }
    }
    context.store.close().await;
    if let Some(id) = wanted.filter(|_| stored.is_empty() && refused.is_empty()) {
        return Ok(absent(id, context.output));
    }
    context.output.answer(&json!({ "stored": stored, "refused": refused }), || {
        format!("{} stored, {} still refused", stored.len(), refused.len())
    });
    Ok(if refused.is_empty() { Exit::Done } else { Exit::Refused })
}

async fn delete(spool: &Spool, id: i64, output: Output) -> Result<Exit, Failure> {
    if !spool.delete_poisoned(id).await.map_err(Failure::Spool)? {
        return Ok(absent(id, output));
    }
    output.answer(&json!({ "deleted": id }), || format!("deleted {id}"));
    Ok(Exit::Done)
}

fn absent(id: i64, output: Output) -> Exit {
    output.complain(&format!("error: nothing was refused under number {id}"));
    Exit::Refused
}
