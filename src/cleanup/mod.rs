//! What runs that died have left on a server: listing it, and taking it away.
//!
//! [`site`] asks the server, [`look`] decides what of it is a run's and may go, [`remove`] takes that away.

mod found;
mod look;
mod remnant;
mod remove;
mod site;

use std::fmt;

pub use self::remnant::{Cleaned, Evidence, Remnant, Removal, Role};
use self::site::Site;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Ident;

/// Finds what runs that died have left on a server, and takes it away.
///
/// A run that fails tidies up by itself; one whose program is killed cannot. What it leaves then is listed by
/// [`Cleanup::list`], which changes nothing, and taken away by [`Cleanup::remove`]: the ghost table, the
/// state table, the table that guards the name of the old one during the cut-over on MariaDB, foreign keys that the old table
/// still has, connections of the run that the server still has, and replication that a test on a replica has stopped.
/// Everything else of a run (locks, transactions, temporary tables) goes with its connections.
///
/// A run that died can be [gone on with](crate::OnlineAlter::resume) as long as its tables are there: what is removed cannot.
///
/// What is not known to be a run's is never touched, nor is the table itself. The old table of a swap
/// (`_t_del`) goes only if it is [named](Cleanup::named).
///
/// ```no_run
/// # fn main() -> online_alter::Result<()> {
/// let server = "mysql://dba:secret@db1:3306/app";
/// for remnant in online_alter::cleanup(server).list()? {
///     println!("{remnant}");
/// }
/// // Of one table, and the old table with it.
/// let cleaned = online_alter::cleanup(server).table("orders").named("_orders_del").remove()?;
/// println!("{cleaned}");
/// # Ok(())
/// # }
/// ```
pub fn cleanup(server: impl Into<Endpoint>) -> Cleanup {
    Cleanup { endpoint: server.into(), schema: None, table: None, named: Vec::new() }
}

/// What is to be looked for, and what of it may go: see [`cleanup`].
#[must_use = "nothing happens before `list` or `remove`"]
#[derive(Debug)]
pub struct Cleanup {
    endpoint: Endpoint,
    schema: Option<String>,
    table: Option<String>,
    named: Vec<String>,
}

impl Cleanup {
    /// The schema. Default: the one of the URL.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Only what runs on this table have left; its name, not the ghost's. Default: all tables of the schema.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// Lets a table go that [goes only if it is named](Removal::WhenNamed), such as the old table of a swap: by its own
    /// name, without the schema. To be called once for each. It does not help what is [refused](Removal::Refused).
    pub fn named(mut self, table: impl Into<String>) -> Self {
        self.named.push(table.into());
        self
    }

    /// What is there, in the order in which it would be removed, table by table. Changes nothing, and may be asked for while
    /// runs are alive. It needs SELECT on the schema; of statements that are still executed it sees the user's own, or all
    /// with PROCESS.
    ///
    /// Errors: [`ErrorKind::Connection`], [`ErrorKind::AccessDenied`], [`ErrorKind::Privileges`], [`ErrorKind::Config`].
    pub fn list(&self) -> Result<Vec<Remnant>> {
        let mut site = self.open(&["SELECT"])?;
        Ok(site.look(&self.named)?.into_iter().map(|found| found.remnant).collect())
    }

    /// Takes away what may go.
    ///
    /// Of each table, while the named lock of its runs is held, so that none can begin: first its connections that are still there
    /// are ended, and their end is waited for; then the ghost is dropped, then the guard of the old table's name; the state
    /// table, by which the others are known, goes last. If it dies in between, it can be called
    /// again. Drops are plain `DROP TABLE`s: that of a huge table can be felt on some file systems.
    ///
    /// It needs SELECT and DROP on the schema, ALTER where the old table has foreign keys, and the privilege to end connections of
    /// other users if the run's user was another.
    ///
    /// Errors: those of [`list`](Self::list); [`ErrorKind::AlreadyRunning`] if a run on the [table](Self::table) is alive (in a
    /// whole schema such tables are [left](Cleaned::left)); any error of the server, with what is left in
    /// [`Error::leftovers`]: what was removed before it stays so.
    pub fn remove(&self) -> Result<Cleaned> {
        let mut site = self.open(&["SELECT", "DROP"])?;
        site.remove(&self.named)
    }

    fn open(&self, privileges: &[&'static str]) -> Result<Site> {
        let opts = self.endpoint.opts()?;
        let schema = self.schema.as_deref().or(opts.get_db_name()).ok_or_else(|| {
            Error::new(ErrorKind::Config, "no schema is given, neither by the URL nor by itself")
        })?;
        let schema = Ident::parse("schema", schema)?;
        let table = self.table.as_deref().map(|table| Ident::parse("table", table)).transpose()?;
        Site::open(opts.clone(), schema, table, privileges)
    }
}

/// As a list for people.
impl fmt::Display for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.removed.is_empty() && self.left.is_empty() {
            return f.write_str("there is nothing to clean up");
        }
        let removed = self.removed.iter().map(|remnant| ("removed", remnant));
        let left = self.left.iter().map(|remnant| ("left", remnant));
        for (at, (what, remnant)) in removed.chain(left).enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}{what}: {remnant}")?;
        }
        Ok(())
    }
}
