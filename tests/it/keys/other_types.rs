//! Other types: bytes, ENUM, SET, DECIMAL, BIT, and those of MariaDB alone.

use online_alter::ErrorKind;
use online_alter_support::Flavor;

use super::{Case, exec, set_of};
use crate::harness::{FLAVORS, alter, on};

#[test]
fn binary_keys() {
    Case::of_type(
        "binary",
        "BINARY(8)",
        &[
            "X'0000000000000000'",
            "X'0000000000000001'",
            "X'0100000000000000'",
            "X'0102000000000000'",
            "X'0102000000000001'",
            "X'2020202020202020'",
            "X'FFFFFFFFFFFFFFFF'",
        ],
        &["X'0001000000000000'", "X'FF00000000000000'", "X'27005C0000000000'"],
    )
    .run();
    Case::of_type(
        "varbinary",
        "VARBINARY(300)",
        &[
            "X''",
            "X'00'",
            "X'0000'",
            "X'0100'",
            "X'01'",
            "X'5C27'",
            "X'20'",
            "X'FF'",
            "REPEAT(X'FE', 300)",
        ],
        &["X'2000'", "X'0101'", "X'E9'"],
    )
    .run();
}

#[test]
fn enum_and_set_keys() {
    Case::of_type(
        "enum",
        // Not in the order of the alphabet: the order of the key is that of the numbers.
        "ENUM('z', 'b', 'a', 'y', '\u{e9}', 'c c', '5', '1', 'it''s')",
        &["'z'", "'b'", "'a'", "'y'", "'\u{e9}'", "'5'"],
        &["'1'", "'c c'", "'it\\'s'"],
    )
    .run();
    Case::of_type(
        "set",
        "SET('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')",
        &["''", "'a'", "'b'", "'a,b'", "'c'", "'i'", "'a,i'", "'a,b,c,d,e,f,g,h,i'"],
        &["'d'", "'e,h'", "'h,i'"],
    )
    .run();
}

#[test]
fn set_of_fifty_three() {
    Case::of_type(
        "set53",
        &set_of(53),
        &[
            "''",
            "'m0'",
            "'m52'",
            "'m0,m52'",
            "'m1,m52'",
            "'m0,m1,m52'",
            "'m51'",
            "'m0,m51'",
            "'m51,m52'",
        ],
        &["'m2,m52'", "'m1,m51'", "'m50'"],
    )
    .run();
}

/// The servers compare a SET with a number as floating-point numbers, to which values of more bits
/// are the same: rows would be lost.
#[test]
fn set_of_more_is_refused() {
    for flavor in FLAVORS {
        on(flavor, "keys_set54", |_, db| {
            exec(
                &mut db.conn(),
                &format!("CREATE TABLE t (k {} NOT NULL PRIMARY KEY)", set_of(54)),
            );
            let error = alter(db, "t", "ADD COLUMN x INT").plan().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoUsableKey, "{error}");
        });
    }
}

#[test]
fn decimal_and_bit() {
    Case::of_type(
        "decimal",
        "DECIMAL(20,4)",
        &[
            "-9999999999999999.9999",
            "-1234567890.1234",
            "-0.0001",
            "0",
            "0.0001",
            "0.0010",
            "1.5",
            "9999999999999999.9999",
        ],
        &["-0.0002", "123456789.9", "-1000000000"],
    )
    .run();
    Case::of_type(
        "decimal65",
        "DECIMAL(65,30)",
        &[
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "-0.000000000000000000000000000001",
            "0",
            "0.000000000000000000000000000001",
        ],
        &["12345678901234567890123456789012345.123456789012345678901234567890", "-7"],
    )
    .run();
    Case::of_type(
        "bit12",
        "BIT(12)",
        &["b'0'", "b'1'", "b'100000000'", "b'111111111111'", "92", "39"],
        &["b'10'", "255", "257"],
    )
    .run();
    Case::of_type(
        "bit64",
        "BIT(64)",
        &[
            "0",
            "9223372036854775808",
            "9223372036854775809",
            "18446744073709551615",
            "9007199254740993",
        ],
        &["9223372036854775810", "9007199254740992"],
    )
    .run();
}

#[test]
fn types_of_mariadb_alone() {
    Case::of_type(
        "uuid",
        "UUID",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'223e4567-e89b-12d3-a456-426655440000'",
            "'123e4567-e89b-42d3-a456-426655440000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'01020304-0506-1708-8900-000000000000'",
        ],
        &[
            "'123e4567-e89b-12d3-a456-426655440001'",
            "'00000000-0000-0000-0000-000000000001'",
            "'01020304-0000-0000-0000-000000000000'",
        ],
    )
    .only(Flavor::MariaDb)
    .run();
    Case::of_type(
        "inet6",
        "INET6",
        &[
            "'::'",
            "'::1'",
            "'::ffff:10.0.0.1'",
            "'2001:db8::'",
            "'2001:db8::ff00:42:8329'",
            "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
        ],
        &["'fe80::'", "'::2'", "'1::'"],
    )
    .only(Flavor::MariaDb)
    .run();
    Case::of_type(
        "inet4",
        "INET4",
        &[
            "'0.0.0.0'",
            "'0.0.0.1'",
            "'10.0.0.0'",
            "'127.0.0.1'",
            "'192.168.0.0'",
            "'255.255.255.255'",
        ],
        &["'10.0.0.1'", "'1.0.0.0'", "'192.168.1.0'"],
    )
    .only(Flavor::MariaDb)
    .run();
}
