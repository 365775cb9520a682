//! Bindings to devices: rows of `tk_device`.

use std::net::IpAddr;

use smol_str::{SmolStr, format_smolstr};

use super::{Attempt, Warning};
use crate::domain::text::mac_digits;
use crate::domain::validity::STATIC_DEVICE;
use crate::domain::{DeviceRow, RejectReason};
use crate::radius::attribute::{Attributes, CALLING_STATION_ID, FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS};
use crate::time::UnixTime;

/// The devices that a subscriber may be used from; none is any.
#[derive(Debug, Default)]
pub(crate) struct Bindings(Box<[Binding]>);

#[derive(Debug)]
struct Binding {
    mac: Option<[u8; 12]>,
    ip: Option<IpAddr>,
    until: Option<UnixTime>,
    /// Every part of it can be read; else it matches no device.
    readable: bool,
    /// The row, for people.
    rule: SmolStr,
}

/// What a request says of the device.
struct Device {
    mac: Option<[u8; 12]>,
    ips: [Option<IpAddr>; 3],
    /// Nobody knows its MAC address.
    unknown: bool,
}

impl Bindings {
    /// Compiles rows; what cannot be read is among the warnings, and matches no device.
    pub(crate) fn new(rows: &[DeviceRow], warnings: &mut Vec<Warning>) -> Self {
        let bound = rows.iter().filter(|row| row.source == STATIC_DEVICE).map(|row| {
            let mut words = SmolStr::new_static("tk_device");
            for (name, value) in [("mac", &row.mac), ("ip", &row.ip)] {
                if !value.is_empty() {
                    words = format_smolstr!("{words} {name} {value}");
                }
            }
            let mac = mac_digits(row.mac.as_bytes());
            let ip: Option<IpAddr> = row.ip.parse().ok();
            let why = match (mac, ip) {
                (None, _) if !row.mac.is_empty() => Some("not a MAC address: the row matches no device"),
                (_, None) if !row.ip.is_empty() => Some("not an address: the row matches no device"),
                (None, None) => Some("neither a MAC address nor an address: the row matches no device"),
                _ => None,
            };
            if let Some(why) = why {
                warnings.push(Warning { row: row.id, rule: words.clone(), why: SmolStr::new_static(why) });
            }
            Binding { mac, ip, until: row.valid_until, readable: why.is_none(), rule: words }
        });
        Self(bound.collect())
    }

    /// Is every device admitted?
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why the device of this request is not one of those, and when that may change. An address is
    /// compared where the request names one: before PPP has given it out, it does not.
    pub(crate) fn admit(
        &self,
        attempt: Attempt<'_>,
        now: UnixTime,
    ) -> (Option<(RejectReason, SmolStr)>, Option<UnixTime>) {
        let mut counting = self.0.iter().filter(|binding| binding.until.is_none_or(|until| until > now));
        let until = counting.clone().filter_map(|binding| binding.until).min();
        let Some(first) = counting.clone().next() else { return (None, None) };
        let mut device = Device::of(attempt);
        // Of a session that is looked at again, what its NAS did not tell is not held against it.
        device.unknown = attempt.recalled && device.mac.is_none();
        if counting.clone().any(|binding| binding.has_mac_of(&device) && binding.has_ip_of(&device)) {
            return (None, until);
        }
        let several = counting.clone().count();
        // The right device at a wrong address is told apart from a wrong device.
        let denial = match counting.find(|binding| binding.has_mac_of(&device)) {
            Some(binding) => (RejectReason::IpDenied, binding.rule.clone()),
            None if several > 1 => {
                (RejectReason::MacDenied, format_smolstr!("{}, and {} more", first.rule, several - 1))
            }
            None => (RejectReason::MacDenied, first.rule.clone()),
        };
        (Some(denial), until)
    }
}

impl Binding {
    fn has_mac_of(&self, device: &Device) -> bool {
        self.readable && (self.mac.is_none() || self.mac == device.mac || device.unknown)
    }

    fn has_ip_of(&self, device: &Device) -> bool {
        let named = device.ips.iter().flatten();
        self.ip.is_none_or(|ip| named.clone().next().is_none() || named.clone().any(|named| *named == ip))
    }
}

