//! The builder: from what the caller wants to a plan, and from there to a run.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::copy::ChunkSize;
use crate::cutover::KillBlockers;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::inspect::neighbours::ForeignKeys;
use crate::inspect::platform::Platform;
use crate::migration::{
    Handle, IndexBuild, Observer, OldTable, OnMismatch, OnReplica, Options, Postpone, Report,
};
use crate::plan::Plan;
use crate::planning::Request;
use crate::sql::alter::Stated;
use crate::steps::{Step, Steps};
use crate::throttle::{AllOf, Limits, ThrottlePolicy};

/// An online ALTER TABLE: which server, which table, which change, and how careful to be.
///
/// Setters never fail; [`plan`](Self::plan) checks everything and writes nothing.
///
/// ```no_run
/// use online_alter::OnlineAlter;
///
/// # fn main() -> Result<(), online_alter::Error> {
/// let report = OnlineAlter::new("mysql://dba:secret@db1:3306/edxapp", "courseware_studentmodule")
///     .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
///     .plan()?
///     .run()?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `plan`, `run` or `start`"]
pub struct OnlineAlter {
    request: Request,
}

impl fmt::Debug for OnlineAlter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineAlter")
            .field("endpoint", &self.request.endpoint)
            .field("schema", &self.request.schema)
            .field("table", &self.request.table)
            .field("clause", &self.request.clause)
            .field("options", &self.request.options)
            .finish_non_exhaustive()
    }
}

impl OnlineAlter {
    /// The server, and the name of the table as it is (without quotes). The schema is the one of
    /// the URL, unless [`schema`](Self::schema) names another.
    pub fn new(server: impl Into<Endpoint>, table: impl Into<String>) -> Self {
        let request = Request {
            endpoint: server.into(),
            schema: None,
            table: table.into(),
            clause: String::new(),
            stream: None,
            platform: None,
            options: Options::default(),
            postpone: Postpone::never(),
            policies: AllOf::new(),
            observer: None,
        };
        OnlineAlter { request }
    }

