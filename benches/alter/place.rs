//! A private server and its table, in the same state before every run.

use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use online_alter::mysql::prelude::Queryable;
use online_alter::mysql::{Conn, Opts, Row};
use online_alter_support::{Builder, Flavor, Server, csm};

use crate::lock::{self, Lock};
use crate::note;

pub(crate) const SCHEMA: &str = "bench";
/// What is measured.
pub(crate) const CLAUSE: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

const GROUP: &str = "online_alter";

/// The definition of a saved table.
const DONE: &str = "definition.sql";
/// What makes the rows: those of another program are made anew.
const FILLED_BY: &str = include_str!("../../tests/support/src/csm.rs");

const SETTLE: Duration = Duration::from_secs(180);

pub(crate) struct Place {
    server: Server,
    pub(crate) pool: String,
    pub(crate) rows: u64,
    pub(crate) version: String,
    /// Of the table and its indexes.
    pub(crate) bytes: u64,
    definition: String,
    saved: PathBuf,
    lock: Option<PathBuf>,
    more: Vec<String>,
}

impl Place {
    /// Starts a server, makes the table and saves its file.
    pub(crate) fn new(
        flavor: Flavor,
        pool: &str,
        rows: u64,
        settings: &[String],
        lock: Option<PathBuf>,
    ) -> Result<Self> {
        let redo = if flavor.is_mariadb() {
            "--innodb-log-file-size=1G"
        } else {
            "--innodb-redo-log-capacity=1G"
        };
        let builder = Server::builder(flavor)
            .durable()
            .on_disk()
            .option(format!("--innodb-buffer-pool-size={pool}"))
            .option(redo)
            // The servers' own default.
            .option("--innodb-use-native-aio=ON");
        let more = |builder: Builder, setting: &String| builder.option(format!("--{setting}"));
        let server = settings.iter().fold(builder, more).start()?;
        let target = server.data_dir().ancestors().nth(3).context("no directory")?;
        let saved = target.join("bench-alter");
        let mut place = Place {
            server,
            pool: pool.to_owned(),
            rows,
            version: String::new(),
            bytes: 0,
            definition: String::new(),
            saved,
            lock,
            more: settings.to_vec(),
        };
        if let Some(group) = place.group() {
            place.server.connect()?.query_drop(format!(
                "CREATE RESOURCE GROUP {group} TYPE=USER THREAD_PRIORITY=19"
            ))?;
        }
        place.make()?;
        Ok(place)
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.server.flavor()
    }

    pub(crate) fn url(&self) -> String {
        self.server.url_for(SCHEMA)
    }

