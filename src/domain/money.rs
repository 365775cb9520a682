//! Money and credit: exact decimal numbers, never binary fractions.
//!
//! An [`Amount`] is what a column `DECIMAL(30, 18)` holds: at most 12 digits before the point and 18 after
//! it. Sums and differences are exact. Where a product or a quotient has more than 18 places it is computed
//! whole and rounded once, half to even: see [`Price::of`] and [`Amount::times`].

use std::fmt;

/// Money or credit: a decimal number with at most 12 digits before the point and 18 after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that the tables hold.
    pub const MAX: Self = Self(WHOLE_LIMIT * ONE - 1);
    /// The least that the tables hold.
    pub const MIN: Self = Self(1 - WHOLE_LIMIT * ONE);

    /// Reads a decimal number (`8`, `0.50`, `-3.25`); `None` where it is not one, or beyond what the tables
    /// hold.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || digits.ends_with('.') {
            return None;
        }
        let places = places.trim_end_matches('0');
        let missing = PLACES.checked_sub(u32::try_from(places.len()).ok()?)?;
        let scaled = number(whole)?.checked_mul(ONE)?;
        let units = scaled.checked_add(number(places)?.checked_mul(10_i128.pow(missing))?)?;
        Self(if negative { -units } else { units }).checked()
    }

    /// So many whole ones.
    #[must_use]
    pub fn whole(number: u32) -> Self {
        Self(i128::from(number) * ONE)
    }

    /// The sum; `None` beyond what the tables hold.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Self(self.0 + other.0).checked()
    }

    /// The difference; `None` beyond what the tables hold.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        Self(self.0 - other.0).checked()
    }

    /// The sum, or the nearest that the tables hold.
    #[must_use]
    pub fn saturating_plus(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The difference, or the nearest that the tables hold.
    #[must_use]
    pub fn saturating_minus(self, other: Self) -> Self {
        Self((self.0 - other.0).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Half of it; what is no half unit of 10⁻¹⁸ is left out.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// The other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// The product, rounded half to even at 18 places; `None` beyond what the tables hold.
    #[must_use]
    pub fn times(self, factor: Self) -> Option<Self> {
        let units = Wide::product(self.0.unsigned_abs(), factor.0.unsigned_abs()).divided(ONE_U64)?;
        let units = i128::try_from(units).ok()?;
        let negative = (self.0 < 0) != (factor.0 < 0);
        Self(if negative { -units } else { units }).checked()
    }

    /// Is it below zero?
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Is it more than nothing?
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Is it nothing?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Units of 10⁻¹⁸, for those who keep it in a denser form.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The amount of so many units of 10⁻¹⁸; `None` beyond what the tables hold.
    #[must_use]
    pub fn from_units(units: i128) -> Option<Self> {
        Self(units).checked()
    }

    fn checked(self) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&self).then_some(self)
    }
}

impl Amount {
    /// The text with so many decimals, 0 to 18, rounded half to even: `8.00`.
    #[must_use]
    pub fn with_decimals(self, decimals: u32) -> String {
        let decimals = decimals.min(PLACES);
        let unit = 10_u128.pow(PLACES - decimals);
        let (mut count, rest) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        if rest * 2 > unit || (rest * 2 == unit && count % 2 == 1) {
            count += 1;
        }
        let sign = if self.0 < 0 && count > 0 { "-" } else { "" };
        let one = 10_u128.pow(decimals);
        let (whole, part) = (count / one, count % one);
        let width = usize::try_from(decimals).unwrap_or(0);
        if width == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:0width$}") }
    }
}

impl fmt::Display for Amount {
    /// The canonical text: no `+`, no leading or trailing zeros, no `-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        let (whole, places) = (units / one, units % one);
        if places == 0 {
            return write!(f, "{sign}{whole}");
        }
        let places = format!("{places:018}");
        write!(f, "{sign}{whole}.{}", places.trim_end_matches('0'))
    }
}

/// What time and volume cost. Neither part is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Price {
    /// Of a minute.
    pub per_minute: Amount,
    /// Of 1,024 octets.
    pub per_kib: Amount,
}

