//! Rows of the table as the server stores them in the altered columns: put into a temporary table
//! and compared there, they show what becomes of a value by any conversion whatever.
//!
//! The temporary table is the session's own, is gone with it, and is not in the binlog.

use super::part::{Part, Style};
use crate::db::Session;
use crate::error::Result;
use crate::inspect::Table;
use crate::sql::predicate::Side;
use crate::sql::statements::{TablePair, join};
use crate::sql::{Ident, TAG, TableName};

#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) name: TableName,
    /// Its columns with the table's own key, as they are in the table.
    pub(super) keys: Vec<Ident>,
    /// Its columns against the ghost's.
    pub(super) parts: Vec<Part>,
    create: String,
    insert: String,
}

impl Scratch {
    pub(super) fn new(pair: &TablePair, ghost: &Table, style: Style) -> Self {
        let TablePair { source, key, columns, .. } = pair;
        let name = TableName::new(source.schema.clone(), Ident::new("_online_alter_rows"));
        let keys: Vec<Ident> =
            (0..key.columns.len()).map(|i| Ident::new(format!("k{i}"))).collect();
        let stored: Vec<Ident> = (0..columns.len()).map(|i| Ident::new(format!("c{i}"))).collect();
        let parts = stored
            .iter()
            .zip(columns)
            .filter_map(|(stored, (_, new))| {
                Some(Part::stored(stored, ghost.column(new.as_str())?, style))
            })
            .collect();
        let key_columns =
            key.columns.iter().zip(&keys).map(|(c, k)| format!("t.{} AS {k}", c.source));
        let value_columns =
            columns.iter().zip(&stored).map(|((_, new), c)| format!("g.{new} AS {c}"));
        // MariaDB converts the default of a TEXT column to the charset of the table.
        let create = format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {name} \
             (n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB \
             DEFAULT CHARACTER SET utf8mb4 SELECT {} FROM {source} AS t, {} AS g WHERE FALSE",
            join(key_columns.chain(value_columns)),
            pair.ghost,
        );
        let insert = format!(
            "INSERT {TAG} INTO {name} ({}) SELECT {} FROM {source}{}",
            join(keys.iter().chain(&stored)),
            join(
                key.columns
                    .iter()
                    .map(|c| c.source.to_string())
                    .chain(columns.iter().map(|(old, _)| pair.selected(old)))
            ),
            key.hint(Side::Source),
        );
        Scratch { name, keys, parts, create, insert }
    }

    /// Makes the temporary table, if the session does not have it yet.
    pub(super) fn create(&self, session: &mut Session) -> Result<()> {
        // A default that the mode of the rows refuses must not matter: nothing is inserted by default.
        session.exec("SET @online_alter_mode = @@SESSION.sql_mode, SESSION sql_mode = ''")?;
        let created = session.exec(&self.create);
        session.exec("SET SESSION sql_mode = @online_alter_mode")?;
        created.map(drop)
    }

    /// Fills it with the rows of the table that a condition selects. The table is read without locks.
    pub(super) fn fill(&self, session: &mut Session, condition: &str) -> Result<()> {
        self.create(session)?;
        session.exec(&format!("DELETE FROM {}", self.name))?;
        session.exec(&format!("{} WHERE {condition}", self.insert)).map(drop)
    }
}
