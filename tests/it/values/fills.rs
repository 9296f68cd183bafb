//! NOT NULL columns without a DEFAULT, which the server's own ALTER fills with the zero of their type.

use mysql::prelude::Queryable;
use online_alter::ErrorKind;
use online_alter_support::Flavor;

use super::Case;
use crate::harness::{alter, on};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB \
     DEFAULT CHARSET=utf8mb4";
const ROWS: [&str; 2] =
    ["INSERT INTO {t} VALUES (1, 1), (2, 2), (3, 3), (4, 4)", "INSERT INTO {t} VALUES (5, 5)"];
const CHANGES: [&str; 6] = [
    "UPDATE {t} SET v = 20 WHERE id = 2",
    "DELETE FROM {t} WHERE id = 1",
    "INSERT INTO {t} (id, v) VALUES (6, 6), (7, 7)",
    "UPDATE {t} SET id = 8 WHERE id = 3",
    "UPDATE {t} SET v = 60 WHERE id = 6",
    "INSERT INTO {t} (id, v) VALUES (9, 9)",
];

fn case(name: &str, clause: impl Into<String>) -> Case {
    Case::new(name, CREATE).rows(&ROWS).changes(&CHANGES).alter(clause)
}

/// All types at once, in a row with the others.
#[test]
fn zeros_of_all_types() {
    let common = "ADD a1 TINYINT NOT NULL, ADD a2 BIGINT UNSIGNED NOT NULL FIRST, \
         ADD a3 DECIMAL(5,2) NOT NULL, ADD a4 FLOAT NOT NULL, ADD a5 DOUBLE NOT NULL, \
         ADD a6 BIT(5) NOT NULL, ADD a7 YEAR NOT NULL, ADD a8 TIME(3) NOT NULL, \
         ADD a9 TIMESTAMP NOT NULL, ADD a10 TIMESTAMP(3) NOT NULL, \
         ADD b1 CHAR(3) NOT NULL, ADD b2 VARCHAR(3) COLLATE latin1_bin NOT NULL, \
         ADD b3 BINARY(4) NOT NULL, ADD b4 VARBINARY(4) NOT NULL, ADD b5 TEXT NOT NULL, \
         ADD b6 LONGBLOB NOT NULL, ADD b7 ENUM('b', 'a') NOT NULL, ADD b8 SET('b', 'a') NOT NULL, \
         ADD b9 ENUM('') NOT NULL, ADD c1 CHAR(3) CHARSET utf16 NOT NULL";
    case("zeros", common).same();
    case("zeros_json", format!("{common}, ADD c2 JSON NOT NULL")).only(Flavor::Mysql).same();
    let of_mariadb = format!("{common}, ADD c2 UUID NOT NULL, ADD c3 INET6 NOT NULL");
    case("zeros_uuid", of_mariadb).only(Flavor::MariaDb).same();
}

#[test]
fn zeros_that_a_check_refuses() {
    // The row is named by its key.
    case("zeros_check", "ADD c INT NOT NULL, ADD CHECK (c > 0)").row_refused(&["id = "]);
}

#[test]
fn zeros_that_are_unique() {
    on_each_refused("zeros_unique", "ADD c INT NOT NULL UNIQUE");
}

fn on_each_refused(name: &str, clause: &str) {
    for flavor in crate::harness::FLAVORS {
        on(flavor, name, |_, db| {
            let super::Ended::Failed(error, _) = case(name, clause).run_in(db) else {
                panic!("both succeeded")
            };
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            assert!(error.message().contains('0'), "{error}");
        });
    }
}

/// Dates have a zero where the server's mode lets them.
#[test]
fn zero_dates() {
    let clause = "ADD c DATE NOT NULL, ADD d DATETIME(3) NOT NULL";
    case("zero_dates_mysql", clause).only(Flavor::Mysql).row_refused(&["'0000-00-00'", "id = "]);
    case("zero_dates_mariadb", clause).only(Flavor::MariaDb).same();
    case("zero_dates_allowed", clause)
        .with(|alter| alter.allow_zero_in_date(true))
        .native_session("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")
        .same();
}

/// There is no zero of a geometry. MariaDB fills such a column with an empty string, which is no
/// geometry either, and which no INSERT could write: there we fail where it succeeds.
#[test]
fn geometries_have_no_zero() {
    case("zero_point", "ADD c POINT NOT NULL").only(Flavor::Mysql).row_refused(&["id = "]);
    on(Flavor::MariaDb, "zero_point", |_, db| {
        case("zero_point", "").begin(db);
        let error = alter(db, "t", "ADD c POINT NOT NULL").run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowRefused, "{error}");
        assert!(error.message().contains("id = "), "{error}");
    });
}

/// An empty table has no rows to be filled.
#[test]
fn empty_tables() {
    Case::new("zeros_empty", CREATE).alter("ADD c POINT NOT NULL, ADD d DATE NOT NULL").same();
}

/// NULLs into NOT NULL.
#[test]
fn nulls_that_must_not_be() {
    let rows: Vec<&str> =
        ROWS.iter().copied().chain(["INSERT INTO {t} VALUES (77, NULL)"]).collect();
    for clause in
        ["MODIFY v INT NOT NULL", "CHANGE v w BIGINT NOT NULL", "MODIFY v VARCHAR(9) NOT NULL"]
    {
        case("nulls", clause).rows(&rows).row_refused(&["id = 77"]);
    }
    case("nulls_gone", "MODIFY v BIGINT NOT NULL").same();
}

/// The server's own ALTER fills all rows with one time; so do we.
#[test]
fn the_time_is_the_same_for_all_rows() {
    crate::harness::on_each("values_now", |_, db| {
        let clause = "ADD a DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), \
             ADD b TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), \
             ADD c DATETIME DEFAULT NOW()";
        let case = case("now", clause);
        let mut changes = case.begin(db);
        case.ours(db, &mut changes).unwrap();
        let mut conn = db.conn();
        let times: Vec<(String, String, String)> = conn
            .query("SELECT DISTINCT CAST(a AS CHAR), CAST(b AS CHAR), CAST(c AS CHAR) FROM t")
            .unwrap();
        let [(a, b, c)] = times.as_slice() else { panic!("{times:?}") };
        assert_eq!((&a[..23], &a[..19]), (b.as_str(), c.as_str()));
        let near: Option<i64> =
            conn.query_first("SELECT MAX(ABS(TIMESTAMPDIFF(SECOND, a, NOW()))) FROM t").unwrap();
        assert!(near.unwrap() < 60);
    });
}
