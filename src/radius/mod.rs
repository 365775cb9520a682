//! The wire: RADIUS packets, attributes, authenticators, hiding, credentials, dictionaries.
//!
//! Pure; knows RFCs, not this server. No subscribers, SQL or sockets here.
//!
//! A datagram goes through four types, each of which only the check before it can make: [`Packet`]
//! (its bounds hold), [`Verified`] (its authenticators hold), [`Request`] (what it asks), and back
//! out as a [`Reply`]. Start at [`Packet::decode`].

pub mod attribute;
mod authenticator;
pub mod credentials;
pub mod dictionary;
mod error;
pub mod hiding;
mod packet;
mod reply;
mod request;
mod seal;
mod secret;
pub mod value;

pub use attribute::{Attribute, Attributes};
pub use authenticator::Verified;
pub use credentials::{Chap, Credentials, MsChap1, MsChap2, MsChap2Success, NtHash};
pub use dictionary::{AttributeDef, DataType, Dictionary, DictionaryError, Vendor};
pub use error::{Malformed, Oversize, Unauthentic};
pub use hiding::{Hidden, Hiding, Password};
pub use packet::{Code, Header, Packet, Values};
pub use reply::{AccessReply, AccountingResponse, DynamicAuthReply, Reply, ReplyAttributes, StatusReply};
pub use request::{AccessRequest, AccountingRequest, AcctStatus, Request, StatusRequest};
pub use seal::{authenticate_request, seal_request, verify_response};
pub use secret::Secret;
