//! A run that stops before the copy.

use std::fmt;

/// What a rehearsal came to: [`Plan::rehearse`](crate::Plan::rehearse).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// The table, quoted.
    pub table: String,
    /// The definition that the table would have, as `SHOW CREATE TABLE` said of the altered, empty copy; without
    /// foreign keys, which come at the cut-over.
    pub definition: String,
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} can be altered; nothing is left of the rehearsal. It would be:\n{}",
            self.table, self.definition
        )
    }
}
