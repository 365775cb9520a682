//! What a packet's attributes say, with their definitions.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::radius::attribute::{
    self, Attribute, Attributes, EXTENDED_ATTRIBUTE_1, EXTENDED_ATTRIBUTE_6, SubAttributes, VENDOR_SPECIFIC,
};
use crate::radius::dictionary::{AttributeDef, DataType, Dictionary, NumberPath, Vendor, unknown_vendor};

/// TLVs are followed this deep; what lies deeper stays the octets of its parent. No dictionary
/// nests deeper than three.
const DEPTH_MAX: usize = 8;

/// What is known of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<'d> {
    /// The dictionary defines it, and the octets are a value of its type.
    Known(&'d AttributeDef),
    /// The dictionary defines it, and the octets are no value of its type: to be treated as an
    /// attribute that nobody knows (RFC 6929 §2.8).
    Invalid(&'d AttributeDef),
    /// The dictionary does not have it.
    Unknown,
}

/// One value of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a, 'd> {
    /// What is known of it.
    pub meaning: Meaning<'d>,
    /// Whose Vendor-Specific it is in.
    pub vendor: Option<u32>,
    /// Its numbers, as in [`AttributeDef::numbers`].
    pub numbers: NumberPath,
    /// Its tag, where it has one above 0.
    pub tag: Option<u8>,
    /// The octets without header and tag. Still hidden if the attribute is.
    pub octets: Cow<'a, [u8]>,
}

impl<'d> Value<'_, 'd> {
    /// The definition, if there is one and the octets are a value of its type.
    #[must_use]
    pub const fn def(&self) -> Option<&'d AttributeDef> {
        match self.meaning {
            Meaning::Known(def) => Some(def),
            Meaning::Invalid(_) | Meaning::Unknown => None,
        }
    }

    /// Its name with the tag, `Attr-…` where there is none.
    #[must_use]
    pub fn name(&self, dictionary: &Dictionary) -> String {
        match (self.def(), self.tag) {
            (Some(def), Some(tag)) => format!("{}:{tag}", def.name),
            (Some(def), None) => def.name.to_string(),
            (None, _) => {
                let vendor = self.vendor.map(|number| {
                    dictionary.vendor(number).cloned().unwrap_or_else(|| unknown_vendor(number))
                });
                AttributeDef::unknown(vendor, &self.numbers).name.to_string()
            }
        }
    }

    /// Its text; hidden values are not shown.
    #[must_use]
    pub fn print(&self, dictionary: &Dictionary) -> String {
        match self.def() {
            Some(def) if def.hiding.is_some() => String::from("<hidden>"),
            Some(def) => super::print(def, &self.octets, dictionary),
            None => format!("0x{}", hex::encode(&self.octets)),
        }
    }
}

/// All values among `attributes`: ordinary attributes in order, those inside Vendor-Specific and
/// TLVs one by one, continued ones put together; then those of the extended spaces. Nothing here
/// can fail: what does not hold together is a value of its outermost whole attribute.
#[must_use]
pub fn values<'a, 'd>(attributes: Attributes<'a>, dictionary: &'d Dictionary) -> Vec<Value<'a, 'd>> {
    let mut walk = Walk { dictionary, found: Vec::new() };
    let mut rest = attributes.clone();
    while let Some(Attribute { number, value }) = rest.next() {
        match number {
            EXTENDED_ATTRIBUTE_1..=EXTENDED_ATTRIBUTE_6 => {}
            VENDOR_SPECIFIC => walk.vendor_specific(value, &mut rest),
            _ => {
                let octets = match dictionary.standard(number) {
                    Some(def) if def.concat => joined(number, value, &mut rest),
                    _ => Cow::Borrowed(value),
                };
                walk.value(None, NumberPath::from_slice(&[number.into()]), octets, 0);
            }
        }
    }
    for extended in attribute::extended_attributes(attributes) {
        walk.extended(extended);
    }
    walk.found
}

/// The value and those of the attributes of the same number right behind it (RFC 8044 §3.6,
/// RFC 3579 §3.1).
fn joined<'a>(number: u8, value: &'a [u8], rest: &mut Attributes<'a>) -> Cow<'a, [u8]> {
    let mut whole = Cow::Borrowed(value);
    loop {
        let mut ahead = rest.clone();
        match ahead.next() {
            Some(next) if next.number == number => whole.to_mut().extend_from_slice(next.value),
            _ => return whole,
        }
        *rest = ahead;
    }
}

