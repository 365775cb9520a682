use jiff::tz::TimeZone;

use super::*;
use crate::entropy::{Entropy, SeededEntropy};
use crate::radius::attribute::Attributes;
use crate::radius::dictionary::DataType;
use crate::radius::hiding::Hiding;
use crate::time::UnixTime;

fn wire(name: &str, text: &str) -> Result<Vec<u8>, ValueError> {
    let dictionary = Dictionary::embedded();
    let (def, tag) = dictionary.attribute_with_tag(name).expect(name);
    match encode(&def, tag, text, &dictionary)? {
        Encoded::Wire(octets) => Ok(octets.to_vec()),
        Encoded::Hidden(hidden) => panic!("{name} is hidden: {hidden:?}"),
    }
}

/// `Name = value` of everything in these attributes.
fn read(octets: &[u8]) -> Vec<String> {
    let dictionary = Dictionary::embedded();
    values(Attributes::new(octets), &dictionary)
        .iter()
        .map(|value| format!("{} = {}", value.name(&dictionary), value.print(&dictionary)))
        .collect()
}

#[test]
fn rows_become_octets() {
    for (name, text, expected) in [
        ("User-Name", "bob", &b"\x01\x05bob"[..]),
        ("Framed-IP-Address", "10.0.0.1", &[8, 6, 10, 0, 0, 1]),
        ("Session-Timeout", "3600", &[27, 6, 0, 0, 14, 16]),
        ("Session-Timeout", "0x10", &[27, 6, 0, 0, 0, 16]),
        ("Service-Type", "framed-user", &[6, 6, 0, 0, 0, 2]),
        ("Service-Type", "999", &[6, 6, 0, 0, 3, 231]),
        ("Class", "0x00ff", &[25, 4, 0, 255]),
        ("Class", "abc", b"\x19\x05abc"),
        ("Event-Timestamp", "2147483648", &[55, 6, 0x80, 0, 0, 0]),
        ("Event-Timestamp", "Feb  7 2106 06:28:15 UTC", &[55, 6, 255, 255, 255, 255]),
        ("Framed-Interface-Id", "1:2:3:4", &[96, 10, 0, 1, 0, 2, 0, 3, 0, 4]),
        ("Framed-IPv6-Prefix", "2001:db8:1:2::/64", &[97, 12, 0, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]),
        ("Framed-IPv6-Prefix", "2001:db8:ff:ff::/40", &[97, 9, 0, 40, 0x20, 1, 0xd, 0xb8, 0]),
        ("Framed-IPv6-Prefix", "::/0", &[97, 4, 0, 0]),
        ("Tunnel-Type:1", "VLAN", &[64, 6, 1, 0, 0, 13]),
        ("Tunnel-Type", ":1:VLAN", &[64, 6, 1, 0, 0, 13]),
        ("Tunnel-Type", "VLAN", &[64, 6, 0, 0, 0, 13]),
        ("Tunnel-Private-Group-Id:1", "42", b"\x51\x05\x0142"),
        ("Tunnel-Private-Group-Id", "42", b"\x51\x0442"),
        ("Tunnel-Private-Group-Id", "\\0013", b"\x51\x05\x00\x013"),
        ("Mikrotik-Rate-Limit", "1M/2M", b"\x1a\x0d\0\0\x3a\x8c\x08\x071M/2M"),
        ("Cambium-Authorize-Class-Name", "a", b"\x1a\x0b\0\0\x45\x31\x9e\x05\x01\x03a"),
        ("SN-Rulebase", "a", b"\x1a\x0b\0\0\x1f\xe4\0\xfa\0\x05a"),
        ("Operator-NAS-Identifier", "0x01", &[241, 4, 8, 1]),
        ("Attr-245.9", "0x01", &[245, 5, 9, 0, 1]),
        ("Attr-26.4242.7", "0x0102", &[26, 10, 0, 0, 0x10, 0x92, 7, 4, 1, 2]),
        ("3GPP-Teardown-Indicator", "1", &[26, 9, 0, 0, 0x28, 0xaf, 19, 3, 1]),
        ("Reply-Message", "", &[]),
    ] {
        assert_eq!(wire(name, text).as_deref(), Ok(expected), "{name} = {text}");
    }
}

