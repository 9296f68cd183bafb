//! What following the binlog costs in memory, counted by the allocator: nothing for each row of a table
//! whose key is an integer, and few bytes for each key that is pending.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::hint::black_box;

use allocation_counter::measure;
use online_alter::internals::{Backlog, Column, KeyReader};

const QUERY: u8 = 2;
const XID: u8 = 16;
const TABLE_MAP: u8 = 19;
const WRITE_ROWS: u8 = 30;
const UPDATE_ROWS: u8 = 31;

/// `bench.t (id BIGINT, v VARCHAR(20), d DATETIME(6))`
fn table_map(id: u8, table: &str) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0];
    for name in ["bench", table] {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body.push(0);
    }
    body.extend([3, 8, 15, 18, 3, 20, 0, 6, 0]);
    body
}

fn begin() -> Vec<u8> {
    let mut body = vec![7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 2, 0, 99, 99];
    body.extend(b"bench\0BEGIN");
    body
}

fn image(id: u64) -> Vec<u8> {
    let mut image = vec![0];
    image.extend(id.to_le_bytes());
    image.extend([3, b'a', b'b', b'c', 0x99, 0xb2, 0xc2, 0x10, 0x83, 0x0f, 0x42, 0x3f]);
    image
}

fn rows(kind: u8, table: u8, ids: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut body = vec![table, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 7];
    if kind == UPDATE_ROWS {
        body.push(7);
    }
    for id in ids {
        for _ in 0..if kind == UPDATE_ROWS { 2 } else { 1 } {
            body.extend(image(id));
        }
    }
    body
}

/// A transaction of one row, as most are: its events.
fn transaction(kind: u8, table: u8, name: &str, id: u64) -> Vec<(u8, Vec<u8>)> {
    vec![
        (QUERY, begin()),
        (TABLE_MAP, table_map(table, name)),
        (kind, rows(kind, table, std::iter::once(id))),
        (XID, id.to_le_bytes().to_vec()),
    ]
}

#[test]
fn a_row_costs_no_allocation() {
    const ROWS: u64 = 20_000;
    let mut reader = KeyReader::new(3, &[(0, Column::Int)]);
    let backlog = Backlog::new(2, 1_000_000);
    // Updates of hot rows, inserts of new ones, and other tables' rows.
    let round = |round: u64| -> Vec<(u8, Vec<u8>)> {
        (0..ROWS)
            .flat_map(|n| match n % 4 {
                0 | 1 => transaction(UPDATE_ROWS, 1, "t", n % 1000),
                2 => transaction(WRITE_ROWS, 1, "t", 1_000_000 + round * ROWS + n),
                _ => transaction(UPDATE_ROWS, 2, "other", n),
            })
            .collect()
    };
    let mut follow = |events: &[(u8, Vec<u8>)]| {
        for (kind, body) in events {
            reader.follow(*kind, black_box(body), &backlog).unwrap();
        }
    };
    // The first rounds find out how much room there has to be.
    for number in 0..3 {
        follow(&round(number));
        backlog.take_all(1000).unwrap();
    }
    let events = round(3);
    let reading = measure(|| follow(&events));
    assert_eq!(backlog.len(), 500 + 5_000);
    assert_eq!(reading.count_total, 0, "{reading:?}");
    // Taking a batch makes its list of keys, however many they are.
    let mut batches = 0;
    let taking = measure(|| batches = backlog.take_all(1000).unwrap());
    assert!(batches >= 6, "{batches}");
    assert!(taking.count_total <= 5 * u64::try_from(batches).unwrap(), "{taking:?}");
}

/// 10 million keys, by whatever order they come in.
#[test]
fn ten_million_integers_take_little_room() {
    const KEYS: u64 = 10_000_000;
    const MIB: u64 = 1 << 20;
    // A permutation of all 64-bit numbers: the worst that can come.
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    for (name, limit) in [("growing", 96), ("scattered", 160)] {
        let key = |n| if name == "growing" { n } else { scattered(n) };
        let before = resident();
        let backlog = Backlog::new(2, 20_000_000);
        let taken = measure(|| {
            for n in 0..KEYS {
                backlog.add(key(n));
            }
        });
        assert_eq!(backlog.len(), usize::try_from(KEYS).unwrap());
        let most = taken.bytes_max / MIB;
        eprintln!("{name}: {most} MiB allocated, {} MiB resident", (resident() - before) / MIB);
        assert!(most <= limit, "{name}: {most} MiB");
        // And it comes back.
        let after = measure(|| {
            backlog.take_all(1000).unwrap();
        });
        assert!(after.bytes_current < 0, "{after:?}");
    }
}

/// What the process has in memory, in bytes: 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0_u64) << 10
}
