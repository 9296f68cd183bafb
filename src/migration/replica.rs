//! A replica whose binlog is read.

use std::time::{Duration, Instant};

use crate::binlog::{Feed, Start};
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::db::{Connector, Purpose, Session, is_elsewhere};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::inspect::{Channel, ServerInfo};

/// A replica whose binlog is read.
#[derive(Debug)]
pub(crate) struct StreamServer {
    pub(crate) connector: Connector,
    pub(crate) server: ServerInfo,
}

impl StreamServer {
    /// Where to begin to read the binlog of a replica: behind a marker that has come to it, and with it all that the run
    /// has created. It also tells whether the run's changes come to that server at all.
    pub(super) fn start(
        &self,
        state: &StateTable,
        definer: &mut Session,
        by_gtid: bool,
        cancel: &Cancel,
    ) -> Result<Start> {
        const PATIENCE: Duration = Duration::from_secs(60);
        const LOOK_AGAIN: Duration = Duration::from_millis(50);
        let Self { connector, server } = self;
        let marker = state.write_canary(definer)?;
        let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = match session.scalar(&state.last_marker_sql()) {
                Err(error) if error.fault() == Some(Fault::NoSuchTable) => None,
                other => other?.and_then(|seen| seen.parse::<u64>().ok()),
            };
            if seen.is_some_and(|seen| seen >= marker) {
                return server.binlog_start(&mut session, state.name().schema.as_str(), by_gtid);
            }
            if Instant::now() > end {
                let why = format!(
                    "a change that was written to {} did not come to the replica {} within {} s: does it \
                     replicate from this server, and is it up to date?",
                    state.name(),
                    connector.address(),
                    PATIENCE.as_secs()
                );
                return Err(Error::new(ErrorKind::Binlog, why));
            }
            cancel.sleep(LOOK_AGAIN)?;
        }
    }

    /// Ends the run if the server replicates from nobody any more while the stream does not get on. One that only stands
    /// still, or cannot reach its source, is waited for, and so is one that cannot be looked at: its stream gives up.
    pub(super) fn watch(&self, feed: &Feed, cancel: &Cancel) -> Result<()> {
        const BEHIND: Duration = Duration::from_secs(3);
        const LOOK_AGAIN: Duration = Duration::from_secs(2);
        let Self { connector, server } = self;
        loop {
            cancel.sleep(LOOK_AGAIN)?;
            if feed.lag() < BEHIND {
                continue;
            }
            let channels = Session::open(connector, server.flavor, Purpose::Inspect)
                .and_then(|mut session| server.channels(&mut session));
            match channels {
                Ok(channels) if channels.is_empty() => {
                    let why = format!(
                        "{}, whose binlog is read, replicates from no server any more: it may have been promoted",
                        connector.address()
                    );
                    return Err(Error::new(ErrorKind::Binlog, why));
                }
                Ok(channels) if !channels.iter().all(Channel::is_up) => {
                    log::warn!(
                        "waiting for {}, which does not replicate at present",
                        connector.address()
                    );
                }
                Ok(_) => {}
                Err(error) if is_elsewhere(&error) => {
                    return Err(error.with_kind(ErrorKind::Binlog));
                }
                Err(error) => log::debug!("looking at the replica: {}", error.message()),
            }
        }
    }
}
