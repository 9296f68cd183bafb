//! QUERY events: statements, as they stand in the binlog.

use super::bytes::{Bytes, Malformed};
use super::rows;
use crate::sql::tokens::Dialect;

/// A QUERY event.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) connection_id: u32,
    pub(super) schema: String,
    pub(super) text: String,
    /// The text is in the charset of the client, and that is not UTF-8.
    pub(super) foreign_charset: bool,
    pub(super) dialect: Dialect,
}

impl Query {
    /// Whether it is the one that every transaction begins with: told without an allocation.
    pub(super) fn is_begin(data: &[u8]) -> Result<bool, Malformed> {
        let mut bytes = Bytes(data);
        bytes.skip(4 + 4)?;
        let schema_length = bytes.length(1)?;
        bytes.skip(2)?;
        let status_length = bytes.length(2)?;
        bytes.skip(status_length + schema_length + 1)?;
        Ok(bytes.0 == b"BEGIN")
    }

    /// `extra` bytes of the post-header stand between the usual ones and the body.
    pub(super) fn parse(data: &[u8], extra: usize, compressed: bool) -> Result<Self, Malformed> {
        let mut bytes = Bytes(data);
        let connection_id = u32::try_from(bytes.number(4)?).unwrap_or(0);
        bytes.skip(4)?;
        let schema_length = bytes.length(1)?;
        bytes.skip(2)?;
        let status_length = bytes.length(2)?;
        bytes.skip(extra)?;
        let dialect = dialect(Bytes(bytes.take(status_length)?));
        let schema = String::from_utf8_lossy(bytes.take(schema_length)?).into_owned();
        bytes.skip(1)?;
        let text = if compressed { rows::inflate(bytes)? } else { bytes.0.to_vec() };
        let (text, foreign_charset) = match String::from_utf8(text) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        Ok(Query { connection_id, schema, text, foreign_charset, dialect })
    }
}

/// The SQL mode under which the statement ran: the second status variable, behind the flags.
fn dialect(mut status: Bytes<'_>) -> Dialect {
    const ANSI_QUOTES: u64 = 1 << 2;
    const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;
    let mut mode = 0;
    while let Ok(code) = status.u8() {
        match code {
            0 if status.skip(4).is_ok() => {}
            1 => {
                mode = status.number(8).unwrap_or(0);
                break;
            }
            _ => break,
        }
    }
    Dialect {
        ansi_quotes: mode & ANSI_QUOTES != 0,
        no_backslash_escapes: mode & NO_BACKSLASH_ESCAPES != 0,
    }
}
