//! Login attempts: `radpostauth` as FreeRADIUS writes it, `tk_auth_log` with the reason.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::db::{Db, execute, fetch};
use super::schema::{Kind, Schema, fitted};
use super::{Store, StoreError};
use crate::domain::{PostAuth, RejectReason, SubscriberId};
use crate::time::UnixTime;

/// A login attempt as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: UnixTime,
    /// User-Name.
    pub user_name: SmolStr,
    /// Whose it is, if anybody's.
    pub subscriber: Option<SubscriberId>,
    /// `None` is Accept.
    pub reject: Option<RejectReason>,
    /// What decided.
    pub rule: SmolStr,
    /// `PAP`, `CHAP` …
    pub method: SmolStr,
    /// NAS address.
    pub nas: Option<IpAddr>,
    /// Calling-Station-Id.
    pub calling_station_id: SmolStr,
}

/// A column of `radpostauth` and what goes there.
type PostAuthColumn = (&'static str, fn(&PostAuth) -> SmolStr);

/// Rows of one statement.
const ROWS: usize = 64;

impl Store {
    /// Keeps some attempts. Passwords are not kept: `radpostauth.pass` is empty.
    ///
    /// # Errors
    /// [`StoreError`] of the database; rows of earlier statements may be there then.
    pub async fn post_auth(&self, attempts: &[PostAuth]) -> Result<(), StoreError> {
        let learned = self.learned()?;
        for part in attempts.chunks(ROWS) {
            self.write_radpostauth(&learned.schema, part).await?;
            self.write_auth_log(part).await?;
        }
        Ok(())
    }

    /// The last attempts of a login, the latest first.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn last_attempts(&self, login: &str, most: u32) -> Result<Vec<Attempt>, StoreError> {
        let sql = "SELECT at, username, subscriber_id, reason, rule, method, nas, calling_station_id
             FROM tk_auth_log WHERE username = ? ORDER BY id DESC LIMIT ?";
        fetch!(self.db(), read, "tk_auth_log", sql, [login, i64::from(most)], |row| {
            let reason = row.word(3)?;
            Ok(Attempt {
                at: row.time(0)?.unwrap_or_default(),
                user_name: row.word(1)?,
                subscriber: row.int(2)?.map(SubscriberId),
                reject: RejectReason::ALL.iter().find(|(_, key)| *key == reason).map(|(reason, _)| *reason),
                rule: row.word(4)?,
                method: row.word(5)?,
                nas: row.address(6)?,
                calling_station_id: row.word(7)?,
            })
        })
    }

    /// Forgets the attempts of before `before` in `tk_auth_log`, `most` at a time; how many went.
    /// `radpostauth` belongs to the operator.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn prune_attempts(&self, before: UnixTime, most: u32) -> Result<u64, StoreError> {
        let sql = self.db().pick(
            "DELETE FROM tk_auth_log WHERE id IN (SELECT id FROM tk_auth_log WHERE at < ? ORDER BY at LIMIT ?)",
            "DELETE FROM tk_auth_log WHERE id IN (SELECT id FROM tk_auth_log WHERE at < ? ORDER BY at LIMIT ?)",
            "DELETE FROM tk_auth_log WHERE at < ? ORDER BY at LIMIT ?",
        );
        execute!(self.db(), write, "tk_auth_log", sql, [before.0, i64::from(most)])
    }

    async fn write_radpostauth(&self, schema: &Schema, attempts: &[PostAuth]) -> Result<(), StoreError> {
        let wanted: [PostAuthColumn; 6] = [
            ("username", |attempt| attempt.user_name.clone()),
            ("pass", |_| SmolStr::default()),
            ("reply", |attempt| {
                SmolStr::new_static(if attempt.reject.is_none() { "Access-Accept" } else { "Access-Reject" })
            }),
            ("calledstationid", |attempt| attempt.called_station_id.clone()),
            ("callingstationid", |attempt| attempt.calling_station_id.clone()),
            ("class", |attempt| attempt.class.clone()),
        ];
        let columns: Vec<_> = wanted
            .into_iter()
            .filter_map(|(name, value)| Some((name, value, schema.column("radpostauth", name)?.kind)))
            .collect();
        let time = match self.db() {
            // FreeRADIUS writes text here, not a number.
            Db::Sqlite(_) => "datetime(?, 'unixepoch', 'localtime')",
            Db::Postgres(_) => "to_timestamp(?)",
            Db::MySql(_) => "FROM_UNIXTIME(?)",
        };
        let names: Vec<&str> = columns.iter().map(|(name, _, _)| *name).collect();
        let row = format!("({}, {time})", vec!["?"; columns.len()].join(", "));
        let sql = format!(
            "INSERT INTO radpostauth ({}, authdate) VALUES {}",
            names.join(", "),
            vec![row.as_str(); attempts.len()].join(", ")
        );
        let text = self.db().sql(&sql);
        super::db::on_pool!(self.db(), write, |pool| {
            let mut query = sqlx::query(&text);
            for attempt in attempts {
                for (_, value, kind) in &columns {
                    query = query.bind(fit(&value(attempt), *kind).to_string());
                }
                query = query.bind(attempt.at.0);
            }
            query
                .persistent(attempts.len() == ROWS || attempts.len() == 1)
                .execute(pool)
                .await
                .map(drop)
                .map_err(|error| StoreError::from_sql(&error, "radpostauth"))
        })
    }

    async fn write_auth_log(&self, attempts: &[PostAuth]) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO tk_auth_log (at, username, subscriber_id, reason, rule, method, nas,
                 calling_station_id, called_station_id) VALUES {}",
            vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; attempts.len()].join(", ")
        );
        let text = self.db().sql(&sql);
        let fit = |text: &SmolStr, most: usize| {
            fit(text, Kind::Text(Some(most), super::schema::Charset::Unicode)).to_string()
        };
        super::db::on_pool!(self.db(), write, |pool| {
            let mut query = sqlx::query(&text);
            for attempt in attempts {
                query = query
                    .bind(attempt.at.0)
                    .bind(fit(&attempt.user_name, 1012))
                    .bind(attempt.subscriber.map(|subscriber| subscriber.0))
                    .bind(attempt.reject.map_or("", RejectReason::key))
                    .bind(fit(&attempt.rule, 1000))
                    .bind(attempt.method)
                    .bind(attempt.nas.to_string())
                    .bind(fit(&attempt.calling_station_id, 1012))
                    .bind(fit(&attempt.called_station_id, 1012));
            }
            query
                .persistent(attempts.len() == ROWS || attempts.len() == 1)
                .execute(pool)
                .await
                .map(drop)
                .map_err(|error| StoreError::from_sql(&error, "tk_auth_log"))
        })
    }
}

fn fit(text: &SmolStr, kind: Kind) -> SmolStr {
    fitted(text, kind).unwrap_or_else(|| text.clone())
}
