//! Callers of the IBSng API: a method with its parameters, and what its result must be like.

use std::collections::HashMap;

use serde_json::Value;
use tollkeeper::domain::operator::Rights;
use tollkeeper::entropy::SystemEntropy;

use super::json::Json;
use super::script::word;
use super::world::World;

/// Operators that are there from the beginning, with their passwords and rights.
const OPERATORS: [(&str, &str, &str); 4] = [
    ("system", "sys", "read,write,secrets"),
    ("editor", "edit", "read,write"),
    ("reader", "look", "read"),
    ("writer", "type", "write"),
];

impl World {
    /// The operators that are there from the beginning.
    pub(super) async fn make_operators(&mut self) {
        let (store, gate) = self.gate().await.unwrap();
        for (login, password, rights) in OPERATORS {
            let rights = Rights::parse(rights).unwrap();
            gate.console("tester")
                .add_operator(login, password, rights, "", &mut SystemEntropy)
                .await
                .unwrap();
        }
        store.close().await;
    }

    /// `ibsng [as WHO] METHOD {params} => RESULT`, or `=> fault TEXT`. WHO is an operator, `user LOGIN PASSWORD`,
    /// `session TOKEN`, or `nobody`.
    pub(super) async fn ibsng(&mut self, text: &str) -> Result<(), String> {
        let Call { method, params, expected } = Call::read(text)?;
        let pattern = match expected.strip_prefix("fault ") {
            Some(fault) => format!(r#"{{"id":null,"result":null,"error":"{}"}}"#, fault.trim()),
            None => format!(r#"{{"id":null,"result":{expected},"error":null}}"#),
        };
        let body = format!(r#"{{"method":"{method}","params":{params}}}"#);
        self.http(&format!("ibsng POST / {body} => 200 {pattern}")).await
    }

    /// `xmlrpc [as WHO] METHOD {params} => RESULT`, or `=> fault TEXT`: the same in the other envelope.
    pub(super) async fn xmlrpc(&mut self, text: &str) -> Result<(), String> {
        let Call { method, params, expected } = Call::read(text)?;
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let params = serde_json::from_str(&params).map_err(|error| told(&error))?;
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params><param>{}</param></params></methodCall>",
            to_xml(&params)
        );
        let answer = self.post_xml("/xmlrpc", body).await?;
        let document = roxmltree::Document::parse(&answer).map_err(|error| told(&error))?;
        let root = document.root_element();
        let is_fault = child(root, "fault").is_some();
        let found = root.descendants().find(|node| node.has_tag_name("value")).map(to_json);
        let found = found.ok_or("no value")?;
        let pattern = match expected.strip_prefix("fault ") {
            Some(fault) => format!(r#"{{"faultCode":1,"faultString":"{}"}}"#, fault.trim()),
            None => expected.to_owned(),
        };
        let mut captured = HashMap::new();
        let fits = Json::read(&pattern)?.fits(&Json::read(&found)?, "the answer", &mut captured);
        if is_fault != expected.starts_with("fault ") {
            return Err(answer);
        }
        fits.map_err(|reason| format!("{reason}\n    {answer}"))?;
        self.captured.extend(captured);
        Ok(())
    }
}

/// A method with its parameters, who calls among them, and what is expected.
struct Call<'t> {
    method: &'t str,
    params: String,
    expected: &'t str,
}

impl<'t> Call<'t> {
    fn read(text: &'t str) -> Result<Self, String> {
        let (call, expected) = text.split_once(" => ").ok_or("METHOD {…} => RESULT")?;
        let (auth, call) = credentials(call)?;
        let (method, params) = word(call);
        let inside = params.trim().strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
        let inside = inside.ok_or("parameters are {…}")?.trim();
        let comma = if inside.is_empty() || auth.is_empty() { "" } else { "," };
        Ok(Self { method, params: format!("{{{auth}{comma}{inside}}}"), expected: expected.trim() })
    }
}

fn to_xml(value: &Value) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let inside = match value {
        Value::Null => "<nil/>".to_owned(),
        Value::Bool(yes) => format!("<boolean>{}</boolean>", u8::from(*yes)),
        Value::Number(number) if number.is_i64() => format!("<int>{number}</int>"),
        Value::Number(number) => format!("<double>{number}</double>"),
        Value::String(text) => format!("<string>{}</string>", escape(text)),
        Value::Array(values) => {
            format!("<array><data>{}</data></array>", values.iter().map(to_xml).collect::<String>())
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("<member><name>{}</name>{}</member>", escape(name), to_xml(value))
            };
            format!("<struct>{}</struct>", members.iter().map(member).collect::<String>())
        }
    };
    format!("<value>{inside}</value>")
}

/// A `<value>` as JSON, its members in their order.
fn to_json(value: roxmltree::Node<'_, '_>) -> String {
    let quote = |text: &str| serde_json::to_string(text).unwrap();
    let typed = value.children().find(roxmltree::Node::is_element).unwrap_or(value);
    let text = typed.text().unwrap_or_default();
    let elements = |node: roxmltree::Node<'_, '_>, what: fn(roxmltree::Node<'_, '_>) -> String| {
        node.children().filter(roxmltree::Node::is_element).map(what).collect::<Vec<_>>().join(", ")
    };
    match typed.tag_name().name() {
        "int" | "double" => text.to_owned(),
        "boolean" => (text == "1").to_string(),
        "array" => format!("[{}]", elements(child(typed, "data").unwrap(), to_json)),
        "struct" => {
            let member = |member: roxmltree::Node<'_, '_>| {
                let name = child(member, "name").and_then(|name| name.text()).unwrap_or_default();
                format!(
                    "{}: {}",
                    serde_json::to_string(name).unwrap(),
                    to_json(child(member, "value").unwrap())
                )
            };
            format!("{{{}}}", elements(typed, member))
        }
        _ => quote(text),
    }
}

fn child<'a, 'd>(node: roxmltree::Node<'a, 'd>, name: &str) -> Option<roxmltree::Node<'a, 'd>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// Who calls, as parameters, and the rest of the step.
fn credentials(text: &str) -> Result<(String, &str), String> {
    let pair = |kind: &str, name: &str, password: &str| {
        format!(r#""auth_type":"{kind}","auth_name":"{name}","auth_pass":"{password}""#)
    };
    let Some(rest) = text.strip_prefix("as ") else {
        let (name, password, _) = OPERATORS[0];
        return Ok((pair("ADMIN", name, password), text));
    };
    let (who, rest) = word(rest);
    match who {
        "nobody" => Ok((String::new(), rest)),
        "session" => {
            let (token, rest) = word(rest);
            Ok((format!(r#""auth_session":"{token}""#), rest))
        }
        "user" => {
            let (login, rest) = word(rest);
            let (password, rest) = word(rest);
            Ok((pair("NORMAL_USER", login, password), rest))
        }
        who => {
            let known = OPERATORS.iter().find(|(login, ..)| *login == who);
            let (login, password, _) = known.ok_or_else(|| format!("no operator {who}"))?;
            Ok((pair("ADMIN", login, password), rest))
        }
    }
}
