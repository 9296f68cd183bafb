//! Making the ghost table: a copy of the table's definition, altered as the user said while it is
//! still empty.

use serde::{Deserialize, Serialize};

use super::ghost_key::{self, Deferred, KeyOnGhost};
use super::row_modes;
use crate::cancel::Cancel;
use crate::checkpoint::{self, StateTable};
use crate::cutover::dressing::Dressing;
use crate::cutover::{SENTRY_COMMENT, StandIn};
use crate::db::{Flavor, Modes, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::column::Column;
use crate::inspect::fill::Clock;
use crate::inspect::ghost_keys::{GhostKeys, ghost_keys};
use crate::inspect::mapping::{self, Mapping};
use crate::inspect::neighbours::{Neighbours, NewNames};
use crate::inspect::{ServerInfo, Table};
use crate::migration::{IndexBuild, Options, checks, record};
use crate::sql::alter::AlterClause;
use crate::sql::statements::TablePair;
use crate::sql::{Ident, KeyShape, TableName};

/// The ghost table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ghost {
    pub(crate) table: Table,
    /// How the table maps to it.
    pub(crate) pair: TablePair,
    /// The chosen key by its own columns, which the new table will have.
    pub(crate) key: KeyShape,
    /// What is added once the copy is done.
    pub(crate) deferred: Deferred,
    /// The index that the chosen key has on the ghost alone.
    pub(crate) stand_in: Option<StandIn>,
    /// Whether the ALTER sets the AUTO_INCREMENT counter.
    pub(crate) sets_counter: bool,
    /// CHECK constraints that have another name than in the table: that, and their own.
    pub(crate) renamed_checks: Vec<(String, String)>,
    /// In which SQL mode and time zone rows are moved.
    pub(crate) row_modes: Modes,
    /// What goes on it at the last moment.
    pub(crate) dressing: Dressing,
}

