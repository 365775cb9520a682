//! Octets of a value into complete attributes.

use super::{Encoded, Octets, ValueError};
use crate::radius::attribute::{EXTENDED_ATTRIBUTE_5, TAG_MAX, VENDOR_SPECIFIC, VendorFormat, push_extended};
use crate::radius::dictionary::{AttributeDef, DataType, Vendor};
use crate::radius::hiding::Hidden;

/// Most octets of value in one attribute (RFC 2865 §5).
const VALUE_MAX: usize = 253;
/// A text that is too long for one Reply-Message goes on in the next (RFC 2865 §5.18).
const REPLY_MESSAGE: u32 = 18;
/// More octets of fragments than a packet holds are no value of ours to send.
const CONTINUED_MAX: usize = 4096;

/// Puts the octets of a value into attributes.
///
/// # Errors
/// The value does not fit, or the attribute has no such form on the wire.
pub fn wrap(def: &AttributeDef, tag: Option<u8>, octets: &[u8]) -> Result<Encoded, ValueError> {
    if def.internal {
        return Err(ValueError::Internal);
    }
    if tag.is_some_and(|tag| tag > TAG_MAX || !def.tagged) {
        return Err(ValueError::Tag);
    }
    if let Some(method) = def.hiding {
        let plain_layout = def.specific_vendor().is_none_or(|vendor| vendor.format == VendorFormat::STANDARD);
        let extended =
            matches!(def.numbers.as_slice(), [241..=246, _, ..]) && def.specific_vendor().is_none();
        let mut path = def.numbers.iter().map(|number| octet(*number));
        let Some(number) = path.next().filter(|_| plain_layout && !extended) else {
            return Err(ValueError::HiddenInside);
        };
        return Ok(Encoded::Hidden(Hidden {
            vendor: def.specific_vendor().map(|vendor| vendor.number),
            number: number?,
            tlvs: path.collect::<Result<_, _>>()?,
            tag: def.tagged.then(|| tag.unwrap_or(0)),
            method,
            value: octets.into(),
        }));
    }
    if octets.is_empty() {
        return Ok(Encoded::Wire(Octets::new()));
    }
    let body = with_tag(def, tag, octets);
    contain(def, &body).map(Encoded::Wire)
}

/// The tag before the value (RFC 2868 §3): always for integers, whose top octet it replaces; for
/// strings where there is one, or where the first octet would be taken for one.
fn with_tag(def: &AttributeDef, tag: Option<u8>, octets: &[u8]) -> Octets {
    let mut body = Octets::new();
    if def.tagged {
        let tag = tag.unwrap_or(0);
        if def.data_type == DataType::Integer {
            body.push(tag);
            body.extend_from_slice(octets.get(1..).unwrap_or_default());
            return body;
        }
        if tag > 0 || octets.first().is_some_and(|first| *first <= TAG_MAX) {
            body.push(tag);
        }
    }
    body.extend_from_slice(octets);
    body
}

/// The outermost attribute and all between it and the value.
fn contain(def: &AttributeDef, body: &[u8]) -> Result<Octets, ValueError> {
    match (def.specific_vendor(), def.numbers.as_slice()) {
        (Some(vendor), [number, inner @ ..]) => in_vendor_specific(vendor, *number, &nest(inner, body)?),
        (None, [outer @ 241..=246, 26, vendor, number, inner @ ..]) => {
            let mut value = Octets::from_slice(&vendor.to_be_bytes());
            value.push(octet(*number)?);
            value.extend_from_slice(&nest(inner, body)?);
            extended(octet(*outer)?, VENDOR_SPECIFIC, &value)
        }
        (None, [outer @ 241..=246, number, inner @ ..]) => {
            extended(octet(*outer)?, octet(*number)?, &nest(inner, body)?)
        }
        (None, [number, inner @ ..]) => {
            let value = nest(inner, body)?;
            let pieces: Vec<&[u8]> = match (def.concat, *number) {
                (true, _) => value.chunks(VALUE_MAX).collect(),
                (false, REPLY_MESSAGE) => lines(&value),
                (false, _) => vec![&value],
            };
            let mut out = Octets::new();
            for piece in pieces {
                put(&mut out, octet(*number)?, piece)?;
            }
            Ok(out)
        }
        (_, []) => Err(ValueError::Internal),
    }
}

/// TLV in TLV, outermost first in `numbers` (RFC 6929 §2.3).
fn nest(numbers: &[u32], body: &[u8]) -> Result<Octets, ValueError> {
    let mut value = Octets::from_slice(body);
    for number in numbers.iter().rev() {
        let mut outer = Octets::new();
        put(&mut outer, octet(*number)?, &value)?;
        value = outer;
    }
    Ok(value)
}

/// RFC 2865 §5.26, and the layouts of vendors that do not follow it.
fn in_vendor_specific(vendor: &Vendor, number: u32, value: &[u8]) -> Result<Octets, ValueError> {
    let format = vendor.format;
    let header = format.overhead();
    let most = VALUE_MAX - size_of::<u32>() - header;
    let limit = if format.continuation { CONTINUED_MAX } else { most };
    if value.len() > limit {
        return Err(ValueError::TooLong { most: limit, actual: value.len() });
    }
    let mut out = Octets::new();
    let mut pieces = value.chunks(most).peekable();
    while let Some(piece) = pieces.next() {
        let mut inside = Octets::from_slice(&vendor.number.to_be_bytes());
        let type_octets = number.to_be_bytes();
        inside.extend_from_slice(
            type_octets.get(4 - usize::from(format.type_octets).min(4)..).unwrap_or_default(),
        );
        let length = u16::try_from(header + piece.len()).map_err(|_| ValueError::OutOfRange)?.to_be_bytes();
        inside.extend_from_slice(
            length.get(2 - usize::from(format.length_octets).min(2)..).unwrap_or_default(),
        );
        if format.continuation {
            inside.push(if pieces.peek().is_some() { 0x80 } else { 0 });
        }
        inside.extend_from_slice(piece);
        put(&mut out, VENDOR_SPECIFIC, &inside)?;
    }
    Ok(out)
}

/// Extended (RFC 6929 §2.1), and long extended in as many fragments as it needs (§2.2).
fn extended(outer: u8, number: u8, value: &[u8]) -> Result<Octets, ValueError> {
    let most = if outer < EXTENDED_ATTRIBUTE_5 { VALUE_MAX - 1 } else { CONTINUED_MAX };
    let mut out = Octets::new();
    if value.len() <= most && push_extended(outer, number, value, &mut out) {
        return Ok(out);
    }
    Err(ValueError::TooLong { most, actual: value.len() })
}

/// Type, length, value.
fn put(out: &mut Octets, number: u8, value: &[u8]) -> Result<(), ValueError> {
    let too_long = ValueError::TooLong { most: VALUE_MAX, actual: value.len() };
    let length = u8::try_from(value.len() + 2).map_err(|_| too_long)?;
    out.extend_from_slice(&[number, length]);
    out.extend_from_slice(value);
    Ok(())
}

fn octet(number: u32) -> Result<u8, ValueError> {
    u8::try_from(number).map_err(|_| ValueError::OutOfRange)
}

/// Pieces that fit an attribute, none of which ends inside a character.
fn lines(mut text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while text.len() > VALUE_MAX {
        let inside = |at: &usize| text.get(*at).is_some_and(|octet| octet & 0xc0 == 0x80);
        let at = (VALUE_MAX - 3..=VALUE_MAX).rev().find(|at| !inside(at)).unwrap_or(VALUE_MAX);
        let (piece, rest) = text.split_at(at);
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}
