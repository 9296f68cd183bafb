//! The main job under writers, judged by their journal.

use std::time::Duration;

use online_alter_support::{Table, Workload, Writers, check, csm};

use crate::harness::{alter, on_each, tables};

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
