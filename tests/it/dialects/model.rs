//! What the dialects and RADIUS must agree on: a subscriber as the contracts describe it, without a server.

use std::collections::BTreeMap;

/// What is known of a subscriber, in one vocabulary. A dialect tells some of it.
pub(super) type Facts = BTreeMap<&'static str, String>;

/// Every password has it: what is found in an answer was told.
pub(super) const SECRET_MARK: &str = "s3cr3t";

/// An end of a subscription, as the dialects write it.
#[derive(Debug)]
pub(super) struct End {
    /// As mFusion, Jaze and IBSng show it; empty is never.
    pub(super) shown: &'static str,
    pub(super) antamedia: &'static str,
    /// As Jaze's clients send it.
    pub(super) jaze: &'static str,
}

/// The first is none; the second has come.
pub(super) const ENDS: [End; 4] = [
    End { shown: "", antamedia: "", jaze: "" },
    End { shown: "2001-06-01 10:00:00", antamedia: "200106011000", jaze: "01-06-2001 10:00" },
    End { shown: "2035-06-01 10:00:00", antamedia: "203506011000", jaze: "01-06-2035 10:00" },
    End { shown: "2036-02-29 23:59:00", antamedia: "203602292359", jaze: "29-02-2036 23:59" },
];
pub(super) const NEVER: usize = 0;
pub(super) const PAST: usize = 1;

/// A plan, or a group that is had besides one.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) price: &'static str,
    pub(super) due: i64,
    pub(super) credit: i64,
    pub(super) recharge: i64,
    /// Of each 2^20 octets; sessions need credit.
    pub(super) metered: bool,
}

pub(super) const PLANS: [Plan; 3] = [
    Plan { name: "gold", price: "160", due: 160, credit: 1000, recharge: 50, metered: false },
    Plan { name: "metered", price: "10", due: 10, credit: 30, recharge: 7, metered: true },
    Plan { name: "silver", price: "90", due: 90, credit: 0, recharge: 0, metered: false },
];
/// A group that nobody has as a plan, and what it gives.
pub(super) const LOUNGE: &str = "lounge";
pub(super) const LOUNGE_IDLE: u32 = 777;

/// A session as its NAS knows it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Acct-Session-Id.
    pub(super) id: String,
    /// Its own for each session, so that rows are told apart in every dialect.
    pub(super) address: std::net::Ipv4Addr,
    pub(super) nas: usize,
    /// Of its subscriber, when it ended or now.
    pub(super) login: String,
    /// User-Name of its records: what was said at the login.
    pub(super) user: String,
    pub(super) station: String,
    pub(super) class: Option<Vec<u8>>,
    pub(super) seconds: u32,
    /// 2^20 octets from the subscriber, and to it.
    pub(super) input: u32,
    pub(super) output: u32,
    /// 2^20 octets that a plan prices.
    pub(super) priced: u32,
    pub(super) open: bool,
    /// Somebody has asked for its end.
    pub(super) kicked: bool,
    /// The records so far.
    pub(super) records: Vec<Record>,
}

/// What a NAS has told of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Acct-Status-Type.
    pub(super) status: u32,
    pub(super) seconds: u32,
    /// 2^20 octets.
    pub(super) input: u32,
    pub(super) output: u32,
    /// Event-Timestamp: by it a Start that comes late is told from that of another session with the id.
    pub(super) at: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub(super) id: i64,
    pub(super) login: String,
    /// `None`: the login is enough.
    pub(super) password: Option<String>,
    pub(super) plan: Option<usize>,
    pub(super) lounge: bool,
    /// The word of the core.
    pub(super) status: &'static str,
    /// Why it is suspended.
    pub(super) reason: String,
    pub(super) ends: usize,
    pub(super) places: Option<u32>,
    pub(super) session_timeout: Option<u32>,
    /// CS-Total-MB-All: 2^20 octets of all sessions.
    pub(super) octets_ever: Option<u32>,
    pub(super) contact: BTreeMap<&'static str, String>,
    /// As booked: what open sessions cost is not in it.
    pub(super) credit: i64,
    pub(super) money: i64,
    pub(super) due: i64,
    pub(super) sessions: Vec<Session>,
    pub(super) deleted: bool,
    /// It is not changed by chance.
    pub(super) fixed: bool,
}

