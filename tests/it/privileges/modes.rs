//! The modes of one server.

use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Compare, ErrorKind, KillBlockers, OnlineAlter, Warning, cleanup};
use online_alter_support::{Database, Flavor, Server, available};

use super::{User, content, owned_table, runs_under_writers, sql};
use crate::harness::{FLAVORS, connection_is_gone, on};

const CLAUSE: &str = "ADD COLUMN c INT";

/// With exactly these lists, and with none less.
fn exactly(
    server: &Server,
    name: &str,
    lists: &[&str],
    prepare: impl Fn(&Database),
    alter: impl Fn(&User<'_>) -> OnlineAlter,
) {
    let db = owned_table(server, name);
    prepare(&db);
    let user = User::with(server, db.name(), name, lists);
    user.needs_all(&db, || alter(&user));
    runs_under_writers(&db, alter(&user));
}

#[test]
fn a_run() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb, Flavor::MariaDb11] {
        on(flavor, "priv_plain", |server, _| {
            exactly(server, "priv_plain", &["plain"], |_| (), |user| user.alter(CLAUSE));
            exactly(server, "priv_tables", &["tables"], |_| (), |user| user.alter(CLAUSE));
        });
    }
}

/// What the page says needs nothing besides.
#[test]
fn options_that_need_nothing_besides() {
    for flavor in FLAVORS {
        on(flavor, "priv_options", |server, _| {
            let db = owned_table(server, "priv_options");
            let user = User::with(server, db.name(), "priv_options", &["plain"]);
            user.alter(CLAUSE).plan().unwrap().rehearse().unwrap();
            let max_load = "Threads_running=1000".parse().unwrap();
            let alter = user
                .alter("ADD COLUMN d INT, ADD KEY (v)")
                .exact_row_count(true)
                .limits(|limits| limits.max_load = max_load)
                .old_table(online_alter::OldTable::Drop);
            alter.run().unwrap_or_else(|error| panic!("{error}"));
            let report = user.alter(CLAUSE).attempt_instant(true).run().unwrap();
            assert!(report.native.is_some());
            let report = user.alter("DROP COLUMN d").native_below_rows(100).run().unwrap();
            assert!(report.native.is_some());
            assert_eq!(crate::harness::tables(&mut db.conn()), ["t"]);
        });
    }
}

#[test]
fn foreign_keys_that_cannot_be_seen() {
    for flavor in FLAVORS {
        on(flavor, "priv_hidden", |server, _| {
            let db = owned_table(server, "priv_hidden");
            let warns = |lists: &[&str]| {
                let user = User::with(server, db.name(), "priv_hidden", lists);
                let plan = user.alter(CLAUSE).plan().unwrap();
                plan.warnings().contains(&Warning::HiddenForeignKeys)
            };
            assert!(warns(&["plain"]));
            assert!(!warns(&["plain", "hidden-keys"]));
        });
    }
}

#[test]
fn conversions() {
    for flavor in FLAVORS {
        on(flavor, "priv_conversions", |server, _| {
            let lists = ["plain", "conversions"];
            let alter =
                |user: &User<'_>| user.alter("MODIFY owner VARCHAR(30) NOT NULL DEFAULT '1'");
            exactly(server, "priv_conversions", &lists, |_| (), alter);
        });
    }
}

