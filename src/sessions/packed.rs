//! Sessions at rest: octets in place of structures, a third of the size. A session is unpacked for the
//! record that concerns it and packed again; the others are looked at as they lie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::counters::{Reading, Readings};
use super::online::Online;
use crate::domain::plan::PlanId;
use crate::domain::session::SessionDetails;
use crate::domain::{
    Amount, Charge, ChargePart, ClassToken, CloseGuess, Closed, Counter, NasIdentity, Price, Session,
    SessionFlags, SessionKey, SubscriberId, UniqueId, Usage, WalletKind,
};
use crate::time::{Now, UnixTime};

/// A session in either form.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// At rest.
    Packed(Packed),
    /// While it is worked on.
    Loaded(Box<Online>),
}

/// A session as octets, and beside them what is looked at most.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    octets: Box<[u8]>,
    deadline: Instant,
    updated: UnixTime,
    reload_seen: Option<UnixTime>,
}

impl Slot {
    pub(super) fn new(online: Online) -> Self {
        Self::Loaded(Box::new(online))
    }

    /// To change it. [`Slot::pack`] afterwards.
    pub(super) fn load(&mut self) -> &mut Online {
        if let Self::Packed(packed) = self {
            *self = Self::Loaded(Box::new(packed.unpack()));
        }
        match self {
            Self::Loaded(online) => online,
            Self::Packed(_) => unreachable!("it was just unpacked"),
        }
    }

    /// Puts it to rest.
    pub(super) fn pack(&mut self) {
        if let Self::Loaded(online) = self {
            *self = Self::Packed(Packed::of(online));
        }
    }

    /// Its own copy, unpacked.
    pub(super) fn online(&self) -> Online {
        match self {
            Self::Packed(packed) => packed.unpack(),
            Self::Loaded(online) => (**online).clone(),
        }
    }

    /// Its row.
    pub(super) fn session(&self) -> Session {
        match self {
            Self::Packed(packed) => packed.unpack().session,
            Self::Loaded(online) => online.session.clone(),
        }
    }

    pub(super) fn unique_id(&self) -> UniqueId {
        match self {
            Self::Packed(packed) => packed.head().unique_id,
            Self::Loaded(online) => online.session.unique_id,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Packed(packed) => packed.head().is_open,
            Self::Loaded(online) => online.session.is_open(),
        }
    }

    pub(super) fn acct_session_id(&self) -> &str {
        match self {
            Self::Packed(packed) => packed.head().acct_session_id,
            Self::Loaded(online) => &online.session.acct_session_id,
        }
    }

    pub(super) fn calling_station_id(&self) -> &str {
        match self {
            Self::Packed(packed) => packed.head().calling_station_id,
            Self::Loaded(online) => &online.session.calling_station_id,
        }
    }

    pub(super) fn updated(&self) -> UnixTime {
        match self {
            Self::Packed(packed) => packed.updated,
            Self::Loaded(online) => online.session.updated,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Packed(packed) => packed.deadline,
            Self::Loaded(online) => online.deadline,
        }
    }

    pub(super) fn reload_seen(&self) -> Option<UnixTime> {
        match self {
            Self::Packed(packed) => packed.reload_seen,
            Self::Loaded(online) => online.reload_seen,
        }
    }

    /// Does it take a place? A session that has been silent for too long does not.
    pub(super) fn takes_place(&self, now: Now) -> bool {
        self.deadline() > now.instant && self.is_open()
    }
}

/// What stands first, to be read without the rest.
struct Head<'a> {
    is_open: bool,
    unique_id: UniqueId,
    acct_session_id: &'a str,
    calling_station_id: &'a str,
}

