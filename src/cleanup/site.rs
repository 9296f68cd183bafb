//! What the server says of a schema: its tables, connections and replication.

use std::time::Duration;

use mysql::Opts;

use super::remnant::Evidence;
use crate::checkpoint::StateTable;
use crate::db::{Connector, Purpose, Session};
use crate::error::Result;
use crate::fault::Fault;
use crate::inspect::grants::{self, On, Wanted};
use crate::inspect::{Channel, ServerInfo};
use crate::migration::replication_notes as notes;
use crate::sql::{Ident, TAG, TableName, literal};

/// The schema of a server, or a table of it, that is looked at.
pub(super) struct Site {
    opts: Opts,
    pub(super) server: ServerInfo,
    pub(super) session: Session,
    pub(super) schema: Ident,
    pub(super) table: Option<Ident>,
    /// The connection by which the lock of the table is held on behalf of the cleaning up itself.
    pub(super) held: Option<u32>,
}

/// A table as the information schema has it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) name: TableName,
    pub(super) is_base: bool,
    pub(super) comment: String,
    pub(super) age: Option<Duration>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Site {
    pub(super) fn open(
        opts: Opts,
        schema: Ident,
        table: Option<Ident>,
        privileges: &[&'static str],
    ) -> Result<Self> {
        let connector = Connector::new(&opts)?;
        let server = ServerInfo::read(&mut Session::open_plain(&connector)?)?;
        connector.expect(server.identity_query(), &server.identity);
        let mut session = Session::open(&connector, server.flavor, Purpose::Inspect)?;
        // Whoever may not see a table is not shown that it is there.
        let wanted: Vec<Wanted> = match &table {
            None => {
                let on = |privilege: &&'static str| {
                    Wanted::new(&[privilege], On::Schema(schema.clone()))
                };
                privileges.iter().map(on).collect()
            }
            Some(table) => {
                let table = TableName::new(schema.clone(), table.clone());
                let names = [table.ghost(), table.state(), table.old()];
                let on = |name: &TableName| {
                    let name = name.clone();
                    privileges.iter().map(move |p| Wanted::new(&[p], On::Table(name.clone())))
                };
                names.iter().flat_map(on).collect()
            }
        };
        grants::check_also(&mut session, &server, &wanted)?;
        Ok(Site { opts, server, session, schema, table, held: None })
    }

    /// A way to the same server, for what is removed under one lock.
    pub(super) fn connector(&self) -> Result<Connector> {
        let connector = Connector::new(&self.opts)?;
        connector.expect(self.server.identity_query(), &self.server.identity);
        Ok(connector)
    }

    pub(super) fn tables(&mut self) -> Result<Vec<Facts>> {
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_TYPE, TABLE_COMMENT, TIMESTAMPDIFF(SECOND, CREATE_TIME, NOW()), TABLE_ROWS, \
             COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} ORDER BY TABLE_NAME",
            literal::text(self.schema.as_str())
        );
        let schema = &self.schema;
        let facts = |row: Vec<Option<String>>| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let name = Ident::new(next().unwrap_or_default());
            Facts {
                name: TableName::new(schema.clone(), name),
                is_base: next().as_deref() == Some("BASE TABLE"),
                comment: next().unwrap_or_default(),
                age: next().and_then(|age| age.parse().ok()).map(Duration::from_secs),
                rows: next().and_then(|rows| rows.parse().ok()).unwrap_or(0),
                bytes: next().and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
            }
        };
        Ok(self.session.rows(&sql)?.into_iter().map(facts).collect())
    }

    pub(super) fn last_heartbeat(&mut self, state: &TableName) -> Result<Option<Duration>> {
        let sql =
            format!("SELECT TIMESTAMPDIFF(SECOND, MAX(written_at), UTC_TIMESTAMP(6)) FROM {state}");
        match self.session.scalar(&sql) {
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => Ok(None),
            other => Ok(other?.and_then(|age| age.parse().ok()).map(Duration::from_secs)),
        }
    }

    /// Connections of a run that the server still has: those that it has written down, and those that execute its statements.
    pub(super) fn connections(
        &mut self,
        source: &TableName,
        state: &TableName,
    ) -> Result<Vec<(u32, Evidence, Option<Duration>)>> {
        let mut ids = Vec::new();
        for mark in StateTable::registered(&mut self.session, state)? {
            ids.extend(self.session.id_of(&mark)?);
        }
        let executing = self.statements(source)?;
        let mut all: Vec<_> = ids
            .iter()
            .map(|id| {
                let age = executing.iter().find(|(other, _)| other == id).map(|(_, age)| *age);
                (*id, Evidence::Record, age)
            })
            .collect();
        let others = executing.into_iter().filter(|(id, _)| !ids.contains(id));
        all.extend(others.map(|(id, age)| (id, Evidence::StatementText, Some(age))));
        Ok(all)
    }

    /// Statements of a run that are executed, and for how long they have been. Not all that name its tables: somebody may
    /// be looking at them.
    fn statements(&mut self, source: &TableName) -> Result<Vec<(u32, Duration)>> {
        // MySQL does not show the information schema's list while somebody writes what it cannot convert.
        let rows = self.session.named_rows("SHOW FULL PROCESSLIST")?;
        let own = self.session.id();
        let mut statements = Vec::new();
        for row in rows {
            let get = |name: &str| {
                let column = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
                column.and_then(|(_, value)| value.clone())
            };
            let Some(id) = get("Id").and_then(|id| id.parse::<u32>().ok()).filter(|id| *id != own)
            else {
                continue;
            };
            if get("Info").is_some_and(|text| is_of_run(&text, source)) {
                let time = get("Time").and_then(|time| time.parse().ok()).unwrap_or(0);
                statements.push((id, Duration::from_secs(time)));
            }
        }
        Ok(statements)
    }

    /// What a test on a replica has stopped and not started again, as its record says.
    pub(super) fn stopped_channels(&mut self, record: &str) -> Result<Vec<Channel>> {
        if !notes::has_stopped(record) {
            return Ok(Vec::new());
        }
        let channels = self.server.channels(&mut self.session)?;
        let is_left = |c: &Channel| !c.runs() && notes::has_stopped_channel(record, &c.name);
        Ok(channels.into_iter().filter(is_left).collect())
    }
}

