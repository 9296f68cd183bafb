//! Makes a failing case small, while it fails in the same way.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::case::Case;
use crate::verdict::{Verdict, Wrong};

/// At most this long, at most so many runs.
const TIME: Duration = Duration::from_secs(45);
const RUNS: usize = 250;

pub(crate) fn shrink(bench: &mut Bench<'_>, case: &Case, wrong: &Wrong) -> (Case, Wrong) {
    let mut best = (case.clone(), wrong.clone());
    let end = Instant::now() + TIME;
    let mut runs = 0;
    let mut progress = true;
    while progress {
        progress = false;
        let mut at = 0;
        while let Some(smaller) = candidate(&best.0, at) {
            if Instant::now() > end || runs > RUNS {
                return best;
            }
            runs += 1;
            match bench.run(&smaller) {
                Verdict::Wrong(wrong) if wrong.is_like(&best.1) => {
                    best = (smaller, wrong);
                    progress = true;
                }
                _ => at += 1,
            }
        }
    }
    best
}

/// The `n`-th way to make it smaller, the boldest first.
fn candidate(case: &Case, n: usize) -> Option<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    halves(case.writes.len(), &mut |from, to| add(&|c| drop(c.writes.drain(from..to))));
    halves(case.rows.len(), &mut |from, to| add(&|c| drop(c.rows.drain(from..to))));
    if case.alter.len() > 1 {
        for i in 0..case.alter.len() {
            add(&|c| drop(c.alter.remove(i)));
        }
    }
    for i in 0..case.table.indexes.len() {
        add(&|c| drop(c.table.indexes.remove(i)));
    }
    for i in 0..case.table.checks.len() {
        add(&|c| drop(c.table.checks.remove(i)));
    }
    for i in 0..case.table.options.len() {
        add(&|c| drop(c.table.options.remove(i)));
    }
    if case.table.partition.is_some() {
        add(&|c| c.table.partition = None);
    }
    if case.table.columns.len() > 1 {
        for i in 0..case.table.columns.len() {
            add(&|c| drop_column(c, i));
        }
    }
    if case.threaded {
        add(&|c| c.threaded = false);
    }
    if case.copy_workers > 1 || case.refresh_workers > 1 {
        add(&|c| (c.copy_workers, c.refresh_workers) = (1, 1));
    }
    if case.time_zone != "+00:00" {
        add(&|c| c.time_zone = "+00:00");
    }
    for (i, write) in case.writes.iter().enumerate() {
        if write.statements.len() > 1 {
            for j in 0..write.statements.len() {
                add(&|c| drop(c.writes[i].statements.remove(j)));
            }
        }
        if write.end.is_some() {
            add(&|c| c.writes[i].end = None);
        }
    }
    for (i, column) in case.table.columns.iter().enumerate() {
        if column.comment.is_some() || column.invisible {
            add(&|c| {
                c.table.columns[i].comment = None;
                c.table.columns[i].invisible = false;
            });
        }
        if column.default.is_some() {
            add(&|c| c.table.columns[i].default = None);
        }
    }
    all.into_iter().nth(n)
}

/// Ranges to leave out: all, halves, quarters, ... single ones.
fn halves(len: usize, found: &mut dyn FnMut(usize, usize)) {
    let mut size = len;
    while size > 0 {
        for from in (0..len).step_by(size) {
            found(from, (from + size).min(len));
        }
        size /= 2;
    }
}

fn drop_column(case: &mut Case, i: usize) {
    let name = case.table.columns.remove(i).name;
    case.table.key.retain(|key| *key != name);
    case.rows = case.rows.iter().filter_map(|s| s.without(&name)).collect();
    for write in &mut case.writes {
        write.statements = write.statements.iter().filter_map(|s| s.without(&name)).collect();
    }
    case.writes.retain(|write| !write.statements.is_empty());
}
