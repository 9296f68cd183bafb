//! What sessions are like, however they come about.

use std::collections::HashMap;

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use online_alter::{ChunkSize, Endpoint, ErrorKind, OnMismatch, OnlineAlter, Phase, Postpone};
use online_alter_support::{
    Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::harness::{FLAVORS, alter_at, on_each, tables, wait_until};

fn exec(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[test]
fn through_a_socket() {
    on_each("socket", |server, db| {
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 1_000).unwrap();
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(300.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        wait_until("they write", || writers.statements() > 50);
        // Nobody listens on that port.
        let socket = server.socket().to_str().unwrap();
        let url = format!("mysql://root:secret@localhost:1/{}?socket={socket}", db.name());
        let endpoint = Endpoint::from(url);
        assert_eq!(endpoint.address(), socket);
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        let endpoint = endpoint.tls(&online_alter::Tls::new());
        let bigint = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";
        let alter = alter_at(endpoint, csm::TABLE, bigint).chunk_size(ChunkSize::Rows(100));
        let report = alter.run().unwrap_or_else(|error| panic!("{error}"));
        let goal = writers.statements() + 50;
        wait_until("they go on", || writers.statements() > goal);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
        assert!(report.keys_changed > 0 && report.reconciled_keys.is_empty(), "{report:?}");
    });
}

/// MySQL does not say that it does not know somebody, but asks in whatever way.
#[test]
fn users_that_are_not_known() {
    on_each("unknown_user", |server, db| {
        for number in 0..8 {
            let url =
                format!("mysql://nobody{number}:secret@127.0.0.1:{}/{}", server.port(), db.name());
            let error = alter_at(url, "t", "ADD c INT").plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    });
}

/// Whose connections they are, and what for, can be seen on the server.
#[test]
fn what_a_server_shows_of_them() {
    for flavor in FLAVORS {
        let builder = Server::builder(flavor).option("--performance-schema=ON");
        let Some(server) = available(builder.start()) else { continue };
        let db = database(&server, "attributes");
        let mut conn = db.conn();
        exec(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY)");
        let mut shown = |endpoint: Endpoint| -> HashMap<String, Vec<String>> {
            let alter = alter_at(endpoint, "t", "ADD c INT");
            let handle = alter.postpone_cut_over(Postpone::until_released()).start().unwrap();
            wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
            let sql = "SELECT ATTR_NAME, GROUP_CONCAT(DISTINCT ATTR_VALUE), COUNT(DISTINCT PROCESSLIST_ID) \
                       FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID <> \
                       CONNECTION_ID() GROUP BY ATTR_NAME";
            let rows: Vec<(String, String, u64)> = conn.query(sql).unwrap();
            handle.abort();
            handle.join().unwrap_err();
            let of = |(name, value, count): (String, String, u64)| {
                (name, vec![value, (count > 4).to_string()])
            };
            rows.into_iter().map(of).collect()
        };
        let all = |value: &str| Some(vec![value.to_owned(), "true".to_owned()]);
        let attributes = shown(db.url().into());
        assert_eq!(attributes.get("program_name").cloned(), all("online-alter"));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(attributes.get("program_version").cloned(), all(version));
        assert_eq!(attributes.get("table").cloned(), all("attributes.t"));

        let own =
            [("program_name", "ours"), ("job", "7")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let opts = OptsBuilder::from_opts(Opts::from_url(db.url()).unwrap());
        let attributes = shown(opts.connect_attrs(Some(HashMap::from(own))).into());
        assert_eq!(attributes.get("program_name").cloned(), all("ours"));
        assert_eq!(attributes.get("job").cloned(), all("7"));
        assert_eq!(attributes.get("table").cloned(), all("attributes.t"));
    }
}

/// What a DBA could put there, for users who may not do everything.
fn hostile(flavor: Flavor) -> String {
    let of_flavor = if flavor.is_mariadb() {
        "sql_mode = 'ORACLE,EMPTY_STRING_IS_NULL', max_statement_time = 0.5, check_constraint_checks = 0"
    } else {
        "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', max_execution_time = 200, \
         show_gipk_in_create_table_and_information_schema = OFF"
    };
    format!(
        "SET NAMES latin1; SET {of_flavor}, time_zone = '+05:00', autocommit = 0, completion_type = 2, \
         sql_safe_updates = 1, sql_select_limit = 1, max_join_size = 5, sql_big_selects = 0, \
         sql_auto_is_null = 1, foreign_key_checks = 0, unique_checks = 0, sql_quote_show_create = 0, \
         lock_wait_timeout = 1, innodb_lock_wait_timeout = 1, innodb_table_locks = 0, wait_timeout = 2; \
         SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"
    )
}

/// The server's `init_connect` harms nothing: definition and rows are what they are of the server's own ALTER.
#[test]
fn init_connect() {
    const NO_BINLOG: &str = "SET SESSION sql_log_bin = 0; SET SESSION binlog_format = 'STATEMENT'";
    const CLAUSE: &str = r#"MODIFY at DATETIME NOT NULL, MODIFY n INT NOT NULL, ADD c VARCHAR(20) NOT NULL DEFAULT "é\t'", ADD CHECK (n < 1000)"#;
    for flavor in FLAVORS {
        let Some(server) = available(Server::start(flavor)) else { continue };
        let db = database(&server, "init_connect");
        let mut conn = db.conn();
        let admin = if flavor.is_mariadb() { "BINLOG ADMIN" } else { "SESSION_VARIABLES_ADMIN" };
        for (user, more) in [("plain", String::new()), ("trusted", format!(", {admin}"))] {
            exec(&mut conn, &format!("CREATE USER {user} IDENTIFIED BY 'secret'"));
            exec(
                &mut conn,
                &format!(
                    "GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS{more} ON *.* TO {user}"
                ),
            );
            exec(
                &mut conn,
                &format!(
                    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, LOCK TABLES, TRIGGER, CREATE TEMPORARY TABLES ON \
                     init_connect.* TO {user}"
                ),
            );
        }
        exec(&mut conn, "SET time_zone = '+00:00'");
        for (user, init) in
            [("plain", hostile(flavor)), ("trusted", format!("{}; {NO_BINLOG}", hostile(flavor)))]
        {
            exec(&mut conn, "DROP TABLE IF EXISTS t, _t_del, expect");
            for table in ["t", "expect"] {
                exec(
                    &mut conn,
                    &format!(
                        "CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP NOT NULL, \
                         n VARCHAR(9) NOT NULL) CHARSET utf8mb4"
                    ),
                );
                exec(
                    &mut conn,
                    &format!(
                        "INSERT INTO {table} (at, n) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 \
                         FROM n WHERE i < 300) SELECT FROM_UNIXTIME(1700000000 + i), i FROM n"
                    ),
                );
            }
            conn.exec_drop("SET GLOBAL init_connect = ?", (init,)).unwrap();
            let url = format!("mysql://{user}:secret@127.0.0.1:{}/init_connect", server.port());
            let mut theirs = Conn::new(Opts::from_url(&url).unwrap()).unwrap();
            let is: Option<(String, u8)> =
                theirs.query_first("SELECT @@time_zone, @@autocommit").unwrap();
            assert_eq!(is, Some(("+05:00".to_owned(), 0)), "it is done, for this user");
            drop(theirs);

            if !flavor.is_mariadb() {
                // A key that the server made, and hides.
                exec(&mut conn, "SET sql_generate_invisible_primary_key = ON");
                exec(&mut conn, "CREATE TABLE g (n INT)");
                exec(&mut conn, "SET sql_generate_invisible_primary_key = OFF");
                exec(&mut conn, "INSERT INTO g VALUES (1), (2)");
                OnlineAlter::new(url.as_str(), "g")
                    .alter("ADD c INT")
                    .run()
                    .unwrap_or_else(|error| panic!("{user}: {error}"));
                let made: Option<(u64, Option<u8>)> =
                    conn.query_first("SELECT my_row_id, c FROM g WHERE n = 2").unwrap();
                assert_eq!(made, Some((2, None)));
                exec(&mut conn, "DROP TABLE g, _g_del");
            }

            let handle = OnlineAlter::new(url, "t")
                .alter(CLAUSE)
                .on_mismatch(OnMismatch::Stop)
                .chunk_size(ChunkSize::Rows(50))
                .postpone_cut_over(Postpone::until_released())
                .start()
                .unwrap_or_else(|error| panic!("{user}: {error}"));
            wait_until("it is postponed, or has failed", || {
                handle.progress().phase == Phase::Postponed || handle.is_finished()
            });
            for table in ["t", "expect"] {
                exec(&mut conn, &format!("UPDATE {table} SET n = n + 500 WHERE id < 20"));
                exec(&mut conn, &format!("DELETE FROM {table} WHERE id BETWEEN 30 AND 40"));
                exec(
                    &mut conn,
                    &format!("INSERT INTO {table} (at, n) VALUES ('2026-03-29 02:30:00', '7')"),
                );
            }
            handle.cut_over();
            handle.join().unwrap_or_else(|error| panic!("{user}: {error}"));
            // Root is spared the server's init_connect.
            exec(&mut conn, "SET time_zone = @@GLOBAL.time_zone");
            exec(&mut conn, &format!("ALTER TABLE expect {CLAUSE}"));
            exec(&mut conn, "SET time_zone = '+00:00'");
            let mut state = |table: &str| -> (String, Vec<(u64, u64)>) {
                let row: mysql::Row =
                    conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
                let definition: String = row.get(1).unwrap();
                let definition = definition.replace("expect", "t");
                let sums = "COUNT(*), SUM(CRC32(CONCAT_WS('|', id, at, n, c)))";
                (definition, conn.query(format!("SELECT {sums} FROM {table}")).unwrap())
            };
            let (ours, theirs) = (state("t"), state("expect"));
            assert_eq!(ours, theirs, "{user} on {flavor}");
            assert!(ours.0.contains('é') && ours.1[0].0 == 290, "{}", ours.0);
            assert_eq!(tables(&mut conn), ["_t_del", "expect", "t"]);
        }
    }
}
