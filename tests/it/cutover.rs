//! The cut-over: hammered, and with each of its races forced.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Event, OldTable, OnlineAlter, Report, Step};
use online_alter_support::{Database, Flavor, Outcome, Table, Workload, Writers, check};

use crate::harness::{alter, connection_is_gone, on, on_each, tables, wait_until};
use crate::proxy::{Lose, Proxy};

/// A small table under writers.
struct Busy {
    conn: Conn,
    writers: Option<Writers>,
}

impl Busy {
    fn new(db: &Database, writers: u8) -> Self {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, \
             pad VARCHAR(40) NOT NULL, KEY (v))",
        )
        .unwrap();
        let rows: Vec<String> = (1..=200).map(|id| format!("({id}, {id}, 'first')")).collect();
        conn.query_drop(format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
        // As many rows go as come: the table stays small.
        let workload = Workload {
            writers,
            insert_pct: 25,
            delete_pct: 25,
            hot_rows: 50,
            ..Workload::new(Table::simple("t"))
        };
        let writers = Writers::start(db.url(), workload).unwrap();
        Busy { conn, writers: Some(writers) }
    }

    fn written(&self) -> u64 {
        self.writers.as_ref().unwrap().statements()
    }

    /// Waits until the writers have got so many more statements answered.
    fn wait_for_writes(&self, more: u64) {
        let goal = self.written() + more;
        wait_until("the writers go on", || self.written() >= goal);
    }

    /// Stops the writers, and compares the table with their journal.
    fn judge(mut self, what: &str) -> Outcome {
        self.wait_for_writes(50);
        let outcome = self.writers.take().unwrap().stop();
        assert_eq!(outcome.errors, Vec::<String>::new(), "{what}: a writer saw an error");
        check(&mut self.conn, &Table::simple("t"), &outcome).unwrap().assert_clean();
        outcome
    }
}

/// Alternates between two definitions.
fn clause(round: u32) -> &'static str {
    if round.is_multiple_of(2) {
        "MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"
    } else {
        "MODIFY id INT NOT NULL AUTO_INCREMENT"
    }
}

#[test]
fn a_hundred_alters_in_a_row_lose_nothing() {
    const ROUNDS: u32 = 100;
    on_each("cutover_hammer", |_, db| {
        let busy = Busy::new(db, 8);
        // Somebody who only ever looks whether the table is there.
        let stop = AtomicBool::new(false);
        let mut waits = Vec::new();
        let looks = std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut conn = db.conn();
                let mut looks = 0_u64;
                while !stop.load(Ordering::SeqCst) {
                    conn.query_drop("SELECT 1 FROM t LIMIT 1").expect("the table name resolves");
                    looks += 1;
                }
                looks
            });
            for round in 0..ROUNDS {
                let report =
                    alter(db, "t", clause(round)).verify(false).old_table(OldTable::Drop).run();
                let report = report.unwrap_or_else(|error| panic!("round {round}: {error}"));
                assert!(report.reconciled_keys.is_empty() && report.conflicting_keys.is_empty());
                waits.push(report.locked);
            }
            stop.store(true, Ordering::SeqCst);
            looking.join().unwrap()
        });
        let outcome = busy.judge("hammer");
        waits.sort();
        eprintln!(
            "{ROUNDS} alters, {} acknowledged writes, {looks} looks; locked median {:?}, longest \
             {:?}; longest wait of a writer {:?}",
            outcome.acknowledged,
            waits[waits.len() / 2],
            waits[waits.len() - 1],
            outcome.max_wait()
        );
        assert_eq!(tables(&mut db.conn()), ["t"]);
    });
}

/// Runs an alter of a busy table with short attempts, and a listener for its first attempt.
fn first_attempt(
    db: &Database,
    configure: impl FnOnce(OnlineAlter) -> OnlineAlter,
    listener: impl Fn(Step, u32) + Send + Sync + 'static,
) -> Report {
    let attempt = AtomicU32::new(0);
    let alter = alter(db, "t", clause(0)).cut_over_lock_timeout(Duration::from_secs(1)).on_step(
        move |step, connection| {
            if step == Step::BeforeLock {
                attempt.fetch_add(1, Ordering::SeqCst);
            }
            if attempt.load(Ordering::SeqCst) == 1 {
                listener(step, connection);
            }
        },
    );
    configure(alter).run().unwrap()
}

