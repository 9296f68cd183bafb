//! What a run is going to do.

use std::fmt;
use std::sync::Arc;

use crate::checkpoint::StateTable;
use crate::cutover::dressing::Dressing;
use crate::error::Result;
use crate::inspect::platform::{Platform, PreflightItem};
use crate::migration::{
    Control, Handle, IndexBuild, Migration, Observer, OnReplica, Postpone, Rehearsal,
    RehearsalHandle, Report, rehearse, run,
};
use crate::sql::TableName;
use crate::sql::statements::join;

/// Something that the plan does not refuse, and that its reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Foreign keys that refer to the table from schemas which the user cannot see could not be
    /// ruled out; the PROCESS privilege would show them.
    HiddenForeignKeys,
    /// The key begins with an ENUM or SET column. The servers use an index for such a column only
    /// where a value is equal, not for a range: each chunk of the copy reads the table from its
    /// beginning, which is slow for a big one.
    SlowKey,
    /// CHECK constraints will have other names: MySQL has each name once in a schema, and the old table
    /// keeps these. The report says what they are called then.
    RenamedChecks(Vec<String>),
    /// The table has foreign keys. At the cut-over writers to the tables that it refers to wait too;
    /// on MySQL, a transaction that uses one of them and then comes to the table can be rolled back as
    /// the victim of a deadlock then.
    #[non_exhaustive]
    LocksParents {
        /// The tables that it refers to, quoted.
        parents: Vec<String>,
    },
    /// The server writes statements to its binlog (`binlog_format=STATEMENT`), and the binlog of a replica is read. A statement
    /// that is not safe for replication may do something to other rows there than here.
    StatementsOnPrimary,
    /// MySQL has added or dropped columns of the table instantly as often as it can, so the rows are copied though
    /// [`attempt_instant`](crate::OnlineAlter::attempt_instant) is set. The new table begins at zero.
    #[non_exhaustive]
    RowVersions {
        /// How often.
        versions: u64,
        /// The server's limit.
        most: u64,
    },
    /// The user may not stop replication, at the end of a [test on a replica](crate::OnReplica::Test): whoever observes the
    /// run has to, when he is told so ([`Event::ReplicationStops`](crate::Event::ReplicationStops)). Without an observer the
    /// plan is refused.
    LeavesReplicationToObserver,
    /// The server's `binlog_format` will be switched to ROW.
    #[non_exhaustive]
    SwitchesFormat {
        /// What it is now.
        from: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::HiddenForeignKeys => f.write_str(
                "foreign keys from schemas that this user cannot see are not ruled out (grant \
                 PROCESS to have them looked for)",
            ),
            Warning::SlowKey => f.write_str(
                "the key begins with an ENUM or SET column, so that each chunk reads the table from \
                 its beginning: slow for a big table",
            ),
            Warning::RenamedChecks(names) => write!(
                f,
                "these CHECK constraints will have other names, as MySQL has each name once in a \
                 schema and the old table keeps them: {}",
                names.join(", ")
            ),
            Warning::LocksParents { parents } => write!(
                f,
                "writers to {} wait during the cut-over, too; on MySQL a transaction that uses them \
                 and then comes to the table may be rolled back as the victim of a deadlock",
                parents.join(", ")
            ),
            Warning::RowVersions { versions, most } => write!(
                f,
                "not by ALGORITHM=INSTANT: the table has {versions} row versions, and {most} is the server's limit for \
                 adding and dropping columns instantly; the rows are copied, and the new table has none"
            ),
            Warning::StatementsOnPrimary => f.write_str(
                "the server writes statements to its binlog, and rows are read from a replica: what a statement \
                 that is not safe for replication does to other rows there than here, such as one with UUID() or \
                 LIMIT, is not followed; verification finds what came before its last pass",
            ),
            Warning::LeavesReplicationToObserver => f.write_str(
                "the user may not stop replication at the end of the test (REPLICATION_SLAVE_ADMIN, or REPLICATION SLAVE \
                 ADMIN): whoever is told of it then has to stop it, or the test fails",
            ),
            Warning::SwitchesFormat { from } => {
                write!(f, "binlog_format of the server will be switched from {from} to ROW")
            }
        }
    }
}

