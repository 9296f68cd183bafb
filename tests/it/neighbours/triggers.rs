//! Triggers: exactly those of the table, from the first write on, and never for ours.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, OldTable, Step, TableState};
use online_alter_support::{Database, Flavor};

use super::{Seen, Threads, killed_at, rows, sql};
use crate::harness::{alter, on, on_each, tables, wait_until};

/// Everything about the triggers of a table but their names and when they were made.
fn traits(conn: &mut Conn, table: &str) -> Vec<Vec<String>> {
    rows(
        conn,
        &format!(
            "SELECT EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER, ACTION_STATEMENT, DEFINER, \
             SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION \
             FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND \
             EVENT_OBJECT_TABLE = '{table}' ORDER BY 1, 2, 3"
        ),
    )
}

fn names(conn: &mut Conn, table: &str) -> Vec<String> {
    conn.query(format!(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() \
         AND EVENT_OBJECT_TABLE = '{table}' ORDER BY CAST(EVENT_MANIPULATION AS CHAR), CAST(ACTION_TIMING AS CHAR), ACTION_ORDER"
    ))
    .unwrap()
}

/// Triggers that change the row, and write down each change elsewhere.
fn audited(db: &Database) -> Conn {
    let mut conn = db.conn();
    sql(
        &mut conn,
        &[
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, who INT NOT NULL, v INT NOT NULL) \
             ENGINE=InnoDB",
            "INSERT INTO t (who, v) SELECT 99, seq FROM (SELECT 0 seq UNION ALL SELECT 1 UNION ALL \
             SELECT 2 UNION ALL SELECT 3) a",
            "CREATE TABLE audit (n INT AUTO_INCREMENT PRIMARY KEY, what CHAR(1), id INT, v INT) \
             ENGINE=InnoDB",
            "CREATE TRIGGER plus BEFORE INSERT ON t FOR EACH ROW SET NEW.v = NEW.v + 1",
            "CREATE TRIGGER times BEFORE INSERT ON t FOR EACH ROW PRECEDES plus SET NEW.v = NEW.v * 10",
            "CREATE TRIGGER i AFTER INSERT ON t FOR EACH ROW INSERT INTO audit (what, id, v) VALUES \
             ('i', NEW.id, NEW.v)",
            "CREATE TRIGGER u AFTER UPDATE ON t FOR EACH ROW INSERT INTO audit (what, id, v) VALUES \
             ('u', NEW.id, NEW.v)",
            "CREATE TRIGGER d AFTER DELETE ON t FOR EACH ROW INSERT INTO audit (what, id, v) VALUES \
             ('d', OLD.id, OLD.v)",
        ],
    );
    conn
}

/// Inserts, updates and deletes; each acknowledged turn is three rows in the audit.
fn write(db: &Database) -> Threads {
    Threads::start(db, 4, |conn, who, number| {
        let v = 100 + number;
        conn.exec_drop("INSERT INTO t (who, v) VALUES (?, ?)", (who, v)).unwrap();
        let id = conn.last_insert_id();
        conn.exec_drop("UPDATE t SET v = v + 1000000 WHERE id = ?", (id,)).unwrap();
        if number.is_multiple_of(3) {
            conn.exec_drop("DELETE FROM t WHERE id = ?", (id,)).unwrap();
        }
        true
    })
}

/// Each change is in the audit exactly once, and has gone through the triggers exactly once.
fn judge(conn: &mut Conn, done: &[Vec<u64>]) {
    let mut expected = Vec::new();
    for numbers in done {
        for number in numbers {
            let v = (100 + number) * 10 + 1;
            expected.push(("i".to_owned(), v));
            expected.push(("u".to_owned(), v + 1_000_000));
            if number.is_multiple_of(3) {
                expected.push(("d".to_owned(), v + 1_000_000));
            }
        }
    }
    expected.sort();
    let mut audit: Vec<(String, u64)> = conn.query("SELECT what, v FROM audit").unwrap();
    audit.sort();
    assert!(expected.len() > 100);
    assert_eq!(audit, expected);
    let kept: u64 = done.iter().flatten().filter(|n| !n.is_multiple_of(3)).count() as u64;
    let rows: Option<u64> = conn.query_first("SELECT COUNT(*) FROM t WHERE who < 99").unwrap();
    assert_eq!(rows, Some(kept));
    let mut first: Vec<u64> = conn.query("SELECT v FROM t WHERE who = 99 ORDER BY v").unwrap();
    first.dedup();
    assert_eq!(first, [0, 1, 2, 3], "our own writes have fired a trigger");
}

