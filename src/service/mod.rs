//! State and its three faces: RADIUS, dynamic authorization, management.

mod answer;

pub use answer::{Acknowledgement, Answer, Deliver, NoReply, Resolved, Waiter, Work};
