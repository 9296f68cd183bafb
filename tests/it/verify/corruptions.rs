//! A positive control: the ghost is damaged by hand in every way that a comparison could miss.

use online_alter::DifferenceKind;
use online_alter_support::Flavor;

use super::Corruption;

/// Two rows of a table with one more column.
fn column(name: &'static str, ty: &'static str, value: &str) -> Corruption {
    let columns = format!("a {ty}, pad INT NOT NULL DEFAULT 1").leak();
    let rows = [format!("(1, {value}, 1)"), format!("(2, {value}, 2)")].map(|row| &*row.leak());
    Corruption::new(name, columns, &rows)
}

#[test]
fn numbers() {
    // Both are 16777200 as text.
    column("float", "FLOAT", "16777216").sets("a = 16777218", "a");
    column("double", "DOUBLE", "0.1").sets("a = 0.10000000000000002", "a");
    column("decimal", "DECIMAL(40,20)", "1.1").sets("a = 1.10000000000000000001", "a");
    column("bigint", "BIGINT UNSIGNED", "18446744073709551615")
        .sets("a = 18446744073709551614", "a");
    column("bit", "BIT(64)", "b'101'").sets("a = b'100'", "a");
    column("year", "YEAR", "0").sets("a = 2000", "a");
    column("zerofill", "INT ZEROFILL", "5").sets("a = 6", "a");
}

#[test]
fn times() {
    column("datetime", "DATETIME(6)", "'2024-01-01 00:00:00.000001'")
        .sets("a = '2024-01-01 00:00:00.000002'", "a");
    column("time", "TIME(3)", "'-00:00:00.001'").sets("a = '00:00:00.001'", "a");
    column("timestamp", "TIMESTAMP(2) NULL", "'2024-01-01 00:00:00.01'")
        .sets("a = '2024-01-01 00:00:00.02'", "a");
    column("date", "DATE", "'2024-01-01'").sets("a = '0000-00-00'", "a");
}

#[test]
fn text() {
    column("case", "VARCHAR(10)", "'a'").sets("a = 'A'", "a");
    column("accent", "VARCHAR(10)", "'e'").sets("a = _utf8mb4 X'C3A9'", "a");
    column("trailing", "VARCHAR(10) COLLATE utf8mb4_general_ci", "'a'").sets("a = 'a '", "a");
    column("long_text", "LONGTEXT", "REPEAT('a', 100000)")
        .sets("a = CONCAT(REPEAT('a', 99999), 'A')", "a");
    column("in_latin1", "VARCHAR(10) CHARACTER SET latin1", "_latin1 X'E9'")
        .sets("a = _latin1 X'E8'", "a");
    column("enum", "ENUM('x','X ','y') COLLATE utf8mb4_bin", "'x'").sets("a = 'X '", "a");
    column("set", "SET('x','y')", "'x'").sets("a = 'x,y'", "a");
}

#[test]
fn bytes() {
    column("zeros", "VARBINARY(10)", "X'61'").sets("a = X'6100'", "a");
    column("binary", "BINARY(4)", "X'61'").sets("a = X'61000001'", "a");
    column("blob", "LONGBLOB", "REPEAT(X'00', 70000)").sets("a = REPEAT(X'00', 70001)", "a");
}

#[test]
fn values_of_other_kinds() {
    column("point", "POINT", "POINT(1, 2)").sets("a = POINT(1, 3)", "a");
    column("json", "JSON", "'{\"a\": [1, 2]}'").sets("a = '{\"a\": [1, 3]}'", "a");
    column("json_kind", "JSON", "'1'").sets("a = '\"1\"'", "a");
    column("srid", "GEOMETRY", "ST_GeomFromText('POINT(1 2)', 0)")
        .only(Flavor::Mysql)
        .sets("a = ST_GeomFromText('POINT(1 2)', 4326)", "a");
    column("uuid", "UUID", "'00010203-0405-0607-0809-0a0b0c0d0e0f'")
        .only(Flavor::MariaDb)
        .sets("a = '00010203-0405-0607-0809-0a0b0c0d0e00'", "a");
    column("inet6", "INET6", "'::1'").only(Flavor::MariaDb).sets("a = '::2'", "a");
    column("vector", "VECTOR(2)", "STRING_TO_VECTOR('[1,2]')")
        .only(Flavor::Mysql)
        .sets("a = STRING_TO_VECTOR('[1,3]')", "a");
}

