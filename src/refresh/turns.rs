//! Taking turns at statements that insert what they select.
//!
//! With `innodb_autoinc_lock_mode` 0 or 1 (MariaDB's default), such a statement keeps all others off
//! a table with an AUTO_INCREMENT column until it ends. A refresh would then wait for a chunk of the
//! copy while it holds the application's rows. So they wait for each other here, before they lock
//! anything.

use parking_lot::{FairMutex, FairMutexGuard};

/// Whose turn it is, where that matters. First come, first served.
#[derive(Debug)]
pub(crate) struct Turns(Option<FairMutex<()>>);

impl Turns {
    pub(crate) fn new(matter: bool) -> Self {
        Turns(matter.then(FairMutex::default))
    }

    /// Whether statements have to take turns at all.
    pub(crate) fn matter(&self) -> bool {
        self.0.is_some()
    }

    /// To be kept while the statement runs.
    pub(crate) fn take(&self) -> Option<FairMutexGuard<'_, ()>> {
        self.0.as_ref().map(FairMutex::lock)
    }
}