/// Whether tables with the names that the run needs are there, and may be replaced.
pub(crate) fn check_leftovers(
    session: &mut Session,
    server: &ServerInfo,
    source: &TableName,
    options: &Options,
) -> Result<Vec<TableName>> {
    let (ghost, state, old) = (source.ghost(), source.state(), source.old());
    let is_ours = Table::comment(session, &state)?.as_deref() == Some(checkpoint::COMMENT);
    let body = if is_ours { StateTable::read_record(session, &state)? } else { None };
    let mut replace = Vec::new();
    let refuse = |name: &TableName, advice: &str| {
        Err(Error::new(ErrorKind::LeftoversPresent, format!("{name} is there already: {advice}")))
    };
    for name in [&ghost, &state] {
        if !Table::exists(session, name)? {
            continue;
        }
        let recorded = body.as_ref().is_some_and(|body| record::is_of(server, body, source));
        // A run on a table whose long name is shortened to the same one. (Without a record, there is nothing but this.)
        let of_another = body.is_some() && !recorded;
        match (is_ours && !of_another, options.replace_ghost) {
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
    candidates: &[&KeyShape],
    options: &Options,
    (neighbours, names): (&Neighbours, &NewNames),
) -> Result<Ghost> {
    if server.flavor == Flavor::MySql {
        // Nothing is to be copied yet, and altering in place has bugs: MySQL 9.7.4 crashes of the first row
        // in a table in which a virtual column was moved in place.
        session.exec("SET SESSION old_alter_table = 1")?;
    }
    let source = &table.name;
    let name = source.ghost();
    let (clause_text, renamed_checks) = checks::name(session, server, table, clause)?;
    let sees_dates = apply(session, server, table, &clause_text, options)?;
    let altered = Table::read(session, &name)?;
    // What the parser would have refused.
    if clause.is_partly_unread() && altered.definition.text.contains(" FOREIGN KEY (") {
        let why = "the ALTER adds a foreign key; this is not supported yet";
        return Err(Error::new(ErrorKind::Alter, why));
    }
    let sets_counter = clause.sets_auto_increment
        || clause.is_partly_unread() && altered.definition.auto_increment.is_some();
    let clock = Clock::read(session)?;
    let mapping = mapping::map(table, &altered, clause, server.flavor, &clock)?;
    let (key, keys) =
        first_usable(table, &altered, candidates, &mapping.columns, (options, server.flavor))?;
    let row_modes = row_modes::choose(server, key, &mapping, sees_dates, options)?;
    let Mapping { columns, casts, fills, .. } = mapping;
    refuse_new_counter(&altered, &columns)?;
    refuse_truncated_times(server, table, &altered, &columns)?;
    // Before the indexes are changed: foreign keys need some.
    let mapped = clause.map_columns(table.columns.iter().map(|column| &column.name));
    let dressing = Dressing::new(neighbours, names, &name, &mapped)?;
    dressing.rehearse(session, &name)?;
    let KeyOnGhost { found_by, stand_in, deferred } =
        ghost_key::set_up(session, server, &altered, &keys, key)?;
    if server.flavor == Flavor::MySql {
        session.exec("SET SESSION old_alter_table = 0")?;
    }
    let pair = TablePair {
        source: source.clone(),
        ghost: name,
        columns,
        casts,
        fills,
        key: found_by,
        lock_syntax: server.lock_syntax(),
    };
    let key = key.clone();
    Ok(Ghost {
        table: altered,
        pair,
        key,
        deferred,
        stand_in,
        sets_counter,
        renamed_checks,
        row_modes,
        dressing,
    })
}

/// Has the server apply the ALTER to the empty ghost. Returns whether it would copy the rows of the
/// table itself, and look at the dates in them, which it judges by its SQL mode: what it alters in
/// place it does not look at.
fn apply(
    session: &mut Session,
    server: &ServerInfo,
    table: &Table,
    clause: &str,
    options: &Options,
) -> Result<bool> {
    let name = table.name.ghost();
    let has_dates = table.columns.iter().any(Column::holds_dates)
        && server.sql_mode().refuses_dates()
        && !options.allow_zero_in_date;
    let mut in_place =
        |how: &str| session.exec(&format!("ALTER TABLE {name} ALGORITHM={how}, {clause}")).is_ok();
    // What MySQL does instantly it need not do in place; in MariaDB the one includes the other.
    if has_dates && (in_place("INPLACE") || server.flavor == Flavor::MySql && in_place("INSTANT")) {
        if server.flavor == Flavor::MySql {
            session.exec(&format!("ALTER TABLE {name} ENGINE=InnoDB, ALGORITHM=COPY"))?;
        }
        return Ok(false);
    }
    session
        .exec(&format!("ALTER TABLE {name} {clause}"))
        .map_err(|error| error.refused(ErrorKind::Alter, "the server refuses the ALTER"))?;
    Ok(has_dates)
}

/// The first of the keys by which the ghost's rows can be found, and how. If none can, why not the
/// very first.
fn first_usable<'a>(
    table: &Table,
    altered: &Table,
    candidates: &[&'a KeyShape],
    columns: &[(Ident, Ident)],
    (options, flavor): (&Options, Flavor),
) -> Result<(&'a KeyShape, GhostKeys)> {
    let mut why = None;
    // MySQL writes numbers of expressions over YEAR as years each time such a table is altered.
    let text = &altered.definition.text;
    let rewritten = flavor == Flavor::MySql
        && altered.columns.iter().any(|column| column.data_type == "year")
        && (text.contains(" CHECK (") || text.contains(" GENERATED ALWAYS AS ("));
    let build_later = options.index_build == IndexBuild::AfterCopy && !rewritten;
    for &key in candidates {
        match ghost_keys(table, altered, key, columns, build_later) {
            Ok(keys) => return Ok((key, keys)),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or_else(|| Error::new(ErrorKind::NoUsableKey, "there is no key")))
}

/// MySQL's own ALTER rounds a time that becomes an integer, whatever its SQL mode; storing a selected one
/// would cut the fraction off in this mode.
fn refuse_truncated_times(
    server: &ServerInfo,
    table: &Table,
    altered: &Table,
    columns: &[(Ident, Ident)],
) -> Result<()> {
    if server.flavor != Flavor::MySql || !server.sql_mode().has("TIME_TRUNCATE_FRACTIONAL") {
        return Ok(());
    }
    let whole = ["tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"];
    let is_cut = |(old, new): &&(Ident, Ident)| {
        let fraction = table.column(old.as_str()).is_some_and(|c| {
            c.fsp > 0 && ["time", "datetime", "timestamp"].contains(&&*c.data_type)
        });
        let number = altered.column(new.as_str());
        fraction && number.is_some_and(|c| whole.contains(&&*c.data_type))
    };
    columns.iter().find(is_cut).map_or(Ok(()), |(old, _)| {
        let why = format!(
            "the column {old} has fractions of a second and becomes an integer while the server's sql_mode \
             has TIME_TRUNCATE_FRACTIONAL: its own ALTER would round it all the same, and this would not"
        );
        Err(Error::new(ErrorKind::Alter, why))
    })
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
