//! What stands in the way of an online ALTER, and the statements that take it away and bring it
//! back.

use std::fmt;

/// What kind of thing stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObstacleKind {
    /// A foreign key of the table, to another one.
    ForeignKeyFrom,
    /// A foreign key that refers to the table, of whichever table and schema.
    ForeignKeyTo,
    /// A trigger of the table.
    Trigger,
}

/// A foreign key or trigger for which a plan is refused. [`Error::obstacles`](crate::Error::obstacles)
/// lists all of them: to remove them, run [`remove`](Self::remove) of each; afterwards
/// [`restore`](Self::restore) of each, in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obstacle {
    /// What it is.
    pub kind: ObstacleKind,
    /// Its name, without quotes.
    pub name: String,
    /// The table that it belongs to, quoted.
    pub table: String,
    /// What it is, in words, with quoted names.
    pub what: String,
    /// The statement that removes it.
    pub remove: String,
    /// The statements that bring it back, to be run on one connection in this order. An index that the
    /// server made by itself for a foreign key may get the key's name. The statements of a trigger
    /// set the session to what the trigger was made with; for a client that splits its input at `;` set
    /// another delimiter, as a trigger's body may contain some.
    pub restore: Vec<String>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
