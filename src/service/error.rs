//! Why the management service does not do what it is asked.

use crate::store::StoreError;

/// The caller's mistake, or ours; each dialect has its own code for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// `subscriber`, `plan`, `nas` …
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// There is one of that name already.
    #[error("{what} {name} exists already")]
    Exists {
        /// `subscriber`, `plan`, `NAS` …
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something stands in the way.
    #[error("{reason}")]
    Conflict {
        /// For people.
        reason: String,
    },
    /// A value cannot be.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// Why not; never a secret.
        reason: String,
    },
    /// The credential is wrong, or does not carry the right.
    #[error("{0}")]
    Denied(Denial),
    /// The database is away, or we made a mistake; the detail is in the log.
    #[error("the database cannot be used: {reason}")]
    Unavailable {
        /// For the log and the command line, never for an API.
        reason: String,
    },
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No such key or login, or the wrong secret: which of them is not said.
    #[error("the credential is wrong")]
    Credential,
    /// The credential is right, and it or its account is switched off.
    #[error("access is switched off")]
    Disabled,
    /// The right `read` is missing.
    #[error("the right to read is missing")]
    Read,
    /// The right `write` is missing.
    #[error("the right to write is missing")]
    Write,
    /// The right `secrets` is missing.
    #[error("the right to see secrets is missing")]
    Secrets,
}

impl ServiceError {
    pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    pub(super) fn not_found(what: &'static str, name: &str) -> Self {
        Self::NotFound { what, name: name.to_owned() }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { reason } => Self::Conflict { reason },
            other => Self::Unavailable { reason: other.to_string() },
        }
    }
}
