//! Runs whose cut-over is postponed, and what releases it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Event, Handle, OnlineAlter, Phase, Postpone, Step};

use super::{ADD, ADD_UNIQUE, Case, each, hold_at, tempdir, wait_for_postponed};
use crate::harness::{tables, wait_until};

#[test]
fn a_postponed_ghost_is_kept_in_step() {
    each("postpone_step", ADD_UNIQUE, |case| {
        let handle = case.postponed();
        case.sql("UPDATE t SET v = 5000 WHERE id = 1");
        case.sql("DELETE FROM t WHERE id = 2");
        case.sql("INSERT INTO t (id, v, pad) VALUES (1000, 6000, 'late')");
        let seen = "SELECT (SELECT v FROM _t_gho WHERE id = 1) + (SELECT v FROM _t_gho WHERE id = \
                    1000) + (SELECT COUNT(*) FROM _t_gho WHERE id = 2)";
        wait_until("the ghost is in step", || {
            let seen: Option<Option<u64>> = case.conn.query_first(seen).unwrap();
            seen.flatten() == Some(11_000)
        });
        assert_eq!(handle.progress().phase, Phase::Postponed);
        assert!(!handle.is_finished());
        case.sql("UPDATE t SET pad = 'last' WHERE id = 3");
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(case.number("SELECT v FROM t WHERE id = 1"), 5000);
        assert_eq!(case.number("SELECT COUNT(*) FROM t WHERE id = 2"), 0);
        assert_eq!(case.number("SELECT v FROM t WHERE id = 1000 AND pad = 'late'"), 6000);
        assert_eq!(case.number("SELECT COUNT(*) FROM t WHERE id = 3 AND pad = 'last'"), 1);
        case.assert_altered();
    });
}

#[test]
fn removing_the_flag_file_releases_the_cut_over() {
    let dir = tempdir("postpone");
    each("postpone_file", ADD, |case| {
        let flag = dir.0.join(format!("postpone-{}", case.server.port()));
        let alter = case.alter().postpone_cut_over(Postpone::while_file_exists(&flag));
        let plan = alter.plan().unwrap();
        assert!(!flag.exists(), "a plan writes nothing");
        let handle = wait_for_postponed(plan.start().unwrap());
        assert!(flag.exists());
        assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
        std::fs::remove_file(&flag).unwrap();
        handle.join().unwrap();
        case.assert_altered();
        assert!(!flag.exists());
    });
}

#[test]
fn the_handle_releases_the_cut_over_though_the_file_is_there() {
    let dir = tempdir("release");
    each("postpone_handle", ADD, |case| {
        let flag = dir.0.join(format!("release-{}", case.server.port()));
        std::fs::write(&flag, "mine").unwrap();
        let alter = case.alter().postpone_cut_over(Postpone::while_file_exists(&flag));
        let handle = wait_for_postponed(alter.start().unwrap());
        handle.cut_over();
        handle.join().unwrap();
        case.assert_altered();
        assert_eq!(std::fs::read_to_string(&flag).unwrap(), "mine");
    });
}

#[test]
fn a_flag_file_that_cannot_be_created() {
    each("postpone_bad_file", ADD, |case| {
        let alter = case.alter().postpone_cut_over(Postpone::while_file_exists("/nowhere/flag"));
        let error = alter.run().unwrap_err();
        assert!(error.message().contains("/nowhere/flag"), "{error}");
        case.assert_failed(&error, ErrorKind::Config);
    });
}

/// Makes the first attempt fail: the application is in a transaction with the table, until the attempt is given up.
/// `then` is called at that moment.
fn first_attempt_fails(
    case: &Case<'_>,
    alter: OnlineAlter,
    then: impl Fn() + Send + 'static,
) -> OnlineAlter {
    let application = Arc::new(Mutex::new(None));
    let (given_up, db) = (Arc::clone(&application), case.db.conn());
    let db = Mutex::new(Some(db));
    alter
        .cut_over_lock_timeout(Duration::from_secs(1))
        .on_step(move |step, _| {
            if step == Step::BeforeLock
                && let Some(mut conn) = db.lock().unwrap().take()
            {
                conn.query_drop("START TRANSACTION").unwrap();
                conn.query_drop("SELECT * FROM t WHERE id = 1").unwrap();
                *application.lock().unwrap() = Some(conn);
            }
        })
        .observer(move |event: &Event| {
            if let Event::CutOverFailed { attempt: 1, .. } = event {
                then();
                drop(given_up.lock().unwrap().take());
            }
        })
}

