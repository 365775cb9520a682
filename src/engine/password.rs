//! Stored password forms and how each is verified.
//!
//! Reads the password rows of `radcheck` and `radgroupcheck` as FreeRADIUS's `rlm_pap` does: which
//! attribute or `{header}` names which form, and hexadecimal, base64 or raw octets inside. A form that
//! takes milliseconds becomes a [`SlowCheck`] that is verified off the packet path. What a stored value
//! may cost is bounded: whoever can write a row must not be able to stop the server.

mod des_crypt;
mod md5_crypt;

use std::fmt;

use argon2::{Argon2, PasswordHash};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::radius::{NtHash, credentials::nt_hash};

/// One password as a row stores it. `Debug` shows its form, never its value.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Cleartext(Zeroizing<Box<[u8]>>),
    Nt(Zeroizing<[u8; 16]>),
    /// Digest, then salt (which may be empty).
    Digest(Algorithm, Zeroizing<Box<[u8]>>),
    /// A string of `crypt(3)` or Argon2, checked to be affordable.
    Slow(Slow, Zeroizing<Box<str>>),
    Unservable(Unservable),
}

/// A digest that is quick to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// A hash that is slow on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    DesCrypt,
    Md5Crypt,
    ShaCrypt,
    Bcrypt,
    Argon2,
}

/// Why no method can be served from a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unservable {
    /// The value is empty.
    Empty,
    /// The value is longer than [`STORED_OCTETS_MAX`].
    TooLong,
    /// The value is not of the form that its attribute or header names.
    Unreadable,
    /// Rounds, memory or cost beyond what one login may take.
    TooCostly,
    /// `$y$`: yescrypt.
    Yescrypt,
    /// Encrypted, and the key is not here.
    NoKey,
    /// Another `crypt(3)` scheme.
    UnknownCrypt,
    /// LM-Password, PBKDF2-Password, SSHA3 and others that are not read.
    UnknownForm,
}

impl fmt::Display for Unservable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the stored password is empty",
            Self::TooLong => "the stored password is too long",
            Self::Unreadable => "the stored password is not of the form its name says",
            Self::TooCostly => "the stored password would take too long to verify",
            Self::Yescrypt => "yescrypt is not supported",
            Self::NoKey => {
                "the stored password is encrypted, and its key is not in database.password_key_file"
            }
            Self::UnknownCrypt => "this crypt scheme is not supported",
            Self::UnknownForm => "this password form is not supported",
        })
    }
}

/// What comparing a stored password with an offered one gave.
#[derive(Debug)]
pub enum Comparison {
    /// They are the same.
    Right,
    /// They differ.
    Wrong,
    /// It takes milliseconds: verify this elsewhere.
    Slow(SlowCheck),
    /// It cannot be done.
    Unservable(Unservable),
}

impl StoredPassword {
    /// The password that a check row stores; `None` if `attribute` does not name a password.
    #[must_use]
    pub fn read(attribute: &str, value: &str) -> Option<Self> {
        let kind = kind(attribute)?;
        if value.len() > STORED_OCTETS_MAX {
            return Some(Self(Form::Unservable(Unservable::TooLong)));
        }
        let form = match kind {
            Kind::Cleartext => cleartext(&row_octets(value)),
            Kind::Header => header(&row_octets(value)),
            Kind::Crypt => crypt(&row_octets(value)),
            Kind::Unknown => Form::Unservable(Unservable::UnknownForm),
            Kind::Nt | Kind::Digest(..) | Kind::AnySha2 => encoded(kind, &hash_octets(value)),
        };
        Some(Self(form))
    }

    /// Does a row of that attribute store a password?
    #[must_use]
    pub fn is_password(attribute: &str) -> bool {
        kind(attribute).is_some()
    }

    /// Compares with what PAP offers, in time that does not depend on how much of it is right.
    #[must_use]
    pub fn compare(&self, offered: &[u8]) -> Comparison {
        let right = match &self.0 {
            Form::Unservable(why) => return Comparison::Unservable(*why),
            _ if offered.is_empty() || offered.len() > OFFERED_OCTETS_MAX => false,
            Form::Cleartext(stored) => same_octets(stored, offered),
            Form::Nt(stored) => std::str::from_utf8(offered)
                .is_ok_and(|text| nt_hash(text).octets().ct_eq(stored.as_slice()).into()),
            Form::Digest(algorithm, stored) => algorithm.matches(stored, offered),
            Form::Slow(scheme, stored) => {
                return Comparison::Slow(SlowCheck {
                    scheme: *scheme,
                    stored: stored.clone(),
                    offered: Zeroizing::new(offered.into()),
                });
            }
        };
        if right { Comparison::Right } else { Comparison::Wrong }
    }

