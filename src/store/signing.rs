//! Who signs its Access-Requests: `tk_nas_signing`. 0 is "never was".

use std::net::IpAddr;

use super::db::{Columns, execute, fetch};
use super::{Store, StoreError};
use crate::domain::{Readiness, Signing};
use crate::time::UnixTime;

impl Store {
    /// What sources of NAS entries have been seen to do, by all servers on this database.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn signings(&self) -> Result<Vec<Readiness>, StoreError> {
        let sql = "SELECT network, source, signed_since, signed_last, unsigned_since, unsigned_last, proxies
             FROM tk_nas_signing ORDER BY network, source";
        let rows = fetch!(self.db(), read, "tk_nas_signing", sql, [], read)?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Notes what a source was seen to do, in the place of what was noted. Where it is `known` and the row is gone,
    /// an operator has deleted it a moment ago, and it does not come back.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn note_signing(&self, seen: &Readiness, known: bool) -> Result<(), StoreError> {
        let (network, source) = (seen.network.to_string(), seen.source.to_string());
        if !known {
            let insert = self.db().pick("INSERT OR IGNORE", "INSERT", "INSERT IGNORE");
            let conflict = self.db().pick("", "ON CONFLICT DO NOTHING", "");
            let sql = format!("{insert} INTO tk_nas_signing (network, source) VALUES (?, ?) {conflict}");
            execute!(self.db(), write, "tk_nas_signing", &sql, [&network, &source])?;
        }
        let unix = |at: Option<UnixTime>| at.map_or(0, |at| at.0);
        let Signing { signed_since, signed_last, unsigned_since, unsigned_last, proxies } = seen.signing;
        let sql = "UPDATE tk_nas_signing SET signed_since = ?, signed_last = ?, unsigned_since = ?,
                 unsigned_last = ?, proxies = ? WHERE network = ? AND source = ?";
        execute!(
            self.db(),
            write,
            "tk_nas_signing",
            sql,
            [
                unix(signed_since),
                unix(signed_last),
                unix(unsigned_since),
                unix(unsigned_last),
                proxies.map_or(-1, i64::from),
                &network,
                &source,
            ]
        )
        .map(drop)
    }
}

/// `None`: a row that somebody else wrote, and that says nothing.
fn read(row: &dyn Columns) -> Result<Option<Readiness>, sqlx::Error> {
    let (network, source) = (row.word(0)?.parse(), row.word(1)?.parse::<IpAddr>());
    let time = |column| Ok::<_, sqlx::Error>(row.time(column)?.filter(|at| at.0 > 0));
    let signing = Signing {
        signed_since: time(2)?,
        signed_last: time(3)?,
        unsigned_since: time(4)?,
        unsigned_last: time(5)?,
        proxies: row.int(6)?.filter(|flag| *flag >= 0).map(|flag| flag > 0),
    };
    Ok(network.ok().zip(source.ok()).map(|(network, source)| Readiness { network, source, signing }))
}
