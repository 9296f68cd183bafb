//! Making the ghost equal to the table at given keys.
//!
//! [`pending`] holds the keys that have changed and are not yet refreshed, [`flights`] knows which
//! chunks of the copy are under way, [`look`] waits for their rows, [`refresher`] carries a batch of keys out, and [`worker`] is
//! the loop of a thread that does so all the time; [`drain`] does it at once under the lock of the
//! cut-over, and [`conflicts`] sees to rows that stand in each other's way.

pub(crate) mod batch_size;
mod conflicts;
mod drain;
pub(crate) mod flights;
mod look;
mod part;
pub(crate) mod pending;
pub(crate) mod refresher;
mod sorted;
mod touched;
mod turns;
mod wanted;
pub(crate) mod worker;

pub(crate) use flights::Flights;
pub(crate) use part::Batch;
pub(crate) use pending::Pending;
pub(crate) use refresher::{Refresher, too_big};
pub(crate) use touched::Touched;
pub(crate) use turns::{Turns, Who};
pub(crate) use wanted::Wanted;
