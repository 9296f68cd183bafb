//! The connection that holds the run's named lock, and writes its heartbeats.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::binlog::Feed;
use crate::cancel::Cancel;
use crate::checkpoint::StateTable;
use crate::db::{Connector, Flavor, Purpose, Session, missing};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::{TableName, ident, literal};

/// Between two looks at whether the lock is still ours.
const CHECK: Duration = Duration::from_secs(1);

/// The name of the lock that keeps two runs apart that are on one table, or on two whose names are shortened to the same: an
/// expression, as one and the same table may have a name in capitals and one without. MySQL compares the names of
/// locks without regard to case, MariaDB with.
fn lock(table: &TableName) -> String {
    let (schema, base) = (table.schema.as_str(), table.base());
    let exact = lock_name(schema, &base);
    let folded = lock_name(&schema.to_lowercase(), &base.to_lowercase());
    let (exact, folded) = (literal::text(&exact), literal::text(&folded));
    if exact == folded {
        return exact;
    }
    format!("IF(@@lower_case_table_names = 0, {exact}, {folded})")
}

/// At most 64 characters, and different for different tables.
fn lock_name(schema: &str, base: &str) -> String {
    let full = format!("online-alter:{schema}.{base}");
    let is_plain = full == full.to_lowercase() && !schema.contains('.') && !base.contains('.');
    if is_plain && full.chars().count() <= ident::MAX_CHARS {
        return full;
    }
    let head: String = full.chars().take(ident::MAX_CHARS - 9).collect();
    format!("{head}:{:08x}", ident::fnv1a(format!("{schema}\0{base}").as_bytes()))
}

/// The connection that holds the lock, if one does.
pub(crate) fn holder(session: &mut Session, table: &TableName) -> Result<Option<u32>> {
    let holder = session.scalar(&format!("SELECT IS_USED_LOCK({})", lock(table)))?;
    holder.map(|id| id.parse().map_err(|_| missing("who holds a lock"))).transpose()
}

/// Holds the named lock for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    session: Session,
    lock: String,
}

impl Guard {
    /// `resumes`: a run that holds the lock, and does not write a heartbeat for so long, is ended.
    pub(crate) fn take(
        connector: &Connector,
        flavor: Flavor,
        table: &TableName,
        resumes: Option<(Duration, &Cancel)>,
    ) -> Result<Self> {
        let mut session = Session::open(connector, flavor, Purpose::Rows)?;
        let lock = lock(table);
        let mut is_taken = session.take_lock(&lock)?;
        if let (false, Some(patience)) = (is_taken, resumes) {
            is_taken = take_from_dead(&mut session, &lock, &table.state(), patience)?;
        }
        if !is_taken {
            return Err(already_running(table));
        }
        Ok(Guard { session, lock })
    }

    /// From now on every session of the run that may write makes sure first that this lock is still held.
    pub(super) fn fence(&self, connector: &Connector) {
        connector.guarded_by(&self.lock, self.session.mark());
    }

