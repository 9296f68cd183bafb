//! Random rows, and what writers do while the table is altered.

use crate::names::quote;
use crate::rng::Rng;
use crate::table::{Column, Table};

/// When a write happens, at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    GhostCreated,
    FencePassed,
    Chunk(u32),
    CopyDone,
    IndexesBuilt,
    BeforeLock,
}

type Assignments = Vec<(String, String)>;

#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Insert { verb: &'static str, columns: Vec<String>, rows: Vec<Vec<String>>, update: Assignments },
    Update { set: Assignments, at: Assignments, tail: String },
    Delete { at: Assignments, tail: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) point: Point,
    pub(crate) statements: Vec<Statement>,
    /// None: each statement for itself. Else the transaction's end.
    pub(crate) end: Option<&'static str>,
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn assignments(all: &Assignments, between: &str, op: &str) -> String {
    let all: Vec<String> =
        all.iter().map(|(column, value)| format!("{}{op}{value}", quote(column))).collect();
    all.join(between)
}

fn condition(at: &Assignments) -> String {
    if at.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", assignments(at, " AND ", " = "))
    }
}

impl Statement {
    pub(crate) fn sql(&self, table: &Table) -> String {
        let t = quote(&table.name);
        match self {
            Statement::Insert { verb, columns, rows, update } => {
                let columns = list(columns.iter().map(|c| quote(c)));
                let rows = list(rows.iter().map(|row| format!("({})", row.join(", "))));
                let update = if update.is_empty() {
                    String::new()
                } else {
                    format!(" ON DUPLICATE KEY UPDATE {}", assignments(update, ", ", " = "))
                };
                format!("{verb} INTO {t} ({columns}) VALUES {rows}{update}")
            }
            Statement::Update { set, at, tail } => {
                format!("UPDATE {t} SET {}{}{tail}", assignments(set, ", ", " = "), condition(at))
            }
            Statement::Delete { at, tail } => format!("DELETE FROM {t}{}{tail}", condition(at)),
        }
    }

    /// The statement without the column, or nothing if nothing is left.
    pub(crate) fn without(&self, column: &str) -> Option<Statement> {
        let less = |all: &Assignments| -> Assignments {
            all.iter().filter(|(name, _)| name != column).cloned().collect()
        };
        Some(match self {
            Statement::Insert { verb, columns, rows, update } => {
                let keep: Vec<bool> = columns.iter().map(|name| name != column).collect();
                let kept = |row: &[String]| -> Vec<String> {
                    row.iter()
                        .zip(&keep)
                        .filter(|(_, keep)| **keep)
                        .map(|(v, _)| v.clone())
                        .collect()
                };
                let rows = rows.iter().map(|row| kept(row)).collect();
                Statement::Insert { verb, columns: kept(columns), rows, update: less(update) }
            }
            Statement::Update { set, at, tail } => {
                let set = less(set);
                if set.is_empty() || tail.contains(&quote(column)) {
                    return None;
                }
                Statement::Update { set, at: less(at), tail: tail.clone() }
            }
            Statement::Delete { at, tail } => {
                if tail.contains(&quote(column)) {
                    return None;
                }
                Statement::Delete { at: less(at), tail: tail.clone() }
            }
        })
    }
}

/// Makes statements, and remembers which keys there may be.
pub(crate) struct Scribe<'a> {
    table: &'a Table,
    keys: Vec<Assignments>,
}

