//! Runs that stop before the copy, and leave nothing.

use mysql::Row;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Event, Phase, TableState};

use crate::harness::{alter, on_each, tables};

#[test]
fn a_rehearsal_shows_the_definition_and_leaves_nothing() {
    on_each("rehearsal", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, KEY by_v (v))",
        )
        .unwrap();
        conn.query_drop("INSERT INTO t (v) VALUES (1), (2), (3)").unwrap();
        let clause = "MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, ADD c INT";
        let (tell, events) = crossbeam_channel::unbounded();
        let plan = alter(db, "t", clause).observer(tell).keep_on_failure(true).plan().unwrap();
        let rehearsal = plan.rehearse().unwrap();
        assert_eq!(tables(&mut conn), ["t"]);
        let phases: Vec<Phase> = events
            .try_iter()
            .filter_map(|event| if let Event::Phase(phase) = event { Some(phase) } else { None })
            .collect();
        assert_eq!(phases, [Phase::Prepare, Phase::Fence]);
        // It is what the run makes.
        alter(db, "t", clause).run().unwrap();
        let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
        let made: String = row.get(1).unwrap();
        let without_counter = made.replace(" AUTO_INCREMENT=4", "");
        assert_eq!(rehearsal.definition.replace(" AUTO_INCREMENT=4", ""), without_counter);
        assert!(rehearsal.to_string().contains("can be altered"));
    });
}

#[test]
fn what_the_server_refuses_is_found() {
    on_each("rehearsal_refused", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)").unwrap();
        let plan = alter(db, "t", "MODIFY v INT NOT NULL DEFAULT 'x'").plan().unwrap();
        let error = plan.rehearse().unwrap_err();
        assert_eq!((error.kind(), error.table_state()), (ErrorKind::Alter, TableState::Untouched));
        assert_eq!(error.leftovers(), []);
        assert_eq!(tables(&mut conn), ["t"]);
    });
}
