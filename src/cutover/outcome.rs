//! What became of a swap whose answer was lost. Never asked for again blindly: a second one would
//! swap the tables back.

use std::time::{Duration, Instant};

use super::{Attempt, CutOver, PATIENT};
use crate::cancel::Cancel;
use crate::db::{Mark, Purpose, Session};
use crate::error::{Error, ErrorKind, Leftover, Result, TableState};
use crate::inspect::Table;
use crate::steps::Step;

impl CutOver<'_> {
    /// Ends the connection, and with it the statement, and looks. Nobody but this
    /// run, which holds the named lock, creates or renames the ghost, so whether the ghost is there
    /// decides.
    pub(super) fn outcome_of_lost_answer(
        &self,
        connection: &Mark,
        lost: &Error,
        locked: Duration,
    ) -> Result<Attempt> {
        log::warn!("the answer to RENAME was lost ({}); looking what became of it", lost.message());
        match self.look(connection) {
            Ok(true) => {
                self.steps.at(Step::Renamed, connection.id);
                Ok(Attempt::Swapped { locked })
            }
            Ok(false) => Ok(Attempt::Retry(format!("RENAME failed: {}", lost.message()))),
            Err(error) => Err(Error::new(
                ErrorKind::CutOver,
                format!(
                    "the answer to RENAME was lost, and its outcome could not be learned: if {} is \
                     still there, the tables are not swapped ({})",
                    self.pair.ghost,
                    error.message()
                ),
            )
            .with_table_state(TableState::Unknown)
            .with_leftovers(vec![
                Leftover::Connection(connection.id),
                Leftover::Table(self.pair.ghost.to_string()),
            ])
            .with_source(error)),
        }
    }

    /// Whether the tables are swapped.
    fn look(&self, connection: &Mark) -> Result<bool> {
        // The outcome matters even to a run that was asked to stop.
        let cancel = Cancel::default();
        let (connector, purpose) = (self.connector, Purpose::Inspect);
        let mut session =
            Session::open_patiently(connector, self.flavor, purpose, PATIENT, &cancel)?;
        session.retrying(PATIENT, &cancel, |session| {
            session.end(connection, &cancel)?;
            self.look_at_tables(session, &cancel)
        })
    }

    fn look_at_tables(&self, session: &mut Session, cancel: &Cancel) -> Result<bool> {
        const PATIENCE: Duration = Duration::from_secs(5);
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let end = Instant::now() + PATIENCE;
        loop {
            let ghost = Table::exists(session, &self.pair.ghost)?;
            let old = Table::exists(session, &self.old)?;
            let source = Table::exists(session, &self.pair.source)?;
            match (source, ghost, old) {
                (true, false, true) => return Ok(true),
                (true, true, _) => return Ok(false),
                // On MariaDB a table cannot be seen for a moment when somebody's ALTER of it ends.
                _ if Instant::now() < end => cancel.sleep(LOOK_AGAIN)?,
                _ => {
                    return Err(Error::new(
                        ErrorKind::TableChanged,
                        "the tables are neither as they were nor swapped",
                    ));
                }
            }
        }
    }
}