#[test]
fn the_locking_connection_killed_at_each_step() {
    let common = [Step::Locked, Step::MarkerSeen, Step::Drained, Step::Checked, Step::BeforeRename];
    let queued = [Step::RenameQueued, Step::SentryDropped, Step::RenameProven];
    on_each("cutover_killed", |server, db| {
        let mut steps = common.to_vec();
        if server.flavor().is_mariadb() {
            steps.extend(queued);
        }
        for victim_step in steps {
            db.conn().query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            let busy = Busy::new(db, 4);
            let locker = AtomicU32::new(0);
            let killed = Arc::new(AtomicBool::new(false));
            let (was_killed, url) = (Arc::clone(&killed), db.url().to_owned());
            let report = first_attempt(
                db,
                |alter| alter,
                move |step, connection| {
                    if step == Step::Locked {
                        locker.store(connection, Ordering::SeqCst);
                    }
                    if step == victim_step {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        let locker = locker.load(Ordering::SeqCst);
                        conn.query_drop(format!("KILL {locker}")).unwrap();
                        wait_until("the connection is gone", || {
                            connection_is_gone(&mut conn, locker)
                        });
                        was_killed.store(true, Ordering::SeqCst);
                    }
                },
            );
            assert!(killed.load(Ordering::SeqCst), "{victim_step:?} never came");
            eprintln!(
                "killed at {victim_step:?}: {} attempts, {} keys reconciled",
                report.cut_over_attempts,
                report.reconciled_keys.len()
            );
            assert!(report.conflicting_keys.is_empty(), "{report}");
            // Before the swap is queued, losing the lock must cost an attempt.
            if !queued.contains(&victim_step) {
                assert!(report.cut_over_attempts > 1);
            }
            busy.judge(&format!("killed at {victim_step:?}"));
            assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
        }
    });
}

/// Someone reads the ghost in an open transaction, which keeps the swap from it.
fn hold_ghost(url: &str) -> Conn {
    let mut conn = Conn::new(url).unwrap();
    conn.query_drop("BEGIN").unwrap();
    conn.query_drop("SELECT 1 FROM _t_gho LIMIT 1").unwrap();
    conn
}

#[test]
fn a_reader_of_the_ghost_while_the_swap_is_queued() {
    on_each("cutover_ghost_read", |server, db| {
        let busy = Busy::new(db, 4);
        // On MariaDB the swap waits for the sentry and has not locked the ghost; on MySQL it is the
        // lock that has to wait.
        let moment =
            if server.flavor().is_mariadb() { Step::RenameQueued } else { Step::BeforeLock };
        let reader = Arc::new(Mutex::new(None));
        let (holder, url) = (Arc::clone(&reader), db.url().to_owned());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::clone(&seen);
        let report = first_attempt(
            db,
            |alter| {
                alter.observer(move |event: &Event| {
                    if matches!(event, Event::CutOverFailed { .. }) {
                        reader.lock().unwrap().take();
                    }
                })
            },
            move |step, _| {
                steps.lock().unwrap().push(step);
                if step == moment {
                    *holder.lock().unwrap() = Some(hold_ghost(&url));
                }
            },
        );
        eprintln!("{} attempts, locked {:?}", report.cut_over_attempts, report.locked);
        busy.judge("reader of the ghost");
        assert!(report.reconciled_keys.is_empty());
        assert!(seen.lock().unwrap().contains(&moment));
    });
}

#[test]
fn rows_written_at_the_worst_moment_are_brought_over() {
    on(Flavor::MariaDb, "cutover_worst_moment", |_, db| {
        let busy = Arc::new(Mutex::new(Some(Busy::new(db, 4))));
        let locker = AtomicU32::new(0);
        let reader = Mutex::new(None);
        let (url, writers) = (db.url().to_owned(), Arc::clone(&busy));
        let report = first_attempt(
            db,
            |alter| alter,
            move |step, connection| match step {
                Step::Locked => locker.store(connection, Ordering::SeqCst),
                // The swap is going to wait for the ghost, and not to reach the table.
                Step::RenameQueued => *reader.lock().unwrap() = Some(hold_ghost(&url)),
                // The sentry is gone, and now the lock is too: writers get in.
                Step::SentryDropped => {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    let locker = locker.load(Ordering::SeqCst);
                    conn.query_drop(format!("KILL {locker}")).unwrap();
                    writers.lock().unwrap().as_ref().unwrap().wait_for_writes(40);
                    reader.lock().unwrap().take();
                }
                _ => {}
            },
        );
        eprintln!("{} keys reconciled", report.reconciled_keys.len());
        let busy = busy.lock().unwrap().take().unwrap();
        assert!(!report.reconciled_keys.is_empty(), "the race was not forced: {report}");
        if report.conflicting_keys.is_empty() {
            busy.judge("the worst moment");
        }
    });
}

