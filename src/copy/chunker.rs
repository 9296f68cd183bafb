//! Cuts the key into chunks, in key order, by asking the server: only the server knows the order
//! of its keys, and where they are. But where most integers in a row are keys, it need not be asked for
//! each chunk.

use std::sync::Arc;

use super::chunk::Chunk;
use super::chunk_size::Sizer;
use crate::cancel::Cancel;
use crate::db::{Retries, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::key::Bound;
use crate::sql::statements::TablePair;

/// Finds the chunks up to the last key that the table had when the copy began. Rows beyond it are
/// new, and come through the stream.
#[derive(Debug)]
pub(crate) struct Chunker {
    pair: Arc<TablePair>,
    retries: Retries,
    after: Option<Bound>,
    last: Option<Bound>,
    next: u64,
    /// The keys at the end of the last chunk are integers of which most in a row are there.
    dense: bool,
    /// The chunk behind the last one for which the server was asked.
    asked: u64,
    /// There may be rows behind `last`.
    open_end: bool,
    finished: bool,
}

impl Chunker {
    /// To be called behind the fence.
    pub(crate) fn new(
        pair: Arc<TablePair>,
        retries: Retries,
        session: &mut Session,
        cancel: &Cancel,
    ) -> Result<Self> {
        let last = key_of(&pair, &pair.last_key(), retries, session, cancel)?;
        Ok(Chunker {
            pair,
            retries,
            after: None,
            finished: last.is_none(),
            last,
            next: 0,
            dense: false,
            asked: 0,
            open_end: false,
        })
    }

    /// Those behind a key alone: the others are copied.
    pub(crate) fn behind(self, after: Option<Bound>) -> Self {
        let finished = self.finished || after.is_some() && after == self.last;
        Chunker { after, finished, ..self }
    }

    /// All rows, those behind the last key too. An empty table is one chunk.
    pub(crate) fn everything(
        pair: Arc<TablePair>,
        retries: Retries,
        session: &mut Session,
        cancel: &Cancel,
    ) -> Result<Self> {
        let chunker = Self::new(pair, retries, session, cancel)?;
        Ok(Chunker { finished: false, open_end: true, ..chunker })
    }

    /// The next chunk, of about as many rows as the sizer says.
    pub(crate) fn next(
        &mut self,
        sizer: &Sizer,
        session: &mut Session,
        cancel: &Cancel,
    ) -> Result<Option<Chunk>> {
        if self.finished {
            return Ok(None);
        }
        let mut rows = sizer.rows().max(1);
        // Chunks that were cut ahead of the news are empty, or nearly: they cost little, and are no news
        // of what comes behind the hole.
        self.dense &= !sizer.has_found_a_gap(self.asked);
        let step = if self.dense { self.step(rows) } else { None };
        let in_a_row = step.is_some();
        let end = match step {
            Some((end, width)) => {
                rows = width;
                Some(end)
            }
            // Behind the last key, all in one.
            None if self.after == self.last => None,
            None => {
                let bounds = (self.after.as_ref(), self.last.as_ref());
                let end = boundary(&self.pair, bounds, rows, self.retries, session, cancel)?;
                self.dense = self.is_dense(end.as_ref(), rows);
                self.asked = self.next + 1;
                end.or_else(|| self.last.clone())
            }
        };
        self.finished = end.is_none() || end == self.last && !self.open_end;
        let after = std::mem::replace(&mut self.after, end.clone());
        let number = self.next;
        self.next += 1;
        Ok(Some(Chunk { number, after, through: end, rows, in_a_row }))
    }

    /// The end of a chunk for which the server is not asked, and how many keys may be in it: at most
    /// as many as wanted.
    fn step(&self, rows: u64) -> Option<(Bound, u64)> {
        let after = self.after.as_ref()?.int_value()?;
        let last = self.last.as_ref()?.int_value()?;
        let end = (after + i128::from(rows)).min(last);
        let width = u64::try_from(end - after).ok().filter(|width| *width > 0)?;
        Some((Bound(vec![end.to_string()]), width))
    }

    /// Whether at least half of the integers in the chunk that ends there are keys.
    fn is_dense(&self, end: Option<&Bound>, rows: u64) -> bool {
        let ascending = self.pair.key.columns.iter().all(|column| !column.descending);
        let (Some(after), Some(end)) = (&self.after, end) else { return false };
        self.pair.key.is_int()
            && ascending
            && matches!((after.int_value(), end.int_value()), (Some(after), Some(end))
                if end - after <= 2 * i128::from(rows))
    }
}

/// The key of the row that ends a chunk of `rows` rows, if there are as many.
pub(super) fn boundary(
    pair: &TablePair,
    (after, through): (Option<&Bound>, Option<&Bound>),
    rows: u64,
    retries: Retries,
    session: &mut Session,
    cancel: &Cancel,
) -> Result<Option<Bound>> {
    key_of(pair, &pair.boundary(after, through, rows - 1), retries, session, cancel)
}

fn key_of(
    pair: &TablePair,
    sql: &str,
    retries: Retries,
    session: &mut Session,
    cancel: &Cancel,
) -> Result<Option<Bound>> {
    let rows = session.retrying(retries, cancel, |session| session.rows(sql))?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let texts: Option<Vec<String>> = row.into_iter().collect();
    let texts = texts.ok_or_else(|| {
        Error::new(ErrorKind::NoUsableKey, "a key column holds NULL, and was said not to")
    })?;
    Ok(Some(Bound::of_selected(&pair.key, &texts)))
}
