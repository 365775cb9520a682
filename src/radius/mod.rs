//! The wire: RADIUS packets, attributes, authenticators, hiding, credentials, dictionaries.
//!
//! Pure; knows RFCs, not this server. No subscribers, SQL or sockets here.

mod secret;

pub use secret::Secret;
