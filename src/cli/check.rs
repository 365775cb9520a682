//! `tollkeeper check`: what would run, or file, key and reason of every mistake.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::output::{Output, table};
use super::{Exit, Failure};
use crate::config::{ConfigError, Remark, Settings};
use crate::domain::Nas;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::service::row_warnings;
use crate::store::{NasRows, Store, StoreError};

/// Rows without effect that are told one by one.
const ROW_WARNINGS: usize = 100;

/// What was found beside the configuration.
#[derive(Default)]
struct Findings {
    mistakes: Vec<Remark>,
    warnings: Vec<Remark>,
    database: String,
    nas: Option<NasRows>,
}

/// Reads the configuration as `serve` would, opens what it names without changing anything, and says
/// what it means.
pub(super) async fn check(file: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(error) => return Err(refuse(error.0, &[], output)),
    };
    let mut findings = Findings { warnings: settings.warnings.clone(), ..Findings::default() };
    let dictionary = dictionary(&settings, &mut findings);
    if let Err(error) = crate::gateway::Gateways::new(&settings.messages) {
        findings.mistakes.push(settings.remark(error.key, error.reason));
    }
    let packs = dictionary.as_ref().and_then(|dictionary| packs(&settings, dictionary, &mut findings));
    database(&settings, dictionary.as_ref(), &mut findings).await;
    if let Some(packs) = &packs {
        nas_types(&settings, packs, &mut findings);
    }
    for (key, files) in settings.http.tls.files() {
        if let Err(error) = files.check() {
            findings.mistakes.push(settings.remark(key, error.to_string()));
        }
    }
    if !findings.mistakes.is_empty() {
        return Err(refuse(findings.mistakes, &findings.warnings, output));
    }
    for warning in &findings.warnings {
        output.complain(&format!("warning: {warning}"));
    }
    let listeners = listeners(&settings);
    let value = json!({
        "ok": true,
        "mistakes": [],
        "warnings": remarks(&findings.warnings),
        "config": settings.file,
        "database": settings.database.shown(),
        "database_state": findings.database,
        "listeners": listeners.iter().map(|(name, at)| json!({ "name": name, "address": at })).collect::<Vec<_>>(),
        "nas": nas(&settings, &findings).into_iter().map(|(address, name, kind)| {
            json!({ "address": address, "name": name, "type": kind })
        }).collect::<Vec<_>>(),
    });
    output.answer(&value, || {
        let file = settings.file.as_ref().map(|file| file.display().to_string());
        let mut rows = vec![
            vec!["configuration".to_owned(), file.unwrap_or_else(|| "defaults, no file".to_owned())],
            vec!["database".to_owned(), format!("{} ({})", settings.database.shown(), findings.database)],
        ];
        rows.extend(listeners.into_iter().map(|(name, address)| vec![name.to_owned(), address]));
        for (address, name, kind) in nas(&settings, &findings) {
            rows.push(vec!["nas".to_owned(), format!("{address} ({name}, {kind})")]);
        }
        table(&["WHAT", "VALUE"], &rows)
    });
    Ok(Exit::Done)
}

/// The mistakes as the one JSON value, if that was asked for; on standard error in any case.
fn refuse(mistakes: Vec<Remark>, warnings: &[Remark], output: &Output) -> Failure {
    if output.is_json() {
        let value = json!({ "ok": false, "mistakes": remarks(&mistakes), "warnings": remarks(warnings) });
        output.answer(&value, String::new);
    }
    ConfigError(mistakes).into()
}

fn dictionary(settings: &Settings, findings: &mut Findings) -> Option<Arc<Dictionary>> {
    match Dictionary::with_files(&settings.radius.dictionaries) {
        Ok(dictionary) => Some(Arc::new(dictionary)),
        Err(error) => {
            findings.mistakes.push(settings.remark("radius.dictionaries", error.to_string()));
            None
        }
    }
}

/// The vendor packs, with what in the site's is left out.
fn packs(settings: &Settings, dictionary: &Dictionary, findings: &mut Findings) -> Option<Packs> {
    match Packs::with_files(&settings.radius.packs, dictionary) {
        Ok(packs) => {
            let remarks = packs.remarks().iter().map(|remark| settings.remark("radius.packs", remark));
            findings.warnings.extend(remarks);
            Some(packs)
        }
        Err(error) => {
            findings.mistakes.push(settings.remark("radius.packs", error.to_string()));
            None
        }
    }
}

