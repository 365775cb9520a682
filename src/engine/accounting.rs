//! Accounting: what a packet says as a record, and what must be durable before it is answered.

use std::net::{IpAddr, Ipv4Addr};

use md5::{Digest as _, Md5};
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

use crate::domain::session::SessionDetails;
use crate::domain::text::text_from_octets;
use crate::domain::{
    AccountingRecord, ClassToken, Decision, Effect, Nas, NasIdentity, NasReload, RecordStatus,
    ReportedOctets, SessionKey, UniqueId, Write,
};
use crate::radius::attribute::{
    ACCT_AUTHENTIC, ACCT_DELAY_TIME, ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_INPUT_PACKETS,
    ACCT_MULTI_SESSION_ID, ACCT_OUTPUT_GIGAWORDS, ACCT_OUTPUT_OCTETS, ACCT_OUTPUT_PACKETS, ACCT_SESSION_ID,
    ACCT_SESSION_TIME, ACCT_STATUS_TYPE, ACCT_TERMINATE_CAUSE, CALLED_STATION_ID, CALLING_STATION_ID,
    CHAP_CHALLENGE, CHAP_PASSWORD, CHARGEABLE_USER_IDENTITY, CLASS, CONNECT_INFO, DELEGATED_IPV6_PREFIX,
    EAP_MESSAGE, EVENT_TIMESTAMP, FRAMED_INTERFACE_ID, FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS,
    FRAMED_IPV6_PREFIX, FRAMED_PROTOCOL, MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, NAS_IP_ADDRESS,
    NAS_IPV6_ADDRESS, NAS_PORT, NAS_PORT_ID, NAS_PORT_TYPE, PROXY_STATE, REPLY_MESSAGE, SERVICE_TYPE, STATE,
    USER_NAME, USER_PASSWORD,
};
use crate::radius::{AccountingRequest, AccountingResponse, AcctStatus, Dictionary, value};
use crate::sessions::Change;
use crate::time::{Now, UnixTime};

/// Why a request makes no record. It is not answered: what was not recorded may not be acknowledged
/// (RFC 2866 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NothingToRecord {
    /// Not a Start, Interim-Update or Stop.
    Status,
    /// No Acct-Session-Id (RFC 2866 §5.5).
    SessionId,
}

/// An Event-Timestamp may be this much older than the packet, seconds.
const EVENT_AGE_MAX: u64 = 30 * 86_400;

/// … and this much ahead of it.
const EVENT_AHEAD_MAX: u64 = 86_400;

/// Attributes without a column are kept up to so many octets of text per session.
const OTHER_ATTRIBUTES_MAX: usize = 4096;

/// When what the packet tells of happened: a believable Event-Timestamp (RFC 2869 §5.3), else the
/// time of receipt less Acct-Delay-Time (RFC 2866 §5.2). `true`: something it says is absurd.
#[must_use]
pub fn event_time(request: &AccountingRequest<'_>, now: Now) -> (UnixTime, bool) {
    let oldest = now.unix.minus(EVENT_AGE_MAX);
    let stamp = request.event_timestamp();
    if let Some(stamp) = stamp
        && stamp >= oldest
        && stamp <= now.unix.plus(EVENT_AHEAD_MAX)
    {
        return (stamp, false);
    }
    let sent = now.unix.minus(request.delay_time().unwrap_or(0).into());
    if sent < oldest { (now.unix, true) } else { (sent, stamp.is_some()) }
}

