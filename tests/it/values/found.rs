//! What the differential test found, by name.

use mysql::prelude::Queryable;
use online_alter_support::{Flavor, database};

use super::{Case, own};
use crate::harness::{alter, on, on_each};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, f FLOAT, d DOUBLE, z INT ZEROFILL, y YEAR, \
     n DECIMAL(12, 4), s VARCHAR(20), b VARBINARY(20)) ENGINE=InnoDB";
const ROWS: [&str; 3] = [
    "INSERT INTO {t} VALUES (1, 124.1, 101.0, 7, 0, 101.5, '12', '7')",
    "INSERT INTO {t} VALUES (2, 16777217, 20240115, 20240115, 2024, 20240115, '-3', '12')",
    "INSERT INTO {t} VALUES (3, 1e-10, 1e100, NULL, NULL, NULL, NULL, NULL)",
];
const CHANGES: [&str; 2] = [
    "INSERT INTO {t} VALUES (4, 3.4e20, 0.1, 12, 1999, 1.5, '7', '1'), (5, 1, 1, 1, NULL, 1, '5', '')",
    "UPDATE {t} SET f = f / 3, z = 3 WHERE id < 3",
];

/// What is stored from a selected number is not what the server's ALTER stores.
#[test]
fn numbers_become_text() {
    for to in ["VARCHAR(60)", "CHAR(60) CHARACTER SET latin1", "VARBINARY(60)"] {
        for column in ["f", "z", "y"] {
            let name = format!("{column}_to_text");
            Case::new(name, CREATE)
                .rows(&ROWS)
                .changes(&CHANGES)
                .alter(format!("MODIFY {column} {to}"))
                .same();
        }
    }
}

/// Stored from a select, the number loses its last digits, without a word.
#[test]
fn long_numbers_become_utf32() {
    Case::new("utf32", "CREATE TABLE {t} (id INT PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB")
        .rows(&["INSERT INTO {t} VALUES (1, 9223372036854775807), (2, -9223372036854775808)"])
        .changes(&["INSERT INTO {t} VALUES (3, 1234567890123456789)"])
        .alter("MODIFY n VARCHAR(20) CHARACTER SET utf32 NOT NULL")
        .same();
}

#[test]
fn numbers_become_dates_members_and_documents() {
    let create = "CREATE TABLE {t} (id INT PRIMARY KEY, n DECIMAL(12, 4), i INT) ENGINE=InnoDB";
    let rows = [
        "INSERT INTO {t} VALUES (1, 20240115, 20240115), (2, 19700101, 20240229), (3, NULL, NULL)",
    ];
    let changes = ["INSERT INTO {t} VALUES (4, 991231, 20201231)"];
    for clause in ["MODIFY n DATE", "MODIFY n DATETIME", "MODIFY i DATE"] {
        let case = Case::new("to_dates", create).rows(&rows).changes(&changes).alter(clause);
        case.clone().only(Flavor::Mysql).same();
        case.only(Flavor::MariaDb).same();
    }
    // A day that is none is refused, as the table's mode has it.
    Case::new("no_date", create)
        .rows(&["INSERT INTO {t} VALUES (1, 101, 0)"])
        .alter("MODIFY n DATE")
        .only(Flavor::Mysql)
        .row_refused(&["id = 1"]);
    let members = "MODIFY i ENUM('12', '20201231', '20240229', '20240115')";
    Case::new("to_members", create)
        .rows(&rows)
        .changes(&changes)
        .alter(members)
        .only(Flavor::Mysql)
        .same();
    Case::new("to_json", create)
        .rows(&rows)
        .changes(&changes)
        .alter("MODIFY n JSON")
        .only(Flavor::Mysql)
        .same();
}

#[test]
fn text_becomes_bits() {
    Case::new("to_bits", CREATE)
        .rows(&ROWS[..2])
        .changes(&["UPDATE {t} SET s = '99' WHERE id = 1"])
        .alter("MODIFY s BIT(64)")
        .same();
}

/// Stored from a select, all of these would be changed without a word.
#[test]
fn what_the_server_refuses_is_refused() {
    let create =
        "CREATE TABLE {t} (id INT PRIMARY KEY, s VARCHAR(20), d DATE, b BLOB) ENGINE=InnoDB";
    let rows = ["INSERT INTO {t} VALUES (1, '12.5', '2024-02-29', X'C3A9')"];
    for (flavor, clause) in [
        (Flavor::MariaDb, "MODIFY s INT"),
        (Flavor::Mysql, "MODIFY d YEAR"),
        (Flavor::Mysql, "MODIFY b TEXT CHARACTER SET ascii"),
    ] {
        let case = Case::new("refused", create).rows(&rows).alter(clause).only(flavor);
        case.row_refused(&["id = 1"]);
    }
}

/// Seen on MySQL 9.7.4: it crashes of the first row of a table whose virtual column it has moved in
/// place.
#[test]
fn a_virtual_column_is_moved() {
    Case::new(
        "moved",
        "CREATE TABLE {t} (id INT PRIMARY KEY, b VARBINARY(4), v BIGINT AS (LENGTH(b)) VIRTUAL, \
         day DATE) ENGINE=InnoDB",
    )
    .rows(&["INSERT INTO {t} (id, b) VALUES (1, 'a')"])
    .alter("MODIFY v BIGINT AS (LENGTH(b)) VIRTUAL FIRST")
    .same();
}

