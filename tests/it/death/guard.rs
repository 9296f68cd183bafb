//! The connection with the named lock is lost, and nobody has told the run yet: what it does next it does not.

use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Handle, Phase, Postpone, TableState};

use super::Busy;
use crate::harness::{connection_is_gone, on_each, wait_until};

/// A run that is postponed and writes no heartbeats, without its lock.
fn unguarded(busy: &Busy, conn: &mut Conn) -> Handle {
    let alter = busy.alter().heartbeat_interval(Duration::from_secs(3600));
    let handle = alter.postpone_cut_over(Postpone::until_released()).start().unwrap();
    wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
    let lock = format!("SELECT IS_USED_LOCK('online-alter:{}.t')", busy.db.name());
    let guard: u32 = conn.query_first(lock).unwrap().unwrap();
    conn.query_drop(format!("KILL {guard}")).unwrap();
    wait_until("the lock is free", || connection_is_gone(conn, guard));
    handle
}

/// A session that has to be made anew would write into a ghost that may be somebody else's.
#[test]
fn a_lost_session_does_not_go_on() {
    on_each("guard_reopen", |server, _| {
        let busy = Busy::new(server, "guard_reopen");
        let mut conn = busy.db.conn();
        let handle = unguarded(&busy, &mut conn);
        // Those that refresh are the ones whose transactions write to the ghost.
        let mut holder = busy.db.conn();
        holder.query_drop("BEGIN").unwrap();
        holder.query_drop("SELECT * FROM _t_gho FOR UPDATE").unwrap();
        let writers = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE \
                       'REPLACE%`guard_reopen`.`_t_gho`%' OR INFO LIKE 'DELETE%`guard_reopen`.`_t_gho`%'";
        let mut killed = None;
        wait_until("one refreshes", || {
            killed = conn.query_first::<u32, _>(writers).unwrap();
            killed.is_some()
        });
        conn.query_drop(format!("KILL {}", killed.unwrap())).unwrap();
        drop(holder);
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        let error = ended.as_ref().map(ToString::to_string).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers().len(), 2, "{error}");
        busy.judge(&ended, "a refresh without the lock");
    });
}

#[test]
fn the_swap_does_not_go_on() {
    on_each("guard_swap", |server, _| {
        let busy = Busy::new(server, "guard_swap");
        let handle = unguarded(&busy, &mut busy.db.conn());
        handle.cut_over();
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        let error = ended.as_ref().map(ToString::to_string).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        busy.judge(&ended, "the swap without the lock");
    });
}
