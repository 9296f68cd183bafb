//! The owner's functions that do not come back: the run ends all the same, when it is asked to.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use online_alter::throttle::{Signals, ThrottlePolicy, Verdict};
use online_alter::{ErrorKind, Leftover, Postpone, TableState};

use super::{ADD, each};
use crate::harness::tables;

/// Longer than the two seconds that such a function is waited for, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn hang() -> ! {
    loop {
        thread::park();
    }
}

#[test]
fn a_policy() {
    each("hang_policy", ADD, |case| {
        let (asked, is_asked) = bounded(1);
        let handle = case
            .alter()
            .throttle(move || -> Verdict {
                asked.send(()).unwrap();
                hang()
            })
            .start()
            .unwrap();
        is_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        let aborted = Instant::now();
        handle.abort();
        let error = handle.join().unwrap_err();
        assert!(aborted.elapsed() < SOON, "{:?}", aborted.elapsed());
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

/// After it has asked the server for something, and gone on to do it.
struct Asks(crossbeam_channel::Sender<u64>);

impl ThrottlePolicy for Asks {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        self.0.send(signals.status("Threads_running").unwrap()).unwrap();
        hang()
    }
}

#[test]
fn a_policy_that_asks_and_a_run_that_fails() {
    each("hang_asks", ADD, |case| {
        let (asked, is_asked) = bounded(1);
        let handle = case.alter().throttle(Asks(asked)).start().unwrap();
        assert!(is_asked.recv_timeout(Duration::from_secs(20)).unwrap() > 0);
        let name = case.db.name().to_owned();
        let lock = format!("SELECT IS_USED_LOCK('online-alter:{name}.t')");
        let guard = case.number(&lock);
        let killed = Instant::now();
        case.sql(&format!("KILL {guard}"));
        let error = handle.join().unwrap_err();
        assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
        // Without the lock, what it has made is kept, and named.
        assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        let table = |left: &&Leftover| matches!(left, Leftover::Table(_));
        let made = tables(&mut case.db.conn()).len() - 1;
        assert_eq!(error.leftovers().iter().filter(table).count(), made, "{error}");
    });
}

#[test]
fn a_postponement() {
    each("hang_postpone", ADD, |case| {
        let (asked, is_asked) = bounded(1);
        let postpone = Postpone::while_true(move || {
            asked.send(()).unwrap();
            hang()
        });
        let handle = case.alter().postpone_cut_over(postpone).start().unwrap();
        is_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        let aborted = Instant::now();
        handle.abort();
        let error = handle.join().unwrap_err();
        assert!(aborted.elapsed() < SOON, "{:?}", aborted.elapsed());
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn a_postponement_does_not_keep_the_owner_from_cutting_over() {
    each("hang_release", ADD, |case| {
        let (asked, is_asked) = bounded(1);
        let postpone = Postpone::while_true(move || {
            asked.send(()).unwrap();
            hang()
        });
        let handle = case.alter().postpone_cut_over(postpone).start().unwrap();
        is_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        handle.cut_over();
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// The next one is asked as the first was.
#[test]
fn another_postponement_takes_the_place_of_one_that_hangs() {
    each("hang_another", ADD, |case| {
        let (asked, is_asked) = bounded(1);
        let postpone = Postpone::while_true(move || {
            asked.send(()).unwrap();
            hang()
        });
        let handle = case.alter().postpone_cut_over(postpone).start().unwrap();
        is_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        let (asked, is_asked) = bounded(100);
        let other = Postpone::while_true(move || {
            let _ = asked.try_send(());
            true
        });
        handle.postpone(other).unwrap();
        is_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        handle.cut_over();
        handle.join().unwrap();
        case.assert_altered();
    });
}
