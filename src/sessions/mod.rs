//! One subscriber's online sessions, reservations and usage: pure state, no locks, no clocks.
