//! Changes that are still to be carried over are no differences; writes past the binlog are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, ErrorKind, OnMismatch, Postpone, Step, TableState};

use super::{verification, whole};
use crate::harness::{alter, on_each, wait_until};

/// Keeps writing to a table until it is told to stop.
fn writing(url: &str, statements: &[&str]) -> impl FnOnce() -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, url) = (Arc::clone(&stop), url.to_owned());
    let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
    let thread = std::thread::spawn(move || {
        let mut conn = Conn::new(url.as_str()).unwrap();
        let mut rounds = 0;
        while !stopped.load(Ordering::SeqCst) {
            for statement in &statements {
                match conn.query_drop(statement) {
                    // Two writers may meet.
                    Err(mysql::Error::MySqlError(error)) if [1062, 1213].contains(&error.code) => {}
                    other => other.unwrap(),
                }
            }
            rounds += 1;
        }
        rounds
    });
    move || {
        stop.store(true, Ordering::SeqCst);
        thread.join().unwrap()
    }
}

/// With `Stop`, any change that is mistaken for a difference fails the run. The rows of few keys change
/// all the time, so that they are caught in every state, and many passes are made.
fn nothing_is_mistaken(name: &str, key: &str, values: &[&str]) {
    on_each(name, |_, db| {
        let mut conn = db.conn();
        conn.query_drop(format!("CREATE TABLE t (id {key} NOT NULL PRIMARY KEY, v INT NOT NULL)"))
            .unwrap();
        for value in values {
            conn.query_drop(format!("INSERT INTO t VALUES ({value}, 1)")).unwrap();
        }
        let statements: Vec<String> = values
            .iter()
            .enumerate()
            .flat_map(|(i, value)| match i % 3 {
                0 => vec![format!("UPDATE t SET v = v + 1 WHERE id = {value}")],
                1 => vec![
                    format!("DELETE FROM t WHERE id = {value}"),
                    format!("INSERT INTO t VALUES ({value}, 1)"),
                ],
                _ => vec![format!("REPLACE INTO t VALUES ({value}, 2)")],
            })
            .collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let writers: Vec<_> = (0..2).map(|_| writing(db.url(), &statements)).collect();
        for _ in 0..3 {
            let report = alter(db, "t", "MODIFY v BIGINT NOT NULL")
                .chunk_size(ChunkSize::Rows(3))
                .old_table(online_alter::OldTable::Drop)
                .on_mismatch(OnMismatch::Stop)
                .run()
                .unwrap();
            assert_eq!(verification(&report), (0, 1), "{report}");
        }
        for stop in writers {
            assert!(stop() > 0);
        }
    });
}

#[test]
fn changing_rows_of_integer_keys() {
    nothing_is_mistaken("busy_int", "INT", &["-1", "0", "1", "2", "3", "4", "5"]);
}

#[test]
fn changing_rows_of_text_keys() {
    let values = ["'a'", "'B'", "'c '", "_utf8mb4 X'C3A9'", "'d'", "''"];
    nothing_is_mistaken("busy_text", "VARCHAR(20)", &values);
}

#[test]
fn changing_rows_of_keys_of_other_types() {
    nothing_is_mistaken("busy_decimal", "DECIMAL(10,3)", &["-1.5", "0", "0.001", "7", "8", "9"]);
    let times = ["'2024-01-01 00:00:00.5'", "'2024-01-02'", "'1000-01-01'", "'2030-01-01'"];
    nothing_is_mistaken("busy_datetime", "DATETIME(3)", &times);
    nothing_is_mistaken("busy_binary", "BINARY(3)", &["X'00'", "X'6100'", "X'62'", "X'FF'"]);
}

/// Three keys of one row, which change in turn.
#[test]
fn changing_keys() {
    on_each("changing_keys", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id VARCHAR(20) NOT NULL PRIMARY KEY, v INT NOT NULL)")
            .unwrap();
        conn.query_drop("INSERT INTO t VALUES ('a', 1), ('b', 1)").unwrap();
        let stop = writing(
            db.url(),
            &[
                "UPDATE t SET id = 'A' WHERE id = 'a'",
                "UPDATE t SET id = 'c' WHERE id = 'a'",
                "UPDATE t SET id = 'a', v = v + 1 WHERE id = 'c'",
            ],
        );
        for _ in 0..3 {
            let report = alter(db, "t", "MODIFY v BIGINT NOT NULL")
                .old_table(online_alter::OldTable::Drop)
                .on_mismatch(OnMismatch::Stop)
                .run()
                .unwrap();
            assert_eq!(verification(&report).0, 0);
        }
        assert!(stop() > 0);
    });
}

