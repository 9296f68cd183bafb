//! What came of a case, and what we are known not to do.

use online_alter::{Error, ErrorKind};

#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Both altered the table, and the two are equal.
    Equal,
    /// Both refused the ALTER, whatever the rows.
    BothRefused,
    /// Both failed because of the rows, and ours left the table as it was.
    BothFailed,
    /// We refused what the server does, for a reason that is known.
    Excluded(&'static str),
    /// The server does not create such a table.
    NoTable(String),
    Wrong(Wrong),
}

#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) kind: &'static str,
    /// Without names and numbers, to know it again.
    pub(crate) signature: String,
    pub(crate) detail: String,
}

impl Wrong {
    pub(crate) fn new(kind: &'static str, essence: &str, detail: impl Into<String>) -> Self {
        let essence: String = essential(essence).chars().take(150).collect();
        Wrong { kind, signature: format!("{kind}: {essence}"), detail: detail.into() }
    }

    pub(crate) fn is_like(&self, other: &Wrong) -> bool {
        let coarse = ["definition", "rows"].contains(&self.kind);
        self.kind == other.kind && (coarse || self.signature == other.signature)
    }
}

/// Leaves out what is quoted, and numbers.
fn essential(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in text.lines().next().unwrap_or_default().chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '`' || c == '\'' => {
                quote = Some(c);
                out.push('_');
            }
            None if c.is_ascii_digit() => {
                if !out.ends_with('#') {
                    out.push('#');
                }
            }
            None => out.push(c),
        }
    }
    out
}

/// What we refuse though the server does it. Each is in README "Limits", with the reason.
const EXCLUSIONS: [(ErrorKind, &str, &str); 9] = [
    (ErrorKind::NoUsableKey, "has no primary key, nor a unique key", "no usable key before and after"),
    (ErrorKind::NoUsableKey, "could not be told apart as before", "the key's type or collation changes"),
    (ErrorKind::NoUsableKey, "leaves the table without a primary key", "the primary key is dropped"),
    (ErrorKind::NoUsableKey, "", "another change of the key"),
    (ErrorKind::Alter, "changes between TIMESTAMP and another type", "TIMESTAMP outside of UTC"),
    (ErrorKind::Alter, "is NOT NULL and has no DEFAULT", "new NOT NULL column without DEFAULT"),
    (ErrorKind::Alter, "acts on the rows or files of existing partitions", "partition operations"),
    (ErrorKind::Alter, "it is not certain what", "a clause that is not understood for certain"),
    (ErrorKind::Alter, "speaks about how the server would alter", "options of the server's ALTER"),
];

pub(crate) fn exclusion(error: &Error) -> Option<&'static str> {
    EXCLUSIONS
        .iter()
        .find(|(kind, text, _)| error.kind() == *kind && error.message().contains(text))
        .map(|(_, _, reason)| *reason)
}
