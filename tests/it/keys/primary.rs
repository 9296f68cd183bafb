//! The primary key dropped, or replaced by one that was not unique before.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Postpone, Step, TableState};
use online_alter_support::{Flavor, Server, available, database};

use super::Case;
use crate::harness::{alter, on_each, tables, wait_until};

const OLD: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];
const NEW: [&str; 3] = ["8", "9", "10"];

#[test]
fn dropped() {
    let plain = "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, PRIMARY KEY (k))";
    Case::new("pk_dropped", plain).values(&OLD, &NEW).alter("DROP PRIMARY KEY").run();
    Case::new("pk_dropped_nullable", plain)
        .values(&OLD, &NEW)
        .alter("DROP PRIMARY KEY, MODIFY k BIGINT NULL, ADD KEY (k)")
        .run();
    // The unique key becomes the one that the rows are stored in.
    let unique = "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, u INT NOT NULL DEFAULT 5, \
                  PRIMARY KEY (k), UNIQUE KEY uk (u, k))";
    Case::new("pk_dropped_unique_left", unique).values(&OLD, &NEW).alter("DROP PRIMARY KEY").run();
}

#[test]
fn dropped_with_a_counter() {
    let counted =
        "CREATE TABLE {t} (k INT NOT NULL AUTO_INCREMENT, v INT NOT NULL, PRIMARY KEY (k))";
    Case::new("pk_to_key", counted)
        .values(&OLD, &NEW)
        .alter("DROP PRIMARY KEY, ADD KEY kk (k)")
        .run();
    Case::new("pk_to_unique", counted)
        .values(&OLD, &NEW)
        .alter("DROP PRIMARY KEY, ADD UNIQUE KEY kk (k)")
        .run();
    Case::new("pk_dropped_counter_too", counted)
        .values(&OLD, &NEW)
        .alter("DROP PRIMARY KEY, MODIFY k INT NOT NULL")
        .run();
}