    /// Does something that may take long, and writes heartbeats meanwhile, which no stream waits for.
    pub(super) fn beating<T>(
        &mut self,
        state: &StateTable,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        const EVERY: Duration = Duration::from_secs(1);
        let session = &mut self.session;
        std::thread::scope(|scope| {
            let (done, is_done) = crossbeam_channel::bounded::<()>(0);
            scope.spawn(move || {
                while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = state.write_canary(session) {
                        log::debug!("no heartbeat: {}", error.message());
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    /// Writes heartbeats, and looks after the lock, until the run is asked to stop. Without the
    /// lock the run cannot go on: another one may have begun. `took` is told how long each took.
    pub(crate) fn keep(
        &mut self,
        state: &StateTable,
        feed: &Feed,
        every: Duration,
        cancel: &Cancel,
        took: &dyn Fn(Duration),
    ) -> Result<()> {
        let mut checked = Instant::now();
        let mut written: Option<Instant> = None;
        loop {
            if written.is_none_or(|written| written.elapsed() >= every) {
                let began = Instant::now();
                match state.write_marker(&mut self.session, feed, |_| ()) {
                    Ok(_) => took(began.elapsed()),
                    Err(error) if error.fault() == Some(Fault::Gone) => return Err(lost(&error)),
                    Err(error) if error.fault().is_some_and(Fault::is_passing) => {
                        log::debug!("no heartbeat: {}", error.message());
                    }
                    Err(error) => return Err(error.context("writing a heartbeat")),
                }
                written = Some(Instant::now());
            }
            if checked.elapsed() >= CHECK {
                match self.check() {
                    Ok(()) => checked = Instant::now(),
                    // As long as nobody knows that it is lost, it is ours.
                    Err(error) if error.fault().is_some_and(Fault::is_passing) => {
                        log::debug!("the named lock is not looked at: {}", error.message());
                    }
                    Err(error) => return Err(error),
                }
            }
            // However rare heartbeats are, a lock that is lost is noticed.
            let rest = written.map_or(every, |written| every.saturating_sub(written.elapsed()));
            cancel.sleep(rest.min(CHECK))?;
        }
    }

    /// Makes sure that the lock is still ours.
    pub(crate) fn check(&mut self) -> Result<()> {
        let sql = format!("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", self.lock);
        match self.session.scalar(&sql) {
            Ok(Some(held)) if held == "1" => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::LockLost, "the run's named lock is lost")),
            Err(error) if error.fault() == Some(Fault::Gone) => Err(lost(&error)),
            Err(error) => Err(error),
        }
    }

    /// Gives the lock back at once: when the server notices that a connection is gone, the next run may
    /// have been refused already.
    pub(crate) fn release(mut self) {
        if let Err(error) = self.session.exec(&format!("DO RELEASE_LOCK({})", self.lock)) {
            log::debug!("the run's named lock goes with its connection: {}", error.message());
        }
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// Waits for the lock of a run that seems to be dead, and ends the connection that holds it once that has been silent for
/// long. One whose program was killed gives it back at once; one whose machine is gone, not for a year.
fn take_from_dead(
    session: &mut Session,
    lock: &str,
    state: &TableName,
    (silence, cancel): (Duration, &Cancel),
) -> Result<bool> {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(10);
    let is_used = format!("SELECT IS_USED_LOCK({lock})");
    let first = StateTable::last_marker(session, state)?;
    let (mut began, mut holder) = (Instant::now(), session.scalar(&is_used)?);
    while began.elapsed() < silence {
        if session.take_lock(lock)? {
            return Ok(true);
        }
        if StateTable::last_marker(session, state)? != first {
            return Ok(false);
        }
        let now = session.scalar(&is_used)?;
        if now != holder {
            (began, holder) = (Instant::now(), now);
        }
        cancel.sleep(LOOK_AGAIN)?;
    }
    if let Some(id) = holder {
        log::warn!("connection {id} of an earlier run has been silent for long, and is ended");
        session.kill(id.parse().map_err(|_| missing("who holds the lock"))?)?;
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if session.take_lock(lock)? {
            return Ok(true);
        }
        cancel.sleep(LOOK_AGAIN)?;
    }
    Ok(false)
}

/// The error of whoever is not the first.
pub(crate) fn already_running(table: &TableName) -> Error {
    let shortened = table.base() != table.table.as_str() || table.base().chars().count() > 50;
    let or = if shortened { ", or on one whose ghost would have the same name" } else { "" };
    Error::new(ErrorKind::AlreadyRunning, format!("another run works on {table}{or}"))
}

fn lost(error: &Error) -> Error {
    let why =
        format!("the connection that holds the run's named lock is lost: {}", error.message());
    Error::new(ErrorKind::LockLost, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Ident;

    fn of(schema: &str, table: &str) -> String {
        lock(&TableName::new(Ident::new(schema), Ident::new(table)))
    }

    #[test]
    fn locks_of_different_tables_are_different() {
        assert_eq!(of("s", "t"), "'online-alter:s.t'");
        assert_ne!(of("a.b", "c"), of("a", "b.c"));
        let long = "x".repeat(63);
        assert_ne!(of("s", &format!("{long}a")), of("s", &format!("{long}b")));
        // For a server that compares them without regard to case, too.
        let exact = |text: &str| lock_name("s", text).to_lowercase();
        assert_ne!(exact("T"), exact("t"));
        assert_ne!(exact("TT"), exact("Tt"));
        assert!(of("s", "T").ends_with("'online-alter:s.t')"), "{}", of("s", "T"));
        assert!(lock_name("s", &"\u{c4}".repeat(64)).chars().count() <= 64);
    }

    #[test]
    fn names_that_become_the_same_share_a_lock() {
        let long = TableName::new(Ident::new("s"), Ident::new("x".repeat(64)));
        let other = TableName::new(Ident::new("s"), Ident::new(long.base()));
        assert_eq!((long.ghost(), lock(&long)), (other.ghost(), lock(&other)));
    }
}
