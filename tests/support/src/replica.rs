//! Replication between two servers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};

use crate::flavor::Flavor;
use crate::server::{PASSWORD, Server, USER};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The server that a replica replicates from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    port: u16,
    url: String,
}

impl Source {
    pub(crate) fn of(primary: &Server) -> Self {
        Self { port: primary.port(), url: primary.url() }
    }

    /// Lets `replica`, a fresh server, replicate all that the source has done since its start, and
    /// waits until it does.
    pub(crate) fn attach(&self, replica: &Server) -> Result<()> {
        let mut conn = replica.connect()?;
        let port = self.port;
        if replica.flavor() == Flavor::Mysql {
            let mut source = Conn::new(crate::server::opts(&self.url))
                .context("no connection to the primary")?;
            let first: Row =
                source.query_first("SHOW BINARY LOGS")?.context("the primary has no binary log")?;
            let file: String = first.get(0).context("SHOW BINARY LOGS")?;
            conn.query_drop(format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, \
                 SOURCE_USER='{USER}', SOURCE_PASSWORD='{PASSWORD}', SOURCE_LOG_FILE='{file}', \
                 SOURCE_LOG_POS=4, SOURCE_CONNECT_RETRY=1, GET_SOURCE_PUBLIC_KEY=1"
            ))?;
            conn.query_drop("START REPLICA")?;
        } else {
            // A replica that has nothing yet asks for everything.
            conn.query_drop(format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, \
                 MASTER_USER='{USER}', MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, \
                 MASTER_CONNECT_RETRY=1"
            ))?;
            conn.query_drop("START SLAVE")?;
        }
        let started = Instant::now();
        loop {
            let status = Status::read(&mut conn)?;
            if status.io == "Yes" && status.sql == "Yes" {
                return Ok(());
            }
            if started.elapsed() > TIMEOUT || !status.error.is_empty() {
                bail!("the replica does not replicate: {status:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What the replica says of its two threads.
#[derive(Debug)]
struct Status {
    io: String,
    sql: String,
    error: String,
}

impl Status {
    fn read(conn: &mut Conn) -> Result<Self> {
        let row: Row = conn.query_first("SHOW REPLICA STATUS")?.context("it is no replica")?;
        let text = |names: &[&str]| -> String {
            let value = names.iter().find_map(|name| row.get::<Option<String>, _>(*name));
            value.flatten().unwrap_or_default()
        };
        Ok(Self {
            io: text(&["Replica_IO_Running", "Slave_IO_Running"]),
            sql: text(&["Replica_SQL_Running", "Slave_SQL_Running"]),
            error: [text(&["Last_IO_Error"]), text(&["Last_SQL_Error"])].concat(),
        })
    }
}

pub(crate) fn wait(primary: &Server, replica: &Server) -> Result<()> {
    let mut source = primary.connect()?;
    let mut conn = replica.connect()?;
    let limit = TIMEOUT.as_secs() - 5;
    let query = if primary.flavor() == Flavor::Mysql {
        let row: Row = source.query_first("SHOW BINARY LOG STATUS")?.context("no binary log")?;
        let file: String = row.get(0).context("no file")?;
        let position: u64 = row.get(1).context("no position")?;
        format!("SELECT SOURCE_POS_WAIT('{file}', {position}, {limit})")
    } else {
        let gtids: String = source.query_first("SELECT @@gtid_binlog_pos")?.unwrap_or_default();
        format!("SELECT MASTER_GTID_WAIT('{gtids}', {limit})")
    };
    let waited: Option<Option<i64>> = conn.query_first(query)?;
    match waited.flatten() {
        Some(0..) => Ok(()),
        other => bail!("the replica did not catch up ({other:?}): {:?}", Status::read(&mut conn)?),
    }
}
