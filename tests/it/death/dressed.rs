//! The server dies about the swap of a table with foreign keys and triggers, which are on both tables then.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Step, TableState};
use online_alter_support::{Server, database};

use super::on_durable;
use super::server::Killer;
use crate::harness::{alter, tables, wait_until};

fn count(server: &Server, db: &str, table: &str) -> u32 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = '{db}' AND \
         TABLE_NAME = '{table}' AND CONSTRAINT_TYPE = 'FOREIGN KEY'"
    );
    server.conn().query_first(sql).unwrap().unwrap()
}

#[test]
fn foreign_keys_and_triggers() {
    on_durable("death_dressed", |server| {
        // Behind the swap nobody but the run may take the old table's keys off, which keep parents from being deleted.
        for (step, swapped) in [(Step::Dressed, false), (Step::FreeingParents, true)] {
            let db = database(server, "death_dressed");
            let mut conn = db.conn();
            for sql in [
                "CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB",
                "CREATE TABLE l (id INT) ENGINE=InnoDB",
                "CREATE TABLE t (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)) ENGINE=InnoDB",
                "CREATE TRIGGER t_i AFTER INSERT ON t FOR EACH ROW INSERT INTO l VALUES (NEW.id)",
                "INSERT INTO p VALUES (1), (2)",
                "INSERT INTO t VALUES (1, 1)",
            ] {
                conn.query_drop(sql).unwrap();
            }
            let killer = Killer::new(server);
            let run =
                || alter(&db, "t", "ADD c INT").keep_foreign_keys(true).include_triggers(true);
            let ended = killer.end_of(killer.at(run(), step));
            let mut conn = db.conn();
            if swapped {
                let report = ended.unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(count(server, db.name(), "_t_del"), 0, "{report:?}");
            } else {
                let error = ended.map(|report| report.to_string()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
                assert_eq!(error.table_state(), TableState::Untouched, "{error}");
                // Rows that are out of date keep parents from being deleted, until that is done by hand or the
                // run is gone on with.
                assert_eq!(count(server, db.name(), "_t_gho"), 1);
                assert!(error.message().contains("foreign keys and triggers"), "{error}");
            }
            let resumed = run().resume(true).run().unwrap_or_else(|error| panic!("{error}"));
            wait_until("all is tidy", || tables(&mut conn) == ["_t_del", "l", "p", "t"]);
            assert_eq!((count(server, db.name(), "t"), count(server, db.name(), "_t_del")), (1, 0));
            conn.query_drop("INSERT INTO t (id, p) VALUES (2, 2)").unwrap();
            let logged: Vec<i32> = conn.query("SELECT id FROM l ORDER BY id").unwrap();
            assert_eq!(logged, [1, 2], "{step:?}: {resumed:?}");
            assert!(conn.query_drop("DELETE FROM p WHERE id = 2").is_err());
        }
    });
}
