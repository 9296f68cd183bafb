//! What the binlog may hold, on real servers: what is followed, what stops a run, and what is
//! harmless.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{
    ChunkSize, Error, ErrorKind, Handle, OnlineAlter, Phase, Postpone, Report, Step, TableState,
};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::harness::{FLAVORS, alter, on, on_each, tables};

/// What all these runs do.
const CLAUSE: &str = "MODIFY v BIGINT NOT NULL, ADD COLUMN extra INT DEFAULT 7";

/// Runs the test on servers of its own: one that commits XA transactions which were prepared before
/// other tests' runs began, or that writes in statement format, would stop those.
fn on_own(name: &str, test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        test(&server, &database(&server, name));
    }
}

/// A table of 20 rows.
fn create(conn: &mut Conn, table: &str) {
    exec(
        conn,
        &format!(
            "CREATE TABLE `{table}` (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, \
             pad VARCHAR(64), doc JSON, big LONGBLOB)"
        ),
    );
    let rows: Vec<String> = (1..=20)
        .map(|i| format!("({i}, {i}, 'row {i}', '{{\"a\": {i}, \"b\": [1, 2]}}', REPEAT('x', 50))"))
        .collect();
    exec(conn, &format!("INSERT INTO `{table}` VALUES {}", rows.join(", ")));
}

