//! The names of CHECK constraints. On MySQL a schema has each name once, so that `CREATE TABLE .. LIKE`
//! gives all of them new names, and numbers them anew. Names that the server made begin with the
//! table's name, and follow it when it is renamed: the ghost gets theirs back by that. A name that
//! a person gave stays with the old table; the new one gets it with a `_` more or less in front.

use crate::db::{Flavor, Session};
use crate::error::Result;
use crate::inspect::table::Definition;
use crate::inspect::{ServerInfo, Table};
use crate::sql::alter::AlterClause;
use crate::sql::{Ident, literal};

/// A CHECK of a table: its name, and what follows it in the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: String,
    text: String,
}

/// Gives the CHECKs of the ghost, which is fresh from `CREATE TABLE .. LIKE`, their names. Returns
/// the clause with those names in it, and which names are others, before and after.
pub(super) fn name(
    session: &mut Session,
    server: &ServerInfo,
    table: &Table,
    clause: &AlterClause,
) -> Result<(String, Vec<(String, String)>)> {
    let checks = read(&table.definition);
    if server.flavor != Flavor::MySql || checks.is_empty() {
        return Ok((clause.text.clone(), Vec::new()));
    }
    let ghost = table.name.ghost();
    // The server's own names are made of the table's as the server keeps it.
    let kept = |name: &str| if server.ignores_case { name.to_lowercase() } else { name.to_owned() };
    let (source, ghost_name) = (kept(table.name.table.as_str()), kept(ghost.table.as_str()));
    let mut names: Vec<(String, String)> = Vec::new();
    let mut renamed = Vec::new();
    for check in &checks {
        let new = if let Some(number) = number(&check.name, &source) {
            format!("{ghost_name}_chk_{number}")
        } else {
            let new = free_name(session, table, &check.name)?;
            renamed.push((check.name.clone(), new.clone()));
            new
        };
        names.push((check.name.clone(), new));
    }
    let drops = read(&Definition::read(session, &ghost)?)
        .into_iter()
        .map(|check| format!("DROP CHECK {}", Ident::new(check.name)));
    let drops = format!("ALTER TABLE {ghost} {}", drops.collect::<Vec<_>>().join(", "));
    let adds = checks.iter().zip(&names).map(|(check, (_, new))| {
        format!("ADD CONSTRAINT {} {}", Ident::new(new.as_str()), check.text)
    });
    let adds = format!("ALTER TABLE {ghost} {}", adds.collect::<Vec<_>>().join(", "));
    session.exec(&drops)?;
    // As the definition was written.
    session.in_plain_mode(|session| session.exec(&adds))?;
    let text = clause.with_constraint_names(|name| {
        let (_, new) = names.iter().find(|(old, _)| old.eq_ignore_ascii_case(name))?;
        Some(Ident::new(new.as_str()).to_string())
    });
    Ok((text, renamed))
}

/// The CHECKs that will have other names.
pub(crate) fn named_by_people(server: &ServerInfo, table: &Table) -> Vec<String> {
    if server.flavor != Flavor::MySql {
        return Vec::new();
    }
    let name = table.name.table.as_str();
    let name = if server.ignores_case { name.to_lowercase() } else { name.to_owned() };
    let is_made = |check: &Check| number(&check.name, &name).is_some();
    read(&table.definition).into_iter().filter(|c| !is_made(c)).map(|c| c.name).collect()
}

/// The number in a name that the server made.
fn number<'a>(name: &'a str, table: &str) -> Option<&'a str> {
    let number = name.strip_prefix(table)?.strip_prefix("_chk_")?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(number)
}

/// A name like this that no table of the schema has.
fn free_name(session: &mut Session, table: &Table, name: &str) -> Result<String> {
    let mut new = name.strip_prefix('_').unwrap_or(name).to_owned();
    loop {
        let sql = format!(
            "SELECT 1 FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = {} \
             AND CONSTRAINT_NAME = {} AND CONSTRAINT_TYPE = 'CHECK'",
            literal::text(table.name.schema.as_str()),
            literal::text(&new)
        );
        if !new.is_empty() && session.scalar(&sql)?.is_none() {
            return Ok(new);
        }
        new = std::iter::once('_').chain(new.chars()).take(crate::sql::ident::MAX_CHARS).collect();
    }
}

/// ``CONSTRAINT `c` CHECK (..)``
fn read(definition: &Definition) -> Vec<Check> {
    let check = |item: &str| {
        let line = item.strip_prefix("CONSTRAINT `")?;
        let mut name = String::new();
        let mut chars = line.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != '`' {
                name.push(c);
            } else if chars.next_if(|(_, next)| *next == '`').is_some() {
                name.push('`');
            } else {
                let text = line.get(at + 1..)?.trim_start();
                return text.starts_with("CHECK (").then(|| Check { name, text: text.to_owned() });
            }
        }
        None
    };
    definition.items().into_iter().filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_checks() {
        let definition = Definition {
            text: "CREATE TABLE `t` (\n  `a` int COMMENT 'CONSTRAINT `x` CHECK (1)',\n  \
                   CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`),\n  \
                   CONSTRAINT `a``b` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */,\n  \
                   CONSTRAINT `t_chk_12` CHECK ((`a` <> _utf8mb4'`,'))\n) ENGINE=InnoDB"
                .to_owned(),
            auto_increment: None,
        };
        let check = |name: &str, text: &str| Check { name: name.into(), text: text.into() };
        assert_eq!(
            read(&definition),
            [
                check("a`b", "CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */"),
                check("t_chk_12", "CHECK ((`a` <> _utf8mb4'`,'))")
            ]
        );
        assert_eq!(number("t_chk_12", "t"), Some("12"));
        for other in ["t_chk_", "t_chk_1a", "u_chk_1", "t_chk1"] {
            assert_eq!(number(other, "t"), None);
        }
    }
}