/// MariaDB converts the default of a TEXT column to the charset of the table that it is selected for.
#[test]
fn a_default_of_any_charset() {
    Case::new(
        "defaults",
        "CREATE TABLE {t} (id INT PRIMARY KEY, f FLOAT, s TEXT CHARACTER SET utf8mb4 NOT NULL \
         DEFAULT ('中😀')) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    )
    .rows(&["INSERT INTO {t} (id, f) VALUES (1, 0.1)"])
    .alter("MODIFY f DOUBLE, MODIFY s MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL DEFAULT ('中😀')")
    .same();
}

/// What a TIME becomes begins with the date of today, in the server's zone; and defaults are printed
/// in the session's.
#[test]
fn far_from_utc() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        for zone in ["+13:00", "-12:00"] {
            let Some(server) = own(flavor, &[&format!("--default-time-zone={zone}")]) else {
                continue;
            };
            let case = Case::new(
                "far",
                "CREATE TABLE {t} (id INT PRIMARY KEY, c TIME, \
                 ts TIMESTAMP NULL DEFAULT '2000-01-01 00:00:00') ENGINE=InnoDB",
            );
            case.rows(&["INSERT INTO {t} VALUES (1, '10:50:44', DEFAULT)"])
                .changes(&["INSERT INTO {t} VALUES (2, '23:59:59', '2024-01-01')"])
                .alter("MODIFY c DATETIME")
                .same_in(&database(&server, "found"));
        }
    }
}

/// MariaDB prints the default of a CHAR with all its spaces in this mode.
#[test]
fn a_mode_that_pads() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let mode = "--sql-mode=STRICT_ALL_TABLES,PAD_CHAR_TO_FULL_LENGTH";
        let Some(server) = own(flavor, &[mode]) else { continue };
        Case::new("pads", "CREATE TABLE {t} (id INT PRIMARY KEY, c VARCHAR(9)) ENGINE=InnoDB")
            .rows(&["INSERT INTO {t} VALUES (1, 'a')"])
            .alter("MODIFY c CHAR(9) DEFAULT 'x'")
            .same_in(&database(&server, "found"));
    }
}

/// MySQL does not combine new virtual columns with others in place, but does it instantly, and looks at
/// no dates.
#[test]
fn what_is_instant_keeps_zero_dates() {
    Case::new(
        "instant",
        "CREATE TABLE {t} (id INT PRIMARY KEY, day DATETIME, f FLOAT) ENGINE=InnoDB",
    )
    .rows(&["INSERT INTO {t} VALUES (1, '0000-00-00', 1)"])
    .alter("ADD v BIGINT AS (id % 7) VIRTUAL AFTER day, ADD n INT NOT NULL")
    .same();
}

/// A row that came and went must not be counted.
#[test]
fn the_counter_is_what_the_alter_says() {
    on_each("found_counter", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB")
            .unwrap();
        conn.query_drop("INSERT INTO t VALUES (1), (70000)").unwrap();
        let opened = std::sync::Mutex::new(db.conn());
        alter(db, "t", "AUTO_INCREMENT = 500")
            .on_step(move |step, _| {
                if step == online_alter::Step::CopyDone {
                    opened.lock().unwrap().query_drop("DELETE FROM t WHERE id = 70000").unwrap();
                }
            })
            .run()
            .unwrap();
        conn.query_drop("INSERT INTO t VALUES ()").unwrap();
        assert_eq!(conn.query_first::<i32, _>("SELECT MAX(id) FROM t").unwrap(), Some(500));
    });
}

/// The names of CHECK constraints are the ghost's own in MySQL.
#[test]
fn a_named_check_is_dropped() {
    on(Flavor::Mysql, "found_checks", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (id INT PRIMARY KEY, v INT, CONSTRAINT small CHECK (v < 10), \
             CONSTRAINT big CHECK (v > 0)) ENGINE=InnoDB",
        )
        .unwrap();
        alter(db, "t", "DROP CHECK small, ADD w INT").run().unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 100, 1)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (2, -1, 1)").unwrap_err();
    });
}

/// RENAME takes its locks in the order of the names: these come before the sentry's `_`.
#[test]
fn names_before_the_underscore() {
    on_each("found_order", |_, db| {
        let mut conn = db.conn();
        for name in ["Orders", "1t", "?t", " t"] {
            conn.query_drop(format!("CREATE TABLE `{name}` (id INT PRIMARY KEY) ENGINE=InnoDB"))
                .unwrap();
            conn.query_drop(format!("INSERT INTO `{name}` VALUES (1), (2)")).unwrap();
            let done = alter(db, name, "ADD v INT").retries(3).run();
            done.unwrap_or_else(|error| panic!("{name}: {error}"));
            let rows: Vec<(i32, Option<i32>)> =
                conn.query(format!("SELECT id, v FROM `{name}`")).unwrap();
            assert_eq!(rows, [(1, None), (2, None)]);
        }
    });
}

/// The lock that keeps two runs apart is given back before the first returns.
#[test]
fn one_run_after_the_other() {
    on_each("found_again", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB").unwrap();
        for i in 0..5 {
            alter(db, "t", &format!("ADD c{i} INT")).replace_old_table(true).run().unwrap();
        }
    });
}
