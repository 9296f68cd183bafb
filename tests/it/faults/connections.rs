//! A server that has no connection left for a while, in the words that there are for it.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Step, TableState};
use online_alter_support::{Flavor, Server};

use super::{create, exec, held_at, on_own};
use crate::harness::{tables, wait_until};

fn status(conn: &mut Conn, server: &Server, name: &str) -> u64 {
    let from = match server.flavor() {
        Flavor::Mysql => "performance_schema.global_status",
        _ => "information_schema.GLOBAL_STATUS",
    };
    let sql = format!("SELECT VARIABLE_VALUE FROM {from} WHERE VARIABLE_NAME = '{name}'");
    conn.query_first(sql).unwrap().unwrap()
}

/// Connections that were asked for.
fn asked(conn: &mut Conn, server: &Server) -> u64 {
    status(conn, server, "Connections") + status(conn, server, "Connection_errors_max_connections")
}

/// What allows only those that are there, and what allows more again.
fn ways(conn: &mut Conn, server: &Server, user: &str) -> Vec<(u16, String, String)> {
    let now = status(conn, server, "Threads_connected").max(10);
    vec![
        (
            1040,
            format!("SET GLOBAL max_connections = {now}"),
            "SET GLOBAL max_connections = 300".to_owned(),
        ),
        (
            1203,
            "SET GLOBAL max_user_connections = 1".to_owned(),
            "SET GLOBAL max_user_connections = 250".to_owned(),
        ),
        (
            1226,
            format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 1"),
            format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 100"),
        ),
    ]
}

/// Of a user's own limit, servers count the connections that came after there was one. It comes before everybody's.
fn limited(conn: &mut Conn, user: &str) {
    exec(conn, &format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 100"));
}

/// From steps on behind which the run makes connections, there are none until it has been refused three times.
#[test]
fn none_for_a_while() {
    on_own("fault_connections", &["--max-user-connections=250"], |server, db| {
        for way in 0..3 {
            for step in [Step::FencePassed, Step::IndexesBuilt] {
                exec(&mut db.conn(), "DROP TABLE IF EXISTS t, _t_del");
                let (mut conn, run) = create(server, db);
                if way == 2 {
                    limited(&mut conn, db.name());
                }
                let mut idle: Vec<Conn> = (0..3).map(|_| db.conn()).collect();
                let held = held_at(run, step);
                let (code, close, open) = ways(&mut conn, server, db.name()).swap_remove(way);
                eprintln!("{code} at {step:?}");
                exec(&mut conn, &close);
                let before = asked(&mut conn, server);
                held.go.send(()).unwrap();
                wait_until("it was refused three times", || {
                    assert!(!held.handle.is_finished(), "the run has ended");
                    asked(&mut conn, server) >= before + 3
                });
                exec(&mut conn, &open);
                held.finish(&mut conn);
                idle.clear();
            }
        }
    });
}

/// There are none any more. The run says so, how often it has tried, and what it leaves.
#[test]
fn none_any_more() {
    on_own("fault_no_connection", &[], |server, db| {
        let (mut conn, run) = create(server, db);
        limited(&mut conn, db.name());
        let held = held_at(run.retries(3), Step::FencePassed);
        exec(&mut conn, &format!("ALTER USER {} WITH MAX_USER_CONNECTIONS 1", db.name()));
        held.go.send(()).unwrap();
        let error = held.handle.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.server_code()),
            (ErrorKind::Connection, Some(1226)),
            "{error}"
        );
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert!(error.message().contains("tried 3 times in"), "{error}");
        // Nor is there one to drop them with.
        assert_eq!(error.leftovers().len(), 2, "{error}");
        assert_eq!(tables(&mut conn), ["_t_ghc", "_t_gho", "t"]);
    });
}
