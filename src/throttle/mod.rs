//! Throttling: policies that say when to hold back, and why.
//!
//! While a policy says [`Verdict::Wait`], the run writes no row: neither the copy nor the
//! refreshes go on. The stream is still read, so that nothing piles up on the server.

mod attached;
mod detached;
mod flag_file;
mod free_space;
mod gate;
mod history;
#[cfg(feature = "http")]
mod http;
mod limits;
mod policy;
mod query;
mod replicas;
mod status;
mod time_window;

pub(crate) use attached::{Attached, FIRST_STREAM_ID};
pub(crate) use detached::Detached;
pub use flag_file::FlagFile;
pub use free_space::FreeSpace;
pub(crate) use gate::{Gate, Sources};
pub use history::HistoryLimit;
#[cfg(feature = "http")]
pub use http::HttpCheck;
pub(crate) use limits::KeepLimits;
pub use limits::Limits;
pub use policy::{AllOf, SignalError, Signals, ThrottlePolicy, Verdict};
pub use query::ThrottleQuery;
pub use status::{ParseStatusLimitsError, StatusLimits};
pub use time_window::{ParseTimeWindowError, TimeWindow};
