//! One session in memory and how a record of it is merged.

use std::net::IpAddr;
use std::time::Instant;

use smol_str::SmolStr;

use super::belonging::SLACK;
use super::counters::{Reading, Readings, octets};
use super::settings::Settings;
use crate::domain::session::SessionDetails;
use crate::domain::{AccountingRecord, CloseGuess, Closed, Counter, RecordStatus, Session};
use crate::time::{Now, UnixTime};

/// A session and what is needed to judge its next record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Online {
    pub(super) session: Session,
    pub(super) readings: Readings,
    /// Open: when it becomes stale. Closed: when it is forgotten.
    pub(super) deadline: Instant,
    /// Where it was closed on a guess: only life later than this undoes it.
    pub(super) reopen_after: Option<UnixTime>,
    /// When its NAS rebooted, after all that is known of the session.
    pub(super) reload_after: Option<UnixTime>,
    /// The newest Accounting-On or -Off of its NAS that it was held against.
    pub(super) reload_seen: Option<UnixTime>,
}

/// What merging a record did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) changed: bool,
    pub(super) reopened: bool,
}

/// Earlier addresses are kept up to so many octets of text.
const EARLIER_ADDRESSES_MAX: usize = 512;

impl Online {
    /// A session that was read back.
    pub(super) fn restored(session: Session, settings: &Settings, now: Now) -> Self {
        let at = session.session_time.reported.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
        let readings = Readings::restored(at, session.input, session.output);
        let mut online = Self {
            session,
            readings,
            deadline: now.instant,
            reopen_after: None,
            reload_after: None,
            reload_seen: None,
        };
        online.set_deadline(settings, now);
        online
    }

    /// The session that a record opens; a Stop also closes it.
    pub(super) fn opened(
        mut session: Session,
        record: &AccountingRecord,
        wide: bool,
        settings: &Settings,
        now: Now,
    ) -> Self {
        session.flags.start_inferred = record.status != RecordStatus::Start;
        session.started = super::belonging::implied_start(record).unwrap_or(record.event_time);
        session.updated = record.event_time;
        let mut online = Self::restored(session, settings, now);
        online.count(record, wide);
        fill(&mut online.session, record, true);
        if record.status == RecordStatus::Stop {
            online.stop(record, None);
        }
        online.session.flags.clock_suspect |= record.clock_suspect;
        online.set_deadline(settings, now);
        online
    }

    /// Merges a record of this session.
    pub(super) fn merge(
        &mut self,
        record: &AccountingRecord,
        wide: bool,
        settings: &Settings,
        now: Now,
    ) -> Merged {
        let stopped = self.session.closed.as_ref().is_some_and(|closed| closed.guess.is_none());
        let mut merged = match record.status {
            RecordStatus::Start => self.merge_start(record, settings, now),
            RecordStatus::InterimUpdate if stopped => {
                Merged { changed: self.is_within(record) && self.count(record, wide), reopened: false }
            }
            RecordStatus::InterimUpdate => self.merge_interim(record, wide, settings, now),
            RecordStatus::Stop => {
                let known = self.session.session_time.reported;
                let mut changed = self.count(record, wide);
                changed |= fill(&mut self.session, record, !stopped);
                let was_open = self.session.is_open();
                changed |= self.stop(record, known);
                if was_open {
                    self.set_deadline(settings, now);
                }
                Merged { changed, reopened: false }
            }
        };
        if record.clock_suspect && !self.session.flags.clock_suspect {
            self.session.flags.clock_suspect = true;
            merged.changed = true;
        }
        merged
    }

    /// A Start completes what is missing. It neither moves a start that was seen nor re-opens, unless
    /// what closed the session was an Accounting-On that the same NAS had sent before.
    fn merge_start(&mut self, record: &AccountingRecord, settings: &Settings, now: Now) -> Merged {
        let mut changed = fill(&mut self.session, record, false);
        if self.session.flags.start_inferred {
            self.session.flags.start_inferred = false;
            self.session.started = self.session.started.min(record.event_time);
            changed = true;
        }
        let reopened = self.session.closed.as_ref().is_some_and(|closed| closed.guess.is_some())
            && self.reload_after.is_some_and(|reload| record.event_time > reload);
        if reopened {
            self.session.updated = self.session.updated.max(record.event_time);
            self.reopen();
            self.set_deadline(settings, now);
        }
        Merged { changed: changed || reopened, reopened }
    }

    fn reopen(&mut self) {
        self.session.closed = None;
        self.session.flags.reopened = true;
        self.reopen_after = None;
        self.reload_after = None;
    }

