//! How a user proves who it is: PAP, CHAP (RFC 1994), MS-CHAPv1 (RFC 2433), MS-CHAPv2 (RFC 2759) and
//! the MPPE keys that follow from them (RFC 3079, RFC 2548). Comparisons take constant time.

use std::fmt;

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use md4::Md4;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::attribute::{
    CHAP_CHALLENGE, CHAP_PASSWORD, EAP_MESSAGE, USER_PASSWORD, VENDOR_SPECIFIC, microsoft, vendor,
    vendor_attributes,
};
use super::authenticator::Verified;
use super::hiding::{Password, reveal_user_password};
use super::packet::AUTHENTICATOR;
use super::secret::Secret;

/// What an Access-Request offers as proof.
#[derive(Clone, Debug)]
pub enum Credentials<'a> {
    /// User-Password.
    Pap(Password),
    /// CHAP-Password.
    Chap(Chap<'a>),
    /// MS-CHAP-Response with an NT response.
    MsChap1(MsChap1),
    /// MS-CHAP2-Response.
    MsChap2(MsChap2),
    /// EAP-Message.
    Eap,
    /// Nothing.
    None,
    /// More than one kind (RFC 2865 §4.1, RFC 3579 §3.3): it is not for us to choose.
    Conflicting,
    /// Of the wrong length, repeated, without its challenge, LAN Manager alone, or a change of
    /// password: never a login.
    Invalid,
}

/// CHAP-Password with its challenge (RFC 2865 §2.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chap<'a> {
    /// CHAP Identifier.
    pub identifier: u8,
    /// What the user answered.
    pub response: [u8; 16],
    /// CHAP-Challenge, or else the Request Authenticator; never empty.
    pub challenge: &'a [u8],
}

/// An MS-CHAP-Response (RFC 2433 §6, RFC 2548 §2.1.3); its LAN Manager half is not looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MsChap1 {
    /// Ident.
    pub identifier: u8,
    /// MS-CHAP-Challenge.
    pub challenge: [u8; 8],
    /// NT-Response.
    pub nt_response: [u8; 24],
}

/// An MS-CHAP2-Response (RFC 2759 §4, RFC 2548 §2.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MsChap2 {
    /// Ident; MS-CHAP2-Success and MS-CHAP-Error begin with it.
    pub identifier: u8,
    /// MS-CHAP-Challenge.
    pub authenticator_challenge: [u8; 16],
    /// Peer-Challenge.
    pub peer_challenge: [u8; 16],
    /// Response.
    pub nt_response: [u8; 24],
}

impl fmt::Debug for Chap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chap").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

impl fmt::Debug for MsChap1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsChap1").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

impl fmt::Debug for MsChap2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsChap2").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

/// MD4 over the password in UTF-16 (RFC 2759 §8.3). As good as the password; `Debug` does not show
/// it, and it is wiped when dropped.
#[derive(Clone)]
pub struct NtHash([u8; 16]);

impl NtHash {
    /// A stored hash.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// NtPasswordHashHash (RFC 2759 §8.4).
    fn hashed(&self) -> [u8; 16] {
        Md4::digest(self.0).into()
    }
}

impl PartialEq for NtHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for NtHash {}

impl Drop for NtHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash(***)")
    }
}

/// What a right MS-CHAPv2 response earns.
#[derive(Clone, PartialEq, Eq)]
pub struct MsChap2Success {
    /// `S=` and 40 upper-case hexadecimal digits: with the Ident in front it is the value of
    /// MS-CHAP2-Success (RFC 2548 §2.3.3).
    pub authenticator_response: [u8; 42],
    /// MS-MPPE-Send-Key in the clear (RFC 3079 §3.3, 128 bits).
    pub send_key: [u8; 16],
    /// MS-MPPE-Recv-Key in the clear.
    pub recv_key: [u8; 16],
}

impl MsChap2Success {
    /// The value of MS-CHAP2-Success.
    #[must_use]
    pub fn value(&self, identifier: u8) -> [u8; 43] {
        let mut value = [identifier; 43];
        if let Some((_, text)) = value.split_first_mut() {
            text.copy_from_slice(&self.authenticator_response);
        }
        value
    }
}

impl Drop for MsChap2Success {
    fn drop(&mut self) {
        self.send_key.zeroize();
        self.recv_key.zeroize();
    }
}

impl fmt::Debug for MsChap2Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsChap2Success").finish_non_exhaustive()
    }
}

