//! What a user is granted, as `SHOW GRANTS` says it, and which of the grants the server goes by.

use super::On;
use crate::db::{Flavor, Session};
use crate::error::Result;
use crate::inspect::{ServerInfo, Version};
use crate::sql::{Ident, TableName};

/// Which of several patterns that match a schema counts. The servers take one, and not what all of them give: a
/// second, narrower grant takes away what a wider one gives. Seen on MySQL 9.7, MariaDB 10.11 and 11.8
/// (`tests/it/privileges/patterns.rs` compares each case with the server). Where two are as good as each other,
/// only what both give is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precedence {
    /// The one whose first wildcard comes last: MySQL.
    FirstWildcard,
    /// The one with the most characters besides `%`, and of these with the fewest `%`, and then `_`: MariaDB.
    Characters,
    /// Any: MySQL while roles are in force keeps them in a hash table. A name without wildcards comes first.
    Any,
    /// There are no patterns: MySQL with `partial_revokes`.
    /// <https://dev.mysql.com/doc/refman/9.7/en/partial-revokes.html>
    Literal,
}

/// The grants of the user that is logged in, with those of the roles that are in force.
#[derive(Debug)]
pub(super) struct Granted {
    list: Vec<Grant>,
    precedence: Precedence,
    ignores_case: bool,
    /// MariaDB, before 11.0 split it: <https://mariadb.com/kb/en/grant/#super>
    super_is_all: bool,
}

/// A line of `SHOW GRANTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    revoked: bool,
    privileges: Vec<String>,
    scope: Scope,
    grantee: Grantee,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Server,
    /// A pattern, if it is not of a partial revoke.
    Schema(String),
    Table(String, String),
}

/// Each of them has patterns of its own, and what they give adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grantee {
    User,
    Role,
    Public,
}

impl Granted {
    pub(super) fn read(session: &mut Session, server: &ServerInfo) -> Result<Self> {
        let mut sql = "SHOW GRANTS".to_owned();
        let mut precedence = Precedence::Characters;
        if server.flavor == Flavor::MySql {
            precedence = Precedence::FirstWildcard;
            // Without USING, MySQL lists the roles and not what they give.
            let roles = session.scalar("SELECT CURRENT_ROLE()")?.unwrap_or_default();
            if !roles.is_empty() && roles != "NONE" {
                sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
                precedence = Precedence::Any;
            }
            if server.has_partial_revokes() {
                precedence = Precedence::Literal;
            }
        }
        let lines =
            session.rows(&sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(Granted {
            list: lines.filter_map(|line| Grant::parse(&line)).collect(),
            precedence,
            ignores_case: server.ignores_case,
            super_is_all: server.flavor == Flavor::MariaDb && server.version < Version(11, 0, 0),
        })
    }

    /// Whether the user has the privilege there.
    pub(super) fn has(&self, privilege: &str, on: &On) -> bool {
        let gives = |grant: &Grant| self.gives(grant, privilege);
        let of_server = self.list.iter().any(|grant| {
            grant.scope == Scope::Server
                && gives(grant)
                && !on.schema().is_some_and(|schema| self.is_revoked(privilege, schema))
        });
        let Some(schema) = on.schema() else { return of_server };
        of_server
            || self.given_on_schema(privilege, schema)
            || on.table().is_some_and(|table| self.has_on_table(privilege, table))
    }

    /// Whether the user has it by a grant on that very table.
    pub(super) fn has_on_table(&self, privilege: &str, table: &TableName) -> bool {
        self.list.iter().any(|grant| match &grant.scope {
            Scope::Table(schema, name) => {
                self.same(schema, table.schema.as_str())
                    && self.same(name, table.table.as_str())
                    && self.gives(grant, privilege)
            }
            _ => false,
        })
    }

    /// What a grant on the schema is to be made on, quoted: the pattern that counts there already, lest the new
    /// grant take away what that gives, or else the name.
    pub(super) fn target(&self, schema: &Ident) -> String {
        let own = self.in_force(schema, Grantee::User).first().map(|(own, _)| (*own).to_owned());
        let pattern = own.unwrap_or_else(|| self.literal(schema.as_str()));
        format!("{}.*", Ident::new(pattern))
    }

    /// The name as a pattern that matches nothing else.
    fn literal(&self, name: &str) -> String {
        if self.precedence == Precedence::Literal {
            return name.to_owned();
        }
        name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
    }

    /// MySQL's partial revokes take from what is granted on the whole server.
    fn is_revoked(&self, privilege: &str, schema: &Ident) -> bool {
        self.list.iter().any(|grant| match &grant.scope {
            Scope::Schema(name) => {
                grant.revoked
                    && self.same(name, schema.as_str())
                    && self.gives_anyhow(grant, privilege)
            }
            _ => false,
        })
    }

    fn given_on_schema(&self, privilege: &str, schema: &Ident) -> bool {
        [Grantee::User, Grantee::Role, Grantee::Public].into_iter().any(|grantee| {
            let in_force = self.in_force(schema, grantee);
            // What is granted on one pattern may stand on several lines.
            let by_pattern = |pattern: &str| {
                in_force.iter().any(|(other, g)| *other == pattern && self.gives(g, privilege))
            };
            !in_force.is_empty() && in_force.iter().all(|(pattern, _)| by_pattern(pattern))
        })
    }

    /// The patterns that the server goes by, and their grants.
    fn in_force(&self, schema: &Ident, grantee: Grantee) -> Vec<(&str, &Grant)> {
        let name = schema.as_str();
        let patterns = self.list.iter().filter_map(|grant| match &grant.scope {
            Scope::Schema(pattern) if grant.grantee == grantee && !grant.revoked => {
                self.matches(pattern, name).then_some((pattern.as_str(), grant))
            }
            _ => None,
        });
        let patterns: Vec<(&str, &Grant)> = patterns.collect();
        let best = patterns.iter().map(|(pattern, _)| self.rank(pattern, name)).max();
        patterns.into_iter().filter(|(p, _)| Some(self.rank(p, name)) == best).collect()
    }

    /// The greater, the more it counts.
    fn rank(&self, pattern: &str, name: &str) -> [usize; 3] {
        let Wildcards { first, many, one, others } = Wildcards::of(pattern);
        let few = |count: usize| usize::MAX - count;
        match self.precedence {
            Precedence::FirstWildcard => [first, 0, 0],
            Precedence::Characters => [others + one, few(many), few(one)],
            Precedence::Any => [usize::from(first == usize::MAX && self.same(pattern, name)), 0, 0],
            Precedence::Literal => [0; 3],
        }
    }

    fn matches(&self, pattern: &str, name: &str) -> bool {
        if self.precedence == Precedence::Literal {
            return self.same(pattern, name);
        }
        if self.ignores_case {
            matches_pattern(&pattern.to_lowercase(), &name.to_lowercase())
        } else {
            matches_pattern(pattern, name)
        }
    }

    fn same(&self, a: &str, b: &str) -> bool {
        a == b || self.ignores_case && a.to_lowercase() == b.to_lowercase()
    }

    fn gives(&self, grant: &Grant, privilege: &str) -> bool {
        !grant.revoked && self.gives_anyhow(grant, privilege)
    }

    fn gives_anyhow(&self, grant: &Grant, privilege: &str) -> bool {
        const OF_SUPER: [&str; 5] = [
            "BINLOG ADMIN",
            "BINLOG MONITOR",
            "REPLICATION SLAVE ADMIN",
            "SET USER",
            "SLAVE MONITOR",
        ];
        grant.privileges.iter().any(|name| {
            name == privilege
                || name == "ALL PRIVILEGES"
                || name == "ALL"
                // What older MariaDB versions, and scripts, call it.
                || privilege == "BINLOG MONITOR" && name == "REPLICATION CLIENT"
                || self.super_is_all && name == "SUPER" && OF_SUPER.contains(&privilege)
        })
    }
}

/// What a pattern is made of.
struct Wildcards {
    /// Where the first one is; `usize::MAX` if there is none.
    first: usize,
    /// How many `%`, `_` and other characters there are.
    many: usize,
    one: usize,
    others: usize,
}

impl Wildcards {
    fn of(pattern: &str) -> Self {
        let mut found = Wildcards { first: usize::MAX, many: 0, one: 0, others: 0 };
        let mut chars = pattern.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '%' => found.many += 1,
                '_' => found.one += 1,
                _ => {
                    found.others += 1;
                    if c == '\\' {
                        chars.next();
                    }
                    continue;
                }
            }
            found.first = found.first.min(at);
        }
        found
    }
}

