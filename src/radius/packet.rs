//! Header, bounds, attribute walk (RFC 2865 §3, §5). Nothing here needs the shared secret, and
//! nothing here allocates.

use std::fmt;

use super::attribute::{Attribute, Attributes};
use super::error::Malformed;

/// Octets of a header.
pub(super) const HEADER_LENGTH: usize = 20;

/// Octets of the longest packet (RFC 2865 §3).
pub(super) const PACKET_LENGTH_MAX: usize = 4096;

/// Where the Request Authenticator lies in a packet.
pub(super) const AUTHENTICATOR: std::ops::Range<usize> = 4..HEADER_LENGTH;

/// What a packet is (RFC 2865 §4, RFC 2866 §4, RFC 5176 §3, RFC 5997 §2, RFC 7930 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// 1
    AccessRequest,
    /// 2
    AccessAccept,
    /// 3
    AccessReject,
    /// 4
    AccountingRequest,
    /// 5
    AccountingResponse,
    /// 11
    AccessChallenge,
    /// 12
    StatusServer,
    /// 40
    DisconnectRequest,
    /// 41
    DisconnectAck,
    /// 42
    DisconnectNak,
    /// 43
    CoaRequest,
    /// 44
    CoaAck,
    /// 45
    CoaNak,
    /// 52
    ProtocolError,
    /// Any other number.
    Other(u8),
}

impl Code {
    /// Every code that has a name, with its number and that name.
    pub const ALL: [(Self, u8, &'static str); 14] = [
        (Self::AccessRequest, 1, "Access-Request"),
        (Self::AccessAccept, 2, "Access-Accept"),
        (Self::AccessReject, 3, "Access-Reject"),
        (Self::AccountingRequest, 4, "Accounting-Request"),
        (Self::AccountingResponse, 5, "Accounting-Response"),
        (Self::AccessChallenge, 11, "Access-Challenge"),
        (Self::StatusServer, 12, "Status-Server"),
        (Self::DisconnectRequest, 40, "Disconnect-Request"),
        (Self::DisconnectAck, 41, "Disconnect-ACK"),
        (Self::DisconnectNak, 42, "Disconnect-NAK"),
        (Self::CoaRequest, 43, "CoA-Request"),
        (Self::CoaAck, 44, "CoA-ACK"),
        (Self::CoaNak, 45, "CoA-NAK"),
        (Self::ProtocolError, 52, "Protocol-Error"),
    ];

    /// The octet on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::AccessRequest => 1,
            Self::AccessAccept => 2,
            Self::AccessReject => 3,
            Self::AccountingRequest => 4,
            Self::AccountingResponse => 5,
            Self::AccessChallenge => 11,
            Self::StatusServer => 12,
            Self::DisconnectRequest => 40,
            Self::DisconnectAck => 41,
            Self::DisconnectNak => 42,
            Self::CoaRequest => 43,
            Self::CoaAck => 44,
            Self::CoaNak => 45,
            Self::ProtocolError => 52,
            Self::Other(number) => number,
        }
    }

    /// Its name, such as `Access-Request`; `unknown` for a number without one.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(code, ..)| *code == self).map_or("unknown", |(.., name)| name)
    }

    /// Does a packet of this code answer one of `request`?
    #[must_use]
    pub const fn answers(self, request: Self) -> bool {
        matches!(
            (request, self),
            (Self::AccessRequest, Self::AccessAccept | Self::AccessReject | Self::AccessChallenge)
                | (Self::AccountingRequest, Self::AccountingResponse)
                | (Self::StatusServer, Self::AccessAccept | Self::AccountingResponse)
                | (Self::DisconnectRequest, Self::DisconnectAck | Self::DisconnectNak)
                | (Self::CoaRequest, Self::CoaAck | Self::CoaNak)
        )
    }
}

impl From<u8> for Code {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::AccessRequest,
            2 => Self::AccessAccept,
            3 => Self::AccessReject,
            4 => Self::AccountingRequest,
            5 => Self::AccountingResponse,
            11 => Self::AccessChallenge,
            12 => Self::StatusServer,
            40 => Self::DisconnectRequest,
            41 => Self::DisconnectAck,
            42 => Self::DisconnectNak,
            43 => Self::CoaRequest,
            44 => Self::CoaAck,
            45 => Self::CoaNak,
            52 => Self::ProtocolError,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{number}"),
            named => f.write_str(named.name()),
        }
    }
}

