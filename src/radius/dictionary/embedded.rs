//! The files under `dictionaries/`, built into the program.

/// Includes all the others.
pub(super) const MAIN: &str = "dictionary";

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Every shipped file with its text.
        pub const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../dictionaries/", $name)))),*];
    };
}

shipped![
    "dictionary",
    "dictionary.3gpp",
    "dictionary.accel-ppp",
    "dictionary.airespace",
    "dictionary.alcatel.sr",
    "dictionary.aruba",
    "dictionary.ascend",
    "dictionary.cambium",
    "dictionary.chillispot",
    "dictionary.cisco",
    "dictionary.compat",
    "dictionary.ericsson.ab",
    "dictionary.erx",
    "dictionary.fortinet",
    "dictionary.h3c",
    "dictionary.hp",
    "dictionary.huawei",
    "dictionary.iana",
    "dictionary.internal",
    "dictionary.juniper",
    "dictionary.meraki",
    "dictionary.microsoft",
    "dictionary.mikrotik",
    "dictionary.nomadix",
    "dictionary.pfsense",
    "dictionary.rfc2865",
    "dictionary.rfc2866",
    "dictionary.rfc2867",
    "dictionary.rfc2868",
    "dictionary.rfc2869",
    "dictionary.rfc3162",
    "dictionary.rfc3576",
    "dictionary.rfc3580",
    "dictionary.rfc4072",
    "dictionary.rfc4372",
    "dictionary.rfc4603",
    "dictionary.rfc4675",
    "dictionary.rfc4679",
    "dictionary.rfc4818",
    "dictionary.rfc4849",
    "dictionary.rfc5090",
    "dictionary.rfc5176",
    "dictionary.rfc5447",
    "dictionary.rfc5580",
    "dictionary.rfc5607",
    "dictionary.rfc5904",
    "dictionary.rfc6519",
    "dictionary.rfc6572",
    "dictionary.rfc6677",
    "dictionary.rfc6911",
    "dictionary.rfc6929",
    "dictionary.rfc6930",
    "dictionary.rfc7055",
    "dictionary.rfc7155",
    "dictionary.rfc7268",
    "dictionary.rfc7930",
    "dictionary.rfc8045",
    "dictionary.rfc8559",
    "dictionary.roaringpenguin",
    "dictionary.ruckus",
    "dictionary.starent",
    "dictionary.starent.vsa1",
    "dictionary.tollkeeper",
    "dictionary.tplink",
    "dictionary.ubnt",
    "dictionary.wispr",
    "dictionary.zte",
];

/// The text of a shipped file.
pub(super) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
