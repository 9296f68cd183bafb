//! What a run tells while it goes on.

use std::time::Duration;

use crossbeam_channel::Sender;

use crate::cutover::Blocker;
use crate::error::Phase;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A phase has begun.
    Phase(Phase),
    /// A chunk has been copied.
    #[non_exhaustive]
    ChunkCopied {
        /// The rows in it.
        rows: u64,
        /// The rows copied so far, this chunk included.
        rows_copied: u64,
        /// How long it took.
        time: Duration,
    },
    /// A chunk could not be copied, for a reason that passes, and is tried again.
    #[non_exhaustive]
    ChunkRetried {
        /// Why.
        reason: String,
    },
    /// The rows have been counted ([`exact_row_count`](crate::OnlineAlter::exact_row_count)).
    #[non_exhaustive]
    RowsCounted {
        /// How many there were.
        rows: u64,
    },
    /// All rows have been compared.
    #[non_exhaustive]
    Verified {
        /// How many rows there were.
        rows: u64,
        /// Rows that differed and have been repaired. If there are any, all are compared again.
        repaired: u64,
    },
    /// The run holds back from now on, for this reason.
    Throttled(String),
    /// The run no longer holds back.
    Unthrottled,
    /// An attempt to cut over begins. The first is number 1.
    #[non_exhaustive]
    CutOverAttempt {
        /// Which attempt it is.
        attempt: u32,
    },
    /// An attempt to cut over was given up, with everything as it was.
    #[non_exhaustive]
    CutOverFailed {
        /// Which attempt it was.
        attempt: u32,
        /// Why.
        reason: String,
        /// Who used the table right behind that, the longest first, as far as the user may see it: on MySQL by
        /// `performance_schema`; on MariaDB, which does not tell who holds locks, all whose transactions are open.
        blockers: Vec<Blocker>,
    },
    /// A test on a replica is about to stop its replication. Who has stopped it himself by then will not have it
    /// stopped again.
    ReplicationStops,
    /// A test on a replica has started its replication again.
    ReplicationStarted,
    /// The tables are swapped.
    #[non_exhaustive]
    Swapped {
        /// For how long writers were blocked.
        locked: Duration,
    },
    /// The run is over. Its result comes from [`Handle::join`](crate::Handle::join).
    #[non_exhaustive]
    Finished {
        /// Whether the table has the new definition and everything went well.
        succeeded: bool,
    },
}

/// Receives the events of a run.
///
/// Closures and [`crossbeam_channel::Sender`]s are observers. Events come in order, one at a time,
/// on the threads of the run, which wait for the observer: it should be quick, or hand the event
/// on. While the table is locked for the cut-over, no event is
/// delivered but those of throttling. A panic of the observer
/// ends the run, or after the swap is a warning of the report.
pub trait Observer: Send {
    /// Receives an event.
    fn on_event(&mut self, event: &Event);

    /// Whether the run must not go on, and why: asked right after [`on_event`](Self::on_event), for each event. It
    /// then ends cleanly, with [`ErrorKind::Vetoed`](crate::ErrorKind::Vetoed) and that reason. The last chance is
    /// [`Event::CutOverAttempt`]; behind the swap a veto is a warning of the report. Default: it may go on.
    fn veto(&mut self, event: &Event) -> Option<String> {
        let _ = event;
        None
    }
}

impl<F: FnMut(&Event) + Send> Observer for F {
    fn on_event(&mut self, event: &Event) {
        self(event);
    }
}

/// Sends a copy of each event. One that does not fit into a full channel is dropped: a run never
/// waits for a reader.
impl Observer for Sender<Event> {
    fn on_event(&mut self, event: &Event) {
        let _ = self.try_send(event.clone());
    }
}
