//! Values of each type, as literals: everyday ones and those at the edges.

use crate::names::{hex, text};
use crate::rng::Rng;
use crate::types::{Collation, Ty};

/// What kind of values a column holds: an ALTER of tame ones mostly succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Tame,
    Wild,
    /// Text that looks like numbers.
    Numbers,
    /// Text that looks like dates.
    Dates,
    /// Of a key: many different ones.
    Key,
}

const ASCII: [&str; 26] = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "b",
    "B",
    "ab",
    "aB",
    "Ab ",
    "0",
    "1",
    "-1",
    "007",
    "1e3",
    "2024-02-29",
    "12:30:00",
    "x\ty",
    "'",
    "\\",
    "`\"",
    "%_",
    "NULL",
    "abc def",
    "zzzz",
    "ss",
];
const LATIN: [&str; 8] = ["é", "É", "ß", "ÿ", "Ä", "ä", "aé ", "ae"];
const BMP: [&str; 10] = ["ñ", "п", "П", "中", "文a", "ﬁ", "Å", "a\u{301}", "ς", "Σ"];
const ASTRAL: [&str; 3] = ["😀", "𝄞", "a😀 "];
const DATES: [&str; 8] = [
    "2024-02-29",
    "1970-01-01 00:00:01",
    "2038-01-19",
    "1999-12-31 23:59:59.999999",
    "2000-01-01 00:00:00.5",
    "20240115",
    "2024-03-31 02:30:00",
    "2024-1-2",
];
const DATETIMES: [&str; 10] = [
    "2024-02-29 12:34:56.789012",
    "1970-01-02 00:00:01",
    "2038-01-18 03:14:07.999999",
    "1999-12-31 23:59:59.499999",
    "2000-01-01 00:00:00.5",
    "2024-03-31 02:30:00",
    "2024-10-27 01:30:00",
    "2024-10-27 00:30:00",
    "2001-09-09 01:46:40",
    "2024-06-01 23:59:59.999",
];
const WILD_DATETIMES: [&str; 5] = [
    "1000-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
    "0000-00-00 00:00:00",
    "2024-00-00 00:00:00",
    "2023-02-31 10:00:00",
];
const TIMES: [&str; 9] = [
    "00:00:00",
    "12:34:56.789",
    "-01:00:00",
    "838:59:59",
    "-838:59:59",
    "23:59:59.999999",
    "00:00:00.5",
    "100:00:00",
    "00:00:01",
];
const JSONS: [&str; 14] = [
    "null",
    "1",
    "-1.5",
    "\"a\"",
    "[]",
    "{}",
    "{\"a\": 1, \"b\": [1, 2, \"x\"]}",
    "{\"b\": 2, \"a\": \"é\"}",
    "[1e100, 0.1, true, null]",
    "1.0",
    "18446744073709551615",
    "\"\"",
    "{\"a\": {\"a\": \"deep\"}}",
    "9007199254740993",
];
const UUIDS: [&str; 5] = [
    "00000000-0000-0000-0000-000000000000",
    "123e4567-e89b-12d3-a456-426655440000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "6ccd780c-baba-1026-9564-5b8c656024db",
    "00000000-0000-0000-0000-000000000001",
];

