//! Runs on a replica alone: tests, which end without a swap, and the ALTER of that replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::throttle::Verdict;
use online_alter::{
    ChunkSize, ErrorKind, Event, Leftover, OnReplica, OnlineAlter, Phase, Postpone, Step,
    TableState,
};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use super::{BIGINT, refused, replica_of, replication};
use crate::harness::{FLAVORS, alter, tables, wait_until};

const TEST: OnReplica = OnReplica::Test { start_again: false };

/// A primary with a replica, and the table on both.
struct Pair {
    replica: Server,
    db: Database,
    primary: Server,
}

impl Pair {
    fn start(
        flavor: Flavor,
        schema: &str,
        of_primary: &[&str],
        of_replica: &[&str],
    ) -> Option<Self> {
        let builder = Server::builder(flavor);
        let builder = of_primary.iter().fold(builder, |builder, option| builder.option(*option));
        let primary = available(builder.start())?;
        let replica = replica_of(&primary, of_replica)?;
        let db = database(&primary, schema);
        csm::create_table(&mut db.conn(), csm::TABLE).unwrap();
        csm::fill(&mut db.conn(), csm::TABLE, 2_000).unwrap();
        primary.wait_for_replica(&replica).unwrap();
        Some(Pair { replica, db, primary })
    }

    fn on_replica(&self) -> Conn {
        let mut conn = self.replica.conn();
        conn.query_drop(format!("USE {}", self.db.name())).unwrap();
        conn
    }

    fn alter(&self, what: OnReplica) -> OnlineAlter {
        alter(&self.db, csm::TABLE, BIGINT).on_replica(what).chunk_size(ChunkSize::Rows(100))
    }

    /// The same, of the replica.
    fn run(&self, what: OnReplica) -> OnlineAlter {
        OnlineAlter::new(self.replica.url_for(self.db.name()), csm::TABLE)
            .alter(BIGINT)
            .on_replica(what)
            .chunk_size(ChunkSize::Rows(100))
            .heartbeat_interval(Duration::from_millis(50))
    }

    fn writers(&self) -> Writers {
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(300.0);
        let writers = Writers::start(self.db.url(), workload).unwrap();
        wait_until("they write", || writers.statements() > 50);
        writers
    }

    /// The writers end; their table, and that of the replica, have all that they wrote.
    fn assert_clean(&self, writers: Writers) {
        let goal = writers.statements() + 50;
        wait_until("they go on", || writers.statements() > goal);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        let table = Table::csm(csm::TABLE);
        check(&mut self.db.conn(), &table, &outcome).unwrap().assert_clean();
        self.primary.wait_for_replica(&self.replica).unwrap();
        check(&mut self.on_replica(), &table, &outcome).unwrap().assert_clean();
    }
}

/// Which threads of its replication run.
fn threads(replica: &Server) -> Vec<String> {
    let row: mysql::Row = replica.conn().query_first("SHOW REPLICA STATUS").unwrap().unwrap();
    let text = |name: &str| row.get::<Option<String>, _>(name).flatten();
    let thread = |thread: &str| {
        text(&format!("Replica_{thread}_Running")).or(text(&format!("Slave_{thread}_Running")))
    };
    ["IO", "SQL"].iter().filter_map(|name| thread(name)).collect()
}

/// Without the last line, whose counter the writers move on.
fn definition(conn: &mut Conn, table: &str) -> String {
    let row: mysql::Row = conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
    let text: String = row.get(1).unwrap();
    text.rsplit_once('\n').unwrap().0.to_owned()
}

/// All that is in a table, in one figure.
fn sum(conn: &mut Conn, table: &str) -> Option<(u64, String)> {
    let columns: Vec<String> = conn
        .query(format!(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND \
             TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
        ))
        .unwrap();
    let columns = columns.iter().map(|name| format!("IFNULL(`{name}`, 'null')"));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', {columns}))) FROM {table}");
    conn.query_first(sql).unwrap()
}

