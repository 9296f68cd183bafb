//! The progress of a run as a bar, on a terminal.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use online_alter::{Phase, Progress};

/// The bar that is shown.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn set_shown(bar: Option<ProgressBar>) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Where the log goes: to stderr, with the bar out of the way.
pub(crate) fn log_target() -> env_logger::Target {
    env_logger::Target::Pipe(Box::new(Log))
}

struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let bar = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let write = || io::stderr().write(text);
        bar.map_or_else(write, |bar| bar.suspend(write))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A bar on stderr. It hides itself where that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(progress: &Progress) -> Self {
        let bar = ProgressBar::new(progress.rows_estimated);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len} rows, {elapsed}, {msg}")
        {
            bar.set_style(style);
        }
        set_shown(Some(bar.clone()));
        Bar(bar)
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Shows how far the run is, with `more` behind it.
    pub(crate) fn show(&self, progress: &Progress, more: impl Display) {
        // The server's estimate may be half the truth.
        let complete = progress.phase > Phase::Copy;
        let estimate = if complete { 0 } else { progress.rows_estimated };
        self.0.set_length(estimate.max(progress.rows_copied));
        self.0.set_position(progress.rows_copied);
        let state = match &progress.throttled {
            Some(reason) => format!("{}, throttled, {reason}", progress.phase),
            None => progress.phase.to_string(),
        };
        self.0.set_message(format!(
            "{state}; {} keys refreshed, {} waiting{more}",
            progress.keys_refreshed, progress.keys_pending
        ));
    }

    /// Lets something be printed while the bar is out of the way.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        set_shown(None);
        self.0.finish_and_clear();
    }
}
