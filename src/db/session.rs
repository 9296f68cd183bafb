//! One connection, set up for a purpose, that can be made anew.

use mysql::prelude::Queryable;
use mysql::{Conn, QueryResult, Text};

use super::connector::{Connector, Flavor, to_error};
use super::limit::within;
use super::mark::Mark;
use super::modes::SqlMode;
use super::retries::{Backoff, Retries};
use super::setup::{self, LOGGING, MAY_BE_UNKNOWN, PLAIN_MODES, UTC, set_modes, users_modes};
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

/// What the server said of a statement without rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) affected: u64,
    /// The rows that an INSERT or REPLACE .. SELECT read ("Records: 3 ..").
    pub(crate) records: Option<u64>,
}

/// The values of a row, by the names of their columns.
pub(crate) type NamedRow = Vec<(String, Option<String>)>;

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
    /// It may be made anew without the run's named lock.
    free: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The server may not have noticed.
        let broken = Some(&self.mark).filter(|_| self.broken);
        self.lost.iter().chain(broken).for_each(|lost| self.connector.leave(lost.clone()));
    }
}

impl Session {
    pub(crate) fn open(connector: &Connector, flavor: Flavor, purpose: Purpose) -> Result<Self> {
        let setup = setup::of(connector, flavor, purpose);
        Self::open_with(connector, setup, Some(purpose), None, false)
    }

    /// The same, tried again while it is not to be had for now.
    pub(crate) fn open_patiently(
        connector: &Connector,
        flavor: Flavor,
        purpose: Purpose,
        retries: Retries,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut backoff = Backoff::new(retries);
        loop {
            let error = match Self::open(connector, flavor, purpose) {
                Err(error) if error.fault().is_some_and(Fault::is_passing) => error,
                other => return other,
            };
            let Some(pause) = backoff.failed() else { return Err(backoff.gives_up(error)) };
            log::debug!("no connection ({backoff}), trying again: {}", error.message());
            cancel.sleep(pause)?;
        }
    }

    /// The first connection, when it is not known yet what kind of server this is: in the modes that the server has
    /// for everybody.
    pub(crate) fn open_plain(connector: &Connector) -> Result<Self> {
        Self::open_with(connector, setup::of_first(connector), None, None, false)
    }

    fn open_with(
        connector: &Connector,
        setup: Vec<String>,
        purpose: Option<Purpose>,
        cancel: Option<&Cancel>,
        free: bool,
    ) -> Result<Self> {
        let theirs = connector.clone();
        let open = move || {
            let conn = theirs.connect()?;
            let mut session = Session {
                mark: Mark::new(conn.connection_id()),
                conn,
                connector: theirs,
                setup,
                purpose,
                lost: Vec::new(),
                broken: false,
                free,
            };
            session.set_up()?;
            Ok(session)
        };
        let limit = connector.limit();
        within(limit, cancel, open)?.unwrap_or_else(|| Err(connector.silent(limit)))
    }

