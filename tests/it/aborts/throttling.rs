//! Runs that are paused or throttled write nothing.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use online_alter::throttle::StatusLimits;
use online_alter::{ChunkSize, ErrorKind, Event, OnlineAlter, Phase, Postpone, Step};

use super::{ADD, ROWS, each, hold_at, hold_in_copy, tempdir};
use crate::harness::{tables, wait_until};

#[test]
fn a_paused_run_writes_nothing() {
    each("pause", ADD, |case| {
        let (alter, hold) =
            hold_at(case.alter().chunk_size(ChunkSize::Rows(10)), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        wait_until("it copies", || handle.progress().phase == Phase::Copy);
        // The changes are read, and are not refreshed.
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        let progress = handle.progress();
        assert_eq!(progress.throttled.as_deref(), Some("commanded by user"));
        assert_eq!((progress.rows_copied, progress.keys_refreshed), (0, 0));
        assert!(progress.keys_pending > 0);
        handle.resume();
        let report = handle.join().unwrap();
        assert!(report.throttled_time > Duration::ZERO);
        case.assert_altered();
    });
}

#[test]
fn a_pause_in_the_copy() {
    each("pause_in_copy", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter());
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        // What has passed the gate already may come to its end.
        let mut last = case.number("SELECT COUNT(*) FROM _t_gho");
        let mut same = 0;
        wait_until("it comes to a halt", || {
            case.write_through(&handle, 1);
            let now = case.number("SELECT COUNT(*) FROM _t_gho");
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same == 5
        });
        assert!((20..ROWS).contains(&last), "{last} rows");
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), last);
        handle.resume();
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// Events as they come.
fn listen(alter: OnlineAlter) -> (OnlineAlter, Receiver<Event>) {
    let (sender, events) = unbounded();
    (alter.observer(sender), events)
}

#[track_caller]
fn next_event(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(Duration::from_secs(20)).expect("no such event");
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn a_flag_file_throttles() {
    let dir = tempdir("flag");
    each("throttle_flag", ADD, |case| {
        let flag = dir.0.join(format!("throttle-{}", case.server.port()));
        std::fs::write(&flag, "").unwrap();
        let (alter, events) = listen(case.alter());
        let alter = alter.throttle_flag_file(&flag).postpone_cut_over(Postpone::until_released());
        let handle = alter.start().unwrap();
        let throttled = |event: &Event| matches!(event, Event::Throttled(_) | Event::Unthrottled);
        assert_eq!(next_event(&events, throttled), Event::Throttled("flag-file".to_owned()));
        wait_until("it copies", || handle.progress().phase == Phase::Copy);
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        assert_eq!(handle.progress().throttled.as_deref(), Some("flag-file"));
        assert!(handle.progress().to_string().contains("throttled, flag-file"));
        std::fs::remove_file(&flag).unwrap();
        assert_eq!(next_event(&events, throttled), Event::Unthrottled);
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);

        // The refreshes are held back just the same.
        std::fs::write(&flag, "").unwrap();
        assert_eq!(next_event(&events, throttled), Event::Throttled("flag-file".to_owned()));
        wait_until("the gate is shut", || handle.progress().throttled.is_some());
        case.sql("UPDATE t SET v = v + 1000 WHERE id = 1");
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT v FROM _t_gho WHERE id = 1"), 1);
        std::fs::remove_file(&flag).unwrap();
        assert_eq!(next_event(&events, throttled), Event::Unthrottled);
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(case.number("SELECT v FROM t WHERE id = 1"), 1001);
        case.assert_altered();
    });
}

#[test]
fn a_status_variable_throttles() {
    each("throttle_status", ADD, |case| {
        let (alter, events) = listen(case.alter());
        // There is always one: the one that asks.
        let limits: StatusLimits = "Threads_running=1".parse().unwrap();
        let handle = alter.throttle(limits).start().unwrap();
        let event = next_event(&events, |event| matches!(event, Event::Throttled(_)));
        let Event::Throttled(reason) = event else { unreachable!() };
        assert!(reason.starts_with("max-load Threads_running="), "{reason}");
        assert!(reason.ends_with(" >= 1"), "{reason}");
        wait_until("it copies", || handle.progress().phase == Phase::Copy);
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        handle.abort();
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        assert_eq!(error.leftovers(), []);
        assert_eq!(tables(&mut case.conn), ["t"]);
        case.assert_no_connection();
    });
}

#[test]
fn an_unknown_status_variable_throttles() {
    each("throttle_unknown", ADD, |case| {
        let (alter, events) = listen(case.alter());
        let handle = alter.throttle(StatusLimits::new().limit("No_such", 1)).start().unwrap();
        let event = next_event(&events, |event| matches!(event, Event::Throttled(_)));
        let Event::Throttled(reason) = event else { unreachable!() };
        assert!(reason.contains("No_such"), "{reason}");
        handle.abort();
        let error = handle.join().unwrap_err();
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}
