//! Tables that cannot be altered: what they are, which key they lack, how they are named.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, OnlineAlter};
use online_alter_support::{Flavor, Server, available, database};

use super::{alone, alone_on, is, plain_table, refused, sql, table_refused};
use crate::harness::alter;

#[test]
fn no_such_table() {
    alone("refuse_no_table", |server, db| {
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::NoSuchTable, &["`refuse_no_table`.`t`"]);
    });
}

#[test]
fn no_such_schema() {
    alone("refuse_no_schema", |server, db| {
        plain_table(db);
        let to_other = alter(db, "t", "ADD COLUMN c INT").schema("nowhere");
        is(&refused(server, db, to_other), ErrorKind::NoSuchTable, &["`nowhere`.`t`"]);
        // One that the URL names is refused by the server.
        let url = OnlineAlter::new(server.url_for("nowhere"), "t").alter("ADD COLUMN c INT");
        let error = refused(server, db, url);
        assert!(error.message().contains("nowhere"), "{error}");
        assert_eq!(error.server_code(), Some(1049), "{error}");
        let none = OnlineAlter::new(server.url(), "t").alter("ADD COLUMN c INT");
        is(&refused(server, db, none), ErrorKind::Config, &["no schema"]);
    });
}

#[test]
fn a_view() {
    alone("refuse_view", |server, db| {
        sql(&mut plain_table(db), &["CREATE VIEW v AS SELECT * FROM t"]);
        let error = refused(server, db, alter(db, "v", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["`v`", "VIEW"]);
    });
}

#[test]
fn myisam() {
    let t = "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM";
    table_refused("refuse_myisam", t, ErrorKind::UnsupportedTable, &["MyISAM", "InnoDB"]);
}

#[test]
fn a_sequence() {
    alone_on(Flavor::MariaDb, "refuse_sequence", |server, db| {
        sql(&mut db.conn(), &["CREATE SEQUENCE t ENGINE=InnoDB"]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["SEQUENCE"]);
    });
}

#[test]
fn a_system_versioned_table() {
    alone_on(Flavor::MariaDb, "refuse_versioned", |server, db| {
        let t = "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB WITH SYSTEM VERSIONING";
        sql(&mut db.conn(), &[t]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["SYSTEM VERSIONED"]);
    });
}

#[test]
fn no_unique_key() {
    let t = "CREATE TABLE t (id INT NOT NULL, v INT, KEY (id)) ENGINE=InnoDB";
    table_refused("refuse_no_key", t, ErrorKind::NoUsableKey, &["has no primary key"]);
}

#[test]
fn only_a_nullable_unique_key() {
    let t = "CREATE TABLE t (id INT NULL, UNIQUE KEY id_u (id)) ENGINE=InnoDB";
    let words = ["`id_u`", "may be NULL"];
    table_refused("refuse_nullable_key", t, ErrorKind::NoUsableKey, &words);
}

#[test]
fn only_a_prefix_key() {
    let t = "CREATE TABLE t (name VARCHAR(100) NOT NULL, PRIMARY KEY (name(10))) ENGINE=InnoDB";
    table_refused("refuse_prefix_key", t, ErrorKind::NoUsableKey, &["prefix", "name"]);
}

#[test]
fn only_a_float_key() {
    let t = "CREATE TABLE t (f FLOAT NOT NULL PRIMARY KEY) ENGINE=InnoDB";
    table_refused("refuse_float_key", t, ErrorKind::NoUsableKey, &["f is of type float"]);
}

#[test]
fn a_dropped_key_column() {
    alone("refuse_dropped_key", |server, db| {
        plain_table(db);
        let error = refused(server, db, alter(db, "t", "DROP COLUMN id"));
        is(&error, ErrorKind::NoUsableKey, &["the ALTER drops id"]);
    });
}

#[test]
fn names_that_are_too_long() {
    alone("refuse_long", |server, db| {
        let error = refused(server, db, alter(db, &"x".repeat(65), "ADD COLUMN c INT"));
        is(&error, ErrorKind::Config, &["too long", "65"]);
        let schema = alter(db, "t", "ADD COLUMN c INT").schema("x".repeat(65));
        is(&refused(server, db, schema), ErrorKind::Config, &["too long", "schema"]);
        is(&refused(server, db, alter(db, "", "ADD COLUMN c INT")), ErrorKind::Config, &["empty"]);
        is(
            &refused(server, db, alter(db, "t ", "ADD COLUMN c INT")),
            ErrorKind::Config,
            &["space"],
        );
        // Servers have no names with characters beyond the basic plane.
        let error = refused(server, db, alter(db, &"\u{1f600}".repeat(64), "ADD COLUMN c INT"));
        is(&error, ErrorKind::Config, &["U+FFFF"]);
    });
}

#[test]
fn the_longest_names_work() {
    alone("accept_long", |_, db| {
        for name in ["x".repeat(64), "\u{e9}".repeat(64), "x".repeat(60), "we `ird.%-".repeat(6)] {
            let quoted = name.replace('`', "``");
            let mut conn = db.conn();
            sql(
                &mut conn,
                &[
                    &format!("CREATE TABLE `{quoted}` (id INT PRIMARY KEY, v INT) ENGINE=InnoDB"),
                    &format!("INSERT INTO `{quoted}` VALUES (1, 1), (2, 2)"),
                ],
            );
            let report = alter(db, &name, "ADD COLUMN c INT").run().unwrap();
            let rows: Vec<(u32, u32, Option<u32>)> =
                conn.query(format!("SELECT id, v, c FROM `{quoted}` ORDER BY id")).unwrap();
            assert_eq!(rows, [(1, 1, None), (2, 2, None)]);
            let old = report.old_table.unwrap();
            let count: Option<u32> =
                conn.query_first(format!("SELECT COUNT(*) FROM {old}")).unwrap();
            assert_eq!(count, Some(2));
            sql(&mut conn, &[&format!("DROP TABLE {old}, `{quoted}`")]);
        }
    });
}

/// MySQL hashes text by its bytes there, and so lets in rows that are equal in the primary key.
#[test]
fn text_that_is_partitioned_by_key() {
    alone_on(Flavor::Mysql, "refuse_by_key", |server, db| {
        sql(
            &mut db.conn(),
            &[
                "CREATE TABLE t (k CHAR(1) COLLATE utf8mb4_0900_ai_ci NOT NULL PRIMARY KEY, v INT) \
                 PARTITION BY KEY (k) PARTITIONS 2",
                "INSERT INTO t VALUES (_utf8mb4 X'C384', 1), ('a', 2)",
            ],
        );
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::NoUsableKey, &["partitioned by KEY", "`k`"]);
        sql(&mut db.conn(), &["ALTER TABLE t MODIFY k BINARY(2) NOT NULL"]);
        drop(alter(db, "t", "ADD COLUMN c INT").plan().unwrap());
    });
}

/// Each time the table is altered in that mode, MySQL reads `'\\0!'` in what it has written down itself as
/// four characters.
#[test]
fn literals_that_grow() {
    let mode = "--sql-mode=STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES";
    let started = Server::builder(Flavor::Mysql).option(mode).start();
    let Some(server) = available(started) else { return };
    let db = database(&server, "refuse_growing");
    sql(
        &mut db.conn(),
        &[
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
            "CREATE TABLE t (k ENUM('b') CHARACTER SET ucs2 NOT NULL PRIMARY KEY, c VARCHAR(60) CHARACTER SET \
             ucs2 GENERATED ALWAYS AS (CONCAT(k, '!')) VIRTUAL)",
            "INSERT INTO t (k) VALUES ('b')",
        ],
    );
    let error = refused(&server, &db, alter(&db, "t", "ADD COLUMN d INT"));
    is(&error, ErrorKind::UnsupportedTable, &["backslash", "NO_BACKSLASH_ESCAPES"]);
    sql(&mut db.conn(), &["ALTER TABLE t DROP COLUMN c"]);
    drop(alter(&db, "t", "ADD COLUMN d INT").plan().unwrap());
}
