//! What others do between the plan and the run, and another run that is under way.

use std::time::Duration;

use online_alter::{ErrorKind, Phase, Postpone, TableState};

use super::{Facts, alone, is, plain_table, refused, sql};
use crate::harness::{alter, tables, wait_until};

/// What appears between the plan and the run is not dropped either.
#[test]
fn tables_of_others_that_appear_after_the_plan_are_not_dropped() {
    alone("refuse_late", |server, db| {
        let mut conn = plain_table(db);
        for name in ["_t_gho", "_t_ghc", "_t_del"] {
            let plan = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true).plan().unwrap();
            sql(&mut conn, &[&format!("CREATE TABLE {name} (id INT PRIMARY KEY) ENGINE=InnoDB")]);
            let before = Facts::read(server, db);
            let error = plan.run().unwrap_err();
            is(&error, ErrorKind::LeftoversPresent, &[name]);
            assert_eq!(Facts::read(server, db), before);
            sql(&mut conn, &[&format!("DROP TABLE {name}")]);
        }
    });
}

#[test]
fn a_table_that_was_altered_after_the_plan() {
    alone("refuse_altered", |server, db| {
        let mut conn = plain_table(db);
        let plan = alter(db, "t", "ADD COLUMN c INT").plan().unwrap();
        sql(&mut conn, &["ALTER TABLE t ADD COLUMN mine INT"]);
        let before = Facts::read(server, db);
        let error = plan.run().unwrap_err();
        is(&error, ErrorKind::TableChanged, &["since the plan"]);
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(Facts::read(server, db), before);
    });
}

#[test]
fn another_run_is_under_way() {
    alone("refuse_second", |server, db| {
        let mut conn = plain_table(db);
        // Its heartbeats would move the end of the binlog.
        let handle = alter(db, "t", "ADD COLUMN c INT")
            .heartbeat_interval(Duration::from_secs(3600))
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let second = alter(db, "t", "ADD COLUMN d INT").replace_ghost_table(true);
        is(&refused(server, db, second), ErrorKind::AlreadyRunning, &["`refuse_second`.`t`"]);
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
}

/// A plan may be old when it is run.
#[test]
fn neighbours_that_came_after_the_plan() {
    alone("refuse_late", |server, db| {
        let mut conn = plain_table(db);
        for (come, go, kind) in [
            (
                "CREATE TRIGGER late BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
                "DROP TRIGGER late",
                ErrorKind::Triggers,
            ),
            (
                "CREATE TABLE child (t_id INT, FOREIGN KEY (t_id) REFERENCES t (id)) ENGINE=InnoDB",
                "DROP TABLE child",
                ErrorKind::ForeignKeys,
            ),
        ] {
            let plan = alter(db, "t", "ADD COLUMN c INT").plan().unwrap();
            sql(&mut conn, &[come]);
            let error = plan.run().unwrap_err();
            is(&error, kind, &["`t`"]);
            sql(&mut conn, &[go]);
            assert_eq!(error.table_state(), TableState::Untouched);
            assert_eq!(tables(&mut conn), ["t"]);
        }
        let _ = server;
    });
}
