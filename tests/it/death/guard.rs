//! The connection with the named lock is lost, and the run has not been told yet: what it does next it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Error, ErrorKind, Handle, Phase, Postpone, Report, Step, TableState};
use online_alter_support::Server;

use super::Busy;
use super::line::{Fault, Line};
use crate::harness::{connection_is_gone, on_each, wait_until};

/// A run that is postponed, and has lost its lock.
struct Unguarded {
    busy: Busy,
    conn: Conn,
    handle: Handle,
    /// Whether it has brought its ghost in step under the lock.
    drained: Arc<AtomicBool>,
    line: Line,
}

impl Unguarded {
    fn new(server: &Server, name: &str) -> Self {
        let busy = Busy::new(server, name);
        let mut conn = busy.db.conn();
        let lock = format!("('online-alter:{name}.t'");
        let line = Line::start(server.port(), &format!("GET_LOCK{lock}"), Fault::None, 0);
        let url = busy.db.url().replace(&server.port().to_string(), &line.port().to_string());
        let drained = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&drained);
        let alter = busy.alter_at(&url).on_step(move |step, _| {
            if step == Step::Drained {
                seen.store(true, Ordering::SeqCst);
            }
        });
        let handle = alter.postpone_cut_over(Postpone::until_released()).start().unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let guard: u32 = conn.query_first(format!("SELECT IS_USED_LOCK{lock})")).unwrap().unwrap();
        line.holder()(true);
        conn.query_drop(format!("KILL {guard}")).unwrap();
        wait_until("the lock is free", || connection_is_gone(&mut conn, guard));
        Unguarded { busy, conn, handle, drained, line }
    }

    /// Now it is told.
    #[track_caller]
    fn end(self, what: &str) -> Error {
        let Unguarded { busy, handle, line, .. } = self;
        line.holder()(false);
        wait_until("it has ended", || handle.is_finished());
        let ended: Result<Report, Error> = handle.join();
        let error = ended.as_ref().map(ToString::to_string).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers().len(), 2, "{error}");
        busy.judge(&ended, what);
        ended.unwrap_err()
    }
}

/// A session that has to be made anew would write into a ghost that may be somebody else's.
#[test]
fn a_lost_session_does_not_go_on() {
    on_each("guard_reopen", |server, _| {
        let mut run = Unguarded::new(server, "guard_reopen");
        // Those that refresh are the ones whose transactions write to the ghost.
        let mut holder = run.busy.db.conn();
        holder.query_drop("BEGIN").unwrap();
        holder.query_drop("SELECT * FROM _t_gho FOR UPDATE").unwrap();
        let writers = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE \
                       'REPLACE%`guard_reopen`.`_t_gho`%' OR INFO LIKE 'DELETE%`guard_reopen`.`_t_gho`%'";
        let mut killed = None;
        wait_until("one refreshes", || {
            killed = run.conn.query_first::<u32, _>(writers).unwrap();
            killed.is_some()
        });
        run.conn.query_drop(format!("KILL {}", killed.unwrap())).unwrap();
        drop(holder);
        let streams = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = \
                       'guard_reopen' AND COMMAND LIKE 'Binlog Dump%'";
        wait_until("the run ends its stream", || run.conn.query_first(streams).unwrap() == Some(0));
        let error = run.end("a refresh without the lock");
        // It was not the one who holds the lock that has noticed.
        assert!(error.message().contains("another run may have begun"), "{error}");
    });
}

#[test]
fn the_swap_does_not_go_on() {
    on_each("guard_swap", |server, _| {
        let run = Unguarded::new(server, "guard_swap");
        run.handle.cut_over();
        wait_until("all is refreshed", || run.drained.load(Ordering::SeqCst));
        // They wait for as long as the table is locked.
        run.busy.wait_for_writes();
        let error = run.end("the swap without the lock");
        assert!(error.message().contains("another run may have begun"), "{error}");
    });
}
