//! The server: what it is, and whether its settings allow a run.

use std::collections::HashMap;
use std::time::Duration;

use crate::db::{Flavor, Session, SqlMode, missing};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::TableName;
use crate::sql::statements::LockSyntax;
use crate::sql::tokens::Dialect;

/// What a run needs to know of the server.
#[derive(Clone, Debug)]
pub(crate) struct ServerInfo {
    pub(crate) flavor: Flavor,
    pub(crate) version: Version,
    /// As the server says it.
    pub(crate) version_text: String,
    /// What tells this server from any other behind the same address.
    pub(crate) identity: String,
    pub(crate) server_id: u32,
    pub(crate) dialect: Dialect,
    /// Table names are compared without regard to case.
    pub(crate) ignores_case: bool,
    /// `binlog_format`, upper case.
    pub(crate) binlog_format: String,
    variables: HashMap<String, String>,
}

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok);
        Some(Version(next()?, next()?, next().unwrap_or(0)))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// RENAME TABLE under LOCK TABLES, `FOR SHARE NOWAIT`, expressions in index metadata.
/// <https://dev.mysql.com/doc/relnotes/mysql/8.0/en/news-8-0-13.html>
const OLDEST_MYSQL: Version = Version(8, 0, 13);

/// RENAME of several tables became atomic.
/// <https://mariadb.com/kb/en/atomic-ddl/>
const OLDEST_MARIADB: Version = Version(10, 6, 0);

impl ServerInfo {
    /// Reads the server, and refuses it by name if it is not supported.
    pub(crate) fn read(session: &mut Session) -> Result<Self> {
        let version_text =
            session.scalar("SELECT VERSION()")?.ok_or_else(|| missing("its version"))?;
        let flavor = flavor_of(&version_text)?;
        let version = supported(flavor, &version_text)?;
        let variables = read_variables(session)?;
        let get = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
        let identity =
            session.scalar(identity_query(flavor))?.ok_or_else(|| missing("who it is"))?;
        let info = ServerInfo {
            flavor,
            version,
            version_text,
            identity,
            server_id: get("server_id").parse().unwrap_or(0),
            dialect: Dialect::from_sql_mode(get("sql_mode")),
            ignores_case: get("lower_case_table_names") != "0",
            binlog_format: get("binlog_format").to_ascii_uppercase(),
            variables,
        };
        info.check_cluster()?;
        Ok(info)
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, variable: &str) -> bool {
        self.variables.contains_key(variable)
    }

    /// The value of a variable, empty if there is none.
    pub(super) fn text(&self, variable: &str) -> &str {
        self.variables.get(variable).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, variable: &str) -> Option<u64> {
        self.variables.get(variable)?.parse().ok()
    }

    pub(super) fn is(&self, variable: &str, values: &[&str]) -> bool {
        self.variables
            .get(variable)
            .is_some_and(|value| values.iter().any(|v| v.eq_ignore_ascii_case(value)))
    }

