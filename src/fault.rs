//! What an error of the server or the connection means for whoever got it, and what is done about
//! it: one table of codes, and one decision per class. `docs/RETRIES.md` shows both.

mod codes;

#[cfg(test)]
mod tests;

/// The class of an error: all that the code which meets it has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The transaction was rolled back, as the victim of a deadlock or because somebody else's came first.
    Deadlock,
    /// A lock was not to be had in time, or (NOWAIT) at once: a row's or a table's.
    LockWait,
    /// The statement was killed, or ran into a time limit.
    Killed,
    /// The server does not take writes, or no more connections, for now.
    Busy,
    /// The connection is gone, and with it the answer: the statement may have been carried out.
    Gone,
    /// Another replica has come to the binlog under our server id, and the server has ended our stream.
    Displaced,
    /// The statement or the transaction is too big for some limit of the server.
    TooBig,
    /// A unique key refused a row.
    Duplicate,
    /// A value does not fit the column.
    Data,
    /// The server's disk or tablespace is full.
    DiskFull,
    /// The binlog is not to be had from where it is asked for.
    NoBinlog,
    /// User, password or privilege.
    Access,
    /// No such table or schema.
    NoSuchTable,
    /// Anything else: trying again would not help.
    Other,
}

/// What is done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Decision {
    /// The transaction is rolled back and done again.
    Retry,
    /// The same, but the server needs time first.
    Wait,
    /// The connection is made anew, and the old one ended. What is harmless to repeat is repeated; of a RENAME or an
    /// ALTER it is looked what became of it.
    Ambiguous,
    /// In halves, down to a single row, which is named.
    Split,
    /// The rows are named.
    Name,
    /// The run ends, cleans up, and says so.
    GiveUp,
}

impl Fault {
    /// By the server's error number and its words. What is not in the table is of no known class.
    pub(crate) fn of(code: u16, message: &str) -> Self {
        let row = codes::CODES.iter().find(|row| row.code == code && row.says(message));
        row.map_or(Fault::Other, |row| row.fault)
    }

    /// What is done about errors of this class.
    pub(crate) fn decision(self) -> Decision {
        match self {
            Fault::Deadlock | Fault::LockWait | Fault::Killed => Decision::Retry,
            Fault::Busy | Fault::Displaced => Decision::Wait,
            Fault::Gone => Decision::Ambiguous,
            Fault::TooBig => Decision::Split,
            Fault::Duplicate | Fault::Data => Decision::Name,
            Fault::DiskFull
            | Fault::NoBinlog
            | Fault::Access
            | Fault::NoSuchTable
            | Fault::Other => Decision::GiveUp,
        }
    }

    /// Whether the same statement may well succeed when it is sent again, provided that sending it
    /// twice is harmless.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self.decision(), Decision::Retry | Decision::Wait | Decision::Ambiguous)
    }

    /// Whether it is unknown if the statement was carried out. Not even of one that was killed is that sure.
    pub(crate) fn is_ambiguous(self) -> bool {
        matches!(self, Fault::Gone | Fault::Killed)
    }

    /// Whether another attempt to cut over may succeed, everything being as it was. Of a row that the ghost refuses
    /// too: the workers will name it.
    pub(crate) fn lets_cut_over_again(self) -> bool {
        self.is_passing() || self == Fault::Data
    }
}
