//! What real clients call besides section E: logins, users made and changed, sessions, payments, profiles.

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Fail, Outcome, bare, data, message};
use super::call::Call;
use super::dates::{Moment, show, show_some};
use super::overrides::told;
use super::params::Params;
use super::places::amount;
use super::translate::{STATUSES, colons, flat_user, money, standing};
use super::wire::{FlatUser, mikrotik};
use crate::domain::{ContactField, IspSession, SubscriberStatus};
use crate::service::{CustomerOrder, RenewFrom, ServiceError};
use crate::time::UnixTime;

/// A user proves who it is: `["success", id, account]`.
pub(super) async fn authenticate_user(call: &Call<'_>) -> Outcome {
    let name = call.params.needed("username")?;
    let password = call.params.raw("password")?.filter(|text| !text.is_empty());
    let password = password.ok_or_else(|| Fail::missing("password"))?;
    call.may_guess()?;
    match call.operator.authenticate_subscriber(name, password).await? {
        Some((id, account)) => bare(&["success", &id.0.to_string(), &account]),
        None => {
            call.shared.guesses.failed(call.peer);
            Err(Fail::new(401, "Invalid username or password"))
        }
    }
}

/// Which parameter is which part of a contact.
pub(super) const CONTACT: [(&str, ContactField); 13] = [
    ("firstName", ContactField::First),
    ("lastName", ContactField::Last),
    ("phoneNumber", ContactField::Phone),
    ("altPhoneNumber", ContactField::AltPhone),
    ("emailId", ContactField::Email),
    ("altEmailId", ContactField::AltEmail),
    ("address_line1", ContactField::Address1),
    ("address_line2", ContactField::Address2),
    ("address_city", ContactField::City),
    ("address_pin", ContactField::Zip),
    ("address_state", ContactField::State),
    ("address_country", ContactField::Country),
    ("companyName", ContactField::Company),
];

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Made)]
pub(super) struct Made {
    status: &'static str,
    #[serde(rename = "errorCode")]
    code: u16,
    message: MadeId,
    data: MadeId,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = jaze::MadeId)]
pub(super) struct MadeId {
    #[serde(rename = "userId")]
    id: String,
}

/// A user is made; with a number of its own it is changed.
pub(super) async fn add_user(call: &Call<'_>) -> Outcome {
    let id = match call.params.number("userId")? {
        Some(id) => Some(id),
        None => call.params.number("id")?,
    };
    put_user(call, id).await
}

/// A user is changed.
pub(super) async fn edit_user(call: &Call<'_>) -> Outcome {
    put_user(call, Some(call.user()?)).await
}

async fn put_user(call: &Call<'_>, id: Option<i64>) -> Outcome {
    let order = order(call.params, call.operator.zone(), id.is_none())?;
    let id = match id {
        None => call.operator.add_customer(&order).await?,
        Some(id) => call.operator.set_customer(id, &order).await?,
    };
    let id = MadeId { id: id.0.to_string() };
    bare(&Made { status: "success", code: 200, message: id.clone(), data: id })
}

/// What somebody may be set to.
pub(super) const STATES: [&str; 3] = ["active", "blacklisted", "suspended"];

/// What is said of a user; of a new one some of it has to be.
pub(super) fn order(params: &Params, zone: &TimeZone, new: bool) -> Result<CustomerOrder, Fail> {
    let text = |name: &str| Ok::<_, Fail>(params.text(name)?.map(str::to_owned));
    let mut order = CustomerOrder {
        login: text("userName")?,
        password: params.raw("password")?.filter(|text| !text.is_empty()).map(str::to_owned),
        plan: params.number("userGroupId")?,
        account: text("accountId")?,
        comments: text("comments")?,
        label: text("type")?,
        latitude: text("latitude")?,
        longitude: text("longitude")?,
        area: params.number("areaId")?,
        street: params.number("streetId")?,
        block: params.number("blockId")?,
        ..CustomerOrder::default()
    };
    if new {
        params.needed("userGroupId")?;
        params.needed("userName")?;
        if order.password.is_none() {
            return Err(Fail::missing("password"));
        }
    }
    order.status = params.keyword("userState", &STATES)?.and_then(SubscriberStatus::parse);
    let date = |name: &str| {
        let moment = Moment::parse(name, params.needed(name)?)?;
        Ok::<_, Fail>((!moment.is_never()).then(|| moment.begin(zone)))
    };
    order.activation = match params.keyword("activationDate", &["now", "custom"])? {
        None => None,
        Some("custom") => date("customActivationDate")?,
        Some(_) => Some(UnixTime(0)),
    };
    order.expires = match params.keyword("expirationDate", &["never", "custom"])? {
        None => None,
        Some("custom") => Some(date("customExpirationDate")?),
        Some(_) => Some(None),
    };
    for (name, field) in CONTACT {
        // What is sent empty is cleared.
        if let Some(value) = params.raw(name)? {
            order.contact.push((field, value.trim().into()));
        }
    }
    Ok(order)
}

