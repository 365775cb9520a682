//! `tk_contact`: who subscribers are to people.

use super::tx::{Bind, Tx};
use crate::domain::{Contact, ContactField};
use crate::store::StoreError;
use crate::store::db::Columns;

/// The columns, for a SELECT in which the table is called `c`.
pub(super) fn columns() -> String {
    ContactField::ALL.map(|field| format!("c.{}", field.column())).join(", ")
}

/// Reads those columns, the first of which is at `place`.
pub(super) fn read(row: &dyn Columns, place: usize) -> Result<Contact, sqlx::Error> {
    let mut contact = Contact::default();
    for (place, field) in (place..).zip(ContactField::ALL) {
        if let Some(value) = row.text(place)? {
            contact.set(field, value);
        }
    }
    Ok(contact)
}

/// Writes the contacts of subscribers that have none yet.
pub(super) async fn add(tx: &mut Tx<'_>, contacts: &[(i64, &Contact)]) -> Result<(), StoreError> {
    let rows: Vec<[Bind<'_>; COLUMNS]> = contacts
        .iter()
        .filter(|(_, contact)| !contact.is_empty())
        .map(|(id, contact)| {
            let mut row = [Bind::Int(*id); COLUMNS];
            for (place, field) in row.iter_mut().skip(1).zip(ContactField::ALL) {
                *place = Bind::MaybeText(contact.get(field));
            }
            row
        })
        .collect();
    let names = ContactField::ALL.map(ContactField::column).join(", ");
    tx.insert_rows("tk_contact", &format!("INSERT INTO tk_contact (subscriber_id, {names})"), &rows).await
}

/// Changes fields of a subscriber's contact; an empty value clears one.
pub(super) async fn set(
    tx: &mut Tx<'_>,
    id: i64,
    fields: &[(ContactField, String)],
) -> Result<(), StoreError> {
    if fields.is_empty() {
        return Ok(());
    }
    let (insert, conflict) =
        tx.pick(("INSERT OR IGNORE", ""), ("INSERT", " ON CONFLICT DO NOTHING"), ("INSERT IGNORE", ""));
    let row = format!("{insert} INTO tk_contact (subscriber_id) VALUES (?){conflict}");
    tx.run("tk_contact", &row, &[Bind::Int(id)]).await?;
    let columns: Vec<String> = fields.iter().map(|(field, _)| format!("{} = ?", field.column())).collect();
    let sql = format!("UPDATE tk_contact SET {} WHERE subscriber_id = ?", columns.join(", "));
    let value = |value: &'_ String| (!value.is_empty()).then_some(());
    let mut binds: Vec<Bind<'_>> =
        fields.iter().map(|(_, text)| Bind::MaybeText(value(text).map(|()| text.as_str()))).collect();
    binds.push(Bind::Int(id));
    tx.run("tk_contact", &sql, &binds).await.map(drop)
}

/// The same of several.
pub(super) async fn set_all(
    tx: &mut Tx<'_>,
    ids: &[Bind<'_>],
    fields: &[(ContactField, String)],
) -> Result<(), StoreError> {
    if fields.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO tk_contact (subscriber_id) SELECT s.id FROM tk_subscriber s
         WHERE s.id IN ({}) AND NOT EXISTS (SELECT 1 FROM tk_contact c WHERE c.subscriber_id = s.id)";
    tx.run_in("tk_contact", sql, ids).await?;
    let columns: Vec<String> = fields.iter().map(|(field, _)| format!("{} = ?", field.column())).collect();
    let sql = format!("UPDATE tk_contact SET {} WHERE subscriber_id IN ({{}})", columns.join(", "));
    let value = |text: &'_ String| (!text.is_empty()).then_some(());
    let values: Vec<Bind<'_>> =
        fields.iter().map(|(_, text)| Bind::MaybeText(value(text).map(|()| text.as_str()))).collect();
    tx.run_for("tk_contact", &sql, &values, ids).await
}

/// The key and every field.
const COLUMNS: usize = 1 + ContactField::ALL.len();
