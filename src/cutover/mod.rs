//! The cut-over: a loop of attempts, each of which either swaps the two tables or leaves
//! everything as it was.
//!
//! [`rename_under_lock`] and [`queued_rename`] are the two strategies, chosen by the kind of
//! server. [`under_lock`] is what both do while writers are blocked, [`outcome`] finds out what
//! became of a swap whose answer was lost, [`dressing`] what goes on the ghost at the last moment, and [`proof`] shows after the swap that no write was
//! missed, or repairs it.

mod blockers;
pub(crate) mod dressing;
mod outcome;
pub(crate) mod proof;
mod queued_rename;
mod rename_under_lock;
mod under_lock;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use self::blockers::{Blocker, KillBlockers};
use self::dressing::Dressing;
use serde::{Deserialize, Serialize};

use crate::binlog::Feed;
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Result, TableState};
use crate::fault::Fault;
use crate::inspect::table::Definition;
use crate::refresh::Refresher;
use crate::sql::statements::{TablePair, join};
use crate::sql::{Ident, TableName};
use crate::steps::Steps;
use crate::throttle::Gate;

pub(crate) use queued_rename::SENTRY_COMMENT;

/// What a cut-over works with.
#[derive(Debug)]
pub(crate) struct CutOver<'a> {
    pub(crate) pair: Arc<TablePair>,
    pub(crate) old: TableName,
    pub(crate) connector: &'a Connector,
    pub(crate) flavor: Flavor,
    pub(crate) state: &'a StateTable,
    pub(crate) feed: &'a Feed,
    pub(crate) refresher: &'a Refresher,
    pub(crate) steps: &'a Steps,
    pub(crate) cancel: &'a Cancel,
    /// The definitions that the two tables must still have.
    pub(crate) source_definition: &'a Definition,
    pub(crate) ghost_definition: Mutex<Definition>,
    pub(crate) counter: Counter,
    pub(crate) stand_in: Option<StandIn>,
    /// Whether the stand-in index has been dropped.
    pub(crate) settled: AtomicBool,
    pub(crate) dressing: &'a Dressing,
    /// Whether foreign keys or triggers may be on the ghost.
    pub(crate) dressed: AtomicBool,
    /// How many attempts were given up because the parents were in use.
    pub(crate) yields: AtomicU32,
    /// How many blockers were ended.
    pub(crate) killed: AtomicU32,
    /// The stream is that of a replica.
    pub(crate) reads_replica: bool,
    pub(crate) gate: &'a Gate,
    pub(crate) limits: CutOverLimits,
}

/// What the ghost's AUTO_INCREMENT counter is to be. It may have counted rows that came and went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// It has none.
    None,
    /// The table's.
    Carried,
    /// What the ALTER says.
    Set(u64),
}

/// The index that stands in on the ghost for that of the chosen key, until the cut-over, and the
/// generated columns that it needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StandIn {
    pub(crate) name: Ident,
    /// `UNIQUE KEY name (column, ..)`
    pub(crate) definition: String,
    /// Each by its name and the rest of its definition.
    pub(crate) columns: Vec<(Ident, String)>,
}

impl StandIn {
    /// The clauses of the statements that drop it. Each is about metadata alone; in one statement
    /// both servers would rebuild the table.
    fn drops(&self) -> Vec<String> {
        let columns = self.columns.iter().map(|(name, _)| format!("DROP COLUMN {name}"));
        let columns = join(columns);
        let index = format!("DROP INDEX {}", self.name);
        if columns.is_empty() { vec![index] } else { vec![index, columns] }
    }

    /// The clauses of the statements that add again what is not there of it.
    pub(crate) fn adds(&self, ghost: &Definition) -> Vec<String> {
        let missing = self.columns.iter().filter(|(name, _)| !ghost.has_column(name));
        let columns = join(missing.map(|(name, ty)| format!("ADD COLUMN {name} {ty}")));
        let index = ghost.key(&self.name).is_none().then(|| format!("ADD {}", self.definition));
        Some(columns).filter(|columns| !columns.is_empty()).into_iter().chain(index).collect()
    }
}

/// How long and how often a cut-over is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutOverLimits {
    /// For at most this long does one attempt wait for a lock, and for at most this long again do
    /// writers wait for it.
    pub(crate) lock_timeout: Duration,
    pub(crate) attempts: u32,
    /// The longest pause between attempts.
    pub(crate) longest_pause: Duration,
    pub(crate) kill_blockers: Option<KillBlockers>,
}

impl CutOverLimits {
    /// For `lock_wait_timeout`, which counts whole seconds.
    fn lock_seconds(&self) -> u64 {
        self.lock_timeout.as_secs().max(1)
    }
}

/// The tables are swapped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swapped {
    pub(crate) attempts: u32,
    /// For how long writers were blocked.
    pub(crate) locked: Duration,
}

