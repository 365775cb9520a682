//! Holds running sessions to what their subscriber's policy says now (DESIGN §1, promise 7).
//!
//! A subscriber is looked at when something may have changed: a record of what is measured, a row that the
//! change feed tells of, a date that has come ([`State::reap`]), a start of the server. Looking compares,
//! under the subscriber's lock and by the one function that logins use, what each open session ought to
//! have with what it has been given. Where they differ, [`Agenda`] says when its NAS is asked for what;
//! when its turn comes it is looked at once more, and that is what is sent.
//!
//! Locks: the desk is taken under a subscriber's lock, never the other way round.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};
use tokio::sync::{Notify, oneshot};

use super::coa::Coa;
use super::directory::{Known, Lookup};
use super::state::State;
use super::table::Owner;
use crate::coa::agenda::{Agenda, Counts, Rung, Settings, Step, Turn, Want};
use crate::domain::dynamic_auth::{NotSent, Order, Outcome};
use crate::domain::{Difference, Granted, Nas, RejectReason, Session, UniqueId};
use crate::engine::policy::{Attempt, AuthType};
use crate::engine::{Denial, Standing, authorize};
use crate::packs::{CannotChange, Kind, Kinds, Past, Profile};
use crate::radius::ReplyAttributes;
use crate::radius::attribute;
use crate::radius::value::{self, Encoded};
use crate::sessions::{Device, SubscriberSessions};
use crate::store::StoreError;
use crate::telemetry::names;
use crate::time::{Now, UnixTime};

/// What `/health` calls it.
const COMPONENT: &str = "reconciler";
/// How long rows must have been quiet before a session is changed for them: tools write a user in several
/// steps. What bars a subscriber is acted on at once.
const SETTLE: Duration = Duration::from_secs(1);
/// Subscribers that are looked at in one go.
const LOOKS: usize = 256;
/// Orders that are given in one go.
const TURNS: usize = 256;
/// The longest pause; the clock of the cases may have been moved.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Seconds between two looks at a subscriber whose rows compare: a comparison with the time of day says
/// nothing of when it will have another result.
const CONDITIONS_EVERY: u64 = 60;
/// Seconds by which the last record of a session may be later than the Disconnect-ACK and still be no
/// sign of life.
const LAST_WORDS: u64 = 5;
/// How long a login waits for the session that gives way to it: less than a NAS waits for its answer.
const WAY_PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody else asks that session, while a login waits for it.
pub(super) const WAY_MAX: Duration = Duration::from_secs(5);
/// How long a session is left in peace whose NAS would not end it.
const WAY_REFUSED: Duration = Duration::from_mins(1);
const _: () = assert!(WAY_PATIENCE.as_secs() < WAY_MAX.as_secs());
/// What `tk_coa.queued_by` says of a session that ends for another one.
const REPLACE_OLDEST: SmolStr = SmolStr::new_static("concurrency: replace-oldest");
pub(super) const SAME_DEVICE: SmolStr = SmolStr::new_static("concurrency: same-device");
/// NASes that `/health` names.
const NAMED_MAX: usize = 3;

/// The work that waits.
pub(super) struct Reconciler {
    desk: Mutex<Desk>,
    changed: Notify,
    /// Cases of the agenda, so that a session that ends without one costs nothing.
    cases: AtomicUsize,
}

struct Desk {
    agenda: Agenda,
    due: Owners,
    settling: VecDeque<(Instant, Owner)>,
    /// Sessions that are to end for another one, beside the pace: a login waits, or a device has moved on.
    ends: Vec<End>,
}

/// A session that is to end for another one.
struct End {
    session: UniqueId,
    by: SmolStr,
    told: Option<oneshot::Sender<Outcome>>,
}

/// Whose sessions are to be looked at, in order, each once.
#[derive(Default)]
struct Owners {
    order: VecDeque<Owner>,
    known: HashSet<Owner>,
}

/// How a session stands.
enum View {
    /// It cannot be judged.
    Unknown,
    /// It has what it should.
    Held(Granted),
    /// It should not be.
    Barred(Denial),
    /// It should have something else; with the Acct-Interim-Interval that it ought to have, seconds.
    Differs(Granted, Difference, u32),
}

