//! Areas, streets and blocks, and the payments that are fetched there.

use super::error::ServiceError;
use super::management::Management;
use crate::domain::{
    Amount, CollectionStatus, NewCollection, Payment, PendingCollection, Place, PlaceKind, Visit,
};
use crate::store::{CollectionObstacle, PlaceEdit, PlaceObstacle};
use crate::time::UnixTime;

/// Characters of a name.
const NAME_MAX: usize = 190;
/// Characters of a note.
const NOTES_MAX: usize = 900;
/// Payments of a report.
const PAYMENTS_MAX: u32 = 1_000;

impl Management<'_> {
    /// Makes a place, or gives one another name and parent; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it or its parent; [`ServiceError::Conflict`] where its parent has one
    /// of that name; [`ServiceError::Invalid`].
    pub async fn put_place(
        &self,
        kind: PlaceKind,
        id: Option<i64>,
        parent: Option<i64>,
        name: &str,
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        text("name", name, NAME_MAX)?;
        let edit = PlaceEdit { kind, id, parent, name };
        let done = store.put_place(edit, self.scope(), &author).await?;
        let number = |id: Option<i64>| id.unwrap_or(0).to_string();
        done.map_err(|obstacle| match obstacle {
            PlaceObstacle::Missing => ServiceError::not_found(kind.as_str(), &number(id)),
            PlaceObstacle::NoParent => {
                ServiceError::not_found(kind.parent().map_or("account", PlaceKind::as_str), &number(parent))
            }
            PlaceObstacle::Taken => {
                ServiceError::Conflict { reason: format!("{} {name} exists already", kind.as_str()) }
            }
        })
    }

    /// The places of a kind by number, those of one parent if that is said.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn places(&self, kind: PlaceKind, parent: Option<i64>) -> Result<Vec<Place>, ServiceError> {
        Ok(self.read()?.places(kind, parent, self.scope()).await?)
    }

    /// Assigns a subscriber to the operator who collects from it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for either.
    pub async fn assign_collector(&self, id: i64, admin: i64) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        if store.assign_collector(found.sketch.id, admin, self.scope(), &author).await? {
            return Ok(());
        }
        Err(ServiceError::not_found("operator", &admin.to_string()))
    }

    /// Whom an operator is to visit.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the operator.
    pub async fn visits(
        &self,
        admin: i64,
        area: Option<i64>,
        only_debtors: bool,
    ) -> Result<Vec<Visit>, ServiceError> {
        let found = self.read()?.visits(admin, area, only_debtors, self.scope()).await?;
        found.ok_or_else(|| ServiceError::not_found("operator", &admin.to_string()))
    }

    /// Notes a visit to a subscriber, or its wish for one; gives the number of the note.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for an amount that cannot be paid.
    pub async fn collect(&self, id: i64, new: &NewCollection) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        text("notes", &new.notes, NOTES_MAX)?;
        for (field, value) in
            [("bank", &new.bank), ("chequeNumber", &new.cheque_number), ("chequeDate", &new.cheque_date)]
        {
            text(field, value, SHORT_MAX)?;
        }
        if new.status == CollectionStatus::Pending && new.amount.is_none_or(|paid| paid <= Amount::ZERO) {
            return Err(ServiceError::invalid("amount", "must be more than 0"));
        }
        Ok(store.add_collection(found.sketch.id, new, &author).await?)
    }

    /// The payments that wait for approval; `from` and `to` are the first second that is meant and the
    /// first after it.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn pending_collections(
        &self,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
        admin: Option<i64>,
    ) -> Result<Vec<PendingCollection>, ServiceError> {
        Ok(self.read()?.pending_collections(from, to, admin, self.scope()).await?)
    }

    /// Approves a payment (with its amount), or does not. Approved, it is posted to what the subscriber
    /// owes; where nothing is due after it, a suspension whose reason says `payment` is lifted.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it is decided already, or is about
    /// another amount.
    pub async fn decide_collection(
        &self,
        id: i64,
        collection: i64,
        approved: Option<Amount>,
    ) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        let done = store.decide_collection(found.sketch.id, collection, approved, &author).await?;
        done.map_err(|obstacle| match obstacle {
            CollectionObstacle::Missing => ServiceError::not_found("collection", &collection.to_string()),
            CollectionObstacle::Decided => {
                ServiceError::Conflict { reason: "the collection does not wait for approval".to_owned() }
            }
            CollectionObstacle::OtherAmount(paid) => {
                ServiceError::Conflict { reason: format!("the collection is about {paid}") }
            }
            CollectionObstacle::TooLarge => ServiceError::invalid("amount", "is too large"),
        })
    }

    /// Books a payment.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`].
    pub async fn pay(&self, id: i64, amount: Amount, method: &str, notes: &str) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        text("notes", notes, NOTES_MAX)?;
        text("method", method, SHORT_MAX)?;
        if amount <= Amount::ZERO {
            return Err(ServiceError::invalid("amount", "must be more than 0"));
        }
        let found = self.living(id).await?;
        let row = store.pay(found.sketch.id, amount, method, notes, &author).await?;
        row.ok_or_else(|| ServiceError::invalid("amount", "is too large"))
    }

    /// The payments of a subscriber, the latest first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn payments(&self, id: i64) -> Result<Vec<Payment>, ServiceError> {
        let found = self.living(id).await?;
        Ok(self.read()?.payments(found.sketch.id, PAYMENTS_MAX).await?)
    }
}

/// Characters of a short text.
const SHORT_MAX: usize = 60;

/// A text that every table can hold.
pub(super) fn text(field: &'static str, text: &str, most: usize) -> Result<(), ServiceError> {
    if text.chars().count() > most {
        return Err(ServiceError::invalid(field, format!("has at most {most} characters")));
    }
    if text.contains('\0') {
        return Err(ServiceError::invalid(field, "must not contain NUL"));
    }
    Ok(())
}
