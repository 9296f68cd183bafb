//! Foreign keys of the table to others: in force at every moment, and never by rows of ours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Error as MyError};
use online_alter::{ChunkSize, ErrorKind, Step, TableState, Warning};
use online_alter_support::{Database, Flavor, Server, available, database};

use super::{Threads, killed_at, rows, show, sql};
use crate::harness::{alter, on, on_each, tables, wait_until};

const PARENTS: &str = "CREATE TABLE p (id INT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB";

/// A child of `p`, by a key with a name and by one without, whose index the server has made.
fn family(db: &Database, rule: &str) -> Conn {
    let mut conn = db.conn();
    sql(
        &mut conn,
        &[
            PARENTS,
            &format!(
                "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, p INT, q INT, v INT NOT NULL, KEY v \
                 (v), CONSTRAINT fk_p FOREIGN KEY (p) REFERENCES p (id) {rule}, FOREIGN KEY (q) \
                 REFERENCES p (id)) ENGINE=InnoDB"
            ),
            "INSERT INTO p VALUES (0, 0)",
        ],
    );
    let rows: Vec<String> = (0..500).map(|v| format!("(0, 0, {v})")).collect();
    conn.query_drop(format!("INSERT INTO t (p, q, v) VALUES {}", rows.join(", "))).unwrap();
    conn
}

fn code(result: Result<(), MyError>) -> u16 {
    match result {
        Ok(()) => 0,
        Err(MyError::MySqlError(error)) => error.code,
        Err(error) => panic!("{error}"),
    }
}

