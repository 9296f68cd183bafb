//! What the table is beside its key: hardly filled, partitioned, with columns of other kinds.

use online_alter_support::Flavor;

use super::Case;

#[test]
fn hardly_any_rows() {
    Case::of_type("empty", "INT", &["1"], &["2"]).rows(&[]).changes(&[]).run();
    Case::of_type("filled", "INT", &["1"], &["2"])
        .rows(&[])
        .changes(&["INSERT INTO {t} VALUES (1, 1), (2, 2)", "DELETE FROM {t} WHERE k = 1"])
        .run();
    Case::of_type("one_row", "INT", &["1"], &["2"]).run();
    Case::of_type("emptied", "INT", &["1"], &["2"])
        .rows(&["INSERT INTO {t} VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)"])
        .changes(&["DELETE FROM {t} WHERE k > 2", "DELETE FROM {t}"])
        .run();
}

#[test]
fn generated_columns() {
    let generated = |name, extra: &str, clause: &str| {
        Case::new(
            name,
            format!(
                "CREATE TABLE {{t}} (k INT NOT NULL PRIMARY KEY, v INT NOT NULL, \
                 twice INT AS (v * 2) VIRTUAL, thrice INT AS (v * 3) STORED, w INT DEFAULT 4, \
                 KEY (twice), KEY (thrice){extra})"
            ),
        )
        .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
        .alter(clause)
        .run();
    };
    generated("generated", "", "ADD COLUMN extra INT DEFAULT 7");
    generated(
        "generated_more",
        "",
        "ADD COLUMN sum INT AS (v + w) STORED, ADD COLUMN diff INT AS (v - w) VIRTUAL, DROP COLUMN twice",
    );
    generated("generated_unique", ", UNIQUE KEY (thrice, k)", "DROP COLUMN w, ADD KEY (v)");
}

#[test]
fn invisible_columns() {
    let invisible = |flavor, word: &str| {
        Case::new(
            "invisible",
            format!(
                "CREATE TABLE {{t}} (k INT NOT NULL {word} DEFAULT 0 PRIMARY KEY, h VARCHAR(9) {word} DEFAULT 'x', \
                 v INT NOT NULL)"
            ),
        )
        .only(flavor)
        .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
        .alter(format!("MODIFY v BIGINT NOT NULL, ADD COLUMN extra INT {word} DEFAULT 7"))
        .run();
    };
    invisible(Flavor::Mysql, "INVISIBLE");
    // MariaDB has the word behind NOT NULL too.
    invisible(Flavor::MariaDb, "INVISIBLE");
}

#[test]
fn columns_dropped_moved_and_exchanged() {
    let case = |name| {
        Case::new(
            name,
            "CREATE TABLE {t} (k INT NOT NULL PRIMARY KEY, v INT NOT NULL, a INT DEFAULT 1, b INT DEFAULT 2, c BLOB)",
        )
        .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
    };
    case("dropped").alter("DROP COLUMN a, DROP c, MODIFY b BIGINT FIRST").run();
    case("exchanged").alter("CHANGE a b INT, CHANGE b a INT").run();
    case("rotated").alter("RENAME COLUMN a TO b, RENAME COLUMN b TO v, RENAME COLUMN v TO a").run();
    case("key_moved")
        .alter("MODIFY k BIGINT NOT NULL AFTER c, ADD COLUMN z INT DEFAULT 3 FIRST")
        .run();
    case("dropped_and_added").alter("DROP COLUMN a, ADD COLUMN a INT NOT NULL DEFAULT 77").run();
}

#[test]
fn partitioned() {
    Case::new(
        "partitioned",
        "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, PRIMARY KEY (k)) \
         PARTITION BY RANGE (k) (PARTITION p0 VALUES LESS THAN (4), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    )
    .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
    .run();
}
