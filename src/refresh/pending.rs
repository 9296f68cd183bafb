//! The keys that have changed and are not yet refreshed: a set per worker, not a queue. A row that
//! changes a thousand times is refreshed once.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::part::{Batch, Part};
use super::wanted::Wanted;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::sql::Key;

/// How often a wait looks whether the run was asked to stop. What it waits for wakes it at once.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// The pending keys, bounded: who adds one to a full set waits.
#[derive(Debug)]
pub(crate) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    /// Whether byte-different keys are different rows. If not, one worker gets them all: two that
    /// refresh the same row under different keys could undo each other's work.
    exact: bool,
}

#[derive(Debug)]
struct State {
    parts: Vec<Part>,
    /// Keys whose row was locked, or in conflict, to be tried again after a while.
    later: Vec<(Instant, Key)>,
    /// Keys to be refreshed once all chunks below the number have ended, and how many they are.
    held: Vec<(u64, Batch)>,
    held_keys: usize,
    /// Workers that wait: each with the number of keys in its part from which on it would take them at
    /// once. Nobody else has to be woken by a key.
    waiting: Vec<Option<usize>>,
    /// Keys that workers have taken and not yet finished.
    taken: usize,
    /// Of these, those that were taken all at once, and belong to no worker's part.
    taken_together: Vec<Key>,
    /// How many have asked for the workers not to take keys.
    paused: u32,
    /// What somebody waits for.
    wanted: Option<Wanted>,
    /// Nobody waits for room.
    unlimited: bool,
    /// Workers need not wait for more keys to come together.
    hurry: bool,
}

/// How a worker collects a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collect {
    /// At most this many keys.
    pub(crate) at_most: usize,
    /// Unless they are that many, this much time lies between two batches, in which changes of the
    /// same rows come together.
    pub(crate) linger: Duration,
}

impl Pending {
    pub(crate) fn new(parts: usize, limit: usize, exact: bool) -> Self {
        Pending {
            state: Mutex::new(State {
                parts: (0..parts.max(1)).map(|_| Part::new()).collect(),
                later: Vec::new(),
                held: Vec::new(),
                held_keys: 0,
                waiting: vec![None; parts.max(1)],
                taken: 0,
                taken_together: Vec::new(),
                paused: 0,
                wanted: None,
                unlimited: false,
                hurry: false,
            }),
            changed: Condvar::new(),
            limit,
            exact,
        }
    }

    /// Adds a key, waiting while the set is full. `false` if the run was asked to stop.
    pub(crate) fn add(&self, key: Key, cancel: &Cancel) -> bool {
        let mut state = self.state.lock();
        while state.len() >= self.limit && !state.unlimited {
            if self.wait(&mut state, CANCEL_CHECK, cancel).is_err() {
                return false;
            }
        }
        let number = self.number_of_part(&state, &key);
        let State { parts, waiting, .. } = &mut *state;
        let wakes = parts.get_mut(number).is_some_and(|part| {
            let added = part.insert(key);
            let enough = waiting.get(number).copied().flatten();
            added && enough.is_some_and(|enough| part.len() >= enough)
        });
        drop(state);
        if wakes {
            self.changed.notify_all();
        }
        true
    }

