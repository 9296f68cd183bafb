//! The beginning of a run: makes the ghost, or takes up that of an earlier run, and finds out where in the binlog to begin.

use std::sync::Arc;

use super::Migration;
use super::cleanup::Made;
use super::control::Control;
use super::ghost::{self, Ghost};
use super::guard::Guard;
use super::options::{OnReplica, Options};
use super::resume::{Continued, Taking, Task};
use crate::binlog::{Place, Start};
use crate::checkpoint::{Saved, SavedPlace, StateTable};
use crate::db::{Connector, Purpose, Session};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::fault::Fault;
use crate::inspect::ServerInfo;
use crate::inspect::grants;
use crate::inspect::table::Definition;
use crate::sql::{KeyShape, TableName};
use crate::steps::Step;

/// What there is before anything is followed.
pub(super) struct Begun {
    pub(super) state: Arc<StateTable>,
    pub(super) ghost: Ghost,
    /// How far an earlier run had come.
    pub(super) continued: Option<Continued>,
    pub(super) start: Start,
}

/// Makes the ghost or takes it up, in this order: the ghost, the position in the binlog, what is written down of both.
pub(super) fn begin(
    migration: &Migration,
    control: &Control,
    guard: &mut Guard,
    definer: &mut Session,
    made: &mut Made,
) -> Result<Begun> {
    let Migration { connector, server, stream, table, neighbours, options, .. } = migration;
    let resumed = migration.resumed.as_deref();
    let before = StateTable::last_marker(definer, &table.name.state())?;
    let state = Arc::new(StateTable::new(table.name.state(), before));
    let (ghost, continued) = match resumed {
        None => (prepare(migration, control, &state, guard, definer, made)?, None),
        Some(task) => {
            // Nobody comes to them any more: this run has the lock.
            let dead = StateTable::registered(definer, state.name())?;
            watch_sessions(connector, guard, &state, definer)?;
            let mut taking = Taking { migration, made, dead, control };
            // Or it would seem to be dead itself.
            let continued = guard.beating(&state, || taking.up(task, definer))?;
            // The other one may have written some meanwhile.
            state.goes_on_behind(StateTable::last_marker(definer, state.name())?);
            if options.on_replica == Some(OnReplica::Migrate) {
                server.check_applies_rows(
                    connector,
                    table,
                    &task.ghost.table,
                    &migration.clause,
                )?;
            }
            connector.move_rows_in(task.ghost.row_modes.clone());
            (task.ghost.clone(), Some(continued))
        }
    };
    options.steps.at(Step::GhostCreated, definer.id());

    control.enter(Phase::Fence);
    let schema = table.name.schema.as_str();
    let start = match (&continued, stream) {
        (Some(continued), _) => continued.place.start(server.flavor)?,
        (None, Some(replica)) => replica.start(&state, definer, options.gtid, &control.cancel)?,
        (None, None) => server.binlog_start(definer, schema, options.gtid)?,
    };
    if continued.as_ref().is_some_and(Continued::is_swapped) {
        control.note_swap();
    } else {
        // Again, as the plan may be old; from here on the stream would show one being made.
        let mut inspector = Session::open(connector, server.flavor, Purpose::Inspect)?;
        neighbours.check_unchanged(&mut inspector, server, &table.name, &options.wishes)?;
    }
    if continued.is_none() {
        let ghost_definition = Definition::read(definer, &ghost.pair.ghost)?;
        let task = Task::of(migration, &ghost, ghost_definition);
        let place = Place { start: start.clone(), marker: 0 };
        state.save(guard.session(), Saved::Place, &SavedPlace::new(&place, &[]).text()?)?;
        options.steps.at(Step::PlaceSaved, definer.id());
        // Behind that: what has a task can be gone on with.
        state.save(guard.session(), Saved::Task, &task.text()?)?;
        options.steps.at(Step::TaskSaved, definer.id());
    }
    Ok(Begun { state, ghost, continued, start })
}