/// A checked plan: nothing is written yet, and nothing known stands in the way. `Display` prints
/// it.
#[must_use = "a plan does nothing before `run` or `start`"]
pub struct Plan {
    migration: Migration,
    dressing: Dressing,
    observer: Option<Box<dyn Observer>>,
    replaced: Vec<TableName>,
    warnings: Vec<Warning>,
    preflight: (Platform, Vec<PreflightItem>),
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("migration", &self.migration).finish_non_exhaustive()
    }
}

impl Plan {
    pub(crate) fn new(
        migration: Migration,
        dressing: Dressing,
        observer: Option<Box<dyn Observer>>,
        replaced: Vec<TableName>,
        warnings: Vec<Warning>,
        preflight: (Platform, Vec<PreflightItem>),
    ) -> Self {
        Plan { migration, dressing, observer, replaced, warnings, preflight }
    }

    /// Who runs the server: found out, or as [named](crate::OnlineAlter::platform).
    pub fn platform(&self) -> Platform {
        self.preflight.0
    }

    /// What was looked at because of that, and what came of it. On servers that no known platform runs: nothing.
    pub fn preflight_items(&self) -> &[PreflightItem] {
        &self.preflight.1
    }

    /// The name of the key by which rows are told apart, and its columns.
    pub fn key(&self) -> (&str, Vec<&str>) {
        let key = &self.migration.key;
        (key.source_index.as_str(), key.columns.iter().map(|c| c.source.as_str()).collect())
    }

    /// When the new table gets its secondary indexes: [`IndexBuild::Auto`] is decided here.
    pub fn index_build(&self) -> IndexBuild {
        self.migration.options.index_build
    }

    /// Columns that get another name, by their old and new names.
    pub fn renamed_columns(&self) -> Vec<(&str, &str)> {
        self.migration.clause.renamed().map(|renamed| (renamed.old, renamed.new)).collect()
    }

    /// Columns whose data goes away.
    pub fn dropped_columns(&self) -> Vec<&str> {
        self.migration.clause.dropped().collect()
    }

    /// The foreign keys that the new table gets, each by its name now and its name afterwards.
    pub fn foreign_keys(&self) -> Vec<(&str, &str)> {
        let Migration { neighbours, new_names, .. } = &self.migration;
        let keys = neighbours.foreign_keys.iter().zip(&new_names.keys);
        keys.map(|(key, new)| (key.name.as_str(), new.after.as_str())).collect()
    }

    /// The triggers that the new table gets, each by its name now and its name afterwards.
    pub fn triggers(&self) -> Vec<(&str, &str)> {
        let Migration { neighbours, new_names, .. } = &self.migration;
        let triggers = neighbours.triggers.iter().zip(&new_names.triggers);
        triggers.map(|(trigger, new)| (trigger.name.as_str(), new.as_str())).collect()
    }

    /// The server's estimate of the rows, which may well be half or twice the truth.
    pub fn estimated_rows(&self) -> u64 {
        self.migration.table.rows
    }

    /// The size of the table's data and indexes in bytes. The run needs about as much again, and
    /// about the size of the data once more for the binlog.
    pub fn estimated_bytes(&self) -> u64 {
        self.migration.table.data_bytes + self.migration.table.index_bytes
    }

    /// What the reader should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The statements that define and swap tables, in order. Those that move rows stand between.
    pub fn statements(&self) -> Vec<String> {
        let Migration { table, clause, options, .. } = &self.migration;
        let source = &table.name;
        let (ghost, old) = (source.ghost(), source.old());
        let mut statements: Vec<String> =
            self.replaced.iter().map(|name| format!("DROP TABLE {name}")).collect();
        if !self.resumes() {
            statements.push(StateTable::new(source.state(), None).create_sql());
            statements.push(format!("CREATE TABLE {ghost} LIKE {source}"));
            statements.push(format!("ALTER TABLE {ghost} {}", clause.text));
        }
        if options.analyze {
            statements.push(format!("ANALYZE TABLE {ghost}"));
        }
        if options.is_test() {
            return statements;
        }
        statements.extend(self.dressing.statements(&ghost));
        statements.push(format!("RENAME TABLE {source} TO {old}, {ghost} TO {source}"));
        statements.extend(self.dressing.statements_behind(source, &old));
        statements.push(format!("DROP TABLE {}", source.state()));
        if options.old_table == crate::migration::OldTable::Drop {
            statements.push(format!("DROP TABLE {old}"));
        }
        statements
    }

