//! For how long writers are blocked by the cut-over of an idle, small table: what the report of a whole
//! run says.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first thing that is wrong"
)]

mod common;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

const ROWS: u64 = 100;

fn cut_over(criterion: &mut Criterion) {
    common::on_each(|flavor, db| {
        common::fill(db, ROWS);
        let mut group = common::group(criterion, "cut_over");
        let locked = || {
            let report = common::widen(db, ROWS, 1).run().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(report.cut_over_attempts, 1);
            report.locked
        };
        group.bench_function(flavor.to_string(), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| locked()).sum::<Duration>());
        });
        group.finish();
    });
}

criterion_group!(benches, cut_over);
criterion_main!(benches);
