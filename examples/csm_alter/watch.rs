//! The alteration, as it is watched: a progress bar, or lines now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use online_alter::{Event, Handle, OnMismatch, OnlineAlter, Phase, Report};
use online_alter_support::{Writers, csm};

use crate::bar::Bar;
use crate::common::{Interrupts, say, warn};

const LOOK: Duration = Duration::from_millis(100);
/// Between two lines, where there is no terminal for a bar.
const LINE: Duration = Duration::from_secs(2);

/// A time from one moment to another.
pub(crate) type Span = (Instant, Instant);

/// What was seen of the alteration.
pub(crate) struct Altered {
    pub(crate) report: Report,
    /// From the start of the plan to the end of the run.
    pub(crate) all: Span,
    /// The copy of the rows.
    pub(crate) copy: Option<Span>,
    /// From the first attempt to cut over to the swap.
    pub(crate) cut_over: Option<Span>,
}

/// Alters the table, from the plan to the end.
pub(crate) fn alter(url: &str, writers: &Writers, interrupts: &Interrupts) -> Result<Altered> {
    let moments = Arc::new(Mutex::new(Moments::default()));
    let noted = Arc::clone(&moments);
    let started = Instant::now();
    let handle = OnlineAlter::new(url, csm::TABLE)
        .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
        // What is lost is to be seen, not put right before the journal judges.
        .on_mismatch(OnMismatch::Stop)
        .observer(move |event: &Event| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).note(event);
        })
        .start()?;
    watch(&handle, writers, interrupts);
    let report = handle.join()?;
    let all = (started, Instant::now());
    let moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = moments.copy_began.zip(moments.copy_ended);
    let cut_over = moments.first_attempt.zip(moments.swapped);
    Ok(Altered { report, all, copy, cut_over })
}

/// When what took place.
#[derive(Default)]
struct Moments {
    copy_began: Option<Instant>,
    copy_ended: Option<Instant>,
    first_attempt: Option<Instant>,
    swapped: Option<Instant>,
}

impl Moments {
    fn note(&mut self, event: &Event) {
        let now = Instant::now();
        match event {
            Event::Phase(Phase::Copy) => self.copy_began = Some(now),
            Event::Phase(phase) if *phase > Phase::Copy => {
                self.copy_ended.get_or_insert(now);
            }
            Event::CutOverAttempt { .. } => {
                self.first_attempt.get_or_insert(now);
            }
            Event::Swapped { .. } => self.swapped = Some(now),
            _ => {}
        }
    }
}

fn watch(handle: &Handle, writers: &Writers, interrupts: &Interrupts) {
    let bar = Bar::new(&handle.progress());
    let mut aborted = false;
    let mut due = Instant::now();
    while !handle.is_finished() {
        if !aborted && interrupts.count() > 0 {
            aborted = true;
            handle.abort();
            bar.suspend(|| warn("interrupted: aborting cleanly"));
        }
        let progress = handle.progress();
        if bar.is_hidden() {
            if Instant::now() >= due {
                say(&progress);
                due = Instant::now() + LINE;
            }
        } else {
            let (writes, errors) = (writers.statements(), writers.errors());
            bar.show(&progress, format_args!("; writers: {writes} writes, {errors} errors"));
        }
        thread::sleep(LOOK);
    }
}
