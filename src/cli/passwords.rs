//! `tollkeeper passwords`: passwords of subscribers, encrypted in the database or not.

use serde_json::json;

use super::context::{Context, user};
use super::output::Output;
use super::{Exit, Failure};
use crate::entropy::SystemEntropy;
use crate::store::Recode;
use crate::vault;

#[derive(Debug, clap::Subcommand)]
pub(super) enum PasswordsCommand {
    /// Print a fresh key: a line for the file that database.password_key_file names.
    NewKey,
    /// Encrypt every password with the first key of the file, those too that another of its keys encrypts.
    Encrypt,
    /// Write every password as it is again, for other tools on the tables.
    Decrypt,
}

pub(super) fn new_key(output: Output) -> Exit {
    let key = vault::new_key(&mut SystemEntropy);
    output.answer(&json!({ "key": key.as_str() }), || key.to_string());
    Exit::Done
}

pub(super) async fn passwords(recode: Recode, context: &Context) -> Result<Exit, Failure> {
    let done = context.gate.console(&user()).recode_passwords(recode).await?;
    let value = json!({
        "changed": done.changed,
        "unchanged": done.unchanged,
        "unreadable": done.unreadable,
        "too_long": done.too_long,
    });
    context.output.answer(&value, || {
        let mut lines = format!("{} passwords written, {} were so already", done.changed, done.unchanged);
        if done.unreadable > 0 {
            lines +=
                &format!("\n{} are encrypted with a key that is not in the file, and stay", done.unreadable);
        }
        if done.too_long > 0 {
            lines += &format!("\n{} are too long to be encrypted, and stay as they are", done.too_long);
        }
        lines
    });
    Ok(if done.unreadable + done.too_long > 0 { Exit::Refused } else { Exit::Done })
}
