//! Areas, streets and blocks, where subscribers live, and who collects from whom.

use super::create::home;
use super::tx::{Bind, Tx};
use super::{Author, Event, audit, within};
use crate::domain::operator::Scope;
use crate::domain::{Amount, Location, Place, PlaceKind, SubscriberId, Visit};
use crate::store::db::Columns;
use crate::store::{Store, StoreError};

/// Why a place was not made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceObstacle {
    /// There is no such place.
    Missing,
    /// What it is to belong to is not there.
    NoParent,
    /// Its parent has one of that name.
    Taken,
}

/// A place to be made, or to be named anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceEdit<'a> {
    /// What kind of place.
    pub kind: PlaceKind,
    /// Its number, if it is there already.
    pub id: Option<i64>,
    /// The number of the area or street it belongs to; of an area `None`.
    pub parent: Option<i64>,
    /// Its name. A new area belongs to the account that asks.
    pub name: &'a str,
}

/// Where a subscriber is to live; `None` stays, `Some(None)` is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationEdit {
    /// Degrees.
    pub latitude: Option<Option<String>>,
    /// Degrees.
    pub longitude: Option<Option<String>>,
    /// Number of an area.
    pub area: Option<Option<i64>>,
    /// Number of a street.
    pub street: Option<Option<i64>>,
    /// Number of a block.
    pub block: Option<Option<i64>>,
}

/// Table and column of the parent.
const fn table(kind: PlaceKind) -> (&'static str, &'static str) {
    match kind {
        PlaceKind::Area => ("tk_area", "account_id"),
        PlaceKind::Street => ("tk_street", "area_id"),
        PlaceKind::Block => ("tk_block", "street_id"),
    }
}

impl Store {
    /// Makes a place, or gives one another name and parent; gives its number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn put_place(
        &self,
        edit: PlaceEdit<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<i64, PlaceObstacle>, StoreError> {
        let PlaceEdit { kind, id, parent, name } = edit;
        let mut tx = Tx::begin(self.db()).await?;
        let mut account = home(&mut tx, scope).await?.unwrap_or(0);
        let (table, column) = table(kind);
        if let (Some(above), Some(number)) = (kind.parent(), parent) {
            match owner(&mut tx, above, number, scope).await? {
                None => return Ok(Err(PlaceObstacle::NoParent)),
                Some(own) => account = own,
            }
        }
        let parent = parent.unwrap_or(account);
        if let Some(id) = id {
            match owner(&mut tx, kind, id, scope).await? {
                None => return Ok(Err(PlaceObstacle::Missing)),
                Some(own) if kind == PlaceKind::Area => account = own,
                Some(_) => {}
            }
        }
        let parent = if kind == PlaceKind::Area { account } else { parent };
        let sql = format!("SELECT id FROM {table} WHERE {column} = ? AND name = ? AND id <> ?");
        let binds = [Bind::Int(parent), Bind::Text(name), Bind::Int(id.unwrap_or(0))];
        if !tx.fetch(table, &sql, &binds, |row| row.number(0)).await?.is_empty() {
            return Ok(Err(PlaceObstacle::Taken));
        }
        let verb = if id.is_some() { "set" } else { "add" };
        let id = match id {
            Some(id) => {
                let sql = format!("UPDATE {table} SET name = ?, {column} = ? WHERE id = ?");
                tx.run(table, &sql, &[Bind::Text(name), Bind::Int(parent), Bind::Int(id)]).await?;
                id
            }
            None if kind == PlaceKind::Area => {
                let sql = "INSERT INTO tk_area (account_id, name) VALUES (?, ?)";
                tx.insert(table, sql, &[Bind::Int(account), Bind::Text(name)]).await?
            }
            None => {
                let sql = format!("INSERT INTO {table} (account_id, {column}, name) VALUES (?, ?, ?)");
                tx.insert(table, &sql, &[Bind::Int(account), Bind::Int(parent), Bind::Text(name)]).await?
            }
        };
        let event =
            Event { object: kind.as_str(), id: Some(id), verb, old: None, new: Some(name.to_owned()) };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(id))
    }

    /// The places of a kind by number, those of one parent if that is said.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn places(
        &self,
        kind: PlaceKind,
        parent: Option<i64>,
        scope: &Scope,
    ) -> Result<Vec<Place>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let (table, column) = table(kind);
        let of = if parent.is_some() { format!("p.{column} = ?") } else { "? = 0".to_owned() };
        let sql = format!(
            "SELECT p.id, COALESCE(a.name, ''), p.{column}, p.name, p.internal FROM {table} p
             LEFT JOIN tk_account a ON a.id = p.account_id WHERE {of}{} ORDER BY p.id",
            within(scope, "p.account_id")
        );
        tx.fetch(table, &sql, &[Bind::Int(parent.unwrap_or(0))], |row| {
            Ok(Place {
                id: row.number(0)?,
                account: row.word(1)?,
                parent: if kind == PlaceKind::Area { None } else { row.int(2)? },
                name: row.word(3)?,
                internal: row.text(4)?,
            })
        })
        .await
    }

    /// Where some subscribers live.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn location(&self, subscriber: SubscriberId) -> Result<Location, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!("SELECT {LOCATION} FROM tk_location l {PLACES} WHERE l.subscriber_id = ?");
        let found = tx.fetch("tk_location", &sql, &[Bind::Int(subscriber.0)], |row| location(row, 0)).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Assigns a subscriber to the operator who collects from it. `Ok(false)`: there is no such operator.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn assign_collector(
        &self,
        subscriber: SubscriberId,
        admin: i64,
        scope: &Scope,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        if !is_operator(&mut tx, admin, scope).await? {
            return Ok(false);
        }
        let sql = "DELETE FROM tk_collection_assign WHERE subscriber_id = ?";
        tx.run("tk_collection_assign", sql, &[Bind::Int(subscriber.0)]).await?;
        let sql = "INSERT INTO tk_collection_assign (subscriber_id, admin_id, at) VALUES (?, ?, ?)";
        let binds = [Bind::Int(subscriber.0), Bind::Int(admin), Bind::Int(author.at.0)];
        tx.run("tk_collection_assign", sql, &binds).await?;
        let new = Some(format!("collector {admin}"));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "assign", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whom an operator is to visit, by area and number. `Ok(None)`: there is no such operator.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn visits(
        &self,
        admin: i64,
        area: Option<i64>,
        only_debtors: bool,
        scope: &Scope,
    ) -> Result<Option<Vec<Visit>>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        if !is_operator(&mut tx, admin, scope).await? {
            return Ok(None);
        }
        let text = tx.pick("TEXT", "text", "CHAR");
        let of = if area.is_some() { "l.area_id = ?" } else { "? = 0" };
        let sql = format!(
            "SELECT {} FROM tk_collection_assign c JOIN tk_subscriber s ON s.id = c.subscriber_id {VISIT_JOINS}
             WHERE c.admin_id = ? AND s.status <> 'deleted' AND {of}{} ORDER BY l.area_id, s.id",
            visit_columns(text),
            within(scope, "s.account_id")
        );
        let binds = [Bind::Int(admin), Bind::Int(area.unwrap_or(0))];
        let mut found = tx.fetch("tk_collection_assign", &sql, &binds, |row| visit(row, 0)).await?;
        if only_debtors {
            found.retain(|visit| visit.due.is_some_and(|due| due > Amount::ZERO));
        }
        Ok(Some(found))
    }
}

