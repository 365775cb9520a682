//! The file of a pack: what is written, and the pack it makes with the names of a dictionary.

use serde::Deserialize;
use smol_str::SmolStr;

use super::field::{Field, Place, Sign, Template};
use super::identify::Identifies;
use super::kinds::{Kind, Kinds};
use super::{
    Counts, Direction, Pack, RateField, RateValue, RedirectField, Since, Unit, VolumeField, VolumeUnit,
};
use crate::radius::attribute::{ACCT_INTERIM_INTERVAL, IDLE_TIMEOUT, SESSION_TIMEOUT};
use crate::radius::dictionary::Dictionary;

/// A pack as written. Every key is optional: what is left out is as on a NAS that keeps to the RFCs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Other attributes in which a row may say a rate: it then wins over the plan's.
    rate_also: Vec<String>,
    volume_also: Vec<String>,
    redirect_also: Vec<String>,
    idle_timeout_also: Vec<String>,
    rate: Vec<WrittenRate>,
    volume: Vec<WrittenVolume>,
    redirect: Vec<WrittenRedirect>,
    session: WrittenSession,
    coa: WrittenCoa,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRate {
    attribute: String,
    direction: String,
    unit: Option<String>,
    /// The value of a text attribute, or the constant of a number.
    text: Option<String>,
    /// Bit/s to whose multiple the NAS rounds: rounded down here.
    step: Option<u64>,
    /// The word for "no limit".
    unlimited: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVolume {
    attribute: String,
    counts: String,
    unit: Option<String>,
    gigawords: Option<String>,
    text: Option<String>,
    since: Option<String>,
    unlimited: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRedirect {
    attribute: String,
    text: Option<String>,
    /// The value that takes it away again.
    lift: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenSession {
    interim_interval_min: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenCoa {
    port: Option<u16>,
    mode: Option<String>,
    kinds: Option<Vec<String>>,
    identify: Option<Vec<String>>,
    session_timeout: Option<String>,
    session_timeout_since: Option<String>,
}

/// Makes the pack called `name`. What cannot be understood is left out and told in `remarks`.
///
/// # Errors
/// The text is no TOML, or has a key that a pack does not.
pub(super) fn read(
    name: &str,
    text: &str,
    dictionary: &Dictionary,
    remarks: &mut Vec<String>,
) -> Result<Pack, String> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count());
        format!("line {}: {}", line.max(1), error.message())
    })?;
    let mut reader = Reader { name, dictionary, remarks };
    Ok(reader.pack(&written))
}

