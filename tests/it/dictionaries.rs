//! Our dictionaries and values beside those of an installed FreeRADIUS.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tollkeeper::radius::Dictionary;

use crate::support::programs::skip;

const INSTALLED: &str = "/usr/share/freeradius";

/// The dictionary files of an installed FreeRADIUS; none, and a line that says so, where there is none.
fn installed() -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(INSTALLED) else {
        skip(&format!("{INSTALLED} is absent (freeradius-common)"));
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dictionary")))
        .collect();
    files.sort();
    files
}

#[test]
fn all_dictionaries_of_an_installed_freeradius_load() {
    let files = installed();
    let Some(main) = files.iter().find(|file| file.ends_with("dictionary")) else { return };
    let whole = Dictionary::of_files(std::slice::from_ref(main)).unwrap_or_else(|error| panic!("{error}"));
    assert!(whole.iter().count() > 7000, "{whole:?}");
    Dictionary::with_files(std::slice::from_ref(main)).unwrap_or_else(|error| panic!("over ours: {error}"));
    for file in &files {
        // FreeRADIUS does not load it either: a VALUE names an attribute that no file defines.
        if file.ends_with("dictionary.freedhcp") {
            continue;
        }
        if Dictionary::of_files(std::slice::from_ref(file)).is_ok() {
            continue;
        }
        // It builds upon others.
        let after = if file.ends_with("dictionary.freeradius.evs5") {
            vec![Path::new(INSTALLED).join("dictionary.freeradius"), file.clone()]
        } else {
            vec![file.clone()]
        };
        Dictionary::with_files(&after).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A line of a dictionary without its comment, its numbers decimal.
fn facts(text: &str) -> BTreeSet<String> {
    let decimal = |number: &str| {
        let digits = number.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16).unwrap());
        digits.map_or_else(|| number.to_owned(), |number| number.to_string())
    };
    let mut facts = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            ["ATTRIBUTE", name, number, kind, flags @ ..] => {
                let (number, kind) = (decimal(number), kind.to_ascii_lowercase());
                facts.insert(
                    format!("ATTRIBUTE {name} {number} {kind} {}", flags.join(",")).trim_end().to_owned(),
                )
            }
            ["VALUE", attribute, name, number] => {
                facts.insert(format!("VALUE {attribute} {name} {}", decimal(number)))
            }
            ["VENDOR", ..] => facts.insert(words.join(" ")),
            _ => false,
        };
    }
    facts
}

/// What FreeRADIUS has otherwise: the file, the beginning of the line that one side lacks, and why.
const CORRECTED: &[(&str, &str, &str)] = &[
    (
        "h3c",
        "ATTRIBUTE H3C-Acct-IPv6-Input-Gigawords",
        "the vendor documents 148, where FreeRADIUS repeats 146",
    ),
    (
        "h3c",
        "ATTRIBUTE H3C-Acct-IPv6-Output-Gigawords",
        "the vendor documents 149, where FreeRADIUS repeats 147",
    ),
    ("iana", "ATTRIBUTE Digest-Response", "a draft's number 206; RFC 5090 has it as 103"),
    ("compat", "VALUE Auth-Type Unix", "no method of ours"),
];

/// What we have beyond FreeRADIUS.
const ADDED: &[(&str, &str, &str)] = &[
    ("chillispot", "ATTRIBUTE", "CoovaChilli's, 10 to 87"),
    ("chillispot", "VALUE", "CoovaChilli's"),
    ("internal", "VALUE Auth-Type", "FreeRADIUS makes these names from its modules"),
];

/// The version whose dictionaries ours were compared with line by line.
const COMPARED_VERSION: &str = "3.2.1";

fn is_compared_version() -> bool {
    let version = std::process::Command::new("radclient").arg("-v").output().map(|output| output.stdout);
    let text = String::from_utf8_lossy(&version.unwrap_or_default()).into_owned();
    let same = text.contains(&format!("ersion {COMPARED_VERSION},"));
    if !same {
        println!("not checked for what we lack: this FreeRADIUS is not {COMPARED_VERSION}");
    }
    same
}

#[test]
fn our_definitions_are_those_of_an_installed_freeradius() {
    if installed().is_empty() {
        return;
    }
    let complete = is_compared_version();
    let (mut compared, mut wrong, mut used) = (0, Vec::new(), BTreeSet::new());
    for (name, ours) in tollkeeper::radius::dictionary::FILES {
        let name = name.strip_prefix("dictionary.").unwrap_or_default();
        // The control items are a selection: everything of ours must be in theirs, not the reverse.
        let (selected, their_name) =
            if name == "internal" { (true, "freeradius.internal") } else { (false, name) };
        // 3.2.1 has no such file, or it is ours alone.
        let Ok(theirs) = std::fs::read(Path::new(INSTALLED).join(format!("dictionary.{their_name}"))) else {
            assert!(["", "accel-ppp", "tollkeeper", "tplink", "ubnt"].contains(&name), "{name}");
            continue;
        };
        let (ours, theirs) = (facts(ours), facts(&String::from_utf8_lossy(&theirs)));
        compared += ours.intersection(&theirs).count();
        let is_added =
            |line: &&String| ADDED.iter().any(|(file, start, _)| *file == name && line.starts_with(start));
        let added = ours.difference(&theirs).filter(|line| !is_added(line));
        let missing = theirs.difference(&ours).filter(|_| complete && !selected);
        for line in added.chain(missing) {
            let listed = CORRECTED.iter().find(|(file, start, _)| *file == name && line.starts_with(start));
            match listed {
                Some(listed) => drop(used.insert(listed)),
                None => wrong.push(format!("{name}: {line}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!complete || used.len() == CORRECTED.len(), "a listed difference is gone: {used:?}");
    assert!(compared > 5000, "only {compared}");
}

#[test]
fn a_freeradius_beside_us_takes_our_names_of_limits() {
    if installed().is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/dictionary.tollkeeper");
    let main = format!("$INCLUDE {INSTALLED}/dictionary\n$INCLUDE {}\n", ours.display());
    std::fs::write(folder.path().join("dictionary"), main).unwrap();
    // It reads the dictionaries first, and stops at the file of requests that is not there.
    let radclient = std::process::Command::new("radclient")
        .args(["-f", "/nonexistent", "127.0.0.1:1", "auth", "secret", "-D"])
        .arg(folder.path())
        .output();
    let Ok(output) = radclient else {
        skip("radclient is absent (freeradius-utils)");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nonexistent") && !said.contains("dictionary"), "{said}");
}
