//! Attributes: the walk over them, Vendor-Specific in its formats, tags, extended attributes, TLVs.
//!
//! Everything here takes octets that somebody else made up. An iterator never reads past its octets,
//! never yields more items than there are octets, and never follows a length into depth by itself:
//! whoever wants the next level asks for it.

mod numbers;

use std::borrow::Cow;

pub use numbers::*;

/// One attribute (RFC 2865 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type.
    pub number: u8,
    /// Its value, 0 to 253 octets.
    pub value: &'a [u8],
}

/// Attributes one after another. Stops where the octets are no whole attribute, which cannot happen
/// inside a decoded packet.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads attributes from octets such as a packet after its header, or the value of a TLV.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let [number, length, tail @ ..] = self.rest else { return None };
        let (value, rest) = tail.split_at_checked(usize::from(length.checked_sub(2)?))?;
        self.rest = rest;
        Some(Attribute { number: *number, value })
    }
}

/// How a vendor writes the attributes inside its Vendor-Specific (the `format=` of a dictionary).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorFormat {
    /// Octets of the type: 1, 2 or 4.
    pub type_octets: u8,
    /// Octets of the length: 0 (the value takes all that is left), 1 or 2.
    pub length_octets: u8,
    /// An octet with the "more" bit follows the length (WiMAX).
    pub continuation: bool,
}

impl VendorFormat {
    /// One octet each, as RFC 2865 §5.26 suggests and almost everybody does.
    pub const STANDARD: Self = Self { type_octets: 1, length_octets: 1, continuation: false };

    /// The format with these sizes, if there is one.
    #[must_use]
    pub const fn new(type_octets: u8, length_octets: u8, continuation: bool) -> Option<Self> {
        match (type_octets, length_octets, continuation) {
            (1 | 2 | 4, 0..=2, false) | (1, 1, true) => {
                Some(Self { type_octets, length_octets, continuation })
            }
            _ => None,
        }
    }

    /// Octets before a value.
    #[must_use]
    pub const fn overhead(self) -> usize {
        self.type_octets as usize + self.length_octets as usize + self.continuation as usize
    }

    /// Takes one attribute off the front; `None` where the lengths do not hold.
    fn split(self, octets: &[u8]) -> Option<(SubAttribute<'_>, &[u8])> {
        let (number, rest) = take_number(octets, usize::from(self.type_octets))?;
        let (value, rest) = if self.length_octets == 0 {
            (rest, &[][..])
        } else {
            let (length, rest) = take_number(rest, usize::from(self.length_octets))?;
            let before = usize::from(self.type_octets) + usize::from(self.length_octets);
            rest.split_at_checked(usize::try_from(length).ok()?.checked_sub(before)?)?
        };
        let (more, value) = if self.continuation {
            let (flags, value) = value.split_first()?;
            (flags & 0x80 != 0, value)
        } else {
            (false, value)
        };
        Some((SubAttribute { number, value, more }, rest))
    }
}

impl Default for VendorFormat {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// An attribute inside another: of a vendor, or a TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAttribute<'a> {
    /// Its type.
    pub number: u32,
    /// Its value, possibly empty.
    pub value: &'a [u8],
    /// The value goes on in the next one of the same type (WiMAX alone).
    pub more: bool,
}

/// Attributes inside another one, all of one format.
#[derive(Clone, Debug)]
pub struct SubAttributes<'a> {
    rest: &'a [u8],
    format: VendorFormat,
}

impl<'a> SubAttributes<'a> {
    /// Reads them, or `None` where they do not fill the octets exactly: then the value is opaque
    /// (RFC 2865 §5.26, RFC 6929 §2.3).
    #[must_use]
    pub fn new(octets: &'a [u8], format: VendorFormat) -> Option<Self> {
        let mut rest = octets;
        while !rest.is_empty() {
            (_, rest) = format.split(rest)?;
        }
        Some(Self { rest: octets, format })
    }

    const NONE: Self = Self { rest: &[], format: VendorFormat::STANDARD };
}

impl<'a> Iterator for SubAttributes<'a> {
    type Item = SubAttribute<'a>;

    fn next(&mut self) -> Option<SubAttribute<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (attribute, rest) = self.format.split(self.rest)?;
        self.rest = rest;
        Some(attribute)
    }
}

