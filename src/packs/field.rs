//! One attribute of a pack: how it is told from others on the wire, and how a number or a text becomes it.

use std::fmt::Write as _;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::radius::attribute::{Attribute, TAG_MAX, VENDOR_SPECIFIC};
use crate::radius::dictionary::{AttributeDef, DataType};
use crate::radius::value::{self, Encoded, Octets};

/// An attribute that a pack names.
#[derive(Clone, Debug)]
pub(super) struct Field {
    def: AttributeDef,
    tag: Option<u8>,
    pub(super) sign: Sign,
}

impl Field {
    /// `None`: it is hidden, internal or in a place where a pack cannot put it.
    pub(super) fn new(def: &AttributeDef, tag: Option<u8>) -> Option<Self> {
        if def.internal || def.hiding.is_some() {
            return None;
        }
        Some(Self { sign: Sign::new(def, tag)?, def: def.clone(), tag })
    }

    /// The same, told from others of its number by what a text says before its first place:
    /// `url-redirect={url}` is one pair among many. Of a text without places by the name before `=`.
    pub(super) fn told_by(mut self, text: &str) -> Self {
        let prefix = match text.split_once('{') {
            Some((prefix, _)) => prefix,
            None => text.split_once('=').map_or("", |(name, _)| name),
        };
        self.sign.prefix = prefix.into();
        self
    }

    /// The name in the dictionary.
    pub(super) fn name(&self) -> &SmolStr {
        &self.def.name
    }

    /// The greatest number it holds; `None` for one that holds no number.
    pub(super) const fn number_max(&self) -> Option<u64> {
        match self.def.data_type {
            DataType::Byte => Some(0xff),
            DataType::Short => Some(0xffff),
            // The tag takes the first octet (RFC 2868 §3).
            DataType::Integer if self.def.tagged => Some(0x00ff_ffff),
            DataType::Integer => Some(0xffff_ffff),
            DataType::Integer64 => Some(u64::MAX),
            _ => None,
        }
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self.def.data_type, DataType::Text)
    }

    /// The whole attribute with a number; `None` if it does not fit.
    pub(super) fn number(&self, number: u64) -> Option<Octets> {
        if number > self.number_max()? {
            return None;
        }
        let octets = number.to_be_bytes();
        let size = match self.def.data_type {
            DataType::Byte => 1,
            DataType::Short => 2,
            DataType::Integer => 4,
            _ => 8,
        };
        self.octets(octets.get(8 - size..)?)
    }

    /// The whole attribute with these octets; `None` if they do not fit.
    pub(super) fn octets(&self, octets: &[u8]) -> Option<Octets> {
        match value::wrap(&self.def, self.tag, octets) {
            Ok(Encoded::Wire(wire)) if wire.len() <= ATTRIBUTE_MAX => Some(wire),
            Ok(Encoded::Wire(_) | Encoded::Hidden(_)) | Err(_) => None,
        }
    }
}

/// How an attribute is told from others on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    number: u8,
    /// What its value begins with: vendor and type, in the vendor's format.
    head: SmallVec<[u8; 8]>,
    /// Octets of length after that.
    lengths: usize,
    /// The value proper may begin with a tag.
    tagged: bool,
    /// With which tag, where the pack says.
    tag: Option<u8>,
    /// What the text begins with, where that tells it from others of its number.
    prefix: SmolStr,
}

impl Sign {
    pub(super) fn new(def: &AttributeDef, tag: Option<u8>) -> Option<Self> {
        let (number, head, lengths) = match (def.specific_vendor(), def.numbers.as_slice()) {
            (Some(vendor), [number]) => {
                let mut head = SmallVec::from_slice(&vendor.number.to_be_bytes());
                let octets = number.to_be_bytes();
                head.extend_from_slice(octets.get(4 - usize::from(vendor.format.type_octets)..)?);
                let lengths =
                    usize::from(vendor.format.length_octets) + usize::from(vendor.format.continuation);
                (VENDOR_SPECIFIC, head, lengths)
            }
            (None, [_]) => (def.standard_number()?, SmallVec::new(), 0),
            _ => return None,
        };
        Some(Self { number, head, lengths, tagged: def.tagged, tag, prefix: SmolStr::default() })
    }

    /// The same where the text begins with `prefix`.
    pub(super) fn beginning(self, prefix: &str) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// The value proper, if the attribute is this one.
    pub(super) fn value<'a>(&self, attribute: Attribute<'a>) -> Option<&'a [u8]> {
        if attribute.number != self.number {
            return None;
        }
        let mut value = attribute.value.strip_prefix(self.head.as_slice())?.get(self.lengths..)?;
        if self.tagged
            && let [tag @ 0..=TAG_MAX, rest @ ..] = value
        {
            if self.tag.is_some_and(|mine| mine != *tag) {
                return None;
            }
            value = rest;
        }
        value.starts_with(self.prefix.as_bytes()).then_some(value)
    }

    pub(super) fn is(&self, attribute: Attribute<'_>) -> bool {
        self.value(attribute).is_some()
    }
}

/// A number that is read from the wire, of any size up to eight octets.
pub(super) fn number_of(value: &[u8]) -> Option<u64> {
    (1..=8)
        .contains(&value.len())
        .then(|| value.iter().fold(0, |number, octet| (number << 8) | u64::from(*octet)))
}

