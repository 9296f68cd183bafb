//! The stages of a run, in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cleanup::{Made, clean_up};
use super::control::Control;
use super::crew::{Crew, DismissCrew};
use super::follow::{Follow, free_server_id};
use super::ghost::{self, Ghost};
use super::guard::Guard;
use super::observer::Event;
use super::options::{OldTable, Options};
use super::postpone::Postpone;
use super::report::Report;
use crate::checkpoint::StateTable;
use crate::copy::chunk::Watermark;
use crate::copy::chunker::Chunker;
use crate::copy::worker::{Copied, CopyWorker};
use crate::cutover::proof::Proof;
use crate::cutover::{Attempts, CutOver, Swapped};
use crate::db::{Connector, Purpose, Session};
use crate::error::{Error, ErrorKind, Phase, Result, TableState};
use crate::fault::Fault;
use crate::inspect::grants;
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Table};
use crate::sql::{KeyShape, TableName};
use crate::sql::alter::AlterClause;
use crate::steps::Step;
use crate::throttle::AllOf;

/// Everything that a run starts from.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) connector: Connector,
    pub(crate) server: ServerInfo,
    pub(crate) table: Table,
    pub(crate) clause: AlterClause,
    pub(crate) key: KeyShape,
    pub(crate) options: Options,
    pub(crate) postpone: Postpone,
    pub(crate) policies: AllOf,
}

/// How long the fence may take to come through the stream.
const FENCE_PATIENCE: Duration = Duration::from_secs(60);

/// How often a postponed run looks whether it may go on.
const POSTPONED_LOOK: Duration = Duration::from_millis(200);

/// Goes through all stages; on an error, tidies up and says what is left.
pub(crate) fn run(mut migration: Migration, control: &Control) -> Result<Report> {
    let mut made = Made::default();
    let stages = AssertUnwindSafe(|| stages(&mut migration, control, &mut made));
    let result = catch_unwind(stages).unwrap_or_else(|_| {
        let state = if control.phase() < Phase::CutOver {
            TableState::Untouched
        } else {
            TableState::Unknown
        };
        Err(Error::new(ErrorKind::Panic, "the run panicked").with_table_state(state))
    });
    control.cancel.set();
    let result = result.map_err(|error| {
        // A thread that failed has stopped the others: its error is the one that matters.
        let error = match error.kind() {
            ErrorKind::Aborted => {
                let state = error.table_state();
                control.take_failure().map_or(error, |e| e.with_table_state(state))
            }
            _ => error,
        };
        let Migration { connector, server, options, .. } = &migration;
        let state = error.table_state();
        let mut left = error.leftovers().to_vec();
        let rest = clean_up(connector, server.flavor, &made, state, options.keep_on_failure);
        left.extend(rest.into_iter().filter(|l| !error.leftovers().contains(l)));
        error.in_phase(control.phase()).with_leftovers(left)
    });
    control.tell(&Event::Finished { succeeded: result.is_ok() });
    result
}

