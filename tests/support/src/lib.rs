//! What the tests, benches and examples of `online-alter` share: private servers ([`Server`]),
//! the table that edX has to alter ([`csm`]), and writers that keep a journal of what the server
//! acknowledged ([`Writers`]), so that an alteration is judged from outside of the database
//! ([`check`]).

mod builder;
mod certificates;
mod check;
pub mod csm;
mod flavor;
mod install;
mod journal;
mod replica;
mod server;
mod shared;
mod supervisor;
mod table;
mod watchdog;
mod writer;
mod writers;

#[cfg(test)]
mod tests;

pub use builder::{Builder, StartError};
pub use certificates::Certificates;
pub use check::{Check, check};
pub use flavor::Flavor;
pub use journal::{Outcome, Times};
pub use server::Server;
pub use shared::{Database, available, database, shared};
pub use table::Table;
pub use watchdog::Watchdog;
pub use writers::{Bursts, Workload, Writers};
