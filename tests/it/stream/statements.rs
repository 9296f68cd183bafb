//! Writes that are logged as statements.

use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::ErrorKind;

use super::{CLAUSE, COLUMNS, create, exec, execs, failure, on_own, postponed, same};
use crate::harness::{alter, tables};

#[test]
fn statements_in_the_place_of_rows() {
    let writes = [
        "UPDATE t SET v = v + 1 WHERE id = 3",
        "INSERT INTO t (v) VALUES (3)",
        "DELETE FROM t WHERE id = 3",
        "REPLACE INTO t (id, v) VALUES (3, 3)",
        "INSERT INTO t (v) SELECT a FROM other",
        "UPDATE other, t SET t.v = other.a WHERE t.id = 3",
        "WITH x AS (SELECT 3 AS id) DELETE FROM t WHERE id IN (SELECT id FROM x)",
    ];
    on_own("stream_statement", |server, db| {
        for write in writes {
            execs(&mut db.conn(), &["DROP TABLE IF EXISTS t, other"]);
            // MariaDB 10.11 has no WITH in front of DELETE.
            if write.starts_with("WITH") && server.flavor().is_mariadb() {
                continue;
            }
            let mut session = db.conn();
            exec(&mut session, "SET SESSION binlog_format = 'STATEMENT'");
            let mut conn = db.conn();
            create(&mut conn, "t");
            execs(&mut conn, &["CREATE TABLE other (a INT)", "INSERT INTO other VALUES (1)"]);
            let handle = postponed(alter(db, "t", CLAUSE));
            exec(&mut session, write);
            let error = failure(handle);
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{write}: {error}");
            assert!(error.message().contains(&format!("`{}`.`t`", db.name())), "{error}");
            assert_eq!(tables(&mut conn), ["other", "t"]);
            let columns: u32 = conn
                .query_first("SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't'")
                .unwrap()
                .unwrap();
            assert_eq!(columns, 5);
        }
    });
}

/// Statements that write to the table without naming it: by a trigger of another table, or by a
/// function. In statement format the binlog shows only the statement itself.
#[test]
fn statements_that_write_behind_the_scenes() {
    let writes =
        ["INSERT INTO other VALUES (1)", "INSERT INTO third VALUES (touch())", "DO touch()"];
    on_own("stream_behind", |_, db| {
        for write in writes {
            execs(
                &mut db.conn(),
                &["DROP TABLE IF EXISTS t, _t_del, other, third", "DROP FUNCTION IF EXISTS touch"],
            );
            let mut conn = db.conn();
            create(&mut conn, "t");
            // MySQL wants to be told that it may.
            let _ = conn.query_drop("SET GLOBAL log_bin_trust_function_creators = ON");
            execs(
                &mut conn,
                &[
                    "CREATE TABLE other (a INT)",
                    "CREATE TABLE third (a INT)",
                    "CREATE TRIGGER tr AFTER INSERT ON other FOR EACH ROW UPDATE t SET v = 777 WHERE id = 3",
                    "CREATE FUNCTION touch() RETURNS INT MODIFIES SQL DATA BEGIN \
                     UPDATE t SET v = 777 WHERE id = 3; RETURN 1; END",
                ],
            );
            let mut session = db.conn();
            exec(&mut session, "SET SESSION binlog_format = 'STATEMENT'");
            let handle = postponed(alter(db, "t", CLAUSE));
            exec(&mut session, write);
            exec(&mut conn, "UPDATE t SET pad = 'after' WHERE id = 4");
            std::thread::sleep(Duration::from_millis(300));
            handle.cut_over();
            match handle.join() {
                Ok(_) => same(&mut conn, COLUMNS),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TableChanged, "{write}: {error}"),
            }
        }
    });
}
