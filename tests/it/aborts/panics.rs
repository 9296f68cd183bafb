//! Panics in the owner's code: observers, throttle policies, postponements.

use std::sync::atomic::{AtomicU32, Ordering};

use online_alter::throttle::Verdict;
use online_alter::{ErrorKind, Event, Observer, Phase, Postpone};

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

/// The first event of each phase.
fn panics_when_entering(name: &str, phase: Phase) {
    observer_panics(name, move |event| *event == Event::Phase(phase));
}

#[test]
fn an_observer_that_panics_in_prepare() {
    panics_when_entering("panic_prepare", Phase::Prepare);
}

#[test]
fn an_observer_that_panics_in_the_fence() {
    panics_when_entering("panic_fence", Phase::Fence);
}

#[test]
fn an_observer_that_panics_before_the_copy() {
    panics_when_entering("panic_copy", Phase::Copy);
}

#[test]
fn an_observer_that_panics_when_it_analyzes() {
    panics_when_entering("panic_analyze", Phase::Analyze);
}

#[test]
fn an_observer_that_panics_when_it_verifies() {
    panics_when_entering("panic_verify", Phase::Verify);
}

#[test]
fn an_observer_that_panics_when_it_cuts_over() {
    panics_when_entering("panic_cutting", Phase::CutOver);
}

/// Its veto is asked for behind each event.
struct PanickingVeto;

impl Observer for PanickingVeto {
    fn on_event(&mut self, _: &Event) {}
    fn veto(&mut self, event: &Event) -> Option<String> {
        assert!(!matches!(event, Event::ChunkCopied { .. }), "as the test wants it");
        None
    }
}

#[test]
fn a_veto_that_panics() {
    each("panic_veto", ADD, |case| {
        let error = end_of(case.alter().observer(PanickingVeto)).unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

/// There is nothing left that it could end.
#[test]
fn an_observer_that_panics_at_the_very_end() {
    each("panic_finished", ADD, |case| {
        let alter = case.alter().observer(|event: &Event| {
            assert!(!matches!(event, Event::Finished { .. }), "as the test wants it");
        });
        alter.run().unwrap();
        case.assert_altered();
    });
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
