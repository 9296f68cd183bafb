//! What the benches with a server share. The server and the bench share the machine, and the servers'
//! data is in memory where there is plenty: the numbers are for comparing, not for promising.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, OldTable, OnlineAlter};
use online_alter_support::{Database, Flavor, Server, available, csm, database};

/// Runs the bench on each server that can be had, in a database of its own.
pub(crate) fn on_each(mut bench: impl FnMut(Flavor, &Database)) {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        // Says why, if there is none.
        let Some(server) = available(Server::start(flavor)) else { continue };
        bench(flavor, &database(&server, "bench"));
    }
}

/// A group of few and long measurements.
pub(crate) fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(500));
    group
}

/// The table of courseware, with so many rows.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn fill(db: &Database, rows: u64) {
    let mut conn = db.conn();
    csm::create_table(&mut conn, csm::TABLE).unwrap();
    csm::fill(&mut conn, csm::TABLE, rows).unwrap();
}

/// A run that widens its key.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn widen(db: &Database, chunk: u64, workers: usize) -> OnlineAlter {
    OnlineAlter::new(db.url(), csm::TABLE)
        .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
        .chunk_size(ChunkSize::Rows(chunk))
        .copy_workers(workers)
        .old_table(OldTable::Drop)
        .analyze(false)
}

/// Runs statements.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn exec(db: &Database, statements: &[&str]) {
    let mut conn = db.conn();
    for sql in statements {
        conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// The numbers from 0 to 9999, as the column `n` of a derived table.
#[allow(dead_code, reason = "not every bench needs it")]
pub(crate) fn numbers() -> String {
    let digit = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 \
                 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 \
                 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    format!(
        "(SELECT CAST(a.d * 1000 + b.d * 100 + c.d * 10 + e.d AS SIGNED) AS n \
         FROM {digit} a, {digit} b, {digit} c, {digit} e) numbers"
    )
}
