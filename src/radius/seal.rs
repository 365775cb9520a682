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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::attribute::EAP_MESSAGE;

    fn secret() -> Secret {
        Secret::new(b"testing123").unwrap()
    }

    fn request(code: u8) -> Vec<u8> {
        let mut octets = vec![code, 9, 0, 0];
        octets.extend([0x31; 16]);
        seal_request(&mut octets, &secret()).unwrap();
        octets
    }

    /// A reply with these attributes, right in every way.
    fn response(code: u8, request: &[u8], attributes: &[u8]) -> Vec<u8> {
        let asked: [u8; 16] = request[AUTHENTICATOR].try_into().unwrap();
        let mut octets = vec![code, request[1], 0, u8::try_from(20 + attributes.len()).unwrap()];
        octets.extend(asked);
        octets.extend(attributes);
        let value = authenticator(&octets, &asked, &secret());
        overwrite(&mut octets, 4, &value);
        octets
    }

    #[test]
    fn replies_of_every_code_are_believed_only_by_their_own_request() {
        let answers = [
            (1, &[2, 3, 11][..]),
            (4, &[5]),
            (12, &[2, 5]),
            (40, &[41, 42]),
            (43, &[44, 45]),
            (2, &[]),
            (99, &[]),
        ];
        for (asked, right) in answers {
            let request = request(asked);
            for code in 0..=255 {
                let reply = response(code, &request, &[]);
                let verdict = verify_response(&request, &reply, &secret());
                assert_eq!(verdict.is_ok(), right.contains(&code), "{code} to {asked}");
            }
        }
    }

    #[test]
    fn a_forged_reply_is_refused() {
        let request = request(43);
        let mut reply = response(44, &request, &[33, 3, 7]);
        assert_eq!(verify_response(&request, &reply, &secret()).unwrap().code, Code::CoaAck);
        for at in 4..reply.len() {
            reply[at] ^= 1;
            assert!(verify_response(&request, &reply, &secret()).is_err(), "octet {at}");
            reply[at] ^= 1;
        }
        reply[1] = 10;
        assert_eq!(
            verify_response(&request, &reply, &secret()),
            Err(Unauthentic::Unrelated { code: Code::CoaAck, identifier: 10 })
        );
        assert_eq!(
            verify_response(&request, &[0; 5], &secret()),
            Err(Unauthentic::Malformed(Malformed::Short { actual: 5 }))
        );
        assert!(verify_response(&[1; 19], &response(2, &request, &[]), &secret()).is_err());
    }

    #[test]
    fn a_message_authenticator_of_a_reply_is_checked() {
        let request = request(1);
        let asked: [u8; 16] = request[AUTHENTICATOR].try_into().unwrap();
        let mut attributes = vec![MESSAGE_AUTHENTICATOR, 18];
        attributes.extend(ZEROS);
        let unsigned = response(2, &request, &attributes);
        assert_eq!(verify_response(&request, &unsigned, &secret()), Err(Unauthentic::MessageAuthenticator));
        let value = message_authenticator(&unsigned, &asked, FIRST_VALUE, &secret());
        overwrite(&mut attributes, 2, &value);
        assert!(verify_response(&request, &response(2, &request, &attributes), &secret()).is_ok());
        let eap = response(11, &request, &[EAP_MESSAGE, 3, 1]);
        assert_eq!(verify_response(&request, &eap, &secret()), Err(Unauthentic::EapUnsigned));
    }

    #[test]
    fn sealing_fills_a_message_authenticator_that_is_first_and_is_repeatable() {
        let mut once = vec![40, 1, 0, 0];
        once.extend([0; 16]);
        once.extend([MESSAGE_AUTHENTICATOR, 18]);
        once.extend(ZEROS);
        once.extend([1, 3, b'u']);
        seal_request(&mut once, &secret()).unwrap();
        let mut twice = once.clone();
        seal_request(&mut twice, &secret()).unwrap();
        assert_eq!((once.len(), &once), (41, &twice));
        assert!(Packet::decode(&once).unwrap().verify(&secret()).unwrap().signed());
    }

    #[test]
    fn what_does_not_fit_is_not_sealed() {
        let mut octets = vec![1; 4090];
        assert_eq!(seal_request(&mut octets, &secret()), Err(Oversize { length: 4108, limit: 4096 }));
        let mut nothing = Vec::new();
        assert_eq!(seal_request(&mut nothing, &secret()), Ok(()), "and nothing does not panic");
    }
}
