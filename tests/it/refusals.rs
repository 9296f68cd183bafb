//! What is refused, with which words, and that nothing was written by then.
//!
//! The tests have a server of their own, one at a time, so that even the position of its binlog
//! shows whether anything was written.

use std::error::Error as _;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{Error, ErrorKind, Leftover, OnlineAlter, Phase, Postpone, TableState, Warning};
use online_alter_support::{
    Database, Flavor, Server, Table, Workload, Writers, available, check, database,
};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter, tables, until};

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

/// Says the statement when it goes.
struct Restore<'a>(&'a Server, &'static str);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.connect().and_then(|mut conn| conn.query_drop(self.1)) {
            eprintln!("{}: {error}", self.1);
        }
    }
}

// Tables

#[test]
fn no_such_table() {
    alone("refuse_no_table", |server, db| {
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::NoSuchTable, &["`refuse_no_table`.`t`"]);
    });
}

#[test]
fn no_such_schema() {
    alone("refuse_no_schema", |server, db| {
        plain_table(db);
        let to_other = alter(db, "t", "ADD COLUMN c INT").schema("nowhere");
        is(&refused(server, db, to_other), ErrorKind::NoSuchTable, &["`nowhere`.`t`"]);
        // One that the URL names is refused by the server.
        let url = OnlineAlter::new(server.url_for("nowhere"), "t").alter("ADD COLUMN c INT");
        let error = refused(server, db, url);
        assert!(error.message().contains("nowhere"), "{error}");
        assert_eq!(error.server_code(), Some(1049), "{error}");
        let none = OnlineAlter::new(server.url(), "t").alter("ADD COLUMN c INT");
        is(&refused(server, db, none), ErrorKind::Config, &["no schema"]);
    });
}