impl Grant {
    fn parse(line: &str) -> Option<Self> {
        let (revoked, rest) = match line.strip_prefix("GRANT ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("REVOKE ")?),
        };
        // Roles are granted without ON; what they give stands on lines of its own.
        let (privileges, rest) = split_outside(rest, " ON ")?;
        let (target, whom) = split_outside(rest, if revoked { " FROM " } else { " TO " })?;
        let scope = match split_outside(target, ".")? {
            ("*", "*") => Scope::Server,
            (schema, "*") => Scope::Schema(unquote(schema)),
            (schema, table) => Scope::Table(unquote(schema), unquote(table)),
        };
        let grantee = match split_outside(whom, "@") {
            Some(_) => Grantee::User,
            None if whom.trim() == "PUBLIC" => Grantee::Public,
            None => Grantee::Role,
        };
        // Privileges on columns only, `SELECT (a, b)`, are not enough, and are not counted.
        let privileges = split_list(privileges)
            .into_iter()
            .filter(|privilege| !privilege.contains('('))
            .map(|privilege| privilege.trim().to_ascii_uppercase())
            .collect();
        Some(Grant { revoked, privileges, scope, grantee })
    }
}

/// Splits at the first `separator` that is not inside backticks.
fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut quoted = false;
    for (i, c) in text.char_indices() {
        if c == '`' {
            quoted = !quoted;
        } else if !quoted
            && let Some(rest) = text.get(i..).and_then(|rest| rest.strip_prefix(separator))
        {
            return Some((text.get(..i)?, rest));
        }
    }
    None
}

/// Splits at commas that are not inside parentheses or backticks.
fn split_list(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0_u32, false);
    text.split(|c: char| {
        match c {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    })
    .collect()
}

fn unquote(name: &str) -> String {
    match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => name.to_owned(),
    }
}

/// `%` is any text, `_` any character, `\` takes the next one literally.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['%', rest @ ..] => {
                (0..=name.len()).any(|i| name.get(i..).is_some_and(|name| matches(rest, name)))
            }
            ['\\', c, rest @ ..] => {
                name.split_first().is_some_and(|(n, name)| n == c && matches(rest, name))
            }
            [c, rest @ ..] => name
                .split_first()
                .is_some_and(|(n, name)| (*c == '_' || n == c) && matches(rest, name)),
        }
    }
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    matches(&pattern, &name)
}

#[cfg(test)]
pub(super) mod tests;
