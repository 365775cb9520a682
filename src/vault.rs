//! Passwords at rest: what a stolen dump of the database must not tell.
//!
//! Owns the keys, outside of the database, and the form of a hidden value: `$tk1$KEY$…`, in a row of
//! Crypt-Password. No `crypt(3)` knows such a scheme, so that a FreeRADIUS on the same tables, and this server
//! without the key, refuse the login instead of taking the text for the password. Refuses to know SQL: the store
//! hides what it writes and reveals what it reads.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// The attribute that a hidden password is a row of.
pub const HIDDEN_IN: &str = "Crypt-Password";

/// What a hidden value begins with.
const MARK: &str = "$tk1$";

/// Attributes whose values are as good as the password, and how a hidden one says which it was. Hashes for PAP
/// alone stay as they are.
const HIDES: [(&str, u8); 3] = [("Cleartext-Password", b'c'), ("User-Password", b'u'), ("NT-Password", b'n')];

/// Octets of a key.
const KEY_LEN: usize = 32;

/// The longest text that every database holds in `radcheck.value`.
const STORED_MAX: usize = 253;

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// Others than its owner may read it.
    #[error("{path}: others may read it: chmod 600")]
    Open {
        /// Which file.
        path: String,
    },
    /// A line is no key.
    #[error("line {line} is not 64 hexadecimal digits")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// It has no key.
    #[error("there is no key in it")]
    Empty,
}

/// A hidden value would be longer than every database can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Keys: the first hides, all reveal. `Debug` shows their names alone.
#[derive(Default)]
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    /// Eight hexadecimal digits of its SHA-256.
    name: String,
    key: LessSafeKey,
}

/// A fresh key as a line of the file.
#[must_use]
pub fn new_key(entropy: &mut dyn Entropy) -> Zeroizing<String> {
    let mut octets = Zeroizing::new([0; KEY_LEN]);
    entropy.fill(&mut *octets);
    Zeroizing::new(hex::encode(*octets))
}

impl Vault {
    /// The keys of a file that its owner alone may read: one a line, `#` begins a comment.
    ///
    /// # Errors
    /// What is wrong with the file. The operator's fault.
    pub fn read(path: &Path) -> Result<Self, VaultError> {
        let shown = || path.display().to_string();
        let unreadable =
            |error: std::io::Error| VaultError::Unreadable { path: shown(), reason: error.to_string() };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(VaultError::Open { path: shown() });
            }
        }
        Self::parse(&Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?))
    }

    /// The keys of the text of such a file.
    ///
    /// # Errors
    /// [`VaultError::Line`], [`VaultError::Empty`].
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let mut keys: Vec<Key> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let mut octets = Zeroizing::new([0; KEY_LEN]);
            hex::decode_to_slice(text, &mut *octets).map_err(|_| VaultError::Line { line })?;
            let [a, b, c, d, ..] = <[u8; KEY_LEN]>::from(Sha256::digest(*octets));
            let name = hex::encode([a, b, c, d]);
            let key = UnboundKey::new(&AES_256_GCM, &*octets).map_err(|_| VaultError::Line { line })?;
            keys.push(Key { name, key: LessSafeKey::new(key) });
        }
        if keys.is_empty() { Err(VaultError::Empty) } else { Ok(Self { keys }) }
    }

    /// The name of the key that hides; `None` where nothing is hidden.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.keys.first().map(|key| key.name.as_str())
    }

    /// Is a value of this attribute as good as the password?
    #[must_use]
    pub fn is_secret(attribute: &str) -> bool {
        HIDES.iter().any(|(known, _)| known.eq_ignore_ascii_case(attribute))
    }

    /// Is there the key of that name?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The value of a row of [`HIDDEN_IN`] that stands for this row; `None` where nothing is hidden, or where the
    /// attribute is no secret.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn hide(
        &self,
        attribute: &str,
        value: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<String>, TooLong> {
        let Some(Key { name, key }) = self.keys.first() else { return Ok(None) };
        let kind = HIDES.iter().find(|(known, _)| known.eq_ignore_ascii_case(attribute));
        let Some((_, kind)) = kind else { return Ok(None) };
        let mut octets = Zeroizing::new(Vec::with_capacity(1 + value.len() + AES_256_GCM.tag_len()));
        octets.push(*kind);
        octets.extend_from_slice(value.as_bytes());
        // Random: with one key 2³² values may be hidden before two nonces are likely to meet.
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let sealed = key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound(name)),
            &mut *octets,
        );
        sealed.map_err(|_| TooLong)?;
        let text = format!("{MARK}{name}${}", STANDARD_NO_PAD.encode([&nonce[..], &octets].concat()));
        if text.len() <= STORED_MAX { Ok(Some(text)) } else { Err(TooLong) }
    }

    /// The row that a hidden value stands for: attribute and value. `None`: it is not hidden, was changed, or its
    /// key is not here.
    #[must_use]
    pub fn reveal(&self, value: &str) -> Option<(&'static str, Zeroizing<String>)> {
        let (name, sealed) = value.strip_prefix(MARK)?.split_once('$')?;
        let key = self.keys.iter().find(|key| key.name == name)?;
        let mut octets = Zeroizing::new(STANDARD_NO_PAD.decode(sealed).ok()?);
        let (nonce, sealed) = octets.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = key.key.open_in_place(nonce, Aad::from(bound(name)), sealed).ok()?;
        let (kind, value) = plain.split_first()?;
        let (attribute, _) = HIDES.iter().find(|(_, known)| known == kind)?;
        Some((*attribute, Zeroizing::new(std::str::from_utf8(value).ok()?.to_owned())))
    }
}

