//! Counting the rows beside the copy.

use parking_lot::Mutex;

use super::control::Control;
use crate::cancel::Cancel;
use crate::db::{Mark, Session};
use crate::error::Result;
use crate::sql::TableName;

/// The connection that counts, if one does: the RENAME would have to wait for it.
#[derive(Debug, Default)]
pub(crate) struct Counting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by: Option<Mark>,
    stopped: bool,
}

impl Counting {
    /// Counts all rows, which may take long, and tells `control`. What goes wrong is no harm: then it is the
    /// estimate that counts.
    pub(super) fn count(&self, mut session: Session, table: &TableName, control: &Control) {
        {
            let mut state = self.0.lock();
            if state.stopped {
                return;
            }
            state.by = Some(session.mark().clone());
        }
        let counted = session.scalar(&format!("SELECT COUNT(*) FROM {table}"));
        self.0.lock().by = None;
        match counted {
            Ok(Some(rows)) => {
                if let Ok(rows) = rows.parse() {
                    control.note_exact_rows(rows);
                }
            }
            Ok(None) => {}
            Err(error) => log::debug!("the rows are not counted: {}", error.message()),
        }
    }

    /// Ends it, or keeps it from beginning.
    pub(super) fn stop(&self, session: &mut Session) -> Result<()> {
        let by = {
            let mut state = self.0.lock();
            state.stopped = true;
            state.by.clone()
        };
        // Also when the run has been asked to stop: it waits for the thread.
        by.map_or(Ok(()), |mark| session.end(&mark, &Cancel::default()))
    }
}
