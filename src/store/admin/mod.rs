//! What the management service reads and writes: one transaction and one row of `tk_audit` per change.
//!
//! A change of a `rad*` table goes to rows by their number, found by comparing names octet for
//! octet here, since a database may take `Bob` for `bob`. One file per noun; `tx` runs their texts.

mod accounts;
mod adopt;
mod api_sessions;
mod attributes;
mod collections;
mod contacts;
mod create;
mod credit;
mod customers;
mod dalo;
mod dues;
mod fups;
mod groups;
mod isp;
mod limits;
mod messages;
mod nas;
mod operators;
mod orders;
mod passwords;
mod people;
mod places;
mod plans;
mod portraits;
mod quotas;
mod rename;
mod renewals;
mod signing_keys;
mod subscribers;
mod tenure;
pub(super) mod tx;

pub use accounts::{
    AccountEdit, AccountObstacle, AccountRow, MoneyEdit, NewBatch, NewDeviceLogin, PlanValues,
};
pub use adopt::{Adopted, Survey};
pub use api_sessions::ApiSession;
pub use attributes::{AttributeChange, AttributePut, PutRow};
pub use collections::CollectionObstacle;
pub use create::NewSubscriber;
pub use credit::{
    ChargeUsage, CreditChange, CreditObstacle, CreditRecord, LedgerEntry, RuleObstacle, WalletOrder,
};
pub use customers::{CustomerChange, NewCustomers, Refresh, WalletChange};
pub use fups::FupObstacle;
pub use isp::AccountRecord;
pub use limits::{Figure, LimitEdit, OwnEdit, QuotaEdit};
pub use nas::{NasChange, NasEntry, NewNas};
pub use operators::{KeySecret, NewKey, NewOperator, OperatorSecret, Place};
pub use passwords::{Recode, Recoded};
pub use places::{LocationEdit, PlaceEdit, PlaceObstacle};
pub use plans::PlanDraft;
pub use portraits::{PlanHead, Sketch, Whose};
pub use quotas::{NewQuota, NewTopUp, QuotaOwner, Sale};
pub use renewals::{DueChange, PlanMove, PutOff};
pub use signing_keys::{SigningKey, SigningKeys};
pub use subscribers::{AttributeEdit, CredentialEdit, SubscriberEdit, SubscriberObstacle, SubscriberRecord};
pub use tenure::{NewDevice, NewExpiry, RuleOwner};

use std::borrow::Cow;
use std::collections::HashMap;

pub(super) use credit::{charge_rule, rule_columns};

use tx::{Bind, Tx};

use super::StoreError;
use crate::domain::AttributeRow;
use crate::domain::operator::{Dialect, Scope};
use crate::time::UnixTime;

/// Who changes something, and when: the constant part of a row of `tk_audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Login or key id; the name of the operating system's user for the command line.
    pub name: String,
    /// By which language.
    pub dialect: Dialect,
    /// Address that it came from; empty for the command line.
    pub remote: String,
    /// When.
    pub at: UnixTime,
}

impl Author {
    /// What `created_by` and `updated_by` of a subscriber say. Clients of mFusion know these words, whichever
    /// key was used; the audit has the key.
    #[must_use]
    pub fn signature(&self) -> &str {
        match self.dialect {
            Dialect::Mfusion => "RADIUS API",
            Dialect::Antamedia | Dialect::Jaze | Dialect::Ibsng | Dialect::Native | Dialect::Cli => {
                &self.name
            }
        }
    }
}

/// An attribute as it is written into a table of attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttribute {
    /// Name as the dictionary spells it.
    pub attribute: String,
    /// FreeRADIUS's operator.
    pub op: String,
    /// Value as the table holds it.
    pub value: String,
}

/// Condition of `radacct r`: sessions of a login, but for those of another subscriber who had it before. Binds
/// the login and the number of whose they are.
const SESSIONS_OF: &str = "r.username = ? AND NOT EXISTS (SELECT 1 FROM tk_session o
    WHERE o.unique_id = r.acctuniqueid AND o.subscriber_id <> ?)";

impl NewAttribute {
    /// An attribute.
    #[must_use]
    pub fn new(attribute: &str, op: &str, value: impl Into<String>) -> Self {
        Self { attribute: attribute.to_owned(), op: op.to_owned(), value: value.into() }
    }
}

