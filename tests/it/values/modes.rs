//! SQL modes, and dates that are none.

use online_alter::ErrorKind;
use online_alter_support::{Flavor, Server, available, database};

use super::{Case, exec};
use crate::harness::{alter, tables};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, d DATE, dt DATETIME, ts TIMESTAMP NULL, \
     v INT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

const PLAIN: &str = "INSERT INTO {t} VALUES (1, '2024-01-01', '2024-01-01', '2024-01-01', 1), \
     (2, NULL, NULL, NULL, 2), (3, '1000-01-01', '9999-12-31 23:59:59', '2038-01-19 03:14:07', 3), \
     (4, '2024-02-29', '2024-02-29', '1970-01-01 00:00:01', 4)";

fn dates(name: &str, rows: &[&str]) -> Case {
    let mut all = vec![PLAIN];
    all.extend(rows);
    Case::new(name, CREATE).rows(&all).changes(&[
        "UPDATE {t} SET v = 10 WHERE id > 1",
        "DELETE FROM {t} WHERE id = 2",
        "INSERT INTO {t} VALUES (100, '2020-02-02', '2020-02-02', '2020-02-02', 5)",
        "UPDATE {t} SET v = 11",
    ])
}

const ZERO: &str = "INSERT INTO {t} VALUES (7, '0000-00-00', '0000-00-00', '0000-00-00', 7)";
const ZERO_IN: &str = "INSERT INTO {t} VALUES (8, '2024-00-10', '2024-03-00 01:02:03', NULL, 8)";
const INVALID: &str = "INSERT INTO {t} VALUES (9, '2024-02-31', '2024-02-31 01:02:03', NULL, 9)";
const ZERO_TS: &str = "INSERT INTO {t} VALUES (10, NULL, NULL, '0000-00-00', 10)";

/// What the server does in place never looks at the dates; so they are carried.
#[test]
fn dates_that_an_alter_in_place_does_not_look_at() {
    dates("in_place", &[ZERO, ZERO_IN, INVALID]).alter("ADD c INT, ADD INDEX (v)").same();
}

/// What the server would do by copying rows looks at all of them, in its own SQL mode.
#[test]
fn dates_that_a_copying_alter_refuses() {
    for (name, row, word) in
        [("zero", ZERO, "id = 7"), ("zero_in", ZERO_IN, "id = 8"), ("invalid", INVALID, "id = 9")]
    {
        // The default mode of MySQL refuses all of them, that of MariaDB the last, where it is
        // converted.
        dates(name, &[row]).alter("MODIFY v BIGINT").only(Flavor::Mysql).row_refused(&[word]);
        dates(name, &[row]).alter("MODIFY d DATETIME").only(Flavor::Mysql).row_refused(&[word]);
        dates(name, &[row]).alter("MODIFY v BIGINT").only(Flavor::MariaDb).same();
    }
    dates("carried", &[ZERO, ZERO_IN, ZERO_TS])
        .alter("MODIFY d DATETIME(3), MODIFY dt DATE")
        .only(Flavor::MariaDb)
        .same();
    dates("invalid_changed", &[INVALID])
        .alter("MODIFY d DATETIME")
        .only(Flavor::MariaDb)
        .row_refused(&["id = 9", "2024-02-31"]);
}

#[test]
fn zero_dates_are_carried_where_they_are_allowed() {
    for (name, clause) in [
        ("copy", "MODIFY v BIGINT"),
        ("convert", "MODIFY d DATETIME, MODIFY dt DATETIME(3)"),
        ("default", "MODIFY d DATE DEFAULT '0000-00-00', ADD e DATETIME DEFAULT '0000-00-00'"),
        ("text", "MODIFY d VARCHAR(30), MODIFY dt VARCHAR(30)"),
    ] {
        dates(&format!("allowed_{name}"), &[ZERO, ZERO_IN, ZERO_TS])
            .alter(clause)
            .with(|alter| alter.allow_zero_in_date(true))
            .native_session("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")
            .same();
    }
}

/// A definition with a zero date in it, under a mode that refuses to write such a one.
#[test]
fn a_zero_date_as_a_default() {
    let create = "CREATE TABLE {t} (id INT PRIMARY KEY, v INT, d DATE NOT NULL DEFAULT '0000-00-00') \
         ENGINE=InnoDB";
    Case::new("zero_default", create)
        .rows(&["INSERT INTO {t} VALUES (1, 1, DEFAULT), (2, 2, '2024-01-01')"])
        .changes(&["UPDATE {t} SET v = 3", "INSERT INTO {t} VALUES (3, 3, DEFAULT)"])
        .alter("MODIFY v BIGINT")
        .with(|alter| alter.allow_zero_in_date(true))
        .native_session("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")
        .same();
}

