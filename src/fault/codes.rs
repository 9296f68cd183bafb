//! The error codes that statements of ours can meet, each with its class.
//!
//! Names and numbers are documented in <https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html> and
//! <https://mariadb.com/kb/en/mariadb-error-codes/>. Those up to 1900 mean the same on both.

use super::Fault;

/// A code and its class.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "names are for docs/RETRIES.md, which a test makes")
)]
pub(super) struct Code {
    pub(super) code: u16,
    pub(super) name: &'static str,
    /// Who sends it.
    pub(super) from: &'static str,
    /// If not empty: only with one of these in its message. The first row that fits counts.
    pub(super) says: &'static [&'static str],
    pub(super) fault: Fault,
}

impl Code {
    pub(super) fn says(&self, message: &str) -> bool {
        self.says.is_empty() || self.says.iter().any(|words| message.contains(words))
    }
}

const BOTH: &str = "both";
const MYSQL: &str = "MySQL";
const MARIADB: &str = "MariaDB";
/// ProxySQL's own.
const PROXIES: &str = "proxies";

const ANY: &[&str] = &[];
/// ENOSPC, in the words of either server.
const NO_SPACE: &[&str] = &["errno: 28", "error 28", "errno 28", "No space left on device"];
const INTERRUPTED: &[&str] = &["interrupted"];
/// Of all options that can prevent a statement, those that go away after a failover.
const READ_ONLY: &[&str] = &["read-only", "read_only"];
/// "A replica with the same server_uuid/server_id as this replica has connected to the source".
const SAME_ID: &[&str] = &["same server_uuid/server_id"];

const fn code(
    code: u16,
    name: &'static str,
    from: &'static str,
    says: &'static [&'static str],
    fault: Fault,
) -> Code {
    Code { code, name, from, says, fault }
}

