//! Choosing the key by which rows are told apart.

use super::table::{Index, Table};
use crate::db::Flavor;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::alter::{AlterClause, Fate};
use crate::sql::{Ident, KeyColumn, KeyShape, KeyType};

/// The unique keys of the table whose columns the ALTER keeps, and what it keeps them as only the
/// server can tell: the best one, and the others. The best is the primary key, or else one of
/// NOT NULL columns, with as few columns as possible, and rather of numbers than of text.
pub(crate) fn choose(
    table: &Table,
    clause: &AlterClause,
    flavor: Flavor,
) -> Result<(KeyShape, Vec<KeyShape>)> {
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
    let mut shapes = shapes.into_iter().map(|(_, shape)| shape);
    if let Some(best) = shapes.next() {
        return Ok((best, shapes.collect()));
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
    // MySQL hashes text without regard to its collation there.
    let text = columns.iter().find(|column| !column.ty.is_exact());
    if let Some(text) = text.filter(|_| flavor == Flavor::MySql && table.is_partitioned_by_key()) {
        return Err(format!(
            "the table is partitioned by KEY, and then MySQL lets in rows that are equal in {}",
            text.source
        ));
    }
    let name = index.name.clone();
    Ok(KeyShape { ghost_index: None, ghost_unique: true, source_index: name, columns })
}