#[test]
fn a_view() {
    alone("refuse_view", |server, db| {
        sql(&mut plain_table(db), &["CREATE VIEW v AS SELECT * FROM t"]);
        let error = refused(server, db, alter(db, "v", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["`v`", "VIEW"]);
    });
}

#[test]
fn myisam() {
    let t = "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM";
    table_refused("refuse_myisam", t, ErrorKind::UnsupportedTable, &["MyISAM", "InnoDB"]);
}

#[test]
fn a_sequence() {
    alone_on(Flavor::MariaDb, "refuse_sequence", |server, db| {
        sql(&mut db.conn(), &["CREATE SEQUENCE t ENGINE=InnoDB"]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["SEQUENCE"]);
    });
}

#[test]
fn a_system_versioned_table() {
    alone_on(Flavor::MariaDb, "refuse_versioned", |server, db| {
        let t = "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB WITH SYSTEM VERSIONING";
        sql(&mut db.conn(), &[t]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedTable, &["SYSTEM VERSIONED"]);
    });
}

#[test]
fn no_unique_key() {
    let t = "CREATE TABLE t (id INT NOT NULL, v INT, KEY (id)) ENGINE=InnoDB";
    table_refused("refuse_no_key", t, ErrorKind::NoUsableKey, &["has no primary key"]);
}

#[test]
fn only_a_nullable_unique_key() {
    let t = "CREATE TABLE t (id INT NULL, UNIQUE KEY id_u (id)) ENGINE=InnoDB";
    let words = ["`id_u`", "may be NULL"];
    table_refused("refuse_nullable_key", t, ErrorKind::NoUsableKey, &words);
}

#[test]
fn only_a_prefix_key() {
    let t = "CREATE TABLE t (name VARCHAR(100) NOT NULL, PRIMARY KEY (name(10))) ENGINE=InnoDB";
    table_refused("refuse_prefix_key", t, ErrorKind::NoUsableKey, &["prefix", "name"]);
}

#[test]
fn only_a_float_key() {
    let t = "CREATE TABLE t (f FLOAT NOT NULL PRIMARY KEY) ENGINE=InnoDB";
    table_refused("refuse_float_key", t, ErrorKind::NoUsableKey, &["f is of type float"]);
}

#[test]
fn a_dropped_key_column() {
    alone("refuse_dropped_key", |server, db| {
        plain_table(db);
        let error = refused(server, db, alter(db, "t", "DROP COLUMN id"));
        is(&error, ErrorKind::NoUsableKey, &["the ALTER drops id"]);
    });
}

#[test]
fn names_that_are_too_long() {
    alone("refuse_long", |server, db| {
        let error = refused(server, db, alter(db, &"x".repeat(65), "ADD COLUMN c INT"));
        is(&error, ErrorKind::Config, &["too long", "65"]);
        let schema = alter(db, "t", "ADD COLUMN c INT").schema("x".repeat(65));
        is(&refused(server, db, schema), ErrorKind::Config, &["too long", "schema"]);
        is(&refused(server, db, alter(db, "", "ADD COLUMN c INT")), ErrorKind::Config, &["empty"]);
        is(
            &refused(server, db, alter(db, "t ", "ADD COLUMN c INT")),
            ErrorKind::Config,
            &["space"],
        );
        // Servers have no names with characters beyond the basic plane.
        let error = refused(server, db, alter(db, &"\u{1f600}".repeat(64), "ADD COLUMN c INT"));
        is(&error, ErrorKind::Config, &["U+FFFF"]);
    });
}

#[test]
fn the_longest_names_work() {
    alone("accept_long", |_, db| {
        for name in ["x".repeat(64), "\u{e9}".repeat(64), "x".repeat(60), "we `ird.%-".repeat(6)] {
            let quoted = name.replace('`', "``");
            let mut conn = db.conn();
            sql(
                &mut conn,
                &[
                    &format!("CREATE TABLE `{quoted}` (id INT PRIMARY KEY, v INT) ENGINE=InnoDB"),
                    &format!("INSERT INTO `{quoted}` VALUES (1, 1), (2, 2)"),
                ],
            );
            let report = alter(db, &name, "ADD COLUMN c INT").run().unwrap();
            let rows: Vec<(u32, u32, Option<u32>)> =
                conn.query(format!("SELECT id, v, c FROM `{quoted}` ORDER BY id")).unwrap();
            assert_eq!(rows, [(1, 1, None), (2, 2, None)]);
            let old = report.old_table.unwrap();
            let count: Option<u32> =
                conn.query_first(format!("SELECT COUNT(*) FROM {old}")).unwrap();
            assert_eq!(count, Some(2));
            sql(&mut conn, &[&format!("DROP TABLE {old}, `{quoted}`")]);
        }
    });
}

// ALTERs

#[test]
fn an_alter_that_does_not_parse() {
    clause_refused("refuse_parse", "ADD COLUMN", &["ALTER"]);
    // This one only the server can judge.
    clause_refused("refuse_parse", "ADD COLUMN c NOSUCHTYPE", &["cannot parse the ALTER"]);
}

#[test]
fn an_empty_alter() {
    clause_refused("refuse_empty", "", &["empty"]);
    clause_refused("refuse_empty", "  /* nothing */ ", &["empty"]);
}

#[test]
fn a_whole_statement() {
    clause_refused("refuse_whole", "ALTER TABLE t ADD COLUMN c INT", &["only the clause"]);
}

#[test]
fn a_rename_of_the_table() {
    clause_refused("refuse_rename", "ADD COLUMN c INT, RENAME TO u", &["RENAME"]);
}

#[test]
fn an_algorithm() {
    clause_refused("refuse_algorithm", "ADD COLUMN c INT, ALGORITHM=INPLACE", &["ALGORITHM"]);
    clause_refused("refuse_algorithm", "ADD COLUMN c INT, LOCK=NONE", &["LOCK"]);
}

#[test]
fn two_statements() {
    alone("refuse_two", |server, db| {
        sql(&mut plain_table(db), &["CREATE TABLE x (id INT PRIMARY KEY)"]);
        for clause in ["ADD COLUMN c INT; DROP TABLE x", "ADD COLUMN c INT;"] {
            let error = refused(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["`;`"]);
        }
    });
}

#[test]
fn an_alter_that_makes_no_sense_for_the_table() {
    alone("refuse_sense", |server, db| {
        plain_table(db);
        for (clause, word) in [("ADD COLUMN v INT", "v"), ("ADD INDEX i (nope)", "nope")] {
            let error = refused_at_run(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["the server refuses the ALTER", word]);
            assert!(error.server_code().is_some(), "{error}");
        }
        for clause in ["DROP COLUMN nope", "CHANGE nope n INT", "MODIFY nope INT"] {
            let error = refused(server, db, alter(db, "t", clause));
            is(&error, ErrorKind::Alter, &["not there", "nope"]);
        }
    });
}

#[test]
fn another_engine() {
    clause_refused("refuse_engine", "ENGINE=MyISAM", &["MyISAM", "InnoDB"]);
}

#[test]
fn a_new_foreign_key() {
    alone("refuse_new_fk", |server, db| {
        sql(&mut plain_table(db), &["CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB"]);
        let clause = "ADD CONSTRAINT c FOREIGN KEY (v) REFERENCES p (id)";
        let error = refused(server, db, alter(db, "t", clause));
        is(&error, ErrorKind::Alter, &["foreign key"]);
    });
}

#[test]
fn a_not_null_column_without_a_default() {
    alone("refuse_no_default", |server, db| {
        plain_table(db);
        let error = refused_at_run(server, db, alter(db, "t", "ADD COLUMN c INT NOT NULL"));
        is(&error, ErrorKind::Alter, &["`c`", "DEFAULT"]);
    });
}

#[test]
fn another_collation_of_the_key() {
    alone("refuse_collation", |server, db| {
        sql(
            &mut db.conn(),
            &[
                "CREATE TABLE t (k VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
                "INSERT INTO t VALUES ('a', 1), ('A', 2)",
            ],
        );
        let clause = "MODIFY k VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL";
        let error = refused_at_run(server, db, alter(db, "t", clause));
        is(&error, ErrorKind::NoUsableKey, &["`k`", "utf8mb4_bin", "utf8mb4_unicode_ci"]);
        let convert = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci";
        let error = refused_at_run(server, db, alter(db, "t", convert));
        is(&error, ErrorKind::NoUsableKey, &["`k`", "utf8mb4_bin", "utf8mb4_unicode_ci"]);
    });
}

#[test]
fn another_primary_key() {
    alone("refuse_other_pk", |server, db| {
        sql(
            &mut db.conn(),
            &[
                "CREATE TABLE t (a INT NOT NULL PRIMARY KEY, b INT NOT NULL) ENGINE=InnoDB",
                "INSERT INTO t VALUES (1, 1), (2, 1)",
            ],
        );
        let clause = "DROP PRIMARY KEY, ADD PRIMARY KEY (b)";
        let error = refused_at_run(server, db, alter(db, "t", clause));
        is(&error, ErrorKind::NoUsableKey, &["primary key"]);
    });
}

#[test]
fn no_primary_key_any_more() {
    alone("refuse_drop_pk", |server, db| {
        sql(
            &mut db.conn(),
            &[
                "CREATE TABLE t (a INT NOT NULL PRIMARY KEY, b INT NOT NULL) ENGINE=InnoDB",
                "INSERT INTO t VALUES (1, 1), (2, 1)",
            ],
        );
        let error = refused_at_run(server, db, alter(db, "t", "DROP PRIMARY KEY"));
        is(&error, ErrorKind::NoUsableKey, &["primary key"]);
    });
}

// Neighbours

#[test]
fn foreign_keys_in_both_directions() {
    alone("refuse_fk", |server, db| {
        let mut conn = db.conn();
        let other = database(server, "refuse_fk_elsewhere");
        sql(
            &mut conn,
            &[
                "CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB",
                "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT upward FOREIGN KEY (p) REFERENCES \
             p (id)) ENGINE=InnoDB",
                "CREATE TABLE c (id INT PRIMARY KEY, t INT, CONSTRAINT downward FOREIGN KEY (t) \
             REFERENCES t (id)) ENGINE=InnoDB",
                "CREATE TABLE refuse_fk_elsewhere.c (id INT PRIMARY KEY, t INT, CONSTRAINT abroad \
             FOREIGN KEY (t) REFERENCES refuse_fk.t (id)) ENGINE=InnoDB",
            ],
        );
        let words = ["`upward`", "`downward`", "`abroad`", "`refuse_fk_elsewhere`.`c`"];
        is(
            &refused(server, db, alter(db, "t", "ADD COLUMN c INT")),
            ErrorKind::ForeignKeys,
            &words,
        );
        let error = refused(server, db, alter(db, "p", "ADD COLUMN c INT"));
        is(&error, ErrorKind::ForeignKeys, &["`upward`"]);
        assert!(!error.message().contains("downward"), "{error}");
        sql(&mut conn, &[&format!("DROP DATABASE {}", other.name())]);
    });
}

/// A foreign key in a schema that the user may not see: PROCESS shows it nevertheless.
#[test]
fn foreign_keys_out_of_sight() {
    alone("refuse_hidden_fk", |server, db| {
        let mut conn = db.conn();
        database(server, "refuse_hidden_fk_2");
        for (at, name) in ["t", "t-\u{e9} x"].into_iter().enumerate() {
            sql(
                &mut conn,
                &[
                    &format!("CREATE TABLE `{name}` (id INT PRIMARY KEY) ENGINE=InnoDB"),
                    &format!(
                        "CREATE TABLE refuse_hidden_fk_2.c{at} (id INT PRIMARY KEY, t INT, CONSTRAINT \
                     hidden{at} FOREIGN KEY (t) REFERENCES refuse_hidden_fk.`{name}` (id)) \
                     ENGINE=InnoDB"
                    ),
                ],
            );
            let user = User::new(server, db, "hidden");
            user.grant_all_needed();
            let plan = user.alter(name).plan().unwrap();
            assert_eq!(plan.warnings(), [Warning::HiddenForeignKeys]);
            assert!(plan.to_string().contains("PROCESS"), "{plan}");
            sql(&mut conn, &["GRANT PROCESS ON *.* TO hidden"]);
            let error = refused(server, db, user.alter(name));
            is(&error, ErrorKind::ForeignKeys, &[&format!("hidden{at}"), &format!("c{at}")]);
        }
        sql(&mut conn, &["DROP DATABASE refuse_hidden_fk_2"]);
    });
}

#[test]
fn triggers() {
    alone("refuse_triggers", |server, db| {
        sql(
            &mut plain_table(db),
            &[
                "CREATE TRIGGER before_it BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
                "CREATE TRIGGER after_it AFTER DELETE ON t FOR EACH ROW SET @x = 1",
            ],
        );
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        let words = ["`before_it` (BEFORE INSERT)", "`after_it` (AFTER DELETE)"];
        is(&error, ErrorKind::Triggers, &words);
    });
}

// Users

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
        until("there are writes", || writers.statements() > 5);
        let report = self.alter("t").run().unwrap();
        let before = writers.statements();
        until("writes go on", || writers.statements() > before + 5 || writers.errors() > 0);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        assert_eq!(report.warnings, Vec::<String>::new());
        let mut conn = db.conn();
        check(&mut conn, &table, &outcome).unwrap().assert_clean();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    }
}

