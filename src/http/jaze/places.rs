//! Areas, streets and blocks (E15 to E20), and payments that are fetched there (E21 to E25, E27, E39).

use super::answer::{Fail, Outcome, data, done, message};
use super::call::Call;
use super::translate::{pending, visit};
use super::wire::{Area, Block, Place, Street};
use crate::domain::{self, Amount, CollectionStatus, NewCollection, PlaceKind};

/// E15: an area is made, or named anew.
pub(super) async fn add_area(call: &Call<'_>) -> Outcome {
    let (name, id) = (call.params.needed("areaName")?, call.params.number("inputAreaId")?);
    call.operator.put_place(PlaceKind::Area, id, None, name).await?;
    done()
}

/// E16: a street of an area.
pub(super) async fn add_street(call: &Call<'_>) -> Outcome {
    let (name, area) = (call.params.needed("StreetName")?, call.params.needed_number("inputAreaId")?);
    let id = call.params.number("inputStreetId")?;
    call.operator.put_place(PlaceKind::Street, id, Some(area), name).await?;
    done()
}

/// E17: a building of a street.
pub(super) async fn add_block(call: &Call<'_>) -> Outcome {
    let (name, street) = (call.params.needed("BlockName")?, call.params.needed_number("inputStreetId")?);
    let id = call.params.number("inputBlockId")?;
    call.operator.put_place(PlaceKind::Block, id, Some(street), name).await?;
    done()
}

/// E18: all areas.
pub(super) async fn get_all_areas(call: &Call<'_>) -> Outcome {
    list(call, PlaceKind::Area, None).await
}

/// E19: all streets, or those of an area.
pub(super) async fn get_all_streets(call: &Call<'_>) -> Outcome {
    list(call, PlaceKind::Street, call.params.number("inputAreaId")?).await
}

/// E20: all buildings, or those of a street.
pub(super) async fn get_all_buildings(call: &Call<'_>) -> Outcome {
    list(call, PlaceKind::Block, call.params.number("streetId")?).await
}

async fn list(call: &Call<'_>, kind: PlaceKind, parent: Option<i64>) -> Outcome {
    let found = call.operator.places(kind, parent).await?;
    data(&found.iter().map(|place| shown(kind, place)).collect::<Vec<_>>())
}

fn shown(kind: PlaceKind, place: &domain::Place) -> Place {
    let (id, account_id) = (place.id.to_string(), place.account.to_string());
    let internal = place.internal.as_ref().map(ToString::to_string);
    let name = place.name.to_string();
    let parent = place.parent.unwrap_or(0).to_string();
    match kind {
        PlaceKind::Area => Place::Area(Area { id, account_id, area: name, internal }),
        PlaceKind::Street => {
            Place::Street(Street { id, account_id, area_id: parent, street: name, internal })
        }
        PlaceKind::Block => Place::Block(Block { id, account_id, street_id: parent, block: name, internal }),
    }
}

/// E21: whom an operator is to visit. The list is in a list.
pub(super) async fn get_collection_users_areawise(call: &Call<'_>) -> Outcome {
    let (admin, area) = (call.params.needed_number("adminId")?, call.params.number("areaId")?);
    let debtors = call.params.keyword("userWithBalance", &["1", "0"])? == Some("1");
    let found = call.operator.visits(admin, area, debtors).await?;
    data(&[found.iter().map(|found| visit(found, true, None)).collect::<Vec<_>>()])
}

/// E22: payments that wait for approval.
pub(super) async fn get_collection_approval_users(call: &Call<'_>) -> Outcome {
    let (from, to) = (call.param_date("fromDate")?, call.param_date("toDate")?);
    let zone = call.operator.zone();
    let admin = call.params.number("adminId")?;
    let (from, to) = (from.map(|from| from.begin(zone)), to.map(|to| to.end(zone)));
    let found = call.operator.pending_collections(from, to, admin).await?;
    data(&[found.iter().map(|found| pending(found, zone)).collect::<Vec<_>>()])
}

/// An amount that is not negative.
pub(super) fn amount(call: &Call<'_>, field: &str) -> Result<Amount, Fail> {
    let amount = Amount::parse(call.params.needed(field)?).filter(|amount| !amount.is_negative());
    amount.ok_or_else(|| Fail::wrong(field, "must be numeric"))
}