/// NASes of a type that no pack is for.
fn nas_types(settings: &Settings, packs: &Packs, findings: &mut Findings) {
    let unknown = |nas: &Nas| packs.find(&nas.nas_type).is_none();
    let reason = |nas: &Nas| {
        let Nas { name, nas_type, .. } = nas;
        format!("NAS {name}: there is no pack for the type {nas_type}: it is served as `other`")
    };
    for (at, nas) in settings.nas.iter().enumerate().filter(|(_, nas)| unknown(nas)) {
        findings.warnings.push(settings.remark(&format!("nas[{}].type", at + 1), reason(nas)));
    }
    let rows = findings.nas.iter().flat_map(|nas| &nas.usable).filter(|nas| unknown(nas));
    let rows: Vec<_> = rows.map(|nas| settings.remark("database.url", reason(nas))).collect();
    findings.warnings.extend(rows);
}

async fn database(settings: &Settings, dictionary: Option<&Arc<Dictionary>>, findings: &mut Findings) {
    if let Some(path) = sqlite_file(&settings.database.url).filter(|path| !Path::new(path).exists()) {
        findings.database = format!("{path} will be created");
        return;
    }
    if let Err(error) = examine(settings, dictionary, findings).await {
        let key = match error {
            StoreError::Unsafe { .. } => "database.unsafe_durability",
            _ => "database.url",
        };
        findings.mistakes.push(settings.remark(key, error.to_string()));
    }
}

async fn examine(
    settings: &Settings,
    dictionary: Option<&Arc<Dictionary>>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let store = Store::connect(&settings.store()).await?;
    let pending = store.pending_migrations().await?;
    findings.database = if pending.is_empty() {
        "up to date".to_owned()
    } else {
        format!("{} will be applied", pending.join(", "))
    };
    if pending.is_empty() {
        let nas = store.nas_rows().await?;
        for row in &nas.unusable {
            findings.warnings.push(
                settings.remark("database.url", format!("nas {} {}: {}", row.id, row.name, row.reason)),
            );
        }
        findings.nas = Some(nas);
        if let Some(dictionary) = dictionary {
            let rows = row_warnings(&store, dictionary, &settings.timezone, ROW_WARNINGS).await?;
            let told = rows.shown.into_iter().map(|row| settings.remark("database.url", row));
            findings.warnings.extend(told);
            if rows.more > 0 {
                let reason =
                    format!("{} more rows have no effect, or not the one they seem to have", rows.more);
                findings.warnings.push(settings.remark("database.url", reason));
            }
            for (name, rows) in store.survey(true).await?.attributes {
                if dictionary.attribute_with_tag(&name).is_none() {
                    let reason =
                        format!("{rows} rows name {name}, which no dictionary knows: they have no effect");
                    findings.warnings.push(settings.remark("database.url", reason));
                }
            }
        }
    }
    store.close().await;
    Ok(())
}

/// The file of a SQLite database; none for one in memory.
fn sqlite_file(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then_some(path)
}

fn nas(settings: &Settings, findings: &Findings) -> Vec<(String, String, String)> {
    let table = findings.nas.iter().flat_map(|nas| &nas.usable);
    let text = |nas: &Nas| (nas.network.to_string(), nas.name.to_string(), nas.nas_type.to_string());
    settings.nas.iter().chain(table).map(text).collect()
}

fn listeners(settings: &Settings) -> Vec<(&'static str, String)> {
    let list = |addresses: &[std::net::SocketAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let one = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "off".to_owned(), |address| address.to_string())
    };
    vec![
        ("auth", list(&settings.radius.auth)),
        ("accounting", list(&settings.radius.accounting)),
        ("http", one(settings.http.listen)),
        ("ibsng", one(settings.http.ibsng)),
        ("antamedia", one(settings.http.antamedia)),
    ]
}

fn remarks(remarks: &[Remark]) -> Vec<Value> {
    let value = |remark: &Remark| json!({ "place": remark.place.to_string(), "key": remark.key, "reason": remark.reason });
    remarks.iter().map(value).collect()
}