#[track_caller]
fn exec(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn execs(conn: &mut Conn, statements: &[&str]) {
    for sql in statements {
        exec(conn, sql);
    }
}

/// Starts a run and waits until it is in step with the table.
#[track_caller]
fn postponed(run: OnlineAlter) -> Handle {
    let handle = run
        .postpone_cut_over(Postpone::until_released())
        .chunk_size(ChunkSize::Rows(7))
        .start()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while handle.progress().phase < Phase::Postponed && !handle.is_finished() {
        assert!(Instant::now() < deadline, "{}", handle.progress());
        std::thread::sleep(Duration::from_millis(10));
    }
    handle
}

/// Lets the run cut over.
#[track_caller]
fn finish(handle: Handle) -> Report {
    handle.cut_over();
    handle.join().unwrap_or_else(|error| panic!("{error}"))
}

/// Waits for the run to fail.
#[track_caller]
fn failure(handle: Handle) -> Error {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !handle.is_finished() {
        assert!(Instant::now() < deadline, "the run goes on: {}", handle.progress());
        std::thread::sleep(Duration::from_millis(10));
    }
    handle.join().unwrap_err()
}

/// The new table and the old one hold the same.
#[track_caller]
fn same(conn: &mut Conn, columns: &str) {
    let mut rows = |table: &str| -> Vec<String> {
        conn.query(format!("SELECT CONCAT_WS('|', {columns}) FROM {table} ORDER BY id")).unwrap()
    };
    let (new, old) = (rows("t"), rows("_t_del"));
    assert_eq!(new, old);
    assert!(!new.is_empty());
}

const COLUMNS: &str = "id, v, pad, doc, SHA2(big, 256)";

/// Statements of every kind that changes rows.
const WRITES: [&str; 9] = [
    "INSERT INTO t (v, pad) VALUES (100, 'new'), (101, 'newer')",
    "INSERT INTO t (id, v) VALUES (1000, 1)",
    "UPDATE t SET v = v + 1 WHERE id BETWEEN 3 AND 8",
    "UPDATE t SET doc = JSON_SET(doc, '$.a', 'long and longer') WHERE id = 9",
    "UPDATE t SET big = REPEAT('y', 70000) WHERE id = 10",
    "UPDATE t SET id = 2000, pad = 'moved' WHERE id = 11",
    "UPDATE t SET pad = NULL, doc = NULL WHERE id = 12",
    "DELETE FROM t WHERE id IN (13, 14)",
    "REPLACE INTO t (id, v) VALUES (15, 77)",
];

/// A run during which a session with these settings writes.
fn follows(db: &Database, settings: &[&str]) {
    let mut conn = db.conn();
    create(&mut conn, "t");
    let handle = postponed(alter(db, "t", CLAUSE));
    execs(&mut conn, settings);
    execs(&mut conn, &WRITES);
    exec(&mut conn, "BEGIN");
    execs(
        &mut conn,
        &["UPDATE t SET v = 9 WHERE id = 1", "SAVEPOINT a", "DELETE FROM t WHERE id = 2"],
    );
    execs(&mut conn, &["ROLLBACK TO a", "INSERT INTO t (id, v) VALUES (3000, 3)", "COMMIT"]);
    let report = finish(handle);
    assert!(report.keys_changed >= 15, "{report:?}");
    same(&mut conn, COLUMNS);
}

#[test]
fn row_images() {
    on_each("stream_images", |_, db| follows(db, &[]));
    on_each("stream_minimal", |_, db| follows(db, &["SET SESSION binlog_row_image = 'MINIMAL'"]));
    on_each("stream_noblob", |_, db| follows(db, &["SET SESSION binlog_row_image = 'NOBLOB'"]));
    on(Flavor::MariaDb11, "stream_nodup", |_, db| {
        follows(db, &["SET SESSION binlog_row_image = 'FULL_NODUP'"]);
    });
    on(Flavor::MariaDb11, "stream_mariadb11", |_, db| follows(db, &[]));
}

#[test]
fn partial_json() {
    on(Flavor::Mysql, "stream_partial_json", |_, db| {
        follows(db, &["SET SESSION binlog_row_value_options = 'PARTIAL_JSON'"]);
    });
    on(Flavor::Mysql, "stream_partial_json_minimal", |_, db| {
        follows(
            db,
            &[
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
                "SET SESSION binlog_row_image = 'MINIMAL'",
            ],
        );
    });
}

#[test]
fn compressed_transactions() {
    on(Flavor::Mysql, "stream_compressed", |_, db| {
        follows(
            db,
            &[
                "SET SESSION binlog_transaction_compression = ON",
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            ],
        );
    });
}

#[test]
fn compressed_events() {
    for flavor in [Flavor::MariaDb, Flavor::MariaDb11] {
        let started = Server::builder(flavor)
            .option("--log-bin-compress=ON")
            .option("--log-bin-compress-min-len=10")
            .start();
        let Some(server) = available(started) else {
            continue;
        };
        follows(&database(&server, "compressed"), &[]);
        // Statements are compressed too, and must be seen all the same.
        let db = database(&server, "compressed_ddl");
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(&db, "t", CLAUSE));
        let comment = "x".repeat(300);
        exec(&mut conn, &format!("TRUNCATE TABLE /* {comment} */ t"));
        assert_eq!(failure(handle).kind(), ErrorKind::TableChanged);
    }
}

#[test]
fn a_key_that_minimal_images_leave_out() {
    on_each("stream_key_left_out", |_, db| {
        let mut conn = db.conn();
        execs(
            &mut conn,
            &[
                "CREATE TABLE t (p INT NOT NULL PRIMARY KEY, id INT NOT NULL, v INT NOT NULL, UNIQUE KEY (id))",
                "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
            ],
        );
        let handle = postponed(alter(db, "t", "DROP COLUMN p, ADD PRIMARY KEY (id)"));
        execs(
            &mut conn,
            &["SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET v = 9 WHERE id = 2"],
        );
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("binlog_row_image"), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
    });
}

