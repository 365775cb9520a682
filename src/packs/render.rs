//! The one rendering: a neutral profile in the attributes of a NAS type.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use super::field::{Filling, Place, number_of};
use super::kinds::{Kind, Kinds, is_changeable};
use super::{Counts, Direction, Pack, RateField, RateValue, Since, VolumeField};
use crate::domain::{Rate, Volume};
use crate::radius::ReplyAttributes;
use crate::radius::attribute::{ACCT_INTERIM_INTERVAL, Attribute, Attributes, SESSION_TIMEOUT};
use crate::radius::dictionary::Dictionary;
use crate::radius::value::{self, Octets};

/// What a session is given, before it is put into the words of its NAS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The rate that a quota or an override sets, in place of whatever the rows say; `None` leaves it, or
    /// one direction of it, to the rows.
    pub rate: Option<Rate>,
    /// How much the session may move from its beginning on.
    pub volume: Volume,
    /// URL of the portal that it is sent to.
    pub redirect: Option<SmolStr>,
    /// How long it may last from its beginning on, seconds.
    pub session_timeout: Option<u32>,
    /// Acct-Interim-Interval, seconds; 0 is none.
    pub interim_interval: u32,
    /// Attributes of the rows as they go on the wire, without the two above.
    pub rows: Cow<'a, [u8]>,
}

impl Profile<'_> {
    /// The same on its own, to be kept as what the NAS was told last.
    #[must_use]
    pub fn into_owned(self) -> Profile<'static> {
        Profile { rows: Cow::Owned(self.rows.into_owned()), ..self }
    }
}

/// What a session has had so far. Some NASes count what a CoA-Request says from that moment on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Seconds since its beginning.
    pub seconds: u32,
    /// Octets to the subscriber.
    pub down: u64,
    /// Octets from the subscriber.
    pub up: u64,
}

/// Why a CoA-Request cannot say it; the session can only be disconnected, and gets it with its next
/// login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotChange {
    /// This NAS type refuses every CoA-Request.
    DisconnectOnly,
    /// This NAS type does not take a change of this kind in a CoA-Request.
    Kind(Kind),
    /// It was limited, and this NAS type has no word for "no more".
    Lift(Kind),
}

/// Seconds by which two ends of a session may differ and still be one: the clocks of NAS and server, and
/// the fraction of a second on either side.
const SESSION_TIMEOUT_TOLERANCE: u32 = 30;

impl Pack {
    /// Appends what an Access-Accept says of `profile`. Rows that say a rate, a volume or a redirect in
    /// this NAS type's attributes stay where nothing overrides them; what nothing concerns stays octet for
    /// octet.
    pub fn accept(&self, profile: &Profile<'_>, reply: &mut ReplyAttributes) {
        let untouched = !self.own_rate
            && profile.rate.is_none()
            && profile.volume.is_unlimited()
            && profile.redirect.is_none();
        if untouched {
            reply.push_wire(&profile.rows);
            if let Some(seconds) = profile.session_timeout {
                reply.push_u32(SESSION_TIMEOUT, seconds);
            }
            if let Some(seconds) = self.interim_interval(profile) {
                reply.push_u32(ACCT_INTERIM_INTERVAL, seconds);
            }
            return;
        }
        let mut rendering = Rendering { pack: self, change: None, notes: None, cannot: None };
        rendering.run(profile, &mut |_, wire| reply.push_wire(wire));
    }

