//! Dates, times, years and timestamps.

use online_alter_support::{Server, available};

use super::{Case, Pace};
use crate::harness::FLAVORS;

#[test]
fn dates() {
    Case::of_type(
        "date",
        "DATE",
        &[
            "'0000-00-00'",
            "'0001-01-01'",
            "'1969-12-31'",
            "'2024-02-29'",
            "'2024-02-31'",
            "'2024-10-00'",
            "'9999-12-31'",
        ],
        &["'2000-01-01'", "'2024-01-00'", "'2038-01-20'"],
    )
    .run();
    Case::of_type(
        "datetime6",
        "DATETIME(6)",
        &[
            "'0000-00-00 00:00:00'",
            "'1000-01-01 00:00:00.000001'",
            "'2024-03-31 02:30:00.999999'",
            "'2024-03-31 02:30:01'",
            "'2024-12-31 23:59:59.000100'",
            "'9999-12-31 23:59:59.999999'",
        ],
        &["'2024-03-31 02:30:00.999998'", "'2038-01-19 03:14:08'", "'0000-00-00 00:00:00.5'"],
    )
    .run();
    Case::of_type(
        "datetime",
        "DATETIME",
        &[
            "'0000-00-00 00:00:00'",
            "'2024-03-31 02:30:00'",
            "'2024-12-31 23:59:59'",
            "'9999-12-31 23:59:59'",
        ],
        &["'2024-03-31 02:30:01'", "'2038-01-19 03:14:08'"],
    )
    .run();
    Case::of_type(
        "datetime1",
        "DATETIME(1)",
        &["'2024-03-31 02:30:00.1'", "'2024-12-31 23:59:59.9'", "'2024-12-31 23:59:59'"],
        &["'2024-03-31 02:30:01.5'", "'2038-01-19 03:14:08'"],
    )
    .alter("MODIFY k DATETIME(4) NOT NULL, ADD COLUMN extra INT DEFAULT 7")
    .run();
}

#[test]
fn times_and_years() {
    Case::of_type(
        "time2",
        "TIME(2)",
        &[
            "'-838:59:58.99'",
            "'-00:00:01.50'",
            "'-00:00:00.01'",
            "'00:00:00'",
            "'00:00:00.01'",
            "'12:34:56.78'",
            "'838:59:59'",
        ],
        &["'-00:00:01.00'", "'-01:00:00.25'", "'23:59:59.99'"],
    )
    .run();
    Case::of_type(
        "time",
        "TIME",
        &["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'838:59:59'"],
        &["'-10:00:00'", "'10:00:00'"],
    )
    .run();
    Case::of_type(
        "time5",
        "TIME(5)",
        &["'-838:59:58.99999'", "'-00:00:00.00001'", "'00:00:00'", "'838:59:58.1'"],
        &["'-10:00:00.5'", "'10:00:00.12345'"],
    )
    .run();
    Case::of_type(
        "year",
        "YEAR",
        &["'0000'", "1901", "1970", "2000", "2024", "2155"],
        &["1999", "2001", "2100"],
    )
    .run();
}

#[test]
fn timestamps_on_a_server_of_another_time_zone() {
    for flavor in FLAVORS {
        let started = Server::builder(flavor).option("--default-time-zone=+05:30").start();
        let Some(server) = available(started) else {
            continue;
        };
        for (name, ty) in [("timestamp", "TIMESTAMP"), ("timestamp3", "TIMESTAMP(3)")] {
            let case = Case::of_type(
                name,
                ty,
                &[
                    "'0000-00-00 00:00:00'",
                    "'1970-01-01 05:30:01'",
                    "'1999-12-31 23:59:59'",
                    "'2024-03-31 02:30:00'",
                    "'2024-03-31 02:30:01'",
                    "'2038-01-19 08:44:06'",
                ],
                &["'2024-01-01 00:00:00'", "'2000-02-29 12:00:00'", "'2038-01-19 08:44:07'"],
            );
            for pace in [Pace::Before, Pace::Chunks, Pace::Behind] {
                case.once(&online_alter_support::database(&server, "keys_ts"), pace);
            }
        }
        let fractions = Case::of_type(
            "timestamp3_fractions",
            "TIMESTAMP(3)",
            &[
                "'1970-01-01 05:30:01.001'",
                "'2024-03-31 02:30:00.999'",
                "'2024-03-31 02:30:00.998'",
                "'2024-03-31 02:30:00.1'",
            ],
            &["'2024-03-31 02:30:00'", "'2024-03-31 02:30:00.997'"],
        );
        fractions.once(&online_alter_support::database(&server, "keys_ts"), Pace::Chunks);
    }
}
