//! Sockets of RADIUS: receiving, admission, duplicates, replies, dynamic authorization.

pub mod coa;
