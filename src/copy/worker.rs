//! Copies chunks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::chunker;
use super::offenders::{self, Part};
use crate::cancel::Cancel;
use crate::db::{Retries, Session};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::refresh::flights::Span;
use crate::refresh::{Flights, Pending, Turns, Who, too_big};
use crate::sql::key::Bound;
use crate::sql::statements::TablePair;
use crate::throttle::Gate;

/// What became of a chunk.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) chunk: Chunk,
    /// Rows read from the table.
    pub(crate) rows: u64,
    pub(crate) time: Duration,
}

/// Copies one chunk after the other.
pub(crate) struct CopyWorker<'a> {
    pub(crate) pair: Arc<TablePair>,
    pub(crate) flights: &'a Flights,
    pub(crate) pending: &'a Pending,
    pub(crate) turns: &'a Turns,
    pub(crate) gate: &'a Gate,
    pub(crate) retries: Retries,
    pub(crate) cancel: &'a Cancel,
    /// Told why a chunk is tried again.
    pub(crate) on_retry: &'a (dyn Fn(&Error) + Sync),
}

impl std::fmt::Debug for CopyWorker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyWorker").field("pair", &self.pair).finish_non_exhaustive()
    }
}

impl CopyWorker<'_> {
    /// Copies a chunk, in a session with `autocommit = 1`.
    pub(crate) fn copy(&self, chunk: Chunk, session: &mut Session) -> Result<Copied> {
        let started = Instant::now();
        let rows =
            self.copy_range((chunk.after.as_ref(), chunk.through.as_ref()), chunk.rows, session)?;
        Ok(Copied { chunk, rows, time: started.elapsed() })
    }

    fn copy_range(
        &self,
        (after, through): (Option<&Bound>, Option<&Bound>),
        rows: u64,
        session: &mut Session,
    ) -> Result<u64> {
        self.gate.pass(self.cancel)?;
        let sql = self.pair.copy_range(after, through);
        let clear = self.pair.clear_range(after, through);
        let span = Span {
            after: after.and_then(Bound::int_value),
            through: through.and_then(Bound::int_value),
        };
        // Keys that are no integers cannot be told to lie in the chunk.
        let span = if self.pair.key.is_int() { span } else { Span::NOWHERE };
        let flight = self.flights.begin(span);
        let copied = session.retrying_aloud(self.retries, self.cancel, self.on_retry, |session| {
            let turn = self.turns.take(Who::Chunk);
            if !self.turns.matter() {
                return session.exec(&sql);
            }
            session.exec("START TRANSACTION")?;
            if let Some(clear) = &clear {
                session.exec(clear)?;
            }
            let done = session.exec(&sql)?;
            // The counter is free when the statement ends: others need not wait for the commit too, unless
            // a refresh must not come between.
            let kept = Some(turn).filter(|_| clear.is_some());
            session.exec("COMMIT")?;
            drop(kept);
            Ok(done)
        });
        // A statement of a connection that broke may still be under way if its end was not seen.
        let ended = !matches!(&copied, Err(error) if error.fault() == Some(Fault::Gone));
        if ended {
            self.pending.release(self.flights.end(flight));
        }
        match copied {
            Ok(done) => Ok(done.records.unwrap_or(done.affected)),
            Err(error) if error.fault() == Some(Fault::TooBig) && rows > 1 => {
                self.copy_halves((after, through), rows / 2, session)
            }
            Err(error) if error.fault() == Some(Fault::TooBig) => {
                let name = session.scalar(&self.pair.name_last(after, through))?;
                Err(too_big(&name.unwrap_or_default()).with_source(error))
            }
            Err(error) => {
                let error = match error.fault() {
                    Some(Fault::Data) => {
                        let part = Part { after, through, rows };
                        offenders::name(self, part, session, error)
                    }
                    _ => error,
                };
                Err(error.context(format_args!("copying the rows {}", range(after, through))))
            }
        }
    }

    fn copy_halves(
        &self,
        (after, through): (Option<&Bound>, Option<&Bound>),
        rows: u64,
        session: &mut Session,
    ) -> Result<u64> {
        let bounds = (after, through);
        let middle =
            chunker::boundary(&self.pair, bounds, rows, self.retries, session, self.cancel)?;
        let Some(middle) = middle else {
            // Fewer rows than that are left: rows have been deleted meanwhile.
            return self.copy_range(bounds, rows / 2, session);
        };
        let first = self.copy_range((after, Some(&middle)), rows, session)?;
        Ok(first + self.copy_range((Some(&middle), through), rows, session)?)
    }
}

fn range(after: Option<&Bound>, through: Option<&Bound>) -> String {
    let show = |bound: Option<&Bound>, none: &str| bound.map_or(none.to_owned(), Bound::to_string);
    format!("behind {} through {}", show(after, "the beginning"), show(through, "the end"))
}
