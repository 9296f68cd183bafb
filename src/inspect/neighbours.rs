//! What hangs on the table: foreign keys in either direction, triggers.

use super::server::ServerInfo;
use crate::db::{Flavor, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::{TableName, literal};

/// Refuses a table with foreign keys from or to it, in any schema, listing all of them.
/// Returns whether keys that the user may not see could be ruled out.
pub(crate) fn refuse_foreign_keys(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
) -> Result<bool> {
    let (schema, name) = names(table);
    let sql = format!(
        "SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, \
         GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION), REFERENCED_TABLE_SCHEMA, \
         REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
         WHERE REFERENCED_TABLE_NAME IS NOT NULL AND (TABLE_SCHEMA = {schema} AND TABLE_NAME = \
         {name} OR REFERENCED_TABLE_SCHEMA = {schema} AND REFERENCED_TABLE_NAME = {name}) \
         GROUP BY CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, \
         REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME ORDER BY 1, 2"
    );
    let mut found: Vec<String> = session
        .rows(&sql)?
        .into_iter()
        .map(|row| {
            let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
            format!(
                "`{}` of `{}`.`{}` ({}) to `{}`.`{}`",
                get(1),
                get(2),
                get(3),
                get(4),
                get(5),
                get(6)
            )
        })
        .collect();
    // The above shows only what the user has a privilege on; the engine's own list needs PROCESS.
    let all_seen = match hidden_references(session, server, table)? {
        Some(hidden) => {
            if found.is_empty() {
                found = hidden;
            }
            true
        }
        None => false,
    };
    if found.is_empty() {
        return Ok(all_seen);
    }
    Err(Error::new(
        ErrorKind::ForeignKeys,
        format!(
            "{table} has foreign keys, which would not survive the swap; drop them first: {}",
            found.join("; ")
        ),
    ))
}

/// Foreign keys that refer to the table, from InnoDB's dictionary; `None` if that is not allowed.
fn hidden_references(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
) -> Result<Option<Vec<String>>> {
    let list = match server.flavor {
        Flavor::MySql => "INNODB_FOREIGN",
        Flavor::MariaDb => "INNODB_SYS_FOREIGN",
    };
    let name = literal::text(&format!("{}/{}", table.schema.as_str(), table.table.as_str()));
    // MariaDB has the names here as the files have them: `a-b` is a@002db.
    let encoded = match server.flavor {
        Flavor::MySql => String::new(),
        Flavor::MariaDb => {
            let (schema, table) = names(table);
            let file = |name| format!("CAST(CONVERT({name} USING filename) AS BINARY)");
            format!(", CONCAT({}, '/', {})", file(schema), file(table))
        }
    };
    let sql = format!(
        "SELECT ID, FOR_NAME FROM information_schema.{list} WHERE REF_NAME IN ({name}{encoded})"
    );
    match session.rows(&sql) {
        Ok(rows) => {
            let key = |row: Vec<Option<String>>| {
                row.into_iter().flatten().collect::<Vec<_>>().join(" of ")
            };
            Ok(Some(rows.into_iter().map(key).collect()))
        }
        Err(error) if error.fault() == Some(Fault::Access) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses a table with triggers, listing them.
pub(crate) fn refuse_triggers(session: &mut Session, table: &TableName) -> Result<()> {
    let (schema, name) = names(table);
    let sql = format!(
        "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION FROM information_schema.TRIGGERS \
         WHERE EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {name} ORDER BY 1"
    );
    let rows = session.rows(&sql)?;
    if rows.is_empty() {
        return Ok(());
    }
    let trigger = |row: Vec<Option<String>>| {
        let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        format!("`{}` ({} {})", get(0), get(1), get(2))
    };
    Err(Error::new(
        ErrorKind::Triggers,
        format!(
            "{table} has triggers, which would stay with the old table; drop them first: {}",
            rows.into_iter().map(trigger).collect::<Vec<_>>().join(", ")
        ),
    ))
}

fn names(table: &TableName) -> (String, String) {
    (literal::text(table.schema.as_str()), literal::text(table.table.as_str()))
}
