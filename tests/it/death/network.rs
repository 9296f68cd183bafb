//! The network fails: connections of each kind are cut after n bytes, for n over all that they send and receive in a run, at
//! both ends or at the client's alone; stalled without a close; delayed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Error, ErrorKind, Leftover, Phase, Report, TableState};
use online_alter_support::{Database, Server, shared};

use super::line::{Fault, Line};
use super::{Busy, STREAM, rounds};
use crate::harness::{FLAVORS, tables};

/// What a kind of connection sends (`{db}` is the schema), and how a run may end that loses one of it behind the fence.
struct Kind {
    name: &'static str,
    text: &'static str,
    fatal: bool,
}

const KINDS: [Kind; 8] = [
    Kind { name: "copy", text: "INSERT /* online-alter */ INTO `{db}`.`_t_gho`", fatal: false },
    Kind { name: "refresh", text: "REPLACE /* online-alter */ INTO `{db}`.`_t_gho`", fatal: false },
    Kind { name: "stream", text: STREAM, fatal: false },
    Kind { name: "heartbeat", text: "GET_LOCK('online-alter:{db}.t'", fatal: true },
    Kind { name: "definition", text: "CREATE TABLE `{db}`.`_t_gho`", fatal: false },
    Kind { name: "control", text: "XA RECOVER", fatal: false },
    Kind { name: "cutover", text: "LOCK TABLES `{db}`", fatal: false },
    Kind { name: "all", text: "", fatal: true },
];

/// A user of the run's own, by whom its connections are known.
fn user(server: &Server, name: &str) {
    let mut conn = server.conn();
    for sql in [
        format!("DROP USER IF EXISTS {name}"),
        format!("CREATE USER {name} IDENTIFIED BY 'secret'"),
        format!("GRANT ALL ON *.* TO {name}"),
    ] {
        conn.query_drop(sql).unwrap();
    }
}

fn run(busy: &Busy, line: &Line, name: &str) -> Result<Report, Error> {
    let url = format!("mysql://{name}:secret@127.0.0.1:{}/{}", line.port(), busy.db.name());
    let handle = busy.alter_at(&url).start()?;
    let began = Instant::now();
    while !handle.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(60), "it hangs: {:?}", handle.progress());
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.join()
}

/// The run has kept no connection, but for those that it names.
#[track_caller]
fn assert_no_connection(db: &Database, name: &str, ended: &Result<Report, Error>, what: &str) {
    let mut conn: Conn = db.conn();
    let mut left = Vec::new();
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(3) {
        let rows: Vec<mysql::Row> = conn.query("SHOW FULL PROCESSLIST").unwrap();
        let is_ours = |row: &mysql::Row| row.get::<String, _>(1).as_deref() == Some(name);
        let id = |row: &mysql::Row| row.get::<u32, _>(0).unwrap();
        let is_named = |row: &mysql::Row| match ended {
            Ok(report) => {
                let text = format!("connection {} ", id(row));
                report.warnings.iter().any(|warning| warning.contains(&text))
            }
            Err(error) => error.leftovers().contains(&Leftover::Connection(id(row))),
        };
        left = rows.into_iter().filter(|row| is_ours(row) && !is_named(row)).collect();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: {left:?} are left, and named is {ended:?}");
}

fn one(server: &Server, kind: &Kind, fault: Fault, at: u64) -> (u64, bool) {
    // Each has a schema and a user of its own: what the one before has left is not of this one.
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let name = format!("net_{}", RUNS.fetch_add(1, Ordering::SeqCst));
    let busy = Busy::new(server, &name);
    let db = busy.db.clone();
    user(server, &name);
    let line = Line::start(server.port(), &kind.text.replace("{db}", &name), fault, at);
    let ended = run(&busy, &line, &name);
    let struck = line.has_struck();
    let what = format!("{} {fault:?} at {at} on {}", kind.name, server.flavor());
    eprintln!(
        "  {what}: {struck}, {}",
        match &ended {
            Ok(report) => format!("{} attempts, {:?}", report.cut_over_attempts, report.warnings),
            Err(error) => error.to_string(),
        }
    );
    if let Err(error) = &ended {
        assert!(struck, "{what}: {error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{what}: {error}");
        let early = error.phase() <= Phase::Fence && error.kind() == ErrorKind::Connection;
        let lost = kind.fatal && error.kind() == ErrorKind::LockLost;
        assert!(early || lost, "{what}: {error}");
        if !kind.fatal {
            assert_eq!(tables(&mut db.conn()), ["t"], "{what}: {error}");
        }
    }
    assert_no_connection(&db, &name, &ended, &what);
    busy.judge(&ended, &what);
    (line.bytes(), struck)
}

fn on_shared(test: impl Fn(&Server)) {
    let _ = env_logger::try_init();
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    for flavor in FLAVORS.into_iter().filter(|f| only.as_ref().is_none_or(|o| *o == f.to_string()))
    {
        let Some(server) = shared(flavor) else { continue };
        test(server);
    }
}

fn sweep(kinds: &[Kind]) {
    on_shared(|server| {
        for kind in kinds {
            let (bytes, _) = one(server, kind, Fault::None, 0);
            assert!(bytes > 0, "there is no {} on {}", kind.name, server.flavor());
            let points = u64::from(rounds(3));
            let mut struck = 0;
            for point in 0..points {
                let fault = if point % 2 == 0 { Fault::Half } else { Fault::Cut };
                // How much is sent depends on the writers: most often not much less.
                let at = bytes * 7 / 10 * (2 * point + 1) / (2 * points);
                struck += u32::from(one(server, kind, fault, at).1);
            }
            assert!(struck > 0, "no {} was cut on {}", kind.name, server.flavor());
        }
    });
}

#[test]
fn connections_are_cut_in_the_copy() {
    sweep(&KINDS[..4]);
}

#[test]
fn connections_are_cut_about_the_copy() {
    sweep(&KINDS[4..]);
}

/// Nothing is lost but time.
#[test]
fn connections_are_stalled_and_delayed() {
    const STALL: Fault = Fault::Stall(Duration::from_secs(2));
    const DELAY: Fault = Fault::Delay(Duration::from_millis(500));
    on_shared(|server| {
        std::thread::scope(|scope| {
            for (kind, fault, at) in [
                ("copy", STALL, 1_000),
                ("refresh", STALL, 500),
                ("stream", DELAY, 0),
                ("heartbeat", DELAY, 300),
                ("control", STALL, 400),
                ("cutover", DELAY, 0),
            ] {
                let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
                scope.spawn(move || {
                    let (_, struck) = one(server, &Kind { fatal: false, ..*kind }, fault, at);
                    assert!(struck, "no {} fell ill", kind.name);
                });
            }
        });
    });
}