fn stages(migration: &mut Migration, control: &Control, made: &mut Made) -> Result<Report> {
    control.enter(Phase::Prepare);
    migration.postpone.prepare()?;
    let Migration { connector, server, table, options, .. } = &*migration;
    switch_to_row_format(connector, server, options)?;
    let mut guard = Guard::take(connector, server.flavor, &table.name)?;
    let mut definer = Session::open(connector, server.flavor, Purpose::Definition)?;
    if Definition::read(&mut definer, &table.name)?.text != table.definition.text {
        let why = format!("the definition of {} was changed since the plan was made", table.name);
        return Err(Error::new(ErrorKind::TableChanged, why));
    }
    let state = StateTable::new(table.name.state());
    let ghost = prepare(migration, control, &state, &mut guard, &mut definer, made)?;
    options.steps.at(Step::GhostCreated, definer.id());

    control.enter(Phase::Fence);
    let schema = table.name.schema.as_str();
    let start = server.binlog_position(&mut definer, schema)?;
    let server_id = match options.server_id {
        Some(id) => id,
        None => free_server_id(&mut definer, server)?,
    };
    let follow = Follow::new(connector, server, server_id, table, &ghost, start, options)?;
    control.watch(&follow.feed, &follow.refresher, &follow.sizer);

    let Migration { connector, server, table, clause, options, postpone, policies, .. } = migration;
    let flavor = server.flavor;
    let (swapped, proof) = std::thread::scope(|scope| {
        let _dismiss = DismissCrew(control);
        let crew = Crew { scope, control };
        let (follow, state) = (&follow, &state);
        let cancel = &control.cancel;
        let open = |purpose| Session::open(connector, flavor, purpose);
        crew.spawn("stream", move || {
            let changed = |key| follow.pending.add(key, cancel);
            follow.stream.read(&follow.config, cancel, &changed)
        })?;
        let heartbeat = options.heartbeat;
        crew.spawn("heartbeat", move || {
            let kept = guard.keep(state, &follow.feed, heartbeat, cancel);
            let long = control.long_statement.load(Ordering::SeqCst);
            if long != 0 {
                guard.session().kill_query(long)?;
            }
            // The lock goes with the guard, and must outlive the run.
            kept.map(|()| drop(guard))
        })?;
        if !policies.is_empty() {
            let mut session = open(Purpose::Inspect)?;
            crew.spawn("throttle", move || {
                let tell = |reason: Option<&str>| {
                    control.tell(&match reason {
                        Some(reason) => Event::Throttled(reason.to_owned()),
                        None => Event::Unthrottled,
                    });
                };
                control.gate.keep(policies, &mut session, &|| follow.feed.lag(), cancel, &tell);
                Ok(())
            })?;
        }
        for part in 0..options.refresh_workers.max(1) {
            let mut session = open(Purpose::Refresh)?;
            crew.spawn("refresh", move || {
                const MOST_KEYS: usize = 1000;
                let (refresher, gate) = (&follow.refresher, &control.gate);
                crate::refresh::worker::run(refresher, part, MOST_KEYS, &mut session, gate, cancel)
            })?;
        }

        let mut session = open(Purpose::Rows)?;
        let stages = Stages {
            connector, server, table, clause, options, control, follow, state, ghost: &ghost,
        };
        let result = stages.in_step(&mut session, &mut definer, postpone);
        cancel.set();
        follow.stream.stop(Some(&mut session));
        result
    })?;
    Ok(finish(migration, control, &state, definer, swapped, &follow, proof))
}

/// Sets the whole server to row format, if it is not and the caller allowed it. Sessions that are
/// open keep their format; what they write to the table stops the run.
fn switch_to_row_format(
    connector: &Connector,
    server: &ServerInfo,
    options: &Options,
) -> Result<()> {
    if server.binlog_format == "ROW" || !options.switch_to_row_format {
        return Ok(());
    }
    let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
    if !grants::may_set_globals(&mut session, server.flavor)? {
        return Err(Error::new(
            ErrorKind::Privileges,
            "the user lacks the privilege to switch binlog_format to ROW",
        ));
    }
    log::info!("switching the server's binlog_format from {} to ROW", server.binlog_format);
    session.exec("SET GLOBAL binlog_format = 'ROW'").map(drop)
}

/// Creates the state table and the ghost.
fn prepare(
    migration: &Migration,
    control: &Control,
    state: &StateTable,
    guard: &mut Guard,
    definer: &mut Session,
    made: &mut Made,
) -> Result<Ghost> {
    let Migration { server, table, clause, key, options, .. } = migration;
    let source = &table.name;
    let leftovers = ghost::check_leftovers(definer, source, options)?;
    ghost::drop_leftovers(definer, &leftovers, &control.cancel)?;
    control.cancel.check()?;
    create_table(definer, &state.create_sql(), &source.state(), made)?;
    // What is going to be created is recorded before it is, so that it can be told from others'.
    let record = format!(
        "online-alter {}\ntable {source}\nghost {}\nold {}\nalter {}\n",
        env!("CARGO_PKG_VERSION"),
        source.ghost(),
        source.old(),
        clause.text
    );
    state.record(guard.session(), &record)?;
    made.sentry = Some(source.old());
    let ghost = source.ghost();
    let create = format!("CREATE TABLE {ghost} LIKE {source}");
    create_table(definer, &create, &ghost, made)?;
    ghost::alter(definer, server, table, clause, key)
}

