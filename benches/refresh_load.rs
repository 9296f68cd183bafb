//! What refreshing costs writers, and how fast it is, on a private server with real durability:
//! `cargo bench --bench refresh_load -- [backlog] [load] [hot] [mysql] [mariadb] [rows=N] [changes=N] [distinct] [chunk=N] [workers=N] [memory] [unverified]`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench stops at the first thing that is wrong, and prints what it measured"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Handle, OldTable, OnlineAlter, Phase, Postpone};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, csm, database,
};

const ALTER: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

struct Bench {
    flavor: Flavor,
    rows: u64,
    memory: bool,
    unverified: bool,
    changes: u64,
    distinct: bool,
    chunk: Option<u64>,
    workers: Option<usize>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    let number = |name: &str| -> Option<u64> {
        let value = words.iter().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
        value.map(|n| n.parse().unwrap())
    };
    let rows = number("rows").unwrap_or(200_000);
    let chunk = number("chunk");
    let workers = number("workers").map(|n| usize::try_from(n).unwrap());
    let all = !["backlog", "load", "hot"].iter().any(|w| has(w));
    let flavors = match (has("mysql"), has("mariadb")) {
        (true, false) => vec![Flavor::Mysql],
        (false, true) => vec![Flavor::MariaDb],
        _ => vec![Flavor::Mysql, Flavor::MariaDb],
    };
    for flavor in flavors {
        let bench = Bench {
            flavor,
            rows,
            memory: has("memory"),
            unverified: has("unverified"),
            changes: number("changes").unwrap_or(500_000),
            distinct: has("distinct"),
            chunk,
            workers,
        };
        for (name, run) in [
            ("backlog", backlog as fn(&Bench)),
            ("load", load as fn(&Bench)),
            ("hot", hot as fn(&Bench)),
        ] {
            if all || has(name) {
                run(&bench);
            }
        }
    }
}

fn server(bench: &Bench) -> Option<Server> {
    let mut builder = Server::builder(bench.flavor).option("--innodb-buffer-pool-size=2G");
    if !bench.memory {
        builder = builder.durable().on_disk();
    }
    builder = match bench.flavor {
        Flavor::Mysql => builder
            .option("--innodb-redo-log-capacity=2G")
            .option("--performance-schema-error-size=5000"),
        _ => builder.option("--innodb-log-file-size=2G"),
    };
    available(builder.start())
}

fn filled(db: &Database, rows: u64) -> Conn {
    let mut conn = db.conn();
    csm::create_table(&mut conn, csm::TABLE).unwrap();
    csm::fill(&mut conn, csm::TABLE, rows).unwrap();
    conn
}

fn alter(bench: &Bench, db: &Database) -> OnlineAlter {
    let mut alter = OnlineAlter::new(db.url(), csm::TABLE)
        .alter(ALTER)
        .max_pending_keys(20_000_000)
        .verify(!bench.unverified)
        .old_table(OldTable::Keep);
    if let Some(rows) = bench.chunk {
        alter = alter.chunk_size(ChunkSize::Rows(rows));
    }
    if let Some(workers) = bench.workers {
        alter = alter.copy_workers(workers);
    }
    alter
}

