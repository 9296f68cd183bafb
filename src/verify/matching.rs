//! Finds each row's partner on the other side by its key, and has the server compare the two column
//! by column: nothing is hashed or made text of, so that it takes about half the time of hashes, and
//! no difference whatever is missed.

use std::sync::Arc;

use super::comparer::key_expr;
use super::part::{Part, Prefixes, Style, is_same_type};
use crate::inspect::Table;
use crate::sql::key::Bound;
use crate::sql::predicate::{self, Side};
use crate::sql::statements::{TablePair, join};
use crate::sql::{Ident, KeyColumn, KeyType, TAG};

const PREFIXES: Prefixes = Prefixes { source: "t.", ghost: "g." };

#[derive(Debug)]
pub(super) struct Matching {
    pair: Arc<TablePair>,
    /// Whether the key of both sides is the same.
    on: String,
    /// Whether all columns are.
    same: String,
}

impl Matching {
    /// `None` where rows are not found by the other table's values, or columns need more than an
    /// expression to be compared.
    pub(super) fn new(
        pair: &Arc<TablePair>,
        table: &Table,
        ghost: &Table,
        style: Style,
    ) -> Option<Self> {
        let mut on = Vec::new();
        for column in &pair.key.columns {
            let old = table.column(column.source.as_str())?;
            let new = ghost.column(column.ghost.as_str())?;
            let found = match (&column.ty, new.key_type(style.flavor)?) {
                // Compared with a column by their texts, with a literal by their numbers.
                (KeyType::Ordinal | KeyType::Bit, _) => false,
                (KeyType::Int { .. }, KeyType::Int { .. }) => true,
                _ => is_same_type(old, new) && old.collation == new.collation,
            };
            if !found {
                return None;
            }
            on.push(format!("{} = {}", named(column, Side::Source), named(column, Side::Ghost)));
        }
        let mut same = Vec::new();
        for (old, new) in &pair.columns {
            let (old, new) = (table.column(old.as_str())?, ghost.column(new.as_str())?);
            same.push(Part::direct(old, new, style, PREFIXES)?.same());
        }
        // All columns of the key have to be among them: what is not copied is generated.
        Some(Matching { pair: Arc::clone(pair), on: on.join(" AND "), same: same.join(" AND ") })
    }

    /// How many rows there are, on either side; how many the join makes of them, and in how many of
    /// those both sides are the same. Exactly if all are one number, both sides hold the same rows:
    /// every row of the table then has a partner, and but one, as there are no more; it is nobody
    /// else's, since no two rows of the table are the same; and no row of the ghost is left.
    pub(super) fn count(&self, after: Option<&Bound>, through: Option<&Bound>) -> String {
        let Self { pair, same, .. } = self;
        let TablePair { source, ghost, key, .. } = &**pair;
        let all = |table, side| {
            let condition = predicate::range(key, side, after, through);
            format!("(SELECT COUNT(*) FROM {table}{} WHERE {condition})", key.hint(side))
        };
        format!(
            "SELECT {TAG} COUNT(*), COUNT(IF({same}, 1, NULL)), {}, {} FROM {} WHERE {}",
            all(source, Side::Source),
            all(ghost, Side::Ghost),
            self.joined(Side::Source),
            self.range(Side::Source, after, through),
        )
    }

    /// The keys of rows of either side that have no equal, as they are written on their side.
    pub(super) fn unequal(&self, after: Option<&Bound>, through: Option<&Bound>) -> String {
        let half = |side| {
            let keys =
                self.pair.key.columns.iter().map(|column| {
                    format!("CONCAT({})", key_expr(&column.ty, &named(column, side)))
                });
            format!(
                "(SELECT {TAG} {} FROM {} WHERE {} AND NOT IFNULL({}, FALSE))",
                join(keys),
                self.joined(side),
                self.range(side, after, through),
                self.same
            )
        };
        format!("{} UNION ALL {}", half(Side::Source), half(Side::Ghost))
    }

    /// All rows of a side with their partners.
    fn joined(&self, side: Side) -> String {
        let TablePair { source, ghost, key, .. } = &*self.pair;
        let table = |side| match side {
            Side::Source => format!("{source} AS t{}", key.hint(Side::Source)),
            Side::Ghost => format!("{ghost} AS g{}", key.hint(Side::Ghost)),
        };
        let other = match side {
            Side::Source => Side::Ghost,
            Side::Ghost => Side::Source,
        };
        format!("{} LEFT JOIN {} ON {}", table(side), table(other), self.on)
    }

    fn range(&self, side: Side, after: Option<&Bound>, through: Option<&Bound>) -> String {
        predicate::range_by(&self.pair.key, |column| named(column, side), after, through)
    }
}

fn named(column: &KeyColumn, side: Side) -> String {
    let of = |prefix: &str, name: &Ident| format!("{prefix}{name}");
    match side {
        Side::Source => of(PREFIXES.source, &column.source),
        Side::Ghost => of(PREFIXES.ghost, &column.ghost),
    }
}