#[test]
fn a_user_who_lacks_one_privilege() {
    alone("refuse_privilege", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "lacks_one");
        user.grant_all_needed();
        for (privilege, on) in user.needed() {
            sql(&mut server.conn(), &[&format!("REVOKE {privilege} ON {on} FROM {}", user.name)]);
            let error = refused(server, db, user.alter("t"));
            let grant = format!(": GRANT {privilege} ON {on} TO `lacks_one`@`%`");
            is(&error, ErrorKind::Privileges, &[&grant]);
            assert_eq!(error.message().matches("GRANT").count(), 1, "{error}");
            // The advice can be followed to the letter.
            let advice = &error.message()[error.message().find("GRANT").unwrap()..];
            sql(&mut server.conn(), &[advice]);
            drop(user.alter("t").plan().unwrap());
        }
    });
}

#[test]
fn a_user_without_any_privilege() {
    alone("refuse_nobody", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "nobody");
        // Into the schema he may not even go, so he names it.
        let url = format!("mysql://nobody:{PASSWORD}@127.0.0.1:{}", server.port());
        let to_schema = OnlineAlter::new(url, "t").schema(db.name()).alter("ADD COLUMN c INT");
        let error = refused(server, db, to_schema);
        let all = user.needed();
        let words: Vec<&str> = all.iter().map(|(privilege, _)| *privilege).collect();
        is(&error, ErrorKind::Privileges, &words);
        let error = refused(server, db, user.alter("t"));
        assert!(
            [ErrorKind::Privileges, ErrorKind::AccessDenied].contains(&error.kind()),
            "{error}"
        );
    });
}