#[test]
fn they_fire_for_each_write_of_the_application_and_for_none_of_ours() {
    on_each("trigger_audit", |_, db| {
        let mut conn = audited(db);
        let before = traits(&mut conn, "t");
        let threads = write(db);
        threads.wait_for(20);
        for round in 0..6 {
            let plan = alter(db, "t", "ENGINE=InnoDB, COMMENT='again'")
                .include_triggers(true)
                .trigger_suffix("_new")
                .remove_trigger_suffix_if_exists(true)
                .old_table(OldTable::Drop)
                .plan()
                .unwrap();
            let (old, new) =
                if round % 2 == 0 { ("plus", "plus_new") } else { ("plus_new", "plus") };
            assert!(plan.triggers().contains(&(old, new)), "{plan}");
            let text = plan.to_string();
            assert!(text.contains(&format!("TRIGGER `trigger_audit`.`{new}` BEFORE")), "{text}");
            let report = plan.run().unwrap();
            assert!(report.triggers.contains(&(old.to_owned(), new.to_owned())), "{report}");
            assert_eq!(report.reconciled_keys, Vec::<String>::new());
            threads.wait_for(20);
        }
        let done = threads.stop();
        judge(&mut conn, &done);
        assert_eq!(traits(&mut conn, "t"), before);
        assert_eq!(names(&mut conn, "t"), ["d", "i", "times", "plus", "u"]);
        assert_eq!(tables(&mut conn), ["audit", "t"]);
    });
}

#[test]
fn definer_mode_charset_and_text_are_kept() {
    on_each("trigger_traits", |_, db| {
        let mut conn = db.conn();
        sql(
            &mut conn,
            &[
                "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40)) ENGINE=InnoDB",
                "SET NAMES utf8mb4, SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
                "CREATE TRIGGER \"a`b\" /* FOR EACH ROW */ BEFORE INSERT ON t FOR EACH ROW BEGIN \
                 DECLARE \"x;\" INT DEFAULT 1; /* \u{e9} */ SET NEW.\"a\" = concat('\\', '\u{e9}\u{1f600}'); \
                 END",
                "SET NAMES latin1, SESSION sql_mode = 'NO_ZERO_DATE'",
                "CREATE DEFINER = root@localhost TRIGGER plain AFTER UPDATE ON t FOR EACH ROW SET @x = 1",
                "SET NAMES utf8mb4, SESSION sql_mode = ''",
            ],
        );
        sql(&mut conn, &["INSERT INTO t (id) VALUES (0)"]);
        let before = traits(&mut conn, "t");
        alter(db, "t", "ADD COLUMN c INT").include_triggers(true).run().unwrap();
        assert_eq!(traits(&mut conn, "t"), before);
        assert_eq!(names(&mut conn, "t"), ["a`b_oa", "plain_oa"]);
        // The old table's are still there.
        assert_eq!(names(&mut conn, "_t_del"), ["a`b", "plain"]);
        // What it does, and its text: the information schema shows question marks for some letters.
        sql(&mut conn, &["INSERT INTO t (id) VALUES (1)"]);
        let did: Vec<String> = conn.query("SELECT a FROM t ORDER BY id").unwrap();
        assert!(did[0].starts_with("\\\u{e9}") && did[0] == did[1], "{did:?}");
        let text = |conn: &mut Conn, name: &str| {
            let row: mysql::Row =
                conn.query_first(format!("SHOW CREATE TRIGGER {name}")).unwrap().unwrap();
            let text: String = row.get(2).unwrap();
            text.split_once("BEGIN").unwrap().1.to_owned()
        };
        let now = text(&mut conn, "`a``b_oa`");
        assert!(now.contains('\u{1f600}'), "{now}");
        assert_eq!(now, text(&mut conn, "`a``b`"));
    });
}

/// Triggers are on the ghost when the attempt fails: they come off before it is written to again.
#[test]
fn an_attempt_that_fails_behind_them_leaves_none() {
    on_each("trigger_killed", |_, db| {
        let mut conn = audited(db);
        let threads = write(db);
        let run = alter(db, "t", "COMMENT='again'").include_triggers(true);
        let (run, killed) = killed_at(db, run, Step::Dressed);
        let report = run.run().unwrap();
        assert!(killed.load(Ordering::SeqCst));
        assert!(report.cut_over_attempts > 1, "{report}");
        let done = threads.stop();
        judge(&mut conn, &done);
        assert_eq!(names(&mut conn, "t"), ["d_oa", "i_oa", "times_oa", "plus_oa", "u_oa"]);
    });
}

