//! `tollkeeper check`: what would run, or file, key and reason of every mistake.

use std::path::Path;

use serde_json::json;

use super::output::{Output, table};
use super::{Exit, Failure};
use crate::config::{Remark, Settings};

/// Reads the configuration as `serve` would and says what it means.
pub(super) fn check(file: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(error) if output.is_json() => {
            let value = json!({ "ok": false, "mistakes": remarks(&error.0), "warnings": [] });
            output.answer(&value, String::new);
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &settings.warnings {
        output.complain(&format!("warning: {warning}"));
    }
    let listeners = listeners(&settings);
    let value = json!({
        "ok": true,
        "mistakes": [],
        "warnings": remarks(&settings.warnings),
        "config": settings.file,
        "database": settings.database.shown(),
        "listeners": listeners.iter().map(|(name, at)| json!({ "name": name, "address": at })).collect::<Vec<_>>(),
        "nas": settings.nas.iter().map(|nas| nas.network.to_string()).collect::<Vec<_>>(),
    });
    output.answer(&value, || {
        let file = settings
            .file
            .as_ref()
            .map_or_else(|| "defaults, no file".into(), |file| file.display().to_string());
        let mut rows = vec![
            vec!["configuration".to_owned(), file],
            vec!["database".to_owned(), settings.database.shown()],
        ];
        rows.extend(listeners.into_iter().map(|(name, address)| vec![name.to_owned(), address]));
        for nas in &settings.nas {
            rows.push(vec!["nas".to_owned(), format!("{} ({}, {})", nas.network, nas.name, nas.nas_type)]);
        }
        table(&["WHAT", "VALUE"], &rows)
    });
    Ok(Exit::Done)
}

fn listeners(settings: &Settings) -> Vec<(&'static str, String)> {
    let list = |addresses: &[std::net::SocketAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let one =
        |address: Option<std::net::SocketAddr>| address.map_or_else(|| "off".to_owned(), |at| at.to_string());
    vec![
        ("auth", list(&settings.radius.auth)),
        ("accounting", list(&settings.radius.accounting)),
        ("http", one(settings.http.listen)),
        ("ibsng", one(settings.http.ibsng)),
        ("antamedia", one(settings.http.antamedia)),
    ]
}

fn remarks(remarks: &[Remark]) -> Vec<serde_json::Value> {
    let value = |remark: &Remark| json!({ "place": remark.place.to_string(), "key": remark.key, "reason": remark.reason });
    remarks.iter().map(value).collect()
}
