//! Tollkeeper: RADIUS authentication, accounting and dynamic authorization.
//!
//! The modules in reading order; `ARCHITECTURE.md` has the map and the table of who may name whom.

// Command line.
pub mod cli;
// Outstanding dynamic-authorization exchanges, pure.
pub mod coa;
// Settings.
pub mod config;
// Our nouns.
pub mod domain;
// Pure decisions.
pub mod engine;
pub mod entropy;
// Ways to subscribers' mailboxes and telephones.
pub mod gateway;
// HTTP listeners.
pub mod http;
// RADIUS sockets.
pub mod net;
// What each NAS type calls a rate, a volume, a redirect; pure.
pub mod packs;
// The wire: packets, attributes, authenticators, dictionaries.
pub mod radius;
// Composition root.
pub mod server;
// State and its faces.
pub mod service;
// One subscriber's sessions, pure.
pub mod sessions;
// The only SQL.
pub mod store;
pub mod vault;
// Counters and logs.
pub mod telemetry;
pub mod time;
