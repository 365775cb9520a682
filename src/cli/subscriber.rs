//! `tollkeeper subscriber`: who may log in.

use serde_json::{Value, json};

use super::context::{Context, password_from_stdin, user};
use super::output::{members, table, utc};
use super::quota::{QuotaCommand, TopUpArguments, quota, top_up, usage};
use super::tenure::{DeviceCommand, ExpiryCommand, Noun, device, expiry};
use super::{Exit, Failure};
use crate::domain::plan::Concurrency;
use crate::domain::{Amount, SubscriberId, SubscriberStatus};
use crate::service::{Proof, SubscriberChange, SubscriberOrder, shown};
use crate::store::{ChargeUsage, CreditChange, CreditRecord, LedgerEntry, QuotaOwner, SubscriberRecord};

#[derive(Debug, clap::Subcommand)]
pub(super) enum SubscriberCommand {
    /// Make a subscriber; a running server knows it within a second.
    Add {
        /// User-Name.
        login: String,
        /// The password is the first line of standard input.
        #[arg(long, group = "proof")]
        password_stdin: bool,
        /// The login is a MAC address and needs no password.
        #[arg(long, group = "proof")]
        mac: bool,
        /// The login is a secret number and needs no password.
        #[arg(long, group = "proof")]
        pin: bool,
        /// Its plan.
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// The account it belongs to [default: Main]
        #[arg(long, default_value = "", hide_default_value = true)]
        account: String,
        /// Attributes of its own, each in one argument.
        #[arg(long = "attribute", value_name = "NAME OP VALUE", num_args = 1..)]
        attributes: Vec<String>,
    },
    /// Show subscribers by number.
    List {
        /// Only those whose login contains this.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        search: String,
        /// Begin after this number.
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: i64,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show one with its attributes.
    Show {
        /// User-Name.
        login: String,
        /// Passwords too.
        #[arg(long)]
        secrets: bool,
    },
    /// Change what is named.
    Set {
        /// User-Name.
        login: String,
        /// A new password: the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Another plan, or none.
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// active, pending, suspended, blocked, terminated … Open sessions end where it is not active.
        #[arg(long, value_parser = status)]
        status: Option<SubscriberStatus>,
        /// Why it has that status.
        #[arg(long, value_name = "TEXT", requires = "status", default_value = "", hide_default_value = true)]
        reason: String,
        /// Who gives way when all places are taken: reject-new, replace-oldest, same-device, or none.
        #[arg(long, value_name = "WHO", value_parser = concurrency)]
        concurrency: Option<Word<Concurrency>>,
        /// Day of the month on which periodic quotas begin anew, or none.
        #[arg(long, value_name = "DAY", value_parser = day)]
        reset_day: Option<Word<u8>>,
        /// The end, or none.
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
        /// Not to be used before, or none.
        #[arg(long, value_name = "DATE")]
        activation: Option<String>,
        /// Attributes, each in one argument; those of the same name are replaced.
        #[arg(long = "attribute", value_name = "NAME OP VALUE", num_args = 1..)]
        attributes: Vec<String>,
        /// Names of attributes to remove.
        #[arg(long = "remove-attribute", value_name = "NAME", num_args = 1..)]
        remove: Vec<String>,
    },
    /// Rules by which its subscription ends, beside those of its plan.
    #[command(subcommand)]
    Expiry(ExpiryCommand),
    /// Devices that it is bound to.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Show or change the credit that sessions are paid from.
    Credit {
        /// User-Name.
        login: String,
        /// What to do with it.
        #[arg(requires = "amount")]
        change: Option<Change>,
        /// By, to or times how much; how far below nothing it may go.
        #[arg(value_parser = amount, allow_negative_numbers = true)]
        amount: Option<Amount>,
        /// Why, for people.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        comment: String,
    },
    /// Begin the plan anew: its credit takes the place of what is left.
    Renew {
        /// User-Name.
        login: String,
        /// Why, for people.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        comment: String,
    },
    /// Add the credit that the plan gives with a recharge.
    Recharge {
        /// User-Name.
        login: String,
        /// Why, for people.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        comment: String,
    },
    /// Show what moved the credit, the latest first.
    Ledger {
        /// User-Name.
        login: String,
        /// Only what came before this number.
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Limits on time and volume of its own.
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Sell time or volume on top: it is used once the quotas are used up.
    TopUp(TopUpArguments),
    /// Show what was used and what is left.
    Usage {
        /// User-Name.
        login: String,
    },
    /// Remove a subscriber; its open sessions are ended, its login is free again.
    Delete {
        /// User-Name.
        login: String,
    },
}

/// What is done with a credit.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Change {
    /// Add the amount; a negative one takes away.
    Add,
    /// Make it the amount.
    Set,
    /// Multiply by the amount.
    Multiply,
    /// Let it go so far below nothing.
    Limit,
}

fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| {
        "expects a decimal number with at most 12 digits before the point and 18 after it".to_owned()
    })
}

