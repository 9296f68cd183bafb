//! What may be found.

use std::fmt;
use std::time::Duration;

use crate::error::Leftover;

/// Something on a server that a run has left, or that has the name of such a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remnant {
    /// What it is in a run.
    pub role: Role,
    /// What it is on the server.
    pub leftover: Leftover,
    /// The table that the run was to alter, quoted.
    pub table: String,
    /// How it is known whose it is.
    pub evidence: Evidence,
    /// How old it is by the server's clock: since a table was created, the run's last heartbeat (of the state table and of a
    /// run that is alive), or a statement was begun.
    pub age: Option<Duration>,
    /// The server's estimate of the rows of a table.
    pub rows: Option<u64>,
    /// The bytes that a table's data and indexes take.
    pub bytes: Option<u64>,
    /// Whether it may go.
    pub removal: Removal,
}

/// What something is in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A run that is alive: the connection that holds its named lock.
    Run,
    /// A connection of a run that is dead: the server still executes its last statement, or does not know yet that nobody is
    /// there any more.
    Connection,
    /// Replication that a test on a replica has stopped.
    Replication,
    /// The new table, `_t_gho`.
    Ghost,
    /// The empty table that guards the name of the old one during the cut-over on MariaDB, `_t_del`.
    Sentry,
    /// Foreign keys that the old table still has. Its rows keep the rows that they refer to from being deleted.
    OldForeignKeys,
    /// The table as it was before a swap, `_t_del`.
    OldTable,
    /// The state table, `_t_ghc`.
    State,
}

/// How it is known whose something is, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// The record that the run has made in its state table names it.
    Record,
    /// Its comment is that of such tables of this crate.
    Comment,
    /// It executes a statement such as only a run writes, on a table that the record names.
    StatementText,
    /// It holds the named lock of runs on the table.
    NamedLock,
    /// Nothing but its name, which gh-ost and others use too.
    NameOnly,
}

/// Whether something may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// [`Cleanup::remove`](super::Cleanup::remove) removes it.
    Allowed,
    /// Only if it is [named](super::Cleanup::named), for this reason.
    WhenNamed(String),
    /// Not at all, for this reason.
    Refused(String),
}

/// What was removed, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleaned {
    /// What is gone, in the order in which it went.
    pub removed: Vec<Remnant>,
    /// What is still there: what may not go, or only if it is named.
    pub left: Vec<Remnant>,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Run => "run",
            Role::Connection => "connection",
            Role::Replication => "replication",
            Role::Ghost => "ghost table",
            Role::Sentry => "sentry table",
            Role::OldForeignKeys => "old foreign keys",
            Role::OldTable => "old table",
            Role::State => "state table",
        })
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evidence::Record => "the run's record",
            Evidence::Comment => "its comment",
            Evidence::StatementText => "its text",
            Evidence::NamedLock => "the named lock",
            Evidence::NameOnly => "its name only",
        })
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Removal::Allowed => f.write_str("may go"),
            Removal::WhenNamed(why) => write!(f, "goes only if it is named: {why}"),
            Removal::Refused(why) => write!(f, "stays: {why}"),
        }
    }
}

impl fmt::Display for Remnant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remnant { role, leftover, table, evidence, removal, .. } = self;
        write!(f, "{role} of {table}: {leftover}, known by {evidence}")?;
        if let Some(age) = self.age {
            write!(f, ", {} s old", age.as_secs())?;
        }
        if let Some(bytes) = self.bytes {
            let rows = self.rows.unwrap_or(0);
            write!(f, ", about {rows} rows, {} KiB", bytes.div_ceil(1024))?;
        }
        write!(f, ", {removal}")
    }
}
