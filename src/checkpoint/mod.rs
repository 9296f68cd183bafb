//! The state table `_t_ghc`: markers, which come back through the stream, and the record of what a
//! run has created.
//!
//! ```sql
//! CREATE TABLE _t_ghc (
//!   id BIGINT UNSIGNED NOT NULL PRIMARY KEY,  -- 1 the marker, 2 the record of the run, 3 to 6 what another run needs
//!                                             -- to go on, from 2^32 on its connections by their ids
//!   seq BIGINT UNSIGNED NOT NULL,             -- the number of the marker
//!   written_at DATETIME(6) NOT NULL,
//!   body MEDIUMTEXT                           -- for people, and for whoever tidies up
//! ) ENGINE=InnoDB COMMENT='online-alter state v1'
//! ```

mod saved;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::binlog::{Feed, KeyPart, WatchedTable};
use crate::db::{Mark, Session, missing};
use crate::error::Result;
use crate::fault::Fault;
use crate::sql::{KeyType, TAG, TableName, literal};

/// The comment by which a state table of ours is known. gh-ost's has another one.
pub(crate) const COMMENT: &str = "online-alter state v1";

pub(crate) use saved::{CopiedSoFar, FORMAT, SavedPlace};

const LAST_CALL: &str = "last call ";

const MARKER_ROW: u8 = 1;
const RECORD_ROW: u8 = 2;

/// What a run writes down for the one that goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// What it does: written once, when the ghost is there.
    Task = 3,
    /// A [`SavedPlace`].
    Place = 4,
    /// How far the [copy](CopiedSoFar) has come.
    Copied = 5,
    /// The tables are swapped, and it is proven that nothing was missed.
    Proven = 6,
}

/// Rows of connections have their ids as numbers, and above them, from the 33rd bit on, since when they had them, in seconds
/// since 1970: a server that is started again gives them to others.
const FIRST_CONNECTION: u64 = 1 << 32;

/// The state table of a run.
#[derive(Debug)]
pub(crate) struct StateTable {
    name: TableName,
    next_marker: AtomicU64,
}

impl StateTable {
    /// `before` is the last marker that an earlier run has left, if one has. Numbers go on from there, or from the
    /// time of day: a replica that is behind may still show, and its binlog hold, the markers of earlier runs.
    pub(crate) fn new(name: TableName, before: Option<u64>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(1);
        let first = now.max(before.map_or(0, |before| before.saturating_add(1)));
        StateTable { name, next_marker: AtomicU64::new(first) }
    }

    /// The last marker in a state table, if it is there.
    pub(crate) fn last_marker(session: &mut Session, name: &TableName) -> Result<Option<u64>> {
        let last = session.scalar(&format!("SELECT {TAG} seq FROM {name} WHERE id = {MARKER_ROW}"));
        match last {
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => Ok(None),
            // Of whoever it is.
            Err(error) if error.server_code().is_some() && error.fault() == Some(Fault::Other) => {
                Ok(None)
            }
            other => Ok(other?.and_then(|last| last.parse().ok())),
        }
    }

    pub(crate) fn name(&self) -> &TableName {
        &self.name
    }

    /// `CREATE TABLE _t_ghc (..)`
    pub(crate) fn create_sql(&self) -> String {
        format!(
            "CREATE TABLE {} (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, seq BIGINT UNSIGNED NOT NULL, \
             written_at DATETIME(6) NOT NULL, body MEDIUMTEXT CHARACTER SET utf8mb4 NULL) \
             ENGINE=InnoDB COMMENT='{COMMENT}'",
            self.name
        )
    }

    /// Asks for the number of the last marker that has come to a server.
    pub(crate) fn last_marker_sql(&self) -> String {
        format!("SELECT {TAG} seq FROM {} WHERE id = {MARKER_ROW}", self.name)
    }

    /// Its layout in the binlog; its "key" is the number of the marker.
    pub(crate) fn watched() -> WatchedTable {
        let seq = KeyPart { column: 1, ty: KeyType::Int { unsigned: true } };
        WatchedTable { columns: 4, key: vec![seq] }
    }

    /// Records which tables the run creates, before it creates them.
    pub(crate) fn record(&self, session: &mut Session, body: &str) -> Result<()> {
        let sql = format!(
            "INSERT {TAG} INTO {} (id, seq, written_at, body) VALUES ({RECORD_ROW}, 0, \
             UTC_TIMESTAMP(6), {})",
            self.name,
            literal::text(body)
        );
        session.exec(&sql).map(drop)
    }

    /// Adds a line to the record: how far the run has come.
    pub(crate) fn note(&self, session: &mut Session, line: &str) -> Result<()> {
        let sql = format!(
            "UPDATE {TAG} {} SET body = CONCAT(body, {}), written_at = UTC_TIMESTAMP(6) \
             WHERE id = {RECORD_ROW}",
            self.name,
            literal::text(&format!("stage {line}\n"))
        );
        session.exec(&sql).map(drop)
    }

