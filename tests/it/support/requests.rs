//! A NAS in a few lines: requests, and the socket that they are sent from.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use md5::{Digest as _, Md5};
use tollkeeper::entropy::{Entropy as _, SystemEntropy};
use tollkeeper::radius::attribute::{
    ACCT_DELAY_TIME, ACCT_INPUT_OCTETS, ACCT_OUTPUT_OCTETS, ACCT_SESSION_ID, ACCT_SESSION_TIME,
    ACCT_STATUS_TYPE, CHAP_PASSWORD, NAS_IP_ADDRESS, USER_NAME, USER_PASSWORD,
};
use tollkeeper::radius::hiding::hide_user_password;
use tollkeeper::radius::{Code, Secret, authenticate_request, seal_request, verify_response};

use super::programs::SECRET;

pub(crate) const START: u32 = 1;
pub(crate) const STOP: u32 = 2;
pub(crate) const INTERIM: u32 = 3;

pub(crate) fn secret() -> Secret {
    Secret::new(SECRET.as_bytes()).unwrap()
}

/// A record as a NAS counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) status: u32,
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) seconds: u32,
    pub(crate) input: u32,
    pub(crate) output: u32,
    /// Acct-Delay-Time, seconds.
    pub(crate) delay: Option<u32>,
}

impl Record {
    pub(crate) fn start(user: &str, session: &str) -> Self {
        let (user, session) = (user.to_owned(), session.to_owned());
        Self { status: START, user, session, seconds: 0, input: 0, output: 0, delay: None }
    }

    pub(crate) fn encode(&self, identifier: u8) -> Vec<u8> {
        let numbers = [
            (ACCT_STATUS_TYPE, self.status),
            (ACCT_SESSION_TIME, self.seconds),
            (ACCT_INPUT_OCTETS, self.input),
            (ACCT_OUTPUT_OCTETS, self.output),
        ];
        // A Start has no counters.
        let numbers = &numbers[..if self.status == START { 1 } else { 4 }];
        let numbers: Vec<_> = numbers.iter().map(|(number, value)| (*number, value.to_be_bytes())).collect();
        let address = Ipv4Addr::LOCALHOST.octets();
        let mut attributes: Vec<(u8, &[u8])> = vec![
            (USER_NAME, self.user.as_bytes()),
            (ACCT_SESSION_ID, self.session.as_bytes()),
            (NAS_IP_ADDRESS, &address),
        ];
        attributes.extend(numbers.iter().map(|(number, value)| (*number, &value[..])));
        let delay = self.delay.map(u32::to_be_bytes);
        attributes.extend(delay.iter().map(|delay| (ACCT_DELAY_TIME, &delay[..])));
        accounting(identifier, &attributes)
    }
}

/// An Accounting-Request.
pub(crate) fn accounting(identifier: u8, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let mut octets = head(4, identifier, [0; 16]);
    for (number, value) in attributes {
        push(&mut octets, *number, value);
    }
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    authenticate_request(&mut octets, &secret());
    octets
}

/// An Access-Request with User-Password, signed.
pub(crate) fn login(identifier: u8, user: &str, password: &str, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let address = Ipv4Addr::LOCALHOST.octets();
    let attributes = [&[(NAS_IP_ADDRESS, &address[..])], attributes].concat();
    login_of_nas(identifier, user, password, &attributes)
}

/// The same from a NAS that `attributes` name.
pub(crate) fn login_of_nas(
    identifier: u8,
    user: &str,
    password: &str,
    attributes: &[(u8, &[u8])],
) -> Vec<u8> {
    let mut octets = unsigned_login(identifier, user, password, attributes);
    seal_request(&mut octets, &secret()).unwrap();
    octets
}

/// The same without Message-Authenticator, as one may forge it who has not the secret: what the server reads as
/// the password is then any octets.
pub(crate) fn unsigned_login(
    identifier: u8,
    user: &str,
    password: &str,
    attributes: &[(u8, &[u8])],
) -> Vec<u8> {
    proved_login(identifier, user, attributes, |authenticator| {
        let hidden = hide_user_password(password.as_bytes(), &secret(), authenticator).unwrap();
        (USER_PASSWORD, hidden.to_vec())
    })
}

