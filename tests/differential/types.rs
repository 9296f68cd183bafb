//! Column types: which there are, and what an ALTER may make of one.

use online_alter_support::Flavor;

use crate::names::text;
use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collation {
    pub(crate) charset: &'static str,
    pub(crate) name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    Int {
        name: &'static str,
        unsigned: bool,
        zerofill: bool,
    },
    Decimal {
        digits: u8,
        scale: u8,
        unsigned: bool,
    },
    Float {
        unsigned: bool,
    },
    Double {
        unsigned: bool,
    },
    Bit(u8),
    /// CHAR and VARCHAR have a length.
    Text {
        name: &'static str,
        len: Option<u16>,
        collation: Collation,
    },
    /// BINARY and VARBINARY have a length.
    Bytes {
        name: &'static str,
        len: Option<u16>,
    },
    Enum {
        members: Vec<String>,
        collation: Collation,
    },
    Set {
        members: Vec<String>,
        collation: Collation,
    },
    Date,
    Time(u8),
    Datetime(u8),
    Timestamp(u8),
    Year,
    Json,
    Geometry(&'static str),
    Uuid,
    Inet6,
    Inet4,
    Vector(u8),
}

const COMMON: [(&str, &str); 20] = [
    ("utf8mb4", "utf8mb4_bin"),
    ("utf8mb4", "utf8mb4_general_ci"),
    ("utf8mb4", "utf8mb4_general_ci"),
    ("utf8mb4", "utf8mb4_unicode_ci"),
    ("utf8mb4", "utf8mb4_unicode_520_ci"),
    ("utf8mb4", "utf8mb4_german2_ci"),
    ("utf8mb3", "utf8mb3_general_ci"),
    ("utf8mb3", "utf8mb3_bin"),
    ("latin1", "latin1_swedish_ci"),
    ("latin1", "latin1_bin"),
    ("latin1", "latin1_general_cs"),
    ("latin1", "latin1_german2_ci"),
    ("gbk", "gbk_chinese_ci"),
    ("gbk", "gbk_bin"),
    ("ascii", "ascii_general_ci"),
    ("ascii", "ascii_bin"),
    ("ucs2", "ucs2_general_ci"),
    ("utf16", "utf16_unicode_ci"),
    ("utf32", "utf32_bin"),
    ("cp1251", "cp1251_general_ci"),
];
const MYSQL: [(&str, &str); 6] = [
    ("utf8mb4", "utf8mb4_0900_ai_ci"),
    ("utf8mb4", "utf8mb4_0900_ai_ci"),
    ("utf8mb4", "utf8mb4_0900_as_cs"),
    ("utf8mb4", "utf8mb4_0900_bin"),
    ("utf8mb4", "utf8mb4_ja_0900_as_cs"),
    ("gb18030", "gb18030_chinese_ci"),
];
const MARIADB: [(&str, &str); 3] = [
    ("utf8mb4", "utf8mb4_nopad_bin"),
    ("utf8mb4", "utf8mb4_unicode_nopad_ci"),
    ("latin1", "latin1_swedish_nopad_ci"),
];

pub(crate) fn collation(rng: &Rng, flavor: Flavor) -> Collation {
    let own: &[_] = if flavor.is_mariadb() { &MARIADB } else { &MYSQL };
    let (charset, name) = if rng.chance(25) { rng.one(own) } else { rng.one(&COMMON) };
    Collation { charset, name }
}

pub(crate) const INTS: [&str; 5] = ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"];
pub(crate) const TEXTS: [&str; 4] = ["TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"];
const BLOBS: [&str; 4] = ["TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"];
const GEOMETRIES: [&str; 4] = ["POINT", "LINESTRING", "POLYGON", "GEOMETRY"];
const MEMBERS: [&str; 10] = ["a", "b", "c", "x y", "", "it's", "A1", "0", "zz", "é"];

pub(crate) fn int(rng: &Rng) -> Ty {
    Ty::Int { name: rng.one(&INTS), unsigned: rng.chance(40), zerofill: rng.chance(4) }
}

pub(crate) fn decimal(rng: &Rng) -> Ty {
    let digits = u8::try_from(rng.between(1, if rng.chance(10) { 65 } else { 20 })).unwrap();
    let scale = u8::try_from(rng.between(0, i64::from(digits.min(30)).min(8))).unwrap();
    Ty::Decimal { digits, scale, unsigned: rng.chance(15) }
}

pub(crate) fn chars(rng: &Rng, flavor: Flavor) -> Ty {
    let collation = collation(rng, flavor);
    let len = rng.one(&[1, 3, 8, 10, 20, 20, 40, 64, 100, 190]);
    match rng.below(10) {
        0..3 => Ty::Text { name: "CHAR", len: Some(len), collation },
        3..8 => Ty::Text { name: "VARCHAR", len: Some(len), collation },
        _ => Ty::Text { name: rng.one(&TEXTS), len: None, collation },
    }
}

pub(crate) fn bytes(rng: &Rng) -> Ty {
    let len = rng.one(&[1, 4, 8, 16, 16, 40]);
    match rng.below(10) {
        0..4 => Ty::Bytes { name: "BINARY", len: Some(len) },
        4..8 => Ty::Bytes { name: "VARBINARY", len: Some(len) },
        _ => Ty::Bytes { name: rng.one(&BLOBS), len: None },
    }
}

fn members(rng: &Rng) -> Vec<String> {
    let mut members: Vec<String> = Vec::new();
    for _ in 0..rng.between(1, 6) {
        let member = (rng.one(&MEMBERS)).to_owned();
        if !members.contains(&member) {
            members.push(member);
        }
    }
    members
}

pub(crate) fn enumeration(rng: &Rng, flavor: Flavor) -> Ty {
    let (mut members, collation) = (members(rng), collation(rng, flavor));
    if collation.charset == "ascii" || collation.charset == "cp1251" {
        members.retain(|m| m.is_ascii());
        members.push("m".to_owned());
    }
    Ty::Enum { members, collation }
}

fn set(rng: &Rng, flavor: Flavor) -> Ty {
    match enumeration(rng, flavor) {
        Ty::Enum { members, collation } => {
            let members: Vec<String> = members.into_iter().filter(|m| !m.is_empty()).collect();
            if members.is_empty() {
                return Ty::Set { members: vec!["a".into()], collation };
            }
            Ty::Set { members, collation }
        }
        other => other,
    }
}

pub(crate) fn fraction(rng: &Rng) -> u8 {
    rng.one(&[0, 0, 0, 1, 2, 3, 6, 6])
}

pub(crate) fn temporal(rng: &Rng) -> Ty {
    match rng.below(6) {
        0 => Ty::Date,
        1 => Ty::Time(fraction(rng)),
        2 | 3 => Ty::Datetime(fraction(rng)),
        4 => Ty::Timestamp(fraction(rng)),
        _ => Ty::Year,
    }
}

fn of_one_server(rng: &Rng, flavor: Flavor) -> Ty {
    match flavor {
        Flavor::Mysql => Ty::Vector(rng.one(&[1, 3, 5])),
        _ => [Ty::Uuid, Ty::Inet6, Ty::Inet4][rng.below(3)].clone(),
    }
}

/// Any type.
pub(crate) fn any(rng: &Rng, flavor: Flavor) -> Ty {
    match rng.below(100) {
        0..22 => int(rng),
        22..30 => decimal(rng),
        30..34 => Ty::Float { unsigned: rng.chance(10) },
        34..38 => Ty::Double { unsigned: rng.chance(10) },
        38..41 => Ty::Bit(rng.one(&[1, 3, 8, 20, 64])),
        41..62 => chars(rng, flavor),
        62..69 => bytes(rng),
        69..74 => enumeration(rng, flavor),
        74..78 => set(rng, flavor),
        78..90 => temporal(rng),
        90..94 => Ty::Json,
        94..97 => Ty::Geometry(rng.one(&GEOMETRIES)),
        _ => of_one_server(rng, flavor),
    }
}

/// A type that can be a key.
pub(crate) fn for_key(rng: &Rng, flavor: Flavor) -> Ty {
    loop {
        let ty = match rng.below(100) {
            0..45 => int(rng),
            45..52 => decimal(rng),
            52..55 => Ty::Bit(20),
            55..72 => chars(rng, flavor),
            72..80 => bytes(rng),
            80..84 => enumeration(rng, flavor),
            84..86 => set(rng, flavor),
            86..97 => temporal(rng),
            _ => of_one_server(rng, flavor),
        };
        if ty.can_be_key() {
            return ty;
        }
    }
}

impl Ty {
    pub(crate) fn can_be_key(&self) -> bool {
        match self {
            Ty::Text { len, .. } => len.is_some_and(|len| len <= 190),
            Ty::Bytes { len, .. } => len.is_some(),
            Ty::Json | Ty::Geometry(_) | Ty::Vector(_) | Ty::Float { .. } | Ty::Double { .. } => {
                false
            }
            _ => true,
        }
    }

    pub(crate) fn is_int(&self) -> bool {
        matches!(self, Ty::Int { .. })
    }

    /// The largest number it holds.
    pub(crate) fn most(&self) -> Option<u64> {
        let Ty::Int { name, unsigned, .. } = self else { return None };
        let bits = [8, 16, 24, 32, 64][INTS.iter().position(|n| n == name)?];
        Some(u64::MAX >> (64 - bits + u32::from(!unsigned)))
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Ty::Text { .. })
    }

    /// Whether MySQL takes a default for it only as an expression.
    pub(crate) fn is_big(&self) -> bool {
        matches!(
            self,
            Ty::Text { len: None, .. }
                | Ty::Bytes { len: None, .. }
                | Ty::Json
                | Ty::Geometry(_)
                | Ty::Vector(_)
        )
    }

    /// Whether an index on it needs a prefix.
    pub(crate) fn needs_prefix(&self) -> bool {
        matches!(self, Ty::Text { len: None, .. } | Ty::Bytes { len: None, .. })
    }

    pub(crate) fn can_have_prefix(&self) -> bool {
        matches!(self, Ty::Text { .. } | Ty::Bytes { .. })
    }

    pub(crate) fn sql(&self) -> String {
        let unsigned = |yes: &bool| if *yes { " UNSIGNED" } else { "" };
        let fraction = |fsp: &u8| if *fsp == 0 { String::new() } else { format!("({fsp})") };
        let length = |len: &Option<u16>| len.map(|len| format!("({len})")).unwrap_or_default();
        let of = |c: &Collation| format!(" CHARACTER SET {} COLLATE {}", c.charset, c.name);
        let list =
            |members: &[String]| members.iter().map(|m| text(m)).collect::<Vec<_>>().join(",");
        match self {
            Ty::Int { name, unsigned: u, zerofill } => {
                format!("{name}{}{}", unsigned(u), if *zerofill { " ZEROFILL" } else { "" })
            }
            Ty::Decimal { digits, scale, unsigned: u } => {
                format!("DECIMAL({digits},{scale}){}", unsigned(u))
            }
            Ty::Float { unsigned: u } => format!("FLOAT{}", unsigned(u)),
            Ty::Double { unsigned: u } => format!("DOUBLE{}", unsigned(u)),
            Ty::Bit(n) => format!("BIT({n})"),
            Ty::Text { name, len, collation } => format!("{name}{}{}", length(len), of(collation)),
            Ty::Bytes { name, len } => format!("{name}{}", length(len)),
            Ty::Enum { members, collation } => format!("ENUM({}){}", list(members), of(collation)),
            Ty::Set { members, collation } => format!("SET({}){}", list(members), of(collation)),
            Ty::Date => "DATE".to_owned(),
            Ty::Time(fsp) => format!("TIME{}", fraction(fsp)),
            Ty::Datetime(fsp) => format!("DATETIME{}", fraction(fsp)),
            Ty::Timestamp(fsp) => format!("TIMESTAMP{}", fraction(fsp)),
            Ty::Year => "YEAR".to_owned(),
            Ty::Json => "JSON".to_owned(),
            Ty::Geometry(name) => (*name).to_owned(),
            Ty::Uuid => "UUID".to_owned(),
            Ty::Inet6 => "INET6".to_owned(),
            Ty::Inet4 => "INET4".to_owned(),
            Ty::Vector(n) => format!("VECTOR({n})"),
        }
    }
}