    /// The password itself, which CHAP needs (RFC 2865 §2.2).
    #[must_use]
    pub fn cleartext(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Cleartext(octets) => Some(octets),
            Form::Nt(_) | Form::Digest(..) | Form::Slow(..) | Form::Unservable(_) => None,
        }
    }

    /// The NT hash, which MS-CHAP needs: stored, or made of the cleartext (RFC 2759 §8.3).
    #[must_use]
    pub fn nt_hash(&self) -> Option<NtHash> {
        match &self.0 {
            Form::Nt(octets) => Some(NtHash::new(**octets)),
            Form::Cleartext(octets) => std::str::from_utf8(octets).ok().map(nt_hash),
            Form::Digest(..) | Form::Slow(..) | Form::Unservable(_) => None,
        }
    }

    /// Is the NT hash what is stored?
    #[must_use]
    pub fn is_nt(&self) -> bool {
        matches!(self.0, Form::Nt(_))
    }

    /// Why nothing can be served, if nothing can.
    #[must_use]
    pub fn unservable(&self) -> Option<Unservable> {
        if let Form::Unservable(why) = &self.0 { Some(*why) } else { None }
    }

    /// The form in a word, for `explain` and warnings.
    #[must_use]
    pub fn form(&self) -> &'static str {
        match &self.0 {
            Form::Cleartext(_) => "cleartext",
            Form::Nt(_) => "NT",
            Form::Digest(algorithm, stored) => algorithm.name(stored.len() > algorithm.length()),
            Form::Slow(Slow::DesCrypt, _) => "DES crypt",
            Form::Slow(Slow::Md5Crypt, _) => "MD5 crypt",
            Form::Slow(Slow::ShaCrypt, _) => "SHA crypt",
            Form::Slow(Slow::Bcrypt, _) => "bcrypt",
            Form::Slow(Slow::Argon2, _) => "Argon2",
            Form::Unservable(_) => "unservable",
        }
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredPassword({})", self.form())
    }
}

/// A verification that takes milliseconds, with all it needs: run it off the packet path on a bounded
/// pool, and pass the verdict back with the request. Wiped on drop; `Debug` shows only the scheme.
#[derive(Clone)]
pub struct SlowCheck {
    scheme: Slow,
    stored: Zeroizing<Box<str>>,
    offered: Zeroizing<Box<[u8]>>,
}

impl SlowCheck {
    /// Is the offered password the stored one?
    #[must_use]
    pub fn verify(&self) -> bool {
        let (stored, offered) = (&**self.stored, &**self.offered);
        match self.scheme {
            // A C string: crypt(3) would see nothing behind a NUL, and RADIUS passwords may hold one.
            Slow::DesCrypt | Slow::Md5Crypt | Slow::Bcrypt if offered.contains(&0) => false,
            Slow::DesCrypt => same_octets(&des_crypt::crypt(offered, stored.as_bytes()), stored.as_bytes()),
            Slow::Md5Crypt => same_octets(&md5_crypt::crypt(offered, stored.as_bytes()), stored.as_bytes()),
            Slow::Bcrypt => bcrypt::verify(offered, stored).unwrap_or(false),
            Slow::ShaCrypt => {
                use sha_crypt::PasswordVerifier as _;
                sha_crypt::ShaCrypt::default().verify_password(offered, stored).is_ok()
            }
            Slow::Argon2 => {
                use argon2::PasswordVerifier as _;
                PasswordHash::new(stored)
                    .is_ok_and(|hash| Argon2::default().verify_password(offered, &hash).is_ok())
            }
        }
    }

    /// What a memo of verified passwords may keep instead of the two values: HMAC-SHA-256 under a key
    /// of the caller, made at start and never stored. Another stored value gives another fingerprint,
    /// so a changed password is verified anew.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn fingerprint(&self, key: &[u8; 32]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let stored = self.stored.as_bytes();
        mac.update(&u64::try_from(stored.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(stored);
        mac.update(&self.offered);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SlowCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlowCheck({:?})", self.scheme)
    }
}

/// The octets that a row's text stands for, as FreeRADIUS reads a string: one pair of quotes around the
/// whole is taken off, `\n`, `\r`, `\t`, `\\`, `\"` and three octal digits are escapes, any other
/// backslash stands for itself.
#[must_use]
pub fn row_octets(value: &str) -> Vec<u8> {
    let text = unquoted(value);
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            octets.push(first);
            continue;
        }
        let (octet, used) = match tail {
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'"', ..] => (b'"', 1),
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3)
            }
            _ => (b'\\', 0),
        };
        octets.push(octet);
        rest = tail.get(used..).unwrap_or_default();
    }
    octets
}

/// The text to store so that [`row_octets`], and a FreeRADIUS on the same table, read `value` again.
#[must_use]
pub fn row_text(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    if unquoted(&text).len() == text.len() { text } else { format!("\"{}\"", text.replace('"', "\\\"")) }
}