#[test]
fn writes_past_the_binlog_are_seen() {
    on_each("past_the_binlog", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").unwrap();
        let run = |on_mismatch| {
            let url = db.url().to_owned();
            alter(db, "t", "MODIFY v BIGINT NOT NULL")
                .on_mismatch(on_mismatch)
                .on_step(move |step, _| {
                    if step == Step::CopyDone {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        conn.query_drop("SET sql_log_bin = 0").unwrap();
                        conn.query_drop("UPDATE t SET v = v + 10 WHERE id = 2").unwrap();
                        conn.query_drop("DELETE FROM t WHERE id = 3").unwrap();
                        conn.query_drop("INSERT INTO t VALUES (4, 4)").unwrap();
                        conn.query_drop("UPDATE t SET id = 3 WHERE id = 4").unwrap();
                        conn.query_drop("INSERT INTO t SELECT MAX(id) + 1, 4 FROM t AS m").unwrap();
                    }
                })
                .run()
        };
        let error = run(OnMismatch::Stop).unwrap_err();
        assert_eq!(
            (error.kind(), error.table_state()),
            (ErrorKind::RowsDiffer, TableState::Untouched)
        );
        let keys: Vec<&str> = error.differences().iter().map(|d| d.key.as_str()).collect();
        assert_eq!(keys, ["(2)", "(3)", "(4)"], "{error}");

        conn.query_drop("DELETE FROM t").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").unwrap();
        let report = run(OnMismatch::Repair).unwrap();
        assert_eq!(verification(&report), (3, 2), "{report}");
        assert_eq!(whole(&mut conn, "t").len(), 4);
        let rows: Vec<(i32, i32)> = conn.query("SELECT id, v FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(1, 1), (2, 12), (3, 4), (4, 4)]);
    });
}

#[test]
fn while_postponed_rows_are_compared_again() {
    on_each("compared_again", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        let (connections, url) = (Arc::new(Mutex::new(Vec::new())), db.url().to_owned());
        let (count, mut counter) = (Arc::clone(&connections), db.conn());
        let handle = alter(db, "t", "MODIFY v BIGINT NOT NULL")
            .on_mismatch(OnMismatch::Repair)
            .postpone_cut_over(Postpone::until_released())
            .observer(move |event: &online_alter::Event| {
                if matches!(event, online_alter::Event::Verified { repaired: 1, .. }) {
                    // Those that the run has written down.
                    let sql = "SELECT COUNT(*) FROM _t_ghc WHERE id >= 1 << 32";
                    let made: Option<u64> = counter.query_first(sql).unwrap();
                    count.lock().unwrap().push(made);
                }
            })
            .on_step(move |step, _| {
                if step == Step::Verified {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    conn.query_drop("SET sql_log_bin = 0").unwrap();
                    conn.query_drop("UPDATE t SET v = 20 WHERE id = 2").unwrap();
                }
            })
            .start()
            .unwrap();
        wait_until("it is found, and all compared again", || {
            connections.lock().unwrap().len() >= 2
        });
        // A pass makes none anew.
        let connections = connections.lock().unwrap().clone();
        assert_eq!(connections[0], connections[1]);
        handle.cut_over();
        let report = handle.join().unwrap();
        assert_eq!(verification(&report).0, 1, "{report}");
        let rows: Vec<(i32, i32)> = conn.query("SELECT id, v FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(1, 1), (2, 20)]);
    });
}

#[test]
fn without_verification_the_difference_stays() {
    on_each("unverified", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        let url = db.url().to_owned();
        let report = alter(db, "t", "MODIFY v BIGINT NOT NULL")
            .verify(false)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    conn.query_drop("SET sql_log_bin = 0").unwrap();
                    conn.query_drop("UPDATE t SET v = 20 WHERE id = 2").unwrap();
                }
            })
            .run()
            .unwrap();
        assert!(report.verification.is_none());
        let rows: Vec<(i32, i32)> = conn.query("SELECT id, v FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(1, 1), (2, 2)]);
    });
}
