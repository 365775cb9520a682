//! What both envelopes carry: the values of a request and of an answer, members in their order.

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
}

impl Value {
    /// Text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
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