/// Text with places for numbers and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(SmolStr),
    Place(Place),
}

/// What stands in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The rate from the subscriber.
    Up,
    /// The rate to the subscriber.
    Down,
    /// The rate of the field's direction.
    Rate,
    /// Octets of 1.5 seconds at that rate: the normal burst that IOS's manual recommends.
    Burst,
    /// Twice as many: the extended burst.
    Excess,
    /// The volume of what the field counts.
    Volume,
    /// The portal.
    Url,
}

const PLACES: [(&str, Place); 7] = [
    ("up", Place::Up),
    ("down", Place::Down),
    ("rate", Place::Rate),
    ("burst", Place::Burst),
    ("excess", Place::Excess),
    ("volume", Place::Volume),
    ("url", Place::Url),
];

impl Template {
    /// Reads `text`, in which only these places may be. `Err` is what is wrong.
    pub(super) fn read(text: &str, allowed: &[Place]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("{text:?}: a brace is not closed"))?;
            let place = PLACES.iter().find(|(known, place)| *known == name && allowed.contains(place));
            let (_, place) = place.ok_or_else(|| {
                let names = PLACES.iter().filter(|(_, place)| allowed.contains(place));
                let names: Vec<_> = names.map(|(name, _)| format!("{{{name}}}")).collect();
                format!("{text:?}: {{{name}}} is none of {}", names.join(", "))
            })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            parts.push(Part::Place(*place));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        if parts.is_empty() { Err("is empty".to_owned()) } else { Ok(Self(parts)) }
    }

    /// Does it say the same of every session?
    pub(super) fn is_constant(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The text; `None` where `fill` has nothing for a place.
    pub(super) fn fill(&self, fill: impl Fn(Place) -> Option<Filling>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Place(place) => match fill(*place)? {
                    // Writing to a string cannot fail.
                    Filling::Number(number) => {
                        let _ = write!(text, "{number}");
                    }
                    Filling::Text(words) => text.push_str(&words),
                },
            }
        }
        Some(text)
    }
}

/// What is put in a place.
pub(super) enum Filling {
    Number(u64),
    Text(SmolStr),
}

/// Octets of the longest attribute, so that a pack's field is one attribute and never a continued one.
const ATTRIBUTE_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::attribute::Attributes;
    use crate::radius::dictionary::Dictionary;

    fn field(name: &str) -> Field {
        let dictionary = Dictionary::embedded();
        let (def, tag) = dictionary.attribute_with_tag(name).unwrap();
        Field::new(&def, tag).unwrap()
    }

    #[test]
    fn a_field_knows_its_own_attribute_in_every_format() {
        for (name, number, wire) in [
            ("Session-Timeout", 7, "1b0600000007"),
            ("WISPr-Bandwidth-Max-Up", 7, "1a0c0000372a070600000007"),
            // Type and length of two octets.
            ("SN-Tp-Dnlk-Peak-Data-Rate", 7, "1a0e00001fe4004b000800000007"),
            ("UBNT-Data-Rate-DL", 7, "1a100000a098010a0000000000000007"),
        ] {
            let field = field(name);
            let octets = field.number(number).unwrap();
            assert_eq!(hex::encode(&octets), wire, "{name}");
            let attribute = Attributes::new(&octets).next().unwrap();
            assert_eq!(field.sign.value(attribute).and_then(number_of), Some(number), "{name}");
        }
    }

    #[test]
    fn a_tag_and_a_prefix_tell_attributes_of_one_number_apart() {
        let one = field("ERX-Service-Activate:1");
        let two = field("ERX-Service-Activate:2");
        let octets = one.octets(b"gold").unwrap();
        let attribute = Attributes::new(&octets).next().unwrap();
        assert_eq!(one.sign.value(attribute), Some(&b"gold"[..]));
        assert!(!two.sign.is(attribute));
        let pair = field("Cisco-AVPair");
        let octets = pair.octets(b"ip:addr-pool=one").unwrap();
        let attribute = Attributes::new(&octets).next().unwrap();
        assert!(pair.sign.clone().beginning("ip:addr").is(attribute));
        assert!(!pair.sign.beginning("lcp:").is(attribute));
    }

    #[test]
    fn numbers_that_do_not_fit_are_not_cut() {
        assert!(field("WISPr-Bandwidth-Max-Up").number(u64::from(u32::MAX) + 1).is_none());
        assert!(field("ERX-Service-Volume:1").number(0x0100_0000).is_none());
        assert!(field("Filter-Id").number(1).is_none());
        assert!(field("Filter-Id").octets(&[b'x'; 254]).is_none());
    }

    #[test]
    fn a_template_says_what_is_wrong_with_it() {
        let both = [Place::Up, Place::Down];
        let template = Template::read("{down}/{up}", &both).unwrap();
        let filled = template.fill(|place| {
            Some(if place == Place::Up { Filling::Number(1) } else { Filling::Text("x".into()) })
        });
        assert_eq!(filled.as_deref(), Some("x/1"));
        assert!(template.fill(|_| None).is_none());
        assert!(Template::read("plain", &both).unwrap().is_constant());
        assert_eq!(Template::read("{up", &both).unwrap_err(), "\"{up\": a brace is not closed");
        assert_eq!(Template::read("{url}", &both).unwrap_err(), "\"{url}\": {url} is none of {up}, {down}");
        assert!(Template::read("", &both).is_err());
    }
}
