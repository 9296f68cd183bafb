//! How fast keys are found in binlog events.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench stops at the first thing that is wrong"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use online_alter::internals::{Column, KeyReader};

const TABLE_MAP: u8 = 19;
const UPDATE_ROWS: u8 = 31;

/// INT, VARCHAR(50), BIGINT, VARCHAR(255), DATETIME(6), DOUBLE, DECIMAL(10,2), LONGTEXT, TINYINT,
/// TIMESTAMP, with their metadata.
const CODES: [u8; 10] = [3, 15, 8, 15, 18, 5, 246, 252, 1, 17];
const META: [u8; 10] = [50, 0, 255, 0, 6, 8, 10, 2, 4, 0];

fn table_map(id: u8, table: &str) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0];
    for name in ["bench", table] {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body.push(0);
    }
    body.push(10);
    body.extend(CODES);
    body.push(10);
    body.extend(META);
    body.extend([0xff, 3]);
    body
}

fn image(id: i32) -> Vec<u8> {
    let mut image = vec![0, 0xfc];
    image.extend(id.to_le_bytes());
    let text = |image: &mut Vec<u8>, prefix: usize, text: String| {
        image.extend(&u32::try_from(text.len()).unwrap().to_le_bytes()[..prefix]);
        image.extend(text.into_bytes());
    };
    text(&mut image, 1, format!("course-{id:08}"));
    image.extend(i64::from(id).to_le_bytes());
    text(&mut image, 1, format!("block@{:032x}", u128::from(id.unsigned_abs()) * 7919));
    image.extend([0x99, 0xb2, 0xc2, 0x10, 0x83, 0x0f, 0x42, 0x3f]);
    image.extend(1.5_f64.to_le_bytes());
    image.extend([0x80, 0, 0, 1, 50]);
    text(&mut image, 4, "x".repeat(60));
    image.push(1);
    image.extend([0x65, 0x94, 0x03, 0xe5]);
    image
}

/// An UPDATE_ROWS_EVENT_V2 of 8 KB, as both servers cut them, and the number of its rows.
fn update(table: u8) -> (Vec<u8>, u64) {
    let mut body = vec![table, 0, 0, 0, 0, 0, 1, 0, 2, 0, 10, 0xff, 3, 0xff, 3];
    let mut rows = 0;
    while body.len() < 8 << 10 {
        rows += 1;
        for _ in 0..2 {
            body.extend(image(1_000_000 + rows));
        }
    }
    (body, rows.try_into().unwrap())
}

fn event_to_key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event_to_key");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let integer = [(0, Column::Int)];
    bench_events(&mut group, "integer", &integer, 1);
    bench_events(
        &mut group,
        "composite",
        &[(1, Column::Text), (3, Column::Text), (0, Column::Int)],
        1,
    );
    bench_events(&mut group, "other_table", &integer, 2);
    group.finish();
}

fn bench_events(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    key: &[(usize, Column)],
    table: u8,
) {
    let mut reader = KeyReader::new(10, key);
    reader.event(TABLE_MAP, &table_map(1, "t")).unwrap();
    reader.event(TABLE_MAP, &table_map(2, "other")).unwrap();
    let (event, rows) = update(table);
    assert_eq!(reader.event(UPDATE_ROWS, &event).unwrap(), if table == 1 { rows } else { 0 });
    group.throughput(Throughput::Elements(rows));
    group.bench_function(name, |bencher| {
        bencher.iter(|| reader.event(UPDATE_ROWS, black_box(&event)).unwrap());
    });
}

criterion_group!(benches, event_to_key);
criterion_main!(benches);
