//! What the caller says becomes of columns, where the clause cannot be read with certainty.

use super::{AlterClause, Fate};
use crate::sql::tokens::{fold, same_name};

/// What becomes of a column: its name before and after, or nothing if it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) old: String,
    pub(crate) new: Option<String>,
}

impl Stated {
    pub(super) fn fate(&self, column: &str) -> Fate {
        match &self.new {
            None => Fate::Dropped,
            Some(new) if new == column => Fate::Kept,
            Some(new) => Fate::Renamed(new.clone()),
        }
    }
}

impl AlterClause {
    pub(super) fn stated(&self, column: &str) -> Option<&Stated> {
        self.stated.iter().find(|stated| fold(&stated.old) == fold(column))
    }

    /// Checks the statement against the table's `columns` and the part of the clause that was
    /// understood. The reason if it cannot be right.
    pub(crate) fn check_stated(&self, columns: &[&str]) -> Result<(), String> {
        let mut news: Vec<String> = Vec::new();
        for (at, stated) in self.stated.iter().enumerate() {
            let Stated { old, new } = stated;
            let Some(column) = columns.iter().find(|column| fold(column) == fold(old)) else {
                return Err(format!("it names a column `{old}`, which the table does not have"));
            };
            if self.stated.iter().take(at).any(|other| fold(&other.old) == fold(old)) {
                return Err(format!("it says two things about `{old}`"));
            }
            if let Some(new) = new {
                if news.contains(&fold(new)) {
                    return Err(format!("it gives the values of two columns to `{new}`"));
                }
                news.push(fold(new));
            }
            let doubtful = self.sources().any(|source| same_name(source, column).is_none());
            let read = self.read(column);
            if !self.is_unread(column) && !doubtful && read != stated.fate(column) {
                return Err(format!(
                    "it says that `{column}` {}, and the ALTER says that it {}",
                    describe(&stated.fate(column)),
                    describe(&read)
                ));
            }
        }
        let unstated = columns.iter().find(|c| self.is_unread(c) && self.stated(c).is_none());
        match unstated {
            Some(column) => Err(format!(
                "it does not say what becomes of `{column}`, which stands in a part of the ALTER that \
                 is not understood"
            )),
            None => Ok(()),
        }
    }

    /// Whether a column is named where the clause was not understood.
    fn is_unread(&self, column: &str) -> bool {
        self.unread.iter().flatten().any(|word| same_name(word, column) != Some(false))
    }

    /// Whether there is a part that was not understood.
    pub(crate) fn is_partly_unread(&self) -> bool {
        self.unread.is_some()
    }
}

fn describe(fate: &Fate) -> String {
    match fate {
        Fate::Kept => "keeps its name".to_owned(),
        Fate::Dropped => "is dropped".to_owned(),
        Fate::Renamed(new) => format!("becomes `{new}`"),
    }
}
