//! Deadlocks in which a run is the victim, and locks that it waits for in vain.

use online_alter::{Postpone, Step};

use super::{create, exec, held_at};
use crate::harness::{on_each, wait_until};
use crate::invariants::waiting_for_rows;

/// A transaction that has done more than a chunk waits for a row of the ghost that the chunk has put there, which waits for one of
/// the transaction's.
#[test]
fn a_chunk_is_the_victim_of_a_deadlock() {
    on_each("fault_deadlock_chunk", |server, db| {
        let (mut conn, run) = create(server, db);
        exec(&mut conn, "CREATE TABLE heavy (id INT PRIMARY KEY)");
        let held = held_at(run, Step::FencePassed);
        let mut other = db.conn();
        exec(&mut other, "SET innodb_lock_wait_timeout = 30");
        exec(&mut other, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
        exec(&mut other, "BEGIN");
        exec(&mut other, "INSERT INTO heavy SELECT id FROM t");
        exec(&mut other, "INSERT INTO _t_gho (id, v, pad) VALUES (40, 0, '')");
        held.go.send(()).unwrap();
        wait_until("the chunk waits", || {
            waiting_for_rows(&mut conn, &[db.name(), "_t_gho", "INSERT"]) == 1
        });
        exec(&mut other, "DELETE FROM _t_gho WHERE id = 10");
        held.wait_for("Deadlock found");
        exec(&mut other, "ROLLBACK");
        held.finish(&mut conn);
    });
}

/// The same of a refresh.
#[test]
fn a_refresh_is_the_victim_of_a_deadlock() {
    on_each("fault_deadlock_refresh", |server, db| {
        let (mut conn, run) = create(server, db);
        exec(&mut conn, "CREATE TABLE heavy (id INT PRIMARY KEY)");
        let run = run.verify(false).postpone_cut_over(Postpone::until_released());
        let held = held_at(run, Step::IndexesBuilt);
        held.go.send(()).unwrap();
        let mut other = db.conn();
        exec(&mut other, "SET innodb_lock_wait_timeout = 30");
        exec(&mut other, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
        exec(&mut other, "BEGIN");
        exec(&mut other, "INSERT INTO heavy SELECT id FROM t");
        exec(&mut other, "SELECT * FROM _t_gho WHERE id = 20 FOR UPDATE");
        // One batch, in which the row of 10 comes first.
        exec(&mut conn, "UPDATE t SET v = -v WHERE id IN (10, 20)");
        wait_until("the refresh waits", || {
            waiting_for_rows(&mut conn, &[db.name(), "_t_gho", "REPLACE"]) == 1
        });
        // Granted by the death of the refresh.
        exec(&mut other, "UPDATE _t_gho SET pad = '' WHERE id = 10");
        exec(&mut other, "ROLLBACK");
        held.handle.cut_over();
        held.finish(&mut conn);
    });
}
