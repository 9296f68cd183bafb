//! The binlog stream, read for one thing only: which keys of the table have changed.
//!
//! [`stream`] owns the connection and its thread, [`interpreter`] understands the events,
//! [`rows`] and [`image`] find the key columns in a row image, and [`feed`] is what the rest of
//! the run sees of it: markers, position, and what happened around the swap.

pub(crate) mod bytes;
pub(crate) mod feed;
pub(crate) mod gtid;
pub(crate) mod image;
pub(crate) mod interpreter;
pub(crate) mod layout;
mod payload;
mod police;
pub(crate) mod position;
mod query;
pub(crate) mod rows;
pub(crate) mod stream;
pub(crate) mod watch;

pub(crate) use feed::{Feed, Place};
pub(crate) use gtid::GtidSet;
pub(crate) use layout::{KeyPart, WatchedTable};
pub use position::BinlogPosition;
pub(crate) use position::Start;
pub(crate) use stream::{Stream, StreamConfig};

#[cfg(test)]
mod tests;