/// Whether a statement is such as only runs on this table write.
fn is_of_run(text: &str, source: &TableName) -> bool {
    let (ghost, state, old) = (source.ghost(), source.state(), source.old());
    let tagged = text.contains(TAG)
        && [&ghost, &state, &old].iter().any(|name| text.contains(&name.to_string()));
    tagged
        || [
            format!("ALTER TABLE {ghost} "),
            format!("ANALYZE TABLE {ghost}"),
            format!("CREATE TABLE {ghost} LIKE {source}"),
            format!("LOCK TABLES {source} WRITE, {ghost} WRITE"),
            format!("LOCK TABLES {source} READ, {old} WRITE"),
        ]
        .iter()
        .any(|start| text.starts_with(start.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_others_are_left_alone() {
        let t = TableName::new(Ident::new("s"), Ident::new("t"));
        for ours in [
            "ALTER TABLE `s`.`_t_gho` ADD UNIQUE KEY `u` (`a`)",
            "INSERT /* online-alter */ INTO `s`.`_t_gho` (`a`) SELECT ..",
            "RENAME /* online-alter */ TABLE `s`.`t` TO `s`.`_t_del`, `s`.`_t_gho` TO `s`.`t`",
            "LOCK TABLES `s`.`t` READ, `s`.`_t_del` WRITE",
        ] {
            assert!(is_of_run(ours, &t), "{ours}");
        }
        for theirs in [
            "SELECT COUNT(*) FROM `s`.`_t_gho`",
            "INSERT /* online-alter */ INTO `s`.`_u_gho` (`a`) SELECT ..",
            "ALTER TABLE `s`.`_t_gho2` ADD x INT",
            "ALTER TABLE `s`.`t` ADD x INT",
        ] {
            assert!(!is_of_run(theirs, &t), "{theirs}");
        }
    }
}
