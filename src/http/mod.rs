//! The HTTP listeners: health, metrics, and one folder per dialect.
//!
//! Owns sockets, sizes and times of HTTP. Refuses to know SQL, sessions and RADIUS: a dialect
//! translates one request into one call of the management service. [`server`] listens;
//! `listener` bounds what a connection may cost.

pub mod antamedia;
#[doc(hidden)]
pub mod fuzzing;
pub mod ibsng;
pub mod jaze;
mod listener;
pub mod mfusion;
mod openapi;
mod peer;
pub mod server;
mod settings;
mod throttle;
mod tls;
#[cfg(test)]
mod transcripts;

pub use self::server::{Addresses, BindError, Certificates, Dialects, Listeners, Shared};
pub use self::settings::{Settings, Tls};
pub use self::throttle::Throttle;
pub use self::tls::{TlsError, TlsFiles};
