//! The writers while they run, and the table that they are given.

use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;

use super::{csm_table, run, simple_table};
use crate::{Flavor, Server, Workload, Writers, available, check, csm, database, shared};

#[test]
fn keeps_to_its_rate() {
    let Some(server) = shared(Flavor::Mysql) else {
        return;
    };
    let db = database(server, "rate");
    let table = simple_table(&db, 100);
    let workload = Workload { rate: Some(100.0), ..Workload::new(table) };
    let outcome = run(&db, workload, Duration::from_secs(2));
    assert!((100..=230).contains(&outcome.acknowledged), "{}", outcome.acknowledged);
}

#[test]
fn survives_killed_connections_and_a_crash() {
    for flavor in Flavor::ALL {
        let Some(server) = available(Server::builder(flavor).durable().start()) else {
            continue;
        };
        let db = database(&server, "killed");
        let table = simple_table(&db, 1000);
        let workload = Workload { reconnect: true, ..Workload::new(table.clone()) };
        let writers = Writers::start(db.url(), workload).unwrap();
        let mut conn = server.conn();
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(50));
            let ids: Vec<u32> = conn
                .query("SELECT id FROM information_schema.processlist WHERE db = 'killed'")
                .unwrap();
            for id in ids {
                // It may be gone by itself.
                let _ = conn.query_drop(format!("KILL {id}"));
            }
        }
        server.kill().unwrap();
        server.restart().unwrap();
        let before = writers.statements();
        thread::sleep(Duration::from_millis(300));
        assert!(writers.statements() > before, "they did not reconnect");
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        assert!(outcome.disconnects > 0);
        println!("{flavor}: {} uncertain of {}", outcome.uncertain, outcome.acknowledged);
        check(&mut db.conn(), &table, &outcome).unwrap().assert_clean();
    }
}

#[test]
fn sees_waits_and_can_be_stopped_in_one() {
    for flavor in Flavor::ALL {
        let Some(server) = shared(flavor) else {
            continue;
        };
        let db = database(server, "waits");
        let table = simple_table(&db, 100);
        let writers = Writers::start(db.url(), Workload::new(table.clone())).unwrap();
        let mut locker = db.conn();
        thread::sleep(Duration::from_millis(100));
        let from = Instant::now();
        locker.query_drop("LOCK TABLES t READ").unwrap();
        thread::sleep(Duration::from_millis(400));
        locker.query_drop("UNLOCK TABLES").unwrap();
        let to = Instant::now();
        thread::sleep(Duration::from_millis(100));
        locker.query_drop("LOCK TABLES t READ").unwrap();
        thread::sleep(Duration::from_millis(50));
        let stopping = Instant::now();
        let outcome = writers.stop();
        assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
        locker.query_drop("UNLOCK TABLES").unwrap();
        assert!(outcome.max_wait_between(from, to) >= Duration::from_millis(300));
        assert!(outcome.max_wait_between(from, to) < Duration::from_secs(2));
        assert!(outcome.max_wait() >= Duration::from_secs(4));
        assert!(outcome.uncertain > 0 && !outcome.errors.is_empty(), "{:?}", outcome.errors);
        check(&mut db.conn(), &table, &outcome).unwrap().assert_clean();
    }
}

#[test]
fn the_table_is_filled_fast_and_always_alike() {
    for flavor in Flavor::ALL {
        let Some(server) = shared(flavor) else {
            continue;
        };
        let db = database(server, "filled");
        let mut conn = db.conn();
        for name in ["a", "b"] {
            csm::create_table(&mut conn, name).unwrap();
        }
        csm::fill(&mut conn, "a", 12_345).unwrap();
        csm::fill(&mut conn, "b", 2345).unwrap();
        csm::fill(&mut conn, "b", 10_000).unwrap();
        let rows: Vec<(u64, u64, u64, f64)> =
            conn.query("SELECT COUNT(*), MIN(id), MAX(id), AVG(LENGTH(state)) FROM a").unwrap();
        assert_eq!((rows[0].0, rows[0].1, rows[0].2), (12_345, 1, 12_345));
        assert!((300.0..600.0).contains(&rows[0].3), "{rows:?}");
        let sums: Vec<Vec<(String, u64)>> = ["a", "b"]
            .map(|name| conn.query(format!("CHECKSUM TABLE filled.{name}")).unwrap())
            .to_vec();
        assert_eq!(sums[0][0].1, sums[1][0].1);
    }
}

#[test]
#[ignore = "prints how long the benches' preparations take"]
fn measures() {
    for flavor in Flavor::ALL {
        let started = Instant::now();
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        let start = started.elapsed();
        let db = database(&server, "measured");
        let filling = Instant::now();
        let table = csm_table(&db, 200_000);
        let fill = filling.elapsed();
        let starting = Instant::now();
        let writers = Writers::start(db.url(), Workload::new(table.clone())).unwrap();
        let snapshot = starting.elapsed();
        thread::sleep(Duration::from_secs(3));
        let outcome = writers.stop();
        let checking = Instant::now();
        check(&mut db.conn(), &table, &outcome).unwrap().assert_clean();
        println!(
            "{flavor}: start {start:?}, 200k rows {fill:?}, snapshot {snapshot:?}, {} writes in 3 s, check {:?}",
            outcome.acknowledged,
            checking.elapsed()
        );
    }
}
