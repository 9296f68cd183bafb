//! Others' definitions at each phase of a run, and queued behind the lock of its cut-over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Error, ErrorKind, Report, Step, TableState};
use online_alter_support::{Database, Server};
use parking_lot::Mutex;

use super::twins::same_as_twin;
use crate::harness::{alter, on_each, tables, wait_until};
use crate::stream::{exec, execs, on_own};

const CLAUSE: &str = "MODIFY v BIGINT NOT NULL, ADD COLUMN extra INT DEFAULT 7";

const STEPS: [Step; 4] = [Step::FencePassed, Step::CopyDone, Step::Verified, Step::BeforeLock];

/// What changes the table, and the tables that are there then.
const CHANGES: [(&str, &[&str]); 9] = [
    ("TRUNCATE TABLE t", &["t"]),
    ("ALTER TABLE t ADD COLUMN theirs INT", &["t"]),
    ("ALTER TABLE t ADD COLUMN theirs INT, ALGORITHM = INSTANT", &["t"]),
    ("ALTER TABLE t RENAME COLUMN v TO w", &["t"]),
    ("CREATE INDEX theirs ON t (v)", &["t"]),
    ("DROP INDEX u ON t", &["t"]),
    ("RENAME TABLE t TO away", &["away"]),
    ("DROP TABLE t", &[]),
    ("CREATE OR REPLACE TABLE t (id INT NOT NULL PRIMARY KEY)", &["t"]),
];

/// What leaves the table as it is.
const HARMLESS: [&str; 9] = [
    "OPTIMIZE TABLE t",
    "ANALYZE TABLE t",
    "CHECK TABLE t",
    "FLUSH TABLES t",
    "GRANT SELECT ON t TO CURRENT_USER()",
    "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v INT)",
    "INSERT INTO t VALUES (1, 1), (2, 2)",
    "TRUNCATE TABLE t",
    "DROP TEMPORARY TABLE t",
];

