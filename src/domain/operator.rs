//! Who may manage: operators with a login, keys of the APIs, and what each may do.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::time::UnixTime;

/// What somebody may do. Nothing follows from anything else: who may write need not be able to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// See everything but secrets.
    pub read: bool,
    /// Change things.
    pub write: bool,
    /// See subscribers' passwords.
    pub secrets: bool,
}

impl Rights {
    /// All of them.
    pub const ALL: Self = Self { read: true, write: true, secrets: true };

    /// Reads `read,write,secrets` in any order; `None` where a word is unknown or there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rights = Self::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "read" => rights.read = true,
                "write" => rights.write = true,
                "secrets" => rights.secrets = true,
                _ => return None,
            }
        }
        Some(rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.read, "read"), (self.write, "write"), (self.secrets, "secrets")];
        let words: Vec<&str> = words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect();
        f.write_str(&words.join(","))
    }
}

/// Whose subscribers, sessions and plans somebody sees: those of its account and of the accounts below it.
/// What is outside does not exist for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Account 0, `Main`, which all others are below.
    Everything,
    /// The numbers of the accounts, ascending; never empty.
    Accounts(Arc<[i64]>),
}

impl Scope {
    /// Is something of this account inside?
    #[must_use]
    pub fn includes(&self, account: i64) -> bool {
        match self {
            Self::Everything => true,
            Self::Accounts(accounts) => accounts.binary_search(&account).is_ok(),
        }
    }
}

/// Which language of the management APIs somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// mFusion.
    Mfusion,
    /// Antamedia.
    Antamedia,
    /// Jaze.
    Jaze,
    /// IBSng.
    Ibsng,
    /// Ours, of the console.
    Native,
    /// The command line.
    Cli,
}

impl Dialect {
    /// Every dialect with its word in tables.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Mfusion, "mfusion"),
        (Self::Antamedia, "antamedia"),
        (Self::Jaze, "jaze"),
        (Self::Ibsng, "ibsng"),
        (Self::Native, "native"),
        (Self::Cli, "cli"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(dialect, _)| *dialect == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(dialect, _)| *dialect)
    }
}

/// A key of an API. Its secret is known to its owner alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What its owner shows beside the secret.
    pub key_id: SmolStr,
    /// What it opens; `None` is a dialect of a later release, which opens nothing here.
    pub dialect: Option<Dialect>,
    /// What it allows.
    pub rights: Rights,
    /// Name of the account it belongs to.
    pub account: SmolStr,
    /// Off means refused.
    pub enabled: bool,
    /// Raised with every new secret: tokens of an older version are worth nothing.
    pub version: i64,
    /// When it was made.
    pub created: UnixTime,
    /// When it was last shown.
    pub last_used: Option<UnixTime>,
}

/// An operator with a login and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// `tk_admin.id`.
    pub id: i64,
    /// Login.
    pub login: SmolStr,
    /// What it allows.
    pub rights: Rights,
    /// Name of the account it belongs to.
    pub account: SmolStr,
    /// Locked means refused.
    pub locked: bool,
    /// When it was made.
    pub created: UnixTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_an_account_and_what_is_below_it() {
        let some = Scope::Accounts([3, 7].into());
        assert_eq!([3, 5, 7].map(|account| some.includes(account)), [true, false, true]);
        assert!(Scope::Everything.includes(5));
    }

    #[test]
    fn rights_are_words() {
        assert_eq!(Rights::parse("read,write,secrets"), Some(Rights::ALL));
        assert_eq!(Rights::parse("secrets"), Some(Rights { secrets: true, ..Rights::default() }));
        assert_eq!(Rights::parse(""), None);
        assert_eq!(Rights::parse("read,root"), None);
        assert_eq!(Rights::parse("write, read").unwrap().to_string(), "read,write");
    }
}
