//! The wire against files of octets: `tests/data/vectors/*.txt`.
//!
//! A vector is a paragraph of `key: value` lines; `#` begins a comment. `name` and `hex` say what it
//! is, the rest what must be seen; without `malformed` or `unauthentic` the packet must be right.

use std::collections::HashMap;
use std::fmt::Debug;

use tollkeeper::radius::attribute::{
    self, Attributes, VENDOR_SPECIFIC, extended_attributes, extended_vendor, tagged_integer, tagged_string,
    tlvs, vendor_attributes,
};
use tollkeeper::radius::hiding::reveal_salted;
use tollkeeper::radius::{Code, Credentials, Packet, Request, Secret, credentials, verify_response};

/// One paragraph of a file.
#[derive(Debug, Default)]
pub(crate) struct Vector {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) octets: Vec<u8>,
    pub(crate) secret: String,
    /// Key and value of every other line, in order.
    expected: Vec<(String, String)>,
}

/// Reads every file.
pub(crate) fn load() -> Vec<Vector> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut vectors = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        vectors.extend(text.split("\n\n").filter_map(|paragraph| parse(&file, paragraph)));
    }
    vectors
}

fn parse(file: &str, paragraph: &str) -> Option<Vector> {
    let mut vector = Vector { file: file.to_owned(), secret: "xyzzy5461".to_owned(), ..Vector::default() };
    for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{file}: {line}"));
        match key {
            "name" => value.clone_into(&mut vector.name),
            "secret" => value.clone_into(&mut vector.secret),
            "hex" => vector.octets.extend(hex::decode(value.replace(' ', "")).unwrap()),
            _ => vector.expected.push((key.to_owned(), value.to_owned())),
        }
    }
    (!vector.name.is_empty()).then_some(vector)
}

impl Vector {
    fn secret(&self) -> Secret {
        Secret::new(self.secret.as_bytes()).unwrap()
    }

    /// The values of one key, in order.
    fn all(&self, key: &str) -> Vec<&str> {
        self.expected.iter().filter(|(found, _)| found == key).map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, key: &str) -> Option<&str> {
        self.all(key).first().copied()
    }

    /// Compares the lines of one key, where there are any, with what was seen.
    fn compare(&self, key: &str, seen: &[String]) {
        let expected = self.all(key);
        if !expected.is_empty() {
            assert_eq!(seen, expected, "{}, {}: {key}", self.file, self.name);
        }
    }

    fn fails_with(&self, key: &str, error: &impl Debug) {
        let text = format!("{error:?}");
        let variant = text.split(['(', ' ']).next();
        assert_eq!(self.one(key), variant, "{}, {}: {text}", self.file, self.name);
    }
}

/// A value as the files write it.
fn print(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok("") => "-".to_owned(),
        Ok(text)
            if text.len() > 1 && text.chars().all(|letter| matches!(letter, ' '..='~') && letter != '"') =>
        {
            format!("\"{text}\"")
        }
        _ => hex::encode(octets),
    }
}

#[test]
fn every_vector_is_seen_as_its_file_says() {
    let vectors = load();
    let by_name: HashMap<_, _> =
        vectors.iter().map(|it| ((it.file.as_str(), it.name.as_str()), it)).collect();
    assert_eq!(by_name.len(), vectors.len(), "a name is used twice");
    for vector in &vectors {
        assert!(!vector.expected.is_empty(), "{}, {} expects nothing", vector.file, vector.name);
        let packet = match Packet::decode(&vector.octets) {
            Ok(packet) => packet,
            Err(malformed) => {
                vector.fails_with("malformed", &malformed);
                continue;
            }
        };
        assert_eq!(vector.one("malformed"), None, "{}, {}", vector.file, vector.name);
        let seen: Vec<_> =
            packet.attributes().map(|it| format!("{} {}", it.number, print(it.value))).collect();
        vector.compare("attribute", &seen);
        check_structures(vector, &packet);
        if let Some(request) = vector.one("answers") {
            let request = by_name[&(vector.file.as_str(), request)];
            check_reply(vector, request, &packet);
        } else {
            check_request(vector, packet);
        }
    }
}

fn check_request(vector: &Vector, packet: Packet<'_>) {
    let secret = vector.secret();
    let verified = match packet.verify(&secret) {
        Ok(verified) => verified,
        Err(unauthentic) => return vector.fails_with("unauthentic", &unauthentic),
    };
    assert_eq!(vector.one("unauthentic"), None, "{}, {}", vector.file, vector.name);
    vector.compare("signed", &[if verified.signed() { "yes".to_owned() } else { "no".to_owned() }]);
    let Ok(Request::Access(request)) = verified.into_request(&secret) else {
        assert_eq!(vector.one("credentials"), None, "{}, {}", vector.file, vector.name);
        return;
    };
    let Some(expected) = vector.one("credentials") else { return };
    let (kind, password) =
        expected.split_once(' ').map_or((expected, None), |(kind, rest)| (kind, Some(rest)));
    let credentials = request.credentials();
    let debug = format!("{credentials:?}");
    assert_eq!(debug.split('(').next(), Some(kind), "{}, {}", vector.file, vector.name);
    if let Some(password) = password {
        assert!(proves(&credentials, request.user_name(), password), "{}, {}", vector.file, vector.name);
    }
    if let Some(password) = vector.one("refused") {
        assert!(!proves(&credentials, request.user_name(), password), "{}, {}", vector.file, vector.name);
    }
    if let (Some(expected), Credentials::MsChap2(response)) = (vector.one("success"), &credentials) {
        let hash = credentials::nt_hash(password.unwrap());
        let success = credentials::mschap2_matches(response, request.user_name().unwrap(), &hash).unwrap();
        assert_eq!(success.authenticator_response, expected.as_bytes());
    }
}