/// The vendor of a Vendor-Specific and what it wrote (RFC 2865 §5.26).
#[must_use]
pub fn vendor_specific(value: &[u8]) -> Option<(u32, &[u8])> {
    let (vendor, data) = value.split_first_chunk()?;
    Some((u32::from_be_bytes(*vendor), data)).filter(|_| !data.is_empty())
}

/// One attribute of a vendor that writes type and length in one octet each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorAttribute<'a> {
    /// SMI private enterprise number.
    pub vendor: u32,
    /// The vendor's type.
    pub number: u8,
    /// Its value, possibly empty.
    pub value: &'a [u8],
}

/// The attributes in the value of a Vendor-Specific whose vendor uses the standard format; none
/// where it does not read as such.
#[must_use]
pub fn vendor_attributes(value: &[u8]) -> VendorAttributes<'_> {
    let (vendor, inner) = vendor_specific(value)
        .and_then(|(vendor, data)| Some((vendor, SubAttributes::new(data, VendorFormat::STANDARD)?)))
        .unwrap_or((0, SubAttributes::NONE));
    VendorAttributes { vendor, inner }
}

/// Iterator of [`vendor_attributes`].
#[derive(Clone, Debug)]
pub struct VendorAttributes<'a> {
    vendor: u32,
    inner: SubAttributes<'a>,
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        let SubAttribute { number, value, .. } = self.inner.next()?;
        Some(VendorAttribute { vendor: self.vendor, number: u8::try_from(number).ok()?, value })
    }
}

/// The TLVs in a value (RFC 6929 §2.3), one level of them; `None` where lengths below 3 or a
/// remainder make the value invalid.
#[must_use]
pub fn tlvs(value: &[u8]) -> Option<SubAttributes<'_>> {
    let inner = SubAttributes::new(value, VendorFormat::STANDARD)?;
    inner.clone().all(|tlv| !tlv.value.is_empty()).then_some(inner)
}

/// Tag and value of a tagged integer (RFC 2868 §3.1). 0 is no tag; an octet above 0x1f is not a tag
/// but the top of a number. `None` where it is not four octets.
#[must_use]
pub fn tagged_integer(value: &[u8]) -> Option<(u8, u32)> {
    let [tag, rest @ ..] = <[u8; 4]>::try_from(value).ok()?;
    let [high, middle, low] = rest;
    if tag <= TAG_MAX {
        Some((tag, u32::from_be_bytes([0, high, middle, low])))
    } else {
        Some((0, u32::from_be_bytes([tag, high, middle, low])))
    }
}

/// The four octets of a tagged integer; `None` where the tag or the number (24 bits) is too big.
#[must_use]
pub fn tagged_integer_octets(tag: u8, number: u32) -> Option<[u8; 4]> {
    let [top, high, middle, low] = number.to_be_bytes();
    (tag <= TAG_MAX && top == 0).then_some([tag, high, middle, low])
}

/// Tag and text of a tagged string (RFC 2868 §3.3, §3.6). 0 is no tag; a first octet above 0x1f is
/// part of the text.
#[must_use]
pub fn tagged_string(value: &[u8]) -> (u8, &[u8]) {
    match value {
        [tag @ ..=TAG_MAX, text @ ..] => (*tag, text),
        text => (0, text),
    }
}

/// The highest tag (RFC 2868 §3.1).
pub const TAG_MAX: u8 = 0x1f;

/// An attribute of the extended spaces 241 to 246 (RFC 6929 §2.1, §2.2), put together if it came in
/// fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended<'a> {
    /// 241 to 246.
    pub space: u8,
    /// Extended-Type. 26 is a vendor's: see [`extended_vendor`].
    pub number: u8,
    /// Its value, never empty. Borrowed unless it came in fragments.
    pub value: Cow<'a, [u8]>,
}

/// The extended attributes among these, in order. What does not hold together (an Extended-Type or
/// flags missing, a run of fragments that breaks off, More without the full length) is an invalid
/// attribute and left out (RFC 6929 §2.8); the rest of the packet is read on.
#[must_use]
pub const fn extended_attributes(attributes: Attributes<'_>) -> ExtendedAttributes<'_> {
    ExtendedAttributes { rest: attributes }
}

/// Iterator of [`extended_attributes`].
#[derive(Clone, Debug)]
pub struct ExtendedAttributes<'a> {
    rest: Attributes<'a>,
}

impl<'a> Iterator for ExtendedAttributes<'a> {
    type Item = Extended<'a>;

