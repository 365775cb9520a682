//! Where operators come in: what somebody shows becomes a [`Management`], rights as a value.
//!
//! A secret of a key is random and long, so its digest is kept; a password of an operator is neither, so
//! a slow hash is. Tokens stand for a key for a while: they name it and its version and are signed, and
//! each is worth something only as long as the table has that key, switched on, in that version.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::{Argon2, PasswordVerifier as _};
use jiff::tz::TimeZone;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::coa::{Coa, WeakCoa};
use super::error::{Denial, ServiceError};
use super::management::Management;
use super::visitors::Passwords;
use crate::domain::operator::{Dialect, Rights, Scope};
use crate::domain::{Channel, Nas};
use crate::engine;
use crate::packs::Packs;
use crate::radius::Secret;
use crate::radius::dictionary::Dictionary;
use crate::store::{KeySecret, Place, Store};
use crate::time::{Clock, UnixTime};

/// Where operators come in. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ManagementGate(Arc<Gate>);

#[derive(Clone)]
pub(super) struct Gate {
    pub(super) store: Store,
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) engine: engine::Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) packs: Arc<Packs>,
    pub(super) configured: Vec<Nas>,
    /// Passwords of operators that were right of late.
    pub(super) passwords: Passwords,
    /// Of the server beside it, once there is one.
    coa: Arc<OnceLock<WeakCoa>>,
    /// Once somebody knows it.
    tokens: Arc<OnceLock<TokenKey>>,
    passphrase: Option<Passphrase>,
    gateways: Vec<Channel>,
}

impl Gate {
    /// Is there a way to send through this channel?
    pub(super) fn has_gateway(&self, channel: Channel) -> bool {
        self.gateways.contains(&channel)
    }
}

/// What somebody shows to be let in.
#[derive(Clone, Copy)]
pub enum OperatorCredential<'a> {
    /// A key of an API.
    Key {
        /// Which API is spoken.
        dialect: Dialect,
        /// The part that is not secret.
        key_id: &'a str,
        /// The part that is.
        secret: &'a str,
    },
    /// What [`ManagementGate::issue`] gave for a key.
    Token {
        /// Which API is spoken.
        dialect: Dialect,
        /// The token.
        token: &'a str,
    },
    /// The one passphrase of a dialect that knows neither keys nor logins.
    Passphrase {
        /// Which API is spoken.
        dialect: Dialect,
        /// What was sent.
        passphrase: &'a str,
    },
    /// A login of an operator.
    Login {
        /// Which API is spoken.
        dialect: Dialect,
        /// Login.
        login: &'a str,
        /// Password.
        password: &'a str,
    },
}

/// A token just made.
#[derive(Clone)]
pub struct Issued {
    /// What is to be shown instead of the key.
    pub token: String,
    /// When it ends.
    pub expires: UnixTime,
    /// The zone in which its owner reads dates.
    pub zone: TimeZone,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Who is let in, and as what.
pub(super) struct Pass {
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) rights: Rights,
    pub(super) scope: Scope,
    pub(super) zone: Option<TimeZone>,
}

/// `last_used_at` of a key is as old as this at most while the key is in use: seconds.
const USE_NOTED_EVERY: u64 = 60;