impl Packed {
    fn of(online: &Online) -> Self {
        let session = &online.session;
        let mut out = Writer(SmallVec::new());
        out.head(session);
        out.octets(&session.key.0);
        out.number(session.epoch.into());
        out.nas(&session.nas);
        out.option(session.subscriber, |out, id| out.signed(id.0));
        out.text(&session.user_name);
        out.text(&session.group);
        out.option(session.token, |out, token| out.octets(&token.0));
        out.signed(session.started.0);
        out.option(session.closed.as_ref(), |out, closed| {
            out.signed(closed.at.0);
            out.text(&closed.cause);
            out.option(closed.guess, |out, guess| out.number(guess_number(guess)));
        });
        out.number(session.interval.into());
        for counter in [session.session_time, session.input, session.output] {
            out.number(counter.base);
            out.option(counter.reported, Writer::number);
        }
        // Mostly all of it has been counted.
        let total = session.total();
        for (counted, total) in [
            (session.counted.seconds, total.seconds),
            (session.counted.input, total.input),
            (session.counted.output, total.output),
        ] {
            out.number(total.wrapping_sub(counted));
        }
        out.number(flag_bits(session.flags));
        out.option(session.framed_ip, |out, address| out.octets(&address.octets()));
        out.text(&session.called_station_id);
        out.text(&session.nas_port_id);
        out.details(session);
        out.readings(&online.readings);
        out.option(online.reopen_after, |out, at| out.signed(at.0));
        out.option(online.reload_after, |out, at| out.signed(at.0));
        out.option(session.charge.as_deref(), Writer::charge);
        Self {
            octets: Box::from(out.0.as_slice()),
            deadline: online.deadline,
            updated: session.updated,
            reload_seen: online.reload_seen,
        }
    }

    fn unpack(&self) -> Online {
        let mut from = Reader(&self.octets);
        let head = from.head();
        let key = SessionKey(from.array());
        let epoch = from.small();
        let nas = from.nas();
        let subscriber = from.option(|from| SubscriberId(from.signed()));
        let user_name = from.text();
        let group = from.text();
        let token = from.option(|from| ClassToken(from.array()));
        let started = UnixTime(from.signed());
        let closed = from.option(|from| Closed {
            at: UnixTime(from.signed()),
            cause: from.text(),
            guess: from.option(|from| guess_of(from.number())),
        });
        let interval = from.small();
        let mut counter = || Counter { base: from.number(), reported: from.option(Reader::number) };
        let (session_time, input, output) = (counter(), counter(), counter());
        let uncounted = [from.number(), from.number(), from.number()];
        let flags = flags_of(from.number());
        let framed_ip = from.option(|from| Ipv4Addr::from(from.array::<4>()));
        let (called_station_id, nas_port_id) = (from.text(), from.text());
        let details = from.details(token);
        let readings = from.readings();
        let reopen_after = from.option(|from| UnixTime(from.signed()));
        let reload_after = from.option(|from| UnixTime(from.signed()));
        let charge = from.option(|from| Box::new(from.charge()));
        let mut session = Session {
            key,
            epoch,
            unique_id: head.unique_id,
            nas,
            subscriber,
            user_name,
            group,
            acct_session_id: SmolStr::new(head.acct_session_id),
            token,
            started,
            updated: self.updated,
            closed,
            interval,
            session_time,
            input,
            output,
            counted: Usage::default(),
            charge,
            flags,
            framed_ip,
            calling_station_id: SmolStr::new(head.calling_station_id),
            called_station_id,
            nas_port_id,
            details: Box::new(details),
        };
        let (total, [seconds, input, output]) = (session.total(), uncounted);
        session.counted = Usage {
            seconds: total.seconds.wrapping_sub(seconds),
            input: total.input.wrapping_sub(input),
            output: total.output.wrapping_sub(output),
        };
        Online {
            session,
            readings,
            deadline: self.deadline,
            reopen_after,
            reload_after,
            reload_seen: self.reload_seen,
        }
    }

    fn head(&self) -> Head<'_> {
        Reader(&self.octets).head()
    }
}

/// The text columns in the order of their octets; Class apart.
fn texts(details: &SessionDetails) -> [&SmolStr; 15] {
    [
        &details.nas_port_type,
        &details.authentic,
        &details.connect_info_start,
        &details.connect_info_stop,
        &details.service_type,
        &details.framed_protocol,
        &details.framed_ipv6_prefix,
        &details.framed_interface_id,
        &details.delegated_ipv6_prefix,
        &details.multi_session_id,
        &details.chargeable_user_identity,
        &details.earlier_addresses,
        &details.other_attributes,
        &details.nas_user_name,
        &details.granted,
    ]
}

