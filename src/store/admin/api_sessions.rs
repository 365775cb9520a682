//! Sessions of the management APIs: `tk_api_session`. The token itself is not kept, only its digest.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use crate::domain::operator::Dialect;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSession {
    /// An operator's, not a subscriber's.
    pub is_operator: bool,
    /// Number of the operator or subscriber.
    pub principal: i64,
    /// Its login when the session began.
    pub login: SmolStr,
    /// When it was last used.
    pub seen: UnixTime,
}

impl Store {
    /// Begins a session; those that were last used before `stale` end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_api_session(
        &self,
        token_hash: &str,
        dialect: Dialect,
        session: &ApiSession,
        remote: &str,
        stale: UnixTime,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "DELETE FROM tk_api_session WHERE seen_at < ?";
        tx.run("tk_api_session", sql, &[Bind::Int(stale.0)]).await?;
        let sql =
            "INSERT INTO tk_api_session (token_hash, dialect, kind, principal_id, login, created_at, seen_at,
             remote_addr) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let kind = if session.is_operator { OPERATOR } else { SUBSCRIBER };
        let at = Bind::Int(session.seen.0);
        let binds = [
            Bind::Text(token_hash),
            Bind::Text(dialect.as_str()),
            Bind::Text(kind),
            Bind::Int(session.principal),
            Bind::Text(&session.login),
            at,
            at,
            Bind::Text(remote),
        ];
        tx.run("tk_api_session", sql, &binds).await?;
        tx.commit().await
    }

    /// The session of a token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn api_session(
        &self,
        token_hash: &str,
        dialect: Dialect,
    ) -> Result<Option<ApiSession>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT kind, principal_id, login, seen_at FROM tk_api_session WHERE token_hash = ? AND dialect = ?";
        let binds = [Bind::Text(token_hash), Bind::Text(dialect.as_str())];
        let found = tx.fetch("tk_api_session", sql, &binds, |row| {
            Ok(ApiSession {
                is_operator: row.word(0)? == OPERATOR,
                principal: row.number(1)?,
                login: row.word(2)?,
                seen: row.time(3)?.unwrap_or_default(),
            })
        });
        Ok(found.await?.into_iter().next())
    }

    /// Notes the use of a session.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn api_session_used(&self, token_hash: &str, at: UnixTime) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "UPDATE tk_api_session SET seen_at = ? WHERE token_hash = ?";
        tx.run("tk_api_session", sql, &[Bind::Int(at.0), Bind::Text(token_hash)]).await?;
        tx.commit().await
    }

    /// Ends a session. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn end_api_session(&self, token_hash: &str) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "DELETE FROM tk_api_session WHERE token_hash = ?";
        let gone = tx.run("tk_api_session", sql, &[Bind::Text(token_hash)]).await?;
        tx.commit().await?;
        Ok(gone > 0)
    }
}

const OPERATOR: &str = "admin";
const SUBSCRIBER: &str = "subscriber";