/// With a minimal image an INSERT of nothing but defaults logs no column at all.
#[test]
fn a_key_that_is_its_default() {
    on_each("stream_key_default", |_, db| {
        let mut conn = db.conn();
        execs(
            &mut conn,
            &[
                "CREATE TABLE t (id INT NOT NULL DEFAULT 5 PRIMARY KEY, v INT DEFAULT 1)",
                "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
            ],
        );
        let handle = postponed(alter(db, "t", "ADD COLUMN extra INT DEFAULT 7"));
        execs(
            &mut conn,
            &["SET SESSION binlog_row_image = 'MINIMAL'", "INSERT INTO t () VALUES ()"],
        );
        // Either the key was logged all the same, or the run must stop.
        handle.cut_over();
        match handle.join() {
            Ok(_) => same(&mut conn, "id, v"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Binlog, "{error}"),
        }
    });
}

#[test]
fn xa_transactions() {
    on_own("stream_xa", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        let mut others: Vec<Conn> = (0..4).map(|_| db.conn()).collect();
        // Committed in another order than they were prepared in, by other connections.
        let xids = ["'one'", "'it''s', X'00FF5C27', 7", "X'0A0B', 'branch', 99", "'gone'"];
        for (i, (conn, xid)) in others.iter_mut().zip(xids).enumerate() {
            let id = i + 1;
            exec(conn, &format!("XA START {xid}"));
            exec(conn, &format!("UPDATE t SET v = v + 500, pad = 'xa' WHERE id = {id}"));
            exec(conn, &format!("DELETE FROM t WHERE id = {}", id + 10));
            exec(conn, &format!("INSERT INTO t (id, v) VALUES ({}, 5)", id + 500));
            exec(conn, &format!("XA END {xid}"));
            exec(conn, &format!("XA PREPARE {xid}"));
        }
        exec(&mut conn, "UPDATE t SET v = 55 WHERE id = 19");
        // The rows of prepared transactions have come through by now.
        std::thread::sleep(Duration::from_millis(300));
        for number in [2, 0, 1] {
            exec(&mut others[number], &format!("XA COMMIT {}", xids[number]));
        }
        exec(&mut others[3], "XA ROLLBACK 'gone'");
        execs(
            &mut conn,
            &[
                "XA START 'short'",
                "UPDATE t SET v = 600 WHERE id = 6",
                "DELETE FROM t WHERE id = 7",
                "XA END 'short'",
                "XA COMMIT 'short' ONE PHASE",
                // One that changes nothing.
                "XA START 'reader'",
                "SELECT COUNT(*) FROM t",
                "XA END 'reader'",
                "XA PREPARE 'reader'",
                "XA COMMIT 'reader'",
                "XA START 'never'",
                "UPDATE t SET v = 800 WHERE id = 8",
                "XA END 'never'",
                "XA ROLLBACK 'never'",
                // A name may be used again.
                "XA START 'one'",
                "UPDATE t SET v = 900 WHERE id = 9",
                "XA END 'one'",
                "XA PREPARE 'one'",
                "XA COMMIT 'one'",
                "UPDATE t SET v = 56 WHERE id = 20",
            ],
        );
        let report = finish(handle);
        same(&mut conn, COLUMNS);
        let values: Vec<(i32, i64)> = conn
            .query("SELECT id, v FROM t WHERE id IN (1, 2, 3, 4, 6, 8, 9, 14) ORDER BY id")
            .unwrap();
        assert_eq!(
            values,
            [(1, 501), (2, 502), (3, 503), (4, 4), (6, 600), (8, 8), (9, 900), (14, 14)]
        );
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
    });
}

#[test]
fn xa_transactions_around_the_copy() {
    on_own("stream_xa_copy", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let open = parking_lot::Mutex::new(db.conn());
        let report = alter(db, "t", CLAUSE)
            .chunk_size(ChunkSize::Rows(3))
            .on_step(move |step, _| {
                let mut open = open.lock();
                match step {
                    Step::FencePassed => execs(
                        &mut open,
                        &[
                            "XA START 'x'",
                            "UPDATE t SET v = v + 500 WHERE id < 10",
                            "DELETE FROM t WHERE id = 10",
                            "UPDATE t SET id = 700 WHERE id = 11",
                            "XA END 'x'",
                            "XA PREPARE 'x'",
                        ],
                    ),
                    Step::CopyDone => exec(&mut open, "XA COMMIT 'x'"),
                    _ => {}
                }
            })
            .run()
            .unwrap();
        assert!(report.keys_changed >= 12);
        same(&mut conn, COLUMNS);
    });
}