struct Writer(SmallVec<[u8; 512]>);

impl Writer {
    fn octets(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// Seven bits an octet, least first.
    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(low_octet(number) | 0x80);
            number >>= 7;
        }
        self.0.push(low_octet(number));
    }

    /// Small on either side of zero.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.octets(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                self.0.push(4);
                self.octets(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.0.push(6);
                self.octets(&v6.octets());
            }
        }
    }

    fn head(&mut self, session: &Session) {
        self.0.push(session.is_open().into());
        self.octets(&session.unique_id.0);
        self.text(&session.acct_session_id);
        self.text(&session.calling_station_id);
    }

    fn nas(&mut self, nas: &NasIdentity) {
        self.address(nas.source);
        self.option(nas.address, Self::address);
        self.text(&nas.identifier);
    }

    fn details(&mut self, session: &Session) {
        let details = &*session.details;
        for text in texts(details) {
            self.text(text);
        }
        self.option(details.framed_ipv6_address, |out, address| out.octets(&address.octets()));
        // The token is there already.
        let is_token =
            session.token.is_some_and(|token| details.class.as_bytes() == token.to_class().as_slice());
        self.option((!is_token).then_some(&details.class), |out, class| out.text(class));
    }

    fn usage(&mut self, usage: Usage) {
        for number in [usage.seconds, usage.input, usage.output] {
            self.number(number);
        }
    }

    fn amount(&mut self, amount: Amount) {
        self.octets(&amount.units().to_le_bytes());
    }

    fn charge(&mut self, charge: &Charge) {
        self.signed(charge.plan.0);
        self.text(&charge.plan_name);
        self.number(u64::from(charge.wallet == WalletKind::Money));
        self.amount(charge.before);
        self.usage(charge.rated);
        self.signed(charge.until.0);
        self.number(u64::try_from(charge.parts.len()).unwrap_or(u64::MAX));
        for part in &charge.parts {
            self.signed(part.rule);
            self.text(&part.name);
            self.amount(part.price.per_minute);
            self.amount(part.price.per_kib);
            self.signed(part.start.0);
            self.signed(part.end.0);
            self.usage(part.before);
            self.usage(part.used);
        }
    }

    fn readings(&mut self, readings: &Readings) {
        self.0.push(readings.truncated.into());
        self.number(u64::try_from(readings.kept.len()).unwrap_or(u64::MAX));
        for reading in &readings.kept {
            self.number(reading.at.into());
            self.option(reading.input, Self::number);
            self.option(reading.output, Self::number);
        }
    }
}

