//! What is watched for in the binlog, and to whom it is reported.

use super::gtid::GtidSet;
use super::layout::{TableMap, WatchedTable};
use super::position::BinlogPosition;
use crate::error::Result;
use crate::sql::{Key, TableName};

/// What the stream watches for.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) source: TableName,
    pub(crate) ghost: TableName,
    pub(crate) state: TableName,
    /// The table as it is, and as it will be after the swap.
    pub(crate) before_swap: WatchedTable,
    pub(crate) after_swap: WatchedTable,
    /// The state table; its "key" is the number of the marker.
    pub(crate) marker: WatchedTable,
    /// Whether the server ignores the case of table names (`lower_case_table_names` is not 0).
    pub(crate) ignores_case: bool,
    /// Whether transactions of several GTID domains would come in any order (MariaDB's replicas that apply side by side).
    pub(crate) one_domain: bool,
    /// The replica whose binlog it is: what is written there, and not on the primary, does not belong there.
    pub(crate) replica: Option<u32>,
    /// Whether it is the binlog of the table's own server, whose starts it shows.
    pub(crate) own_server: bool,
}

/// Where the interpreter reports.
pub(crate) trait Sink {
    /// A key of the table changed.
    fn key(&mut self, key: Key);
    /// Rows of a table changed that is neither the table nor of this run.
    fn others(&mut self);
    /// A marker was written.
    fn marker(&mut self, number: u64);
    /// The table and its ghost were swapped by a connection of ours.
    /// An error if that cannot be.
    fn swapped(&mut self) -> Result<()>;
    /// A transaction ended here: the stream may be resumed behind it.
    fn committed(&mut self, position: &BinlogPosition);
    /// Another run may go on from here: all that came before has been reported. Called behind
    /// [`committed`](Self::committed).
    fn complete(
        &mut self,
        _position: &BinlogPosition,
        _gtids: Option<&GtidSet>,
        _file_begun: Option<u32>,
    ) {
    }
    /// Whether it was a connection of this run that wrote this.
    fn is_own(&self, writer: Writer) -> bool;
}

/// Who wrote something, and when. A server that is started again gives the ids of its connections to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The server that wrote first.
    pub(crate) server_id: u32,
    pub(crate) connection_id: u32,
    /// When the statement began, by that server's clock, in seconds since 1970.
    pub(crate) at: u32,
    /// When the server was last started before, as far as the stream has shown it; or else 0.
    pub(crate) started: u32,
}

impl Watch {
    pub(super) fn is(&self, table: &TableName, map: &TableMap<'_>) -> bool {
        let same = |name: &str, bytes: &[u8]| {
            name.as_bytes() == bytes
                || self.ignores_case
                    && std::str::from_utf8(bytes)
                        .is_ok_and(|bytes| name.to_lowercase() == bytes.to_lowercase())
        };
        same(table.table.as_str(), map.table) && same(table.schema.as_str(), map.schema)
    }
}
