//! What came of a case, and what we are known not to do.

use online_alter::{Error, ErrorKind};

use crate::case::Case;
use crate::names::quote;
use crate::table::IndexKind;
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
const EXCLUSIONS: [(ErrorKind, &str, &str); 10] = [
    (
        ErrorKind::Alter,
        "has TIME_TRUNCATE_FRACTIONAL",
        "MySQL's ALTER rounds times that become integers in a mode that cuts",
    ),
    (
        ErrorKind::UnsupportedTable,
        "with a backslash in a literal",
        "MySQL changes literals with backslashes under NO_BACKSLASH_ESCAPES",
    ),
    (
        ErrorKind::NoUsableKey,
        "has no primary key, nor a unique key",
        "no usable key before and after",
    ),
    (
        ErrorKind::NoUsableKey,
        "could not be told apart as before",
        "the key's type or collation changes",
    ),
    (ErrorKind::NoUsableKey, "", "another change of the key"),
    (ErrorKind::Alter, "a TIMESTAMP is part of the key", "time zones with a TIMESTAMP in the key"),
    (ErrorKind::Alter, "is AUTO_INCREMENT: the numbers", "a new AUTO_INCREMENT column"),
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
    if says("Data too long") && case.clause().contains(" BIT(") {
        return Some("the server's ALTER makes 0 of what is no number where it becomes BIT");
    }
    // MariaDB stores it from a select, too, and another one each time.
    let times = if case.flavor.is_mariadb() { "rows differ still" } else { "cannot be null" };
    if says(times) && case.clause().contains("TIMESTAMP") && case.clause().contains("NOT NULL") {
        return Some(
            "the server's ALTER makes the time of day of NULL where TIMESTAMP becomes NOT NULL",
        );
    }
    let adds = |ty: &str| case.clause().contains("ADD COLUMN") && case.clause().contains(ty);
    let no_zero =
        ["POINT", "LINESTRING", "POLYGON", "GEOMETRY", "VECTOR("].iter().any(|ty| adds(ty));
    if no_zero && says("cannot be null") || says("failed for") && adds("JSON NOT NULL") {
        return Some("the server fills a new NOT NULL geometry, VECTOR or JSON with what is none");
    }
    let is_wide = |ty: &Ty| matches!(ty, Ty::Text { collation, .. } if ["ucs2", "utf16", "utf32"].contains(&collation.charset));
    if case.flavor.is_mariadb() && says("Truncated incorrect INTEGER value") && has(&is_wide) {
        return Some("MariaDB makes 0 of what is no number in UCS2, UTF16 and UTF32");
    }
    let is_list = |ty: &Ty| matches!(ty, Ty::Enum { .. } | Ty::Set { .. });
    if says("Data truncated") && case.clause().contains("CONVERT TO") && has(&is_list) {
        return Some("the server's CONVERT TO garbles the members of ENUM and SET");
    }
    None
}

/// What we do though the server does not.
pub(crate) fn beyond_native(case: &Case, kind: &str, error: &str) -> Option<&'static str> {
    if kind != "native fails on data" {
        return None;
    }
    if let Some(reason) = padded(case) {
        return Some(reason);
    }
    let adds_geometry = ["POINT", "LINESTRING", "POLYGON", "GEOMETRY"]
        .iter()
        .any(|ty| case.clause().contains(&format!("{ty} NOT NULL DEFAULT (")));
    if adds_geometry && error.contains("ERROR 1138 ") {
        return Some(
            "MySQL fills a new NOT NULL geometry with NULL, not with its DEFAULT, and fails",
        );
    }
    if error.contains("ERROR 3507 ") {
        return Some("MySQL cannot drop a column of a long name instantly, and fails");
    }
    let of_dates = ["1292", "1525"].iter().any(|code| error.contains(&format!("ERROR {code} ")));
    let keyed = case.table.indexes.iter().any(|index| {
        matches!(index.kind, IndexKind::Primary | IndexKind::Unique)
            && case.table.columns.iter().any(|column| {
                matches!(column.ty, Ty::Date | Ty::Datetime(_) | Ty::Timestamp(_))
                    && index.parts.iter().any(|part| part.starts_with(&quote(&column.name)))
            })
    });
    let zoned = case.time_zone != "+00:00"
        && case.table.columns.iter().any(|column| matches!(column.ty, Ty::Timestamp(_)));
    if of_dates && !case.sql_mode.contains("NO_ZERO") && !case.flavor.is_mariadb() {
        return Some(
            "MySQL's ALTER looks at the day of the month where its SQL mode allows zero dates",
        );
    }
    if of_dates && zoned {
        return Some("with a TIMESTAMP, outside of UTC, dates that stay dates are not looked at");
    }
    (of_dates && keyed).then_some("with a date in the key, dates are kept whatever the SQL mode")
}

/// Where the server alters in place, it does not compute stored columns again; and rows whose key is
/// text are moved in a mode without PAD_CHAR_TO_FULL_LENGTH.
pub(crate) fn padded(case: &Case) -> Option<&'static str> {
    let is_char = |ty: &Ty| matches!(ty, Ty::Text { name: "CHAR", .. });
    let pads = case.sql_mode.contains("PAD_CHAR_TO_FULL_LENGTH")
        && case.table.columns.iter().any(|column| is_char(&column.ty))
        && (case.table.columns.iter().any(|column| column.generated.is_some())
            || case.clause().contains("GENERATED"));
    pads.then_some("columns generated of CHARs that the server's mode pads")
}

/// As its own ALTER, but each row has its own time.
pub(crate) fn timed(case: &Case, types: &str) -> Option<&'static str> {
    let has = case.table.columns.iter().any(|c| c.nullable && matches!(c.ty, Ty::Timestamp(_)));
    (case.flavor.is_mariadb() && types == "timestamp" && has)
        .then_some("MariaDB makes the time of day of NULL where TIMESTAMP becomes NOT NULL")
}
