//! What a session has been given, as far as its NAS is known to have taken it: first what the
//! Access-Accept carried, later what a CoA-ACK confirmed. What it ought to have is compared with this
//! (DESIGN §1, promise 7).
//!
//! It is kept with every session, in memory and in SQL, as one short text. Ends are absolute and volumes
//! count from the session's beginning, so that nothing here changes by the passing of time.

use std::fmt::Write as _;

use smol_str::SmolStr;

use super::overrides::LoginTerms;
use super::profile::{Rate, Volume};
use crate::radius::attribute::{Attributes, IDLE_TIMEOUT};
use crate::time::UnixTime;

/// What a session has been given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// When its NAS ends it by itself; `None` is never.
    pub ends: Option<UnixTime>,
    /// How fast it may be, where a plan or an exhausted quota says so; `None` leaves it to the rows.
    pub rate: Option<Rate>,
    /// How much it may move, its whole life counted.
    pub volume: Volume,
    /// The portal that it is sent to.
    pub redirect: Option<SmolStr>,
    /// The rows' attributes that can be changed in mid-session, as they go on the wire.
    pub rows: Box<[u8]>,
    /// What this login alone has; it is part of the above, and decides with the rest when it is looked at again.
    pub login: Option<Box<LoginTerms>>,
}

/// How two [`Granted`] differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What the subscriber may do is another: rate, portal, filter. Worth ending a session for whose NAS
    /// cannot change it.
    pub vital: bool,
    /// When the NAS is to end it by itself is another: Session-Timeout, volume, Idle-Timeout. We end the
    /// session ourselves when it is time, so a NAS that cannot change it is left alone.
    pub minor: bool,
}

impl Difference {
    /// There is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.vital && !self.minor
    }
}

/// Seconds by which an end may differ: a login takes so long from Accept to Start, and clocks differ.
const ENDS_SLACK: u64 = 120;
/// Octets by which a volume may differ, or an eighth of what is left of it, whichever is more: sessions
/// that share a balance move each other's share with every record.
const VOLUME_SLACK: u64 = 1 << 20;
const VOLUME_SHARE: u64 = 8;
/// The text of a session that was given nothing.
const NOTHING: &str = "none";

impl Granted {
    /// How what is wanted (`self`) differs from what is `confirmed`, for a session that has used
    /// `used` octets down and up. Small differences of what moves by itself are none.
    #[must_use]
    pub fn differs_from(&self, confirmed: &Self, (down, up): (u64, u64)) -> Difference {
        let idle = |granted: &Self| {
            Attributes::new(&granted.rows)
                .find(|row| row.number == IDLE_TIMEOUT)
                .map(|row| row.value.to_vec())
        };
        let others = |one: &Self, other: &Self| {
            let of = |granted: &Self| {
                let rows = Attributes::new(&granted.rows).filter(|row| row.number != IDLE_TIMEOUT);
                rows.map(|row| (row.number, row.value.to_vec())).collect::<Vec<_>>()
            };
            one.rows != other.rows && of(one) != of(other)
        };
        Difference {
            vital: self.rate != confirmed.rate
                || self.redirect != confirmed.redirect
                || others(self, confirmed),
            minor: ends_differ(self.ends, confirmed.ends)
                || volume_differs(self.volume.total, confirmed.volume.total, down.saturating_add(up))
                || volume_differs(self.volume.down, confirmed.volume.down, down)
                || volume_differs(self.volume.up, confirmed.volume.up, up)
                || (self.rows != confirmed.rows && idle(self) != idle(confirmed)),
        }
    }