    /// The attributes of a CoA-Request that makes an open session conform to `profile`, as lines
    /// `Name = value` of [`crate::domain::dynamic_auth::Order::ChangeOfAuthorization`]. Pure, and the same
    /// rendering as [`Pack::accept`], so that Accept and CoA cannot differ.
    ///
    /// `kinds` is what has changed ([`Pack::differences`] finds it). A pack that patches says these kinds
    /// and nothing else; where one is no longer limited it says so in the NAS type's words. A pack that
    /// [replaces](Pack::replaces) (CoovaChilli) says the whole profile whatever changed, and leaves out
    /// what is not limited. `past` is what the session has had so far.
    ///
    /// No line at all means that there is nothing that this NAS type could be told about these kinds (a
    /// volume on a type without volume attributes): nothing is to be sent, the server alone enforces it.
    ///
    /// # Errors
    /// This NAS type cannot be told so: the session has to be disconnected.
    pub fn change(
        &self,
        profile: &Profile<'_>,
        kinds: Kinds,
        past: Past,
        dictionary: &Dictionary,
    ) -> Result<Vec<SmolStr>, CannotChange> {
        let said_by_nobody = kinds.iter().all(|kind| !self.can_say(kind));
        if said_by_nobody && !self.replaces {
            return Ok(Vec::new());
        }
        if self.coa_kinds.is_empty() {
            return Err(CannotChange::DisconnectOnly);
        }
        if let Some(kind) = kinds.iter().find(|kind| !self.coa_kinds.contains(*kind) && self.can_say(*kind)) {
            return Err(CannotChange::Kind(kind));
        }
        let wanted = if self.replaces { self.coa_kinds } else { kinds };
        let mut wire = Vec::new();
        let mut said = Kinds::NONE;
        let change = Some(Change { past, lift: kinds });
        let mut rendering = Rendering { pack: self, change, notes: None, cannot: None };
        rendering.run(profile, &mut |kind, octets| {
            if let Some(kind) = kind.filter(|kind| wanted.contains(*kind)) {
                said = said.with(kind);
                wire.extend_from_slice(octets);
            }
        });
        let unsaid = if self.replaces {
            // What is left out is lifted; but all of it cannot be left out.
            kinds.iter().next().filter(|_| said.is_empty())
        } else {
            rendering.cannot.or_else(|| self.silent(kinds, said))
        };
        if let Some(kind) = unsaid {
            return Err(CannotChange::Lift(kind));
        }
        Ok(lines(&wire, dictionary))
    }

    /// A kind that was to be lifted and for which there is no word.
    fn silent(&self, lift: Kinds, said: Kinds) -> Option<Kind> {
        lift.iter().filter(|kind| !said.contains(*kind)).find(|kind| match kind {
            Kind::SessionTimeout | Kind::IdleTimeout | Kind::Other => true,
            Kind::Rate | Kind::Redirect => self.can_say(*kind),
            // A volume that is none any more: `Rendering` has noted it if there is no word. Without an
            // interval the NAS goes on with the one it has.
            Kind::Volume | Kind::InterimInterval => false,
        })
    }

    /// The kinds in which a NAS of this type would be told something else. Ends of the session that are
    /// within half a minute of each other are one.
    #[must_use]
    pub fn differences(&self, told: &Profile<'_>, wanted: &Profile<'_>) -> Kinds {
        let (told_by_kind, wanted_by_kind) = (self.by_kind(told), self.by_kind(wanted));
        Kind::ALL
            .into_iter()
            .filter(|kind| match kind {
                Kind::SessionTimeout => match (told.session_timeout, wanted.session_timeout) {
                    (Some(told), Some(wanted)) => told.abs_diff(wanted) > SESSION_TIMEOUT_TOLERANCE,
                    (told, wanted) => told != wanted,
                },
                kind => told_by_kind.get(*kind as usize) != wanted_by_kind.get(*kind as usize),
            })
            .collect()
    }

    fn by_kind(&self, profile: &Profile<'_>) -> [Vec<u8>; Kind::ALL.len()] {
        let mut kinds: [Vec<u8>; Kind::ALL.len()] = Default::default();
        let mut rendering = Rendering { pack: self, change: None, notes: None, cannot: None };
        rendering.run(profile, &mut |kind, wire| {
            if let Some(octets) = kind.and_then(|kind| kinds.get_mut(kind as usize)) {
                octets.extend_from_slice(wire);
            }
        });
        kinds
    }

