//! `tollkeeper explain`: why a subscriber is accepted or refused.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::{table, utc};
use super::{Exit, Failure};
use crate::domain::RejectReason;
use crate::service::{Explanation, Imagined};
use crate::store::Attempt;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// User-Name.
    login: String,
    /// The address of the NAS that would ask.
    #[arg(long, value_name = "ADDRESS")]
    nas: Option<IpAddr>,
    /// The Calling-Station-Id that it would name.
    #[arg(long, value_name = "MAC")]
    device: Option<String>,
}

pub(super) async fn explain(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    let imagined =
        Imagined { login: &arguments.login, nas: arguments.nas, device: arguments.device.as_deref() };
    let mut explanation = management.explain(imagined).await?;
    if let Some(address) = arguments.nas
        && !is_configured(address, context).await?
    {
        explanation.warnings.push(format!("no NAS is configured for {address}: its requests are dropped"));
    }
    context.output.answer(&explanation_json(&explanation), || people(&arguments.login, &explanation));
    Ok(Exit::Done)
}

async fn is_configured(address: IpAddr, context: &Context) -> Result<bool, Failure> {
    let rows = context.store.nas_rows().await?;
    Ok(context.settings.nas.iter().chain(&rows.usable).any(|nas| nas.network.contains(&address)))
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
        "sessions": taken,
        "simultaneous_use": limit,
        "warnings": explanation.warnings,
    })
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
