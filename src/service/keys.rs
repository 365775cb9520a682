//! Keys of the APIs, operators, and the keys that sign and hide: who may manage, and what proves it.

use argon2::{Argon2, PasswordHasher as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ServiceError;
use super::gate::digest;
use super::management::{Management, check_name, found, taken};
use crate::domain::operator::{ApiKey, Dialect, Operator, Rights};
use crate::entropy::Entropy;
use crate::store::{NewKey, NewOperator, Recode, Recoded, SigningKey};

/// A key just made: the only time its secret is seen.
#[derive(Clone)]
pub struct MadeKey {
    /// The part that is not secret.
    pub key_id: String,
    /// The part that is.
    pub secret: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Keys and operators.
impl Management<'_> {
    /// Makes a key with a random secret.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the account.
    pub async fn create_key(
        &self,
        dialect: Dialect,
        rights: Rights,
        account: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<MadeKey, ServiceError> {
        let (store, author) = self.write()?;
        let mut key_id = [0; KEY_ID_OCTETS];
        entropy.fill(&mut key_id);
        let made = MadeKey { key_id: hex::encode(key_id), secret: random_secret(entropy) };
        let key = NewKey {
            key_id: made.key_id.clone(),
            secret_hash: digest(&made.secret),
            dialect,
            rights,
            account: account_or_main(account),
        };
        if store.add_key(&key, &author).await? {
            Ok(made)
        } else {
            Err(ServiceError::not_found("account", account))
        }
    }

    /// All keys.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ServiceError> {
        Ok(self.read()?.keys().await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn key(&self, key_id: &str) -> Result<ApiKey, ServiceError> {
        let key = self.keys().await?.into_iter().find(|key| key.key_id == key_id);
        key.ok_or_else(|| ServiceError::not_found("key", key_id))
    }

    /// Gives a key another secret: the old one, and the tokens that were had with it, are worth nothing from
    /// now on.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn rotate_key(&self, key_id: &str, entropy: &mut dyn Entropy) -> Result<MadeKey, ServiceError> {
        let (store, author) = self.write()?;
        let made = MadeKey { key_id: key_id.to_owned(), secret: random_secret(entropy) };
        found(store.rotate_key(key_id, &digest(&made.secret), &author).await?, "key", key_id)?;
        Ok(made)
    }

    /// Switches a key on or off.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn enable_key(&self, key_id: &str, enabled: bool) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.enable_key(key_id, enabled, &author).await?, "key", key_id)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_key(&self, key_id: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.delete_key(key_id, &author).await?, "key", key_id)
    }

    /// Makes an operator; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] where the login is taken, [`ServiceError::Invalid`] for a login or
    /// password that cannot be, [`ServiceError::NotFound`] for the account.
    pub async fn add_operator(
        &self,
        login: &str,
        password: &str,
        rights: Rights,
        account: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check_name("login", login)?;
        // No rule about length: clients of other products keep the passwords they have.
        if password.is_empty() {
            return Err(ServiceError::invalid("password", "must not be empty"));
        }
        if store.operator(login).await?.is_some() {
            return Err(taken("operator", login));
        }
        let mut salt = [0; SALT_OCTETS];
        entropy.fill(&mut salt);
        let hash = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|_| ServiceError::invalid("password", "is too long"))?;
        let new = NewOperator {
            login: login.to_owned(),
            password_hash: hash.to_string(),
            rights,
            account: account_or_main(account),
        };
        store.add_operator(&new, &author).await?.ok_or_else(|| ServiceError::not_found("account", account))
    }

    /// All operators.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn operators(&self) -> Result<Vec<Operator>, ServiceError> {
        Ok(self.read()?.operators().await?)
    }

    /// Removes an operator.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_operator(&self, login: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        found(store.delete_operator(login, &author).await?, "operator", login)
    }

    /// Changes the key that signs tokens in Class, or that of the APIs' tokens. Servers take it at their next start;
    /// tokens of the key before it stay good until then and after.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn renew_signing_key(
        &self,
        which: SigningKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.renew_signing_key(which, &fresh_key(entropy), &author).await?)
    }

    /// Hides every subscriber's password with the first key, or shows every one.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Invalid`] where no key is to hide them,
    /// [`ServiceError::Unavailable`].
    pub async fn recode_passwords(&self, recode: Recode) -> Result<Recoded, ServiceError> {
        let (store, author) = self.write()?;
        if recode == Recode::Hide && !store.hides_passwords() {
            return Err(ServiceError::invalid("database.password_key_file", "is not set: there is no key"));
        }
        store.settle_keys().await?;
        Ok(store.recode_passwords(recode, &author).await?)
    }
}

/// A key that signs, as it is kept.
#[must_use]
pub fn fresh_key(entropy: &mut dyn Entropy) -> [u8; 32] {
    let mut octets = [0; 32];
    entropy.fill(&mut octets);
    octets
}

/// A random secret as text.
#[must_use]
pub fn random_secret(entropy: &mut dyn Entropy) -> String {
    let mut octets = [0; SECRET_OCTETS];
    entropy.fill(&mut octets);
    URL_SAFE_NO_PAD.encode(octets)
}

fn account_or_main(account: &str) -> String {
    if account.is_empty() { MAIN.to_owned() } else { account.to_owned() }
}

/// Octets of a random secret: more than 128 bits, and 32 characters as text.
const SECRET_OCTETS: usize = 24;
/// Octets of a random key id.
const KEY_ID_OCTETS: usize = 10;
/// Octets of a salt.
const SALT_OCTETS: usize = 16;
/// The account that is always there.
const MAIN: &str = "Main";
