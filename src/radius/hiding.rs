//! Values hidden with the shared secret: User-Password (RFC 2865 §5.2), the salted form of
//! Tunnel-Password and the MPPE keys (RFC 2868 §3.5, RFC 2548 §2.4.2), Ascend's secrets.
//!
//! MD5 hides them from nobody who can guess the secret; that is what the protocol has.

use std::fmt;

use md5::{Digest as _, Md5};
use smallvec::SmallVec;
use zeroize::Zeroize as _;

use super::attribute::VENDOR_SPECIFIC;
use super::error::Oversize;
use super::secret::Secret;
use crate::entropy::Entropy;

/// How a value is hidden; the number is the `encrypt=` of a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hiding {
    /// 1: as User-Password.
    UserPassword,
    /// 2: salted, as Tunnel-Password.
    TunnelPassword,
    /// 3: as Ascend-Send-Secret.
    AscendSecret,
}

/// An attribute of a reply whose value must be hidden: it needs the secret and the Request
/// Authenticator, so it stays in the clear until the reply is encoded. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Whose Vendor-Specific it goes into; `None` for a standard attribute.
    pub vendor: Option<u32>,
    /// Its type.
    pub number: u8,
    /// Types of the TLVs between it and the value, outermost first: none but for a few vendors.
    pub tlvs: SmallVec<[u8; 2]>,
    /// The tag octet, where the attribute has one; 0 is an unused tag.
    pub tag: Option<u8>,
    /// How.
    pub method: Hiding,
    /// The value in the clear.
    pub value: Box<[u8]>,
}

