//! The names of CHECK constraints.
//!
//! In MySQL they are unique in the schema, so the ghost's are not the table's: `CREATE TABLE .. LIKE`
//! makes names of its own, which follow the name of the table when it is renamed.

use std::ops::Range;

use crate::sql::alter::AlterClause;

/// The CHECK constraints in the text of a definition: name, and what follows it.
fn checks(definition: &str) -> impl Iterator<Item = (String, &str)> {
    definition.lines().filter_map(|line| {
        let quoted = line.strip_prefix("  CONSTRAINT `")?;
        let mut name = String::new();
        let mut rest = quoted.chars();
        loop {
            match rest.next()? {
                '`' if rest.as_str().starts_with('`') => {
                    rest.next();
                    name.push('`');
                }
                '`' => break,
                c => name.push(c),
            }
        }
        let text = rest.as_str().strip_prefix(" CHECK ")?;
        Some((name, text.strip_suffix(',').unwrap_or(text)))
    })
}

/// The table's own names that the ghost, an unaltered copy of it, does not have.
pub(crate) fn renamed(table: &str, ghost: &str) -> Vec<(String, String)> {
    let mut copies: Vec<(String, &str)> = checks(ghost).collect();
    let mut renamed = Vec::new();
    for (name, text) in checks(table) {
        // Of several that check the same, any will do.
        let Some(place) = copies.iter().position(|(_, copy)| *copy == text) else { continue };
        let (copy, _) = copies.remove(place);
        renamed.push((name, copy));
    }
    renamed
}

/// The clause as it has to be for the ghost: where it drops or alters a constraint of the table, that
/// is the ghost's.
pub(crate) fn for_ghost(clause: &AlterClause, renamed: &[(String, String)]) -> String {
    let mut text = clause.text.clone();
    let mut places: Vec<&(String, Range<usize>)> = clause.constraints.iter().collect();
    places.sort_by_key(|(_, place)| std::cmp::Reverse(place.start));
    for (name, place) in places {
        let copy = renamed.iter().find(|(own, _)| own.to_lowercase() == name.to_lowercase());
        if let Some((_, copy)) = copy
            && text.get(place.clone()).is_some()
        {
            text.replace_range(place.clone(), &format!("`{}`", copy.replace('`', "``")));
        }
    }
    text
}

/// Whether the definition has a CHECK constraint that somebody has named.
pub(crate) fn has_named(definition: &str, table: &str) -> bool {
    let own = format!("{table}_chk_");
    checks(definition).any(|(name, _)| {
        !name.strip_prefix(&own).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::Dialect;

    const TABLE: &str = "CREATE TABLE `t` (\n  `a` int,\n  CONSTRAINT `c``1` CHECK ((`a` > 1)),\n  \
                         CONSTRAINT `t_chk_1` CHECK ((`a` > 2)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB";
    const GHOST: &str = "CREATE TABLE `g` (\n  `a` int,\n  CONSTRAINT `g_chk_1` CHECK ((`a` > 2)) \
                         /*!80016 NOT ENFORCED */,\n  CONSTRAINT `g_chk_2` CHECK ((`a` > 1))\n) ENGINE=InnoDB";

    #[test]
    fn the_ghosts_names_take_the_place_of_the_tables() {
        let renamed = renamed(TABLE, GHOST);
        let sql = "DROP CHECK `c``1`, ADD CHECK (a <> 'DROP CHECK t_chk_1'), ALTER CONSTRAINT T_CHK_1 ENFORCED, \
                   DROP CONSTRAINT other";
        let clause = AlterClause::parse(sql, Dialect::default()).unwrap();
        assert_eq!(
            for_ghost(&clause, &renamed),
            "DROP CHECK `g_chk_2`, ADD CHECK (a <> 'DROP CHECK t_chk_1'), ALTER CONSTRAINT `g_chk_1` ENFORCED, \
             DROP CONSTRAINT other"
        );
    }

    #[test]
    fn names_of_the_servers_own_are_told_apart() {
        assert!(has_named(TABLE, "t"));
        assert!(!has_named(GHOST, "g"));
    }
}
