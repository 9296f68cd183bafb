//! The journal and its judge, against tables that were tampered with by hand.

mod running;

use std::thread;
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::journal::Expected;
use crate::{
    Check, Database, Flavor, Outcome, Table, Workload, Writers, check, csm, database, shared,
};

fn simple_table(db: &Database, rows: u64) -> Table {
    let mut conn = db.conn();
    conn.query_drop(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(64) NOT NULL)",
    )
    .unwrap();
    for first in (1..=rows).step_by(1000) {
        let values: Vec<_> = (first..(first + 1000).min(rows + 1))
            .map(|id| format!("({id}, {}, 'first {id}')", id * 7))
            .collect();
        conn.query_drop(format!("INSERT INTO t VALUES {}", values.join(","))).unwrap();
    }
    Table::simple("t")
}

fn csm_table(db: &Database, rows: u64) -> Table {
    let mut conn = db.conn();
    csm::create_table(&mut conn, csm::TABLE).unwrap();
    csm::fill(&mut conn, csm::TABLE, rows).unwrap();
    Table::csm(csm::TABLE)
}

fn run(db: &Database, workload: Workload, time: Duration) -> Outcome {
    let writers = Writers::start(db.url(), workload).unwrap();
    thread::sleep(time);
    writers.stop()
}

fn row_where(outcome: &Outcome, which: impl Fn(&Expected) -> bool) -> i64 {
    *outcome.rows.iter().find(|(_, entry)| which(&entry.last)).unwrap().0
}

fn written(expected: &Expected) -> bool {
    matches!(expected, Expected::Written(_))
}

/// Tampers with a consistent table in each of the ways and expects just that to be found.
fn tamper(conn: &mut Conn, table: &Table, outcome: &Outcome, sql: &str) -> Check {
    check(conn, table, outcome).unwrap().assert_clean();
    conn.query_drop("SET autocommit = 0").unwrap();
    conn.query_drop(sql).unwrap();
    assert_eq!(conn.affected_rows(), 1, "{sql}");
    let found = check(conn, table, outcome).unwrap();
    conn.query_drop("ROLLBACK").unwrap();
    assert!(!found.is_clean());
    found
}

fn counts(check: &Check) -> [usize; 4] {
    [check.lost.len(), check.stale.len(), check.resurrected.len(), check.unexpected.len()]
}

#[test]
fn finds_what_was_tampered_with() {
    for flavor in Flavor::ALL {
        let Some(server) = shared(flavor) else {
            continue;
        };
        let db = database(server, "tamper_simple");
        let table = simple_table(&db, 3000);
        let outcome = run(&db, Workload::new(table.clone()), Duration::from_millis(700));
        assert_eq!(outcome.errors, Vec::<String>::new());
        assert!(outcome.inserts > 0 && outcome.updates > 0 && outcome.deletes > 0, "{outcome:?}");
        let mut conn = db.conn();
        let mut test = |sql: &str| tamper(&mut conn, &table, &outcome, sql);
        let live = row_where(&outcome, written);
        let dead = row_where(&outcome, |last| *last == Expected::Absent);
        let untouched =
            *outcome.snapshot.rows.keys().find(|id| !outcome.rows.contains_key(id)).unwrap();

        let found = test(&format!("DELETE FROM t WHERE id = {live}"));
        assert_eq!(counts(&found), [1, 0, 0, 0]);
        assert!(
            found.lost[0].starts_with(&format!("id {live} is gone: it should hold ")),
            "{found}"
        );
        let found = test(&format!("UPDATE t SET v = v - 64 WHERE id = {live}"));
        assert_eq!(counts(&found), [0, 1, 0, 0]);
        assert!(found.stale[0].contains(&format!("id {live} holds ")), "{found}");
        let found = test(&format!("UPDATE t SET pad = CONCAT(pad, ' ') WHERE id = {live}"));
        assert_eq!(counts(&found), [0, 1, 0, 0]);
        let found = test(&format!("INSERT INTO t VALUES ({dead}, 5, 'back')"));
        assert_eq!(counts(&found), [0, 0, 1, 0]);
        let found = test(&format!("UPDATE t SET v = v + 1 WHERE id = {untouched}"));
        assert_eq!(counts(&found), [0, 0, 0, 1]);
        let found = test(&format!("DELETE FROM t WHERE id = {untouched}"));
        assert_eq!(counts(&found), [1, 0, 0, 0]);
        let found = test("INSERT INTO t (v, pad) VALUES (1, 'who?')");
        assert_eq!(counts(&found), [0, 0, 0, 1]);
    }
}

#[test]
fn judges_the_real_table() {
    for flavor in Flavor::ALL {
        let Some(server) = shared(flavor) else {
            continue;
        };
        let db = database(server, "tamper_csm");
        let table = csm_table(&db, 3000);
        let first = run(&db, Workload::new(table.clone()), Duration::from_millis(300));
        assert_eq!(first.errors, Vec::<String>::new());
        check(&mut db.conn(), &table, &first).unwrap().assert_clean();
        // A second time, on rows that the first has written.
        let outcome = run(&db, Workload::new(table.clone()), Duration::from_millis(700));
        assert_eq!(outcome.errors, Vec::<String>::new());
        println!(
            "{flavor}: {} writes in {:?}, p50 {:?}, p99 {:?}, longest {:?}",
            outcome.acknowledged,
            outcome.elapsed,
            outcome.percentile(50.0),
            outcome.percentile(99.0),
            outcome.max_wait()
        );
        let mut conn = db.conn();
        let mut test = |sql: &str| counts(&tamper(&mut conn, &table, &outcome, sql));
        let name = csm::TABLE;
        let live = row_where(&outcome, written);
        // Columns that no update writes are judged, too, of old rows and of new ones.
        let born = |old: bool| {
            let mut rows = outcome.rows.iter();
            *rows.find(|(_, row)| row.born.is_none() == old && written(&row.last)).unwrap().0
        };
        assert_eq!(
            test(&format!("UPDATE {name} SET done = 'x' WHERE id = {}", born(true))),
            [0, 1, 0, 0]
        );
        assert_eq!(
            test(&format!("UPDATE {name} SET done = 'x' WHERE id = {}", born(false))),
            [0, 1, 0, 0]
        );
        assert_eq!(
            test(&format!("UPDATE {name} SET state = NULL WHERE id = {live}")),
            [0, 1, 0, 0]
        );
        let microsecond = "modified = modified + INTERVAL 1 MICROSECOND";
        assert_eq!(
            test(&format!("UPDATE {name} SET {microsecond} WHERE id = {live}")),
            [0, 1, 0, 0]
        );
        let untouched =
            *outcome.snapshot.rows.keys().find(|id| !outcome.rows.contains_key(id)).unwrap();
        let created = "created = created + INTERVAL 1 MICROSECOND";
        assert_eq!(
            test(&format!("UPDATE {name} SET {created} WHERE id = {untouched}")),
            [0, 0, 0, 1]
        );
    }
}

#[test]
fn a_column_can_be_ignored() {
    let Some(server) = shared(Flavor::MariaDb) else {
        return;
    };
    let db = database(server, "ignoring");
    let table = csm_table(&db, 500).ignoring("grade").ignoring("max_grade");
    let outcome = run(&db, Workload::new(table.clone()), Duration::from_millis(200));
    let alter =
        format!("ALTER TABLE {} DROP COLUMN grade, MODIFY id BIGINT AUTO_INCREMENT", csm::TABLE);
    db.conn().query_drop(alter).unwrap();
    check(&mut db.conn(), &table, &outcome).unwrap().assert_clean();
}
