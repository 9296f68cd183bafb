//! Peers that take a connection and say nothing: a server that is stopped, a proxy that has none behind it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, ErrorKind, Leftover, OnlineAlter, TableState};
use online_alter_support::Database;

use crate::harness::{alter_at, on_each, wait_until};
use crate::proxy::{Lose, Proxy};

/// The whole way to a session takes twice as long at most.
const LIMIT: &str = "tcp_connect_timeout_ms=500";

#[test]
fn a_plan_does_not_wait_for_them() {
    // The system takes connections for it, up to a number.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("mysql://root:secret@127.0.0.1:{port}/test?{LIMIT}");
    let began = Instant::now();
    let error = alter_at(url, "t", "ADD c INT").plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    let text = error.to_string();
    assert!(text.contains("within 1 s") && text.contains("does not answer"), "{text}");
    assert!(text.contains(&port.to_string()) && !text.contains("secret"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Whether a run waits for one is for throttling to say.
#[test]
fn a_plan_does_not_wait_long_for_a_control_replica() {
    on_each("silence_replica", |_, db| {
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let replica = format!("mysql://root:secret@127.0.0.1:{port}");
        let alter = alter_at(db.url(), "t", "ADD c INT");
        let began = Instant::now();
        let alter = alter.limits(|limits| limits.control_replicas = vec![replica.into()]);
        assert!(alter.plan().is_ok());
        // It is tried twice.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
}

/// A run whose copy loses its connection, and finds no other.
fn left_alone(db: &Database, proxy: &Proxy) -> OnlineAlter {
    let mut conn = db.conn();
    conn.query_drop("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)").unwrap();
    conn.query_drop("REPLACE INTO t VALUES (1), (2), (3)").unwrap();
    conn.query_drop("DROP TABLE IF EXISTS _t_gho, _t_ghc").unwrap();
    let url = format!("mysql://root:secret@127.0.0.1:{}/{}?{LIMIT}", proxy.port(), db.name());
    alter_at(url, "t", "ADD c INT").chunk_size(ChunkSize::Rows(50)).copy_workers(1)
}

#[test]
fn a_run_ends_by_itself_and_when_told() {
    const CHUNK: &str = "INTO `silence`.`_t_gho`";
    on_each("silence", |server, db| {
        let proxy = Proxy::start(server.port(), CHUNK, Lose::Voice, 1);
        let handle = left_alone(db, &proxy).retries(2).start().unwrap();
        wait_until("it has ended", || handle.is_finished());
        let error = handle.join().map(|report| report.to_string()).unwrap_err();
        assert_eq!(proxy.lost(), 1);
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert!(error.to_string().contains("does not answer"), "{error}");
        let is_table = |left: &&Leftover| matches!(left, Leftover::Table(_));
        assert_eq!(error.leftovers().iter().filter(is_table).count(), 2, "{error}");
        // It could not be looked whether it is there still.
        assert!(error.leftovers().len() > 2, "{error}");

        let proxy = Proxy::start(server.port(), CHUNK, Lose::Voice, 1);
        let handle = left_alone(db, &proxy).retries(1_000).start().unwrap();
        wait_until("it is alone", || proxy.lost() == 1);
        handle.abort();
        wait_until("it has ended", || handle.is_finished());
        let error = handle.join().map(|report| report.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
    });
}
