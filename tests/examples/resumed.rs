//! The program is killed, and started again with --resume.

use std::fs;

use crate::harness::{on_each, path};

#[test]
fn goes_on_where_it_was_killed() {
    on_each("example_resume", 3000, |bench| {
        let refused = bench.alter(&["--execute", "--resume"]).ends_with(1);
        assert!(refused.err.contains("there is nothing to go on with"), "{}", refused.err);
        bench.assert_untouched();

        let file = bench.file("postpone");
        let postpone = ["--postpone-cut-over-flag-file", path(&file)];
        let args = [&["--execute", "--checkpoint-seconds", "1"][..], &postpone].concat();
        let first = bench.alter(&args);
        first.wait_for("State: postponing cut-over");
        drop(first);
        fs::remove_file(&file).unwrap();

        let other = ["--execute", "--resume", "--alter", "ENGINE=InnoDB"];
        let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
        let table = ["--url", &url, "--table", online_alter_support::csm::TABLE];
        let refused = bench.bare(&[&table[..], &other].concat()).ends_with(1);
        assert!(refused.err.contains("it was to alter"), "{}", refused.err);

        // Without --execute nothing is touched.
        let plan = bench.alter(&["--resume"]).ends_with(0);
        assert!(plan.out.contains("goes on where an earlier run has stopped"), "{}", plan.out);
        assert_eq!(bench.tables().len(), 3);
        bench.alter(&["--execute", "--resume", "--ok-to-drop-table"]).ends_with(0);
        assert!(bench.is_bigint());
        assert_eq!(bench.tables(), [online_alter_support::csm::TABLE]);
    });
}
