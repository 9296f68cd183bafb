//! What every session sets before it does anything. `docs/CONNECTIONS.md` says why, one by one.

use super::connector::{Connector, Flavor};
use super::modes::Modes;
use super::session::Purpose;
use crate::sql::literal;

pub(super) const UTC: &str = "+00:00";

/// Those in which the server prints names and defaults always alike.
pub(super) const PLAIN_MODES: &str = "SET SESSION sql_mode = '', time_zone = '+00:00'";

/// Newer MariaDB servers have it on: a chunk that meets a row of the ghost which has been refreshed since
/// the chunk began would fail (error 1020). It is to leave such a row alone.
const NO_SNAPSHOT: &str = "SET SESSION innodb_snapshot_isolation = OFF";

/// It can be hidden from its table's definition, and the table would have no key.
const GENERATED_KEYS: &str = "SET SESSION show_gipk_in_create_table_and_information_schema = ON";

const NO_LIMIT_MYSQL: &str = "SET SESSION max_execution_time = 0";
const NO_LIMIT_MARIADB: &str = "SET SESSION max_statement_time = 0";

/// A server that does not know the variable does not do what it is for.
pub(super) const MAY_BE_UNKNOWN: [&str; 4] =
    [NO_SNAPSHOT, GENERATED_KEYS, NO_LIMIT_MYSQL, NO_LIMIT_MARIADB];

/// What decides how a session's changes come into the binlog. To set it takes privileges that few have, so it is looked
/// at first: if the server's `init_connect` could set it, so can we.
pub(super) struct Logging {
    pub(super) look: &'static str,
    pub(super) wanted: &'static str,
    pub(super) set: &'static str,
}

pub(super) const LOGGING: [Logging; 2] = [
    Logging {
        look: "SELECT @@SESSION.sql_log_bin",
        wanted: "1",
        set: "SET SESSION sql_log_bin = 1",
    },
    Logging {
        look: "SELECT @@SESSION.binlog_format",
        wanted: "ROW",
        set: "SET SESSION binlog_format = 'ROW'",
    },
];

/// Of sessions of all kinds, on servers of both. What a DBA may have set to something else, for everybody or by
/// `init_connect`, and is known to change what our statements do, is set here. MariaDB's `system_versioning_asof` is not:
/// it is about versioned tables, which are refused.
fn common() -> Vec<String> {
    vec![
        // A server can be told not to let clients choose.
        "SET NAMES utf8mb4".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE".to_owned(),
        "SET SESSION autocommit = 1, completion_type = 0, sql_safe_updates = 0, sql_big_selects = 1, sql_auto_is_null = 0, \
         sql_select_limit = 18446744073709551615, sql_quote_show_create = 1, foreign_key_checks = 1, unique_checks = 1, \
         innodb_table_locks = 1, wait_timeout = 31536000, net_read_timeout = 600, net_write_timeout = 600"
            .to_owned(),
    ]
}

/// The statements that set up the first session, before it is known what kind of server this is.
pub(super) fn of_first(connector: &Connector) -> Vec<String> {
    let mut statements = common();
    statements.extend([NO_LIMIT_MYSQL, NO_LIMIT_MARIADB, GENERATED_KEYS].map(str::to_owned));
    statements.push(users_modes(connector));
    statements
}

/// The statements that set up a session.
pub(super) fn of(connector: &Connector, flavor: Flavor, purpose: Purpose) -> Vec<String> {
    let mut statements = common();
    let of_flavor: &[&str] = match flavor {
        Flavor::MySql => {
            &[NO_LIMIT_MYSQL, GENERATED_KEYS, "SET SESSION information_schema_stats_expiry = 0"]
        }
        // A long IN list must not become a subquery that is read without our row locks.
        Flavor::MariaDb => &[
            NO_LIMIT_MARIADB,
            "SET SESSION in_predicate_conversion_threshold = 0, check_constraint_checks = 1",
            NO_SNAPSHOT,
        ],
    };
    statements.extend(of_flavor.iter().map(|&statement| statement.to_owned()));
    if connector.writes_rows() && purpose != Purpose::Inspect {
        statements.push("SET SESSION binlog_format = 'ROW'".to_owned());
    }
    let lock_wait = "SET SESSION lock_wait_timeout = 5";
    match purpose {
        Purpose::Inspect => {
            statements.push(PLAIN_MODES.to_owned());
            statements.push(lock_wait.to_owned());
        }
        Purpose::Rows | Purpose::Refresh => {
            statements.push(set_modes(&connector.rows_modes()));
            statements.push(format!(
                "{lock_wait}, autocommit = {}, innodb_lock_wait_timeout = {}",
                u8::from(purpose == Purpose::Rows),
                // A refresh may wait for the application; the copy only ever waits for a refresh.
                if purpose == Purpose::Rows { 10 } else { 1 }
            ));
        }
        Purpose::Definition => {
            statements.push(users_modes(connector));
            statements.push(lock_wait.to_owned());
        }
    }
    statements
}

pub(super) fn set_modes(modes: &Modes) -> String {
    format!(
        "SET SESSION time_zone = {}, sql_mode = {}",
        literal::text(&modes.time_zone),
        literal::text(&modes.sql_mode)
    )
}

/// The server's own, unless the caller gave others.
pub(super) fn users_modes(connector: &Connector) -> String {
    connector.definition_modes().map_or_else(
        || "SET SESSION time_zone = @@GLOBAL.time_zone, sql_mode = @@GLOBAL.sql_mode".to_owned(),
        set_modes,
    )
}
