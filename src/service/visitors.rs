//! Who comes in with a name and a password, and the sessions that stand for them afterwards.
//!
//! Passwords of operators are hashed slowly on purpose. A client that shows one with every request would
//! pay for that every time: what was right a moment ago is remembered as a keyed digest of the stored hash and
//! the password, which a changed password does not fit.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::error::{Denial, ServiceError};
use super::gate::{ManagementGate, Pass, digest, switched_on, verify};
use super::management::Management;
use super::numbered::CustomerError;
use super::own_account::OwnAccount;
use crate::domain::customer::NamedBy;
use crate::domain::operator::{Dialect, Rights, Scope};
use crate::engine::password::{Comparison, StoredPassword};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::store::{ApiSession, OperatorSecret, Place};

/// Somebody who has been let in.
pub enum Visitor<'g> {
    /// An operator, and its number.
    Operator(Management<'g>, i64),
    /// A subscriber, for its own account.
    Subscriber(OwnAccount<'g>),
}

/// What a name is that of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visiting {
    /// An operator's.
    Operator,
    /// A subscriber's login.
    Subscriber,
    /// A subscriber's login of a telephone service.
    Telephone,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisitError {
    /// Nobody has that name.
    Nobody,
    /// The password is another.
    WrongPassword,
    /// It is locked, or its account is switched off.
    Locked,
    /// Anything else.
    Service(ServiceError),
}

impl From<ServiceError> for VisitError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<crate::store::StoreError> for VisitError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// A session that was resumed.
pub struct Resumed<'g> {
    /// Whose it is.
    pub visitor: Visitor<'g>,
    /// Its name when the session began.
    pub login: String,
}

/// A session that is not used for so long is over: seconds.
const IDLE_MAX: u64 = 30 * 60;
/// How late it may be noted that a session was used: seconds.
const USE_NOTED_EVERY: u64 = 60;
/// Characters of a session's token: more than 120 bits.
const TOKEN_LENGTH: usize = 24;
const TOKEN_LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