struct Walk<'a, 'd> {
    dictionary: &'d Dictionary,
    found: Vec<Value<'a, 'd>>,
}

impl<'a, 'd> Walk<'a, 'd> {
    fn vendor_specific(&mut self, value: &'a [u8], rest: &mut Attributes<'a>) {
        let read = attribute::vendor_specific(value).and_then(|(number, data)| {
            let vendor = self.vendor(number);
            Some((SubAttributes::new(data, vendor.format)?, vendor))
        });
        let Some((inside, vendor)) = read else {
            return self.opaque(
                None,
                NumberPath::from_slice(&[VENDOR_SPECIFIC.into()]),
                Cow::Borrowed(value),
            );
        };
        for sub in inside {
            let octets =
                if sub.more { self.continued(sub, &vendor, rest) } else { Some(Cow::Borrowed(sub.value)) };
            let numbers = NumberPath::from_slice(&[sub.number]);
            match octets {
                Some(octets) => self.value(Some(vendor.number), numbers, octets, 0),
                None => self.opaque(Some(vendor.number), numbers, Cow::Borrowed(sub.value)),
            }
        }
    }

    fn vendor(&self, number: u32) -> Arc<Vendor> {
        self.dictionary.vendor(number).cloned().unwrap_or_else(|| unknown_vendor(number))
    }

    /// The rest of a value whose vendor continues it in the next Vendor-Specific (WiMAX); `None`
    /// where it breaks off.
    fn continued(
        &self,
        first: attribute::SubAttribute<'a>,
        vendor: &Vendor,
        rest: &mut Attributes<'a>,
    ) -> Option<Cow<'a, [u8]>> {
        let mut whole = first.value.to_vec();
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next().filter(|next| next.number == VENDOR_SPECIFIC)?;
            let (_, data) =
                attribute::vendor_specific(next.value).filter(|(number, _)| *number == vendor.number)?;
            let mut inside = SubAttributes::new(data, vendor.format)?;
            let next = inside.next().filter(|next| next.number == first.number)?;
            if inside.next().is_some() {
                return None;
            }
            *rest = ahead;
            whole.extend_from_slice(next.value);
            if !next.more {
                return Some(Cow::Owned(whole));
            }
        }
    }

    fn extended(&mut self, extended: attribute::Extended<'a>) {
        let attribute::Extended { space, number, value } = extended;
        let mut numbers = NumberPath::from_slice(&[space.into(), number.into()]);
        if number != VENDOR_SPECIFIC {
            return self.value(None, numbers, value, 0);
        }
        let Some((vendor, inner, data)) = attribute::extended_vendor(&value) else {
            return self.opaque(None, numbers, value);
        };
        numbers.extend([vendor, inner.into()]);
        let before = value.len() - data.len();
        let data = part(&value, before..value.len());
        self.value(None, numbers, data, 0);
    }

    /// A value that is whole; if it is a TLV, those inside it.
    fn value(&mut self, vendor: Option<u32>, numbers: NumberPath, octets: Cow<'a, [u8]>, depth: usize) {
        let Some(def) = self.dictionary.by_path(vendor, &numbers) else {
            return self.found.push(Value { meaning: Meaning::Unknown, vendor, numbers, tag: None, octets });
        };
        if def.data_type == DataType::Tlv
            && depth < DEPTH_MAX
            && let Some(children) = tlvs(&octets)
        {
            for (number, at) in children {
                let mut inner = numbers.clone();
                inner.push(number);
                self.value(vendor, inner, part(&octets, at), depth + 1);
            }
            return;
        }
        let (tag, octets) = if def.tagged { untag(def, octets) } else { (None, octets) };
        if def.array && self.array(def, vendor, &numbers, &octets) {
            return;
        }
        let meaning = if is_valid(def, &octets) { Meaning::Known(def) } else { Meaning::Invalid(def) };
        self.found.push(Value { meaning, vendor, numbers, tag, octets });
    }

    /// Values of fixed size one behind the other in one attribute.
    fn array(
        &mut self,
        def: &'d AttributeDef,
        vendor: Option<u32>,
        numbers: &NumberPath,
        octets: &[u8],
    ) -> bool {
        let size = match def.data_type {
            DataType::Byte => 1,
            DataType::Short => 2,
            DataType::Integer | DataType::Signed | DataType::Date | DataType::Ipv4Address => 4,
            DataType::Integer64 => 8,
            DataType::Ipv6Address => 16,
            _ => return false,
        };
        if octets.len() <= size || !octets.len().is_multiple_of(size) {
            return false;
        }
        for value in octets.chunks_exact(size) {
            let octets = Cow::Owned(value.to_vec());
            self.found.push(Value {
                meaning: Meaning::Known(def),
                vendor,
                numbers: numbers.clone(),
                tag: None,
                octets,
            });
        }
        true
    }

    fn opaque(&mut self, vendor: Option<u32>, numbers: NumberPath, octets: Cow<'a, [u8]>) {
        let def = self.dictionary.by_path(vendor, &numbers);
        let meaning = def.map_or(Meaning::Unknown, Meaning::Invalid);
        self.found.push(Value { meaning, vendor, numbers, tag: None, octets });
    }
}

