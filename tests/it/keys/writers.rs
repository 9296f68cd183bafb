//! Changed keys under writers with a journal.

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Postpone};
use online_alter_support::{Table, Workload, Writers, check};

use crate::harness::{alter, on_each, wait_until};

/// Runs the ALTER under four writers that insert, update and delete by `id`.
fn under_writers(name: &str, keys: &str, clauses: &[&str]) {
    on_each(name, |_, db| {
        for clause in clauses {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            conn.query_drop(format!(
                "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT, v INT NOT NULL, pad VARCHAR(40) NOT NULL, \
                 code VARCHAR(36) NOT NULL DEFAULT (UUID()), {keys}) \
                 DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci"
            ))
            .unwrap();
            for from in (0..2000).step_by(500) {
                let rows: Vec<String> =
                    (from + 1..=from + 500).map(|id| format!("({id}, {id}, 'first')")).collect();
                conn.query_drop(format!("INSERT INTO t (id, v, pad) VALUES {}", rows.join(", ")))
                    .unwrap();
            }
            let workload = Workload {
                writers: 4,
                insert_pct: 25,
                delete_pct: 25,
                hot_rows: 50,
                // Without a limit they can outrun the one refresher that a new unique key allows, and whether
                // the run ever gets to its cut-over is then a matter of the machine.
                rate: Some(1500.0),
                ..Workload::new(Table::simple("t"))
            };
            let writers = Writers::start(db.url(), workload).unwrap();
            wait_until("they write", || writers.statements() > 50);
            let handle = alter(db, "t", clause)
                .chunk_size(ChunkSize::Rows(40))
                .postpone_cut_over(Postpone::until_released())
                .start()
                .unwrap();
            wait_until("it is postponed", || {
                handle.progress().phase >= online_alter::Phase::Postponed || handle.is_finished()
            });
            handle.cut_over();
            let report = handle.join().unwrap_or_else(|error| panic!("{clause}: {error}"));
            let goal = writers.statements() + 50;
            wait_until("they go on", || writers.statements() > goal);
            let outcome = writers.stop();
            eprintln!(
                "{clause}: {} statements, {} rows copied, {} keys refreshed, locked {:?}",
                outcome.acknowledged, report.rows_copied, report.keys_refreshed, report.locked
            );
            assert_eq!(outcome.errors, Vec::<String>::new(), "{clause}");
            check(&mut conn, &Table::simple("t"), &outcome).unwrap().assert_clean();
            assert_eq!(report.conflicting_keys, Vec::<String>::new());
        }
    });
}

#[test]
fn a_primary_key_that_goes_or_is_partitioned() {
    under_writers(
        "keys_writers_int",
        "PRIMARY KEY (id)",
        &[
            "DROP PRIMARY KEY, ADD KEY (id)",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id, v) PARTITION BY HASH (v) PARTITIONS 4",
        ],
    );
}

#[test]
fn a_text_key_that_is_restored_or_replaced() {
    under_writers(
        "keys_writers_text",
        "PRIMARY KEY (code), KEY (id)",
        &[
            "MODIFY code VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT (UUID())",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id, v), MODIFY code VARCHAR(36) CHARACTER SET ascii NOT \
             NULL DEFAULT (UUID()) PARTITION BY HASH (v) PARTITIONS 4",
        ],
    );
}
