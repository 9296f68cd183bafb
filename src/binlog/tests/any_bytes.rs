//! Whatever the bytes: nothing panics, and the key is found among any columns.

use proptest::prelude::*;

use super::{Run, UPDATE, WRITE, head, int_key, layout, query, rotate, table_map};
use crate::binlog::layout::TableMap;
use crate::binlog::rows::{self, RowsKind};
use crate::binlog::{KeyPart, WatchedTable};
use crate::sql::{Key, KeyType};

/// Bytes of an event of the given type: rather plausible, or not at all.
fn event() -> impl Strategy<Value = (u8, u16, Vec<u8>)> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..120);
    let types = prop_oneof![
        any::<u8>(),
        proptest::sample::select(vec![2, 4, 16, 18, 19, 23, 24, 25, 30, 31, 32, 38, 39, 162]),
        proptest::sample::select(vec![165, 166, 167, 168, 169, 170, 171]),
    ];
    let heads = prop_oneof![
        Just(Vec::new()),
        Just(head(1, WRITE)),
        Just(head(1, UPDATE)),
        Just(head(2, UPDATE)),
        Just(query("db", 1, "XA START X'61'")),
        Just(query("db", 1, "UPDATE ")),
        Just(table_map(1, "db", "t", &[3, 15], &[20, 0])),
        Just(rotate(b"b.00000")),
    ];
    (types, any::<u16>(), heads, bytes).prop_map(|(event_type, flags, mut head, bytes)| {
        head.extend(bytes);
        (event_type, flags, head)
    })
}

/// A value behind its length, which takes this many bytes.
fn prefixed(prefix: usize, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_le_bytes();
    [&length[..prefix], value].concat()
}

