//! What happens between the attempts to cut over.

use std::sync::atomic::Ordering;

use super::observer::Event;
use super::stages::Stages;
use super::verification::Verifier;
use crate::cutover::{Attempts, Blocker};
use crate::db::Session;
use crate::error::Result;

/// Is told of the attempts of a run, and holds up the next one.
pub(super) struct Told<'a, 'b> {
    pub(super) stages: &'a Stages<'a>,
    pub(super) definer: &'a mut Session,
    pub(super) verifier: Option<&'a mut Verifier<'b>>,
}

impl Attempts for Told<'_, '_> {
    fn is_postponed(&mut self) -> bool {
        self.stages.control.is_postponed()
    }

    fn wait(&mut self, session: &mut Session) -> Result<()> {
        self.stages.until_released(session, self.verifier.as_deref_mut())?;
        // It is needed behind the swap.
        self.stages.refresh_connection(self.definer)
    }

    fn begins(&mut self, attempt: u32) -> Result<()> {
        let control = self.stages.control;
        control.attempts.store(attempt, Ordering::Relaxed);
        // The last chance for a veto.
        control.tell(&Event::CutOverAttempt { attempt });
        control.defer_abort()
    }

    fn failed(&mut self, attempt: u32, why: &str, blockers: &[Blocker]) {
        log::debug!("cut-over attempt {attempt} failed: {why}");
        let (reason, blockers) = (why.to_owned(), blockers.to_vec());
        let control = self.stages.control;
        control.tell(&Event::CutOverFailed { attempt, reason, blockers });
        control.allow_abort();
    }
}
