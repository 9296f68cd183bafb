//! ALTER clauses that are refused, by us or by the server.

use mysql::prelude::Queryable;
use online_alter::ErrorKind;
use online_alter_support::{Server, available, database};

use super::{alone, clause_refused, is, plain_table, refused, refused_at_run, sql};
use crate::harness::{FLAVORS, alter};

#[test]
fn an_alter_that_does_not_parse() {
    clause_refused("refuse_parse", "ADD COLUMN", &["ALTER"]);
    // This one only the server can judge.
    clause_refused("refuse_parse", "ADD COLUMN c NOSUCHTYPE", &["cannot parse the ALTER"]);
}

#[test]
fn an_empty_alter() {
    clause_refused("refuse_empty", "", &["empty"]);
    clause_refused("refuse_empty", "  /* nothing */ ", &["empty"]);
}

#[test]
fn a_whole_statement() {
    clause_refused("refuse_whole", "ALTER TABLE t ADD COLUMN c INT", &["only the clause"]);
}

#[test]
fn a_rename_of_the_table() {
    clause_refused("refuse_rename", "ADD COLUMN c INT, RENAME TO u", &["RENAME"]);
}

#[test]
fn an_algorithm() {
    clause_refused("refuse_algorithm", "ADD COLUMN c INT, ALGORITHM=INPLACE", &["ALGORITHM"]);
    clause_refused("refuse_algorithm", "ADD COLUMN c INT, LOCK=NONE", &["LOCK"]);
}

#[test]
fn two_statements() {
    alone("refuse_two", |server, db| {
        sql(&mut plain_table(db), &["CREATE TABLE x (id INT PRIMARY KEY)"]);
        for clause in ["ADD COLUMN c INT; DROP TABLE x", "ADD COLUMN c INT;"] {
            let error = refused(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["`;`"]);
        }
    });
}

#[test]
fn an_alter_that_makes_no_sense_for_the_table() {
    alone("refuse_sense", |server, db| {
        plain_table(db);
        for (clause, word) in [("ADD COLUMN v INT", "v"), ("ADD INDEX i (nope)", "nope")] {
            let error = refused_at_run(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["the server refuses the ALTER", word]);
            assert!(error.server_code().is_some(), "{error}");
        }
        for clause in ["DROP COLUMN nope", "CHANGE nope n INT", "MODIFY nope INT"] {
            let error = refused(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["not there", "nope"]);
        }
    });
}

#[test]
fn another_engine() {
    clause_refused("refuse_engine", "ENGINE=MyISAM", &["MyISAM", "InnoDB"]);
}

#[test]
fn a_new_foreign_key() {
    alone("refuse_new_fk", |server, db| {
        sql(&mut plain_table(db), &["CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB"]);
        let clause = "ADD CONSTRAINT c FOREIGN KEY (v) REFERENCES p (id)";
        let error = refused(server, db, alter(db, "t", clause));
        is(&error, ErrorKind::Alter, &["foreign key"]);
    });
}

#[test]
fn a_not_null_column_without_a_default() {
    alone("refuse_no_default", |server, db| {
        plain_table(db);
        let error = refused_at_run(server, db, alter(db, "t", "ADD COLUMN c INT NOT NULL"));
        is(&error, ErrorKind::Alter, &["`c`", "DEFAULT"]);
    });
}

/// The server's own ALTER converts by the zone of its session.
#[test]
fn a_timestamp_that_depends_on_the_zone() {
    for flavor in FLAVORS {
        let started = Server::builder(flavor).option("--default-time-zone=+02:00").start();
        let Some(server) = available(started) else { continue };
        let db = database(&server, "refuse_zone");
        sql(
            &mut db.conn(),
            &[
                "CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP NULL DEFAULT '2020-01-01 12:00:00', \
                 dt DATETIME)",
                "INSERT INTO t VALUES (1, '2024-01-01 12:00:00', '2024-01-01 12:00:00')",
            ],
        );
        for clause in ["MODIFY ts DATETIME", "MODIFY dt TIMESTAMP NULL", "MODIFY ts VARCHAR(30)"] {
            let error = refused_at_run(&server, &db, alter(&db, "t", clause));
            is(&error, ErrorKind::Alter, &["time zone"]);
        }
        // Where nothing is converted, the zone makes no difference; nor does it to the definition.
        alter(&db, "t", "ADD COLUMN c INT").run().unwrap_or_else(|error| panic!("{error}"));
        let row: (String, String) = db
            .conn()
            .query_first("SELECT CAST(ts AS CHAR), CAST(dt AS CHAR) FROM t")
            .unwrap()
            .unwrap();
        assert_eq!(row, ("2024-01-01 12:00:00".into(), "2024-01-01 12:00:00".into()));
    }
}

/// 'a' and 'a ' are two rows under a NO PAD collation, and one as CHAR.
#[test]
fn a_key_that_loses_its_trailing_spaces() {
    alone("refuse_spaces", |server, db| {
        let collation = if server.flavor().is_mariadb() {
            "utf8mb4_unicode_nopad_ci"
        } else {
            "utf8mb4_0900_ai_ci"
        };
        let create = format!(
            "CREATE TABLE t (k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE {collation} PRIMARY KEY)"
        );
        sql(&mut db.conn(), &[&create, "INSERT INTO t VALUES ('a'), ('a ')"]);
        for new in ["CHAR(10)", "VARCHAR(5)"] {
            let clause = format!("MODIFY k {new} CHARACTER SET utf8mb4 COLLATE {collation}");
            let error = refused_at_run(server, db, alter(db, "t", &clause));
            is(&error, ErrorKind::NoUsableKey, &["`k`"]);
        }
    });
}
