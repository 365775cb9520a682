//! Users: E1 to E14, E26, E34, E35, E37, E38, E40, E41.

use serde::Serialize;

use super::answer::{DataList, Fail, Outcome, bare, data, message};
use super::call::Call;
use super::dates::show_reversed;
use super::translate::{self, STATUSES, basic_user, flat_user, parts, status};
use super::wire::{ByPhone, Counts, LogOff, Part, Password};
use crate::domain::{Channel, SubscriberStatus};
use crate::service::{MoveOptions, MoveWhen, Portrait, Release, ServiceError, Whose};
use crate::time::UnixTime;

/// E1: a user with what it has used, what it is bound to and where it lives.
pub(super) async fn get_details(call: &Call<'_>) -> Outcome {
    let found = call.operator.portrait(call.needed_number("userId", 0)?).await?;
    let location = call.operator.location(found.sketch.id).await?;
    let mut all = parts(&found, false);
    all.push(Part::Location(Box::new(translate::location(&location))));
    data(&all)
}

/// E3: all users.
pub(super) async fn get_all(call: &Call<'_>) -> Outcome {
    each(call, Whose::All, |portrait| parts(portrait, false)).await
}

/// Users that are read and written at a time.
const PAGE: u32 = 500;

/// A list of users in `data`, by number. There may be very many: a page is written before the next one is read.
async fn each<T: Serialize>(call: &Call<'_>, whose: Whose<'_>, show: impl Fn(&Portrait) -> T) -> Outcome {
    let mut list = DataList::default();
    let mut after = 0;
    loop {
        let page = call.operator.portrait_page(whose, after, PAGE).await?;
        for portrait in &page {
            list.push(&show(portrait))?;
        }
        match page.last() {
            Some(last) if page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX) => {
                after = last.sketch.id.0
            }
            _ => return Ok(list.end()),
        }
    }
}

/// E4: the users that were made or changed in some days.
pub(super) async fn get_users_by_date(call: &Call<'_>) -> Outcome {
    let (from, to) = (call.date("FromDate", 0)?, call.date("toDate", 1)?);
    let created = call.keyword("basedOn", 2, &["created", "modified"])? == Some("created");
    let zone = call.operator.zone();
    let from = from.map_or(UnixTime(0), |from| from.begin(zone));
    let to = to.map_or(UnixTime(i64::MAX), |to| to.end(zone));
    let whose = if created { Whose::Created(from, to) } else { Whose::Modified(from, to) };
    each(call, whose, flat_user).await
}

/// E6: all numbers.
pub(super) async fn get_all_user_ids(call: &Call<'_>) -> Outcome {
    let found = call.operator.subscriber_numbers().await?;
    bare(&found.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// A telephone number: digits, perhaps after a plus.
fn checked_phone(text: &str) -> Result<&str, Fail> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Ok(text);
    }
    Err(Fail::wrong("phone", "must be numeric"))
}

/// The users with a telephone number, and with a status if that is said; those who are deleted only then.
async fn by_phone(call: &Call<'_>, phone: &str, word: Option<&str>) -> Result<Vec<Portrait>, Fail> {
    let mut found = call.operator.portraits(Whose::Phone(checked_phone(phone)?)).await?;
    found.retain(|portrait| match word {
        Some(word) => status(portrait) == word,
        None => portrait.sketch.status != SubscriberStatus::Deleted,
    });
    Ok(found)
}

/// E7: their numbers.
pub(super) async fn get_users_by_phone(call: &Call<'_>) -> Outcome {
    let word = call.params.keyword("status", &STATUSES)?;
    let found = by_phone(call, call.params.needed("phone")?, word).await?;
    let ids: Vec<String> = found.iter().map(|portrait| portrait.sketch.id.0.to_string()).collect();
    bare(&ByPhone { success: ids.join(","), code: 200 })
}

