//! What a run shares with its owner: the requests of the one, the state of the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::counting::Counting;
use super::observer::{Event, Observer};
use super::postpone::Postpone;
use super::progress::Progress;
use super::rehearsal::Rehearsal;
use super::replica_test::Stopped;
use super::resume::Continued;
use crate::binlog::Feed;
use crate::cancel::Cancel;
use crate::checkpoint::CopiedSoFar;
use crate::copy::ChunkSize;
use crate::copy::chunk_size::Sizer;
use crate::db::{Mark, Session};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::refresh::Refresher;
use crate::throttle::{Gate, Limits};

/// Shared by the run, its threads, and its handle.
pub(crate) struct Control {
    /// Ends all waits of the run.
    pub(crate) cancel: Cancel,
    pub(crate) gate: Gate,
    /// What postpones the cut-over; none while it is asked.
    postpone: Mutex<Option<Postpone>>,
    released: AtomicBool,
    abort: Mutex<Abort>,
    /// A connection whose statement may take long, and is to be killed when the run ends: 0 if none.
    pub(crate) long_statement: Mutex<Option<Mark>>,
    observer: Mutex<Option<Box<dyn Observer>>>,
    swapped: AtomicBool,
    warnings: Mutex<Vec<String>>,
    /// Why the server did not alter the table by itself, though it was asked to.
    not_native: Mutex<Option<String>>,
    /// The names of foreign keys before and behind the swap.
    foreign_keys: Mutex<Vec<(String, String)>>,
    /// The first error of any thread: what ended the run.
    failure: Mutex<Option<Error>>,
    began: Instant,
    phase: Mutex<Phase>,
    copy_began: OnceLock<Instant>,
    copy_took: OnceLock<Duration>,
    pub(crate) rows_copied: AtomicU64,
    /// Held while it is written down how far the copy has come.
    pub(crate) saving: Mutex<()>,
    /// How far the copy has come without a gap.
    pub(crate) copied: Mutex<CopiedSoFar>,
    /// In the pass that goes on.
    pub(crate) rows_verified: AtomicU64,
    rows_estimated: AtomicU64,
    rows_are_counted: AtomicBool,
    pub(crate) counting: Counting,
    pub(crate) rehearsed: Mutex<Option<Rehearsal>>,
    /// A replica's replication, while a test keeps it stopped.
    pub(crate) stopped: Mutex<Stopped>,
    pub(crate) attempts: AtomicU32,
    writes: Mutex<Writes>,
    pub(crate) limits: Arc<Mutex<Limits>>,
    /// How many may copy.
    copy_workers: AtomicUsize,
    /// Other chunks than the caller wanted first.
    chunk_size: Mutex<Option<ChunkSize>>,
    follower: OnceLock<Follower>,
}

/// How long heartbeats take while others write.
#[derive(Debug, Default)]
struct Writes {
    best: Option<Duration>,
    last: [Duration; 3],
    changes: u64,
    /// Whether others had written since the one before, at the last heartbeat.
    busy: bool,
}

impl Writes {
    /// `changes` is how much others have written so far.
    fn note(&mut self, took: Duration, changes: u64) {
        self.best = Some(self.best.map_or(took, |best| best.min(took)));
        // Where nobody writes, nobody waits.
        self.busy = changes > self.changes;
        self.changes = changes;
        self.last.rotate_left(1);
        if let Some(last) = self.last.last_mut() {
            *last = if self.busy { took } else { Duration::ZERO };
        }
    }

    /// Unless most of the last ones took long, and longer than they can.
    fn are_calm(&self) -> bool {
        const LONG: Duration = Duration::from_millis(2);
        let mut last = self.last;
        last.sort_unstable();
        let [_, middle, _] = last;
        middle < LONG || self.best.is_none_or(|best| middle < best * 3)
    }
}

/// Whether the owner asked the run to stop, and whether that has to wait.
#[derive(Debug, Default)]
struct Abort {
    requested: bool,
    /// An attempt to cut over is under way, which is short, and may have succeeded already.
    deferred: bool,
}

