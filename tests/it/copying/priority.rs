//! What takes long, in a resource group of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, ErrorKind, Event, IndexBuild, Step};
use online_alter_support::{Database, Flavor};
use parking_lot::Mutex;

use crate::harness::{alter, index_build, on, wait_until};

const GROUP: &str = "oa low `one`";

fn group_of(conn: &mut Conn, connection: u32) -> String {
    let group: Option<String> = conn
        .exec_first(
            "SELECT RESOURCE_GROUP FROM performance_schema.threads WHERE PROCESSLIST_ID = ?",
            (connection,),
        )
        .unwrap();
    group.unwrap()
}

fn in_the_group(conn: &mut Conn) -> Vec<u32> {
    conn.exec(
        "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE RESOURCE_GROUP = ?",
        (GROUP,),
    )
    .unwrap()
}

fn table(db: &Database) -> Conn {
    let mut conn = db.conn();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, KEY v (v)) ENGINE=InnoDB")
        .unwrap();
    conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)").unwrap();
    conn
}

#[test]
fn copying_and_building_are_in_the_group_and_the_cut_over_is_not() {
    on(Flavor::Mysql, "resource_group", |_, db| {
        let mut conn = table(db);
        let quoted = GROUP.replace('`', "``");
        let _ = conn.query_drop(format!("DROP RESOURCE GROUP `{quoted}`"));
        conn.query_drop(format!("CREATE RESOURCE GROUP `{quoted}` TYPE=USER")).unwrap();
        let copying = Arc::new(Mutex::new(Vec::new()));
        let (sees, look) = (Arc::clone(&copying), Mutex::new(db.conn()));
        let cutting = Arc::new(AtomicU32::new(0));
        let cuts = Arc::clone(&cutting);
        let holder = Arc::new(Mutex::new(db.conn()));
        let (holds, url) = (Arc::clone(&holder), db.url().to_owned());
        let handle = alter(db, "t", "MODIFY v BIGINT NOT NULL")
            .index_build(IndexBuild::AfterCopy)
            // The workers are still there when the first of several chunks is done.
            .copy_workers(1)
            .chunk_size(ChunkSize::Rows(1))
            .resource_group(GROUP)
            .observer(move |event: &Event| {
                if matches!(event, Event::ChunkCopied { .. }) {
                    sees.lock().extend(in_the_group(&mut look.lock()));
                }
            })
            .on_step(move |step, connection| match step {
                Step::CopyDone => {
                    // The build waits for the ghost, and can be found.
                    let mut holder = holds.lock();
                    holder.query_drop("BEGIN").unwrap();
                    holder.query_drop("SELECT * FROM _t_gho").unwrap();
                }
                Step::Locked => {
                    let mut conn = Conn::new(url.as_str()).unwrap();
                    assert_eq!(group_of(&mut conn, connection), "USR_default");
                    assert!(in_the_group(&mut conn).is_empty());
                    cuts.store(connection, Ordering::SeqCst);
                }
                _ => {}
            })
            .start()
            .unwrap();
        wait_until("the build is under way", || index_build(&mut conn).is_some());
        let building = index_build(&mut conn).unwrap();
        assert_eq!(group_of(&mut conn, building), GROUP);
        holder.lock().query_drop("COMMIT").unwrap();
        handle.join().unwrap();
        assert!(!copying.lock().is_empty());
        assert_ne!(cutting.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn groups_that_cannot_be_had() {
    on(Flavor::Mysql, "resource_group_missing", |_, db| {
        table(db);
        let error = alter(db, "t", "COMMENT='x'").resource_group("nowhere").plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("nowhere"), "{error}");
    });
    on(Flavor::MariaDb, "resource_group_missing", |_, db| {
        table(db);
        let error = alter(db, "t", "COMMENT='x'").resource_group("any").plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("MariaDB"), "{error}");
    });
}
