//! JSON as it is written: the order of members counts, and a pattern may leave places open.

use std::collections::HashMap;
use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use regex_lite::Regex;

/// A value, or a pattern of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// `true`, `null`, a number: as it is written.
    Word(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// `<int>` of a pattern, without the angles.
    Open(String),
    /// `...` of a pattern: whatever else there is.
    Rest,
}

impl Json {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, letters: text.char_indices().peekable() };
        let value = reader.value()?;
        reader.blanks();
        match reader.letters.next() {
            None => Ok(value),
            Some((at, _)) => Err(format!("something follows the JSON: {:?}", &text[at..])),
        }
    }

    /// Does `found` look like this pattern? What `<…:name>` captures is put into `captured`.
    pub(super) fn fits(
        &self,
        found: &Self,
        path: &str,
        captured: &mut HashMap<String, String>,
    ) -> Result<(), String> {
        let differs = || Err(format!("{path} is {found}, not {self}"));
        match (self, found) {
            (Self::Open(kind), _) => open(kind, found, captured).ok_or(()).or_else(|()| differs()),
            (Self::Text(pattern), Self::Text(text)) if pattern.contains('<') => {
                within(pattern, text, captured).ok_or(()).or_else(|()| differs())
            }
            (Self::Array(patterns), Self::Array(values)) => {
                let (patterns, any_more) = match patterns.split_last() {
                    Some((Self::Rest, first)) => (first, true),
                    _ => (patterns.as_slice(), false),
                };
                if values.len() < patterns.len() || values.len() > patterns.len() && !any_more {
                    return differs();
                }
                for (index, (pattern, value)) in patterns.iter().zip(values).enumerate() {
                    pattern.fits(value, &format!("{path}[{index}]"), captured)?;
                }
                Ok(())
            }
            (Self::Object(patterns), Self::Object(members)) => {
                let any_more = patterns.last().is_some_and(|(_, value)| *value == Self::Rest);
                let patterns = &patterns[..patterns.len() - usize::from(any_more)];
                let names = |members: &[(String, Self)]| {
                    members.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ")
                };
                let shown =
                    &members[..if any_more { patterns.len().min(members.len()) } else { members.len() }];
                if names(patterns) != names(shown) {
                    return Err(format!("{path} has {}, not {}", names(members), names(patterns)));
                }
                for ((name, pattern), (_, value)) in patterns.iter().zip(members) {
                    pattern.fits(value, &format!("{path}.{name}"), captured)?;
                }
                Ok(())
            }
            _ if self == found => Ok(()),
            _ => differs(),
        }
    }
}

/// What a kind of place looks like.
fn looks(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "int" => r"-?[0-9]+",
        "number" => r"-?[0-9]+(\.[0-9]+)?",
        "time" => r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
        "date" => r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "word" => r"[^ ]+",
        "string" => r"(?s:.*)",
        "bool" => "true|false",
        _ => return None,
    })
}

fn open(kind: &str, found: &Json, captured: &mut HashMap<String, String>) -> Option<()> {
    let (kind, name) = kind.split_once(':').unwrap_or((kind, ""));
    let text = match (kind, found) {
        ("any", value) => value.to_string(),
        ("int" | "number" | "bool", Json::Word(word)) => word.clone(),
        ("time" | "date" | "word" | "string", Json::Text(text)) => text.clone(),
        _ => return None,
    };
    if kind != "any" && !Regex::new(&format!("^(?:{})$", looks(kind)?)).unwrap().is_match(&text) {
        return None;
    }
    if !name.is_empty() {
        captured.insert(name.to_owned(), text);
    }
    Some(())
}

/// Text with places in it: `User <string:login> has <int>`. An angle that opens no place is itself.
pub(super) fn within(pattern: &str, text: &str, captured: &mut HashMap<String, String>) -> Option<()> {
    let mut expression = String::from("^");
    let mut names = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('<') {
        expression.push_str(&escaped(before));
        let place = after.split_once('>').and_then(|(place, after)| {
            let (kind, name) = place.split_once(':').unwrap_or((place, ""));
            Some((looks(kind)?, name, after))
        });
        match place {
            Some((looks, name, after)) => {
                expression.push_str(&format!("(?<p{}>{looks})", names.len()));
                names.push(name);
                rest = after;
            }
            None => {
                expression.push('<');
                rest = after;
            }
        }
    }
    expression.push_str(&escaped(rest));
    expression.push('$');
    let expression = Regex::new(&expression).unwrap();
    let found = expression.captures(text)?;
    for (number, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        captured.insert((*name).to_owned(), found.name(&format!("p{number}"))?.as_str().to_owned());
    }
    Some(())
}