/// What a Start, Interim-Update or Stop says. `token` is the one in its Class, if its MAC is right.
///
/// # Errors
/// The NAS's fault: there is nothing that could be recorded.
pub fn record(
    request: &AccountingRequest<'_>,
    nas: &Nas,
    identity: NasIdentity,
    token: Option<ClassToken>,
    dictionary: &Dictionary,
    now: Now,
) -> Result<AccountingRecord, NothingToRecord> {
    let status = match request.status() {
        Some(AcctStatus::Start) => RecordStatus::Start,
        Some(AcctStatus::InterimUpdate) => RecordStatus::InterimUpdate,
        Some(AcctStatus::Stop) => RecordStatus::Stop,
        Some(AcctStatus::AccountingOn | AcctStatus::AccountingOff | AcctStatus::Other(_)) | None => {
            return Err(NothingToRecord::Status);
        }
    };
    let session_id = request.acct_session_id().ok_or(NothingToRecord::SessionId)?;
    let acct_session_id = text_from_octets(session_id);
    let (event_time, clock_suspect) = event_time(request, now);
    let input = ReportedOctets { octets: request.input_octets(), gigawords: request.input_gigawords() };
    let output = ReportedOctets { octets: request.output_octets(), gigawords: request.output_gigawords() };
    let (input, output) = if nas.swap_octets { (output, input) } else { (input, output) };
    let nas_key = SessionKey::of_nas(&identity, &acct_session_id);
    let name = |attribute: u8, number: Option<u32>| value_name(dictionary, attribute, number);
    Ok(AccountingRecord {
        status,
        key: token.map_or(nas_key, |token| SessionKey::of_token(token, &acct_session_id)),
        nas_key,
        unique_id: unique_id(request, identity.source),
        nas: identity,
        acct_session_id,
        user_name: text(request.user_name()),
        token,
        event_time,
        received: now.unix,
        clock_suspect,
        session_time: request.session_time(),
        input,
        output,
        terminate_cause: if status == RecordStatus::Stop {
            name(ACCT_TERMINATE_CAUSE, request.terminate_cause())
        } else {
            SmolStr::default()
        },
        framed_ip: request.framed_ip_address().filter(|address| is_assigned(*address)),
        calling_station_id: text(request.calling_station_id()),
        called_station_id: text(request.called_station_id()),
        nas_port_id: request.nas_port_id().map_or_else(
            || request.nas_port().map(|port| port.to_smolstr()).unwrap_or_default(),
            text_from_octets,
        ),
        details: SessionDetails {
            granted: SmolStr::default(),
            nas_port_type: name(NAS_PORT_TYPE, request.nas_port_type()),
            authentic: name(ACCT_AUTHENTIC, request.authentic()),
            connect_info_start: text(request.connect_info()),
            connect_info_stop: SmolStr::default(),
            service_type: name(SERVICE_TYPE, request.service_type()),
            framed_protocol: name(FRAMED_PROTOCOL, request.framed_protocol()),
            framed_ipv6_address: request.framed_ipv6_address(),
            framed_ipv6_prefix: request
                .framed_ipv6_prefix()
                .map(|prefix| prefix.to_smolstr())
                .unwrap_or_default(),
            framed_interface_id: request.framed_interface_id().map(interface_id).unwrap_or_default(),
            delegated_ipv6_prefix: request
                .delegated_ipv6_prefix()
                .map(|prefix| prefix.to_smolstr())
                .unwrap_or_default(),
            class: class(request, token),
            multi_session_id: text(request.acct_multi_session_id()),
            chargeable_user_identity: request
                .chargeable_user_identity()
                .filter(|identity| *identity != [0])
                .map(text_from_octets)
                .unwrap_or_default(),
            earlier_addresses: SmolStr::default(),
            nas_user_name: SmolStr::default(),
            other_attributes: other_attributes(request, dictionary),
        },
    })
}

/// The answer to a record that was merged: the rows first, then the reply.
#[must_use]
pub fn decide(change: Change) -> Decision<AccountingResponse> {
    Decision { before: change.into_writes(), ..Decision::reply(AccountingResponse) }
}

/// The answer to an Accounting-On or -Off: one row says at once that the sessions of the NAS are over,
/// however many they are; they are closed once the reply is on its way.
#[must_use]
pub fn decide_reload(reload: NasReload) -> Decision<AccountingResponse> {
    let mut decision = Decision::reply(AccountingResponse);
    decision.before.push(Write::NasReload(reload.clone()));
    decision.after.push(Effect::SweepNas(reload));
    decision
}

