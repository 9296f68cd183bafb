//! A row image: skipping over values until the wanted ones are found.

use super::bytes::{Bitmap, Bytes, Malformed, little_endian};
use super::layout::{ImageColumn, Layout, WatchedTable, Width};
use crate::sql::key::WideKey;
use crate::sql::{Key, KeyType};

/// Key values found in a row image; `None` where the image leaves the column out (or holds NULL,
/// which a key column never is).
pub(crate) type Found<'a> = [Option<&'a [u8]>];

/// Reads one row image and notes the values of the key columns.
///
/// `present` says which columns the image holds. A partial update has `partial` in front of its
/// after image: a bit per JSON column, set where the value is a diff, whose length is written just
/// like a whole value's.
pub(crate) fn read<'a>(
    bytes: &mut Bytes<'a>,
    layout: &Layout,
    present: Bitmap<'_>,
    table: &WatchedTable,
    found: &mut Found<'a>,
) -> Result<(), Malformed> {
    found.fill(None);
    let count = present.count(layout.columns.len());
    let nulls = Bitmap(bytes.take(count.div_ceil(8))?);
    let mut place = 0;
    for (i, column) in layout.columns.iter().enumerate() {
        if !present.get(i) {
            continue;
        }
        let null = nulls.get(place);
        place += 1;
        if null {
            continue;
        }
        let value = value(bytes, *column)?;
        for (part, slot) in table.key.iter().zip(found.iter_mut()) {
            if part.column == i {
                *slot = Some(value);
            }
        }
    }
    Ok(())
}

fn value<'a>(bytes: &mut Bytes<'a>, column: ImageColumn) -> Result<&'a [u8], Malformed> {
    let length = match column.width {
        Width::Fixed(length) => length,
        Width::Prefixed(prefix) => bytes.length(prefix)?,
    };
    bytes.take(length)
}

/// Passes over the bits in front of a partial update's after image.
pub(crate) fn skip_partial_bits(bytes: &mut Bytes<'_>, layout: &Layout) -> Result<(), Malformed> {
    const PARTIAL_JSON: usize = 1;
    if bytes.packed()? & PARTIAL_JSON != 0 {
        let json = layout.columns.iter().filter(|column| column.is_json()).count();
        bytes.skip(json.div_ceil(8))?;
    }
    Ok(())
}

/// The key from its values, or `None` if one of them is missing.
pub(crate) fn key(table: &WatchedTable, found: &Found<'_>) -> Result<Option<Key>, Malformed> {
    if let ([part], [value]) = (table.key.as_slice(), found)
        && let KeyType::Int { unsigned } = part.ty
    {
        return value.map(|raw| widen(raw, unsigned).map(Key::Int)).transpose();
    }
    let mut wide = WideKey::default();
    for (part, value) in table.key.iter().zip(found) {
        let Some(raw) = value else { return Ok(None) };
        match &part.ty {
            KeyType::Int { unsigned } => wide.push(&widen(raw, *unsigned)?.to_le_bytes()),
            KeyType::Binary { pad_to: Some(length) } => push_padded(&mut wide, raw, *length)?,
            KeyType::Uuid | KeyType::Inet6 => push_padded(&mut wide, raw, 16)?,
            KeyType::Inet4 => push_padded(&mut wide, raw, 4)?,
            _ => wide.push(raw),
        }
    }
    Ok(Some(wide.finish()))
}

/// An integer of one to eight bytes, widened to eight.
fn widen(raw: &[u8], unsigned: bool) -> Result<u64, Malformed> {
    let value = little_endian(raw);
    match raw.len() {
        8 => Ok(value),
        length @ 1..=4 => {
            let shift = 64 - 8 * u32::try_from(length).unwrap_or(8);
            let signed = i64::from_le_bytes((value << shift).to_le_bytes()) >> shift;
            Ok(if unsigned { value } else { u64::from_le_bytes(signed.to_le_bytes()) })
        }
        _ => Err(Malformed("an integer of an impossible length")),
    }
}

/// The server drops the trailing zeros of values of a fixed length.
fn push_padded(wide: &mut WideKey, raw: &[u8], length: usize) -> Result<(), Malformed> {
    if raw.len() > length {
        return Err(Malformed("a value longer than its column"));
    }
    let mut padded = raw.to_vec();
    padded.resize(length, 0);
    wide.push(&padded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_widened_with_their_sign() {
        assert_eq!(widen(&[0xff], false), Ok(u64::MAX));
        assert_eq!(widen(&[0xff], true), Ok(255));
        // MEDIUMINT -70000, which the mysql crate reads as 16707216
        let raw = &(-70000_i32).to_le_bytes()[..3];
        let widened = widen(raw, false).map(u64::to_le_bytes);
        assert_eq!(widened, Ok((-70000_i64).to_le_bytes()));
        assert!(widen(&[], false).is_err());
    }
}
