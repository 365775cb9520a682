//! What a verified packet asks, and its attributes by name.
//!
//! An accessor gives the first *valid* attribute of its number: an empty value is no value, and one of
//! the wrong size is an invalid attribute, which is ignored (RFC 2865 §5, RFC 6929 §2.8).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use ipnet::Ipv6Net;

use super::attribute::{
    ACCT_AUTHENTIC, ACCT_DELAY_TIME, ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_INPUT_PACKETS,
    ACCT_MULTI_SESSION_ID, ACCT_OUTPUT_GIGAWORDS, ACCT_OUTPUT_OCTETS, ACCT_OUTPUT_PACKETS, ACCT_SESSION_ID,
    ACCT_SESSION_TIME, ACCT_STATUS_TYPE, ACCT_TERMINATE_CAUSE, CALLED_STATION_ID, CALLING_STATION_ID,
    CHARGEABLE_USER_IDENTITY, CLASS, CONNECT_INFO, DELEGATED_IPV6_PREFIX, EVENT_TIMESTAMP,
    FRAMED_INTERFACE_ID, FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS, FRAMED_IPV6_PREFIX, FRAMED_PROTOCOL,
    NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS, NAS_PORT, NAS_PORT_ID, NAS_PORT_TYPE, SERVICE_TYPE,
    STATE, USER_NAME,
};
use super::authenticator::Verified;
use super::credentials::{self, Credentials};
use super::error::Malformed;
use super::packet::{Code, Values};
use super::secret::Secret;
use crate::time::UnixTime;

