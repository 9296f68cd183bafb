//! Writes that are logged as statements, or not at all.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql::{Conn, LocalInfileHandler};
use online_alter::{Error, ErrorKind, OnMismatch, Report, Step, TableState};
use online_alter_support::Database;
use parking_lot::Mutex;

use super::twins::same_as_twin;
use crate::harness::{alter, on_each, tables};
use crate::stream::{
    CLAUSE, COLUMNS, create, exec, execs, failure, finish, on_own, postponed, same,
};

/// In MIXED format the server chooses: a statement whose result it cannot be sure of is logged as rows,
/// which are followed; any other as itself, which stops the run.
#[test]
fn mixed_format() {
    on_own("format_mixed", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let mut session = db.conn();
        exec(&mut session, "SET SESSION binlog_format = 'MIXED'");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut session, "UPDATE t SET pad = UUID() WHERE id < 5");
        exec(&mut session, "INSERT INTO t (id, v, pad) VALUES (70, 1, UUID())");
        finish(handle);
        same(&mut conn, COLUMNS);

        execs(&mut conn, &["DROP TABLE t, _t_del"]);
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut session, "UPDATE t SET pad = 'certain' WHERE id < 5");
        stopped(db, &failure(handle), "UPDATE t SET pad = 'certain'");
    });
}

/// In statement format, at each step of a run. LOAD DATA has an event of its own.
#[test]
fn statements_at_each_step() {
    on_own("format_steps", |server, db| {
        let mut conn = db.conn();
        if !server.flavor().is_mariadb() {
            exec(&mut conn, "SET GLOBAL local_infile = ON");
        }
        for (write, seen) in [
            ("UPDATE t SET v = v + 1 WHERE id = 3", "UPDATE t"),
            ("LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE t (id, v)", "LOAD DATA"),
        ] {
            for step in [Step::FencePassed, Step::CopyDone, Step::Verified, Step::BeforeLock] {
                execs(&mut conn, &["DROP TABLE IF EXISTS t, _t_del"]);
                create(&mut conn, "t");
                let mut session = db.conn();
                session.set_local_infile_handler(Some(LocalInfileHandler::new(|_, to| {
                    to.write_all(b"3\t33\n")
                })));
                exec(&mut session, "SET SESSION binlog_format = 'STATEMENT'");
                let (session, done) = (Mutex::new(session), AtomicBool::new(false));
                let ended = alter(db, "t", CLAUSE)
                    .on_step(move |now, _| {
                        if now == step && !done.swap(true, Ordering::SeqCst) {
                            exec(&mut session.lock(), write);
                        }
                    })
                    .run();
                let error = ended.expect_err(&format!("{write} at {step:?}"));
                stopped(db, &error, seen);
            }
        }
    });
}

#[track_caller]
fn stopped(db: &Database, error: &Error, statement: &str) {
    assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert!(error.message().contains(statement), "{error}");
    assert!(error.message().contains(&format!("`{}`.`t`", db.name())), "{error}");
    assert_eq!(tables(&mut db.conn()), ["t"], "{error}");
}

/// Writes of every kind past the binlog, when the copy is complete.
const UNLOGGED: [&str; 11] = [
    "INSERT INTO {t} (id, v) VALUES (101, 1), (102, 2)",
    "UPDATE {t} SET v = v + 1 WHERE id = 3",
    "UPDATE {t} SET pad = NULL WHERE id = 4",
    "UPDATE {t} SET id = 105 WHERE id = 5",
    "UPDATE {t} SET id = id + 1 WHERE id IN (19, 20) ORDER BY id DESC",
    "REPLACE INTO {t} (id, v, pad) VALUES (6, 66, 'replaced')",
    "INSERT INTO {t} (id, v) VALUES (7, 1) ON DUPLICATE KEY UPDATE v = 777",
    "DELETE FROM {t} WHERE id = 8",
    "INSERT INTO {t} (id, v, pad) SELECT id + 200, v, pad FROM {t} WHERE id = 9",
    "UPDATE {t} SET doc = JSON_SET(doc, '$.a', 'x') WHERE id = 10",
    "UPDATE {t} SET big = REPEAT('y', 51) WHERE id = 11",
];

