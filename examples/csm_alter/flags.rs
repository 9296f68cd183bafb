//! The command line.

use clap::Parser;
use online_alter_support::Flavor;

/// Alters the table that edX has to alter, while four writers keep writing to it, and checks that
/// none of their writes is lost and none of them saw an error.
// No Debug: an address may hold a password.
#[derive(Parser)]
#[command(name = "csm_alter", max_term_width = 100)]
pub(crate) struct Flags {
    /// The private server to start: mysql, mariadb or mariadb11. Its data is on disk, every commit
    /// is synced, and it is gone afterwards
    #[arg(long, value_name = "SERVER", default_value = "mysql", conflicts_with = "url")]
    pub(crate) server: Flavor,

    /// A server that runs already, instead: mysql://user:password@host:port/schema. Refused if the
    /// schema has a table courseware_studentmodule; the one that is created is dropped afterwards
    #[arg(long, value_name = "URL", env = "ONLINE_ALTER_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,

    /// With --url: leave the tables in the schema
    #[arg(long, requires = "url")]
    pub(crate) keep: bool,

    /// Rows to begin with
    #[arg(long, value_name = "NUMBER", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,

    /// How many write at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) writers: u8,

    /// Statements per second of all writers together. Default: as many as the server takes
    #[arg(long, value_name = "NUMBER")]
    pub(crate) rate: Option<f64>,
}
