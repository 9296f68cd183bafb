//! Replication that a test on a replica has stopped, and died before it started it again.

use mysql::prelude::Queryable;
use online_alter::{Leftover, OnReplica, OnlineAlter, Role, Step, cleanup};
use online_alter_support::{Server, available, database};

use super::{ADD, FLAVORS, roles};
use crate::harness::{tables, wait_until};

/// Whether the replica fetches and applies.
fn replicates(server: &Server) -> bool {
    let sql =
        if server.flavor().is_mariadb() { "SHOW SLAVE STATUS" } else { "SHOW REPLICA STATUS" };
    let row: mysql::Row = server.conn().query_first(sql).unwrap().unwrap();
    let columns =
        ["Replica_IO_Running", "Slave_IO_Running", "Replica_SQL_Running", "Slave_SQL_Running"];
    let running = |name: &&str| {
        let at = row.columns_ref().iter().position(|column| column.name_str() == **name);
        at.map(|at| row.get::<String, _>(at).unwrap() != "No")
    };
    columns.iter().filter_map(running).all(|runs| runs)
}

#[test]
fn stopped_replication_is_started_again() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = available(Server::builder(flavor).replica_of(&primary).start()) else {
            continue;
        };
        let db = database(&primary, "clean_replica");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT)").unwrap();
        db.conn().query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let url = replica.url_for(db.name());
        let mut conn = replica.conn();
        conn.query_drop("USE clean_replica").unwrap();
        let test = |start_again| {
            OnlineAlter::new(url.as_str(), "t")
                .alter(ADD)
                .on_replica(OnReplica::Test { start_again })
        };

        let (reached, at) = crossbeam_channel::bounded(1);
        let handle = test(true)
            .on_step(move |step, _| {
                if step == Step::ReplicationStopped {
                    reached.send(()).unwrap();
                    loop {
                        std::thread::park();
                    }
                }
            })
            .start()
            .unwrap();
        at.recv().unwrap();
        std::mem::forget(handle);
        // All connections of the run, and nobody else's.
        let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'clean_replica' AND ID <> CONNECTION_ID()";
        wait_until("its connections are gone", || {
            let ids: Vec<u32> = conn.query(sql).unwrap();
            for id in &ids {
                let _ = conn.query_drop(format!("KILL {id}"));
            }
            ids.is_empty()
        });
        assert!(!replicates(&replica));
        let found = cleanup(url.as_str()).list().unwrap();
        assert_eq!(
            roles(&found),
            [Role::Replication, Role::Ghost, Role::State],
            "{flavor}: {found:?}"
        );
        assert!(
            matches!(&found[0].leftover, Leftover::StoppedReplication(s) if s.starts_with("START"))
        );
        assert!(!replicates(&replica));
        let cleaned = cleanup(url.as_str()).remove().unwrap();
        assert_eq!(cleaned.left, []);
        assert!(replicates(&replica));
        assert_eq!(tables(&mut conn), ["t"]);
        wait_until("it replicates", || replicates(&replica));

        // A test that was to leave it stopped has ended, and not died.
        db.conn().query_drop("INSERT INTO t VALUES (3, 3)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        test(false).run().unwrap();
        assert!(!replicates(&replica));
        assert_eq!(roles(&cleanup(url.as_str()).list().unwrap()), [Role::Ghost, Role::State]);
        cleanup(url.as_str()).remove().unwrap();
        assert!(!replicates(&replica));
    }
}
