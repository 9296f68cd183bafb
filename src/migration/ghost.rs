//! Making the ghost table: a copy of the table's definition, altered as the user said while it is
//! still empty.

use crate::cancel::Cancel;
use crate::checkpoint::{self, StateTable};
use crate::cutover::{SENTRY_COMMENT, StandIn};
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::key::ghost_keys;
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
    /// Unique keys that the ALTER adds, as they are to be defined once the copy is done.
    pub(crate) deferred: Vec<String>,
    /// The index that the chosen key has on the ghost alone.
    pub(crate) stand_in: Option<StandIn>,
}

/// The index that stands in for the chosen key where the ALTER takes its index away.
const STAND_IN: &str = "_online_alter_key";

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
    let keys = ghost_keys(table, &altered, key, &columns)?;

    let mut clauses = Vec::new();
    let mut deferred = Vec::new();
    for index in &keys.added {
        let definition = altered.definition.unique_key(index).ok_or_else(|| {
            let why = format!("the definition of the unique key {index} was not found");
            Error::new(ErrorKind::Alter, why)
        })?;
        deferred.push(format!("ADD {definition}"));
        clauses.push(format!("DROP INDEX {index}"));
    }
    let mut key = key.clone();
    let mut stand_in = None;
    match keys.key {
        Some(index) => key.ghost_index = Some(index),
        None if altered.indexes.iter().any(crate::inspect::table::Index::is_primary) => {
            let name = Ident::new(STAND_IN);
            let columns = join(key.columns.iter().map(|column| &column.ghost));
            clauses.push(format!("ADD UNIQUE KEY {name} ({columns})"));
            stand_in = Some(StandIn {
                drop: format!("DROP INDEX {name}"),
                add: format!("ADD UNIQUE KEY {name} ({columns})"),
                name: name.clone(),
            });
            key.ghost_index = Some(name);
        }
        None => {
            return Err(Error::new(
                ErrorKind::NoUsableKey,
                "the ALTER leaves the table without a primary key; this is not supported yet",
            ));
        }
    }
    let table = if clauses.is_empty() {
        altered
    } else {
        session.exec(&format!("ALTER TABLE {name} {}", clauses.join(", ")))?;
        Table::read(session, &name)?
    };
    let pair = TablePair {
        source: source.clone(),
        ghost: name,
        columns,
        key,
        lock_syntax: server.lock_syntax(),
    };
    Ok(Ghost { table, pair, deferred, stand_in })
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
