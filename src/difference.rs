//! What is reported of rows that differ.

use std::fmt;

/// A row that is not the same in the table and in its altered copy, although no change of it was
/// still to be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key of the row, as literals: `(7)`.
    pub key: String,
    /// In which way it differs.
    pub kind: DifferenceKind,
    /// The columns that differ, with both values. Empty where one side has no such row.
    pub columns: Vec<ColumnDifference>,
}

/// In which way a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Both sides have the row, with different values.
    Values,
    /// The table has the row, the copy has not.
    Missing,
    /// The copy has the row, the table has not.
    Extra,
    /// The copy has the row more than once.
    Repeated,
}

/// A column in which a row differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnDifference {
    /// The column, by its name in the copy.
    pub column: String,
    /// What it should hold: the beginning of the value; binary values in hexadecimal digits.
    /// `None` is NULL.
    pub expected: Option<String>,
    /// What the copy holds.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        match self.kind {
            DifferenceKind::Missing => f.write_str(" is missing"),
            DifferenceKind::Extra => f.write_str(" should not be there"),
            DifferenceKind::Repeated => f.write_str(" is there more than once"),
            DifferenceKind::Values => {
                for (i, column) in self.columns.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma} {column}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for ColumnDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<String>| match value {
            Some(value) => format!("'{value}'"),
            None => "NULL".to_owned(),
        };
        let (expected, found) = (show(&self.expected), show(&self.found));
        if expected == found {
            return write!(f, "`{}` differs further on than shown: {found}", self.column);
        }
        write!(f, "`{}` is {found} and should be {expected}", self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_key_column_and_both_values() {
        let mut difference = Difference {
            key: "(7)".to_owned(),
            kind: DifferenceKind::Values,
            columns: vec![ColumnDifference {
                column: "grade".to_owned(),
                expected: Some("0.5".to_owned()),
                found: None,
            }],
        };
        assert_eq!(difference.to_string(), "(7) `grade` is NULL and should be '0.5'");
        difference.kind = DifferenceKind::Missing;
        assert_eq!(difference.to_string(), "(7) is missing");
    }
}
