//! Rows and batches that are too big for the limits of the server: chunks and refreshes shrink and go
//! on, and a row that is too big by itself is named.

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Step};
use online_alter_support::{Database, Server, database};

use super::{Case, Ended, exec, own};
use crate::harness::{FLAVORS, alter};

const CREATE: &str = "CREATE TABLE {t} (id INT PRIMARY KEY, v INT, b LONGBLOB) ENGINE=InnoDB";

fn on_own(options: &[&str], test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        if let Some(server) = own(flavor, options) {
            test(&server, &database(&server, "sizes"));
        }
    }
}

/// MySQL wants a redo log of ten times a blob.
#[test]
fn rows_of_sixty_megabytes() {
    for flavor in FLAVORS {
        let redo = if flavor.is_mariadb() {
            "--innodb-log-file-size=256M"
        } else {
            "--innodb-redo-log-capacity=1G"
        };
        let Some(server) = own(flavor, &["--max-allowed-packet=64M", redo]) else { continue };
        let db = database(&server, "sizes");
        let case = Case::new("sixty", CREATE)
            .rows(&[
                "INSERT INTO {t} SELECT 1, 1, REPEAT('a', 60 * 1024 * 1024)",
                "INSERT INTO {t} SELECT 2, 2, 'small'",
            ])
            .changes(&["UPDATE {t} SET b = REPEAT('c', 59 * 1024 * 1024), v = 20 WHERE id = 2"]);
        // The rows are too big to be read in hexadecimal.
        let mut changes = case.begin(&db);
        let case = case.alter("MODIFY v BIGINT, ADD c INT NOT NULL");
        case.ours(&db, &mut changes).unwrap_or_else(|error| panic!("{flavor}: {error}"));
        let rows = |table: &str| -> Vec<(i32, i64, u64, String)> {
            let sql = format!("SELECT id, v, LENGTH(b), SHA2(b, 256) FROM {table} ORDER BY id");
            db.conn().query(sql).unwrap()
        };
        assert_eq!(rows("t"), rows("expect"));
    }
}

/// More than fits the binlog's cache at a time.
#[test]
fn a_small_binlog_cache() {
    on_own(&["--binlog-cache-size=4096", "--innodb-lock-wait-timeout=1"], |server, db| {
        let rows: Vec<String> = (0..200)
            .map(|id| format!("INSERT INTO {{t}} VALUES ({id}, {id}, REPEAT('x', 2000))"))
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        // Ten rows at a time, as rows are logged whole, and before and after.
        let changes: Vec<String> = (0..20)
            .map(|n| {
                format!("UPDATE {{t}} SET v = v + 1000 WHERE id BETWEEN {0} AND {0} + 5", n * 10)
            })
            .collect();
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        let case = Case::new("cache", CREATE).rows(&rows).changes(&changes);
        let case = case.alter("MODIFY v BIGINT, ADD c VARCHAR(9) NOT NULL DEFAULT 'abc'");
        let case = case.with(|alter| alter.chunk_size(ChunkSize::Rows(100)));
        drop(server.conn().query_drop("SET GLOBAL max_binlog_cache_size = 32768"));
        // The server's own ALTER copies without the binlog.
        case.same_in(db);
    });
}

/// A single row that is bigger than the cache: the servers take it in a transaction of its own.
#[test]
fn one_row_that_is_too_big_for_the_binlog_cache() {
    on_own(&["--binlog-cache-size=4096"], |server, db| {
        exec(&mut server.conn(), "SET GLOBAL max_binlog_cache_size = 65536");
        Case::new("cache", CREATE)
            .rows(&[
                "INSERT INTO {t} VALUES (1, 1, 'x'), (2, 2, 'x'), (3, 3, 'x')",
                "INSERT INTO {t} VALUES (77, 2, REPEAT('x', 200000))",
                "INSERT INTO {t} VALUES (78, 3, REPEAT('x', 200000))",
            ])
            .changes(&[
                "UPDATE {t} SET v = 9 WHERE id = 1",
                "INSERT INTO {t} VALUES (80, 3, REPEAT('x', 200000))",
            ])
            .alter("MODIFY v BIGINT")
            .with(|alter| alter.chunk_size(ChunkSize::Rows(100)))
            .same_in(db);
    });
}

/// Statements of many long keys.
#[test]
fn small_packets() {
    on_own(&["--max-allowed-packet=16384"], |_, db| {
        let create = "CREATE TABLE {t} (k VARCHAR(200) PRIMARY KEY, v INT) ENGINE=InnoDB \
             DEFAULT CHARSET=utf8mb4";
        let rows: Vec<String> = (0..300)
            .map(|id| format!("INSERT INTO {{t}} VALUES (CONCAT(REPEAT('k', 190), {id}), {id})"))
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        Case::new("packets", create)
            .rows(&rows)
            .changes(&[
                "UPDATE {t} SET v = v + 1",
                "DELETE FROM {t} WHERE v % 7 = 0",
                "UPDATE {t} SET v = v + 1",
            ])
            .alter("MODIFY v BIGINT")
            .with(|alter| alter.chunk_size(ChunkSize::Rows(200)))
            .same_in(db);
    });
}

/// Rows that the application keeps locked for longer than anybody waits for a lock.
#[test]
fn short_waits_for_locks() {
    on_own(&["--innodb-lock-wait-timeout=1", "--lock-wait-timeout=1"], |_, db| {
        let case = Case::new("locks", CREATE)
            .rows(&["INSERT INTO {t} VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')"])
            .alter("MODIFY v BIGINT");
        drop(case.begin(db));
        let holder = std::sync::Arc::new(parking_lot::Mutex::new(db.conn()));
        let at_step = std::sync::Arc::clone(&holder);
        let url = db.conn();
        let writer = parking_lot::Mutex::new(url);
        alter(db, "t", "MODIFY v BIGINT")
            .on_step(move |step, _| {
                if step == Step::FencePassed {
                    exec(&mut writer.lock(), "UPDATE t SET v = 22 WHERE id = 2");
                    exec(&mut at_step.lock(), "BEGIN");
                    exec(&mut at_step.lock(), "UPDATE t SET v = 33 WHERE id IN (2, 3)");
                    let holder = std::sync::Arc::clone(&at_step);
                    std::thread::spawn(move || {
                        std::thread::sleep(std::time::Duration::from_millis(2500));
                        exec(&mut holder.lock(), "COMMIT");
                    });
                }
            })
            .run()
            .unwrap();
        let rows: Vec<(i32, i64)> = db.conn().query("SELECT id, v FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(1, 1), (2, 33), (3, 33)]);
    });
}

/// The server's own limit of a row is the new table's, too.
#[test]
fn rows_that_are_too_long_for_a_page() {
    let create = "CREATE TABLE {t} (id INT PRIMARY KEY, a VARBINARY(4000), b VARBINARY(4000)) \
         ENGINE=InnoDB ROW_FORMAT=DYNAMIC";
    let case = Case::new("page", create)
        .rows(&["INSERT INTO {t} VALUES (1, 'x', 'x'), (2, REPEAT('a', 4000), REPEAT('b', 4000))"])
        .alter("MODIFY a VARBINARY(5000), ROW_FORMAT=DYNAMIC");
    case.each(|_, db| assert!(matches!(case.run_in(db), Ended::Same(_))));
}
