//! The handle dropped at each step: the run has ended when that returns, and what is there is the table as it was, or
//! altered, and nothing else.

use mysql::prelude::Queryable;
use online_alter::Step;

use super::{ADD, ADD_UNIQUE, Case, each, hold_at};
use crate::harness::{FLAVORS, index_build, on, tables, wait_until};

fn dropped_at(case: &mut Case<'_>, step: Step) {
    let (alter, hold) = hold_at(case.alter(), step);
    let handle = alter.start().unwrap();
    hold.wait();
    handle.pause();
    let dropping = std::thread::spawn(move || drop(handle));
    // An attempt that is under way comes to its end, so the run may only go on once it is asked to stop.
    std::thread::sleep(std::time::Duration::from_millis(100));
    hold.go();
    dropping.join().unwrap();
}

fn untouched_at(name: &str, step: Step) {
    each(name, ADD_UNIQUE, |case| {
        dropped_at(case, step);
        case.assert_untouched();
    });
}

#[test]
fn when_it_has_the_lock() {
    untouched_at("drop_lock", Step::LockTaken);
}

#[test]
fn with_an_empty_state_table() {
    untouched_at("drop_state", Step::StateCreated);
}

#[test]
fn with_a_record() {
    untouched_at("drop_recorded", Step::Recorded);
}

#[test]
fn with_a_ghost_that_is_not_altered() {
    untouched_at("drop_made", Step::GhostMade);
}

#[test]
fn behind_the_verification() {
    untouched_at("drop_verified", Step::Verified);
}

/// The server is building indexes, which is one statement: that is ended.
#[test]
fn while_indexes_are_built() {
    each("drop_building", ADD_UNIQUE, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::CopyDone);
        let handle = alter.start().unwrap();
        hold.wait();
        // The statement waits for this.
        let mut reader = case.db.conn();
        reader.query_drop("BEGIN").unwrap();
        reader.query_drop("SELECT COUNT(*) FROM _t_gho").unwrap();
        hold.go();
        wait_until("it builds", || index_build(&mut case.conn).is_some());
        let dropping = std::thread::spawn(move || drop(handle));
        wait_until("the statement is ended", || index_build(&mut case.conn).is_none());
        drop(reader);
        dropping.join().unwrap();
        case.assert_untouched();
    });
}

/// An attempt that has begun is not broken off: it decides.
fn decided_at(name: &str, step: Step) {
    for flavor in FLAVORS {
        on(flavor, name, |server, db| {
            let mut case = Case::new(server, db, ADD);
            dropped_at(&mut case, step);
            assert_eq!(tables(&mut case.conn), ["_t_del", "t"], "{step:?}");
            case.assert_altered();
        });
    }
}

#[test]
fn with_the_table_locked() {
    decided_at("drop_locked", Step::Locked);
}

#[test]
fn right_before_the_swap() {
    decided_at("drop_before", Step::BeforeRename);
}

/// The proof and what comes behind it are not left out.
#[test]
fn behind_the_swap() {
    decided_at("drop_swapped", Step::Renamed);
}

#[test]
fn behind_the_proof() {
    decided_at("drop_proven", Step::Proven);
}
