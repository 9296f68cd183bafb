//! Rows that are in conflict with others in a unique key of the ghost alone.
//!
//! A row that is refreshed after the table's unique keys have been added can meet another that is out
//! of date. Mostly that one is about to be refreshed, too. But rows that have exchanged their values
//! are in conflict for as long as they are refreshed apart, and duplicates for good: both show when
//! everything that is pending is refreshed in one transaction.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::refresher::{Refresher, Try};
use crate::cancel::Cancel;
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::Key;
use crate::sql::statements::OnLocked;

/// A conflict lasts when it has been seen so often, and for so long.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(1);

/// So often, so far apart, are the rows refreshed together before the conflict is taken for real: the
/// application may be about to resolve it.
const TOGETHER: u32 = 5;
const APART: Duration = Duration::from_secs(1);

/// The conflicts that were seen. Usually none.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    state: Mutex<State>,
    /// One at a time takes all keys.
    settling: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when, and how often.
    seen: HashMap<Key, (Instant, u32)>,
    /// How often refreshing all together was of no use, and when the last time was.
    failed: u32,
    last: Option<Instant>,
}

impl Conflicts {
    /// The keys are in conflict.
    pub(super) fn note(&self, keys: &[Key]) {
        let mut state = self.state.lock();
        for key in keys {
            state.seen.entry(key.clone()).or_insert_with(|| (Instant::now(), 0)).1 += 1;
        }
    }

    /// The keys are refreshed.
    pub(super) fn over(&self, keys: &[Key]) {
        let mut state = self.state.lock();
        if !state.seen.is_empty() {
            for key in keys {
                state.seen.remove(key);
            }
            if state.seen.is_empty() {
                *state = State::default();
            }
        }
    }

    /// Whether it is time to refresh all together.
    fn are_due(&self) -> bool {
        let mut state = self.state.lock();
        let lasts =
            |(since, tries): &(Instant, u32)| *tries >= TRIES && since.elapsed() >= PATIENCE;
        let due =
            state.last.is_none_or(|last| last.elapsed() >= APART) && state.seen.values().any(lasts);
        if due {
            state.last = Some(Instant::now());
        }
        due
    }

    /// All together it failed, too; whether that makes it real.
    fn are_real(&self) -> bool {
        let mut state = self.state.lock();
        state.failed += 1;
        state.failed >= TOGETHER
    }

    fn are_resolved(&self) {
        *self.state.lock() = State::default();
    }
}

impl Refresher {
    /// To be called between two batches: sees to conflicts that do not go away by themselves. An error
    /// that names the rows if they are duplicates.
    pub(super) fn settle_conflicts(&self, session: &mut Session, cancel: &Cancel) -> Result<()> {
        const MOST: usize = 1000;
        let Some(_settling) = self.conflicts.settling.try_lock() else { return Ok(()) };
        if self.catching_up.load(Ordering::SeqCst)
            || self.pending.outstanding() > MOST
            || !self.conflicts.are_due()
        {
            return Ok(());
        }
        self.pending.pause(cancel)?;
        let keys = self.pending.take_all();
        let settled = self.settle(session, &keys, cancel);
        let count = keys.len();
        match &settled {
            Ok(true) => self.count(count),
            // Before they count as done: whoever waits for them must not take them for refreshed.
            _ => self.pending.put_back(keys),
        }
        self.pending.done_all(count);
        self.pending.resume();
        settled.map(drop)
    }

    /// Whether the keys could be refreshed together.
    fn settle(&self, session: &mut Session, keys: &[Key], cancel: &Cancel) -> Result<bool> {
        if keys.is_empty() {
            return Ok(true);
        }
        match self.try_all(session, keys, cancel)? {
            Try::Done { all: true } => {
                self.conflicts.are_resolved();
                Ok(true)
            }
            Try::Conflict(_) if self.conflicts.are_real() => {
                let names = self.name_those_in_conflict(session, keys, cancel)?;
                Err(Error::new(
                    ErrorKind::DuplicateRows,
                    format!(
                        "rows have the same value in a unique key that the ALTER adds: {names}"
                    ),
                ))
            }
            _ => Ok(false),
        }
    }

    /// Refreshes all of the keys, in one transaction, or none.
    fn try_all(&self, session: &mut Session, keys: &[Key], cancel: &Cancel) -> Result<Try> {
        let look = match self.look(session, keys, OnLocked::Fail, cancel) {
            Err(error) if error.fault() == Some(Fault::TooBig) => return Ok(Try::TooBig),
            look => look?,
        };
        match look.seen {
            Some(seen) if look.locked_keys.is_empty() => self.attempt(session, &seen, cancel),
            _ => Ok(Try::Locked),
        }
    }

    /// Names the rows that are in conflict with others in a unique key of the ghost, among those that
    /// are pending. The run has failed: nothing is refreshed any more.
    pub(crate) fn name_conflicts(&self, session: &mut Session, cancel: &Cancel) -> Result<String> {
        self.pending.pause(cancel)?;
        let keys = self.pending.take_all();
        let names = self.name_those_in_conflict(session, &keys, cancel);
        self.pending.done_all(keys.len());
        names
    }

    fn name_those_in_conflict(
        &self,
        session: &mut Session,
        keys: &[Key],
        cancel: &Cancel,
    ) -> Result<String> {
        const MOST_NAMED: usize = 5;
        const MOST_TRIED: usize = 1000;
        let mut found = Vec::new();
        for key in keys.iter().take(MOST_TRIED) {
            let key = std::slice::from_ref(key);
            if let Try::Conflict(why) = self.try_all(session, key, cancel)? {
                found.push(format!("{} ({why})", self.name_rows(session, key)));
            }
            if found.len() == MOST_NAMED {
                break;
            }
        }
        Ok(found.join("; "))
    }
}
