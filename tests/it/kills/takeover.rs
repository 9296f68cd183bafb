//! What is left of a run that is taken for dead: statements that are still under way, and the run itself, when it comes
//! back.

use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Step};

use super::program::{CLAUSE, Program, Said};
use super::{LONG, judge, set_up, start_writers};
use crate::harness::{alter, connection_is_gone, on_each, wait_until};

/// A chunk has read a row and waits for another one's lock. The program dies, the row is deleted, and the chunk goes on:
/// it would bring the row back.
#[test]
fn a_late_chunk_brings_nothing_back() {
    on_each("kills_late_chunk", |server, db| {
        set_up(server, db);
        let mut conn = db.conn();
        let mut first = Program::start(db.url(), "FencePassed", false);
        assert_eq!(first.wait(LONG), Said::At);
        first.kill();
        // The chunk will wait for this row of the ghost.
        let mut blocker = db.conn();
        blocker.query_drop("BEGIN").unwrap();
        blocker.query_drop("INSERT INTO _t_gho (id, v, pad) VALUES (50, 1, 'b')").unwrap();
        let second = Program::start(db.url(), "", true);
        let mut chunks = || -> Vec<u32> {
            conn.query(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'INSERT%_t_gho%SELECT%'",
            )
            .unwrap()
        };
        let mut late = Vec::new();
        wait_until("a chunk waits", || {
            late = chunks();
            !late.is_empty()
        });
        second.kill();
        db.conn().query_drop("DELETE FROM t WHERE id = 90").unwrap();
        let mut third = Program::start(db.url(), "FencePassed", true);
        assert_eq!(third.wait(LONG), Said::At);
        // Before it would have given up by itself.
        assert!(!chunks().iter().any(|id| late.contains(id)));
        blocker.query_drop("ROLLBACK").unwrap();
        third.kill();
        let mut last = Program::start(db.url(), "Verified", true);
        assert_eq!(last.wait(LONG), Said::At);
        let ghost: Vec<u32> = conn.query("SELECT id FROM _t_gho WHERE id IN (50, 90)").unwrap();
        assert_eq!(ghost, [50]);
        last.kill();
    });
}

/// The server goes on to build indexes for a program that is dead.
#[test]
fn a_late_index_build_is_ended() {
    on_each("kills_late_build", |server, db| {
        set_up(server, db);
        let mut conn = db.conn();
        let mut first = Program::start(db.url(), "CopyDone", false);
        assert_eq!(first.wait(LONG), Said::At);
        first.kill();
        // The statement that builds them will wait for whoever uses the ghost.
        let mut reader = db.conn();
        reader.query_drop("BEGIN").unwrap();
        reader.query_drop("SELECT 1 FROM _t_gho LIMIT 1").unwrap();
        let second = Program::start(db.url(), "", true);
        let mut late = 0;
        wait_until("the indexes are about to be built", || {
            let builds: Option<u32> = conn
                .query_first(
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'ALTER TABLE%_t_gho%ADD%'",
                )
                .unwrap();
            late = builds.unwrap_or(0);
            late != 0
        });
        second.kill();
        let mut third = Program::start(db.url(), "FencePassed", true);
        assert_eq!(third.wait(LONG), Said::At);
        // Before it would have given up by itself.
        assert!(connection_is_gone(&mut conn, late));
        reader.query_drop("ROLLBACK").unwrap();
        third.kill();
        let mut last = Program::start(db.url(), "Verified", true);
        assert_eq!(last.wait(LONG), Said::At);
        let built: Vec<String> = conn
            .query("SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND \
                    TABLE_NAME = '_t_gho' ORDER BY BINARY INDEX_NAME")
            .unwrap();
        assert!(["pad", "u"].iter().all(|name| built.contains(&(*name).to_owned())), "{built:?}");
        last.kill();
    });
}

/// A program that has stood still, with its connections open, until it was taken for dead. It comes back in the middle of
/// the other one's work, or behind it.
fn comes_back(name: &str, at: &str, ends_first: bool) {
    on_each(name, |server, db| {
        set_up(server, db);
        let writers = start_writers(db);
        let mut first = Program::start(db.url(), at, false);
        assert_eq!(first.wait(LONG), Said::At);
        first.signal("STOP");
        let mut second = Program::start(db.url(), if ends_first { "" } else { "CopyDone" }, true);
        let said = second.wait(LONG);
        if ends_first {
            assert_eq!(said, Said::Done("0 0".to_owned()));
        } else {
            assert_eq!(said, Said::At);
        }
        first.signal("CONT");
        // What it stood at was one of its threads; the others notice.
        assert!(matches!(first.wait(Duration::from_secs(2)), Said::Nothing | Said::Failed(_)));
        if !ends_first {
            let tables = crate::harness::tables(&mut db.conn());
            assert_eq!(tables, ["_t_ghc", "_t_gho", "fired", "p", "t"]);
            drop(second);
            let mut third = Program::start(db.url(), "", true);
            assert_eq!(third.wait(LONG), Said::Done("0 0".to_owned()));
        }
        drop(first);
        judge(db, writers, "came back");
    });
}

#[test]
fn a_run_that_comes_back_in_the_middle_does_no_harm() {
    comes_back("kills_come_back", "Chunk 3", false);
}

#[test]
fn a_run_that_comes_back_behind_the_end_does_no_harm() {
    comes_back("kills_come_back_late", "Locked", true);
}

#[test]
fn a_run_that_lives_is_not_taken_for_dead() {
    on_each("kills_alive", |server, db| {
        set_up(server, db);
        let mut first = Program::start(db.url(), "Verified", false);
        assert_eq!(first.wait(LONG), Said::At);
        let error = alter(db, "t", CLAUSE)
            .keep_foreign_keys(true)
            .include_triggers(true)
            .resume(true)
            .on_step(|step, _| assert_ne!(step, Step::GhostCreated))
            .run()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyRunning, "{error}");
        assert_eq!(error.leftovers(), []);
        first.kill();
        let mut second = Program::start(db.url(), "", true);
        assert_eq!(second.wait(LONG), Said::Done("0 0".to_owned()));
    });
}

/// A row has changed, and cannot be refreshed, as the application has the table locked. The place in the binlog that is
/// written down is behind the change by then.
#[test]
fn what_waits_to_be_refreshed_is_written_down() {
    on_each("kills_pending", |server, db| {
        set_up(server, db);
        let mut conn = db.conn();
        let mut first = Program::start(db.url(), "Verified", false);
        assert_eq!(first.wait(LONG), Said::At);
        let mut locker = db.conn();
        locker.query_drop("LOCK TABLES t WRITE, fired WRITE").unwrap();
        locker.query_drop("UPDATE t SET v = 77 WHERE id = 5").unwrap();
        locker.query_drop("DELETE FROM t WHERE id = 6").unwrap();
        let mut place = || -> String {
            conn.query_first("SELECT body FROM _t_ghc WHERE id = 4").unwrap().unwrap()
        };
        wait_until("the keys are written down", || place().contains("\"keys\":[5,6]"));
        let before = place();
        // Behind them by now, not in front of them.
        wait_until("the place moves on", || {
            place().split("\"gtids\"").next() != before.split("\"gtids\"").next()
        });
        first.kill();
        locker.query_drop("UNLOCK TABLES").unwrap();
        let mut second = Program::start(db.url(), "Verified", true);
        assert_eq!(second.wait(LONG), Said::At);
        let ghost: Vec<(u32, i32)> =
            conn.query("SELECT id, v FROM _t_gho WHERE id IN (5, 6)").unwrap();
        assert_eq!(ghost, [(5, 77)]);
        second.kill();
    });
}
