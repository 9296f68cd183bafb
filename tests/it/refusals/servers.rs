//! Servers that cannot be reached, have an unfit binlog, or are read-only.

use std::net::TcpListener;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, OnlineAlter, Phase, TableState, Warning};
use online_alter_support::{Server, available, database};

use super::{Facts, User, all_text, alone, is, plain_table, refused, sql};
use crate::harness::{FLAVORS, alter, tables};

/// Says the statement when it goes.
struct Restore<'a>(&'a Server, &'static str);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.connect().and_then(|mut conn| conn.query_drop(self.1)) {
            eprintln!("{}: {error}", self.1);
        }
    }
}

#[test]
fn nobody_listens() {
    // A port that was free a moment ago: nobody listens on it.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let url = format!("mysql://root:hush-hush@127.0.0.1:{port}/db");
    let error = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT").plan().unwrap_err();
    is(&error, ErrorKind::Connection, &[&format!("127.0.0.1:{port}")]);
    assert_eq!(error.phase(), Phase::Plan);
    assert_eq!(error.table_state(), TableState::Untouched);
    assert!(!all_text(&error).contains("hush-hush"), "{error:?}");
}

#[test]
fn no_binlog() {
    for flavor in FLAVORS {
        let started = Server::builder(flavor).option("--skip-log-bin").start();
        let Some(server) = available(started) else {
            continue;
        };
        let db = database(&server, "refuse_no_binlog");
        plain_table(&db);
        let error = refused(&server, &db, alter(&db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::BinlogSettings, &["log_bin=OFF"]);
        let error =
            refused(&server, &db, alter(&db, "t", "ADD COLUMN c INT").switch_to_row_format(true));
        is(&error, ErrorKind::BinlogSettings, &["log_bin=OFF"]);
    }
}

#[test]
fn another_binlog_format() {
    alone("refuse_format", |server, db| {
        let mut conn = plain_table(db);
        let _row = Restore(server, "SET GLOBAL binlog_format = 'ROW'");
        let user = User::new(server, db, "no_admin");
        user.grant_all_needed();
        for format in ["STATEMENT", "MIXED"] {
            sql(&mut conn, &[&format!("SET GLOBAL binlog_format = '{format}'")]);
            let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
            is(&error, ErrorKind::BinlogSettings, &[format, "switch_to_row_format"]);
            let error = refused(server, db, user.alter("t").switch_to_row_format(true));
            let grant = if server.flavor().is_mariadb() {
                "BINLOG ADMIN"
            } else {
                "SYSTEM_VARIABLES_ADMIN"
            };
            is(&error, ErrorKind::Privileges, &[format, &format!("GRANT {grant}")]);
        }
    });
}

#[test]
fn the_binlog_format_is_switched_when_allowed() {
    alone("accept_format", |server, db| {
        plain_table(db);
        let _row = Restore(server, "SET GLOBAL binlog_format = 'ROW'");
        let user = User::new(server, db, "format_admin");
        user.grant_all_needed();
        let admin =
            if server.flavor().is_mariadb() { "BINLOG ADMIN" } else { "SYSTEM_VARIABLES_ADMIN" };
        sql(
            &mut server.conn(),
            &[
                &format!("GRANT {admin} ON *.* TO format_admin"),
                "SET GLOBAL binlog_format = 'STATEMENT'",
            ],
        );
        let format = || -> String {
            server.conn().query_first("SELECT @@GLOBAL.binlog_format").unwrap().unwrap()
        };
        if server.flavor().is_mariadb() {
            // Replicas may depend on the format, and are seen only with this.
            let error = refused(server, db, user.alter("t").switch_to_row_format(true));
            is(&error, ErrorKind::Privileges, &["GRANT REPLICATION MASTER ADMIN ON *.*"]);
            let sql = "GRANT REPLICATION MASTER ADMIN ON *.* TO format_admin";
            server.conn().query_drop(sql).unwrap();
        }
        let before = Facts::read(server, db);
        let plan = user.alter("t").switch_to_row_format(true).plan().unwrap();
        let [Warning::HiddenForeignKeys, Warning::SwitchesFormat { from, .. }] = plan.warnings()
        else {
            panic!("{:?}", plan.warnings());
        };
        assert_eq!(from, "STATEMENT");
        assert_eq!(format(), "STATEMENT");
        assert_eq!(Facts::read(server, db), before);
        plan.run().unwrap();
        assert_eq!(format(), "ROW");
        assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
    });
}

#[test]
fn a_read_only_server() {
    alone("refuse_read_only", |server, db| {
        let mut conn = plain_table(db);
        let _writable = Restore(server, "SET GLOBAL read_only = 0");
        sql(&mut conn, &["SET GLOBAL read_only = 1"]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedServer, &["read-only"]);
    });
}
