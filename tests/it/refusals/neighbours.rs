//! What hangs on the table: foreign keys and triggers.

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
