//! The oldest scheme of `crypt(3)`: DES (FIPS 46-3) applied 25 times to zeros, its expansion permuted by
//! a salt of 12 bits. Old `/etc/passwd` files and daloRADIUS write it, so an adopted database has it. It
//! sees eight characters of a password; a subscriber should get another form at the next change.

/// Is it two characters of salt and eleven of hash?
pub(super) fn is_hash(octets: &[u8]) -> bool {
    octets.len() == LENGTH && octets.iter().all(|octet| digit(*octet).is_some())
}

/// The hash of `password` under the salt that begins `setting`; a hash is its own setting.
pub(super) fn crypt(password: &[u8], setting: &[u8]) -> Vec<u8> {
    let mut hash: Vec<u8> = setting.iter().copied().take(2).collect();
    let salt = hash.iter().rev().fold(0_u64, |bits, octet| bits << 6 | digit(*octet).unwrap_or(0));
    let keys = key_schedule(password.iter().chain(std::iter::repeat(&0)).take(8).fold(0, |key, octet| {
        // Seven bits of each character; DES ignores the eighth of each octet.
        key << 8 | u64::from(octet & 0x7f) << 1
    }));
    let block = (0..25).fold(0, |block, _| encrypt(block, &keys, swapped(salt)));
    // 64 bits in eleven digits of six, the last one filled up with two zeros.
    let bits = u128::from(block) << 2;
    hash.extend((0..11).rev().map(|place| letter(bits >> (6 * place))));
    hash
}

/// The salt as a mask over the 24 bits of either half of the expansion: bit i of the salt, counted from
/// its first character's lowest, swaps bit i of both halves, counted from the left.
fn swapped(salt: u64) -> u64 {
    (0..12).filter(|bit| salt >> bit & 1 == 1).fold(0, |mask, bit| mask | 1 << (23 - bit))
}

fn key_schedule(key: u64) -> [u64; 16] {
    let key = permute(key, 64, &PERMUTED_CHOICE_1);
    let (mut left, mut right) = (key >> 28, key & 0x0fff_ffff);
    SHIFTS.map(|shift| {
        left = (left << shift | left >> (28 - shift)) & 0x0fff_ffff;
        right = (right << shift | right >> (28 - shift)) & 0x0fff_ffff;
        permute(left << 28 | right, 56, &PERMUTED_CHOICE_2)
    })
}

fn encrypt(block: u64, keys: &[u64; 16], salt: u64) -> u64 {
    let block = permute(block, 64, &INITIAL);
    let (mut left, mut right) = (block >> 32, block & 0xffff_ffff);
    for key in keys {
        let expanded = permute(right, 32, &EXPANSION);
        let (high, low) = (expanded >> 24, expanded & 0x00ff_ffff);
        let difference = (high ^ low) & salt;
        let expanded = (high ^ difference) << 24 | (low ^ difference);
        let next = left ^ permute(substitute(expanded ^ key), 32, &ROUND);
        left = right;
        right = next;
    }
    permute(right << 32 | left, 64, &FINAL)
}

fn substitute(bits: u64) -> u64 {
    BOXES.iter().zip((0..8).rev()).fold(0, |output, (table, place)| {
        let six = bits >> (6 * place) & 0x3f;
        let (row, column) = ((six >> 4 & 2) | (six & 1), six >> 1 & 0x0f);
        let entry = table.get(usize::try_from(row * 16 + column).unwrap_or(0)).copied().unwrap_or(0);
        output << 4 | u64::from(entry)
    })
}

/// The bits of `input`, which has `width` of them, at the places that `table` names, 1 being the leftmost.
fn permute(input: u64, width: u8, table: &[u8]) -> u64 {
    table.iter().fold(0, |output, place| output << 1 | (input >> (width - place) & 1))
}

/// The value of a digit of crypt's base 64.
fn digit(octet: u8) -> Option<u64> {
    let place = super::md5_crypt::DIGITS.iter().position(|known| *known == octet)?;
    u64::try_from(place).ok()
}

fn letter(bits: u128) -> u8 {
    let place = usize::try_from(bits & 0x3f).unwrap_or(0);
    super::md5_crypt::DIGITS.get(place).copied().unwrap_or(b'.')
}

const LENGTH: usize = 13;

const SHIFTS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

const INITIAL: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48,
    40, 32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21,
    13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];

const FINAL: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45,
    13, 53, 21, 61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18,
    58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];

const EXPANSION: [u8; 48] = [
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20,
    21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];

const ROUND: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6,
    22, 11, 4, 25,
];

const PERMUTED_CHOICE_1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44,
    36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20,
    12, 4,
];

const PERMUTED_CHOICE_2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37,
    47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

const BOXES: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5,
        3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14,
        10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9,
        11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12,
        0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11,
        15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3,
        11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10,
        14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11,
        12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9,
        8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9,
        10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11,
        3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7,
        6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15,
        8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15,
        14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14,
        9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0,
        3, 5, 6, 11,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn des_crypt_agrees_with_the_c_library() {
        for (password, hash) in [
            ("hello", "abl0JrMf6tlhw"),
            ("", "..X8NBuQ4l6uQ"),
            ("password", "zzXUHfURnGg8I"),
            ("correct horse", "Zam9f7Clr3u/."),
            ("пароль", "9/WyM5xVS4mWI"),
            ("aaaaaaaaaaaaaaaaaaaa", "S.IVZ5QD1uhSU"),
        ] {
            assert_eq!(String::from_utf8(crypt(password.as_bytes(), hash.as_bytes())).unwrap(), hash);
        }
    }
}