#[test]
fn xa_transactions_prepared_before_the_run() {
    on_own("stream_xa_before", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let mut other = db.conn();
        execs(
            &mut other,
            &[
                "XA START 'old'",
                "UPDATE t SET v = 77 WHERE id = 1",
                "XA END 'old'",
                "XA PREPARE 'old'",
            ],
        );
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut other, "XA COMMIT 'old'");
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("XA COMMIT"), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
    });
}

/// Somebody's statements stop the run, with this error.
fn stops(db: &Database, others: &[&str], statements: &[&str], kind: ErrorKind) -> Error {
    let mut conn = db.conn();
    create(&mut conn, "t");
    execs(&mut conn, others);
    let handle = postponed(alter(db, "t", CLAUSE));
    execs(&mut conn, statements);
    let error = failure(handle);
    assert_eq!(error.kind(), kind, "{statements:?}: {error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{statements:?}: {error}");
    assert_eq!(error.leftovers(), [], "{statements:?}: {error}");
    error
}

#[test]
fn statements_in_the_place_of_rows() {
    let writes = [
        "UPDATE t SET v = v + 1 WHERE id = 3",
        "INSERT INTO t (v) VALUES (3)",
        "DELETE FROM t WHERE id = 3",
        "REPLACE INTO t (id, v) VALUES (3, 3)",
        "INSERT INTO t (v) SELECT a FROM other",
        "UPDATE other, t SET t.v = other.a WHERE t.id = 3",
        "WITH x AS (SELECT 3 AS id) DELETE FROM t WHERE id IN (SELECT id FROM x)",
    ];
    on_own("stream_statement", |server, db| {
        for write in writes {
            execs(&mut db.conn(), &["DROP TABLE IF EXISTS t, other"]);
            // MariaDB 10.11 has no WITH in front of DELETE.
            if write.starts_with("WITH") && server.flavor().is_mariadb() {
                continue;
            }
            let mut session = db.conn();
            exec(&mut session, "SET SESSION binlog_format = 'STATEMENT'");
            let mut conn = db.conn();
            create(&mut conn, "t");
            execs(&mut conn, &["CREATE TABLE other (a INT)", "INSERT INTO other VALUES (1)"]);
            let handle = postponed(alter(db, "t", CLAUSE));
            exec(&mut session, write);
            let error = failure(handle);
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{write}: {error}");
            assert!(error.message().contains(&format!("`{}`.`t`", db.name())), "{error}");
            assert_eq!(tables(&mut conn), ["other", "t"]);
            let columns: u32 = conn
                .query_first("SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't'")
                .unwrap()
                .unwrap();
            assert_eq!(columns, 5);
        }
    });
}

/// Statements that write to the table without naming it: by a trigger of another table, or by a
/// function. In statement format the binlog shows only the statement itself.
#[test]
fn statements_that_write_behind_the_scenes() {
    let writes =
        ["INSERT INTO other VALUES (1)", "INSERT INTO third VALUES (touch())", "DO touch()"];
    on_own("stream_behind", |_, db| {
        for write in writes {
            execs(
                &mut db.conn(),
                &["DROP TABLE IF EXISTS t, _t_del, other, third", "DROP FUNCTION IF EXISTS touch"],
            );
            let mut conn = db.conn();
            create(&mut conn, "t");
            // MySQL wants to be told that it may.
            let _ = conn.query_drop("SET GLOBAL log_bin_trust_function_creators = ON");
            execs(
                &mut conn,
                &[
                    "CREATE TABLE other (a INT)",
                    "CREATE TABLE third (a INT)",
                    "CREATE TRIGGER tr AFTER INSERT ON other FOR EACH ROW UPDATE t SET v = 777 WHERE id = 3",
                    "CREATE FUNCTION touch() RETURNS INT MODIFIES SQL DATA BEGIN \
                     UPDATE t SET v = 777 WHERE id = 3; RETURN 1; END",
                ],
            );
            let mut session = db.conn();
            exec(&mut session, "SET SESSION binlog_format = 'STATEMENT'");
            let handle = postponed(alter(db, "t", CLAUSE));
            exec(&mut session, write);
            exec(&mut conn, "UPDATE t SET pad = 'after' WHERE id = 4");
            std::thread::sleep(Duration::from_millis(300));
            handle.cut_over();
            match handle.join() {
                Ok(_) => same(&mut conn, COLUMNS),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TableChanged, "{write}: {error}"),
            }
        }
    });
}

