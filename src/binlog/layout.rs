//! The layout of a row image, from the TABLE_MAP event in front of it.

use super::bytes::{Bytes, Malformed};
use crate::sql::KeyType;

/// The type codes of columns in the binlog.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html>; 140 and 141 are
/// MariaDB's COMPRESSED columns.
mod code {
    pub(super) const TINY: u8 = 1;
    pub(super) const SHORT: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const NULL: u8 = 6;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const LONGLONG: u8 = 8;
    pub(super) const INT24: u8 = 9;
    pub(super) const DATE: u8 = 10;
    pub(super) const TIME: u8 = 11;
    pub(super) const DATETIME: u8 = 12;
    pub(super) const YEAR: u8 = 13;
    pub(super) const NEWDATE: u8 = 14;
    pub(super) const VARCHAR: u8 = 15;
    pub(super) const BIT: u8 = 16;
    pub(super) const TIMESTAMP2: u8 = 17;
    pub(super) const DATETIME2: u8 = 18;
    pub(super) const TIME2: u8 = 19;
    pub(super) const BLOB_COMPRESSED: u8 = 140;
    pub(super) const VARCHAR_COMPRESSED: u8 = 141;
    pub(super) const VECTOR: u8 = 242;
    pub(super) const JSON: u8 = 245;
    pub(super) const NEWDECIMAL: u8 = 246;
    pub(super) const ENUM: u8 = 247;
    pub(super) const SET: u8 = 248;
    pub(super) const TINY_BLOB: u8 = 249;
    pub(super) const MEDIUM_BLOB: u8 = 250;
    pub(super) const LONG_BLOB: u8 = 251;
    pub(super) const BLOB: u8 = 252;
    pub(super) const VAR_STRING: u8 = 253;
    pub(super) const STRING: u8 = 254;
    pub(super) const GEOMETRY: u8 = 255;
}

/// How many bytes a value takes in a row image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Fixed(usize),
    /// The value stands behind its length, which takes this many bytes.
    Prefixed(usize),
}

/// A column in a row image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageColumn {
    /// The type, with CHAR, ENUM and SET told apart.
    code: u8,
    meta: u16,
    pub(crate) width: Width,
}

impl ImageColumn {
    pub(crate) fn is_json(self) -> bool {
        self.code == code::JSON
    }

    fn new(raw_code: u8, meta: &mut Bytes<'_>) -> Result<Self, Malformed> {
        use Width::{Fixed, Prefixed};
        let fraction = |meta: u64| usize::try_from(meta.div_ceil(2)).unwrap_or(3);
        let mut code = raw_code;
        let (meta, width) = match raw_code {
            code::TINY | code::YEAR => (0, Fixed(1)),
            code::SHORT => (0, Fixed(2)),
            code::INT24 | code::DATE | code::NEWDATE | code::TIME => (0, Fixed(3)),
            code::LONG | code::TIMESTAMP => (0, Fixed(4)),
            code::LONGLONG | code::DATETIME => (0, Fixed(8)),
            code::NULL => (0, Fixed(0)),
            code::FLOAT | code::DOUBLE => {
                let size = meta.number(1)?;
                (size, Fixed(if raw_code == code::FLOAT { 4 } else { 8 }))
            }
            code::TIMESTAMP2 | code::DATETIME2 | code::TIME2 => {
                let fsp = meta.number(1)?;
                if fsp > 6 {
                    return Err(Malformed("more than six fractional digits"));
                }
                let whole = match raw_code {
                    code::TIMESTAMP2 => 4,
                    code::DATETIME2 => 5,
                    _ => 3,
                };
                (fsp, Fixed(whole + fraction(fsp)))
            }
            code::NEWDECIMAL => {
                let (precision, scale) = (meta.u8()?, meta.u8()?);
                let integer =
                    precision.checked_sub(scale).ok_or(Malformed("a negative precision"))?;
                let bytes = |digits: u8| usize::from(digits / 9 * 4 + (digits % 9).div_ceil(2));
                let packed = u64::from(precision) | u64::from(scale) << 8;
                (packed, Fixed(bytes(integer) + bytes(scale)))
            }
            code::BIT => {
                let (bits, whole) = (meta.u8()?, meta.u8()?);
                (0, Fixed(usize::from(whole) + usize::from(bits > 0)))
            }
            code::VARCHAR | code::VAR_STRING | code::VARCHAR_COMPRESSED => {
                let longest = meta.number(2)?;
                (longest, Prefixed(if longest < 256 { 1 } else { 2 }))
            }
            code::BLOB
            | code::TINY_BLOB
            | code::MEDIUM_BLOB
            | code::LONG_BLOB
            | code::GEOMETRY
            | code::JSON
            | code::VECTOR
            | code::BLOB_COMPRESSED => {
                let prefix = meta.length(1)?;
                if !(1..=4).contains(&prefix) {
                    return Err(Malformed("a blob with an impossible length"));
                }
                (0, Prefixed(prefix))
            }
            code::STRING | code::ENUM | code::SET => {
                let (first, second) = (meta.u8()?, meta.u8()?);
                // The two high bits of a long CHAR's length are hidden, inverted, in its type.
                let (real, longest) = if first & 0x30 == 0x30 {
                    (first, usize::from(second))
                } else {
                    let high = usize::from((first & 0x30) ^ 0x30) << 4;
                    (first | 0x30, usize::from(second) | high)
                };
                if real == code::ENUM || real == code::SET {
                    code = real;
                    (0, Fixed(longest))
                } else {
                    let longest64 = u64::try_from(longest).unwrap_or(u64::MAX);
                    (longest64, Prefixed(if longest < 256 { 1 } else { 2 }))
                }
            }
            _ => return Err(Malformed("a column of an unknown type")),
        };
        let meta = u16::try_from(meta).map_err(|_| Malformed("column metadata out of range"))?;
        Ok(ImageColumn { code, meta, width })
    }

