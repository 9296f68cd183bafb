//! A thousand writes a second by four writers, who keep a journal and note every wait.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use online_alter::Phase;
use online_alter_support::csm::TABLE;
use online_alter_support::{Outcome, Table, Times, Workload, Writers, check};

use crate::cases::measured;
use crate::flags::Flags;
use crate::here::{Ran, Run};
use crate::place::{CLAUSE, Place};
use crate::results::{Line, Measured, Verdict, median};
use crate::{note, ours};

const RATE: f64 = 1000.0;
/// Until the writers have found their pace.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) fn start(place: &Place) -> Result<Writers> {
    start_with(place, |workload| workload.rate = Some(RATE))
}

pub(crate) fn start_with(place: &Place, change: impl FnOnce(&mut Workload)) -> Result<Writers> {
    let mut workload = Workload::new(Table::csm(TABLE));
    change(&mut workload);
    Writers::start(&place.url(), workload)
}

/// Stops the writers, and makes sure that the table holds what they were promised.
pub(crate) fn stop(place: &Place, writers: Writers) -> Result<Outcome> {
    let outcome = writers.stop();
    ensure!(outcome.errors.is_empty(), "writers saw errors: {:?}", outcome.errors);
    let check = check(&mut place.conn()?, &Table::csm(TABLE), &outcome)?;
    ensure!(check.is_clean(), "the journal is not clean: {check}");
    note(format_args!("  journal: {check}"));
    Ok(outcome)
}

/// What the writers saw in a time.
struct Seen {
    rate: f64,
    times: Times,
    worst: Duration,
}

impl Seen {
    fn new(outcome: &Outcome, from: Instant, to: Instant) -> Self {
        let times = outcome.times_between(from, to);
        let rate = times.count() as f64 / to.duration_since(from).as_secs_f64();
        Seen { rate, worst: outcome.max_wait_between(from, to), times }
    }

    fn ms(&self, percent: f64) -> f64 {
        ms(self.times.percentile(percent))
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

struct UnderLoad {
    idle: f64,
    ran: Ran,
    before: Seen,
    during: Seen,
    cut_over: Duration,
    /// Each phase, and what the writers saw in it.
    phases: Vec<(Phase, Duration, Seen)>,
}

pub(crate) fn run(flags: &Flags, place: &Place, title: &str) -> Result<Vec<Measured>> {
    let mut runs = Vec::new();
    for run in 1..=flags.runs {
        let one = once(flags, place)?;
        note(format_args!(
            "  run {run}: idle {:.2} s, under load {:.2} s, worst wait {:.1} ms",
            one.idle,
            one.ran.seconds(),
            ms(one.during.worst)
        ));
        runs.push(one);
    }
    let each = |what: &dyn Fn(&UnderLoad) -> f64| runs.iter().map(what).collect::<Vec<f64>>();
    let of = |what: &dyn Fn(&UnderLoad) -> f64| median(&each(what));
    let mut lines = vec![
        Line::new("online-alter, idle", "s", each(&|run| run.idle)),
        Line::new("online-alter, under load", "s", each(&|run| run.ran.seconds())),
    ];
    lines.extend(phase_lines(&runs));
    let waits = [
        ("p50 without migration", each(&|run| run.before.ms(50.0))),
        ("p50 during", each(&|run| run.during.ms(50.0))),
        ("p99 without migration", each(&|run| run.before.ms(99.0))),
        ("p99 during", each(&|run| run.during.ms(99.0))),
        ("longest wait without migration", each(&|run| ms(run.before.worst))),
        ("longest wait during", each(&|run| ms(run.during.worst))),
        ("longest wait at the cut-over", each(&|run| ms(run.cut_over))),
        ("table locked, as the run saw it", each(&|run| ms(run.ran.report.locked))),
    ];
    lines.extend(waits.map(|(name, samples)| Line::new(name, "ms", samples)));
    lines.push(Line::new("rate without migration", "/s", each(&|run| run.before.rate)));
    lines.push(Line::new("rate during", "/s", each(&|run| run.during.rate)));
    let verdicts = vec![
        Verdict::at_most(
            "under load / idle",
            of(&|run| run.ran.seconds() / run.idle),
            1.5,
            "\u{d7}",
        ),
        Verdict::at_least(
            "writers keep of their rate",
            of(&|run| 100.0 * run.during.rate / run.before.rate),
            99.0,
            "%",
        ),
        Verdict::at_most(
            "writer p99 / without migration",
            of(&|run| run.during.ms(99.0) / run.before.ms(99.0)),
            2.0,
            "\u{d7}",
        ),
        Verdict::at_most(
            "longest wait beyond the worst without migration",
            of(&|run| ms(run.during.worst) - ms(run.before.worst)),
            50.0,
            "ms",
        ),
    ];
    Ok(vec![measured(place, title, lines, verdicts)])
}

fn once(flags: &Flags, place: &Place) -> Result<UnderLoad> {
    let lock = place.fresh()?;
    let idle = ours::alter(place, true, false)?.seconds;
    drop(lock);
    place.judge()?;
    let _lock = place.fresh()?;
    let writers = start(place)?;
    thread::sleep(WARM_UP);
    let from = Instant::now();
    thread::sleep(Duration::from_secs(flags.baseline));
    let to = Instant::now();
    let run = Run::start(place, CLAUSE, |alter| alter)?;
    let ran = run.join()?;
    thread::sleep(Duration::from_secs(1));
    let outcome = stop(place, writers)?;
    Ok(UnderLoad {
        idle,
        before: Seen::new(&outcome, from, to),
        during: Seen::new(&outcome, ran.began, ran.ended),
        cut_over: outcome.max_wait_between(ran.cut_over.0, ran.cut_over.1),
        phases: phases(&ran, &outcome),
        ran,
    })
}

/// The phases that are long enough to say something of the writers.
fn phases(ran: &Ran, outcome: &Outcome) -> Vec<(Phase, Duration, Seen)> {
    const LONG: Duration = Duration::from_millis(200);
    let all = ran.phases.iter().map(|(_, time, _)| *time).sum();
    let mut from = ran.ended.checked_sub(all).unwrap_or(ran.began);
    let mut seen = Vec::new();
    for (phase, time, _) in &ran.phases {
        let to = from + *time;
        if *time >= LONG {
            seen.push((*phase, *time, Seen::new(outcome, from, to)));
        }
        from = to;
    }
    seen
}

fn phase_lines(runs: &[UnderLoad]) -> Vec<Line> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let of = |phase, what: &dyn Fn(&Duration, &Seen) -> f64| -> Vec<f64> {
        let all = runs.iter().flat_map(|run| &run.phases).filter(|(other, ..)| *other == phase);
        all.map(|(_, time, seen)| what(time, seen)).collect()
    };
    let mut lines = Vec::new();
    for (phase, ..) in &first.phases {
        lines.extend([
            Line::new(&phase.to_string(), "s", of(*phase, &|time, _| time.as_secs_f64())),
            Line::new("p99", "ms", of(*phase, &|_, seen| seen.ms(99.0))),
            Line::new("longest wait", "ms", of(*phase, &|_, seen| ms(seen.worst))),
            Line::new("rate", "/s", of(*phase, &|_, seen| seen.rate)),
        ]);
    }
    lines.into_iter().map(Line::detail).collect()
}
