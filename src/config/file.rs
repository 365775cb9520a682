//! The TOML file and the environment as written: a flat map from dotted keys to values, each with
//! the place it came from. What the keys mean is told in [`super`].
//!
//! A derived deserializer stops at the first mistake; an operator wants to see all of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::{Place, Remark};

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    List(Vec<Self>),
    /// A date, or an integer beyond 64 bits: no key takes one.
    Other,
}

#[derive(Clone, Debug)]
struct Entry {
    written: Written,
    place: Place,
}

/// What was written, and which of it was asked for. Whatever is left over at the end is unknown.
#[derive(Debug)]
pub(super) struct Reader {
    file: PathBuf,
    entries: RefCell<BTreeMap<String, Entry>>,
    /// How many tables each array of tables has, and the line of each.
    arrays: BTreeMap<String, Vec<Place>>,
    asked: RefCell<BTreeSet<String>>,
    /// Where each value that was read is written.
    places: RefCell<BTreeMap<String, Place>>,
    mistakes: RefCell<Vec<Remark>>,
    warnings: RefCell<Vec<Remark>>,
}

/// How environment variables of settings begin.
pub(super) const PREFIX: &str = "TOLLKEEPER_";

impl Reader {
    /// Reads the text of `file` and lays the variables over it.
    pub(super) fn new(file: &Path, text: &str, variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut reader = Self {
            file: file.to_owned(),
            entries: RefCell::default(),
            arrays: BTreeMap::new(),
            asked: RefCell::default(),
            places: RefCell::default(),
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        };
        let lines = LineIndex::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(0, |span| lines.line(span.start));
            let place = Place::File { path: file.to_owned(), line };
            let reason = error.message().lines().next().unwrap_or("not TOML").to_owned();
            reader.mistakes.get_mut().push(Remark { place, key: String::new(), reason });
        }
        reader.flatten("", document.get_ref(), &lines);
        for (name, value) in variables {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let key = rest.to_ascii_lowercase().replace("__", ".");
                let entry = Entry { written: Written::Text(value), place: Place::Environment(name) };
                reader.entries.get_mut().insert(key, entry);
            }
        }
        reader
    }

    fn flatten(&mut self, prefix: &str, table: &DeTable<'_>, lines: &LineIndex) {
        for (key, value) in table {
            let name = key.get_ref();
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
            let place = Place::File { path: self.file.clone(), line: lines.line(key.span().start) };
            match value.get_ref() {
                DeValue::Table(inner) => self.flatten(&path, inner, lines),
                DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                    let mut places = Vec::new();
                    for (index, item) in items.iter().enumerate() {
                        let line = lines.line(item.span().start);
                        places.push(Place::File { path: self.file.clone(), line });
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.flatten(&format!("{path}[{}]", index + 1), inner, lines);
                        }
                    }
                    self.arrays.insert(path, places);
                }
                other => {
                    self.entries.get_mut().insert(path, Entry { written: written(other), place });
                }
            }
        }
    }

    /// The places of the tables `[[name]]`, in order. Their keys are asked for as `name[1].key`.
    pub(super) fn tables(&self, name: &str) -> Vec<Place> {
        self.asked.borrow_mut().insert(format!("{name}[]"));
        self.arrays.get(name).cloned().unwrap_or_default()
    }

    fn take(&self, key: &str) -> Option<Entry> {
        self.asked.borrow_mut().insert(key.to_owned());
        let entry = self.entries.borrow_mut().remove(key)?;
        self.places.borrow_mut().insert(key.to_owned(), entry.place.clone());
        Some(entry)
    }

    /// A value that `parse` understands, or `None` where it is absent or (noted) wrong.
    fn value<T>(&self, key: &str, parse: impl FnOnce(&Written, bool) -> Result<T, String>) -> Option<T> {
        let entry = self.take(key)?;
        let from_environment = matches!(entry.place, Place::Environment(_));
        match parse(&entry.written, from_environment) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.mistakes.borrow_mut().push(Remark { place: entry.place, key: key.to_owned(), reason });
                None
            }
        }
    }

    /// Text, read further by `parse`.
    pub(super) fn text<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.value(key, |written, _| match written {
            Written::Text(text) => parse(text),
            other => Err(format!("expects text, not {}", other.kind())),
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.text(key, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("expects {}", known.join(" or "))
            })
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key, |written, from_environment| match written {
            Written::Flag(flag) => Ok(*flag),
            Written::Text(text) if from_environment => {
                text.parse().map_err(|_| "expects true or false".into())
            }
            other => Err(format!("expects true or false, not {}", other.kind())),
        })
    }

    /// A whole number within `range`.
    pub(super) fn integer<T: TryFrom<i64> + Copy + Into<i64>>(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Option<T> {
        let (low, high): (i64, i64) = ((*range.start()).into(), (*range.end()).into());
        self.value(key, |written, from_environment| {
            let number = match written {
                Written::Integer(number) => Some(*number),
                Written::Text(text) if from_environment => text.trim().parse().ok(),
                _ => None,
            };
            number
                .filter(|number| (low..=high).contains(number))
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| format!("expects a whole number from {low} to {high}"))
        })
    }

    /// Seconds within `range`, fractions allowed.
    pub(super) fn seconds(&self, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<Duration> {
        self.value(key, |written, from_environment| {
            let seconds = match written {
                Written::Integer(number) => number.to_string().parse::<f64>().ok(),
                Written::Float(number) => Some(*number),
                Written::Text(text) if from_environment => text.trim().parse().ok(),
                _ => None,
            };
            seconds
                .filter(|seconds| range.contains(seconds))
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(|| format!("expects seconds from {} to {}", range.start(), range.end()))
        })
    }

    /// A list of texts, each read by `parse`; one text alone is a list of one. In the environment
    /// the items are separated by commas.
    pub(super) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.value(key, |written, from_environment| match written {
            Written::Text(text) if from_environment => {
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(&parse).collect()
            }
            Written::Text(text) => Ok(vec![parse(text)?]),
            Written::List(items) => items
                .iter()
                .map(|item| match item {
                    Written::Text(text) => parse(text),
                    other => Err(format!("expects a list of texts; one item is {}", other.kind())),
                })
                .collect(),
            other => Err(format!("expects a list of texts, not {}", other.kind())),
        })
    }

    /// Notes a mistake found by comparing values with each other or with the world.
    pub(super) fn mistake(&self, place: Place, key: &str, reason: impl Into<String>) {
        self.mistakes.borrow_mut().push(Remark { place, key: key.to_owned(), reason: reason.into() });
    }

    /// Notes a doubt.
    pub(super) fn warning(&self, place: Place, key: &str, reason: impl Into<String>) {
        self.warnings.borrow_mut().push(Remark { place, key: key.to_owned(), reason: reason.into() });
    }

    /// Where a key is written, else the file as a whole.
    pub(super) fn place(&self, key: &str) -> Place {
        let unread = self.entries.borrow().get(key).map(|entry| entry.place.clone());
        let read = || self.places.borrow().get(key).cloned();
        unread.or_else(read).unwrap_or_else(|| Place::File { path: self.file.clone(), line: 0 })
    }

    /// Where the values that were read are written, by key.
    pub(super) fn places(&self) -> BTreeMap<String, Place> {
        self.places.borrow().clone()
    }

    /// All mistakes and doubts. What nobody asked for is unknown: a mistake in the file, a doubt in
    /// the environment, where the variable may be meant for somebody else.
    pub(super) fn finish(self) -> (Vec<Remark>, Vec<Remark>) {
        let asked = self.asked.into_inner();
        let (mut mistakes, mut warnings) = (self.mistakes.into_inner(), self.warnings.into_inner());
        let mut entries = self.entries.into_inner();
        for (name, places) in self.arrays {
            if !asked.contains(&format!("{name}[]")) {
                let (inside, item) = (format!("{name}."), format!("{name}["));
                let table = asked.iter().any(|known| known.starts_with(&inside));
                let reason = if table { format!("expects a table: [{name}]") } else { "no such key".into() };
                entries.retain(|key, _| !key.starts_with(&item));
                let place = places.into_iter().next();
                let place = place.unwrap_or_else(|| Place::File { path: self.file.clone(), line: 0 });
                mistakes.push(Remark { place, key: name, reason });
            }
        }
        let mut looked_for = 0;
        for (key, entry) in entries {
            let inside = format!("{key}.");
            let reason = if asked.contains(&format!("{key}[]")) {
                format!("expects tables: [[{key}]]")
            } else if asked.iter().any(|known| known.starts_with(&inside)) {
                format!("expects a table: [{key}]")
            } else {
                looked_for += 1;
                match (looked_for <= LOOKED_FOR_MAX).then(|| nearest(&key, &asked)).flatten() {
                    Some(near) => format!("no such key; did you mean {near}?"),
                    None => "no such key".to_owned(),
                }
            };
            if matches!(entry.place, Place::Environment(_)) {
                warnings.push(Remark { place: entry.place, key, reason: format!("ignored: {reason}") });
            } else {
                mistakes.push(Remark { place: entry.place, key, reason });
            }
        }
        mistakes.sort_by_key(|mistake| match &mistake.place {
            Place::File { line, .. } => (0, *line),
            Place::Environment(_) => (1, 0),
        });
        (mistakes, warnings)
    }
}

