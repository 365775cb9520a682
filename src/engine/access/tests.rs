use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;

use super::*;
use crate::domain::{AttributeRow, GroupRows, SubscriberRows, SubscriberStatus, SubscriberTerms, Tenure};
use crate::engine::policy::Compiler;
use crate::engine::token::TokenKey;
use crate::entropy::SeededEntropy;
use crate::packs::Packs;
use crate::radius::attribute::*;
use crate::radius::dictionary::Dictionary;
use crate::radius::hiding::hide_user_password;
use crate::radius::{Packet, Request, Secret, seal_request, value};

const AUTHENTICATOR: [u8; 16] = *b"0123456789abcdef";
/// Wednesday 2026-11-25 15:09:00 UTC.
const NOW: UnixTime = UnixTime(1_795_619_340);
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn secret() -> Secret {
    Secret::new(b"testing123").unwrap()
}

fn settings() -> Settings {
    Settings::new(TokenKey::new(&[9; 32]), TimeZone::UTC)
}

fn now() -> Now {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let instant = Instant::now();
    Now { instant, unix: NOW }
}

/// `Name op value` lines as rows.
fn rows(lines: &[&str]) -> Vec<AttributeRow> {
    let row = |(id, line): (i64, &&str)| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().into();
        AttributeRow { id, attribute: word(), op: word(), value: word() }
    };
    (1..).zip(lines).map(row).collect()
}

/// Tables in which one subscriber may have groups.
#[derive(Default)]
struct Tables<'a> {
    check: &'a [&'a str],
    reply: &'a [&'a str],
    groups: &'a [(&'a str, &'a [&'a str], &'a [&'a str])],
    status: SubscriberStatus,
    expires: Option<UnixTime>,
}

impl Tables<'_> {
    fn compile(&self) -> Subscriber {
        let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|(name, check, reply)| {
                Arc::new(compiler.group(&GroupRows {
                    name: (*name).into(),
                    check: rows(check),
                    reply: rows(reply),
                }))
            })
            .collect();
        let rows = SubscriberRows {
            concurrency: None,
            id: SubscriberId(7),
            login: "bob".into(),
            status: self.status,
            kind: "user".into(),
            first_use: None,
            expires: self.expires,
            tenure: Tenure::default(),
            check: rows(self.check),
            reply: rows(self.reply),
            groups: self.groups.iter().map(|(name, ..)| (*name).into()).collect(),
            usage: Vec::new(),
            terms: SubscriberTerms::default(),
        };
        compiler.subscriber(&rows, &|name| groups.iter().find(|group| group.name == name).cloned(), None)
    }
}

fn subscriber(check: &[&str]) -> Subscriber {
    Tables { check, ..Tables::default() }.compile()
}

/// An Access-Request under construction.
struct Login {
    attributes: ReplyAttributes,
    signed: bool,
}

impl Login {
    fn named(name: &[u8]) -> Self {
        let mut attributes = ReplyAttributes::new();
        attributes.push(USER_NAME, name);
        Self { attributes, signed: true }
    }

    fn pap(password: &[u8]) -> Self {
        let hidden = hide_user_password(password, &secret(), &AUTHENTICATOR).unwrap();
        Self::named(b"bob").with(USER_PASSWORD, &hidden)
    }

    fn chap(password: &[u8]) -> Self {
        let mut value = vec![5];
        value.extend(credentials::chap_response(5, password, &AUTHENTICATOR));
        Self::named(b"bob").with(CHAP_PASSWORD, &value)
    }

    fn mschap1(password: &str) -> Self {
        let challenge = [3; 8];
        let response = credentials::nt_challenge_response(&challenge, &credentials::nt_hash(password));
        let value = [&[6, 1][..], &[0; 24], &response].concat();
        Self::named(b"bob")
            .vendor(microsoft::CHAP_CHALLENGE, &challenge)
            .vendor(microsoft::CHAP_RESPONSE, &value)
    }

    fn mschap2(name: &[u8], bound_to: &[u8], password: &str) -> Self {
        let (challenge, peer) = ([3; 16], [4; 16]);
        let hash = credentials::nt_hash(password);
        let response = credentials::mschap2_response(&challenge, &peer, bound_to, &hash);
        let value = [&[6, 0][..], &peer, &[0; 8], &response].concat();
        Self::named(name)
            .vendor(microsoft::CHAP_CHALLENGE, &challenge)
            .vendor(microsoft::CHAP2_RESPONSE, &value)
    }

    fn with(mut self, number: u8, value: &[u8]) -> Self {
        self.attributes.push(number, value);
        self
    }

    fn vendor(mut self, number: u8, value: &[u8]) -> Self {
        self.attributes.push_vendor(vendor::MICROSOFT, number, value);
        self
    }

    fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    fn packet(&self) -> Vec<u8> {
        let wire = self.attributes.attributes().rest();
        let length = u16::try_from(20 + wire.len()).unwrap().to_be_bytes();
        let mut packet = [&[1, 42][..], &length, &AUTHENTICATOR, wire].concat();
        if self.signed {
            seal_request(&mut packet, &secret()).unwrap();
        }
        packet
    }

    fn ask(&self, subscriber: Option<&Subscriber>, occupancy: Occupancy, password: Option<bool>) -> Verdict {
        let packet = self.packet();
        let secret = secret();
        let verified = Packet::decode(&packet).unwrap().verify(&secret).unwrap();
        let Request::Access(request) = verified.into_request(&secret).unwrap() else {
            panic!("an Access-Request")
        };
        let settings = settings();
        let packs = Packs::embedded();
        let facts = AccessFacts {
            pack: packs.other(),
            subscriber,
            source: SOURCE,
            standing: Standing { occupancy, ..Standing::default() },
            password,
            held: None,
            device: None,
            settings: &settings,
        };
        access(&request, &facts, now(), &mut SeededEntropy::new(1))
    }

    /// The decision, slow hashes verified on the way.
    fn decide(&self, subscriber: &Subscriber) -> Decided {
        match self.ask(Some(subscriber), Occupancy::default(), None) {
            Verdict::Decided(decided) => decided,
            Verdict::GiveWay => panic!("nobody gives way"),
            Verdict::SlowPassword(check) => {
                match self.ask(Some(subscriber), Occupancy::default(), Some(check.verify())) {
                    Verdict::Decided(decided) => decided,
                    Verdict::SlowPassword(_) | Verdict::GiveWay => panic!("asked twice"),
                }
            }
        }
    }

    fn reason(&self, subscriber: &Subscriber) -> Option<RejectReason> {
        self.decide(subscriber).reject
    }
}

/// `Name = value` of an Accept's plain attributes, without those that every Accept has.
fn sent(decided: &Decided) -> Vec<String> {
    let dictionary = Dictionary::embedded();
    value::values(decided.reply.attributes().attributes(), &dictionary)
        .iter()
        .filter(|value| value.vendor.is_some() || !matches!(value.numbers.as_slice(), [25 | 85]))
        .map(|value| format!("{} = {}", value.name(&dictionary), value.print(&dictionary)))
        .collect()
}

const HELLO: &str = "Cleartext-Password := hello";