fn escaped(text: &str) -> String {
    regex_lite::escape(text)
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Open(kind) => write!(f, "<{kind}>"),
            Self::Rest => f.write_str("..."),
            Self::Array(values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", values.join(","))
            }
            Self::Object(members) => {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                write!(f, "{{{}}}", members.join(","))
            }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    letters: Peekable<CharIndices<'t>>,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.letters.next_if(|(_, letter)| letter.is_ascii_whitespace()).is_some() {}
    }

    fn here(&mut self) -> &str {
        let at = self.letters.peek().map_or(self.text.len(), |(at, _)| *at);
        &self.text[at..]
    }

    fn must(&mut self, wanted: char) -> Result<(), String> {
        self.blanks();
        match self.letters.next_if(|(_, letter)| *letter == wanted) {
            Some(_) => Ok(()),
            None => Err(format!("{wanted:?} is missing before {:?}", self.here())),
        }
    }

    fn value(&mut self) -> Result<Json, String> {
        self.blanks();
        match self.letters.peek().map(|(_, letter)| *letter) {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Json::Text),
            Some('<') => {
                self.must('<')?;
                let kind = self.until(|letter| letter == '>');
                self.must('>')?;
                Ok(Json::Open(kind))
            }
            Some('.') => {
                for _ in 0..3 {
                    self.must('.')?;
                }
                Ok(Json::Rest)
            }
            _ => {
                let word = self.until(|letter| !(letter.is_alphanumeric() || "+-.".contains(letter)));
                if word.is_empty() {
                    Err(format!("no value: {:?}", self.here()))
                } else {
                    Ok(Json::Word(word))
                }
            }
        }
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> String {
        let mut word = String::new();
        while let Some((_, letter)) = self.letters.next_if(|(_, letter)| !ends(*letter)) {
            word.push(letter);
        }
        word
    }

    fn object(&mut self) -> Result<Json, String> {
        self.must('{')?;
        let mut members = Vec::new();
        loop {
            self.blanks();
            match self.letters.peek().map(|(_, letter)| *letter) {
                Some('}') if members.is_empty() => break,
                Some('.') => members.push((String::new(), self.value()?)),
                _ => {
                    let name = self.string()?;
                    self.must(':')?;
                    members.push((name, self.value()?));
                }
            }
            if self.must(',').is_err() {
                break;
            }
        }
        self.must('}')?;
        Ok(Json::Object(members))
    }

    fn array(&mut self) -> Result<Json, String> {
        self.must('[')?;
        let mut values = Vec::new();
        loop {
            self.blanks();
            if values.is_empty() && matches!(self.letters.peek(), Some((_, ']'))) {
                break;
            }
            values.push(self.value()?);
            if self.must(',').is_err() {
                break;
            }
        }
        self.must(']')?;
        Ok(Json::Array(values))
    }

    fn string(&mut self) -> Result<String, String> {
        self.must('"')?;
        let mut raw = String::from('"');
        loop {
            let (_, letter) = self.letters.next().ok_or("text without an end")?;
            raw.push(letter);
            match letter {
                '"' => break,
                '\\' => raw.extend(self.letters.next().map(|(_, letter)| letter)),
                _ => {}
            }
        }
        serde_json::from_str(&raw).map_err(|error| format!("{raw}: {error}"))
    }
}

#[test]
fn patterns_leave_places_open() {
    let found =
        Json::read(r#"{"id":7,"login":"a","rows":[{"at":"2025-01-02 03:04:05"},2],"x":null}"#).unwrap();
    let mut captured = HashMap::new();
    let pattern = r#"{"id":<int:id>, "login":"<string>", "rows":[{"at":<time>}, ...], ...}"#;
    Json::read(pattern).unwrap().fits(&found, "", &mut captured).unwrap();
    assert_eq!(captured["id"], "7");
    for wrong in [
        r#"{"id":7}"#,
        r#"{"login":"a","id":7, ...}"#,
        r#"{"id":"<int>", ...}"#,
        r#"{"id":7,"login":"b", ...}"#,
        r#"{"id":7,"login":"a","rows":[<any>], ...}"#,
    ] {
        Json::read(wrong).unwrap().fits(&found, "", &mut captured).unwrap_err();
    }
    assert!(within("ID: <int:n> is <b", "ID: 12 is <b", &mut captured).is_some());
    assert_eq!(captured["n"], "12");
}
