//! Waiting for the rows at keys: until all that is in the binlog of them is visible.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::refresher::Refresher;
use crate::cancel::Cancel;
use crate::db::{Session, missing};
use crate::error::Result;
use crate::fault::Fault;
use crate::sql::key::Bound;
use crate::sql::statements::OnLocked;
use crate::sql::{Key, KeyShape};

/// What became of a look at keys.
#[derive(Debug)]
pub(super) struct Look {
    /// None if nothing could be seen, because of rows that others have locked.
    pub(super) seen: Option<Seen>,
    /// Keys that could not be seen.
    pub(super) locked_keys: Vec<Key>,
    /// For how long rows were locked.
    pub(super) locked: Duration,
}

/// Keys whose rows could be locked, and so are visible as the binlog has them.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) keys: Vec<Key>,
    /// The rows that are there, by their own keys, which the server may hold for the same as other ones.
    pub(super) present: Vec<Key>,
    /// All keys without a row. If only the server can tell keys apart, all of them.
    pub(super) absent: Vec<Key>,
}

impl Refresher {
    /// Locks the rows at the keys, and gives the locks back. Of several keys it waits for none.
    pub(super) fn look(
        &self,
        session: &mut Session,
        keys: &[Key],
        on_locked: OnLocked,
        cancel: &Cancel,
    ) -> Result<Look> {
        let shape = &self.pair.key;
        // Where it is known which rows were left out, the others need not wait for them.
        let skips = shape.is_int() && keys.len() > 1;
        let first = if skips { OnLocked::Skip } else { on_locked };
        let look = self.pair.see_keys(keys, first)?;
        session.retrying(self.retries, cancel, |session| {
            let started = Instant::now();
            let mut looking = || -> Result<(Option<Seen>, Vec<Key>)> {
                let Some(mut present) = see(shape, session, &look)? else {
                    return Ok((None, Vec::new()));
                };
                let mut rest = absent(shape, keys, &present);
                let mut locked = Vec::new();
                if skips && !rest.is_empty() {
                    match see(shape, session, &self.pair.see_keys(&rest, on_locked)?)? {
                        Some(more) => {
                            rest = absent(shape, &rest, &more);
                            present.extend(more);
                        }
                        None => locked = std::mem::take(&mut rest),
                    }
                }
                if locked.len() == keys.len() {
                    return Ok((None, Vec::new()));
                }
                let mut seen = keys.to_vec();
                if !locked.is_empty() {
                    let locked: HashSet<&Key> = locked.iter().collect();
                    seen.retain(|key| !locked.contains(key));
                }
                Ok((Some(Seen { keys: seen, present, absent: rest }), locked))
            };
            let (seen, locked_keys) = looking()?;
            session.exec("COMMIT")?;
            Ok(Look { seen, locked_keys, locked: started.elapsed() })
        })
    }
}

/// The keys of the rows that could be locked; none if one of them is locked by somebody else.
fn see(shape: &KeyShape, session: &mut Session, sql: &str) -> Result<Option<Vec<Key>>> {
    let rows = match session.rows(sql) {
        Ok(rows) => rows,
        Err(error) if error.fault() == Some(Fault::LockWait) => return Ok(None),
        Err(error) => return Err(error),
    };
    let width = shape.columns.len();
    let keys = rows.into_iter().map(|row| {
        let texts: Option<Vec<String>> = row.into_iter().take(width).collect();
        let texts = texts.ok_or_else(|| missing("a key without NULL"))?;
        Ok(shape.key_at(Bound::of_selected(shape, &texts)))
    });
    keys.collect::<Result<_>>().map(Some)
}

/// Which of the keys are not among the rows.
fn absent(shape: &KeyShape, keys: &[Key], present: &[Key]) -> Vec<Key> {
    // No two of the keys are the same row, and no row is there twice.
    if present.len() == keys.len() && shape.is_exact() {
        return Vec::new();
    }
    if !shape.is_int() {
        return keys.to_vec();
    }
    let present: HashSet<&Key> = present.iter().collect();
    keys.iter().filter(|key| !present.contains(key)).cloned().collect()
}
