//! Tables in the way, of earlier runs and of others: which are replaced, and which never.

use mysql::Row;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Leftover, Phase, Postpone};
use online_alter_support::Database;

use super::{Facts, alone, is, plain_table, refused, sql};
use crate::harness::{alter, tables, wait_until};

#[test]
fn tables_of_others_are_never_dropped() {
    alone("refuse_foreign", |server, db| {
        let mut conn = plain_table(db);
        for name in ["_t_gho", "_t_ghc"] {
            sql(&mut conn, &[&format!("CREATE TABLE {name} (id INT PRIMARY KEY) ENGINE=InnoDB")]);
            for replace in [false, true] {
                let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(replace);
                let error = refused(server, db, alter.replace_old_table(true));
                is(&error, ErrorKind::LeftoversPresent, &[name, "not touched"]);
            }
            sql(&mut conn, &[&format!("DROP TABLE {name}")]);
        }
        // Nor is a view.
        sql(&mut conn, &["CREATE VIEW _t_gho AS SELECT * FROM t"]);
        let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true);
        is(&refused(server, db, alter), ErrorKind::LeftoversPresent, &["_t_gho"]);
    });
}

/// A ghost of others beside a state table of ours.
#[test]
fn a_state_table_does_not_make_every_ghost_ours() {
    alone("refuse_beside", |server, db| {
        let mut conn = plain_table(db);
        leave(db);
        sql(&mut conn, &["DELETE FROM _t_ghc WHERE id = 2"]);
        let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true);
        let error = refused(server, db, alter);
        is(&error, ErrorKind::LeftoversPresent, &["_t_gho", "not touched"]);
    });
}

/// A run of ours that leaves its tables.
fn leave(db: &Database) {
    let alter = alter(db, "t", "ADD COLUMN old_try INT")
        .keep_on_failure(true)
        .postpone_cut_over(Postpone::until_released());
    let handle = alter.start().unwrap();
    wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
    handle.abort();
    let error = handle.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
    let name = |table: &str| Leftover::Table(format!("`{}`.`{table}`", db.name()));
    assert_eq!(error.leftovers(), [name("_t_gho"), name("_t_ghc")], "{error}");
    assert_eq!(tables(&mut db.conn()), ["_t_ghc", "_t_gho", "t"]);
}

#[test]
fn tables_of_an_earlier_run_are_replaced_when_told() {
    alone("replace_leftovers", |server, db| {
        let mut conn = plain_table(db);
        leave(db);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::LeftoversPresent, &["_t_gho", "replace_ghost_table"]);
        let before = Facts::read(server, db);
        let plan = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true).plan().unwrap();
        assert_eq!(Facts::read(server, db), before);
        let drops: Vec<String> = plan.statements().into_iter().take(2).collect();
        assert_eq!(
            drops,
            ["DROP TABLE `replace_leftovers`.`_t_gho`", "DROP TABLE `replace_leftovers`.`_t_ghc`"]
        );
        plan.run().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
        let columns: Vec<Row> = conn.query("SHOW COLUMNS FROM t LIKE 'old_try'").unwrap();
        assert_eq!(columns.len(), 0);
        let sum: Option<u32> = conn.query_first("SELECT SUM(v) FROM t WHERE c IS NULL").unwrap();
        assert_eq!(sum, Some(6));
    });
}

#[test]
fn an_old_table_is_replaced_when_told() {
    alone("replace_old", |server, db| {
        let mut conn = plain_table(db);
        sql(&mut conn, &["CREATE TABLE _t_del (precious INT PRIMARY KEY) ENGINE=InnoDB"]);
        for replace_ghost in [false, true] {
            let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(replace_ghost);
            let error = refused(server, db, alter);
            is(&error, ErrorKind::LeftoversPresent, &["_t_del", "replace_old_table"]);
        }
        alter(db, "t", "ADD COLUMN c INT").replace_old_table(true).run().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
        let sum: Option<u32> = conn.query_first("SELECT SUM(v) FROM _t_del").unwrap();
        assert_eq!(sum, Some(6));
    });
}