/// Does an Access-Request bring credentials, of whatever kind and worth?
pub(super) fn are_in(request: &Verified<'_>) -> bool {
    [USER_PASSWORD, CHAP_PASSWORD, EAP_MESSAGE].into_iter().any(|number| request.first(number).is_some()) || {
        let microsoft = Microsoft::of(request);
        microsoft.response1.is_some() || microsoft.response2.is_some() || microsoft.change
    }
}

/// Reads the credentials of an Access-Request.
pub(super) fn of<'a>(request: &Verified<'a>, secret: &Secret) -> Credentials<'a> {
    let microsoft = Microsoft::of(request);
    let kinds = [
        request.first(USER_PASSWORD).is_some(),
        request.first(CHAP_PASSWORD).is_some(),
        request.first(EAP_MESSAGE).is_some(),
        microsoft.response1.is_some(),
        microsoft.response2.is_some(),
        microsoft.change,
    ];
    if kinds.iter().filter(|present| **present).count() > 1 {
        return Credentials::Conflicting;
    }
    let credentials = match kinds {
        [true, ..] => pap(request, secret).map(Credentials::Pap),
        [_, true, ..] => chap(request).map(Credentials::Chap),
        [_, _, true, ..] => Some(Credentials::Eap),
        [_, _, _, true, ..] => microsoft.ms_chap1().map(Credentials::MsChap1),
        [_, _, _, _, true, _] => microsoft.ms_chap2().map(Credentials::MsChap2),
        [.., true] => None,
        [.., false] => return Credentials::None,
    };
    credentials.unwrap_or(Credentials::Invalid)
}

fn pap(request: &Verified<'_>, secret: &Secret) -> Option<Password> {
    let hidden = only(request.values(USER_PASSWORD))?;
    reveal_user_password(hidden, secret, &request.header().authenticator)
}

fn chap<'a>(request: &Verified<'a>) -> Option<Chap<'a>> {
    let [identifier, response @ ..] = <[u8; 17]>::try_from(only(request.values(CHAP_PASSWORD))?).ok()?;
    let challenge = match request.first(CHAP_CHALLENGE) {
        Some(_) => only(request.values(CHAP_CHALLENGE)).filter(|challenge| !challenge.is_empty())?,
        None => request.packet().octets().get(AUTHENTICATOR)?,
    };
    Some(Chap { identifier, response, challenge })
}

/// The one item there is; `None` where there are more.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    values.next().filter(|_| values.next().is_none())
}

/// Microsoft's attributes of an Access-Request (RFC 2548).
#[derive(Default)]
struct Microsoft<'a> {
    challenge: Option<&'a [u8]>,
    response1: Option<&'a [u8]>,
    response2: Option<&'a [u8]>,
    change: bool,
    repeated: bool,
}

impl<'a> Microsoft<'a> {
    fn of(request: &Verified<'a>) -> Self {
        let mut found = Self::default();
        for attribute in request.values(VENDOR_SPECIFIC).flat_map(vendor_attributes) {
            if attribute.vendor != vendor::MICROSOFT {
                continue;
            }
            let slot = match attribute.number {
                microsoft::CHAP_CHALLENGE => &mut found.challenge,
                microsoft::CHAP_RESPONSE => &mut found.response1,
                microsoft::CHAP2_RESPONSE => &mut found.response2,
                microsoft::CHAP_CPW_1 | microsoft::CHAP_CPW_2 | microsoft::CHAP2_CPW => {
                    found.change = true;
                    continue;
                }
                _ => continue,
            };
            found.repeated |= slot.replace(attribute.value).is_some();
        }
        found
    }

    fn ms_chap1(&self) -> Option<MsChap1> {
        let response = <[u8; 50]>::try_from(self.response1?).ok().filter(|_| !self.repeated)?;
        let [identifier, flags, ref rest @ ..] = response;
        let nt_response = *rest.last_chunk()?;
        // Flags 0 asks to look at the LAN Manager half: RFC 2433 §6 warns of it, nobody needs it.
        if flags & 1 == 0 {
            return None;
        }
        Some(MsChap1 { identifier, challenge: self.challenge?.try_into().ok()?, nt_response })
    }