    fn next(&mut self) -> Option<Extended<'a>> {
        loop {
            let Attribute { number: space, value } = self.rest.next()?;
            let extended = match space {
                EXTENDED_ATTRIBUTE_1..=EXTENDED_ATTRIBUTE_4 => match value {
                    [number, value @ ..] => Some((*number, Cow::Borrowed(value))),
                    [] => None,
                },
                EXTENDED_ATTRIBUTE_5 | EXTENDED_ATTRIBUTE_6 => {
                    Fragment::read(space, value).and_then(|first| self.join(first))
                }
                _ => None,
            };
            if let Some((number, value)) = extended.filter(|(_, value)| !value.is_empty()) {
                return Some(Extended { space, number, value });
            }
        }
    }
}

impl<'a> ExtendedAttributes<'a> {
    /// Takes the fragments that follow `first` and belong to it. Reads no further than to the first
    /// attribute that does not.
    fn join(&mut self, first: Fragment<'a>) -> Option<(u8, Cow<'a, [u8]>)> {
        if !first.more {
            return Some((first.number, Cow::Borrowed(first.value)));
        }
        let mut whole = first.full().then(|| first.value.to_vec());
        loop {
            let mut ahead = self.rest.clone();
            let next = ahead
                .next()
                .filter(|next| next.number == first.space)
                .and_then(|next| Fragment::read(next.number, next.value))
                .filter(|next| next.number == first.number)?;
            self.rest = ahead;
            match &mut whole {
                Some(octets) if !next.more || next.full() => octets.extend_from_slice(next.value),
                _ => whole = None,
            }
            if !next.more {
                return whole.map(|octets| (first.number, Cow::Owned(octets)));
            }
        }
    }
}

/// One long-extended attribute as it is on the wire (RFC 6929 §2.2).
#[derive(Clone, Copy)]
struct Fragment<'a> {
    space: u8,
    number: u8,
    more: bool,
    value: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The reserved bits of the flags are ignored.
    const fn read(space: u8, value: &'a [u8]) -> Option<Self> {
        match value {
            [number, flags, value @ ..] => {
                Some(Self { space, number: *number, more: *flags & 0x80 != 0, value })
            }
            _ => None,
        }
    }

    /// Does it fill its attribute? More is valid only then.
    const fn full(&self) -> bool {
        self.value.len() == EXTENDED_FRAGMENT_MAX
    }
}

/// Octets of value in a long-extended attribute of length 255.
const EXTENDED_FRAGMENT_MAX: usize = 251;

/// Vendor, vendor type and value in an extended attribute of type 26 (RFC 6929 §2.4).
#[must_use]
pub fn extended_vendor(value: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (vendor, data) = vendor_specific(value)?;
    let (number, value) = data.split_first()?;
    Some((vendor, *number, value)).filter(|_| !value.is_empty())
}

/// Writes an extended attribute, in fragments where it is long; `false` where the space cannot hold
/// it: 241 to 244 take 252 octets, other numbers nothing.
pub fn push_extended(space: u8, number: u8, value: &[u8], out: &mut impl Extend<u8>) -> bool {
    match space {
        EXTENDED_ATTRIBUTE_1..=EXTENDED_ATTRIBUTE_4 => {
            let Some(length) = u8::try_from(value.len() + 3).ok().filter(|_| !value.is_empty()) else {
                return false;
            };
            out.extend([space, length, number]);
            out.extend(value.iter().copied());
            true
        }
        EXTENDED_ATTRIBUTE_5 | EXTENDED_ATTRIBUTE_6 => {
            let mut fragments = value.chunks(EXTENDED_FRAGMENT_MAX).peekable();
            let any = fragments.peek().is_some();
            while let Some(fragment) = fragments.next() {
                let Ok(length) = u8::try_from(fragment.len() + 4) else { return false };
                let flags = if fragments.peek().is_some() { 0x80 } else { 0 };
                out.extend([space, length, number, flags]);
                out.extend(fragment.iter().copied());
            }
            any
        }
        _ => false,
    }
}

