//! How long a subscription lasts, and from where it may be used: rows of `tk_expiry_rule` and
//! `tk_device`.

use std::fmt;

use smol_str::SmolStr;

use crate::time::UnixTime;

/// What an expiry rule counts from (domain model §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpiryKind {
    /// It ends at a date: the value is seconds since 1970 UTC.
    Fixed,
    /// So long after the subscriber was made.
    AfterCreation,
    /// So long after its first login.
    AfterFirstUse,
    /// So long after it was last used.
    AfterLastUse,
    /// So long after the present term began: the last renewal, else the activation, else the creation.
    AfterRenew,
    /// On that day of the month, at midnight, the first one after the present term began.
    DayOfMonth,
}

impl ExpiryKind {
    /// Every kind with its word in the table and on the command line.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Fixed, "fixed"),
        (Self::AfterCreation, "after_creation"),
        (Self::AfterFirstUse, "after_first_use"),
        (Self::AfterLastUse, "after_last_use"),
        (Self::AfterRenew, "after_renew"),
        (Self::DayOfMonth, "day_of_month"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }

    /// Does its value need a unit?
    #[must_use]
    pub const fn has_unit(self) -> bool {
        !matches!(self, Self::Fixed | Self::DayOfMonth)
    }
}

/// What the value of an expiry rule counts. Days, months and years are the calendar's, in the
/// subscriber's zone: a month after 31 January is the last day of February.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpiryUnit {
    /// 60 seconds.
    Minutes,
    /// 3,600 seconds.
    Hours,
    /// To the same time of day.
    Days,
    /// To the same day and time.
    Months,
    /// To the same date and time.
    Years,
}

impl ExpiryUnit {
    /// Every unit with its word.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Minutes, "minutes"),
        (Self::Hours, "hours"),
        (Self::Days, "days"),
        (Self::Months, "months"),
        (Self::Years, "years"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, word)| word)
    }

    /// Reads the word, in the singular too.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let of = |known: &str| word == known || known.strip_suffix('s') == Some(word);
        Self::ALL.iter().find(|(_, known)| of(known)).map(|(unit, _)| *unit)
    }
}

/// A row of `tk_expiry_rule` as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryRow {
    /// Primary key.
    pub id: i64,
    /// The plan that it belongs to; `None` where it is the subscriber's own.
    pub plan: Option<SmolStr>,
    /// See [`ExpiryKind`].
    pub kind: SmolStr,
    /// How many units; the seconds since 1970 of a fixed end; a day of the month.
    pub value: i64,
    /// See [`ExpiryUnit`]; empty where the kind has none.
    pub unit: SmolStr,
}

impl fmt::Display for ExpiryRow {
    /// The rule as decisions name it: `tk_expiry_rule after_first_use 30 days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, value, unit, .. } = self;
        write!(f, "tk_expiry_rule")?;
        if let Some(plan) = &self.plan {
            write!(f, " of plan {plan}:")?;
        }
        write!(f, " {kind} {value}")?;
        if unit.is_empty() { Ok(()) } else { write!(f, " {unit}") }
    }
}

/// `tk_device.source` of a binding that an operator made: the subscriber may be used from there alone.
/// Other sources let a device in and shut none out.
pub const STATIC_DEVICE: &str = "static";

/// `tk_device.source` of a device that has logged in with the password, and logs in by itself since.
pub const AUTOLOGIN_DEVICE: &str = "autologin";

/// `tk_device.source` of a device that an operator has let in.
pub const LOGIN_DEVICE: &str = "loginaccount";

/// A row of `tk_device`: a device that a subscriber is bound to, by MAC, by address, or by both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRow {
    /// Primary key.
    pub id: i64,
    /// MAC address, however it is written; empty is any.
    pub mac: SmolStr,
    /// Address; empty is any.
    pub ip: SmolStr,
    /// `static`, `autologin`, `loginaccount`.
    pub source: SmolStr,
    /// The binding counts until then; `None` is for ever.
    pub valid_until: Option<UnixTime>,
}

/// What is known of how a subscriber has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// The first login of the present term; `None` if there was none.
    pub first: Option<UnixTime>,
    /// When it was last seen.
    pub last: Option<UnixTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for (kind, word) in ExpiryKind::ALL {
            assert_eq!((ExpiryKind::parse(word), kind.as_str()), (Some(kind), word));
        }
        for (unit, word) in ExpiryUnit::ALL {
            assert_eq!((ExpiryUnit::parse(word), unit.as_str()), (Some(unit), word));
        }
        assert_eq!(ExpiryUnit::parse("month"), Some(ExpiryUnit::Months));
        assert_eq!(ExpiryUnit::parse("fortnights"), None);
    }

    #[test]
    fn a_rule_is_named_with_its_plan() {
        let mut row =
            ExpiryRow { id: 1, plan: None, kind: "after_first_use".into(), value: 30, unit: "days".into() };
        assert_eq!(row.to_string(), "tk_expiry_rule after_first_use 30 days");
        row = ExpiryRow { plan: Some("gold".into()), kind: "day_of_month".into(), unit: "".into(), ..row };
        assert_eq!(row.to_string(), "tk_expiry_rule of plan gold: day_of_month 30");
    }
}
