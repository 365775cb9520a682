//! Quotas: what a subscriber may still use, and what happens when that is nothing.
//!
//! A [`Bucket`] is a limit on one metric over one period, wherever it was written: a check row of
//! another product (`bucket`), a figure of the plan, a row of `tk_quota`. `calendar` says which days a
//! period has; usage over it is the sum of those days. `balance` weighs all buckets of a subscriber at
//! one moment, for a login or for an open session, and `top_up` says what was bought on top and how it
//! is used up. Refuses to know rows, NASes and attributes of a reply: `policy` compiles rows into
//! buckets, `access` makes a grant of the balance.

mod balance;
mod bucket;
mod calendar;
mod top_up;

pub use balance::{Account, Allowance, Spent, State};
pub use bucket::{Bucket, CompiledPlan, Extra, Holder, Origin};
pub use calendar::{Begins, span};

pub(super) use bucket::{Item, item as item_of, of_items};

/// Is it the name of a limit on time or volume? What is left of one may be less than nothing, whatever
/// the type of the attribute.
#[must_use]
pub fn is_limit(attribute: &str) -> bool {
    matches!(item_of(attribute), Some(Ok(_)))
}

#[cfg(test)]
mod tests;
