//! What sessions cost, and what the credit that is left still buys.
//!
//! `cost = per_minute × seconds / 60 + per_kib × octets / 1024`, octets of both directions. Of the rules of a
//! plan the first, by number, whose window is open and whose NASes include the session's is in force; the
//! one without a name, which the plan's own figures make, is the last. What a record adds to a session was used evenly since the record before; it is parted where another rule
//! came into force.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use smol_str::{SmolStr, format_smolstr};

use super::Settings;
use super::access::{Denial, Standing};
use super::policy::{Open, Policy, Subscriber, Window};
use crate::domain::plan::PlanId;
use crate::domain::{
    Amount, Charge, ChargePart, ChargeRule, Credit, NasIdentity, Price, RejectReason, Session, Usage,
    WalletKind,
};
use crate::sessions::SubscriberSessions;
use crate::time::UnixTime;

/// What a plan charges, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charging {
    plan: PlanId,
    name: SmolStr,
    rules: Box<[Rule]>,
    /// What is the matter with the rules that are left out.
    unusable: Box<[(i64, SmolStr)]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    id: i64,
    name: SmolStr,
    price: Price,
    window: Option<Window>,
    nas: Box<[NasPattern]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NasPattern {
    Network { address: IpAddr, prefix: u8 },
    Identifier(SmolStr),
}

/// How far a credit reaches; without end where nothing is charged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Seconds from now on, with what says so.
    pub seconds: Option<(u64, SmolStr)>,
    /// Octets of both directions from now on, or, where it is asked for a session, from its beginning on.
    pub octets: Option<(u64, SmolStr)>,
    /// Octets of both directions from now on.
    pub near: Option<u64>,
    /// When another rule comes into force, or the time is over.
    pub until: Option<UnixTime>,
}

/// No interval is parted into more stretches than this; the rest belongs to the rule of the last.
const STRETCHES_MAX: u32 = 10_000;
/// So many changes of the rule in force are looked ahead for the end of a credit.
const AHEAD_MAX: u32 = 64;

impl Charging {
    /// Reads the rules. One whose window or NASes mean nothing is left out: it would charge by chance.
    #[must_use]
    pub fn new(plan: PlanId, name: &SmolStr, rows: &[ChargeRule]) -> Self {
        let (mut rules, mut unusable) = (Vec::new(), Vec::new());
        for row in rows {
            match Rule::read(row) {
                Ok(rule) => rules.push(rule),
                Err(why) => unusable.push((row.id, why)),
            }
        }
        rules.sort_by_key(|rule| (rule.name.is_empty(), rule.id));
        Self { plan, name: name.clone(), rules: rules.into(), unusable: unusable.into() }
    }

    /// Numbers of rules that are left out, and why.
    #[must_use]
    pub fn unusable(&self) -> &[(i64, SmolStr)] {
        &self.unusable
    }

    /// Does it matter which NAS is asked about?
    #[must_use]
    pub fn minds_nas(&self) -> bool {
        self.rules.iter().any(|rule| !rule.nas.is_empty())
    }

    /// Rates what a session has used since it was rated last; gives what that costs. `since` is when and
    /// what the session had used before the record, from where one is charged that was not so far.
    /// `credit` is what is left for one that begins, and the wallet that pays it.
    pub fn rate(
        &self,
        session: &mut Session,
        since: (UnixTime, Usage),
        (wallet, credit): (WalletKind, Amount),
        zone: &TimeZone,
    ) -> Amount {
        let (total, to) = (session.total(), session.updated);
        let charge = session.charge.get_or_insert_with(|| {
            Box::new(Charge {
                plan: self.plan,
                plan_name: self.name.clone(),
                wallet,
                before: credit,
                rated: since.1,
                until: since.0,
                parts: Vec::new(),
            })
        });
        let before = charge.cost();
        self.continue_rating(charge, &session.nas, total, to, zone);
        charge.cost().saturating_minus(before)
    }

    fn continue_rating(
        &self,
        charge: &mut Charge,
        nas: &NasIdentity,
        total: Usage,
        to: UnixTime,
        zone: &TimeZone,
    ) {
        let from = charge.until;
        let to = to.max(from);
        charge.until = to;
        let (base, used) = (charge.rated, total.beyond(charge.rated));
        if used.is_zero() {
            return;
        }
        charge.rated = base.plus(used);
        let length = to.since(from);
        // What a stretch gets is the difference of two rounded sums, so nothing is lost to rounding.
        let until = |seconds: u64| {
            let share = |whole: u64| {
                let part = u128::from(whole) * u128::from(seconds) / u128::from(length);
                u64::try_from(part).unwrap_or(whole)
            };
            Usage { seconds: share(used.seconds), input: share(used.input), output: share(used.output) }
        };
        let (mut begin, mut given) = (from, Usage::default());
        for stretch in 1..=STRETCHES_MAX {
            let (rule, change) = self.in_force(Some(nas), begin, zone);
            let end = change.filter(|change| *change < to && stretch < STRETCHES_MAX).unwrap_or(to);
            let sum = if end == to { used } else { until(end.since(from)) };
            if let Some(rule) = rule {
                rule.charge(charge, (begin, end), base.plus(given), sum.beyond(given));
            }
            if end == to {
                break;
            }
            (begin, given) = (end, sum);
        }
    }

