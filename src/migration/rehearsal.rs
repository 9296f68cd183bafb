//! A run that stops before the copy.

use std::fmt;
use std::sync::Arc;

use super::control::Control;
use super::handle::Background;
use super::progress::Progress;
use crate::error::Result;

/// What a rehearsal came to: [`Plan::rehearse`](crate::Plan::rehearse).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// The table, quoted.
    pub table: String,
    /// The definition that the table would have, as `SHOW CREATE TABLE` said of the altered, empty copy; without
    /// foreign keys, which come at the cut-over.
    pub definition: String,
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} can be altered; nothing is left of the rehearsal. It would be:\n{}",
            self.table, self.definition
        )
    }
}

/// A rehearsal that goes on in threads of its own: [`Plan::start_rehearsal`](crate::Plan::start_rehearsal).
///
/// Dropping the handle aborts the rehearsal and waits until it has taken back what it made.
#[derive(Debug)]
pub struct RehearsalHandle(Background<Rehearsal>);

impl RehearsalHandle {
    pub(crate) fn start(
        control: Arc<Control>,
        work: impl FnOnce(&Control) -> Result<Rehearsal> + Send + 'static,
    ) -> Result<Self> {
        Background::start(control, work).map(RehearsalHandle)
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.0.control.progress()
    }

    /// Asks it to stop, and to take back what it made; that is never broken off. What became of it comes from
    /// [`join`](Self::join): an error of the kind [`Aborted`](crate::ErrorKind::Aborted), unless it was done already.
    pub fn abort(&self) {
        self.0.control.abort();
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for its end.
    pub fn join(self) -> Result<Rehearsal> {
        self.0.join()
    }
}
