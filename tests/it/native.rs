//! Runs that leave the ALTER to the server.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ErrorKind, NativeAlter, OnlineAlter, TableState};
use online_alter_support::Database;

use crate::harness::{alter, on_each, tables};

fn table(db: &Database) -> Conn {
    let mut conn = db.conn();
    conn.query_drop(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, s VARCHAR(40))",
    )
    .unwrap();
    conn.query_drop("INSERT INTO t (v, s) VALUES (1, 'one'), (2, 'two'), (2, NULL)").unwrap();
    conn
}

fn definition(conn: &mut Conn) -> String {
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    row.get(1).unwrap()
}

fn short(alter: OnlineAlter) -> OnlineAlter {
    alter.cut_over_lock_timeout(Duration::from_secs(1))
}

#[test]
fn instantly_where_the_server_can() {
    on_each("native_instant", |_, db| {
        let mut conn = table(db);
        for (clause, native) in [
            ("ADD c INT NOT NULL DEFAULT 7", Some(NativeAlter::Instant)),
            ("ADD d INT -- the last", Some(NativeAlter::Instant)),
            // Were the algorithm behind it, it would not be seen, and the server would copy the table.
            ("MODIFY v BIGINT NOT NULL -- wider", None),
        ] {
            conn.query_drop("DROP TABLE IF EXISTS _t_del").unwrap();
            let report = alter(db, "t", clause).attempt_instant(true).run().unwrap();
            assert_eq!(report.native, native, "{clause}");
            let expected: &[&str] = if native.is_some() { &["t"] } else { &["_t_del", "t"] };
            assert_eq!(tables(&mut conn), expected, "{clause}");
            assert_eq!(report.to_string().contains("by ALGORITHM=INSTANT"), native.is_some());
        }
        let sums: Option<(u64, u64)> = conn.query_first("SELECT SUM(v), SUM(c) FROM t").unwrap();
        assert_eq!(sums, Some((5, 21)));
        // Not unless it is asked for.
        conn.query_drop("DROP TABLE _t_del").unwrap();
        assert_eq!(alter(db, "t", "ADD e INT").run().unwrap().native, None);
    });
}

#[test]
fn foreign_keys_stay_only_if_they_may() {
    on_each("native_keys", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE p (id INT PRIMARY KEY)").unwrap();
        conn.query_drop(
            "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))",
        )
        .unwrap();
        let kept = alter(db, "t", "ADD c INT").attempt_instant(true).keep_foreign_keys(true);
        let report = kept.run().unwrap();
        assert_eq!(report.native, Some(NativeAlter::Instant));
        assert_eq!(report.foreign_keys, [("fk".to_owned(), "fk".to_owned())]);
        let discarded = alter(db, "t", "ADD d INT").attempt_instant(true).native_below_rows(10);
        let report = discarded.discard_foreign_keys(true).run().unwrap();
        assert_eq!((report.native, report.foreign_keys), (None, Vec::new()));
        assert!(!definition(&mut conn).contains("FOREIGN KEY"));
    });
}

#[test]
fn small_tables_and_no_others() {
    on_each("native_small", |_, db| {
        let mut conn = table(db);
        let report = alter(db, "t", "MODIFY v BIGINT NOT NULL").native_below_rows(4).run().unwrap();
        assert_eq!(report.native, Some(NativeAlter::Small));
        assert_eq!(tables(&mut conn), ["t"]);
        assert!(definition(&mut conn).contains("`v` bigint"));
        let report = alter(db, "t", "MODIFY v INT NOT NULL").native_below_rows(3).run().unwrap();
        assert_eq!((report.native, report.rows_copied), (None, 3));
    });
}

#[test]
fn what_the_server_refuses_is_an_error_with_the_table_untouched() {
    on_each("native_refused", |_, db| {
        let mut conn = table(db);
        let before = definition(&mut conn);
        for (clause, kind) in [
            ("ADD UNIQUE KEY (v)", ErrorKind::DuplicateRows),
            ("MODIFY s VARCHAR(2)", ErrorKind::RowRefused),
        ] {
            let error = alter(db, "t", clause).native_below_rows(100).run().unwrap_err();
            assert_eq!(
                (error.kind(), error.table_state()),
                (kind, TableState::Untouched),
                "{error}"
            );
            assert_eq!(error.leftovers(), []);
        }
        assert_eq!((definition(&mut conn), tables(&mut conn)), (before, vec!["t".to_owned()]));
    });
}

/// Somebody reads the table, in a transaction that goes on: the attempt does not wait for long, and the rows are
/// copied; what it waits for at the cut-over is over then.
#[test]
fn a_lock_that_is_not_to_be_had() {
    on_each("native_locked", |_, db| {
        let mut conn = table(db);
        let mut reader = db.conn();
        reader.query_drop("START TRANSACTION").unwrap();
        reader.query_drop("SELECT * FROM t").unwrap();
        let alter = short(alter(db, "t", "ADD c INT NOT NULL DEFAULT 7"))
            .attempt_instant(true)
            .native_below_rows(100)
            .on_step({
                let reader = std::sync::Mutex::new(Some(reader));
                move |step, _| {
                    if step == online_alter::Step::GhostCreated {
                        drop(reader.lock().unwrap().take());
                    }
                }
            });
        let report = alter.run().unwrap();
        assert_eq!((report.native, report.rows_copied), (None, 3));
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
}