    fn merge_interim(
        &mut self,
        record: &AccountingRecord,
        wide: bool,
        settings: &Settings,
        now: Now,
    ) -> Merged {
        let newer = self.is_newer(record);
        let mut changed = self.count(record, wide);
        changed |= fill(&mut self.session, record, newer);
        if !newer {
            return Merged { changed, reopened: false };
        }
        let silent = record.event_time.since(self.session.updated);
        self.session.updated = self.session.updated.max(record.event_time);
        let mut reopened = false;
        match &mut self.session.closed {
            None => self.learn_interval(silent),
            Some(_) if self.reopen_after.is_none_or(|after| record.event_time > after) => {
                self.reopen();
                reopened = true;
            }
            Some(closed) => closed.at = self.session.updated,
        }
        if self.session.is_open() {
            self.set_deadline(settings, now);
        }
        Merged { changed: true, reopened }
    }

    /// Adds session time and counters. The totals only rise.
    fn count(&mut self, record: &AccountingRecord, wide: bool) -> bool {
        let session = &mut self.session;
        let before = (session.session_time, session.input, session.output, session.flags);
        let at = record.session_time.unwrap_or_else(|| {
            // No session time: a record that is later than the newest by more than the slack is
            // ordered by event time, any other only raises the newest.
            let newest = self.readings.newest_at();
            let ran = u32::try_from(record.event_time.since(session.started)).unwrap_or(u32::MAX);
            if u64::from(ran) > u64::from(newest) + SLACK && session.session_time.reported.is_none() {
                ran
            } else {
                newest
            }
        });
        let gigawords = record.input.gigawords.is_some() || record.output.gigawords.is_some();
        let reading = Reading { at, input: octets(record.input), output: octets(record.output) };
        if gigawords && !session.flags.gigawords {
            session.flags.gigawords = true;
            let covers = |value: Option<u64>, counter: Counter| {
                counter.base == 0 || value.is_some_and(|value| value >= counter.total().unwrap_or(0))
            };
            if session.flags.wrapped
                && !session.flags.reset
                && covers(reading.input, session.input)
                && covers(reading.output, session.output)
            {
                self.readings.become_wide(&mut session.input, &mut session.output);
            }
        }
        let noticed = self.readings.add(
            reading,
            &mut session.input,
            &mut session.output,
            wide || session.flags.gigawords,
        );
        session.flags.wrapped |= noticed.wrapped;
        session.flags.reset |= noticed.reset;
        session.session_time.reported = session.session_time.reported.max(record.session_time.map(u64::from));
        before != (session.session_time, session.input, session.output, session.flags)
    }

    /// Closes by the NAS's own word. Of several Stops the one with the longest session time holds,
    /// and of equal ones the earliest: a retransmission seems later than it was. `known` is the
    /// session time from before this record.
    fn stop(&mut self, record: &AccountingRecord, known: Option<u64>) -> bool {
        let at = record.event_time.max(self.session.started);
        let ran = record.session_time.map(u64::from);
        let better = match &self.session.closed {
            Some(Closed { at: earlier, guess: None, .. }) => ran > known || ran == known && at < *earlier,
            _ => true,
        };
        self.session.updated = self.session.updated.max(record.event_time);
        if !better {
            return false;
        }
        let cause = match &self.session.closed {
            Some(Closed { cause, guess: None, .. }) if record.terminate_cause.is_empty() => cause.clone(),
            _ => record.terminate_cause.clone(),
        };
        self.session.closed = Some(Closed { at, cause, guess: None });
        self.reopen_after = None;
        true
    }

    /// Closes it as a guess, at its last sign of life.
    pub(super) fn close_guess(&mut self, guess: CloseGuess, reopen_after: Option<UnixTime>) {
        let at = self.session.updated.max(self.session.started);
        self.session.closed = Some(Closed { at, cause: SmolStr::new(guess.as_str()), guess: Some(guess) });
        self.reopen_after = reopen_after;
    }

    /// Sets when it becomes stale, or when it is forgotten.
    pub(super) fn set_deadline(&mut self, settings: &Settings, now: Now) {
        let after = if self.session.is_open() {
            settings.stale_after(self.session.interval)
        } else {
            settings.tombstone
        };
        self.deadline = now.instant + after;
    }

    /// Is the record a sign of life later than all before?
    fn is_newer(&self, record: &AccountingRecord) -> bool {
        let known = self.session.session_time.reported;
        match (record.session_time.map(u64::from), known) {
            (Some(ran), Some(known)) if ran != known => ran > known,
            // The same second of the session: only what has counted on is not a repetition.
            (Some(_), Some(_)) => {
                let more = |value: Option<u64>, counter: Counter| value > counter.reported;
                more(octets(record.input), self.session.input)
                    || more(octets(record.output), self.session.output)
            }
            (Some(ran), None) => ran > 0 || record.event_time > self.session.updated,
            (None, _) => record.event_time > self.session.updated,
        }
    }

    /// Is an Interim-Update from before the Stop that closed the session? A Stop need not tell the session
    /// time: then its own time bounds it.
    fn is_within(&self, record: &AccountingRecord) -> bool {
        let session = &self.session;
        let Some(ran) = record.session_time.map(u64::from) else { return false };
        session.session_time.reported.is_some_and(|known| ran <= known)
            || session.closed.as_ref().is_some_and(|closed| session.started.plus(ran) <= closed.at)
    }