/// Users of one page.
const PER_PAGE_MAX: usize = 1_000;

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Listed)]
pub(super) struct Listed {
    status: &'static str,
    #[serde(rename = "errorCode")]
    code: u16,
    data: Vec<FlatUser>,
    #[serde(rename = "totalRecords")]
    total: usize,
}

/// A page of users.
pub(super) async fn get_users(call: &Call<'_>) -> Outcome {
    let page = call.number("page", 0)?.unwrap_or(1).max(1);
    let per_page = call.number("perPage", 1)?.unwrap_or(100);
    let per_page = usize::try_from(per_page).unwrap_or(usize::MAX).clamp(1, PER_PAGE_MAX);
    let wanted = call.keyword("status", 2, &STATUSES)?.and_then(standing);
    let skipped = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(per_page);
    let (found, total) = call.operator.portraits_of(wanted, skipped, per_page).await?;
    let data = found.iter().map(flat_user).collect();
    bare(&Listed { status: "success", code: 200, data, total })
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Session)]
pub(super) struct Session {
    acct_session_id: String,
    username: String,
    start_time: String,
    stop_time: String,
    ip_addr: String,
    mac: String,
    session_time: String,
    session_timeout: String,
    download_bytes: String,
    upload_bytes: String,
    nas_ip_address: String,
    nas_mac: String,
    terminate_cause: String,
    login_type: String,
}

fn session(row: &IspSession, zone: &TimeZone) -> Session {
    Session {
        acct_session_id: row.acct_session_id.to_string(),
        username: row.login.to_string(),
        start_time: show_some(row.started, zone),
        stop_time: show_some(row.stopped, zone),
        ip_addr: row.framed.to_string(),
        mac: colons(&row.device),
        session_time: row.seconds.to_string(),
        session_timeout: "0".to_owned(),
        download_bytes: row.output.to_string(),
        upload_bytes: row.input.to_string(),
        nas_ip_address: row.nas.to_string(),
        nas_mac: row.called.to_string(),
        terminate_cause: row.cause.to_string(),
        login_type: row.port_type.to_string(),
    }
}

/// The sessions of a user, the latest first.
pub(super) async fn get_usersession_details(call: &Call<'_>) -> Outcome {
    let id = call.needed_number("userId", 0)?;
    let (from, to) = (call.date("fromDate", 1)?, call.date("toDate", 2)?);
    let zone = call.operator.zone();
    let (from, to) = (from.map(|from| from.begin(zone)), to.map(|to| to.end(zone)));
    let found = call.operator.isp_sessions(Some(id), from, to, false).await?;
    data(&found.iter().map(|row| session(row, zone)).collect::<Vec<_>>())
}

/// The sessions that are open, of a user or of all.
pub(super) async fn get_active_user_session_details(call: &Call<'_>) -> Outcome {
    let found = call.operator.isp_sessions(call.number("userId", 0)?, None, None, true).await?;
    let zone = call.operator.zone();
    data(&found.iter().map(|row| session(row, zone)).collect::<Vec<_>>())
}

/// The open sessions of a user end.
pub(super) async fn disconnect_user_sessions(call: &Call<'_>) -> Outcome {
    match call.operator.disconnect_subscriber(call.user()?).await {
        Err(ServiceError::NotFound { what: "session", .. }) => Err(Fail::new(404, "User is not online")),
        other => told(&other?),
    }
}

/// A user is blocked, or no longer.
pub(super) async fn block_unblock_user(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    let block = call.params.needed_keyword("state", &["block", "unblock"])? == "block";
    let notes = call.params.text("notes")?.unwrap_or_default();
    call.operator.block_customer(id, block, notes).await?;
    message(if block { "User blocked successfully" } else { "User unblocked successfully" })
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::BalanceEnvelope)]
pub(super) struct BalanceEnvelope {
    status: &'static str,
    #[serde(rename = "errorCode")]
    code: u16,
    balance: String,
}

/// What a user owes.
pub(super) async fn get_balance(call: &Call<'_>) -> Outcome {
    let due = call.operator.due(call.needed_number("userId", 0)?).await?;
    bare(&BalanceEnvelope { status: "success", code: 200, balance: money(due.unwrap_or_default()) })
}

/// A payment is booked.
pub(super) async fn make_payment(call: &Call<'_>) -> Outcome {
    let (id, paid) = (call.user()?, amount(call, "amount")?);
    let method = call.params.text("method")?.unwrap_or("cash");
    let notes = call.params.text("notes")?.unwrap_or_default();
    call.operator.pay(id, paid, method, notes).await?;
    message("Payment has been made successfully")
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Payment)]
pub(super) struct Payment {
    id: String,
    user_id: String,
    amount: String,
    method: String,
    notes: String,
    admin_username: String,
    date_created: String,
}

