//! How fast the boundaries of all chunks of a table are found: by an integer, by several columns, by a
//! text, and by an integer that leaves out 10^12 numbers in the middle.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first thing that is wrong"
)]

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use online_alter::internals::Boundaries;

const ROWS: u64 = 10_000;
const CHUNK: u64 = 100;

/// The numbers that the key with a gap leaves out.
const GAP: std::ops::Range<i128> = 5000..1_000_000_005_000;

/// The columns of the key, and what they are of the row `n`.
const TABLES: [(&str, &str, &str); 4] = [
    ("integer", "k BIGINT NOT NULL, PRIMARY KEY (k)", "n"),
    ("gap", "k BIGINT NOT NULL, PRIMARY KEY (k)", "IF(n < 5000, n, n + 1000000000000)"),
    ("composite", "j INT NOT NULL, k INT NOT NULL, PRIMARY KEY (j, k)", "n DIV 5000, n"),
    ("text", "k VARCHAR(40) NOT NULL, PRIMARY KEY (k)", "CONCAT('key number ', n)"),
];

fn boundaries(criterion: &mut Criterion) {
    common::on_each(|flavor, db| {
        let mut group = common::group(criterion, &format!("boundaries/{flavor}"));
        group.throughput(Throughput::Elements(ROWS / CHUNK));
        for (name, key, value) in TABLES {
            let table = format!("{name}_keys");
            common::exec(
                db,
                &[
                    &format!("CREATE TABLE {table} ({key}, a VARCHAR(100) NOT NULL)"),
                    &format!(
                        "INSERT INTO {table} SELECT {value}, REPEAT('a', 100) FROM {}",
                        common::numbers()
                    ),
                    &format!("ANALYZE TABLE {table}"),
                ],
            );
            let hole = if name == "gap" { GAP } else { 0..0 };
            let mut boundaries = Boundaries::new(db.url(), &table).unwrap();
            group.bench_function(BenchmarkId::new("key", name), |bencher| {
                bencher.iter(|| {
                    let chunks = boundaries.all(CHUNK, hole.clone()).unwrap();
                    // An integer key may be cut without being asked for all of its rows.
                    assert!(chunks >= 2, "{chunks}");
                });
            });
        }
        group.finish();
    });
}

criterion_group!(benches, boundaries);
criterion_main!(benches);
