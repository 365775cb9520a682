//! The files under `dictionaries/packs/`, built into the program.

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Every shipped pack: NAS type and text. `other` is the first.
        pub const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../dictionaries/packs/", $name, ".toml")))),*];
    };
}

shipped![
    "other",
    "3gpp",
    "accel-ppp",
    "airespace",
    "alcatel.sr",
    "aruba",
    "ascend",
    "cambium",
    "chillispot",
    "cisco",
    "ericsson.ab",
    "erx",
    "firebrick",
    "fortinet",
    "h3c",
    "hostapd",
    "hp",
    "huawei",
    "juniper",
    "meraki",
    "microsoft",
    "mikrotik",
    "nomadix",
    "pfsense",
    "roaringpenguin",
    "ruckus",
    "starent",
    "tplink",
    "ubnt",
    "wispr",
    "zte",
];