/// What a NAS is asked for at the turn of a session.
struct Request {
    session: UniqueId,
    rung: Rung,
    order: Order,
    by: SmolStr,
    /// What the session has once it is acknowledged.
    gives: Option<Granted>,
}

/// The rows that made somebody look may not be all there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Settled,
    Moving,
}

impl Owners {
    fn push(&mut self, owner: &Owner) {
        if self.known.insert(owner.clone()) {
            self.order.push_back(owner.clone());
        }
    }

    fn take(&mut self, most: usize) -> Vec<Owner> {
        let taken: Vec<_> = self.order.drain(..most.min(self.order.len())).collect();
        for owner in &taken {
            self.known.remove(owner);
        }
        taken
    }
}

impl Reconciler {
    pub(super) fn new(settings: Settings) -> Self {
        let desk = Desk {
            agenda: Agenda::new(settings),
            due: Owners::default(),
            settling: VecDeque::new(),
            ends: Vec::new(),
        };
        Self { desk: Mutex::new(desk), changed: Notify::new(), cases: AtomicUsize::new(0) }
    }

    /// The sessions of an owner are to be looked at.
    pub(super) fn look_at(&self, owner: &Owner) {
        self.desk.lock().due.push(owner);
        self.changed.notify_one();
    }

    /// A session is over, or has what it should. Was it flagged?
    pub(super) fn settled(&self, session: UniqueId) -> bool {
        if self.cases.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.at_agenda(|agenda| agenda.settled(session))
    }

    /// Has a session ended for another one; somebody may wait for what comes of it. The logins that wait
    /// are bounded, and so are the records that close an older session.
    pub(super) fn end(&self, session: UniqueId, by: SmolStr, told: Option<oneshot::Sender<Outcome>>) {
        self.desk.lock().ends.push(End { session, by, told });
        self.changed.notify_one();
    }

    fn want(&self, session: &Session, want: Want) {
        self.at_agenda(|agenda| agenda.want(session.unique_id, session.nas.source, want));
        self.changed.notify_one();
    }

    fn at_agenda<T>(&self, act: impl FnOnce(&mut Agenda) -> T) -> T {
        let mut desk = self.desk.lock();
        let result = act(&mut desk.agenda);
        self.cases.store(desk.agenda.len(), Ordering::Relaxed);
        result
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconciler")
    }
}

/// Works until the state is gone.
pub(super) async fn run(weak: Weak<State>, coa: Coa) {
    let mut told = None;
    while let Some(state) = weak.upgrade() {
        let pause = match state.look_at_due().await {
            Ok(true) => Duration::ZERO,
            Ok(false) => state.give_turns(&weak, &coa),
            Err(error) => {
                tracing::debug!(%error, "running sessions are not looked at; trying again");
                state.give_turns(&weak, &coa);
                SETTLE
            }
        };
        state.tell(&mut told);
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            // An hour or a moment: a new wish ends the pause.
            let _ = tokio::time::timeout(pause, state.reconciler.changed.notified()).await;
        }
    }
}

impl State {
    /// Looks at some of the owners whose turn it is; `true` if there may be more. Rows that are not in
    /// memory are read first.
    async fn look_at_due(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let due = {
            let mut desk = self.reconciler.desk.lock();
            while let Some((_, owner)) = desk.settling.pop_front_if(|(at, _)| *at <= now.instant) {
                desk.due.push(&owner);
            }
            desk.due.take(LOOKS)
        };
        let online = |owner: &&Owner| self.table.contains(owner);
        let (mut numbers, mut logins) = (Vec::new(), BTreeSet::new());
        for owner in due.iter().filter(online) {
            if matches!(self.directory.lookup_owner(owner, now.instant), Lookup::NotLoaded) {
                match owner {
                    Owner::Subscriber(subscriber) => numbers.push(*subscriber),
                    Owner::Login(login) => drop(logins.insert(login.clone())),
                }
            }
        }
        let missing = !numbers.is_empty() || !logins.is_empty();
        let loaded = if missing { self.load_subscribers(&numbers, logins).await } else { Ok(()) };
        for owner in due.iter().filter(online) {
            match self.directory.lookup_owner(owner, now.instant) {
                Lookup::Known(known) => self.look(&known.owner(), Some(&known), Rows::Settled),
                Lookup::Absent => self.look(owner, None, Rows::Settled),
                Lookup::NotLoaded => self.reconciler.look_at(owner),
            }
        }
        loaded?;
        Ok(due.len() == LOOKS)
    }

