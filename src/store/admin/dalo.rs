//! daloRADIUS's `userinfo` and `userbillinfo`: who subscribers are to people, taken over once.
//!
//! Releases differ in their columns, so only those that are there are read. Cards and the password of the
//! portal, which daloRADIUS keeps there too, are not.

use std::collections::{HashMap, HashSet};

use super::contacts;
use super::tx::{Bind, Tx};
use crate::domain::{Contact, ContactField};
use crate::store::schema::columns_of;
use crate::store::{FIRST_SIGHT, Store, StoreError};
use crate::time::UnixTime;

/// Columns of `userinfo` and the fields they are.
const USERINFO: [(&str, ContactField); 11] = [
    ("firstname", ContactField::First),
    ("lastname", ContactField::Last),
    ("email", ContactField::Email),
    ("company", ContactField::Company),
    ("workphone", ContactField::Phone),
    ("homephone", ContactField::AltPhone),
    ("mobilephone", ContactField::Mobile),
    ("address", ContactField::Address1),
    ("city", ContactField::City),
    ("state", ContactField::State),
    ("zip", ContactField::Zip),
];

/// Those of `userbillinfo`, where `userinfo` says nothing.
const USERBILLINFO: [(&str, ContactField); 8] = [
    ("company", ContactField::Company),
    ("email", ContactField::Email),
    ("phone", ContactField::Phone),
    ("address", ContactField::Address1),
    ("city", ContactField::City),
    ("state", ContactField::State),
    ("zip", ContactField::Zip),
    ("country", ContactField::Country),
];

/// Rows that are looked at at a time.
const PAGE: i64 = 500;
/// Columns of contacts hold so many characters.
const CHARACTERS_MAX: usize = 255;

/// What a row says of a subscriber.
struct Info {
    row: i64,
    subscriber: i64,
    contact: Contact,
    /// By daloRADIUS's operator, and when.
    created: (Option<UnixTime>, String),
    updated: (Option<UnixTime>, String),
}

impl Store {
    /// Takes over the contacts of subscribers that have none yet; gives how many had one.
    pub(super) async fn adopt_contacts(&self) -> Result<u64, StoreError> {
        let mut userinfo = USERINFO.to_vec();
        userinfo.push(("country", ContactField::Country));
        let mut adopted = 0;
        for (table, fields) in [("userinfo", &userinfo[..]), ("userbillinfo", &USERBILLINFO[..])] {
            let there: HashSet<String> = columns_of(self.db(), table).await?.into_keys().collect();
            if !there.contains("username") || !there.contains("id") {
                continue;
            }
            let mut after = 0;
            loop {
                let mut tx = Tx::begin(self.db()).await?;
                let rows = self.infos(&mut tx, table, &there, fields, after).await?;
                let Some(last) = rows.last() else { break };
                after = last.row;
                adopted += take(&mut tx, &rows).await?;
                tx.commit().await?;
            }
        }
        Ok(adopted)
    }

    async fn infos(
        &self,
        tx: &mut Tx<'_>,
        table: &'static str,
        there: &HashSet<String>,
        fields: &[(&str, ContactField)],
        after: i64,
    ) -> Result<Vec<Info>, StoreError> {
        let text = |column: &str| {
            if there.contains(column) { format!("u.{column}") } else { "NULL".to_owned() }
        };
        let time = |column: &str| {
            if there.contains(column) {
                self.db().seconds_of(&format!("u.{column}"))
            } else {
                "NULL".to_owned()
            }
        };
        let name = tx.pick("u.username", "u.username", "CAST(u.username AS BINARY)");
        let columns: Vec<String> = fields.iter().map(|(column, _)| text(column)).collect();
        let sql = format!(
            "SELECT u.id, s.id, {}, {}, {}, {}, {} FROM {table} u JOIN tk_subscriber s ON s.username = {name}
             WHERE u.id > ? ORDER BY u.id LIMIT ?",
            time("creationdate"),
            text("creationby"),
            time("updatedate"),
            text("updateby"),
            columns.join(", ")
        );
        tx.fetch(table, &sql, &[Bind::Int(after), Bind::Int(PAGE)], |row| {
            let mut contact = Contact::default();
            for (place, (_, field)) in (6..).zip(fields) {
                let value = row.word(place)?;
                contact.set(*field, value.trim().chars().take(CHARACTERS_MAX).collect::<String>());
            }
            let known = |at: Option<UnixTime>| at.filter(|at| at.0 > 0);
            Ok(Info {
                row: row.number(0)?,
                subscriber: row.number(1)?,
                contact,
                created: (known(row.time(2)?), row.word(3)?.into()),
                updated: (known(row.time(4)?), row.word(5)?.into()),
            })
        })
        .await
    }
}

/// Writes what is not known yet; gives how many subscribers had nothing before.
async fn take(tx: &mut Tx<'_>, rows: &[Info]) -> Result<u64, StoreError> {
    let ids: Vec<Bind<'_>> = rows.iter().map(|row| Bind::Int(row.subscriber)).collect();
    let sql = format!(
        "SELECT c.subscriber_id, {} FROM tk_contact c WHERE c.subscriber_id IN ({{}})",
        contacts::columns()
    );
    let known = tx.fetch_in("tk_contact", &sql, &ids, |row| Ok((row.number(0)?, contacts::read(row, 1)?)));
    let mut known: HashMap<i64, Contact> = known.await?.into_iter().collect();
    let mut adopted = 0;
    for row in rows {
        let before = known.entry(row.subscriber).or_default();
        let is_new = before.is_empty();
        let fields: Vec<(ContactField, String)> = row
            .contact
            .fields()
            .filter(|(field, _)| before.get(*field).is_none())
            .map(|(field, value)| (field, value.to_owned()))
            .collect();
        contacts::set(tx, row.subscriber, &fields).await?;
        for (field, value) in fields {
            before.set(field, value);
        }
        adopted += u64::from(is_new && !before.is_empty());
        for (columns, (at, by)) in [("created", &row.created), ("updated", &row.updated)] {
            let Some(at) = at else { continue };
            let sql = format!(
                "UPDATE tk_subscriber SET {columns}_at = ?, {columns}_by = ? WHERE id = ? AND {columns}_by = ?"
            );
            // What an operator of ours has done since is newer.
            let unknown = if columns == "created" { FIRST_SIGHT } else { "" };
            let by: String = by.chars().take(BY_CHARACTERS_MAX).collect();
            let binds = [Bind::Int(at.0), Bind::Text(&by), Bind::Int(row.subscriber), Bind::Text(unknown)];
            tx.run("tk_subscriber", &sql, &binds).await?;
        }
    }
    Ok(adopted)
}

/// Columns of names of operators hold so many characters.
const BY_CHARACTERS_MAX: usize = 190;
