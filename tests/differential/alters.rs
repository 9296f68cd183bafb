//! Random ALTERs of a table.

use online_alter_support::Flavor;

use crate::names::{name, quote};
use crate::rng::Rng;
use crate::table::{Column, Index, IndexKind, Table};
use crate::tables;
use crate::types::{self, Ty};
use crate::values::Style;

/// One clause of an ALTER.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) sql: String,
    /// A new column whose values are nobody's to foresee: the time.
    pub(crate) unforeseeable: Option<String>,
}

#[derive(Clone, Copy)]
enum What {
    Add,
    Drop,
    Modify,
    Attributes,
    Change,
    Rename,
    Swap,
    Move,
    Default,
    Visibility,
    AddIndex,
    AddUnique,
    DropIndex,
    RenameIndex,
    IndexVisibility,
    PrimaryKey,
    Engine,
    Option,
    Partition,
    Convert,
    AddCheck,
    DropCheck,
}

const WHAT: [(usize, What); 22] = [
    (14, What::Add),
    (7, What::Drop),
    (18, What::Modify),
    (7, What::Attributes),
    (9, What::Change),
    (4, What::Rename),
    (3, What::Swap),
    (4, What::Move),
    (3, What::Default),
    (2, What::Visibility),
    (5, What::AddIndex),
    (5, What::AddUnique),
    (4, What::DropIndex),
    (2, What::RenameIndex),
    (1, What::IndexVisibility),
    (7, What::PrimaryKey),
    (2, What::Engine),
    (6, What::Option),
    (3, What::Partition),
    (4, What::Convert),
    (2, What::AddCheck),
    (2, What::DropCheck),
];

pub(crate) fn alter(rng: &Rng, flavor: Flavor, table: &Table) -> Vec<Clause> {
    let wanted = rng.weighted(&[(50, 1), (30, 2), (20, 3)]);
    let mut maker = Maker { flavor, table, used: Vec::new(), next: 0 };
    let mut clauses = Vec::new();
    for _ in 0..40 {
        if clauses.len() == wanted {
            break;
        }
        let what = rng.weighted(&WHAT);
        clauses.extend(maker.clause(rng, what));
    }
    if clauses.is_empty() {
        clauses.push(plain("ENGINE=InnoDB".to_owned()));
    }
    // Options of partitions come last.
    clauses.sort_by_key(|clause: &Clause| clause.sql.contains("PARTITION"));
    clauses
}

fn plain(sql: String) -> Clause {
    Clause { sql, unforeseeable: None }
}

struct Maker<'a> {
    flavor: Flavor,
    table: &'a Table,
    /// Columns that a clause speaks about already.
    used: Vec<String>,
    next: usize,
}

