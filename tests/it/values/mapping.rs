//! Which column's values go where.

use online_alter::ErrorKind;
use online_alter_support::Flavor;

use super::{Case, definition, exec};
use crate::harness::{alter, on_each};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, a INT DEFAULT 1 COMMENT 'CHANGE a z INT', \
     b INT DEFAULT 2, c VARCHAR(40) DEFAULT 'DROP b, CHANGE a b INT', \
     g INT AS (id + 1) STORED COMMENT 'generated') ENGINE=InnoDB";
const ROWS: [&str; 2] = [
    "INSERT INTO {t} (id, a, b, c) VALUES (1, 11, 21, 'x'), (2, 12, 22, 'y'), (3, 13, 23, 'z')",
    "INSERT INTO {t} (id, a, b) VALUES (4, 14, 24), (5, 15, 25), (6, NULL, 26)",
];
const CHANGES: [&str; 4] = [
    "UPDATE {t} SET a = a + 100, b = b + 200 WHERE id IN (2, 5)",
    "INSERT INTO {t} (id, a, b, c) VALUES (7, 17, 27, 'w')",
    "DELETE FROM {t} WHERE id = 1",
    "UPDATE {t} SET id = 8, a = 18 WHERE id = 3",
];

fn case(name: &str, clause: &str) -> Case {
    Case::new(name, CREATE).rows(&ROWS).changes(&CHANGES).alter(clause)
}

#[test]
fn renames() {
    for (name, clause) in [
        ("change", "CHANGE a z BIGINT"),
        ("change_all", "CHANGE COLUMN a z BIGINT AFTER id, CHANGE b a INT FIRST, CHANGE c b TEXT"),
        ("column", "RENAME COLUMN a TO z, RENAME COLUMN c TO `generated`"),
        ("swap", "CHANGE a b INT, CHANGE b a INT"),
        ("swap_column", "RENAME COLUMN a TO b, RENAME COLUMN b TO a"),
        ("rotate", "RENAME COLUMN a TO b, RENAME COLUMN b TO g2, RENAME COLUMN c TO a"),
        ("rotate_types", "CHANGE a b BIGINT, CHANGE b c VARCHAR(20), CHANGE c a TEXT"),
        ("case", "CHANGE a A BIGINT, RENAME COLUMN b TO B"),
        ("key", "CHANGE id `the id` BIGINT, DROP g"),
        ("key_swap", "CHANGE id a INT NOT NULL, CHANGE a id INT, DROP g"),
        ("dropped_added", "DROP a, ADD a INT DEFAULT 5"),
        ("dropped_renamed", "DROP a, CHANGE b a BIGINT"),
        ("renamed_added", "CHANGE a b2 INT, ADD a INT NOT NULL DEFAULT 7 FIRST"),
        ("comment", "MODIFY a BIGINT COMMENT 'CHANGE b q INT, DROP c' DEFAULT 3"),
        ("defaults", "MODIFY c VARCHAR(60) DEFAULT ', CHANGE a b INT, DROP `b`', CHANGE b bb INT"),
        ("in_comment", "/* CHANGE a b INT */ ADD z INT DEFAULT 4 -- DROP b\n , CHANGE a y INT"),
    ] {
        case(name, clause).same();
    }
}

