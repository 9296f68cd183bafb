//! The protocol as a small model, of which all interleavings are gone through: two keys, a chunk for each, writers whose
//! changes are logged before they can be seen, two refreshers, a client that dies and is started again from its last
//! checkpoint, and the cut-over. At the swap the ghost must be what the table is. With any one rule of docs/DESIGN.md
//! taken out, a way is found in which it is not: `cargo test -p online-alter-model -- --nocapture` prints it. Of the invariants
//! the fifth is not in it: that is about the application's waits, not about rows.
//!
//! A crate of its own, so that it can be compiled with optimisation where nothing else is.

#[cfg(test)]
mod model;
