//! A run from beginning to end: set up, through its stages, and tidied up after.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::begin::{Begun, begin, switch_to_row_format};
use super::cause;
use super::checkpoints;
use super::cleanup::{Made, clean_up};
use super::control::Control;
use super::crew::{Crew, DismissCrew};
use super::finish::finish;
use super::follow::{Follow, Source, free_server_id};
use super::gate_keeper::keep_gate;
use super::guard::Guard;
use super::native;
use super::observer::Event;
use super::options::Options;
use super::postpone::Postpone;
use super::rehearsal::Rehearsal;
use super::replica::StreamServer;
use super::replica_test;
use super::report::Report;
use super::resume::{Continued, Stage, Task};
use super::stages::{Ended, Outcome, Stages};
use crate::cutover::Swapped;
use crate::cutover::proof::Proof;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Leftover, Phase, Result, TableState};
use crate::inspect::neighbours::{Neighbours, NewNames};
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Table};
use crate::sql::KeyShape;
use crate::sql::alter::AlterClause;
use crate::steps::Step;
use crate::throttle::AllOf;

/// Everything that a run starts from.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) connector: Connector,
    pub(crate) server: ServerInfo,
    /// The replica whose binlog is read; none if it is the server's own.
    pub(crate) stream: Option<StreamServer>,
    pub(crate) table: Table,
    pub(crate) clause: AlterClause,
    pub(crate) key: KeyShape,
    /// Keys that would do if the ALTER does not let rows be found by that one.
    pub(crate) other_keys: Vec<KeyShape>,
    pub(crate) neighbours: Neighbours,
    pub(crate) new_names: NewNames,
    pub(crate) options: Options,
    pub(crate) postpone: Postpone,
    pub(crate) policies: AllOf,
    /// What an earlier run has written down, with which this one goes on.
    pub(crate) resumed: Option<Box<Task>>,
}

/// Goes through all stages; on an error, tidies up and says what is left.
pub(crate) fn run(mut migration: Migration, control: &Control) -> Result<Report> {
    let mut made = Made::default();
    // The lock must outlive the cleaning up: nobody else may begin meanwhile.
    let mut guard = None;
    let stages = AssertUnwindSafe(|| stages(&mut migration, control, &mut made, &mut guard));
    let result = catch_unwind(stages).unwrap_or_else(|_| {
        let state = if control.phase() < Phase::CutOver {
            TableState::Untouched
        } else {
            TableState::Unknown
        };
        Err(Error::new(ErrorKind::Panic, "the run panicked").with_table_state(state))
    });
    control.cancel.set();
    let result = result.map_err(|error| {
        // A thread that failed has stopped the others: its error is the one that matters.
        let error = match error.kind() {
            ErrorKind::Aborted => {
                let state = error.table_state();
                control.take_failure().map_or(error, |e| e.with_table_state(state))
            }
            _ => error,
        };
        let Migration { connector, server, table, options, .. } = &migration;
        let error = cause::find(error, control.phase(), connector, server.flavor, table);
        let behind = control.is_swapped() && error.table_state() == TableState::Untouched;
        let error = if behind { error.with_table_state(TableState::Swapped) } else { error };
        let state = error.table_state();
        let mut left = error.leftovers().to_vec();
        let differ = options.is_test() && error.kind() == ErrorKind::RowsDiffer;
        // Without the lock they may be somebody else's by now, or somebody may go on with them.
        let is_lost = guard.as_mut().is_some_and(|guard: &mut Guard| guard.check().is_err());
        // What could not be gone on with is as it was.
        let not_taken_up = migration.resumed.is_some() && control.phase() <= Phase::Fence;
        let error = match error.kind() {
            ErrorKind::Binlog if not_taken_up => error.with_kind(ErrorKind::CannotResume),
            _ => error,
        };
        let keep = options.keep_on_failure || differ || not_taken_up || is_lost;
        if server.flavor == Flavor::MySql || control.attempts.load(Ordering::SeqCst) == 0 {
            made.sentry = None;
        }
        let rest = clean_up(connector, server.flavor, &made, state, keep);
        left.extend(rest.into_iter().filter(|l| !error.leftovers().contains(l)));
        let stopped = replica_test::start_again(connector, server.flavor, control);
        left.extend(stopped.map(Leftover::StoppedReplication));
        error.in_phase(control.phase()).with_leftovers(left)
    });
    if let Some(guard) = guard {
        guard.release();
    }
    // The last ones have been closed by now.
    let left = migration.connector.end_left();
    let result = match result {
        Ok(mut report) => {
            let still = |id| format!("the connection {id} was lost, and may be there still");
            report.warnings.extend(left.into_iter().map(still));
            Ok(report)
        }
        Err(error) => Err(error.with_left(left)),
    };
    let succeeded = result.is_ok() || control.rehearsed.lock().is_some();
    control.tell(&Event::Finished { succeeded });
    result
}

