//! What one accounting record and one login cost in the session table, with many subscribers online,
//! and what a session weighs. `cargo bench --bench sessions`.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use smol_str::{SmolStr, format_smolstr};
use tollkeeper::domain::session::SessionDetails;
use tollkeeper::domain::{
    AccountingRecord, ClassToken, NasIdentity, RecordStatus, ReportedOctets, SessionKey, SubscriberId,
    UniqueId,
};
use tollkeeper::sessions::{Device, RecordFacts, Reservation, Settings, SubscriberSessions};
use tollkeeper::time::{Now, UnixTime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    weigh();
    divan::main();
}

/// Noon of some day.
const NOON: UnixTime = UnixTime(1_750_248_000);

#[expect(clippy::disallowed_methods, reason = "a base to count from")]
fn noon() -> Now {
    Now { instant: Instant::now(), unix: NOON }
}

/// A record as a PPPoE concentrator sends it, `minutes` after the Start.
fn record(status: RecordStatus, subscriber: u32, minutes: u32) -> AccountingRecord {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let nas = NasIdentity { source: address, address: Some(address), identifier: "bras-1".into() };
    let acct_session_id = format_smolstr!("8150{subscriber:06x}");
    let mut token = [7; 16];
    token.iter_mut().zip(subscriber.to_be_bytes()).for_each(|(to, from)| *to = from);
    let token = ClassToken(token);
    let key = SessionKey::of_token(token, &acct_session_id);
    let at = NOON.plus(u64::from(minutes) * 60);
    let counter = |rate: u64| {
        let octets = u64::from(minutes) * rate;
        ReportedOctets {
            octets: u32::try_from(octets & 0xffff_ffff).ok(),
            gigawords: u32::try_from(octets >> 32).ok(),
        }
    };
    let [_, b, c, d] = subscriber.to_be_bytes();
    AccountingRecord {
        status,
        key,
        nas_key: SessionKey::of_nas(&nas, &acct_session_id),
        unique_id: UniqueId(key.0),
        nas,
        acct_session_id,
        user_name: format_smolstr!("subscriber-{subscriber}"),
        token: Some(token),
        event_time: at,
        received: at,
        clock_suspect: false,
        session_time: Some(minutes * 60),
        input: counter(20_000_000),
        output: counter(200_000_000),
        terminate_cause: SmolStr::default(),
        framed_ip: Some(Ipv4Addr::new(100, b, c, d)),
        calling_station_id: format_smolstr!("AA:BB:CC:{b:02X}:{c:02X}:{d:02X}"),
        called_station_id: "pppoe-service".into(),
        nas_port_id: "vlan100".into(),
        details: SessionDetails {
            nas_port_type: "Ethernet".into(),
            authentic: "RADIUS".into(),
            service_type: "Framed-User".into(),
            framed_protocol: "PPP".into(),
            class: std::str::from_utf8(&token.to_class()).unwrap_or_default().into(),
            other_attributes: "Acct-Input-Packets = 123456\nAcct-Output-Packets = 654321".into(),
            ..SessionDetails::default()
        },
    }
}

/// So many subscribers, each with one session that has reported twice.
fn online(subscribers: u32, settings: &Settings, now: Now) -> HashMap<u32, SubscriberSessions> {
    let mut all = HashMap::new();
    for subscriber in 0..subscribers {
        let mut sessions = SubscriberSessions::new(Some(SubscriberId(subscriber.into())));
        for (status, minutes) in
            [(RecordStatus::Start, 0), (RecordStatus::InterimUpdate, 5), (RecordStatus::InterimUpdate, 10)]
        {
            sessions.apply(&record(status, subscriber, minutes), &RecordFacts::default(), settings, now);
        }
        all.insert(subscriber, sessions);
    }
    all
}

/// The resident memory of 100,000 sessions.
fn weigh() {
    let before = resident();
    let all = online(100_000, &Settings::default(), noon());
    let grown = resident().saturating_sub(before);
    println!("100,000 sessions: {} MiB resident, {} octets each", grown >> 20, grown / 100_000);
    drop(black_box(all));
}

/// Octets of resident memory; 0 where /proc does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// One Interim-Update of one of so many sessions, its row and its usage; the records are made outside.
#[divan::bench(args = [10_000, 1_000_000], sample_count = 50, sample_size = 200)]
fn interim_update(bencher: Bencher<'_, '_>, subscribers: u32) {
    let (settings, now) = (Settings::default(), noon());
    let mut all = online(subscribers, &settings, now);
    let mut n = 0_u32;
    bencher
        .with_inputs(|| {
            // Far from the last one, so that nothing is in a cache by chance.
            n = n.wrapping_add(7919);
            let subscriber = n % subscribers;
            (subscriber, record(RecordStatus::InterimUpdate, subscriber, 15 + n % 1000))
        })
        .bench_local_values(|(subscriber, record)| {
            let sessions = all.get_mut(&subscriber).expect("every subscriber is there");
            sessions.apply(&record, &RecordFacts::default(), &settings, now)
        });
}

/// Does the login get a place, and hold it.
#[divan::bench(args = [10_000, 1_000_000], sample_count = 50, sample_size = 200)]
fn occupancy_and_reservation(bencher: Bencher<'_, '_>, subscribers: u32) {
    let (settings, now) = (Settings::default(), noon());
    let mut all = online(subscribers, &settings, now);
    let mut n = 0_u32;
    bencher
        .with_inputs(|| {
            n = n.wrapping_add(7919);
            let subscriber = n % subscribers;
            let start = record(RecordStatus::Start, subscriber, 0);
            let device = Device::of(&start.calling_station_id, &start.nas, "");
            let until = now.instant + Duration::from_secs(60);
            (
                subscriber,
                Reservation {
                    granted: Default::default(),
                    token: ClassToken([1; 16]),
                    device,
                    nas: start.nas,
                    until,
                    interim_interval: 600,
                },
            )
        })
        .bench_local_values(|(subscriber, reservation)| {
            let sessions = all.get_mut(&subscriber).expect("every subscriber is there");
            let seen = sessions.occupancy(&reservation.device, now);
            sessions.reserve(reservation);
            seen
        });
}
