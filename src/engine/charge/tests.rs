use proptest::prelude::*;

use super::*;
use crate::domain::{SessionKey, SubscriberId, UniqueId};

/// Wednesday 2026-11-25 00:00:00 UTC.
const MIDNIGHT: i64 = 1_795_564_800;
const HOUR: i64 = 3_600;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn price(per_minute: &str, per_kib: &str) -> Price {
    Price { per_minute: amount(per_minute), per_kib: amount(per_kib) }
}

fn rule(id: i64, price: Price, window: &str, nas: &str) -> ChargeRule {
    ChargeRule { id, name: format_smolstr!("r{id}"), price, window: window.into(), nas: nas.into() }
}

fn charging(rules: &[ChargeRule]) -> Charging {
    Charging::new(PlanId(7), &"metered".into(), rules)
}

fn nas(address: &str, identifier: &str) -> NasIdentity {
    NasIdentity { source: address.parse().unwrap(), address: None, identifier: identifier.into() }
}

/// A session that began at `started` on 10.0.0.1.
fn session(started: i64) -> Session {
    let (key, id) = (SessionKey([1; 16]), UniqueId([2; 16]));
    Session {
        subscriber: Some(SubscriberId(1)),
        user_name: "bob".into(),
        group: "metered".into(),
        ..Session::begun(key, id, nas("10.0.0.1", "edge"), "1".into(), UnixTime(started))
    }
}

/// The next record: so many seconds and octets since the beginning.
fn used(session: &mut Session, seconds: u64, input: u64, output: u64) -> (UnixTime, Usage) {
    let since = (session.updated, session.total());
    session.updated = session.started.plus(seconds);
    session.session_time.reported = Some(seconds);
    session.input.reported = Some(input);
    session.output.reported = Some(output);
    since
}

fn rate(charging: &Charging, session: &mut Session, seconds: u64, input: u64, output: u64) -> Amount {
    let since = used(session, seconds, input, output);
    charging.rate(session, since, (WalletKind::Credit, amount("1000")), &TimeZone::UTC)
}

fn reach(charging: &Charging, credit: &str, at: i64) -> Result<Reach, Denial> {
    let credit = Credit { granted: amount(credit), ..Credit::default() };
    charging.reach(&credit, Amount::ZERO, Some(&nas("10.0.0.1", "edge")), both(at), &TimeZone::UTC)
}

/// A session that is about to begin.
fn both(at: i64) -> (UnixTime, UnixTime) {
    (UnixTime(at), UnixTime(at))
}

fn reason(outcome: Result<Reach, Denial>) -> Option<RejectReason> {
    outcome.err().map(|denial| denial.reason)
}

#[test]
fn the_worked_vector_is_rated_to_its_last_digit() {
    let charging = charging(&[rule(3, price("0", "0.0009765625"), "", "")]);
    let mut session = session(MIDNIGHT);
    assert_eq!(rate(&charging, &mut session, 0, 0, 0), Amount::ZERO);
    rate(&charging, &mut session, 4, 1000, 7000);
    rate(&charging, &mut session, 8, 1468, 7154);
    let charge = session.charge.unwrap();
    assert_eq!(charge.cost(), amount("0.008222579956054688"));
    assert_eq!((charge.plan, charge.before), (PlanId(7), amount("1000")));
    let [part] = charge.parts.as_slice() else { panic!("one rule") };
    assert_eq!((part.rule, part.used), (3, Usage { seconds: 8, input: 1468, output: 7154 }));
    assert_eq!((part.start, part.end), (UnixTime(MIDNIGHT), UnixTime(MIDNIGHT + 8)));
}

