//! Reading the server and the table, and refusing what cannot be done, before anything is written.

mod applies_rows;
mod binlog;
mod channels;
pub(crate) mod column;
mod convert;
mod definition;
pub(crate) mod fill;
pub(crate) mod foreign_key;
pub(crate) mod ghost_keys;
pub(crate) mod grants;
pub(crate) mod kept;
pub(crate) mod key;
pub(crate) mod mapping;
pub(crate) mod neighbours;
pub(crate) mod platform;
mod replication;
pub(crate) mod row_versions;
pub(crate) mod server;
pub(crate) mod table;
pub(crate) mod topology;
pub(crate) mod trigger;

pub(crate) use channels::Channel;
pub(crate) use server::{ServerInfo, Version};
pub(crate) use table::Table;
