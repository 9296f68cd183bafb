//! One writer: what it does next, and what it notes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::journal::{Expected, Journal};
use crate::server::opts;
use crate::table::Token;
use crate::writers::Workload;

/// What the writers share with who started them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) stop: AtomicBool,
    pub(crate) statements: AtomicU64,
    pub(crate) errors: AtomicU64,
    /// The server's numbers of the writers' connections, to kill those that hang.
    pub(crate) connections: Vec<AtomicU32>,
}

pub(crate) struct Writer {
    pub(crate) token: Token,
    pub(crate) conn: Option<Conn>,
    pub(crate) url: String,
    pub(crate) workload: Workload,
    pub(crate) shared: Arc<Shared>,
    pub(crate) random: u64,
    /// Rows that were there before, of this writer alone.
    pub(crate) hot: Vec<i64>,
    /// Rows that it inserted.
    pub(crate) own: Vec<i64>,
    /// Rows that it deleted.
    pub(crate) dead: Vec<i64>,
    pub(crate) journal: Journal,
}

enum Write {
    Insert(Option<i64>),
    Update(i64),
    Delete(i64),
}

/// A writer with a rate makes up for at most this long a stall.
const CATCH_UP: Duration = Duration::from_millis(250);

impl Writer {
    pub(crate) fn run(mut self) -> Journal {
        let writers = f64::from(self.workload.writers.max(1));
        let pause_of = |rate: f64| Duration::from_secs_f64(writers / rate.max(0.1));
        let (quiet, bursts) = (self.workload.rate.map(pause_of), self.workload.bursts);
        let busy = bursts.and_then(|bursts| bursts.rate).map(pause_of);
        // Not all at the same moment.
        let mut due = Instant::now()
            + quiet.unwrap_or_default().mul_f64(f64::from(self.token.writer) / writers);
        while !self.shared.stop.load(Relaxed) {
            let now = Instant::now();
            let is_busy = bursts.is_some_and(|bursts| bursts.at(now).0);
            if let Some(pause) = if is_busy { busy } else { quiet } {
                // What a quiet time puts off, a burst does not wait for.
                due = due.min(now + pause);
                if now < due {
                    // Short sleeps, so that it stops at once.
                    thread::sleep((due - now).min(Duration::from_millis(20)));
                    continue;
                }
                // What was due during a short stall is made up for, as requests that came meanwhile
                // would be; but not without end.
                due = (due + pause).max(now.checked_sub(CATCH_UP).unwrap_or(now));
            }
            self.step();
        }
        self.journal
    }

    fn step(&mut self) {
        let Some(mut conn) = self.conn.take().or_else(|| self.connect()) else {
            return;
        };
        self.shared.connections[usize::from(self.token.writer)]
            .store(conn.connection_id(), Relaxed);
        let write = self.choose();
        self.token.number += 1;
        let token = self.token;
        let table = &self.workload.table;
        let sql = match write {
            Write::Insert(id) => table.insert(token, id),
            Write::Update(id) => table.update(token, id),
            Write::Delete(id) => table.delete(id),
        };
        let started = Instant::now();
        let result = conn.query_drop(&sql);
        self.journal.time(started, started.elapsed());
        match result {
            Ok(()) => {
                self.shared.statements.fetch_add(1, Relaxed);
                self.acknowledged(&write, &conn);
                self.conn = Some(conn);
            }
            Err(error) => {
                let start: String = sql.chars().take(60).collect();
                // Of these the server says that nothing happened.
                let known = matches!(&error, mysql::Error::MySqlError(error)
                    if matches!(error.code, 1054 | 1062 | 1146 | 1205 | 1213));
                self.failed(&write, known);
                // Of these, that the statement or the connection was killed: as good as none.
                let refused = matches!(&error, mysql::Error::MySqlError(error)
                    if !matches!(error.code, 1053 | 1152 | 1317 | 1927 | 4031));
                if refused || !self.workload.reconnect {
                    self.error(format!("{error}: {start}"));
                } else {
                    self.journal.disconnects += 1;
                }
                if refused {
                    self.conn = Some(conn);
                }
            }
        }
    }

    fn error(&mut self, error: String) {
        self.shared.errors.fetch_add(1, Relaxed);
        self.journal.errors.push(format!("writer {}: {error}", self.token.writer));
    }

    fn connect(&mut self) -> Option<Conn> {
        match Conn::new(opts(&self.url)) {
            Ok(conn) => Some(conn),
            Err(error) => {
                if !self.workload.reconnect {
                    self.error(format!("cannot connect: {error}"));
                }
                thread::sleep(Duration::from_millis(20));
                None
            }
        }
    }

    fn choose(&mut self) -> Write {
        let percent = self.below(100) as u32;
        let Workload { insert_pct, delete_pct, .. } = self.workload;
        if percent < insert_pct || (self.hot.is_empty() && self.own.is_empty()) {
            let again = self.below(10) == 0;
            return Write::Insert(if again { self.dead.pop() } else { None });
        }
        // It is taken out, and put back when it is known to be there.
        let hot = self.own.is_empty() || (!self.hot.is_empty() && self.below(2) == 0);
        let rows = if hot { self.hot.len() } else { self.own.len() };
        let index = self.below(rows as u64) as usize;
        if percent < insert_pct + delete_pct {
            let rows = if hot { &mut self.hot } else { &mut self.own };
            return Write::Delete(rows.swap_remove(index));
        }
        Write::Update(if hot { self.hot[index] } else { self.own[index] })
    }

    fn acknowledged(&mut self, write: &Write, conn: &Conn) {
        let found = conn.affected_rows();
        match *write {
            Write::Insert(id) => {
                let id = id.unwrap_or_else(|| i64::try_from(conn.last_insert_id()).unwrap_or(-1));
                self.journal.inserted(id, self.token);
                self.own.push(id);
            }
            Write::Update(id) => {
                if found == 1 {
                    self.journal.wrote(id, Expected::Written(self.token));
                } else {
                    self.error(format!("update of id {id} found {found} rows"));
                }
            }
            Write::Delete(id) => {
                if found == 1 {
                    self.journal.wrote(id, Expected::Absent);
                    self.dead.push(id);
                } else {
                    self.error(format!("delete of id {id} found {found} rows"));
                }
            }
        }
    }

    fn failed(&mut self, write: &Write, known: bool) {
        match *write {
            Write::Insert(Some(id)) if known => self.dead.push(id),
            Write::Delete(id) if known => self.own.push(id),
            Write::Insert(None) | Write::Update(_) if known => {}
            Write::Insert(None) => {
                self.journal.uncertain += 1;
                self.journal.uncertain_inserts.push(self.token);
            }
            Write::Insert(Some(id)) => {
                self.journal.maybe_wrote(id, Expected::Written(self.token), Some(self.token));
            }
            Write::Update(id) => {
                self.journal.maybe_wrote(id, Expected::Written(self.token), None);
                self.hot.retain(|other| *other != id);
                self.own.retain(|other| *other != id);
            }
            Write::Delete(id) => self.journal.maybe_wrote(id, Expected::Absent, None),
        }
    }

    /// A number below `end`, by splitmix64: the writers need no better one.
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}
