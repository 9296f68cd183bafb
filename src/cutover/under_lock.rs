//! What is done while writers are blocked, whichever the strategy.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Counter, CutOver};
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::inspect::table::Definition;
use crate::steps::Step;

impl CutOver<'_> {
    /// Brings the ghost in step with the table, for good. `control` writes the marker, `refresher`
    /// (which may be the connection that holds the lock) moves the rows. `false` if the stream took
    /// too long.
    pub(super) fn drain(&self, control: &mut Session, refresher: &mut Session) -> Result<bool> {
        let marker = self.state.write_last_call(control, self.feed)?;
        if !self.feed.wait_for_marker(marker, self.limits.lock_timeout, self.cancel)? {
            return Ok(false);
        }
        self.steps.at(Step::MarkerSeen, refresher.id());
        // Nothing adds keys any more: the stream stands at the marker, and writers are blocked.
        let deadline = Instant::now() + self.limits.lock_timeout;
        self.refresher.refresh_all_locked(refresher, deadline).map_err(|error| {
            match error.fault() {
                Some(Fault::Duplicate) => error
                    .with_kind(ErrorKind::DuplicateRows)
                    .context("rows have the same value in a unique key that the ALTER adds"),
                _ => error,
            }
        })?;
        let left = self.refresher.pending().outstanding();
        if left > 0 {
            // Somebody wrote: the lock is lost.
            let why = format!("{left} keys were still pending under the lock");
            return Err(Error::new(ErrorKind::CutOver, why).with_fault(Fault::LockWait, None));
        }
        self.steps.at(Step::Drained, refresher.id());
        Ok(true)
    }

    /// Makes the ghost's definition final, and makes sure that both tables are still defined as
    /// they were. `session` must be able to read both and to alter the ghost.
    pub(super) fn settle_definition(&self, session: &mut Session) -> Result<()> {
        session.check_guard()?;
        let source = Definition::read(session, &self.pair.source)?;
        if source.text != self.source_definition.text {
            return Err(changed(&self.pair.source));
        }
        let ghost = Definition::read(session, &self.pair.ghost)?;
        if ghost.text != self.ghost_definition.lock().text {
            return Err(changed(&self.pair.ghost));
        }
        let mut statements = Vec::new();
        if let Some(stand_in) = &self.stand_in {
            statements.extend(stand_in.drops());
            self.settled.store(true, Ordering::SeqCst);
        }
        let counter = match self.counter {
            Counter::None => None,
            Counter::Carried => Some(source.auto_increment.unwrap_or(1)),
            Counter::Set(counter) => Some(counter),
        };
        // Where there are rows beyond it, the server itself makes more of it.
        if let Some(counter) = counter.filter(|n| *n != ghost.auto_increment.unwrap_or(1)) {
            let counter = format!("AUTO_INCREMENT = {counter}");
            match statements.first_mut() {
                Some(first) => *first = format!("{counter}, {first}"),
                None => statements.push(counter),
            }
        }
        for clauses in statements {
            session.exec(&format!("ALTER TABLE {} {clauses}", self.pair.ghost))?;
        }
        // Reading a definition in a transaction keeps its metadata lock, which would be in the way.
        session.exec("COMMIT")?;
        self.steps.at(Step::Checked, session.id());
        Ok(())
    }
}

fn changed(table: &crate::sql::TableName) -> Error {
    let why = format!("the definition of {table} was changed during the run");
    Error::new(ErrorKind::TableChanged, why)
}
