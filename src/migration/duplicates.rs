//! Which rows have the same value in a unique key that the ALTER adds.

use crate::db::Session;
use crate::error::Result;
use crate::inspect::table::Index;
use crate::sql::Ident;
use crate::sql::predicate::Side;
use crate::sql::statements::{TablePair, join};

/// So many values are named for each index.
const MOST: usize = 5;

/// Names them by their keys, as the ghost has them, which must be in step.
pub(super) fn name(session: &mut Session, pair: &TablePair, indexes: &[Index]) -> Result<String> {
    let mut found = Vec::new();
    for index in indexes {
        let Some(sql) = query(pair, index) else { continue };
        for row in session.rows(&sql)? {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let (value, keys) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
            found.push(format!("{} ({value}): the rows {keys}", index.name));
        }
    }
    Ok(found.join("; "))
}

/// None for an index of an expression.
fn query(pair: &TablePair, index: &Index) -> Option<String> {
    let parts: Option<Vec<String>> = index
        .parts
        .iter()
        .map(|part| {
            let column = Ident::new(part.column.clone()?);
            Some(match part.prefix {
                Some(length) => format!("LEFT({column}, {length})"),
                None => column.to_string(),
            })
        })
        .collect();
    let parts = parts?;
    let values = join(parts.iter().map(|part| format!("QUOTE({part})")));
    let present: Vec<String> = parts.iter().map(|part| format!("{part} IS NOT NULL")).collect();
    Some(format!(
        "SELECT CONCAT_WS(', ', {values}), GROUP_CONCAT({} SEPARATOR ' and ') FROM {} WHERE {} \
         GROUP BY {} HAVING COUNT(*) > 1 LIMIT {MOST}",
        pair.key_text(Side::Ghost),
        pair.ghost,
        present.join(" AND "),
        parts.join(", "),
    ))
}
