//! The XML-RPC envelope: one struct is the parameters, an error is a fault with code 1.

use std::borrow::Borrow;
use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};

use super::Call;
use super::fault::Fault;
use super::value::Value;

/// Elements of a document, so that what is read stays in proportion to the body.
const NODES_MAX: u32 = 200_000;
/// Values inside values.
const DEPTH_MAX: usize = 64;
/// Elements inside elements: each value takes four.
const TAGS_MAX: usize = 4 * DEPTH_MAX;
/// Octets of a tag.
const TAG_MAX: usize = 256;

/// Reads a call. `None` where it is none: not XML, a document type, unknown types.
pub(super) fn read(body: &[u8]) -> Option<Call> {
    let text = std::str::from_utf8(body).ok()?;
    if !is_plain(text) {
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("methodCall") {
        return None;
    }
    let method = child(root, "methodName")?.text().unwrap_or_default().trim().to_owned();
    let first = child(root, "params").and_then(|params| child(params, "param"));
    let params = match first.map(|param| child(param, "value")) {
        None => Value::Map(Vec::new()),
        Some(given) => value(given?, DEPTH_MAX)?,
    };
    Some(Call { method, params, id: Value::Null })
}

/// May the text be parsed? Elements inside elements cost stack, and attributes are compared with each other;
/// XML-RPC has neither many levels nor long tags. Read once, from its beginning to its end.
fn is_plain(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let end = match after {
            data if data.starts_with("![CDATA[") => "]]>",
            comment if comment.starts_with("!--") => "-->",
            _ => ">",
        };
        let Some((tag, next)) = after.split_once(end) else { return false };
        rest = next;
        if tag.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !tag.starts_with(['?', '!']) {
            depth += usize::from(!tag.ends_with('/'));
            // A quote that does not end here would hide the end of the tag.
            let is_quoted = ['"', '\''].iter().any(|quote| tag.matches(*quote).count() % 2 == 1);
            if depth > TAGS_MAX || tag.len() > TAG_MAX || is_quoted {
                return false;
            }
        }
    }
    true
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn words(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|part| part.text()).collect()
}