impl ManagementGate {
    /// Lets somebody in by name and password.
    ///
    /// # Errors
    /// What is wrong with them: this dialect tells.
    pub async fn visit(
        &self,
        dialect: Dialect,
        visiting: Visiting,
        name: &str,
        password: &str,
        remote: &str,
    ) -> Result<Visitor<'_>, VisitError> {
        if name.contains('\0') {
            return Err(VisitError::Nobody);
        }
        match visiting {
            Visiting::Operator => {
                let found = self.inner().store.operator(name).await?.ok_or(VisitError::Nobody)?;
                if !self.is_right(&found.password_hash, password).await {
                    return Err(VisitError::WrongPassword);
                }
                self.operator(dialect, found, remote)
            }
            Visiting::Subscriber => {
                let own = self.own(dialect, NamedBy::Login, name, remote).await?.ok_or(VisitError::Nobody)?;
                let stored = self.inner().store.customers(&[own.id()], true).await?;
                let rows = stored.iter().flat_map(|customer| &customer.check);
                let mut right = false;
                for row in rows {
                    right |= match StoredPassword::read(&row.attribute, &row.value)
                        .map(|stored| stored.compare(password.as_bytes()))
                    {
                        Some(Comparison::Right) => true,
                        Some(Comparison::Slow(check)) => {
                            tokio::task::spawn_blocking(move || check.verify()).await.unwrap_or(false)
                        }
                        Some(Comparison::Wrong | Comparison::Unservable(_)) | None => false,
                    };
                }
                if right { Ok(Visitor::Subscriber(own)) } else { Err(VisitError::WrongPassword) }
            }
            Visiting::Telephone => match self.own(dialect, NamedBy::Voip, name, remote).await? {
                // No password of a telephone service is kept.
                Some(_) => Err(VisitError::WrongPassword),
                None => Err(VisitError::Nobody),
            },
        }
    }

    /// Begins a session; gives its token.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn begin_session(
        &self,
        dialect: Dialect,
        visitor: &Visitor<'_>,
        name: &str,
        remote: &str,
    ) -> Result<String, ServiceError> {
        let now = self.inner().clock.now().unix;
        let (is_operator, principal) = match visitor {
            Visitor::Operator(_, number) => (true, *number),
            Visitor::Subscriber(own) => (false, own.id()),
        };
        let token = token();
        let session = ApiSession { is_operator, principal, login: name.into(), seen: now };
        let stale = now.minus(IDLE_MAX);
        self.inner().store.add_api_session(&digest(&token), dialect, &session, remote, stale).await?;
        Ok(token)
    }

    /// Whose session a token is, if it is one that has not ended and whose owner is still there.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn resume_session(
        &self,
        dialect: Dialect,
        token: &str,
        remote: &str,
    ) -> Result<Option<Resumed<'_>>, ServiceError> {
        let hash = digest(token);
        let now = self.inner().clock.now().unix;
        let Some(session) = self.inner().store.api_session(&hash, dialect).await? else { return Ok(None) };
        if now.since(session.seen) >= IDLE_MAX {
            return Ok(None);
        }
        let login = session.login.to_string();
        let visitor = if session.is_operator {
            let found = self.inner().store.operator(&login).await?;
            let Some(found) = found.filter(|found| found.operator.id == session.principal) else {
                return Ok(None);
            };
            match self.operator(dialect, found, remote) {
                Ok(visitor) => visitor,
                Err(VisitError::Service(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        } else {
            match self.own(dialect, NamedBy::Number, &session.principal.to_string(), remote).await {
                Ok(Some(own)) => Visitor::Subscriber(own),
                Ok(None) => return Ok(None),
                Err(VisitError::Service(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        };
        if now.since(session.seen) >= USE_NOTED_EVERY {
            self.inner().store.api_session_used(&hash, now).await?;
        }
        Ok(Some(Resumed { visitor, login }))
    }

    /// Ends a session; `false` where there is none.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn end_session(&self, token: &str) -> Result<bool, ServiceError> {
        Ok(self.inner().store.end_api_session(&digest(token)).await?)
    }

    fn operator(
        &self,
        dialect: Dialect,
        found: OperatorSecret,
        remote: &str,
    ) -> Result<Visitor<'_>, VisitError> {
        let OperatorSecret { operator, place, .. } = found;
        if operator.locked {
            return Err(VisitError::Locked);
        }
        let Place { scope, zone, .. } = match switched_on(place) {
            Ok(place) => place,
            Err(ServiceError::Denied(Denial::Disabled)) => return Err(VisitError::Locked),
            Err(other) => return Err(other.into()),
        };
        let zone = TimeZone::get(&zone).ok();
        let pass = Pass { name: operator.login.to_string(), dialect, rights: operator.rights, scope, zone };
        Ok(Visitor::Operator(self.management(pass, remote), operator.id))
    }

    async fn own(
        &self,
        dialect: Dialect,
        by: NamedBy,
        name: &str,
        remote: &str,
    ) -> Result<Option<OwnAccount<'_>>, VisitError> {
        // What it does it does in its own name; `OwnAccount` lets it reach nothing but itself.
        let rights = Rights { read: true, write: true, secrets: false };
        let pass = Pass { name: name.to_owned(), dialect, rights, scope: Scope::Everything, zone: None };
        let management = self.management(pass, remote);
        match management.customer_numbers(by, &[name.to_owned()]).await {
            Ok(ids) => Ok(ids.first().map(|id| OwnAccount::new(management, *id))),
            Err(CustomerError::Obstacle(_)) => Ok(None),
            Err(CustomerError::Service(error)) => Err(error.into()),
        }
    }

    /// Is this the password that was hashed? Off the runtime's threads, unless it was right of late.
    async fn is_right(&self, hash: &str, password: &str) -> bool {
        let known = &self.inner().passwords;
        let fingerprint = known.fingerprint(hash, password);
        if known.knows(&fingerprint) {
            return true;
        }
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let right = tokio::task::spawn_blocking(move || verify(&hash, &password)).await.unwrap_or(false);
        if right {
            known.learn(fingerprint);
        }
        right
    }
}

/// A random token.
fn token() -> String {
    let mut token = String::with_capacity(TOKEN_LENGTH);
    let mut octets = [0; 64];
    while token.len() < TOKEN_LENGTH {
        SystemEntropy.fill(&mut octets);
        // 252 is the last multiple of 36.
        let letters = octets
            .iter()
            .filter(|octet| **octet < 252)
            .filter_map(|octet| TOKEN_LETTERS.get(usize::from(octet % 36)));
        token.extend(letters.map(|letter| char::from(*letter)).take(TOKEN_LENGTH - token.len()));
    }
    token
}

/// Passwords that were right of late. All clones are one.
#[derive(Clone)]
pub(super) struct Passwords {
    key: [u8; 32],
    known: Arc<DashMap<[u8; 32], ()>>,
}

/// Passwords that are remembered.
const PASSWORDS_MAX: usize = 1_024;

impl Passwords {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        SystemEntropy.fill(&mut key);
        Self { key, known: Arc::default() }
    }

    fn fingerprint(&self, hash: &str, password: &str) -> [u8; 32] {
        let length = u64::try_from(hash.len()).unwrap_or(u64::MAX).to_be_bytes();
        let parts: [&[u8]; 4] = [&self.key, &length, hash.as_bytes(), password.as_bytes()];
        parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize().into()
    }

    fn knows(&self, fingerprint: &[u8; 32]) -> bool {
        self.known.contains_key(fingerprint)
    }

    fn learn(&self, fingerprint: [u8; 32]) {
        if self.known.len() >= PASSWORDS_MAX {
            self.known.clear();
        }
        self.known.insert(fingerprint, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_plain() {
        let one = token();
        assert_eq!(one.len(), 24);
        assert!(one.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit()), "{one}");
        assert_ne!(one, token());
    }

    #[test]
    fn a_password_is_remembered_with_its_hash() {
        let known = Passwords::new();
        known.learn(known.fingerprint("hash", "password"));
        assert!(known.knows(&known.fingerprint("hash", "password")));
        assert!(!known.knows(&known.fingerprint("other", "password")));
        assert!(!known.knows(&known.fingerprint("hashp", "assword")));
    }
}
