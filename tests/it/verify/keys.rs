//! Rows whose keys are equal to the server and not the same: the servers may take the one side's key
//! for the other's wherever a statement says that they are equal.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, OnMismatch, Step};
use online_alter_support::Flavor;

use crate::harness::{FLAVORS, alter, on};

/// Whether verification sees what the statements do to the ghost, of a table with this key.
fn seen(flavor: Flavor, name: &str, key: &str, rows: &str, damage: &[&str]) {
    on(flavor, name, |_, db| {
        let mut conn = db.conn();
        conn.query_drop(format!("CREATE TABLE t (v INT NOT NULL, {key})")).unwrap();
        conn.query_drop(format!("INSERT INTO t VALUES {rows}")).unwrap();
        for damage in damage {
            let (url, sql) = (db.url().to_owned(), (*damage).to_owned());
            let error = alter(db, "t", "MODIFY v BIGINT NOT NULL")
                .on_mismatch(OnMismatch::Stop)
                .on_step(move |step, _| {
                    if step == Step::CopyDone {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        conn.query_drop("SET sql_log_bin = 0").unwrap();
                        conn.query_drop(&sql).unwrap();
                        assert_eq!(conn.affected_rows(), 1, "{sql}");
                    }
                })
                .run()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{name}, {damage}: {error}");
            assert!(!error.differences().is_empty(), "{name}, {damage}: {error}");
        }
    });
}

#[test]
fn in_another_spelling() {
    for flavor in FLAVORS {
        for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_520_ci"] {
            let key =
                format!("id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {collation} PRIMARY KEY");
            let damage = [
                "UPDATE _t_gho SET id = 'A' WHERE id = 'a'",
                "UPDATE _t_gho SET id = 'a ' WHERE id = 'a'",
                "UPDATE _t_gho SET id = _utf8mb4 X'C3A9' WHERE id = 'e'",
            ];
            seen(
                flavor,
                &format!("key_{collation}"),
                &key,
                "(1, 'a'), (2, 'b'), (3, 'e')",
                &damage,
            );
        }
        let key =
            "id VARCHAR(20) CHARACTER SET latin1 NOT NULL, n INT NOT NULL, UNIQUE KEY (n, id)";
        let damage = ["UPDATE _t_gho SET id = 'A' WHERE id = 'a' AND n = 2"];
        seen(flavor, "key_latin1", key, "(1, 'a', 1), (2, 'a', 2), (3, 'b', 1)", &damage);
        let key = "n INT NOT NULL, id CHAR(20) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (n, id)";
        let damage = ["UPDATE _t_gho SET id = 'A' WHERE id = 'a' AND n = 2"];
        seen(flavor, "key_two", key, "(1, 1, 'a'), (2, 2, 'a'), (3, 1, 'b')", &damage);
    }
    let key = "id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PRIMARY KEY";
    let damage = ["UPDATE _t_gho SET id = 'A' WHERE id = 'a'"];
    seen(Flavor::Mysql, "key_0900", key, "(1, 'a'), (2, 'b')", &damage);
}

/// The number that a row is found by stands for another member.
#[test]
fn of_members() {
    for flavor in FLAVORS {
        let key = "id ENUM('a', 'b', 'c') NOT NULL PRIMARY KEY";
        seen(
            flavor,
            "key_enum",
            key,
            "(1, 'a'), (2, 'b')",
            &["UPDATE _t_gho SET id = 'c' WHERE id = 'b'"],
        );
    }
}

/// Keys at the ends of what the wider type of the other side holds.
#[test]
fn of_a_wider_type() {
    for flavor in FLAVORS {
        on(flavor, "key_wider", |_, db| {
            let mut conn = db.conn();
            conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)")
                .unwrap();
            conn.query_drop(
                "INSERT INTO t VALUES (-2147483648, 1), (-1, 2), (0, 3), (2147483647, 4)",
            )
            .unwrap();
            let url = db.url().to_owned();
            let error = alter(db, "t", "MODIFY id BIGINT NOT NULL")
                .on_mismatch(OnMismatch::Stop)
                .on_step(move |step, _| {
                    if step == Step::CopyDone {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        conn.query_drop("SET sql_log_bin = 0").unwrap();
                        conn.query_drop("UPDATE _t_gho SET id = 4294967295 WHERE id = -1").unwrap();
                        assert_eq!(conn.affected_rows(), 1);
                    }
                })
                .run()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{error}");
            // The row that is missing, and the one that is there instead.
            assert_eq!(error.differences().len(), 2, "{error}");
        });
    }
}
