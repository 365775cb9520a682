//! Parameters of a request, whatever it was written in: a form, parts of a multipart body, JSON.
//!
//! PHP's notation for lists and records (`vendorData[0][attribute]=…`, `userIds[]=…`) and JSON's make the
//! same tree. Names are matched without regard to case and blanks, since the document spells them in
//! several ways; of two equal names the later one counts, as in PHP.

use serde_json::Value;

use super::answer::Fail;

/// Values of one request at most.
const VALUES_MAX: usize = 2_000;
/// Brackets of one name at most.
const DEPTH_MAX: usize = 4;

/// A record of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, Node)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text(String),
    Record(Params),
}

/// A name as it is compared.
fn folded(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

impl Params {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn form(body: &[u8]) -> Result<Self, Fail> {
        Self::pairs(form_urlencoded::parse(body))
    }

    /// Takes names and values in order.
    pub(super) fn pairs<N: AsRef<str>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Fail> {
        let mut params = Self::default();
        for (count, (name, value)) in pairs.into_iter().enumerate() {
            if count >= VALUES_MAX {
                return Err(too_many());
            }
            let keys = keys(name.as_ref())?;
            params.put(&keys, value.into());
        }
        Ok(params)
    }

    /// Reads a JSON object; an empty body is one without members.
    pub(super) fn json(body: &[u8]) -> Result<Self, Fail> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => {
                let mut left = VALUES_MAX;
                Self::members(members, &mut left)
            }
            Ok(_) | Err(_) => Err(Fail::malformed("The request body is not valid JSON")),
        }
    }

    /// `left` is how many values the request may still have.
    fn members(members: serde_json::Map<String, Value>, left: &mut usize) -> Result<Self, Fail> {
        let mut params = Self::default();
        for (name, value) in members {
            if let Some(node) = Node::json(value, left)? {
                params.set(folded(&name), node);
            }
        }
        Ok(params)
    }

    fn set(&mut self, name: String, node: Node) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = node,
            None => self.0.push((name, node)),
        }
    }

    fn put(&mut self, keys: &[String], value: String) {
        let Some((first, rest)) = keys.split_first() else { return };
        // An empty key is the next place of a list.
        let name = if first.is_empty() { self.0.len().to_string() } else { first.clone() };
        if rest.is_empty() {
            self.set(name, Node::Text(value));
            return;
        }
        if !matches!(self.0.iter().find(|(known, _)| *known == name), Some((_, Node::Record(_)))) {
            self.set(name.clone(), Node::Record(Self::default()));
        }
        if let Some((_, Node::Record(inner))) = self.0.iter_mut().find(|(known, _)| *known == name) {
            inner.put(rest, value);
        }
    }

    fn node(&self, name: &str) -> Option<&Node> {
        let wanted = folded(name);
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, node)| node)
    }

    /// A text without blanks around it; what is empty was not said.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Fail> {
        Ok(self.raw(name)?.map(str::trim).filter(|text| !text.is_empty()))
    }

    /// A text as it was sent, be it empty.
    pub(super) fn raw(&self, name: &str) -> Result<Option<&str>, Fail> {
        match self.node(name) {
            None => Ok(None),
            // No database takes it everywhere.
            Some(Node::Text(text)) if text.contains('\0') => Err(Fail::wrong(name, "must not contain NUL")),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Record(_)) => Err(Fail::wrong(name, "must be a single value")),
        }
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Fail> {
        self.text(name)?.ok_or_else(|| Fail::missing(name))
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Fail> {
        self.text(name)?.map(|text| number(name, text)).transpose()
    }

    /// A whole number that has to be there.
    pub(super) fn needed_number(&self, name: &str) -> Result<i64, Fail> {
        number(name, self.needed(name)?)
    }

    /// One of some words, in whatever case.
    pub(super) fn keyword(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Fail> {
        self.text(name)?.map(|text| keyword(name, text, words)).transpose()
    }

    /// One of some words that has to be there.
    pub(super) fn needed_keyword(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Fail> {
        keyword(name, self.needed(name)?, words)
    }

    /// `yes` or `no`.
    pub(super) fn yes(&self, name: &str) -> Result<Option<bool>, Fail> {
        Ok(self.keyword(name, &["yes", "no"])?.map(|word| word == "yes"))
    }

    /// The records of a list in their order.
    pub(super) fn records(&self, name: &str) -> Result<Vec<&Self>, Fail> {
        match self.node(name) {
            None => Ok(Vec::new()),
            Some(Node::Record(list)) => list
                .0
                .iter()
                .map(|(_, node)| match node {
                    Node::Record(record) => Ok(record),
                    Node::Text(_) => Err(Fail::wrong(name, "must be a list of records")),
                })
                .collect(),
            Some(Node::Text(text)) if text.trim().is_empty() => Ok(Vec::new()),
            Some(Node::Text(_)) => Err(Fail::wrong(name, "must be a list of records")),
        }
    }

    /// The numbers of a list; a single one, or some joined by commas, are a list too.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<i64>, Fail> {
        let texts: Vec<&str> = match self.node(name) {
            None => Vec::new(),
            Some(Node::Text(text)) => text.split(',').collect(),
            Some(Node::Record(list)) => list
                .0
                .iter()
                .map(|(_, node)| match node {
                    Node::Text(text) => Ok(text.as_str()),
                    Node::Record(_) => Err(Fail::wrong(name, "must be a list of numbers")),
                })
                .collect::<Result<_, _>>()?,
        };
        let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
        texts.map(|text| number(name, text)).collect()
    }

    /// Was anything said besides these?
    pub(super) fn says_more_than(&self, names: &[&str]) -> bool {
        let is_empty = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
        self.0.iter().any(|(name, node)| !is_empty(node) && !names.iter().any(|known| folded(known) == *name))
    }
}

impl Node {
    /// Null was not said.
    fn json(value: Value, left: &mut usize) -> Result<Option<Self>, Fail> {
        *left = left.checked_sub(1).ok_or_else(too_many)?;
        Ok(Some(match value {
            Value::Null => return Ok(None),
            Value::Bool(yes) => Self::Text(yes.to_string()),
            Value::Number(number) => Self::Text(number.to_string()),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => {
                let mut list = Params::default();
                for (place, item) in items.into_iter().enumerate() {
                    list.0.extend(Self::json(item, left)?.map(|node| (place.to_string(), node)));
                }
                Self::Record(list)
            }
            Value::Object(members) => Self::Record(Params::members(members, left)?),
        }))
    }
}

fn too_many() -> Fail {
    Fail::malformed("The request has too many parameters")
}

/// `vendorData[0][attribute]` as its parts, ready to be compared.
fn keys(name: &str) -> Result<Vec<String>, Fail> {
    let odd = || Fail::malformed("The request has a parameter whose name cannot be read");
    let Some((first, mut rest)) = name.split_once('[').filter(|(first, _)| !first.trim().is_empty()) else {
        return Ok(vec![folded(name)]);
    };
    let mut keys = vec![folded(first)];
    loop {
        let (key, after) = rest.split_once(']').ok_or_else(odd)?;
        keys.push(folded(key.trim_matches(['"', '\''])));
        if keys.len() > DEPTH_MAX {
            return Err(odd());
        }
        match after.trim() {
            "" => return Ok(keys),
            more => rest = more.strip_prefix('[').ok_or_else(odd)?,
        }
    }
}

/// A whole number that is not negative.
pub(super) fn number(name: &str, text: &str) -> Result<i64, Fail> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| Fail::wrong(name, "must be numeric"))
}

