//! One alter, from its options to its judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use mysql::Row;
use mysql::prelude::Queryable;
use online_alter::{
    ChunkSize, Error, ErrorKind, Event, IndexBuild, Leftover, OnMismatch, OnlineAlter, Phase,
    Postpone, Removal, Report, Role, TableState, cleanup,
};
use online_alter_support::{Database, Server, Table, Workload, Writers, check, csm, database};

use crate::fault::{Place, USER};
use crate::proxy::Proxy;
use crate::rng::Rng;
use crate::tally::Tally;

const SCHEMA: &str = "soak";
const SIMPLE: &str = "t";
const ROWS: u64 = 10_000;

/// Longer than any run takes once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(150);

/// A server, round after round.
pub(crate) struct Lane {
    server: Server,
    db: Database,
    tally: Tally,
}

/// How a run ended, and what was seen of it.
struct Ending {
    result: Result<Report, Error>,
    chunk_retries: u64,
    /// How often another run went on with what one had left, and could not.
    resumed: u64,
    not_resumed: u64,
}

impl Ending {
    /// Whether the run has left what another one could go on with.
    fn has_left_a_run(&self) -> bool {
        let state =
            |left: &Leftover| matches!(left, Leftover::Table(name) if name.ends_with("_ghc`"));
        self.result.as_ref().is_err_and(|error| error.leftovers().iter().any(state))
    }
}

impl Lane {
    pub(crate) fn new(server: Server) -> Self {
        let db = database(&server, SCHEMA);
        let mut conn = db.conn();
        let mut sql = vec![
            format!("CREATE USER {USER} IDENTIFIED BY 'secret'"),
            format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {USER}"),
            format!("GRANT ALL ON {SCHEMA}.* TO {USER}"),
            format!(
                "CREATE TABLE {SIMPLE} (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(40) NOT \
                 NULL, KEY v_i (v)) ENGINE=InnoDB"
            ),
        ];
        sql.push(format!(
            "INSERT INTO {SIMPLE} (v, pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < \
             900) SELECT i, 'before' FROM n"
        ));
        for sql in sql {
            conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, ROWS).unwrap();
        let tally = Tally::new(server.flavor());
        Lane { server, db, tally }
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    pub(crate) fn round(&mut self, seed: u64) {
        let began = Instant::now();
        let rng = Rng::new(seed);
        let table = if rng.chance(60) { Table::csm(csm::TABLE) } else { Table::simple(SIMPLE) };
        let clause = self.clause(&rng, table.name());
        let mut workload = Workload::new(table.clone());
        workload.reconnect = true;
        workload.writers = 3;
        // As many rows go as come.
        (workload.insert_pct, workload.delete_pct) = (20, 19);
        workload.rate = Some([40.0, 120.0, 250.0][rng.below(3)]);
        let writers = Writers::start(self.db.url(), workload).unwrap();

        let mut faults = BTreeMap::new();
        let ending = self.carry_out(&rng, table.name(), &clause, &mut faults);
        // The new table is written to as well.
        let goal = writers.statements() + 5;
        let asked = Instant::now();
        while writers.statements() < goal && asked.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(10));
        }
        let mut wrong = Vec::new();
        if writers.statements() < goal {
            wrong.push("nobody can write to the table".to_owned());
        }
        let outcome = writers.stop();
        wrong.extend(outcome.errors.iter().map(|error| format!("a writer saw {error}")));
        let checked = check(&mut self.db.conn(), &table, &outcome).unwrap();
        if !checked.is_clean() {
            wrong.push(format!("the journal: {checked}"));
        }
        let how = self.judge(&ending, table.name(), &mut wrong);

