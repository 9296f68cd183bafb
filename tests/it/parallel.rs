//! Several runs at once in one process.

use std::sync::Barrier;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Phase, Postpone, TableState};
use online_alter_support::{Table, Workload, Writers, check, csm};

use crate::harness::{alter, on_each, tables, wait_until};

#[test]
fn three_tables_at_once_under_writers() {
    on_each("three_at_once", |_, db| {
        let mut conn = db.conn();
        let names = ["one", "two", "three"];
        let table = |name: &str| {
            if name == "one" { Table::csm(name) } else { Table::simple(name) }
        };
        csm::create_table(&mut conn, "one").unwrap();
        csm::fill(&mut conn, "one", 3000).unwrap();
        for name in ["two", "three"] {
            conn.query_drop(format!(
                "CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad \
                 VARCHAR(64) NOT NULL) ENGINE=InnoDB"
            ))
            .unwrap();
            conn.query_drop(format!("INSERT INTO {name} (v, pad) SELECT id, 'first' FROM one"))
                .unwrap();
        }
        let writers: Vec<Writers> = names
            .iter()
            .map(|name| {
                let mut workload = Workload::new(table(name));
                workload.writers = 2;
                workload.rate = Some(100.0);
                Writers::start(db.url(), workload).unwrap()
            })
            .collect();
        wait_until("all are written to", || writers.iter().all(|w| w.statements() > 5));
        let clauses = [
            "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT",
            "ADD COLUMN c INT NOT NULL DEFAULT 7",
            "MODIFY id BIGINT NOT NULL AUTO_INCREMENT, ADD INDEX v_i (v)",
        ];
        let handles: Vec<_> = names
            .iter()
            .zip(clauses)
            .map(|(name, clause)| {
                let alter = alter(db, name, clause).postpone_cut_over(Postpone::until_released());
                alter.start().unwrap()
            })
            .collect();
        // All three are under way at the same time, and cut over at the same time.
        wait_until("all are postponed", || {
            handles.iter().all(|handle| handle.progress().phase == Phase::Postponed)
        });
        for handle in &handles {
            handle.cut_over();
        }
        let reports: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
        let before: Vec<u64> = writers.iter().map(Writers::statements).collect();
        wait_until("writes go on", || {
            writers
                .iter()
                .zip(&before)
                .all(|(w, before)| w.statements() > before + 5 || w.errors() > 0)
        });
        for ((name, writers), report) in names.iter().zip(writers).zip(reports) {
            let outcome = writers.stop();
            assert_eq!(outcome.errors, Vec::<String>::new(), "{name}");
            assert_eq!(report.conflicting_keys, Vec::<String>::new(), "{name}");
            assert_eq!(report.reconciled_keys, Vec::<String>::new(), "{name}");
            assert_eq!(report.warnings, Vec::<String>::new(), "{name}");
            assert!(report.keys_changed > 0, "{name}");
            check(&mut conn, &table(name), &outcome).unwrap().assert_clean();
        }
        assert_eq!(
            tables(&mut conn),
            ["_one_del", "_three_del", "_two_del", "one", "three", "two"]
        );
        for (name, column, ty) in
            [("one", "id", "bigint"), ("two", "c", "int"), ("three", "id", "bigint")]
        {
            let sql = "SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \
                       DATABASE() AND TABLE_NAME = ? AND COLUMN_NAME = ?";
            let found: Option<String> = conn.exec_first(sql, (name, column)).unwrap();
            assert_eq!(found.as_deref(), Some(ty), "{name}");
        }
    });
}

/// Both are planned before either begins. Postponed, the winner is still there when the loser ends.
#[test]
fn of_two_starts_at_once_one_wins() {
    on_each("two_starts", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        let barrier = Barrier::new(2);
        let start = || {
            let plan = alter(db, "t", "ADD COLUMN c INT")
                .postpone_cut_over(Postpone::until_released())
                .plan()
                .unwrap();
            barrier.wait();
            let handle = plan.start().unwrap();
            wait_until("it is over, or postponed", || {
                handle.is_finished() || handle.progress().phase == Phase::Postponed
            });
            handle
        };
        let handles = std::thread::scope(|scope| {
            let threads = [scope.spawn(start), scope.spawn(start)];
            threads.map(|thread| thread.join().unwrap())
        });
        let [a, b] = handles;
        let (winner, loser) = if a.is_finished() { (b, a) } else { (a, b) };
        assert!(loser.is_finished() && !winner.is_finished());
        let error = loser.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyRunning, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(error.leftovers(), []);
        // It took nothing of the winner's away.
        assert_eq!(tables(&mut conn), ["_t_ghc", "_t_gho", "t"]);
        conn.query_drop("INSERT INTO t VALUES (3, 3)").unwrap();
        wait_until("the winner follows", || winner.progress().keys_refreshed > 0);
        winner.cut_over();
        winner.join().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
        let sum: Option<u32> = conn.query_first("SELECT SUM(v) FROM t WHERE c IS NULL").unwrap();
        assert_eq!(sum, Some(6));
    });
}

/// The lock of a run is free as soon as the run is over.
#[test]
fn one_run_after_the_other() {
    on_each("one_after_the_other", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        for clause in ["ADD COLUMN a INT", "ADD COLUMN b INT", "DROP COLUMN a", "ADD INDEX (v)"] {
            alter(db, "t", clause).replace_old_table(true).run().unwrap();
        }
        let columns: Vec<String> = conn
            .query(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \
                 DATABASE() AND TABLE_NAME = 't' ORDER BY ORDINAL_POSITION",
            )
            .unwrap();
        assert_eq!(columns, ["id", "v", "b"]);
    });
}
