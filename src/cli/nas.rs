//! `tollkeeper nas`: the devices that may ask.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::{named, table, utc};
use super::subscriber::Word;
use super::{Exit, Failure};
use crate::config;
use crate::domain::{NasReadiness, Readiness, Signing, TriState};
use crate::entropy::SystemEntropy;
use crate::service::random_secret;
use crate::store::{NasChange, NasEntry, NewNas};
use crate::time::UnixTime;

#[derive(Debug, clap::Subcommand)]
pub(super) enum NasCommand {
    /// Let a NAS, or a network of them, ask; a running server knows it within a second.
    Add(Box<NasArguments>),
    /// Show the NASes of the table; those of the configuration are shown by check.
    List,
    /// Show one of the table.
    Show {
        /// Its address, network, name or number.
        nas: String,
    },
    /// Change what is named; a running server knows it within a second.
    Set(Box<Change>),
    /// Show which NASes sign their logins with Message-Authenticator (CVE-2024-3596), and what would be
    /// discarded if they had to.
    Readiness,
    /// Forget that a source address was seen to sign: another device has taken its place.
    Forget {
        /// The source address.
        source: IpAddr,
    },
    /// Let a NAS ask no more.
    Delete {
        /// Its address, network, name or number.
        nas: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct NasArguments {
    /// ADDRESS or ADDRESS/PREFIX.
    #[arg(value_parser = config::nas_network)]
    address: IpNet,
    /// Shared secret; a random one is made and shown if it is left out.
    #[arg(long)]
    secret: Option<String>,
    /// NAME of its dictionary.NAME (mikrotik, chillispot, cisco …), accel-ppp, hostapd or other.
    #[arg(long = "type", value_name = "NAME", default_value = "other", value_parser = config::nas_type)]
    nas_type: String,
    /// Name for people and metrics [default: the address]
    #[arg(long)]
    name: Option<String>,
    /// NAS-Identifier that its packets must carry.
    #[arg(long, value_name = "ID")]
    identifier: Option<String>,
    /// Port that listens for Disconnect- and CoA-Requests [default: 3799]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    coa_port: Option<u16>,
    /// Secret of Disconnect- and CoA-Requests, where it differs.
    #[arg(long, value_name = "SECRET")]
    coa_secret: Option<String>,
    /// A second secret that is also valid, while secrets are being changed.
    #[arg(long, value_name = "SECRET")]
    secret_next: Option<String>,
    /// This NAS counts input and output the other way round.
    #[arg(long)]
    swap_octets: bool,
    /// Is Message-Authenticator required? no, auto (once it was seen to sign), yes.
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = tri_state)]
    require_message_authenticator: TriState,
    /// Is Proxy-State without Message-Authenticator refused? no, auto, yes.
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = tri_state)]
    limit_proxy_state: TriState,
}

#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// Its address, network, name or number.
    nas: String,
    /// Shared secret.
    #[arg(long)]
    secret: Option<String>,
    /// A second secret that is also valid, while secrets are being changed, or none.
    #[arg(long, value_name = "SECRET", value_parser = word)]
    secret_next: Option<Word<String>>,
    /// NAME of its dictionary.NAME (mikrotik, chillispot, cisco …), accel-ppp, hostapd or other.
    #[arg(long = "type", value_name = "NAME", value_parser = config::nas_type)]
    nas_type: Option<String>,
    /// Name for people and metrics.
    #[arg(long)]
    name: Option<String>,
    /// NAS-Identifier that its packets must carry, or none.
    #[arg(long, value_name = "ID", value_parser = word)]
    identifier: Option<Word<String>>,
    /// Port that listens for Disconnect- and CoA-Requests; none is that of its type.
    #[arg(long, value_name = "PORT", value_parser = port)]
    coa_port: Option<Word<u16>>,
    /// Secret of Disconnect- and CoA-Requests; none is the shared one.
    #[arg(long, value_name = "SECRET", value_parser = word)]
    coa_secret: Option<Word<String>>,
    /// Whether this NAS counts input and output the other way round.
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    swap_octets: Option<bool>,
    /// Is Message-Authenticator required? no, auto (once it was seen to sign), yes.
    #[arg(long, value_name = "WHEN", value_parser = tri_state)]
    require_message_authenticator: Option<TriState>,
    /// Is Proxy-State without Message-Authenticator refused? no, auto, yes.
    #[arg(long, value_name = "WHEN", value_parser = tri_state)]
    limit_proxy_state: Option<TriState>,
}