    /// What `SET SESSION sql_mode` was given for everybody.
    pub(crate) fn sql_mode(&self) -> SqlMode<'_> {
        SqlMode(self.variables.get("sql_mode").map(String::as_str).unwrap_or_default())
    }

    /// The time zone that sessions begin with.
    pub(crate) fn time_zone(&self) -> &str {
        self.variables.get("time_zone").map_or("SYSTEM", String::as_str)
    }

    /// Whether a time zone is UTC, all year round.
    pub(crate) fn is_utc(&self, zone: &str) -> bool {
        let names = ["+00:00", "-00:00", "UTC"];
        names.iter().any(|name| name.eq_ignore_ascii_case(zone))
            || zone.eq_ignore_ascii_case("SYSTEM") && self.is("system_time_zone", &["UTC"])
    }

    /// Whether two names mean the same table.
    pub(crate) fn same_table(&self, a: &TableName, b: &TableName) -> bool {
        let same =
            |a: &str, b: &str| a == b || self.ignores_case && a.to_lowercase() == b.to_lowercase();
        same(a.schema.as_str(), b.schema.as_str()) && same(a.table.as_str(), b.table.as_str())
    }

    /// Whether the rows that a foreign key changes by itself (CASCADE, SET NULL) are in the binlog: so
    /// where the SQL layer carries that out, and not the engine.
    /// <https://dev.mysql.com/doc/refman/9.7/en/create-table-foreign-keys.html>
    pub(crate) fn logs_cascades(&self) -> bool {
        self.flavor == Flavor::MySql
            && self.version >= Version(9, 6, 0)
            && self.is("innodb_native_foreign_keys", &["OFF", "0"])
    }

    /// Whether who makes a trigger needs the privilege SUPER.
    pub(crate) fn distrusts_trigger_creators(&self) -> bool {
        !self.is("log_bin_trust_function_creators", &["ON", "1"])
    }

    /// Whether statements that insert what they select into a table with AUTO_INCREMENT go one after
    /// the other.
    pub(crate) fn serializes_counters(&self) -> bool {
        !self.is("innodb_autoinc_lock_mode", &["2"])
    }

    /// Whether MySQL takes the names of schemas in grants as they stand, and not as patterns.
    pub(super) fn has_partial_revokes(&self) -> bool {
        self.is("partial_revokes", &["ON", "1"])
    }

    pub(crate) fn identity_query(&self) -> &'static str {
        identity_query(self.flavor)
    }

    pub(crate) fn lock_syntax(&self) -> LockSyntax {
        match self.flavor {
            Flavor::MySql => LockSyntax::ForShare,
            Flavor::MariaDb => LockSyntax::LockInShareMode,
        }
    }

    /// How many bytes a string may have that a query makes.
    pub(crate) fn max_packet(&self) -> usize {
        const SMALLEST: usize = 1024;
        self.variables.get("max_allowed_packet").and_then(|v| v.parse().ok()).unwrap_or(SMALLEST)
    }

    /// Gives a session what it needs to build the indexes of a big table. The server does not tell its
    /// memory, but its buffer pool is most of it.
    /// <https://dev.mysql.com/doc/refman/9.7/en/online-ddl-parallel-thread-configuration.html>
    pub(crate) fn prepare_index_build(&self, session: &mut Session) -> Result<()> {
        const LEAST: u64 = 16 << 20;
        const MOST: u64 = 512 << 20;
        // MariaDB's buffer for it (innodb_sort_buffer_size) cannot be set while it runs.
        if self.flavor != Flavor::MySql || self.version < Version(8, 0, 27) {
            return Ok(());
        }
        let pool = self.variables.get("innodb_buffer_pool_size");
        let pool: u64 = pool.and_then(|size| size.parse().ok()).unwrap_or(0);
        let buffer = (pool / 4).clamp(LEAST, MOST);
        session.exec(&format!("SET SESSION innodb_ddl_buffer_size = {buffer}")).map(drop)
    }

    /// Whether the server is a member of a group, whose replication is shown nowhere else.
    pub(super) fn is_in_a_group(&self) -> bool {
        self.variables.get("group_replication_group_name").is_some_and(|name| !name.is_empty())
    }

    fn check_cluster(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::new(ErrorKind::UnsupportedServer, why));
        if self.is("wsrep_on", &["ON", "1"]) {
            return refuse("Galera clusters (wsrep_on=ON) are not supported".to_owned());
        }
        if self.is_in_a_group() && self.is("group_replication_single_primary_mode", &["OFF", "0"]) {
            return refuse("group replication with several primaries is not supported".to_owned());
        }
        Ok(())
    }

    /// Refuses a server that takes no writes.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is("read_only", &["ON", "1"]) || self.is("super_read_only", &["ON", "1"]) {
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                "the server is read-only (a replica?): connect to the primary",
            ));
        }
        Ok(())
    }

    /// The collation that compares utf8mb4 by its bytes and does not overlook trailing spaces, where
    /// there is one. MariaDB's compares characters.
    /// <https://dev.mysql.com/doc/relnotes/mysql/8.0/en/news-8-0-17.html>
    pub(crate) fn collation_by_bytes(&self) -> Option<&'static str> {
        let has = self.flavor == Flavor::MySql && self.version >= Version(8, 0, 17);
        has.then_some("utf8mb4_0900_bin")
    }

    /// Ends statements of a session that take longer.
    pub(crate) fn limit_statements(&self, time: Duration) -> String {
        match self.flavor {
            Flavor::MySql => format!("SET SESSION max_execution_time = {}", time.as_millis()),
            Flavor::MariaDb => format!("SET SESSION max_statement_time = {}", time.as_secs_f64()),
        }
    }

    /// Asks for the length of InnoDB's history list. A counter that is switched off on MySQL would be zero.
    pub(crate) fn history_sql(&self) -> &'static str {
        match self.flavor {
            Flavor::MySql => {
                "SELECT COUNT FROM information_schema.INNODB_METRICS \
                 WHERE NAME = 'trx_rseg_history_len' AND STATUS = 'enabled'"
            }
            Flavor::MariaDb => {
                "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                 WHERE VARIABLE_NAME = 'INNODB_HISTORY_LIST_LENGTH'"
            }
        }
    }
}

