//! Keys that sign tokens, in `tk_setting`, so that every server and every start has the same ones.

use super::tx::Tx;
use super::{Author, Event, audit};
use crate::store::{Store, StoreError};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// Of the tokens in Class.
    Class,
    /// Of the tokens of the APIs.
    Api,
}

/// A key, the one before it, and what makes identities that never change.
#[derive(Clone)]
pub struct SigningKeys {
    /// Signs.
    pub current: [u8; 32],
    /// What it has signed is good too.
    pub previous: Option<[u8; 32]>,
    /// The first there was.
    pub identity: [u8; 32],
}

impl SigningKey {
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Class => ["token_key", "token_key_previous", "token_key_identity"],
            Self::Api => ["api_token_key", "api_token_key_previous", "api_token_key_identity"],
        }
    }
}

impl Store {
    /// The keys; `fresh` becomes the first one where there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] of one that is none.
    pub async fn signing_keys(&self, which: SigningKey, fresh: &[u8; 32]) -> Result<SigningKeys, StoreError> {
        let [current, previous, identity] = which.names();
        let kept = self.setting_or(current, &hex::encode(fresh)).await?;
        let before = self.setting_or(previous, "").await?;
        Ok(SigningKeys {
            current: octets(current, &kept)?,
            previous: if before.is_empty() { None } else { Some(octets(previous, &before)?) },
            identity: octets(identity, &self.setting_or(identity, &kept).await?)?,
        })
    }

    /// Signs with `fresh` from the next start of a server on.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn renew_signing_key(
        &self,
        which: SigningKey,
        fresh: &[u8; 32],
        author: &Author,
    ) -> Result<(), StoreError> {
        let keys = self.signing_keys(which, fresh).await?;
        let [current, previous, _] = which.names();
        // In this order a fault in between leaves a key that is its own predecessor.
        self.put_setting(previous, &hex::encode(keys.current)).await?;
        self.put_setting(current, &hex::encode(fresh)).await?;
        let mut tx = Tx::begin(self.db()).await?;
        let new = Some(current.to_owned());
        audit(&mut tx, author, Event { object: "signing key", id: None, verb: "renew", old: None, new })
            .await?;
        tx.commit().await
    }
}

fn octets(name: &str, digits: &str) -> Result<[u8; 32], StoreError> {
    let mut octets = [0; 32];
    hex::decode_to_slice(digits.as_bytes(), &mut octets).map_err(|_| StoreError::Corrupt {
        table: "tk_setting",
        reason: format!("{name} is not 64 hexadecimal digits"),
    })?;
    Ok(octets)
}
