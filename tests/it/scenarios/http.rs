//! The callers of the management APIs: requests as text, and what an answer must be like.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tollkeeper::domain::Amount;
use tollkeeper::domain::operator::{Dialect, Rights};
use tollkeeper::engine;
use tollkeeper::engine::token::TokenKey;
use tollkeeper::entropy::SystemEntropy;
use tollkeeper::radius::Dictionary;
use tollkeeper::radius::value::{unescape, unquote};
use tollkeeper::service::{Lapse, MadeKey, ManagementGate};
use tollkeeper::store::{Sale, Store};

use super::json::{Json, within};
use super::script::{pieces, plain, since_start, word};
use super::world::World;

/// What Antamedia's callers send as `pass`.
pub(super) const PASSPHRASE: &str = "open-sesame";
/// Where mFusion's endpoints are.
const MFUSION: &str = "/mbox/api/hotspot";
/// Where those of Jaze are.
const JAZE: &str = "/api/v1";
/// Keys of mFusion that are there from the beginning.
const KEYS: [(&str, &str); 4] =
    [("all", "read,write,secrets"), ("editor", "read,write"), ("reader", "read"), ("writer", "write")];
/// Octets of `{much x}`.
const MUCH: usize = 300_000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A key of mFusion.
#[derive(Clone)]
pub(super) struct Key {
    id: String,
    secret: String,
}

/// One request.
struct Request<'t> {
    dialect: &'t str,
    who: &'t str,
    from: IpAddr,
    headers: Vec<(String, String)>,
    method: &'t str,
    path: String,
    body: Body,
}

enum Body {
    None,
    Json(String),
    Form(String),
    Raw(Vec<u8>),
}

struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Head and body.
    whole: Vec<u8>,
}

impl World {
    /// `http mfusion|antamedia|jaze|main [as WHO] [from ADDRESS] [with "Name: value"] METHOD PATH [body] => STATUS [pattern]`
    pub(super) async fn http(&mut self, text: &str) -> Result<(), String> {
        let (asked, expected) = text.split_once(" => ").ok_or("http … => STATUS")?;
        let request = self.request_of(asked)?;
        let answer = self.send(&request).await?;
        let (status, pattern) = word(expected);
        let mut captured = HashMap::new();
        let fits = if answer.status == status {
            answer.fits(pattern, &mut captured)
        } else {
            Err(format!("the status is {}", answer.status))
        };
        fits.map_err(|reason| format!("{reason}\n    {}", String::from_utf8_lossy(&answer.whole)))?;
        self.captured.extend(captured);
        Ok(())
    }

    /// What the listener of XML-RPC answers.
    pub(super) async fn post_xml(&mut self, path: &str, body: String) -> Result<String, String> {
        let request = Request {
            dialect: "xmlrpc",
            who: "nobody",
            from: IpAddr::from([127, 0, 0, 1]),
            headers: vec![("Content-Type".to_owned(), "text/xml".to_owned())],
            method: "POST",
            path: path.to_owned(),
            body: Body::Raw(body.into_bytes()),
        };
        let answer = self.send(&request).await?;
        answer.fits("header Content-Type = \"text/xml; charset=utf-8\"", &mut HashMap::new())?;
        if answer.status != "200" {
            return Err(format!("the status is {}", answer.status));
        }
        String::from_utf8(answer.body).map_err(|error| error.to_string())
    }