#[test]
fn what_is_rated_once_is_not_rated_again() {
    let charging = charging(&[rule(1, price("1", "1"), "", "")]);
    let mut session = session(MIDNIGHT);
    assert_eq!(rate(&charging, &mut session, 60, 1024, 0), amount("2"));
    assert_eq!(rate(&charging, &mut session, 60, 1024, 0), Amount::ZERO);
    // A late record that adds octets without time.
    session.output.reported = Some(2048);
    let since = (session.updated, Usage::default());
    assert_eq!(
        charging.rate(&mut session, since, (WalletKind::Credit, Amount::ZERO), &TimeZone::UTC),
        amount("2")
    );
}

#[test]
fn a_session_over_two_windows_is_charged_by_each_rule_for_its_time() {
    let night = rule(1, price("0.1", "0"), "Al0000-0559", "");
    let charging = charging(&[night, rule(2, price("1", "0.0009765625"), "", "")]);
    let mut session = session(MIDNIGHT + 5 * HOUR + HOUR / 2);
    rate(&charging, &mut session, 3600, 2 << 20, 6 << 20);
    let charge = session.charge.unwrap();
    let [night, day] = charge.parts.as_slice() else { panic!("two rules: {:?}", charge.parts) };
    let half = Usage { seconds: 1800, input: 1 << 20, output: 3 << 20 };
    assert_eq!((night.used, day.used), (half, half));
    assert_eq!((night.end, day.start), (UnixTime(MIDNIGHT + 6 * HOUR), UnixTime(MIDNIGHT + 6 * HOUR)));
    assert_eq!((night.before, day.before), (Usage::default(), half));
    assert_eq!((night.cost(), day.cost()), (amount("3"), amount("34")));
}

#[test]
fn a_window_follows_the_zone() {
    let charging = charging(&[rule(1, price("1", "0"), "Al0000-0059", ""), rule(2, price("0", "0"), "", "")]);
    let zone = TimeZone::get("Asia/Tehran").unwrap();
    // 20:30 UTC is midnight in Tehran.
    let mut session = session(MIDNIGHT + 20 * HOUR);
    let since = used(&mut session, 7200, 0, 0);
    assert_eq!(charging.rate(&mut session, since, (WalletKind::Credit, Amount::ZERO), &zone), amount("60"));
}

#[test]
fn a_changed_price_holds_from_the_record_on() {
    let (before, after) =
        (charging(&[rule(1, price("1", "0"), "", "")]), charging(&[rule(1, price("5", "0"), "", "")]));
    let mut session = session(MIDNIGHT);
    rate(&before, &mut session, 60, 0, 0);
    rate(&after, &mut session, 120, 0, 0);
    let charge = session.charge.unwrap();
    assert_eq!(charge.parts.iter().map(ChargePart::cost).collect::<Vec<_>>(), [amount("1"), amount("5")]);
}

#[test]
fn a_session_that_was_not_charged_is_charged_from_its_next_record_on() {
    let charging = charging(&[rule(1, price("1", "0"), "", "")]);
    let mut session = session(MIDNIGHT);
    used(&mut session, 600, 0, 0);
    assert_eq!(rate(&charging, &mut session, 660, 0, 0), amount("1"));
}

#[test]
fn where_no_rule_applies_nothing_is_charged_and_nobody_is_let_in() {
    let charging = charging(&[rule(1, price("1", "0"), "Al0600-2359", "")]);
    let mut session = session(MIDNIGHT + 5 * HOUR);
    assert_eq!(rate(&charging, &mut session, 7200, 0, 0), amount("60"));
    assert_eq!(reason(reach(&charging, "5", MIDNIGHT)), Some(RejectReason::NoApplicableRule));
    assert_eq!(reason(reach(&charging, "5", MIDNIGHT + 6 * HOUR)), None);
}