/// One of some words, in whatever case.
pub(super) fn keyword(name: &str, text: &str, words: &[&'static str]) -> Result<&'static str, Fail> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| Fail::unknown_word(name, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn php_and_json_make_the_same_tree() {
        let form = Params::form(
            b"userId=7&vendorData[0][attribute]=Filter-Id&vendorData%5B0%5D%5Bvalue%5D=gold+1&vendorData[1][value]=x&userIds[]=3&userIds[]=4",
        )
        .unwrap();
        let json = Params::json(
            br#"{"USERID": 7, "vendordata": [{"attribute": "Filter-Id", "value": "gold 1"}, {"value": "x"}], "userIds": [3, "4"], "nothing": null}"#,
        )
        .unwrap();
        for params in [&form, &json] {
            assert_eq!(params.needed_number("userId"), Ok(7));
            let data = params.records("vendorData").unwrap();
            assert_eq!(data.len(), 2);
            assert_eq!(data[0].needed("Attribute"), Ok("Filter-Id"));
            assert_eq!(data[0].text("value"), Ok(Some("gold 1")));
            assert_eq!(params.numbers("userIds[]".trim_end_matches("[]")), Ok(vec![3, 4]));
            assert!(!params.says_more_than(&["userId", "vendorData", "userIds"]));
            assert!(params.says_more_than(&["userId"]));
        }
    }

    #[test]
    fn names_are_matched_without_case_and_blanks_and_the_last_value_counts() {
        let params = Params::form(b"Userwith balance=1&STREETNAME= Main &phone=1&Phone=2&empty=").unwrap();
        assert_eq!(params.number("userWithBalance"), Ok(Some(1)));
        assert_eq!(params.needed("StreetName"), Ok("Main"));
        assert_eq!(params.text("phone"), Ok(Some("2")));
        assert_eq!(params.text("empty"), Ok(None));
        assert_eq!(params.raw("empty"), Ok(Some("")));
        assert_eq!(params.numbers("phone"), Ok(vec![2]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let params =
            Params::form(b"a=x&b[c]=1&type=SOMEWHERE&nul=a%00b&n=-1&big=99999999999999999999").unwrap();
        let code = |fail: Fail| (fail.code, fail.message);
        assert_eq!(
            params.needed("userId").map_err(code),
            Err((400, "The field userId is mandatory".to_owned()))
        );
        assert_eq!(params.number("a").map_err(code), Err((400, "The field a must be numeric".to_owned())));
        assert_eq!(params.number("n").map_err(|fail| fail.code), Err(400));
        assert_eq!(params.number("big").map_err(|fail| fail.code), Err(400));
        assert_eq!(params.text("b").map_err(|fail| fail.code), Err(400));
        assert_eq!(params.text("nul").map_err(|fail| fail.code), Err(400));
        assert_eq!(params.records("a").map_err(|fail| fail.code), Err(400));
        assert_eq!(
            params.keyword("type", &["ip", "mac"]).map_err(code),
            Err((422, "The field type must be one of ip, mac".to_owned()))
        );
        for broken in [&b"{"[..], b"[1]", b"\"x\"", b"{\"a\": }", b"\xff"] {
            assert_eq!(Params::json(broken).map_err(|fail| fail.code), Err(400), "{broken:?}");
        }
        assert_eq!(Params::json(b" "), Ok(Params::default()));
        // A name is compared with each: without a bound a megabyte of them would take half a minute.
        let many: Vec<String> = (0..=VALUES_MAX).map(|n| format!("\"n{n}\": 1")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(Params::json(many.as_bytes()).map_err(|fail| fail.code), Err(400));
        assert_eq!(Params::form(b"a[b=1").map_err(|fail| fail.code), Err(400));
        assert_eq!(Params::form(b"a[1][2][3][4][5]=1").map_err(|fail| fail.code), Err(400));
        assert_eq!(Params::form("a=1&".repeat(2_001).as_bytes()).map_err(|fail| fail.code), Err(400));
    }
}
