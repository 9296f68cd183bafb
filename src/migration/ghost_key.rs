//! The ghost's unique keys while rows are copied: by which its rows are found, and which have to wait.

use serde::{Deserialize, Serialize};

use crate::cutover::StandIn;
use crate::db::{Flavor, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ghost_keys::{COUNTER_INDEX, GhostKeys, STAND_IN, leading};
use crate::inspect::table::Index;
use crate::inspect::{ServerInfo, Table};
use crate::sql::statements::join;
use crate::sql::{Ident, KeyShape, TableName};

/// What has become of the ghost's keys.
#[derive(Debug)]
pub(super) struct KeyOnGhost {
    /// The chosen key, as the ghost's rows are found by it.
    pub(super) found_by: KeyShape,
    /// The index that the chosen key has on the ghost alone.
    pub(super) stand_in: Option<StandIn>,
    /// What is added once the copy is done.
    pub(super) deferred: Deferred,
}

/// Indexes that are not on the ghost while rows are copied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deferred {
    pub(crate) names: Vec<Ident>,
    /// The clauses that add them.
    pub(crate) clauses: Vec<String>,
    /// Those of them that are unique and not implied by the table's.
    pub(crate) strict: Vec<Index>,
    /// Whether any is unique.
    pub(crate) any_unique: bool,
}

/// Takes off the empty ghost what has to wait, and adds what its rows are found by.
pub(super) fn set_up(
    session: &mut Session,
    server: &ServerInfo,
    altered: &Table,
    keys: &GhostKeys,
    key: &KeyShape,
) -> Result<KeyOnGhost> {
    let (now, deferred) = defer(altered, keys)?;
    if keys.later.iter().any(|index| index.as_str() == "PRIMARY") {
        do_without_primary_key(session, server)?;
    }
    let (found_by, stand_in) = match &keys.own {
        Some(index) => {
            alter_if_any(session, &altered.name, &now)?;
            (KeyShape { ghost_index: Some(index.clone()), ..key.clone() }, None)
        }
        None => add_stand_in(session, altered, keys, key, now)?,
    };
    Ok(KeyOnGhost { found_by, stand_in, deferred })
}

/// What waits, as clauses that drop it now, and as what adds it in the end.
fn defer(altered: &Table, keys: &GhostKeys) -> Result<(Vec<String>, Deferred)> {
    let (mut now, mut deferred) = (Vec::new(), Deferred::default());
    let mut waiting: Vec<&Ident> = keys.later.iter().chain(&keys.built_later).collect();
    // Two lists, each in order; the primary key, which has no place among the others, in front.
    let places = altered.definition.indexes();
    waiting.sort_by_key(|name| places.iter().position(|(place, _)| place == *name));
    for name in waiting {
        let definition = altered.definition.key(name).ok_or_else(|| {
            let why = format!("the definition of the index {name} was not found");
            Error::new(ErrorKind::Alter, why)
        })?;
        deferred.names.push(name.clone());
        deferred.clauses.push(format!("ADD {definition}"));
        let index = altered.indexes.iter().find(|index| index.name == *name);
        deferred.any_unique |= index.is_some_and(|index| index.unique);
        if keys.later.contains(name) {
            deferred.strict.extend(index.cloned());
        }
        now.push(match name.as_str() {
            "PRIMARY" => "DROP PRIMARY KEY".to_owned(),
            _ => format!("DROP INDEX {name}"),
        });
    }
    if let Some(counter) = &keys.counter {
        now.push(format!("ADD KEY {COUNTER_INDEX} ({counter})"));
        deferred.clauses.push(format!("DROP INDEX {COUNTER_INDEX}"));
    }
    Ok((now, deferred))
}

/// The index by which the ghost's rows are found where none of its own will do.
fn add_stand_in(
    session: &mut Session,
    altered: &Table,
    keys: &GhostKeys,
    key: &KeyShape,
    clauses: Vec<String>,
) -> Result<(KeyShape, Option<StandIn>)> {
    /// A unique key of a partitioned table has to contain all columns of the partitioning.
    const NOT_WITH_PARTITIONS: u16 = 1503;
    let ghost = &altered.name;
    let name = Ident::new(STAND_IN);
    let found = keys.addressed(key);
    let columns: Vec<(Ident, String)> =
        keys.extra_columns().map(|(name, ty)| (name.clone(), ty.to_owned())).collect();
    let add_columns = columns.iter().map(|(name, ty)| format!("ADD COLUMN {name} {ty}"));
    let unique = format!("UNIQUE KEY {name} ({})", keys.stand_in_columns(key));
    let mut all: Vec<String> = clauses.iter().cloned().chain(add_columns).collect();
    all.push(format!("ADD {unique}"));
    match alter_if_any(session, ghost, &all) {
        Ok(()) => {
            let stand_in = StandIn { name: name.clone(), definition: unique, columns };
            return Ok((KeyShape { ghost_index: Some(name), ..found }, Some(stand_in)));
        }
        Err(error) if error.server_code() == Some(NOT_WITH_PARTITIONS) => {}
        Err(error) => {
            return Err(error.refused(
                ErrorKind::NoUsableKey,
                "the server does not let the altered table be searched by the key as it was before",
            ));
        }
    }
    let found = KeyShape { ghost_unique: false, ..found };
    if let Some(index) = leading(altered, &keys.later, &found) {
        alter_if_any(session, ghost, &clauses)?;
        return Ok((KeyShape { ghost_index: Some(index), ..found }, None));
    }
    let restored =
        columns.iter().filter(|(name, _)| found.columns.iter().any(|c| c.ghost == *name));
    let columns: Vec<(Ident, String)> = restored.cloned().collect();
    let add_columns = columns.iter().map(|(name, ty)| format!("ADD COLUMN {name} {ty}"));
    let plain = format!("KEY {name} ({})", join(found.columns.iter().map(|c| &c.ghost)));
    let mut all: Vec<String> = clauses.into_iter().chain(add_columns).collect();
    all.push(format!("ADD {plain}"));
    alter_if_any(session, ghost, &all)?;
    let stand_in = StandIn { name: name.clone(), definition: plain, columns };
    Ok((KeyShape { ghost_index: Some(name), ..found }, Some(stand_in)))
}

fn alter_if_any(session: &mut Session, table: &TableName, clauses: &[String]) -> Result<()> {
    if clauses.is_empty() {
        return Ok(());
    }
    let sql = format!("ALTER TABLE {table} {}", clauses.join(", "));
    session.as_printed(|session| session.exec(&sql)).map(drop)
}

/// The ghost is without its primary key until the copy is done.
fn do_without_primary_key(session: &mut Session, server: &ServerInfo) -> Result<()> {
    if server.flavor == Flavor::MySql {
        // Not every version has it. Where it is on, the server makes keys of its own, or refuses.
        let _ = session.exec("SET SESSION sql_generate_invisible_primary_key = OFF");
    }
    if server.flavor != Flavor::MySql
        || session.scalar("SELECT @@SESSION.sql_require_primary_key")?.as_deref() == Some("0")
    {
        return Ok(());
    }
    session.exec("SET SESSION sql_require_primary_key = OFF").map(drop).map_err(|error| {
        error.refused(
            ErrorKind::Alter,
            "the new primary key is of columns that the table does not have as a unique key, so it \
             can only be built when the rows are copied; but the server has \
             sql_require_primary_key=ON, and the user may not set it for the session",
        )
    })
}
