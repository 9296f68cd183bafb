//! Where in the binlog we are.

use std::fmt;
use std::str::FromStr;

use super::gtid::GtidSet;

/// A position in the binary log of one server: a file and an offset in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinlogPosition {
    pub(crate) file: String,
    pub(crate) offset: u64,
}

/// Where a stream begins.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) position: BinlogPosition,
    /// What has been there before, if the server is to be asked by that and not by the position.
    pub(crate) gtids: Option<GtidSet>,
    /// When the file was begun, if that is known, in seconds since 1970: one of the same name may be another by now.
    pub(crate) file_begun: Option<u32>,
}

impl From<BinlogPosition> for Start {
    fn from(position: BinlogPosition) -> Self {
        Start { position, gtids: None, file_begun: None }
    }
}

impl BinlogPosition {
    pub(crate) fn new(file: impl Into<String>, offset: u64) -> Self {
        BinlogPosition { file: file.into(), offset }
    }

    /// The name of the binlog file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The offset in the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves on within the file. Event headers hold only the low 32 bits of the offset, so a file
    /// that one huge transaction has taken beyond 4 GiB is seen to wrap around.
    pub(crate) fn advance(&mut self, low_bits: u32) {
        let low = u64::from(low_bits);
        let high = self.offset & !0xffff_ffff;
        let wrapped = if low < self.offset & 0xffff_ffff { 1 << 32 } else { 0 };
        self.offset = high.saturating_add(wrapped).saturating_add(low);
    }
}

impl fmt::Display for BinlogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// A text that is not `file:offset`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a binlog position of the form file:offset")]
pub struct ParsePositionError;

impl FromStr for BinlogPosition {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, offset) = text.rsplit_once(':').ok_or(ParsePositionError)?;
        if file.is_empty() {
            return Err(ParsePositionError);
        }
        Ok(BinlogPosition::new(file, offset.parse().map_err(|_| ParsePositionError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_beyond_four_gibibytes() {
        let mut position = BinlogPosition::new("b.000001", 0xffff_fff0);
        position.advance(0x10);
        assert_eq!(position.offset(), 0x1_0000_0010);
        position.advance(0x20);
        assert_eq!(position.offset(), 0x1_0000_0020);
    }

    /// A transaction of 20 GB is a file of its own: each event tells only the low bits, and none is skipped.
    #[test]
    fn counts_each_time_that_the_low_bits_wrap() {
        const EVENT: u64 = 1 << 29;
        let mut position = BinlogPosition::new("b.000001", 4);
        for event in 1..=40 {
            let end = 4 + event * EVENT;
            position.advance(u32::try_from(end & 0xffff_ffff).unwrap());
            assert_eq!(position.offset(), end);
            // As heartbeats do, which say where the stream is.
            position.advance(u32::try_from(end & 0xffff_ffff).unwrap());
            assert_eq!(position.offset(), end);
        }
        assert_eq!(position.to_string(), format!("b.000001:{}", 4 + 40 * EVENT));
    }

    #[test]
    fn reads_what_it_writes() {
        let position = BinlogPosition::new("a:b-bin.000001", 4);
        assert_eq!(position.to_string().parse(), Ok(position));
        assert!("binlog".parse::<BinlogPosition>().is_err());
        assert!(":4".parse::<BinlogPosition>().is_err());
    }
}
