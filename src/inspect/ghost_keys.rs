//! How the rows of the altered ghost are found by the table's key, and which of the ghost's unique
//! keys have to wait until the copy is done.

use super::column::Column;
use super::kept::{Kept, kept, stay_different};
use super::table::{Index, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statements::join;
use crate::sql::{Ident, KeyShape};

/// The name of the index that stands in for the chosen key.
pub(crate) const STAND_IN: &str = "_online_alter_key";

/// The index that a counter needs while its own keys wait.
pub(crate) const COUNTER_INDEX: &str = "_online_alter_counter";

/// What the ghost's keys are to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GhostKeys {
    /// The ghost's unique index over exactly the columns of the chosen key, if it has one that
    /// stays and compares as the table's does.
    pub(crate) own: Option<Ident>,
    /// Unique keys that may be refused for the table's rows, the primary key among them, in the order
    /// in which they are defined: they go on at the end.
    pub(crate) later: Vec<Ident>,
    /// Indexes that are as well built after the copy, in the order in which they are defined: no row can
    /// be refused for them that would not be refused by the table itself.
    pub(crate) built_later: Vec<Ident>,
    /// Generated columns that hold the table's values of key columns which do not compare as before,
    /// by the place of the key column, and as they are defined.
    pub(crate) restored: Vec<(usize, Ident, String)>,
    /// A generated column that is only there lest the stand-in become the index that the rows are
    /// stored in, and dropping it a rebuild.
    pub(crate) secondary: Option<(Ident, String)>,
    /// An AUTO_INCREMENT column that needs an index of its own for the time being.
    pub(crate) counter: Option<Ident>,
}

impl GhostKeys {
    /// The key as the ghost's rows are found by it.
    pub(crate) fn addressed(&self, key: &KeyShape) -> KeyShape {
        let mut key = key.clone();
        for (place, name, _) in &self.restored {
            if let Some(column) = key.columns.get_mut(*place) {
                column.ghost = name.clone();
            }
        }
        key
    }

    /// The columns that are added for the stand-in, as they are defined.
    pub(crate) fn extra_columns(&self) -> impl Iterator<Item = (&Ident, &str)> {
        let restored = self.restored.iter().map(|(_, name, definition)| (name, definition));
        let secondary = self.secondary.iter().map(|(name, definition)| (name, definition));
        restored.chain(secondary).map(|(name, definition)| (name, definition.as_str()))
    }

    /// The columns of the stand-in: those of the key in their order, and what keeps it secondary.
    pub(crate) fn stand_in_columns(&self, key: &KeyShape) -> String {
        let key = self.addressed(key);
        let columns = key.columns.iter().map(|column| &column.ghost);
        join(columns.chain(self.secondary.iter().map(|(name, _)| name)))
    }
}

/// Looks at the altered, empty ghost. `columns` maps the names of the table's columns to the
/// ghost's.
pub(crate) fn ghost_keys(
    table: &Table,
    ghost: &Table,
    shape: &KeyShape,
    columns: &[(Ident, Ident)],
    build_later: bool,
) -> Result<GhostKeys> {
    let restored = restored(table, ghost, shape)?;
    let waits = |index: &Index| index.unique && !is_implied(table, ghost, index, columns);
    let mut later: Vec<(Option<usize>, &Index)> = Vec::new();
    for index in ghost.indexes.iter().filter(|index| index.unique) {
        // The primary key comes first, whenever it is added.
        let place = ghost.definition.place_of_unique_key(&index.name);
        later.push((place.filter(|_| !index.is_primary()), index));
    }
    later.sort_by_key(|(place, _)| *place);
    // What is added later is defined behind what is there, so all that come behind it wait too.
    let first = later.iter().position(|(_, index)| waits(index) && !index.is_primary());
    let waiting = |(at, (_, index)): (usize, &(Option<usize>, &Index))| {
        let behind = first.is_some_and(|first| at >= first && !index.is_primary());
        (behind || waits(index)).then(|| index.name.clone())
    };
    let later: Vec<Ident> = later.iter().enumerate().filter_map(waiting).collect();
    let stays = |index: &&Index| !later.contains(&index.name);
    let is_key = |index: &&Index| {
        index.unique && index.visible && restored.is_empty() && is_over_exactly(index, shape)
    };
    let own = ghost.indexes.iter().filter(stays).find(is_key).map(|index| index.name.clone());
    let has_primary = ghost.indexes.iter().any(Index::is_primary);
    let secondary = (own.is_none() && !has_primary && restored.is_empty()).then(|| {
        let definition = "TINYINT GENERATED ALWAYS AS (0) VIRTUAL".to_owned();
        (Ident::new("_online_alter_k"), definition)
    });
    let leads = |column: &Column| {
        let stand_in = own.is_none()
            && restored.is_empty()
            && shape
                .columns
                .first()
                .is_some_and(|first| column.name.is_column(first.ghost.as_str()));
        stand_in
            || ghost.indexes.iter().filter(stays).any(|index| {
                let first = index.parts.first().and_then(|part| part.column.as_deref());
                first.is_some_and(|name| column.name.is_column(name))
            })
    };
    let counter = ghost.columns.iter().find(|column| column.auto_increment && !leads(column));
    let counter = counter.map(|column| column.name.clone());
    let built_later =
        if build_later { built_later(ghost, shape, own.as_ref(), &later) } else { Vec::new() };
    Ok(GhostKeys { own, later, built_later, restored, secondary, counter })
}

