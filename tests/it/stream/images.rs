//! Row images of every kind, partial and compressed ones, are followed.

use online_alter::ErrorKind;
use online_alter_support::{Flavor, Server, available, database};

use super::{CLAUSE, create, exec, execs, failure, follows, postponed, same};
use crate::harness::{alter, on, on_each, tables};

#[test]
fn row_images() {
    on_each("stream_images", |_, db| follows(db, &[]));
    on_each("stream_minimal", |_, db| follows(db, &["SET SESSION binlog_row_image = 'MINIMAL'"]));
    on_each("stream_noblob", |_, db| follows(db, &["SET SESSION binlog_row_image = 'NOBLOB'"]));
    on(Flavor::MariaDb11, "stream_nodup", |_, db| {
        follows(db, &["SET SESSION binlog_row_image = 'FULL_NODUP'"]);
    });
    on(Flavor::MariaDb11, "stream_mariadb11", |_, db| follows(db, &[]));
}

#[test]
fn partial_json() {
    on(Flavor::Mysql, "stream_partial_json", |_, db| {
        follows(db, &["SET SESSION binlog_row_value_options = 'PARTIAL_JSON'"]);
    });
    on(Flavor::Mysql, "stream_partial_json_minimal", |_, db| {
        follows(
            db,
            &[
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
                "SET SESSION binlog_row_image = 'MINIMAL'",
            ],
        );
    });
}

#[test]
fn compressed_transactions() {
    on(Flavor::Mysql, "stream_compressed", |_, db| {
        follows(
            db,
            &[
                "SET SESSION binlog_transaction_compression = ON",
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            ],
        );
    });
}

#[test]
fn compressed_events() {
    for flavor in [Flavor::MariaDb, Flavor::MariaDb11] {
        let started = Server::builder(flavor)
            .option("--log-bin-compress=ON")
            .option("--log-bin-compress-min-len=10")
            .start();
        let Some(server) = available(started) else {
            continue;
        };
        follows(&database(&server, "compressed"), &[]);
        // Statements are compressed too, and must be seen all the same.
        let db = database(&server, "compressed_ddl");
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(&db, "t", CLAUSE));
        let comment = "x".repeat(300);
        exec(&mut conn, &format!("TRUNCATE TABLE /* {comment} */ t"));
        assert_eq!(failure(handle).kind(), ErrorKind::TableChanged);
    }
}

#[test]
fn a_key_that_minimal_images_leave_out() {
    on_each("stream_key_left_out", |_, db| {
        let mut conn = db.conn();
        execs(
            &mut conn,
            &[
                "CREATE TABLE t (p INT NOT NULL PRIMARY KEY, id INT NOT NULL, v INT NOT NULL, UNIQUE KEY (id))",
                "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
            ],
        );
        let handle = postponed(alter(db, "t", "DROP COLUMN p, ADD PRIMARY KEY (id)"));
        execs(
            &mut conn,
            &["SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET v = 9 WHERE id = 2"],
        );
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("binlog_row_image"), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
    });
}

/// With a minimal image an INSERT of nothing but defaults logs no column at all.
#[test]
fn a_key_that_is_its_default() {
    on_each("stream_key_default", |_, db| {
        let mut conn = db.conn();
        execs(
            &mut conn,
            &[
                "CREATE TABLE t (id INT NOT NULL DEFAULT 5 PRIMARY KEY, v INT DEFAULT 1)",
                "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
            ],
        );
        let handle = postponed(alter(db, "t", "ADD COLUMN extra INT DEFAULT 7"));
        execs(
            &mut conn,
            &["SET SESSION binlog_row_image = 'MINIMAL'", "INSERT INTO t () VALUES ()"],
        );
        // Either the key was logged all the same, or the run must stop.
        handle.cut_over();
        match handle.join() {
            Ok(_) => same(&mut conn, "id, v"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Binlog, "{error}"),
        }
    });
}
