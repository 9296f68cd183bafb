//! The event rules that no other test stands for: see the table in [`super`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql::Conn;
use online_alter::{ErrorKind, Step, TableState};
use online_alter_support::{Server, available, database};

use super::tap::Tap;
use crate::harness::{FLAVORS, alter, on_each, tables, wait_until};
use crate::stream::{CLAUSE, COLUMNS, create, exec, execs, failure, finish, postponed, same};

/// Rule 4. The definition is changed past the binlog, and what is written then does not fit.
#[test]
fn rows_of_another_shape() {
    on_each("rule_shape", |_, db| {
        for unlogged in ["ALTER TABLE t ADD COLUMN theirs INT", "ALTER TABLE t DROP COLUMN pad"] {
            let mut conn = db.conn();
            exec(&mut conn, "DROP TABLE IF EXISTS t");
            create(&mut conn, "t");
            let handle = postponed(alter(db, "t", CLAUSE));
            execs(&mut conn, &["SET sql_log_bin = 0", unlogged, "SET sql_log_bin = 1"]);
            exec(&mut conn, "UPDATE t SET v = 77 WHERE id = 3");
            let error = failure(handle);
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{unlogged}: {error}");
            assert_eq!(error.table_state(), TableState::Untouched, "{unlogged}: {error}");
            assert!(error.message().contains("columns now"), "{unlogged}: {error}");
        }
    });
}

/// Rule 4, of what a row event does not show: looked for under the lock.
#[test]
fn definitions_changed_past_the_binlog() {
    on_each("rule_definition", |_, db| {
        for unlogged in [
            "ALTER TABLE t MODIFY v BIGINT NOT NULL DEFAULT 4",
            "ALTER TABLE t RENAME COLUMN pad TO doc, RENAME COLUMN doc TO pad",
            "ALTER TABLE t ADD KEY (v)",
            "ALTER TABLE _t_gho ADD KEY (v)",
        ] {
            let mut conn = db.conn();
            exec(&mut conn, "DROP TABLE IF EXISTS t");
            create(&mut conn, "t");
            let url = db.url().to_owned();
            let error = alter(db, "t", CLAUSE)
                .on_step(move |step, _| {
                    if step == Step::BeforeLock {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        execs(&mut conn, &["SET sql_log_bin = 0", unlogged]);
                    }
                })
                .run()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{unlogged}: {error}");
            assert_eq!(error.table_state(), TableState::Untouched, "{unlogged}: {error}");
            assert_eq!(tables(&mut conn), ["t"], "{unlogged}: {error}");
        }
    });
}

/// Rule 6. A stream that breaks in the middle of a transaction reads it again from its beginning.
#[test]
fn a_stream_cut_within_a_transaction() {
    on_each("rule_position", |server, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        exec(&mut conn, "UPDATE t SET big = REPEAT('b', 200000)");
        let tap = Tap::start(server);
        let handle = postponed(tap.alter(server, db));
        tap.cut_after(3_000_000);
        // 8 MB, of an event for each row.
        exec(&mut conn, "UPDATE t SET big = REPEAT('c', 200000), v = v + 100");
        exec(&mut conn, "DELETE FROM t WHERE id = 3");
        wait_until("the stream is cut", || tap.cuts() == 1);
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// Rule 8. Nothing is swapped before the marker has come through that was written under the lock: what
/// was written before it may be on its way still.
#[test]
fn the_swap_waits_for_its_marker() {
    on_each("rule_marker", |server, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let tap = Arc::new(Tap::start(server));
        let (silent, done, url) = (Arc::clone(&tap), AtomicBool::new(false), db.url().to_owned());
        let report = tap
            .alter(server, db)
            .cut_over_lock_timeout(Duration::from_secs(20))
            .on_step(move |step, _| {
                if step == Step::BeforeLock && !done.swap(true, Ordering::SeqCst) {
                    silent.silence_all();
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    exec(&mut conn, "UPDATE t SET v = 777 WHERE id = 3");
                    exec(&mut conn, "DELETE FROM t WHERE id = 4");
                    let tap = Arc::clone(&silent);
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(700));
                        tap.speak();
                    });
                }
            })
            .run()
            .unwrap();
        same(&mut conn, COLUMNS);
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
    });
}

/// Rule 9. A stream that hears nothing, not even heartbeats, is made anew.
#[test]
fn a_stream_that_falls_silent() {
    on_each("rule_silence", |server, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let tap = Tap::start(server);
        let handle = postponed(tap.alter(server, db));
        let before = handle.progress().keys_changed;
        tap.silence_present();
        exec(&mut conn, "UPDATE t SET v = 777 WHERE id = 3");
        let begun = Instant::now();
        let came = || handle.progress().keys_changed > before;
        // It takes ten seconds where nothing else keeps the machine busy.
        while !came() && begun.elapsed() < Duration::from_secs(90) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let came = came();
        // A stream that waits for ever would keep the run, and the test, from ending.
        tap.speak();
        assert!(came, "the stream was not made anew");
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// Rule 9. Behind the address is another server by then.
#[test]
fn a_stream_that_is_led_to_another_server() {
    for flavor in FLAVORS {
        let (Some(server), Some(other)) =
            (available(Server::start(flavor)), available(Server::start(flavor)))
        else {
            continue;
        };
        let (db, _there) = (database(&server, "rule_identity"), database(&other, "rule_identity"));
        let mut conn = db.conn();
        create(&mut conn, "t");
        let tap = Tap::start(&server);
        let handle = postponed(tap.alter(&server, &db));
        tap.lead_to(&other);
        tap.cut_after(0);
        let error = failure(handle);
        assert!(error.message().contains("another server"), "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    }
}