/// Reads what [`Writer`] wrote. It is never anybody else's.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("written by Writer");
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("took N")
    }

    fn octet(&mut self) -> u8 {
        let [octet] = self.array();
        octet
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let octet = self.octet();
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.number()).expect("written from a u32")
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    fn str(&mut self) -> &'a str {
        let length = usize::try_from(self.number()).expect("written from a usize");
        std::str::from_utf8(self.take(length)).expect("written from a str")
    }

    fn text(&mut self) -> SmolStr {
        SmolStr::new(self.str())
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.octet() != 0).then(|| read(self))
    }

    fn address(&mut self) -> IpAddr {
        match self.octet() {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>())),
            _ => IpAddr::V6(Ipv6Addr::from(self.array::<16>())),
        }
    }

    fn head(&mut self) -> Head<'a> {
        Head {
            is_open: self.octet() != 0,
            unique_id: UniqueId(self.array()),
            acct_session_id: self.str(),
            calling_station_id: self.str(),
        }
    }

    fn nas(&mut self) -> NasIdentity {
        NasIdentity { source: self.address(), address: self.option(Self::address), identifier: self.text() }
    }

    fn details(&mut self, token: Option<ClassToken>) -> SessionDetails {
        // Field by field in the order of `texts`.
        let mut details = SessionDetails {
            nas_port_type: self.text(),
            authentic: self.text(),
            connect_info_start: self.text(),
            connect_info_stop: self.text(),
            service_type: self.text(),
            framed_protocol: self.text(),
            framed_ipv6_prefix: self.text(),
            framed_interface_id: self.text(),
            delegated_ipv6_prefix: self.text(),
            multi_session_id: self.text(),
            chargeable_user_identity: self.text(),
            earlier_addresses: self.text(),
            other_attributes: self.text(),
            nas_user_name: self.text(),
            granted: self.text(),
            framed_ipv6_address: None,
            class: SmolStr::default(),
        };
        details.framed_ipv6_address = self.option(|from| Ipv6Addr::from(from.array::<16>()));
        details.class = match (self.option(Self::text), token) {
            (Some(class), _) => class,
            (None, Some(token)) => {
                SmolStr::new(std::str::from_utf8(&token.to_class()).expect("digits and a prefix"))
            }
            (None, None) => SmolStr::default(),
        };
        details
    }

    fn usage(&mut self) -> Usage {
        Usage { seconds: self.number(), input: self.number(), output: self.number() }
    }

    fn amount(&mut self) -> Amount {
        Amount::from_units(i128::from_le_bytes(self.array())).expect("written from an Amount")
    }

    fn charge(&mut self) -> Charge {
        Charge {
            plan: PlanId(self.signed()),
            plan_name: self.text(),
            wallet: if self.number() == 0 { WalletKind::Credit } else { WalletKind::Money },
            before: self.amount(),
            rated: self.usage(),
            until: UnixTime(self.signed()),
            parts: (0..self.number()).map(|_| self.part()).collect(),
        }
    }

    fn part(&mut self) -> ChargePart {
        ChargePart {
            rule: self.signed(),
            name: self.text(),
            price: Price { per_minute: self.amount(), per_kib: self.amount() },
            start: UnixTime(self.signed()),
            end: UnixTime(self.signed()),
            before: self.usage(),
            used: self.usage(),
        }
    }

    fn readings(&mut self) -> Readings {
        let truncated = self.octet() != 0;
        let count = self.number();
        let reading = |from: &mut Self| Reading {
            at: from.small(),
            input: from.option(Self::number),
            output: from.option(Self::number),
        };
        Readings { kept: (0..count).map(|_| reading(self)).collect(), truncated }
    }
}

const fn low_octet(number: u64) -> u8 {
    let [octet, ..] = number.to_le_bytes();
    octet
}

fn guess_number(guess: CloseGuess) -> u64 {
    let place = CloseGuess::ALL.iter().position(|(known, _)| *known == guess);
    place.and_then(|place| u64::try_from(place).ok()).expect("ALL has every guess")
}

fn guess_of(number: u64) -> CloseGuess {
    let place = usize::try_from(number).ok();
    place.and_then(|place| CloseGuess::ALL.get(place)).map(|(guess, _)| *guess).expect("written from ALL")
}

fn flag_bits(flags: SessionFlags) -> u64 {
    let SessionFlags {
        start_inferred,
        gigawords,
        wrapped,
        reset,
        clock_suspect,
        reopened,
        salted,
        unenforced,
    } = flags;
    let all = [start_inferred, gigawords, wrapped, reset, clock_suspect, reopened, salted, unenforced];
    all.into_iter().rev().fold(0, |bits, flag| bits << 1 | u64::from(flag))
}