#[test]
fn a_test() {
    for flavor in FLAVORS {
        for start_again in [false, true] {
            let Some(pair) = Pair::start(flavor, "on_replica_test", &[], &[]) else { continue };
            pair.replica.conn().query_drop("SET GLOBAL read_only = 1").unwrap();
            let before = definition(&mut pair.db.conn(), csm::TABLE);
            let writers = pair.writers();
            let stopped = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&stopped);
            let report = pair
                .run(OnReplica::Test { start_again })
                .observer(move |event: &Event| match event {
                    Event::ReplicationStops => drop(count.fetch_add(1, Ordering::SeqCst)),
                    Event::ReplicationStarted => drop(count.fetch_add(10, Ordering::SeqCst)),
                    _ => {}
                })
                .run()
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(stopped.load(Ordering::SeqCst), if start_again { 11 } else { 1 });
            let test = report.test.as_ref().unwrap();
            assert_eq!(test.started_again, start_again);
            assert!(test.stopped_at[0].contains(&pair.primary.port().to_string()), "{report}");
            assert!(report.keys_changed > 0 && report.old_table.is_none(), "{report}");
            assert!(report.verification.as_ref().unwrap().passes >= 2, "{report:?}");
            let ghost = format!("_{}_gho", csm::TABLE);
            let mut there = pair.on_replica();
            let state = format!("_{}_ghc", csm::TABLE);
            assert_eq!(tables(&mut there), [state, ghost.clone(), csm::TABLE.to_owned()]);
            assert!(definition(&mut there, &ghost).contains("`id` bigint"));
            assert_eq!(definition(&mut there, csm::TABLE), before);
            if start_again {
                wait_until("it replicates", || threads(&pair.replica) == ["Yes", "Yes"]);
            } else {
                assert_eq!(threads(&pair.replica), ["No", "No"]);
                // Both have all that had come to the replica, and no more.
                assert_eq!(sum(&mut there, &ghost), sum(&mut there, csm::TABLE));
                replication(&pair.replica, "START", "");
            }
            pair.assert_clean(writers);
            // The primary has not noticed anything.
            assert_eq!(tables(&mut pair.db.conn()), [csm::TABLE]);
            assert_eq!(definition(&mut pair.db.conn(), csm::TABLE), before);
        }
    }
}

/// The tables are compared once they stand still; and a test that fails starts replication again.
#[test]
fn a_test_that_finds_a_difference() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_differs", &[], &[]) else { continue };
        let (url, schema) = (pair.replica.url(), pair.db.name().to_owned());
        let error = pair
            .run(TEST)
            .on_step(move |step, _| {
                if step == Step::ReplicationStopped {
                    let mut conn = Conn::new(mysql::Opts::from_url(&url).unwrap()).unwrap();
                    let ghost = format!("{schema}._{}_gho", csm::TABLE);
                    conn.query_drop(format!("UPDATE {ghost} SET grade = 77 WHERE id = 7")).unwrap();
                }
            })
            .run()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(error.differences().len(), 1, "{error}");
        let table = |table: &str| Leftover::Table(format!("`{}`.`{table}`", pair.db.name()));
        assert!(error.leftovers().contains(&table(&format!("_{}_gho", csm::TABLE))), "{error}");
        wait_until("it replicates", || threads(&pair.replica) == ["Yes", "Yes"]);
        assert!(tables(&mut pair.on_replica()).contains(&format!("_{}_gho", csm::TABLE)));
    }
}

/// Stopped by a hook, as where the user may not do it himself.
#[test]
fn replication_that_somebody_else_stops() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_hook", &[], &[]) else { continue };
        let url = pair.replica.url();
        let word = if flavor == Flavor::Mysql { "REPLICA" } else { "SLAVE" };
        let stopped = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stopped);
        let report = pair
            .run(OnReplica::Test { start_again: true })
            // Its lag is not known then, and somebody else watches it, too.
            .limits(|limits| limits.max_lag = Some(Duration::from_secs(5)))
            .throttle(move || {
                if stopped.load(Ordering::SeqCst) {
                    Verdict::Wait("the replica is behind".to_owned())
                } else {
                    Verdict::Proceed
                }
            })
            .observer(move |event: &Event| {
                if *event == Event::ReplicationStops {
                    stops.store(true, Ordering::SeqCst);
                    let mut conn = Conn::new(mysql::Opts::from_url(&url).unwrap()).unwrap();
                    conn.query_drop(format!("STOP {word}")).unwrap();
                }
            })
            .run()
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(!report.test.unwrap().started_again);
        assert_eq!(threads(&pair.replica), ["No", "No"]);
    }
}

