//! Whether a replica could go on applying the rows of its source to a table that is altered on the replica alone.

use super::column::Column;
use super::server::ServerInfo;
use super::table::Table;
use crate::db::{Connector, Purpose, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::alter::AlterClause;

impl ServerInfo {
    /// Whether the primary writes statements to its binlog, as far as it can be asked.
    fn source_writes_statements(&self, session: &mut Session, connector: &Connector) -> bool {
        let mut ask = || -> Result<bool> {
            let mut all = true;
            for channel in self.channels(session)? {
                let source = connector.at(&channel.source_host, channel.source_port);
                let mut session = Session::open_plain(&Connector::new(&source.opts()?)?)?;
                let source = ServerInfo::read(&mut session)?;
                all &= source.binlog_format == "STATEMENT";
            }
            Ok(all)
        };
        ask().unwrap_or(false)
    }

    /// Refuses a new definition to which the replica could not apply the rows that its source logs: they have no names
    /// of columns.
    /// <https://dev.mysql.com/doc/refman/9.7/en/replication-features-differing-tables.html>
    pub(crate) fn check_applies_rows(
        &self,
        connector: &Connector,
        old: &Table,
        new: &Table,
        clause: &AlterClause,
    ) -> Result<()> {
        let Some(why) = self.why_not_applied(old, new, clause) else {
            return Ok(());
        };
        let mut session = Session::open(connector, self.flavor, Purpose::Inspect)?;
        if self.source_writes_statements(&mut session, connector) {
            return Ok(());
        }
        let why = format!(
            "replication would stop at the first row that comes to the altered table: {why}. Test it instead, or see \
             to it that its source writes statements"
        );
        Err(Error::new(ErrorKind::Alter, why))
    }

    fn why_not_applied(&self, old: &Table, new: &Table, clause: &AlterClause) -> Option<String> {
        let names = ["replica_type_conversions", "slave_type_conversions"];
        let converts = names.iter().find_map(|name| self.variable(name)).unwrap_or_default();
        let converts = converts.to_ascii_uppercase().contains("ALL_NON_LOSSY");
        let mapped = clause.map_columns(old.columns.iter().map(|column| &column.name));
        for (place, column) in old.columns.iter().enumerate() {
            let Some(there) = new.columns.get(place) else {
                // Columns behind the last one are passed over.
                return None;
            };
            let name = &column.name;
            let same = mapped.iter().any(|(from, to)| from == name && *to == there.name);
            if !same {
                return Some(format!(
                    "{name} would not stand in its place, which is that of {}",
                    there.name
                ));
            }
            if column.charset != there.charset {
                return Some(format!("{name} has another character set"));
            }
            let (from, to) = (&column.column_type, &there.column_type);
            if from == to {
                continue;
            }
            if !widens(column, there) {
                return Some(format!(
                    "{name} is {from} there and would be {to} here, which no replica converts"
                ));
            }
            if !converts {
                return Some(format!(
                    "{name} is {from} there and would be {to} here, and replica_type_conversions (or \
                     slave_type_conversions) has no ALL_NON_LOSSY"
                ));
            }
        }
        None
    }
}

/// Whether a replica with ALL_NON_LOSSY takes the one for the other. Members of ENUM and SET come as their numbers: in a list
/// that did more than grow they would be other members.
fn widens(old: &Column, new: &Column) -> bool {
    let (from, to) = (old.data_type.as_str(), new.data_type.as_str());
    let wider = |kinds: &[&str]| {
        let rank = |kind: &str| kinds.iter().position(|k| *k == kind);
        rank(from).zip(rank(to)).is_some_and(|(from, to)| from <= to)
    };
    let longer = || old.octets.zip(new.octets).is_some_and(|(from, to)| from <= to);
    match from {
        "enum" | "set" => {
            let before = old.column_type.trim_end_matches(')');
            from == to && new.column_type.starts_with(&format!("{before},"))
        }
        "decimal" => {
            let digits = |column: &Column| {
                column.precision.zip(column.scale).map(|(all, behind)| (all - behind, behind))
            };
            let digits = digits(old).zip(digits(new));
            from == to && digits.is_some_and(|(from, to)| from.0 <= to.0 && from.1 <= to.1)
        }
        "char" | "varchar" => ["char", "varchar"].contains(&to) && longer(),
        "binary" | "varbinary" => from == to && longer(),
        _ => {
            wider(&["tinyint", "smallint", "mediumint", "int", "bigint"])
                || wider(&["float", "double"])
                || wider(&["tinytext", "text", "mediumtext", "longtext"])
                || wider(&["tinyblob", "blob", "mediumblob", "longblob"])
        }
    }
}
