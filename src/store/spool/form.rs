//! A row as it lies in the spool: JSON that says all of it, so that whoever reads it needs nothing else.
//! Only this file knows how; fields are only ever added, and what a later release does not write is nothing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::domain::session::SessionDetails;
use crate::domain::{
    ClassToken, CloseGuess, Closed, Counter, Day, NasIdentity, NasReload, Session, SessionFlags, SessionKey,
    SubscriberId, UniqueId, Usage, Write,
};
use crate::store::charges;
use crate::time::UnixTime;

/// How this release writes; a spool of a later one is not opened.
pub(in crate::store) const VERSION: i64 = 1;

/// What [`Write`] is on disk.
#[derive(Serialize, Deserialize)]
#[serde(tag = "row")]
enum Form {
    #[serde(rename = "session")]
    Session(Box<SessionForm>),
    #[serde(rename = "usage")]
    Usage { subscriber: i64, day: i32, total: [u64; 3] },
    #[serde(rename = "reload")]
    Reload { nas: Nas, at: i64 },
    #[serde(rename = "top_up")]
    TopUp { quota: i64, used: u64 },
    #[serde(rename = "used")]
    Used { subscriber: i64, at: i64 },
}

#[derive(Serialize, Deserialize)]
struct Nas {
    source: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "SmolStr::is_empty", with = "text")]
    identifier: SmolStr,
}

