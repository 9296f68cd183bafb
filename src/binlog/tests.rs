//! The whole way from bytes to keys, on events made here, and on bytes that make no sense.

use proptest::prelude::*;

use super::interpreter::{Interpreter, Sink, Watch};
use super::layout::{Layout, TableMap};
use super::rows::{self, RowsKind, Unreadable};
use super::{BinlogPosition, KeyPart, WatchedTable};
use crate::error::{ErrorKind, Result};
use crate::sql::{Ident, Key, KeyType, TableName};

const TABLE_MAP: u8 = 19;
const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const XID: u8 = 16;
const XA_PREPARE: u8 = 38;
const WRITE: u8 = 30;
const UPDATE: u8 = 31;
const DELETE: u8 = 32;
const ARTIFICIAL: u16 = 0x20;
const OWN: u32 = 7;

/// What came out.
#[derive(Debug, Default)]
struct Seen {
    keys: Vec<Key>,
    markers: Vec<u64>,
    commits: Vec<BinlogPosition>,
    swaps: usize,
}

impl Sink for Seen {
    fn key(&mut self, key: Key) {
        self.keys.push(key);
    }
    fn marker(&mut self, number: u64) {
        self.markers.push(number);
    }
    fn swapped(&mut self) {
        self.swaps += 1;
    }
    fn committed(&mut self, position: &BinlogPosition) {
        self.commits.push(position.clone());
    }
    fn is_own(&self, connection_id: u32) -> bool {
        connection_id == OWN
    }
}

fn int_key(columns: usize) -> WatchedTable {
    WatchedTable { columns, key: vec![KeyPart { column: 0, ty: KeyType::Int { unsigned: false } }] }
}

/// A run on `db`.`t`, of (INT, VARCHAR(20)), which becomes (BIGINT, VARCHAR(20), INT).
struct Run {
    interpreter: Interpreter,
    seen: Seen,
}

impl Run {
    fn new() -> Self {
        let start = BinlogPosition::new("b.000001", 4);
        Run { interpreter: Interpreter::new(Self::watch(), start), seen: Seen::default() }
    }

    fn watch() -> Watch {
        let source = TableName::new(Ident::new("db"), Ident::new("t"));
        Watch {
            ghost: source.ghost(),
            state: source.state(),
            source,
            before_swap: int_key(2),
            after_swap: int_key(3),
            marker: crate::checkpoint::StateTable::watched(),
            ignores_case: false,
        }
    }

    fn take(&mut self, event_type: u8, flags: u16, data: &[u8]) -> Result<()> {
        self.interpreter.bytes(event_type, flags, data, &mut self.seen)
    }

    fn ok(&mut self, event_type: u8, data: &[u8]) {
        self.take(event_type, 0, data).unwrap();
    }

    fn query(&mut self, connection: u32, text: &str) -> Result<()> {
        self.take(QUERY, 0, &query("db", connection, text))
    }

    /// Opens `db`.`t` for the row events that follow.
    fn map(&mut self) {
        self.ok(TABLE_MAP, &table_map(1, "db", "t", &[3, 15], &[20, 0]));
    }

    fn ints(&self) -> Vec<u64> {
        let int = |key: &Key| if let Key::Int(value) = key { *value } else { 0 };
        self.seen.keys.iter().map(int).collect()
    }
}

fn table_map(id: u64, schema: &str, table: &str, codes: &[u8], meta: &[u8]) -> Vec<u8> {
    let mut data = id.to_le_bytes()[..6].to_vec();
    data.extend([1, 0]);
    for name in [schema, table] {
        data.push(u8::try_from(name.len()).unwrap());
        data.extend(name.as_bytes());
        data.push(0);
    }
    data.push(u8::try_from(codes.len()).unwrap());
    data.extend(codes);
    data.push(u8::try_from(meta.len()).unwrap());
    data.extend(meta);
    // Which columns may be NULL, and optional metadata, which nobody reads.
    data.extend([0xff, 1, 2, 3]);
    data
}

fn query(schema: &str, connection: u32, text: &str) -> Vec<u8> {
    let mut data = connection.to_le_bytes().to_vec();
    data.extend([0; 4]);
    data.push(u8::try_from(schema.len()).unwrap());
    data.extend([0; 4]);
    data.extend(schema.as_bytes());
    data.push(0);
    data.extend(text.as_bytes());
    data
}

/// The head of a version 2 event for a table of two columns, both in the image.
fn head(id: u64, event_type: u8) -> Vec<u8> {
    let mut data = id.to_le_bytes()[..6].to_vec();
    data.extend([1, 0, 2, 0, 2, 0xff]);
    if event_type == UPDATE {
        data.push(0xff);
    }
    data
}

fn row(id: i32, text: &str) -> Vec<u8> {
    let mut data = vec![0xfc];
    data.extend(id.to_le_bytes());
    data.push(u8::try_from(text.len()).unwrap());
    data.extend(text.as_bytes());
    data
}

fn rows_event(event_type: u8, rows: &[(i32, &str)]) -> Vec<u8> {
    let mut data = head(1, event_type);
    for (id, text) in rows {
        data.extend(row(*id, text));
    }
    data
}

