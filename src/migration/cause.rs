//! What is behind an error of the server: somebody may have changed the table.

use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Phase, Result, TableState};
use crate::inspect::Table;
use crate::inspect::table::Definition;

/// A statement may meet a change of a definition before the stream shows it. Then the error says so,
/// whoever was the first to see it.
pub(super) fn find(
    error: Error,
    phase: Phase,
    connector: &Connector,
    flavor: Flavor,
    table: &Table,
) -> Error {
    let may_be = matches!(error.kind(), ErrorKind::Server | ErrorKind::NoSuchTable)
        && error.table_state() == TableState::Untouched
        && phase > Phase::Prepare;
    if !may_be {
        return error;
    }
    match change(connector, flavor, table) {
        Ok(Some(change)) => error.with_kind(ErrorKind::TableChanged).context(change),
        Ok(None) => error,
        Err(why) => {
            log::debug!("the definitions could not be looked at: {}", why.message());
            error
        }
    }
}

fn change(connector: &Connector, flavor: Flavor, table: &Table) -> Result<Option<String>> {
    let mut session = Session::open(connector, flavor, Purpose::Inspect)?;
    for name in [&table.name, &table.name.ghost(), &table.name.state()] {
        if !Table::exists(&mut session, name)? {
            return Ok(Some(format!("somebody has dropped or renamed {name}")));
        }
    }
    let now = Definition::read(&mut session, &table.name)?;
    let changed = now.text != table.definition.text;
    Ok(changed.then(|| format!("somebody has changed the definition of {}", table.name)))
}
