//! How to reach the server: the caller's options with the defaults that a run needs.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mysql::{Conn, DriverError, Opts, OptsBuilder};
use mysql_common::proto::codec::error::PacketCodecError;
use parking_lot::Mutex;

use super::mark::Mark;
use super::modes::Modes;
use super::session::Session;
use crate::cancel::Cancel;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::TableName;
use crate::tls;

/// The two families of servers, which differ in words, strategies and privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flavor {
    /// MySQL and Percona Server.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavor::MySql => "MySQL",
            Flavor::MariaDb => "MariaDB",
        })
    }
}

/// The default of `tcp_connect_timeout`.
const CONNECT: Duration = Duration::from_secs(10);

/// A control replica that does not answer in this time is as good as none. Others wait for it.
const REPLICA_PATIENCE: Duration = Duration::from_secs(2);

/// The ids of connections, each with the times at which it became ours by the server's clock, in seconds since 1970. A server
/// that is started again counts from the beginning, so an id may be somebody else's then.
#[derive(Debug, Default)]
struct OwnIds(HashMap<u32, Vec<(u64, u64)>>);

impl OwnIds {
    /// Whether the connection was ours at a time, the server having been started at another.
    fn had(&self, id: u32, at: u64, started: u64) -> bool {
        let times = self.0.get(&id).map_or(&[][..], Vec::as_slice);
        times.iter().any(|(since, until)| (started..=at).contains(since) && at <= *until)
    }
}

/// Makes connections, and remembers their ids, by which the binlog tells our own statements from
/// other people's. Clones share that memory.
#[derive(Clone)]
pub(crate) struct Connector {
    opts: Opts,
    own_ids: Arc<Mutex<OwnIds>>,
    /// What the server is known by, and how to ask for it, once that is known.
    identity: Arc<OnceLock<(String, String)>>,
    /// Of sessions that define tables, and of those that move rows, once they are known.
    definition: Arc<OnceLock<Modes>>,
    rows: Arc<OnceLock<Modes>>,
    /// The server's binlog format is another, and is to stay so.
    own_row_format: Arc<AtomicBool>,
    /// What a session that writes does before anything else, once there is something to do.
    before_work: Arc<OnceLock<Box<BeforeWork>>>,
    /// Asks whether the run still holds its named lock, once it has taken it.
    guard: Arc<OnceLock<String>>,
    /// Connections that were lost, and that nobody has seen to end.
    left: Arc<Mutex<Vec<Mark>>>,
}

/// What a session that writes does before anything else.
type BeforeWork = dyn Fn(&mut Session) -> Result<()> + Send + Sync;

impl fmt::Debug for Connector {
    // `Opts` prints its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.address()).finish()
    }
}

impl Connector {
    pub(crate) fn new(opts: &Opts) -> Result<Self> {
        if let Some(options) = opts.get_ssl_opts() {
            tls::check(options)?;
        }
        let mut builder = OptsBuilder::from_opts(opts.clone())
            // The crate would leave a loopback address for the socket that the server names, which
            // is the wrong one behind a proxy or a port forward.
            .prefer_socket(opts.get_socket().is_some())
            .stmt_cache_size(0)
            .connect_attrs(Some(attributes(opts, None)));
        if opts.get_tcp_connect_timeout().is_none() {
            builder = builder.tcp_connect_timeout(Some(CONNECT));
        }
        // A peer that vanished without a word is noticed within half a minute; statements
        // themselves may take as long as they need.
        if opts.get_tcp_keepalive_time_ms().is_none() {
            builder = builder.tcp_keepalive_time_ms(Some(10_000));
            #[cfg(target_os = "linux")]
            {
                builder = builder
                    .tcp_keepalive_probe_interval_secs(Some(5))
                    .tcp_keepalive_probe_count(Some(3))
                    .tcp_user_timeout_ms(Some(30_000));
            }
        }
        Ok(Connector {
            opts: builder.into(),
            own_ids: Arc::default(),
            identity: Arc::default(),
            definition: Arc::default(),
            rows: Arc::default(),
            own_row_format: Arc::default(),
            before_work: Arc::default(),
            guard: Arc::default(),
            left: Arc::default(),
        })
    }

    /// To a replica that is asked on the way, and keeps nobody waiting. Without a schema, which its user may have no
    /// privilege on.
    pub(crate) fn to_replica(replica: &Endpoint) -> Result<Self> {
        let opts = OptsBuilder::from_opts(replica.opts()?)
            .db_name(None::<String>)
            .tcp_connect_timeout(Some(REPLICA_PATIENCE))
            .read_timeout(Some(REPLICA_PATIENCE))
            .write_timeout(Some(REPLICA_PATIENCE));
        Connector::new(&opts.into())
    }

    pub(crate) fn address(&self) -> String {
        match self.opts.get_socket() {
            Some(socket) => socket.to_owned(),
            None => format!("{}:{}", self.opts.get_ip_or_hostname(), self.opts.get_tcp_port()),
        }
    }

