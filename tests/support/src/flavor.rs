//! The kinds of server that the tests run on.

use std::fmt;
use std::str::FromStr;

/// A kind of server: what `scripts/servers` calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavor {
    /// MySQL 9.7.
    Mysql,
    /// MariaDB 10.11.
    MariaDb,
    /// MariaDB 11.8.
    MariaDb11,
}

impl Flavor {
    /// Every one of them, in the order of `make servers`.
    pub const ALL: [Self; 3] = [Self::Mysql, Self::MariaDb, Self::MariaDb11];

    /// The name: of the directory under `target/servers`, and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::MariaDb => "mariadb",
            Self::MariaDb11 => "mariadb11",
        }
    }

    /// Whether this is MariaDB, of whatever version.
    pub fn is_mariadb(self) -> bool {
        self != Self::Mysql
    }

    /// The environment variable that names a server program to use instead of the unpacked one.
    pub(crate) fn override_var(self) -> &'static str {
        match self {
            Self::Mysql => "ONLINE_ALTER_MYSQLD",
            Self::MariaDb => "ONLINE_ALTER_MARIADBD",
            Self::MariaDb11 => "ONLINE_ALTER_MARIADBD11",
        }
    }

    pub(crate) fn program(self) -> &'static str {
        if self.is_mariadb() { "mariadbd" } else { "mysqld" }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Flavor {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|flavor| flavor.name() == name)
            .ok_or_else(|| format!("no server {name:?}: mysql, mariadb or mariadb11"))
    }
}