struct Reader<'a> {
    name: &'a str,
    dictionary: &'a Dictionary,
    remarks: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn pack(&mut self, written: &Written) -> Pack {
        let mut pack = Pack::plain(self.name);
        let rates: Vec<_> = written.rate.iter().filter_map(|rate| self.rate(rate)).collect();
        pack.signs.extend(rates.iter().map(|rate| (Kind::Rate, rate.field.sign.clone())));
        if !rates.is_empty() {
            pack.rates = rates;
            pack.own_rate = true;
        }
        self.wispr(&mut pack);
        for (kind, also) in [
            (Kind::Rate, &written.rate_also),
            (Kind::Volume, &written.volume_also),
            (Kind::Redirect, &written.redirect_also),
            (Kind::IdleTimeout, &written.idle_timeout_also),
        ] {
            pack.signs.extend(also.iter().filter_map(|name| Some((kind, self.sign(name)?))));
        }
        for volume in &written.volume {
            if let Some(volume) = self.volume(volume) {
                let fields = std::iter::once(&volume.field).chain(&volume.gigawords);
                pack.signs.extend(fields.map(|field| (Kind::Volume, field.sign.clone())));
                pack.volumes.push(volume);
            }
        }
        for redirect in &written.redirect {
            if let Some(redirect) = self.redirect(redirect) {
                pack.signs.push((Kind::Redirect, redirect.field.sign.clone()));
                pack.redirects.push(redirect);
            }
        }
        for (kind, number) in [
            (Kind::SessionTimeout, SESSION_TIMEOUT),
            (Kind::IdleTimeout, IDLE_TIMEOUT),
            (Kind::InterimInterval, ACCT_INTERIM_INTERVAL),
        ] {
            let standard = self.dictionary.standard(number).and_then(|def| Sign::new(def, None));
            pack.signs.extend(standard.map(|sign| (kind, sign)));
        }
        if let Some(least) = written.session.interim_interval_min {
            pack.interim_interval_min = least;
        }
        self.coa(&mut pack, &written.coa);
        pack
    }

    /// WISPr's attributes are how our plans write a rate. Types without rate attributes of their own are
    /// sent them as they are.
    fn wispr(&mut self, pack: &mut Pack) {
        for (name, direction) in
            [("WISPr-Bandwidth-Max-Up", Direction::Up), ("WISPr-Bandwidth-Max-Down", Direction::Down)]
        {
            if let Some(field) = self.field(name) {
                pack.neutral.push((direction, field.sign.clone()));
                if pack.own_rate {
                    continue;
                }
                pack.signs.push((Kind::Rate, field.sign.clone()));
                let value = RateValue::Number { unit: Unit::Bits };
                pack.rates.push(RateField { field, direction, value, step: 1, unlimited: None });
            }
        }
    }

    fn rate(&mut self, written: &WrittenRate) -> Option<RateField> {
        let mut field = self.field(&written.attribute)?;
        let direction = self.word(
            "rate.direction",
            &written.direction,
            &[("up", Direction::Up), ("down", Direction::Down), ("both", Direction::Both)],
        )?;
        let units = [("bit/s", Unit::Bits), ("kbit/s", Unit::Kilobits), ("octets/s", Unit::Octets)];
        let unit = match &written.unit {
            Some(unit) => self.word("rate.unit", unit, &units)?,
            None => Unit::Bits,
        };
        let value = match &written.text {
            None if field.number_max().is_some() && direction != Direction::Both => {
                RateValue::Number { unit }
            }
            None => return self.remark(format!("{}: a text for the rate is missing", field.name())),
            Some(text) => {
                let allowed: &[Place] = match direction {
                    Direction::Both => &[Place::Up, Place::Down],
                    Direction::Up | Direction::Down => &[Place::Rate, Place::Burst, Place::Excess],
                };
                let template = self.template(&field, text, allowed)?;
                if template.is_constant() {
                    let octets = self
                        .dictionary
                        .attribute_with_tag(&written.attribute)
                        .and_then(|(def, _)| crate::radius::value::octets(&def, text, self.dictionary).ok());
                    let Some(wire) = octets.and_then(|octets| field.octets(&octets)) else {
                        return self.remark(format!("{}: {text:?} is no value of it", field.name()));
                    };
                    RateValue::Constant(wire)
                } else if field.is_text() {
                    field = field.told_by(text);
                    RateValue::Text { unit, template }
                } else {
                    return self.remark(format!("{} is no text", field.name()));
                }
            }
        };
        let unlimited = written.unlimited.as_deref().map(SmolStr::new);
        Some(RateField { field, direction, value, step: written.step.unwrap_or(1).max(1), unlimited })
    }

    fn volume(&mut self, written: &WrittenVolume) -> Option<VolumeField> {
        let mut field = self.field(&written.attribute)?;
        let counts = self.word(
            "volume.counts",
            &written.counts,
            &[("total", Counts::Total), ("down", Counts::Down), ("up", Counts::Up)],
        )?;
        let units =
            [("octets", VolumeUnit::Octets), ("KB", VolumeUnit::Kilobytes), ("MB", VolumeUnit::Megabytes)];
        let unit = match &written.unit {
            Some(unit) => self.word("volume.unit", unit, &units)?,
            None => VolumeUnit::Octets,
        };
        let since = self.since("volume.since", written.since.as_deref())?;
        let gigawords = match &written.gigawords {
            Some(name) => Some(self.field(name)?),
            None => None,
        };
        let template = match &written.text {
            Some(text) => {
                let template = self.template(&field, text, &[Place::Volume])?;
                field = field.told_by(text);
                Some(template)
            }
            None if field.number_max().is_none() => {
                return self.remark(format!("{}: a text for the volume is missing", field.name()));
            }
            None => None,
        };
        Some(VolumeField { field, gigawords, counts, unit, template, since, unlimited: written.unlimited })
    }

    fn redirect(&mut self, written: &WrittenRedirect) -> Option<RedirectField> {
        let field = self.field(&written.attribute)?;
        let text = written.text.as_deref().unwrap_or("{url}");
        let template = self.template(&field, text, &[Place::Url])?;
        let lift = written.lift.as_deref().map(SmolStr::new);
        Some(RedirectField { field: field.told_by(text), template, lift })
    }

    fn coa(&mut self, pack: &mut Pack, written: &WrittenCoa) {
        if let Some(port) = written.port {
            pack.coa_port = port;
        }
        if let Some(mode) = &written.mode
            && let Some(replace) = self.word("coa.mode", mode, &[("replace", true), ("patch", false)])
        {
            pack.replaces = replace;
        }
        if let Some(kinds) = &written.kinds {
            let known = kinds.iter().filter_map(|word| {
                Kind::parse(word).or_else(|| self.remark(format!("coa.kinds: {word:?} is no kind")))
            });
            pack.coa_kinds = known.collect::<Kinds>();
        }
        if let Some(names) = &written.identify {
            let known = names.iter().filter_map(|name| {
                Identifies::parse(name)
                    .or_else(|| self.remark(format!("coa.identify: {name:?} identifies no session")))
            });
            pack.identify = known.collect();
        }
        if let Some(since) = self.since("coa.session_timeout_since", written.session_timeout_since.as_deref())
        {
            pack.coa_timeout_since = since;
        }
        let name = written.session_timeout.as_deref().unwrap_or("Session-Timeout");
        pack.coa_timeout = self.field(name);
    }

    fn since(&mut self, key: &str, written: Option<&str>) -> Option<Since> {
        let words = [("start", Since::Start), ("now", Since::Now)];
        written.map_or(Some(Since::Start), |word| self.word(key, word, &words))
    }

    fn word<T: Copy>(&mut self, key: &str, written: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value);
        found.or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.remark(format!("{key}: {written:?} is none of {}", known.join(", ")))
        })
    }

    fn field(&mut self, name: &str) -> Option<Field> {
        let Some((def, tag)) = self.dictionary.attribute_with_tag(name) else {
            return self.remark(format!("no dictionary has {name}: it is left out"));
        };
        Field::new(&def, tag)
            .or_else(|| self.remark(format!("{name} cannot be sent by a pack: it is left out")))
    }

    /// `Name`, or `Name=beginning of the text`.
    fn sign(&mut self, written: &str) -> Option<Sign> {
        let (name, prefix) = written.split_once('=').unwrap_or((written, ""));
        Some(self.field(name)?.sign.beginning(prefix))
    }

    fn template(&mut self, field: &Field, text: &str, allowed: &[Place]) -> Option<Template> {
        Template::read(text, allowed)
            .map_err(|why| self.remark::<()>(format!("{}: {why}", field.name())))
            .ok()
    }

    fn remark<T>(&mut self, what: impl std::fmt::Display) -> Option<T> {
        self.remarks.push(format!("pack {}: {what}", self.name));
        None
    }
}
