//! Which columns make the key: several, those of a unique key, renamed ones.

use super::Case;

#[test]
fn composite() {
    let rows = [
        "INSERT INTO {t} VALUES (1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0), (2, -1, 0), (2, 0, 0)",
        "INSERT INTO {t} VALUES (2, 5, 0), (3, 3, 0), (3, 4, 0), (-4, 4, 0), (-4, 5, 0), (5, 5, 0)",
    ];
    let changes = [
        "UPDATE {t} SET v = 1 WHERE a = 1",
        "UPDATE {t} SET b = b + 10 WHERE a = 2",
        "DELETE FROM {t} WHERE a = 3 AND b = 3",
        "INSERT INTO {t} VALUES (3, 3, 7), (0, 0, 7), (9, 9, 9)",
        "UPDATE {t} SET a = 6 WHERE a = -4",
        "UPDATE {t} SET a = -4, b = -4 WHERE a = 6 AND b = 4",
        "UPDATE {t} SET b = 100 WHERE a = 1 AND b = 1",
        "UPDATE {t} SET b = 1 WHERE a = 1 AND b = 2",
        "UPDATE {t} SET b = 2 WHERE a = 1 AND b = 100",
        "DELETE FROM {t} WHERE a = 5",
        "UPDATE {t} SET v = v + 1",
    ];
    let table = |key: &str| {
        format!(
            "CREATE TABLE {{t}} (a INT NOT NULL, b INT NOT NULL, v INT NOT NULL, PRIMARY KEY ({key}))"
        )
    };
    Case::new("composite", table("a, b")).rows(&rows).changes(&changes).run();
    Case::new("composite_back", table("b, a")).rows(&rows).changes(&changes).run();
    Case::new("composite_mixed", table("a ASC, b DESC")).rows(&rows).changes(&changes).run();
    Case::new("composite_desc", table("a DESC, b DESC")).rows(&rows).changes(&changes).run();
}

#[test]
fn composite_of_text_and_int() {
    Case::new(
        "composite_text",
        "CREATE TABLE {t} (a VARCHAR(20) NOT NULL, b INT NOT NULL, v INT NOT NULL, \
         PRIMARY KEY (a, b)) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    )
    .rows(&[
        "INSERT INTO {t} VALUES ('', 0, 0), ('a', -1, 0), ('A', 0, 0), ('a', 1, 0), ('b', 0, 0)",
        "INSERT INTO {t} VALUES ('\u{e9}', 0, 0), ('E', 1, 0), ('\u{df}', 2, 0), ('it''s \\\\', 3, 0)",
    ])
    .changes(&[
        "UPDATE {t} SET a = 'A' WHERE a = 'a' AND b = -1",
        "UPDATE {t} SET v = 5 WHERE a = 'e'",
        "UPDATE {t} SET a = 'z', b = 9 WHERE a = 'b'",
        "DELETE FROM {t} WHERE a = ''",
        "INSERT INTO {t} VALUES ('', 0, 8), ('', 1, 8)",
        "DELETE FROM {t} WHERE a = 'it''s \\\\'",
        "UPDATE {t} SET v = v + 1",
    ])
    .run();
}

#[test]
fn a_unique_key_in_place_of_a_primary_key() {
    Case::new(
        "unique",
        "CREATE TABLE {t} (n INT NULL, k VARCHAR(10) NOT NULL, v INT NOT NULL, j INT NOT NULL DEFAULT 0, \
         UNIQUE KEY nn (n), UNIQUE KEY kk (k), KEY vv (v))",
    )
    .values(&["'a'", "'b'", "'c'", "'d'", "'e'", "'f'", "'g'"], &["'h'", "'i'", "'j'"])
    .run();
    // The primary key goes, a unique key stays.
    Case::new(
        "primary_key_goes",
        "CREATE TABLE {t} (p INT NOT NULL AUTO_INCREMENT, k INT NOT NULL, v INT NOT NULL, PRIMARY KEY (p), \
         UNIQUE KEY kk (k))",
    )
    .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
    .alter("DROP COLUMN p, ADD PRIMARY KEY (k)")
    .run();
}

#[test]
fn key_column_renamed() {
    Case::of_type("renamed", "INT", &["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
        .alter(
            "CHANGE k ident BIGINT NOT NULL, CHANGE v w INT NOT NULL, ADD COLUMN v INT DEFAULT 1",
        )
        .run();
    Case::of_type(
        "renamed_text",
        "VARCHAR(9)",
        &["'1'", "'2'", "'3'", "'4'", "'5'"],
        &["'8'", "'9'"],
    )
    .alter("RENAME COLUMN k TO `the ``key`, ADD COLUMN k INT DEFAULT 1")
    .run();
}

#[test]
fn a_key_with_two_columns_the_same_renamed() {
    Case::new(
        "key_columns_exchanged",
        "CREATE TABLE {t} (a INT NOT NULL, b INT NOT NULL, v INT NOT NULL, PRIMARY KEY (a, b))",
    )
    .rows(&[
        "INSERT INTO {t} VALUES (1, 2, 0), (2, 1, 0), (1, 1, 0), (2, 2, 0), (3, 1, 0), (1, 3, 0)",
    ])
    .changes(&[
        "UPDATE {t} SET v = 5 WHERE a = 1",
        "DELETE FROM {t} WHERE a = 1 AND b = 2",
        "UPDATE {t} SET b = 7 WHERE a = 3",
        "INSERT INTO {t} VALUES (1, 2, 9), (9, 1, 9)",
        "DELETE FROM {t} WHERE a = 2 AND b = 1",
    ])
    .alter("CHANGE a b INT NOT NULL, CHANGE b a INT NOT NULL, MODIFY v BIGINT NOT NULL")
    .run();
}
