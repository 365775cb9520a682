//! Text of a row as octets of a data type, and octets as text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::tz::TimeZone;

use super::{Octets, ValueError, parse_date, print_date};
use crate::radius::dictionary::{AttributeDef, DataType, Dictionary};
use crate::time::UnixTime;

/// The octets of a value, without header or tag. Internal attributes have values too.
///
/// # Errors
/// `text` is not a value of the attribute's type.
pub fn octets(def: &AttributeDef, text: &str, dictionary: &Dictionary) -> Result<Octets, ValueError> {
    let octets = match def.data_type {
        DataType::Text => Octets::from_slice(&unescape(unquote(text))),
        DataType::Octets => opaque(text)?,
        DataType::Abinary
        | DataType::Tlv
        | DataType::Vsa
        | DataType::Extended
        | DataType::LongExtended
        | DataType::Evs => hexadecimal(text).ok_or(ValueError::NotHexadecimal)??,
        other => fixed(def, other, unquote(text).trim(), dictionary)?,
    };
    match def.length {
        Some(expected) if octets.len() != usize::from(expected) => {
            Err(ValueError::Length { expected, actual: octets.len() })
        }
        _ => Ok(octets),
    }
}

/// The types of fixed size, and prefixes.
fn fixed(
    def: &AttributeDef,
    data_type: DataType,
    text: &str,
    dictionary: &Dictionary,
) -> Result<Octets, ValueError> {
    let address = || ValueError::NotAnAddress;
    let octets = match data_type {
        DataType::Byte => Octets::from_slice(
            &u8::try_from(number(def, text, dictionary)?).map_err(out_of_range)?.to_be_bytes(),
        ),
        DataType::Short => Octets::from_slice(
            &u16::try_from(number(def, text, dictionary)?).map_err(out_of_range)?.to_be_bytes(),
        ),
        DataType::Integer => {
            let number = u32::try_from(number(def, text, dictionary)?).map_err(out_of_range)?;
            if def.tagged && number > 0x00ff_ffff {
                return Err(ValueError::OutOfRange);
            }
            Octets::from_slice(&number.to_be_bytes())
        }
        DataType::Integer64 => Octets::from_slice(&number(def, text, dictionary)?.to_be_bytes()),
        DataType::Signed => match text.parse::<i32>() {
            Ok(number) => Octets::from_slice(&number.to_be_bytes()),
            Err(_) => {
                let number = u32::try_from(number(def, text, dictionary)?).map_err(out_of_range)?;
                let named = dictionary.value_number(def, text).is_some();
                if !named && !text.starts_with("0x") {
                    return Err(ValueError::OutOfRange);
                }
                Octets::from_slice(&number.to_be_bytes())
            }
        },
        DataType::Date => {
            let at = parse_date(text, &TimeZone::UTC).ok_or(ValueError::NotADate)?;
            Octets::from_slice(&u32::try_from(at.0).map_err(out_of_range)?.to_be_bytes())
        }
        DataType::Ipv4Address => {
            Octets::from_slice(&text.parse::<Ipv4Addr>().map_err(|_| address())?.octets())
        }
        DataType::Ipv6Address => {
            Octets::from_slice(&text.parse::<Ipv6Addr>().map_err(|_| address())?.octets())
        }
        DataType::ComboIp => match text.parse::<IpAddr>().map_err(|_| address())? {
            IpAddr::V4(v4) => Octets::from_slice(&v4.octets()),
            IpAddr::V6(v6) => Octets::from_slice(&v6.octets()),
        },
        DataType::Ipv4Prefix => ipv4_prefix(text)?,
        DataType::Ipv6Prefix => ipv6_prefix(text)?,
        DataType::Ether => Octets::from_slice(&ethernet(text).ok_or(ValueError::NotAnEthernetAddress)?),
        DataType::InterfaceId => Octets::from_slice(&interface_id(text).ok_or(ValueError::NotAnInterfaceId)?),
        _ => return Err(ValueError::NotHexadecimal),
    };
    Ok(octets)
}

fn out_of_range(_: std::num::TryFromIntError) -> ValueError {
    ValueError::OutOfRange
}

