//! What the binlog may hold, on real servers: what is followed, what stops a run, and what is
//! harmless.

mod definitions;
mod files;
mod gtids;
mod images;
mod statements;
mod transport;
mod xa;

use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Error, Handle, OnlineAlter, Phase, Postpone, Report};
use online_alter_support::{Database, Server, available, database};

use crate::harness::{FLAVORS, alter};

/// What all these runs do.
pub(crate) const CLAUSE: &str = "MODIFY v BIGINT NOT NULL, ADD COLUMN extra INT DEFAULT 7";

/// Runs the test on servers of its own: one that commits XA transactions which were prepared before
/// other tests' runs began, or that writes in statement format, would stop those.
pub(crate) fn on_own(name: &str, test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        test(&server, &database(&server, name));
    }
}

/// A table of 20 rows.
pub(crate) fn create(conn: &mut Conn, table: &str) {
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
pub(crate) fn exec(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(crate) fn execs(conn: &mut Conn, statements: &[&str]) {
    for sql in statements {
        exec(conn, sql);
    }
}

/// Starts a run and waits until it is in step with the table.
#[track_caller]
pub(crate) fn postponed(run: OnlineAlter) -> Handle {
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
pub(crate) fn finish(handle: Handle) -> Report {
    handle.cut_over();
    handle.join().unwrap_or_else(|error| panic!("{error}"))
}

/// Waits for the run to fail.
#[track_caller]
pub(crate) fn failure(handle: Handle) -> Error {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !handle.is_finished() {
        assert!(Instant::now() < deadline, "the run goes on: {}", handle.progress());
        std::thread::sleep(Duration::from_millis(10));
    }
    handle.join().unwrap_err()
}

/// The new table and the old one hold the same.
#[track_caller]
pub(crate) fn same(conn: &mut Conn, columns: &str) {
    let mut rows = |table: &str| -> Vec<String> {
        conn.query(format!("SELECT CONCAT_WS('|', {columns}) FROM {table} ORDER BY id")).unwrap()
    };
    let (new, old) = (rows("t"), rows("_t_del"));
    assert_eq!(new, old);
    assert!(!new.is_empty());
}

pub(crate) const COLUMNS: &str = "id, v, pad, doc, SHA2(big, 256)";

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