impl<'a> Scribe<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Scribe { table, keys: Vec::new() }
    }

    fn row(&mut self, rng: &Rng, columns: &[&Column]) -> Vec<String> {
        let row: Vec<String> = columns.iter().map(|column| column.value(rng)).collect();
        let key: Assignments = columns
            .iter()
            .zip(&row)
            .filter(|(column, _)| self.table.key.contains(&column.name))
            .map(|(column, value)| (column.name.clone(), value.clone()))
            .collect();
        if !key.iter().any(|(_, value)| value == "NULL" || value == "DEFAULT") {
            self.keys.push(key);
        } else if key.len() == 1 {
            let guess = rng.between(1, 40).to_string();
            self.keys.push(vec![(key[0].0.clone(), guess)]);
        }
        row
    }

    fn insert(&mut self, rng: &Rng, verb: &'static str, most: i64, less: usize) -> Statement {
        let table = self.table;
        let mut columns: Vec<&Column> =
            table.columns.iter().filter(|column| column.generated.is_none()).collect();
        if rng.chance(less) {
            columns.retain(|column| {
                let may_miss = column.nullable || column.default.is_some() || column.auto_increment;
                !may_miss || rng.chance(60)
            });
        }
        if columns.is_empty() {
            columns.extend(table.columns.iter().filter(|c| c.generated.is_none()).take(1));
        }
        let rows = (0..rng.between(1, most)).map(|_| self.row(rng, &columns)).collect();
        let columns = columns.iter().map(|column| column.name.clone()).collect();
        Statement::Insert { verb, columns, rows, update: Vec::new() }
    }

    fn set(&self, rng: &Rng) -> Assignments {
        let table = self.table;
        let columns: Vec<&Column> =
            table.columns.iter().filter(|c| c.generated.is_none()).collect();
        let mut set: Assignments = Vec::new();
        for _ in 0..rng.between(1, 3) {
            let column = rng.pick(&columns);
            if set.iter().any(|(name, _)| *name == column.name) {
                continue;
            }
            if table.key.contains(&column.name) && rng.chance(50) {
                continue;
            }
            let c = quote(&column.name);
            let value = if column.ty.is_int() && rng.chance(30) {
                format!("{c} + 1")
            } else {
                column.value(rng)
            };
            set.push((column.name.clone(), value));
        }
        if set.is_empty() {
            let column = rng.pick(&columns);
            set.push((column.name.clone(), column.value(rng)));
        }
        set
    }

    fn at(&self, rng: &Rng) -> Assignments {
        if self.keys.is_empty() { Vec::new() } else { rng.pick(&self.keys).clone() }
    }

    /// In the order of the key, so that both clones do the same.
    fn some_rows(&self, rng: &Rng) -> String {
        if self.table.key.is_empty() {
            return String::new();
        }
        let down = if rng.chance(50) { " DESC" } else { "" };
        let order = list(self.table.key.iter().map(|name| format!("{}{down}", quote(name))));
        let limit =
            if rng.chance(75) { format!(" LIMIT {}", rng.between(1, 6)) } else { String::new() };
        format!(" ORDER BY {order}{limit}")
    }

    pub(crate) fn rows(&mut self, rng: &Rng) -> Vec<Statement> {
        let most = rng.weighted(&[(1, 0), (4, 8), (4, 25), (1, 60)]);
        (0..most).map(|_| self.insert(rng, "INSERT", 1, 25)).collect()
    }

    fn statement(&mut self, rng: &Rng) -> Statement {
        match rng.below(100) {
            0..28 => self.insert(rng, "INSERT", 3, 25),
            28..36 => self.insert(rng, "REPLACE", 2, 10),
            36..46 => {
                let set = self.set(rng);
                match self.insert(rng, "INSERT", 2, 10) {
                    Statement::Insert { verb, columns, rows, .. } => {
                        Statement::Insert { verb, columns, rows, update: set }
                    }
                    other => other,
                }
            }
            46..72 => {
                Statement::Update { set: self.set(rng), at: self.at(rng), tail: String::new() }
            }
            72..80 => {
                // A row moves to another key.
                let (to, at) = (self.at(rng), self.at(rng));
                let set = if to.is_empty() { self.set(rng) } else { to };
                Statement::Update { set, at, tail: String::new() }
            }
            80..86 => {
                Statement::Update { set: self.set(rng), at: Vec::new(), tail: self.some_rows(rng) }
            }
            86..97 => Statement::Delete { at: self.at(rng), tail: String::new() },
            _ => Statement::Delete { at: Vec::new(), tail: self.some_rows(rng) },
        }
    }

    pub(crate) fn writes(&mut self, rng: &Rng) -> Vec<Write> {
        let most = rng.weighted(&[(1, 0), (4, 6), (5, 20), (1, 50)]);
        let mut writes: Vec<Write> = (0..most)
            .map(|_| {
                let point = match rng.below(20) {
                    0 => Point::GhostCreated,
                    1..5 => Point::FencePassed,
                    5..14 => Point::Chunk(rng.below(8).try_into().unwrap()),
                    14..17 => Point::CopyDone,
                    17 => Point::IndexesBuilt,
                    _ => Point::BeforeLock,
                };
                let (count, end) = match rng.below(10) {
                    0..7 => (1, None),
                    7..9 => (rng.between(1, 4), Some("COMMIT")),
                    _ => (rng.between(1, 4), Some("ROLLBACK")),
                };
                let statements = (0..count).map(|_| self.statement(rng)).collect();
                Write { point, statements, end }
            })
            .collect();
        writes.sort_by_key(|write| write.point);
        writes
    }
}
