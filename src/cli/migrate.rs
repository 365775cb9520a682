//! `tollkeeper migrate`: brings the tables up to this release.

use serde_json::json;

use super::context::Context;
use super::{Exit, Failure, progress};

pub(super) async fn migrate(dry_run: bool, context: &Context) -> Result<Exit, Failure> {
    let pending = context.store.pending_migrations().await?;
    let taken = if dry_run {
        Vec::new()
    } else {
        let bar = progress::spinner("migrating");
        let taken = context.store.migrate().await;
        bar.finish_and_clear();
        taken?
    };
    let left: Vec<&str> = pending.iter().copied().filter(|step| !taken.contains(step)).collect();
    let value = json!({ "database": context.settings.database.shown(), "applied": taken, "pending": left });
    context.output.answer(&value, || match (taken.is_empty(), left.is_empty()) {
        (true, true) => format!("{} is up to date", context.settings.database.shown()),
        (false, _) => format!("applied {}", taken.join(", ")),
        (true, false) => format!("would apply {}", left.join(", ")),
    });
    Ok(Exit::Done)
}
