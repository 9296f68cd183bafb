//! How many workers copy side by side: as many as help, and as few as the application can bear.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::cancel::Cancel;
use crate::error::Result;

/// What the copy gets done is looked at over this long at least.
const WINDOW: Duration = Duration::from_secs(1);

/// Chunks that each worker has to finish for a window to say anything.
const CHUNKS: u64 = 2;

/// One more worker has to make the copy faster by this factor, or it is one too many.
const GAIN: f64 = 1.1;

/// After a worker turned out to be one too many, this many windows pass before the next is tried.
const REST: u32 = 30;

/// How often somebody who waits looks whether the run was asked to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Lets some of the workers work.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    active: usize,
    began: Instant,
    rows: u64,
    chunks: u64,
    /// Rows a second with one worker less, while one more is tried.
    before: Option<f64>,
    rest: u32,
}

impl Crowd {
    /// Of the `workers` that there are, of whom `most` may work, two begin; one, where that is to be `gentle`.
    pub(crate) fn new(workers: usize, most: usize, gentle: bool) -> Self {
        let state = State {
            active: workers.min(most).clamp(1, if gentle { 1 } else { 2 }),
            began: Instant::now(),
            rows: 0,
            chunks: 0,
            before: None,
            rest: 0,
        };
        Crowd { most: workers.max(1), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until the worker of that number, from 0, may work.
    pub(crate) fn enter(&self, worker: usize, cancel: &Cancel) -> Result<()> {
        let mut state = self.state.lock();
        while worker >= state.active {
            cancel.check()?;
            self.changed.wait_for(&mut state, LOOK_AGAIN);
        }
        Ok(())
    }

    /// No more work comes: those that wait may go.
    pub(crate) fn dismiss(&self) {
        self.state.lock().active = usize::MAX;
        self.changed.notify_all();
    }

    /// A chunk is finished; `calm` says whether the application's writes go as fast as they should. At
    /// `most` so many may work from now on.
    pub(crate) fn finished(&self, rows: u64, calm: bool, most: usize) {
        let most = most.clamp(1, self.most);
        let mut state = self.state.lock();
        let now = Instant::now();
        let dismissed = state.active > self.most;
        if !dismissed && (state.limit(most) || state.learn(rows, calm, most, now)) {
            log::debug!("{} workers", state.active);
            self.changed.notify_all();
        }
    }
}

impl State {
    /// Whether there are too many workers, who then become fewer.
    fn limit(&mut self, most: usize) -> bool {
        let too_many = self.active > most;
        if too_many {
            self.active = most;
            self.before = None;
        }
        too_many
    }

    /// Whether the number of workers changes.
    fn learn(&mut self, rows: u64, calm: bool, most: usize, now: Instant) -> bool {
        self.rows += rows;
        self.chunks += 1;
        let time = now.saturating_duration_since(self.began);
        let enough = u64::try_from(self.active).unwrap_or(u64::MAX).saturating_mul(CHUNKS);
        if time < WINDOW || self.chunks < enough {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.rows as f64 / time.as_secs_f64();
        (self.began, self.rows, self.chunks) = (now, 0, 0);
        self.rest = self.rest.saturating_sub(1);
        let before = self.before.take();
        let active = self.active;
        if !calm && active > 1 || before.is_some_and(|before| rate < before * GAIN) {
            self.active = (active - 1).max(1);
            self.rest = REST;
        } else if calm && self.rest == 0 && active < most {
            self.active = active + 1;
            self.before = Some(rate);
        }
        self.active != active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of a copy that gets so many rows done in each; the numbers of workers that it has.
    fn windows(most: usize, count: u32, of: impl Fn(usize) -> (u64, bool)) -> Vec<usize> {
        let crowd = Crowd::new(most, most, false);
        let mut state = crowd.state.into_inner();
        let mut now = state.began;
        let mut seen = Vec::new();
        for _ in 0..count {
            let active = state.active;
            let (rows, calm) = of(active);
            // All but the last are not enough for a window.
            for _ in 1..CHUNKS * active as u64 {
                assert!(!state.learn(0, calm, most, now));
            }
            now += WINDOW;
            state.learn(rows, calm, most, now);
            seen.push(active);
        }
        seen
    }

    #[test]
    fn grows_while_that_helps() {
        let linear = windows(4, 6, |active| (1000 * active as u64, true));
        assert_eq!(linear, [2, 3, 4, 4, 4, 4]);
    }

    #[test]
    fn tries_one_more_now_and_then() {
        let seen = windows(8, 40, |active| (1000 * active.min(2) as u64, true));
        assert_eq!(seen.get(..4), Some([2, 3, 2, 2].as_slice()));
        assert_eq!(seen.iter().filter(|active| **active == 3).count(), 2);
        assert!(seen.iter().all(|active| (2..=3).contains(active)));
    }

    #[test]
    fn shrinks_when_writers_slow_down() {
        let seen = windows(4, 5, |active| (1000, active == 1));
        assert_eq!(seen, [2, 1, 1, 1, 1]);
    }

    #[test]
    fn the_most_may_change() {
        let crowd = Crowd::new(4, 4, false);
        crowd.finished(1, true, 1);
        assert_eq!(crowd.state.lock().active, 1);
        // More come when they have shown that they help.
        crowd.finished(1, true, 4);
        assert_eq!(crowd.state.lock().active, 1);
        crowd.dismiss();
        crowd.finished(1, true, 1);
        assert_eq!(crowd.state.lock().active, usize::MAX);
    }

    #[test]
    fn those_that_wait_can_be_stopped() {
        let crowd = Crowd::new(4, 4, true);
        let cancel = Cancel::default();
        crowd.enter(0, &cancel).unwrap();
        cancel.set();
        assert!(crowd.enter(1, &cancel).is_err());
        crowd.dismiss();
        crowd.enter(1, &Cancel::default()).unwrap();
    }
}
