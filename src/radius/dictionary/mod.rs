//! Attributes by number and by name: what the wire's numbers mean and what the tables' names say.
//!
//! Owns the definitions and their text format (FreeRADIUS 3's). Refuses to know values: how text
//! becomes octets is [`super::value`]'s. The definitions themselves are data under `dictionaries/`.
//! Read `parse` next.

mod embedded;
mod index;
mod parse;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

pub use embedded::FILES;

use super::attribute::{TAG_MAX, VendorFormat};
use super::hiding::Hiding;

/// A vendor by its IANA Private Enterprise Number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vendor {
    /// Name in the dictionary.
    pub name: SmolStr,
    /// Private Enterprise Number.
    pub number: u32,
    /// Layout of its attributes.
    pub format: VendorFormat,
}

/// How the octets of a value are to be read: RFC 8044 and what FreeRADIUS adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Text, UTF-8 by rule and anything in practice (`string`; RFC 8044 "text").
    Text,
    /// Opaque (`octets`; RFC 8044 "string").
    Octets,
    /// Four octets (`ipaddr`).
    Ipv4Address,
    /// Sixteen octets (`ipv6addr`).
    Ipv6Address,
    /// Reserved octet, prefix length, four octets (`ipv4prefix`).
    Ipv4Prefix,
    /// Reserved octet, prefix length, up to sixteen octets (`ipv6prefix`).
    Ipv6Prefix,
    /// Either address, told apart by length (`combo-ip`).
    ComboIp,
    /// One octet, unsigned (`byte`).
    Byte,
    /// Two octets, unsigned (`short`).
    Short,
    /// Four octets, unsigned (`integer`).
    Integer,
    /// Eight octets, unsigned (`integer64`).
    Integer64,
    /// Four octets, signed (`signed`).
    Signed,
    /// Four octets, unsigned seconds since 1970 (`date`).
    Date,
    /// Six octets (`ether`).
    Ether,
    /// Eight octets (`ifid`).
    InterfaceId,
    /// Ascend's binary filters, opaque to us (`abinary`).
    Abinary,
    /// A sequence of type, length, value (`tlv`).
    Tlv,
    /// Vendor-Specific itself (`vsa`).
    Vsa,
    /// 241 to 244 (`extended`, RFC 6929 §2.1).
    Extended,
    /// 245 and 246 (`long-extended`, RFC 6929 §2.2).
    LongExtended,
    /// Vendor-Specific inside an extended attribute (`evs`, RFC 6929 §2.4).
    Evs,
}

impl DataType {
    /// Every type with its name in a dictionary.
    pub const ALL: [(Self, &'static str); 21] = [
        (Self::Text, "string"),
        (Self::Octets, "octets"),
        (Self::Ipv4Address, "ipaddr"),
        (Self::Ipv6Address, "ipv6addr"),
        (Self::Ipv4Prefix, "ipv4prefix"),
        (Self::Ipv6Prefix, "ipv6prefix"),
        (Self::ComboIp, "combo-ip"),
        (Self::Byte, "byte"),
        (Self::Short, "short"),
        (Self::Integer, "integer"),
        (Self::Integer64, "integer64"),
        (Self::Signed, "signed"),
        (Self::Date, "date"),
        (Self::Ether, "ether"),
        (Self::InterfaceId, "ifid"),
        (Self::Abinary, "abinary"),
        (Self::Tlv, "tlv"),
        (Self::Vsa, "vsa"),
        (Self::Extended, "extended"),
        (Self::LongExtended, "long-extended"),
        (Self::Evs, "evs"),
    ];

    /// Other spellings of the same types.
    const ALIASES: [(&'static str, Self); 8] = [
        ("text", Self::Text),
        ("ipv4addr", Self::Ipv4Address),
        ("cidr", Self::Ipv4Prefix),
        ("uint8", Self::Byte),
        ("uint16", Self::Short),
        ("uint32", Self::Integer),
        ("uint64", Self::Integer64),
        ("int32", Self::Signed),
    ];

    /// The name in a dictionary.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("octets", |(_, name)| name)
    }

    /// Reads the name in a dictionary, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let types =
            Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(known, _)| *known);
        types.or_else(|| {
            Self::ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, known)| *known)
        })
    }

    /// Is it a number to which VALUE lines can give names?
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Byte | Self::Short | Self::Integer | Self::Integer64 | Self::Signed)
    }

    /// Does it hold other attributes rather than a value of its own?
    #[must_use]
    pub const fn is_structure(self) -> bool {
        matches!(self, Self::Tlv | Self::Vsa | Self::Extended | Self::LongExtended | Self::Evs)
    }
}

/// Where an attribute is found: `[1]` is User-Name, `[241, 8]` an extended attribute,
/// `[241, 26, 9, 1]` vendor 9's attribute 1 inside Extended-Vendor-Specific-1. For a vendor's
/// attribute in Vendor-Specific the path begins inside it: `[8]`, or `[158, 1]` for a TLV.
pub type NumberPath = SmallVec<[u32; 4]>;

