//! The NASes: their habits, their sockets, and how they write what they have to say.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use smol_str::SmolStr;
use tollkeeper::radius::attribute::{
    ACCT_DELAY_TIME, ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_OUTPUT_GIGAWORDS, ACCT_OUTPUT_OCTETS,
    ACCT_SESSION_ID, ACCT_SESSION_TIME, ACCT_STATUS_TYPE, CALLING_STATION_ID, CLASS, EVENT_TIMESTAMP,
    NAS_IDENTIFIER, NAS_IP_ADDRESS, USER_NAME,
};
use tollkeeper::radius::verify_response;

use crate::support::requests::{NasSocket, START, accounting, login_of_nas, secret};

pub(super) const ACCOUNTING_ON: u32 = 7;
pub(super) const ACCOUNTING_OFF: u32 = 8;

/// What a NAS does with the Class of the Accept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Echo {
    Always,
    Never,
    /// In half of the records.
    Sometimes,
}

/// How a NAS tells when a record was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Timing {
    EventTimestamp,
    /// Acct-Delay-Time: what the network adds is not in it.
    DelayTime,
    /// Not at all: whatever is late seems to have just happened.
    None,
}

/// How a NAS asks again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Retry {
    SameOctets,
    NewIdentifier,
}

/// What a NAS says in a Stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stop {
    Everything,
    /// Its session time, no octets.
    TimeAlone,
    /// Its session time, and noughts for the octets that it has forgotten already.
    Noughts,
    /// No counter at all.
    Nothing,
}

/// What a NAS says of its reboots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reboot {
    Silent,
    On,
    OffAndOn,
}

#[derive(Clone, Debug)]
pub(super) struct Habits {
    pub(super) name: &'static str,
    /// Its source, the last octet behind 127.0.3.
    pub(super) source: u8,
    /// NAS-Identifier in place of NAS-IP-Address: several NASes may be behind one source.
    pub(super) identifier: Option<&'static str>,
    /// Gigawords; without them counters wrap at 32 bits.
    pub(super) wide: bool,
    pub(super) echo: Echo,
    pub(super) timing: Timing,
    pub(super) retry: Retry,
    pub(super) stop: Stop,
    pub(super) reboot: Reboot,
    /// Octets the wrong way round: the configuration says so.
    pub(super) swapped: bool,
    /// A record waits until those of its session before it are acknowledged.
    pub(super) in_order: bool,
    /// Seconds between two Interim-Updates.
    pub(super) interim: u64,
}

const PLAIN: Habits = Habits {
    name: "",
    source: 0,
    identifier: None,
    wide: true,
    echo: Echo::Always,
    timing: Timing::EventTimestamp,
    retry: Retry::SameOctets,
    stop: Stop::Everything,
    reboot: Reboot::Silent,
    swapped: false,
    in_order: false,
    interim: 60,
};

/// One of each kind.
pub(super) const FLEET: [Habits; 9] = [
    Habits { name: "tells all", source: 1, reboot: Reboot::On, ..PLAIN },
    Habits {
        name: "counts the delay",
        source: 2,
        timing: Timing::DelayTime,
        retry: Retry::NewIdentifier,
        reboot: Reboot::OffAndOn,
        interim: 120,
        ..PLAIN
    },
    Habits { name: "32 bits, loses power", source: 3, wide: false, echo: Echo::Never, ..PLAIN },
    Habits {
        name: "32 bits, knows no time",
        source: 4,
        wide: false,
        echo: Echo::Never,
        timing: Timing::None,
        stop: Stop::TimeAlone,
        interim: 120,
        ..PLAIN
    },
    Habits {
        name: "32 bits, renumbers",
        source: 5,
        wide: false,
        echo: Echo::Sometimes,
        timing: Timing::None,
        retry: Retry::NewIdentifier,
        reboot: Reboot::On,
        ..PLAIN
    },
    Habits {
        name: "one of two behind an address",
        source: 6,
        identifier: Some("east"),
        echo: Echo::Never,
        timing: Timing::DelayTime,
        retry: Retry::NewIdentifier,
        reboot: Reboot::On,
        ..PLAIN
    },
    Habits {
        name: "the other behind the address",
        source: 6,
        identifier: Some("west"),
        wide: false,
        echo: Echo::Never,
        retry: Retry::NewIdentifier,
        interim: 300,
        ..PLAIN
    },
    Habits { name: "swaps, stops without a word", source: 7, swapped: true, stop: Stop::Nothing, ..PLAIN },
    Habits {
        name: "forgets before it stops",
        source: 8,
        echo: Echo::Sometimes,
        timing: Timing::DelayTime,
        retry: Retry::NewIdentifier,
        stop: Stop::Noughts,
        in_order: true,
        interim: 90,
        ..PLAIN
    },
];

