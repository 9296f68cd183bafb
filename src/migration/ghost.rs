//! Making the ghost table: a copy of the table's definition, altered as the user said while it is
//! still empty.

use crate::cancel::Cancel;
use crate::checkpoint::{self, StateTable};
use crate::cutover::{SENTRY_COMMENT, StandIn};
use crate::db::{Dates, Flavor, Modes, RowsMode, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::column::Column;
use crate::inspect::fill::Clock;
use crate::inspect::key::ghost_keys;
use crate::inspect::mapping::{self, Mapping, ZoneUse};
use crate::inspect::table::Index;
use crate::inspect::{ServerInfo, Table};
use crate::migration::Options;
use crate::sql::alter::AlterClause;
use crate::sql::statements::{TablePair, join};
use crate::sql::{Ident, KeyShape, KeyType, TableName};

/// The ghost table.
#[derive(Debug)]
pub(crate) struct Ghost {
    pub(crate) table: Table,
    /// How the table maps to it.
    pub(crate) pair: TablePair,
    /// Unique keys that the ALTER adds, as they are to be defined once the copy is done.
    pub(crate) deferred: Vec<String>,
    /// The same, as they are.
    pub(crate) deferred_indexes: Vec<Index>,
    /// The index that the chosen key has on the ghost alone.
    pub(crate) stand_in: Option<StandIn>,
    /// In which SQL mode and time zone rows are moved.
    pub(crate) row_modes: Modes,
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
    options: &Options,
) -> Result<Ghost> {
    let source = &table.name;
    let name = source.ghost();
    if server.flavor == Flavor::MySql {
        // Nothing is to be copied yet, and altering in place has bugs: MySQL 9.7.4 crashes of the first row
        // in a table in which a virtual column was moved in place.
        session.exec("SET SESSION old_alter_table = 1")?;
    }
    let sees_dates = apply(session, server, table, clause, options)?;
    let altered = Table::read(session, &name)?;
    let clock = Clock::read(session)?;
    let mapping = mapping::map(table, &altered, clause, server.flavor, &clock)?;
    let row_modes = row_modes(server, key, &mapping, sees_dates, options)?;
    let Mapping { columns, fills, .. } = mapping;
    let keys = ghost_keys(table, &altered, key, &columns)?;

    let mut clauses = Vec::new();
    let mut deferred = Vec::new();
    let mut deferred_indexes = Vec::new();
    for index in &keys.added {
        let definition = altered.definition.unique_key(index).ok_or_else(|| {
            let why = format!("the definition of the unique key {index} was not found");
            Error::new(ErrorKind::Alter, why)
        })?;
        deferred.push(format!("ADD {definition}"));
        deferred_indexes.extend(altered.indexes.iter().find(|i| i.name == *index).cloned());
        clauses.push(format!("DROP INDEX {index}"));
    }
    let mut key = key.clone();
    let mut stand_in = None;
    match keys.key {
        Some(index) => key.ghost_index = Some(index),
        None if altered.indexes.iter().any(Index::is_primary) => {
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
    if server.flavor == Flavor::MySql {
        session.exec("SET SESSION old_alter_table = 0")?;
    }
    let pair = TablePair {
        source: source.clone(),
        ghost: name,
        columns,
        fills,
        key,
        lock_syntax: server.lock_syntax(),
    };
    Ok(Ghost { table, pair, deferred, deferred_indexes, stand_in, row_modes })
}

/// Has the server apply the ALTER to the empty ghost. Returns whether it would copy the rows of the
/// table itself, and look at the dates in them, which it judges by its SQL mode: what it alters in
/// place it does not look at.
fn apply(
    session: &mut Session,
    server: &ServerInfo,
    table: &Table,
    clause: &AlterClause,
    options: &Options,
) -> Result<bool> {
    let name = table.name.ghost();
    let has_dates = table.columns.iter().any(Column::holds_dates)
        && server.sql_mode().refuses_dates()
        && !options.allow_zero_in_date;
    if has_dates
        && session.exec(&format!("ALTER TABLE {name} ALGORITHM=INPLACE, {}", clause.text)).is_ok()
    {
        return Ok(false);
    }
    session.exec(&format!("ALTER TABLE {name} {}", clause.text)).map_err(|error| {
        error.with_kind(ErrorKind::Alter).context("the server refuses the ALTER")
    })?;
    Ok(has_dates)
}

/// The SQL mode and the time zone in which rows are moved, so that they become what the server's own
/// ALTER would make of them.
fn row_modes(
    server: &ServerInfo,
    key: &KeyShape,
    mapping: &Mapping,
    sees_dates: bool,
    options: &Options,
) -> Result<Modes> {
    let keyed = |is: fn(&KeyType) -> bool| key.columns.iter().any(|column| is(&column.ty));
    let zone = options.time_zone.as_deref().unwrap_or(server.time_zone());
    // Literals of keys, and the bounds of chunks, are in UTC.
    let key_is_zoned = keyed(|ty| matches!(ty, KeyType::Timestamp { .. }));
    let zone = match &mapping.zone {
        ZoneUse::Certainly(column) if key_is_zoned && !server.is_utc(zone) => {
            return Err(Error::new(
                ErrorKind::Alter,
                format!(
                    "the column {column} changes between TIMESTAMP and another type, so that its \
                     values depend on the time zone, and a TIMESTAMP is part of the key, which is \
                     read in UTC: not supported, unless the ALTER is to be made in UTC (time_zone)"
                ),
            ));
        }
        ZoneUse::Certainly(_) => zone,
        ZoneUse::Perhaps if !key_is_zoned => zone,
        ZoneUse::Perhaps | ZoneUse::No => "+00:00",
    };
    let key_has_dates = keyed(|ty| {
        matches!(ty, KeyType::Date | KeyType::Datetime { .. } | KeyType::Timestamp { .. })
    });
    let dates = if mapping.carries_instants && !server.is_utc(zone) {
        Dates::Unchanged
    } else if options.allow_zero_in_date
        // A server that refuses a date refuses to compare a key with it, too.
        || key_has_dates
        || !(sees_dates || mapping.fills_dates)
    {
        Dates::Any
    } else {
        Dates::AsServer
    };
    let wanted = RowsMode { dates, may_pad: !keyed(|ty| matches!(ty, KeyType::Text { .. })) };
    Ok(Modes { sql_mode: server.sql_mode().for_rows(&wanted), time_zone: zone.to_owned() })
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
