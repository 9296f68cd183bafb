//! This library in this process, where others write to the table and the run can be held back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use online_alter::{Event, Handle, OnMismatch, OnlineAlter, Phase, Report};
use online_alter_support::csm;

use crate::ours::Phases;
use crate::place::Place;

/// A run, and when things happened in it.
pub(crate) struct Run {
    handle: Handle,
    began: Instant,
    phases: Phases,
    swap: Arc<Mutex<Swap>>,
    gate: Gate,
}

/// When the gate was shut (`true`) and opened again.
type Gate = Arc<Mutex<Vec<(Instant, bool)>>>;

#[derive(Debug, Default)]
struct Swap {
    /// The first attempt.
    first: Option<Instant>,
    done: Option<Instant>,
}

/// A run that is over.
pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// From the beginning of the first attempt to the swap.
    pub(crate) cut_over: (Instant, Instant),
    pub(crate) phases: Vec<(Phase, Duration, Duration)>,
    /// When it was held back from (`true`), and no longer.
    pub(crate) gate: Vec<(Instant, bool)>,
}

impl Ran {
    pub(crate) fn seconds(&self) -> f64 {
        self.ended.duration_since(self.began).as_secs_f64()
    }
}

impl Run {
    /// Starts it with the defaults, but for what `options` does.
    pub(crate) fn start(
        place: &Place,
        clause: &str,
        options: impl FnOnce(OnlineAlter) -> OnlineAlter,
    ) -> Result<Self> {
        let phases = Phases::default();
        let swap = Arc::new(Mutex::new(Swap::default()));
        let gate = Gate::default();
        let (noted, swapped, shut) = (phases.clone(), Arc::clone(&swap), Arc::clone(&gate));
        let began = Instant::now();
        let alter = OnlineAlter::new(place.url().as_str(), csm::TABLE)
            .alter(clause)
            // What is lost is to be seen by the journal.
            .on_mismatch(OnMismatch::Stop)
            .observer(move |event: &Event| {
                noted.note(event);
                swapped.lock().unwrap_or_else(PoisonError::into_inner).note(event);
                if let Event::Throttled(_) | Event::Unthrottled = event {
                    let is_shut = *event != Event::Unthrottled;
                    let mut shut = shut.lock().unwrap_or_else(PoisonError::into_inner);
                    shut.push((Instant::now(), is_shut));
                }
            });
        // The writers are to have the cores that they need.
        let alter = match place.group() {
            Some(group) => alter.resource_group(group),
            None => alter,
        };
        let handle = options(alter).start()?;
        Ok(Run { handle, began, phases, swap, gate })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn join(self) -> Result<Ran> {
        let report = self.handle.join()?;
        let ended = Instant::now();
        let swap = self.swap.lock().unwrap_or_else(PoisonError::into_inner);
        let cut_over = swap.first.zip(swap.done).context("no swap was seen")?;
        let phases = self.phases.spans(ended);
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ran { report, began: self.began, ended, cut_over, phases, gate })
    }
}

impl Swap {
    fn note(&mut self, event: &Event) {
        let now = Instant::now();
        match event {
            Event::CutOverAttempt { .. } => {
                self.first.get_or_insert(now);
            }
            Event::Swapped { .. } => self.done = Some(now),
            _ => {}
        }
    }
}
