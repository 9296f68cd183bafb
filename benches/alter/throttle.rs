//! Writers with bursts, and a migration that does not write in them: what `max_load` with `Threads_running` is worth.
//!
//! Each contender has a fresh table, and its writers are watched without a migration right before it. In quiet times the
//! writers have a rate; in bursts, sixteen write as fast as the server takes it, which is what an application does that
//! has work piled up.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use online_alter::IndexBuild;
use online_alter::mysql::prelude::Queryable;
use online_alter::throttle::StatusLimits;
use online_alter_support::{Bursts, Outcome, Times};

use crate::cases::measured;
use crate::flags::Flags;
use crate::here::{Ran, Run};
use crate::load::{self, WARM_UP, ms};
use crate::note;
use crate::output::short;
use crate::place::{CLAUSE, Place};
use crate::results::{Line, Measured, Verdict, median};

const WRITERS: u8 = 16;
/// Of all writers, in quiet times.
const RATE: f64 = 20.0;
const QUIET: Duration = Duration::from_secs(4);
const BUSY: Duration = Duration::from_secs(2);
/// What the writers need to get going, and to come to an end.
const EDGE: Duration = Duration::from_millis(20);

/// A contender.
struct Contender {
    name: &'static str,
    is_throttled: bool,
    index_build: IndexBuild,
}

const CONTENDERS: [Contender; 3] = [
    Contender { name: "not throttled", is_throttled: false, index_build: IndexBuild::Auto },
    Contender { name: "throttled", is_throttled: true, index_build: IndexBuild::Maintain },
    // The statement that builds the indexes cannot be held back once it has begun.
    Contender {
        name: "throttled, indexes built after the copy",
        is_throttled: true,
        index_build: IndexBuild::AfterCopy,
    },
];

/// What the writers saw in a time.
struct Seen {
    all: Times,
    quiet: Times,
    busy: Times,
    worst: Duration,
    rate: f64,
}

impl Seen {
    fn new(outcome: &Outcome, bursts: Bursts, from: Instant, to: Instant) -> Self {
        let within = |at: Instant| at >= from && at <= to;
        let all = outcome.times_of(within);
        Seen {
            rate: all.count() as f64 / (to - from).as_secs_f64(),
            all,
            quiet: outcome.times_of(|at| within(at) && !bursts.at(at).0),
            busy: outcome.times_of(|at| within(at) && bursts.at(at).0),
            worst: outcome.max_wait_between(from, to),
        }
    }
}

fn p99(times: &Times) -> f64 {
    ms(times.percentile(99.0))
}

/// A migration, and the time before it.
struct Pair {
    before: Seen,
    during: Seen,
    ran: Ran,
    /// How long after the beginning of each burst the run was held back.
    late: Vec<f64>,
    /// How often it went on in a burst.
    slips: u32,
    /// The share of the quiet times for which it was held back all the same, in percent.
    held_in_quiet: f64,
}

impl Pair {
    fn rows_per_second(&self) -> f64 {
        self.ran.report.rows_copied as f64 / self.ran.report.copy_time.as_secs_f64().max(1e-9)
    }

    fn throttled_share(&self) -> f64 {
        100.0 * self.ran.report.throttled_time.as_secs_f64() / self.ran.seconds()
    }
}

/// What `Threads_running` is: of its samples 95 of 100 are not above this in quiet times, and not below in bursts.
#[derive(Clone, Copy)]
struct Running {
    quiet: u64,
    busy: u64,
}

impl Running {
    fn limit(self, flags: &Flags) -> Result<u64> {
        if let Some(limit) = flags.max_running {
            return Ok(limit);
        }
        ensure!(
            self.busy > self.quiet + 1,
            "bursts do not stand out: Threads_running is {} in quiet times and {} in bursts: say --max-running",
            self.quiet,
            self.busy
        );
        Ok((self.quiet + self.busy).div_ceil(2))
    }
}