    /// The longer of the last gaps, soon forgotten: a lost Interim-Update makes it longer at once, a
    /// NAS that reports more often makes it shorter by halves.
    fn learn_interval(&mut self, silent: u64) {
        let gap = u32::try_from(silent).unwrap_or(u32::MAX);
        let known = self.session.interval;
        if gap > 0 {
            self.session.interval = if gap > known { gap } else { known - (known - gap) / 2 };
        }
    }
}

/// Completes what is not yet known. What may change during a session (the addresses, the NAS of a
/// subscriber that roams, Class) is taken from the newest record.
fn fill(session: &mut Session, record: &AccountingRecord, newest: bool) -> bool {
    let mut changed = false;
    if session.token.is_none() && record.token.is_some() {
        session.token = record.token;
        session.key = record.key;
        changed = true;
    }
    if newest && session.nas != record.nas {
        session.nas = record.nas.clone();
        changed = true;
    }
    for (known, said) in [
        (&mut session.user_name, &record.user_name),
        (&mut session.calling_station_id, &record.calling_station_id),
        (&mut session.called_station_id, &record.called_station_id),
        (&mut session.nas_port_id, &record.nas_port_id),
    ] {
        changed |= complete(known, said);
    }
    changed | fill_addresses(session, record, newest) | fill_details(session, record, newest)
}

fn fill_details(session: &mut Session, record: &AccountingRecord, newest: bool) -> bool {
    let (known, said) = (&mut *session.details, &record.details);
    let connect_info = match record.status {
        RecordStatus::Stop => &mut known.connect_info_stop,
        RecordStatus::Start | RecordStatus::InterimUpdate => &mut known.connect_info_start,
    };
    let mut changed = complete(connect_info, &said.connect_info_start);
    for (known, said) in [
        (&mut known.nas_port_type, &said.nas_port_type),
        (&mut known.authentic, &said.authentic),
        (&mut known.service_type, &said.service_type),
        (&mut known.framed_protocol, &said.framed_protocol),
        (&mut known.framed_interface_id, &said.framed_interface_id),
        (&mut known.multi_session_id, &said.multi_session_id),
        (&mut known.chargeable_user_identity, &said.chargeable_user_identity),
    ] {
        changed |= complete(known, said);
    }
    for (known, said) in [
        (&mut known.class, &said.class),
        (&mut known.other_attributes, &said.other_attributes),
        (&mut known.nas_user_name, &said.nas_user_name),
    ] {
        changed |= if newest { replace(known, said) } else { complete(known, said) };
    }
    changed
}

fn fill_addresses(session: &mut Session, record: &AccountingRecord, newest: bool) -> bool {
    let mut changed = false;
    let details = &mut *session.details;
    let SessionDetails {
        framed_ipv6_address,
        framed_ipv6_prefix,
        delegated_ipv6_prefix,
        earlier_addresses,
        ..
    } = details;
    let v4 = (session.framed_ip.map(IpAddr::V4), record.framed_ip.map(IpAddr::V4));
    let v6 = (framed_ipv6_address.map(IpAddr::V6), record.details.framed_ipv6_address.map(IpAddr::V6));
    for (known, said) in [v4, v6] {
        let Some(said) = said.filter(|said| Some(*said) != known) else { continue };
        if let Some(known) = known {
            let earlier = if newest { known } else { said };
            changed |= remember(earlier_addresses, &earlier.to_string());
        }
        if newest || known.is_none() {
            match said {
                IpAddr::V4(said) => session.framed_ip = Some(said),
                IpAddr::V6(said) => *framed_ipv6_address = Some(said),
            }
            changed = true;
        }
    }
    for (known, said) in [
        (framed_ipv6_prefix, &record.details.framed_ipv6_prefix),
        (delegated_ipv6_prefix, &record.details.delegated_ipv6_prefix),
    ] {
        if said.is_empty() || said == known {
            continue;
        }
        if !known.is_empty() {
            changed |= remember(earlier_addresses, if newest { known } else { said });
        }
        if newest || known.is_empty() {
            known.clone_from(said);
            changed = true;
        }
    }
    changed
}

/// Adds an address to the list of earlier ones, once.
fn remember(list: &mut SmolStr, address: &str) -> bool {
    if list.split(',').any(|known| known == address) || list.len() + address.len() >= EARLIER_ADDRESSES_MAX {
        return false;
    }
    *list = if list.is_empty() { address.into() } else { smol_str::format_smolstr!("{list},{address}") };
    true
}

fn complete(known: &mut SmolStr, said: &SmolStr) -> bool {
    known.is_empty() && replace(known, said)
}

fn replace(known: &mut SmolStr, said: &SmolStr) -> bool {
    if said.is_empty() || known == said {
        return false;
    }
    known.clone_from(said);
    true
}
