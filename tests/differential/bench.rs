//! Runs a case on both clones and judges it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{
    ChunkSize, Error, ErrorKind, Event, OldTable, OnlineAlter, Phase, Report, Step, TableState,
};
use online_alter_support::{Database, Server, database};
use parking_lot::Mutex;

use crate::case::Case;
use crate::compare::{self, Found};
use crate::names::quote;
use crate::twins::Twins;
use crate::verdict::{CAME_AND_WENT, Verdict, Wrong, beyond_native, exclusion, padded, timed};
use crate::writes::Point;

/// While the server makes its own ALTER.
const NATIVE: &str = "the server's ALTER";

/// No run takes so long.
const HANGS: Duration = Duration::from_secs(60);

/// A server with two schemas for the clones.
pub(crate) struct Bench<'a> {
    server: &'a Server,
    ours: Database,
    native: Database,
    /// For a table without rows.
    bare: Database,
    judge: Conn,
    twins: Arc<Mutex<Twins>>,
    globals: (String, &'static str),
    doing: &'static str,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        let (ours, native) = (database(server, "ours"), database(server, "native"));
        let mut judge = server.conn();
        judge
            .query_drop(
                "SET SESSION sql_mode = '', time_zone = '+00:00', character_set_results = NULL",
            )
            .unwrap();
        let mut bench = Bench {
            server,
            twins: Arc::new(Mutex::new(Twins::new(ours.conn(), native.conn()))),
            ours,
            native,
            bare: database(server, "bare"),
            judge,
            globals: (String::new(), ""),
            doing: "",
        };
        bench.clear();
        bench
    }

    pub(crate) fn run(&mut self, case: &Case) -> Verdict {
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let verdict = self.judge(case);
            self.clear();
            verdict
        }));
        if self.server.connect().is_ok() {
            return verdict.unwrap_or_else(|_| {
                *self = Bench::new(self.server);
                Verdict::Wrong(Wrong::new("the test panicked", "", ""))
            });
        }
        // Servers crash of ALTERs, and of what the rows are read for.
        let log = self.server.error_log();
        let at = log.rfind("got signal").unwrap_or(0);
        let end: String = log[at..].lines().take(40).collect::<Vec<_>>().join("\n");
        let doing = self.doing;
        self.server.restart().unwrap();
        *self = Bench::new(self.server);
        if doing == NATIVE {
            return Verdict::Excluded("the server crashes of its own ALTER");
        }
        Verdict::Wrong(Wrong::new("the server crashed", doing, end))
    }

    fn tables(&mut self, db: &Database) -> Vec<String> {
        self.judge
            .query(format!("SHOW FULL TABLES FROM {}", db.name()))
            .unwrap()
            .into_iter()
            .map(|(name, _): (Vec<u8>, Vec<u8>)| String::from_utf8_lossy(&name).into_owned())
            .collect()
    }

    fn clear(&mut self) {
        for db in [self.ours.clone(), self.native.clone(), self.bare.clone()] {
            let tables: Vec<String> = self
                .tables(&db)
                .iter()
                .map(|name| format!("{}.{}", db.name(), quote(name)))
                .collect();
            if !tables.is_empty() {
                self.judge.query_drop(format!("DROP TABLE {}", tables.join(", "))).unwrap();
            }
        }
    }

    fn prepare(&mut self, case: &Case) -> Result<(), String> {
        let globals = (case.sql_mode.clone(), case.time_zone);
        if self.globals != globals {
            self.globals = globals;
            let sql = format!(
                "SET GLOBAL sql_mode = '{}', GLOBAL time_zone = '{}'",
                case.sql_mode, case.time_zone
            );
            self.judge.query_drop(sql).unwrap();
        }
        let mut twins = self.twins.lock();
        twins.begin(case.writers_mode, case.time_zone);
        let created = twins.both(&case.table.sql());
        if created != "ok" {
            return Err(created);
        }
        for row in &case.rows {
            twins.both(&row.sql(&case.table));
        }
        twins.todo =
            case.writes.iter().map(|write| (write.point, write.sql(&case.table))).collect();
        Ok(())
    }

    fn judge(&mut self, case: &Case) -> Verdict {
        self.doing = "before the ALTER";
        if let Err(why) = self.prepare(case) {
            return Verdict::NoTable(why);
        }
        self.doing = "our ALTER";
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| self.alter(case))) else {
            return Verdict::Wrong(Wrong::new("panic", "", "the library panicked"));
        };
        self.doing = "comparing";
        let problems = std::mem::take(&mut self.twins.lock().problems);
        if !problems.is_empty() {
            let ours = match &result {
                Ok(_) => String::new(),
                Err(error) => format!("\nand then: {error}"),
            };
            let essence = problems[0].lines().nth(1).unwrap_or_default().to_owned();
            return Verdict::Wrong(Wrong::new(
                "a statement fails",
                &essence,
                format!("{}{ours}", problems.join("\n")),
            ));
        }
        match result {
            Ok(report) => self.judge_success(case, &report),
            Err(error) => self.judge_failure(case, &error),
        }
    }

    fn alter(&mut self, case: &Case) -> Result<Report, Error> {
        let (at_steps, at_chunks) = (Arc::clone(&self.twins), Arc::clone(&self.twins));
        let threaded = case.threaded;
        let thread: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
        let starter = Arc::clone(&thread);
        let chunks = AtomicU32::new(0);
        let (over, is_over) = std::sync::mpsc::channel();
        let plan = OnlineAlter::new(self.ours.url(), case.table.name.as_str())
            .alter(case.clause())
            .chunk_size(ChunkSize::Rows(case.chunk))
            .copy_workers(case.copy_workers)
            .refresh_workers(case.refresh_workers)
            .heartbeat_interval(Duration::from_millis(50))
            .analyze(case.seed.is_multiple_of(8))
            .old_table(if case.seed % 8 == 1 { OldTable::Keep } else { OldTable::Drop })
            .on_step(move |step, _| match step {
                Step::GhostCreated => at_steps.lock().until(Point::GhostCreated),
                Step::FencePassed if threaded => {
                    let twins = Arc::clone(&at_steps);
                    let write = move || while twins.lock().one() {};
                    *starter.lock() = Some(std::thread::spawn(write));
                }
                Step::FencePassed => at_steps.lock().until(Point::FencePassed),
                Step::CopyDone if !threaded => at_steps.lock().until(Point::CopyDone),
                Step::IndexesBuilt if !threaded => at_steps.lock().until(Point::IndexesBuilt),
                // Every write is in before the lock: it has to be one to the old table.
                Step::BeforeLock => at_steps.lock().until(Point::BeforeLock),
                _ => {}
            })
            .observer(move |event: &Event| {
                if let Event::Finished { .. } = event {
                    let _ = over.send(());
                }
                if let (Event::ChunkCopied { .. }, false) = (event, threaded) {
                    let chunk = chunks.fetch_add(1, Ordering::Relaxed);
                    at_chunks.lock().until(Point::Chunk(chunk));
                }
            })
            .plan();
        let result = plan.and_then(|plan| {
            let handle = plan.start()?;
            if is_over.recv_timeout(HANGS).is_err() {
                handle.abort();
            }
            handle.join()
        });
        self.twins.lock().todo.clear();
        if let Some(thread) = thread.lock().take() {
            thread.join().unwrap();
        }
        result
    }

    /// The server's own ALTER, in a session of its own: under the server's mode and zone.
    fn native(&mut self, table: &str, clause: &str) -> Result<(), mysql::Error> {
        self.doing = NATIVE;
        let altered =
            self.native.conn().query_drop(format!("ALTER TABLE {} {clause}", quote(table)));
        if !matches!(altered, Err(mysql::Error::IoError(_))) {
            self.doing = "comparing";
        }
        altered
    }

    /// Whether the server refuses this, be the table empty.
    fn refuses(&mut self, case: &Case) -> bool {
        let mut conn = self.bare.conn();
        conn.query_drop(format!("SET SESSION sql_mode = '{}'", case.writers_mode)).unwrap();
        conn.query_drop(case.table.sql()).unwrap();
        conn.query_drop("SET SESSION sql_mode = @@GLOBAL.sql_mode").unwrap();
        let table = quote(&case.table.name);
        conn.query_drop(format!("ALTER TABLE {table} {}", case.clause())).is_err()
    }

    /// Whether the server would have failed, too, had it begun after another write.
    fn came_and_went(&mut self, case: &Case) -> bool {
        let writes = self.twins.lock().done.clone();
        let rows: Vec<String> = case.rows.iter().map(|row| row.sql(&case.table)).collect();
        let gone = format!("DROP TABLE {}", quote(&case.table.name));
        (0..=writes.len()).any(|some| {
            let mut twins = self.twins.lock();
            twins.b.query_drop(&gone).unwrap();
            twins.b.query_drop("SET timestamp = 1700000000").unwrap();
            twins.replay(&case.table.sql(), &rows, &writes[..some]);
            drop(twins);
            self.native(&case.table.name, &case.clause()).is_err()
        })
    }

    fn judge_failure(&mut self, case: &Case, error: &Error) -> Verdict {
        let wrong = |kind, text: String| Verdict::Wrong(Wrong::new(kind, &text, error.to_string()));
        if error.table_state() != TableState::Untouched || !error.leftovers().is_empty() {
            return wrong("not tidied up", error.to_string());
        }
        if error.kind() == ErrorKind::Aborted {
            return wrong("hangs", String::new());
        }
        let name = &case.table.name;
        let tables = self.tables(&self.ours.clone());
        if tables != [name.clone()] {
            return wrong("not tidied up", format!("{tables:?}"));
        }
        let (ours, theirs) = (self.ours.name().to_owned(), self.native.name().to_owned());
        let before = compare::read(&mut self.judge, &theirs, name);
        let after = compare::read(&mut self.judge, &ours, name);
        match (after, before) {
            (Ok(mut after), Ok(mut before)) => {
                if self.twins.lock().failed {
                    after.forget_counter();
                    before.forget_counter();
                }
                if let Some(text) = compare::definitions(&after, &before) {
                    return wrong("touched", text);
                }
                if let Some((_, text)) = compare::rows(&after, &before)
                    && !self.numbered_apart(&mut after, &mut before)
                {
                    return wrong("touched", text);
                }
            }
            // A generated column may not be computable: for both.
            (Err(after), Err(before)) if after.to_string() == before.to_string() => {}
            (after, before) => {
                return wrong("touched", format!("{:?} {:?}", after.err(), before.err()));
            }
        }
        if std::env::var_os("VERBOSE").is_some() {
            eprintln!("SEED={}: {error}", case.seed);
        }
        match self.native(name, &case.clause()) {
            Ok(()) => {
                let reason = exclusion(case, error);
                if let Some(reason) = reason {
                    return Verdict::Excluded(reason);
                }
                if self.came_and_went(case) {
                    return Verdict::Excluded(CAME_AND_WENT);
                }
                wrong("we fail", error.to_string())
            }
            Err(native) if self.refuses(case) => {
                if error.phase() <= Phase::Prepare {
                    Verdict::BothRefused
                } else {
                    wrong("refused late", format!("{error}; native: {native}"))
                }
            }
            Err(_) => Verdict::BothFailed,
        }
    }

    /// Whether it is only the numbers of rows that differ, behind an INSERT that failed: what that had
    /// reserved, a server may forget, or find again, and so the next number is another one.
    fn numbered_apart(&self, a: &mut Found, b: &mut Found) -> bool {
        let numbered = b.numbered();
        let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
        a.mask(&numbered);
        b.mask(&numbered);
        self.twins.lock().failed && !numbered.is_empty() && compare::rows(a, b).is_none()
    }

    fn judge_success(&mut self, case: &Case, report: &Report) -> Verdict {
        let name = &case.table.name;
        let before = compare::counter(&mut self.judge, self.native.name(), name);
        if let Err(error) = self.native(name, &case.clause()) {
            let text = error.to_string();
            let kind = if self.refuses(case) { "native refuses" } else { "native fails on data" };
            if let Some(reason) = beyond_native(case, kind, &text) {
                return Verdict::Excluded(reason);
            }
            return Verdict::Wrong(Wrong::new(kind, &text, text.clone()));
        }
        let mut wrong = Vec::new();
        if !report.reconciled_keys.is_empty() || !report.conflicting_keys.is_empty() {
            wrong.push(Wrong::new("reconciled", "", report.to_string()));
        }
        // Their names are not compared.
        let is_known = |warning: &&String| warning.starts_with("the CHECK constraint ");
        if let Some(warning) = report.warnings.iter().find(|warning| !is_known(warning)) {
            wrong.push(Wrong::new("warnings", warning, report.warnings.join("\n")));
        }
        let tables = self.tables(&self.ours.clone());
        let expected = 1 + usize::from(report.old_table.is_some());
        if tables.len() != expected {
            wrong.push(Wrong::new("not tidied up", "", format!("{tables:?}")));
        }
        let (ours, theirs) = (self.ours.name().to_owned(), self.native.name().to_owned());
        let (a, b) = (
            compare::read(&mut self.judge, &ours, name),
            compare::read(&mut self.judge, &theirs, name),
        );
        let (mut a, mut b) = match (a, b) {
            (Ok(a), Ok(b)) => (a, b),
            // A generated column may not be computable: for both.
            (Err(a), Err(b)) if a.to_string() == b.to_string() => return Verdict::Equal,
            (a, b) => {
                let text = format!("ours: {:?}; native: {:?}", a.err(), b.err());
                return Verdict::Wrong(Wrong::new("cannot be read", &text, text.clone()));
            }
        };
        let unforeseeable: Vec<&str> =
            case.alter.iter().filter_map(|clause| clause.unforeseeable.as_deref()).collect();
        // A counter that has come to its end may say anything beyond it: nothing can be inserted.
        let most = case.table.columns.iter().filter(|c| c.auto_increment).find_map(|c| c.ty.most());
        let exhausted = |found: &Found| most.is_some() && found.counter() >= most;
        // What is reserved, and not used or not for long, is forgotten, or found again, when the server opens
        // the table the next time.
        let failed = self.twins.lock().failed;
        let carried = a.counter() == before && b.counter() < before;
        let exhausted = exhausted(&b) || failed || carried;
        for found in [&mut a, &mut b] {
            if exhausted {
                found.forget_counter();
            }
            found.mask(&unforeseeable);
            if !case.flavor.is_mariadb() {
                found.forget_checks();
            }
        }
        if let Some(text) = compare::definitions(&a, &b) {
            wrong.push(Wrong::new("definition", &text, text.clone()));
        }
        if let Some((types, text)) = compare::rows(&a, &b) {
            if self.numbered_apart(&mut a, &mut b) {
                return Verdict::Excluded("other numbers behind an INSERT that failed");
            }
            if let Some(reason) = padded(case).or_else(|| timed(case, &types)) {
                return Verdict::Excluded(reason);
            }
            wrong.push(Wrong::new("rows", &types, text));
        }
        wrong.into_iter().next_back().map_or(Verdict::Equal, Verdict::Wrong)
    }
}
