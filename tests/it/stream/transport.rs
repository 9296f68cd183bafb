//! The stream itself: changing files, kills, huge events, checksums, and replicas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, OnlineAlter, Postpone};
use online_alter_support::{Server, Table, Workload, Writers, available, check, csm, database};

use super::{CLAUSE, COLUMNS, WRITES, create, exec, execs, finish, postponed, same};
use crate::harness::{FLAVORS, alter, on_each};

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
        let Some(server) = available(Server::start(flavor)) else { continue };
        killed_under_writers(&server, |run| run);
    }
}

/// What the run does under writers, while its stream is killed again and again.
pub(super) fn killed_under_writers(server: &Server, run: impl Fn(OnlineAlter) -> OnlineAlter) {
    let db = database(server, "stream_killed");
    let mut conn = db.conn();
    csm::create_table(&mut conn, csm::TABLE).unwrap();
    csm::fill(&mut conn, csm::TABLE, 3_000).unwrap();
    let mut workload = Workload::new(Table::csm(csm::TABLE));
    workload.rate = Some(400.0);
    let writers = Writers::start(db.url(), workload).unwrap();
    let alter = alter(&db, csm::TABLE, "CHANGE id id BIGINT NOT NULL AUTO_INCREMENT");
    let handle = postponed(run(alter.chunk_size(ChunkSize::Rows(50))));
    let mut kills = 0;
    let mut query = false;
    // A busy machine may need longer for as many.
    let began = Instant::now();
    let enough = |kills: u32| kills > 10 && began.elapsed() > Duration::from_secs(4);
    while !enough(kills) && began.elapsed() < Duration::from_secs(60) {
        // MySQL's information_schema cannot show the emoji in what the writers write.
        let ids: Vec<u32> = conn
            .query(if server.flavor().is_mariadb() {
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
    eprintln!("{}: {kills} kills, {} writes", server.flavor(), outcome.acknowledged);
    assert!(kills > 10);
    assert_eq!(outcome.errors, Vec::<String>::new());
    check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
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
