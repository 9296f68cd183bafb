//! What went wrong, in which phase, what is left on the server, and what state the table is in.

use std::borrow::Cow;
use std::fmt;

use crate::difference::Difference;
use crate::fault::Fault;
use crate::obstacle::Obstacle;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The stage of a run, in the order in which a run goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading the server and the table. Nothing is written.
    Plan,
    /// Creating the state table and the ghost table, and altering the empty ghost.
    Prepare,
    /// Opening the binlog stream and waiting for the fence to come through it.
    Fence,
    /// Copying ranges of rows while changed keys are refreshed.
    Copy,
    /// Adding to the ghost table the unique keys that the ALTER adds.
    BuildIndexes,
    /// Refreshing the statistics of the ghost table.
    Analyze,
    /// Comparing the rows of both tables.
    Verify,
    /// Waiting, in step with the table, until the cut-over is released.
    Postponed,
    /// Swapping the two tables.
    CutOver,
    /// Proving after the swap that no write was missed, and tidying up.
    Finish,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Plan => "plan",
            Phase::Prepare => "prepare",
            Phase::Fence => "fence",
            Phase::Copy => "copy",
            Phase::BuildIndexes => "build indexes",
            Phase::Analyze => "analyze",
            Phase::Verify => "verify",
            Phase::Postponed => "postponed",
            Phase::CutOver => "cut over",
            Phase::Finish => "finish",
        })
    }
}

/// What can go wrong, coarse enough to branch on. See [`Error`] for the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option, a URL or a table name that cannot be used.
    Config,
    /// The server cannot be reached, or the connection broke and could not be made again.
    Connection,
    /// The server refused the user or the password.
    AccessDenied,
    /// Privileges are missing; the message lists exactly which.
    Privileges,
    /// This server, version or replication set-up is not supported.
    UnsupportedServer,
    /// The binary log is off, or not (and not to be made) row-based.
    BinlogSettings,
    /// No such table.
    NoSuchTable,
    /// A table that cannot be altered online: a view, a table of another engine than InnoDB.
    UnsupportedTable,
    /// No primary or unique key by which rows can be told apart, before and after the ALTER.
    NoUsableKey,
    /// Foreign keys from or to the table; the message lists them, and [`Error::obstacles`] has the
    /// statements that remove and restore them.
    ForeignKeys,
    /// Triggers on the table; the message lists them, and [`Error::obstacles`] has the statements that
    /// remove and restore them.
    Triggers,
    /// The ALTER clause cannot be parsed, is refused by the server, or is not supported.
    Alter,
    /// Tables with the names that the run needs are there already.
    LeftoversPresent,
    /// Another run works on the same table.
    AlreadyRunning,
    /// There is nothing of an earlier run to go on with: none was begun, or it has ended.
    NothingToResume,
    /// What an earlier run left is there, and cannot be gone on with; the message says why. It is left as it is.
    CannotResume,
    /// A row of the table does not fit the new definition.
    RowRefused,
    /// Two rows have the same value in a unique key that the ALTER adds.
    DuplicateRows,
    /// Rows of the two tables differ, and not because of changes that are still to be carried over:
    /// see [`Error::differences`].
    RowsDiffer,
    /// The table, or the run's own tables, were changed by someone else during the run.
    TableChanged,
    /// The binlog holds something that cannot be followed safely, or is no longer there.
    Binlog,
    /// The cut-over did not come about within its attempts.
    CutOver,
    /// The named lock that keeps two runs apart was lost.
    LockLost,
    /// The run was asked to stop.
    Aborted,
    /// A throttling policy ended the run: the load was critical.
    CriticalLoad,
    /// The observer ended the run.
    Vetoed,
    /// Any other error of the server.
    Server,
    /// A bug: a thread of the run panicked.
    Panic,
}

/// The state in which a failed run leaves the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableState {
    /// The table is as it was; no write of the application was touched.
    Untouched,
    /// The table has the new definition, and the old one is kept under the old table's name.
    Swapped,
    /// The swap was asked for and its outcome could not be learned: a person has to look.
    Unknown,
}

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableState::Untouched => "the table is untouched",
            TableState::Swapped => "the table has been swapped",
            TableState::Unknown => "it is unknown whether the table has been swapped",
        })
    }
}

