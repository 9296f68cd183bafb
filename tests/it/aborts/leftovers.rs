//! Tables that are kept, or cannot be dropped, are named.

use online_alter::{ErrorKind, Leftover, Step, TableState};

use super::{ADD, Case, content, each, hold_at};
use crate::harness::tables;

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
