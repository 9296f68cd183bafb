//! The stages in which the ghost follows the table: fence, copy, unique keys, statistics,
//! verification, postponement, cut-over, proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::checkpoints;
use super::chunks::in_chunks;
use super::control::Control;
use super::follow::Follow;
use super::ghost::Ghost;
use super::observer::Event;
use super::options::{OnReplica, Options};
use super::rehearsal::Rehearsal;
use super::replica_test::{NOTHING_TO_SEE, ReplicaTest};
use super::resume::Continued;
use super::told::Told;
use super::verification::{Verification, Verifier};
use crate::checkpoint::{CopiedSoFar, StateTable};
use crate::copy::chunk::{Chunk, Watermark};
use crate::copy::chunker::Chunker;
use crate::copy::worker::{Copied, CopyWorker};
use crate::cutover::proof::Proof;
use crate::cutover::{Counter, CutOver, Swapped};
use crate::db::{Connector, Purpose, Session, in_group};
use crate::error::{Error, ErrorKind, Phase, Result, TableState};
use crate::inspect::neighbours::Neighbours;
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Table};
use crate::sql::Ident;
use crate::steps::Step;

/// How long the fence may take to come through the stream.
const FENCE_PATIENCE: Duration = Duration::from_secs(60);

/// How often a wait looks again at what nothing tells it of.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of the stages.
pub(super) struct Outcome {
    pub(super) ended: Ended,
    pub(super) verification: Option<Verification>,
}

/// What they ended with.
pub(super) enum Ended {
    Swapped(Swapped, Proof),
    Tested(ReplicaTest),
}

/// The stages in which the ghost follows the table.
pub(super) struct Stages<'a> {
    pub(super) connector: &'a Connector,
    pub(super) server: &'a ServerInfo,
    pub(super) table: &'a Table,
    pub(super) neighbours: &'a Neighbours,
    pub(super) options: &'a Options,
    pub(super) control: &'a Control,
    pub(super) follow: &'a Follow,
    pub(super) state: &'a StateTable,
    pub(super) ghost: &'a Ghost,
    /// What an earlier run has done of it already.
    pub(super) continued: Option<&'a Continued>,
}

