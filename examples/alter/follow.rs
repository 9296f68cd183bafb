//! A run from its start to its end, with an eye on what wants to stop it.

use std::fmt::Display;
use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use online_alter::{Event, Handle, Observer, RehearsalHandle};

use crate::bar::Bar;
use crate::common::{Interrupts, say, warn};
use crate::hooks::Hooks;

const LOOK: Duration = Duration::from_millis(100);
const STATUS: Duration = Duration::from_secs(1);

/// Passes on what an operator should read at once, and what the hooks wait for; the rest is in the status and
/// the log.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) notes: mpsc::Sender<String>,
    pub(crate) hooks: Hooks,
}

impl Observer for Told {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::CutOverFailed { attempt, reason, blockers, .. } => {
                let note = format!("attempt {attempt} to cut over was given up: {reason}");
                let _ = self.notes.send(note);
                for blocker in blockers.iter().take(3) {
                    let _ = self.notes.send(format!("  the table is used by {blocker}"));
                }
            }
            Event::Phase(phase) => log::info!("phase: {phase}"),
            Event::Throttled(reason) => log::info!("throttled: {reason}"),
            Event::Unthrottled => log::info!("no longer throttled"),
            Event::Swapped { locked, .. } => {
                log::info!("swapped; writers were blocked for {locked:?}");
            }
            _ => {}
        }
    }

    fn veto(&mut self, event: &Event) -> Option<String> {
        self.hooks.veto(event)
    }
}

/// What asks a run, or a rehearsal, to stop.
pub(crate) struct Brake<'a> {
    interrupts: &'a Interrupts,
    panic_file: Option<&'a Path>,
    answered: u32,
    was_pulled: bool,
}

impl<'a> Brake<'a> {
    pub(crate) fn new(interrupts: &'a Interrupts, panic_file: Option<&'a Path>) -> Self {
        Brake { interrupts, panic_file, answered: 0, was_pulled: false }
    }

    fn look(&mut self, warn: &dyn Fn(&dyn Display), abort: &dyn Fn()) {
        if self.interrupts.count() > self.answered {
            self.answered = self.interrupts.count();
            warn(if self.was_pulled {
                &"still aborting: what the run created is being dropped"
            } else {
                &"interrupted: aborting cleanly, which may take a few seconds"
            });
            abort();
            self.was_pulled = true;
        }
        if let Some(file) = self.panic_file.filter(|file| !self.was_pulled && file.exists()) {
            warn(&format_args!("{} is there: aborting cleanly", file.display()));
            abort();
            self.was_pulled = true;
        }
    }

    /// Waits for the end of a rehearsal.
    pub(crate) fn follow(mut self, rehearsal: &RehearsalHandle) {
        while !rehearsal.is_finished() {
            self.look(&|line| warn(line), &|| rehearsal.abort());
            thread::sleep(LOOK);
        }
    }
}

/// What to look at during a run.
pub(crate) struct Watch<'a> {
    pub(crate) brake: Brake<'a>,
    pub(crate) notes: mpsc::Receiver<String>,
    pub(crate) hooks: Hooks,
    pub(crate) quiet: bool,
    /// No bar.
    pub(crate) plain: bool,
}

impl Watch<'_> {
    /// Waits for the end of the run. Whether it was asked to stop before.
    pub(crate) fn follow(mut self, handle: &Handle) -> bool {
        let mut due = Instant::now() + STATUS;
        let may_have_bar = !self.quiet && !self.plain;
        let bar = may_have_bar.then(|| Bar::new(&handle.progress())).filter(|bar| !bar.is_hidden());
        // Those that are kept in a file are wanted all the same.
        let has_lines = !self.quiet && (bar.is_none() || !stdout().is_terminal());
        let warn = |line: &dyn Display| match &bar {
            Some(bar) => bar.suspend(|| warn(line)),
            None => warn(line),
        };
        while !handle.is_finished() {
            self.brake.look(&warn, &|| handle.abort());
            self.pass_on_notes(&warn);
            self.hooks.note(handle.progress());
            if let Some(bar) = &bar {
                bar.show(&handle.progress(), "");
            }
            if has_lines && Instant::now() >= due {
                say(handle.progress());
                due = Instant::now() + STATUS;
            }
            thread::sleep(LOOK);
        }
        self.pass_on_notes(&warn);
        self.hooks.note(handle.progress());
        drop(bar);
        if !self.quiet {
            say(handle.progress());
        }
        self.brake.was_pulled
    }

    fn pass_on_notes(&self, warn: &dyn Fn(&dyn Display)) {
        for note in self.notes.try_iter().filter(|_| !self.quiet) {
            warn(&note);
        }
    }
}