/// In the order of their numbers.
pub(super) const CODES: &[Code] = &[
    code(3, "EE_WRITE", BOTH, NO_SPACE, Fault::DiskFull),
    code(20, "EE_DISK_FULL", BOTH, ANY, Fault::DiskFull),
    code(1020, "ER_CHECKREAD", BOTH, ANY, Fault::Deadlock),
    code(1021, "ER_DISK_FULL", BOTH, ANY, Fault::DiskFull),
    code(1022, "ER_DUP_KEY", BOTH, ANY, Fault::Duplicate),
    code(1026, "ER_ERROR_ON_WRITE", BOTH, NO_SPACE, Fault::DiskFull),
    code(1028, "ER_FILSORT_ABORT", MARIADB, INTERRUPTED, Fault::Killed),
    code(1028, "ER_FILSORT_ABORT", MARIADB, NO_SPACE, Fault::DiskFull),
    code(1030, "ER_GET_ERRNO", BOTH, NO_SPACE, Fault::DiskFull),
    code(1037, "ER_OUTOFMEMORY", BOTH, ANY, Fault::Other),
    code(1038, "ER_OUT_OF_SORTMEMORY", BOTH, ANY, Fault::Other),
    code(1040, "ER_CON_COUNT_ERROR", BOTH, ANY, Fault::Busy),
    code(1041, "ER_OUT_OF_RESOURCES", BOTH, ANY, Fault::Other),
    code(1044, "ER_DBACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1045, "ER_ACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1048, "ER_BAD_NULL_ERROR", BOTH, ANY, Fault::Data),
    code(1049, "ER_BAD_DB_ERROR", BOTH, ANY, Fault::NoSuchTable),
    code(1050, "ER_TABLE_EXISTS_ERROR", BOTH, ANY, Fault::Other),
    code(1051, "ER_BAD_TABLE_ERROR", BOTH, ANY, Fault::NoSuchTable),
    code(1053, "ER_SERVER_SHUTDOWN", BOTH, ANY, Fault::Gone),
    code(1054, "ER_BAD_FIELD_ERROR", BOTH, ANY, Fault::Other),
    code(1060, "ER_DUP_FIELDNAME", BOTH, ANY, Fault::Other),
    code(1061, "ER_DUP_KEYNAME", BOTH, ANY, Fault::Other),
    code(1062, "ER_DUP_ENTRY", BOTH, ANY, Fault::Duplicate),
    code(1064, "ER_PARSE_ERROR", BOTH, ANY, Fault::Other),
    code(1091, "ER_CANT_DROP_FIELD_OR_KEY", BOTH, ANY, Fault::Other),
    code(1094, "ER_NO_SUCH_THREAD", BOTH, ANY, Fault::Other),
    code(1099, "ER_TABLE_NOT_LOCKED_FOR_WRITE", BOTH, ANY, Fault::Other),
    code(1100, "ER_TABLE_NOT_LOCKED", BOTH, ANY, Fault::Other),
    code(1105, "ER_UNKNOWN_ERROR", BOTH, ANY, Fault::Other),
    code(1114, "ER_RECORD_FILE_FULL", BOTH, ANY, Fault::DiskFull),
    code(1118, "ER_TOO_BIG_ROWSIZE", MYSQL, ANY, Fault::TooBig),
    code(1129, "ER_HOST_IS_BLOCKED", BOTH, ANY, Fault::Busy),
    code(1130, "ER_HOST_NOT_PRIVILEGED", BOTH, ANY, Fault::Access),
    code(1135, "ER_CANT_CREATE_THREAD", BOTH, ANY, Fault::Busy),
    code(1138, "ER_INVALID_USE_OF_NULL", BOTH, ANY, Fault::Data),
    code(1142, "ER_TABLEACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1143, "ER_COLUMNACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1146, "ER_NO_SUCH_TABLE", BOTH, ANY, Fault::NoSuchTable),
    code(1152, "ER_ABORTING_CONNECTION", BOTH, ANY, Fault::Gone),
    code(1153, "ER_NET_PACKET_TOO_LARGE", BOTH, ANY, Fault::TooBig),
    code(1158, "ER_NET_READ_ERROR", BOTH, ANY, Fault::Gone),
    code(1159, "ER_NET_READ_INTERRUPTED", BOTH, ANY, Fault::Gone),
    code(1160, "ER_NET_ERROR_ON_WRITE", BOTH, ANY, Fault::Gone),
    code(1161, "ER_NET_WRITE_INTERRUPTED", BOTH, ANY, Fault::Gone),
    code(1180, "ER_ERROR_DURING_COMMIT", BOTH, NO_SPACE, Fault::DiskFull),
    code(1184, "ER_NEW_ABORTING_CONNECTION", BOTH, ANY, Fault::Gone),
    code(1193, "ER_UNKNOWN_SYSTEM_VARIABLE", BOTH, ANY, Fault::Other),
    code(1197, "ER_TRANS_CACHE_FULL", BOTH, ANY, Fault::TooBig),
    code(1203, "ER_TOO_MANY_USER_CONNECTIONS", BOTH, ANY, Fault::Busy),
    code(1205, "ER_LOCK_WAIT_TIMEOUT", BOTH, ANY, Fault::LockWait),
    code(1206, "ER_LOCK_TABLE_FULL", BOTH, ANY, Fault::TooBig),
    code(1213, "ER_LOCK_DEADLOCK", BOTH, ANY, Fault::Deadlock),
    code(1223, "ER_CANT_UPDATE_WITH_READLOCK", BOTH, ANY, Fault::Other),
    code(1226, "ER_USER_LIMIT_REACHED", BOTH, ANY, Fault::Busy),
    code(1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1236, "ER_SOURCE_FATAL_ERROR_READING_BINLOG", MYSQL, SAME_ID, Fault::Displaced),
    code(1236, "ER_SOURCE_FATAL_ERROR_READING_BINLOG", BOTH, ANY, Fault::NoBinlog),
    code(1264, "ER_WARN_DATA_OUT_OF_RANGE", BOTH, ANY, Fault::Data),
    code(1265, "WARN_DATA_TRUNCATED", BOTH, ANY, Fault::Data),
    code(1290, "ER_OPTION_PREVENTS_STATEMENT", BOTH, READ_ONLY, Fault::Busy),
    code(1292, "ER_TRUNCATED_WRONG_VALUE", BOTH, ANY, Fault::Data),
    code(1300, "ER_INVALID_CHARACTER_STRING", BOTH, ANY, Fault::Data),
    code(1317, "ER_QUERY_INTERRUPTED", BOTH, ANY, Fault::Killed),
    code(1364, "ER_NO_DEFAULT_FOR_FIELD", BOTH, ANY, Fault::Data),
    code(1365, "ER_DIVISION_BY_ZERO", BOTH, ANY, Fault::Data),
    code(1366, "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD", BOTH, ANY, Fault::Data),
    code(1367, "ER_ILLEGAL_VALUE_FOR_TYPE", BOTH, ANY, Fault::Data),
    code(1370, "ER_PROCACCESS_DENIED_ERROR", BOTH, ANY, Fault::Access),
    code(1406, "ER_DATA_TOO_LONG", BOTH, ANY, Fault::Data),
    code(1411, "ER_WRONG_VALUE_FOR_TYPE", BOTH, ANY, Fault::Data),
    code(1412, "ER_TABLE_DEF_CHANGED", BOTH, ANY, Fault::Deadlock),
    code(1416, "ER_CANT_CREATE_GEOMETRY_OBJECT", BOTH, ANY, Fault::Data),
    code(1441, "ER_DATETIME_FUNCTION_OVERFLOW", BOTH, ANY, Fault::Data),
    code(1526, "ER_NO_PARTITION_FOR_GIVEN_VALUE", BOTH, ANY, Fault::Data),
    code(1557, "ER_FOREIGN_DUPLICATE_KEY", BOTH, ANY, Fault::Duplicate),
    code(1586, "ER_DUP_ENTRY_WITH_KEY_NAME", BOTH, ANY, Fault::Duplicate),
    code(1598, "ER_BINLOG_LOGGING_IMPOSSIBLE", BOTH, NO_SPACE, Fault::DiskFull),
    code(1614, "ER_XA_RBDEADLOCK", BOTH, ANY, Fault::Deadlock),
    code(1637, "ER_TOO_MANY_CONCURRENT_TRXS", BOTH, ANY, Fault::Busy),
    code(1690, "ER_DATA_OUT_OF_RANGE", BOTH, ANY, Fault::Data),
    code(1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", BOTH, ANY, Fault::Access),
    code(1705, "ER_STMT_CACHE_FULL", BOTH, ANY, Fault::TooBig),
    code(1761, "ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO", BOTH, ANY, Fault::Duplicate),
    code(1762, "ER_FOREIGN_DUPLICATE_KEY_WITHOUT_CHILD_INFO", BOTH, ANY, Fault::Duplicate),
    code(1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", BOTH, ANY, Fault::Busy),
    code(1799, "ER_INNODB_ONLINE_LOG_TOO_BIG", BOTH, ANY, Fault::Other),
    code(1820, "ER_MUST_CHANGE_PASSWORD", BOTH, ANY, Fault::Access),
    code(1836, "ER_READ_ONLY_MODE", BOTH, ANY, Fault::Busy),
    code(1859, "ER_DUP_UNKNOWN_IN_INDEX", BOTH, ANY, Fault::Duplicate),
    code(1862, "ER_MUST_CHANGE_PASSWORD_LOGIN", BOTH, ANY, Fault::Access),
    code(1874, "ER_INNODB_READ_ONLY", BOTH, ANY, Fault::Busy),
    code(1878, "ER_TEMP_FILE_WRITE_FAILURE", BOTH, ANY, Fault::DiskFull),
    code(1927, "ER_CONNECTION_KILLED", MARIADB, ANY, Fault::Gone),
    code(1969, "ER_STATEMENT_TIMEOUT", MARIADB, ANY, Fault::Killed),
    code(1977, "ER_CANNOT_CONVERT_CHARACTER", MARIADB, ANY, Fault::Data),
    code(2006, "CR_SERVER_GONE_ERROR", PROXIES, ANY, Fault::Gone),
    code(2013, "CR_SERVER_LOST", PROXIES, ANY, Fault::Gone),
    code(3024, "ER_QUERY_TIMEOUT", MYSQL, ANY, Fault::Killed),
    code(3032, "ER_SERVER_OFFLINE_MODE", MYSQL, ANY, Fault::Busy),
    code(3100, "ER_RUN_HOOK_ERROR", MYSQL, ANY, Fault::TooBig),
    code(3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", MYSQL, ANY, Fault::Deadlock),
    code(3140, "ER_INVALID_JSON_TEXT", MYSQL, ANY, Fault::Data),
    code(3141, "ER_INVALID_JSON_TEXT_IN_PARAM", MYSQL, ANY, Fault::Data),
    code(3156, "ER_INVALID_JSON_VALUE_FOR_CAST", MYSQL, ANY, Fault::Data),
    code(3168, "ER_SERVER_ISNT_AVAILABLE", MYSQL, ANY, Fault::Busy),
    code(3169, "ER_SESSION_WAS_KILLED", MYSQL, ANY, Fault::Gone),
    code(3572, "ER_LOCK_NOWAIT", MYSQL, ANY, Fault::LockWait),
    code(3673, "ER_BAD_NULL_ERROR_NOT_IGNORED", MYSQL, ANY, Fault::Data),
    code(3819, "ER_CHECK_CONSTRAINT_VIOLATED", MYSQL, ANY, Fault::Data),
    code(3854, "ER_CANNOT_CONVERT_STRING", MYSQL, ANY, Fault::Data),
    code(
        3955,
        "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK",
        MYSQL,
        ANY,
        Fault::Access,
    ),
    code(3989, "ER_SCHEMA_READ_ONLY", MYSQL, ANY, Fault::Busy),
    code(4025, "ER_CONSTRAINT_FAILED", MARIADB, ANY, Fault::Data),
    code(4031, "ER_CLIENT_INTERACTION_TIMEOUT", MYSQL, ANY, Fault::Gone),
    code(4052, "ER_SLAVE_SAME_ID", MARIADB, ANY, Fault::Displaced),
    code(6136, "ER_DATA_INCOMPATIBLE_WITH_VECTOR", MYSQL, ANY, Fault::Data),
    code(9001, "Max connect timeout reached", PROXIES, ANY, Fault::Busy),
];