fn wait_for(handle: &Handle, what: &str, reached: impl Fn(&online_alter::Progress) -> bool) {
    let end = Instant::now() + Duration::from_secs(600);
    while !reached(&handle.progress()) {
        assert!(!handle.is_finished(), "the run ended before {what}");
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Deadlocks, rows that were locked at once (NOWAIT), and the longest wait for a row.
fn locks(conn: &mut Conn, flavor: Flavor) -> String {
    let status = |conn: &mut Conn, name: &str| -> u64 {
        let row: Option<(String, u64)> =
            conn.query_first(format!("SHOW GLOBAL STATUS LIKE '{name}'")).unwrap();
        row.map_or(0, |(_, n)| n)
    };
    let (deadlocks, nowait) = match flavor {
        Flavor::Mysql => {
            let mut error = |number: u32| -> u64 {
                conn.query_first(format!(
                    "SELECT SUM_ERROR_RAISED FROM performance_schema.events_errors_summary_global_by_error \
                     WHERE ERROR_NUMBER = {number}"
                ))
                .unwrap()
                .unwrap_or(0)
            };
            (error(1213), error(3572))
        }
        _ => (status(conn, "Innodb_deadlocks"), 0),
    };
    format!(
        "deadlocks {deadlocks}, NOWAIT failures {nowait}, row lock waits {}, longest row lock wait {} ms",
        status(conn, "Innodb_row_lock_waits"),
        status(conn, "Innodb_row_lock_time_max")
    )
}

/// 500,000 changed rows while paused, 10 % distinct and all distinct.
fn backlog(bench: &Bench) {
    let changes = bench.changes;
    for distinct in [changes / 10, changes] {
        if bench.distinct && distinct != changes {
            continue;
        }
        let Some(server) = server(bench) else { return };
        let db = database(&server, "backlog");
        let mut conn = filled(&db, changes);
        let handle = alter(bench, &db)
            .verify(false)
            .analyze(false)
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        wait_for(&handle, "it is postponed", |p| p.phase == Phase::Postponed);
        handle.pause();
        for pass in 0..changes / distinct {
            for first in (0..distinct).step_by(5_000) {
                conn.query_drop(format!(
                    "UPDATE {} SET grade = {pass}.5, modified = NOW(6) WHERE id > {first} AND id <= {}",
                    csm::TABLE,
                    first + 5_000
                ))
                .unwrap();
            }
        }
        wait_for(&handle, "all is read", |p| p.keys_changed >= changes);
        let before = locks(&mut conn, bench.flavor);
        let started = Instant::now();
        handle.resume();
        wait_for(&handle, "all is refreshed", |p| p.keys_pending == 0);
        let ours = started.elapsed();
        // The same row by row, in a table of its own.
        let (name, count) = (csm::TABLE, 4_000);
        conn.query_drop(format!("CREATE TABLE other LIKE _{name}_gho")).unwrap();
        conn.query_drop("DELETE FROM other").unwrap();
        conn.query_drop(format!("INSERT INTO other SELECT * FROM {name} WHERE id <= 100000"))
            .unwrap();
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").unwrap();
        let began = Instant::now();
        for id in 1..=count {
            conn.query_drop(format!("REPLACE INTO other SELECT * FROM {name} WHERE id = {id}"))
                .unwrap();
        }
        let each = began.elapsed() / count;
        let theirs = each * u32::try_from(changes).unwrap();
        println!(
            "backlog {}: {changes} changes of {distinct} rows drained in {:.2} s ({:.0} keys/s); one by \
             one {:.1} s ({:?} each): {:.1} x; before: {before}; after: {}",
            bench.flavor,
            ours.as_secs_f64(),
            distinct as f64 / ours.as_secs_f64(),
            theirs.as_secs_f64(),
            each,
            theirs.as_secs_f64() / ours.as_secs_f64(),
            locks(&mut conn, bench.flavor),
        );
        handle.abort();
        let _ = handle.join();
    }
}

/// 1000 writes per second by four writers.
fn load(bench: &Bench) {
    let Some(server) = server(bench) else { return };
    let db = database(&server, "load");
    let mut conn = filled(&db, bench.rows);
    let workload = || Workload { rate: Some(1000.0), ..Workload::new(Table::csm(csm::TABLE)) };
    let writers = Writers::start(db.url(), workload()).unwrap();
    thread::sleep(Duration::from_secs(15));
    let before = writers.stop();
    let rate = |outcome: &online_alter_support::Outcome| {
        outcome.acknowledged as f64 / outcome.elapsed.as_secs_f64()
    };
    let show = |what: &str, outcome: &online_alter_support::Outcome| {
        println!(
            "load {} {what}: {:.1} writes/s for {:.1} s, p50 {:?}, p99 {:?}, longest {:?}, errors {}",
            bench.flavor,
            rate(outcome),
            outcome.elapsed.as_secs_f64(),
            outcome.percentile(50.0),
            outcome.percentile(99.0),
            outcome.max_wait(),
            outcome.errors.len()
        );
    };
    show("without", &before);
    let phases: Mutex<Vec<(Phase, Instant)>> = Mutex::default();
    let writers = Writers::start(db.url(), workload()).unwrap();
    thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let handle = alter(bench, &db).start().unwrap();
    while !handle.is_finished() {
        let phase = handle.progress().phase;
        let mut phases = phases.lock().unwrap();
        if phases.last().is_none_or(|(last, _)| *last != phase) {
            phases.push((phase, Instant::now()));
        }
        drop(phases);
        thread::sleep(Duration::from_millis(2));
    }
    let report = handle.join().unwrap();
    let ended = Instant::now();
    thread::sleep(Duration::from_millis(500));
    let during = writers.stop();
    show("during", &during);
    let phases = phases.into_inner().unwrap();
    for (at, (phase, from)) in phases.iter().enumerate() {
        let to = phases.get(at + 1).map_or(ended, |(_, to)| *to);
        println!(
            "  {phase:?}: {:.2} s, longest wait {:?}",
            (to - *from).as_secs_f64(),
            during.max_wait_between(*from, to)
        );
    }
    println!(
        "  in all {:.1} s, locked {:?}, {} keys changed, {} refreshed; {}",
        (ended - began).as_secs_f64(),
        report.locked,
        report.keys_changed,
        report.keys_refreshed,
        locks(&mut conn, bench.flavor)
    );
}

/// One row, 2000 updates per second by eight writers.
fn hot(bench: &Bench) {
    const WRITERS: u64 = 8;
    let Some(server) = server(bench) else { return };
    let db = database(&server, "hot");
    let mut conn = filled(&db, bench.rows.min(100_000));
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let mut conn = db.conn();
                let pause = Duration::from_secs(1) / (2000 / u32::try_from(WRITERS).unwrap());
                let mut due = Instant::now();
                while !stop.load(Relaxed) {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    due = Instant::now().max(due + pause);
                    let sql = format!("UPDATE {} SET grade = grade + 1 WHERE id = 77", csm::TABLE);
                    conn.query_drop(sql).unwrap();
                    done.fetch_add(1, Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let measure = |work: &mut dyn FnMut()| {
            let (from, began) = (done.load(Relaxed), Instant::now());
            work();
            (done.load(Relaxed) - from) as f64 / began.elapsed().as_secs_f64()
        };
        let before = measure(&mut || thread::sleep(Duration::from_secs(8)));
        let postponed = alter(bench, &db).postpone_cut_over(Postpone::until_released());
        let began = Instant::now();
        let handle = postponed.start().unwrap();
        let copying = measure(&mut || {
            wait_for(&handle, "the copy is done", |p| p.phase > Phase::Copy);
        });
        let verifying = measure(&mut || {
            wait_for(&handle, "it is postponed", |p| p.phase == Phase::Postponed);
        });
        let refreshed = handle.progress().keys_refreshed;
        let refreshing = measure(&mut || thread::sleep(Duration::from_secs(6)));
        let refreshed = handle.progress().keys_refreshed - refreshed;
        handle.cut_over();
        let report = handle.join().unwrap_or_else(|error| panic!("{error}"));
        let took = began.elapsed();
        let after = measure(&mut || thread::sleep(Duration::from_secs(3)));
        println!(
            "hot {}: {before:.0} updates/s before, {copying:.0} while copying, {verifying:.0} while \
             verifying, {refreshing:.0} while refreshing ({refreshed} refreshes in 6 s): drop {:.1} %; \
             {after:.0} after; in all {:.1} s, locked {:?}; {}",
            bench.flavor,
            100.0 * (1.0 - refreshing / before),
            took.as_secs_f64(),
            report.locked,
            locks(&mut conn, bench.flavor)
        );
        stop.store(true, Relaxed);
    });
}
