//! Settings that a session, or a server, may have.

use online_alter_support::{Flavor, Server, available, database};

use super::twins::follows;
use crate::harness::{on, on_each};

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
    on(Flavor::Mysql, "hostile_json", |server, db| {
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
    on(Flavor::MariaDb, "hostile_mixed", |server, db| {
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
