//! One row that everybody updates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use online_alter::mysql::Conn;
use online_alter::mysql::prelude::Queryable;
use online_alter_support::csm::TABLE;

use crate::cases::measured;
use crate::flags::Flags;
use crate::here::Run;
use crate::note;
use crate::place::{CLAUSE, Place};
use crate::results::{Line, Measured, Verdict, median};

const WRITERS: u32 = 8;
/// Of all writers together; they get there if the server lets them.
const RATE: u32 = 2000;

struct Hot {
    stop: Arc<AtomicBool>,
    updates: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Hot {
    fn start(place: &Place, id: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let updates = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for _ in 0..WRITERS {
            let conn = place.conn()?;
            let (stop, updates) = (Arc::clone(&stop), Arc::clone(&updates));
            threads.push(thread::spawn(move || write(conn, id, &stop, &updates)));
        }
        Ok(Hot { stop, updates, threads })
    }

    fn stop(self) -> Result<u64> {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a writer panicked"))??;
        }
        Ok(self.updates.load(Relaxed))
    }
}

fn write(mut conn: Conn, id: u64, stop: &AtomicBool, updates: &AtomicU64) -> Result<()> {
    let sql = format!("UPDATE {TABLE} SET max_grade = max_grade + 1 WHERE id = {id}");
    let pause = Duration::from_secs(1) * WRITERS / RATE;
    let mut due = Instant::now();
    while !stop.load(Relaxed) {
        conn.query_drop(&sql)?;
        ensure!(conn.affected_rows() == 1, "the row is gone");
        updates.fetch_add(1, Relaxed);
        let now = Instant::now();
        due = now.max(due + pause);
        thread::sleep(due - now);
    }
    Ok(())
}

pub(crate) fn run(flags: &Flags, place: &Place, title: &str) -> Result<Vec<Measured>> {
    let (mut before, mut during, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..flags.runs {
        let _lock = place.fresh()?;
        let id = place.rows / 2;
        let mut conn = place.conn()?;
        conn.query_drop(format!("UPDATE {TABLE} SET max_grade = 0 WHERE id = {id}"))?;
        let hot = Hot::start(place, id)?;
        thread::sleep(Duration::from_secs(1));
        let rate = |count: u64, from: Instant| {
            (hot.updates.load(Relaxed) - count) as f64 / from.elapsed().as_secs_f64()
        };
        let (count, from) = (hot.updates.load(Relaxed), Instant::now());
        thread::sleep(Duration::from_secs(flags.baseline));
        before.push(rate(count, from));
        let (count, from) = (hot.updates.load(Relaxed), Instant::now());
        let ran = Run::start(place, CLAUSE, |alter| alter)?.join()?;
        during.push(rate(count, from));
        seconds.push(ran.seconds());
        thread::sleep(Duration::from_millis(200));
        let updates = hot.stop()?;
        let value: Option<f64> =
            conn.query_first(format!("SELECT max_grade FROM {TABLE} WHERE id = {id}"))?;
        let value = value.context("the row is gone")?;
        ensure!(
            (value - updates as f64).abs() < 0.5,
            "{updates} updates, and the row says {value}"
        );
        note(format_args!("  {updates} updates, none lost; the run took {:.1} s", ran.seconds()));
    }
    let drops: Vec<f64> = before
        .iter()
        .zip(&during)
        .map(|(before, during)| 100.0 * (1.0 - during / before))
        .collect();
    let verdict = Verdict::at_most("the writers' rate drops by", median(&drops), 10.0, "%");
    let lines = vec![
        Line::new("updates without migration", "/s", before),
        Line::new("updates during", "/s", during),
        Line::new("online-alter", "s", seconds),
    ];
    Ok(vec![measured(place, title, lines, vec![verdict])])
}