#[test]
fn what_is_no_value_is_refused_with_the_reason() {
    for (name, text, expected) in [
        ("Session-Timeout", "soon", ValueError::NotANumber),
        ("Session-Timeout", "", ValueError::NotANumber),
        ("Session-Timeout", "0x", ValueError::NotANumber),
        ("Session-Timeout", "-1", ValueError::OutOfRange),
        ("Session-Timeout", "4294967296", ValueError::OutOfRange),
        ("Session-Timeout", "99999999999999999999", ValueError::OutOfRange),
        ("Service-Type", "Framed-Users", ValueError::UnknownName),
        ("Tunnel-Type", "16777216", ValueError::OutOfRange),
        ("3GPP-Teardown-Indicator", "256", ValueError::OutOfRange),
        ("Framed-IP-Address", "router.example.net", ValueError::NotAnAddress),
        ("NAS-IPv6-Address", "10.0.0.1", ValueError::NotAnAddress),
        ("Framed-IPv6-Prefix", "2001:db8::/129", ValueError::NotAPrefix),
        ("Framed-Interface-Id", "1:2:3", ValueError::NotAnInterfaceId),
        ("Event-Timestamp", "tomorrow", ValueError::NotADate),
        ("Event-Timestamp", "4294967296", ValueError::OutOfRange),
        ("Class", "0x0", ValueError::NotHexadecimal),
        ("Class", "0xzz", ValueError::NotHexadecimal),
        ("Ascend-Data-Filter", "ip in forward", ValueError::NotHexadecimal),
        ("MS-CHAP-Response", "0x00", ValueError::Length { expected: 50, actual: 1 }),
        ("Simultaneous-Use", "1", ValueError::Internal),
    ] {
        assert_eq!(wire(name, text), Err(expected), "{name} = {text}");
    }
    let long = "a".repeat(254);
    assert_eq!(wire("User-Name", &long), Err(ValueError::TooLong { most: 253, actual: 254 }));
    assert_eq!(wire("Mikrotik-Group", &long), Err(ValueError::TooLong { most: 247, actual: 254 }));
    assert_eq!(wire("Operator-NAS-Identifier", &long), Err(ValueError::TooLong { most: 252, actual: 254 }));
}

#[test]
fn hidden_values_wait_for_the_secret() {
    let dictionary = Dictionary::embedded();
    let hidden = |name: &str, tag, text: &str| match encode(
        dictionary.attribute(name).unwrap(),
        tag,
        text,
        &dictionary,
    )
    .unwrap()
    {
        Encoded::Hidden(hidden) => hidden,
        Encoded::Wire(octets) => panic!("{name} in the clear: {octets:?}"),
    };
    let tunnel = hidden("Tunnel-Password", Some(1), "secret");
    assert_eq!((tunnel.vendor, tunnel.number, tunnel.tag), (None, 69, Some(1)));
    assert_eq!((tunnel.method, &*tunnel.value), (Hiding::TunnelPassword, &b"secret"[..]));
    let mppe = hidden("MS-MPPE-Send-Key", None, "0x0102");
    assert_eq!((mppe.vendor, mppe.number, mppe.tag, &*mppe.value), (Some(311), 16, None, &[1, 2][..]));
    let ubnt = hidden("UBNT-Tunnel-Password", None, "secret");
    assert_eq!((ubnt.vendor, ubnt.number, ubnt.tlvs.as_slice()), (Some(41112), 5, &[2][..]));
    let mut out = Vec::new();
    let secret = crate::radius::Secret::new(b"testing123").unwrap();
    ubnt.encode([0x80, 1], &secret, &[0; 16], &mut out).unwrap();
    assert_eq!(&out[..12], &[26, 28, 0, 0, 0xa0, 0x98, 5, 22, 2, 20, 0x80, 1]);
    assert_eq!(out.len(), 28);
    let ascend = hidden("Ascend-Send-Secret", None, "x");
    assert_eq!(ascend.method, Hiding::AscendSecret);
}

