//! Servers that somebody else runs: their administrators, with the privileges that the documentation of each lists,
//! and as much of their settings as a server of our own can be given. The clouds themselves were not tried.

use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{
    Error, ErrorKind, KillBlockers, OnlineAlter, Plan, Platform, PreflightOutcome, TableState,
};
use online_alter_support::{Database, Flavor, Server, available};

use crate::harness::{owned_table, runs_under_writers, tables};

const PASSWORD: &str = "pa55-w0rd";

/// Of the administrators of RDS for MariaDB and of Azure, and what those of the others have besides other things.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html>
/// <https://learn.microsoft.com/en-us/azure/mysql/flexible-server/security-how-to-create-users>
const STATIC: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, \
    ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION CLIENT, CREATE VIEW, SHOW \
    VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, REPLICATION SLAVE";

/// What they have as MySQL 8 and later has it (SET_USER_ID is SET_ANY_DEFINER now).
const DYNAMIC: &str = "CREATE ROLE, DROP ROLE, APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, SET_ANY_DEFINER, XA_RECOVER_ADMIN";

/// An administrator: by a role, or by himself.
struct Admin {
    platform: Platform,
    flavor: Flavor,
    role: Option<&'static str>,
    privileges: &'static [&'static str],
}

const ADMINS: [Admin; 5] = [
    Admin {
        platform: Platform::AmazonRds,
        flavor: Flavor::Mysql,
        role: Some("rds_superuser_role"),
        privileges: &[STATIC, DYNAMIC],
    },
    Admin {
        platform: Platform::AmazonRds,
        flavor: Flavor::MariaDb,
        role: None,
        privileges: &[STATIC],
    },
    Admin {
        platform: Platform::Aurora,
        flavor: Flavor::Mysql,
        role: Some("rds_superuser_role"),
        privileges: &[STATIC, DYNAMIC],
    },
    Admin {
        platform: Platform::CloudSql,
        flavor: Flavor::Mysql,
        role: Some("cloudsqlsuperuser"),
        privileges: &[STATIC, DYNAMIC],
    },
    Admin { platform: Platform::Azure, flavor: Flavor::Mysql, role: None, privileges: &[STATIC] },
];

