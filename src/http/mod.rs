//! The HTTP listeners: health, metrics, and one folder per dialect.
//!
//! Owns sockets, sizes and times of HTTP. Refuses to know SQL, sessions and RADIUS: a dialect
//! translates one request into one call of the management service. [`server`] listens;
//! `listener` bounds what a connection may cost.

mod listener;
pub mod server;
mod settings;

pub use self::server::{Addresses, BindError, Listeners, Shared};
pub use self::settings::Settings;
