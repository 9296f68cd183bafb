//! Every type of key, on both servers, while rows and their keys change.
//!
//! A second table, `expect`, gets the same statements and then the same ALTER from the server
//! itself: in the end the two must be the same, byte by byte.

mod composite;
mod dates;
mod integers;
mod names;
mod other_types;
mod plans;
mod primary;
mod retyped;
mod structure;
mod tables;
mod text;
mod writers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Event, Report, Step};
use online_alter_support::{Database, Flavor};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter, on};

/// The ALTER of most cases: a new column, a wider one, and the key as it is.
const WIDEN: &str = "ADD COLUMN extra INT DEFAULT 7, MODIFY v BIGINT NOT NULL";

/// The session of the test's own statements. The zero is a zero, as in our own sessions.
const SESSION: &str =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

/// A table, what happens to it during the run, and the ALTER. In the statements `{t}` stands for
/// the name of the table.
struct Case {
    name: &'static str,
    flavors: Vec<Flavor>,
    table: String,
    create: String,
    rows: Vec<String>,
    changes: Vec<String>,
    alter: String,
    session: &'static str,
}

impl Case {
    fn new(name: &'static str, create: impl Into<String>) -> Self {
        Case {
            name,
            flavors: FLAVORS.to_vec(),
            table: "t".to_owned(),
            create: create.into(),
            rows: Vec::new(),
            changes: Vec::new(),
            alter: WIDEN.to_owned(),
            session: SESSION,
        }
    }

    /// A table `(k, v)` with one key column: `old` are the literals of rows that are there before,
    /// `new` those of rows to come. Rows are updated, deleted, inserted, moved to other keys,
    /// deleted and inserted again, and exchanged.
    fn of_type(name: &'static str, ty: &str, old: &[&str], new: &[&str]) -> Self {
        let create =
            format!("CREATE TABLE {{t}} (k {ty} NOT NULL, v INT NOT NULL, PRIMARY KEY (k))");
        Case::new(name, create).values(old, new)
    }

    fn values(mut self, old: &[&str], new: &[&str]) -> Self {
        for (v, k) in old.iter().enumerate() {
            self.rows.push(format!("INSERT INTO {{t}} (k, v) VALUES ({k}, {v})"));
        }
        let mut changes = Vec::new();
        let mut change = |sql: String| changes.push(sql);
        let last = old[old.len() - 1];
        for (i, k) in new.iter().enumerate() {
            change(format!("INSERT INTO {{t}} (k, v) VALUES ({k}, 100 + {i})"));
        }
        for (i, k) in old.iter().enumerate() {
            change(format!("UPDATE {{t}} SET v = v + 1000 WHERE k = {k}"));
            let other = new[i % new.len()];
            match i % 4 {
                // to another key and (behind what the copy may have seen) back
                0 => {
                    change(format!("DELETE FROM {{t}} WHERE k = {other}"));
                    change(format!("UPDATE {{t}} SET k = {other} WHERE k = {k}"));
                    change(format!("UPDATE {{t}} SET v = v + 7 WHERE k = {other}"));
                }
                1 => change(format!("DELETE FROM {{t}} WHERE k = {k}")),
                2 => {
                    change(format!("DELETE FROM {{t}} WHERE k = {k}"));
                    change(format!("INSERT INTO {{t}} (k, v) VALUES ({k}, 2000 + {i})"));
                }
                _ => {}
            }
        }
        // The last key of all moves, and its place is taken.
        change(format!("DELETE FROM {{t}} WHERE k = {}", new[0]));
        change(format!("DELETE FROM {{t}} WHERE k = {last}"));
        change(format!("INSERT INTO {{t}} (k, v) VALUES ({last}, 5000)"));
        change(format!("UPDATE {{t}} SET k = {} WHERE k = {last}", new[0]));
        change(format!("INSERT INTO {{t}} (k, v) VALUES ({last}, 5001)"));
        self.changes = changes;
        self
    }

    fn only(mut self, flavor: Flavor) -> Self {
        self.flavors = vec![flavor];
        self
    }

    fn rows(mut self, rows: &[&str]) -> Self {
        self.rows = rows.iter().map(ToString::to_string).collect();
        self
    }

    fn changes(mut self, changes: &[&str]) -> Self {
        self.changes = changes.iter().map(ToString::to_string).collect();
        self
    }

    fn alter(mut self, clause: impl Into<String>) -> Self {
        self.alter = clause.into();
        self
    }

