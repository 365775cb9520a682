//! Operators and keys of the APIs, and the accounts they belong to.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, account, audit};
use crate::domain::operator::{ApiKey, Dialect, Operator, Rights, Scope};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

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
    /// `tk_admin.id` of whom it was made for; 0 is nobody.
    pub admin: i64,
    /// Its account.
    pub place: Place,
}

/// The account that a key or an operator belongs to, and what is seen from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `tk_account.id`.
    pub account: i64,
    /// It, and every account above it.
    pub enabled: bool,
    /// Name of its zone in the IANA database; empty is the server's.
    pub zone: SmolStr,
    /// It and the accounts below it.
    pub scope: Scope,
}

/// What an operator's password is checked against.
#[derive(Clone, Debug)]
pub struct OperatorSecret {
    /// See [`NewOperator::password_hash`].
    pub password_hash: SmolStr,
    /// The operator.
    pub operator: Operator,
    /// Its account.
    pub place: Place,
}

const KEYS: &str = "SELECT k.key_id, k.dialect, k.rights, COALESCE(a.name, ''), k.enabled, k.created_at,
    k.last_used_at, k.secret_hash, k.version, COALESCE(k.admin_id, 0), k.account_id FROM tk_api_key k LEFT JOIN tk_account a ON a.id = k.account_id";
const OPERATORS: &str = "SELECT o.id, o.login, o.rights, COALESCE(a.name, ''), o.locked, o.created_at,
    o.password_hash, o.account_id FROM tk_admin o LEFT JOIN tk_account a ON a.id = o.account_id";

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
        let sql = format!("{KEYS} WHERE k.key_id = ?");
        let found = tx.fetch("tk_api_key", &sql, &[Bind::Text(key_id)], key).await?;
        // A database may take `A` for `a`.
        let Some(mut found) = found.into_iter().find(|found| found.key.key_id == key_id) else {
            return Ok(None);
        };
        found.place = place(&mut tx, found.place.account).await?;
        Ok(Some(found))
    }

    /// A key of an account by the digest of its secret: clients of Jaze name the account in the place of the
    /// key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn key_of_account(
        &self,
        account: &str,
        secret_hash: &str,
    ) -> Result<Option<KeySecret>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!("{KEYS} WHERE k.secret_hash = ?");
        let found = tx.fetch("tk_api_key", &sql, &[Bind::Text(secret_hash)], key).await?;
        let Some(mut found) = found.into_iter().find(|found| found.key.account == account) else {
            return Ok(None);
        };
        found.place = place(&mut tx, found.place.account).await?;
        Ok(Some(found))
    }

    /// Puts another secret in the place of a key's, so that whatever was had with the old one is worth
    /// nothing. `Ok(false)`: there is no such key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rotate_key(
        &self,
        key_id: &str,
        secret_hash: &str,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE tk_api_key SET secret_hash = ?, version = version + 1 WHERE key_id = ?";
        let binds = [Bind::Text(secret_hash), Bind::Text(key_id)];
        self.change_key(sql, &binds, ("rotate", key_id), author).await
    }

    /// Switches a key on or off. `Ok(false)`: there is no such key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn enable_key(&self, key_id: &str, enabled: bool, author: &Author) -> Result<bool, StoreError> {
        let sql = "UPDATE tk_api_key SET enabled = ? WHERE key_id = ?";
        let binds = [Bind::Int(i64::from(enabled)), Bind::Text(key_id)];
        let verb = if enabled { "enable" } else { "disable" };
        self.change_key(sql, &binds, (verb, key_id), author).await
    }

    async fn change_key(
        &self,
        sql: &str,
        binds: &[Bind<'_>],
        (verb, key_id): (&str, &str),
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let known = "SELECT id FROM tk_api_key WHERE key_id = ?";
        let known = tx.fetch("tk_api_key", known, &[Bind::Text(key_id)], |row| row.number(0)).await?;
        let Some(id) = known.first().copied() else { return Ok(false) };
        tx.run("tk_api_key", sql, binds).await?;
        let new = Some(key_id.to_owned());
        audit(&mut tx, author, Event { object: "key", id: Some(id), verb, old: None, new }).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes that a key was shown; no change that anybody follows, and no audit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn key_used(&self, key_id: &str, at: UnixTime) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "UPDATE tk_api_key SET last_used_at = ? WHERE key_id = ?";
        tx.run("tk_api_key", sql, &[Bind::Int(at.0), Bind::Text(key_id)]).await?;
        tx.commit().await
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
        let Some(mut found) = found.into_iter().next() else { return Ok(None) };
        found.place = place(&mut tx, found.place.account).await?;
        Ok(Some(found))
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
        version: row.number(8)?,
    };
    let place = Place::unseen(row.number(10)?);
    Ok(KeySecret { secret_hash: row.word(7)?, key, admin: row.number(9)?, place })
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
    Ok(OperatorSecret { password_hash: row.word(6)?, operator, place: Place::unseen(row.number(7)?) })
}