#[test]
fn the_alter_of_a_replica() {
    for flavor in FLAVORS {
        let options = ["--slave-type-conversions=ALL_NON_LOSSY"];
        let Some(pair) = Pair::start(flavor, "on_replica_alter", &[], &options) else { continue };
        let before = definition(&mut pair.db.conn(), csm::TABLE);
        let writers = pair.writers();
        let report = pair.run(OnReplica::Migrate).run().unwrap_or_else(|error| panic!("{error}"));
        assert!(report.test.is_none() && report.keys_changed > 0, "{report}");
        pair.assert_clean(writers);
        let mut there = pair.on_replica();
        assert!(definition(&mut there, csm::TABLE).contains("`id` bigint"));
        assert_eq!(tables(&mut there), [format!("_{}_del", csm::TABLE), csm::TABLE.to_owned()]);
        assert_eq!(definition(&mut pair.db.conn(), csm::TABLE), before);
        assert_eq!(threads(&pair.replica), ["Yes", "Yes"]);
    }
}

/// What comes as rows could not be applied any more.
#[test]
fn an_alter_that_would_stop_replication() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_breaks", &[], &[]) else { continue };
        for (clause, why) in [
            (BIGINT, "type_conversions"),
            ("ADD COLUMN c INT FIRST", "would not stand in its place"),
            ("MODIFY max_grade FLOAT", "which no replica converts"),
            ("MODIFY module_id VARCHAR(255) CHARACTER SET latin1 NOT NULL", "character set"),
        ] {
            let error = pair.run(OnReplica::Migrate).alter(clause).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Alter, "{error}");
            assert!(error.message().contains(why), "{error}");
            assert_eq!(error.phase(), Phase::Prepare);
            assert_eq!(tables(&mut pair.on_replica()), [csm::TABLE]);
        }
        // Behind the others a column does no harm.
        pair.run(OnReplica::Migrate).alter("ADD COLUMN c INT").run().unwrap();
        pair.db.conn().query_drop(format!("UPDATE {} SET grade = 5", csm::TABLE)).unwrap();
        pair.primary.wait_for_replica(&pair.replica).unwrap();
    }
}

/// Statements are applied to whatever is there.
#[test]
fn the_alter_of_a_replica_that_gets_statements() {
    let options = ["--binlog-format=STATEMENT"];
    let Some(pair) = Pair::start(Flavor::MariaDb, "on_replica_statements", &options, &[]) else {
        return;
    };
    let writers = pair.writers();
    pair.run(OnReplica::Migrate).run().unwrap_or_else(|error| panic!("{error}"));
    pair.assert_clean(writers);
    assert!(definition(&mut pair.on_replica(), csm::TABLE).contains("`id` bigint"));
}

/// Somebody starts replication while the tables are compared.
#[test]
fn a_replica_that_does_not_stand_still() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_moves", &[], &[]) else { continue };
        let url = pair.replica.url();
        let word = if flavor == Flavor::Mysql { "REPLICA" } else { "SLAVE" };
        let error = pair
            .run(TEST)
            .on_step(move |step, _| {
                if step == Step::ReplicationStopped {
                    let mut conn = Conn::new(mysql::Opts::from_url(&url).unwrap()).unwrap();
                    conn.query_drop(format!("START {word}")).unwrap();
                }
            })
            .run()
            .unwrap_err();
        assert!(error.message().contains("did not stand still"), "{error}");
        assert_eq!(tables(&mut pair.on_replica()), [csm::TABLE]);
    }
}

/// Connections of the primary may have the ids of the run's own.
#[test]
fn a_statement_of_the_primary_under_an_id_of_ours() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_ids", &[], &[]) else { continue };
        let definer = Arc::new(AtomicU32::new(0));
        let note = Arc::clone(&definer);
        let handle = pair
            .run(TEST)
            .on_step(move |step, id| {
                if step == Step::GhostCreated {
                    note.store(id, Ordering::SeqCst);
                }
            })
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let mut conn = pair.db.conn();
        let id = definer.load(Ordering::SeqCst);
        conn.query_drop(format!("SET SESSION pseudo_thread_id = {id}")).unwrap();
        conn.query_drop(format!("RENAME TABLE {0} TO x, x TO {0}", csm::TABLE)).unwrap();
        wait_until("it has seen that", || handle.is_finished());
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{error}");
        assert_eq!(tables(&mut pair.on_replica()), [csm::TABLE]);
    }
}

