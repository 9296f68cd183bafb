//! Names of tables and columns: quotes, length, and characters beyond the basic plane.

use online_alter::ErrorKind;

use super::{Case, quote};
use crate::harness::{FLAVORS, alter, on};

#[test]
fn names_that_need_quotes() {
    for table in
        ["a`b", "it's \"x\"", "two words.and dot", "\u{e9}t\u{e9}", "select", "-- x", "/* y"]
    {
        Case::new(
            "names",
            "CREATE TABLE {t} (`k``1` INT NOT NULL, `a 'b' \"c\"` VARCHAR(9) NOT NULL, `v` INT NOT NULL, \
             `\u{e9}` INT, `\\\\` INT DEFAULT 3, PRIMARY KEY (`a 'b' \"c\"`, `k``1`))",
        )
        .table(table)
        .rows(&["INSERT INTO {t} (`k``1`, `a 'b' \"c\"`, v) VALUES (1, 'a', 1), (2, 'a', 2), (3, 'b', 3), (4, 'c', 4)"])
        .changes(&[
            "UPDATE {t} SET v = v + 1 WHERE `k``1` > 1",
            "DELETE FROM {t} WHERE `k``1` = 1",
            "UPDATE {t} SET `k``1` = 9 WHERE `k``1` = 2",
        ])
        .alter("MODIFY v BIGINT NOT NULL, ADD COLUMN `x``y z` INT DEFAULT 7, RENAME COLUMN `\u{e9}` TO `\u{e8}`")
        .run();
    }
}

#[test]
fn names_of_sixty_four_characters() {
    let long = |c: char| c.to_string().repeat(64);
    for (table, column) in [
        (long('t'), long('c')),
        (long('\u{e9}'), long('\u{e9}')),
        ("x`y ".repeat(15) + "four", "`".repeat(64)),
    ] {
        let (c, create) = (
            quote(&column),
            "CREATE TABLE {t} (k INT NOT NULL PRIMARY KEY, v INT NOT NULL, {c} INT NOT NULL UNIQUE)",
        );
        Case::new("long_names", create.replace("{c}", &c))
            .table(&table)
            .rows(&["INSERT INTO {t} VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)"])
            .changes(&[
                "UPDATE {t} SET v = v + 1",
                "DELETE FROM {t} WHERE k = 2",
                "INSERT INTO {t} VALUES (9, 9, 9)",
            ])
            .run();
    }
}

#[test]
fn emoji_in_names() {
    // No server has them: MySQL makes question marks of them.
    for flavor in FLAVORS {
        on(flavor, "keys_emoji", |_, db| {
            let error = alter(db, "t\u{1f600}", "ADD COLUMN x INT").plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        });
    }
}
