//! Rows that do not fit: the run fails with the table untouched and says which rows, and why.

use online_alter::{ErrorKind, Step};
use online_alter_support::Flavor;

use super::{Case, Ended, exec};
use crate::harness::{alter, on, on_each};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, s VARCHAR(40), n BIGINT, j TEXT) \
     ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
const ROWS: [&str; 3] = [
    "INSERT INTO {t} VALUES (1, 'a', 1, '{}'), (2, 'b', 2, '[]'), (3, 'c', 3, '1'), (4, 'd', 4, '2')",
    "INSERT INTO {t} VALUES (5, '\u{1f600} \u{4e2d}', 5000000000, 'no json'), (6, '\u{e9}', 6, '\"x\"')",
    // MariaDB's INSERT .. SELECT would cut the spaces off.
    "INSERT INTO {t} VALUES (7, '1234567890', -1, '7'), (8, 'x             ', 8, '8')",
];
const CHANGES: [&str; 3] = [
    "UPDATE {t} SET n = n + 1 WHERE id = 2",
    "DELETE FROM {t} WHERE id = 1",
    "INSERT INTO {t} VALUES (9, 'z', 9, '9')",
];

fn case(name: &str, clause: &str) -> Case {
    Case::new(name, CREATE).rows(&ROWS).changes(&CHANGES).alter(clause)
}

#[test]
fn values_that_do_not_fit() {
    for (name, clause, words) in [
        ("charset", "MODIFY s VARCHAR(40) CHARACTER SET latin1", ["id = 5", "s"]),
        ("ascii", "CONVERT TO CHARACTER SET ascii", ["id = 5", "s"]),
        ("three_bytes", "MODIFY s VARCHAR(40) CHARACTER SET utf8mb3", ["id = 5", "s"]),
        ("narrow", "MODIFY s VARCHAR(5)", ["id = 7", "s"]),
        ("spaces", "MODIFY s VARCHAR(12)", ["id = 8", "s"]),
        ("int", "MODIFY n INT", ["id = 5", "n"]),
        ("sign", "MODIFY n BIGINT UNSIGNED", ["id = 7", "n"]),
        ("json", "MODIFY j JSON", ["id = 5", "j"]),
        ("number", "MODIFY s INT", ["id = ", "s"]),
        ("date", "MODIFY s DATE", ["id = ", "s"]),
        ("enum", "MODIFY s ENUM('a', 'b', 'c')", ["id = ", "s"]),
        ("check", "ADD CONSTRAINT few CHECK (n < 1000)", ["id = 5", "few"]),
        ("binary", "MODIFY s BINARY(4)", ["id = ", "s"]),
    ] {
        case(name, clause).row_refused(&words);
    }
}

/// Several are named, by all columns of the key, as people write them.
#[test]
fn five_rows_are_named() {
    on_each("values_five", |_, db| {
        let create = "CREATE TABLE {t} (a VARCHAR(9), b VARBINARY(4), c DATE, e ENUM('x', 'y'), n INT, \
             PRIMARY KEY (a, b, c, e)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        let rows: Vec<String> = (1..=30)
            .map(|n| {
                let value = if n % 4 == 0 { 1000 } else { n };
                format!("INSERT INTO {{t}} VALUES ('it''s', X'FF{n:02}', '2024-01-{n:02}', 'y', {value})")
            })
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let case = Case::new("five", create)
            .rows(&rows)
            .alter("MODIFY n TINYINT")
            .with(|alter| alter.chunk_size(online_alter::ChunkSize::Rows(100)));
        let Ended::Failed(error, _) = case.run_in(db) else { panic!("both succeeded") };
        for n in [4, 8, 12, 16, 20] {
            let row = format!("a = 'it\\'s', b = 0xFF{n:02}, c = '2024-01-{n:02}', e = 'y' (");
            assert!(error.message().contains(&row), "{row}: {error}");
        }
        assert!(!error.message().contains("0xFF24"), "{error}");
        assert!(error.message().contains("perhaps more"), "{error}");
    });
}

