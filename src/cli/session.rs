//! `tollkeeper session`: who is online, and what is asked of their NASes.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::{named, table, utc};
use super::{Exit, Failure};
use crate::domain::dynamic_auth::{Outcome, error_cause_name};
use crate::domain::{Session, UniqueId};
use crate::service::{Management, ServiceError};
use crate::store::OrderRow;
use crate::time::{Clock as _, SystemClock};

#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionCommand {
    /// Show the open sessions.
    List {
        /// Only those of this subscriber.
        #[arg(long)]
        login: Option<String>,
    },
    /// Show an open session.
    Show {
        /// Its id, or its Acct-Session-Id if that is unique.
        session: String,
    },
    /// Ask the NAS to end a session, and wait for its answer.
    Disconnect {
        /// Its id, or its Acct-Session-Id if that is unique.
        session: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Ask the NAS to change a session, and wait for its answer.
    Coa {
        /// Its id, or its Acct-Session-Id if that is unique.
        session: String,
        /// What shall be different, each attribute in one argument.
        #[arg(required = true, value_name = "NAME = VALUE")]
        attributes: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Wait {
    /// How long to wait for a server to take the order; once it has, its end is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    wait: u64,
}

/// Sessions that are read at a time.
const PAGE: u32 = 2_000;
/// A server gives up on a NAS before this.
const EXCHANGE_MAX: Duration = Duration::from_secs(100);
/// How often the order is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn session(command: &SessionCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        SessionCommand::List { login } => {
            let sessions = online(&management, login.as_deref()).await?;
            let value: Vec<Value> = sessions.iter().map(session_json).collect();
            context.output.answer(&value.into(), || list(&sessions));
            Ok(Exit::Done)
        }
        SessionCommand::Show { session } => {
            let value = session_json(&management.online_session(session).await?);
            context.output.answer(&value, || named(&value));
            Ok(Exit::Done)
        }
        SessionCommand::Disconnect { session, wait } => {
            let session = management.online_session(session).await?.unique_id;
            let order = management.disconnect(session).await?;
            follow(&management, session, order, *wait, context).await
        }
        SessionCommand::Coa { session, attributes, wait } => {
            let session = management.online_session(session).await?.unique_id;
            let order = management.change_session(session, attributes).await?;
            follow(&management, session, order, *wait, context).await
        }
    }
}

async fn online(management: &Management<'_>, login: Option<&str>) -> Result<Vec<Session>, ServiceError> {
    let mut sessions = Vec::new();
    let mut cursor = None;
    loop {
        let page = management.online_sessions(cursor.as_ref(), PAGE).await?;
        let wanted = |session: &Session| login.is_none_or(|login| session.user_name == login);
        sessions.extend(page.sessions.into_iter().filter(wanted));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(sessions),
        }
    }
}

/// Waits for what comes of an order, and says it.
async fn follow(
    management: &Management<'_>,
    session: UniqueId,
    id: i64,
    wait: Wait,
    context: &Context,
) -> Result<Exit, Failure> {
    let began = SystemClock.now().instant;
    let row = loop {
        let row = management.order(id).await?;
        let patience = if row.taken.is_some() { EXCHANGE_MAX } else { Duration::from_secs(wait.wait) };
        let waited = SystemClock.now().instant.saturating_duration_since(began);
        if row.outcome.is_some() || waited >= patience {
            break row;
        }
        tokio::time::sleep(LOOK).await;
    };
    let cause = match row.outcome {
        Some(Outcome::Nak { error_cause }) => error_cause,
        _ => None,
    };
    let word = word(&row);
    let value = json!({
        "id": id,
        "session": session.to_text().as_str(),
        "outcome": word,
        "error_cause": cause,
        "error_cause_name": cause.map(error_cause_name),
    });
    context.output.answer(&value, || match (&row.outcome, cause) {
        (None, _) if row.taken.is_none() => format!("order {id} is queued: no server has taken it yet"),
        (_, Some(cause)) => format!("{word}: {cause} {}", error_cause_name(cause)),
        _ => word.to_owned(),
    });
    Ok(match row.outcome {
        Some(Outcome::Ack) | None => Exit::Done,
        Some(Outcome::Nak { .. } | Outcome::TimedOut | Outcome::NotSent(_)) => Exit::Refused,
    })
}

fn word(row: &OrderRow) -> &'static str {
    match row.outcome {
        Some(outcome) => outcome.as_str(),
        None if row.taken.is_some() => "sent",
        None => "queued",
    }
}

fn session_json(session: &Session) -> Value {
    let total = session.total();
    json!({
        "id": session.unique_id.to_text().as_str(),
        "login": session.user_name.as_str(),
        "acct_session_id": session.acct_session_id.as_str(),
        "nas": session.nas.ip().to_string(),
        "nas_identifier": session.nas.identifier.as_str(),
        "nas_port": session.nas_port_id.as_str(),
        "address": session.framed_address().map(|address| address.to_string()),
        "device": session.calling_station_id.as_str(),
        "group": session.group.as_str(),
        "started": utc(session.started),
        "updated": utc(session.updated),
        "seconds": total.seconds,
        "input": total.input,
        "output": total.output,
        "flags": session.flags.to_text(),
        "unenforced": session.flags.unenforced,
    })
}

fn list(sessions: &[Session]) -> String {
    let row = |session: &Session| {
        let total = session.total();
        vec![
            session.unique_id.to_text().to_string(),
            session.user_name.to_string(),
            session.nas.ip().to_string(),
            session.framed_address().map_or_else(|| "-".to_owned(), |address| address.to_string()),
            session.calling_station_id.to_string(),
            utc(session.started),
            total.seconds.to_string(),
            total.input.to_string(),
            total.output.to_string(),
            if session.flags.unenforced { "unenforced".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    table(&["ID", "LOGIN", "NAS", "ADDRESS", "DEVICE", "STARTED", "SECONDS", "INPUT", "OUTPUT", ""], &rows)
}
