//! What goes on the ghost at the last moment: foreign keys and triggers.
//!
//! Not before: a foreign key of the ghost would be enforced on its parents by rows that are out of
//! date, and a trigger would fire for our own writes. Both go on once nothing is written to the ghost any
//! more, while writers are blocked, and come off again if the attempt fails.
//!
//! The foreign keys of the table itself stay with it until the swap, and are taken off right behind
//! it: the rows of the old table must not keep the application from deleting their parents. Meanwhile
//! nobody may write to the parents. MySQL sees to that itself, as LOCK TABLES locks them, too; on
//! MariaDB, a connection for each parent does ([`CutOver::lock_parents`]).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{CutOver, unlock};
use crate::db::{Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::inspect::foreign_key::ForeignKey;
use crate::inspect::neighbours::{Neighbours, NewKeyName, NewNames};
use crate::inspect::table::Definition;
use crate::inspect::trigger::{self, Trigger};
use crate::sql::statements::join;
use crate::sql::{Ident, TableName, literal};
use crate::steps::Step;

/// What goes on the ghost at the last moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dressing {
    pub(crate) keys: Vec<NewKey>,
    pub(crate) triggers: Vec<(Trigger, Ident)>,
    /// The names of the table's foreign keys, whether they go over or not.
    old_keys: Vec<Ident>,
    /// Whether the table's foreign keys change rows by themselves, which has to be in the binlog.
    cascades: bool,
    /// The tables that the table refers to, whether the new one is going to or not.
    pub(crate) parents: Vec<TableName>,
}

/// A foreign key that the new table is going to have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewKey {
    /// Its name on the table as it was.
    pub(crate) before: Ident,
    pub(crate) name: NewKeyName,
    /// As it is to be on the ghost.
    pub(crate) key: ForeignKey,
}

impl Dressing {
    /// For a ghost to which the table's columns map so.
    pub(crate) fn new(
        neighbours: &Neighbours,
        names: &NewNames,
        ghost: &TableName,
        columns: &[(Ident, Ident)],
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for (key, name) in neighbours.foreign_keys.iter().zip(&names.keys) {
            let mut on_ghost =
                ForeignKey { name: name.on_ghost.clone(), table: ghost.clone(), ..key.clone() };
            for column in &mut on_ghost.columns {
                let mapped = columns.iter().find(|(source, _)| source.is_column(column.as_str()));
                let Some((_, mapped)) = mapped else {
                    let why = format!(
                        "the ALTER drops the column {column}, which the foreign key {} needs",
                        key.name
                    );
                    return Err(Error::new(ErrorKind::Alter, why));
                };
                *column = mapped.clone();
            }
            keys.push(NewKey { before: key.name.clone(), name: name.clone(), key: on_ghost });
        }
        let triggers = neighbours.triggers.iter().cloned().zip(names.triggers.clone()).collect();
        Ok(Dressing {
            keys,
            triggers,
            old_keys: neighbours.foreign_keys.iter().map(|key| key.name.clone()).collect(),
            cascades: neighbours.foreign_keys.iter().any(ForeignKey::cascades),
            parents: neighbours.parents(),
        })
    }

    /// Puts it all on the empty ghost, and takes it off again: what the server refuses, it refuses now.
    pub(crate) fn rehearse(&self, session: &mut Session, ghost: &TableName) -> Result<()> {
        if !self.triggers.is_empty() {
            self.put_triggers_on(session, ghost).map_err(|error| {
                // MySQL wants SYSTEM_USER of whoever names a definer that has it.
                let lacks = error.fault() == Some(Fault::Access);
                let kind = if lacks { ErrorKind::Privileges } else { ErrorKind::Triggers };
                error.refused(kind, "the table's triggers cannot be made on the new table")
            })?;
            take_triggers_off(session, ghost)?;
        }
        let Some(add) = self.add_keys(ghost) else { return Ok(()) };
        let before = Definition::read(session, ghost)?;
        // It waits for transactions that use the parents, and keeps others from them meanwhile.
        session.exec(
            "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1, foreign_key_checks = 0",
        )?;
        if put_keys_on_and_off(session, ghost, &add)?.text != before.text {
            // An index that the server itself made for a foreign key, it replaces as it makes another
            // key. The ghost's own indexes stay.
            let after = Definition::read(session, ghost)?;
            let drop = after.indexes().into_iter().map(|(name, _)| format!("DROP INDEX {name}"));
            let add = before.indexes().into_iter().map(|(_, index)| format!("ADD {index}"));
            let again = format!("ALTER TABLE {ghost} {}", join(drop.chain(add)));
            session.as_printed(|session| session.exec(&again))?;
        }
        let after = put_keys_on_and_off(session, ghost, &add)?;
        session.exec(
            "SET SESSION lock_wait_timeout = 5, innodb_lock_wait_timeout = DEFAULT, \
             foreign_key_checks = 1",
        )?;
        if after.text != before.text {
            let why = "the ALTER takes away an index that a foreign key of the table needs";
            return Err(Error::new(ErrorKind::Alter, why));
        }
        Ok(())
    }

