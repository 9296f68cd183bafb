//! Aborts by the handle, or by dropping it, in every phase of a run.

use online_alter::{ErrorKind, Phase, Step};

use super::{ADD, ADD_UNIQUE, each, hold_at, hold_in_copy};
use crate::harness::wait_until;

fn abort_at(name: &str, clause: &'static str, step: Step, phases: &[Phase]) {
    each(name, clause, |case| {
        let (alter, hold) = hold_at(case.alter(), step);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert!(phases.contains(&error.phase()), "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_when_the_ghost_is_there() {
    abort_at("abort_ghost", ADD, Step::GhostCreated, &[Phase::Prepare, Phase::Fence]);
}

#[test]
fn abort_behind_the_fence() {
    abort_at("abort_fence", ADD, Step::FencePassed, &[Phase::Fence, Phase::Copy]);
}

#[test]
fn abort_after_the_copy() {
    abort_at("abort_copied", ADD, Step::CopyDone, &[Phase::Copy, Phase::Analyze]);
}

#[test]
fn abort_before_the_indexes() {
    abort_at("abort_no_index", ADD_UNIQUE, Step::CopyDone, &[Phase::Copy, Phase::BuildIndexes]);
}

#[test]
fn abort_when_the_indexes_are_built() {
    abort_at(
        "abort_indexed",
        ADD_UNIQUE,
        Step::IndexesBuilt,
        &[Phase::BuildIndexes, Phase::Analyze],
    );
}

#[test]
fn abort_in_the_copy() {
    each("abort_copy", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter());
        let handle = alter.start().unwrap();
        hold.wait();
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert_eq!(error.phase(), Phase::Copy, "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_while_postponed() {
    each("abort_postponed", ADD_UNIQUE, |case| {
        let handle = case.postponed();
        handle.abort();
        let error = handle.join().unwrap_err();
        assert_eq!(error.phase(), Phase::Postponed, "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_while_paused() {
    each("abort_paused", ADD, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        wait_until("it copies", || handle.progress().phase == Phase::Copy);
        handle.abort();
        let error = handle.join().unwrap_err();
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

/// Dropping the handle waits until everything is tidy. Paused, the run could not end otherwise.
#[test]
fn dropping_the_handle_aborts() {
    for (at, step) in [Step::GhostCreated, Step::FencePassed, Step::CopyDone, Step::IndexesBuilt]
        .into_iter()
        .enumerate()
    {
        each(&format!("drop_handle_{at}"), ADD_UNIQUE, |case| {
            let (alter, hold) = hold_at(case.alter(), step);
            let handle = alter.start().unwrap();
            hold.wait();
            handle.pause();
            hold.go();
            drop(handle);
            case.assert_untouched();
        });
    }
    each("drop_handle_postponed", ADD, |case| {
        drop(case.postponed());
        case.assert_untouched();
    });
}
