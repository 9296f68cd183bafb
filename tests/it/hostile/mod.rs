//! Hostile sessions.

mod prepared;
mod sessions;
mod twins;
mod writes;
