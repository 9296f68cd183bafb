//! What an `ALTER TABLE` clause does to the columns of a table.
//!
//! The server applies the clause, verbatim, to an empty copy of the table, and is the judge of
//! whether it is valid. What it does not say is where the values of each column go, and a wrong
//! guess there loses data. So this reads the clause only as far as it is certain: whatever it does
//! not know is an error that asks for the mapping.

use crate::sql::Ident;
use crate::sql::tokens::{Dialect, LexError, fold, same_name};

mod cursor;
mod parse;
mod stated;
#[cfg(test)]
mod tests;

pub(crate) use stated::Stated;

/// Why a clause is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AlterError {
    #[error("the clause is empty: give what follows `ALTER TABLE t`, such as `ADD COLUMN c INT`")]
    Empty,
    #[error("give only the clause: what follows `ALTER TABLE t`, without those words")]
    WholeStatement,
    #[error("the clause cannot be read: {0}")]
    Lex(#[from] LexError),
    #[error(
        "the executable comment at byte {offset} means different things to different servers: write what this server should run, without the comment"
    )]
    ExecutableComment { offset: usize },
    #[error("`;` at byte {offset}: give one clause, without a terminator")]
    Semicolon { offset: usize },
    #[error("the parenthesis at byte {offset} has no partner")]
    Unbalanced { offset: usize },
    #[error(
        "RENAME at byte {offset} names a new table: rename the table by itself, before or after this change"
    )]
    TableRename { offset: usize },
    #[error(
        "{option} at byte {offset} speaks about how the server would alter the table itself: leave it out"
    )]
    ServerOption { option: String, offset: usize },
    #[error(
        "{action} at byte {offset} acts on the rows or files of existing partitions, and the new table has none: run it on the table by itself"
    )]
    Partition { action: String, offset: usize },
    #[error(
        "{action} TABLESPACE at byte {offset} acts on the files of the table: run it on the table by itself"
    )]
    Tablespace { action: String, offset: usize },
    #[error(
        "ORDER BY at byte {offset} sorts the rows once, and the new table has none: leave it out"
    )]
    OrderBy { offset: usize },
    #[error(
        "system versioning at byte {offset}: the history of rows cannot be carried over; change it on the table by itself"
    )]
    SystemVersioning { offset: usize },
    #[error(
        "it is not certain what {what} at byte {offset} does to the columns: quote names with backticks if one is a keyword, or state the mapping"
    )]
    Unsure { what: String, offset: usize },
}

/// `CHANGE old new`, or `RENAME COLUMN old TO new`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnChange {
    pub(crate) old: String,
    pub(crate) new: String,
}

/// A column whose name is not the same, to the letter, afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renamed<'a> {
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    /// To the server it is the same name still.
    pub(crate) case_only: bool,
}

/// Where the values of a column of the old table go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// To the column of the same name.
    Kept,
    /// To the column of this name.
    Renamed(String),
    /// Nowhere, even if a column of that name is in the new table.
    Dropped,
}

/// A clause, and what it does that the copying of rows has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact about the clause")]
pub(crate) struct AlterClause {
    pub(crate) text: String,
    /// Every `CHANGE` and `RENAME COLUMN`, in order, including those that keep the name.
    pub(crate) changes: Vec<ColumnChange>,
    pub(crate) dropped_columns: Vec<String>,
    pub(crate) added_columns: Vec<String>,
    /// The columns of every `MODIFY`.
    pub(crate) modified_columns: Vec<String>,
    pub(crate) drops_primary_key: bool,
    pub(crate) adds_primary_key: bool,
    pub(crate) adds_unique: bool,
    /// The option of the table, not the attribute of a column.
    pub(crate) sets_auto_increment: bool,
    pub(crate) sets_engine: Option<String>,
    pub(crate) adds_foreign_key: bool,
    /// Also true of `DROP CONSTRAINT`, which may name a foreign key.
    pub(crate) drops_foreign_key: bool,
    /// What the caller says becomes of columns.
    pub(crate) stated: Vec<Stated>,
    /// Where existing constraints are named, and how.
    constraint_names: Vec<(std::ops::Range<usize>, String)>,
    /// The words and names in the parts that were not understood, if there are such parts.
    unread: Option<Vec<String>>,
}

impl AlterClause {
    /// Reads what follows `ALTER TABLE t`.
    #[cfg(test)]
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Self, AlterError> {
        Self::parse_with(text, dialect, Vec::new())
    }