/// The first 20 octets (RFC 2865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is.
    pub code: Code,
    /// Matches requests and replies.
    pub identifier: u8,
    /// Octets of the packet, header included, padding not.
    pub length: u16,
    /// Request or Response Authenticator.
    pub authenticator: [u8; 16],
}

/// A datagram whose lengths hold: 20 to 4096 octets, filled exactly by attributes. Nothing is known
/// yet about who sent it; [`Packet::verify`] asks.
#[derive(Clone)]
pub struct Packet<'a> {
    /// Exactly what the Length field covers.
    octets: &'a [u8],
    header: Header,
    /// For each attribute number where its first attribute begins in `octets`; 0 is nowhere, since
    /// no attribute begins in the header.
    first: [u16; 256],
}

impl<'a> Packet<'a> {
    /// Checks every length of the datagram in one pass. Octets after the Length are padding
    /// (RFC 2865 §3).
    ///
    /// # Errors
    /// The sender's: it is not a packet, and is silently discarded.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let Some((head, _)) = datagram.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(Malformed::Short { actual: datagram.len() });
        };
        let [code, identifier, length_high, length_low, authenticator @ ..] = *head;
        let length = u16::from_be_bytes([length_high, length_low]);
        if !(HEADER_LENGTH..=PACKET_LENGTH_MAX).contains(&usize::from(length)) {
            return Err(Malformed::Length { stated: length });
        }
        let Some(octets) = datagram.get(..usize::from(length)) else {
            return Err(Malformed::Truncated { stated: length, actual: datagram.len() });
        };
        let header = Header { code: code.into(), identifier, length, authenticator };
        let first = first_offsets(octets)?;
        Ok(Self { octets, header, first })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The packet without padding.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Every attribute in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.octets.get(HEADER_LENGTH..).unwrap_or_default())
    }

    /// The value of the first attribute with that number, in constant time. It may be empty
    /// (RFC 2865 §5: then it is no value).
    #[must_use]
    pub fn first(&self, number: u8) -> Option<&'a [u8]> {
        self.from(number).next().map(|attribute| attribute.value)
    }

    /// The values of all attributes with that number, in order.
    #[must_use]
    pub fn values(&self, number: u8) -> Values<'a> {
        Values { number, rest: self.from(number) }
    }

    /// Where the first attribute with that number begins in the packet.
    pub(super) fn offset(&self, number: u8) -> Option<usize> {
        let offset = self.first.get(usize::from(number)).copied()?;
        (offset != 0).then(|| usize::from(offset))
    }

    /// The attributes from the first one with that number on; none if there is none.
    fn from(&self, number: u8) -> Attributes<'a> {
        Attributes::new(self.offset(number).and_then(|offset| self.octets.get(offset..)).unwrap_or_default())
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("header", &self.header)
            .field("attributes", &self.attributes())
            .finish()
    }
}

/// Values of one attribute number, in packet order.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    number: u8,
    rest: Attributes<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let number = self.number;
        self.rest.find(|attribute| attribute.number == number).map(|Attribute { value, .. }| value)
    }
}

