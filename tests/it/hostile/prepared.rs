//! XA transactions whose client is gone, and across the phases of a run.

use std::sync::Arc;
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Event, Step};
use online_alter_support::Database;
use parking_lot::Mutex;

use super::twins::same_as_twin;
use crate::harness::{alter, connection_is_gone, wait_until};
use crate::stream::{CLAUSE, create, exec, execs, failure, finish, on_own, postponed};

/// Changes of ten rows, one of each kind, around this id.
fn changes(table: &str, id: u32) -> Vec<String> {
    vec![
        format!("UPDATE {table} SET v = v + 500, pad = 'xa' WHERE id = {id}"),
        format!("DELETE FROM {table} WHERE id = {}", id + 1),
        format!("UPDATE {table} SET id = {} WHERE id = {}", id + 500, id + 2),
        format!("INSERT INTO {table} (id, v) VALUES ({}, 5)", id + 700),
    ]
}

/// Prepares the changes in an XA transaction and hangs up.
fn prepare(db: &Database, xid: &str, id: u32) {
    let mut conn = db.conn();
    exec(&mut conn, &format!("XA START '{xid}'"));
    for change in changes("t", id) {
        exec(&mut conn, &change);
    }
    exec(&mut conn, &format!("XA END '{xid}'"));
    exec(&mut conn, &format!("XA PREPARE '{xid}'"));
    let gone = conn.connection_id();
    drop(conn);
    let mut conn = db.conn();
    wait_until("the client is gone", || connection_is_gone(&mut conn, gone));
}

fn twins(conn: &mut Conn) {
    create(conn, "t");
    create(conn, "expect");
}

/// As the twin would be if its changes had been made at once.
#[track_caller]
fn judge(conn: &mut Conn, committed: &[u32]) {
    for id in committed {
        for change in changes("expect", *id) {
            exec(conn, &change);
        }
    }
    exec(conn, &format!("ALTER TABLE expect {CLAUSE}"));
    // Nothing was put into it that counted.
    exec(conn, "ALTER TABLE expect AUTO_INCREMENT = 5000");
    exec(conn, "ALTER TABLE t AUTO_INCREMENT = 5000");
    same_as_twin(conn);
}

/// Prepared when the copy begins, by clients that hang up; ended by others, when it is postponed.
#[test]
fn prepared_during_the_copy_and_ended_later() {
    on_own("xa_phases", |_, db| {
        let mut conn = db.conn();
        twins(&mut conn);
        let url = db.clone();
        let handle = postponed(
            alter(db, "t", CLAUSE)
                .on_step(move |step, _| {
                    if step == Step::FencePassed {
                        prepare(&url, "one", 1);
                        prepare(&url, "two", 5);
                    }
                })
                .verify(false),
        );
        exec(&mut conn, "XA COMMIT 'one'");
        exec(&mut conn, "XA ROLLBACK 'two'");
        finish(handle);
        judge(&mut conn, &[1]);
    });
}

/// An XA transaction that is prepared when the swap is about to be made is waited for: its rows are in
/// the old table.
#[test]
fn prepared_at_the_cut_over() {
    on_own("xa_cut_over", |_, db| {
        for rolled_back in [false, true] {
            let mut conn = db.conn();
            exec(&mut conn, "DROP TABLE IF EXISTS t, expect, _t_del");
            twins(&mut conn);
            let (database, ending) = (db.clone(), Mutex::new(db.conn()));
            let attempts = Arc::new(Mutex::new(Vec::new()));
            let (seen, prepared) = (Arc::clone(&attempts), Mutex::new(false));
            let report = alter(db, "t", CLAUSE)
                .cut_over_lock_timeout(Duration::from_secs(1))
                .on_step(move |step, _| {
                    let mut prepared = prepared.lock();
                    if step == Step::BeforeLock && !*prepared {
                        prepare(&database, "late", 1);
                        *prepared = true;
                    }
                })
                .observer(move |event: &Event| {
                    if let Event::CutOverFailed { attempt, .. } = event {
                        seen.lock().push(*attempt);
                        if *attempt == 2 {
                            let end = if rolled_back { "ROLLBACK" } else { "COMMIT" };
                            exec(&mut ending.lock(), &format!("XA {end} 'late'"));
                        }
                    }
                })
                .run();
            let waiting: Vec<mysql::Row> = conn.query("XA RECOVER").unwrap();
            if !waiting.is_empty() {
                exec(&mut conn, "XA COMMIT 'late'");
            }
            let report = report.unwrap();
            assert!(waiting.is_empty(), "swapped while it was prepared: {report}");
            assert_eq!(*attempts.lock(), [1, 2], "{report}");
            judge(&mut conn, if rolled_back { &[] } else { &[1] });
        }
    });
}

/// What was prepared before the run and is rolled back is none of its business; what is committed stops
/// it, in whatever phase.
#[test]
fn prepared_before_the_run() {
    on_own("xa_before", |_, db| {
        let mut conn = db.conn();
        twins(&mut conn);
        prepare(db, "old", 1);
        let handle = postponed(alter(db, "t", CLAUSE).verify(false));
        exec(&mut conn, "XA ROLLBACK 'old'");
        finish(handle);
        judge(&mut conn, &[]);

        execs(&mut conn, &["DROP TABLE t, expect, _t_del"]);
        twins(&mut conn);
        prepare(db, "old", 1);
        let handle = postponed(alter(db, "t", CLAUSE).verify(false));
        exec(&mut conn, "XA COMMIT 'old'");
        let error = failure(handle);
        assert_eq!(error.kind(), online_alter::ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("XA COMMIT"), "{error}");
        let rows: Vec<i64> = conn.query("SELECT v FROM t WHERE id = 1").unwrap();
        assert_eq!(rows, [501]);
    });
}

/// After a restart nothing but the rows' locks is left of an XA transaction that was prepared. The swap
/// must not happen meanwhile: what it changes is in the old table.
#[test]
fn prepared_before_a_restart() {
    on_own("xa_restart", |server, db| {
        let mut conn = db.conn();
        twins(&mut conn);
        prepare(db, "old", 1);
        server.restart().unwrap();
        let mut conn = db.conn();
        let report = alter(db, "t", CLAUSE)
            .verify(false)
            .retries(3)
            .cut_over_lock_timeout(Duration::from_secs(1))
            .run();
        let waiting: Vec<mysql::Row> = conn.query("XA RECOVER").unwrap();
        assert!(!waiting.is_empty());
        exec(&mut conn, "XA COMMIT 'old'");
        let error = report.unwrap_err();
        assert_eq!(error.kind(), online_alter::ErrorKind::CutOver, "{error}");
        let rows: Vec<i64> = conn.query("SELECT v FROM t WHERE id = 1").unwrap();
        assert_eq!(rows, [501]);
    });
}
