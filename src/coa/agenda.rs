//! Sessions that have not what their subscriber's policy gives, and what is done about each: the ladder
//! from CoA to Disconnect to a flag, the pauses between attempts, and the pace of all of them together.
//! Pure: it says which session is to be asked for what, and is told what came of it.
//!
//! A session has one case from the moment the two differ until they agree or it is over. What its NAS
//! is asked for, and with which attributes, is looked up anew when its turn comes: whatever changed
//! while it waited is in the one request that is sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::domain::UniqueId;
use crate::domain::dynamic_auth::{NotSent, Outcome};
use crate::time::{Now, UnixTime};

/// How fast sessions are brought into line, and how stubbornly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests that begin per second, all NASes together: what the database takes in records of them
    /// beside its other work.
    pub per_second: u32,
    /// … to one NAS: what the control plane of an access concentrator answers beside its logins.
    pub per_nas_per_second: u32,
    /// Requests that wait for an answer, all NASes together.
    pub outstanding: usize,
    /// … of one NAS: its receive buffer holds some hundred, and it answers one after the other.
    pub outstanding_per_nas: usize,
    /// Attempts on one rung of the ladder that may end in silence or in "not now".
    pub attempts: u32,
    /// Pause after the first of these; it doubles.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// Pause between two attempts once a session is flagged.
    pub flagged_retry: Duration,
    /// Time that a NAS has to send the Stop after its Disconnect-ACK.
    pub stop_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            per_second: 500,
            per_nas_per_second: 50,
            outstanding: 2_048,
            outstanding_per_nas: 32,
            attempts: 3,
            retry_first: Duration::from_secs(5),
            retry_max: Duration::from_mins(5),
            flagged_retry: Duration::from_mins(15),
            stop_patience: Duration::from_mins(1),
        }
    }
}

/// What a session needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Its end: the subscriber is barred.
    End,
    /// Another profile.
    Change {
        /// Worth ending it for, where its NAS cannot change it.
        vital: bool,
        /// Names the profile: with another the ladder begins anew.
        profile: u64,
    },
}

/// What its NAS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// A CoA-Request.
    Change,
    /// A Disconnect-Request.
    Disconnect,
}

/// A session whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which.
    pub session: UniqueId,
    /// What its NAS is to be asked for.
    pub rung: Rung,
    /// When its NAS acknowledged a Disconnect: ask again only if it has shown life since, else
    /// [`Agenda::wait`].
    pub acknowledged: Option<UnixTime>,
}

/// What an outcome means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The session has what was sent.
    Confirmed,
    /// The NAS ends it, and has yet to say so.
    Ending,
    /// It is no more.
    Gone,
    /// It is tried again later.
    Again,
    /// The next rung is tried at once.
    NextRung,
    /// Nothing helps, and the change can wait for the next login.
    LeftAlone,
    /// Nothing helps: an operator has to know. Tried again, rarely.
    Flagged,
}

/// How many sessions are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Their turn comes as the pace allows.
    pub queued: usize,
    /// Their NAS is being asked.
    pub asked: usize,
    /// They wait for another attempt, or for the end that was acknowledged.
    pub waiting: usize,
    /// Of all: nothing helped so far.
    pub flagged: usize,
}

#[derive(Debug)]
struct Case {
    nas: IpAddr,
    want: Want,
    rung: Rung,
    /// Attempts on this rung.
    attempts: u32,
    state: State,
    acknowledged: Option<UnixTime>,
    flagged: bool,
    /// What is wanted has changed while its NAS was asked.
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Asked,
    Waiting(Instant),
    /// Until something else is wanted.
    LeftAlone,
}

/// The sessions of one NAS that wait for their turn: ends go before changes.
#[derive(Debug, Default)]
struct Lane {
    ends: VecDeque<UniqueId>,
    changes: VecDeque<UniqueId>,
    outstanding: usize,
    pace: Pace,
    /// In [`Agenda::ring`].
    listed: bool,
}