#[test]
fn foreign_keys() {
    for flavor in FLAVORS {
        on(flavor, "priv_keys", |server, _| {
            let refer = |db: &Database| {
                let parents = format!("{}_parents", db.name());
                sql(
                    &mut db.conn(),
                    &[
                        &format!("DROP DATABASE IF EXISTS {parents}"),
                        &format!("CREATE DATABASE {parents}"),
                        &format!("CREATE TABLE {parents}.p (id INT PRIMARY KEY) ENGINE=InnoDB"),
                        &format!("INSERT INTO {parents}.p VALUES (1)"),
                        &format!(
                            "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (owner) REFERENCES {parents}.p (id)"
                        ),
                    ],
                );
            };
            let lists = ["plain", "foreign-keys"];
            let keep = |user: &User<'_>| user.alter(CLAUSE).keep_foreign_keys(true);
            exactly(server, "priv_keys", &lists, refer, keep);
            // Without the one that the new table's foreign key needs.
            let db = owned_table(server, "priv_no_keys");
            refer(&db);
            let mut user = User::with(server, db.name(), "priv_no_keys", &lists);
            user.admin("REVOKE REFERENCES ON `priv\\_no\\_keys\\_parents`.* FROM priv_no_keys");
            user.given.retain(|given| given.privilege != "REFERENCES");
            let discard = || user.alter(CLAUSE).discard_foreign_keys(true);
            user.needs_all(&db, discard);
            runs_under_writers(&db, discard());
            for schema in ["priv_keys", "priv_no_keys"] {
                sql(
                    &mut server.conn(),
                    &[
                        &format!("DROP DATABASE {schema}"),
                        &format!("DROP DATABASE {schema}_parents"),
                    ],
                );
            }
        });
    }
}

#[test]
fn triggers() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb, Flavor::MariaDb11] {
        let Some(server) = available(Server::start(flavor)) else { continue };
        let by = |definer: &'static str| {
            move |db: &Database| {
                let user = format!("CREATE USER IF NOT EXISTS {definer}");
                let grant = format!("GRANT ALL ON {}.* TO {definer}", db.name());
                let trigger = format!(
                    "CREATE DEFINER = {definer} TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW SET NEW.owner = 1"
                );
                sql(&mut db.conn(), &[&user, &grant, &trigger]);
            }
        };
        let alter = |user: &User<'_>| user.alter(CLAUSE).include_triggers(true);
        let trusts = |on: u8| {
            let set = format!("SET GLOBAL log_bin_trust_function_creators = {on}");
            sql(&mut server.conn(), &[&set]);
        };
        trusts(1);
        exactly(&server, "priv_own", &["plain"], by("priv_own"), |user| {
            // The user has been made anew.
            user.admin("GRANT USAGE ON *.* TO priv_own");
            alter(user)
        });
        exactly(&server, "priv_app", &["plain", "triggers"], by("app"), alter);
        trusts(0);
        let lists = ["plain", "triggers-distrusted"];
        // On MariaDB before 11.0 SUPER includes some of the first list.
        let db = owned_table(&server, "priv_super");
        by("priv_super")(&db);
        let user = User::with(&server, db.name(), "priv_super", &lists);
        let super_alone = user.given.iter().find(|given| given.privilege == "SUPER").unwrap();
        user.needs(&db, super_alone, || alter(&user));
        runs_under_writers(&db, alter(&user));
        if flavor != Flavor::Mysql {
            continue;
        }
        // What nobody but an administrator can see beforehand.
        trusts(1);
        let db = owned_table(&server, "priv_root");
        by("root@localhost")(&db);
        let user = User::with(&server, db.name(), "priv_root", &["plain", "triggers"]);
        let error = alter(&user).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Privileges, "{error}");
        assert!(error.message().contains("SYSTEM_USER"), "{error}");
        assert_eq!(crate::harness::tables(&mut db.conn()), ["t"]);
        user.admin("GRANT SYSTEM_USER ON *.* TO priv_root");
        runs_under_writers(&db, alter(&user));
    }
}

#[test]
fn blockers_are_ended() {
    on(Flavor::Mysql, "priv_kill", |server, _| {
        let which =
            KillBlockers { after_attempts: 1, older_than: Duration::from_secs(1), at_most: 1 };
        let reader = |db: &Database| {
            let grant = format!("GRANT SELECT ON {}.* TO priv_reader", db.name());
            sql(
                &mut db.conn(),
                &["DROP USER IF EXISTS priv_reader", "CREATE USER priv_reader", &grant],
            );
        };
        let blocked = std::cell::RefCell::new(None::<Conn>);
        let alter = |user: &User<'_>| {
            let url = format!("mysql://priv_reader@127.0.0.1:{}/priv_kill", server.port());
            let mut reader = Conn::new(url.as_str()).unwrap();
            sql(&mut reader, &["START TRANSACTION", "SELECT * FROM t"]);
            blocked.replace(Some(reader));
            user.alter(CLAUSE).kill_blockers(which).cut_over_lock_timeout(Duration::from_secs(1))
        };
        exactly(server, "priv_kill", &["plain", "kill"], reader, alter);
        let id = blocked.borrow().as_ref().unwrap().connection_id();
        assert!(connection_is_gone(&mut server.conn(), id));
    });
}

