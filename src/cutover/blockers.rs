//! Who keeps the table from being locked.

use std::fmt;
use std::time::Duration;

use crate::db::{Connector, Flavor, Session};
use crate::error::Result;
use crate::sql::{TableName, literal};

/// A connection that uses the table, in a transaction or a statement that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocker {
    /// Its number on the server, as KILL takes it.
    pub connection: u32,
    /// The user.
    pub user: String,
    /// The client's host, with its port where the server says it.
    pub host: String,
    /// For how long it has been in its present statement, or without one.
    pub time: Duration,
    /// Its present statement, as far as the server shows it; mind who reads it.
    pub statement: Option<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statement = self.statement.as_deref().unwrap_or("idle in a transaction");
        write!(f, "{}: {statement}", self.who())
    }
}

impl Blocker {
    /// Without the statement, in which there are values.
    pub(super) fn who(&self) -> String {
        let Blocker { connection, user, host, time, .. } = self;
        format!("connection {connection} of {user}@{host}, for {} s", time.as_secs())
    }
}

/// Which blockers may be ended so that the cut-over can lock the table:
/// [`OnlineAlter::kill_blockers`](crate::OnlineAlter::kill_blockers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillBlockers {
    /// Not before so many attempts have failed.
    pub after_attempts: u32,
    /// Only those that have been in their present statement, or without one, for so long.
    pub older_than: Duration,
    /// No more than this in the whole run.
    pub at_most: u32,
}

impl Default for KillBlockers {
    /// After five failed attempts, those of a minute and more, ten in all.
    fn default() -> Self {
        KillBlockers { after_attempts: 5, older_than: Duration::from_secs(60), at_most: 10 }
    }
}

/// Who holds locks on the table; on MariaDB, which does not tell, whose transactions are open. The longest first. The
/// user may not be allowed to see them.
pub(super) fn find(
    session: &mut Session,
    connector: &Connector,
    flavor: Flavor,
    table: &TableName,
) -> Result<Vec<Blocker>> {
    let (schema, name) =
        (literal::text(table.schema.as_str()), literal::text(table.table.as_str()));
    let sql = match flavor {
        Flavor::MySql => format!(
            "SELECT DISTINCT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, t.PROCESSLIST_TIME, \
             t.PROCESSLIST_INFO FROM performance_schema.metadata_locks AS m \
             JOIN performance_schema.threads AS t ON t.THREAD_ID = m.OWNER_THREAD_ID \
             WHERE m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = {schema} AND m.OBJECT_NAME = {name} \
             AND m.LOCK_STATUS = 'GRANTED' ORDER BY t.PROCESSLIST_TIME DESC LIMIT 100"
        ),
        Flavor::MariaDb => {
            "SELECT p.ID, p.USER, p.HOST, p.TIME, p.INFO FROM information_schema.INNODB_TRX AS x \
             JOIN information_schema.PROCESSLIST AS p ON p.ID = x.trx_mysql_thread_id \
             ORDER BY p.TIME DESC LIMIT 100"
                .to_owned()
        }
    };
    let blockers = session.rows(&sql)?.into_iter().filter_map(|row| {
        let [connection, user, host, seconds, statement] = <[_; 5]>::try_from(row).ok()?;
        Some(Blocker {
            connection: connection?.parse().ok()?,
            user: user.unwrap_or_default(),
            host: host.unwrap_or_default(),
            time: Duration::from_secs(seconds?.parse().ok()?),
            statement,
        })
    });
    Ok(blockers.filter(|blocker| !connector.is_own(blocker.connection)).collect())
}