    fn add_keys(&self, ghost: &TableName) -> Option<String> {
        let clauses = join(self.keys.iter().map(|key| key.key.add_clause()));
        (!self.keys.is_empty()).then(|| format!("ALTER TABLE {ghost} {clauses}"))
    }

    fn put_triggers_on(&self, session: &mut Session, ghost: &TableName) -> Result<()> {
        if self.triggers.is_empty() {
            return Ok(());
        }
        session.exec("SET @online_alter_mode = @@SESSION.sql_mode")?;
        let result = self.triggers.iter().try_for_each(|(trigger, name)| {
            session.exec(&trigger.settings())?;
            session.exec(&trigger.create_tagged(name, ghost)).map(drop)
        });
        session.exec("SET NAMES utf8mb4")?;
        session.exec("SET SESSION sql_mode = @online_alter_mode")?;
        result
    }

    /// The statements behind the swap, for the plan.
    pub(crate) fn statements_behind(&self, table: &TableName, old: &TableName) -> Vec<String> {
        let drop = |name: &Ident| {
            let text = name.as_str();
            let by_server = text.strip_prefix(&format!("{}_ibfk_", table.table.as_str()));
            match by_server.filter(|number| number.chars().all(|c| c.is_ascii_digit())) {
                Some(number) => {
                    let name = Ident::new(format!("{}_ibfk_{number}", old.table.as_str()));
                    format!("DROP FOREIGN KEY {name}")
                }
                None => format!("DROP FOREIGN KEY {name}"),
            }
        };
        let mut statements = Vec::new();
        if !self.old_keys.is_empty() {
            statements.push(format!("ALTER TABLE {old} {}", join(self.old_keys.iter().map(drop))));
        }
        statements.extend(self.names_back(table));
        statements
    }

    /// Gives foreign keys the names that they are to have in the end.
    fn names_back(&self, table: &TableName) -> Option<String> {
        let mut clauses = Vec::new();
        for NewKey { name, key, .. } in &self.keys {
            if !name.by_server && name.after != key.name {
                clauses.push(key.drop_clause());
                clauses.push(ForeignKey { name: name.after.clone(), ..key.clone() }.add_clause());
            }
        }
        (!clauses.is_empty()).then(|| format!("ALTER TABLE {table} {}", clauses.join(", ")))
    }

    /// The statements, for the plan.
    pub(crate) fn statements(&self, ghost: &TableName) -> Vec<String> {
        let triggers = self.triggers.iter().map(|(trigger, name)| trigger.create(name, ghost));
        self.add_keys(ghost).into_iter().chain(triggers).collect()
    }
}

fn put_keys_on_and_off(session: &mut Session, ghost: &TableName, add: &str) -> Result<Definition> {
    patiently(session, add, PATIENT_TRIES).map_err(|error| {
        error.refused(ErrorKind::Alter, "the table's foreign keys cannot be made on the new table")
    })?;
    take_keys_off(session, ghost, PATIENT_TRIES)?;
    Definition::read(session, ghost)
}

/// How often a statement is tried that has to wait for others to leave a table.
const PATIENT_TRIES: u32 = 20;

/// Each try is short: whoever comes to the table meanwhile waits behind it.
fn patiently(session: &mut Session, sql: &str, tries: u32) -> Result<()> {
    if tries > 1 {
        session.exec("SET SESSION lock_wait_timeout = 1")?;
    }
    let done = try_often(session, sql, tries);
    if tries > 1 {
        session.exec("SET SESSION lock_wait_timeout = 5")?;
    }
    done
}

fn try_often(session: &mut Session, sql: &str, tries: u32) -> Result<()> {
    for _ in 1..tries {
        match session.exec(sql) {
            Err(error) if error.fault() == Some(Fault::LockWait) => {
                // Those who waited behind us get on first.
                std::thread::sleep(Duration::from_millis(200));
            }
            other => return other.map(drop),
        }
    }
    session.exec(sql).map(drop)
}