/// Creates a table, and notes it for cleaning up, the last one first. Not if the server refuses, as
/// it does when somebody else has just made a table of that name.
fn create_table(
    definer: &mut Session,
    sql: &str,
    name: &TableName,
    made: &mut Made,
) -> Result<()> {
    let created = definer.exec(sql);
    if !matches!(&created, Err(error) if error.fault() != Some(Fault::Gone)) {
        made.tables.insert(0, name.clone());
    }
    created.map(drop)
}

/// The stages in which the ghost follows the table.
struct Stages<'a> {
    connector: &'a Connector,
    server: &'a ServerInfo,
    table: &'a Table,
    clause: &'a AlterClause,
    options: &'a Options,
    control: &'a Control,
    follow: &'a Follow,
    state: &'a StateTable,
    ghost: &'a Ghost,
}

impl Stages<'_> {
    fn in_step(
        &self,
        session: &mut Session,
        definer: &mut Session,
        postpone: &mut Postpone,
    ) -> Result<(Swapped, Proof)> {
        let control = self.control;
        self.fence(session)?;
        control.enter(Phase::Copy);
        self.copy(session)?;
        self.options.steps.at(Step::CopyDone, session.id());
        if !self.ghost.deferred.is_empty() {
            control.enter(Phase::BuildIndexes);
            self.build_indexes(session, definer)?;
            self.options.steps.at(Step::IndexesBuilt, definer.id());
        }
        if self.options.analyze {
            control.enter(Phase::Analyze);
            self.analyze(definer)?;
        }
        // The place of verification: the rows of both tables are compared here, before the swap.
        self.postponed(postpone)?;
        control.enter(Phase::CutOver);
        control.gate.pass(&control.cancel)?;
        self.cut_over(session, definer)
    }

    /// The copy may begin only behind a marker that was written after the stream's start: a change
    /// logged before the start may not be visible yet, but commits become visible in the order of
    /// the binlog, so one that was acknowledged later proves that it is.
    fn fence(&self, session: &mut Session) -> Result<()> {
        let marker = self.state.write_marker(session, &self.follow.feed, |_| ())?;
        let cancel = &self.control.cancel;
        if !self.follow.feed.wait_for_marker(marker, FENCE_PATIENCE, cancel)? {
            let why = format!(
                "a change that was written to {} did not come back through the binlog within {} s: \
                 is it filtered out?",
                self.follow.config.watch.state,
                FENCE_PATIENCE.as_secs()
            );
            return Err(Error::new(ErrorKind::Binlog, why));
        }
        self.follow.stream.copy_begins();
        self.options.steps.at(Step::FencePassed, session.id());
        Ok(())
    }

    fn copy(&self, session: &mut Session) -> Result<()> {
        let Self { control, follow, options, .. } = *self;
        let (cancel, retries) = (&control.cancel, options.retries());
        let workers = options.copy_workers.max(1);
        let mut chunker = Chunker::new(Arc::clone(&follow.pair), retries, session, cancel)?;
        std::thread::scope(|scope| {
            let crew = Crew { scope, control };
            // One chunk waits for each worker, so that none waits for its boundary to be found.
            let (todo, todo_of_workers) = crossbeam_channel::bounded(workers);
            let (done_of_worker, done) = crossbeam_channel::bounded::<Copied>(workers);
            for _ in 0..workers {
                let (todo, done) = (todo_of_workers.clone(), done_of_worker.clone());
                let mut session =
                    Session::open(self.connector, self.server.flavor, Purpose::Rows)?;
                crew.spawn("copy", move || {
                    let worker = CopyWorker {
                        pair: Arc::clone(&follow.pair),
                        flights: &follow.flights,
                        pending: &follow.pending,
                        gate: &control.gate,
                        retries,
                        cancel,
                    };
                    for chunk in todo {
                        let copied = worker.copy(chunk, &mut session)?;
                        if done.send(copied).is_err() {
                            break;
                        }
                    }
                    Ok(())
                })?;
            }
            drop((todo_of_workers, done_of_worker));
            crew.spawn("chunks", move || {
                loop {
                    control.gate.pass(cancel)?;
                    let Some(chunk) = chunker.next(follow.sizer.rows(), session, cancel)? else {
                        return Ok(());
                    };
                    // The workers are gone only if they have failed.
                    if todo.send(chunk).is_err() {
                        return Ok(());
                    }
                }
            })?;
            let mut watermark = Watermark::default();
            for copied in done {
                self.copied(copied, &mut watermark);
            }
            cancel.check()
        })
    }

    fn copied(&self, copied: Copied, watermark: &mut Watermark) {
        let Copied { chunk, rows, time } = copied;
        let before = self.control.rows_copied.fetch_add(rows, Ordering::Relaxed);
        self.follow.sizer.learn(rows, time);
        watermark.finished(chunk);
        if let Some(through) = watermark.through() {
            log::trace!("copied through {through}");
        }
        self.control.tell(&Event::ChunkCopied { rows, rows_copied: before + rows, time });
    }

    /// Adds the unique keys that the table does not have. A row that is out of date may seem to be
    /// a duplicate, so the ghost is brought in step first, and a failure is tried again.
    fn build_indexes(&self, session: &mut Session, definer: &mut Session) -> Result<()> {
        const TRIES: u32 = 3;
        let Self { control, follow, ghost, .. } = *self;
        let sql = format!("ALTER TABLE {} {}", follow.pair.ghost, ghost.deferred.join(", "));
        for last in (0..TRIES).rev() {
            self.catch_up(session)?;
            follow.pending.pause(&control.cancel)?;
            control.long_statement.store(definer.id(), Ordering::SeqCst);
            let built = control.cancel.check().and_then(|()| definer.exec(&sql));
            control.long_statement.store(0, Ordering::SeqCst);
            match built {
                Ok(_) => {
                    follow.refresher.be_strict();
                    follow.pending.resume();
                    return Ok(());
                }
                Err(error) if error.fault() == Some(Fault::Killed) => {
                    control.cancel.check()?;
                    return Err(error);
                }
                Err(error) if error.fault() == Some(Fault::Duplicate) && last > 0 => {
                    log::debug!("trying again to build the unique keys: {}", error.message());
                    follow.pending.resume();
                }
                Err(error) => {
                    return Err(error.context("adding the unique keys of the ALTER"));
                }
            }
        }
        Ok(())
    }

    /// Waits until everything written so far is refreshed.
    fn catch_up(&self, session: &mut Session) -> Result<()> {
        const ROUND: Duration = Duration::from_secs(1);
        // A busy table may never come down to none.
        const FEW: usize = 100;
        let Self { control, follow, options, .. } = *self;
        let (cancel, feed) = (&control.cancel, &follow.feed);
        let marker = session.retrying(options.retries(), cancel, |session| {
            self.state.write_marker(session, feed, |_| ())
        })?;
        while !feed.wait_for_marker(marker, ROUND, cancel)? {}
        follow.pending.hurry(true);
        let result = (|| {
            let mut goal = 0;
            while !follow.pending.wait_for_at_most(goal, ROUND, cancel)? {
                goal = FEW;
            }
            Ok(())
        })();
        follow.pending.hurry(false);
        result
    }

    fn analyze(&self, definer: &mut Session) -> Result<()> {
        let control = self.control;
        control.long_statement.store(definer.id(), Ordering::SeqCst);
        let sql = format!("ANALYZE TABLE {}", self.follow.pair.ghost);
        let analyzed = control.cancel.check().and_then(|()| definer.rows(&sql));
        control.long_statement.store(0, Ordering::SeqCst);
        control.cancel.check()?;
        for row in analyzed? {
            let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
            if get(2).eq_ignore_ascii_case("error") {
                return Err(Error::new(ErrorKind::Server, format!("ANALYZE TABLE: {}", get(3))));
            }
        }
        Ok(())
    }

    fn postponed(&self, postpone: &mut Postpone) -> Result<()> {
        let mut entered = false;
        while !self.control.is_released() && postpone.waits() {
            if !entered {
                self.control.enter(Phase::Postponed);
                entered = true;
            }
            self.control.cancel.sleep(POSTPONED_LOOK)?;
        }
        Ok(())
    }

    fn cut_over(&self, session: &mut Session, definer: &mut Session) -> Result<(Swapped, Proof)> {
        let Self { control, follow, options, .. } = *self;
        let ghost_definition = Definition::read(definer, &follow.pair.ghost)?;
        let cut_over = CutOver {
            pair: Arc::clone(&follow.pair),
            old: follow.pair.source.old(),
            connector: self.connector,
            flavor: self.server.flavor,
            state: self.state,
            feed: &follow.feed,
            refresher: &follow.refresher,
            steps: &options.steps,
            cancel: &control.cancel,
            source_definition: &self.table.definition,
            ghost_definition: &ghost_definition,
            carry_counter: !self.clause.sets_auto_increment,
            last_alter: self.ghost.last_alter.clone(),
            limits: options.cut_over_limits(),
        };
        let swapped = cut_over.run(session, control)?;
        control.note_swap();
        control.tell(&Event::Swapped { locked: swapped.locked });
        control.enter(Phase::Finish);
        let proof = cut_over
            .prove(session, &follow.new_key)
            .map_err(|error| error.with_table_state(TableState::Swapped))?;
        Ok((swapped, proof))
    }
}

