//! The moment of the swap, again and again, under the same load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use online_alter::mysql::prelude::Queryable;

use crate::cases::measured;
use crate::flags::Flags;
use crate::here::Run;
use crate::load::{self, ms};
use crate::note;
use crate::place::Place;
use crate::results::{Line, Measured, Verdict};

const RUNS: u32 = 20;

/// In turns, so that each run has something to alter.
const CLAUSES: [&str; 2] = [
    "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT",
    "CHANGE id id BIGINT NOT NULL AUTO_INCREMENT",
];

pub(crate) fn run(flags: &Flags, place: &Place, title: &str) -> Result<Vec<Measured>> {
    let _lock = place.fresh()?;
    let mut conn = place.conn()?;
    let writers = load::start(place)?;
    thread::sleep(Duration::from_secs(2));
    let from = Instant::now();
    thread::sleep(Duration::from_secs(flags.baseline));
    let to = Instant::now();
    let mut runs = Vec::new();
    for (clause, number) in CLAUSES.iter().cycle().zip(1..=RUNS) {
        let ran = Run::start(place, clause, |alter| alter)?.join()?;
        note(format_args!("  run {number}: locked for {:.1} ms", ms(ran.report.locked)));
        if let Some(old) = &ran.report.old_table {
            // Not a part of the run: it is kept unless it is told otherwise.
            conn.query_drop(format!("DROP TABLE {old}"))?;
        }
        thread::sleep(Duration::from_millis(500));
        runs.push(ran);
    }
    let outcome = load::stop(place, writers)?;
    let before = ms(outcome.max_wait_between(from, to));
    let around = runs.iter().map(|run| {
        // What was sent just before and is held up by it ends later.
        ms(outcome.max_wait_between(run.cut_over.0, run.cut_over.1))
    });
    let around = Line::new("longest wait around the swap", "ms", around.collect());
    let all = runs.iter().map(|run| ms(outcome.max_wait_between(run.began, run.ended)));
    let all = Line::new("longest wait in the whole run", "ms", all.collect());
    let locked = runs.iter().map(|run| ms(run.report.locked)).collect();
    let attempts = runs.iter().map(|run| f64::from(run.report.cut_over_attempts)).collect();
    let verdicts = vec![
        Verdict::at_most("median of the longest waits at the swap", around.median(), 25.0, "ms"),
        Verdict::at_most("worst of all, beyond the worst before", all.most() - before, 50.0, "ms"),
    ];
    let lines = vec![
        Line::new("longest wait without migration", "ms", vec![before]),
        around,
        all,
        Line::new("table locked, as the run saw it", "ms", locked),
        Line::new("attempts", "", attempts),
    ];
    Ok(vec![measured(place, title, lines, verdicts)])
}
