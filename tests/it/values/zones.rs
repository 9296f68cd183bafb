//! Time zones: conversions between TIMESTAMP and other types equal those of the server's own ALTER in
//! a session of the same zone, in the hour that is there twice and in the one that is not there.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::ErrorKind;
use online_alter_support::{Database, Server, available, database};

use super::{Case, exec};
use crate::harness::{FLAVORS, alter};

/// Central Europe in 2024, under a name of our own: the servers come without zones.
const ZONE: &str = "INSERT INTO mysql.time_zone VALUES (77, 'N'); \
     INSERT INTO mysql.time_zone_name VALUES ('Test/Europe', 77); \
     INSERT INTO mysql.time_zone_transition_type VALUES (77, 0, 7200, 1, 'CEST'), \
         (77, 1, 3600, 0, 'CET'); \
     INSERT INTO mysql.time_zone_transition VALUES (77, 1698541200, 1), (77, 1711846800, 0), \
         (77, 1729990800, 1)";

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, same TIMESTAMP NULL, \
     dt DATETIME(3), v INT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

/// In winter, in summer, the same local time twice, and zero.
const ROWS: [&str; 1] = ["INSERT INTO {t} VALUES \
     (1, '2024-01-15 12:00:00.25', '2024-01-15 12:00:00', '2024-01-15 12:00:00.25', 1), \
     (2, '2024-07-15 12:00:00.75', '2024-07-15 12:00:00', '2024-07-15 12:00:00.75', 1), \
     (3, '2024-10-27 00:30:00', '2024-10-27 00:30:00', '2024-10-27 00:30:00', 1), \
     (4, '2024-10-27 01:30:00', '2024-10-27 01:30:00', '2024-10-27 01:30:00', 1), \
     (5, '2024-10-27 02:30:00', '2024-10-27 02:30:00', '2024-10-27 02:30:00', 1), \
     (6, NULL, NULL, NULL, 1), (7, '2024-03-31 00:59:59', NULL, '2024-03-31 01:59:59', 1)"];

const CHANGES: [&str; 5] = [
    "UPDATE {t} SET v = 2 WHERE id IN (2, 4)",
    "INSERT INTO {t} VALUES (20, '2024-10-27 00:45:00', '2024-10-27 00:45:00', '2024-10-27 02:45:00', 2)",
    "DELETE FROM {t} WHERE id = 1",
    "UPDATE {t} SET ts = '2024-10-27 01:45:00.5' WHERE id = 20",
    "UPDATE {t} SET id = 21, v = 3 WHERE id = 5",
];

fn case(name: &str, clause: &str) -> Case {
    Case::new(name, CREATE).rows(&ROWS).changes(&CHANGES).alter(clause)
}

/// On servers of this zone.
fn in_zone(zone: &str, test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        let Some(server) = super::own(flavor, &[]) else { continue };
        let mut conn = server.conn();
        for sql in ZONE.split("; ") {
            exec(&mut conn, sql);
        }
        exec(&mut conn, &format!("SET GLOBAL time_zone = '{zone}'"));
        test(&server, &database(&server, "zones"));
    }
}

#[test]
fn conversions_in_the_zone_of_the_server() {
    for zone in ["Test/Europe", "+05:30"] {
        in_zone(zone, |server, _| {
            let clauses = [
                "MODIFY ts DATETIME(3)",
                "MODIFY ts DATETIME",
                "MODIFY ts VARCHAR(40)",
                "MODIFY ts BIGINT",
                "MODIFY ts DATE",
                "MODIFY ts TIME(3)",
                "MODIFY dt TIMESTAMP(3) NULL",
                "MODIFY dt TIMESTAMP NULL, MODIFY ts DATETIME(1)",
                "CHANGE ts dt DATETIME(3), CHANGE dt ts TIMESTAMP NULL",
                "ADD c VARCHAR(40) AS (CONCAT(ts, '')) STORED",
                "ADD d VARCHAR(40) DEFAULT (DATE_FORMAT(NOW(), '%Y-%m-%d %H'))",
            ];
            // One zone is much like another.
            let step = if zone == "+05:30" { 6 } else { 1 };
            for clause in clauses.into_iter().step_by(step) {
                // In the hour that is there twice, MySQL's own ALTER changes columns that it has
                // nothing to do with; we leave them as they are.
                let create = CREATE.replace("same TIMESTAMP NULL", "same DATETIME");
                let create = if server.flavor().is_mariadb() { CREATE } else { &create };
                let keeps_ts = !clause.contains("MODIFY ts") && !clause.contains("CHANGE ts");
                let once = |sql: &&str| {
                    if server.flavor().is_mariadb() || !keeps_ts {
                        return (*sql).to_owned();
                    }
                    sql.replace("(4, '2024-10-27 01:30:00'", "(4, '2024-10-27 03:30:00'")
                        .replace("'2024-10-27 01:45:00.5'", "'2024-10-27 03:45:00.5'")
                };
                let (rows, changes) = (ROWS.each_ref().map(once), CHANGES.each_ref().map(once));
                Case::new(clause, create)
                    .rows(&rows.each_ref().map(String::as_str))
                    .changes(&changes.each_ref().map(String::as_str))
                    .alter(clause)
                    .same_in(&database(server, "zones"));
            }
        });
    }
}