/// Something that a run left on the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leftover {
    /// A table, by its quoted name.
    Table(String),
    /// A connection that may still be executing, by its id.
    Connection(u32),
    /// Replication that a test on a replica has stopped and could not start again, by the statements that do.
    StoppedReplication(String),
    /// Foreign keys of an old table, by its quoted name. Its rows keep those that they refer to from being deleted.
    ForeignKeys(String),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leftover::Table(name) => write!(f, "table {name}"),
            Leftover::Connection(id) => write!(f, "connection {id}"),
            Leftover::StoppedReplication(start) => write!(f, "stopped replication ({start})"),
            Leftover::ForeignKeys(name) => write!(f, "foreign keys of {name}"),
        }
    }
}

/// An error of a plan or a run.
///
/// It says what failed ([`kind`](Self::kind) and the message), in which [`phase`](Self::phase),
/// what is [left on the server](Self::leftovers), and in what
/// [state the table](Self::table_state) is. It never holds a password.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    phase: Phase,
    message: Cow<'static, str>,
    table_state: TableState,
    leftovers: Vec<Leftover>,
    differences: Vec<Difference>,
    obstacles: Vec<Obstacle>,
    fault: Option<Fault>,
    server_code: Option<u16>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner {
            kind,
            phase: Phase::Plan,
            message: message.into(),
            table_state: TableState::Untouched,
            leftovers: Vec::new(),
            differences: Vec::new(),
            obstacles: Vec::new(),
            fault: None,
            server_code: None,
            source: None,
        }))
    }

    pub(crate) fn aborted() -> Self {
        Error::new(ErrorKind::Aborted, "the run was asked to stop")
    }

    #[must_use]
    pub(crate) fn with_fault(mut self, fault: Fault, server_code: Option<u16>) -> Self {
        self.0.fault = Some(fault);
        self.0.server_code = server_code;
        self
    }

    #[must_use]
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What the server refused, and why; unless it did not, and only its answer is lost.
    #[must_use]
    pub(crate) fn refused(self, kind: ErrorKind, why: impl fmt::Display) -> Self {
        if self.fault() == Some(Fault::Gone) { self } else { self.with_kind(kind).context(why) }
    }

    #[must_use]
    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    #[must_use]
    pub(crate) fn with_table_state(mut self, state: TableState) -> Self {
        self.0.table_state = state;
        self
    }

    #[must_use]
    pub(crate) fn with_leftovers(mut self, leftovers: Vec<Leftover>) -> Self {
        self.0.leftovers = leftovers;
        self
    }

    /// Adds connections that may be there still.
    #[must_use]
    pub(crate) fn with_left(mut self, connections: Vec<u32>) -> Self {
        let left = connections.into_iter().map(Leftover::Connection);
        let left: Vec<_> = left.filter(|left| !self.0.leftovers.contains(left)).collect();
        self.0.leftovers.extend(left);
        self
    }

    #[must_use]
    pub(crate) fn with_differences(mut self, differences: Vec<Difference>) -> Self {
        self.0.differences = differences;
        self
    }

    #[must_use]
    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    #[must_use]
    pub(crate) fn with_obstacles(mut self, obstacles: Vec<Obstacle>) -> Self {
        self.0.obstacles = obstacles;
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message).into();
        self
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.fault
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The phase in which it went wrong.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Whether the table is untouched, swapped, or neither is known.
    pub fn table_state(&self) -> TableState {
        self.0.table_state
    }

    /// What the run left on the server and could not (or was told not to) take away.
    pub fn leftovers(&self) -> &[Leftover] {
        &self.0.leftovers
    }

    /// The first rows that differ, if that is what went wrong.
    pub fn differences(&self) -> &[Difference] {
        &self.0.differences
    }

    /// The foreign keys or triggers for which a plan is refused, all of them, with the statements that
    /// remove and restore them. Empty for all other errors.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.0.obstacles
    }

    /// The server's error number, where the server reported one.
    pub fn server_code(&self) -> Option<u16> {
        self.0.server_code
    }

    /// The message alone, without phase, table state and leftovers.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, message, table_state, leftovers, .. } = &*self.0;
        write!(f, "{message} (phase: {phase}; {table_state}")?;
        if !leftovers.is_empty() {
            f.write_str("; left on the server: ")?;
            for (i, leftover) in leftovers.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{leftover}")?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_small_and_can_cross_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn says_everything_in_one_line() {
        let error = Error::new(ErrorKind::CutOver, "no luck")
            .in_phase(Phase::CutOver)
            .with_leftovers(vec![Leftover::Table("`db`.`_t_gho`".into()), Leftover::Connection(7)]);
        assert_eq!(
            error.to_string(),
            "no luck (phase: cut over; the table is untouched; left on the server: table \
             `db`.`_t_gho`, connection 7)"
        );
    }
}