    /// Says in the attributes of all connections which table they are for.
    pub(crate) fn for_table(mut self, table: &TableName) -> Self {
        let attributes = attributes(&self.opts, Some(table));
        self.opts = OptsBuilder::from_opts(self.opts).connect_attrs(Some(attributes)).into();
        self
    }

    /// Another server, for the same user.
    pub(crate) fn at(&self, host: &str, port: u16) -> Endpoint {
        let opts = OptsBuilder::from_opts(self.opts.clone());
        opts.ip_or_hostname(Some(host)).tcp_port(port).socket(None::<String>).into()
    }

    pub(crate) fn default_schema(&self) -> Option<&str> {
        self.opts.get_db_name()
    }

    /// How long it may take until a session is there: as long again as the connection alone, for the handshake and
    /// what is set after it.
    pub(super) fn limit(&self) -> Duration {
        self.opts.get_tcp_connect_timeout().unwrap_or(CONNECT) * 2
    }

    /// Of a peer that takes a connection, and then says nothing (any more): a server that is stopped, a proxy without one.
    pub(super) fn silent(&self, limit: Duration) -> Error {
        let why = format!(
            "no session within {} s: something is there, and does not answer",
            limit.as_secs_f32()
        );
        let error = Error::new(ErrorKind::Connection, why).with_fault(Fault::Gone, None);
        error.context(format_args!("cannot connect to {}", self.address()))
    }

    /// A new connection as the crate sets it up. [`Session`](super::Session) is what others want.
    pub(super) fn connect(&self) -> Result<Conn> {
        Conn::new(self.opts.clone()).map_err(|error| self.refused(error))
    }

    /// Remembers that a connection is ours: before it changes anything, or of an earlier run, with which this one goes on. What
    /// the binlog has of it is the run's own.
    pub(crate) fn owns(&self, mark: &Mark) {
        self.owned(mark, u64::MAX);
    }

    /// A connection that was ours for a time, in seconds since 1970 by the server's clock.
    pub(crate) fn owned(&self, mark: &Mark, until: u64) {
        self.own_ids.lock().0.entry(mark.id).or_default().push((mark.since, until));
    }

    /// A new connection for a binlog stream: it takes events of up to a gibibyte, and gives up
    /// when `silence` passes without so much as a heartbeat.
    pub(crate) fn connect_for_stream(&self, silence: Duration) -> Result<Conn> {
        let opts = OptsBuilder::from_opts(self.opts.clone())
            .max_allowed_packet(Some(1 << 30))
            .read_timeout(Some(silence));
        Conn::new(opts).map_err(|error| self.refused(error))
    }

    /// From now on every session makes sure that it has reached this server: behind an address may be
    /// another one tomorrow.
    pub(crate) fn expect(&self, query: &str, identity: &str) {
        let _ = self.identity.set((query.to_owned(), identity.to_owned()));
    }

    /// From now on sessions that define tables are set up so.
    pub(crate) fn define_in(&self, modes: Modes) {
        let _ = self.definition.set(modes);
    }

    /// From now on sessions that move rows are set up so.
    pub(crate) fn move_rows_in(&self, modes: Modes) {
        let _ = self.rows.set(modes);
    }

    /// From now on every session that may write does this first, whenever its connection is made (anew).
    pub(crate) fn before_work(
        &self,
        what: impl Fn(&mut Session) -> Result<()> + Send + Sync + 'static,
    ) {
        let _ = self.before_work.set(Box::new(what));
    }

    pub(super) fn prepare(&self, session: &mut Session) -> Result<()> {
        self.before_work.get().map_or(Ok(()), |what| what(session))
    }

    /// From now on sessions write rows to the binlog, whatever the server's format is.
    pub(crate) fn write_rows(&self) {
        self.own_row_format.store(true, Ordering::SeqCst);
    }

    pub(super) fn writes_rows(&self) -> bool {
        self.own_row_format.load(Ordering::SeqCst)
    }

    pub(super) fn definition_modes(&self) -> Option<&Modes> {
        self.definition.get()
    }

    pub(super) fn rows_modes(&self) -> Modes {
        self.rows.get().cloned().unwrap_or_default()
    }

    pub(super) fn identity(&self) -> Option<(String, String)> {
        self.identity.get().cloned()
    }

    /// From now on a session that has to be made anew goes on only while the connection that is known by that
    /// mark holds the lock. A server that was restarted has forgotten all locks, and somebody else may have begun.
    pub(crate) fn guarded_by(&self, lock: &str, holder: &Mark) {
        let _ = self.guard.set(format!("SELECT IS_USED_LOCK({lock}) = {}", holder.held_by()));
    }

    pub(super) fn leave(&self, lost: Mark) {
        self.left.lock().push(lost);
    }

    /// Ends the connections that were lost, which the server may not have noticed: what they hold nobody else
    /// gets. Returns the ids of those that may be there still.
    pub(crate) fn end_left(&self) -> Vec<u32> {
        let left = std::mem::take(&mut *self.left.lock());
        if left.is_empty() {
            return Vec::new();
        }
        let mut session = Session::open_plain(self).ok();
        let is_there = |mark: &&Mark| match session.as_mut() {
            // It has no lock by which it could be told from somebody else's that has its id by now.
            Some(session) if !mark.is_held() => session.sees(mark.id).unwrap_or(true),
            Some(session) => session.end(mark, &Cancel::default()).is_err(),
            None => true,
        };
        left.iter().filter(is_there).map(|mark| mark.id).collect()
    }

