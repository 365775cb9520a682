//! What callers send, read without a server: what `fuzz/` calls, and the test that replays its corpus. The
//! first octet of an input says as what the rest is read.

pub use super::antamedia::fuzz::read as antamedia;
pub use super::ibsng::fuzz::read as ibsng;
pub use super::jaze::fuzz::read as jaze;
pub use super::mfusion::fuzz::read as mfusion;
