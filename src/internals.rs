//! What the crate's own benches and fuzz targets need of its inside. Not part of the API: it may change, or go, at
//! any time.

#[cfg(any(test, fuzzing))]
pub mod fuzz;

use std::sync::Arc;
use std::time::Duration;

use crate::binlog::interpreter::Interpreter;
use crate::binlog::stream::FeedSink;
use crate::binlog::watch::{Sink, Watch, Writer};
use crate::binlog::{BinlogPosition, Feed, KeyPart, WatchedTable};
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::copy::ChunkSize;
use crate::copy::chunk_size::Sizer;
use crate::copy::chunker::Chunker;
use crate::db::{Connector, Purpose, Retries, Session};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::{ServerInfo, Table, key};
use crate::refresh::pending::Collect;
use crate::refresh::{Pending, Touched};
use crate::sql::alter::AlterClause;
use crate::sql::key::Bound;
use crate::sql::statements::TablePair;
use crate::sql::{Ident, Key, KeyColumn, KeyShape, KeyType, TableName};

/// The type of a key column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// INT
    Int,
    /// VARCHAR
    Text,
}

/// Reads binlog events as a run on the table `bench`.`t` does.
#[derive(Debug)]
pub struct KeyReader {
    interpreter: Interpreter,
    count: Count,
}

impl KeyReader {
    /// For a table of so many columns, with these ones, by their places from 0, as its key.
    pub fn new(columns: usize, key: &[(usize, Column)]) -> Self {
        let part = |(column, kind): &(usize, Column)| KeyPart {
            column: *column,
            ty: match kind {
                Column::Int => KeyType::Int { unsigned: false },
                Column::Text => KeyType::Text { charset: "utf8mb4".to_owned() },
            },
        };
        let table = WatchedTable { columns, key: key.iter().map(part).collect() };
        let source = TableName::new(Ident::new("bench"), Ident::new("t"));
        let watch = Watch {
            ghost: source.ghost(),
            state: source.state(),
            source,
            before_swap: table.clone(),
            after_swap: table,
            marker: StateTable::watched(),
            ignores_case: false,
            one_domain: false,
            replica: None,
            own_server: true,
        };
        let start = BinlogPosition::new("binlog.000001", 4);
        KeyReader { interpreter: Interpreter::new(watch, start.into()), count: Count(0) }
    }

    /// Takes in the body of an event as a run does: what it changes is pending then.
    pub fn follow(&mut self, event_type: u8, body: &[u8], backlog: &Backlog) -> Result<()> {
        let Backlog { feed, touched, pending, cancel, .. } = backlog;
        let changed = |key: Key| {
            touched.note(&key);
            pending.add(key, cancel)
        };
        let mut sink = FeedSink { feed, is_own: &|_| false, changed: &changed, go_on: true };
        self.interpreter.bytes(event_type, 0, body, &mut sink)
    }

    /// Takes in the body of an event, and returns how many keys there have been so far.
    pub fn event(&mut self, event_type: u8, body: &[u8]) -> Result<u64> {
        self.interpreter.bytes(event_type, 0, body, &mut self.count)?;
        Ok(self.count.0)
    }
}

/// What is pending of a run on a table with a key of one integer.
#[derive(Debug)]
pub struct Backlog {
    feed: Feed,
    touched: Touched,
    pending: Pending,
    cancel: Cancel,
    parts: usize,
}

impl Backlog {
    /// For so many workers, with room for so many keys.
    pub fn new(workers: usize, limit: usize) -> Self {
        let column = KeyColumn {
            source: Ident::new("id"),
            ghost: Ident::new("id"),
            ty: KeyType::Int { unsigned: true },
            descending: false,
        };
        let shape = KeyShape {
            source_index: Ident::new("PRIMARY"),
            ghost_index: Some(Ident::new("PRIMARY")),
            ghost_unique: true,
            columns: vec![column],
        };
        Backlog {
            feed: Feed::new(BinlogPosition::new("binlog.000001", 4)),
            touched: Touched::new(shape),
            pending: Pending::new(workers, limit, true),
            cancel: Cancel::default(),
            parts: workers.max(1),
        }
    }