#[test]
fn a_user_with_just_the_privileges_needed() {
    alone("accept_least", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "least");
        user.grant_all_needed();
        user.runs_under_writers(db);
    });
}

#[test]
fn a_user_with_a_role() {
    alone("accept_role", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "actor");
        let mut conn = server.conn();
        sql(&mut conn, &["DROP ROLE IF EXISTS hero", "CREATE ROLE hero", "GRANT hero TO actor"]);
        user.grant_all_needed_to("hero");
        // A role that is not in force gives nothing.
        sql(&mut conn, &[&format!("GRANT SELECT ON `{}`.* TO actor", db.name())]);
        let error = refused(server, db, user.alter("t"));
        is(&error, ErrorKind::Privileges, &["ALTER", "REPLICATION SLAVE"]);
        assert!(!error.message().contains("SELECT"), "{error}");
        let default = if server.flavor().is_mariadb() {
            "SET DEFAULT ROLE hero FOR actor"
        } else {
            "SET DEFAULT ROLE hero TO actor"
        };
        sql(&mut conn, &[default]);
        user.runs_under_writers(db);
    });
}

// Secrets

/// Everything that is printed of an error.
fn all_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {}", error.message());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

#[test]
fn a_wrong_password_is_not_shown() {
    alone("refuse_password", |server, db| {
        plain_table(db);
        let wrong = "0pen-5esame";
        let url = format!("mysql://root:{wrong}@127.0.0.1:{}/{}", server.port(), db.name());
        let alter = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT");
        assert!(!format!("{alter:?} {alter:#?}").contains(wrong));
        let error = refused(server, db, alter);
        is(&error, ErrorKind::AccessDenied, &["root"]);
        assert!(!all_text(&error).contains(wrong), "{error:?}");
    });
}

