//! Runs whose cut-over is postponed, and what releases it.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Phase, Postpone};

use super::{ADD, ADD_UNIQUE, each, tempdir, wait_for_postponed};
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
