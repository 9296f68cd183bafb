//! The request to stop, which every wait of a run listens to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// A latch: once set it stays set. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<Latch>);

#[derive(Debug, Default)]
struct Latch {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    pub(crate) fn set(&self) {
        *self.0.set.lock() = true;
        self.0.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.set.lock()
    }

    /// An error of kind `Aborted` once the latch is set.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_set() { Err(Error::aborted()) } else { Ok(()) }
    }

    /// Waits for `time`, or until the latch is set: then an error.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        // A caller may mean for ever.
        let end = Instant::now() + time.min(Duration::from_secs(1 << 30));
        let mut set = self.0.set.lock();
        while !*set {
            if self.0.changed.wait_until(&mut set, end).timed_out() {
                break;
            }
        }
        if *set { Err(Error::aborted()) } else { Ok(()) }
    }
}
