//! What was found, and what removes it.

use std::time::Duration;

use super::remnant::{Evidence, Remnant, Removal, Role};
use super::site::Facts;
use crate::error::Leftover;
use crate::inspect::Channel;
use crate::sql::TableName;

/// A remnant, and what removes it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) remnant: Remnant,
    /// The table that the run was to alter.
    pub(super) source: TableName,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Connection(u32),
    Table(TableName),
    ForeignKeys(TableName),
    Replication(String),
}

impl Found {
    pub(super) fn by(mut self, evidence: Evidence) -> Self {
        self.remnant.evidence = evidence;
        self
    }
}

pub(super) fn connection(
    source: &TableName,
    role: Role,
    id: u32,
    age: Option<Duration>,
    removal: Removal,
) -> Found {
    let evidence = if role == Role::Run { Evidence::NamedLock } else { Evidence::StatementText };
    let remnant = Remnant {
        role,
        leftover: Leftover::Connection(id),
        table: source.to_string(),
        evidence,
        age,
        rows: None,
        bytes: None,
        removal,
    };
    Found { remnant, source: source.clone(), what: What::Connection(id) }
}

pub(super) fn replication(source: &TableName, channel: &Channel) -> Found {
    let start = channel.start_sql();
    let remnant = Remnant {
        role: Role::Replication,
        leftover: Leftover::StoppedReplication(start.clone()),
        table: source.to_string(),
        evidence: Evidence::Record,
        age: None,
        rows: None,
        bytes: None,
        removal: Removal::Allowed,
    };
    Found { remnant, source: source.clone(), what: What::Replication(start) }
}

pub(super) fn table(
    source: &TableName,
    facts: &Facts,
    role: Role,
    evidence: Evidence,
    removal: Removal,
    age: Option<Duration>,
) -> Found {
    let remnant = Remnant {
        role,
        leftover: Leftover::Table(facts.name.to_string()),
        table: source.to_string(),
        evidence,
        age,
        rows: Some(facts.rows),
        bytes: Some(facts.bytes),
        removal,
    };
    Found { remnant, source: source.clone(), what: What::Table(facts.name.clone()) }
}

pub(super) fn old_keys(source: &TableName, old: &Facts) -> Found {
    let remnant = Remnant {
        role: Role::OldForeignKeys,
        leftover: Leftover::ForeignKeys(old.name.to_string()),
        table: source.to_string(),
        evidence: Evidence::Record,
        age: None,
        rows: None,
        bytes: None,
        removal: Removal::Allowed,
    };
    Found { remnant, source: source.clone(), what: What::ForeignKeys(old.name.clone()) }
}