#[test]
fn a_text_is_read_as_freeradius_writes_it() {
    for (text, octets) in [
        ("plain", &b"plain"[..]),
        (r"a\nb\tc\rd", b"a\nb\tc\rd"),
        (r#"\"q\" \\"#, br#""q" \"#),
        (r"DOMAIN\user", br"DOMAIN\user"),
        (r"\101\377\x41", b"A\xffA"),
        (r"\18\x4", br"\18\x4"),
        ("tail\\", b"tail\\"),
        (r"\'quoted'", b"'quoted'"),
    ] {
        assert_eq!(&*unescape(text), octets, "{text}");
        assert_eq!(&*unescape(&escape(octets)), octets, "{text}");
    }
    assert_eq!(escape(b"caf\xc3\xa9 \xff\xfe\0\x7f"), r"café \377\376\000\177");
    assert_eq!(escape(b"'quoted'"), r"\'quoted'");
    assert_eq!(unquote("\"a\""), "a");
    assert_eq!(unquote("'a'"), "a");
    assert_eq!(unquote("\"a"), "\"a");
    assert_eq!(unquote("\""), "\"");
}

#[test]
fn dates_are_read_in_every_spelling() {
    let utc = TimeZone::UTC;
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (text, seconds) in [
        ("1764072000", 1_764_072_000),
        ("0", 0),
        ("Nov 25 2025 12:00:00 UTC", 1_764_072_000),
        ("November 25, 2025 12:00", 1_764_072_000),
        ("25 Nov 2025 12:00:00", 1_764_072_000),
        ("2025 nov 25 12:00:00", 1_764_072_000),
        ("2025-11-25T12:00:00Z", 1_764_072_000),
        ("2025-11-25T13:00:00+01:00", 1_764_072_000),
        ("2025-11-25 12:00:00", 1_764_072_000),
        ("25 Nov 2025", 1_764_028_800),
        ("Nov  5 2025", 1_762_300_800),
        ("2025-11-25", 1_764_028_800),
    ] {
        assert_eq!(parse_date(text, &utc), Some(UnixTime(seconds)), "{text}");
    }
    assert_eq!(parse_date("25 Nov 2025 13:00:00 CET", &berlin), Some(UnixTime(1_764_072_000)));
    assert_eq!(parse_date("25 Nov 2025 12:00:00 GMT", &berlin), Some(UnixTime(1_764_072_000)));
    assert_eq!(parse_date("2025-07-01", &berlin), Some(UnixTime(1_751_320_800)));
    for text in [
        "",
        "Nov 25",
        "31 Feb 2025",
        "32 Nov 2025",
        "Nov 25 2025 24:01:00",
        "Nov 2025 26",
        "Nov 25 25",
        "Nov 25 2025 1:2:3:4",
        "soon",
        "Nov 25 26 2025",
        "2025-13-01",
        "no 25 2025",
    ] {
        let expected = if text == "Nov 2025 26" { Some(UnixTime(1_764_115_200)) } else { None };
        assert_eq!(parse_date(text, &utc), expected, "{text}");
    }
    assert_eq!(print_date(UnixTime(1_762_300_800)), "Nov  5 2025 00:00:00 UTC");
}

#[test]
fn a_packet_is_read_attribute_by_attribute() {
    let octets = [
        &b"\x01\x05bob"[..],
        &[6, 6, 0, 0, 0, 2],
        // Two of one vendor in one Vendor-Specific, one of them unknown.
        b"\x1a\x11\0\0\x3a\x8c\x08\x071M/2M\xfa\x04ab",
        &[64, 6, 1, 0, 0, 13],
        b"\x51\x05\x0142",
        &[79, 4, 2, 1, 79, 3, 9],
        &[241, 4, 8, 1],
        &[254, 3, 7],
        // A vendor nobody knows.
        &[26, 10, 0, 0, 0x10, 0x92, 7, 4, 1, 2],
    ]
    .concat();
    assert_eq!(
        read(&octets),
        [
            "User-Name = bob",
            "Service-Type = Framed-User",
            "Mikrotik-Rate-Limit = 1M/2M",
            "Attr-26.14988.250 = 0x6162",
            "Tunnel-Type:1 = VLAN",
            "Tunnel-Private-Group-Id:1 = 42",
            "EAP-Message = 0x020109",
            "Attr-254 = 0x07",
            "Attr-26.4242.7 = 0x0102",
            "Operator-NAS-Identifier = 0x01",
        ]
    );
}

#[test]
fn what_does_not_fit_its_type_is_an_attribute_that_nobody_knows() {
    for (octets, expected) in [
        (&[27, 5, 0, 0, 1][..], "Attr-27 = 0x000001"),
        (&[97, 5, 0, 129, 0], "Attr-97 = 0x008100"),
        (&[97, 4, 0, 8], "Attr-97 = 0x0008"),
        (&[97, 5, 0, 7, 0xff], "Attr-97 = 0x0007ff"),
        (&[96, 3, 1], "Attr-96 = 0x01"),
        (&[26, 9, 0, 0, 0x3a, 0x8c, 8, 4, 1], "Attr-26 = 0x00003a8c080401"),
        (&[26, 6, 0, 0, 0x3a, 0x8c], "Attr-26 = 0x00003a8c"),
        (&[26, 10, 0, 0, 0x45, 0x31, 158, 4, 1, 9], "Attr-26.17713.158 = 0x0109"),
        (&[241, 9, 26, 0, 0, 0, 9, 1, 5], "Attr-241.26.9.1 = 0x05"),
        (&[241, 5, 26, 0, 0], "Attr-241.26 = 0x0000"),
    ] {
        assert_eq!(read(octets), [expected], "{octets:?}");
    }
}

#[test]
fn values_in_several_attributes_are_put_together() {
    let eap: String = "0x".to_owned() + &"ab".repeat(600);
    let octets = wire("EAP-Message", &eap).unwrap();
    assert_eq!(octets.len(), 600 + 3 * 2);
    assert_eq!(read(&octets), [format!("EAP-Message = {eap}")]);
    let long = "0x".to_owned() + &"cd".repeat(700);
    let octets = wire("Attr-246.7", &long).unwrap();
    assert_eq!(octets.len(), 700 + 3 * 4);
    assert_eq!(read(&octets), [format!("Attr-246.7 = {long}")]);
    let text = "é".repeat(300);
    let octets = wire("Reply-Message", &text).unwrap();
    let lines: Vec<_> =
        Attributes::new(&octets).map(|line| std::str::from_utf8(line.value).unwrap()).collect();
    assert_eq!((lines.len(), lines.concat()), (3, text));
}

#[test]
fn a_vendor_that_continues_its_values_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dictionary.continued");
    std::fs::write(&file, "VENDOR Goes-On 24757 format=1,1,c\nBEGIN-VENDOR Goes-On\nATTRIBUTE Goes-On-One 1 octets\nATTRIBUTE Goes-On-Two 2 integer\nEND-VENDOR Goes-On\n").unwrap();
    let dictionary = Dictionary::with_files(&[file]).unwrap();
    let encoded =
        |name: &str, text: &str| match encode(dictionary.attribute(name).unwrap(), None, text, &dictionary) {
            Ok(Encoded::Wire(octets)) => octets,
            other => panic!("{other:?}"),
        };
    assert_eq!(&*encoded("Goes-On-Two", "7"), [26, 13, 0, 0, 0x60, 0xb5, 2, 7, 0, 0, 0, 0, 7]);
    let text = "0x".to_owned() + &"ab".repeat(600);
    let mut octets = encoded("Goes-On-One", &text);
    let whole = values(Attributes::new(&octets), &dictionary);
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].def(), dictionary.attribute("Goes-On-One"));
    assert_eq!(whole[0].print(&dictionary), text);
    // Broken off: no value of Goes-On-One.
    octets.truncate(255);
    let broken = values(Attributes::new(&octets), &dictionary);
    assert_eq!((broken.len(), broken[0].def()), (1, None));
}