/// Goes as far as the copy, and takes everything back.
pub(crate) fn rehearse(mut migration: Migration, control: &Control) -> Result<Rehearsal> {
    if migration.resumed.is_some() {
        let why = "a run that is gone on with is not rehearsed: that would take back what it has done (resume)";
        return Err(Error::new(ErrorKind::Config, why));
    }
    let options = &mut migration.options;
    options.rehearsal = true;
    options.keep_on_failure = false;
    (options.attempt_instant, options.native_below_rows) = (false, 0);
    let ended = run(migration, control);
    let rehearsed = control.rehearsed.lock().take();
    match (ended, rehearsed) {
        (Err(error), Some(rehearsal))
            if error.kind() == ErrorKind::Aborted && error.leftovers().is_empty() =>
        {
            Ok(rehearsal)
        }
        (Err(error), _) => Err(error),
        (Ok(_), _) => Err(Error::new(ErrorKind::Panic, "a rehearsal altered the table")
            .with_table_state(TableState::Swapped)),
    }
}

fn stages(
    migration: &mut Migration,
    control: &Control,
    made: &mut Made,
    guard: &mut Option<Guard>,
) -> Result<Report> {
    control.enter(Phase::Prepare);
    if !migration.options.rehearsal {
        control.prepare_postponement()?;
    }
    let policies = &mut std::mem::take(&mut migration.policies);
    let migration = &*migration;
    let Migration { connector, server, stream, table, neighbours, options, .. } = migration;
    if stream.is_none() {
        switch_to_row_format(connector, server, options)?;
    }
    let resumed = migration.resumed.as_deref();
    let takes_over = resumed.map(|task| (task.longest_silence(), &control.cancel));
    let guard = guard.insert(Guard::take(connector, server.flavor, &table.name, takes_over)?);
    guard.fence(connector);
    options.steps.at(Step::LockTaken, guard.session().id());
    let mut definer = Session::open(connector, server.flavor, Purpose::Definition)?;
    if resumed.is_none()
        && Definition::read(&mut definer, &table.name)?.text != table.definition.text
    {
        let why = format!("the definition of {} was changed since the plan was made", table.name);
        return Err(Error::new(ErrorKind::TableChanged, why));
    }
    if !options.is_test()
        && resumed.is_none()
        && let Some(how) = native::attempt(migration, control)?
    {
        control.note_swap();
        return Ok(native::report(migration, control, how));
    }
    let begun = begin(migration, control, guard, &mut definer, made)?;
    let Begun { state, ghost, continued, start } = begun;
    let is_swapped = continued.as_ref().is_some_and(Continued::is_swapped);
    let mut free_id = || free_server_id(options.server_id, &mut definer, server, stream.as_ref());
    let mut server_id = free_id();
    for _ in 0..50 {
        // The stream of the run that has died may not have ended yet.
        if server_id.is_ok() || continued.is_none() {
            break;
        }
        control.cancel.sleep(Duration::from_millis(100))?;
        server_id = free_id();
    }
    let server_id = server_id?;
    let source = Source { connector, server, replica: stream.as_ref(), server_id, start };
    let follow = Follow::new(source, table, &ghost, options)?;
    if let Some(continued) = &continued {
        follow.goes_on(continued, &ghost)?;
        control.goes_on(continued);
    }
    control.watch(&follow.feed, &follow.refresher, &follow.sizer);
    if let Some(Continued { stage: Stage::TidyUp { conflicting }, .. }) = &continued {
        let proof = Proof { conflicting: conflicting.clone(), ..Proof::default() };
        let ended = Ended::Swapped(Swapped::default(), proof);
        let outcome = Outcome { ended, verification: None };
        return Ok(finish(migration, control, &state, definer, &follow, outcome));
    }

    let flavor = server.flavor;
    let outcome = std::thread::scope(|scope| {
        let _dismiss = DismissCrew(control);
        let crew = Crew { scope, control };
        let (follow, state) = (&follow, &state);
        let cancel = &control.cancel;
        let open = |purpose| {
            Session::open_patiently(connector, flavor, purpose, options.retries(), cancel)
        };
        crew.spawn("stream", move || {
            let changed = |key| {
                follow.touched.note(&key);
                is_swapped || follow.pending.add(key, cancel)
            };
            follow.stream.read(&follow.config, cancel, &changed)
        })?;
        if let Some(replica) = stream {
            crew.spawn("replica", move || replica.watch(&follow.feed, cancel))?;
        }
        let heartbeat = options.heartbeat;
        crew.spawn("heartbeat", move || {
            let kept = guard.keep(state, &follow.feed, heartbeat, cancel, &|took| {
                control.note_heartbeat(took);
            });
            let mut other = None;
            if let Err(error) = kept
                && error.kind() != ErrorKind::Aborted
            {
                // Not to fail: a swap that is asked for already comes to its end.
                control.give_up(error);
                other = open(Purpose::Inspect).ok();
            }
            let session = other.as_mut().unwrap_or_else(|| guard.session());
            control.end_long_statement(session)?;
            // Whoever ends the run waits for it.
            control.counting.stop(session)
        })?;
        crew.spawn("throttle", move || {
            keep_gate((connector, server), options, control, policies, follow, state)
        })?;
        let workers = if is_swapped { 0 } else { options.refresh_workers.max(1) };
        for part in 0..workers {
            let mut session = open(Purpose::Refresh)?;
            crew.spawn("refresh", move || {
                const MOST_KEYS: usize = 1000;
                let (refresher, gate) = (&follow.refresher, &control.gate);
                crate::refresh::worker::run(refresher, part, MOST_KEYS, &mut session, gate, cancel)
            })?;
        }

        if !is_swapped {
            let mut session = open(Purpose::Rows)?;
            let (every, retries) = (options.checkpoint_interval, options.retries());
            crew.spawn("checkpoint", move || {
                checkpoints::keep((control, follow, state), (every, retries), &mut session)
            })?;
        }

        let mut session = open(Purpose::Rows)?;
        if options.exact_row_count && !is_swapped {
            let session = open(Purpose::Inspect)?;
            crew.spawn("count", move || {
                control.counting.count(session, &table.name, control);
                Ok(())
            })?;
        }
        let stages = Stages {
            connector,
            server,
            table,
            neighbours,
            options,
            control,
            follow,
            state,
            ghost: &ghost,
            continued: continued.as_ref(),
        };
        let result = if is_swapped {
            stages.prove_swap(&mut session)
        } else {
            stages.in_step(&mut session, &mut definer)
        };
        cancel.set();
        match stream {
            None => follow.stream.stop(Some(&mut session)),
            Some(replica) => {
                follow.stream.stop(Session::open_plain(&replica.connector).ok().as_mut());
            }
        }
        if control.counting.stop(&mut session).is_err()
            && let Ok(mut other) = open(Purpose::Inspect)
        {
            let _ = control.counting.stop(&mut other);
        }
        result
    })?;
    Ok(finish(migration, control, &state, definer, &follow, outcome))
}