/// What happened to what, for `tk_audit`.
struct Event<'a> {
    object: &'a str,
    id: Option<i64>,
    verb: &'a str,
    old: Option<String>,
    new: Option<String>,
}

async fn audit(tx: &mut Tx<'_>, author: &Author, event: Event<'_>) -> Result<(), StoreError> {
    tx.run(
        "tk_audit",
        "INSERT INTO tk_audit (at, actor, dialect, object, object_id, attribute, old_value, new_value, remote_addr)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            Bind::Int(author.at.0),
            Bind::Text(&author.name),
            Bind::Text(author.dialect.as_str()),
            Bind::Text(event.object),
            Bind::MaybeInt(event.id),
            Bind::Text(event.verb),
            Bind::MaybeText(event.old.as_deref()),
            Bind::MaybeText(event.new.as_deref()),
            Bind::Text(&author.remote),
        ],
    )
    .await
    .map(drop)
}

/// The rows of `tk_audit` of subscribers that are made together: their numbers, and what they are.
async fn audit_added(tx: &mut Tx<'_>, author: &Author, added: &[(i64, String)]) -> Result<(), StoreError> {
    let added: Vec<_> = added.iter().map(|(id, said)| (*id, None, said.clone())).collect();
    audit_all(tx, author, "add", &added).await
}

/// The rows of `tk_audit` of subscribers to whom the same happens: their numbers, what was, and what is.
async fn audit_all(
    tx: &mut Tx<'_>,
    author: &Author,
    verb: &str,
    events: &[(i64, Option<String>, String)],
) -> Result<(), StoreError> {
    let rows: Vec<_> = events
        .iter()
        .map(|(id, old, new)| {
            [
                Bind::Int(author.at.0),
                Bind::Text(&author.name),
                Bind::Text(author.dialect.as_str()),
                Bind::Text("subscriber"),
                Bind::Int(*id),
                Bind::Text(verb),
                Bind::MaybeText(old.as_deref()),
                Bind::Text(new.trim_end()),
                Bind::Text(&author.remote),
            ]
        })
        .collect();
    let head = "INSERT INTO tk_audit (at, actor, dialect, object, object_id, attribute, old_value, new_value, remote_addr)";
    tx.insert_rows("tk_audit", head, &rows).await
}

/// ` AND column IN (…)` that keeps to the accounts of a scope. Numbers only, so nothing is bound.
pub(super) fn within(scope: &Scope, column: &str) -> String {
    match scope {
        Scope::Everything => String::new(),
        Scope::Accounts(accounts) => {
            let numbers: Vec<String> = accounts.iter().map(ToString::to_string).collect();
            format!(" AND {column} IN ({})", numbers.join(", "))
        }
    }
}

/// The number of an account by its name.
async fn account(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    let found = tx
        .fetch("tk_account", "SELECT id FROM tk_account WHERE name = ?", &[Bind::Text(name)], |row| {
            row.number(0)
        })
        .await?;
    Ok(found.into_iter().next())
}

/// A table of attributes of subscribers or groups: its name and what its rows belong to.
#[derive(Clone, Copy, Debug)]
struct AttributeTable {
    name: &'static str,
    owner: &'static str,
}

const RADCHECK: AttributeTable = AttributeTable { name: "radcheck", owner: "username" };
const RADREPLY: AttributeTable = AttributeTable { name: "radreply", owner: "username" };
const RADGROUPCHECK: AttributeTable = AttributeTable { name: "radgroupcheck", owner: "groupname" };
const RADGROUPREPLY: AttributeTable = AttributeTable { name: "radgroupreply", owner: "groupname" };

/// What becomes of the rows of one owner.
struct OwnedRows<'a> {
    owner: &'a str,
    /// Names whose rows go, each owner's once.
    remove: Vec<&'a str>,
    add: &'a [NewAttribute],
}

impl AttributeTable {
    async fn rows(self, tx: &mut Tx<'_>, owner: &str) -> Result<Vec<AttributeRow>, StoreError> {
        let Self { name, owner: column } = self;
        let sql =
            format!("SELECT id, attribute, op, value, {column} FROM {name} WHERE {column} = ? ORDER BY id");
        let rows = tx
            .fetch(name, &sql, &[Bind::Text(owner)], |row| {
                let attribute = AttributeRow {
                    id: row.number(0)?,
                    attribute: row.word(1)?,
                    op: row.word(2)?,
                    value: row.word(3)?,
                };
                Ok((row.word(4)?, attribute))
            })
            .await?;
        let own = rows.into_iter().filter(|(exact, _)| exact == owner);
        Ok(own
            .map(|(_, mut row)| {
                tx.db().reveal(&mut row);
                row
            })
            .collect())
    }

