//! Grants as the servers read them: patterns, roles, partial revokes. The plan must miss what the server denies, and
//! nothing else.

use mysql::prelude::Queryable;
use mysql::{Conn, Error};
use online_alter::OnlineAlter;
use online_alter_support::{Flavor, Server, available, database};

use super::{PASSWORD, sql};

/// A statement for each privilege that says whether the user has it, and changes nothing.
const PROBES: [(&str, &str); 6] = [
    ("SELECT", "SELECT * FROM app_x.t"),
    ("INSERT", "INSERT INTO app_x.t VALUES (1, 1)"),
    ("UPDATE", "UPDATE app_x.t SET id = 1"),
    ("DELETE", "DELETE FROM app_x.t"),
    ("CREATE", "CREATE TABLE app_x.t (id INT)"),
    ("DROP", "DROP TABLE app_x.absent"),
];

struct Case {
    of_user: &'static [&'static str],
    of_roles: &'static [&'static str],
}

const fn case(of_user: &'static [&'static str], of_roles: &'static [&'static str]) -> Case {
    Case { of_user, of_roles }
}

const CASES: &[Case] = &[
    case(&["SELECT ON `app_x`.*", "INSERT ON `app\\_%`.*"], &[]),
    case(&["SELECT ON `app\\_x`.*", "INSERT ON `app\\_%`.*", "DROP ON `appyx`.*"], &[]),
    case(&["SELECT ON `app\\_%`.*", "INSERT ON `app%`.*", "DELETE ON `%`.*"], &[]),
    case(&["DELETE ON `app\\_x`.*", "CREATE ON `app\\_%`.*", "INSERT ON `_pp_x`.*"], &[]),
    case(
        &[
            "SELECT ON `app\\_%`.*",
            "INSERT ON `app_x`.`t`",
            "INSERT ON `app_x`.`_t_gho`",
            "INSERT ON `app_x`.`_t_ghc`",
            "INSERT ON `app_x`.`_t_del`",
            "DELETE ON *.*",
        ],
        &[],
    ),
    case(&["SELECT ON `%app\\_x`.*", "INSERT ON `app_x%`.*", "UPDATE ON `%app\\_x%`.*"], &[]),
    case(&["SELECT ON `app_%`.*", "DELETE ON `ap%x`.*", "UPDATE ON `a%`.*"], &[]),
    case(&["SELECT ON `%pp_x`.*", "DELETE ON `app%`.*"], &[]),
    case(
        &[
            "SELECT (id) ON `app_x`.`t`",
            "INSERT ON `app_x`.`t`",
            "INSERT ON `app_x`.`_t_gho`",
            "INSERT ON `app_x`.`_t_ghc`",
            "INSERT ON `app_x`.`_t_del`",
            "DROP ON `other`.*",
        ],
        &[],
    ),
    case(&["SELECT, INSERT, UPDATE ON `app\\_x`.*"], &["DELETE, DROP ON `app\\_x`.*"]),
    case(&["SELECT ON `app\\_%`.*"], &["INSERT ON `app%`.*"]),
    case(&[], &["INSERT ON `app%`.*", "DELETE ON `app\\_%`.*"]),
    case(
        &["DROP ON `app_x`.*"],
        &["SELECT ON `%`.*", "DELETE ON `app\\_x`.*", "CREATE ON `app_%`.*"],
    ),
    case(&["INSERT ON *.*"], &["DELETE ON *.*", "CREATE ON `app\\_%`.*"]),
];

fn denied(result: Result<(), Error>) -> bool {
    match result {
        Ok(()) => false,
        Err(Error::MySqlError(error)) => [1044, 1142, 1143].contains(&error.code),
        Err(error) => panic!("{error}"),
    }
}

/// The privileges that the server denies, and those that the plan misses.
fn judge(server: &Server) -> (Vec<&'static str>, Vec<&'static str>) {
    let url = format!("mysql://u:{PASSWORD}@127.0.0.1:{}", server.port());
    let mut conn = Conn::new(url.as_str()).unwrap();
    let mut without = Vec::new();
    for (privilege, probe) in PROBES {
        conn.query_drop("START TRANSACTION").unwrap();
        if denied(conn.query_drop(probe)) {
            without.push(privilege);
        }
        conn.query_drop("ROLLBACK").unwrap();
    }
    let error = OnlineAlter::new(url, "t").schema("app_x").alter("ADD c INT").plan().unwrap_err();
    let misses = |privilege: &str| {
        let words = error.message().split(|c: char| !c.is_ascii_uppercase() && c != '_');
        words.into_iter().any(|word| word == privilege)
    };
    let missed = PROBES.into_iter().map(|(privilege, _)| privilege).filter(|p| misses(p));
    (without, missed.collect())
}

