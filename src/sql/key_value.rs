//! The types a key column may have: how the server writes a value of each into a row image, and
//! how to write that value as a literal which the server compares as it compares the column.
//!
//! Packed formats: <https://dev.mysql.com/doc/dev/mysql-server/latest/> (`decimal2bin`,
//! `my_datetime_packed_to_binary` and their siblings); the two servers share them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::literal;
use crate::error::{Error, ErrorKind};

/// The type of a key column, as far as its values are concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyType {
    /// TINYINT to BIGINT. The row event does not say whether it is unsigned, so the schema must.
    Int {
        unsigned: bool,
    },
    /// DECIMAL(precision, scale)
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Date,
    Time {
        fsp: u8,
    },
    Datetime {
        fsp: u8,
    },
    Timestamp {
        fsp: u8,
    },
    /// CHAR and VARCHAR, in the column's own charset.
    Text {
        charset: String,
    },
    /// BINARY and VARBINARY. The row image drops the trailing zeros of a BINARY(n).
    Binary {
        pad_to: Option<usize>,
    },
    /// ENUM and SET, compared by their number.
    Ordinal,
    Bit,
    /// MariaDB's UUID, INET6 and INET4.
    Uuid,
    Inet6,
    Inet4,
}

/// A row image that does not hold what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key value in the row image is malformed")]
pub(crate) struct Malformed;

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Error::new(ErrorKind::Binlog, error.to_string()).with_source(error)
    }
}

impl KeyType {
    /// Whether two values are the same row to the server exactly if their bytes are the same.
    /// Not so for text: 'a' = 'A' under most collations.
    pub(crate) fn is_exact(&self) -> bool {
        !matches!(self, KeyType::Text { .. })
    }

    /// How to select the column so that [`literal_of_selected`](Self::literal_of_selected) can
    /// turn the answer into a literal.
    pub(crate) fn select_expr(&self, column: &str) -> String {
        match self {
            KeyType::Text { .. } | KeyType::Binary { .. } => format!("HEX({column})"),
            // Not `+ 0`, which of a SET makes a double.
            KeyType::Ordinal | KeyType::Bit => format!("CAST({column} AS UNSIGNED)"),
            _ => column.to_owned(),
        }
    }

    /// The expression that shows a value to people.
    pub(crate) fn readable_expr(&self, column: &str) -> String {
        match self {
            KeyType::Int { .. } | KeyType::Decimal { .. } | KeyType::Year => column.to_owned(),
            KeyType::Binary { .. } => format!("'0x', HEX({column})"),
            KeyType::Bit => format!("CAST({column} AS UNSIGNED)"),
            KeyType::Text { .. } | KeyType::Ordinal => {
                format!("QUOTE(CONVERT({column} USING utf8mb4))")
            }
            _ => format!("QUOTE({column})"),
        }
    }

    /// The literal for a value that came from [`select_expr`](Self::select_expr). Whatever else came, is a string.
    pub(crate) fn literal_of_selected(&self, text: &str) -> String {
        match self {
            KeyType::Int { .. } | KeyType::Decimal { .. } | KeyType::Ordinal | KeyType::Bit
                if literal::is_number(text) =>
            {
                text.to_owned()
            }
            KeyType::Text { charset } if literal::is_digits(text) => {
                format!("{}X'{text}'", introducer(charset))
            }
            KeyType::Binary { .. } if literal::is_digits(text) => format!("X'{text}'"),
            // As it is written for a row image: the server has a form of its own for `::1.2.3.4`.
            KeyType::Inet6 => match text.parse::<Ipv6Addr>() {
                Ok(address) => format!("'{address}'"),
                Err(_) => literal::text(text),
            },
            _ => literal::text(text),
        }
    }

