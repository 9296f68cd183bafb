//! The plan of a run that goes on where an earlier one has stopped.

use super::{Request, check_kill, check_limits, check_resource_group, parse_clause, stream_server};
use crate::checkpoint::{self, Saved, StateTable};
use crate::db::{Connector, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::platform::{Platform, PreflightItem};
use crate::inspect::{ServerInfo, Table};
use crate::migration::Migration;
use crate::migration::resume::{Tables, Task, cannot, check_place};
use crate::plan::Plan;
use crate::sql::TableName;

/// What the plan has found out so far.
pub(super) struct Basis<'a> {
    pub(super) connector: Connector,
    pub(super) server: ServerInfo,
    pub(super) session: &'a mut Session,
    pub(super) preflight: (Platform, Vec<PreflightItem>),
}

impl Request {
    /// What an earlier run has written down. None if it had not come to that, so that there is nothing yet to go on
    /// with; an error if there was none, or if it cannot be gone on with.
    pub(super) fn task(
        &self,
        session: &mut Session,
        server: &ServerInfo,
        name: &TableName,
    ) -> Result<Option<Box<Task>>> {
        let state = name.state();
        match Table::comment(session, &state)?.as_deref() {
            Some(checkpoint::COMMENT) => {}
            None => {
                let why =
                    format!("there is nothing to go on with: no run on {name} has left {state}");
                return Err(Error::new(ErrorKind::NothingToResume, why));
            }
            Some(_) => {
                return Err(cannot(format!("{state} is not of this version of online-alter")));
            }
        }
        let Some(text) = StateTable::saved(session, &state, Saved::Task)? else {
            return Ok(None);
        };
        let task = Task::parse(&text)?;
        if self.options.is_test() {
            return Err(cannot("a test on a replica has to be made anew"));
        }
        if !server.same_table(&task.table.name, name) || task.clause != self.clause {
            return Err(cannot(format!("it was to alter {} by: {}", task.table.name, task.clause)));
        }
        if task.server != server.identity {
            return Err(cannot(format!(
                "it ran on the server {}, and this one is {}: binlog positions mean nothing here",
                task.server, server.identity
            )));
        }
        Tables::look(session, &task)?;
        if self.stream.is_none() && !is_proven(session, name)? {
            if task.stream != server.identity {
                // A stream that was forgotten is no reason to start over.
                return Ok(Some(Box::new(task)));
            }
            let place = place(session, name)?;
            check_place(session, server, &place)?;
        }
        Ok(Some(Box::new(task)))
    }

    /// Goes on with that.
    pub(super) fn plan_resumed(mut self, task: Box<Task>, basis: Basis<'_>) -> Result<Plan> {
        let Basis { connector, server, session, mut preflight } = basis;
        let table = task.table.clone();
        let (by_gtid, named) = (self.options.gtid, self.platform);
        // Behind the swap it is as it is to be, there too, or soon will be.
        let is_swapped = Tables::look(session, &task)? != Tables::AsTheyWere;
        if is_proven(session, &table.name)? {
            // Nothing is left to be read.
            self.stream = None;
        } else if self.stream.is_none() && task.stream != server.identity {
            let why =
                "the run that is gone on with read the binlog of a replica: name it (stream_from)";
            return Err(Error::new(ErrorKind::Config, why));
        }
        // A server that lost its power may have lost the end of its binlog (`sync_binlog`), and nothing else shows it.
        self.options.verify = true;
        let there = Some(&table).filter(|_| !is_swapped);
        let as_stream =
            |replica| stream_server(replica, &server, (&table.name, there), by_gtid, named);
        let stream = self.stream.as_ref().map(as_stream).transpose()?.map(|(stream, items)| {
            preflight.1.extend(items);
            stream
        });
        if let Some(replica) = &stream {
            check_stream(&task, &replica.server)?;
            let place = place(session, &table.name)?;
            check_place(&mut Session::open_plain(&replica.connector)?, &replica.server, &place)?;
        }
        let stated = std::mem::take(&mut self.options.column_map);
        let clause = parse_clause(&self.clause, stated, &server, &table)?;
        if let Some(group) = &self.options.resource_group {
            check_resource_group(group, &server, session)?;
        }
        if self.options.kill_blockers.is_some() {
            check_kill(&server, session)?;
        }
        check_limits(&self.options.limits, &server, session, &table.name)?;
        let dressing = task.ghost.dressing.clone();
        let migration = Migration {
            connector,
            server,
            stream,
            clause,
            key: task.ghost.key.clone(),
            other_keys: Vec::new(),
            neighbours: task.neighbours.clone(),
            new_names: task.new_names.clone(),
            options: self.options,
            postpone: self.postpone,
            policies: self.policies,
            table,
            resumed: Some(task),
        };
        Ok(Plan::new(migration, dressing, self.observer, Vec::new(), Vec::new(), preflight))
    }
}

/// Positions mean nothing on another server than the one whose binlog was read.
fn check_stream(task: &Task, read: &ServerInfo) -> Result<()> {
    if task.stream == read.identity {
        return Ok(());
    }
    Err(cannot(format!(
        "it read the binlog of the server {}, and this one's is {}",
        task.stream, read.identity
    )))
}

/// Whether the tables are swapped, and that is proven.
fn is_proven(session: &mut Session, table: &TableName) -> Result<bool> {
    Ok(StateTable::saved(session, &table.state(), Saved::Proven)?.is_some())
}

/// How far the run had come, as it wrote it down.
fn place(session: &mut Session, table: &TableName) -> Result<String> {
    let place = StateTable::saved(session, &table.state(), Saved::Place)?;
    place.ok_or_else(|| cannot("it is not written down how far it has come"))
}
