//! Whose a record is: of the session that has its Acct-Session-Id, of an earlier use of that id, or
//! of a new one. Without evidence for another use it is late, or sent again.

use smallvec::SmallVec;

use super::online::Online;
use super::packed::Slot;
use crate::domain::{AccountingRecord, RecordStatus, Session};
use crate::time::UnixTime;

/// Event times that differ by no more than this say nothing about order, seconds: packets overtake
/// each other, and a retransmission without Acct-Delay-Time seems to have happened later.
pub(super) const SLACK: u64 = 10;

/// A NAS repeats a request that was not answered for no longer than this, seconds.
pub(super) const RETRANSMISSION: u64 = 60;

/// A Start that is this much older than a session began speaks of an earlier use of the id, seconds.
const EARLIER_USE: u64 = 900;

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the session at this index.
    Known(usize),
    /// To none that is known. `reused`: the session at this index had the id until now.
    Another { reused: Option<usize> },
    /// To none that is known, and what is known with its id began later.
    Earlier,
}

/// Could the record be this session's, going by what it is called?
pub(super) fn is_called(record: &AccountingRecord, session: &Session) -> bool {
    if session.acct_session_id != record.acct_session_id {
        return false;
    }
    match (record.token, session.token) {
        (Some(token), Some(known)) => token == known,
        // Only some records of a session carry the token: its NAS then decides.
        _ => session.nas == record.nas || is_row_of(record, session),
    }
}

/// Is it the row of the record that another server wrote? Such a row does not name its NAS as we do
/// (`radacct` has no column for NAS-Identifier). It has the key of its own unique id, or the one that
/// it was asked for with.
pub(super) fn is_row_of(record: &AccountingRecord, session: &Session) -> bool {
    session.key == record.nas_key
        || (session.unique_id == record.unique_id && session.key.0 == session.unique_id.0)
}

/// Has the record the token of the session's own login? Each login has another.
fn is_of_its_login(record: &AccountingRecord, session: &Session) -> bool {
    record.token.is_some() && record.token == session.token
}

/// Finds the place of a record among the sessions of a subscriber.
pub(super) fn place(record: &AccountingRecord, sessions: &[Slot]) -> Place {
    let with_its_id =
        sessions.iter().enumerate().filter(|(_, slot)| slot.acct_session_id() == record.acct_session_id);
    let with_its_id: SmallVec<[(usize, Box<Online>); 1]> =
        with_its_id.map(|(index, slot)| (index, Box::new(slot.online()))).collect();
    let mut known: SmallVec<[&(usize, Box<Online>); 2]> =
        with_its_id.iter().filter(|(_, online)| is_called(record, &online.session)).collect();
    // Newest use first; the epoch settles what began in one second.
    known.sort_by_key(|(_, online)| std::cmp::Reverse((online.session.started, online.session.epoch)));
    let Some(newest) = known.first() else {
        // Another token takes over the id of the session that had it.
        let holder = with_its_id.iter().find(|(_, online)| {
            let session = &online.session;
            session.is_open() && session.nas == record.nas && session.updated <= record.event_time
        });
        return Place::Another { reused: holder.map(|(index, _)| *index) };
    };
    let mut chosen = newest;
    for pair in known.windows(2) {
        let [later, earlier] = pair else { break };
        if !is_before(record, &later.1.session, &earlier.1.session) {
            break;
        }
        chosen = earlier;
    }
    let (index, online) = chosen;
    if is_earlier_use(record, &online.session) {
        Place::Earlier
    } else if index == &newest.0 && is_another_use(record, online) {
        Place::Another { reused: Some(*index) }
    } else {
        Place::Known(*index)
    }
}

/// When the session of a record began, by the record's own word.
pub(super) fn implied_start(record: &AccountingRecord) -> Option<UnixTime> {
    let ran = match record.status {
        RecordStatus::Start => record.session_time.unwrap_or(0),
        RecordStatus::InterimUpdate | RecordStatus::Stop => record.session_time?,
    };
    Some(record.event_time.minus(ran.into()))
}

/// Is the record from before `later` began, so that it is `earlier`'s, which had the same id?
fn is_before(record: &AccountingRecord, later: &Session, earlier: &Session) -> bool {
    if record.event_time.plus(SLACK) < later.started {
        return true;
    }
    if record.status == RecordStatus::Start {
        return false;
    }
    // Delayed by more than it admits: it came after the later began, but its session time leads
    // back to the start of the earlier and to nowhere near that of the later. A start is known no
    // better than its record was prompt.
    implied_start(record).is_some_and(|implied| {
        implied.plus(RETRANSMISSION) < later.started
            && distance(implied, earlier.started) <= RETRANSMISSION
            && distance(implied, earlier.started) < distance(implied, later.started)
    })
}

/// Is it the Start of a use of the id long before this one?
fn is_earlier_use(record: &AccountingRecord, session: &Session) -> bool {
    record.status == RecordStatus::Start
        && record.event_time.plus(EARLIER_USE) < session.started
        && !is_of_its_login(record, session)
        // An inferred start without a session time is no more than the time of the first record.
        && (!session.flags.start_inferred || session.session_time.reported.is_some())
}

