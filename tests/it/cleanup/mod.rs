//! What runs that died have left: it is found, it is known whose it is, and it goes; nothing else does.

mod dead;
mod replicas;
mod strangers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{Cleanup, OnlineAlter, Remnant, Removal, Role, Step, cleanup};
use online_alter_support::{Database, Flavor, Server};

use crate::harness::{FLAVORS, on, on_each, tables, wait_until};

const ADD: &str = "ADD COLUMN c INT NOT NULL DEFAULT 7";
const ROWS: u32 = 200;

/// A table, and a user by whom the runs that are to die are known.
struct Scene<'a> {
    server: &'a Server,
    db: &'a Database,
    conn: Conn,
    before: (String, Vec<Row>),
}

impl<'a> Scene<'a> {
    fn new(server: &'a Server, db: &'a Database) -> Self {
        let mut conn = db.conn();
        let user = db.name();
        for sql in [
            format!("DROP USER IF EXISTS {user}"),
            format!("CREATE USER {user} IDENTIFIED BY 'secret'"),
            format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {user}"),
            format!("GRANT ALL ON `{user}`.* TO {user}"),
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB"
                .to_owned(),
            format!(
                "INSERT INTO t (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < \
                 {ROWS}) SELECT i FROM n"
            ),
        ] {
            conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        let before = content(&mut conn);
        Scene { server, db, conn, before }
    }

    fn sql(&mut self, sql: &str) {
        self.conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn alter(&self, clause: &str) -> OnlineAlter {
        let user = self.db.name();
        let url = format!("mysql://{user}:secret@127.0.0.1:{}/{user}", self.server.port());
        OnlineAlter::new(url, "t")
            .alter(clause)
            .heartbeat_interval(Duration::from_millis(50))
            .cut_over_lock_timeout(Duration::from_secs(20))
    }

    fn cleanup(&self) -> Cleanup {
        cleanup(self.db.url())
    }

    fn list(&self) -> Vec<Remnant> {
        self.cleanup().list().unwrap()
    }

    /// The run dies at the step as it does when its program is killed: at once, all connections closed, nothing tidied up.
    fn dies_at(&mut self, alter: OnlineAlter, step: Step) {
        self.dies_but(alter, step, |_| false);
    }

    /// The same, but connections that execute this go on: the server has not noticed yet.
    fn dies_but(&mut self, alter: OnlineAlter, step: Step, goes_on: impl Fn(&str) -> bool) {
        let (reached, at) = bounded(1);
        let first = AtomicBool::new(true);
        let handle = alter
            .on_step(move |now, _| {
                if now == step && first.swap(false, Ordering::SeqCst) {
                    let _ = reached.send(());
                    // Its program is gone: nothing of it goes on.
                    loop {
                        std::thread::park();
                    }
                }
            })
            .start()
            .unwrap();
        let is_there = at.recv_timeout(Duration::from_secs(20)).is_ok();
        assert!(is_there, "the run does not come there: {:?}", handle.join());
        std::mem::forget(handle);
        self.kill(goes_on);
    }

    /// Ends the run's connections, and lets it have no others.
    fn kill(&mut self, goes_on: impl Fn(&str) -> bool) {
        let user = self.db.name().to_owned();
        self.sql(&format!("ALTER USER {user} ACCOUNT LOCK"));
        wait_until("the run's connections are gone", || {
            let mut left = 0;
            for (id, text) in self.connections() {
                if !goes_on(&text) {
                    left += 1;
                    let _ = self.conn.query_drop(format!("KILL {id}"));
                }
            }
            left == 0
        });
    }

    /// Another run, once the one before is dead.
    fn alter_again(&mut self) -> OnlineAlter {
        let user = self.db.name().to_owned();
        self.sql(&format!("ALTER USER {user} ACCOUNT UNLOCK"));
        self.alter(ADD)
    }

    /// The connections of the run's user, and what they execute.
    fn connections(&mut self) -> Vec<(u32, String)> {
        let rows: Vec<Row> = self.conn.query("SHOW FULL PROCESSLIST").unwrap();
        let ours =
            rows.iter().filter(|row| row.get::<String, _>(1).as_deref() == Some(self.db.name()));
        let id_and_text = |row: &Row| {
            (row.get(0).unwrap(), row.get::<Option<String>, _>(7).flatten().unwrap_or_default())
        };
        ours.map(id_and_text).collect()
    }

    /// There is nothing to clean up any more, the table is as it was, and another run succeeds.
    #[track_caller]
    fn assert_clean(&mut self) {
        assert_eq!(tables(&mut self.conn), ["t"]);
        assert_eq!(content(&mut self.conn), self.before);
        assert_eq!(self.list(), []);
        self.alter_again().run().unwrap();
        assert_eq!(tables(&mut self.conn), ["_t_del", "t"]);
    }
}

fn content(conn: &mut Conn) -> (String, Vec<Row>) {
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    (row.get(1).unwrap(), conn.query("SELECT * FROM t ORDER BY id").unwrap())
}

fn roles(found: &[Remnant]) -> Vec<Role> {
    found.iter().map(|remnant| remnant.role).collect()
}

fn scene(name: &str, test: impl Fn(&mut Scene<'_>)) {
    on_each(name, |server, db| test(&mut Scene::new(server, db)));
}

#[track_caller]
fn assert_refused(remnant: &Remnant, why: &str) {
    match &remnant.removal {
        Removal::Refused(reason) if reason.contains(why) => {}
        other => panic!("{remnant}: {other:?}"),
    }
}
