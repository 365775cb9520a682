//! `plan expiry`, `subscriber expiry`, `subscriber device`.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Failure;
use super::context::Context;
use super::output::{table, utc};
use crate::domain::{DeviceRow, ExpiryKind, ExpiryRow};
use crate::service::Management;
use crate::store::{NewDevice, RuleOwner};
use crate::time::UnixTime;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ExpiryCommand {
    /// Add a rule: `after_first_use 30 days`, `day_of_month 1`, `fixed 2030-12-31`.
    Add {
        /// Whose it is.
        name: String,
        /// `fixed`, `after_creation`, `after_first_use`, `after_last_use`, `after_renew` or `day_of_month`.
        kind: String,
        /// How many; a date; a day of the month.
        value: String,
        /// minutes, hours, days, months or years.
        unit: Option<String>,
    },
    /// Show the rules.
    List {
        /// Whose they are.
        name: String,
    },
    /// Remove a rule.
    Delete {
        /// Whose it is.
        name: String,
        /// Its number.
        id: i64,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum DeviceCommand {
    /// Bind a subscriber to a device: from then on it may be used from its devices alone.
    Add {
        /// User-Name.
        login: String,
        /// MAC address.
        #[arg(long)]
        mac: Option<String>,
        /// Address.
        #[arg(long, value_name = "ADDRESS")]
        ip: Option<IpAddr>,
        /// The binding ends then.
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// Show its devices.
    List {
        /// User-Name.
        login: String,
    },
    /// Remove a device.
    Delete {
        /// User-Name.
        login: String,
        /// Its number.
        id: i64,
    },
}

/// Whose rules a command is about.
#[derive(Clone, Copy)]
pub(super) enum Noun {
    Plan,
    Subscriber,
}

impl Noun {
    fn owner(self, name: &str) -> RuleOwner<'_> {
        match self {
            Self::Plan => RuleOwner::Plan(name),
            Self::Subscriber => RuleOwner::Subscriber(name),
        }
    }
}

pub(super) async fn expiry(
    command: &ExpiryCommand,
    noun: Noun,
    management: &Management<'_>,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        ExpiryCommand::Add { name, kind, value, unit } => {
            let id = management.add_expiry(noun.owner(name), kind, value, unit.as_deref()).await?;
            context.output.answer(&json!({ "id": id }), || format!("rule {id} of {name}"));
        }
        ExpiryCommand::List { name } => {
            let rules = management.expiry_rules(noun.owner(name)).await?;
            let value: Vec<Value> = rules.iter().map(rule_json).collect();
            context.output.answer(&value.into(), || {
                let row = |rule: &ExpiryRow| {
                    let value = rule_value(rule).to_string();
                    vec![rule.id.to_string(), rule.kind.to_string(), value, rule.unit.to_string()]
                };
                let rows: Vec<_> = rules.iter().map(row).collect();
                table(&["ID", "KIND", "VALUE", "UNIT"], &rows)
            });
        }
        ExpiryCommand::Delete { name, id } => {
            management.delete_expiry(noun.owner(name), *id).await?;
            context.output.answer(&json!({ "deleted": id }), || format!("rule {id} of {name} is gone"));
        }
    }
    Ok(())
}

pub(super) async fn device(
    command: &DeviceCommand,
    management: &Management<'_>,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        DeviceCommand::Add { login, mac, ip, until } => {
            let until = match until {
                Some(text) => Some(management.date("until", text)?),
                None => None,
            };
            let id = management.add_device(login, NewDevice { mac: mac.as_deref(), ip: *ip, until }).await?;
            context.output.answer(&json!({ "id": id }), || format!("device {id} of {login}"));
        }
        DeviceCommand::List { login } => {
            let devices = management.devices(login).await?;
            let value: Vec<Value> = devices.iter().map(device_json).collect();
            context.output.answer(&value.into(), || {
                let row = |device: &DeviceRow| {
                    vec![
                        device.id.to_string(),
                        device.mac.to_string(),
                        device.ip.to_string(),
                        device.source.to_string(),
                        device.valid_until.map_or_else(|| "for ever".to_owned(), utc),
                    ]
                };
                let rows: Vec<_> = devices.iter().map(row).collect();
                table(&["ID", "MAC", "ADDRESS", "SOURCE", "UNTIL"], &rows)
            });
        }
        DeviceCommand::Delete { login, id } => {
            management.delete_device(login, *id).await?;
            context.output.answer(&json!({ "deleted": id }), || format!("device {id} of {login} is gone"));
        }
    }
    Ok(())
}

fn rule_value(rule: &ExpiryRow) -> Value {
    if rule.kind == ExpiryKind::Fixed.as_str() { utc(UnixTime(rule.value)).into() } else { rule.value.into() }
}

fn rule_json(rule: &ExpiryRow) -> Value {
    json!({
        "id": rule.id,
        "kind": rule.kind.as_str(),
        "value": rule_value(rule),
        "unit": if rule.unit.is_empty() { None } else { Some(rule.unit.as_str()) },
    })
}

fn device_json(device: &DeviceRow) -> Value {
    json!({
        "id": device.id,
        "mac": device.mac.as_str(),
        "ip": device.ip.as_str(),
        "source": device.source.as_str(),
        "valid_until": device.valid_until.map(utc),
    })
}
