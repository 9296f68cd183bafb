//! Errors of the server in the middle of a run, each forced where it hurts: what is done again, what is waited for,
//! and what ends the run (docs/RETRIES.md).

mod connections;
mod disk;
mod killed;
mod locks;
mod many_changes;
mod read_only;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ChunkSize, Event, Handle, IndexBuild, OnMismatch, OnlineAlter, Step};
use online_alter_support::{Database, Server, available, database};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, wait_until};
use crate::stream::exec;

/// Has indexes that are built afterwards, and changes all rows.
const CLAUSE: &str = "MODIFY v BIGINT NOT NULL, ADD COLUMN c INT NOT NULL DEFAULT 7";
const ROWS: u64 = 300;

/// Runs the test on servers of its own: it changes what concerns everybody.
fn on_own(name: &str, options: &[&str], test: impl Fn(&Server, &Database)) {
    let _ = env_logger::try_init();
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    for flavor in FLAVORS.into_iter().filter(|f| only.as_ref().is_none_or(|o| *o == f.to_string()))
    {
        let builder =
            options.iter().fold(Server::builder(flavor), |all, option| all.option(*option));
        let Some(server) = available(builder.start()) else { continue };
        eprintln!("{name} on {flavor}");
        test(&server, &database(&server, name));
    }
}

/// A table, and a user whose connections are all the run's: he may not do more than a run needs.
fn create(server: &Server, db: &Database) -> (Conn, OnlineAlter) {
    let (name, mut conn) = (db.name(), db.conn());
    for sql in [
        format!("DROP USER IF EXISTS {name}"),
        format!("CREATE USER {name} IDENTIFIED BY 'secret'"),
        format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {name}"),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, LOCK TABLES, TRIGGER ON \
             `{name}`.* TO {name}"
        ),
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(200) NOT NULL, KEY v (v)) \
         ENGINE=InnoDB"
            .to_owned(),
        format!(
            "INSERT INTO t (v, pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
             SELECT i, REPEAT('x', 100) FROM n"
        ),
    ] {
        exec(&mut conn, &sql);
    }
    let url = format!("mysql://{name}:secret@127.0.0.1:{}/{name}", server.port());
    let run = OnlineAlter::new(url, "t")
        .alter(CLAUSE)
        .on_mismatch(OnMismatch::Stop)
        .chunk_size(ChunkSize::Rows(50))
        .index_build(IndexBuild::AfterCopy)
        .copy_workers(1)
        .heartbeat_interval(Duration::from_millis(20));
    (conn, run)
}

/// A run that waits at a step until it is let go.
struct Held {
    // Dropped before the handle, which waits for the run.
    go: Sender<()>,
    handle: Handle,
    seen: Arc<Mutex<Vec<String>>>,
}

/// Starts it and waits until it is there.
#[track_caller]
fn held_at(run: OnlineAlter, step: Step) -> Held {
    let (tell, reached) = bounded(1);
    let (go, wait): (Sender<()>, Receiver<()>) = bounded(1);
    let first = AtomicBool::new(true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let handle = run
        .on_step(move |at, _| {
            if at == step && first.swap(false, Ordering::SeqCst) {
                let _ = tell.send(());
                // A test that has failed hangs up.
                let _ = wait.recv();
            }
        })
        .observer(move |event: &Event| match event {
            Event::ChunkRetried { reason, .. } | Event::CutOverFailed { reason, .. } => {
                sees.lock().push(reason.clone());
            }
            _ => {}
        })
        .start()
        .unwrap();
    if reached.recv_timeout(Duration::from_secs(60)).is_err() {
        drop(go);
        panic!("the run does not come there: {:?}", handle.join());
    }
    Held { go, handle, seen }
}

impl Held {
    /// Waits until a chunk, or an attempt to cut over, has failed for such a reason.
    #[track_caller]
    fn wait_for(&self, reason: &str) {
        wait_until(reason, || {
            assert!(!self.handle.is_finished(), "the run ended: {:?}", self.seen.lock());
            self.seen.lock().iter().any(|seen| seen.contains(reason))
        });
    }

    /// It comes to its end, and the new table has what the old one has.
    #[track_caller]
    fn finish(self, conn: &mut Conn) {
        let Held { handle, go, .. } = self;
        drop(go);
        handle.join().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sums(conn, "t WHERE c = 7"), sums(conn, "_t_del"));
        let keys: Vec<Row> = conn.query("SHOW INDEX FROM t").unwrap();
        assert_eq!(keys.len(), 2, "the index is there");
    }
}

/// What rows there are.
fn sums(conn: &mut Conn, from: &str) -> Option<String> {
    let sums = "CONCAT_WS(' ', COUNT(*), SUM(id), SUM(v), SUM(CRC32(pad)))";
    conn.query_first(format!("SELECT {sums} FROM {from}")).unwrap()
}

/// The user's statements, by their connections; not that of the run's named lock.
fn statements(conn: &mut Conn, db: &Database) -> Vec<(u32, String)> {
    let lock = format!("SELECT IS_USED_LOCK('online-alter:{}.t')", db.name());
    let guard: Option<u32> = conn.query_first(lock).unwrap().unwrap();
    let rows: Vec<Row> = conn.query("SHOW FULL PROCESSLIST").unwrap();
    let of = |row: Row| -> Option<(u32, String)> {
        let (id, user): (u32, String) = (row.get(0)?, row.get(1)?);
        let info: Option<String> = row.get(7)?;
        (user == db.name() && Some(id) != guard).then_some((id, info?))
    };
    rows.into_iter().filter_map(of).collect()
}
