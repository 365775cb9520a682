//! The face of RADIUS: decides logins from memory and applies accounting, both without waiting.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::answer::{Acknowledgement, Answer, NoReply, Resolved, Waiter, Wanted, Work};
use super::credit;
use super::deferral::{PLACE_KEPT, Ticket};
use super::directory::{Known, Lookup};
use super::keepsakes::Keepsake;
use super::life::Remembered;
use super::loader::PATIENCE;
use super::reconciler::{Rows, SAME_DEVICE, WAY_MAX};
use super::serve::Serve;
use super::state::State;
use super::table::Owner;
use super::writer::Pending;
use crate::domain::plan::Concurrency;
use crate::domain::text::{mac_digits, text_from_octets};
use crate::domain::{
    AccountingRecord, ClassToken, CloseGuess, Decision, Effect, Granted, Nas, NasIdentity, NasReload,
    NasTable, RecordStatus, SessionKey, UniqueId, Write,
};
use crate::engine::accounting;
use crate::engine::password::SlowCheck;
use crate::engine::policy::{Attempt, Mac};
use crate::engine::{AccessFacts, Decided, Denial, Standing, Verdict, access};
use crate::entropy::SystemEntropy;
use crate::radius::{
    AccessReply, AccessRequest, AccountingRequest, AccountingResponse, AcctStatus, Verified,
};
use crate::sessions::{Change, Device, Reservation, SessionChange, SubscriberSessions};
use crate::time::Now;

/// Answers Access-Requests and Accounting-Requests.
#[derive(Clone)]
pub struct Aaa(pub(super) Arc<State>);

impl Serve for Aaa {
    fn nas_table(&self) -> arc_swap::Guard<Arc<NasTable>> {
        self.0.nas.load()
    }

    fn access(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccessRequest<'_>,
        resolved: Resolved,
        now: Now,
    ) -> Answer<AccessReply> {
        let resolved = self.own(resolved);
        let (known, device) = match self.who(request, resolved, now) {
            Ok(who) => who,
            Err(who) => {
                return Answer::Later(Work::Load {
                    who: Some(who),
                    sessions: SmallVec::new(),
                    record: false,
                });
            }
        };
        if known.is_none() && self.0.stands_in {
            // There may be such a subscriber since the snapshot was taken.
            return Answer::Silence(NoReply::StoreUnavailable);
        }
        let device = device.as_ref();
        let station = self.0.guesses.station(request.calling_station_id(), source, device.is_some());
        let tries = known.as_deref().map(Known::tries);
        let held = self.0.guesses.held(tries, station, now.instant);
        let decide = |password| {
            self.decide(known.as_deref(), device, held.as_ref(), nas, source, request, password, now)
        };
        let verdict = match decide(resolved.password) {
            (Verdict::SlowPassword(check), _) if self.0.memo.knows(&check, now.instant) => decide(Some(true)),
            verdict => verdict,
        };
        match verdict {
            (Verdict::Decided(decided), _) => {
                if let Some(station) = station {
                    self.0.guesses.decided(tries, station, decided.reject, now.instant);
                    if decided.reject.is_none() {
                        self.remember_device(known.as_deref(), request, now);
                    }
                }
                self.answer(known.as_deref(), source, request, decided, now)
            }
            (Verdict::SlowPassword(check), _) => Answer::Later(Work::SlowPassword(check)),
            // No session can be asked to end before the database tells which there are.
            (Verdict::GiveWay, _) if self.0.stands_in => Answer::Silence(NoReply::StoreUnavailable),
            (Verdict::GiveWay, Some(session)) => Answer::Later(Work::GiveWay(session)),
            (Verdict::GiveWay, None) => Answer::Silence(NoReply::Overloaded),
        }
    }

    fn accounting(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        waiter: Waiter,
        now: Now,
    ) -> Acknowledgement {
        let resolved = self.own(resolved);
        if self.0.stands_in {
            return self.put_off(nas, source, request, resolved, waiter, now);
        }
        match self.record(nas, source, request, resolved, Ticket::Waiter(waiter), now) {
            Recorded::Pending => Acknowledgement::Pending,
            Recorded::Later(work, Ticket::Waiter(waiter)) => Acknowledgement::Later(work, waiter),
            Recorded::Later(_, Ticket::Spooled(_) | Ticket::Guess) => {
                Acknowledgement::Silence(NoReply::StoreUnavailable)
            }
            Recorded::Silence(reason) => Acknowledgement::Silence(reason),
        }
    }

