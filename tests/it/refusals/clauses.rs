//! ALTER clauses that are refused, by us or by the server.

use online_alter::ErrorKind;

use super::{alone, clause_refused, is, plain_table, refused, refused_at_run, sql};
use crate::harness::alter;

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
