//! Names of tables and columns, and the names that a run derives from a table's.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The longest name of a table or column, in characters.
/// <https://dev.mysql.com/doc/refman/9.7/en/identifier-length.html>
pub(crate) const MAX_CHARS: usize = 64;

/// A name as the server knows it; `Display` quotes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Ident(String);

impl Ident {
    /// For names that came from the server itself.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Ident(name.into())
    }

    /// For names that came from the caller.
    pub(crate) fn parse(what: &str, name: &str) -> Result<Self> {
        let refuse = |why: String| Err(Error::new(ErrorKind::Config, why));
        let chars = name.chars().count();
        if name.is_empty() {
            return refuse(format!("the {what} name is empty"));
        }
        if chars > MAX_CHARS {
            return refuse(format!(
                "the {what} name is too long: {chars} characters, and the servers allow {MAX_CHARS}"
            ));
        }
        // Names are kept in three-byte UTF-8.
        if name.chars().any(|c| c > '\u{ffff}') {
            return refuse(format!("the {what} name has characters beyond U+FFFF"));
        }
        if name.contains('\0') {
            return refuse(format!("the {what} name contains a NUL character"));
        }
        if name.ends_with(' ') {
            return refuse(format!("the {what} name ends with a space, which the servers refuse"));
        }
        Ok(Ident(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Column names are case-insensitive on both servers.
    pub(crate) fn is_column(&self, other: &str) -> bool {
        same_column(&self.0, other)
    }
}

/// Whether two column names are the same to the server.
pub(crate) fn same_column(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        for c in self.0.chars() {
            if c == '`' {
                f.write_char('`')?;
            }
            f.write_char(c)?;
        }
        f.write_char('`')
    }
}

/// A table with its schema; `Display` quotes both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TableName {
    pub(crate) schema: Ident,
    pub(crate) table: Ident,
}

impl TableName {
    pub(crate) fn new(schema: Ident, table: Ident) -> Self {
        TableName { schema, table }
    }

    /// `_t_gho`: the ghost table. The three names are gh-ost's, which users' replication filters,
    /// backups and monitoring know.
    pub(crate) fn ghost(&self) -> Self {
        self.derived("gho")
    }

    /// `_t_ghc`: the state table.
    pub(crate) fn state(&self) -> Self {
        self.derived("ghc")
    }

    /// `_t_del`: the old table after the swap.
    pub(crate) fn old(&self) -> Self {
        self.derived("del")
    }

    /// What the names of a run's tables have in common: the table's own, or what a long one is shortened to. Two tables for
    /// which it is the same cannot be altered at once.
    pub(crate) fn base(&self) -> String {
        /// For a suffix and the underscores.
        const ROOM: usize = MAX_CHARS - "_gho".len() - "_".len();
        let name = self.table.as_str();
        if name.chars().count() <= ROOM {
            return name.to_owned();
        }
        // Two long names with a common beginning must not share their ghost.
        let head: String = name.chars().take(ROOM - 9).collect();
        format!("{head}_{:08x}", fnv1a(name.as_bytes()))
    }

    fn derived(&self, suffix: &str) -> Self {
        let name = format!("_{}_{suffix}", self.base());
        TableName { schema: self.schema.clone(), table: Ident(name) }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// FNV-1a: a hash that stays the same over versions of Rust, as names on a server must.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(table: &str) -> TableName {
        TableName::new(Ident::new("db"), Ident::new(table))
    }

    #[test]
    fn quotes_by_doubling() {
        assert_eq!(Ident::new("a`b").to_string(), "`a``b`");
        assert_eq!(name("x.y").to_string(), "`db`.`x.y`");
    }

    #[test]
    fn derives_the_names_users_know() {
        assert_eq!(name("t").ghost().table.as_str(), "_t_gho");
        assert_eq!(name("t").state().table.as_str(), "_t_ghc");
        assert_eq!(name("t").old().table.as_str(), "_t_del");
    }

    #[test]
    fn long_names_are_shortened_to_64_and_stay_apart() {
        let (a, b) = (name(&format!("{}a", "x".repeat(63))), name(&format!("{}b", "x".repeat(63))));
        assert_eq!(a.ghost().table.as_str().chars().count(), 64);
        assert_ne!(a.ghost(), b.ghost());
        assert_eq!(a.ghost(), a.ghost());
        assert_eq!(name(&"\u{e9}".repeat(64)).old().table.as_str().chars().count(), 64);
        assert_eq!(
            name(&"x".repeat(59)).ghost().table.as_str(),
            format!("_{}_gho", "x".repeat(59))
        );
    }

    #[test]
    fn refuses_names_no_server_takes() {
        for bad in ["", "a\0b", "a ", "\u{1f600}", &"x".repeat(65)] {
            let error = Ident::parse("table", bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad:?}");
        }
        assert!(Ident::parse("table", &"\u{e9}".repeat(64)).is_ok());
    }
}
