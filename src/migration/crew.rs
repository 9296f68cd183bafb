//! The threads that work beside the run's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, Scope};

use super::control::Control;
use crate::error::{Error, ErrorKind, Result};

/// Starts threads inside a scope. The first that fails, or panics, ends the run.
pub(crate) struct Crew<'scope, 'env> {
    pub(crate) scope: &'scope Scope<'scope, 'env>,
    pub(crate) control: &'env Control,
}

impl<'scope> Crew<'scope, '_> {
    pub(crate) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<()> + Send + 'scope,
    ) -> Result<()> {
        let control = self.control;
        let guarded = move || match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            // A swap that is asked for already comes to its end, and needs no lock behind that.
            Ok(Err(error)) if error.kind() == ErrorKind::LockLost => control.give_up(error),
            Ok(Err(error)) => control.fail(error),
            Err(_) => {
                control.fail(Error::new(ErrorKind::Panic, "a thread of the run panicked"));
            }
        };
        // Names are cut to 15 characters by Linux.
        Builder::new()
            .name(format!("oa-{name}"))
            .spawn_scoped(self.scope, guarded)
            .map(drop)
            .map_err(|error| {
                Error::new(ErrorKind::Server, "a thread could not be started").with_source(error)
            })
    }
}

/// Sets the latch when the run's own thread leaves the scope, however it does: the crew must not
/// outlive it.
pub(crate) struct DismissCrew<'a>(pub(crate) &'a Control);

impl Drop for DismissCrew<'_> {
    fn drop(&mut self) {
        self.0.cancel.set();
    }
}