#[test]
fn a_run_that_is_given_up_there_leaves_nothing() {
    on_each("trigger_given_up", |_, db| {
        let mut conn = audited(db);
        let threads = write(db);
        let seen: Seen<usize> = Arc::new(Mutex::new(Vec::new()));
        let (on_ghost, url) = (Arc::clone(&seen), db.url().to_owned());
        let locker = AtomicU32::new(0);
        let error = alter(db, "t", "COMMENT='again'")
            .include_triggers(true)
            .retries(1)
            .on_step(move |step, connection| {
                if step == Step::Locked {
                    locker.store(connection, Ordering::SeqCst);
                }
                if step == Step::Dressed {
                    let connection = locker.load(Ordering::SeqCst);
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    on_ghost.lock().unwrap().push(names(&mut conn, "_t_gho").len());
                    conn.query_drop(format!("KILL {connection}")).unwrap();
                    wait_until("it is gone", || {
                        crate::harness::connection_is_gone(&mut conn, connection)
                    });
                }
            })
            .run()
            .unwrap_err();
        assert_eq!(*seen.lock().unwrap(), [5]);
        assert_eq!(error.kind(), ErrorKind::CutOver, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(error.leftovers(), []);
        let done = threads.stop();
        judge(&mut conn, &done);
        assert_eq!(names(&mut conn, "t"), ["d", "i", "times", "plus", "u"]);
        assert_eq!(tables(&mut conn), ["audit", "t"]);
    });
}

/// The lock is lost at the worst moment, and rows go into the old table, whose triggers fire. Brought over,
/// they would fire the new table's as well.
#[test]
fn rows_behind_the_marker_are_named_and_not_brought_over() {
    on(Flavor::MariaDb, "trigger_strays", |_, db| {
        let mut conn = audited(db);
        let threads = Arc::new(Mutex::new(Some(write(db))));
        let writing = Arc::clone(&threads);
        let (locker, reader) = (AtomicU32::new(0), Mutex::new(None));
        let url = db.url().to_owned();
        let report = alter(db, "t", "COMMENT='again'")
            .include_triggers(true)
            .cut_over_lock_timeout(Duration::from_secs(2))
            .on_step(move |step, connection| match step {
                Step::Locked => locker.store(connection, Ordering::SeqCst),
                // The swap is going to wait for the ghost, and not to reach the table.
                Step::RenameQueued => {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    sql(&mut conn, &["BEGIN", "SELECT 1 FROM _t_gho LIMIT 1"]);
                    *reader.lock().unwrap() = Some(conn);
                }
                Step::SentryDropped => {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    let locker = locker.load(Ordering::SeqCst);
                    conn.query_drop(format!("KILL {locker}")).unwrap();
                    writing.lock().unwrap().as_ref().unwrap().wait_for(10);
                    reader.lock().unwrap().take();
                }
                _ => {}
            })
            .run()
            .unwrap();
        let done = threads.lock().unwrap().take().unwrap().stop();
        assert!(!report.conflicting_keys.is_empty(), "the race was not forced: {report}");
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
        // Each insert is in the audit once. The rows themselves are in one table or the other.
        let inserted: Vec<u64> =
            conn.query("SELECT v FROM audit WHERE what = 'i' ORDER BY v").unwrap();
        let mut expected: Vec<u64> = done.iter().flatten().map(|n| (100 + n) * 10 + 1).collect();
        expected.sort_unstable();
        assert_eq!(inserted, expected);
        assert_eq!(tables(&mut conn), ["_t_del", "audit", "t"]);
    });
}

/// One that is dropped meanwhile must not come back.
#[test]
fn dropped_by_somebody_during_the_run() {
    on_each("trigger_dropped", |_, db| {
        let mut conn = audited(db);
        let url = db.url().to_owned();
        let error = alter(db, "t", "COMMENT='again'")
            .include_triggers(true)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    Conn::new(url.as_str()).unwrap().query_drop("DROP TRIGGER u").unwrap();
                }
            })
            .run()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
        assert!(error.message().contains("triggers"), "{error}");
        assert_eq!(tables(&mut conn), ["audit", "t"]);
    });
}

#[test]
fn what_cannot_go_over_is_refused_before_anything_is_copied() {
    on_each("trigger_refused", |_, db| {
        let mut conn = audited(db);
        let refused = |clause: &str, suffix: &str, words: &str| {
            let run = alter(db, "t", clause).include_triggers(true).trigger_suffix(suffix);
            let error = run.run().unwrap_err();
            assert!(error.message().contains(words), "{error}");
            assert_eq!(error.leftovers(), []);
            error.kind()
        };
        // It names a column that goes.
        assert_eq!(refused("DROP COLUMN v", "_x", "cannot be made"), ErrorKind::Triggers);
        assert_eq!(refused("COMMENT=''", &"x".repeat(64), "longer than 64"), ErrorKind::Triggers);
        assert_eq!(refused("COMMENT=''", "-", "suffix"), ErrorKind::Config);
        assert_eq!(refused("COMMENT=''", "", "suffix"), ErrorKind::Config);
        sql(&mut conn, &["CREATE TRIGGER u_x BEFORE DELETE ON audit FOR EACH ROW SET @x = 1"]);
        assert_eq!(refused("COMMENT=''", "_x", "`u_x` already"), ErrorKind::Triggers);
        sql(&mut conn, &["DROP TRIGGER u_x", "SET NAMES latin1"]);
        sql(&mut conn, &["CREATE TRIGGER e BEFORE UPDATE ON t FOR EACH ROW SET @x = '\u{e9}'"]);
        assert_eq!(refused("COMMENT=''", "_x", "charset latin1"), ErrorKind::Triggers);
        sql(&mut conn, &["DROP TRIGGER e", "SET NAMES utf8mb4"]);
        sql(&mut conn, &["ALTER DATABASE trigger_refused COLLATE utf8mb4_bin"]);
        assert_eq!(refused("COMMENT=''", "_x", "schema's collation"), ErrorKind::Triggers);
        assert_eq!(tables(&mut conn), ["audit", "t"]);
    });
}
