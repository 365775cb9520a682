//! Ticket codes, user names and passwords that are made, not chosen.
//!
//! The alphabet leaves out what people misread on paper. A code is a secret: every character is drawn
//! for itself, each as likely as the other.

use crate::entropy::Entropy;

/// Digits and capital letters without `0`, `O` and `I`.
pub const ALPHABET: &[u8; 33] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Random characters that a code with a prefix has at least: 33⁶ codes, over a thousand million.
pub const RANDOM_MIN: usize = 6;

/// So many random characters.
pub fn random(characters: usize, entropy: &mut dyn Entropy) -> String {
    let mut text = String::with_capacity(characters);
    let mut octets = [0; 32];
    while text.len() < characters {
        entropy.fill(&mut octets);
        // What is beyond the last whole multiple would make the first characters likelier.
        let drawn = octets.iter().filter(|octet| **octet < FAIR);
        let letters = drawn.filter_map(|octet| ALPHABET.get(usize::from(*octet) % ALPHABET.len()));
        text.extend(letters.map(|letter| char::from(*letter)).take(characters - text.len()));
    }
    text
}

/// A code of `length` characters that begins with `prefix`; longer where the prefix would leave fewer
/// than [`RANDOM_MIN`] random ones.
pub fn with_prefix(prefix: &str, length: usize, entropy: &mut dyn Entropy) -> String {
    let random_characters = if prefix.is_empty() {
        length
    } else {
        length.saturating_sub(prefix.chars().count()).max(RANDOM_MIN)
    };
    let mut code = prefix.to_owned();
    code.push_str(&random(random_characters, entropy));
    code
}

/// How many codes [`with_prefix`] can give, or 2⁶⁴ − 1.
#[must_use]
pub fn possible(prefix: &str, length: usize) -> u64 {
    let random_characters = if prefix.is_empty() { length } else { length.max(RANDOM_MIN) };
    let exponent = u32::try_from(random_characters).unwrap_or(u32::MAX);
    33_u64.saturating_pow(exponent)
}

/// The largest multiple of the alphabet's size that an octet can tell from the next.
const FAIR: u8 = 231;
const _: () = assert!(FAIR as usize == ALPHABET.len() * 7);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_code_has_the_length_that_was_asked_for() {
        let entropy = &mut SeededEntropy::new(1);
        for length in [1, 5, 9, 31, 32, 33, 64] {
            assert_eq!(random(length, entropy).len(), length);
        }
        assert_eq!(with_prefix("3H", 9, entropy).len(), 9);
        assert!(with_prefix("3H", 9, entropy).starts_with("3H"));
        assert_eq!(with_prefix("", 5, entropy).len(), 5);
    }

    #[test]
    fn a_prefix_leaves_six_random_characters() {
        let entropy = &mut SeededEntropy::new(2);
        assert_eq!(with_prefix("BADGE-", 15, entropy).len(), 15);
        assert_eq!(with_prefix("BADGE-", 12, entropy).len(), 12);
        assert_eq!(with_prefix("BADGE-", 11, entropy).len(), 12);
        assert_eq!(with_prefix("BADGE-", 1, entropy).len(), 12);
        assert_eq!(with_prefix("é", 7, entropy).chars().count(), 7);
    }

    #[test]
    fn no_character_is_misread_and_all_are_as_likely() {
        let text = random(33_000, &mut SeededEntropy::new(3));
        for letter in *ALPHABET {
            let count = text.bytes().filter(|one| *one == letter).count();
            assert!((850..1_150).contains(&count), "{} {count} times", char::from(letter));
        }
        assert!(!text.contains(['0', 'O', 'I']));
        assert!(text.bytes().all(|letter| ALPHABET.contains(&letter)));
    }

    #[test]
    fn the_number_of_codes_is_known() {
        assert_eq!(possible("", 1), 33);
        assert_eq!(possible("x", 1), 33_u64.pow(6));
        assert_eq!(possible("", 64), u64::MAX);
    }
}
