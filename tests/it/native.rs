//! Runs that leave the ALTER to the server.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{Error, ErrorKind, NativeAlter, OnlineAlter, Report, TableState, Warning};
use online_alter_support::{Database, Flavor, Server};

use crate::harness::{alter, on, on_each, tables, wait_until};
use crate::proxy::{Lose, Proxy};

fn table(db: &Database) -> Conn {
    let mut conn = db.conn();
    conn.query_drop(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, s VARCHAR(40))",
    )
    .unwrap();
    conn.query_drop("INSERT INTO t (v, s) VALUES (1, 'one'), (2, 'two'), (2, NULL)").unwrap();
    conn
}

fn definition(conn: &mut Conn) -> String {
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    row.get(1).unwrap()
}

fn short(alter: OnlineAlter) -> OnlineAlter {
    alter.cut_over_lock_timeout(Duration::from_secs(1))
}

#[test]
fn instantly_where_the_server_can() {
    on_each("native_instant", |_, db| {
        let mut conn = table(db);
        for (clause, native) in [
            ("ADD c INT NOT NULL DEFAULT 7", Some(NativeAlter::Instant)),
            ("ADD d INT -- the last", Some(NativeAlter::Instant)),
            // Were the algorithm behind it, it would not be seen, and the server would copy the table.
            ("MODIFY v BIGINT NOT NULL -- wider", None),
        ] {
            conn.query_drop("DROP TABLE IF EXISTS _t_del").unwrap();
            let report = alter(db, "t", clause).attempt_instant(true).run().unwrap();
            assert_eq!(report.native, native, "{clause}");
            let expected: &[&str] = if native.is_some() { &["t"] } else { &["_t_del", "t"] };
            assert_eq!(tables(&mut conn), expected, "{clause}");
            assert_eq!(report.to_string().contains("by ALGORITHM=INSTANT"), native.is_some());
        }
        let sums: Option<(u64, u64)> = conn.query_first("SELECT SUM(v), SUM(c) FROM t").unwrap();
        assert_eq!(sums, Some((5, 21)));
        // Not unless it is asked for.
        conn.query_drop("DROP TABLE _t_del").unwrap();
        assert_eq!(alter(db, "t", "ADD e INT").run().unwrap().native, None);
    });
}

#[test]
fn foreign_keys_stay_only_if_they_may() {
    on_each("native_keys", |_, db| {
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE p (id INT PRIMARY KEY)").unwrap();
        conn.query_drop(
            "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))",
        )
        .unwrap();
        let kept = alter(db, "t", "ADD c INT").attempt_instant(true).keep_foreign_keys(true);
        let report = kept.run().unwrap();
        assert_eq!(report.native, Some(NativeAlter::Instant));
        assert_eq!(report.foreign_keys, [("fk".to_owned(), "fk".to_owned())]);
        let discarded = alter(db, "t", "ADD d INT").attempt_instant(true).native_below_rows(10);
        let report = discarded.discard_foreign_keys(true).run().unwrap();
        assert_eq!((report.native, report.foreign_keys), (None, Vec::new()));
        assert!(!definition(&mut conn).contains("FOREIGN KEY"));
    });
}

#[test]
fn small_tables_and_no_others() {
    on_each("native_small", |_, db| {
        let mut conn = table(db);
        let report = alter(db, "t", "MODIFY v BIGINT NOT NULL").native_below_rows(4).run().unwrap();
        assert_eq!(report.native, Some(NativeAlter::Small));
        assert_eq!(tables(&mut conn), ["t"]);
        assert!(definition(&mut conn).contains("`v` bigint"));
        let report = alter(db, "t", "MODIFY v INT NOT NULL").native_below_rows(3).run().unwrap();
        assert_eq!((report.native, report.rows_copied), (None, 3));
    });
}

