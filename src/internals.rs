//! What the crate's own benches need of its inside. Not part of the API: it may change, or go, at
//! any time.

use crate::binlog::interpreter::{Interpreter, Sink, Watch};
use crate::binlog::{BinlogPosition, KeyPart, WatchedTable};
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::error::Result;
use crate::refresh::Pending;
use crate::sql::{Ident, Key, KeyType, TableName};

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
        };
        let start = BinlogPosition::new("binlog.000001", 4);
        KeyReader { interpreter: Interpreter::new(watch, start), count: Count(0) }
    }

    /// Takes in the body of an event, and returns how many keys there have been so far.
    pub fn event(&mut self, event_type: u8, body: &[u8]) -> Result<u64> {
        self.interpreter.bytes(event_type, 0, body, &mut self.count)?;
        Ok(self.count.0)
    }
}

#[derive(Debug)]
struct Count(u64);

impl Sink for Count {
    fn key(&mut self, key: Key) {
        self.0 += 1;
        drop(std::hint::black_box(key));
    }

    fn marker(&mut self, _: u64) {}

    fn swapped(&mut self) {}

    fn committed(&mut self, _: &BinlogPosition) {}

    fn is_own(&self, _: u32) -> bool {
        false
    }
}

/// Integer keys that wait to be refreshed, as a run holds them.
#[derive(Debug)]
pub struct PendingKeys(Pending);

impl Default for PendingKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl PendingKeys {
    /// For two workers, without a limit.
    pub fn new() -> Self {
        PendingKeys(Pending::new(2, usize::MAX, true))
    }

    /// A row with this key has changed.
    pub fn add(&self, key: u64) {
        self.0.add(Key::Int(key), &Cancel::default());
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.0.outstanding()
    }
}