    /// Reads what follows `ALTER TABLE t`. If the caller has `stated` what becomes of columns, parts
    /// that are not understood are passed over; [`check_stated`](Self::check_stated) then says
    /// whether the statement is enough.
    pub(crate) fn parse_with(
        text: &str,
        dialect: Dialect,
        stated: Vec<Stated>,
    ) -> Result<Self, AlterError> {
        let mut clause = parse::parse(text, dialect, !stated.is_empty())?;
        match clause.check_sources(text) {
            Err(AlterError::Unsure { .. }) if !stated.is_empty() => {
                let mut names: Vec<String> = clause.sources().cloned().collect();
                names.extend(clause.changes.iter().map(|change| change.new.clone()));
                clause.unread.get_or_insert_default().extend(names);
            }
            other => other?,
        }
        clause.stated = stated;
        Ok(clause)
    }

    /// The columns whose name changes, be it only in case.
    pub(crate) fn renamed(&self) -> impl Iterator<Item = Renamed<'_>> {
        let read = self.changes.iter().filter(|change| self.stated(&change.old).is_none());
        let read = read.map(|change| (change.old.as_str(), change.new.as_str()));
        let stated = self.stated.iter().filter_map(|s| Some((s.old.as_str(), s.new.as_deref()?)));
        read.chain(stated).filter(|(old, new)| old != new).map(|(old, new)| Renamed {
            old,
            new,
            case_only: fold(old) == fold(new),
        })
    }

    /// The clause with other names for existing constraints, where there are any.
    pub(crate) fn with_constraint_names(&self, other: impl Fn(&str) -> Option<String>) -> String {
        let mut text = self.text.clone();
        for (range, name) in self.constraint_names.iter().rev() {
            if let Some(other) = other(name)
                && text.get(range.clone()).is_some()
            {
                text.replace_range(range.clone(), &other);
            }
        }
        text
    }

    /// The columns whose values go away.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = &str> {
        let read = self.dropped_columns.iter().filter(|column| self.stated(column).is_none());
        let stated = self.stated.iter().filter(|stated| stated.new.is_none());
        read.map(String::as_str).chain(stated.map(|stated| stated.old.as_str()))
    }

    /// Refuses the clause if it may name one of the table's `columns` by a name that only some
    /// servers take for the same. Without this, [`Self::mapping`] is not certain for such columns.
    pub(crate) fn check_columns<'a>(
        &self,
        columns: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AlterError> {
        for column in columns {
            for source in self.sources() {
                if same_name(source, column).is_none() && self.stated(column).is_none() {
                    return Err(AlterError::Unsure {
                        what: format!("`{source}` (the table has a column `{column}`)"),
                        offset: self.text.find(source.as_str()).unwrap_or_default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The columns of the old table that stay, by their names before and after.
    pub(crate) fn map_columns<'a>(
        &self,
        columns: impl IntoIterator<Item = &'a Ident>,
    ) -> Vec<(Ident, Ident)> {
        let pair = |column: &Ident| match self.mapping(column.as_str()) {
            Fate::Dropped => None,
            Fate::Kept => Some((column.clone(), column.clone())),
            Fate::Renamed(new) => Some((column.clone(), Ident::new(new))),
        };
        columns.into_iter().filter_map(pair).collect()
    }

    fn sources(&self) -> impl Iterator<Item = &String> {
        self.changes
            .iter()
            .map(|change| &change.old)
            .chain(&self.dropped_columns)
            .chain(&self.modified_columns)
    }

    /// Where the values of `column`, a column of the old table, go.
    ///
    /// Every part of a clause speaks about the table as it was before the clause, so a swap is two
    /// renames, and neither feeds the other.
    pub(crate) fn mapping(&self, column: &str) -> Fate {
        self.stated(column).map_or_else(|| self.read(column), |stated| stated.fate(column))
    }

    /// The same, by the clause alone.
    fn read(&self, column: &str) -> Fate {
        let folded = fold(column);
        if self.dropped_columns.iter().any(|c| fold(c) == folded) {
            return Fate::Dropped;
        }
        match self.changes.iter().find(|c| fold(&c.old) == folded) {
            Some(change) if change.new != column => Fate::Renamed(change.new.clone()),
            _ => Fate::Kept,
        }
    }

    /// Refuses a clause that says two things about one column: servers differ in what they make of
    /// it, mostly an error.
    fn check_sources(&self, text: &str) -> Result<(), AlterError> {
        check_distinct(self.sources(), text, "what becomes of the column")?;
        let targets = self.changes.iter().map(|change| &change.new).chain(&self.added_columns);
        check_distinct(targets, text, "which column takes the name")
    }
}

fn check_distinct<'a>(
    names: impl Iterator<Item = &'a String>,
    text: &str,
    what: &str,
) -> Result<(), AlterError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(fold(name)) {
            return Err(AlterError::Unsure {
                what: format!("naming `{name}` more than once ({what})"),
                offset: text.rfind(name.as_str()).unwrap_or_default(),
            });
        }
    }
    Ok(())
}