/// When the next may begin: one every so often, some at once after a rest.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    /// The share of a second's requests that may begin at once.
    const BURST_SHARE: u32 = 10;

    fn is_free(self, per_second: u32, now: Instant) -> bool {
        self.free_at(per_second).is_none_or(|at| at <= now)
    }

    fn free_at(self, per_second: u32) -> Option<Instant> {
        let burst = (per_second / Self::BURST_SHARE).saturating_sub(1);
        self.0.map(|next| next.checked_sub(Self::pause(per_second) * burst).unwrap_or(next))
    }

    fn take(&mut self, per_second: u32, now: Instant) {
        let from = self.0.map_or(now, |next| next.max(now));
        self.0 = Some(from + Self::pause(per_second));
    }

    fn pause(per_second: u32) -> Duration {
        Duration::from_secs(1) / per_second.max(1)
    }
}

/// All cases.
#[derive(Debug)]
pub struct Agenda {
    settings: Settings,
    cases: HashMap<UniqueId, Case>,
    lanes: HashMap<IpAddr, Lane>,
    /// NASes with sessions whose turn may have come, in turn.
    ring: VecDeque<IpAddr>,
    timers: BTreeSet<(Instant, UniqueId)>,
    pace: Pace,
    outstanding: usize,
    flagged: usize,
    left_alone: usize,
}