    async fn resolve(&self, work: Work) -> Result<Resolved, NoReply> {
        let resolved = match work {
            Work::Load { who, sessions, record: false } => {
                self.0.loader.load(who, sessions).await?;
                Resolved { looked_up: true, ..Resolved::default() }
            }
            Work::Load { who, sessions, record: true } => {
                let deadline = self.0.settings.writer.commit_deadline;
                let loaded = tokio::time::timeout(deadline, self.0.loader.load(who, sessions)).await;
                let looked_up = matches!(loaded, Ok(Ok(())));
                Resolved { looked_up, unanswered: !looked_up, ..Resolved::default() }
            }
            Work::SlowPassword(check) => {
                let matches = self.verify(check).await?;
                Resolved { looked_up: true, password: Some(matches), ..Resolved::default() }
            }
            Work::GiveWay(session) => {
                self.0.give_way(session).await;
                Resolved { looked_up: true, ..Resolved::default() }
            }
        };
        Ok(Resolved { guessed: self.0.stands_in, ..resolved })
    }
}

impl Aaa {
    /// What was fetched for us: what another has fetched from a snapshot is nothing.
    fn own(&self, resolved: Resolved) -> Resolved {
        if resolved.guessed == self.0.stands_in { resolved } else { Resolved::default() }
    }

    /// Who has the login. `Err` is a login that has to be looked up first.
    fn known(
        &self,
        login: Option<SmolStr>,
        resolved: Resolved,
        now: Now,
    ) -> Result<Option<Arc<Known>>, SmolStr> {
        let Some(login) = login else { return Ok(None) };
        match self.0.directory.lookup(&login, now.instant) {
            Lookup::Known(known) => Ok(Some(known)),
            Lookup::Absent => Ok(None),
            Lookup::NotLoaded if resolved.looked_up => Ok(None),
            Lookup::NotLoaded => Err(login),
        }
    }

    /// Whose login it is, and the row by which the device is let in where nobody has the login and User-Name
    /// is the address of a device, or missing. What the request says of the device elsewhere must not be
    /// another one: whoever can type a name at a portal could else be anybody whose address is seen in the air.
    ///
    /// # Errors
    /// Who has to be looked up first.
    fn who(
        &self,
        request: &AccessRequest<'_>,
        resolved: Resolved,
        now: Now,
    ) -> Result<(Option<Arc<Known>>, Option<SmolStr>), Wanted> {
        match self.known(login_of(request.user_name()), resolved, now) {
            Ok(Some(known)) => return Ok((Some(known), None)),
            Ok(None) => {}
            Err(login) => return Err(Wanted::Login(login)),
        }
        let Some(mac) = device_of(request.user_name(), request.calling_station_id()) else {
            return Ok((None, None));
        };
        let found =
            self.by_device(&mac, resolved, now, |known| known.policy.admits(&mac, now.unix).cloned())?;
        Ok(found.map_or((None, None), |(known, rule)| (Some(known), Some(rule))))
    }

    /// Of those whom a device lets in the first of whom `is` gives something.
    fn by_device<T>(
        &self,
        mac: &Mac,
        resolved: Resolved,
        now: Now,
        is: impl Fn(&Known) -> Option<T>,
    ) -> Result<Option<(Arc<Known>, T)>, Wanted> {
        let directory = &self.0.directory;
        let logins = match directory.device(mac, now.instant) {
            Some(logins) => logins,
            None if resolved.looked_up => return Ok(None),
            None => return Err(Wanted::Device(*mac)),
        };
        for login in logins {
            match directory.lookup(&login, now.instant) {
                Lookup::Known(known) => {
                    if let Some(found) = is(&known) {
                        return Ok(Some((known, found)));
                    }
                }
                Lookup::NotLoaded if !resolved.looked_up => return Err(Wanted::Login(login)),
                // It has another login since, or is gone.
                Lookup::Absent if !resolved.looked_up => {
                    directory.forget_devices(std::slice::from_ref(mac));
                    return Err(Wanted::Device(*mac));
                }
                Lookup::Absent | Lookup::NotLoaded => {}
            }
        }
        Ok(None)
    }

