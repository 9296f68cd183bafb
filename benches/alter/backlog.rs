//! Half a table of changes that came while the run was held back, against applying the same
//! changes row by row.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use online_alter::mysql::prelude::Queryable;
use online_alter::{Phase, Postpone};
use online_alter_support::csm::TABLE;

use crate::cases::measured;
use crate::flags::Flags;
use crate::here::Run;
use crate::note;
use crate::output::short;
use crate::place::{CLAUSE, Place};
use crate::results::{Line, Measured, Verdict};

/// Row by row takes long: it is measured on so many, and multiplied.
const SAMPLE: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// How the changes lie in the table.
struct Spread {
    name: &'static str,
    /// Every so many-th row is changed.
    step: u64,
    /// So many times.
    passes: u64,
    bar: f64,
}

const SPREADS: [Spread; 2] = [
    Spread { name: "10 % distinct", step: 20, passes: 10, bar: 10.0 },
    Spread { name: "all distinct", step: 2, passes: 1, bar: 4.0 },
];

pub(crate) fn run(flags: &Flags, place: &Place, title: &str) -> Result<Vec<Measured>> {
    let mut lines = Vec::new();
    let mut verdicts = Vec::new();
    let events = place.rows / 2;
    let scaled = format!("measured on {}, scaled", SAMPLE.min(events / 20));
    for spread in &SPREADS {
        let mut runs = Vec::new();
        for _ in 0..flags.runs {
            runs.push(once(place, spread, events)?);
        }
        let name = |what: &str| format!("{what}, {}", spread.name);
        let line = |what: &str, which: fn(&Drained) -> f64| {
            Line::new(&name(what), "s", runs.iter().map(which).collect())
        };
        let ours = line("online-alter", |run| run.drained);
        let single = line("row by row", |run| run.single);
        let tens = line("row by row, 10 in a transaction", |run| run.tens);
        let what = format!("faster than {}", single.name);
        let value = single.median() / ours.median();
        verdicts.push(Verdict::at_least(&what, value, spread.bar, "\u{d7}"));
        let gh_ost = format!("{scaled}; {} \u{d7} ours", short(tens.median() / ours.median()));
        lines.extend([ours, single.noted(&scaled), tens.noted(gh_ost)]);
    }
    Ok(vec![measured(place, &format!("{title}, {events} changes"), lines, verdicts)])
}

/// Seconds.
struct Drained {
    drained: f64,
    single: f64,
    tens: f64,
}

fn once(place: &Place, spread: &Spread, events: u64) -> Result<Drained> {
    let _lock = place.fresh()?;
    let run =
        Run::start(place, CLAUSE, |alter| alter.postpone_cut_over(Postpone::until_released()))?;
    wait("the copy", || run.handle().progress().phase == Phase::Postponed, &run)?;
    run.handle().pause();
    let before = run.handle().progress().keys_changed;
    let mut conn = place.conn()?;
    for pass in 1..=spread.passes {
        conn.query_drop(format!(
            "UPDATE {TABLE} SET max_grade = {pass} + 1000 WHERE id % {} = 0",
            spread.step
        ))?;
        let changed = conn.affected_rows() * spread.passes;
        ensure!(changed == events, "{changed} changes instead of {events}");
    }
    wait("the stream", || run.handle().progress().keys_changed >= before + events, &run)?;
    let pending = run.handle().progress().keys_pending;
    let began = Instant::now();
    run.handle().resume();
    wait("the refresh", || run.handle().progress().keys_pending == 0, &run)?;
    let drained = began.elapsed().as_secs_f64();
    note(format_args!("  {}: {pending} keys pending, drained in {drained:.2} s", spread.name));
    run.handle().cut_over();
    let ran = run.join()?;
    place.judge()?;
    let old = ran.report.old_table.context("the old table is gone")?;
    let sample = SAMPLE.min(events / 20);
    let seconds = |first, commit| -> Result<f64> {
        let seconds = row_by_row(place, &old, spread.step, first, sample, commit)?;
        let scaled = seconds * events as f64 / sample as f64;
        note(format_args!("  row by row, {commit} in a transaction: {scaled:.1} s"));
        Ok(scaled)
    };
    Ok(Drained { drained, single: seconds(0, 1)?, tens: seconds(sample, 10)? })
}

/// Applies changes of single rows, in their order, to the table as it was, which is as large and has the
/// same indexes as a ghost.
fn row_by_row(
    place: &Place,
    old: &str,
    step: u64,
    first: u64,
    sample: u64,
    commit: u64,
) -> Result<f64> {
    let mut conn = place.conn()?;
    let ids = (first + 1..=first + sample).map(|number| number * step);
    // A REPLACE of a row by itself would be no work.
    conn.query_drop(format!(
        "UPDATE {TABLE} SET max_grade = max_grade + 1 WHERE id % {step} = 0 AND id BETWEEN {} AND {}",
        first * step,
        (first + sample) * step
    ))?;
    let replace = conn.prep(format!("REPLACE INTO {old} SELECT * FROM {TABLE} WHERE id = ?"))?;
    if commit > 1 {
        conn.query_drop("SET autocommit = 0")?;
    }
    let began = Instant::now();
    for (id, number) in ids.zip(1..) {
        conn.exec_drop(&replace, (id,))?;
        if commit > 1 && number % commit == 0 {
            conn.query_drop("COMMIT")?;
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

fn wait(what: &str, mut until: impl FnMut() -> bool, run: &Run) -> Result<()> {
    let began = Instant::now();
    while !until() {
        ensure!(!run.handle().is_finished(), "the run ended before {what}");
        ensure!(began.elapsed() < PATIENCE, "{what} takes more than {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
