//! Applications, as a table sees them: they keep writing, and remember what they were promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use mysql::Conn;
use mysql::prelude::Queryable;

use crate::journal::{Journal, Outcome, Snapshot};
use crate::server::opts;
use crate::table::{Table, Token};
use crate::writer::{Shared, Writer};

/// What the writers do. Percentages are of all statements; what inserts and deletes leave are
/// updates.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The table.
    pub table: Table,
    /// How many write at the same time.
    pub writers: u8,
    /// Percentage of inserts; some give a deleted row's id to a new one.
    pub insert_pct: u32,
    /// Percentage of deletes.
    pub delete_pct: u32,
    /// How many of the rows that were there before get half of the updates.
    pub hot_rows: usize,
    /// Statements per second of all writers together; `None`: as many as the server takes.
    pub rate: Option<f64>,
    /// Busy times, in which another rate counts.
    pub bursts: Option<Bursts>,
    /// Lost connections are expected (the test kills some): they are no errors.
    pub reconnect: bool,
}

/// Busy times between quiet ones.
#[derive(Debug, Clone, Copy)]
pub struct Bursts {
    /// When the first quiet time begins.
    pub began: Instant,
    /// How long a quiet time lasts.
    pub quiet: Duration,
    /// How long a burst lasts.
    pub busy: Duration,
    /// Statements per second of all writers together in a burst; `None`: as many as the server takes.
    pub rate: Option<f64>,
}

impl Bursts {
    /// Whether a moment is in a burst, and how long that lasted then, or the quiet time.
    pub fn at(&self, moment: Instant) -> (bool, Duration) {
        let period = (self.quiet + self.busy).as_nanos().max(1);
        let part = moment.saturating_duration_since(self.began).as_nanos() % period;
        let part = Duration::from_nanos(u64::try_from(part).unwrap_or_default());
        part.checked_sub(self.quiet).map_or((false, part), |since| (true, since))
    }
}

impl Workload {
    /// Four writers, 35 % inserts, 10 % deletes, 1000 hot rows, no limit.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            writers: 4,
            insert_pct: 35,
            delete_pct: 10,
            hot_rows: 1000,
            rate: None,
            bursts: None,
            reconnect: false,
        }
    }
}

/// Running writers. Dropped, they stop, and their journal is lost.
#[derive(Debug)]
pub struct Writers {
    url: String,
    started: Instant,
    snapshot: Snapshot,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Journal>>,
}

/// How long `stop` lets a writer wait for its last answer.
const GRACE: Duration = Duration::from_secs(5);

impl Writers {
    /// Notes the content of the table (nobody else may write to it from now on) and lets them go.
    pub fn start(url: &str, workload: Workload) -> Result<Self> {
        let mut conn = Conn::new(opts(url)).context("no connection for the writers")?;
        let snapshot =
            Snapshot::take(&mut conn, &workload.table).context("cannot read the table")?;
        let mut ids: Vec<i64> = snapshot.rows.keys().copied().collect();
        ids.sort_unstable();
        let count = workload.writers.max(1);
        // Content of different runs on one table differs, too.
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let run = (nanos / 1000) as u32;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            statements: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            connections: (0..count).map(|_| AtomicU32::new(0)).collect(),
        });
        let step = (ids.len() / workload.hot_rows.max(1)).max(1);
        let mut writers = Vec::new();
        for number in 0..count {
            let hot = ids.iter().step_by(step).take(workload.hot_rows);
            // Shared out by position: ids that are all even shall not all belong to one writer.
            let hot = hot.skip(number.into()).step_by(count.into()).copied().collect();
            writers.push(Writer {
                token: Token { run, writer: number, number: 0 },
                conn: Some(Conn::new(opts(url)).context("no connection for a writer")?),
                url: url.to_owned(),
                workload: workload.clone(),
                shared: Arc::clone(&shared),
                random: u64::from(run) << 8 | u64::from(number),
                hot,
                own: Vec::new(),
                dead: Vec::new(),
                journal: Journal::default(),
            });
        }
        let started = Instant::now();
        let threads =
            writers.into_iter().map(|writer| thread::spawn(move || writer.run())).collect();
        Ok(Self { url: url.to_owned(), started, snapshot, shared, threads })
    }

    /// How many statements were answered so far.
    pub fn statements(&self) -> u64 {
        self.shared.statements.load(Relaxed)
    }

    /// How many errors the writers saw so far.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Relaxed)
    }

    /// Stops them. One that waits for an answer gets five seconds for it, then its connection is
    /// killed.
    pub fn stop(mut self) -> Outcome {
        let snapshot = std::mem::take(&mut self.snapshot);
        let journals = self.join();
        Outcome::new(snapshot, journals, self.started.elapsed())
    }

    fn join(&mut self) -> Vec<Journal> {
        self.shared.stop.store(true, Relaxed);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && !self.threads.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(2));
        }
        for (thread, id) in self.threads.iter().zip(&self.shared.connections) {
            if !thread.is_finished() {
                // Where this fails, the connection's read timeout ends the wait.
                let killed = Conn::new(opts(&self.url))
                    .and_then(|mut conn| conn.query_drop(format!("KILL {}", id.load(Relaxed))));
                if let Err(error) = killed {
                    eprintln!("cannot kill a writer's connection: {error}");
                }
            }
        }
        self.threads
            .drain(..)
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Journal {
                    // Its account is lost: no check can be passed.
                    errors: vec!["a writer panicked".to_owned()],
                    ..Journal::default()
                })
            })
            .collect()
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.join();
    }
}