/// A server that is not strict would cut values to size; we never do.
#[test]
fn servers_that_are_not_strict() {
    dates("lax", &[ZERO, ZERO_TS])
        .alter("MODIFY v BIGINT, MODIFY d DATETIME")
        .same_on(&["--sql-mode="]);
    dates("lax_zero", &[ZERO, ZERO_TS])
        .alter("MODIFY v BIGINT, MODIFY d DATETIME")
        .same_on(&["--sql-mode=NO_ZERO_DATE,NO_ZERO_IN_DATE"]);
    let lost = dates("lax_lost", &[ZERO_IN]).alter("MODIFY v BIGINT, MODIFY d DATETIME");
    lost.on_own(&["--sql-mode=NO_ZERO_DATE,NO_ZERO_IN_DATE"], |case, db| {
        let mut changes = case.begin(db);
        let error = case.ours(db, &mut changes).unwrap_err();
        assert!(error.message().contains("id = 8"), "{error}");
    });
}

/// Modes that decide about conversions.
#[test]
fn modes_that_change_conversions() {
    let case = |name: &str| {
        Case::new(
            name,
            "CREATE TABLE {t} (id INT PRIMARY KEY, tm TIME(6), dt DATETIME(6), c CHAR(6), \
             a INT UNSIGNED, b INT UNSIGNED) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
        )
        .rows(&[
            "INSERT INTO {t} VALUES (1, '10:11:12.999999', '2024-12-31 23:59:59.999999', 'ab', 1, 2), \
             (2, '-10:11:12.5', '2024-12-31 23:59:59.4999', '', 2, 1)",
        ])
        .changes(&[
            "UPDATE {t} SET c = 'x', a = 3, b = 9 WHERE id = 2",
            "INSERT INTO {t} VALUES (3, '10:11:12.5', '2024-12-31 23:59:59.5', 'abcdef', 0, 9)",
        ])
        .alter("MODIFY tm TIME(1), MODIFY dt DATETIME, MODIFY c VARCHAR(9)")
    };
    case("fractions").same();
    case("char").same_on(&["--sql-mode=STRICT_TRANS_TABLES,NO_UNSIGNED_SUBTRACTION"]);
    let modes = "STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL,PAD_CHAR_TO_FULL_LENGTH";
    case("truncate").only(Flavor::Mysql).same_on(&[&format!("--sql-mode={modes}")]);
    let modes = "STRICT_TRANS_TABLES,TIME_ROUND_FRACTIONAL,PAD_CHAR_TO_FULL_LENGTH";
    case("round").only(Flavor::MariaDb).same_on(&[&format!("--sql-mode={modes}")]);
}

/// Modes that decide about the results of expressions.
#[test]
fn modes_that_change_expressions() {
    let case = |name: &str, clause: &str| {
        Case::new(
            name,
            "CREATE TABLE {t} (id INT PRIMARY KEY, a INT UNSIGNED, b INT UNSIGNED) ENGINE=InnoDB",
        )
        .rows(&["INSERT INTO {t} VALUES (1, 1, 2), (2, 2, 0), (3, 0, 1), (4, 7, 7), (6, 1, 0)"])
        .changes(&["UPDATE {t} SET a = 3, b = 9 WHERE id = 2", "INSERT INTO {t} VALUES (5, 0, 9)"])
        .alter(clause)
    };
    let minus = "ADD d BIGINT AS (a - b) STORED, MODIFY a BIGINT UNSIGNED";
    case("minus", minus).same_on(&["--sql-mode=STRICT_TRANS_TABLES,NO_UNSIGNED_SUBTRACTION"]);
    case("minus_refused", minus).only(Flavor::Mysql).row_refused(&["id = "]);
    let divide = "ADD d INT AS (a DIV b) STORED, MODIFY a BIGINT UNSIGNED";
    case("divide", divide).same_on(&["--sql-mode=STRICT_TRANS_TABLES"]);
    case("divide_lax", divide).same_on(&["--sql-mode=ERROR_FOR_DIVISION_BY_ZERO"]);
    case("divide_refused", divide).row_refused(&["id = 6"]);
    let text = "ADD d VARCHAR(99) AS (CONCAT(a, '|\"', b)) STORED, ADD e INT AS (NOT a + 1) VIRTUAL, \
         ADD INDEX (e), MODIFY a BIGINT UNSIGNED";
    case("words", text).same_on(&[
        "--sql-mode=STRICT_TRANS_TABLES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,NO_BACKSLASH_ESCAPES,\
         IGNORE_SPACE,REAL_AS_FLOAT",
    ]);
}

/// MySQL's own ALTER would make 123457 of 12:34:56.789 in that mode, too.
#[test]
fn times_that_are_cut_and_become_integers() {
    let mode = "--sql-mode=STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL";
    let started = Server::builder(Flavor::Mysql).option(mode).start();
    let Some(server) = available(started) else { return };
    let db = database(&server, "values_cut");
    let mut conn = db.conn();
    exec(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY, a TIME(3), b TIME)");
    exec(&mut conn, "INSERT INTO t VALUES (1, '12:34:56.789', '12:34:56')");
    let error = alter(&db, "t", "MODIFY a BIGINT").run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
    assert!(error.message().contains("TIME_TRUNCATE_FRACTIONAL"), "{error}");
    assert_eq!(tables(&mut conn), ["t"]);
    alter(&db, "t", "MODIFY b BIGINT").run().unwrap_or_else(|error| panic!("{error}"));
}
