//! The strategy for MariaDB, which refuses RENAME under LOCK TABLES (error 1192).
//!
//! One connection (A) locks the table against writers, and a sentry table that has the old table's
//! future name. Another (B) asks for the swap, which waits behind the sentry. A drops the sentry;
//! a third (C) proves that the swap now waits for the table itself; A unlocks, and the swap, which
//! has priority over the waiting writers, goes through.
//!
//! Without that proof, writers could get in between A's unlocking and the swap: if the swap were
//! still waiting for another of its tables, their rows would be lost with the old table.

use std::time::{Duration, Instant};

use super::dressing::unlock_all;
use super::{Attempt, CutOver, LockClock, is_undone, not_ready, unlock};
use crate::cancel::Cancel;
use crate::db::{Done, Mark, Purpose, Session};
use crate::error::{Error, ErrorKind, Result, TableState};
use crate::fault::Fault;
use crate::inspect::Table;
use crate::sql::TAG;
use crate::sql::mentions::{Effect, classify};
use crate::sql::tokens::Dialect;
use crate::steps::Step;

/// The comment by which a sentry table is known.
pub(crate) const SENTRY_COMMENT: &str = "online-alter cut-over sentry";

/// Between two looks at whether the swap is queued.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The connections of an attempt.
pub(super) struct Sessions {
    locker: Session,
    refresher: Session,
    renamer: Session,
    prober: Session,
}

