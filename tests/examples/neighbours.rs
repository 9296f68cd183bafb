//! Foreign keys and triggers: what is said of them, and the flags that let them be.

use online_alter::mysql::{self, prelude::Queryable};
use online_alter_support::csm;

use crate::harness::on_each;

#[test]
fn foreign_keys_and_triggers() {
    on_each("example_neighbours", 100, |bench| {
        let mut conn = bench.db.conn();
        let table = csm::TABLE;
        for sql in [
            "CREATE TABLE owners (id INT PRIMARY KEY) ENGINE=InnoDB",
            "INSERT INTO owners VALUES (1)",
            &format!("ALTER TABLE {table} ADD COLUMN owner INT DEFAULT 1"),
            &format!(
                "ALTER TABLE {table} ADD CONSTRAINT of_owner FOREIGN KEY (owner) REFERENCES owners (id)"
            ),
            &format!(
                "CREATE TRIGGER seen BEFORE INSERT ON {table} FOR EACH ROW SET NEW.grade = 7;"
            ),
        ] {
            conn.query_drop(sql).unwrap();
        }
        let mut show = || -> String {
            let row: mysql::Row =
                conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
            row.get(1).unwrap()
        };
        let triggers = || -> Vec<String> {
            let sql = format!(
                "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = \
                 DATABASE() AND EVENT_OBJECT_TABLE = '{table}'"
            );
            bench.db.conn().query(sql).unwrap()
        };

        let refused = bench.alter(&["--execute"]).ends_with(1);
        assert!(refused.err.starts_with("error (ForeignKeys): "), "{}", refused.err);
        let name = format!("`example_neighbours`.`{table}`");
        for line in [
            "-- to remove them:",
            &format!("ALTER TABLE {name} DROP FOREIGN KEY `of_owner`;"),
            "-- to restore them:",
            &format!(
                "ALTER TABLE {name} ADD CONSTRAINT `of_owner` FOREIGN KEY (`owner`) REFERENCES \
                 `example_neighbours`.`owners` (`id`);"
            ),
        ] {
            assert!(refused.err.lines().any(|l| l == line), "{line} is not in {}", refused.err);
        }
        let refused = bench.alter(&["--keep-foreign-keys"]).ends_with(1);
        assert!(refused.err.starts_with("error (Triggers): "), "{}", refused.err);
        assert!(refused.err.contains("FOR EACH ROW SET NEW.grade = 7//"), "{}", refused.err);
        // As with gh-ost, there is no suffix by itself.
        bench.alter(&["--keep-foreign-keys", "--include-triggers"]).ends_with(2);
        bench.alter(&["--keep-foreign-keys", "--discard-foreign-keys"]).ends_with(2);

        let over =
            ["--execute", "--ok-to-drop-table", "--include-triggers", "--trigger-suffix", "_v"];
        let keep = [&over[..], &["--keep-foreign-keys"]].concat();
        let ended = bench.alter(&keep).ends_with(0);
        assert!(ended.out.contains("the trigger seen is called seen_v now"), "{}", ended.out);
        assert!(show().contains("REFERENCES `owners` (`id`)"));
        assert_eq!(triggers(), ["seen_v"]);

        let discard =
            [&over[..], &["--discard-foreign-keys", "--remove-trigger-suffix-if-exists"]].concat();
        bench.alter(&discard).ends_with(0);
        assert!(!show().contains("REFERENCES"));
        assert_eq!(triggers(), ["seen"]);
    });
}