/// The name of the key that hid a value; `None` where it is not hidden.
#[must_use]
pub fn key_of(value: &str) -> Option<&str> {
    value.strip_prefix(MARK)?.split_once('$').map(|(name, _)| name)
}

/// What is authenticated beside the value. Not whose it is: other tools rename logins, and whoever may write rows
/// may write a password anyway.
fn bound(name: &str) -> Vec<u8> {
    [MARK.as_bytes(), name.as_bytes()].concat()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const TWO: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn vault(lines: &[&str]) -> Vault {
        Vault::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn what_was_hidden_is_revealed_as_what_it_was() {
        let (vault, mut entropy) = (vault(&[ONE]), SeededEntropy::new(1));
        let long = "x".repeat(128);
        for (attribute, value) in [
            ("Cleartext-Password", "hello"),
            ("cleartext-password", "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \\\" '"),
            ("User-Password", ""),
            ("NT-Password", "0x00112233445566778899aabbccddeeff"),
            ("Cleartext-Password", long.as_str()),
        ] {
            let hide = |entropy: &mut SeededEntropy| vault.hide(attribute, value, entropy).unwrap().unwrap();
            let hidden = hide(&mut entropy);
            assert!(hidden.len() <= STORED_MAX && !hidden.contains("hello"), "{hidden}");
            assert_eq!(key_of(&hidden), vault.current());
            let (revealed, plain) = vault.reveal(&hidden).unwrap();
            assert!(revealed.eq_ignore_ascii_case(attribute));
            assert_eq!(*plain, value);
            assert_ne!(hide(&mut entropy), hidden, "equal passwords look different");
        }
        assert_eq!(vault.hide("Session-Timeout", "60", &mut entropy), Ok(None));
        assert_eq!(vault.hide("SSHA-Password", "x", &mut entropy), Ok(None), "a hash stays what it is");
        assert_eq!(vault.hide("Cleartext-Password", &"x".repeat(200), &mut entropy), Err(TooLong));
        assert_eq!(Vault::default().hide("Cleartext-Password", "hello", &mut entropy), Ok(None));
    }

    #[test]
    fn no_bit_of_a_hidden_value_may_change() {
        let (vault, mut entropy) = (vault(&[ONE]), SeededEntropy::new(1));
        let hidden = vault.hide("Cleartext-Password", "hello", &mut entropy).unwrap().unwrap();
        for place in 0..hidden.len() {
            let mut other = hidden.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            // The last letter has bits that stand for nothing.
            assert!(vault.reveal(&other).is_none(), "{place}: {other}");
        }
        for cut in 0..hidden.len() {
            assert!(vault.reveal(&hidden[..cut]).is_none());
        }
        for text in ["", "$tk1$", "$tk1$00000000$", "$tk1$$", "hello", "$6$salt$x"] {
            assert!(vault.reveal(text).is_none());
        }
    }

    #[test]
    fn a_key_is_changed_while_both_are_valid() {
        let mut entropy = SeededEntropy::new(1);
        let old = vault(&[ONE]).hide("Cleartext-Password", "hello", &mut entropy).unwrap().unwrap();
        let both = vault(&["# since May", TWO, "", &format!("  {ONE}  # until June")]);
        assert_eq!(*both.reveal(&old).unwrap().1, "hello");
        let new = both.hide("Cleartext-Password", "hello", &mut entropy).unwrap().unwrap();
        assert_ne!(key_of(&new), key_of(&old));
        assert!(vault(&[TWO]).reveal(&old).is_none() && vault(&[TWO]).reveal(&new).is_some());
        assert!(both.has(key_of(&old).unwrap()) && !vault(&[TWO]).has(key_of(&old).unwrap()));
    }

    #[test]
    fn a_file_of_keys_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let read = || Vault::read(&path).map(|vault| vault.keys.len());
        assert!(matches!(read(), Err(VaultError::Unreadable { .. })));
        std::fs::write(&path, format!("{ONE}\n{}\n", *new_key(&mut SeededEntropy::new(1)))).unwrap();
        for (mode, is_good) in [(0o644, false), (0o640, false), (0o604, false), (0o600, true), (0o400, true)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read().is_ok(), is_good, "{mode:o}");
        }
        for (text, error) in [
            ("# none", VaultError::Empty),
            ("\nabc", VaultError::Line { line: 2 }),
            (&ONE[1..], VaultError::Line { line: 1 }),
        ] {
            assert_eq!(Vault::parse(text).err(), Some(error));
        }
        assert_eq!(format!("{:?}", vault(&[ONE])).len(), "[\"01234567\"]".len(), "a name and no key");
    }
}
