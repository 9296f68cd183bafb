//! Two tables compared by themselves.

use mysql::prelude::Queryable;
use online_alter::{Compare, Comparison, DifferenceKind, ErrorKind};
use online_alter_support::{Database, csm};

use crate::harness::on_each;

fn compare(db: &Database, other: &str) -> Compare {
    Compare::new(db.url(), "t", other).looks(1)
}

fn equal(found: &Comparison, rows: u64) {
    assert!(found.is_equal() && found.rows == rows, "{found}");
}

/// The history table of the courseware and its extended sibling: other names, wider key.
#[test]
fn a_copy_with_a_wider_key_in_another_schema() {
    on_each("compare_csm", |server, db| {
        let mut conn = db.conn();
        let extended = format!("{}_extended", db.name());
        csm::create_table(&mut conn, "t").unwrap();
        csm::fill(&mut conn, "t", 5_000).unwrap();
        conn.query_drop(format!("CREATE DATABASE {extended}")).unwrap();
        conn.query_drop(format!("CREATE TABLE {extended}.u LIKE t")).unwrap();
        conn.query_drop(format!(
            "ALTER TABLE {extended}.u MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, \
             CHANGE state content LONGTEXT, DROP COLUMN done"
        ))
        .unwrap();
        let columns = "id, module_type, module_id, student_id, {}, grade, max_grade, created, \
                       modified, course_id";
        conn.query_drop(format!(
            "INSERT INTO {extended}.u ({}) SELECT {} FROM t",
            columns.replace("{}", "content"),
            columns.replace("{}", "state")
        ))
        .unwrap();
        let run = || {
            Compare::new(server.url_for(db.name()), "t", "u")
                .other_schema(&extended)
                .column_map([("state", Some("content"))])
                .looks(1)
                .run()
                .unwrap()
        };
        let found = run();
        equal(&found, 5_000);
        assert_eq!(found.not_compared, [format!("`{}`.`t`.`done`", db.name())]);

        conn.query_drop(format!("UPDATE {extended}.u SET content = 'x' WHERE id = 7")).unwrap();
        conn.query_drop(format!("DELETE FROM {extended}.u WHERE id = 4999")).unwrap();
        conn.query_drop("DELETE FROM t WHERE id = 1").unwrap();
        let found = run();
        assert_eq!((found.rows, found.different), (4_999, 3), "{found}");
        let mut kinds: Vec<_> =
            found.differences.iter().map(|d| (d.key.as_str(), d.kind)).collect();
        kinds.sort_by_key(|(key, _)| *key);
        assert_eq!(
            kinds,
            [
                ("(1)", DifferenceKind::Extra),
                ("(4999)", DifferenceKind::Missing),
                ("(7)", DifferenceKind::Values)
            ]
        );
        conn.query_drop(format!("DROP DATABASE {extended}")).unwrap();
    });
}

#[test]
fn an_empty_side() {
    on_each("compare_empty", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)").unwrap();
        conn.query_drop("CREATE TABLE u LIKE t").unwrap();
        equal(&compare(db, "u").run().unwrap(), 0);
        conn.query_drop("INSERT INTO u VALUES (1, 1), (2, 2)").unwrap();
        let found = compare(db, "u").described(1).run().unwrap();
        assert_eq!((found.different, found.differences.len()), (2, 1), "{found}");
        conn.query_drop("INSERT INTO t SELECT * FROM u").unwrap();
        conn.query_drop("DELETE FROM u").unwrap();
        assert_eq!(compare(db, "u").run().unwrap().different, 2);
    });
}

/// Where no unique index keeps them out.
#[test]
fn rows_that_are_there_twice() {
    on_each("compare_twice", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)").unwrap();
        conn.query_drop("CREATE TABLE u (id INT NOT NULL, v INT, KEY (id))").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        conn.query_drop("INSERT INTO u VALUES (1, 1), (2, 2)").unwrap();
        equal(&compare(db, "u").run().unwrap(), 2);
        // Twice two pairs: a XOR of their hashes would not see them.
        conn.query_drop("INSERT INTO u VALUES (1, 1), (1, 1), (2, 2), (2, 2)").unwrap();
        let found = compare(db, "u").run().unwrap();
        assert_eq!(found.different, 2, "{found}");
        assert!(found.differences.iter().all(|d| d.kind == DifferenceKind::Repeated), "{found}");
    });
}

#[test]
fn what_cannot_be_compared_is_refused() {
    on_each("compare_refused", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(9))").unwrap();
        conn.query_drop("CREATE TABLE no_index (id INT NOT NULL, v VARCHAR(9))").unwrap();
        conn.query_drop("CREATE TABLE other_type (id INT NOT NULL PRIMARY KEY, v INT)").unwrap();
        conn.query_drop("CREATE TABLE other_key (k INT NOT NULL PRIMARY KEY)").unwrap();
        let refused = |compare: Compare, kind, why: &str| {
            let error = compare.run().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(why), "{error}");
        };
        refused(compare(db, "no_index"), ErrorKind::NoUsableKey, "index");
        refused(compare(db, "other_key"), ErrorKind::NoUsableKey, "`id`");
        refused(compare(db, "other_type"), ErrorKind::UnsupportedTable, "v");
        refused(compare(db, "t"), ErrorKind::Config, "itself");
        refused(compare(db, "missing"), ErrorKind::NoSuchTable, "missing");
        let map = [("nothing", Some("v"))];
        refused(compare(db, "other_type").column_map(map), ErrorKind::Config, "nothing");
        // Left out, it is no obstacle.
        let without = compare(db, "other_type").column_map([("v", None)]).run().unwrap();
        equal(&without, 0);
        assert_eq!(without.not_compared.len(), 2);
    });
}
