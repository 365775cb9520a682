//! Another login for a subscriber: every row that names it follows, closed sessions excepted.

use super::create::taken;
use super::subscribers::Located;
use super::tx::{Bind, Tx};
use crate::store::StoreError;

/// Gives a subscriber another login; gives the login where somebody has it. Open sessions go on as the
/// subscriber's: running servers follow the change feed, others find the rows renamed. What is closed
/// keeps the name it had.
pub(super) async fn rename(
    tx: &mut Tx<'_>,
    located: &mut Located,
    login: &str,
) -> Result<Option<String>, StoreError> {
    if let Some(taken) = taken(tx, &[login]).await? {
        return Ok(Some(taken));
    }
    let (new, old) = (Bind::Text(login), Bind::Text(&located.login));
    tx.run(
        "tk_subscriber",
        "UPDATE tk_subscriber SET username = ? WHERE id = ?",
        &[new, Bind::Int(located.id)],
    )
    .await?;
    for table in ["radcheck", "radreply", "radusergroup"] {
        let exact = tx.pick("", "", " AND CAST(username AS BINARY) = CAST(? AS BINARY)");
        let sql = format!("UPDATE {table} SET username = ? WHERE username = ?{exact}");
        let binds = [new, old, old];
        tx.run(table, &sql, binds.get(..tx.pick(2, 2, 3)).unwrap_or(&binds)).await?;
    }
    // Another subscriber, who had the login before, may still have a session of that name.
    let exact = tx.pick("", "", " AND CAST(username AS BINARY) = CAST(? AS BINARY)");
    let sql = format!(
        "UPDATE radacct SET username = ? WHERE username = ? AND acctstoptime IS NULL
         AND NOT EXISTS (SELECT 1 FROM tk_session t
             WHERE t.unique_id = radacct.acctuniqueid AND t.subscriber_id <> ?){exact}"
    );
    let binds = [new, old, Bind::Int(located.id), old];
    tx.run("radacct", &sql, binds.get(..tx.pick(3, 3, 4)).unwrap_or(&binds)).await?;
    located.login = login.into();
    Ok(None)
}