/// A part that is not understood, until it is said what becomes of the columns.
#[test]
fn a_mapping_that_has_to_be_stated() {
    on_each("values_stated", |_, db| {
        let case = |map: &'static [(&str, Option<&str>)]| {
            case("stated", "ADD vector INT, CHANGE a b BIGINT, DROP b, RENAME COLUMN c TO d")
                .with(move |alter| alter.column_map(map.iter().copied()))
        };
        drop(case(&[]).begin(db));
        let before = definition(&mut db.conn(), "t");
        let clause = case(&[]).alter;
        let error = alter(db, "t", &clause).plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
        assert!(error.message().contains("state the mapping"), "{error}");
        for (map, why) in [
            (&[("nope", Some("b"))][..], "`nope`"),
            (&[("a", Some("b")), ("A", Some("c"))], "two things about `A`"),
            (&[("a", Some("b")), ("c", Some("B"))], "two columns to `B`"),
            (&[("a", Some("z"))], "`a` becomes `z`, and the ALTER says that it becomes `b`"),
            (&[("a", None)], "`a` is dropped"),
            (&[("b", Some("b"))], "`b` keeps its name, and the ALTER says that it is dropped"),
        ] {
            let error = alter(db, "t", &clause).column_map(map.iter().copied()).plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
            assert!(error.message().contains(why), "{why}: {error}");
        }
        assert_eq!(definition(&mut db.conn(), "t"), before);
        exec(&mut db.conn(), "DROP TABLE t, expect");
        let plan = [("a", Some("b")), ("b", None)];
        case(&[("a", Some("b")), ("b", None)]).same_in(db);
        exec(&mut db.conn(), "DROP TABLE t, expect, _t_del");
        drop(case(&[]).begin(db));
        let plan = alter(db, "t", &clause).column_map(plan).plan().unwrap();
        assert_eq!(plan.renamed_columns(), [("c", "d"), ("a", "b")]);
        assert_eq!(plan.dropped_columns(), ["b"]);
    });
}

/// A column that stands in such a part has to be stated itself; and what is stated has to be true of
/// the new table.
#[test]
fn a_mapping_that_is_not_enough_or_wrong() {
    on_each("values_unstated", |_, db| {
        let create = "CREATE TABLE {t} (id INT PRIMARY KEY, vector INT, a INT) ENGINE=InnoDB";
        let case =
            Case::new("unstated", create).rows(&["INSERT INTO {t} VALUES (1, 2, 3), (2, 3, 4)"]);
        drop(case.begin(db));
        let clause = "ADD vector2 INT, CHANGE vector v BIGINT, ADD vector JSON";
        let alter = || alter(db, "t", clause);
        let error = alter().column_map([("a", Some("a"))]).plan().unwrap_err();
        assert!(error.message().contains("what becomes of `vector`"), "{error}");
        // The new table shows that this is wrong.
        let error = alter().column_map([("vector", Some("w"))]).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
        assert!(error.message().contains("no column `w`"), "{error}");
        assert!(error.leftovers().is_empty(), "{error}");
        let error = alter().column_map([("vector", Some("a"))]).run().unwrap_err();
        assert!(error.message().contains("two columns"), "{error}");
        exec(&mut db.conn(), "DROP TABLE t, expect");
        case.alter(clause).with(|alter| alter.column_map([("vector", Some("v"))])).same_in(db);
    });
}

/// What might be about more than columns stays refused.
#[test]
fn no_mapping_makes_these_good() {
    on_each("values_never", |_, db| {
        drop(case("never", "").begin(db));
        for clause in [
            "ADD vector INT, RENAME TO u",
            "FROBNICATE RENAME u",
            "ADD vector INT, ALGORITHM=COPY",
            "ADD vector INT; DROP TABLE t",
            "ADD vector INT, FROBNICATE PARTITION p WITH TABLE u",
        ] {
            let error = alter(db, "t", clause).column_map([("a", Some("a"))]).plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Alter, "{clause}: {error}");
        }
    });
}

/// A foreign key, or a counter, in a part that is not understood.
#[test]
fn what_else_a_part_may_do() {
    let create =
        "CREATE TABLE {t} (id INT AUTO_INCREMENT PRIMARY KEY, a INT, KEY (a)) ENGINE=InnoDB";
    Case::new("counter", create)
        .rows(&["INSERT INTO {t} VALUES (1, 2), (5, 3)"])
        .changes(&["INSERT INTO {t} VALUES (NULL, 9)"])
        .alter("ADD vector INT, AUTO_INCREMENT = 4000")
        .only(Flavor::Mysql)
        .with(|alter| alter.column_map([("a", Some("a"))]))
        .same();
}