fn rotate(file: &[u8]) -> Vec<u8> {
    [&4_u64.to_le_bytes()[..], file].concat()
}

#[test]
fn rows_of_the_table_become_keys() {
    let mut run = Run::new();
    run.map();
    run.ok(TABLE_MAP, &table_map(2, "db", "other", &[3, 15], &[20, 0]));
    run.ok(WRITE, &rows_event(WRITE, &[(1, "a"), (-1, "")]));
    run.ok(UPDATE, &rows_event(UPDATE, &[(2, "a"), (2, "b"), (3, "c"), (4, "c")]));
    run.ok(DELETE, &rows_event(DELETE, &[(5, "x")]));
    run.ok(WRITE, &head(2, WRITE));
    assert_eq!(run.ints(), [1, u64::MAX, 2, 4, 3, 5]);
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
    run.ok(15, &[]);
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

fn layout(codes: &[u8], meta: &[u8]) -> Layout {
    let data = table_map(1, "db", "t", codes, meta);
    let columns = codes.len();
    TableMap::parse(&data).unwrap().layout(&WatchedTable { columns, key: Vec::new() }).unwrap()
}

#[test]
fn the_position_follows_the_files() {
    let mut run = Run::new();
    // MariaDB's first one has its checksum behind the name of the file that was asked for.
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000001\xff\x00ab")).unwrap();
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000001")).unwrap();
    assert_eq!(run.seen.commits, []);
    run.ok(ROTATE, &rotate(b"b.000002"));
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000002")).unwrap();
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000002\x01\x02\x03\x04")).unwrap();
    assert_eq!(run.seen.commits, [BinlogPosition::new("b.000002", 4)]);
    // Numbers grow by a digit after a million files.
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.1000000")).unwrap();
    assert_eq!(run.seen.commits.last(), Some(&BinlogPosition::new("b.1000000", 4)));
    assert!(run.take(ROTATE, 0, &[1, 2, 3]).is_err());
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

#[test]
fn a_statement_outside_of_a_transaction_ends_itself() {
    let mut run = Run::new();
    run.query(1, "CREATE TABLE x (a INT)").unwrap();
    assert_eq!(run.seen.commits.len(), 1);
    run.query(1, "BEGIN").unwrap();
    run.query(1, "SAVEPOINT a").unwrap();
    run.query(1, "INSERT INTO mysql.rds_heartbeat2 VALUES (1)").unwrap();
    assert_eq!(run.seen.commits.len(), 1);
    run.query(1, "COMMIT").unwrap();
    assert_eq!(run.seen.commits.len(), 2);
    // MariaDB's GTID says whether the statement stands alone.
    run.ok(162, &[0; 13]);
    run.query(1, "INSERT INTO mysql.rds_heartbeat2 VALUES (1)").unwrap();
    assert_eq!(run.seen.commits.len(), 2);
    run.ok(XID, &[0; 8]);
    let mut alone = [0; 13];
    alone[12] = 1;
    run.ok(162, &alone);
    run.query(1, "CREATE TABLE y (a INT)").unwrap();
    assert_eq!(run.seen.commits.len(), 4);
}

/// The rows of an XA transaction, up to and with the event that prepares it.
fn prepare(run: &mut Run, xid: &str, id: i32, one_phase: bool) {
    run.query(1, &format!("XA START {xid}")).unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(id, "")]));
    run.query(1, &format!("XA END {xid}")).unwrap();
    run.ok(XA_PREPARE, &[u8::from(one_phase), 1, 0, 0, 0]);
}

#[test]
fn xa_transactions_count_when_they_are_committed() {
    let mut run = Run::new();
    run.interpreter.copy_begins();
    prepare(&mut run, "X'61',X'',1", 1, false);
    prepare(&mut run, "X'62',X'',1", 2, false);
    prepare(&mut run, "X'63',X'',1", 3, true);
    assert_eq!(run.ints(), [3]);
    assert_eq!(run.seen.commits.len(), 3);
    // A transaction in between is its own.
    run.query(1, "BEGIN").unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(4, "")]));
    run.ok(XID, &[0; 8]);
    run.query(2, "XA ROLLBACK X'61',X'',1").unwrap();
    run.query(2, "XA COMMIT X'62',X'',1").unwrap();
    assert_eq!(run.ints(), [3, 4, 2]);
    // Committed twice: that one is not known.
    let error = run.query(2, "XA COMMIT X'62',X'',1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Binlog);
}

