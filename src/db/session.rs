//! One connection, set up for a purpose, that can be made anew.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, QueryResult, Text};

use super::connector::{Connector, Flavor, to_error};
use super::modes::Modes;
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::{Ident, literal};

/// What a connection is for decides how its session is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading about the server and the table.
    Inspect,
    /// Moving rows: READ COMMITTED, strict, and never a renumbered zero; in UTC, unless the result
    /// depends on the zone.
    Rows,
    /// The same in transactions of several statements. Not `START TRANSACTION`, which would give
    /// back the locks of LOCK TABLES.
    Refresh,
    /// The user's ALTER, in the server's own SQL mode and time zone (or those that the caller
    /// gave), as if the user ran it.
    Definition,
}

/// How often, and how patiently, something is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// Tries in all.
    pub(crate) attempts: u32,
    /// The longest pause between two.
    pub(crate) longest_pause: Duration,
}

impl Retries {
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        Duration::from_millis(10 << attempt.min(10)).min(self.longest_pause)
    }
}

const UTC: &str = "+00:00";

/// What the server said of a statement without rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) affected: u64,
    /// The rows that an INSERT or REPLACE .. SELECT read ("Records: 3 ..").
    pub(crate) records: Option<u64>,
}

/// The values of a row, by the names of their columns.
pub(crate) type NamedRow = Vec<(String, Option<String>)>;

/// What a connection is known by, even when it is lost: a named lock that it alone holds. Its id is
/// not enough, as it may be somebody else's after a restart of the server. The lock is given back
/// last, after the connection's transaction and its table locks.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: u32,
    lock: String,
}

impl Mark {
    fn new(id: u32) -> Self {
        // A hasher with random keys is the standard library's only source of randomness.
        Mark { id, lock: format!("online-alter#{:016x}", RandomState::new().hash_one(id)) }
    }
}

/// A connection to the server.
pub(crate) struct Session {
    conn: Conn,
    connector: Connector,
    setup: Vec<String>,
    /// None of the first one, in the server's own modes.
    purpose: Option<Purpose>,
    mark: Mark,
    /// Earlier connections of this session that are not known to have ended.
    lost: Vec<Mark>,
    /// The connection is gone. It may still hold the answer to an earlier question, and is never asked again.
    broken: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn open(connector: &Connector, flavor: Flavor, purpose: Purpose) -> Result<Self> {
        Self::open_with(connector, setup(connector, flavor, purpose), Some(purpose))
    }

    /// The first connection, when it is not known yet what kind of server this is.
    pub(crate) fn open_plain(connector: &Connector) -> Result<Self> {
        Self::open_with(connector, Vec::new(), None)
    }

    fn open_with(
        connector: &Connector,
        setup: Vec<String>,
        purpose: Option<Purpose>,
    ) -> Result<Self> {
        let conn = connector.connect()?;
        let mut session = Session {
            mark: Mark::new(conn.connection_id()),
            conn,
            connector: connector.clone(),
            setup,
            purpose,
            lost: Vec::new(),
            broken: false,
        };
        session.set_up()?;
        Ok(session)
    }

