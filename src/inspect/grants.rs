//! Privileges: which of those a run needs are missing.

use crate::db::{Flavor, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Ident, TableName};

/// Privileges on the schema, or on each of the four tables of a run. TRIGGER is needed to see
/// whether the table has any.
const ON_TABLES: [&str; 9] =
    ["ALTER", "CREATE", "DELETE", "DROP", "INSERT", "LOCK TABLES", "SELECT", "TRIGGER", "UPDATE"];

/// Privileges on the server: to be sent the binlog, and to ask where it stands. MariaDB 10.5
/// renamed the second one.
fn on_server(flavor: Flavor) -> [&'static str; 2] {
    match flavor {
        Flavor::MySql => ["REPLICATION SLAVE", "REPLICATION CLIENT"],
        Flavor::MariaDb => ["REPLICATION SLAVE", "BINLOG MONITOR"],
    }
}

/// Refuses a user who lacks a privilege, naming each one that is missing, and the GRANT that would
/// give it.
pub(crate) fn check(session: &mut Session, flavor: Flavor, table: &TableName) -> Result<()> {
    let grants = read(session, flavor)?;
    let missing = missing(&grants, flavor, table);
    if missing.is_empty() {
        return Ok(());
    }
    let user = account(&session.scalar("SELECT CURRENT_USER()")?.unwrap_or_default());
    let statements: Vec<String> = missing
        .iter()
        .map(|(privileges, target)| {
            format!("GRANT {} ON {target} TO {user}", privileges.join(", "))
        })
        .collect();
    Err(Error::new(
        ErrorKind::Privileges,
        format!("the user {user} lacks privileges: {}", statements.join("; ")),
    ))
}

/// A privilege that this run needs besides.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Any one of these will do; the first is the narrowest.
    pub(crate) any_of: Vec<&'static str>,
    /// The table it is needed on; on the server if none.
    pub(crate) on: Option<TableName>,
    /// What would do instead.
    pub(crate) or: Option<&'static str>,
}

/// Like [`check`], for what only some runs need.
pub(crate) fn check_also(session: &mut Session, flavor: Flavor, wanted: &[Wanted]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let grants = read(session, flavor)?;
    let user = account(&session.scalar("SELECT CURRENT_USER()")?.unwrap_or_default());
    let mut statements: Vec<String> = Vec::new();
    for Wanted { any_of, on, or } in wanted {
        if any_of.iter().any(|privilege| !lacks(&grants, privilege, on.as_ref())) {
            continue;
        }
        let target = on.as_ref().map_or_else(|| "*.*".to_owned(), |on| format!("{}.*", on.schema));
        let or = or.map_or_else(String::new, |or| format!(" (or {or})"));
        let privilege = any_of.first().copied().unwrap_or_default();
        let statement = format!("GRANT {privilege} ON {target} TO {user}{or}");
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    if statements.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Privileges,
        format!("the user {user} lacks privileges: {}", statements.join("; ")),
    ))
}

/// Whether the user is the one that is logged in.
pub(crate) fn is_current_user(session: &mut Session, user: &str, host: &str) -> Result<bool> {
    Ok(session.scalar("SELECT CURRENT_USER()")?.is_some_and(|me| me == format!("{user}@{host}")))
}

/// `name@host`, which the server says without quotes, as a GRANT takes it.
fn account(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", Ident::new(name), Ident::new(host)),
        None => Ident::new(user).to_string(),
    }
}

fn lacks(grants: &[Grant], privilege: &str, schema: Option<&TableName>) -> bool {
    // The last word counts: MySQL's partial revokes take away what a wider grant gives.
    let applies = |grant: &&Grant| grant.gives(privilege) && grant.covers(schema);
    let (given, revoked): (Vec<&Grant>, Vec<&Grant>) =
        grants.iter().filter(applies).partition(|grant| !grant.revoked);
    let narrowest = given.iter().map(|grant| grant.scope.width()).min();
    match narrowest {
        None => true,
        Some(width) => revoked.iter().any(|revoke| revoke.scope.width() < width),
    }
}

/// What is missing, by what it is to be granted on.
fn missing(grants: &[Grant], flavor: Flavor, table: &TableName) -> Vec<(Vec<String>, String)> {
    let collect = |wanted: &[&str], schema: Option<&TableName>| -> Vec<String> {
        wanted.iter().filter(|p| lacks(grants, p, schema)).map(ToString::to_string).collect()
    };
    let mut missing = Vec::new();
    let global = collect(&on_server(flavor), None);
    if !global.is_empty() {
        missing.push((global, "*.*".to_owned()));
    }
    // LOCK TABLES cannot be granted on a table; the others can, on each of the four.
    let mut on_schema: Vec<String> = Vec::new();
    for name in [table.clone(), table.ghost(), table.state(), table.old()] {
        for privilege in collect(&ON_TABLES, Some(&name)) {
            if !on_schema.contains(&privilege) {
                on_schema.push(privilege);
            }
        }
    }
    if !on_schema.is_empty() {
        missing.push((on_schema, format!("{}.*", table.schema)));
    }
    missing
}

/// A line of `SHOW GRANTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    revoked: bool,
    privileges: Vec<String>,
    scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Server,
    /// The name of the schema is a pattern with `%` and `_`, unless it is of a partial revoke.
    Schema(String),
    Table(String, String),
}

impl Scope {
    fn width(&self) -> u8 {
        match self {
            Scope::Table(..) => 0,
            Scope::Schema(_) => 1,
            Scope::Server => 2,
        }
    }
}