/// E23: a payment is approved.
pub(super) async fn collection_approval(call: &Call<'_>) -> Outcome {
    let (id, paid) = (call.user()?, amount(call, "amount")?);
    let collection = call.params.needed_number("modelId")?;
    call.operator.decide_collection(id, collection, Some(paid)).await?;
    message("Payment Approved")
}

/// E24: a payment is not.
pub(super) async fn collection_disapproval(call: &Call<'_>) -> Outcome {
    let (id, collection) = (call.user()?, call.params.needed_number("modelId")?);
    call.operator.decide_collection(id, collection, None).await?;
    message("Payment Disapproved")
}

/// What may come of a visit.
pub(super) const VISITS: [&str; 3] = ["cashCollected", "notAvailable", "alreadyPaid"];
/// How somebody pays.
pub(super) const METHODS: [&str; 4] = ["cash", "cheque", "creditCard", "debitCard"];
/// What the visitor is to bring change for.
pub(super) const CHANGE: [&str; 3] = ["none", "500", "2000"];

/// E25: a visit is noted. Of a card the last four digits are kept, and nothing else of it goes further.
pub(super) async fn collect_user_payment(call: &Call<'_>) -> Outcome {
    let params = call.params;
    let (id, paid) = (call.user()?, amount(call, "amount")?);
    let visit = params.needed_keyword("statusOfCollection", &VISITS)?;
    let method = params.needed_keyword("method", &METHODS)?;
    let mut new = NewCollection {
        status: if visit == "cashCollected" { CollectionStatus::Pending } else { CollectionStatus::Visited },
        visit,
        amount: Some(paid),
        method,
        bank: String::new(),
        cheque_number: String::new(),
        cheque_date: String::new(),
        card_last4: String::new(),
        change_for: "",
        notes: String::new(),
    };
    match method {
        "cheque" => {
            params.needed("bank")?.clone_into(&mut new.bank);
            params.needed_number("chequeNumber")?;
            params.needed("chequeNumber")?.clone_into(&mut new.cheque_number);
            params.needed("chequeDate")?.clone_into(&mut new.cheque_date);
        }
        "creditCard" | "debitCard" => {
            new.card_last4 = last_four(params.needed("cardNumber")?)?;
            params.needed("cardExpiration")?;
        }
        _ => {}
    }
    params.needed("notes")?.clone_into(&mut new.notes);
    call.operator.collect(id, &new).await?;
    message("Payment Collected Successfully")
}

/// The last four digits of a card's number; the number is not repeated in a refusal.
fn last_four(number: &str) -> Result<String, Fail> {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let others = number.chars().any(|letter| !letter.is_ascii_digit() && !" -xX*".contains(letter));
    let from = digits.len().checked_sub(4).filter(|_| !others && digits.len() <= 19);
    let last = from.and_then(|from| digits.get(from..));
    last.map(|last| last.iter().collect()).ok_or_else(|| Fail::wrong("cardNumber", "must be numeric"))
}

/// E27: who collects from a user.
pub(super) async fn assign_users_to_admin(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    call.params.needed("accountId")?;
    call.operator.assign_collector(id, call.params.needed_number("adminId")?).await?;
    message("User assigned to admin successfully")
}

/// E39: a user asks to be visited.
pub(super) async fn payment_collection_request(call: &Call<'_>) -> Outcome {
    let id = call.needed_number("userId", 0)?;
    let change_for = call.keyword("bringChangeFor", 1, &CHANGE)?.unwrap_or("none");
    let new = NewCollection {
        status: CollectionStatus::Requested,
        visit: "",
        amount: None,
        method: "",
        bank: String::new(),
        cheque_number: String::new(),
        cheque_date: String::new(),
        card_last4: String::new(),
        change_for,
        notes: String::new(),
    };
    call.operator.collect(id, &new).await?;
    message("We will collect your payment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_card_four_digits_are_left() {
        assert_eq!(last_four("4111 1111-1111 1234").as_deref(), Ok("1234"));
        assert_eq!(last_four("xxxx1234").as_deref(), Ok("1234"));
        for wrong in ["123", "", "4111a1111", "12345678901234567890"] {
            let fail = last_four(wrong).unwrap_err();
            assert!(!fail.message.contains("4111"), "{fail:?}");
        }
    }
}
