//! Tables that are kept, or cannot be dropped, are named.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Leftover, Step, TableState};

use super::{ADD, Case, content, each, hold_at};
use crate::harness::{tables, wait_until};

fn leftover(case: &Case<'_>, table: &str) -> Leftover {
    Leftover::Table(format!("`{}`.`{table}`", case.db.name()))
}

#[test]
fn kept_tables_are_named() {
    for (at, step) in [Step::GhostCreated, Step::CopyDone].into_iter().enumerate() {
        each(&format!("keep_{at}"), ADD, |case| {
            let (alter, hold) = hold_at(case.alter().keep_on_failure(true), step);
            let handle = alter.start().unwrap();
            hold.wait();
            handle.abort();
            hold.go();
            let error = handle.join().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Aborted);
            assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
            assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
            let text = error.to_string();
            assert!(text.contains("_t_gho`") && text.contains("_t_ghc`"), "{text}");
            assert_eq!(content(&mut case.conn), case.before);
            case.assert_no_connection();
            case.alter().replace_ghost_table(true).run().unwrap();
            case.assert_altered();
        });
    }
}

/// Nothing is named that is not there: the ALTER failed after the ghost was made.
#[test]
fn kept_tables_of_a_refused_alter_are_named() {
    each("keep_refused", "ADD INDEX i (nope)", |case| {
        let error = case.alter().keep_on_failure(true).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Alter);
        assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
        assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
    });
}

#[test]
fn what_cannot_be_dropped_is_named() {
    each("revoke_drop", ADD, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        let name = case.db.name().to_owned();
        case.sql(&format!("REVOKE DROP ON `{name}`.* FROM {name}"));
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
        assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
        assert_eq!(content(&mut case.conn), case.before);
        case.assert_no_connection();
    });
}

/// Whoever cleans up is killed while he does: it is tried again, and nothing is named that is not there.
#[test]
fn cleaning_up_is_killed() {
    each("kill_cleaning", ADD, |case| {
        for how in ["KILL", "KILL QUERY"] {
            let (alter, hold) = hold_at(case.alter(), Step::CopyDone);
            let handle = alter.start().unwrap();
            hold.wait();
            // The drop waits for this.
            let mut reader = case.db.conn();
            reader.query_drop("BEGIN").unwrap();
            reader.query_drop("SELECT COUNT(*) FROM _t_gho").unwrap();
            handle.abort();
            hold.go();
            let drops = "SELECT COALESCE(MAX(ID), 0) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DROP \
                         TABLE%kill_cleaning%_t_gho%'";
            wait_until("it drops the ghost", || case.number(drops) != 0);
            let id = case.number(drops);
            case.sql(&format!("{how} {id}"));
            wait_until("it is dropped by another, or again", || {
                let now = case.number(drops);
                now != 0 && (now != id || how == "KILL QUERY")
            });
            drop(reader);
            let error = handle.join().unwrap_err();
            assert_eq!(error.leftovers(), [], "{how}: {error}");
            assert_eq!(tables(&mut case.conn), ["t"]);
        }
        case.assert_untouched();
    });
}
