//! Hostile sessions.

mod sessions;
mod twins;
mod writes;