/// One attribute as a dictionary defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeDef {
    /// Its name, which [`Dictionary::attribute`] finds it by. Where two vendors use one name, the
    /// second is called `VENDOR.NAME`.
    pub name: SmolStr,
    /// Whose it is; `None` for the standard ones and ours.
    pub vendor: Option<Arc<Vendor>>,
    /// Its numbers; see [`NumberPath`].
    pub numbers: NumberPath,
    /// How a value is read.
    pub data_type: DataType,
    /// Octets of a value, where the dictionary fixes them (`octets[16]`).
    pub length: Option<u16>,
    /// A tag octet may or must lead the value (RFC 2868 §3, `has_tag`).
    pub tagged: bool,
    /// How the value is hidden on the wire (`encrypt=`).
    pub hiding: Option<Hiding>,
    /// A value longer than one attribute goes on in the next of the same number (`concat`).
    pub concat: bool,
    /// Several values may follow each other in one attribute (`array`).
    pub array: bool,
    /// Never on the wire: control items such as Simultaneous-Use, numbered above 255.
    pub internal: bool,
    /// Which VALUE lines name its numbers.
    pub(super) enumeration: Option<u32>,
}

impl AttributeDef {
    /// Stands for an attribute that no dictionary knows: opaque, called `Attr-26.9.1` or
    /// `Attr-241.8` as FreeRADIUS does.
    #[must_use]
    pub fn unknown(vendor: Option<Arc<Vendor>>, numbers: &[u32]) -> Self {
        let mut name = String::from("Attr");
        let mut separator = '-';
        if let Some(vendor) = &vendor
            && !is_extended_vendor(numbers)
        {
            name.push_str("-26.");
            name.push_str(&vendor.number.to_string());
            separator = '.';
        }
        for number in numbers {
            name.push(separator);
            name.push_str(&number.to_string());
            separator = '.';
        }
        Self {
            name: name.into(),
            vendor,
            numbers: numbers.into(),
            data_type: DataType::Octets,
            length: None,
            tagged: false,
            hiding: None,
            concat: false,
            array: false,
            internal: false,
            enumeration: None,
        }
    }

    /// Is it inside Vendor-Specific, and whose?
    #[must_use]
    pub fn specific_vendor(&self) -> Option<&Arc<Vendor>> {
        self.vendor.as_ref().filter(|_| !is_extended_vendor(&self.numbers))
    }

