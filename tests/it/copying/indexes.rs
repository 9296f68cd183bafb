//! Indexes that are built after the copy.

use std::sync::Arc;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{IndexBuild, Step, TableState};
use online_alter_support::{Database, Flavor, Server, available, database};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter, on_each, wait_until};

const TABLE: &str = "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT, a INT NOT NULL, b INT NOT NULL, \
                     s VARCHAR(40) NOT NULL, PRIMARY KEY (id), KEY b (b), UNIQUE KEY ab (a, b), \
                     FULLTEXT KEY s (s), KEY s_a (s (10), a)) ENGINE=InnoDB";

fn table(conn: &mut Conn) {
    conn.query_drop(TABLE).unwrap();
    conn.query_drop("INSERT INTO t (a, b, s) VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')")
        .unwrap();
}

fn indexes(conn: &mut Conn, table: &str) -> Vec<String> {
    conn.query(format!(
        "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() \
         AND TABLE_NAME = '{table}' ORDER BY LOWER(INDEX_NAME)"
    ))
    .unwrap()
}

/// The ghost's indexes when the copy is done.
fn during_the_copy(db: &Database, when: IndexBuild) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sees, conn) = (Arc::clone(&seen), Mutex::new(db.conn()));
    let report = alter(db, "t", "MODIFY id BIGINT NOT NULL AUTO_INCREMENT")
        .index_build(when)
        .replace_old_table(true)
        .on_step(move |step, _| {
            if step == Step::CopyDone {
                *sees.lock() = indexes(&mut conn.lock(), "_t_gho");
            }
        })
        .run()
        .unwrap();
    assert_eq!(report.rows_copied, 3);
    let seen = seen.lock();
    seen.clone()
}

#[test]
fn after_the_copy_or_from_the_start() {
    on_each("index_build", |_, db| {
        let mut conn = db.conn();
        table(&mut conn);
        conn.query_drop("CREATE TABLE twin LIKE t").unwrap();
        conn.query_drop("ALTER TABLE twin MODIFY id BIGINT NOT NULL AUTO_INCREMENT").unwrap();
        for (when, expected) in [
            (IndexBuild::AfterCopy, vec!["PRIMARY", "s"]),
            (IndexBuild::Maintain, vec!["ab", "b", "PRIMARY", "s", "s_a"]),
        ] {
            assert_eq!(during_the_copy(db, when), expected);
            let mut text = |table: &str| -> String {
                let row: Option<(String, String)> =
                    conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap();
                let text = row.unwrap().1.replace("`twin`", "`t`");
                text.split(") ENGINE=").next().unwrap().to_owned()
            };
            assert_eq!(text("t"), text("twin"));
        }
    });
}

/// The one statement would keep a replica behind for as long as it takes, and cannot be held back.
#[test]
fn not_where_a_replica_would_fall_behind() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let db = database(&primary, "replicas");
        let mut conn = db.conn();
        table(&mut conn);
        let decided = || alter(&db, "t", "COMMENT='x'").plan().unwrap().index_build();
        assert_eq!(decided(), IndexBuild::AfterCopy);
        // Nothing would hold it back.
        let busy = || "Threads_running=1000".parse().unwrap();
        let spared = alter(&db, "t", "COMMENT='x'").limits(|limits| limits.max_load = busy());
        assert_eq!(spared.plan().unwrap().index_build(), IndexBuild::Maintain);
        let replica = Server::builder(flavor).replica_of(&primary).start();
        let Some(replica) = available(replica) else { continue };
        assert_eq!(decided(), IndexBuild::Maintain);
        let asked = alter(&db, "t", "COMMENT='x'").index_build(IndexBuild::AfterCopy);
        assert_eq!(asked.plan().unwrap().index_build(), IndexBuild::AfterCopy);
        drop(replica);
        if flavor == Flavor::MariaDb {
            // Who may not see replicas must not harm them.
            conn.query_drop("CREATE USER blind IDENTIFIED BY 'blind'").unwrap();
            conn.query_drop("GRANT ALL ON replicas.* TO blind").unwrap();
            conn.query_drop(
                "GRANT REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR, SLAVE MONITOR, PROCESS, \
                 CONNECTION ADMIN ON *.* TO blind",
            )
            .unwrap();
            let url = db.url().replace("root:secret", "blind:blind");
            let plan = online_alter::OnlineAlter::new(url, "t").alter("COMMENT='x'").plan();
            assert_eq!(plan.unwrap().index_build(), IndexBuild::Maintain);
        }
    }
}

/// Values of a unique key move between rows while it is not there: building it meets no duplicate, as the
/// ghost is brought in step first.
#[test]
fn values_that_move_while_the_unique_key_is_not_there() {
    on_each("index_moves", |_, db| {
        let mut conn = db.conn();
        table(&mut conn);
        let mover = Mutex::new(db.conn());
        let report = alter(db, "t", "MODIFY id BIGINT NOT NULL AUTO_INCREMENT")
            .index_build(IndexBuild::AfterCopy)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    let mut mover = mover.lock();
                    for sql in [
                        "DELETE FROM t WHERE id = 1",
                        "UPDATE t SET a = 1, b = 1 WHERE id = 2",
                        "UPDATE t SET a = 2, b = 2 WHERE id = 3",
                        "INSERT INTO t (a, b, s) VALUES (3, 3, 'new')",
                    ] {
                        mover.query_drop(sql).unwrap();
                    }
                }
            })
            .run()
            .unwrap();
        assert_eq!(report.rows_copied, 3);
        let rows: Vec<(u32, u32, u32)> = conn.query("SELECT id, a, b FROM t ORDER BY id").unwrap();
        assert_eq!(rows, [(2, 1, 1), (3, 2, 2), (4, 3, 3)]);
    });
}

/// A build that is killed is tried again, twice. Then the run ends with the table untouched, and leaves nothing.
#[test]
fn a_build_that_fails() {
    on_each("index_killed", |_, db| {
        let mut conn = db.conn();
        table(&mut conn);
        let blocker = Mutex::new((db.conn(), db.conn()));
        let handle = alter(db, "t", "MODIFY id BIGINT NOT NULL AUTO_INCREMENT")
            .index_build(IndexBuild::AfterCopy)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    // The ghost cannot be had, so the statement waits, and can be found.
                    let (holder, _) = &mut *blocker.lock();
                    holder.query_drop("BEGIN").unwrap();
                    holder.query_drop("SELECT * FROM _t_gho").unwrap();
                }
            })
            .start()
            .unwrap();
        let mut kills = 0;
        // Not those of other tests.
        let ours = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'index_killed' AND INFO LIKE 'ALTER TABLE%ADD%'";
        wait_until("the run has ended", || {
            if let Some(build) = conn.query_first::<u32, _>(ours).unwrap() {
                kills += u32::from(conn.query_drop(format!("KILL QUERY {build}")).is_ok());
            }
            handle.is_finished()
        });
        assert!(kills >= 3, "killed {kills} times");
        let error = handle.join().unwrap_err();
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.phase(), online_alter::Phase::BuildIndexes, "{error}");
    });
}