    /// What of `profile` a NAS of this type cannot be told as it is, in sentences for `explain`.
    #[must_use]
    pub fn notes(&self, profile: &Profile<'_>) -> Vec<String> {
        let mut notes = Vec::new();
        let mut rendering = Rendering { pack: self, change: None, notes: Some(&mut notes), cannot: None };
        rendering.run(profile, &mut |_, _| {});
        notes
    }

    fn interim_interval(&self, profile: &Profile<'_>) -> Option<u32> {
        (profile.interim_interval > 0).then(|| profile.interim_interval.max(self.interim_interval_min))
    }

    /// What an attribute of the rows says; `None` for one that a running session keeps.
    fn kind_of(&self, attribute: Attribute<'_>) -> Option<Kind> {
        let known = self.signs.iter().find(|(_, sign)| sign.is(attribute)).map(|(kind, _)| *kind);
        let neutral = || self.neutral.iter().any(|(_, sign)| sign.is(attribute)).then_some(Kind::Rate);
        let other = || is_changeable(attribute).then_some(Kind::Other);
        known.or_else(neutral).or_else(other)
    }

    /// The rate that neutral rows say. Of two the last counts; 0 is how they say "not limited".
    fn neutral_rate(&self, rows: &[u8]) -> Rate {
        let mut rate = Rate::default();
        for attribute in Attributes::new(rows) {
            for (direction, sign) in &self.neutral {
                let Some(bits) = sign.value(attribute).and_then(number_of) else { continue };
                let bits = (bits > 0).then_some(bits);
                match direction {
                    Direction::Up => rate.up = bits,
                    Direction::Down | Direction::Both => rate.down = bits,
                }
            }
        }
        rate
    }
}

/// A rendering under way.
struct Rendering<'a, 'n> {
    pack: &'a Pack,
    /// It is for a CoA-Request.
    change: Option<Change>,
    notes: Option<&'n mut Vec<String>>,
    /// A limit that was to be lifted and cannot be.
    cannot: Option<Kind>,
}

#[derive(Clone, Copy)]
struct Change {
    past: Past,
    /// Kinds that are to be said even where they are not limited any more.
    lift: Kinds,
}

/// Takes a kind and one whole attribute, or several of one kind.
type Emit<'e> = &'e mut dyn FnMut(Option<Kind>, &[u8]);

/// Where the rate comes from.
enum RateSource {
    /// The rows as they are.
    Rows,
    /// The rows' own attributes; the neutral ones are left out.
    OwnRows,
    /// This.
    Said(Rate),
}

impl Rendering<'_, '_> {
    fn run(&mut self, profile: &Profile<'_>, emit: Emit<'_>) {
        let pack = self.pack;
        let source = self.rate_source(profile);
        let volumes = self.volumes(profile);
        let redirected = profile.redirect.is_some() && !pack.redirects.is_empty();
        for attribute in Attributes::new(&profile.rows) {
            let kind = pack.kind_of(attribute);
            let replaced = match kind {
                Some(Kind::Rate) => match &source {
                    RateSource::Rows => false,
                    RateSource::OwnRows => !pack.has_sign(Kind::Rate, attribute),
                    RateSource::Said(_) => true,
                },
                Some(Kind::Volume) => pack.volumes.iter().zip(&volumes).any(|(field, volume)| {
                    volume.is_some()
                        && (field.field.sign.is(attribute)
                            || field.gigawords.as_ref().is_some_and(|high| high.sign.is(attribute)))
                }),
                Some(Kind::Redirect) => redirected,
                _ => false,
            };
            if !replaced {
                emit(kind, &whole(attribute));
            }
        }
        if let RateSource::Said(rate) = source {
            self.rate(rate, emit);
        }
        self.volume(profile, &volumes, emit);
        self.redirect(profile, emit);
        self.times(profile, emit);
    }

    fn lifts(&self, kind: Kind) -> bool {
        self.change.is_some_and(|change| change.lift.contains(kind))
    }

    fn note(&mut self, note: impl FnOnce(&str) -> String) {
        let name = self.pack.name();
        if let Some(notes) = &mut self.notes {
            notes.push(note(name));
        }
    }

