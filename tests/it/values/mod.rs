//! Values: what becomes of each row, compared with the server's own ALTER.
//!
//! A second table, `expect`, gets the same statements while the first is altered online, and then the
//! server's own ALTER, in the server's own SQL mode and time zone. Where that succeeds the two must be
//! the same, definition and rows byte by byte; where it fails, ours must fail too, with the table
//! untouched and an error that names the row.

mod fills;
mod found;
mod mapping;
mod modes;
mod names;
mod quoting;
mod refused;
mod sizes;
mod structure;
mod zones;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use online_alter::{ChunkSize, Error, ErrorKind, Event, OnlineAlter, Report, Step, TableState};
use online_alter_support::{Database, Flavor, Server, available, database};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter_at, on};

/// The session of the test's own statements, which take any date.
const SESSION: &str = "SET SESSION time_zone = '+00:00', \
     sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

type Setting = Arc<dyn Fn(OnlineAlter) -> OnlineAlter>;

/// A table, what happens to it during the run, and the ALTER. In the statements `{t}` stands for
/// the name of the table.
#[derive(Clone)]
pub(crate) struct Case {
    name: String,
    flavors: Vec<Flavor>,
    table: String,
    create: String,
    rows: Vec<String>,
    changes: Vec<String>,
    alter: String,
    /// What the server's own ALTER is given where it is not the same.
    native: Option<String>,
    /// Of the session in which the server's own ALTER runs.
    native_session: Option<String>,
    /// What the caller's connection options have every session of ours do first.
    init: Vec<String>,
    setting: Setting,
}

