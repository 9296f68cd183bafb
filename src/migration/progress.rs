//! How far a run has come.

use std::fmt;
use std::time::Duration;

use crate::binlog::BinlogPosition;
use crate::error::Phase;

/// How far a run has come, at the moment of asking.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The phase that the run is in.
    pub phase: Phase,
    /// Rows copied so far.
    pub rows_copied: u64,
    /// Rows compared so far, in the pass over all rows that goes on or was the last.
    pub rows_verified: u64,
    /// The server's estimate of the rows to copy, which may well be half or twice the truth; or their number, once
    /// they [are counted](Self::rows_are_counted).
    pub rows_estimated: u64,
    /// Whether the rows were counted ([`exact_row_count`](crate::OnlineAlter::exact_row_count)): those that were
    /// there then.
    pub rows_are_counted: bool,
    /// Rows in a chunk at present.
    pub chunk_rows: u64,
    /// Changed keys that came through the binlog stream.
    pub keys_changed: u64,
    /// Keys refreshed.
    pub keys_refreshed: u64,
    /// Keys that wait to be refreshed.
    pub keys_pending: u64,
    /// For how long a change has been under way in the stream without having come through.
    pub stream_lag: Duration,
    /// How far the stream has come, once it has begun.
    pub position: Option<BinlogPosition>,
    /// Why the run holds back, if it does.
    pub throttled: Option<String>,
    /// For how long in all the run has held back.
    pub throttled_time: Duration,
    /// Attempts to cut over so far.
    pub cut_over_attempts: u32,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Time since the copy began, or that it took.
    pub copy_time: Duration,
}

impl Progress {
    /// The share of the rows that is copied, from 0 to 1, going by the estimate.
    pub fn copied_share(&self) -> f64 {
        if self.phase > Phase::Copy || self.rows_estimated == 0 {
            return if self.phase > Phase::Copy { 1.0 } else { 0.0 };
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of an estimate")]
        let share = self.rows_copied as f64 / self.rows_estimated as f64;
        share.min(1.0)
    }

    /// The time until the copy is complete, if it goes on as it did. `None` while that cannot be
    /// told.
    pub fn eta(&self) -> Option<Duration> {
        let share = self.copied_share();
        if self.phase > Phase::Copy {
            return Some(Duration::ZERO);
        }
        (share > 0.001).then(|| self.copy_time.mul_f64((1.0 - share) / share))
    }
}

/// In the manner of gh-ost's status line.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.throttled, self.phase) {
            (Some(reason), _) => format!("throttled, {reason}"),
            (None, Phase::Postponed) => "postponing cut-over".to_owned(),
            (None, Phase::CutOver) => "cutting over".to_owned(),
            (None, Phase::Copy) => "migrating".to_owned(),
            (None, Phase::Verify) => format!("verifying, {} rows compared", self.rows_verified),
            (None, phase) => phase.to_string(),
        };
        let eta = match self.eta() {
            Some(Duration::ZERO) => "due".to_owned(),
            Some(eta) => format!("{}s", eta.as_secs()),
            None => "N/A".to_owned(),
        };
        let position = self.position.as_ref().map_or("-".to_owned(), BinlogPosition::to_string);
        write!(
            f,
            "Copy: {}/{} {:.1}%; Applied: {}; Backlog: {}; Time: {}s(total), {}s(copy); streamer: \
             {position}; HeartbeatLag: {:.2}s, State: {state}; ETA: {eta}",
            self.rows_copied,
            self.rows_estimated.max(self.rows_copied),
            self.copied_share() * 100.0,
            self.keys_refreshed,
            self.keys_pending,
            self.elapsed.as_secs(),
            self.copy_time.as_secs(),
            self.stream_lag.as_secs_f64(),
        )
    }
}
