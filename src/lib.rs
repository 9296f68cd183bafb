//! online-alter
mod binlog;
mod cancel;
mod checkpoint;
mod copy;
mod cutover;
mod db;
mod error;
mod fault;
mod inspect;
#[doc(hidden)]
pub mod internals;
mod migration;
mod online_alter;
mod plan;
mod refresh;
mod sql;
mod steps;
pub mod throttle;

pub use binlog::BinlogPosition;
pub use copy::ChunkSize;
pub use error::{Error, ErrorKind, Leftover, Phase, Result, TableState};
pub use migration::{Event, Handle, Observer, OldTable, Postpone, Progress, Report};
pub use mysql;
pub use online_alter::{Endpoint, OnlineAlter};
pub use plan::{Plan, Warning};
#[doc(hidden)]
pub use steps::Step;