/// The indexes that the copy can do without. The servers order unique keys and others by when they were
/// added, so in front of one that stays all of its kind stay.
fn built_later(
    ghost: &Table,
    shape: &KeyShape,
    own: Option<&Ident>,
    later: &[Ident],
) -> Vec<Ident> {
    let by_place = ghost.definition.indexes();
    let counts = |name: &str| ghost.column(name).is_some_and(|column| column.auto_increment);
    let is_needed = |index: &Index, definition: &str| {
        own == Some(&index.name)
            // Without a unique one of its own, rows may be found by any that leads with the key.
            || own.is_none() && leads_with(index, shape)
            || index.parts.first().is_some_and(|p| p.column.as_deref().is_some_and(counts))
            || !index.ordered
            || index.parts.iter().any(|part| part.column.is_none())
            // MariaDB makes a hidden column for a unique key over long values.
            || definition.contains(" USING HASH")
    };
    let mut waiting = Vec::new();
    let (mut unique_stays, mut other_stays) = (false, false);
    for (name, definition) in by_place.into_iter().rev() {
        let Some(index) = ghost.indexes.iter().find(|index| index.name == name) else {
            continue;
        };
        if later.contains(&name) {
            continue;
        }
        let stays = if index.unique { &mut unique_stays } else { &mut other_stays };
        // FULLTEXT indexes come last wherever they are defined.
        *stays |= is_needed(index, definition) && !definition.starts_with("FULLTEXT ");
        if !*stays && index.ordered {
            waiting.push(name);
        }
    }
    waiting.reverse();
    waiting
}

/// Which columns of the key need a generated column, and how that is defined.
fn restored(table: &Table, ghost: &Table, shape: &KeyShape) -> Result<Vec<(usize, Ident, String)>> {
    let mut restored = Vec::new();
    for (place, column) in shape.columns.iter().enumerate() {
        let old = table.column(column.source.as_str());
        let new = ghost.column(column.ghost.as_str());
        let (Some(old), Some(new)) = (old, new) else {
            return Err(Error::new(
                ErrorKind::NoUsableKey,
                format!("the key column {} is not there after the ALTER", column.source),
            ));
        };
        match kept(old, new) {
            Ok(Kept::Same) => {}
            Ok(Kept::Back(expression)) => {
                let octets = old.octets.unwrap_or(0).to_string();
                let value =
                    expression.replace("{length}", &octets).replace("{}", &new.name.to_string());
                let mut ty = old.column_type.clone();
                if let (Some(charset), Some(collation)) = (&old.charset, &old.collation) {
                    ty = format!("{ty} CHARACTER SET {charset} COLLATE {collation}");
                }
                // It may be NULL, to the server: so an index over it does not become the one that the
                // rows are stored in.
                let definition = format!("{ty} GENERATED ALWAYS AS ({value}) VIRTUAL");
                restored.push((place, Ident::new(format!("_online_alter_k{place}")), definition));
            }
            Err(why) => {
                let why = format!(
                    "{why}, after which rows could not be told apart as before; this is not supported"
                );
                return Err(Error::new(ErrorKind::NoUsableKey, why));
            }
        }
    }
    Ok(restored)
}

/// An index of the ghost, which need not be unique, that has the columns of the key in front.
pub(crate) fn leading(ghost: &Table, later: &[Ident], shape: &KeyShape) -> Option<Ident> {
    let leads = |index: &&Index| leads_with(index, shape) && !later.contains(&index.name);
    ghost.indexes.iter().find(leads).map(|index| index.name.clone())
}

fn leads_with(index: &Index, shape: &KeyShape) -> bool {
    index.visible
        && index.ordered
        && index.parts.len() >= shape.columns.len()
        && index.parts.iter().zip(&shape.columns).all(|(part, column)| {
            part.prefix.is_none()
                && part.column.as_deref().is_some_and(|name| column.ghost.is_column(name))
        })
}

fn is_over_exactly(index: &Index, shape: &KeyShape) -> bool {
    index.parts.len() == shape.columns.len()
        && index.parts.iter().all(|part| {
            part.prefix.is_none()
                && part.column.as_deref().is_some_and(|name| {
                    shape.columns.iter().any(|column| column.ghost.is_column(name))
                })
        })
}

/// Whether a unique key of the table implies that of the ghost: it is over the same columns, or
/// fewer, and values that are different in them stay so.
fn is_implied(table: &Table, ghost: &Table, index: &Index, columns: &[(Ident, Ident)]) -> bool {
    // The parts of the ghost's index under the table's names, in any order.
    let mut parts: Vec<(&Column, Option<u64>)> = Vec::new();
    for part in &index.parts {
        let new = part.column.as_deref().and_then(|name| ghost.column(name));
        let old = new.and_then(|new| {
            let (old, _) = columns.iter().find(|(_, name)| new.name.is_column(name.as_str()))?;
            table.column(old.as_str())
        });
        // A part that says nothing about the table's values does not weaken the others.
        if let (Some(old), Some(new)) = (old, new)
            && stay_different(old, new)
        {
            parts.push((old, part.prefix));
        }
    }
    table.indexes.iter().filter(|candidate| candidate.unique).any(|candidate| {
        candidate.parts.iter().all(|part| {
            part.column.as_deref().is_some_and(|name| {
                parts.iter().any(|(column, prefix)| {
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
