//! A case: a table, its rows, what is written meanwhile, and the ALTER.

use std::fmt::Write as _;

use online_alter_support::Flavor;

use crate::alters::{self, Clause};
use crate::names::quote;
use crate::rng::Rng;
use crate::table::Table;
use crate::tables;
use crate::writes::{Scribe, Statement, Write};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) flavor: Flavor,
    pub(crate) sql_mode: String,
    pub(crate) time_zone: &'static str,
    /// The SQL mode of those who write.
    pub(crate) writers_mode: &'static str,
    pub(crate) table: Table,
    pub(crate) rows: Vec<Statement>,
    pub(crate) writes: Vec<Write>,
    pub(crate) alter: Vec<Clause>,
    pub(crate) chunk: u64,
    pub(crate) copy_workers: usize,
    pub(crate) refresh_workers: usize,
    /// The writes happen in a thread, whenever they do.
    pub(crate) threaded: bool,
}

/// Strict, all of them: our rows always are.
const MODES: [(usize, &str); 3] = [
    (
        60,
        "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
         NO_ENGINE_SUBSTITUTION",
    ),
    (25, "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"),
    (15, "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"),
];
/// What else may be in a mode. It changes how a statement is read, or what it stores.
const OTHERS: [&str; 4] =
    ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "NO_UNSIGNED_SUBTRACTION", "PAD_CHAR_TO_FULL_LENGTH"];
const OTHER_MYSQL: &str = "TIME_TRUNCATE_FRACTIONAL";
const OTHER_MARIADB: &str = "TIME_ROUND_FRACTIONAL";
const ZONES: [(usize, &str); 4] = [(60, "+00:00"), (15, "+05:30"), (15, "-03:00"), (10, "SYSTEM")];
/// They may write what the server's own mode refuses: zero dates, zeros as AUTO_INCREMENT.
const WRITERS: [(usize, &str); 2] =
    [(60, MODES[0].1), (40, "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES")];

impl Case {
    pub(crate) fn new(seed: u64, flavor: Flavor) -> Self {
        let rng = Rng::new(seed);
        let rng = &rng;
        let (mut sql_mode, time_zone) = (rng.weighted(&MODES).to_owned(), rng.weighted(&ZONES));
        if rng.chance(20) {
            let own = if flavor.is_mariadb() { OTHER_MARIADB } else { OTHER_MYSQL };
            sql_mode =
                format!("{sql_mode},{}", if rng.chance(40) { own } else { rng.one(&OTHERS) });
        }
        let writers_mode = rng.weighted(&WRITERS);
        let table = tables::table(rng, flavor);
        let alter = alters::alter(rng, flavor, &table);
        let mut scribe = Scribe::new(&table);
        let (rows, writes) = (scribe.rows(rng), scribe.writes(rng));
        Case {
            seed,
            flavor,
            sql_mode,
            time_zone,
            writers_mode,
            table,
            rows,
            writes,
            alter,
            chunk: rng.one(&[1, 2, 3, 5, 5, 9]),
            copy_workers: rng.weighted(&[(3, 1), (5, 2), (2, 3)]),
            refresh_workers: rng.weighted(&[(4, 1), (5, 2), (1, 4)]),
            threaded: rng.chance(25),
        }
    }

    pub(crate) fn clause(&self) -> String {
        self.alter.iter().map(|clause| clause.sql.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// SQL that can be pasted, with the online alter's place in it.
    pub(crate) fn script(&self) -> String {
        let mut sql = String::new();
        let w = &mut sql;
        let _ = writeln!(
            w,
            "-- seed {} on {}: chunks of {}, {} copy and {} refresh workers, {}",
            self.seed,
            self.flavor,
            self.chunk,
            self.copy_workers,
            self.refresh_workers,
            if self.threaded { "writes from a thread" } else { "writes at steps" }
        );
        let _ = writeln!(
            w,
            "SET GLOBAL sql_mode = '{}', GLOBAL time_zone = '{}';",
            self.sql_mode, self.time_zone
        );
        let _ = writeln!(w, "SET NAMES utf8mb4, sql_mode = '{}';", self.writers_mode);
        let _ = writeln!(w, "SET time_zone = '{}';", self.time_zone);
        let _ = writeln!(w, "{};", self.table.sql());
        for row in &self.rows {
            let _ = writeln!(w, "{};", row.sql(&self.table));
        }
        for write in &self.writes {
            let _ = writeln!(w, "-- at {:?}", write.point);
            for sql in write.sql(&self.table) {
                let _ = writeln!(w, "{sql};");
            }
        }
        let _ = writeln!(w, "-- in a new session:");
        let _ = writeln!(w, "ALTER TABLE {} {};", quote(&self.table.name), self.clause());
        sql
    }
}

impl Write {
    pub(crate) fn sql(&self, table: &Table) -> Vec<String> {
        let mut all: Vec<String> = self.statements.iter().map(|s| s.sql(table)).collect();
        if let Some(end) = self.end {
            all.insert(0, "BEGIN".to_owned());
            all.push(end.to_owned());
        }
        all
    }
}