#[test]
fn definitions_changed_by_somebody_else() {
    let cases: [(&[&str], &str, &[&str]); 14] = [
        (&[], "TRUNCATE TABLE t", &["t"]),
        (&[], "ALTER TABLE t ADD COLUMN foreign_one INT", &["t"]),
        (&[], "ALTER TABLE t ENGINE=InnoDB", &["t"]),
        (&[], "ALTER TABLE t RENAME TO u", &["u"]),
        (&[], "DROP TABLE t", &[]),
        (&["CREATE TABLE x (a INT)"], "DROP TABLE x, t", &[]),
        (&[], "RENAME TABLE t TO u", &["u"]),
        (&["CREATE TABLE x LIKE t"], "RENAME TABLE t TO u, x TO t", &["t", "u"]),
        (&[], "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW SET @x = 1", &["t"]),
        (&[], "CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES t (id))", &["child", "t"]),
        (
            &["CREATE TABLE child (a INT)"],
            "ALTER TABLE child ADD FOREIGN KEY (a) REFERENCES t (id)",
            &["child", "t"],
        ),
        (&[], "CREATE INDEX i ON t (v)", &["t"]),
        (&[], "DROP TABLE _t_gho", &["t"]),
        (&[], "ALTER TABLE _t_gho ADD COLUMN foreign_one INT", &["t"]),
    ];
    for (others, statement, left) in cases {
        on_each("stream_ddl", |_, db| {
            let error = stops(db, others, &[statement], ErrorKind::TableChanged);
            assert!(error.message().contains(".`"), "{statement}: {error}");
            let mut left = left.to_vec();
            left.sort_unstable();
            assert_eq!(tables(&mut db.conn()), left, "{statement}");
        });
    }
}

#[test]
fn the_state_table_or_the_database_goes() {
    on_each("stream_state", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut conn, "DROP TABLE _t_ghc");
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(tables(&mut conn), ["t"]);
    });
    on_each("stream_database", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut conn, &format!("DROP DATABASE {}", db.name()));
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
    });
}

/// A session whose statements are not in UTF-8, and a table whose name is not in ASCII.
#[test]
fn a_name_in_another_charset() {
    on_each("stream_charset", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "\u{e9}t\u{e9}");
        let handle = postponed(alter(db, "\u{e9}t\u{e9}", CLAUSE));
        // The crate sends UTF-8 only; the text of a prepared statement is in the session's charset.
        execs(
            &mut conn,
            &[
                "SET NAMES latin1",
                "SET @s = CONCAT('TRUNCATE TABLE ', _utf8mb4 X'C3A974C3A9')",
                "PREPARE p FROM @s",
                "EXECUTE p",
            ],
        );
        assert_eq!(failure(handle).kind(), ErrorKind::TableChanged);
    });
}