impl Device {
    fn of(attempt: Attempt<'_>) -> Self {
        let mut device = Self { mac: None, ips: [None; 3], unknown: false };
        for attribute in Attributes::new(attempt.attributes) {
            let [v4, v6, station] = &mut device.ips;
            match attribute.number {
                CALLING_STATION_ID => {
                    device.mac = device.mac.or_else(|| mac_digits(attribute.value));
                    // Of a VPN, the station is known by its address.
                    let text = std::str::from_utf8(attribute.value).ok();
                    *station = station.or_else(|| text.and_then(|text| text.parse().ok()));
                }
                FRAMED_IP_ADDRESS => {
                    let octets = <[u8; 4]>::try_from(attribute.value).ok();
                    *v4 = v4.or_else(|| octets.map(IpAddr::from));
                }
                FRAMED_IPV6_ADDRESS => {
                    let octets = <[u8; 16]>::try_from(attribute.value).ok();
                    *v6 = v6.or_else(|| octets.map(IpAddr::from));
                }
                _ => {}
            }
        }
        device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::ReplyAttributes;

    const NOW: UnixTime = UnixTime(1_000);

    fn row(mac: &str, ip: &str) -> DeviceRow {
        DeviceRow { id: 3, mac: mac.into(), ip: ip.into(), source: STATIC_DEVICE.into(), valid_until: None }
    }

    fn admit(rows: &[DeviceRow], station: &str, ip: Option<[u8; 4]>) -> Option<(RejectReason, String)> {
        let mut attributes = ReplyAttributes::new();
        attributes.push(CALLING_STATION_ID, station.as_bytes());
        if let Some(ip) = ip {
            attributes.push(FRAMED_IP_ADDRESS, &ip);
        }
        let attempt = Attempt {
            attributes: attributes.attributes().rest(),
            source: IpAddr::from([10, 0, 0, 1]),
            recalled: false,
        };
        let (denial, _) = Bindings::new(rows, &mut Vec::new()).admit(attempt, NOW);
        denial.map(|(reason, rule)| (reason, rule.to_string()))
    }

    #[test]
    fn a_mac_is_bound_however_it_is_written() {
        let rows = [row("AA:BB:CC:00:11:22", "")];
        for form in ["aa-bb-cc-00-11-22", "aabb.cc00.1122", "AABBCC001122"] {
            assert_eq!(admit(&rows, form, None), None, "{form}");
        }
        let denied = Some((RejectReason::MacDenied, "tk_device mac AA:BB:CC:00:11:22".to_owned()));
        for other in ["aa-bb-cc-00-11-23", "modem", ""] {
            assert_eq!(admit(&rows, other, None), denied, "{other}");
        }
    }

    #[test]
    fn one_of_several_devices_is_enough() {
        let rows = [row("02-00-00-00-00-01", ""), row("02-00-00-00-00-02", "")];
        assert_eq!(admit(&rows, "02-00-00-00-00-02", None), None);
        assert_eq!(
            admit(&rows, "02-00-00-00-00-03", None),
            Some((RejectReason::MacDenied, "tk_device mac 02-00-00-00-00-01, and 1 more".to_owned()))
        );
    }

    #[test]
    fn an_address_is_compared_where_the_request_names_one() {
        let rows = [row("", "10.0.0.5")];
        assert_eq!(admit(&rows, "02-00-00-00-00-01", Some([10, 0, 0, 5])), None);
        assert_eq!(admit(&rows, "02-00-00-00-00-01", None), None);
        assert_eq!(admit(&rows, "10.0.0.5", None), None);
        let denied = Some((RejectReason::IpDenied, "tk_device ip 10.0.0.5".to_owned()));
        assert_eq!(admit(&rows, "02-00-00-00-00-01", Some([10, 0, 0, 6])), denied);
        assert_eq!(admit(&rows, "10.0.0.6", None), denied);
    }

    #[test]
    fn the_right_device_at_a_wrong_address_is_told_apart() {
        let rows = [row("02-00-00-00-00-01", "10.0.0.5")];
        assert_eq!(admit(&rows, "02-00-00-00-00-01", Some([10, 0, 0, 5])), None);
        let reason = |station, ip| admit(&rows, station, Some(ip)).map(|(reason, _)| reason);
        assert_eq!(reason("02-00-00-00-00-01", [10, 0, 0, 6]), Some(RejectReason::IpDenied));
        assert_eq!(reason("02-00-00-00-00-02", [10, 0, 0, 5]), Some(RejectReason::MacDenied));
    }

    #[test]
    fn a_binding_that_is_over_binds_nothing_nor_does_one_that_lets_in() {
        let over = DeviceRow { valid_until: Some(NOW), ..row("02-00-00-00-00-01", "") };
        assert_eq!(admit(std::slice::from_ref(&over), "02-00-00-00-00-02", None), None);
        let counts = DeviceRow { valid_until: Some(UnixTime(1_001)), ..over.clone() };
        assert!(admit(&[counts], "02-00-00-00-00-02", None).is_some());
        let automatic = DeviceRow { source: "autologin".into(), ..row("02-00-00-00-00-01", "") };
        assert_eq!(admit(&[automatic], "02-00-00-00-00-02", None), None);
    }

    #[test]
    fn a_row_that_names_no_device_matches_none() {
        let here = "10.0.0.5";
        for wrong in [row("modem", ""), row("", "modem"), row("", ""), row("modem", here)] {
            let mut warnings = Vec::new();
            drop(Bindings::new(std::slice::from_ref(&wrong), &mut warnings));
            assert_eq!(warnings.len(), 1, "{wrong:?}");
            assert!(admit(&[wrong], here, None).is_some());
        }
    }
}
