//! A range of the chosen key, and the order in which ranges are finished.

use std::collections::BTreeMap;

use crate::sql::key::Bound;

/// The rows behind `after` up to and with `through`; without a bound, from the first or to the
/// last row.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// Chunks are numbered in key order, from 0.
    pub(crate) number: u64,
    pub(crate) after: Option<Bound>,
    pub(crate) through: Option<Bound>,
    /// How many rows it was cut for.
    pub(crate) rows: u64,
    /// It was cut without asking the server, for as many rows as there are integers in it.
    pub(crate) in_a_row: bool,
}

/// The lowest contiguous finished chunk: everything up to it is copied.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    next: u64,
    through: Option<Bound>,
    ahead: BTreeMap<u64, Option<Bound>>,
}

impl Watermark {
    pub(crate) fn finished(&mut self, chunk: Chunk) {
        self.ahead.insert(chunk.number, chunk.through);
        while let Some(through) = self.ahead.remove(&self.next) {
            self.next += 1;
            self.through = through;
        }
    }

    /// The key up to which all rows are copied.
    pub(crate) fn through(&self) -> Option<&Bound> {
        self.through.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_never_passes_an_unfinished_chunk() {
        let bound = |key: u64| Some(Bound(vec![key.to_string()]));
        let chunk = |number| Chunk {
            number,
            after: None,
            through: bound(number),
            rows: 1,
            in_a_row: false,
        };
        let mut watermark = Watermark::default();
        watermark.finished(chunk(1));
        assert_eq!(watermark.through(), None);
        watermark.finished(chunk(0));
        assert_eq!(watermark.through(), bound(1).as_ref());
        watermark.finished(chunk(3));
        assert_eq!(watermark.through(), bound(1).as_ref());
    }
}
