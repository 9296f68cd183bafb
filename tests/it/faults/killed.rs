//! Statements and connections that are killed while they are at work.

use std::collections::BTreeSet;

use mysql::prelude::Queryable;
use online_alter::Step;

use super::{create, exec, held_at, statements};
use crate::harness::{on_each, wait_until};

/// A kind of statement waits for a table that the test has locked, is killed there `times` times, and does its work after
/// that.
fn killed(name: &str, step: Step, locked: &str, begins: &str, what: &str, times: usize) {
    on_each(name, |server, db| {
        let (mut conn, run) = create(server, db);
        let held = held_at(run, step);
        let mut locker = db.conn();
        exec(&mut locker, &format!("LOCK TABLES {locked} WRITE"));
        held.go.send(()).unwrap();
        let mut killed = 0;
        let mut seen = BTreeSet::new();
        wait_until("they are killed", || {
            assert!(!held.handle.is_finished(), "{killed} kills of {seen:?}");
            for (id, text) in statements(&mut conn, db) {
                // As the server shows them: in one line or several.
                let text = text.replace("/* online-alter */ ", "");
                if text.contains(locked) && text.starts_with(begins) {
                    // Or it has just been killed, and has not noticed.
                    let _ = conn.query_drop(format!("KILL {what} {id}"));
                    killed += 1;
                }
                seen.insert(text.chars().take(60).collect::<String>());
            }
            killed >= times
        });
        exec(&mut locker, "UNLOCK TABLES");
        held.finish(&mut conn);
    });
}

#[test]
fn queries_for_the_ends_of_chunks() {
    killed("kill_boundary", Step::FencePassed, "t", "SELECT", "QUERY", 3);
    killed("kill_boundary", Step::FencePassed, "t", "SELECT", "", 3);
}

#[test]
fn chunks() {
    killed("kill_chunk", Step::FencePassed, "_t_gho", "INSERT", "QUERY", 3);
    killed("kill_chunk", Step::FencePassed, "_t_gho", "INSERT", "", 3);
}

/// A new connection is told from the one before, a new statement is not: three kills of builds would be meant.
#[test]
fn index_builds() {
    killed("kill_build", Step::CopyDone, "_t_gho", "ALTER", "QUERY", 1);
    killed("kill_build", Step::CopyDone, "_t_gho", "ALTER", "", 2);
}

#[test]
fn statistics() {
    killed("kill_analyze", Step::IndexesBuilt, "_t_gho", "ANALYZE", "QUERY", 3);
    killed("kill_analyze", Step::IndexesBuilt, "_t_gho", "ANALYZE", "", 3);
}