const fn flags_of(bits: u64) -> SessionFlags {
    SessionFlags {
        start_inferred: bits & 1 != 0,
        gigawords: bits & 1 << 1 != 0,
        wrapped: bits & 1 << 2 != 0,
        reset: bits & 1 << 3 != 0,
        clock_suspect: bits & 1 << 4 != 0,
        reopened: bits & 1 << 5 != 0,
        salted: bits & 1 << 6 != 0,
        unenforced: bits & 1 << 7 != 0,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use proptest::prelude::*;

    use super::super::SubscriberSessions;
    use super::super::settings::Settings;
    use super::super::tests::{nas, noon};
    use super::*;

    fn counter() -> impl Strategy<Value = Counter> {
        (any::<u64>(), any::<Option<u64>>()).prop_map(|(base, reported)| Counter { base, reported })
    }

    /// Every other session is charged, in up to three parts.
    fn charge(seed: u32, text: &mut impl FnMut() -> SmolStr) -> Option<Box<Charge>> {
        let number = u64::from(seed);
        let usage = Usage { seconds: number, input: number << 20, output: u64::MAX - number };
        let amount = |factor: i128| Amount::from_units(i128::from(seed) * factor).unwrap();
        let name = text();
        (seed % 2 == 1).then(|| {
            let part = |rule: i64| ChargePart {
                rule: -rule,
                name: name.clone(),
                price: Price { per_minute: amount(10_i128.pow(20)), per_kib: amount(1) },
                start: UnixTime(rule),
                end: UnixTime(i64::MAX - rule),
                before: usage,
                used: Usage { input: 0, ..usage },
            };
            Box::new(Charge {
                plan: PlanId(i64::from(seed)),
                plan_name: name.clone(),
                wallet: if seed.is_multiple_of(2) { WalletKind::Credit } else { WalletKind::Money },
                before: amount(-7),
                rated: usage,
                until: UnixTime(-i64::from(seed)),
                parts: (0..i64::from(seed % 3)).map(part).collect(),
            })
        })
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| IpAddr::V4(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| IpAddr::V6(octets.into())),
        ]
    }

    fn online() -> impl Strategy<Value = Online> {
        let texts = prop::collection::vec("\\PC{0,40}|.{200,300}", 26);
        let ids =
            (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<Option<[u8; 16]>>(), any::<u32>(), any::<bool>());
        let numbers = (any::<[i64; 5]>(), any::<Option<i64>>(), any::<u32>(), any::<u8>(), any::<[u64; 3]>());
        let counters = (counter(), counter(), counter());
        let addresses =
            (address(), prop::option::of(address()), any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>());
        let guess = prop::option::of(prop::option::of(0..CloseGuess::ALL.len()));
        let readings =
            prop::collection::vec((any::<u32>(), any::<Option<u64>>(), any::<Option<u64>>()), 0..5);
        (texts, ids, numbers, counters, addresses, guess, readings).prop_map(
            |(texts, ids, numbers, counters, addresses, guess, readings)| {
                let mut texts = texts.into_iter().map(SmolStr::from);
                let mut text = || texts.next().unwrap();
                let token = ids.2.map(ClassToken);
                let class = text();
                let class = match token {
                    Some(token) if ids.4 => String::from_utf8(token.to_class().to_vec()).unwrap().into(),
                    _ => class,
                };
                let (times, subscriber, interval, bits, counted) = numbers;
                let session = Session {
                    key: SessionKey(ids.0),
                    epoch: ids.3,
                    unique_id: UniqueId(ids.1),
                    nas: NasIdentity { source: addresses.0, address: addresses.1, identifier: text() },
                    subscriber: subscriber.map(SubscriberId),
                    user_name: text(),
                    group: text(),
                    acct_session_id: text(),
                    token,
                    started: UnixTime(times[0]),
                    updated: UnixTime(times[1]),
                    closed: guess.map(|guess| Closed {
                        at: UnixTime(times[2]),
                        cause: text(),
                        guess: guess.map(|guess| CloseGuess::ALL[guess].0),
                    }),
                    interval,
                    session_time: counters.0,
                    input: counters.1,
                    output: counters.2,
                    counted: Usage { seconds: counted[0], input: counted[1], output: counted[2] },
                    charge: charge(interval, &mut text),
                    flags: flags_of(bits.into()),
                    framed_ip: addresses.2.map(Into::into),
                    calling_station_id: text(),
                    called_station_id: text(),
                    nas_port_id: text(),
                    details: Box::new(SessionDetails {
                        nas_port_type: text(),
                        authentic: text(),
                        connect_info_start: text(),
                        connect_info_stop: text(),
                        service_type: text(),
                        framed_protocol: text(),
                        framed_ipv6_address: addresses.3.map(Into::into),
                        framed_ipv6_prefix: text(),
                        framed_interface_id: text(),
                        delegated_ipv6_prefix: text(),
                        class,
                        multi_session_id: text(),
                        chargeable_user_identity: text(),
                        earlier_addresses: text(),
                        other_attributes: text(),
                        nas_user_name: text(),
                        granted: text(),
                    }),
                };
                let mut online = Online::restored(session, &Settings::default(), noon());
                online.readings = Readings {
                    kept: readings
                        .into_iter()
                        .map(|(at, input, output)| Reading { at, input, output })
                        .collect(),
                    truncated: ids.4,
                };
                online.reopen_after = Some(UnixTime(times[3])).filter(|_| bits & 0x80 != 0);
                online.reload_after = Some(UnixTime(times[4])).filter(|_| interval & 1 == 0);
                online.reload_seen = Some(UnixTime(times[4])).filter(|_| interval & 2 == 0);
                online
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn a_session_comes_back_as_it_was(online in online()) {
            let mut slot = Slot::new(online.clone());
            slot.pack();
            prop_assert!(matches!(slot, Slot::Packed(_)));
            prop_assert_eq!(slot.online(), online.clone());
            prop_assert_eq!(slot.session(), online.session.clone());
            prop_assert_eq!(slot.unique_id(), online.session.unique_id);
            prop_assert_eq!(slot.is_open(), online.session.is_open());
            prop_assert_eq!(slot.acct_session_id(), online.session.acct_session_id.as_str());
            prop_assert_eq!(slot.calling_station_id(), online.session.calling_station_id.as_str());
            prop_assert_eq!(slot.updated(), online.session.updated);
            prop_assert_eq!(slot.reload_seen(), online.reload_seen);
            prop_assert_eq!(slot.load(), &online);
        }
    }

    #[test]
    fn every_flag_and_every_guess_has_its_own_number() {
        for bits in 0..256 {
            assert_eq!(flag_bits(flags_of(bits)), bits);
        }
        for (guess, _) in CloseGuess::ALL {
            assert_eq!(guess_of(guess_number(guess)), guess);
        }
    }

    /// 100,000 sessions in 100 MB leave a kibibyte for each, indexes included.
    #[test]
    fn a_session_takes_a_third_of_a_kibibyte_at_rest() {
        let token = ClassToken([0x5a; 16]);
        let class = String::from_utf8(token.to_class().to_vec()).unwrap();
        let count = |octets| Counter { base: 0, reported: Some(octets) };
        let session = Session {
            key: SessionKey([1; 16]),
            epoch: 0,
            unique_id: UniqueId([2; 16]),
            nas: nas(1),
            subscriber: Some(SubscriberId(100_000)),
            user_name: "subscriber-100000".into(),
            group: "home-100".into(),
            acct_session_id: "81500a3f".into(),
            token: Some(token),
            started: UnixTime(1_750_000_000),
            updated: UnixTime(1_750_086_400),
            closed: None,
            interval: 600,
            session_time: count(86_400),
            input: count(1 << 34),
            output: count(1 << 38),
            counted: Usage { seconds: 86_400, input: 1 << 34, output: 1 << 38 },
            charge: None,
            flags: SessionFlags { gigawords: true, ..SessionFlags::default() },
            framed_ip: Some(Ipv4Addr::new(100, 64, 1, 2)),
            calling_station_id: "AA:BB:CC:00:11:22".into(),
            called_station_id: "pppoe-service".into(),
            nas_port_id: "vlan100".into(),
            details: Box::new(SessionDetails {
                nas_port_type: "Ethernet".into(),
                authentic: "RADIUS".into(),
                service_type: "Framed-User".into(),
                framed_protocol: "PPP".into(),
                class: class.into(),
                other_attributes: "Acct-Input-Packets = 123456\nAcct-Output-Packets = 123456".into(),
                ..SessionDetails::default()
            }),
        };
        let mut online = Online::restored(session, &Settings::default(), noon());
        let newest = online.readings.kept[0];
        for _ in 0..3 {
            online.readings.kept.insert(0, newest);
        }
        let octets = Packed::of(&online).octets.len();
        let fixed = size_of::<SubscriberSessions>() + size_of::<Slot>();
        println!("{octets} octets + {fixed} fixed; unpacked {}", size_of::<Online>());
        assert!(octets < 384 && fixed <= 192, "{octets} {fixed}");
    }
}
