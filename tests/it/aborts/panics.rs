//! Panics in the owner's code: observers, throttle policies, postponements.

use std::sync::atomic::{AtomicU32, Ordering};

use online_alter::throttle::Verdict;
use online_alter::{ErrorKind, Event, Postpone};

use super::{ADD, each, end_of};
use crate::harness::tables;

fn observer_panics(name: &str, on: impl Fn(&Event) -> bool + Clone + Send + 'static) {
    each(name, ADD, |case| {
        let on = on.clone();
        let alter = case.alter().observer(move |event: &Event| {
            assert!(!on(event), "as the test wants it");
        });
        let error = alter.run().unwrap_err();
        assert!(error.message().contains("observer"), "{error}");
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn an_observer_that_panics_at_once() {
    observer_panics("panic_at_once", |_| true);
}

#[test]
fn an_observer_that_panics_in_the_copy() {
    observer_panics("panic_in_copy", |event| matches!(event, Event::ChunkCopied { .. }));
}

#[test]
fn an_observer_that_panics_at_the_cut_over() {
    observer_panics("panic_in_cut_over", |event| matches!(event, Event::CutOverAttempt { .. }));
}

/// The table is altered by then, and the proof matters more.
#[test]
fn an_observer_that_panics_behind_the_swap() {
    each("panic_swapped", ADD, |case| {
        let alter = case.alter().observer(|event: &Event| {
            assert!(!matches!(event, Event::Swapped { .. }), "as the test wants it");
        });
        let report = alter.run().unwrap();
        assert_eq!(report.warnings, ["the observer panicked"]);
        assert_eq!(tables(&mut case.conn), ["_t_del", "t"]);
        case.assert_altered();
    });
}

#[test]
fn a_throttle_policy_that_panics() {
    each("panic_policy", ADD, |case| {
        let alter = case.alter().throttle(|| -> Verdict { panic!("as the test wants it") });
        let error = alter.run().unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn a_throttle_policy_that_panics_later() {
    each("panic_policy_late", ADD, |case| {
        let calls = AtomicU32::new(0);
        let alter =
            case.alter().postpone_cut_over(Postpone::until_released()).throttle(move || {
                assert!(calls.fetch_add(1, Ordering::SeqCst) < 2, "as the test wants it");
                Verdict::Proceed
            });
        let error = alter.run().unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn a_postponement_that_panics() {
    each("panic_postpone", ADD, |case| {
        let postpone = Postpone::while_true(|| panic!("as the test wants it"));
        let error = end_of(case.alter().postpone_cut_over(postpone)).unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}
