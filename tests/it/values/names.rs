//! Names that need care, on servers that read them in other ways.

use mysql::prelude::Queryable;
use online_alter_support::{Server, available, database};

use super::{Case, content, definition, exec, own};
use crate::harness::{FLAVORS, alter};

/// Backticks, quotes, spaces, dots, percent signs, backslashes, reserved words, and letters that no
/// keyboard has, in every place where a name can stand; in the last one 64 of them.
fn cases() -> Vec<Case> {
    let long: String = "\u{e9}".repeat(64);
    let of = |table: &str, a: &str, b: &str, new: &str| {
        let quote = super::quote;
        let (a, b, new) = (quote(a), quote(b), quote(new));
        Case::new(
            "names",
            format!(
                "CREATE TABLE {{t}} ({a} INT NOT NULL, {b} VARCHAR(40), v INT, PRIMARY KEY ({a}), \
                 KEY {b} ({b}), g INT AS ({a} + 1) STORED, UNIQUE {new} ({a}, v)) ENGINE=InnoDB"
            ),
        )
        .table(table)
        .rows(&[
            &format!(
                "INSERT INTO {{t}} ({a}, {b}, v) VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)"
            ),
            &format!("INSERT INTO {{t}} ({a}, {b}, v) VALUES (4, 'it''s', 4), (5, '\"\"', 5)"),
        ])
        .changes(&[
            "UPDATE {t} SET v = v + 10",
            &format!("DELETE FROM {{t}} WHERE {a} = 1"),
            &format!("UPDATE {{t}} SET {a} = 9, {b} = 'moved' WHERE {a} = 4"),
            &format!("INSERT INTO {{t}} ({a}, {b}) VALUES (10, NULL)"),
        ])
        .alter(format!(
            "CHANGE {b} {new} VARCHAR(50) NOT NULL DEFAULT 'a\"b', ADD {b} INT NOT NULL, \
             MODIFY v BIGINT, ADD UNIQUE {b} ({a}, {new}(3)), DROP KEY {b}"
        ))
    };
    vec![
        of("a`b``c", "`", "x`y", "``"),
        of("it's \"quoted\"", "a'b", "c\"d", "'\""),
        of("two words.dot", "a.b", " lead", "c d.e"),
        of("100%", "%s", "_%", "50%d"),
        of("select", "from", "where", "table"),
        of("\u{4e2d}\u{6587}", "\u{fc}", "\u{3a9}", "\u{2603}"),
        of("back\\slash", "\\", "a\\'b", "\\\\"),
        of("/* c */", "-- x", "# y", "a;b"),
        of(&long, &long, &"b".repeat(64), &"`".repeat(64)),
    ]
}

/// No NULL may go into the new column.
fn all_in(database_name: &str, options: &[&str]) {
    for flavor in FLAVORS {
        let Some(server) = own(flavor, options) else { continue };
        for case in cases() {
            let case = case.changes(&["UPDATE {t} SET v = v + 10", "DELETE FROM {t} WHERE v = 11"]);
            let db = database(&server, database_name);
            case.same_in(&db);
        }
    }
}

#[test]
fn everywhere() {
    all_in("names", &[]);
}

#[test]
fn where_quotes_mean_something_else() {
    // The clause has backticks only, and strings in single quotes without backslashes.
    let modes = "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,PIPES_AS_CONCAT";
    all_in("names_ansi", &[modes]);
}

/// A server that keeps the names of tables in lower case, and a caller who does not.
#[test]
fn names_of_tables_in_lower_case() {
    for flavor in FLAVORS {
        let only = std::env::var("ONLINE_ALTER_ONLY").ok();
        if only.is_some_and(|only| only != flavor.to_string()) {
            continue;
        }
        let started = Server::builder(flavor).lower_case_names().start();
        let Some(server) = available(started) else { continue };
        let db = database(&server, "lower");
        let mut conn = db.conn();
        exec(
            &mut conn,
            "CREATE TABLE MixedCase (Id INT PRIMARY KEY, V INT, CHECK (Id > 0)) ENGINE=InnoDB",
        );
        exec(&mut conn, "INSERT INTO mixedcase VALUES (1, 1), (2, 2)");
        exec(&mut conn, "CREATE TABLE expect LIKE MIXEDCASE");
        exec(&mut conn, "INSERT INTO expect SELECT * FROM mixedCASE");
        let writer = parking_lot::Mutex::new(db.conn());
        let report =
            alter(&db, "MIXEDcase", "CHANGE v `Value` BIGINT NOT NULL, ADD C INT NOT NULL")
                .on_step(move |step, _| {
                    let sql = match step {
                        online_alter::Step::FencePassed => {
                            "UPDATE MixedCase SET v = 3 WHERE id = 1"
                        }
                        online_alter::Step::CopyDone => "INSERT INTO MIXEDCASE VALUES (7, 7)",
                        _ => return,
                    };
                    let mut writer = writer.lock();
                    exec(&mut writer, sql);
                    exec(
                        &mut writer,
                        &sql.replace("MixedCase", "expect").replace("MIXEDCASE", "expect"),
                    );
                })
                .run()
                .unwrap();
        assert_eq!(report.warnings, Vec::<String>::new());
        exec(&mut conn, "ALTER TABLE expect CHANGE v `Value` BIGINT NOT NULL, ADD C INT NOT NULL");
        assert_eq!(definition(&mut conn, "mixedcase"), definition(&mut conn, "expect"));
        assert_eq!(content(&mut conn, "mixedcase"), content(&mut conn, "expect"));
        let left: Vec<String> = conn.query("SHOW TABLES").unwrap();
        assert_eq!(left, ["_mixedcase_del", "expect", "mixedcase"]);
    }
}
