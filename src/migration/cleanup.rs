//! Taking away what a failed run has made, or naming it where that cannot be done.

use std::time::{Duration, Instant};

use crate::cutover::SENTRY_COMMENT;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Leftover, Result, TableState};
use crate::fault::Fault;
use crate::inspect::Table;
use crate::sql::TableName;

/// What the run may have left on the server.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Tables, in the order in which they may be dropped.
    pub(crate) tables: Vec<TableName>,
    /// Where the sentry table may be, once the tables are about to be swapped.
    pub(crate) sentry: Option<TableName>,
}

/// Drops what the run has made, if the table is known to be untouched. Returns what is left.
pub(crate) fn clean_up(
    connector: &Connector,
    flavor: Flavor,
    made: &Made,
    state: TableState,
    keep: bool,
) -> Vec<Leftover> {
    let everything = || {
        let tables = made.tables.iter().chain(made.sentry.as_ref());
        tables.map(|name| Leftover::Table(name.to_string())).collect()
    };
    let drops = state == TableState::Untouched && !keep;
    // Without the run's lock, nobody gets any other than one that only looks.
    let purpose = if drops { Purpose::Definition } else { Purpose::Inspect };
    match open(connector, flavor, purpose) {
        Ok(session) if drops => drop_patiently(connector, flavor, session, made),
        Ok(mut session) => existing(&mut session, made).unwrap_or_else(|_| everything()),
        Err(error) => {
            log::debug!("no connection to clean up with: {}", error.message());
            everything()
        }
    }
}

/// Where connections are few, the server may not have noticed yet that the run's others are closed. One that has
/// died may be on its way back; and if it is not, nobody is to wait for it for long.
fn open(connector: &Connector, flavor: Flavor, purpose: Purpose) -> Result<Session> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let end = Instant::now() + PATIENCE;
    loop {
        match Session::open(connector, flavor, purpose) {
            Err(error)
                if matches!(error.fault(), Some(Fault::Busy | Fault::Gone))
                    && Instant::now() < end =>
            {
                std::thread::sleep(LOOK_AGAIN);
            }
            other => return other,
        }
    }
}

/// Again where the connection or the statement was killed: the server may have dropped the table nevertheless.
fn drop_patiently(
    connector: &Connector,
    flavor: Flavor,
    mut session: Session,
    made: &Made,
) -> Vec<Leftover> {
    const TRIES: u32 = 5;
    for _ in 1..TRIES {
        let (left, was_killed) = drop_all(&mut session, made);
        if !was_killed {
            return left;
        }
        match open(connector, flavor, Purpose::Definition) {
            Ok(other) => session = other,
            Err(_) => return left,
        }
    }
    drop_all(&mut session, made).0
}

/// Returns what is left, and whether that is because somebody has killed the one who was to drop it.
fn drop_all(session: &mut Session, made: &Made) -> (Vec<Leftover>, bool) {
    let (mut left, mut was_killed) = (Vec::new(), false);
    let sentry = sentry(session, made);
    for name in sentry.into_iter().chain(&made.tables) {
        match session.exec(&format!("DROP TABLE IF EXISTS {name}")) {
            Ok(_) => {}
            // The whole schema is gone.
            Err(error) if error.fault() == Some(Fault::NoSuchTable) => {}
            Err(error) => {
                log::debug!("{name} could not be dropped: {}", error.message());
                was_killed |= matches!(error.fault(), Some(Fault::Gone | Fault::Killed));
                left.push(Leftover::Table(name.to_string()));
            }
        }
    }
    (left, was_killed)
}

/// The sentry table, if it is there.
fn sentry<'m>(session: &mut Session, made: &'m Made) -> Option<&'m TableName> {
    made.sentry.as_ref().filter(|sentry| {
        let comment = Table::comment(session, sentry);
        matches!(&comment, Ok(Some(comment)) if comment == SENTRY_COMMENT)
    })
}

fn existing(session: &mut Session, made: &Made) -> Result<Vec<Leftover>> {
    let mut left = Vec::new();
    for name in made.tables.iter().chain(sentry(session, made)) {
        if Table::exists(session, name)? {
            left.push(Leftover::Table(name.to_string()));
        }
    }
    Ok(left)
}