/// Which rows they are is found by the old key, where the new table has one like it; if not, they are
/// named.
#[test]
fn rows_written_at_the_worst_moment_are_found_by_the_old_key() {
    on(Flavor::MariaDb, "cutover_worst_keys", |_, db| {
        for (clause, found) in [
            ("DROP PRIMARY KEY", true),
            ("DROP PRIMARY KEY, ADD PRIMARY KEY (v)", true),
            ("DROP PRIMARY KEY, ADD PRIMARY KEY (id, v) PARTITION BY HASH (v) PARTITIONS 2", true),
            ("MODIFY id VARCHAR(20) NOT NULL", false),
            ("MODIFY id BIGINT NOT NULL", true),
        ] {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)").unwrap();
            conn.query_drop("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)").unwrap();
            let (locker, reader) = (AtomicU32::new(0), Mutex::new(None));
            let url = db.url().to_owned();
            let report = alter(db, "t", clause)
                .on_step(move |step, connection| match step {
                    Step::Locked => locker.store(connection, Ordering::SeqCst),
                    Step::RenameQueued => *reader.lock().unwrap() = Some(hold_ghost(&url)),
                    Step::SentryDropped => {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        let locker = locker.load(Ordering::SeqCst);
                        conn.query_drop(format!("KILL {locker}")).unwrap();
                        wait_until("the lock is gone", || connection_is_gone(&mut conn, locker));
                        conn.query_drop("UPDATE t SET v = 22 WHERE id = 2").unwrap();
                        conn.query_drop("UPDATE t SET id = 4 WHERE id = 3").unwrap();
                        reader.lock().unwrap().take();
                    }
                    _ => {}
                })
                .run()
                .unwrap_or_else(|error| panic!("{clause}: {error}"));
            let rows: Vec<(i32, i32)> = conn.query("SELECT id, v FROM t ORDER BY id + 0").unwrap();
            let keys = ["(2)", "(3)", "(4)"];
            if found {
                assert_eq!(report.reconciled_keys, keys, "{clause}: {report}");
                assert_eq!(rows, [(1, 10), (2, 22), (4, 30)], "{clause}");
            } else {
                assert_eq!(report.conflicting_keys, keys, "{clause}: {report}");
                assert_eq!(report.old_table.as_deref().map(|t| t.contains("_t_del")), Some(true));
            }
        }
    });
}

#[test]
fn a_long_transaction_costs_an_attempt_and_nothing_else() {
    on_each("cutover_long_transaction", |_, db| {
        let busy = Busy::new(db, 4);
        db.conn().query_drop("CREATE TABLE beside (id INT PRIMARY KEY, v INT); ").unwrap();
        let transaction = Arc::new(Mutex::new(None::<Conn>));
        let (ending, url) = (Arc::clone(&transaction), db.url().to_owned());
        let report = first_attempt(
            db,
            |alter| {
                alter.observer(move |event: &Event| match event {
                    Event::CutOverAttempt { attempt: 1, .. } => {
                        let mut conn = Conn::new(url.as_str()).unwrap();
                        // Reads are enough: they hold the definition.
                        conn.query_drop("BEGIN").unwrap();
                        conn.query_drop("SELECT COUNT(*) FROM t").unwrap();
                        *transaction.lock().unwrap() = Some(conn);
                    }
                    Event::CutOverFailed { .. } => {
                        if let Some(mut conn) = ending.lock().unwrap().take() {
                            conn.query_drop("COMMIT").unwrap();
                        }
                    }
                    _ => {}
                })
            },
            |_, _| {},
        );
        assert!(report.cut_over_attempts > 1, "{report}");
        busy.judge("long transaction");
    });
}

#[test]
fn the_answer_to_the_swap_is_lost() {
    on_each("cutover_lost_answer", |server, db| {
        for lose in [Lose::Answer, Lose::Request] {
            db.conn().query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            let busy = Busy::new(db, 4);
            let proxy = Proxy::start(server.port(), "RENAME /* online-alter */", lose, 1);
            let through_proxy =
                db.url().replace(&server.port().to_string(), &proxy.port().to_string());
            let report = OnlineAlter::new(through_proxy, "t")
                .alter(clause(0))
                .cut_over_lock_timeout(Duration::from_secs(1))
                .run()
                .unwrap();
            assert_eq!(proxy.lost(), 1);
            eprintln!("{lose:?} lost: {} attempts", report.cut_over_attempts);
            assert!(report.conflicting_keys.is_empty(), "{report}");
            if lose == Lose::Request {
                assert!(report.cut_over_attempts > 1, "it cannot have been carried out");
            }
            busy.judge("lost answer");
            let id_type: String = db
                .conn()
                .query_first(
                    "SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \
                     DATABASE() AND TABLE_NAME = 't' AND COLUMN_NAME = 'id'",
                )
                .unwrap()
                .unwrap();
            assert_eq!(id_type, "bigint");
        }
    });
}

