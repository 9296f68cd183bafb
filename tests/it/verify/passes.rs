//! How passes over all rows begin, beside the building of indexes, and how they end.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, IndexBuild, OnMismatch, OnlineAlter, Phase, Step, TableState};
use online_alter_support::Database;
use parking_lot::Mutex;

use super::verification;
use crate::harness::{alter, index_build, on_each, wait_until};

const ROWS: u32 = 3000;

fn table(db: &Database) -> Conn {
    let mut conn = db.conn();
    conn.query_drop("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, KEY v (v))")
        .unwrap();
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, {id})")).collect();
    conn.query_drop(format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
    conn
}

/// A run whose index build waits until `held` commits, so that things can happen while it is under way.
/// Behind it the run waits for `built`, or until nobody can send that any more.
fn with_a_build_that_waits(
    db: &Database,
    held: &Arc<Mutex<Conn>>,
    built: Receiver<()>,
) -> OnlineAlter {
    let (holds, built) = (Arc::clone(held), Mutex::new(built));
    alter(db, "t", "MODIFY v BIGINT NOT NULL").index_build(IndexBuild::AfterCopy).on_step(
        move |step, _| match step {
            Step::CopyDone => {
                let mut holder = holds.lock();
                holder.query_drop("BEGIN").unwrap();
                holder.query_drop("SELECT * FROM _t_gho LIMIT 1").unwrap();
            }
            Step::IndexesBuilt => drop(built.lock().recv()),
            _ => {}
        },
    )
}

fn build_is_under_way(conn: &mut Conn) {
    wait_until("the build is under way", || index_build(conn).is_some());
}

/// Nothing is refreshed while indexes are built: what has changed meanwhile is no difference, and needs no
/// other pass.
#[test]
fn what_changes_during_the_build_is_no_difference() {
    on_each("beside_the_build", |_, db| {
        let mut conn = table(db);
        let held = Arc::new(Mutex::new(db.conn()));
        let (go_on, built) = channel();
        let run = with_a_build_that_waits(db, &held, built);
        let handle = run.on_mismatch(OnMismatch::Stop).start().unwrap();
        // Dropped before the handle, which waits for the run, if this fails.
        let go_on = go_on;
        build_is_under_way(&mut conn);
        for change in [
            "UPDATE t SET v = v + 10 WHERE id % 4 = 0",
            "DELETE FROM t WHERE id % 4 = 1 AND id < 1500",
            "INSERT INTO t SELECT id + 10000, v FROM t WHERE id % 4 = 2",
            "UPDATE t SET id = id + 20000 WHERE id % 4 = 3 AND id > 2000",
        ] {
            conn.query_drop(change).unwrap();
        }
        let sum = "SELECT COUNT(*), SUM(id * v) FROM t";
        let expected: Option<(u64, u64)> = conn.query_first(sum).unwrap();
        held.lock().query_drop("COMMIT").unwrap();
        wait_until("rows are compared before the build is over", || {
            handle.progress().rows_verified > 0
        });
        assert_eq!(handle.progress().phase, Phase::BuildIndexes);
        go_on.send(()).unwrap();
        let report = handle.join().unwrap();
        let found = report.verification.as_ref().unwrap();
        assert_eq!((found.passes, found.repaired), (1, 0), "{report}");
        assert!(report.keys_changed > 1000, "{report}");
        let now: Option<(u64, u64)> = conn.query_first(sum).unwrap();
        assert_eq!(now, expected);
    });
}

#[test]
fn differences_seen_during_the_build_are_judged_behind_it() {
    on_each("beside_the_build_judged", |_, db| {
        let mut conn = table(db);
        let run = |conn: &mut Conn, on_mismatch| {
            let held = Arc::new(Mutex::new(db.conn()));
            let run = with_a_build_that_waits(db, &held, channel().1).replace_old_table(true);
            let handle = run.on_mismatch(on_mismatch).start().unwrap();
            build_is_under_way(conn);
            conn.query_drop("SET sql_log_bin = 0").unwrap();
            conn.query_drop("UPDATE t SET v = v + 1 WHERE id IN (7, 2900)").unwrap();
            conn.query_drop("SET sql_log_bin = 1").unwrap();
            conn.query_drop("UPDATE t SET v = v + 1 WHERE id IN (8, 2901)").unwrap();
            held.lock().query_drop("COMMIT").unwrap();
            handle.join()
        };
        let error = run(&mut conn, OnMismatch::Stop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        let keys: Vec<&str> = error.differences().iter().map(|d| d.key.as_str()).collect();
        assert_eq!(keys, ["(7)", "(2900)"], "{error}");
        let report = run(&mut conn, OnMismatch::Repair).unwrap();
        assert_eq!(verification(&report), (2, 2), "{report}");
        let rows: Vec<(u32, u32)> =
            conn.query("SELECT id, v FROM t WHERE v <> id ORDER BY id").unwrap();
        assert_eq!(rows, [(7, 9), (8, 10), (2900, 2902), (2901, 2903)]);
    });
}

/// A pass that has found enough ends although most of its workers have not had their turn yet.
#[test]
fn a_pass_that_is_given_up_ends() {
    on_each("pass_given_up", |_, db| {
        let mut conn = db.conn();
        // Of fat rows a chunk has few, so that there are always more to come than have been looked at.
        conn.query_drop(
            "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, fat CHAR(250) NOT NULL)",
        )
        .unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1, REPEAT('x', 250))").unwrap();
        for _ in 0..17 {
            let more = "INSERT INTO t SELECT m + id, v, fat FROM t, (SELECT MAX(id) AS m FROM t) AS of_all";
            conn.query_drop(more).unwrap();
        }
        conn.query_drop("ANALYZE TABLE t").unwrap();
        let url = db.url().to_owned();
        let error = alter(db, "t", "MODIFY v BIGINT NOT NULL")
            .copy_workers(8)
            .on_mismatch(OnMismatch::Stop)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    conn.query_drop("SET sql_log_bin = 0").unwrap();
                    conn.query_drop("UPDATE _t_gho SET v = 2 WHERE id <= 50").unwrap();
                }
            })
            .run()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{error}");
        assert_eq!(error.differences().len(), 20);
    });
}
