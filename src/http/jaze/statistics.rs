//! E36: the lines that a Status-Server query to a FreeRADIUS server prints (RFC 5997), with this server's
//! own counters.

use std::collections::HashMap;

/// Which counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Authentication,
    Accounting,
}

/// What was counted, by the name of the metric and its labels without the NAS.
#[derive(Debug, Default)]
pub(super) struct Counters(HashMap<String, u64>);

impl Counters {
    /// Adds up the lines of the text of `/metrics`: those of all NASes are one sum.
    pub(super) fn read(text: &str) -> Self {
        let mut sums: HashMap<String, u64> = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
                let label = label.trim_end_matches('"').replace("=\"", "=");
                let sum = sums.entry(format!("{name} {label}")).or_default();
                *sum = sum.saturating_add(value);
            }
        }
        Self(sums)
    }

    fn of(&self, metric: &str, label: &str, value: &str) -> u64 {
        self.0.get(&format!("{metric} {label}={value}")).copied().unwrap_or(0)
    }
}

const REQUESTS: &str = "tollkeeper_requests_total";
const REPLIES: &str = "tollkeeper_replies_total";
const DISCARDS: &str = "tollkeeper_discards_total";

/// The lines. `identifier` is what the query had.
pub(super) fn lines(kind: Kind, counters: &Counters, identifier: u8) -> Vec<String> {
    let (word, port, wanted) = match kind {
        Kind::Authentication => ("Authentication", 18_121, AUTHENTICATION),
        Kind::Accounting => ("Accounting", 18_121, ACCOUNTING),
    };
    let mut lines = vec![
        format!("Sent Status-Server Id {identifier} from 0.0.0.0:33995 to 127.0.0.1:{port} length 50"),
        "Message-Authenticator = 0x00".to_owned(),
        format!("Statistics-Type = {word}"),
        "Response-Packet-Type = Access-Accept".to_owned(),
        format!(
            "Received Access-Accept Id {identifier} from 127.0.0.1:{port} to 127.0.0.1:33995 length {}",
            20 + 12 * wanted.len()
        ),
    ];
    for (name, sources) in wanted {
        let sum = sources.iter().map(|(metric, label, value)| counters.of(metric, label, value));
        lines.push(format!("{name} = {}", sum.fold(0_u64, u64::saturating_add)));
    }
    lines
}

type Source = (&'static str, &'static str, &'static str);

const AUTHENTICATION: &[(&str, &[Source])] = &[
    ("Total-Access-Requests", &[(REQUESTS, "code", "access_request")]),
    ("Total-Access-Accepts", &[(REPLIES, "code", "access_accept")]),
    ("Total-Access-Rejects", &[(REPLIES, "code", "access_reject")]),
    ("Total-Access-Challenges", &[(REPLIES, "code", "access_challenge")]),
    (
        "Total-Auth-Responses",
        &[
            (REPLIES, "code", "access_accept"),
            (REPLIES, "code", "access_reject"),
            (REPLIES, "code", "access_challenge"),
        ],
    ),
    ("Total-Auth-Duplicate-Requests", &[]),
    ("Total-Auth-Malformed-Requests", &[(DISCARDS, "reason", "malformed")]),
    (
        "Total-Auth-Invalid-Requests",
        &[(DISCARDS, "reason", "authenticator"), (DISCARDS, "reason", "message_authenticator")],
    ),
    ("Total-Auth-Dropped-Requests", &[(DISCARDS, "reason", "overloaded")]),
    ("Total-Auth-Unknown-Types", &[]),
];

const ACCOUNTING: &[(&str, &[Source])] = &[
    ("Total-Accounting-Requests", &[(REQUESTS, "code", "accounting_request")]),
    ("Total-Accounting-Responses", &[(REPLIES, "code", "accounting_response")]),
    ("Total-Acct-Duplicate-Requests", &[]),
    ("Total-Acct-Malformed-Requests", &[(DISCARDS, "reason", "malformed")]),
    (
        "Total-Acct-Invalid-Requests",
        &[(DISCARDS, "reason", "authenticator"), (DISCARDS, "reason", "message_authenticator")],
    ),
    ("Total-Acct-Dropped-Requests", &[(DISCARDS, "reason", "overloaded")]),
    ("Total-Acct-Unknown-Types", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_nases_are_one_sum() {
        let text = "# HELP tollkeeper_requests_total x\n\
            tollkeeper_requests_total{code=\"access_request\",nas=\"a\"} 3\n\
            tollkeeper_requests_total{code=\"access_request\",nas=\"b\"} 1\n\
            tollkeeper_replies_total{code=\"access_accept\",nas=\"a\"} 2\n\
            tollkeeper_replies_total{code=\"access_reject\",nas=\"a\"} 1\n\
            tollkeeper_discards_total{reason=\"malformed\",nas=\"\"} 7\n\
            tollkeeper_commit_duration_seconds_sum 0.25\n";
        let lines = lines(Kind::Authentication, &Counters::read(text), 121);
        assert_eq!(lines.len(), 15);
        assert_eq!(lines[0], "Sent Status-Server Id 121 from 0.0.0.0:33995 to 127.0.0.1:18121 length 50");
        assert_eq!(
            lines[4],
            "Received Access-Accept Id 121 from 127.0.0.1:18121 to 127.0.0.1:33995 length 140"
        );
        assert_eq!(
            &lines[5..9],
            [
                "Total-Access-Requests = 4",
                "Total-Access-Accepts = 2",
                "Total-Access-Rejects = 1",
                "Total-Access-Challenges = 0"
            ]
        );
        assert_eq!(lines[9], "Total-Auth-Responses = 3");
        assert_eq!(lines[11], "Total-Auth-Malformed-Requests = 7");
    }
}