impl ManagementGate {
    /// A gate in front of a store; `engine` is how logins are decided, for explanations.
    #[must_use]
    pub fn new(
        store: Store,
        dictionary: Arc<Dictionary>,
        engine: engine::Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Gate {
            store,
            dictionary,
            engine,
            clock,
            packs: Packs::embedded(),
            configured: Vec::new(),
            passwords: Passwords::new(),
            coa: Arc::default(),
            tokens: Arc::default(),
            passphrase: None,
            gateways: Vec::new(),
        }))
    }

    /// The same with a site's packs, and the NAS entries of the configuration: explanations are in the
    /// words of the NAS that is asked for.
    #[must_use]
    pub fn with_nases(self, packs: Arc<Packs>, configured: Vec<Nas>) -> Self {
        self.with(|gate| Gate { packs, configured, ..gate })
    }

    /// The same beside a running server, whose NASes can be asked and waited for. The gate does not keep
    /// the server from stopping. The first one counts, for all clones, also for those that serve already.
    #[must_use]
    pub fn with_coa(self, coa: &Coa) -> Self {
        let _first = self.0.coa.set(coa.downgrade());
        self
    }

    /// The same with a key that signs tokens; those of the one before it are good until they end. As with
    /// [`ManagementGate::with_coa`], the first counts, for all clones.
    #[must_use]
    pub fn with_tokens(self, key: &[u8; 32], previous: Option<&[u8; 32]>) -> Self {
        let _first = self.0.tokens.set(TokenKey { current: *key, previous: previous.copied() });
        self
    }

    /// The same with a passphrase that opens `dialect` with these rights; without one nobody is let in so.
    #[must_use]
    pub fn with_passphrase(self, dialect: Dialect, passphrase: Option<&Secret>, rights: Rights) -> Self {
        let passphrase = passphrase.map(|secret| Passphrase {
            dialect,
            digest: Sha256::digest(secret.octets()).into(),
            rights,
        });
        self.with(|gate| Gate { passphrase, ..gate })
    }

    /// The same with ways to send messages through these channels; through others they wait.
    #[must_use]
    pub fn with_gateways(self, gateways: Vec<Channel>) -> Self {
        self.with(|gate| Gate { gateways, ..gate })
    }

    fn with(self, change: impl FnOnce(Gate) -> Gate) -> Self {
        Self(Arc::new(change(Arc::unwrap_or_clone(self.0))))
    }

    pub(super) fn inner(&self) -> &Gate {
        &self.0
    }

    pub(super) fn coa(&self) -> Result<Coa, ServiceError> {
        self.0.coa.get().and_then(WeakCoa::upgrade).ok_or_else(|| ServiceError::Unavailable {
            reason: "no server runs here that could ask a NAS".to_owned(),
        })
    }

    /// Lets an operator in. Password hashes are slow on purpose: call it where that holds up nobody.
    ///
    /// # Errors
    /// [`Denial::Credential`] for a wrong one, whatever is wrong with it; [`Denial::Disabled`] for a right
    /// one that is switched off; [`ServiceError::Unavailable`].
    pub async fn enter(
        &self,
        credential: OperatorCredential<'_>,
        remote: &str,
    ) -> Result<Management<'_>, ServiceError> {
        let pass = match credential {
            OperatorCredential::Key { dialect, key_id, secret } => {
                let found = self.key(dialect, key_id, secret).await?;
                self.used(&found).await;
                self.pass_of_key(dialect, found)
            }
            OperatorCredential::Token { dialect, token } => {
                let found = self.key_of_token(dialect, token).await?;
                self.used(&found).await;
                self.pass_of_key(dialect, found)
            }
            OperatorCredential::Passphrase { dialect, passphrase } => {
                let known = self.0.passphrase.as_ref().filter(|known| known.dialect == dialect);
                let known = known.filter(|known| known.is(passphrase)).ok_or_else(wrong)?;
                let name = dialect.as_str().to_owned();
                Pass { name, dialect, rights: known.rights, scope: Scope::Everything, zone: None }
            }
            OperatorCredential::Login { dialect, login, password } => {
                let found = self.0.store.operator(login).await?;
                let stored = found.as_ref().map_or(NOBODY, |found| found.password_hash.as_str());
                let right = verify(stored, password);
                let found = found.filter(|found| right && !found.operator.locked).ok_or_else(wrong)?;
                let Place { scope, zone, .. } = switched_on(found.place)?;
                let zone = TimeZone::get(&zone).ok();
                Pass { name: login.to_owned(), dialect, rights: found.operator.rights, scope, zone }
            }
        };
        Ok(self.management(pass, remote))
    }

    /// Gives a token for a key, good for `lifetime`.
    ///
    /// # Errors
    /// As [`ManagementGate::enter`].
    pub async fn issue(
        &self,
        dialect: Dialect,
        key_id: &str,
        secret: &str,
        lifetime: Duration,
    ) -> Result<Issued, ServiceError> {
        let found = self.key(dialect, key_id, secret).await?;
        self.used(&found).await;
        let tokens = self.0.tokens.get().ok_or_else(no_tokens)?;
        let now = self.0.clock.now().unix;
        let expires = now.plus(lifetime.as_secs());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: key_id.to_owned(),
            ent: found.place.account,
            adm: found.admin,
            ver: found.key.version,
            iat: now.0,
            exp: expires.0,
        };
        Ok(Issued { token: tokens.sign(&claims)?, expires, zone: self.zone(&found.place) })
    }

    /// The command line: whoever can run it can read the database's address, and so has every right.
    #[must_use]
    pub fn console(&self, user: &str) -> Management<'_> {
        let pass = Pass {
            name: user.to_owned(),
            dialect: Dialect::Cli,
            rights: Rights::ALL,
            scope: Scope::Everything,
            zone: None,
        };
        self.management(pass, "")
    }

    pub(super) fn management(&self, pass: Pass, remote: &str) -> Management<'_> {
        Management {
            zone: pass.zone.unwrap_or_else(|| self.0.engine.zone.clone()),
            gate: Cow::Borrowed(self),
            rights: pass.rights,
            scope: pass.scope,
            name: pass.name,
            dialect: pass.dialect,
            remote: remote.to_owned(),
        }
    }

    /// The key, if the secret is its own and it is switched on.
    async fn key(&self, dialect: Dialect, key_id: &str, secret: &str) -> Result<KeySecret, ServiceError> {
        // No database holds NUL in text, so no key has it.
        let mut found = if key_id.contains('\0') { None } else { self.0.store.key(key_id).await? };
        let digest = digest(secret);
        if found.is_none() && dialect == Dialect::Jaze && !key_id.contains('\0') {
            found = self.0.store.key_of_account(key_id, &digest).await?;
        }
        // An unknown key costs as much as a known one.
        let expected = found.as_ref().map_or("", |found| found.secret_hash.as_str());
        let right = bool::from(digest.as_bytes().ct_eq(expected.as_bytes()));
        open(found.filter(|found| right && found.key.dialect == Some(dialect)).ok_or_else(wrong)?)
    }

    async fn key_of_token(&self, dialect: Dialect, token: &str) -> Result<KeySecret, ServiceError> {
        let tokens = self.0.tokens.get().ok_or_else(no_tokens)?;
        let claims = tokens.verify(token, self.0.clock.now().unix).ok_or_else(wrong)?;
        let found = self.0.store.key(&claims.sub).await?;
        let fits = |found: &KeySecret| found.key.dialect == Some(dialect) && found.key.version == claims.ver;
        open(found.filter(fits).ok_or_else(wrong)?)
    }

    /// Notes the use of a key, once in a while. That it could not be noted is no reason to refuse.
    async fn used(&self, found: &KeySecret) {
        let now = self.0.clock.now().unix;
        if found.key.last_used.is_none_or(|last| now.since(last) >= USE_NOTED_EVERY)
            && let Err(error) = self.0.store.key_used(&found.key.key_id, now).await
        {
            tracing::debug!(%error, "the use of a key was not noted");
        }
    }

    fn pass_of_key(&self, dialect: Dialect, found: KeySecret) -> Pass {
        let zone = Some(self.zone(&found.place));
        let KeySecret { key, place, .. } = found;
        Pass { name: key.key_id.to_string(), dialect, rights: key.rights, scope: place.scope, zone }
    }

    /// The zone of an account; a name that the IANA database does not have is none.
    pub(super) fn zone(&self, place: &Place) -> TimeZone {
        let own = (!place.zone.is_empty()).then(|| TimeZone::get(&place.zone).ok()).flatten();
        own.unwrap_or_else(|| self.0.engine.zone.clone())
    }
}

