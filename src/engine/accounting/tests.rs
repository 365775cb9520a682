use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::radius::{Packet, Request, Secret, authenticate_request};
use crate::sessions::{RecordFacts, Settings, SubscriberSessions};

const RECEIVED: i64 = 1_750_248_000;

#[expect(clippy::disallowed_methods, reason = "a base to count from; nothing waits for it")]
fn now() -> Now {
    Now { instant: Instant::now(), unix: UnixTime(RECEIVED) }
}

fn nas() -> Nas {
    Nas::sample("nas", "127.0.0.0/8")
}

/// Attributes of an Accounting-Request.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn of(status: u32) -> Self {
        Self::default().number(ACCT_STATUS_TYPE, status).text(ACCT_SESSION_ID, "1")
    }

    fn octets(mut self, number: u8, value: &[u8]) -> Self {
        self.0.push(number);
        self.0.push(u8::try_from(value.len() + 2).unwrap());
        self.0.extend(value);
        self
    }

    fn text(self, number: u8, value: &str) -> Self {
        self.octets(number, value.as_bytes())
    }

    fn number(self, number: u8, value: u32) -> Self {
        self.octets(number, &value.to_be_bytes())
    }

    /// Hands the request, verified, to `then`.
    fn with<R>(&self, then: impl FnOnce(&AccountingRequest<'_>) -> R) -> R {
        let secret = Secret::new(b"testing123").unwrap();
        let length = u16::try_from(20 + self.0.len()).unwrap();
        let mut octets = vec![4, 1];
        octets.extend(length.to_be_bytes());
        octets.extend([0; 16]);
        octets.extend(&self.0);
        authenticate_request(&mut octets, &secret);
        let packet = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
        let Ok(Request::Accounting(request)) = packet.into_request(&secret) else {
            panic!("an accounting request")
        };
        then(&request)
    }

    fn record_of(&self, nas: &Nas, source: &str) -> Result<AccountingRecord, NothingToRecord> {
        let dictionary: Arc<Dictionary> = Dictionary::embedded();
        self.with(|request| {
            let address = request.nas_ip_address().map(IpAddr::V4);
            let identity = NasIdentity {
                source: source.parse().unwrap(),
                address: address.or_else(|| request.nas_ipv6_address().map(IpAddr::V6)),
                identifier: text(request.nas_identifier()),
            };
            let token = request.classes().find_map(ClassToken::from_class);
            record(request, nas, identity, token, &dictionary, now())
        })
    }

    fn record(&self) -> AccountingRecord {
        self.record_of(&nas(), "127.0.0.1").unwrap()
    }

    fn event_time(&self) -> (i64, bool) {
        let (at, suspect) = self.with(|request| event_time(request, now()));
        (at.0 - RECEIVED, suspect)
    }
}