fn sql(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

impl Admin {
    fn create(&self, server: &Server) {
        let mut conn = server.conn();
        sql(&mut conn, &[&format!("CREATE USER admin IDENTIFIED BY '{PASSWORD}'")]);
        let whom = self.role.unwrap_or("admin");
        if let Some(role) = self.role {
            let grant = format!("GRANT {role} TO admin");
            let default = format!("SET DEFAULT ROLE {role} TO admin");
            sql(&mut conn, &[&format!("CREATE ROLE {role}"), &grant, &default]);
        }
        for privileges in self.privileges {
            sql(&mut conn, &[&format!("GRANT {privileges} ON *.* TO {whom} WITH GRANT OPTION")]);
        }
    }
}

fn url(server: &Server, db: &Database) -> String {
    format!("mysql://admin:{PASSWORD}@127.0.0.1:{}/{}", server.port(), db.name())
}

fn alter(server: &Server, db: &Database, platform: Platform) -> OnlineAlter {
    OnlineAlter::new(url(server, db), "t")
        .alter("MODIFY owner VARCHAR(30) NOT NULL DEFAULT '1'")
        .heartbeat_interval(Duration::from_millis(50))
        .platform(platform)
}

#[track_caller]
fn outcome(plan: &Plan, code: &str) -> PreflightOutcome {
    let found = plan.preflight_items().iter().find(|item| item.code == code);
    found.unwrap_or_else(|| panic!("{code} is not in {plan}")).outcome
}

#[track_caller]
fn refused(db: &Database, alter: OnlineAlter, kind: ErrorKind, words: &[&str]) -> Error {
    let before = tables(&mut db.conn());
    let error = alter.plan().map(|plan| panic!("this is not refused: {plan}")).unwrap_err();
    assert_eq!((error.kind(), error.table_state()), (kind, TableState::Untouched), "{error}");
    assert!(words.iter().all(|word| error.message().contains(word)), "{words:?}: {error}");
    assert_eq!(tables(&mut db.conn()), before);
    error
}

#[test]
fn administrators_run_to_the_end() {
    for admin in &ADMINS {
        let Some(server) = available(Server::start(admin.flavor)) else { continue };
        admin.create(&server);
        let db = owned_table(&server, "platform_run");
        let plan = alter(&server, &db, admin.platform).plan().unwrap();
        assert_eq!(plan.platform(), admin.platform);
        let text = plan.to_string();
        assert!(text.contains(&format!("platform: {}", admin.platform)), "{text}");
        for item in plan.preflight_items() {
            assert!(text.contains(&item.to_string()), "{text}");
            assert_eq!(item.advice.is_empty(), item.outcome == PreflightOutcome::Passed, "{item}");
            assert_ne!(item.outcome, PreflightOutcome::Refused, "{item}");
        }
        runs_under_writers(&db, || plan.run());
    }
}

/// RDS keeps it in a table of its own, which is made here as RDS has it.
#[test]
fn binlogs_that_rds_removes() {
    for admin in ADMINS.iter().filter(|admin| admin.platform == Platform::AmazonRds) {
        let Some(server) = available(Server::start(admin.flavor)) else { continue };
        admin.create(&server);
        let db = owned_table(&server, "platform_retention");
        let found = || {
            let plan = alter(&server, &db, Platform::AmazonRds).plan().unwrap();
            outcome(&plan, "binlog-retention")
        };
        assert_eq!(found(), PreflightOutcome::ByHand);
        let mut conn = server.conn();
        sql(
            &mut conn,
            &[
                "CREATE TABLE mysql.rds_configuration (name VARCHAR(100) NOT NULL, value VARCHAR(100), \
                 description VARCHAR(300))",
                "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL, '')",
            ],
        );
        assert_eq!(found(), PreflightOutcome::Warning);
        sql(&mut conn, &["UPDATE mysql.rds_configuration SET value = '6'"]);
        assert_eq!(found(), PreflightOutcome::Warning);
        sql(&mut conn, &["UPDATE mysql.rds_configuration SET value = '24'"]);
        assert_eq!(found(), PreflightOutcome::Passed);
        // The item says so itself, and advises the call.
        sql(&mut conn, &["UPDATE mysql.rds_configuration SET value = NULL"]);
        let plan = alter(&server, &db, Platform::AmazonRds).plan().unwrap();
        let call = "CALL mysql.rds_set_configuration('binlog retention hours', 24)";
        assert!(plan.to_string().contains(call), "{plan}");
    }
}

#[test]
fn servers_that_write_no_rows() {
    for admin in &ADMINS[..2] {
        for (option, code, words) in [
            ("--skip-log-bin", "binlog", "--backup-retention-period 1"),
            ("--binlog-format=MIXED", "binlog-format", "in the DB parameter group"),
        ] {
            let builder = Server::builder(admin.flavor).option(option);
            let Some(server) = available(builder.start()) else { continue };
            admin.create(&server);
            let db = owned_table(&server, "platform_binlog");
            let words = ["Amazon RDS", &format!("{code}: refused"), words];
            let alter = || alter(&server, &db, Platform::AmazonRds);
            refused(&db, alter(), ErrorKind::BinlogSettings, &words);
            let error =
                refused(&db, alter().switch_to_row_format(true), ErrorKind::BinlogSettings, &words);
            let says = error.message().contains("switch_to_row_format cannot change it");
            assert_eq!(says, code == "binlog-format", "{error}");
        }
    }
}

#[test]
fn triggers_take_a_setting_where_nobody_has_super() {
    for admin in &ADMINS[..2] {
        let Some(server) = available(Server::start(admin.flavor)) else { continue };
        admin.create(&server);
        let db = owned_table(&server, "platform_triggers");
        let trust = |on: &str| format!("SET GLOBAL log_bin_trust_function_creators = {on}");
        sql(
            &mut db.conn(),
            &[
                &trust("ON"),
                "CREATE DEFINER = admin TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW SET NEW.pad = NEW.pad",
                &trust("OFF"),
            ],
        );
        let alter = || alter(&server, &db, Platform::AmazonRds).include_triggers(true);
        let words = [
            "trigger-creators: refused",
            "log_bin_trust_function_creators=1 in the parameter group",
        ];
        refused(&db, alter(), ErrorKind::Triggers, &words);
        sql(&mut db.conn(), &[&trust("ON")]);
        let plan = alter().plan().unwrap();
        assert_eq!(outcome(&plan, "trigger-creators"), PreflightOutcome::Passed);
        runs_under_writers(&db, || plan.run());
    }
}

/// Such are Azure's defaults and Cloud SQL's flags: a server that requires primary keys, and one that makes them.
#[test]
fn primary_keys_that_are_required_or_made() {
    let azure = &ADMINS[4];
    let builder = Server::builder(Flavor::Mysql)
        .option("--sql-require-primary-key=ON")
        .option("--sql-generate-invisible-primary-key=ON");
    let Some(server) = available(builder.start()) else { return };
    azure.create(&server);
    let db = owned_table(&server, "platform_keys");
    let mut conn = db.conn();
    runs_under_writers(&db, || alter(&server, &db, Platform::Azure).run());
    // One that was made: a column like any other.
    sql(&mut conn, &["DROP TABLE t, _t_del", "CREATE TABLE t (v INT, owner INT NOT NULL)"]);
    sql(&mut conn, &["INSERT INTO t (v, owner) VALUES (1, 1), (2, 2)"]);
    alter(&server, &db, Platform::Azure).run().unwrap_or_else(|error| panic!("{error}"));
    let row: Option<mysql::Row> = conn.query_first("SHOW CREATE TABLE t").unwrap();
    let text: String = row.unwrap().get(1).unwrap();
    assert!(
        text.contains("`my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */")
    );
    // One that has none is from earlier days.
    sql(
        &mut conn,
        &[
            "SET SESSION sql_require_primary_key = OFF, sql_generate_invisible_primary_key = OFF",
            "DROP TABLE t, _t_del",
            "CREATE TABLE t (v INT NOT NULL UNIQUE, owner INT NOT NULL)",
        ],
    );
    for platform in [Platform::Azure, Platform::Own] {
        let alter = alter(&server, &db, platform);
        let words = ["primary-key: refused", "sql_require_primary_key=ON"];
        refused(&db, alter, ErrorKind::UnsupportedServer, &words);
    }
}

#[test]
fn blockers_that_cannot_be_found() {
    let builder = Server::builder(Flavor::Mysql).option("--performance-schema=OFF");
    let Some(server) = available(builder.start()) else { return };
    ADMINS[0].create(&server);
    sql(&mut server.conn(), &["GRANT CONNECTION_ADMIN ON *.* TO admin"]);
    let db = owned_table(&server, "platform_blockers");
    for platform in [Platform::AmazonRds, Platform::Own] {
        let alter = alter(&server, &db, platform).kill_blockers(KillBlockers::default());
        refused(
            &db,
            alter,
            ErrorKind::Config,
            &["kill-blockers: refused", "performance_schema=OFF"],
        );
    }
}

/// A read replica of RDS, whose binlog is read: its items are told apart.
#[test]
fn a_replica_has_items_of_its_own() {
    let Some(primary) = available(Server::start(Flavor::Mysql)) else { return };
    ADMINS[0].create(&primary);
    let filter = "--replicate-ignore-table=mysql.rds_configuration";
    let builder = Server::builder(Flavor::Mysql).replica_of(&primary).option(filter);
    let Some(replica) = available(builder.start()) else { return };
    let db = owned_table(&primary, "platform_stream");
    primary.wait_for_replica(&replica).unwrap();
    let plan =
        alter(&primary, &db, Platform::AmazonRds).stream_from(url(&replica, &db)).plan().unwrap();
    let codes = |of_replica: bool| -> Vec<&str> {
        let items = plan.preflight_items().iter().filter(|item| item.of_replica == of_replica);
        items.map(|item| item.code).collect()
    };
    let common = ["binlog", "binlog-format", "binlog-retention", "idle-connections"];
    assert_eq!(codes(true), common);
    assert_eq!(codes(false), [common.as_slice(), &["primary-key", "storage"]].concat());
    runs_under_writers(&db, || plan.run());
}
