//! What cannot be gone on with: it is said why, nothing is touched, and it starts over only when told to.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, OnlineAlter};
use online_alter_support::{Database, Server};

use super::program::{CLAUSE, Program, Said};
use super::{LONG, set_up};
use crate::harness::{alter, on_each, tables};

fn resume(db: &Database) -> OnlineAlter {
    alter(db, "t", CLAUSE).keep_foreign_keys(true).include_triggers(true).resume(true)
}

/// A run that was killed in the middle of its copy.
fn killed(server: &Server, db: &Database) -> Conn {
    set_up(server, db);
    let mut program = Program::start(db.url(), "Chunk 3", false);
    assert_eq!(program.wait(LONG), Said::At);
    program.kill();
    db.conn()
}

fn refuses(run: OnlineAlter, db: &Database, kind: ErrorKind, why: &str) {
    let before = tables(&mut db.conn());
    let error = run.run().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(tables(&mut db.conn()), before);
}

#[test]
fn there_is_nothing_to_go_on_with() {
    on_each("resume_nothing", |server, db| {
        set_up(server, db);
        refuses(resume(db), db, ErrorKind::NothingToResume, "has left");
        // gh-ost's.
        db.conn().query_drop("CREATE TABLE _t_ghc (id INT PRIMARY KEY) COMMENT='x'").unwrap();
        refuses(resume(db), db, ErrorKind::CannotResume, "is not of this version");
        db.conn().query_drop("DROP TABLE _t_ghc").unwrap();
        let report = resume(db).replace_ghost_table(true).run().unwrap();
        assert_eq!(report.rows_copied, 1536);
        refuses(resume(db), db, ErrorKind::NothingToResume, "has left");
    });
}

#[test]
fn it_was_another_alter_or_another_server_or_another_version() {
    on_each("resume_another", |server, db| {
        let mut conn = killed(server, db);
        let other = alter(db, "t", "ENGINE=InnoDB").resume(true);
        refuses(other, db, ErrorKind::CannotResume, "was to alter");
        let mut set = |what: &str| {
            conn.query_drop(format!("UPDATE _t_ghc SET body = {what} WHERE id = 3")).unwrap();
        };
        set("REPLACE(body, '\\\"server\\\": \\\"', '\\\"server\\\": \\\"x')");
        refuses(resume(db), db, ErrorKind::CannotResume, "ran on the server x");
        set("REPLACE(body, '\\\"server\\\": \\\"x', '\\\"server\\\": \\\"')");
        set("REPLACE(body, '\\\"stream\\\": \\\"', '\\\"stream\\\": \\\"x')");
        refuses(resume(db), db, ErrorKind::Config, "read the binlog of a replica");
        set("REPLACE(body, '\\\"stream\\\": \\\"x', '\\\"stream\\\": \\\"')");
        set("REPLACE(body, '\\\"format\\\": 1', '\\\"format\\\": 99')");
        refuses(resume(db), db, ErrorKind::CannotResume, "in format 99");
        set("LEFT(body, 900)");
        refuses(resume(db), db, ErrorKind::CannotResume, "cannot be read");
        let report = resume(db).replace_ghost_table(true).run().unwrap();
        assert_eq!(report.rows_copied, 1536);
    });
}

#[test]
fn a_table_was_changed_meanwhile() {
    on_each("resume_changed", |server, db| {
        for (sql, why) in [
            ("ALTER TABLE t ADD new INT", "definition of `resume_changed`.`t` has been changed"),
            ("ALTER TABLE _t_gho ADD new INT", "is not as the run has left it"),
            ("DROP TABLE _t_gho", "_t_gho` is gone"),
            ("CREATE TABLE _t_del (id INT)", "is not the run's"),
            ("DELETE FROM _t_ghc WHERE id = 4", "how far it has come"),
            (
                "UPDATE _t_ghc SET body = CONCAT(SUBSTRING_INDEX(body, '\"keys\"', 1), '\"keys\":[[\"1) OR (1\"]]}') \
                 WHERE id = 4",
                "no literal",
            ),
        ] {
            let mut conn = killed(server, db);
            conn.query_drop(sql).unwrap();
            refuses(resume(db), db, ErrorKind::CannotResume, why);
        }
    });
}

/// A run tries foreign keys and triggers on the empty ghost, and takes them off again. It has died in between.
#[test]
fn names_on_a_ghost_that_goes_are_free() {
    on_each("resume_names", |server, db| {
        set_up(server, db);
        let mut program = Program::start(db.url(), "GhostMade", false);
        assert_eq!(program.wait(LONG), Said::At);
        program.kill();
        let mut conn = db.conn();
        for sql in [
            "CREATE TRIGGER tr_oa AFTER DELETE ON _t_gho FOR EACH ROW INSERT INTO fired VALUES (OLD.v)",
            "ALTER TABLE _t_gho ADD CONSTRAINT fk_oa FOREIGN KEY (parent) REFERENCES p (id)",
        ] {
            conn.query_drop(sql).unwrap();
        }
        let report = resume(db).run().unwrap();
        assert_eq!(report.triggers, [("tr".to_owned(), "tr_oa".to_owned())]);
    });
}

