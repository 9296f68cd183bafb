//! Limits: what they hold back, what ends the run, and that they can be changed while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::throttle::{FreeSpace, Limits, StatusLimits};
use online_alter::{ChunkSize, Endpoint, ErrorKind, Event, OnlineAlter, Phase, Step};
use online_alter_support::{Flavor, Server, available, database};

use super::{ADD, Case, ROWS, each, hold_at, hold_in_copy};
use crate::harness::{FLAVORS, alter, wait_until};

/// There is always one: the one that asks.
fn always() -> StatusLimits {
    StatusLimits::new().limit("Threads_connected", 1)
}

fn never() -> StatusLimits {
    StatusLimits::new().limit("Threads_connected", u64::MAX)
}

/// Waits until the run is held back, for this reason, and writes nothing.
#[track_caller]
fn assert_held_back(case: &mut Case<'_>, handle: &online_alter::Handle, reason: &str) {
    let throttled = || handle.progress().throttled.unwrap_or_default();
    wait_until("it copies, held back", || {
        handle.progress().phase == Phase::Copy && throttled().contains(reason)
    });
    case.write_for_a_while(handle);
    assert!(throttled().contains(reason), "{}", throttled());
    assert_eq!(case.number("SELECT COUNT(*) FROM _t_gho"), 0);
}

#[test]
fn a_limit_that_is_lifted_while_the_run_goes_on() {
    each("limits_lifted", ADD, |case| {
        let handle = case.alter().limits(|limits| limits.max_load = always()).start().unwrap();
        assert_held_back(case, &handle, "max-load Threads_connected=");
        assert_eq!(handle.limits().max_load, always());
        handle.change_limits(|limits| limits.throttle_query = Some("SELECT 1".to_owned()));
        handle.change_limits(|limits| limits.max_load = never());
        assert_held_back(case, &handle, "throttle-query");
        handle.change_limits(|limits| limits.throttle_query = Some("SELECT FROM".to_owned()));
        assert_held_back(case, &handle, "throttle-query: the result of a query cannot be read");
        handle.change_limits(|limits| limits.throttle_query = Some("SELECT 0".to_owned()));
        let report = handle.join().unwrap();
        assert!(report.throttled_time > Duration::ZERO);
        case.assert_altered();
    });
}

#[test]
fn a_critical_load_ends_the_run() {
    each("limits_critical", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter());
        let handle = alter.limits(|limits| limits.critical_load = never()).start().unwrap();
        hold.wait();
        handle.change_limits(|limits| limits.critical_load = always());
        wait_until("it is over", || {
            handle.progress().throttled.is_some_and(|why| why.starts_with("critical-load "))
        });
        hold.go();
        let error = handle.join().unwrap_err();
        assert!(error.message().starts_with("critical-load Threads_connected="), "{error}");
        case.assert_failed(&error, ErrorKind::CriticalLoad);
    });
}

#[test]
fn a_critical_load_during_the_cut_over_waits_for_its_end() {
    each("limits_critical_cut_over", ADD, |case| {
        let (alter, hold) = hold_at(case.alter(), Step::Locked);
        let handle = alter.limits(|limits| limits.critical_load = never()).start().unwrap();
        hold.wait();
        handle.change_limits(|limits| limits.critical_load = always());
        wait_until("it is noticed", || handle.progress().throttled.is_some());
        hold.go();
        handle.join().unwrap();
        case.assert_altered();
    });
}

#[test]
fn a_critical_load_hibernates_when_told() {
    each("limits_hibernate", ADD, |case| {
        let alter = case.alter().limits(|limits| {
            limits.critical_load = always();
            limits.critical_load_hibernation = Some(Duration::from_secs(1));
        });
        let handle = alter.start().unwrap();
        wait_until("it hibernates", || {
            let throttled = handle.progress().throttled;
            throttled.is_some_and(|why| why == "critical-load-hibernate")
        });
        handle.change_limits(|limits| limits.critical_load = never());
        let report = handle.join().unwrap();
        assert!(report.throttled_time >= Duration::from_millis(900), "{report:?}");
        case.assert_altered();
    });
}

