//! Octets from the network as text that every database can hold.

use smol_str::SmolStr;

/// The octets as text. UTF-8 without NUL stays octet for octet; any other octet becomes `\xHH`, so
/// that nothing a NAS can send is refused or cut by a database (RFC 2865 §5: text is opaque).
#[must_use]
pub fn text_from_octets(octets: &[u8]) -> SmolStr {
    if let Ok(text) = std::str::from_utf8(octets)
        && !text.contains('\0')
    {
        return SmolStr::new(text);
    }
    let mut text = String::with_capacity(octets.len() + 12);
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\0' { text.push_str("\\x00") } else { text.push(character) }
        }
        for octet in chunk.invalid() {
            use std::fmt::Write as _;
            write!(text, "\\x{octet:02x}").expect("a String takes any text");
        }
    }
    SmolStr::from(text)
}

/// The octets that [`text_from_octets`] made the text from, for sending them back to the NAS that sent
/// them. `\xHH` is read as an octet only where it could have been written for one. A name that held such a
/// sequence literally (`CORP\xbeth`) is the one case that does not come back: it is stored as it is, since
/// other tools have it so.
#[must_use]
pub fn octets_from_text(text: &str) -> Vec<u8> {
    let octets = unescaped(text);
    if text_from_octets(&octets) == text { octets } else { text.as_bytes().to_vec() }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if let Some(octet) = escaped_octet(rest) {
            octets.push(octet);
            rest = rest.get(4..).unwrap_or_default();
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    octets
}

/// The octet that `\xHH` at the beginning stands for: NUL or one that is no ASCII.
fn escaped_octet(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\x")?.get(..2)?;
    let mut octet = [0_u8];
    hex::decode_to_slice(digits, &mut octet).ok()?;
    let [octet] = octet;
    (octet == 0 || octet >= 0x80).then_some(octet)
}

/// Does a text look like the address of a device: five to eight pairs of hexadecimal digits, separated or
/// not? Some devices have longer addresses than MAC addresses, and some lists have shorter ones.
#[must_use]
pub fn is_mac_like(text: &str) -> bool {
    let digits = text.bytes().filter(|octet| !matches!(octet, b'-' | b':' | b'.')).count();
    let plain = text.bytes().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'-' | b':' | b'.'));
    plain && digits % 2 == 0 && (10..=16).contains(&digits)
}

/// The twelve lower-case hexadecimal digits of a MAC address written in any of the usual ways
/// (`AA-BB-…`, `aa:bb:…`, `aabb.ccdd.eeff`, bare), or `None` if it is not one. A suffix such as the
/// `:SSID` of a Called-Station-Id is not part of an address.
#[must_use]
pub fn mac_digits(octets: &[u8]) -> Option<[u8; 12]> {
    let mut digits = [0_u8; 12];
    let mut filled = digits.iter_mut();
    for octet in octets {
        match octet {
            b':' | b'-' | b'.' | b' ' => {}
            _ if octet.is_ascii_hexdigit() => *filled.next()? = octet.to_ascii_lowercase(),
            _ => return None,
        }
    }
    filled.next().is_none().then_some(digits)
}

/// The address as RFC 3580 §3.20 writes it: `AA-BB-CC-00-11-22`.
#[must_use]
pub fn mac_text(digits: &[u8; 12]) -> SmolStr {
    SmolStr::from(grouped(digits, 2, "-", true))
}

/// The usual ways to write an address: bare, with colons, hyphens or dots, in either case.
#[must_use]
pub fn mac_spellings(digits: &[u8; 12]) -> [String; 8] {
    [
        grouped(digits, 12, "", false),
        grouped(digits, 12, "", true),
        grouped(digits, 2, ":", false),
        grouped(digits, 2, ":", true),
        grouped(digits, 2, "-", false),
        grouped(digits, 2, "-", true),
        grouped(digits, 4, ".", false),
        grouped(digits, 4, ".", true),
    ]
}

fn grouped(digits: &[u8; 12], size: usize, between: &str, upper: bool) -> String {
    let text = |part: &[u8]| part.iter().map(|digit| char::from(*digit)).collect::<String>();
    let joined = digits.chunks(size).map(text).collect::<Vec<_>>().join(between);
    if upper { joined.to_ascii_uppercase() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_octet_for_octet_unless_a_database_cannot_hold_them() {
        assert_eq!(text_from_octets("o'brien \u{1f600}\n".as_bytes()), "o'brien \u{1f600}\n");
        assert_eq!(text_from_octets(b"user\0evil"), "user\\x00evil");
        assert_eq!(text_from_octets(b"\xff\xfea"), "\\xff\\xfea");
    }

    #[test]
    fn the_octets_come_back_from_the_text() {
        for octets in [
            &b"o'brien"[..],
            b"user\0evil",
            b"\xff\xfea",
            b"corp\\alice \\x41",
            "\u{1f600}".as_bytes(),
            b"\\x",
            // Octets that are UTF-8, and capital digits, are never written so.
            b"\\xc3\\xa9",
            b"CORP\\xBETH",
        ] {
            assert_eq!(octets_from_text(&text_from_octets(octets)), octets);
        }
        // The same text stands for both.
        assert_eq!(octets_from_text(&text_from_octets(b"CORP\\xbeth")), b"CORP\xbeth");
    }

    #[test]
    fn a_mac_address_has_one_form() {
        for form in ["AA-BB-CC-00-11-22", "aa:bb:cc:00:11:22", "aabb.cc00.1122", "AABBCC001122"] {
            assert_eq!(mac_digits(form.as_bytes()), Some(*b"aabbcc001122"));
            assert!(mac_spellings(b"aabbcc001122").contains(&form.to_owned()));
        }
        assert_eq!(mac_text(b"aabbcc001122"), "AA-BB-CC-00-11-22");
        for other in ["AA-BB-CC-00-11", "AA-BB-CC-00-11-22-33", "bob", ""] {
            assert_eq!(mac_digits(other.as_bytes()), None);
        }
    }
}
