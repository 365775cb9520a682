//! `tollkeeper key` and `tollkeeper admin`: who may use the management APIs.

use serde_json::{Value, json};

use super::context::{Context, password_from_stdin, user};
use super::output::{named, table, utc};
use super::{Exit, Failure};
use crate::domain::operator::{ApiKey, Dialect, Operator, Rights};
use crate::entropy::SystemEntropy;
use crate::service::MadeKey;
use crate::store::SigningKey;

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; its secret is shown once.
    Create {
        /// Which API it opens.
        #[arg(long)]
        dialect: KeyDialect,
        /// What it allows: read, write, secrets, joined by commas.
        #[arg(long, value_parser = rights)]
        rights: Rights,
        /// The account it belongs to [default: Main]
        #[arg(long, default_value = "", hide_default_value = true)]
        account: String,
    },
    /// Show all keys.
    List,
    /// Show one, without its secret.
    Show {
        /// The part of the key that is not secret.
        key_id: String,
    },
    /// Give a key another secret, which is shown once; the old one and its tokens die at once.
    Rotate {
        /// The part of the key that is not secret.
        key_id: String,
    },
    /// Change a key of the servers that signs: `class`, the tokens in Class, or `api`, those of the APIs. Servers
    /// take it at their next start, and go on to believe what the key before it has signed.
    Renew {
        /// Which.
        signs: Signs,
    },
    /// Switch a key on again.
    Enable {
        /// The part of the key that is not secret.
        key_id: String,
    },
    /// Switch a key off: it and its tokens are refused.
    Disable {
        /// The part of the key that is not secret.
        key_id: String,
    },
    /// Remove a key; what was had with it dies within a second.
    Delete {
        /// The part of the key that is not secret.
        key_id: String,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum KeyDialect {
    Mfusion,
    Jaze,
    Native,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Signs {
    Class,
    Api,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum AdminCommand {
    /// Make an operator: IBSng and console logins.
    Add {
        /// Login, unique.
        login: String,
        /// What it allows: read, write, secrets, joined by commas.
        #[arg(long, value_parser = rights)]
        rights: Rights,
        /// The account it belongs to [default: Main]
        #[arg(long, default_value = "", hide_default_value = true)]
        account: String,
        /// The password is the first line of standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Show all operators.
    List,
    /// Remove an operator.
    Delete {
        /// Login.
        login: String,
    },
}

fn rights(text: &str) -> Result<Rights, String> {
    Rights::parse(text).ok_or_else(|| "expects read, write, secrets, joined by commas".to_owned())
}

pub(super) async fn key(command: &KeyCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        KeyCommand::Create { dialect, rights, account } => {
            let dialect = match dialect {
                KeyDialect::Mfusion => Dialect::Mfusion,
                KeyDialect::Jaze => Dialect::Jaze,
                KeyDialect::Native => Dialect::Native,
            };
            let made = management.create_key(dialect, *rights, account, &mut SystemEntropy).await?;
            show_once(context, &made);
        }
        KeyCommand::Rotate { key_id } => {
            let made = management.rotate_key(key_id, &mut SystemEntropy).await?;
            show_once(context, &made);
        }
        KeyCommand::Enable { key_id } => {
            management.enable_key(key_id, true).await?;
            let value = json!({ "key_id": key_id, "enabled": true });
            context.output.answer(&value, || format!("key {key_id} is on"));
        }
        KeyCommand::Disable { key_id } => {
            management.enable_key(key_id, false).await?;
            let value = json!({ "key_id": key_id, "enabled": false });
            context.output.answer(&value, || format!("key {key_id} is off"));
        }
        KeyCommand::Renew { signs } => {
            let (which, name) = match signs {
                Signs::Class => (SigningKey::Class, "class"),
                Signs::Api => (SigningKey::Api, "api"),
            };
            management.renew_signing_key(which, &mut SystemEntropy).await?;
            let value = json!({ "renewed": name });
            context.output.answer(&value, || {
                format!("the key of {name} tokens is another one; restart every server on the database")
            });
        }
        KeyCommand::List => {
            let keys = management.keys().await?;
            let value: Vec<Value> = keys.iter().map(key_json).collect();
            context.output.answer(&value.into(), || {
                let row = |key: &ApiKey| {
                    vec![
                        key.key_id.to_string(),
                        key.dialect.map_or("", Dialect::as_str).to_owned(),
                        key.rights.to_string(),
                        key.account.to_string(),
                        if key.enabled { "yes".to_owned() } else { "no".to_owned() },
                        utc(key.created),
                        key.last_used.map_or_else(|| "never".to_owned(), utc),
                    ]
                };
                let rows: Vec<_> = keys.iter().map(row).collect();
                table(&["KEY ID", "DIALECT", "RIGHTS", "ACCOUNT", "ENABLED", "CREATED", "LAST USED"], &rows)
            });
        }
        KeyCommand::Show { key_id } => {
            let value = key_json(&management.key(key_id).await?);
            context.output.answer(&value, || named(&value));
        }
        KeyCommand::Delete { key_id } => {
            management.delete_key(key_id).await?;
            context.output.answer(&json!({ "deleted": key_id }), || format!("key {key_id} is gone"));
        }
    }
    Ok(Exit::Done)
}

/// The only time that a secret is seen.
fn show_once(context: &Context, made: &MadeKey) {
    let value = json!({ "key_id": made.key_id, "secret": made.secret });
    context.output.answer(&value, || {
        format!("key id  {}\nsecret  {}\n\nThe secret is not shown again.", made.key_id, made.secret)
    });
}

fn key_json(key: &ApiKey) -> Value {
    json!({
        "key_id": key.key_id.as_str(),
        "dialect": key.dialect.map(Dialect::as_str),
        "rights": rights_json(key.rights),
        "account": key.account.as_str(),
        "enabled": key.enabled,
        "created": utc(key.created),
        "last_used": key.last_used.map(utc),
    })
}

fn rights_json(rights: Rights) -> Vec<String> {
    rights.to_string().split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub(super) async fn admin(command: &AdminCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        AdminCommand::Add { login, rights, account, password_stdin: _ } => {
            let password = password_from_stdin()?;
            let id = management.add_operator(login, &password, *rights, account, &mut SystemEntropy).await?;
            let value = json!({ "id": id, "login": login });
            context.output.answer(&value, || format!("operator {login} has number {id}"));
        }
        AdminCommand::List => {
            let operators = management.operators().await?;
            let value: Vec<Value> = operators.iter().map(operator_json).collect();
            context.output.answer(&value.into(), || {
                let row = |operator: &Operator| {
                    vec![
                        operator.id.to_string(),
                        operator.login.to_string(),
                        operator.rights.to_string(),
                        operator.account.to_string(),
                        if operator.locked { "yes".to_owned() } else { "no".to_owned() },
                        utc(operator.created),
                    ]
                };
                let rows: Vec<_> = operators.iter().map(row).collect();
                table(&["ID", "LOGIN", "RIGHTS", "ACCOUNT", "LOCKED", "CREATED"], &rows)
            });
        }
        AdminCommand::Delete { login } => {
            management.delete_operator(login).await?;
            context.output.answer(&json!({ "deleted": login }), || format!("operator {login} is gone"));
        }
    }
    Ok(Exit::Done)
}

fn operator_json(operator: &Operator) -> Value {
    json!({
        "id": operator.id,
        "login": operator.login.as_str(),
        "rights": rights_json(operator.rights),
        "account": operator.account.as_str(),
        "locked": operator.locked,
        "created": utc(operator.created),
    })
}
