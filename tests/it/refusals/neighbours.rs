//! What hangs on the table: foreign keys and triggers.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Warning};
use online_alter_support::database;

use super::{User, alone, is, plain_table, refused, sql};
use crate::harness::alter;

#[test]
fn foreign_keys_in_both_directions() {
    alone("refuse_fk", |server, db| {
        let mut conn = db.conn();
        let other = database(server, "refuse_fk_elsewhere");
        sql(
            &mut conn,
            &[
                "CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB",
                "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT upward FOREIGN KEY (p) REFERENCES \
             p (id)) ENGINE=InnoDB",
                "CREATE TABLE c (id INT PRIMARY KEY, t INT, CONSTRAINT downward FOREIGN KEY (t) \
             REFERENCES t (id)) ENGINE=InnoDB",
                "CREATE TABLE refuse_fk_elsewhere.c (id INT PRIMARY KEY, t INT, CONSTRAINT abroad \
             FOREIGN KEY (t) REFERENCES refuse_fk.t (id)) ENGINE=InnoDB",
            ],
        );
        let words = ["`upward`", "`downward`", "`abroad`", "`refuse_fk_elsewhere`.`c`"];
        is(
            &refused(server, db, alter(db, "t", "ADD COLUMN c INT")),
            ErrorKind::ForeignKeys,
            &words,
        );
        let error = refused(server, db, alter(db, "p", "ADD COLUMN c INT"));
        is(&error, ErrorKind::ForeignKeys, &["`upward`"]);
        assert!(!error.message().contains("downward"), "{error}");
        sql(&mut conn, &[&format!("DROP DATABASE {}", other.name())]);
    });
}

/// A foreign key in a schema that the user may not see: PROCESS shows it nevertheless.
#[test]
fn foreign_keys_out_of_sight() {
    alone("refuse_hidden_fk", |server, db| {
        let mut conn = db.conn();
        database(server, "refuse_hidden_fk_2");
        for (at, name) in ["t", "t-\u{e9} x"].into_iter().enumerate() {
            sql(
                &mut conn,
                &[
                    &format!("CREATE TABLE `{name}` (id INT PRIMARY KEY) ENGINE=InnoDB"),
                    &format!(
                        "CREATE TABLE refuse_hidden_fk_2.c{at} (id INT PRIMARY KEY, t INT, CONSTRAINT \
                     hidden{at} FOREIGN KEY (t) REFERENCES refuse_hidden_fk.`{name}` (id)) \
                     ENGINE=InnoDB"
                    ),
                ],
            );
            let user = User::new(server, db, "hidden");
            user.grant_all_needed();
            let plan = user.alter(name).plan().unwrap();
            assert_eq!(plan.warnings(), [Warning::HiddenForeignKeys]);
            assert!(plan.to_string().contains("PROCESS"), "{plan}");
            sql(&mut conn, &["GRANT PROCESS ON *.* TO hidden"]);
            let error = refused(server, db, user.alter(name));
            is(&error, ErrorKind::ForeignKeys, &[&format!("hidden{at}"), &format!("c{at}")]);
        }
        sql(&mut conn, &["DROP DATABASE refuse_hidden_fk_2"]);
    });
}

#[test]
fn triggers() {
    alone("refuse_triggers", |server, db| {
        sql(
            &mut plain_table(db),
            &[
                "CREATE TRIGGER before_it BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
                "CREATE TRIGGER after_it AFTER DELETE ON t FOR EACH ROW SET @x = 1",
            ],
        );
        let error = refused(server, db, alter(db, "t", "ADD COLUMN c INT"));
        let words = ["`before_it` (BEFORE INSERT)", "`after_it` (AFTER DELETE)"];
        is(&error, ErrorKind::Triggers, &words);
    });
}

/// Names of schemas are patterns.
const PARENTS: &str = r"`refuse\_dressing\_2`.*";

/// What a user needs to take foreign keys and triggers over, each of it named while it is lacking.
#[test]
fn privileges_for_foreign_keys_and_triggers() {
    alone("refuse_dressing", |server, db| {
        let mut conn = plain_table(db);
        database(server, "refuse_dressing_2");
        sql(
            &mut conn,
            &[
                "DROP USER IF EXISTS maker",
                "CREATE USER maker",
                "GRANT ALL ON refuse_dressing.* TO maker",
                "CREATE TABLE refuse_dressing_2.p (id INT PRIMARY KEY) ENGINE=InnoDB",
                "INSERT INTO refuse_dressing_2.p VALUES (1), (2), (3)",
                "ALTER TABLE t ADD CONSTRAINT of_p FOREIGN KEY (v) REFERENCES refuse_dressing_2.p (id)",
                "CREATE DEFINER = maker@`%` TRIGGER made BEFORE INSERT ON t FOR EACH ROW SET NEW.pad = 'x'",
            ],
        );
        let user = User::new(server, db, "dresser");
        user.grant_all_needed();
        let run = || user.alter("t").keep_foreign_keys(true).include_triggers(true);
        let mariadb = server.flavor().is_mariadb();
        // On both servers SUPER does for the definer, too.
        for (privilege, on) in [
            ("SELECT", PARENTS),
            ("LOCK TABLES", PARENTS),
            ("REFERENCES", PARENTS),
            ("SUPER", "*.*"),
        ] {
            // On MySQL the lock of the table is one of its parents, too.
            if !mariadb && ["SELECT", "LOCK TABLES"].contains(&privilege) {
                continue;
            }
            let error = refused(server, db, run());
            let grant = format!("GRANT {privilege} ON {on} TO `dresser`@`%`");
            is(&error, ErrorKind::Privileges, &[privilege, &format!(" ON {on} TO `dresser`@`%`")]);
            let of_definer = if mariadb { "GRANT SET USER" } else { "GRANT SET_ANY_DEFINER" };
            assert!(error.message().contains(of_definer), "{error}");
            sql(&mut conn, &[&grant]);
        }
        let report = run().run().unwrap();
        assert_eq!(report.triggers, [("made".to_owned(), "made_oa".to_owned())]);
        let now = if mariadb { "of_p_oa" } else { "of_p" };
        assert_eq!(report.foreign_keys, [("of_p".to_owned(), now.to_owned())]);
        assert_eq!(report.warnings, Vec::<String>::new());
        let pad: Option<String> = {
            sql(&mut conn, &["INSERT INTO t (v, pad) VALUES (1, 'y')"]);
            conn.query_first("SELECT pad FROM t ORDER BY id DESC LIMIT 1").unwrap()
        };
        assert_eq!(pad.as_deref(), Some("x"));
        sql(&mut conn, &["DROP TABLE t, _t_del", "DROP DATABASE refuse_dressing_2"]);
    });
}
