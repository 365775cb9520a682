//! What the service knows, in the original's shapes.

use super::dates::{show, show_day, show_end, show_some};
use super::wire::{
    AreaName, Balance, BasicUser, BlockName, Contact, CycleUsage, FlatUser, Group, Location, Message, Part,
    PaymentMode, Renewal, RenewalRow, StaticIpMac, StreetName, User, UserLocation, Visit, mikrotik,
};
use crate::domain::contact::ContactField;
use crate::domain::{self, Amount, Channel, LoggedMessage, SubscriberStatus};
use crate::service::{GroupFigures, Portrait, Stand};
use jiff::tz::TimeZone;

/// Every status by the original's word.
pub(super) const STATUSES: [&str; 10] = [
    "active",
    "pending",
    "rejected",
    "expired",
    "pending-approval",
    "deleted",
    "blocked",
    "blacklisted",
    "terminated",
    "suspended",
];

/// What one of these words stands for.
pub(super) fn standing(word: &str) -> Option<Stand> {
    match word {
        "expired" => Some(Stand::Expired),
        word => SubscriberStatus::parse(&word.replace('-', "_")).map(Stand::As),
    }
}

/// The original's word for how somebody stands.
pub(super) fn status(portrait: &Portrait) -> &'static str {
    match portrait.stand() {
        Stand::Expired => "expired",
        Stand::As(SubscriberStatus::PendingApproval) => "pending-approval",
        Stand::As(status) => status.as_str(),
    }
}

fn field(portrait: &Portrait, field: ContactField) -> String {
    portrait.sketch.contact.get(field).unwrap_or_default().to_owned()
}

/// Its telephone, else its mobile.
pub(super) fn phone(portrait: &Portrait) -> String {
    let contact = &portrait.sketch.contact;
    let found = contact.get(ContactField::Phone).or_else(|| contact.get(ContactField::Mobile));
    found.unwrap_or_default().to_owned()
}

fn group_id(portrait: &Portrait) -> String {
    portrait.plan.as_ref().map_or_else(String::new, |(id, _)| id.to_string())
}

fn activation(portrait: &Portrait) -> String {
    show(portrait.sketch.activation.unwrap_or(portrait.sketch.created), &portrait.zone)
}

fn billing(portrait: &Portrait) -> Option<String> {
    portrait.sketch.billing.map(|id| id.to_string())
}

/// Both lines of the address, one after the other.
fn address(portrait: &Portrait) -> String {
    field(portrait, ContactField::Address1) + &field(portrait, ContactField::Address2)
}

/// The long form; `credentials` adds the empty credentials of E13.
pub(super) fn user(portrait: &Portrait, credentials: bool) -> User {
    let (sketch, zone) = (&portrait.sketch, &portrait.zone);
    User {
        id: sketch.id.0.to_string(),
        username: sketch.login.to_string(),
        last_name: field(portrait, ContactField::Last),
        group_id: group_id(portrait),
        status: status(portrait),
        name: field(portrait, ContactField::First),
        phone: phone(portrait),
        email: field(portrait, ContactField::Email),
        address: address(portrait),
        address_line1: field(portrait, ContactField::Address1),
        address_line2: field(portrait, ContactField::Address2),
        address_city: field(portrait, ContactField::City),
        address_pin: field(portrait, ContactField::Zip),
        address_state: field(portrait, ContactField::State),
        comments: sketch.comments.to_string(),
        activation: activation(portrait),
        created: show(sketch.created, zone),
        expiration: show_end(portrait.expires, zone),
        timezone: zone.iana_name().unwrap_or("UTC").to_owned(),
        group_name: portrait.plan.as_ref().map_or_else(String::new, |(_, name)| name.to_string()),
        billing_id: billing(portrait),
        label: sketch.label.to_string(),
        modified: show(sketch.modified, zone),
        company_name: sketch.contact.get(ContactField::Company).map(str::to_owned),
        api_token: credentials.then_some(""),
        api_key: credentials.then_some(""),
    }
}

/// The flat form.
pub(super) fn flat_user(portrait: &Portrait) -> FlatUser {
    let (sketch, zone) = (&portrait.sketch, &portrait.zone);
    FlatUser {
        id: sketch.id.0.to_string(),
        username: sketch.login.to_string(),
        group_id: group_id(portrait),
        status: status(portrait),
        name: field(portrait, ContactField::First),
        phone: phone(portrait),
        email: field(portrait, ContactField::Email),
        address_line1: field(portrait, ContactField::Address1),
        address_line2: field(portrait, ContactField::Address2),
        address_city: field(portrait, ContactField::City),
        address_pin: field(portrait, ContactField::Zip),
        address_state: field(portrait, ContactField::State),
        comments: sketch.comments.to_string(),
        activation: activation(portrait),
        created: show(sketch.created, zone),
        expiration: show_end(portrait.expires, zone),
        billing_id: billing(portrait),
        label: sketch.label.to_string(),
        modified: show(sketch.modified, zone),
        company_name: sketch.contact.get(ContactField::Company).map(str::to_owned),
        static_ip: bindings(portrait),
    }
}