        let tally = &mut self.tally;
        tally.rounds += 1;
        tally.writes += outcome.acknowledged;
        tally.uncertain += outcome.uncertain;
        tally.lost += checked.lost.len();
        tally.stale += checked.stale.len();
        tally.resurrected += checked.resurrected.len();
        tally.unexpected += checked.unexpected.len();
        tally.chunk_retries += ending.chunk_retries;
        tally.resumed += ending.resumed;
        tally.not_resumed += ending.not_resumed;
        if let Ok(report) = &ending.result {
            tally.altered += 1;
            tally.attempts += u64::from(report.cut_over_attempts);
            tally.reconciled += report.reconciled_keys.len();
            tally.longest_lock = tally.longest_lock.max(report.locked);
        } else {
            *tally.ended.entry(how.clone()).or_default() += 1;
        }
        for (fault, count) in &faults {
            *tally.faults.entry(fault).or_default() += count;
        }
        tally.note_process();
        println!(
            "{} round {} seed {seed}: {clause:?} of {}, {:.1} s, {} writes, {faults:?}: {how}; RSS {} KiB",
            self.server.flavor(),
            tally.rounds,
            table.name(),
            began.elapsed().as_secs_f64(),
            outcome.acknowledged,
            tally.rss.last().unwrap_or(&0)
        );
        for wrong in wrong {
            println!("  WRONG {wrong}");
            tally.wrong.push(format!("{} seed {seed}: {wrong}", self.server.flavor()));
        }
    }

    /// An ALTER that the table as it is now allows.
    fn clause(&self, rng: &Rng, table: &str) -> String {
        let mut conn = self.db.conn();
        let columns: Vec<String> = conn
            .query(format!(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \
                 '{SCHEMA}' AND TABLE_NAME = '{table}'"
            ))
            .unwrap();
        let has = |name: &str| columns.iter().any(|column| column == name);
        if has("others") {
            return "DROP COLUMN others".to_owned();
        }
        let changes: &[&str] = if table == SIMPLE {
            &[
                "MODIFY v BIGINT NOT NULL",
                "MODIFY pad VARCHAR(60) NOT NULL",
                "ENGINE=InnoDB",
                "DROP KEY v_i, ADD KEY v_i (v, pad)",
            ]
        } else {
            &[
                "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT",
                "MODIFY done VARCHAR(16) NOT NULL",
                "ENGINE=InnoDB",
            ]
        };
        match rng.below(4) {
            0 if has("soak") => "DROP COLUMN soak".to_owned(),
            0 => "ADD COLUMN soak INT NOT NULL DEFAULT 7".to_owned(),
            1 if has("soak_b") => "DROP COLUMN soak_b".to_owned(),
            1 => "ADD COLUMN soak_b VARCHAR(20) NULL AFTER id, ADD KEY soak_k (soak_b)".to_owned(),
            _ => (*rng.pick(changes)).to_owned(),
        }
    }

    /// Runs, and most often goes on with what a run that failed has left, under new faults.
    fn carry_out(
        &self,
        rng: &Rng,
        table: &str,
        clause: &str,
        faults: &mut BTreeMap<&'static str, u64>,
    ) -> Ending {
        let mut ending = self.run(rng, table, clause, faults, false);
        while ending.has_left_a_run() && rng.chance(80) {
            let next = self.run(rng, table, clause, faults, true);
            let refused = |error: &Error| {
                error.phase() == Phase::Plan || error.kind() == ErrorKind::CannotResume
            };
            ending.chunk_retries += next.chunk_retries;
            if next.result.as_ref().is_err_and(refused) {
                // Everything is as it was: the binlog is purged, or the server is not back yet.
                log::debug!("not gone on with: {}", next.result.as_ref().unwrap_err());
                ending.not_resumed += 1;
            } else {
                ending.resumed += 1;
                ending.result = next.result;
            }
        }
        ending
    }

    /// Begins the run, lets things go wrong, and waits for its end.
    fn run(
        &self,
        rng: &Rng,
        table: &str,
        clause: &str,
        faults: &mut BTreeMap<&'static str, u64>,
        resume: bool,
    ) -> Ending {
        let ended =
            |result, chunk_retries| Ending { result, chunk_retries, resumed: 0, not_resumed: 0 };
        let proxy = rng.chance(60).then(|| Proxy::start(self.server.port()));
        let port = proxy.as_ref().map_or(self.server.port(), Proxy::port);
        let retries = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&retries);
        let url = format!("mysql://{USER}:secret@127.0.0.1:{port}/{SCHEMA}");
        let mut alter = OnlineAlter::new(url, table)
            .alter(clause)
            .resume(resume)
            .checkpoint_interval(Duration::from_millis(50 << rng.below(6)))
            .on_mismatch(OnMismatch::Stop)
            .heartbeat_interval(Duration::from_millis(100))
            .chunk_size(ChunkSize::Rows(3 + rng.below(80) as u64))
            .copy_workers(1 + rng.below(4))
            .refresh_workers(1 + rng.below(4))
            .index_build(if rng.chance(50) { IndexBuild::AfterCopy } else { IndexBuild::Maintain })
            .cut_over_lock_timeout(Duration::from_secs(1 + rng.below(3) as u64))
            .observer(move |event: &Event| {
                if matches!(event, Event::ChunkRetried { .. }) {
                    seen.fetch_add(1, SeqCst);
                }
            });
        // Slower, so that more of the copy meets faults.
        let nice = [0.0, 0.0, 1.0, 4.0][rng.below(4)];
        alter = alter.limits(|limits| limits.nice_ratio = nice);
        // Once in a while it waits for long.
        let struck = if rng.chance(8) { 60_000 } else { rng.between(500, 15_000) };
        let struck = Duration::from_millis(struck.cast_unsigned());
        let postponed = struck * u32::try_from(rng.below(100)).unwrap() / 100;
        let began = Instant::now();
        let handle = match alter.postpone_cut_over(Postpone::until_released()).start() {
            Ok(handle) => handle,
            Err(error) => return ended(Err(error), 0),
        };
        let place = Place {
            server: &self.server,
            schema: SCHEMA,
            table,
            proxy: proxy.as_ref(),
            handle: &handle,
        };
        while !handle.is_finished() && began.elapsed() < struck {
            thread::sleep(Duration::from_millis(rng.between(20, 600).cast_unsigned()));
            if began.elapsed() > postponed {
                handle.cut_over();
            }
            *faults.entry(place.strike(rng)).or_default() += 1;
        }
        if let Some(proxy) = &proxy {
            proxy.calm();
        }
        handle.resume();
        handle.cut_over();
        let calm = Instant::now();
        while !handle.is_finished() {
            if calm.elapsed() > PATIENCE {
                let progress = handle.progress();
                std::mem::forget(handle);
                panic!("the run hangs: {progress:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        ended(handle.join(), retries.load(SeqCst))
    }

    /// Whether the run ended as it may, and left what it says. Takes that away.
    fn judge(&mut self, ending: &Ending, table: &str, wrong: &mut Vec<String>) -> String {
        let mut conn = self.server.conn();
        let (how, leftovers) = match &ending.result {
            Ok(report) => {
                if !report.conflicting_keys.is_empty() {
                    wrong.push(format!("rows in conflict: {report}"));
                }
                ("altered".to_owned(), Vec::new())
            }
            Err(error) => {
                if [ErrorKind::Panic, ErrorKind::RowsDiffer].contains(&error.kind())
                    || error.table_state() == TableState::Unknown
                {
                    wrong.push(format!("the run ended so: {error}"));
                }
                log::debug!("the run ended so: {error}");
                let message: String = error.message().chars().take(90).collect();
                let how = format!(
                    "{:?} in {}, {}: {message}",
                    error.kind(),
                    error.phase(),
                    error.table_state()
                );
                (how, error.leftovers().to_vec())
            }
        };
        // The server needs a moment to notice that connections are closed.
        let asked = Instant::now();
        loop {
            let rows: Vec<Row> = conn.query("SHOW PROCESSLIST").unwrap();
            let ours = rows.iter().filter(|row| row.get::<String, _>(1).as_deref() == Some(USER));
            let ours = ours.count();
            if ours == 0 {
                break;
            }
            if asked.elapsed() > Duration::from_secs(30) {
                wrong.push(format!("{ours} connections are left"));
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // Nobody keeps a lock.
        conn.query_drop("SET SESSION lock_wait_timeout = 20").unwrap();
        if let Err(error) = conn.query_drop(format!("LOCK TABLES {SCHEMA}.{table} WRITE")) {
            wrong.push(format!("the table is locked: {error}"));
        }
        conn.query_drop("UNLOCK TABLES").unwrap();
        let clean = || cleanup(self.db.url()).named(format!("_{table}_del"));
        let found = clean().list().unwrap();
        for remnant in &found {
            // What a run that succeeded could not drop is a warning of its report.
            let warned = ending.result.as_ref().is_ok_and(|report| match &remnant.leftover {
                Leftover::Table(name) => report.warnings.iter().any(|w| w.contains(name.as_str())),
                _ => false,
            });
            let is_named =
                warned || leftovers.contains(&remnant.leftover) || remnant.role == Role::OldTable;
            if !is_named || remnant.role == Role::Run {
                wrong.push(format!("left, and not named by the run: {remnant}"));
            }
            self.tally.leftovers += u64::from(remnant.role != Role::OldTable);
        }
        for leftover in &leftovers {
            let is_there = found.iter().any(|remnant| remnant.leftover == *leftover);
            if matches!(leftover, Leftover::Table(_)) && !is_there {
                wrong.push(format!("named by the run, and not left: {leftover}"));
            }
        }
        let cleaned = clean().named(format!("_{table}_ghc")).remove();
        match cleaned {
            Ok(cleaned) => {
                let stays = cleaned.left.iter().filter(|r| r.removal != Removal::Allowed);
                wrong.extend(stays.map(|remnant| format!("it cannot be cleaned up: {remnant}")));
            }
            Err(error) => wrong.push(format!("it cannot be cleaned up: {error}")),
        }
        how
    }
}
