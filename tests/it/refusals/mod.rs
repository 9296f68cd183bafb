//! What is refused, with which words, and that nothing was written by then.
//!
//! The tests have a server of their own, one at a time, so that even the position of its binlog
//! shows whether anything was written.

mod clauses;
mod leftovers;
mod meanwhile;
mod neighbours;
mod secrets;
mod servers;
mod tables;
mod users;

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{Error, ErrorKind, OnlineAlter, Phase, TableState};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, check, database,
};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter, tables, wait_until};

const PASSWORD: &str = "pa55-w0rd";

/// Runs the test on this flavor's server of this module, with nobody beside it.
fn alone_on(flavor: Flavor, name: &str, test: impl Fn(&Server, &Database)) {
    static SERVERS: [OnceLock<Option<Mutex<Server>>>; 3] = [const { OnceLock::new() }; 3];
    let server =
        SERVERS[flavor as usize].get_or_init(|| available(Server::start(flavor)).map(Mutex::new));
    let Some(server) = server else { return };
    let server = server.lock();
    eprintln!("{name} on {flavor}");
    test(&server, &database(&server, name));
}

fn alone(name: &str, test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        alone_on(flavor, name, &test);
    }
}

/// What must not change.
#[derive(Debug, PartialEq)]
struct Facts {
    tables: Vec<(String, String)>,
    /// How the tables of the test are defined, and what is in them.
    definitions: Vec<(String, String, Vec<Row>)>,
    /// Where the binlog ends.
    position: Option<(String, u64)>,
}

impl Facts {
    fn read(server: &Server, db: &Database) -> Self {
        let mut conn = server.conn();
        let tables = conn
            .query(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA \
                 NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2",
            )
            .unwrap();
        let names: Vec<String> = conn
            .exec(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY 1",
                (db.name(),),
            )
            .unwrap();
        let definitions = names
            .into_iter()
            .map(|name| {
                let table = format!("`{}`.`{name}`", db.name());
                let row: Row =
                    conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
                let rows = conn.query(format!("CHECKSUM TABLE {table}")).unwrap();
                (name, row.get(1).unwrap(), rows)
            })
            .collect();
        Facts { tables, definitions, position: position(&mut conn, server.flavor()) }
    }
}

fn position(conn: &mut Conn, flavor: Flavor) -> Option<(String, u64)> {
    let sql = if flavor.is_mariadb() { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
    let row: Option<Row> = conn.query_first(sql).unwrap();
    row.map(|row| (row.get(0).unwrap(), row.get(1).unwrap()))
}

/// The plan is refused, and nothing was written.
#[track_caller]
fn refused(server: &Server, db: &Database, alter: OnlineAlter) -> Error {
    let before = Facts::read(server, db);
    let error = match alter.plan() {
        Ok(plan) => panic!("this is not refused: {plan}"),
        Err(error) => error,
    };
    assert_eq!(Facts::read(server, db), before, "{error}");
    assert_eq!(error.phase(), Phase::Plan, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert_eq!(error.leftovers(), [], "{error}");
    error
}

/// The plan is not refused, but the run is, before it copies: nothing is left of it.
#[track_caller]
fn refused_at_run(server: &Server, db: &Database, alter: OnlineAlter) -> Error {
    let mut before = Facts::read(server, db);
    let error = alter.plan().unwrap().run().unwrap_err();
    let after = Facts::read(server, db);
    before.position.clone_from(&after.position);
    assert_eq!(after, before, "{error}");
    assert_eq!(error.phase(), Phase::Prepare, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert_eq!(error.leftovers(), [], "{error}");
    error
}

/// Of this kind, with all of these words.
#[track_caller]
fn is(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.message().contains(word), "{word:?} is not in: {error}");
    }
}

fn sql(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// `t` as most tests need it, with three rows.
fn plain_table(db: &Database) -> Conn {
    let mut conn = db.conn();
    sql(
        &mut conn,
        &[
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(40) NOT \
         NULL) ENGINE=InnoDB",
            "INSERT INTO t (v, pad) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        ],
    );
    conn
}

/// Refused with the plain table.
#[track_caller]
fn clause_refused(name: &str, clause: &str, words: &[&str]) {
    alone(name, |server, db| {
        plain_table(db);
        is(&refused(server, db, alter(db, "t", clause)), ErrorKind::Alter, words);
    });
}

/// Refused with a table that is defined so.
#[track_caller]
fn table_refused(name: &str, definition: &str, kind: ErrorKind, words: &[&str]) {
    alone(name, |server, db| {
        sql(&mut db.conn(), &[definition]);
        is(&refused(server, db, alter(db, "t", "ADD COLUMN c INT")), kind, words);
    });
}

/// A user with a password and nothing else.
struct User<'a> {
    server: &'a Server,
    name: &'static str,
    schema: String,
}

impl<'a> User<'a> {
    fn new(server: &'a Server, db: &Database, name: &'static str) -> Self {
        sql(
            &mut server.conn(),
            &[
                &format!("DROP USER IF EXISTS {name}"),
                &format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'"),
            ],
        );
        User { server, name, schema: db.name().to_owned() }
    }

    /// Each privilege that is needed, and what it is granted on.
    fn needed(&self) -> Vec<(&'static str, String)> {
        let monitor =
            if self.server.flavor().is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
        let on_tables = [
            "ALTER",
            "CREATE",
            "DELETE",
            "DROP",
            "INSERT",
            "LOCK TABLES",
            "SELECT",
            "TRIGGER",
            "UPDATE",
        ];
        let on_server = ["REPLICATION SLAVE", monitor].map(|p| (p, "*.*".to_owned()));
        let schema = format!("`{}`.*", self.schema);
        on_server.into_iter().chain(on_tables.map(|p| (p, schema.clone()))).collect()
    }

    fn grant_all_needed(&self) {
        self.grant_all_needed_to(self.name);
    }

    fn grant_all_needed_to(&self, whom: &str) {
        for (privilege, on) in self.needed() {
            sql(&mut self.server.conn(), &[&format!("GRANT {privilege} ON {on} TO {whom}")]);
        }
    }

    fn url(&self) -> String {
        let User { name, schema, .. } = self;
        format!("mysql://{name}:{PASSWORD}@127.0.0.1:{}/{schema}", self.server.port())
    }

    fn alter(&self, table: &str) -> OnlineAlter {
        OnlineAlter::new(self.url(), table)
            .alter("ADD COLUMN c INT")
            .heartbeat_interval(Duration::from_millis(50))
    }

    /// A whole run while others write.
    fn runs_under_writers(&self, db: &Database) {
        let table = Table::simple("t");
        let mut workload = Workload::new(table.clone());
        workload.writers = 2;
        workload.rate = Some(100.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        wait_until("there are writes", || writers.statements() > 5);
        let report = self.alter("t").run().unwrap();
        let before = writers.statements();
        wait_until("writes go on", || writers.statements() > before + 5 || writers.errors() > 0);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        assert_eq!(report.warnings, Vec::<String>::new());
        let mut conn = db.conn();
        check(&mut conn, &table, &outcome).unwrap().assert_clean();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    }
}

/// Everything that is printed of an error.
fn all_text(error: &Error) -> String {
    let mut texts = vec![format!("{error} {error:?} {}", error.message())];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    texts.join(" ")
}