/// Type and place of each TLV in a value, or `None` where there is none or they do not fill it.
fn tlvs(octets: &[u8]) -> Option<Vec<(u32, Range<usize>)>> {
    let mut end = 0;
    let mut place = |tlv: attribute::SubAttribute<'_>| {
        let start = end + 2;
        end = start + tlv.value.len();
        (tlv.number, start..end)
    };
    let found: Vec<_> = attribute::tlvs(octets)?.map(&mut place).collect();
    Some(found).filter(|found| !found.is_empty())
}

/// Some of the octets, borrowed where they are.
fn part<'a>(octets: &Cow<'a, [u8]>, at: Range<usize>) -> Cow<'a, [u8]> {
    match octets {
        Cow::Borrowed(octets) => Cow::Borrowed(octets.get(at).unwrap_or_default()),
        Cow::Owned(octets) => Cow::Owned(octets.get(at).unwrap_or_default().to_vec()),
    }
}

/// Tag and value (RFC 2868 §3). A hidden value keeps its tag apart as well.
fn untag<'a>(def: &AttributeDef, octets: Cow<'a, [u8]>) -> (Option<u8>, Cow<'a, [u8]>) {
    let above_none = |tag: u8| (tag > 0).then_some(tag);
    if def.data_type == DataType::Integer && def.hiding.is_none() {
        return match attribute::tagged_integer(&octets) {
            Some((tag, number)) => (above_none(tag), Cow::Owned(number.to_be_bytes().to_vec())),
            None => (None, octets),
        };
    }
    let (tag, text) = attribute::tagged_string(&octets);
    let before = octets.len() - text.len();
    let text = part(&octets, before..octets.len());
    (above_none(tag), text)
}

/// Are the octets a value of the attribute's type (RFC 8044 §3)? A hidden value is not judged.
#[must_use]
pub fn is_valid(def: &AttributeDef, octets: &[u8]) -> bool {
    if def.hiding.is_some() {
        return true;
    }
    if def.length.is_some_and(|length| octets.len() != usize::from(length)) {
        return false;
    }
    match def.data_type {
        DataType::Text | DataType::Octets | DataType::Abinary => true,
        DataType::Byte => octets.len() == 1,
        DataType::Short => octets.len() == 2,
        DataType::Integer | DataType::Signed | DataType::Date | DataType::Ipv4Address => octets.len() == 4,
        DataType::Integer64 | DataType::InterfaceId => octets.len() == 8,
        DataType::Ether => octets.len() == 6,
        DataType::Ipv6Address => octets.len() == 16,
        DataType::ComboIp => matches!(octets.len(), 4 | 16),
        DataType::Ipv4Prefix => match octets {
            [_, length @ 0..=32, address @ ..] => address.len() == 4 && rest_is_zero(address, *length),
            _ => false,
        },
        DataType::Ipv6Prefix => match octets {
            [_, length @ 0..=128, address @ ..] => {
                let needed = usize::from(length.div_ceil(8));
                (needed..=16).contains(&address.len()) && rest_is_zero(address, *length)
            }
            _ => false,
        },
        DataType::Tlv | DataType::Vsa | DataType::Extended | DataType::LongExtended | DataType::Evs => false,
    }
}

/// Are all bits behind the first `length` zero?
fn rest_is_zero(address: &[u8], length: u8) -> bool {
    let length = usize::from(length);
    let mut bits = address.iter().enumerate();
    bits.all(|(at, octet)| {
        let kept = length.saturating_sub(at * 8).min(8);
        let mask = u8::try_from(0xff_u32 >> kept).unwrap_or(0);
        octet & mask == 0
    })
}