    /// The row as it is written: a password is hidden where there is a key.
    fn written<'a>(self, tx: &Tx<'_>, item: &'a NewAttribute) -> Result<Cow<'a, NewAttribute>, StoreError> {
        if self.name == RADCHECK.name { tx.db().hidden(item) } else { Ok(Cow::Borrowed(item)) }
    }

    /// Adds a row; gives its number.
    async fn add(self, tx: &mut Tx<'_>, owner: &str, item: &NewAttribute) -> Result<i64, StoreError> {
        let Self { name, owner: column } = self;
        let item = self.written(tx, item)?;
        let sql = format!("INSERT INTO {name} ({column}, attribute, op, value) VALUES (?, ?, ?, ?)");
        let binds =
            [Bind::Text(owner), Bind::Text(&item.attribute), Bind::Text(&item.op), Bind::Text(&item.value)];
        tx.insert(name, &sql, &binds).await
    }

    async fn delete(self, tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
        tx.run(self.name, &format!("DELETE FROM {} WHERE id = ?", self.name), &[Bind::Int(id)])
            .await
            .map(drop)
    }

    async fn delete_all(self, tx: &mut Tx<'_>, owner: &str) -> Result<(), StoreError> {
        for row in self.rows(tx, owner).await? {
            self.delete(tx, row.id).await?;
        }
        Ok(())
    }

    /// Puts `items` in the place of all rows with the same attribute names; gives how many there were.
    async fn replace(
        self,
        tx: &mut Tx<'_>,
        owner: &str,
        items: &[NewAttribute],
    ) -> Result<usize, StoreError> {
        let names: Vec<&str> = items.iter().map(|item| item.attribute.as_str()).collect();
        let gone = self.remove(tx, owner, &names).await?;
        for item in items {
            self.add(tx, owner, item).await?;
        }
        Ok(gone)
    }

    /// Removes rows and adds some, for many owners together: all rows with the names that are to be removed go.
    async fn replace_all(self, tx: &mut Tx<'_>, edits: &[OwnedRows<'_>]) -> Result<(), StoreError> {
        let Self { name, owner: column } = self;
        let removing: HashMap<&str, &[&str]> = edits
            .iter()
            .filter(|edit| !edit.remove.is_empty())
            .map(|edit| (edit.owner, edit.remove.as_slice()))
            .collect();
        let owners: Vec<Bind<'_>> = removing.keys().map(|owner| Bind::Text(owner)).collect();
        let sql = format!("SELECT id, attribute, {column} FROM {name} WHERE {column} IN ({{}})");
        let rows = tx.fetch_in(name, &sql, &owners, |row| Ok((row.number(0)?, row.word(1)?, row.word(2)?)));
        let gone: Vec<Bind<'_>> = rows
            .await?
            .iter()
            .filter(|(_, attribute, owner)| {
                let names = removing.get(owner.as_str()).copied().unwrap_or_default();
                names.iter().any(|name| name.eq_ignore_ascii_case(attribute))
            })
            .map(|(id, ..)| Bind::Int(*id))
            .collect();
        tx.run_in(name, &format!("DELETE FROM {name} WHERE id IN ({{}})"), &gone).await?;
        let mut items = Vec::new();
        for edit in edits {
            for item in edit.add {
                items.push((edit.owner, self.written(tx, item)?));
            }
        }
        let rows: Vec<_> = items
            .iter()
            .map(|(owner, item)| {
                [
                    Bind::Text(owner),
                    Bind::Text(&item.attribute),
                    Bind::Text(&item.op),
                    Bind::Text(&item.value),
                ]
            })
            .collect();
        tx.insert_rows(name, &format!("INSERT INTO {name} ({column}, attribute, op, value)"), &rows).await
    }

    /// Removes all rows with these attribute names; gives how many there were.
    async fn remove(self, tx: &mut Tx<'_>, owner: &str, names: &[&str]) -> Result<usize, StoreError> {
        if names.is_empty() {
            return Ok(0);
        }
        let mut gone = 0;
        for row in self.rows(tx, owner).await? {
            if names.iter().any(|name| name.eq_ignore_ascii_case(&row.attribute)) {
                self.delete(tx, row.id).await?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}