#[test]
fn what_the_server_refuses_is_an_error_with_the_table_untouched() {
    on_each("native_refused", |_, db| {
        let mut conn = table(db);
        let before = definition(&mut conn);
        for (clause, kind) in [
            ("ADD UNIQUE KEY (v)", ErrorKind::DuplicateRows),
            ("MODIFY s VARCHAR(2)", ErrorKind::RowRefused),
        ] {
            let error = alter(db, "t", clause).native_below_rows(100).run().unwrap_err();
            assert_eq!(
                (error.kind(), error.table_state()),
                (kind, TableState::Untouched),
                "{error}"
            );
            assert_eq!(error.leftovers(), []);
        }
        assert_eq!((definition(&mut conn), tables(&mut conn)), (before, vec!["t".to_owned()]));
    });
}

/// Somebody reads the table, in a transaction that goes on: the attempt does not wait for long, and the rows are
/// copied; what it waits for at the cut-over is over then.
#[test]
fn a_lock_that_is_not_to_be_had() {
    on_each("native_locked", |_, db| {
        let mut conn = table(db);
        let mut reader = db.conn();
        reader.query_drop("START TRANSACTION").unwrap();
        reader.query_drop("SELECT * FROM t").unwrap();
        let alter = short(alter(db, "t", "ADD c INT NOT NULL DEFAULT 7"))
            .attempt_instant(true)
            .native_below_rows(100)
            .on_step({
                let reader = std::sync::Mutex::new(Some(reader));
                move |step, _| {
                    if step == online_alter::Step::GhostCreated {
                        drop(reader.lock().unwrap().take());
                    }
                }
            });
        let report = alter.run().unwrap();
        assert_eq!((report.native, report.rows_copied), (None, 3));
        assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    });
}

/// An attempt at ALGORITHM=INSTANT that loses its connection.
struct Lost {
    conn: Conn,
    before: String,
    proxy: Proxy,
    alter: Option<OnlineAlter>,
}

impl Lost {
    fn new(server: &Server, db: &Database, lose: Lose) -> Self {
        db.conn().query_drop("DROP TABLE IF EXISTS t").unwrap();
        let mut conn = table(db);
        let before = definition(&mut conn);
        let proxy = Proxy::start(server.port(), "ALGORITHM=INSTANT, ADD", lose, 1);
        let url = db.url().replace(&server.port().to_string(), &proxy.port().to_string());
        let alter = OnlineAlter::new(url, "t").alter("ADD c INT NOT NULL DEFAULT 7");
        Lost { conn, before, proxy, alter: Some(alter.attempt_instant(true)) }
    }

    fn run(&mut self, options: impl FnOnce(OnlineAlter) -> OnlineAlter) -> Result<Report, Error> {
        let ended = options(self.alter.take().unwrap()).run();
        assert_eq!(self.proxy.lost(), 1);
        ended
    }

    /// The table is as it was, and stays so.
    #[track_caller]
    fn assert_untouched(&mut self, error: &Error) {
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers(), []);
        assert_eq!(tables(&mut self.conn), ["t"]);
        assert_eq!(definition(&mut self.conn), self.before);
    }
}

#[test]
fn a_lost_answer_is_found_out_by_the_definition() {
    on_each("native_lost", |server, db| {
        let mut lost = Lost::new(server, db, Lose::Answer);
        let report = lost.run(|alter| alter).unwrap();
        assert_eq!(report.native, Some(NativeAlter::Instant));
        assert!(definition(&mut lost.conn).contains("`c` int"));
        assert_eq!(tables(&mut lost.conn), ["t"]);
        // The server never got it.
        let mut lost = Lost::new(server, db, Lose::Request);
        let error = lost.run(|alter| alter).unwrap_err();
        lost.assert_untouched(&error);
    });
}

/// The ALTER waits for somebody else's transaction when its connection is cut. It must not come later.
#[test]
fn an_alter_whose_answer_is_lost_does_not_come_later() {
    on_each("native_lost_late", |server, db| {
        let mut lost = Lost::new(server, db, Lose::Answer);
        let mut reader = db.conn();
        reader.query_drop("START TRANSACTION").unwrap();
        reader.query_drop("SELECT * FROM t").unwrap();
        let error =
            lost.run(|alter| alter.cut_over_lock_timeout(Duration::from_secs(50))).unwrap_err();
        reader.query_drop("COMMIT").unwrap();
        // Behind whatever waits for the table.
        lost.conn.query_drop("LOCK TABLES t WRITE").unwrap();
        lost.conn.query_drop("UNLOCK TABLES").unwrap();
        lost.assert_untouched(&error);
    });
}

