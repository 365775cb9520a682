//! Pieces of a text with the values of their placeholders.

use crate::domain::report::Span;
use crate::store::StoreError;
use crate::store::admin::tx::{Bind, Tx};
use crate::store::db::Columns;

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
}

/// A piece of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Clause {
    text: String,
    values: Vec<Value>,
}

impl Clause {
    /// A piece and its values, in the order of its placeholders.
    pub(super) fn new(text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { text: text.into(), values: values.into_iter().collect() }
    }

    /// What is always so.
    pub(super) fn always() -> Self {
        Self::default()
    }

    /// What is never so.
    pub(super) fn never() -> Self {
        Self::new("1 = 0", [])
    }

    /// The expression is one of these texts.
    pub(super) fn one_of(expression: &str, texts: &[String]) -> Self {
        let values = texts.iter().cloned().map(Value::Text);
        match texts.len() {
            0 => Self::never(),
            1 => Self::new(format!("{expression} = ?"), values),
            count => Self::new(format!("{expression} IN ({})", vec!["?"; count].join(", ")), values),
        }
    }

    /// The column lies in a span of time; `value` makes a column's value of a placeholder of seconds.
    pub(super) fn within(column: &str, value: &str, span: Span) -> Self {
        let mut clause = Self::always();
        for (operator, end) in [(">=", span.from), ("<", span.until)] {
            if let Some(end) = end {
                clause = clause.and(Self::new(format!("{column} {operator} {value}"), [Value::Int(end.0)]));
            }
        }
        clause
    }

    /// It asks for nothing.
    pub(super) fn is_always(&self) -> bool {
        self.text.is_empty()
    }

    /// Both.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        if self.text.is_empty() {
            return other;
        }
        if !other.text.is_empty() {
            self.text.push_str(" AND ");
            self.text.push_str(&other.text);
            self.values.extend(other.values);
        }
        self
    }

    /// This, then `text`.
    #[must_use]
    pub(super) fn then(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// This, then `other` as it is.
    #[must_use]
    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
        self
    }

    /// ` WHERE` this, if it asks for anything.
    #[must_use]
    pub(super) fn filter(self) -> Self {
        if self.is_always() { self } else { Self::new(" WHERE ", []).followed_by(self) }
    }

    /// Fetches all rows and reads each.
    pub(super) async fn fetch<T>(
        &self,
        tx: &mut Tx<'_>,
        table: &'static str,
        read: impl Fn(&dyn Columns) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let binds: Vec<Bind<'_>> = self
            .values
            .iter()
            .map(|value| match value {
                Value::Text(text) => Bind::Text(text),
                Value::Int(number) => Bind::Int(*number),
            })
            .collect();
        tx.fetch(table, &self.text, &binds, read).await
    }

    /// The only number of the only row, if there is one.
    pub(super) async fn number(
        &self,
        tx: &mut Tx<'_>,
        table: &'static str,
    ) -> Result<Option<i64>, StoreError> {
        Ok(self.fetch(tx, table, |row| row.int(0)).await?.into_iter().next().flatten())
    }

    /// The numbers of all rows.
    pub(super) async fn numbers(&self, tx: &mut Tx<'_>, table: &'static str) -> Result<Vec<i64>, StoreError> {
        self.fetch(tx, table, |row| row.number(0)).await
    }
}
