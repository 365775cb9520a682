//! Operators and keys of the APIs.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, account, audit};
use crate::domain::operator::{ApiKey, Dialect, Operator, Rights};
use crate::store::{Store, StoreError};

/// A key to be made; the secret is not kept, only its digest.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What its owner will show.
    pub key_id: String,
    /// SHA-256 of the secret in hexadecimal digits. A random secret needs no slow hash.
    pub secret_hash: String,
    /// What it opens.
    pub dialect: Dialect,
    /// What it allows.
    pub rights: Rights,
    /// Name of the account it belongs to.
    pub account: String,
}

/// An operator to be made.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// Login, unique.
    pub login: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// What it allows.
    pub rights: Rights,
    /// Name of the account it belongs to.
    pub account: String,
}

/// What a key is checked against.
#[derive(Clone, Debug)]
pub struct KeySecret {
    /// See [`NewKey::secret_hash`].
    pub secret_hash: SmolStr,
    /// The key.
    pub key: ApiKey,
}

/// What an operator's password is checked against.
#[derive(Clone, Debug)]
pub struct OperatorSecret {
    /// See [`NewOperator::password_hash`].
    pub password_hash: SmolStr,
    /// The operator.
    pub operator: Operator,
}

const KEYS: &str = "SELECT k.key_id, k.dialect, k.rights, COALESCE(a.name, ''), k.enabled, k.created_at,
    k.last_used_at, k.secret_hash FROM tk_api_key k LEFT JOIN tk_account a ON a.id = k.account_id";
const OPERATORS: &str = "SELECT o.id, o.login, o.rights, COALESCE(a.name, ''), o.locked, o.created_at,
    o.password_hash FROM tk_admin o LEFT JOIN tk_account a ON a.id = o.account_id";

impl Store {
    /// Makes a key. `Ok(false)`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key id is taken.
    pub async fn add_key(&self, key: &NewKey, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(account) = account(&mut tx, &key.account).await? else { return Ok(false) };
        let rights = key.rights.to_string();
        let id = tx
            .insert(
                "tk_api_key",
                "INSERT INTO tk_api_key (account_id, dialect, key_id, secret_hash, rights, created_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
                &[
                    Bind::Int(account),
                    Bind::Text(key.dialect.as_str()),
                    Bind::Text(&key.key_id),
                    Bind::Text(&key.secret_hash),
                    Bind::Text(&rights),
                    Bind::Int(author.at.0),
                ],
            )
            .await?;
        let new = format!("{} for {} with {rights}", key.key_id, key.dialect.as_str());
        audit(&mut tx, author, Event { object: "key", id: Some(id), verb: "add", old: None, new: Some(new) })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let keys = tx.fetch("tk_api_key", &format!("{KEYS} ORDER BY k.id"), &[], key).await?;
        Ok(keys.into_iter().map(|found| found.key).collect())
    }

    /// A key with the digest of its secret.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn key(&self, key_id: &str) -> Result<Option<KeySecret>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let found =
            tx.fetch("tk_api_key", &format!("{KEYS} WHERE k.key_id = ?"), &[Bind::Text(key_id)], key).await?;
        Ok(found.into_iter().next())
    }

    /// Removes a key. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_key(&self, key_id: &str, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let gone =
            tx.run("tk_api_key", "DELETE FROM tk_api_key WHERE key_id = ?", &[Bind::Text(key_id)]).await?;
        if gone == 0 {
            return Ok(false);
        }
        let old = Some(key_id.to_owned());
        audit(&mut tx, author, Event { object: "key", id: None, verb: "delete", old, new: None }).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes an operator; gives the number. `Ok(None)`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the login is taken.
    pub async fn add_operator(&self, new: &NewOperator, author: &Author) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(account) = account(&mut tx, &new.account).await? else { return Ok(None) };
        let rights = new.rights.to_string();
        let id = tx
            .insert(
                "tk_admin",
                "INSERT INTO tk_admin (account_id, login, password_hash, rights, created_at) VALUES (?, ?, ?, ?, ?)",
                &[
                    Bind::Int(account),
                    Bind::Text(&new.login),
                    Bind::Text(&new.password_hash),
                    Bind::Text(&rights),
                    Bind::Int(author.at.0),
                ],
            )
            .await?;
        let text = format!("{} with {rights}", new.login);
        let event = Event { object: "operator", id: Some(id), verb: "add", old: None, new: Some(text) };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// All operators, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let found = tx.fetch("tk_admin", &format!("{OPERATORS} ORDER BY o.id"), &[], operator).await?;
        Ok(found.into_iter().map(|found| found.operator).collect())
    }

    /// An operator with the hash of the password.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn operator(&self, login: &str) -> Result<Option<OperatorSecret>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!("{OPERATORS} WHERE o.login = ?");
        let found = tx.fetch("tk_admin", &sql, &[Bind::Text(login)], operator).await?;
        Ok(found.into_iter().next())
    }

    /// Removes an operator. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_operator(&self, login: &str, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let gone = tx.run("tk_admin", "DELETE FROM tk_admin WHERE login = ?", &[Bind::Text(login)]).await?;
        if gone == 0 {
            return Ok(false);
        }
        let old = Some(login.to_owned());
        audit(&mut tx, author, Event { object: "operator", id: None, verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn key(row: &dyn crate::store::db::Columns) -> Result<KeySecret, sqlx::Error> {
    let key = ApiKey {
        key_id: row.word(0)?,
        dialect: Dialect::parse(&row.word(1)?),
        rights: Rights::parse(&row.word(2)?).unwrap_or_default(),
        account: row.word(3)?,
        enabled: row.int(4)? == Some(1),
        created: row.time(5)?.unwrap_or_default(),
        last_used: row.time(6)?,
    };
    Ok(KeySecret { secret_hash: row.word(7)?, key })
}

fn operator(row: &dyn crate::store::db::Columns) -> Result<OperatorSecret, sqlx::Error> {
    let operator = Operator {
        id: row.number(0)?,
        login: row.word(1)?,
        rights: Rights::parse(&row.word(2)?).unwrap_or_default(),
        account: row.word(3)?,
        locked: row.int(4)? != Some(0),
        created: row.time(5)?.unwrap_or_default(),
    };
    Ok(OperatorSecret { password_hash: row.word(6)?, operator })
}