    /// How far what is left of a credit reaches, from now on, on this NAS.
    ///
    /// Where both time and volume are charged each gets half of it, so that both together never cost more.
    /// `from` is until when the time of the session is in `charged`: now for one that is about to begin.
    ///
    /// # Errors
    /// There is no rule, none that applies here and now, or no credit.
    pub fn reach(
        &self,
        credit: &Credit,
        charged: Amount,
        nas: Option<&NasIdentity>,
        (from, now): (UnixTime, UnixTime),
        zone: &TimeZone,
    ) -> Result<Reach, Denial> {
        let plan = &self.name;
        if self.rules.is_empty() {
            let rule = format_smolstr!("plan {plan}: no charge rule can be used");
            return Err(Denial { reason: RejectReason::NoChargeDefined, rule });
        }
        let (Some(rule), change) = self.in_force(nas, now, zone) else {
            let rule = format_smolstr!("plan {plan}: no charge rule applies here and now");
            return Err(Denial { reason: RejectReason::NoApplicableRule, rule });
        };
        let balance = credit.granted.saturating_minus(charged);
        let left = balance.saturating_plus(credit.limit);
        let price = rule.price;
        let (seconds, octets) = (price.seconds_for(left), price.octets_for(left));
        let finished = || {
            let rule = format_smolstr!("credit {balance}, limit {}", credit.limit);
            Denial { reason: RejectReason::CreditFinished, rule }
        };
        if !left.is_positive() || seconds == Some(0) || octets == Some(0) {
            return Err(finished());
        }
        let time = self.rules.iter().any(|rule| rule.is_for(nas) && rule.price.per_minute.is_positive());
        let share = if time && octets.is_some() { left.half() } else { left };
        let mut end = self.end_of_time(share, nas, from, zone);
        if from == now {
            end = end.map(|end| end.max(now.plus(1)));
        } else if end.is_some_and(|end| end <= now) {
            return Err(finished());
        }
        let words = || format_smolstr!("credit {balance}, {}", rule.words());
        Ok(Reach {
            seconds: end.map(|end| (end.since(now), words())),
            octets: price.octets_for(share).map(|octets| (octets.max(1), words())),
            near: price.octets_for(share),
            until: [change, end].into_iter().flatten().min(),
        })
    }

    /// When time alone will have used up `credit`, or no rule applies any more.
    fn end_of_time(
        &self,
        credit: Amount,
        nas: Option<&NasIdentity>,
        from: UnixTime,
        zone: &TimeZone,
    ) -> Option<UnixTime> {
        let (mut begin, mut left) = (from, credit);
        for _ in 0..AHEAD_MAX {
            let (rule, change) = self.in_force(nas, begin, zone);
            let Some(rule) = rule else { return Some(begin) };
            let end = rule.price.seconds_for(left).map(|seconds| begin.plus(seconds));
            match change {
                Some(change) if end.is_none_or(|end| end > change) => {
                    left = left.saturating_minus(rule.price.of(change.since(begin), 0));
                    begin = change;
                }
                _ => return end,
            }
        }
        // Looked at again before then.
        Some(begin)
    }

    /// The rule in force at a moment, and when another may be.
    fn in_force(
        &self,
        nas: Option<&NasIdentity>,
        at: UnixTime,
        zone: &TimeZone,
    ) -> (Option<&Rule>, Option<UnixTime>) {
        let mut next: Option<UnixTime> = None;
        let mut sooner = |change: UnixTime| next = Some(next.map_or(change, |next| next.min(change)));
        for rule in self.rules.iter().filter(|rule| rule.is_for(nas)) {
            let Some(window) = &rule.window else { return (Some(rule), next) };
            match window.at(at, zone) {
                Some(Open::Always) => return (Some(rule), next),
                Some(Open::Until(close)) => {
                    sooner(close);
                    return (Some(rule), next);
                }
                None => {
                    if let Some(open) = window.opens(at, zone) {
                        sooner(open);
                    }
                }
            }
        }
        (None, next)
    }
}