    /// Writes the literal for a value as it stands in a row image (without its length prefix;
    /// integers widened to eight bytes, binary values padded).
    pub(crate) fn write_literal(&self, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
        match self {
            KeyType::Int { unsigned } => {
                let value = u64::from_le_bytes(raw.try_into().map_err(|_| Malformed)?);
                write_int(value, *unsigned, out);
            }
            KeyType::Decimal { precision, scale } => decimal(raw, *precision, *scale, out)?,
            KeyType::Year => {
                let [value] = raw else { return Err(Malformed) };
                // As a string: the number 0 would be compared as 2000.
                let year = if *value == 0 { 0 } else { 1900 + u16::from(*value) };
                push(out, format_args!("'{year:04}'"));
            }
            KeyType::Date => {
                let v = little_endian(raw, 3)?;
                push(out, format_args!("'{:04}-{:02}-{:02}'", v >> 9, (v >> 5) & 15, v & 31));
            }
            KeyType::Time { fsp } => time(raw, *fsp, out)?,
            KeyType::Datetime { fsp } => {
                let (head, fraction) = raw.split_at_checked(5).ok_or(Malformed)?;
                let packed = big_endian(head).checked_sub(0x80_0000_0000).ok_or(Malformed)?;
                let (ymd, hms) = (packed >> 17, packed & 0x1_ffff);
                let (year, month, day) = ((ymd >> 5) / 13, (ymd >> 5) % 13, ymd & 31);
                push(out, format_args!("'{year:04}-{month:02}-{day:02} "));
                push(out, format_args!("{:02}:{:02}:{:02}", hms >> 12, (hms >> 6) & 63, hms & 63));
                write_fraction(fraction, *fsp, out)?;
                out.push('\'');
            }
            KeyType::Timestamp { fsp } => {
                let (head, fraction) = raw.split_at_checked(4).ok_or(Malformed)?;
                out.push('\'');
                write_utc(big_endian(head), out);
                write_fraction(fraction, *fsp, out)?;
                out.push('\'');
            }
            KeyType::Text { charset } => {
                out.push_str(&introducer(charset));
                out.push_str(&literal::hex(raw));
            }
            KeyType::Binary { .. } => out.push_str(&literal::hex(raw)),
            KeyType::Ordinal => push(out, format_args!("{}", little_endian(raw, 8)?)),
            KeyType::Bit if raw.len() <= 8 => push(out, format_args!("{}", big_endian(raw))),
            KeyType::Bit => return Err(Malformed),
            KeyType::Uuid => {
                let bytes: [u8; 16] = raw.try_into().map_err(|_| Malformed)?;
                let v = u128::from_be_bytes(bytes);
                push(out, format_args!("'{:08x}-{:04x}-", v >> 96, (v >> 80) & 0xffff));
                push(out, format_args!("{:04x}-{:04x}-", (v >> 64) & 0xffff, (v >> 48) & 0xffff));
                push(out, format_args!("{:012x}'", v & 0xffff_ffff_ffff));
            }
            KeyType::Inet6 => {
                let bytes: [u8; 16] = raw.try_into().map_err(|_| Malformed)?;
                push(out, format_args!("'{}'", Ipv6Addr::from(bytes)));
            }
            KeyType::Inet4 => {
                let bytes: [u8; 4] = raw.try_into().map_err(|_| Malformed)?;
                push(out, format_args!("'{}'", Ipv4Addr::from(bytes)));
            }
        }
        Ok(())
    }
}

pub(crate) fn write_int(value: u64, unsigned: bool, out: &mut String) {
    if unsigned {
        push(out, format_args!("{value}"));
    } else {
        push(out, format_args!("{}", i64::from_le_bytes(value.to_le_bytes())));
    }
}