#[test]
fn the_counter_goes_over() {
    on_each("cutover_counter", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1), (90, 90), (100, 100)").unwrap();
        conn.query_drop("DELETE FROM t WHERE id > 1").unwrap();
        alter(db, "t", "MODIFY id BIGINT AUTO_INCREMENT").run().unwrap();
        conn.query_drop("INSERT INTO t (v) VALUES (2)").unwrap();
        assert_eq!(conn.last_insert_id(), 101, "an id was given out twice");
        // And one that the user sets stands.
        conn.query_drop("DROP TABLE _t_del").unwrap();
        alter(db, "t", "AUTO_INCREMENT = 5000").run().unwrap();
        conn.query_drop("INSERT INTO t (v) VALUES (3)").unwrap();
        assert_eq!(conn.last_insert_id(), 5000);
    });
}

#[test]
fn the_table_is_altered_by_somebody_during_an_attempt() {
    on_each("cutover_altered_meanwhile", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)").unwrap();
        let started = Instant::now();
        let url = db.url().to_owned();
        let error = alter(db, "t", "ADD COLUMN w INT")
            .on_step(move |step, _| {
                if step == Step::BeforeLock {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    conn.query_drop("ALTER TABLE t ADD COLUMN theirs INT").unwrap();
                }
            })
            .run()
            .unwrap_err();
        eprintln!("{error} after {:?}", started.elapsed());
        assert_eq!(error.kind(), online_alter::ErrorKind::TableChanged);
        assert_eq!(tables(&mut conn), ["t"]);
    });
}

/// The old primary key goes: its columns keep an index on the ghost until the swap, with generated
/// columns where the table is to have no primary key, or they are of another type. An attempt that
/// fails behind the dropping of all that has to put it back.
#[test]
fn the_stand_in_index_survives_a_failed_attempt() {
    on_each("cutover_stand_in", |_, db| {
        for clause in [
            "DROP PRIMARY KEY, ADD PRIMARY KEY (u), DROP INDEX u",
            "DROP PRIMARY KEY",
            "MODIFY id VARCHAR(20) NOT NULL, ADD COLUMN w INT",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (v)",
        ] {
            a_stand_in_survives(db, clause);
        }
    });
}

fn a_stand_in_survives(db: &Database, clause: &str) {
    let mut conn = db.conn();
    conn.query_drop("DROP TABLE IF EXISTS t, _t_del, expect").unwrap();
    conn.query_drop(
        "CREATE TABLE t (id INT PRIMARY KEY, u INT NOT NULL, v INT NOT NULL, UNIQUE KEY u (u))",
    )
    .unwrap();
    conn.query_drop("CREATE TABLE expect LIKE t").unwrap();
    conn.query_drop(format!("ALTER TABLE expect {clause}")).unwrap();
    conn.query_drop("INSERT INTO t VALUES (1, 10, 100), (2, 20, 200), (3, 30, 300)").unwrap();
    let killed = AtomicBool::new(false);
    let locker = AtomicU32::new(0);
    let url = db.url().to_owned();
    let report = alter(db, "t", clause)
        .on_step(move |step, connection| {
            if step == Step::Locked {
                locker.store(connection, Ordering::SeqCst);
            }
            if step == Step::Checked && !killed.swap(true, Ordering::SeqCst) {
                let mut conn = Conn::new(url.as_str()).unwrap();
                let locker = locker.load(Ordering::SeqCst);
                conn.query_drop(format!("KILL {locker}")).unwrap();
                wait_until("the connection is gone", || connection_is_gone(&mut conn, locker));
                conn.query_drop("INSERT INTO t VALUES (4, 40, 400)").unwrap();
                conn.query_drop("UPDATE t SET v = 101, id = 5 WHERE id = 1").unwrap();
            }
        })
        .run()
        .unwrap_or_else(|error| panic!("{clause}: {error}"));
    assert!(report.cut_over_attempts > 1);
    let rows: Vec<(i32, i32, i32)> = conn.query("SELECT id, u, v FROM t ORDER BY u").unwrap();
    assert_eq!(rows, [(5, 10, 101), (2, 20, 200), (3, 30, 300), (4, 40, 400)], "{clause}");
    let mut definition = |table: &str| {
        let (_, text): (String, String) =
            conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
        text.replacen(table, "", 1)
    };
    assert_eq!(definition("t"), definition("expect"), "{clause}");
}