    fn ms_chap2(&self) -> Option<MsChap2> {
        let response = <[u8; 50]>::try_from(self.response2?).ok().filter(|_| !self.repeated)?;
        let [identifier, _flags, ref rest @ ..] = response;
        Some(MsChap2 {
            identifier,
            authenticator_challenge: self.challenge?.try_into().ok()?,
            peer_challenge: *rest.first_chunk()?,
            nt_response: *rest.last_chunk()?,
        })
    }
}

/// Does the response follow from that password?
#[must_use]
pub fn chap_matches(chap: &Chap<'_>, cleartext: &[u8]) -> bool {
    chap_response(chap.identifier, cleartext, chap.challenge).ct_eq(&chap.response).into()
}

/// The response of CHAP with MD5 (RFC 1994 §4.1).
#[must_use]
pub fn chap_response(identifier: u8, cleartext: &[u8], challenge: &[u8]) -> [u8; 16] {
    Md5::new_with_prefix([identifier]).chain_update(cleartext).chain_update(challenge).finalize().into()
}

/// NtPasswordHash of a password (RFC 2759 §8.3).
#[must_use]
pub fn nt_hash(cleartext: &str) -> NtHash {
    let mut md4 = Md4::new();
    for unit in cleartext.encode_utf16() {
        md4.update(unit.to_le_bytes());
    }
    NtHash(md4.finalize().into())
}

/// Does the response follow from that hash (RFC 2433 §A.5)?
#[must_use]
pub fn mschap1_matches(response: &MsChap1, hash: &NtHash) -> bool {
    nt_challenge_response(&response.challenge, hash).ct_eq(&response.nt_response).into()
}

/// The value of MS-CHAP-MPPE-Keys in the clear, to be hidden as User-Password is (RFC 2548 §2.4.1):
/// the LAN Manager key ([`lan_manager_key`], zeros where the password is not known), the NT key,
/// padding. The NT key is the hash of the hash, which is what NASes expect and RFC 3079 §2.3 uses.
#[must_use]
pub fn mschap1_mppe_keys(hash: &NtHash, lan_manager_key: [u8; 8]) -> [u8; 32] {
    let mut keys = [0; 32];
    let (front, back) = keys.split_at_mut(lan_manager_key.len());
    front.copy_from_slice(&lan_manager_key);
    for (octet, key) in back.iter_mut().zip(hash.hashed()) {
        *octet = key;
    }
    keys
}

/// The first eight octets of the LAN Manager hash (RFC 2433 §A.2), from which 40-bit MPPE of
/// MS-CHAPv1 derives its key.
#[must_use]
pub fn lan_manager_key(cleartext: &str) -> [u8; 8] {
    let mut key = [0; 7];
    for (octet, letter) in key.iter_mut().zip(cleartext.bytes()) {
        *octet = letter.to_ascii_uppercase();
    }
    des_encrypt(key, *b"KGS!@#$%")
}

/// Does the response follow from that name and hash (RFC 2759 §8.1)? If so, what goes back to the peer.
/// Of `DOMAIN\user` the part after the backslash counts (RFC 2759 §4).
#[must_use]
pub fn mschap2_matches(response: &MsChap2, user_name: &[u8], hash: &NtHash) -> Option<MsChap2Success> {
    let MsChap2 { authenticator_challenge, peer_challenge, nt_response, .. } = response;
    let challenge = challenge_hash(peer_challenge, authenticator_challenge, user_name);
    if !bool::from(nt_challenge_response(&challenge, hash).ct_eq(nt_response)) {
        return None;
    }
    let hash_hash = hash.hashed();
    let master: [u8; 20] = Sha1::new_with_prefix(hash_hash)
        .chain_update(nt_response)
        .chain_update(MASTER_MAGIC)
        .finalize()
        .into();
    Some(MsChap2Success {
        authenticator_response: authenticator_response(&hash_hash, nt_response, &challenge),
        send_key: start_key(&master, SERVER_SEND_MAGIC),
        recv_key: start_key(&master, SERVER_RECV_MAGIC),
    })
}

/// The NT-Response of MS-CHAPv2, which a peer sends (RFC 2759 §8.1).
#[must_use]
pub fn mschap2_response(
    authenticator_challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
    user_name: &[u8],
    hash: &NtHash,
) -> [u8; 24] {
    nt_challenge_response(&challenge_hash(peer_challenge, authenticator_challenge, user_name), hash)
}

