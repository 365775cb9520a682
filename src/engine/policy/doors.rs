//! Devices that let a subscriber in without its password, and what the next login of one has: rows of
//! `tk_device` that do not bind, and of `tk_override` for one login.

use smol_str::{SmolStr, format_smolstr};

use crate::domain::text::mac_digits;
use crate::domain::validity::{AUTOLOGIN_DEVICE, LOGIN_DEVICE};
use crate::domain::{DeviceRow, LoginOverride, LoginTerms};
use crate::time::UnixTime;

/// The digits of a MAC address, as [`mac_digits`] gives them.
pub type Mac = [u8; 12];

/// The devices of one subscriber; most have none.
#[derive(Debug, Default)]
pub(super) struct Doors {
    devices: Box<[Door]>,
    logins: Box<[(Mac, LoginOverride)]>,
    /// A device that has logged in with the password is to be among them.
    pub(super) keeps: bool,
}

#[derive(Debug)]
struct Door {
    mac: Mac,
    until: Option<UnixTime>,
    /// The row, for people.
    rule: SmolStr,
}

impl Doors {
    /// What cannot be read is no device.
    pub(super) fn new(devices: &[DeviceRow], logins: &[LoginOverride], keeps: bool) -> Self {
        let lets_in = |row: &&DeviceRow| row.source == AUTOLOGIN_DEVICE || row.source == LOGIN_DEVICE;
        let door = |row: &DeviceRow| {
            let mac = mac_digits(row.mac.as_bytes())?;
            let rule = format_smolstr!("tk_device {} {} of {}", row.source, row.mac, row.id);
            Some(Door { mac, until: row.valid_until, rule })
        };
        let login = |login: &LoginOverride| Some((mac_digits(login.mac.as_bytes())?, login.clone()));
        Self {
            devices: devices.iter().filter(lets_in).filter_map(door).collect(),
            logins: logins.iter().filter_map(login).collect(),
            keeps,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.logins.is_empty() && !self.keeps
    }

    /// The row that lets the device in.
    pub(super) fn admits(&self, mac: &Mac, now: UnixTime) -> Option<&SmolStr> {
        let found =
            self.devices.iter().find(|door| door.mac == *mac && door.until.is_none_or(|until| until > now));
        found.map(|door| &door.rule)
    }

    /// Has the device ever been let in?
    pub(super) fn knows(&self, mac: &Mac) -> bool {
        self.devices.iter().any(|door| door.mac == *mac)
    }

    pub(super) fn has_logins(&self) -> bool {
        !self.logins.is_empty()
    }

    /// What the next login of the device has, with the number of its row; of several the last counts.
    pub(super) fn terms(&self, mac: &Mac, now: UnixTime) -> Option<(i64, LoginTerms)> {
        let (_, login) = self.logins.iter().rfind(|(device, _)| device == mac)?;
        Some((login.id, login.at(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::validity::STATIC_DEVICE;

    #[test]
    fn a_device_is_let_in_by_its_row_until_that_is_over() {
        let row = |id, source: &str, mac: &str, valid_until| DeviceRow {
            id,
            mac: mac.into(),
            source: source.into(),
            valid_until,
            ..DeviceRow::default()
        };
        let rows = [
            row(1, AUTOLOGIN_DEVICE, "02:00:00:00:00:0A", None),
            row(2, LOGIN_DEVICE, "0200.0000.000b", Some(UnixTime(100))),
            row(3, STATIC_DEVICE, "02-00-00-00-00-0C", None),
            row(4, LOGIN_DEVICE, "modem", None),
        ];
        let doors = Doors::new(&rows, &[], false);
        let admits = |mac: &Mac, at| doors.admits(mac, UnixTime(at)).map(SmolStr::as_str);
        assert_eq!(admits(b"02000000000a", 1_000), Some("tk_device autologin 02:00:00:00:00:0A of 1"));
        assert!(admits(b"02000000000b", 99).is_some() && admits(b"02000000000b", 100).is_none());
        assert!(doors.knows(b"02000000000b"));
        assert_eq!((admits(b"02000000000c", 1), doors.knows(b"02000000000c")), (None, false));
    }

    #[test]
    fn of_several_orders_for_a_device_the_last_counts() {
        let login = |id, mac: &str, seconds| LoginOverride {
            id,
            mac: mac.into(),
            seconds: Some(seconds),
            ..LoginOverride::default()
        };
        let logins =
            [login(1, "020000000001", 60), login(2, "02-00-00-00-00-01", 90), login(3, "020000000002", 5)];
        let doors = Doors::new(&[], &logins, false);
        let (id, terms) = doors.terms(b"020000000001", UnixTime(1_000)).unwrap();
        assert_eq!((id, terms.ends), (2, Some(UnixTime(1_090))));
        assert_eq!(doors.terms(b"020000000003", UnixTime(1_000)), None);
        let ends =
            LoginOverride { expires: Some(UnixTime(1_010)), ..logins[1].clone() }.at(UnixTime(1_000)).ends;
        assert_eq!(ends, Some(UnixTime(1_010)));
    }
}
