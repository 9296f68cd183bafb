//! Going on where an earlier run has stopped: what it wrote down of itself, and how another one takes its place.
//!
//! Connections of the earlier run are ended before anything else, as a late chunk of theirs could bring back deleted
//! rows. Then the tables show how far it came: whether they are swapped, whether the ghost has its indexes, whether it
//! was being dressed for the cut-over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Migration;
use super::cleanup::Made;
use super::control::Control;
use super::ghost::Ghost;
use crate::checkpoint::{CopiedSoFar, FORMAT, Saved, SavedPlace, StateTable};
use crate::cutover::{SENTRY_COMMENT, dressing};
use crate::db::{Mark, Session, missing};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::neighbours::{Neighbours, NewNames};
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Table};
use crate::sql::statements::join;

/// What a run does, as it wrote it down once the ghost was there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    format: u32,
    /// Of this crate.
    version: String,
    pub(crate) server: String,
    /// The server whose binlog is read.
    pub(crate) stream: String,
    pub(crate) clause: String,
    /// In milliseconds.
    pub(crate) heartbeat: u64,
    pub(crate) table: Table,
    pub(crate) neighbours: Neighbours,
    pub(crate) new_names: NewNames,
    pub(crate) ghost: Ghost,
    /// The ghost's definition before any row.
    pub(crate) ghost_definition: Definition,
}

impl Task {
    pub(super) fn of(migration: &Migration, ghost: &Ghost, ghost_definition: Definition) -> Self {
        let Migration { server, stream, table, clause, neighbours, new_names, options, .. } =
            migration;
        let stream = stream.as_ref().map_or(server, |replica| &replica.server);
        Task {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.identity.clone(),
            stream: stream.identity.clone(),
            clause: clause.text.clone(),
            heartbeat: u64::try_from(options.heartbeat.as_millis()).unwrap_or(u64::MAX),
            table: table.clone(),
            neighbours: neighbours.clone(),
            new_names: new_names.clone(),
            ghost: ghost.clone(),
            ghost_definition,
        }
    }

    /// For how long a run that lives is silent at most.
    pub(super) fn longest_silence(&self) -> Duration {
        Duration::from_millis(self.heartbeat).saturating_mul(3).max(Duration::from_secs(10))
    }

    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| cannot(error.to_string()))
    }

    /// Reads what another run has written, which may be of another version.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let unreadable = |error: serde_json::Error| {
            cannot(format!("what the run wrote down cannot be read: {error}"))
        };
        let Head { format, version } = serde_json::from_str(text).map_err(unreadable)?;
        if format != FORMAT {
            return Err(cannot(format!(
                "version {version} wrote it down in format {format}, and this one reads {FORMAT}"
            )));
        }
        serde_json::from_str(text).map_err(unreadable)
    }
}

pub(crate) fn cannot(why: impl Into<String>) -> Error {
    let why = why.into();
    Error::new(ErrorKind::CannotResume, format!("the run cannot be gone on with: {why}"))
}

/// How far the earlier run had come.
#[derive(Debug)]
pub(super) struct Continued {
    pub(super) place: SavedPlace,
    pub(super) copied: CopiedSoFar,
    pub(super) stage: Stage,
}

impl Continued {
    pub(super) fn is_swapped(&self) -> bool {
        !matches!(self.stage, Stage::Follow { .. })
    }
}

/// What is left to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Everything, from the copy on.
    Follow {
        /// The indexes that waited are there.
        indexes: bool,
    },
    /// The tables are swapped. To prove that nothing was missed behind the last call.
    Prove { last_call: u64 },
    /// To tidy up. Keys of conflicting rows, for people.
    TidyUp { conflicting: Vec<String> },
}

/// What the tables show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    AsTheyWere,
    Swapped,
    /// The old one is gone, too.
    SwappedAndDropped,
}

impl Tables {
    pub(crate) fn look(session: &mut Session, task: &Task) -> Result<Self> {
        let name = &task.table.name;
        let ghost = Table::exists(session, &name.ghost())?;
        let old = Table::comment(session, &name.old())?;
        match (ghost, old) {
            (true, old) if old.is_none() || old.as_deref() == Some(SENTRY_COMMENT) => {
                let now = Definition::read(session, name)?;
                if now.text != task.table.definition.text {
                    return Err(cannot(format!("the definition of {name} has been changed")));
                }
                Ok(Tables::AsTheyWere)
            }
            (true, _) => Err(cannot(format!("{} is there, and is not the run's", name.old()))),
            (false, Some(comment)) if comment != SENTRY_COMMENT => Ok(Tables::Swapped),
            (false, _) if StateTable::saved(session, &name.state(), Saved::Proven)?.is_some() => {
                Ok(Tables::SwappedAndDropped)
            }
            (false, _) => Err(cannot(format!("{} is gone", name.ghost()))),
        }
    }
}

/// Taking the place of another run. Nobody else can: the named lock is held.
pub(super) struct Taking<'a> {
    pub(super) migration: &'a Migration,
    pub(super) made: &'a mut Made,
    /// Its connections, as far as they may still be there.
    pub(super) dead: Vec<Mark>,
    pub(super) control: &'a Control,
}