pub(crate) fn run(flags: &Flags, place: &Place, title: &str) -> Result<Vec<Measured>> {
    let mut all: Vec<(&Contender, Vec<Pair>)> =
        CONTENDERS.iter().map(|c| (c, Vec::new())).collect();
    let (mut quiet, mut busy, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=flags.runs {
        let running = look(place, flags)?;
        let limit = running.limit(flags)?;
        quiet.push(running.quiet as f64);
        busy.push(running.busy as f64);
        limits.push(limit as f64);
        note(format_args!(
            "  run {run}: Threads_running {} in quiet times, {} in bursts, the limit is {limit}",
            running.quiet, running.busy
        ));
        for (contender, pairs) in &mut all {
            let pair = once(flags, place, contender, limit)?;
            note(format_args!(
                "  run {run}: {}: {:.1} s, held back {:.0} % of it, p99 {:.2} \u{d7}, {} rows/s, late by {}, {} slips",
                contender.name,
                pair.ran.seconds(),
                pair.throttled_share(),
                p99(&pair.during.all) / p99(&pair.before.all),
                short(pair.rows_per_second()),
                pair.late.iter().map(|late| short(*late)).collect::<Vec<_>>().join(", "),
                pair.slips
            ));
            pairs.push(pair);
        }
    }
    let mut lines = vec![
        Line::new("Threads_running in quiet times (95 %)", "", quiet),
        Line::new("Threads_running in bursts (5 %)", "", busy),
        Line::new("limit of Threads_running", "", limits),
    ];
    let mut verdicts = Vec::new();
    for (contender, pairs) in &all {
        let each = |what: &dyn Fn(&Pair) -> f64| pairs.iter().map(what).collect::<Vec<f64>>();
        lines.push(Line::new(contender.name, "s", each(&|pair| pair.ran.seconds())));
        let details = [
            ("held back", "%", each(&|pair| pair.throttled_share())),
            ("copied", "rows/s", each(&|pair| pair.rows_per_second())),
            ("p99 without migration", "ms", each(&|pair| p99(&pair.before.all))),
            ("p99 during", "ms", each(&|pair| p99(&pair.during.all))),
            ("p99 in quiet times, without", "ms", each(&|pair| p99(&pair.before.quiet))),
            ("p99 in quiet times, during", "ms", each(&|pair| p99(&pair.during.quiet))),
            ("p99 in bursts, without", "ms", each(&|pair| p99(&pair.before.busy))),
            ("p99 in bursts, during", "ms", each(&|pair| p99(&pair.during.busy))),
            ("longest wait without migration", "ms", each(&|pair| ms(pair.before.worst))),
            ("longest wait during", "ms", each(&|pair| ms(pair.during.worst))),
            ("writes without migration", "/s", each(&|pair| pair.before.rate)),
            ("writes during", "/s", each(&|pair| pair.during.rate)),
            (
                "held back after a burst's beginning",
                "ms",
                pairs.iter().flat_map(|p| p.late.clone()).collect(),
            ),
            ("held back in quiet times", "%", each(&|pair| pair.held_in_quiet)),
            ("went on in a burst", "times", each(&|pair| f64::from(pair.slips))),
        ];
        lines.extend(
            details
                .into_iter()
                .filter(|(.., samples)| !samples.is_empty())
                .map(|(name, unit, samples)| Line::new(name, unit, samples).detail()),
        );
        let ratio =
            |of: &dyn Fn(&Seen) -> f64| median(&each(&|pair| of(&pair.during) / of(&pair.before)));
        // What cannot be held back is no measure of what holding back is worth.
        if contender.is_throttled && contender.index_build == IndexBuild::Maintain {
            let name = contender.name;
            verdicts.extend([
                Verdict::at_most(
                    &format!("{name}: p99 / without migration"),
                    ratio(&|seen| p99(&seen.all)),
                    1.5,
                    "\u{d7}",
                ),
                Verdict::at_most(
                    &format!("{name}: p99 in bursts / without"),
                    ratio(&|seen| p99(&seen.busy)),
                    1.5,
                    "\u{d7}",
                ),
            ]);
        }
    }
    Ok(vec![measured(place, title, lines, verdicts)])
}

fn writers(place: &Place) -> Result<(online_alter_support::Writers, Bursts)> {
    let bursts = Bursts { began: Instant::now() + WARM_UP, quiet: QUIET, busy: BUSY, rate: None };
    let writers = load::start_with(place, |workload| {
        workload.writers = WRITERS;
        workload.rate = Some(RATE);
        workload.bursts = Some(bursts);
    })?;
    Ok((writers, bursts))
}

/// Whole periods, as long as the baseline or a little longer.
fn baseline(flags: &Flags) -> Duration {
    let period = QUIET + BUSY;
    let periods = Duration::from_secs(flags.baseline).as_nanos().div_ceil(period.as_nanos());
    period * u32::try_from(periods).unwrap_or(1).max(1)
}

/// What an operator sees who looks at the server before he chooses a limit. Whoever looks is counted, too.
fn look(place: &Place, flags: &Flags) -> Result<Running> {
    let _lock = place.fresh()?;
    let (writers, bursts) = writers(place)?;
    thread::sleep(bursts.began.saturating_duration_since(Instant::now()));
    let mut conn = place.conn()?;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    let end = Instant::now() + baseline(flags);
    while Instant::now() < end {
        let status: Option<(String, u64)> =
            conn.query_first("SHOW GLOBAL STATUS LIKE 'Threads_running'")?;
        let (_, value) = status.context("no Threads_running")?;
        match bursts.at(Instant::now()) {
            (is_busy, since) if since > EDGE => {
                if is_busy { &mut busy } else { &mut quiet }.push(value);
            }
            _ => {}
        }
        thread::sleep(Duration::from_millis(50));
    }
    load::stop(place, writers)?;
    let part = |mut samples: Vec<u64>, percent: usize| {
        samples.sort_unstable();
        samples.get(samples.len() * percent / 100).copied().context("no sample")
    };
    Ok(Running { quiet: part(quiet, 95)?, busy: part(busy, 5)? })
}

fn once(flags: &Flags, place: &Place, contender: &Contender, limit: u64) -> Result<Pair> {
    let _lock = place.fresh()?;
    let (writers, bursts) = writers(place)?;
    thread::sleep(bursts.began.saturating_duration_since(Instant::now()));
    let from = Instant::now();
    thread::sleep(baseline(flags));
    let to = Instant::now();
    let ran = Run::start(place, CLAUSE, |alter| {
        let alter = alter.index_build(contender.index_build);
        if !contender.is_throttled {
            return alter;
        }
        alter.limits(|limits| {
            limits.max_load = StatusLimits::new().limit("Threads_running", limit);
        })
    })?;
    let ran = ran.join()?;
    thread::sleep(Duration::from_millis(500));
    let outcome = load::stop(place, writers)?;
    let (late, slips) = late(&ran, bursts);
    let held_in_quiet = held_in_quiet(&ran, bursts);
    Ok(Pair {
        before: Seen::new(&outcome, bursts, from, to),
        during: Seen::new(&outcome, bursts, ran.began, ran.ended),
        ran,
        late,
        slips,
        held_in_quiet,
    })
}

/// How many milliseconds each burst had lasted when the run was held back, and how often it went on in one.
fn late(ran: &Ran, bursts: Bursts) -> (Vec<f64>, u32) {
    let (mut late, mut slips) = (Vec::new(), 0);
    let mut burst_of = None;
    for (at, is_shut) in &ran.gate {
        let (is_busy, since) = bursts.at(*at);
        if !is_busy || BUSY.saturating_sub(since) < EDGE {
            continue;
        }
        let burst = at.checked_sub(since).map(|began| (began - bursts.began).as_millis() / 100);
        if !is_shut {
            slips += 1;
        } else if burst_of != burst {
            burst_of = burst;
            late.push(ms(since));
        }
    }
    (late, slips)
}

/// The share of the quiet times for which the run was held back, by itself, in percent.
fn held_in_quiet(ran: &Ran, bursts: Bursts) -> f64 {
    const STEP: Duration = Duration::from_millis(5);
    let (mut held, mut quiet) = (0_u32, 0_u32);
    let mut gate = ran.gate.iter().peekable();
    let (mut now, mut is_shut) = (ran.began, false);
    while now < ran.ended {
        while let Some((_, shut)) = gate.next_if(|(at, _)| *at <= now) {
            is_shut = *shut;
        }
        let (is_busy, since) = bursts.at(now);
        // A burst's end is noticed late, too.
        if !is_busy && since > Duration::from_millis(250) {
            quiet += 1;
            held += u32::from(is_shut);
        }
        now += STEP;
    }
    100.0 * f64::from(held) / f64::from(quiet.max(1))
}
