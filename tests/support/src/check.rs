//! Judges a table by the writers' journal.

use std::collections::{HashMap, HashSet};
use std::fmt;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::journal::{Entry, Expected, Outcome, digests_sql};
use crate::table::{Table, Token};

/// What is wrong with a table. Every text names the row's id.
#[derive(Debug, Default)]
pub struct Check {
    /// Writes that the server acknowledged.
    pub acknowledged: u64,
    /// Rows compared with the journal: each that was ever written.
    pub journaled: u64,
    /// Rows compared with what they held before: nobody wrote them.
    pub untouched: u64,
    /// Rows that are gone though nobody deleted them.
    pub lost: Vec<String>,
    /// Rows that do not hold what was written last.
    pub stale: Vec<String>,
    /// Rows that are there though they were deleted.
    pub resurrected: Vec<String>,
    /// Rows that nobody inserted, and changes that nobody made.
    pub unexpected: Vec<String>,
}

impl Check {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems().iter().all(|(_, rows)| rows.is_empty())
    }

    /// Panics if anything is wrong.
    ///
    /// # Panics
    ///
    /// See there.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }

    fn problems(&self) -> [(&'static str, &[String]); 4] {
        [
            ("lost", &self.lost),
            ("stale", &self.stale),
            ("resurrected", &self.resurrected),
            ("unexpected", &self.unexpected),
        ]
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged writes to {} rows, {} rows untouched",
            self.acknowledged, self.journaled, self.untouched
        )?;
        for (name, rows) in self.problems() {
            write!(f, ", {} {name}", rows.len())?;
        }
        for (name, rows) in self.problems() {
            for row in rows.iter().take(10) {
                write!(f, "\n  {name}: {row}")?;
            }
        }
        Ok(())
    }
}

/// A row's text: of the columns that only inserts write, and of those that all writes set.
type Texts = (String, String);

/// Compares all of the table with what the writers were promised. Nobody may write to it now.
pub fn check(conn: &mut Conn, table: &Table, outcome: &Outcome) -> mysql::Result<Check> {
    let mut check = Check {
        acknowledged: outcome.acknowledged,
        journaled: outcome.rows.len() as u64,
        ..Check::default()
    };
    let mut unknown = Vec::new();
    let mut found: HashMap<i64, (u64, u64)> = HashMap::new();
    let mut untouched = HashSet::new();
    for row in conn.query_iter(digests_sql(table))? {
        let (id, fixed, written): (i64, u64, u64) =
            mysql::from_row_opt(row?).map_err(mysql::Error::from)?;
        let digests = (fixed, written);
        if outcome.rows.contains_key(&id) {
            found.insert(id, digests);
        } else if let Some(initial) = outcome.snapshot.rows.get(&id) {
            untouched.insert(id);
            if *initial != digests {
                check.unexpected.push(format!("id {id} was changed, and nobody wrote it"));
            }
        } else {
            unknown.push(id);
        }
    }
    check.untouched = untouched.len() as u64;
    for id in outcome.snapshot.rows.keys() {
        if !outcome.rows.contains_key(id) && !untouched.contains(id) {
            check.lost.push(format!("id {id} is gone, and nobody deleted it"));
        }
    }
    judge_unknown(conn, table, outcome, &unknown, &mut check)?;

    let mut ids: Vec<i64> = outcome.rows.keys().copied().collect();
    ids.sort_unstable();
    for ids in ids.chunks(1000) {
        let texts = read_texts(conn, table, ids)?;
        for id in ids {
            let entry = &outcome.rows[id];
            let row = Row { id: *id, digests: found.get(id), texts: texts.get(id) };
            let right = |expected| row.matches(table, outcome, entry.born, expected);
            if !right(entry.last) && !entry.maybe.is_some_and(right) {
                row.report(table, entry, &mut check);
            }
        }
    }
    Ok(check)
}

/// Rows that are in no journal: right only for inserts that got no answer, once for each.
fn judge_unknown(
    conn: &mut Conn,
    table: &Table,
    outcome: &Outcome,
    ids: &[i64],
    check: &mut Check,
) -> mysql::Result<()> {
    let mut possible: HashSet<Texts> = HashSet::new();
    for token in &outcome.uncertain_inserts {
        possible.insert((table.fixed_text(*token), table.written_text(*token)));
    }
    for ids in ids.chunks(1000) {
        for (id, texts) in read_texts(conn, table, ids)? {
            if !possible.remove(&texts) {
                check.unexpected.push(format!("id {id}, which nobody inserted, holds {}", texts.1));
            }
        }
    }
    Ok(())
}

fn read_texts(conn: &mut Conn, table: &Table, ids: &[i64]) -> mysql::Result<HashMap<i64, Texts>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let rows: Vec<(i64, String, String)> = conn.query(format!(
        "SELECT id, {}, {} FROM `{}` WHERE id IN ({list})",
        table.fixed_sql(),
        table.written_sql(),
        table.name()
    ))?;
    Ok(rows.into_iter().map(|(id, fixed, written)| (id, (fixed, written))).collect())
}

/// A row as the table has it.
struct Row<'a> {
    id: i64,
    digests: Option<&'a (u64, u64)>,
    texts: Option<&'a Texts>,
}

impl Row<'_> {
    fn matches(
        &self,
        table: &Table,
        outcome: &Outcome,
        born: Option<Token>,
        expected: Expected,
    ) -> bool {
        let (Some(digests), Some(texts)) = (self.digests, self.texts) else {
            // An index that lacks the row which the table has, or the reverse, is no absence.
            return expected == Expected::Absent && self.digests.is_none() && self.texts.is_none();
        };
        let initial = outcome.snapshot.rows.get(&self.id);
        let fixed = match born {
            Some(token) => texts.0 == table.fixed_text(token),
            None => initial.is_some_and(|initial| initial.0 == digests.0),
        };
        let written = match expected {
            Expected::Absent => false,
            Expected::Initial => initial.is_some_and(|initial| initial.1 == digests.1),
            Expected::Written(token) => texts.1 == table.written_text(token),
        };
        fixed && written
    }

    fn report(&self, table: &Table, entry: &Entry, check: &mut Check) {
        let id = self.id;
        let expected = match entry.last {
            Expected::Absent => "nothing".to_owned(),
            Expected::Initial => "its first content".to_owned(),
            Expected::Written(token) => table.written_text(token),
        };
        match (self.texts, entry.last) {
            (None, _) => check.lost.push(format!("id {id} is gone: it should hold {expected}")),
            (Some(texts), Expected::Absent) => {
                check.resurrected.push(format!("id {id} was deleted, and holds {}", texts.1));
            }
            (Some(texts), _) if texts.1 == expected => check.stale.push(format!(
                "id {id} holds what was written last, but other columns differ: {}",
                texts.0
            )),
            (Some(texts), _) => {
                check.stale.push(format!("id {id} holds {}, and should hold {expected}", texts.1));
            }
        }
    }
}
