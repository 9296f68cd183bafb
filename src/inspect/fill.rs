//! What rows that are there get in a column that is new, where it has to be said: the server's own
//! ALTER fills a NOT NULL column without a DEFAULT with the zero of its type, and one whose DEFAULT
//! is the time with that of the ALTER.

use super::column::Column;
use crate::db::{Flavor, Session, missing};
use crate::error::Result;
use crate::sql::literal;

/// The time of the ALTER, as its session tells it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    local: String,
    epoch: String,
}

impl Clock {
    /// In the zone of the session.
    pub(crate) fn read(session: &mut Session) -> Result<Self> {
        // Not UNIX_TIMESTAMP(NOW(6)), which is ambiguous when the clocks are put back.
        let sql = "SELECT NOW(6), CONCAT(UNIX_TIMESTAMP(), '.', LPAD(MICROSECOND(NOW(6)), 6, '0'))";
        let row = session.rows(sql)?.into_iter().next();
        let mut values = row.unwrap_or_default().into_iter().flatten();
        match (values.next(), values.next()) {
            (Some(local), Some(epoch)) => Ok(Clock { local, epoch }),
            _ => Err(missing("what time it is")),
        }
    }

    /// The time as the server stores `CURRENT_TIMESTAMP(fsp)`: cut off, not rounded.
    fn literal(&self, column: &Column) -> String {
        let cut = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let fraction: String = fraction.chars().take(column.fsp.into()).collect();
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        };
        if column.is_timestamp() {
            // An instant, whatever the zone of the session that moves rows.
            format!("FROM_UNIXTIME({})", cut(&self.epoch))
        } else {
            literal::text(&cut(&self.local))
        }
    }
}

/// The expression whose value a new column gets, if it has to be said. The server refuses `NULL` for
/// those types that have no zero.
pub(crate) fn expression(column: &Column, flavor: Flavor, clock: &Clock) -> Option<String> {
    if column.generated || column.auto_increment {
        return None;
    }
    if column.has_default {
        return is_now(&column.default).then(|| clock.literal(column));
    }
    if column.nullable {
        return None;
    }
    let zero = match column.data_type.as_str() {
        "date" | "datetime" | "timestamp" => "'0000-00-00'",
        // The first member.
        "enum" => "1",
        "char" | "varchar" | "binary" | "varbinary" | "set" | "tinytext" | "text"
        | "mediumtext" | "longtext" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "''",
        "json" => "'null'",
        "uuid" if flavor == Flavor::MariaDb => "'00000000-0000-0000-0000-000000000000'",
        "inet6" if flavor == Flavor::MariaDb => "'::'",
        "inet4" if flavor == Flavor::MariaDb => "'0.0.0.0'",
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float"
        | "double" | "bit" | "year" | "time" => "0",
        // The server's own ALTER refuses geometries (MySQL) or makes values that are none.
        _ => "NULL",
    };
    Some(zero.to_owned())
}

/// `CURRENT_TIMESTAMP(3)`, and nothing around it.
fn is_now(default: &str) -> bool {
    let default = default.to_ascii_lowercase();
    let rest = default.strip_prefix("current_timestamp").or(default.strip_prefix("now("));
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'(' || b == b')'))
}

/// Whether a default may tell the time, or speak about one. Rather too often.
pub(crate) fn default_tells_time(column: &Column) -> bool {
    let default = column.default.to_ascii_lowercase();
    default.contains('(')
        && ["now", "time", "date", "curr", "zone", "utc"].iter().any(|word| default.contains(word))
}

#[cfg(test)]
mod tests {
    use super::is_now;

    #[test]
    fn knows_the_time_when_it_is_alone() {
        for now in ["CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP(6)", "current_timestamp()", "now()"] {
            assert!(is_now(now), "{now}");
        }
        for other in
            ["(now() + interval 1 day)", "'now'", "current_timestamp() + 1", "", "curdate()"]
        {
            assert!(!is_now(other), "{other}");
        }
    }
}
