//! A replica whose binlog is read instead of the server's own: whether all changes of the table come there, in their
//! order.

use super::server::{ServerInfo, Version};
use super::table::Table;
use crate::db::{Flavor, NamedRow, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::TableName;

impl ServerInfo {
    /// Refuses a server that is no replica, or one whose binlog may lack changes of the table.
    pub(crate) fn check_as_stream(&self, session: &mut Session, table: &Table) -> Result<()> {
        let refuse = |why: String| Err(Error::new(ErrorKind::BinlogSettings, why));
        if !self.is("log_bin", &["ON", "1"]) {
            return refuse("the replica has no binary log (log_bin=OFF)".to_owned());
        }
        let updates = ["log_replica_updates", "log_slave_updates"];
        if !updates.iter().any(|name| self.is(name, &["ON", "1"])) {
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
        let channels = self.replication(session)?;
        if channels.is_empty() {
            let why = "the server whose binlog is to be read is no replica";
            return Err(Error::new(ErrorKind::UnsupportedServer, why));
        }
        for channel in &channels {
            check_filters(channel, &table.name)?;
        }
        check_columns(session, table)
    }

    /// What the server says of each source that it replicates from.
    fn replication(&self, session: &mut Session) -> Result<Vec<NamedRow>> {
        session.named_rows(match self.flavor {
            Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
            Flavor::MySql if self.version >= Version(8, 0, 22) => "SHOW REPLICA STATUS",
            Flavor::MySql => "SHOW SLAVE STATUS",
        })
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

/// Refuses a replica that may leave out changes of the table, or of the tables of a run.
fn check_filters(channel: &NamedRow, table: &TableName) -> Result<()> {
    let schema = table.schema.as_str();
    let list = |name: &str| -> Vec<String> {
        let column = channel.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
        let text = column.and_then(|(_, value)| value.clone()).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let names = [table.clone(), table.state()]
        .map(|name| format!("{}.{}", name.schema.as_str(), name.table.as_str()));
    let matches = |patterns: &[String], name: &String| patterns.iter().any(|p| is_like(p, name));
    let does = list("Replicate_Do_DB");
    let (does_table, does_like) = (list("Replicate_Do_Table"), list("Replicate_Wild_Do_Table"));
    let complete = (does.is_empty() || does.iter().any(|name| name == schema))
        && !list("Replicate_Ignore_DB").iter().any(|name| name == schema)
        && (does_table.is_empty() && does_like.is_empty()
            || names.iter().all(|name| does_table.contains(name) || matches(&does_like, name)))
        && !names.iter().any(|name| {
            list("Replicate_Ignore_Table").contains(name)
                || matches(&list("Replicate_Wild_Ignore_Table"), name)
        })
        && list("Replicate_Rewrite_DB").is_empty();
    if complete {
        return Ok(());
    }
    let why = format!(
        "the replica has filters by which changes of {table} may not come to it (replicate_do_db, \
         replicate_wild_ignore_table, ..)"
    );
    Err(Error::new(ErrorKind::BinlogSettings, why))
}

/// LIKE, with backslashes, and regard to case: what it lets through too much is refused.
fn is_like(pattern: &str, text: &str) -> bool {
    fn from(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['%', rest @ ..], _) => {
                from(rest, text) || matches!(text, [_, more @ ..] if from(pattern, more))
            }
            (['_', rest @ ..], [_, more @ ..]) => from(rest, more),
            (['\\', c, rest @ ..] | [c, rest @ ..], [t, more @ ..]) => c == t && from(rest, more),
            _ => false,
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    from(&chars(pattern), &chars(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Ident;

    #[test]
    fn patterns() {
        for (pattern, yes, no) in [
            ("db.t", "db.t", "db.tt"),
            ("db.%", "db.t", "dbx.t"),
            ("db._ghc", "db.xghc", "db.ghc"),
            ("db.\\_t\\_ghc", "db._t_ghc", "db.xt_ghc"),
            ("%.t", "a.b.t", "a.u"),
        ] {
            assert!(is_like(pattern, yes), "{pattern} {yes}");
            assert!(!is_like(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn filters_that_may_leave_out_changes() {
        let table = TableName::new(Ident::new("db"), Ident::new("t"));
        let check = |name: &str, value: &str| {
            check_filters(&vec![(name.to_owned(), Some(value.to_owned()))], &table).is_ok()
        };
        for (name, value, fine) in [
            ("Replicate_Do_DB", "", true),
            ("Replicate_Do_DB", "a, db", true),
            ("Replicate_Do_DB", "a", false),
            ("Replicate_Ignore_DB", "a", true),
            ("Replicate_Ignore_DB", "db", false),
            ("Replicate_Do_Table", "db.t", false),
            ("Replicate_Do_Table", "db.t,db._t_ghc", true),
            ("Replicate_Wild_Do_Table", "db.%", true),
            ("Replicate_Wild_Do_Table", "db.t%", false),
            ("Replicate_Ignore_Table", "mysql.rds_replication_status", true),
            ("Replicate_Ignore_Table", "db.t", false),
            ("Replicate_Wild_Ignore_Table", "mysql.%", true),
            ("Replicate_Wild_Ignore_Table", "%.\\_%\\_ghc", false),
            ("Replicate_Rewrite_DB", "(db,other)", false),
        ] {
            assert_eq!(check(name, value), fine, "{name}={value}");
        }
    }
}