/// Two switches: the key's, and its account's.
fn open(found: KeySecret) -> Result<KeySecret, ServiceError> {
    if found.key.enabled && found.place.enabled {
        Ok(found)
    } else {
        Err(ServiceError::Denied(Denial::Disabled))
    }
}

pub(super) fn switched_on(place: Place) -> Result<Place, ServiceError> {
    if place.enabled { Ok(place) } else { Err(ServiceError::Denied(Denial::Disabled)) }
}

const fn wrong() -> ServiceError {
    ServiceError::Denied(Denial::Credential)
}

fn no_tokens() -> ServiceError {
    ServiceError::Unavailable { reason: "this process has no key for tokens".to_owned() }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A passphrase is kept as its digest, so that all comparisons are of equal length.
#[derive(Clone)]
struct Passphrase {
    dialect: Dialect,
    digest: [u8; 32],
    rights: Rights,
}

impl Passphrase {
    fn is(&self, shown: &str) -> bool {
        Sha256::digest(shown.as_bytes()).as_slice().ct_eq(&self.digest).into()
    }
}

/// What a token says (RFC 7519 §4.1, and `ent`, `adm`, `ver` of ours).
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// Id of the key.
    sub: String,
    /// Number of its account.
    ent: i64,
    /// Number of the operator whom it was made for, or 0.
    adm: i64,
    /// Version of the key.
    ver: i64,
    iat: i64,
    exp: i64,
}