/// The basic form.
pub(super) fn basic_user(portrait: &Portrait) -> BasicUser {
    let (sketch, zone) = (&portrait.sketch, &portrait.zone);
    BasicUser {
        id: sketch.id.0.to_string(),
        username: sketch.login.to_string(),
        account_id: sketch.account.1.to_string(),
        last_name: field(portrait, ContactField::Last),
        group_id: group_id(portrait),
        status: status(portrait),
        name: field(portrait, ContactField::First),
        phone: phone(portrait),
        email: field(portrait, ContactField::Email),
        address: address(portrait),
        address_line1: field(portrait, ContactField::Address1),
        address_line2: field(portrait, ContactField::Address2),
        address_city: field(portrait, ContactField::City),
        address_pin: field(portrait, ContactField::Zip),
        address_state: field(portrait, ContactField::State),
        comments: sketch.comments.to_string(),
        activation: activation(portrait),
        created: show(sketch.created, zone),
        expiration: show_end(portrait.expires, zone),
        installation: show_day(sketch.activation.unwrap_or(sketch.created), zone),
        billing_id: billing(portrait),
        label: sketch.label.to_string(),
        modified: show(sketch.modified, zone),
        country_code: field(portrait, ContactField::Country),
        alt_phone: field(portrait, ContactField::AltPhone),
        alt_email: field(portrait, ContactField::AltEmail),
    }
}

/// Addresses and devices.
pub(super) fn bindings(portrait: &Portrait) -> Vec<StaticIpMac> {
    let row = |binding: &crate::service::Binding| StaticIpMac {
        ip: binding.ip.to_string(),
        mac: binding.mac.as_ref().map(|mac| colons(mac)),
    };
    portrait.bindings.iter().map(row).collect()
}

/// A MAC address as `AA:BB:CC:DD:EE:FF`; what is none stays as it is.
pub(super) fn colons(mac: &str) -> String {
    let digits: Vec<char> = mac.chars().filter(char::is_ascii_hexdigit).collect();
    if digits.len() != 12 || mac.chars().any(|letter| !letter.is_ascii_hexdigit() && !":-. ".contains(letter))
    {
        return mac.to_owned();
    }
    let pairs: Vec<String> =
        digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_ascii_uppercase()).collect();
    pairs.join(":")
}

/// What was used in the present billing cycle: what came from the subscriber is the upload.
pub(super) fn usage(portrait: &Portrait) -> CycleUsage {
    let (cycle, zone) = (&portrait.cycle, &portrait.zone);
    let template = portrait.template.as_ref();
    let (used, limit) = cycle.quota.unwrap_or_default();
    let limit = u64::try_from(limit).unwrap_or(0);
    let known = cycle.first_day.is_some();
    CycleUsage {
        template_id: template.map_or_else(String::new, |template| template.id.to_string()),
        template_name: template.map_or_else(String::new, |template| template.name.to_string()),
        template_mikrotik: template.map_or_else(String::new, |template| mikrotik(template.up, template.down)),
        reset_type: "payAsYouGo".to_owned(),
        start: show_some(known.then_some(cycle.start), zone),
        end: show_some(known.then_some(cycle.end), zone),
        upload: cycle.used.input.to_string(),
        download: cycle.used.output.to_string(),
        total: cycle.used.input.saturating_add(cycle.used.output),
        data_limit: limit.to_string(),
        used_quota: used,
        total_quota: limit,
    }
}

/// Where somebody lives.
pub(super) fn location(location: &domain::Location) -> Location {
    let text = |text: &Option<smol_str::SmolStr>| text.as_ref().map(ToString::to_string);
    let id = |place: &Option<(i64, smol_str::SmolStr)>| place.as_ref().map(|(id, _)| id.to_string());
    let name = |place: &Option<(i64, smol_str::SmolStr)>| place.as_ref().map(|(_, name)| name.to_string());
    Location {
        latitude: text(&location.latitude),
        longitude: text(&location.longitude),
        area_id: id(&location.area),
        area: name(&location.area),
        street_id: id(&location.street),
        street: name(&location.street),
        block_id: id(&location.block),
        block: name(&location.block),
    }
}

/// The parts of one user, without its location.
pub(super) fn parts(portrait: &Portrait, credentials: bool) -> Vec<Part> {
    vec![
        Part::User(Box::new(user(portrait, credentials))),
        Part::Usage(Box::new(usage(portrait))),
        Part::StaticIpMac(bindings(portrait)),
    ]
}

/// A group.
pub(super) fn group(figures: &GroupFigures, online: bool) -> Group {
    Group {
        id: figures.head.id.to_string(),
        name: figures.head.name.to_string(),
        profile_id: figures.head.profile.to_string(),
        profile_name: figures.head.group.to_string(),
        active: figures.active,
        total: figures.total,
        online: online.then_some(figures.online),
    }
}

