//! Finding what of what is there is a run's, and deciding what of it may go.

use super::found::{Found, connection, old_keys, replication, table};
use super::remnant::{Evidence, Removal, Role};
use super::site::{Facts, Site};
use crate::checkpoint::{self, Saved, StateTable};
use crate::cutover::SENTRY_COMMENT;
use crate::error::Result;
use crate::fault::Fault;
use crate::inspect::ServerInfo;
use crate::inspect::table::Definition;
use crate::migration::{guard, record};
use crate::sql::{Ident, TableName};

/// The tables that have the names which a run on `source` uses.
struct Group<'a> {
    source: TableName,
    /// Whether it is there.
    exists: bool,
    ghost: Option<&'a Facts>,
    state: Option<&'a Facts>,
    old: Option<&'a Facts>,
}

/// What the state table says.
#[derive(Debug, PartialEq, Eq)]
enum Record {
    /// There is none, or it is not one of ours.
    None,
    /// It is ours, and the run died before it wrote down what it was going to create.
    Empty,
    /// It is ours, and of this table.
    Of(String),
    /// It says that it is another table's: renamed, copied, restored elsewhere.
    OfAnother,
}

impl Site {
    /// All that is there, each table's in the order in which it may go.
    pub(super) fn look(&mut self, named: &[String]) -> Result<Vec<Found>> {
        let all = self.tables()?;
        let mut found = Vec::new();
        for source in self.sources(&all)? {
            let group = self.group(source, &all);
            self.look_at(&group, named, &mut found)?;
        }
        Ok(found)
    }

    /// The tables of which runs may have left something.
    fn sources(&mut self, all: &[Facts]) -> Result<Vec<TableName>> {
        if let Some(table) = &self.table {
            return Ok(vec![TableName::new(self.schema.clone(), table.clone())]);
        }
        let mut sources: Vec<TableName> = Vec::new();
        let there =
            |name: &TableName| all.iter().any(|facts| self.server.same_table(&facts.name, name));
        for facts in all {
            let name = &facts.name;
            if [name.ghost(), name.state(), name.old()].iter().any(there) {
                sources.push(name.clone());
            }
        }
        // Those that are gone: by what a state table says, or by the name alone.
        for facts in all {
            let recorded = if facts.comment == checkpoint::COMMENT {
                let body = StateTable::read_record(&mut self.session, &facts.name)?;
                body.and_then(|body| record::recorded_table(&body))
                    .filter(|source| self.server.same_table(&source.state(), &facts.name))
            } else {
                None
            };
            let source = recorded.or_else(|| named_after(&facts.name));
            if let Some(source) = source
                && !sources.iter().any(|known| derive_same(&self.server, known, &source))
            {
                sources.push(source);
            }
        }
        Ok(sources)
    }