impl Grant {
    fn gives(&self, privilege: &str) -> bool {
        let is = |name: &String| {
            name == privilege
                || name == "ALL PRIVILEGES"
                || name == "ALL"
                // What older MariaDB versions, and scripts, call it.
                || privilege == "BINLOG MONITOR" && name == "REPLICATION CLIENT"
        };
        self.privileges.iter().any(is)
    }

    fn covers(&self, table: Option<&TableName>) -> bool {
        match (&self.scope, table) {
            (Scope::Server, _) => true,
            (_, None) => false,
            (Scope::Schema(pattern), Some(table)) => {
                let schema = table.schema.as_str();
                pattern == schema || !self.revoked && matches_pattern(pattern, schema)
            }
            (Scope::Table(schema, name), Some(table)) => {
                table.schema == Ident::new(schema) && table.table == Ident::new(name)
            }
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (revoked, rest) = match line.strip_prefix("GRANT ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("REVOKE ")?),
        };
        // Roles are granted without ON; what they give stands on lines of its own.
        let (privileges, rest) = split_outside(rest, " ON ")?;
        let (target, _) = split_outside(rest, if revoked { " FROM " } else { " TO " })?;
        let scope = match split_outside(target, ".")? {
            ("*", "*") => Scope::Server,
            (schema, "*") => Scope::Schema(unquote(schema)),
            (schema, table) => Scope::Table(unquote(schema), unquote(table)),
        };
        // Privileges on columns only, `SELECT (a, b)`, are not enough, and are not counted.
        let privileges = split_list(privileges)
            .into_iter()
            .filter(|privilege| !privilege.contains('('))
            .map(|privilege| privilege.trim().to_ascii_uppercase())
            .collect();
        Some(Grant { revoked, privileges, scope })
    }
}

fn read(session: &mut Session, flavor: Flavor) -> Result<Vec<Grant>> {
    let mut sql = "SHOW GRANTS".to_owned();
    if flavor == Flavor::MySql {
        // Without USING, MySQL lists the roles and not what they give.
        let roles = session.scalar("SELECT CURRENT_ROLE()")?.unwrap_or_default();
        if !roles.is_empty() && roles != "NONE" {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
    }
    let lines = session.rows(&sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(lines.filter_map(|line| Grant::parse(&line)).collect())
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

/// Whether the user may change the format of the binlog, for everybody.
pub(crate) fn may_set_globals(session: &mut Session, flavor: Flavor) -> Result<bool> {
    let wanted = match flavor {
        Flavor::MySql => ["SYSTEM_VARIABLES_ADMIN", "SUPER"],
        Flavor::MariaDb => ["BINLOG ADMIN", "SUPER"],
    };
    let grants = read(session, flavor)?;
    Ok(grants.iter().any(|grant| {
        !grant.revoked && grant.scope == Scope::Server && wanted.iter().any(|p| grant.gives(p))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(lines: &[&str], flavor: Flavor) -> String {
        let grants: Vec<Grant> = lines.iter().filter_map(|line| Grant::parse(line)).collect();
        let table = TableName::new(Ident::new("my_db"), Ident::new("t"));
        let list = missing(&grants, flavor, &table).into_iter();
        list.map(|(privileges, on)| format!("{} ON {on}", privileges.join(",")))
            .collect::<Vec<_>>()
            .join("; ")
    }

    const SERVER: &str = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`";
    const TABLES: &str = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, LOCK TABLES, \
                          TRIGGER ON `my\\_db`.* TO `u`@`%`";

    #[test]
    fn exactly_what_is_missing() {
        assert_eq!(lacking(&[SERVER, TABLES], Flavor::MySql), "");
        assert_eq!(
            lacking(&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"], Flavor::MariaDb),
            ""
        );
        assert_eq!(
            lacking(&[TABLES], Flavor::MySql),
            "REPLICATION SLAVE,REPLICATION CLIENT ON *.*"
        );
        assert_eq!(
            lacking(
                &[
                    "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `u`@`%`",
                    "GRANT ALL PRIVILEGES ON `my%`.* TO u"
                ],
                Flavor::MariaDb
            ),
            ""
        );
        assert_eq!(
            lacking(
                &[
                    SERVER,
                    "GRANT ALL PRIVILEGES ON `other`.* TO u",
                    "GRANT SELECT (a), INSERT ON `my_db`.* TO u"
                ],
                Flavor::MySql
            ),
            "ALTER,CREATE,DELETE,DROP,LOCK TABLES,SELECT,TRIGGER,UPDATE ON `my_db`.*"
        );
    }

    #[test]
    fn a_grant_on_the_table_alone_is_not_enough() {
        let lines = [
            SERVER,
            TABLES.split(" ON ").next().unwrap(),
            "GRANT ALL PRIVILEGES ON `my_db`.`t` TO u",
        ];
        assert!(lacking(&lines, Flavor::MySql).contains("CREATE"));
    }

    #[test]
    fn partial_revokes_take_away() {
        let all = "GRANT ALL PRIVILEGES ON *.* TO `u`@`%`";
        let revoke = "REVOKE INSERT ON `my_db`.* FROM `u`@`%`";
        assert_eq!(lacking(&[all, revoke], Flavor::MySql), "INSERT ON `my_db`.*");
        assert_eq!(lacking(&[all, "REVOKE INSERT ON `my%`.* FROM u"], Flavor::MySql), "");
    }

    #[test]
    fn names_are_patterns() {
        assert!(matches_pattern("my\\_db", "my_db"));
        assert!(!matches_pattern("my\\_db", "myxdb"));
        assert!(matches_pattern("my_db", "myxdb"));
        assert!(matches_pattern("%", ""));
        assert!(matches_pattern("a%c", "abbc"));
        assert!(!matches_pattern("a%c", "abcd"));
    }
}
