//! Packs as data: each file of `tests/data/packs` tells what one NAS type is sent (its README.md has the
//! form), and every attribute that a pack names is in our dictionaries with a type that can hold it.

use std::path::PathBuf;

use super::*;
use crate::domain::{Rate, Volume};
use crate::radius::ReplyAttributes;
use crate::radius::value::{self, Encoded};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/packs")
}

/// One case of a file.
#[derive(Debug, Default)]
struct Case {
    line: usize,
    title: String,
    kinds: Option<Kinds>,
    rate: Option<Rate>,
    volume: Volume,
    redirect: Option<SmolStr>,
    timeout: Option<u32>,
    interim: u32,
    past: Past,
    rows: Vec<u8>,
    expected: Vec<String>,
}

fn number(text: &str) -> Option<u64> {
    (text != "-").then(|| text.parse().unwrap_or_else(|_| panic!("{text:?} is no number")))
}

impl Case {
    fn read(line: usize, title: &str, dictionary: &Dictionary) -> Self {
        let mut case = Self { line, title: title.to_owned(), ..Self::default() };
        let mut words = title.split_whitespace();
        match words.next() {
            Some("accept") => {}
            Some("change") => {
                let kinds = words.next().unwrap().split(',').filter(|word| *word != "nothing");
                case.kinds = Some(kinds.map(|word| Kind::parse(word).unwrap()).collect());
            }
            other => panic!("line {line}: {other:?}"),
        }
        for word in words {
            let (key, text) = word.split_once('=').unwrap();
            let pair = || text.split_once('/').unwrap();
            match key {
                // As our plans write it.
                "plan" => {
                    for (name, bits) in
                        [("WISPr-Bandwidth-Max-Down", pair().0), ("WISPr-Bandwidth-Max-Up", pair().1)]
                    {
                        if bits != "-" {
                            case.row(name, bits, dictionary);
                        }
                    }
                }
                "throttle" => case.rate = Some(Rate { down: number(pair().0), up: number(pair().1) }),
                "total" => case.volume.total = number(text),
                "down" => case.volume.down = number(text),
                "up" => case.volume.up = number(text),
                "redirect" => case.redirect = Some(text.into()),
                "timeout" => case.timeout = text.parse().ok(),
                "interim" => case.interim = text.parse().unwrap(),
                "past" => {
                    let parts: Vec<u64> = text.split('/').filter_map(number).collect();
                    case.past = Past { seconds: parts[0].try_into().unwrap(), down: parts[1], up: parts[2] };
                }
                other => panic!("line {line}: {other:?}"),
            }
        }
        case
    }

    fn row(&mut self, name: &str, text: &str, dictionary: &Dictionary) {
        let (def, tag) = dictionary.attribute_with_tag(name).unwrap();
        match value::encode(&def, tag, text, dictionary).unwrap() {
            Encoded::Wire(wire) => self.rows.extend_from_slice(&wire),
            Encoded::Hidden(_) => panic!("{name} is hidden"),
        }
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            rate: self.rate,
            volume: self.volume,
            redirect: self.redirect.clone(),
            session_timeout: self.timeout,
            interim_interval: self.interim,
            rows: self.rows.as_slice().into(),
        }
    }

    fn run(&self, pack: &Pack, dictionary: &Dictionary) -> Vec<String> {
        let profile = self.profile();
        let Some(kinds) = self.kinds else {
            let mut reply = ReplyAttributes::new();
            pack.accept(&profile, &mut reply);
            let values = value::values(reply.attributes(), dictionary);
            let said = values.iter().map(|it| format!("{} = {}", it.name(dictionary), it.print(dictionary)));
            return said.chain(pack.notes(&profile).into_iter().map(|note| format!("note {note}"))).collect();
        };
        match pack.change(&profile, kinds, self.past, dictionary) {
            Ok(lines) if lines.is_empty() => vec!["nothing to say".to_owned()],
            Ok(lines) => lines.iter().map(ToString::to_string).collect(),
            Err(why) => vec![format!("cannot: {why:?}")],
        }
    }
}

fn cases(text: &str, dictionary: &Dictionary) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some(step) = line.strip_prefix("    ") else {
            if !line.starts_with('#') && !line.starts_with("identify") {
                cases.push(Case::read(at + 1, line, dictionary));
            }
            continue;
        };
        let case = cases.last_mut().unwrap();
        match step.strip_prefix("row ").and_then(|row| row.split_once(" = ")) {
            Some((name, text)) => case.row(name, text, dictionary),
            None => case.expected.push(step.to_owned()),
        }
    }
    cases
}

