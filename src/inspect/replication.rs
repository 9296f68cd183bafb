//! A replica whose binlog is read instead of the server's own: whether all changes of the table come there, in their
//! order.

use super::server::ServerInfo;
use super::table::Table;
use crate::db::{Flavor, NamedRow, Session};
use crate::error::{Error, ErrorKind, Result};

impl ServerInfo {
    /// Refuses a server that is no replica, or one whose binlog may lack changes of the table. The table has to be there
    /// as it is on the primary, unless none is given.
    pub(crate) fn check_as_stream(
        &self,
        session: &mut Session,
        table: Option<&Table>,
    ) -> Result<()> {
        let refuse = |why: String| Err(Error::new(ErrorKind::BinlogSettings, why));
        if !self.is("log_bin", &["ON", "1"]) {
            return refuse("the replica has no binary log (log_bin=OFF)".to_owned());
        }
        if !self.logs_replicated() {
            return refuse(
                "the replica does not log what it replicates (log_replica_updates=OFF, or log_slave_updates)"
                    .to_owned(),
            );
        }
        if self.binlog_format != "ROW" {
            return refuse(format!(
                "binlog_format of the replica is {}, not ROW",
                self.binlog_format
            ));
        }
        let workers = ["replica_parallel_workers", "slave_parallel_workers"];
        let parallel = workers.iter().any(|name| self.number(name).is_some_and(|count| count > 1));
        let ordered = ["replica_preserve_commit_order", "slave_preserve_commit_order"];
        let is_ordered = ordered.iter().any(|name| self.is(name, &["ON", "1"]));
        if self.flavor == Flavor::MySql && parallel && !is_ordered {
            return refuse(
                "the replica commits in another order than its primary (replica_preserve_commit_order=OFF)"
                    .to_owned(),
            );
        }
        // A row that is not there would be passed over, and not logged.
        for name in ["slave_exec_mode", "replica_exec_mode"] {
            if self.is(name, &["IDEMPOTENT"]) {
                return refuse(format!("the replica passes over errors ({name}=IDEMPOTENT)"));
            }
        }
        for name in ["slave_skip_errors", "replica_skip_errors"] {
            if !self.is_one_of(name, &["", "OFF"]) {
                return refuse(format!("the replica passes over errors ({name})"));
            }
        }
        if !self.is_one_of("replicate_events_marked_for_skip", &["REPLICATE"]) {
            return refuse(
                "the replica may skip events (replicate_events_marked_for_skip)".to_owned(),
            );
        }
        self.check_domains(session)?;
        let channels = self.channels(session)?;
        if channels.is_empty() {
            let why = "the server whose binlog is to be read is no replica";
            return Err(Error::new(ErrorKind::UnsupportedServer, why));
        }
        for channel in &channels {
            check_filters(channel.status())?;
        }
        table.map_or(Ok(()), |table| check_columns(session, table))
    }

    /// MariaDB applies transactions of different domains side by side, in whatever order.
    fn check_domains(&self, session: &mut Session) -> Result<()> {
        if !self.applies_side_by_side() {
            return Ok(());
        }
        let gtids = session.scalar("SELECT @@GLOBAL.gtid_current_pos")?.unwrap_or_default();
        if gtids.split(',').count() <= 1 {
            return Ok(());
        }
        let why = "the replica applies changes of several GTID domains side by side (slave_parallel_threads)";
        Err(Error::new(ErrorKind::BinlogSettings, why))
    }

    /// Whether transactions of several GTID domains are applied in any order.
    pub(crate) fn applies_side_by_side(&self) -> bool {
        let threads = self.number("slave_parallel_threads").unwrap_or(0);
        self.flavor == Flavor::MariaDb && threads > 0
    }

    /// Whether what the server replicates comes into its own binlog.
    pub(super) fn logs_replicated(&self) -> bool {
        let names = ["log_replica_updates", "log_slave_updates"];
        names.iter().any(|name| self.is(name, &["ON", "1"]))
    }

    /// Whether a variable has one of these values, or is not there.
    fn is_one_of(&self, variable: &str, values: &[&str]) -> bool {
        self.is(variable, values) || !self.has(variable)
    }
}

/// Its row events must look as they would on the primary.
fn check_columns(session: &mut Session, table: &Table) -> Result<()> {
    let there = Table::read(session, &table.name)
        .map_err(|error| error.context("looking at the table on the replica"))?;
    let columns = |table: &Table| -> Vec<(String, String)> {
        let column = |c: &super::column::Column| (c.name.to_string(), c.column_type.clone());
        table.columns.iter().map(column).collect()
    };
    if columns(&there) == columns(table) {
        return Ok(());
    }
    let why = format!("{} has other columns on the replica than on the primary", table.name);
    Err(Error::new(ErrorKind::UnsupportedServer, why))
}

/// Refuses a replica with filters, but for those that leave out tables of the schema `mysql`, as RDS has them. Which of the
/// others would let all changes of a table through depends on the default database of whoever writes, on the format and
/// on other tables of the statement.
fn check_filters(channel: &NamedRow) -> Result<()> {
    const FILTERS: [&str; 9] = [
        "Replicate_Do_DB",
        "Replicate_Ignore_DB",
        "Replicate_Do_Table",
        "Replicate_Wild_Do_Table",
        "Replicate_Rewrite_DB",
        "Replicate_Ignore_Server_Ids",
        "Replicate_Do_Domain_Ids",
        "Replicate_Ignore_Domain_Ids",
        "Until_Log_File",
    ];
    const OF_TABLES: [&str; 2] = ["Replicate_Ignore_Table", "Replicate_Wild_Ignore_Table"];
    let value = |name: &str| {
        let column = channel.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
        column.and_then(|(_, value)| value.as_deref()).unwrap_or_default().trim()
    };
    let of_server = |item: &str| item.is_empty() || item.trim().starts_with("mysql.");
    let filters = FILTERS.iter().filter(|name| !value(name).is_empty());
    let of_tables = OF_TABLES.iter().filter(|name| !value(name).split(',').all(of_server));
    let found: Vec<String> =
        filters.chain(of_tables).map(|name| format!("{name}={}", value(name))).collect();
    if found.is_empty() {
        return Ok(());
    }
    let why = format!(
        "the replica has filters by which changes may not come to it: {}",
        found.join(", ")
    );
    Err(Error::new(ErrorKind::BinlogSettings, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_refused() {
        let check = |name: &str, value: &str| {
            check_filters(&vec![(name.to_owned(), Some(value.to_owned()))]).is_ok()
        };
        for (name, value, fine) in [
            ("Replicate_Do_DB", "", true),
            ("Replicate_Do_DB", "db", false),
            ("Replicate_Ignore_DB", "other", false),
            ("Replicate_Do_Table", "db.t,db._t_ghc", false),
            ("Replicate_Wild_Do_Table", "db.%", false),
            ("Replicate_Ignore_Table", "mysql.rds_replication_status, mysql.rds_history", true),
            ("Replicate_Ignore_Table", "mysql.rds_history,db.other", false),
            ("Replicate_Wild_Ignore_Table", "mysql.%", true),
            ("Replicate_Wild_Ignore_Table", "%.\\_%\\_ghc", false),
            ("Replicate_Rewrite_DB", "(db,other)", false),
            ("Replicate_Ignore_Server_Ids", "7", false),
        ] {
            assert_eq!(check(name, value), fine, "{name}={value}");
        }
    }
}
