//! An end to a test that hangs: a runner waits for ever, and tells of nothing.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the process, with a word on stderr, unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// Watches over something that never takes as long as `limit`.
    pub fn start(what: String, limit: Duration) -> Self {
        let (alive, watched) = channel::<()>();
        thread::spawn(move || {
            if watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Past the capture of the test runner, which would keep it to itself.
                let _ = writeln!(std::io::stderr(), "\nSTUCK for {limit:?}: {what}");
                std::process::exit(3);
            }
        });
        Self { _alive: alive }
    }
}