fn introducer(charset: &str) -> String {
    if charset == "binary" { String::new() } else { format!("_{charset} ") }
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(args);
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn little_endian(bytes: &[u8], at_most: usize) -> Result<u64, Malformed> {
    if bytes.is_empty() || bytes.len() > at_most {
        return Err(Malformed);
    }
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Microseconds of a fraction that is stored in (fsp + 1) / 2 bytes.
fn micros(bytes: &[u8], fsp: u8) -> Result<u64, Malformed> {
    if bytes.len() != usize::from(fsp.div_ceil(2)) || fsp > 6 {
        return Err(Malformed);
    }
    Ok(big_endian(bytes) * 100_u64.pow(u32::from(3 - fsp.div_ceil(2))))
}

fn write_fraction(bytes: &[u8], fsp: u8, out: &mut String) -> Result<(), Malformed> {
    write_micros(micros(bytes, fsp)?, fsp, out);
    Ok(())
}

fn write_micros(micros: u64, fsp: u8, out: &mut String) {
    if fsp > 0 {
        let digits = micros / 10_u64.pow(u32::from(6 - fsp.min(6)));
        push(out, format_args!(".{digits:0width$}", width = usize::from(fsp)));
    }
}

fn time(raw: &[u8], fsp: u8, out: &mut String) -> Result<(), Malformed> {
    let fraction = raw.get(3..).ok_or(Malformed)?;
    micros(fraction, fsp)?;
    // The whole is one biased number whose low part is the fraction, so that a negative time
    // borrows from its seconds.
    let bits = 8 * fraction.len();
    let (value, zero) = (big_endian(raw), 0x80_0000_u64 << bits);
    let sign = if value < zero { "-" } else { "" };
    let packed = value.abs_diff(zero);
    let (hms, part) = (packed >> bits, packed & ((1 << bits) - 1));
    let micros = part * 100_u64.pow(u32::from(3 - fsp.div_ceil(2)));
    push(out, format_args!("'{sign}{:02}:", (hms >> 12) & 0x3ff));
    push(out, format_args!("{:02}:{:02}", (hms >> 6) & 63, hms & 63));
    write_micros(micros, fsp, out);
    out.push('\'');
    Ok(())
}

/// Seconds since 1970 in UTC, as every session of ours runs at `+00:00`. Zero is the zero date.
fn write_utc(seconds: u64, out: &mut String) {
    if seconds == 0 {
        out.push_str("0000-00-00 00:00:00");
        return;
    }
    // Days to a civil date, counting years from March so that the leap day comes last.
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    push(out, format_args!("{year:04}-{month:02}-{day:02} "));
    push(out, format_args!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60));
}

fn decimal(raw: &[u8], precision: u8, scale: u8, out: &mut String) -> Result<(), Malformed> {
    const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let bytes_of = |digits: usize| BYTES.get(digits).copied().unwrap_or(4);
    let integer = usize::from(precision.checked_sub(scale).ok_or(Malformed)?);
    let mut bytes = raw.to_vec();
    let first = bytes.first_mut().ok_or(Malformed)?;
    let negative = *first & 0x80 == 0;
    *first ^= 0x80;
    if negative {
        for byte in &mut bytes {
            *byte = !*byte;
        }
        out.push('-');
    }
    // Groups of nine digits in four bytes; the odd group comes first before the point, last after.
    let mut rest = bytes.as_slice();
    let mut digits = |count: usize, out: &mut String| -> Result<(), Malformed> {
        let (group, tail) = rest.split_at_checked(bytes_of(count)).ok_or(Malformed)?;
        rest = tail;
        if count > 0 {
            push(out, format_args!("{:0count$}", big_endian(group)));
        }
        Ok(())
    };
    let mut whole = String::new();
    digits(integer % 9, &mut whole)?;
    for _ in 0..integer / 9 {
        digits(9, &mut whole)?;
    }
    let whole = whole.trim_start_matches('0');
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        out.push('.');
        for _ in 0..scale / 9 {
            digits(9, out)?;
        }
        digits(usize::from(scale % 9), out)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(ty: &KeyType, raw: &[u8]) -> String {
        let mut out = String::new();
        ty.write_literal(raw, &mut out).unwrap();
        out
    }

    #[test]
    fn integers() {
        let minus_one = u64::MAX.to_le_bytes();
        assert_eq!(literal(&KeyType::Int { unsigned: false }, &minus_one), "-1");
        assert_eq!(literal(&KeyType::Int { unsigned: true }, &minus_one), "18446744073709551615");
    }

    #[test]
    fn decimals() {
        let ty = KeyType::Decimal { precision: 14, scale: 4 };
        // The manual's example: 1234567890.1234
        let raw = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(literal(&ty, &raw), "1234567890.1234");
        let negative: Vec<u8> = raw.iter().map(|b| !b).collect();
        assert_eq!(literal(&ty, &negative), "-1234567890.1234");
        assert_eq!(literal(&KeyType::Decimal { precision: 3, scale: 3 }, &[0x80, 0x05]), "0.005");
        assert!(ty.write_literal(&raw[1..], &mut String::new()).is_err());
    }

    /// What a server selected is written into the next statement.
    #[test]
    fn what_was_selected_is_one_literal() {
        let int = KeyType::Int { unsigned: false };
        let text = KeyType::Text { charset: "utf8mb4".to_owned() };
        for good in ["0", "-12", "18446744073709551615", "-0.50"] {
            assert_eq!(int.literal_of_selected(good), good);
        }
        for bad in ["", "-", "1 OR 1", "1.", ".5", "1e5", "--1", "0x1F"] {
            assert!(int.literal_of_selected(bad).ends_with('\''), "{bad}");
        }
        assert_eq!(text.literal_of_selected("C3a9"), "_utf8mb4 X'C3a9'");
        assert_eq!(text.literal_of_selected("C3' OR '"), "_utf8mb4 X'433327204F522027'");
        let binary = KeyType::Binary { pad_to: None };
        assert_eq!(binary.literal_of_selected("000"), "'000'");
    }

    #[test]
    fn temporals() {
        assert_eq!(literal(&KeyType::Date, &[0x41, 0xd1, 0x0f]), "'2024-10-01'");
        assert_eq!(
            literal(&KeyType::Timestamp { fsp: 0 }, &[0x65, 0x94, 0x03, 0xe5]),
            "'2024-01-02 12:39:01'"
        );
        assert_eq!(literal(&KeyType::Timestamp { fsp: 0 }, &[0; 4]), "'0000-00-00 00:00:00'");
        assert_eq!(
            literal(&KeyType::Timestamp { fsp: 3 }, &[0xff, 0xff, 0xff, 0xff, 0x26, 0xac]),
            "'2106-02-07 06:28:15.990'"
        );
        // -00:00:01.50 in TIME(2)
        assert_eq!(literal(&KeyType::Time { fsp: 2 }, &[0x7f, 0xff, 0xfe, 0xce]), "'-00:00:01.50'");
        assert_eq!(literal(&KeyType::Time { fsp: 0 }, &[0x80, 0x10, 0x83]), "'01:02:03'");
        assert_eq!(
            literal(&KeyType::Datetime { fsp: 0 }, &[0x80, 0, 0, 0, 0]),
            "'0000-00-00 00:00:00'"
        );
        assert_eq!(
            literal(
                &KeyType::Datetime { fsp: 6 },
                &[0x99, 0xb2, 0x42, 0x10, 0x83, 0x0f, 0x42, 0x3f]
            ),
            "'2024-01-01 01:02:03.999999'"
        );
        assert_eq!(literal(&KeyType::Year, &[0]), "'0000'");
        assert_eq!(literal(&KeyType::Year, &[124]), "'2024'");
    }

    #[test]
    fn strings_and_numbers_in_disguise() {
        let latin1 = KeyType::Text { charset: "latin1".into() };
        assert_eq!(literal(&latin1, &[0xe9]), "_latin1 X'E9'");
        assert_eq!(latin1.literal_of_selected("E9"), "_latin1 X'E9'");
        assert_eq!(literal(&KeyType::Binary { pad_to: Some(2) }, &[1, 0]), "X'0100'");
        assert_eq!(literal(&KeyType::Ordinal, &[3, 1]), "259");
        assert_eq!(literal(&KeyType::Bit, &[1, 0]), "256");
        assert_eq!(
            literal(&KeyType::Uuid, &(0..16).collect::<Vec<u8>>()),
            "'00010203-0405-0607-0809-0a0b0c0d0e0f'"
        );
        assert_eq!(literal(&KeyType::Inet4, &[10, 0, 0, 1]), "'10.0.0.1'");
    }

    #[test]
    fn malformed_values_are_errors() {
        for ty in [KeyType::Year, KeyType::Date, KeyType::Uuid, KeyType::Datetime { fsp: 6 }] {
            assert!(ty.write_literal(&[], &mut String::new()).is_err(), "{ty:?}");
        }
    }
}