/// What became of one attempt.
#[derive(Debug)]
enum Attempt {
    Swapped {
        locked: Duration,
    },
    /// Everything is as it was, and another attempt may succeed.
    Retry(String),
}

/// Told of attempts.
pub(crate) trait Attempts {
    /// Whether the next attempt has to wait.
    fn is_postponed(&mut self) -> bool;
    /// Waits for as long as that is so.
    fn wait(&mut self, session: &mut Session) -> Result<()>;
    /// An attempt begins; an error if it should not.
    fn begins(&mut self, attempt: u32) -> Result<()>;
    /// It was given up, with everything as it was.
    fn failed(&mut self, attempt: u32, why: &str, blockers: &[Blocker]);
}

impl CutOver<'_> {
    /// Swaps the tables. On an error, its table state says whether they may be swapped.
    pub(crate) fn run(&self, control: &mut Session, told: &mut dyn Attempts) -> Result<Swapped> {
        let mut why = String::new();
        for attempt in 1..=self.limits.attempts {
            if attempt > 1 {
                let pause = Duration::from_millis(50 << attempt.min(10));
                self.cancel.sleep(pause.min(self.limits.longest_pause))?;
            }
            let in_step = loop {
                let in_step = self.catch_up(control)?;
                // As late as possible: the time to cut over may have passed meanwhile.
                if !told.is_postponed() {
                    break in_step;
                }
                self.refresher.pending().hurry(false);
                told.wait(control)?;
            };
            told.begins(attempt)?;
            let mut held = false;
            let result = if in_step {
                self.attempt(control, &mut held)
            } else {
                // Writers would wait in vain.
                Ok(Attempt::Retry("the binlog stream is behind".to_owned()))
            };
            let result = if is_undone(&result) { self.undo(control, result) } else { result };
            if is_undone(&result) {
                self.feed.no_last_call();
                self.refresher.pending().hurry(false);
                if held {
                    self.refresher.pending().resume();
                }
            }
            match result? {
                Attempt::Swapped { locked } => {
                    return Ok(Swapped { attempts: attempt, locked });
                }
                Attempt::Retry(reason) => {
                    let blockers = self.blockers(control);
                    told.failed(attempt, &reason, &blockers);
                    why = reason;
                    if let Some(first) = blockers.first() {
                        let _ = write!(why, "; maybe because of {}", first.who());
                    }
                    // Not for an attempt that will not come, or not now.
                    self.cancel.check()?;
                    if !told.is_postponed() {
                        self.kill_blockers(control, attempt, &blockers)?;
                    }
                }
            }
        }
        let attempts = self.limits.attempts;
        Err(Error::new(ErrorKind::CutOver, format!("no cut-over in {attempts} attempts: {why}")))
    }

    /// Behind an attempt that failed: takes back what it has done to the ghost.
    fn undo(&self, control: &mut Session, failed: Result<Attempt>) -> Result<Attempt> {
        let undone = control.retrying(PATIENT, self.cancel, |control| {
            self.undress(control)?;
            self.put_stand_in_back(control)
        });
        let Err(error) = undone else { return failed };
        // What the attempt has failed of is what matters.
        let error = failed.err().unwrap_or(error);
        if !self.dressed.load(Ordering::SeqCst) {
            return Err(error);
        }
        let ghost = &self.pair.ghost;
        Err(error.context(format_args!("{ghost} may have foreign keys and triggers still")))
    }

    /// Who is in the way, as far as that can be seen.
    fn blockers(&self, control: &mut Session) -> Vec<Blocker> {
        let found = blockers::find(control, self.connector, self.flavor, &self.pair.source);
        found.unwrap_or_else(|error| {
            log::debug!("it is not seen who uses the table: {}", error.message());
            Vec::new()
        })
    }

    /// Ends those of them that may be ended.
    fn kill_blockers(&self, control: &mut Session, attempt: u32, found: &[Blocker]) -> Result<()> {
        let Some(may) = self.limits.kill_blockers.filter(|may| attempt >= may.after_attempts)
        else {
            return Ok(());
        };
        let is_somebody =
            |blocker: &&Blocker| !["system user", "event_scheduler", ""].contains(&&*blocker.user);
        let old = found.iter().filter(|blocker| blocker.time >= may.older_than);
        for blocker in old.filter(is_somebody) {
            if self.killed.fetch_add(1, Ordering::SeqCst) >= may.at_most {
                return Ok(());
            }
            log::warn!("ending {}, which keeps the table from being locked", blocker.who());
            control.kill(blocker.connection).map_err(|error| error.context("ending a blocker"))?;
        }
        Ok(())
    }

    /// `held`: whether the workers have been told to pause.
    fn attempt(&self, control: &mut Session, held: &mut bool) -> Result<Attempt> {
        // Connecting takes longer than the lock itself. What the workers have not refreshed when they
        // pause, writers wait for.
        let mut hold = || -> Result<()> {
            *held = true;
            self.refresher.pending().pause(self.cancel)?;
            self.refresher.pending().lift_limit();
            Ok(())
        };
        let result = match self.flavor {
            Flavor::MySql => self.session(Purpose::Refresh).and_then(|locker| {
                hold()?;
                self.rename_under_lock(control, locker)
            }),
            Flavor::MariaDb => self.sessions().and_then(|sessions| {
                hold()?;
                self.queued_rename(control, sessions)
            }),
        };
        match result {
            // Errors that pass, with everything as it was, are for another attempt.
            Err(error)
                if error.table_state() == TableState::Untouched
                    && error.fault().is_some_and(Fault::lets_cut_over_again) =>
            {
                if error.fault() == Some(Fault::Gone) {
                    control.retrying(PATIENT, self.cancel, |session| session.exec("DO 1"))?;
                }
                Ok(Attempt::Retry(error.message().to_owned()))
            }
            other => other,
        }
    }

    /// Gets as close to being in step as is possible without a lock, so that little is left to do
    /// under it. How little is asked for less and less the longer it takes: writers that are as
    /// fast as the refreshes must not keep the cut-over from happening for ever.
    fn catch_up(&self, control: &mut Session) -> Result<bool> {
        const FEW: usize = 500;
        const MANY: usize = 16_000;
        const ROUND: Duration = Duration::from_secs(2);
        const ROUNDS: u32 = 30;
        let pending = self.refresher.pending();
        pending.hurry(true);
        let (mut enough, mut in_step) = (FEW, false);
        for _ in 0..ROUNDS {
            self.gate.pass(self.cancel)?;
            let marker = control.retrying(PATIENT, self.cancel, |session| {
                self.state.write_marker(session, self.feed, |_| ())
            })?;
            in_step = self.feed.wait_for_marker(marker, ROUND, self.cancel)?;
            if in_step && pending.wait_for_at_most(enough, ROUND, self.cancel)? {
                return Ok(true);
            }
            enough = (enough * 2).min(MANY);
        }
        // What is left may never go away by itself, such as rows in conflict: the attempt will tell.
        Ok(in_step)
    }

    /// An attempt that failed after the stand-in index had been dropped needs it again.
    fn put_stand_in_back(&self, control: &mut Session) -> Result<()> {
        let Some(stand_in) = &self.stand_in else { return Ok(()) };
        if self.settled.load(Ordering::SeqCst) {
            let ghost = &self.pair.ghost;
            // The drop itself may have been what failed.
            for clause in stand_in.adds(&Definition::read(control, ghost)?) {
                control.exec(&format!("ALTER TABLE {ghost} {clause}"))?;
            }
            *self.ghost_definition.lock() = Definition::read(control, ghost)?;
            self.settled.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// A session that waits for locks for as long as an attempt may, and that the server ends soon
    /// when it hears no more of it: a client that vanished must not keep the table locked.
    fn session(&self, purpose: Purpose) -> Result<Session> {
        let mut session = Session::open(self.connector, self.flavor, purpose)?;
        let seconds = self.limits.lock_seconds();
        session.exec(&format!(
            "SET SESSION lock_wait_timeout = {seconds}, wait_timeout = {}",
            3 * seconds + 5
        ))?;
        Ok(session)
    }

    /// `RENAME TABLE t TO _t_del, _t_gho TO t`
    fn rename_sql(&self) -> String {
        let TablePair { source, ghost, .. } = &*self.pair;
        let old = &self.old;
        format!("RENAME {} TABLE {source} TO {old}, {ghost} TO {source}", crate::sql::TAG)
    }
}

/// Whether the tables are known not to be swapped.
fn is_undone(attempt: &Result<Attempt>) -> bool {
    match attempt {
        Ok(Attempt::Swapped { .. }) => false,
        Ok(Attempt::Retry(_)) => true,
        Err(error) => error.table_state() != TableState::Unknown,
    }
}

/// How an attempt ends whose ghost could not be brought in step under the lock, or in time.
fn not_ready(prepared: Result<bool>) -> Option<Result<Attempt>> {
    match prepared {
        Ok(true) => None,
        Ok(false) => Some(Ok(Attempt::Retry("the binlog stream took too long".to_owned()))),
        Err(error) => Some(Err(error)),
    }
}

/// Gives back the table locks of a session, for certain.
fn unlock(mut locker: Session, control: &mut Session) {
    let mark = locker.mark().clone();
    if let Err(error) = locker.exec("UNLOCK TABLES") {
        log::debug!("UNLOCK TABLES: {}", error.message());
        drop(locker);
        if let Err(error) = control.end(&mark, &Cancel::default()) {
            log::warn!("connection {} may hold locks still: {}", mark.id, error.message());
        }
    }
}

/// For connections that the cut-over cannot do without.
const PATIENT: crate::db::Retries = crate::db::Retries::DEFAULT;

/// Measures for how long writers are blocked.
#[derive(Debug)]
struct LockClock(Instant);

impl LockClock {
    fn start() -> Self {
        LockClock(Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