    fn rate_source(&self, profile: &Profile<'_>) -> RateSource {
        let pack = self.pack;
        if let Some(rate) = profile.rate {
            let rows = pack.neutral_rate(&profile.rows);
            return RateSource::Said(Rate { down: rate.down.or(rows.down), up: rate.up.or(rows.up) });
        }
        let own = Attributes::new(&profile.rows).any(|attribute| pack.has_sign(Kind::Rate, attribute));
        if own {
            return if pack.own_rate { RateSource::OwnRows } else { RateSource::Rows };
        }
        let rate = if pack.own_rate { pack.neutral_rate(&profile.rows) } else { Rate::default() };
        if pack.own_rate || self.lifts(Kind::Rate) { RateSource::Said(rate) } else { RateSource::Rows }
    }

    fn rate(&mut self, rate: Rate, emit: Emit<'_>) {
        for field in &self.pack.rates {
            let limited = match field.direction {
                Direction::Up => rate.up.is_some(),
                Direction::Down => rate.down.is_some(),
                Direction::Both => !rate.is_unlimited(),
            };
            if !limited && !self.lifts(Kind::Rate) {
                continue;
            }
            match self.rate_attribute(field, rate, limited) {
                Some(wire) => emit(Some(Kind::Rate), &wire),
                None if limited => {
                    let name = field.field.name().clone();
                    self.note(|pack| format!("{pack}: {name} cannot say this rate"));
                    if self.change.is_some() {
                        self.cannot = Some(Kind::Rate);
                    }
                }
                None => self.cannot = Some(Kind::Rate),
            }
        }
        for (limited, direction, words) in [
            (rate.up.is_some(), Direction::Up, "from the subscriber"),
            (rate.down.is_some(), Direction::Down, "to the subscriber"),
        ] {
            let can = self
                .pack
                .rates
                .iter()
                .any(|field| field.direction == direction || field.direction == Direction::Both);
            if limited && !can {
                self.note(|pack| format!("{pack} has no attribute for the rate {words}"));
            }
        }
    }

    fn rate_attribute(&mut self, field: &RateField, rate: Rate, limited: bool) -> Option<Octets> {
        let unit = match &field.value {
            RateValue::Constant(wire) => return limited.then(|| wire.clone()),
            RateValue::Number { unit } | RateValue::Text { unit, .. } => unit.bits(),
        };
        // Rounded down, so that nobody gets more than was sold, but never to 0: that is often "no limit".
        let rounded = |bits: u64| {
            let bits = bits - bits % field.step;
            (bits.max(field.step) / unit).max(1)
        };
        let own = if field.direction == Direction::Up { rate.up } else { rate.down };
        match &field.value {
            RateValue::Constant(wire) => Some(wire.clone()),
            RateValue::Number { .. } => {
                let Some(bits) = own else {
                    return field.field.number(field.unlimited.as_ref()?.parse().ok()?);
                };
                let (number, most) = (rounded(bits), field.field.number_max()?);
                if number > most {
                    let name = field.field.name().clone();
                    self.note(|_| {
                        let said = most.saturating_mul(unit);
                        format!("{name} holds at most {said} bit/s: that is sent for {bits} bit/s")
                    });
                }
                field.field.number(number.min(most))
            }
            RateValue::Text { template, .. } => {
                let word = |bits: Option<u64>| match bits {
                    Some(bits) => Some(Filling::Number(rounded(bits))),
                    None => field.unlimited.clone().map(Filling::Text),
                };
                let burst = || {
                    let bits = own.map(|bits| (bits - bits % field.step).max(field.step))?;
                    // 1.5 s at eight bits an octet.
                    Some((bits / 16).saturating_mul(3).clamp(BURST_OCTETS_MIN, BURST_OCTETS_MAX))
                };
                let text = template.fill(|place| match place {
                    Place::Up => word(rate.up),
                    Place::Down => word(rate.down),
                    Place::Rate => word(own),
                    Place::Burst => burst().map(Filling::Number),
                    Place::Excess => burst().map(|octets| Filling::Number(2 * octets)),
                    Place::Volume | Place::Url => None,
                })?;
                field.field.octets(text.as_bytes())
            }
        }
    }