    /// The device of a login by password logs in by itself later, where the account says so.
    fn remember_device(&self, known: Option<&Known>, request: &AccessRequest<'_>, now: Now) {
        let Some(known) = known.filter(|known| known.policy.keeps_devices()) else { return };
        let Some(mac) = request.calling_station_id().and_then(mac_digits) else { return };
        if known.policy.admits(&mac, now.unix).is_none() {
            self.0.keepsakes.keep(Keepsake::Device(known.policy.id, mac));
        }
    }

    /// The decision, and on Accept the place, under the subscriber's lock.
    #[expect(clippy::too_many_arguments, reason = "they are the facts of one request")]
    fn decide(
        &self,
        known: Option<&Known>,
        let_in: Option<&SmolStr>,
        held: Option<&Denial>,
        nas: &Nas,
        source: IpAddr,
        request: &AccessRequest<'_>,
        password: Option<bool>,
        now: Now,
    ) -> (Verdict, Option<UniqueId>) {
        let settings = &self.0.settings;
        let facts = AccessFacts {
            subscriber: known.map(|known| &known.policy),
            source,
            standing: Standing { uses: known.map(Known::uses).unwrap_or_default(), ..Standing::default() },
            password,
            device: let_in,
            held,
            pack: self.0.packs.get(nas.pack),
            settings: &settings.engine,
        };
        let Some(known) = known.filter(|known| known.policy.may_be_limited()) else {
            return (access(request, &facts, now, &mut SystemEntropy), None);
        };
        let nas = identity(source, request);
        let text = |octets: Option<&[u8]>| octets.map(text_from_octets).unwrap_or_default();
        let mut station = text(request.calling_station_id());
        if station.is_empty() && let_in.is_some() {
            station = text(request.user_name());
        }
        let mac = mac_digits(station.as_bytes());
        let device = Device::of(&station, &nas, &text(request.acct_session_id()));
        self.0.with_sessions(&known.owner(), Some(known), now, |sessions| {
            // What an Accept a moment ago gave to the device, it gives again: that may have been lost.
            let ordered = mac.and_then(|mac| known.login_terms(&mac, now.unix));
            let terms = ordered.map(|(_, terms)| terms).or_else(|| {
                let granted = Granted::parse(sessions.reserved_for(&device, now)?)?;
                granted.login.as_deref().copied()
            });
            let standing = Standing {
                occupancy: sessions.occupancy(&device, now),
                sessions: Some(sessions),
                // Under the lock, so that of several first logins one is the first.
                uses: known.uses(),
                session: None,
                terms,
            };
            let facts = AccessFacts { standing, ..facts };
            let verdict = access(request, &facts, now, &mut SystemEntropy);
            if matches!(verdict, Verdict::GiveWay) {
                return (verdict, sessions.ask_to_give_way(&device, now.instant + WAY_MAX, now));
            }
            if let Verdict::Decided(decided) = &verdict
                && let Decided { reject: None, token: Some(token), places, .. } = *decided
            {
                self.note_use(known, now);
                if let Some((id, _)) = ordered {
                    known.take_login(id);
                    self.0.keepsakes.keep(Keepsake::Login(id, now.unix));
                }
                if places.is_some() || terms.is_some() {
                    sessions.reserve(Reservation {
                        token,
                        device,
                        nas,
                        until: now.instant + settings.reservation,
                        interim_interval: decided.interim_interval,
                        granted: decided.granted.clone(),
                    });
                }
            }
            (verdict, None)
        })
    }

    /// What follows a decision and needs no waiting: the record of the attempt, the note of the use.
    fn answer(
        &self,
        known: Option<&Known>,
        source: IpAddr,
        request: &AccessRequest<'_>,
        decided: Decided,
        now: Now,
    ) -> Answer<AccessReply> {
        if let Some(reason) = decided.reject {
            self.0.meters.reject(reason);
        } else if let Some(known) = known {
            self.note_use(known, now);
        }
        if let Some(known) = known {
            known.remember(Remembered {
                at: now.unix,
                reject: decided.reject,
                rule: decided.rule.clone(),
                method: decided.method,
                nas: request.nas_ip_address().map_or(source, IpAddr::V4),
                calling_station_id: request.calling_station_id().map(text_from_octets).unwrap_or_default(),
            });
        }
        self.0.recorder.record(now, || decided.post_auth(request, source, now.unix));
        Answer::Now(decided.reply)
    }