/// The text without one pair of quotes of any kind around the whole.
pub(crate) fn unquoted(value: &str) -> &str {
    for quote in ['"', '\'', '`'] {
        if value.len() > 1
            && let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

/// How the value of a password attribute is read.
#[derive(Clone, Copy)]
enum Kind {
    Cleartext,
    Header,
    Crypt,
    Nt,
    /// A digest; with a salt behind it or without.
    Digest(Algorithm, bool),
    /// SHA-2 whose size its length tells.
    AnySha2,
    Unknown,
}

fn kind(attribute: &str) -> Option<Kind> {
    let known = ATTRIBUTES.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    known.map(|(_, kind)| *kind)
}

const ATTRIBUTES: [(&str, Kind); 28] = [
    ("Cleartext-Password", Kind::Cleartext),
    ("User-Password", Kind::Cleartext),
    ("Password-With-Header", Kind::Header),
    ("Crypt-Password", Kind::Crypt),
    ("Argon2-Password", Kind::Crypt),
    ("NT-Password", Kind::Nt),
    ("MD5-Password", Kind::Digest(Algorithm::Md5, false)),
    ("SMD5-Password", Kind::Digest(Algorithm::Md5, true)),
    ("SHA-Password", Kind::Digest(Algorithm::Sha1, false)),
    ("SHA1-Password", Kind::Digest(Algorithm::Sha1, false)),
    ("SSHA-Password", Kind::Digest(Algorithm::Sha1, true)),
    ("SSHA1-Password", Kind::Digest(Algorithm::Sha1, true)),
    ("SHA2-Password", Kind::AnySha2),
    ("SHA2-224-Password", Kind::Digest(Algorithm::Sha224, false)),
    ("SHA2-256-Password", Kind::Digest(Algorithm::Sha256, false)),
    ("SHA2-384-Password", Kind::Digest(Algorithm::Sha384, false)),
    ("SHA2-512-Password", Kind::Digest(Algorithm::Sha512, false)),
    ("SSHA2-224-Password", Kind::Digest(Algorithm::Sha224, true)),
    ("SSHA2-256-Password", Kind::Digest(Algorithm::Sha256, true)),
    ("SSHA2-384-Password", Kind::Digest(Algorithm::Sha384, true)),
    ("SSHA2-512-Password", Kind::Digest(Algorithm::Sha512, true)),
    ("LM-Password", Kind::Unknown),
    ("NS-MTA-MD5-Password", Kind::Unknown),
    ("PBKDF2-Password", Kind::Unknown),
    ("SSHA3-224-Password", Kind::Unknown),
    ("SSHA3-256-Password", Kind::Unknown),
    ("SSHA3-384-Password", Kind::Unknown),
    ("SSHA3-512-Password", Kind::Unknown),
];

/// Headers of Password-With-Header, lower case; compared without regard to case.
const HEADERS: [(&str, Kind); 24] = [
    ("clear", Kind::Cleartext),
    ("cleartext", Kind::Cleartext),
    ("crypt", Kind::Crypt),
    ("argon2", Kind::Crypt),
    ("nt", Kind::Nt),
    ("nthash", Kind::Nt),
    ("x-nthash", Kind::Nt),
    ("md5", Kind::Digest(Algorithm::Md5, false)),
    ("base64_md5", Kind::Digest(Algorithm::Md5, false)),
    ("smd5", Kind::Digest(Algorithm::Md5, true)),
    ("sha", Kind::Digest(Algorithm::Sha1, false)),
    ("ssha", Kind::Digest(Algorithm::Sha1, true)),
    ("sha2", Kind::AnySha2),
    ("sha224", Kind::Digest(Algorithm::Sha224, false)),
    ("sha256", Kind::Digest(Algorithm::Sha256, false)),
    ("sha384", Kind::Digest(Algorithm::Sha384, false)),
    ("sha512", Kind::Digest(Algorithm::Sha512, false)),
    ("ssha224", Kind::Digest(Algorithm::Sha224, true)),
    ("ssha256", Kind::Digest(Algorithm::Sha256, true)),
    ("ssha384", Kind::Digest(Algorithm::Sha384, true)),
    ("ssha512", Kind::Digest(Algorithm::Sha512, true)),
    ("ns-mta-md5", Kind::Unknown),
    ("x-pbkdf2", Kind::Unknown),
    ("x-orcllmv", Kind::Unknown),
];

fn cleartext(octets: &[u8]) -> Form {
    if octets.is_empty() {
        return Form::Unservable(Unservable::Empty);
    }
    Form::Cleartext(Zeroizing::new(octets.into()))
}

/// `{scheme}value`, that in base64, or a value without a header, which is then the password itself.
fn header(octets: &[u8]) -> Form {
    if let Some(form) = behind_header(octets) {
        return form;
    }
    let decoded = Zeroizing::new(BASE64.decode(octets).unwrap_or_default());
    behind_header(&decoded).unwrap_or_else(|| cleartext(octets))
}

fn behind_header(octets: &[u8]) -> Option<Form> {
    let inner = octets.strip_prefix(b"{")?;
    let end = inner.iter().position(|octet| *octet == b'}')?;
    let (name, value) = (inner.get(..end)?, inner.get(end + 1..)?);
    let (_, kind) = HEADERS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))?;
    Some(match kind {
        Kind::Cleartext => cleartext(value),
        Kind::Crypt => crypt(value),
        Kind::Nt | Kind::Digest(..) | Kind::AnySha2 => encoded(*kind, value),
        Kind::Header | Kind::Unknown => Form::Unservable(Unservable::UnknownForm),
    })
}