impl Maker<'_> {
    fn fresh(&mut self, rng: &Rng) -> String {
        self.next += 1;
        name(rng, &format!("n{}", self.next))
    }

    fn any_column(&mut self, rng: &Rng) -> Option<Column> {
        let column = rng.pick(&self.table.columns);
        if self.used.contains(&column.name) && !rng.chance(4) {
            return None;
        }
        // Keys are what everybody uses: they are changed less often.
        if self.table.key.contains(&column.name) && rng.chance(40) {
            return None;
        }
        self.used.push(column.name.clone());
        Some(column.clone())
    }

    fn secondary(&self, rng: &Rng) -> Option<&Index> {
        let all = &self.table.indexes;
        let index = if all.is_empty() { None } else { Some(rng.pick(all)) };
        index.filter(|index| index.kind != IndexKind::Primary)
    }

    fn position(&self, rng: &Rng, percent: usize) -> String {
        if !rng.chance(percent) {
            return String::new();
        }
        let other = rng.pick(&self.table.columns);
        if rng.chance(35) || self.used.contains(&other.name) {
            return " FIRST".to_owned();
        }
        format!(" AFTER {}", quote(&other.name))
    }

    /// The column with another type, and what goes with it.
    fn retyped(&self, rng: &Rng, column: &Column) -> Column {
        let mut new = column.clone();
        new.ty = column.ty.changed(rng, self.flavor);
        new.auto_increment = column.auto_increment && new.ty.is_int() && rng.chance(90);
        if column.generated.is_none() {
            new.default = None;
            if !new.auto_increment && !self.table.key.contains(&column.name) {
                tables::attributes(rng, self.flavor, &mut new);
            }
        } else if rng.chance(70) {
            new.ty = column.ty.clone();
        }
        if rng.chance(6) {
            new.nullable = !new.nullable;
        }
        new
    }

    fn clause(&mut self, rng: &Rng, what: What) -> Option<Clause> {
        let table = self.table;
        Some(plain(match what {
            What::Add => return Some(self.add(rng)),
            What::Drop => {
                if table.columns.len() < 3 {
                    return None;
                }
                format!("DROP COLUMN {}", quote(&self.any_column(rng)?.name))
            }
            What::Modify => {
                let column = self.any_column(rng)?;
                let new = self.retyped(rng, &column);
                format!("MODIFY COLUMN {}{}", new.sql(), self.position(rng, 15))
            }
            What::Attributes => {
                let mut new = self.any_column(rng)?;
                match rng.below(5) {
                    0..2 => new.nullable = !new.nullable,
                    2 => new.comment = Some("new".to_owned()),
                    3 => match new.generated.take() {
                        // To a plain column, or from one.
                        Some((expression, stored)) => {
                            if rng.chance(50) {
                                new.generated = Some((expression, !stored));
                            }
                        }
                        None => new.invisible = !new.invisible,
                    },
                    _ if new.generated.is_none() && !new.auto_increment => {
                        new.default = None;
                        tables::attributes(rng, self.flavor, &mut new);
                    }
                    _ => {}
                }
                format!("MODIFY {}", new.sql())
            }
            What::Change => {
                let column = self.any_column(rng)?;
                let mut new =
                    if rng.chance(50) { self.retyped(rng, &column) } else { column.clone() };
                match rng.below(10) {
                    0 => {}
                    1 => new.name = column.name.to_uppercase(),
                    _ => new.name = self.fresh(rng),
                }
                format!(
                    "CHANGE COLUMN {} {}{}",
                    quote(&column.name),
                    new.sql(),
                    self.position(rng, 10)
                )
            }
            What::Rename => {
                let column = self.any_column(rng)?;
                format!("RENAME COLUMN {} TO {}", quote(&column.name), quote(&self.fresh(rng)))
            }
            What::Swap => {
                let (a, b) = (self.any_column(rng)?, self.any_column(rng)?);
                if a.name == b.name {
                    return None;
                }
                let (x, y) = (quote(&a.name), quote(&b.name));
                if rng.chance(50) {
                    format!("RENAME COLUMN {x} TO {y}, RENAME COLUMN {y} TO {x}")
                } else {
                    format!("CHANGE {x} {y} {}, CHANGE {y} {x} {}", a.definition(), b.definition())
                }
            }
            What::Move => {
                let column = self.any_column(rng)?;
                format!("MODIFY COLUMN {}{}", column.sql(), self.position(rng, 100))
            }
            What::Default => {
                let column = self.any_column(rng)?;
                if column.generated.is_some() || column.auto_increment || column.ty.is_big() {
                    return None;
                }
                let c = quote(&column.name);
                if rng.chance(40) {
                    format!("ALTER COLUMN {c} DROP DEFAULT")
                } else {
                    format!("ALTER COLUMN {c} SET DEFAULT {}", column.ty.value(rng, Style::Tame))
                }
            }
            What::Visibility => {
                let mut column = self.any_column(rng)?;
                column.invisible = !column.invisible;
                if self.flavor.is_mariadb() {
                    format!("MODIFY {}", column.sql())
                } else {
                    let to = if column.invisible { "INVISIBLE" } else { "VISIBLE" };
                    format!("ALTER COLUMN {} SET {to}", quote(&column.name))
                }
            }
            What::AddIndex | What::AddUnique => {
                self.next += 1;
                let plain = format!("j{}", self.next);
                let mut index = tables::index(rng, self.flavor, &table.columns, &plain)?;
                if matches!(what, What::AddUnique) {
                    if !matches!(index.kind, IndexKind::Plain | IndexKind::Unique) {
                        return None;
                    }
                    index.kind = IndexKind::Unique;
                }
                format!("ADD {}", index.sql())
            }
            What::DropIndex => {
                let index = self.secondary(rng)?;
                format!("DROP INDEX {}", quote(&index.name))
            }
            What::RenameIndex => {
                let index = self.secondary(rng)?;
                format!("RENAME INDEX {} TO {}", quote(&index.name), quote(&self.fresh(rng)))
            }
            What::IndexVisibility => {
                let index = self.secondary(rng)?;
                let to = match (self.flavor.is_mariadb(), index.tail.contains('I')) {
                    (true, true) => "NOT IGNORED",
                    (true, false) => "IGNORED",
                    (false, true) => "VISIBLE",
                    (false, false) => "INVISIBLE",
                };
                format!("ALTER INDEX {} {to}", quote(&index.name))
            }
            What::PrimaryKey => return self.primary_key(rng),
            What::Engine => (rng.one(&["ENGINE=InnoDB", "ENGINE InnoDB", "FORCE"])).to_owned(),
            What::Option => {
                let c = types::collation(rng, self.flavor);
                match rng.below(7) {
                    0 => "COMMENT = 'new; it''s'".to_owned(),
                    1 => format!("AUTO_INCREMENT = {}", rng.one(&[1, 50, 5000])),
                    2 => format!("DEFAULT CHARACTER SET {} COLLATE {}", c.charset, c.name),
                    3 => "STATS_PERSISTENT = 1".to_owned(),
                    4 => "ROW_FORMAT = DEFAULT".to_owned(),
                    _ => {
                        let format = rng.one(&["DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"]);
                        format!("ROW_FORMAT = {format}")
                    }
                }
            }
            What::Partition => {
                if table.partition.is_some() && rng.chance(50) {
                    "REMOVE PARTITIONING".to_owned()
                } else if table.partition.is_some() && rng.chance(20) {
                    "ADD PARTITION PARTITIONS 2".to_owned()
                } else {
                    tables::partition(rng, table)?
                }
            }
            What::Convert => {
                let c = types::collation(rng, self.flavor);
                if rng.chance(70) {
                    format!("CONVERT TO CHARACTER SET {} COLLATE {}", c.charset, c.name)
                } else {
                    format!("CONVERT TO CHARACTER SET {}", c.charset)
                }
            }
            What::AddCheck => {
                self.next += 1;
                let check = tables::check(rng, &table.columns, &format!("e{}", self.next))?;
                format!("ADD {}", check.sql())
            }
            What::DropCheck => {
                let check = table.checks.first()?;
                let default = if self.flavor.is_mariadb() {
                    "CONSTRAINT_1".to_owned()
                } else {
                    format!("{}_chk_1", table.name)
                };
                format!("DROP CONSTRAINT {}", quote(check.name.as_ref().unwrap_or(&default)))
            }
        }))
    }

    fn add(&mut self, rng: &Rng) -> Clause {
        let fresh = self.fresh(rng);
        let mut column = tables::column(rng, self.flavor, "x", &self.table.columns);
        column.name = fresh;
        if !column.nullable && column.default.is_none() && rng.chance(60) {
            column.nullable = true;
        }
        let timely = column.default.as_ref().is_some_and(|d| d.starts_with("CURRENT_TIMESTAMP"));
        let sql = format!("ADD COLUMN {}{}", column.sql(), self.position(rng, 30));
        Clause { sql, unforeseeable: timely.then_some(column.name) }
    }

    fn primary_key(&mut self, rng: &Rng) -> Option<Clause> {
        let has = self.table.indexes.first().is_some_and(|i| i.kind == IndexKind::Primary);
        let drop = if has { "DROP PRIMARY KEY, " } else { "" };
        let counts = self.table.columns.iter().any(|column| column.auto_increment);
        match rng.below(5) {
            0 if has => Some(plain("DROP PRIMARY KEY".to_owned())),
            1 if !counts => {
                let name = self.fresh(rng);
                let sql = format!(
                    "{drop}ADD COLUMN {} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST",
                    quote(&name)
                );
                Some(plain(sql))
            }
            2 => {
                let parts: Vec<String> =
                    self.table.key.iter().rev().map(|name| quote(name)).collect();
                Some(plain(format!("{drop}ADD PRIMARY KEY ({})", parts.join(", "))))
            }
            _ => {
                let column = rng.pick(&self.table.columns);
                if !column.ty.can_be_key() || matches!(column.ty, Ty::Bit(_)) {
                    return None;
                }
                let key = self.table.key.first().map(|k| quote(k)).unwrap_or_default();
                let c = quote(&column.name);
                let parts = if rng.chance(60) && key != c { format!("{c}, {key}") } else { c };
                Some(plain(format!("{drop}ADD PRIMARY KEY ({parts})")))
            }
        }
    }
}
