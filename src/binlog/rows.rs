//! Row events: from the bytes of a WRITE, UPDATE or DELETE event to the keys that it changes.

use std::io::Read as _;

use super::bytes::{Bitmap, Bytes, Malformed};
use super::image;
use super::layout::{Layout, WatchedTable};
use crate::sql::Key;

/// What a row event does, and how its bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowsKind {
    pub(crate) verb: Verb,
    /// Version 2 events have extra data in front.
    pub(crate) version2: bool,
    /// Updates with JSON diffs.
    pub(crate) partial: bool,
    /// MariaDB's `log_bin_compress`: the rows are deflated.
    pub(crate) compressed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Write,
    Update,
    Delete,
}

impl RowsKind {
    /// By the type of the event; `None` if it is not a row event.
    pub(crate) fn of_type(event_type: u8) -> Option<Self> {
        let (verb, version2, partial, compressed) = match event_type {
            23 => (Verb::Write, false, false, false),
            24 => (Verb::Update, false, false, false),
            25 => (Verb::Delete, false, false, false),
            30 => (Verb::Write, true, false, false),
            31 => (Verb::Update, true, false, false),
            32 => (Verb::Delete, true, false, false),
            39 => (Verb::Update, true, true, false),
            166 => (Verb::Write, false, false, true),
            167 => (Verb::Update, false, false, true),
            168 => (Verb::Delete, false, false, true),
            169 => (Verb::Write, true, false, true),
            170 => (Verb::Update, true, false, true),
            171 => (Verb::Delete, true, false, true),
            _ => return None,
        };
        Some(RowsKind { verb, version2, partial, compressed })
    }
}

/// The id of the table that a row event is about: what tells other tables' events apart without
/// looking into them.
pub(crate) fn table_id(data: &[u8]) -> Result<u64, Malformed> {
    Bytes(data).number(6)
}

/// Why the keys of an event could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(
        "a row event leaves out key columns (a session with binlog_row_image=MINIMAL, and a key \
         that is not the primary key)"
    )]
    KeyLeftOut,
}

/// Calls `changed` with each key that the event changes: both the old and the new one of an update
/// that changes the key.
pub(crate) fn keys(
    kind: RowsKind,
    data: &[u8],
    layout: &Layout,
    table: &WatchedTable,
    mut changed: impl FnMut(Key),
) -> Result<(), Unreadable> {
    // Found out without the rows: images without a single column take no bytes, and so are not seen.
    let wanted = |present: Bitmap<'_>| table.key.iter().all(|part| present.get(part.column));
    walk(kind, data, layout, table, wanted, |before, after| {
        let key = image::key(table, before)?.ok_or(Unreadable::KeyLeftOut)?;
        if let Some(after) = after.filter(|after| *after != before) {
            let new = image::key(table, after)?.ok_or(Unreadable::KeyLeftOut)?;
            if new != key {
                changed(new);
            }
        }
        changed(key);
        Ok(())
    })
}

/// Calls `written` with the key of each row that the event inserts, or updates to, where the image
/// holds it.
pub(crate) fn written(
    kind: RowsKind,
    data: &[u8],
    layout: &Layout,
    table: &WatchedTable,
    mut written: impl FnMut(Key),
) -> Result<(), Unreadable> {
    walk(
        kind,
        data,
        layout,
        table,
        |_| true,
        |before, after| {
            if kind.verb != Verb::Delete {
                image::key(table, after.unwrap_or(before))?.into_iter().for_each(&mut written);
            }
            Ok(())
        },
    )
}

/// Goes through the rows of an event, if the columns of their (first) image are as `wanted`. An
/// update has two images; what the second leaves out has not changed, and is filled in from the
/// first.
fn walk(
    kind: RowsKind,
    data: &[u8],
    layout: &Layout,
    table: &WatchedTable,
    wanted: impl FnOnce(Bitmap<'_>) -> bool,
    mut row: impl FnMut(&image::Found<'_>, Option<&image::Found<'_>>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let mut bytes = Bytes(data);
    bytes.skip(6 + 2)?;
    if kind.version2 {
        let extra = bytes.length(2)?;
        bytes.skip(extra.checked_sub(2).ok_or(Malformed("extra data shorter than its length"))?)?;
    }
    let count = bytes.packed()?;
    if count != layout.columns.len() {
        return Err(Malformed("a row event with other columns than its table map").into());
    }
    let present = Bitmap(bytes.take(count.div_ceil(8))?);
    if !wanted(present) {
        return Err(Unreadable::KeyLeftOut);
    }
    let present_after = match kind.verb {
        Verb::Update => Bitmap(bytes.take(count.div_ceil(8))?),
        Verb::Write | Verb::Delete => present,
    };
    let inflated;
    if kind.compressed {
        inflated = inflate(bytes)?;
        bytes = Bytes(&inflated);
    }

    // Two images of a key of up to four columns need no allocation.
    let width = table.key.len();
    let mut few: [Option<&[u8]>; 8] = [None; 8];
    let mut many: Vec<Option<&[u8]>> = Vec::new();
    let slots = if let Some(slots) = few.get_mut(..2 * width) {
        slots
    } else {
        many.resize(2 * width, None);
        many.as_mut_slice()
    };
    let (before, after) = slots.split_at_mut(width);
    while !bytes.is_empty() {
        let left = bytes.0.len();
        image::read(&mut bytes, layout, present, table, before)?;
        if kind.verb == Verb::Update {
            if kind.partial {
                image::skip_partial_bits(&mut bytes, layout)?;
            }
            image::read(&mut bytes, layout, present_after, table, after)?;
            for (new, old) in after.iter_mut().zip(before.iter()) {
                *new = new.or(*old);
            }
            row(before, Some(after))?;
        } else {
            row(before, None)?;
        }
        if bytes.0.len() == left {
            return Err(Malformed("bytes behind rows that have none").into());
        }
    }
    Ok(())
}

/// MariaDB's compressed body: a header byte with the algorithm (bits 4-6, 0 is zlib) and the
/// length of the length that follows (bits 0-2), big-endian, then the deflated bytes.
pub(crate) fn inflate(mut bytes: Bytes<'_>) -> Result<Vec<u8>, Malformed> {
    let header = bytes.u8()?;
    if header & 0xf0 != 0x80 {
        return Err(Malformed("compressed in an unknown way"));
    }
    let length = bytes.take(usize::from(header & 0x07))?;
    let length = length.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(bytes.0)
        .take(length + 1)
        .read_to_end(&mut out)
        .map_err(|_| Malformed("compressed bytes that do not inflate"))?;
    if u64::try_from(out.len()) == Ok(length) {
        Ok(out)
    } else {
        Err(Malformed("compressed bytes of another length than they say"))
    }
}
