//! What the scenarios ask of a dialect, for tests that look whether each of its calls is among it.

use std::path::Path;

/// A request, and what is expected of the answer.
pub(super) struct Asked {
    /// The method of HTTP.
    pub(super) method: String,
    /// The path without a query, below the root of the dialect.
    pub(super) path: String,
    /// Whose key it is sent with.
    pub(super) who: String,
    /// Status and pattern.
    pub(super) answer: String,
}

/// Every request to a listener (`jaze`, `mfusion`) in `tests/data/scenarios`.
pub(super) fn of(listener: &str) -> Vec<Asked> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios");
    let mut asked = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        // A line that is indented goes on.
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap().replace("\n ", " ");
        for line in text.lines() {
            let line = line.strip_prefix("soon ").unwrap_or(line);
            let Some(rest) = line.strip_prefix("http ").and_then(|rest| rest.strip_prefix(listener)) else {
                continue;
            };
            let (Some((request, answer)), true) = (rest.split_once(" => "), rest.starts_with(' ')) else {
                continue;
            };
            let words: Vec<&str> = request.split_whitespace().collect();
            let Some(at) = words.iter().position(|word| word.starts_with('/')) else { continue };
            let who = words[..at].windows(2).find_map(|two| (two[0] == "as").then_some(two[1]));
            asked.push(Asked {
                method: words[at - 1].to_owned(),
                path: words[at].split('?').next().unwrap_or_default().to_owned(),
                who: who.unwrap_or("all").to_owned(),
                answer: answer.trim().to_owned(),
            });
        }
    }
    asked
}