#[test]
fn a_right_password_is_not_shown() {
    alone("hide_password", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "hider");
        user.grant_all_needed();
        let alter = user.alter("t").postpone_cut_over(Postpone::until_released());
        assert!(!format!("{alter:?} {alter:#?}").contains(PASSWORD));
        let plan = alter.plan().unwrap();
        assert!(!format!("{plan} {plan:?} {plan:#?}").contains(PASSWORD), "{plan:?}");
        let handle = plan.start().unwrap();
        assert!(!format!("{handle:?} {:?}", handle.progress()).contains(PASSWORD), "{handle:?}");
        handle.abort();
        let error = handle.join().unwrap_err();
        assert!(!all_text(&error).contains(PASSWORD), "{error:?}");
    });
}

#[test]
fn a_malformed_url_is_not_shown() {
    for url in [
        "mysql://root:hush-hush@127.0.0.1:port/db",
        "postgres://root:hush-hush@127.0.0.1/db",
        "root:hush-hush@127.0.0.1/db",
        "mysql://root:hush-hush@127.0.0.1/db?colour=hush-hush",
        "mysql://root:hush-hush@127.0.0.1/db?tcp_connect_timeout_ms=hush-hush",
        "mysql://root:hush-hush@[::1/db",
    ] {
        let alter = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT");
        assert!(!format!("{alter:?}").contains("hush-hush"), "{alter:?}");
        let error = alter.plan().unwrap_err();
        is(&error, ErrorKind::Config, &["URL"]);
        assert_eq!(error.phase(), Phase::Plan);
        assert!(!all_text(&error).contains("hush-hush"), "{url}: {error:?}");
    }
}

// Servers

#[test]
fn nobody_listens() {
    // A port that was free a moment ago: nobody listens on it.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let url = format!("mysql://root:hush-hush@127.0.0.1:{port}/db");
    let error = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT").plan().unwrap_err();
    is(&error, ErrorKind::Connection, &[&format!("127.0.0.1:{port}")]);
    assert_eq!(error.phase(), Phase::Plan);
    assert_eq!(error.table_state(), TableState::Untouched);
    assert!(!all_text(&error).contains("hush-hush"), "{error:?}");
}

