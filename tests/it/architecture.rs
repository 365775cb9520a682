//! The shape of the crate, held by reading it: who may name whom, and what must not be left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may name whom (ARCHITECTURE.md has the same table with its reasons). A module may always name
/// itself. `*` is everything.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("entropy", &[]),
    ("radius", &["entropy", "time"]),
    ("domain", &["radius", "time"]),
    ("sessions", &["domain", "radius", "time"]),
    ("packs", &["domain", "radius", "time"]),
    ("engine", &["domain", "entropy", "packs", "radius", "sessions", "time"]),
    ("coa", &["domain", "entropy", "packs", "radius", "time"]),
    ("vault", &["entropy"]),
    ("store", &["domain", "entropy", "radius", "time", "vault"]),
    (
        "service",
        &["coa", "domain", "engine", "entropy", "packs", "radius", "sessions", "store", "telemetry", "time"],
    ),
    ("net", &["coa", "domain", "entropy", "radius", "service", "telemetry", "time"]),
    ("gateway", &["domain", "radius", "service"]),
    ("http", &["domain", "service", "telemetry", "time"]),
    ("telemetry", &["time"]),
    ("config", &["*"]),
    ("server", &["*"]),
    ("cli", &["*"]),
];

/// Words that the code of a module must not contain: what it must never meet.
const MUST_NOT_MEET: &[(&str, &[&str])] = &[
    ("radius", &["sqlx", "tokio", "UdpSocket", "dashmap"]),
    ("domain", &["serde", "sqlx", "tokio"]),
    ("sessions", &["tokio", "Mutex", "RwLock", "dashmap", "sqlx", "async fn"]),
    ("packs", &["tokio", "Mutex", "RwLock", "dashmap", "sqlx", "async fn", "SystemClock"]),
    ("engine", &["tokio", "Mutex", "RwLock", "dashmap", "sqlx", "async fn", "SystemClock"]),
    ("vault", &["sqlx", "tokio", "Mutex", "RwLock", "dashmap", "async fn"]),
    ("coa", &["tokio", "UdpSocket", "Mutex", "async fn", "SystemClock"]),
    ("service", &["axum", "hyper", "UdpSocket", "sqlx"]),
    ("net", &["sqlx"]),
    ("gateway", &["sqlx", "axum"]),
    ("http", &["sqlx"]),
    ("config", &["sqlx"]),
    ("server", &["sqlx"]),
    ("cli", &["sqlx"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src/` with the top-level module it belongs to and its text without line comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    sources(&src)
        .into_iter()
        .filter_map(|path| {
            let relative = path.strip_prefix(&src).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
            // Tests in a file of their own may do what tests may.
            let is_code = module != "lib" && module != "main" && !path.ends_with("tests.rs");
            is_code.then(|| (module, path.clone(), code.join("\n")))
        })
        .collect()
}

/// The same without tests, which are given clocks and connections of their own.
fn code_of_the_product() -> impl Iterator<Item = (String, PathBuf, String)> {
    modules().into_iter().filter(|(_, path, _)| !path.ends_with("tests.rs")).map(|(module, path, code)| {
        let code = code.split("#[cfg(test)]").next().unwrap_or("").to_owned();
        (module, path, code)
    })
}

/// The top-level modules that `code` names by `crate::…` paths, groups included.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => word.clear(),
                    ':' if depth == 0 && !word.is_empty() => {
                        names.insert(std::mem::take(&mut word));
                    }
                    _ if depth == 0 && (character.is_alphanumeric() || character == '_') => {
                        word.push(character)
                    }
                    _ => {}
                }
            }
        } else {
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.insert(word);
        }
    }
    names
}

#[test]
fn modules_name_only_whom_they_may() {
    let table: BTreeMap<_, _> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!("{}: the module `{module}` is not in the table", path.display()));
            continue;
        };
        for name in named(&code) {
            let is_module = table.contains_key(name.as_str());
            if is_module && name != module && !allowed.contains(&"*") && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{module}` names `{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_do_not_meet_what_they_must_not() {
    let mut wrong = Vec::new();
    for (module, path, code) in code_of_the_product() {
        for (_, words) in MUST_NOT_MEET.iter().filter(|(name, _)| *name == module) {
            for word in *words {
                if code.contains(word) {
                    wrong.push(format!("{}: `{word}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No shell, no helper program: nothing that a name or a value could be smuggled into.
/// Files that compare what an attacker may guess at, and how often they do.
const COMPARES_SECRETS: &[(&str, usize)] = &[
    ("src/radius/authenticator.rs", 1),
    ("src/radius/credentials.rs", 4),
    ("src/radius/hiding.rs", 0),
    ("src/radius/seal.rs", 0),
    ("src/engine/password.rs", 4),
    ("src/engine/password/des_crypt.rs", 0),
    ("src/engine/password/md5_crypt.rs", 0),
    ("src/engine/token.rs", 2),
    ("src/service/gate.rs", 2),
];

/// What is no secret and may be compared as it comes.
const PUBLIC: &[&str] = &[
    "Code::",
    "identifier",
    "vendor::",
    "len()",
    "*octet",
    "== octet",
    "&[MESSAGE_AUTHENTICATOR",
    "subscriber",
    "dialect",
    "version",
];

/// In these files `==` is for numbers and public words; authenticators, responses and hashes go through
/// `subtle`, whose time does not tell where two values differ.
#[test]
fn sa_12_secrets_are_compared_in_constant_time() {
    let is_literal = |right: &str| right.starts_with("b'") || right.starts_with(|c: char| c.is_ascii_digit());
    let mut wrong = Vec::new();
    for (file, expected) in COMPARES_SECRETS {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(code.matches("ct_eq(").count() >= *expected, "{file} compares otherwise than it did");
        for line in code.lines().map(|line| line.split("//").next().unwrap()) {
            let plain = [" == ", " != "].into_iter().flat_map(|by| line.split(by).skip(1)).all(is_literal);
            if !plain && !PUBLIC.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "compared with == or !=:\n{}", wrong.join("\n"));
}

#[test]
fn no_other_program_is_run() {
    let mut wrong = Vec::new();
    // The torture runs servers and throw-away databases; what it gives them are its own texts.
    let tortures = |path: &Path| path.components().any(|part| part.as_os_str() == "torture");
    for (_, path, code) in code_of_the_product().filter(|(_, path, _)| !tortures(path)) {
        if code.contains("process::Command") || code.contains("Command::new") {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_behind() {
    let mut wrong = Vec::new();
    let marks = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
    ];
    for folder in ["src", "tests", "benches"] {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                if marks.iter().any(|mark| line.contains(mark)) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let missing: BTreeSet<_> = modules()
        .into_iter()
        .map(|(module, ..)| module)
        .filter(|module| !map.contains(&format!("`{module}`")))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not mention {missing:?}");
}
