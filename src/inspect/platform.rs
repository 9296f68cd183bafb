//! Who runs the server, and what that asks for before a run begins. `docs/PLATFORMS.md` says the same to people, with
//! the sources of what is said here.

mod items;

use std::fmt;
use std::str::FromStr;

use items::{Facts, Retention};

use super::table::Table;
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ServerInfo;

/// Who runs the server. That decides who may change its settings, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// The user himself, or nobody that is known here.
    #[default]
    Own,
    /// Amazon RDS for MySQL or MariaDB.
    AmazonRds,
    /// Amazon Aurora MySQL, version 3 and later.
    Aurora,
    /// Google Cloud SQL for MySQL.
    CloudSql,
    /// Azure Database for MySQL, Flexible Server.
    Azure,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Platform::Own => "none",
            Platform::AmazonRds => "Amazon RDS",
            Platform::Aurora => "Amazon Aurora MySQL",
            Platform::CloudSql => "Google Cloud SQL",
            Platform::Azure => "Azure Database for MySQL",
        })
    }
}

/// A text that names no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of none, rds, aurora, gcp, azure")]
pub struct ParsePlatformError(String);

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// `none`, `rds`, `aurora`, `gcp` or `azure`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Platform::Own,
            "rds" => Platform::AmazonRds,
            "aurora" => Platform::Aurora,
            "gcp" => Platform::CloudSql,
            "azure" => Platform::Azure,
            other => return Err(ParsePlatformError(other.to_owned())),
        })
    }
}

impl Platform {
    /// By what the server says of itself.
    pub(crate) fn detect(server: &ServerInfo) -> Self {
        let has = |variable: &str, part: &str| server.text(variable).contains(part);
        if server.has("aurora_version") || has("basedir", "/rdsdbbin/oscar") {
            Platform::Aurora
        } else if has("basedir", "/rdsdbbin/") {
            Platform::AmazonRds
        } else if server.version_text.contains("-google") || has("version_comment", "(Google)") {
            Platform::CloudSql
        } else if server.version_text.contains("-azure") {
            Platform::Azure
        } else {
            Platform::Own
        }
    }
}

/// What an item of the preflight came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreflightOutcome {
    /// It is as it has to be.
    Passed,
    /// The run can begin, and may fail, with the table untouched.
    Warning,
    /// The run cannot work: the plan is refused.
    Refused,
    /// SQL does not show it: a person has to look.
    ByHand,
}

impl fmt::Display for PreflightOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PreflightOutcome::Passed => "ok",
            PreflightOutcome::Warning => "warning",
            PreflightOutcome::Refused => "refused",
            PreflightOutcome::ByHand => "look",
        })
    }
}

/// Something to be looked at before a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreflightItem {
    /// Its name, which stays the same over versions: `binlog-retention`.
    pub code: &'static str,
    /// What it came to.
    pub outcome: PreflightOutcome,
    /// It is about the replica whose binlog is read.
    pub of_replica: bool,
    /// What was found.
    pub found: String,
    /// What to do; empty if it passed.
    pub advice: String,
}

impl fmt::Display for PreflightItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, outcome, of_replica, found, advice } = self;
        let replica = if *of_replica { " (replica)" } else { "" };
        write!(f, "{code}{replica}: {outcome}: {found}")?;
        if advice.is_empty() { Ok(()) } else { write!(f, ": {advice}") }
    }
}

/// What the run is going to ask of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asks {
    /// The server is the replica whose binlog is read.
    pub(crate) as_stream: bool,
    /// The binlog of a replica is read.
    pub(crate) reads_replica: bool,
    pub(crate) switch_to_row_format: bool,
    pub(crate) include_triggers: bool,
    pub(crate) kill_blockers: bool,
}

/// Looks at the settings, and refuses those with which a run cannot work.
pub(crate) fn check(
    session: &mut Session,
    server: &ServerInfo,
    named: Option<Platform>,
    asks: Asks,
) -> Result<(Platform, Vec<PreflightItem>)> {
    let platform = named.unwrap_or_else(|| Platform::detect(server));
    let retention = match platform {
        Platform::AmazonRds | Platform::Aurora => retention_on_rds(session),
        _ => Retention::of_variables(server),
    };
    let items = Facts { platform, server, asks, retention }.items();
    refuse(platform, &items)?;
    Ok((platform, items))
}

/// Likewise what has to do with the table.
pub(crate) fn check_table(
    platform: Platform,
    server: &ServerInfo,
    table: &Table,
) -> Result<Vec<PreflightItem>> {
    let items = items::of_table(platform, server, table);
    refuse(platform, &items)?;
    Ok(items)
}

fn refuse(platform: Platform, items: &[PreflightItem]) -> Result<()> {
    let refused: Vec<&PreflightItem> =
        items.iter().filter(|item| item.outcome == PreflightOutcome::Refused).collect();
    let Some(first) = refused.first() else { return Ok(()) };
    let kind = match first.code {
        "binlog" | "binlog-format" | "binlog-filtering" => ErrorKind::BinlogSettings,
        "trigger-creators" => ErrorKind::Triggers,
        "kill-blockers" => ErrorKind::Config,
        _ => ErrorKind::UnsupportedServer,
    };
    let why: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let error = Error::new(kind, why.join("; "));
    Err(if platform == Platform::Own { error } else { error.context(platform) })
}

/// RDS keeps it in a table, and not in a variable.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql-stored-proc-configuring.html>
fn retention_on_rds(session: &mut Session) -> Retention {
    let sql = "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'";
    match session.scalar(sql) {
        Ok(Some(hours)) => hours.parse().map_or(Retention::Unknown, Retention::Hours),
        Ok(None) => Retention::AsSoonAsPossible,
        Err(error) => {
            log::debug!("mysql.rds_configuration: {}", error.message());
            Retention::Unknown
        }
    }
}