/// A name of the attribute, or a number in decimal or after `0x`.
fn number(def: &AttributeDef, text: &str, dictionary: &Dictionary) -> Result<u64, ValueError> {
    if let Some(number) = dictionary.value_number(def, text) {
        return Ok(number);
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match digits {
        Some(digits) if digits.bytes().all(|octet| octet.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16)
        }
        _ if text.bytes().all(|octet| octet.is_ascii_digit()) => text.parse(),
        _ if dictionary.values(def).next().is_some() => return Err(ValueError::UnknownName),
        _ if text.strip_prefix('-').is_some_and(|rest| rest.bytes().all(|octet| octet.is_ascii_digit())) => {
            return Err(ValueError::OutOfRange);
        }
        _ => return Err(ValueError::NotANumber),
    };
    number.map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => ValueError::OutOfRange,
        _ => ValueError::NotANumber,
    })
}

/// Octets after `0x`, else the text as it stands.
fn opaque(text: &str) -> Result<Octets, ValueError> {
    match hexadecimal(unquote(text)) {
        Some(octets) => octets,
        None => Ok(Octets::from_slice(unquote(text).as_bytes())),
    }
}

/// Octets written in hexadecimal after `0x`; `None` if there is no `0x`.
fn hexadecimal(text: &str) -> Option<Result<Octets, ValueError>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let octets = hex::decode(digits).map(Octets::from_vec);
    Some(octets.map_err(|_| ValueError::NotHexadecimal))
}

/// Reserved octet, length, address with the host part cleared (RFC 8044 §3.11).
fn ipv4_prefix(text: &str) -> Result<Octets, ValueError> {
    let net = match text.parse::<Ipv4Addr>() {
        Ok(address) => Ipv4Net::from(address),
        Err(_) => text.parse().map_err(|_| ValueError::NotAPrefix)?,
    };
    let mut octets = Octets::from_slice(&[0, net.prefix_len()]);
    octets.extend_from_slice(&net.network().octets());
    Ok(octets)
}

/// Reserved octet, length, and as many octets of the address as the length needs (RFC 3162 §2.3,
/// RFC 8044 §3.10).
fn ipv6_prefix(text: &str) -> Result<Octets, ValueError> {
    let net = match text.parse::<Ipv6Addr>() {
        Ok(address) => Ipv6Net::from(address),
        Err(_) => text.parse().map_err(|_| ValueError::NotAPrefix)?,
    };
    let needed = usize::from(net.prefix_len().div_ceil(8));
    let mut octets = Octets::from_slice(&[0, net.prefix_len()]);
    octets.extend_from_slice(net.network().octets().get(..needed).unwrap_or_default());
    Ok(octets)
}

/// Six octets with `:` or `-` between them.
fn ethernet(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut groups = text.split([':', '-']);
    for octet in &mut octets {
        *octet = hexadecimal_group(groups.next()?, 2).and_then(|group| u8::try_from(group).ok())?;
    }
    groups.next().is_none().then_some(octets)
}

/// Four groups of up to four hexadecimal digits with `:` between them.
fn interface_id(text: &str) -> Option<[u8; 8]> {
    let mut octets = [0; 8];
    let mut groups = text.split(':');
    for pair in octets.chunks_exact_mut(2) {
        pair.copy_from_slice(&hexadecimal_group(groups.next()?, 4)?.to_be_bytes());
    }
    groups.next().is_none().then_some(octets)
}

