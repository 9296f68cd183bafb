//! Where the binlog is read from: replicas, replicas of replicas, and those that will not do.

mod on_replica;
mod primaries;

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter::{
    ChunkSize, Endpoint, Error, ErrorKind, IndexBuild, OnlineAlter, Phase, Postpone, TableState,
    Warning,
};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::harness::{FLAVORS, alter, tables, wait_until};

const BIGINT: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

fn replica_of(primary: &Server, options: &[&str]) -> Option<Server> {
    let builder = Server::builder(primary.flavor()).replica_of(primary);
    available(options.iter().fold(builder, |builder, option| builder.option(*option)).start())
}

/// Alters the table under writers, with the binlog of `stream`; all `replicas` follow.
fn under_writers(primary: &Server, db: &Database, stream: &Server, replicas: &[&Server]) {
    by(primary, db, stream, replicas, |run| run);
}

fn by(
    primary: &Server,
    db: &Database,
    stream: &Server,
    replicas: &[&Server],
    run: impl Fn(OnlineAlter) -> OnlineAlter,
) {
    let mut conn = db.conn();
    csm::create_table(&mut conn, csm::TABLE).unwrap();
    csm::fill(&mut conn, csm::TABLE, 2_000).unwrap();
    let wait_for_all = || {
        let mut source = primary;
        for replica in replicas {
            source.wait_for_replica(replica).unwrap();
            source = replica;
        }
    };
    wait_for_all();
    let mut workload = Workload::new(Table::csm(csm::TABLE));
    workload.rate = Some(300.0);
    let writers = Writers::start(db.url(), workload).unwrap();
    wait_until("they write", || writers.statements() > 50);
    let alter = alter(db, csm::TABLE, BIGINT).stream_from(stream.url());
    let report =
        run(alter.chunk_size(ChunkSize::Rows(100))).run().unwrap_or_else(|error| panic!("{error}"));
    let goal = writers.statements() + 50;
    wait_until("they go on", || writers.statements() > goal);
    let outcome = writers.stop();
    assert_eq!(outcome.errors, Vec::<String>::new());
    check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
    assert!(report.keys_changed > 0 && report.reconciled_keys.is_empty(), "{report:?}");
    let state = |conn: &mut mysql::Conn| -> (String, Vec<mysql::Row>) {
        let row: mysql::Row =
            conn.query_first(format!("SHOW CREATE TABLE {}", csm::TABLE)).unwrap().unwrap();
        let sums =
            format!("SELECT COUNT(*), SUM(id), SUM(student_id), MAX(id) FROM {}", csm::TABLE);
        (row.get(1).unwrap(), conn.query(sums).unwrap())
    };
    wait_for_all();
    for replica in replicas {
        let mut there = replica.conn();
        there.query_drop(format!("USE {}", db.name())).unwrap();
        assert_eq!(state(&mut there), state(&mut conn));
    }
    assert_eq!(tables(&mut conn), [format!("_{}_del", csm::TABLE), csm::TABLE.to_owned()]);
}

#[test]
fn a_replica_and_a_replica_of_it() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let db = database(&primary, "topology_replica");
        under_writers(&primary, &db, &replica, &[&replica]);
        drop(db);
        let Some(last) = replica_of(&replica, &[]) else { continue };
        let db = database(&primary, "topology_chain");
        under_writers(&primary, &db, &last, &[&replica, &last]);
    }
}

/// Asked by GTIDs.
#[test]
fn a_replica_by_gtids() {
    for flavor in FLAVORS {
        let options: &[&str] = match flavor {
            Flavor::Mysql => &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
            _ => &[],
        };
        let builder = options.iter().fold(Server::builder(flavor), |b, option| b.option(*option));
        let Some(primary) = available(builder.start()) else { continue };
        let Some(replica) = replica_of(&primary, options) else { continue };
        let db = database(&primary, "topology_gtids");
        by(&primary, &db, &replica, &[&replica], |run| run.gtid(true));
    }
}

