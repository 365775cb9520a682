//! Operators of the `op` column.

/// An operator as FreeRADIUS has them. What it does depends on the table: a check row compares with the
/// request or sets an item, a reply row edits the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `:=`
    Set,
    /// `=`
    Default,
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `=*`
    Present,
    /// `!*`
    Absent,
}

impl Operator {
    /// Every operator with its spelling.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Set, ":="),
        (Self::Default, "="),
        (Self::Add, "+="),
        (Self::Subtract, "-="),
        (Self::Equal, "=="),
        (Self::NotEqual, "!="),
        (Self::Greater, ">"),
        (Self::AtLeast, ">="),
        (Self::Less, "<"),
        (Self::AtMost, "<="),
        (Self::Matches, "=~"),
        (Self::MatchesNot, "!~"),
        (Self::Present, "=*"),
        (Self::Absent, "!*"),
    ];

    /// Reads the column. Nothing at all is `==`, in reply rows too, as FreeRADIUS takes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::Equal);
        }
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(operator, _)| *operator)
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("==", |(_, text)| text)
    }

    /// In a check row: does it compare with the request? `=` compares as `==` does, and then sets.
    #[must_use]
    pub const fn compares(self) -> bool {
        !matches!(self, Self::Set | Self::Add)
    }
}
