//! Writers that do the same to a table and to its twin, in one transaction. The twin then gets the
//! ALTER from the server itself: in the end the two must be the same.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, LocalInfileHandler};
use online_alter::{ChunkSize, Event, Postpone, Report};
use online_alter_support::{Database, Server};

use super::writes::{KINDS, Kind, Moves};
use crate::harness::{alter, wait_until};
use crate::stream::{CLAUSE, exec, finish};

const WRITERS: u32 = 3;

/// Between two transactions of a writer.
const PAUSE: Duration = Duration::from_millis(8);

/// Rows of each writer that are there before. Its ids and values of `u` begin at its number times
/// 10,000.
const ROWS: u32 = 120;

/// Runs an alter while writers with these settings go through all kinds of writes, during the copy, while
/// it is postponed, around the cut-over and behind it, and compares with the twin.
pub(super) fn follows(server: &Server, db: &Database, settings: &[&str]) -> Report {
    let mut conn = db.conn();
    if !server.flavor().is_mariadb() {
        exec(&mut conn, "SET GLOBAL local_infile = ON");
    }
    for table in ["t", "expect"] {
        exec(
            &mut conn,
            &format!(
                "CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, u INT, v INT NOT NULL, pad \
                 VARCHAR(64), doc JSON, big LONGBLOB, UNIQUE KEY u (u))"
            ),
        );
        for writer in 0..WRITERS {
            let rows: Vec<String> = (0..ROWS)
                .map(|i| {
                    let id = writer * 10_000 + i;
                    let u = if i % 4 == 3 { "NULL".to_owned() } else { id.to_string() };
                    format!("({id}, {u}, {i}, 'row {i}', '{{\"a\": {i}, \"b\": [1, 2]}}', REPEAT('x', 50))")
                })
                .collect();
            exec(&mut conn, &format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
        }
    }
    exec(&mut conn, "CREATE TABLE other (id INT NOT NULL PRIMARY KEY, n INT NOT NULL)");
    exec(&mut conn, "INSERT INTO other SELECT id, id % 7 + 1 FROM t");

    let writers = Writers::start(db, settings);
    writers.wait_for_more(5);
    let done = Arc::clone(&writers.done);
    let handle = alter(db, "t", CLAUSE)
        .chunk_size(ChunkSize::Rows(9))
        .postpone_cut_over(Postpone::until_released())
        .observer(move |event: &Event| {
            if let Event::ChunkCopied { .. } = event {
                // Between any two chunks something is written; but the copy must not wait for a
                // writer that waits for it.
                let (before, end) = (done.load(Ordering::SeqCst), Instant::now());
                while done.load(Ordering::SeqCst) < before + 2
                    && end.elapsed() < Duration::from_millis(500)
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
        .start()
        .unwrap();
    wait_until("it is postponed", || {
        handle.is_finished() || handle.progress().phase == online_alter::Phase::Postponed
    });
    writers.wait_for_more(3 * u64::try_from(KINDS.len()).unwrap());
    let report = finish(handle);
    writers.wait_for_more(20);
    let written = writers.stop();
    eprintln!("{written:?}; {report}");
    for kind in KINDS {
        assert!(written.contains(&kind), "{kind:?} was never committed");
    }
    assert!(report.reconciled_keys.is_empty() && report.conflicting_keys.is_empty(), "{report}");
    assert!(report.keys_changed > 100, "{report}");
    exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
    same_as_twin(&mut conn);
    report
}

/// Both tables are the same, in their definitions and byte by byte.
#[track_caller]
pub(super) fn same_as_twin(conn: &mut Conn) {
    let mut definition = |table: &str| {
        let (_, text): (String, String) =
            conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(definition("t"), definition("expect"));
    let columns: Vec<String> = conn
        .query(
            "SELECT CONCAT('IFNULL(HEX(CAST(`', COLUMN_NAME, '` AS BINARY)), ''NULL'')') FROM \
             information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' \
             ORDER BY ORDINAL_POSITION",
        )
        .unwrap();
    let mut rows = |table: &str| -> Vec<String> {
        let sql =
            format!("SELECT CONCAT_WS('|', id, {}) FROM {table} ORDER BY id", columns.join(", "));
        conn.query(sql).unwrap()
    };
    let (new, twin) = (rows("t"), rows("expect"));
    let missing: Vec<&String> = twin.iter().filter(|row| !new.contains(row)).collect();
    let extra: Vec<&String> = new.iter().filter(|row| !twin.contains(row)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
    assert_eq!(new.len(), twin.len());
    assert!(!new.is_empty());
}

/// Running writers.
struct Writers {
    stop: Arc<AtomicBool>,
    /// How many transactions were committed.
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Kind>>>,
}

impl Writers {
    fn start(db: &Database, settings: &[&str]) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let threads = (0..WRITERS)
            .map(|writer| {
                let mut conn = db.conn();
                for setting in settings {
                    exec(&mut conn, setting);
                }
                // Fewer gaps are locked: the writers are in each other's way less often.
                exec(&mut conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
                conn.set_local_infile_handler(Some(LocalInfileHandler::new(|name, to| {
                    let name = String::from_utf8_lossy(name).into_owned();
                    to.write_all(super::writes::file(&name).as_bytes())
                })));
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                std::thread::spawn(move || write(&mut conn, writer, &stop, &done))
            })
            .collect();
        Writers { stop, done, threads }
    }

    fn wait_for_more(&self, more: u64) {
        let goal = self.done.load(Ordering::SeqCst) + more;
        wait_until("the writers go on", || self.done.load(Ordering::SeqCst) >= goal);
    }

    /// The kinds of writes that were committed.
    fn stop(self) -> Vec<Kind> {
        self.stop.store(true, Ordering::SeqCst);
        let mut written: Vec<Kind> =
            self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        written.sort_unstable();
        written.dedup();
        written
    }
}

fn write(conn: &mut Conn, writer: u32, stop: &AtomicBool, done: &AtomicU64) -> Vec<Kind> {
    let mut moves = Moves::new(writer * 10_000, ROWS);
    let mut written = Vec::new();
    for kind in KINDS.into_iter().cycle() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(PAUSE);
        let statements = moves.next(kind);
        if transaction(conn, kind, &statements) {
            written.push(kind);
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
    written
}

/// The same on both tables, in one transaction. False if it was rolled back, as a whole.
fn transaction(conn: &mut Conn, kind: Kind, statements: &[String]) -> bool {
    exec(conn, "BEGIN");
    for table in ["t", "expect"] {
        for statement in statements {
            let sql = statement.replace("{t}", table);
            match conn.query_drop(&sql) {
                // Duplicates that were not foreseen, and writers that met.
                Err(mysql::Error::MySqlError(error))
                    if [1062, 1205, 1213].contains(&error.code) =>
                {
                    exec(conn, "ROLLBACK");
                    return false;
                }
                other => other.unwrap_or_else(|error| panic!("{sql}: {error}")),
            }
        }
    }
    exec(conn, if kind == Kind::RolledBack { "ROLLBACK" } else { "COMMIT" });
    true
}
