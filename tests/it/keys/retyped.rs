//! Keys whose type, charset or collation changes.

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, TableState};
use online_alter_support::Flavor;

use super::Case;
use crate::harness::{alter, on_each, tables};

/// Rows that are there, and rows to come, of a text key. None are the same but for case or spaces.
const TEXTS: [&str; 8] =
    ["''", "'a'", "'Bb'", "'c c'", "'\u{e9}t\u{e9}'", "'\u{df}'", "'x-1'", "'~'"];
const NEW_TEXTS: [&str; 3] = ["'Neu'", "'\u{fc}ber'", "'0'"];

fn text(name: &'static str, from: &str, to: &str) -> Case {
    Case::of_type(name, from, &TEXTS, &NEW_TEXTS)
        .alter(format!("MODIFY k {to} NOT NULL, ADD COLUMN w INT DEFAULT 1 FIRST"))
}

/// Equal before, and different after: 'a' and 'A'.
fn moves_in_case(case: Case) -> Case {
    let mut case = case;
    case.changes.extend([
        "INSERT INTO {t} (k, v) VALUES ('case', 1)".to_owned(),
        "UPDATE {t} SET k = 'CASE' WHERE k = 'case'".to_owned(),
        "UPDATE {t} SET k = 'Case ' WHERE k = 'CASE'".to_owned(),
    ]);
    case
}

#[test]
fn collation_that_tells_more_apart() {
    moves_in_case(text(
        "ci_to_bin",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    ))
    .run();
    moves_in_case(text(
        "ci_to_bin_longer",
        "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_bin",
    ))
    .run();
}

#[test]
fn collation_that_tells_less_apart() {
    text(
        "bin_to_ci",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    )
    .run();
    let case = text(
        "ci_to_0900",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs",
    );
    moves_in_case(case).only(Flavor::Mysql).run();
    // For a while there are two rows that would be the same.
    let mut case = text(
        "bin_to_ci_passing",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    );
    case.changes.extend([
        "INSERT INTO {t} (k, v) VALUES ('p', 1), ('P', 2)".to_owned(),
        "UPDATE {t} SET k = 'q' WHERE k = 'P'".to_owned(),
        "DELETE FROM {t} WHERE k = 'p'".to_owned(),
    ]);
    case.run();
}

#[test]
fn charset() {
    let utf8 = "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
    text("latin1_to_utf8", "VARCHAR(20) CHARACTER SET latin1", utf8).run();
    text("utf8_to_latin1", utf8, "VARCHAR(20) CHARACTER SET latin1").run();
    text("utf8mb3_to_4", "VARCHAR(20) CHARACTER SET utf8mb3", utf8).run();
    text("utf16_to_utf8", "VARCHAR(20) CHARACTER SET utf16", utf8).run();
    text(
        "latin1_to_utf8_bin",
        "VARCHAR(20) CHARACTER SET latin1",
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    )
    .run();
    Case::of_type(
        "gbk_to_utf8",
        "VARCHAR(20) CHARACTER SET gbk",
        &["''", "'a'", "'\u{4e2d}\u{6587}'", "'\u{8a98}'", "_gbk X'815C'", "_gbk X'AA5C'", "'z'"],
        &["'\u{56fd}'", "_gbk X'AB5C'", "'m'"],
    )
    .alter(format!("MODIFY k {utf8} NOT NULL"))
    .run();
}