/// Is there evidence that the record is from another, later use of the session's id?
fn is_another_use(record: &AccountingRecord, online: &Online) -> bool {
    let session = &online.session;
    if let Some(reload) = online.reload_after
        && is_after_reload(record, session, reload)
    {
        return true;
    }
    match record.status {
        RecordStatus::Start => is_another_start(record, session),
        RecordStatus::InterimUpdate | RecordStatus::Stop => is_restarted(record, session),
    }
}

/// The NAS has rebooted since the session's last record: is this record from after it?
fn is_after_reload(record: &AccountingRecord, session: &Session, reload: UnixTime) -> bool {
    match record.status {
        // It may be the Start sent again, where what was sent again before it was the Accounting-On.
        // In one second with the reboot it came later.
        RecordStatus::Start => {
            record.event_time == reload || record.event_time > reload && !repeats_start(record, session)
        }
        RecordStatus::InterimUpdate | RecordStatus::Stop if record.event_time <= reload => false,
        // Where the session of a login goes on there was no reboot since, whatever clocks say.
        RecordStatus::InterimUpdate | RecordStatus::Stop if is_of_its_login(record, session) => false,
        RecordStatus::InterimUpdate | RecordStatus::Stop => match implied_start(record) {
            // It began before: a late record, or the NAS said Accounting-On without rebooting.
            Some(implied) if implied.plus(SLACK) < reload => false,
            Some(implied) => {
                distance(implied, session.started) > RETRANSMISSION || falls_behind(record, session)
            }
            // Counters that go on are of the same session.
            None => !reports_octets(record) || falls_behind(record, session),
        },
    }
}

/// Is a Start that of another session than the one that has the id?
fn is_another_start(record: &AccountingRecord, session: &Session) -> bool {
    // A subscriber may have another login since, a NAS another name for it, and not both at once.
    let names_another = !record.user_name.is_empty()
        && !session.user_name.is_empty()
        && record.user_name != session.user_name
        && record.name_at_nas() != session.name_at_nas();
    if names_another {
        return true;
    }
    let last = match &session.closed {
        Some(closed) if closed.guess.is_none() => closed.at,
        _ => session.updated,
    };
    let is_guess = session.closed.as_ref().is_none_or(|closed| closed.guess.is_some());
    let repeats_until = if session.flags.start_inferred {
        // It may be the Start that is missing, sent again and again.
        last.plus(RETRANSMISSION)
    } else if is_guess && looks_the_same(record, session) {
        last.plus(SLACK).max(session.started.plus(RETRANSMISSION))
    } else {
        last.plus(SLACK)
    };
    record.event_time > repeats_until
}

/// Is it like the only Start of a session of which nothing else was seen, and soon after it? Then
/// nothing is lost if it is taken for a repetition and was not.
fn repeats_start(record: &AccountingRecord, session: &Session) -> bool {
    !session.flags.start_inferred
        && session.session_time.reported.unwrap_or(0) == 0
        && session.total().is_zero()
        && record.event_time <= session.started.plus(RETRANSMISSION)
        && looks_the_same(record, session)
}

fn looks_the_same(record: &AccountingRecord, session: &Session) -> bool {
    record.calling_station_id == session.calling_station_id
        && record.nas_port_id == session.nas_port_id
        && (record.framed_ip.is_none() || record.framed_ip == session.framed_ip)
}

/// Did session time and counters begin anew, after all that is known of the session?
fn is_restarted(record: &AccountingRecord, session: &Session) -> bool {
    let last = session.closed.as_ref().map_or(session.updated, |closed| closed.at.max(session.updated));
    let Some(implied) = implied_start(record) else { return false };
    if implied <= last.plus(SLACK) {
        return false;
    }
    let (Some(ran), Some(known)) = (record.session_time, session.session_time.reported) else { return false };
    if u64::from(ran) > known {
        // Longer than the session lasted, which a NAS told us itself.
        return session.closed.as_ref().is_some_and(|closed| closed.guess.is_none());
    }
    let fell = |reported: Option<u32>, known: Option<u64>| match (reported, known) {
        (Some(reported), Some(known)) => u64::from(reported) < known || known == 0,
        _ => true,
    };
    u64::from(ran) < known
        && fell(record.input.octets, session.input.reported)
        && fell(record.output.octets, session.output.reported)
}

/// Does the record say less than is known, in session time or in any counter?
fn falls_behind(record: &AccountingRecord, session: &Session) -> bool {
    let less = |value: Option<u64>, known: Option<u64>| match (value, known) {
        (Some(value), Some(known)) => value < known,
        _ => false,
    };
    less(record.session_time.map(u64::from), session.session_time.reported)
        || less(super::counters::octets(record.input), session.input.reported)
        || less(super::counters::octets(record.output), session.output.reported)
}

const fn reports_octets(record: &AccountingRecord) -> bool {
    record.input.octets.is_some() || record.output.octets.is_some()
}

/// Seconds between two times, whichever is later.
pub(super) const fn distance(one: UnixTime, other: UnixTime) -> u64 {
    one.since(other).saturating_add(other.since(one))
}