/// What FreeRADIUS's policy `acct_unique` computes, so that both servers meet in one row: an MD5 of
/// the token in the first Class and the Acct-Session-Id, or of who, what and where. Its `preprocess`
/// has put the sender's address where the NAS names none of that family. Octets count as they are;
/// only a NUL, where FreeRADIUS stops reading, does not end anything here.
fn unique_id(request: &AccountingRequest<'_>, source: IpAddr) -> UniqueId {
    let mut digest = Md5::new();
    let session_id = request.acct_session_id().unwrap_or_default();
    if let Some(token) = request.classes().next().and_then(token_digits) {
        digest.update(token);
        digest.update(b",");
        digest.update(session_id);
        return UniqueId(digest.finalize().into());
    }
    let address = match (request.nas_ipv6_address(), source, request.nas_ip_address()) {
        (Some(address), _, _) | (None, IpAddr::V6(address), _) => IpAddr::V6(address),
        (None, IpAddr::V4(_), Some(address)) | (None, IpAddr::V4(address), None) => IpAddr::V4(address),
    };
    digest.update(request.user_name().unwrap_or_default());
    digest.update(b",");
    digest.update(session_id);
    digest.update(b",");
    digest.update(address.to_smolstr());
    digest.update(b",");
    digest.update(request.nas_identifier().unwrap_or_default());
    digest.update(b",");
    digest.update(request.nas_port_id().unwrap_or_default());
    digest.update(b",");
    digest.update(request.nas_port().map(|port| port.to_smolstr()).unwrap_or_default());
    UniqueId(digest.finalize().into())
}

/// The 32 hexadecimal digits behind `ai:`, in either case; what follows them is passed over.
fn token_digits(class: &[u8]) -> Option<&[u8]> {
    let digits = class.strip_prefix(ClassToken::PREFIX.as_bytes())?.get(..32)?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)
}

/// 255.255.255.255 and .254 ask the user or the NAS to choose (RFC 2865 §5.8): nobody has them.
fn is_assigned(address: Ipv4Addr) -> bool {
    !matches!(address.octets(), [255, 255, 255, 254 | 255])
}

fn text(octets: Option<&[u8]>) -> SmolStr {
    octets.map(text_from_octets).unwrap_or_default()
}

/// The name of a number, or its digits where it has none; empty if absent.
fn value_name(dictionary: &Dictionary, attribute: u8, number: Option<u32>) -> SmolStr {
    let Some(number) = number else { return SmolStr::default() };
    let name = dictionary.standard(attribute).and_then(|def| dictionary.value_name(def, number));
    name.map_or_else(|| number.to_smolstr(), SmolStr::new)
}

fn interface_id(octets: [u8; 8]) -> SmolStr {
    let [a, b, c, d, e, f, g, h] = octets;
    let group = |high, low| u16::from_be_bytes([high, low]);
    format_smolstr!("{:x}:{:x}:{:x}:{:x}", group(a, b), group(c, d), group(e, f), group(g, h))
}

/// The Class that carries our token, else the first: as text where it is printable.
fn class(request: &AccountingRequest<'_>, token: Option<ClassToken>) -> SmolStr {
    let mut ours =
        request.classes().filter(|class| token.is_some() && ClassToken::from_class(class) == token);
    let Some(class) = ours.next().or_else(|| request.classes().find(|class| !class.is_empty())) else {
        return SmolStr::default();
    };
    match std::str::from_utf8(class) {
        Ok(text) if !text.contains(char::is_control) => SmolStr::new(text),
        _ => format_smolstr!("0x{}", hex::encode(class)),
    }
}

