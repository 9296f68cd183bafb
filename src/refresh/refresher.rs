//! Carries out refreshes: read the table at the keys with a lock, put what is there into the
//! ghost, take from the ghost what is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::conflicts::Conflicts;
use super::flights::Flights;
use super::part::Batch;
use super::pending::Pending;
use super::turns::{Turns, Who};
use crate::cancel::Cancel;
use crate::db::{Retries, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::statements::{OnLocked, Put, TablePair};
use crate::sql::{Key, predicate};

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
    retries: Retries,
    /// Whether the ghost has unique keys that the table does not have.
    strict: AtomicBool,
    refreshed: AtomicU64,
    pub(super) conflicts: Conflicts,
}

/// What became of one try.
#[derive(Debug)]
pub(super) enum Try {
    Done {
        /// Rows found in the table.
        found: usize,
        locked: Duration,
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
    ) -> Self {
        Refresher {
            pair,
            pending,
            flights,
            turns,
            retries,
            strict: AtomicBool::new(false),
            refreshed: AtomicU64::new(0),
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
            // deadlock: only a single key waits.
            // Where turns are taken, whoever waited would keep the copy waiting.
            let may_wait = batch.len() == 1 && !self.turns.matter();
            let on_locked = if may_wait { OnLocked::Wait } else { OnLocked::Fail };
            match self.attempt(session, &batch, on_locked, cancel)? {
                Try::Done { found, locked } => {
                    longest = longest.max(locked);
                    self.conflicts.over(&batch);
                    self.count(batch.len());
                    if !repeated
                        && found < batch.len()
                        && let Some(below) = self.flights.since(before)
                    {
                        let absent = self.absent(session, batch, cancel)?;
                        self.pending.hold(below, Batch { keys: absent, repeated: true });
                        self.pending.release(self.flights.ended_below());
                    }
                }
                Try::Locked | Try::TooBig | Try::Conflict(_) | Try::Refused(_)
                    if batch.len() > 1 =>
                {
                    let half = batch.split_off(batch.len() / 2);
                    batches.push(half);
                    batches.push(batch);
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

    pub(super) fn attempt(
        &self,
        session: &mut Session,
        keys: &[Key],
        on_locked: OnLocked,
        cancel: &Cancel,
    ) -> Result<Try> {
        let delete = self.pair.delete_keys(keys)?;
        let put = self.pair.put_keys(self.put(), keys, on_locked)?;
        let lock = match on_locked {
            OnLocked::Wait => Some(self.pair.lock_keys(keys)?),
            OnLocked::Fail => None,
        };
        session.retrying(self.retries, cancel, |session| {
            let mut transaction = || {
                // A turn is waited for before anything is locked: the chunk whose turn it is may be
                // about to want the ghost's rows.
                let turn = self.turns.take(Who::Refresh);
                // A single key waits for the application's row while it holds nothing at all.
                if let Some(lock) = &lock {
                    session.exec(lock)?;
                }
                session.exec(&delete)?;
                let started = Instant::now();
                let done = session.exec(&put)?;
                // Unless a chunk must not come between.
                let kept = Some(turn).filter(|_| !self.pair.key.ghost_unique);
                session.exec("COMMIT")?;
                drop(kept);
                let found = done.records.and_then(|records| usize::try_from(records).ok());
                Ok(Try::Done { found: found.unwrap_or(0), locked: started.elapsed() })
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

    /// Which of the keys have no row. Where keys can be told apart only by the server, all of them
    /// count: refreshing a row once too often is harmless.
    fn absent(&self, session: &mut Session, keys: Vec<Key>, cancel: &Cancel) -> Result<Vec<Key>> {
        let shape = &self.pair.key;
        if !shape.is_int() || keys.len() == 1 {
            return Ok(keys);
        }
        let Some(column) = shape.columns.first() else {
            return Ok(keys);
        };
        let condition = predicate::keys(shape, predicate::Side::Source, &keys)?;
        let sql = format!("SELECT {} FROM {} WHERE {condition}", column.source, self.pair.source);
        let present = session.retrying(self.retries, cancel, |session| {
            let rows = session.rows(&sql)?;
            // Or the read would keep its metadata lock.
            session.exec("COMMIT")?;
            Ok(rows)
        })?;
        let present: std::collections::HashSet<String> =
            present.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        let is_absent = |key: &Key| {
            shape.literals(key).is_ok_and(|literals| !literals.iter().any(|l| present.contains(l)))
        };
        Ok(keys.into_iter().filter(is_absent).collect())
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
