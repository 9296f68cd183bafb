//! What the rest of the run sees of the stream: the last marker, the position, and what happened
//! around the swap.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::gtid::GtidSet;
use super::position::{BinlogPosition, Start};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::sql::Key;

/// Shared between the stream's thread, which writes it, and everybody who waits for it.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
    /// Row events of tables that are not of this run.
    others: AtomicU64,
    /// Somebody waits for a place from which another run may go on.
    wants_place: AtomicBool,
}

/// A place from which another run may go on.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) start: Start,
    /// The last marker before it.
    pub(crate) marker: u64,
}

#[derive(Debug)]
struct State {
    place: Option<Place>,
    position: BinlogPosition,
    /// The highest marker that has come through.
    marker: u64,
    /// Markers that were written and have not come through yet, with the time of writing.
    awaited: VecDeque<(u64, Instant)>,
    /// Some of the last markers, with the time of writing.
    written: VecDeque<(u64, Instant)>,
    /// The marker written under the cut-over's lock, behind which nothing should follow.
    last_call: Option<u64>,
    /// Keys of the table that changed behind the last call and before the swap. None should.
    strays: Vec<Key>,
    /// Keys of the new table that changed since the swap, noted only if there are strays.
    since_swap: Vec<Key>,
    swapped: bool,
    keys: u64,
}

/// How often a wait looks whether the run was asked to stop. What it waits for wakes it at once.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// For how long markers are remembered, and how far apart they are then at least.
const REMEMBERED: Duration = Duration::from_secs(1800);
const APART: Duration = Duration::from_millis(100);

impl Feed {
    pub(crate) fn new(start: BinlogPosition) -> Self {
        Feed {
            state: Mutex::new(State {
                place: None,
                position: start,
                marker: 0,
                awaited: VecDeque::new(),
                written: VecDeque::new(),
                last_call: None,
                strays: Vec::new(),
                since_swap: Vec::new(),
                swapped: false,
                keys: 0,
            }),
            changed: Condvar::new(),
            others: AtomicU64::new(0),
            wants_place: AtomicBool::new(false),
        }
    }

    /// For a stream that goes on where another run has stopped: that one had come to this marker.
    pub(crate) fn goes_on_behind(&self, marker: u64) {
        self.state.lock().marker = marker;
    }

    /// Waits for the next commit from which another run may go on. Whatever changed before it has been handed on.
    pub(crate) fn next_place(&self, patience: Duration, cancel: &Cancel) -> Result<Option<Place>> {
        self.state.lock().place = None;
        self.wants_place.store(true, Ordering::SeqCst);
        self.wait_until(patience, cancel, |state| state.place.is_some())?;
        Ok(self.state.lock().place.take())
    }

    /// To be called just before a marker is written.
    pub(crate) fn expect_marker(&self, number: u64) {
        let mut state = self.state.lock();
        let marker = (number, Instant::now());
        state.awaited.push_back(marker);
        // However often heartbeats come, what is remembered of them stays small.
        if state.written.back().is_none_or(|(_, last)| last.elapsed() >= APART) {
            state.written.push_back(marker);
        }
        while state.written.front().is_some_and(|(_, written)| written.elapsed() > REMEMBERED) {
            state.written.pop_front();
        }
    }

    /// How long ago the first marker after this one was written, as far as can be remembered; zero if there is
    /// none.
    pub(crate) fn since_marker_after(&self, number: u64) -> Duration {
        let state = self.state.lock();
        let first = state.written.partition_point(|(written, _)| *written <= number);
        state.written.get(first).map_or(Duration::ZERO, |(_, written)| written.elapsed())
    }

    /// Declares a marker, which is about to be written under the cut-over's lock, to be the last
    /// thing that should be seen before the swap.
    pub(crate) fn last_call(&self, number: u64) {
        let mut state = self.state.lock();
        state.last_call = Some(number);
        state.strays.clear();
    }

    /// Takes that back: the attempt failed, and writes go on.
    pub(crate) fn no_last_call(&self) {
        let mut state = self.state.lock();
        state.last_call = None;
        state.strays.clear();
    }