    /// Notes that an accepted login uses the subscription. Not a promise: what the writer does not take, or
    /// what a crash takes from it, is noted by the session's first record or by the next login.
    fn note_use(&self, known: &Known, now: Now) {
        let writes = known.note_use(now.unix);
        if !writes.is_empty() {
            // The use that starts a clock is not among what can be spared.
            let pending =
                Pending { writes, gives_way: !known.policy.counts_first_use(), ..Pending::default() };
            let _ = self.0.writer.enqueue([&known.owner()], pending);
        }
    }

    /// Computes a slow hash beside the packet path.
    async fn verify(&self, check: SlowCheck) -> Result<bool, NoReply> {
        // Whoever waits longer is not computed for any more: the NAS has sent its request again, or given up.
        let permit = Arc::clone(&self.0.slow_passwords).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, permit).await.map_err(|_| NoReply::Overloaded)?;
        let permit = permit.map_err(|_| NoReply::Overloaded)?;
        let state = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let matches = check.verify();
            if matches {
                state.memo.learn(&check, state.clock.now().instant);
            }
            matches
        })
        .await
        .map_err(|_| NoReply::Overloaded)
    }

    /// Puts a record into the spool, where it waits for the database, and applies it to what is guessed here
    /// until then.
    fn put_off(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        waiter: Waiter,
        now: Now,
    ) -> Acknowledgement {
        // What the snapshot does not know nobody does.
        let looked_up = resolved.looked_up || resolved.unanswered;
        let resolved = Resolved { looked_up, ..Resolved::default() };
        match self.record(nas, source, request, resolved, Ticket::Guess, now) {
            Recorded::Later(work, _) => return Acknowledgement::Later(work, waiter),
            Recorded::Silence(NoReply::NothingToRecord) => {
                return Acknowledgement::Silence(NoReply::NothingToRecord);
            }
            Recorded::Pending | Recorded::Silence(_) => {}
        }
        if self.0.deferral.defer(source, request.packet().packet().octets(), waiter, now) {
            Acknowledgement::Pending
        } else {
            Acknowledgement::Silence(NoReply::Overloaded)
        }
    }

    /// Applies an Accounting-Request, whoever waits for it.
    pub(super) fn record(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        ticket: Ticket,
        now: Now,
    ) -> Recorded {
        match request.status() {
            Some(AcctStatus::AccountingOn | AcctStatus::AccountingOff) => {
                self.nas_reload(source, request, ticket, now)
            }
            Some(AcctStatus::Start | AcctStatus::InterimUpdate | AcctStatus::Stop) => {
                self.session_record(nas, source, request, resolved, ticket, now)
            }
            Some(AcctStatus::Other(_)) | None => Recorded::Silence(NoReply::NothingToRecord),
        }
    }

    /// Accounting-On and -Off: one durable row says that the sessions are over; closing them follows.
    fn nas_reload(
        &self,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        ticket: Ticket,
        now: Now,
    ) -> Recorded {
        let at = accounting::event_time(request, now).0;
        let reload = NasReload { nas: identity(source, request), at };
        self.0.remember_reload(&reload);
        self.commit("reload", accounting::decide_reload(reload), ticket, false)
    }

    /// Hands a decision to the writer, which answers once it is durable. What is applied and not taken
    /// is applied and handed over again with the retransmission. `gives_way`: the last places are not for it.
    fn commit(
        &self,
        owner: &(impl Hash + ?Sized),
        decision: Decision<AccountingResponse>,
        ticket: Ticket,
        gives_way: bool,
    ) -> Recorded {
        let Decision { before: writes, reply, mut after } = decision;
        let waiter = match ticket {
            Ticket::Waiter(waiter) => reply.map(|AccountingResponse| waiter),
            Ticket::Spooled(number) => {
                after.push(Effect::Settled(number));
                None
            }
            Ticket::Guess => None,
        };
        match self.0.writer.enqueue([owner], Pending { writes, waiter, after, gives_way }) {
            Ok(()) => Recorded::Pending,
            Err(_) => Recorded::Silence(NoReply::Overloaded),
        }
    }

    /// What has to be fetched for a record; where SQL does not answer the record is put off.
    fn later(
        &self,
        work: Work,
        (source, request, record): (IpAddr, &AccountingRequest<'_>, &AccountingRecord),
        own: &Owner,
        resolved: Resolved,
        ticket: Ticket,
        now: Now,
    ) -> Recorded {
        let waiter = match ticket {
            Ticket::Waiter(waiter) if resolved.unanswered => waiter,
            ticket => return Recorded::Later(work, ticket),
        };
        if let Some(mut entry) = self.0.table.get_mut(own) {
            entry.keep_place(record, now.instant + PLACE_KEPT, now);
        }
        let octets = request.packet().packet().octets();
        if self.0.deferral.defer(source, octets, waiter, now) {
            Recorded::Pending
        } else {
            Recorded::Silence(NoReply::Overloaded)
        }
    }

    /// Whose record it is: of the subscriber that our token in Class names, whatever the NAS has made of
    /// User-Name (RFC 2865 §5.1 lets it, and an Accept may tell it to); else of the login that User-Name
    /// names. A token whose MAC is wrong says nothing.
    fn claim(&self, request: &AccountingRequest<'_>, resolved: Resolved, now: Now) -> Claim {
        let (state, key) = (&*self.0, &self.0.settings.engine.token_key);
        let tokens = || request.classes().filter_map(ClassToken::from_class);
        let named = tokens().find_map(|token| Some((token, key.subscriber(token)?)));
        let token = named.map(|(token, _)| token);
        if let Some((_, subscriber)) = named {
            match state.directory.lookup_number(subscriber, now.instant) {
                Lookup::Known(known) => {
                    let bound = Some(known.policy.login.clone());
                    return Claim { token, bound, known: Some(known), missing: None };
                }
                Lookup::NotLoaded if !resolved.looked_up => {
                    let missing = Some(Wanted::Subscriber(subscriber));
                    return Claim { token, bound: None, known: None, missing };
                }
                // Deleted since: the name decides.
                Lookup::Absent | Lookup::NotLoaded => {}
            }
        }
        match self.known(login_of(request.user_name()), resolved, now) {
            Ok(None) if token.is_none() && device_of(request.user_name(), None).is_some() => {
                let mac = device_of(request.user_name(), request.calling_station_id());
                let theirs = |known: &Known| known.policy.knows_device(&mac?).then_some(());
                match mac.map_or(Ok(None), |mac| self.by_device(&mac, resolved, now, theirs)) {
                    Ok(found) => {
                        let known = found.map(|(known, ())| known);
                        let bound = known.as_ref().map(|known| known.policy.login.clone());
                        Claim { token, bound, known, missing: None }
                    }
                    Err(who) => Claim { token, bound: None, known: None, missing: Some(who) },
                }
            }
            Ok(known) => {
                let theirs = |known: &Arc<Known>| tokens().find(|token| key.issued(*token, known.policy.id));
                let token = token.or_else(|| known.as_ref().and_then(theirs));
                Claim { token, bound: None, known, missing: None }
            }
            Err(login) => Claim { token, bound: None, known: None, missing: Some(Wanted::Login(login)) },
        }
    }

    /// Start, Interim-Update and Stop: lock, apply, enqueue, unlock. The writer answers.
    fn session_record(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        ticket: Ticket,
        now: Now,
    ) -> Recorded {
        let state = &*self.0;
        let Claim { token, bound, known, missing } = self.claim(request, resolved, now);
        let identity = identity(source, request);
        let Ok(mut record) = accounting::record(request, nas, identity, token, &state.dictionary, now) else {
            return Recorded::Silence(NoReply::NothingToRecord);
        };
        if let Some(login) = bound {
            record.belongs_to(&login);
        }
        let own = match (&known, &missing) {
            (Some(known), _) => known.owner(),
            (None, Some(Wanted::Subscriber(subscriber))) => Owner::Subscriber(*subscriber),
            (None, _) => Owner::Login(record.user_name.clone()),
        };
        // What our token shows to be new is in no row; what began longer ago may have ended, and been
        // forgotten.
        let remembered = state.settings.sessions.tombstone.as_secs();
        let begins = record.status == RecordStatus::Start
            && token.is_some()
            && record.event_time.plus(remembered) > now.unix;
        // Until it is known whose the record is, nobody's session can be judged by it.
        let owner = if missing.is_none() { state.owner(&record, &own, now) } else { None };
        let lookup = owner.as_ref().filter(|owner| **owner != own).map(|owner| {
            // A session that was opened under another name stays with it; its usage and its group do too.
            (state.directory.lookup_owner(owner, now.instant), owner.wanted())
        });
        let (known, missing) = match lookup {
            None => (known, missing),
            Some((Lookup::Known(known), _)) => (Some(known), None),
            Some((Lookup::Absent, _)) => (None, None),
            Some((Lookup::NotLoaded, wanted)) => (None, Some(wanted)),
        };
        let sessions = if owner.is_none() && !resolved.looked_up && !begins {
            rows_of(&record)
        } else {
            SmallVec::new()
        };
        if missing.is_some() || !sessions.is_empty() {
            let work = Work::Load { who: missing, sessions, record: true };
            return self.later(work, (source, request, &record), &own, resolved, ticket, now);
        }
        state.hears_of(record.nas.source);
        if record.input.gigawords.is_some() || record.output.gigawords.is_some() {
            state.counts_widely(&record.nas);
        }
        let known = known.as_deref();
        let is_new = owner.is_none() || record.status == RecordStatus::Start;
        let owner = known.map(Known::owner).or(owner).unwrap_or(own);
        if let Some(known) = known {
            // The NAS goes on with the name that the subscriber had.
            record.belongs_to(&known.policy.login);
        }
        let mut facts = state.record_facts(&record.nas, known);
        facts.id_is_taken = is_new && state.is_of_another(record.unique_id, &owner);
        facts.spooled = matches!(ticket, Ticket::Spooled(_));
        state.with_sessions(&owner, known, now, |sessions| {
            let mut change = sessions.apply(&record, &facts, &state.settings.sessions, now);
            let subscriber = known.map(|known| &known.policy);
            credit::rate(sessions, &mut change, subscriber, &state.settings.engine.zone);
            state.note(&owner, &change);
            let flags = change.session().map(|session| session.flags).unwrap_or_default();
            if flags.wrapped && !flags.gigawords && !facts.nas_sends_gigawords {
                state.counts_narrowly(source);
            }
            let charged = self.charge(known, request, source, sessions, &change, now);
            let begins = matches!(change.what, SessionChange::Opened | SessionChange::Reopened);
            let costs = change.session().is_some_and(|session| session.charge.is_some());
            if known.is_some_and(|known| begins || costs || known.policy.has_quotas()) {
                // What was used now may be the last that there was, for every session that shares it.
                state.look_within(&owner, known, sessions, Rows::Settled, now);
                if let Some(row) = change.rows.first_mut()
                    && let Some(session) = sessions.session(row.unique_id)
                {
                    row.details.granted = session.details.granted;
                }
            }
            if !matches!(ticket, Ticket::Guess) {
                state.meters.session(change.what);
            }
            let same_device =
                known.is_some_and(|known| known.policy.concurrency() == Concurrency::SameDevice);
            for row in change.rows.iter().skip(1).filter(|_| same_device) {
                // The new session of the device is there: the NAS of the old one may not know that it is over.
                if row.closed.as_ref().is_some_and(|closed| closed.guess == Some(CloseGuess::Replaced)) {
                    state.reconciler.end(row.unique_id, SAME_DEVICE, None);
                }
            }
            // The first row is the record's own; the others were closed because of it.
            for guess in change.rows.iter().skip(1).filter_map(|row| row.closed.as_ref()?.guess) {
                state.meters.guess(guess);
            }
            // What a record proves of the use of a subscription is durable with it.
            let used = known
                .filter(|known| known.policy.counts_first_use() || known.policy.counts_last_use())
                .map(|known| known.note_session(change.session().map(|session| session.started), now.unix))
                .unwrap_or_default();
            let mut decision = accounting::decide(change);
            decision.before.extend(used);
            decision.before.extend(charged);
            // The next Interim-Update says all that this one does; nothing follows a Stop.
            let gives_way = record.status == RecordStatus::InterimUpdate;
            self.commit(&owner, decision, ticket, gives_way)
        })
    }
}