#[test]
fn statements_that_are_harmless() {
    on_each("stream_harmless", |server, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        execs(
            &mut conn,
            &[
                "CREATE TABLE x LIKE t",
                "CREATE TABLE y (LIKE t)",
                "CREATE VIEW w AS SELECT * FROM t",
                "DROP VIEW w",
                "ANALYZE TABLE t",
                "CREATE TABLE z (a INT PRIMARY KEY) COMMENT 'not t, REFERENCES t'",
                "CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES z (a))",
                "CREATE TABLE made AS SELECT id, v FROM t",
                "ALTER TABLE z ADD COLUMN t INT",
                "/* ALTER TABLE t */ ALTER TABLE z ADD COLUMN b INT /* of t */",
                "CREATE INDEX t ON z (t)",
                "INSERT INTO z VALUES (1, 1, 1)",
                "CREATE TRIGGER other AFTER INSERT ON z FOR EACH ROW SET @t = 1",
                "DROP TRIGGER other",
                "TRUNCATE TABLE x",
                "RENAME TABLE x TO xx",
                "DROP TABLE xx, y, child, z, made",
                "CREATE TEMPORARY TABLE tmp LIKE t",
                "INSERT INTO tmp SELECT * FROM t",
                "DROP TEMPORARY TABLE tmp",
                "CREATE PROCEDURE p() BEGIN DELETE FROM t; END",
                "DROP PROCEDURE p",
                "SET @t = 'TRUNCATE TABLE t'",
                "CREATE TABLE other (a INT)",
                "UPDATE t SET v = v + 1 WHERE id = 5",
            ],
        );
        // Statements about other tables, and about one of the same name elsewhere.
        let other = database(server, &format!("{}_2", db.name()));
        execs(
            &mut other.conn(),
            &[
                "CREATE TABLE t (id INT PRIMARY KEY)",
                "INSERT INTO t VALUES (1)",
                "ALTER TABLE t ADD COLUMN b INT",
                "UPDATE t SET b = 1",
                "TRUNCATE TABLE t",
            ],
        );
        exec(&mut conn, &format!("DROP DATABASE {}", other.name()));
        if server.flavor().is_mariadb() {
            execs(
                &mut conn,
                &[
                    "CREATE SEQUENCE s",
                    "SELECT NEXTVAL(s)",
                    "DROP SEQUENCE s",
                    "CREATE OR REPLACE TABLE x LIKE t",
                ],
            );
        } else {
            execs(
                &mut conn,
                &["ANALYZE TABLE t UPDATE HISTOGRAM ON v", "ANALYZE TABLE t DROP HISTOGRAM ON v"],
            );
        }
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

#[test]
fn files_that_change_all_the_time() {
    on_each("stream_rotation", |_, db| {
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 3_000).unwrap();
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(400.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut conn = db.conn();
                for _ in 0..60 {
                    exec(&mut conn, "FLUSH BINARY LOGS");
                    std::thread::sleep(Duration::from_millis(20));
                }
                done.store(true, Ordering::SeqCst);
            });
            let rotated = {
                let done = &done;
                let flag = std::sync::Arc::new(AtomicBool::new(false));
                let seen = std::sync::Arc::clone(&flag);
                scope.spawn(move || {
                    while !done.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    flag.store(true, Ordering::SeqCst);
                });
                seen
            };
            let report = alter(db, csm::TABLE, "CHANGE id id BIGINT NOT NULL AUTO_INCREMENT")
                .chunk_size(ChunkSize::Rows(50))
                .postpone_cut_over(Postpone::while_true(move || !rotated.load(Ordering::SeqCst)))
                .run()
                .unwrap();
            assert!(report.keys_changed > 100);
        });
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
    });
}