#[test]
fn chunks_and_workers_that_change_on_the_way() {
    each("limits_chunks", ADD, |case| {
        let (tell, chunks) = unbounded();
        let (go, wait) = bounded::<()>(0);
        let alter = case.alter().copy_workers(3).chunk_size(ChunkSize::Rows(10));
        // All workers wait for the observer of the first chunk.
        let alter =
            alter.limits(|limits| limits.nice_ratio = 100.0).observer(move |event: &Event| {
                if let Event::ChunkCopied { rows, .. } = event {
                    tell.send(*rows).unwrap();
                    let _ = wait.recv_timeout(Duration::from_secs(20));
                }
            });
        let handle = alter.start().unwrap();
        assert_eq!(chunks.recv_timeout(Duration::from_secs(20)).unwrap(), 10);
        assert_eq!((handle.progress().chunk_rows, handle.copy_workers()), (10, 3));
        handle.set_chunk_size(ChunkSize::Rows(ROWS));
        handle.set_copy_workers(1);
        assert_eq!((handle.progress().chunk_rows, handle.copy_workers()), (ROWS, 1));
        handle.change_limits(|limits| limits.nice_ratio = 0.0);
        drop(go);
        handle.join().unwrap();
        let sizes: Vec<u64> = chunks.try_iter().collect();
        // Some were cut before.
        assert!(sizes.iter().any(|rows| *rows > 10) && sizes.len() < 20, "{sizes:?}");
        case.assert_altered();
    });
}

