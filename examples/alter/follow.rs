//! A run from its start to its end, with an eye on what wants to stop it.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use online_alter::{Event, Handle, Report};

use crate::common::{Interrupts, say, warn};

const LOOK: Duration = Duration::from_millis(100);
const STATUS: Duration = Duration::from_secs(1);

/// Passes on what an operator should read at once; the rest is in the status and the log.
pub(crate) fn observer(notes: mpsc::Sender<String>) -> impl FnMut(&Event) + Send {
    move |event| match event {
        Event::CutOverFailed { attempt, reason, .. } => {
            let _ = notes.send(format!("attempt {attempt} to cut over was given up: {reason}"));
        }
        Event::Phase(phase) => log::info!("phase: {phase}"),
        Event::Throttled(reason) => log::info!("throttled: {reason}"),
        Event::Unthrottled => log::info!("no longer throttled"),
        Event::Swapped { locked, .. } => log::info!("swapped; writers were blocked for {locked:?}"),
        _ => {}
    }
}

/// What to look at during a run.
pub(crate) struct Watch<'a> {
    pub(crate) interrupts: &'a Interrupts,
    pub(crate) panic_file: Option<&'a Path>,
    pub(crate) notes: mpsc::Receiver<String>,
    pub(crate) quiet: bool,
}

impl Watch<'_> {
    /// Waits for the end of the run.
    pub(crate) fn follow(self, handle: Handle) -> online_alter::Result<Report> {
        let mut answered = 0;
        let mut aborted = false;
        let mut due = Instant::now() + STATUS;
        while !handle.is_finished() {
            if self.interrupts.count() > answered {
                answered = self.interrupts.count();
                warn(if aborted {
                    "still aborting: what the run created is being dropped"
                } else {
                    "interrupted: aborting cleanly, which may take a few seconds"
                });
                handle.abort();
                aborted = true;
            }
            if let Some(file) = self.panic_file.filter(|file| !aborted && file.exists()) {
                warn(format_args!("{} is there: aborting cleanly", file.display()));
                handle.abort();
                aborted = true;
            }
            self.pass_on_notes();
            if !self.quiet && Instant::now() >= due {
                say(handle.progress());
                due = Instant::now() + STATUS;
            }
            thread::sleep(LOOK);
        }
        self.pass_on_notes();
        if !self.quiet {
            say(handle.progress());
        }
        let result = handle.join();
        if aborted && result.is_ok() {
            warn("the table was swapped before the run could be aborted");
        }
        result
    }

    fn pass_on_notes(&self) {
        for note in self.notes.try_iter().filter(|_| !self.quiet) {
            warn(note);
        }
    }
}
