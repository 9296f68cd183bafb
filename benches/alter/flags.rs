//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use online_alter_support::Flavor;

/// Measures ALTERs of the table that edX has to alter, `id INT` to `BIGINT UNSIGNED`.
#[derive(Debug, Parser)]
#[command(name = "bench-alter", max_term_width = 100)]
pub(crate) struct Flags {
    /// Which cases, in this order. Default: all
    #[arg(long = "case", value_enum, value_delimiter = ',')]
    pub(crate) cases: Vec<Case>,

    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) rows: u64,

    /// Runs of each contender, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,

    /// Another server for all cases: mysql, mariadb or mariadb11
    #[arg(long)]
    pub(crate) server: Option<Flavor>,

    /// Another buffer pool for all cases: 2G, 128M
    #[arg(long)]
    pub(crate) pool: Option<String>,

    /// More settings of the server, such as innodb-log-writer-threads=ON: to find out what limits a case
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,

    /// In the idle cases, these contenders only: those whose name has one of these texts in it
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Seconds for which the writers are watched before the migration
    #[arg(long, default_value_t = 20)]
    pub(crate) baseline: u64,

    /// In the throttle case, the limit of Threads_running. Default: half way between what is seen in quiet times and in
    /// bursts
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_running: Option<u64>,

    /// The results: those of this run take the place of older ones of the same case there
    #[arg(long, value_name = "FILE", default_value = "docs/bench-alter.json")]
    pub(crate) json: PathBuf,

    /// The chart of all results in the JSON file
    #[arg(long, value_name = "FILE", default_value = "docs/bench-alter.svg")]
    pub(crate) out: PathBuf,

    /// Measure while holding this lock (of flock), on a machine that others use, too
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,

    /// What cargo bench says to every bench.
    #[arg(long, hide = true)]
    bench: bool,

    /// Alter in this process, and print what it took: a task in JSON.
    #[arg(long, hide = true)]
    pub(crate) child: Option<String>,

    /// Hold pending keys in this process, and print the memory.
    #[arg(long, hide = true)]
    pub(crate) pending: Option<u64>,
}

/// A case of the table in the issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// MySQL with memory for all of the table
    Idle,
    /// MySQL with a table larger than its memory
    SmallPool,
    /// MariaDB 10.11
    Mariadb,
    /// MySQL under 1000 writes a second
    Load,
    /// Twenty swaps of a smaller table under that load
    CutOver,
    /// Half as many changes as there are rows, while the run is held back
    Backlog,
    /// One row, updated by eight writers
    HotRow,
    /// Throttling by Threads_running, where bursts of writes come and go
    Throttle,
    /// The memory that ten million pending keys take
    Memory,
}
