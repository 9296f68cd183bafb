//! The definition of a table as the server prints it, and its parts.

use serde::{Deserialize, Serialize};

use crate::db::{Session, missing};
use crate::error::Result;
use crate::sql::tokens::{Dialect, Spanned, Token, tokenize};
use crate::sql::{Ident, TableName};

/// What `SHOW CREATE TABLE` says, with the counter set apart, as it changes all the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) text: String,
    pub(crate) auto_increment: Option<u64>,
}

impl Definition {
    pub(crate) fn read(session: &mut Session, name: &TableName) -> Result<Self> {
        let sql = format!("SHOW CREATE TABLE {name}");
        let row = session.in_plain_mode(|session| session.rows(&sql))?.into_iter().next();
        let text = row.and_then(|row| row.into_iter().nth(1)).flatten();
        Ok(Self::parse(&text.ok_or_else(|| missing("how the table is defined"))?))
    }

    /// The counter stands right behind the engine, if at all.
    pub(super) fn parse(text: &str) -> Self {
        let split = || {
            let tokens = tokenize(text, Dialect::default()).ok()?;
            let (_, behind) = split(text, &tokens)?;
            // A tablespace may stand before the engine.
            let engine = behind.iter().position(|token| token.is_word("ENGINE"))?;
            let [_, is, name, counter, is_too, number, ..] = behind.get(engine..)? else {
                return None;
            };
            let is_counter =
                counter.is_word("AUTO_INCREMENT") && [is, is_too].iter().all(|t| t.is_symbol('='));
            let Token::Number(digits) = number.token else { return None };
            let digits = digits.parse().ok().filter(|_| is_counter)?;
            let (head, tail) = (text.get(..name.end)?, text.get(number.end..)?);
            Some((format!("{head}{tail}"), digits))
        };
        match split() {
            Some((text, counter)) => Definition { text, auto_increment: Some(counter) },
            None => Definition { text: text.to_owned(), auto_increment: None },
        }
    }

    /// The definitions of its columns, indexes and constraints, in their order. Each has a line of its own; but lines end
    /// within names and expressions, too.
    pub(crate) fn items(&self) -> Vec<&str> {
        let tokens = tokenize(&self.text, Dialect::default());
        let items = tokens.ok().and_then(|tokens| Some(split(&self.text, &tokens)?.0));
        // MySQL prints expressions that it was given under NO_BACKSLASH_ESCAPES in a way that nobody can read.
        let lines =
            || self.text.lines().skip(1).map(|line| line.trim_start().trim_end_matches(','));
        items.unwrap_or_else(|| lines().collect())
    }

    /// The names of its foreign keys.
    pub(crate) fn foreign_keys(&self) -> Vec<Ident> {
        let name = |item: &str| {
            let tokens = tokenize(item, Dialect::default()).ok()?;
            match tokens.as_slice() {
                [constraint, name, foreign, ..]
                    if constraint.is_word("CONSTRAINT") && foreign.is_word("FOREIGN") =>
                {
                    name.identifier().map(Ident::new)
                }
                _ => None,
            }
        };
        self.items().into_iter().filter_map(name).collect()
    }

    /// The names and definitions of its indexes but the primary key.
    pub(crate) fn indexes(&self) -> Vec<(Ident, &str)> {
        let index = |item| {
            let tokens = tokenize(item, Dialect::default()).ok()?;
            let key = tokens.iter().take(2).position(|token| token.is_word("KEY"))?;
            Some((Ident::new(tokens.get(key + 1)?.identifier()?), item))
        };
        let all = self.items().into_iter().filter_map(index);
        all.filter(|(_, item)| !item.starts_with("PRIMARY")).collect()
    }

    /// The definition of an index, as in `UNIQUE KEY a (b)` or `PRIMARY KEY (a)`.
    pub(crate) fn key(&self, name: &Ident) -> Option<&str> {
        let primary = if name.as_str() == "PRIMARY" { "PRIMARY KEY " } else { "\0" };
        let starts = [format!("UNIQUE KEY {name} "), format!("KEY {name} "), primary.to_owned()];
        self.items().into_iter().find(|item| starts.iter().any(|start| item.starts_with(start)))
    }

    /// Where among the definitions a unique key stands.
    pub(crate) fn place_of_unique_key(&self, name: &Ident) -> Option<usize> {
        let start = format!("UNIQUE KEY {name} ");
        self.items().into_iter().position(|item| item.starts_with(&start))
    }

    /// Whether there is a column of that name.
    pub(crate) fn has_column(&self, name: &Ident) -> bool {
        let start = format!("{name} ");
        self.items().into_iter().any(|item| item.starts_with(&start))
    }
}