#[test]
fn a_rule_is_for_its_nases() {
    let text = "10.0.0.0/24, 2001:db8::/32, lobby";
    let charging = charging(&[rule(1, price("1", "0"), "", text)]);
    let at = |nas: Option<&NasIdentity>| {
        let credit = Credit { granted: amount("5"), ..Credit::default() };
        reason(charging.reach(&credit, Amount::ZERO, nas, both(MIDNIGHT), &TimeZone::UTC))
    };
    for inside in [nas("10.0.0.9", ""), nas("2001:db8:1::1", ""), nas("192.0.2.1", "lobby")] {
        assert_eq!(at(Some(&inside)), None, "{inside:?}");
    }
    let behind = NasIdentity { address: "10.0.0.7".parse().ok(), ..nas("192.0.2.1", "") };
    assert_eq!(at(Some(&behind)), None);
    for outside in [Some(nas("10.0.1.9", "lobby2")), Some(nas("::ffff:10.0.0.9", "")), None] {
        assert_eq!(at(outside.as_ref()), Some(RejectReason::NoApplicableRule), "{outside:?}");
    }
}

#[test]
fn rules_that_cannot_be_read_are_left_out_and_told() {
    let bad = [
        rule(1, price("1", "0"), "banana", ""),
        rule(2, price("1", "0"), "", "10.0.0.0/33"),
        rule(3, price("-1", "0"), "", ""),
    ];
    assert!(bad.iter().all(|rule| check(rule).is_err()));
    let charging = charging(&bad);
    assert_eq!(charging.unusable().len(), 3);
    assert_eq!(reason(reach(&charging, "5", MIDNIGHT)), Some(RejectReason::NoChargeDefined));
}

#[test]
fn credit_reaches_as_far_as_it_buys() {
    let charging_of = |per_minute, per_kib| charging(&[rule(1, price(per_minute, per_kib), "", "")]);
    let time = reach(&charging_of("0.5", "0"), "10", MIDNIGHT).unwrap();
    assert_eq!((time.seconds.unwrap().0, time.octets), (1200, None));
    assert_eq!(time.until, Some(UnixTime(MIDNIGHT + 1200)));
    let volume = reach(&charging_of("0", "0.0009765625"), "10", MIDNIGHT).unwrap();
    assert_eq!((volume.seconds, volume.octets.unwrap().0), (None, 10 << 20));
    let both = reach(&charging_of("0.5", "0.0009765625"), "10", MIDNIGHT).unwrap();
    assert_eq!((both.seconds.unwrap().0, both.octets.unwrap().0), (600, 5 << 20));
    let free = reach(&charging_of("0", "0"), "10", MIDNIGHT).unwrap();
    assert_eq!((free.seconds, free.octets), (None, None));
    for spent in ["0", "-1", "0.001"] {
        assert_eq!(
            reason(reach(&charging_of("0.5", "0"), spent, MIDNIGHT)),
            Some(RejectReason::CreditFinished)
        );
    }
}

#[test]
fn an_open_session_ends_at_the_same_time_whenever_it_is_looked_at() {
    let charging = charging(&[rule(1, price("1", "0"), "", "")]);
    let credit = Credit { granted: amount("10"), ..Credit::default() };
    // It was rated two minutes after midnight.
    let at = |now: i64| {
        let times = (UnixTime(MIDNIGHT + 120), UnixTime(MIDNIGHT + now));
        let reach = charging.reach(&credit, amount("2"), None, times, &TimeZone::UTC);
        reach.map(|reach| reach.seconds.unwrap().0).map_err(|denial| denial.reason)
    };
    assert_eq!([at(120), at(300), at(599)], [Ok(480), Ok(300), Ok(1)]);
    assert_eq!(at(600), Err(RejectReason::CreditFinished));
}

#[test]
fn credit_may_go_down_to_its_limit_and_what_sessions_have_cost_is_gone() {
    let charging = charging(&[rule(1, price("1", "0"), "", "")]);
    let credit = Credit { granted: amount("2"), limit: amount("3"), ..Credit::default() };
    let at = |charged: &str| {
        charging
            .reach(&credit, amount(charged), None, both(MIDNIGHT), &TimeZone::UTC)
            .map(|reach| reach.seconds.unwrap().0)
            .map_err(|denial| (denial.reason, denial.rule.to_string()))
    };
    assert_eq!(at("0"), Ok(300));
    assert_eq!(at("4"), Ok(60));
    assert_eq!(at("5"), Err((RejectReason::CreditFinished, "credit -3, limit 3".to_owned())));
}