/// What there is to see once the stream has begun.
struct Follower {
    feed: Arc<Feed>,
    refresher: Arc<Refresher>,
    sizer: Arc<Sizer>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl Control {
    pub(crate) fn new(
        observer: Option<Box<dyn Observer>>,
        postpone: Postpone,
        limits: Limits,
        copy_workers: usize,
        has_policies: bool,
        rows_estimated: u64,
    ) -> Self {
        Control {
            cancel: Cancel::default(),
            gate: Gate::new(has_policies),
            postpone: Mutex::new(Some(postpone)),
            released: AtomicBool::new(false),
            abort: Mutex::default(),
            long_statement: Mutex::new(None),
            observer: Mutex::new(observer),
            swapped: AtomicBool::new(false),
            warnings: Mutex::default(),
            not_native: Mutex::default(),
            foreign_keys: Mutex::default(),
            failure: Mutex::new(None),
            began: Instant::now(),
            phase: Mutex::new(Phase::Prepare),
            copy_began: OnceLock::new(),
            copy_took: OnceLock::new(),
            saving: Mutex::new(()),
            copied: Mutex::new(CopiedSoFar::through(None, 0)),
            rows_copied: AtomicU64::new(0),
            rows_verified: AtomicU64::new(0),
            rows_estimated: AtomicU64::new(rows_estimated),
            rows_are_counted: AtomicBool::new(false),
            counting: Counting::default(),
            rehearsed: Mutex::default(),
            stopped: Mutex::default(),
            attempts: AtomicU32::new(0),
            writes: Mutex::default(),
            limits: Arc::new(Mutex::new(limits)),
            copy_workers: AtomicUsize::new(copy_workers),
            chunk_size: Mutex::default(),
            follower: OnceLock::new(),
        }
    }

    pub(crate) fn watch(&self, feed: &Arc<Feed>, refresher: &Arc<Refresher>, sizer: &Arc<Sizer>) {
        let chunk_size = self.chunk_size.lock();
        if let Some(size) = *chunk_size {
            sizer.aim_at(size);
        }
        let _ = self.follower.set(Follower {
            feed: Arc::clone(feed),
            refresher: Arc::clone(refresher),
            sizer: Arc::clone(sizer),
        });
    }

    /// Tells the observer. If that panics before the swap, or has a veto, the run ends.
    pub(crate) fn tell(&self, event: &Event) {
        let mut observer = self.observer.lock();
        let told = observer.as_mut().map(|observer| {
            catch_unwind(AssertUnwindSafe(|| {
                observer.on_event(event);
                observer.veto(event)
            }))
        });
        if let Some(Err(_)) = told {
            *observer = None;
        }
        drop(observer);
        let swapped = self.swapped.load(Ordering::SeqCst);
        match told {
            None | Some(Ok(None)) => {}
            // What is left to do, the proof first of all, matters more.
            Some(Ok(Some(veto))) if swapped => self.warn(format!("the observer's veto: {veto}")),
            Some(Err(_)) if swapped => self.warn("the observer panicked".to_owned()),
            Some(Ok(Some(veto))) => self.give_up(Error::new(ErrorKind::Vetoed, veto)),
            Some(Err(_)) => self.fail(Error::new(ErrorKind::Panic, "the observer panicked")),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        log::debug!("phase: {phase}");
        *self.phase.lock() = phase;
        if phase == Phase::Copy {
            let _ = self.copy_began.set(Instant::now());
        } else if let Some(began) = self.copy_began.get() {
            let _ = self.copy_took.set(began.elapsed());
        }
        self.tell(&Event::Phase(phase));
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Notes what ends the run, if nothing has yet, and stops all its threads.
    pub(crate) fn fail(&self, error: Error) {
        let mut failure = self.failure.lock();
        let first = failure.is_none() && !self.cancel.is_set();
        let message = error.message().to_owned();
        if first {
            *failure = Some(error);
        }
        drop(failure);
        self.cancel.set();
        if first {
            log::debug!("the run fails: {message}");
        }
    }

    /// Like [`fail`](Self::fail), but an attempt to cut over that is under way may come to its end.
    pub(crate) fn give_up(&self, error: Error) {
        self.failure.lock().get_or_insert(error);
        self.abort();
    }

    /// Ends a statement that may take long, if one is under way.
    pub(crate) fn end_long_statement(&self, with: &mut Session) -> Result<()> {
        let long = self.long_statement.lock().clone();
        long.map_or(Ok(()), |mark| with.end_query(&mark))
    }

    /// The size of the chunks that are still to be cut.
    pub(crate) fn set_chunk_size(&self, size: ChunkSize) {
        let mut chunk_size = self.chunk_size.lock();
        *chunk_size = Some(size);
        if let Some(follower) = self.follower.get() {
            follower.sizer.aim_at(size);
        }
    }

    /// How many may copy, of those that are there.
    pub(crate) fn set_copy_workers(&self, workers: usize) {
        self.copy_workers.store(workers.max(1), Ordering::Relaxed);
    }

    pub(crate) fn copy_workers(&self) -> usize {
        self.copy_workers.load(Ordering::Relaxed)
    }

    /// Rests after a chunk that took `time`, for as long as the limits say meanwhile.
    pub(crate) fn rest(&self, time: Duration) -> Result<()> {
        const LOOK_AGAIN: Duration = Duration::from_millis(200);
        let began = Instant::now();
        loop {
            let left = self.limits.lock().rest(time).saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            self.cancel.sleep(left.min(LOOK_AGAIN))?;
        }
    }

    /// The run goes on where another one has stopped.
    pub(super) fn goes_on(&self, continued: &Continued) {
        self.rows_copied.store(continued.copied.rows, Ordering::Relaxed);
        *self.copied.lock() = continued.copied.clone();
    }

    pub(crate) fn is_swapped(&self) -> bool {
        self.swapped.load(Ordering::SeqCst)
    }

    /// The tables are swapped: from now on the run can only end as swapped.
    pub(crate) fn note_swap(&self) {
        self.swapped.store(true, Ordering::SeqCst);
    }

    /// Something that the report is to say.
    pub(crate) fn warn(&self, warning: String) {
        self.warnings.lock().push(warning);
    }

    /// The server does not alter the table by itself, for this reason: the rows are copied.
    pub(crate) fn note_not_native(&self, why: String) {
        log::info!("not altered by the server itself: {why}");
        *self.not_native.lock() = Some(why);
    }

    pub(crate) fn take_not_native(&self) -> Option<String> {
        self.not_native.lock().take()
    }

    /// How many rows there are, counted.
    pub(crate) fn note_exact_rows(&self, rows: u64) {
        self.rows_estimated.store(rows, Ordering::Relaxed);
        self.rows_are_counted.store(true, Ordering::Relaxed);
        self.tell(&Event::RowsCounted { rows });
    }

    /// For the report.
    pub(crate) fn note_foreign_keys(&self, names: Vec<(String, String)>) {
        *self.foreign_keys.lock() = names;
    }

    pub(crate) fn take_foreign_keys(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.foreign_keys.lock())
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock())
    }

    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().take()
    }

