//! What holds by algebra: neither the order nor the repetition of records matters (D2), and nothing
//! ever falls, whatever a NAS may send.

use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::ledger::split;
use super::tests::{NOON, noon, record};
use super::*;
use crate::domain::{
    AccountingRecord, ClassToken, CloseGuess, Day, NasReload, RecordStatus, ReportedOctets, Session,
    SessionKey, SubscriberId, UniqueId, Usage,
};
use crate::time::UnixTime;

/// One session as its NAS lived it: octets counted from one report to the next, a minute apart.
#[derive(Clone, Debug)]
struct Life {
    grown: Vec<u64>,
    has_start: bool,
    has_stop: bool,
    wide: bool,
}

/// `most`: octets between two reports.
fn life(reports: std::ops::Range<usize>, most: u64) -> impl Strategy<Value = Life> {
    (prop::collection::vec(0..most, reports), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(grown, has_start, has_stop, wide)| Life { grown, has_start, has_stop, wide })
}

impl Life {
    fn records(&self) -> Vec<AccountingRecord> {
        let mut records = Vec::new();
        if self.has_start {
            records.push(record(RecordStatus::Start, 0));
        }
        let mut total = 0_u64;
        for (n, grown) in self.grown.iter().enumerate() {
            total += grown;
            let ran = u32::try_from(n + 1).unwrap() * 60;
            let is_last = n + 1 == self.grown.len();
            let status =
                if is_last && self.has_stop { RecordStatus::Stop } else { RecordStatus::InterimUpdate };
            records.push(AccountingRecord {
                session_time: Some(ran),
                output: ReportedOctets {
                    octets: Some(u32::try_from(total & 0xffff_ffff).unwrap()),
                    gigawords: self.wide.then(|| u32::try_from(total >> 32).unwrap()),
                },
                ..record(status, ran.into())
            });
        }
        records
    }

    fn used(&self) -> Usage {
        let seconds = u64::try_from(self.grown.len()).unwrap() * 60;
        Usage { seconds, input: 0, output: self.grown.iter().sum() }
    }
}

/// Receives the records in this order, a second apart; sent again, one seems `late` seconds later.
fn receive(records: &[AccountingRecord], order: &[usize], late: &[u16]) -> SubscriberSessions {
    let (base, settings) = (noon(), Settings::default());
    let mut sessions = SubscriberSessions::new(Some(SubscriberId(1)));
    let mut seen = vec![false; records.len()];
    for (n, &index) in order.iter().enumerate() {
        let mut record = records[index].clone();
        if std::mem::replace(&mut seen[index], true) {
            let late = late.get(n).copied().unwrap_or(0);
            record.event_time = record.event_time.plus(late.into());
        }
        let now = base.plus(Duration::from_secs(3600 + u64::try_from(n).unwrap()));
        sessions.apply(&record, &RecordFacts::default(), &settings, now);
    }
    sessions
}

fn only(sessions: &SubscriberSessions) -> Result<Session, TestCaseError> {
    let mut all: Vec<_> = sessions.sessions().collect();
    prop_assert_eq!(all.len(), 1, "{:#?}", all);
    Ok(all.remove(0))
}

/// An order of `n` records with repetitions: each at least once.
fn order(n: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..n, 0..n * 2)
        .prop_map(move |again| (0..n).chain(again).collect::<Vec<_>>())
        .prop_shuffle()
}