    /// Whether it goes on where an earlier run has stopped ([`resume`](crate::OnlineAlter::resume)). What that one has
    /// done already is still among the statements, but for the making of the new table.
    pub fn resumes(&self) -> bool {
        self.migration.resumed.is_some()
    }

    fn control(&mut self) -> Arc<Control> {
        let postpone = std::mem::replace(&mut self.migration.postpone, Postpone::never());
        let Migration { policies, options, table, .. } = &self.migration;
        let (limits, has_policies) =
            (options.limits.clone(), !policies.is_empty() || options.limits.are_any());
        Arc::new(Control::new(
            self.observer.take(),
            postpone,
            limits,
            options.copy_workers,
            has_policies,
            table.rows,
        ))
    }

    /// Does all that a run does before the copy, and takes it back: creates the new table, has the server apply the ALTER to
    /// it while it is empty, and reads the binlog up to a change of its own. So privileges are checked by use,
    /// and the definition is seen that the table would have. Applications notice nothing. Refused
    /// ([`ErrorKind::Config`](crate::ErrorKind::Config)) for a plan that [resumes](Self::resumes): what it takes back would be the earlier run's work.
    pub fn rehearse(mut self) -> Result<Rehearsal> {
        let control = self.control();
        rehearse(self.migration, &control)
    }

    /// The same in the background, where it can be aborted. It waits for others up to a minute at a time, such as for the
    /// replica whose binlog is read.
    pub fn start_rehearsal(mut self) -> Result<RehearsalHandle> {
        let control = self.control();
        RehearsalHandle::start(control, |control| rehearse(self.migration, control))
    }

    /// Runs it on this thread, to the end.
    pub fn run(mut self) -> Result<Report> {
        let control = self.control();
        run(self.migration, &control)
    }

    /// Runs it in the background.
    pub fn start(mut self) -> Result<Handle> {
        let control = self.control();
        Handle::start(control, |control| run(self.migration, control))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Migration { server, table, key, connector, .. } = &self.migration;
        let columns = join(key.columns.iter().map(|column| &column.source));
        writeln!(
            f,
            "{} on {} ({} {})",
            table.name,
            connector.address(),
            server.flavor,
            server.version_text
        )?;
        if self.resumes() {
            writeln!(f, "goes on where an earlier run has stopped")?;
        }
        writeln!(f, "key: {} ({columns})", key.source_index)?;
        writeln!(
            f,
            "size: about {} rows, {} MiB of data and {} MiB of indexes",
            table.rows,
            table.data_bytes >> 20,
            table.index_bytes >> 20
        )?;
        writeln!(
            f,
            "secondary indexes: {}",
            match self.index_build() {
                IndexBuild::AfterCopy => "built after the copy, in one statement",
                _ => "there from the start",
            }
        )?;
        match self.migration.options.on_replica {
            Some(OnReplica::Test { start_again }) => {
                let then = if start_again { ", and start again" } else { "" };
                writeln!(
                    f,
                    "a test on this replica alone: its replication will stop in the end{then}"
                )?;
            }
            Some(OnReplica::Migrate) => writeln!(f, "on this replica alone")?,
            None => {}
        }
        if let Some(stream) = &self.migration.stream {
            writeln!(f, "changes are read from the replica {}", stream.connector.address())?;
        }
        for (old, new) in self.renamed_columns() {
            writeln!(f, "renamed: {old} to {new}")?;
        }
        for column in self.dropped_columns() {
            writeln!(f, "dropped, with its data: {column}")?;
        }
        for (what, names) in [("foreign key", self.foreign_keys()), ("trigger", self.triggers())] {
            for (before, after) in names {
                writeln!(f, "{what}: {before}, {after} afterwards")?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "note: {warning}")?;
        }
        if self.platform() != Platform::Own {
            writeln!(f, "platform: {}", self.platform())?;
        }
        for item in self.preflight_items() {
            writeln!(f, "  {item}")?;
        }
        f.write_str("statements:")?;
        for statement in self.statements() {
            write!(f, "\n  {statement};")?;
        }
        Ok(())
    }
}
