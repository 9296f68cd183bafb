//! The example `compare` as its users run it.

use std::process::{Command, Output};

use online_alter::mysql::prelude::Queryable;
use online_alter_support::csm;

use crate::harness::{Bench, built, on_each};

fn compare(bench: &Bench, args: &[&str]) -> Output {
    let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
    let mut program = Command::new(built("compare"));
    program.args(["--url", &url]).args(args).env("MYSQL_PWD", "secret").env_remove("RUST_LOG");
    program.output().unwrap()
}

#[test]
fn says_whether_two_tables_are_equal() {
    on_each("example_compare", 1000, |bench| {
        let mut conn = bench.db.conn();
        conn.query_drop(format!("CREATE TABLE other LIKE {}", csm::TABLE)).unwrap();
        conn.query_drop(format!("INSERT INTO other SELECT * FROM {}", csm::TABLE)).unwrap();
        let equal = compare(bench, &[csm::TABLE, &format!("{}.other", bench.db.name())]);
        let text = String::from_utf8_lossy(&equal.stdout).into_owned();
        assert_eq!(equal.status.code(), Some(0), "{equal:?}");
        assert!(text.starts_with("1000 rows compared"), "{text}");

        conn.query_drop("UPDATE other SET done = 'x' WHERE id = 7").unwrap();
        let different = compare(bench, &[csm::TABLE, "other", "--looks", "1"]);
        let text = String::from_utf8_lossy(&different.stdout).into_owned();
        assert_eq!(different.status.code(), Some(1), "{different:?}");
        assert!(text.contains("(7) `done` is 'x' and should be 'f'"), "{text}");

        let without = compare(bench, &[csm::TABLE, "other", "--column-map", "done="]);
        assert_eq!(without.status.code(), Some(0), "{without:?}");
        assert_eq!(compare(bench, &[csm::TABLE]).status.code(), Some(2));
        let missing = compare(bench, &[csm::TABLE, "nowhere"]);
        assert_eq!(missing.status.code(), Some(3), "{missing:?}");
        assert!(String::from_utf8_lossy(&missing.stderr).contains("nowhere"), "{missing:?}");
    });
}
