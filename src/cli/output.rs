//! What people and scripts see: tables, one JSON value, lines on standard error.

use std::io::{self, Write as _};

use serde_json::{Map, Value};

use crate::time::UnixTime;

/// Standard output in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Was JSON asked for?
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// The answer: the value if JSON was asked for, else the lines.
    pub(super) fn answer(self, value: &Value, lines: impl FnOnce() -> String) {
        if self.json { self.line(&value.to_string()) } else { self.line(lines().trim_end_matches('\n')) }
    }

    /// A line on standard output. A reader who has gone away is no failure of ours.
    pub(super) fn line(self, text: &str) {
        let mut out = io::stdout().lock();
        let _closed_pipe = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A line on standard error.
    pub(super) fn complain(self, text: &str) {
        let _closed_pipe = writeln!(io::stderr().lock(), "{text}");
    }
}

/// RFC 3339 in UTC.
pub(super) fn utc(at: UnixTime) -> String {
    jiff::Timestamp::from_second(at.0).map_or_else(|_| String::new(), |instant| instant.to_string())
}

/// The members of an object that say something, as rows of a table.
pub(super) fn members(object: &Map<String, Value>) -> Vec<Vec<String>> {
    let row = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (!text.is_empty()).then(|| vec![name.clone(), text])
    };
    object.iter().filter_map(row).collect()
}

/// An object for people, a member a line.
pub(super) fn named(object: &Value) -> String {
    table(&["WHAT", "VALUE"], &object.as_object().map(members).unwrap_or_default())
}

/// Rows under headings, columns as wide as their widest cell.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = headings.iter().map(|heading| width(heading)).collect();
    for row in rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = (*column).max(width(cell));
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, wide) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide + 2 - width(cell)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&mut headings.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["1".to_owned(), "bob".to_owned()], vec!["1890".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "LOGIN"], &rows), "ID    LOGIN\n1     bob\n1890\n");
    }
}