const ISSUER: &str = "tollkeeper";

/// The key that signs tokens: the same for every server on the database.
#[derive(Clone)]
struct TokenKey {
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl TokenKey {
    fn sign(&self, claims: &Claims) -> Result<String, ServiceError> {
        let key = EncodingKey::from_secret(&self.current);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
            .map_err(|error| ServiceError::Unavailable { reason: format!("a token: {error}") })
    }

    /// The claims of a token of ours that has not ended at `now`.
    fn verify(&self, token: &str, now: UnixTime) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::HS256);
        // Our clock decides below; the library would ask the system's.
        rules.validate_exp = false;
        rules.set_issuer(&[ISSUER]);
        let read = |key: &[u8; 32]| {
            Some(jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(key), &rules).ok()?.claims)
        };
        let claims = read(&self.current).or_else(|| read(self.previous.as_ref()?))?;
        (claims.exp > now.0).then_some(claims)
    }
}

/// Is this the password that was hashed? Slow on purpose.
pub(super) fn verify(hash: &str, password: &str) -> bool {
    argon2::PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A hash of nobody's password, so that an unknown login takes as long as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y29tcGFyZWQgd2l0aCBub25l$WXBqVyXyMqQGOZ6l6U2S0nBM8eDfPXEZD9tfxKKp3NU";

#[cfg(test)]
impl ManagementGate {
    /// A gate in front of tables of their own, which are gone with the folder.
    pub(crate) async fn of_a_test() -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::connect(&crate::store::Settings::new(&url)).await.unwrap();
        store.migrate().await.unwrap();
        let key = engine::token::TokenKey::new(&[0; 32]);
        let engine = engine::Settings::new(key, TimeZone::UTC);
        let gate = Self::new(store, Dictionary::embedded(), engine, Arc::new(crate::time::SystemClock));
        (gate.with_tokens(&[1; 32], None), folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(current: [u8; 32]) -> TokenKey {
        TokenKey { current, previous: None }
    }

    fn claims(exp: i64) -> Claims {
        Claims { iss: ISSUER.to_owned(), sub: "k".to_owned(), ent: 0, adm: 0, ver: 3, iat: 0, exp }
    }

    #[test]
    fn a_token_is_worth_something_until_it_ends() {
        let key = only([7; 32]);
        let token = key.sign(&claims(100)).unwrap();
        assert_eq!(key.verify(&token, UnixTime(99)).unwrap().ver, 3);
        assert!(key.verify(&token, UnixTime(100)).is_none());
        assert!(only([8; 32]).verify(&token, UnixTime(99)).is_none());
        let next = TokenKey { current: [8; 32], previous: Some([7; 32]) };
        assert_eq!(next.verify(&token, UnixTime(99)).unwrap().ver, 3, "the key was changed meanwhile");
        assert!(key.verify(&next.sign(&claims(100)).unwrap(), UnixTime(99)).is_none());
    }

    #[test]
    fn a_token_of_another_algorithm_or_issuer_is_none() {
        let key = only([7; 32]);
        let (encoding, now) = (EncodingKey::from_secret(&key.current), UnixTime(0));
        let longer = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims(100), &encoding).unwrap();
        let foreign = key.sign(&Claims { iss: "other".to_owned(), ..claims(100) }).unwrap();
        // {"alg":"none"}
        let (_, rest) = foreign.split_once('.').unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{rest}");
        for token in [longer, foreign, unsigned, String::new(), "a.b.c".to_owned()] {
            assert!(key.verify(&token, now).is_none(), "{token}");
        }
    }

    #[test]
    fn a_passphrase_is_compared_whole() {
        let digest = Sha256::digest(b"open").into();
        let known = Passphrase { dialect: Dialect::Antamedia, digest, rights: Rights::ALL };
        assert_eq!(["open", "ope", "openn", ""].map(|shown| known.is(shown)), [true, false, false, false]);
    }
}