    /// Looks at an owner whose rows were written a moment ago and are in memory.
    pub(super) fn look_at_moving(&self, owner: &Owner) {
        match self.directory.lookup_owner(owner, self.clock.now().instant) {
            Lookup::Known(known) => self.look(&known.owner(), Some(&known), Rows::Moving),
            Lookup::Absent => self.look(owner, None, Rows::Moving),
            Lookup::NotLoaded if !self.table.contains(owner) => {}
            // Who had the login that was written is gone.
            Lookup::NotLoaded => self.settle(owner),
        }
    }

    /// Has an owner looked at once its rows have been quiet.
    fn settle(&self, owner: &Owner) {
        let at = self.clock.now().instant + SETTLE;
        self.reconciler.desk.lock().settling.push_back((at, owner.clone()));
    }

    fn look(&self, owner: &Owner, known: Option<&Known>, rows: Rows) {
        let nobodys = known.map(|known| Owner::Login(known.policy.login.clone()));
        if !self.table.contains(owner) && !nobodys.is_some_and(|login| self.table.contains(&login)) {
            return;
        }
        let now = self.clock.now();
        self.with_sessions(owner, known, now, |sessions| self.look_within(owner, known, sessions, rows, now));
    }

    /// Compares what every open session of an owner has been given with what it should have now. Under the
    /// lock of `owner`, whose sessions `known` has claimed.
    pub(super) fn look_within(
        &self,
        owner: &Owner,
        known: Option<&Known>,
        sessions: &mut SubscriberSessions,
        rows: Rows,
        now: Now,
    ) {
        let open_ones = |sessions: &SubscriberSessions| -> SmallVec<[Session; 1]> {
            sessions.sessions().filter(Session::is_open).collect()
        };
        let mut open = open_ones(sessions);
        if let Some(known) = known
            && open.iter().any(|session| session.user_name != known.policy.login)
        {
            // The next record does it, if there is no room now.
            let _ = self.keep(owner, sessions.rename(&known.policy.login));
            open = open_ones(sessions);
        }
        let (mut review, mut again) = (None, false);
        for session in &open {
            let (view, until) = self.view(known, sessions, session, now);
            review = match (review, until) {
                (Some(one), Some(other)) => Some(UnixTime::min(one, other)),
                (one, other) => one.or(other),
            };
            match view {
                View::Unknown => {}
                View::Held(granted) => {
                    if sessions.has_given_way(session.unique_id).is_some() {
                        // The login for which it gave way did not come about, or has ended.
                        sessions.takes_back(session.unique_id);
                    }
                    if session.details.granted.is_empty() {
                        sessions.grant(session.unique_id, granted.to_text());
                    }
                    if self.reconciler.settled(session.unique_id) || session.flags.unenforced {
                        let change = sessions.flag_unenforced(session.unique_id, false);
                        // The next record writes it, if there is no room now.
                        let _ = self.keep(owner, change);
                    }
                }
                View::Barred(denial) if rows == Rows::Moving && is_soft(denial.reason) => again = true,
                View::Differs(..) if rows == Rows::Moving => again = true,
                View::Barred(_) => self.reconciler.want(session, Want::End),
                View::Differs(wanted, difference, _) => {
                    self.reconciler.want(session, change(&wanted, difference))
                }
            }
        }
        sessions.set_review(review);
        if again {
            self.settle(owner);
        }
    }

