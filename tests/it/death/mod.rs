//! The server dies, replicas die, the network fails: what writers were promised is there, and what the run has left
//! is what it says.

mod dressed;
mod guard;
mod index_build;
mod line;
mod network;
mod replicas;
mod server;

use std::sync::Arc;

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Error, Leftover, OnlineAlter, Report};
use online_alter_support::{
    Database, Server, Table, Watchdog, Workload, Writers, available, check, database,
};

use crate::harness::{FLAVORS, alter_at, tables, wait_until};

/// It moves the key's type, has an index that is built behind the copy, and a column more.
const CLAUSE: &str = "MODIFY id BIGINT NOT NULL AUTO_INCREMENT, ADD c INT NOT NULL DEFAULT 7";

/// What the connection that reads the binlog says of itself.
const STREAM: &str = "@source_heartbeat_period";

/// Servers of their own, on whose disk every commit is: one of each flavor, one after the other.
fn on_durable(name: &str, test: impl Fn(&Arc<Server>)) {
    let _ = env_logger::try_init();
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    for flavor in FLAVORS.into_iter().filter(|f| only.as_ref().is_none_or(|o| *o == f.to_string()))
    {
        let _watchdog =
            Watchdog::start(format!("{name} on {flavor}"), std::time::Duration::from_secs(300));
        let Some(server) = available(Server::builder(flavor).durable().start()) else { continue };
        eprintln!("{name} on {flavor}");
        test(&Arc::new(server));
    }
}

/// A small table under two writers, who are used to losing their connections.
struct Busy {
    db: Database,
    writers: Option<Writers>,
}

impl Busy {
    fn new(server: &Server, name: &str) -> Self {
        let db = database(server, name);
        let mut conn = db.conn();
        for sql in [
            "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, \
             pad VARCHAR(40) NOT NULL, KEY v (v)) ENGINE=InnoDB",
            "INSERT INTO t (v, pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM \
             n WHERE i < 300) SELECT i, 'first' FROM n",
        ] {
            conn.query_drop(sql).unwrap();
        }
        let workload = Workload {
            writers: 2,
            insert_pct: 25,
            delete_pct: 25,
            hot_rows: 50,
            rate: Some(400.0),
            reconnect: true,
            ..Workload::new(Table::simple("t"))
        };
        let writers = Writers::start(db.url(), workload).unwrap();
        Busy { db, writers: Some(writers) }
    }

    fn alter(&self) -> OnlineAlter {
        self.alter_at(self.db.url())
    }

    fn alter_at(&self, url: &str) -> OnlineAlter {
        alter_at(url, "t", CLAUSE).chunk_size(ChunkSize::Rows(20)).copy_workers(2)
    }

    fn wait_for_writes(&self) {
        let writers = self.writers.as_ref().unwrap();
        let goal = writers.statements() + 5;
        wait_until("the writers go on", || writers.statements() > goal);
    }

    /// Another run goes on, to a good end, and leaves nothing but the old table.
    #[track_caller]
    fn resume(self, what: &str) {
        let resumed = self.alter().resume(true).run();
        assert!(resumed.is_ok(), "{what}: {resumed:?}");
        assert_eq!(tables(&mut self.db.conn()), ["_t_del", "t"], "{what}: {resumed:?}");
        self.judge(&resumed, what);
    }

    /// And the new table has the index of the old one.
    #[track_caller]
    fn judge_indexed(self, ended: &Result<Report, Error>, what: &str) {
        let mut conn = self.db.conn();
        self.judge(ended, what);
        let (_, text): (String, String) = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
        assert!(ended.is_ok() && text.contains("KEY `v` (`v`)"), "{what}: {ended:?}, {text}");
    }

    /// What the writers were promised is there, and [`assert_named`](Self::assert_named).
    #[track_caller]
    fn judge(mut self, ended: &Result<Report, Error>, what: &str) {
        self.wait_for_writes();
        let outcome = self.writers.take().unwrap().stop();
        assert_eq!(outcome.errors, Vec::<String>::new(), "{what}");
        let mut conn = self.db.conn();
        let checked = check(&mut conn, &Table::simple("t"), &outcome).unwrap();
        assert!(checked.is_clean(), "{what}: {checked}");
        self.assert_named(ended, what);
    }

    /// Nobody keeps anybody from the tables, and nothing is left but what the run has named.
    #[track_caller]
    fn assert_named(&self, ended: &Result<Report, Error>, what: &str) {
        let mut conn = self.db.conn();
        let there = tables(&mut conn);
        let lock = there.iter().map(|table| format!("`{table}` WRITE")).collect::<Vec<_>>();
        conn.query_drop("SET SESSION lock_wait_timeout = 1").unwrap();
        conn.query_drop(format!("LOCK TABLES {}", lock.join(", "))).unwrap();
        conn.query_drop("UNLOCK TABLES").unwrap();
        let columns: Vec<mysql::Row> = conn.query("SHOW COLUMNS FROM t").unwrap();
        let swapped = columns.len() == 4;
        let named: Vec<String> = match ended {
            Ok(report) => {
                assert!(swapped, "{what}: {report}");
                assert!(report.conflicting_keys.is_empty(), "{what}: {report}");
                let old = report.old_table.iter().cloned();
                old.chain(report.warnings.iter().cloned()).collect()
            }
            Err(error) => {
                let says = match error.table_state() {
                    online_alter::TableState::Untouched => !swapped,
                    online_alter::TableState::Swapped => swapped,
                    online_alter::TableState::Unknown => true,
                };
                assert!(says, "{what}: swapped is {swapped}, and: {error}");
                let name = |left: &Leftover| match left {
                    Leftover::Table(name) => name.clone(),
                    other => other.to_string(),
                };
                let old = swapped.then(|| "_t_del".to_owned());
                error.leftovers().iter().map(name).chain(old).collect()
            }
        };
        for table in there.iter().filter(|table| *table != "t") {
            let is_named = named.iter().any(|name| name.contains(table.as_str()));
            assert!(is_named, "{what}: {table} is there, and named are {named:?}");
        }
    }
}

/// More than those of every day by `ONLINE_ALTER_ROUNDS`.
fn rounds(usual: u32) -> u32 {
    std::env::var("ONLINE_ALTER_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}
