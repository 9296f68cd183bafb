//! Making the ghost table: a copy of the table's definition, altered as the user said while it is
//! still empty.

use crate::cancel::Cancel;
use crate::checkpoint::{self, StateTable};
use crate::cutover::{SENTRY_COMMENT, StandIn};
use crate::db::{Flavor, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ghost_keys::{COUNTER_INDEX, GhostKeys, STAND_IN, ghost_keys, leading};
use crate::inspect::mapping;
use crate::inspect::{ServerInfo, Table};
use crate::migration::Options;
use crate::sql::alter::AlterClause;
use crate::sql::statements::{TablePair, join};
use crate::sql::{Ident, KeyShape, TableName};

/// The ghost table.
#[derive(Debug)]
pub(crate) struct Ghost {
    pub(crate) table: Table,
    /// How the table maps to it.
    pub(crate) pair: TablePair,
    /// The chosen key by its own columns, which the new table will have.
    pub(crate) key: KeyShape,
    /// The clauses that add, once the copy is done, the unique keys that the table's do not imply.
    pub(crate) deferred: Vec<String>,
    /// The index that the chosen key has on the ghost alone.
    pub(crate) stand_in: Option<StandIn>,
}

/// Whether tables with the names that the run needs are there, and may be replaced.
pub(crate) fn check_leftovers(
    session: &mut Session,
    source: &TableName,
    options: &Options,
) -> Result<Vec<TableName>> {
    let (ghost, state, old) = (source.ghost(), source.state(), source.old());
    let is_ours = Table::comment(session, &state)?.as_deref() == Some(checkpoint::COMMENT);
    let record = if is_ours { StateTable::read_record(session, &state)? } else { None };
    let mut replace = Vec::new();
    let refuse = |name: &TableName, advice: &str| {
        Err(Error::new(ErrorKind::LeftoversPresent, format!("{name} is there already: {advice}")))
    };
    for name in [&ghost, &state] {
        if !Table::exists(session, name)? {
            continue;
        }
        let recorded = record.as_ref().is_some_and(|body| body.contains(&format!("ghost {ghost}")));
        match (is_ours, options.replace_ghost) {
            (true, true) if *name == state || recorded => replace.push(name.clone()),
            (true, false) => refuse(
                name,
                "an earlier run left it; have it replaced (replace_ghost_table) or drop it",
            )?,
            _ => refuse(
                name,
                "it is not known to be of an earlier run of online-alter, so it is not touched; \
                 drop it yourself if it may go",
            )?,
        }
    }
    if Table::exists(session, &old)? {
        let is_sentry = Table::comment(session, &old)?.as_deref() == Some(SENTRY_COMMENT);
        if is_sentry || options.replace_old {
            replace.push(old);
        } else {
            refuse(
                &old,
                "it may be the old table of an earlier run; have it replaced (replace_old_table), \
                 drop it or rename it",
            )?;
        }
    }
    // The state table last: until then it shows whose the others are.
    replace.sort_by_key(|name| *name == state);
    Ok(replace)
}

/// Alters the ghost, which is an empty copy of the table, and sees how the table maps to it.
pub(crate) fn alter(
    session: &mut Session,
    server: &ServerInfo,
    table: &Table,
    clause: &AlterClause,
    key: &KeyShape,
) -> Result<Ghost> {
    let source = &table.name;
    let name = source.ghost();
    session.exec(&format!("ALTER TABLE {name} {}", clause.text)).map_err(|error| {
        error.with_kind(ErrorKind::Alter).context("the server refuses the ALTER")
    })?;
    let altered = Table::read(session, &name)?;
    let columns = mapping::map(table, &altered, clause, server)?;
    refuse_new_counter(&altered, &columns)?;
    let keys = ghost_keys(table, &altered, key, &columns)?;
    let (clauses, deferred) = deferred(&altered, &keys)?;
    if keys.later.iter().any(|index| index.as_str() == "PRIMARY") {
        do_without_primary_key(session, server)?;
    }
    let (found_by, stand_in) = match &keys.own {
        Some(index) => {
            alter_if_any(session, &name, &clauses)?;
            (KeyShape { ghost_index: Some(index.clone()), ..key.clone() }, None)
        }
        None => add_stand_in(session, &altered, &keys, key, clauses)?,
    };
    let pair = TablePair {
        source: source.clone(),
        ghost: name,
        columns,
        key: found_by,
        lock_syntax: server.lock_syntax(),
    };
    Ok(Ghost { table: altered, pair, key: key.clone(), deferred, stand_in })
}

/// Unique keys that wait, as clauses that drop them now, and add them in the end.
fn deferred(altered: &Table, keys: &GhostKeys) -> Result<(Vec<String>, Vec<String>)> {
    let mut now = Vec::new();
    let mut later = Vec::new();
    for index in &keys.later {
        let definition = altered.definition.key(index).ok_or_else(|| {
            let why = format!("the definition of the unique key {index} was not found");
            Error::new(ErrorKind::Alter, why)
        })?;
        later.push(format!("ADD {definition}"));
        now.push(match index.as_str() {
            "PRIMARY" => "DROP PRIMARY KEY".to_owned(),
            _ => format!("DROP INDEX {index}"),
        });
    }
    if let Some(counter) = &keys.counter {
        now.push(format!("ADD KEY {COUNTER_INDEX} ({counter})"));
        later.push(format!("DROP INDEX {COUNTER_INDEX}"));
    }
    Ok((now, later))
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
            return Err(error.with_kind(ErrorKind::NoUsableKey).context(
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
    session.exec(&format!("ALTER TABLE {table} {}", clauses.join(", "))).map(drop)
}

/// The server's own ALTER numbers the rows in the order in which it reads them. Here they come in
/// ranges side by side, and rows that change come again: they would have other numbers.
fn refuse_new_counter(altered: &Table, columns: &[(Ident, Ident)]) -> Result<()> {
    let is_new = |name: &Ident| !columns.iter().any(|(_, ghost)| ghost == name);
    let counter = altered.columns.iter().find(|c| c.auto_increment && is_new(&c.name));
    counter.map_or(Ok(()), |column| {
        let why = format!(
            "the new column {} is AUTO_INCREMENT: the numbers that the rows would get depend on the \
             order in which they come, and that is not the server's own; add it without \
             AUTO_INCREMENT, fill it, and make it AUTO_INCREMENT then",
            column.name
        );
        Err(Error::new(ErrorKind::Alter, why))
    })
}

/// The ghost is without its primary key until the copy is done.
fn do_without_primary_key(session: &mut Session, server: &ServerInfo) -> Result<()> {
    if server.flavor != Flavor::MySql
        || session.scalar("SELECT @@SESSION.sql_require_primary_key")?.as_deref() == Some("0")
    {
        return Ok(());
    }
    session.exec("SET SESSION sql_require_primary_key = OFF").map(drop).map_err(|error| {
        error.with_kind(ErrorKind::Alter).context(
            "the new primary key is of columns that the table does not have as a unique key, so it \
             can only be built when the rows are copied; but the server has \
             sql_require_primary_key=ON, and the user may not set it for the session",
        )
    })
}

/// Drops tables that an earlier run left.
pub(crate) fn drop_leftovers(
    session: &mut Session,
    names: &[TableName],
    cancel: &Cancel,
) -> Result<()> {
    for name in names {
        cancel.check()?;
        log::debug!("dropping {name}, which an earlier run left");
        session.exec(&format!("DROP TABLE {name}"))?;
    }
    Ok(())
}