    /// The key has changed.
    pub fn add(&self, key: u64) {
        self.pending.add(Key::Int(key), &self.cancel);
    }

    /// How many keys are pending.
    pub fn len(&self) -> usize {
        self.pending.outstanding()
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes everything as the workers do, in batches of at most so many keys, and refreshes nothing.
    /// Returns the number of batches.
    pub fn take_all(&self, at_most: usize) -> Result<usize> {
        let collect = Collect { at_most, linger: Duration::ZERO };
        let mut batches = 0;
        for part in 0..self.parts {
            while self.pending.has(part) {
                let batch = self.pending.take(part, collect, &self.cancel)?;
                self.pending.done(part, batch.keys.len());
                batches += 1;
            }
        }
        Ok(batches)
    }
}

#[derive(Debug)]
struct Count(u64);

impl Sink for Count {
    fn key(&mut self, key: Key) {
        self.0 += 1;
        drop(std::hint::black_box(key));
    }

    fn others(&mut self) {}

    fn marker(&mut self, _: u64) {}

    fn swapped(&mut self) -> Result<()> {
        Ok(())
    }

    fn committed(&mut self, _: &BinlogPosition) {}

    fn is_own(&self, _: Writer) -> bool {
        false
    }
}

/// Cuts a table into chunks as a run does.
#[derive(Debug)]
pub struct Boundaries {
    pair: Arc<TablePair>,
    session: Session,
    cancel: Cancel,
}

impl Boundaries {
    /// For a table of the URL's schema.
    pub fn new(server: impl Into<Endpoint>, table: &str) -> Result<Self> {
        let connector = Connector::new(&server.into().opts()?)?;
        let mut session = Session::open_plain(&connector)?;
        let server = ServerInfo::read(&mut session)?;
        connector.expect(server.identity_query(), &server.identity);
        let mut session = Session::open(&connector, server.flavor, Purpose::Inspect)?;
        let schema = connector
            .default_schema()
            .ok_or_else(|| Error::new(ErrorKind::Config, "the URL names no schema"))?;
        let source = TableName::new(Ident::parse("schema", schema)?, Ident::parse("table", table)?);
        let table = Table::read(&mut session, &source)?;
        let (key, _) = key::choose(&table, &AlterClause::default(), server.flavor)?;
        let pair = TablePair {
            ghost: source.ghost(),
            source,
            columns: Vec::new(),
            casts: Vec::new(),
            fills: Vec::new(),
            key,
            lock_syntax: server.lock_syntax(),
        };
        let session = Session::open(&connector, server.flavor, Purpose::Rows)?;
        Ok(Boundaries { pair: Arc::new(pair), session, cancel: Cancel::default() })
    }

    /// Finds all chunks of so many rows, and returns how many they are. Of integers, those in the `hole` are no keys: as
    /// in a run, that is seen of the chunks that are cut into it.
    pub fn all(&mut self, rows: u64, hole: std::ops::Range<i128>) -> Result<u64> {
        const RETRIES: Retries = Retries { attempts: 1, ..Retries::DEFAULT };
        let Self { pair, session, cancel } = self;
        let mut chunker = Chunker::new(Arc::clone(pair), RETRIES, session, cancel)?;
        let sizer = Sizer::new(ChunkSize::Rows(rows), 1);
        let mut chunks = 0;
        while let Some(chunk) = chunker.next(&sizer, session, cancel)? {
            chunks += 1;
            let end = |bound: &Option<Bound>| bound.as_ref().and_then(Bound::int_value);
            if let Some((after, through)) = end(&chunk.after).zip(end(&chunk.through)) {
                let in_hole = (through + 1).min(hole.end) - (after + 1).max(hole.start);
                let there = u64::try_from(through - after - in_hole.max(0)).unwrap_or(0);
                sizer.learn_of(&chunk, there, Duration::ZERO, true);
            }
        }
        Ok(chunks)
    }
}