impl Ty {
    /// A value that is not NULL.
    pub(crate) fn value(&self, rng: &Rng, style: Style) -> String {
        let wild = style == Style::Wild && rng.chance(50);
        match self {
            Ty::Int { name, unsigned, zerofill } => {
                int(rng, name, *unsigned || *zerofill, style, wild)
            }
            Ty::Decimal { digits, scale, unsigned } => {
                decimal(rng, *digits, *scale, *unsigned, wild)
            }
            Ty::Float { unsigned } => number(
                rng,
                wild,
                *unsigned,
                &[
                    "16777217",
                    "3.4028e38",
                    "1e-40",
                    "-3.4028e38",
                    "0.1",
                    "1234567.8",
                    "-0.0",
                    "33554433",
                ],
            ),
            Ty::Double { unsigned } => number(
                rng,
                wild,
                *unsigned,
                &[
                    "1.7976931348623157e308",
                    "5e-324",
                    "-0.0",
                    "0.1",
                    "9007199254740993",
                    "123456789.123456789",
                    "-1e100",
                    "2.2250738585072014e-308",
                ],
            ),
            Ty::Bit(n) => {
                let all = if *n == 64 { u64::MAX } else { (1 << n) - 1 };
                let value = if wild { all } else { rng.next() & all & 0xff };
                value.to_string()
            }
            Ty::Text { len, collation, .. } => text(&words(rng, *len, *collation, style)),
            Ty::Bytes { name, len } => bytes(rng, *len, *name == "BINARY"),
            Ty::Enum { members, .. } => text(rng.pick(members).as_str()),
            Ty::Set { members, .. } => {
                let chosen: Vec<&str> =
                    members.iter().filter(|_| rng.chance(40)).map(String::as_str).collect();
                text(&chosen.join(","))
            }
            Ty::Date => match wild {
                true => text(&rng.one(&WILD_DATETIMES)[..10]),
                false if rng.chance(50) => text(&format!("2024-01-{:02}", rng.between(1, 28))),
                false => text(&rng.one(&DATETIMES)[..10]),
            },
            Ty::Time(_) if rng.chance(50) => {
                text(&format!("10:{:02}:{:02}", rng.below(60), rng.below(60)))
            }
            Ty::Time(_) => text(rng.one(&TIMES)),
            Ty::Datetime(_) | Ty::Timestamp(_) => {
                datetime(rng, wild, matches!(self, Ty::Datetime(_)))
            }
            Ty::Year => {
                if wild {
                    "0".to_owned()
                } else {
                    rng.between(1901, 2155).to_string()
                }
            }
            Ty::Json => text(rng.one(&JSONS)),
            Ty::Geometry(name) => geometry(rng, name),
            Ty::Uuid if rng.chance(70) => text(&format!(
                "{:08x}-{:04x}-1{:03x}-a{:03x}-{:012x}",
                rng.below(1 << 32),
                rng.below(1 << 16),
                rng.below(1 << 12),
                rng.below(1 << 12),
                rng.below(1 << 48),
            )),
            Ty::Uuid => text(rng.one(&UUIDS)),
            Ty::Inet6 => match rng.below(4) {
                0 => text("::"),
                1 => text("::ffff:10.0.0.1"),
                2 => text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                _ => text(&format!("2001:db8::{:x}", rng.below(200))),
            },
            Ty::Inet4 => match rng.below(3) {
                0 => text("0.0.0.0"),
                1 => text("255.255.255.255"),
                _ => text(&format!("10.0.0.{}", rng.below(200))),
            },
            Ty::Vector(n) => {
                let numbers: Vec<String> =
                    (0..*n).map(|_| format!("{}.5", rng.between(-3, 3))).collect();
                format!("STRING_TO_VECTOR('[{}]')", numbers.join(","))
            }
        }
    }
}

fn int(rng: &Rng, name: &'static str, unsigned: bool, style: Style, wild: bool) -> String {
    let most = Ty::Int { name, unsigned, zerofill: false }.most().unwrap();
    if wild || style == Style::Key && rng.chance(8) {
        return match rng.below(6) {
            0 | 1 => most.to_string(),
            2 => (most - 1).to_string(),
            3 if unsigned => (most / 2 + 1).to_string(),
            3 => format!("-{}", u128::from(most) + 1),
            4 if unsigned => "0".to_owned(),
            4 => "-1".to_owned(),
            _ => (rng.next() % most).to_string(),
        };
    }
    let high = if style == Style::Key { 100 } else { 12 };
    rng.between(if unsigned || rng.chance(80) { 0 } else { -5 }, high).to_string()
}

fn decimal(rng: &Rng, digits: u8, scale: u8, unsigned: bool, wild: bool) -> String {
    let whole = usize::from(digits - scale);
    let sign = if !unsigned && rng.chance(20) { "-" } else { "" };
    let whole = match (wild, whole) {
        (_, 0) => "0".to_owned(),
        (true, n) => "9".repeat(n),
        (false, 1) => rng.below(10).to_string(),
        (false, _) => rng.below(100).to_string(),
    };
    if scale == 0 {
        return format!("{sign}{whole}");
    }
    let part = if wild { "9".repeat(scale.into()) } else { rng.below(10).to_string() };
    format!("{sign}{whole}.{part}")
}

