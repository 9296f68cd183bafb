//! How the copy goes about its work: where it cuts, and what it leaves for later.

mod boundaries;
mod indexes;
mod priority;