#[test]
fn every_shipped_attribute_survives_the_wire() {
    let dictionary = Dictionary::embedded();
    let mut entropy = SeededEntropy::new(22);
    let mut count = 0;
    for def in dictionary.iter().filter(|def| !def.internal && !def.data_type.is_structure()) {
        for round in 0..8 {
            let value = generate(def, round, &mut entropy);
            let tag = def.tagged.then(|| u8::try_from(entropy.number() % 32).unwrap());
            let text = print(def, &value, &dictionary);
            assert_eq!(octets(def, &text, &dictionary).as_deref(), Ok(&*value), "{} = {text}", def.name);
            match encode(def, tag, &text, &dictionary) {
                Ok(Encoded::Wire(wire)) => {
                    let read = values(Attributes::new(&wire), &dictionary);
                    assert_eq!(read.len(), 1, "{} = {text}: {read:?}", def.name);
                    let found = read[0].def().unwrap_or_else(|| panic!("{} = {text}: {read:?}", def.name));
                    // An alias is read under the name that is shown.
                    assert_eq!((&found.vendor, &found.numbers), (&def.vendor, &def.numbers));
                    let shown = print(found, &read[0].octets, &dictionary);
                    if found.data_type == def.data_type {
                        assert_eq!(
                            (&*read[0].octets, read[0].tag),
                            (&*value, tag.filter(|tag| *tag > 0)),
                            "{}",
                            def.name
                        );
                        assert_eq!(shown, text, "{}", def.name);
                    }
                }
                Ok(Encoded::Hidden(hidden)) => {
                    assert_eq!(*hidden.value, *value);
                    assert_eq!(hidden.tag, tag);
                }
                Err(error) => panic!("{} = {text}: {error}", def.name),
            }
            count += 1;
        }
    }
    assert!(count > 8 * 2000, "only {count}");
}

