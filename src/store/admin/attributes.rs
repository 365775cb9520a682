//! Single attributes of a subscriber, and who wrote them (`tk_attr_source`).

use super::people;
use super::subscribers::{Located, SubscriberObstacle, column, locate, touch};
use super::tx::{Bind, Tx};
use super::{AttributeTable, Author, Event, NewAttribute, RADCHECK, RADREPLY, audit};
use crate::domain::operator::Scope;
use crate::domain::{Person, Who};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// An attribute that takes the place of all rows of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePut {
    /// Its row.
    pub item: NewAttribute,
    /// It is a check item, not one that is sent.
    pub is_check: bool,
}

/// What became of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRow {
    /// Number of the row, in its own table.
    pub row: i64,
    /// There was one before.
    pub replaced: bool,
}

impl Store {
    /// Puts attributes in the place of rows of the same name; gives the subscriber as it is then.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn put_attributes(
        &self,
        who: Who<'_>,
        items: &[AttributePut],
        change: &AttributeChange<'_>,
    ) -> Result<Result<(Person, Vec<PutRow>), SubscriberObstacle>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, who, change.scope, change.author).await? else {
            return Ok(Err(SubscriberObstacle::NoSubscriber));
        };
        let mut rows = Vec::with_capacity(items.len());
        for put in items {
            let table = if put.is_check { RADCHECK } else { RADREPLY };
            rows.push(put_one(&mut tx, table, &located.login, &put.item, change.author).await?);
        }
        let person = finish(&mut tx, &located, "attributes", change, order).await?;
        tx.commit().await?;
        Ok(person.map(|person| (person, rows)))
    }

    /// Removes all rows of these names; says of each whether there were any, and gives the subscriber as it
    /// is then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn drop_attributes(
        &self,
        who: Who<'_>,
        names: &[&str],
        change: &AttributeChange<'_>,
    ) -> Result<Result<(Person, Vec<bool>), SubscriberObstacle>, StoreError> {
        let order = self.group_order()?;
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, who, change.scope, change.author).await? else {
            return Ok(Err(SubscriberObstacle::NoSubscriber));
        };
        let mut gone = Vec::with_capacity(names.len());
        for name in names {
            let mut any = false;
            for table in [RADCHECK, RADREPLY] {
                for row in table.rows(&mut tx, &located.login).await? {
                    if name.eq_ignore_ascii_case(&row.attribute) {
                        remove(&mut tx, table, row.id).await?;
                        any = true;
                    }
                }
            }
            gone.push(any);
        }
        let person = if gone.contains(&true) {
            finish(&mut tx, &located, "attributes", change, order).await?
        } else {
            people::read_located(&mut tx, &located, order).await?.ok_or(SubscriberObstacle::NoSubscriber)
        };
        tx.commit().await?;
        Ok(person.map(|person| (person, gone)))
    }
}

/// Who changes attributes, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct AttributeChange<'a> {
    /// What the operator sees.
    pub scope: &'a Scope,
    /// Who it is.
    pub author: &'a Author,
    /// When the subscription ends by them, if they say; `Some(None)` is never.
    pub expires: Option<Option<UnixTime>>,
    /// For the audit: what was asked, without secrets.
    pub summary: &'a str,
}

async fn finish(
    tx: &mut Tx<'_>,
    located: &Located,
    verb: &str,
    change: &AttributeChange<'_>,
    order: &str,
) -> Result<Result<Person, SubscriberObstacle>, StoreError> {
    if let Some(expires) = change.expires {
        column(tx, "expires_at", located.id, Bind::MaybeInt(expires.map(|at| at.0))).await?;
    }
    touch(tx, located.id, change.author).await?;
    let new = Some(format!("{} {}", located.login, change.summary));
    audit(tx, change.author, Event { object: "subscriber", id: Some(located.id), verb, old: None, new })
        .await?;
    let person = people::read_located(tx, located, order).await?;
    Ok(person.ok_or(SubscriberObstacle::NoSubscriber))
}

/// One row of that name, with this value; its number stays where there was one.
async fn put_one(
    tx: &mut Tx<'_>,
    table: AttributeTable,
    login: &str,
    item: &NewAttribute,
    author: &Author,
) -> Result<PutRow, StoreError> {
    let rows = table.rows(tx, login).await?;
    let mut same = rows.iter().filter(|row| row.attribute.eq_ignore_ascii_case(&item.attribute));
    let item = table.written(tx, item)?;
    let name = table.name;
    let put = match same.next() {
        Some(row) => {
            let sql = format!("UPDATE {name} SET attribute = ?, op = ?, value = ? WHERE id = ?");
            let binds = [
                Bind::Text(&item.attribute),
                Bind::Text(&item.op),
                Bind::Text(&item.value),
                Bind::Int(row.id),
            ];
            tx.run(name, &sql, &binds).await?;
            for more in same {
                remove(tx, table, more.id).await?;
            }
            PutRow { row: row.id, replaced: true }
        }
        None => {
            let sql =
                format!("INSERT INTO {name} ({}, attribute, op, value) VALUES (?, ?, ?, ?)", table.owner);
            let binds = [
                Bind::Text(login),
                Bind::Text(&item.attribute),
                Bind::Text(&item.op),
                Bind::Text(&item.value),
            ];
            PutRow { row: tx.insert(name, &sql, &binds).await?, replaced: false }
        }
    };
    note_source(tx, table, put.row, author).await?;
    Ok(put)
}

async fn remove(tx: &mut Tx<'_>, table: AttributeTable, row: i64) -> Result<(), StoreError> {
    table.delete(tx, row).await?;
    let sql = "DELETE FROM tk_attr_source WHERE tbl = ? AND row_id = ?";
    tx.run("tk_attr_source", sql, &[Bind::Text(table.name), Bind::Int(row)]).await.map(drop)
}

async fn note_source(
    tx: &mut Tx<'_>,
    table: AttributeTable,
    row: i64,
    author: &Author,
) -> Result<(), StoreError> {
    let conflict = tx.pick(
        "ON CONFLICT (tbl, row_id) DO UPDATE SET dialect = excluded.dialect, admin = excluded.admin, at = excluded.at",
        "ON CONFLICT (tbl, row_id) DO UPDATE SET dialect = excluded.dialect, admin = excluded.admin, at = excluded.at",
        "ON DUPLICATE KEY UPDATE dialect = VALUES(dialect), admin = VALUES(admin), at = VALUES(at)",
    );
    let sql = format!(
        "INSERT INTO tk_attr_source (tbl, row_id, dialect, admin, at) VALUES (?, ?, ?, ?, ?) {conflict}"
    );
    let binds = [
        Bind::Text(table.name),
        Bind::Int(row),
        Bind::Text(author.dialect.as_str()),
        Bind::Text(&author.name),
        Bind::Int(author.at.0),
    ];
    tx.run("tk_attr_source", &sql, &binds).await.map(drop)
}