impl Stages<'_> {
    pub(super) fn in_step(&self, session: &mut Session, definer: &mut Session) -> Result<Outcome> {
        let control = self.control;
        let mut verifier = if self.options.verify { Some(Verifier::new(self)?) } else { None };
        self.fence(session)?;
        if self.options.rehearsal {
            return self.rehearsed(definer);
        }
        if !self.continued.is_some_and(|continued| continued.copied.all) {
            control.enter(Phase::Copy);
            self.copy(session)?;
            session.retrying(self.options.retries(), &control.cancel, |session| {
                control.counting.stop(session)
            })?;
            self.all_is_copied(session)?;
        }
        self.options.steps.at(Step::CopyDone, session.id());
        let ahead = self.complete(session, definer, verifier.as_ref())?;
        if let Some(verifier) = &mut verifier {
            verifier
                .until_clean(session, ahead, &mut || false)
                .map_err(|error| self.name_conflicts(error))?;
            self.options.steps.at(Step::Verified, session.id());
        }
        self.postponed(session, verifier.as_mut())?;
        if let Some(OnReplica::Test { start_again }) = self.options.on_replica {
            control.gate.pass(&control.cancel)?;
            // The plan has seen to it that there is one.
            let Some(mut verifier) = verifier else {
                return Err(Error::new(ErrorKind::Config, NOTHING_TO_SEE));
            };
            let test = self.compare_at_rest(session, &mut verifier, start_again)?;
            let verification = Some(verifier.into_found());
            return Ok(Outcome { ended: Ended::Tested(test), verification });
        }
        self.enter_cut_over()?;
        let (swapped, proof) = self.cut_over(session, definer, verifier.as_mut())?;
        let verification = verifier.map(Verifier::into_found);
        Ok(Outcome { ended: Ended::Swapped(swapped, proof), verification })
    }

    /// All that is left is to take everything back, as a run does that is stopped.
    fn rehearsed(&self, definer: &mut Session) -> Result<Outcome> {
        let ghost = &self.follow.pair.ghost;
        definer.exec(&format!("LOCK TABLES {ghost} WRITE"))?;
        definer.exec("UNLOCK TABLES")?;
        let (of_ghost, of_table) = (ghost.table.to_string(), self.table.name.table.to_string());
        *self.control.rehearsed.lock() = Some(Rehearsal {
            table: self.table.name.to_string(),
            definition: self.ghost.table.definition.text.replacen(&of_ghost, &of_table, 1),
        });
        Err(Error::aborted())
    }

    /// The copy may begin only behind a marker that was written after the stream's start: a change
    /// logged before the start may not be visible yet, but commits become visible in the order of
    /// the binlog, so one that was acknowledged later proves that it is.
    fn fence(&self, session: &mut Session) -> Result<()> {
        self.wait_for_prepared(session)?;
        // Before the marker: what comes through behind it is judged by the new rule.
        self.follow.stream.copy_begins();
        let (retries, cancel) = (self.options.retries(), &self.control.cancel);
        let marker = session.retrying(retries, cancel, |session| {
            self.state.write_marker(session, &self.follow.feed, |_| ())
        })?;
        let mut before = None;
        while !self.follow.feed.wait_for_marker(marker, FENCE_PATIENCE, cancel)? {
            // Behind another run there may be much to read again.
            let now = Some((self.follow.feed.position(), self.follow.feed.changes()));
            if self.continued.is_some() && now != before {
                before = now;
                continue;
            }
            let why = format!(
                "a change that was written to {} did not come back through the binlog within {} s: \
                 is it filtered out?",
                self.follow.config.watch.state,
                FENCE_PATIENCE.as_secs()
            );
            return Err(Error::new(ErrorKind::Binlog, why));
        }
        self.follow.refresher.catches_up(false);
        self.options.steps.at(Step::FencePassed, session.id());
        Ok(())
    }

    /// XA transactions that were prepared before the stream began have their rows in front of it, and
    /// change the table when they are committed. Most end soon. One that has not after a while is
    /// left alone: should it be committed after all, the stream stops the run.
    fn wait_for_prepared(&self, session: &mut Session) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let end = Instant::now() + PATIENCE;
        // MySQL wants the privilege XA_RECOVER_ADMIN for the list.
        let Ok(before) = session.rows("XA RECOVER") else {
            return Ok(());
        };
        loop {
            let now = session.rows("XA RECOVER")?;
            if !before.iter().any(|prepared| now.contains(prepared)) || Instant::now() > end {
                return Ok(());
            }
            self.control.cancel.sleep(LOOK_AGAIN)?;
        }
    }

    fn copy(&self, session: &mut Session) -> Result<()> {
        let Self { control, follow, options, .. } = *self;
        let (cancel, retries) = (&control.cancel, options.retries());
        let chunker = Chunker::new(Arc::clone(&follow.pair), retries, session, cancel)?
            .behind(self.continued.and_then(|continued| continued.copied.bound()));
        let mut workers = self.open_workers()?;
        let worker = CopyWorker {
            pair: Arc::clone(&follow.pair),
            flights: &follow.flights,
            pending: &follow.pending,
            turns: &follow.turns,
            gate: &control.gate,
            retries,
            cancel,
            on_retry: &|error| {
                control.tell(&Event::ChunkRetried { reason: error.message().to_owned() });
            },
        };
        let copy = |chunk: &Chunk, session: &mut Session| {
            let copied = worker.copy(chunk.clone(), session)?;
            Ok((copied.rows, copied))
        };
        let mut watermark = Watermark::default();
        in_chunks(control, chunker, &follow.sizer, session, &mut workers, copy, |copied| {
            self.copied(copied, &mut watermark);
            Ok(())
        })
    }

    pub(super) fn open(&self, purpose: Purpose) -> Result<Session> {
        let (retries, cancel) = (self.options.retries(), &self.control.cancel);
        Session::open_patiently(self.connector, self.server.flavor, purpose, retries, cancel)
    }

    /// A connection for what takes long, and may take longer where the application needs the server.
    pub(super) fn open_worker(&self) -> Result<Session> {
        let mut session = self.open(Purpose::Rows)?;
        if let Some(group) = &self.options.resource_group {
            session.always(in_group(&Ident::new(group)))?;
        }
        Ok(session)
    }

    /// One for each worker.
    pub(super) fn open_workers(&self) -> Result<Vec<Session>> {
        (0..self.options.copy_workers.max(1)).map(|_| self.open_worker()).collect()
    }

    fn copied(&self, copied: Copied, watermark: &mut Watermark) {
        let Copied { chunk, rows, time } = copied;
        let before = self.control.rows_copied.fetch_add(rows, Ordering::Relaxed);
        watermark.finished(chunk);
        if let Some(through) = watermark.through() {
            log::trace!("copied through {through}");
            *self.control.copied.lock() = CopiedSoFar::through(Some(through), before + rows);
        }
        self.control.tell(&Event::ChunkCopied { rows, rows_copied: before + rows, time });
    }

    /// For whoever goes on behind this run. It must be known before the ghost gets indexes that a chunk could be refused
    /// for.
    fn all_is_copied(&self, session: &mut Session) -> Result<()> {
        let Self { control, options, state, .. } = *self;
        let copied = CopiedSoFar::all(control.rows_copied.load(Ordering::Relaxed));
        *control.copied.lock() = copied;
        session.retrying(options.retries(), &control.cancel, |session| {
            checkpoints::save_copied(control, state, session)
        })
    }

    /// Writes down how far the run has come, for whoever finds its tables.
    pub(super) fn note(&self, session: &mut Session, stage: &str) -> Result<()> {
        let (retries, cancel) = (self.options.retries(), &self.control.cancel);
        session.retrying(retries, cancel, |session| self.state.note(session, stage))
    }

    /// Waits until everything written so far is refreshed.
    pub(super) fn catch_up(&self, session: &mut Session) -> Result<()> {
        const ROUND: Duration = Duration::from_secs(1);
        // A busy table may never come down to none, nor to as many as that: so it is twice as many each
        // time.
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
                goal = (goal * 2).max(FEW);
            }
            Ok(())
        })();
        follow.pending.hurry(false);
        result
    }

    /// A connection that has been idle for long may be gone.
    pub(super) fn refresh_connection(&self, session: &mut Session) -> Result<()> {
        let retries = self.options.retries();
        session.retrying(retries, &self.control.cancel, |session| session.exec("DO 1")).map(drop)
    }

    /// The tables are to be swapped now: sees that nothing has come between.
    fn enter_cut_over(&self) -> Result<()> {
        let Self { server, table, options, control, .. } = *self;
        control.enter(Phase::CutOver);
        control.gate.pass(&control.cancel)?;
        // What is made past the binlog, the stream does not show.
        let mut inspector = self.open(Purpose::Inspect)?;
        inspector.retrying(options.retries(), &control.cancel, |inspector| {
            if options.on_replica.is_none() {
                // Since the plan was made, which may be days ago, it may have become a replica of another.
                server.check_primary(inspector, options.primary_primary)?;
            }
            self.neighbours.check_unchanged(inspector, server, &table.name, &options.wishes)
        })
    }

    /// The same between two attempts, once it is no longer postponed.
    pub(super) fn until_released(
        &self,
        session: &mut Session,
        verifier: Option<&mut Verifier<'_>>,
    ) -> Result<()> {
        self.postponed(session, verifier)?;
        self.enter_cut_over()
    }

    /// Waits for as long as the cut-over is postponed, and goes on comparing the rows meanwhile.
    fn postponed(
        &self,
        session: &mut Session,
        mut verifier: Option<&mut Verifier<'_>>,
    ) -> Result<()> {
        let waits = || self.control.is_postponed();
        let mut entered = false;
        while waits() {
            if !entered {
                self.control.enter(Phase::Postponed);
                entered = true;
            }
            self.control.cancel.sleep(LOOK_AGAIN)?;
            if let Some(verifier) = verifier.as_mut().filter(|verifier| verifier.is_due()) {
                verifier
                    .until_clean(session, None, &mut || !waits())
                    .map_err(|error| self.name_conflicts(error))?;
            }
        }
        Ok(())
    }

    /// Says which rows were in conflict when the swap was about to be made.
    fn name_conflicts(&self, error: Error) -> Error {
        let is_about_rows = error.kind() == ErrorKind::DuplicateRows;
        if !is_about_rows || error.table_state() != TableState::Untouched {
            return error;
        }
        let found = Session::open(self.connector, self.server.flavor, Purpose::Refresh).and_then(
            |mut session| self.follow.refresher.name_conflicts(&mut session, &self.control.cancel),
        );
        match found {
            Ok(found) if !found.is_empty() => error.with_message(format!(
                "rows have the same value in a unique key that the ALTER adds: {found}"
            )),
            _ => error,
        }
    }

    fn cut_over(
        &self,
        session: &mut Session,
        definer: &mut Session,
        verifier: Option<&mut Verifier<'_>>,
    ) -> Result<(Swapped, Proof)> {
        let (retries, cancel) = (self.options.retries(), &self.control.cancel);
        let ghost_definition = definer.retrying(retries, cancel, |definer| {
            Definition::read(definer, &self.follow.pair.ghost)
        })?;
        let cut_over = self.as_cut_over(ghost_definition);
        let mut told = Told { stages: self, definer, verifier };
        let swapped = cut_over.run(session, &mut told);
        let swapped = swapped.map_err(|error| self.name_conflicts(error))?;
        let proof = self.prove(session, &cut_over, swapped)?;
        Ok((swapped, proof))
    }

    /// The tables were swapped by a run that has died behind it.
    pub(super) fn prove_swap(&self, session: &mut Session) -> Result<Outcome> {
        let cut_over = self.as_cut_over(self.ghost.table.definition.clone());
        let swapped = Swapped::default();
        let proof = self.prove(session, &cut_over, swapped)?;
        Ok(Outcome { ended: Ended::Swapped(swapped, proof), verification: None })
    }

    fn as_cut_over(&self, ghost_definition: Definition) -> CutOver<'_> {
        let Self { control, follow, options, .. } = *self;
        CutOver {
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
            ghost_definition: Mutex::new(ghost_definition),
            counter: match (self.ghost.table.counts(), self.ghost.sets_counter) {
                (false, _) => Counter::None,
                (true, false) => Counter::Carried,
                (true, true) => {
                    Counter::Set(self.ghost.table.definition.auto_increment.unwrap_or(1))
                }
            },
            stand_in: self.ghost.stand_in.clone(),
            settled: AtomicBool::new(false),
            dressing: &self.ghost.dressing,
            dressed: AtomicBool::new(false),
            yields: AtomicU32::new(0),
            killed: AtomicU32::new(0),
            reads_replica: follow.config.reads_replica(),
            gate: &control.gate,
            limits: options.cut_over_limits(),
        }
    }

    fn prove(
        &self,
        session: &mut Session,
        cut_over: &CutOver<'_>,
        swapped: Swapped,
    ) -> Result<Proof> {
        let Self { control, follow, options, .. } = *self;
        control.note_swap();
        session.needs_no_guard();
        control.tell(&Event::Swapped { locked: swapped.locked });
        // At once: rows of the old table must not stand in the way of their parents.
        let retries = options.retries();
        match session.retrying(retries, &control.cancel, |session| cut_over.settle_keys(session)) {
            Ok(names) => control.note_foreign_keys(names),
            Err(error) => control.warn(format!(
                "{} may have foreign keys still, for which its rows keep those that they refer to from \
                 being deleted: drop it, or them ({})",
                cut_over.old,
                error.message()
            )),
        }
        control.enter(Phase::Finish);
        cut_over
            .prove(session, &follow.new_key)
            .map_err(|error| error.with_table_state(TableState::Swapped))
    }
}
