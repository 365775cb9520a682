//! The client's side: requests that we send ourselves (CoA, tests, load) and the replies to them.
//!
//! Built with the `radius` crate, sealed here: it has no Message-Authenticator, and believes any reply.

use super::attribute::MESSAGE_AUTHENTICATOR;
use super::authenticator::{ZEROS, authenticator, check_message_authenticator, equal, message_authenticator};
use super::error::{Malformed, Oversize, Unauthentic};
use super::packet::{AUTHENTICATOR, Code, HEADER_LENGTH, Header, PACKET_LENGTH_MAX, Packet};
use super::reply::{FIRST_VALUE, overwrite};
use super::secret::Secret;

/// Signs an encoded request: puts a Message-Authenticator first (or fills the one that is first), then
/// computes the Request Authenticator where the code has one to compute (RFC 3579 §3.2, RFC 5176 §3.4).
/// For the others it stays what the caller made it: hidden passwords depend on it.
///
/// # Errors
/// The caller's: over 4096 octets, or no packet at all, which is never longer.
pub fn seal_request(octets: &mut Vec<u8>, secret: &Secret) -> Result<(), Oversize> {
    let first = octets.get(HEADER_LENGTH..FIRST_VALUE);
    if first != Some(&[MESSAGE_AUTHENTICATOR, 18]) {
        let at = HEADER_LENGTH.min(octets.len());
        octets.splice(at..at, [MESSAGE_AUTHENTICATOR, 18].into_iter().chain(ZEROS));
    }
    let oversize = Oversize { length: octets.len(), limit: PACKET_LENGTH_MAX };
    let length =
        u16::try_from(octets.len()).ok().filter(|_| octets.len() <= PACKET_LENGTH_MAX).ok_or(oversize)?;
    overwrite(octets, 2, &length.to_be_bytes());
    let field = match octets.get(AUTHENTICATOR).and_then(|field| field.try_into().ok()) {
        Some(field) if !computes_authenticator(octets) => field,
        _ => ZEROS,
    };
    let value = message_authenticator(octets, &field, FIRST_VALUE, secret);
    overwrite(octets, FIRST_VALUE, &value);
    authenticate_request(octets, secret);
    Ok(())
}

/// Computes the Request Authenticator of an encoded Accounting-, CoA- or Disconnect-Request; leaves
/// others alone.
pub fn authenticate_request(octets: &mut [u8], secret: &Secret) {
    if computes_authenticator(octets) {
        let value = authenticator(octets, &ZEROS, secret);
        overwrite(octets, AUTHENTICATOR.start, &value);
    }
}

/// Is it a request whose authenticator is computed, not random?
fn computes_authenticator(octets: &[u8]) -> bool {
    octets.first().is_some_and(|code| {
        matches!(Code::from(*code), Code::AccountingRequest | Code::CoaRequest | Code::DisconnectRequest)
    })
}

/// Checks that `response` answers `request`: Identifier, code, Response Authenticator, and the
/// Message-Authenticator if it has one (EAP must). Padding of either is ignored.
///
/// # Errors
/// It does not: it is silently discarded, and the wait goes on.
pub fn verify_response(request: &[u8], response: &[u8], secret: &Secret) -> Result<Header, Unauthentic> {
    let Some((head, _)) = request.split_first_chunk::<HEADER_LENGTH>() else {
        return Err(Malformed::Short { actual: request.len() }.into());
    };
    let [code, identifier, _, _, asked @ ..] = *head;
    let packet = Packet::decode(response)?;
    let header = packet.header();
    if header.identifier != identifier || !header.code.answers(code.into()) {
        return Err(Unauthentic::Unrelated { code: header.code, identifier: header.identifier });
    }
    let expected = authenticator(packet.octets(), &asked, secret);
    if !equal(&expected, &header.authenticator) {
        return Err(Unauthentic::ResponseAuthenticator);
    }
    check_message_authenticator(&packet, &asked, secret)?;
    Ok(header)
}
