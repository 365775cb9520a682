//! Login attempts of `radpostauth`, whoever wrote them; passwords are never read.

use super::clause::{Clause, Value};
use super::log::{Log, Wanted};
use super::{login_like, of_accounts};
use crate::domain::report::{AttemptFilter, AttemptRow};
use crate::domain::{Page, Paging};
use crate::store::admin::tx::Tx;
use crate::store::db::{Db, fetch_in};
use crate::store::{Store, StoreError};

impl Store {
    /// Login attempts, the newest first; of subscribers of these accounts only, if any are named.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn attempt_rows(
        &self,
        filter: &AttemptFilter,
        accounts: Option<&[i64]>,
        paging: Paging,
    ) -> Result<Page<AttemptRow>, StoreError> {
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let log = Log {
            table: "radpostauth",
            id: "id",
            time: "authdate",
            mixed: false,
            // FreeRADIUS writes the local time as text on SQLite.
            value: db.pick("datetime(?, 'unixepoch', 'localtime')", "to_timestamp(?)", "FROM_UNIXTIME(?)"),
            columns: "id, username, reply, authdate",
        };
        let (mut indexed, mut rest) = (None, Clause::always());
        if let Some(login) = &filter.login {
            let (clause, found) = login_like(&mut tx, db, "radpostauth", login).await?;
            if found {
                indexed = Some(clause);
            } else {
                rest = clause;
            }
        }
        match filter.reply.as_deref() {
            None => {}
            Some(reply) if reply.eq_ignore_ascii_case(ACCEPT) => {
                rest = rest.and(Clause::new("a.reply = ?", [Value::Text(ACCEPT.to_owned())]));
            }
            // Its index is of refusals alone, of which there may be very few.
            Some(reply) if reply.eq_ignore_ascii_case(REJECT) => {
                let clause = Clause::new("a.reply = 'Access-Reject'", []);
                indexed = Some(indexed.unwrap_or_default().and(clause));
            }
            Some(_) => indexed = Some(Clause::never()),
        }
        if let Some(accounts) = accounts {
            rest = rest.and(of_accounts("a.username", accounts));
        }
        let wanted = Wanted { indexed, rest, span: filter.at, ascending: false };
        let ids = log.page(&mut tx, db, wanted, paging).await?;
        tx.commit().await?;
        let at = match db {
            Db::Sqlite(_) => {
                "CASE WHEN typeof(a.authdate) = 'text' THEN CAST(strftime('%s', a.authdate, 'utc') AS INTEGER) ELSE a.authdate END"
                    .to_owned()
            }
            Db::Postgres(_) => "CAST(floor(extract(epoch FROM a.authdate)) AS bigint)".to_owned(),
            Db::MySql(_) => "CAST(FLOOR(UNIX_TIMESTAMP(a.authdate)) AS SIGNED)".to_owned(),
        };
        let sql = format!("SELECT a.id, a.username, a.reply, {at} FROM radpostauth a WHERE a.id IN ({{}})");
        let mut rows = fetch_in!(db, "radpostauth", &sql, ids, [], |row| {
            Ok(AttemptRow { id: row.number(0)?, login: row.word(1)?, reply: row.word(2)?, at: row.time(3)? })
        })?;
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        rows.dedup_by_key(|row| row.id);
        Ok(Page::of(rows, paging))
    }
}

const ACCEPT: &str = "Access-Accept";
const REJECT: &str = "Access-Reject";
