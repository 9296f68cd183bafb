//! The lists of docs/PRIVILEGES.md, as they stand there: with exactly those each mode runs to its end, and without
//! one of them it is refused by that one's name, with nothing changed.

mod modes;
mod patterns;
mod replicas;

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ErrorKind, OnlineAlter, TableState};
use online_alter_support::{Database, Flavor, Server};

use crate::harness::{self, owned_table, tables};

const PAGE: &str = include_str!("../../../docs/PRIVILEGES.md");
const PASSWORD: &str = "pa55-w0rd";

/// One privilege, and what it is granted on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    privilege: String,
    on: String,
}

/// The privileges of a list of the page.
fn list(flavor: Flavor, name: &str) -> Vec<Given> {
    let kind = if flavor.is_mariadb() { "mariadb" } else { "mysql" };
    let start = format!("```sql {kind} {name}\n");
    let (_, text) = PAGE.split_once(&start).unwrap_or_else(|| panic!("no list {start}"));
    let (text, _) = text.split_once("```").unwrap();
    let mut given = Vec::new();
    for line in text.lines() {
        let words = line.strip_prefix("GRANT ").and_then(|line| line.split_once(" ON "));
        let (privileges, rest) = words.unwrap_or_else(|| panic!("{line}"));
        let on = rest.strip_suffix(" TO 'online_alter'@'%';").unwrap_or_else(|| panic!("{line}"));
        let each = privileges.split(", ");
        given.extend(each.map(|p| Given { privilege: p.to_owned(), on: on.to_owned() }));
    }
    given
}

fn sql(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// A user, and no more than was granted to him.
struct User<'a> {
    server: &'a Server,
    name: String,
    schema: String,
    given: Vec<Given>,
}

impl<'a> User<'a> {
    /// With these lists of the page. Not to be replicated: replicas have users of their own.
    fn with(server: &'a Server, schema: &str, name: &str, lists: &[&str]) -> Self {
        // Names of schemas are patterns.
        let pattern = schema.replace('_', "\\_");
        let given = lists.iter().flat_map(|name| list(server.flavor(), name)).map(|given| Given {
            on: given
                .on
                .replace("`app`.*", &format!("`{pattern}`.*"))
                .replace("`app`.", &format!("`{schema}`."))
                .replace("`parents`.*", &format!("`{pattern}\\_parents`.*")),
            ..given
        });
        let user = User {
            server,
            name: name.to_owned(),
            schema: schema.to_owned(),
            given: given.collect(),
        };
        user.admin(&format!("DROP USER IF EXISTS {name}"));
        user.admin(&format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'"));
        // At once, as on the page: a table that is not there yet can be granted only with CREATE.
        let mut targets: Vec<&String> = user.given.iter().map(|given| &given.on).collect();
        targets.dedup();
        for on in targets {
            let privileges = user.given.iter().filter(|given| given.on == *on);
            let privileges: Vec<&str> = privileges.map(|given| given.privilege.as_str()).collect();
            user.admin(&format!("GRANT {} ON {on} TO {name}", privileges.join(", ")));
        }
        user
    }

    fn admin(&self, statement: &str) {
        sql(&mut self.server.conn(), &["SET SESSION sql_log_bin = 0", statement]);
    }

    fn url(&self) -> String {
        let User { name, schema, .. } = self;
        format!("mysql://{name}:{PASSWORD}@127.0.0.1:{}/{schema}", self.server.port())
    }

    fn alter(&self, clause: &str) -> OnlineAlter {
        OnlineAlter::new(self.url(), "t")
            .alter(clause)
            .heartbeat_interval(Duration::from_millis(50))
    }

    /// Without any one of his privileges the run is refused by its name, and changes nothing. The advice can be
    /// followed to the letter.
    fn needs_all(&self, db: &Database, alter: impl Fn() -> OnlineAlter) {
        for given in self.given.clone() {
            self.needs(db, &given, &alter);
        }
    }

    fn needs(&self, db: &Database, given: &Given, alter: impl Fn() -> OnlineAlter) {
        let Given { privilege, on } = given;
        self.admin(&format!("REVOKE {privilege} ON {on} FROM {}", self.name));
        let before = content(db);
        let error = match alter().run() {
            Ok(report) => panic!("{privilege} ON {on} is not needed: {report}"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Privileges, "without {privilege} ON {on}: {error}");
        assert!(error.message().contains(privilege.as_str()), "without {privilege}: {error}");
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(error.leftovers(), [], "{error}");
        assert_eq!(content(db), before, "{error}");
        if let Some(at) = error.message().find("GRANT ") {
            let advice = error.message()[at..].split(" (or ").next().unwrap();
            assert_eq!(advice.matches("GRANT").count(), 1, "{error}");
            assert!(advice.contains(&format!("{privilege} ON {on} TO ")), "{error}");
            self.admin(advice);
        } else {
            // The plan cannot know whether it is needed.
            assert_eq!(privilege, "CREATE TEMPORARY TABLES", "not said by the plan: {error}");
            self.admin(&format!("GRANT {privilege} ON {on} TO {}", self.name));
        }
    }
}

/// The tables of a schema, and the definition and the rows of `t`.
fn content(db: &Database) -> (Vec<String>, String, Vec<Row>) {
    let mut conn = db.conn();
    let row: Row = conn.query_first("SHOW CREATE TABLE t").unwrap().unwrap();
    let tables = tables(&mut conn);
    (tables, row.get(1).unwrap(), conn.query("CHECKSUM TABLE t").unwrap())
}

/// A whole run while others write, with the journal clean.
fn runs_under_writers(db: &Database, alter: OnlineAlter) {
    let report = harness::runs_under_writers(db, || alter.run());
    assert_eq!(report.warnings, Vec::<String>::new());
}

/// Each list is put to use by a test of this module, or is missed here.
#[test]
fn the_lists_of_the_page() {
    let lists = PAGE.lines().filter_map(|line| line.strip_prefix("```sql "));
    let mut found: Vec<&str> = lists.collect();
    found.sort_unstable();
    insta::assert_snapshot!(found.join("\n"), @r"
    mariadb attached
    mariadb cleanup
    mariadb compare
    mariadb conversions
    mariadb foreign-keys
    mariadb hidden-keys
    mariadb lag
    mariadb plain
    mariadb replica-read-only
    mariadb replica-test
    mariadb stream-primary
    mariadb stream-primary-statements
    mariadb stream-replica
    mariadb switch
    mariadb tables
    mariadb triggers
    mariadb triggers-distrusted
    mysql cleanup
    mysql compare
    mysql conversions
    mysql foreign-keys
    mysql hidden-keys
    mysql history
    mysql kill
    mysql lag
    mysql plain
    mysql replica-read-only
    mysql replica-test
    mysql resource-group
    mysql stream-primary
    mysql stream-primary-statements
    mysql stream-replica
    mysql switch
    mysql tables
    mysql triggers
    mysql triggers-distrusted
    ");
}