    /// For each volume attribute the octets from the beginning of the session on that it is to say; `None`
    /// where the rows keep it.
    fn volumes(&self, profile: &Profile<'_>) -> Vec<Option<u64>> {
        let pack = self.pack;
        let has_total = pack.volumes.iter().any(|field| field.counts == Counts::Total);
        let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        // Without an attribute for both directions together each is held to it: never too early.
        let total = profile.volume.total.filter(|_| !has_total);
        pack.volumes
            .iter()
            .map(|field| {
                let computed = match field.counts {
                    Counts::Total => profile.volume.total,
                    Counts::Down => least(profile.volume.down, total),
                    Counts::Up => least(profile.volume.up, total),
                };
                let row = row_volume(field, &profile.rows);
                let recount = field.since == Since::Now && self.change.is_some();
                if computed.is_some() || (recount && row.is_some()) { least(computed, row) } else { None }
            })
            .collect()
    }

    fn volume(&mut self, profile: &Profile<'_>, volumes: &[Option<u64>], emit: Emit<'_>) {
        let pack = self.pack;
        let mut said = Attributes::new(&profile.rows).any(|it| pack.has_sign(Kind::Volume, it));
        for (field, volume) in pack.volumes.iter().zip(volumes) {
            let Some(octets) = *volume else { continue };
            let past = match (field.since, self.change) {
                (Since::Now, Some(Change { past, .. })) => match field.counts {
                    Counts::Total => past.down.saturating_add(past.up),
                    Counts::Down => past.down,
                    Counts::Up => past.up,
                },
                _ => 0,
            };
            let units = octets.saturating_sub(past).div_ceil(field.unit.octets()).max(1);
            said = true;
            match self.volume_attributes(field, units) {
                Some((low, high)) => {
                    emit(Some(Kind::Volume), &low);
                    if let Some(high) = high {
                        emit(Some(Kind::Volume), &high);
                    }
                }
                None => {
                    let name = field.field.name().clone();
                    self.note(|_| {
                        format!("{name} cannot hold {octets} octets: it is not sent, and the server ends the session")
                    });
                }
            }
        }
        if !said && self.lifts(Kind::Volume) && !pack.volumes.is_empty() {
            for field in &pack.volumes {
                match field.unlimited.and_then(|number| self.volume_attributes(field, number)) {
                    Some((low, high)) => {
                        emit(Some(Kind::Volume), &low);
                        if let Some(high) = high {
                            emit(Some(Kind::Volume), &high);
                        }
                    }
                    None => self.cannot = Some(Kind::Volume),
                }
            }
        }
        if pack.volumes.is_empty() && !profile.volume.is_unlimited() {
            self.note(|pack| format!("{pack} has no attribute for a volume: the server ends the session"));
        }
    }

    /// The attribute, and the one with the number of 2^32 units: where it is needed, and in a change also
    /// where it is 0, since an earlier one may have been more.
    fn volume_attributes(&self, field: &VolumeField, units: u64) -> Option<(Octets, Option<Octets>)> {
        if let Some(template) = &field.template {
            let text = template.fill(|_| Some(Filling::Number(units)))?;
            return Some((field.field.octets(text.as_bytes())?, None));
        }
        let Some(gigawords) = &field.gigawords else { return Some((field.field.number(units)?, None)) };
        let high = units >> 32;
        let low = field.field.number(units & 0xffff_ffff)?;
        let patches = self.change.is_some() && !self.pack.replaces;
        Some((low, if high > 0 || patches { Some(gigawords.number(high)?) } else { None }))
    }

