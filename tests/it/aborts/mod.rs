//! Runs that are stopped, held up, or fail by the hand of their owner: what is left of them is what
//! they say, and the table is as it was.

mod attempts;
mod connections;
mod dropped;
mod hanging;
mod leftovers;
mod limits;
mod panics;
mod phases;
mod postponing;
mod throttling;
mod vetoes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{
    ChunkSize, Error, ErrorKind, Event, Handle, OnlineAlter, Phase, Postpone, Report, Step,
    TableState,
};
use online_alter_support::{Database, Server};

use crate::harness::{on_each, tables, wait_until};

const ADD: &str = "ADD COLUMN c INT NOT NULL DEFAULT 7";
const ADD_UNIQUE: &str = "ADD COLUMN c INT NOT NULL DEFAULT 7, ADD UNIQUE KEY v_u (v)";
const ROWS: u64 = 300;

/// A table of a run's own, and a user whose connections are all the run's.
struct Case<'a> {
    server: &'a Server,
    db: &'a Database,
    conn: Conn,
    clause: &'static str,
    before: (String, Vec<Row>),
}

fn each(name: &str, clause: &'static str, test: impl Fn(&mut Case<'_>)) {
    on_each(name, |server, db| test(&mut Case::new(server, db, clause)));
}

impl<'a> Case<'a> {
    fn new(server: &'a Server, db: &'a Database, clause: &'static str) -> Self {
        let mut conn = db.conn();
        let user = db.name();
        for sql in [
            format!("DROP USER IF EXISTS {user}"),
            format!("CREATE USER {user} IDENTIFIED BY 'secret'"),
            format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {user}"),
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, LOCK TABLES, TRIGGER \
                 ON `{user}`.* TO {user}"
            ),
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(40) NOT \
             NULL) ENGINE=InnoDB"
                .to_owned(),
            format!(
                "INSERT INTO t (v, pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 \
                 FROM n WHERE i < {ROWS}) SELECT i, CONCAT('row ', i) FROM n"
            ),
        ] {
            conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        let before = content(&mut conn);
        Case { server, db, conn, clause, before }
    }

    fn alter(&self) -> OnlineAlter {
        let name = self.db.name();
        let url = format!("mysql://{name}:secret@127.0.0.1:{}/{name}", self.server.port());
        OnlineAlter::new(url, "t")
            .alter(self.clause)
            .heartbeat_interval(Duration::from_millis(50))
            .cut_over_lock_timeout(Duration::from_secs(20))
    }

    fn postponed(&self) -> Handle {
        let alter = self.alter().postpone_cut_over(Postpone::until_released());
        wait_for_postponed(alter.start().unwrap())
    }

    fn sql(&mut self, sql: &str) {
        self.conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn number(&mut self, sql: &str) -> u64 {
        self.conn.query_first(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap()
    }

    fn connections(&mut self) -> usize {
        let rows: Vec<Row> = self.conn.query("SHOW PROCESSLIST").unwrap();
        let is_ours = |row: &&Row| row.get::<String, _>(1).as_deref() == Some(self.db.name());
        rows.iter().filter(is_ours).count()
    }

    /// No connection is left, for longer than the server needs to notice.
    #[track_caller]
    fn assert_no_connection(&mut self) {
        let asked = Instant::now();
        loop {
            let left = self.connections();
            if left == 0 {
                return;
            }
            assert!(asked.elapsed() < Duration::from_secs(2), "{left} connections are left");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything is as it was, and another run can begin, and succeeds.
    #[track_caller]
    fn assert_untouched(&mut self) {
        assert_eq!(tables(&mut self.conn), ["t"]);
        assert_eq!(content(&mut self.conn), self.before);
        self.assert_no_connection();
        let plan = self.alter().plan().unwrap();
        plan.run().unwrap();
        self.assert_altered();
    }

    /// The run ended so, and left nothing.
    #[track_caller]
    fn assert_failed(&mut self, error: &Error, kind: ErrorKind) {
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers(), [], "{error}");
        self.assert_untouched();
    }

    #[track_caller]
    fn assert_altered(&mut self) {
        self.assert_no_connection();
        assert_eq!(tables(&mut self.conn), ["_t_del", "t"]);
        let old = "SELECT COUNT(*), SUM(v), MIN(pad), MAX(pad) FROM _t_del";
        let new = "SELECT COUNT(*), SUM(v), MIN(pad), MAX(pad) FROM t WHERE c = 7";
        let read = |conn: &mut Conn, sql| -> Row { conn.query_first(sql).unwrap().unwrap() };
        assert_eq!(read(&mut self.conn, new), read(&mut self.conn, old));
        assert_eq!(
            self.number("SELECT COUNT(*) FROM t"),
            self.number("SELECT COUNT(*) FROM _t_del")
        );
    }

    /// Writes for long enough that whoever may react has done so, each write behind the coming
    /// through of the one before.
    fn write_for_a_while(&mut self, handle: &Handle) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            self.write_through(handle, 1);
        }
    }

    /// Writes `times` times, each write behind the coming through of the one before.
    fn write_through(&mut self, handle: &Handle, times: u64) {
        for _ in 0..times {
            let before = handle.progress().keys_changed;
            self.sql("INSERT INTO t (v, pad) SELECT MAX(v) + 1, 'written' FROM t");
            wait_until("the write comes through the stream", || {
                handle.progress().keys_changed > before
            });
        }
    }
}

