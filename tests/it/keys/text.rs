//! Text: case, trailing spaces, charsets, and the quoting of values.

use online_alter_support::Flavor;

use super::Case;

#[test]
fn text_without_regard_to_case() {
    let changes = [
        "UPDATE {t} SET k = 'A' WHERE k = 'a'",
        "UPDATE {t} SET v = 2 WHERE k = 'a'",
        "UPDATE {t} SET k = 'bB' WHERE k = 'BB'",
        "DELETE FROM {t} WHERE k = 'cc'",
        "INSERT INTO {t} VALUES ('CC', 3)",
        "DELETE FROM {t} WHERE k = 'dd'",
        "INSERT INTO {t} VALUES ('dD', 4)",
        "UPDATE {t} SET k = 'x' WHERE k = 'DD'",
        "INSERT INTO {t} VALUES ('DD', 5)",
        "UPDATE {t} SET k = 'E' WHERE k = '\u{e9}'",
        "UPDATE {t} SET k = '\u{c9}' WHERE k = 'e'",
        "UPDATE {t} SET v = v + 1",
    ];
    let rows = [
        "INSERT INTO {t} VALUES ('', 0), ('a', 0), ('BB', 0), ('cc', 0), ('dd', 0), ('\u{e9}', 0)",
        "INSERT INTO {t} VALUES ('f', 0), ('\u{1f600}', 0), ('\u{4e2d}', 0)",
    ];
    for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_ci"] {
        let create = format!(
            "CREATE TABLE {{t}} (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT NOT NULL) \
             DEFAULT CHARSET utf8mb4 COLLATE {collation}"
        );
        // 'e' with an accent, in a collation to which emoji are all the same, is one row.
        Case::new("ci", create).rows(&rows).changes(&changes).run();
    }
    Case::new(
        "ci_0900",
        "CREATE TABLE {t} (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT NOT NULL) \
         DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci",
    )
    .only(Flavor::Mysql)
    .rows(&rows)
    .changes(&changes)
    .run();
}

#[test]
fn text_with_trailing_spaces() {
    // PAD SPACE: 'a' and 'a  ' are one row.
    Case::new(
        "pad_space",
        "CREATE TABLE {t} (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT NOT NULL) \
         DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    )
    .rows(&["INSERT INTO {t} VALUES ('', 0), ('a', 0), ('b  ', 0), ('c', 0), (' d', 0)"])
    .changes(&[
        "UPDATE {t} SET k = 'a  ' WHERE k = 'a'",
        "UPDATE {t} SET k = 'b' WHERE k = 'b'",
        "DELETE FROM {t} WHERE k = 'c '",
        "INSERT INTO {t} VALUES ('c    ', 2)",
        "UPDATE {t} SET k = '   ' WHERE k = ''",
        "UPDATE {t} SET v = v + 1",
    ])
    .run();
    let no_pad = |flavor: Flavor, collation: &str| {
        Case::new(
            "no_pad",
            format!(
                "CREATE TABLE {{t}} (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT NOT NULL) \
                 DEFAULT CHARSET utf8mb4 COLLATE {collation}"
            ),
        )
        .only(flavor)
        .rows(&[
            "INSERT INTO {t} VALUES ('', 0), (' ', 0), ('a', 0), ('a ', 0), ('a  ', 0), ('b', 0)",
        ])
        .changes(&[
            "UPDATE {t} SET v = 2 WHERE k = 'a '",
            "DELETE FROM {t} WHERE k = 'a'",
            "UPDATE {t} SET k = 'A' WHERE k = 'a '",
            "UPDATE {t} SET k = 'b ' WHERE k = 'b'",
            "INSERT INTO {t} VALUES ('B', 4), ('a ', 4)",
            "DELETE FROM {t} WHERE k = ' '",
        ])
        .run();
    };
    no_pad(Flavor::Mysql, "utf8mb4_0900_ai_ci");
    no_pad(Flavor::MariaDb, "utf8mb4_nopad_bin");
    no_pad(Flavor::MariaDb, "utf8mb4_unicode_nopad_ci");
}

#[test]
fn char_key() {
    Case::of_type(
        "char",
        "CHAR(5) CHARACTER SET utf8mb4",
        &["''", "'a'", "'b'", "'c'", "'d d'", "'eeeee'", "'\u{1f600}'", "'\u{df}'"],
        &["'f'", "'g'", "' h'"],
    )
    .run();
    // More than 255 bytes: the length of its length is in the metadata of the type.
    Case::of_type(
        "char_long",
        "CHAR(100) CHARACTER SET utf8mb4",
        &["''", "'a'", "REPEAT('b', 100)", "REPEAT('\u{1f600}', 100)", "'c'"],
        &["REPEAT('\u{4e2d}', 90)", "'f'"],
    )
    .run();
}

#[test]
fn text_in_other_charsets() {
    Case::of_type(
        "latin1",
        "VARCHAR(20) CHARACTER SET latin1",
        &["''", "'a'", "'\u{e9}'", "'\u{fc}ber'", "'z'", "'\u{20ac}'", "'it\\'s'"],
        &["'na\u{ef}ve'", "'\u{ff}'", "'m'"],
    )
    .run();
    // 0x5C, the backslash, is the second byte of some of these.
    Case::of_type(
        "gbk",
        "VARCHAR(20) CHARACTER SET gbk",
        &["''", "'a'", "'\u{4e2d}\u{6587}'", "'\u{8a98}'", "_gbk X'815C'", "_gbk X'AA5C'", "'z'"],
        &["'\u{56fd}'", "_gbk X'AB5C'", "'m'"],
    )
    .run();
    Case::of_type(
        "utf16",
        "VARCHAR(20) CHARACTER SET utf16",
        &["''", "'a'", "'\u{e9}'", "'\u{1f600}'", "'\u{5c27}'", "'zz'"],
        &["'\u{2700}'", "'\u{416}'", "'m'"],
    )
    .run();
    Case::of_type(
        "sjis_utf32_ucs2",
        "VARCHAR(20) CHARACTER SET utf32",
        &["''", "'a'", "'\u{e9}'", "'\u{1f600}'", "'zz'"],
        &["'\u{2700}'", "'m'"],
    )
    .run();
    Case::of_type(
        "sjis",
        "VARCHAR(20) CHARACTER SET sjis COLLATE sjis_bin",
        &["''", "'a'", "_sjis X'955C'", "_sjis X'5C'", "'zz'"],
        &["_sjis X'8F5C'", "'m'"],
    )
    .run();
}

/// The sessions of the run have their own SQL mode; the application's may be any.
#[test]
fn ansi_quotes_and_no_backslashes() {
    Case::of_type(
        "ansi",
        "VARCHAR(20)",
        &["'a'", "'it''s'", "'back\\slash'", "'q\"q'"],
        &["'b'", "'c\\'"],
    )
    .session("SET SESSION sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'")
    .run();
}