    /// Its number if it is a standard attribute with one octet of number.
    #[must_use]
    pub fn standard_number(&self) -> Option<u8> {
        match (&self.vendor, self.numbers.as_slice()) {
            (None, [number]) => u8::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Is this the path of a vendor's attribute in Extended-Vendor-Specific (RFC 6929 §2.4)?
fn is_extended_vendor(numbers: &[u32]) -> bool {
    matches!(numbers, [241..=246, 26, _, _, ..])
}

/// All definitions, built once and then only read. Look-ups by name ignore ASCII case.
#[derive(Clone)]
pub struct Dictionary {
    attributes: Vec<AttributeDef>,
    index: index::Index,
}

impl Dictionary {
    /// The definitions that ship with the server.
    ///
    /// # Panics
    /// Never: a test reads every shipped file.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: OnceLock<Arc<Dictionary>> = OnceLock::new();
        let built = EMBEDDED.get_or_init(|| {
            Arc::new(parse::embedded().expect("the shipped dictionaries are read by a test").finish())
        });
        Arc::clone(built)
    }

    /// The shipped definitions with a site's files over them. A site may redefine an attribute.
    ///
    /// # Errors
    /// The first line that cannot be understood, or a file that cannot be read.
    pub fn with_files(files: &[PathBuf]) -> Result<Self, DictionaryError> {
        let mut builder = parse::embedded()?;
        for file in files {
            builder.read_file(file)?;
        }
        builder.resolve_values()?;
        Ok(builder.finish())
    }

    /// The definitions of these files alone: none of ours.
    ///
    /// # Errors
    /// As [`Dictionary::with_files`].
    pub fn of_files(files: &[PathBuf]) -> Result<Self, DictionaryError> {
        let mut builder = parse::Builder::default();
        for file in files {
            builder.read_file(file)?;
        }
        builder.resolve_values()?;
        Ok(builder.finish())
    }

    /// The definitions of a text alone, called `file` in mistakes. It may include shipped files and
    /// no others: nothing is read from disk.
    ///
    /// # Errors
    /// As [`Dictionary::with_files`].
    pub fn of_text(file: &Path, text: &str) -> Result<Self, DictionaryError> {
        let mut builder = parse::Builder::of_shipped_files();
        builder.read_text(file, text, 0)?;
        builder.resolve_values()?;
        Ok(builder.finish())
    }

    /// The attribute called `name`, or `VENDOR.NAME`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeDef> {
        if let Some(at) = self.index.by_name(name) {
            return self.attributes.get(at);
        }
        let (vendor, plain) = name.split_once('.')?;
        let vendor = self.vendor_named(vendor)?;
        let found = self.attributes.get(self.index.by_name(plain)?)?;
        found.vendor.as_ref().is_some_and(|its| its.number == vendor.number).then_some(found)
    }

    /// As [`Dictionary::attribute`], and the tag of `Name:1`. Understands FreeRADIUS's names of
    /// attributes without one: `Attr-26.9.1`, `Attr-241.8`, `Attr-201`.
    #[must_use]
    pub fn attribute_with_tag(&self, name: &str) -> Option<(std::borrow::Cow<'_, AttributeDef>, Option<u8>)> {
        use std::borrow::Cow;
        if let Some(found) = self.attribute(name) {
            return Some((Cow::Borrowed(found), None));
        }
        if let Some((plain, tag)) = name.rsplit_once(':') {
            let tag = tag.parse::<u8>().ok().filter(|tag| *tag <= TAG_MAX)?;
            let found = self.attribute(plain).filter(|found| found.tagged)?;
            return Some((Cow::Borrowed(found), Some(tag)));
        }
        let path = name.get(.."Attr-".len()).filter(|prefix| prefix.eq_ignore_ascii_case("Attr-"))?;
        let numbers: Option<NumberPath> =
            name.get(path.len()..)?.split('.').map(|number| number.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.iter().skip(1).all(|number| *number > 0))?;
        // Only a structure has attributes inside it.
        let is_inside = |vendor: Option<u32>, numbers: &[u32]| {
            let mut outer =
                (1..numbers.len()).filter_map(|depth| self.by_path(vendor, numbers.get(..depth)?));
            outer.all(|outer| outer.data_type.is_structure())
        };
        match numbers.as_slice() {
            [26, vendor, rest @ ..] if !rest.is_empty() => {
                if let Some(found) = self.by_path(Some(*vendor), rest) {
                    return Some((Cow::Borrowed(found), None));
                }
                if !is_inside(Some(*vendor), rest) {
                    return None;
                }
                let vendor = self.vendor(*vendor).cloned().unwrap_or_else(|| unknown_vendor(*vendor));
                Some((Cow::Owned(AttributeDef::unknown(Some(vendor), rest)), None))
            }
            [1..=255, ..] => match self.by_path(None, &numbers) {
                Some(found) => Some((Cow::Borrowed(found), None)),
                None if is_inside(None, &numbers) => {
                    Some((Cow::Owned(AttributeDef::unknown(None, &numbers)), None))
                }
                None => None,
            },
            _ => None,
        }
    }

    /// The attribute with these numbers inside `vendor`'s Vendor-Specific, or among the standard
    /// ones; see [`NumberPath`]. Of several names the one defined last, as in FreeRADIUS.
    #[must_use]
    pub fn by_path(&self, vendor: Option<u32>, numbers: &[u32]) -> Option<&AttributeDef> {
        self.attributes.get(self.index.by_path(vendor, numbers)?)
    }

    /// A standard attribute by its number.
    #[must_use]
    pub fn standard(&self, number: u8) -> Option<&AttributeDef> {
        self.attributes.get(self.index.standard(number)?)
    }

    /// The name of a number of an enumerated attribute.
    #[must_use]
    pub fn value_name(&self, of: &AttributeDef, number: impl Into<u64>) -> Option<&str> {
        self.index.value_name(of.enumeration?, number.into())
    }

    /// The number of a name of an enumerated attribute.
    #[must_use]
    pub fn value_number(&self, of: &AttributeDef, name: &str) -> Option<u64> {
        self.index.value_number(of.enumeration?, name)
    }

    /// The names of an enumerated attribute by number; a number with several names appears once.
    pub fn values(&self, of: &AttributeDef) -> impl Iterator<Item = (u64, &str)> {
        of.enumeration.into_iter().flat_map(|enumeration| self.index.values(enumeration))
    }

    /// A vendor by Private Enterprise Number.
    #[must_use]
    pub fn vendor(&self, number: u32) -> Option<&Arc<Vendor>> {
        self.index.vendor(number)
    }

    /// A vendor by name.
    #[must_use]
    pub fn vendor_named(&self, name: &str) -> Option<&Arc<Vendor>> {
        self.index.vendor_named(name)
    }

    /// Every definition in the order of the files, aliases included.
    pub fn iter(&self) -> impl Iterator<Item = &AttributeDef> {
        self.attributes.iter()
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({} attributes)", self.attributes.len())
    }
}

/// A vendor that no dictionary knows, laid out as RFC 2865 recommends.
#[must_use]
pub fn unknown_vendor(number: u32) -> Arc<Vendor> {
    Arc::new(Vendor { name: format_smolstr!("Vendor-{number}"), number, format: VendorFormat::STANDARD })
}

/// Why a dictionary could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DictionaryError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// What is wrong, for the person who wrote it.
    pub reason: String,
}

impl DictionaryError {
    fn new(file: &Path, line: u32, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, reason: reason.into() }
    }
}

impl fmt::Display for DictionaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file.display(), self.reason)
        } else {
            write!(f, "{}:{}: {}", self.file.display(), self.line, self.reason)
        }
    }
}

impl std::error::Error for DictionaryError {}

#[cfg(test)]
mod tests;