impl Price {
    /// Nothing is charged.
    #[must_use]
    pub const fn is_free(self) -> bool {
        self.per_minute.is_zero() && self.per_kib.is_zero()
    }

    /// `per_minute × seconds / 60 + per_kib × octets / 1024`: the sum of the two fractions is exact and
    /// rounded once, half to even at 18 places. What is beyond [`Amount::MAX`] is that.
    #[must_use]
    pub fn of(self, seconds: u64, octets: u64) -> Amount {
        // Over the common denominator 15,360 = 60 × 256 = 1,024 × 15.
        let time = Wide::product(self.per_minute.0.unsigned_abs(), u128::from(seconds) * 256);
        let volume = Wide::product(self.per_kib.0.unsigned_abs(), u128::from(octets) * 15);
        let units = time.plus(volume).and_then(|sum| sum.divided(15_360));
        units.and_then(|units| i128::try_from(units).ok()).and_then(Amount::from_units).unwrap_or(Amount::MAX)
    }

    /// Whole seconds that `credit` buys; `None` is for ever.
    #[must_use]
    pub fn seconds_for(self, credit: Amount) -> Option<u64> {
        bought(credit, self.per_minute, 60)
    }

    /// Whole octets that `credit` buys; `None` is any number.
    #[must_use]
    pub fn octets_for(self, credit: Amount) -> Option<u64> {
        bought(credit, self.per_kib, 1024)
    }
}

fn bought(credit: Amount, price: Amount, pieces: i128) -> Option<u64> {
    if price.0 <= 0 {
        return None;
    }
    // 10³⁰ × 1,024 is far from the end of 128 bits.
    Some(u64::try_from(credit.0.max(0) * pieces / price.0).unwrap_or(u64::MAX))
}

/// Digits after the point.
const PLACES: u32 = 18;
/// Units in a whole one.
const ONE: i128 = 10_i128.pow(PLACES);
const ONE_U64: u64 = 10_u64.pow(PLACES);
/// The first whole number that has too many digits.
const WHOLE_LIMIT: i128 = 10_i128.pow(12);

/// Digits as a number; none is nothing.
fn number(digits: &str) -> Option<i128> {
    digits.bytes().try_fold(0_i128, |number, digit| {
        digit.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })
}

/// A product of two amounts: 256 bits, the least 64 first.
#[derive(Clone, Copy)]
struct Wide([u64; 4]);

impl Wide {
    fn product(one: u128, other: u128) -> Self {
        let halves = |number: u128| [number & LOW, number >> 64];
        let ([a, b], [c, d]) = (halves(one), halves(other));
        let low = a * c;
        let (middle, carried) = (a * d).overflowing_add(b * c);
        let high = b * d + (middle >> 64) + (u128::from(carried) << 64);
        let (low, overflowed) = low.overflowing_add(middle << 64);
        Self::of(low, high + u128::from(overflowed))
    }

    fn of(low: u128, high: u128) -> Self {
        Self([low_half(low), low_half(low >> 64), low_half(high), low_half(high >> 64)])
    }

    fn plus(self, other: Self) -> Option<Self> {
        let mut sum = [0; 4];
        let mut carry = 0;
        for (place, (one, other)) in sum.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let part = u128::from(one) + u128::from(other) + carry;
            *place = low_half(part);
            carry = part >> 64;
        }
        (carry == 0).then_some(Self(sum))
    }

    /// The quotient, rounded half to even; `None` where it has more than 128 bits.
    fn divided(self, divisor: u64) -> Option<u128> {
        let divisor = u128::from(divisor);
        let mut quotient = [0_u64; 4];
        let mut rest = 0_u128;
        for (place, part) in quotient.iter_mut().zip(self.0).rev() {
            let dividend = rest << 64 | u128::from(part);
            *place = low_half(dividend / divisor);
            rest = dividend % divisor;
        }
        let [first, second, 0, 0] = quotient else { return None };
        let whole = u128::from(second) << 64 | u128::from(first);
        let up = rest * 2 > divisor || rest * 2 == divisor && whole & 1 == 1;
        whole.checked_add(u128::from(up))
    }
}