#[test]
fn the_format_is_switched() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb, Flavor::MariaDb11] {
        let builder = Server::builder(flavor).option("--binlog-format=STATEMENT");
        let Some(server) = available(builder.start()) else { continue };
        let db = owned_table(&server, "priv_switch");
        let user = User::with(&server, db.name(), "priv_switch", &["plain", "switch"]);
        let alter = || user.alter(CLAUSE).switch_to_row_format(true);
        user.needs_all(&db, alter);
        // Nobody writes: sessions that are open keep their format.
        alter().run().unwrap_or_else(|error| panic!("{error}"));
        let format: Option<String> =
            db.conn().query_first("SELECT @@GLOBAL.binlog_format").unwrap();
        assert_eq!(format.as_deref(), Some("ROW"));
    }
}

#[test]
fn a_resource_group() {
    on(Flavor::Mysql, "priv_group", |server, _| {
        let alter = |user: &User<'_>| user.alter(CLAUSE).resource_group("USR_default");
        exactly(server, "priv_group", &["plain", "resource-group"], |_| (), alter);
    });
}

#[test]
fn two_tables_compared() {
    for flavor in FLAVORS {
        on(flavor, "priv_compare", |server, _| {
            let db = owned_table(server, "priv_compare");
            sql(&mut db.conn(), &["CREATE TABLE u LIKE t", "INSERT INTO u SELECT * FROM t"]);
            let user = User::with(server, db.name(), "priv_compare", &["compare"]);
            assert!(Compare::new(user.url(), "t", "u").run().unwrap().is_equal());
            user.admin("REVOKE SELECT ON `priv\\_compare`.* FROM priv_compare");
            user.admin("GRANT UPDATE ON `priv\\_compare`.* TO priv_compare");
            let error = Compare::new(user.url(), "t", "u").run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Privileges, "{error}");
            let grant = "GRANT SELECT ON `priv\\_compare`.* TO `priv_compare`@`%`";
            assert!(error.message().contains(grant), "{error}");
        });
    }
}

/// What a run has left, by a user who may not run one.
#[test]
fn cleaning_up() {
    for flavor in FLAVORS {
        on(flavor, "priv_cleanup", |server, _| {
            let db = owned_table(server, "priv_cleanup");
            let refused = crate::harness::alter(&db, "t", "ADD INDEX i (nope)");
            refused.keep_on_failure(true).run().unwrap_err();
            let user = User::with(server, db.name(), "priv_cleanup", &["cleanup"]);
            for (privilege, of_table) in [("DROP", false), ("SELECT", false), ("DROP", true)] {
                user.admin(&format!("REVOKE {privilege} ON `priv\\_cleanup`.* FROM priv_cleanup"));
                // Without any he may not even come in.
                user.admin("GRANT UPDATE ON `priv\\_cleanup`.* TO priv_cleanup");
                let cleanup = cleanup(user.url());
                let cleanup = if of_table { cleanup.table("t") } else { cleanup };
                let error = cleanup.remove().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Privileges, "{error}");
                let grant =
                    format!("GRANT {privilege} ON `priv\\_cleanup`.* TO `priv_cleanup`@`%`");
                assert!(error.message().contains(&grant), "{error}");
                assert_eq!(cleanup.list().is_ok(), privilege == "DROP");
                user.admin(&grant);
            }
            assert_eq!(cleanup(user.url()).remove().unwrap().removed.len(), 2);
            assert_eq!(content(&db).0, ["t"]);
        });
    }
}

#[test]
fn the_history_list() {
    on(Flavor::Mysql, "priv_history", |server, _| {
        let alter = |user: &User<'_>| {
            user.alter(CLAUSE).limits(|limits| limits.max_history = Some(1_000_000))
        };
        exactly(server, "priv_history", &["plain", "history"], |_| (), alter);
    });
}