/// A request that this server answers.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Access-Request.
    Access(AccessRequest<'a>),
    /// Accounting-Request.
    Accounting(AccountingRequest<'a>),
    /// Status-Server.
    Status(StatusRequest<'a>),
}

impl<'a> Verified<'a> {
    /// What it asks. The secret is kept by reference, to reveal a User-Password with.
    ///
    /// # Errors
    /// The code is not one that is answered here (CoA- and Disconnect-Requests are for a NAS).
    pub fn into_request(self, secret: &'a Secret) -> Result<Request<'a>, Malformed> {
        match self.header().code {
            Code::AccessRequest => Ok(Request::Access(AccessRequest { verified: self, secret })),
            Code::AccountingRequest => Ok(Request::Accounting(AccountingRequest(self))),
            Code::StatusServer => Ok(Request::Status(StatusRequest(self))),
            code => Err(Malformed::Code(code)),
        }
    }

    /// Is there anything in it that could prove who the user is?
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        credentials::are_in(self)
    }

    /// Text or opaque octets, never empty.
    #[must_use]
    pub fn octets(&self, number: u8) -> Option<&'a [u8]> {
        self.values(number).find(|value| !value.is_empty())
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn integer(&self, number: u8) -> Option<u32> {
        self.fixed(number).map(u32::from_be_bytes)
    }

    /// An IPv4 address.
    #[must_use]
    pub fn ipv4(&self, number: u8) -> Option<Ipv4Addr> {
        self.fixed::<4>(number).map(Ipv4Addr::from)
    }

    /// An IPv6 address.
    #[must_use]
    pub fn ipv6(&self, number: u8) -> Option<Ipv6Addr> {
        self.fixed::<16>(number).map(Ipv6Addr::from)
    }

    /// An IPv6 prefix, bits beyond its length cleared (RFC 3162 §2.3).
    #[must_use]
    pub fn ipv6_prefix(&self, number: u8) -> Option<Ipv6Net> {
        self.values(number).find_map(|value| {
            let [_reserved, length, prefix @ ..] = value else { return None };
            let mut octets = [0; 16];
            octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
            Some(Ipv6Net::new(Ipv6Addr::from(octets), *length).ok()?.trunc())
        })
    }

    /// A value of exactly `N` octets.
    fn fixed<const N: usize>(&self, number: u8) -> Option<[u8; N]> {
        self.values(number).find_map(|value| value.try_into().ok())
    }

    /// User-Name: opaque octets, NULs included (RFC 2865 §5.1).
    #[must_use]
    pub fn user_name(&self) -> Option<&'a [u8]> {
        self.octets(USER_NAME)
    }

    /// NAS-IP-Address; says nothing about who sent the packet.
    #[must_use]
    pub fn nas_ip_address(&self) -> Option<Ipv4Addr> {
        self.ipv4(NAS_IP_ADDRESS)
    }

    /// NAS-IPv6-Address.
    #[must_use]
    pub fn nas_ipv6_address(&self) -> Option<Ipv6Addr> {
        self.ipv6(NAS_IPV6_ADDRESS)
    }

    /// NAS-Identifier.
    #[must_use]
    pub fn nas_identifier(&self) -> Option<&'a [u8]> {
        self.octets(NAS_IDENTIFIER)
    }

    /// NAS-Port.
    #[must_use]
    pub fn nas_port(&self) -> Option<u32> {
        self.integer(NAS_PORT)
    }

    /// NAS-Port-Id.
    #[must_use]
    pub fn nas_port_id(&self) -> Option<&'a [u8]> {
        self.octets(NAS_PORT_ID)
    }

    /// NAS-Port-Type.
    #[must_use]
    pub fn nas_port_type(&self) -> Option<u32> {
        self.integer(NAS_PORT_TYPE)
    }

    /// Service-Type.
    #[must_use]
    pub fn service_type(&self) -> Option<u32> {
        self.integer(SERVICE_TYPE)
    }

    /// Framed-Protocol.
    #[must_use]
    pub fn framed_protocol(&self) -> Option<u32> {
        self.integer(FRAMED_PROTOCOL)
    }

    /// Framed-IP-Address as sent: 255.255.255.254 and .255 are no address of anybody.
    #[must_use]
    pub fn framed_ip_address(&self) -> Option<Ipv4Addr> {
        self.ipv4(FRAMED_IP_ADDRESS)
    }

    /// Framed-IPv6-Address (RFC 6911).
    #[must_use]
    pub fn framed_ipv6_address(&self) -> Option<Ipv6Addr> {
        self.ipv6(FRAMED_IPV6_ADDRESS)
    }

    /// Framed-IPv6-Prefix (RFC 3162).
    #[must_use]
    pub fn framed_ipv6_prefix(&self) -> Option<Ipv6Net> {
        self.ipv6_prefix(FRAMED_IPV6_PREFIX)
    }

    /// Framed-Interface-Id (RFC 3162).
    #[must_use]
    pub fn framed_interface_id(&self) -> Option<[u8; 8]> {
        self.fixed(FRAMED_INTERFACE_ID)
    }

    /// Delegated-IPv6-Prefix (RFC 4818).
    #[must_use]
    pub fn delegated_ipv6_prefix(&self) -> Option<Ipv6Net> {
        self.ipv6_prefix(DELEGATED_IPV6_PREFIX)
    }

    /// Calling-Station-Id.
    #[must_use]
    pub fn calling_station_id(&self) -> Option<&'a [u8]> {
        self.octets(CALLING_STATION_ID)
    }

    /// Called-Station-Id.
    #[must_use]
    pub fn called_station_id(&self) -> Option<&'a [u8]> {
        self.octets(CALLED_STATION_ID)
    }

    /// Connect-Info.
    #[must_use]
    pub fn connect_info(&self) -> Option<&'a [u8]> {
        self.octets(CONNECT_INFO)
    }

    /// Acct-Session-Id.
    #[must_use]
    pub fn acct_session_id(&self) -> Option<&'a [u8]> {
        self.octets(ACCT_SESSION_ID)
    }

    /// Acct-Multi-Session-Id.
    #[must_use]
    pub fn acct_multi_session_id(&self) -> Option<&'a [u8]> {
        self.octets(ACCT_MULTI_SESSION_ID)
    }

    /// Chargeable-User-Identity; one NUL asks for it (RFC 4372 §2.2).
    #[must_use]
    pub fn chargeable_user_identity(&self) -> Option<&'a [u8]> {
        self.octets(CHARGEABLE_USER_IDENTITY)
    }

    /// Event-Timestamp (RFC 2869 §5.3), whatever it says.
    #[must_use]
    pub fn event_timestamp(&self) -> Option<UnixTime> {
        self.integer(EVENT_TIMESTAMP).map(|seconds| UnixTime(i64::from(seconds)))
    }

    /// State.
    #[must_use]
    pub fn state(&self) -> Option<&'a [u8]> {
        self.octets(STATE)
    }

    /// The Classes in order.
    #[must_use]
    pub fn classes(&self) -> Values<'a> {
        self.values(CLASS)
    }
}