/// ChallengeResponse (RFC 2759 §8.5), which is also the whole NT-Response of MS-CHAPv1: the challenge
/// under three DES keys that the hash gives.
#[must_use]
pub fn nt_challenge_response(challenge: &[u8; 8], hash: &NtHash) -> [u8; 24] {
    let mut keys = [0; 21];
    for (octet, key) in keys.iter_mut().zip(hash.0) {
        *octet = key;
    }
    let mut response = [0; 24];
    for (block, key) in response.as_chunks_mut::<8>().0.iter_mut().zip(keys.as_chunks::<7>().0) {
        *block = des_encrypt(*key, *challenge);
    }
    keys.zeroize();
    response
}

/// ChallengeHash (RFC 2759 §8.2).
fn challenge_hash(
    peer_challenge: &[u8; 16],
    authenticator_challenge: &[u8; 16],
    user_name: &[u8],
) -> [u8; 8] {
    let domain = user_name.iter().position(|octet| *octet == b'\\').map_or(0, |backslash| backslash + 1);
    let user_name = user_name.get(domain..).unwrap_or_default();
    let hash: [u8; 20] = Sha1::new_with_prefix(peer_challenge)
        .chain_update(authenticator_challenge)
        .chain_update(user_name)
        .finalize()
        .into();
    let mut challenge = [0; 8];
    for (octet, hash) in challenge.iter_mut().zip(hash) {
        *octet = hash;
    }
    challenge
}

/// GenerateAuthenticatorResponse (RFC 2759 §8.7).
fn authenticator_response(hash_hash: &[u8; 16], nt_response: &[u8; 24], challenge: &[u8; 8]) -> [u8; 42] {
    let inner =
        Sha1::new_with_prefix(hash_hash).chain_update(nt_response).chain_update(SIGNING_MAGIC).finalize();
    let digest: [u8; 20] =
        Sha1::new_with_prefix(inner).chain_update(challenge).chain_update(ITERATION_MAGIC).finalize().into();
    let mut text = [b'='; 42];
    let mut octets = text.iter_mut();
    let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 0x0f]).map(|nibble| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    });
    for (octet, digit) in octets.by_ref().zip(b"S=".iter().copied().chain(digits)) {
        *octet = digit;
    }
    text
}

/// GetAsymmetricStartKey (RFC 3079 §3.4) for 128 bits; of the master key 16 octets count.
fn start_key(master: &[u8; 20], magic: &[u8]) -> [u8; 16] {
    let (master, _) = master.split_at(16);
    let digest: [u8; 20] = Sha1::new_with_prefix(master)
        .chain_update([0; 40])
        .chain_update(magic)
        .chain_update([0xf2; 40])
        .finalize()
        .into();
    let mut key = [0; 16];
    for (octet, digest) in key.iter_mut().zip(digest) {
        *octet = digest;
    }
    key
}