#[test]
fn the_zone_that_the_caller_gives() {
    in_zone("+00:00", |server, _| {
        for (zone, clause) in [
            ("Test/Europe", "MODIFY ts DATETIME(3), DROP same"),
            ("-11:00", "MODIFY ts VARCHAR(40), DROP same"),
            ("-11:00", "ADD d TIMESTAMP NOT NULL DEFAULT '2024-01-01 12:00:00', DROP same"),
        ] {
            let db = database(server, "zones");
            case(clause, clause)
                .with(move |alter| alter.time_zone(zone))
                .native_session(format!("SET SESSION time_zone = '{zone}'"))
                .same_in(&db);
        }
        let db = database(server, "zones");
        let bad = case("", "");
        bad.begin(&db);
        let error = alter(&db, "t", "MODIFY ts DATE").time_zone("No/Where").plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("No/Where"), "{error}");
    });
}

/// The hour that is not there.
#[test]
fn local_times_that_never_were() {
    in_zone("Test/Europe", |_, db| {
        let rows = [ROWS[0], "INSERT INTO {t} VALUES (99, NULL, NULL, '2024-03-31 02:30:00', 1)"];
        let case = case("gap", "MODIFY dt TIMESTAMP NULL").rows(&rows);
        case.row_refused_in(db, &["id = 99", "2024-03-31 02:30:00"]);
    });
}

/// A column that stays a TIMESTAMP keeps its instants, even in the hour that is there twice.
#[test]
fn instants_stay_instants() {
    in_zone("Test/Europe", |server, _| {
        for clause in
            ["ADD c INT", "MODIFY v BIGINT", "MODIFY same TIMESTAMP(6) NULL", "MODIFY ts DATETIME"]
        {
            let db = database(server, "zones");
            let case = case(clause, clause);
            let mut changes = case.begin(&db);
            case.ours(&db, &mut changes).unwrap();
            let instants = |conn: &mut Conn, table: &str| -> Vec<(i64, Option<String>)> {
                let sql = "SELECT id, CAST(UNIX_TIMESTAMP(same) AS SIGNED) FROM {t} ORDER BY id";
                conn.query(sql.replace("{t}", table)).unwrap()
            };
            let conn = &mut changes.conn;
            assert_eq!(instants(conn, "t"), instants(conn, "expect"), "{clause}");
        }
    });
}

/// Keys are read in UTC: where one is a TIMESTAMP, nothing else may depend on the zone.
#[test]
fn a_timestamp_in_the_key() {
    let create =
        "CREATE TABLE {t} (k TIMESTAMP(3) PRIMARY KEY, ts TIMESTAMP NULL, v INT) ENGINE=InnoDB";
    let case = |clause: &str| {
        Case::new("key", create)
            .rows(&["INSERT INTO {t} VALUES ('2024-10-27 00:30:00', '2024-10-27 00:30:00', 1), \
                 ('2024-10-27 01:30:00', '2024-10-27 01:30:00', 2)"])
            .changes(&["UPDATE {t} SET v = 3", "DELETE FROM {t} WHERE k = '2024-10-27 01:30:00'"])
            .alter(clause)
    };
    for flavor in FLAVORS {
        let Some(server) =
            available(Server::builder(flavor).option("--default-time-zone=+02:00").start())
        else {
            continue;
        };
        let db = database(&server, "zones");
        case("").begin(&db);
        let error = alter(&db, "t", "MODIFY ts DATETIME").run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
        assert!(
            error.message().contains("time zone") && error.message().contains("`ts`"),
            "{error}"
        );
        case("MODIFY v BIGINT").same_in(&database(&server, "zones"));
        case("MODIFY ts DATETIME")
            .with(|alter| alter.time_zone("+00:00"))
            .native_session("SET SESSION time_zone = '+00:00'")
            .same_in(&database(&server, "zones"));
    }
}
