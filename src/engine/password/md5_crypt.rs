//! Scheme `$1$` of `crypt(3)`: a thousand rounds of MD5. Old Linux and BSD password files have it.

use md5::{Digest as _, Md5};

/// Is it `$1$`, up to eight characters of salt, and 22 of hash?
pub(super) fn is_hash(octets: &[u8]) -> bool {
    let Some((salt, hash)) = parts(octets) else {
        return false;
    };
    salt.len() <= SALT_OCTETS_MAX && hash.len() == 22
}

/// The hash of `password` under the salt of `setting`; a hash is its own setting. Empty if `setting` is
/// not one.
pub(super) fn crypt(password: &[u8], setting: &[u8]) -> Vec<u8> {
    let Some((salt, _)) = parts(setting) else {
        return Vec::new();
    };
    let mut text = [PREFIX, salt, b"$"].concat();
    let block = digest(password, salt);
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let at = |place: usize| u32::from(block.get(place).copied().unwrap_or(0));
        digits(&mut text, at(a) << 16 | at(b) << 8 | at(c), 4);
    }
    digits(&mut text, u32::from(block[11]), 2);
    text
}

fn digest(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut outer = Md5::new().chain_update(password).chain_update(PREFIX).chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        outer.update(inner.get(..left.min(16)).unwrap_or(&inner));
        left = left.saturating_sub(16);
    }
    // One octet for each bit of the length, lowest first: 0 where it is set, else the first character.
    let mut length = password.len();
    while length > 0 {
        outer.update(if length & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    let mut block: [u8; 16] = outer.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &block });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &block } else { password });
        block = next.finalize().into();
    }
    block
}

fn parts(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = octets.strip_prefix(PREFIX)?;
    let end = rest.iter().position(|octet| *octet == b'$')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

fn digits(text: &mut Vec<u8>, mut bits: u32, count: usize) {
    for _ in 0..count {
        let place = usize::try_from(bits & 0x3f).unwrap_or(0);
        text.push(DIGITS.get(place).copied().unwrap_or(b'.'));
        bits >>= 6;
    }
}

const PREFIX: &[u8] = b"$1$";
const SALT_OCTETS_MAX: usize = 8;

/// Crypt's base 64, in order of value.
pub(super) const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