impl Subscriber {
    pub(super) fn new(id: i64, login: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            password: None,
            plan: None,
            lounge: false,
            status: "active",
            reason: String::new(),
            ends: NEVER,
            places: None,
            session_timeout: None,
            octets_ever: None,
            contact: BTreeMap::new(),
            credit: 0,
            money: 0,
            due: 0,
            sessions: Vec::new(),
            deleted: false,
            fixed: false,
        }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.open)
    }

    pub(super) fn is_metered(&self) -> bool {
        self.plan.is_some_and(|plan| PLANS[plan].metered)
    }

    /// Credit less what open sessions cost so far.
    pub(super) fn credit_left(&self) -> i64 {
        self.credit - self.open().map(|session| i64::from(session.priced)).sum::<i64>()
    }

    /// 2^20 octets from the subscriber, and to it.
    pub(super) fn used(&self) -> [u32; 2] {
        let sum = |octets: fn(&Session) -> u32| self.sessions.iter().map(octets).sum();
        [sum(|session| session.input), sum(|session| session.output)]
    }

    pub(super) fn is_expired(&self) -> bool {
        self.ends == PAST
    }

    /// What the rows say, which a stock FreeRADIUS reads too, lets in whoever has the password.
    pub(super) fn is_admitted_by_rows(&self) -> bool {
        !self.deleted && self.status == "active" && !self.is_expired()
    }

    /// A session may be open.
    pub(super) fn is_admitted(&self) -> bool {
        let paid = !self.is_metered() || self.credit_left() > 0;
        let [input, output] = self.used();
        let within = self.octets_ever.is_none_or(|limit| input + output < limit);
        self.is_admitted_by_rows() && paid && within
    }

    /// One more session may be.
    pub(super) fn has_place(&self) -> bool {
        self.places.is_none_or(|places| self.open().count() < usize::try_from(places).unwrap())
    }

    /// The device that logs in next: the first that has no session.
    pub(super) fn next_station(&self) -> String {
        let station = |number: usize| {
            let [high, low] = [self.id / 256 % 256, self.id % 256];
            format!("02-00-00-{high:02X}-{low:02X}-{number:02X}")
        };
        let free = |station: &String| self.open().all(|session| session.station != *station);
        (0..).map(station).find(free).unwrap()
    }

    /// Everything that the dialects tell of it; `None` once it is deleted.
    pub(super) fn facts(&self) -> Option<Facts> {
        if self.deleted {
            return None;
        }
        let plan = self.plan.map_or("", |plan| PLANS[plan].name);
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        let of = |field: &str| self.contact.get(field).cloned().unwrap_or_default();
        let mut groups: Vec<&str> = self.lounge.then_some(LOUNGE).into_iter().chain([plan]).collect();
        groups.retain(|group| !group.is_empty());
        groups.sort_unstable();
        let [upload, download] = self.used().map(|octets| (u64::from(octets) << 20).to_string());
        let online = self.open().count();
        let status = if self.status == "active" && self.is_expired() { "expired" } else { self.status };
        let any_phone = Some(of("phone")).filter(|phone| !phone.is_empty()).unwrap_or_else(|| of("mobile"));
        let mut facts = Facts::from([
            ("login", self.login.clone()),
            ("plan", plan.to_owned()),
            ("groups", groups.join(", ")),
            ("status", status.to_owned()),
            ("barred", (self.status != "active").to_string()),
            (
                "lock",
                match self.status {
                    "active" => String::new(),
                    "suspended" => self.reason.clone(),
                    other => other.to_owned(),
                },
            ),
            ("expires", ENDS[self.ends].shown.to_owned()),
            ("places", number(self.places)),
            ("session timeout", number(self.session_timeout)),
            ("octets ever", number(self.octets_ever)),
            ("any phone", any_phone),
            ("name", format!("{} {}", of("first"), of("last")).trim().to_owned()),
            ("credit", self.credit_left().to_string()),
            ("money", self.money.to_string()),
            ("due", self.due.to_string()),
            ("upload", upload),
            ("download", download),
            ("online", (online > 0).to_string()),
            ("open sessions", online.to_string()),
        ]);
        for field in ["first", "last", "email", "phone", "mobile"] {
            facts.insert(field, of(field));
        }
        Some(facts)
    }
}
