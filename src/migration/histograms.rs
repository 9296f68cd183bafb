//! MySQL's histograms: `CREATE TABLE .. LIKE` leaves them behind, while the server's own ALTER keeps
//! those of the columns that it does not change.

use crate::db::{Flavor, Session};
use crate::error::Result;
use crate::inspect::{ServerInfo, Table};
use crate::sql::statements::TablePair;
use crate::sql::{Ident, literal};

/// The statements that make them for the ghost, of its own rows.
pub(super) fn statements(
    session: &mut Session,
    server: &ServerInfo,
    table: &Table,
    ghost: &Table,
    pair: &TablePair,
) -> Result<Vec<String>> {
    if server.flavor != Flavor::MySql {
        return Ok(Vec::new());
    }
    let rows = session.rows(&format!(
        "SELECT COLUMN_NAME, HISTOGRAM->>'$.\"number-of-buckets-specified\"', \
         COALESCE(HISTOGRAM->>'$.\"auto-update\"', 'false') \
         FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = {} AND TABLE_NAME = {}",
        literal::text(table.name.schema.as_str()),
        literal::text(table.name.table.as_str()),
    ))?;
    let is_unchanged = |name: &Ident| {
        let same = pair.columns.iter().any(|(old, new)| old == name && new == name);
        let types = |table: &Table| {
            let column = table.column(name.as_str());
            column.map(|column| (column.column_type.clone(), column.collation.clone()))
        };
        same && types(table) == types(ghost)
    };
    let statement = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().map(Option::unwrap_or_default);
        let name = Ident::new(row.next()?);
        let (buckets, auto) = (row.next()?.parse::<u32>().ok()?, row.next()? == "true");
        let auto = if auto { " AUTO UPDATE" } else { "" };
        is_unchanged(&name).then(|| {
            let ghost = &pair.ghost;
            format!("ANALYZE TABLE {ghost} UPDATE HISTOGRAM ON {name} WITH {buckets} BUCKETS{auto}")
        })
    };
    Ok(rows.into_iter().filter_map(statement).collect())
}
