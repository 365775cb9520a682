//! Outstanding Disconnect- and CoA-Requests: what they say, their retransmission and their outcome
//! (RFC 5176, as its Dynamic Authorization Client). Pure.
//!
//! Owns the exchanges with every NAS and the bounds on them. Refuses to know sockets, clocks and what a
//! session means to anybody else: the caller looks sessions up and acts on outcomes. Read [`Request`]
//! for what is sent, then [`Exchanges`] for when; [`agenda`] for what is done about a session that has not
//! what it should; [`Responder`] is the other end, for simulated NASes.

pub mod agenda;
mod changes;
mod exchanges;
mod identifiers;
mod identify;
mod request;
mod responder;

pub use exchanges::{Discard, ExchangeId, Exchanges, Full, Settings, Transmit};
pub use request::{Kind, Request};
pub use responder::{Responder, Verdict};

#[cfg(test)]
pub(crate) mod tests;