impl Taking<'_> {
    /// Takes the place of the run that has written down this task.
    pub(super) fn up(&mut self, task: &Task, session: &mut Session) -> Result<Continued> {
        let source = &task.table.name;
        let state = source.state();
        for mark in &self.dead {
            session.end(mark, &self.control.cancel)?;
        }
        // Their ids are others' from now on.
        let until = session.scalar("SELECT UNIX_TIMESTAMP()")?;
        let until = until.and_then(|now| now.parse().ok()).unwrap_or(u64::MAX);
        self.dead.iter().for_each(|mark| self.migration.connector.owned(mark, until));
        let saved = |session: &mut Session, what| StateTable::saved(session, &state, what);
        let place = saved(session, Saved::Place)?;
        let place = SavedPlace::parse(&place.ok_or_else(|| missing("how far the run has come"))?)?;
        let copied = saved(session, Saved::Copied)?;
        let mut copied = copied
            .map_or_else(|| Ok(CopiedSoFar::through(None, 0)), |text| CopiedSoFar::parse(&text))?;
        let proven = saved(session, Saved::Proven)?;
        let tables = Tables::look(session, task)?;
        if tables != Tables::AsTheyWere {
            self.control.note_swap();
        }
        let stage = match (tables, proven) {
            (Tables::AsTheyWere, _) => {
                let indexes = take_up_ghost(task, session, &self.migration.server)?;
                // They are built behind that. What was written down last may have come first.
                copied.all |= indexes;
                // What goes wrong from here on may be taken back.
                self.made.tables = vec![source.ghost(), state];
                self.made.sentry = Some(source.old());
                Stage::Follow { indexes }
            }
            (_, Some(conflicting)) => {
                Stage::TidyUp { conflicting: conflicting.lines().map(str::to_owned).collect() }
            }
            (_, None) => {
                let last_call = StateTable::last_call(session, &state)?;
                let unknown = || missing("which marker was the last before the swap");
                Stage::Prove { last_call: last_call.ok_or_else(unknown)? }
            }
        };
        Ok(Continued { place, copied, stage })
    }
}

/// Undoes what a cut-over was about to do, and returns whether the indexes that wait for the end of the copy are there.
fn take_up_ghost(task: &Task, session: &mut Session, server: &ServerInfo) -> Result<bool> {
    let source = &task.table.name;
    let (name, old) = (source.ghost(), source.old());
    if Table::comment(session, &old)?.as_deref() == Some(SENTRY_COMMENT) {
        session.exec(&format!("DROP TABLE {old}"))?;
    }
    dressing::take_off(session, &name)?;
    if let Some(stand_in) = &task.ghost.stand_in {
        let adds = stand_in.adds(&Definition::read(session, &name)?);
        if !adds.is_empty() {
            server.prepare_index_build(session)?;
        }
        for clause in adds {
            session.exec(&format!("ALTER TABLE {name} {clause}"))?;
        }
    }
    let now = Definition::read(session, &name)?;
    let deferred = &task.ghost.deferred;
    let there = deferred.names.iter().filter(|index| now.key(index).is_some()).count();
    let indexes = there > 0 && there == deferred.names.len();
    if there > 0 && !indexes || !is_as_written(&task.ghost_definition, &now, indexes) {
        return Err(cannot(format!("the definition of {name} is not as the run has left it")));
    }
    Ok(indexes)
}

/// Whether a definition is the one that was written down, but for indexes that have been added since, and for the order
/// of those.
fn is_as_written(written: &Definition, now: &Definition, indexes: bool) -> bool {
    let items = |definition: &Definition| -> Vec<String> {
        let keys = definition.indexes();
        let is_key = |item: &&str| {
            indexes && (item.starts_with("PRIMARY KEY ") || keys.iter().any(|(_, key)| key == item))
        };
        let items = definition.items().into_iter().filter(|item| !is_key(item));
        let mut items: Vec<String> = items.map(str::to_owned).collect();
        items.sort();
        items
    };
    items(written) == items(now)
}

/// For the plan: that the binlog still has what is needed, on the server whose binlog is read.
pub(crate) fn check_place(session: &mut Session, server: &ServerInfo, state: &str) -> Result<()> {
    let place = SavedPlace::parse(state)?;
    if place.start(server.flavor)?.gtids.is_some() {
        // The server says itself what it has no longer.
        return Ok(());
    }
    let position = place.position()?;
    let logs = session.rows("SHOW BINARY LOGS")?;
    let mut sizes = logs.into_iter().filter_map(|row| {
        let mut row = row.into_iter().flatten();
        Some((row.next()?, row.next()?.parse::<u64>().ok()?))
    });
    let first = sizes.next();
    let all: Vec<_> = first.clone().into_iter().chain(sizes).collect();
    match all.iter().find(|(name, _)| name == position.file()) {
        Some((_, size)) if *size >= position.offset() => Ok(()),
        Some((_, size)) => Err(cannot(format!(
            "it had come to {position} in the binlog, and that file ends at {size}"
        ))),
        None => {
            let names = join(first.map(|(name, _)| name).into_iter());
            Err(cannot(format!(
                "it had come to {position} in the binlog, which begins at {names} by now"
            )))
        }
    }
}