#[test]
fn no_binlog() {
    for flavor in FLAVORS {
        let started = Server::builder(flavor).option("--skip-log-bin").start();
        let Some(server) = available(started) else {
            continue;
        };
        let db = database(&server, "refuse_no_binlog");
        plain_table(&db);
        let error = refused(&server, &db, alter(&db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::BinlogSettings, &["log_bin=OFF"]);
        let error =
            refused(&server, &db, alter(&db, "t", "ADD COLUMN c INT").switch_to_row_format(true));
        is(&error, ErrorKind::BinlogSettings, &["log_bin=OFF"]);
    }
}

#[test]
fn another_binlog_format() {
    alone("refuse_format", |server, db| {
        let mut conn = plain_table(db);
        let _row = Restore(server, "SET GLOBAL binlog_format = 'ROW'");
        let user = User::new(server, db, "no_admin");
        user.grant_all_needed();
        for format in ["STATEMENT", "MIXED"] {
            sql(&mut conn, &[&format!("SET GLOBAL binlog_format = '{format}'")]);
            let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
            is(&error, ErrorKind::BinlogSettings, &[format, "switch_to_row_format"]);
            let error = refused(server, db, user.alter("t").switch_to_row_format(true));
            is(&error, ErrorKind::BinlogSettings, &[format, "privilege"]);
        }
    });
}

#[test]
fn the_binlog_format_is_switched_when_allowed() {
    alone("accept_format", |server, db| {
        plain_table(db);
        let _row = Restore(server, "SET GLOBAL binlog_format = 'ROW'");
        let user = User::new(server, db, "format_admin");
        user.grant_all_needed();
        let admin =
            if server.flavor().is_mariadb() { "BINLOG ADMIN" } else { "SYSTEM_VARIABLES_ADMIN" };
        sql(
            &mut server.conn(),
            &[
                &format!("GRANT {admin} ON *.* TO format_admin"),
                "SET GLOBAL binlog_format = 'STATEMENT'",
            ],
        );
        let format = || -> String {
            server.conn().query_first("SELECT @@GLOBAL.binlog_format").unwrap().unwrap()
        };
        if server.flavor().is_mariadb() {
            // Replicas may depend on the format, and are seen only with this.
            let error = refused(server, db, user.alter("t").switch_to_row_format(true));
            is(&error, ErrorKind::Privileges, &["REPLICATION MASTER ADMIN", "replicas"]);
            let sql = "GRANT REPLICATION MASTER ADMIN ON *.* TO format_admin";
            server.conn().query_drop(sql).unwrap();
        }
        let before = Facts::read(server, db);
        let plan = user.alter("t").switch_to_row_format(true).plan().unwrap();
        let [Warning::HiddenForeignKeys, Warning::SwitchesFormat { from, .. }] = plan.warnings()
        else {
            panic!("{:?}", plan.warnings());
        };
        assert_eq!(from, "STATEMENT");
        assert_eq!(format(), "STATEMENT");
        assert_eq!(Facts::read(server, db), before);
        plan.run().unwrap();
        assert_eq!(format(), "ROW");
        assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
    });
}

#[test]
fn a_read_only_server() {
    alone("refuse_read_only", |server, db| {
        let mut conn = plain_table(db);
        let _writable = Restore(server, "SET GLOBAL read_only = 0");
        sql(&mut conn, &["SET GLOBAL read_only = 1"]);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::UnsupportedServer, &["read-only"]);
    });
}

// Leftovers

#[test]
fn tables_of_others_are_never_dropped() {
    alone("refuse_foreign", |server, db| {
        let mut conn = plain_table(db);
        for name in ["_t_gho", "_t_ghc"] {
            sql(&mut conn, &[&format!("CREATE TABLE {name} (id INT PRIMARY KEY) ENGINE=InnoDB")]);
            for replace in [false, true] {
                let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(replace);
                let error = refused(server, db, alter.replace_old_table(true));
                is(&error, ErrorKind::LeftoversPresent, &[name, "not touched"]);
            }
            sql(&mut conn, &[&format!("DROP TABLE {name}")]);
        }
        // Nor is a view.
        sql(&mut conn, &["CREATE VIEW _t_gho AS SELECT * FROM t"]);
        let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true);
        is(&refused(server, db, alter), ErrorKind::LeftoversPresent, &["_t_gho"]);
    });
}

/// A ghost of others beside a state table of ours.
#[test]
fn a_state_table_does_not_make_every_ghost_ours() {
    alone("refuse_beside", |server, db| {
        let mut conn = plain_table(db);
        leave(db);
        sql(&mut conn, &["DELETE FROM _t_ghc WHERE id = 2"]);
        let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true);
        let error = refused(server, db, alter);
        is(&error, ErrorKind::LeftoversPresent, &["_t_gho", "not touched"]);
    });
}