/// Do the credentials prove that password?
fn proves(credentials: &Credentials<'_>, user_name: Option<&[u8]>, password: &str) -> bool {
    let hash = credentials::nt_hash(password);
    match credentials {
        Credentials::Pap(sent) => sent.octets() == password.as_bytes(),
        Credentials::Chap(chap) => credentials::chap_matches(chap, password.as_bytes()),
        Credentials::MsChap1(response) => credentials::mschap1_matches(response, &hash),
        Credentials::MsChap2(response) => {
            credentials::mschap2_matches(response, user_name.unwrap_or_default(), &hash).is_some()
        }
        Credentials::Eap | Credentials::None | Credentials::Conflicting | Credentials::Invalid => false,
    }
}

fn check_reply(vector: &Vector, request: &Vector, packet: &Packet<'_>) {
    match verify_response(&request.octets, &vector.octets, &vector.secret()) {
        Ok(header) => {
            assert_eq!(vector.one("unauthentic"), None, "{}, {}", vector.file, vector.name);
            assert!(header.code.answers(Code::from(request.octets[0])));
        }
        Err(unauthentic) => vector.fails_with("unauthentic", &unauthentic),
    }
    for expected in vector.all("tagged integer") {
        let (number, expected) = expected.split_once(' ').unwrap();
        let value = packet.first(number.parse().unwrap()).unwrap();
        let seen = tagged_integer(value)
            .map_or_else(|| "invalid".to_owned(), |(tag, value)| format!("{tag} {value}"));
        assert_eq!(seen, expected, "{}, {}", vector.file, vector.name);
    }
    for expected in vector.all("tagged string") {
        let (number, expected) = expected.split_once(' ').unwrap();
        let (tag, text) = tagged_string(packet.first(number.parse().unwrap()).unwrap());
        assert_eq!(format!("{tag} {}", print(text)), expected, "{}, {}", vector.file, vector.name);
    }
    for expected in vector.all("revealed") {
        let (place, expected) = expected.split_once(' ').unwrap();
        let (vendor, number) = place.split_once('.').unwrap();
        let (vendor, number): (u32, u8) = (vendor.parse().unwrap(), number.parse().unwrap());
        let hidden = if vendor == 0 {
            // After the tag.
            packet.first(number).unwrap().get(1..).unwrap_or_default()
        } else {
            let mut all = packet.values(VENDOR_SPECIFIC).flat_map(vendor_attributes);
            all.find(|it| (it.vendor, it.number) == (vendor, number)).unwrap().value
        };
        let authenticator = request.octets[4..20].try_into().unwrap();
        let seen = reveal_salted(hidden, &vector.secret(), authenticator);
        let seen = seen.map_or_else(|| "invalid".to_owned(), |value| print(&value));
        assert_eq!(seen, expected, "{}, {}", vector.file, vector.name);
    }
}

/// Vendor-specific, extended, TLVs.
fn check_structures(vector: &Vector, packet: &Packet<'_>) {
    let none = |seen: Vec<String>, word: &str| if seen.is_empty() { vec![word.to_owned()] } else { seen };
    let seen = packet
        .values(VENDOR_SPECIFIC)
        .flat_map(vendor_attributes)
        .map(|it| format!("{}.{} {}", it.vendor, it.number, print(it.value)));
    vector.compare("vendor", &none(seen.collect(), "none"));
    let extended: Vec<_> = extended_attributes(packet.attributes()).collect();
    let seen = extended.iter().map(|it| format!("{}.{} {}", it.space, it.number, print(&it.value)));
    vector.compare("extended", &none(seen.collect(), "none"));
    let seen = extended
        .iter()
        .filter(|it| it.number == VENDOR_SPECIFIC)
        .filter_map(|it| extended_vendor(&it.value))
        .map(|(vendor, number, value)| format!("{vendor}.{number} {}", print(value)));
    vector.compare("extended vendor", &none(seen.collect(), "invalid"));
    let seen = extended
        .iter()
        .filter_map(|it| tlvs(&it.value))
        .flatten()
        .map(|tlv| format!("{} {}", tlv.number, print(tlv.value)));
    vector.compare("tlv", &none(seen.collect(), "invalid"));
}

#[test]
fn broken_packets_are_as_many_as_good_ones() {
    let vectors = load();
    let keys = ["malformed", "unauthentic", "refused"];
    let broken = |it: &&Vector| {
        keys.iter().any(|key| it.one(key).is_some())
            || it.name.starts_with("invalid")
            || it.name.starts_with("opaque")
            || it.expected.iter().any(|(_, value)| value.ends_with("invalid") || value.ends_with("Invalid"))
    };
    let broken = vectors.iter().filter(broken).count();
    assert!(broken >= vectors.len() / 2, "{broken} of {}", vectors.len());
}

#[test]
fn attributes_written_anew_are_the_same_octets() {
    for vector in load() {
        let Ok(packet) = Packet::decode(&vector.octets) else { continue };
        let mut again = vector.octets[..20].to_vec();
        for attribute::Attribute { number, value } in packet.attributes() {
            again.extend([number, u8::try_from(value.len() + 2).unwrap()]);
            again.extend(value);
        }
        assert_eq!(again, packet.octets(), "{}, {}", vector.file, vector.name);
        assert!(Attributes::new(&again[20..]).eq(packet.attributes()));
    }
}