fn create(conn: &mut Conn) {
    exec(conn, "DROP TABLE IF EXISTS t, expect, away, _t_del");
    for table in ["t", "expect"] {
        exec(
            conn,
            &format!(
                "CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, u INT, v INT NOT NULL, KEY u (u))"
            ),
        );
        let rows: Vec<String> = (1..=30).map(|id| format!("({id}, {id}, {id})")).collect();
        exec(conn, &format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
    }
}

/// Somebody's statements at this step, before the run goes on.
fn at_step(db: &Database, step: Step, statements: &[&str]) -> Result<Report, Error> {
    let (mut conn, done) = (db.conn(), AtomicBool::new(false));
    exec(&mut conn, "SET SESSION lock_wait_timeout = 20");
    let conn = Mutex::new(conn);
    let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
    alter(db, "t", CLAUSE)
        .chunk_size(ChunkSize::Rows(4))
        .on_step(move |now, _| {
            if now == step && !done.swap(true, Ordering::SeqCst) {
                for sql in &statements {
                    // Some have a result.
                    let _: Vec<mysql::Row> = conn.lock().query(sql).unwrap();
                }
            }
        })
        .run()
}

#[test]
fn the_table_is_changed_at_any_step() {
    on_each("hostile_ddl", |server, db| {
        let mut conn = db.conn();
        for (sql, left) in CHANGES {
            if sql.starts_with("CREATE OR REPLACE") && !server.flavor().is_mariadb() {
                continue;
            }
            for step in STEPS {
                create(&mut conn);
                let error = at_step(db, step, &[sql]).unwrap_err();
                let what = format!("{sql} at {step:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::TableChanged, "{what}");
                assert_eq!(error.table_state(), TableState::Untouched, "{what}");
                assert_eq!(error.leftovers(), [], "{what}");
                let mut left = left.to_vec();
                left.push("expect");
                left.sort_unstable();
                assert_eq!(tables(&mut conn), left, "{what}");
            }
        }
    });
}

#[test]
fn maintenance_is_harmless_at_any_step() {
    on_each("hostile_harmless", |_, db| {
        let mut conn = db.conn();
        for step in STEPS {
            create(&mut conn);
            at_step(db, step, &HARMLESS).unwrap_or_else(|error| panic!("{step:?}: {error}"));
            exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
            same_as_twin(&mut conn);
        }
    });
}

/// MariaDB can log an ALTER when it begins and again when it ends, or fails.
#[test]
fn alters_in_two_phases() {
    on_own("hostile_two_phase", |server, db| {
        if !server.flavor().is_mariadb() {
            return;
        }
        let mut conn = db.conn();
        exec(&mut conn, "SET GLOBAL binlog_alter_two_phase = ON");
        for step in STEPS {
            create(&mut conn);
            let error = at_step(db, step, &["ALTER TABLE t ADD COLUMN theirs INT"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{step:?}: {error}");
            assert_eq!(tables(&mut conn), ["expect", "t"], "{step:?}: {error}");
            // One of another table, and one of another table that fails at its end.
            create(&mut conn);
            execs(&mut conn, &["DROP TABLE IF EXISTS other", "CREATE TABLE other (a INT)"]);
            execs(&mut conn, &["INSERT INTO other VALUES (1), (1)"]);
            let alters = [
                "ALTER TABLE other ADD COLUMN t INT",
                "CREATE PROCEDURE p() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; \
                 ALTER TABLE other ADD UNIQUE KEY (a), ALGORITHM = COPY; END",
                "CALL p()",
                "DROP PROCEDURE p",
            ];
            at_step(db, step, &alters).unwrap_or_else(|error| panic!("{step:?}: {error}"));
            exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
            same_as_twin(&mut conn);
            exec(&mut conn, "DROP TABLE other");
        }
    });
}

/// A statement that comes while the table is locked for the swap.
struct Queued {
    server_is_mariadb: bool,
    statement: &'static str,
    step: Step,
    report: Result<Report, Error>,
}

fn queued(server: &Server, db: &Database, step: Step, statement: &'static str) -> Queued {
    let mut conn = db.conn();
    create(&mut conn);
    let begun = AtomicBool::new(false);
    let (theirs, looker) = (Mutex::new(Some(db.conn())), Mutex::new(db.conn()));
    let thread = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&thread);
    let report = alter(db, "t", CLAUSE)
        .on_step(move |now, _| {
            if now != step || begun.swap(true, Ordering::SeqCst) {
                return;
            }
            let mut conn = theirs.lock().take().unwrap();
            let id = conn.connection_id();
            *kept.lock() =
                Some(std::thread::spawn(move || conn.query_drop(statement.replace("{t}", "t"))));
            wait_until("their statement waits", || {
                let rows: Vec<mysql::Row> = looker.lock().query("SHOW PROCESSLIST").unwrap();
                rows.iter().any(|row| {
                    let state: Option<String> = row.get(6).unwrap();
                    row.get::<u32, _>(0) == Some(id)
                        && state.is_some_and(|state| state.contains("metadata lock"))
                })
            });
        })
        .run();
    thread.lock().take().unwrap().join().unwrap().unwrap_or_else(|e| panic!("{statement}: {e}"));
    Queued { server_is_mariadb: server.flavor().is_mariadb(), statement, step, report }
}

impl Queued {
    /// Either it came behind the swap, and is about the new table; or the run has stopped.
    fn judge(self, conn: &mut Conn) {
        let Queued { server_is_mariadb, statement, step, report } = self;
        eprintln!("{statement} at {step:?}: {report:?}");
        match report {
            Ok(report) => {
                assert!(report.reconciled_keys.is_empty(), "{statement}: {report}");
                exec(conn, &format!("ALTER TABLE expect {CLAUSE}"));
                exec(conn, &statement.replace("{t}", "expect"));
                if statement.starts_with("TRUNCATE") {
                    exec(conn, "INSERT INTO t (id, v) VALUES (1, 1)");
                    exec(conn, "INSERT INTO expect (id, v) VALUES (1, 1)");
                }
                same_as_twin(conn);
            }
            Err(error) => {
                assert!(server_is_mariadb, "{statement}: {error}");
                assert_eq!(error.kind(), ErrorKind::TableChanged, "{statement}: {error}");
                assert_eq!(error.table_state(), TableState::Untouched, "{statement}: {error}");
                assert_eq!(tables(conn), ["expect", "t"], "{statement}: {error}");
            }
        }
    }
}

#[test]
fn definitions_queued_behind_the_lock() {
    on_each("hostile_queued", |server, db| {
        for statement in [
            "TRUNCATE TABLE {t}",
            "ALTER TABLE {t} ADD COLUMN theirs INT",
            "CREATE INDEX theirs ON {t} (v)",
            "ALTER TABLE {t} RENAME COLUMN u TO w",
            "ALTER TABLE {t} ADD COLUMN theirs INT, ALGORITHM = COPY",
        ] {
            let mut steps = vec![Step::Locked, Step::Checked, Step::BeforeRename];
            if server.flavor().is_mariadb() {
                // The swap waits already; it has not come to the table yet, or it has.
                steps.extend([Step::RenameQueued, Step::SentryDropped, Step::RenameProven]);
            }
            for step in steps {
                queued(server, db, step, statement).judge(&mut db.conn());
            }
        }
    });
}