/// Recorded from FreeRADIUS 3.2.1 with its own `preprocess` and `acct_unique`.
#[test]
fn the_unique_id_is_that_of_freeradius() {
    let of = |user: &[u8], id: &str| {
        Attributes::default().octets(USER_NAME, user).text(ACCT_SESSION_ID, id).number(ACCT_STATUS_TYPE, 1)
    };
    let local = [192, 0, 2, 1];
    let token = "ai:00019aaf0405060708090a0b0c0dfeff";
    for (attributes, expected) in [
        (
            of(b"bob", "00000001")
                .octets(NAS_IP_ADDRESS, &local)
                .text(NAS_IDENTIFIER, "nas-1")
                .text(NAS_PORT_ID, "ether1")
                .number(NAS_PORT, 7),
            "8eabcdcf6c38f1b846e5a0acc860d5f4",
        ),
        (
            of(b"bob", "00000002").octets(NAS_IP_ADDRESS, &local).number(NAS_PORT, 15_728_640),
            "5693a0a18d143dee8ca1047e9d53da74",
        ),
        (
            Attributes::default().text(ACCT_SESSION_ID, "X3").number(ACCT_STATUS_TYPE, 1),
            "1757eedee3f105b38766dbb5fb8c883b",
        ),
        (
            of(b"o'brien %x", "81/a;b")
                .octets(
                    NAS_IPV6_ADDRESS,
                    &"2001:db8::1:0:0:5".parse::<std::net::Ipv6Addr>().unwrap().octets(),
                )
                .octets(NAS_IP_ADDRESS, &local)
                .text(NAS_IDENTIFIER, "n, 2"),
            "9bf3207234e7743732e534e8241f3b87",
        ),
        (
            of(b"bob", "00000005").octets(NAS_IP_ADDRESS, &local).text(CLASS, token),
            "bc524e1cd8210ff14ab1570cc275d275",
        ),
        (
            of(b"bob", "00000006")
                .octets(NAS_IP_ADDRESS, &local)
                .text(CLASS, "ai:00019AAF0405060708090a0b0c0dfeff"),
            "0bf39b5f848b8f657c70c764bfced2df",
        ),
        (of(b"a\nb\"q\\", "9"), "6ac397ef14b569ca8c9eaea445fc72e2"),
        (
            of(b"bob", "10")
                .octets(NAS_IPV6_ADDRESS, &"::ffff:192.0.2.9".parse::<std::net::Ipv6Addr>().unwrap().octets())
                .text(NAS_PORT_ID, "0")
                .number(NAS_PORT, 0),
            "5452962dd68c175c7cd68b7c755809a0",
        ),
        (of(b"bob", "11").text(CLASS, "other").text(CLASS, token), "37d6e3d76b36e9704f1a98cce0c2d42b"),
        (of(b"bob", "13").text(CLASS, &format!("{token}99")), "84f3c4073765107ab95a0ceaffc40cff"),
        (of(b"b\xff\xfeb", "n0").octets(NAS_IP_ADDRESS, &local), "99f21197336a4ce4cbf3d6218b53b18f"),
        (of("bö".as_bytes(), "n2").octets(NAS_IP_ADDRESS, &local), "32de5a111a75e90a0900fe385dc57d61"),
        (of("\u{1f600}".as_bytes(), "n3").octets(NAS_IP_ADDRESS, &local), "f21cd8265773e8887cdce33df65cd45a"),
        (of(b"a\nb\"q\\\t\x01=27", "n4").octets(NAS_IP_ADDRESS, &local), "276d1a1728cf624b71996fbbd122e518"),
        (of(b"%{User-Name}", "n5").octets(NAS_IP_ADDRESS, &local), "7d8a8b7f1106ec256bbf2d059905981f"),
    ] {
        assert_eq!(attributes.record().unique_id.to_text(), expected);
    }
}

#[test]
fn ac19_the_event_time_is_a_believable_timestamp_or_receipt_less_delay() {
    let now = u32::try_from(RECEIVED).unwrap();
    let stamped = |stamp: u32| Attributes::of(2).number(EVENT_TIMESTAMP, stamp).number(ACCT_DELAY_TIME, 5);
    assert_eq!(Attributes::of(2).event_time(), (0, false));
    assert_eq!(Attributes::of(2).number(ACCT_DELAY_TIME, 30).event_time(), (-30, false));
    assert_eq!(stamped(now - 700).event_time(), (-700, false), "the timestamp is used alone");
    assert_eq!(stamped(now - 30 * 86_400).event_time(), (-30 * 86_400, false));
    assert_eq!(stamped(now + 86_400).event_time(), (86_400, false));
    for absurd in [0, 1, now - 30 * 86_400 - 1, now + 86_401, i32::MAX.cast_unsigned(), u32::MAX] {
        assert_eq!(stamped(absurd).event_time(), (-5, true), "{absurd}");
    }
    assert_eq!(Attributes::of(2).number(ACCT_DELAY_TIME, u32::MAX).event_time(), (0, true));
}

