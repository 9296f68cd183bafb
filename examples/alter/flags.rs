//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::column_map::{ColumnMap, column_map};
use crate::hooks::HookFlags;
use crate::platform::PlatformFlags;
use crate::throttle::ThrottleFlags;
use crate::tls::TlsFlags;
use crate::topology::TopologyFlags;

const AFTER_HELP: &str = "\
The password comes from --url, else from --conf, else from the environment variable MYSQL_PWD. \
Everybody on this machine can see the one in --url with `ps`: prefer the other two.

SIGINT (Ctrl-C), SIGTERM and SIGHUP abort cleanly: what the run created is dropped and the table is \
as it was. nohup does not keep SIGHUP away; use setsid, tmux or systemd-run for runs that shall \
outlive the terminal.

Exit codes:
  0  the table is altered, or the plan is printed
  1  refused or failed; the table is as it was
  2  the command line is wrong
  3  a person has to look: the table is swapped but something went wrong behind that, or it is not
     known whether it is swapped, or some rows have to be compared with the old table, or a test could
     not start the replica's replication again";

/// Alters a huge table of MySQL or MariaDB while applications keep writing to it.
///
/// The rows are copied to a new table, which follows the changes of the old one through the binary
/// log and takes its place in the end. Without --execute the plan is printed and nothing is done.
/// The flags have the names of gh-ost's where they mean the same.
#[derive(Debug, Parser)]
#[command(name = "alter", after_help = AFTER_HELP, max_term_width = 100)]
#[allow(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
pub(crate) struct Flags {
    /// The server: mysql://user@host:port/schema. Port: 3306 by default. A socket is given as
    /// mysql://user@localhost/schema?socket=/path (percent-encoded where necessary)
    #[arg(long, value_name = "URL", required_unless_present = "conf")]
    pub(crate) url: Option<Secret>,

    /// An option file (my.cnf) whose groups [client], [client-server], [client-mariadb] and [online-alter] give user and
    /// password, ssl-mode, ssl-ca, ssl-cert and ssl-key, and without --url also host, port and socket. User and password may
    /// be ${NAME}, a variable of the environment, as with gh-ost; of ssl-mode, VERIFY_CA is taken for VERIFY_IDENTITY, and
    /// PREFERRED for nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,

    /// Read the groups of --conf with this behind their names, too: [client_prod] with _prod. gh-ost has no such flag
    #[arg(long, value_name = "SUFFIX", requires = "conf")]
    pub(crate) conf_group_suffix: Option<String>,

    /// A replica whose binary log is read instead of the server's own: mysql://host:port. User and password are those
    /// of --url, unless it has others. (gh-ost takes the replica by --host, and so does --url here: see
    /// --assume-master-host)
    #[arg(long, value_name = "URL")]
    pub(crate) stream_url: Option<Secret>,

    /// The schema of the table. Default: the one in --url
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,

    /// The table, by its name without quotes
    #[arg(long, value_name = "NAME")]
    pub(crate) table: String,

    /// What follows ALTER TABLE t, such as "ADD COLUMN c INT, DROP COLUMN d"
    #[arg(long, value_name = "CLAUSE", allow_hyphen_values = true)]
    pub(crate) alter: String,

    /// Do it, instead of printing the plan
    #[arg(long)]
    pub(crate) execute: bool,

    /// Create the new table, alter it while it is empty, read the binary log up to a change of the tool's own, drop
    /// everything again, and print the definition (gh-ost does so without --execute)
    #[arg(long, conflicts_with = "execute")]
    pub(crate) noop: bool,

    /// Wait before the cut-over while this file exists. It is created when the run starts; removing
    /// it releases the cut-over
    #[arg(long, value_name = "FILE")]
    pub(crate) postpone_cut_over_flag_file: Option<PathBuf>,

    /// Abort when this file exists; unlike gh-ost, cleanly
    #[arg(long, value_name = "FILE")]
    pub(crate) panic_flag_file: Option<PathBuf>,

