//! Finding what is there, and deciding what of it may go.

use std::time::Duration;

use mysql::Opts;

use super::remnant::{Evidence, Remnant, Removal, Role};
use crate::checkpoint::{self, Saved, StateTable};
use crate::cutover::SENTRY_COMMENT;
use crate::db::{Connector, Purpose, Session};
use crate::error::{Leftover, Result};
use crate::fault::Fault;
use crate::inspect::grants::{self, On, Wanted};
use crate::inspect::table::Definition;
use crate::inspect::{Channel, ServerInfo};
use crate::migration::{guard, record, replication_notes as notes};
use crate::sql::{Ident, TAG, TableName, literal};

/// The schema of a server, or a table of it, that is looked at.
pub(super) struct Site {
    opts: Opts,
    pub(super) server: ServerInfo,
    pub(super) session: Session,
    schema: Ident,
    pub(super) table: Option<Ident>,
    /// The connection by which the lock of the table is held on behalf of the cleaning up itself.
    pub(super) held: Option<u32>,
}

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

/// A table as the information schema has it.
#[derive(Clone, Debug)]
struct Facts {
    name: TableName,
    is_base: bool,
    comment: String,
    age: Option<Duration>,
    rows: u64,
    bytes: u64,
}

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
    pub(super) fn open(
        opts: Opts,
        schema: Ident,
        table: Option<Ident>,
        privileges: &[&'static str],
    ) -> Result<Self> {
        let connector = Connector::new(&opts)?;
        let server = ServerInfo::read(&mut Session::open_plain(&connector)?)?;
        connector.expect(server.identity_query(), &server.identity);
        let mut session = Session::open(&connector, server.flavor, Purpose::Inspect)?;
        // Whoever may not see a table is not shown that it is there.
        let wanted: Vec<Wanted> = match &table {
            None => {
                let on = |privilege: &&'static str| {
                    Wanted::new(&[privilege], On::Schema(schema.clone()))
                };
                privileges.iter().map(on).collect()
            }
            Some(table) => {
                let table = TableName::new(schema.clone(), table.clone());
                let names = [table.ghost(), table.state(), table.old()];
                let on = |name: &TableName| {
                    let name = name.clone();
                    privileges.iter().map(move |p| Wanted::new(&[p], On::Table(name.clone())))
                };
                names.iter().flat_map(on).collect()
            }
        };
        grants::check_also(&mut session, &server, &wanted)?;
        Ok(Site { opts, server, session, schema, table, held: None })
    }

    /// A way to the same server, for what is removed under one lock.
    pub(super) fn connector(&self) -> Result<Connector> {
        let connector = Connector::new(&self.opts)?;
        connector.expect(self.server.identity_query(), &self.server.identity);
        Ok(connector)
    }

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
                for (id, evidence, age) in self.connections(group, state)? {
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

    fn tables(&mut self) -> Result<Vec<Facts>> {
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_TYPE, TABLE_COMMENT, TIMESTAMPDIFF(SECOND, CREATE_TIME, NOW()), TABLE_ROWS, \
             COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} ORDER BY TABLE_NAME",
            literal::text(self.schema.as_str())
        );
        let schema = &self.schema;
        let facts = |row: Vec<Option<String>>| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let name = Ident::new(next().unwrap_or_default());
            Facts {
                name: TableName::new(schema.clone(), name),
                is_base: next().as_deref() == Some("BASE TABLE"),
                comment: next().unwrap_or_default(),
                age: next().and_then(|age| age.parse().ok()).map(Duration::from_secs),
                rows: next().and_then(|rows| rows.parse().ok()).unwrap_or(0),
                bytes: next().and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
            }
        };
        Ok(self.session.rows(&sql)?.into_iter().map(facts).collect())
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

    fn last_heartbeat(&mut self, state: &TableName) -> Result<Option<Duration>> {
        let sql =
            format!("SELECT TIMESTAMPDIFF(SECOND, MAX(written_at), UTC_TIMESTAMP(6)) FROM {state}");
        match self.session.scalar(&sql) {
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => Ok(None),
            other => Ok(other?.and_then(|age| age.parse().ok()).map(Duration::from_secs)),
        }
    }

    /// Connections of a run that the server still has: those that it has written down, and those that execute its statements.
    fn connections(
        &mut self,
        group: &Group<'_>,
        state: &Facts,
    ) -> Result<Vec<(u32, Evidence, Option<Duration>)>> {
        let mut ids = Vec::new();
        for mark in StateTable::registered(&mut self.session, &state.name)? {
            ids.extend(self.session.id_of(&mark)?);
        }
        let executing = self.statements(group)?;
        let mut all: Vec<_> = ids
            .iter()
            .map(|id| {
                let age = executing.iter().find(|(other, _)| other == id).map(|(_, age)| *age);
                (*id, Evidence::Record, age)
            })
            .collect();
        let others = executing.into_iter().filter(|(id, _)| !ids.contains(id));
        all.extend(others.map(|(id, age)| (id, Evidence::StatementText, Some(age))));
        Ok(all)
    }

    /// Statements of a run that are executed, and for how long they have been. Not all that name its tables: somebody may
    /// be looking at them.
    fn statements(&mut self, group: &Group<'_>) -> Result<Vec<(u32, Duration)>> {
        // MySQL does not show the information schema's list while somebody writes what it cannot convert.
        let rows = self.session.named_rows("SHOW FULL PROCESSLIST")?;
        let own = self.session.id();
        let mut statements = Vec::new();
        for row in rows {
            let get = |name: &str| {
                let column = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
                column.and_then(|(_, value)| value.clone())
            };
            let Some(id) = get("Id").and_then(|id| id.parse::<u32>().ok()).filter(|id| *id != own)
            else {
                continue;
            };
            if get("Info").is_some_and(|text| is_of_run(&text, &group.source)) {
                let time = get("Time").and_then(|time| time.parse().ok()).unwrap_or(0);
                statements.push((id, Duration::from_secs(time)));
            }
        }
        Ok(statements)
    }

    /// What a test on a replica has stopped and not started again, as its record says.
    fn stopped_channels(&mut self, record: &str) -> Result<Vec<Channel>> {
        if !notes::has_stopped(record) {
            return Ok(Vec::new());
        }
        let channels = self.server.channels(&mut self.session)?;
        let is_left = |c: &Channel| !c.runs() && notes::has_stopped_channel(record, &c.name);
        Ok(channels.into_iter().filter(is_left).collect())
    }
}