    fn redirect(&mut self, profile: &Profile<'_>, emit: Emit<'_>) {
        let Some(url) = &profile.redirect else {
            let rows = Attributes::new(&profile.rows).any(|it| self.pack.has_sign(Kind::Redirect, it));
            if self.lifts(Kind::Redirect) && !rows {
                for field in &self.pack.redirects {
                    let lifted = field.lift.as_ref().and_then(|word| field.field.octets(word.as_bytes()));
                    match lifted {
                        Some(wire) => emit(Some(Kind::Redirect), &wire),
                        None => self.cannot = Some(Kind::Redirect),
                    }
                }
            }
            return;
        };
        for field in &self.pack.redirects {
            let text = field.template.fill(|_| Some(Filling::Text(url.clone())));
            match text.and_then(|text| field.field.octets(text.as_bytes())) {
                Some(wire) => emit(Some(Kind::Redirect), &wire),
                None => {
                    let name = field.field.name().clone();
                    self.note(|_| format!("{name} cannot hold {url}: it is not sent"));
                }
            }
        }
        if self.pack.redirects.is_empty() {
            self.note(|pack| format!("{pack} has no attribute for a redirect"));
        }
    }

    fn times(&self, profile: &Profile<'_>, emit: Emit<'_>) {
        let mut reply = ReplyAttributes::new();
        match (profile.session_timeout, self.change) {
            (Some(seconds), None) => reply.push_u32(SESSION_TIMEOUT, seconds),
            (Some(seconds), Some(Change { past, .. })) => {
                let seconds = match self.pack.coa_timeout_since {
                    Since::Start => seconds,
                    Since::Now => seconds.saturating_sub(past.seconds).max(1),
                };
                let field = self.pack.coa_timeout.as_ref();
                if let Some(wire) = field.and_then(|field| field.number(seconds.into())) {
                    reply.push_wire(&wire);
                }
            }
            (None, _) => {}
        }
        if !reply.is_empty() {
            emit(Some(Kind::SessionTimeout), reply.attributes().rest());
        }
        if let Some(seconds) = self.pack.interim_interval(profile) {
            let mut reply = ReplyAttributes::new();
            reply.push_u32(ACCT_INTERIM_INTERVAL, seconds);
            emit(Some(Kind::InterimInterval), reply.attributes().rest());
        }
    }
}

/// Octets that the rows say in a field's attributes; the last of each counts.
fn row_volume(field: &VolumeField, rows: &[u8]) -> Option<u64> {
    // What a text says is a row's own affair.
    field.field.number_max()?;
    let (mut low, mut high) = (None, None);
    for attribute in Attributes::new(rows) {
        low = field.field.sign.value(attribute).and_then(number_of).or(low);
        let words = field.gigawords.as_ref().and_then(|gigawords| gigawords.sign.value(attribute));
        high = words.and_then(number_of).or(high);
    }
    if low.is_none() && high.is_none() {
        return None;
    }
    let units = high.unwrap_or(0).saturating_mul(1 << 32).saturating_add(low.unwrap_or(0));
    Some(units.saturating_mul(field.unit.octets()))
}

/// The attribute with its header again.
fn whole(attribute: Attribute<'_>) -> Octets {
    let mut octets = Octets::new();
    // An attribute that was read is no longer than its length octet says.
    octets.extend([attribute.number, u8::try_from(attribute.value.len() + 2).unwrap_or(u8::MAX)]);
    octets.extend_from_slice(attribute.value);
    octets
}

/// Attributes as lines that [`crate::domain::dynamic_auth::Order::ChangeOfAuthorization`] takes.
fn lines(wire: &[u8], dictionary: &Dictionary) -> Vec<SmolStr> {
    value::values(Attributes::new(wire), dictionary)
        .iter()
        .map(|value| {
            let (name, text) = (value.name(dictionary), value.print(dictionary));
            // Read back, a line loses blanks at its ends and a pair of quotes.
            if text.trim() == text {
                format_smolstr!("{name} = {text}")
            } else {
                format_smolstr!("{name} = \"{text}\"")
            }
        })
        .collect()
}

/// IOS takes no smaller burst,
const BURST_OCTETS_MIN: u64 = 1_000;
/// and none that is greater.
const BURST_OCTETS_MAX: u64 = 512_000_000;