fn each_case(server: &Server, mode: &str) {
    let mut conn = server.conn();
    for Case { of_user, of_roles } in CASES {
        let mysql = server.flavor() == Flavor::Mysql;
        sql(
            &mut conn,
            &[
                "DROP USER IF EXISTS u",
                &format!("CREATE USER u IDENTIFIED BY '{PASSWORD}'"),
                "DROP ROLE IF EXISTS r1",
                "DROP ROLE IF EXISTS r2",
                "CREATE ROLE r1",
                "CREATE ROLE r2",
            ],
        );
        for grant in *of_user {
            sql(&mut conn, &[&format!("GRANT {grant} TO u")]);
        }
        for (number, grant) in of_roles.iter().enumerate() {
            sql(&mut conn, &[&format!("GRANT {grant} TO r{}", number % 2 + 1)]);
        }
        if !of_roles.is_empty() {
            let default =
                if mysql { "SET DEFAULT ROLE r1 TO u" } else { "SET DEFAULT ROLE r1 FOR u" };
            // One role comes by the other.
            sql(&mut conn, &["GRANT r2 TO r1", "GRANT r1 TO u", default]);
        }
        let (denied, missed) = judge(server);
        let grants = of_user.iter().chain(*of_roles);
        let mut patterns: Vec<&str> =
            grants.filter_map(|grant| grant.strip_suffix(".*")?.split(" ON ").nth(1)).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let several = patterns.iter().filter(|pattern| **pattern != "*").count() > 1;
        if mysql && !of_roles.is_empty() && several && mode != "partial_revokes" {
            // Which of the patterns it takes cannot be known.
            let covered = denied.iter().all(|denied| missed.contains(denied));
            assert!(covered, "{mode}: {of_user:?}, {of_roles:?}: {denied:?}, {missed:?}");
            continue;
        }
        assert_eq!(
            missed,
            denied,
            "{mode}: {of_user:?}, roles {of_roles:?} on {}",
            server.flavor()
        );
        assert!(denied.len() < PROBES.len() || mode == "partial_revokes", "{of_user:?}");
    }
}

#[test]
fn the_plan_reads_grants_as_the_server_does() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb, Flavor::MariaDb11] {
        let Some(server) = available(Server::start(flavor)) else { continue };
        for schema in ["app_x", "other"] {
            database(&server, schema);
        }
        for table in ["t", "_t_gho", "_t_ghc", "_t_del"] {
            let create =
                format!("CREATE TABLE app_x.{table} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB");
            sql(&mut server.conn(), &[&create]);
        }
        each_case(&server, "patterns");
        if flavor != Flavor::Mysql {
            sql(&mut server.conn(), &["GRANT UPDATE ON app_x.* TO PUBLIC"]);
            each_case(&server, "with grants to everybody");
            continue;
        }
        sql(&mut server.conn(), &["SET GLOBAL partial_revokes = ON"]);
        each_case(&server, "partial_revokes");
        sql(
            &mut server.conn(),
            &[
                "DROP USER u",
                &format!("CREATE USER u IDENTIFIED BY '{PASSWORD}'"),
                "GRANT SELECT, INSERT, UPDATE, CREATE ON *.* TO u",
                "REVOKE INSERT, UPDATE ON app_x.* FROM u",
                "GRANT UPDATE ON app_x.t TO u",
                "GRANT UPDATE ON app_x._t_gho TO u",
                "GRANT UPDATE ON app_x._t_ghc TO u",
                "GRANT UPDATE ON app_x._t_del TO u",
            ],
        );
        let (denied, missed) = judge(&server);
        assert_eq!(
            (&missed, denied.as_slice()),
            (&denied, ["INSERT", "DELETE", "DROP"].as_slice())
        );
    }
}

/// The server keeps names in lower case, whatever the caller writes.
#[test]
fn names_in_lower_case() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let Some(server) = available(Server::builder(flavor).lower_case_names().start()) else {
            continue;
        };
        let db = super::owned_table(&server, "priv_lower");
        let user = super::User::with(&server, db.name(), "priv_lower", &["plain"]);
        let alter = || user.alter("ADD COLUMN c INT").schema("PRIV_Lower");
        drop(alter().plan().unwrap_or_else(|error| panic!("{error}")));
        user.needs_all(&db, alter);
    }
}
