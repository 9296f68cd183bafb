//! Hostile sessions.

mod ddl;
mod formats;
mod globals;
mod prepared;
mod rules;
mod sessions;
mod tap;
mod twins;
mod writes;
