//! `tollkeeper adopt`: takes over a FreeRADIUS or daloRADIUS database.

use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::table;
use super::{Exit, Failure, progress};
use crate::store::{Adopted, NasRows, Survey};

pub(super) async fn adopt(dry_run: bool, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    let (survey, unknown) = management.survey().await?;
    let adopted = if dry_run {
        None
    } else {
        let bar = progress::bar("adopting", survey.logins);
        let adopted = management
            .adopt(&|done, total| {
                bar.set_length(total);
                bar.set_position(done);
            })
            .await;
        bar.finish_and_clear();
        Some(adopted?)
    };
    let nas = if context.store.pending_migrations().await?.is_empty() {
        Some(context.store.nas_rows().await?)
    } else {
        None
    };
    let value = report(&survey, &unknown, nas.as_ref(), adopted);
    context.output.answer(&value, || people(&survey, &unknown, nas.as_ref(), adopted));
    Ok(Exit::Done)
}

fn report(survey: &Survey, unknown: &[String], nas: Option<&NasRows>, adopted: Option<Adopted>) -> Value {
    let unusable = |nas: &NasRows| {
        let row = |row: &crate::store::UnusableNas| json!({ "id": row.id, "address": row.name.as_str(), "reason": row.reason.as_str() });
        nas.unusable.iter().map(row).collect::<Vec<_>>()
    };
    json!({
        "dry_run": adopted.is_none(),
        "logins": survey.logins,
        "new_subscribers": adopted.map_or(survey.unseen, |adopted| adopted.subscribers),
        "new_plans": survey.new_plans.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "disabled": survey.disabled,
        "groups_without_fall_through": survey.stopping.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unknown_attributes": unknown,
        "sessions": survey.sessions,
        "open_sessions": survey.open_sessions,
        "input_octets": survey.input,
        "output_octets": survey.output,
        "octets_look_swapped": looks_swapped(survey),
        "contacts_not_copied": survey.contacts,
        "nas": nas.map(|nas| nas.usable.len()),
        "unusable_nas": nas.map(unusable),
    })
}

/// Subscribers usually receive far more than they send.
const fn looks_swapped(survey: &Survey) -> bool {
    survey.input > survey.output.saturating_mul(2)
}

fn people(survey: &Survey, unknown: &[String], nas: Option<&NasRows>, adopted: Option<Adopted>) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    row("logins", survey.logins.to_string());
    match adopted {
        Some(adopted) => {
            row("subscribers made", adopted.subscribers.to_string());
            row("plans made", adopted.plans.to_string());
            row("primary plans found", adopted.with_plan.to_string());
            row("found disabled", adopted.disabled.to_string());
            row("contacts taken over", adopted.contacts.to_string());
        }
        None => {
            row("subscribers to make", survey.unseen.to_string());
            row("plans to make", join(&survey.new_plans));
            row("disabled", survey.disabled.to_string());
        }
    }
    row("sessions", format!("{} ({} open)", survey.sessions, survey.open_sessions));
    if let Some(nas) = nas {
        row("NASes", nas.usable.len().to_string());
        for unusable in &nas.unusable {
            row("NAS not usable", format!("{} {}: {}", unusable.id, unusable.name, unusable.reason));
        }
    }
    for attribute in unknown {
        row("unknown attribute", attribute.clone());
    }
    if !survey.stopping.is_empty() {
        row("groups without Fall-Through", join(&survey.stopping));
    }
    if looks_swapped(survey) {
        let figures = format!(
            "{} in, {} out: set swap_octets where a NAS counts the other way",
            survey.input, survey.output
        );
        row("octets look swapped", figures);
    }
    if let Some(contacts) = survey.contacts.filter(|contacts| *contacts > 0 && adopted.is_none()) {
        row("contacts in userinfo", contacts.to_string());
    }
    let mut text = table(&["WHAT", "VALUE"], &rows);
    if adopted.is_none() {
        text.push_str("\nNothing was changed. Run it without --dry-run to adopt.");
    }
    text
}

fn join(names: &[smol_str::SmolStr]) -> String {
    names.iter().map(smol_str::SmolStr::as_str).collect::<Vec<_>>().join(", ")
}