/// gh-ost's --resume without --execute drops the ghost.
#[test]
fn a_rehearsal_takes_nothing_away() {
    on_each("resume_rehearsal", |server, db| {
        let mut conn = killed(server, db);
        let plan = resume(db).plan().unwrap();
        assert!(plan.resumes());
        let error = plan.rehearse().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert_eq!(tables(&mut conn), ["_t_ghc", "_t_gho", "fired", "p", "t"]);
        let report = resume(db).run().unwrap();
        assert!(report.rows_copied >= 1536);
    });
}

#[test]
fn the_binlog_is_purged() {
    on_each("resume_purged", |server, db| {
        let mut conn = killed(server, db);
        conn.query_drop("FLUSH BINARY LOGS").unwrap();
        let logs: Vec<mysql::Row> = conn.query("SHOW BINARY LOGS").unwrap();
        let last: String = logs.last().unwrap().get(0).unwrap();
        let place: String =
            conn.query_first("SELECT body FROM _t_ghc WHERE id = 4").unwrap().unwrap();
        assert!(!place.contains(&last), "{place}");
        // The other tests' streams are on this server too: not theirs.
        let gone = place.replacen("bin", "gone", 1);
        conn.exec_drop("UPDATE _t_ghc SET body = ? WHERE id = 4", (gone,)).unwrap();
        refuses(resume(db), db, ErrorKind::CannotResume, "which begins at");
        conn.exec_drop("UPDATE _t_ghc SET body = ? WHERE id = 4", (place.clone(),)).unwrap();
        let offset = place.split(':').nth(3).unwrap().split('\"').next().unwrap();
        let far = place.replace(offset, "4000000000");
        conn.exec_drop("UPDATE _t_ghc SET body = ? WHERE id = 4", (far,)).unwrap();
        refuses(resume(db), db, ErrorKind::CannotResume, "that file ends at");
        // A file of the same name, behind RESET BINARY LOGS.
        let begun = place.split("\"file_begun\":").nth(1).unwrap().split(',').next().unwrap();
        assert_ne!(begun, "null", "{place}");
        let other = place.replace(&format!("\"file_begun\":{begun}"), "\"file_begun\":7");
        conn.exec_drop("UPDATE _t_ghc SET body = ? WHERE id = 4", (other,)).unwrap();
        refuses(resume(db), db, ErrorKind::CannotResume, "is another file than before");
    });
}

/// Starting over would make the ALTER twice.
#[test]
fn what_is_swapped_does_not_start_over() {
    on_each("resume_swapped", |server, db| {
        set_up(server, db);
        let mut program = Program::start(db.url(), "Renamed", false);
        assert_eq!(program.wait(LONG), Said::At);
        program.kill();
        let mut conn = db.conn();
        conn.query_drop(
            "UPDATE _t_ghc SET body = REPLACE(body, '\"format\":', '\"format\":9') WHERE id = 4",
        )
        .unwrap();
        let run = resume(db).replace_ghost_table(true).replace_old_table(true);
        refuses(run, db, ErrorKind::CannotResume, "it is of format 91");
    });
}

/// What an older version of this format has written down is gone on with. `WRITE_TASKS=1` writes the files anew: only for
/// a new format.
#[test]
fn a_run_of_an_older_version_is_gone_on_with() {
    on_each("resume_older", |server, db| {
        let path = format!(
            "{}/tests/it/kills/task-format-1-{}.json",
            env!("CARGO_MANIFEST_DIR"),
            server.flavor()
        );
        let mut conn = killed(server, db);
        let now: String =
            conn.query_first("SELECT body FROM _t_ghc WHERE id = 3").unwrap().unwrap();
        // What is another one at each time.
        let value = |name: &str| {
            let text = now.split(&format!("\"{name}\": \"")).nth(1).unwrap();
            text.split('"').next().unwrap().to_owned()
        };
        let (identity, created) = (value("server"), value("created"));
        if std::env::var_os("WRITE_TASKS").is_some() {
            let text = now.replace(&identity, "SERVER").replace(&created, "CREATED");
            std::fs::write(&path, text).unwrap();
        }
        let older = std::fs::read_to_string(&path).unwrap();
        let older = older.replace("SERVER", &identity).replace("CREATED", &created);
        conn.exec_drop("UPDATE _t_ghc SET body = ? WHERE id = 3", (older,)).unwrap();
        let report = resume(db).run().unwrap();
        assert!(report.rows_copied >= 1536, "{report:?}");
    });
}