    /// How a session stands, and when that may be another answer.
    fn view(
        &self,
        known: Option<&Known>,
        sessions: &SubscriberSessions,
        session: &Session,
        now: Now,
    ) -> (View, Option<UnixTime>) {
        let Some(owner) = session.subscriber else { return (View::Unknown, None) };
        let Some(known) = known.filter(|known| known.policy.id == owner) else {
            let rule = SmolStr::new_static("no subscriber has this login");
            return (View::Barred(Denial { reason: RejectReason::UnknownLogin, rule }), None);
        };
        let settings = &self.settings.engine;
        let subscriber = &known.policy;
        let recalled = if subscriber.is_static() { ReplyAttributes::new() } else { self.recall(session) };
        let attempt =
            Attempt { attributes: recalled.attributes().rest(), source: session.nas.source, recalled: true };
        let policy = subscriber.policy(attempt, settings, now);
        let login = Granted::parse(&session.details.granted).and_then(|granted| granted.login);
        let standing = Standing {
            terms: login.as_deref().copied(),
            sessions: Some(sessions),
            uses: known.uses(),
            session: Some(session.unique_id),
            ..Standing::default()
        };
        let grant = match authorize(subscriber, &policy, standing, settings, now) {
            Ok(grant) => grant,
            Err(denial) => return (View::Barred(denial), None),
        };
        let until = if subscriber.is_static() {
            grant.until
        } else {
            let next = now.unix.plus(CONDITIONS_EVERY);
            Some(grant.until.map_or(next, |until| until.min(next)))
        };
        if let Some(gone_by) = sessions.has_given_way(session.unique_id) {
            let left = gone_by.saturating_duration_since(now.instant);
            if !left.is_zero() {
                return (View::Unknown, Some(now.unix.plus(left.as_secs() + 1)));
            }
            if let Some((limit, rule)) = &policy.limits.simultaneous_use
                && sessions.occupancy(&Device::Unknown, now).taken >= *limit
            {
                let denial = Denial { reason: RejectReason::MaxConcurrent, rule: rule.clone() };
                return (View::Barred(denial), until);
            }
        }
        if policy.doubtful {
            return (View::Unknown, until);
        }
        let accepts = matches!(policy.limits.auth_type, Some((AuthType::Accept, _)));
        if policy.passwords.is_empty() && !accepts {
            let rule = SmolStr::new_static("no password is stored");
            return (View::Barred(Denial { reason: RejectReason::MethodNotServable, rule }), until);
        }
        let wanted = grant.granted(now.unix);
        let Some(confirmed) = Granted::parse(&session.details.granted) else {
            // Whoever accepted it: it is taken to have had this from the beginning.
            return (View::Held(wanted), until);
        };
        let used = session.total();
        let difference = wanted.differs_from(&confirmed, (used.output, used.input));
        let view = if difference.is_none() {
            View::Held(wanted)
        } else {
            View::Differs(wanted, difference, grant.interim_interval)
        };
        (view, until)
    }

    /// Asks the oldest session to give its place to a login that waits, no longer than [`WAY_PATIENCE`].
    /// Where its NAS says no, it keeps it. Where nobody says anything, nobody is there to have the place:
    /// the login gets it, and the session is asked to end until it does.
    pub(super) async fn give_way(&self, session: UniqueId) {
        let (told, outcome) = oneshot::channel();
        self.reconciler.end(session, REPLACE_OLDEST, Some(told));
        let outcome = match tokio::time::timeout(WAY_PATIENCE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Outcome::TimedOut,
        };
        let now = self.clock.now();
        let passed = match outcome {
            _ if outcome.is_success() => true,
            Outcome::TimedOut | Outcome::NotSent(NotSent::NoSession) => true,
            Outcome::Nak { .. } | Outcome::Ack | Outcome::NotSent(_) => false,
        };
        self.with_session(session, |owner, sessions| {
            let patience = match passed {
                true if outcome.is_success() => self.settings.enforcement.stop_patience,
                true => WAY_MAX,
                false => WAY_REFUSED,
            };
            sessions.gives_way(session, passed, now.instant + patience);
            self.reconciler.look_at(owner);
        });
    }