#[test]
fn nulls_and_seams() {
    column("null", "VARCHAR(10)", "''").sets("a = NULL", "a");
    column("null_number", "INT", "0").sets("a = NULL", "a");
    let two = |name, damage: &'static str| {
        let rows = ["(1, 'x', NULL)", "(2, 'a#', 'b')"];
        let seen = Corruption::new(name, "a VARCHAR(9), b VARCHAR(9)", &rows).seen(&[damage]);
        for differences in seen {
            assert_eq!(differences.len(), 1, "{differences:?}");
            assert_eq!(differences[0].columns.len(), 2, "{differences:?}");
        }
    };
    two("null_moved", "UPDATE _t_gho SET a = NULL, b = 'x' WHERE id = 1");
    two("seam", "UPDATE _t_gho SET a = 'a', b = '#b' WHERE id = 2");
}

#[test]
fn converted_values() {
    // Compared by expressions.
    column("widened", "INT", "5").clause("MODIFY a BIGINT").sets("a = 6", "a");
    column("charset", "VARCHAR(9) CHARACTER SET latin1", "_latin1 X'E9'")
        .clause("MODIFY a VARCHAR(9) CHARACTER SET utf8mb4")
        .sets("a = 'e'", "a");
    column("fraction", "DATETIME", "'2024-01-01 00:00:00'")
        .clause("MODIFY a DATETIME(6)")
        .sets("a = '2024-01-01 00:00:00.000001'", "a");
    column("scale", "DECIMAL(10,1)", "1.1")
        .clause("MODIFY a DECIMAL(20,4)")
        .sets("a = 1.1001", "a");
    // Compared as the server stores them.
    column("rounded", "DECIMAL(10,5)", "1.5").clause("MODIFY a INT").sets("a = 1", "a");
    column("as_text", "DOUBLE", "0.1").clause("MODIFY a VARCHAR(40)").sets("a = '0.10'", "a");
    column("as_float", "DOUBLE", "16777217").clause("MODIFY a FLOAT").sets("a = 16777218", "a");
    column("reordered", "ENUM('x','y')", "'y'")
        .clause("MODIFY a ENUM('y','x')")
        .sets("a = 'x'", "a");
    column("no_fraction", "DATETIME(6)", "'2024-01-01 00:00:00.5'")
        .clause("MODIFY a DATETIME")
        .sets("a = '2024-01-01 00:00:09'", "a");
    column("padded", "VARBINARY(4)", "X'61'").clause("MODIFY a BINARY(8)").sets("a = X'6101'", "a");
}

#[test]
fn whole_rows() {
    let rows = ["(1, 5)", "(2, 5)", "(3, 5)", "(10, 5)"];
    let one = |name, damage: &'static str, kind| {
        for differences in Corruption::new(name, "a INT", &rows).seen(&[damage]) {
            assert_eq!(differences.len(), 1, "{differences:?}");
            assert_eq!(differences[0].kind, kind);
        }
    };
    one("missing", "DELETE FROM _t_gho WHERE id = 2", DifferenceKind::Missing);
    one("first_missing", "DELETE FROM _t_gho WHERE id = 1", DifferenceKind::Missing);
    one("extra", "INSERT INTO _t_gho (id, a) VALUES (5, 5)", DifferenceKind::Extra);
    one("extra_in_front", "INSERT INTO _t_gho (id, a) VALUES (-5, 5)", DifferenceKind::Extra);
    one("extra_behind", "INSERT INTO _t_gho (id, a) VALUES (500, 5)", DifferenceKind::Extra);
    let exchanged = Corruption::new("exchanged", "a INT", &["(1, 5)", "(2, 6)"])
        .seen(&["UPDATE _t_gho SET a = 11 - a"]);
    for differences in exchanged {
        assert_eq!(differences.len(), 2, "{differences:?}");
    }
    let emptied = Corruption::new("emptied", "a INT", &rows).seen(&["DELETE FROM _t_gho"]);
    for differences in emptied {
        assert_eq!(differences.len(), rows.len(), "{differences:?}");
    }
    let filled = Corruption::new("filled", "a INT", &[])
        .seen(&["INSERT INTO _t_gho (id, a) VALUES (1, 1), (2, 2)"]);
    for differences in filled {
        assert!(differences.iter().all(|d| d.kind == DifferenceKind::Extra), "{differences:?}");
    }
}
