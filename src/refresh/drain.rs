//! Refreshing all that is pending while the table is locked.

use std::time::Instant;

use super::refresher::{Refresher, too_big};
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::Key;
use crate::sql::key_value::Malformed;
use crate::sql::statements::OnLocked;

impl Refresher {
    /// Refreshes everything that is pending, all at once, on the connection that holds the
    /// cut-over's lock: nobody can be in the way.
    /// Gives up, with nothing done, when it takes longer than until `deadline`: writers are waiting.
    pub(crate) fn refresh_all_locked(
        &self,
        session: &mut Session,
        deadline: Instant,
    ) -> Result<usize> {
        let keys = self.pending.take_all();
        let result = match self.put_all(session, &keys, deadline) {
            Err(error) if error.fault() == Some(Fault::TooBig) => {
                self.put_in_parts(session, &keys, deadline)
            }
            result => result,
        };
        let count = keys.len();
        if result.is_err() {
            let _ = session.exec("ROLLBACK");
            self.pending.put_back(keys);
        }
        self.pending.done_all(count);
        result.map(|()| {
            self.count(count);
            count
        })
    }

    /// First takes all of them from the ghost and then puts all of them there, so that rows which
    /// have exchanged unique values do not meet.
    fn put_all(&self, session: &mut Session, keys: &[Key], deadline: Instant) -> Result<()> {
        const AT_ONCE: usize = 1000;
        if keys.is_empty() {
            return Ok(());
        }
        for batch in keys.chunks(AT_ONCE) {
            in_time(deadline)?;
            session.exec(&self.pair.delete_keys(batch)?)?;
        }
        for batch in keys.chunks(AT_ONCE) {
            in_time(deadline)?;
            let put = self.pair.put_keys(self.put(), batch, OnLocked::Wait)?;
            session.exec(&put)?;
        }
        session.exec("COMMIT").map(drop)
    }

    /// The same in several transactions, for servers that take no big ones. If it fails half-way, all
    /// keys are pending still.
    fn put_in_parts(&self, session: &mut Session, keys: &[Key], deadline: Instant) -> Result<()> {
        let delete = |keys: &[Key]| self.pair.delete_keys(keys);
        let put = |keys: &[Key]| self.pair.put_keys(self.put(), keys, OnLocked::Wait);
        self.in_parts(session, keys, deadline, &delete)?;
        self.in_parts(session, keys, deadline, &put)
    }

    fn in_parts(
        &self,
        session: &mut Session,
        keys: &[Key],
        deadline: Instant,
        statement: &dyn Fn(&[Key]) -> Result<String, Malformed>,
    ) -> Result<()> {
        const AT_ONCE: usize = 100;
        let mut parts: Vec<&[Key]> = keys.chunks(AT_ONCE).rev().collect();
        while let Some(part) = parts.pop() {
            in_time(deadline)?;
            let sql = statement(part)?;
            let done = session.exec(&sql).and_then(|_| session.exec("COMMIT"));
            match done {
                Err(error) if error.fault() == Some(Fault::TooBig) => {
                    session.exec("ROLLBACK")?;
                    if part.len() <= 1 {
                        return Err(too_big(&self.name_rows(session, part)));
                    }
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// An error if writers have waited for long enough.
fn in_time(deadline: Instant) -> Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let why = "what was still pending could not be refreshed in time";
    Err(Error::new(ErrorKind::CutOver, why).with_fault(Fault::LockWait, None))
}
