//! Aborts during an attempt to cut over, which is not broken off.

use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Phase, Step};

use super::{ADD, each, hold_at};

/// An attempt to cut over is not broken off; if it succeeds, the table is altered.
#[test]
fn abort_during_an_attempt_that_succeeds() {
    for (at, step) in [
        Step::BeforeLock,
        Step::Locked,
        Step::MarkerSeen,
        Step::BeforeRename,
        Step::Renamed,
        Step::Proven,
    ]
    .into_iter()
    .enumerate()
    {
        each(&format!("abort_attempt_{at}"), ADD, |case| {
            let (alter, hold) = hold_at(case.alter(), step);
            let handle = alter.start().unwrap();
            hold.wait();
            handle.abort();
            hold.go();
            let report = handle.join().unwrap();
            assert_eq!(report.cut_over_attempts, 1);
            assert_eq!(report.warnings, Vec::<String>::new());
            case.assert_altered();
        });
    }
}

/// The application is in a transaction that keeps the attempt from its locks.
fn abort_during_a_vain_attempt(name: &str, of_application: &str) {
    each(name, ADD, |case| {
        let alter = case.alter().cut_over_lock_timeout(Duration::from_secs(1));
        let (alter, hold) = hold_at(alter, Step::BeforeLock);
        let handle = alter.start().unwrap();
        hold.wait();
        let mut application = case.db.conn();
        application.query_drop("START TRANSACTION").unwrap();
        application.query_drop(of_application).unwrap();
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert_eq!(error.phase(), Phase::CutOver, "{error}");
        // The application was not thrown out.
        application.query_drop("ROLLBACK").unwrap();
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_during_an_attempt_that_waits_for_a_writer() {
    abort_during_a_vain_attempt("abort_vain_write", "UPDATE t SET v = -1 WHERE id = 1");
}

#[test]
fn abort_during_an_attempt_that_waits_for_a_reader() {
    abort_during_a_vain_attempt("abort_vain_read", "SELECT * FROM t WHERE id = 1");
}