    /// A resource group of low priority, where the server has them.
    pub(crate) fn group(&self) -> Option<&'static str> {
        (!self.flavor().is_mariadb()).then_some(GROUP)
    }

    /// A connection whose statements may take as long as they like.
    pub(crate) fn conn(&self) -> Result<Conn> {
        Ok(Conn::new(Opts::from_url(&self.url())?)?)
    }

    /// What it runs with, in words.
    pub(crate) fn settings(&self) -> String {
        let name = if self.flavor().is_mariadb() { "" } else { "MySQL " };
        format!(
            "{name}{}, {} rows, {:.0} MB with its indexes, pool {}, redo log 1G, sync_binlog=1, \
             innodb_flush_log_at_trx_commit=1{}",
            self.version,
            self.rows,
            self.bytes as f64 / 1e6,
            self.pool,
            self.more.iter().fold(String::new(), |text, setting| text + ", " + setting)
        )
    }

    /// Makes the table, unless an earlier run has left it: filling it takes minutes.
    fn make(&mut self) -> Result<()> {
        self.server.connect()?.query_drop(format!("CREATE DATABASE {SCHEMA}"))?;
        let mut conn = self.conn()?;
        self.version = conn.query_first("SELECT VERSION()")?.context("no version")?;
        self.saved = self.saved.join(format!(
            "{}-{}-{}-{:016x}",
            self.flavor(),
            self.version,
            self.rows,
            BuildHasherDefault::<DefaultHasher>::default().hash_one(FILLED_BY)
        ));
        if !self.saved.join(DONE).exists() {
            self.fill(&mut conn)?;
        }
        self.definition = fs::read_to_string(self.saved.join(DONE))?;
        self.bytes = fs::metadata(self.saved.join("ibd"))?.len();
        Ok(())
    }

    fn fill(&self, conn: &mut Conn) -> Result<()> {
        note(format_args!("making {} rows in {}", self.rows, self.saved.display()));
        csm::create_table(conn, csm::TABLE)?;
        csm::fill(conn, csm::TABLE, self.rows)?;
        let created: Option<(String, String)> =
            conn.query_first(format!("SHOW CREATE TABLE {}", csm::TABLE))?;
        conn.query_drop(format!("FLUSH TABLES {} FOR EXPORT", csm::TABLE))?;
        fs::create_dir_all(&self.saved)?;
        for end in ["ibd", "cfg"] {
            fs::copy(self.file(end), self.saved.join(end)).context("cannot save the table")?;
        }
        conn.query_drop("UNLOCK TABLES")?;
        // Last, and at once: until it is there, the rest does not count.
        let part = self.saved.join("part");
        fs::write(&part, created.context("no table")?.1)?;
        fs::rename(part, self.saved.join(DONE))?;
        Ok(())
    }

    fn file(&self, end: &str) -> PathBuf {
        self.server.data_dir().join(SCHEMA).join(format!("{}.{end}", csm::TABLE))
    }

    /// The table as it was made, read once, on a server that has nothing left to do. What is measured
    /// on it is measured as long as the lock is held.
    pub(crate) fn fresh(&self) -> Result<Lock> {
        let mut conn = self.conn()?;
        self.clear(&mut conn)?;
        conn.query_drop(&self.definition)?;
        conn.query_drop(format!("ALTER TABLE {} DISCARD TABLESPACE", csm::TABLE))?;
        for end in ["ibd", "cfg"] {
            fs::copy(self.saved.join(end), self.file(end)).context("cannot restore the table")?;
            // Else the kernel would write it during the measurement.
            File::open(self.file(end))?.sync_all()?;
        }
        conn.query_drop(format!("ALTER TABLE {} IMPORT TABLESPACE", csm::TABLE))?;
        let _ = fs::remove_file(self.file("cfg"));
        conn.query_drop(format!("ANALYZE TABLE {}", csm::TABLE))?;
        self.settle(&mut conn)?;
        conn.query_drop(format!(
            "SELECT SUM(LENGTH(state)) FROM {} FORCE INDEX (PRIMARY)",
            csm::TABLE
        ))?;
        lock::hold(self.lock.as_deref())
    }

    /// Drops all tables, and the binary logs.
    fn clear(&self, conn: &mut Conn) -> Result<()> {
        let tables: Vec<String> = conn.query("SHOW TABLES")?;
        for table in tables {
            conn.query_drop(format!("DROP TABLE `{table}`"))?;
        }
        conn.query_drop("FLUSH BINARY LOGS")?;
        let status = if self.flavor().is_mariadb() {
            "SHOW MASTER STATUS"
        } else {
            "SHOW BINARY LOG STATUS"
        };
        let log: Option<String> =
            conn.query_first::<Row, _>(status)?.and_then(|mut row| row.take(0));
        let log = log.context("no binary log")?;
        conn.query_drop(format!("PURGE BINARY LOGS TO '{log}'"))?;
        Ok(())
    }

    /// Waits until what was deleted is purged, and what was written is on disk.
    fn settle(&self, conn: &mut Conn) -> Result<()> {
        let (pct, lwm): (f64, f64) = conn
            .query_first("SELECT @@innodb_max_dirty_pages_pct, @@innodb_max_dirty_pages_pct_lwm")?
            .context("no settings")?;
        conn.query_drop("SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0")?;
        conn.query_drop("SET GLOBAL innodb_max_dirty_pages_pct = 0")?;
        let history = if self.flavor().is_mariadb() {
            "SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS WHERE \
             VARIABLE_NAME = 'Innodb_history_list_length'"
        } else {
            "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'"
        };
        let began = Instant::now();
        loop {
            let history: u64 = conn.query_first(history)?.unwrap_or(0);
            let dirty: Option<(String, u64)> =
                conn.query_first("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")?;
            let dirty = dirty.map_or(0, |(_, pages)| pages);
            if history < 100 && dirty < 100 {
                break;
            }
            if began.elapsed() > SETTLE {
                bail!("the server does not come to rest: history {history}, {dirty} dirty pages");
            }
            thread::sleep(Duration::from_millis(200));
        }
        conn.query_drop(format!("SET GLOBAL innodb_max_dirty_pages_pct = {pct}"))?;
        conn.query_drop(format!("SET GLOBAL innodb_max_dirty_pages_pct_lwm = {lwm}"))?;
        Ok(())
    }

    /// Fails unless the table is altered and complete: a fast contender may have done nothing.
    pub(crate) fn judge(&self) -> Result<()> {
        let mut conn = self.conn()?;
        let id: Option<String> = conn.query_first(format!(
            "SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{SCHEMA}' \
             AND TABLE_NAME = '{}' AND COLUMN_NAME = 'id'",
            csm::TABLE
        ))?;
        let id = id.unwrap_or_default();
        let keys: Option<u64> = conn.query_first(format!(
            "SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS WHERE \
             TABLE_SCHEMA = '{SCHEMA}' AND TABLE_NAME = '{}'",
            csm::TABLE
        ))?;
        let rows: Option<u64> = conn.query_first(format!("SELECT COUNT(*) FROM {}", csm::TABLE))?;
        if !id.starts_with("bigint") || keys != Some(10) || rows != Some(self.rows) {
            bail!("not altered: id is {id}, {keys:?} keys, {rows:?} rows");
        }
        Ok(())
    }
}
