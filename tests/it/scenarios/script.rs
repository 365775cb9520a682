//! The text of a scenario file, cut into steps, and the small languages inside them.

use tollkeeper::radius::value::{unescape, unquote};

/// A whole file.
pub(super) struct Script {
    /// `key = value` of the configuration.
    pub(super) config: Vec<(String, String)>,
    pub(super) scenarios: Vec<Scenario>,
}

/// What is told under one title.
pub(super) struct Scenario {
    pub(super) title: String,
    pub(super) steps: Vec<Step>,
}

/// One line, and the indented ones below it.
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Script {
    pub(super) fn read(text: &str) -> Self {
        let mut script = Self { config: Vec::new(), scenarios: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if let Some(title) = line.strip_prefix("scenario ") {
                script.scenarios.push(Scenario { title: title.to_owned(), steps: Vec::new() });
            } else if let Some(setting) = line.strip_prefix("config ") {
                let (key, value) = setting.split_once(" = ").expect("config KEY = VALUE");
                script.config.push((key.to_owned(), value.to_owned()));
            } else {
                let scenario = script.scenarios.last_mut().expect("a step belongs to a scenario");
                match scenario.steps.last_mut() {
                    Some(step) if line.starts_with(' ') => step.text.push_str(&format!(" {trimmed}")),
                    _ => scenario.steps.push(Step { line: number, text: trimmed.to_owned() }),
                }
            }
        }
        script
    }

    /// Does any step begin with this word?
    pub(super) fn has(&self, word: &str) -> bool {
        self.scenarios.iter().flat_map(|scenario| &scenario.steps).any(|step| step.text.starts_with(word))
    }
}

/// The first word and the rest.
pub(super) fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim())
}

/// Cuts at `separator` outside quotes; the pieces are trimmed, empty ones left out.
pub(super) fn pieces(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|letter| {
        let cut = letter == separator && !quoted;
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        cut
    })
    .map(str::trim)
    .filter(|piece| !piece.is_empty())
    .collect()
}

/// `Name = value`.
pub(super) fn assignment(text: &str) -> Result<(&str, &str), String> {
    text.split_once(" = ")
        .map(|(name, value)| (name.trim(), value.trim()))
        .ok_or_else(|| format!("no ` = ` in {text:?}"))
}

/// A value without its quotes and escapes, as a database gives it.
pub(super) fn plain(text: &str) -> String {
    if text.starts_with('"') {
        String::from_utf8_lossy(&unescape(unquote(text))).into_owned()
    } else {
        text.to_owned()
    }
}

/// `90s`, `5m`, `2h`, `30d` as seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no duration such as 5m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    Ok(number * unit)
}

/// `start`, `start+5m`, `start-30d` as seconds after the beginning of the scenario.
pub(super) fn since_start(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("start")?;
    let signed = |text: &str| i64::try_from(seconds(text).ok()?).ok();
    match rest.split_at_checked(1) {
        None => Some(0),
        Some(("+", after)) => signed(after),
        Some(("-", before)) => Some(-signed(before)?),
        Some(_) => None,
    }
}

/// `x16` as 16.
pub(super) fn times(text: &str) -> Option<usize> {
    text.strip_prefix('x')?.parse().ok()
}

/// Puts the number of a copy in: `{n}` is `7`, `{n+1}` is `8`, `{mac}` is `02-00-00-00-00-07`.
pub(super) fn numbered(text: &str, number: usize) -> String {
    let [.., high, low] = number.to_be_bytes();
    let text = text.replace("{n}", &number.to_string()).replace("{n+1}", &(number + 1).to_string());
    text.replace("{mac}", &format!("02-00-00-00-{high:02x}-{low:02x}"))
}
