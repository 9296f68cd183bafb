//! A cursor over the bytes of an event. Every step can fail: events are not to be trusted.

use thiserror::Error;

/// The bytes of an event do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed event: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What is left to read of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Malformed("too short"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        self.take(length).map(drop)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (head, tail) = self.0.split_first().ok_or(Malformed("too short"))?;
        self.0 = tail;
        Ok(*head)
    }

    /// A little-endian number of up to eight bytes.
    pub(crate) fn number(&mut self, length: usize) -> Result<u64, Malformed> {
        Ok(little_endian(self.take(length)?))
    }

    /// The same, as a length.
    pub(crate) fn length(&mut self, length: usize) -> Result<usize, Malformed> {
        usize::try_from(self.number(length)?).map_err(|_| Malformed("a length beyond all bounds"))
    }

    /// A length-encoded number.
    pub(crate) fn packed(&mut self) -> Result<usize, Malformed> {
        match self.u8()? {
            first @ 0..=250 => Ok(usize::from(first)),
            252 => self.length(2),
            253 => self.length(3),
            254 => self.length(8),
            _ => Err(Malformed("not a packed number")),
        }
    }
}

pub(crate) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A bitmap as events hold it: bit `i` is in byte `i / 8`, lowest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bitmap<'a>(pub(crate) &'a [u8]);

impl Bitmap<'_> {
    pub(crate) fn get(&self, i: usize) -> bool {
        self.0.get(i / 8).is_some_and(|byte| byte & (1 << (i % 8)) != 0)
    }

    /// Of the first `n` bits, how many are set.
    pub(crate) fn count(&self, n: usize) -> usize {
        (0..n).filter(|i| self.get(*i)).count()
    }
}
