//! How many rows a chunk should have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::chunk::Chunk;

/// The size of the ranges that the copy takes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkSize {
    /// As many rows as take about this long to copy: the size follows what the server can do. At most 8 MiB
    /// of them, and 1 MiB while anybody else writes to the server.
    Time(Duration),
    /// Always this many rows.
    Rows(u64),
}

impl Default for ChunkSize {
    /// Half a second.
    fn default() -> Self {
        ChunkSize::Time(Duration::from_millis(500))
    }
}

const FIRST: u64 = 1_000;
const LEAST: u64 = 10;
const MOST: u64 = 100_000;

/// A chunk is one transaction. While its binlog events are written, all other commits wait: on MySQL 9.7 for
/// 3.5 ms with 0.6 MB, 10 ms with 2.4 MB, and 37 ms with 9 MB.
const MOST_BYTES: u64 = 1 << 20;

/// Where nobody waits. More than that was slower by the row.
const MOST_BYTES_ALONE: u64 = 8 << 20;

#[derive(Debug)]
struct Size {
    goal: ChunkSize,
    rows: u64,
}

/// Adapts the size to how long chunks take.
#[derive(Debug)]
pub(crate) struct Sizer {
    /// Where refreshes wait for chunks, none should take longer.
    longest: Option<Duration>,
    /// The most rows while others write.
    most: u64,
    most_alone: u64,
    size: Mutex<Size>,
    /// Behind the last chunk of keys in a row that had few of them.
    gap: AtomicU64,
}

impl Sizer {
    pub(crate) fn new(goal: ChunkSize, average_row_bytes: u64) -> Self {
        let of = |bytes: u64| (bytes / average_row_bytes.max(1)).clamp(LEAST, MOST);
        let (most, most_alone) = (of(MOST_BYTES), of(MOST_BYTES_ALONE));
        let first = match goal {
            ChunkSize::Rows(rows) => rows.max(1),
            ChunkSize::Time(_) => FIRST.min(most),
        };
        Sizer {
            longest: None,
            most,
            most_alone,
            size: Mutex::new(Size { goal, rows: first }),
            gap: AtomicU64::new(0),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.size.lock().rows
    }

    /// No chunk should take longer than that, as far as its size follows the time.
    pub(crate) fn at_most(mut self, longest: Option<Duration>) -> Self {
        self.longest = longest;
        let goal = self.size.get_mut().goal;
        self.aim_at(goal);
        self
    }

    /// Another goal, from the next chunk on that is cut.
    pub(crate) fn aim_at(&self, goal: ChunkSize) {
        let mut size = self.size.lock();
        size.goal = match goal {
            ChunkSize::Time(time) => ChunkSize::Time(self.longest.map_or(time, |l| time.min(l))),
            ChunkSize::Rows(rows) => {
                size.rows = rows.max(1);
                goal
            }
        };
    }

    /// Chunks are numbered from 0 again.
    pub(crate) fn begin(&self) {
        self.gap.store(0, Ordering::Relaxed);
    }

    /// Whether a chunk of keys in a row has had few of them: that one, or a later one.
    pub(crate) fn has_found_a_gap(&self, from: u64) -> bool {
        self.gap.load(Ordering::Relaxed) > from
    }

    /// The chunk had `rows` rows, and took `time`; `alone` if nobody else writes.
    pub(crate) fn learn_of(&self, chunk: &Chunk, rows: u64, time: Duration, alone: bool) {
        if chunk.in_a_row && (rows == 0 || rows < chunk.rows / 2) {
            self.gap.fetch_max(chunk.number + 1, Ordering::Relaxed);
        }
        self.learn(rows, time, alone);
    }

    fn learn(&self, rows: u64, time: Duration, alone: bool) {
        let mut size = self.size.lock();
        let ChunkSize::Time(goal) = size.goal else {
            return;
        };
        if rows == 0 {
            return;
        }
        // At most twice or half as much at a time: a single odd chunk should not decide.
        let ratio = goal.as_secs_f64() / time.as_secs_f64().max(1e-6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a size, which is clamped right after"
        )]
        let wanted = (rows as f64 * ratio) as u64;
        let most = if alone { self.most_alone } else { self.most };
        size.rows = wanted.clamp(size.rows / 2, size.rows * 2).clamp(LEAST, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_time() {
        let sizer = Sizer::new(ChunkSize::default(), 100);
        for _ in 0..20 {
            // 10 000 rows a second
            let rows = sizer.rows();
            sizer.learn(rows, Duration::from_micros(100 * rows), false);
        }
        assert_eq!(sizer.rows(), 5_000);
        sizer.learn(5_000, Duration::from_secs(100), false);
        assert_eq!(sizer.rows(), 2_500);
    }

    #[test]
    fn a_gap_counts_for_what_was_cut_before_it_was_seen() {
        for (wide, rows, in_a_row, gap) in [
            (1, 0, true, true),
            (1, 1, true, false),
            (100, 49, true, true),
            (100, 50, true, false),
            (100, 0, false, false),
        ] {
            let sizer = Sizer::new(ChunkSize::Rows(1), 100);
            let chunk = Chunk { number: 7, after: None, through: None, rows: wide, in_a_row };
            sizer.learn_of(&chunk, rows, Duration::ZERO, true);
            assert_eq!(sizer.has_found_a_gap(7), gap, "{rows} of {wide}");
            assert!(!sizer.has_found_a_gap(8));
        }
    }

    #[test]
    fn stays_within_bytes_and_fixed_sizes() {
        let fat = Sizer::new(ChunkSize::default(), MOST_BYTES / 16);
        for alone in [false, true, true, true, true, false] {
            fat.learn(fat.rows(), Duration::from_micros(1), alone);
            let most = if alone { MOST_BYTES_ALONE } else { MOST_BYTES };
            assert!(fat.rows() * (MOST_BYTES / 16) <= most, "{}", fat.rows());
        }
        assert_eq!(fat.rows(), 16);
        let fixed = Sizer::new(ChunkSize::Rows(7), 1);
        fixed.learn(7, Duration::from_micros(1), true);
        assert_eq!(fixed.rows(), 7);
        fixed.aim_at(ChunkSize::Rows(9));
        assert_eq!(fixed.rows(), 9);
        fixed.aim_at(ChunkSize::default());
        fixed.learn(9, Duration::from_micros(1), true);
        assert_eq!(fixed.rows(), 18);
    }
}