/// E8: the users themselves.
pub(super) async fn get_user_by_phone(call: &Call<'_>) -> Outcome {
    let word = call.keyword("status", 1, &STATUSES)?;
    let found = by_phone(call, call.needed("phone", 0)?, word).await?;
    data(&found.iter().map(flat_user).collect::<Vec<_>>())
}

/// E9: a user by name.
pub(super) async fn get_user_by_username(call: &Call<'_>) -> Outcome {
    let found = call.operator.portraits(Whose::Login(call.needed("username", 0)?)).await?;
    if found.is_empty() {
        return Err(Fail::not_found("User"));
    }
    data(&found.iter().map(flat_user).collect::<Vec<_>>())
}

/// When a move counts.
pub(super) const MOVES: [&str; 4] =
    ["moveImmediately", "previousBillingCycle", "nextbillingCycle", "customDate"];

/// E10: another group, now, at the next cycle, from the beginning of this one, or on a date.
pub(super) async fn move_group(call: &Call<'_>) -> Outcome {
    let params = call.params;
    let (id, group) = (call.user()?, params.needed_number("groupId")?);
    let when = match params.needed_keyword("type", &MOVES)? {
        "previousBillingCycle" => MoveWhen::ThisCycle,
        "nextbillingCycle" => MoveWhen::NextCycle,
        "customDate" => {
            let date = call.param_date("customDateTo")?.ok_or_else(|| Fail::missing("customDateTo"))?;
            MoveWhen::At(date.begin(call.operator.zone()))
        }
        _ => MoveWhen::Now,
    };
    let yes = |name| Ok::<_, Fail>(params.needed_keyword(name, &["yes", "no"])? == "yes");
    let options = MoveOptions {
        clear_usage: yes("clearUserDataUsage")?,
        clear_overrides: yes("clearUserPolicies")?,
        move_billing: yes("moveBilling")?,
    };
    call.operator.move_plan(id, group, when, options).await?;
    message(&format!("The User {id} Moved"))
}

/// E11: a password, for those who may see it.
pub(super) async fn get_user_password(call: &Call<'_>) -> Outcome {
    let id = call.needed_number("userId", 0)?;
    let password = call.operator.readable_password(id).await?;
    let password = password.ok_or_else(|| Fail::new(409, "The password is not kept in readable form"))?;
    message(&Password { password: &password })
}

/// E12: a user goes. The path has to be exact: nobody deletes by a slip.
pub(super) async fn delete_user(call: &Call<'_>) -> Outcome {
    if !call.path.exact {
        return Err(Fail::malformed("The path must be exactly /api/v1/delete_user/{userId}/{yes|no}"));
    }
    let id = call.needed_number("userId", 0)?;
    let void = call.keyword("clear_unfinished_billing", 1, &["yes", "no"])? == Some("yes");
    call.operator.remove_subscriber(id, void).await?;
    message("User deleted successfully")
}

/// E13: users by telephone or name, of all accounts that the caller has.
pub(super) async fn get_user_from_all_accounts(call: &Call<'_>) -> Outcome {
    let kind = super::params::keyword("type", call.needed("type", 0)?, &["phone", "username"])?;
    let value = call.needed("value", 1)?;
    let found = if kind == "phone" {
        by_phone(call, value, None).await?
    } else {
        call.operator.portraits(Whose::Login(value)).await?
    };
    if found.is_empty() {
        return Err(Fail::not_found("User"));
    }
    data(&found.iter().flat_map(|portrait| parts(portrait, true)).collect::<Vec<_>>())
}

/// E14: a grace period.
pub(super) async fn add_grace_period(call: &Call<'_>) -> Outcome {
    let (id, days) = (call.user()?, call.params.needed_number("days")?);
    let until = call.param_date("expiryDate")?.map(|date| date.begin(call.operator.zone()));
    call.operator.add_grace(id, days, until).await?;
    message(&format!("Additional {days} days has been extended for this user{id}"))
}