/// The replica's own replication must not fall behind for the run's sake.
#[test]
fn a_replica_that_is_behind() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_behind", &[], &[]) else { continue };
        let mut there = pair.on_replica();
        let mut conn = pair.db.conn();
        conn.query_drop("CREATE TABLE other (id INT PRIMARY KEY)").unwrap();
        pair.primary.wait_for_replica(&pair.replica).unwrap();
        let handle = pair
            .run(TEST)
            .limits(|limits| limits.max_lag = Some(Duration::from_secs(1)))
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        there.query_drop("LOCK TABLES other READ").unwrap();
        conn.query_drop("INSERT INTO other VALUES (1)").unwrap();
        let throttled = || handle.progress().throttled.unwrap_or_default();
        wait_until("it holds back", || throttled().contains("replication-lag"));
        there.query_drop("UNLOCK TABLES").unwrap();
        wait_until("it goes on", || throttled().is_empty());
        replication(&pair.replica, "STOP", "SQL_THREAD");
        wait_until("it holds back", || throttled().contains("does not replicate"));
        replication(&pair.replica, "START", "SQL_THREAD");
        wait_until("it goes on", || throttled().is_empty());
        handle.cut_over();
        assert!(handle.join().unwrap().test.is_some());
    }
}

#[test]
fn replicas_that_are_none() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor, "on_replica_none", &[], &[]) else { continue };
        let kind = ErrorKind::UnsupportedServer;
        refused(pair.alter(TEST), kind, "replicates from nobody");
        refused(pair.run(TEST).verify(false), ErrorKind::Config, "that is turned off (verify)");
        for native in [
            pair.run(OnReplica::Migrate).attempt_instant(true),
            pair.run(OnReplica::Migrate).native_below_rows(9),
        ] {
            refused(native, ErrorKind::Config, "is seen of the altered, empty copy");
        }
        let both = pair.run(TEST).stream_from(pair.replica.url());
        refused(both, ErrorKind::Config, "reads its own binlog");
        let switched = pair.run(TEST).switch_to_row_format(true);
        refused(switched, ErrorKind::Config, "keeps its format");
        let plain = |server: &Server| {
            OnlineAlter::new(server.url_for(pair.db.name()), csm::TABLE).alter(BIGINT)
        };
        refused(plain(&pair.replica), kind, "the server replicates from 127.0.0.1");
        replication(&pair.replica, "STOP", "");
        refused(plain(&pair.replica), kind, "(or would, if it were not stopped)");
        refused(pair.run(TEST), kind, "replicates from nobody at present");
        replication(&pair.replica, "START", "");
        let mut there = pair.replica.conn();
        for statement in [
            "CREATE USER 'reader'@'%' IDENTIFIED BY 'Secret-1'",
            "GRANT ALL ON *.* TO 'reader'@'%'",
            "SET GLOBAL read_only = 1",
        ] {
            there.query_drop(statement).unwrap();
        }
        let (revoked, lacks) = match flavor {
            Flavor::Mysql => ("SUPER, CONNECTION_ADMIN", "CONNECTION_ADMIN"),
            _ => ("SUPER, READ_ONLY ADMIN", "READ_ONLY ADMIN"),
        };
        there.query_drop(format!("REVOKE {revoked} ON *.* FROM 'reader'@'%'")).unwrap();
        let url =
            format!("mysql://reader:Secret-1@127.0.0.1:{}/{}", pair.replica.port(), pair.db.name());
        let reader = OnlineAlter::new(url, csm::TABLE).alter(BIGINT).on_replica(TEST);
        refused(reader, ErrorKind::Privileges, lacks);
        if flavor == Flavor::Mysql {
            there.query_drop("SET GLOBAL super_read_only = 1").unwrap();
            refused(pair.run(TEST), kind, "super_read_only");
        }
    }
}