impl Rule {
    fn read(row: &ChargeRule) -> Result<Self, SmolStr> {
        if row.price.per_minute.is_negative() || row.price.per_kib.is_negative() {
            return Err(SmolStr::new_static("a price is negative"));
        }
        let window = match row.window.trim() {
            "" => None,
            text => match Window::read(text) {
                (window, false) => Some(window),
                (_, true) => return Err(format_smolstr!("{text:?} has a part that is no time of the week")),
            },
        };
        let nas = patterns(&row.nas)?;
        Ok(Self { id: row.id, name: row.name.clone(), price: row.price, window, nas })
    }

    fn is_for(&self, nas: Option<&NasIdentity>) -> bool {
        self.nas.is_empty() || nas.is_some_and(|nas| self.nas.iter().any(|pattern| pattern.matches(nas)))
    }

    fn words(&self) -> SmolStr {
        if self.name.is_empty() {
            format_smolstr!("charge rule {}", self.id)
        } else {
            format_smolstr!("charge rule {} {}", self.id, self.name)
        }
    }

    fn charge(&self, charge: &mut Charge, (start, end): (UnixTime, UnixTime), before: Usage, used: Usage) {
        if used.is_zero() {
            return;
        }
        let mine = |part: &&mut ChargePart| part.rule == self.id && part.price == self.price;
        if let Some(part) = charge.parts.iter_mut().find(mine) {
            part.end = part.end.max(end);
            part.used = part.used.plus(used);
        } else {
            let (rule, name, price) = (self.id, self.name.clone(), self.price);
            charge.parts.push(ChargePart { rule, name, price, start, end, before, used });
        }
    }
}

impl NasPattern {
    fn matches(&self, nas: &NasIdentity) -> bool {
        match self {
            Self::Identifier(identifier) => *identifier == nas.identifier,
            Self::Network { address, prefix } => {
                std::iter::once(nas.source).chain(nas.address).any(|nas| is_within(nas, *address, *prefix))
            }
        }
    }
}

/// How far the credit of a subscriber reaches: for a login, or for the open session that is looked at again.
///
/// # Errors
/// As [`Charging::reach`].
pub(super) fn reach(
    subscriber: &Subscriber,
    policy: &Policy<'_>,
    standing: &Standing<'_>,
    settings: &Settings,
    now: UnixTime,
) -> Result<Reach, Denial> {
    let Some((charging, credit)) = subscriber.charging() else { return Ok(Reach::default()) };
    if subscriber.is_postpaid() {
        // Who pays afterwards is never refused for want of money.
        return Ok(Reach::default());
    }
    let session = standing.session.and_then(|id| standing.sessions?.session(id));
    let nas = session.as_ref().map(|session| &session.nas).or(policy.nas.as_deref());
    // Memory is ahead of SQL, but for what other servers have written.
    let charged = standing.sessions.map_or(Amount::ZERO, SubscriberSessions::cost).max(credit.charged);
    let zone = subscriber.usage_days().0.unwrap_or(&settings.zone);
    let charge = session.as_ref().and_then(|session| session.charge.as_ref());
    let from = charge.map_or(now, |charge| charge.until.min(now));
    let mut reach = charging.reach(&credit, charged, nas, (from, now), zone)?;
    let past = session.map_or(0, |session| {
        let past = session.total();
        past.input.saturating_add(past.output)
    });
    reach.octets = reach.octets.map(|(octets, rule)| (octets.saturating_add(past), rule));
    Ok(reach)
}

/// What is used while nothing is charged, is used up without being paid for.
pub fn pass(session: &mut Session) {
    let (total, until) = (session.total(), session.updated);
    if let Some(charge) = &mut session.charge {
        charge.rated = charge.rated.plus(total.beyond(charge.rated));
        charge.until = charge.until.max(until);
    }
}

/// What a list of NASes says.
///
/// # Errors
/// A part that is meant as a network and is none.
fn patterns(text: &str) -> Result<Box<[NasPattern]>, SmolStr> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (address, prefix) = part.split_once('/').map_or((part, None), |(a, p)| (a, Some(p)));
            let Ok(address) = address.parse::<IpAddr>() else {
                return Ok(NasPattern::Identifier(part.into()));
            };
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(most), |digits| digits.parse().ok());
            match prefix.filter(|prefix| *prefix <= most) {
                Some(prefix) => Ok(NasPattern::Network { address, prefix }),
                None => Err(format_smolstr!("{part:?} is no network")),
            }
        })
        .collect()
}

fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (one, other, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    (one ^ other).checked_shr(width - u32::from(prefix)).unwrap_or(0) == 0
}

/// Checks a rule before it is kept.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check(rule: &ChargeRule) -> Result<(), SmolStr> {
    Rule::read(rule).map(drop)
}

#[cfg(test)]
mod tests;