impl Place {
    /// An account that nobody has looked at.
    fn unseen(account: i64) -> Self {
        Self { account, enabled: false, zone: SmolStr::default(), scope: Scope::Accounts([account].into()) }
    }
}

/// One row of `tk_account`.
struct AccountRow {
    id: i64,
    parent: Option<i64>,
    zone: SmolStr,
    enabled: bool,
}

/// The account of everything (`Main`).
const MAIN: i64 = 0;

impl Store {
    /// Where the account of a name stands.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn place_of(&self, name: &str) -> Result<Option<Place>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        Ok(match account(&mut tx, name).await? {
            Some(id) => Some(place(&mut tx, id).await?),
            None => None,
        })
    }
}

/// Where an account stands. One that is gone is switched off.
async fn place(tx: &mut Tx<'_>, account: i64) -> Result<Place, StoreError> {
    // Main has nothing above it, and all below.
    let which = if account == MAIN { "WHERE id = 0" } else { "" };
    let sql = format!("SELECT id, parent_id, time_zone, enabled FROM tk_account {which}");
    let rows = tx
        .fetch("tk_account", &sql, &[], |row| {
            Ok(AccountRow {
                id: row.number(0)?,
                parent: row.int(1)?,
                zone: row.word(2)?,
                enabled: row.int(3)? != Some(0),
            })
        })
        .await?;
    Ok(place_among(&rows, account))
}

fn place_among(rows: &[AccountRow], account: i64) -> Place {
    let find = |id: i64| rows.iter().find(|row| row.id == id);
    let mut enabled = find(account).is_some();
    // A ring of parents is somebody's mistake, and no reason to turn for ever.
    let (mut above, mut seen) = (Some(account), BTreeSet::new());
    while let Some(row) = above.filter(|id| seen.insert(*id)).and_then(find) {
        enabled &= row.enabled;
        above = row.parent;
    }
    let scope = if account == MAIN {
        Scope::Everything
    } else {
        let mut inside = BTreeSet::from([account]);
        loop {
            let before = inside.len();
            let below = |row: &&AccountRow| row.parent.is_some_and(|parent| inside.contains(&parent));
            let more: Vec<i64> = rows.iter().filter(below).map(|row| row.id).collect();
            inside.extend(more);
            if inside.len() == before {
                break;
            }
        }
        Scope::Accounts(inside.into_iter().collect())
    };
    let zone = find(account).map(|row| row.zone.clone()).unwrap_or_default();
    Place { account, enabled, zone, scope }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(accounts: &[(i64, Option<i64>, bool)]) -> Vec<AccountRow> {
        let row = |(id, parent, enabled): &(i64, Option<i64>, bool)| AccountRow {
            id: *id,
            parent: *parent,
            zone: SmolStr::default(),
            enabled: *enabled,
        };
        accounts.iter().map(row).collect()
    }

    #[test]
    fn an_account_sees_itself_and_what_is_below_it() {
        let rows = rows(&[
            (0, None, true),
            (1, Some(0), true),
            (2, Some(1), true),
            (3, Some(2), true),
            (4, None, true),
        ]);
        assert_eq!(place_among(&rows, 0).scope, Scope::Everything);
        assert_eq!(place_among(&rows, 1).scope, Scope::Accounts([1, 2, 3].into()));
        assert_eq!(place_among(&rows, 4).scope, Scope::Accounts([4].into()));
    }

    #[test]
    fn an_account_is_off_where_one_above_it_is() {
        let rows = rows(&[(0, None, true), (1, Some(0), false), (2, Some(1), true)]);
        assert_eq!([0, 1, 2, 9].map(|id| place_among(&rows, id).enabled), [true, false, false, false]);
    }

    #[test]
    fn a_ring_of_parents_ends() {
        let place = place_among(&rows(&[(1, Some(2), true), (2, Some(1), true)]), 1);
        assert_eq!((place.enabled, place.scope), (true, Scope::Accounts([1, 2].into())));
    }
}
