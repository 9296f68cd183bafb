//! What a refresh keeps locked, what it must not displace, and what it costs under the lock.

use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Handle, OnlineAlter, Phase, Postpone, Step};
use online_alter_support::{Database, Flavor, Server, available, database};

use crate::harness::{FLAVORS, alter, on_each, wait_until};
use crate::invariants::waiting_for_rows;

/// Nothing but the comparison at the end judges.
fn postponed(db: &Database, clause: &str) -> OnlineAlter {
    alter(db, "t", clause).verify(false).postpone_cut_over(Postpone::until_released())
}

fn start(alter: OnlineAlter) -> Handle {
    let handle = alter.start().unwrap();
    wait_until("the copy is complete", || handle.progress().phase == Phase::Postponed);
    handle
}

/// Three columns; ids 1 and 300 are in the parts of two different workers.
fn table(conn: &mut Conn) {
    conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, UNIQUE KEY (v))")
        .unwrap();
    conn.query_drop("INSERT INTO t VALUES (1, 5), (2, 20), (300, 30)").unwrap();
}

/// A refresh that is held up at the ghost's row.
fn hold_up_a_refresh(db: &Database, conn: &mut Conn, change: &str) -> Conn {
    let mut holder = db.conn();
    holder.query_drop("BEGIN").unwrap();
    holder.query_drop("SELECT * FROM _t_gho WHERE id = 1 FOR UPDATE").unwrap();
    conn.query_drop(change).unwrap();
    wait_until("the refresh waits for the ghost's row", || {
        waiting_for_rows(conn, &[db.name(), "REPLACE"]) == 1
    });
    holder
}

/// However long it takes to write the ghost, the application has its rows.
/// Taken out: `put_seen_keys` in `Refresher::attempt` (`put_keys` reads with a lock).
#[test]
fn no_row_is_locked_while_the_ghost_is_written() {
    on_each("ref_no_lock", |_, db| {
        let mut conn = db.conn();
        table(&mut conn);
        let handle = start(postponed(db, "MODIFY v BIGINT NOT NULL"));
        let mut holder = hold_up_a_refresh(db, &mut conn, "UPDATE t SET v = 6 WHERE id = 1");
        conn.query_drop("BEGIN").unwrap();
        let free: Result<Option<i64>, _> =
            conn.query_first("SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT");
        assert_eq!(free.expect("the refresh keeps the row locked"), Some(6));
        conn.query_drop("UPDATE t SET v = 7 WHERE id = 1").unwrap();
        conn.query_drop("COMMIT").unwrap();
        holder.query_drop("ROLLBACK").unwrap();
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(rows(&mut conn, "t"), [(1, 7), (2, 20), (300, 30)]);
    });
}

/// A refresh waits for the row, whichever index it is found by: it may be about to become visible as
/// the binlog has it. By a secondary index, a share lock would be one of the index's entry.
/// Taken out: the lengths of the other columns in `TablePair::see_keys`.
#[test]
fn a_row_is_waited_for_by_any_key() {
    on_each("ref_secondary", |_, db| {
        let mut conn = db.conn();
        for key in ["id INT NOT NULL PRIMARY KEY", "id INT NOT NULL UNIQUE, f DOUBLE PRIMARY KEY"] {
            conn.query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            let f = if key.contains("DOUBLE") { "" } else { ", f DOUBLE" };
            conn.query_drop(format!("CREATE TABLE t ({key}{f}, v INT NOT NULL)")).unwrap();
            conn.query_drop("INSERT INTO t (id, f, v) VALUES (1, 0.5, 1), (2, 1.5, 2)").unwrap();
            let handle = start(postponed(db, "MODIFY v BIGINT NOT NULL"));
            handle.pause();
            conn.query_drop("UPDATE t SET v = 10 WHERE id = 1").unwrap();
            wait_until("the change is pending", || handle.progress().keys_pending == 1);
            let mut writer = db.conn();
            writer.query_drop("BEGIN").unwrap();
            writer.query_drop("UPDATE t SET v = 11 WHERE f = 0.5").unwrap();
            handle.resume();
            // It is refreshed at once if nothing keeps it from that.
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(handle.progress().keys_refreshed, 0, "{key}: it did not wait");
            writer.query_drop("COMMIT").unwrap();
            wait_until("the change is refreshed", || handle.progress().keys_refreshed > 0);
            handle.cut_over();
            handle.join().unwrap();
            assert_eq!(rows(&mut conn, "t"), [(1, 11), (2, 2)], "{key}");
        }
    });
}