fn flavor_of(version: &str) -> Result<Flavor> {
    let lower = version.to_lowercase();
    for other in ["tidb", "oceanbase", "vitess", "singlestore", "doris", "starrocks"] {
        if lower.contains(other) {
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                format!("{version} is not supported: only MySQL and MariaDB are"),
            ));
        }
    }
    Ok(if lower.contains("mariadb") { Flavor::MariaDb } else { Flavor::MySql })
}

fn supported(flavor: Flavor, text: &str) -> Result<Version> {
    // Old clients are told "5.5.5-" in front of MariaDB's version.
    let version = Version::parse(text.strip_prefix("5.5.5-").unwrap_or(text));
    let oldest = match flavor {
        Flavor::MySql => OLDEST_MYSQL,
        Flavor::MariaDb => OLDEST_MARIADB,
    };
    match version {
        Some(version) if version >= oldest => Ok(version),
        _ => Err(Error::new(
            ErrorKind::UnsupportedServer,
            format!(
                "{flavor} {text} is not supported: online-alter needs {flavor} {oldest} or later"
            ),
        )),
    }
}

fn identity_query(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MySql => "SELECT @@GLOBAL.server_uuid",
        Flavor::MariaDb => {
            "SELECT CONCAT(@@GLOBAL.server_id, ' ', @@GLOBAL.hostname, ' ', @@GLOBAL.datadir)"
        }
    }
}

fn read_variables(session: &mut Session) -> Result<HashMap<String, String>> {
    let names = [
        "aurora_binlog_replication_max_yield_seconds",
        "aurora_enable_repl_bin_log_filtering",
        "aurora_version",
        "basedir",
        "binlog_expire_logs_seconds",
        "binlog_format",
        "binlog_order_commits",
        "gtid_mode",
        "expire_logs_days",
        "group_replication_group_name",
        "group_replication_single_primary_mode",
        "innodb_autoinc_lock_mode",
        "innodb_buffer_pool_size",
        "innodb_native_foreign_keys",
        "innodb_read_only",
        "log_bin",
        "log_bin_trust_function_creators",
        "log_replica_updates",
        "log_slave_updates",
        "lower_case_table_names",
        "max_allowed_packet",
        "partial_revokes",
        "performance_schema",
        "read_only",
        "replica_exec_mode",
        "replica_parallel_workers",
        "replica_preserve_commit_order",
        "replica_skip_errors",
        "replica_type_conversions",
        "replicate_events_marked_for_skip",
        "server_id",
        "slave_exec_mode",
        "slave_parallel_threads",
        "slave_parallel_workers",
        "slave_preserve_commit_order",
        "slave_skip_errors",
        "slave_type_conversions",
        "sql_generate_invisible_primary_key",
        "sql_mode",
        "sql_require_primary_key",
        "super_read_only",
        "system_time_zone",
        "time_zone",
        "version_comment",
        "wait_timeout",
        "wsrep_on",
    ];
    let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('{}')", names.join("', '"));
    let pairs = session.rows(&sql)?.into_iter().filter_map(|row| {
        let mut row = row.into_iter();
        Some((row.next()??.to_ascii_lowercase(), row.next()?.unwrap_or_default()))
    });
    Ok(pairs.collect())
}

#[cfg(test)]
impl ServerInfo {
    /// A server that says this of itself.
    pub(super) fn saying(flavor: Flavor, version: &str, variables: &[(&str, &str)]) -> Self {
        let of = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: HashMap<String, String> = variables.iter().map(of).collect();
        ServerInfo {
            flavor,
            version: Version::parse(version).unwrap(),
            version_text: version.to_owned(),
            identity: String::new(),
            server_id: 1,
            dialect: Dialect::from_sql_mode(""),
            ignores_case: false,
            binlog_format: variables.get("binlog_format").cloned().unwrap_or_default(),
            variables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Flavor, Version)> {
        let flavor = flavor_of(text)?;
        Ok((flavor, supported(flavor, text)?))
    }

    #[test]
    fn knows_versions() {
        assert_eq!(read("9.7.0").unwrap(), (Flavor::MySql, Version(9, 7, 0)));
        assert_eq!(read("8.0.36-28.1-log").unwrap(), (Flavor::MySql, Version(8, 0, 36)));
        assert_eq!(
            read("10.11.19-MariaDB-0+deb12u1-log").unwrap(),
            (Flavor::MariaDb, Version(10, 11, 19))
        );
        assert_eq!(read("5.5.5-10.6.4-MariaDB").unwrap(), (Flavor::MariaDb, Version(10, 6, 4)));
    }

    #[test]
    fn refuses_old_and_foreign_ones_by_name() {
        for text in ["5.7.44-log", "8.0.12", "10.5.23-MariaDB", "8.0.11-TiDB-v7.5.0", "gibberish"] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedServer);
            assert!(error.message().contains(text), "{error}");
        }
    }
}
