//! Comparing the rows of the table and the ghost, the independent net under everything else.
//!
//! [`part`] knows how a column's values are compared, [`comparer`] compares ranges and keys on a
//! connection, by [`matching`] rows where that can be done, and [`explain`] tells differences that pending changes account for from real ones. No
//! table lock is taken, and no row of the application's is locked unless one changes so fast that
//! nothing else shows it at rest.

pub(crate) mod comparer;
pub(crate) mod explain;
mod matching;
pub(crate) mod part;
mod scratch;

pub(crate) use comparer::Comparer;
pub(crate) use explain::Explainer;
pub(crate) use part::Style;
