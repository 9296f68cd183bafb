//! This library: in a process of its own, so that what it needs of the machine can be told.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use online_alter::{Event, IndexBuild, OnMismatch, OnlineAlter, Phase};
use online_alter_support::csm;
use serde::{Deserialize, Serialize};

use crate::place::{CLAUSE, Place};
use crate::process;

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    url: String,
    verify: bool,
    /// Keep the indexes up while rows are copied.
    maintain: bool,
}

/// What a run took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// Phases and their seconds, in order.
    pub(crate) phases: Vec<(String, f64)>,
    pub(crate) copy_cpu_seconds: f64,
    pub(crate) peak_mib: f64,
    pub(crate) locked_ms: f64,
    /// Of comparing the rows, beside the index build too.
    pub(crate) verified_seconds: f64,
}

impl Took {
    /// The seconds of a phase, by its name.
    pub(crate) fn phase(&self, phase: Phase) -> f64 {
        let name = phase.to_string();
        self.phases.iter().filter(|(other, _)| *other == name).map(|(_, seconds)| seconds).sum()
    }
}

/// When each phase began, and the processor time until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phases(Arc<Mutex<Vec<(Phase, Instant, Duration)>>>);

impl Phases {
    pub(crate) fn note(&self, event: &Event) {
        if let Event::Phase(phase) = event {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((*phase, Instant::now(), process::cpu()));
        }
    }

    /// Each phase with its time and processor time.
    pub(crate) fn spans(&self, end: Instant) -> Vec<(Phase, Duration, Duration)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.push((Phase::Finish, end, process::cpu()));
        all.iter()
            .zip(all.iter().skip(1))
            .map(|((phase, from, cpu), (_, to, cpu_to))| {
                (*phase, to.duration_since(*from), cpu_to.saturating_sub(*cpu))
            })
            .collect()
    }
}

/// Alters the table of `place` with the defaults.
pub(crate) fn alter(place: &Place, verify: bool, maintain: bool) -> Result<Took> {
    let task = serde_json::to_string(&Task { url: place.url(), verify, maintain })?;
    let out = Command::new(std::env::current_exe()?)
        .arg("--child")
        .arg(task)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the process that alters")?;
    ensure!(out.status.success(), "altering has failed: {}", out.status);
    serde_json::from_slice(&out.stdout).context("no account of the run")
}

/// The process that alters.
pub(crate) fn child(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task)?;
    let phases = Phases::default();
    let noted = phases.clone();
    let began = Instant::now();
    let report = OnlineAlter::new(task.url.as_str(), csm::TABLE)
        .alter(CLAUSE)
        .verify(task.verify)
        .index_build(if task.maintain { IndexBuild::Maintain } else { IndexBuild::Auto })
        .on_mismatch(OnMismatch::Stop)
        .observer(move |event: &Event| noted.note(event))
        .run()?;
    let end = Instant::now();
    let spans = phases.spans(end);
    let took = Took {
        seconds: end.duration_since(began).as_secs_f64(),
        phases: spans
            .iter()
            .map(|(phase, time, _)| (phase.to_string(), time.as_secs_f64()))
            .collect(),
        copy_cpu_seconds: spans
            .iter()
            .filter(|(phase, ..)| *phase == Phase::Copy)
            .map(|(_, _, cpu)| cpu.as_secs_f64())
            .sum(),
        peak_mib: process::peak_mib(),
        locked_ms: report.locked.as_secs_f64() * 1000.0,
        verified_seconds: report
            .verification
            .as_ref()
            .map_or(0.0, |found| found.elapsed.as_secs_f64()),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&took)?)?;
    Ok(())
}