/// A run of ours that leaves its tables.
fn leave(db: &Database) {
    let alter = alter(db, "t", "ADD COLUMN old_try INT")
        .keep_on_failure(true)
        .postpone_cut_over(Postpone::until_released());
    let handle = alter.start().unwrap();
    until("it is postponed", || handle.progress().phase == Phase::Postponed);
    handle.abort();
    let error = handle.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
    let name = |table: &str| Leftover::Table(format!("`{}`.`{table}`", db.name()));
    assert_eq!(error.leftovers(), [name("_t_gho"), name("_t_ghc")], "{error}");
    assert_eq!(tables(&mut db.conn()), ["_t_ghc", "_t_gho", "t"]);
}

#[test]
fn tables_of_an_earlier_run_are_replaced_when_told() {
    alone("replace_leftovers", |server, db| {
        let mut conn = plain_table(db);
        leave(db);
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        is(&error, ErrorKind::LeftoversPresent, &["_t_gho", "replace_ghost_table"]);
        let before = Facts::read(server, db);
        let plan = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true).plan().unwrap();
        assert_eq!(Facts::read(server, db), before);
        let drops: Vec<String> = plan.statements().into_iter().take(2).collect();
        assert_eq!(
            drops,
            ["DROP TABLE `replace_leftovers`.`_t_gho`", "DROP TABLE `replace_leftovers`.`_t_ghc`"]
        );
        plan.run().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
        let columns: Vec<Row> = conn.query("SHOW COLUMNS FROM t LIKE 'old_try'").unwrap();
        assert_eq!(columns.len(), 0);
        let sum: Option<u32> = conn.query_first("SELECT SUM(v) FROM t WHERE c IS NULL").unwrap();
        assert_eq!(sum, Some(6));
    });
}

#[test]
fn an_old_table_is_replaced_when_told() {
    alone("replace_old", |server, db| {
        let mut conn = plain_table(db);
        sql(&mut conn, &["CREATE TABLE _t_del (precious INT PRIMARY KEY) ENGINE=InnoDB"]);
        for replace_ghost in [false, true] {
            let alter = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(replace_ghost);
            let error = refused(server, db, alter);
            is(&error, ErrorKind::LeftoversPresent, &["_t_del", "replace_old_table"]);
        }
        alter(db, "t", "ADD COLUMN c INT").replace_old_table(true).run().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
        let sum: Option<u32> = conn.query_first("SELECT SUM(v) FROM _t_del").unwrap();
        assert_eq!(sum, Some(6));
    });
}

/// What appears between the plan and the run is not dropped either.
#[test]
fn tables_of_others_that_appear_after_the_plan_are_not_dropped() {
    alone("refuse_late", |server, db| {
        let mut conn = plain_table(db);
        for name in ["_t_gho", "_t_ghc", "_t_del"] {
            let plan = alter(db, "t", "ADD COLUMN c INT").replace_ghost_table(true).plan().unwrap();
            sql(&mut conn, &[&format!("CREATE TABLE {name} (id INT PRIMARY KEY) ENGINE=InnoDB")]);
            let before = Facts::read(server, db);
            let error = plan.run().unwrap_err();
            is(&error, ErrorKind::LeftoversPresent, &[name]);
            assert_eq!(Facts::read(server, db), before);
            sql(&mut conn, &[&format!("DROP TABLE {name}")]);
        }
    });
}

#[test]
fn a_table_that_was_altered_after_the_plan() {
    alone("refuse_altered", |server, db| {
        let mut conn = plain_table(db);
        let plan = alter(db, "t", "ADD COLUMN c INT").plan().unwrap();
        sql(&mut conn, &["ALTER TABLE t ADD COLUMN mine INT"]);
        let before = Facts::read(server, db);
        let error = plan.run().unwrap_err();
        is(&error, ErrorKind::TableChanged, &["since the plan"]);
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(Facts::read(server, db), before);
    });
}

#[test]
fn another_run_is_under_way() {
    alone("refuse_second", |server, db| {
        let mut conn = plain_table(db);
        // Its heartbeats would move the end of the binlog.
        let handle = alter(db, "t", "ADD COLUMN c INT")
            .heartbeat_interval(Duration::from_secs(3600))
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let second = alter(db, "t", "ADD COLUMN d INT").replace_ghost_table(true);
        is(&refused(server, db, second), ErrorKind::AlreadyRunning, &["`refuse_second`.`t`"]);
        handle.cut_over();
        handle.join().unwrap();
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
}
