//! Which column of the table becomes which column of the ghost.

use super::column::Column;
use super::server::ServerInfo;
use super::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Ident;
use crate::sql::alter::{AlterClause, Fate};

/// Compares the table with its altered ghost. Every column must be accounted for by the ALTER's
/// text: a column that is missing without having been dropped or renamed means that the text was
/// misunderstood, and its data would be lost. Returns the columns whose values are copied, by their
/// names before and after.
pub(crate) fn map(
    table: &Table,
    ghost: &Table,
    clause: &AlterClause,
    server: &ServerInfo,
) -> Result<Vec<(Ident, Ident)>> {
    let mut columns = Vec::new();
    let mut taken: Vec<&Ident> = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let new = match clause.mapping(name) {
            Fate::Dropped => continue,
            Fate::Kept => name.to_owned(),
            Fate::Renamed(new) => new.clone(),
        };
        let Some(target) = ghost.column(&new) else {
            return Err(Error::new(
                ErrorKind::Alter,
                format!(
                    "after the ALTER there is no column `{new}` that could hold the values of \
                     `{name}`, and the ALTER was not understood to drop it"
                ),
            ));
        };
        let zoned = |column: &Column| column.data_type == "timestamp";
        if zoned(column) != zoned(target) && !target.generated && !server.is_in_utc() {
            return Err(Error::new(
                ErrorKind::Alter,
                format!(
                    "the column `{name}` changes between TIMESTAMP and another type on a server whose \
                     time zone is not UTC, so that its values depend on the session's zone; this is \
                     not supported yet"
                ),
            ));
        }
        taken.push(&target.name);
        if !target.generated {
            columns.push((column.name.clone(), target.name.clone()));
        }
    }
    for column in ghost.columns.iter().filter(|column| !taken.contains(&&column.name)) {
        let filled =
            column.nullable || column.has_default || column.generated || column.auto_increment;
        if !filled {
            return Err(Error::new(
                ErrorKind::Alter,
                format!(
                    "the new column {} is NOT NULL and has no DEFAULT, so it is not said what the \
                     rows that are there should hold: give it a DEFAULT",
                    column.name
                ),
            ));
        }
    }
    Ok(columns)
}
