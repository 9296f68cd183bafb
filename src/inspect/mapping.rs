//! Which column of the table becomes which column of the ghost, and what the others hold.

use super::column::Column;
use super::convert;
use super::fill::{self, Clock};
use super::table::Table;
use crate::db::Flavor;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Ident;
use crate::sql::alter::{AlterClause, Fate};

/// How the table's columns become the ghost's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The columns whose values are copied, by their names before and after.
    pub(crate) columns: Vec<(Ident, Ident)>,
    /// What is selected instead of a column of the table, where its conversion needs that.
    pub(crate) casts: Vec<(Ident, String)>,
    /// New columns whose value has to be said, with the expression that yields it.
    pub(crate) fills: Vec<(String, Ident)>,
    /// Whether one of these is a zero date, which the server's mode may refuse.
    pub(crate) fills_dates: bool,
    pub(crate) zone: ZoneUse,
    /// Whether a TIMESTAMP stays one.
    pub(crate) carries_instants: bool,
}

/// Whether the rows that come out depend on the session's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ZoneUse {
    No,
    /// They may, in an expression that the server evaluates.
    Perhaps,
    /// The values of this column do.
    Certainly(Ident),
}

/// Compares the table with its altered ghost. Every column must be accounted for by the ALTER's
/// text: a column that is missing without having been dropped or renamed means that the text was
/// misunderstood, and its data would be lost.
pub(crate) fn map(
    table: &Table,
    ghost: &Table,
    clause: &AlterClause,
    flavor: Flavor,
    clock: &Clock,
) -> Result<Mapping> {
    let refuse = |why: String| Err(Error::new(ErrorKind::Alter, why));
    let mut columns = Vec::new();
    let mut casts = Vec::new();
    let mut taken: Vec<&Ident> = Vec::new();
    let mut zone = ZoneUse::No;
    let mut carries_instants = false;
    let mut fills_dates = false;
    for column in &table.columns {
        let name = column.name.as_str();
        let new = match clause.mapping(name) {
            Fate::Dropped => continue,
            Fate::Kept => name.to_owned(),
            Fate::Renamed(new) => new.clone(),
        };
        let Some(target) = ghost.column(&new) else {
            return refuse(format!(
                "after the ALTER there is no column `{new}` that could hold the values of \
                 `{name}`, and the ALTER was not understood to drop it"
            ));
        };
        if taken.contains(&&target.name) {
            return refuse(format!("the values of two columns would go to `{new}`"));
        }
        taken.push(&target.name);
        if !target.generated {
            if column.is_timestamp() != target.is_timestamp() {
                zone = ZoneUse::Certainly(column.name.clone());
            } else if column.data_type == "time"
                && ["date", "datetime"].contains(&&*target.data_type)
                && zone == ZoneUse::No
            {
                // The date of today is put before it.
                zone = ZoneUse::Perhaps;
            }
            // Dates that are made of something else are new ones.
            fills_dates |= target.holds_dates() && !column.holds_dates();
            carries_instants |= column.is_timestamp() && target.is_timestamp();
            if let Some(expression) = convert::expression(column, target, flavor) {
                casts.push((column.name.clone(), expression));
            }
            columns.push((column.name.clone(), target.name.clone()));
        }
    }
    let mut fills = Vec::new();
    for column in ghost.columns.iter().filter(|column| !taken.contains(&&column.name)) {
        if let Some(expression) = fill::expression(column, flavor, clock) {
            fills.push((expression, column.name.clone()));
            fills_dates |= !column.has_default && column.holds_dates() && !column.is_timestamp();
        } else if fill::default_tells_time(column) && zone == ZoneUse::No {
            zone = ZoneUse::Perhaps;
        }
    }
    if zone == ZoneUse::No && evaluates_timestamps(ghost) {
        zone = ZoneUse::Perhaps;
    }
    Ok(Mapping { columns, casts, fills, fills_dates, zone, carries_instants })
}

/// Whether there are expressions that could be about a TIMESTAMP.
fn evaluates_timestamps(ghost: &Table) -> bool {
    ghost.columns.iter().any(Column::is_timestamp)
        && (ghost.columns.iter().any(|column| column.generated)
            || ghost.definition.text.contains("CHECK (")
            || ghost.indexes.iter().any(|i| i.parts.iter().any(|part| part.column.is_none())))
}
