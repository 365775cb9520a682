//! The other end: a Dynamic Authorization Server (RFC 5176 §1.3), as far as answering goes. The simulated
//! NASes of tests and of the demonstration answer with it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::request::Kind;
use crate::radius::{Code, DynamicAuthReply, Packet, Secret, Verified, attribute};
use crate::time::Now;

/// What a NAS does about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Disconnect-ACK or CoA-ACK.
    Ack,
    /// Disconnect-NAK or CoA-NAK with that Error-Cause (RFC 5176 §3.5).
    Nak(u32),
    /// No answer.
    Silence,
}

/// Answers Disconnect- and CoA-Requests and remembers its answers, so that a retransmission gets the same
/// one (RFC 5176 §2.3).
#[derive(Debug, Default)]
pub struct Responder {
    answered: VecDeque<Answered>,
}

#[derive(Debug)]
struct Answered {
    from: SocketAddr,
    identifier: u8,
    authenticator: [u8; 16],
    at: Instant,
    reply: Box<[u8]>,
}

impl Responder {
    /// The reply to a datagram, or `None` where RFC 5176 wants silence: no Disconnect- or CoA-Request, an
    /// authenticator that does not hold, an Event-Timestamp too far off (§6.3), or a verdict of silence.
    /// `decide` is asked once per request, whatever the number of its transmissions that are answered.
    pub fn answer(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        secret: &Secret,
        now: Now,
        decide: impl FnOnce(Kind, &Verified<'_>) -> Verdict,
    ) -> Option<Box<[u8]>> {
        let packet = Packet::decode(datagram).ok()?;
        let header = packet.header();
        let kind = [Kind::Disconnect, Kind::ChangeOfAuthorization]
            .into_iter()
            .find(|kind| kind.code() == header.code)?;
        let request = packet.verify(secret).ok()?;
        while self.answered.front().is_some_and(|oldest| now.instant.duration_since(oldest.at) >= REMEMBERED)
        {
            self.answered.pop_front();
        }
        let again = self.answered.iter().find(|answered| {
            answered.from == from
                && answered.identifier == header.identifier
                && answered.authenticator == header.authenticator
        });
        if let Some(answered) = again {
            return Some(answered.reply.clone());
        }
        if !is_fresh(&request, now) {
            return None;
        }
        let (code, error_cause) = match (decide(kind, &request), kind) {
            (Verdict::Ack, Kind::Disconnect) => (Code::DisconnectAck, None),
            (Verdict::Ack, Kind::ChangeOfAuthorization) => (Code::CoaAck, None),
            (Verdict::Nak(cause), Kind::Disconnect) => (Code::DisconnectNak, Some(cause)),
            (Verdict::Nak(cause), Kind::ChangeOfAuthorization) => (Code::CoaNak, Some(cause)),
            (Verdict::Silence, _) => return None,
        };
        let mut reply = Vec::new();
        DynamicAuthReply { code, error_cause }.encode(&request, secret, &mut reply).ok()?;
        let reply: Box<[u8]> = reply.into();
        if self.answered.len() >= ANSWERS_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered {
            from,
            identifier: header.identifier,
            authenticator: header.authenticator,
            at: now.instant,
            reply: reply.clone(),
        });
        Some(reply)
    }
}

/// Is the Event-Timestamp, if there is one, within five minutes of our clock?
fn is_fresh(request: &Verified<'_>, now: Now) -> bool {
    let Some(stamp) = request.first(attribute::EVENT_TIMESTAMP) else { return true };
    let Ok(stamp) = stamp.try_into().map(u32::from_be_bytes) else { return false };
    now.unix.0.abs_diff(i64::from(stamp)) <= FRESH_SECONDS
}

/// As long as a retransmission can come: RFC 5176 §6.3 wants no less than the time of the timestamps.
const REMEMBERED: Duration = Duration::from_secs(300);
const FRESH_SECONDS: u64 = 300;
const ANSWERS_MAX: usize = 4096;
