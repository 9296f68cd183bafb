//! The server and the table.

use anyhow::{Context, Result, anyhow, bail, ensure};
use online_alter::mysql::prelude::Queryable;
use online_alter::mysql::{Conn, Opts};
use online_alter_support::{Server, csm};

use crate::common::{say, warn};
use crate::flags::Flags;

const SCHEMA: &str = "online_alter_demo";

/// Where the demo takes place.
pub(crate) struct Target {
    /// A private one, which is gone when this is dropped.
    _server: Option<Server>,
    pub(crate) url: String,
    /// It is somebody's, who wants it back as it was.
    borrowed: bool,
}

impl Target {
    /// Starts a private server, or makes sure that the given one can be used.
    pub(crate) fn new(flags: &Flags) -> Result<Self> {
        let Some(url) = &flags.url else {
            let server = Server::builder(flags.server).durable().on_disk().start()?;
            server.connect()?.query_drop(format!("CREATE DATABASE {SCHEMA}"))?;
            let url = server.url_for(SCHEMA);
            return Ok(Target { _server: Some(server), url, borrowed: false });
        };
        // The crate's own error quotes the URL, password and all.
        let opts = Opts::from_url(url).map_err(|_| anyhow!("the URL is malformed"))?;
        ensure!(opts.get_db_name().is_some(), "the URL names no schema: mysql://../schema");
        let target = Target { _server: None, url: url.clone(), borrowed: true };
        let present: Vec<String> = target.connect()?.query(format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND \
             TABLE_NAME IN ('{0}', '_{0}_gho', '_{0}_ghc', '_{0}_del')",
            csm::TABLE
        ))?;
        if !present.is_empty() {
            bail!("the schema has {} already: the demo wants a schema without", present.join(", "));
        }
        Ok(target)
    }

    pub(crate) fn connect(&self) -> Result<Conn> {
        Conn::new(self.url.as_str()).context("the server cannot be reached")
    }

    /// Creates the table, which must not be there, and fills it.
    pub(crate) fn create_table(&self, rows: u64) -> Result<()> {
        let mut conn = self.connect()?;
        csm::create_table(&mut conn, csm::TABLE).context("the table cannot be created")?;
        csm::fill(&mut conn, csm::TABLE, rows)
            .context("the table cannot be filled")
            .inspect_err(|_| self.clean_up())
    }

    pub(crate) fn version(&self) -> Result<String> {
        let answer = self.connect()?.query_first("SELECT VERSION()")?;
        let version: String = answer.context("the server has no version")?;
        Ok(if version.contains("MariaDB") { version } else { format!("MySQL {version}") })
    }

    /// The type of `id`, as the server has it.
    pub(crate) fn type_of_id(&self) -> Result<String> {
        let answer = self.connect()?.query_first(format!(
            "SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
             AND TABLE_NAME = '{}' AND COLUMN_NAME = 'id'",
            csm::TABLE
        ))?;
        answer.context("the table has no id")
    }

    /// Drops, on a server that is somebody's, what the demo created there.
    pub(crate) fn clean_up(&self) {
        if !self.borrowed {
            return;
        }
        let sql = format!("DROP TABLE IF EXISTS {0}, _{0}_del", csm::TABLE);
        match self.connect().and_then(|mut conn| Ok(conn.query_drop(sql)?)) {
            Ok(()) => say("the tables of the demo are dropped"),
            Err(error) => warn(format_args!("the demo's tables are not dropped: {error:#}")),
        }
    }
}