    /// Whether the stream has to wait for room.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.len() >= self.limit && !state.unlimited
    }

    fn insert(&self, state: &mut State, key: Key) -> bool {
        self.part_of(state, &key).is_some_and(|part| part.insert(key))
    }

    fn part_of<'a>(&self, state: &'a mut State, key: &Key) -> Option<&'a mut Part> {
        let number = self.number_of_part(state, key);
        state.parts.get_mut(number)
    }

    fn number_of_part(&self, state: &State, key: &Key) -> usize {
        // Neighbours stay together: two workers should not be at the same pages.
        const NEIGHBOURS: u64 = 256;
        let count = state.parts.len();
        if !self.exact || count <= 1 {
            return 0;
        }
        let hash = match key {
            Key::Int(value) => value / NEIGHBOURS,
            other => BuildHasherDefault::<DefaultHasher>::default().hash_one(other),
        };
        usize::try_from(hash % u64::try_from(count).unwrap_or(1)).unwrap_or(0)
    }

    /// Takes the next batch of a worker, waiting for it. The worker must call
    /// [`done`](Self::done) with its size afterwards.
    pub(crate) fn take(&self, part: usize, collect: Collect, cancel: &Cancel) -> Result<Batch> {
        let mut state = self.state.lock();
        loop {
            cancel_check(&mut state, cancel)?;
            self.bring_back_due(&mut state);
            let State { parts, taken, paused, wanted, hurry, waiting, .. } = &mut *state;
            let mut patience = CANCEL_CHECK;
            let mut enough = if *hurry { 1 } else { collect.at_most };
            let here = parts.get_mut(part).filter(|_| *paused == 0);
            if here.as_ref().is_some_and(|part| part.last_take.elapsed() >= collect.linger) {
                enough = 1;
            }
            if let Some(part) = here.filter(|part| part.len() > 0) {
                let rested = part.last_take.elapsed();
                if *hurry || part.len() >= collect.at_most || rested >= collect.linger {
                    let batch = part.next_batch(collect.at_most);
                    part.under_way.clone_from(&batch.keys);
                    if let Some(wanted) = wanted {
                        wanted.taken(&batch.keys);
                    }
                    *taken += batch.keys.len();
                    drop(state);
                    self.changed.notify_all();
                    return Ok(batch);
                }
                patience = patience.min(collect.linger.saturating_sub(rested));
            }
            if let Some(waiting) = waiting.get_mut(part) {
                *waiting = Some(enough);
            }
            self.changed.wait_for(&mut state, patience);
            if let Some(waiting) = state.waiting.get_mut(part) {
                *waiting = None;
            }
        }
    }

    /// Whether a part has keys that could be taken.
    pub(crate) fn has(&self, part: usize) -> bool {
        self.state.lock().parts.get(part).is_some_and(|part| part.len() > 0)
    }

    /// A part's batch of this many keys is finished, whatever became of them.
    pub(crate) fn done(&self, part: usize, count: usize) {
        let mut state = self.state.lock();
        let State { parts, wanted, .. } = &mut *state;
        if let Some(part) = parts.get_mut(part) {
            if let Some(wanted) = wanted {
                wanted.finished(&part.under_way);
            }
            part.under_way.clear();
        }
        state.taken = state.taken.saturating_sub(count);
        drop(state);
        self.changed.notify_all();
    }

    /// The keys of [`take_all`](Self::take_all) are finished. Those that are to be refreshed again must
    /// have been put back before.
    pub(crate) fn done_all(&self, count: usize) {
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_sub(count);
        state.taken_together.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// Puts keys back to be refreshed again, without waiting.
    pub(crate) fn put_back(&self, keys: impl IntoIterator<Item = Key>) {
        let mut state = self.state.lock();
        for key in keys {
            state.not_refreshed([&key]);
            self.insert(&mut state, key);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Puts keys back to be refreshed again after a while.
    pub(crate) fn put_later(&self, keys: impl IntoIterator<Item = Key>, after: Duration) {
        let due = Instant::now() + after;
        let mut state = self.state.lock();
        for key in keys {
            state.not_refreshed([&key]);
            state.later.push((due, key));
        }
    }

    /// Keeps keys to be refreshed once all chunks below the number have ended.
    pub(crate) fn hold(&self, below: u64, batch: Batch) {
        let mut state = self.state.lock();
        state.not_refreshed(&batch.keys);
        state.held_keys += batch.keys.len();
        state.held.push((below, batch));
    }

    /// All chunks below the number have ended.
    pub(crate) fn release(&self, ended_below: u64) {
        let mut state = self.state.lock();
        let held = std::mem::take(&mut state.held);
        for (below, batch) in held {
            if below > ended_below {
                state.held.push((below, batch));
                continue;
            }
            state.held_keys -= batch.keys.len();
            for key in batch.keys {
                match self.part_of(&mut state, &key) {
                    Some(part) if batch.repeated => part.insert_repeated(key),
                    Some(part) => drop(part.insert(key)),
                    None => {}
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn bring_back_due(&self, state: &mut State) {
        if state.later.is_empty() {
            return;
        }
        let now = Instant::now();
        let later = std::mem::take(&mut state.later);
        for (due, key) in later {
            if due <= now || state.hurry {
                self.insert(state, key);
            } else {
                state.later.push((due, key));
            }
        }
    }

    /// Keys that wait or are being worked on.
    pub(crate) fn outstanding(&self) -> usize {
        self.state.lock().outstanding()
    }

    /// The keys that wait, if they are no more than that: for whoever has paused the workers.
    pub(crate) fn waiting(&self, at_most: usize) -> Option<Vec<Key>> {
        let state = self.state.lock();
        if state.outstanding() > at_most {
            return None;
        }
        let later = state.later.iter().map(|(_, key)| key);
        let held = state.held.iter().flat_map(|(_, batch)| &batch.keys);
        let parts = state.parts.iter().flat_map(Part::iter);
        Some(parts.chain(later.chain(held).cloned()).collect())
    }

    /// Every key that is not certain to be refreshed, if they are no more than that.
    pub(crate) fn unfinished(&self, at_most: usize) -> Option<Vec<Key>> {
        let state = self.state.lock();
        if state.outstanding() > at_most {
            return None;
        }
        let later = state.later.iter().map(|(_, key)| key);
        let held = state.held.iter().flat_map(|(_, batch)| &batch.keys);
        let under_way = state.parts.iter().flat_map(|part| &part.under_way);
        let others = later.chain(held).chain(under_way).chain(&state.taken_together);
        let mut keys: Vec<Key> =
            state.parts.iter().flat_map(Part::iter).chain(others.cloned()).collect();
        keys.sort_unstable();
        keys.dedup();
        Some(keys)
    }

    /// Makes the workers take whatever there is, at once, or (`false`) again as usual.
    pub(crate) fn hurry(&self, hurry: bool) {
        self.state.lock().hurry = hurry;
        self.changed.notify_all();
    }

    /// Waits until at most `count` keys are outstanding; `false` if `patience` was not enough.
    pub(crate) fn wait_for_at_most(
        &self,
        count: usize,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<bool> {
        let end = Instant::now() + patience;
        let mut state = self.state.lock();
        while state.outstanding() > count {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.wait(&mut state, left.min(CANCEL_CHECK), cancel)?;
        }
        Ok(true)
    }

    /// Keeps the workers from taking keys, and waits until they have finished those they have. As often
    /// as this is called, [`resume`](Self::resume) has to be.
    pub(crate) fn pause(&self, cancel: &Cancel) -> Result<()> {
        let mut state = self.state.lock();
        state.paused += 1;
        self.changed.notify_all();
        while state.taken > 0 {
            self.wait(&mut state, CANCEL_CHECK, cancel)?;
        }
        Ok(())
    }

    /// Takes any number of keys: for whoever pauses the workers and then waits for the stream.
    pub(crate) fn lift_limit(&self) {
        self.state.lock().unlimited = true;
        self.changed.notify_all();
    }

    /// Lets the workers take keys again, up to the limit.
    pub(crate) fn resume(&self) {
        let mut state = self.state.lock();
        state.paused = state.paused.saturating_sub(1);
        if state.paused == 0 {
            state.unlimited = false;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until each of the keys has been refreshed, as far as it had been added when this was called
    /// first: `wanted` keeps those that are still to come. `false` if `patience` was not enough. Only one
    /// at a time may wait.
    pub(crate) fn wait_for_each_of(
        &self,
        wanted: &mut Wanted,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<bool> {
        let end = Instant::now() + patience;
        let mut state = self.state.lock();
        // Batches that are under way by now may have been read before the keys were added again.
        wanted.forget_batches();
        state.wanted = Some(std::mem::take(wanted));
        let waited = loop {
            if state.wants_nothing() {
                break Ok(true);
            }
            if Instant::now() > end {
                break Ok(false);
            }
            if let Err(error) = self.wait(&mut state, CANCEL_CHECK, cancel) {
                break Err(error);
            }
        };
        *wanted = state.wanted.take().unwrap_or_default();
        waited
    }

    /// All keys, taken out for whoever has paused the workers. To be followed by
    /// [`done_all`](Self::done_all).
    pub(crate) fn take_all(&self) -> Vec<Key> {
        let mut state = self.state.lock();
        let mut keys = Vec::new();
        for part in &mut state.parts {
            part.drain_into(&mut keys);
        }
        keys.extend(std::mem::take(&mut state.later).into_iter().map(|(_, key)| key));
        keys.extend(std::mem::take(&mut state.held).into_iter().flat_map(|(_, batch)| batch.keys));
        state.held_keys = 0;
        keys.sort_unstable();
        keys.dedup();
        state.taken += keys.len();
        state.taken_together.clone_from(&keys);
        keys
    }

    fn wait(
        &self,
        state: &mut MutexGuard<'_, State>,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<()> {
        cancel_check(state, cancel)?;
        self.changed.wait_for(state, patience);
        Ok(())
    }
}

/// Looks at the latch without holding our lock.
fn cancel_check(state: &mut MutexGuard<'_, State>, cancel: &Cancel) -> Result<()> {
    MutexGuard::unlocked(state, || cancel.check())
}

impl State {
    /// Whether each key that is waited for has been refreshed. One that is being refreshed may come back
    /// to wait.
    fn wants_nothing(&mut self) -> bool {
        let State { parts, later, held, taken_together, wanted, .. } = self;
        let Some(wanted) = wanted else { return true };
        let later = later.iter().map(|(_, key)| key);
        let held = held.iter().flat_map(|(_, batch)| &batch.keys);
        let under_way = parts.iter().flat_map(|part| &part.under_way);
        wanted.leave(parts, later.chain(held).chain(under_way).chain(&*taken_together));
        wanted.is_empty()
    }

    fn not_refreshed<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>) {
        if let Some(wanted) = &mut self.wanted {
            wanted.put_back(keys);
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum::<usize>() + self.later.len() + self.held_keys
    }

    fn outstanding(&self) -> usize {
        self.len() + self.taken
    }
}

#[cfg(test)]
mod tests;