/// What a record says, before its NAS's habits.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) status: u32,
    pub(super) user: SmolStr,
    pub(super) session: SmolStr,
    pub(super) station: SmolStr,
    pub(super) class: Option<SmolStr>,
    /// Acct-Session-Time, if the record has it.
    pub(super) seconds: Option<u64>,
    /// Input and output as they are, if the record has them; beyond 32 bits the NAS may lose the rest.
    pub(super) octets: Option<[u64; 2]>,
    /// When it was made, unix seconds.
    pub(super) made: i64,
}

pub(super) struct Nas {
    pub(super) habits: Habits,
    socket: NasSocket,
    /// What has come and was not looked for yet.
    inbox: Vec<Vec<u8>>,
    identifier: u8,
    /// Sessions since the boot: the next Acct-Session-Id.
    pub(super) sessions: u32,
    pub(super) boots: u32,
    pub(super) up_at: u64,
}

impl Nas {
    pub(super) fn new(habits: Habits) -> Self {
        let socket = NasSocket::bind_at(Self::address_of(&habits));
        Self { habits, socket, inbox: Vec::new(), identifier: 0, sessions: 0, boots: 0, up_at: 0 }
    }

    fn address_of(habits: &Habits) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 3, habits.source)
    }

    /// Its `[[nas]]` in the configuration.
    pub(super) fn entry(habits: &Habits) -> String {
        let (address, swapped) = (Self::address_of(habits), habits.swapped);
        format!("address = \"{address}\"\nsecret = \"testing123\"\nswap_octets = {swapped}\n")
    }

    fn next_identifier(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }

    /// The attribute that names it, as it stands in its packets.
    fn name(&self) -> (u8, Vec<u8>) {
        match self.habits.identifier {
            Some(identifier) => (NAS_IDENTIFIER, identifier.as_bytes().to_vec()),
            None => (NAS_IP_ADDRESS, Self::address_of(&self.habits).octets().to_vec()),
        }
    }

    pub(super) fn login(&mut self, user: &str, password: &str, station: &str) -> Vec<u8> {
        let (number, name) = self.name();
        let attributes = [(number, &name[..]), (CALLING_STATION_ID, station.as_bytes())];
        login_of_nas(self.next_identifier(), user, password, &attributes)
    }

    /// The datagram that tells it `late` seconds after it was made.
    pub(super) fn tell(&mut self, said: &Said, late: u64) -> Vec<u8> {
        let mut attributes: Vec<(u8, Vec<u8>)> = Vec::new();
        let word = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap().to_be_bytes().to_vec();
        attributes.push((ACCT_STATUS_TYPE, said.status.to_be_bytes().to_vec()));
        attributes.push(self.name());
        if !said.user.is_empty() {
            attributes.push((USER_NAME, said.user.as_bytes().to_vec()));
            attributes.push((ACCT_SESSION_ID, said.session.as_bytes().to_vec()));
            attributes.push((CALLING_STATION_ID, said.station.as_bytes().to_vec()));
        }
        attributes.extend(said.class.iter().map(|class| (CLASS, class.as_bytes().to_vec())));
        match self.habits.timing {
            Timing::EventTimestamp => {
                attributes.push((EVENT_TIMESTAMP, word(u64::try_from(said.made).unwrap())));
            }
            Timing::DelayTime => attributes.push((ACCT_DELAY_TIME, word(late))),
            Timing::None => {}
        }
        if said.status != START {
            attributes.extend(said.seconds.map(|seconds| (ACCT_SESSION_TIME, word(seconds))));
        }
        if let Some([input, output]) = said.octets {
            let [input, output] = if self.habits.swapped { [output, input] } else { [input, output] };
            attributes.push((ACCT_INPUT_OCTETS, word(input)));
            attributes.push((ACCT_OUTPUT_OCTETS, word(output)));
            if self.habits.wide {
                attributes.push((ACCT_INPUT_GIGAWORDS, word(input >> 32)));
                attributes.push((ACCT_OUTPUT_GIGAWORDS, word(output >> 32)));
            }
        }
        let attributes: Vec<(u8, &[u8])> =
            attributes.iter().map(|(number, value)| (*number, &value[..])).collect();
        accounting(self.next_identifier(), &attributes)
    }

    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.socket.send(to, datagram);
    }

    /// The answer to a request that was sent, if it comes within this time after whatever else comes.
    pub(super) fn answer(&mut self, request: &[u8], within: Duration) -> Option<Vec<u8>> {
        let answers = |reply: &mut Vec<u8>| verify_response(request, reply, &secret()).is_ok();
        if let Some(reply) = self.inbox.extract_if(.., answers).next() {
            return Some(reply);
        }
        while let Some(mut reply) = self.socket.receive(within) {
            if answers(&mut reply) {
                return Some(reply);
            }
            self.inbox.push(reply);
        }
        None
    }

    /// Forgets second answers that nobody has looked for.
    pub(super) fn clear(&mut self) {
        self.inbox.clear();
    }
}
