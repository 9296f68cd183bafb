//! The connection with the named lock is lost, and the run has not been told yet: what it does next it does not.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Error, ErrorKind, Handle, Phase, Postpone, Report, TableState};
use online_alter_support::Server;

use super::Busy;
use super::line::{Fault, Line};
use crate::harness::{connection_is_gone, on_each, wait_until};

/// A run that is postponed, and has lost its lock.
struct Unguarded {
    busy: Busy,
    conn: Conn,
    handle: Handle,
    line: Line,
}

impl Unguarded {
    fn new(server: &Server, name: &str) -> Self {
        let busy = Busy::new(server, name);
        let mut conn = busy.db.conn();
        let lock = format!("('online-alter:{name}.t'");
        let line = Line::start(server.port(), &format!("GET_LOCK{lock}"), Fault::None, 0);
        let url = busy.db.url().replace(&server.port().to_string(), &line.port().to_string());
        let alter = busy.alter_at(&url);
        let handle = alter.postpone_cut_over(Postpone::until_released()).start().unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let guard: u32 = conn.query_first(format!("SELECT IS_USED_LOCK{lock})")).unwrap().unwrap();
        line.holder()(true);
        conn.query_drop(format!("KILL {guard}")).unwrap();
        wait_until("the lock is free", || connection_is_gone(&mut conn, guard));
        Unguarded { busy, conn, handle, line }
    }

    /// Waits until it has stopped by itself.
    fn wait_for_stop(&mut self, name: &str) {
        let streams = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{name}' AND COMMAND \
             LIKE 'Binlog Dump%'"
        );
        wait_until("the run ends its stream", || {
            self.conn.query_first(&streams).unwrap() == Some(0)
        });
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
        run.wait_for_stop("guard_reopen");
        let error = run.end("a refresh without the lock");
        // It was not the one who holds the lock that has noticed.
        assert!(error.message().contains("another run may have begun"), "{error}");
    });
}

#[test]
fn the_swap_does_not_go_on() {
    on_each("guard_swap", |server, _| {
        let mut run = Unguarded::new(server, "guard_swap");
        run.handle.cut_over();
        run.wait_for_stop("guard_swap");
        let error = run.end("the swap without the lock");
        assert!(error.message().contains("another run may have begun"), "{error}");
    });
}