/// What became of the two.
pub(crate) enum Ended {
    Same(Box<Report>),
    /// Both failed, with the server's words for its own failure.
    Failed(Error, String),
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, create: impl Into<String>) -> Self {
        Case {
            name: name.into(),
            flavors: FLAVORS.to_vec(),
            table: "t".to_owned(),
            create: create.into(),
            rows: Vec::new(),
            changes: Vec::new(),
            alter: String::new(),
            native: None,
            native_session: None,
            init: Vec::new(),
            setting: Arc::new(|alter| alter),
        }
    }

    pub(crate) fn only(mut self, flavor: Flavor) -> Self {
        self.flavors = vec![flavor];
        self
    }

    #[allow(dead_code, reason = "for now")]
    pub(crate) fn table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.table);
        self
    }

    pub(crate) fn rows(mut self, rows: &[&str]) -> Self {
        self.rows = rows.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn changes(mut self, changes: &[&str]) -> Self {
        self.changes = changes.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn alter(mut self, clause: impl Into<String>) -> Self {
        self.alter = clause.into();
        self
    }

    #[allow(dead_code, reason = "for now")]
    pub(crate) fn native(mut self, clause: impl Into<String>) -> Self {
        self.native = Some(clause.into());
        self
    }

    pub(crate) fn native_session(mut self, sql: impl Into<String>) -> Self {
        self.native_session = Some(sql.into());
        self
    }

    pub(crate) fn init(mut self, sql: impl Into<String>) -> Self {
        self.init.push(sql.into());
        self
    }

    pub(crate) fn with(mut self, setting: impl Fn(OnlineAlter) -> OnlineAlter + 'static) -> Self {
        self.setting = Arc::new(setting);
        self
    }

    fn each(&self, test: impl Fn(&Server, &Database)) {
        for flavor in self.flavors.clone() {
            let only = std::env::var("ONLINE_ALTER_ONLY").ok();
            if only.is_none_or(|only| only == flavor.to_string()) {
                static COUNT: AtomicU32 = AtomicU32::new(0);
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                on(flavor, &format!("values{number}_{}", self.name), &test);
            }
        }
    }

    /// On each flavor's shared server both must succeed, and be the same.
    #[track_caller]
    pub(crate) fn same(self) {
        self.each(|_, db| {
            self.same_in(db);
        });
    }

    /// On each flavor's shared server both must fail: ours as a row that is refused, with these
    /// words.
    #[track_caller]
    pub(crate) fn row_refused(self, words: &[&str]) {
        self.each(|_, db| self.row_refused_in(db, words));
    }

    #[track_caller]
    pub(crate) fn same_in(&self, db: &Database) -> Report {
        match self.run_in(db) {
            Ended::Same(report) => *report,
            Ended::Failed(ours, native) => {
                panic!("{}: both failed: {ours}; natively: {native}", self.name)
            }
        }
    }

    #[track_caller]
    pub(crate) fn row_refused_in(&self, db: &Database, words: &[&str]) {
        match self.run_in(db) {
            Ended::Same(_) => panic!("{}: both succeeded", self.name),
            Ended::Failed(error, _) => {
                assert_eq!(error.kind(), ErrorKind::RowRefused, "{}: {error}", self.name);
                for word in words {
                    assert!(error.message().contains(word), "{}: {word}: {error}", self.name);
                }
            }
        }
    }

    /// Runs both, and sees that they agree.
    #[track_caller]
    pub(crate) fn run_in(&self, db: &Database) -> Ended {
        let mut changes = self.begin(db);
        let ours = self.ours(db, &mut changes);
        let native = self.native_in(db);
        let conn = &mut db.conn();
        exec(conn, SESSION);
        match (ours, native) {
            (Ok(report), Ok(())) => {
                self.assert_same(conn);
                assert_eq!(report.reconciled_keys, Vec::<String>::new());
                Ended::Same(Box::new(report))
            }
            (Err(error), Err(native)) => {
                assert_eq!(error.table_state(), TableState::Untouched, "{error}");
                assert!(error.leftovers().is_empty(), "{error}");
                self.assert_same(conn);
                Ended::Failed(error, native)
            }
            (Ok(_), Err(native)) => {
                panic!("{}: ours succeeded, the server's own failed: {native}", self.name)
            }
            (Err(error), Ok(())) => panic!("{}: the server's own succeeded: {error}", self.name),
        }
    }

    /// Creates and fills both tables.
    pub(crate) fn begin(&self, db: &Database) -> Changes {
        let mut conn = db.conn();
        exec(&mut conn, SESSION);
        for name in [quote(&self.table), quote("expect")] {
            for sql in std::iter::once(&self.create).chain(&self.rows) {
                exec(&mut conn, &sql.replace("{t}", &name));
            }
        }
        Changes { conn, table: quote(&self.table), todo: self.changes.iter().cloned().collect() }
    }

    /// Alters the table, with a third of the changes before the copy, some behind each chunk, and
    /// the rest when the copy has ended.
    pub(crate) fn ours(&self, db: &Database, changes: &mut Changes) -> Result<Report, Error> {
        let count = changes.todo.len();
        let todo = std::mem::take(&mut changes.todo);
        let shared = Changes { conn: db.conn(), table: changes.table.clone(), todo };
        let shared = Arc::new(Mutex::new(shared));
        exec(&mut shared.lock().conn, SESSION);
        let (at_steps, at_chunks) = (Arc::clone(&shared), Arc::clone(&shared));
        let opts =
            OptsBuilder::from_opts(Opts::from_url(db.url()).unwrap()).init(self.init.clone());
        let alter = alter_at(opts, &self.table, &self.alter)
            .chunk_size(ChunkSize::Rows(3))
            .on_step(move |step, _| match step {
                Step::FencePassed => at_steps.lock().some(count.div_ceil(3)),
                Step::CopyDone => at_steps.lock().all(),
                _ => {}
            })
            .observer(move |event: &Event| {
                if let Event::ChunkCopied { .. } = event {
                    at_chunks.lock().some(1);
                }
            });
        let result = (self.setting)(alter).run();
        // A run that failed early has not come to all of them.
        shared.lock().all();
        result
    }

    /// The server's own ALTER, in a session as everybody's.
    fn native_in(&self, db: &Database) -> Result<(), String> {
        let clause = self.native.as_ref().unwrap_or(&self.alter);
        let mut conn = db.conn();
        if let Some(sql) = &self.native_session {
            exec(&mut conn, sql);
        }
        conn.query_drop(format!("ALTER TABLE `expect` {clause}")).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn assert_same(&self, conn: &mut Conn) {
        let (table, twin) = (self.table.as_str(), "expect");
        assert_eq!(definition(conn, table), definition(conn, twin), "{}", self.name);
        assert_eq!(content(conn, table), content(conn, twin), "{}", self.name);
    }

    /// Like [`same`](Self::same), on servers of the case's own, started with these options.
    #[track_caller]
    pub(crate) fn same_on(self, options: &[&str]) {
        self.on_own(options, |case, db| drop(case.same_in(db)));
    }

    pub(crate) fn on_own(self, options: &[&str], test: impl Fn(&Case, &Database)) {
        for flavor in self.flavors.clone() {
            if let Some(server) = own(flavor, options) {
                test(&self, &database(&server, &format!("values_{}", self.name)));
            }
        }
    }
}

/// A server of the test's own.
pub(crate) fn own(flavor: Flavor, options: &[&str]) -> Option<Server> {
    let _ = env_logger::try_init();
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    if only.is_some_and(|only| only != flavor.to_string()) {
        return None;
    }
    let builder = Server::builder(flavor);
    available(options.iter().fold(builder, |builder, option| builder.option(*option)).start())
}

pub(crate) struct Changes {
    pub(crate) conn: Conn,
    table: String,
    todo: VecDeque<String>,
}

impl Changes {
    fn all(&mut self) {
        self.some(usize::MAX);
    }

    fn some(&mut self, count: usize) {
        for _ in 0..count {
            let Some(sql) = self.todo.pop_front() else { return };
            for name in [self.table.as_str(), "`expect`"] {
                exec(&mut self.conn, &sql.replace("{t}", name));
            }
        }
    }
}

#[track_caller]
pub(crate) fn exec(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The definition, without the name of the table.
pub(crate) fn definition(conn: &mut Conn, table: &str) -> String {
    let (_, text): (String, String) =
        conn.query_first(format!("SHOW CREATE TABLE {}", quote(table))).unwrap().unwrap();
    // From the first column on. The names that MySQL gives to constraints begin with the table's.
    let text = text.strip_prefix(&format!("CREATE TABLE {} (", quote(table))).unwrap();
    text.replace(&format!("{}_chk_", quote(table).trim_end_matches('`')), "`_chk_")
}

/// All rows, byte by byte.
pub(crate) fn content(conn: &mut Conn, table: &str) -> Vec<String> {
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
