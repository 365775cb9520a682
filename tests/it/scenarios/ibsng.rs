//! Callers of the IBSng API: a method with its parameters, and what its result must be like.

use tollkeeper::domain::operator::Rights;
use tollkeeper::entropy::SystemEntropy;

use super::script::word;
use super::world::World;

/// Operators that are there from the beginning, with their passwords and rights.
const OPERATORS: [(&str, &str, &str); 3] =
    [("system", "sys", "read,write,secrets"), ("editor", "edit", "read,write"), ("reader", "look", "read")];

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
        let (call, expected) = text.split_once(" => ").ok_or("ibsng METHOD {…} => RESULT")?;
        let (auth, call) = credentials(call)?;
        let (method, params) = word(call);
        let inside = params.trim().strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
        let inside = inside.ok_or("parameters are {…}")?.trim();
        let comma = if inside.is_empty() || auth.is_empty() { "" } else { "," };
        let body = format!(r#"{{"method":"{method}","params":{{{auth}{comma}{inside}}}}}"#);
        let pattern = match expected.strip_prefix("fault ") {
            Some(fault) => format!(r#"{{"id":null,"result":null,"error":"{}"}}"#, fault.trim()),
            None => format!(r#"{{"id":null,"result":{},"error":null}}"#, expected.trim()),
        };
        self.http(&format!("ibsng POST / {body} => 200 {pattern}")).await
    }
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
