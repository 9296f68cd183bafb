//! Integers of every size, up to their ends.

use super::Case;

#[test]
fn int_with_negative_and_zero_in_an_auto_increment_column() {
    Case::new(
        "int",
        "CREATE TABLE {t} (k INT NOT NULL AUTO_INCREMENT, v INT NOT NULL, PRIMARY KEY (k))",
    )
    .values(
        &["-2147483648", "-70000", "-1", "0", "1", "2", "300", "40000", "2147483600"],
        &["-5", "7", "-2147483647", "2147483601"],
    )
    .run();
}

#[test]
fn int_to_bigint_unsigned() {
    Case::new(
        "int_to_bigint",
        "CREATE TABLE {t} (k INT NOT NULL AUTO_INCREMENT, v INT NOT NULL, PRIMARY KEY (k))",
    )
    .values(
        &["0", "1", "2", "3", "200", "40000", "70000", "8388608", "2147483647"],
        &["4", "7", "2147483646", "129"],
    )
    .alter("CHANGE k k BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, ADD COLUMN extra INT DEFAULT 7")
    .run();
}

#[test]
fn bigint_unsigned_to_its_end() {
    Case::of_type(
        "bigint_unsigned",
        "BIGINT UNSIGNED",
        &[
            "0",
            "1",
            "9223372036854775807",
            "9223372036854775808",
            "9223372036854775809",
            "18446744073709551613",
            "18446744073709551614",
            "18446744073709551615",
        ],
        &["2", "9223372036854775810", "18446744073709551612", "18446744073709551611"],
    )
    .run();
}

#[test]
fn bigint_signed() {
    Case::of_type(
        "bigint",
        "BIGINT",
        &[
            "-9223372036854775808",
            "-9007199254740993",
            "-1",
            "0",
            "9007199254740993",
            "9223372036854775807",
        ],
        &["-9007199254740992", "9223372036854775806", "5"],
    )
    .run();
}

#[test]
fn mediumint_smallint_and_tinyint() {
    Case::of_type(
        "mediumint",
        "MEDIUMINT",
        &["-8388608", "-70000", "-1", "0", "1", "70000", "8388607"],
        &["-70001", "8388606", "-2"],
    )
    .run();
    Case::of_type(
        "mediumint_unsigned",
        "MEDIUMINT UNSIGNED",
        &["0", "1", "8388607", "8388608", "16777214", "16777215"],
        &["16777213", "2"],
    )
    .run();
    Case::of_type("smallint", "SMALLINT", &["-32768", "-1", "0", "32767"], &["-2", "9"]).run();
    Case::of_type("tinyint", "TINYINT", &["-128", "-1", "0", "1", "127"], &["-127", "126", "9"])
        .run();
    Case::of_type(
        "tinyint_unsigned",
        "TINYINT UNSIGNED",
        &["0", "127", "128", "255"],
        &["254", "9"],
    )
    .run();
}