#[test]
fn ac05_what_cannot_be_recorded_is_refused() {
    let bare = Attributes::default().number(ACCT_STATUS_TYPE, 1);
    assert_eq!(bare.record_of(&nas(), "127.0.0.1"), Err(NothingToRecord::SessionId));
    let empty = Attributes::default().number(ACCT_STATUS_TYPE, 1).text(ACCT_SESSION_ID, "");
    assert_eq!(empty.record_of(&nas(), "127.0.0.1"), Err(NothingToRecord::SessionId));
    for status in [0, 4, 7, 8, 9, 15, u32::MAX] {
        assert_eq!(Attributes::of(status).record_of(&nas(), "127.0.0.1"), Err(NothingToRecord::Status));
    }
    let none = Attributes::default().text(ACCT_SESSION_ID, "1");
    assert_eq!(none.record_of(&nas(), "127.0.0.1"), Err(NothingToRecord::Status));
}

#[test]
fn ac07_credentials_are_never_kept() {
    let record = Attributes::of(1)
        .text(USER_PASSWORD, "0123456789abcdef")
        .octets(CHAP_PASSWORD, &[7; 17])
        .text(REPLY_MESSAGE, "a word")
        .text(STATE, "a state")
        .octets(26, b"\0\0\x01\x37\x19\x34the MS-CHAPv2 response that nobody may ever read..")
        .record();
    assert_eq!(record.details.other_attributes, "");
    assert!(!format!("{record:?}").contains("0123456789abcdef"));
}

#[test]
fn ac23_attributes_without_a_column_are_kept_by_name() {
    let record = Attributes::of(3)
        .number(47, 12)
        .octets(26, b"\0\0\x3a\x8c\x08\x0c10M/100M..")
        .octets(250, &[1, 2, 3])
        .text(NAS_PORT_ID, "ether1")
        .number(NAS_PORT, 7)
        .octets(FRAMED_IPV6_PREFIX, b"\0\x40\x20\x01\x0d\xb8\0\x01\0\0")
        .octets(FRAMED_IPV6_PREFIX, b"\0\x40\x20\x01\x0d\xb8\0\x02\0\0")
        .record();
    assert_eq!(record.nas_port_id, "ether1");
    assert_eq!(record.details.framed_ipv6_prefix, "2001:db8:1::/64");
    assert_eq!(
        record.details.other_attributes,
        "Mikrotik-Rate-Limit = 10M/100M..\nAttr-250 = 0x010203\nNAS-Port = 7\n\
         Framed-IPv6-Prefix = 2001:db8:2::/64"
    );
    let plain = Attributes::of(3).text(USER_NAME, "bob").number(NAS_PORT, 7).record();
    assert_eq!((plain.nas_port_id.as_str(), plain.details.other_attributes.as_str()), ("7", ""));
}

#[test]
fn other_attributes_are_bounded() {
    let mut attributes = Attributes::of(3);
    for _ in 0..15 {
        attributes = attributes.octets(250, &[0xaa; 253]);
    }
    let kept = attributes.record().details.other_attributes;
    assert!(kept.len() > 3000 && kept.len() <= OTHER_ATTRIBUTES_MAX, "{}", kept.len());
    assert!(kept.lines().all(|line| line.len() == "Attr-250 = 0x".len() + 506), "whole lines");
}

