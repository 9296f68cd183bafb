//! How fast pending keys are noted, taken, and refreshed.
//!
//! `refresh` is the set alone, for keys of one integer; `refresh/<server>` is a backlog that is drained on a
//! private server, as many rows as `ROWS`, with all indexes of the table on the ghost.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first thing that is wrong"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use mysql::prelude::Queryable;
use online_alter::internals::Backlog;
use online_alter::{Handle, OnlineAlter, Phase, Postpone, Progress};
use online_alter_support::{Flavor, Server, available, csm, database};

const KEYS: u64 = 100_000;
const ROWS: u64 = 20_000;

fn pending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refresh");
    group.throughput(Throughput::Elements(KEYS)).sample_size(20);
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let full = |key: &dyn Fn(u64) -> u64| {
        let backlog = Backlog::new(2, 10_000_000);
        (0..KEYS).for_each(|n| backlog.add(key(n)));
        backlog
    };
    group.bench_function("note_growing", |bencher| {
        bencher.iter(|| black_box(full(&|n| n)).len());
    });
    group.bench_function("note_scattered", |bencher| {
        bencher.iter(|| black_box(full(&scattered)).len());
    });
    let hot = full(&|n| n);
    group.bench_function("note_hot", |bencher| {
        bencher.iter(|| (0..KEYS).for_each(|n| hot.add(black_box(n % 1000))));
    });
    group.bench_function("take", |bencher| {
        let take = |backlog: Backlog| backlog.take_all(1000).unwrap();
        bencher.iter_batched(|| full(&scattered), take, BatchSize::LargeInput);
    });
    group.finish();
}

fn wait_for(handle: &Handle, reached: impl Fn(&Progress) -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    while !reached(&handle.progress()) {
        assert!(!handle.is_finished() && Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn drain(criterion: &mut Criterion) {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        // Says why, if there is none.
        let Some(server) = available(Server::start(flavor)) else { continue };
        let db = database(&server, "bench");
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, ROWS).unwrap();
        let handle = OnlineAlter::new(db.url(), csm::TABLE)
            .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
            .verify(false)
            .analyze(false)
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        wait_for(&handle, |progress| progress.phase == Phase::Postponed);
        let mut group = criterion.benchmark_group(format!("refresh/{flavor}"));
        group
            .throughput(Throughput::Elements(ROWS))
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(1))
            .measurement_time(Duration::from_millis(500));
        let mut once = || {
            handle.pause();
            let before = handle.progress().keys_changed;
            let sql = format!("UPDATE {} SET grade = COALESCE(grade, 0) + 1", csm::TABLE);
            conn.query_drop(sql).unwrap();
            wait_for(&handle, |progress| progress.keys_changed >= before + ROWS);
            let started = Instant::now();
            handle.resume();
            wait_for(&handle, |progress| progress.keys_pending == 0);
            started.elapsed()
        };
        group.bench_function(BenchmarkId::new("drain", ROWS), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| once()).sum());
        });
        group.finish();
        handle.abort();
        drop(handle);
    }
}

criterion_group!(benches, pending, drain);
criterion_main!(benches);