fn unlogged(db: &Database, on_mismatch: OnMismatch) -> Result<Report, Error> {
    let mut conn = db.conn();
    execs(&mut conn, &["DROP TABLE IF EXISTS t, expect, _t_del"]);
    create(&mut conn, "t");
    create(&mut conn, "expect");
    let url = db.url().to_owned();
    alter(db, "t", CLAUSE)
        .on_mismatch(on_mismatch)
        .on_step(move |step, _| {
            if step == Step::CopyDone {
                let mut conn = Conn::new(url.as_str()).unwrap();
                exec(&mut conn, "SET sql_log_bin = 0");
                for write in UNLOGGED {
                    exec(&mut conn, &write.replace("{t}", "t"));
                    exec(&mut conn, &write.replace("{t}", "expect"));
                }
            }
        })
        .run()
}

#[test]
fn writes_of_every_kind_past_the_binlog() {
    on_each("format_unlogged", |_, db| {
        let error = unlogged(db, OnMismatch::Stop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        let keys: Vec<&str> = error.differences().iter().map(|d| d.key.as_str()).collect();
        let changed = [
            "(3)", "(4)", "(5)", "(6)", "(7)", "(8)", "(10)", "(11)", "(19)", "(20)", "(21)",
            "(101)", "(102)", "(105)", "(209)",
        ];
        assert_eq!(keys, changed, "{error}");

        let report = unlogged(db, OnMismatch::Repair).unwrap();
        assert_eq!(report.verification.as_ref().unwrap().repaired, 15, "{report}");
        let mut conn = db.conn();
        exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
        same_as_twin(&mut conn);
    });
}

/// Definitions changed past the binlog: what they do to the rows is seen by verification, what they do
/// to the definition under the lock.
#[test]
fn definitions_past_the_binlog() {
    on_each("format_unlogged_ddl", |_, db| {
        let cascade: &[&str] = &[
            "SET sql_log_bin = 0",
            "ALTER TABLE t ADD FOREIGN KEY (v) REFERENCES parent (id) ON DELETE CASCADE",
            "SET sql_log_bin = 1",
            "DELETE FROM parent WHERE id = 3",
        ];
        let own_cascade: &[&str] = &[
            "ALTER TABLE t ADD FOREIGN KEY (v) REFERENCES parent (id) ON DELETE CASCADE",
            "DELETE FROM parent WHERE id = 3",
        ];
        let child: &[&str] = &[
            "SET sql_log_bin = 0",
            "CREATE TABLE child (id INT NOT NULL PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))",
        ];
        let cases: [(&[&str], &[ErrorKind]); 6] = [
            (child, &[ErrorKind::ForeignKeys]),
            (&["SET sql_log_bin = 0", "TRUNCATE TABLE t"], &[ErrorKind::RowsDiffer]),
            (&["SET sql_log_bin = 0", "DROP TABLE t"], &[ErrorKind::TableChanged]),
            (
                &["SET sql_log_bin = 0", "RENAME TABLE t TO parent2, expect TO t"],
                &[ErrorKind::TableChanged, ErrorKind::RowsDiffer],
            ),
            (cascade, &[ErrorKind::ForeignKeys, ErrorKind::RowsDiffer]),
            (own_cascade, &[ErrorKind::TableChanged]),
        ];
        for (statements, kinds) in cases {
            let mut conn = db.conn();
            execs(
                &mut conn,
                &[
                    "DROP TABLE IF EXISTS child",
                    "DROP TABLE IF EXISTS t, expect, parent2",
                    "DROP TABLE IF EXISTS parent",
                ],
            );
            create(&mut conn, "t");
            exec(&mut conn, "CREATE TABLE expect (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)");
            exec(&mut conn, "CREATE TABLE parent (id INT NOT NULL PRIMARY KEY)");
            exec(&mut conn, "INSERT INTO parent SELECT v FROM t");
            let session = Mutex::new(db.conn());
            let ended = alter(db, "t", CLAUSE)
                .on_step(move |step, _| {
                    if step == Step::CopyDone {
                        execs(&mut session.lock(), statements);
                    }
                })
                .run();
            let error = ended.expect_err(&format!("{statements:?}"));
            eprintln!("{statements:?}: {error}");
            assert!(kinds.contains(&error.kind()), "{statements:?}: {:?} {error}", error.kind());
            assert_eq!(error.table_state(), TableState::Untouched, "{statements:?}: {error}");
        }
    });
}
