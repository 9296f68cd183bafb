//! Settings of the server that change during a run, and connections that are killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ErrorKind, OnlineAlter, Postpone, TableState};
use online_alter_support::{Database, Server};

use crate::harness::{alter, on_each, tables, wait_until};
use crate::stream::{
    CLAUSE, COLUMNS, create, exec, execs, failure, finish, on_own, postponed, same,
};

/// So many rows that a batch of them makes a long statement.
fn many_rows(conn: &mut Conn) {
    execs(
        conn,
        &[
            "DROP TABLE IF EXISTS t, _t_del",
            "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL)",
            "INSERT INTO t (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE \
             i < 1000) SELECT i FROM n",
            "INSERT INTO t (v) SELECT v + 1000 FROM t",
        ],
    );
}

#[test]
fn images_become_minimal() {
    on_own("global_image", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut conn, "SET GLOBAL binlog_row_image = 'MINIMAL'");
        // Of a session that is open, and of a new one.
        for conn in [&mut conn, &mut db.conn()] {
            execs(
                conn,
                &[
                    "UPDATE t SET v = v + 1 WHERE id BETWEEN 3 AND 8",
                    "UPDATE t SET id = id + 300 WHERE id IN (9, 309)",
                    "DELETE FROM t WHERE id IN (10, 11) ORDER BY id LIMIT 1",
                ],
            );
        }
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// Sessions that are opened from then on, the application's and ours.
#[test]
fn the_format_becomes_statement() {
    for format in ["STATEMENT", "MIXED"] {
        on_own("global_format", |_, db| {
            let mut conn = db.conn();
            create(&mut conn, "t");
            let handle = postponed(alter(db, "t", CLAUSE));
            exec(&mut conn, &format!("SET GLOBAL binlog_format = '{format}'"));
            exec(&mut db.conn(), "UPDATE t SET v = v + 1 WHERE id = 3");
            let error = failure(handle);
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
            assert!(error.message().contains("UPDATE t SET v"), "{error}");
            assert_eq!(tables(&mut conn), ["t"]);

            // Nobody writes in it but we.
            exec(&mut conn, "SET GLOBAL binlog_format = 'ROW'");
            let handle = postponed(alter(db, "t", CLAUSE).retries(3));
            exec(&mut conn, &format!("SET GLOBAL binlog_format = '{format}'"));
            exec(&mut conn, "SET SESSION binlog_format = 'ROW'");
            exec(&mut conn, "UPDATE t SET v = v + 1 WHERE id = 4");
            handle.cut_over();
            match handle.join() {
                Ok(_) => same(&mut conn, COLUMNS),
                Err(error) => {
                    eprintln!("{format}: {error}");
                    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
                    assert_eq!(tables(&mut conn), ["t"], "{error}");
                }
            }
        });
    }
}

/// The statements of a batch, of the sessions that are opened from then on, must be short.
#[test]
fn packets_become_small() {
    on_own("global_packet", |server, db| {
        let user = restricted(server, db).alter("MODIFY v BIGINT NOT NULL");
        let mut conn = db.conn();
        many_rows(&mut conn);
        let handle = postponed(user);
        handle.pause();
        exec(&mut conn, "SET GLOBAL max_allowed_packet = 4096");
        kill_users(&mut db.conn(), db);
        exec(&mut conn, "UPDATE t SET v = v + 5000");
        exec(&mut conn, "DELETE FROM t WHERE id % 7 = 0");
        handle.resume();
        finish(handle);
        same(&mut conn, "id, v");
    });
}

/// Again and again, all but the one whose loss ends a run.
#[test]
fn every_connection_is_killed() {
    on_each("kill_all", |server, db| {
        let user = restricted(server, db);
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(user);
        let mut killer = db.conn();
        for round in 1..=10 {
            exec(&mut conn, &format!("UPDATE t SET v = v + 1 WHERE id IN ({round}, 20)"));
            kill_users(&mut killer, db);
            exec(&mut conn, &format!("UPDATE t SET v = v + 1 WHERE id IN ({round}, 19)"));
        }
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

#[test]
fn the_connection_with_the_lock_is_killed() {
    on_each("kill_guard", |server, db| {
        let user = restricted(server, db);
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(user);
        let lock = format!("SELECT IS_USED_LOCK('online-alter:{}.t')", db.name());
        let guard: u32 = conn.query_first(lock).unwrap().unwrap();
        exec(&mut conn, &format!("KILL {guard}"));
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        // Somebody else may have begun, or may go on with them.
        assert_eq!(tables(&mut conn), ["_t_ghc", "_t_gho", "t"], "{error}");
        assert_eq!(error.leftovers().len(), 2, "{error}");
    });
}

/// A run as a user of its own, who may not do more than a run needs.
fn restricted(server: &Server, db: &Database) -> OnlineAlter {
    let (name, mut conn) = (db.name(), db.conn());
    for sql in [
        format!("DROP USER IF EXISTS {name}"),
        format!("CREATE USER {name} IDENTIFIED BY 'secret'"),
        format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {name}"),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, LOCK TABLES, TRIGGER ON \
             `{name}`.* TO {name}"
        ),
    ] {
        exec(&mut conn, &sql);
    }
    OnlineAlter::new(format!("mysql://{name}:secret@127.0.0.1:{}/{name}", server.port()), "t")
        .alter(CLAUSE)
        .on_mismatch(online_alter::OnMismatch::Stop)
        .heartbeat_interval(Duration::from_millis(50))
}

/// Kills the connections of the restricted user, but for the one with the run's lock.
fn kill_users(conn: &mut Conn, db: &Database) {
    let lock = format!("SELECT IS_USED_LOCK('online-alter:{}.t')", db.name());
    let guard: Option<u32> = conn.query_first(lock).unwrap().unwrap();
    // Those that were killed before come back when they are needed.
    wait_until("it has connections", || {
        let rows: Vec<Row> = conn.query("SHOW PROCESSLIST").unwrap();
        let mut killed = 0;
        for row in rows {
            let (id, user): (u32, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            if user == db.name() && Some(id) != guard {
                killed += u32::from(conn.query_drop(format!("KILL {id}")).is_ok());
            }
        }
        killed > 0
    });
}

/// For a while the server takes no writes but those of administrators, one of which writes on.
#[test]
fn the_server_becomes_read_only_for_a_while() {
    on_own("global_read_only", |server, db| {
        let user = restricted(server, db);
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(user);
        exec(&mut conn, "SET GLOBAL read_only = ON");
        exec(&mut conn, "UPDATE t SET v = v + 100 WHERE id < 10");
        exec(&mut conn, "DELETE FROM t WHERE id = 12");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!handle.is_finished());
        exec(&mut conn, "SET GLOBAL read_only = OFF");
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// A lock of the application on a row, for longer than anybody waits for one.
#[test]
fn nobody_waits_for_locks() {
    on_own("global_lock_wait", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        exec(&mut conn, "SET GLOBAL innodb_lock_wait_timeout = 1");
        exec(&mut conn, "SET GLOBAL lock_wait_timeout = 1");
        let mut holder = db.conn();
        let released = std::sync::Arc::new(AtomicBool::new(false));
        let waits = std::sync::Arc::clone(&released);
        let handle = alter(db, "t", CLAUSE)
            .postpone_cut_over(Postpone::while_true(move || !waits.load(Ordering::SeqCst)))
            .verify(false)
            .start()
            .unwrap();
        exec(&mut conn, "UPDATE t SET v = v + 100 WHERE id < 10");
        execs(&mut holder, &["BEGIN", "UPDATE t SET v = v + 100 WHERE id BETWEEN 5 AND 15"]);
        wait_until("it is postponed", || {
            handle.progress().phase == online_alter::Phase::Postponed || handle.is_finished()
        });
        std::thread::sleep(Duration::from_millis(2500));
        exec(&mut holder, "COMMIT");
        released.store(true, Ordering::SeqCst);
        handle.join().unwrap();
        same(&mut conn, COLUMNS);
    });
}