/// A primary that writes statements, and a replica that makes rows of them.
#[test]
fn a_primary_in_statement_format() {
    for flavor in FLAVORS {
        for format in ["STATEMENT", "MIXED"] {
            let builder = Server::builder(flavor).option(format!("--binlog-format={format}"));
            let Some(primary) = available(builder.start()) else { return };
            let Some(replica) = replica_of(&primary, &["--binlog-format=ROW"]) else { return };
            let db = database(&primary, "topology_statements");
            let mut conn = db.conn();
            let error = alter(&db, "t", "ADD c INT").plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BinlogSettings, "{error}");
            conn.query_drop("CREATE TABLE plain (id INT PRIMARY KEY)").unwrap();
            primary.wait_for_replica(&replica).unwrap();
            let plan = alter(&db, "plain", "ADD c INT").stream_from(replica.url()).plan().unwrap();
            let warns = plan.warnings().contains(&Warning::StatementsOnPrimary);
            assert_eq!(warns, format == "STATEMENT", "{plan}");
            conn.query_drop("DROP TABLE plain").unwrap();
            under_writers(&primary, &db, &replica, &[&replica]);
            let now: Option<String> = conn.query_first("SELECT @@GLOBAL.binlog_format").unwrap();
            assert_eq!(now.as_deref(), Some(format));
        }
    }
}

/// Which statements it leaves out depends on who writes them.
#[test]
fn a_primary_in_statement_format_with_filters() {
    let options = ["--binlog-format=STATEMENT", "--binlog-ignore-db=other"];
    let builder = options.iter().fold(Server::builder(Flavor::MariaDb), |b, o| b.option(*o));
    let Some(primary) = available(builder.start()) else { return };
    let Some(replica) = replica_of(&primary, &[]) else { return };
    let db = database(&primary, "topology_filtered");
    db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
    primary.wait_for_replica(&replica).unwrap();
    let alter = alter(&db, "t", "ADD c INT").stream_from(replica.url());
    refused(alter, ErrorKind::BinlogSettings, "binlog_ignore_db");
}

/// Stops or starts replication, or one thread of it.
fn replication(replica: &Server, verb: &str, thread: &str) {
    let word = if replica.flavor() == Flavor::Mysql { "REPLICA" } else { "SLAVE" };
    replica.conn().query_drop(format!("{verb} {word} {thread}")).unwrap();
}

fn refused(alter: OnlineAlter, kind: ErrorKind, why: &str) {
    let error: Error = alter.plan().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched);
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn replicas_that_will_not_do() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let db = database(&primary, "topology_refused");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT)").unwrap();
        let from = |stream: Endpoint| alter(&db, "t", "ADD c INT").stream_from(stream);
        refused(from(primary.url().into()), ErrorKind::Config, "the server of the table itself");
        let Some(stranger) = available(Server::start(flavor)) else { continue };
        refused(from(stranger.url().into()), ErrorKind::UnsupportedServer, "is no replica");
        for (options, why) in [
            (vec!["--replicate-wild-ignore-table=%.t"], "has filters"),
            (vec!["--replicate-ignore-db=other"], "has filters"),
            (vec!["--slave-exec-mode=IDEMPOTENT"], "passes over errors"),
            (vec!["--skip-log-slave-updates"], "does not log what it replicates"),
        ] {
            let Some(replica) = replica_of(&primary, &options) else { continue };
            primary.wait_for_replica(&replica).unwrap();
            refused(from(replica.url().into()), ErrorKind::BinlogSettings, why);
        }
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        primary.wait_for_replica(&replica).unwrap();
        let mut there = replica.conn();
        there.query_drop("ALTER TABLE topology_refused.t ADD extra INT").unwrap();
        refused(from(replica.url().into()), ErrorKind::UnsupportedServer, "has other columns");
        there.query_drop("DROP TABLE topology_refused.t").unwrap();
        refused(from(replica.url().into()), ErrorKind::NoSuchTable, "on the replica");
        assert_eq!(tables(&mut conn), ["t"]);
    }
}

/// Nothing of the run comes to the replica: it says so, and leaves nothing.
#[test]
fn a_replica_that_does_not_replicate() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let db = database(&primary, "topology_stopped");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        replication(&replica, "STOP", "");
        let handle = alter(&db, "t", "ADD c INT").stream_from(replica.url()).start().unwrap();
        wait_until("it waits for the replica", || tables(&mut conn).len() == 3);
        handle.abort();
        assert_eq!(handle.join().unwrap_err().kind(), ErrorKind::Aborted);
        assert_eq!(tables(&mut conn), ["t"]);
        // And one that only was behind is waited for.
        let handle = alter(&db, "t", "ADD c INT").stream_from(replica.url()).start().unwrap();
        wait_until("it waits for the replica", || tables(&mut conn).len() == 3);
        replication(&replica, "START", "");
        handle.join().unwrap();
    }
}

