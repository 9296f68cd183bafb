//! Everything that follows the table's changes: the stream, the pending keys, those who refresh
//! them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::ghost::Ghost;
use super::options::Options;
use super::replica::StreamServer;
use super::resume::{Continued, Stage};
use crate::binlog::watch::Watch;
use crate::binlog::{Feed, KeyPart, Start, Stream, StreamConfig, WatchedTable};
use crate::checkpoint::StateTable;
use crate::copy::chunk_size::Sizer;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::table::Index;
use crate::inspect::{ServerInfo, Table};
use crate::refresh::{Flights, Pending, Refresher, Touched, Turns};
use crate::sql::statements::TablePair;
use crate::sql::{KeyColumn, KeyShape};
use crate::throttle::FIRST_STREAM_ID;

/// How long a chunk should take where refreshes have to wait for its end.
const SHORT_TURN: Duration = Duration::from_millis(100);

/// The parts that work on a run's changes, each shared by several threads.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) pair: Arc<TablePair>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) stream: Stream,
    pub(crate) config: StreamConfig,
    pub(crate) pending: Arc<Pending>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) touched: Touched,
    pub(crate) sizer: Arc<Sizer>,
    /// The key as its values are in the new table.
    pub(crate) new_key: KeyShape,
}

/// Where the changes come from.
pub(crate) struct Source<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) server: &'a ServerInfo,
    /// The one whose binlog is read, if it is not the server's own.
    pub(crate) replica: Option<&'a StreamServer>,
    pub(crate) server_id: u32,
    /// Must have been read after the ghost was made, and before anything is copied.
    pub(crate) start: Start,
}

impl Follow {
    pub(crate) fn new(
        source: Source<'_>,
        table: &Table,
        ghost: &Ghost,
        options: &Options,
    ) -> Result<Self> {
        let Source { connector, server, replica, server_id, start } = source;
        let (streams, stream_server) =
            replica.map_or((connector, server), |replica| (&replica.connector, &replica.server));
        let pair = Arc::new(ghost.pair.clone());
        let new_key = new_key(&ghost.key, &ghost.table, server.flavor);
        let source_names = pair.key.columns.iter().map(|column| column.source.as_str());
        let ghost_names = new_key.columns.iter().map(|column| column.ghost.as_str());
        let watch = Watch {
            source: pair.source.clone(),
            ghost: pair.ghost.clone(),
            state: pair.source.state(),
            before_swap: watched(table, source_names, &pair.key)?,
            after_swap: watched(&ghost.table, ghost_names, &new_key)?,
            marker: StateTable::watched(),
            ignores_case: server.ignores_case,
            replica: replica.map(|replica| replica.server.server_id),
            own_server: replica.is_none(),
            one_domain: replica.is_some_and(|replica| replica.server.applies_side_by_side()),
        };
        let feed = Arc::new(Feed::new(start.position.clone()));
        let workers = options.refresh_workers.max(1);
        let room = if pair.key.is_int() { 10_000_000 } else { 1_000_000 };
        let room = options.max_pending.unwrap_or(room);
        let pending = Arc::new(Pending::new(workers, room, pair.key.is_exact()));
        let flights = Arc::new(Flights::default());
        let one_at_a_time = ghost.table.counts() && server.serializes_counters();
        let turns = Arc::new(Turns::new(one_at_a_time, !pair.key.ghost_unique));
        let longest = turns.matter().then_some(SHORT_TURN);
        let is_key = |index: &Index| pair.key.ghost_index.as_ref() == Some(&index.name);
        let is_there = |index: &Index| !ghost.deferred.names.contains(&index.name);
        let may_displace =
            ghost.table.indexes.iter().any(|i| i.unique && !is_key(i) && is_there(i));
        let refresher = Arc::new(Refresher::new(
            Arc::clone(&pair),
            Arc::clone(&pending),
            Arc::clone(&flights),
            Arc::clone(&turns),
            options.retries(),
            may_displace,
        ));
        Ok(Follow {
            stream: Stream::new(Arc::clone(&feed)),
            config: StreamConfig {
                connector: streams.clone(),
                own: connector.clone(),
                own_server_id: server.server_id,
                server_id,
                identity_query: stream_server.identity_query(),
                identity: stream_server.identity.clone(),
                start,
                watch,
                retries: options.retries(),
            },
            sizer: Arc::new(Sizer::new(options.chunk_size, table.row_bytes).at_most(longest)),
            touched: Touched::new(pair.key.clone()),
            pair,
            feed,
            pending,
            flights,
            turns,
            refresher,
            new_key,
        })
    }
}