    fn set_up(&mut self) -> Result<()> {
        let lock = format!("SELECT GET_LOCK('{}', 0)", self.mark.lock);
        for statement in std::iter::once(&lock).chain(&self.setup.clone()) {
            match self.exec(statement) {
                // ER_UNKNOWN_SYSTEM_VARIABLE
                Err(error) if statement == NO_SNAPSHOT && error.server_code() == Some(1193) => {}
                other => other.map(drop).map_err(|e| e.context("setting up a session"))?,
            }
        }
        if let Some((query, identity)) = self.connector.identity()
            && self.scalar(&query)?.as_deref() != Some(identity.as_str())
        {
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                "the address leads to another server now",
            ));
        }
        Ok(())
    }

    /// Runs a statement now and whenever the connection is made anew.
    pub(crate) fn always(&mut self, statement: String) -> Result<()> {
        self.exec(&statement)?;
        self.setup.push(statement);
        Ok(())
    }

    /// What the connection is known by to others.
    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The connection id, as in the process list.
    pub(crate) fn id(&self) -> u32 {
        self.conn.connection_id()
    }

    /// Runs one statement that yields no rows, or whose rows do not matter.
    pub(crate) fn exec(&mut self, sql: &str) -> Result<Done> {
        self.query(sql, |mut result| {
            let done =
                Done { affected: result.affected_rows(), records: records(&result.info_str()) };
            // Errors may still come while the rows do: the crate's own shortcuts drop them.
            while let Some(mut rows) = result.iter() {
                rows.try_for_each(|row| row.map(drop))?;
            }
            Ok(done)
        })
    }

    /// Runs a query and returns its rows as text.
    pub(crate) fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.query(sql, |result| {
            result.map(|row| Ok(row?.unwrap().into_iter().map(to_text).collect())).collect()
        })
    }

    fn query<T>(
        &mut self,
        sql: &str,
        read: impl FnOnce(QueryResult<'_, '_, '_, Text>) -> mysql::Result<T>,
    ) -> Result<T> {
        log::trace!("connection {}: {sql}", self.id());
        self.check_usable()?;
        let answer = self.conn.query_iter(sql).and_then(read);
        answer.map_err(|error| self.failed(error))
    }

    fn check_usable(&self) -> Result<()> {
        if self.broken {
            let error = Error::new(ErrorKind::Connection, "the connection is lost");
            return Err(error.with_fault(Fault::Gone, None));
        }
        Ok(())
    }

    fn failed(&mut self, error: mysql::Error) -> Error {
        let error = to_error(error);
        self.broken |= error.fault() == Some(Fault::Gone);
        error
    }

    /// The first column of the first row.
    pub(crate) fn scalar(&mut self, sql: &str) -> Result<Option<String>> {
        Ok(self.rows(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Like [`rows`](Self::rows), with the names of the columns.
    pub(crate) fn named_rows(&mut self, sql: &str) -> Result<Vec<NamedRow>> {
        self.query(sql, |result| {
            let named = |row: mysql::Result<mysql::Row>| -> mysql::Result<NamedRow> {
                let row = row?;
                let names: Vec<String> =
                    row.columns_ref().iter().map(|c| c.name_str().into_owned()).collect();
                Ok(names.into_iter().zip(row.unwrap().into_iter().map(to_text)).collect())
            };
            result.map(named).collect()
        })
    }

    /// Runs `work`, whose answers depend on SQL mode and time zone, under those that all other sessions
    /// have: ANSI_QUOTES changes how the server prints names, the zone how it prints defaults.
    pub(crate) fn in_plain_mode<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let own = match self.purpose {
            Some(Purpose::Inspect) => return work(self),
            Some(Purpose::Rows | Purpose::Refresh) => {
                let modes = self.connector.rows_modes();
                // Of what their SQL mode may hold, MariaDB prints defaults by this alone.
                if modes.time_zone == UTC && !modes.sql_mode.contains("PAD_CHAR_TO_FULL_LENGTH") {
                    return work(self);
                }
                set_modes(&modes)
            }
            Some(Purpose::Definition) | None => users_modes(&self.connector),
        };
        self.exec("SET SESSION sql_mode = '', time_zone = '+00:00'")?;
        let result = work(self);
        self.exec(&own)?;
        result
    }

    /// Sets a session of the server's own modes to those that the caller gave.
    pub(crate) fn take_users_modes(&mut self) -> Result<()> {
        self.exec(&users_modes(&self.connector)).map(drop)
    }

    /// Has the server parse a statement without running it.
    pub(crate) fn check_syntax(&mut self, sql: &str) -> Result<()> {
        self.check_usable()?;
        let conn = &mut self.conn;
        let parsed = conn.prep(sql).and_then(|statement| conn.close(statement));
        parsed.map_err(|error| self.failed(error))
    }

    /// Runs `work`, again and again while its errors are passing ones. `work` must be harmless to
    /// repeat. A transaction that it left open is rolled back first; a connection that is gone is
    /// made anew, and the old one is made sure to be dead.
    pub(crate) fn retrying<T>(
        &mut self,
        retries: Retries,
        cancel: &Cancel,
        work: impl FnMut(&mut Session) -> Result<T>,
    ) -> Result<T> {
        self.retrying_aloud(retries, cancel, &|_| (), work)
    }

    /// The same, and `on_retry` is told of the errors.
    pub(crate) fn retrying_aloud<T>(
        &mut self,
        retries: Retries,
        cancel: &Cancel,
        on_retry: &dyn Fn(&Error),
        mut work: impl FnMut(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            let ready = if self.broken { self.reopen(cancel) } else { self.end_lost(cancel) };
            let error = match ready.and_then(|()| work(self)) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // Whatever else keeps us from connecting may pass.
            let elsewhere = error.kind() == ErrorKind::UnsupportedServer;
            let may_pass =
                if self.broken { !elsewhere } else { error.fault().is_some_and(Fault::is_passing) };
            attempt += 1;
            if !self.broken {
                // A failed statement does not always end its transaction.
                let _ = self.exec("ROLLBACK");
            }
            if !may_pass || attempt >= retries.attempts {
                return Err(error);
            }
            log::debug!("attempt {attempt} failed, trying again: {}", error.message());
            on_retry(&error);
            cancel.sleep(retries.pause(attempt))?;
        }
    }

    /// Replaces the connection, and sees to it that the old one has ended, with whatever statement it
    /// may have been executing: a late chunk could bring back deleted rows.
    pub(crate) fn reopen(&mut self, cancel: &Cancel) -> Result<()> {
        // Until it is set up, and known to lead to the same server, the new one is none.
        self.broken = true;
        let new = Session::open_with(&self.connector, self.setup.clone(), self.purpose)?;
        self.lost.push(std::mem::replace(&mut self.mark, new.mark));
        self.conn = new.conn;
        self.broken = false;
        self.end_lost(cancel)
    }

    /// Ends the connections that were lost. Nothing may be done again before that.
    fn end_lost(&mut self, cancel: &Cancel) -> Result<()> {
        while let Some(lost) = self.lost.last().cloned() {
            self.end(&lost, cancel)?;
            self.lost.pop();
        }
        Ok(())
    }

    /// Ends another connection of ours, and waits until the server has given back all that it held.
    pub(crate) fn end(&mut self, other: &Mark, cancel: &Cancel) -> Result<()> {
        let holder = format!("SELECT IS_USED_LOCK('{}')", other.lock);
        while let Some(id) = self.scalar(&holder)? {
            self.kill(id.parse().map_err(|_| missing("who holds a lock"))?)?;
            cancel.sleep(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Ends another connection; one that is gone already is no error.
    pub(crate) fn kill(&mut self, id: u32) -> Result<()> {
        // ER_NO_SUCH_THREAD
        match self.exec(&format!("KILL {id}")) {
            Err(error) if error.server_code() == Some(1094) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Ends the statement of another connection; one that is gone already is no error.
    pub(crate) fn kill_query(&mut self, id: u32) -> Result<()> {
        match self.exec(&format!("KILL QUERY {id}")) {
            Err(error) if error.server_code() == Some(1094) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The resource group of MySQL in which connections begin.
pub(crate) const DEFAULT_GROUP: &str = "USR_default";

/// Puts a session into a resource group.
pub(crate) fn in_group(group: &Ident) -> String {
    format!("SET RESOURCE GROUP {group}")
}

/// Newer MariaDB servers have it on: a chunk that meets a row of the ghost which has been refreshed since
/// the chunk began would fail (error 1020). It is to leave such a row alone.
const NO_SNAPSHOT: &str = "SET SESSION innodb_snapshot_isolation = OFF";

/// The statements that set up a session. Every variable that a DBA may have set to something
/// else, and that would change what our statements do, is set here.
fn setup(connector: &Connector, flavor: Flavor, purpose: Purpose) -> Vec<String> {
    let mut statements = vec![
        // A server can be told not to let clients choose.
        "SET NAMES utf8mb4".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE".to_owned(),
        "SET SESSION autocommit = 1, completion_type = 0, sql_safe_updates = 0, \
         sql_select_limit = 18446744073709551615, sql_quote_show_create = 1, foreign_key_checks = 1, unique_checks = 1, \
         wait_timeout = 31536000, net_read_timeout = 600, net_write_timeout = 600"
            .to_owned(),
    ];
    statements.push(
        match flavor {
            Flavor::MySql => {
                "SET SESSION max_execution_time = 0, information_schema_stats_expiry = 0"
            }
            // A long IN list must not become a subquery that is read without our row locks.
            Flavor::MariaDb => {
                "SET SESSION max_statement_time = 0, in_predicate_conversion_threshold = 0"
            }
        }
        .to_owned(),
    );
    if flavor == Flavor::MariaDb {
        statements.push(NO_SNAPSHOT.to_owned());
    }
    if connector.writes_rows() && purpose != Purpose::Inspect {
        statements.push("SET SESSION binlog_format = 'ROW'".to_owned());
    }
    let lock_wait = "SET SESSION lock_wait_timeout = 5";
    match purpose {
        Purpose::Inspect => {
            statements.push("SET SESSION sql_mode = '', time_zone = '+00:00'".to_owned());
            statements.push(lock_wait.to_owned());
        }
        Purpose::Rows | Purpose::Refresh => {
            statements.push(set_modes(&connector.rows_modes()));
            statements.push(format!(
                "{lock_wait}, autocommit = {}, innodb_lock_wait_timeout = {}",
                u8::from(purpose == Purpose::Rows),
                // A refresh may wait for the application; the copy only ever waits for a refresh.
                if purpose == Purpose::Rows { 10 } else { 1 }
            ));
        }
        Purpose::Definition => {
            statements.push(users_modes(connector));
            statements.push(lock_wait.to_owned());
        }
    }
    statements
}

fn set_modes(modes: &Modes) -> String {
    format!(
        "SET SESSION time_zone = {}, sql_mode = {}",
        literal::text(&modes.time_zone),
        literal::text(&modes.sql_mode)
    )
}

/// The server's own, unless the caller gave others.
fn users_modes(connector: &Connector) -> String {
    connector.definition_modes().map_or_else(
        || "SET SESSION time_zone = @@GLOBAL.time_zone, sql_mode = @@GLOBAL.sql_mode".to_owned(),
        set_modes,
    )
}

fn to_text(value: mysql::Value) -> Option<String> {
    match value {
        mysql::Value::NULL => None,
        mysql::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

/// "Records: 3  Duplicates: 1  Warnings: 0"
fn records(info: &str) -> Option<u64> {
    info.strip_prefix("Records: ")?.split_whitespace().next()?.parse().ok()
}

/// Whether a connection was not to be had because the address leads to another server now.
pub(crate) fn is_elsewhere(error: &Error) -> bool {
    error.kind() == ErrorKind::UnsupportedServer
}

/// For values that the server must give, or else something is very wrong.
pub(crate) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Server, format!("the server did not say {what}"))
}