/// What an earlier run left is on the replica still, with its last marker: it is not taken for this run's.
#[test]
fn markers_of_an_earlier_run() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let db = database(&primary, "topology_markers");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT)").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 1)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let run = || alter(&db, "t", "ADD c INT").stream_from(replica.url());
        let earlier = run().keep_on_failure(true).postpone_cut_over(Postpone::until_released());
        let earlier = earlier.start().unwrap();
        wait_until("it is postponed", || earlier.progress().phase == Phase::Postponed);
        earlier.abort();
        assert_eq!(earlier.join().unwrap_err().leftovers().len(), 2);
        primary.wait_for_replica(&replica).unwrap();
        replication(&replica, "STOP", "SQL_THREAD");
        let handle = run().replace_ghost_table(true).start().unwrap();
        let marked = "SELECT COUNT(*) FROM _t_ghc WHERE id = 1 AND body IS NULL";
        wait_until("it has written its marker", || {
            handle.progress().phase == Phase::Fence
                && conn.query_first(marked).is_ok_and(|count: Option<u64>| count == Some(1))
        });
        // Long enough for many looks at the replica.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(10));
            assert_eq!(handle.progress().phase, Phase::Fence);
            assert!(handle.progress().position.is_none());
        }
        replication(&replica, "START", "SQL_THREAD");
        handle.join().unwrap();
    }
}

/// Two with one id would throw each other off the stream.
#[test]
fn a_server_id_that_is_taken() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let db = database(&primary, "topology_ids");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        conn.query_drop("CREATE TABLE other (id INT PRIMARY KEY)").unwrap();
        let run = |id: u32| alter(&db, "t", "ADD c INT").server_id(id);
        let other = alter(&db, "other", "ADD c INT").server_id(4711);
        let other = other.postpone_cut_over(Postpone::until_released()).start().unwrap();
        wait_until("it is postponed", || other.progress().phase == Phase::Postponed);
        for taken in [primary.server_id(), replica.server_id(), 4711] {
            let error = run(taken).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(
                error.message().contains(&format!("the server id {taken} is taken")),
                "{error}"
            );
        }
        run(4712).run().unwrap();
        other.cut_over();
        other.join().unwrap();
    }
}

/// They need not be spared a long index build.
#[test]
fn streams_of_other_runs_are_no_replicas() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let db = database(&primary, "topology_streams");
        for table in ["t", "other"] {
            db.conn().query_drop(format!("CREATE TABLE {table} (id INT PRIMARY KEY)")).unwrap();
        }
        let other = alter(&db, "other", "ADD c INT");
        let other = other.postpone_cut_over(Postpone::until_released()).start().unwrap();
        wait_until("it is postponed", || other.progress().phase == Phase::Postponed);
        let build = || alter(&db, "t", "ADD c INT").plan().unwrap().index_build();
        assert_eq!(build(), IndexBuild::AfterCopy);
        let Some(_replica) = replica_of(&primary, &[]) else { continue };
        assert_eq!(build(), IndexBuild::Maintain);
        other.cut_over();
        other.join().unwrap();
    }
}

/// It waits for the replica that is read, which stands still.
#[test]
fn a_rehearsal_is_aborted_on_its_way() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let db = database(&primary, "topology_rehearsal");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let job = || alter(&db, "t", "ADD c INT").stream_from(replica.url()).plan().unwrap();
        let plans = [job(), job()];
        replication(&replica, "STOP", "");
        for (plan, is_dropped) in plans.into_iter().zip([false, true]) {
            let rehearsal = plan.start_rehearsal().unwrap();
            wait_until("it has made a table", || tables(&mut db.conn()).len() > 1);
            let began = Instant::now();
            if is_dropped {
                drop(rehearsal);
            } else {
                assert!(!rehearsal.is_finished());
                rehearsal.abort();
                let error = rehearsal.join().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
                assert_eq!(error.leftovers(), []);
            }
            // Not after the minute for which it has patience.
            assert!(began.elapsed() < Duration::from_secs(30));
            assert_eq!(tables(&mut conn), ["t"]);
        }
    }
}
