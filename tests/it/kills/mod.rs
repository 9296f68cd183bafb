//! The host program is killed (SIGKILL) at each named point of the protocol, and at random times, under writers who keep
//! a journal; then it is started again, to go on. `KILL_ROUNDS=20 KILL_RANDOM=300` for many rounds.

mod kinds;
mod program;
mod refused;
mod takeover;

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter_support::{Database, Flavor, Server, Table, Workload, Writers, check};

use self::program::{Program, Said};
use crate::harness::{on_each, tables, wait_until};

const LONG: Duration = Duration::from_secs(120);

/// Where the program stands still on all servers, in the order in which it comes there.
const POINTS: [&str; 30] = [
    "Phase Prepare",
    "LockTaken",
    "StateCreated",
    "Recorded",
    "GhostMade",
    "GhostCreated",
    "PlaceSaved",
    "TaskSaved",
    "FencePassed",
    "Chunk 0",
    "Chunk 7",
    "CopyDone",
    "Phase BuildIndexes",
    "IndexesBuilt",
    "Phase Verify",
    "Verified",
    "Phase Postponed",
    "Phase CutOver",
    "BeforeLock",
    "Locked",
    "MarkerSeen",
    "Drained",
    "Checked",
    "Dressed",
    "BeforeRename",
    "FreeingParents",
    "Renamed",
    "Phase Finish",
    "Proven",
    "ProofSaved",
];

/// Of the queued swap of MariaDB.
const QUEUED: [&str; 3] = ["RenameQueued", "SentryDropped", "RenameProven"];

fn rounds(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A table with all that a cut-over has to carry over.
fn set_up(server: &Server, db: &Database) {
    let mut conn = server.conn();
    conn.query_drop(format!("DROP DATABASE `{0}`", db.name())).unwrap();
    conn.query_drop(format!("CREATE DATABASE `{0}`", db.name())).unwrap();
    let mut conn = db.conn();
    for sql in [
        "CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO p VALUES (1)",
        "CREATE TABLE fired (n INT) ENGINE=InnoDB",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(40) NOT NULL, owner INT NOT \
         NULL DEFAULT 1, parent INT DEFAULT 1, KEY pad (pad), CONSTRAINT fk FOREIGN KEY (parent) REFERENCES p (id)) \
         ENGINE=InnoDB",
        "INSERT INTO t (v, pad) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "CREATE TRIGGER tr AFTER DELETE ON t FOR EACH ROW INSERT INTO fired VALUES (OLD.v)",
    ] {
        conn.query_drop(sql).unwrap();
    }
    for _ in 0..9 {
        conn.query_drop("INSERT INTO t (v, pad) SELECT v, CONCAT('r', id) FROM t").unwrap();
    }
}

/// Starts programs and kills them, as `kill` does; then goes on to the end, and judges.
fn round(server: &Server, db: &Database, what: &str, kill: impl FnOnce(&Writers)) {
    set_up(server, db);
    let writers = start_writers(db);
    kill(&writers);
    let mut program = Program::start(db.url(), "", true);
    let said = program.wait(LONG);
    // Whoever is killed in the very end has finished, or has not begun.
    let finished = matches!(&said, Said::Failed(why) if why.starts_with("NothingToResume"));
    let said = if finished && tables(&mut db.conn()) == ["fired", "p", "t"] {
        program = Program::start(db.url(), "", false);
        program.wait(LONG)
    } else {
        said
    };
    // Or had altered the table, and been killed before it could say so.
    let altered = finished && tables(&mut db.conn()).contains(&"_t_del".to_owned());
    assert!(altered || said == Said::Done("0 0".to_owned()), "{what}: {said:?}");
    drop(program);
    judge(db, writers, what);
}

/// What is written, and judged.
fn table() -> Table {
    Table::simple("t").ignoring("owner").ignoring("parent")
}

fn start_writers(db: &Database) -> Writers {
    let mut workload = Workload::new(table());
    workload.writers = 2;
    workload.rate = Some(400.0);
    workload.reconnect = true;
    let writers = Writers::start(db.url(), workload).unwrap();
    wait_until("there are writes", || writers.statements() > 10);
    writers
}