/// Writes where a subscriber lives. A place that is not there, or not within the scope, is an obstacle.
pub(super) async fn put_location(
    tx: &mut Tx<'_>,
    subscriber: i64,
    edit: &LocationEdit,
    scope: &Scope,
) -> Result<Result<(), PlaceKind>, StoreError> {
    let places =
        [(PlaceKind::Area, edit.area), (PlaceKind::Street, edit.street), (PlaceKind::Block, edit.block)];
    if let Err(kind) = known_places(tx, edit, scope).await? {
        return Ok(Err(kind));
    }
    if *edit == LocationEdit::default() {
        return Ok(Ok(()));
    }
    let (insert, conflict) =
        tx.pick(("INSERT OR IGNORE", ""), ("INSERT", " ON CONFLICT DO NOTHING"), ("INSERT IGNORE", ""));
    let sql = format!("{insert} INTO tk_location (subscriber_id) VALUES (?){conflict}");
    tx.run("tk_location", &sql, &[Bind::Int(subscriber)]).await?;
    let texts = [("latitude", &edit.latitude), ("longitude", &edit.longitude)];
    for (column, asked) in texts {
        if let Some(value) = asked {
            let sql = format!("UPDATE tk_location SET {column} = ? WHERE subscriber_id = ?");
            tx.run("tk_location", &sql, &[Bind::MaybeText(value.as_deref()), Bind::Int(subscriber)]).await?;
        }
    }
    for (kind, asked) in places {
        if let Some(value) = asked {
            let sql = format!("UPDATE tk_location SET {}_id = ? WHERE subscriber_id = ?", kind.as_str());
            tx.run("tk_location", &sql, &[Bind::MaybeInt(value), Bind::Int(subscriber)]).await?;
        }
    }
    Ok(Ok(()))
}