/// Whether a statement is such as only runs on this table write.
fn is_of_run(text: &str, source: &TableName) -> bool {
    let (ghost, state, old) = (source.ghost(), source.state(), source.old());
    let tagged = text.contains(TAG)
        && [&ghost, &state, &old].iter().any(|name| text.contains(&name.to_string()));
    tagged
        || [
            format!("ALTER TABLE {ghost} "),
            format!("ANALYZE TABLE {ghost}"),
            format!("CREATE TABLE {ghost} LIKE {source}"),
            format!("LOCK TABLES {source} WRITE, {ghost} WRITE"),
            format!("LOCK TABLES {source} READ, {old} WRITE"),
        ]
        .iter()
        .any(|start| text.starts_with(start.as_str()))
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

impl Found {
    fn by(mut self, evidence: Evidence) -> Self {
        self.remnant.evidence = evidence;
        self
    }
}

fn connection(
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

fn replication(source: &TableName, channel: &Channel) -> Found {
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

fn table(
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

fn old_keys(source: &TableName, old: &Facts) -> Found {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, table: &str) -> TableName {
        TableName::new(Ident::new(schema), Ident::new(table))
    }

    #[test]
    fn statements_of_others_are_left_alone() {
        let t = name("s", "t");
        for ours in [
            "ALTER TABLE `s`.`_t_gho` ADD UNIQUE KEY `u` (`a`)",
            "INSERT /* online-alter */ INTO `s`.`_t_gho` (`a`) SELECT ..",
            "RENAME /* online-alter */ TABLE `s`.`t` TO `s`.`_t_del`, `s`.`_t_gho` TO `s`.`t`",
            "LOCK TABLES `s`.`t` READ, `s`.`_t_del` WRITE",
        ] {
            assert!(is_of_run(ours, &t), "{ours}");
        }
        for theirs in [
            "SELECT COUNT(*) FROM `s`.`_t_gho`",
            "INSERT /* online-alter */ INTO `s`.`_u_gho` (`a`) SELECT ..",
            "ALTER TABLE `s`.`_t_gho2` ADD x INT",
            "ALTER TABLE `s`.`t` ADD x INT",
        ] {
            assert!(!is_of_run(theirs, &t), "{theirs}");
        }
    }

    #[test]
    fn what_a_name_tells() {
        assert_eq!(named_after(&name("s", "_t_del")), Some(name("s", "t")));
        for other in ["t_del", "_t_old", "__del", "_del"] {
            assert_eq!(named_after(&name("s", other)), None, "{other}");
        }
    }
}