/// DES with a key of 7 octets, spread over 8 whose lowest bits (parity) nobody looks at.
fn des_encrypt(key: [u8; 7], block: [u8; 8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = key;
    let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    let mut spread = [0_u8; 8];
    for (octet, shift) in spread.iter_mut().zip([49, 42, 35, 28, 21, 14, 7, 0]) {
        let seven = u8::try_from((bits >> shift) & 0x7f).unwrap_or(0);
        *octet = seven << 1;
    }
    let mut block = block.into();
    Des::new(&spread.into()).encrypt_block(&mut block);
    spread.zeroize();
    block.into()
}

// The constants of RFC 2759 §8.7 and RFC 3079 §3.4.
const SIGNING_MAGIC: &[u8] = b"Magic server to client signing constant";
const ITERATION_MAGIC: &[u8] = b"Pad to make it do more than one iteration";
const MASTER_MAGIC: &[u8] = b"This is the MPPE Master Key";
const SERVER_SEND_MAGIC: &[u8] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";
const SERVER_RECV_MAGIC: &[u8] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(digits: &str) -> [u8; N] {
        hex::decode(digits.replace(' ', "")).unwrap().try_into().unwrap()
    }

    fn rfc2759_response() -> MsChap2 {
        MsChap2 {
            identifier: 1,
            authenticator_challenge: octets("5b5d7c7d7b3f2f3e3c2c602132262628"),
            peer_challenge: octets("21402324255e262a28295f2b3a337c7e"),
            nt_response: octets("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"),
        }
    }

    #[test]
    fn rfc2759_9_2_hashes() {
        let hash = nt_hash("clientPass");
        assert_eq!(hash.octets(), &octets("44ebba8d5312b8d611474411f56989ae"));
        assert_eq!(hash.hashed(), octets("41c00c584bd2d91c4017a2a12fa59f3f"));
        let MsChap2 { authenticator_challenge, peer_challenge, nt_response, .. } = rfc2759_response();
        let challenge = challenge_hash(&peer_challenge, &authenticator_challenge, b"User");
        assert_eq!(challenge, octets("d02e4386bce91226"));
        assert_eq!(mschap2_response(&authenticator_challenge, &peer_challenge, b"User", &hash), nt_response);
    }

    #[test]
    fn rfc2759_9_2_authenticator_response_and_rfc3079_3_5_3_keys() {
        let success = mschap2_matches(&rfc2759_response(), b"User", &nt_hash("clientPass")).unwrap();
        assert_eq!(&success.authenticator_response, b"S=407A5589115FD0D6209F510FE9C04566932CDA56");
        assert_eq!(&success.value(7)[..4], b"\x07S=4");
        assert_eq!(success.send_key, octets("8b7cdc149b993a1ba118cb153f56dccb"));
        assert_eq!(success.recv_key, octets("d5f0e9521e3ea9589645e86051c82226"));
    }

    #[test]
    fn an_mschap2_response_is_bound_to_name_and_password() {
        let response = rfc2759_response();
        let hash = nt_hash("clientPass");
        assert!(mschap2_matches(&response, b"user", &hash).is_none());
        assert!(mschap2_matches(&response, b"", &hash).is_none());
        assert!(mschap2_matches(&response, b"User", &nt_hash("clientpass")).is_none());
        let other = MsChap2 { peer_challenge: [0; 16], ..response };
        assert!(mschap2_matches(&other, b"User", &hash).is_none());
    }

    #[test]
    fn the_domain_before_a_backslash_does_not_count() {
        let hash = nt_hash("clientPass");
        assert!(mschap2_matches(&rfc2759_response(), b"EXAMPLE\\User", &hash).is_some());
        assert!(mschap2_matches(&rfc2759_response(), b"\\User", &hash).is_some());
        assert!(mschap2_matches(&rfc2759_response(), b"User\\", &hash).is_none());
    }

    #[test]
    fn rfc2433_b_2_mschap1() {
        let hash = nt_hash("MyPw");
        assert_eq!(hash.octets(), &octets("fc156af7edcd6c0edde3337d427f4eac"));
        let mut response = MsChap1 {
            identifier: 1,
            challenge: octets("102db5df085d3041"),
            nt_response: octets("4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61"),
        };
        assert!(mschap1_matches(&response, &hash));
        assert!(!mschap1_matches(&response, &nt_hash("mypw")));
        response.nt_response[23] ^= 1;
        assert!(!mschap1_matches(&response, &hash));
    }

    #[test]
    fn rfc3079_2_5_keys_of_mschap1() {
        let keys = mschap1_mppe_keys(&nt_hash("clientPass"), lan_manager_key("clientPass"));
        assert_eq!(keys[..8], octets::<8>("76a152936096d783"));
        assert_eq!(keys[8..24], octets::<16>("41c00c584bd2d91c4017a2a12fa59f3f"));
        assert_eq!(keys[24..], [0; 8]);
    }

    #[test]
    fn the_nt_hash_is_over_utf_16() {
        // Computed with iconv and openssl.
        assert_eq!(nt_hash("пароль🔑").octets(), &octets("a3ef8bd4962d96ec45f88ccec0b34e37"));
        assert_eq!(nt_hash("").octets(), &octets("31d6cfe0d16ae931b73c59d7e0c089c0"));
    }

    #[test]
    fn rfc2865_7_2_chap() {
        let challenge = octets::<16>("2aee86f08d0d55969ca5978e0d3367a2");
        let mut chap = Chap {
            identifier: 0x16,
            response: octets("e97557c316185895f293ff6344077275"),
            challenge: &challenge,
        };
        assert!(chap_matches(&chap, b"arctangent"));
        assert!(!chap_matches(&chap, b"arctangent\0"));
        assert!(!chap_matches(&chap, b""));
        chap.identifier = 0x17;
        assert!(!chap_matches(&chap, b"arctangent"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?} {:?}", nt_hash("x"), rfc2759_response(), Password::new(b"clientPass"));
        assert!(!text.contains("clientPass") && !text.contains("130"), "{text}");
    }
}
