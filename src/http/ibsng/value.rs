//! What both envelopes carry: the values of a request and of an answer, members in their order.

use std::fmt;
use std::sync::Arc;

use tokio::sync::SemaphorePermit;

/// A value of JSON or XML-RPC.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing: as a parameter the same as an absent one; as an answer of XML-RPC the empty text.
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no 64-bit integer, as JSON writes it.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// A list whose values are made when they are written.
    Rows(Rows),
}

/// The rows of a report. Each is made a value when it is written, one after the other: as values a row takes
/// some kilobytes, and there may be a hundred thousand.
#[derive(Clone)]
pub(super) struct Rows(Arc<dyn ShownRows + Send + Sync>);

trait ShownRows {
    fn row(&self, place: usize) -> Option<Value>;
}

struct Shown<T, F> {
    rows: Vec<T>,
    show: F,
    /// Given back when they are written.
    _room: Option<SemaphorePermit<'static>>,
}

impl<T, F: Fn(&T) -> Value> ShownRows for Shown<T, F> {
    fn row(&self, place: usize) -> Option<Value> {
        self.rows.get(place).map(&self.show)
    }
}

impl Rows {
    /// Rows, the room that they take, and what makes each of them a value.
    pub(super) fn new<T: Send + Sync + 'static>(
        rows: Vec<T>,
        room: Option<SemaphorePermit<'static>>,
        show: impl Fn(&T) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shown { rows, show, _room: room }))
    }

    /// The values in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value> {
        (0..).map_while(|place| self.0.row(place))
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Value {
    /// Text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number from its digits: an integer where it is one, however it was written.
    pub(super) fn number(text: String) -> Self {
        text.parse().map_or_else(|_| Self::Number(text), Self::Int)
    }

    /// The answer of a method that has nothing to say.
    pub(super) const fn nothing() -> Self {
        Self::Text(String::new())
    }

    /// A count as an integer.
    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A count as text, which is how the positional arrays have theirs.
    pub(super) fn count_text(count: u64) -> Self {
        Self::Text(count.to_string())
    }

    /// An object.
    pub(super) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A member of an object; of several with one name the last, as Python reads them.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => {
                members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<Self>> for Value {
    fn from(values: Vec<Self>) -> Self {
        Self::List(values)
    }
}
