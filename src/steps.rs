//! The named steps of the protocol, at which tests take hold of a run.
//!
//! A race is tested by forcing its order: whoever listens to the steps may hold the run up in one,
//! kill its connection, or write to the table, before the run goes on.

use std::fmt;
use std::sync::Arc;

/// A point of the protocol. The run waits in it for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The named lock of runs on the table is taken.
    LockTaken,
    /// The state table is there, and empty.
    StateCreated,
    /// What is going to be created is written down in it.
    Recorded,
    /// The ghost table is there, as the table is.
    GhostMade,
    /// It is altered, and empty.
    GhostCreated,
    /// It is written down from where in the binlog the run begins.
    PlaceSaved,
    /// And what it does: another one could go on.
    TaskSaved,
    /// The fence has come through the stream; the copy is about to begin.
    FencePassed,
    /// All chunks are copied.
    CopyDone,
    /// The ghost table's own unique keys are there.
    IndexesBuilt,
    /// A comparison of all rows has found no difference.
    Verified,
    /// The replica's replication has been stopped, for a test.
    ReplicationStopped,
    /// An attempt is about to lock the table.
    BeforeLock,
    /// Writers are blocked.
    Locked,
    /// The marker that was written under the lock has come through.
    MarkerSeen,
    /// Nothing is pending any more.
    Drained,
    /// The counter is carried over and the definitions are checked.
    Checked,
    /// Foreign keys and triggers are on the ghost, if there are any.
    Dressed,
    /// The swap is about to be asked for.
    BeforeRename,
    /// The queued swap waits behind the sentry table.
    RenameQueued,
    /// The sentry table is gone.
    SentryDropped,
    /// It is proven that the queued swap waits for the table itself.
    RenameProven,
    /// The tables are swapped, and foreign keys are about to be taken off the old one.
    FreeingParents,
    /// The server has answered that the tables are swapped.
    Renamed,
    /// The stream has shown that nothing was missed.
    Proven,
    /// That is written down.
    ProofSaved,
}

/// Called at each step with the id of the connection that does the work of the step.
type Listener = dyn Fn(Step, u32) + Send + Sync;

/// Who listens, if anybody does.
#[derive(Clone, Default)]
pub(crate) struct Steps(Option<Arc<Listener>>);

impl Steps {
    pub(crate) fn new(listener: impl Fn(Step, u32) + Send + Sync + 'static) -> Self {
        Steps(Some(Arc::new(listener)))
    }

    pub(crate) fn at(&self, step: Step, connection: u32) {
        log::trace!("step {step:?} on connection {connection}");
        if let Some(listener) = &self.0 {
            listener(step, connection);
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Steps(listened to)" } else { "Steps" })
    }
}
