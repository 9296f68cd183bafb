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
    /// Of a run on `source`, as its record says.
    fn new(source: &TableName, role: Role, what: What) -> Self {
        let leftover = match &what {
            What::Connection(id) => Leftover::Connection(*id),
            What::Table(name) => Leftover::Table(name.to_string()),
            What::ForeignKeys(name) => Leftover::ForeignKeys(name.to_string()),
            What::Replication(start) => Leftover::StoppedReplication(start.clone()),
        };
        let remnant = Remnant {
            role,
            leftover,
            table: source.to_string(),
            evidence: Evidence::Record,
            age: None,
            rows: None,
            bytes: None,
            removal: Removal::Allowed,
        };
        Found { remnant, source: source.clone(), what }
    }

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
    let mut found = Found::new(source, role, What::Connection(id)).by(evidence);
    (found.remnant.age, found.remnant.removal) = (age, removal);
    found
}

pub(super) fn replication(source: &TableName, channel: &Channel) -> Found {
    Found::new(source, Role::Replication, What::Replication(channel.start_sql()))
}

pub(super) fn table(
    source: &TableName,
    facts: &Facts,
    role: Role,
    evidence: Evidence,
    removal: Removal,
    age: Option<Duration>,
) -> Found {
    let mut found = Found::new(source, role, What::Table(facts.name.clone())).by(evidence);
    (found.remnant.age, found.remnant.removal) = (age, removal);
    (found.remnant.rows, found.remnant.bytes) = (Some(facts.rows), Some(facts.bytes));
    found
}

pub(super) fn old_keys(source: &TableName, old: &Facts) -> Found {
    Found::new(source, Role::OldForeignKeys, What::ForeignKeys(old.name.clone()))
}
