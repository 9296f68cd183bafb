//! Cuts the key into chunks, in key order, by asking the server: only the server knows the order
//! of its keys.

use std::sync::Arc;

use super::chunk::Chunk;
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
        let finished = last.is_none();
        Ok(Chunker { pair, retries, after: None, last, next: 0, finished })
    }

    /// All rows, those behind the last key too. An empty table is one chunk.
    pub(crate) fn everything(pair: Arc<TablePair>, retries: Retries) -> Self {
        Chunker { pair, retries, after: None, last: None, next: 0, finished: false }
    }

    /// The next chunk, of about `rows` rows.
    pub(crate) fn next(
        &mut self,
        rows: u64,
        session: &mut Session,
        cancel: &Cancel,
    ) -> Result<Option<Chunk>> {
        if self.finished {
            return Ok(None);
        }
        let rows = rows.max(1);
        let end = boundary(
            &self.pair,
            (self.after.as_ref(), self.last.as_ref()),
            rows,
            self.retries,
            session,
            cancel,
        )?;
        if end.is_none() || end == self.last {
            self.finished = true;
        }
        let through = end.or_else(|| self.last.clone());
        let after = std::mem::replace(&mut self.after, through.clone());
        let number = self.next;
        self.next += 1;
        Ok(Some(Chunk { number, after, through, rows }))
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