/// Families come and go, each in its own order; and some try what must not be.
/// Who loses a lock while the ghost or the old table has foreign keys leaves them in force for a moment:
/// only where that is forced may they be seen.
fn live(db: &Database, lost_lock: bool) -> Threads {
    Threads::start(db, 4, move |conn, thread, number| {
        let parent = 1 + thread * 1_000_000 + number;
        let add = format!("INSERT INTO p VALUES ({parent}, 1)");
        let child = format!("INSERT INTO t (p, q, v) VALUES ({parent}, {parent}, 1000)");
        if thread < 3 {
            sql(conn, &[&add, &child]);
        } else {
            // The victim of a deadlock does it again, as applications do.
            loop {
                sql(conn, &["BEGIN"]);
                let done = conn.query_drop(&add).and_then(|()| conn.query_drop(&child));
                match code(done.and_then(|()| conn.query_drop("COMMIT"))) {
                    0 => break,
                    1213 => eprintln!("a deadlock"),
                    other => panic!("error {other}"),
                }
            }
        }
        sql(conn, &[&format!("UPDATE t SET v = v + 1 WHERE p = {parent}")]);
        let deleted = conn.query_drop(format!("DELETE FROM p WHERE id = {parent}"));
        assert_eq!(code(deleted), 1451, "a parent with a child was deleted");
        let orphan = conn.query_drop(format!("INSERT INTO t (p, v) VALUES ({}, 0)", -1_i64));
        assert_eq!(code(orphan), 1452, "a child without a parent");
        if number.is_multiple_of(3) {
            // At once: a row of ours that is out of date would keep the parent.
            sql(conn, &[&format!("DELETE FROM t WHERE p = {parent}")]);
            while let Err(error) = conn.query_drop(format!("DELETE FROM p WHERE id = {parent}")) {
                let text = error.to_string();
                let of_ours = text.contains("_t_gho") || text.contains("_t_del");
                assert!(lost_lock && of_ours, "{error}");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        true
    })
}

fn judge(conn: &mut Conn, done: &[Vec<u64>]) {
    let kept = done.iter().flatten().filter(|number| !number.is_multiple_of(3)).count();
    assert!(kept > 50, "{kept}");
    let count = |conn: &mut Conn, sql: &str| conn.query_first::<usize, _>(sql).unwrap().unwrap();
    assert_eq!(count(conn, "SELECT COUNT(*) FROM p WHERE id > 0"), kept);
    assert_eq!(count(conn, "SELECT COUNT(*) FROM t WHERE p > 0 AND p = q AND v = 1001"), kept);
    assert_eq!(count(conn, "SELECT COUNT(*) FROM t"), kept + 500);
    assert_eq!(
        count(conn, "SELECT COUNT(*) FROM t LEFT JOIN p ON p.id = t.p WHERE p.id IS NULL"),
        0
    );
}

/// How the table is defined, but for its counter.
fn definition(conn: &mut Conn) -> String {
    let text = show(conn, "t");
    let Some((head, rest)) = text.split_once(" AUTO_INCREMENT=") else { return text };
    format!("{head}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn in_force_at_every_moment() {
    on_each("fk_keep", in_force);
    on(Flavor::MariaDb11, "fk_keep_11", in_force);
}

fn in_force(server: &Server, db: &Database) {
    let mut conn = family(db, "");
    let before = definition(&mut conn);
    let threads = live(db, false);
    let mut attempts = 0;
    for round in 0..6 {
        threads.wait_for(10);
        let plan = alter(db, "t", "ENGINE=InnoDB").keep_foreign_keys(true).plan().unwrap();
        let named = match (server.flavor().is_mariadb(), round % 2) {
            (false, _) => ("fk_p", "fk_p"),
            (true, 0) => ("fk_p", "fk_p_oa"),
            (true, _) => ("fk_p_oa", "fk_p"),
        };
        assert_eq!(plan.foreign_keys(), [named, ("t_ibfk_1", "t_ibfk_1")]);
        let parents = plan.warnings().iter().find_map(|warning| match warning {
            Warning::LocksParents { parents, .. } => Some(parents.clone()),
            _ => None,
        });
        assert_eq!(parents, Some(vec![format!("`{}`.`p`", db.name())]));
        let report = plan.run().unwrap();
        eprintln!("{report}");
        attempts += report.cut_over_attempts;
        assert!(report.foreign_keys.contains(&(named.0.to_owned(), named.1.to_owned())));
        assert_eq!(report.warnings, Vec::<String>::new());
        assert!(report.reconciled_keys.is_empty() && report.conflicting_keys.is_empty());
        assert!(!show(&mut conn, "_t_del").contains("FOREIGN"), "the old table keeps parents");
        sql(&mut conn, &["DROP TABLE _t_del"]);
    }
    let done = threads.stop();
    judge(&mut conn, &done);
    assert_eq!(definition(&mut conn), before);
    eprintln!("{attempts} attempts for 6 alters");
}

/// Families of one parent, one other, and three children.
const FAMILIES: u64 = 1200;

/// Rows that a cascade changes are in the binlog since MySQL 9.6.
#[test]
fn cascades_are_followed() {
    on(Flavor::Mysql, "fk_cascade", |_, db| {
        let mut conn = db.conn();
        sql(
            &mut conn,
            &[
                PARENTS,
                "CREATE TABLE n (id INT PRIMARY KEY) ENGINE=InnoDB",
                "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, p INT, n INT, pad VARCHAR(99) NOT NULL, \
                 CONSTRAINT of_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE, \
                 CONSTRAINT of_n FOREIGN KEY (n) REFERENCES n (id) ON DELETE SET NULL ON UPDATE SET NULL) \
                 ENGINE=InnoDB",
            ],
        );
        // Enough of them that some cascade behind, in front of and into every chunk.
        let values = |rows: Vec<String>| rows.join(", ");
        let parents = values((0..FAMILIES).map(|i| format!("({i}, 0)")).collect());
        let others = values((0..FAMILIES).map(|i| format!("({i})")).collect());
        let children =
            values((0..FAMILIES * 3).map(|i| format!("({0}, {0}, 'x')", i % FAMILIES)).collect());
        sql(
            &mut conn,
            &[
                &format!("INSERT INTO p VALUES {parents}"),
                &format!("INSERT INTO n VALUES {others}"),
                &format!("INSERT INTO t (p, n, pad) VALUES {children}"),
            ],
        );
        // Only parents are written to.
        let threads = Threads::start(db, 3, |conn, thread, number| {
            let id = number * 3 + thread;
            if id >= FAMILIES {
                return false;
            }
            let moved = id + 100_000;
            match id % 4 {
                0 => sql(conn, &[&format!("DELETE FROM p WHERE id = {id}")]),
                1 => sql(conn, &[&format!("UPDATE p SET id = {moved} WHERE id = {id}")]),
                2 => sql(conn, &[&format!("DELETE FROM n WHERE id = {id}")]),
                _ => sql(
                    conn,
                    &[
                        &format!("UPDATE n SET id = {moved} WHERE id = {id}"),
                        &format!("DELETE FROM p WHERE id = {id}"),
                    ],
                ),
            }
            true
        });
        threads.wait_for(30);
        let mut changed = 0;
        for _ in 0..2 {
            let report =
                alter(db, "t", "MODIFY id BIGINT AUTO_INCREMENT, MODIFY pad VARCHAR(120) NOT NULL")
                    .keep_foreign_keys(true)
                    .chunk_size(ChunkSize::Rows(20))
                    .run()
                    .unwrap();
            eprintln!("{report}");
            changed += report.keys_changed;
            assert!(!show(&mut conn, "_t_del").contains("FOREIGN"));
            sql(&mut conn, &["DROP TABLE _t_del"]);
        }
        assert!(changed > 100, "too few cascades meanwhile");
        let done = threads.stop();
        let mut expected = Vec::new();
        let touched: Vec<u64> = (0_u64..)
            .zip(&done)
            .flat_map(|(thread, done)| done.iter().map(move |n| n * 3 + thread))
            .collect();
        for id in 0..FAMILIES {
            let text = |n: u64| format!("{n}");
            let row = match (touched.contains(&id), id % 4) {
                (false, _) => (text(id), text(id)),
                (true, 1) => (text(id + 100_000), text(id)),
                (true, 2) => (text(id), "NULL".to_owned()),
                (true, _) => continue,
            };
            expected.extend([row.clone(), row.clone(), row]);
        }
        expected.sort();
        assert!(touched.len() > 200, "{}", touched.len());
        let mut found: Vec<(String, String)> = rows(&mut conn, "SELECT p, n FROM t")
            .into_iter()
            .map(|row| (row[0].replace('\'', ""), row[1].replace('\'', "")))
            .collect();
        found.sort();
        assert_eq!(found, expected);
        let text = show(&mut conn, "t");
        assert!(
            text.contains(
                "`of_p` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE CASCADE ON UPDATE CASCADE"
            ),
            "{text}"
        );
        assert!(text.contains("ON DELETE SET NULL ON UPDATE SET NULL"), "{text}");
    });
}

#[test]
fn cascades_that_are_not_logged_are_refused() {
    let refused = |db: &Database| {
        family(db, "ON DELETE CASCADE");
        for keep in [true, false] {
            let run = alter(db, "t", "COMMENT=''");
            let run =
                if keep { run.keep_foreign_keys(true) } else { run.discard_foreign_keys(true) };
            let error = run.plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignKeys, "{error}");
            assert!(error.message().contains("CASCADE"), "{error}");
            assert_eq!(error.obstacles().len(), 1);
            assert_eq!(error.obstacles()[0].name, "fk_p");
        }
    };
    on(Flavor::MariaDb, "fk_hidden_cascade", |_, db| refused(db));
    let native = Server::builder(Flavor::Mysql).option("--innodb-native-foreign-keys=ON").start();
    if let Some(server) = available(native) {
        refused(&database(&server, "fk_hidden_cascade"));
    }
}

#[test]
fn discarded() {
    on_each("fk_discard", |_, db| {
        let mut conn = family(db, "");
        let threads = Threads::start(db, 3, |conn, thread, number| {
            let id = 1 + thread * 1_000_000 + number;
            sql(
                conn,
                &[
                    &format!("INSERT INTO p VALUES ({id}, 1)"),
                    &format!("INSERT INTO t (p, q, v) VALUES ({id}, {id}, 1)"),
                    &format!("DELETE FROM t WHERE p = {id}"),
                    &format!("DELETE FROM p WHERE id = {id}"),
                ],
            );
            true
        });
        threads.wait_for(10);
        let report = alter(db, "t", "COMMENT=''").discard_foreign_keys(true).run().unwrap();
        assert_eq!(report.foreign_keys, []);
        threads.stop();
        assert!(!show(&mut conn, "t").contains("FOREIGN"));
        assert!(!show(&mut conn, "_t_del").contains("FOREIGN"));
        let rows: Option<u32> = conn.query_first("SELECT COUNT(*) FROM t").unwrap();
        assert_eq!(rows, Some(500));
        sql(&mut conn, &["INSERT INTO t (p, q, v) VALUES (-1, -1, 0)", "DELETE FROM p"]);
    });
}

/// The connection that holds the lock dies at each step: either nothing has happened, or all of it.
#[test]
fn killed_at_each_step() {
    let steps = [Step::Locked, Step::Drained, Step::Checked, Step::Dressed, Step::FreeingParents];
    on_each("fk_killed", |server, db| {
        for step in steps {
            sql(&mut db.conn(), &["DROP TABLE IF EXISTS t, _t_del, p"]);
            let mut conn = family(db, "");
            let lost_lock = match step {
                Step::Dressed => !server.flavor().is_mariadb(),
                Step::FreeingParents => true,
                _ => false,
            };
            let threads = live(db, lost_lock);
            threads.wait_for(10);
            let run = alter(db, "t", "COMMENT='again'").keep_foreign_keys(true);
            let (run, killed) = killed_at(db, run, step);
            let report = run.run().unwrap();
            eprintln!("killed at {step:?}: {report}");
            assert!(killed.load(Ordering::SeqCst), "{step:?} never came");
            assert_eq!(report.cut_over_attempts > 1, step != Step::FreeingParents, "{step:?}");
            let done = threads.stop();
            judge(&mut conn, &done);
            assert_eq!(report.warnings, Vec::<String>::new());
            assert!(!show(&mut conn, "_t_del").contains("FOREIGN"), "{step:?}");
            let text = show(&mut conn, "t");
            assert_eq!(text.matches("FOREIGN KEY").count(), 2, "{text}");
            for (_, now) in report.foreign_keys {
                assert!(text.contains(&format!("CONSTRAINT `{now}` FOREIGN")), "{now}: {text}");
            }
            assert_eq!(tables(&mut conn), ["_t_del", "p", "t"]);
        }
    });
}

/// A transaction that has read a parent comes to the table while that is locked. To ask for the
/// parent's lock would make it the victim of a deadlock (on MySQL): the attempt is given up.
#[test]
fn a_transaction_that_uses_a_parent_is_not_made_a_victim() {
    on_each("fk_victim", |_, db| {
        let mut conn = family(db, "");
        let (came, url) = (Arc::new(AtomicBool::new(false)), db.url().to_owned());
        let (once, writer) = (Arc::clone(&came), Arc::new(Mutex::new(None)));
        let writing = Arc::clone(&writer);
        let report = alter(db, "t", "COMMENT='again'")
            .keep_foreign_keys(true)
            .cut_over_lock_timeout(Duration::from_secs(1))
            .on_step(move |step, _| {
                if step == Step::Locked && !once.swap(true, Ordering::SeqCst) {
                    let mut other = Conn::new(url.as_str()).unwrap();
                    sql(&mut other, &["BEGIN", "SELECT * FROM p"]);
                    let id = other.connection_id();
                    *writing.lock().unwrap() = Some(std::thread::spawn(move || {
                        sql(&mut other, &["INSERT INTO t (p, v) VALUES (0, 9999)", "COMMIT"]);
                    }));
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    wait_until("it waits for the table", || {
                        let state: Option<String> = conn
                            .query_first(format!(
                                "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = {id}"
                            ))
                            .unwrap();
                        state.is_some_and(|state| state.contains("metadata lock"))
                    });
                }
            })
            .run()
            .unwrap();
        eprintln!("{report}");
        assert!(came.load(Ordering::SeqCst));
        // Its own assertion: no statement of it may fail.
        let thread = writer.lock().unwrap().take().unwrap();
        thread.join().unwrap();
        let rows: Option<u32> = conn.query_first("SELECT COUNT(*) FROM t WHERE v = 9999").unwrap();
        assert_eq!(rows, Some(1));
    });
}

#[test]
fn what_cannot_go_over_is_refused_before_anything_is_copied() {
    on_each("fk_refused", |_, db| {
        let mut conn = family(db, "");
        let refused = |clause: &str, words: &str| {
            let error = alter(db, "t", clause).keep_foreign_keys(true).run().unwrap_err();
            assert!(error.message().contains(words), "{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            assert_eq!(error.leftovers(), []);
            assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
        };
        refused("DROP COLUMN p", "drops the column `p`");
        refused("MODIFY p BIGINT", "foreign keys cannot be made");
        refused("DROP INDEX q", "takes away an index");
        refused("DROP FOREIGN KEY fk_p", "refuses the ALTER");
        assert_eq!(tables(&mut conn), ["p", "t"]);
        // A key that refers to the table is refused whatever is wanted.
        sql(
            &mut conn,
            &["CREATE TABLE c (t INT, FOREIGN KEY (t) REFERENCES t (id)) ENGINE=InnoDB"],
        );
        for run in [
            alter(db, "t", "COMMENT=''").keep_foreign_keys(true),
            alter(db, "t", "COMMENT=''").discard_foreign_keys(true),
        ] {
            let error = run.plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignKeys);
            assert_eq!(error.obstacles().len(), 1);
        }
        sql(&mut conn, &["DROP TABLE c"]);
        // A column of a key that gets another name.
        let report = alter(db, "t", "CHANGE p parent INT, ADD COLUMN p INT DEFAULT 9")
            .keep_foreign_keys(true)
            .run()
            .unwrap();
        let text = show(&mut conn, "t");
        assert!(text.contains("FOREIGN KEY (`parent`) REFERENCES `p`"), "{report} {text}");
    });
}