fn word(text: &str) -> Result<Word<String>, String> {
    Ok(Word((text != "none").then(|| text.to_owned())))
}

fn port(text: &str) -> Result<Word<u16>, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(Word(None)),
        (_, Ok(port)) if port > 0 => Ok(Word(Some(port))),
        _ => Err("expects 1 to 65535 or none".to_owned()),
    }
}

fn tri_state(text: &str) -> Result<TriState, String> {
    TriState::parse(text).ok_or_else(|| "expects no, auto or yes".to_owned())
}

pub(super) async fn nas(command: &NasCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        NasCommand::Add(arguments) => {
            let made = arguments.secret.is_none().then(|| random_secret(&mut SystemEntropy));
            let new = arguments.order(made.as_deref());
            let address = shown(new.network);
            doubt(arguments.secret.as_deref(), context);
            let id = management.add_nas(&new).await?;
            let mut value = json!({ "id": id, "address": address });
            if let (Some(object), Some(secret)) = (value.as_object_mut(), &made) {
                object.insert("secret".to_owned(), secret.as_str().into());
            }
            context.output.answer(&value, || match &made {
                Some(secret) => format!("NAS {address} has number {id}\nsecret  {secret}"),
                None => format!("NAS {address} has number {id}"),
            });
        }
        NasCommand::List => {
            let entries = management.nas_entries().await?;
            let port = |entry: &NasEntry| management.coa_port(entry);
            let value: Vec<Value> = entries.iter().map(|entry| entry_json(entry, port(entry))).collect();
            context.output.answer(&value.into(), || {
                let row = |entry: &NasEntry| {
                    vec![
                        entry.id.to_string(),
                        entry.address.to_string(),
                        entry.name.to_string(),
                        entry.nas_type.to_string(),
                        entry.identifier.to_string(),
                        port(entry).to_string(),
                        entry.require_message_authenticator.to_string(),
                        entry.last_seen.map_or_else(|| "never".to_owned(), utc),
                    ]
                };
                let rows: Vec<_> = entries.iter().map(row).collect();
                table(
                    &["ID", "ADDRESS", "NAME", "TYPE", "IDENTIFIER", "COA PORT", "SIGNED", "LAST SEEN"],
                    &rows,
                )
            });
        }
        NasCommand::Show { nas } => {
            let entry = management.nas_entry(nas).await?;
            let value = entry_json(&entry, management.coa_port(&entry));
            context.output.answer(&value, || named(&value));
        }
        NasCommand::Set(change) => {
            doubt(change.secret.as_deref(), context);
            // Its number stays what it is, whatever else is different.
            let id = management.nas_entry(&change.nas).await?.id.to_string();
            management.set_nas(&id, &change.order()).await?;
            let entry = management.nas_entry(&id).await?;
            let value = entry_json(&entry, management.coa_port(&entry));
            context.output.answer(&value, || named(&value));
        }
        NasCommand::Readiness => {
            let report = management.nas_readiness().await?;
            let value: Vec<Value> = report.iter().map(readiness_json).collect();
            context.output.answer(&value.into(), || {
                let rows: Vec<_> = report.iter().flat_map(readiness_rows).collect();
                table(
                    &[
                        "NAS",
                        "SOURCE",
                        "MUST SIGN",
                        "SIGNS",
                        "SIGNED SINCE",
                        "LAST UNSIGNED",
                        "\"yes\" WOULD DISCARD",
                    ],
                    &rows,
                )
            });
        }
        NasCommand::Forget { source } => {
            management.forget_signing(*source).await?;
            context
                .output
                .answer(&json!({ "forgotten": source.to_string() }), || format!("{source} may begin anew"));
        }
        NasCommand::Delete { nas } => {
            management.delete_nas(nas).await?;
            context.output.answer(&json!({ "deleted": nas }), || format!("NAS {nas} is gone"));
        }
    }
    Ok(Exit::Done)
}