fn take_triggers_off(session: &mut Session, table: &TableName) -> Result<()> {
    for (name, _) in trigger::signature(session, table)? {
        session.exec(&format!("DROP TRIGGER {}", TableName::new(table.schema.clone(), name)))?;
    }
    Ok(())
}

fn take_keys_off(session: &mut Session, table: &TableName, tries: u32) -> Result<()> {
    let names = Definition::read(session, table)?.foreign_keys();
    if names.is_empty() {
        return Ok(());
    }
    let drops = join(names.iter().map(|name| format!("DROP FOREIGN KEY {name}")));
    patiently(session, &format!("ALTER TABLE {table} {drops}"), tries)
}

/// Takes off a ghost what a run that died in a cut-over may have put on it.
pub(crate) fn take_off(session: &mut Session, ghost: &TableName) -> Result<()> {
    take_triggers_off(session, ghost)?;
    take_keys_off(session, ghost, PATIENT_TRIES)
}

impl CutOver<'_> {
    /// Before the table is locked: on MariaDB keeps writers from the tables that it refers to. Each has
    /// a connection of its own, so that waiting for one of them while the others are locked is nothing
    /// that the server would take for a deadlock, with the application as the victim: we are the ones
    /// who give up.
    ///
    /// On MySQL it waits for a moment in which no transaction uses them, if one comes soon: LOCK TABLES
    /// is going to lock them too, and a transaction that has one of them and then comes to the table
    /// would be the victim of that deadlock.
    pub(super) fn lock_parents(&self, control: &mut Session) -> Result<Vec<Session>> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let mut locked = Vec::new();
        if self.dressing.parents.is_empty() {
            return Ok(locked);
        }
        if self.flavor == Flavor::MySql {
            self.wait_for_parents(control, PATIENCE)?;
            return Ok(locked);
        }
        for parent in &self.dressing.parents {
            let mut session = self.session(Purpose::Rows)?;
            let granted = session.exec(&format!("LOCK TABLES {parent} READ"));
            locked.push(session);
            if let Err(error) = granted {
                unlock_all(locked, control);
                return Err(error.context(format_args!("{parent} is in use")));
            }
        }
        Ok(locked)
    }

    /// Puts foreign keys and triggers on the ghost, to which nothing is written any more. `session` is
    /// able to alter it; on MySQL it holds the lock of the table.
    pub(super) fn dress(&self, control: &mut Session, session: &mut Session) -> Result<()> {
        let Self { dressing, pair, .. } = self;
        let planned: Vec<_> = dressing.triggers.iter().map(|(t, _)| t.signature()).collect();
        if !planned.is_empty() && trigger::signature(session, &pair.source)? != planned {
            let why = format!("the triggers of {} were changed during the run", pair.source);
            return Err(Error::new(ErrorKind::TableChanged, why));
        }
        if dressing.cascades {
            check_cascades(control)?;
        }
        if self.flavor == Flavor::MySql && !dressing.parents.is_empty() {
            self.yield_to_users_of_parents(control)?;
        }
        if dressing.keys.is_empty() && dressing.triggers.is_empty() {
            return Ok(());
        }
        self.dressed.store(true, Ordering::SeqCst);
        if let Some(add) = dressing.add_keys(&pair.ghost) {
            // Without looking at the rows: the table's own fulfil it.
            session.exec("SET SESSION foreign_key_checks = 0")?;
            session.exec(&add)?;
        }
        dressing.put_triggers_on(session, &pair.ghost)?;
        session.exec("COMMIT")?;
        self.steps.at(Step::Dressed, session.id());
        Ok(())
    }

    /// What comes now needs the parents for itself. A transaction that has read one, and comes to the
    /// table, which is locked, would be the victim of the deadlock that arises as we ask for the parent:
    /// such an attempt is given up. After some that ended here, that risk is taken.
    fn yield_to_users_of_parents(&self, control: &mut Session) -> Result<()> {
        const PATIENCE: Duration = Duration::from_millis(20);
        const ATTEMPTS: u32 = 10;
        if self.wait_for_parents(control, PATIENCE)? {
            return Ok(());
        }
        if self.yields.fetch_add(1, Ordering::SeqCst) >= ATTEMPTS {
            log::debug!("asking for the parents although they are in use");
            return Ok(());
        }
        let why = "transactions use the tables that the table refers to";
        Err(Error::new(ErrorKind::CutOver, why).with_fault(Fault::LockWait, None))
    }

    /// Waits for a moment in which no transaction uses a parent. `false` if there was none.
    fn wait_for_parents(&self, control: &mut Session, patience: Duration) -> Result<bool> {
        let names = join(self.dressing.parents.iter().map(|parent| {
            let (schema, table) = (parent.schema.as_str(), parent.table.as_str());
            format!("({}, {})", literal::text(schema), literal::text(table))
        }));
        // The lock that we have ourselves is of another type.
        let sql = format!(
            "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'TABLE' AND \
             (OBJECT_SCHEMA, OBJECT_NAME) IN ({names}) AND LOCK_STATUS = 'GRANTED' AND \
             LOCK_TYPE IN ('SHARED_READ', 'SHARED_WRITE', 'SHARED_WRITE_LOW_PRIO')"
        );
        let end = Instant::now() + patience;
        loop {
            // A user may not be allowed to look, or there may be nothing to see.
            match control.scalar(&sql) {
                Ok(Some(count)) if count != "0" => {}
                Err(error) if error.fault() == Some(Fault::Gone) => return Err(error),
                _ => return Ok(true),
            }
            if Instant::now() > end {
                return Ok(false);
            }
            self.cancel.sleep(Duration::from_millis(1))?;
        }
    }

    /// An attempt has failed: takes off again what it may have put on the ghost.
    pub(super) fn undress(&self, control: &mut Session) -> Result<()> {
        if !self.dressed.load(Ordering::SeqCst) {
            return Ok(());
        }
        take_off(control, &self.pair.ghost)?;
        self.dressed.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// The same under the lock of the table. If it fails, [`undress`](Self::undress) does it behind that.
    pub(super) fn undress_locked(&self, session: &mut Session) {
        if self.dressed.load(Ordering::SeqCst) && !self.dressing.keys.is_empty() {
            let undressed = take_keys_off(session, &self.pair.ghost, 1);
            if let Err(error) = undressed {
                log::debug!("foreign keys of the ghost: {}", error.message());
            }
        }
    }

    /// The tables have just been swapped: takes the foreign keys off the old one, and gives the new one's
    /// the names that they had. If it fails, [`settle_keys`](Self::settle_keys) does it.
    pub(super) fn free_parents(&self, session: &mut Session) {
        if self.dressing.parents.is_empty() {
            return;
        }
        self.steps.at(Step::FreeingParents, session.id());
        let freed =
            take_keys_off(session, &self.old, 1).and_then(|()| self.give_names_back(session));
        if let Err(error) = freed {
            log::debug!("foreign keys behind the swap: {}", error.message());
        }
    }

    /// On MySQL, where the table is locked still.
    fn give_names_back(&self, session: &mut Session) -> Result<()> {
        if let Some(rename) = self.dressing.names_back(&self.pair.source) {
            session.exec("SET SESSION foreign_key_checks = 0")?;
            session.exec(&rename)?;
        }
        Ok(())
    }

    /// Behind the swap: makes sure that the old table has no foreign keys left, and says what those of the
    /// new one are called, by their names before.
    pub(crate) fn settle_keys(&self, control: &mut Session) -> Result<Vec<(String, String)>> {
        if self.dressing.parents.is_empty() {
            return Ok(Vec::new());
        }
        take_keys_off(control, &self.old, PATIENT_TRIES)?;
        let names = Definition::read(control, &self.pair.source)?.foreign_keys();
        let name = |key: &NewKey| {
            let NewKeyName { on_ghost, after, .. } = &key.name;
            let now = if names.contains(after) { after } else { on_ghost };
            (key.before.as_str().to_owned(), now.as_str().to_owned())
        };
        Ok(self.dressing.keys.iter().map(name).collect())
    }
}

/// Gives back the locks of parents, for certain.
pub(super) fn unlock_all(sessions: Vec<Session>, control: &mut Session) {
    for session in sessions {
        unlock(session, control);
    }
}

/// Only MySQL comes here. The variable can be changed by a restart, which the run would survive.
fn check_cascades(control: &mut Session) -> Result<()> {
    let native = control.scalar("SELECT @@GLOBAL.innodb_native_foreign_keys")?;
    if native.as_deref() == Some("0") {
        return Ok(());
    }
    let why = "innodb_native_foreign_keys was switched on during the run: rows that foreign keys \
               have changed since are not in the binlog";
    Err(Error::new(ErrorKind::Binlog, why))
}
