//! SQL modes and time zones: those of the sessions that define tables, which are the server's own,
//! and those of the sessions that move rows, which take over from it what decides about values.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What sessions that move rows always have: a value that does not fit is an error, and zero stays
/// zero in an AUTO_INCREMENT column.
const ROWS: [&str; 3] = ["STRICT_ALL_TABLES", "NO_AUTO_VALUE_ON_ZERO", "NO_ENGINE_SUBSTITUTION"];

/// What decides which dates a column takes.
const DATES: [&str; 3] = ["NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ALLOW_INVALID_DATES"];

/// What decides about the results of conversions. The modes that change how a statement is read
/// (ANSI_QUOTES, NO_BACKSLASH_ESCAPES, PIPES_AS_CONCAT, EMPTY_STRING_IS_NULL ..) are not among
/// them: the server keeps its expressions in a form that no mode changes, and our statements count
/// on their own.
const CONVERSIONS: [&str; 3] =
    ["TIME_TRUNCATE_FRACTIONAL", "TIME_ROUND_FRACTIONAL", "NO_UNSIGNED_SUBTRACTION"];

/// What makes a statement mean something else, among them the names that MariaDB has for several of them. The server
/// prints definitions as they are read without these.
const READING: [&str; 12] = [
    "ANSI_QUOTES",
    "NO_BACKSLASH_ESCAPES",
    "PIPES_AS_CONCAT",
    "IGNORE_SPACE",
    "HIGH_NOT_PRECEDENCE",
    "EMPTY_STRING_IS_NULL",
    "ANSI",
    "DB2",
    "MAXDB",
    "MSSQL",
    "ORACLE",
    "POSTGRESQL",
];

/// The SQL mode and the time zone of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Modes {
    pub(crate) sql_mode: String,
    pub(crate) time_zone: String,
}

impl Default for Modes {
    /// For sessions that move rows, when nothing else is known.
    fn default() -> Self {
        Modes {
            sql_mode: format!("{},ALLOW_INVALID_DATES", ROWS.join(",")),
            time_zone: "+00:00".to_owned(),
        }
    }
}

/// A SQL mode, as the server writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SqlMode<'a>(pub(crate) &'a str);

impl<'a> SqlMode<'a> {
    fn bits(self) -> impl Iterator<Item = &'a str> {
        self.0.split(',').filter(|bit| !bit.is_empty())
    }

    pub(crate) fn has(self, wanted: &str) -> bool {
        self.bits().any(|bit| bit.eq_ignore_ascii_case(wanted))
    }

    fn is_strict(self) -> bool {
        self.has("STRICT_TRANS_TABLES") || self.has("STRICT_ALL_TABLES")
    }

    /// Whether it has an opinion about dates that are no dates.
    pub(crate) fn refuses_dates(self) -> bool {
        !self.has("ALLOW_INVALID_DATES") || self.has("NO_ZERO_DATE") || self.has("NO_ZERO_IN_DATE")
    }

    /// The same, taking zeros in dates.
    pub(crate) fn with_zero_dates(self) -> String {
        let keep = |bit: &&str| !["NO_ZERO_DATE", "NO_ZERO_IN_DATE"].contains(bit);
        self.bits().filter(keep).collect::<Vec<_>>().join(",")
    }

    /// The same, reading definitions as they are printed.
    pub(crate) fn as_printed(self) -> String {
        let keep = |bit: &&str| !READING.iter().any(|reading| bit.eq_ignore_ascii_case(reading));
        self.bits().filter(keep).collect::<Vec<_>>().join(",")
    }

    /// The SQL mode of the sessions that move rows on a server that has this one. They are always
    /// strict: where the server would cut a value to size, they fail.
    pub(crate) fn for_rows(self, wanted: RowsMode) -> String {
        let mut mode = ROWS.join(",");
        let mut add = |bit: &str| {
            let _ = write!(mode, ",{bit}");
        };
        match wanted.dates {
            Dates::AsServer => {
                // Without strictness the server takes a zero date as it is, and makes one of a date
                // with a zero in it.
                let is_taken =
                    |bit: &&&str| self.has(bit) && (**bit != "NO_ZERO_DATE" || self.is_strict());
                DATES.iter().filter(is_taken).for_each(|bit| add(bit));
            }
            Dates::Any => add("ALLOW_INVALID_DATES"),
            Dates::Unchanged => {}
        }
        CONVERSIONS.iter().filter(|bit| self.has(bit)).for_each(|bit| add(bit));
        if self.has("ERROR_FOR_DIVISION_BY_ZERO") && self.is_strict() {
            add("ERROR_FOR_DIVISION_BY_ZERO");
        }
        if self.has("PAD_CHAR_TO_FULL_LENGTH") && wanted.may_pad {
            add("PAD_CHAR_TO_FULL_LENGTH");
        }
        mode
    }
}

/// Which dates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dates {
    /// Those that the server's mode takes.
    AsServer,
    /// All that a column can hold.
    Any,
    /// All but days that no month has. Only then does MySQL carry over a TIMESTAMP as it is; in any
    /// other mode it does so by way of the local time, which is ambiguous once a year.
    Unchanged,
}

/// What a run wants of the SQL mode of its sessions that move rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsMode {
    pub(crate) dates: Dates,
    /// The values of CHAR columns may have their trailing spaces: no key is compared by them.
    pub(crate) may_pad: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_sessions_take_over_what_decides_about_values() {
        let rows = |mode: &str, dates| SqlMode(mode).for_rows(RowsMode { dates, may_pad: true });
        let base = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION";
        let strict = "STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES";
        assert_eq!(rows(strict, Dates::AsServer), format!("{base},NO_ZERO_DATE,NO_ZERO_IN_DATE"));
        assert_eq!(rows(strict, Dates::Any), format!("{base},ALLOW_INVALID_DATES"));
        // A server that is not strict would carry zero dates, and ruin the others.
        assert_eq!(
            rows("NO_ZERO_DATE,NO_ZERO_IN_DATE", Dates::AsServer),
            format!("{base},NO_ZERO_IN_DATE")
        );
        assert_eq!(rows(strict, Dates::Unchanged), base);
        assert_eq!(rows("", Dates::AsServer), base);
        assert_eq!(
            rows(
                "PAD_CHAR_TO_FULL_LENGTH,TIME_TRUNCATE_FRACTIONAL,ERROR_FOR_DIVISION_BY_ZERO",
                Dates::AsServer
            ),
            format!("{base},TIME_TRUNCATE_FRACTIONAL,PAD_CHAR_TO_FULL_LENGTH")
        );
        assert_eq!(Modes::default().sql_mode, format!("{base},ALLOW_INVALID_DATES"));
    }

    #[test]
    fn definitions_are_read_as_they_are_printed() {
        let mode = "PIPES_AS_CONCAT,ANSI_QUOTES,ORACLE,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,STRICT_ALL_TABLES";
        assert_eq!(SqlMode(mode).as_printed(), "NO_ZERO_DATE,STRICT_ALL_TABLES");
    }

    #[test]
    fn zero_dates_can_be_taken() {
        assert_eq!(SqlMode("A,NO_ZERO_DATE,B,NO_ZERO_IN_DATE").with_zero_dates(), "A,B");
    }
}