fn hexadecimal_group(text: &str, digits_max: usize) -> Option<u16> {
    let digits =
        (1..=digits_max).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// Takes away the quotes of a value that is quoted as a whole.
#[must_use]
pub fn unquote(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

/// Reads `\n`, `\r`, `\t`, `\"`, `\'`, `\\`, `\x41` and `\101`; a backslash before anything else stands for
/// itself.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'\\', b'n', rest @ ..] => push(&mut octets, b'\n', rest),
            [b'\\', b'r', rest @ ..] => push(&mut octets, b'\r', rest),
            [b'\\', b't', rest @ ..] => push(&mut octets, b'\t', rest),
            [b'\\', same @ (b'"' | b'\'' | b'\\' | b'`'), rest @ ..] => push(&mut octets, *same, rest),
            [
                b'\\',
                b'x',
                one @ (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'),
                two @ (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'),
                rest @ ..,
            ] => push(&mut octets, (nibble(*one) << 4) | nibble(*two), rest),
            [b'\\', one @ b'0'..=b'3', two @ b'0'..=b'7', three @ b'0'..=b'7', rest @ ..] => {
                push(&mut octets, ((one - b'0') << 6) | ((two - b'0') << 3) | (three - b'0'), rest)
            }
            [other, rest @ ..] => push(&mut octets, *other, rest),
        };
    }
    Cow::Owned(octets)
}

fn push<'a>(octets: &mut Vec<u8>, octet: u8, rest: &'a [u8]) -> &'a [u8] {
    octets.push(octet);
    rest
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// Text for people and for rows: what is not printable UTF-8 is escaped so that [`unescape`] reads
/// it back.
#[must_use]
pub fn escape(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // The first of a value would be taken for a quote around it.
                '\'' if text.is_empty() => text.push_str("\\'"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\\' | '"' => text.extend(['\\', c]),
                c if c.is_control() => {
                    let mut buffer = [0; 4];
                    octal(&mut text, c.encode_utf8(&mut buffer).as_bytes());
                }
                c => text.push(c),
            }
        }
        octal(&mut text, chunk.invalid());
    }
    text
}

fn octal(text: &mut String, octets: &[u8]) {
    for octet in octets {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{octet:03o}");
    }
}

/// The value as FreeRADIUS prints it, without quotes; [`octets`] reads it back. What is no value of
/// the attribute's type is shown as octets.
#[must_use]
pub fn print(def: &AttributeDef, octets: &[u8], dictionary: &Dictionary) -> String {
    typed(def, octets, dictionary).unwrap_or_else(|| format!("0x{}", hex::encode(octets)))
}

fn typed(def: &AttributeDef, octets: &[u8], dictionary: &Dictionary) -> Option<String> {
    let named =
        |number: u64| dictionary.value_name(def, number).map_or_else(|| number.to_string(), str::to_owned);
    Some(match def.data_type {
        DataType::Text => escape(octets),
        DataType::Byte => named(u8::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Short => named(u16::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Integer => named(u32::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Integer64 => named(u64::from_be_bytes(octets.try_into().ok()?)),
        DataType::Signed => {
            let number = i32::from_be_bytes(octets.try_into().ok()?);
            let name = dictionary.value_name(def, number.cast_unsigned());
            name.map_or_else(|| number.to_string(), str::to_owned)
        }
        DataType::Date => print_date(UnixTime(u32::from_be_bytes(octets.try_into().ok()?).into())),
        DataType::Ipv4Address => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string(),
        DataType::Ipv6Address => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string(),
        DataType::ComboIp => match octets.len() {
            4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string(),
            _ => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string(),
        },
        DataType::Ipv4Prefix => print_ipv4_prefix(octets)?,
        DataType::Ipv6Prefix => print_ipv6_prefix(octets)?,
        DataType::Ether => {
            let octets = <[u8; 6]>::try_from(octets).ok()?;
            octets.map(|octet| format!("{octet:02x}")).join(":")
        }
        DataType::InterfaceId => {
            let number = u64::from_be_bytes(octets.try_into().ok()?);
            let group = |shift: u32| (number >> shift) & 0xffff;
            format!("{:x}:{:x}:{:x}:{:x}", group(48), group(32), group(16), group(0))
        }
        _ => return None,
    })
}

fn print_ipv4_prefix(octets: &[u8]) -> Option<String> {
    let [_, length @ 0..=32, address @ ..] = octets else { return None };
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?);
    Ipv4Net::new(address, *length).ok().map(|net| net.to_string())
}

fn print_ipv6_prefix(octets: &[u8]) -> Option<String> {
    let [_, length @ 0..=128, address @ ..] = octets else { return None };
    let mut whole = [0; 16];
    whole.get_mut(..address.len())?.copy_from_slice(address);
    Ipv6Net::new(Ipv6Addr::from(whole), *length).ok().map(|net| net.to_string())
}
