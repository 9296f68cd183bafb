//! The copy: ranges of the chosen key, one after the other found, side by side copied.
//!
//! [`chunker`] finds where the next range ends, [`chunk_size`] says how many rows it should have,
//! [`crowd`] how many are copied at a time,
//! and [`worker`] copies ranges. The copy takes no row lock on the table and never overwrites a row
//! that is in the ghost: what it copies may be out of date, and the change that outdated it is, or
//! will be, pending.

pub(crate) mod chunk;
pub(crate) mod chunk_size;
pub(crate) mod chunker;
pub(crate) mod crowd;
mod offenders;
pub(crate) mod worker;

pub use chunk_size::ChunkSize;