/// A signed login by CHAP, with the Request Authenticator as the challenge (RFC 2865 §5.3).
pub(crate) fn chap_login_of_nas(
    identifier: u8,
    user: &str,
    password: &str,
    attributes: &[(u8, &[u8])],
) -> Vec<u8> {
    let mut octets = proved_login(identifier, user, attributes, |authenticator| {
        let digest = Md5::new_with_prefix([1]).chain_update(password).chain_update(authenticator).finalize();
        (CHAP_PASSWORD, [&[1], &digest[..]].concat())
    });
    seal_request(&mut octets, &secret()).unwrap();
    octets
}

fn proved_login(
    identifier: u8,
    user: &str,
    attributes: &[(u8, &[u8])],
    proof: impl FnOnce(&[u8; 16]) -> (u8, Vec<u8>),
) -> Vec<u8> {
    let mut authenticator = [0; 16];
    SystemEntropy.fill(&mut authenticator);
    let mut octets = head(1, identifier, authenticator);
    push(&mut octets, USER_NAME, user.as_bytes());
    let (number, value) = proof(&authenticator);
    push(&mut octets, number, &value);
    for (number, value) in attributes {
        push(&mut octets, *number, value);
    }
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    octets
}

/// A Status-Server request, signed with this secret.
pub(crate) fn status(identifier: u8, secret: &Secret) -> Vec<u8> {
    let mut authenticator = [0; 16];
    SystemEntropy.fill(&mut authenticator);
    let mut octets = head(12, identifier, authenticator);
    seal_request(&mut octets, secret).unwrap();
    octets
}

fn head(code: u8, identifier: u8, authenticator: [u8; 16]) -> Vec<u8> {
    let mut octets = vec![code, identifier, 0, 0];
    octets.extend(authenticator);
    octets
}

fn push(octets: &mut Vec<u8>, number: u8, value: &[u8]) {
    octets.extend([number, u8::try_from(value.len() + 2).unwrap()]);
    octets.extend(value);
}

/// A socket of a NAS.
pub(crate) struct NasSocket(UdpSocket);

impl NasSocket {
    /// On 127.0.0.`last`.
    pub(crate) fn bind(last: u8) -> Self {
        Self::bind_at(Ipv4Addr::new(127, 0, 0, last))
    }

    pub(crate) fn bind_at(address: Ipv4Addr) -> Self {
        Self(UdpSocket::bind((address, 0)).unwrap())
    }

    pub(crate) fn send(&self, to: SocketAddr, request: &[u8]) {
        // A port that was closed a moment ago is reported here; the datagram is lost like any other.
        let _ = self.0.send_to(request, to);
    }

    /// The next datagram, if one comes within this time.
    pub(crate) fn receive(&self, within: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        self.0.set_read_timeout(Some(within)).unwrap();
        match self.0.recv(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) => {
                let quiet = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionRefused];
                assert!(quiet.contains(&error.kind()), "{error}");
                None
            }
        }
    }

    /// Everything that has come.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.receive(Duration::from_millis(1))).collect()
    }

    /// Sends a request again and again until it is answered.
    pub(crate) fn ask(&self, to: SocketAddr, request: &[u8]) -> Code {
        super::eventually("an answer", || self.try_ask(to, request, Duration::from_secs(1)))
    }

    /// Sends a request once and waits so long for its answer.
    pub(crate) fn try_ask(&self, to: SocketAddr, request: &[u8], within: Duration) -> Option<Code> {
        self.try_ask_with(to, request, &secret(), within)
    }

    /// The same with another secret.
    pub(crate) fn try_ask_with(
        &self,
        to: SocketAddr,
        request: &[u8],
        secret: &Secret,
        within: Duration,
    ) -> Option<Code> {
        self.send(to, request);
        while let Some(reply) = self.receive(within) {
            if let Ok(header) = verify_response(request, &reply, secret) {
                return Some(header.code);
            }
        }
        None
    }
}