    fn request_of<'t>(&self, text: &'t str) -> Result<Request<'t>, String> {
        let (dialect, mut rest) = word(text);
        let mut request = Request {
            dialect,
            who: "all",
            from: IpAddr::from([127, 0, 0, 1]),
            headers: Vec::new(),
            method: "",
            path: String::new(),
            body: Body::None,
        };
        loop {
            let (next, after) = word(rest);
            match next {
                "as" => (request.who, rest) = word(after),
                "from" => {
                    let (address, after) = word(after);
                    request.from = address.parse().map_err(|_| "from which address?")?;
                    rest = after;
                }
                "with" => {
                    let (header, after) = quoted(after)?;
                    let (name, value) = header.split_once(": ").ok_or("with \"Name: value\"")?;
                    request.headers.push((name.to_owned(), value.to_owned()));
                    rest = after;
                }
                method => {
                    request.method = method;
                    rest = after;
                    break;
                }
            }
        }
        if request.method == "octets" {
            request.body = Body::Raw(unescape(unquote(rest)).into());
            return Ok(request);
        }
        let (path, body) = path_and_rest(rest);
        request.path = self.places_put_in(path, true);
        request.body = match word(body) {
            ("", _) => Body::None,
            ("form", form) => Body::Form(self.places_put_in(form, true)),
            ("raw", raw) => Body::Raw(unescape(unquote(raw)).into()),
            _ => Body::Json(self.places_put_in(body, false)),
        };
        Ok(request)
    }

    /// Times as the dialects write them: `{time start+5m}`, `{day start}`, `{compact start}`, `{date start}`.
    /// `{much x}` is that again and again.
    fn places_put_in(&self, text: &str, in_url: bool) -> String {
        let mut text = text.to_owned();
        while let Some((before, after)) = text.split_once("{much ") {
            let (what, after) = after.split_once('}').unwrap_or((after, ""));
            text = format!("{before}{}{after}", what.repeat(MUCH / what.len().max(1)));
        }
        for (word, format) in [
            ("time", "%Y-%m-%d %H:%M:%S"),
            ("day", "%Y-%m-%d"),
            ("compact", "%Y%m%d%H%M"),
            ("date", "%Y%m%d"),
        ] {
            let opening = format!("{{{word} ");
            while let Some((before, after)) = text.split_once(&opening) {
                let (offset, after) = after.split_once('}').unwrap_or((after, ""));
                let at = self.start_time().0 + since_start(offset).unwrap_or_default();
                let at = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(at).unwrap());
                let written = at.strftime(format).to_string();
                let written = if in_url { written.replace(' ', "%20") } else { written };
                text = format!("{before}{written}{after}");
            }
        }
        text
    }

    async fn send(&mut self, request: &Request<'_>) -> Result<Answer, String> {
        let addresses = self.server().ok_or("no server runs")?.ready().http;
        let to = match request.dialect {
            "mfusion" | "jaze" | "main" => addresses.http,
            "antamedia" => addresses.antamedia,
            "ibsng" => addresses.ibsng,
            "xmlrpc" => addresses.xmlrpc,
            other => return Err(format!("no listener {other:?}")),
        };
        let to = to.ok_or("that listener is off")?;
        let mut path = request.path.clone();
        let mut headers = request.headers.clone();
        if request.dialect == "mfusion" {
            path = format!("{MFUSION}{path}");
            if request.method != "octets"
                && let Some(token) = self.token(request.who, to).await?
            {
                headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            }
        }
        if request.dialect == "jaze" && request.method != "octets" {
            path = format!("{JAZE}{path}");
            if request.who != "nobody" {
                let key = self.captured.get(&format!("jaze.{}.basic", request.who)).ok_or("no such key")?;
                headers.push(("Authorization".to_owned(), format!("Basic {key}")));
            }
        }
        let (kind, mut body) = match &request.body {
            Body::None => ("", Vec::new()),
            Body::Json(text) => ("application/json", text.clone().into_bytes()),
            Body::Form(text) => ("application/x-www-form-urlencoded", text.clone().into_bytes()),
            Body::Raw(octets) => ("", octets.clone()),
        };
        if request.dialect == "antamedia" && request.who != "nobody" {
            if matches!(request.body, Body::Form(_)) {
                body.extend(format!("&pass={PASSPHRASE}").bytes());
            } else {
                path.push_str(if path.contains('?') { "&" } else { "?" });
                path.push_str(&format!("pass={PASSPHRASE}"));
            }
        }
        if request.method == "octets" {
            return exchange(request.from, to, &body).await;
        }
        if !kind.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        if !body.is_empty() || request.method == "POST" {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let mut octets =
            format!("{} {path} HTTP/1.1\r\nHost: tollkeeper\r\nConnection: close\r\n", request.method);
        for (name, value) in headers {
            octets.push_str(&format!("{name}: {value}\r\n"));
        }
        octets.push_str("\r\n");
        let octets = [octets.as_bytes(), &body].concat();
        exchange(request.from, to, &octets).await
    }

    /// The keys that are there from the beginning.
    pub(super) async fn make_keys(&mut self) {
        for (name, rights) in KEYS {
            self.make_key(Dialect::Mfusion, name, rights, "").await.unwrap();
            self.make_key(Dialect::Jaze, &format!("jaze.{name}"), rights, "").await.unwrap();
        }
    }

    /// A token for `WHO`: the name of a key, `nobody`, or a token itself.
    async fn token(&mut self, who: &str, to: SocketAddr) -> Result<Option<String>, String> {
        if who == "nobody" {
            return Ok(None);
        }
        let Some(key) = self.keys.get(who) else { return Ok(Some(who.to_owned())) };
        let body = format!(r#"{{"api_id":"{}","secret":"{}"}}"#, key.id, key.secret);
        let octets = format!(
            "POST {MFUSION}/auth HTTP/1.1\r\nHost: tollkeeper\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(IpAddr::from([127, 0, 0, 1]), to, octets.as_bytes()).await?;
        let body: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let token = body["token"].as_str().ok_or_else(|| format!("no token for {who}: {body}"))?;
        Ok(Some(token.to_owned()))
    }

    async fn make_key(
        &mut self,
        dialect: Dialect,
        name: &str,
        rights: &str,
        account: &str,
    ) -> Result<(), String> {
        let rights = Rights::parse(rights).ok_or("which rights?")?;
        let (store, gate) = self.gate().await?;
        let made = gate
            .console("tester")
            .create_key(dialect, rights, account, &mut SystemEntropy)
            .await
            .map_err(|error| error.to_string())?;
        store.close().await;
        self.has_key(name, made);
        Ok(())
    }

    /// Notes a key under its name, and `{NAME.id}`, `{NAME.secret}`, `{NAME.basic}` for steps.
    fn has_key(&mut self, name: &str, made: MadeKey) {
        let basic = STANDARD.encode(format!("{}:{}", made.key_id, made.secret));
        for (part, value) in [("id", &made.key_id), ("secret", &made.secret), ("basic", &basic)] {
            self.captured.insert(format!("{name}.{part}"), value.clone());
        }
        if name == "jaze.all" {
            let basic = STANDARD.encode(format!("Main:{}", made.secret));
            self.captured.insert("account.basic".to_owned(), basic);
        }
        self.keys.insert(name.to_owned(), Key { id: made.key_id, secret: made.secret });
    }

    /// As the command line comes in.
    pub(super) async fn gate(&self) -> Result<(Store, ManagementGate), String> {
        let store = Store::connect(&self.settings().store()).await.map_err(|error| error.to_string())?;
        let rules = engine::Settings::new(TokenKey::new(&[0; 32]), self.settings().timezone.clone());
        let gate = ManagementGate::new(store.clone(), Dictionary::embedded(), rules, self.clock());
        Ok((store, gate))
    }

    /// `top-up LOGIN octets|seconds N[; plan_name = …][; price = …][; currency = …][; remarks = …]`
    pub(super) async fn top_up(&mut self, text: &str) -> Result<(), String> {
        let mut parts = text.split("; ");
        let what: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
        let [login, unit, amount] = what[..] else { return Err("top-up LOGIN octets|seconds N".to_owned()) };
        let mut sale = Sale::default();
        for part in parts {
            let (name, value) = part.split_once(" = ").ok_or("name = value")?;
            match name {
                "plan_name" => sale.plan_name = value.to_owned(),
                "price" => sale.price = Some(Amount::parse(value).ok_or("no amount")?),
                "currency" => sale.currency = value.to_owned(),
                "remarks" => sale.remarks = value.to_owned(),
                other => return Err(format!("a sale has no {other}")),
            }
        }
        let amount = amount.parse().map_err(|_| "no number")?;
        let (store, gate) = self.gate().await?;
        let console = gate.console("tester");
        let done = console.top_up(login, unit == "seconds", amount, Lapse::Never, &sale).await;
        store.close().await;
        done.map(drop).map_err(|error| error.to_string())
    }

    /// `key NAME made [RIGHTS] [ACCOUNT]`, `key NAME rotated`, `disabled`, `enabled`, `deleted`
    pub(super) async fn key(&mut self, text: &str) -> Result<(), String> {
        let (name, rest) = word(text);
        let (verb, rest) = word(rest);
        if verb == "made" {
            let (rights, account) = word(rest);
            let dialect = if name.starts_with("jaze.") { Dialect::Jaze } else { Dialect::Mfusion };
            let rights = if rights.is_empty() { "read,write" } else { rights };
            return self.make_key(dialect, name, rights, account).await;
        }
        let id = self.keys.get(name).ok_or("no such key")?.id.clone();
        let (store, gate) = self.gate().await?;
        let console = gate.console("tester");
        let done = match verb {
            "rotated" => console.rotate_key(&id, &mut SystemEntropy).await.map(Some),
            "disabled" => console.enable_key(&id, false).await.map(|()| None),
            "enabled" => console.enable_key(&id, true).await.map(|()| None),
            "deleted" => console.delete_key(&id).await.map(|()| None),
            _ => return Err("key NAME made | rotated | disabled | enabled | deleted".to_owned()),
        };
        if let Some(made) = done.map_err(|error| error.to_string())? {
            self.has_key(name, made);
        }
        store.close().await;
        Ok(())
    }
}

/// Sends octets on a connection of their own and reads to its end.
async fn exchange(from: IpAddr, to: SocketAddr, octets: &[u8]) -> Result<Answer, String> {
    let told = |error: std::io::Error| error.to_string();
    let socket = TcpSocket::new_v4().map_err(told)?;
    socket.bind(SocketAddr::new(from, 0)).map_err(told)?;
    let mut stream = socket.connect(to).await.map_err(told)?;
    // A server that has seen enough may close before all is sent; what it said is still there.
    let _sent = stream.write_all(octets).await;
    let mut whole = Vec::new();
    match tokio::time::timeout(PATIENCE, stream.read_to_end(&mut whole)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if whole.is_empty() => return Err(error.to_string()),
        Ok(Err(_)) => {}
        Err(_) => return Err(format!("no end after {PATIENCE:?}: {}", String::from_utf8_lossy(&whole))),
    }
    Answer::read(whole)
}

impl Answer {
    fn read(whole: Vec<u8>) -> Result<Self, String> {
        let cut = whole.windows(4).position(|four| four == b"\r\n\r\n");
        let cut = cut.ok_or_else(|| format!("no head: {:?}", String::from_utf8_lossy(&whole)))?;
        let head = String::from_utf8_lossy(&whole[..cut]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let body = whole[cut + 4..].to_vec();
        Ok(Self { status, headers, body, whole })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Is it like this? A JSON pattern, or conditions with `;` between them, or first conditions on headers
    /// and then a pattern.
    fn fits(&self, pattern: &str, captured: &mut HashMap<String, String>) -> Result<(), String> {
        if self.header("transfer-encoding").is_some() {
            return Err("it is chunked".to_owned());
        }
        let is_title = |word: &str| word.starts_with(|first: char| first.is_ascii_uppercase());
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| !name.split('-').all(is_title)) {
            return Err(format!("old callers do not know the header {name:?}"));
        }
        let mut rest = pattern.trim();
        while rest.starts_with("header ") || rest.starts_with("no header ") {
            let first = pieces(rest, ';').first().copied().unwrap_or_default();
            self.holds(first, captured)?;
            rest = rest[first.len()..].trim_start_matches([';', ' ']);
        }
        let text = String::from_utf8(self.body.clone()).map_err(|_| "it is not UTF-8")?;
        if rest.starts_with(['{', '[', '<']) {
            serde_json::from_str::<serde_json::Value>(&text).map_err(|error| format!("no JSON: {error}"))?;
            return Json::read(rest)?.fits(&Json::read(&text)?, "the answer", captured);
        }
        pieces(rest, ';').into_iter().try_for_each(|condition| self.holds(condition, captured))
    }

    /// `header Name = value`, `no header Name`, `exactly "octets"`, `contains "text"`, `lacks "text"`,
    /// `N Element`, `no Element`, `Element = value`, `Outer[2]/Inner = value`
    fn holds(&self, condition: &str, captured: &mut HashMap<String, String>) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let unlike = |found: &dyn std::fmt::Debug| Err(format!("expected {condition:?}, there is {found:?}"));
        let (first, rest) = word(condition);
        match first {
            "header" => {
                let (name, value) = rest.split_once(" = ").ok_or("header Name = value")?;
                let found = self.header(name.trim()).unwrap_or("-");
                return within(&plain(value.trim()), found, captured).ok_or(()).or_else(|()| unlike(&found));
            }
            "no" if rest.starts_with("header ") => {
                let found = self.header(rest.trim_start_matches("header "));
                return if found.is_none() { Ok(()) } else { unlike(&found) };
            }
            "exactly" if unescape(unquote(rest)).as_ref() == self.body.as_slice() => return Ok(()),
            "exactly" => return unlike(&text),
            "contains" | "lacks" => {
                let found = text.contains(&plain(rest)) == (first == "contains");
                return if found { Ok(()) } else { unlike(&text) };
            }
            "no" => {
                let found = elements(&text, rest);
                return if found.is_empty() { Ok(()) } else { unlike(&found) };
            }
            _ => {}
        }
        if let Ok(count) = first.parse::<usize>() {
            let found = elements(&text, rest);
            return if found.len() == count { Ok(()) } else { unlike(&found) };
        }
        let (path, value) = condition.split_once(" =").ok_or_else(|| format!("what is {condition:?}?"))?;
        let found = elements(&text, path.trim());
        match found.as_slice() {
            [only] => {
                within(&plain(value.trim()), &unescaped(only), captured).ok_or(()).or_else(|()| unlike(only))
            }
            others => unlike(&others),
        }
    }
}

/// What is inside the elements at `Outer/Inner`, anywhere in the document; `Outer[2]` is the second.
fn elements(text: &str, path: &str) -> Vec<String> {
    // After the DTD, which declares elements and has none.
    let text = text.rsplit_once("]>").map_or(text, |(_, data)| data);
    let mut found = vec![text.to_owned()];
    for step in path.trim_start_matches('/').split('/') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let inside: Vec<String> = found.iter().flat_map(|text| children(text, name)).collect();
        found = match index {
            Some(index) => inside.into_iter().skip(index.saturating_sub(1)).take(1).collect(),
            None => inside,
        };
    }
    found
}

fn children(text: &str, name: &str) -> Vec<String> {
    let (opening, empty, closing) = (format!("<{name}>"), format!("<{name}/>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        match (rest.find(&opening), rest.find(&empty)) {
            (Some(at), other) if other.is_none_or(|other| at < other) => {
                let inside = &rest[at + opening.len()..];
                let Some(end) = inside.find(&closing) else { return found };
                found.push(inside[..end].to_owned());
                rest = &inside[end + closing.len()..];
            }
            (_, Some(at)) => {
                found.push(String::new());
                rest = &rest[at + empty.len()..];
            }
            _ => return found,
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, letter);
    }
    text
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let inside = text.strip_prefix('"').ok_or("a text in quotes is missing")?;
    let (inside, rest) = inside.split_once('"').ok_or("a quote is missing")?;
    Ok((inside.to_owned(), rest.trim_start()))
}

/// The path, which may have `{time start}` in it, and what follows it.
fn path_and_rest(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ' ' if depth == 0 => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
    }
    (text, "")
}

#[test]
fn elements_are_found_by_their_path() {
    let text = "<!DOCTYPE A [<!ELEMENT B (#PCDATA)>]><A><B>1</B><B>2</B><C/></A>";
    assert_eq!(elements(text, "A/B"), ["1", "2"]);
    assert_eq!(elements(text, "//A/B[2]"), ["2"]);
    assert_eq!(elements(text, "C"), [""]);
    assert!(elements(text, "D").is_empty());
}