    /// The schema (database) of the table.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.request.schema = Some(schema.into());
        self
    }

    /// Read the binlog of this replica instead of the server's own, which then need not be in row format: a replica in
    /// row format writes rows of what its primary wrote as statements (the plan warns of statements that are not safe
    /// for that). It may be a replica of a replica. It has to log
    /// what it replicates (`log_replica_updates`), all of it, in the order of its primary: filters are refused. The cut-over
    /// waits for the replica, while writers wait: attempts are given up after
    /// [a while](Self::cut_over_lock_timeout).
    ///
    /// The user needs REPLICATION SLAVE and REPLICATION CLIENT there (MariaDB: BINLOG MONITOR and SLAVE MONITOR), and SELECT on the
    /// schema; and where the server's own `binlog_format` is another, the privilege to set it for its own
    /// sessions. Default: the server's own binlog is read.
    pub fn stream_from(mut self, replica: impl Into<Endpoint>) -> Self {
        self.request.stream = Some(replica.into());
        self
    }

    /// The server is a replica, and the run is to be on it alone: a test of the ALTER, or the ALTER of this replica. A
    /// replica that is read-only will do, if the user has CONNECTION_ADMIN (MariaDB: READ_ONLY ADMIN), but not one with
    /// `super_read_only`. It has to log what it replicates, in row format. The lag that
    /// [`Limits::max_lag`](crate::throttle::Limits::max_lag) limits is that of its replication, too. Default: none; a
    /// server that replicates from another is refused.
    pub fn on_replica(mut self, what: OnReplica) -> Self {
        self.request.options.on_replica = Some(what);
        self
    }

    /// Let the server replicate from another, as servers do that replicate from each other. The table must not be
    /// written to there, except by what comes from this server: then it is altered there as on any replica, when its turn
    /// comes. The server has to log what it replicates. Default: such a server is refused, also if its replication is stopped
    /// (a former replica: `RESET REPLICA ALL`), and again before the cut-over.
    pub fn allow_primary_primary(mut self, allow: bool) -> Self {
        self.request.options.primary_primary = allow;
        self
    }

    /// Who runs the server, which decides what the plan looks at beforehand ([`Plan::preflight_items`]) and what it
    /// advises. Default: it is found out, by what the server says of itself; a server that says nothing is taken for one
    /// that [the user runs himself](Platform::Own).
    pub fn platform(mut self, platform: Platform) -> Self {
        self.request.platform = Some(platform);
        self
    }

    /// The change: what follows `ALTER TABLE t`. The server itself applies it, as it stands, to an
    /// empty copy of the table.
    pub fn alter(mut self, clause: impl Into<String>) -> Self {
        self.request.clause = clause.into();
        self
    }

    /// The size of the ranges that are copied at a time. Default: as many rows as take half a
    /// second.
    pub fn chunk_size(mut self, size: ChunkSize) -> Self {
        self.request.options.chunk_size = size;
        self
    }

    /// How many connections copy and compare rows at most, from 1. Two begin, and others join them for as
    /// long as that makes it faster by a tenth; where small writes become slow, they are fewer. Default: 4.
    pub fn copy_workers(mut self, workers: usize) -> Self {
        self.request.options.copy_workers = workers.max(1);
        self
    }

    /// How many connections refresh changed rows, from 1. Default: 2.
    pub fn refresh_workers(mut self, workers: usize) -> Self {
        self.request.options.refresh_workers = workers.max(1);
        self
    }

    /// How many changed keys may wait to be refreshed before the reading of the binlog waits.
    /// Default: ten million if the key is one integer, which take 80 to 130 MiB, or else one million.
    pub fn max_pending_keys(mut self, keys: usize) -> Self {
        self.request.options.max_pending = Some(keys.max(1));
        self
    }

    /// When the new table gets its secondary indexes. Default: after the copy where no replica would
    /// feel it, and no load is to hold the run back ([`IndexBuild::Auto`]).
    pub fn index_build(mut self, when: IndexBuild) -> Self {
        self.request.options.index_build = when;
        self
    }

    /// The resource group in which the server copies and compares rows and builds indexes. One of type
    /// USER with `THREAD_PRIORITY = 19` leaves the server's cores to the application. Refreshing and the cut-over
    /// are left where they are, lest writers wait for them.
    ///
    /// MySQL only, and the user needs `RESOURCE_GROUP_USER`. Linux heeds the priority only if the server has the
    /// capability `CAP_SYS_NICE`: without it the server warns when such a group is made.
    /// <https://dev.mysql.com/doc/refman/9.7/en/resource-groups.html>
    ///
    /// Default: none.
    pub fn resource_group(mut self, name: impl Into<String>) -> Self {
        self.request.options.resource_group = Some(name.into());
        self
    }

    /// How often a heartbeat is written to the state table, from 10 ms. Default: 500 ms.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.request.options.heartbeat = interval.max(Duration::from_millis(10));
        self
    }

    /// How often an operation is tried before the run fails, attempts to cut over included, from 1. Between two tries
    /// are pauses, of 5 to 10 ms first, twice that next, and so on up to 5 s, so that all of them take about four
    /// minutes. What is tried again and what is not: docs/RETRIES.md. Default: 60.
    pub fn retries(mut self, attempts: u32) -> Self {
        self.request.options.retries = attempts.max(1);
        self
    }

    /// For how long an operation is tried again, from its first failure on, before the run fails, however many
    /// [`retries`](Self::retries) are left; once is it tried again at least, unless there is but one try. Not for
    /// attempts to cut over. To outlast a failover, during which the server is away or read-only for long, raise both.
    /// Default: 5 minutes.
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.request.options.retry_for = time;
        self
    }

    /// For how long an attempt to cut over waits for the table's lock, and then for the binlog
    /// stream: writers may have to wait for as long as both together. Whole seconds, from 1 to 3600.
    /// Default: 3 s.
    pub fn cut_over_lock_timeout(mut self, timeout: Duration) -> Self {
        self.request.options.lock_timeout =
            timeout.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self
    }

    /// Let the run end connections that keep the table from being locked for the cut-over, within limits. MySQL only, and
    /// the user needs CONNECTION_ADMIN, and SELECT on `metadata_locks` and `threads` of `performance_schema`. Default: none is ended; who is in the way is in
    /// [`Event::CutOverFailed`](crate::Event::CutOverFailed).
    pub fn kill_blockers(mut self, which: KillBlockers) -> Self {
        self.request.options.kill_blockers = Some(which);
        self
    }

    /// What makes the cut-over wait. Default: nothing.
    pub fn postpone_cut_over(mut self, postpone: Postpone) -> Self {
        self.request.postpone = postpone;
        self
    }

    /// Adds a throttling policy. All of them must agree for the run to go on.
    pub fn throttle(mut self, policy: impl ThrottlePolicy + 'static) -> Self {
        self.request.policies = self.request.policies.and(policy);
        self
    }

    /// What holds the run back besides its policies: lag, load, and its own consideration. They can be changed while
    /// it goes on, too: [`Handle::change_limits`]. Default: nothing does.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use online_alter::OnlineAlter;
    /// # let alter = OnlineAlter::new("mysql://db1/app", "t");
    /// let alter = alter.limits(|limits| {
    ///     limits.control_replicas = vec!["mysql://dba@db2".into(), "mysql://dba@db3".into()];
    ///     limits.max_lag = Some(Duration::from_secs(2));
    /// });
    /// ```
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.request.options.limits);
        self
    }

    /// Adds a throttling policy: hold back while a file exists.
    pub fn throttle_flag_file(self, path: impl Into<PathBuf>) -> Self {
        self.throttle(crate::throttle::FlagFile::new(path))
    }

    /// Who is told of the run's events.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.request.observer = Some(Box::new(observer));
        self
    }

    /// What becomes of the table as it was. Default: it is kept as `_t_del`.
    pub fn old_table(mut self, old_table: OldTable) -> Self {
        self.request.options.old_table = old_table;
        self
    }

    /// Count the rows beside the copy, so that the progress is exact: one long query, for which the server keeps
    /// old versions of rows. It is ended when the copy is complete. Default: the server's estimate does.
    pub fn exact_row_count(mut self, exact: bool) -> Self {
        self.request.options.exact_row_count = exact;
        self
    }

    /// Ask the server first to change only the definition (`ALGORITHM=INSTANT`), waiting for the table's lock no longer
    /// than an attempt to [cut over](Self::cut_over_lock_timeout) would; where it cannot, the rows are
    /// copied, and the report says why. MySQL's limit of row versions (64, and 255 from 9.1 on) is seen beforehand, if the user has PROCESS, and
    /// the plan warns of it ([`Warning::RowVersions`](crate::Warning::RowVersions)); else the server says it (error 4092). Not on MySQL 8.0.29, which could corrupt such
    /// tables. It is the first thing that the run does: throttling and postponement do not hold it up, and the only
    /// [veto](crate::Observer::veto) is at [`Phase::Prepare`](crate::Phase::Prepare). Default: no.
    /// <https://dev.mysql.com/doc/refman/9.7/en/innodb-online-ddl-operations.html>
    pub fn attempt_instant(mut self, attempt: bool) -> Self {
        self.request.options.attempt_instant = attempt;
        self
    }

    /// Leave a table with fewer rows than this to the server's own ALTER: writers wait for as long as that takes.
    /// Rows are counted. Where the table's lock is not to be had within the time of an attempt to
    /// [cut over](Self::cut_over_lock_timeout), they are copied after all. As with
    /// [`attempt_instant`](Self::attempt_instant), nothing holds that up, and it cannot be aborted. Default: 0, never.
    pub fn native_below_rows(mut self, rows: u64) -> Self {
        self.request.options.native_below_rows = rows;
        self
    }

    /// Drop the ghost and state tables (`_t_gho`, `_t_ghc`) that an earlier run of online-alter
    /// left, instead of refusing to start. Tables that it did not create are never dropped.
    pub fn replace_ghost_table(mut self, replace: bool) -> Self {
        self.request.options.replace_ghost = replace;
        self
    }

    /// Go on where an earlier run of the same ALTER has stopped, which has died with its program, its machine or its
    /// server, on this machine or on another. Connections of that run which are still there are ended first. What it
    /// had copied stays; what has changed since is read from the binlog, which must still be there from its last
    /// [checkpoint](Self::checkpoint_interval) on. If the tables were swapped already, all that is left is done.
    ///
    /// A run that had copied nothing yet is begun anew. Fails with [`ErrorKind::NothingToResume`](crate::ErrorKind::NothingToResume) if no run
    /// is to be gone on with, and with [`ErrorKind::CannotResume`](crate::ErrorKind::CannotResume) if it cannot be: another clause, another server, a
    /// changed table, a purged binlog, a checkpoint of another format. Nothing is touched then; with
    /// [`replace_ghost_table`](Self::replace_ghost_table) the run starts over in both cases, as far as the plan sees them: what
    /// only the run itself finds out, such as GTIDs that are purged, or what the replica of
    /// [`stream_from`](Self::stream_from) lacks, stays an error, and takes a run without this.
    ///
    /// How rows are mapped, which keys and which foreign keys and triggers the new table gets was decided by the
    /// earlier run; all other options are those given now. Default: off.
    pub fn resume(mut self, resume: bool) -> Self {
        self.request.options.resume = resume;
        self
    }

    /// How often it is written down how far the run has come, for [`resume`](Self::resume). Default: every 5 seconds.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.request.options.checkpoint_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Drop a table that has the name of the future old table (`_t_del`), whoever made it, instead
    /// of refusing to start.
    pub fn replace_old_table(mut self, replace: bool) -> Self {
        self.request.options.replace_old = replace;
        self
    }

    /// Switch the server's `binlog_format` to ROW if it is another, for everybody and for good.
    /// Sessions that are open keep theirs: what they write to the table as statements stops the
    /// run. The user needs SYSTEM_VARIABLES_ADMIN (MariaDB: BINLOG ADMIN and REPLICATION MASTER ADMIN), and no replica may be
    /// attached.
    pub fn switch_to_row_format(mut self, allow: bool) -> Self {
        self.request.options.switch_to_row_format = allow;
        self
    }

    /// Whether the new table's statistics are refreshed before the swap, so that queries find good
    /// plans at once. Default: they are.
    pub fn analyze(mut self, analyze: bool) -> Self {
        self.request.options.analyze = analyze;
        self
    }

    /// Whether the rows of both tables are compared before the swap, and again from time to time while
    /// that is postponed. Default: they are. It takes no locks, and about a fifth of the time of the
    /// copy. Where the ALTER converts values in a way that only storing them shows, it needs the
    /// privilege CREATE TEMPORARY TABLES.
    pub fn verify(mut self, verify: bool) -> Self {
        self.request.options.verify = verify;
        self
    }

    /// What becomes of rows that verification finds different. Default: [`OnMismatch::Repair`].
    pub fn on_mismatch(mut self, on_mismatch: OnMismatch) -> Self {
        self.request.options.on_mismatch = on_mismatch;
        self
    }

    /// Let the table have foreign keys to others: the new table gets them too. Default: such a table is
    /// refused, with [the statements](crate::Error::obstacles) that remove and restore them.
    ///
    /// They are added to the new table at the cut-over, without a look at the rows, and taken off the old
    /// one right behind it. Names of foreign keys are unique in a schema. On MySQL they get their own back
    /// in the end; on MariaDB `fk` is `fk_oa` from then on, and `fk_oa` is `fk`, unless the server has
    /// named it itself (`t_ibfk_1`). [`Report::foreign_keys`] has the names.
    ///
    /// Refused nevertheless are keys with CASCADE or SET NULL where the server does not write the rows
    /// that they change to the binlog: MariaDB, MySQL before 9.6, and with
    /// `innodb_native_foreign_keys=ON`; and foreign keys that refer to the table.
    ///
    /// At the cut-over writers to the referenced tables wait too. On MySQL a transaction that uses one of
    /// them and then comes to the table in this moment can be rolled back as the victim of a deadlock
    /// (error 1213), as by any ALTER of such a table; attempts in which that could be are given up, as
    /// long as that does not happen ten times and the user may read `performance_schema.metadata_locks`.
    ///
    /// It needs the privilege REFERENCES on the referenced tables; on MariaDB LOCK TABLES and SELECT too.
    pub fn keep_foreign_keys(mut self, keep: bool) -> Self {
        self.request.options.wishes.set(ForeignKeys::Keep, keep);
        self
    }

    /// Let the table have foreign keys to others, and the new table none. Everything else is as with
    /// [`keep_foreign_keys`](Self::keep_foreign_keys), the refusal of foreign keys that refer to the
    /// table and of cascades that are not logged included. The last of the two that is set counts.
    pub fn discard_foreign_keys(mut self, discard: bool) -> Self {
        self.request.options.wishes.set(ForeignKeys::Discard, discard);
        self
    }

    /// Let the table have triggers: they are made on the new table at the cut-over, with definer, SQL
    /// mode, charset and order kept, so that they fire for the application's writes from the first
    /// one on, and never for those of the run. Default: such a table is refused, with
    /// [the statements](crate::Error::obstacles) that remove and restore them.
    ///
    /// On MySQL writers to the tables that the triggers use wait for the swap too, and a transaction that
    /// has written to one of them and then comes to the table in this moment can be the victim of a
    /// deadlock: LOCK TABLES locks them as well.
    ///
    /// The old table keeps its own, and names of triggers are unique in a schema: the new ones have
    /// a [suffix](Self::trigger_suffix). It needs what the server wants of who makes triggers: SUPER
    /// unless `log_bin_trust_function_creators` is on; SET_ANY_DEFINER
    /// (MySQL before 8.2: SET_USER_ID, MariaDB: SET USER) where the definer is another user.
    pub fn include_triggers(mut self, include: bool) -> Self {
        self.request.options.wishes.triggers = include;
        self
    }

    /// What is put behind the names of triggers: ASCII letters, digits and underscores. Default: `_oa`.
    pub fn trigger_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.request.options.wishes.suffix = suffix.into();
        self
    }

    /// Whether a trigger whose name has the [suffix](Self::trigger_suffix) already loses it instead of
    /// getting it once more. Default: no.
    pub fn remove_trigger_suffix_if_exists(mut self, remove: bool) -> Self {
        self.request.options.wishes.remove_suffix = remove;
        self
    }

    /// Leave the run's tables on the server when it fails, for a look at them.
    pub fn keep_on_failure(mut self, keep: bool) -> Self {
        self.request.options.keep_on_failure = keep;
        self
    }

    /// Take dates with zeros in them (`0000-00-00`, `2024-00-10`), and others that are none, as they
    /// are: in rows and in the definition of the table. Default: the server's SQL mode decides, as it
    /// does when the server itself copies a table.
    pub fn allow_zero_in_date(mut self, allow: bool) -> Self {
        self.request.options.allow_zero_in_date = allow;
        self
    }

    /// The time zone of the ALTER, as `SET time_zone` takes it: that of conversions between TIMESTAMP
    /// and other types, of times in defaults, of generated columns. Default: that of the server.
    pub fn time_zone(mut self, zone: impl Into<String>) -> Self {
        self.request.options.time_zone = Some(zone.into());
        self
    }

    /// States what becomes of columns, by their names before and after the ALTER (`None`: the column
    /// and its values go). For an ALTER that is refused because it is not certain what it does to
    /// them. Each column that stands in a part which is not understood has to be stated; what is
    /// understood must not say otherwise.
    ///
    /// ```
    /// # use online_alter::OnlineAlter;
    /// # let alter = OnlineAlter::new("mysql://db1/app", "t");
    /// let alter = alter.column_map([("a", Some("b")), ("b", Some("a")), ("c", None)]);
    /// ```
    pub fn column_map<'n>(
        mut self,
        map: impl IntoIterator<Item = (&'n str, Option<&'n str>)>,
    ) -> Self {
        let stated = |(old, new): (&str, Option<&str>)| Stated {
            old: old.to_owned(),
            new: new.map(str::to_owned),
        };
        self.request.options.column_map = map.into_iter().map(stated).collect();
        self
    }

    /// The id under which the run registers as a replica. Default: a random one that no attached
    /// replica has.
    pub fn server_id(mut self, id: u32) -> Self {
        self.request.options.server_id = Some(id);
        self
    }

    /// Ask for the binlog by the global ids of transactions (GTIDs) instead of file and offset, from the start and whenever
    /// the connection breaks. So a stream that breaks beyond the first 4 GiB of a file goes on. MySQL needs
    /// `gtid_mode=ON`; MariaDB always has them. Default: no.
    pub fn gtid(mut self, by_gtid: bool) -> Self {
        self.request.options.gtid = by_gtid;
        self
    }

    /// Listens to the steps of the protocol. For tests: the run waits for the listener, even while
    /// the table is locked.
    #[doc(hidden)]
    pub fn on_step(mut self, listener: impl Fn(Step, u32) + Send + Sync + 'static) -> Self {
        self.request.options.steps = Steps::new(listener);
        self
    }

    /// Looks at the server and the table, refuses what cannot be done, and says what will be done.
    /// Writes nothing.
    pub fn plan(self) -> Result<Plan> {
        self.request.plan()
    }

    /// [`plan`](Self::plan) and [`Plan::run`].
    pub fn run(self) -> Result<Report> {
        self.plan()?.run()
    }

    /// [`plan`](Self::plan) and [`Plan::start`].
    pub fn start(self) -> Result<Handle> {
        self.plan()?.start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn everything_can_cross_threads() {
        fn crosses<T: Send>() {}
        crosses::<OnlineAlter>();
        crosses::<Plan>();
        crosses::<Handle>();
        crosses::<Report>();
    }

    #[test]
    fn a_bad_url_is_not_echoed() {
        for url in ["mysql://u:secret@h:99999/db", "secret", "mysql://u:secret@h/db?x=secret", ""] {
            let error = OnlineAlter::new(url, "t").alter("ADD c INT").plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error:?}");
        }
    }
}