/// A value of the attribute's type, edges first.
fn generate(def: &AttributeDef, round: u32, entropy: &mut SeededEntropy) -> Vec<u8> {
    let mut random = |length: usize| {
        let mut octets = vec![0; length];
        entropy.fill(&mut octets);
        match round {
            0 => octets.fill(0),
            1 => octets.fill(0xff),
            _ => {}
        }
        octets
    };
    if let Some(length) = def.length {
        return random(length.into());
    }
    match def.data_type {
        DataType::Byte => random(1),
        DataType::Short => random(2),
        DataType::Integer if def.tagged => [vec![0], random(3)].concat(),
        DataType::Integer | DataType::Signed | DataType::Date | DataType::Ipv4Address => random(4),
        DataType::Integer64 | DataType::InterfaceId => random(8),
        DataType::Ether => random(6),
        DataType::Ipv6Address => random(16),
        DataType::ComboIp => random(if round.is_multiple_of(2) { 4 } else { 16 }),
        DataType::Ipv4Prefix => {
            let length = random(1)[0] % 33;
            [vec![0, length], masked(random(4), length)].concat()
        }
        DataType::Ipv6Prefix => {
            let length = random(1)[0] % 129;
            let mut address = masked(random(16), length);
            address.truncate(usize::from(length.div_ceil(8)));
            [vec![0, length], address].concat()
        }
        _ => {
            let length = 1 + usize::from(random(1)[0] % 120);
            random(length)
        }
    }
}

fn masked(mut address: Vec<u8>, length: u8) -> Vec<u8> {
    for (at, octet) in address.iter_mut().enumerate() {
        let kept = usize::from(length).saturating_sub(at * 8).min(8);
        *octet &= !u8::try_from(0xff_u32 >> kept).unwrap();
    }
    address
}

#[test]
fn nothing_that_is_received_can_do_harm() {
    let dictionary = Dictionary::embedded();
    let mut entropy = SeededEntropy::new(15);
    let numbers = [1, 6, 26, 55, 64, 69, 79, 97, 123, 173, 241, 245, 246];
    for _ in 0..20_000 {
        let mut octets = Vec::new();
        while octets.len() < 300 {
            let mut value = vec![0; usize::try_from(entropy.number() % 40).unwrap()];
            entropy.fill(&mut value);
            for octet in &mut value {
                // Small numbers make lengths and types that nearly fit.
                *octet %= 12;
            }
            let pick = usize::try_from(entropy.number()).unwrap_or(0) % numbers.len();
            if numbers[pick] == 26 && value.len() > 4 {
                value[..4].copy_from_slice(&[
                    0,
                    0,
                    [0x45, 0x1f, 0x3a, 9][pick % 4],
                    [0x31, 0xe4, 0x8c, 9][pick % 4],
                ]);
            }
            octets.push(numbers[pick]);
            octets.push(u8::try_from(value.len() + 2).unwrap());
            octets.extend(value);
        }
        for value in values(Attributes::new(&octets), &dictionary) {
            let _ = value.print(&dictionary);
            // encode(decode(y)) = y, or the attribute is invalid.
            let Some(def) = value.def().filter(|def| def.hiding.is_none() && !value.octets.is_empty()) else {
                continue;
            };
            let text = print(def, &value.octets, &dictionary);
            let again = self::octets(def, &text, &dictionary)
                .unwrap_or_else(|error| panic!("{} = {text}: {error}", def.name));
            let short_prefix = matches!(def.data_type, DataType::Ipv6Prefix | DataType::Ipv4Prefix);
            assert!(again.as_slice() == &*value.octets || short_prefix, "{} = {text}", def.name);
        }
    }
}

#[test]
fn tlvs_in_tlvs_end_somewhere() {
    let mut nested = vec![1, 3, 0];
    while nested.len() < 240 {
        let length = u8::try_from(nested.len() + 2).unwrap();
        nested.splice(0..0, [1, length]);
    }
    let length = u8::try_from(nested.len() + 2).unwrap();
    let octets = [&[173, length][..], &nested].concat();
    assert_eq!(read(&octets).len(), 1);
}