/// An Access-Request.
#[derive(Clone, Debug)]
pub struct AccessRequest<'a> {
    verified: Verified<'a>,
    secret: &'a Secret,
}

impl<'a> AccessRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.verified
    }

    /// The secret that it was verified with.
    #[must_use]
    pub const fn secret(&self) -> &'a Secret {
        self.secret
    }

    /// How the user proves who it is. Reveals the User-Password each time it is asked.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'a> {
        credentials::of(&self.verified, self.secret)
    }
}

impl<'a> Deref for AccessRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.verified
    }
}

/// Acct-Status-Type (RFC 2866 §5.1, RFC 2869 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcctStatus {
    /// 1
    Start,
    /// 2
    Stop,
    /// 3
    InterimUpdate,
    /// 7
    AccountingOn,
    /// 8
    AccountingOff,
    /// Tunnels and links (RFC 2867), Failed, and whatever nobody knows.
    Other(u32),
}

impl From<u32> for AcctStatus {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Start,
            2 => Self::Stop,
            3 => Self::InterimUpdate,
            7 => Self::AccountingOn,
            8 => Self::AccountingOff,
            other => Self::Other(other),
        }
    }
}

/// An Accounting-Request; its Request Authenticator is right.
#[derive(Clone, Debug)]
pub struct AccountingRequest<'a>(Verified<'a>);

impl<'a> AccountingRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.0
    }

    /// Acct-Status-Type; a request without one says nothing.
    #[must_use]
    pub fn status(&self) -> Option<AcctStatus> {
        self.integer(ACCT_STATUS_TYPE).map(AcctStatus::from)
    }

    /// Acct-Delay-Time, seconds.
    #[must_use]
    pub fn delay_time(&self) -> Option<u32> {
        self.integer(ACCT_DELAY_TIME)
    }

    /// Acct-Session-Time, seconds.
    #[must_use]
    pub fn session_time(&self) -> Option<u32> {
        self.integer(ACCT_SESSION_TIME)
    }

    /// Acct-Input-Octets: the lower 32 bits.
    #[must_use]
    pub fn input_octets(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_OCTETS)
    }

    /// Acct-Output-Octets: the lower 32 bits.
    #[must_use]
    pub fn output_octets(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_OCTETS)
    }

    /// Acct-Input-Gigawords: the upper 32 bits (RFC 2869 §5.1).
    #[must_use]
    pub fn input_gigawords(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_GIGAWORDS)
    }

    /// Acct-Output-Gigawords: the upper 32 bits (RFC 2869 §5.2).
    #[must_use]
    pub fn output_gigawords(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_GIGAWORDS)
    }

    /// Acct-Input-Packets.
    #[must_use]
    pub fn input_packets(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_PACKETS)
    }

    /// Acct-Output-Packets.
    #[must_use]
    pub fn output_packets(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_PACKETS)
    }

    /// Acct-Terminate-Cause.
    #[must_use]
    pub fn terminate_cause(&self) -> Option<u32> {
        self.integer(ACCT_TERMINATE_CAUSE)
    }

    /// Acct-Authentic.
    #[must_use]
    pub fn authentic(&self) -> Option<u32> {
        self.integer(ACCT_AUTHENTIC)
    }
}

impl<'a> Deref for AccountingRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.0
    }
}

/// Status-Server; its Message-Authenticator is right. What else it carries is ignored (RFC 5997 §3).
#[derive(Clone, Debug)]
pub struct StatusRequest<'a>(Verified<'a>);

impl<'a> StatusRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.0
    }
}