/// A row that the application writes during the run, at each stage of it.
#[test]
fn a_row_that_comes_later() {
    for step in [Step::FencePassed, Step::CopyDone, Step::BeforeLock] {
        on_each("values_later", |_, db| {
            let case = Case::new("later", CREATE)
                .rows(&["INSERT INTO {t} VALUES (1, 'a', 1, '{}'), (2, 'b', 2, '[]')"])
                .alter("MODIFY n INT");
            let changes = case.begin(db);
            drop(changes);
            let writer = parking_lot::Mutex::new(db.conn());
            let error = alter(db, "t", "MODIFY n INT")
                .on_step(move |at, _| {
                    if at == step {
                        let mut conn = writer.lock();
                        exec(&mut conn, "REPLACE INTO t VALUES (44, 'late', 5000000000, '')");
                        exec(&mut conn, "UPDATE t SET s = 'fits' WHERE id = 1");
                    }
                })
                .run()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowRefused, "{step:?}: {error}");
            assert_eq!(error.table_state(), online_alter::TableState::Untouched, "{error}");
            assert!(error.message().contains("id = 44"), "{step:?}: {error}");
            assert!(error.message().contains("'n'"), "{step:?}: {error}");
        });
    }
}

const UNIQUE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, s VARCHAR(40), n INT) ENGINE=InnoDB \
     DEFAULT CHARSET=utf8mb4";

/// Rows that have the same value in a unique key that the ALTER adds.
#[test]
fn duplicates_that_were_there() {
    for (name, clause, words) in [
        ("one", "ADD UNIQUE u (s)", ["`u` ('x'): the rows id = 3 and id = 5", ""]),
        ("two", "ADD UNIQUE `the u` (n, s)", ["the u", "'7', 'x'"]),
        ("prefix", "ADD UNIQUE u (s(1))", ["`u` ('a'): the rows id = 1 and id = 2", "'x'"]),
        (
            "case",
            "ADD UNIQUE v (n), MODIFY s CHAR(40)",
            ["`v` ('7'): the rows id = 3 and id = 5", ""],
        ),
        ("none", "ADD UNIQUE u (s, id), ADD UNIQUE w ((n + 1))", ["unique", "8"]),
    ] {
        let case = Case::new(name, UNIQUE)
            .rows(&[
                "INSERT INTO {t} VALUES (1, 'ab', 1), (2, 'ac', 2), (3, 'x', 7), (4, NULL, NULL)",
                "INSERT INTO {t} VALUES (5, 'x', 7), (6, NULL, NULL)",
            ])
            .changes(&["UPDATE {t} SET s = 'ad' WHERE id = 2", "DELETE FROM {t} WHERE id = 4"])
            .alter(clause);
        let case = if name == "none" { case.only(Flavor::Mysql) } else { case };
        case.each(|_, db| {
            let Ended::Failed(error, _) = case.run_in(db) else { panic!("both succeeded") };
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            for word in words {
                assert!(error.message().contains(word), "{name}: {word}: {error}");
            }
        });
    }
}

/// And such that the application writes during the run.
#[test]
fn duplicates_that_come_later() {
    for step in [Step::FencePassed, Step::IndexesBuilt, Step::BeforeLock] {
        on_each("values_dup_later", |_, db| {
            let case = Case::new("later", UNIQUE)
                .rows(&["INSERT INTO {t} VALUES (1, 'ab', 1), (2, 'ac', 2), (3, 'x', 7)"]);
            drop(case.begin(db));
            let writer = parking_lot::Mutex::new(db.conn());
            let error = alter(db, "t", "ADD UNIQUE u (s)")
                .retries(3)
                .on_step(move |at, _| {
                    if at == step {
                        exec(&mut writer.lock(), "REPLACE INTO t VALUES (33, 'x', 1)");
                    }
                })
                .run()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{step:?}: {error}");
            assert_eq!(error.table_state(), online_alter::TableState::Untouched, "{error}");
            for word in ["id = 33", "'x'", "u"] {
                assert!(error.message().contains(word), "{step:?}: {word}: {error}");
            }
        });
    }
}

/// A collation that makes distinct values of a unique key equal.
#[test]
fn values_that_a_collation_makes_equal() {
    let create = "CREATE TABLE {t} (id INT PRIMARY KEY, s VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE u (s)) \
         ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
    let clause = "MODIFY s VARCHAR(20) COLLATE utf8mb4_unicode_ci";
    let case = |name: &str, rows: &[&str]| Case::new(name, create).rows(rows).alter(clause);
    case("apart", &["INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"])
        .changes(&["UPDATE {t} SET s = 'B' WHERE id = 2", "UPDATE {t} SET id = 9 WHERE id = 1"])
        .same();
    on(Flavor::Mysql, "values_collation", |_, db| {
        let case = case("equal", &["INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'A')"]);
        let Ended::Failed(error, _) = case.run_in(db) else { panic!("both succeeded") };
        assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
        assert!(error.message().contains("id = 1 and id = 3"), "{error}");
    });
}