/// Somebody to be visited.
pub(super) fn visit(visit: &domain::Visit, with_balance: bool, payment: Option<PaymentMode>) -> Visit {
    let place = |place: &Option<(i64, smol_str::SmolStr)>| place.as_ref().map(|(_, name)| name.to_string());
    Visit {
        balance: with_balance.then(|| Balance { balance: visit.due.map(money) }),
        location: UserLocation {
            user_id: visit.subscriber.0.to_string(),
            latitude: visit.location.latitude.as_ref().map(ToString::to_string),
            longitude: visit.location.longitude.as_ref().map(ToString::to_string),
            account_id: visit.account.to_string(),
        },
        contact: Contact {
            person_title: visit.title.to_string(),
            first_name: visit.first.to_string(),
            last_name: visit.last.to_string(),
            phone_phone_number: visit.phone.to_string(),
            email: visit.email.to_string(),
            street_addres1: visit.address1.to_string(),
            street_addres2: visit.address2.to_string(),
        },
        area: AreaName { area: place(&visit.location.area) },
        street: StreetName { street: place(&visit.location.street) },
        block: BlockName { block: place(&visit.location.block) },
        payment,
    }
}

/// A payment that waits.
pub(super) fn pending(pending: &domain::PendingCollection, zone: &TimeZone) -> Visit {
    let payment = PaymentMode {
        amount: money(pending.amount),
        create_datetime: show(pending.at, zone),
        id: pending.id.to_string(),
    };
    visit(&pending.visit, false, Some(payment))
}

/// A renewal.
pub(super) fn renewal(row: &domain::Renewal, zone: &TimeZone) -> RenewalRow {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    RenewalRow {
        details: Renewal {
            id: row.id.to_string(),
            user_id: row.subscriber.0.to_string(),
            account_id: row.account.to_string(),
            admin_username: row.actor.to_string(),
            renewal_days: row.days.to_string(),
            renewal_amount: row.amount.map(money),
            plan_rate: row.plan_rate.map(money),
            tax_amount: row.tax.map(money),
            kind: row.kind.to_string(),
            previous_group_id: number(row.previous_plan),
            present_group_id: number(row.present_plan),
            previous_plan_id: number(row.previous_plan),
            present_plan_id: number(row.present_plan),
            order_id: number(row.order),
            order_active_until: row.order_until.map(|at| show(at, zone)),
            date_created: show(row.created, zone),
            deleted: if row.deleted { "1" } else { "0" },
            active_since: row.since.map(|at| show_day(at, zone)),
            active_until: row.until.map(|at| show_day(at, zone)),
            notes: row.notes.to_string(),
        },
    }
}

/// A message of the log.
pub(super) fn message(message: &LoggedMessage, channel: Channel, zone: &TimeZone) -> Message {
    let mail = channel == Channel::Email;
    Message {
        date_created: show(message.at, zone),
        number: (!mail).then(|| message.address.to_string()),
        email: mail.then(|| message.address.to_string()),
        subject: mail.then(|| message.subject.to_string()),
        content: message.content.to_string(),
        status_code: message.status.to_string(),
        error_message: message.error.to_string(),
    }
}

/// Money with three places at most.
pub(super) fn money(amount: Amount) -> String {
    let text = amount.to_string();
    let Some((_, places)) = text.split_once('.').filter(|(_, places)| places.len() > PLACES) else {
        return text;
    };
    // Half away from nothing: half of the last place is added, what is beyond it is cut off.
    let half = Amount::parse("0.0005").unwrap_or_default();
    let half = if text.starts_with('-') { half.negated() } else { half };
    let rounded = amount.saturating_plus(half).to_string();
    debug_assert!(places.len() > PLACES, "shorter ones are exact");
    match rounded.split_once('.') {
        None => rounded,
        Some((whole, places)) => {
            let places: String = places.chars().take(PLACES).collect();
            let places = places.trim_end_matches('0');
            let text = if places.is_empty() { whole.to_owned() } else { format!("{whole}.{places}") };
            if text == "-0" { "0".to_owned() } else { text }
        }
    }
}

const PLACES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_for_something() {
        for word in STATUSES {
            assert!(standing(word).is_some(), "{word}");
        }
    }

    #[test]
    fn money_has_three_places_at_most() {
        for (given, shown) in [
            ("3789.004", "3789.004"),
            ("10", "10"),
            ("0.0005", "0.001"),
            ("0.0004", "0"),
            ("-0.0004", "0"),
            ("-1.2345", "-1.235"),
            ("1.9999", "2"),
        ] {
            assert_eq!(money(Amount::parse(given).unwrap()), shown, "{given}");
        }
    }

    #[test]
    fn macs_have_colons() {
        assert_eq!(colons("aa-bb-cc-00-11-22"), "AA:BB:CC:00:11:22");
        assert_eq!(colons("aabbcc001122"), "AA:BB:CC:00:11:22");
        assert_eq!(colons("somebody"), "somebody");
    }
}