    fn table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.table);
        self
    }

    fn session(mut self, sql: &'static str) -> Self {
        self.session = sql;
        self
    }

    /// On each flavor three runs: all changes before the copy, some before each chunk, all of them
    /// behind the copy.
    fn run(self) {
        for flavor in self.flavors.clone() {
            for (label, pace) in
                [("before", Pace::Before), ("chunks", Pace::Chunks), ("behind", Pace::Behind)]
            {
                on(flavor, &format!("keys_{}_{label}", self.name), |_, db| {
                    self.once(db, pace);
                });
            }
        }
    }

    fn once(&self, db: &Database, pace: Pace) -> Report {
        let (table, twin) = (quote(&self.table), quote("expect"));
        let mut conn = db.conn();
        conn.query_drop(self.session).unwrap();
        for name in [&table, &twin] {
            for sql in std::iter::once(&self.create).chain(&self.rows) {
                exec(&mut conn, &sql.replace("{t}", name));
            }
        }
        let changes = Changes {
            conn,
            table: table.clone(),
            todo: self.changes.iter().cloned().collect(),
            at_once: self.changes.len() / (self.rows.len() / 3 + 1) + 1,
        };
        let changes = Arc::new(Mutex::new(changes));
        let (at_steps, at_chunks) = (Arc::clone(&changes), Arc::clone(&changes));
        let report = alter(db, &self.table, &self.alter)
            .chunk_size(ChunkSize::Rows(3))
            .on_step(move |step, _| match (step, pace) {
                (Step::FencePassed, Pace::Before) => {
                    at_steps.lock().all();
                    // Refreshed before they are copied, as far as the workers come.
                    std::thread::sleep(Duration::from_millis(80));
                }
                (Step::FencePassed, Pace::Chunks) => at_steps.lock().some(),
                (Step::CopyDone, _) => at_steps.lock().all(),
                _ => {}
            })
            .observer(move |event: &Event| {
                if let (Event::ChunkCopied { .. }, Pace::Chunks) = (event, pace) {
                    at_chunks.lock().some();
                }
            })
            .run()
            .unwrap_or_else(|error| panic!("{} {pace:?}: {error}", self.name));
        let mut changes = changes.lock();
        assert!(changes.todo.is_empty());
        let conn = &mut changes.conn;
        exec(conn, &format!("ALTER TABLE {twin} {}", self.alter));
        assert_eq!(definition(conn, &table), definition(conn, &twin), "{} {pace:?}", self.name);
        assert_eq!(content(conn, &self.table), content(conn, "expect"), "{} {pace:?}", self.name);
        assert_eq!(report.reconciled_keys, Vec::<String>::new());
        report
    }
}

/// When the changes happen.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Before,
    Chunks,
    Behind,
}

struct Changes {
    conn: Conn,
    table: String,
    todo: VecDeque<String>,
    at_once: usize,
}

impl Changes {
    fn all(&mut self) {
        while self.one() {}
    }

    fn some(&mut self) {
        for _ in 0..self.at_once {
            self.one();
        }
    }

    fn one(&mut self) -> bool {
        let Some(sql) = self.todo.pop_front() else {
            return false;
        };
        for name in [self.table.as_str(), "`expect`"] {
            exec(&mut self.conn, &sql.replace("{t}", name));
        }
        true
    }
}

#[track_caller]
fn exec(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The definition, without the name and the counter.
fn definition(conn: &mut Conn, table: &str) -> String {
    let (_, text): (String, String) =
        conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
    // From the first column on.
    let (_, text) = text.split_once('\n').unwrap();
    match text.split_once(" AUTO_INCREMENT=") {
        Some((head, tail)) => format!("{head}{}", tail.trim_start_matches(char::is_numeric)),
        None => text.to_owned(),
    }
}

/// All rows, byte by byte.
fn content(conn: &mut Conn, table: &str) -> Vec<String> {
    let columns: Vec<String> = conn
        .exec(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            (table,),
        )
        .unwrap();
    let bytes = |c: &String| format!("IFNULL(HEX(CAST({} AS BINARY)), 'NULL')", quote(c));
    let row = columns.iter().map(bytes).collect::<Vec<_>>().join(", ");
    conn.query(format!(
        "SELECT CONCAT_WS(' ', {row}) AS row_text FROM {} ORDER BY row_text",
        quote(table)
    ))
    .unwrap()
}

fn set_of(members: usize) -> String {
    let members: Vec<String> = (0..members).map(|i| format!("'m{i}'")).collect();
    format!("SET({})", members.join(", "))
}
