//! [`SubscriberSessions`]: one subscriber's sessions, the places held for logins, and usage.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::belonging::{Place, RETRANSMISSION, is_called, is_row_of, place};
use super::device::{Answer, Device, GivesWay, Occupancy, Reservation};
use super::ledger::{Ledger, day_of};
use super::online::Online;
use super::packed::Slot;
use super::settings::Settings;
use crate::domain::session::SessionFlags;
use crate::domain::{
    AccountingRecord, Amount, ClassToken, CloseGuess, Day, NasIdentity, NasReload, RecordStatus, Session,
    SubscriberId, UniqueId, Usage, Write,
};
use crate::time::{Now, UnixTime};

/// What must be known beside a record to judge it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordFacts<'a> {
    /// Primary group of the subscriber, for sessions that begin now. Empty: none.
    pub group: &'a str,
    /// The NAS has sent Gigawords before, in whatever session: its counters have 64 bits.
    pub nas_sends_gigawords: bool,
    /// Event time of the newest Accounting-On or -Off that covers the NAS of the record.
    pub nas_reloaded: Option<UnixTime>,
    /// Another owner's session has the unique id of the record: who had the login before.
    pub id_is_taken: bool,
    /// The record waited in the spool: what came after it may be known already.
    pub spooled: bool,
    /// How the subscriber's usage is parted.
    pub days: Days<'a>,
}

/// How a subscriber's usage is parted into days, and how far back they are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Days<'a> {
    /// The zone whose midnights part them; `None` is that of the settings.
    pub zone: Option<&'a TimeZone>,
    /// How many are kept, where that is more than the settings say.
    pub kept: u16,
}

impl<'a> Days<'a> {
    fn zone(self, settings: &'a Settings) -> &'a TimeZone {
        self.zone.unwrap_or(&settings.zone)
    }

    /// The first day that is kept.
    #[must_use]
    pub fn oldest(self, settings: &Settings, now: Now) -> Day {
        let kept = self.kept.max(settings.usage_days);
        Day(day_of(now.unix, self.zone(settings)).0.saturating_sub(kept.into()).max(0))
    }
}

/// What became of the session that a record speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionChange {
    /// The record taught nothing new. Its row is to be written all the same: if the first commit
    /// failed, the retransmission repairs it.
    #[default]
    Unchanged,
    /// It is new, and open.
    Opened,
    /// It goes on.
    Updated,
    /// It had been closed on a guess and goes on.
    Reopened,
    /// It ended, or is a complete record of one that ended.
    Closed,
}

/// What has to be written because of a record, a deadline or an order.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What became of the session of the record; [`SessionChange::Unchanged`] where there is none.
    pub what: SessionChange,
    /// Whole rows: the record's session first, then others that changed with it.
    pub rows: SmallVec<[Box<Session>; 1]>,
    /// The NAS that served the record's session until now, where another does since.
    pub moved_from: Option<NasIdentity>,
    /// Whose usage it is. `None`: nobody's yet, and `usage` is empty.
    pub subscriber: Option<SubscriberId>,
    /// Buckets that changed, with their whole content.
    pub usage: SmallVec<[(Day, Usage); 2]>,
    /// What was counted because of it, by the day it belongs to.
    pub used: SmallVec<[(Day, Usage); 1]>,
    /// When the record's session last showed life before this record, and what it had used until then;
    /// for one that is new, its beginning.
    pub before: (UnixTime, Usage),
    /// Closed sessions that are no longer kept here: drop them from the indexes.
    pub forgotten: Vec<Session>,
}

impl Change {
    /// The record's session.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.rows.first().map(|row| &**row)
    }

    /// The rows as writes, sessions first.
    #[must_use]
    pub fn into_writes(self) -> SmallVec<[Write; 2]> {
        let mut writes: SmallVec<[Write; 2]> = self.rows.into_iter().map(Write::Session).collect();
        if let Some(subscriber) = self.subscriber {
            writes.extend(self.usage.into_iter().map(|(day, total)| Write::Usage { subscriber, day, total }));
        }
        writes
    }

    /// Nothing has to be written, and nothing was forgotten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.usage.is_empty() && self.forgotten.is_empty()
    }
}

/// How it is known which of two sessions of a device is the newer.
#[derive(Clone, Copy)]
enum Order {
    /// A place was held for this one: it is the newest, whatever the clocks of two NASes make of that.
    Awaited,
    /// By their times.
    Timed {
        /// Its Start may have come late: it may be the older one.
        may_be_late: bool,
        /// It waited in the spool, while others went on.
        spooled: bool,
    },
}

/// What one record did.
struct Taken {
    /// Its session.
    index: usize,
    /// What became of that.
    what: SessionChange,
    /// A place was held for it: its login has just been accepted.
    awaited: bool,
    /// The time in which what the record adds was used.
    window: (UnixTime, UnixTime),
    /// [`Change::moved_from`].
    moved_from: Option<NasIdentity>,
    /// [`Change::before`].
    before: (UnixTime, Usage),
}

