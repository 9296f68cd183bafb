//! Others' changes of definitions: those that stop a run, and those that are harmless.

use online_alter::{Error, ErrorKind, TableState};
use online_alter_support::{Database, database};

use super::{CLAUSE, COLUMNS, create, exec, execs, failure, finish, postponed, same};
use crate::harness::{alter, on_each, tables};

/// Somebody's statements stop the run, with this error.
fn stops(db: &Database, others: &[&str], statements: &[&str], kind: ErrorKind) -> Error {
    let mut conn = db.conn();
    create(&mut conn, "t");
    execs(&mut conn, others);
    let handle = postponed(alter(db, "t", CLAUSE));
    execs(&mut conn, statements);
    let error = failure(handle);
    assert_eq!(error.kind(), kind, "{statements:?}: {error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{statements:?}: {error}");
    assert_eq!(error.leftovers(), [], "{statements:?}: {error}");
    error
}

#[test]
fn definitions_changed_by_somebody_else() {
    let cases: [(&[&str], &str, &[&str]); 14] = [
        (&[], "TRUNCATE TABLE t", &["t"]),
        (&[], "ALTER TABLE t ADD COLUMN foreign_one INT", &["t"]),
        (&[], "ALTER TABLE t ENGINE=InnoDB", &["t"]),
        (&[], "ALTER TABLE t RENAME TO u", &["u"]),
        (&[], "DROP TABLE t", &[]),
        (&["CREATE TABLE x (a INT)"], "DROP TABLE x, t", &[]),
        (&[], "RENAME TABLE t TO u", &["u"]),
        (&["CREATE TABLE x LIKE t"], "RENAME TABLE t TO u, x TO t", &["t", "u"]),
        (&[], "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW SET @x = 1", &["t"]),
        (&[], "CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES t (id))", &["child", "t"]),
        (
            &["CREATE TABLE child (a INT)"],
            "ALTER TABLE child ADD FOREIGN KEY (a) REFERENCES t (id)",
            &["child", "t"],
        ),
        (&[], "CREATE INDEX i ON t (v)", &["t"]),
        (&[], "DROP TABLE _t_gho", &["t"]),
        (&[], "ALTER TABLE _t_gho ADD COLUMN foreign_one INT", &["t"]),
    ];
    for (others, statement, left) in cases {
        on_each("stream_ddl", |_, db| {
            let error = stops(db, others, &[statement], ErrorKind::TableChanged);
            assert!(error.message().contains(".`"), "{statement}: {error}");
            let mut left = left.to_vec();
            left.sort_unstable();
            assert_eq!(tables(&mut db.conn()), left, "{statement}");
        });
    }
}

#[test]
fn the_state_table_or_the_database_goes() {
    on_each("stream_state", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut conn, "DROP TABLE _t_ghc");
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(tables(&mut conn), ["t"]);
    });
    on_each("stream_database", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut conn, &format!("DROP DATABASE {}", db.name()));
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
    });
}

/// A session whose statements are not in UTF-8, and a table whose name is not in ASCII.
#[test]
fn a_name_in_another_charset() {
    on_each("stream_charset", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "\u{e9}t\u{e9}");
        let handle = postponed(alter(db, "\u{e9}t\u{e9}", CLAUSE));
        // The crate sends UTF-8 only; the text of a prepared statement is in the session's charset.
        execs(
            &mut conn,
            &[
                "SET NAMES latin1",
                "SET @s = CONCAT('TRUNCATE TABLE ', _utf8mb4 X'C3A974C3A9')",
                "PREPARE p FROM @s",
                "EXECUTE p",
            ],
        );
        assert_eq!(failure(handle).kind(), ErrorKind::TableChanged);
    });
}

#[test]
fn statements_that_are_harmless() {
    on_each("stream_harmless", |server, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        execs(
            &mut conn,
            &[
                "CREATE TABLE x LIKE t",
                "CREATE TABLE y (LIKE t)",
                "CREATE VIEW w AS SELECT * FROM t",
                "DROP VIEW w",
                "ANALYZE TABLE t",
                "CREATE TABLE z (a INT PRIMARY KEY) COMMENT 'not t, REFERENCES t'",
                "CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES z (a))",
                "CREATE TABLE made AS SELECT id, v FROM t",
                "ALTER TABLE z ADD COLUMN t INT",
                "/* ALTER TABLE t */ ALTER TABLE z ADD COLUMN b INT /* of t */",
                "CREATE INDEX t ON z (t)",
                "INSERT INTO z VALUES (1, 1, 1)",
                "CREATE TRIGGER other AFTER INSERT ON z FOR EACH ROW SET @t = 1",
                "DROP TRIGGER other",
                "TRUNCATE TABLE x",
                "RENAME TABLE x TO xx",
                "DROP TABLE xx, y, child, z, made",
                "CREATE TEMPORARY TABLE tmp LIKE t",
                "INSERT INTO tmp SELECT * FROM t",
                "DROP TEMPORARY TABLE tmp",
                "CREATE PROCEDURE p() BEGIN DELETE FROM t; END",
                "DROP PROCEDURE p",
                "SET @t = 'TRUNCATE TABLE t'",
                "CREATE TABLE other (a INT)",
                "UPDATE t SET v = v + 1 WHERE id = 5",
            ],
        );
        // Statements about other tables, and about one of the same name elsewhere.
        let other = database(server, &format!("{}_2", db.name()));
        execs(
            &mut other.conn(),
            &[
                "CREATE TABLE t (id INT PRIMARY KEY)",
                "INSERT INTO t VALUES (1)",
                "ALTER TABLE t ADD COLUMN b INT",
                "UPDATE t SET b = 1",
                "TRUNCATE TABLE t",
            ],
        );
        exec(&mut conn, &format!("DROP DATABASE {}", other.name()));
        if server.flavor().is_mariadb() {
            execs(
                &mut conn,
                &[
                    "CREATE SEQUENCE s",
                    "SELECT NEXTVAL(s)",
                    "DROP SEQUENCE s",
                    "CREATE OR REPLACE TABLE x LIKE t",
                ],
            );
        } else {
            execs(
                &mut conn,
                &["ANALYZE TABLE t UPDATE HISTOGRAM ON v", "ANALYZE TABLE t DROP HISTOGRAM ON v"],
            );
        }
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}
