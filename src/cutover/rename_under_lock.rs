//! The strategy for MySQL 8.0.13 and later, which renames tables under LOCK TABLES: one connection
//! locks both tables, drains, and renames. If it dies before the swap, the locks are gone and
//! nothing has happened.

use super::{Attempt, CutOver, LockClock, not_ready, unlock};
use crate::db::Session;
use crate::error::Result;
use crate::fault::Fault;
use crate::steps::Step;

impl CutOver<'_> {
    /// `locker` is a session for refreshes.
    pub(super) fn rename_under_lock(
        &self,
        control: &mut Session,
        mut locker: Session,
    ) -> Result<Attempt> {
        let id = locker.id();
        self.steps.at(Step::BeforeLock, id);
        self.lock_parents(control)?;
        // Writers queue up behind the request for the lock already.
        let clock = LockClock::start();
        let prepared = self.lock_and_drain(control, &mut locker);
        if let Some(ended) = not_ready(prepared) {
            unlock(locker, control);
            return ended;
        }
        self.steps.at(Step::BeforeRename, id);
        // As late as can be: whoever loses the lock behind it leaves foreign keys in force.
        let dressed = self.cancel.check().and_then(|()| self.dress(control, &mut locker));
        if let Err(error) = dressed {
            self.undress_locked(&mut locker);
            unlock(locker, control);
            return Err(error);
        }
        match locker.exec(&self.rename_sql()) {
            Ok(_) => {
                self.free_parents(&mut locker);
                let locked = clock.elapsed();
                unlock(locker, control);
                self.steps.at(Step::Renamed, id);
                Ok(Attempt::Swapped { locked })
            }
            // Not even a killed statement is sure not to have been carried out.
            Err(error) if error.fault().is_some_and(Fault::is_ambiguous) => {
                let mark = locker.mark().clone();
                drop(locker);
                self.outcome_of_lost_answer(&mark, &error, clock.elapsed())
            }
            Err(error) => {
                self.undress_locked(&mut locker);
                unlock(locker, control);
                Err(error)
            }
        }
    }

    fn lock_and_drain(&self, control: &mut Session, locker: &mut Session) -> Result<bool> {
        let (source, ghost) = (&self.pair.source, &self.pair.ghost);
        locker.exec(&format!("LOCK TABLES {source} WRITE, {ghost} WRITE"))?;
        self.steps.at(Step::Locked, locker.id());
        if !self.drain(control, locker)? {
            return Ok(false);
        }
        self.settle_definition(locker)?;
        Ok(true)
    }
}
