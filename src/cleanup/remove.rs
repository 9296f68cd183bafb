//! Taking away what may go, in an order in which it can be broken off anywhere and begun again.

use std::time::{Duration, Instant};

use super::found::{Found, What};
use super::remnant::{Cleaned, Removal, Role};
use super::site::Site;
use crate::db::{Purpose, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::inspect::table::Definition;
use crate::migration::guard::Guard;
use crate::sql::TableName;
use crate::sql::statements::join;

/// How long a statement that was ended may take to undo what it has done.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Site {
    pub(super) fn remove(&mut self, named: &[String]) -> Result<Cleaned> {
        let mut sources: Vec<TableName> = Vec::new();
        for found in self.look(named)? {
            if !sources.contains(&found.source) {
                sources.push(found.source);
            }
        }
        let mut cleaned = Cleaned::default();
        for source in &sources {
            let removed = self.remove_of(source, named, &mut cleaned);
            self.held = None;
            if let Err(error) = removed {
                let left = self.look(named).unwrap_or_default().into_iter();
                let left = left.filter(|found| found.remnant.removal == Removal::Allowed);
                let left = left.map(|found| found.remnant.leftover).collect();
                return Err(error.with_leftovers(left));
            }
        }
        Ok(cleaned)
    }

    /// Removes what runs on one table have left, while none can begin.
    fn remove_of(
        &mut self,
        source: &TableName,
        named: &[String],
        cleaned: &mut Cleaned,
    ) -> Result<()> {
        let connector = self.connector()?;
        let mut guard = match Guard::take(&connector, self.server.flavor, source, None) {
            Err(error) if error.kind() == ErrorKind::AlreadyRunning && self.table.is_none() => {
                let left = self.look_of(source, named)?.into_iter();
                cleaned.left.extend(left.map(|found| found.remnant));
                return Ok(());
            }
            other => other?,
        };
        self.held = Some(guard.session().id());
        let mut session = Session::open(&connector, self.server.flavor, Purpose::Definition)?;
        // A queued RENAME would change what there is to remove.
        for found in self.look_of(source, named)? {
            if let What::Connection(id) = found.what {
                end(&mut session, id)?;
                log::info!("ended: {}", found.remnant);
                cleaned.removed.push(found.remnant);
            }
        }
        for found in self.look_of(source, named)? {
            if found.remnant.role == Role::Connection || found.remnant.removal != Removal::Allowed {
                cleaned.left.push(found.remnant);
                continue;
            }
            // Without the lock a run may have begun, whose tables have the same names.
            guard.check()?;
            take_away(&mut session, &found)?;
            log::info!("removed: {}", found.remnant);
            cleaned.removed.push(found.remnant);
        }
        guard.release();
        Ok(())
    }

    fn look_of(&mut self, source: &TableName, named: &[String]) -> Result<Vec<Found>> {
        Ok(self.look(named)?.into_iter().filter(|found| found.source == *source).collect())
    }
}

/// Ends a connection, and waits until the server has given up what it did.
fn end(session: &mut Session, id: u32) -> Result<()> {
    session.kill(id).map_err(|error| error.context(format_args!("ending connection {id}")))?;
    let end = Instant::now() + PATIENCE;
    while session.sees(id)? {
        if Instant::now() > end {
            let why = format!(
                "connection {id} was ended {} s ago, and still undoes what it has done: try again later",
                PATIENCE.as_secs()
            );
            return Err(Error::new(ErrorKind::Server, why));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn take_away(session: &mut Session, found: &Found) -> Result<()> {
    match &found.what {
        What::Connection(_) => Ok(()),
        What::Replication(start) => session.exec(start).map(drop),
        What::Table(name) => match session.exec(&format!("DROP TABLE {name}")) {
            // Somebody else was faster.
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => Ok(()),
            other => other
                .map(drop)
                .map_err(|error| error.context(format_args!("{name} could not be dropped"))),
        },
        What::ForeignKeys(name) => {
            let keys = Definition::read(session, name)?.foreign_keys();
            if keys.is_empty() {
                return Ok(());
            }
            let drops = join(keys.iter().map(|key| format!("DROP FOREIGN KEY {key}")));
            session.exec(&format!("ALTER TABLE {name} {drops}")).map(drop)
        }
    }
}
