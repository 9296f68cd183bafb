//! The whole way from bytes to keys, on events made here, and on bytes that make no sense.

mod any_bytes;
mod events;
mod statements;
mod transactions;

use crate::binlog::interpreter::Interpreter;
use crate::binlog::layout::{Layout, TableMap};
use crate::binlog::watch::{Sink, Watch, Writer};
use crate::binlog::{BinlogPosition, KeyPart, WatchedTable};
use crate::error::Result;
use crate::sql::{Ident, Key, KeyType, TableName};

const TABLE_MAP: u8 = 19;
const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const XID: u8 = 16;
const XA_PREPARE: u8 = 38;
const WRITE: u8 = 30;
const UPDATE: u8 = 31;
const DELETE: u8 = 32;
const ARTIFICIAL: u16 = 0x20;
const OWN: u32 = 7;
const OWN_SINCE: u32 = 1000;

/// What came out.
#[derive(Debug, Default)]
struct Seen {
    keys: Vec<Key>,
    others: usize,
    markers: Vec<u64>,
    commits: Vec<BinlogPosition>,
    swaps: usize,
}

impl Sink for Seen {
    fn key(&mut self, key: Key) {
        self.keys.push(key);
    }
    fn others(&mut self) {
        self.others += 1;
    }
    fn marker(&mut self, number: u64) {
        self.markers.push(number);
    }
    fn swapped(&mut self) -> Result<()> {
        self.swaps += 1;
        Ok(())
    }
    fn committed(&mut self, position: &BinlogPosition) {
        self.commits.push(position.clone());
    }
    fn is_own(&self, writer: Writer) -> bool {
        writer.connection_id == OWN && writer.started <= OWN_SINCE && writer.at >= OWN_SINCE
    }
}

fn int_key(columns: usize) -> WatchedTable {
    WatchedTable { columns, key: vec![KeyPart { column: 0, ty: KeyType::Int { unsigned: false } }] }
}

/// A run on `db`.`t`, of (INT, VARCHAR(20)), which becomes (BIGINT, VARCHAR(20), INT).
struct Run {
    interpreter: Interpreter,
    seen: Seen,
}

impl Run {
    fn new() -> Self {
        let start = BinlogPosition::new("b.000001", 4).into();
        let mut interpreter = Interpreter::new(Self::watch(), start);
        interpreter.written_at = OWN_SINCE;
        Run { interpreter, seen: Seen::default() }
    }

    fn watch() -> Watch {
        let source = TableName::new(Ident::new("db"), Ident::new("t"));
        Watch {
            ghost: source.ghost(),
            state: source.state(),
            source,
            before_swap: int_key(2),
            after_swap: int_key(3),
            marker: crate::checkpoint::StateTable::watched(),
            ignores_case: false,
            one_domain: false,
            replica: None,
            own_server: true,
        }
    }

    fn take(&mut self, event_type: u8, flags: u16, data: &[u8]) -> Result<()> {
        self.interpreter.bytes(event_type, flags, data, &mut self.seen)
    }

    fn ok(&mut self, event_type: u8, data: &[u8]) {
        self.take(event_type, 0, data).unwrap();
    }

    fn query(&mut self, connection: u32, text: &str) -> Result<()> {
        self.take(QUERY, 0, &query("db", connection, text))
    }

    /// Opens `db`.`t` for the row events that follow.
    fn map(&mut self) {
        self.ok(TABLE_MAP, &table_map(1, "db", "t", &[3, 15], &[20, 0]));
    }

    fn ints(&self) -> Vec<u64> {
        let int = |key: &Key| if let Key::Int(value) = key { *value } else { 0 };
        self.seen.keys.iter().map(int).collect()
    }
}

fn table_map(id: u64, schema: &str, table: &str, codes: &[u8], meta: &[u8]) -> Vec<u8> {
    let mut data = id.to_le_bytes()[..6].to_vec();
    data.extend([1, 0]);
    for name in [schema, table] {
        data.push(u8::try_from(name.len()).unwrap());
        data.extend(name.as_bytes());
        data.push(0);
    }
    data.push(u8::try_from(codes.len()).unwrap());
    data.extend(codes);
    data.push(u8::try_from(meta.len()).unwrap());
    data.extend(meta);
    // Which columns may be NULL, and optional metadata, which nobody reads.
    data.extend([0xff, 1, 2, 3]);
    data
}

fn query(schema: &str, connection: u32, text: &str) -> Vec<u8> {
    let mut data = connection.to_le_bytes().to_vec();
    data.extend([0; 4]);
    data.push(u8::try_from(schema.len()).unwrap());
    data.extend([0; 4]);
    data.extend(schema.as_bytes());
    data.push(0);
    data.extend(text.as_bytes());
    data
}

/// The head of a version 2 event for a table of two columns, both in the image.
fn head(id: u64, event_type: u8) -> Vec<u8> {
    let mut data = id.to_le_bytes()[..6].to_vec();
    data.extend([1, 0, 2, 0, 2, 0xff]);
    if event_type == UPDATE {
        data.push(0xff);
    }
    data
}

fn row(id: i32, text: &str) -> Vec<u8> {
    let mut data = vec![0xfc];
    data.extend(id.to_le_bytes());
    data.push(u8::try_from(text.len()).unwrap());
    data.extend(text.as_bytes());
    data
}

fn rows_event(event_type: u8, rows: &[(i32, &str)]) -> Vec<u8> {
    let mut data = head(1, event_type);
    for (id, text) in rows {
        data.extend(row(*id, text));
    }
    data
}

fn rotate(file: &[u8]) -> Vec<u8> {
    [&4_u64.to_le_bytes()[..], file].concat()
}

fn layout(codes: &[u8], meta: &[u8]) -> Layout {
    let data = table_map(1, "db", "t", codes, meta);
    let columns = codes.len();
    TableMap::parse(&data).unwrap().layout(&WatchedTable { columns, key: Vec::new() }).unwrap()
}