/// The payments of a user, the latest first.
pub(super) async fn get_payment_details(call: &Call<'_>) -> Outcome {
    let id = call.needed_number("userId", 0)?;
    let found = call.operator.payments(id).await?;
    let zone = call.operator.zone();
    let shown = found.iter().map(|payment| Payment {
        id: payment.id.to_string(),
        user_id: id.to_string(),
        amount: money(payment.amount),
        method: payment.method.to_string(),
        notes: payment.notes.to_string(),
        admin_username: payment.actor.to_string(),
        date_created: show(payment.at, zone),
    });
    data(&shown.collect::<Vec<_>>())
}

/// A user's group begins anew.
pub(super) async fn renew(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    let from = match call.params.keyword("isRenewPresentDate", &["true", "false", "previous"])? {
        Some("true") => RenewFrom::Now,
        Some("previous") => RenewFrom::Previous,
        _ => RenewFrom::Later,
    };
    call.operator.renew_plan(id, from, call.params.text("notes")?.unwrap_or("renewal")).await?;
    message("User renewed successfully")
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Profile)]
pub(super) struct Profile {
    #[serde(rename = "Profile_id")]
    id: String,
    #[serde(rename = "Profile_Name")]
    name: String,
    #[serde(rename = "bandwidthTemplateId")]
    template: String,
    #[serde(rename = "bandwidthTemplateName")]
    template_name: String,
}

/// The policies behind the groups.
pub(super) async fn get_profile_details(call: &Call<'_>) -> Outcome {
    let wanted = call.number("profileId", 0)?;
    let templates = call.operator.bandwidth_templates().await?;
    let mut shown: Vec<Profile> = Vec::new();
    for head in call.operator.plan_heads().await? {
        let id = head.profile.to_string();
        if wanted.is_some_and(|wanted| wanted != head.profile) || shown.iter().any(|known| known.id == id) {
            continue;
        }
        let template = templates.iter().find(|template| template.plan == Some(head.id));
        shown.push(Profile {
            id,
            name: head.group.to_string(),
            template: template.map_or_else(String::new, |template| template.id.to_string()),
            template_name: template.map_or_else(String::new, |template| template.name.to_string()),
        });
    }
    if wanted.is_some() && shown.is_empty() {
        return Err(Fail::not_found("Profile"));
    }
    data(&shown)
}

/// Their numbers.
pub(super) async fn get_all_profile_ids(call: &Call<'_>) -> Outcome {
    let mut ids: Vec<i64> = call.operator.plan_heads().await?.iter().map(|head| head.profile).collect();
    ids.sort_unstable();
    ids.dedup();
    bare(&ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Bandwidth)]
pub(super) struct Bandwidth {
    id: String,
    name: String,
    upload: String,
    download: String,
    mikrotik: String,
}

/// The bandwidth templates; rates are bit/s.
pub(super) async fn get_bandwidth_details(call: &Call<'_>) -> Outcome {
    let wanted = call.number("bandwidthId", 0)?;
    let mut found = call.operator.bandwidth_templates().await?;
    if let Some(id) = wanted {
        found.retain(|template| template.id == id);
        if found.is_empty() {
            return Err(Fail::not_found("Bandwidth template"));
        }
    }
    let rate = |rate: Option<u64>| rate.map_or_else(String::new, |rate| rate.to_string());
    let shown = found.iter().map(|template| Bandwidth {
        id: template.id.to_string(),
        name: template.name.to_string(),
        upload: rate(template.up),
        download: rate(template.down),
        mikrotik: mikrotik(template.up, template.down),
    });
    data(&shown.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, new: bool) -> Result<CustomerOrder, Fail> {
        order(&Params::form(body.as_bytes()).unwrap(), &TimeZone::UTC, new)
    }

    #[test]
    fn a_user_is_read() {
        let body = "userGroupId=5&userName=john&password= x &userState=Suspended&activationDate=now&expirationDate=custom&customExpirationDate=31-12-2026 10:30&firstName=John&address_city=";
        let order = read(body, true).unwrap();
        assert_eq!((order.login.as_deref(), order.password.as_deref()), (Some("john"), Some(" x ")));
        assert_eq!(order.status, Some(SubscriberStatus::Suspended));
        assert_eq!(order.expires, Some(Some(UnixTime(1_798_713_000))));
        assert_eq!(order.contact[1], (ContactField::City, "".into()));
        for part in
            ["userGroupId=5&", "userName=john&", "password= x &", "&customExpirationDate=31-12-2026 10:30"]
        {
            assert_eq!(
                read(&body.replace(part, ""), true).map_err(|fail| fail.code).err(),
                Some(400),
                "{part}"
            );
        }
        assert_eq!(read("userState=terminated", false).map_err(|fail| fail.code).err(), Some(422));
        assert_eq!(read("", false).unwrap().expires, None);
    }
}