    /// Asks the run to stop.
    pub(crate) fn abort(&self) {
        let mut abort = self.abort.lock();
        abort.requested = true;
        if !abort.deferred {
            self.cancel.set();
        }
    }

    /// From now on a request to stop has to wait; an error if there is one already.
    pub(crate) fn defer_abort(&self) -> Result<()> {
        let mut abort = self.abort.lock();
        if abort.requested {
            return Err(Error::aborted());
        }
        abort.deferred = true;
        Ok(())
    }

    /// A request to stop need not wait any more.
    pub(crate) fn allow_abort(&self) {
        let mut abort = self.abort.lock();
        abort.deferred = false;
        if abort.requested {
            self.cancel.set();
        }
    }

    /// Lets a postponed cut-over go ahead.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// From now on the cut-over is postponed by this, also if it was let go ahead before.
    pub(crate) fn postpone(&self, postpone: Postpone) -> Result<()> {
        postpone.prepare()?;
        let mut slot = self.postpone.lock();
        *slot = Some(postpone);
        self.released.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Does what the postponement wants done when the run starts.
    pub(crate) fn prepare_postponement(&self) -> Result<()> {
        self.postpone.lock().as_ref().map_or(Ok(()), Postpone::prepare)
    }

    /// Whether the cut-over has to wait. Asked by the run's own thread only.
    pub(crate) fn is_postponed(&self) -> bool {
        loop {
            if self.released.load(Ordering::SeqCst) {
                return false;
            }
            // The caller's function may want to postpone it by something else.
            let Some(mut postpone) = self.postpone.lock().take() else {
                return false;
            };
            let does_not_matter = || {
                self.cancel.is_set()
                    || self.released.load(Ordering::SeqCst)
                    || self.postpone.lock().is_some()
            };
            let waits = postpone.waits(&does_not_matter);
            let mut slot = self.postpone.lock();
            if slot.is_none() {
                *slot = Some(postpone);
                return waits && !self.released.load(Ordering::SeqCst);
            }
        }
    }

    /// A heartbeat, which is a small write as the application's are, took so long.
    pub(crate) fn note_heartbeat(&self, took: Duration) {
        let changes = self.changes();
        self.writes.lock().note(took, changes);
    }

    fn changes(&self) -> u64 {
        self.follower.get().map_or(0, |follower| follower.feed.changes())
    }

    /// Whether rows have been changed lately, of this table or of any other.
    pub(crate) fn others_write(&self) -> bool {
        let changes = self.changes();
        let writes = self.writes.lock();
        writes.busy || changes > writes.changes
    }

    /// Whether small writes take no longer than they should.
    pub(crate) fn writers_are_calm(&self) -> bool {
        self.writes.lock().are_calm()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn copy_time(&self) -> Duration {
        let so_far = || self.copy_began.get().map_or(Duration::ZERO, Instant::elapsed);
        self.copy_took.get().copied().unwrap_or_else(so_far)
    }

    pub(crate) fn progress(&self) -> Progress {
        let follower = self.follower.get();
        let pending = follower.map_or(0, |f| f.refresher.pending().outstanding());
        Progress {
            phase: self.phase(),
            rows_copied: self.rows_copied.load(Ordering::Relaxed),
            rows_verified: self.rows_verified.load(Ordering::Relaxed),
            rows_estimated: self.rows_estimated.load(Ordering::Relaxed),
            rows_are_counted: self.rows_are_counted.load(Ordering::Relaxed),
            chunk_rows: follower.map_or(0, |f| f.sizer.rows()),
            keys_changed: follower.map_or(0, |f| f.feed.keys()),
            keys_refreshed: follower.map_or(0, |f| f.refresher.refreshed()),
            keys_pending: u64::try_from(pending).unwrap_or(u64::MAX),
            stream_lag: follower.map_or(Duration::ZERO, |f| f.feed.lag()),
            position: follower.map(|f| f.feed.position()),
            throttled: self.gate.reason(),
            throttled_time: self.gate.shut_time(),
            cut_over_attempts: self.attempts.load(Ordering::Relaxed),
            elapsed: self.elapsed(),
            copy_time: self.copy_time(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_heartbeats_matter_only_where_others_write() {
        let ms = Duration::from_millis;
        let mut writes = Writes::default();
        writes.note(ms(2), 0);
        for changes in [1, 2] {
            assert!(writes.are_calm());
            writes.note(ms(30), changes);
        }
        assert!(!writes.are_calm());
        for _ in 0..2 {
            assert!(!writes.are_calm());
            writes.note(ms(30), 2);
        }
        assert!(writes.are_calm());
    }
}
