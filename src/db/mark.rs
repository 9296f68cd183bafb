//! By what connections of ours are known, and how they are looked at and ended by others of ours.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::session::{NamedRow, Session, missing};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::sql::literal;

/// What the names of their locks begin with.
const PREFIX: &str = "online-alter#";

/// What a connection is known by, even when it is lost: a named lock that it alone holds. Its id is
/// not enough, as it may be somebody else's after a restart of the server. The lock is given back
/// last, after the connection's transaction and its table locks.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: u32,
    pub(crate) lock: String,
    /// From when on the connection is ours, by the server's clock, in seconds since 1970: a server that is started again
    /// gives the id to somebody else.
    pub(crate) since: u64,
    /// Whether the lock has been taken already.
    pub(super) held: bool,
}

impl Mark {
    pub(super) fn new(id: u32) -> Self {
        // A hasher with random keys is the standard library's only source of randomness.
        let lock = format!("{PREFIX}{:016x}", RandomState::new().hash_one(id));
        Mark { id, lock, since: 0, held: false }
    }

    /// Of another run, by what that has written down. Only with a lock of the form that ours have: whoever may write there
    /// must not have us end the connection that holds any other.
    pub(crate) fn of_other(id: u32, lock: String, since: u64) -> Option<Self> {
        let random = lock.strip_prefix(PREFIX)?;
        let is_ours = random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit());
        is_ours.then_some(Mark { id, lock, since, held: true })
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// The expression for the id of the connection, if the server still has it.
    pub(super) fn held_by(&self) -> String {
        format!("IS_USED_LOCK({})", literal::text(&self.lock))
    }
}

impl Session {
    /// Ends another connection of ours, and waits until the server has given back all that it held.
    pub(crate) fn end(&mut self, other: &Mark, cancel: &Cancel) -> Result<()> {
        while let Some(id) = self.id_of(other)? {
            self.kill(id)?;
            cancel.sleep(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Takes a named lock, if nobody has it. `lock` is its name as a literal.
    pub(crate) fn take_lock(&mut self, lock: &str) -> Result<bool> {
        Ok(self.scalar(&format!("SELECT GET_LOCK({lock}, 0)"))?.as_deref() == Some("1"))
    }

    /// Ends the statement of another connection of ours, if the server still has that.
    pub(crate) fn end_query(&mut self, other: &Mark) -> Result<()> {
        self.id_of(other)?.map_or(Ok(()), |id| self.kill_query(id))
    }

    /// Whether another connection of ours is executing something. Its client may be lost without the server's
    /// knowing: then it has no more to do when its statement has ended.
    pub(crate) fn is_busy(&mut self, other: &Mark) -> Result<bool> {
        let Some(id) = self.id_of(other)? else { return Ok(false) };
        Ok(self.command_of(id)?.is_some_and(|command| command != "Sleep"))
    }

    /// Whether there is a connection of that id, whoever's.
    pub(crate) fn sees(&mut self, id: u32) -> Result<bool> {
        Ok(self.command_of(id)?.is_some())
    }

    /// What a connection does, as far as the user may see it.
    fn command_of(&mut self, id: u32) -> Result<Option<String>> {
        let id = id.to_string();
        let value = |row: &NamedRow, name: &str| {
            let column = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            column.and_then(|(_, value)| value.clone())
        };
        // Not by the information schema's list, which MySQL refuses to show while somebody writes an emoji (3854).
        let rows = self.named_rows("SHOW PROCESSLIST")?;
        let row = rows.iter().find(|row| value(row, "Id").as_deref() == Some(&id));
        Ok(row.map(|row| value(row, "Command").unwrap_or_default()))
    }

    /// The id of another connection of ours, if the server still has that.
    pub(crate) fn id_of(&mut self, other: &Mark) -> Result<Option<u32>> {
        let id = self.scalar(&format!("SELECT {}", other.held_by()))?;
        id.map(|id| id.parse().map_err(|_| missing("who holds a lock"))).transpose()
    }

    /// Ends another connection; one that is gone already is no error.
    pub(crate) fn kill(&mut self, id: u32) -> Result<()> {
        // ER_NO_SUCH_THREAD
        match self.exec(&format!("KILL {id}")) {
            Err(error) if error.server_code() == Some(1094) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Ends the statement of another connection; one that is gone already is no error.
    pub(crate) fn kill_query(&mut self, id: u32) -> Result<()> {
        match self.exec(&format!("KILL QUERY {id}")) {
            Err(error) if error.server_code() == Some(1094) => Ok(()),
            other => other.map(drop),
        }
    }
}
