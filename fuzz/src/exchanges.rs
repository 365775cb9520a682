//! What NASes answer to Disconnect- and CoA-Requests, and such requests themselves.

use md5::{Digest as _, Md5};
use tollkeeper::coa::{Exchanges, Request, Responder, Settings, Verdict};
use tollkeeper::domain::{NasIdentity, Session, SessionKey, UniqueId};
use tollkeeper::entropy::SeededEntropy;
use tollkeeper::packs::Packs;
use tollkeeper::radius::seal_request;

use super::packet::secret;
use super::{nas, now};

/// A datagram as the answer to an outstanding Disconnect-Request: as it comes, and signed by one who knows
/// the secret, whatever else is in it. Then as a request to the other end.
pub fn coa(input: &[u8]) {
    let now = now();
    let target = "192.0.2.1:3799".parse().expect("an address of ours");
    let request = Request::disconnect(&session(), nas(), Packs::embedded().other()).expect("it fits");
    let mut exchanges = Exchanges::new(Settings::default());
    exchanges.begin(request, target, now, &mut SeededEntropy::new(1)).expect("it is the first");
    let sent = exchanges.poll_transmit().expect("it is due at once");
    let _ = exchanges.handle_datagram(sent.slot, target, input, now);

    let mut answer = input.to_vec();
    if let (Some(head), Some(asked)) = (answer.get(..20), sent.payload.get(..20)) {
        let length = u16::try_from(answer.len().min(4_096)).expect("at most 4,096").to_be_bytes();
        let code = [41, 42, 44, 45][usize::from(head[0] % 4)];
        let signed = [&[code, asked[1]], &length[..], &asked[4..], &answer[20..], secret().octets()].concat();
        answer[..4].copy_from_slice(&signed[..4]);
        answer[4..20].copy_from_slice(&Md5::digest(signed));
        let _ = exchanges.handle_datagram(sent.slot, target, &answer, now);
    }
    let ended = std::iter::from_fn(|| exchanges.poll_outcome()).count();
    assert!(ended <= 1 && ended + exchanges.outstanding() == 1, "{ended} outcomes of one request");

    let mut request = input.to_vec();
    if !request.is_empty() && seal_request(&mut request, &secret()).is_ok() {
        let mut responder = Responder::default();
        let first = responder.answer(target, &request, &secret(), now, |_, _| Verdict::Nak(503));
        let again = responder.answer(target, &request, &secret(), now, |_, _| Verdict::Ack);
        assert_eq!(first, again, "a retransmission gets the same answer");
    }
}

fn session() -> Session {
    let source = "192.0.2.1".parse().expect("an address of ours");
    let nas = NasIdentity { source, address: Some(source), identifier: "edge".into() };
    Session {
        user_name: "nemo".into(),
        framed_ip: Some("100.64.0.9".parse().expect("an address of ours")),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        nas_port_id: "17".into(),
        ..Session::begun(SessionKey([1; 16]), UniqueId([2; 16]), nas, "81a00001".into(), now().unix)
    }
}