#[test]
fn streams_that_are_killed() {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        let db = database(&server, "stream_killed");
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 3_000).unwrap();
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(400.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        let handle = postponed(
            alter(&db, csm::TABLE, "CHANGE id id BIGINT NOT NULL AUTO_INCREMENT")
                .chunk_size(ChunkSize::Rows(50)),
        );
        let mut kills = 0;
        let mut query = false;
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            // MySQL's information_schema cannot show the emoji in what the writers write.
            let ids: Vec<u32> = conn
                .query(if flavor.is_mariadb() {
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"
                } else {
                    "SELECT PROCESSLIST_ID FROM performance_schema.threads \
                     WHERE PROCESSLIST_COMMAND LIKE 'Binlog Dump%'"
                })
                .unwrap();
            for id in ids {
                // A stream whose statement is killed ends as if the server had nothing more.
                query = !query;
                let what = if query { "QUERY" } else { "" };
                kills += u32::from(conn.query_drop(format!("KILL {what} {id}")).is_ok());
            }
            if kills % 5 == 0 {
                exec(&mut conn, "FLUSH BINARY LOGS");
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        finish(handle);
        std::thread::sleep(Duration::from_millis(200));
        let outcome = writers.stop();
        eprintln!("{flavor}: {kills} kills, {} writes", outcome.acknowledged);
        assert!(kills > 10);
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
    }
}

#[test]
fn huge_rows_and_no_checksums() {
    for flavor in FLAVORS {
        let started = Server::builder(flavor)
            .option("--max-allowed-packet=64M")
            .option("--binlog-checksum=NONE")
            .start();
        let Some(server) = available(started) else {
            continue;
        };
        let db = database(&server, "stream_huge");
        let mut conn = db.conn();
        create(&mut conn, "t");
        exec(&mut conn, "CREATE TABLE elsewhere (id INT PRIMARY KEY, b LONGBLOB)");
        exec(&mut conn, "INSERT INTO elsewhere VALUES (1, REPEAT('z', 20000000))");
        let handle = postponed(alter(&db, "t", CLAUSE));
        // Events of 40 MB.
        exec(&mut conn, "UPDATE elsewhere SET b = REPEAT('a', 20000000)");
        exec(&mut conn, "UPDATE t SET big = REPEAT('b', 20000000) WHERE id = 3");
        exec(&mut conn, "UPDATE t SET big = REPEAT('c', 20000000) WHERE id = 3");
        exec(&mut conn, "UPDATE t SET v = 33 WHERE id = 4");
        exec(&mut conn, "FLUSH BINARY LOGS");
        exec(&mut conn, "UPDATE t SET v = 33 WHERE id = 5");
        finish(handle);
        same(&mut conn, COLUMNS);
    }
}

#[test]
fn checksums_switched_during_the_run() {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        let db = database(&server, "stream_checksums");
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(&db, "t", CLAUSE));
        for (i, setting) in ["NONE", "CRC32", "NONE"].into_iter().enumerate() {
            exec(&mut conn, &format!("SET GLOBAL binlog_checksum = {setting}"));
            exec(&mut conn, &format!("UPDATE t SET v = 70 WHERE id = {}", i + 1));
            std::thread::sleep(Duration::from_millis(100));
        }
        finish(handle);
        same(&mut conn, COLUMNS);
    }
}

#[test]
fn replicas_attached_meanwhile() {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        let Some(before) = available(Server::builder(flavor).replica_of(&server).start()) else {
            continue;
        };
        let db = database(&server, "stream_replicas");
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(&db, "t", CLAUSE));
        let Some(after) = available(Server::builder(flavor).replica_of(&server).start()) else {
            continue;
        };
        execs(&mut conn, &WRITES);
        let report = finish(handle);
        assert!(report.keys_changed >= 15);
        same(&mut conn, COLUMNS);
        for replica in [&before, &after] {
            server.wait_for_replica(replica).unwrap();
            let mut there = replica.conn();
            exec(&mut there, "USE stream_replicas");
            same(&mut there, COLUMNS);
            let sum = "SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', SUM(v), ' ', SUM(extra)) FROM t";
            let (here, there): (Option<String>, Option<String>) =
                (conn.query_first(sum).unwrap(), there.query_first(sum).unwrap());
            assert_eq!(here, there);
        }
    }
}