impl Aaa {
    /// Charges to top-ups what a record counted beyond the quotas. A record that taught nothing new has
    /// their rows again, as it has those of its usage.
    fn charge(
        &self,
        known: Option<&Known>,
        request: &AccountingRequest<'_>,
        source: IpAddr,
        sessions: &mut SubscriberSessions,
        change: &Change,
        now: Now,
    ) -> SmallVec<[Write; 2]> {
        let Some(known) = known.filter(|known| known.policy.has_top_ups() && !change.usage.is_empty()) else {
            return SmallVec::new();
        };
        let settings = &self.0.settings.engine;
        let attempt = Attempt { attributes: request.attributes().rest(), source, recalled: true };
        let policy = known.policy.policy(attempt, settings, now);
        let charged = known.policy.charge(&policy.limits, sessions, &change.used, settings, now);
        charged.into_iter().map(|(quota, used)| Write::TopUp { quota, used }).collect()
    }
}

/// What becomes of a record.
pub(super) enum Recorded {
    /// Its rows are with the writer, or it is with the spool.
    Pending,
    /// Something has to be fetched first.
    Later(Work, Ticket),
    /// Nothing.
    Silence(NoReply),
}

/// Whose a record says it is.
struct Claim {
    /// Our token in its Class.
    token: Option<ClassToken>,
    /// The login that the token names.
    bound: Option<SmolStr>,
    /// Who has that login, or the one that User-Name names.
    known: Option<Arc<Known>>,
    /// Who has to be looked up first.
    missing: Option<Wanted>,
}

