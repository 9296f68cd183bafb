//! The thread that reads the stream, and makes it anew when it breaks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mysql::binlog::BinlogChecksumAlg;
use mysql::binlog::events::Event;
use mysql::prelude::Queryable;
use mysql::{BinlogRequest, BinlogStream};

use super::feed::Feed;
use super::gtid::GtidSet;
use super::interpreter::Interpreter;
use super::position::{BinlogPosition, Start};
use super::watch::{Sink, Watch, Writer};
use crate::cancel::Cancel;
use crate::db::{Backoff, Connector, Retries, Session, to_error};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::Key;

/// The server sends a heartbeat when it has been silent for this long.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Silence after which a connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest that a server is left to look for the place from which to send.
const LONGEST_SEARCH: Duration = Duration::from_secs(320);

/// The server gives a connection up that takes nothing for so long. MariaDB (10.11) lets a stream begin
/// only when an older one of the same server id has ended, and KILL does not end one that waits for its
/// peer: so not for long. If we are what is slow, the stream is made anew when we go on.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// What a stream needs.
#[derive(Debug)]
pub(crate) struct StreamConfig {
    pub(crate) connector: Connector,
    /// Who knows the run's own connections, whose ids the binlog has: those of the server of the table, even if
    /// this is a replica's. A replica's binlog has those of its primary, which may have the same ids.
    pub(crate) own: Connector,
    pub(crate) own_server_id: u32,
    /// The id under which the stream registers as a replica.
    pub(crate) server_id: u32,
    /// What the server is known by (`@@server_uuid`): after a failover positions mean nothing.
    pub(crate) identity_query: &'static str,
    pub(crate) identity: String,
    pub(crate) start: Start,
    pub(crate) watch: Watch,
    pub(crate) retries: Retries,
}

impl StreamConfig {
    pub(crate) fn reads_replica(&self) -> bool {
        self.connector.address() != self.own.address()
    }
}

/// The stream, as the rest of the run holds it.
#[derive(Debug)]
pub(crate) struct Stream {
    feed: Arc<Feed>,
    connection: AtomicU32,
    stop: AtomicBool,
    copying: AtomicBool,
}