/// The definition, counter included, and all rows.
fn content(conn: &mut Conn) -> (String, Vec<Row>) {
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    (row.get(1).unwrap(), conn.query("SELECT * FROM t ORDER BY id").unwrap())
}

fn wait_for_postponed(handle: Handle) -> Handle {
    wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
    handle
}

/// A run that is held up: it says so, and waits until this is dropped.
struct Hold {
    reached: Receiver<()>,
    _go: Sender<()>,
}

impl Hold {
    fn new() -> (impl Fn() + Send + Sync + 'static, Self) {
        let (tell, reached) = bounded(1);
        let (go, wait) = bounded::<()>(0);
        let first = AtomicBool::new(true);
        let stop = move || {
            if first.swap(false, Ordering::SeqCst) {
                let _ = tell.send(());
                let _ = wait.recv_timeout(Duration::from_secs(20));
            }
        };
        (stop, Hold { reached, _go: go })
    }

    #[track_caller]
    fn wait(&self) {
        self.reached.recv_timeout(Duration::from_secs(20)).expect("the run does not come there");
    }

    fn go(self) {}
}

/// Holds the run up when it first comes to the step.
fn hold_at(alter: OnlineAlter, step: Step) -> (OnlineAlter, Hold) {
    let (stop, hold) = Hold::new();
    let alter = alter.on_step(move |at, _| {
        if at == step {
            stop();
        }
    });
    (alter, hold)
}

/// Holds the run up in the middle of the copy.
fn hold_in_copy(alter: OnlineAlter) -> (OnlineAlter, Hold) {
    let (stop, hold) = Hold::new();
    let mut chunks = 0;
    let alter = alter.chunk_size(ChunkSize::Rows(10)).observer(move |event: &Event| {
        if matches!(event, Event::ChunkCopied { .. }) {
            chunks += 1;
            if chunks == 2 {
                stop();
            }
        }
    });
    (alter, hold)
}

/// The end of a run that might hang: then the test fails.
#[track_caller]
fn end_of(alter: OnlineAlter) -> Result<Report, Error> {
    let mut handle = Some(alter.start()?);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !handle.as_ref().is_some_and(Handle::is_finished) {
        if Instant::now() > deadline {
            // Dropping it would wait for ever.
            std::mem::forget(handle.take());
            panic!("the run hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.take().unwrap().join()
}

/// A directory that goes with the test.
struct TempDir(std::path::PathBuf);

fn tempdir(name: &str) -> TempDir {
    let dir = std::env::temp_dir().join(format!("online-alter-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    TempDir(dir)
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