/// The value of an attribute that FreeRADIUS types as octets: hexadecimal behind `0x`, else the text.
fn hash_octets(value: &str) -> Zeroizing<Vec<u8>> {
    let text = unquoted(value);
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    Zeroizing::new(
        digits.and_then(|digits| hex::decode(digits).ok()).unwrap_or_else(|| text.as_bytes().to_vec()),
    )
}

/// A hash as hexadecimal, base64 or raw octets, tried in that order.
fn encoded(kind: Kind, value: &[u8]) -> Form {
    let (least, most) = match kind {
        Kind::Nt => (16, 16),
        Kind::Digest(algorithm, false) => (algorithm.length(), algorithm.length()),
        Kind::Digest(algorithm, true) => (algorithm.length() + 1, algorithm.length() + SALT_OCTETS_MAX),
        Kind::AnySha2 => (28, 64),
        Kind::Cleartext | Kind::Header | Kind::Crypt | Kind::Unknown => {
            return Form::Unservable(Unservable::UnknownForm);
        }
    };
    if value.is_empty() {
        return Form::Unservable(Unservable::Empty);
    }
    // FreeRADIUS weighs the encodings by the length of the digest alone, salted or not.
    let digest_octets = if let Kind::Digest(algorithm, _) = kind { algorithm.length() } else { least };
    let octets = Zeroizing::new(normalised(value, digest_octets));
    if octets.len() < least || octets.len() > most {
        return Form::Unservable(Unservable::Unreadable);
    }
    let digest = |algorithm| Form::Digest(algorithm, Zeroizing::new(octets.as_slice().into()));
    match (kind, octets.len()) {
        (Kind::Digest(algorithm, _), _) => digest(algorithm),
        (Kind::AnySha2, 28) => digest(Algorithm::Sha224),
        (Kind::AnySha2, 32) => digest(Algorithm::Sha256),
        (Kind::AnySha2, 48) => digest(Algorithm::Sha384),
        (Kind::AnySha2, 64) => digest(Algorithm::Sha512),
        (Kind::Nt, _) => octets
            .as_slice()
            .try_into()
            .map_or(Form::Unservable(Unservable::Unreadable), |hash| Form::Nt(Zeroizing::new(hash))),
        _ => Form::Unservable(Unservable::Unreadable),
    }
}

fn normalised(value: &[u8], least: usize) -> Vec<u8> {
    if value.len() >= 2 * least
        && let Ok(octets) = hex::decode(value)
    {
        return octets;
    }
    if value.len() * 3 >= least * 4
        && let Ok(octets) = BASE64.decode(value)
        && octets.len() >= least
    {
        return octets;
    }
    value.to_vec()
}

/// A string of `crypt(3)` or Argon2, refused here if verifying it would cost too much.
fn crypt(octets: &[u8]) -> Form {
    let unservable = Form::Unservable;
    let Ok(text) = std::str::from_utf8(octets) else {
        return unservable(Unservable::Unreadable);
    };
    let scheme = match text.split('$').nth(1).filter(|_| text.starts_with('$')) {
        _ if text.is_empty() => return unservable(Unservable::Empty),
        None if des_crypt::is_hash(octets) => Ok(Slow::DesCrypt),
        None => Err(Unservable::UnknownCrypt),
        Some("1") if md5_crypt::is_hash(octets) => Ok(Slow::Md5Crypt),
        Some("5" | "6") => sha_crypt_cost(text).map(|()| Slow::ShaCrypt),
        Some("2a" | "2b" | "2y") => bcrypt_cost(text).map(|()| Slow::Bcrypt),
        Some("argon2i" | "argon2d" | "argon2id") => argon2_cost(text).map(|()| Slow::Argon2),
        Some("y") => Err(Unservable::Yescrypt),
        // A password that `vault` has hidden, and whose key is not here.
        Some("tk1") => Err(Unservable::NoKey),
        Some(_) => Err(Unservable::UnknownCrypt),
    };
    match scheme {
        Ok(scheme) => Form::Slow(scheme, Zeroizing::new(text.into())),
        Err(why) => unservable(why),
    }
}

fn sha_crypt_cost(text: &str) -> Result<(), Unservable> {
    let mut fields = text.split('$').skip(2);
    let first = fields.next().ok_or(Unservable::Unreadable)?;
    let salt = if let Some(rounds) = first.strip_prefix("rounds=") {
        let rounds: u64 = rounds.parse().map_err(|_| Unservable::Unreadable)?;
        if rounds > SHA_CRYPT_ROUNDS_MAX {
            return Err(Unservable::TooCostly);
        }
        fields.next().ok_or(Unservable::Unreadable)?
    } else {
        first
    };
    let digits = if text.starts_with("$5$") { 43 } else { 86 };
    let whole = salt.len() <= 16 && fields.next().is_some_and(|hash| hash.len() == digits);
    if whole && fields.next().is_none() { Ok(()) } else { Err(Unservable::Unreadable) }
}

fn bcrypt_cost(text: &str) -> Result<(), Unservable> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| Unservable::Unreadable)?;
    if parts.get_cost() > BCRYPT_COST_MAX { Err(Unservable::TooCostly) } else { Ok(()) }
}

