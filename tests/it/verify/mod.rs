//! Verification: what it must see, what it must not take for a difference, and what comes of it.

mod compared;
mod corruptions;
mod explained;
mod keys;
mod passes;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Difference, ErrorKind, OnMismatch, OnlineAlter, Report, Step, TableState};
use online_alter_support::{Database, Flavor, Server};

use crate::harness::{FLAVORS, alter, on};

/// A table, and something that happens to its ghost behind the binlog's back.
struct Corruption {
    name: &'static str,
    flavors: Vec<Flavor>,
    columns: &'static str,
    rows: Vec<&'static str>,
    clause: &'static str,
    damage: Vec<&'static str>,
}

impl Corruption {
    /// `columns` come behind the key `id`.
    fn new(name: &'static str, columns: &'static str, rows: &[&'static str]) -> Self {
        Corruption {
            name,
            flavors: FLAVORS.to_vec(),
            columns,
            rows: rows.to_vec(),
            clause: "ADD COLUMN extra INT DEFAULT 7",
            damage: Vec::new(),
        }
    }

    fn only(mut self, flavor: Flavor) -> Self {
        self.flavors = vec![flavor];
        self
    }

    fn clause(mut self, clause: &'static str) -> Self {
        self.clause = clause;
        self
    }

    /// What the SET of an UPDATE of the ghost's first row says.
    fn sets(self, what: &'static str, column: &str) {
        let update = format!("UPDATE _t_gho SET {what} WHERE id = 1").leak();
        let seen = self.seen(&[update]);
        for differences in seen {
            let [difference] = differences.as_slice() else { panic!("{differences:?}") };
            assert_eq!(difference.key, "(1)");
            let columns: Vec<&str> =
                difference.columns.iter().map(|column| column.column.as_str()).collect();
            assert_eq!(columns, [column], "{difference}");
        }
    }

    /// Runs it on each server; what the verification has named.
    fn seen(mut self, damage: &[&'static str]) -> Vec<Vec<Difference>> {
        self.damage = damage.to_vec();
        let mut seen = Vec::new();
        for flavor in self.flavors.clone() {
            let mut found = Vec::new();
            let found_by = std::cell::RefCell::new(&mut found);
            on(flavor, &format!("corrupt_{}", self.name), |server, db| {
                **found_by.borrow_mut() = self.run(server, db);
            });
            if !found.is_empty() || online_alter_support::shared(flavor).is_some() {
                seen.push(found);
            }
        }
        seen
    }

    fn run(&self, server: &Server, db: &Database) -> Vec<Difference> {
        let mut conn = db.conn();
        conn.query_drop(format!("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, {})", self.columns))
            .unwrap();
        for row in &self.rows {
            conn.query_drop(format!("INSERT INTO t VALUES {row}")).unwrap();
        }
        conn.query_drop("CREATE TABLE expect LIKE t").unwrap();
        conn.query_drop("INSERT INTO expect SELECT * FROM t").unwrap();
        conn.query_drop(format!("ALTER TABLE expect {}", self.clause)).unwrap();

        let before = whole(&mut conn, "t");
        let error = self.damaged(db).on_mismatch(OnMismatch::Stop).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowsDiffer, "{}: {error}", self.name);
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert!(error.leftovers().is_empty(), "{error}");
        assert!(!error.differences().is_empty(), "{error}");
        assert_eq!(whole(&mut conn, "t"), before);

        let report = self.damaged(db).on_mismatch(OnMismatch::Repair).run().unwrap();
        let repaired = verification(&report);
        assert!(repaired.0 >= 1 && repaired.1 == 2, "{}: {report}", self.name);
        assert_eq!(whole(&mut conn, "t"), whole(&mut conn, "expect"), "{}", self.name);
        let _ = server;
        error.differences().to_vec()
    }

    fn damaged(&self, db: &Database) -> OnlineAlter {
        let (url, damage) = (db.url().to_owned(), self.damage.clone());
        alter(db, "t", self.clause).on_step(move |step, _| {
            if step == Step::CopyDone {
                let mut conn = Conn::new(url.as_str()).unwrap();
                conn.query_drop("SET sql_log_bin = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'").unwrap();
                for damage in &damage {
                    conn.query_drop(damage).unwrap();
                    assert!(conn.affected_rows() > 0, "no damage was done: {damage}");
                }
            }
        })
    }
}

/// Rows repaired, and passes.
fn verification(report: &Report) -> (u64, u32) {
    let found = report.verification.as_ref().unwrap();
    (found.repaired, found.passes)
}

/// All values of all rows, byte by byte.
fn whole(conn: &mut Conn, table: &str) -> Vec<String> {
    let columns: Vec<String> = conn
        .query(format!(
            "SELECT CONCAT(IF(DATA_TYPE = 'vector', 'VECTOR_TO_STRING(`', '(`'), COLUMN_NAME, '`)') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
             AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
        ))
        .unwrap();
    let columns: Vec<String> =
        columns.iter().map(|c| format!("IFNULL(HEX(CONCAT({c})), 'NULL')")).collect();
    conn.query(format!("SELECT CONCAT_WS('|', {}) FROM {table} ORDER BY id", columns.join(", ")))
        .unwrap()
}