    /// Writes down what another run needs to go on, in the place of what was there.
    pub(crate) fn save(&self, session: &mut Session, what: Saved, body: &str) -> Result<()> {
        self.put(session, what as u64, body)
    }

    fn put(&self, session: &mut Session, id: u64, body: &str) -> Result<()> {
        let body = literal::text(body);
        let sql = format!(
            "REPLACE {TAG} INTO {} (id, seq, written_at, body) VALUES ({id}, 0, UTC_TIMESTAMP(6), {body})",
            self.name
        );
        session.exec(&sql).map(drop)
    }

    /// What was written down in the state table of this name, if it is there.
    pub(crate) fn saved(
        session: &mut Session,
        name: &TableName,
        what: Saved,
    ) -> Result<Option<String>> {
        session.scalar(&format!("SELECT body FROM {name} WHERE id = {}", what as u64))
    }

    /// Writes down a connection of the run: whoever goes on must see to it that it has ended, and knows its statements
    /// in the binlog for the run's.
    pub(crate) fn register(&self, session: &mut Session) -> Result<()> {
        let Mark { id, lock, since, .. } = session.mark().clone();
        self.put(session, (since.max(1) << 32) | u64::from(id), &lock)?;
        session.exec("COMMIT").map(drop)
    }

    /// The connections that were written down.
    pub(crate) fn registered(session: &mut Session, name: &TableName) -> Result<Vec<Mark>> {
        let sql = format!("SELECT id, body FROM {name} WHERE id >= {FIRST_CONNECTION}");
        let mark = |row: Vec<Option<String>>| {
            let mut row = row.into_iter().flatten();
            let id = row.next()?.parse::<u64>().ok()?;
            Mark::of_other(u32::try_from(id & 0xffff_ffff).ok()?, row.next()?, id >> 32)
        };
        Ok(session.rows(&sql)?.into_iter().filter_map(mark).collect())
    }

    /// The marker that was written under the lock of the last attempt to cut over, if there was one.
    pub(crate) fn last_call(session: &mut Session, name: &TableName) -> Result<Option<u64>> {
        let sql = format!("SELECT body FROM {name} WHERE id = {MARKER_ROW}");
        Ok(session.scalar(&sql)?.and_then(|body| body.strip_prefix(LAST_CALL)?.parse().ok()))
    }

    /// The record of the run that made the state table, if it is one of ours.
    pub(crate) fn read_record(session: &mut Session, name: &TableName) -> Result<Option<String>> {
        session.scalar(&format!("SELECT body FROM {name} WHERE id = {RECORD_ROW}"))
    }

    /// Numbers go on behind a marker that somebody else has written meanwhile.
    pub(crate) fn goes_on_behind(&self, marker: Option<u64>) {
        let next = marker.map_or(0, |marker| marker.saturating_add(1));
        self.next_marker.fetch_max(next, Ordering::SeqCst);
    }

    /// Writes a marker that no stream waits for, and returns its number.
    pub(crate) fn write_canary(&self, session: &mut Session) -> Result<u64> {
        let number = self.next_marker.fetch_add(1, Ordering::SeqCst);
        self.put_marker(session, number)?;
        Ok(number)
    }

    /// Writes the next marker, and returns its number once that is committed. `announce` is called
    /// with the number before it is written.
    pub(crate) fn write_marker(
        &self,
        session: &mut Session,
        feed: &Feed,
        announce: impl FnOnce(u64),
    ) -> Result<u64> {
        let number = self.next_marker.fetch_add(1, Ordering::SeqCst);
        announce(number);
        feed.expect_marker(number);
        self.put_marker(session, number)?;
        Ok(number)
    }

    /// Writes the marker behind which nothing should follow but the swap, and writes that down: whoever goes on behind
    /// a run that has died in between proves by it that nothing did.
    pub(crate) fn write_last_call(&self, session: &mut Session, feed: &Feed) -> Result<u64> {
        let number = self.next_marker.fetch_add(1, Ordering::SeqCst);
        feed.last_call(number);
        feed.expect_marker(number);
        self.put_marker_and(session, number, &format!(", body = '{LAST_CALL}{number}'"))?;
        Ok(number)
    }

    fn put_marker(&self, session: &mut Session, number: u64) -> Result<()> {
        self.put_marker_and(session, number, "")
    }

    fn put_marker_and(&self, session: &mut Session, number: u64, also: &str) -> Result<()> {
        let done = session.exec(&format!(
            "INSERT {TAG} INTO {} (id, seq, written_at) VALUES ({MARKER_ROW}, {number}, \
             UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE seq = {number}, written_at = UTC_TIMESTAMP(6){also}",
            self.name
        ))?;
        if done.affected == 0 {
            return Err(missing("that the marker was written"));
        }
        Ok(())
    }
}
