//! Other ways to find rows, and other ways to read the binlog.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, TableState};
use online_alter_support::{Database, Flavor, Server, available, database};

use super::program::{CLAUSE, Program, Said};
use super::{LONG, judge, set_up, start_writers};
use crate::harness::{alter, on_each, wait_until};

const POINTS: [&str; 6] =
    ["Chunk 3", "CopyDone", "Phase BuildIndexes", "Locked", "Checked", "Renamed"];

/// Killed at each of the points, and gone on with.
fn killed_and_gone_on_with(server: &Server, db: &Database, table: &[&str], vars: &[(&str, &str)]) {
    for point in POINTS {
        let what = format!("{} {vars:?} killed at {point}", server.flavor());
        eprintln!("{what}");
        set_up(server, db);
        for sql in table {
            db.conn().query_drop(sql).unwrap();
        }
        let writers = start_writers(db);
        let mut program = Program::start_with(db.url(), point, false, vars);
        assert_eq!(program.wait(LONG), Said::At, "{what}");
        let goal = writers.statements() + 10;
        if !["Locked", "Checked"].contains(&point) {
            wait_until("writers go on", || writers.statements() > goal);
        }
        program.kill();
        let mut program = Program::start_with(db.url(), "", true, vars);
        assert_eq!(program.wait(LONG), Said::Done("0 0".to_owned()), "{what}");
        judge(db, writers, &what);
    }
}

#[test]
fn a_key_of_text() {
    on_each("kills_text", |server, db| {
        let table = [
            "CREATE TABLE n (id INT NOT NULL AUTO_INCREMENT, name CHAR(40) NOT NULL DEFAULT (UUID()), v INT NOT NULL, pad \
             VARCHAR(40) NOT NULL, owner INT NOT NULL DEFAULT 1, parent INT DEFAULT 1, PRIMARY KEY (name), KEY (id), KEY \
             pad (pad)) ENGINE=InnoDB",
            "INSERT INTO n (id, v, pad) SELECT id, v, pad FROM t",
            "DROP TABLE t",
            "RENAME TABLE n TO t",
            "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (parent) REFERENCES p (id)",
            "CREATE TRIGGER tr AFTER DELETE ON t FOR EACH ROW INSERT INTO fired VALUES (OLD.v)",
        ];
        killed_and_gone_on_with(server, db, &table, &[]);
    });
}

/// The key by which rows are found is not one of the new table.
#[test]
fn a_primary_key_that_goes() {
    on_each("kills_primary", |server, db| {
        let clause =
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id, owner), MODIFY owner BIGINT NOT NULL DEFAULT 1";
        killed_and_gone_on_with(server, db, &[], &[("OA_CLAUSE", clause)]);
    });
}

/// Asked for by transactions instead of a position.
#[test]
fn by_gtids() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let mut builder = Server::builder(flavor);
        if flavor == Flavor::Mysql {
            builder = builder.option("--gtid-mode=ON").option("--enforce-gtid-consistency=ON");
        }
        let Some(server) = available(builder.start()) else { continue };
        let db = database(&server, "kills_gtid");
        killed_and_gone_on_with(&server, &db, &[], &[("OA_GTID", "1")]);

        // Transactions that it has not read are purged.
        set_up(&server, &db);
        let mut program = Program::start_with(db.url(), "Chunk 3", false, &[("OA_GTID", "1")]);
        assert_eq!(program.wait(LONG), Said::At);
        program.kill();
        let mut conn = db.conn();
        conn.query_drop("UPDATE t SET v = 7 WHERE id = 1").unwrap();
        conn.query_drop("FLUSH BINARY LOGS").unwrap();
        let logs: Vec<mysql::Row> = conn.query("SHOW BINARY LOGS").unwrap();
        let last: String = logs.last().unwrap().get(0).unwrap();
        wait_until("they are purged", || {
            conn.query_drop(format!("PURGE BINARY LOGS TO '{last}'")).unwrap();
            conn.query::<mysql::Row, _>("SHOW BINARY LOGS").unwrap().len() == 1
        });
        let run =
            || alter(&db, "t", CLAUSE).gtid(true).keep_foreign_keys(true).include_triggers(true);
        let error = run().resume(true).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotResume, "{error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers().len(), 2, "{error}");
        let report = run().replace_ghost_table(true).run().unwrap();
        assert_eq!(report.rows_copied, 1536);
    }
}

/// The binlog of a replica is read.
#[test]
fn with_the_binlog_of_a_replica() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let started = Server::builder(flavor).replica_of(&primary).start();
        let Some(replica) = available(started) else { continue };
        let db = database(&primary, "kills_stream");
        let stream = replica.url_for(db.name());
        killed_and_gone_on_with(&primary, &db, &[], &[("OA_STREAM", &stream)]);
    }
}
