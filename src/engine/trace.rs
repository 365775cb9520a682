//! What each step of a decision said, for `explain`. The decision is the same for a login, which has
//! nobody watch: then nothing of this is computed.

use smol_str::SmolStr;

use super::access::{Denial, Grant};
use crate::domain::RejectReason;

/// The steps of a decision in their order (domain model §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The status of the subscriber and its account; `Auth-Type := Reject`.
    Status,
    /// What is stored to prove who it is, and the methods it serves.
    Credentials,
    /// Check rows that compare with the request, and bindings.
    Conditions,
    /// From when and until when it may be used, and at what times of the week.
    Validity,
    /// Time and volume that are left.
    Quotas,
    /// Credit that is left, and the rule that charges it.
    Credit,
    /// Places of Simultaneous-Use.
    Places,
    /// What the Accept carries.
    Reply,
}

impl Step {
    /// Every step with its word.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Status, "status"),
        (Self::Credentials, "credentials"),
        (Self::Conditions, "conditions"),
        (Self::Validity, "validity"),
        (Self::Quotas, "quotas"),
        (Self::Credit, "credit"),
        (Self::Places, "places"),
        (Self::Reply, "reply"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }
}

/// What a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It let the login through.
    Passed,
    /// It lets the login through for a time, or with less.
    Limits,
    /// It refuses the login.
    Refused(RejectReason),
}

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// At which step.
    pub step: Step,
    /// What it did.
    pub said: Said,
    /// The rule: a row in words, a column, or what is so by default.
    pub rule: SmolStr,
    /// What came of it here and now, for people.
    pub detail: String,
    /// It is the one that decides: the refusal, or what ends the session first.
    pub decides: bool,
}

/// Watches a decision being made.
pub(super) trait Witness {
    /// The decision comes to a step.
    fn at(&mut self, step: Step);

    /// A rule was looked at: the rule, and what came of it.
    fn saw(&mut self, said: Said, what: impl FnOnce() -> (SmolStr, String));
}

/// Nobody watches.
pub(super) struct Unseen;

impl Witness for Unseen {
    #[inline]
    fn at(&mut self, _: Step) {}

    #[inline]
    fn saw(&mut self, _: Said, _: impl FnOnce() -> (SmolStr, String)) {}
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Trace {
    step: Step,
    seen: Vec<Seen>,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self { step: Step::Status, seen: Vec::new() }
    }

    /// The whole story, once it is known how it ended.
    pub(super) fn end(mut self, outcome: &Result<Grant<'_>, Denial>) -> Vec<Seen> {
        match outcome {
            Err(Denial { reason, rule }) => self.seen.push(Seen {
                step: self.step,
                said: Said::Refused(*reason),
                rule: rule.clone(),
                detail: reason.key().to_owned(),
                decides: true,
            }),
            Ok(grant) => {
                let limit = grant.session_timeout.as_ref().and_then(|(_, rule)| {
                    self.seen.iter_mut().find(|seen| seen.said == Said::Limits && seen.rule == *rule)
                });
                let decides = match limit {
                    Some(limit) => Some(limit),
                    None => self.seen.last_mut(),
                };
                if let Some(decides) = decides {
                    decides.decides = true;
                }
            }
        }
        self.seen
    }
}

impl Witness for Trace {
    fn at(&mut self, step: Step) {
        self.step = step;
    }

    fn saw(&mut self, said: Said, what: impl FnOnce() -> (SmolStr, String)) {
        let (rule, detail) = what();
        self.seen.push(Seen { step: self.step, said, rule, detail, decides: false });
    }
}