#[test]
fn mariadb_names_an_xa_transaction_in_its_gtid() {
    // With and without the id of a group commit; engines and such may follow.
    for (flags, id) in [(64_u8, &[][..]), (64 | 2, &[9; 8])] {
        let mut run = Run::new();
        run.interpreter.copy_begins();
        let mut gtid = vec![0; 12];
        gtid.push(flags);
        gtid.extend(id);
        gtid.extend([1, 0, 0, 0, 2, 1, 0x69, 0xab, 0xcd, 7, 7]);
        run.ok(162, &gtid);
        run.map();
        run.ok(WRITE, &rows_event(WRITE, &[(5, "")]));
        run.query(1, "XA END X'69ab',X'cd',1").unwrap();
        run.ok(XA_PREPARE, &[0; 12]);
        assert_eq!(run.seen.keys, []);
        let mut end = vec![0; 12];
        end.push(128);
        end.extend([1, 0, 0, 0, 2, 1, 0x69, 0xab, 0xcd]);
        run.ok(162, &end);
        run.query(1, "XA COMMIT X'69ab',X'cd',1").unwrap();
        assert_eq!(run.ints(), [5]);
        assert_eq!(run.seen.commits.len(), 2);
        assert!(run.take(162, 0, &gtid[..gtid.len() - 5]).is_err());
    }
}

#[test]
fn xa_transactions_from_before_the_run_matter_once_the_copy_has_begun() {
    let mut run = Run::new();
    run.query(1, "XA COMMIT X'61',X'',1").unwrap();
    run.interpreter.copy_begins();
    run.query(1, "XA ROLLBACK X'62',X'',1").unwrap();
    assert!(run.query(1, "XA COMMIT X'63',X'',1").is_err());
}

#[test]
fn a_stream_that_breaks_within_a_transaction_begins_it_again() {
    let mut run = Run::new();
    prepare(&mut run, "X'61',X'',1", 1, false);
    let at = run.seen.commits.last().unwrap().clone();
    run.query(1, "XA START X'62',X'',1").unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(2, "")]));
    run.interpreter.reconnected(at);
    // Not of the XA transaction that was cut off.
    run.query(1, "BEGIN").unwrap();
    assert!(run.take(WRITE, 0, &rows_event(WRITE, &[(3, "")])).is_err(), "ids begin anew");
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(3, "")]));
    assert_eq!(run.ints(), [3]);
    // What was prepared before it broke is still known.
    run.interpreter.copy_begins();
    run.query(1, "XA COMMIT X'61',X'',1").unwrap();
    assert_eq!(run.ints(), [3, 1]);
}

#[test]
fn the_swap_changes_what_the_table_looks_like() {
    let mut run = Run::new();
    let swap =
        "RENAME /* online-alter */ TABLE `db`.`t` TO `db`.`_t_del`, `db`.`_t_gho` TO `db`.`t`";
    assert_eq!(run.query(8, swap).unwrap_err().kind(), ErrorKind::TableChanged);
    run.query(OWN, swap).unwrap();
    assert_eq!(run.seen.swaps, 1);
    run.ok(TABLE_MAP, &table_map(3, "db", "t", &[8, 15, 3], &[20, 0]));
    assert!(run.take(TABLE_MAP, 0, &table_map(4, "db", "t", &[3, 15], &[20, 0])).is_err());
    // From now on it is the application's own business again.
    run.query(8, "ALTER TABLE db.t ADD COLUMN x INT").unwrap();
}

#[test]
fn statements_are_judged() {
    for (text, stops) in [
        ("UPDATE t SET a = 1", true),
        ("TRUNCATE t", true),
        ("ALTER TABLE `db`.`t` ADD x INT", true),
        ("DROP TABLE IF EXISTS `t` /* generated by server */", true),
        ("DROP DATABASE db", true),
        ("DROP TABLE _t_gho", true),
        ("CREATE TABLE c (a INT REFERENCES t (a))", true),
        ("CREATE TABLE t (a INT)", true),
        ("CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW SET @a = 1", true),
        ("gibberish about t", true),
        ("CREATE TABLE x LIKE t", false),
        ("CREATE VIEW v AS SELECT * FROM t", false),
        ("ANALYZE TABLE t", false),
        // A trigger of that table may write to t.
        ("UPDATE other SET a = 't'", true),
        (
            "INSERT INTO mysql.rds_heartbeat2(id, value) values (1, 2) ON DUPLICATE KEY UPDATE value = 2",
            false,
        ),
        ("DROP DATABASE d", false),
        ("DROP TABLE other.t", false),
        ("gibberish about u", false),
        ("# Dum", false),
    ] {
        let result = Run::new().query(8, text);
        assert_eq!(result.is_err(), stops, "{text}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::TableChanged, "{text}");
        }
    }
}

#[test]
fn a_name_that_is_not_in_ascii_may_be_meant_by_a_text_that_is_not_in_utf8() {
    let name = |table: &str| TableName::new(Ident::new("db"), Ident::new(table));
    for (table, stops) in [("caf\u{e9}", true), ("cafe", false)] {
        let mut run = Run::new();
        let mut watch = Run::watch();
        (watch.source, watch.ghost, watch.state) =
            (name(table), name(table).ghost(), name(table).state());
        run.interpreter = Interpreter::new(watch, BinlogPosition::new("b.000001", 4));
        let mut data = query("db", 1, "TRUNCATE TABLE caf");
        data.push(0xe9);
        assert_eq!(run.take(QUERY, 0, &data).is_err(), stops, "{table}");
    }
}

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
                prop_assert!(out.matches('\'').count() % 2 == 0);
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
