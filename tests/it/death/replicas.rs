//! The replica whose binlog is read dies, stays dead, is promoted, or loses its source.

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter::{Error, ErrorKind, Handle, OnlineAlter, Phase, Postpone, TableState};
use online_alter_support::{Server, available};

use super::{Busy, on_durable};
use crate::harness::{tables, wait_until};

/// A run that is postponed, and reads the replica's binlog.
fn postponed(alter: OnlineAlter, replica: &Server) -> Handle {
    let alter = alter.stream_from(replica.url()).postpone_cut_over(Postpone::until_released());
    let handle = alter.start().unwrap();
    wait_until("it is postponed", || {
        handle.progress().phase == Phase::Postponed || handle.is_finished()
    });
    handle
}

fn replication(replica: &Server, sql: &str) {
    let word = if replica.flavor().is_mariadb() { "SLAVE" } else { "REPLICA" };
    replica.conn().query_drop(sql.replace("REPLICA", word)).unwrap();
}

/// It ends by itself, soon, with everything as it was.
#[track_caller]
fn end(handle: Handle, busy: Busy, what: &str) -> Error {
    let began = Instant::now();
    wait_until("it has ended", || handle.is_finished());
    let ended = handle.join();
    let error = ended.as_ref().map(ToString::to_string).unwrap_err();
    eprintln!("  {what}, after {:?}: {error}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30), "{what}: {:?}", began.elapsed());
    assert_eq!(error.table_state(), TableState::Untouched, "{what}: {error}");
    assert_eq!(error.leftovers(), [], "{what}: {error}");
    assert_eq!(tables(&mut busy.db.conn()), ["t"], "{what}: {error}");
    busy.judge(&ended, what);
    ended.unwrap_err()
}

#[test]
fn it_dies_and_is_promoted() {
    on_durable("death_replica", |primary| {
        let builder = Server::builder(primary.flavor()).durable().replica_of(primary);
        let Some(replica) = available(builder.start()) else { return };
        let busy = |name: &str| {
            let busy = Busy::new(primary, name);
            // One that has just come back may not replicate yet.
            wait_until("it is in step", || primary.wait_for_replica(&replica).is_ok());
            busy
        };

        // Killed, and back: the run goes on. Without its source it only waits.
        let case = busy("replica_killed");
        let handle = postponed(case.alter(), &replica);
        replica.kill().unwrap();
        case.wait_for_writes();
        replica.restart().unwrap();
        case.wait_for_writes();
        replication(&replica, "STOP REPLICA");
        handle.cut_over();
        wait_until("the stream is behind", || {
            handle.progress().stream_lag > Duration::from_secs(5) || handle.is_finished()
        });
        assert!(!handle.is_finished(), "{:?}", handle.join());
        replication(&replica, "START REPLICA");
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        assert!(ended.is_ok(), "{ended:?}");
        case.judge(&ended, "killed, and back");

        // It stays dead.
        let case = busy("replica_dead");
        let handle = postponed(case.alter().retries(5), &replica);
        replica.kill().unwrap();
        let error = end(handle, case, "it stays dead");
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        replica.restart().unwrap();

        // Promoted: first somebody writes there,
        let case = busy("replica_written");
        let handle = postponed(case.alter(), &replica);
        primary.wait_for_replica(&replica).unwrap();
        let sql = "INSERT INTO replica_written.t (id, v, pad) VALUES (1000000, 1, 'there')";
        replica.conn().query_drop(sql).unwrap();
        let error = end(handle, case, "written there");
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("promoted"), "{error}");

        // and then it replicates from nobody any more.
        let case = busy("replica_promoted");
        let handle = postponed(case.alter(), &replica);
        replication(&replica, "STOP REPLICA");
        replication(&replica, "RESET REPLICA ALL");
        let error = end(handle, case, "promoted");
        assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
        assert!(error.message().contains("promoted"), "{error}");
    });
}
