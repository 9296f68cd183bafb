//! Tests against real servers: MySQL 9.7, MariaDB 10.11 and (where it differs) 11.8, started by
//! the test support itself. Without a server a test says so and passes, unless `CI` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::similar_names,
    clippy::unused_self,
    reason = "a test fails by panicking, and says what it saw"
)]

mod aborts;
mod blockers;
mod cleanup;
mod connections;
mod copying;
mod cutover;
mod death;
mod faults;
mod harness;
mod hostile;
mod invariants;
mod journal;
mod keys;
mod kills;
mod native;
mod neighbours;
mod parallel;
mod platforms;
mod privileges;
mod proxy;
mod refreshes;
mod refusals;
mod rehearsal;
mod runbook;
mod stream;
mod topology;
mod twice;
mod values;
mod verify;
