//! Numbers as IBSng writes them: credit with at most 15 significant digits, texts as C's `%.12g`.

use super::value::Value;
use crate::domain::Amount;

/// Credit as a number of JSON: 15 significant digits, no point where it is whole.
pub(super) fn credit(amount: Amount) -> Value {
    Value::number(Rounded::of(amount, Places::Significant(15)).plain())
}

/// Credit as a number of JSON with so many places after the point.
pub(super) fn credit_places(amount: Amount, places: usize) -> Value {
    Value::number(Rounded::of(amount, Places::After(places)).plain())
}

/// Credit as text in the form of `%.12g`.
pub(super) fn credit_text(amount: Amount) -> String {
    let rounded = Rounded::of(amount, Places::Significant(12));
    if (-4..12).contains(&rounded.exponent()) { rounded.plain() } else { rounded.scientific() }
}

/// An amount that a client sent, in any of the forms that Python's `float` reads; more than 18 places are
/// rounded away. `None` for what is no number, or beyond what the tables hold.
pub(super) fn amount(text: &str) -> Option<Amount> {
    let text = text.trim();
    let plain = text.strip_prefix('+').unwrap_or(text);
    if let Some(exact) = Amount::parse(plain) {
        return Some(exact);
    }
    let allowed = |letter: u8| letter.is_ascii_digit() || matches!(letter, b'.' | b'-' | b'+' | b'e' | b'E');
    if plain.is_empty() || !plain.bytes().all(allowed) {
        return None;
    }
    let value: f64 = plain.parse().ok()?;
    if value.is_finite() { Amount::parse(&format!("{value:.18}")) } else { None }
}

#[derive(Clone, Copy)]
enum Places {
    Significant(usize),
    After(usize),
}

/// Decimal digits and where the point is: `0.d₁d₂… × 10^point`.
struct Rounded {
    negative: bool,
    digits: Vec<u8>,
    point: i32,
}

impl Rounded {
    /// Rounds half up, away from nought.
    fn of(amount: Amount, places: Places) -> Self {
        let text = amount.to_string();
        let (negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |text| (true, text));
        let (whole, after) = text.split_once('.').unwrap_or((text, ""));
        let all: Vec<u8> = whole.bytes().chain(after.bytes()).map(|digit| digit - b'0').collect();
        let leading = all.iter().take_while(|digit| **digit == 0).count();
        let mut digits: Vec<u8> = all.into_iter().skip(leading).collect();
        let mut point = narrow(whole.len()) - narrow(leading);
        let keep = match places {
            Places::Significant(count) => narrow(count),
            Places::After(count) => point + narrow(count),
        };
        if narrow(digits.len()) > keep {
            let up =
                keep >= 0 && digits.get(usize::try_from(keep).unwrap_or(0)).is_some_and(|next| *next >= 5);
            digits.truncate(usize::try_from(keep).unwrap_or(0));
            if up {
                let mut carry = true;
                for digit in digits.iter_mut().rev() {
                    if *digit == 9 {
                        *digit = 0;
                    } else {
                        *digit += 1;
                        carry = false;
                        break;
                    }
                }
                if carry {
                    digits.insert(0, 1);
                    point += 1;
                }
            }
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            Self { negative: false, digits, point: 1 }
        } else {
            Self { negative, digits, point }
        }
    }

    /// Of the first digit.
    const fn exponent(&self) -> i32 {
        self.point - 1
    }

    fn plain(&self) -> String {
        let mut text = String::from(if self.negative { "-" } else { "" });
        if self.point <= 0 {
            text.push_str("0.");
            text.extend((self.point..0).map(|_| '0'));
            text.extend(self.digits.iter().map(|digit| char::from(b'0' + digit)));
            return text;
        }
        let whole = usize::try_from(self.point).unwrap_or(0);
        for place in 0..whole.max(self.digits.len()) {
            if place == whole {
                text.push('.');
            }
            text.push(char::from(b'0' + self.digits.get(place).copied().unwrap_or(0)));
        }
        text
    }

    fn scientific(&self) -> String {
        let mut digits = self.digits.iter().map(|digit| char::from(b'0' + digit));
        let first = digits.next().unwrap_or('0');
        let rest: String = digits.collect();
        let sign = if self.negative { "-" } else { "" };
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = self.exponent();
        let direction = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.unsigned_abs())
    }
}

fn narrow(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn the_figures_of_the_document_come_out() {
        assert_eq!(credit(parse("999.991777420043945312")), Value::Number("999.991777420044".into()));
        assert_eq!(credit_text(parse("0.008222579956054688")), "0.00822257995605");
        assert_eq!(credit_places(parse("0.0097312"), 4), Value::Number("0.0097".into()));
        assert_eq!(credit(parse("1000")), Value::Int(1000));
        assert_eq!(credit(Amount::ZERO), Value::Int(0));
        assert_eq!(credit(parse("-3.50")), Value::Number("-3.5".into()));
    }

    #[test]
    fn rounding_carries_and_nought_has_no_sign() {
        assert_eq!(credit(parse("9.999999999999999")), Value::Int(10));
        assert_eq!(credit_places(parse("0.00004"), 4), Value::Int(0));
        assert_eq!(credit_places(parse("0.00005"), 4), Value::Number("0.0001".into()));
        assert_eq!(credit_places(parse("-0.00001"), 4), Value::Int(0));
        assert_eq!(credit_places(parse("99.99996"), 4), Value::Int(100));
        assert_eq!(credit(Amount::MAX), Value::Int(1_000_000_000_000));
        assert_eq!(credit(parse("0.000000000000000001")), Value::Number("0.000000000000000001".into()));
    }

    #[test]
    fn small_texts_have_an_exponent() {
        assert_eq!(credit_text(parse("0.0001")), "0.0001");
        assert_eq!(credit_text(parse("0.00001234")), "1.234e-05");
        assert_eq!(credit_text(parse("0.000000000000000001")), "1e-18");
        assert_eq!(credit_text(Amount::ZERO), "0");
        assert_eq!(credit_text(parse("123456789012.6")), "123456789013");
    }

    #[test]
    fn amounts_come_in_the_forms_of_python() {
        assert_eq!(amount("100"), Some(parse("100")));
        assert_eq!(amount(" 0.5 "), Some(parse("0.5")));
        assert_eq!(amount("+1e3"), Some(parse("1000")));
        assert_eq!(amount(".5"), Some(parse("0.5")));
        assert_eq!(amount("5."), Some(parse("5")));
        assert_eq!(amount("-1E-2"), Some(parse("-0.01")));
        for wrong in ["", "x", "nan", "inf", "1e400", "1000000000000", "1,5", "0x10", "1_000", "--1", "e"] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
    }
}
