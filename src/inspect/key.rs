//! Choosing the key by which rows are told apart.

use super::column::Column;
use super::table::{Index, Table};
use crate::db::Flavor;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::alter::{AlterClause, Fate};
use crate::sql::{Ident, KeyColumn, KeyShape, KeyType};

/// The best unique key of the table whose columns the ALTER keeps: the primary key, or else one of
/// NOT NULL columns, with as few columns as possible, and rather of numbers than of text.
pub(crate) fn choose(table: &Table, clause: &AlterClause, flavor: Flavor) -> Result<KeyShape> {
    let mut refused = Vec::new();
    let mut shapes: Vec<(&Index, KeyShape)> = Vec::new();
    for index in table.indexes.iter().filter(|index| index.unique) {
        match shape(table, index, clause, flavor) {
            Ok(shape) => shapes.push((index, shape)),
            Err(why) => refused.push(format!("{}: {why}", index.name)),
        }
    }
    let cost = |(index, shape): &(&Index, KeyShape)| {
        let text = shape.columns.iter().any(|c| !matches!(c.ty, KeyType::Int { .. }));
        (!index.is_primary(), shape.columns.len(), text)
    };
    shapes.sort_by_key(cost);
    if let Some((_, shape)) = shapes.into_iter().next() {
        return Ok(shape);
    }
    let mut why = format!(
        "{} has no primary key, nor a unique key of NOT NULL columns, that is there before and \
         after the ALTER and by which rows can be told apart",
        table.name
    );
    if !refused.is_empty() {
        why = format!("{why} ({})", refused.join("; "));
    }
    Err(Error::new(ErrorKind::NoUsableKey, why))
}

fn shape(
    table: &Table,
    index: &Index,
    clause: &AlterClause,
    flavor: Flavor,
) -> Result<KeyShape, String> {
    if !index.visible {
        return Err("it is invisible to the optimizer".to_owned());
    }
    let mut columns = Vec::with_capacity(index.parts.len());
    for part in &index.parts {
        let name = part.column.as_deref().ok_or("it has an expression in it")?;
        if part.prefix.is_some() {
            return Err(format!("only a prefix of {name} is indexed"));
        }
        let column = table.column(name).ok_or_else(|| format!("{name} is hidden"))?;
        if column.nullable {
            return Err(format!("{name} may be NULL"));
        }
        let ty = column
            .key_type(flavor)
            .ok_or_else(|| format!("{name} is of type {}", column.column_type))?;
        let ghost = match clause.mapping(name) {
            Fate::Kept => column.name.clone(),
            Fate::Renamed(new) => Ident::new(new),
            Fate::Dropped => return Err(format!("the ALTER drops {name}")),
        };
        let source = column.name.clone();
        columns.push(KeyColumn { source, ghost, ty, descending: part.descending });
    }
    let name = index.name.clone();
    Ok(KeyShape { ghost_index: None, source_index: name, columns })
}

/// How the ghost's indexes relate to the table's: which one enforces the chosen key there, and
/// which unique keys are the ghost's own.
#[derive(Debug)]
pub(crate) struct GhostKeys {
    /// The ghost's unique index over exactly the columns of the chosen key, if it has one.
    pub(crate) key: Option<Ident>,
    /// Unique keys that the table does not have: they go on at the end.
    pub(crate) added: Vec<Ident>,
}

/// Looks at the altered, empty ghost. `columns` maps the names of the table's columns to the
/// ghost's.
pub(crate) fn ghost_keys(
    table: &Table,
    ghost: &Table,
    shape: &KeyShape,
    columns: &[(Ident, Ident)],
) -> Result<GhostKeys> {
    for column in &shape.columns {
        let old = table.column(column.source.as_str());
        let new = ghost.column(column.ghost.as_str());
        let (Some(old), Some(new)) = (old, new) else {
            return Err(Error::new(
                ErrorKind::NoUsableKey,
                format!("the key column {} is not there after the ALTER", column.source),
            ));
        };
        old.keeps_keys_as(new).map_err(|why| {
            let why = format!(
                "{why}, after which rows could not be told apart as before; this is not supported"
            );
            Error::new(ErrorKind::NoUsableKey, why)
        })?;
    }
    let enforces_key = |index: &&Index| {
        index.unique
            && index.visible
            && index.parts.len() == shape.columns.len()
            && index.parts.iter().all(|part| {
                part.prefix.is_none()
                    && part.column.as_deref().is_some_and(|name| {
                        shape.columns.iter().any(|column| column.ghost.is_column(name))
                    })
            })
    };
    let key = ghost.indexes.iter().find(enforces_key).map(|index| index.name.clone());
    let mut added = Vec::new();
    for index in ghost.indexes.iter().filter(|index| index.unique) {
        if Some(&index.name) == key.as_ref() || is_in_table(table, ghost, index, columns) {
            continue;
        }
        if index.is_primary() {
            return Err(Error::new(
                ErrorKind::NoUsableKey,
                "the ALTER makes a primary key of columns that are not a unique key of the table; \
                 this is not supported yet",
            ));
        }
        added.push(index.name.clone());
    }
    Ok(GhostKeys { key, added })
}

/// Whether the table has a unique key over the same columns with the same comparison: then a
/// value that is unique in the table is unique in the ghost.
fn is_in_table(table: &Table, ghost: &Table, index: &Index, columns: &[(Ident, Ident)]) -> bool {
    // The parts of the ghost's index under the table's names, in any order.
    let wanted: Option<Vec<(&Column, Option<u64>)>> = index
        .parts
        .iter()
        .map(|part| {
            let new = ghost.column(part.column.as_deref()?)?;
            let (old, _) = columns.iter().find(|(_, name)| new.name.is_column(name.as_str()))?;
            let old = table.column(old.as_str())?;
            old.keeps_keys_as(new).ok()?;
            Some((old, part.prefix))
        })
        .collect();
    let Some(wanted) = wanted else { return false };
    table.indexes.iter().filter(|candidate| candidate.unique).any(|candidate| {
        // A unique key over fewer columns is the stronger one.
        candidate.parts.iter().all(|part| {
            part.column.as_deref().is_some_and(|name| {
                wanted.iter().any(|(column, prefix)| {
                    column.name.is_column(name) && at_most(part.prefix, *prefix)
                })
            })
        })
    })
}

/// Whether a key over a prefix of `narrow` characters being unique makes one of `wide` unique.
fn at_most(narrow: Option<u64>, wide: Option<u64>) -> bool {
    match (narrow, wide) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(narrow), Some(wide)) => narrow <= wide,
    }
}
