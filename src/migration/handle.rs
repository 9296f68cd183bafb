//! A run in the background, as its owner holds it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::control::Control;
use super::postpone::Postpone;
use super::progress::Progress;
use super::report::Report;
use crate::copy::ChunkSize;
use crate::error::{Error, ErrorKind, Result, TableState};
use crate::throttle::Limits;

/// A thread that works on behalf of a handle. Dropped, it is asked to stop, and waited for.
#[derive(Debug)]
pub(super) struct Background<T> {
    pub(super) control: Arc<Control>,
    /// Taken by `join` only.
    thread: Option<JoinHandle<Result<T>>>,
}

impl<T: Send + 'static> Background<T> {
    pub(super) fn start(
        control: Arc<Control>,
        work: impl FnOnce(&Control) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::clone(&control);
        let thread = thread::Builder::new()
            .name("oa-run".to_owned())
            .spawn(move || work(&shared))
            .map_err(|error| {
                Error::new(ErrorKind::Server, "a thread could not be started").with_source(error)
            })?;
        Ok(Background { control, thread: Some(thread) })
    }
}

impl<T> Background<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(super) fn join(mut self) -> Result<T> {
        let Some(thread) = self.thread.take() else {
            return Err(Error::new(ErrorKind::Panic, "the run was joined before"));
        };
        thread.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Panic, "the run panicked")
                .with_table_state(TableState::Unknown))
        })
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.control.abort();
            if let Ok(Err(error)) = thread.join() {
                log::debug!("the run was dropped: {error}");
            }
        }
    }
}

/// A run that goes on in threads of its own.
///
/// Dropping the handle, in whichever phase, is [`abort`](Self::abort) and [`join`](Self::join): it returns when the run has
/// ended, and has no connection any more. Up to the cut-over the table is as it was then, and nothing is left. An attempt to
/// cut over that is under way decides: if it succeeds, the table is altered, with everything that comes behind the swap done,
/// and if it fails, the table is as it was. What became of it, only `join` tells. A statement that builds indexes is
/// ended; a function of the caller's that does not come back is waited for two seconds at most, but for an
/// [`Observer`](crate::Observer), which the run waits for.
#[derive(Debug)]
pub struct Handle(Background<Report>);

impl Handle {
    pub(crate) fn start(
        control: Arc<Control>,
        work: impl FnOnce(&Control) -> Result<Report> + Send + 'static,
    ) -> Result<Self> {
        Background::start(control, work).map(Handle)
    }

    /// How far the run has come.
    pub fn progress(&self) -> Progress {
        self.0.control.progress()
    }

    /// Holds the run back: neither the copy nor the refreshes go on, while the binlog is still
    /// read. A cut-over that has begun is not held back.
    pub fn pause(&self) {
        self.0.control.gate.set_paused(true);
    }

    /// Lets a paused run go on, unless a throttling policy holds it back.
    pub fn resume(&self) {
        self.0.control.gate.set_paused(false);
    }

    /// What holds the run back at present.
    pub fn limits(&self) -> Limits {
        self.0.control.limits.lock().clone()
    }

    /// Changes what holds the run back. It counts within a fraction of a second. The closure should not ask the
    /// handle for anything.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let handle = online_alter::OnlineAlter::new("mysql://db1/app", "t").start()?;
    /// let busy = "Threads_running=25".parse()?;
    /// handle.change_limits(|limits| limits.max_load = busy);
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_limits(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.0.control.limits.lock());
    }

    /// Another size of the ranges that are copied at a time, from the next one on that is cut.
    pub fn set_chunk_size(&self, size: ChunkSize) {
        self.0.control.set_chunk_size(size);
    }

    /// How many connections copy and compare rows at most, from 1, and no more than the run began with
    /// ([`copy_workers`](crate::OnlineAlter::copy_workers)).
    pub fn set_copy_workers(&self, workers: usize) {
        self.0.control.set_copy_workers(workers);
    }

    /// How many connections copy and compare rows at most, as last set.
    pub fn copy_workers(&self) -> usize {
        self.0.control.copy_workers()
    }

    /// Postpones the cut-over by this from now on, instead of what did so far, and whether or not
    /// [`cut_over`](Self::cut_over) was called before. An attempt that is under way is not broken off. An error if a flag
    /// file cannot be created.
    pub fn postpone(&self, postpone: Postpone) -> Result<()> {
        self.0.control.postpone(postpone)
    }

    /// Lets the cut-over go ahead as soon as everything is copied, whatever postpones it, until
    /// [`postpone`](Self::postpone) is called.
    pub fn cut_over(&self) {
        self.0.control.release();
    }

    /// Asks the run to stop. An attempt to cut over that is under way, which takes a few seconds at
    /// most, is not broken off: if it succeeds, the run ends as altered. What became of the run comes
    /// from [`join`](Self::join).
    pub fn abort(&self) {
        self.0.control.abort();
    }

    /// Whether the run is over.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the end of the run.
    pub fn join(self) -> Result<Report> {
        self.0.join()
    }
}