impl<'a> Deref for StatusRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::attribute::{
        CHAP_CHALLENGE, CHAP_PASSWORD, EAP_MESSAGE, USER_PASSWORD, VENDOR_SPECIFIC, microsoft, vendor,
    };
    use crate::radius::hiding::hide_user_password;
    use crate::radius::packet::Packet;
    use crate::radius::seal::seal_request;

    fn secret() -> Secret {
        Secret::new(b"testing123").unwrap()
    }

    fn packet(code: u8, attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let mut octets = vec![code, 1, 0, 0];
        octets.extend([0x42; 16]);
        for (number, value) in attributes {
            octets.extend([*number, u8::try_from(value.len() + 2).unwrap()]);
            octets.extend(*value);
        }
        seal_request(&mut octets, &secret()).unwrap();
        octets
    }

    /// A Vendor-Specific of Microsoft.
    fn ms(number: u8, value: &[u8]) -> Vec<u8> {
        let mut octets = vendor::MICROSOFT.to_be_bytes().to_vec();
        octets.extend([number, u8::try_from(value.len() + 2).unwrap()]);
        octets.extend(value);
        octets
    }

    fn vsa(value: &[u8]) -> (u8, &[u8]) {
        (VENDOR_SPECIFIC, value)
    }

    /// Which variant the credentials are.
    fn kind(attributes: &[(u8, &[u8])]) -> String {
        let octets = packet(1, attributes);
        let secret = secret();
        let verified = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
        let Ok(Request::Access(request)) = verified.into_request(&secret) else {
            panic!("not an access request")
        };
        let text = format!("{:?}", request.credentials());
        text.split('(').next().unwrap().to_owned()
    }

    #[test]
    fn the_first_valid_attribute_counts() {
        let octets = packet(
            4,
            &[
                (USER_NAME, b""),
                (USER_NAME, b"bob\0"),
                (FRAMED_IP_ADDRESS, &[1, 2, 3]),
                (FRAMED_IP_ADDRESS, &[10, 0, 0, 1]),
                (ACCT_STATUS_TYPE, &[0, 0, 0, 3]),
                (ACCT_INPUT_OCTETS, &[0xff; 4]),
                (ACCT_INPUT_GIGAWORDS, &[0, 0, 0, 0, 1]),
                (EVENT_TIMESTAMP, &[0xff; 4]),
                (CLASS, &[0]),
                (CLASS, &[1]),
                (FRAMED_IPV6_PREFIX, &[0, 200]),
                (FRAMED_IPV6_PREFIX, &[0, 40, 0x20, 1, 0xd, 0xb8, 0x12, 0x34]),
                (DELEGATED_IPV6_PREFIX, &[0, 56, 0x20]),
            ],
        );
        let secret = secret();
        let verified = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
        let Ok(Request::Accounting(request)) = verified.into_request(&secret) else {
            panic!("not accounting")
        };
        assert_eq!(request.user_name(), Some(&b"bob\0"[..]));
        assert_eq!(request.framed_ip_address(), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(request.status(), Some(AcctStatus::InterimUpdate));
        assert_eq!(request.input_octets(), Some(u32::MAX));
        assert_eq!(request.input_gigawords(), None);
        assert_eq!(request.event_timestamp(), Some(UnixTime(4_294_967_295)));
        assert_eq!(request.classes().collect::<Vec<_>>(), [&[0][..], &[1]]);
        assert_eq!(request.framed_ipv6_prefix(), Some("2001:db8:1200::/40".parse().unwrap()));
        assert_eq!(request.delegated_ipv6_prefix(), Some("2000::/56".parse().unwrap()));
        assert_eq!(request.delay_time(), None);
        assert!(request.signed());
    }

    #[test]
    fn a_request_for_a_nas_is_not_answered_here() {
        for code in [40, 43] {
            let octets = packet(code, &[]);
            let secret = secret();
            let verified = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
            assert_eq!(verified.into_request(&secret).err(), Some(Malformed::Code(code.into())));
        }
    }

    #[test]
    fn one_kind_of_credentials_is_told_from_another() {
        let hidden = hide_user_password(b"hello", &secret(), &[0x42; 16]).unwrap();
        let pap = (USER_PASSWORD, hidden.as_slice());
        let chap = (CHAP_PASSWORD, &[1; 17][..]);
        let eap = (EAP_MESSAGE, &b"\x02\x01\x00\x05\x01"[..]);
        let (challenge1, challenge2) =
            (ms(microsoft::CHAP_CHALLENGE, &[1; 8]), ms(microsoft::CHAP_CHALLENGE, &[1; 16]));
        let (response1, response2) =
            (ms(microsoft::CHAP_RESPONSE, &[1; 50]), ms(microsoft::CHAP2_RESPONSE, &[1; 50]));
        assert_eq!(kind(&[]), "None");
        assert_eq!(kind(&[pap]), "Pap");
        assert_eq!(kind(&[chap]), "Chap");
        assert_eq!(kind(&[eap]), "Eap");
        assert_eq!(kind(&[vsa(&challenge1), vsa(&response1)]), "MsChap1");
        assert_eq!(kind(&[vsa(&response2), vsa(&challenge2)]), "MsChap2");
        for pair in
            [[pap, chap], [pap, eap], [chap, eap], [pap, vsa(&response2)], [vsa(&response1), vsa(&response2)]]
        {
            assert_eq!(kind(&pair), "Conflicting");
        }
        // Challenge and response may share one Vendor-Specific.
        let both = [challenge2.as_slice(), &response2[4..]].concat();
        assert_eq!(kind(&[vsa(&both)]), "MsChap2");
    }

    #[test]
    fn credentials_of_wrong_shape_are_invalid() {
        for length in [0, 1, 15, 17, 127, 129, 144, 253] {
            assert_eq!(kind(&[(USER_PASSWORD, &vec![1; length])]), "Invalid");
        }
        for length in [0, 1, 16, 18, 33, 253] {
            assert_eq!(kind(&[(CHAP_PASSWORD, &vec![1; length])]), "Invalid");
        }
        assert_eq!(kind(&[(USER_PASSWORD, &[1; 16]), (USER_PASSWORD, &[1; 16])]), "Invalid");
        assert_eq!(kind(&[(CHAP_PASSWORD, &[1; 17]), (CHAP_PASSWORD, &[2; 17])]), "Invalid");
        assert_eq!(kind(&[(CHAP_PASSWORD, &[1; 17]), (CHAP_CHALLENGE, &[])]), "Invalid");
        let challenge = ms(microsoft::CHAP_CHALLENGE, &[1; 16]);
        for length in [0, 1, 25, 49, 51, 100] {
            assert_eq!(
                kind(&[vsa(&challenge), vsa(&ms(microsoft::CHAP2_RESPONSE, &vec![1; length]))]),
                "Invalid"
            );
        }
        for length in [0, 8, 15, 17, 32] {
            let challenge = ms(microsoft::CHAP_CHALLENGE, &vec![1; length]);
            assert_eq!(kind(&[vsa(&challenge), vsa(&ms(microsoft::CHAP2_RESPONSE, &[1; 50]))]), "Invalid");
        }
        let response = ms(microsoft::CHAP2_RESPONSE, &[1; 50]);
        assert_eq!(kind(&[vsa(&response)]), "Invalid");
        assert_eq!(kind(&[vsa(&challenge), vsa(&response), vsa(&response)]), "Invalid");
        assert_eq!(kind(&[vsa(&challenge), vsa(&ms(microsoft::CHAP2_CPW, &[1; 68]))]), "Invalid");
    }

    #[test]
    fn lan_manager_alone_is_refused() {
        let challenge = ms(microsoft::CHAP_CHALLENGE, &[1; 8]);
        let mut response = [1; 50];
        response[1] = 0;
        let response = ms(microsoft::CHAP_RESPONSE, &response);
        assert_eq!(kind(&[(VENDOR_SPECIFIC, &challenge), (VENDOR_SPECIFIC, &response)]), "Invalid");
    }

    #[test]
    fn chap_takes_the_request_authenticator_where_no_challenge_is_sent() {
        let secret = secret();
        for (challenge, expected) in [(None, &[0x42; 16][..]), (Some(&b"x"[..]), b"x")] {
            let mut attributes = vec![(CHAP_PASSWORD, &[1; 17][..])];
            attributes.extend(challenge.map(|challenge| (CHAP_CHALLENGE, challenge)));
            let octets = packet(1, &attributes);
            let verified = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
            let Ok(Request::Access(request)) = verified.into_request(&secret) else { panic!("not access") };
            let Credentials::Chap(chap) = request.credentials() else { panic!("not CHAP") };
            assert_eq!(chap.challenge, expected);
        }
    }
}