    fn group<'a>(&self, source: TableName, all: &'a [Facts]) -> Group<'a> {
        let find = |name: TableName| all.iter().find(|f| self.server.same_table(&f.name, &name));
        Group {
            exists: find(source.clone()).is_some(),
            ghost: find(source.ghost()),
            state: find(source.state()),
            old: find(source.old()),
            source,
        }
    }

    fn look_at(
        &mut self,
        group: &Group<'_>,
        named: &[String],
        found: &mut Vec<Found>,
    ) -> Result<()> {
        let source = &group.source;
        let record = self.record(group)?;
        let holder = guard::holder(&mut self.session, source)?.filter(|id| Some(*id) != self.held);
        let body = if let Record::Of(body) = &record { Some(body.as_str()) } else { None };
        let heartbeat = match (&record, group.state) {
            (Record::Of(_) | Record::Empty, Some(state)) => self.last_heartbeat(&state.name)?,
            _ => None,
        };
        let first = found.len();
        if let Some(id) = holder {
            let why = format!(
                "a run on {source} is under way; if its program is gone for good, KILL {id} first"
            );
            found.push(connection(source, Role::Run, id, heartbeat, Removal::Refused(why)));
        }
        if let (Some(body), Some(state)) = (body, group.state) {
            if holder.is_none() {
                for (id, evidence, age) in self.connections(source, &state.name)? {
                    let found_one = connection(source, Role::Connection, id, age, Removal::Allowed);
                    found.push(found_one.by(evidence));
                }
            }
            for channel in self.stopped_channels(body)? {
                found.push(replication(source, &channel));
            }
        }
        // What comes behind the swap is done, or not known to be.
        let proven = match (body, group.state) {
            (Some(_), Some(state)) => {
                StateTable::saved(&mut self.session, &state.name, Saved::Proven)?.is_some()
            }
            _ => false,
        };
        let mut add = |facts: &Facts, role, evidence, removal, age| {
            let removal = self.settled(facts, group.exists, removal, named);
            found.push(table(source, facts, role, evidence, removal, age));
        };
        let is_sentry = |old: &Facts| old.comment == SENTRY_COMMENT;
        let swapped =
            body.is_some() && group.ghost.is_none() && group.old.is_some_and(|old| !is_sentry(old));
        if let Some(ghost) = group.ghost {
            let (evidence, removal) = match &record {
                Record::Of(_) => (Evidence::Record, Removal::Allowed),
                other => (Evidence::NameOnly, Removal::Refused(unknown(other))),
            };
            add(ghost, Role::Ghost, evidence, removal, ghost.age);
        }
        let mut keys_of = None;
        if let Some(old) = group.old {
            if is_sentry(old) {
                add(old, Role::Sentry, Evidence::Comment, Removal::Allowed, old.age);
            } else {
                if swapped {
                    keys_of = Some(old);
                }
                let evidence = if swapped { Evidence::Record } else { Evidence::NameOnly };
                let why = if swapped {
                    "it has the rows from before the swap"
                } else {
                    "it may have the rows from before a swap, or be somebody else's"
                };
                add(old, Role::OldTable, evidence, Removal::WhenNamed(why.to_owned()), old.age);
            }
        }
        if let Some(state) = group.state {
            let (evidence, removal) = match &record {
                Record::Of(_) if swapped && !proven => (
                    Evidence::Record,
                    Removal::WhenNamed(
                        "the tables are swapped, and it is not proven yet that nothing was missed: the run can be gone on with \
                         (resume), and without this it cannot"
                            .to_owned(),
                    ),
                ),
                Record::Of(_) => (Evidence::Record, Removal::Allowed),
                Record::Empty => (Evidence::Comment, Removal::Allowed),
                other => (Evidence::NameOnly, Removal::Refused(unknown(other))),
            };
            add(state, Role::State, evidence, removal, heartbeat.or(state.age));
        }
        if let Some(old) = keys_of.filter(|old| old.is_base)
            && !Definition::read(&mut self.session, &old.name)?.foreign_keys().is_empty()
        {
            let at = found.iter().position(|found| found.remnant.role == Role::OldTable);
            found.insert(at.unwrap_or(found.len()), old_keys(source, old));
        }
        if holder.is_some() {
            let why = format!("a run on {source} is under way");
            for found in found.iter_mut().skip(first).filter(|f| f.remnant.role != Role::Run) {
                found.remnant.removal = Removal::Refused(why.clone());
            }
        }
        Ok(())
    }

    /// What becomes of a table for which nothing worse is known than `removal`.
    fn settled(
        &self,
        facts: &Facts,
        source_exists: bool,
        removal: Removal,
        named: &[String],
    ) -> Removal {
        let name = TableName::new(self.schema.clone(), facts.name.table.clone());
        let is_named = |named: &String| {
            let named = TableName::new(self.schema.clone(), Ident::new(named.as_str()));
            self.server.same_table(&named, &name)
        };
        match removal {
            Removal::Refused(_) => removal,
            _ if !facts.is_base => Removal::Refused("it is not a base table".to_owned()),
            _ if !source_exists => Removal::Refused(
                "the table itself is not there, so that this may be all that there is of it"
                    .to_owned(),
            ),
            Removal::WhenNamed(_) if named.iter().any(is_named) => Removal::Allowed,
            other => other,
        }
    }

    fn record(&mut self, group: &Group<'_>) -> Result<Record> {
        let Some(state) = group.state.filter(|s| s.is_base && s.comment == checkpoint::COMMENT)
        else {
            return Ok(Record::None);
        };
        let body = match StateTable::read_record(&mut self.session, &state.name) {
            // Dropped just now.
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => return Ok(Record::None),
            other => other?,
        };
        let Some(body) = body else { return Ok(Record::Empty) };
        let is_of = record::is_of(&self.server, &body, &group.source);
        Ok(if is_of { Record::Of(body) } else { Record::OfAnother })
    }
}

fn unknown(record: &Record) -> String {
    match record {
        Record::OfAnother => "its record is another table's: it was copied, or restored here",
        _ => "it is not known to be of a run of this crate; gh-ost uses the same name",
    }
    .to_owned()
}

/// The table that one is named after, as far as its name tells: long names are shortened.
fn named_after(name: &TableName) -> Option<TableName> {
    let inner = name.table.as_str().strip_prefix('_')?;
    let base = ["_gho", "_ghc", "_del"].iter().find_map(|end| inner.strip_suffix(end))?;
    let source = TableName::new(name.schema.clone(), Ident::new(base));
    (!base.is_empty()).then_some(source)
}

/// Whether runs on both would use the same names.
fn derive_same(server: &ServerInfo, a: &TableName, b: &TableName) -> bool {
    server.same_table(&a.ghost(), &b.ghost())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, table: &str) -> TableName {
        TableName::new(Ident::new(schema), Ident::new(table))
    }

    #[test]
    fn what_a_name_tells() {
        assert_eq!(named_after(&name("s", "_t_del")), Some(name("s", "t")));
        for other in ["t_del", "_t_old", "__del", "_del"] {
            assert_eq!(named_after(&name("s", other)), None, "{other}");
        }
    }
}