#[test]
fn the_right_password_is_accepted_with_every_method() {
    let bob = subscriber(&[HELLO]);
    for (login, method) in [
        (Login::pap(b"hello"), "PAP"),
        (Login::chap(b"hello"), "CHAP"),
        (Login::mschap1("hello"), "MS-CHAPv1"),
        (Login::mschap2(b"bob", b"bob", "hello"), "MS-CHAPv2"),
    ] {
        let decided = login.decide(&bob);
        assert_eq!((decided.reject, decided.method), (None, method));
        let class = decided.reply.attributes().first(CLASS).expect("Class");
        assert_eq!(ClassToken::from_class(class), decided.token);
        assert!(settings().token_key.issued(decided.token.unwrap(), bob.id));
    }
}

#[test]
fn ra_11_who_pays_is_told_to_those_who_ask_and_no_name_is() {
    let identity = |login: Login, tables: &Tables<'_>| {
        login.decide(&tables.compile()).reply.attributes().first(CHARGEABLE_USER_IDENTITY).map(<[u8]>::to_vec)
    };
    let bob = Tables { check: &[HELLO], ..Tables::default() };
    assert_eq!(identity(Login::pap(b"hello"), &bob), None);
    let asked = || Login::pap(b"hello").with(CHARGEABLE_USER_IDENTITY, b"\0");
    let given = identity(asked(), &bob).expect("it was asked for");
    assert!(given.len() == 32 && given.iter().all(u8::is_ascii_hexdigit), "{given:?}");
    assert_eq!(identity(asked(), &bob).as_ref(), Some(&given), "the same every time");
    assert_ne!(settings().token_key.chargeable_identity(SubscriberId(8)).as_bytes(), given);
    let told = Tables { reply: &["Chargeable-User-Identity := gold-9"], ..bob };
    assert_eq!(identity(asked(), &told).as_deref(), Some(&b"gold-9"[..]), "the rows know better");
    assert_eq!(identity(Login::pap(b"nothello").with(CHARGEABLE_USER_IDENTITY, b"\0"), &told), None);
}

#[test]
fn rfc4849_2_filter_rules_of_several_rows_are_one_text_with_nuls_between() {
    let long = format!("permit in ip from any to {}", "10.0.0.1,".repeat(30));
    let row = format!("NAS-Filter-Rule += \"{long}\"");
    let reply: &[&str] = &["NAS-Filter-Rule = \"deny in ip from any to any\"", "Filter-Id = \"f\"", &row];
    let decided =
        Login::pap(b"hello").decide(&Tables { check: &[HELLO], reply, ..Tables::default() }.compile());
    let numbers: Vec<u8> =
        decided.reply.attributes().attributes().map(|attribute| attribute.number).collect();
    let first = numbers.iter().position(|number| *number == NAS_FILTER_RULE).unwrap();
    assert_eq!(numbers[first..first + 3], [NAS_FILTER_RULE, NAS_FILTER_RULE, FILTER_ID]);
    let values: Vec<&[u8]> = decided
        .reply
        .attributes()
        .attributes()
        .filter(|attribute| attribute.number == NAS_FILTER_RULE)
        .map(|attribute| attribute.value)
        .collect();
    assert_eq!((values.len(), values[0].len()), (2, 253));
    assert_eq!(values.concat(), format!("deny in ip from any to any\0{long}").as_bytes());
}