/// A value, or `none`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<T>(pub(super) Option<T>);

fn status(text: &str) -> Result<SubscriberStatus, String> {
    SubscriberStatus::parse(text).filter(|status| *status != SubscriberStatus::Deleted).ok_or_else(|| {
        let known: Vec<_> =
            SubscriberStatus::ALL.iter().map(|(_, word)| *word).filter(|word| *word != "deleted").collect();
        format!("expects one of {}", known.join(", "))
    })
}

fn concurrency(text: &str) -> Result<Word<Concurrency>, String> {
    match text {
        "none" => Ok(Word(None)),
        word => Concurrency::parse(word)
            .map(|choice| Word(Some(choice)))
            .ok_or_else(|| "expects reject-new, replace-oldest, same-device or none".to_owned()),
    }
}

fn day(text: &str) -> Result<Word<u8>, String> {
    match text {
        "none" => Ok(Word(None)),
        day => day.parse().map(|day| Word(Some(day))).map_err(|_| "expects 1 to 31 or none".to_owned()),
    }
}

pub(super) async fn subscriber(command: &SubscriberCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        SubscriberCommand::Add { login, password_stdin, mac, pin, plan, account, attributes } => {
            let proof = match (password_stdin, mac, pin) {
                (true, _, _) => Proof::Password(password_from_stdin()?),
                (_, true, _) => Proof::Mac,
                (_, _, true) => Proof::Pin,
                _ => Proof::Attributes,
            };
            let order = SubscriberOrder {
                login: login.clone(),
                proof,
                plan: plan.clone(),
                account: account.clone(),
                attributes: attributes.clone(),
                ..SubscriberOrder::default()
            };
            let id = management.add_subscriber(&order).await?;
            let value = json!({ "id": id.0, "login": login });
            context.output.answer(&value, || format!("subscriber {login} has number {}", id.0));
        }
        SubscriberCommand::List { search, after, limit } => {
            let found = management.subscribers(search, SubscriberId(*after), *limit).await?;
            let value: Vec<Value> = found.iter().map(record_json).map(Value::Object).collect();
            context.output.answer(&value.into(), || list(&found));
        }
        SubscriberCommand::Show { login, secrets } => {
            let found = management.subscriber(login, *secrets).await?;
            show(&found, context);
        }
        SubscriberCommand::Set {
            login,
            password_stdin,
            plan,
            status,
            reason,
            concurrency,
            reset_day,
            expires,
            activation,
            attributes,
            remove,
        } => {
            let date = |field, text: &Option<String>| match text.as_deref() {
                None => Ok(None),
                Some("none") => Ok(Some(None)),
                Some(text) => management.date(field, text).map(|at| Some(Some(at))),
            };
            let password = if *password_stdin { Some(Proof::Password(password_from_stdin()?)) } else { None };
            let change = SubscriberChange {
                password,
                plan: plan.clone().map(|plan| (plan != "none").then_some(plan)),
                status: status.map(|status| (status, reason.clone())),
                concurrency: concurrency.map(|word| word.0),
                reset_day: reset_day.map(|word| word.0),
                expires: date("expires", expires)?,
                activation: date("activation", activation)?,
                attributes: attributes.clone(),
                remove: remove.clone(),
                ..SubscriberChange::default()
            };
            management.set_subscriber(login, &change).await?;
            show(&management.subscriber(login, false).await?, context);
        }
        SubscriberCommand::Expiry(command) => {
            expiry(command, Noun::Subscriber, &management, context).await?;
        }
        SubscriberCommand::Device(command) => device(command, &management, context).await?,
        SubscriberCommand::Credit { login, change, amount, comment } => {
            if let (Some(change), Some(amount)) = (change, *amount) {
                let change = match change {
                    Change::Add => Some(CreditChange::Add(amount)),
                    Change::Set => Some(CreditChange::Set(amount)),
                    Change::Multiply => Some(CreditChange::Multiply(amount)),
                    Change::Limit => None,
                };
                match change {
                    Some(change) => drop(management.change_credit(login, change, comment).await?),
                    None => management.set_credit_limit(login, amount).await?,
                }
            }
            show_credit(login, &management.credit(login).await?, context);
        }
        SubscriberCommand::Renew { login, comment } => {
            management.renew(login, comment).await?;
            show_credit(login, &management.credit(login).await?, context);
        }
        SubscriberCommand::Recharge { login, comment } => {
            management.recharge(login, comment).await?;
            show_credit(login, &management.credit(login).await?, context);
        }
        SubscriberCommand::Ledger { login, before, limit } => {
            let entries = management.ledger(login, *before, *limit).await?;
            let value: Vec<Value> = entries.iter().map(entry_json).collect();
            context.output.answer(&value.into(), || ledger(&entries));
        }
        SubscriberCommand::Quota(command) => {
            return quota(command, QuotaOwner::Subscriber(command.name()), context).await;
        }
        SubscriberCommand::TopUp(arguments) => return top_up(arguments, context).await,
        SubscriberCommand::Usage { login } => return usage(login, context).await,
        SubscriberCommand::Delete { login } => {
            management.delete_subscriber(login).await?;
            context.output.answer(&json!({ "deleted": login }), || format!("subscriber {login} is gone"));
        }
    }
    Ok(Exit::Done)
}

