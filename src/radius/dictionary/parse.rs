//! The text format of FreeRADIUS 3: ATTRIBUTE, VALUE, VENDOR, BEGIN-/END-VENDOR, BEGIN-/END-TLV
//! and $INCLUDE lines. Version 4's is another language and is refused by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};

use super::index::Index;
use super::{AttributeDef, DataType, Dictionary, DictionaryError, NumberPath, Vendor, embedded};
use crate::radius::attribute::VendorFormat;
use crate::radius::hiding::Hiding;

/// Files may include files, this deep: a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Rules go on in the next attribute (RFC 4849 §2), but the format knows `concat` of octets alone.
const NAS_FILTER_RULE: u8 = 92;

/// Lines that only version 4 has.
const VERSION_4: [&str; 11] = [
    "ALIAS",
    "BEGIN",
    "BEGIN-PROTOCOL",
    "DEFINE",
    "END",
    "END-PROTOCOL",
    "ENUM",
    "FLAGS",
    "MEMBER",
    "PROTOCOL",
    "STRUCT",
];

/// The shipped files.
pub(super) fn embedded() -> Result<Builder, DictionaryError> {
    let mut builder = Builder::of_shipped_files();
    builder.read_file(Path::new(embedded::MAIN))?;
    builder.resolve_values()?;
    builder.files = Files::Disk;
    builder.layer += 1;
    Ok(builder)
}

/// Where `$INCLUDE` finds a file.
#[derive(Default)]
enum Files {
    Embedded,
    #[default]
    Disk,
}

