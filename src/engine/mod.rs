//! Pure decisions: what an Access-Request or Accounting-Request is answered, and why.

pub mod password;
