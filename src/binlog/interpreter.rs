//! What the events mean. A pure state machine: bytes in, keys and commits out.
//!
//! Its rule is that nothing is passed over unless it is known to be harmless. An event of an
//! unknown type, a statement in the place of row events, a definition that changed: each of them
//! could hide a changed key, and a changed key that is missed is a lost write.

use std::collections::HashMap;

use mysql::binlog::events::{Event, EventData};

use super::bytes::{Bytes, Malformed};
use super::gtid::{Gtid, GtidSet};
use super::layout::{Layout, TableMap};
use super::payload;
use super::police::{Passed, Suspect};
use super::position::{BinlogPosition, Start};
use super::query::Query;
use super::rows::{self, RowsKind, Unreadable};
use super::watch::{Sink, Watch, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::literal::hex;
use crate::sql::mentions::{Control, Effect, classify};
use crate::sql::tokens::Dialect;
use crate::sql::{Key, TableName};

/// What a table id stands for.
#[derive(Debug)]
enum Role {
    Other,
    Ghost,
    Source(Known),
    Marker(Known),
}

/// A table that is watched, as a TABLE_MAP event described it. One comes before every statement's
/// rows, and most often says the same.
#[derive(Debug)]
struct Known {
    layout: Layout,
    event: Vec<u8>,
    swapped: bool,
}

/// The state between events.
#[derive(Debug)]
pub(crate) struct Interpreter {
    watch: Watch,
    position: BinlogPosition,
    /// The file that is being read, and when it was begun: each connection shows that first.
    file_begun: Option<(String, u32)>,
    /// The server that first wrote what is being read.
    server_id: u32,
    /// When what is being read was written first, in seconds since 1970.
    pub(super) written_at: u32,
    /// When the server was last started before that, if the stream has shown it.
    started: u32,
    /// The transactions that have been read to their end, if the server is asked by them; and the one that is being read.
    gtids: Option<GtidSet>,
    gtid: Option<Gtid>,
    domain: Option<u32>,
    roles: HashMap<u64, Role>,
    swapped: bool,
    /// Whether an event is inside a transaction, that is, whether a statement will be followed by
    /// the transaction's commit.
    in_transaction: bool,
    /// The XA transaction that is being read, and its keys.
    xa: Option<(String, Vec<Key>)>,
    /// XA transactions that are prepared: their rows are logged already, and change the table only
    /// when (and if) they are committed.
    prepared: HashMap<String, Vec<Key>>,
    /// Whether the copy may have begun: an XA transaction that was prepared before the stream
    /// began, and whose keys are therefore unknown, may not be committed then.
    copying: bool,
}

const FORMAT_DESCRIPTION: u8 = 15;

/// `LOG_EVENT_IGNORABLE_F`
const IGNORABLE: u16 = 0x80;

impl Interpreter {
    pub(crate) fn new(watch: Watch, start: Start) -> Self {
        Interpreter {
            watch,
            file_begun: start.file_begun.map(|begun| (start.position.file.clone(), begun)),
            position: start.position,
            server_id: 0,
            written_at: 0,
            started: 0,
            gtids: start.gtids,
            gtid: None,
            domain: None,
            roles: HashMap::new(),
            swapped: false,
            in_transaction: false,
            xa: None,
            prepared: HashMap::new(),
            copying: false,
        }
    }

    /// Forgets what belongs to a connection that broke; the stream begins anew at the last commit.
    pub(crate) fn reconnected(&mut self, at: BinlogPosition) {
        self.roles.clear();
        self.in_transaction = false;
        self.xa = None;
        self.gtid = None;
        self.position = at;
        if self.gtids.is_some() {
            // The server begins with the head of whatever file it is.
            self.position.offset = 4;
        }
    }

    /// The transactions that have been read to their end, if the server is asked by them.
    pub(crate) fn gtids(&self) -> Option<&GtidSet> {
        self.gtids.as_ref()
    }

    /// Takes in one event of the stream.
    pub(crate) fn event(&mut self, event: &Event, sink: &mut dyn Sink) -> Result<()> {
        let header = event.header();
        if header.log_pos() != 0 {
            self.position.advance(header.log_pos());
        }
        self.server_id = header.server_id();
        self.written_at = header.timestamp();
        if header.event_type_raw() == FORMAT_DESCRIPTION {
            self.check_file(header.timestamp())?;
        }
        // GTID, GTID_TAGGED
        if self.gtids.is_some() && [33, 42].contains(&header.event_type_raw()) {
            self.gtid = Some(mysql_gtid(event)?);
            return Ok(());
        }
        // TRANSACTION_PAYLOAD_EVENT
        if header.event_type_raw() == 40 {
            return self.payload(event.data(), sink);
        }
        self.bytes(header.event_type_raw(), header.flags_raw(), event.data(), sink)
    }

    /// A compressed transaction (MySQL, `binlog_transaction_compression`): events within an event.
    fn payload(&mut self, data: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let each = |event_type, flags, body: &[u8]| {
            self.bytes(event_type, flags, body, sink).map_err(payload::Ended::By)
        };
        payload::events(data, each).map_err(|ended| match ended {
            payload::Ended::By(error) => error,
            payload::Ended::Unreadable(error) => malformed("a compressed transaction", error),
        })?;
        self.commit(sink);
        Ok(())
    }

    /// Takes in the body of one event.
    pub(crate) fn bytes(
        &mut self,
        event_type: u8,
        flags: u16,
        data: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if let Some(kind) = RowsKind::of_type(event_type) {
            return self.rows(kind, data, sink);
        }
        match event_type {
            // QUERY, and MariaDB's QUERY_COMPRESSED
            2 | 165 => self.query(data, event_type == 165, sink),
            // EXECUTE_LOAD_QUERY: LOAD DATA as a statement, whose text stands behind 13 more bytes
            18 => self.query_at(data, 13, false, sink),
            19 => self.table_map(data),
            // XID
            16 => {
                self.commit(sink);
                Ok(())
            }
            38 => {
                self.xa_prepared(data, sink);
                Ok(())
            }
            4 => self.rotate(data, flags, sink),
            FORMAT_DESCRIPTION => self.new_file(data),
            162 => {
                let domain = self.mariadb_gtid(data);
                self.check_domain(domain.map_err(|error| malformed("a MariaDB GTID event", error))?)
            }
            // STOP; INTVAR, RAND, USER_VAR and BEGIN_LOAD_QUERY, each in front of the statement that
            // matters; HEARTBEAT; IGNORABLE; ROWS_QUERY; GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS;
            // TRANSACTION_CONTEXT, VIEW_CHANGE; HEARTBEAT_V2; GTID_TAGGED; MariaDB's ANNOTATE_ROWS,
            // BINLOG_CHECKPOINT, GTID_LIST and START_ENCRYPTION (the stream comes decrypted)
            3 | 5 | 13 | 14 | 17 | 27..=29 | 33..=37 | 41 | 42 | 160 | 161 | 163 | 164 => Ok(()),
            26 => Err(binlog(
                "the server logged an INCIDENT: changes are missing from the binlog".to_owned(),
            )),
            _ if flags & IGNORABLE != 0 => Ok(()),
            _ => Err(binlog(format!(
                "an event of type {event_type} at {}, which this version does not know",
                self.position
            ))),
        }
    }

    fn commit(&mut self, sink: &mut dyn Sink) {
        self.in_transaction = false;
        if let (Some(gtids), Some(gtid)) = (&mut self.gtids, self.gtid.take()) {
            gtids.add(gtid);
        }
        self.report_commit(sink);
    }

    fn report_commit(&self, sink: &mut dyn Sink) {
        sink.committed(&self.position);
        // The keys of XA transactions that are prepared are known to us alone; and behind the swap there is nothing
        // to go on with.
        if self.prepared.is_empty() && !self.swapped {
            let begun = self.file_begun.as_ref();
            let begun = begun.filter(|(file, _)| *file == self.position.file).map(|(_, at)| *at);
            sink.complete(&self.position, self.gtids.as_ref(), begun);
        }
    }

    /// Behind RESET BINARY LOGS the names of files begin anew, and what is at our position in one of them is something else.
    pub(super) fn check_file(&mut self, begun: u32) -> Result<()> {
        match &self.file_begun {
            Some((file, before)) if *file == self.position.file && *before != begun => {
                Err(binlog(format!(
                    "{file} is another file than before: the server's binlog was reset, and changes may be missing"
                )))
            }
            Some((file, _)) if *file == self.position.file => Ok(()),
            _ => {
                self.file_begun = Some((self.position.file.clone(), begun));
                Ok(())
            }
        }
    }

    /// FORMAT_DESCRIPTION: a new file. After a restart the ids of tables and of connections begin anew. Only at the head of the
    /// first file that a server writes does it hold the time (`sql/log_event.h`: "the server was just started").
    fn new_file(&mut self, data: &[u8]) -> Result<()> {
        const VERSIONS: usize = 2 + 50;
        self.roles.clear();
        let mut bytes = Bytes(data);
        let created = bytes.skip(VERSIONS).and_then(|()| bytes.number(4));
        let created = created.map_err(|error| malformed("a FORMAT_DESCRIPTION event", error))?;
        if self.watch.own_server && created != 0 {
            self.started = u32::try_from(created).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    fn rotate(&mut self, data: &[u8], flags: u16, sink: &mut dyn Sink) -> Result<()> {
        // LOG_EVENT_ARTIFICIAL_F: made up by the server when it opens a file. MariaDB's first one on
        // a connection has its checksum behind the name; it is for the file that we asked for.
        const ARTIFICIAL: u16 = 0x20;
        const CRC: usize = 4;
        let mut bytes = Bytes(data);
        let offset = bytes.number(8).map_err(|error| malformed("a ROTATE event", error))?;
        let name = bytes.0;
        let ours = self.position.file.as_bytes();
        let has_crc = flags & ARTIFICIAL != 0 && name.len() == ours.len() + CRC;
        if has_crc && name.starts_with(ours) {
            return Ok(());
        }
        // Asked by transactions, the server may begin with another file.
        let is_other = has_crc && self.gtids.is_some();
        let name = if is_other { name.get(..ours.len()).unwrap_or(name) } else { name };
        let name = String::from_utf8_lossy(name).into_owned();
        if name != self.position.file {
            // Files change between transactions only.
            self.position = BinlogPosition::new(name, offset);
            self.report_commit(sink);
        }
        Ok(())
    }

    fn table_map(&mut self, data: &[u8]) -> Result<()> {
        let unreadable = |error| malformed("a TABLE_MAP event", error);
        let before = self.roles.get(&rows::table_id(data).map_err(unreadable)?);
        if let Some(Role::Source(known) | Role::Marker(known)) = before
            && known.event == data
            && known.swapped == self.swapped
        {
            return Ok(());
        }
        let map = TableMap::parse(data).map_err(unreadable)?;
        let watch = &self.watch;
        let known = |layout| Known { layout, event: data.to_vec(), swapped: self.swapped };
        let role = if watch.is(&watch.source, &map) {
            let expected = if self.swapped { &watch.after_swap } else { &watch.before_swap };
            Role::Source(known(map.layout(expected).map_err(|why| changed(&watch.source, &why))?))
        } else if watch.is(&watch.state, &map) {
            let layout = map.layout(&watch.marker);
            Role::Marker(known(layout.map_err(|why| changed(&watch.state, &why))?))
        } else if watch.is(&watch.ghost, &map) {
            Role::Ghost
        } else {
            Role::Other
        };
        self.roles.insert(map.table_id, role);
        Ok(())
    }

    fn rows(&mut self, kind: RowsKind, data: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let unreadable = |error: Unreadable| malformed("a row event", error);
        let id = rows::table_id(data).map_err(|error| unreadable(error.into()))?;
        match self.roles.get(&id) {
            Some(Role::Ghost) => Ok(()),
            Some(Role::Other) => {
                sink.others();
                Ok(())
            }
            // An event without rows, which only ends a statement.
            None if id == 0xff_ffff => Ok(()),
            None => Err(binlog(format!(
                "a row event at {} for a table that no TABLE_MAP event announced",
                self.position
            ))),
            Some(Role::Marker(Known { layout, .. })) => {
                let report = |key: Key| {
                    if let Key::Int(number) = key {
                        sink.marker(number);
                    }
                };
                rows::written(kind, data, layout, &self.watch.marker, report).map_err(unreadable)
            }
            Some(Role::Source(_)) if self.watch.replica == Some(self.server_id) => {
                Err(binlog(format!(
                    "rows of {} were written at {} on the replica itself whose binlog is read: it may have been promoted",
                    self.watch.source, self.position
                )))
            }
            Some(Role::Source(Known { layout, .. })) => {
                let table =
                    if self.swapped { &self.watch.after_swap } else { &self.watch.before_swap };
                let keys = match &mut self.xa {
                    Some((_, keys)) => rows::keys(kind, data, layout, table, |key| keys.push(key)),
                    None => rows::keys(kind, data, layout, table, |key| sink.key(key)),
                };
                keys.map_err(unreadable)
            }
        }
    }

    /// Refuses a domain that was not there when the plan was made.
    fn check_domain(&mut self, domain: u32) -> Result<()> {
        let first = *self.domain.get_or_insert(domain);
        if !self.watch.one_domain || first == domain {
            return Ok(());
        }
        Err(binlog(format!(
            "transactions of two GTID domains ({first} and {domain}) at {}: the replica that is read applies them side by \
             side (slave_parallel_threads), in whatever order",
            self.position
        )))
    }

    /// MariaDB's GTID, of which the domain is returned: a transaction begins, unless it is a statement of its own. Of an XA
    /// transaction it has the name, and no XA START follows.
    fn mariadb_gtid(&mut self, data: &[u8]) -> Result<u32, Malformed> {
        const STANDALONE: u8 = 1;
        const GROUP_COMMIT_ID: u8 = 2;
        const PREPARED_XA: u8 = 64;
        let mut bytes = Bytes(data);
        let (number, domain) = (bytes.number(8)?, bytes.number(4)?);
        let domain = u32::try_from(domain).unwrap_or(u32::MAX);
        self.gtid = Some(Gtid::MariaDb { domain, server: self.server_id, number });
        let flags = bytes.u8()?;
        self.in_transaction = flags & STANDALONE == 0;
        self.xa = None;
        if flags & PREPARED_XA != 0 {
            if flags & GROUP_COMMIT_ID != 0 {
                bytes.skip(8)?;
            }
            let format = bytes.number(4)?;
            let (global, branch) = (bytes.length(1)?, bytes.length(1)?);
            let (global, branch) = (bytes.take(global)?, bytes.take(branch)?);
            // As XA COMMIT will name it.
            let start = format!("XA START {},{},{format}", hex(global), hex(branch));
            if let Effect::TransactionControl(Control::XaStart(xid)) =
                classify(&start, "", Dialect::default()).effect
            {
                self.xa = Some((xid_key(&xid), Vec::new()));
            }
        }
        Ok(domain)
    }

    /// The end of an XA transaction's rows: a byte says whether it is committed with it.
    fn xa_prepared(&mut self, data: &[u8], sink: &mut dyn Sink) {
        let one_phase = data.first().is_some_and(|byte| *byte != 0);
        if let Some((xid, keys)) = self.xa.take() {
            if one_phase {
                for key in keys {
                    sink.key(key);
                }
            } else {
                self.prepared.insert(xid, keys);
            }
        }
        self.commit(sink);
    }

    fn query(&mut self, data: &[u8], compressed: bool, sink: &mut dyn Sink) -> Result<()> {
        if !compressed
            && Query::is_begin(data).map_err(|error| malformed("a QUERY event", error))?
        {
            self.in_transaction = true;
            return Ok(());
        }
        self.query_at(data, 0, compressed, sink)
    }

    fn query_at(
        &mut self,
        data: &[u8],
        extra: usize,
        compressed: bool,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let query = Query::parse(data, extra, compressed)
            .map_err(|error| malformed("a QUERY event", error))?;
        let statement = match query.text.as_str() {
            "BEGIN" => {
                self.in_transaction = true;
                return Ok(());
            }
            "COMMIT" => {
                self.commit(sink);
                return Ok(());
            }
            text => classify(text, &query.schema, query.dialect),
        };
        match &statement.effect {
            Effect::TransactionControl(control) => self.control(control, sink)?,
            Effect::None | Effect::Other => {}
            Effect::Dml | Effect::Ddl(_) => {
                let suspect = Suspect {
                    watch: &self.watch,
                    statement: &statement,
                    query: &query,
                    position: &self.position,
                    own: sink.is_own(Writer {
                        server_id: self.server_id,
                        connection_id: query.connection_id,
                        at: self.written_at,
                        started: self.started,
                    }),
                    swapped: self.swapped,
                };
                if suspect.judge()? == Passed::OurSwap {
                    self.swapped = true;
                    sink.swapped()?;
                }
            }
        }
        if !self.in_transaction && self.xa.is_none() {
            self.commit(sink);
        }
        Ok(())
    }

    fn control(&mut self, control: &Control, sink: &mut dyn Sink) -> Result<()> {
        match control {
            Control::Begin => self.in_transaction = true,
            Control::Commit | Control::Rollback => self.in_transaction = false,
            Control::XaStart(xid) => {
                self.in_transaction = true;
                self.xa = Some((xid_key(xid), Vec::new()));
            }
            Control::XaCommit { xid, .. } => {
                self.in_transaction = false;
                match self.prepared.remove(&xid_key(xid)) {
                    Some(keys) => keys.into_iter().for_each(|key| sink.key(key)),
                    None if self.copying => {
                        return Err(binlog(format!(
                            "XA COMMIT {xid} at {}: it was prepared before this run began, so what \
                             it changes is not known; start the run again",
                            self.position
                        )));
                    }
                    None => {}
                }
            }
            Control::XaRollback(xid) => {
                self.in_transaction = false;
                self.prepared.remove(&xid_key(xid));
            }
            Control::Savepoint(_)
            | Control::RollbackTo(_)
            | Control::Release(_)
            | Control::XaEnd(_)
            | Control::XaPrepare(_) => {}
        }
        Ok(())
    }

    /// Tells the stream that the copy begins.
    pub(crate) fn copy_begins(&mut self) {
        self.copying = true;
    }
}

fn mysql_gtid(event: &Event) -> Result<Gtid> {
    let read = event.read_data().map_err(|error| malformed("a GTID event", error))?;
    match read {
        Some(EventData::GtidEvent(gtid)) => {
            Ok(Gtid::mysql(gtid.sid(), gtid.tag().map(|tag| &**tag), gtid.gno()))
        }
        other => Err(binlog(format!("a GTID event that is none: {other:?}"))),
    }
}

/// The servers write the names of XA transactions in hexadecimal, with digits of either case.
fn xid_key(xid: &str) -> String {
    xid.to_ascii_uppercase()
}

fn binlog(message: String) -> Error {
    Error::new(ErrorKind::Binlog, message)
}

fn malformed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    binlog(format!("{what} cannot be read: {error}")).with_source(error)
}

fn changed(table: &TableName, why: &str) -> Error {
    Error::new(ErrorKind::TableChanged, format!("the definition of {table} has changed: {why}"))
}