/// Sets the whole server to row format, if it is not and the caller allowed it. Sessions that are
/// open keep their format; what they write to the table stops the run.
pub(super) fn switch_to_row_format(
    connector: &Connector,
    server: &ServerInfo,
    options: &Options,
) -> Result<()> {
    if server.binlog_format == "ROW" || !options.switch_to_row_format {
        return Ok(());
    }
    if options.rehearsal {
        return Err(Error::new(
            ErrorKind::BinlogSettings,
            "a run would switch binlog_format for everybody and for good, so there is no rehearsal until it is ROW",
        ));
    }
    let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
    grants::check_switch(&mut session, server)?;
    log::info!("switching the server's binlog_format from {} to ROW", server.binlog_format);
    session.exec("SET GLOBAL binlog_format = 'ROW'").map(drop)
}

/// Creates the state table and the ghost.
fn prepare(
    migration: &Migration,
    control: &Control,
    state: &Arc<StateTable>,
    guard: &mut Guard,
    definer: &mut Session,
    made: &mut Made,
) -> Result<Ghost> {
    let Migration { connector, server, table, clause, key, other_keys, options, .. } = migration;
    let neighbours = (&migration.neighbours, &migration.new_names);
    let source = &table.name;
    let leftovers = ghost::check_leftovers(definer, server, source, options)?;
    if leftovers.contains(&source.state()) {
        // What is still under way must not come into a table of the same name.
        for mark in StateTable::registered(definer, &source.state())? {
            definer.end(&mark, &control.cancel)?;
        }
    }
    ghost::drop_leftovers(definer, &leftovers, &control.cancel)?;
    control.cancel.check()?;
    create_table(definer, &state.create_sql(), &source.state(), made)?;
    options.steps.at(Step::StateCreated, definer.id());
    // What is going to be created is recorded before it is, so that it can be told from others'.
    let record = format!(
        "online-alter {}\ntable {source}\nghost {}\nold {}\nalter {}\n",
        env!("CARGO_PKG_VERSION"),
        source.ghost(),
        source.old(),
        clause.text
    );
    state.record(guard.session(), &record)?;
    watch_sessions(connector, guard, state, definer)?;
    options.steps.at(Step::Recorded, definer.id());
    made.sentry = Some(source.old());
    let ghost = source.ghost();
    let create = format!("CREATE TABLE {ghost} LIKE {source}");
    create_table(definer, &create, &ghost, made)?;
    options.steps.at(Step::GhostMade, definer.id());
    let keys: Vec<&KeyShape> = std::iter::once(key).chain(other_keys).collect();
    let ghost = ghost::alter(definer, server, table, clause, &keys, options, neighbours)?;
    if options.on_replica == Some(OnReplica::Migrate) {
        server.check_applies_rows(connector, table, &ghost.table, clause)?;
    }
    connector.move_rows_in(ghost.row_modes.clone());
    for (old, new) in &ghost.renamed_checks {
        control.warn(format!("the CHECK constraint `{old}` is called `{new}` in the new table"));
    }
    Ok(ghost)
}

/// From now on whatever connection writes is written down first.
fn watch_sessions(
    connector: &Connector,
    guard: &mut Guard,
    state: &Arc<StateTable>,
    definer: &mut Session,
) -> Result<()> {
    let table = Arc::clone(state);
    state.register(guard.session())?;
    state.register(definer)?;
    connector.before_work(move |session| {
        match table.register(session) {
            // The run is over, and tidies up.
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => Ok(()),
            other => other,
        }
    });
    Ok(())
}

/// Creates a table, and notes it for cleaning up, the last one first. Not if the server refuses, as
/// it does when somebody else has just made a table of that name.
fn create_table(definer: &mut Session, sql: &str, name: &TableName, made: &mut Made) -> Result<()> {
    let created = definer.exec(sql);
    if !matches!(&created, Err(error) if error.fault() != Some(Fault::Gone)) {
        made.tables.insert(0, name.clone());
    }
    created.map(drop)
}