/// A refresh that is slow to write the old row it has read must not displace the newer row of another
/// one, which has the same value in a unique key by now and is not pending any more.
/// Taken out: `one_by_one` in `Refresher::new`.
#[test]
fn a_slow_refresh_displaces_no_row() {
    on_each("ref_one_by_one", |_, db| {
        let mut conn = db.conn();
        table(&mut conn);
        let handle = start(postponed(db, "MODIFY v BIGINT NOT NULL").refresh_workers(2));
        let mut holder = hold_up_a_refresh(db, &mut conn, "UPDATE t SET v = 1 WHERE id = 1");
        // It has read v = 1, which is another row's now.
        conn.query_drop("UPDATE t SET v = 3 WHERE id = 1").unwrap();
        conn.query_drop("UPDATE t SET v = 1 WHERE id = 300").unwrap();
        wait_until("both changes are read", || handle.progress().keys_changed >= 3);
        // The other worker refreshes it at once, if nothing keeps it from that.
        let end = Instant::now() + Duration::from_millis(400);
        while handle.progress().keys_refreshed == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        holder.query_drop("ROLLBACK").unwrap();
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(rows(&mut conn, "t"), [(1, 3), (2, 20), (300, 1)], "a row was displaced");
    });
}

fn rows(conn: &mut Conn, table: &str) -> Vec<(i64, i64)> {
    conn.query(format!("SELECT id, v FROM {table} ORDER BY id")).unwrap()
}

/// What is sent to the server while writers are blocked, counted by its general log: each statement is
/// a round trip that they wait for.
#[test]
fn few_round_trips_under_the_lock() {
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else { return };
        let db = database(&server, "ref_round_trips");
        let mut conn = db.conn();
        table(&mut conn);
        conn.query_drop("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON").unwrap();
        let mut writer = db.conn();
        // No heartbeat of its own in between; something to refresh under the lock.
        let writes = std::sync::Mutex::new(move || {
            writer.query_drop("UPDATE t SET v = 100 WHERE id = 2").unwrap();
        });
        let handle = postponed(&db, "MODIFY v BIGINT NOT NULL")
            .heartbeat_interval(Duration::from_secs(3600))
            .on_step(move |step, _| {
                if step == Step::BeforeLock {
                    (writes.lock().unwrap())();
                }
            });
        let handle = start(handle);
        handle.cut_over();
        handle.join().unwrap();
        let statements: Vec<String> = conn
            .query(
                "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = \
                 'Query' ORDER BY event_time",
            )
            .unwrap();
        let locked = statements
            .iter()
            .position(|sql| sql.starts_with("LOCK TABLES") && sql.contains("`t` "))
            .unwrap();
        let behind = &statements[locked + 1..];
        // MariaDB locks the ghost for a moment, too.
        let unlocked = behind.iter().rposition(|sql| sql == "UNLOCK TABLES").unwrap();
        let under = &behind[..=unlocked];
        assert!(under.iter().any(|sql| sql.starts_with("RENAME")), "{under:#?}");
        assert!(under.iter().any(|sql| sql.starts_with("REPLACE")), "{under:#?}");
        // The two questions that are asked again and again until the answer is yes count once each.
        let asks = |sql: &&String| sql.starts_with("SELECT STATE") || sql.contains(" 1 FROM ");
        let asked = under.iter().filter(asks).count();
        let trips = under.len() - asked;
        eprintln!("{flavor}: {trips} statements under the lock, and {asked} questions");
        // Marker, three of the refresh, whether the run has its lock still, two definitions, COMMIT, RENAME, UNLOCK; on MariaDB the ghost's lock
        // and unlock, DROP of the sentry, a look at who else waits.
        let most = if flavor == Flavor::Mysql { 10 } else { 14 };
        assert!(trips <= most, "{under:#?}");
        assert_eq!(rows(&mut conn, "t"), [(1, 5), (2, 100), (300, 30)]);
    }
}