/// What stands between the outermost parentheses, cut at its commas, and the tokens behind.
fn split<'t, 'a>(
    text: &'a str,
    tokens: &'t [Spanned<'a>],
) -> Option<(Vec<&'a str>, &'t [Spanned<'a>])> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::Symbol('(') => {
                depth += 1;
                if depth == 1 {
                    start = token.end;
                }
            }
            Token::Symbol(',') if depth == 1 => {
                items.push(text.get(start..token.start)?.trim());
                start = token.end;
            }
            Token::Symbol(')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    items.push(text.get(start..token.start)?.trim());
                    return Some((items, tokens.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_set_apart() {
        let definition = Definition::parse(
            "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`)\n) \
             ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4 COMMENT='x AUTO_INCREMENT=7'",
        );
        assert_eq!(definition.auto_increment, Some(42));
        assert!(
            definition.text.ends_with(
                "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='x AUTO_INCREMENT=7'"
            )
        );
        let in_tablespace = Definition::parse(
            "CREATE TABLE `t` (\n  `id` int\n) /*!50100 TABLESPACE `s` */ ENGINE=InnoDB AUTO_INCREMENT=7",
        );
        assert_eq!(in_tablespace.auto_increment, Some(7));
        let none = Definition::parse(
            "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='x AUTO_INCREMENT=7'",
        );
        assert_eq!(none.auto_increment, None);
    }

    #[test]
    fn finds_the_foreign_keys() {
        let definition = Definition::parse(
            "CREATE TABLE `t` (\n  `a` int COMMENT 'CONSTRAINT `x` FOREIGN KEY',\n  KEY `a` (`a`),\n  \
             CONSTRAINT `f``k` FOREIGN KEY (`a`) REFERENCES `p` (`id`),\n  CONSTRAINT `c` CHECK (`a` > 1),\n  \
             CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES `s`.`p` (`id`)\n) ENGINE=InnoDB",
        );
        assert_eq!(definition.foreign_keys(), [Ident::new("f`k"), Ident::new("g")]);
        assert_eq!(definition.indexes(), [(Ident::new("a"), "KEY `a` (`a`)")]);
    }

    #[test]
    fn finds_the_definition_of_a_key() {
        let definition = Definition::parse(
            "CREATE TABLE `t` (\n  `a` int,\n  UNIQUE KEY `ab` (`a`),\n  UNIQUE KEY `a` (`a`,`b`) \
             USING BTREE\n) ENGINE=InnoDB",
        );
        assert_eq!(definition.key(&Ident::new("a")), Some("UNIQUE KEY `a` (`a`,`b`) USING BTREE"));
        assert_eq!(definition.key(&Ident::new("b")), None);
        let definition = Definition::parse(
            "CREATE TABLE `t` (\n  `a` int,\n  PRIMARY KEY (`a` DESC) USING BTREE,\n  KEY `PRIMARY \
             KEY ` (`a`)\n) ENGINE=InnoDB",
        );
        let primary = definition.key(&Ident::new("PRIMARY"));
        assert_eq!(primary, Some("PRIMARY KEY (`a` DESC) USING BTREE"));
        assert!(definition.has_column(&Ident::new("a")));
        assert!(!definition.has_column(&Ident::new("PRIMARY KEY ")));
    }

    /// Names and strings that look like parts of a definition.
    #[test]
    fn lines_end_within_names() {
        let text = "CREATE TABLE `t\n  KEY ``x`` (` (\n  `a,\n  KEY ``b`` (``a``)` int COMMENT 'x\n) ENGINE=InnoDB \
                    AUTO_INCREMENT=9',\n  `g` int GENERATED ALWAYS AS (concat('(\n',1)) STORED,\n  KEY `b\n,` (`a`,\n`b`)\n) \
                    ENGINE=InnoDB AUTO_INCREMENT=3 COMMENT='\n) ENGINE=InnoDB AUTO_INCREMENT=5'";
        let definition = Definition::parse(text);
        assert_eq!(definition.auto_increment, Some(3));
        assert_eq!(definition.text, text.replacen(" AUTO_INCREMENT=3", "", 1));
        let name = Ident::new("b\n,");
        let key = "KEY `b\n,` (`a`,\n`b`)";
        assert_eq!(definition.indexes(), [(name.clone(), key)]);
        assert_eq!(definition.key(&name), Some(key));
        assert_eq!(definition.key(&Ident::new("b")), None);
        assert_eq!(definition.items().len(), 3);
        assert!(definition.has_column(&Ident::new("g")));
    }

    #[test]
    fn what_cannot_be_read_is_taken_by_its_lines() {
        let text = "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`),\n  CONSTRAINT `c` CHECK (`a` <> '\\')\n) ENGINE=InnoDB";
        let definition = Definition::parse(text);
        assert_eq!(definition.key(&Ident::new("a")), Some("KEY `a` (`a`)"));
        assert!(definition.has_column(&Ident::new("a")));
    }
}