#[test]
fn dropped_of_several_columns_and_of_text() {
    let rows =
        ["INSERT INTO {t} VALUES (1, 'a', 0), (1, 'b', 0), (2, 'A', 0), (2, 'c', 0), (3, '', 0)"];
    let changes = [
        "UPDATE {t} SET b = 'A' WHERE a = 1 AND b = 'a'",
        "UPDATE {t} SET a = 9 WHERE b = 'c'",
        "DELETE FROM {t} WHERE b = 'b'",
        "INSERT INTO {t} VALUES (1, 'B', 5), (0, 'x', 5)",
        "UPDATE {t} SET v = v + 1",
    ];
    Case::new(
        "pk_dropped_wide",
        "CREATE TABLE {t} (a INT NOT NULL, b VARCHAR(9) NOT NULL, v INT, PRIMARY KEY (a DESC, b)) \
         DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    )
    .rows(&rows)
    .changes(&changes)
    .alter("DROP PRIMARY KEY, ADD COLUMN w INT DEFAULT 1 FIRST")
    .run();
}

/// No key is shared by the table before and after.
#[test]
fn replaced_by_one_that_was_not_unique() {
    let create = "CREATE TABLE {t} (k INT NOT NULL AUTO_INCREMENT, v INT NOT NULL, \
                  code VARCHAR(20) NULL, PRIMARY KEY (k), KEY c (code))";
    let rows: Vec<String> = (1..=9)
        .map(|i| format!("INSERT INTO {{t}} (k, v, code) VALUES ({i}, {i}, 'code {i}')"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let changes = [
        // For a while two rows have the same.
        "UPDATE {t} SET code = 'code 1' WHERE k = 2",
        "UPDATE {t} SET code = 'other' WHERE k = 1",
        "UPDATE {t} SET k = 20 WHERE k = 3",
        "DELETE FROM {t} WHERE k = 4",
        "INSERT INTO {t} (v, code) VALUES (1, 'new'), (2, 'newer')",
        "UPDATE {t} SET code = 'x' WHERE k = 5",
        "UPDATE {t} SET code = 'code 5' WHERE k = 6",
        "UPDATE {t} SET code = 'code 6' WHERE k = 5",
        "UPDATE {t} SET v = v + 1",
    ];
    let case = |name, clause: &str| {
        Case::new(name, create).rows(&rows).changes(&changes).alter(clause).run();
    };
    case(
        "pk_replaced",
        "MODIFY code VARCHAR(20) NOT NULL, MODIFY k INT NOT NULL, DROP PRIMARY KEY, \
         ADD PRIMARY KEY (code)",
    );
    case(
        "pk_replaced_counted",
        "MODIFY code VARCHAR(20) NOT NULL, DROP PRIMARY KEY, ADD KEY (k), \
         ADD PRIMARY KEY (code DESC, v) COMMENT 'by code', ADD UNIQUE KEY u (v, code)",
    );
    case(
        "pk_replaced_prefix",
        "MODIFY code VARCHAR(20) NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (code(10)), \
         ADD UNIQUE KEY (k)",
    );
}

/// A counter whose only key is the primary key that has to wait.
#[test]
fn a_counter_moves_to_the_new_key() {
    Case::new(
        "pk_counter_moves",
        "CREATE TABLE {t} (k INT NOT NULL, n INT NOT NULL, v INT NOT NULL DEFAULT 0, PRIMARY KEY (k))",
    )
    .rows(&["INSERT INTO {t} (k, n) VALUES (1, 11), (2, 12), (3, 13), (4, 14), (5, 15), (6, 16)"])
    .changes(&[
        "UPDATE {t} SET n = 21 WHERE k = 1",
        "UPDATE {t} SET k = 9 WHERE n = 12",
        "DELETE FROM {t} WHERE k = 3",
        "INSERT INTO {t} (k, n) VALUES (3, 33)",
    ])
    .alter("DROP PRIMARY KEY, MODIFY n INT NOT NULL AUTO_INCREMENT, ADD PRIMARY KEY (n)")
    .run();
}

#[test]
fn with_a_longer_one_for_partitions() {
    let create = "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, d DATE NOT NULL DEFAULT '2024-01-01', \
                  PRIMARY KEY (k), KEY (d))";
    let clause = "DROP PRIMARY KEY, ADD PRIMARY KEY (k, d) PARTITION BY RANGE COLUMNS (d) \
                  (PARTITION p0 VALUES LESS THAN ('2024-06-01'), PARTITION p1 VALUES LESS THAN (MAXVALUE))";
    let moves = |case: Case| {
        let mut case = case.values(&OLD, &NEW);
        // Rows change their partition.
        case.changes.insert(3, "UPDATE {t} SET d = '2024-12-31' WHERE k IN (1, 2, 6)".to_owned());
        case.changes.push("UPDATE {t} SET d = '2025-12-31' WHERE k IN (3, 7)".to_owned());
        case.alter(clause)
    };
    moves(Case::new("pk_partitions", create)).run();
    moves(Case::new("pk_partitions_wide", create.replace("k INT", "k DECIMAL(10)"))).run();
    moves(Case::new(
        "pk_partitions_counted",
        create.replace("k INT NOT NULL", "k INT NOT NULL AUTO_INCREMENT"),
    ))
    .run();
    // No index of the new table begins with the old key.
    let reordered = clause.replace("(k, d)", "(d, k)");
    moves(Case::new("pk_partitions_other_way", create)).alter(reordered).run();
    let dropped = "DROP PRIMARY KEY PARTITION BY HASH (v) PARTITIONS 3".to_owned();
    moves(Case::new("pk_partitions_none", create)).alter(dropped).run();
}

#[test]
fn what_was_unique_before_needs_not_wait() {
    Case::new(
        "pk_made_of_unique",
        "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, code INT NOT NULL DEFAULT 4, PRIMARY KEY (k), \
         UNIQUE KEY u (v, k))",
    )
    .values(&OLD, &NEW)
    .alter("DROP PRIMARY KEY, ADD PRIMARY KEY (v, k), ADD KEY (code)")
    .run();
}

/// Indexes stand in the order in which the server's own ALTER leaves them.
#[test]
fn unique_keys_keep_their_order() {
    Case::new(
        "pk_order",
        "CREATE TABLE {t} (k INT NOT NULL PRIMARY KEY, a VARCHAR(9) NOT NULL, b INT NOT NULL, c INT NULL, \
         UNIQUE KEY w (c), UNIQUE KEY z (a), UNIQUE KEY y (b), UNIQUE KEY x (k), KEY a (c)) \
         DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin",
    )
    .rows(&["INSERT INTO {t} VALUES (1, 'a', 1, 1), (2, 'b', 2, 2), (3, 'c', 3, 3), (4, 'd', 4, NULL)"])
    .changes(&[
        "INSERT INTO {t} VALUES (5, 'A', 5, 5)",
        "UPDATE {t} SET a = 'e' WHERE k = 1",
        "UPDATE {t} SET k = 6 WHERE k = 2",
        "DELETE FROM {t} WHERE k = 3",
    ])
    .alter("MODIFY a VARCHAR(9) COLLATE utf8mb4_general_ci NOT NULL, DROP PRIMARY KEY")
    .run();
}

/// Duplicates there before, and written during the run: the run fails, names them, and the table is as
/// it was.
#[test]
fn duplicates_in_the_new_key() {
    on_each("pk_duplicates", |_, db| {
        for late in [false, true] {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t").unwrap();
            conn.query_drop(
                "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, code VARCHAR(9) NOT NULL) \
                 DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
            )
            .unwrap();
            conn.query_drop("INSERT INTO t (code) VALUES ('a'), ('b'), ('c'), ('d')").unwrap();
            let duplicate = "UPDATE t SET code = 'B  ' WHERE code = 'd'";
            let clause = "DROP PRIMARY KEY, ADD PRIMARY KEY (code), ADD KEY (id)";
            if !late {
                conn.query_drop(duplicate).unwrap();
            }
            let handle = alter(db, "t", clause)
                .retries(3)
                .postpone_cut_over(Postpone::until_released())
                .start()
                .unwrap();
            if late {
                wait_until("it is postponed", || {
                    handle.progress().phase == online_alter::Phase::Postponed
                });
                conn.query_drop(duplicate).unwrap();
                handle.cut_over();
            }
            let error = handle.join().unwrap_err();
            eprintln!("{error}");
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            assert!(error.message().to_lowercase().contains("'b"), "does not name it: {error}");
            let rows: Vec<String> = conn.query("SELECT code FROM t ORDER BY id").unwrap();
            assert_eq!(rows, ["a", "b", "c", "B  "]);
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}

/// A row that is in conflict with another can never be refreshed. It differs for that reason, and
/// verification does not wait for it.
#[test]
fn duplicates_do_not_keep_verification_waiting() {
    on_each("pk_duplicates_verified", |_, db| {
        for ty in ["INT", "VARCHAR(9)"] {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t").unwrap();
            conn.query_drop(format!(
                "CREATE TABLE t (id {ty} NOT NULL PRIMARY KEY, v INT NOT NULL)"
            ))
            .unwrap();
            conn.query_drop("INSERT INTO t VALUES ('1', 1), ('2', 2), ('3', 3)").unwrap();
            let url = db.url().to_owned();
            let started = std::time::Instant::now();
            let error = alter(db, "t", "ADD UNIQUE KEY (v)")
                .retries(3)
                .on_step(move |step, _| {
                    if step == Step::IndexesBuilt {
                        let mut conn = mysql::Conn::new(url.as_str()).unwrap();
                        conn.query_drop("UPDATE t SET v = 1 WHERE id = '2'").unwrap();
                    }
                })
                .run()
                .unwrap_err();
            eprintln!("{error} after {:.1?}", started.elapsed());
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}

#[test]
fn a_server_that_wants_primary_keys() {
    let started = Server::builder(Flavor::Mysql)
        .option("--sql-require-primary-key=ON")
        .option("--sql-generate-invisible-primary-key=ON")
        .start();
    let Some(server) = available(started) else { return };
    let db = database(&server, "pk_required");
    let mut conn = db.conn();
    for (clause, works) in [
        ("DROP PRIMARY KEY, ADD PRIMARY KEY (code)", true),
        ("DROP PRIMARY KEY, ADD PRIMARY KEY (code), MODIFY id VARCHAR(9)", true),
        ("DROP PRIMARY KEY", false),
    ] {
        conn.query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, code INT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 11), (2, 12)").unwrap();
        let native = conn.query_drop(format!("ALTER TABLE t {clause}, ADD COLUMN late INT"));
        assert_eq!(native.is_ok(), works, "{clause}: {native:?}");
        conn.query_drop("DROP TABLE t").unwrap();
        conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, code INT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 11), (2, 12)").unwrap();
        match alter(&db, "t", clause).run() {
            Ok(_) => assert!(works, "{clause}"),
            Err(error) => {
                assert!(!works, "{clause}: {error}");
                assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
                assert_eq!(tables(&mut conn), ["t"]);
            }
        }
    }
}

/// The numbers would not be those that the server gives.
#[test]
fn a_new_counter_is_refused() {
    on_each("pk_new_counter", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (k INT NOT NULL PRIMARY KEY)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (7), (8)").unwrap();
        for clause in [
            "DROP PRIMARY KEY, ADD COLUMN n BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
            "ADD COLUMN n BIGINT NOT NULL AUTO_INCREMENT, ADD UNIQUE KEY (n)",
        ] {
            let error = alter(db, "t", clause).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
            assert!(error.message().contains("`n`"), "{error}");
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}
