//! Which rows of a chunk the ghost refuses: a chunk fails as a whole, with the server's word for one
//! of its rows and not a key.

use std::time::{Duration, Instant};

use super::chunker;
use super::worker::CopyWorker;
use crate::db::Session;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::refresh::Who;
use crate::sql::key::Bound;

/// So many rows are named.
const MOST: usize = 5;

/// For so long they are looked for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A range of the key, and how many rows it had.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) after: Option<&'a Bound>,
    pub(super) through: Option<&'a Bound>,
    pub(super) rows: u64,
}

struct Search<'a> {
    worker: &'a CopyWorker<'a>,
    session: &'a mut Session,
    end: Instant,
    found: Vec<String>,
}

/// Names the rows for which copying the range failed with `error`. It is tried again with ever smaller
/// parts of it, each in a transaction that is rolled back.
pub(super) fn name(
    worker: &CopyWorker<'_>,
    part: Part<'_>,
    session: &mut Session,
    error: Error,
) -> Error {
    let end = Instant::now() + PATIENCE;
    let mut search = Search { worker, session, end, found: Vec::new() };
    if let Err(other) = search.narrow(part) {
        log::debug!("looking for the rows that are refused: {}", other.message());
    }
    let _ = search.session.exec("ROLLBACK");
    let more = if search.found.len() >= MOST { "; perhaps more" } else { "" };
    match search.found.as_slice() {
        [] => error,
        found => error
            .with_message(format!("rows that the new table refuses: {}{more}", found.join("; "))),
    }
}

impl Search<'_> {
    fn narrow(&mut self, part: Part<'_>) -> Result<()> {
        if self.found.len() >= MOST || Instant::now() > self.end {
            return Ok(());
        }
        let Part { after, through, rows } = part;
        let Err(error) = self.attempt(after, through) else {
            return Ok(());
        };
        if error.fault() != Some(Fault::Data) {
            return Err(error);
        }
        let half = (rows / 2).max(1);
        let CopyWorker { pair, retries, cancel, .. } = self.worker;
        let middle =
            chunker::boundary(pair, (after, through), half, *retries, self.session, cancel)?;
        match middle {
            // Two rows at least.
            Some(middle) if Some(&middle) != through => {
                self.narrow(Part { after, through: Some(&middle), rows: half })?;
                self.narrow(Part { after: Some(&middle), through, rows: rows - rows.min(half) })
            }
            // Fewer rows than were thought.
            _ if half > 1 => self.narrow(Part { after, through, rows: half }),
            _ => {
                let name = self.session.scalar(&pair.name_last(after, through))?;
                let name = name.unwrap_or_else(|| "a row that is gone".to_owned());
                self.found.push(format!("{name} ({})", error.message()));
                Ok(())
            }
        }
    }

    /// Copies a part, and takes it back.
    fn attempt(&mut self, after: Option<&Bound>, through: Option<&Bound>) -> Result<()> {
        self.worker.cancel.check()?;
        let sql = self.worker.pair.copy_range(after, through);
        self.session.exec("START TRANSACTION")?;
        let _turn = self.worker.turns.take(Who::Chunk);
        let copied = self.session.exec(&sql);
        self.session.exec("ROLLBACK")?;
        copied.map(drop)
    }
}