impl Agenda {
    /// No cases yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            cases: HashMap::new(),
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            timers: BTreeSet::new(),
            pace: Pace::default(),
            outstanding: 0,
            flagged: 0,
            left_alone: 0,
        }
    }

    /// Cases, whatever their state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Every session is as it should be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// A session, served by the NAS at `nas`, has not what it should. Said again, nothing changes unless
    /// it is something else that is wanted.
    pub fn want(&mut self, session: UniqueId, nas: IpAddr, want: Want) {
        let first = first_rung(want);
        let Some(case) = self.cases.get_mut(&session) else {
            let case = Case {
                nas,
                want,
                rung: first,
                attempts: 0,
                state: State::Queued,
                acknowledged: None,
                flagged: false,
                stale: false,
            };
            self.cases.insert(session, case);
            self.line_up(session);
            return;
        };
        if case.want == want {
            return;
        }
        // A NAS that already failed at a change is asked for the end as for any other: from the beginning.
        (case.want, case.attempts, case.acknowledged) = (want, 0, None);
        case.rung = first;
        match case.state {
            State::Asked => case.stale = true,
            State::Queued => self.line_up(session),
            State::Waiting(due) => {
                self.timers.remove(&(due, session));
                self.line_up(session);
            }
            State::LeftAlone => {
                self.left_alone -= 1;
                self.line_up(session);
            }
        }
    }

    /// A session whose turn has come wants this by now: what its NAS is to be asked for. `None` if it was
    /// settled meanwhile.
    pub fn now_wants(&mut self, session: UniqueId, want: Want) -> Option<Rung> {
        let case = self.cases.get_mut(&session).filter(|case| case.state == State::Asked)?;
        if case.want != want {
            (case.want, case.attempts, case.rung) = (want, 0, first_rung(want));
        }
        case.stale = false;
        Some(case.rung)
    }

    /// The session has what it should, or is over. Was it flagged?
    pub fn settled(&mut self, session: UniqueId) -> bool {
        let Some(case) = self.cases.remove(&session) else { return false };
        match case.state {
            State::Asked => self.leave(case.nas),
            State::Waiting(due) => drop(self.timers.remove(&(due, session))),
            State::LeftAlone => self.left_alone -= 1,
            // Passed over when its turn comes.
            State::Queued => {}
        }
        self.flagged -= usize::from(case.flagged);
        case.flagged
    }

    /// The next session whose NAS may be asked now. It is being asked until [`Agenda::outcome`],
    /// [`Agenda::wait`] or [`Agenda::settled`].
    pub fn next_turn(&mut self, now: Now) -> Option<Turn> {
        self.wake(now);
        for _ in 0..self.ring.len() {
            if self.outstanding >= self.settings.outstanding
                || !self.pace.is_free(self.settings.per_second, now.instant)
            {
                return None;
            }
            let nas = self.ring.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&nas) else { continue };
            let mut turn = None;
            if lane.outstanding < self.settings.outstanding_per_nas
                && lane.pace.is_free(self.settings.per_nas_per_second, now.instant)
            {
                while let Some(session) = lane.ends.pop_front().or_else(|| lane.changes.pop_front()) {
                    if let Some(case) = self.cases.get_mut(&session)
                        && case.state == State::Queued
                    {
                        case.state = State::Asked;
                        let acknowledged = case.acknowledged;
                        turn = Some(Turn { session, rung: case.rung, acknowledged });
                        break;
                    }
                }
                if turn.is_some() {
                    lane.outstanding += 1;
                    lane.pace.take(self.settings.per_nas_per_second, now.instant);
                    self.outstanding += 1;
                    self.pace.take(self.settings.per_second, now.instant);
                }
            }
            lane.listed = !lane.ends.is_empty() || !lane.changes.is_empty();
            if lane.listed {
                self.ring.push_back(nas);
            } else if lane.outstanding == 0 && lane.pace.is_free(1, now.instant) {
                self.lanes.remove(&nas);
            }
            if turn.is_some() {
                return turn;
            }
        }
        None
    }

    /// What came of asking. `None` if the session was settled meanwhile, or wants something else by now.
    pub fn outcome(&mut self, session: UniqueId, rung: Rung, outcome: Outcome, now: Now) -> Option<Step> {
        let nas = self.cases.get(&session)?.nas;
        let case = self.cases.get_mut(&session).filter(|case| case.state == State::Asked)?;
        let reaction = reaction(outcome);
        if std::mem::take(&mut case.stale) && reaction != Reaction::Gone {
            self.leave(nas);
            self.line_up(session);
            return None;
        }
        let step = match reaction {
            Reaction::Done if rung == Rung::Change => Step::Confirmed,
            Reaction::Done => Step::Ending,
            Reaction::Gone => Step::Gone,
            Reaction::Busy => Step::Again,
            Reaction::Unsent => Step::Flagged,
            Reaction::Unable => case.next_rung(rung),
            Reaction::Failed => {
                case.attempts += 1;
                if case.attempts < self.settings.attempts { Step::Again } else { case.next_rung(rung) }
            }
        };
        self.leave(nas);
        let settings = self.settings.clone();
        let Some(case) = self.cases.get_mut(&session) else { return Some(step) };
        // It is asked no more.
        case.state = State::Queued;
        match step {
            Step::Confirmed | Step::Gone => drop(self.settled(session)),
            Step::LeftAlone => {
                case.state = State::LeftAlone;
                self.left_alone += 1;
            }
            Step::Ending => {
                case.acknowledged = Some(now.unix);
                case.attempts = 0;
                self.pause(session, settings.stop_patience, now);
            }
            Step::Again => {
                let doubled = settings.retry_first * 2_u32.saturating_pow(case.attempts.saturating_sub(1));
                self.pause(session, doubled.min(settings.retry_max), now);
            }
            Step::NextRung => {
                (case.rung, case.attempts) = (Rung::Disconnect, 0);
                self.line_up(session);
            }
            Step::Flagged => {
                // The next attempt is the last of its rung again.
                case.attempts = settings.attempts;
                self.flagged += usize::from(!std::mem::replace(&mut case.flagged, true));
                self.pause(session, settings.flagged_retry, now);
            }
        }
        Some(step)
    }

    /// The session that had its turn is not asked: its end was acknowledged, and it has shown no life
    /// since.
    pub fn wait(&mut self, session: UniqueId, now: Now) {
        let Some(case) = self.cases.get(&session).filter(|case| case.state == State::Asked) else { return };
        let nas = case.nas;
        self.leave(nas);
        self.pause(session, self.settings.flagged_retry, now);
    }

    /// How many sessions of which NAS are flagged, the most first.
    #[must_use]
    pub fn flagged_by_nas(&self) -> Vec<(IpAddr, usize)> {
        if self.flagged == 0 {
            return Vec::new();
        }
        let mut by_nas: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for case in self.cases.values().filter(|case| case.flagged) {
            *by_nas.entry(case.nas).or_default() += 1;
        }
        let mut by_nas: Vec<_> = by_nas.into_iter().collect();
        by_nas.sort_by_key(|(_, sessions)| std::cmp::Reverse(*sessions));
        by_nas
    }

    /// When [`Agenda::next_turn`] may have something that it has not now; `None` until something is
    /// wanted or comes back.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let timer = self.timers.first().map(|(due, _)| *due);
        if self.outstanding >= self.settings.outstanding {
            return timer;
        }
        let lanes = self.ring.iter().filter_map(|nas| self.lanes.get(nas));
        let lane = lanes
            .filter(|lane| lane.outstanding < self.settings.outstanding_per_nas)
            .map(|lane| lane.pace.free_at(self.settings.per_nas_per_second).unwrap_or(now))
            .min()
            .map(|lane| lane.max(self.pace.free_at(self.settings.per_second).unwrap_or(now)));
        timer.into_iter().chain(lane).min()
    }

    /// How many sessions are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let asked = self.outstanding;
        let waiting = self.timers.len();
        Counts {
            queued: self.cases.len().saturating_sub(asked + waiting + self.left_alone),
            asked,
            waiting,
            flagged: self.flagged,
        }
    }

    fn wake(&mut self, now: Now) {
        while let Some((due, session)) = self.timers.first().copied()
            && due <= now.instant
        {
            self.timers.pop_first();
            self.line_up(session);
        }
    }

    fn line_up(&mut self, session: UniqueId) {
        let Some(case) = self.cases.get_mut(&session) else { return };
        case.state = State::Queued;
        let lane = self.lanes.entry(case.nas).or_default();
        match case.rung {
            Rung::Disconnect => lane.ends.push_back(session),
            Rung::Change => lane.changes.push_back(session),
        }
        if !std::mem::replace(&mut lane.listed, true) {
            self.ring.push_back(case.nas);
        }
    }

    fn pause(&mut self, session: UniqueId, pause: Duration, now: Now) {
        if let Some(case) = self.cases.get_mut(&session) {
            let due = now.instant + pause;
            case.state = State::Waiting(due);
            self.timers.insert((due, session));
        }
    }

    /// One request less is outstanding.
    fn leave(&mut self, nas: IpAddr) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&nas) {
            lane.outstanding = lane.outstanding.saturating_sub(1);
        }
    }
}

