//! Who keeps the table from being locked: he is named, and ended only when told.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Blocker, ErrorKind, Event, KillBlockers, OnlineAlter};
use online_alter_support::{Database, Flavor};

use crate::harness::{alter, connection_is_gone, on, on_each, tables, wait_until};

/// A table, and a transaction that has read it.
fn read_by_somebody(db: &Database) -> (Conn, Conn) {
    let mut conn = db.conn();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)").unwrap();
    conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
    let mut reader = db.conn();
    reader.query_drop("START TRANSACTION").unwrap();
    reader.query_drop("SELECT * FROM t").unwrap();
    (conn, reader)
}

fn with_events(db: &Database) -> (OnlineAlter, Receiver<Event>) {
    let (tell, events) = unbounded();
    let alter = alter(db, "t", "ADD c INT").observer(tell);
    (alter.cut_over_lock_timeout(Duration::from_secs(1)), events)
}

#[track_caller]
fn blockers(events: &Receiver<Event>) -> Vec<Blocker> {
    loop {
        let event = events.recv_timeout(Duration::from_secs(60)).expect("no attempt has failed");
        if let Event::CutOverFailed { blockers, .. } = event {
            return blockers;
        }
    }
}

#[test]
fn they_are_named() {
    on_each("blockers_named", |_, db| {
        let (mut conn, reader) = read_by_somebody(db);
        let (alter, events) = with_events(db);
        let handle = alter.start().unwrap();
        let found = blockers(&events);
        let blocker = found.iter().find(|blocker| blocker.connection == reader.connection_id());
        let blocker = blocker.unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!(blocker.user, "root");
        assert!(blocker.to_string().contains("of root@"), "{blocker}");
        drop(reader);
        handle.join().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
}

#[test]
fn they_are_in_the_error_of_a_run_that_gives_up() {
    on_each("blockers_error", |_, db| {
        let (mut conn, reader) = read_by_somebody(db);
        let (alter, _events) = with_events(db);
        let error = alter.retries(1).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CutOver);
        assert!(error.message().contains("maybe because of connection "), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
        drop(reader);
    });
}

#[test]
fn they_are_ended_when_told_and_no_more_than_told() {
    on(Flavor::Mysql, "blockers_killed", |_, db| {
        let (mut conn, reader) = read_by_somebody(db);
        let may = |after_attempts, older_than, at_most| KillBlockers {
            after_attempts,
            older_than: Duration::from_secs(older_than),
            at_most,
        };
        for kept in [may(2, 0, 1), may(1, 3600, 1), may(1, 0, 0)] {
            let (alter, _events) = with_events(db);
            alter.retries(1).kill_blockers(kept).run().unwrap_err();
            assert!(!connection_is_gone(&mut conn, reader.connection_id()), "{kept:?}");
        }
        let (alter, events) = with_events(db);
        let handle = alter.kill_blockers(may(1, 0, 1)).start().unwrap();
        assert!(!blockers(&events).is_empty());
        wait_until("it is ended", || connection_is_gone(&mut conn, reader.connection_id()));
        handle.join().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
    on(Flavor::MariaDb, "blockers_unknown", |_, db| {
        let (alter, _events) = with_events(db);
        let error = alter.kill_blockers(KillBlockers::default()).plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTable);
        let (_conn, _reader) = read_by_somebody(db);
        let (alter, _events) = with_events(db);
        let error = alter.kill_blockers(KillBlockers::default()).plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    });
}