#[test]
fn each_nas_type_is_sent_what_its_file_says() {
    let (dictionary, packs) = (Dictionary::embedded(), Packs::embedded());
    let mut wrong = String::new();
    for (name, _) in FILES {
        let file = folder().join(format!("{name}.txt"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{} is missing", file.display()));
        let pack = packs.get(packs.find(name).unwrap());
        let identify: Vec<_> = pack
            .identify()
            .iter()
            .map(|it| Identifies::ALL.iter().find(|(known, _)| known == it).unwrap().1)
            .collect();
        let mode = if pack.replaces() { "replace" } else { "patch" };
        let head = format!("identify port={} mode={mode} {}", pack.coa_port(), identify.join(" "));
        if text.lines().find(|line| line.starts_with("identify")) != Some(head.as_str()) {
            wrong += &format!("{name}.txt: {head}\n");
        }
        for case in cases(&text, &dictionary) {
            let said = case.run(pack, &dictionary);
            if said != case.expected {
                wrong += &format!("{name}.txt:{}: {}\n    {}\n", case.line, case.title, said.join("\n    "));
            }
        }
    }
    assert!(wrong.is_empty(), "what is sent is:\n{wrong}");
}

/// What is said to a NAS is said once: no attribute of a rate, a volume or a timeout twice, unless its
/// texts are told apart.
#[test]
fn nothing_is_said_twice() {
    let (dictionary, packs) = (Dictionary::embedded(), Packs::embedded());
    for pack in packs.iter() {
        let mut case = Case::default();
        case.row("WISPr-Bandwidth-Max-Down", "1000000", &dictionary);
        case.row("WISPr-Bandwidth-Max-Up", "1000000", &dictionary);
        let own: Vec<_> = pack.rates.iter().filter_map(|rate| rate.field.number(5_000)).collect();
        case.rows.extend(own.iter().flatten());
        let volumes: Vec<_> = pack.volumes.iter().filter_map(|volume| volume.field.number(5_000)).collect();
        case.rows.extend(volumes.iter().flatten());
        case.rate = Some(Rate { down: Some(2_000_000), up: Some(3_000_000) });
        case.volume = Volume { total: Some(9 << 30), down: Some(9 << 30), up: Some(9 << 30) };
        case.timeout = Some(3_600);
        case.redirect = Some("http://portal.example/".into());
        let mut reply = ReplyAttributes::new();
        pack.accept(&case.profile(), &mut reply);
        let mut seen = std::collections::HashMap::new();
        for attribute in reply.attributes() {
            for (at, (kind, sign)) in
                pack.signs.iter().enumerate().filter(|(_, (_, sign))| sign.is(attribute))
            {
                // One that `also` names as a whole may be told apart by its text.
                let fields = pack.rates.iter().filter(|rate| rate.field.sign == *sign).count();
                let whole = !pack.rates.iter().any(|rate| rate.field.sign == *sign) && *kind == Kind::Rate;
                let times = seen.entry(at).or_insert(0);
                *times += 1;
                assert!(*times <= fields.max(1) || whole, "{}: {sign:?} is sent twice", pack.name());
            }
        }
        if pack.own_rate {
            let wispr = pack.neutral.iter().any(|(_, sign)| reply.attributes().any(|it| sign.is(it)));
            assert!(!wispr, "{}: WISPr beside its own", pack.name());
        }
    }
}

#[test]
fn every_attribute_of_a_pack_is_in_the_dictionaries() {
    let (dictionary, packs) = (Dictionary::embedded(), Packs::embedded());
    assert_eq!(packs.remarks(), [""; 0]);
    assert_eq!(packs.iter().count(), FILES.len());
    assert_eq!((packs.other().name(), packs.find("other")), ("other", Some(PackId::OTHER)));
    for pack in packs.iter() {
        for name in pack.attributes() {
            let def = dictionary.attribute(name).unwrap_or_else(|| panic!("{}: {name}", pack.name()));
            assert!(!def.internal && def.hiding.is_none(), "{}: {name}", pack.name());
        }
        for rate in &pack.rates {
            let numeric = rate.field.number_max().is_some();
            let text = matches!(rate.value, RateValue::Text { .. });
            assert_eq!(numeric, !text, "{}: {}", pack.name(), rate.field.name());
        }
        for volume in &pack.volumes {
            assert_eq!(volume.field.is_text(), volume.template.is_some(), "{}", pack.name());
        }
    }
}

/// A NAS type is the NAME of a dictionary of ours, or one of the few that have none.
#[test]
fn every_pack_is_called_like_its_dictionary() {
    for (name, _) in FILES {
        let own =
            crate::radius::dictionary::FILES.iter().any(|(file, _)| *file == format!("dictionary.{name}"));
        assert!(own || ["other", "hostapd", "firebrick"].contains(name), "{name}");
    }
}

#[test]
fn a_site_replaces_and_adds_packs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("mikrotik.toml", "[coa]\nport = 1700\n");
    write(
        "mine.toml",
        "[[rate]]\nattribute = \"ERX-Service-Activate:1\"\ndirection = \"both\"\ntext = \"speed({up},{down})\"\n\
         [[volume]]\nattribute = \"No-Such-Attribute\"\ncounts = \"total\"\n[coa]\nkinds = [\"rate\", \"speed\"]\n",
    );
    write("notes.txt", "not a pack");
    let dictionary = Dictionary::embedded();
    let packs = Packs::with_files(&[folder.path().to_owned()], &dictionary).unwrap();
    let mikrotik = packs.get(packs.find("mikrotik").unwrap());
    assert_eq!((mikrotik.coa_port(), mikrotik.own_rate), (1700, false));
    assert_eq!(
        packs.remarks(),
        [
            "pack mine: no dictionary has No-Such-Attribute: it is left out",
            "pack mine: coa.kinds: \"speed\" is no kind"
        ]
    );
    let mine = packs.get(packs.find("mine").unwrap());
    let rate = Some(Rate { down: Some(9_000), up: Some(1_000) });
    let mut case = Case { rate, ..Case::default() };
    assert_eq!(case.run(mine, &dictionary), ["ERX-Service-Activate:1 = speed(1000,9000)"]);
    case.kinds = Some(Kinds::NONE.with(Kind::Rate));
    assert_eq!(case.run(mine, &dictionary), ["ERX-Service-Activate:1 = speed(1000,9000)"]);
    assert_eq!(mine.changes(), Kinds::NONE.with(Kind::Rate));

    write("mine.toml", "port = 3799\n");
    let error = Packs::with_files(&[folder.path().join("mine.toml")], &dictionary).unwrap_err();
    assert!(error.to_string().contains("mine.toml: line 1: unknown field `port`"), "{error}");
    assert!(Packs::with_files(&[folder.path().join("absent.toml")], &dictionary).is_err());
}

#[test]
fn what_changed_is_found_in_the_words_of_the_nas() {
    let packs = Packs::embedded();
    let (dictionary, mikrotik) = (Dictionary::embedded(), packs.get(packs.find("mikrotik").unwrap()));
    let plan = |down: &str| {
        let mut case = Case { timeout: Some(3_600), ..Case::default() };
        case.row("WISPr-Bandwidth-Max-Down", down, &dictionary);
        case
    };
    let (before, mut after) = (plan("1000000"), plan("1000000"));
    assert!(mikrotik.differences(&before.profile(), &after.profile()).is_empty());
    // A clock that is a little off is no change, and neither is what a session keeps.
    after.timeout = Some(3_620);
    after.row("Reply-Message", "hello", &dictionary);
    assert!(mikrotik.differences(&before.profile(), &after.profile()).is_empty());
    after.timeout = Some(3_700);
    after.row("Filter-Id", "kids", &dictionary);
    after.volume.total = Some(1);
    let differences = mikrotik.differences(&before.profile(), &after.profile());
    assert_eq!(differences.iter().collect::<Vec<_>>(), [Kind::Volume, Kind::SessionTimeout, Kind::Other]);
    assert_eq!(
        mikrotik.differences(&before.profile(), &plan("2000000").profile()),
        Kinds::NONE.with(Kind::Rate)
    );
    let told = before.profile().into_owned();
    assert_eq!(mikrotik.differences(&told, &before.profile()), Kinds::NONE);
}

/// A CoA-Request is text until it is sent; what is sent is what the Accept would have had.
#[test]
fn lines_are_read_back_octet_for_octet() {
    let (dictionary, packs) = (Dictionary::embedded(), Packs::embedded());
    let mut case = Case::default();
    for text in ["plain", " blanks ", "\"quoted\"", "'single'", "back\\\\slash", "a = b", "new\\nline"] {
        case.row("Filter-Id", text, &dictionary);
    }
    case.row("Tunnel-Private-Group-Id:1", "42", &dictionary);
    case.row("Idle-Timeout", "600", &dictionary);
    let lines = packs.other().change(&case.profile(), Kinds::ALL, Past::default(), &dictionary).unwrap_err();
    assert_eq!(lines, CannotChange::Lift(Kind::Rate));
    let kinds = [Kind::Other, Kind::IdleTimeout].into_iter().collect();
    let lines = packs.other().change(&case.profile(), kinds, Past::default(), &dictionary).unwrap();
    let mut again = Case::default();
    for line in &lines {
        let (name, text) = line.split_once('=').unwrap();
        again.row(name.trim(), value::unquote(text.trim()), &dictionary);
    }
    assert_eq!(hex::encode(&again.rows), hex::encode(&case.rows), "{lines:#?}");
}
