//! How fast rows are copied: what the report of a whole run says of its copy.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first thing that is wrong"
)]

mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use online_alter_support::Database;

const ROWS: u64 = 20_000;

/// One run; the time that its copy took.
fn copy_time(db: &Database, chunk: u64, workers: usize) -> Duration {
    let report = common::widen(db, chunk, workers).run().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.rows_copied, ROWS);
    report.copy_time
}

fn copy(criterion: &mut Criterion) {
    common::on_each(|flavor, db| {
        common::fill(db, ROWS);
        let mut group = common::group(criterion, &format!("copy/{flavor}"));
        group.throughput(Throughput::Elements(ROWS));
        let mut bench = |name: &str, parameter: u64, chunk, workers| {
            group.bench_function(BenchmarkId::new(name, parameter), |bencher| {
                bencher.iter_custom(|runs| (0..runs).map(|_| copy_time(db, chunk, workers)).sum());
            });
        };
        for chunk in [100, 1_000, 10_000] {
            bench("chunk", chunk, chunk, 2);
        }
        // Two of them have just been measured, at `chunk/1000`.
        for workers in [1_u8, 4] {
            bench("workers", workers.into(), 1_000, workers.into());
        }
        group.finish();
    });
}

criterion_group!(benches, copy);
criterion_main!(benches);
