//! Work that may never end.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// How often a wait looks whether the run was asked to stop.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// What comes of `work`, which has a thread of its own: `None` if nothing does within the limit. Then the thread is left to
/// itself, and ends with its work. (The crate's read timeout would do for a handshake, and cannot be taken off after it.)
///
/// Whoever is asked to stop meanwhile does not wait on. Who was before has his reasons to go on.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    cancel: Option<&Cancel>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    let end = Instant::now() + limit;
    let cancel = cancel.filter(|cancel| !cancel.is_set());
    let (done, result) = sync_channel(1);
    // Nobody may be waiting any more.
    let run = move || drop(done.send(work()));
    thread::Builder::new().name("oa-connect".to_owned()).spawn(run).map_err(|error| {
        Error::new(ErrorKind::Connection, format!("no thread to connect with: {error}"))
            .with_source(error)
    })?;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match result.recv_timeout(left.min(CANCEL_CHECK)) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => cancel.map_or(Ok(()), Cancel::check)?,
            Err(RecvTimeoutError::Disconnected) => {
                let why = "the thread that was to connect has panicked";
                return Err(Error::new(ErrorKind::Connection, why));
            }
        }
    }
}