impl CutOver<'_> {
    pub(super) fn sessions(&self) -> Result<Sessions> {
        let locker = self.session(Purpose::Rows)?;
        let refresher = self.session(Purpose::Refresh)?;
        let renamer = self.session(Purpose::Rows)?;
        let mut prober = self.session(Purpose::Rows)?;
        prober.exec("SET SESSION lock_wait_timeout = 0")?;
        Ok(Sessions { locker, refresher, renamer, prober })
    }

    pub(super) fn queued_rename(
        &self,
        control: &mut Session,
        sessions: Sessions,
    ) -> Result<Attempt> {
        self.drop_stale_sentry(control)?;
        control.exec(&format!(
            "CREATE TABLE {} (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB COMMENT='{SENTRY_COMMENT}'",
            self.old
        ))?;
        let attempt = self.lock_parents(control).and_then(|parents| {
            let attempt = self.with_sentry(control, sessions);
            // While the parents are locked. If it fails, it is done behind that.
            if matches!(attempt, Ok(Attempt::Swapped { .. })) {
                self.free_parents(control);
            } else if is_undone(&attempt)
                && let Err(error) = self.undress(control)
            {
                log::debug!("the ghost's foreign keys and triggers: {}", error.message());
            }
            unlock_all(parents, control);
            attempt
        });
        if !matches!(attempt, Ok(Attempt::Swapped { .. })) {
            // Whatever has the sentry's comment is the sentry, never the old table.
            if let Err(error) = self.drop_stale_sentry(control) {
                log::debug!("the sentry table could not be dropped: {}", error.message());
            }
        }
        attempt
    }

    fn drop_stale_sentry(&self, control: &mut Session) -> Result<()> {
        if Table::comment(control, &self.old)?.as_deref() == Some(SENTRY_COMMENT) {
            control.exec(&format!("DROP TABLE {}", self.old))?;
        }
        Ok(())
    }

    fn with_sentry(&self, control: &mut Session, sessions: Sessions) -> Result<Attempt> {
        let Sessions { mut locker, mut refresher, mut renamer, mut prober } = sessions;
        self.steps.at(Step::BeforeLock, locker.id());
        // READ keeps writers out, and lets others read on. Writers go on until it is granted.
        locker.exec(&format!("LOCK TABLES {} READ, {} WRITE", self.pair.source, self.old))?;
        let clock = LockClock::start();
        self.steps.at(Step::Locked, locker.id());
        let prepared = self.prepare_ghost(control, &mut refresher, &mut prober);
        if let Some(ended) = not_ready(prepared) {
            unlock(locker, control);
            return ended;
        }
        drop(refresher);

        self.steps.at(Step::BeforeRename, renamer.id());
        if let Err(error) = self.cancel.check() {
            unlock(locker, control);
            return Err(error);
        }
        let renamer_mark = renamer.mark().clone();
        let rename = self.rename_sql();
        std::thread::scope(|scope| {
            let renaming = std::thread::Builder::new()
                .name("oa-rename".to_owned())
                .spawn_scoped(scope, move || (renamer.exec(&rename), renamer))
                .map_err(|error| {
                    Error::new(ErrorKind::Server, "a thread could not be started")
                        .with_source(error)
                })?;
            let queued =
                self.let_it_reach_the_table(control, &mut locker, &mut prober, renamer_mark.id);
            if queued.is_err() {
                // It may be waiting still, and must not go through once the lock is gone.
                let forever = Cancel::default();
                let ended = prober.end(&renamer_mark, &forever);
                if let Err(error) = ended.or_else(|_| control.end(&renamer_mark, &forever)) {
                    log::warn!("the queued swap could not be ended: {}", error.message());
                }
            }
            // Only now that the swap is either at the head of the queue, or dead.
            unlock(locker, control);
            let answer = renaming.join();
            let locked = clock.elapsed();
            let Ok((answer, renamer)) = answer else {
                return Err(Error::new(ErrorKind::Panic, "the renaming thread panicked")
                    .with_table_state(TableState::Unknown));
            };
            drop(renamer);
            self.judge(answer, queued, &renamer_mark, locked)
        })
    }

    /// Brings the ghost in step, and makes sure that nobody uses it: whoever does would keep the swap
    /// from reaching the table.
    fn prepare_ghost(
        &self,
        control: &mut Session,
        refresher: &mut Session,
        prober: &mut Session,
    ) -> Result<bool> {
        if !self.drain(control, refresher)? {
            return Ok(false);
        }
        self.settle_definition(refresher)?;
        prober
            .exec(&format!("LOCK TABLES {} WRITE", self.pair.ghost))
            .and_then(|_| prober.exec("UNLOCK TABLES"))
            .map_err(|error| error.context(format_args!("{} is in use", self.pair.ghost)))?;
        // Last, as a lock of the ghost would be one of what its triggers use, too.
        self.dress(control, refresher)?;
        Ok(true)
    }

    fn judge(
        &self,
        answer: Result<Done>,
        queued: Result<()>,
        renamer: &Mark,
        locked: Duration,
    ) -> Result<Attempt> {
        match answer {
            Ok(_) => {
                self.steps.at(Step::Renamed, renamer.id);
                Ok(Attempt::Swapped { locked })
            }
            Err(error) if error.fault().is_some_and(Fault::is_ambiguous) => {
                self.outcome_of_lost_answer(renamer, &error, locked)
            }
            Err(error) => queued.and(Err(error)),
        }
    }

    /// Opens the way to the table, and proves that the swap has come to it.
    fn let_it_reach_the_table(
        &self,
        control: &mut Session,
        locker: &mut Session,
        prober: &mut Session,
        renamer: u32,
    ) -> Result<()> {
        let end = Instant::now() + self.limits.lock_timeout;
        let late = |what: &str| {
            Err(Error::new(ErrorKind::CutOver, what.to_owned()).with_fault(Fault::LockWait, None))
        };
        while !is_waiting(control, renamer)? {
            if Instant::now() > end {
                return late("the swap did not get as far as the sentry table");
            }
            self.cancel.sleep(LOOK_AGAIN)?;
        }
        self.steps.at(Step::RenameQueued, renamer);
        let probe = format!("SELECT {TAG} 1 FROM {} LIMIT 1", self.pair.source);
        // Whoever waits for the table exclusively by now would come before the swap, and change what is
        // the old table after it.
        // Names are locked in their order: a table whose name comes before the sentry's (`100`, `Users`)
        // is waited for by the swap itself already.
        if self.pair.source.table >= self.old.table {
            prober
                .exec(&probe)
                .map_err(|error| error.context("somebody else waits for the table"))?;
        }
        locker.exec(&format!("DROP TABLE {}", self.old))?;
        self.steps.at(Step::SentryDropped, locker.id());
        // A reader gets through as long as nobody waits for the table exclusively, and fails at once
        // as soon as the swap does.
        loop {
            match prober.exec(&probe) {
                Err(error) if error.fault() == Some(Fault::LockWait) => break,
                other => other.map(drop)?,
            }
            if Instant::now() > end {
                return late("the swap did not get as far as the table");
            }
            self.cancel.sleep(LOOK_AGAIN)?;
        }
        // Or as soon as somebody's ALTER does, which may have come first; or it waits in a way that lets
        // readers through.
        if let Some(statement) = self.definition_that_waits(control, renamer)? {
            return late(&format!("somebody else's statement waits for the table: {statement}"));
        }
        self.steps.at(Step::RenameProven, locker.id());
        Ok(())
    }

    /// A statement about the table's definition that waits, as far as the user may see those of others.
    fn definition_that_waits(&self, session: &mut Session, renamer: u32) -> Result<Option<String>> {
        let source = &self.pair.source;
        let sql = format!(
            "SELECT DB, INFO FROM information_schema.PROCESSLIST WHERE ID <> {renamer} AND STATE LIKE \
             '%metadata lock%' AND INFO IS NOT NULL"
        );
        let is_ddl = |db: &str, text: &str| {
            let statement = classify(text, db, Dialect::default());
            matches!(statement.effect, Effect::Ddl(_))
                && statement.names(source.schema.as_str(), source.table.as_str())
        };
        Ok(session.rows(&sql)?.into_iter().find_map(|row| {
            let mut row = row.into_iter();
            let (db, text) = (row.next()?.unwrap_or_default(), row.next()??);
            is_ddl(&db, &text).then(|| text.chars().take(120).collect())
        }))
    }
}

/// Whether the connection waits for a metadata lock.
fn is_waiting(session: &mut Session, connection: u32) -> Result<bool> {
    let state = session.scalar(&format!(
        "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = {connection}"
    ))?;
    Ok(state.is_some_and(|state| state.contains("metadata lock")))
}