impl NasArguments {
    fn order(&self, made: Option<&str>) -> NewNas {
        NewNas {
            network: self.address,
            name: self.name.clone().unwrap_or_else(|| shown(self.address)),
            nas_type: self.nas_type.clone(),
            secret: self.secret.as_deref().or(made).unwrap_or_default().to_owned(),
            secret_next: self.secret_next.clone(),
            identifier: self.identifier.clone(),
            coa_port: self.coa_port,
            coa_secret: self.coa_secret.clone(),
            swap_octets: self.swap_octets,
            require_message_authenticator: self.require_message_authenticator,
            limit_proxy_state: self.limit_proxy_state,
        }
    }
}

impl Change {
    fn order(&self) -> NasChange {
        let inner = |word: &Option<Word<String>>| word.as_ref().map(|word| word.0.clone());
        NasChange {
            name: self.name.clone(),
            nas_type: self.nas_type.clone(),
            secret: self.secret.clone(),
            secret_next: inner(&self.secret_next),
            identifier: inner(&self.identifier),
            coa_port: self.coa_port.map(|port| port.0),
            coa_secret: inner(&self.coa_secret),
            swap_octets: self.swap_octets,
            require_message_authenticator: self.require_message_authenticator,
            limit_proxy_state: self.limit_proxy_state,
        }
    }
}

/// Says what is doubtful about a secret.
fn doubt(secret: Option<&str>, context: &Context) {
    if let Some(reason) = secret.and_then(config::secret_doubt) {
        context.output.complain(&format!("warning: secret: {reason}"));
    }
}

fn shown(network: IpNet) -> String {
    config::nas_name(network)
}

/// What would be discarded of what a source sends if it had to sign and does not yet.
fn would_discard(line: &NasReadiness, signing: &Signing) -> &'static str {
    match signing.habit() {
        "signed" => "nothing",
        _ if signing.must_sign(line.nas.require_message_authenticator) => "nothing more than now",
        "mixed" => "what is unsigned",
        _ => "every login",
    }
}

fn readiness_json(line: &NasReadiness) -> Value {
    let require = line.nas.require_message_authenticator;
    let source = |seen: &Readiness| {
        json!({
            "source": seen.source.to_string(),
            "signing": seen.signing.habit(),
            "must_sign": seen.signing.must_sign(require),
            "signed_since": seen.signing.signed_since.map(utc),
            "signed_last": seen.signing.signed_last.map(utc),
            "unsigned_since": seen.signing.unsigned_since.map(utc),
            "unsigned_last": seen.signing.unsigned_last.map(utc),
            "would_discard": would_discard(line, &seen.signing),
        })
    };
    json!({
        "address": shown(line.nas.network),
        "name": line.nas.name.as_str(),
        "require_message_authenticator": require.as_str(),
        "ready": line.ready(),
        "sources": line.sources.iter().map(source).collect::<Vec<_>>(),
    })
}

fn readiness_rows(line: &NasReadiness) -> Vec<Vec<String>> {
    let require = line.nas.require_message_authenticator;
    if line.sources.is_empty() {
        let unheard = ["-", require.as_str(), "not heard yet", "", "", ""].map(str::to_owned);
        return vec![[vec![line.nas.name.to_string()], unheard.to_vec()].concat()];
    }
    let time = |at: Option<UnixTime>| at.map_or_else(|| "never".to_owned(), utc);
    let row = |seen: &Readiness| {
        vec![
            line.nas.name.to_string(),
            seen.source.to_string(),
            if seen.signing.must_sign(require) { "yes" } else { "no" }.to_owned(),
            seen.signing.habit().to_owned(),
            time(seen.signing.signed_since),
            time(seen.signing.unsigned_last),
            would_discard(line, &seen.signing).to_owned(),
        ]
    };
    line.sources.iter().map(row).collect()
}

fn entry_json(entry: &NasEntry, coa_port: u16) -> Value {
    json!({
        "id": entry.id,
        "address": entry.address.as_str(),
        "name": entry.name.as_str(),
        "type": entry.nas_type.as_str(),
        "identifier": if entry.identifier.is_empty() { None } else { Some(entry.identifier.as_str()) },
        "coa_port": coa_port,
        "rotating": entry.rotating,
        "swap_octets": entry.swap_octets,
        "require_message_authenticator": entry.require_message_authenticator.as_str(),
        "limit_proxy_state": entry.limit_proxy_state.as_str(),
        "disabled": entry.disabled,
        "last_seen": entry.last_seen.map(utc),
    })
}
