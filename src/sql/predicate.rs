//! Conditions over the chosen key: a set of keys, a range of keys.

use super::key::{Bound, Key, KeyColumn, KeyShape};
use super::key_value::Malformed;

/// Which of the two tables a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Ghost,
}

impl KeyColumn {
    pub(crate) fn name(&self, side: Side) -> String {
        match side {
            Side::Source => self.source.to_string(),
            Side::Ghost => self.ghost.to_string(),
        }
    }
}

/// `k IN (1, 2)`, or `(a = 1 AND b = 2) OR (..)`: a form that both optimizers turn into ranges,
/// which MariaDB does not do for row constructors.
pub(crate) fn keys(shape: &KeyShape, side: Side, keys: &[Key]) -> Result<String, Malformed> {
    if let [column] = shape.columns.as_slice() {
        let mut literals = Vec::with_capacity(keys.len());
        for key in keys {
            literals.extend(shape.literals(key)?);
        }
        return Ok(format!("{} IN ({})", column.name(side), literals.join(", ")));
    }
    let mut terms = Vec::with_capacity(keys.len());
    for key in keys {
        let literals = shape.literals(key)?;
        let equal: Vec<String> = shape
            .columns
            .iter()
            .zip(&literals)
            .map(|(column, literal)| format!("{} = {literal}", column.name(side)))
            .collect();
        terms.push(format!("({})", equal.join(" AND ")));
    }
    Ok(terms.join(" OR "))
}

/// The rows behind `after` (all, if none) up to and with `through`.
pub(crate) fn range(
    shape: &KeyShape,
    side: Side,
    after: Option<&Bound>,
    through: Option<&Bound>,
) -> String {
    range_by(shape, |column| column.name(side), after, through)
}

/// The same, with the columns under other names.
pub(crate) fn range_by(
    shape: &KeyShape,
    name: impl Fn(&KeyColumn) -> String,
    after: Option<&Bound>,
    through: Option<&Bound>,
) -> String {
    let mut terms = Vec::new();
    let name = &name;
    if let Some(after) = after {
        terms.push(beyond(shape, name, after, Direction::Behind));
    }
    if let Some(through) = through {
        terms.push(beyond(shape, name, through, Direction::UpTo));
    }
    if terms.is_empty() { "TRUE".to_owned() } else { terms.join(" AND ") }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Behind the bound, without it.
    Behind,
    /// Up to the bound, with it.
    UpTo,
}

/// `a > 1 OR (a = 1 AND b > 2)`, with `a >= 1` in front, which alone lets the index be used where
/// the optimizer gives up on the OR.
fn beyond(
    shape: &KeyShape,
    name: impl Fn(&KeyColumn) -> String,
    bound: &Bound,
    direction: Direction,
) -> String {
    let columns: Vec<(&KeyColumn, &String)> = shape.columns.iter().zip(&bound.0).collect();
    let strictly = |column: &KeyColumn| {
        let ascending = (direction == Direction::Behind) != column.descending;
        if ascending { ">" } else { "<" }
    };
    let mut alternatives = Vec::with_capacity(columns.len());
    for (i, (column, literal)) in columns.iter().enumerate() {
        let last = i + 1 == columns.len();
        let equal = if last && direction == Direction::UpTo { "=" } else { "" };
        let mut term: Vec<String> = columns
            .iter()
            .take(i)
            .map(|(column, literal)| format!("{} = {literal}", name(column)))
            .collect();
        term.push(format!("{} {}{equal} {literal}", name(column), strictly(column)));
        alternatives.push(term.join(" AND "));
    }
    match (columns.as_slice(), alternatives.as_slice()) {
        ([_], [only]) => only.clone(),
        ([(first, literal), ..], many) => format!(
            "{} {}= {literal} AND (({}))",
            name(first),
            strictly(first),
            many.join(") OR (")
        ),
        ([], _) => "TRUE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Ident, KeyType};

    fn shape(descending: &[bool]) -> KeyShape {
        let column = |(i, descending): (usize, &bool)| KeyColumn {
            source: Ident::new(format!("k{i}")),
            ghost: Ident::new(format!("g{i}")),
            ty: KeyType::Int { unsigned: false },
            descending: *descending,
        };
        KeyShape {
            source_index: Ident::new("PRIMARY"),
            ghost_index: Some(Ident::new("PRIMARY")),
            ghost_unique: true,
            columns: descending.iter().enumerate().map(column).collect(),
        }
    }

    fn bound(literals: &[&str]) -> Bound {
        Bound(literals.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn ranges() {
        let one = shape(&[false]);
        insta::assert_snapshot!(range(&one, Side::Source, Some(&bound(&["1"])), Some(&bound(&["9"]))), @"`k0` > 1 AND `k0` <= 9");
        insta::assert_snapshot!(range(&one, Side::Ghost, None, None), @"TRUE");
        let mixed = shape(&[false, true]);
        insta::assert_snapshot!(
            range(&mixed, Side::Source, Some(&bound(&["1", "2"])), Some(&bound(&["3", "4"]))),
            @"`k0` >= 1 AND ((`k0` > 1) OR (`k0` = 1 AND `k1` < 2)) AND `k0` <= 3 AND ((`k0` < 3) OR (`k0` = 3 AND `k1` >= 4))"
        );
        insta::assert_snapshot!(
            range(&mixed, Side::Ghost, Some(&bound(&["1", "2"])), None),
            @"`g0` >= 1 AND ((`g0` > 1) OR (`g0` = 1 AND `g1` < 2))"
        );
    }

    #[test]
    fn sets() {
        let set = [Key::Int(1), Key::Int(u64::MAX)];
        insta::assert_snapshot!(keys(&shape(&[false]), Side::Ghost, &set).unwrap(), @"`g0` IN (1, -1)");
    }
}