impl Written {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other => "a date",
        }
    }
}

fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Written::Other, Written::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Written::Other, Written::Float),
        DeValue::Boolean(flag) => Written::Flag(*flag),
        DeValue::Array(items) => Written::List(items.iter().map(|item| written(item.get_ref())).collect()),
        DeValue::Datetime(_) | DeValue::Table(_) => Written::Other,
    }
}

/// The asked-for key that differs from `key` in at most [`SLIPS`] letters.
fn nearest<'a>(key: &str, asked: &'a BTreeSet<String>) -> Option<&'a String> {
    asked
        .iter()
        // A letter of several octets is as many slips: no key has one.
        .filter(|known| known.len().abs_diff(key.len()) <= SLIPS)
        .map(|known| (strsim::levenshtein(key, known), known))
        .filter(|(distance, _)| *distance <= SLIPS)
        .min()
        .map(|(_, known)| known)
}

/// Unknown keys that are compared with the known ones. A file of more is no file of ours.
const LOOKED_FOR_MAX: usize = 10;

/// Letters that were put in, left out or mistaken where a key is still recognised.
const SLIPS: usize = 2;

/// Where each line of the text begins.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_in_spite_of_two_slips() {
        let asked = BTreeSet::from(["radius.accounting".to_owned(), "database.url".to_owned()]);
        let near = |key| nearest(key, &asked).map(String::as_str);
        assert_eq!(near("radius.acounting"), Some("radius.accounting"));
        assert_eq!(near("databas.uri"), Some("database.url"));
        assert_eq!((near("databas.uris"), near(""), near("log.level")), (None, None, None));
    }

    #[test]
    fn lines_count_from_one() {
        let lines = LineIndex::new("a\nb\n\nc");
        assert_eq!([0, 1, 2, 4, 5].map(|at| lines.line(at)), [1, 1, 2, 3, 4]);
    }
}