impl Files {
    fn read(&self, file: &Path) -> Result<Option<String>, std::io::Error> {
        match self {
            Self::Embedded => Ok(file.to_str().and_then(embedded::text).map(str::to_owned)),
            Self::Disk => match std::fs::read(file) {
                Ok(octets) => Ok(Some(String::from_utf8_lossy(&octets).into_owned())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// Collects what the files say; [`Builder::finish`] makes the look-up tables.
#[derive(Default)]
pub(super) struct Builder {
    files: Files,
    attributes: Vec<Option<Defined>>,
    /// Lower-case name to position.
    names: HashMap<String, usize>,
    /// (vendor or 0, path) to position of the last definition.
    paths: HashMap<(u32, NumberPath), usize>,
    vendors: Vec<Arc<Vendor>>,
    /// VALUE lines whose attribute may come in a later file.
    pending: Vec<PendingValue>,
    values: Vec<(u32, SmolStr, u64)>,
    enumerations: HashMap<(u32, NumberPath), u32>,
    /// Shipped files are layer 0, a site's files layer 1. A later layer may redefine.
    layer: u8,
}

struct Defined {
    def: AttributeDef,
    layer: u8,
    place: Place,
}

struct PendingValue {
    attribute: SmolStr,
    vendor: Option<u32>,
    name: SmolStr,
    number: u64,
    place: Place,
}

#[derive(Clone)]
struct Place {
    file: Arc<Path>,
    line: u32,
}

impl Place {
    fn error(&self, reason: impl Into<String>) -> DictionaryError {
        DictionaryError::new(&self.file, self.line, reason)
    }
}

/// The BEGIN- lines that are open in one file.
#[derive(Default)]
struct Blocks {
    vendor: Option<VendorBlock>,
    /// Full path and name of each open BEGIN-TLV.
    tlvs: Vec<(SmolStr, NumberPath)>,
}

struct VendorBlock {
    vendor: Arc<Vendor>,
    /// 241 to 246 for Extended-Vendor-Specific-N.
    extended: Option<u32>,
    line: u32,
}

impl Builder {
    /// A builder whose `$INCLUDE` finds the shipped files alone.
    pub(super) fn of_shipped_files() -> Self {
        Self { files: Files::Embedded, ..Self::default() }
    }

    /// Reads a file and all it includes.
    pub(super) fn read_file(&mut self, file: &Path) -> Result<(), DictionaryError> {
        let read = self.files.read(file).map_err(|error| DictionaryError::new(file, 0, error.to_string()))?;
        let text = read.ok_or_else(|| DictionaryError::new(file, 0, "no such file"))?;
        self.read_text(file, &text, 0)
    }

    pub(super) fn read_text(&mut self, file: &Path, text: &str, depth: usize) -> Result<(), DictionaryError> {
        let file: Arc<Path> = Arc::from(file);
        let mut blocks = Blocks::default();
        for (line, number) in text.lines().zip(1_u32..) {
            let place = Place { file: Arc::clone(&file), line: number };
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((keyword, words)) = words.split_first() else { continue };
            self.read_line(&keyword.to_ascii_uppercase(), words, &mut blocks, &place, depth)?;
        }
        let end = Place { file, line: 0 };
        if let Some((name, _)) = blocks.tlvs.last() {
            return Err(end.error(format!("BEGIN-TLV {name} has no END-TLV")));
        }
        match blocks.vendor {
            Some(open) => Err(Place { line: open.line, ..end }
                .error(format!("BEGIN-VENDOR {} has no END-VENDOR", open.vendor.name))),
            None => Ok(()),
        }
    }

    fn read_line(
        &mut self,
        keyword: &str,
        words: &[&str],
        blocks: &mut Blocks,
        place: &Place,
        depth: usize,
    ) -> Result<(), DictionaryError> {
        match (keyword, words) {
            ("ATTRIBUTE", [name, numbers, data_type, flags @ ..]) => {
                self.attribute(name, numbers, data_type, flags, blocks, place)
            }
            ("VALUE", [attribute, name, number]) => self.value(attribute, name, number, blocks, place),
            ("VENDOR", [name, number, rest @ ..]) => self.vendor(name, number, rest, place),
            ("BEGIN-VENDOR", [name, rest @ ..]) => self.begin_vendor(name, rest, blocks, place),
            ("END-VENDOR", [name]) => end_vendor(name, blocks, place),
            ("BEGIN-TLV", [name]) => self.begin_tlv(name, blocks, place),
            ("END-TLV", [name]) => end_tlv(name, blocks, place),
            ("$INCLUDE" | "$INCLUDE-", [name]) => self.include(name, keyword.ends_with('-'), place, depth),
            (
                "ATTRIBUTE" | "VALUE" | "VENDOR" | "BEGIN-VENDOR" | "END-VENDOR" | "BEGIN-TLV" | "END-TLV"
                | "$INCLUDE" | "$INCLUDE-",
                _,
            ) => Err(place.error(format!("{keyword}: {}", usage(keyword)))),
            _ if VERSION_4.contains(&keyword) => Err(version_4(place, &format!("{keyword} lines"))),
            _ => Err(place.error(format!("unknown keyword {keyword:?}"))),
        }
    }

    fn include(
        &mut self,
        name: &str,
        may_be_absent: bool,
        place: &Place,
        depth: usize,
    ) -> Result<(), DictionaryError> {
        if depth >= INCLUDE_DEPTH_MAX {
            return Err(place.error(format!("$INCLUDE {name}: files include each other in a circle")));
        }
        let file = place.file.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        match self.files.read(&file) {
            Ok(Some(text)) => self.read_text(&file, &text, depth + 1),
            Ok(None) if may_be_absent => Ok(()),
            Ok(None) => Err(place.error(format!("$INCLUDE {name}: no such file"))),
            Err(error) => Err(place.error(format!("$INCLUDE {name}: {error}"))),
        }
    }

    fn vendor(
        &mut self,
        name: &str,
        number: &str,
        rest: &[&str],
        place: &Place,
    ) -> Result<(), DictionaryError> {
        let number =
            parse_number(number).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        let number = number
            .ok_or_else(|| place.error(format!("VENDOR {name}: the number must be 1 to 4294967295")))?;
        let format = match rest {
            [] => VendorFormat::STANDARD,
            [format] => parse_format(format).ok_or_else(|| {
                place.error(format!("VENDOR {name}: {format:?} is not format=T,L or format=T,L,c with T 1, 2 or 4 and L 0, 1 or 2"))
            })?,
            _ => return Err(place.error(format!("VENDOR: {}", usage("VENDOR")))),
        };
        if let Some(same) =
            self.vendors.iter().find(|known| known.name.eq_ignore_ascii_case(name) && known.number != number)
            && self.layer == 0
        {
            return Err(place.error(format!("vendor {name} is already number {}", same.number)));
        }
        let vendor = Arc::new(Vendor { name: name.into(), number, format });
        // The last line counts, as in FreeRADIUS: dictionary.starent.vsa1 after dictionary.starent.
        for defined in self.attributes.iter_mut().flatten() {
            let its = &mut defined.def.vendor;
            if its.as_ref().is_some_and(|its| its.number == number) {
                *its = Some(Arc::clone(&vendor));
            }
        }
        self.vendors.retain(|known| known.number != number && !known.name.eq_ignore_ascii_case(name));
        self.vendors.push(vendor);
        Ok(())
    }

    fn vendor_named(&self, name: &str) -> Option<Arc<Vendor>> {
        self.vendors.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name)).cloned()
    }

    fn begin_vendor(
        &mut self,
        name: &str,
        rest: &[&str],
        blocks: &mut Blocks,
        place: &Place,
    ) -> Result<(), DictionaryError> {
        if let Some(open) = &blocks.vendor {
            return Err(place.error(format!("BEGIN-VENDOR {name} inside BEGIN-VENDOR {}", open.vendor.name)));
        }
        let vendor = self.vendor_named(name);
        let vendor = vendor
            .ok_or_else(|| place.error(format!("BEGIN-VENDOR {name}: there is no VENDOR line for it")))?;
        let extended = match rest {
            [] => None,
            [within] => Some(self.extended_vendor_specific(within, place)?),
            _ => return Err(place.error(format!("BEGIN-VENDOR: {}", usage("BEGIN-VENDOR")))),
        };
        blocks.vendor = Some(VendorBlock { vendor, extended, line: place.line });
        Ok(())
    }

    /// `format=Extended-Vendor-Specific-5` (and `parent=`) as its outer number, 245.
    fn extended_vendor_specific(&self, within: &str, place: &Place) -> Result<u32, DictionaryError> {
        let name = within.strip_prefix("format=").or_else(|| within.strip_prefix("parent="));
        let parent = name.and_then(|name| self.names.get(&name.to_ascii_lowercase()));
        let parent = parent.and_then(|at| self.attributes.get(*at)).and_then(Option::as_ref);
        match parent.map(|parent| (&parent.def, parent.def.numbers.as_slice())) {
            Some((def, [outer @ 241..=246, 26])) if def.data_type == DataType::Evs => Ok(*outer),
            _ => Err(place.error(format!("{within:?} does not name an attribute of type evs"))),
        }
    }

    fn begin_tlv(&mut self, name: &str, blocks: &mut Blocks, place: &Place) -> Result<(), DictionaryError> {
        let def = self.find(name, blocks.vendor_number());
        let def = def.ok_or_else(|| place.error(format!("BEGIN-TLV {name}: there is no such attribute")))?;
        if def.data_type != DataType::Tlv {
            return Err(place.error(format!("BEGIN-TLV {name}: it is {}, not tlv", def.data_type.as_str())));
        }
        blocks.tlvs.push((name.into(), def.numbers.clone()));
        Ok(())
    }

    fn find(&self, name: &str, vendor: Option<u32>) -> Option<&AttributeDef> {
        let lower = name.to_ascii_lowercase();
        let of = |key: &str| {
            self.names.get(key).and_then(|at| self.attributes.get(*at)?.as_ref()).map(|known| &known.def)
        };
        let plain = of(&lower);
        let number_of = |def: &AttributeDef| def.vendor.as_ref().map(|vendor| vendor.number);
        if plain.is_some_and(|def| number_of(def) == vendor) {
            return plain;
        }
        let qualified = vendor.and_then(|number| {
            let vendor = self.vendors.iter().find(|vendor| vendor.number == number)?;
            of(&format!("{}.{lower}", vendor.name.to_ascii_lowercase()))
        });
        qualified.or(plain)
    }

    fn attribute(
        &mut self,
        name: &str,
        numbers: &str,
        data_type: &str,
        flags: &[&str],
        blocks: &Blocks,
        place: &Place,
    ) -> Result<(), DictionaryError> {
        let fail = |reason: String| place.error(format!("ATTRIBUTE {name}: {reason}"));
        if numbers.starts_with('.') {
            return Err(version_4(place, &format!("the relative number {numbers:?}")));
        }
        let own: Option<NumberPath> = numbers
            .split('.')
            .map(|number| parse_number(number).and_then(|number| u32::try_from(number).ok()))
            .collect();
        let own = own.ok_or_else(|| fail(format!("{numbers:?} is not a number such as 8, 0x08 or 158.1")))?;
        let (data_type, length) = parse_type(data_type).map_err(|reason| match reason {
            TypeError::Version4 => version_4(place, &format!("the type {data_type:?}")),
            TypeError::Unknown => fail(format!("unknown type {data_type:?}")),
            TypeError::Length => fail(format!("{data_type:?}: the length must be 1 to 253")),
        })?;
        let mut vendor = blocks.vendor.as_ref().map(|block| Arc::clone(&block.vendor));
        let mut path = NumberPath::new();
        match (
            blocks.tlvs.last(),
            blocks.vendor.as_ref().and_then(|block| Some((block.extended?, block.vendor.number))),
        ) {
            (Some((_, parent)), _) => path.extend_from_slice(parent),
            (None, Some((outer, vendor))) => path.extend_from_slice(&[outer, 26, vendor]),
            (None, None) => {}
        }
        path.extend(own);
        let mut def = AttributeDef { data_type, length, ..AttributeDef::unknown(None, &path) };
        def.name = name.into();
        for flag in flags.iter().flat_map(|flags| flags.split(',')).filter(|flag| !flag.is_empty()) {
            if vendor.is_none()
                && let Some(named) = self.vendor_named(flag)
            {
                vendor = Some(named);
                continue;
            }
            read_flag(flag, &mut def).map_err(|reason| match reason {
                FlagError::Version4 => version_4(place, &format!("the flag {flag:?}")),
                FlagError::Unknown => fail(format!("unknown flag {flag:?}")),
            })?;
        }
        if vendor.is_none()
            && let [241..=246, 26, number, _, ..] = path.as_slice()
        {
            vendor = self.vendors.iter().find(|vendor| vendor.number == *number).cloned();
        }
        def.vendor = vendor;
        self.check_numbers(&mut def).map_err(fail)?;
        def.concat |= def.standard_number() == Some(NAS_FILTER_RULE) && def.data_type == DataType::Text;
        check_flags(&def).map_err(|reason| place.error(format!("ATTRIBUTE {name}: {reason}")))?;
        self.define(def, place)
    }

    /// Numbers that fit their octets, parents that can hold children.
    fn check_numbers(&self, def: &mut AttributeDef) -> Result<(), String> {
        let scope = def.specific_vendor().map(|vendor| (vendor.number, vendor.format));
        let (&first, children) = def.numbers.split_first().ok_or("a number is missing")?;
        match scope {
            None if first == 0 => return Err("0 is not a standard attribute".to_owned()),
            None if first > 255 => def.internal = true,
            None => {}
            Some((_, format)) => {
                let most = match format.type_octets {
                    1 => 0xff,
                    2 => 0xffff,
                    _ => u32::MAX,
                };
                if first > most {
                    return Err(format!(
                        "{first} does not fit the vendor's {} octets of type",
                        format.type_octets
                    ));
                }
            }
        }
        if def.internal && !children.is_empty() && def.data_type.is_structure() {
            return Err("an internal attribute holds no others".to_owned());
        }
        let evs = super::is_extended_vendor(&def.numbers);
        for (depth, child) in (1..).zip(children) {
            let is_vendor_number = evs && depth == 2;
            if !is_vendor_number && !(1..=255).contains(child) {
                return Err(format!("{child} does not fit one octet of type"));
            }
            let above: NumberPath = def.numbers.iter().take(depth).copied().collect();
            if evs && depth == 3 {
                continue;
            }
            let parent = self.paths.get(&(scope.map_or(0, |(vendor, _)| vendor), above));
            let parent = parent.and_then(|at| self.attributes.get(*at)).and_then(Option::as_ref);
            match parent {
                Some(parent)
                    if parent.def.data_type.is_structure() && parent.def.data_type != DataType::Vsa => {}
                Some(parent) => {
                    let (name, its) = (&parent.def.name, parent.def.data_type.as_str());
                    return Err(format!("{name}, above it, is {its} and holds no others"));
                }
                None => return Err("the attribute above it is not defined".to_owned()),
            }
        }
        Ok(())
    }

    fn define(&mut self, mut def: AttributeDef, place: &Place) -> Result<(), DictionaryError> {
        let vendor_of = |def: &AttributeDef| def.vendor.as_ref().map(|vendor| vendor.number);
        let at = self.attributes.len();
        let mut key = def.name.to_ascii_lowercase();
        for _ in 0..2 {
            let Some(known_at) = self.names.get(&key).copied() else { break };
            let Some(known) = self.attributes.get_mut(known_at).and_then(Option::as_mut) else { break };
            if vendor_of(&known.def) == vendor_of(&def) {
                if known.def.numbers != def.numbers && known.layer == self.layer {
                    let (file, line) = (known.place.file.display(), known.place.line);
                    let numbers: Vec<String> = known.def.numbers.iter().map(u32::to_string).collect();
                    return Err(place.error(format!(
                        "ATTRIBUTE {}: it already has the number {} ({file}:{line})",
                        def.name,
                        numbers.join(".")
                    )));
                }
                // Defined again: the new definition takes the place of the old one, also where the
                // old one was found by number.
                let path =
                    (def.specific_vendor().map_or(0, |vendor| vendor.number), known.def.numbers.clone());
                if self.paths.get(&path) == Some(&known_at) {
                    self.paths.remove(&path);
                }
                if let Some(slot) = self.attributes.get_mut(known_at) {
                    *slot = None;
                }
                break;
            }
            // Another vendor has the name. A standard attribute takes it, a vendor's gives way.
            match (&def.vendor, &known.def.vendor) {
                (None, Some(vendor)) => {
                    let qualified = format_smolstr!("{}.{}", vendor.name, known.def.name);
                    self.names.insert(qualified.to_ascii_lowercase(), known_at);
                    known.def.name = qualified;
                    break;
                }
                (Some(vendor), _) => {
                    def.name = format_smolstr!("{}.{}", vendor.name, def.name);
                    key = def.name.to_ascii_lowercase();
                }
                (None, None) => break,
            }
        }
        self.names.insert(key, at);
        self.paths.insert((def.specific_vendor().map_or(0, |vendor| vendor.number), def.numbers.clone()), at);
        self.attributes.push(Some(Defined { def, layer: self.layer, place: place.clone() }));
        Ok(())
    }

    fn value(
        &mut self,
        attribute: &str,
        name: &str,
        number: &str,
        blocks: &Blocks,
        place: &Place,
    ) -> Result<(), DictionaryError> {
        let number = parse_signed(number).ok_or_else(|| {
            place.error(format!("VALUE {attribute} {name}: {number:?} is not a number such as 8 or 0x08"))
        })?;
        self.pending.push(PendingValue {
            attribute: attribute.into(),
            vendor: blocks.vendor_number(),
            name: name.into(),
            number,
            place: place.clone(),
        });
        Ok(())
    }

    /// Gives each VALUE line to its attribute, now that all are known.
    pub(super) fn resolve_values(&mut self) -> Result<(), DictionaryError> {
        for value in std::mem::take(&mut self.pending) {
            let PendingValue { attribute, vendor, name, number, place } = value;
            let fail = |reason: String| place.error(format!("VALUE {attribute} {name}: {reason}"));
            let def = self.find(&attribute, vendor);
            let def = def.ok_or_else(|| fail("there is no such attribute".to_owned()))?;
            let most = match def.data_type {
                DataType::Byte => 0xff,
                DataType::Short => 0xffff,
                DataType::Integer | DataType::Signed if def.tagged => 0x00ff_ffff,
                DataType::Integer | DataType::Signed => u64::from(u32::MAX),
                // Names of octets serve nothing, yet FreeRADIUS ships some.
                DataType::Integer64 | DataType::Octets => u64::MAX,
                other => return Err(fail(format!("it is {}, whose numbers have no names", other.as_str()))),
            };
            if number > most {
                return Err(fail(format!("{number} does not fit its {}", def.data_type.as_str())));
            }
            let path = (def.specific_vendor().map_or(0, |vendor| vendor.number), def.numbers.clone());
            let next = u32::try_from(self.enumerations.len()).unwrap_or(u32::MAX);
            let enumeration = *self.enumerations.entry(path).or_insert(next);
            self.values.push((enumeration, name, number));
        }
        Ok(())
    }

    /// The look-up tables. VALUE lines must have been resolved.
    pub(super) fn finish(self) -> Dictionary {
        let enumerations = self.enumerations;
        let defined = self.attributes.into_iter().flatten();
        let attributes: Vec<AttributeDef> = defined
            .map(|Defined { mut def, .. }| {
                let path = (def.specific_vendor().map_or(0, |vendor| vendor.number), def.numbers.clone());
                def.enumeration = enumerations.get(&path).copied();
                def
            })
            .collect();
        let index = Index::new(&attributes, self.values, enumerations.len(), self.vendors);
        Dictionary { attributes, index }
    }
}

impl Blocks {
    fn vendor_number(&self) -> Option<u32> {
        self.vendor.as_ref().map(|block| block.vendor.number)
    }
}

fn end_vendor(name: &str, blocks: &mut Blocks, place: &Place) -> Result<(), DictionaryError> {
    if let Some((tlv, _)) = blocks.tlvs.last() {
        return Err(place.error(format!("END-VENDOR {name} before END-TLV {tlv}")));
    }
    match blocks.vendor.take() {
        Some(open) if open.vendor.name.eq_ignore_ascii_case(name) => Ok(()),
        Some(open) => {
            Err(place.error(format!("END-VENDOR {name}, but BEGIN-VENDOR {} is open", open.vendor.name)))
        }
        None => Err(place.error(format!("END-VENDOR {name} without BEGIN-VENDOR"))),
    }
}

fn end_tlv(name: &str, blocks: &mut Blocks, place: &Place) -> Result<(), DictionaryError> {
    match blocks.tlvs.pop() {
        Some((open, _)) if open.eq_ignore_ascii_case(name) => Ok(()),
        Some((open, _)) => Err(place.error(format!("END-TLV {name}, but BEGIN-TLV {open} is open"))),
        None => Err(place.error(format!("END-TLV {name} without BEGIN-TLV"))),
    }
}

/// What each line looks like.
fn usage(keyword: &str) -> &'static str {
    match keyword {
        "ATTRIBUTE" => "write ATTRIBUTE name number type [flags]",
        "VALUE" => "write VALUE attribute name number",
        "VENDOR" => "write VENDOR name number [format=T,L]",
        "BEGIN-VENDOR" => "write BEGIN-VENDOR name [format=Extended-Vendor-Specific-N]",
        "END-VENDOR" => "write END-VENDOR name",
        "BEGIN-TLV" => "write BEGIN-TLV name",
        "END-TLV" => "write END-TLV name",
        _ => "write $INCLUDE file",
    }
}

fn version_4(place: &Place, what: &str) -> DictionaryError {
    place.error(format!(
        "{what} belong to the dictionaries of FreeRADIUS 4; write version 3: ATTRIBUTE name number type [flags], \
         VALUE attribute name number, VENDOR name number"
    ))
}

enum TypeError {
    Version4,
    Unknown,
    Length,
}

fn parse_type(text: &str) -> Result<(DataType, Option<u16>), TypeError> {
    let lower = text.to_ascii_lowercase();
    let (name, length) = match lower.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name @ "octets", length)) => {
            let length = length.parse().ok().filter(|length| (1..=253).contains(length));
            (name, Some(length.ok_or(TypeError::Length)?))
        }
        Some(_) => return Err(TypeError::Version4),
        None => (lower.as_str(), None),
    };
    let known = DataType::parse(name);
    let version_4 = [
        "bool",
        "group",
        "struct",
        "time_delta",
        "union",
        "vendor",
        "attribute",
        "int8",
        "int16",
        "int64",
        "float32",
        "float64",
        "ipaddr_prefix",
    ];
    match known {
        Some(known) => Ok((known, length)),
        None if version_4.contains(&name) => Err(TypeError::Version4),
        None => Err(TypeError::Unknown),
    }
}