fn argon2_cost(text: &str) -> Result<(), Unservable> {
    let hash = PasswordHash::new(text).map_err(|_| Unservable::Unreadable)?;
    let params = argon2::Params::try_from(&hash).map_err(|_| Unservable::Unreadable)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(Unservable::Unreadable);
    }
    let passes = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > ARGON2_KIB_MAX
        || passes > ARGON2_KIB_PASSES_MAX
        || params.p_cost() > ARGON2_LANES_MAX
    {
        return Err(Unservable::TooCostly);
    }
    Ok(())
}

impl Algorithm {
    const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Digest of password and salt, compared with the one that precedes the salt in `stored`.
    fn matches(self, stored: &[u8], offered: &[u8]) -> bool {
        fn of<D: Digest>(stored: &[u8], salt: &[u8], offered: &[u8]) -> bool {
            D::new().chain_update(offered).chain_update(salt).finalize().as_slice().ct_eq(stored).into()
        }
        let Some((digest, salt)) = stored.split_at_checked(self.length()) else {
            return false;
        };
        match self {
            Self::Md5 => of::<Md5>(digest, salt, offered),
            Self::Sha1 => of::<Sha1>(digest, salt, offered),
            Self::Sha224 => of::<Sha224>(digest, salt, offered),
            Self::Sha256 => of::<Sha256>(digest, salt, offered),
            Self::Sha384 => of::<Sha384>(digest, salt, offered),
            Self::Sha512 => of::<Sha512>(digest, salt, offered),
        }
    }

    const fn name(self, salted: bool) -> &'static str {
        match (self, salted) {
            (Self::Md5, false) => "MD5",
            (Self::Md5, true) => "salted MD5",
            (Self::Sha1, false) => "SHA-1",
            (Self::Sha1, true) => "salted SHA-1",
            (Self::Sha224, false) => "SHA-224",
            (Self::Sha224, true) => "salted SHA-224",
            (Self::Sha256, false) => "SHA-256",
            (Self::Sha256, true) => "salted SHA-256",
            (Self::Sha384, false) => "SHA-384",
            (Self::Sha384, true) => "salted SHA-384",
            (Self::Sha512, false) => "SHA-512",
            (Self::Sha512, true) => "salted SHA-512",
        }
    }
}

/// Equal octets? Takes the same time wherever they differ, and for every length that a User-Password
/// can have.
fn same_octets(stored: &[u8], offered: &[u8]) -> bool {
    let mut padded = Zeroizing::new([[0_u8; OFFERED_OCTETS_MAX]; 2]);
    let [left, right] = &mut *padded;
    let (Some(left_part), Some(right_part)) = (left.get_mut(..stored.len()), right.get_mut(..offered.len()))
    else {
        return false;
    };
    left_part.copy_from_slice(stored);
    right_part.copy_from_slice(offered);
    (left.ct_eq(right) & stored.len().ct_eq(&offered.len())).into()
}

/// Base64 with or without padding, whatever its unused bits say.
const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// Octets of a stored value that are read; the longest real one (SHA-512 in hexadecimal with its salt)
/// has a quarter of it, and FreeRADIUS's column 253.
pub const STORED_OCTETS_MAX: usize = 1024;

/// Octets of a User-Password (RFC 2865 §5.2).
const OFFERED_OCTETS_MAX: usize = 128;

/// Octets of a salt behind a digest.
const SALT_OCTETS_MAX: usize = 192;

/// Rounds of SHA-crypt: half a second.
const SHA_CRYPT_ROUNDS_MAX: u64 = 1_000_000;

/// Cost of bcrypt: one second.
const BCRYPT_COST_MAX: u32 = 14;

/// KiB of memory of one Argon2 verification.
const ARGON2_KIB_MAX: u32 = 256 * 1024;

/// KiB times passes of one Argon2 verification: about a second.
const ARGON2_KIB_PASSES_MAX: u64 = 1024 * 1024;

