//! The two clones of a table, and the writer that writes the same to both.

use std::collections::VecDeque;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::writes::Point;

/// `a` is altered by us, `b` by the server: each in a schema of its own, under the same name.
pub(crate) struct Twins {
    pub(crate) a: Conn,
    pub(crate) b: Conn,
    pub(crate) todo: VecDeque<(Point, Vec<String>)>,
    /// What one of them said, and the other did not.
    pub(crate) problems: Vec<String>,
    /// What was written, in order.
    pub(crate) done: Vec<Vec<String>>,
    /// A statement has failed, on both.
    pub(crate) failed: bool,
    clock: u64,
}

/// Ends a statement's error as far as both have to agree.
fn outcome(result: Result<(), mysql::Error>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(mysql::Error::MySqlError(error)) => format!("{} {}", error.code, error.message),
        Err(error) => error.to_string(),
    }
}

impl Twins {
    pub(crate) fn new(a: Conn, b: Conn) -> Self {
        Twins {
            a,
            b,
            todo: VecDeque::new(),
            problems: Vec::new(),
            done: Vec::new(),
            failed: false,
            clock: 0,
        }
    }

    pub(crate) fn begin(&mut self, sql_mode: &str, time_zone: &str) {
        self.todo.clear();
        self.problems.clear();
        self.done.clear();
        self.failed = false;
        self.clock = 1_700_000_000;
        let sql = format!(
            "SET SESSION sql_mode = '{sql_mode}', time_zone = '{time_zone}', \
             timestamp = 1700000000"
        );
        for conn in [&mut self.a, &mut self.b] {
            conn.query_drop(&sql).unwrap();
        }
    }

    /// The same on both. To each clone's session it is the same time.
    pub(crate) fn both(&mut self, sql: &str) -> String {
        let in_a = outcome(self.a.query_drop(sql));
        let in_b = outcome(self.b.query_drop(sql));
        self.failed |= in_b != "ok";
        // A message may name the schema.
        let code = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        if code(&in_a) != code(&in_b) {
            self.problems.push(format!("{sql}\n  where we alter: {in_a}\n  elsewhere: {in_b}"));
        }
        in_b
    }

    fn next(&mut self) -> bool {
        let Some((_, statements)) = self.todo.pop_front() else { return false };
        self.clock += 1;
        let clock = format!("SET timestamp = {}", self.clock);
        self.a.query_drop(&clock).unwrap();
        self.b.query_drop(&clock).unwrap();
        for sql in &statements {
            self.both(sql);
        }
        self.done.push(statements);
        true
    }

    /// Makes `b` again what it was after so many of the `writes`.
    pub(crate) fn replay(&mut self, create: &str, rows: &[String], writes: &[Vec<String>]) {
        for sql in std::iter::once(create).chain(rows.iter().map(String::as_str)) {
            let _ = self.b.query_drop(sql);
        }
        for (i, statements) in writes.iter().enumerate() {
            let clock = format!("SET timestamp = {}", 1_700_000_001 + i);
            self.b.query_drop(&clock).unwrap();
            for sql in statements {
                let _ = self.b.query_drop(sql);
            }
        }
    }

    /// Writes what is due.
    pub(crate) fn until(&mut self, point: Point) {
        while self.todo.front().is_some_and(|(due, _)| *due <= point) {
            self.next();
        }
    }

    /// One more, whenever it was due.
    pub(crate) fn one(&mut self) -> bool {
        self.next()
    }
}
