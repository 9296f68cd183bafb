//! What came of a case, and what we are known not to do.

use online_alter::{Error, ErrorKind};

use crate::case::Case;
use crate::types::Ty;

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
    (ErrorKind::Alter, "is AUTO_INCREMENT: the numbers", "a new AUTO_INCREMENT column"),
    (ErrorKind::NoUsableKey, "has no primary key, nor a unique key", "no usable key before and after"),
    (ErrorKind::NoUsableKey, "could not be told apart as before", "the key's type or collation changes"),
    (ErrorKind::NoUsableKey, "", "another change of the key"),
    (ErrorKind::Alter, "changes between TIMESTAMP and another type", "TIMESTAMP outside of UTC"),
    (ErrorKind::Alter, "is NOT NULL and has no DEFAULT", "new NOT NULL column without DEFAULT"),
    (ErrorKind::Alter, "acts on the rows or files of existing partitions", "partition operations"),
    (ErrorKind::Alter, "it is not certain what", "a clause that is not understood for certain"),
    (ErrorKind::Alter, "speaks about how the server would alter", "options of the server's ALTER"),
];

pub(crate) const CAME_AND_WENT: &str = "a row that does not fit came, and was gone in the end";

pub(crate) fn exclusion(case: &Case, error: &Error) -> Option<&'static str> {
    let known = EXCLUSIONS
        .iter()
        .find(|(kind, text, _)| error.kind() == *kind && error.message().contains(text))
        .map(|(_, _, reason)| *reason);
    known.or_else(|| garbled(case, error))
}

/// What the server does, and should not.
fn garbled(case: &Case, error: &Error) -> Option<&'static str> {
    let says = |text: &str| error.message().contains(text);
    let has = |is: &dyn Fn(&Ty) -> bool| case.table.columns.iter().any(|column| is(&column.ty));
    if says("Out of range value") && has(&|ty| matches!(ty, Ty::Float { .. } | Ty::Double { .. })) {
        return Some("the server's ALTER stores another number where a float does not fit");
    }
    let foreign = |members: &[String]| members.iter().any(|member| !member.is_ascii());
    let is_foreign =
        |ty: &Ty| matches!(ty, Ty::Enum { members, .. } | Ty::Set { members, .. } if foreign(members));
    if says("Data truncated") && case.clause().contains("CONVERT TO") && has(&is_foreign) {
        return Some("the server's CONVERT TO garbles the members of ENUM and SET");
    }
    None
}

/// What we do though the server does not.
pub(crate) fn beyond_native(kind: &str, error: &str) -> Option<&'static str> {
    let of_dates = ["1292", "1525"].iter().any(|code| error.contains(&format!("ERROR {code} ")));
    (kind == "native fails on data" && of_dates)
        .then_some("dates that the server's SQL mode refuses are kept as they are")
}