    /// Rows to copy at a time, 10 to 100000. Default: as many as take half a second
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(10..=100_000))]
    pub(crate) chunk_size: Option<u64>,

    /// Connections that copy rows, at most: as many as help
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) copy_workers: u8,

    /// When the new table gets its indexes. gh-ost has no such flag: it keeps them up from the start
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Indexes::Auto)]
    pub(crate) index_build: Indexes,

    /// How often to try an operation before the run fails, the cut-over included
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) default_retries: u32,

    /// For how long an operation is tried again, from its first failure on, however many tries are left; not for the cut-over
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) retry_seconds: u64,

    /// Resource group of MySQL in which rows are copied and compared and indexes are built: one with
    /// THREAD_PRIORITY = 19 leaves the server's cores to the application
    #[arg(long, value_name = "NAME")]
    pub(crate) resource_group: Option<String>,

    /// Seconds that an attempt to cut over waits for the table's lock, and then, while writers wait
    /// for it, for the binary log: 1 to 60 (gh-ost: 1 to 10)
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) cut_over_lock_timeout_seconds: u64,

    /// End connections that keep the table from being locked: after so many failed attempts to cut over, those that
    /// have been in their statement, or without one, for a minute; ten in all. MySQL only; gh-ost has no such flag
    #[arg(long, value_name = "ATTEMPTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kill_blockers_after: Option<u32>,

    /// Count the rows, beside the copy, so that the progress is exact
    #[arg(long)]
    pub(crate) exact_rowcount: bool,

    /// Ask the server first to change only the definition (ALGORITHM=INSTANT), which takes no time
    #[arg(long)]
    pub(crate) attempt_instant_ddl: bool,

    /// Leave a table with fewer rows than this to the server's own ALTER: writers wait for it. gh-ost has no such flag
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) native_below_rows: u64,

    /// Accepted and without effect: the new table's statistics are always refreshed before the cut-over
    #[arg(long)]
    pub(crate) analyze_ghost_table_before_cutover: bool,

    /// Go on where an earlier run with the same --table and --alter has stopped: killed, or by an error that left its
    /// tables. Fails if there is nothing to go on with, or if it cannot be gone on with, unless
    /// --initially-drop-ghost-table allows to start over
    #[arg(long)]
    pub(crate) resume: bool,

    /// How often it is written down how far the run has come, for --resume, 1 to 3600 (gh-ost: 300, from 10 on, and only
    /// with --checkpoint)
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) checkpoint_seconds: u64,

    /// Accepted and without effect: a run always writes down how far it has come (see --checkpoint-seconds)
    #[arg(long)]
    pub(crate) checkpoint: bool,

    /// Drop the tables _t_gho and _t_ghc that an earlier run of this tool left
    #[arg(long)]
    pub(crate) initially_drop_ghost_table: bool,

    /// Drop a table _t_del, whoever made it
    #[arg(long)]
    pub(crate) initially_drop_old_table: bool,

    /// Drop the table as it was once the swap is done. Default: it is kept as _t_del
    #[arg(long)]
    pub(crate) ok_to_drop_table: bool,

    /// With --execute: yes, the columns that the plan calls renamed are renamed
    #[arg(long)]
    pub(crate) approve_renamed_columns: bool,

    /// Switch the server's binlog_format to ROW if it is not, for everybody and for good
    #[arg(long)]
    pub(crate) switch_to_rbr: bool,

    /// What becomes of columns where the tool is not certain: old=new,.. with nothing behind the = for
    /// a column that goes. A comma, = or backslash in a name takes a backslash in front
    #[arg(long, value_name = "OLD=NEW,..", value_parser = column_map)]
    pub(crate) column_map: Option<ColumnMap>,

    /// What becomes of rows that verification finds different before the swap
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Mismatch::Repair)]
    pub(crate) on_mismatch: Mismatch,

    /// Take dates with zeros in them, and others that are none, as they are, whatever the server's
    /// SQL mode says
    #[arg(long)]
    pub(crate) allow_zero_in_date: bool,

    /// Let the table have foreign keys to others, and the new table too
    #[arg(long, conflicts_with = "discard_foreign_keys")]
    pub(crate) keep_foreign_keys: bool,

    /// Let the table have foreign keys to others, and the new table none
    #[arg(long)]
    pub(crate) discard_foreign_keys: bool,

    /// Let the table have triggers: they are made on the new table as it takes the old one's place
    #[arg(long, requires = "trigger_suffix")]
    pub(crate) include_triggers: bool,

    /// What is put behind the names of triggers on the new table; letters, digits and underscores
    #[arg(long, value_name = "SUFFIX")]
    pub(crate) trigger_suffix: Option<String>,

    /// A trigger whose name has the suffix already loses it instead
    #[arg(long, requires = "trigger_suffix")]
    pub(crate) remove_trigger_suffix_if_exists: bool,

    /// The time zone of the ALTER, as SET time_zone takes it: it decides about conversions between
    /// TIMESTAMP and other types. Default: that of the server
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub(crate) time_zone: Option<String>,

    /// The server id under which to read the binary log. Default: a random one that is free (gh-ost: 99999)
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) replica_server_id: Option<u32>,

    /// Accepted and without effect: a server that is no replica is altered
    #[arg(long)]
    pub(crate) allow_on_master: bool,

    /// A Unix socket that takes gh-ost's interactive commands, for this user alone: echo help | nc -U FILE (gh-ost
    /// makes one by default)
    #[arg(long, value_name = "FILE")]
    pub(crate) serve_socket_file: Option<PathBuf>,

    /// Replace a socket file that is there already
    #[arg(long)]
    pub(crate) initially_drop_socket_file: bool,

    #[command(flatten)]
    pub(crate) tls: TlsFlags,

    #[command(flatten)]
    pub(crate) topology: TopologyFlags,

    #[command(flatten)]
    pub(crate) platform: PlatformFlags,

    #[command(flatten)]
    pub(crate) throttle: ThrottleFlags,

    #[command(flatten)]
    pub(crate) hooks: HookFlags,

    /// Print neither the status, once a second, nor warnings
    #[arg(long, conflicts_with_all = ["verbose", "debug"])]
    pub(crate) quiet: bool,

    /// Print the status once a second on a terminal, too. Default: a bar there, on stderr, unless the run is logged
    #[arg(long)]
    pub(crate) plain: bool,

    /// Log what the run does
    #[arg(long)]
    pub(crate) verbose: bool,

    /// Log much more of it
    #[arg(long)]
    pub(crate) debug: bool,
}