/// Lanes of Argon2; they are computed one after the other.
const ARGON2_LANES_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attribute: &str, value: &str, offered: &[u8]) -> bool {
        match StoredPassword::read(attribute, value).expect("a password attribute").compare(offered) {
            Comparison::Right => true,
            Comparison::Wrong => false,
            Comparison::Slow(check) => check.verify(),
            Comparison::Unservable(why) => panic!("{attribute} {value}: {why}"),
        }
    }

    fn unservable(attribute: &str, value: &str) -> Unservable {
        StoredPassword::read(attribute, value).unwrap().unservable().expect("is refused")
    }

    /// Values made by python's hashlib and crypt, by openssl and by PHP; FreeRADIUS 3.2.1 accepts `hello`
    /// with each that it can read.
    const HELLO: &[(&str, &str)] = &[
        ("Cleartext-Password", "hello"),
        ("cleartext-password", "hello"),
        ("User-Password", "hello"),
        ("Cleartext-Password", "\"hello\""),
        ("Cleartext-Password", "'hello'"),
        ("NT-Password", "066ddfd4ef0e9cd7c256fe77191ef43c"),
        ("NT-Password", "066DDFD4EF0E9CD7C256FE77191EF43C"),
        ("NT-Password", "0x066ddfd4ef0e9cd7c256fe77191ef43c"),
        ("MD5-Password", "5d41402abc4b2a76b9719d911017c592"),
        ("MD5-Password", "0x5d41402abc4b2a76b9719d911017c592"),
        ("MD5-Password", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("MD5-Password", "XUFAKrxLKna5cZ2REBfFkg"),
        ("SMD5-Password", "baddf52697306303627b97b2721e964a73616c74"),
        ("SMD5-Password", "ut31JpcwYwNie5eych6WSnNhbHQ="),
        ("SHA-Password", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        ("SHA1-Password", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("SSHA-Password", "FPvT+WAOz8Kj1D5MB6mKh1x5EKJzYWx0"),
        ("SSHA1-Password", "FPvT+WAOz8Kj1D5MB6mKh1x5EKJzYWx0"),
        ("SHA2-Password", "ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193"),
        ("SHA2-224-Password", "6gmunMZ2jFD87pA+0FRVblv8g0eQfxJZiqJBkw=="),
        ("SSHA2-224-Password", "HdcpdIwCxTeiK2iva7b89nMlyGjSvR6Cu7F7TnNhbHQ="),
        ("SHA2-Password", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
        ("SHA2-256-Password", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ("SSHA2-256-Password", "87daba3fe263b34c335a0ee3b28ffec4d159aad6542502eaf551dc7b9128c26773616c74"),
        ("SHA2-Password", "WeF0h3dEjGnea4ANejO7+5/xtGPkQ1TDVTvNucZm+pASWjx5+QOXvfX2oT3oKGhP"),
        ("SHA2-384-Password", "WeF0h3dEjGnea4ANejO7+5/xtGPkQ1TDVTvNucZm+pASWjx5+QOXvfX2oT3oKGhP"),
        ("SSHA2-384-Password", "eV6+DEjOdWkntVl8PhLEaFkPY/aa6Gi9HDPBQr3znI+sStRni03ry/L26lDuQECQc2FsdA=="),
        (
            "SHA2-Password",
            "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
        ),
        (
            "SHA2-512-Password",
            "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da\
             0c4663475c2e5c3adef46f73bcdec043",
        ),
        (
            "SSHA2-512-Password",
            "tnMoNq/Vy9eD05V48D0nBn/3hwVvUHv8PUZRRl6NCkX1eMWrm7dcwcmaue9TqJBxkEZNQSmxxAVympkZmQCgq3NhbHQ=",
        ),
        ("Password-With-Header", "hello"),
        ("Password-With-Header", "{clear}hello"),
        ("Password-With-Header", "{CLEARTEXT}hello"),
        ("Password-With-Header", "e2NsZWFyfWhlbGxv"),
        ("Password-With-Header", "{md5}5d41402abc4b2a76b9719d911017c592"),
        ("Password-With-Header", "{MD5}XUFAKrxLKna5cZ2REBfFkg=="),
        ("Password-With-Header", "{base64_md5}XUFAKrxLKna5cZ2REBfFkg=="),
        ("Password-With-Header", "{smd5}bAtOmkBVXekQl4yquW5rKGFi"),
        ("Password-With-Header", "{sha}qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("Password-With-Header", "{sha}aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        ("Password-With-Header", "{ssha}+MONMjJo7KScr6rasm38yGSejfxhYg=="),
        ("Password-With-Header", "{nt}066ddfd4ef0e9cd7c256fe77191ef43c"),
        ("Password-With-Header", "{nthash}066ddfd4ef0e9cd7c256fe77191ef43c"),
        ("Password-With-Header", "{x-nthash}066ddfd4ef0e9cd7c256fe77191ef43c"),
        ("Password-With-Header", "{sha2}LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ("Password-With-Header", "{sha256}LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ("Password-With-Header", "{ssha256}h9q6P+Jjs0wzWg7jso/+xNFZqtZUJQLq9VHce5EowmdzYWx0"),
        (
            "Password-With-Header",
            "{sha512}m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
        ),
        (
            "Password-With-Header",
            "{ssha512}tnMoNq/Vy9eD05V48D0nBn/3hwVvUHv8PUZRRl6NCkX1eMWrm7dcwcmaue9TqJBxkEZNQSmxxAVympkZmQCg\
             q3NhbHQ=",
        ),
        ("Password-With-Header", "{crypt}abl0JrMf6tlhw"),
        ("Password-With-Header", "{crypt}$1$abcdefgh$rwnEbRiN0agqVgZBovWNQ/"),
        ("Crypt-Password", "abl0JrMf6tlhw"),
        ("Crypt-Password", "$1$abcdefgh$rwnEbRiN0agqVgZBovWNQ/"),
        ("Crypt-Password", "$5$saltsalt$kfE3pS1dKPPHrilLCLWxLECEVLX8Au49cWIQg7GMQ05"),
        (
            "Crypt-Password",
            "$6$saltsalt$YTeBOLnmm3CoeJTzBuijUEtOEWCqrw/nQ8/AeMmON4LGp3k0ZiMjC1OdqzWFUAfDQBvYkOch9BWtQTBcZ1E\
             /p0",
        ),
        (
            "Crypt-Password",
            "$6$rounds=1000$saltsalt$zkoiYwIsO5KDt3uWpXhMSn5A3GL3dLBDrvvCP5bYQnNQABJ.qFs5wSdYTV8y4TfHT11NM.\
             aq073TqVf0dt9hm0",
        ),
        ("Crypt-Password", "$2b$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey"),
        ("Crypt-Password", "$2y$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey"),
        ("Crypt-Password", "$2a$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey"),
    ];

    #[test]
    fn every_stored_form_accepts_its_password_and_no_other() {
        for (attribute, value) in HELLO {
            assert!(check(attribute, value, b"hello"), "{attribute} {value}");
            for wrong in [&b"Hello"[..], b"hello ", b"hell", b"", b"hello\0", b"\xff\xfe", value.as_bytes()] {
                if wrong != b"hello" {
                    assert!(!check(attribute, value, wrong), "{attribute} {value} took {wrong:?}");
                }
            }
        }
    }

    #[test]
    fn passwords_are_octets_not_text() {
        assert!(check("Cleartext-Password", "пароль", "пароль".as_bytes()));
        assert!(check("Cleartext-Password", "a\\377b", b"a\xffb"));
        assert!(check("Crypt-Password", "9/WyM5xVS4mWI", "пароль".as_bytes()));
        assert!(check("Crypt-Password", "$1$ab$4ki.6dLIJdFQKQc3PVsJz1", "пароль".as_bytes()));
        assert!(check("NT-Password", "507e3ee80df7db7c1fdd8d50ae8db606", "пароль".as_bytes()));
    }

    #[test]
    fn argon2_agrees_with_its_reference() {
        for hash in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            for attribute in ["Argon2-Password", "Crypt-Password"] {
                assert!(check(attribute, hash, b"password"), "{hash}");
                assert!(!check(attribute, hash, b"Password"), "{hash}");
            }
        }
    }

    #[test]
    fn md5_crypt_agrees_with_the_c_library_at_every_block_boundary() {
        for (password, hash) in [
            ("p", "$1$x$hiN0EG1U2OVhvWQBid7j81"),
            ("correct horse battery staple", "$1$saltsalt$BsXyQbZiQujHkdhwPwdol."),
            ("0123456789abcdef", "$1$12345678$QzvqVyjsfEisWRspy9tfx1"),
            ("0123456789abcdefg", "$1$12345678$QHk3EEhG67cR4Spqkfs1o/"),
        ] {
            assert!(check("Crypt-Password", hash, password.as_bytes()), "{hash}");
        }
    }

    #[test]
    fn des_crypt_sees_eight_characters() {
        assert!(check("Crypt-Password", "S.IVZ5QD1uhSU", b"aaaaaaaa"));
        assert!(check("Crypt-Password", "S.IVZ5QD1uhSU", b"aaaaaaaaaaaaaaaaaaaa"));
        assert!(!check("Crypt-Password", "S.IVZ5QD1uhSU", b"aaaaaaa"));
    }

    #[test]
    fn an_empty_password_never_matches() {
        assert_eq!(unservable("Cleartext-Password", ""), Unservable::Empty);
        assert_eq!(unservable("Cleartext-Password", "\"\""), Unservable::Empty);
        assert_eq!(unservable("Password-With-Header", "{clear}"), Unservable::Empty);
        assert_eq!(unservable("MD5-Password", ""), Unservable::Empty);
        // MD5 and NT hash of nothing: the form can be read, but nobody offers an empty password.
        assert!(!check("MD5-Password", "d41d8cd98f00b204e9800998ecf8427e", b""));
        assert!(!check("NT-Password", "31d6cfe0d16ae931b73c59d7e0c089c0", b""));
        assert!(!check("Crypt-Password", "..X8NBuQ4l6uQ", b""));
    }

    #[test]
    fn stored_values_that_would_cost_too_much_are_refused() {
        let sha = "$6$rounds=999999999$saltsalt$zkoiYwIsO5KDt3uWpXhMSn5A3GL3dLBDrvvCP5bYQnNQABJ.qFs5wSdYTV8y4TfHT1\
                   1NM.aq073TqVf0dt9hm0";
        assert_eq!(unservable("Crypt-Password", sha), Unservable::TooCostly);
        let bcrypt = "$2b$31$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey";
        assert_eq!(unservable("Crypt-Password", bcrypt), Unservable::TooCostly);
        let argon2 =
            "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
        assert_eq!(unservable("Crypt-Password", argon2), Unservable::TooCostly);
        let argon2 =
            "$argon2id$v=19$m=65536,t=4294967295,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5";
        assert_eq!(unservable("Crypt-Password", argon2), Unservable::TooCostly);
        assert_eq!(unservable("Cleartext-Password", &"x".repeat(1 << 20)), Unservable::TooLong);
    }

    #[test]
    fn stored_values_that_cannot_be_read_are_refused_with_the_reason() {
        for (attribute, value, why) in [
            (
                "Crypt-Password",
                "$y$j9T$abcdefgh$epWtSs4Gu0OBWJFQE2cTWrKuGouFdvT/8K.cw.oANm/",
                Unservable::Yescrypt,
            ),
            ("Crypt-Password", "$7$whatever", Unservable::UnknownCrypt),
            ("Crypt-Password", "$tk1$01234567$AAAA", Unservable::NoKey),
            ("Crypt-Password", "plain", Unservable::UnknownCrypt),
            ("Crypt-Password", "$1$toolongasalt$rwnEbRiN0agqVgZBovWNQ/", Unservable::UnknownCrypt),
            ("Crypt-Password", "$6$saltsalt$short", Unservable::Unreadable),
            ("Crypt-Password", "$2b$04$short", Unservable::Unreadable),
            ("Crypt-Password", "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHQ$MDEyMw", Unservable::Unreadable),
            ("NT-Password", "066ddfd4ef0e9cd7c256fe77191ef4", Unservable::Unreadable),
            ("MD5-Password", "banana", Unservable::Unreadable),
            ("SSHA-Password", "qvTGHdzF6KLavt4PO0gs2a6pQ00=", Unservable::Unreadable),
            ("SMD5-Password", "5d41402abc4b2a76b9719d911017c592", Unservable::Unreadable),
            ("SHA2-Password", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", Unservable::Unreadable),
            ("LM-Password", "x", Unservable::UnknownForm),
            ("Password-With-Header", "{x-pbkdf2}x", Unservable::UnknownForm),
        ] {
            assert_eq!(unservable(attribute, value), why, "{attribute} {value}");
        }
        assert_eq!(StoredPassword::read("Session-Timeout", "60"), None);
    }

    #[test]
    fn an_unknown_header_is_part_of_the_password() {
        assert!(check("Password-With-Header", "{foo}hello", b"{foo}hello"));
        assert!(!check("Password-With-Header", "{foo}hello", b"hello"));
        assert!(check("Password-With-Header", "aGVsbG8=", b"aGVsbG8="));
    }

    #[test]
    fn chap_needs_cleartext_and_mschap_cleartext_or_nt() {
        for (attribute, value) in HELLO {
            let stored = StoredPassword::read(attribute, value).unwrap();
            let (clear, nt) = (stored.form() == "cleartext", stored.form() == "NT");
            assert_eq!(stored.cleartext().is_some(), clear, "{attribute} {value}");
            let hash = stored.nt_hash().map(|hash| hex::encode(hash.octets()));
            assert_eq!(hash.as_deref(), (clear || nt).then_some("066ddfd4ef0e9cd7c256fe77191ef43c"));
        }
    }

    #[test]
    fn escapes_are_those_of_freeradius() {
        for (row, octets) in [
            ("a\\nb", &b"a\nb"[..]),
            ("a\\\\b", b"a\\b"),
            ("a\\101b", b"aAb"),
            ("a\\xb", b"a\\xb"),
            ("a\\", b"a\\"),
            ("\"say \\\"hi\\\"\"", b"say \"hi\""),
            ("say \"hi\"", b"say \"hi\""),
            ("\"", b"\""),
            ("%{User-Name}", b"%{User-Name}"),
        ] {
            assert_eq!(row_octets(row), octets, "{row}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let stored = StoredPassword::read("Cleartext-Password", "canary").unwrap();
        assert_eq!(format!("{stored:?}"), "StoredPassword(cleartext)");
        let stored = StoredPassword::read("Crypt-Password", "abl0JrMf6tlhw").unwrap();
        assert_eq!(format!("{:?}", stored.compare(b"canary")), "Slow(SlowCheck(DesCrypt))");
    }

    #[test]
    fn a_fingerprint_tells_passwords_stored_values_and_keys_apart() {
        let print =
            |stored: &str, offered: &[u8], key: u8| match StoredPassword::read("Crypt-Password", stored)
                .unwrap()
                .compare(offered)
            {
                Comparison::Slow(check) => check.fingerprint(&[key; 32]),
                other => panic!("{other:?}"),
            };
        let one = print("abl0JrMf6tlhw", b"hello", 1);
        assert_eq!(one, print("abl0JrMf6tlhw", b"hello", 1));
        assert_ne!(one, print("abl0JrMf6tlhx", b"hello", 1));
        assert_ne!(one, print("abl0JrMf6tlhw", b"hellp", 1));
        assert_ne!(one, print("abl0JrMf6tlhw", b"hello", 2));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_to_a_row_is_read_again(password in "\\PC{0,40}|[\\\\\"'`ntr0-9]{0,12}") {
            proptest::prop_assert_eq!(row_octets(&row_text(&password)), password.as_bytes());
        }

        #[test]
        fn no_stored_value_panics(attribute in 0..ATTRIBUTES.len(), value in "[$a-z0-9=,/.{}+\\\\]{0,80}") {
            let (name, _) = ATTRIBUTES[attribute];
            let stored = StoredPassword::read(name, &value).unwrap();
            if let Comparison::Right = stored.compare(b"something else entirely") {
                proptest::prop_assert_eq!(row_octets(&value), b"something else entirely");
            }
        }
    }
}