#[test]
fn ra_12_a_nas_that_is_to_ask_again_gets_a_state() {
    let states = |reply: &[&str]| {
        let decided =
            Login::pap(b"hello").decide(&Tables { check: &[HELLO], reply, ..Tables::default() }.compile());
        let attributes = decided.reply.attributes().attributes();
        let states = attributes.filter(|attribute| attribute.number == STATE);
        states.map(|attribute| attribute.value.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(states(&["Termination-Action := RADIUS-Request"]).len(), 1);
    assert_eq!(states(&["Termination-Action := RADIUS-Request", "State := 0x0102"]), [[1, 2]]);
    assert!(states(&["Termination-Action := Default"]).is_empty() && states(&[]).is_empty());
}

#[test]
fn the_wrong_password_is_rejected_with_every_method() {
    let bob = subscriber(&[HELLO]);
    for login in [
        Login::pap(b"Hello"),
        Login::pap(b"hello\0x"),
        Login::pap(b""),
        Login::chap(b"Hello"),
        Login::mschap1("Hello"),
        Login::mschap2(b"bob", b"bob", "Hello"),
        Login::mschap2(b"bob", b"alice", "hello"),
    ] {
        assert_eq!(login.reason(&bob), Some(RejectReason::WrongPassword));
    }
}

#[test]
fn pc_10_the_order_of_attributes_decides_nothing_nor_do_unknown_ones() {
    let bob = subscriber(&[HELLO, "NAS-Identifier == pop1"]);
    let hidden = hide_user_password(b"hello", &secret(), &AUTHENTICATOR).unwrap();
    let attributes: [(u8, &[u8]); 10] = [
        (USER_NAME, b"bob"),
        (USER_PASSWORD, &hidden),
        (NAS_IDENTIFIER, b"pop1"),
        (17, b"x"),
        (21, b"x"),
        (192, b"x"),
        (224, b"x"),
        (240, b"x"),
        (247, b"x"),
        (255, b"x"),
    ];
    for first in 0..attributes.len() {
        for backwards in [false, true] {
            let mut login = Login { attributes: ReplyAttributes::new(), signed: true };
            for step in 0..attributes.len() {
                let step = if backwards { attributes.len() - 1 - step } else { step };
                let (number, value) = attributes[(first + step) % attributes.len()];
                login = login.with(number, value);
            }
            assert_eq!(login.reason(&bob), None, "from {first}, backwards: {backwards}");
        }
    }
}

#[test]
fn sa_13_a_password_under_another_secret_is_a_wrong_one() {
    let bob = subscriber(&[HELLO]);
    let hidden = hide_user_password(b"hello", &Secret::new(b"another").unwrap(), &AUTHENTICATOR).unwrap();
    let login = Login::named(b"bob").with(USER_PASSWORD, &hidden).unsigned();
    assert_eq!(login.reason(&bob), Some(RejectReason::WrongPassword));
}

#[test]
fn ch_01_ch_02_a_challenge_has_any_length_and_an_identifier_any_value() {
    let bob = subscriber(&[HELLO]);
    let response = |identifier: u8, challenge: &[u8]| {
        [&[identifier][..], &credentials::chap_response(identifier, b"hello", challenge)].concat()
    };
    for length in [1, 8, 16, 24, 32, 64, 253] {
        let challenge = vec![7; length];
        let right = Login::named(b"bob").with(CHAP_PASSWORD, &response(9, &challenge));
        assert_eq!(right.with(CHAP_CHALLENGE, &challenge).reason(&bob), None, "{length} octets");
        let wrong = Login::named(b"bob").with(CHAP_PASSWORD, &response(9, &challenge));
        let reason = wrong.with(CHAP_CHALLENGE, &vec![8; length]).reason(&bob);
        assert_eq!(reason, Some(RejectReason::WrongPassword), "{length} octets");
    }
    for identifier in [0, 1, 127, 255] {
        let login = Login::named(b"bob").with(CHAP_PASSWORD, &response(identifier, &AUTHENTICATOR));
        assert_eq!(login.reason(&bob), None, "identifier {identifier}");
    }
}

#[test]
fn ds_04_no_reject_is_four_times_as_large_as_its_request() {
    let bob = subscriber(&[HELLO]);
    for login in [
        Login { attributes: ReplyAttributes::new(), signed: false },
        Login::named(b"bob").unsigned(),
        Login::pap(b"wrong").unsigned(),
        Login::chap(b"wrong").unsigned(),
        Login::mschap1("wrong").unsigned(),
        Login::mschap2(b"bob", b"bob", "wrong").unsigned(),
    ] {
        let (asked, secret) = (login.packet(), secret());
        let decided = login.decide(&bob);
        assert!(decided.reject.is_some());
        let to = Packet::decode(&asked).unwrap().verify(&secret).unwrap();
        let mut reply = Vec::new();
        decided.reply.encode(&to, &secret, &mut SeededEntropy::new(4), &mut reply).unwrap();
        assert!(reply.len() <= 4 * asked.len(), "{} octets for {}", reply.len(), asked.len());
    }
}

#[test]
fn each_method_is_served_from_the_forms_that_can_serve_it() {
    let pap = Login::pap(b"hello");
    let chap = Login::chap(b"hello");
    let mschap1 = Login::mschap1("hello");
    let mschap2 = Login::mschap2(b"bob", b"bob", "hello");
    let no = Some(RejectReason::MethodNotServable);
    for (row, for_chap, for_mschap) in [
        (HELLO, None, None),
        ("Password-With-Header := {clear}hello", None, None),
        ("NT-Password := 066ddfd4ef0e9cd7c256fe77191ef43c", no, None),
        ("MD5-Password := 5d41402abc4b2a76b9719d911017c592", no, no),
        ("SMD5-Password := ut31JpcwYwNie5eych6WSnNhbHQ=", no, no),
        ("SHA-Password := aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", no, no),
        ("SSHA-Password := FPvT+WAOz8Kj1D5MB6mKh1x5EKJzYWx0", no, no),
        ("SHA2-Password := LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", no, no),
        ("SSHA2-256-Password := h9q6P+Jjs0wzWg7jso/+xNFZqtZUJQLq9VHce5EowmdzYWx0", no, no),
        ("Crypt-Password := abl0JrMf6tlhw", no, no),
        ("Crypt-Password := $1$abcdefgh$rwnEbRiN0agqVgZBovWNQ/", no, no),
        ("Crypt-Password := $2b$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", no, no),
    ] {
        let bob = subscriber(&[row]);
        assert_eq!(pap.reason(&bob), None, "PAP, {row}");
        assert_eq!(chap.reason(&bob), for_chap, "CHAP, {row}");
        assert_eq!(mschap1.reason(&bob), for_mschap, "MS-CHAPv1, {row}");
        assert_eq!(mschap2.reason(&bob), for_mschap, "MS-CHAPv2, {row}");
        assert_eq!(Login::pap(b"hellp").reason(&bob), Some(RejectReason::WrongPassword), "{row}");
    }
    let bob = subscriber(&["Crypt-Password := $y$j9T$abcdefgh$epWtSs4Gu0OBWJFQE2cTWrKuGouFdvT/8K.cw.oANm/"]);
    let decided = pap.decide(&bob);
    assert_eq!((decided.reject, decided.rule.as_str()), (no, "yescrypt is not supported"));
    assert_eq!(chap.decide(&bob).rule, "CHAP needs a cleartext password; stored is unservable");
}

#[test]
fn a_slow_hash_is_verified_elsewhere_and_its_verdict_counts() {
    let bob = subscriber(&["Crypt-Password := abl0JrMf6tlhw"]);
    let login = Login::pap(b"hello");
    let Verdict::SlowPassword(check) = login.ask(Some(&bob), Occupancy::default(), None) else {
        panic!("slow")
    };
    assert!(check.verify());
    for (verdict, reason) in [(true, None), (false, Some(RejectReason::WrongPassword))] {
        let Verdict::Decided(decided) = login.ask(Some(&bob), Occupancy::default(), Some(verdict)) else {
            panic!("decided")
        };
        assert_eq!(decided.reject, reason);
    }
    // The verdict on another request's slow hash says nothing about a password that is compared at once.
    let bob = subscriber(&[HELLO]);
    let Verdict::Decided(decided) = Login::pap(b"wrong").ask(Some(&bob), Occupancy::default(), Some(true))
    else {
        panic!("decided")
    };
    assert_eq!(decided.reject, Some(RejectReason::WrongPassword));
}

#[test]
fn an_unknown_login_and_a_wrong_password_look_the_same() {
    let bob = subscriber(&[HELLO]);
    for login in [
        Login::pap(b"wrong"),
        Login::chap(b"wrong"),
        Login::mschap1("wrong"),
        Login::mschap2(b"bob", b"bob", "wrong"),
    ] {
        let Verdict::Decided(unknown) = login.ask(None, Occupancy::default(), None) else {
            panic!("decided")
        };
        assert_eq!((unknown.reject, unknown.subscriber), (Some(RejectReason::UnknownLogin), None));
        let wrong = login.decide(&bob);
        assert_eq!((wrong.reject, wrong.subscriber), (Some(RejectReason::WrongPassword), Some(bob.id)));
        assert_eq!(unknown.reply, wrong.reply);
    }
}

#[test]
fn a_request_without_one_kind_of_credentials_is_not_served() {
    let bob = subscriber(&[HELLO]);
    let hidden = hide_user_password(b"hello", &secret(), &AUTHENTICATOR).unwrap();
    for login in [
        Login::named(b"bob"),
        Login::chap(b"hello").with(USER_PASSWORD, &hidden),
        Login::named(b"bob").with(CHAP_PASSWORD, &[1; 16]),
        Login::named(b"bob").with(EAP_MESSAGE, &[2, 1, 0, 5, 1]),
        Login::named(b"bob").with(USER_PASSWORD, &hidden[..15]),
        Login::pap(b"hello").with(SERVICE_TYPE, &AUTHORIZE_ONLY.to_be_bytes()),
    ] {
        assert_eq!(login.reason(&bob), Some(RejectReason::MethodNotServable));
    }
}

#[test]
fn a_subscriber_without_a_stored_password_never_matches() {
    for check in [&[][..], &["Cleartext-Password := "], &["Simultaneous-Use := 3"]] {
        let bob = subscriber(check);
        for login in
            [Login::pap(b"hello"), Login::pap(b""), Login::chap(b""), Login::mschap2(b"bob", b"bob", "")]
        {
            assert_eq!(login.reason(&bob), Some(RejectReason::MethodNotServable), "{check:?}");
        }
    }
}

#[test]
fn auth_type_accept_asks_no_password_and_reject_lets_nobody_in() {
    let bob = subscriber(&["Auth-Type := Accept"]);
    let check = Login::named(b"bob").with(SERVICE_TYPE, &10_u32.to_be_bytes());
    for login in [Login::named(b"bob"), Login::pap(b"anything"), check] {
        assert_eq!(login.reason(&bob), None);
    }
    let eap = Login::named(b"bob").with(EAP_MESSAGE, &[2, 1, 0, 5, 1]);
    assert_eq!(eap.reason(&bob), Some(RejectReason::MethodNotServable));
    let bob = subscriber(&[HELLO, "Auth-Type := Reject"]);
    let decided = Login::pap(b"hello").decide(&bob);
    assert_eq!(decided.reject, Some(RejectReason::UserLocked));
    assert_eq!(decided.rule, "radcheck Auth-Type := Reject");
}

#[test]
fn auth_type_of_one_method_refuses_the_others() {
    let no = Some(RejectReason::MethodNotServable);
    for (name, reasons) in [
        ("PAP", [None, no, no]),
        ("CHAP", [no, None, no]),
        ("MS-CHAP", [no, no, None]),
        ("LDAP", [no, no, no]),
    ] {
        let bob = subscriber(&[HELLO, &format!("Auth-Type := {name}")]);
        let logins = [Login::pap(b"hello"), Login::chap(b"hello"), Login::mschap2(b"bob", b"bob", "hello")];
        assert_eq!(logins.map(|login| login.reason(&bob)), reasons, "{name}");
    }
}

#[test]
fn a_status_other_than_active_locks() {
    for (status, word) in SubscriberStatus::ALL {
        let bob = Tables { check: &[HELLO], status, ..Tables::default() }.compile();
        let reason = (status != SubscriberStatus::Active).then_some(RejectReason::UserLocked);
        let decided = Login::pap(b"hello").decide(&bob);
        assert_eq!(decided.reject, reason, "{word}");
        if reason.is_some() {
            assert_eq!(decided.rule, format!("tk_subscriber.status {word}"));
        }
    }
}

#[test]
fn an_expired_subscriber_is_refused_and_another_gets_what_is_left() {
    let login = Login::pap(b"hello");
    let expired = Some(RejectReason::AbsExpDateReached);
    for (line, reason, left) in [
        ("Expiration := Nov 25 2026", expired, None),
        ("Expiration := Nov 26 2026", None, Some(31_860)),
        ("Expiration := 25 Nov 2026 15:10", None, Some(60)),
        ("Expiration := Nov 25 2026 15:09:00", expired, None),
        ("Expiration := Nov 25 2026 15:09:01", None, Some(1)),
        ("Expiration := 2026-11-26", None, Some(31_860)),
        ("Expiration := 1795619400", None, Some(60)),
        ("Expiration == Nov 24 2026", expired, None),
        ("Expiration == Nov 26 2026", None, Some(31_860)),
        ("Expiration := banana", Some(RejectReason::ConditionFailed), None),
    ] {
        let bob = subscriber(&[HELLO, line]);
        let decided = login.decide(&bob);
        let timeout =
            decided.reply.attributes().first(SESSION_TIMEOUT).map(|value| value.try_into().unwrap());
        assert_eq!(decided.reject, reason, "{line}");
        assert_eq!(timeout.map(u32::from_be_bytes), left, "{line}");
    }
    let bob = Tables { check: &[HELLO], expires: Some(NOW), ..Tables::default() }.compile();
    assert_eq!(login.reason(&bob), expired);
    let bob = Tables { check: &[HELLO], expires: Some(NOW.plus(5)), ..Tables::default() }.compile();
    assert_eq!(sent(&login.decide(&bob)), ["Session-Timeout = 5"]);
}

#[test]
fn login_time_is_a_window_and_caps_the_session() {
    let login = Login::pap(b"hello");
    let bob = subscriber(&[HELLO, "Login-Time := Wk1400-1559,Sa"]);
    assert_eq!(sent(&login.decide(&bob)), ["Session-Timeout = 3060"]);
    let bob = subscriber(&[HELLO, "Login-Time := Wk1600-1700"]);
    let decided = login.decide(&bob);
    assert_eq!(decided.reject, Some(RejectReason::LoginTimeDenied));
    assert_eq!(decided.rule, "radcheck Login-Time := Wk1600-1700");
    let bob = subscriber(&[HELLO, "Login-Time := Al"]);
    assert_eq!(sent(&login.decide(&bob)), [""; 0]);
    let bob = subscriber(&[HELLO, "Current-Time == Sa"]);
    assert_eq!(login.reason(&bob), Some(RejectReason::LoginTimeDenied));
}

#[test]
fn session_timeout_is_the_least_of_all_and_never_zero() {
    let login = Login::pap(b"hello");
    for (reply, seconds) in [("Session-Timeout := 100", "100"), ("Session-Timeout := 1000000", "31860")] {
        let check = &[HELLO, "Expiration := Nov 26 2026", "Login-Time := We,Th"];
        let bob = Tables { check, reply: &[reply], ..Tables::default() }.compile();
        assert_eq!(sent(&login.decide(&bob)), [format!("Session-Timeout = {seconds}")]);
    }
    let bob = Tables { check: &[HELLO], reply: &["Session-Timeout := 0"], ..Tables::default() }.compile();
    assert_eq!(sent(&login.decide(&bob)), [""; 0]);
}

#[test]
fn a_limit_of_n_admits_n() {
    let login = Login::pap(b"hello");
    let ask = |limit: u32, taken: u32, own_place: bool| {
        let bob = subscriber(&[HELLO, &format!("Simultaneous-Use := {limit}")]);
        match login.ask(Some(&bob), Occupancy { taken, own_place, ..Occupancy::default() }, None) {
            Verdict::Decided(decided) => decided,
            Verdict::SlowPassword(_) | Verdict::GiveWay => panic!("not slow"),
        }
    };
    assert_eq!(ask(2, 0, false).reject, None);
    assert_eq!(ask(2, 1, false).places, Some(2));
    assert_eq!(ask(2, 2, false).reject, Some(RejectReason::MaxConcurrent));
    assert_eq!(ask(2, 2, false).rule, "radcheck Simultaneous-Use := 2");
    // Its own place, also where others have taken more than there are.
    assert_eq!(ask(2, 5, true).reject, None);
    for own_place in [false, true] {
        assert_eq!(ask(0, 0, own_place).reject, Some(RejectReason::MaxConcurrent));
    }
    let bob = subscriber(&[HELLO, "Simultaneous-Use := many"]);
    assert_eq!(login.reason(&bob), Some(RejectReason::ConditionFailed));
}

#[test]
fn a_check_row_that_fails_gives_its_own_reason() {
    use RejectReason::{CallerIdDenied, ConditionFailed, IpDenied, MacDenied, NasDenied};
    let login = Login::pap(b"hello")
        .with(CALLING_STATION_ID, b"AA-BB-CC-00-11-22")
        .with(NAS_IP_ADDRESS, &[10, 1, 2, 3])
        .with(NAS_IDENTIFIER, b"pop1")
        .with(NAS_PORT, &10_u32.to_be_bytes())
        .with(FRAMED_IP_ADDRESS, &[10, 9, 9, 9]);
    for (line, reason) in [
        ("Calling-Station-Id == aa:bb:cc:00:11:22", None),
        ("Calling-Station-Id == aabb.cc00.1122", None),
        ("Calling-Station-Id == aa:bb:cc:00:11:23", Some(MacDenied)),
        ("Calling-Station-Id != aa:bb:cc:00:11:22", Some(MacDenied)),
        ("Calling-Station-Id == 4989123", Some(CallerIdDenied)),
        ("NAS-IP-Address == 10.1.2.3", None),
        ("NAS-IP-Address == 10.1.2.4", Some(NasDenied)),
        ("NAS-Identifier == pop1", None),
        ("NAS-Identifier == POP1", Some(NasDenied)),
        ("Packet-Src-IP-Address == 10.0.0.1", None),
        ("Packet-Src-IP-Address == 10.0.0.2", Some(NasDenied)),
        ("Framed-IP-Address == 10.9.9.8", Some(IpDenied)),
        ("NAS-Port == 11", Some(ConditionFailed)),
        ("NAS-IP-Address == 10.0.0.300", Some(ConditionFailed)),
        ("Nonsense == 1", Some(ConditionFailed)),
        ("NAS-Port <> 1", Some(ConditionFailed)),
        ("Simultaneous-Use == 1", Some(ConditionFailed)),
    ] {
        let bob = subscriber(&[HELLO, line]);
        let decided = login.decide(&bob);
        assert_eq!(decided.reject, reason, "{line}");
        if reason.is_some() {
            assert_eq!(decided.rule, format!("radcheck {line}"));
        }
        // The password comes first.
        assert_eq!(Login::pap(b"wrong").reason(&bob), Some(RejectReason::WrongPassword), "{line}");
    }
}

/// Each line is what FreeRADIUS 3.2.1 answered for the row and the request.
#[test]
fn operators_compare_as_in_freeradius() {
    let login = Login::pap(b"hello")
        .with(NAS_IDENTIFIER, b"abc")
        .with(NAS_PORT, &10_u32.to_be_bytes())
        .with(NAS_IP_ADDRESS, &[10, 1, 2, 3])
        .with(SERVICE_TYPE, &2_u32.to_be_bytes())
        .with(REPLY_MESSAGE, b"one")
        .with(REPLY_MESSAGE, b"two");
    for (line, matches) in [
        ("NAS-Identifier = abc", true),
        ("NAS-Identifier = x", false),
        ("NAS-Identifier == abc", true),
        ("NAS-Identifier == ABC", false),
        ("NAS-Identifier != abc", false),
        ("NAS-Identifier != x", true),
        ("NAS-Port-Id != x", false),
        ("NAS-Identifier > abb", true),
        ("NAS-Identifier < abb", false),
        ("NAS-Identifier >= abc", true),
        ("NAS-Identifier <= abc", true),
        ("NAS-Identifier < abcd", true),
        ("NAS-Identifier =~ ^a.c$", true),
        ("NAS-Identifier =~ ^A", false),
        ("NAS-Identifier !~ ^x", true),
        ("NAS-Identifier !~ ^a", false),
        ("NAS-Port-Id !~ x", false),
        ("NAS-Port-Id =~ x", false),
        ("NAS-Identifier =* zzz", true),
        ("NAS-Port-Id =* zzz", false),
        ("NAS-Identifier !* zzz", false),
        ("NAS-Port-Id !* zzz", true),
        ("NAS-Identifier =~ (", false),
        ("NAS-Port == 10", true),
        ("NAS-Port > 9", true),
        ("NAS-Port < 9", false),
        ("NAS-Port > 11", false),
        ("NAS-Port != 10", false),
        ("NAS-Port =~ ^1", false),
        ("NAS-Port == abc", false),
        ("NAS-Port <= 50", true),
        ("NAS-IP-Address > 10.1.2.2", true),
        ("NAS-IP-Address < 10.1.2.2", false),
        ("Service-Type == Framed-User", true),
        ("Service-Type == 2", true),
        ("Service-Type == framed-user", true),
        ("Service-Type == Nonsense", false),
        ("Service-Type > Login-User", true),
        ("Reply-Message == one", true),
        ("Reply-Message == two", true),
        ("Reply-Message != one", true),
        ("Reply-Message =~ ^tw", true),
        ("Reply-Message !~ ^tw", true),
        ("User-Name == bob", true),
        ("User-Name != bob", false),
        ("Simultaneous-Use = 1", false),
        ("Simultaneous-Use == 1", false),
        ("Simultaneous-Use <= 5", false),
        ("Simultaneous-Use !* 1", true),
        ("Auth-Type == Reject", true),
        ("Auth-Type = Reject", false),
        ("Auth-Type += Reject", false),
        ("Current-Time == We", true),
        ("Current-Time == Th", false),
        ("Current-Time != Th", true),
        ("Current-Time != We", false),
        ("Expiration = Jan 01 2050", true),
        ("Expiration != Jan 01 2050", false),
        ("Expiration >= Jan 01 2050", true),
        ("Expiration <= Jan 01 2050", true),
        ("Expiration >= Jan 01 2020", false),
        ("Expiration < Jan 01 2020", false),
        ("SQL-Group == g", true),
        ("SQL-Group != g", false),
        ("SQL-Group == h", false),
        ("Login-Time == We", false),
    ] {
        let bob = Tables { check: &[HELLO, line], groups: &[("g", &[], &[])], ..Tables::default() }.compile();
        assert_eq!(login.reason(&bob).is_none(), matches, "{line}");
    }
}

#[test]
fn a_vendors_attribute_is_compared_too() {
    let bob = subscriber(&[HELLO, "MS-RAS-Version == MSRASV5.20"]);
    assert_eq!(Login::pap(b"hello").vendor(18, b"MSRASV5.20").reason(&bob), None);
    assert_eq!(Login::pap(b"hello").vendor(18, b"other").reason(&bob), Some(RejectReason::ConditionFailed));
    assert_eq!(Login::pap(b"hello").reason(&bob), Some(RejectReason::ConditionFailed));
}

/// As FreeRADIUS 3.2.1 did it with the same rows.
#[test]
fn groups_are_read_up_to_the_first_that_does_not_fall_through() {
    let login = Login::pap(b"hello");
    let one = |name, op| format!("Reply-Message {op} {name}");
    let (m1, m2, m3, user) = (one("1", "+="), one("2", "+="), one("3", "+="), one("u", "+="));
    let (m1, m2, m3, user) = (m1.as_str(), m2.as_str(), m3.as_str(), user.as_str());
    let (yes, no) = ("Fall-Through = Yes", "Fall-Through = No");
    let mismatch: &[&str] = &["NAS-Identifier == x"];
    let replies = |reply: &[&str], groups: &[(&str, &[&str], &[&str])]| {
        let bob = Tables { check: &[HELLO], reply, groups, ..Tables::default() }.compile();
        sent(&login.decide(&bob)).iter().map(|line| line.replace("Reply-Message = ", "")).collect::<String>()
    };
    let three = [("a", &[][..], &[m1][..]), ("b", &[], &[m2]), ("c", &[], &[m3])];
    assert_eq!(replies(&[], &three), "1");
    assert_eq!(replies(&[user, yes], &three), "u1");
    assert_eq!(replies(&[user, no], &three), "u");
    assert_eq!(replies(&[], &[("a", &[], &[m1, yes]), three[1], three[2]]), "12");
    assert_eq!(replies(&[], &[("a", &[], &[]), three[1], three[2]]), "");
    assert_eq!(replies(&[], &[("a", mismatch, &[m1]), three[1], three[2]]), "2");
    assert_eq!(replies(&[], &[("a", &[], &[m1, yes]), ("b", &[], &[]), three[2]]), "1");
    assert_eq!(replies(&[], &[("a", &[], &[m1, yes]), ("b", mismatch, &[m2, no]), three[2]]), "13");
    assert_eq!(replies(&[], &[("a", &["Simultaneous-Use := 3"], &[]), three[1]]), "");
}

#[test]
fn a_subscriber_whose_rows_do_not_match_may_stand_by_its_group() {
    let group: (&str, &[&str], &[&str]) = ("g", &[HELLO], &["Reply-Message = group"]);
    let tables = Tables {
        check: &["Cleartext-Password := other", "NAS-Identifier == x"],
        reply: &["Reply-Message = user"],
        groups: &[group],
        ..Tables::default()
    };
    assert_eq!(sent(&Login::pap(b"hello").decide(&tables.compile())), ["Reply-Message = group"]);
    // Reply rows without check rows are not looked at.
    let tables = Tables { reply: &["Reply-Message = user"], groups: &[group], ..Tables::default() };
    let bob = tables.compile();
    assert_eq!(sent(&Login::pap(b"hello").decide(&bob)), ["Reply-Message = group"]);
    assert_eq!(bob.warnings().len(), 1);
}

#[test]
fn attributes_that_may_appear_once_are_sent_once_the_last_value() {
    let reply = &[
        "Session-Timeout += 5",
        "Idle-Timeout = 1",
        "Idle-Timeout += 2",
        "Filter-Id += a",
        "Filter-Id += b",
    ];
    let group: (&str, &[&str], &[&str]) =
        ("g", &[], &["Session-Timeout += 9", "Idle-Timeout += 3", "Class = 0x00ff"]);
    let bob = Tables { check: &[HELLO], reply, groups: &[group], ..Tables::default() }.compile();
    let decided = Login::pap(b"hello").decide(&bob);
    assert_eq!(sent(&decided), ["Filter-Id = a", "Filter-Id = b", "Idle-Timeout = 3", "Session-Timeout = 9"]);
    let classes: Vec<_> =
        decided.reply.attributes().attributes().filter(|attribute| attribute.number == CLASS).collect();
    assert_eq!(classes.len(), 2);
    assert_eq!(classes[0].value, [0, 0xff]);
}

#[test]
fn the_interim_interval_is_at_least_a_minute_and_ten_by_default() {
    let login = Login::pap(b"hello");
    for (row, seconds) in
        [("Acct-Interim-Interval := 30", 60), ("Acct-Interim-Interval := 300", 300), ("Filter-Id = x", 600)]
    {
        let decided = login.decide(&Tables { check: &[HELLO], reply: &[row], ..Tables::default() }.compile());
        let sent = decided.reply.attributes().first(ACCT_INTERIM_INTERVAL).unwrap();
        assert_eq!(
            (u32::from_be_bytes(sent.try_into().unwrap()), decided.interim_interval),
            (seconds, seconds)
        );
    }
}

#[test]
fn mschap2_earns_its_success_and_keys() {
    let bob = subscriber(&[HELLO]);
    let decided = Login::mschap2(b"bob", b"bob", "hello").decide(&bob);
    let attributes = decided.reply.attributes();
    let success: Vec<u8> = attributes
        .attributes()
        .filter(|attribute| attribute.number == VENDOR_SPECIFIC)
        .flat_map(|attribute| vendor_attributes(attribute.value))
        .find(|attribute| attribute.number == microsoft::CHAP2_SUCCESS)
        .unwrap()
        .value
        .to_vec();
    assert_eq!((success[0], &success[1..3], success.len()), (6, &b"S="[..], 43));
    assert!(success[3..].iter().all(|octet| octet.is_ascii_digit() || (b'A'..=b'F').contains(octet)));
    let hidden: Vec<_> =
        attributes.hidden().iter().map(|hidden| (hidden.number, hidden.value.len())).collect();
    assert_eq!(hidden, [(microsoft::MPPE_SEND_KEY, 16), (microsoft::MPPE_RECV_KEY, 16)]);
    assert!(has_microsoft(attributes.attributes(), microsoft::MPPE_ENCRYPTION_POLICY));
    assert!(has_microsoft(attributes.attributes(), microsoft::MPPE_ENCRYPTION_TYPES));
    // A row's own policy is not doubled.
    let reply = &["MS-MPPE-Encryption-Policy := Encryption-Required"];
    let bob = Tables { check: &[HELLO], reply, ..Tables::default() }.compile();
    let decided = Login::mschap1("hello").decide(&bob);
    let policies = sent(&decided).iter().filter(|line| line.starts_with("MS-MPPE-Encryption-Policy")).count();
    assert_eq!(policies, 1);
    assert_eq!(decided.reply.attributes().hidden()[0].value.len(), 32);
}

#[test]
fn a_failed_mschap2_says_error_691() {
    let bob = subscriber(&[HELLO]);
    let decided = Login::mschap2(b"bob", b"bob", "wrong").decide(&bob);
    let attribute = decided.reply.attributes().attributes().next().unwrap();
    let error = vendor_attributes(attribute.value).next().unwrap();
    assert_eq!((error.number, error.value[0]), (microsoft::CHAP_ERROR, 6));
    let text = std::str::from_utf8(&error.value[1..]).unwrap();
    let challenge = text.strip_prefix("E=691 R=0 C=").and_then(|rest| rest.strip_suffix(" V=3")).unwrap();
    assert_eq!(challenge.len(), 32);
    assert!(decided.reply.attributes().hidden().is_empty());
}

#[test]
fn an_mschap2_response_is_bound_to_the_name_behind_the_domain() {
    let bob = subscriber(&[HELLO]);
    assert_eq!(Login::mschap2(b"CORP\\bob", b"bob", "hello").reason(&bob), None);
    let bound = Login::mschap2(b"CORP\\bob", b"alice", "hello").reason(&bob);
    assert_eq!(bound, Some(RejectReason::WrongPassword));
}

#[test]
fn a_reject_provisions_nothing() {
    let check = &[HELLO, "Expiration := Jan 01 2020"];
    let reply = &["Framed-IP-Address := 10.0.0.9", "Reply-Message := sorry", "Session-Timeout := 5"];
    let bob = Tables { check, reply, ..Tables::default() }.compile();
    let decided = Login::pap(b"hello").decide(&bob);
    assert!(decided.reply.attributes().is_empty());
    assert_eq!((decided.token, decided.places), (None, None));
}

#[test]
fn secrets_of_rows_go_to_signed_requests_alone() {
    let reply = &["Tunnel-Password:1 := canary", "Tunnel-Type:1 := L2TP"];
    let bob = Tables { check: &[HELLO], reply, ..Tables::default() }.compile();
    for (login, count) in [(Login::pap(b"hello"), 1), (Login::pap(b"hello").unsigned(), 0)] {
        let decided = login.decide(&bob);
        assert_eq!(decided.reply.attributes().hidden().len(), count);
        assert_eq!(sent(&decided), ["Tunnel-Type:1 = L2TP"]);
    }
}

#[test]
fn rows_without_effect_are_warned_about_and_secrets_do_not_show() {
    let check = &[
        "Cleartext-Password == canary1",
        "User-Password := canary2",
        "NT-Password := canary3",
        "Max-Hourly-Session := 3600",
        "CS-Total-MB-Daily := lots",
        "No-Such-Attribute := 1",
        "Pool-Name := x",
        "NAS-Port == banana",
        "Auth-Type == Reject",
        "Login-Time := Sometimes",
    ];
    let reply = &[
        "Session-Timeout := banana",
        "No-Such-Attribute := canary4",
        "Reply-Message =~ x",
        "Reply-Message := `%{User-Name}`",
        "User-Password := canary5",
        "Fall-Through = Perhaps",
    ];
    let bob = Tables { check, reply, ..Tables::default() }.compile();
    let text = format!("{bob:?}{:?}", bob.warnings());
    assert!(!text.contains("canary"), "{text}");
    let warned: Vec<&str> = bob.warnings().iter().map(|warning| warning.rule.as_str()).collect();
    for line in check
        .iter()
        .map(|line| format!("radcheck {line}"))
        .chain(reply.iter().map(|line| format!("radreply {line}")))
    {
        let words: Vec<&str> = line.splitn(3, ' ').take(2).collect();
        assert!(
            warned.iter().any(|rule| rule.starts_with(&words.join(" "))),
            "no warning for {line}: {warned:?}"
        );
    }
    let quota = bob.warnings().iter().find(|warning| warning.rule.contains("Max-Hourly-Session")).unwrap();
    assert_eq!(quota.why, "usage is kept by the day: a limit by the hour is not enforced");
}

#[test]
fn members_without_rows_of_their_own_share_what_their_group_gives() {
    let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
    let group = Arc::new(compiler.group(&GroupRows {
        name: "gold".into(),
        check: rows(&["Simultaneous-Use := 3"]),
        reply: rows(&["Session-Timeout := 60", "Filter-Id := gold"]),
    }));
    let subscriber = |check: &[&str]| {
        let rows = SubscriberRows {
            concurrency: None,
            id: SubscriberId(1),
            login: "bob".into(),
            status: SubscriberStatus::Active,
            kind: "user".into(),
            first_use: None,
            expires: None,
            tenure: Tenure::default(),
            check: rows(check),
            reply: Vec::new(),
            groups: vec!["gold".into()],
            usage: Vec::new(),
            terms: SubscriberTerms::default(),
        };
        compiler.subscriber(&rows, &|_| Some(Arc::clone(&group)), None)
    };
    let (one, two) = (subscriber(&[HELLO]), subscriber(&["Cleartext-Password := other"]));
    let place = |subscriber: &Subscriber| {
        let policy = subscriber.policy(
            Attempt { attributes: &[], source: SOURCE, recalled: false },
            &settings(),
            now(),
        );
        match policy.reply {
            Cow::Borrowed(reply) => std::ptr::from_ref(reply).addr(),
            Cow::Owned(_) => panic!("static"),
        }
    };
    assert_eq!(place(&one), place(&two));
}

#[test]
fn the_record_of_an_attempt_says_who_where_and_why() {
    let bob = subscriber(&[HELLO, "Simultaneous-Use := 3"]);
    let login = Login::pap(b"hello").with(CALLING_STATION_ID, b"AA-BB").with(CALLED_STATION_ID, b"hotspot");
    let wire = login.attributes.attributes().rest();
    let length = u16::try_from(20 + wire.len()).unwrap().to_be_bytes();
    let packet = [&[1, 42][..], &length, &AUTHENTICATOR, wire].concat();
    let secret = secret();
    let verified = Packet::decode(&packet).unwrap().verify(&secret).unwrap();
    let Request::Access(request) = verified.into_request(&secret).unwrap() else {
        panic!("an Access-Request")
    };
    let decided = login.decide(&bob);
    let record = decided.post_auth(&request, SOURCE, NOW);
    assert_eq!(
        (record.user_name.as_str(), record.subscriber, record.reject),
        ("bob", Some(SubscriberId(7)), None)
    );
    assert_eq!((record.method, record.nas, record.at), ("PAP", SOURCE, NOW));
    assert_eq!((record.calling_station_id.as_str(), record.called_station_id.as_str()), ("AA-BB", "hotspot"));
    assert!(record.class.starts_with("ai:"));
}

/// What the rows limit, without a session: metric, period, limit.
fn quotas(check: &[&str], groups: &[(&str, &[&str], &[&str])]) -> Vec<String> {
    let bob = Tables { check, groups, ..Tables::default() }.compile();
    let policy = bob.policy(Attempt { attributes: &[], source: SOURCE, recalled: false }, &settings(), now());
    let quotas = policy.limits.quotas.iter();
    quotas.map(|q| format!("{} {} {}", q.period.as_str(), q.metric.as_str(), q.limit)).collect()
}

#[test]
fn check_rows_of_other_products_are_quotas() {
    for (row, expected) in [
        ("CS-Total-MB := 10", "session data_total 10485760"),
        ("CS-Total-MB-Daily := 1", "daily data_total 1048576"),
        ("CS-Total-MB-Weekly := -3", "weekly data_total -3145728"),
        ("CS-Total-MB-All := 0", "lifetime data_total 0"),
        ("CS-Input-Octets-Monthly := 7", "monthly data_up 7"),
        ("CS-Output-Octets-Quarterly := 7", "quarterly data_down 7"),
        ("CS-Output-Octets-Yearly := 7", "yearly data_down 7"),
        ("CS-Output-Octets := 7", "session data_down 7"),
        ("Max-Daily-Session := 3600", "daily time 3600"),
        ("Max-All-Session := 3600", "lifetime time 3600"),
        ("Max-Yearly-Traffic := 5000000000", "yearly data_total 5000000000"),
        ("ChilliSpot-Max-Input-Octets := 5", "session data_up 5"),
        ("ChilliSpot-Max-Total-Gigawords := 2", "session data_total 8589934592"),
        ("Mikrotik-Recv-Limit := 5", "session data_up 5"),
        ("Mikrotik-Xmit-Limit := 5", "session data_down 5"),
        ("pfSense-Max-Total-Octets := 5", "session data_total 5"),
        ("Huawei-Remanent-Volume := 5", "session data_total 5120"),
        ("Cambium-Traffic-Quota-Limit-Up := 5", "session data_up 5"),
        ("Max-All-Session := 99999999999999999999", "lifetime time 9223372036854775807"),
    ] {
        assert_eq!(quotas(&[HELLO, row], &[]), [expected], "{row}");
    }
}

#[test]
fn two_halves_of_a_number_are_one_quota() {
    let rows = [HELLO, "Mikrotik-Total-Limit-Gigawords := 1", "Mikrotik-Total-Limit := 5"];
    assert_eq!(quotas(&rows, &[]), ["session data_total 4294967301"]);
    let rows = [HELLO, "Mikrotik-Recv-Limit := 5", "Mikrotik-Total-Limit-Gigawords := 1"];
    assert_eq!(quotas(&rows, &[]), ["session data_up 5", "session data_total 4294967296"]);
}

#[test]
fn quotas_are_merged_as_freeradius_merges_rows() {
    let rows = [HELLO, "CS-Total-MB-Daily := 1", "CS-Total-MB-Daily := 2", "CS-Total-Octets-Daily := 3"];
    let both = ["daily data_total 1048576", "daily data_total 3"];
    assert_eq!(quotas(&rows, &[]), both, "of one name the first");
    let gold: (&str, &[&str], &[&str]) = ("gold", &["Max-Daily-Session := 60", "Max-All-Session := 70"], &[]);
    assert_eq!(quotas(&[HELLO, "Max-Daily-Session := 5"], &[gold]), ["daily time 60", "lifetime time 70"]);
    assert_eq!(quotas(&[HELLO, "Max-All-Session := 5"], &[gold]), ["lifetime time 70", "daily time 60"]);
}

#[test]
fn a_quota_needs_the_lock_and_days_and_nothing_else_does() {
    let of = |check: &[&str]| {
        let bob = subscriber(check);
        (bob.may_be_limited(), bob.usage_days().1)
    };
    assert_eq!(of(&[HELLO]), (false, 0));
    assert_eq!(of(&[HELLO, "Max-Yearly-Session := 60"]), (true, 366));
    assert_eq!(of(&[HELLO, "CS-Total-MB := 60"]), (true, 0));
    assert_eq!(of(&[HELLO, "NAS-Identifier == north", "Max-Daily-Session := 60"]), (true, 1));
}

#[test]
fn a_quota_that_is_used_up_has_its_own_reason() {
    for (row, reason) in [
        ("Max-All-Session := 0", RejectReason::TimelyQuotaExceeded),
        ("CS-Total-MB-All := -1", RejectReason::TrafficQuotaExceeded),
    ] {
        let bob = subscriber(&[HELLO, row]);
        let decided = Login::pap(b"hello").decide(&bob);
        assert_eq!(decided.reject, Some(reason), "{row}");
        assert!(decided.rule.starts_with(&format!("radcheck {row}: 0 of ")), "{}", decided.rule);
    }
    let bob = subscriber(&[HELLO, "Max-Monthly-Session := 3000"]);
    assert!(sent(&Login::pap(b"hello").decide(&bob)).contains(&"Session-Timeout = 3000".to_owned()));
}

/// One way to each reason, and the rule that is named for it.
#[test]
fn explain_names_the_rule_of_every_refusal() {
    use RejectReason as R;
    let asked = |check: &[&str], attributes: &[(u8, &[u8])], offer, standing: Standing<'_>| {
        let subscriber = subscriber(&[&[HELLO], check].concat());
        let request =
            attributes.iter().fold(Login::named(b"bob"), |login, (number, value)| login.with(*number, value));
        let attempt =
            Attempt { attributes: request.attributes.attributes().rest(), source: SOURCE, recalled: false };
        let settings = settings();
        let policy = subscriber.policy(attempt, &settings, now());
        let (outcome, seen) = explain(&subscriber, &policy, offer, None, standing, &settings, now());
        let Err(denial) = outcome else { panic!("{check:?} is accepted: {seen:?}") };
        let last = seen.last().unwrap();
        assert_eq!((last.said, &last.rule, last.decides), (Said::Refused(denial.reason), &denial.rule, true));
        assert_eq!(seen.iter().filter(|seen| seen.decides).count(), 1, "{seen:?}");
        (denial.reason, last.step, denial.rule.to_string())
    };
    let none = Standing::default();
    let full = Standing { occupancy: Occupancy { taken: 1, ..Occupancy::default() }, ..none };
    let used = Standing { uses: Uses { first: Some(NOW.minus(100)), last: None }, ..none };
    let elsewhere: &[(u8, &[u8])] = &[(CALLING_STATION_ID, b"02-00-00-00-00-02")];
    let (right, wrong) = (Offer::Right, Offer::Wrong);
    let table = [
        (R::WrongPassword, Step::Credentials, "the password is wrong", asked(&[], &[], wrong, none)),
        (
            R::UserLocked,
            Step::Status,
            "radcheck Auth-Type := Reject",
            asked(&["Auth-Type := Reject"], &[], right, none),
        ),
        (
            R::AbsExpDateReached,
            Step::Validity,
            "radcheck Expiration := Jan 01 2020",
            asked(&["Expiration := Jan 01 2020"], &[], right, none),
        ),
        (
            R::RelExpDateReached,
            Step::Validity,
            "radcheck Expire-After := 60",
            asked(&["Expire-After := 60"], &[], right, used),
        ),
        (
            R::LoginTimeDenied,
            Step::Validity,
            "radcheck Login-Time := Never",
            asked(&["Login-Time := Never"], &[], right, none),
        ),
        (
            R::MaxConcurrent,
            Step::Places,
            "radcheck Simultaneous-Use := 1",
            asked(&["Simultaneous-Use := 1"], &[], right, full),
        ),
        (
            R::TimelyQuotaExceeded,
            Step::Quotas,
            "radcheck Max-All-Session := 0",
            asked(&["Max-All-Session := 0"], &[], right, none),
        ),
        (
            R::TrafficQuotaExceeded,
            Step::Quotas,
            "radcheck CS-Total-Octets := 0",
            asked(&["CS-Total-Octets := 0"], &[], right, none),
        ),
        (
            R::MacDenied,
            Step::Conditions,
            "radcheck Calling-Station-Id == 020000000001",
            asked(&["Calling-Station-Id == 020000000001"], elsewhere, right, none),
        ),
        (
            R::CallerIdDenied,
            Step::Conditions,
            "radcheck Calling-Station-Id == +49301",
            asked(&["Calling-Station-Id == +49301"], elsewhere, right, none),
        ),
        (
            R::IpDenied,
            Step::Conditions,
            "radcheck Framed-IP-Address == 10.0.0.5",
            asked(&["Framed-IP-Address == 10.0.0.5"], &[(FRAMED_IP_ADDRESS, &[10, 0, 0, 6])], right, none),
        ),
        (
            R::NasDenied,
            Step::Conditions,
            "radcheck NAS-Identifier == roof",
            asked(&["NAS-Identifier == roof"], &[(NAS_IDENTIFIER, b"cellar")], right, none),
        ),
        (
            R::ConditionFailed,
            Step::Conditions,
            "radcheck Service-Type == Framed-User",
            asked(&["Service-Type == Framed-User"], &[(SERVICE_TYPE, &[0, 0, 0, 1])], right, none),
        ),
        (
            R::MethodNotServable,
            Step::Status,
            "radcheck Auth-Type := System",
            asked(&["Auth-Type := System"], &[], right, none),
        ),
    ];
    for (reason, step, rule, found) in &table {
        assert_eq!((found.0, found.1), (*reason, *step));
        // A quota adds how much of it is used.
        assert!(found.2.starts_with(rule), "{rule}: {}", found.2);
    }
    // Of an unknown login there is nobody to explain; credit is weighed by rules of its own; who tries too often
    // is known to the service alone.
    let elsewhere = [
        R::UnknownLogin,
        R::CreditFinished,
        R::NoChargeDefined,
        R::NoApplicableRule,
        R::TooManyFailures,
        R::TooManyLogins,
    ];
    for (reason, key) in R::ALL {
        let told = table.iter().any(|(told, ..)| *told == reason);
        assert!(told || elsewhere.contains(&reason), "{key} is not told");
    }
}

#[test]
fn explain_marks_what_ends_the_session_first() {
    let subscriber =
        subscriber(&[HELLO, "Expiration := Jan 01 2050", "Login-Time := Any0000-2359", "Expire-After := 60"]);
    let settings = settings();
    let attempt = Attempt { attributes: &[], source: SOURCE, recalled: false };
    let policy = subscriber.policy(attempt, &settings, now());
    let standing = Standing { uses: Uses { first: Some(NOW.minus(20)), last: None }, ..Standing::default() };
    let (outcome, seen) = explain(&subscriber, &policy, Offer::Right, None, standing, &settings, now());
    assert_eq!(outcome.unwrap().session_timeout, Some((40, "radcheck Expire-After := 60".into())));
    let told = |seen: &Seen| (seen.step.as_str(), seen.rule.to_string(), seen.decides);
    let told: Vec<_> = seen.iter().map(told).collect();
    let expected = [
        ("status", "tk_subscriber.status", false),
        ("credentials", "cleartext", false),
        ("conditions", "check rows and bindings", false),
        ("validity", "radcheck Expiration := Jan 01 2050", false),
        ("validity", "radcheck Expire-After := 60", true),
        ("validity", "radcheck Login-Time := Any0000-2359", false),
        ("reply", "accepted", false),
    ];
    assert_eq!(told, expected.map(|(step, rule, decides)| (step, rule.to_owned(), decides)));
    assert!(seen[1].detail.contains("PAP, CHAP, MS-CHAP"), "{}", seen[1].detail);
}