impl Stream {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Stream {
            feed,
            connection: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            copying: AtomicBool::new(false),
        }
    }

    /// Tells the stream that the fence is behind us.
    pub(crate) fn copy_begins(&self) {
        self.copying.store(true, Ordering::SeqCst);
    }

    /// Ends the stream at once, with the help of another connection if there is one. Without, it
    /// ends at the next heartbeat.
    pub(crate) fn stop(&self, with: Option<&mut Session>) {
        self.stop.store(true, Ordering::SeqCst);
        let connection = self.connection.swap(0, Ordering::SeqCst);
        if let (Some(session), true) = (with, connection != 0)
            && let Err(error) = session.kill(connection)
        {
            log::debug!("the stream's connection could not be ended: {}", error.message());
        }
    }

    /// Reads until stopped. `changed` is called with each changed key and may block: then the
    /// server has to wait. It returns `false` if the run was asked to stop.
    pub(crate) fn read(
        &self,
        config: &StreamConfig,
        cancel: &Cancel,
        changed: &(dyn Fn(Key) -> bool + Sync),
    ) -> Result<()> {
        let mut interpreter = Interpreter::new(config.watch.clone(), config.start.clone());
        let mut backoff = Backoff::new(config.retries);
        let mut silence = SILENCE;
        loop {
            let before = self.feed.position();
            let ended =
                self.connect(config, &before, interpreter.gtids(), silence).and_then(|events| {
                    interpreter.reconnected(before.clone());
                    self.follow(events, &mut interpreter, config, cancel, changed)
                });
            // The id stays known for `stop`, which ends the server's side at once: by itself the server
            // notices only when it next has something to send.
            if self.stop.load(Ordering::SeqCst) || cancel.is_set() {
                return Ok(());
            }
            // Nor may it be somebody else's by then, after a restart of the server.
            self.connection.store(0, Ordering::SeqCst);
            let error = match ended {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(why)) => {
                    Error::new(ErrorKind::Connection, format!("the binlog stream broke: {why}"))
                }
                Err(error) if may_pass(&error) => error,
                Err(error) => return Err(error),
            };
            let got_further = self.feed.position() != before;
            if got_further {
                backoff = Backoff::new(config.retries);
            }
            silence = silence_after(silence, got_further, interpreter.gtids());
            let Some(pause) = backoff.failed() else {
                let address = config.connector.address();
                return Err(backoff
                    .gives_up(error)
                    .context(format_args!("reading the binlog of {address}")));
            };
            log::debug!("{}; reading on from {}", error.message(), self.feed.position());
            cancel.sleep(pause)?;
        }
    }

    fn connect(
        &self,
        config: &StreamConfig,
        at: &BinlogPosition,
        gtids: Option<&GtidSet>,
        silence: Duration,
    ) -> Result<BinlogStream> {
        let mut conn = config.connector.connect_for_stream(silence)?;
        let identity: Option<String> = conn.query_first(config.identity_query).map_err(to_error)?;
        if identity.as_deref() != Some(config.identity.as_str()) {
            return Err(Error::new(
                ErrorKind::Binlog,
                "the address leads to another server now, where our binlog position means nothing",
            ));
        }
        // Both names of each variable: servers ignore the one that they do not know. The capability
        // makes MariaDB send its own events instead of dummies.
        let period = HEARTBEAT.as_nanos();
        for statement in [
            format!("SET @source_heartbeat_period = {period}, @master_heartbeat_period = {period}"),
            "SET @mariadb_slave_capability = 4".to_owned(),
            format!("SET SESSION net_write_timeout = {}", WRITE_PATIENCE.as_secs()),
        ] {
            conn.query_drop(statement).map_err(to_error)?;
        }
        self.connection.store(conn.connection_id(), Ordering::SeqCst);
        let request = BinlogRequest::new(config.server_id);
        let request = if let Some(gtids) = gtids {
            if let Some(state) = gtids.connect_state() {
                conn.query_drop(state).map_err(to_error)?;
            }
            let sids = gtids.sids().map_err(|error| {
                Error::new(ErrorKind::Binlog, format!("the GTIDs {gtids}: {error}"))
            })?;
            request.with_use_gtid(!sids.is_empty()).with_sids(sids)
        } else {
            let offset = u32::try_from(at.offset()).map_err(|_| {
                let why = "and a position beyond 4 GiB cannot be asked for, unless by GTIDs (gtid)";
                Error::new(ErrorKind::Binlog, format!("the stream broke at {at}, {why}"))
            })?;
            request.with_filename(at.file().as_bytes().to_vec()).with_pos(u64::from(offset))
        };
        conn.get_binlog_stream(request).map_err(to_error)
    }

    /// Reads one connection to its end. `Continue` says why it ended.
    fn follow(
        &self,
        events: BinlogStream,
        interpreter: &mut Interpreter,
        config: &StreamConfig,
        cancel: &Cancel,
        changed: &(dyn Fn(Key) -> bool + Sync),
    ) -> Result<ControlFlow<(), String>> {
        let is_own = |Writer { server_id, connection_id, at, started }| {
            server_id == config.own_server_id && config.own.was_own(connection_id, at, started)
        };
        let mut sink = FeedSink { feed: &self.feed, is_own: &is_own, changed, go_on: true };
        for event in events {
            // A run that ends by a panic cannot stop us, and only sets the latch.
            if self.stop.load(Ordering::SeqCst) || cancel.is_set() {
                return Ok(ControlFlow::Break(()));
            }
            let event = match event {
                Ok(event) => event,
                Err(error) => return stream_error(error),
            };
            if self.copying.load(Ordering::SeqCst) {
                interpreter.copy_begins();
            }
            check_crc(&event)?;
            interpreter.event(&event, &mut sink)?;
            if !sink.go_on {
                return Ok(ControlFlow::Break(()));
            }
        }
        // A server that shuts down ends its streams politely.
        Ok(ControlFlow::Continue("the server ended it".to_owned()))
    }
}

