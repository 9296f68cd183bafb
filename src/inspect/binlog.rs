//! The server's binlog: whether it can be followed, where it stands, and who else reads it.

use super::server::{ServerInfo, Version};
use crate::binlog::{BinlogPosition, GtidSet, Start};
use crate::db::{Flavor, Session, missing};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::throttle::Attached;

impl ServerInfo {
    /// Whether the settings allow a run: a binlog in row format, in commit order.
    /// What `any_format` says does not matter where the binlog of a replica is read.
    pub(crate) fn check_settings(&self, any_format: bool) -> Result<()> {
        let refuse = |why: String| Err(Error::new(ErrorKind::BinlogSettings, why));
        if !self.is("log_bin", &["ON", "1"]) {
            return refuse(
                "the binary log is off (log_bin=OFF), and the changes of a table are read from it"
                    .to_owned(),
            );
        }
        if self.binlog_format != "ROW" && !any_format {
            return refuse(format!(
                "binlog_format is {}, and rows can be followed only with ROW: set it, or allow the \
                 run to switch it (switch_to_row_format)",
                self.binlog_format
            ));
        }
        if self.is("binlog_order_commits", &["OFF", "0"]) {
            return refuse(
                "binlog_order_commits is OFF: a change may then be visible before, or after, \
                 changes that stand behind it in the binlog"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Where the binlog stands now. Refuses a server whose filters keep the schema out of it.
    pub(crate) fn binlog_position(
        &self,
        session: &mut Session,
        schema: &str,
    ) -> Result<BinlogPosition> {
        // The words changed with MySQL 8.2.
        let new_words = self.flavor == Flavor::MySql && self.version >= Version(8, 2, 0);
        let sql = if new_words { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
        let row =
            session.named_rows(sql)?.pop().ok_or_else(|| missing("where its binlog stands"))?;
        let get = |name: &str| {
            row.iter()
                .find(|(column, _)| column.eq_ignore_ascii_case(name))
                .and_then(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        let listed = |list: &str| list.split(',').any(|name| name.trim() == schema);
        let (logged, ignored) = (get("Binlog_Do_DB"), get("Binlog_Ignore_DB"));
        // Statements are judged by the default database of whoever writes, rows by the table's.
        let by_statement =
            self.binlog_format != "ROW" && !(logged.is_empty() && ignored.is_empty());
        if (!logged.is_empty() && !listed(&logged)) || listed(&ignored) || by_statement {
            return Err(Error::new(
                ErrorKind::BinlogSettings,
                format!(
                    "the server keeps changes of the schema `{schema}` out of its binlog, or may do so \
                     (binlog_do_db, binlog_ignore_db)"
                ),
            ));
        }
        let offset = get("Position").parse().map_err(|_| missing("where its binlog stands"))?;
        Ok(BinlogPosition::new(get("File"), offset))
    }

    /// Where a stream may begin now. `by_gtid` the server will be asked by transactions.
    pub(crate) fn binlog_start(
        &self,
        session: &mut Session,
        schema: &str,
        by_gtid: bool,
    ) -> Result<Start> {
        let position = self.binlog_position(session, schema)?;
        if !by_gtid {
            return Ok(position.into());
        }
        self.check_gtids()?;
        let read = match self.flavor {
            Flavor::MySql => session.scalar("SELECT @@GLOBAL.gtid_executed")?,
            Flavor::MariaDb => session.scalar("SELECT @@GLOBAL.gtid_binlog_pos")?,
        };
        let text = read.unwrap_or_default();
        let gtids = match self.flavor {
            Flavor::MySql => GtidSet::parse_mysql(&text),
            Flavor::MariaDb => GtidSet::parse_mariadb(&text),
        };
        let wrong = |why| Error::new(ErrorKind::Binlog, format!("{why}"));
        Ok(Start { gtids: Some(gtids.map_err(wrong)?), ..Start::from(position) })
    }

    /// Refuses a server whose transactions have no global ids.
    pub(crate) fn check_gtids(&self) -> Result<()> {
        if self.flavor == Flavor::MariaDb || self.is("gtid_mode", &["ON"]) {
            return Ok(());
        }
        let why = "the binlog is to be asked for by GTIDs (gtid), and gtid_mode is not ON";
        Err(Error::new(ErrorKind::BinlogSettings, why))
    }

    /// The server ids of whoever reads the binlog as a replica, runs like this one included, as far as the user may see
    /// them: MariaDB shows them only with REPLICATION MASTER ADMIN.
    pub(crate) fn attached_ids(&self, session: &mut Session) -> Result<Vec<u32>> {
        match session.named_rows(self.replicas_sql()) {
            Ok(rows) => Ok(rows.iter().map(|row| Attached::new(row).id).collect()),
            Err(error) if error.fault() == Some(Fault::Access) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Whether replicas are attached, which the streams of runs are not. An error if the user may not see them.
    pub(crate) fn has_replicas(&self, session: &mut Session) -> Result<bool> {
        let rows = session.named_rows(self.replicas_sql())?;
        Ok(rows.iter().any(|row| !Attached::new(row).is_stream(None)))
    }

    /// Asks for the replicas that are attached.
    pub(crate) fn replicas_sql(&self) -> &'static str {
        let new_words = self.flavor == Flavor::MySql && self.version >= Version(8, 0, 22);
        if new_words { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" }
    }
}