enum FlagError {
    Version4,
    Unknown,
}

fn read_flag(flag: &str, def: &mut AttributeDef) -> Result<(), FlagError> {
    let lower = flag.to_ascii_lowercase();
    match lower.split_once('=') {
        None => match lower.as_str() {
            "has_tag" => def.tagged = true,
            "array" => def.array = true,
            "concat" => def.concat = true,
            // Virtual: computed by FreeRADIUS from the packet. Secret: not shown in its debug output.
            "virtual" | "secret" | "internal" => {}
            _ => return Err(FlagError::Unknown),
        },
        Some(("encrypt", "1")) => def.hiding = Some(Hiding::UserPassword),
        Some(("encrypt", "2")) => def.hiding = Some(Hiding::TunnelPassword),
        Some(("encrypt", "3")) => def.hiding = Some(Hiding::AscendSecret),
        Some(("encrypt", "user-password" | "tunnel-password" | "ascend-secret")) => {
            return Err(FlagError::Version4);
        }
        Some(("clone" | "enum" | "flag" | "key" | "length" | "offset" | "ref" | "subtype", _)) => {
            return Err(FlagError::Version4);
        }
        Some(_) => return Err(FlagError::Unknown),
    }
    Ok(())
}

/// Flags that contradict the type.
fn check_flags(def: &AttributeDef) -> Result<(), &'static str> {
    if def.tagged && !matches!(def.data_type, DataType::Text | DataType::Octets | DataType::Integer) {
        return Err("only string, octets and integer can have a tag");
    }
    if def.concat && !matches!(def.data_type, DataType::Text | DataType::Octets) {
        return Err("only string and octets can be continued in a next attribute");
    }
    if def.hiding.is_some() && def.data_type.is_structure() {
        return Err("what holds other attributes cannot be hidden");
    }
    Ok(())
}

fn parse_format(text: &str) -> Option<VendorFormat> {
    let mut parts = text.strip_prefix("format=")?.split(',');
    let (type_octets, length_octets) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let continuation = match parts.next() {
        None => false,
        Some("c") => true,
        Some(_) => return None,
    };
    VendorFormat::new(type_octets, length_octets, continuation).filter(|_| parts.next().is_none())
}

/// Decimal, or hexadecimal after `0x`.
fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

/// As [`parse_number`]; a negative number is the 32-bit pattern that `signed` has on the wire.
fn parse_signed(text: &str) -> Option<u64> {
    if text.starts_with('-') {
        return text.parse::<i32>().ok().map(|number| u64::from(number.cast_unsigned()));
    }
    parse_number(text)
}
