//! The integration tests: one binary, one module for each subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::panic, reason = "a test says what it saw")]
#![expect(clippy::indexing_slicing, reason = "an index out of bounds fails the test")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says why")]

mod antamedia;
mod architecture;
mod cli;
mod coa;
mod credit;
mod dialects;
mod dictionaries;
mod documents;
mod end_to_end;
mod fleet;
mod freeradius_rows;
mod fuzz;
mod limits;
mod management;
mod messages;
mod mutations;
mod overshoot;
mod people;
mod reports;
mod scenarios;
mod simulation;
mod stores;
mod support;
mod values;
mod vectors;
