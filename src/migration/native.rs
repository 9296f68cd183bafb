//! Leaving the ALTER to the server where that is quick: it only changes the definition, or the table is small.

use std::fmt;
use std::time::Duration;

use super::control::Control;
use super::options::Options;
use super::report::Report;
use super::run::Migration;
use crate::cancel::Cancel;
use crate::db::{Flavor, Purpose, Session};
use crate::error::{Error, Result, TableState};
use crate::fault::Fault;
use crate::inspect::neighbours::{ForeignKeys, Neighbours};
use crate::inspect::row_versions::RowVersions;
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Version};
use crate::sql::alter::AlterClause;
use crate::sql::{Ident, TableName};

/// How the server altered the table by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NativeAlter {
    /// With `ALGORITHM=INSTANT`: only the definition was changed.
    Instant,
    /// As it sees fit, as the table had few rows. Writers waited meanwhile.
    Small,
}

impl fmt::Display for NativeAlter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NativeAlter::Instant => "by ALGORITHM=INSTANT",
            NativeAlter::Small => "as a small table",
        })
    }
}

/// Lets the server try, if the caller wants that. `None` if it cannot, or the table's lock was not to be had: then
/// the table is as it was.
/// The refusal, if there was one, is noted.
pub(super) fn attempt(migration: &Migration, control: &Control) -> Result<Option<NativeAlter>> {
    let Migration { connector, server, table, clause, neighbours, options, .. } = migration;
    if options.wishes.foreign_keys == ForeignKeys::Discard && !neighbours.foreign_keys.is_empty() {
        // They would stay.
        if options.attempt_instant || options.native_below_rows > 0 {
            control
                .note_not_native("the server's own ALTER would keep the foreign keys".to_owned());
        }
        return Ok(None);
    }
    let (name, text) = (&table.name, &clause.text);
    // In MySQL 8.0.29 tables with INSTANT columns could be corrupted.
    // <https://dev.mysql.com/doc/relnotes/mysql/8.0/en/news-8-0-30.html>
    let is_sound = server.flavor != Flavor::MySql || server.version != Version(8, 0, 29);
    let used_up = || {
        let mut session = Session::open(connector, server.flavor, Purpose::Inspect).ok()?;
        used_up(&mut session, server, name, clause, options)
    };
    if options.attempt_instant && !is_sound {
        control.note_not_native("ALGORITHM=INSTANT is not sound in MySQL 8.0.29".to_owned());
    } else if let Some(RowVersions { now, most }) = used_up() {
        control.note_not_native(format!(
            "ALGORITHM=INSTANT: the table has {now} row versions, and {most} is the limit"
        ));
    } else if options.attempt_instant {
        // In front: behind the clause it could be part of a comment, and the table be copied under a lock.
        let sql = format!("ALTER TABLE {name} ALGORITHM=INSTANT, {text}");
        match alter(migration, control, &sql)? {
            Attempt::Done => return Ok(Some(NativeAlter::Instant)),
            Attempt::Refused(error) => control.note_not_native(error.message().to_owned()),
        }
    }
    if options.native_below_rows > 0 && has_fewer_rows(migration, options.native_below_rows)? {
        let sql = format!("ALTER TABLE {name} {text}");
        match alter(migration, control, &sql)? {
            Attempt::Done => return Ok(Some(NativeAlter::Small)),
            Attempt::Refused(error) if error.fault() == Some(Fault::LockWait) => {
                control.note_not_native(error.message().to_owned());
            }
            Attempt::Refused(error) => return Err(error.context("the server's own ALTER")),
        }
    }
    Ok(None)
}

/// The row versions of the table, if an attempt at ALGORITHM=INSTANT is wanted and would be in vain because of them.
pub(crate) fn used_up(
    session: &mut Session,
    server: &ServerInfo,
    name: &TableName,
    clause: &AlterClause,
    options: &Options,
) -> Option<RowVersions> {
    // Other changes of the definition make no new version.
    let makes_one = !clause.added_columns.is_empty() || !clause.dropped_columns.is_empty();
    if !options.attempt_instant || !makes_one {
        return None;
    }
    RowVersions::read(session, server, name).filter(|versions| versions.are_used_up())
}

/// Counted, as estimates of small tables are no good.
fn has_fewer_rows(migration: &Migration, rows: u64) -> Result<bool> {
    let Migration { connector, server, table, .. } = migration;
    let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {rows}) AS few", table.name);
    let counted = session.scalar(&sql)?.and_then(|count| count.parse::<u64>().ok());
    Ok(counted.is_some_and(|count| count < rows))
}

/// The pause between tries to learn what became of an ALTER whose answer is lost; there are as many as of everything.
const PAUSE: Duration = Duration::from_secs(1);

enum Attempt {
    Done,
    /// With the table as it was.
    Refused(Error),
}

fn alter(migration: &Migration, control: &Control, sql: &str) -> Result<Attempt> {
    let Migration { connector, server, table, options, .. } = migration;
    control.cancel.check()?;
    let open = || Session::open(connector, server.flavor, Purpose::Definition);
    let mut session = open()?;
    // Everybody waits behind the one that waits for the lock.
    let seconds = options.lock_timeout.as_secs().max(1);
    session.exec(&format!("SET SESSION lock_wait_timeout = {seconds}"))?;
    match session.exec(sql) {
        Ok(_) => Ok(Attempt::Done),
        Err(error) if error.fault() != Some(Fault::Gone) => {
            log::debug!("the server does not alter the table by itself: {}", error.message());
            Ok(Attempt::Refused(error))
        }
        Err(error) => {
            // The answer is lost. Once the connection has ended, the definition tells.
            let unknown =
                |why: Error| why.context(error.message()).with_table_state(TableState::Unknown);
            let altered = || {
                let mut other = open()?;
                other.end(session.mark(), &Cancel::default())?;
                Ok(Definition::read(&mut other, &table.name)?.text != table.definition.text)
            };
            let mut tries = 0;
            loop {
                match altered() {
                    Ok(true) => return Ok(Attempt::Done),
                    Ok(false) => return Err(error),
                    Err(why) if tries >= options.retries => return Err(unknown(why)),
                    // The server may be starting. Also when the run has been asked to stop: it has to know.
                    Err(_) => std::thread::sleep(PAUSE),
                }
                tries += 1;
            }
        }
    }
}

/// The report of a run that had nothing to copy.
pub(super) fn report(migration: &Migration, control: &Control, how: NativeAlter) -> Report {
    let Neighbours { foreign_keys, triggers, .. } = &migration.neighbours;
    let same = |name: &Ident| (name.as_str().to_owned(), name.as_str().to_owned());
    Report {
        table: migration.table.name.to_string(),
        native: Some(how),
        old_table: None,
        test: None,
        rows_copied: 0,
        keys_refreshed: 0,
        keys_changed: 0,
        elapsed: control.elapsed(),
        copy_time: Duration::ZERO,
        cut_over_attempts: 0,
        locked: Duration::ZERO,
        throttled_time: Duration::ZERO,
        verification: None,
        reconciled_keys: Vec::new(),
        conflicting_keys: Vec::new(),
        foreign_keys: foreign_keys.iter().map(|key| same(&key.name)).collect(),
        triggers: triggers.iter().map(|trigger| same(&trigger.name)).collect(),
        not_native: None,
        warnings: control.take_warnings(),
    }
}