    /// What accounting has told of the attributes of a session's login.
    fn recall(&self, session: &Session) -> ReplyAttributes {
        let mut recalled = ReplyAttributes::new();
        let mut text = |number: u8, value: &str| {
            if !value.is_empty() {
                recalled.push(number, &crate::domain::text::octets_from_text(value));
            }
        };
        text(attribute::USER_NAME, &session.user_name);
        text(attribute::NAS_IDENTIFIER, &session.nas.identifier);
        text(attribute::CALLING_STATION_ID, &session.calling_station_id);
        text(attribute::CALLED_STATION_ID, &session.called_station_id);
        match session.nas.address {
            Some(std::net::IpAddr::V4(v4)) => recalled.push(attribute::NAS_IP_ADDRESS, &v4.octets()),
            Some(std::net::IpAddr::V6(v6)) => recalled.push(attribute::NAS_IPV6_ADDRESS, &v6.octets()),
            None => {}
        }
        let details = &session.details;
        let port = if session.nas_port_id.bytes().all(|octet| octet.is_ascii_digit()) {
            "NAS-Port"
        } else {
            "NAS-Port-Id"
        };
        for (name, value) in [
            (port, &session.nas_port_id),
            ("NAS-Port-Type", &details.nas_port_type),
            ("Service-Type", &details.service_type),
            ("Framed-Protocol", &details.framed_protocol),
        ] {
            if let Some(definition) = self.dictionary.attribute(name).filter(|_| !value.is_empty())
                && let Ok(Encoded::Wire(wire)) = value::encode(definition, None, value, &self.dictionary)
            {
                recalled.push_wire(&wire);
            }
        }
        recalled
    }

    /// Gives the orders that the pace allows, and says how long there will be nothing to do.
    fn give_turns(&self, weak: &Weak<Self>, coa: &Coa) -> Duration {
        let ends = std::mem::take(&mut self.reconciler.desk.lock().ends);
        for End { session, by, told } in ends {
            let coa = coa.clone();
            tokio::spawn(async move {
                let outcome = coa.enforce(session, Order::Disconnect, by).await;
                if let Some(told) = told {
                    // Whoever waited may have gone on.
                    let _ = told.send(outcome);
                }
            });
        }
        for _ in 0..TURNS {
            let now = self.clock.now();
            let Some(turn) = self.reconciler.at_agenda(|agenda| agenda.next_turn(now)) else {
                let desk = self.reconciler.desk.lock();
                let settling = desk.settling.front().map(|(at, _)| *at);
                let next = desk.agenda.next_deadline(now.instant).into_iter().chain(settling).min();
                let pause = next.map_or(PAUSE_MAX, |next| next.saturating_duration_since(now.instant));
                return pause.clamp(Duration::from_millis(1), PAUSE_MAX);
            };
            let Some(request) = self.request(turn, now) else { continue };
            let (weak, coa) = (Weak::clone(weak), coa.clone());
            tokio::spawn(async move {
                let Request { session, rung, order, by, gives } = request;
                let outcome = coa.enforce(session, order, by).await;
                // Gone with the service: the next start looks at every session.
                if let Some(state) = weak.upgrade() {
                    state.concluded(session, rung, gives, outcome);
                }
            });
        }
        Duration::ZERO
    }

    /// What the NAS of a session is asked for now that its turn has come; nothing if there is nothing to
    /// ask.
    fn request(&self, turn: Turn, now: Now) -> Option<Request> {
        let id = turn.session;
        for owner in self.index.owners_of(&id) {
            let known = match self.directory.lookup_owner(&owner, now.instant) {
                Lookup::Known(known) => Some(known),
                Lookup::Absent => None,
                Lookup::NotLoaded => {
                    self.reconciler.look_at(&owner);
                    let busy = Outcome::NotSent(NotSent::Full);
                    self.reconciler.at_agenda(|agenda| agenda.outcome(id, turn.rung, busy, now));
                    return None;
                }
            };
            let Some(entry) = self.table.get(&owner) else { continue };
            let Some(session) = entry.session(id).filter(Session::is_open) else { continue };
            let (view, _) = self.view(known.as_deref(), &entry, &session, now);
            drop(entry);
            return self.request_for(turn, &session, view, now);
        }
        self.reconciler.settled(id);
        None
    }