#[test]
fn credit_is_spent_at_the_price_of_each_window_and_ends_where_no_rule_follows() {
    let night = rule(1, price("0.1", "0"), "Al0000-0559", "");
    let charging_of = |rules: &[ChargeRule]| charging(rules);
    let both = charging_of(&[night.clone(), rule(2, price("1", "0"), "", "")]);
    // From 05:00: an hour costs 6, what is left of 10 buys four minutes of the day.
    let reached = reach(&both, "10", MIDNIGHT + 5 * HOUR).unwrap();
    assert_eq!(reached.seconds.unwrap().0, 3600 + 240);
    assert_eq!(reached.until, Some(UnixTime(MIDNIGHT + 6 * HOUR)));
    let alone = charging_of(&[night]);
    assert_eq!(reach(&alone, "10", MIDNIGHT + 5 * HOUR).unwrap().seconds.unwrap().0, 3600);
    // Free by day, so that night after night is paid for.
    let free = charging_of(&[rule(1, price("1", "0"), "Al0000-0059", ""), rule(2, price("0", "0"), "", "")]);
    assert_eq!(reach(&free, "90", MIDNIGHT).unwrap().seconds.unwrap().0, 24 * 3600 + 1800);
}

proptest! {
    /// However the records fall, everything is charged once, and the cost never falls.
    #[test]
    fn all_that_is_used_is_charged_once(
        records in prop::collection::vec((0..90_000_u64, 0..1_u64 << 40, 0..1_u64 << 40), 1..8),
        begin in 0..604_800_i64,
    ) {
        let night = rule(1, price("0.1", "0.000001"), "Wk0000-0559,Sa", "");
        let charging = charging(&[night, rule(2, price("1", "0.0003"), "", "")]);
        let mut session = session(MIDNIGHT + begin);
        let (mut at, mut cost) = ((0, 0, 0), Amount::ZERO);
        for (seconds, input, output) in records {
            at = (at.0 + seconds, at.1 + input, at.2 + output);
            let added = rate(&charging, &mut session, at.0, at.1, at.2);
            prop_assert!(!added.is_negative());
            cost = cost.plus(added).unwrap();
        }
        let charge = session.charge.as_ref().unwrap();
        prop_assert_eq!(charge.cost(), cost);
        let sum = charge.parts.iter().fold(Usage::default(), |sum, part| sum.plus(part.used));
        prop_assert_eq!(sum, session.total());
        prop_assert!(charge.parts.len() <= 2);
    }

    /// A session that uses all the time and all the volume it was given costs no more than the credit.
    #[test]
    fn what_a_credit_buys_costs_no_more(units in 1..10_000_000_i64, per_minute in 0..1000_i64, per_kib in 0..1000_i64) {
        let amount = |units: i64| Amount::from_units(i128::from(units) * 1_000_000_000_000_000).unwrap();
        let price = Price { per_minute: amount(per_minute), per_kib: amount(per_kib) };
        let charging = charging(&[rule(1, price, "", "")]);
        let credit = Credit { granted: amount(units), ..Credit::default() };
        let reach = charging.reach(&credit, Amount::ZERO, None, both(MIDNIGHT), &TimeZone::UTC);
        if let Ok(Reach { seconds, octets, .. }) = reach {
            let (seconds, octets) = (seconds.map_or(0, |(seconds, _)| seconds), octets.map_or(0, |(octets, _)| octets));
            // Of what is charged, a second and an octet are the least that can be given.
            let least = price.of(1, 1);
            prop_assert!(price.of(seconds, octets) <= amount(units).saturating_plus(least));
        }
    }
}
