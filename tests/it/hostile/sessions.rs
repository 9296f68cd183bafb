//! Settings that a session, or a server, may have.

use mysql::prelude::Queryable;
use online_alter_support::{Flavor, Server, available, database};

use super::twins::{follows, same_as_twin};
use crate::harness::{alter, on, on_each};
use crate::stream::{CLAUSE, create, exec, finish, postponed};

#[test]
fn writes_of_every_kind() {
    on_each("hostile_plain", |server, db| drop(follows(server, db, &[])));
    on(Flavor::MariaDb11, "hostile_plain_11", |server, db| drop(follows(server, db, &[])));
}

#[test]
fn minimal_images() {
    on_each("hostile_minimal", |server, db| {
        follows(server, db, &["SET SESSION binlog_row_image = 'MINIMAL'"]);
    });
}

#[test]
fn images_without_blobs() {
    on_each("hostile_noblob", |server, db| {
        follows(server, db, &["SET SESSION binlog_row_image = 'NOBLOB'"]);
    });
}

#[test]
fn json_diffs() {
    on(Flavor::Mysql, "hostile_json", |server, db| {
        follows(server, db, &["SET SESSION binlog_row_value_options = 'PARTIAL_JSON'"]);
    });
}

#[test]
fn everything_at_once() {
    on(Flavor::Mysql, "hostile_everything", |server, db| {
        follows(
            server,
            db,
            &[
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
                "SET SESSION binlog_transaction_compression = ON",
                "SET SESSION binlog_row_image = 'MINIMAL'",
                "SET SESSION binlog_rows_query_log_events = ON",
            ],
        );
    });
    on(Flavor::MariaDb, "hostile_everything", |server, db| {
        follows(
            server,
            db,
            &[
                "SET SESSION binlog_row_image = 'MINIMAL'",
                "SET SESSION binlog_annotate_row_events = ON",
                "SET SESSION unique_checks = 0, foreign_key_checks = 0",
            ],
        );
    });
}

#[test]
fn compressed_by_the_server() {
    for flavor in [Flavor::MariaDb, Flavor::MariaDb11] {
        let started = Server::builder(flavor)
            .option("--log-bin-compress=ON")
            .option("--log-bin-compress-min-len=10")
            // Rows in many events.
            .option("--binlog-row-event-max-size=256")
            .start();
        let Some(server) = available(started) else { continue };
        follows(&server, &database(&server, "hostile_compressed"), &[]);
    }
    let started = Server::builder(Flavor::Mysql)
        .option("--binlog-transaction-compression=ON")
        .option("--binlog-row-event-max-size=256")
        .start();
    let Some(server) = available(started) else { return };
    follows(&server, &database(&server, "hostile_compressed"), &[]);
}

/// Statements that only MariaDB has, and files that the server itself reads.
#[test]
fn statements_of_mariadb() {
    for flavor in [Flavor::MariaDb, Flavor::MariaDb11] {
        on(flavor, "hostile_mariadb", |server, db| {
            let mut conn = db.conn();
            create(&mut conn, "t");
            create(&mut conn, "expect");
            let file = server.data_dir().join("hostile_rows.txt");
            std::fs::write(&file, "201\t1\n3\t33\n").unwrap();
            let load = format!(
                "LOAD DATA INFILE '{}' REPLACE INTO TABLE {{t}} (id, v)",
                file.to_str().unwrap()
            );
            let handle = postponed(alter(db, "t", CLAUSE));
            for table in ["t", "expect"] {
                for sql in [
                    "DELETE FROM {t} WHERE id IN (5, 6) RETURNING id, v",
                    "INSERT INTO {t} (id, v) VALUES (101, 1), (102, 2) RETURNING id",
                    "REPLACE INTO {t} (id, v) VALUES (101, 3), (7, 3) RETURNING v",
                    "UPDATE {t} SET v = v + 1 WHERE id > 10 ORDER BY id LIMIT 3",
                    "SET STATEMENT binlog_row_image = 'MINIMAL' FOR UPDATE {t} SET id = 104 WHERE id = 8",
                    "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR INSERT INTO {t} (id, v) VALUES (105, 5)",
                    "BEGIN NOT ATOMIC UPDATE {t} SET v = 0 WHERE id = 9; DELETE FROM {t} WHERE id = 10; END",
                    "EXECUTE IMMEDIATE 'UPDATE {t} SET pad = ''now'' WHERE id = 11'",
                    load.as_str(),
                ] {
                    let _: Vec<mysql::Row> = conn.query(sql.replace("{t}", table)).unwrap();
                }
            }
            finish(handle);
            exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
            same_as_twin(&mut conn);
            // As on MySQL, InnoDB has none of these.
            conn.query_drop("INSERT DELAYED INTO t (id, v) VALUES (300, 1)").unwrap_err();
        });
    }
}