#[test]
fn the_whole_table_is_converted() {
    Case::new(
        "convert",
        "CREATE TABLE {t} (k CHAR(10) NOT NULL, n INT NOT NULL DEFAULT 3, v INT NOT NULL, \
         e ENUM('x', 'y') NOT NULL DEFAULT 'y', PRIMARY KEY (k, e)) DEFAULT CHARSET latin1",
    )
    .values(&TEXTS, &NEW_TEXTS)
    .alter("CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    .run();
}

#[test]
fn length_and_kind_of_text() {
    let general = |ty: &str| format!("{ty} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    let case = |name, from: &str, to: &str| text(name, &general(from), &general(to));
    case("varchar_shorter", "VARCHAR(20)", "VARCHAR(6)").run();
    case("varchar_to_char", "VARCHAR(20)", "CHAR(20)").run();
    case("char_to_varchar", "CHAR(20)", "VARCHAR(7)").run();
    let bin = "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    text("char_to_varchar_bin", &general("CHAR(20)"), bin).run();
    text("varchar_to_char_bin", &general("VARCHAR(20)"), &bin.replace("VARCHAR", "CHAR")).run();
    case("varchar_to_text", "VARCHAR(20)", "TEXT")
        .alter(format!("DROP PRIMARY KEY, MODIFY k {} NOT NULL, ADD KEY (k(5))", general("TEXT")))
        .run();
}

#[test]
fn numbers() {
    let old = ["-3", "1", "2", "3", "40", "5", "6"];
    let new = ["-9", "0", "100"];
    let case = |name, from: &str, to: &str| {
        Case::of_type(name, from, &old, &new).alter(format!("MODIFY k {to} NOT NULL")).run();
    };
    case("int_to_decimal", "INT", "DECIMAL(20,3)");
    case("int_to_varchar", "INT", "VARCHAR(20)");
    case("int_to_varchar_bin", "INT", "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin");
    case("int_to_char", "BIGINT", "CHAR(20)");
    case("int_to_double", "INT", "DOUBLE");
    case("decimal_to_int", "DECIMAL(10)", "BIGINT");
    case("decimal_to_varchar", "DECIMAL(10,2)", "VARCHAR(20)");
    case("int_narrower", "BIGINT", "SMALLINT");
    Case::of_type(
        "u64_to_varchar",
        "BIGINT UNSIGNED",
        &["0", "1", "9223372036854775808", "18446744073709551615", "7"],
        &["9223372036854775807", "18446744073709551614"],
    )
    .alter("MODIFY k VARCHAR(20) NOT NULL")
    .run();
    Case::of_type("bit_to_int", "BIT(33)", &["0", "1", "2", "4294967296", "9"], &["77", "5"])
        .alter("MODIFY k BIGINT NOT NULL")
        .run();
    Case::of_type("year_to_int", "YEAR", &["0", "1901", "2024", "2155", "1970"], &["2000", "1999"])
        .alter("MODIFY k INT NOT NULL")
        .run();
}

#[test]
fn enums_and_sets() {
    let case = |name, from: &str, to: &str| {
        Case::of_type(name, from, &["'a'", "'b'", "'it''s'", "'d'", "'e'"], &["'f'", "'g'"])
            .alter(format!("MODIFY k {to} NOT NULL"))
            .run();
    };
    let members = "ENUM('a','b','it''s','d','e','f','g')";
    case("enum_appended", members, "ENUM('a','b','it''s','d','e','f','g','h')");
    case("enum_reordered", members, "ENUM('g','f','h','e','d','it''s','b','a')");
    case("enum_to_varchar", members, "VARCHAR(10)");
    case("enum_to_bin", members, "VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    case("enum_fewer", "ENUM('a','b','c','it''s','d','e','f','g')", members);
    Case::of_type(
        "set_reordered",
        "SET('a','b','c')",
        &["''", "'a'", "'a,b'", "'a,b,c'", "'c'"],
        &["'b'", "'b,c'"],
    )
    .alter("MODIFY k SET('c','b','x','a') NOT NULL")
    .run();
}

#[test]
fn dates_and_bytes() {
    let dates = ["'2024-01-01'", "'1999-12-31'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'"];
    Case::of_type("date_to_datetime", "DATE", &dates, &["'2000-01-01'", "'2001-01-01'"])
        .alter("MODIFY k DATETIME(3) NOT NULL")
        .run();
    Case::of_type("date_to_varchar", "DATE", &dates, &["'2000-01-01'", "'2001-01-01'"])
        .alter("MODIFY k VARCHAR(20) NOT NULL")
        .run();
    let fixed =
        ["X'00000000'", "X'61000000'", "X'61000001'", "X'61620000'", "X'FF00FF00'", "X'20000000'"];
    let new = ["X'01000000'", "X'00010000'"];
    let bytes = ["X'00'", "X'61'", "X'6100'", "X'61000000'", "X'FF00FF00'", "X'20'"];
    Case::of_type("binary_longer", "BINARY(4)", &fixed, &new)
        .alter("MODIFY k BINARY(9) NOT NULL")
        .run();
    Case::of_type("binary_to_varbinary", "BINARY(4)", &fixed, &new)
        .alter("MODIFY k VARBINARY(9) NOT NULL")
        .run();
    Case::of_type("varbinary_longer", "VARBINARY(4)", &bytes, &new)
        .alter("MODIFY k VARBINARY(9) NOT NULL")
        .run();
}

#[test]
fn types_of_mariadb() {
    let uuid = |n: u8| format!("'00112233-4455-6677-8899-aabbccddee{n:02x}'");
    let old: Vec<String> = (0..6).map(|n| uuid(n * 7)).collect();
    let new: Vec<String> = (0..2).map(|n| uuid(200 + n)).collect();
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    Case::of_type("uuid_to_char", "UUID", &old, &new)
        .only(Flavor::MariaDb)
        .alter("MODIFY k CHAR(36) NOT NULL")
        .run();
    let addresses =
        ["'::'", "'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.1'", "'fe80::1'"];
    Case::of_type("inet6_to_varchar", "INET6", &addresses, &["'::2'", "'1::'"])
        .only(Flavor::MariaDb)
        .alter("MODIFY k VARCHAR(39) NOT NULL")
        .run();
}

/// Values that are different before and the same after: the run fails and names them.
#[test]
fn keys_that_become_the_same() {
    on_each("keys_become_same", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (k VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT) \
             DEFAULT CHARSET utf8mb4",
        )
        .unwrap();
        conn.query_drop("INSERT INTO t VALUES ('one', 1), ('two', 2), ('TWO', 3)").unwrap();
        for clause in [
            "MODIFY k VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL",
            "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        ] {
            let error = alter(db, "t", clause).retries(3).run().unwrap_err();
            eprintln!("{error}");
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            assert!(error.message().to_lowercase().contains("'two'"), "{error}");
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}

/// A charset that does not hold the keys: the server is strict about it.
#[test]
fn keys_that_do_not_fit() {
    on_each("keys_do_not_fit", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT) DEFAULT CHARSET utf8mb4",
        )
        .unwrap();
        conn.query_drop("INSERT INTO t VALUES ('one', 1), ('\u{4e2d}', 2)").unwrap();
        for clause in
            ["MODIFY k VARCHAR(20) CHARACTER SET latin1 NOT NULL", "MODIFY k VARCHAR(2) NOT NULL"]
        {
            let error = alter(db, "t", clause).retries(3).run().unwrap_err();
            eprintln!("{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            assert!(
                matches!(error.kind(), ErrorKind::RowRefused | ErrorKind::NoUsableKey),
                "{error}"
            );
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}

/// A key that does not last, and one that does.
#[test]
fn another_key_is_chosen() {
    let create = "CREATE TABLE {t} (k INT NOT NULL, v INT NOT NULL, d DATETIME(3) NOT NULL DEFAULT \
                  '2024-01-01', n INT NULL, UNIQUE KEY n (n), PRIMARY KEY (k, d), UNIQUE KEY u (v, k), KEY (d))";
    Case::new("other_key", create)
        .values(&["1", "2", "3", "4", "5", "6", "7"], &["8", "9", "10"])
        .alter("MODIFY d DATE NOT NULL")
        .run();
}

/// Changes after which a row's key is not known any more.
#[test]
fn keys_that_are_lost() {
    on_each("keys_lost", |_, db| {
        let mut conn = db.conn();
        for (from, to) in [
            ("DECIMAL(10,2)", "DECIMAL(10,1)"),
            ("DATETIME(3)", "DATETIME"),
            ("DATETIME", "DATE"),
            ("VARCHAR(10)", "INT"),
            ("BIGINT", "DOUBLE"),
            ("VARBINARY(10)", "BINARY(10)"),
            ("VARCHAR(10) CHARACTER SET cp932", "VARCHAR(10) CHARACTER SET utf8mb4"),
        ] {
            conn.query_drop("DROP TABLE IF EXISTS t").unwrap();
            conn.query_drop(format!("CREATE TABLE t (k {from} NOT NULL PRIMARY KEY)")).unwrap();
            let error = alter(db, "t", &format!("MODIFY k {to} NOT NULL")).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoUsableKey, "{error}");
            assert!(error.message().contains("`k`"), "{error}");
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}
