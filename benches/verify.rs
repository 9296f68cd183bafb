//! How fast two tables are compared, as verification does: a copy of the courseware's table, found by an
//! integer, and smaller rows whose key is an integer, a text, or one whose rows have to be hashed.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first thing that is wrong"
)]

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use online_alter::Compare;
use online_alter_support::{Database, csm};

const ROWS: u64 = 20_000;
const SMALL_ROWS: u64 = 10_000;

/// The key, what it is of the row `n`, and what comes of it.
const SMALL: [(&str, &str, &str); 3] = [
    ("integer", "k INT NOT NULL, PRIMARY KEY (k)", "n"),
    ("text", "k VARCHAR(40) NOT NULL, PRIMARY KEY (k)", "CONCAT('key number ', n)"),
    ("hashed", "k BIT(20) NOT NULL, PRIMARY KEY (k)", "n"),
];

fn compare(db: &Database, table: &str, other: &str, workers: usize, rows: u64) {
    let compare = Compare::new(db.url(), table, other).workers(workers);
    let found = compare.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(found.is_equal() && found.rows == rows, "{found}");
}

fn verification(criterion: &mut Criterion) {
    common::on_each(|flavor, db| {
        common::fill(db, ROWS);
        let table = csm::TABLE;
        common::exec(
            db,
            &[
                &format!("CREATE TABLE copied LIKE {table}"),
                "ALTER TABLE copied MODIFY id BIGINT UNSIGNED NOT NULL",
                &format!("INSERT INTO copied SELECT * FROM {table}"),
            ],
        );
        let mut group = common::group(criterion, &format!("verification/{flavor}"));
        group.throughput(Throughput::Elements(ROWS));
        for workers in [1, 2] {
            group.bench_function(BenchmarkId::new("workers", workers), |bencher| {
                bencher.iter(|| compare(db, table, "copied", workers, ROWS));
            });
        }
        group.throughput(Throughput::Elements(SMALL_ROWS));
        for (name, key, value) in SMALL {
            let other = format!("{name}_copied");
            common::exec(
                db,
                &[
                    &format!("CREATE TABLE `{name}` ({key}, a VARCHAR(100) NOT NULL, b DOUBLE)"),
                    &format!(
                        "INSERT INTO `{name}` SELECT {value}, CONCAT('the text of ', n), n / 7 FROM {}",
                        common::numbers()
                    ),
                    &format!("CREATE TABLE {other} LIKE `{name}`"),
                    &format!("INSERT INTO {other} SELECT * FROM `{name}`"),
                ],
            );
            group.bench_function(BenchmarkId::new("key", name), |bencher| {
                bencher.iter(|| compare(db, name, &other, 2, SMALL_ROWS));
            });
        }
        group.finish();
    });
}

criterion_group!(benches, verification);
criterion_main!(benches);
