//! What an error of the server or the connection means for whoever got it. One table, in one
//! place: every decision to retry, to split or to give up is made from these.

/// The consequence of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The transaction was rolled back as the victim of a deadlock.
    Deadlock,
    /// A lock was not to be had in time, or (NOWAIT) at once: a row's or a table's.
    LockWait,
    /// A unique key refused a row.
    Duplicate,
    /// A value does not fit the column.
    Data,
    /// The statement or the transaction is too big for some limit of the server.
    TooBig,
    /// The statement was killed, or ran into a time limit.
    Killed,
    /// The connection is gone, and with it the answer: the statement may have been carried out.
    Gone,
    /// The server does not take writes, or no more connections, for now.
    Busy,
    /// The server's disk or tablespace is full.
    DiskFull,
    /// User, password or privilege.
    Access,
    /// No such table or schema.
    NoSuchTable,
    /// Anything else: trying again would not help.
    Other,
}

impl Fault {
    /// By the server's error number. The numbers are documented in
    /// <https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html> and
    /// <https://mariadb.com/kb/en/mariadb-error-codes/>; those up to 1900 mean the same on both.
    pub(crate) fn of_code(code: u16) -> Self {
        match code {
            // ER_LOCK_DEADLOCK, ER_XA_RBDEADLOCK, ER_CHECKREAD (MariaDB 11: the row has changed since the
            // statement's snapshot, and the transaction was rolled back)
            1213 | 1614 | 1020 => Fault::Deadlock,
            // ER_LOCK_WAIT_TIMEOUT (rows and metadata; NOWAIT too on MariaDB), ER_LOCK_NOWAIT
            1205 | 3572 => Fault::LockWait,
            // ER_DUP_KEY, ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME, ER_FOREIGN_DUPLICATE_KEY
            1022 | 1062 | 1586 | 1557 | 1761 | 1762 => Fault::Duplicate,
            // ER_BAD_NULL_ERROR, WARN_DATA_OUT_OF_RANGE, WARN_DATA_TRUNCATED,
            // ER_TRUNCATED_WRONG_VALUE, ER_NO_DEFAULT_FOR_FIELD, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD,
            // ER_ILLEGAL_VALUE_FOR_TYPE, ER_DATA_TOO_LONG, ER_WRONG_VALUE_FOR_TYPE,
            // ER_INVALID_CHARACTER_STRING, ER_CANNOT_CONVERT_CHARACTER, ER_DATA_OUT_OF_RANGE,
            // ER_NO_PARTITION_FOR_GIVEN_VALUE, ER_INVALID_JSON_*, ER_CHECK_CONSTRAINT_VIOLATED
            // (3819 MySQL, 4025 MariaDB), ER_CANNOT_CONVERT_STRING, ER_INVALID_USE_OF_NULL,
            // ER_CANT_CREATE_GEOMETRY_OBJECT, ER_BAD_NULL_ERROR_NOT_IGNORED (MySQL),
            // ER_DIVISION_BY_ZERO, ER_DATETIME_FUNCTION_OVERFLOW,
            // ER_TO_VECTOR_CONVERSION (MySQL)
            1048 | 1264 | 1265 | 1292 | 1364 | 1366 | 1367 | 1406 | 1411 | 1300 | 1977 | 1690
            | 1526 | 3140 | 3141 | 3156 | 3819 | 4025 | 3854 | 1138 | 1416 | 3673 | 1365 | 1441
            | 6136 => Fault::Data,
            // ER_TOO_BIG_ROWSIZE (MySQL: blobs that are too big for the redo log),
            // ER_NET_PACKET_TOO_LARGE, ER_TRANS_CACHE_FULL, ER_LOCK_TABLE_FULL,
            // ER_STMT_CACHE_FULL, ER_TRANSACTION_ROLLBACK_DURING_COMMIT (group replication's limit)
            1118 | 1153 | 1197 | 1206 | 1705 | 3101 => Fault::TooBig,
            // ER_QUERY_INTERRUPTED, ER_STATEMENT_TIMEOUT (MariaDB), ER_QUERY_TIMEOUT (MySQL)
            1317 | 1969 | 3024 => Fault::Killed,
            // ER_SERVER_SHUTDOWN, ER_NET_*, ER_CONNECTION_KILLED (MariaDB), CR_SERVER_GONE_ERROR,
            // CR_SERVER_LOST, ER_CLIENT_INTERACTION_TIMEOUT
            1053 | 1158..=1161 | 1927 | 2006 | 2013 | 4031 => Fault::Gone,
            // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED,
            // ER_OPTION_PREVENTS_STATEMENT (read_only), ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
            // ER_READ_ONLY_MODE
            1040 | 1203 | 1226 | 1290 | 1792 | 1836 => Fault::Busy,
            // ER_DISK_FULL, ER_RECORD_FILE_FULL, ER_ENGINE_OUT_OF_MEMORY is not one of them
            1021 | 1114 => Fault::DiskFull,
            // ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR,
            // ER_COLUMNACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR,
            // ER_PROCACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR
            1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 => Fault::Access,
            // ER_BAD_DB_ERROR, ER_BAD_TABLE_ERROR, ER_NO_SUCH_TABLE
            1049 | 1051 | 1146 => Fault::NoSuchTable,
            _ => Fault::Other,
        }
    }

    /// Whether the same statement may well succeed when it is sent again, provided that sending it
    /// twice is harmless.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Fault::Deadlock | Fault::LockWait | Fault::Gone | Fault::Busy)
    }
}