/// A number of 0, 1, 2 or 4 octets off the front.
fn take_number(octets: &[u8], size: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = octets.split_at_checked(size)?;
    Some((number.iter().fold(0, |sum, octet| (sum << 8) | u32::from(*octet)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(number: u32, value: &[u8]) -> SubAttribute<'_> {
        SubAttribute { number, value, more: false }
    }

    #[test]
    fn several_attributes_in_one_vendor_specific_are_all_read() {
        let value = [0, 0, 0, 9, 1, 3, b'a', 1, 2, 2, 4, b'b', b'c'];
        let read: Vec<_> = vendor_attributes(&value).map(|it| (it.vendor, it.number, it.value)).collect();
        assert_eq!(read, [(9, 1, &b"a"[..]), (9, 1, b""), (9, 2, b"bc")]);
    }

    #[test]
    fn a_vendor_specific_that_does_not_parse_is_opaque() {
        for value in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 9],
            &[0, 0, 0, 9, 1],
            &[0, 0, 0, 9, 1, 0],
            &[0, 0, 0, 9, 1, 1, 0],
            &[0, 0, 0, 9, 1, 4, 0],
            &[0, 0, 0, 9, 1, 3, 0, 1],
            &[0, 0, 0, 9, 1, 3, 0, 1, 255],
        ] {
            assert_eq!(vendor_attributes(value).count(), 0, "{value:?}");
        }
    }

    #[test]
    fn formats_of_vendors_are_read() {
        let format = |types, lengths| VendorFormat::new(types, lengths, false).unwrap();
        let read = |octets, format| SubAttributes::new(octets, format).map(Iterator::collect::<Vec<_>>);
        assert_eq!(read(&[0, 7, 5, 1, 2, 0, 8, 3], format(2, 1)), Some(vec![sub(7, &[1, 2]), sub(8, &[])]));
        assert_eq!(read(&[0, 7, 0, 6, 1, 2], format(2, 2)), Some(vec![sub(7, &[1, 2])]));
        assert_eq!(read(&[0, 0, 0x90, 1, 1, 2], format(4, 0)), Some(vec![sub(0x9001, &[1, 2])]));
        assert_eq!(read(&[0, 0, 0x90, 1], format(4, 0)), Some(vec![sub(0x9001, &[])]));
        assert_eq!(read(&[7, 1, 2], format(1, 0)), Some(vec![sub(7, &[1, 2])]));
        assert_eq!(read(&[0, 7, 1, 2], format(2, 0)), Some(vec![sub(7, &[1, 2])]));
        for (octets, format) in [
            (&[0, 7, 2][..], format(2, 1)),
            (&[0, 7, 5, 1], format(2, 1)),
            (&[0, 7, 0, 3], format(2, 2)),
            (&[0, 7, 255, 255, 1], format(2, 2)),
            (&[0, 7, 0], format(2, 2)),
            (&[0, 0, 1], format(4, 0)),
            (&[0], format(2, 0)),
        ] {
            assert_eq!(read(octets, format), None, "{octets:?}");
        }
        assert_eq!(VendorFormat::new(3, 1, false), None);
        assert_eq!(VendorFormat::new(1, 3, false), None);
        assert_eq!(VendorFormat::new(2, 2, true), None);
    }

    #[test]
    fn a_continued_attribute_says_so_and_never_reads_its_flags_past_the_end() {
        let wimax = VendorFormat::new(1, 1, true).unwrap();
        let read: Vec<_> = SubAttributes::new(&[1, 4, 0x80, 9, 1, 3, 0], wimax).unwrap().collect();
        assert_eq!(read, [SubAttribute { number: 1, value: &[9], more: true }, sub(1, &[])]);
        // The shape behind CVE-2017-10979: a length that has no room for the continuation octet.
        assert!(SubAttributes::new(&[1, 2], wimax).is_none());
        assert!(SubAttributes::new(&[1, 2, 0x80], wimax).is_none());
    }

    #[test]
    fn tags_go_up_to_31() {
        assert_eq!(tagged_integer(&[1, 0, 0, 13]), Some((1, 13)));
        assert_eq!(tagged_integer(&[0x20, 0, 0, 13]), Some((0, 0x2000_000d)));
        assert_eq!(tagged_integer(&[1, 0, 13]), None);
        assert_eq!(tagged_integer(&[1, 0, 0, 0, 13]), None);
        assert_eq!(tagged_integer_octets(0x1f, 0x00ff_ffff), Some([0x1f, 0xff, 0xff, 0xff]));
        assert_eq!(tagged_integer_octets(0x20, 1), None);
        assert_eq!(tagged_integer_octets(1, 0x0100_0000), None);
        assert_eq!(tagged_string(&[1, b'4', b'2']), (1, &b"42"[..]));
        assert_eq!(tagged_string(b"42"), (0, &b"42"[..]));
        assert_eq!(tagged_string(&[0]), (0, &b""[..]));
        assert_eq!(tagged_string(&[]), (0, &b""[..]));
    }

    #[test]
    fn tlvs_fill_their_value_and_are_never_empty() {
        let value = [1, 3, 7, 2, 4, 8, 9];
        assert_eq!(tlvs(&value).unwrap().collect::<Vec<_>>(), [sub(1, &[7]), sub(2, &[8, 9])]);
        for value in [&[1, 2][..], &[1, 3], &[1], &[1, 0, 0], &[1, 3, 7, 2]] {
            assert!(tlvs(value).is_none(), "{value:?}");
        }
    }

    fn extended(octets: &[u8]) -> Vec<Extended<'_>> {
        extended_attributes(Attributes::new(octets)).collect()
    }

    #[test]
    fn extended_attributes_are_read_among_others() {
        let octets = [1, 3, b'a', 241, 4, 8, 5, 245, 5, 1, 0x7f, 6, 246, 4, 1, 0];
        let read = extended(&octets);
        assert_eq!(
            read,
            [
                Extended { space: 241, number: 8, value: Cow::Borrowed(&[5]) },
                Extended { space: 245, number: 1, value: Cow::Borrowed(&[6]) },
            ]
        );
        assert!(read.iter().all(|it| matches!(it.value, Cow::Borrowed(_))));
        for broken in [&[241, 2][..], &[241, 3, 1], &[245, 2], &[245, 3, 1], &[245, 4, 1, 0]] {
            assert_eq!(extended(broken), []);
        }
    }

    #[test]
    fn a_long_value_survives_its_fragments() {
        for length in [1_usize, 250, 251, 252, 502, 503, 3000] {
            let value: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut octets = Vec::new();
            assert!(push_extended(246, 9, &value, &mut octets));
            let read = extended(&octets);
            assert_eq!(read, [Extended { space: 246, number: 9, value: Cow::Owned(value) }]);
        }
    }

    #[test]
    fn a_broken_run_of_fragments_is_left_out_and_reading_goes_on() {
        let fragment = |number: u8, more: bool, length: u8| {
            let mut octets = vec![245, length, number, u8::from(more) << 7];
            octets.resize(usize::from(length), 7);
            octets
        };
        let last = [241, 4, 8, 5];
        for run in [
            vec![fragment(1, true, 255)],
            vec![fragment(1, true, 255), fragment(1, true, 255)],
            vec![fragment(1, true, 10), fragment(1, false, 10)],
            vec![fragment(1, true, 255), fragment(1, true, 10), fragment(1, false, 10)],
        ] {
            let octets = [&run.concat()[..], &last].concat();
            let read: Vec<_> = extended(&octets).iter().map(|it| (it.space, it.number)).collect();
            assert_eq!(read, [(241, 8)]);
        }
        // Another type in between ends the run; it is itself whole.
        let octets = [fragment(1, true, 255), fragment(2, false, 10), fragment(1, false, 10)].concat();
        let read: Vec<_> = extended(&octets).iter().map(|it| (it.number, it.value.len())).collect();
        assert_eq!(read, [(2, 6), (1, 6)]);
    }

    #[test]
    fn an_extended_vendor_attribute_has_vendor_type_and_value() {
        assert_eq!(extended_vendor(&[0, 0, 0, 9, 4, 1, 2]), Some((9, 4, &[1, 2][..])));
        assert_eq!(extended_vendor(&[0, 0, 0, 9, 4]), None);
        assert_eq!(extended_vendor(&[0, 0, 0, 9]), None);
        assert_eq!(extended_vendor(&[]), None);
    }

    #[test]
    fn what_an_extended_space_cannot_hold_is_not_written() {
        let mut out = Vec::new();
        assert!(!push_extended(241, 1, &[0; 253], &mut out));
        assert!(!push_extended(241, 1, &[], &mut out));
        assert!(!push_extended(245, 1, &[], &mut out));
        assert!(!push_extended(240, 1, &[1], &mut out));
        assert!(out.is_empty());
        assert!(push_extended(241, 1, &[1; 252], &mut out));
        assert_eq!(out.len(), 255);
    }
}