    fn request_for(&self, turn: Turn, session: &Session, view: View, now: Now) -> Option<Request> {
        let id = turn.session;
        let disconnect = |by: SmolStr| {
            let (rung, order, gives) = (Rung::Disconnect, Order::Disconnect, None);
            Some(Request { session: id, rung, order, by, gives })
        };
        let shows_no_life = turn.acknowledged.is_some_and(|at| session.updated <= at.plus(LAST_WORDS));
        match view {
            View::Unknown | View::Held(_) => {
                if self.reconciler.settled(id) {
                    self.flag(id, false);
                }
                None
            }
            View::Barred(_) | View::Differs(..) if shows_no_life => {
                self.reconciler.at_agenda(|agenda| agenda.wait(id, now));
                None
            }
            View::Barred(denial) => {
                self.reconciler.at_agenda(|agenda| agenda.now_wants(id, Want::End));
                disconnect(format_smolstr!("policy: {}", denial.reason.key()))
            }
            View::Differs(wanted, difference, interim_interval) => {
                let want = change(&wanted, difference);
                match self.reconciler.at_agenda(|agenda| agenda.now_wants(id, want))? {
                    Rung::Disconnect => disconnect(SmolStr::new_static("policy: profile")),
                    Rung::Change => self.change_request(session, &wanted, interim_interval, now),
                }
            }
        }
    }

    /// The CoA-Request that gives a session what is `wanted`; none if its NAS cannot be told, or nothing
    /// of it.
    fn change_request(
        &self,
        session: &Session,
        wanted: &Granted,
        interim_interval: u32,
        now: Now,
    ) -> Option<Request> {
        let id = session.unique_id;
        let confirmed = Granted::parse(&session.details.granted).unwrap_or_default();
        let unsent = match super::coa::Sessions::nas(self, session) {
            None => NotSent::NoNas,
            Some(nas) => match self.lines(&nas, session, &confirmed, (wanted, interim_interval), now) {
                Ok((lines, gives)) if lines.is_empty() => {
                    self.concluded(id, Rung::Change, Some(gives), Outcome::Ack);
                    return None;
                }
                Ok((lines, gives)) => {
                    return Some(Request {
                        session: id,
                        rung: Rung::Change,
                        order: Order::ChangeOfAuthorization(lines),
                        by: SmolStr::new_static("policy: profile"),
                        gives: Some(gives),
                    });
                }
                Err(_) => NotSent::BadAttribute,
            },
        };
        self.concluded(id, Rung::Change, None, Outcome::NotSent(unsent));
        None
    }

    /// Notes what came of asking.
    fn concluded(&self, session: UniqueId, rung: Rung, gives: Option<Granted>, outcome: Outcome) {
        let now = self.clock.now();
        if let Some(granted) = gives.filter(|_| outcome.is_success()) {
            self.with_session(session, |owner, sessions| {
                if sessions.grant(session, granted.to_text()) {
                    // Without room the next record writes it.
                    let _ = self.keep(owner, sessions.row(session));
                }
            });
        }
        let step = self.reconciler.at_agenda(|agenda| agenda.outcome(session, rung, outcome, now));
        self.reconciler.changed.notify_one();
        let Some(step) = step else { return };
        metrics::counter!(names::RECONCILER_STEPS, "step" => step_name(step)).increment(1);
        match step {
            Step::Flagged => {
                let session = session.to_text();
                tracing::warn!(%session, outcome = outcome.as_str(), "a session is not what its policy says");
            }
            Step::Confirmed | Step::Ending | Step::Gone | Step::Again | Step::NextRung | Step::LeftAlone => {}
        }
        if matches!(step, Step::Flagged | Step::Confirmed) {
            self.flag(session, step == Step::Flagged);
        }
    }

    fn flag(&self, session: UniqueId, unenforced: bool) {
        self.with_session(session, |owner, sessions| {
            let _ = self.keep(owner, sessions.flag_unenforced(session, unenforced));
        });
    }

    /// Runs `act` under the lock of the owner of this session.
    fn with_session(&self, session: UniqueId, act: impl FnOnce(&Owner, &mut SubscriberSessions)) {
        for owner in self.index.owners_of(&session) {
            if let Some(mut entry) = self.table.get_mut(&owner)
                && entry.has(session)
            {
                act(&owner, &mut entry);
                return;
            }
        }
    }

