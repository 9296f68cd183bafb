//! What the ghost lacks once all rows are copied: indexes and statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::crew::Crew;
use super::duplicates;
use super::histograms;
use super::resume::Stage;
use super::stages::Stages;
use super::verification::{Ahead, MOST_AHEAD, Verifier};
use crate::db::{DEFAULT_GROUP, Purpose, Session, in_group};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::fault::Fault;
use crate::inspect::table::Definition;
use crate::sql::{Ident, Key};
use crate::steps::Step;

impl Stages<'_> {
    /// Gives the ghost the indexes and statistics that it lacks. The rows are compared beside the building of
    /// indexes, which keeps few of the server's cores busy, and most often longer than that takes.
    pub(super) fn complete(
        &self,
        session: &mut Session,
        definer: &mut Session,
        verifier: Option<&Verifier<'_>>,
    ) -> Result<Option<Ahead>> {
        let control = self.control;
        let are_there = self
            .continued
            .is_some_and(|continued| matches!(continued.stage, Stage::Follow { indexes: true }));
        let builds = !self.ghost.deferred.clauses.is_empty() && !are_there;
        let stop = &AtomicBool::new(false);
        let (begins, may_begin) = bounded(1);
        std::thread::scope(|scope| {
            let looking = match verifier.filter(|_| builds) {
                Some(verifier) => {
                    let comparer = verifier.comparer();
                    let (looked, ahead) = bounded(1);
                    Crew { scope, control }.spawn("ahead", move || {
                        if may_begin.recv().is_ok() {
                            let _ = looked.send(Ahead::look(self, comparer, stop));
                        }
                        Ok(())
                    })?;
                    Some(ahead)
                }
                None => None,
            };
            let completed: Result<_> = (|| {
                let mut changed = None;
                if builds {
                    control.enter(Phase::BuildIndexes);
                    changed = self.build_indexes(session, definer, &begins)?;
                    self.options.steps.at(Step::IndexesBuilt, definer.id());
                }
                control.enter(Phase::Analyze);
                self.analyze(session, definer)?;
                Ok(changed)
            })();
            // Without the rows that have changed, what is found is of no use.
            stop.store(!matches!(completed, Ok(Some(_))), Ordering::SeqCst);
            drop(begins);
            let changed = completed?;
            if verifier.is_some() {
                control.enter(Phase::Verify);
            }
            match looking.map(|ahead| ahead.recv()) {
                Some(Ok(Ok(ahead))) => Ok(ahead.and_then(|ahead| ahead.with(changed))),
                Some(Ok(Err(error))) => {
                    control.cancel.check()?;
                    log::debug!("comparing beside the index build: {}", error.message());
                    Ok(None)
                }
                // Or it has panicked, which ends the run.
                Some(Err(_)) | None => control.cancel.check().map(|()| None),
            }
        })
    }

    /// Adds the indexes that waited. For a unique one a row that is out of date may seem to be a
    /// duplicate, so the ghost is brought in step first, and a failure is tried again. From when it says that
    /// it `begins` nothing is refreshed. Returns the keys that have changed since, unless they are many.
    fn build_indexes(
        &self,
        session: &mut Session,
        definer: &mut Session,
        begins: &Sender<()>,
    ) -> Result<Option<Vec<Key>>> {
        const TRIES: u32 = 3;
        let Self { control, follow, ghost, .. } = *self;
        let deferred = &ghost.deferred;
        let sql = format!("ALTER TABLE {} {}", follow.pair.ghost, deferred.clauses.join(", "));
        self.note(session, "building indexes")?;
        for last in (0..TRIES).rev() {
            if deferred.any_unique {
                self.catch_up(session)?;
            }
            control.gate.pass(&control.cancel)?;
            // Nobody but us writes to the ghost: what a build would have to follow waits as well outside.
            follow.pending.pause(&control.cancel)?;
            let _ = begins.try_send(());
            match self.build(definer, &sql) {
                Ok(true) => {
                    follow.indexes_are_there(ghost);
                    // Not of the changes before an earlier try had failed.
                    let changed = follow.pending.waiting(MOST_AHEAD).filter(|_| last == TRIES - 1);
                    follow.pending.resume();
                    // The cut-over is to be as fast as it can be.
                    self.enter_group(definer, Some(DEFAULT_GROUP))?;
                    self.note(session, "indexes are built")?;
                    return Ok(changed);
                }
                Ok(false) if last > 0 => {
                    log::debug!("the server has not built the indexes: trying again");
                    follow.pending.resume();
                }
                Ok(false) => {
                    let why =
                        "the indexes of the new table were not built: their connections were lost";
                    return Err(Error::new(ErrorKind::Connection, why));
                }
                Err(error) if may_be_built_again(&error) && last > 0 => {
                    // Whoever ends the run kills it, too.
                    control.cancel.check()?;
                    log::debug!("trying again to build the indexes: {}", error.message());
                    follow.pending.resume();
                }
                Err(error) if error.fault() == Some(Fault::Duplicate) => {
                    return Err(self.name_duplicates(session, error));
                }
                Err(error) => {
                    return Err(error.context("adding the indexes of the new table"));
                }
            }
        }
        Ok(None)
    }

    /// Runs the statement that builds the indexes. `false` if its connection was lost, and the server has not carried
    /// it out.
    fn build(&self, definer: &mut Session, sql: &str) -> Result<bool> {
        let Self { server, control, options, .. } = *self;
        definer.retrying(options.retries(), &control.cancel, |definer| {
            server.prepare_index_build(definer)?;
            self.enter_group(definer, options.resource_group.as_deref())
        })?;
        // A server that does not take writes for now, and a ghost that somebody reads, are waited for.
        let built = definer.retrying(options.retries(), &control.cancel, |definer| {
            *control.long_statement.lock() = Some(definer.mark().clone());
            let run = |definer: &mut Session| definer.as_printed(|definer| definer.exec(sql));
            match control.cancel.check().and_then(|()| run(definer)) {
                Err(error) if error.fault().is_some_and(Fault::is_ambiguous) => Ok(Err(error)),
                other => other.map(Ok),
            }
        });
        let built = match built {
            Ok(Err(error)) if error.fault() == Some(Fault::Gone) => {
                self.look_for_build(definer, &error)
            }
            Ok(built) => built.map(|_| true),
            Err(error) => Err(error),
        };
        *control.long_statement.lock() = None;
        built
    }

    /// The server does not know that nobody waits for the answer any more: it goes on with what may have taken hours, and
    /// is waited for. If it has ended the connection, it rolls back.
    fn look_for_build(&self, definer: &mut Session, lost: &Error) -> Result<bool> {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        let (retries, cancel) = (self.options.retries(), &self.control.cancel);
        log::warn!(
            "the connection that builds the indexes was lost ({}): waiting for their end",
            lost.message()
        );
        let mark = definer.mark().clone();
        let mut session = self.open(Purpose::Inspect)?;
        session.retrying(retries, cancel, |session| {
            while session.is_busy(&mark)? {
                cancel.sleep(LOOK_AGAIN)?;
            }
            Ok(())
        })?;
        // This ends the connection, should the statement not even have come to it yet.
        definer.retrying(retries, cancel, |definer| {
            let ghost = Definition::read(definer, &self.follow.pair.ghost)?;
            Ok(self.ghost.deferred.names.iter().all(|name| ghost.key(name).is_some()))
        })
    }

    /// Puts a session into the resource group, if the run has one at all.
    fn enter_group(&self, session: &mut Session, group: Option<&str>) -> Result<()> {
        match group.filter(|_| self.options.resource_group.is_some()) {
            Some(group) => session.exec(&in_group(&Ident::new(group))).map(drop),
            None => Ok(()),
        }
    }

    fn name_duplicates(&self, session: &mut Session, error: Error) -> Error {
        let Self { control, follow, ghost, .. } = *self;
        *control.long_statement.lock() = Some(session.mark().clone());
        let found = duplicates::name(session, &follow.pair, &ghost.deferred.strict);
        *control.long_statement.lock() = None;
        let why = match found {
            Ok(found) if !found.is_empty() => found,
            _ => error.message().to_owned(),
        };
        error.with_message(format!(
            "rows have the same value in a unique key that the ALTER adds: {why}"
        ))
    }

    fn analyze(&self, session: &mut Session, definer: &mut Session) -> Result<()> {
        let Self { server, table, ghost, follow, .. } = *self;
        self.refresh_connection(definer)?;
        let statements =
            session.retrying(self.options.retries(), &self.control.cancel, |session| {
                histograms::statements(session, server, table, &ghost.table, &follow.pair)
            })?;
        for sql in statements {
            // Without one the table is as good; a unique key of one column needs none.
            if let Err(error) = self.analyze_with(definer, &sql) {
                self.control.cancel.check()?;
                log::warn!("{}", error.message());
            }
        }
        if self.options.analyze {
            self.analyze_with(definer, &format!("ANALYZE TABLE {}", follow.pair.ghost))?;
        }
        Ok(())
    }

    fn analyze_with(&self, definer: &mut Session, sql: &str) -> Result<()> {
        let control = self.control;
        control.gate.pass(&control.cancel)?;
        let analyzed = definer.retrying(self.options.retries(), &control.cancel, |definer| {
            *control.long_statement.lock() = Some(definer.mark().clone());
            let analyzed = control.cancel.check().and_then(|()| definer.rows(sql));
            *control.long_statement.lock() = None;
            analyzed.and_then(look_for_errors)
        });
        control.cancel.check()?;
        analyzed
    }
}

/// ANALYZE TABLE has its errors among its rows, without their numbers.
fn look_for_errors(rows: Vec<Vec<Option<String>>>) -> Result<()> {
    for row in rows {
        let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        if get(2).eq_ignore_ascii_case("error") {
            let fault = if get(3).contains("interrupted") { Fault::Killed } else { Fault::Other };
            let error = Error::new(ErrorKind::Server, format!("ANALYZE TABLE: {}", get(3)));
            return Err(error.with_fault(fault, None));
        }
    }
    Ok(())
}

/// Behind a unique key that met rows which are out of date, and behind one that was killed, by whomever: three times it is
/// meant.
fn may_be_built_again(error: &Error) -> bool {
    matches!(error.fault(), Some(Fault::Duplicate | Fault::Killed))
}