impl Attempts for Control {
    fn begins(&self, attempt: u32) -> Result<()> {
        self.defer_abort()?;
        self.attempts.store(attempt, Ordering::Relaxed);
        self.tell(&Event::CutOverAttempt { attempt });
        Ok(())
    }

    fn failed(&self, attempt: u32, why: &str) {
        log::debug!("cut-over attempt {attempt} failed: {why}");
        self.tell(&Event::CutOverFailed { attempt, reason: why.to_owned() });
        self.allow_abort();
    }
}

/// Tidies up after the swap. What cannot be tidied up is a warning: the table is altered.
fn finish(
    migration: &Migration,
    control: &Control,
    state: &StateTable,
    mut definer: Session,
    swapped: Swapped,
    follow: &Follow,
    proof: Proof,
) -> Report {
    let Migration { table, options, .. } = migration;
    let mut warnings = control.take_warnings();
    let mut drop_table = |name: &TableName| {
        let dropped = definer.exec(&format!("DROP TABLE {name}"));
        if let Err(error) = &dropped {
            warnings.push(format!("{name} could not be dropped: {}", error.message()));
        }
        dropped.is_ok()
    };
    drop_table(state.name());
    let old = table.name.old();
    // Rows that a person has to look at are in the old table.
    let may_drop = options.old_table == OldTable::Drop && proof.conflicting.is_empty();
    let dropped = may_drop && drop_table(&old);
    Report {
        table: table.name.to_string(),
        old_table: (!dropped).then(|| old.to_string()),
        rows_copied: control.rows_copied.load(Ordering::Relaxed),
        keys_refreshed: follow.refresher.refreshed(),
        keys_changed: follow.feed.keys(),
        elapsed: control.elapsed(),
        copy_time: control.copy_time(),
        cut_over_attempts: swapped.attempts,
        locked: swapped.locked,
        throttled_time: control.gate.shut_time(),
        reconciled_keys: proof.reconciled,
        conflicting_keys: proof.conflicting,
        warnings,
    }
}