    pub(super) fn guard(&self) -> Option<String> {
        self.guard.get().cloned()
    }

    /// Whether a connection of this id is ours, or was.
    pub(crate) fn is_own(&self, connection_id: u32) -> bool {
        self.own_ids.lock().0.contains_key(&connection_id)
    }

    /// Whether a statement is ours that this connection began `at` a time, after the server had last been `started`; both in
    /// seconds since 1970 by the server's clock.
    pub(crate) fn was_own(&self, connection_id: u32, at: u32, started: u32) -> bool {
        self.own_ids.lock().had(connection_id, at.into(), started.into())
    }

    fn refused(&self, error: mysql::Error) -> Error {
        let error = to_error(error);
        let kind = match error.fault() {
            Some(Fault::Access) => ErrorKind::AccessDenied,
            _ => ErrorKind::Connection,
        };
        // The server does not say that it is this what it misses (REQUIRE SSL, REQUIRE X509).
        let how = match (kind, self.opts.get_ssl_opts(), self.opts.get_socket()) {
            (ErrorKind::AccessDenied, None, None) => " without TLS",
            (ErrorKind::AccessDenied, Some(options), None)
                if !tls::has_client_certificate(options) =>
            {
                " by TLS without a client certificate"
            }
            _ => "",
        };
        error.with_kind(kind).context(format_args!("cannot connect to {}{how}", self.address()))
    }
}

/// What a server shows of its connections (`performance_schema.session_connect_attrs`), besides what the caller says.
fn attributes(opts: &Opts, table: Option<&TableName>) -> HashMap<String, String> {
    let mut all = opts.get_connect_attrs().cloned().unwrap_or_default();
    let mut add = |name: &str, value: String| {
        all.entry(name.to_owned()).or_insert(value);
    };
    add("program_name", "online-alter".to_owned());
    add("program_version", env!("CARGO_PKG_VERSION").to_owned());
    if let Some(table) = table {
        add("table", format!("{}.{}", table.schema.as_str(), table.table.as_str()));
    }
    all
}

/// The crate's error as ours. Its message never holds the password.
pub(crate) fn to_error(error: mysql::Error) -> Error {
    let (fault, code) = match &error {
        mysql::Error::MySqlError(error) => {
            (Fault::of(error.code, &error.message), Some(error.code))
        }
        // The client refuses to send what the server would refuse to take.
        mysql::Error::CodecError(PacketCodecError::PacketTooLarge) => (Fault::TooBig, None),
        mysql::Error::DriverError(DriverError::UnknownAuthPlugin(_)) => (Fault::Access, None),
        mysql::Error::IoError(_) | mysql::Error::CodecError(_) | mysql::Error::DriverError(_) => {
            (Fault::Gone, None)
        }
        _ => (Fault::Other, None),
    };
    let kind = match fault {
        Fault::Gone => ErrorKind::Connection,
        Fault::Access => ErrorKind::Privileges,
        Fault::Duplicate => ErrorKind::DuplicateRows,
        Fault::Data => ErrorKind::RowRefused,
        Fault::NoSuchTable => ErrorKind::NoSuchTable,
        _ => ErrorKind::Server,
    };
    let message = match &error {
        mysql::Error::MySqlError(error) if fault == Fault::DiskFull => {
            format!("the server has no room left ({})", error.message)
        }
        mysql::Error::MySqlError(error) => error.message.clone(),
        mysql::Error::DriverError(DriverError::TlsNotSupported) => {
            "TLS is asked for, and the server has none".to_owned()
        }
        mysql::Error::DriverError(DriverError::UnknownAuthPlugin(name)) => format!(
            "the server wants the authentication plugin {name}, which is not to be had here; MySQL wants any when it \
             does not know the user"
        ),
        other => other.to_string(),
    };
    Error::new(kind, message).with_fault(fault, code).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 7 is ours from 100 on; the server is started at 200, and 7 is somebody else's until we get it again at 300.
    #[test]
    fn an_id_is_ours_for_as_long_as_the_server_runs() {
        let mut ids = OwnIds::default();
        ids.0.entry(7).or_default().extend([(100, u64::MAX), (300, u64::MAX)]);
        ids.0.entry(9).or_default().push((100, 120));
        assert!(ids.had(9, 120, 0) && !ids.had(9, 121, 0));
        for (at, started, ours) in [
            (99, 0, false),
            (100, 0, true),
            (150, 50, true),
            (250, 200, false),
            (300, 200, true),
            (400, 200, true),
            (400, 301, false),
        ] {
            assert_eq!(ids.had(7, at, started), ours, "at {at}, started at {started}");
        }
        assert!(!ids.had(8, 150, 0));
    }
}