    /// Whether values of this column are what the schema says of the key column.
    fn holds(self, ty: &KeyType) -> bool {
        use code::{DATE, DATETIME2, INT24, LONG, LONGLONG, NEWDATE, NEWDECIMAL, SHORT, TIME2};
        use code::{STRING, TIMESTAMP2, TINY, VAR_STRING, VARCHAR, YEAR};
        let fsp = |expected: &u8| self.meta == u16::from(*expected);
        match ty {
            KeyType::Int { .. } => [TINY, SHORT, INT24, LONG, LONGLONG].contains(&self.code),
            KeyType::Decimal { precision, scale } => {
                let meta = u16::from(*precision) | u16::from(*scale) << 8;
                self.code == NEWDECIMAL && self.meta == meta
            }
            KeyType::Year => self.code == YEAR,
            KeyType::Date => [DATE, NEWDATE].contains(&self.code),
            KeyType::Time { fsp: expected } => self.code == TIME2 && fsp(expected),
            KeyType::Datetime { fsp: expected } => self.code == DATETIME2 && fsp(expected),
            KeyType::Timestamp { fsp: expected } => self.code == TIMESTAMP2 && fsp(expected),
            KeyType::Text { .. }
            | KeyType::Binary { .. }
            | KeyType::Uuid
            | KeyType::Inet6
            | KeyType::Inet4 => [VARCHAR, VAR_STRING, STRING].contains(&self.code),
            KeyType::Ordinal => [code::ENUM, code::SET].contains(&self.code),
            KeyType::Bit => self.code == code::BIT,
        }
    }
}

/// A key column of a table that the stream watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPart {
    /// Its place among the table's columns, from 0.
    pub(crate) column: usize,
    pub(crate) ty: KeyType,
}

/// A table that the stream watches, as the schema describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchedTable {
    /// How many columns its row images have.
    pub(crate) columns: usize,
    /// The columns of the chosen key, in the key's order.
    pub(crate) key: Vec<KeyPart>,
}

/// The layout of a watched table's row images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<ImageColumn>,
}

/// A TABLE_MAP event, borrowed.
#[derive(Debug)]
pub(crate) struct TableMap<'a> {
    pub(crate) table_id: u64,
    pub(crate) schema: &'a [u8],
    pub(crate) table: &'a [u8],
    rest: Bytes<'a>,
}

impl<'a> TableMap<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(data);
        let table_id = bytes.number(6)?;
        bytes.skip(2)?;
        let length = bytes.length(1)?;
        let schema = bytes.take(length)?;
        bytes.skip(1)?;
        let length = bytes.length(1)?;
        let table = bytes.take(length)?;
        bytes.skip(1)?;
        Ok(TableMap { table_id, schema, table, rest: bytes })
    }

    /// The layout, if it is the one that the schema promises; the reason, if not.
    pub(crate) fn layout(&self, expected: &WatchedTable) -> Result<Layout, String> {
        let columns = self.columns().map_err(|error| error.to_string())?;
        if columns.len() != expected.columns {
            return Err(format!(
                "its rows have {} columns now, and it had {} when the run began",
                columns.len(),
                expected.columns
            ));
        }
        for part in &expected.key {
            if !columns.get(part.column).is_some_and(|column| column.holds(&part.ty)) {
                return Err(format!("its key column {} has another type now", part.column + 1));
            }
        }
        Ok(Layout { columns })
    }

    fn columns(&self) -> Result<Vec<ImageColumn>, Malformed> {
        let mut bytes = self.rest;
        let count = bytes.packed()?;
        let codes = bytes.take(count)?;
        let length = bytes.packed()?;
        let mut meta = Bytes(bytes.take(length)?);
        codes.iter().map(|code| ImageColumn::new(*code, &mut meta)).collect()
    }
}
