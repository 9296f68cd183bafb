//! TRANSACTION_PAYLOAD events: a transaction of MySQL with `binlog_transaction_compression`, whose events are within one.
//!
//! The bytes are read here and not by `mysql_common`, which panics at those that make no sense: only the inflating is left
//! to it. <https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html>

use std::io::{self, BufRead, Read as _};

use mysql::binlog::events::TransactionPayloadEvent;
use mysql_common::binlog::consts::TransactionPayloadCompressionType as Compression;

use super::bytes::{Bytes, Malformed};
use crate::error::Error;

/// Why not all of the events were gone through.
#[derive(Debug)]
pub(super) enum Ended {
    /// By what was called with one of them.
    By(Error),
    Unreadable(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Unreadable(error)
    }
}

impl From<Malformed> for Ended {
    fn from(error: Malformed) -> Self {
        Ended::Unreadable(io::Error::other(error))
    }
}

/// Calls `each` with the type, the flags and the body of every event within; the first error ends it.
pub(super) fn events(
    data: &[u8],
    mut each: impl FnMut(u8, u16, &[u8]) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let (compression, payload) = payload(data)?;
    let whole = TransactionPayloadEvent::new(0, compression, 0, payload);
    let mut reader = whole.decompressed()?;
    let mut body = Vec::new();
    while !reader.fill_buf()?.is_empty() {
        let mut head = [0; 19];
        reader.read_exact(&mut head)?;
        // When and by whom it was written, and where it ends, the event around it says.
        let [_, _, _, _, event_type, _, _, _, _, size @ .., _, _, _, _, low, high] = head;
        let length = u64::from(u32::from_le_bytes(size)).checked_sub(19);
        let length = length.ok_or(Malformed("shorter than its head"))?;
        body.clear();
        reader.by_ref().take(length).read_to_end(&mut body)?;
        if u64::try_from(body.len()) != Ok(length) {
            return Err(Malformed("too short").into());
        }
        each(event_type, u16::from_le_bytes([low, high]), &body)?;
    }
    Ok(())
}

/// How it is compressed, and what.
fn payload(data: &[u8]) -> Result<(Compression, &[u8]), Malformed> {
    let mut bytes = Bytes(data);
    let (mut size, mut compression) = (None, None);
    loop {
        match bytes.packed()? {
            0 => break,
            field => {
                let length = bytes.packed()?;
                let mut value = Bytes(bytes.take(length)?);
                match field {
                    1 => size = Some(value.packed()?),
                    2 => compression = Some(value.packed()?),
                    // Among them, 3: its size uncompressed.
                    _ => {}
                }
            }
        }
    }
    let compression = match compression.ok_or(Malformed("it does not say how it is compressed"))? {
        0 => Compression::ZSTD,
        255 => Compression::NONE,
        _ => return Err(Malformed("compressed in an unknown way")),
    };
    Ok((compression, bytes.take(size.ok_or(Malformed("it does not say its size"))?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Vec<(u8, u16, Vec<u8>)>, String> {
        let mut seen = Vec::new();
        let each = |event_type, flags, body: &[u8]| {
            seen.push((event_type, flags, body.to_vec()));
            Ok(())
        };
        events(data, each).map_err(|error| format!("{error:?}"))?;
        Ok(seen)
    }

    /// A field of a type that nobody knows, and an event with a body of three bytes behind one without any.
    fn plain() -> Vec<u8> {
        let head = |event_type: u8, size: u8| {
            [&[0; 4][..], &[event_type, 1, 0, 0, 0, size, 0, 0, 0, 9, 9, 9, 9, 0x80, 1]].concat()
        };
        let all = [head(16, 19), head(2, 22), b"abc".to_vec()].concat();
        let size = u8::try_from(all.len()).unwrap();
        [&[2, 3, 252, 255, 0, 9, 2, 1, 1, 1, 1, size, 0][..], &all].concat()
    }

    #[test]
    fn events_within_an_event() {
        let expected = vec![(16, 0x180, Vec::new()), (2, 0x180, b"abc".to_vec())];
        assert_eq!(read(&plain()), Ok(expected));
    }

    #[test]
    fn bytes_that_make_no_sense_are_an_error() {
        let with = |at: usize, byte: u8| {
            let mut data = plain();
            data[at] = byte;
            read(&data).unwrap_err()
        };
        // What it holds is longer than it is, and shorter than its head; no size; compressed otherwise; a field that goes
        // beyond the end.
        let error = with(13 + 19 + 9, 23);
        assert!(error.contains("too short"), "{error}");
        assert!(with(13 + 9, 18).contains("shorter than its head"));
        assert!(with(9, 9).contains("its size"));
        assert!(with(3, 7).contains("unknown way"));
        assert!(with(6, 200).contains("too short"));
        for end in 0..plain().len() {
            assert!(read(&plain()[..end]).is_err(), "{end}");
        }
    }
}
