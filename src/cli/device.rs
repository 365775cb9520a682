//! A simulated device, as its NAS writes about it: what the playground and the torture send.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use radius::core::avp::AVP;
use radius::core::code::Code;
use radius::core::packet::Packet;
use radius::core::{rfc2865, rfc2866};

use crate::radius::{Secret, authenticate_request, seal_request};

/// A device on a port of a NAS.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// User-Name.
    pub(super) login: String,
    /// User-Password.
    pub(super) password: String,
    /// Calling-Station-Id.
    pub(super) mac: String,
    /// Called-Station-Id.
    pub(super) called: &'static str,
    /// NAS-Identifier.
    pub(super) nas: &'static str,
    /// NAS-IP-Address; an IPv6 address is left out.
    pub(super) nas_address: IpAddr,
    /// NAS-Port.
    pub(super) port: u32,
    /// The NAS's.
    pub(super) secret: Arc<Secret>,
}

/// What an Accounting-Request says of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'a> {
    /// Acct-Status-Type.
    pub(super) status: u32,
    /// Acct-Session-Id.
    pub(super) session: &'a str,
    /// Class of the Accept.
    pub(super) class: &'a [Vec<u8>],
    /// Framed-IP-Address.
    pub(super) address: Ipv4Addr,
    /// Seconds, octets in and out; a Start has none.
    pub(super) counters: Option<[u32; 3]>,
    /// Acct-Terminate-Cause.
    pub(super) cause: Option<u32>,
    /// Acct-Delay-Time, seconds.
    pub(super) delay: Option<u32>,
}

impl Device {
    fn packet(&self, code: Code, identifier: u8) -> Packet {
        let mut packet = Packet::new_with_identifier(code, self.secret.octets(), identifier);
        rfc2865::add_user_name(&mut packet, &self.login);
        if let IpAddr::V4(address) = self.nas_address {
            rfc2865::add_nas_ip_address(&mut packet, &address);
        }
        rfc2865::add_nas_identifier(&mut packet, self.nas);
        rfc2865::add_nas_port(&mut packet, self.port);
        rfc2865::add_calling_station_id(&mut packet, &self.mac);
        rfc2865::add_called_station_id(&mut packet, self.called);
        packet
    }

    /// A signed Access-Request; `None` where the password is longer than one may be.
    pub(super) fn login(&self, identifier: u8) -> Option<Vec<u8>> {
        let mut packet = self.packet(Code::AccessRequest, identifier);
        rfc2865::add_user_password(&mut packet, self.password.as_bytes()).ok()?;
        let mut octets = packet.encode().ok()?;
        seal_request(&mut octets, &self.secret).ok()?;
        Some(octets)
    }

    /// An Accounting-Request; `None` where it is longer than one may be.
    pub(super) fn report(&self, identifier: u8, report: &Report<'_>) -> Option<Vec<u8>> {
        let mut packet = self.packet(Code::AccountingRequest, identifier);
        rfc2866::add_acct_status_type(&mut packet, report.status);
        rfc2866::add_acct_session_id(&mut packet, report.session);
        rfc2865::add_framed_ip_address(&mut packet, &report.address);
        for class in report.class {
            packet.add(AVP::from_bytes(rfc2865::CLASS_TYPE, class));
        }
        if let Some([seconds, input, output]) = report.counters {
            rfc2866::add_acct_session_time(&mut packet, seconds);
            rfc2866::add_acct_input_octets(&mut packet, input);
            rfc2866::add_acct_output_octets(&mut packet, output);
        }
        if let Some(cause) = report.cause {
            rfc2866::add_acct_terminate_cause(&mut packet, cause);
        }
        if let Some(delay) = report.delay {
            rfc2866::add_acct_delay_time(&mut packet, delay);
        }
        let mut octets = packet.encode().ok()?;
        authenticate_request(&mut octets, &self.secret);
        Some(octets)
    }
}

/// What goes back unchanged in accounting (RFC 2865 §5.25).
pub(super) fn classes(accept: &[u8], secret: &Secret) -> Vec<Vec<u8>> {
    let Ok(accept) = Packet::decode(accept, secret.octets()) else { return Vec::new() };
    accept.lookup_all(rfc2865::CLASS_TYPE).iter().map(|class| class.encode_bytes()).collect()
}
