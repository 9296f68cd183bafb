//! What the server acknowledged, kept outside of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::table::{Table, Token};

/// What must be found of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing: it was deleted, or never there.
    Absent,
    /// What it held when the writers started.
    Initial,
    /// What this write wrote.
    Written(Token),
}

/// A row that writers wrote.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// By the last write that was acknowledged.
    pub(crate) last: Expected,
    /// By a later write without an answer, which may have happened.
    pub(crate) maybe: Option<Expected>,
    /// The write that inserted it; `None` if it was there before.
    pub(crate) born: Option<Token>,
}

/// One writer's account. Rows have but one writer each, so what it saw last is what must be there.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) rows: HashMap<i64, Entry>,
    /// Inserts without an answer: their ids are not known.
    pub(crate) uncertain_inserts: Vec<Token>,
    pub(crate) uncertain: u64,
    pub(crate) acknowledged: u64,
    pub(crate) inserts: u64,
    pub(crate) updates: u64,
    pub(crate) deletes: u64,
    pub(crate) errors: Vec<String>,
    pub(crate) disconnects: u64,
    /// When each statement was sent, and how many microseconds it took.
    pub(crate) times: Vec<(Instant, u32)>,
}

impl Journal {
    pub(crate) fn time(&mut self, started: Instant, took: Duration) {
        self.times.push((started, u32::try_from(took.as_micros()).unwrap_or(u32::MAX)));
    }

    pub(crate) fn inserted(&mut self, id: i64, token: Token) {
        self.acknowledged += 1;
        self.inserts += 1;
        let entry = Entry { last: Expected::Written(token), maybe: None, born: Some(token) };
        self.rows.insert(id, entry);
    }

    pub(crate) fn wrote(&mut self, id: i64, what: Expected) {
        self.acknowledged += 1;
        match what {
            Expected::Absent => self.deletes += 1,
            _ => self.updates += 1,
        }
        let entry = self.entry(id);
        entry.last = what;
        entry.maybe = None;
    }

    /// Notes a write without an answer: the row may be as before or as written. The writer must
    /// leave it alone from then on.
    pub(crate) fn maybe_wrote(&mut self, id: i64, what: Expected, born: Option<Token>) {
        self.uncertain += 1;
        let entry = self.entry(id);
        entry.maybe = Some(what);
        entry.born = born.or(entry.born);
    }

    fn entry(&mut self, id: i64) -> &mut Entry {
        self.rows.entry(id).or_insert(Entry { last: Expected::Initial, maybe: None, born: None })
    }
}

/// The rows as they were before, by the digests of their fixed and of their written columns.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) rows: HashMap<i64, (u64, u64)>,
}

impl Snapshot {
    pub(crate) fn take(conn: &mut Conn, table: &Table) -> mysql::Result<Self> {
        let mut rows = HashMap::new();
        for row in conn.query_iter(digests_sql(table))? {
            let (id, fixed, written) = mysql::from_row_opt(row?).map_err(mysql::Error::from)?;
            rows.insert(id, (fixed, written));
        }
        Ok(Self { rows })
    }
}

/// `id`, fixed digest, written digest, of all rows. (MySQL 9 has lost its MD5.)
pub(crate) fn digests_sql(table: &Table) -> String {
    let digest =
        |text: String| format!("CAST(CONV(LEFT(SHA2({text}, 256), 16), 16, 10) AS UNSIGNED)");
    format!(
        "SELECT id, {}, {} FROM `{}`",
        digest(table.fixed_sql()),
        digest(table.written_sql()),
        table.name()
    )
}

/// What the writers did, and how it went.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) snapshot: Snapshot,
    pub(crate) rows: HashMap<i64, Entry>,
    pub(crate) uncertain_inserts: Vec<Token>,
    /// Writes that the server acknowledged.
    pub acknowledged: u64,
    /// Writes without an answer: they may have happened or not.
    pub uncertain: u64,
    /// Of the acknowledged: inserts.
    pub inserts: u64,
    /// Of the acknowledged: updates.
    pub updates: u64,
    /// Of the acknowledged: deletes.
    pub deletes: u64,
    /// Every error that a writer saw, and every update or delete that found no row.
    pub errors: Vec<String>,
    /// Lost connections, if the workload is to reconnect (else they are among the errors).
    pub disconnects: u64,
    /// For how long the writers ran.
    pub elapsed: Duration,
    sent: Vec<(Instant, u32)>,
    times: Times,
}

/// How long statements took.
#[derive(Debug, Default)]
pub struct Times {
    /// In microseconds, sorted.
    micros: Vec<u32>,
}

impl Times {
    fn new(micros: impl Iterator<Item = u32>) -> Self {
        let mut micros: Vec<u32> = micros.collect();
        micros.sort_unstable();
        Self { micros }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// What this percentage of the statements did not exceed: `percentile(99.0)`.
    pub fn percentile(&self, percent: f64) -> Duration {
        let Some(last) = self.micros.len().checked_sub(1) else {
            return Duration::ZERO;
        };
        let index = (last as f64 * (percent / 100.0).clamp(0.0, 1.0)).round() as usize;
        Duration::from_micros(self.micros[index.min(last)].into())
    }
}

impl Outcome {
    pub(crate) fn new(snapshot: Snapshot, journals: Vec<Journal>, elapsed: Duration) -> Self {
        let mut all = Journal::default();
        for mut journal in journals {
            // No id is in two of them: every row has one writer.
            all.rows.extend(journal.rows);
            all.uncertain_inserts.append(&mut journal.uncertain_inserts);
            all.uncertain += journal.uncertain;
            all.acknowledged += journal.acknowledged;
            all.inserts += journal.inserts;
            all.updates += journal.updates;
            all.deletes += journal.deletes;
            all.errors.append(&mut journal.errors);
            all.disconnects += journal.disconnects;
            all.times.append(&mut journal.times);
        }
        let times = Times::new(all.times.iter().map(|(_, micros)| *micros));
        Self {
            snapshot,
            rows: all.rows,
            uncertain_inserts: all.uncertain_inserts,
            acknowledged: all.acknowledged,
            uncertain: all.uncertain,
            inserts: all.inserts,
            updates: all.updates,
            deletes: all.deletes,
            errors: all.errors,
            disconnects: all.disconnects,
            elapsed,
            sent: all.times,
            times,
        }
    }

    /// The longest that a writer waited for an answer.
    pub fn max_wait(&self) -> Duration {
        self.percentile(100.0)
    }

    /// The longest wait for an answer that overlaps the time from `from` to `to`.
    pub fn max_wait_between(&self, from: Instant, to: Instant) -> Duration {
        let took = |micros: u32| Duration::from_micros(micros.into());
        let within =
            self.sent.iter().filter(|(at, micros)| *at <= to && *at + took(*micros) >= from);
        within.map(|(_, micros)| took(*micros)).max().unwrap_or_default()
    }

    /// How long the statements took that were sent from `from` to `to`.
    pub fn times_between(&self, from: Instant, to: Instant) -> Times {
        self.times_of(|at| at >= from && at <= to)
    }

    /// How long the statements took that were sent at these moments.
    pub fn times_of(&self, which: impl Fn(Instant) -> bool) -> Times {
        let sent = self.sent.iter().filter(|(at, _)| which(*at));
        Times::new(sent.map(|(_, micros)| *micros))
    }

    /// What this percentage of the statements did not exceed: `percentile(99.0)`.
    pub fn percentile(&self, percent: f64) -> Duration {
        self.times.percentile(percent)
    }
}
