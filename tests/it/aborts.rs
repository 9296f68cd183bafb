//! Runs that are stopped, held up, or fail by the hand of their owner: what is left of them is what
//! they say, and the table is as it was.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::throttle::{StatusLimits, Verdict};
use online_alter::{
    ChunkSize, Error, ErrorKind, Event, Handle, Leftover, OnlineAlter, Phase, Postpone, Report,
    Step, TableState,
};
use online_alter_support::{Database, Server};

use crate::harness::{on_each, tables, until};

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
            until("the write comes through the stream", || handle.progress().keys_changed > before);
        }
    }
}

/// The definition, counter included, and all rows.
fn content(conn: &mut Conn) -> (String, Vec<Row>) {
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    (row.get(1).unwrap(), conn.query("SELECT * FROM t ORDER BY id").unwrap())
}

fn wait_for_postponed(handle: Handle) -> Handle {
    until("it is postponed", || handle.progress().phase == Phase::Postponed);
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

fn abort_at(name: &str, clause: &'static str, step: Step, phases: &[Phase]) {
    each(name, clause, |case| {
        let (alter, hold) = hold_at(case.alter(), step);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert!(phases.contains(&error.phase()), "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_when_the_ghost_is_there() {
    abort_at("abort_ghost", ADD, Step::GhostCreated, &[Phase::Prepare, Phase::Fence]);
}

#[test]
fn abort_behind_the_fence() {
    abort_at("abort_fence", ADD, Step::FencePassed, &[Phase::Fence, Phase::Copy]);
}

#[test]
fn abort_after_the_copy() {
    abort_at("abort_copied", ADD, Step::CopyDone, &[Phase::Copy, Phase::Analyze]);
}

#[test]
fn abort_before_the_indexes() {
    abort_at("abort_no_index", ADD_UNIQUE, Step::CopyDone, &[Phase::Copy, Phase::BuildIndexes]);
}

#[test]
fn abort_when_the_indexes_are_built() {
    abort_at(
        "abort_indexed",
        ADD_UNIQUE,
        Step::IndexesBuilt,
        &[Phase::BuildIndexes, Phase::Analyze],
    );
}

#[test]
fn abort_in_the_copy() {
    each("abort_copy", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter());
        let handle = alter.start().unwrap();
        hold.wait();
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert_eq!(error.phase(), Phase::Copy, "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_while_postponed() {
    each("abort_postponed", ADD_UNIQUE, |case| {
        let handle = case.postponed();
        handle.abort();
        let error = handle.join().unwrap_err();
        assert_eq!(error.phase(), Phase::Postponed, "{error}");
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

#[test]
fn abort_while_paused() {
    each("abort_paused", ADD, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        until("it copies", || handle.progress().phase == Phase::Copy);
        handle.abort();
        let error = handle.join().unwrap_err();
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

/// Dropping the handle waits until everything is tidy. Paused, the run could not end otherwise.
#[test]
fn dropping_the_handle_aborts() {
    for (at, step) in [Step::GhostCreated, Step::FencePassed, Step::CopyDone, Step::IndexesBuilt]
        .into_iter()
        .enumerate()
    {
        each(&format!("drop_handle_{at}"), ADD_UNIQUE, |case| {
            let (alter, hold) = hold_at(case.alter(), step);
            let handle = alter.start().unwrap();
            hold.wait();
            handle.pause();
            hold.go();
            drop(handle);
            case.assert_untouched();
        });
    }
    each("drop_handle_postponed", ADD, |case| {
        drop(case.postponed());
        case.assert_untouched();
    });
}

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

fn leftover(case: &Case<'_>, table: &str) -> Leftover {
    Leftover::Table(format!("`{}`.`{table}`", case.db.name()))
}

#[test]
fn kept_tables_are_named() {
    for (at, step) in [Step::GhostCreated, Step::CopyDone].into_iter().enumerate() {
        each(&format!("keep_{at}"), ADD, |case| {
            let (alter, hold) = hold_at(case.alter().keep_on_failure(true), step);
            let handle = alter.start().unwrap();
            hold.wait();
            handle.abort();
            hold.go();
            let error = handle.join().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Aborted);
            assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
            assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
            let text = error.to_string();
            assert!(text.contains("_t_gho`") && text.contains("_t_ghc`"), "{text}");
            assert_eq!(content(&mut case.conn), case.before);
            case.assert_no_connection();
            case.alter().replace_ghost_table(true).run().unwrap();
            case.assert_altered();
        });
    }
}

/// Nothing is named that is not there: the ALTER failed after the ghost was made.
#[test]
fn kept_tables_of_a_refused_alter_are_named() {
    each("keep_refused", "ADD INDEX i (nope)", |case| {
        let error = case.alter().keep_on_failure(true).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Alter);
        assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
        assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
    });
}

#[test]
fn what_cannot_be_dropped_is_named() {
    each("revoke_drop", ADD, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        let name = case.db.name().to_owned();
        case.sql(&format!("REVOKE DROP ON `{name}`.* FROM {name}"));
        handle.abort();
        hold.go();
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(error.leftovers(), [leftover(case, "_t_gho"), leftover(case, "_t_ghc")]);
        assert_eq!(tables(&mut case.conn), ["_t_ghc", "_t_gho", "t"]);
        assert_eq!(content(&mut case.conn), case.before);
        case.assert_no_connection();
    });
}

// Panics

fn observer_panics(name: &str, on: impl Fn(&Event) -> bool + Clone + Send + 'static) {
    each(name, ADD, |case| {
        let on = on.clone();
        let alter = case.alter().observer(move |event: &Event| {
            assert!(!on(event), "as the test wants it");
        });
        let error = alter.run().unwrap_err();
        assert!(error.message().contains("observer"), "{error}");
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn an_observer_that_panics_at_once() {
    observer_panics("panic_at_once", |_| true);
}

#[test]
fn an_observer_that_panics_in_the_copy() {
    observer_panics("panic_in_copy", |event| matches!(event, Event::ChunkCopied { .. }));
}

#[test]
fn an_observer_that_panics_at_the_cut_over() {
    observer_panics("panic_in_cut_over", |event| matches!(event, Event::CutOverAttempt { .. }));
}

/// The table is altered by then, and the proof matters more.
#[test]
fn an_observer_that_panics_behind_the_swap() {
    each("panic_swapped", ADD, |case| {
        let alter = case.alter().observer(|event: &Event| {
            assert!(!matches!(event, Event::Swapped { .. }), "as the test wants it");
        });
        let report = alter.run().unwrap();
        assert_eq!(report.warnings, ["the observer panicked"]);
        assert_eq!(tables(&mut case.conn), ["_t_del", "t"]);
        case.assert_altered();
    });
}

#[test]
fn a_throttle_policy_that_panics() {
    each("panic_policy", ADD, |case| {
        let alter = case.alter().throttle(|| -> Verdict { panic!("as the test wants it") });
        let error = alter.run().unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn a_throttle_policy_that_panics_later() {
    each("panic_policy_late", ADD, |case| {
        let calls = AtomicU32::new(0);
        let alter =
            case.alter().postpone_cut_over(Postpone::until_released()).throttle(move || {
                assert!(calls.fetch_add(1, Ordering::SeqCst) < 2, "as the test wants it");
                Verdict::Proceed
            });
        let error = alter.run().unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
}

#[test]
fn a_postponement_that_panics() {
    each("panic_postpone", ADD, |case| {
        let postpone = Postpone::while_true(|| panic!("as the test wants it"));
        let error = end_of(case.alter().postpone_cut_over(postpone)).unwrap_err();
        case.assert_failed(&error, ErrorKind::Panic);
    });
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

/// The server lets the run have fewer connections than it needs, one more each time.
#[test]
fn too_few_connections() {
    each("few_connections", ADD, |case| {
        let user = case.db.name().to_owned();
        let mut failed = 0;
        for most in 1..20 {
            case.sql(&format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS {most}"));
            let ended = end_of(case.alter().retries(2));
            case.assert_no_connection();
            match ended {
                Ok(_) => break,
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.table_state(), TableState::Untouched, "{most}: {error}");
                    let wanted = [ErrorKind::Connection, ErrorKind::CutOver];
                    assert!(wanted.contains(&error.kind()), "{most}: {:?} {error}", error.kind());
                    assert_eq!(error.leftovers(), [], "{most}: {error}");
                    assert_eq!(tables(&mut case.conn), ["t"], "{most}: {error}");
                    assert_eq!(content(&mut case.conn), case.before);
                }
            }
        }
        assert!(failed > 4, "failed {failed} times only");
        case.assert_altered();
    });
}

// Holding back

#[test]
fn a_paused_run_writes_nothing() {
    each("pause", ADD, |case| {
        let (alter, hold) =
            hold_at(case.alter().chunk_size(ChunkSize::Rows(10)), Step::FencePassed);
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        until("it copies", || handle.progress().phase == Phase::Copy);
        // The changes are read, and are not refreshed.
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        let progress = handle.progress();
        assert_eq!(progress.throttled.as_deref(), Some("commanded by user"));
        assert_eq!((progress.rows_copied, progress.keys_refreshed), (0, 0));
        assert!(progress.keys_pending > 0);
        handle.resume();
        let report = handle.join().unwrap();
        assert!(report.throttled_time > Duration::ZERO);
        case.assert_altered();
    });
}

#[test]
fn a_pause_in_the_copy() {
    each("pause_in_copy", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter());
        let handle = alter.start().unwrap();
        hold.wait();
        handle.pause();
        hold.go();
        // What has passed the gate already may come to its end.
        let mut last = case.number("SELECT COUNT(*) FROM _t_gho");
        let mut same = 0;
        until("it comes to a halt", || {
            case.write_through(&handle, 1);
            let now = case.number("SELECT COUNT(*) FROM _t_gho");
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same == 5
        });
        assert!((20..ROWS).contains(&last), "{last} rows");
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), last);
        handle.resume();
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// Events as they come.
fn listen(alter: OnlineAlter) -> (OnlineAlter, Receiver<Event>) {
    let (sender, events) = unbounded();
    (alter.observer(sender), events)
}

#[track_caller]
fn next_event(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(Duration::from_secs(20)).expect("no such event");
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn a_flag_file_throttles() {
    let dir = tempdir("flag");
    each("throttle_flag", ADD, |case| {
        let flag = dir.0.join(format!("throttle-{}", case.server.port()));
        std::fs::write(&flag, "").unwrap();
        let (alter, events) = listen(case.alter());
        let alter = alter.throttle_flag_file(&flag).postpone_cut_over(Postpone::until_released());
        let handle = alter.start().unwrap();
        let throttled = |event: &Event| matches!(event, Event::Throttled(_) | Event::Unthrottled);
        assert_eq!(next_event(&events, throttled), Event::Throttled("flag-file".to_owned()));
        until("it copies", || handle.progress().phase == Phase::Copy);
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        assert_eq!(handle.progress().throttled.as_deref(), Some("flag-file"));
        assert!(handle.progress().to_string().contains("throttled, flag-file"));
        std::fs::remove_file(&flag).unwrap();
        assert_eq!(next_event(&events, throttled), Event::Unthrottled);
        until("it is postponed", || handle.progress().phase == Phase::Postponed);

        // The refreshes are held back just the same.
        std::fs::write(&flag, "").unwrap();
        assert_eq!(next_event(&events, throttled), Event::Throttled("flag-file".to_owned()));
        until("the gate is shut", || handle.progress().throttled.is_some());
        case.sql("UPDATE t SET v = v + 1000 WHERE id = 1");
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT v FROM _t_gho WHERE id = 1"), 1);
        std::fs::remove_file(&flag).unwrap();
        assert_eq!(next_event(&events, throttled), Event::Unthrottled);
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(case.number("SELECT v FROM t WHERE id = 1"), 1001);
        case.assert_altered();
    });
}

#[test]
fn a_status_variable_throttles() {
    each("throttle_status", ADD, |case| {
        let (alter, events) = listen(case.alter());
        // There is always one: the one that asks.
        let limits: StatusLimits = "Threads_running=1".parse().unwrap();
        let handle = alter.throttle(limits).start().unwrap();
        let event = next_event(&events, |event| matches!(event, Event::Throttled(_)));
        let Event::Throttled(reason) = event else { unreachable!() };
        assert!(reason.starts_with("max-load Threads_running="), "{reason}");
        assert!(reason.ends_with(" >= 1"), "{reason}");
        until("it copies", || handle.progress().phase == Phase::Copy);
        case.write_for_a_while(&handle);
        assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
        handle.abort();
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        assert_eq!(error.leftovers(), []);
        assert_eq!(tables(&mut case.conn), ["t"]);
        case.assert_no_connection();
    });
}

#[test]
fn an_unknown_status_variable_throttles() {
    each("throttle_unknown", ADD, |case| {
        let (alter, events) = listen(case.alter());
        let handle = alter.throttle(StatusLimits::new().limit("No_such", 1)).start().unwrap();
        let event = next_event(&events, |event| matches!(event, Event::Throttled(_)));
        let Event::Throttled(reason) = event else { unreachable!() };
        assert!(reason.contains("No_such"), "{reason}");
        handle.abort();
        let error = handle.join().unwrap_err();
        case.assert_failed(&error, ErrorKind::Aborted);
    });
}

// Postponing

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

#[test]
fn a_postponed_ghost_is_kept_in_step() {
    each("postpone_step", ADD_UNIQUE, |case| {
        let handle = case.postponed();
        case.sql("UPDATE t SET v = 5000 WHERE id = 1");
        case.sql("DELETE FROM t WHERE id = 2");
        case.sql("INSERT INTO t (id, v, pad) VALUES (1000, 6000, 'late')");
        let seen = "SELECT (SELECT v FROM _t_gho WHERE id = 1) + (SELECT v FROM _t_gho WHERE id = \
                    1000) + (SELECT COUNT(*) FROM _t_gho WHERE id = 2)";
        until("the ghost is in step", || {
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