    fn set_up(&mut self) -> Result<()> {
        // Before anything is written: the binlog has the ids of connections, which mean nothing without the time.
        let lock = format!("SELECT UNIX_TIMESTAMP(), GET_LOCK('{}', 0)", self.mark.lock);
        // A query may be under a time limit as long as that is not taken off.
        for statement in &self.setup.clone() {
            match self.exec(statement) {
                Err(error)
                    if MAY_BE_UNKNOWN.contains(&statement.as_str())
                        && error.server_code() == Some(UNKNOWN_VARIABLE) => {}
                other => other.map(drop).map_err(|e| e.context("setting up a session"))?,
            }
        }
        let time = self.scalar(&lock).map_err(|e| e.context("setting up a session"))?;
        self.mark.since =
            time.and_then(|time| time.parse().ok()).ok_or_else(|| missing("the time"))?;
        self.mark.held = true;
        self.connector.owns(&self.mark);
        if self.purpose.is_some_and(|purpose| purpose != Purpose::Inspect) {
            self.log_rows()?;
        }
        if let Some((query, identity)) = self.connector.identity()
            && self.scalar(&query)?.as_deref() != Some(identity.as_str())
        {
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                "the address leads to another server now",
            ));
        }
        if self.purpose.is_none_or(|purpose| purpose == Purpose::Inspect) {
            return Ok(());
        }
        // In this order: whoever takes the lock away, and then ends the connections that are written down, has them all.
        self.connector.clone().prepare(self)?;
        if self.free { Ok(()) } else { self.check_guard() }
    }

    /// The server's `init_connect` may have taken the session's changes out of the binlog, or made statements of them.
    fn log_rows(&mut self) -> Result<()> {
        for logging in &LOGGING {
            let is = match self.scalar(logging.look) {
                Err(error) if error.server_code() == Some(UNKNOWN_VARIABLE) => continue,
                other => other?,
            };
            if is.as_deref() == Some(logging.wanted) {
                continue;
            }
            match self.exec(logging.set) {
                // It is so for everybody, and what we write will be seen to be in the wrong format.
                Err(error) if error.fault() == Some(Fault::Access) => {}
                other => other.map(drop).map_err(|e| e.context("setting up a session"))?,
            }
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
        self.exec(PLAIN_MODES)?;
        let result = work(self);
        self.exec(&own)?;
        result
    }

    /// Runs `work`, whose statements hold definitions as the server prints them, in the session's own SQL mode but for what
    /// would have them read in another way: a backslash in a comment is none, or two.
    pub(crate) fn as_printed<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let own = self.scalar("SELECT @@SESSION.sql_mode")?.unwrap_or_default();
        let printed = SqlMode(&own).as_printed();
        if printed == own {
            return work(self);
        }
        let set = |mode: &str| format!("SET SESSION sql_mode = {}", literal::text(mode));
        self.exec(&set(&printed))?;
        let result = work(self);
        let back = self.exec(&set(&own));
        result.and_then(|done| back.map(|_| done))
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
        let mut backoff = Backoff::new(retries);
        loop {
            let ready = if self.broken { self.reopen(cancel) } else { self.end_lost(cancel) };
            let error = match ready.and_then(|()| work(self)) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // Whatever else keeps us from connecting may pass.
            let is_final =
                matches!(error.kind(), ErrorKind::UnsupportedServer | ErrorKind::LockLost);
            let may_pass =
                if self.broken { !is_final } else { error.fault().is_some_and(Fault::is_passing) };
            if !self.broken {
                // A failed statement does not always end its transaction.
                let _ = self.exec("ROLLBACK");
            }
            if !may_pass {
                return Err(error);
            }
            let Some(pause) = backoff.failed() else { return Err(backoff.gives_up(error)) };
            log::debug!("{backoff}, trying again: {}", error.message());
            on_retry(&error);
            cancel.sleep(pause)?;
        }
    }

    /// Replaces the connection, and sees to it that the old one has ended, with whatever statement it
    /// may have been executing: a late chunk could bring back deleted rows.
    pub(crate) fn reopen(&mut self, cancel: &Cancel) -> Result<()> {
        // Until it is set up, and known to lead to the same server, the new one is none.
        self.broken = true;
        let setup = self.setup.clone();
        let mut new =
            Session::open_with(&self.connector, setup, self.purpose, Some(cancel), self.free)?;
        self.lost.push(std::mem::replace(&mut self.mark, new.mark.clone()));
        std::mem::swap(&mut self.conn, &mut new.conn);
        self.broken = false;
        self.end_lost(cancel)
    }

    /// Makes sure that the run holds its named lock still, which keeps everybody else from its tables.
    pub(crate) fn check_guard(&mut self) -> Result<()> {
        let Some(guard) = self.connector.guard() else { return Ok(()) };
        if self.scalar(&guard)?.as_deref() == Some("1") {
            return Ok(());
        }
        let why = "the run's named lock is lost, so another run may have begun";
        Err(Error::new(ErrorKind::LockLost, why))
    }

    /// From now on it is of no account to this session who else may have begun.
    pub(crate) fn needs_no_guard(&mut self) {
        self.free = true;
    }

    /// Ends the connections that were lost. Nothing may be done again before that.
    fn end_lost(&mut self, cancel: &Cancel) -> Result<()> {
        while let Some(lost) = self.lost.last().cloned() {
            self.end(&lost, cancel)?;
            self.lost.pop();
        }
        Ok(())
    }
}

/// ER_UNKNOWN_SYSTEM_VARIABLE
const UNKNOWN_VARIABLE: u16 = 1193;

/// The resource group of MySQL in which connections begin.
pub(crate) const DEFAULT_GROUP: &str = "USR_default";

/// Puts a session into a resource group.
pub(crate) fn in_group(group: &Ident) -> String {
    format!("SET RESOURCE GROUP {group}")
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
