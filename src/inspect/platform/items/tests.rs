use super::*;
use crate::inspect::platform::refuse;
use crate::sql::{Ident, TableName};

/// As a MySQL server of each platform says it, with nothing in the way.
const FINE: &[(&str, &str)] = &[
    ("log_bin", "ON"),
    ("binlog_format", "ROW"),
    ("binlog_expire_logs_seconds", "86400"),
    ("performance_schema", "ON"),
    ("log_bin_trust_function_creators", "ON"),
    ("wait_timeout", "28800"),
];

fn server(others: &[(&str, &str)]) -> ServerInfo {
    let variables: Vec<(&str, &str)> = FINE.iter().chain(others).copied().collect();
    ServerInfo::saying(Flavor::MySql, "8.0.39", &variables)
}

fn of(platform: Platform, others: &[(&str, &str)], asks: Asks, retention: Retention) -> String {
    let server = server(others);
    let items = Facts { platform, server: &server, asks, retention }.items();
    let odd = items.iter().filter(|item| item.outcome != Passed);
    odd.map(|item| format!("{} {}", item.code, item.outcome)).collect::<Vec<_>>().join(", ")
}

const MANAGED: [Platform; 4] = [AmazonRds, Aurora, CloudSql, Azure];

#[test]
fn platforms_are_detected() {
    for (version, variable, platform) in [
        ("8.0.39", ("basedir", "/usr/"), Own),
        ("8.0.39", ("basedir", "/rdsdbbin/mysql-8.0.39.R2/"), AmazonRds),
        ("10.11.8-MariaDB-log", ("basedir", "/rdsdbbin/mariadb-10.11.8.R1"), AmazonRds),
        ("8.0.28", ("aurora_version", "3.05.2"), Aurora),
        ("8.0.28", ("basedir", "/rdsdbbin/oscar-8.0.mysql_aurora.3.05.2.0.0/"), Aurora),
        ("8.0.31-google", ("basedir", "/usr/"), CloudSql),
        ("8.4.4", ("version_comment", "(Google)"), CloudSql),
        ("8.0.42-azure", ("basedir", "/app/"), Azure),
    ] {
        let server = ServerInfo::saying(Flavor::MySql, version, &[variable]);
        assert_eq!(Platform::detect(&server), platform, "{version} {variable:?}");
    }
}

#[test]
fn nothing_is_said_of_what_is_right() {
    for platform in [Own, AmazonRds, Aurora, CloudSql, Azure] {
        let asks = Asks { include_triggers: true, kill_blockers: true, ..Asks::default() };
        assert_eq!(of(platform, &[], asks, Retention::Hours(24)), "", "{platform}");
    }
}

#[test]
fn settings_without_which_nothing_works_are_refused() {
    let plain = Asks::default();
    let all = Asks { include_triggers: true, kill_blockers: true, ..plain };
    let stream = Asks { as_stream: true, ..plain };
    let primary = Asks { reads_replica: true, ..plain };
    let filter = ("aurora_enable_repl_bin_log_filtering", "1");
    for (platform, variable, asks, found) in [
        (AmazonRds, ("log_bin", "OFF"), plain, "binlog refused"),
        (Azure, ("binlog_format", "MIXED"), plain, "binlog-format refused"),
        (Azure, ("binlog_format", "MIXED"), primary, ""),
        (CloudSql, ("binlog_format", "MIXED"), stream, "binlog-format refused"),
        (Aurora, ("innodb_read_only", "ON"), plain, "aurora-reader refused"),
        (Aurora, ("innodb_read_only", "ON"), stream, "aurora-reader refused"),
        (AmazonRds, ("innodb_read_only", "ON"), plain, ""),
        (Aurora, filter, plain, ""),
        (Aurora, filter, stream, "binlog-filtering refused"),
        (
            Aurora,
            ("aurora_binlog_replication_max_yield_seconds", "30"),
            plain,
            "binlog-yield warning",
        ),
        (AmazonRds, ("log_bin_trust_function_creators", "OFF"), plain, ""),
        (AmazonRds, ("log_bin_trust_function_creators", "OFF"), all, "trigger-creators refused"),
        (Own, ("log_bin_trust_function_creators", "OFF"), all, ""),
        (Own, ("performance_schema", "OFF"), all, "kill-blockers refused"),
        (Azure, ("performance_schema", "OFF"), plain, ""),
        // Left to the checks that every server goes through.
        (Own, ("log_bin", "OFF"), plain, ""),
    ] {
        assert_eq!(
            of(platform, &[variable], asks, Retention::Hours(24)),
            found,
            "{platform} {variable:?}"
        );
    }
}

#[test]
fn binlogs_that_may_go_are_warned_of() {
    for (platform, retention, found) in [
        (AmazonRds, Retention::AsSoonAsPossible, "binlog-retention warning"),
        (AmazonRds, Retention::Hours(23), "binlog-retention warning"),
        (AmazonRds, Retention::Unknown, "binlog-retention look"),
        (CloudSql, Retention::ForEver, ""),
        (Azure, Retention::ForEver, "binlog-retention warning"),
        (Own, Retention::Hours(1), ""),
    ] {
        let retention = of(platform, &[], Asks::default(), retention);
        assert_eq!(retention, found, "{platform}");
    }
    let read = |variables: &[(&str, &str)]| {
        Retention::of_variables(&ServerInfo::saying(Flavor::MySql, "8.0.39", variables))
    };
    assert_eq!(read(&[("binlog_expire_logs_seconds", "90000")]), Retention::Hours(25));
    assert_eq!(read(&[("binlog_expire_logs_seconds", "0")]), Retention::ForEver);
    assert_eq!(read(&[("expire_logs_days", "0.000000")]), Retention::ForEver);
}

#[test]
fn all_that_is_refused_is_in_the_error() {
    let bad = [("log_bin", "OFF"), ("binlog_format", "STATEMENT")];
    let server = server(&bad);
    let asks = Asks { switch_to_row_format: true, ..Asks::default() };
    let facts =
        Facts { platform: AmazonRds, server: &server, asks, retention: Retention::Hours(24) };
    let error = refuse(AmazonRds, &facts.items()).unwrap_err();
    for words in [
        "Amazon RDS: binlog: refused: log_bin=OFF",
        "--backup-retention-period 1",
        "binlog-format: refused: binlog_format=STATEMENT",
        "switch_to_row_format cannot change it",
        "in the DB parameter group",
    ] {
        assert!(error.message().contains(words), "{words}: {error}");
    }
}

/// The page for people has each of them, and no others.
#[test]
fn the_page_lists_them_all() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PLATFORMS.md"));
    let asks = Asks { include_triggers: true, kill_blockers: true, ..Asks::default() };
    let server = server(&[]);
    let table = Table {
        name: TableName::new(Ident::new("db"), Ident::new("t")),
        columns: Vec::new(),
        indexes: Vec::new(),
        definition: crate::inspect::table::Definition { text: String::new(), auto_increment: None },
        rows: 0,
        row_bytes: 0,
        data_bytes: 0,
        index_bytes: 0,
    };
    let mut codes: Vec<&str> = Vec::new();
    for platform in MANAGED {
        let facts = Facts { platform, server: &server, asks, retention: Retention::Unknown };
        let items = facts.items().into_iter().chain(of_table(platform, &server, &table));
        codes.extend(items.map(|item| item.code));
    }
    codes.sort_unstable();
    codes.dedup();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut listed: Vec<&str> = rows.collect();
    listed.sort_unstable();
    assert_eq!(listed, codes);
}