/// The table has the new definition, the rows that the journal says, and nothing else is left but the old table.
fn judge(db: &Database, writers: Writers, what: &str) {
    let goal = writers.statements() + 5;
    wait_until("writes go on", || writers.statements() > goal || writers.errors() > 0);
    let outcome = writers.stop();
    assert_eq!(outcome.errors, Vec::<String>::new(), "{what}");
    let mut conn = db.conn();
    let found = check(&mut conn, &table(), &outcome).unwrap();
    assert!(found.is_clean(), "{what}: {found}");
    assert_eq!(tables(&mut conn), ["_t_del", "fired", "p", "t"], "{what}");
    let ty: String = conn
        .query_first("SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = \
                      't' AND COLUMN_NAME = 'owner'")
        .unwrap()
        .unwrap();
    assert_eq!(ty, "bigint", "{what}");
    let keys: Vec<(String, String)> = conn
        .query("SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE \
                CONSTRAINT_SCHEMA = DATABASE()")
        .unwrap();
    assert_eq!(keys.len(), 1, "{what}: {keys:?}");
    assert_eq!(keys[0].0, "t", "{what}");
    let triggers: Vec<String> = conn
        .query("SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY BINARY EVENT_OBJECT_TABLE")
        .unwrap();
    assert_eq!(triggers, ["_t_del", "t"], "{what}");
    // Nobody but this test.
    let others = || -> Vec<(u32, String)> {
        let mut conn = db.conn();
        let rows: Vec<mysql::Row> = conn.query("SHOW PROCESSLIST").unwrap();
        let own = conn.connection_id();
        let of = |row: mysql::Row| {
            (row.get::<u32, _>(0).unwrap(), row.get::<Option<String>, _>(3).unwrap())
        };
        let here = |(id, name): (u32, Option<String>)| {
            name.filter(|name| name == db.name() && id != own).map(|name| (id, name))
        };
        rows.into_iter().map(of).filter_map(here).collect()
    };
    drop(conn);
    wait_until("no connection is left", || others().is_empty());
}

fn at_each_point(name: &str, points: &[&str], on: impl Fn(Flavor) -> bool) {
    on_each(name, |server, db| {
        if !on(server.flavor()) {
            return;
        }
        for number in 0..rounds("KILL_ROUNDS", 1) {
            for point in points {
                let what = format!("{} killed at {point}, round {number}", server.flavor());
                eprintln!("{what}");
                round(server, db, &what, |writers| {
                    let mut program = Program::start(db.url(), point, false);
                    assert_eq!(program.wait(LONG), Said::At, "{what}");
                    // Writers may be blocked now; where they are not, they go on a little.
                    let goal = writers.statements() + 10;
                    let end = Instant::now() + Duration::from_millis(100);
                    while writers.statements() < goal && Instant::now() < end {
                        std::thread::yield_now();
                    }
                    program.kill();
                });
            }
        }
    });
}

#[test]
fn at_each_named_point() {
    at_each_point("kills", &POINTS, |_| true);
}

#[test]
fn at_each_point_of_the_queued_swap() {
    at_each_point("kills_queued", &QUEUED, Flavor::is_mariadb);
}

/// Several times in a row, whenever it may be: the one that goes on is killed as well. `KILL_SEED` for other times.
#[test]
fn at_random_times() {
    on_each("kills_at_random", |server, db| {
        // How long a run takes here, undisturbed.
        let mut took = Duration::ZERO;
        round(server, db, "not killed", |_| {
            let began = Instant::now();
            let mut program = Program::start(db.url(), "", false);
            assert_eq!(program.wait(LONG), Said::Done("0 0".to_owned()));
            took = began.elapsed();
        });
        let mut killed = 0;
        let mut seed = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(rounds("KILL_SEED", 1));
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for number in 0..rounds("KILL_RANDOM", 6) {
            let kills = 1 + random() % 3;
            let times: Vec<Duration> =
                (0..kills).map(|_| took * u32::try_from(random() % 1000).unwrap() / 1000).collect();
            let what = format!("{} killed after {times:?}, round {number}", server.flavor());
            eprintln!("{what}");
            round(server, db, &what, |_| {
                for (count, time) in times.iter().enumerate() {
                    let mut program = Program::start(db.url(), "", count > 0);
                    match program.wait(*time) {
                        Said::Nothing => {
                            program.kill();
                            killed += 1;
                        }
                        Said::Failed(why) if why.starts_with("NothingToResume") => break,
                        Said::Done(how) => assert_eq!(how, "0 0", "{what}"),
                        other => panic!("{what}: {other:?}"),
                    }
                }
            });
        }
        let rounds = rounds("KILL_RANDOM", 6);
        eprintln!("{}: {killed} kills in {rounds} rounds", server.flavor());
        assert!(killed >= rounds / 2, "{killed} kills in {rounds} rounds");
    });
}