/// The rows that may hold the session of a record from before.
fn rows_of(record: &AccountingRecord) -> SmallVec<[(SessionKey, UniqueId); 2]> {
    let mut rows = SmallVec::from_iter([(record.key, record.unique_id)]);
    if record.nas_key != record.key {
        rows.push((record.nas_key, record.unique_id));
    }
    rows
}

/// The device that asks to be let in by its address: User-Name where that is one, else Calling-Station-Id where
/// there is no User-Name. Where both are addresses they must be of one device.
fn device_of(user_name: Option<&[u8]>, calling_station_id: Option<&[u8]>) -> Option<Mac> {
    let station = calling_station_id.and_then(mac_digits);
    match user_name.filter(|name| !name.is_empty()) {
        Some(name) => mac_digits(name).filter(|mac| station.is_none_or(|station| station == *mac)),
        None => station,
    }
}

/// The login that a User-Name names. Octets that no database could hold name nobody.
fn login_of(user_name: Option<&[u8]>) -> Option<SmolStr> {
    let text = std::str::from_utf8(user_name?).ok()?;
    (!text.is_empty() && !text.contains('\0')).then(|| SmolStr::new(text))
}

/// Which physical NAS speaks.
fn identity(source: IpAddr, request: &Verified<'_>) -> NasIdentity {
    let ipv6 = || request.nas_ipv6_address().map(IpAddr::V6);
    NasIdentity {
        source,
        address: request.nas_ip_address().map(IpAddr::V4).or_else(ipv6),
        identifier: request.nas_identifier().map(text_from_octets).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_asks_by_its_own_address_alone() {
        let mac = Some(*b"02000000000a");
        for name in [&b"02-00-00-00-00-0A"[..], b"0200.0000.000a", b"02000000000A"] {
            assert_eq!(device_of(Some(name), None), mac);
            assert_eq!(device_of(Some(name), Some(b"02:00:00:00:00:0a")), mac);
            // No address: the NAS says nothing of the device.
            assert_eq!(device_of(Some(name), Some(b"port 7")), mac);
            assert_eq!(device_of(Some(name), Some(b"02:00:00:00:00:0b")), None);
        }
        assert_eq!(device_of(None, Some(b"02:00:00:00:00:0a")), mac);
        assert_eq!(device_of(Some(b""), Some(b"02:00:00:00:00:0a")), mac);
        assert_eq!(device_of(Some(b"bob"), Some(b"02:00:00:00:00:0a")), None);
        assert_eq!(device_of(None, None), None);
    }

    #[test]
    fn pc_12_a_user_name_is_a_whole_login_or_nobodys() {
        assert_eq!(login_of(Some(b"bob")).as_deref(), Some("bob"));
        for not_bob in [&b"BOB"[..], b"bob ", b" bob", "b\u{f6}b".as_bytes(), "bob\u{200b}".as_bytes()] {
            let login = login_of(Some(not_bob)).expect("another login");
            assert_eq!(login.as_bytes(), not_bob);
        }
        for nobody in [&b"bob\0evil"[..], b"bob\0", b"\0", b"", b"bob\xff\xfe"] {
            assert_eq!(login_of(Some(nobody)), None, "{nobody:?}");
        }
        assert_eq!(login_of(None), None);
        let longest = [b'n'; 253];
        assert_eq!(login_of(Some(&longest)).map(|login| login.len()), Some(253));
    }
}
