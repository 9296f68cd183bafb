//! Which logged statements stop a run: those that change a table of the run without row events, or
//! may.

use super::position::BinlogPosition;
use super::query::Query;
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::TableName;
use crate::sql::mentions::{DdlKind, Effect, Statement};

/// What a statement that is let pass means to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Unconcerned,
    /// It is the run's own swap of the tables.
    OurSwap,
}

/// A statement, and what has to be known to judge it.
#[derive(Debug)]
pub(super) struct Suspect<'a> {
    pub(super) watch: &'a Watch,
    pub(super) statement: &'a Statement,
    pub(super) query: &'a Query,
    pub(super) position: &'a BinlogPosition,
    /// It was run by a connection of this run.
    pub(super) own: bool,
    /// The tables are swapped already: the table is the application's own business again.
    pub(super) swapped: bool,
}

impl Suspect<'_> {
    /// An error if the run cannot go on behind the statement.
    pub(super) fn judge(&self) -> Result<Passed> {
        let source = &self.watch.source;
        match &self.statement.effect {
            Effect::Ddl(DdlKind::RenameTable(_)) if self.own && self.names(source) => {
                return Ok(Passed::OurSwap);
            }
            _ if self.swapped => {}
            Effect::Dml if self.own || self.is_of_the_platform() && self.touched().is_none() => {}
            // What it writes to besides the tables that it names, through triggers, functions and
            // views, is not known.
            Effect::Dml => {
                return self
                    .stop("a change logged as a statement instead of rows, which may be", source);
            }
            Effect::Ddl(DdlKind::DropDatabase(_)) if self.names(source) => {
                return self.stop("DROP DATABASE", source);
            }
            Effect::Ddl(DdlKind::CreateTable) => match self.touched() {
                // `CREATE TABLE x LIKE t` reads the definition only.
                Some(table) if self.has_word("REFERENCES") || self.creates(table) => {
                    return self.stop("a new definition or foreign key", table);
                }
                _ => {}
            },
            Effect::Ddl(
                DdlKind::AlterTable
                | DdlKind::DropTable
                | DdlKind::TruncateTable
                | DdlKind::RenameTable(_)
                | DdlKind::CreateIndex
                | DdlKind::DropIndex
                | DdlKind::CreateTrigger
                | DdlKind::Unknown,
            ) => {
                if let Some(table) = self.touched() {
                    return self.stop("a change of definition", table);
                }
            }
            _ => {}
        }
        Ok(Passed::Unconcerned)
    }

    /// The first table of the run that the statement names. What the run does to its own is right.
    fn touched(&self) -> Option<&TableName> {
        let ours = [&self.watch.ghost, &self.watch.state];
        std::iter::once(&self.watch.source)
            .chain(ours.into_iter().filter(|_| !self.own))
            .find(|table| self.names(table))
    }

    /// Other charsets have the letters of ASCII in common; a text that is not in UTF-8 may mean any
    /// name that has others.
    fn names(&self, table: &TableName) -> bool {
        let (schema, table) = (table.schema.as_str(), table.table.as_str());
        self.statement.names(schema, table)
            || self.query.foreign_charset && !(schema.is_ascii() && table.is_ascii())
    }

    /// Amazon RDS logs its heartbeats (`INSERT INTO mysql.rds_heartbeat2 ..`) as statements. Tables
    /// of the schema `mysql` have no triggers.
    fn is_of_the_platform(&self) -> bool {
        self.statement.tables.iter().any(|(schema, table)| {
            schema.as_deref() == Some("mysql") && table.to_ascii_lowercase().starts_with("rds_")
        })
    }

    fn has_word(&self, word: &str) -> bool {
        let of_words = |c: char| !c.is_alphanumeric() && c != '_' && c != '$';
        self.query.text.split(of_words).any(|found| found.eq_ignore_ascii_case(word))
    }

    fn creates(&self, table: &TableName) -> bool {
        let first = self.statement.tables.first();
        first.is_some_and(|(_, name)| name.eq_ignore_ascii_case(table.table.as_str()))
    }

    fn stop<T>(&self, what: &str, table: &TableName) -> Result<T> {
        Err(Error::new(
            ErrorKind::TableChanged,
            format!("{what} on {table} at {}: {}", self.position, excerpt(&self.query.text)),
        ))
    }
}

fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(120).collect();
    if excerpt.len() < text.len() {
        excerpt.push_str(" ..");
    }
    excerpt
}
