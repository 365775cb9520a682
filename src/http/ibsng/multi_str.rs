//! Several values in one text: `12,13,15`, `user{1-10}`.

use super::fault::{Fault, texts};

/// More values than any call may name.
pub(super) const VALUES_MAX: usize = 10_000;

/// Octets of all values of one text.
const OCTETS_MAX: usize = 2_000_000;

/// The values of a text, in order. A range is padded with noughts to the length of its longest member;
/// `{n1-10}` is not.
pub(super) fn values(text: &str) -> Result<Vec<String>, Fault> {
    let wrong = || texts::RANGE_ERROR.plain();
    let mut all = Vec::new();
    let mut octets = text.len();
    for part in text.split(',') {
        let mut made = vec![String::new()];
        let mut rest = part;
        while let Some((before, range, after)) = next_range(rest) {
            let range = members(range)?;
            let many = made.len().saturating_mul(range.len());
            // Each is at most as long as the text with its ranges written out.
            octets = octets.saturating_add(many.saturating_mul(part.len()));
            if many.saturating_add(all.len()) > VALUES_MAX || octets > OCTETS_MAX {
                return Err(wrong());
            }
            made = made
                .iter()
                .flat_map(|so_far| range.iter().map(move |member| format!("{so_far}{before}{member}")))
                .collect();
            rest = after;
        }
        for value in &mut made {
            value.push_str(rest);
        }
        all.append(&mut made);
        if all.len() > VALUES_MAX {
            return Err(wrong());
        }
    }
    Ok(all)
}

/// The value for the so-manieth of something: with fewer values the last one is used again.
pub(super) fn nth(values: &[String], place: usize) -> &str {
    values.get(place).or_else(|| values.last()).map_or("", String::as_str)
}

/// What is before the first range, the range without its braces, and what is behind it. Braces around
/// anything else are part of the text.
fn next_range(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    for (close, _) in text.match_indices('}') {
        let open = text.get(from..close).and_then(|part| part.rfind('{')).map(|open| from + open);
        from = close + 1;
        let Some((before, inside, after)) = open
            .and_then(|open| Some((text.get(..open)?, text.get(open + 1..close)?, text.get(close + 1..)?)))
        else {
            continue;
        };
        let digits = inside.strip_prefix(['n', 'l']).unwrap_or(inside);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if digits.split_once('-').is_some_and(|(first, last)| is_number(first) && is_number(last)) {
            return Some((before, inside, after));
        }
    }
    None
}

fn members(range: &str) -> Result<Vec<String>, Fault> {
    let wrong = || texts::RANGE_ERROR.plain();
    let padded = !range.starts_with('n');
    let (first, last) = range.trim_start_matches(['n', 'l']).split_once('-').ok_or_else(wrong)?;
    let (first, last): (u64, u64) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    let many = u64::try_from(VALUES_MAX).unwrap_or(u64::MAX);
    if last <= first || last - first >= many {
        return Err(wrong());
    }
    let width = if padded { last.to_string().len() } else { 0 };
    Ok((first..=last).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_become_values() {
        let read = |text: &str| values(text).unwrap().join(" ");
        assert_eq!(read("12"), "12");
        assert_eq!(read("12,13,15"), "12 13 15");
        assert_eq!(read("user{1-3}"), "user1 user2 user3");
        assert_eq!(read("u{9-11}x"), "u09x u10x u11x");
        assert_eq!(read("u{n9-11}"), "u9 u10 u11");
        assert_eq!(read("u{l9-11}"), "u09 u10 u11");
        assert_eq!(read("{1-2}{3-4},z"), "13 14 23 24 z");
        assert_eq!(read("a{b}c"), "a{b}c");
        assert_eq!(read("{a{1-2}"), "{a1 {a2");
        assert_eq!(read(" 1, 2 "), " 1  2 ", "blanks are the business of who reads the values");
        assert_eq!(values("").unwrap(), [""]);
    }

    #[test]
    fn a_range_that_is_none_is_an_error() {
        for wrong in ["{3-1}", "{2-2}", "{1-99999999}", "{1-99999999999999999999999}", "{1-200}{1-200}"] {
            assert_eq!(values(wrong).unwrap_err().to_string(), "RANGE_ERROR|Invalid range", "{wrong}");
        }
        assert!(values(&"1,".repeat(20_000)).is_err());
    }

    #[test]
    fn little_text_does_not_become_much_and_much_is_read_once() {
        let long = "x".repeat(1_000_000);
        assert!(values(&format!("{long}{{1-10000}}")).is_err());
        assert!(values(&format!("{{1-9}}{}", "{1-2}".repeat(200_000))).is_err());
        assert_eq!(values(&"{".repeat(1_000_000)).unwrap(), ["{".repeat(1_000_000)]);
        assert_eq!(values(&format!("{}}}", "{".repeat(1_000_000))).unwrap().len(), 1);
        assert_eq!(values("user{1-10000}").unwrap().len(), 10_000);
    }

    #[test]
    fn the_last_value_stands_for_those_that_are_missing() {
        let values = values("a,b").unwrap();
        assert_eq!((nth(&values, 0), nth(&values, 1), nth(&values, 7)), ("a", "b", "b"));
    }
}
