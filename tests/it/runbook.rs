//! The CSM runbook, steps 4 to 9: two tables at the same time on a primary with two replicas, one of which is streamed
//! from and the other one is tested on and then controls the pace, under writers, with cut-overs that wait for a person.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ChunkSize, ErrorKind, OnReplica, OnlineAlter, Phase, Postpone};
use online_alter_support::{
    Database, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::harness::{FLAVORS, alter, tables, wait_until};

/// The table, and its history in another database.
const TABLES: [(&str, &str, &str); 2] = [
    ("runbook", csm::TABLE, "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"),
    (
        "runbook_history",
        "coursewarehistoryextended_studentmodulehistoryextended",
        "CHANGE student_id student_id BIGINT UNSIGNED NOT NULL",
    ),
];

#[test]
fn two_tables_at_once_with_replicas() {
    for flavor in FLAVORS {
        let start = |primary: &Server| Server::builder(flavor).replica_of(primary).start();
        // As the runbook has it: the primary writes statements, and the replicas make rows of them.
        let primary = Server::builder(flavor).option("--binlog-format=STATEMENT").start();
        let Some(primary) = available(primary) else { continue };
        let Some(streamed) = available(start(&primary)) else { continue };
        let Some(watched) = available(start(&primary)) else { continue };
        let dbs: Vec<Database> =
            TABLES.iter().map(|(schema, ..)| database(&primary, schema)).collect();
        let mut writers = Vec::new();
        for (db, (_, table, _)) in dbs.iter().zip(TABLES) {
            csm::create_table(&mut db.conn(), table).unwrap();
            csm::fill(&mut db.conn(), table, 2_000).unwrap();
            let mut workload = Workload::new(Table::csm(table));
            workload.rate = Some(150.0);
            writers.push(Writers::start(db.url(), workload).unwrap());
        }
        primary.wait_for_replica(&streamed).unwrap();
        primary.wait_for_replica(&watched).unwrap();
        let runs = || {
            dbs.iter().zip(TABLES).map(|(db, (_, table, clause))| -> OnlineAlter {
                alter(db, table, clause).stream_from(streamed.url())
            })
        };
        // Step 4.2: a test run that makes sure that everything is set up.
        for run in runs() {
            let rehearsal = run.plan().unwrap().rehearse().unwrap();
            assert!(rehearsal.definition.contains("bigint"), "{rehearsal}");
        }
        // What these have made and dropped is gone there, too.
        primary.wait_for_replica(&watched).unwrap();
        // Steps 4.3 and 5: a test run on a replica only, of both tables at the same time.
        test_on(&watched, &dbs);
        // Left there, what a test has made would be in the way of the same on the primary.
        let paced = |run: OnlineAlter| {
            run.limits(|limits| limits.control_replicas = vec![watched.url().into()])
        };
        for run in runs() {
            let error = paced(run).plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LeftoversPresent, "{error}");
        }
        let mut there = watched.conn();
        for (schema, table, _) in TABLES {
            let tables = format!("{schema}._{table}_gho, {schema}._{table}_ghc");
            there.query_drop(format!("DROP TABLE {tables}")).unwrap();
        }
        // Steps 6 and 7, at the same time.
        let handles: Vec<_> = runs()
            .map(|run| {
                run.chunk_size(ChunkSize::Rows(50))
                    .limits(|limits| {
                        limits.control_replicas = vec![watched.url().into()];
                        limits.max_lag = Some(Duration::from_secs(5));
                        limits.nice_ratio = 1.0;
                    })
                    .postpone_cut_over(Postpone::until_released())
                    .start()
                    .unwrap()
            })
            .collect();
        // Monitor and tweak throttling as needed.
        for handle in &handles {
            handle.pause();
            handle.set_chunk_size(ChunkSize::Rows(200));
            handle.change_limits(|limits| limits.nice_ratio = 0.0);
            handle.resume();
        }
        for (handle, (_, table, _)) in handles.iter().zip(TABLES) {
            wait_until("it waits for a person", || handle.progress().phase == Phase::Postponed);
            assert!(handle.progress().prometheus(table).contains("phase=\"postponed\""));
        }
        let written: Vec<u64> = writers.iter().map(Writers::statements).collect();
        wait_until("they go on", || {
            writers.iter().zip(&written).all(|(writers, before)| writers.statements() > before + 50)
        });
        for handle in &handles {
            handle.cut_over();
        }
        for (handle, db) in handles.into_iter().zip(&dbs) {
            let report = handle.join().unwrap_or_else(|error| panic!("{error}"));
            let verified = report.verification.as_ref().unwrap();
            assert_eq!((verified.repaired, report.conflicting_keys.len()), (0, 0), "{report}");
            assert_eq!(tables(&mut db.conn()).len(), 2);
        }
        // Steps 8 and 9: the old tables go, a few rows at a time.
        for (db, (_, table, _)) in dbs.iter().zip(TABLES) {
            trickle_drop(db, &format!("_{table}_del"));
            assert_eq!(tables(&mut db.conn()), [table]);
        }
        for ((writers, db), (_, table, _)) in writers.into_iter().zip(&dbs).zip(TABLES) {
            let outcome = writers.stop();
            assert_eq!(outcome.errors, Vec::<String>::new());
            check(&mut db.conn(), &Table::csm(table), &outcome).unwrap().assert_clean();
        }
        // The replicas have followed.
        for replica in [&streamed, &watched] {
            primary.wait_for_replica(replica).unwrap();
            for (db, (_, table, _)) in dbs.iter().zip(TABLES) {
                let look = format!("CHECKSUM TABLE {}.{table}", db.name());
                let checksum = |server: &Server| {
                    let row: Row = server.conn().query_first(&look).unwrap().unwrap();
                    row.get::<Option<u64>, _>(1)
                };
                assert_eq!(checksum(replica), checksum(&primary), "{look}");
            }
        }
    }
}

/// Everything but the swap, on one replica, and the data looked at there.
fn test_on(replica: &Server, dbs: &[Database]) {
    let run = |(db, (_, table, clause)): (&Database, (&str, &str, &str))| {
        OnlineAlter::new(replica.url_for(db.name()), table)
            .alter(clause)
            .on_replica(OnReplica::Test { start_again: true })
            .limits(|limits| limits.max_lag = Some(Duration::from_secs(5)))
            .start()
            .unwrap()
    };
    let handles: Vec<_> = dbs.iter().zip(TABLES).map(run).collect();
    for (handle, (schema, table, _)) in handles.into_iter().zip(TABLES) {
        let report = handle.join().unwrap_or_else(|error| panic!("{error}"));
        let test = report.test.as_ref().unwrap();
        assert!(test.started_again, "{report}");
        assert_eq!(report.verification.as_ref().unwrap().repaired, 0, "{report}");
        let mut conn = replica.conn();
        conn.query_drop(format!("USE {schema}")).unwrap();
        let rows = |conn: &mut Conn, table: &str| -> u64 {
            conn.query_first(format!("SELECT COUNT(*) FROM {table}")).unwrap().unwrap()
        };
        assert!(rows(&mut conn, &format!("_{table}_gho")) >= 1_000);
    }
}

/// As the runbook's own script would do it.
fn trickle_drop(db: &Database, table: &str) {
    let mut conn = db.conn();
    loop {
        conn.query_drop(format!("DELETE FROM {table} ORDER BY id LIMIT 500")).unwrap();
        if conn.affected_rows() == 0 {
            break;
        }
    }
    conn.query_drop(format!("DROP TABLE {table}")).unwrap();
}