/// The account that a place belongs to, if it is there and within the scope.
async fn owner(tx: &mut Tx<'_>, kind: PlaceKind, id: i64, scope: &Scope) -> Result<Option<i64>, StoreError> {
    let (table, _) = table(kind);
    let sql = format!("SELECT account_id FROM {table} WHERE id = ?");
    let found = tx.fetch(table, &sql, &[Bind::Int(id)], |row| row.number(0)).await?;
    Ok(found.into_iter().next().filter(|account| scope.includes(*account)))
}

async fn is_operator(tx: &mut Tx<'_>, id: i64, scope: &Scope) -> Result<bool, StoreError> {
    let sql = "SELECT account_id FROM tk_admin WHERE id = ?";
    let found = tx.fetch("tk_admin", sql, &[Bind::Int(id)], |row| row.number(0)).await?;
    Ok(found.first().is_some_and(|account| scope.includes(*account)))
}

const LOCATION: &str =
    "l.latitude, l.longitude, l.area_id, ar.name, l.street_id, st.name, l.block_id, bl.name";

const PLACES: &str = "LEFT JOIN tk_area ar ON ar.id = l.area_id LEFT JOIN tk_street st ON st.id = l.street_id
    LEFT JOIN tk_block bl ON bl.id = l.block_id";

fn location(row: &dyn Columns, first: usize) -> Result<Location, sqlx::Error> {
    let place = |column: usize| Ok::<_, sqlx::Error>(row.int(column)?.zip(row.text(column + 1)?));
    Ok(Location {
        latitude: row.text(first)?,
        longitude: row.text(first + 1)?,
        area: place(first + 2)?,
        street: place(first + 4)?,
        block: place(first + 6)?,
    })
}

/// What [`visit`] reads, of a subscriber called `s`.
pub(super) fn visit_columns(text: &str) -> String {
    format!(
        "s.id, COALESCE(a.name, ''), CAST(w.balance AS {text}), COALESCE(k.title, ''), COALESCE(k.first_name, ''),
         COALESCE(k.last_name, ''), COALESCE(k.phone, ''), COALESCE(k.email, ''), COALESCE(k.address1, ''),
         COALESCE(k.address2, ''), {LOCATION}"
    )
}

/// How many columns [`visit_columns`] are.
pub(super) const VISIT_COLUMNS: usize = 18;

pub(super) const VISIT_JOINS: &str = "LEFT JOIN tk_account a ON a.id = s.account_id
    LEFT JOIN tk_contact k ON k.subscriber_id = s.id
    LEFT JOIN tk_wallet w ON w.subscriber_id = s.id AND w.kind = 'due'
    LEFT JOIN tk_location l ON l.subscriber_id = s.id
    LEFT JOIN tk_area ar ON ar.id = l.area_id LEFT JOIN tk_street st ON st.id = l.street_id
    LEFT JOIN tk_block bl ON bl.id = l.block_id";

pub(super) fn visit(row: &dyn Columns, first: usize) -> Result<Visit, sqlx::Error> {
    Ok(Visit {
        subscriber: SubscriberId(row.number(first)?),
        account: row.word(first + 1)?,
        due: row.text(first + 2)?.and_then(|text| Amount::parse(&text)),
        title: row.word(first + 3)?,
        first: row.word(first + 4)?,
        last: row.word(first + 5)?,
        phone: row.word(first + 6)?,
        email: row.word(first + 7)?,
        address1: row.word(first + 8)?,
        address2: row.word(first + 9)?,
        location: location(row, first + 10)?,
    })
}

impl Store {
    /// Says where a subscriber lives. `Ok(Err)`: there is no such place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_location(
        &self,
        subscriber: SubscriberId,
        edit: &LocationEdit,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), PlaceKind>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        if let Err(kind) = put_location(&mut tx, subscriber.0, edit, scope).await? {
            return Ok(Err(kind));
        }
        let event =
            Event { object: "subscriber", id: Some(subscriber.0), verb: "location", old: None, new: None };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Are the places of an edit there?
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check_location(
        &self,
        edit: &LocationEdit,
        scope: &Scope,
    ) -> Result<Result<(), PlaceKind>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        known_places(&mut tx, edit, scope).await
    }
}

async fn known_places(
    tx: &mut Tx<'_>,
    edit: &LocationEdit,
    scope: &Scope,
) -> Result<Result<(), PlaceKind>, StoreError> {
    let places =
        [(PlaceKind::Area, edit.area), (PlaceKind::Street, edit.street), (PlaceKind::Block, edit.block)];
    for (kind, asked) in places {
        if let Some(Some(id)) = asked
            && owner(tx, kind, id, scope).await?.is_none()
        {
            return Ok(Err(kind));
        }
    }
    Ok(Ok(()))
}
