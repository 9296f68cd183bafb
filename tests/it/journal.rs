//! The main job under writers, judged by their journal.

use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter_support::{Server, Table, Workload, Writers, available, check, csm, database};

use crate::harness::{FLAVORS, alter, on_each, tables};

const BIGINT: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

#[test]
fn the_csm_alter_under_writers() {
    on_each("csm_under_writers", |_, db| {
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 20_000).unwrap();
        let writers = Writers::start(db.url(), Workload::new(Table::csm(csm::TABLE))).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let report = alter(db, csm::TABLE, BIGINT).run().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let outcome = writers.stop();
        eprintln!("{report}; {} writes, longest {:?}", outcome.acknowledged, outcome.max_wait());
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
        assert_eq!(tables(&mut conn), ["_courseware_studentmodule_del", csm::TABLE]);
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
    });
}

/// A server whose SQL mode changes how names are printed and strings are read.
#[test]
fn on_a_server_with_another_sql_mode() {
    for flavor in FLAVORS {
        let mode = "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES";
        let started = Server::builder(flavor).option(mode).start();
        let Some(server) = available(started) else { continue };
        let db = database(&server, "journal_ansi");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT '\\')").unwrap();
        conn.query_drop("INSERT INTO t VALUES (1, 'a'), (2, 'b')").unwrap();
        let report = alter(&db, "t", r#"CHANGE "v" "w" VARCHAR(10) DEFAULT '\', ADD UNIQUE ("w")"#)
            .run()
            .unwrap_or_else(|error| panic!("{flavor}: {error}"));
        assert_eq!(report.rows_copied, 2);
        conn.query_drop("INSERT INTO t (id) VALUES (3)").unwrap();
        let rows: Vec<(i32, String)> = conn.query("SELECT id, w FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(1, "a".into()), (2, "b".into()), (3, "\\".into())]);
    }
}