impl Hidden {
    /// Writes the whole attribute.
    ///
    /// # Errors
    /// The value is too long for its attribute: 128 octets of User-Password, 239 of Tunnel-Password,
    /// 16 of an Ascend secret.
    pub fn encode(
        &self,
        salt: [u8; 2],
        secret: &Secret,
        authenticator: &[u8; 16],
        out: &mut Vec<u8>,
    ) -> Result<(), Oversize> {
        let hidden: SmallVec<[u8; 256]> = match self.method {
            Hiding::UserPassword => {
                SmallVec::from_slice(&hide_user_password(&self.value, secret, authenticator)?)
            }
            Hiding::TunnelPassword => hide_salted(&self.value, salt, secret, authenticator)?,
            Hiding::AscendSecret => {
                SmallVec::from_slice(&hide_ascend_secret(&self.value, secret, authenticator)?)
            }
        };
        let value = hidden.len() + self.tag.iter().len();
        let inner = value + 2 * self.tlvs.len() + 2;
        let whole = if self.vendor.is_some() { inner + 6 } else { inner };
        let (Ok(inner), Ok(whole)) = (u8::try_from(inner), u8::try_from(whole)) else {
            return Err(Oversize { length: whole, limit: 255 });
        };
        if let Some(vendor) = self.vendor {
            out.extend([VENDOR_SPECIFIC, whole]);
            out.extend(vendor.to_be_bytes());
        }
        out.extend([self.number, inner]);
        for (tlv, before) in self.tlvs.iter().zip(1_u8..) {
            out.extend([*tlv, inner - 2 * before]);
        }
        out.extend(self.tag);
        out.extend_from_slice(&hidden);
        Ok(())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden")
            .field("vendor", &self.vendor)
            .field("number", &self.number)
            .field("tag", &self.tag)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// A password from a packet, on the stack, wiped when dropped. `Debug` does not show it.
#[derive(Clone)]
pub struct Password {
    octets: [u8; PASSWORD_MAX],
    length: usize,
}

impl Password {
    /// Its octets without the padding, which is trailing NULs and nothing else (RFC 2865 §5.2).
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// The password in the clear, padded or not; `None` if it has more than 128 octets.
    #[must_use]
    pub fn new(clear: &[u8]) -> Option<Self> {
        let mut octets = [0; PASSWORD_MAX];
        octets.get_mut(..clear.len())?.copy_from_slice(clear);
        let length = clear.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        Some(Self { octets, length })
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Octets of the longest User-Password (RFC 2865 §5.2).
const PASSWORD_MAX: usize = 128;

/// Octets of the longest value that fits the salted form: 240 hidden octets are all that an
/// attribute has room for, and the first of them is the length.
const SALTED_MAX: usize = 239;

/// A block of MD5.
const BLOCK: usize = 16;

/// Hides a User-Password: padded with NULs to a multiple of 16, an empty one to 16.
///
/// # Errors
/// It has more than 128 octets.
pub fn hide_user_password(
    clear: &[u8],
    secret: &Secret,
    authenticator: &[u8; 16],
) -> Result<SmallVec<[u8; 128]>, Oversize> {
    if clear.len() > PASSWORD_MAX {
        return Err(Oversize { length: clear.len(), limit: PASSWORD_MAX });
    }
    let mut octets = SmallVec::from_slice(clear);
    octets.resize(clear.len().next_multiple_of(BLOCK).max(BLOCK), 0);
    hide(&mut octets, secret, authenticator);
    Ok(octets)
}

/// Reveals a User-Password; `None` where it is not 16 to 128 octets in whole blocks.
#[must_use]
pub fn reveal_user_password(hidden: &[u8], secret: &Secret, authenticator: &[u8; 16]) -> Option<Password> {
    if hidden.is_empty() || !hidden.len().is_multiple_of(BLOCK) {
        return None;
    }
    let mut password = Password { octets: [0; PASSWORD_MAX], length: hidden.len() };
    let octets = password.octets.get_mut(..hidden.len())?;
    octets.copy_from_slice(hidden);
    reveal(octets, secret, authenticator);
    password.length = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    Some(password)
}

/// Hides in the salted form: the salt, then length, value and padding in one.
///
/// # Errors
/// The value has more than 239 octets.
pub fn hide_salted(
    clear: &[u8],
    salt: [u8; 2],
    secret: &Secret,
    authenticator: &[u8; 16],
) -> Result<SmallVec<[u8; 256]>, Oversize> {
    let length = u8::try_from(clear.len()).ok().filter(|_| clear.len() <= SALTED_MAX);
    let Some(length) = length else {
        return Err(Oversize { length: clear.len(), limit: SALTED_MAX });
    };
    let mut octets: SmallVec<[u8; 256]> = SmallVec::from_slice(&salt);
    octets.push(length);
    octets.extend_from_slice(clear);
    octets.resize(salt.len() + (1 + clear.len()).next_multiple_of(BLOCK), 0);
    if let Some((_, hidden)) = octets.split_first_chunk_mut::<2>() {
        hide(hidden, secret, &salted(authenticator, salt));
    }
    Ok(octets)
}

/// Reveals what [`hide_salted`] hides (after the tag, if there is one); `None` where it is not a salt
/// and whole blocks, or the length inside says more than there is.
#[must_use]
pub fn reveal_salted(
    hidden: &[u8],
    secret: &Secret,
    authenticator: &[u8; 16],
) -> Option<SmallVec<[u8; 256]>> {
    let (salt, hidden) = hidden.split_first_chunk::<2>()?;
    if hidden.is_empty() || !hidden.len().is_multiple_of(BLOCK) {
        return None;
    }
    let mut octets: SmallVec<[u8; 256]> = SmallVec::from_slice(hidden);
    reveal(&mut octets, secret, &salted(authenticator, *salt));
    let length = usize::from(octets.remove(0));
    if length > octets.len() {
        return None;
    }
    octets.truncate(length);
    Some(octets)
}

/// Hides an Ascend secret: always 16 octets, shorter values padded with NULs.
///
/// # Errors
/// It has more than 16 octets.
pub fn hide_ascend_secret(
    clear: &[u8],
    secret: &Secret,
    authenticator: &[u8; 16],
) -> Result<[u8; 16], Oversize> {
    if clear.len() > BLOCK {
        return Err(Oversize { length: clear.len(), limit: BLOCK });
    }
    // The one form in which the secret comes after the authenticator.
    let mut octets: [u8; 16] =
        Md5::new_with_prefix(authenticator).chain_update(secret.octets()).finalize().into();
    mask(&mut octets, clear);
    Ok(octets)
}

/// Reveals an Ascend secret without its trailing NULs; `None` where it is not 1 to 16 octets.
#[must_use]
pub fn reveal_ascend_secret(
    hidden: &[u8],
    secret: &Secret,
    authenticator: &[u8; 16],
) -> Option<SmallVec<[u8; 16]>> {
    if hidden.is_empty() {
        return None;
    }
    let octets = hide_ascend_secret(hidden, secret, authenticator).ok()?;
    let clear = octets.get(..hidden.len())?;
    let length = clear.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    clear.get(..length).map(SmallVec::from_slice)
}

/// Salts of one packet: each with its top bit set, none twice (RFC 2868 §3.5).
#[derive(Debug)]
pub struct Salts(u16);

impl Salts {
    /// Begins anywhere.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut start = [0; 2];
        entropy.fill(&mut start);
        Self(u16::from_be_bytes(start))
    }

    /// The next one. They come round after 32768, more than fit a packet.
    pub fn next_salt(&mut self) -> [u8; 2] {
        self.0 = self.0.wrapping_add(1);
        (self.0 | 0x8000).to_be_bytes()
    }
}

/// c(1) = p(1) xor MD5(secret, seed); c(n) = p(n) xor MD5(secret, c(n - 1)).
fn hide(octets: &mut [u8], secret: &Secret, seed: &[u8]) {
    let mut pad = pad(secret, seed);
    let mut blocks = octets.chunks_mut(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        mask(block, &pad);
        if blocks.peek().is_some() {
            pad = self::pad(secret, block);
        }
    }
}

/// The other way round.
fn reveal(octets: &mut [u8], secret: &Secret, seed: &[u8]) {
    let mut pad = pad(secret, seed);
    let mut blocks = octets.chunks_mut(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let next = blocks.peek().map(|_| self::pad(secret, block));
        mask(block, &pad);
        if let Some(next) = next {
            pad = next;
        }
    }
}

fn pad(secret: &Secret, seed: &[u8]) -> [u8; BLOCK] {
    secret.md5().chain_update(seed).finalize().into()
}

fn mask(octets: &mut [u8], pad: &[u8]) {
    for (octet, pad) in octets.iter_mut().zip(pad) {
        *octet ^= pad;
    }
}

fn salted(authenticator: &[u8; 16], salt: [u8; 2]) -> [u8; 18] {
    let mut seed = [0; 18];
    let (front, back) = seed.split_at_mut(authenticator.len());
    front.copy_from_slice(authenticator);
    back.copy_from_slice(&salt);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const AUTHENTICATOR: [u8; 16] = [0x5a; 16];

    fn secret() -> Secret {
        Secret::new(b"xyzzy5461").unwrap()
    }

    #[test]
    fn rfc2865_7_1_user_password() {
        let authenticator: [u8; 16] =
            hex::decode("0f403f9473978057bd83d5cb98f4227a").unwrap().try_into().unwrap();
        let hidden = hide_user_password(b"arctangent", &secret(), &authenticator).unwrap();
        assert_eq!(hex::encode(&hidden), "0dbe708d93d413ce3196e43f782a0aee");
        let password = reveal_user_password(&hidden, &secret(), &authenticator).unwrap();
        assert_eq!(password.octets(), b"arctangent");
        assert_eq!(format!("{password:?}"), "Password(***)");
    }

    #[test]
    fn passwords_of_every_length_survive() {
        for length in 0..=128_u8 {
            let clear: Vec<u8> = (1..=length).collect();
            let hidden = hide_user_password(&clear, &secret(), &AUTHENTICATOR).unwrap();
            assert!(hidden.len().is_multiple_of(16) && (16..=128).contains(&hidden.len()));
            let password = reveal_user_password(&hidden, &secret(), &AUTHENTICATOR).unwrap();
            assert_eq!(password.octets(), clear);
        }
        assert_eq!(
            hide_user_password(&[1; 129], &secret(), &AUTHENTICATOR),
            Err(Oversize { length: 129, limit: 128 })
        );
    }

    #[test]
    fn only_trailing_nuls_are_padding() {
        let hidden = hide_user_password(b"pw\0x\0\0", &secret(), &AUTHENTICATOR).unwrap();
        assert_eq!(reveal_user_password(&hidden, &secret(), &AUTHENTICATOR).unwrap().octets(), b"pw\0x");
        let hidden = hide_user_password(&[0; 40], &secret(), &AUTHENTICATOR).unwrap();
        assert_eq!(reveal_user_password(&hidden, &secret(), &AUTHENTICATOR).unwrap().octets(), b"");
        assert_eq!(Password::new(b"a\0b\0").unwrap().octets(), b"a\0b");
        assert!(Password::new(&[1; 129]).is_none());
    }

    #[test]
    fn a_user_password_of_odd_size_is_none() {
        for length in 0..=253_usize {
            let whole = (16..=128).contains(&length) && length.is_multiple_of(16);
            let revealed = reveal_user_password(&vec![7; length], &secret(), &AUTHENTICATOR);
            assert_eq!(revealed.is_some(), whole, "{length}");
        }
    }

    #[test]
    fn salted_values_of_every_length_survive() {
        for length in 0..=239_u8 {
            let clear: Vec<u8> = (0..length).collect();
            let hidden = hide_salted(&clear, [0x80, length], &secret(), &AUTHENTICATOR).unwrap();
            assert!(hidden.len() <= 242 && hidden.len() % 16 == 2);
            assert_eq!(reveal_salted(&hidden, &secret(), &AUTHENTICATOR).unwrap().as_slice(), clear);
        }
        assert!(hide_salted(&[1; 240], [0x80, 0], &secret(), &AUTHENTICATOR).is_err());
    }

    #[test]
    fn a_salted_value_of_any_size_is_safe() {
        for length in 0..=253 {
            let revealed = reveal_salted(&vec![7; length], &secret(), &AUTHENTICATOR);
            if length < 18 || length % 16 != 2 {
                assert!(revealed.is_none(), "{length}");
            }
        }
        // A length inside that says more than there is.
        let mut hidden = hide_salted(&[0; 15], [0x80, 1], &secret(), &AUTHENTICATOR).unwrap();
        hidden[2] ^= 15 ^ 16;
        assert!(reveal_salted(&hidden, &secret(), &AUTHENTICATOR).is_none());
    }

    #[test]
    fn ascend_secrets_of_every_length_survive() {
        for length in 1..=16_u8 {
            let clear: Vec<u8> = (1..=length).collect();
            let hidden = hide_ascend_secret(&clear, &secret(), &AUTHENTICATOR).unwrap();
            assert_eq!(reveal_ascend_secret(&hidden, &secret(), &AUTHENTICATOR).unwrap().as_slice(), clear);
        }
        assert!(hide_ascend_secret(&[1; 17], &secret(), &AUTHENTICATOR).is_err());
        for length in [0, 17, 253] {
            assert!(reveal_ascend_secret(&vec![7; length], &secret(), &AUTHENTICATOR).is_none());
        }
        assert!(reveal_ascend_secret(&[7], &secret(), &AUTHENTICATOR).is_some());
    }

    #[test]
    fn salts_differ_and_have_their_top_bit() {
        let mut salts = Salts::new(&mut SeededEntropy::new(1));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5000 {
            let salt = salts.next_salt();
            assert!(salt[0] & 0x80 != 0 && seen.insert(salt));
        }
    }

    #[test]
    fn a_hidden_attribute_is_written_whole() {
        let mut hidden = Hidden {
            vendor: None,
            number: 69,
            tlvs: SmallVec::new(),
            tag: Some(1),
            method: Hiding::TunnelPassword,
            value: b"tunnel"[..].into(),
        };
        let mut out = Vec::new();
        hidden.encode([0x80, 1], &secret(), &AUTHENTICATOR, &mut out).unwrap();
        assert_eq!(out[..5], [69, 21, 1, 0x80, 1]);
        assert_eq!(reveal_salted(&out[3..], &secret(), &AUTHENTICATOR).unwrap().as_slice(), b"tunnel");

        hidden.vendor = Some(311);
        hidden.tag = None;
        out.clear();
        hidden.encode([0x80, 2], &secret(), &AUTHENTICATOR, &mut out).unwrap();
        assert_eq!(out[..10], [26, 26, 0, 0, 1, 55, 69, 20, 0x80, 2]);
        assert_eq!(reveal_salted(&out[8..], &secret(), &AUTHENTICATOR).unwrap().as_slice(), b"tunnel");

        for (method, length) in
            [(Hiding::UserPassword, 129), (Hiding::TunnelPassword, 240), (Hiding::AscendSecret, 17)]
        {
            let hidden = Hidden {
                vendor: Some(529),
                number: 1,
                tlvs: SmallVec::new(),
                tag: None,
                method,
                value: vec![1; length].into(),
            };
            out.clear();
            assert!(hidden.encode([0x80, 3], &secret(), &AUTHENTICATOR, &mut out).is_err());
            assert!(out.is_empty());
        }
        let text = format!("{hidden:?}");
        assert!(text.contains("69") && !text.contains("116"), "{text}");
    }
}