fn number(rng: &Rng, wild: bool, unsigned: bool, edges: &[&str]) -> String {
    let text = if wild {
        (rng.one(edges)).to_owned()
    } else {
        format!("{}.{}", rng.between(-9, 200), rng.one(&["0", "5", "25", "1"]))
    };
    if unsigned { text.trim_start_matches('-').to_owned() } else { text }
}

fn words(rng: &Rng, len: Option<u16>, collation: Collation, style: Style) -> String {
    let len = usize::from(len.unwrap_or(60));
    let word = match style {
        Style::Numbers => match rng.below(8) {
            0 => "-3".to_owned(),
            1 => "0".to_owned(),
            2 => "12.50".to_owned(),
            _ => rng.below(100).to_string(),
        },
        Style::Dates => (rng.one(&DATES)).to_owned(),
        Style::Key if rng.chance(60) => {
            format!("{}{}", rng.one(&["k", "K", "", "é"]), rng.below(60))
        }
        _ => match (rng.below(10), collation.charset) {
            (8.., "utf8mb4" | "utf16" | "utf32" | "gb18030") => (rng.one(&ASTRAL)).to_owned(),
            (6.., "utf8mb4" | "utf16" | "utf32" | "gb18030" | "utf8mb3" | "ucs2") => {
                (rng.one(&BMP)).to_owned()
            }
            (6.., "gbk") => (rng.one(&["中", "文a", "п"])).to_owned(),
            (6.., "cp1251") => (rng.one(&["п", "П", "ж "])).to_owned(),
            (4..6, "latin1" | "utf8mb4" | "utf8mb3") => (rng.one(&LATIN)).to_owned(),
            (3, _) if style == Style::Wild => "wild".repeat(len / 4 + 1),
            // Sometimes one that the character set does not have: the statement fails.
            (0, _) if rng.chance(3) => "п😀".to_owned(),
            _ => (rng.one(&ASCII)).to_owned(),
        },
    };
    let word =
        if collation.charset == "ascii" || style == Style::Key && collation.charset == "cp1251" {
            word.replace('é', "e")
        } else {
            word
        };
    word.chars().take(len).collect()
}

fn bytes(rng: &Rng, len: Option<u16>, fixed: bool) -> String {
    let len = usize::from(len.unwrap_or(30));
    let mut value: Vec<u8> = match rng.below(6) {
        0 => Vec::new(),
        1 => b"a".to_vec(),
        2 => b"a\0\0".to_vec(),
        3 => vec![0xff; len],
        4 => vec![u8::try_from(rng.below(40)).unwrap() + 48],
        _ => (0..rng.between(1, 4)).map(|_| u8::try_from(rng.below(256)).unwrap()).collect(),
    };
    value.truncate(len);
    if fixed && rng.chance(50) {
        value.resize(len, 0);
    }
    hex(&value)
}

fn datetime(rng: &Rng, wild: bool, wide: bool) -> String {
    if wild && (wide || rng.chance(20)) {
        return text(rng.one(&WILD_DATETIMES));
    }
    if rng.chance(50) {
        return text(&format!(
            "2024-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
            rng.between(1, 12),
            rng.between(1, 28),
            rng.below(24),
            rng.below(60),
            rng.below(60),
            rng.below(1_000_000)
        ));
    }
    text(rng.one(&DATETIMES))
}

fn geometry(rng: &Rng, name: &str) -> String {
    let (x, y) = (rng.between(-3, 9), rng.between(0, 9));
    let text = match (name, rng.below(3)) {
        ("LINESTRING", _) | ("GEOMETRY", 1) => format!("LINESTRING(0 0, {x} {y}.5)"),
        ("POLYGON", _) | ("GEOMETRY", 2) => format!("POLYGON((0 0, 0 5, {x} 9, 0 0))"),
        _ => format!("POINT({x}.25 {y})"),
    };
    format!("ST_GeomFromText('{text}')")
}
