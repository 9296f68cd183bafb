//! The run: its stages, its threads, and what its owner sees and says while it goes on.
//!
//! [`run`] sets the run up, with [`begin`], and tidies up after it, with [`finish`]; [`stages`] goes through the stages, with
//! [`chunks`] and [`verification`]. [`crew`] keeps the threads that work beside it,
//! [`ghost`] makes the ghost table, [`follow`] sets up everything that follows the table's changes,
//! and [`cleanup`] takes away what a failed run has made. [`checkpoints`] writes down how far it has come, and [`resume`]
//! goes on with what another run has written down.

mod begin;
mod cause;
mod checkpoints;
pub(crate) mod checks;
mod chunks;
mod cleanup;
mod completion;
pub(crate) mod control;
mod counting;
mod crew;
mod duplicates;
mod finish;
mod follow;
mod gate_keeper;
pub(crate) mod ghost;
mod ghost_key;
pub(crate) mod guard;
mod handle;
mod histograms;
pub(crate) mod native;
mod observer;
mod options;
mod postpone;
mod progress;
mod prometheus;
pub(crate) mod record;
mod rehearsal;
mod replica;
mod replica_test;
pub(crate) mod replication_notes;
mod report;
pub(crate) mod resume;
mod row_modes;
mod run;
mod stages;
mod told;
mod verification;

pub(crate) use chunks::in_chunks;
pub(crate) use control::Control;
pub use handle::Handle;
pub use native::NativeAlter;
pub use observer::{Event, Observer};
pub(crate) use options::Options;
pub use options::{IndexBuild, OldTable, OnMismatch, OnReplica};
pub use postpone::Postpone;
pub use progress::Progress;
pub use rehearsal::{Rehearsal, RehearsalHandle};
pub(crate) use replica::StreamServer;
pub(crate) use replica_test::NOTHING_TO_SEE;
pub use replica_test::ReplicaTest;
pub use report::Report;
pub(crate) use run::{Migration, rehearse, run};
pub use verification::Verification;
