//! Values: what is written in a table row as octets on the wire, and back (RFC 8044 and the types
//! that FreeRADIUS's dictionaries add).
//!
//! Three steps, each usable alone: [`octets`] reads text as the attribute's data type, [`wrap`]
//! puts the octets into complete attributes (tag, TLV, Vendor-Specific, extended, continuation),
//! and [`encode`] is both. The way back is [`values`] for a packet's attributes and [`print()`].

mod date;
mod text;
mod walk;
mod wrap;

use std::fmt;

use smallvec::SmallVec;

pub use date::{parse_date, print_date};
pub use text::{escape, octets, print, unescape, unquote};
pub use walk::{Meaning, Value, is_valid, values};
pub use wrap::wrap;

use super::attribute::TAG_MAX;
use super::dictionary::{AttributeDef, Dictionary};
use super::hiding::Hidden;

/// Octets of one value, or of a whole attribute: rarely more than 32.
pub type Octets = SmallVec<[u8; 32]>;

/// An attribute ready for a reply.
#[derive(Clone, Debug)]
pub enum Encoded {
    /// Complete attributes with their headers, for `push_wire`. More than one where the value is
    /// continued; none where it is empty, since an empty attribute is left out (RFC 2865 §5).
    Wire(Octets),
    /// It must be hidden with the shared secret and the Request Authenticator first.
    Hidden(Hidden),
}

/// Encodes `text` as a row of radreply writes it. `tag` comes from `Name:1`; the older way to write
/// it, `:1:value`, is understood too.
///
/// # Errors
/// The text is not a value of the attribute's type, or the value does not fit.
pub fn encode(
    def: &AttributeDef,
    tag: Option<u8>,
    text: &str,
    dictionary: &Dictionary,
) -> Result<Encoded, ValueError> {
    let (tag, text) = if def.tagged && tag.is_none() { split_tag(text) } else { (tag, text) };
    wrap(def, tag, &octets(def, text, dictionary)?)
}

/// `:1:value` as tag and value; anything else has no tag.
fn split_tag(text: &str) -> (Option<u8>, &str) {
    let parts = text.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    match parts.and_then(|(tag, value)| Some((tag.parse::<u8>().ok()?, value))) {
        Some((tag, value)) if tag <= TAG_MAX => (Some(tag), value),
        _ => (None, text),
    }
}

/// Why a text is not a value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueError {
    /// Neither a number nor one of the attribute's names.
    UnknownName,
    /// Not a number.
    NotANumber,
    /// A number that the type cannot hold.
    OutOfRange,
    /// Not an address of the family.
    NotAnAddress,
    /// Not `address/length`, or the length is too large.
    NotAPrefix,
    /// Not six octets of an Ethernet address.
    NotAnEthernetAddress,
    /// Not four groups of hexadecimal digits.
    NotAnInterfaceId,
    /// Not a date.
    NotADate,
    /// Only hexadecimal octets after `0x` will do.
    NotHexadecimal,
    /// The attribute has exactly so many octets.
    Length {
        /// What the dictionary says.
        expected: u16,
        /// What the text gives.
        actual: usize,
    },
    /// More octets than an attribute of its kind can carry.
    TooLong {
        /// The most it can carry.
        most: usize,
        /// What the text gives.
        actual: usize,
    },
    /// A tag above 31, or for an attribute that has none.
    Tag,
    /// A control item, which has no form on the wire.
    Internal,
    /// A hidden attribute inside an extended one, or in a vendor's own layout.
    HiddenInside,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName => f.write_str("neither a number nor one of the attribute's value names"),
            Self::NotANumber => f.write_str("not a number"),
            Self::OutOfRange => f.write_str("a number that does not fit the attribute's type"),
            Self::NotAnAddress => f.write_str("not an IP address"),
            Self::NotAPrefix => f.write_str("not an IP prefix such as 10.0.0.0/8"),
            Self::NotAnEthernetAddress => f.write_str("not an Ethernet address such as 02:00:00:00:00:01"),
            Self::NotAnInterfaceId => f.write_str("not an interface id such as 1:2:3:4"),
            Self::NotADate => f.write_str("not a date such as Nov 25 2026 12:00:00 UTC"),
            Self::NotHexadecimal => f.write_str("not hexadecimal octets such as 0x0102"),
            Self::Length { expected, actual } => {
                write!(f, "{actual} octets where exactly {expected} are needed")
            }
            Self::TooLong { most, actual } => write!(f, "{actual} octets where at most {most} fit"),
            Self::Tag => f.write_str("a tag that the attribute cannot have"),
            Self::Internal => f.write_str("a control item, which is never sent"),
            Self::HiddenInside => f.write_str("a hidden attribute in a place where it cannot be hidden"),
        }
    }
}

impl std::error::Error for ValueError {}

#[cfg(test)]
mod tests;
