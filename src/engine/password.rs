//! Stored password forms and how each is verified.

/// placeholder replaced by the password module: a slow verification to run off the packet path.
#[derive(Debug)]
pub struct SlowCheck;
