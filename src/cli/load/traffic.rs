//! What a simulated subscriber sends: a login, a session, or both in order.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use radius::core::avp::AVP;
use radius::core::code::Code;
use radius::core::packet::Packet;
use radius::core::{rfc2865, rfc2866};

use crate::cli::device::classes;
use crate::radius::{Code as ReplyCode, Secret, authenticate_request, credentials, seal_request};

/// Which requests make a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// One Access-Request.
    Auth,
    /// Start, Interim-Update, Stop.
    #[value(alias = "accounting")]
    Acct,
    /// Access-Request, then on Accept Start, Interim-Update, Stop.
    Mixed,
}

/// How a password is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Method {
    Pap,
    Chap,
}

/// One request of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Login,
    Start,
    Interim,
    Stop,
}

impl Step {
    pub(super) const fn is_login(self) -> bool {
        matches!(self, Self::Login)
    }
}

/// What all journeys have in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) method: Method,
    pub(super) secret: Secret,
    /// Access-Requests carry a Message-Authenticator.
    pub(super) sign: bool,
    pub(super) users: u64,
    pub(super) user_prefix: String,
    pub(super) password_prefix: String,
    pub(super) password: Option<String>,
    pub(super) nas_address: Ipv4Addr,
    /// Tells the sessions of this run from those of any other.
    pub(super) run: u32,
    pub(super) journeys: AtomicU64,
}

/// One subscriber on the way through the steps.
#[derive(Debug)]
pub(super) struct Journey {
    number: u64,
    step: usize,
    class: Vec<Vec<u8>>,
}

impl Plan {
    const fn steps(&self) -> &'static [Step] {
        match self.mode {
            Mode::Auth => &[Step::Login],
            Mode::Acct => &[Step::Start, Step::Interim, Step::Stop],
            Mode::Mixed => &[Step::Login, Step::Start, Step::Interim, Step::Stop],
        }
    }

    /// Requests of a whole journey.
    pub(super) fn steps_count(&self) -> u32 {
        u32::try_from(self.steps().len()).unwrap_or(1)
    }

    /// The next subscriber in turn.
    pub(super) fn embark(&self) -> Journey {
        Journey { number: self.journeys.fetch_add(1, Ordering::Relaxed), step: 0, class: Vec::new() }
    }

    /// The sealed datagram of the journey's present step.
    pub(super) fn request(&self, journey: &Journey, identifier: u8) -> Vec<u8> {
        let step = self.step(journey);
        let code = if step.is_login() { Code::AccessRequest } else { Code::AccountingRequest };
        let mut packet = Packet::new_with_identifier(code, self.secret.octets(), identifier);
        let user = journey.number % self.users;
        rfc2865::add_user_name(&mut packet, &format!("{}{user}", self.user_prefix));
        rfc2865::add_nas_ip_address(&mut packet, &self.nas_address);
        rfc2865::add_nas_port(&mut packet, u32::try_from(user).unwrap_or(u32::MAX));
        let [.., a, b, c] = user.to_be_bytes();
        rfc2865::add_calling_station_id(&mut packet, &format!("02-00-00-{a:02X}-{b:02X}-{c:02X}"));
        if step.is_login() {
            self.add_password(&mut packet, user);
        } else {
            self.add_record(&mut packet, journey, step, Ipv4Addr::new(10, a, b, c));
        }
        let mut octets = packet.encode().expect("the attributes are few and short");
        if step.is_login() && self.sign {
            seal_request(&mut octets, &self.secret).expect("far below 4096 octets");
        } else {
            authenticate_request(&mut octets, &self.secret);
        }
        octets
    }

    fn add_password(&self, packet: &mut Packet, user: u64) {
        let password = self.password.clone().unwrap_or_else(|| format!("{}{user}", self.password_prefix));
        match self.method {
            Method::Pap => {
                let hidden = rfc2865::add_user_password(packet, password.as_bytes());
                hidden.expect("a password of the command line is shorter than 128 octets");
            }
            Method::Chap => {
                // RFC 2865 §5.3: the Request Authenticator is the challenge.
                let identifier = packet.get_identifier();
                let hash =
                    credentials::chap_response(identifier, password.as_bytes(), packet.get_authenticator());
                let response: Vec<u8> = std::iter::once(identifier).chain(hash).collect();
                rfc2865::add_chap_password(packet, &response);
            }
        }
    }

    fn add_record(&self, packet: &mut Packet, journey: &Journey, step: Step, address: Ipv4Addr) {
        let (status, seconds) = match step {
            Step::Login | Step::Start => (rfc2866::ACCT_STATUS_TYPE_START, 0),
            Step::Interim => (rfc2866::ACCT_STATUS_TYPE_INTERIM_UPDATE, 300),
            Step::Stop => (rfc2866::ACCT_STATUS_TYPE_STOP, 600),
        };
        rfc2866::add_acct_status_type(packet, status);
        rfc2866::add_acct_session_id(packet, &format!("{:08x}{:08x}", self.run, journey.number));
        rfc2865::add_framed_ip_address(packet, &address);
        for class in &journey.class {
            packet.add(AVP::from_bytes(rfc2865::CLASS_TYPE, class));
        }
        if step != Step::Start {
            rfc2866::add_acct_session_time(packet, seconds);
            rfc2866::add_acct_input_octets(packet, seconds * 1_000);
            rfc2866::add_acct_output_octets(packet, seconds * 10_000);
        }
        if step == Step::Stop {
            rfc2866::add_acct_terminate_cause(packet, rfc2866::ACCT_TERMINATE_CAUSE_USER_REQUEST);
        }
    }

    pub(super) fn step(&self, journey: &Journey) -> Step {
        self.steps().get(journey.step).copied().unwrap_or(Step::Stop)
    }

    /// Moves on after a reply; `None` where the journey is over.
    pub(super) fn proceed(&self, mut journey: Journey, code: ReplyCode, reply: &[u8]) -> Option<Journey> {
        if self.step(&journey).is_login() {
            if code != ReplyCode::AccessAccept {
                return None;
            }
            // RFC 2865 §5.25: Class goes back unchanged in accounting.
            if self.mode == Mode::Mixed {
                journey.class = classes(reply, &self.secret);
            }
        }
        journey.step += 1;
        (journey.step < self.steps().len()).then_some(journey)
    }
}