impl Follow {
    /// Takes over what another run had still to do, before anything is refreshed.
    pub(super) fn goes_on(&self, continued: &Continued, ghost: &Ghost) -> Result<()> {
        self.feed.goes_on_behind(continued.place.marker);
        // What an XA transaction changes is not known if it was prepared before that.
        self.stream.copy_begins();
        match &continued.stage {
            Stage::Follow { indexes } => {
                self.refresher.catches_up(true);
                self.pending.put_back(continued.place.keys()?);
                if *indexes {
                    self.indexes_are_there(ghost);
                }
            }
            Stage::Prove { last_call } => self.feed.last_call(*last_call),
            Stage::TidyUp { .. } => {}
        }
        Ok(())
    }

    /// The ghost has the indexes that waited for the end of the copy.
    pub(super) fn indexes_are_there(&self, ghost: &Ghost) {
        if ghost.deferred.any_unique {
            self.refresher.go_one_by_one();
        }
        if !ghost.deferred.strict.is_empty() {
            self.refresher.be_strict();
        }
    }
}

/// A server id that nobody else has, the one that is `wanted` if there is one: one that a replica has too would throw it
/// off the stream.
pub(crate) fn free_server_id(
    wanted: Option<u32>,
    session: &mut Session,
    server: &ServerInfo,
    replica: Option<&StreamServer>,
) -> Result<u32> {
    let mut taken = server.attached_ids(session)?;
    taken.push(server.server_id);
    if let Some(StreamServer { connector, server }) = replica {
        let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
        taken.extend(server.attached_ids(&mut session)?);
        taken.push(server.server_id);
    }
    if let Some(id) = wanted {
        let why =
            || format!("the server id {id} is taken by a server or one that replicates from it");
        return if taken.contains(&id) {
            Err(Error::new(ErrorKind::Config, why()))
        } else {
            Ok(id)
        };
    }
    for salt in 0..1000_u32 {
        // A hasher with random keys is the standard library's only source of randomness. Ids in
        // the upper half are rarely given to servers by hand.
        let hash = RandomState::new().hash_one(salt);
        let id = u32::try_from(hash >> 33).unwrap_or(salt) | FIRST_STREAM_ID;
        if !taken.contains(&id) && id != u32::MAX {
            return Ok(id);
        }
    }
    Err(Error::new(ErrorKind::Config, "no server id is free; name one (server_id)"))
}

fn watched<'a>(
    table: &Table,
    names: impl Iterator<Item = &'a str>,
    key: &KeyShape,
) -> Result<WatchedTable> {
    let part = |(name, column): (&str, &KeyColumn)| {
        let place = table.columns.iter().position(|c| c.name.is_column(name));
        let column = place.map(|place| KeyPart { column: place, ty: column.ty.clone() });
        column.ok_or_else(|| {
            let why = format!("the key column `{name}` is not visible in {}", table.name);
            Error::new(ErrorKind::NoUsableKey, why)
        })
    };
    let key = names.zip(&key.columns).map(part).collect::<Result<_>>()?;
    Ok(WatchedTable { columns: table.columns.len(), key })
}

/// The key as the new table has it: with its own columns, and their types. Without columns if one is
/// of a type that is not read from the binlog: then any write to the new table counts as one at any
/// key.
fn new_key(key: &KeyShape, ghost: &Table, flavor: Flavor) -> KeyShape {
    let column = |column: &KeyColumn| {
        let ty = ghost.column(column.ghost.as_str())?.key_type(flavor)?;
        Some(KeyColumn { ty, ..column.clone() })
    };
    let columns = key.columns.iter().map(column).collect::<Option<_>>();
    KeyShape { columns: columns.unwrap_or_default(), ..key.clone() }
}
