//! Observers who do not let the run go on.

use online_alter::{ErrorKind, Event, Observer, Phase};

use super::{ADD, each};

type Point = fn(&Event) -> bool;

/// Objects to the events that it is told to.
struct Objects(Point);

impl Observer for Objects {
    fn on_event(&mut self, _: &Event) {}

    fn veto(&mut self, event: &Event) -> Option<String> {
        self.0(event).then(|| "not today".to_owned())
    }
}

#[test]
fn a_veto_ends_the_run() {
    let points: [(&str, Point); 6] = [
        ("veto_prepare", |event| *event == Event::Phase(Phase::Prepare)),
        ("veto_copy", |event| *event == Event::Phase(Phase::Copy)),
        ("veto_chunk", |event| matches!(event, Event::ChunkCopied { .. })),
        ("veto_verified", |event| matches!(event, Event::Verified { .. })),
        ("veto_cut_over", |event| *event == Event::Phase(Phase::CutOver)),
        ("veto_attempt", |event| matches!(event, Event::CutOverAttempt { .. })),
    ];
    for (name, objects) in points {
        each(name, ADD, |case| {
            let error = case.alter().observer(Objects(objects)).run().unwrap_err();
            assert_eq!(error.message(), "not today", "{name}");
            case.assert_failed(&error, ErrorKind::Vetoed);
        });
    }
}

#[test]
fn a_veto_behind_the_swap_comes_too_late() {
    each("veto_swapped", ADD, |case| {
        let objects = Objects(|event| matches!(event, Event::Swapped { .. }));
        let report = case.alter().observer(objects).run().unwrap();
        assert_eq!(report.warnings, ["the observer's veto: not today"]);
        case.assert_altered();
    });
}
