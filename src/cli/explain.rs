//! `tollkeeper explain`: why a subscriber is accepted or refused.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::context::{Context, password_from_stdin, user};
use super::output::{table, utc};
use super::{Exit, Failure};
use crate::domain::RejectReason;
use crate::engine::{Said, Seen};
use crate::service::{Explanation, Imagined};
use crate::store::Attempt;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// User-Name.
    login: String,
    /// The address of the NAS that would ask.
    #[arg(long, value_name = "ADDRESS")]
    nas: Option<IpAddr>,
    /// Its NAS-Identifier, where it is not the configured one.
    #[arg(long, value_name = "NAME")]
    identifier: Option<String>,
    /// The Calling-Station-Id that it would name.
    #[arg(long, value_name = "MAC")]
    device: Option<String>,
    /// The Framed-IP-Address that it would name.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Try a password: the first line of standard input. Else the right one is assumed.
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn explain(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    let password = if arguments.password_stdin { Some(password_from_stdin()?) } else { None };
    let imagined = Imagined {
        login: &arguments.login,
        nas: arguments.nas,
        identifier: arguments.identifier.as_deref(),
        device: arguments.device.as_deref(),
        address: arguments.address,
        password: password.as_deref(),
    };
    let explanation = management.explain(imagined).await?;
    context.output.answer(&explanation_json(&explanation), || people(&arguments.login, &explanation));
    Ok(Exit::Done)
}

const fn decision(reject: Option<RejectReason>) -> &'static str {
    match reject {
        None => "accept",
        Some(_) => "reject",
    }
}

fn explanation_json(explanation: &Explanation) -> Value {
    let (taken, limit) = explanation.places;
    let attribute = |(name, value): &(String, String)| json!({ "name": name, "value": value });
    json!({
        "decision": decision(explanation.reject),
        "reason": explanation.reject.map(RejectReason::key),
        "rule": explanation.rule.as_str(),
        "attributes": explanation.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "last": explanation.last.iter().map(attempt_json).collect::<Vec<_>>(),
        "groups": explanation.groups.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "steps": explanation.steps.iter().map(step_json).collect::<Vec<_>>(),
        "first_use": explanation.uses.first.map(utc),
        "last_use": explanation.uses.last.map(utc),
        "sessions": taken,
        "simultaneous_use": limit,
        "warnings": explanation.warnings,
    })
}

fn step_json(seen: &Seen) -> Value {
    json!({
        "step": seen.step.as_str(),
        "said": said(seen.said),
        "rule": seen.rule.as_str(),
        "detail": seen.detail,
        "decides": seen.decides,
    })
}

const fn said(said: Said) -> &'static str {
    match said {
        Said::Passed => "passed",
        Said::Limits => "limits",
        Said::Refused(_) => "refused",
    }
}

fn attempt_json(attempt: &Attempt) -> Value {
    json!({
        "at": utc(attempt.at),
        "decision": decision(attempt.reject),
        "reason": attempt.reject.map(RejectReason::key),
        "rule": attempt.rule.as_str(),
        "method": attempt.method.as_str(),
        "nas": attempt.nas.map(|nas| nas.to_string()),
        "device": attempt.calling_station_id.as_str(),
    })
}

fn people(login: &str, explanation: &Explanation) -> String {
    let (taken, limit) = explanation.places;
    let reason = explanation.reject.map_or("", RejectReason::key);
    let mut text = format!("{login}: {} {reason}", decision(explanation.reject)).trim_end().to_owned();
    text.push_str(&format!("\nrule: {}\n", explanation.rule));
    let limit = limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
    text.push_str(&format!("sessions: {taken} open of {limit}\n"));
    if !explanation.groups.is_empty() {
        let groups: Vec<&str> = explanation.groups.iter().map(|group| group.as_str()).collect();
        text.push_str(&format!("groups: {}\n", groups.join(", ")));
    }
    for warning in &explanation.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let row = |seen: &Seen| {
        let mark = if seen.decides { "=>" } else { "" };
        let cells = [mark, seen.step.as_str(), said(seen.said), seen.rule.as_str(), seen.detail.as_str()];
        cells.map(ToOwned::to_owned).to_vec()
    };
    let rows: Vec<_> = explanation.steps.iter().map(row).collect();
    text.push('\n');
    text.push_str(&table(&["", "STEP", "SAID", "RULE", "HERE AND NOW"], &rows));
    if !explanation.attributes.is_empty() {
        let rows: Vec<_> =
            explanation.attributes.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
        text.push('\n');
        text.push_str(&table(&["ATTRIBUTE", "VALUE"], &rows));
    }
    if !explanation.last.is_empty() {
        let row = |attempt: &Attempt| {
            vec![
                utc(attempt.at),
                decision(attempt.reject).to_owned(),
                attempt.reject.map_or("", RejectReason::key).to_owned(),
                attempt.rule.to_string(),
                attempt.method.to_string(),
                attempt.nas.map_or_else(String::new, |nas| nas.to_string()),
            ]
        };
        let rows: Vec<_> = explanation.last.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["LAST", "DECISION", "REASON", "RULE", "METHOD", "NAS"], &rows));
    }
    text
}