impl Case {
    /// What follows when `rung` is of no use.
    const fn next_rung(&self, rung: Rung) -> Step {
        match (rung, self.want) {
            (Rung::Change, Want::Change { vital: false, .. }) => Step::LeftAlone,
            (Rung::Change, _) => Step::NextRung,
            (Rung::Disconnect, _) => Step::Flagged,
        }
    }
}

const fn first_rung(want: Want) -> Rung {
    match want {
        Want::End => Rung::Disconnect,
        Want::Change { .. } => Rung::Change,
    }
}

/// What the answer of a NAS, or its silence, says about asking it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// It does what was asked.
    Done,
    /// It has no such session.
    Gone,
    /// It cannot do this, or will not: the same request would get the same answer.
    Unable,
    /// It cannot do it now, or nobody heard it.
    Failed,
    /// Nothing was sent because too much is under way.
    Busy,
    /// Nothing can be sent to it.
    Unsent,
}

/// By Error-Cause (RFC 5176 §3.5).
const fn reaction(outcome: Outcome) -> Reaction {
    match outcome {
        _ if outcome.is_success() => Reaction::Done,
        Outcome::Nak { error_cause: Some(503) } | Outcome::NotSent(NotSent::NoSession) => Reaction::Gone,
        // Not removable now; a proxy on the way; resources.
        Outcome::Nak { error_cause: Some(502 | 504 | 505 | 506) } | Outcome::TimedOut => Reaction::Failed,
        Outcome::Ack | Outcome::Nak { .. } | Outcome::NotSent(NotSent::BadAttribute) => Reaction::Unable,
        Outcome::NotSent(NotSent::Full) => Reaction::Busy,
        Outcome::NotSent(NotSent::NoNas) => Reaction::Unsent,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn id(number: u32) -> UniqueId {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        UniqueId(octets)
    }

    fn nas(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
    }

    fn noon() -> Now {
        use crate::time::{Clock as _, SystemClock};
        Now { instant: SystemClock.now().instant, unix: UnixTime(1_750_000_000) }
    }

    const VITAL: Want = Want::Change { vital: true, profile: 1 };
    const MINOR: Want = Want::Change { vital: false, profile: 1 };

    fn nak(cause: u32) -> Outcome {
        Outcome::Nak { error_cause: Some(cause) }
    }

    /// Lets a session with one `want` meet `answers`, one after the other; gives the rungs and steps.
    fn ladder(want: Want, answers: &[Outcome]) -> Vec<(Rung, Step)> {
        let mut agenda = Agenda::new(Settings::default());
        let mut now = noon();
        agenda.want(id(1), nas(1), want);
        let mut steps = Vec::new();
        for answer in answers {
            let turn = loop {
                if let Some(turn) = agenda.next_turn(now) {
                    break turn;
                }
                let due = agenda.next_deadline(now.instant).expect("it has another turn");
                now = now.plus(due.duration_since(now.instant).max(Duration::from_millis(1)));
            };
            let step = agenda.outcome(id(1), turn.rung, *answer, now).unwrap();
            steps.push((turn.rung, step));
        }
        steps
    }

    #[test]
    fn an_ack_confirms_a_change_and_promises_an_end() {
        assert_eq!(ladder(VITAL, &[Outcome::Ack]), [(Rung::Change, Step::Confirmed)]);
        assert_eq!(ladder(VITAL, &[nak(507)]), [(Rung::Change, Step::Confirmed)]);
        assert_eq!(ladder(Want::End, &[Outcome::Ack]), [(Rung::Disconnect, Step::Ending)]);
    }

    #[test]
    fn rfc5176_3_5_each_error_cause_has_its_step() {
        for cause in [401, 402, 403, 404, 405, 406, 407, 501, 508, 509, 999] {
            let steps = ladder(VITAL, &[nak(cause), Outcome::Ack]);
            assert_eq!(steps, [(Rung::Change, Step::NextRung), (Rung::Disconnect, Step::Ending)], "{cause}");
            assert_eq!(ladder(MINOR, &[nak(cause)]), [(Rung::Change, Step::LeftAlone)], "{cause}");
            assert_eq!(ladder(Want::End, &[nak(cause)]), [(Rung::Disconnect, Step::Flagged)], "{cause}");
        }
        let nothing = Outcome::Nak { error_cause: None };
        assert_eq!(ladder(VITAL, &[nothing]), [(Rung::Change, Step::NextRung)]);
        for want in [VITAL, MINOR, Want::End] {
            assert_eq!(ladder(want, &[nak(503)])[0].1, Step::Gone);
        }
        for later in [nak(502), nak(504), nak(505), nak(506), Outcome::TimedOut] {
            let steps: Vec<_> = ladder(VITAL, &[later; 6]).into_iter().map(|(_, step)| step).collect();
            let expected =
                [Step::Again, Step::Again, Step::NextRung, Step::Again, Step::Again, Step::Flagged];
            assert_eq!(steps, expected, "{later:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_not_forgotten() {
        let full = Outcome::NotSent(NotSent::Full);
        let steps = ladder(Want::End, &[full; 20]);
        assert!(steps.iter().all(|step| *step == (Rung::Disconnect, Step::Again)), "it never counts");
        let unsayable = Outcome::NotSent(NotSent::BadAttribute);
        assert_eq!(ladder(VITAL, &[unsayable])[0].1, Step::NextRung);
        assert_eq!(ladder(MINOR, &[unsayable])[0].1, Step::LeftAlone);
        assert_eq!(ladder(VITAL, &[Outcome::NotSent(NotSent::NoNas)])[0].1, Step::Flagged);
        assert_eq!(ladder(VITAL, &[Outcome::NotSent(NotSent::NoSession)])[0].1, Step::Gone);
    }

    #[test]
    fn a_flagged_session_is_tried_again_rarely_and_its_flag_goes_with_success() {
        let mut agenda = Agenda::new(Settings::default());
        let mut now = noon();
        agenda.want(id(1), nas(1), Want::End);
        for round in 0..5 {
            assert_eq!(agenda.next_turn(now).map(|turn| turn.rung), Some(Rung::Disconnect));
            assert_eq!(agenda.outcome(id(1), Rung::Disconnect, nak(501), now), Some(Step::Flagged));
            assert_eq!(agenda.counts(), Counts { waiting: 1, flagged: 1, ..Counts::default() }, "{round}");
            assert_eq!(agenda.next_turn(now.plus(Duration::from_mins(14))), None);
            now = now.plus(Duration::from_mins(15));
        }
        agenda.next_turn(now).unwrap();
        assert_eq!(agenda.outcome(id(1), Rung::Disconnect, Outcome::Ack, now), Some(Step::Ending));
        assert!(agenda.settled(id(1)), "it was flagged");
        assert_eq!(agenda.counts(), Counts::default());
        assert!(!agenda.settled(id(1)));
    }

    #[test]
    fn an_end_that_was_promised_and_does_not_come_is_asked_for_again() {
        let mut agenda = Agenda::new(Settings::default());
        let mut now = noon();
        agenda.want(id(1), nas(1), Want::End);
        agenda.next_turn(now).unwrap();
        agenda.outcome(id(1), Rung::Disconnect, Outcome::Ack, now);
        let acknowledged = Some(now.unix);
        assert_eq!(agenda.next_turn(now.plus(Duration::from_secs(59))), None);
        now = now.plus(Duration::from_mins(1));
        assert_eq!(
            agenda.next_turn(now),
            Some(Turn { session: id(1), rung: Rung::Disconnect, acknowledged })
        );
        // It has shown no life: nobody is asked.
        agenda.wait(id(1), now);
        assert_eq!(agenda.next_turn(now.plus(Duration::from_mins(14))), None);
        assert!(agenda.next_turn(now.plus(Duration::from_mins(15))).is_some());
    }

    #[test]
    fn another_wish_begins_the_ladder_anew() {
        let mut agenda = Agenda::new(Settings::default());
        let now = noon();
        agenda.want(id(1), nas(1), VITAL);
        agenda.next_turn(now).unwrap();
        agenda.outcome(id(1), Rung::Change, nak(401), now);
        // Said again: it goes on where it was.
        agenda.want(id(1), nas(1), VITAL);
        assert_eq!(agenda.next_turn(now).unwrap().rung, Rung::Disconnect);
        // While it is asked: the answer is to the old question, and the new one is asked next.
        agenda.want(id(1), nas(1), Want::Change { vital: true, profile: 2 });
        assert_eq!(agenda.next_turn(now), None);
        assert_eq!(agenda.outcome(id(1), Rung::Disconnect, nak(501), now), None);
        assert_eq!(agenda.next_turn(now).unwrap().rung, Rung::Change);
        // A bar goes before everything.
        agenda.want(id(2), nas(1), VITAL);
        agenda.want(id(3), nas(1), Want::End);
        assert_eq!(agenda.next_turn(now).unwrap().session, id(3));
        // What was settled while it was asked has no outcome.
        agenda.settled(id(3));
        assert_eq!(agenda.outcome(id(3), Rung::Disconnect, Outcome::Ack, now), None);
        assert_eq!(agenda.counts().asked, 1);
    }

    /// A reset at midnight: 20,000 sessions of 20 NASes want another rate in one moment. Every NAS takes
    /// 100 ms to answer, and one of them is silent.
    #[test]
    fn a_reset_at_midnight_is_a_stream() {
        let settings = Settings::default();
        let mut agenda = Agenda::new(settings.clone());
        let mut now = noon();
        let begun = now;
        for session in 0..20_000 {
            agenda.want(id(session), nas(session % 20), VITAL);
        }
        let mut answers: VecDeque<(Instant, Turn)> = VecDeque::new();
        let mut begun_at: Vec<(Instant, u32)> = Vec::new();
        let (mut outstanding_max, mut confirmed) = (0, 0);
        while confirmed < 19_000 {
            while let Some(turn) = agenda.next_turn(now) {
                let number = u32::from_be_bytes(turn.session.0[..4].try_into().unwrap());
                begun_at.push((now.instant, number % 20));
                if number % 20 != 7 {
                    answers.push_back((now.instant + Duration::from_millis(100), turn));
                }
            }
            outstanding_max = outstanding_max.max(agenda.counts().asked);
            let answer = answers.front().map(|(at, _)| *at);
            let next = agenda.next_deadline(now.instant).into_iter().chain(answer).min().unwrap();
            now = now.plus(next.saturating_duration_since(now.instant).max(Duration::from_micros(1)));
            while let Some((_, turn)) = answers.pop_front_if(|(at, _)| *at <= now.instant) {
                assert_eq!(agenda.outcome(turn.session, turn.rung, Outcome::Ack, now), Some(Step::Confirmed));
                confirmed += 1;
            }
        }
        let took = now.instant - begun.instant;
        println!("20,000 sessions took {took:?}, {outstanding_max} outstanding at most");
        assert!(took >= Duration::from_secs(37) && took <= Duration::from_secs(60), "{took:?}");
        assert_eq!(agenda.counts().asked, settings.outstanding_per_nas, "the silent one holds up no other");
        // In no second more than the pace and a burst, of all and of each.
        for nas in (0..20).map(Some).chain([None]) {
            let mut window = VecDeque::new();
            let most = nas.map_or(settings.per_second, |_| settings.per_nas_per_second);
            for (at, _) in begun_at.iter().filter(|(_, of)| nas.is_none_or(|nas| nas == *of)) {
                window.push_back(*at);
                while window.front().is_some_and(|first| *at - *first >= Duration::from_secs(1)) {
                    window.pop_front();
                }
                let burst = most / Pace::BURST_SHARE;
                assert!(window.len() <= (most + burst) as usize, "{nas:?}: {}", window.len());
            }
        }
    }

    #[test]
    fn a_change_that_can_wait_is_asked_for_once() {
        let mut agenda = Agenda::new(Settings::default());
        let now = noon();
        agenda.want(id(1), nas(1), MINOR);
        agenda.next_turn(now).unwrap();
        assert_eq!(agenda.outcome(id(1), Rung::Change, nak(401), now), Some(Step::LeftAlone));
        agenda.want(id(1), nas(1), MINOR);
        assert_eq!(agenda.next_turn(now.plus(Duration::from_hours(1))), None);
        assert_eq!((agenda.len(), agenda.counts()), (1, Counts::default()));
        agenda.want(id(1), nas(1), VITAL);
        assert_eq!(agenda.next_turn(now).unwrap().rung, Rung::Change);
        // When its turn comes it may want its end.
        assert_eq!(agenda.now_wants(id(1), Want::End), Some(Rung::Disconnect));
        assert_eq!(agenda.outcome(id(1), Rung::Disconnect, nak(501), now), Some(Step::Flagged));
        assert_eq!(agenda.flagged_by_nas(), [(nas(1), 1)]);
        agenda.settled(id(1));
        assert!(agenda.is_empty() && agenda.flagged_by_nas().is_empty());
        assert_eq!(agenda.now_wants(id(1), VITAL), None);
    }

    #[test]
    fn nothing_is_left_behind() {
        let mut agenda = Agenda::new(Settings::default());
        let mut now = noon();
        for session in 0..1_000 {
            agenda.want(id(session), nas(session), if session % 2 == 0 { VITAL } else { Want::End });
        }
        for session in 500..1_000 {
            agenda.settled(id(session));
        }
        while agenda.counts() != Counts::default() {
            while let Some(turn) = agenda.next_turn(now) {
                if agenda.outcome(turn.session, turn.rung, Outcome::Ack, now) == Some(Step::Ending) {
                    agenda.settled(turn.session);
                }
            }
            now = now.plus(Duration::from_millis(10));
        }
        assert!(agenda.cases.is_empty() && agenda.timers.is_empty());
        assert_eq!((agenda.outstanding, agenda.flagged), (0, 0));
    }
}
