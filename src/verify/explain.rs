//! Tells differences that pending changes account for from real ones.
//!
//! The two tables are never quite the same while they are written to: a row differs from when it is
//! changed until it is refreshed. So whatever differs is looked at again behind a fence: when
//! everything written before has been refreshed, and nothing has changed the row since, a difference
//! is real. A write that is not in the binlog shows in this way, and so does a value that the altered
//! table cannot hold.

use std::time::Duration;

use super::comparer::Comparer;
use crate::binlog::Feed;
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::db::{Retries, Session};
use crate::error::Result;
use crate::fault::Fault;
use crate::refresh::{Batch, Pending, Refresher, Touched, Wanted};
use crate::sql::Key;
use crate::sql::statements::TablePair;
use crate::throttle::Gate;

/// How often a row that keeps changing is looked at without locking it.
const LOOKS: u32 = 5;

/// Explains differences. Used by one thread: only one set of keys is watched at a time.
#[derive(Debug)]
pub(crate) struct Explainer<'a> {
    pub(crate) comparer: &'a Comparer,
    pub(crate) pair: &'a TablePair,
    pub(crate) refresher: &'a Refresher,
    pub(crate) touched: &'a Touched,
    pub(crate) feed: &'a Feed,
    pub(crate) state: &'a StateTable,
    pub(crate) gate: &'a Gate,
    pub(crate) retries: Retries,
    pub(crate) cancel: &'a Cancel,
}

impl Explainer<'_> {
    /// Those of the keys whose rows really differ. `rows` compares and writes markers; `locker` has
    /// `autocommit = 0`.
    pub(crate) fn really_different(
        &self,
        keys: &[Key],
        rows: &mut Session,
        locker: &mut Session,
    ) -> Result<Vec<Key>> {
        const AT_ONCE: usize = 500;
        let mut real = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            let result = self.settle(keys.to_vec(), rows, locker);
            self.touched.watch(&[]);
            real.extend(result?);
        }
        Ok(real)
    }

    fn settle(
        &self,
        mut keys: Vec<Key>,
        rows: &mut Session,
        locker: &mut Session,
    ) -> Result<Vec<Key>> {
        let mut real = Vec::new();
        for _ in 0..LOOKS {
            // Before the fence: a change between it and the look must not go unnoticed.
            self.touched.watch(&keys);
            self.catch_up(&keys, rows)?;
            let different = self.compare(&keys, rows)?;
            if different.is_empty() {
                return Ok(real);
            }
            // What the look may have seen has been noted once this has come through.
            self.fence(rows)?;
            let (moved, at_rest): (Vec<Key>, Vec<Key>) =
                different.into_iter().partition(|key| self.touched.may_have(key));
            real.extend(at_rest);
            keys = moved;
            if keys.is_empty() {
                return Ok(real);
            }
        }
        for key in keys {
            if self.differs_locked(&key, rows, locker)? {
                real.push(key);
            }
        }
        Ok(real)
    }

    /// Looks at a row that never rests: while it is kept from changing, it is refreshed and compared, in
    /// one transaction. Waiting for others to refresh it would take long, as writers who queue for the
    /// row come first, and all the while they would wait.
    fn differs_locked(&self, key: &Key, rows: &mut Session, locker: &mut Session) -> Result<bool> {
        // The row as it is now may have its key in another spelling.
        let mut keys = vec![key.clone()];
        for _ in 0..LOOKS {
            self.gate.pass(self.cancel)?;
            // What a comparison needs is made before anything is locked.
            locker.retrying(self.retries, self.cancel, |locker| {
                self.comparer.keys(locker, &keys)?;
                locker.exec("ROLLBACK")
            })?;
            self.touched.watch(&keys);
            let compare = |locker: &mut Session| self.comparer.keys(locker, &keys);
            let (there, different) = match self.refresher.refresh_and(locker, &keys, compare) {
                Ok(looked) => looked,
                Err(error) => {
                    self.roll_back(locker)?;
                    match error.fault() {
                        // The application has it for long, or another row is in the way: another look.
                        Some(Fault::Duplicate) => continue,
                        Some(fault) if fault.is_passing() => continue,
                        // The ghost cannot hold it.
                        Some(Fault::Data) => return Ok(true),
                        _ => return Err(error),
                    }
                }
            };
            if !there {
                // There was nothing to lock: a row may have come since.
                self.fence(rows)?;
                if different.iter().any(|key| self.touched.may_have(key)) {
                    keys = different;
                    continue;
                }
            }
            if different.iter().all(|key| keys.contains(key)) {
                return Ok(!different.is_empty());
            }
            keys = different;
        }
        log::debug!("{} changes too fast to be compared", self.pair.key.display(key));
        Ok(false)
    }

    fn compare(&self, keys: &[Key], rows: &mut Session) -> Result<Vec<Key>> {
        rows.retrying(self.retries, self.cancel, |rows| self.comparer.keys(rows, keys))
    }

    /// Waits until the keys are refreshed as far as they have been changed by now.
    fn catch_up(&self, keys: &[Key], rows: &mut Session) -> Result<()> {
        // Batches that are under way when a wait begins do not count for it: it is not to begin often.
        const LONG: Duration = Duration::from_secs(600);
        self.fence(rows)?;
        let mut wanted = Wanted::new(keys, &self.pair.key);
        while !self.pending().wait_for_each_of(&mut wanted, LONG, self.cancel)? {}
        Ok(())
    }

    fn fence(&self, rows: &mut Session) -> Result<()> {
        const ROUND: Duration = Duration::from_secs(1);
        let marker = rows.retrying(self.retries, self.cancel, |rows| {
            self.state.write_marker(rows, self.feed, |_| ())
        })?;
        while !self.feed.wait_for_marker(marker, ROUND, self.cancel)? {}
        Ok(())
    }

    fn roll_back(&self, locker: &mut Session) -> Result<()> {
        locker.retrying(self.retries, self.cancel, |locker| locker.exec("ROLLBACK")).map(drop)
    }

    /// Makes the ghost equal to the table at the keys.
    pub(crate) fn repair(&self, keys: &[Key], locker: &mut Session) -> Result<()> {
        const AT_ONCE: usize = 500;
        for keys in keys.chunks(AT_ONCE) {
            self.gate.pass(self.cancel)?;
            let batch = Batch { keys: keys.to_vec(), repeated: false };
            // Two refreshes of one row side by side could leave it there twice where no unique index of the
            // ghost keeps it from that.
            let paused = self.pending().pause(self.cancel);
            let refreshed =
                paused.and_then(|()| self.refresher.refresh(locker, batch, self.cancel));
            self.pending().resume();
            refreshed?;
        }
        Ok(())
    }

    fn pending(&self) -> &Pending {
        self.refresher.pending()
    }
}