#[test]
fn rows_are_counted_when_told() {
    each("limits_count", ADD, |case| {
        let (alter, hold) = hold_in_copy(case.alter().exact_row_count(true));
        let handle = alter.start().unwrap();
        hold.wait();
        wait_until("they are counted", || handle.progress().rows_are_counted);
        assert_eq!(handle.progress().rows_estimated, ROWS);
        hold.go();
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// So many versions of a row that cannot be purged, as long as the connection that is given back stays.
fn grow_history(conn: &mut Conn, reader: Conn, versions: u64) -> Conn {
    let mut reader = reader;
    reader.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").unwrap();
    reader.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").unwrap();
    for _ in 0..versions {
        conn.query_drop("UPDATE t SET v = v + 1000 WHERE id = 1").unwrap();
    }
    reader
}

#[test]
fn a_history_list_that_is_too_long() {
    each("limits_history", ADD, |case| {
        const VERSIONS: u64 = 300;
        let alter = case.alter().limits(|limits| limits.max_history = Some(u64::MAX));
        let (alter, hold) = hold_in_copy(alter);
        let handle = alter.start().unwrap();
        // The length can be read, or else it would be held back.
        wait_until("nothing holds it back", || handle.progress().throttled.is_none());
        hold.wait();
        let _reader = grow_history(&mut case.conn, case.db.conn(), VERSIONS);
        handle.change_limits(|limits| limits.max_history = Some(VERSIONS));
        let limit = format!(" >= {VERSIONS}");
        wait_until("it is noticed", || {
            handle
                .progress()
                .throttled
                .is_some_and(|why| why.starts_with("history-list-length=") && why.ends_with(&limit))
        });
        hold.go();
        handle.change_limits(|limits| limits.max_history = None);
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// Only MySQL wants a privilege for it.
#[test]
fn a_history_list_that_the_user_may_not_see() {
    each("limits_history_denied", ADD, |case| {
        let user = case.db.name().to_owned();
        case.sql(&format!("REVOKE PROCESS ON *.* FROM {user}"));
        let limited = case.alter().limits(|limits| limits.max_history = Some(u64::MAX));
        let handle = if case.server.flavor() == Flavor::Mysql {
            // The plan says so. A limit that comes later is not to be forgotten.
            let error = limited.plan().unwrap_err();
            assert!(error.message().contains("GRANT PROCESS"), "{error}");
            case.alter().limits(|limits| limits.max_load = always()).start().unwrap()
        } else {
            limited.start().unwrap()
        };
        if case.server.flavor() == Flavor::Mysql {
            assert_held_back(case, &handle, "max-load");
            handle.change_limits(|limits| {
                limits.max_history = Some(u64::MAX);
                limits.max_load = never();
            });
            assert_held_back(case, &handle, "history-list-length is unknown: ");
            let why = handle.progress().throttled.unwrap();
            assert!(why.contains("PROCESS"), "{why}");
            handle.change_limits(|limits| limits.max_history = None);
        }
        handle.join().unwrap();
        case.assert_altered();
    });
}

#[test]
fn a_replica_with_a_long_history_list() {
    const VERSIONS: u64 = 300;
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = available(Server::builder(flavor).replica_of(&primary).start()) else {
            continue;
        };
        let db = database(&primary, "limits_replica_history");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NOT NULL)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let reader = grow_history(&mut conn, replica.conn(), VERSIONS);
        primary.wait_for_replica(&replica).unwrap();
        let alter = alter(&db, "t", "ADD c INT").limits(|limits| {
            limits.control_replicas = vec![replica.url().into()];
            limits.max_history = Some(VERSIONS);
        });
        let handle = alter.start().unwrap();
        let reason = format!("127.0.0.1:{} history-list-length=", replica.port());
        wait_until("it is held back", || {
            handle.progress().throttled.is_some_and(|why| why.starts_with(&reason))
        });
        drop(reader);
        handle.join().unwrap();
    }
}

#[test]
fn a_disk_that_is_nearly_full() {
    each("limits_space", ADD, |case| {
        let free = Arc::new(AtomicU64::new(99));
        let look = Arc::clone(&free);
        let policy = FreeSpace::new("/data", 100, move || match look.load(Ordering::SeqCst) {
            0 => Err(std::io::Error::other("no disk")),
            free => Ok(free),
        });
        let handle = case.alter().throttle(policy).start().unwrap();
        assert_held_back(case, &handle, "free-space /data=99 < 100");
        free.store(0, Ordering::SeqCst);
        assert_held_back(case, &handle, "free-space /data is unknown: no disk");
        free.store(100, Ordering::SeqCst);
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// The address of a server on which nobody listens.
fn nobody() -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    format!("mysql://root:secret@127.0.0.1:{port}").into()
}

#[test]
fn a_control_replica_that_cannot_be_asked() {
    each("limits_no_replica", ADD, |case| {
        let gone = nobody();
        let alter = case.alter().limits(|limits| limits.control_replicas = vec![gone.clone()]);
        let handle = alter.start().unwrap();
        let reason = format!("{} replica-lag is unknown: cannot connect", gone.address());
        assert_held_back(case, &handle, &reason);
        assert!(!handle.progress().throttled.unwrap().contains("secret"));
        // One that gets no heartbeats is none, either.
        let Some(stranger) = available(Server::start(case.server.flavor())) else { return };
        handle.change_limits(|limits| limits.control_replicas = vec![stranger.url().into()]);
        let reason = format!("127.0.0.1:{} replica-lag is unknown", stranger.port());
        assert_held_back(case, &handle, &reason);
        handle.change_limits(|limits| limits.control_replicas.clear());
        handle.join().unwrap();
        case.assert_altered();
    });
}

/// Stops or starts the applying of changes on a replica.
fn applying(conn: &mut Conn, flavor: Flavor, verb: &str) {
    let word = if flavor == Flavor::Mysql { "REPLICA" } else { "SLAVE" };
    conn.query_drop(format!("{verb} {word} SQL_THREAD")).unwrap();
}

#[test]
fn a_control_replica_that_falls_behind() {
    falls_behind("limits_lag", |limits, replica| {
        limits.control_replicas = vec![replica.url().into()];
    });
}

#[test]
fn an_attached_replica_that_falls_behind() {
    falls_behind("limits_attached", |limits, _| limits.attached_replicas = true);
}

fn falls_behind(name: &str, watch: impl Fn(&mut Limits, &Server)) {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { return };
        let Some(replica) = available(Server::builder(flavor).replica_of(&primary).start()) else {
            return;
        };
        let db = database(&primary, name);
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)").unwrap();
        let rows: Vec<String> = (0..ROWS).map(|id| format!("({id}, {id})")).collect();
        conn.query_drop(format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
        let most = Duration::from_secs(2);
        let paced = |alter: OnlineAlter| {
            alter.copy_workers(1).limits(|limits| {
                watch(limits, &replica);
                limits.max_lag = Some(most);
                // So that it takes a while.
                limits.nice_ratio = 5.0;
            })
        };
        let (alter, hold) = hold_in_copy(paced(alter(&db, "t", "ADD c INT NOT NULL DEFAULT 7")));
        let handle = alter.start().unwrap();
        wait_until("nothing holds it back", || {
            let throttled = handle.progress().throttled;
            throttled.as_ref().inspect(|why| eprintln!("{why}")).is_none()
        });
        hold.wait();
        let mut on_replica = replica.conn();
        applying(&mut on_replica, flavor, "STOP");
        let reason = format!("127.0.0.1:{} replica-lag=", replica.port());
        let lag = || {
            let throttled = handle.progress().throttled?;
            let seconds = throttled.strip_prefix(&reason)?.strip_suffix('s')?.parse::<f64>();
            Some(seconds.unwrap())
        };
        wait_until("the lag is noticed", || lag().is_some());
        hold.go();
        assert!(lag().is_none_or(|lag| lag >= most.as_secs_f64()));
        // What was under way comes to its end, and then nothing is copied.
        let mut last = handle.progress().rows_copied;
        wait_until("the lag has grown, and nothing was copied meanwhile", || {
            let now = handle.progress().rows_copied;
            let same = now == last;
            last = now;
            same && lag().is_some_and(|lag| lag > 4.0)
        });
        assert!(last < ROWS, "{last}");
        applying(&mut on_replica, flavor, "START");
        wait_until("it goes on", || handle.progress().throttled.is_none());
        handle.change_limits(|limits| limits.nice_ratio = 0.0);
        let report = handle.join().unwrap();
        assert_eq!(report.rows_copied, ROWS);
        assert!(report.throttled_time > most);
        primary.wait_for_replica(&replica).unwrap();
        let altered: Option<u64> =
            on_replica.query_first(format!("SELECT SUM(c) FROM {name}.t")).unwrap();
        assert_eq!(altered, Some(7 * ROWS));
    }
}