/// When the new table gets its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Indexes {
    /// After the copy, unless replicas would feel that, or --max-load is to hold it back
    Auto,
    /// From the start, so that rows go into all of them as they are copied
    Maintain,
    /// After the copy, in one statement: that is faster, and nothing holds it back
    AfterCopy,
}

/// What becomes of rows that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mismatch {
    /// They are refreshed, and all rows are compared again
    Repair,
    /// The run fails, with the table untouched
    Stop,
}

/// The flags of this program. It ends here if they are wrong; the values of addresses are not shown then, as there may be
/// a password in them.
pub(crate) fn parse() -> Flags {
    Flags::try_parse().unwrap_or_else(|mut error| {
        // An argument that stands alone may be an address whose flag was forgotten.
        for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
            let given = error.get(kind);
            if matches!(given, Some(ContextValue::String(value)) if value.contains('@')) {
                error.insert(kind, ContextValue::String("..".to_owned()));
            }
        }
        error.exit()
    })
}

/// A text that is not printed by `Debug`.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    // It is looked into later: clap's errors quote what they refuse.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Secret(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Flags {
    pub(crate) fn log_level(&self) -> log::LevelFilter {
        match (self.quiet, self.verbose, self.debug) {
            (_, _, true) => log::LevelFilter::Debug,
            (_, true, _) => log::LevelFilter::Info,
            (true, ..) => log::LevelFilter::Error,
            _ => log::LevelFilter::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }
}