/// One subscriber's sessions. Whoever holds it, holds the subscriber's lock; there is none inside.
#[derive(Clone, Debug, Default)]
pub struct SubscriberSessions {
    subscriber: Option<SubscriberId>,
    /// Packed, but for the time of one call.
    sessions: Vec<Slot>,
    reservations: Vec<Reservation>,
    ledger: Ledger,
    review: Option<UnixTime>,
    /// What few subscribers need.
    more: Option<Box<More>>,
}

/// What quotas over long periods, top-ups, charges and sessions that give way need.
#[derive(Clone, Debug)]
struct More {
    /// Usage of earlier days was never read, or is no longer kept.
    known_since: Day,
    /// What was used of top-ups, by their numbers.
    charged: Vec<(i64, u64)>,
    /// What all sessions have cost.
    cost: Amount,
    /// Sessions that are asked to give their place to a newer login.
    giving_way: Vec<GivesWay>,
}

impl Default for More {
    fn default() -> Self {
        Self { known_since: Day(i32::MAX), charged: Vec::new(), cost: Amount::ZERO, giving_way: Vec::new() }
    }
}

/// How many days back the buckets are written again with a record that taught nothing new.
const REPEATED_DAYS: i32 = 2;

impl SubscriberSessions {
    /// The empty state of a subscriber, or of a login that nobody has yet: its usage is counted once
    /// it is claimed.
    #[must_use]
    pub fn new(subscriber: Option<SubscriberId>) -> Self {
        Self { subscriber, ..Self::default() }
    }

    /// Goes on counting from the buckets that SQL holds: [`Day::LIFETIME`] and the recent days. Of two
    /// for one day the larger holds.
    pub fn continue_usage(&mut self, buckets: Vec<(Day, Usage)>) {
        self.ledger.continue_from(buckets);
    }

    /// Usage is known to be complete from this day on, if [`Self::know_since`] has said so.
    #[must_use]
    pub fn known_since(&self) -> Day {
        self.more.as_ref().map_or(Day(i32::MAX), |more| more.known_since)
    }

    /// Says that usage was continued from this day on.
    pub fn know_since(&mut self, day: Day) {
        let more = self.more.get_or_insert_default();
        more.known_since = day.min(more.known_since);
    }

    /// Whose sessions they are.
    #[must_use]
    pub const fn subscriber(&self) -> Option<SubscriberId> {
        self.subscriber
    }

    /// Says whose sessions they are and goes on counting from the buckets that SQL holds; the usage of the
    /// sessions that nobody had counts from now on.
    pub fn claim(
        &mut self,
        subscriber: SubscriberId,
        buckets: Vec<(Day, Usage)>,
        days: Days<'_>,
        settings: &Settings,
        now: Now,
    ) -> Change {
        debug_assert!(
            self.subscriber.is_none_or(|known| known == subscriber),
            "no subscriber's becomes another's"
        );
        self.subscriber = Some(subscriber);
        self.ledger.continue_from(buckets);
        self.count_unclaimed(days, settings, now)
    }

    /// Takes in the sessions of a login that nobody had, and this subscriber has now. Their usage counts from
    /// now on, if it has been claimed.
    pub fn adopt(&mut self, others: Self, days: Days<'_>, settings: &Settings, now: Now) -> Change {
        for slot in others.sessions {
            if self.position(slot.unique_id()).is_none() {
                self.sessions.push(slot);
            }
        }
        self.count_unclaimed(days, settings, now)
    }

    fn count_unclaimed(&mut self, days: Days<'_>, settings: &Settings, now: Now) -> Change {
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        let mut first = None;
        for index in 0..self.sessions.len() {
            let Some(online) = self.sessions.get_mut(index).map(Slot::load) else { break };
            if online.session.subscriber.is_none() && self.subscriber.is_some() {
                online.session.subscriber = self.subscriber;
                let window = (online.session.started, online.session.updated);
                let counted = self.add_usage(index, window, days, settings, now);
                first = earliest(first, counted.iter().map(|(day, _)| *day).min());
                change.used.extend(counted);
                self.push_row(index, &mut change);
            }
        }
        if let Some(first) = first {
            change.usage = self.ledger.since(first);
        }
        self.rest();
        change
    }

    /// The subscriber has this login now: its open sessions go by it, and what their NASes call them is kept
    /// for what is asked of those.
    pub fn rename(&mut self, login: &SmolStr) -> Change {
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        for index in 0..self.sessions.len() {
            let Some(slot) = self.sessions.get_mut(index).filter(|slot| slot.is_open()) else { continue };
            let session = &mut slot.load().session;
            if session.user_name != *login && !session.user_name.is_empty() {
                let former = std::mem::replace(&mut session.user_name, login.clone());
                let known = &mut session.details.nas_user_name;
                if known.is_empty() {
                    *known = former;
                }
                if known == login {
                    *known = SmolStr::default();
                }
                self.push_row(index, &mut change);
            }
        }
        self.rest();
        change
    }

    /// Takes in a session that was read back from SQL, open or closed. One that is known stays. One that
    /// is nobody's becomes this subscriber's, and is counted with its next record.
    pub fn restore(&mut self, mut session: Session, settings: &Settings, now: Now) {
        if self.position(session.unique_id).is_none() {
            session.subscriber = session.subscriber.or(self.subscriber);
            self.push(Online::restored(session, settings, now));
            self.rest();
        }
    }

