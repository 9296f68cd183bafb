//! The statements that come with a refusal: run as they are, they make the ALTER possible, and bring
//! everything back.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ErrorKind, ObstacleKind};

use super::{rows, show, sql};
use crate::harness::{alter, on_each};

/// Everything of the schema that the statements may touch.
fn facts(conn: &mut Conn, schemas: &[&str]) -> Vec<String> {
    let mut facts = Vec::new();
    for schema in schemas {
        let tables: Vec<String> = conn
            .query(format!(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{schema}' AND \
                 TABLE_NAME <> '_t_del' ORDER BY 1"
            ))
            .unwrap();
        for table in tables {
            facts.push(show(conn, &format!("`{schema}`.`{}`", table.replace('`', "``"))));
        }
        for row in rows(
            conn,
            &format!(
                "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, \
                 ACTION_ORDER, ACTION_STATEMENT, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, \
                 COLLATION_CONNECTION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \
                 '{schema}' ORDER BY 1"
            ),
        ) {
            facts.push(row.join(" | "));
        }
    }
    facts
}

#[test]
fn remove_and_restore_everything() {
    on_each("obstacles", |_, db| {
        let mut conn = db.conn();
        sql(
            &mut conn,
            &[
                "DROP DATABASE IF EXISTS `obstacles-2 \u{e9}`",
                "CREATE DATABASE `obstacles-2 \u{e9}`",
                "CREATE TABLE `p``q` (a INT, b INT, PRIMARY KEY (a, b)) ENGINE=InnoDB",
                "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, CONSTRAINT `up``ward` FOREIGN KEY (a, b) \
                 REFERENCES `p``q` (a, b) ON DELETE SET NULL ON UPDATE CASCADE, KEY (a, b), KEY (b)) ENGINE=InnoDB",
                "ALTER TABLE t ADD CONSTRAINT itself FOREIGN KEY (b) REFERENCES t (id) ON UPDATE RESTRICT",
                "CREATE TABLE c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id) ON DELETE \
                 CASCADE, KEY (t)) ENGINE=InnoDB",
                "CREATE TABLE `obstacles-2 \u{e9}`.`c d` (t INT, KEY (t), CONSTRAINT abroad FOREIGN KEY (t) REFERENCES \
                 obstacles.t (id) ON DELETE NO ACTION) ENGINE=InnoDB",
                "CREATE TRIGGER first BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NULL",
                "SET SESSION sql_mode = 'ANSI_QUOTES'",
                "CREATE DEFINER = \"some\"@\"where\" TRIGGER zero BEFORE INSERT ON t FOR EACH ROW PRECEDES \
                 first BEGIN SET @x = 'a;'; SET NEW.\"b\" = NULL; END",
                "SET SESSION sql_mode = ''",
            ],
        );
        let schemas = ["obstacles", "obstacles-2 \u{e9}"];
        let before = facts(&mut conn, &schemas);

        let error = alter(db, "t", "ADD COLUMN c INT").plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKeys, "{error}");
        let keys = error.obstacles().to_vec();
        let kinds: Vec<_> = keys.iter().map(|key| (key.kind, key.name.as_str())).collect();
        for expected in [
            (ObstacleKind::ForeignKeyFrom, "up`ward"),
            (ObstacleKind::ForeignKeyTo, "itself"),
            (ObstacleKind::ForeignKeyTo, "c_ibfk_1"),
            (ObstacleKind::ForeignKeyTo, "abroad"),
        ] {
            assert!(kinds.contains(&expected), "{expected:?}: {kinds:?}");
        }
        assert_eq!(kinds.len(), 4);
        for key in &keys {
            assert!(error.message().contains(&key.what), "{error}");
            assert!(error.message().contains(&key.remove), "{error}");
            conn.query_drop(&key.remove).unwrap();
        }
        let error = alter(db, "t", "ADD COLUMN c INT").plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Triggers, "{error}");
        let triggers = error.obstacles().to_vec();
        assert_eq!(triggers.len(), 2);
        for trigger in &triggers {
            assert!(error.message().contains(&trigger.remove), "{error}");
            conn.query_drop(&trigger.remove).unwrap();
        }
        alter(db, "t", "COMMENT=''").run().unwrap();
        for obstacle in keys.iter().chain(&triggers) {
            for statement in &obstacle.restore {
                conn.query_drop(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
            }
        }
        sql(&mut conn, &["SET NAMES utf8mb4"]);
        assert_eq!(facts(&mut conn, &schemas), before);
        sql(&mut conn, &["DROP DATABASE `obstacles-2 \u{e9}`"]);
    });
}
