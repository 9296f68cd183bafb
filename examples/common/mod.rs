//! What the examples share.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Prints a line. Nobody has to read it: a terminal that went away ends no run, as a panic of
/// `println!` would.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line where errors go.
pub(crate) fn warn(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Counts Ctrl-C and the other signals that ask a program to end: SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(crate) struct Interrupts(Arc<AtomicU32>);

impl Interrupts {
    /// From now on such a signal is counted and does nothing else. Once in a process.
    pub(crate) fn listen() -> Result<Self, ctrlc::Error> {
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        ctrlc::set_handler(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })?;
        Ok(Interrupts(count))
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