    /// The attributes that make the session conform, in the words of its NAS, and what it has then; no
    /// attributes if there is nothing that it could be told.
    fn lines(
        &self,
        nas: &Nas,
        session: &Session,
        confirmed: &Granted,
        (wanted, interim_interval): (&Granted, u32),
        now: Now,
    ) -> Result<(Vec<SmolStr>, Granted), CannotChange> {
        let pack = self.packs.get(nas.pack);
        let profile = |granted: &Granted| Profile {
            rate: granted.rate,
            volume: granted.volume,
            redirect: granted.redirect.clone(),
            session_timeout: granted
                .ends
                .map(|ends| u32::try_from(ends.since(session.started)).unwrap_or(u32::MAX)),
            interim_interval,
            rows: Cow::Owned(granted.rows.to_vec()),
        };
        let kinds = pack.differences(&profile(confirmed), &profile(wanted));
        let used = session.total();
        let past = Past {
            seconds: u32::try_from(now.unix.since(session.started)).unwrap_or(u32::MAX),
            down: used.output,
            up: used.input,
        };
        let change = |kinds| pack.change(&profile(wanted), kinds, past, &self.dictionary);
        match change(kinds) {
            Ok(lines) => Ok((lines, wanted.clone())),
            Err(reason) => {
                // What cannot be told may be what can wait.
                let vital: Kinds = kinds.iter().filter(|kind| is_vital(*kind)).collect();
                if vital.is_empty() || vital == kinds {
                    return Err(reason);
                }
                let Granted { ends, volume, .. } = *confirmed;
                Ok((change(vital)?, Granted { ends, volume, ..wanted.clone() }))
            }
        }
    }

    /// Tells metrics and `/health` how many sessions are not what they should be.
    fn tell(&self, told: &mut Option<Counts>) {
        let (counts, flagged) = {
            let desk = self.reconciler.desk.lock();
            let counts = desk.agenda.counts();
            if *told == Some(counts) {
                return;
            }
            (counts, desk.agenda.flagged_by_nas())
        };
        *told = Some(counts);
        let gauge = |state: &'static str, sessions: usize| {
            let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
            metrics::gauge!(names::RECONCILER_SESSIONS, "state" => state).set(f64::from(sessions));
        };
        gauge("queued", counts.queued);
        gauge("asked", counts.asked);
        gauge("waiting", counts.waiting);
        gauge("flagged", counts.flagged);
        if flagged.is_empty() {
            self.health.ok(COMPONENT);
            return;
        }
        let table = self.nas.load();
        let named = flagged.iter().take(NAMED_MAX).map(|(source, sessions)| {
            let name = table.find(*source).map_or_else(|| SmolStr::new("unknown"), |nas| nas.name.clone());
            format!("{sessions} of {name} ({source})")
        });
        let more = if flagged.len() > NAMED_MAX { " and others" } else { "" };
        let said = format!(
            "{} sessions are not what their policy says, and their NAS does nothing about it: {}{more}",
            counts.flagged,
            named.collect::<Vec<_>>().join(", ")
        );
        self.health.degraded(COMPONENT, &said, self.clock.now().unix);
    }
}

fn change(wanted: &Granted, difference: Difference) -> Want {
    Want::Change { vital: difference.vital, profile: wanted.fingerprint() }
}

/// Does it say what the subscriber may do, and not when the NAS ends the session by itself?
const fn is_vital(kind: Kind) -> bool {
    match kind {
        Kind::Rate | Kind::Redirect | Kind::Other => true,
        Kind::Volume | Kind::SessionTimeout | Kind::IdleTimeout | Kind::InterimInterval => false,
    }
}

/// Could it be that a tool is in the middle of writing the rows?
const fn is_soft(reason: RejectReason) -> bool {
    matches!(reason, RejectReason::UnknownLogin | RejectReason::MethodNotServable)
}

const fn step_name(step: Step) -> &'static str {
    match step {
        Step::Confirmed => "confirmed",
        Step::Ending => "ending",
        Step::Gone => "gone",
        Step::Again => "again",
        Step::NextRung => "next-rung",
        Step::LeftAlone => "left-alone",
        Step::Flagged => "flagged",
    }
}