/// Checks that attributes fill the packet exactly, and notes where the first of each number begins.
fn first_offsets(octets: &[u8]) -> Result<[u16; 256], Malformed> {
    let mut first = [0_u16; 256];
    let mut rest = octets.get(HEADER_LENGTH..).unwrap_or_default();
    let mut offset = 20_u16;
    while let [number, length, ..] = *rest {
        let next = rest.get(usize::from(length)..).filter(|_| length >= 2);
        let Some(next) = next else {
            return Err(Malformed::Attribute { number, length, remaining: rest.len() });
        };
        if let Some(slot) = first.get_mut(usize::from(number))
            && *slot == 0
        {
            *slot = offset;
        }
        offset = offset.saturating_add(u16::from(length));
        rest = next;
    }
    if rest.is_empty() { Ok(first) } else { Err(Malformed::Remainder) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with that Length, and a body.
    fn datagram(length: u16, body: &[u8]) -> Vec<u8> {
        let mut octets = vec![1, 7];
        octets.extend(length.to_be_bytes());
        octets.extend([9; 16]);
        octets.extend(body);
        octets
    }

    #[test]
    fn a_bare_header_is_a_packet() {
        let octets = datagram(20, &[]);
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!(
            packet.header(),
            Header { code: Code::AccessRequest, identifier: 7, length: 20, authenticator: [9; 16] }
        );
        assert_eq!(packet.attributes().count(), 0);
        assert_eq!(packet.first(1), None);
    }

    #[test]
    fn octets_after_the_length_are_padding() {
        let octets = datagram(25, &[1, 5, b'b', b'o', b'b', 1, 0, 255]);
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!(packet.first(1), Some(&b"bob"[..]));
        assert_eq!(packet.octets().len(), 25);
    }

    #[test]
    fn lengths_outside_20_to_4096_are_refused() {
        for actual in 0..20 {
            assert_eq!(Packet::decode(&vec![1; actual]).unwrap_err(), Malformed::Short { actual });
        }
        for stated in [0, 19, 4097, 65535] {
            let octets = datagram(stated, &[0; 5000]);
            assert_eq!(Packet::decode(&octets).unwrap_err(), Malformed::Length { stated });
        }
        let octets = datagram(26, &[1, 5, b'b', b'o', b'b']);
        assert_eq!(Packet::decode(&octets).unwrap_err(), Malformed::Truncated { stated: 26, actual: 25 });
    }

    #[test]
    fn exactly_4096_octets_are_a_packet() {
        let mut body = Vec::new();
        while body.len() + 255 <= 4076 {
            body.extend([26, 255]);
            body.extend([1; 253]);
        }
        let rest = u8::try_from(4076 - body.len()).unwrap();
        body.extend([26, rest]);
        body.extend(vec![1; usize::from(rest) - 2]);
        let octets = datagram(4096, &body);
        assert_eq!(octets.len(), 4096);
        assert_eq!(Packet::decode(&octets).unwrap().values(26).count(), 16);
    }

    #[test]
    fn attributes_fill_the_packet_exactly() {
        for (body, error) in [
            (&[25, 0][..], Malformed::Attribute { number: 25, length: 0, remaining: 2 }),
            (&[25, 1], Malformed::Attribute { number: 25, length: 1, remaining: 2 }),
            (&[25, 255, 1], Malformed::Attribute { number: 25, length: 255, remaining: 3 }),
            (&[1, 2, 25, 3], Malformed::Attribute { number: 25, length: 3, remaining: 2 }),
            (&[1, 3, b'a', 25], Malformed::Remainder),
        ] {
            let octets = datagram(20 + u16::try_from(body.len()).unwrap(), body);
            assert_eq!(Packet::decode(&octets).unwrap_err(), error);
        }
    }

    #[test]
    fn values_come_in_order_whatever_is_between() {
        let octets = datagram(34, &[33, 3, 1, 1, 3, b'a', 33, 2, 33, 3, 3, 255, 3, 4]);
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!(packet.values(33).collect::<Vec<_>>(), [&[1][..], &[], &[3]]);
        assert_eq!(packet.first(255), Some(&[4][..]));
        assert_eq!(packet.values(2).count(), 0);
    }

    #[test]
    fn every_code_survives_its_number() {
        for number in 0..=255 {
            assert_eq!(Code::from(number).number(), number);
        }
        for (code, number, name) in Code::ALL {
            assert_eq!((Code::from(number), code.to_string().as_str()), (code, name));
        }
    }

    #[test]
    fn codes_agree_with_another_implementation() {
        use ::radius::core::code::Code as Theirs;
        for (code, theirs) in [
            (Code::AccessRequest, Theirs::AccessRequest),
            (Code::AccessAccept, Theirs::AccessAccept),
            (Code::AccessReject, Theirs::AccessReject),
            (Code::AccountingRequest, Theirs::AccountingRequest),
            (Code::AccountingResponse, Theirs::AccountingResponse),
            (Code::AccessChallenge, Theirs::AccessChallenge),
            (Code::StatusServer, Theirs::StatusServer),
            (Code::DisconnectRequest, Theirs::DisconnectRequest),
            (Code::DisconnectAck, Theirs::DisconnectACK),
            (Code::DisconnectNak, Theirs::DisconnectNAK),
            (Code::CoaRequest, Theirs::CoARequest),
            (Code::CoaAck, Theirs::CoAACK),
            (Code::CoaNak, Theirs::CoANAK),
        ] {
            assert_eq!((code.number(), code.name()), (theirs as u8, theirs.string()));
        }
    }
}