/// A column of a table map, with a value as it stands in a row image.
fn column() -> impl Strategy<Value = (u8, Vec<u8>, Vec<u8>)> {
    let bytes = |n: std::ops::RangeInclusive<usize>| proptest::collection::vec(any::<u8>(), n);
    prop_oneof![
        bytes(1..=1).prop_map(|v| (1, vec![], v)),
        bytes(2..=2).prop_map(|v| (2, vec![], v)),
        bytes(3..=3).prop_map(|v| (9, vec![], v)),
        bytes(8..=8).prop_map(|v| (5, vec![8], v)),
        // DATETIME(3), DECIMAL(14,4), BIT(12), ENUM
        bytes(7..=7).prop_map(|v| (18, vec![3], v)),
        bytes(7..=7).prop_map(|v| (246, vec![14, 4], v)),
        bytes(2..=2).prop_map(|v| (16, vec![4, 1], v)),
        bytes(2..=2).prop_map(|v| (254, vec![247, 2], v)),
        // VARCHAR, CHAR of 400 bytes, BLOBs, JSON
        bytes(0..=255).prop_map(|v| (15, vec![255, 0], prefixed(1, &v))),
        bytes(0..=300).prop_map(|v| (15, vec![0, 4], prefixed(2, &v))),
        bytes(0..=300).prop_map(|v| (254, vec![0xee, 0x90], prefixed(2, &v))),
        bytes(0..=300).prop_map(|v| (252, vec![2], prefixed(2, &v))),
        bytes(0..=300).prop_map(|v| (252, vec![4], prefixed(4, &v))),
        bytes(0..=300).prop_map(|v| (245, vec![4], prefixed(4, &v))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_interpreter_panic(events in proptest::collection::vec(event(), 1..8)) {
        let mut run = Run::new();
        run.map();
        for (event_type, flags, data) in events {
            let _ = run.take(event_type, flags, &data);
        }
    }

    #[test]
    fn no_bytes_make_a_table_map_panic(data in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(map) = TableMap::parse(&data) {
            let _ = map.layout(&int_key(3));
        }
    }

    #[test]
    fn no_bytes_make_a_row_event_panic(
        event_type in proptest::sample::select(vec![23_u8, 24, 25, 30, 31, 32, 39, 166, 167, 169, 170]),
        data in proptest::collection::vec(any::<u8>(), 0..300),
        plausible in any::<bool>(),
    ) {
        let layout = layout(&[3, 15, 245], &[20, 0, 4]);
        let table = int_key(3);
        let mut event = if plausible { [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3].to_vec() } else { Vec::new() };
        event.extend(data);
        let kind = RowsKind::of_type(event_type).unwrap();
        let _ = rows::keys(kind, &event, &layout, &table, |_| {});
        let _ = rows::written(kind, &event, &layout, &table, |_| {});
    }

    #[test]
    fn no_bytes_make_a_literal_panic(
        raw in proptest::collection::vec(any::<u8>(), 0..40),
        (precision, scale) in (1..=65_u8).prop_flat_map(|p| (Just(p), 0..=p.min(30))),
        fsp in 0..=6_u8,
    ) {
        let text = || KeyType::Text { charset: "utf8mb4".to_owned() };
        for ty in [
            KeyType::Int { unsigned: false }, KeyType::Decimal { precision, scale }, KeyType::Year,
            KeyType::Date, KeyType::Time { fsp }, KeyType::Datetime { fsp },
            KeyType::Timestamp { fsp }, text(), KeyType::Binary { pad_to: None }, KeyType::Ordinal,
            KeyType::Bit, KeyType::Uuid, KeyType::Inet6, KeyType::Inet4,
        ] {
            let mut out = String::new();
            if ty.write_literal(&raw, &mut out).is_ok() {
                // Nothing of the value can get out of its quotes.
                prop_assert!(out.chars().all(|c| c.is_ascii_alphanumeric() || "_' -.:".contains(c)));
                prop_assert!(out.matches('\'').count().is_multiple_of(2));
            }
        }
    }

    /// Whatever the columns around it, the key is found, in rows of any number.
    #[test]
    fn the_key_is_found_among_any_columns(
        before in proptest::collection::vec((column(), any::<bool>()), 0..12),
        after in proptest::collection::vec((column(), any::<bool>()), 0..12),
        keys in proptest::collection::vec(any::<i32>(), 1..4),
        text in proptest::collection::vec(any::<u8>(), 0..20),
        compressed in any::<bool>(),
    ) {
        let key = ((3_u8, vec![], vec![]), false);
        let name = ((15_u8, vec![20, 0], [&[u8::try_from(text.len()).unwrap()], &text[..]].concat()), false);
        let place = before.len();
        let columns: Vec<_> = before.into_iter().chain([key, name]).chain(after).collect();
        let codes: Vec<u8> = columns.iter().map(|((code, ..), _)| *code).collect();
        let meta: Vec<u8> = columns.iter().flat_map(|((_, meta, _), _)| meta.clone()).collect();
        let layout = layout(&codes, &meta);
        let table = WatchedTable {
            columns: columns.len(),
            // Not in the order of the table.
            key: vec![
                KeyPart { column: place + 1, ty: KeyType::Binary { pad_to: None } },
                KeyPart { column: place, ty: KeyType::Int { unsigned: false } },
            ],
        };
        let bitmap = columns.len().div_ceil(8);
        let mut body = Vec::new();
        for key in &keys {
            let start = body.len();
            body.resize(start + bitmap, 0);
            for (i, ((_, _, value), null)) in columns.iter().enumerate() {
                if *null {
                    body[start + i / 8] |= 1 << (i % 8);
                } else if i == place {
                    body.extend(key.to_le_bytes());
                } else {
                    body.extend(value);
                }
            }
        }
        let mut data = vec![1, 0, 0, 0, 0, 0, 1, 0];
        if !compressed {
            data.extend([2, 0]);
        }
        data.push(u8::try_from(columns.len()).unwrap());
        data.extend(vec![0xff; bitmap]);
        if compressed {
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            data.push(0x84);
            data.extend(length);
            let mut zlib = flate2::read::ZlibEncoder::new(&body[..], flate2::Compression::fast());
            std::io::Read::read_to_end(&mut zlib, &mut data).unwrap();
        } else {
            data.extend(&body);
        }
        let mut found = Vec::new();
        let kind = RowsKind::of_type(if compressed { 166 } else { WRITE }).unwrap();
        rows::keys(kind, &data, &layout, &table, |key| found.push(key)).unwrap();
        let expected: Vec<Key> = keys
            .iter()
            .map(|key| {
                let mut wide = crate::sql::key::WideKey::default();
                wide.push(&text);
                wide.push(&i64::from(*key).to_le_bytes());
                wide.finish()
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