/// E26: when a user was last online, and whether it is.
pub(super) async fn get_logofftime_onlinestatus(call: &Call<'_>) -> Outcome {
    let (last, online, zone) = call.operator.last_log_off(call.needed_number("userId", 0)?).await?;
    data(&LogOff { last: show_reversed(last, &zone), online: if online { "yes" } else { "no" } })
}

/// E34: one of the addresses and devices that a user is bound to goes.
pub(super) async fn release_ip_mac(call: &Call<'_>) -> Outcome {
    let (id, place) = (call.user()?, call.params.needed_number("whichIpMacRow")?);
    let what = match call.params.keyword("toRemove", &["ip", "mac", "both"])? {
        Some("ip") => Release::Ip,
        Some("mac") => Release::Mac,
        _ => Release::Both,
    };
    call.operator.release_binding(id, usize::try_from(place).unwrap_or(usize::MAX), what).await?;
    message("The Static IP/MAC have been released")
}

/// E35: renewals.
pub(super) async fn get_renewal_details(call: &Call<'_>) -> Outcome {
    let id = call.params.number("userId")?;
    let (from, to) = (call.param_date("fromDate")?, call.param_date("toDate")?);
    let zone = call.operator.zone();
    let (from, to) = (from.map(|from| from.begin(zone)), to.map(|to| to.end(zone)));
    let found = call.operator.renewals(id, from, to).await?;
    message(&found.iter().map(|row| translate::renewal(row, zone)).collect::<Vec<_>>())
}

/// E37: counts by status.
pub(super) async fn get_users_count(call: &Call<'_>) -> Outcome {
    let counts = match call.segment(0) {
        Some(account) => super::accounts::within(call.operator, account).await?.status_counts().await?,
        None => call.operator.status_counts().await?,
    };
    message(&Counts {
        total: counts.total,
        active: counts.active,
        online: counts.online,
        expired: counts.expired,
        expiring_next_week: counts.expiring,
        new_last_week: counts.new,
        blacklisted: counts.blacklisted,
        suspended: counts.suspended,
        blocked: counts.blocked,
        pending: counts.pending,
        churned: counts.churned,
        others: counts.others,
    })
}

/// E38: credentials are sent to whom they belong.
pub(super) async fn recover_password(call: &Call<'_>) -> Outcome {
    let (phone, email) = (call.params.text("phone")?, call.params.text("email")?);
    let (channel, address) = match (phone, email) {
        (Some(phone), None) => (Channel::Sms, checked_phone(phone)?),
        (None, Some(email)) if email.contains('@') => (Channel::Email, email),
        (None, Some(_)) => return Err(Fail::wrong("email", "must be an e-mail address")),
        (Some(_), Some(_)) => return Err(Fail::malformed("Pass either phone or email, not both")),
        (None, None) => return Err(Fail::missing("phone")),
    };
    call.may_guess()?;
    match call.operator.recover_password(channel, address).await {
        Err(error @ ServiceError::NotFound { .. }) => {
            // Who tries many addresses is to learn little.
            call.shared.guesses.failed(call.peer);
            return Err(error.into());
        }
        other => other?,
    }
    let where_to = if channel == Channel::Email { "Email" } else { "SMS" };
    message(&format!(
        "Your credentials have been sent to <strong>{}</strong>. Please check your {where_to}.",
        escaped(address)
    ))
}

/// The message is HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// E40: what was sent to a user.
pub(super) async fn get_user_logs(call: &Call<'_>) -> Outcome {
    let id = call.needed_number("userId", 0)?;
    let channel = match call.keyword("type", 1, &["email", "sms"])? {
        Some("email") => Channel::Email,
        _ => Channel::Sms,
    };
    let found = call.operator.messages(id, channel).await?;
    let zone = call.operator.zone();
    message(&found.iter().map(|row| translate::message(row, channel, zone)).collect::<Vec<_>>())
}

/// E41: all users, in short.
pub(super) async fn get_basic_user_details(call: &Call<'_>) -> Outcome {
    each(call, Whose::All, basic_user).await
}
