//! online-alter
#![allow(dead_code, unused_imports, missing_docs)]
mod binlog; mod cancel; mod checkpoint; mod copy; mod db; mod error; mod fault; mod inspect; mod refresh; mod sql;
pub mod throttle;
pub use error::*;