fn record_json(record: &SubscriberRecord) -> serde_json::Map<String, Value> {
    let value = json!({
        "id": record.id.0,
        "login": record.login.as_str(),
        "kind": record.kind.as_str(),
        "status": record.status.as_str(),
        "status_reason": record.status_reason.as_str(),
        "account": record.account.as_str(),
        "plan": record.plan.as_deref(),
        "concurrency": record.concurrency.map(Concurrency::as_str),
        "reset_day": record.reset_day,
        "expires": record.expires.map(utc),
        "activation": record.activation.map(utc),
        "first_use": record.first_use.map(utc),
        "last_use": record.last_use.map(utc),
        "created": utc(record.created),
    });
    match value {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}

/// The rows are masked by the service already, where they must be.
fn show(record: &SubscriberRecord, context: &Context) {
    let lines =
        |rows: &[crate::domain::AttributeRow]| rows.iter().map(|row| shown(row, true)).collect::<Vec<_>>();
    let (check, reply) = (lines(&record.check), lines(&record.reply));
    let groups: Vec<String> = record.groups.iter().map(ToString::to_string).collect();
    let mut object = record_json(record);
    let mut rows = members(&object);
    for (name, lines) in [("group", groups), ("check", check), ("reply", reply)] {
        rows.extend(lines.iter().map(|line| vec![name.to_owned(), line.clone()]));
        let key = if name == "group" { "groups" } else { name };
        object.insert(key.to_owned(), lines.into());
    }
    context.output.answer(&Value::Object(object), || table(&["WHAT", "VALUE"], &rows));
}

fn show_credit(login: &str, credit: &CreditRecord, context: &Context) {
    let available = credit.balance.saturating_minus(credit.running);
    let usage = |usage: &ChargeUsage| {
        json!({
            "rule": usage.rule,
            "name": usage.name.as_str(),
            "credit": usage.credit.to_string(),
            "seconds": usage.seconds,
            "bytes": usage.bytes,
        })
    };
    let value = json!({
        "id": credit.subscriber.0,
        "login": login,
        "credit": credit.balance.to_string(),
        "running": credit.running.to_string(),
        "available": available.to_string(),
        "limit": credit.limit.to_string(),
        "usage": credit.usage.iter().map(usage).collect::<Vec<_>>(),
    });
    context.output.answer(&value, || {
        let mut rows: Vec<Vec<String>> = [
            ("credit", credit.balance),
            ("running", credit.running),
            ("available", available),
            ("limit", credit.limit),
        ]
        .map(|(name, amount)| vec![name.to_owned(), amount.to_string()])
        .into();
        rows.extend(credit.usage.iter().map(|usage| {
            let ChargeUsage { rule, name, credit, seconds, bytes } = usage;
            let what = format!("rule {rule} {name}");
            vec![what.trim_end().to_owned(), format!("{credit} for {seconds} s and {bytes} bytes")]
        }));
        table(&["WHAT", "VALUE"], &rows)
    });
}

fn entry_json(entry: &LedgerEntry) -> Value {
    json!({
        "id": entry.id,
        "at": utc(entry.at),
        "action": entry.action.as_str(),
        "before": entry.before.to_string(),
        "delta": entry.delta.to_string(),
        "after": entry.after.to_string(),
        "comment": entry.comment.as_str(),
        "actor": entry.actor.as_str(),
        "dialect": entry.dialect.as_str(),
        "session": entry.session.as_deref(),
    })
}

fn ledger(entries: &[LedgerEntry]) -> String {
    let row = |entry: &LedgerEntry| {
        vec![
            entry.id.to_string(),
            utc(entry.at),
            entry.action.to_string(),
            entry.delta.to_string(),
            entry.after.to_string(),
            entry.actor.to_string(),
            entry.session.as_deref().unwrap_or(&entry.comment).to_owned(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(&["ID", "AT", "ACTION", "DELTA", "AFTER", "ACTOR", "SESSION OR COMMENT"], &rows)
}

fn list(records: &[SubscriberRecord]) -> String {
    let row = |record: &SubscriberRecord| {
        vec![
            record.id.0.to_string(),
            record.login.to_string(),
            record.kind.to_string(),
            record.status.as_str().to_owned(),
            record.plan.as_deref().unwrap_or("-").to_owned(),
            record.last_use.map_or_else(|| "never".to_owned(), utc),
        ]
    };
    let rows: Vec<_> = records.iter().map(row).collect();
    table(&["ID", "LOGIN", "KIND", "STATUS", "PLAN", "LAST USE"], &rows)
}
