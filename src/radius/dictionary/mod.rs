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
        match numbers.as_slice() {
            [26, vendor, rest @ ..] if !rest.is_empty() => {
                if let Some(found) = self.by_path(Some(*vendor), rest) {
                    return Some((Cow::Borrowed(found), None));
                }
                let vendor = self.vendor(*vendor).cloned().unwrap_or_else(|| unknown_vendor(*vendor));
                Some((Cow::Owned(AttributeDef::unknown(Some(vendor), rest)), None))
            }
            [1..=255, ..] => match self.by_path(None, &numbers) {
                Some(found) => Some((Cow::Borrowed(found), None)),
                None => Some((Cow::Owned(AttributeDef::unknown(None, &numbers)), None)),
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
        self.index.vendors().iter().find(|vendor| vendor.number == number)
    }

    /// A vendor by name.
    #[must_use]
    pub fn vendor_named(&self, name: &str) -> Option<&Arc<Vendor>> {
        self.index.vendors().iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name))
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
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dictionary, DictionaryError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dictionary.test");
        std::fs::write(&file, text).unwrap();
        Dictionary::of_files(&[file])
    }

    fn refusal(text: &str) -> (u32, String) {
        let error = read(text).unwrap_err();
        assert!(error.file.ends_with("dictionary.test"), "{error}");
        (error.line, error.reason)
    }

    #[test]
    fn the_shipped_dictionaries_are_read() {
        let dictionary = Dictionary::embedded();
        let name = |vendor, numbers: &[u32]| dictionary.by_path(vendor, numbers).map(|def| def.name.as_str());
        assert_eq!(name(None, &[1]), Some("User-Name"));
        assert_eq!(name(Some(14988), &[8]), Some("Mikrotik-Rate-Limit"));
        assert_eq!(name(Some(17713), &[158, 1]), Some("Cambium-Authorize-Class-Name"));
        assert_eq!(name(None, &[241, 8]), Some("Operator-NAS-Identifier"));
        assert_eq!(name(Some(25506), &[148]), Some("H3C-Acct-IPv6-Input-Gigawords"));
        assert_eq!(name(Some(14559), &[23]), Some("ChilliSpot-Max-Total-Gigawords"));
        assert_eq!(name(Some(55999), &[1]), Some("Accel-VRF-Name"));
        assert_eq!(name(None, &[254]), None);
        let simultaneous = dictionary.attribute("simultaneous-USE").unwrap();
        assert!(simultaneous.internal && simultaneous.vendor.is_none());
        let mppe = dictionary.attribute("MS-MPPE-Send-Key").unwrap();
        assert_eq!((mppe.vendor.as_ref().unwrap().number, mppe.hiding), (311, Some(Hiding::TunnelPassword)));
        let tunnel = dictionary.attribute("Tunnel-Password").unwrap();
        assert!(tunnel.tagged && tunnel.hiding == Some(Hiding::TunnelPassword));
        assert!(dictionary.attribute("EAP-Message").unwrap().concat);
    }

    #[test]
    fn every_file_of_the_folder_is_built_in_and_included() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("dictionary"))
            .collect();
        files.sort();
        let built_in: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, built_in);
        let (_, main) = FILES.iter().find(|(name, _)| *name == "dictionary").unwrap();
        for name in built_in {
            let included = main.contains(&format!("$INCLUDE {name}\n"));
            let alternative = name == "dictionary.starent.vsa1";
            assert!(included != alternative || name == "dictionary", "{name}");
        }
    }

    #[test]
    fn names_and_numbers_of_values_are_found() {
        let dictionary = Dictionary::embedded();
        let def = dictionary.attribute("Service-Type").unwrap();
        assert_eq!(dictionary.value_number(def, "framed-user"), Some(2));
        assert_eq!(dictionary.value_name(def, 2_u32), Some("Framed-User"));
        assert_eq!(dictionary.value_name(def, 999_u32), None);
        assert_eq!(dictionary.value_number(def, "No-Such-Thing"), None);
        assert_eq!(dictionary.values(def).next(), Some((1, "Login-User")));
        let plain = dictionary.attribute("User-Name").unwrap();
        assert_eq!(dictionary.values(plain).count(), 0);
    }

    #[test]
    fn a_name_that_two_vendors_use_is_qualified_for_the_second() {
        let dictionary = read(
            "VENDOR One 1\nVENDOR Two 2\n\
             BEGIN-VENDOR One\nATTRIBUTE Rate 5 integer\nVALUE Rate Slow 1\nEND-VENDOR One\n\
             BEGIN-VENDOR Two\nATTRIBUTE Rate 6 integer\nVALUE Rate Fast 1\nEND-VENDOR Two\n",
        )
        .unwrap();
        let (one, two) = (dictionary.attribute("rate").unwrap(), dictionary.attribute("two.rate").unwrap());
        assert_eq!((one.name.as_str(), one.numbers.as_slice()), ("Rate", &[5][..]));
        assert_eq!((two.name.as_str(), two.numbers.as_slice()), ("Two.Rate", &[6][..]));
        assert_eq!(dictionary.attribute("One.Rate"), Some(one));
        assert_eq!(dictionary.attribute("Three.Rate"), None);
        assert_eq!(dictionary.value_name(one, 1_u32), Some("Slow"));
        assert_eq!(dictionary.value_name(two, 1_u32), Some("Fast"));
    }

    #[test]
    fn a_standard_attribute_takes_its_name_from_a_vendor() {
        let dictionary =
            read("VENDOR One 1\nATTRIBUTE Rate 5 integer One\nATTRIBUTE Rate 6 string\n").unwrap();
        assert_eq!(dictionary.attribute("Rate").unwrap().standard_number(), Some(6));
        assert_eq!(dictionary.attribute("One.Rate").unwrap().numbers.as_slice(), [5]);
    }

    #[test]
    fn aliases_are_all_found_and_the_last_is_shown() {
        let dictionary =
            read("ATTRIBUTE Old 5 integer\nATTRIBUTE New 5 integer\nVALUE Old One 1\nVALUE New Uno 1\n")
                .unwrap();
        assert_eq!(dictionary.standard(5).unwrap().name, "New");
        let old = dictionary.attribute("Old").unwrap();
        assert_eq!(old.standard_number(), Some(5));
        assert_eq!(dictionary.value_name(old, 1_u32), Some("Uno"));
        assert_eq!(dictionary.value_number(old, "One"), Some(1));
    }

    #[test]
    fn a_site_file_redefines_what_is_shipped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dictionary.site");
        std::fs::write(
            &file,
            "ATTRIBUTE Reply-Message 18 octets\nATTRIBUTE Site-Limit 3001 integer\nVALUE Site-Limit None 0\n\
             BEGIN-VENDOR Mikrotik\nATTRIBUTE Mikrotik-Rate-Limit 88 string\nATTRIBUTE Mikrotik-New 99 string\nEND-VENDOR Mikrotik\n",
        )
        .unwrap();
        let dictionary = Dictionary::with_files(&[file]).unwrap();
        assert_eq!(dictionary.standard(18).unwrap().data_type, DataType::Octets);
        assert_eq!(dictionary.attribute("Reply-Message").unwrap().data_type, DataType::Octets);
        assert!(dictionary.attribute("Site-Limit").unwrap().internal);
        assert_eq!(dictionary.by_path(Some(14988), &[8]), None);
        assert_eq!(dictionary.attribute("Mikrotik-Rate-Limit").unwrap().numbers.as_slice(), [88]);
        assert_eq!(dictionary.by_path(Some(14988), &[99]).unwrap().name, "Mikrotik-New");
    }

    #[test]
    fn everything_that_a_line_can_say_is_read() {
        let dictionary = read(
            "# comment\n  attribute  Hex  0x1F  STRING # more\n\
             ATTRIBUTE Tagged 64 Integer has_tag\nATTRIBUTE Secret 69 string has_tag,encrypt=2\n\
             ATTRIBUTE Both 70 octets[16] encrypt=1, array\nATTRIBUTE Long 79 octets concat\n\
             ATTRIBUTE New 80 uint32\nATTRIBUTE Virtual 1100 ipaddr virtual\n\
             ATTRIBUTE Extended-Attribute-1 241 extended\nATTRIBUTE Extended-Vendor-Specific-1 241.26 evs\n\
             ATTRIBUTE Outer 173 tlv\nBEGIN-TLV Outer\nATTRIBUTE Inner 1 integer\nEND-TLV Outer\nATTRIBUTE Other 173.2 byte\n\
             VENDOR Wide 429 format=4,0\nVENDOR Goes-On 24757 format=1,1,c\nVENDOR Plain 9\n\
             BEGIN-VENDOR Wide\nATTRIBUTE Wide-One 0x9001 string\nEND-VENDOR Wide\n\
             BEGIN-VENDOR Plain format=Extended-Vendor-Specific-1\nATTRIBUTE Plain-One 1 string\nEND-VENDOR Plain\n\
             $INCLUDE- dictionary.absent\n",
        )
        .unwrap();
        let def = |name: &str| dictionary.attribute(name).unwrap();
        assert_eq!((def("Hex").data_type, def("Hex").numbers.as_slice()), (DataType::Text, &[31][..]));
        assert!(def("Tagged").tagged && def("Tagged").data_type == DataType::Integer);
        assert_eq!((def("Secret").tagged, def("Secret").hiding), (true, Some(Hiding::TunnelPassword)));
        assert_eq!((def("Both").length, def("Both").hiding), (Some(16), Some(Hiding::UserPassword)));
        assert!(def("Both").array && def("Long").concat && def("Virtual").internal);
        assert_eq!(def("New").data_type, DataType::Integer);
        assert_eq!(def("Inner").numbers.as_slice(), [173, 1]);
        assert_eq!(def("Other").numbers.as_slice(), [173, 2]);
        assert_eq!(dictionary.by_path(Some(429), &[0x9001]).unwrap().name, "Wide-One");
        assert_eq!(dictionary.vendor(429).unwrap().format, VendorFormat::new(4, 0, false).unwrap());
        assert!(dictionary.vendor_named("goes-on").unwrap().format.continuation);
        assert_eq!(dictionary.by_path(None, &[241, 26, 9, 1]).unwrap().name, "Plain-One");
        assert_eq!(def("Plain-One").vendor.as_ref().unwrap().number, 9);
        assert_eq!(def("Plain-One").specific_vendor(), None);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line, part) in [
            ("\nATTRIBUTE A 1", 2, "write ATTRIBUTE name number type"),
            ("ATTRIBUTE A x string", 1, "\"x\" is not a number"),
            ("ATTRIBUTE A 0 string", 1, "0 is not a standard attribute"),
            ("ATTRIBUTE A 1 strong", 1, "unknown type \"strong\""),
            ("ATTRIBUTE A 1 octets[0]", 1, "the length must be 1 to 253"),
            ("ATTRIBUTE A 1 string has_tags", 1, "unknown flag \"has_tags\""),
            ("ATTRIBUTE A 1 string encrypt=4", 1, "unknown flag"),
            ("ATTRIBUTE A 1 ipaddr has_tag", 1, "only string, octets and integer can have a tag"),
            ("ATTRIBUTE A 1.1 string", 1, "the attribute above it is not defined"),
            ("ATTRIBUTE A 1 string\nATTRIBUTE B 1.1 string", 2, "A, above it, is string"),
            ("ATTRIBUTE A 1 tlv\nATTRIBUTE B 1.256 string", 2, "does not fit one octet"),
            ("ATTRIBUTE A 1 string\nATTRIBUTE a 2 string", 2, "already has the number 1"),
            (
                "VENDOR V 9\nBEGIN-VENDOR V\nATTRIBUTE A 256 string",
                3,
                "does not fit the vendor's 1 octets of type",
            ),
            ("VENDOR V 0", 1, "must be 1 to 4294967295"),
            ("VENDOR V 9 format=3,1", 1, "is not format="),
            ("VENDOR V 9\nVENDOR V 10", 2, "already number 9"),
            ("BEGIN-VENDOR V", 1, "no VENDOR line"),
            ("VENDOR V 9\nBEGIN-VENDOR V", 2, "has no END-VENDOR"),
            ("VENDOR V 9\nBEGIN-VENDOR V\nEND-VENDOR W", 3, "but BEGIN-VENDOR V is open"),
            ("END-VENDOR V", 1, "without BEGIN-VENDOR"),
            ("ATTRIBUTE A 1 string\nBEGIN-TLV A", 2, "it is string, not tlv"),
            ("ATTRIBUTE A 1 tlv\nBEGIN-TLV A", 0, "has no END-TLV"),
            ("END-TLV A", 1, "without BEGIN-TLV"),
            ("VALUE A B 1", 1, "there is no such attribute"),
            ("ATTRIBUTE A 1 byte\nVALUE A B 256", 2, "does not fit its byte"),
            ("ATTRIBUTE A 1 string\nVALUE A B 1", 2, "whose numbers have no names"),
            ("ATTRIBUTE A 1 byte\nVALUE A B C", 2, "\"C\" is not a number"),
            ("$INCLUDE dictionary.absent", 1, "no such file"),
            ("$INCLUDE dictionary.test", 1, "in a circle"),
            ("ATTRIBUTES A 1 string", 1, "unknown keyword"),
        ] {
            let (at, reason) = refusal(text);
            assert!(at == line && reason.contains(part), "{text:?} gives line {at}: {reason}");
        }
    }

    #[test]
    fn the_language_of_freeradius_4_is_refused_by_name() {
        for text in [
            "ALIAS A B",
            "PROTOCOL RADIUS 1",
            "BEGIN-PROTOCOL RADIUS",
            "STRUCT A B 1",
            "MEMBER A byte",
            "FLAGS internal",
            "DEFINE A string",
            "ENUM A integer",
            "ATTRIBUTE A .2 string",
            "ATTRIBUTE A 1 struct",
            "ATTRIBUTE A 1 string encrypt=Tunnel-Password",
            "ATTRIBUTE A 1 octets key=foo",
        ] {
            let (_, reason) = refusal(text);
            assert!(reason.contains("FreeRADIUS 4"), "{text:?}: {reason}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Dictionary::with_files(&[PathBuf::from("/nonexistent/dictionary.x")]).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/dictionary.x: no such file");
    }

    #[test]
    fn names_with_tags_and_of_unknown_attributes_are_understood() {
        let dictionary = Dictionary::embedded();
        let found = |name: &str| {
            let (def, tag) = dictionary.attribute_with_tag(name)?;
            Some((def.name.to_string(), tag))
        };
        assert_eq!(found("Tunnel-Type:1"), Some(("Tunnel-Type".into(), Some(1))));
        assert_eq!(found("tunnel-type"), Some(("Tunnel-Type".into(), None)));
        assert_eq!(found("Tunnel-Type:32"), None);
        assert_eq!(found("User-Name:1"), None);
        assert_eq!(found("Attr-1"), Some(("User-Name".into(), None)));
        assert_eq!(found("Attr-201.1"), Some(("Attr-201.1".into(), None)));
        assert_eq!(found("attr-26.14988.8"), Some(("Mikrotik-Rate-Limit".into(), None)));
        assert_eq!(found("Attr-26.4242.7"), Some(("Attr-26.4242.7".into(), None)));
        assert_eq!(found("Attr-0"), None);
        assert_eq!(found("Attr-x"), None);
        assert_eq!(found("Attr-256"), None);
        assert_eq!(found("No-Such-Attribute"), None);
    }
}
