//! Rows and their table maps become keys and markers; what is unknown stops the run.

use super::{
    DELETE, Run, TABLE_MAP, UPDATE, WRITE, XID, head, int_key, layout, rows_event, table_map,
};
use crate::binlog::layout::TableMap;
use crate::binlog::rows::{self, RowsKind, Unreadable};
use crate::error::ErrorKind;

#[test]
fn rows_of_the_table_become_keys() {
    let mut run = Run::new();
    run.map();
    run.ok(TABLE_MAP, &table_map(2, "db", "other", &[3, 15], &[20, 0]));
    run.ok(WRITE, &rows_event(WRITE, &[(1, "a"), (-1, "")]));
    run.ok(UPDATE, &rows_event(UPDATE, &[(2, "a"), (2, "b"), (3, "c"), (4, "c")]));
    run.ok(DELETE, &rows_event(DELETE, &[(5, "x")]));
    run.ok(WRITE, &head(2, WRITE));
    // Nobody else's: what the run itself copies.
    run.ok(TABLE_MAP, &table_map(3, "db", "_t_gho", &[3, 15], &[20, 0]));
    run.ok(WRITE, &head(3, WRITE));
    assert_eq!(run.ints(), [1, u64::MAX, 2, 4, 3, 5]);
    assert_eq!(run.seen.others, 1);
    assert_eq!(run.seen.commits, []);
    run.ok(XID, &[0; 8]);
    assert_eq!(run.seen.commits.len(), 1);
}

#[test]
fn markers() {
    let mut run = Run::new();
    run.ok(TABLE_MAP, &table_map(9, "db", "_t_ghc", &[8, 8, 18, 252], &[6, 3]));
    let mut data = 9_u64.to_le_bytes()[..6].to_vec();
    data.extend([1, 0, 2, 0, 4, 0b0000_0001, 0b0000_0010]);
    // A minimal image: the id before, the number after.
    data.push(0);
    data.extend(1_u64.to_le_bytes());
    data.push(0);
    data.extend(42_u64.to_le_bytes());
    run.ok(UPDATE, &data);
    assert_eq!((run.seen.markers, run.seen.keys), (vec![42], vec![]));
}

#[test]
fn rows_need_their_table_map() {
    let mut run = Run::new();
    let error = run.take(WRITE, 0, &rows_event(WRITE, &[(1, "")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Binlog);
    // But an event that only ends a statement has none.
    run.ok(WRITE, &head(0xff_ffff, WRITE));
    run.map();
    // A new file, after which ids may stand for other tables.
    run.ok(15, &[0; 60]);
    assert!(run.take(WRITE, 0, &rows_event(WRITE, &[(1, "")])).is_err());
}

#[test]
fn a_table_of_another_shape_stops_the_run() {
    for (codes, meta) in [
        (&[3_u8][..], &[][..]),
        (&[3, 15, 3], &[20, 0]),
        // Its key is text now.
        (&[15, 15], &[20, 0, 20, 0]),
    ] {
        let error =
            Run::new().take(TABLE_MAP, 0, &table_map(1, "db", "t", codes, meta)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableChanged, "{codes:?}");
        // Of other tables it does not matter.
        Run::new().ok(TABLE_MAP, &table_map(1, "db", "x", codes, meta));
        Run::new().ok(TABLE_MAP, &table_map(1, "DB", "t", codes, meta));
    }
}

#[test]
fn table_maps() {
    let data =
        table_map(0x0102_0304_0506, "d", "t", &[3, 254, 254, 246], &[0xed, 0xf0, 247, 2, 20, 4]);
    let map = TableMap::parse(&data).unwrap();
    assert_eq!((map.table_id, map.schema, map.table), (0x0102_0304_0506, &b"d"[..], &b"t"[..]));
    assert!(map.layout(&int_key(4)).is_ok());
    for end in 0..data.len() - 4 {
        let cut = TableMap::parse(&data[..end]);
        assert!(cut.is_err() || cut.is_ok_and(|map| map.layout(&int_key(4)).is_err()), "{end}");
    }
}

#[test]
fn key_columns_that_are_left_out_are_an_error() {
    let layout = layout(&[3, 15], &[20, 0]);
    let keys = |data: &[u8]| {
        let kind = RowsKind::of_type(WRITE).unwrap();
        rows::keys(kind, data, &layout, &int_key(2), |_| {})
    };
    // Even where the images, having no columns at all, take no bytes.
    for present in [0, 2] {
        let mut data = head(1, WRITE);
        *data.last_mut().unwrap() = present;
        assert_eq!(keys(&data), Err(Unreadable::KeyLeftOut));
        data.extend([0, 1, b'x']);
        assert_eq!(keys(&data), Err(Unreadable::KeyLeftOut));
    }
}

#[test]
fn what_is_unknown_is_fatal_unless_it_may_be_ignored() {
    for event_type in [0, 1, 6, 7, 20, 43, 99, 159, 172, 255] {
        let error = Run::new().take(event_type, 0, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Binlog, "{event_type}");
        Run::new().take(event_type, 0x80, &[]).unwrap();
    }
    // An INCIDENT says that changes are missing, whatever its flags say.
    assert!(Run::new().take(26, 0x80, &[]).is_err());
}