#[derive(Serialize, Deserialize)]
struct Count {
    #[serde(default, skip_serializing_if = "is_nothing")]
    base: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reported: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct End {
    at: i64,
    #[serde(with = "text")]
    cause: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guess: Option<String>,
}

/// Every text field that is empty is left out.
macro_rules! session_form {
    ($($(#[$more:meta])* $name:ident: $type:ty,)*; $($text:ident,)*) => {
        #[derive(Serialize, Deserialize)]
        struct SessionForm {
            $($(#[$more])* $name: $type,)*
            $(
                #[serde(default, skip_serializing_if = "SmolStr::is_empty", with = "text")]
                $text: SmolStr,
            )*
        }
    };
}

session_form! {
    key: String,
    #[serde(default)] epoch: u32,
    unique_id: String,
    nas: Nas,
    #[serde(default, skip_serializing_if = "Option::is_none")] subscriber: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")] token: Option<String>,
    started: i64,
    updated: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")] closed: Option<End>,
    #[serde(default)] interval: u32,
    session_time: Count,
    input: Count,
    output: Count,
    counted: [u64; 3],
    /// As in `tk_cdr.charges`.
    #[serde(default, skip_serializing_if = "Option::is_none")] charge: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")] flags: String,
    #[serde(default, skip_serializing_if = "Option::is_none")] framed_ip: Option<std::net::Ipv4Addr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    framed_ipv6_address: Option<std::net::Ipv6Addr>,
    ;
    user_name,
    group,
    acct_session_id,
    calling_station_id,
    called_station_id,
    nas_port_id,
    nas_port_type,
    authentic,
    connect_info_start,
    connect_info_stop,
    service_type,
    framed_protocol,
    framed_ipv6_prefix,
    framed_interface_id,
    delegated_ipv6_prefix,
    class,
    nas_user_name,
    multi_session_id,
    chargeable_user_identity,
    earlier_addresses,
    other_attributes,
    granted,
}

/// A short text; `smol_str` is built without serde.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use smol_str::SmolStr;

    pub(super) fn serialize<S: Serializer>(text: &SmolStr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SmolStr, D::Error> {
        String::deserialize(deserializer).map(SmolStr::from)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_nothing(number: &u64) -> bool {
    *number == 0
}

/// What tells the row from all others: of two with one key the later holds all of the earlier.
pub(super) fn key(write: &Write) -> SmolStr {
    match write {
        Write::Session(session) => format_smolstr!("s{}", session.unique_id.to_text()),
        Write::Usage { subscriber, day, .. } => format_smolstr!("u{}/{}", subscriber.0, day.0),
        Write::NasReload(NasReload { nas, at }) => {
            let address = nas.address.map(|address| format_smolstr!("{address}")).unwrap_or_default();
            format_smolstr!("r{}/{address}/{}/{}", nas.source, at.0, nas.identifier)
        }
        Write::TopUp { quota, .. } => format_smolstr!("t{quota}"),
        Write::Used { subscriber, .. } => format_smolstr!("l{}", subscriber.0),
    }
}

/// A second key for a row of which the first one counts too: that of a subscriber's first use.
pub(super) fn first_key(write: &Write) -> Option<SmolStr> {
    match write {
        Write::Used { subscriber, .. } => Some(format_smolstr!("f{}", subscriber.0)),
        _ => None,
    }
}

/// The row as text.
pub(super) fn write(write: &Write) -> String {
    let form = match write {
        Write::Session(session) => return of_session(session),
        Write::Usage { subscriber, day, total } => {
            Form::Usage { subscriber: subscriber.0, day: day.0, total: three(*total) }
        }
        Write::NasReload(reload) => Form::Reload { nas: nas_form(&reload.nas), at: reload.at.0 },
        Write::TopUp { quota, used } => Form::TopUp { quota: *quota, used: *used },
        Write::Used { subscriber, at } => Form::Used { subscriber: subscriber.0, at: at.0 },
    };
    as_text(&form)
}

/// The row of a session as text.
pub(in crate::store) fn of_session(session: &Session) -> String {
    as_text(&Form::Session(Box::new(session_form(session))))
}

fn as_text(form: &Form) -> String {
    // Nothing in it is of a kind that JSON has no word for.
    serde_json::to_string(form).unwrap_or_default()
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// Why it is something else.
pub(in crate::store) fn read(body: &str) -> Result<Write, String> {
    let form: Form = serde_json::from_str(body).map_err(|error| error.to_string())?;
    Ok(match form {
        Form::Session(form) => Write::Session(Box::new(session(*form)?)),
        Form::Usage { subscriber, day, total } => {
            Write::Usage { subscriber: SubscriberId(subscriber), day: Day(day), total: usage(total) }
        }
        Form::Reload { nas, at } => Write::NasReload(NasReload { nas: identity(nas), at: UnixTime(at) }),
        Form::TopUp { quota, used } => Write::TopUp { quota, used },
        Form::Used { subscriber, at } => {
            Write::Used { subscriber: SubscriberId(subscriber), at: UnixTime(at) }
        }
    })
}

const fn three(usage: Usage) -> [u64; 3] {
    [usage.seconds, usage.input, usage.output]
}

const fn usage([seconds, input, output]: [u64; 3]) -> Usage {
    Usage { seconds, input, output }
}

fn nas_form(nas: &NasIdentity) -> Nas {
    Nas { source: nas.source, address: nas.address, identifier: nas.identifier.clone() }
}

fn identity(nas: Nas) -> NasIdentity {
    NasIdentity { source: nas.source, address: nas.address, identifier: nas.identifier }
}

const fn count(counter: Counter) -> Count {
    Count { base: counter.base, reported: counter.reported }
}

const fn counter(count: &Count) -> Counter {
    Counter { base: count.base, reported: count.reported }
}

fn session_form(session: &Session) -> SessionForm {
    let details = &*session.details;
    SessionForm {
        key: hex::encode(session.key.0),
        epoch: session.epoch,
        unique_id: hex::encode(session.unique_id.0),
        nas: nas_form(&session.nas),
        subscriber: session.subscriber.map(|subscriber| subscriber.0),
        token: session.token.map(|token| hex::encode(token.0)),
        started: session.started.0,
        updated: session.updated.0,
        closed: session.closed.as_ref().map(|closed| End {
            at: closed.at.0,
            cause: closed.cause.clone(),
            guess: closed.guess.map(|guess| guess.as_str().to_owned()),
        }),
        interval: session.interval,
        session_time: count(session.session_time),
        input: count(session.input),
        output: count(session.output),
        counted: three(session.counted),
        charge: session.charge.as_deref().map(charges::to_json),
        flags: session.flags.to_text(),
        framed_ip: session.framed_ip,
        framed_ipv6_address: details.framed_ipv6_address,
        user_name: session.user_name.clone(),
        group: session.group.clone(),
        acct_session_id: session.acct_session_id.clone(),
        calling_station_id: session.calling_station_id.clone(),
        called_station_id: session.called_station_id.clone(),
        nas_port_id: session.nas_port_id.clone(),
        nas_port_type: details.nas_port_type.clone(),
        authentic: details.authentic.clone(),
        connect_info_start: details.connect_info_start.clone(),
        connect_info_stop: details.connect_info_stop.clone(),
        service_type: details.service_type.clone(),
        framed_protocol: details.framed_protocol.clone(),
        framed_ipv6_prefix: details.framed_ipv6_prefix.clone(),
        framed_interface_id: details.framed_interface_id.clone(),
        delegated_ipv6_prefix: details.delegated_ipv6_prefix.clone(),
        class: details.class.clone(),
        nas_user_name: details.nas_user_name.clone(),
        multi_session_id: details.multi_session_id.clone(),
        chargeable_user_identity: details.chargeable_user_identity.clone(),
        earlier_addresses: details.earlier_addresses.clone(),
        other_attributes: details.other_attributes.clone(),
        granted: details.granted.clone(),
    }
}

fn session(form: SessionForm) -> Result<Session, String> {
    let charge = match form.charge {
        Some(text) => Some(Box::new(charges::from_json(&text).ok_or("charge is no account")?)),
        None => None,
    };
    let closed = form.closed.map(|end| Closed {
        at: UnixTime(end.at),
        cause: end.cause,
        guess: end.guess.as_deref().and_then(CloseGuess::parse),
    });
    let token = form.token.as_deref().map(|text| sixteen("token", text)).transpose()?.map(ClassToken);
    Ok(Session {
        key: SessionKey(sixteen("key", &form.key)?),
        epoch: form.epoch,
        unique_id: UniqueId(sixteen("unique_id", &form.unique_id)?),
        nas: identity(form.nas),
        subscriber: form.subscriber.map(SubscriberId),
        user_name: form.user_name,
        group: form.group,
        acct_session_id: form.acct_session_id,
        token,
        started: UnixTime(form.started),
        updated: UnixTime(form.updated),
        closed,
        interval: form.interval,
        session_time: counter(&form.session_time),
        input: counter(&form.input),
        output: counter(&form.output),
        counted: usage(form.counted),
        charge,
        flags: SessionFlags::parse(&form.flags),
        framed_ip: form.framed_ip,
        calling_station_id: form.calling_station_id,
        called_station_id: form.called_station_id,
        nas_port_id: form.nas_port_id,
        details: Box::new(SessionDetails {
            nas_port_type: form.nas_port_type,
            authentic: form.authentic,
            connect_info_start: form.connect_info_start,
            connect_info_stop: form.connect_info_stop,
            service_type: form.service_type,
            framed_protocol: form.framed_protocol,
            framed_ipv6_address: form.framed_ipv6_address,
            framed_ipv6_prefix: form.framed_ipv6_prefix,
            framed_interface_id: form.framed_interface_id,
            delegated_ipv6_prefix: form.delegated_ipv6_prefix,
            class: form.class,
            nas_user_name: form.nas_user_name,
            multi_session_id: form.multi_session_id,
            chargeable_user_identity: form.chargeable_user_identity,
            earlier_addresses: form.earlier_addresses,
            other_attributes: form.other_attributes,
            granted: form.granted,
        }),
    })
}

fn sixteen(name: &str, text: &str) -> Result<[u8; 16], String> {
    let mut octets = [0; 16];
    hex::decode_to_slice(text, &mut octets).map_err(|error| format!("{name}: {error}"))?;
    Ok(octets)
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use super::*;
    use crate::domain::charge::WalletKind;
    use crate::domain::plan::PlanId;
    use crate::domain::{Amount, Charge};

    /// A session with something in every field.
    pub(in crate::store) fn session(number: u8) -> Session {
        let text = |text: &str| SmolStr::from(format!("{text} \"\u{0}é\n"));
        Session {
            key: SessionKey([number; 16]),
            epoch: 3,
            unique_id: UniqueId([number; 16]),
            nas: NasIdentity {
                source: IpAddr::from([192, 0, 2, 1]),
                address: Some("2001:db8::1".parse().unwrap()),
                identifier: text("nas"),
            },
            subscriber: Some(SubscriberId(7)),
            user_name: text("bob"),
            group: text("gold"),
            acct_session_id: text("id"),
            token: Some(ClassToken([9; 16])),
            started: UnixTime(1_700_000_000),
            updated: UnixTime(1_700_000_060),
            closed: Some(Closed {
                at: UnixTime(1_700_000_050),
                cause: "Stale-Session".into(),
                guess: Some(CloseGuess::Stale),
            }),
            interval: 60,
            session_time: Counter { base: 0, reported: Some(60) },
            input: Counter { base: u64::MAX, reported: None },
            output: Counter { base: 5, reported: Some(0) },
            counted: Usage { seconds: 60, input: u64::MAX, output: 5 },
            charge: Some(Box::new(Charge {
                plan: PlanId(4),
                plan_name: "gold".into(),
                wallet: WalletKind::Money,
                before: Amount::parse("-0.000000000000000001").unwrap(),
                rated: Usage::default(),
                until: UnixTime(5),
                parts: Vec::new(),
            })),
            flags: SessionFlags { wrapped: true, salted: true, ..SessionFlags::default() },
            framed_ip: Some([100, 64, 0, 1].into()),
            calling_station_id: text("calling"),
            called_station_id: text("called"),
            nas_port_id: text("port"),
            details: Box::new(SessionDetails {
                nas_port_type: text("1"),
                authentic: text("2"),
                connect_info_start: text("3"),
                connect_info_stop: text("4"),
                service_type: text("5"),
                framed_protocol: text("6"),
                framed_ipv6_address: Some("2001:db8::2".parse().unwrap()),
                framed_ipv6_prefix: text("7"),
                framed_interface_id: text("8"),
                delegated_ipv6_prefix: text("9"),
                class: text("10"),
                nas_user_name: text("11"),
                multi_session_id: text("12"),
                chargeable_user_identity: text("13"),
                earlier_addresses: text("14"),
                other_attributes: text("15"),
                granted: text("16"),
            }),
        }
    }

    #[test]
    fn every_row_comes_back_as_it_was() {
        let full = session(1);
        let plain = Session {
            subscriber: None,
            token: None,
            closed: None,
            charge: None,
            framed_ip: None,
            details: Box::default(),
            nas: NasIdentity { address: None, identifier: SmolStr::default(), ..full.nas.clone() },
            ..full.clone()
        };
        let rows = [
            Write::Session(Box::new(full.clone())),
            Write::Session(Box::new(plain)),
            Write::Usage {
                subscriber: SubscriberId(7),
                day: Day::LIFETIME,
                total: Usage { seconds: 1, input: u64::MAX, output: 0 },
            },
            Write::NasReload(NasReload { nas: full.nas, at: UnixTime(5) }),
            Write::TopUp { quota: -1, used: u64::MAX },
            Write::Used { subscriber: SubscriberId(7), at: UnixTime(-5) },
        ];
        for row in rows {
            let body = write(&row);
            assert!(!body.contains('\0'), "{body}");
            assert_eq!(read(&body), Ok(row), "{body}");
        }
        for wrong in ["", "{}", "{\"row\": \"cat\"}", "{\"row\": \"top_up\"}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