#[test]
fn ac22_addresses_are_canonical_and_unassigned_ones_are_not_kept() {
    let record = Attributes::of(1)
        .octets(FRAMED_IP_ADDRESS, &[10, 0, 0, 1])
        .octets(FRAMED_IPV6_ADDRESS, &"2001:db8:0:0:0:0:0:1".parse::<std::net::Ipv6Addr>().unwrap().octets())
        .octets(FRAMED_IPV6_PREFIX, b"\0\x40\x20\x01\x0d\xb8\0\x01\0\0\xff\xff\xff\xff")
        .octets(DELEGATED_IPV6_PREFIX, b"\0\x38\x20\x01\x0d\xb8\0\x02\0")
        .octets(FRAMED_INTERFACE_ID, &[0, 1, 2, 3, 0, 0, 0xff, 0xfe])
        .record();
    assert_eq!(record.framed_ip, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(record.framed_address(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(record.details.framed_ipv6_address, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(record.details.framed_ipv6_prefix, "2001:db8:1::/64");
    assert_eq!(record.details.delegated_ipv6_prefix, "2001:db8:2::/56");
    assert_eq!(record.details.framed_interface_id, "1:203:0:fffe");
    for last in [254, 255] {
        let record = Attributes::of(1).octets(FRAMED_IP_ADDRESS, &[255, 255, 255, last]).record();
        assert_eq!(record.framed_ip, None);
    }
}

#[test]
fn numbers_are_kept_by_name() {
    let record = Attributes::of(2)
        .number(SERVICE_TYPE, 2)
        .number(FRAMED_PROTOCOL, 1)
        .number(NAS_PORT_TYPE, 15)
        .number(ACCT_AUTHENTIC, 1)
        .number(ACCT_TERMINATE_CAUSE, 1)
        .record();
    let details = &record.details;
    assert_eq!((details.service_type.as_str(), details.framed_protocol.as_str()), ("Framed-User", "PPP"));
    assert_eq!((details.nas_port_type.as_str(), details.authentic.as_str()), ("Ethernet", "RADIUS"));
    assert_eq!(record.terminate_cause, "User-Request");
    assert_eq!(Attributes::of(2).number(ACCT_TERMINATE_CAUSE, 4711).record().terminate_cause, "4711");
    assert_eq!(Attributes::of(3).number(ACCT_TERMINATE_CAUSE, 1).record().terminate_cause, "");
}

#[test]
fn a_nas_that_counts_the_other_way_round_is_turned() {
    let attributes = Attributes::of(3)
        .number(ACCT_INPUT_OCTETS, 7)
        .number(ACCT_OUTPUT_OCTETS, 9)
        .number(ACCT_OUTPUT_GIGAWORDS, 0);
    let plain = attributes.record();
    assert_eq!(plain.input, ReportedOctets { octets: Some(7), gigawords: None });
    assert_eq!(plain.output, ReportedOctets { octets: Some(9), gigawords: Some(0) });
    let turned = attributes.record_of(&Nas { swap_octets: true, ..nas() }, "127.0.0.1").unwrap();
    assert_eq!((turned.input, turned.output), (plain.output, plain.input));
}

#[test]
fn ac21_class_is_kept_as_text_or_octets() {
    let class = |octets: &[u8]| Attributes::of(1).octets(CLASS, octets).record().details.class;
    assert_eq!(class(b"gold"), "gold");
    assert_eq!(class(b"\x01\xff"), "0x01ff");
    let token = "ai:00019aaf0405060708090a0b0c0dfeff";
    let record = Attributes::of(1).text(CLASS, "gold").text(CLASS, token).record();
    assert_eq!(record.details.class, token);
    assert_eq!(record.key, SessionKey::of_token(record.token.unwrap(), "1"));
    assert_eq!(record.nas_key, SessionKey::of_nas(&record.nas, "1"));
}

#[test]
fn a_chargeable_user_identity_that_only_asks_is_none() {
    let of = |octets: &[u8]| {
        Attributes::of(1).octets(CHARGEABLE_USER_IDENTITY, octets).record().details.chargeable_user_identity
    };
    assert_eq!(of(b"\0"), "");
    assert_eq!(of(b"imsi"), "imsi");
}

#[test]
fn a_record_is_durable_before_the_reply_and_a_reboot_sweeps_after_it() {
    let mut sessions = SubscriberSessions::new(None);
    let change = sessions.apply(
        &Attributes::of(1).text(USER_NAME, "bob").record(),
        &RecordFacts::default(),
        &Settings::default(),
        now(),
    );
    let decision = decide(change);
    assert!(matches!(decision.before.as_slice(), [Write::Session(session)] if session.user_name == "bob"));
    assert!(decision.reply.is_some() && decision.after.is_empty());

    let identity = NasIdentity { source: "127.0.0.1".parse().unwrap(), address: None, identifier: "".into() };
    let reload = NasReload { nas: identity, at: UnixTime(RECEIVED) };
    let decision = decide_reload(reload.clone());
    assert_eq!(decision.before.as_slice(), [Write::NasReload(reload.clone())]);
    assert_eq!(decision.after.as_slice(), [Effect::SweepNas(reload)]);
}