/// For how long the next connection may be silent. Asked by GTIDs, MariaDB reads a file from its head, and sends nothing, not
/// even heartbeats, until it has come to the first transaction that is wanted (`gtid_skip_group` in `sql/sql_repl.cc`): of a huge
/// file on a slow disk that may take longer than a live server is silent otherwise.
fn silence_after(silence: Duration, got_further: bool, gtids: Option<&GtidSet>) -> Duration {
    match gtids {
        Some(GtidSet::MariaDb(_)) if !got_further => (silence * 2).min(LONGEST_SEARCH),
        _ => SILENCE,
    }
}

fn stream_error(error: mysql::Error) -> Result<ControlFlow<(), String>> {
    let error = to_error(error);
    match error.fault() {
        Some(Fault::Displaced) => {
            Ok(ControlFlow::Continue("another replica took our server id".to_owned()))
        }
        Some(Fault::NoBinlog) => Err(error
            .with_kind(ErrorKind::Binlog)
            .context("the binlog position is not to be had (any more)")),
        _ if may_pass(&error) => Ok(ControlFlow::Continue(error.message().to_owned())),
        _ => Err(error.context("reading the binlog")),
    }
}

/// Whether another connection may do better: this one is gone, or was refused for now, or its
/// statement was killed.
fn may_pass(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection || error.fault().is_some_and(Fault::is_passing)
}

/// The crate hands on the checksum, and does not look at it.
fn check_crc(event: &Event) -> Result<()> {
    let Some(expected) = event.checksum() else {
        return Ok(());
    };
    let crc32 = event.footer().get_checksum_alg().ok().flatten()
        == Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
    let found = event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
    if crc32 && found != u32::from_le_bytes(expected) {
        return Err(Error::new(
            ErrorKind::Binlog,
            format!(
                "an event of type {} ending at {} does not have the checksum that it says",
                event.header().event_type_raw(),
                event.header().log_pos()
            ),
        ));
    }
    Ok(())
}

/// Hands on what the interpreter finds.
pub(crate) struct FeedSink<'a> {
    pub(crate) feed: &'a Feed,
    pub(crate) is_own: &'a dyn Fn(Writer) -> bool,
    pub(crate) changed: &'a (dyn Fn(Key) -> bool + Sync),
    pub(crate) go_on: bool,
}

impl Sink for FeedSink<'_> {
    fn key(&mut self, key: Key) {
        if self.feed.note_key(&key) {
            self.go_on &= (self.changed)(key);
        }
    }

    fn others(&mut self) {
        self.feed.note_others();
    }

    fn marker(&mut self, number: u64) {
        self.feed.note_marker(number);
    }

    fn swapped(&mut self) -> Result<()> {
        if self.feed.note_swap() {
            return Ok(());
        }
        let why = "an earlier run has swapped the tables, and they are swapped back: what came in between is not known";
        Err(Error::new(ErrorKind::TableChanged, why))
    }

    fn committed(&mut self, position: &BinlogPosition) {
        self.feed.note_commit(position);
    }

    fn complete(
        &mut self,
        position: &BinlogPosition,
        gtids: Option<&GtidSet>,
        file_begun: Option<u32>,
    ) {
        self.feed.note_complete(position, gtids, file_begun);
    }

    fn is_own(&self, writer: Writer) -> bool {
        (self.is_own)(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_skips_in_silence_is_given_longer() {
        let maria = GtidSet::parse_mariadb("0-1-7").unwrap();
        let mysql = GtidSet::parse_mysql("").unwrap();
        let mut silence = SILENCE;
        let mut seen = Vec::new();
        for _ in 0..7 {
            silence = silence_after(silence, false, Some(&maria));
            seen.push(silence.as_secs());
        }
        assert_eq!(seen, [20, 40, 80, 160, 320, 320, 320]);
        assert_eq!(silence_after(silence, true, Some(&maria)), SILENCE);
        for gtids in [None, Some(&mysql)] {
            assert_eq!(silence_after(SILENCE, false, gtids), SILENCE);
        }
    }
}
