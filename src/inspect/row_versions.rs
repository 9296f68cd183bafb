//! How often columns were added to a table and dropped from it instantly: MySQL counts it, and has a limit.

use std::fmt::Write as _;

use super::{ServerInfo, Version};
use crate::db::{Flavor, Session};
use crate::sql::{TableName, literal};

/// The row versions of a table, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowVersions {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

impl RowVersions {
    /// As far as the server tells: only MySQL from 8.0.29 on, and only to a user with PROCESS. Of a partitioned table, those
    /// of the partition that has most. <https://dev.mysql.com/doc/refman/9.7/en/innodb-online-ddl-operations.html>
    pub(crate) fn read(
        session: &mut Session,
        server: &ServerInfo,
        name: &TableName,
    ) -> Option<Self> {
        if server.flavor != Flavor::MySql || server.version < Version(8, 0, 29) {
            return None;
        }
        let own = format!("{}/{}", encoded(name.schema.as_str())?, encoded(name.table.as_str())?);
        let of_partition = format!("{own}#p#");
        let sql = format!(
            "SELECT NAME, TOTAL_ROW_VERSIONS FROM information_schema.INNODB_TABLES WHERE NAME = {} OR LEFT(NAME, {}) = {}",
            literal::text(&own),
            of_partition.len(),
            literal::text(&of_partition),
        );
        let rows = session.rows(&sql).ok()?;
        let now = rows.into_iter().filter_map(|row| {
            let mut values = row.into_iter().flatten();
            let (name, versions) = (values.next()?, values.next()?);
            // The server may not tell letters' cases apart.
            (name == own || name.starts_with(&of_partition)).then(|| versions.parse().ok())?
        });
        Some(RowVersions { now: now.max()?, most: Self::most(server.version) })
    }

    fn most(version: Version) -> u64 {
        if version >= Version(9, 1, 0) { 255 } else { 64 }
    }

    /// Whether no column can be added or dropped instantly any more.
    pub(crate) fn are_used_up(self) -> bool {
        self.now >= self.most
    }
}

/// A name as InnoDB writes it. None if that is more complicated.
fn encoded(name: &str) -> Option<String> {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '_' | '0'..='9' | 'a'..='z' | 'A'..='Z' => out.push(c),
            c if c.is_ascii() => write!(out, "@{:04x}", u32::from(c)).ok()?,
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_innodb_writes_them() {
        assert_eq!(encoded("T_1").as_deref(), Some("T_1"));
        assert_eq!(encoded("a-b$").as_deref(), Some("a@002db@0024"));
        assert_eq!(encoded("caf\u{e9}"), None);
    }

    #[test]
    fn the_limit_was_raised() {
        let most = |minor| RowVersions::most(Version(9, minor, 0));
        assert_eq!((RowVersions::most(Version(8, 4, 9)), most(0), most(1)), (64, 64, 255));
        let used_up = |now| RowVersions { now, most: 64 }.are_used_up();
        assert_eq!((used_up(63), used_up(64)), (false, true));
    }
}