#[test]
fn a_server_that_cannot_be_asked_any_more() {
    on_each("native_lost_server", |server, db| {
        let mut lost = Lost::new(server, db, Lose::Server);
        let error = lost.run(|alter| alter.retries(2)).unwrap_err();
        assert_eq!(error.table_state(), TableState::Unknown, "{error}");
        // As it may be.
        wait_until("it is altered", || definition(&mut lost.conn).contains("`c` int"));
    });
}

/// Row versions, up to the limit of MySQL: from then on columns are not added or dropped instantly.
#[test]
fn row_versions_that_are_used_up() {
    on(Flavor::Mysql, "native_versions", |server, db| {
        let mut conn = table(db);
        conn.query_drop("RENAME TABLE t TO `t-1$`").unwrap();
        let plan = |url: &str, clause: &str| {
            OnlineAlter::new(url, "t-1$").alter(clause).attempt_instant(true).plan().unwrap()
        };
        let warns = |url: &str, clause: &str| {
            let is = |warning: &Warning| {
                matches!(warning, Warning::RowVersions { versions: 255, most: 255, .. })
            };
            plan(url, clause).warnings().iter().any(is)
        };
        for version in 0..255 {
            assert!(version != 254 || !warns(db.url(), "ADD c INT"));
            let what = if version % 2 == 0 { "ADD c INT" } else { "DROP c" };
            conn.query_drop(format!("ALTER TABLE `t-1$` {what}, ALGORITHM=INSTANT")).unwrap();
        }
        assert!(warns(db.url(), "DROP c") && warns(db.url(), "ADD d INT"));
        // That the limit is this one, the server says.
        let error = conn.query_drop("ALTER TABLE `t-1$` DROP c, ALGORITHM=INSTANT").unwrap_err();
        assert!(error.to_string().contains("4092"), "{error}");
        // What makes no new version is done all the same.
        let report = plan(db.url(), "ALTER v SET DEFAULT 5").run().unwrap();
        assert_eq!((report.native, report.not_native), (Some(NativeAlter::Instant), None));
        // Who may not see it hears it from the server.
        for sql in [
            "DROP USER IF EXISTS no_process",
            "CREATE USER no_process IDENTIFIED BY 'secret'",
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO no_process",
            "GRANT ALL ON native_versions.* TO no_process",
        ] {
            conn.query_drop(sql).unwrap();
        }
        let url = format!("mysql://no_process:secret@127.0.0.1:{}/native_versions", server.port());
        assert!(!warns(&url, "DROP c"));
        let report = plan(&url, "ADD d INT").run().unwrap();
        let why = report.not_native.clone().unwrap();
        assert!(report.native.is_none() && why.contains("Maximum row versions"), "{report}");
        assert!(report.to_string().contains(&why), "{report}");
        // The new table has none.
        conn.query_drop("DROP TABLE `_t-1$_del`").unwrap();
        assert!(!warns(db.url(), "DROP c"));
        assert_eq!(plan(db.url(), "DROP c").run().unwrap().native, Some(NativeAlter::Instant));
    });
}

/// The report says why rows were copied, also where it was seen beforehand.
#[test]
fn row_versions_are_used_up_by_partition() {
    on(Flavor::Mysql, "native_partitions", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 2",
        )
        .unwrap();
        for version in 0..255 {
            let what = if version % 2 == 0 { "ADD c INT" } else { "DROP c" };
            conn.query_drop(format!("ALTER TABLE t {what}, ALGORITHM=INSTANT")).unwrap();
        }
        let report = alter(db, "t", "DROP c").attempt_instant(true).run().unwrap();
        let why = "ALGORITHM=INSTANT: the table has 255 row versions, and 255 is the limit";
        assert_eq!((report.native, report.not_native.as_deref()), (None, Some(why)));
    });
}
