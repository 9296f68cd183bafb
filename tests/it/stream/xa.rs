//! XA transactions, before, around and after the copy.

use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, ErrorKind, Step};

use super::{CLAUSE, COLUMNS, create, exec, execs, failure, finish, on_own, postponed, same};
use crate::harness::{alter, tables};

#[test]
fn xa_transactions() {
    on_own("stream_xa", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter(db, "t", CLAUSE));
        let mut others: Vec<Conn> = (0..4).map(|_| db.conn()).collect();
        // Committed in another order than they were prepared in, by other connections.
        let xids = ["'one'", "'it''s', X'00FF5C27', 7", "X'0A0B', 'branch', 99", "'gone'"];
        for (i, (conn, xid)) in others.iter_mut().zip(xids).enumerate() {
            let id = i + 1;
            exec(conn, &format!("XA START {xid}"));
            exec(conn, &format!("UPDATE t SET v = v + 500, pad = 'xa' WHERE id = {id}"));
            exec(conn, &format!("DELETE FROM t WHERE id = {}", id + 10));
            exec(conn, &format!("INSERT INTO t (id, v) VALUES ({}, 5)", id + 500));
            exec(conn, &format!("XA END {xid}"));
            exec(conn, &format!("XA PREPARE {xid}"));
        }
        exec(&mut conn, "UPDATE t SET v = 55 WHERE id = 19");
        // The rows of prepared transactions have come through by now.
        std::thread::sleep(Duration::from_millis(300));
        for number in [2, 0, 1] {
            exec(&mut others[number], &format!("XA COMMIT {}", xids[number]));
        }
        exec(&mut others[3], "XA ROLLBACK 'gone'");
        execs(
            &mut conn,
            &[
                "XA START 'short'",
                "UPDATE t SET v = 600 WHERE id = 6",
                "DELETE FROM t WHERE id = 7",
                "XA END 'short'",
                "XA COMMIT 'short' ONE PHASE",
                // One that changes nothing.
                "XA START 'reader'",
                "SELECT COUNT(*) FROM t",
                "XA END 'reader'",
                "XA PREPARE 'reader'",
                "XA COMMIT 'reader'",
                "XA START 'never'",
                "UPDATE t SET v = 800 WHERE id = 8",
                "XA END 'never'",
                "XA ROLLBACK 'never'",
                // A name may be used again.
                "XA START 'one'",
                "UPDATE t SET v = 900 WHERE id = 9",
                "XA END 'one'",
                "XA PREPARE 'one'",
                "XA COMMIT 'one'",
                "UPDATE t SET v = 56 WHERE id = 20",
            ],
        );
        let report = finish(handle);
        same(&mut conn, COLUMNS);
        let values: Vec<(i32, i64)> = conn
            .query("SELECT id, v FROM t WHERE id IN (1, 2, 3, 4, 6, 8, 9, 14) ORDER BY id")
            .unwrap();
        assert_eq!(
            values,
            [(1, 501), (2, 502), (3, 503), (4, 4), (6, 600), (8, 8), (9, 900), (14, 14)]
        );
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
    });
}

#[test]
fn xa_transactions_around_the_copy() {
    on_own("stream_xa_copy", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let open = parking_lot::Mutex::new(db.conn());
        let report = alter(db, "t", CLAUSE)
            .chunk_size(ChunkSize::Rows(3))
            .on_step(move |step, _| {
                let mut open = open.lock();
                match step {
                    Step::FencePassed => execs(
                        &mut open,
                        &[
                            "XA START 'x'",
                            "UPDATE t SET v = v + 500 WHERE id < 10",
                            "DELETE FROM t WHERE id = 10",
                            "UPDATE t SET id = 700 WHERE id = 11",
                            "XA END 'x'",
                            "XA PREPARE 'x'",
                        ],
                    ),
                    Step::CopyDone => exec(&mut open, "XA COMMIT 'x'"),
                    _ => {}
                }
            })
            .run()
            .unwrap();
        assert!(report.keys_changed >= 12);
        same(&mut conn, COLUMNS);
    });
}

#[test]
fn xa_transactions_prepared_before_the_run() {
    on_own("stream_xa_before", |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let mut other = db.conn();
        execs(
            &mut other,
            &[
                "XA START 'old'",
                "UPDATE t SET v = 77 WHERE id = 1",
                "XA END 'old'",
                "XA PREPARE 'old'",
            ],
        );
        let handle = postponed(alter(db, "t", CLAUSE));
        exec(&mut other, "XA COMMIT 'old'");
        let error = failure(handle);
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("XA COMMIT"), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
    });
}
