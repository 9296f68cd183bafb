//! Carries out refreshes: wait for the rows at the keys, put what is there into the ghost, take from
//! the ghost what is not.
//!
//! The rows are waited for with a locking read ([`look`](super::look)) whose locks are given back at
//! once; what is moved then is read without a lock. A change that is in the binlog but not visible yet
//! holds its row's lock: once we have had that, what we read is at least as new. What changes behind
//! that comes through the stream later than this refresh began, and is refreshed again; of one key there
//! is never more than one refresh under way. So no row of the application is locked while the ghost
//! is written, and no commit is waited for with one locked.
//!
//! Where a secondary unique key lets a REPLACE displace another row, all refreshes come one after the
//! other. Side by side, one that has read an old row, and is slow, could displace the newer row of
//! another one, which nobody would put there again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{FairMutex, FairMutexGuard};

use super::conflicts::Conflicts;
use super::flights::Flights;
use super::look::Seen;
use super::part::Batch;
use super::pending::Pending;
use super::turns::{Turns, Who};
use crate::cancel::Cancel;
use crate::db::{Retries, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::Key;
use crate::sql::statements::{OnLocked, Put, TablePair};

/// How long a key rests whose row was locked by the application.
const LOCKED_REST: Duration = Duration::from_millis(50);

/// How long keys rest whose rows are in conflict with others in a unique key of the ghost alone.
const CONFLICT_REST: Duration = Duration::from_millis(500);

/// Refreshes keys. Shared by all refresh workers, and by the cut-over.
#[derive(Debug)]
pub(crate) struct Refresher {
    pub(super) pair: Arc<TablePair>,
    pub(super) pending: Arc<Pending>,
    flights: Arc<Flights>,
    turns: Arc<Turns>,
    pub(super) retries: Retries,
    /// Where rows could displace others: one refresh at a time.
    one_by_one: FairMutex<()>,
    may_displace: AtomicBool,
    /// Whether the ghost has unique keys that the table does not have.
    strict: AtomicBool,
    refreshed: AtomicU64,
    /// Changes of long ago are read again: a row of the ghost may still be older than the one that is refreshed.
    pub(super) catching_up: AtomicBool,
    pub(super) conflicts: Conflicts,
}

/// What became of one try.
#[derive(Debug)]
pub(super) enum Try {
    Done {
        /// Whether all rows were there that had been waited for.
        all: bool,
    },
    /// A row is locked by somebody else.
    Locked,
    /// The transaction is too big for the server.
    TooBig,
    /// Another row of the ghost has the same value in a unique key, in the server's words.
    Conflict(String),
    /// The ghost refuses a row.
    Refused(Error),
}

impl Refresher {
    pub(crate) fn new(
        pair: Arc<TablePair>,
        pending: Arc<Pending>,
        flights: Arc<Flights>,
        turns: Arc<Turns>,
        retries: Retries,
        may_displace: bool,
    ) -> Self {
        Refresher {
            one_by_one: FairMutex::default(),
            may_displace: AtomicBool::new(may_displace),
            pair,
            pending,
            flights,
            turns,
            retries,
            strict: AtomicBool::new(false),
            refreshed: AtomicU64::new(0),
            catching_up: AtomicBool::new(false),
            conflicts: Conflicts::default(),
        }
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Keys refreshed so far.
    pub(crate) fn refreshed(&self) -> u64 {
        self.refreshed.load(Ordering::Relaxed)
    }

    /// Whether what has changed while nobody followed is being read: until then no conflict is taken for a real one.
    pub(crate) fn catches_up(&self, begins: bool) {
        self.catching_up.store(begins, Ordering::SeqCst);
    }

    /// From now on the ghost has secondary unique keys, through which a REPLACE can displace a row.
    pub(crate) fn go_one_by_one(&self) {
        self.may_displace.store(true, Ordering::SeqCst);
    }

    /// From now on the ghost has unique keys that the table does not have: a refresh may no longer
    /// displace other rows, as their duplicates are real.
    pub(crate) fn be_strict(&self) {
        self.strict.store(true, Ordering::SeqCst);
    }

    pub(super) fn put(&self) -> Put {
        if self.strict.load(Ordering::SeqCst) { Put::Insert } else { Put::Replace }
    }

    /// Refreshes a batch that was taken from pending, in a session with `autocommit = 0`. Keys whose
    /// rows cannot be had now go back to pending. Returns for how long rows were locked.
    pub(crate) fn refresh(
        &self,
        session: &mut Session,
        Batch { keys, repeated }: Batch,
        cancel: &Cancel,
    ) -> Result<Duration> {
        let mut longest = Duration::ZERO;
        let keys = self.hold_those_being_copied(keys);
        let mut batches = if keys.is_empty() { Vec::new() } else { vec![keys] };
        while let Some(mut batch) = batches.pop() {
            let before = self.flights.mark();
            // Waiting for one row while holding another could make the application the victim of a
            // deadlock: only a single key waits, and only where its lock is a single one.
            let alone = batch.len() == 1 && self.pair.locks_rows_by_key();
            let on_locked = if alone { OnLocked::Wait } else { OnLocked::Fail };
            let look = match self.look(session, &batch, on_locked, cancel) {
                Err(error) if error.fault() == Some(Fault::TooBig) && batch.len() > 1 => {
                    let half = batch.split_off(batch.len() / 2);
                    batches.extend([half, batch]);
                    continue;
                }
                look => look?,
            };
            longest = longest.max(look.locked);
            let seen = match look.seen {
                Some(seen) => seen,
                None if batch.len() > 1 => {
                    let half = batch.split_off(batch.len() / 2);
                    batches.extend([half, batch]);
                    continue;
                }
                None => {
                    self.pending.put_later(batch, LOCKED_REST);
                    continue;
                }
            };
            if !look.locked_keys.is_empty() {
                batches.push(look.locked_keys);
            }
            let tried = self.attempt(session, &seen, cancel)?;
            let mut batch = seen.keys;
            match tried {
                Try::Done { all } => {
                    self.conflicts.over(&batch);
                    self.count(batch.len());
                    if !all {
                        // A row is gone since we looked, and will come through the stream. Or MariaDB does not
                        // show it to us yet: of an insert that commits, it gives the lock back first.
                        self.pending.put_back(batch);
                    } else if !repeated
                        && !seen.absent.is_empty()
                        && let Some(below) = self.flights.since(before)
                    {
                        let absent = seen.absent;
                        self.pending.hold(below, Batch { keys: absent, repeated: true });
                        self.pending.release(self.flights.ended_below());
                    }
                }
                Try::Locked | Try::TooBig | Try::Conflict(_) | Try::Refused(_)
                    if batch.len() > 1 =>
                {
                    let half = batch.split_off(batch.len() / 2);
                    batches.extend([half, batch]);
                }
                Try::Locked => self.pending.put_later(batch, LOCKED_REST),
                Try::TooBig => {
                    return Err(too_big(&self.name_rows(session, &batch)));
                }
                // The other row may be about to be refreshed too, and the conflict to go away.
                Try::Conflict(_) => {
                    self.conflicts.note(&batch);
                    self.pending.put_later(batch, CONFLICT_REST);
                }
                Try::Refused(error) => return Err(self.name_refused(session, &batch, error)),
            }
        }
        Ok(longest)
    }

    /// Keys that lie in a chunk under way are kept until it has ended: the refresh would wait for the
    /// chunk, while it keeps the rows of the application locked.
    fn hold_those_being_copied(&self, keys: Vec<Key>) -> Vec<Key> {
        let mut held: BTreeMap<u64, Vec<Key>> = BTreeMap::new();
        let mut free = Vec::with_capacity(keys.len());
        for key in keys {
            match self.pair.key.int_value(&key).and_then(|value| self.flights.around(value)) {
                Some(chunk) => held.entry(chunk + 1).or_default().push(key),
                None => free.push(key),
            }
        }
        if !held.is_empty() {
            for (below, keys) in held {
                self.pending.hold(below, Batch { keys, repeated: false });
            }
            self.pending.release(self.flights.ended_below());
        }
        free
    }

    /// Refreshes keys whose rows have been waited for. Only rows that were there then are put into the
    /// ghost: if as many come, none of them was out of sight. What has come since comes through the stream.
    pub(super) fn attempt(
        &self,
        session: &mut Session,
        Seen { keys, present, absent }: &Seen,
        cancel: &Cancel,
    ) -> Result<Try> {
        let put = self.put();
        // What is there, REPLACE replaces: most often in its place, which is less work.
        let delete = if put == Put::Replace && self.pair.key.ghost_unique { absent } else { keys };
        let delete = match delete.as_slice() {
            [] => None,
            keys => Some(self.pair.delete_keys(keys)?),
        };
        let put = match present.as_slice() {
            [] => None,
            keys => Some(self.pair.put_seen_keys(put, keys)?),
        };
        session.retrying(self.retries, cancel, |session| {
            let mut transaction = || {
                let _alone = self.alone();
                // A turn is waited for before anything is locked: the chunk whose turn it is may be
                // about to want the ghost's rows.
                let turn = self.turns.take(Who::Refresh);
                if let Some(delete) = &delete {
                    session.exec(delete)?;
                }
                let mut found = 0;
                if let Some(put) = &put {
                    // Unless the server does not say.
                    let records = session.exec(put)?.records;
                    found = records.map_or(present.len(), |n| usize::try_from(n).unwrap_or(0));
                }
                // Unless a chunk must not come between.
                let kept = Some(turn).filter(|_| !self.pair.key.ghost_unique);
                session.exec("COMMIT")?;
                drop(kept);
                Ok(Try::Done { all: found >= present.len() })
            };
            let tried = transaction();
            let error: Error = match tried {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let outcome = match error.fault() {
                Some(Fault::LockWait) => Try::Locked,
                Some(Fault::TooBig) => Try::TooBig,
                Some(Fault::Duplicate) => Try::Conflict(error.message().to_owned()),
                Some(Fault::Data) => Try::Refused(error),
                _ => return Err(error),
            };
            session.exec("ROLLBACK")?;
            Ok(outcome)
        })
    }

    /// Refreshes keys while their rows are kept from changing, and does more in the same transaction. Returns
    /// whether there is a row at all, and what came of the rest. For a session with `autocommit = 0`,
    /// which is to be rolled back after an error.
    pub(crate) fn refresh_and<T>(
        &self,
        session: &mut Session,
        keys: &[Key],
        then: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<(bool, T)> {
        let there = !session.rows(&self.pair.lock_keys(keys)?)?.is_empty();
        let _alone = self.alone();
        let _turn = self.turns.take(Who::Refresh);
        session.exec(&self.pair.delete_keys(keys)?)?;
        session.exec(&self.pair.put_seen_keys(self.put(), keys)?)?;
        let result = then(session)?;
        session.exec("COMMIT")?;
        Ok((there, result))
    }

    /// The rows at keys, for people to read.
    pub(super) fn name_rows(&self, session: &mut Session, keys: &[Key]) -> String {
        let name = |key: &Key| {
            let sql = self.pair.name_key(key).ok()?;
            session.scalar(&sql).ok().flatten()
        };
        let names: Vec<String> = keys.iter().filter_map(name).collect();
        // Or the read would keep its metadata lock.
        let _ = session.exec("COMMIT");
        names.join("; ")
    }

    fn name_refused(&self, session: &mut Session, keys: &[Key], error: Error) -> Error {
        let message = format!(
            "a row that has changed, and that the new table refuses: {} ({})",
            self.name_rows(session, keys),
            error.message()
        );
        error.with_message(message)
    }

    /// Where refreshes could displace each other's rows: keeps the others out. Not once they INSERT.
    fn alone(&self) -> Option<FairMutexGuard<'_, ()>> {
        let displaces = self.may_displace.load(Ordering::SeqCst) && self.put() == Put::Replace;
        displaces.then(|| self.one_by_one.lock())
    }

    pub(super) fn count(&self, keys: usize) {
        self.refreshed.fetch_add(u64::try_from(keys).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A row that is too big for the server by itself.
pub(crate) fn too_big(row: &str) -> Error {
    Error::new(
        ErrorKind::Server,
        format!(
            "the row {row} alone is too big for the server's limits (max_binlog_cache_size, \
             max_allowed_packet)"
        ),
    )
}