    /// Every session that is kept, the closed ones too; those that opened first come first. Each is
    /// made when it is asked for: sessions are kept in a denser form.
    pub fn sessions(&self) -> impl Iterator<Item = Session> {
        self.sessions.iter().map(Slot::session)
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.sessions.iter().filter(|slot| slot.is_open()).count()
    }

    /// Notes what a session has been given, as [`crate::domain::Granted::to_text`]. `false` if it is not kept.
    pub fn grant(&mut self, unique_id: UniqueId, granted: SmolStr) -> bool {
        let Some(index) = self.position(unique_id) else { return false };
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.load().session.details.granted = granted;
            slot.pack();
        }
        true
    }

    /// Notes whether a session is what its policy says and its NAS does nothing about it
    /// ([`SessionFlags::unenforced`]). Nothing changes where that is known.
    pub fn flag_unenforced(&mut self, unique_id: UniqueId, unenforced: bool) -> Change {
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        if let Some(index) = self.position(unique_id)
            && let Some(slot) = self.sessions.get_mut(index)
            && slot.session().flags.unenforced != unenforced
        {
            slot.load().session.flags.unenforced = unenforced;
            slot.pack();
            self.push_row(index, &mut change);
        }
        change
    }

    /// The row of a session, to be written as it is.
    #[must_use]
    pub fn row(&self, unique_id: UniqueId) -> Change {
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        if let Some(index) = self.position(unique_id) {
            self.push_row(index, &mut change);
        }
        change
    }

    /// When what the open sessions may do is to be looked at again, though nothing happens to them:
    /// a window ends, a period begins anew. `None` if there is nothing to wait for.
    #[must_use]
    pub const fn review_at(&self) -> Option<UnixTime> {
        self.review
    }

    /// Brings [`Self::review_at`] forward to `at`, if it is later or never.
    pub fn review_by(&mut self, at: UnixTime) {
        self.review = Some(self.review.map_or(at, |review| review.min(at)));
    }

    /// Sets [`Self::review_at`].
    pub const fn set_review(&mut self, at: Option<UnixTime>) {
        self.review = at;
    }

    /// The session with this id, if it is kept.
    #[must_use]
    pub fn session(&self, unique_id: UniqueId) -> Option<Session> {
        self.sessions.get(self.position(unique_id)?).map(Slot::session)
    }

    /// The session that a record is about, if it is known: whose `User-Name` decides who owns it.
    #[must_use]
    pub fn find(&self, record: &AccountingRecord) -> Option<Session> {
        match place(record, &self.sessions) {
            Place::Known(index) => self.sessions.get(index).map(Slot::session),
            Place::Another { .. } | Place::Earlier => None,
        }
    }

    /// The same for a record that names another subscriber: a NAS may rewrite a name in mid-session, but
    /// neither the device nor when it began.
    #[must_use]
    pub fn find_renamed(&self, record: &AccountingRecord) -> Option<Session> {
        self.find(record).filter(|session| {
            let is_other_device = Device::of_station(&record.calling_station_id)
                .is_some_and(|device| !session.calling_station_id.is_empty() && !device.serves(session));
            !is_other_device && record.event_time.plus(RETRANSMISSION) >= session.started
        })
    }

    /// The session whose Acct-Session-Id the record's session has taken over, if there is evidence.
    /// Where the record names another subscriber, apply it there and close this one here
    /// ([`CloseGuess::SessionIdReused`]). Not where ours carries our token: NASes behind one address may
    /// well give the same ids.
    #[must_use]
    pub fn reused_by(&self, record: &AccountingRecord) -> Option<UniqueId> {
        match place(record, &self.sessions) {
            Place::Another { reused } => {
                let reused = self.sessions.get(reused?)?.session();
                reused.token.is_none().then_some(reused.unique_id)
            }
            Place::Known(_) | Place::Earlier => None,
        }
    }

    /// What was used since ever.
    #[must_use]
    pub const fn lifetime(&self) -> Usage {
        self.ledger.lifetime()
    }

    /// What was used on the days that are kept, oldest first.
    #[must_use]
    pub fn days(&self) -> &[(Day, Usage)] {
        self.ledger.days()
    }

    /// What was used from one day on until before another.
    #[must_use]
    pub fn used_within(&self, days: std::ops::Range<Day>) -> Usage {
        self.ledger.within(days)
    }

    /// What is known to have been used of a top-up.
    #[must_use]
    pub fn charged(&self, top_up: i64) -> u64 {
        let charged = self.more.iter().flat_map(|more| &more.charged);
        charged.filter(|(known, _)| *known == top_up).map(|(_, used)| *used).max().unwrap_or(0)
    }

    /// The top-ups of which something is known to have been used, and how much.
    pub fn top_ups(&self) -> impl Iterator<Item = (i64, u64)> {
        self.more.iter().flat_map(|more| more.charged.iter().copied())
    }

    /// Notes how much of a top-up was used, all in all. It never falls.
    pub fn charge(&mut self, top_up: i64, used: u64) {
        let charged = &mut self.more.get_or_insert_default().charged;
        match charged.iter_mut().find(|(known, _)| *known == top_up) {
            Some((_, held)) => *held = used.max(*held),
            None => charged.push((top_up, used)),
        }
    }

    /// The open sessions that are believed to live, each with its last sign of life.
    pub fn alive(&self, now: Now) -> impl Iterator<Item = (UniqueId, UnixTime)> {
        self.sessions
            .iter()
            .filter(move |slot| slot.takes_place(now))
            .map(|slot| (slot.unique_id(), slot.updated()))
    }

    /// What all sessions have cost, the open ones so far.
    #[must_use]
    pub fn cost(&self) -> Amount {
        self.more.as_ref().map_or(Amount::ZERO, |more| more.cost)
    }

    /// Goes on adding to what SQL holds, where that is more than what is known here.
    pub fn continue_cost(&mut self, cost: Amount) {
        if cost > self.cost() {
            self.more.get_or_insert_default().cost = cost;
        }
    }

    /// Rates the session of a change: `rate` gives what is added to its cost, of what all have cost so far.
    /// Its row gets what comes of it. Sessions of another subscriber, who had the login before, are left
    /// alone.
    pub fn rate(&mut self, change: &mut Change, rate: impl FnOnce(&mut Session, Amount) -> Amount) {
        let Some(row) = change.rows.first_mut() else { return };
        let cost = self.cost();
        let Some(slot) = self.position(row.unique_id).and_then(|index| self.sessions.get_mut(index)) else {
            return;
        };
        let session = &mut slot.load().session;
        if self.subscriber.is_some() && session.subscriber == self.subscriber {
            let added = rate(session, cost);
            row.charge.clone_from(&session.charge);
            self.continue_cost(cost.saturating_plus(added));
        }
        self.rest();
    }

    /// Nothing is kept: no session, no reservation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.reservations.is_empty()
    }

    /// Merges one Start, Interim-Update or Stop.
    pub fn apply(
        &mut self,
        record: &AccountingRecord,
        facts: &RecordFacts<'_>,
        settings: &Settings,
        now: Now,
    ) -> Change {
        let mut others: SmallVec<[usize; 4]> = SmallVec::new();
        if let Some(at) = facts.nas_reloaded {
            self.sweep(|nas| *nas == record.nas, at, settings, now, &mut others);
        }
        let Taken { index, what, awaited, window, moved_from, before } = match place(record, &self.sessions) {
            Place::Known(index) => self.merge(index, record, facts, settings, now),
            Place::Another { reused } => {
                others.extend(reused.filter(|index| self.close_reused(*index, settings, now)));
                self.open(record, false, facts, settings, now)
            }
            Place::Earlier => self.open(record, true, facts, settings, now),
        };
        if record.status == RecordStatus::Start || what == SessionChange::Opened {
            let order = if awaited && !facts.spooled {
                Order::Awaited
            } else {
                Order::Timed { may_be_late: what == SessionChange::Opened, spooled: facts.spooled }
            };
            self.replace_same_device(index, order, settings, now, &mut others);
        }
        let subscriber = self.subscriber;
        let mut change = Change { what, moved_from, before, subscriber, ..Change::default() };
        change.used = self.add_usage(index, window, facts.days, settings, now);
        let counted = change.used.iter().map(|(day, _)| *day).min();
        if self.subscriber.is_some() {
            let today = day_of(now.unix, facts.days.zone(settings));
            let repeated = Day(today.0.saturating_sub(REPEATED_DAYS));
            let first = match (counted, what) {
                (Some(first), SessionChange::Unchanged) => Some(first.min(repeated)),
                (None, SessionChange::Unchanged) => Some(repeated),
                (counted, _) => counted,
            };
            change.usage = first.map(|first| self.ledger.since(first)).unwrap_or_default();
        }
        self.push_row(index, &mut change);
        for other in others {
            if other != index {
                self.push_row(other, &mut change);
            }
        }
        self.evict(settings, now, &mut change);
        self.rest();
        change
    }

    /// Closes the sessions of a NAS that rebooted, at their last sign of life. A session that has
    /// shown life since stays open; a repeated Accounting-On finds nothing more to do.
    pub fn nas_rebooted(&mut self, reload: &NasReload, settings: &Settings, now: Now) -> Change {
        let mut closed = SmallVec::new();
        self.sweep(|nas| reload.nas.covers(nas), reload.at, settings, now, &mut closed);
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        for index in closed {
            change.what = SessionChange::Closed;
            self.push_row(index, &mut change);
        }
        self.evict(settings, now, &mut change);
        self.rest();
        change
    }

    /// Closes a session that its NAS has not closed, at its last sign of life. A later one undoes it.
    pub fn close_guess(
        &mut self,
        unique_id: UniqueId,
        guess: CloseGuess,
        settings: &Settings,
        now: Now,
    ) -> Change {
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        if let Some(index) = self.position(unique_id)
            && self.close(index, guess, reopen_after(guess), settings, now)
        {
            change.what = SessionChange::Closed;
            self.push_row(index, &mut change);
            self.evict(settings, now, &mut change);
        }
        self.rest();
        change
    }

    /// Is a session with this id kept?
    #[must_use]
    pub fn has(&self, unique_id: UniqueId) -> bool {
        self.position(unique_id).is_some()
    }

    /// Drops a session whatever its state, for instance when its rows were deleted.
    pub fn forget(&mut self, unique_id: UniqueId) -> Option<Session> {
        let index = self.position(unique_id)?;
        Some(self.sessions.remove(index).session())
    }

    /// The places of Simultaneous-Use as this device sees them. A stale session takes none; what is
    /// the device's own is its own place.
    #[must_use]
    pub fn occupancy(&self, device: &Device, now: Now) -> Occupancy {
        let mut occupancy = Occupancy::default();
        for slot in self.sessions.iter().filter(|slot| slot.takes_place(now)) {
            if device.serves_slot(slot) {
                occupancy.own_place = true;
            } else if self.has_given_way(slot.unique_id()).is_none() {
                occupancy.taken += 1;
                occupancy.may_give_way |= self.may_be_asked(slot.unique_id(), now);
            }
        }
        for reservation in self.reservations.iter().filter(|held| held.until > now.instant) {
            if device.is(&reservation.device) {
                occupancy.own_place = true;
            } else if !self.is_online(&reservation.device, now) {
                // A device that logs in again takes over the place of the session it had.
                occupancy.taken += 1;
            }
        }
        occupancy
    }

    /// What an Accept gave to a device that has not begun its session yet.
    #[must_use]
    pub fn reserved_for(&self, device: &Device, now: Now) -> Option<&str> {
        let held =
            self.reservations.iter().find(|held| held.until > now.instant && device.is(&held.device))?;
        Some(&held.granted)
    }

    /// The session that has run the longest of those of other devices that may be asked to end for a
    /// login of `device`; from now on it is being asked, until `until` at most. It keeps its place
    /// until [`Self::gives_way`] says what became of that, so that no more places are taken than there are.
    pub fn ask_to_give_way(&mut self, device: &Device, until: Instant, now: Now) -> Option<UniqueId> {
        let oldest = self
            .sessions
            .iter()
            .filter(|slot| slot.takes_place(now) && !device.serves_slot(slot))
            .filter(|slot| self.may_be_asked(slot.unique_id(), now))
            .map(Slot::session)
            .min_by_key(|session| (session.started, session.unique_id))?;
        self.note_way(oldest.unique_id, Some(Answer::Awaited(until)));
        Some(oldest.unique_id)
    }

    /// What became of asking a session to give way. `passed`: its place is another's now, though it may
    /// be open still, until `until` at most; otherwise it keeps it, and is not asked again before.
    pub fn gives_way(&mut self, session: UniqueId, passed: bool, until: Instant) {
        if self.position(session).is_some() {
            self.note_way(session, Some(if passed { Answer::Passed(until) } else { Answer::Refused(until) }));
        }
    }

    /// Until when this session has to have ended, if its place has been given to a newer login.
    #[must_use]
    pub fn has_given_way(&self, session: UniqueId) -> Option<Instant> {
        match self.way_of(session) {
            Some(Answer::Passed(until)) => Some(until),
            Some(Answer::Awaited(_) | Answer::Refused(_)) | None => None,
        }
    }

    /// The session has its place again: it was given to a login that did not come about.
    pub fn takes_back(&mut self, session: UniqueId) {
        self.note_way(session, None);
    }

    fn may_be_asked(&self, session: UniqueId, now: Now) -> bool {
        match self.way_of(session) {
            None => true,
            Some(Answer::Passed(_)) => false,
            Some(Answer::Awaited(until) | Answer::Refused(until)) => until <= now.instant,
        }
    }

    fn way_of(&self, session: UniqueId) -> Option<Answer> {
        let giving_way = self.more.iter().flat_map(|more| &more.giving_way);
        giving_way.filter(|known| known.session == session).map(|known| known.answer).next()
    }

    /// Notes an answer, and forgets those of sessions that are over.
    fn note_way(&mut self, session: UniqueId, answer: Option<Answer>) {
        let open = |id: UniqueId| self.sessions.iter().any(|slot| slot.unique_id() == id && slot.is_open());
        let known = self.more.iter().flat_map(|more| &more.giving_way).copied();
        let others = known.filter(|known| known.session != session && open(known.session));
        let noted: Vec<GivesWay> = others.chain(answer.map(|answer| GivesWay { session, answer })).collect();
        if !noted.is_empty() || self.more.is_some() {
            self.more.get_or_insert_default().giving_way = noted;
        }
    }

    /// The NASes of logins whose Start has not come by now: for each place that lapses.
    pub fn lapsing(&self, now: Now) -> impl Iterator<Item = &NasIdentity> {
        self.reservations.iter().filter(move |held| held.until <= now.instant).map(|held| &held.nas)
    }

    /// Holds a place for an Access-Accept until its Start comes. The device's own reservation is
    /// replaced.
    pub fn reserve(&mut self, reservation: Reservation) {
        self.reservations
            .retain(|held| held.token != reservation.token && !reservation.device.is(&held.device));
        self.reservations.push(reservation);
    }

    /// Gives a place back: the login did not come about.
    pub fn release(&mut self, token: ClassToken) {
        self.reservations.retain(|held| held.token != token);
    }

    /// The places that are held for logins whose Start has not come.
    #[must_use]
    pub fn reserved(&self) -> &[Reservation] {
        &self.reservations
    }

    /// How many places are held for logins whose Start has not come.
    #[must_use]
    pub const fn reservations(&self) -> usize {
        self.reservations.len()
    }

    /// When [`Self::handle_timeout`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.iter().map(Slot::deadline);
        sessions.chain(self.reservations.iter().map(|held| held.until)).min()
    }

    /// Lets reservations lapse, closes what is stale, forgets what was closed long enough ago.
    pub fn handle_timeout(&mut self, settings: &Settings, now: Now) -> Change {
        self.reservations.retain(|held| held.until > now.instant);
        let mut change = Change { subscriber: self.subscriber, ..Change::default() };
        for index in 0..self.sessions.len() {
            let is_stale =
                self.sessions.get(index).is_some_and(|slot| slot.deadline() <= now.instant && slot.is_open());
            if is_stale && self.close(index, CloseGuess::Stale, None, settings, now) {
                change.what = SessionChange::Closed;
                self.push_row(index, &mut change);
            }
        }
        let due = |slot: &mut Slot| slot.deadline() <= now.instant && !slot.is_open();
        change.forgotten.extend(self.sessions.extract_if(.., due).map(|slot| slot.session()));
        self.evict(settings, now, &mut change);
        self.rest();
        debug_assert!(
            self.poll_timeout().is_none_or(|next| next > now.instant),
            "a deadline that has passed was handled"
        );
        change
    }

    /// Merges a record of a known session.
    fn merge(
        &mut self,
        index: usize,
        record: &AccountingRecord,
        facts: &RecordFacts<'_>,
        settings: &Settings,
        now: Now,
    ) -> Taken {
        self.confirm(record, None);
        let Some(online) = self.sessions.get_mut(index).map(Slot::load) else {
            let window = (record.event_time, record.event_time);
            let before = (record.event_time, Usage::default());
            return Taken {
                index,
                what: SessionChange::Unchanged,
                awaited: false,
                window,
                moved_from: None,
                before,
            };
        };
        let former = Some(&online.session.nas).filter(|known| **known != record.nas).cloned();
        let (before, was_open) = ((online.session.updated, online.session.total()), online.session.is_open());
        let known = &online.session.nas;
        if *known != record.nas
            && (known.source, known.ip()) == (record.nas.source, record.nas.ip())
            && is_row_of(record, &online.session)
        {
            // Another server wrote the row, and it has no place for the NAS-Identifier.
            online.session.nas = record.nas.clone();
        }
        let merged = online.merge(record, facts.nas_sends_gigawords, settings, now);
        let session = &online.session;
        let what = match (was_open, session.is_open()) {
            (true, false) => SessionChange::Closed,
            _ if merged.reopened => SessionChange::Reopened,
            _ if merged.changed => SessionChange::Updated,
            _ => SessionChange::Unchanged,
        };
        // What a late record adds was used before it was sent; the day it names is the best guess.
        let to = record.event_time.max(session.started);
        let window = if session.updated > before.0 { (before.0, session.updated) } else { (to, to) };
        let moved_from = former.filter(|former| *former != session.nas);
        Taken { index, what, awaited: false, window, moved_from, before }
    }

    /// Opens the session that a record speaks of. `earlier`: what is known with its id began later.
    fn open(
        &mut self,
        record: &AccountingRecord,
        earlier: bool,
        facts: &RecordFacts<'_>,
        settings: &Settings,
        now: Now,
    ) -> Taken {
        let with_its_id =
            self.sessions.iter().filter(|slot| slot.acct_session_id() == record.acct_session_id);
        let epoch = with_its_id
            .map(Slot::session)
            .filter(|session| is_called(record, session) || session.nas == record.nas)
            .map(|session| session.epoch.saturating_add(1))
            .max()
            .unwrap_or(0);
        let (unique_id, salted) = self.free_unique_id(record.unique_id, facts.id_is_taken, epoch);
        let (nas, acct_session_id) = (record.nas.clone(), record.acct_session_id.clone());
        let mut session = Session {
            epoch,
            subscriber: self.subscriber,
            user_name: record.user_name.clone(),
            group: SmolStr::new(facts.group),
            token: record.token,
            flags: SessionFlags { salted, ..SessionFlags::default() },
            framed_ip: record.framed_ip,
            calling_station_id: record.calling_station_id.clone(),
            called_station_id: record.called_station_id.clone(),
            nas_port_id: record.nas_port_id.clone(),
            ..Session::begun(record.key, unique_id, nas, acct_session_id, record.event_time)
        };
        let held = self.confirm(record, Some(&session));
        let awaited = held.is_some();
        if let Some(reservation) = held {
            session.interval = reservation.interim_interval;
            session.details.granted = reservation.granted;
        }
        let mut online = Online::opened(session, record, facts.nas_sends_gigawords, settings, now);
        online.reload_seen = facts.nas_reloaded;
        if online.session.is_open() {
            if earlier {
                let guess = CloseGuess::SessionIdReused;
                online.close_guess(guess, reopen_after(guess));
            } else if let Some(reload) = facts.nas_reloaded
                && record.event_time < reload
            {
                online.close_guess(CloseGuess::NasReboot, Some(reload));
                online.reload_after = Some(reload);
            }
            online.set_deadline(settings, now);
        }
        let window = (online.session.started, online.session.updated);
        let what = if online.session.is_open() { SessionChange::Opened } else { SessionChange::Closed };
        self.push(online);
        let before = (window.0, Usage::default());
        Taken { index: self.sessions.len() - 1, what, awaited, window, moved_from: None, before }
    }

    /// A unique id that no other session has, and whether it had to be salted. `taken`: one of another owner
    /// has the wanted one.
    fn free_unique_id(&self, wanted: UniqueId, taken: bool, epoch: u32) -> (UniqueId, bool) {
        let is_free = |id: UniqueId| self.position(id).is_none();
        let wanted = if taken { wanted.of(self.subscriber) } else { wanted };
        if is_free(wanted) {
            return (wanted, taken);
        }
        let salts = (epoch.max(1)..).map(|salt| wanted.salted(salt));
        (salts.into_iter().find(|id| is_free(*id)).unwrap_or(wanted), true)
    }

    /// Keeps the place that an Access-Accept holds for the session of a record that nobody can apply yet,
    /// until then; a Stop gives it up.
    pub fn keep_place(&mut self, record: &AccountingRecord, until: Instant, now: Now) {
        let device = Device::of(&record.calling_station_id, &record.nas, &record.acct_session_id);
        let by_token = self.reservations.iter().position(|held| Some(held.token) == record.token);
        let is_its = |held: &Reservation| {
            device.is(&held.device)
                || held.device == Device::Unknown && held.nas == record.nas && record.token.is_none()
        };
        let found = by_token.or_else(|| self.reservations.iter().position(is_its));
        if let Some(held) = found.and_then(|found| self.reservations.get_mut(found)) {
            held.until = if record.status == RecordStatus::Stop { now.instant } else { until };
        }
    }

    /// Ends the reservation that a record makes good: by token; where Class is not echoed, by device
    /// or NAS and session id, or the oldest of the same NAS whose device is not another one.
    fn confirm(&mut self, record: &AccountingRecord, opens: Option<&Session>) -> Option<Reservation> {
        let by_token = || self.reservations.iter().position(|held| Some(held.token) == record.token);
        let found = by_token().or_else(|| {
            let session = opens.filter(|_| record.token.is_none() && record.status != RecordStatus::Stop)?;
            let station = Device::of_station(&session.calling_station_id);
            let by_device = || self.reservations.iter().position(|held| held.device.serves(session));
            by_device().or_else(|| {
                self.reservations.iter().position(|held| {
                    held.nas == record.nas
                        && match held.device {
                            Device::Mac(_) | Device::Station(_) => station.is_none(),
                            // It named another session of the NAS.
                            Device::Login { .. } => false,
                            Device::Unknown => true,
                        }
                })
            })
        })?;
        let held = self.reservations.remove(found);
        self.reservations.shrink_to(0);
        Some(held)
    }

    /// A device has one session at a time: a new one ends those that have shown no life since it began,
    /// as a guess. Links of one login (our token) or one bundle (Acct-Multi-Session-Id) stand beside
    /// each other.
    fn replace_same_device(
        &mut self,
        index: usize,
        order: Order,
        settings: &Settings,
        now: Now,
        changed: &mut SmallVec<[usize; 4]>,
    ) {
        let Some(new) = self.sessions.get_mut(index).map(Slot::load) else { return };
        let new = &new.session;
        let Some(device) = Device::of_station(&new.calling_station_id).filter(|_| new.is_open()) else {
            return;
        };
        let (token, started, updated) = (new.token, new.started, new.updated);
        let bundle = new.details.multi_session_id.clone();
        let mut older: SmallVec<[(usize, UnixTime); 4]> = SmallVec::new();
        for (other, slot) in self.sessions.iter().enumerate() {
            if other == index || !slot.is_open() || !device.serves_slot(slot) {
                continue;
            }
            let session = slot.session();
            let is_linked = token.is_some() && token == session.token
                || !bundle.is_empty() && bundle == session.details.multi_session_id;
            if is_linked {
                continue;
            }
            let (is_older, may_be_late) = match order {
                Order::Awaited => (true, false),
                // Of two in one second the one that is heard of later is the newer, unless it waited.
                Order::Timed { may_be_late, spooled } => {
                    (session.updated < started || session.updated == started && !spooled, may_be_late)
                }
            };
            if is_older {
                older.push((other, started.max(session.updated)));
            } else if may_be_late && updated < session.started && !session.flags.start_inferred {
                // The Start came late: what it opened has been replaced already.
                older.push((index, session.started));
            }
        }
        for (other, replaced_at) in older {
            if self.close(other, CloseGuess::Replaced, Some(replaced_at), settings, now) {
                changed.push(other);
            }
        }
    }

    fn close_reused(&mut self, index: usize, settings: &Settings, now: Now) -> bool {
        let guess = CloseGuess::SessionIdReused;
        self.close(index, guess, reopen_after(guess), settings, now)
    }

    /// Closes an open session as a guess; `false` if it is not open.
    fn close(
        &mut self,
        index: usize,
        guess: CloseGuess,
        reopen_after: Option<UnixTime>,
        settings: &Settings,
        now: Now,
    ) -> bool {
        let Some(slot) = self.sessions.get_mut(index).filter(|slot| slot.is_open()) else { return false };
        let online = slot.load();
        online.close_guess(guess, reopen_after);
        online.set_deadline(settings, now);
        true
    }

    /// Holds an Accounting-On or -Off against the sessions of the NASes it covers.
    fn sweep(
        &mut self,
        is_covered: impl Fn(&NasIdentity) -> bool,
        at: UnixTime,
        settings: &Settings,
        now: Now,
        closed: &mut SmallVec<[usize; 4]>,
    ) {
        for index in 0..self.sessions.len() {
            let Some(slot) = self.sessions.get_mut(index) else { break };
            if slot.updated() > at || slot.reload_seen().is_some_and(|seen| seen >= at) {
                continue;
            }
            let online = slot.load();
            if !is_covered(&online.session.nas) {
                continue;
            }
            online.reload_seen = Some(at);
            online.reload_after = Some(at);
            if online.session.closed.as_ref().is_some_and(|closed| closed.guess.is_some()) {
                online.reopen_after = online.reopen_after.max(Some(at));
            } else if self.close(index, CloseGuess::NasReboot, Some(at), settings, now) {
                closed.push(index);
            }
        }
    }

    /// Adds what a session has used beyond what was counted. Returns it by day.
    fn add_usage(
        &mut self,
        index: usize,
        (from, to): (UnixTime, UnixTime),
        days: Days<'_>,
        settings: &Settings,
        now: Now,
    ) -> SmallVec<[(Day, Usage); 1]> {
        let Some(slot) = self.sessions.get_mut(index) else { return SmallVec::new() };
        let session = &mut slot.load().session;
        if self.subscriber.is_none() || session.subscriber != self.subscriber {
            return SmallVec::new();
        }
        let total = session.total();
        let used = total.beyond(session.counted);
        if used.is_zero() {
            return SmallVec::new();
        }
        session.counted = session.counted.plus(used);
        let oldest = days.oldest(settings, now);
        if let Some(more) = &mut self.more {
            more.known_since = oldest.max(more.known_since);
        }
        self.ledger.add(used, from, to, oldest, days.zone(settings))
    }

    /// Forgets the oldest of the closed sessions that are too many. One that was closed or read back a
    /// moment ago stays: its row may not be committed yet, and the record that it was read back for has
    /// still to come.
    fn evict(&mut self, settings: &Settings, now: Now, change: &mut Change) {
        let mut closed = self.sessions.iter().filter(|slot| !slot.is_open()).count();
        let settled = now.instant + settings.tombstone.saturating_sub(TOMBSTONE_MIN);
        while closed > settings.tombstones_max {
            let oldest = self.sessions.iter().enumerate().filter(|(_, slot)| !slot.is_open());
            let Some((oldest, deadline)) =
                oldest.map(|(index, slot)| (index, slot.deadline())).min_by_key(|(_, deadline)| *deadline)
            else {
                return;
            };
            if deadline > settled && closed <= TOMBSTONES_MAX {
                return;
            }
            change.forgotten.push(self.sessions.remove(oldest).session());
            closed -= 1;
        }
    }

    fn is_online(&self, device: &Device, now: Now) -> bool {
        self.sessions.iter().any(|slot| slot.takes_place(now) && device.serves_slot(slot))
    }

    fn push_row(&self, index: usize, change: &mut Change) {
        if let Some(slot) = self.sessions.get(index) {
            change.rows.push(Box::new(slot.session()));
        }
    }

    fn position(&self, unique_id: UniqueId) -> Option<usize> {
        self.sessions.iter().position(|slot| slot.unique_id() == unique_id)
    }

    /// Most subscribers have one session: room for exactly what there is.
    fn push(&mut self, online: Online) {
        if self.sessions.len() < 4 {
            self.sessions.reserve_exact(1);
        }
        self.sessions.push(Slot::new(online));
    }

    /// Packs what was worked on.
    fn rest(&mut self) {
        for slot in &mut self.sessions {
            slot.pack();
        }
    }
}

/// How long a closed session stays at least, however many there are: longer than a commit takes, and
/// than the way from a look-up to its record.
const TOMBSTONE_MIN: Duration = Duration::from_mins(1);

/// Closed sessions of one subscriber beyond which the oldest go at once, so that memory is bounded.
const TOMBSTONES_MAX: usize = 4_096;

/// What may re-open a session that was closed on this guess: any life that is news, but two sessions
/// cannot have one id.
fn reopen_after(guess: CloseGuess) -> Option<UnixTime> {
    (guess == CloseGuess::SessionIdReused).then_some(UnixTime(i64::MAX))
}

fn earliest(one: Option<Day>, other: Option<Day>) -> Option<Day> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
