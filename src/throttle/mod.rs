//! Throttling: policies that say when to hold back, and why.
//!
//! While a policy says [`Verdict::Wait`], the run writes no row: neither the copy nor the
//! refreshes go on. The stream is still read, so that nothing piles up on the server.

mod flag_file;
mod gate;
mod policy;
mod status;

pub use flag_file::FlagFile;
pub(crate) use gate::Gate;
pub use policy::{AllOf, Signals, StatusError, ThrottlePolicy, Verdict};
pub use status::{ParseStatusLimitsError, StatusLimits};