const LOW: u128 = u64::MAX as u128;

/// The lower 64 of 128 bits.
fn low_half(number: u128) -> u64 {
    u64::try_from(number & LOW).expect("masked to 64 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap_or_else(|| panic!("{text} is an amount"))
    }

    fn amounts() -> impl Strategy<Value = Amount> {
        prop_oneof![
            (Amount::MIN.0..=Amount::MAX.0).prop_map(Amount),
            (-1_000_000_i128..1_000_000).prop_map(Amount),
            (-1_000_000_i128..1_000_000).prop_map(|whole| Amount(whole * ONE)),
        ]
    }

    #[test]
    fn an_amount_has_one_form() {
        let read = |text| Amount::parse(text).map(|amount| amount.to_string());
        assert_eq!(read("8.00").as_deref(), Some("8"));
        assert_eq!(read("0008.050").as_deref(), Some("8.05"));
        assert_eq!(read("-0.0").as_deref(), Some("0"));
        assert_eq!(read("-3.25").as_deref(), Some("-3.25"));
        assert_eq!(read("0.000000000000000001").as_deref(), Some("0.000000000000000001"));
        assert_eq!(read("999999999999").as_deref(), Some("999999999999"));
        assert_eq!(read("5.0000000000000000000000").as_deref(), Some("5"));
        for wrong in ["", "-", ".5", "5.", "1e3", "1,5", "+1", " 1", "--1", "1.-5", "0.0000000000000000001"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for too_large in ["1000000000000", "99999999999999999999999999999999999999999999"] {
            assert_eq!(read(too_large), None, "{too_large}");
        }
    }

    /// The sample of the IBSng document: 1,000 of credit, a rule of 1 per MiB, 1,468 + 7,154 octets.
    #[test]
    fn the_worked_vector_comes_out_to_its_last_digit() {
        let price = Price { per_minute: Amount::ZERO, per_kib: amount("0.0009765625") };
        let usage = price.of(8, 1468 + 7154);
        assert_eq!(usage.to_string(), "0.008222579956054688");
        assert_eq!(Amount::whole(1000).minus(usage), Some(amount("999.991777420043945312")));
        // The document prints 12 and 15 significant digits.
        let printed = |amount: Amount, places: u32| {
            let step = 10_i128.pow(PLACES - places);
            Amount((amount.0 + step / 2) / step * step).to_string()
        };
        assert_eq!(printed(usage, 14), "0.00822257995605");
        assert_eq!(printed(Amount::whole(1000).saturating_minus(usage), 12), "999.991777420044");
    }

    #[test]
    fn decimals_are_as_many_as_are_asked_for() {
        let text = |amount: &str, decimals| Amount::parse(amount).unwrap().with_decimals(decimals);
        assert_eq!([text("8", 2), text("5.5", 2), text("-0.004", 2)], ["8.00", "5.50", "0.00"]);
        assert_eq!([text("0.125", 2), text("0.135", 2), text("-1.999", 2)], ["0.12", "0.14", "-2.00"]);
        assert_eq!([text("2.5", 0), text("0.1", 18)], ["2", "0.100000000000000000"]);
    }

    #[test]
    fn a_price_is_rounded_once_half_to_even() {
        let unit = Amount(1);
        let by_time = |amount, seconds| Price { per_minute: amount, per_kib: Amount::ZERO }.of(seconds, 0).0;
        assert_eq!(by_time(unit, 29), 0);
        assert_eq!(by_time(unit, 30), 0, "half of 1 is 0, which is even");
        assert_eq!(by_time(unit, 31), 1);
        assert_eq!(by_time(unit, 90), 2, "half of 3 is 2, which is even");
        assert_eq!(by_time(Amount(5), 30), 2);
        // 0.5 + 0.5: each part alone would be rounded away.
        assert_eq!(Price { per_minute: unit, per_kib: unit }.of(30, 512).0, 1);
        let dear = Price { per_minute: Amount::MAX, per_kib: Amount::MAX };
        assert_eq!(dear.of(u64::MAX, u64::MAX), Amount::MAX);
    }

    #[test]
    fn credit_buys_whole_seconds_and_octets() {
        let price = Price { per_minute: amount("0.5"), per_kib: amount("0.0009765625") };
        assert_eq!(price.seconds_for(amount("1")), Some(120));
        assert_eq!(price.octets_for(amount("1")), Some(1 << 20));
        assert_eq!(price.seconds_for(amount("-1")), Some(0));
        assert_eq!(Price::default().seconds_for(amount("1")), None);
        assert_eq!(Price { per_minute: Amount(1), ..price }.seconds_for(Amount::MAX), Some(u64::MAX));
    }

    #[test]
    fn a_product_keeps_its_sign_and_its_bounds() {
        assert_eq!(amount("-2.5").times(amount("0.2")), Some(amount("-0.5")));
        assert_eq!(amount("0.000000000000000001").times(amount("0.5")), Some(Amount::ZERO));
        assert_eq!(amount("0.000000000000000003").times(amount("0.5")), Some(Amount(2)));
        assert_eq!(amount("1000000").times(amount("1000000")), None);
        assert_eq!(amount("999999").times(amount("1000000")), Some(amount("999999000000")));
    }

    proptest! {
        #[test]
        fn text_and_back(amount in amounts()) {
            prop_assert_eq!(Amount::parse(&amount.to_string()), Some(amount));
        }

        #[test]
        fn sums_are_exact(one in amounts(), other in amounts()) {
            if let Some(sum) = one.plus(other) {
                prop_assert_eq!(sum.minus(other), Some(one));
                prop_assert_eq!(one.saturating_plus(other), sum);
            }
        }

        #[test]
        fn a_product_is_that_of_whole_numbers_where_it_fits(one in -1_000_000_000_i128..1_000_000_000, other in any::<i32>()) {
            let product = Amount(one * ONE).times(Amount(i128::from(other)));
            prop_assert_eq!(product, Amount::from_units(one * i128::from(other)));
        }

        #[test]
        fn a_wide_product_divided_gives_the_factor(one in any::<u128>(), other in 1..=u64::MAX) {
            prop_assert_eq!(Wide::product(one, other.into()).divided(other), Some(one));
        }

        #[test]
        fn a_price_is_what_small_numbers_say(per_minute in 0_i128..1_000_000_000_000, per_kib in 0_i128..1_000_000_000_000, seconds in 0..1_000_000_u32, octets in 0..1_000_000_000_u32) {
            let price = Price { per_minute: Amount(per_minute), per_kib: Amount(per_kib) };
            let over = per_minute * i128::from(seconds) * 256 + per_kib * i128::from(octets) * 15;
            let cost = price.of(seconds.into(), octets.into()).0;
            prop_assert!((cost * 15_360 - over).abs() * 2 <= 15_360);
        }

        #[test]
        fn what_credit_buys_costs_no_more(credit in 0..=Amount::MAX.0, per_minute in 1..=Amount::MAX.0, per_kib in 1..=Amount::MAX.0) {
            let price = Price { per_minute: Amount(per_minute), per_kib: Amount(per_kib) };
            let seconds = price.seconds_for(Amount(credit)).unwrap();
            let octets = price.octets_for(Amount(credit)).unwrap();
            prop_assert!(price.of(seconds, 0).0 <= credit);
            prop_assert!(price.of(0, octets).0 <= credit);
        }

        #[test]
        fn cost_never_falls_as_use_rises(per_minute in 0..=Amount::MAX.0, per_kib in 0..=Amount::MAX.0, seconds in any::<u64>(), octets in any::<u64>(), more in any::<u32>()) {
            let price = Price { per_minute: Amount(per_minute), per_kib: Amount(per_kib) };
            let later = price.of(seconds.saturating_add(more.into()), octets.saturating_add(more.into()));
            prop_assert!(later >= price.of(seconds, octets));
        }
    }
}
