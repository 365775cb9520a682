//! State and its three faces: RADIUS, dynamic authorization, management.

mod answer;
pub mod coa;
mod health;
mod serve;

pub use answer::{Acknowledgement, Answer, Deliver, NoReply, Resolved, Waiter, Work};
pub use health::{ComponentHealth, Health, HealthReport, HealthStatus};
pub use serve::Serve;