/// The run waits, after so many attempts, and follows the table meanwhile.
fn assert_postponed_after(case: &mut Case<'_>, handle: &Handle, attempts: u32) {
    wait_until("it is postponed again", || {
        assert!(!handle.is_finished(), "it cuts over");
        let progress = handle.progress();
        progress.phase == Phase::Postponed && progress.cut_over_attempts == attempts
    });
    case.sql("INSERT INTO t (v, pad) SELECT MAX(v) + 1, 'while postponed' FROM t");
    wait_until("the ghost is in step", || {
        case.number("SELECT COUNT(*) FROM _t_gho WHERE pad = 'while postponed'") == 1
    });
    assert_eq!(handle.progress().cut_over_attempts, attempts);
    assert_eq!(handle.progress().phase, Phase::Postponed);
}

/// As with gh-ost, the flag file is looked for before each attempt.
#[test]
fn a_flag_file_that_comes_back_holds_further_attempts() {
    let dir = tempdir("postpone-again");
    each("postpone_again", ADD, |case| {
        let flag = dir.0.join(format!("again-{}", case.server.port()));
        let file = flag.clone();
        let alter = case.alter().postpone_cut_over(Postpone::while_file_exists(&flag));
        let alter = first_attempt_fails(case, alter, move || std::fs::write(&file, "").unwrap());
        let handle = wait_for_postponed(alter.start().unwrap());
        std::fs::remove_file(&flag).unwrap();
        assert_postponed_after(case, &handle, 1);
        std::fs::remove_file(&flag).unwrap();
        assert!(handle.join().unwrap().cut_over_attempts > 1);
        case.assert_altered();
    });
}

/// The window closes while the run gets ready for its first attempt.
#[test]
fn a_window_that_closes_before_the_attempt() {
    each("postpone_window", ADD, |case| {
        let asked = AtomicU32::new(0);
        let opens = Arc::new(AtomicBool::new(false));
        let open = Arc::clone(&opens);
        let window = Postpone::while_true(move || {
            asked.fetch_add(1, Ordering::SeqCst) > 0 && !open.load(Ordering::SeqCst)
        });
        let handle = case.alter().postpone_cut_over(window).start().unwrap();
        assert_postponed_after(case, &handle, 0);
        opens.store(true, Ordering::SeqCst);
        handle.join().unwrap();
        case.assert_altered();
    });
}

#[test]
fn what_was_released_by_the_handle_is_not_held_again() {
    let dir = tempdir("released");
    each("postpone_released", ADD, |case| {
        let flag = dir.0.join(format!("released-{}", case.server.port()));
        let alter = case.alter().postpone_cut_over(Postpone::while_file_exists(&flag));
        let handle = wait_for_postponed(first_attempt_fails(case, alter, || ()).start().unwrap());
        handle.cut_over();
        assert!(handle.join().unwrap().cut_over_attempts > 1);
        assert!(flag.exists());
        case.assert_altered();
    });
}

#[test]
fn a_run_that_is_postponed_on_the_way() {
    let dir = tempdir("postpone-later");
    each("postpone_later", ADD, |case| {
        let flag = dir.0.join(format!("later-{}", case.server.port()));
        let (alter, hold) = hold_at(case.alter(), Step::CopyDone);
        let handle = alter.start().unwrap();
        hold.wait();
        // What is said last counts.
        handle.cut_over();
        handle.postpone(Postpone::while_file_exists(&flag)).unwrap();
        assert!(flag.exists());
        let error = handle.postpone(Postpone::while_file_exists("/nowhere/flag")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        hold.go();
        assert_postponed_after(case, &handle, 0);
        handle.postpone(Postpone::until_released()).unwrap();
        std::fs::remove_file(&flag).unwrap();
        case.write_for_a_while(&handle);
        assert_eq!(handle.progress().phase, Phase::Postponed);
        handle.postpone(Postpone::never()).unwrap();
        handle.join().unwrap();
        case.assert_altered();
    });
}
