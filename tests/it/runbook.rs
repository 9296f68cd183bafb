//! The CSM runbook, as far as it goes: two tables at the same time on a primary with two replicas, one of which is
//! streamed from and the other one controls the pace, under writers, with cut-overs that wait for a person.

use std::time::Duration;

use mysql::Row;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, OnlineAlter, Phase, Postpone};
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
        let Some(primary) = available(Server::start(flavor)) else { continue };
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
