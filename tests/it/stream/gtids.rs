//! Streams that are asked for by the global ids of transactions.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, TableState};
use online_alter_support::{Builder, Flavor, Server, available, database};

use super::transport::killed_under_writers;
use super::{create, exec, execs, finish, postponed};
use crate::harness::{FLAVORS, alter, wait_until};

fn options(flavor: Flavor) -> Vec<&'static str> {
    match flavor {
        Flavor::Mysql => vec!["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
        // So that the error log tells how a stream is asked for.
        _ => vec!["--log-warnings=2"],
    }
}

fn start(flavor: Flavor) -> Option<Server> {
    let options = options(flavor);
    let builder = options.into_iter().fold(Server::builder(flavor), Builder::option);
    available(builder.start())
}

#[test]
fn streams_that_are_killed() {
    for flavor in FLAVORS {
        let Some(server) = start(flavor) else { continue };
        killed_under_writers(&server, |run| run.gtid(true));
    }
}

/// How the server is asked, and what else its transactions may be called.
#[test]
fn ids_of_all_sorts() {
    for flavor in FLAVORS {
        let Some(server) = start(flavor) else { continue };
        let db = database(&server, "stream_gtids");
        let mut conn = db.conn();
        create(&mut conn, "t");
        let other = |number: u32| match flavor {
            Flavor::Mysql => format!("SET gtid_next = 'AUTOMATIC:tag_{number}'"),
            _ => format!("SET gtid_domain_id = {number}"),
        };
        // Some from before, and some that come later.
        execs(&mut conn, &[&other(3), "UPDATE t SET pad = 'before' WHERE id = 3"]);
        let handle = postponed(alter(&db, "t", super::CLAUSE).gtid(true));
        for number in [1, 2, 1] {
            let update = format!("UPDATE t SET pad = 'by {number}' WHERE id = {number}");
            execs(&mut conn, &[&other(number), &update]);
            let id = stream_of(&server);
            exec(&mut conn, &format!("KILL {id}"));
            wait_until("it is back", || stream_of_any(&server).is_some_and(|now| now != id));
        }
        let report = finish(handle);
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
        let pads: Vec<String> = conn.query("SELECT pad FROM t WHERE id <= 3 ORDER BY id").unwrap();
        assert_eq!(pads, ["by 1", "by 2", "before"]);
        if flavor == Flavor::MariaDb {
            assert!(server.error_log().contains("using_gtid(1)"), "{}", server.error_log());
        }
    }
}

fn stream_of(server: &Server) -> u32 {
    stream_of_any(server).unwrap()
}

/// The connection of the stream. MySQL says that it was asked for by GTIDs.
fn stream_of_any(server: &Server) -> Option<u32> {
    let command = if server.flavor() == Flavor::Mysql { "Binlog Dump GTID" } else { "Binlog Dump" };
    let sql = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = '{command}'");
    server.conn().query_first(sql).unwrap()
}

#[test]
fn a_server_without_them() {
    let Some(server) = available(Server::builder(Flavor::Mysql).option("--gtid-mode=OFF").start())
    else {
        return;
    };
    let db = database(&server, "stream_no_gtids");
    create(&mut db.conn(), "t");
    let error = alter(&db, "t", super::CLAUSE).gtid(true).plan().unwrap_err();
    assert_eq!(
        (error.kind(), error.table_state()),
        (ErrorKind::BinlogSettings, TableState::Untouched)
    );
    assert!(error.message().contains("gtid_mode is not ON"), "{error}");
}