/// An order in which a record overtakes no more than two others, each repeated soon.
fn nearly_in_order(n: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec((0..3_usize, any::<bool>()), n).prop_map(|moves| {
        let mut arrivals: Vec<(usize, usize)> = Vec::new();
        for (index, (delay, again)) in moves.into_iter().enumerate() {
            arrivals.push((index * 2 + delay * 2, index));
            if again {
                arrivals.push((index * 2 + delay * 2 + 1, index));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        arrivals.into_iter().map(|(_, index)| index).collect()
    })
}

fn agrees(life: &Life, sessions: &SubscriberSessions) -> Result<(), TestCaseError> {
    let session = only(sessions)?;
    prop_assert_eq!(session.total(), life.used());
    prop_assert_eq!(sessions.lifetime(), life.used());
    prop_assert_eq!(session.counted, life.used());
    prop_assert_eq!(session.closed.as_ref().map(|closed| closed.guess), life.has_stop.then_some(None));
    if let Some(closed) = &session.closed {
        prop_assert_eq!(closed.at, UnixTime(NOON).plus(life.used().seconds));
    }
    let days = sessions.days().iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
    prop_assert_eq!(days, life.used());
    Ok(())
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_give_the_same_session(
        (life, order, late) in life(1..8, 500_000_000).prop_flat_map(|life| {
            let n = life.records().len();
            (Just(life), order(n), prop::collection::vec(0..30_u16, n * 3))
        }),
    ) {
        agrees(&life, &receive(&life.records(), &order, &late))?;
    }

    #[test]
    fn wraps_are_counted_once_in_any_order_of_a_few_records(
        (life, order) in life(1..4, 4_000_000_000).prop_flat_map(|life| {
            let n = life.records().len();
            (Just(life), order(n))
        }),
    ) {
        agrees(&life, &receive(&life.records(), &order, &[]))?;
    }

    #[test]
    fn wraps_are_counted_once_when_many_records_overtake_each_other_a_little(
        (life, order) in life(1..30, 4_000_000_000).prop_flat_map(|life| {
            let n = life.records().len();
            (Just(life), nearly_in_order(n))
        }),
    ) {
        agrees(&life, &receive(&life.records(), &order, &[]))?;
    }

    #[test]
    fn parts_of_a_split_add_up_and_none_is_outside(
        used in (any::<u64>(), any::<u64>(), any::<u64>()),
        from in 0..4_000_000_000_i64,
        length in 0..40_000_000_i64,
        zone in prop::sample::select(vec!["UTC", "Asia/Tehran", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"]),
    ) {
        let used = Usage { seconds: used.0, input: used.1, output: used.2 };
        let zone = TimeZone::get(zone).unwrap();
        let (from, to) = (UnixTime(from), UnixTime(from + length));
        let parts = split(used, from, to, &zone);
        let sum = |of: fn(&Usage) -> u64| parts.iter().map(|(_, part)| u128::from(of(part))).sum::<u128>();
        prop_assert_eq!(sum(|part| part.seconds), u128::from(used.seconds));
        prop_assert_eq!(sum(|part| part.input), u128::from(used.input));
        prop_assert_eq!(sum(|part| part.output), u128::from(used.output));
        prop_assert!(parts.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", parts);
        prop_assert!(parts.iter().all(|(day, _)| *day >= day_of(from, &zone) && *day <= day_of(to, &zone)));
    }

    #[test]
    fn nothing_ever_falls_whatever_a_nas_sends(steps in prop::collection::vec(step(), 1..60)) {
        let settings = Settings { tombstone: Duration::from_mins(5), ..Settings::default() };
        let mut sessions = SubscriberSessions::new(Some(SubscriberId(1)));
        let mut rows: HashMap<UniqueId, Session> = HashMap::new();
        let mut buckets: HashMap<Day, Usage> = HashMap::new();
        let mut now = noon();
        let mut reloaded = None;
        // What is no longer in memory would be read back from SQL; here another use of the id is a new row.
        let mut gone = Usage::default();
        for step in steps {
            now = now.plus(Duration::from_secs(step.wait));
            let change = match step.what {
                What::Record(mut record) => {
                    record.event_time = UnixTime(now.unix.0 + record.event_time.0);
                    record.received = now.unix;
                    let facts = RecordFacts { nas_sends_gigawords: step.flag, nas_reloaded: reloaded, ..RecordFacts::default() };
                    let change = sessions.apply(&record, &facts, &settings, now);
                    prop_assert!(change.session().is_some(), "a record always has its row");
                    change
                }
                What::Reboot(before) => {
                    let reload = NasReload { nas: tests::nas(1), at: now.unix.minus(before) };
                    reloaded = reloaded.max(Some(reload.at));
                    sessions.nas_rebooted(&reload, &settings, now)
                }
                What::Timeout => sessions.handle_timeout(&settings, now),
                What::Guess => {
                    let first = sessions.sessions().next().map(|session| session.unique_id);
                    first.map(|id| sessions.close_guess(id, CloseGuess::UnknownToNas, &settings, now)).unwrap_or_default()
                }
            };
            for row in change.rows {
                prop_assert_eq!(row.counted, row.total());
                prop_assert!(row.closed.as_ref().is_none_or(|closed| closed.at >= row.started));
                if let Some(before) = rows.insert(row.unique_id, (*row).clone()) {
                    prop_assert!(before.total().beyond(row.total()).is_zero(), "{:?} {:?}", before, row);
                    prop_assert!(row.updated >= before.updated && row.started <= before.started);
                    let was_stopped = before.closed.is_some_and(|closed| closed.guess.is_none());
                    let is_stopped = row.closed.as_ref().is_some_and(|closed| closed.guess.is_none());
                    prop_assert!(!was_stopped || is_stopped, "closed by a Stop stays closed");
                }
            }
            for session in change.forgotten {
                prop_assert!(!session.is_open());
                rows.remove(&session.unique_id);
                gone = gone.plus(session.counted);
            }
            for (day, usage) in change.usage {
                let before = buckets.insert(day, usage).unwrap_or_default();
                prop_assert!(before.beyond(usage).is_zero());
            }
            let open = sessions.sessions().filter(Session::is_open).count();
            prop_assert!(usize::try_from(sessions.occupancy(&Device::Unknown, now).taken).unwrap() <= open);
            let counted = rows.values().fold(gone, |sum, row| sum.plus(row.counted));
            prop_assert_eq!(counted, sessions.lifetime(), "rows and buckets agree");
            let days = sessions.days().iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
            prop_assert_eq!(days, sessions.lifetime());
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    wait: u64,
    what: What,
    flag: bool,
}

#[derive(Clone, Debug)]
enum What {
    /// Event time relative to now.
    Record(Box<AccountingRecord>),
    Reboot(u64),
    Timeout,
    Guess,
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        20 => any_record().prop_map(|record| What::Record(Box::new(record))),
        1 => (0..100_u64).prop_map(What::Reboot),
        2 => Just(What::Timeout),
        1 => Just(What::Guess),
    ];
    (0..400_u64, what, any::<bool>()).prop_map(|(wait, what, flag)| Step { wait, what, flag })
}

fn any_record() -> impl Strategy<Value = AccountingRecord> {
    let status = prop::sample::select(vec![
        RecordStatus::Start,
        RecordStatus::InterimUpdate,
        RecordStatus::InterimUpdate,
        RecordStatus::Stop,
    ]);
    let number = || prop_oneof![Just(0), 1..1000_u32, any::<u32>(), 4_294_960_000..=u32::MAX];
    let octets = || (prop::option::of(number()), prop::option::weighted(0.2, 0..3_u32));
    let ran = prop::option::of(prop_oneof![0..2000_u32, any::<u32>()]);
    let who = (0..3_u8, prop::option::weighted(0.3, 0..3_u8), 0..3_u8, 1..3_u8, 0..2_u8);
    (status, -700..60_i64, ran, octets(), octets(), who).prop_map(|(status, at, ran, input, output, who)| {
        let (id, token, device, nas, user) = who;
        let mut record = record(status, at - NOON);
        record.nas = tests::nas(nas);
        record.acct_session_id = smol_str::format_smolstr!("{id}");
        record.nas_key = SessionKey::of_nas(&record.nas, &record.acct_session_id);
        record.token = token.map(|token| ClassToken([token; 16]));
        record.key =
            record.token.map_or(record.nas_key, |token| SessionKey::of_token(token, &record.acct_session_id));
        record.unique_id = UniqueId([id; 16]);
        if device > 0 {
            record.calling_station_id = smol_str::format_smolstr!("aabbcc00000{device}");
        }
        record.user_name = if user == 0 { "bob".into() } else { "Bob".into() };
        record.session_time = ran;
        record.input = ReportedOctets { octets: input.0, gigawords: input.1 };
        record.output = ReportedOctets { octets: output.0, gigawords: output.1 };
        record
    })
}