    /// The text that is kept: words apart by blanks, `none` for nothing.
    #[must_use]
    pub fn to_text(&self) -> SmolStr {
        let mut text = String::new();
        let mut word = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value}");
            }
        };
        word("ends", self.ends.map(|ends| ends.0.unsigned_abs()));
        let rate = self.rate.unwrap_or_default();
        word("down", rate.down);
        word("up", rate.up);
        word("total", self.volume.total);
        word("total-down", self.volume.down);
        word("total-up", self.volume.up);
        if let Some(login) = &self.login {
            word("login-ends", login.ends.map(|ends| ends.0.unsigned_abs()));
            word("login-octets", login.octets);
            word("login-down", login.rate.down);
            word("login-up", login.rate.up);
            word("login-idle", login.idle_timeout.map(u64::from));
        }
        if !self.rows.is_empty() {
            let _ = write!(text, " rows={}", hex::encode(&self.rows));
        }
        if let Some(portal) = &self.redirect {
            // The last, since it may hold anything.
            let _ = write!(text, " portal={portal}");
        }
        if text.is_empty() { SmolStr::new_static(NOTHING) } else { SmolStr::new(text.trim_start()) }
    }

    /// Reads [`Granted::to_text`]; `None` where nothing is known, or nothing that this release knows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut granted = Self::default();
        let (mut rate, mut login) = (Rate::default(), LoginTerms::default());
        let (words, portal) = match text.split_once("portal=") {
            Some((words, portal)) => (words, Some(SmolStr::new(portal))),
            None => (text, None),
        };
        granted.redirect = portal;
        for word in words.split_ascii_whitespace().filter(|word| *word != NOTHING) {
            let (name, value) = word.split_once('=')?;
            let number = || value.parse::<u64>().ok();
            match name {
                "ends" => granted.ends = Some(UnixTime(i64::try_from(number()?).ok()?)),
                "down" => rate.down = Some(number()?),
                "up" => rate.up = Some(number()?),
                "total" => granted.volume.total = Some(number()?),
                "total-down" => granted.volume.down = Some(number()?),
                "total-up" => granted.volume.up = Some(number()?),
                "login-ends" => login.ends = Some(UnixTime(i64::try_from(number()?).ok()?)),
                "login-octets" => login.octets = Some(number()?),
                "login-down" => login.rate.down = Some(number()?),
                "login-up" => login.rate.up = Some(number()?),
                "login-idle" => login.idle_timeout = Some(u32::try_from(number()?).ok()?),
                "rows" => granted.rows = hex::decode(value).ok()?.into(),
                _ => return None,
            }
        }
        granted.rate = Some(rate).filter(|rate| !rate.is_unlimited());
        granted.login = (login != LoginTerms::default()).then(|| Box::new(login));
        Some(granted)
    }

    /// Names what the subscriber may do: equal content has the same, and other content very likely
    /// another. The ends are left out, which move by themselves where time or volume is what is sold.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let text = Self { ends: None, volume: Volume::default(), login: None, ..self.clone() }.to_text();
        // FNV-1a.
        let fold = |digest: u64, octet: u8| (digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
    }
}

fn ends_differ(wanted: Option<UnixTime>, confirmed: Option<UnixTime>) -> bool {
    match (wanted, confirmed) {
        (Some(wanted), Some(confirmed)) => wanted.since(confirmed).max(confirmed.since(wanted)) > ENDS_SLACK,
        (wanted, confirmed) => wanted != confirmed,
    }
}