fn value(node: Node<'_, '_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    // A value without a type is a text.
    let Some(typed) = node.children().find(Node::is_element) else { return Some(Value::Text(words(node))) };
    let text = words(typed);
    Some(match typed.tag_name().name() {
        "string" | "dateTime.iso8601" | "base64" => Value::Text(text),
        "int" | "i4" | "i8" => Value::Int(text.trim().parse().ok()?),
        "boolean" => match text.trim() {
            "1" => Value::Bool(true),
            "0" => Value::Bool(false),
            _ => return None,
        },
        "double" => {
            let number: f64 = text.trim().parse().ok()?;
            if !number.is_finite() {
                return None;
            }
            Value::number(number.to_string())
        }
        "nil" => Value::Null,
        "array" => {
            let data = child(typed, "data")?;
            let values = data.children().filter(Node::is_element).map(|item| value(item, depth));
            Value::List(values.collect::<Option<_>>()?)
        }
        "struct" => {
            let members = typed.children().filter(Node::is_element).map(|member| {
                let name = words(child(member, "name")?);
                Some((name, value(child(member, "value")?, depth)?))
            });
            Value::Map(members.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Writes an answer.
pub(super) fn write(answer: &Result<Value, Fault>) -> String {
    let mut text = String::from("<?xml version='1.0'?>\n<methodResponse>\n");
    match answer {
        Ok(result) => {
            text.push_str("<params>\n<param>\n");
            put(&mut text, result);
            text.push_str("</param>\n</params>\n");
        }
        Err(fault) => {
            text.push_str("<fault>\n");
            let told =
                Value::map([("faultCode", Value::Int(1)), ("faultString", Value::Text(fault.to_string()))]);
            put(&mut text, &told);
            text.push_str("</fault>\n");
        }
    }
    text.push_str("</methodResponse>\n");
    text
}

fn put(text: &mut String, value: &Value) {
    text.push_str("<value>");
    match value {
        // XML-RPC has no nothing.
        Value::Null => text.push_str("<string></string>"),
        Value::Bool(yes) => {
            let _ = write!(text, "<boolean>{}</boolean>", u8::from(*yes));
        }
        Value::Int(number) => {
            // The integers of XML-RPC have 32 bits.
            let kind = if i32::try_from(*number).is_ok() { "int" } else { "string" };
            let _ = write!(text, "<{kind}>{number}</{kind}>");
        }
        Value::Number(number) => {
            let _ = write!(text, "<double>{number}</double>");
        }
        Value::Text(words) => {
            text.push_str("<string>");
            escape(text, words);
            text.push_str("</string>");
        }
        Value::List(values) => put_list(text, values.iter()),
        Value::Rows(rows) => put_list(text, rows.iter()),
        Value::Map(members) => {
            text.push_str("<struct>\n");
            for (name, value) in members {
                text.push_str("<member>\n<name>");
                escape(text, name);
                text.push_str("</name>\n");
                put(text, value);
                text.push_str("</member>\n");
            }
            text.push_str("</struct>");
        }
    }
    text.push_str("</value>\n");
}

fn put_list(text: &mut String, values: impl Iterator<Item = impl Borrow<Value>>) {
    text.push_str("<array><data>\n");
    for value in values {
        put(text, value.borrow());
    }
    text.push_str("</data></array>");
}

/// Escapes a text; characters that no XML document may have are left out.
fn escape(text: &mut String, words: &str) {
    for letter in words.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                text.push(letter)
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::texts;
    use super::*;

    #[test]
    fn a_call_of_a_php_client_is_read() {
        let body = br#"<?xml version="1.0" encoding="utf-8"?><methodCall><methodName>user.searchUser</methodName>
            <params><param><value><struct>
            <member><name>auth_name</name><value><string>a &amp; b</string></value></member>
            <member><name>from</name><value><int>0</int></value></member>
            <member><name>desc</name><value><boolean>1</boolean></value></member>
            <member><name>credit</name><value><double>0.5</double></value></member>
            <member><name>whole</name><value><double>1.e5</double></value></member>
            <member><name>bare</name><value xml:space="preserve">text</value></member>
            <member><name>open</name><value><![CDATA[<a><b> "]]></value></member>
            <member><name>none</name><value/></member>
            <member><name>conds</name><value><struct><member><name>0</name><value>x</value></member></struct></value></member>
            <member><name>list</name><value><array><data><value><i4>-7</i4></value><value><string><![CDATA[<x>]]></string></value></data></array></value></member>
            </struct></value></param></params></methodCall>"#;
        let call = read(body).unwrap();
        assert_eq!(call.method, "user.searchUser");
        let get = |name: &str| call.params.get(name).cloned().unwrap();
        assert_eq!(get("auth_name"), "a & b".into());
        assert_eq!((get("from"), get("desc")), (Value::Int(0), Value::Bool(true)));
        assert_eq!((get("credit"), get("bare")), (Value::Number("0.5".into()), "text".into()));
        assert_eq!(get("whole"), Value::Int(100_000));
        assert_eq!(get("none"), "".into());
        assert_eq!(get("conds"), Value::map([("0", "x".into())]));
        assert_eq!(get("list"), Value::List(vec![Value::Int(-7), "<x>".into()]));
        assert_eq!(
            read(b"<methodCall><methodName>a.b</methodName></methodCall>").unwrap().params,
            Value::Map(vec![])
        );
    }

    #[test]
    fn what_is_no_call_is_none() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><methodCall><methodName>&b;</methodName></methodCall>";
        let wrong = |inside: &str| {
            format!(
                "<methodCall><methodName>a.b</methodName><params><param><value>{inside}</value></param></params></methodCall>"
            )
        };
        for body in [
            "",
            "x",
            "{}",
            "<a/>",
            "<methodCall/>",
            bomb,
            &wrong("<int>x</int>"),
            &wrong("<boolean>2</boolean>"),
            &wrong("<double>nan</double>"),
            &wrong("<blob/>"),
            &wrong("<array/>"),
            &wrong("<struct><member/></struct>"),
            &wrong("<int>99999999999999999999</int>"),
            &wrong("<double>1e999</double>"),
            &wrong("<string a=\"/>\">x</string>"),
            &wrong("<string>&lol;</string>"),
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        assert_eq!(read(b"\xff"), None);
        let deep = wrong(&format!(
            "{}{}",
            "<array><data><value>".repeat(20_000),
            "</value></data></array>".repeat(20_000)
        ));
        assert_eq!(read(deep.as_bytes()), None);
        for part in ["<a>", "</<a", "<", "<a/", "<!", "<![CDATA[", "<!--", "<?", "&", "&#9;", "<!DOCTYPE"] {
            assert_eq!(read(part.repeat(1_000_000 / part.len()).as_bytes()), None, "{part}");
        }
        let names: String = (0..50_000).map(|number| format!(" a{number}=\"\"")).collect();
        assert_eq!(read(format!("<methodCall{names}/>").as_bytes()), None);
        let many = wrong(&format!("<array><data>{}</data></array>", "<value/>".repeat(100_000)));
        assert!(
            read(many.as_bytes())
                .is_some_and(|call| matches!(call.params, Value::List(all) if all.len() == 100_000))
        );
    }

    /// Each element would have the namespaces of all around it.
    #[test]
    fn many_namespaces_are_no_call_and_one_is() {
        let namespaces: String = (0..30_000).map(|n| format!("<a xmlns:n{n}='{n}'>")).collect();
        assert_eq!(read(format!("<methodCall>{namespaces}").as_bytes()), None);
        let apache = br#"<methodCall xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"><!-- a=b --><methodName>a.b</methodName></methodCall>"#;
        assert_eq!(read(apache).map(|call| call.method).as_deref(), Some("a.b"));
    }

    #[test]
    fn an_answer_is_a_response_or_a_fault() {
        let fault = write(&Err(texts::ACCESS_DENIED.plain()));
        assert!(
            fault.contains(
                "<name>faultString</name>\n<value><string>ACCESS_DENIED|Access Denied</string></value>"
            ),
            "{fault}"
        );
        assert!(fault.contains("<name>faultCode</name>\n<value><int>1</int></value>"), "{fault}");
        let result = Value::List(vec![
            Value::Int(12),
            Value::Int(1 << 40),
            Value::Null,
            Value::Bool(false),
            Value::Number("0.5".into()),
            "<\u{1}\r>&".into(),
        ]);
        let text = write(&Ok(result));
        for part in [
            "<int>12</int>",
            "<string>1099511627776</string>",
            "<string></string>",
            "<boolean>0</boolean>",
            "<double>0.5</double>",
            "<string>&lt;&#13;&gt;&amp;</string>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let back = Document::parse(&text).unwrap();
        assert!(back.root_element().has_tag_name("methodResponse"));
    }
}
