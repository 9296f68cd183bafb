//! Hostile sessions.

mod ddl;
mod prepared;
mod sessions;
mod twins;
mod writes;