    /// Waits until a marker has come through; `false` if it has not within `patience`.
    pub(crate) fn wait_for_marker(
        &self,
        number: u64,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<bool> {
        self.wait_until(patience, cancel, |state| state.marker >= number)
    }

    /// Waits until the swap itself has come through; `false` if it has not within `patience`.
    pub(crate) fn wait_for_swap(&self, patience: Duration, cancel: &Cancel) -> Result<bool> {
        self.wait_until(patience, cancel, |state| state.swapped)
    }

    fn wait_until(
        &self,
        patience: Duration,
        cancel: &Cancel,
        reached: impl Fn(&State) -> bool,
    ) -> Result<bool> {
        let end = Instant::now() + patience;
        let mut state = self.state.lock();
        while !reached(&state) {
            if Instant::now() >= end {
                return Ok(false);
            }
            parking_lot::MutexGuard::unlocked(&mut state, || cancel.check())?;
            if reached(&state) {
                break;
            }
            self.changed.wait_until(&mut state, end.min(Instant::now() + CANCEL_CHECK));
        }
        Ok(true)
    }

    /// The keys that changed between the last call and the swap, and those that changed in the new
    /// table since, as far as the stream has come.
    pub(crate) fn strays(&self) -> (Vec<Key>, Vec<Key>) {
        let state = self.state.lock();
        (state.strays.clone(), state.since_swap.clone())
    }

    /// The end of the last transaction that the stream has handed on.
    pub(crate) fn position(&self) -> BinlogPosition {
        self.state.lock().position.clone()
    }

    /// How long ago the oldest marker that has not come through yet was written: zero when the
    /// stream is up to date.
    pub(crate) fn lag(&self) -> Duration {
        self.state.lock().awaited.front().map_or(Duration::ZERO, |(_, written)| written.elapsed())
    }

    /// How many changed keys have come through.
    pub(crate) fn keys(&self) -> u64 {
        self.state.lock().keys
    }

    /// How many changes by others have come through: keys of the table, and row events of other tables.
    pub(crate) fn changes(&self) -> u64 {
        self.keys() + self.others.load(Ordering::Relaxed)
    }

    pub(super) fn note_others(&self) {
        self.others.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_marker(&self, number: u64) {
        let mut state = self.state.lock();
        state.marker = state.marker.max(number);
        while state.awaited.front().is_some_and(|(awaited, _)| *awaited <= number) {
            state.awaited.pop_front();
        }
        self.changed.notify_all();
    }

    /// Notes a changed key; `false` if it no longer concerns the copy, the swap being over.
    pub(super) fn note_key(&self, key: &Key) -> bool {
        let mut state = self.state.lock();
        state.keys += 1;
        if state.swapped {
            if !state.strays.is_empty() {
                state.since_swap.push(key.clone());
            }
            return false;
        }
        if state.last_call.is_some_and(|number| state.marker >= number) {
            state.strays.push(key.clone());
        }
        true
    }

    /// The tables were swapped by a connection of ours; `false` if that was not to be: an earlier run has swapped them, and
    /// somebody has swapped them back.
    pub(super) fn note_swap(&self) -> bool {
        let mut state = self.state.lock();
        state.swapped = state.last_call.is_some();
        self.changed.notify_all();
        state.swapped
    }

    pub(super) fn note_complete(
        &self,
        position: &BinlogPosition,
        gtids: Option<&GtidSet>,
        file_begun: Option<u32>,
    ) {
        // A server cannot be asked for a place beyond 4 GiB, unless by transactions.
        let can_be_asked = gtids.is_some() || u32::try_from(position.offset).is_ok();
        if !can_be_asked || !self.wants_place.swap(false, Ordering::SeqCst) {
            return;
        }
        let start = Start { position: position.clone(), gtids: gtids.cloned(), file_begun };
        let mut state = self.state.lock();
        if state.last_call.is_some() {
            // Whoever proves the swap needs all from that marker on.
            self.wants_place.store(true, Ordering::SeqCst);
            return;
        }
        state.place = Some(Place { start, marker: state.marker });
        self.changed.notify_all();
    }

    pub(super) fn note_commit(&self, position: &BinlogPosition) {
        // Not the whole of it: the name's memory is used again.
        let mut state = self.state.lock();
        state.position.file.clone_from(&position.file);
        state.position.offset = position.offset;
    }
}