fn volume_differs(wanted: Option<u64>, confirmed: Option<u64>, used: u64) -> bool {
    match (wanted, confirmed) {
        (Some(wanted), Some(confirmed)) => {
            let left = wanted.min(confirmed).saturating_sub(used);
            wanted.abs_diff(confirmed) > (left / VOLUME_SHARE).max(VOLUME_SLACK)
        }
        (wanted, confirmed) => wanted != confirmed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted() -> impl Strategy<Value = Granted> {
        let numbers = any::<[Option<u64>; 5]>();
        let rows = prop::collection::vec(any::<u8>(), 0..40);
        let portal = prop::option::of("https://[a-z/= ?&]{1,30}");
        let login = any::<(Option<u64>, Option<u32>)>();
        (numbers, prop::option::of(0..i64::MAX), rows, portal, login).prop_map(
            |([down, up, total, total_down, total_up], ends, rows, portal, (octets, idle_timeout))| Granted {
                login: (octets.is_some() || idle_timeout.is_some()).then(|| {
                    let rate = Rate { down: octets, up: None };
                    Box::new(LoginTerms { ends: None, octets, rate, idle_timeout })
                }),
                ends: ends.map(UnixTime),
                rate: Some(Rate { down, up }).filter(|rate| !rate.is_unlimited()),
                volume: Volume { total, down: total_down, up: total_up },
                redirect: portal.map(SmolStr::from),
                rows: rows.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn it_comes_back_from_its_text(granted in granted()) {
            prop_assert_eq!(Granted::parse(&granted.to_text()), Some(granted.clone()));
            prop_assert!(granted.differs_from(&granted, (0, 0)).is_none());
        }
    }

    #[test]
    fn nothing_is_not_the_unknown() {
        assert_eq!(Granted::default().to_text(), "none");
        assert_eq!(Granted::parse("none"), Some(Granted::default()));
        assert_eq!(Granted::parse(""), None);
        assert_eq!(Granted::parse("something newer"), None);
        assert_eq!(Granted::parse("newer=1"), None);
    }

    #[test]
    fn what_the_subscriber_may_do_is_vital_and_when_it_ends_is_not() {
        let had = Granted { ends: Some(UnixTime(1_000_000)), ..Granted::default() };
        let is = |wanted: &Granted, had: &Granted| {
            let difference = wanted.differs_from(had, (0, 0));
            (difference.vital, difference.minor)
        };
        let ends = |ends| Granted { ends, ..had.clone() };
        let rows = |rows: &[u8]| Granted { rows: rows.into(), ..had.clone() };
        assert_eq!(is(&had, &had), (false, false));
        assert_eq!(is(&ends(Some(UnixTime(1_000_100))), &had), (false, false));
        assert_eq!(is(&ends(Some(UnixTime(1_000_200))), &had), (false, true));
        assert_eq!(is(&ends(None), &had), (false, true));
        let slow = Some(Rate { down: Some(1), up: None });
        assert_eq!(is(&Granted { rate: slow, ..had.clone() }, &had), (true, false));
        assert_eq!(is(&Granted { redirect: Some("http://a".into()), ..had.clone() }, &had), (true, false));
        let (gold, silver) = (rows(b"\x0b\x06gold"), rows(b"\x0b\x08silver"));
        assert_eq!([is(&gold, &had), is(&had, &gold), is(&silver, &gold)], [(true, false); 3]);
        let idle = rows(b"\x1c\x06\0\0\x02\x58");
        assert_eq!([is(&idle, &had), is(&had, &idle)], [(false, true); 2]);
        assert_eq!(is(&idle, &gold), (true, true));
        assert_ne!(gold.fingerprint(), silver.fingerprint());
        assert_eq!(had.fingerprint(), ends(None).fingerprint());
    }

    #[test]
    fn shares_of_a_balance_move_a_little_without_a_word() {
        let gigabyte = 1_000_000_000;
        let of = |total| Granted { volume: Volume { total, ..Volume::default() }, ..Granted::default() };
        let differs = |wanted, confirmed, used| !of(wanted).differs_from(&of(confirmed), (used, 0)).is_none();
        assert!(!differs(Some(gigabyte), Some(gigabyte + gigabyte / 10), 0));
        assert!(differs(Some(gigabyte), Some(gigabyte + gigabyte / 5), 0));
        // The nearer to the end, the more a little matters.
        assert!(differs(Some(gigabyte), Some(gigabyte + gigabyte / 10), gigabyte * 9 / 10));
        assert!(differs(None, Some(gigabyte), 0) && differs(Some(gigabyte), None, 0));
    }
}
