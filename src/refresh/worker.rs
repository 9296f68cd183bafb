//! The loop of a refresh worker.

use std::time::Duration;

use super::batch_size::BatchSize;
use super::pending::Collect;
use super::refresher::Refresher;
use crate::cancel::Cancel;
use crate::db::Session;
use crate::error::Result;
use crate::throttle::Gate;

/// Between two batches, changes of the same row have this long to come together.
const LINGER: Duration = Duration::from_millis(50);

/// Refreshes the keys of one part of pending until the run is asked to stop.
pub(crate) fn run(
    refresher: &Refresher,
    part: usize,
    most_keys: usize,
    session: &mut Session,
    gate: &Gate,
    cancel: &Cancel,
) -> Result<()> {
    let mut size = BatchSize::new(most_keys);
    loop {
        gate.pass(cancel)?;
        let collect = Collect { at_most: size.get(), linger: LINGER };
        let batch = refresher.pending().take(part, collect, cancel)?;
        let count = batch.keys.len();
        if !gate.is_open() {
            // It was shut while we waited for keys. They must not be kept meanwhile: whoever pauses
            // the workers waits for keys that are taken.
            refresher.pending().put_back(batch.keys);
            refresher.pending().done(part, count);
            continue;
        }
        let keys = batch.keys.clone();
        let refreshed = refresher.refresh(session, batch, cancel);
        if refreshed.is_err() {
            // Whoever waits for the keys must not take them for refreshed before the run has ended.
            refresher.pending().put_back(keys);
        }
        refresher.pending().done(part, count);
        size.learn(count, refreshed?);
        refresher.settle_conflicts(session, cancel)?;
    }
}