/// `Name = value` lines of what has no column of its own (RFC 5080 §2.5).
fn other_attributes(request: &AccountingRequest<'_>, dictionary: &Dictionary) -> SmolStr {
    let has_other = request.attributes().any(|attribute| !is_column(attribute.number));
    let has_both_ports = request.nas_port_id().is_some() && request.nas_port().is_some();
    if !has_other && !has_both_ports && !has_second_prefix(request) {
        return SmolStr::default();
    }
    let mut lines = String::new();
    let mut seen = [false; 256];
    for value in value::values(request.attributes(), dictionary) {
        if let (None, [number]) = (value.vendor, value.numbers.as_slice())
            && let Ok(number) = u8::try_from(*number)
        {
            let again = seen.get_mut(usize::from(number)).is_some_and(|seen| std::mem::replace(seen, true));
            let keep = match number {
                NAS_PORT => has_both_ports,
                FRAMED_IPV6_ADDRESS | FRAMED_IPV6_PREFIX | DELEGATED_IPV6_PREFIX => again,
                _ => !is_column(number) && !is_secret(number),
            };
            if !keep {
                continue;
            }
        }
        let is_hidden = value.def().is_some_and(|def| def.hiding.is_some());
        if is_hidden || is_mschap(value.vendor, &value.numbers) {
            continue;
        }
        let (name, text) = (value.name(dictionary), value.print(dictionary));
        if lines.len() + name.len() + text.len() + 4 > OTHER_ATTRIBUTES_MAX {
            break;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(&name);
        lines.push_str(" = ");
        // PostgreSQL takes no NUL.
        lines.push_str(&text.replace('\0', "\\000"));
    }
    SmolStr::from(lines)
}

fn has_second_prefix(request: &AccountingRequest<'_>) -> bool {
    [FRAMED_IPV6_ADDRESS, FRAMED_IPV6_PREFIX, DELEGATED_IPV6_PREFIX]
        .into_iter()
        .any(|number| request.values(number).nth(1).is_some())
}

/// Is it in a column, in the identity of the NAS, or about the packet alone? Counts of packets have no
/// column in FreeRADIUS's tables either: they change with every record and would be written each time.
const fn is_column(number: u8) -> bool {
    matches!(
        number,
        USER_NAME
            | NAS_IP_ADDRESS
            | NAS_IPV6_ADDRESS
            | NAS_IDENTIFIER
            | NAS_PORT
            | NAS_PORT_ID
            | NAS_PORT_TYPE
            | SERVICE_TYPE
            | FRAMED_PROTOCOL
            | FRAMED_IP_ADDRESS
            | FRAMED_IPV6_ADDRESS
            | FRAMED_IPV6_PREFIX
            | FRAMED_INTERFACE_ID
            | DELEGATED_IPV6_PREFIX
            | CALLED_STATION_ID
            | CALLING_STATION_ID
            | CLASS
            | CONNECT_INFO
            | CHARGEABLE_USER_IDENTITY
            | EVENT_TIMESTAMP
            | ACCT_STATUS_TYPE
            | ACCT_DELAY_TIME
            | ACCT_INPUT_OCTETS
            | ACCT_OUTPUT_OCTETS
            | ACCT_INPUT_GIGAWORDS
            | ACCT_OUTPUT_GIGAWORDS
            | ACCT_INPUT_PACKETS
            | ACCT_OUTPUT_PACKETS
            | ACCT_SESSION_ID
            | ACCT_SESSION_TIME
            | ACCT_AUTHENTIC
            | ACCT_TERMINATE_CAUSE
            | ACCT_MULTI_SESSION_ID
            | MESSAGE_AUTHENTICATOR
            | PROXY_STATE
    )
}

/// "The following attributes MUST NOT be present in an Accounting-Request: User-Password,
/// CHAP-Password, Reply-Message, State" (RFC 2866 §4.1). They and other credentials are never kept.
const fn is_secret(number: u8) -> bool {
    matches!(number, USER_PASSWORD | CHAP_PASSWORD | CHAP_CHALLENGE | REPLY_MESSAGE | STATE | EAP_MESSAGE)
}

/// Microsoft's responses and changed passwords (RFC 2548 §2): credentials too.
fn is_mschap(vendor: Option<u32>, numbers: &[u32]) -> bool {
    vendor == Some(311) && matches!(numbers, [1..=6 | 11 | 25 | 27])
}

#[cfg(test)]
mod tests;
