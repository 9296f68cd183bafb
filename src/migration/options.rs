//! What the caller chose.

use std::time::Duration;

use crate::copy::ChunkSize;
use crate::cutover::{CutOverLimits, KillBlockers};
use crate::db::Retries;
use crate::inspect::neighbours::Wishes;
use crate::sql::alter::Stated;
use crate::steps::Steps;
use crate::throttle::Limits;

/// What becomes of the table as it was, after the swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OldTable {
    /// It is kept under the name `_t_del`.
    #[default]
    Keep,
    /// It is dropped once the swap is proven. Dropping a huge table can make a server older than
    /// MySQL 8.0.23 stall for seconds.
    Drop,
}

/// What becomes of rows that verification finds different.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMismatch {
    /// They are refreshed, and everything is compared again: the tables are swapped only after a pass
    /// over all rows that found none. The report names the first of them.
    #[default]
    Repair,
    /// The run fails, with the table untouched.
    Stop,
}

/// A run on a replica alone. It takes what its replication brings there for what writers do: neither its primary nor
/// other replicas notice anything, but its own do. What the run writes is in the replica's binlog; where GTIDs are
/// on, under GTIDs that nobody else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnReplica {
    /// Everything but the swap. In its place, when all is copied, compared and no longer
    /// [postponed](crate::OnlineAlter::postpone_cut_over), the replica's replication is stopped, both tables are
    /// compared once more, now that they stand still, and left for a look. Rows that differ are never repaired: the run
    /// fails, and leaves both tables, too. If it fails after it has stopped replication, it starts that again. While
    /// the replica stands still, throttling does not hold the comparison back, except for
    /// [`Handle::pause`](crate::Handle::pause). [`verify`](crate::OnlineAlter::verify) has to be on.
    ///
    /// Needs REPLICATION_SLAVE_ADMIN (MariaDB: REPLICATION SLAVE ADMIN), unless whoever observes the run stops
    /// replication himself at [`Event::ReplicationStops`](crate::Event::ReplicationStops), as with Amazon RDS's
    /// `mysql.rds_stop_replication`.
    Test {
        /// Start replication again in the end, so that only the new table stands still, as a copy of that moment.
        start_again: bool,
    },
    /// The whole run, swap included, while replication goes on. The replica has to be able to apply what its source
    /// logs for the table as it was: see `replica_type_conversions` in the server's manual. A definition for which it
    /// cannot is refused, unless the source writes statements; so are `attempt_instant` and `native_below_rows`.
    Migrate,
}

/// When the new table gets its secondary indexes. They take most of the time of a copy into a table that
/// has them, in the order of another key; built afterwards, each is sorted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexBuild {
    /// After the copy, unless replicas are attached to the server, or it cannot be seen whether any
    /// are: the statement that builds the indexes is replicated as a whole, so they would fall behind by as
    /// long as it takes. Replicas that share the primary's storage (Amazon Aurora) do not. Nor where a
    /// [load](crate::throttle::Limits::max_load) is to hold the run back: the statement cannot be, once it has begun.
    #[default]
    Auto,
    /// From the start, so each row that is copied goes into all of them.
    Maintain,
    /// After the copy, in one statement. Which indexes those are the run finds out: not the one by which
    /// it finds rows, nor FULLTEXT and SPATIAL indexes and those over expressions.
    AfterCopy,
}

/// What the caller chose, with defaults for what he did not.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) chunk_size: ChunkSize,
    pub(crate) copy_workers: usize,
    pub(crate) refresh_workers: usize,
    pub(crate) max_pending: Option<usize>,
    pub(crate) index_build: IndexBuild,
    /// The resource group of what takes long on the server.
    pub(crate) resource_group: Option<String>,
    pub(crate) heartbeat: Duration,
    pub(crate) checkpoint_interval: Duration,
    /// Go on where an earlier run has stopped.
    pub(crate) resume: bool,
    pub(crate) retries: u32,
    pub(crate) retry_for: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) kill_blockers: Option<KillBlockers>,
    /// The server is a replica, and only it is altered.
    pub(crate) on_replica: Option<OnReplica>,
    /// The server may replicate from another.
    pub(crate) primary_primary: bool,
    pub(crate) old_table: OldTable,
    /// Stop before the copy.
    pub(crate) rehearsal: bool,
    pub(crate) exact_row_count: bool,
    pub(crate) attempt_instant: bool,
    pub(crate) native_below_rows: u64,
    pub(crate) replace_ghost: bool,
    pub(crate) replace_old: bool,
    pub(crate) switch_to_row_format: bool,
    pub(crate) analyze: bool,
    pub(crate) verify: bool,
    pub(crate) on_mismatch: OnMismatch,
    pub(crate) keep_on_failure: bool,
    pub(crate) server_id: Option<u32>,
    /// Ask for the binlog by transactions.
    pub(crate) gtid: bool,
    pub(crate) time_zone: Option<String>,
    pub(crate) column_map: Vec<Stated>,
    pub(crate) allow_zero_in_date: bool,
    pub(crate) wishes: Wishes,
    pub(crate) limits: Limits,
    pub(crate) steps: Steps,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            chunk_size: ChunkSize::default(),
            copy_workers: 4,
            refresh_workers: 2,
            max_pending: None,
            index_build: IndexBuild::default(),
            resource_group: None,
            heartbeat: Duration::from_millis(500),
            checkpoint_interval: Duration::from_secs(5),
            resume: false,
            retries: Retries::DEFAULT.attempts,
            retry_for: Retries::DEFAULT.within,
            lock_timeout: Duration::from_secs(3),
            kill_blockers: None,
            on_replica: None,
            primary_primary: false,
            old_table: OldTable::Keep,
            rehearsal: false,
            exact_row_count: false,
            attempt_instant: false,
            native_below_rows: 0,
            replace_ghost: false,
            replace_old: false,
            switch_to_row_format: false,
            analyze: true,
            verify: true,
            on_mismatch: OnMismatch::default(),
            keep_on_failure: false,
            server_id: None,
            gtid: false,
            time_zone: None,
            column_map: Vec::new(),
            allow_zero_in_date: false,
            wishes: Wishes::default(),
            limits: Limits::default(),
            steps: Steps::default(),
        }
    }
}

impl Options {
    /// Whether the tables are compared instead of swapped in the end.
    pub(crate) fn is_test(&self) -> bool {
        matches!(self.on_replica, Some(OnReplica::Test { .. }))
    }

    pub(crate) fn retries(&self) -> Retries {
        Retries { attempts: self.retries, within: self.retry_for }
    }

    pub(crate) fn cut_over_limits(&self) -> CutOverLimits {
        CutOverLimits {
            lock_timeout: self.lock_timeout,
            attempts: self.retries,
            longest_pause: Duration::from_secs(5),
            kill_blockers: self.kill_blockers,
        }
    }
}
